// SPDX-License-Identifier: GPL-2.0
/*
 * bytes_per_node: memory for each of 1,000,000 objects with two references and no payload, in a
 * tree that the program holds by its root. bytes_per_array: memory for each reference of arrays of
 * 1,000,000; of several, for the cgroup charges some 100 KB in advance.
 *
 * Counted is all that the process is charged for; beside it, what the kernel says of the heap.
 * The difference is the library's own, and page tables.
 */
#include <stdlib.h>
#include <string.h>

#include "graph.h"

#define N	1000000
#define ARRAYS	8

static __u64 heap_bytes(struct moheap *heap)
{
	struct moheap_stat stat = graph_stat(heap);

	return stat.kernel_bytes + stat.arena_bytes;
}

/* The array that graph_tree() builds with is back with the system before this looks. */
static __u32 make_nodes(struct moheap *heap)
{
	graph_prepare(heap);
	graph_tree(heap, graph_bare_type(heap), N);
	graph_prepared(heap);
	moheap_trim(heap);
	return N;
}

static __u32 make_arrays(struct moheap *heap)
{
	static const struct moheap_layout layout = {
		.size = sizeof(layout),
		.flags = MOHEAP_TYPE_VAR_SLOTS,
		.name = "array",
	};
	moheap_ref_t item = graph_new(heap, graph_bare_type(heap)), array;
	int type = bench_must("moheap_type_register", moheap_type_register(heap, &layout)), i;

	for (i = 0; i < ARRAYS; i++) {
		bench_must("moheap_new_sized", moheap_new_sized(heap, type, 0, N, &array));
		bench_must("moheap_fill", moheap_fill(heap, array, 0, N, item));
	}
	return ARRAYS * N;
}

int main(int argc, char **argv)
{
	struct moheap *heap;
	__u64 before, empty;
	__u32 n;

	bench_must_be("one argument", argc == 2);
	bench_charge_alone();
	heap = graph_heap();
	before = bench_charged();
	empty = heap_bytes(heap);
	if (!strcmp(argv[1], "bytes_per_node"))
		n = make_nodes(heap);
	else
		n = make_arrays(heap);
	bench_result(argv[1], "ours", (double)(bench_charged() - before) / n);
	bench_besides(argv[1], "ours", "of_the_heap", (double)(heap_bytes(heap) - empty) / n);
	return 0;
}
