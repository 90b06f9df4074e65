// SPDX-License-Identifier: GPL-2.0
/*
 * gc_stall_growth LIVE PARTY: the longest library call of a mutator beside a heap of LIVE
 * objects, while rings too large for a local pass are dropped and so one trace follows the
 * other. The same number of calls whatever LIVE is, for a maximum grows with what it is of.
 */
#include <stdlib.h>

#include "stall.h"

#define STEPS		150000
#define STEPS_A_RING	3000
#define RING		2000

int main(int argc, char **argv)
{
	struct moheap *heap = graph_heap();
	int type = graph_node_type(heap);
	struct stall s;
	__u32 i;

	bench_must_be("two arguments", argc == 3);
	graph_prepare(heap);
	graph_tree(heap, type, atoi(argv[1]));
	graph_prepared(heap);
	stall_begin(&s, heap, type);
	for (i = 0; i < STEPS; i++) {
		if (i % STEPS_A_RING == 0)
			graph_drop_ring(heap, type, RING);
		stall_step(&s);
	}
	stall_tell(&s, "gc_stall_growth", argv[2]);
	return 0;
}
