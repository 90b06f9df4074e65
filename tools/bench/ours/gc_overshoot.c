// SPDX-License-Identifier: GPL-2.0
/*
 * gc_overshoot: a program with 100,000 live objects makes cyclic garbage without end. The most
 * memory in use, kernel's and arena's, over what the live objects alone take.
 */
#include "graph.h"
#include "rings.h"

static __u64 in_use(struct moheap *heap)
{
	struct moheap_stat stat = graph_stat(heap);

	return stat.kernel_bytes + stat.arena_bytes;
}

int main(void)
{
	struct moheap *heap = graph_heap();
	int type = graph_node_type(heap);
	__u64 empty = in_use(heap), live, now, most = 0;
	struct moheap_stat before, after;
	__u32 made, step, size;

	graph_prepare(heap);
	graph_tree(heap, type, RINGS_LIVE);
	graph_prepared(heap);
	moheap_trim(heap);
	before = graph_stat(heap);
	live = in_use(heap) - empty;
	for (made = 0, step = 0; made < RINGS_GARBAGE; made += size, step++) {
		size = rings_next(step);
		graph_drop_ring(heap, type, size);
		if (step % 64)
			continue;
		now = in_use(heap) - empty;
		if (now > most)
			most = now;
	}
	after = graph_stat(heap);
	bench_result("gc_overshoot", "ours", (double)most / live);
	bench_besides("gc_overshoot", "ours", "traces", after.traces - before.traces);
	bench_besides("gc_overshoot", "ours", "percent_freed_by_traces",
		      100.0 * after.freed_trace / (after.freed_trace + after.freed_local));
	return 0;
}
