// SPDX-License-Identifier: GPL-2.0
/*
 * new_drop_64: a 64-byte object with two references is made and dropped 1,000,000 times, with
 * up to 1,000 alive.
 */
#include "backend.h"
#include "bench.h"

#define TIMES	1000000
#define ALIVE	1000

/* Not on the stack: the Boehm collector looks here. */
static backend_t alive[ALIVE];

int main(void)
{
	__u64 since;
	__u32 i;

	backend_open(64);
	for (i = 0; i < ALIVE; i++)
		alive[i] = backend_new(64);
	since = bench_now();
	for (i = 0; i < TIMES; i++) {
		backend_t *object = &alive[i % ALIVE];

		backend_drop(*object);
		*object = backend_new(64);
		*(__u64 *)backend_ptr(*object) = i;
	}
	backend_flush();
	bench_result("new_drop_64", backend_name, (double)(bench_now() - since) / TIMES);
	return 0;
}
