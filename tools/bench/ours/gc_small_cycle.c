// SPDX-License-Identifier: GPL-2.0
/*
 * gc_small_cycle LIVE PARTY: what it costs to make one cycle of two objects and to have it
 * freed, in a heap of LIVE objects: processor time of the program, and of the collector beside
 * it.
 */
#include <stdlib.h>

#include "graph.h"

#define CYCLES	50000

int main(int argc, char **argv)
{
	struct moheap *heap = graph_heap();
	int type = graph_node_type(heap);
	struct moheap_stat before, after;
	__u64 cpu;

	bench_must_be("two arguments", argc == 3);
	graph_prepare(heap);
	graph_tree(heap, type, atoi(argv[1]));
	graph_prepared(heap);
	before = graph_stat(heap);
	cpu = bench_cpu();
	graph_drop_pairs(heap, type, 2 * CYCLES);
	graph_flush(heap);
	cpu = bench_cpu() - cpu;
	graph_collect(heap, MOHEAP_COLLECT_LOCAL_ALL);
	after = graph_stat(heap);
	bench_must_be("all is collected", after.freed_local - before.freed_local == 2 * CYCLES);
	cpu += after.collector_ns - before.collector_ns;
	bench_result("gc_small_cycle_cost_growth", argv[2], (double)cpu / CYCLES);
	return 0;
}
