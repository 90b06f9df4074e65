// SPDX-License-Identifier: GPL-2.0
/*
 * gc_cycle_ns_per_object: 400,000 objects in cycles of two are collected in one go, at the
 * program's request, as gc.collect() is. Counted is the time inside the collector, as the
 * kernel tells it: in local passes, which is how small cycles go, whether the collector finds
 * them by itself or is asked to. Beside it what a full collection takes, which is a trace.
 */
#include "graph.h"

#define OBJECTS	400000

static double ns_per_object(unsigned int generation)
{
	struct moheap *heap = graph_heap();
	int type = graph_node_type(heap);
	struct moheap_stat before, after;

	graph_enable(heap, 0);
	graph_drop_pairs(heap, type, OBJECTS);
	before = graph_stat(heap);
	graph_collect(heap, generation);
	after = graph_stat(heap);
	bench_must_be("all is collected", graph_collected(heap) == OBJECTS);
	moheap_close(heap);
	return (double)(after.collector_ns - before.collector_ns) / OBJECTS;
}

int main(void)
{
	bench_result("gc_cycle_ns_per_object", "ours", ns_per_object(MOHEAP_COLLECT_LOCAL_ALL));
	bench_besides("gc_cycle_ns_per_object", "ours", "full_collect",
		      ns_per_object(MOHEAP_COLLECT_FULL));
	return 0;
}
