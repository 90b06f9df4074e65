// SPDX-License-Identifier: GPL-2.0
/*
 * gc_longest_stall: the longest single library call of a mutator that works while 1,000,000
 * objects are collected by the collector's thread: half of them in cycles of two, which local
 * passes free, half in one ring, which takes a trace.
 */
#include "stall.h"

#define OBJECTS	1000000

static void work_until_collected(struct stall *s)
{
	int i;

	while (graph_collected(s->heap) < OBJECTS)
		for (i = 0; i < 256; i++)
			stall_step(s);
}

int main(void)
{
	struct moheap *heap = graph_heap();
	int type = graph_node_type(heap);
	struct stall s;

	graph_enable(heap, 0);
	graph_drop_ring(heap, type, OBJECTS / 2);
	graph_drop_pairs(heap, type, OBJECTS / 2);
	graph_flush(heap);
	stall_begin(&s, heap, type);
	graph_enable(heap, 1);
	work_until_collected(&s);
	stall_tell(&s, "gc_longest_stall", "ours");
	return 0;
}
