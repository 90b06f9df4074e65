// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Finalizers: what an object stands for goes with the object. Here that is an open file. Two refer
 * to each other, so nobody can say where in the program their time is up; they are closed all
 * the same.
 *
 *	cc finalizer.c -lmoheap && ./a.out
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <moheap.h>

struct file {
	int fd;
};

static void must(const char *what, long long ret)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-ret));
	exit(1);
}

/* The object is whole, and goes when this returns. */
static void close_file(struct moheap *heap, moheap_ref_t ref, void *data)
{
	struct file *file = moheap_ptr(heap, ref);
	unsigned int *closed = data;

	printf("file %d is closed\n", file->fd);
	close(file->fd);
	++*closed;
}

static moheap_ref_t open_file(struct moheap *heap, unsigned int type)
{
	struct file *file;
	moheap_ref_t ref;
	int fd = dup(STDIN_FILENO);

	must("dup", fd < 0 ? -errno : 0);
	must("moheap_new", moheap_new(heap, type, &ref));
	file = moheap_ptr(heap, ref);
	file->fd = fd;
	printf("file %d is open\n", fd);
	return ref;
}

int main(void)
{
	static const struct moheap_layout layout = {
		.size = sizeof(layout),
		.name = "file",
		.flags = MOHEAP_TYPE_FINALIZE,
		.payload = sizeof(struct file),
		.slots = 1,
	};
	unsigned int closed = 0;
	struct moheap *heap;
	moheap_ref_t a, b;
	int type;

	must("moheap_create", moheap_create(NULL, &heap));
	type = moheap_type_register(heap, &layout);
	must("moheap_type_register", type);
	must("moheap_set_finalizer", moheap_set_finalizer(heap, type, close_file, &closed));

	a = open_file(heap, type);
	b = open_file(heap, type);
	must("moheap_store", moheap_store(heap, a, 0, b));
	must("moheap_store", moheap_store(heap, b, 0, a));
	must("moheap_decref", moheap_decref(heap, a));
	must("moheap_decref", moheap_decref(heap, b));

	/* The collector finds them by itself. This is a loop of the program's: it waits here. */
	while (closed < 2)
		must("moheap_dispatch_wait", moheap_dispatch_wait(heap, -1));
	return moheap_close(heap) ? 1 : 0;
}
