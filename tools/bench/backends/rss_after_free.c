// SPDX-License-Identifier: GPL-2.0
/*
 * rss_after_free: 1,000,000 objects of 16 to 512 bytes, small ones more often, are dropped in
 * random order until 1 % are left. What the process is charged for, a moment later.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "bench.h"

#define OBJECTS	1000000
#define LEFT	(OBJECTS / 100)

/* Two numbers multiplied: half of the objects are smaller than 80 bytes. */
static size_t some_size(__u64 *random)
{
	__u32 a = bench_random(random) % 1000, b = bench_random(random) % 1000;

	return 16 + a * b / 2012;
}

int main(void)
{
	backend_t *objects = bench_must_have("malloc", malloc(OBJECTS * sizeof(*objects)));
	__u32 *order = bench_must_have("malloc", malloc(OBJECTS * sizeof(*order)));
	__u64 random = 1, before, full;
	size_t size, bytes = 0, i;

	bench_shuffle(order, OBJECTS, &random);
	memset(objects, 0, OBJECTS * sizeof(*objects));
	bench_charge_alone();
	before = bench_charged();
	backend_open(0);
	for (i = 0; i < OBJECTS; i++) {
		size = some_size(&random);
		bytes += size;
		objects[i] = backend_new(size);
		memset(backend_ptr(objects[i]), 1, size);
	}
	full = bench_charged();
	for (i = LEFT; i < OBJECTS; i++)
		backend_drop(objects[order[i]]);
	backend_flush();
	usleep(500000);
	bench_result("rss_after_free", backend_name, bench_charged() - before);
	bench_besides("rss_after_free", backend_name, "with_all_alive_MB", (full - before) / 1e6);
	bench_besides("rss_after_free", backend_name, "asked_for_MB", bytes / 1e6);
	return 0;
}
