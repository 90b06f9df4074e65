// SPDX-License-Identifier: GPL-2.0
/*
 * A library to preload: writes what a program asks of malloc to the file TRACE_FILE, in the
 * form of format.h. For programs of one thread, as the one recorded is; what a child does after
 * fork() is not recorded.
 *
 * The real functions are glibc's, under the names it has for them. Which allocation an address
 * belongs to is kept in a table of open addressing, which never shrinks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format.h"
#include "glibc.h"

#define EXPORT		__attribute__((visibility("default")))
#define TABLE_BITS	22
#define TABLE_SIZE	0x400000UL	/* 2 to the power of that */

/* address 0: free. A forgotten one keeps its place, with number 0. */
static struct {
	uintptr_t address;
	__u64 number;
} *table;
static __u64 made;
static __u8 buffer[1 << 16];
static size_t filled;
static int file = -1;
static pid_t owner;

static void write_out(void)
{
	size_t done = 0;
	ssize_t n;

	while (done < filled) {
		n = write(file, buffer + done, filled - done);
		if (n <= 0)
			_exit(99);
		done += n;
	}
	filled = 0;
}

static void put(__u64 number)
{
	if (filled + TRACE_BYTES > sizeof(buffer))
		write_out();
	filled = trace_put(buffer + filled, number) - buffer;
}

static size_t place_of(const void *p)
{
	uintptr_t address = (uintptr_t)p;
	size_t i = (address >> 4) * 0x9e3779b97f4a7c15UL >> (64 - TABLE_BITS);

	while (table[i].address && table[i].address != address)
		i = (i + 1) % TABLE_SIZE;
	return i;
}

static void *record_new(void *p, size_t size)
{
	size_t i;

	if (!p || file < 0 || getpid() != owner)
		return p;
	i = place_of(p);
	table[i].address = (uintptr_t)p;
	table[i].number = ++made;
	put((__u64)size << 1);
	return p;
}

/* What was made before the first line of this library ran is not known. */
static void record_drop(void *p)
{
	size_t i;

	if (!p || file < 0 || getpid() != owner)
		return;
	i = place_of(p);
	if (!table[i].number)
		return;
	put((made - table[i].number) << 1 | TRACE_DROP);
	table[i].number = 0;
}

EXPORT void *malloc(size_t size)
{
	return record_new(__libc_malloc(size), size);
}

EXPORT void *calloc(size_t n, size_t size)
{
	return record_new(__libc_calloc(n, size), n * size);
}

EXPORT void *realloc(void *p, size_t size)
{
	void *q = __libc_realloc(p, size);

	if (q || !size)
		record_drop(p);
	return record_new(q, size);
}

EXPORT void free(void *p)
{
	record_drop(p);
	__libc_free(p);
}

EXPORT void *memalign(size_t align, size_t size)
{
	return record_new(__libc_memalign(align, size), size);
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

EXPORT int posix_memalign(void **p, size_t align, size_t size)
{
	*p = memalign(align, size);
	return *p ? 0 : ENOMEM;
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("TRACE_FILE");

	if (!path)
		return;
	table = mmap(NULL, TABLE_SIZE * sizeof(*table), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (table == MAP_FAILED)
		_exit(98);
	owner = getpid();
	file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

__attribute__((destructor)) static void end(void)
{
	if (file >= 0 && getpid() == owner)
		write_out();
	file = -1;
}
