// SPDX-License-Identifier: GPL-2.0
/*
 * gc_trace_live_ns_per_object: a full collection finds 500,000 objects in a chain alive.
 */
#include "graph.h"

#define OBJECTS	500000

int main(void)
{
	struct moheap *heap = graph_heap();
	struct moheap_stat before, after;

	graph_enable(heap, 0);
	graph_chain(heap, graph_node_type(heap), OBJECTS);
	/* What was dropped while the chain was made is a candidate: not what is asked here. */
	graph_collect(heap, MOHEAP_COLLECT_FULL);
	before = graph_stat(heap);
	graph_collect(heap, MOHEAP_COLLECT_FULL);
	after = graph_stat(heap);
	bench_must_be("all are alive", after.objects >= OBJECTS);
	bench_result("gc_trace_live_ns_per_object", "ours",
		     (double)(after.collector_ns - before.collector_ns) / OBJECTS);
	return 0;
}
