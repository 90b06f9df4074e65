// SPDX-License-Identifier: GPL-2.0
/*
 * See graph.h.
 */
#include <stdlib.h>

#include "graph.h"

struct moheap *graph_heap(void)
{
	struct moheap *heap;

	bench_must("moheap_create", moheap_create(NULL, &heap));
	return heap;
}

int graph_node_type(struct moheap *heap)
{
	static const struct moheap_field fields[] = {
		{ .kind = MOHEAP_FIELD_UINT, .width = 8, .count = 1,
		  .offset = offsetof(struct graph_node, value), .name = "value" },
		{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 2,
		  .offset = offsetof(struct graph_node, refs), .name = "refs" },
	};
	static const struct moheap_layout layout = {
		.size = sizeof(layout),
		.name = "node",
		.payload = sizeof(struct graph_node),
		.slots = 2,
		.nfields = BENCH_ARRAY_SIZE(fields),
		.fields = fields,
	};

	return bench_must("moheap_type_register", moheap_type_register(heap, &layout));
}

int graph_bare_type(struct moheap *heap)
{
	static const struct moheap_layout layout = {
		.size = sizeof(layout),
		.name = "bare",
		.slots = 2,
	};

	return bench_must("moheap_type_register", moheap_type_register(heap, &layout));
}

moheap_ref_t graph_new(struct moheap *heap, int type)
{
	moheap_ref_t ref;

	bench_must("moheap_new", moheap_new(heap, type, &ref));
	return ref;
}

static void store(struct moheap *heap, moheap_ref_t owner, unsigned int slot, moheap_ref_t target)
{
	bench_must("moheap_store", moheap_store(heap, owner, slot, target));
}

moheap_ref_t graph_chain(struct moheap *heap, int type, __u32 n)
{
	moheap_ref_t head = graph_new(heap, type), ref;

	while (--n) {
		ref = graph_new(heap, type);
		store(heap, ref, 0, head);
		moheap_decref(heap, head);
		head = ref;
	}
	graph_flush(heap);
	return head;
}

moheap_ref_t graph_tree(struct moheap *heap, int type, __u32 n)
{
	moheap_ref_t *refs = bench_must_have("malloc", malloc((n + 1) * sizeof(*refs)));
	moheap_ref_t root;
	__u32 i;

	for (i = 1; i <= n; i++) {
		refs[i] = graph_new(heap, type);
		if (i == 1)
			continue;
		store(heap, refs[i / 2], i % 2, refs[i]);
		moheap_decref(heap, refs[i]);
	}
	graph_flush(heap);
	root = refs[1];
	free(refs);
	return root;
}

void graph_drop_ring(struct moheap *heap, int type, __u32 n)
{
	moheap_ref_t last = graph_new(heap, type), head = last, ref;

	while (--n) {
		ref = graph_new(heap, type);
		store(heap, ref, 0, head);
		if (head != last)
			moheap_decref(heap, head);
		head = ref;
	}
	store(heap, last, 0, head);
	if (head != last)
		moheap_decref(heap, head);
	moheap_decref(heap, last);
}

void graph_drop_pairs(struct moheap *heap, int type, __u32 n)
{
	__u32 i;

	for (i = 0; i < n; i += 2)
		graph_drop_ring(heap, type, 2);
}

void graph_flush(struct moheap *heap)
{
	bench_must("moheap_flush", moheap_flush(heap));
}

void graph_collect(struct moheap *heap, unsigned int generation)
{
	bench_must("moheap_collect", moheap_collect(heap, generation, NULL));
}

struct moheap_stat graph_stat(struct moheap *heap)
{
	struct moheap_stat stat = { .size = sizeof(stat) };

	bench_must("moheap_stat", moheap_stat(heap, &stat));
	return stat;
}

__u64 graph_collected(struct moheap *heap)
{
	struct moheap_stat stat = graph_stat(heap);

	return stat.freed_local + stat.freed_trace;
}

void graph_enable(struct moheap *heap, int enabled)
{
	struct moheap_tune tune = {
		.size = sizeof(tune),
		.set = MOHEAP_TUNE_ENABLED,
		.enabled = enabled,
	};

	bench_must("moheap_tune", moheap_tune(heap, &tune));
}

void graph_prepare(struct moheap *heap)
{
	graph_enable(heap, 0);
}

void graph_prepared(struct moheap *heap)
{
	graph_collect(heap, MOHEAP_COLLECT_FULL);
	graph_enable(heap, 1);
}
