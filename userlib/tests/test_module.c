// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Loading and unloading the module itself: MOHEAP_KO says where it is, MOHEAP_LOADS how often.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "raw.h"

static int load(void)
{
	const char *path = getenv("MOHEAP_KO");
	int fd, ret;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "moheap", O_NONBLOCK) ? -errno : 0;
}

static void needs_module(void)
{
	const char *path = getenv("MOHEAP_KO");

	if (!path || access(path, R_OK))
		tap_skip("MOHEAP_KO does not say where the module is");
	if (geteuid())
		tap_skip("needs root");
	if (access("/dev/moheap", F_OK))
		err_is(load(), 0);
}

/* Closed files are let go of a moment later. */
static int unload_soon(void)
{
	double end = tap_seconds() + 5;
	int err;

	do {
		err = unload();
	} while (err == -EAGAIN && tap_seconds() < end && !usleep(1000));
	return err;
}

static void unload_is_refused(void)
{
	struct moheap_stat stat = { .size = sizeof(stat) };
	struct moheap *heap, *other;
	moheap_ref_t ref;
	int file;
	char *p;

	needs_module();
	err_is(moheap_create(NULL, &heap), 0);
	err_is(unload(), -EAGAIN);
	ref = tap_new(heap, tap_type(heap, "t", 16, 1));
	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	err_is(moheap_incref(other, ref), 0);
	err_is(moheap_close(heap), 0);
	err_is(unload(), -EAGAIN);
	err_is(moheap_stat(other, &stat), 0);
	err_is(moheap_close(other), 0);

	/* A file that is bound to nothing; and then a mapping without a file. */
	file = raw_heap(0);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ok(p != MAP_FAILED);
	close(file);
	file = must(raw_open(O_RDWR));
	err_is(unload(), -EAGAIN);
	close(file);
	err_is(unload_soon(), 0);
	err_is(raw_open(O_RDWR), -ENOENT);
	/* The memory is shmem's, and needs no module. */
	p[0] = 1;
	is(p[0], 1);
	err_is(load(), 0);
	err_is(load(), -EEXIST);
}

/* A heap with everything in it, left to be cleaned up. */
static void use(void)
{
	struct moheap *heap;
	moheap_ref_t list, node;
	int type, i;

	err_is(moheap_create(NULL, &heap), 0);
	type = tap_type(heap, "t", 16, 1);
	err_is(moheap_list_new(heap, 0, &list), 0);
	for (i = 0; i < 20; i++) {
		node = tap_new(heap, type);
		err_is(moheap_store(heap, node, 0, i % 2 ? list : node), 0);
		err_is(moheap_list_append(heap, list, node), 0);
		err_is(moheap_decref(heap, node), 0);
	}
	err_is(moheap_list_append(heap, list, list), 0);
	err_is(moheap_decref(heap, list), 0);
	err_is(moheap_close(heap), 0);
}

static long slab_kib(void)
{
	long kib, found = -1;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "r");

	ok(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "SUnreclaim: %ld kB", &kib) == 1)
			found = kib;
	fclose(file);
	return found;
}

static void again_and_again(void)
{
	const char *loads = getenv("MOHEAP_LOADS");
	unsigned long n = loads ? strtoul(loads, NULL, 0) : tap_scaled(20), i;
	long before = 0, after;

	needs_module();
	for (i = 0; i < n; i++) {
		if (i == n / 10)
			before = slab_kib();
		err_is(unload_soon(), 0);
		err_is(load(), 0);
		if (i % 10 == 0)
			use();
	}
	after = slab_kib();
	tap_note("%lu times; slab memory: %ld KiB, then %ld KiB", n, before, after);
	/* A page lost each time would show. */
	ok(after - before < (n < 500 ? 2048 : (long)(n * 4) * 9 / 10));
}

static const struct tap_case cases[] = {
	{ "unload is refused while a file is open", unload_is_refused },
	{ "load and unload, again and again", again_and_again, 300 },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
