// SPDX-License-Identifier: GPL-2.0
/*
 * walk_list: see ours/walk_list.c. Plain C pointers, nodes from malloc.
 */
#include <stdlib.h>

#include "bench.h"
#include "walk.h"

struct node {
	struct node *next;
	__u64 value;
};

static struct node *make(void)
{
	struct node **nodes = bench_must_have("malloc", malloc(WALK_NODES * sizeof(*nodes)));
	__u32 *order = walk_order();
	struct node *head = NULL, *node;
	__u32 i;

	for (i = 0; i < WALK_NODES; i++)
		nodes[i] = bench_must_have("malloc", malloc(sizeof(**nodes)));
	for (i = 0; i < WALK_NODES; i++) {
		node = nodes[order[i]];
		node->value = i;
		node->next = head;
		head = node;
	}
	free(order);
	free(nodes);
	return head;
}

static __u64 walk(const struct node *node)
{
	__u64 sum = 0;

	for (; node; node = node->next)
		sum += node->value;
	return sum;
}

int main(void)
{
	struct node *head = make();
	__u64 since = 0;
	int i;

	for (i = 0; i < WALK_TIMES; i++) {
		since = bench_now();
		bench_must_be("the sum is right", walk(head) == WALK_SUM);
		since = bench_now() - since;
	}
	bench_result("walk_list", "C", (double)since / WALK_NODES);
	return 0;
}
