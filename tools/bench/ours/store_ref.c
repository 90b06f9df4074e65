// SPDX-License-Identifier: GPL-2.0
/*
 * store_ref: a slot of one of 1,000 objects is set to another, 1,000,000 times, in library
 * calls as any program makes them. The flush at the end is part of it.
 */
#include "graph.h"

#define OBJECTS	1000
#define TIMES	1000

int main(void)
{
	struct moheap *heap = graph_heap();
	int type = graph_node_type(heap);
	moheap_ref_t owner[OBJECTS], target[OBJECTS];
	__u64 since, random = 1;
	__u32 i, j;

	for (i = 0; i < OBJECTS; i++)
		owner[i] = graph_new(heap, type);
	for (i = 0; i < OBJECTS; i++)
		target[i] = owner[bench_random(&random) % OBJECTS];
	graph_flush(heap);
	since = bench_now();
	for (j = 0; j < TIMES; j++)
		for (i = 0; i < OBJECTS; i++)
			moheap_store(heap, owner[i], 0, target[(i + j) % OBJECTS]);
	graph_flush(heap);
	bench_result("store_ref", "ours", (double)(bench_now() - since) / OBJECTS / TIMES);
	return 0;
}
