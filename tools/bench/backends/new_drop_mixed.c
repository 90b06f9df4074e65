// SPDX-License-Identifier: GPL-2.0
/*
 * new_drop_mixed FILE: replays what a Python program asked of its allocator: see trace/format.h.
 * The file is unpacked into an array of steps first; live objects are numbered so that numbers
 * are used again, as addresses are.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../trace/format.h"
#include "backend.h"
#include "bench.h"

/* A step is a size, or the number of the object to drop. */
#define STEP_DROP	0x80000000U

struct replay {
	__u32 *steps;	/* for each allocation a number follows: where it goes */
	size_t n;
	size_t news;
	__u32 numbers;
};

static __u8 *read_file(const char *path, size_t *size)
{
	FILE *f = bench_must_have(path, fopen(path, "rbe"));
	__u8 *data = NULL;
	size_t n, room = 0;

	*size = 0;
	do {
		room += 1 << 20;
		data = bench_must_have("realloc", realloc(data, room));
		n = fread(data + *size, 1, room - *size, f);
		*size += n;
	} while (n);
	fclose(f);
	return data;
}

/*
 * unpack() - the steps of a trace
 *
 * where[] has the number of each allocation so far; free[] the numbers that are free, a stack.
 */
static void unpack(struct replay *r, const __u8 *at, const __u8 *end)
{
	size_t most = end - at;
	__u32 *where = bench_must_have("malloc", malloc(most * sizeof(*where)));
	__u32 *spare = bench_must_have("malloc", malloc(most * sizeof(*spare)));
	__u32 nspare = 0, number;
	__u64 code;

	r->steps = bench_must_have("malloc", malloc(2 * most * sizeof(*r->steps)));
	while (at < end) {
		code = trace_get(&at);
		if (code & TRACE_DROP) {
			number = where[r->news - 1 - (code >> 1)];
			spare[nspare++] = number;
			r->steps[r->n++] = STEP_DROP | number;
			continue;
		}
		number = nspare ? spare[--nspare] : r->numbers++;
		where[r->news++] = number;
		r->steps[r->n++] = code >> 1;
		r->steps[r->n++] = number;
	}
	free(where);
	free(spare);
}

static void play(const struct replay *r, backend_t *objects)
{
	const __u32 *step = r->steps, *end = step + r->n;

	while (step < end) {
		__u32 code = *step++;

		if (code & STEP_DROP) {
			backend_drop(objects[code & ~STEP_DROP]);
			continue;
		}
		objects[*step] = backend_new(code);
		*(char *)backend_ptr(objects[*step++]) = 1;
	}
	backend_flush();
}

int main(int argc, char **argv)
{
	struct replay r = { 0 };
	backend_t *objects;
	__u64 since;
	__u8 *data;
	size_t size;

	bench_must_be("one argument", argc == 2);
	data = read_file(argv[1], &size);
	unpack(&r, data, data + size);
	free(data);
	objects = bench_must_have("calloc", calloc(r.numbers, sizeof(*objects)));
	backend_open(0);
	since = bench_now();
	play(&r, objects);
	bench_result("new_drop_mixed", backend_name, (double)(bench_now() - since) / r.news);
	bench_besides("new_drop_mixed", backend_name, "objects", r.news);
	return 0;
}
