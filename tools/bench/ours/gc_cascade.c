// SPDX-License-Identifier: GPL-2.0
/*
 * gc_cascade_stall: the head of a list of 1,000,000 nodes is dropped. The time of the drop,
 * and of the flush that sends it off; and, beside it, until the last node is gone.
 */
#include <unistd.h>

#include "graph.h"

#define NODES	1000000

int main(void)
{
	struct moheap *heap = graph_heap();
	__u64 since, dropped;
	moheap_ref_t head;

	graph_prepare(heap);
	head = graph_chain(heap, graph_node_type(heap), NODES);
	graph_prepared(heap);
	moheap_trim(heap);
	since = bench_now();
	moheap_decref(heap, head);
	graph_flush(heap);
	dropped = bench_now();
	while (graph_stat(heap).objects)
		usleep(1000);
	bench_result("gc_cascade_stall", "ours", dropped - since);
	bench_besides("gc_cascade_stall", "ours", "until_all_are_gone_ms",
		      (bench_now() - since) / 1e6);
	return 0;
}
