// SPDX-License-Identifier: GPL-2.0
/*
 * walk_list: 1,000,000 references are followed through a list whose nodes are scattered in
 * memory, and their payload is added up.
 */
#include <stdlib.h>

#include "graph.h"
#include "walk.h"

struct node {
	moheap_ref_t next;	/* mirrors slot 0 */
	__u64 value;
};

static int node_type(struct moheap *heap)
{
	static const struct moheap_field next = {
		.kind = MOHEAP_FIELD_REF, .width = 8, .count = 1, .name = "next",
	};
	static const struct moheap_layout layout = {
		.size = sizeof(layout),
		.name = "list node",
		.payload = sizeof(struct node),
		.slots = 1,
		.nfields = 1,
		.fields = &next,
	};

	return bench_must("moheap_type_register", moheap_type_register(heap, &layout));
}

static moheap_ref_t make(struct moheap *heap)
{
	moheap_ref_t *refs = bench_must_have("malloc", malloc(WALK_NODES * sizeof(*refs)));
	__u32 *order = walk_order();
	moheap_ref_t head = 0, ref;
	__u32 i;

	graph_prepare(heap);
	bench_must("moheap_new_many",
		   moheap_new_many(heap, node_type(heap), WALK_NODES, refs));
	for (i = 0; i < WALK_NODES; i++) {
		ref = refs[order[i]];
		((struct node *)moheap_ptr(heap, ref))->value = i;
		moheap_store(heap, ref, 0, head);
		moheap_decref(heap, head);
		head = ref;
	}
	graph_prepared(heap);
	free(order);
	free(refs);
	return head;
}

static __u64 walk(struct moheap *heap, const struct node *node)
{
	__u64 sum = 0;

	for (; node; node = moheap_follow(heap, &node->next))
		sum += node->value;
	return sum;
}

int main(void)
{
	struct moheap *heap = graph_heap();
	moheap_ref_t head = make(heap);
	__u64 since = 0;
	int i;

	for (i = 0; i < WALK_TIMES; i++) {
		since = bench_now();
		bench_must_be("the sum is right", walk(heap, moheap_ptr(heap, head)) == WALK_SUM);
		since = bench_now() - since;
	}
	bench_result("walk_list", "ours", (double)since / WALK_NODES);
	return 0;
}
