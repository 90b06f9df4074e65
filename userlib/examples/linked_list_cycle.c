// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * A doubly linked list: every pair of neighbours is a cycle, which reference counts alone would
 * never free. Walk it at the speed of memory, drop it, and let the collector find it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <moheap.h>

#define NODES	1000

/*
 * Two slots, which the kernel keeps; and in the payload their mirrors, copies that the library
 * writes with every store, for us to read.
 */
enum { SLOT_NEXT, SLOT_PREV };

struct node {
	moheap_ref_t next;
	moheap_ref_t prev;
	__u64 number;
};

static const struct moheap_field fields[] = {
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 1, .slot = SLOT_NEXT,
	  .offset = offsetof(struct node, next), .name = "next" },
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 1, .slot = SLOT_PREV,
	  .offset = offsetof(struct node, prev), .name = "prev" },
	{ .kind = MOHEAP_FIELD_UINT, .width = 8, .count = 1,
	  .offset = offsetof(struct node, number), .name = "number" },
};

static const struct moheap_layout layout = {
	.size = sizeof(layout),
	.name = "node",
	.payload = sizeof(struct node),
	.slots = 2,
	.nfields = 3,
	.fields = fields,
};

static void must(const char *what, long long ret)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-ret));
	exit(1);
}

/* Append a node to the one at @tail. The list keeps it alive from then on, and not we. */
static moheap_ref_t append(struct moheap *heap, int type, moheap_ref_t tail, __u64 number)
{
	moheap_ref_t ref;

	must("moheap_new", moheap_new(heap, type, &ref));
	((struct node *)moheap_ptr(heap, ref))->number = number;
	must("moheap_store", moheap_store(heap, tail, SLOT_NEXT, ref));
	must("moheap_store", moheap_store(heap, ref, SLOT_PREV, tail));
	must("moheap_decref", moheap_decref(heap, ref));
	return ref;
}

static unsigned long long alive(struct moheap *heap)
{
	struct moheap_stat stat = { .size = sizeof(stat) };

	must("moheap_trim", moheap_trim(heap));
	must("moheap_stat", moheap_stat(heap, &stat));
	return stat.objects;
}

/* The collector has a thread of its own in the kernel. Give it up to ten seconds. */
static unsigned long long wait_for_the_collector(struct moheap *heap)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	int i;

	for (i = 0; i < 1000 && alive(heap); i++)
		nanosleep(&moment, NULL);
	return alive(heap);
}

int main(void)
{
	moheap_ref_t head, tail, at;
	unsigned long long left;
	struct moheap *heap;
	__u64 sum = 0;
	int type, i;

	must("moheap_create", moheap_create(NULL, &heap));
	type = moheap_type_register(heap, &layout);
	must("moheap_type_register", type);

	must("moheap_new", moheap_new(heap, type, &head));
	tail = head;
	for (i = 1; i < NODES; i++)
		tail = append(heap, type, tail, i);

	/* No system call in this loop, and none in any other process that has the heap. */
	for (at = head; at; at = moheap_get(heap, at, offsetof(struct node, next)))
		sum += ((const struct node *)moheap_ptr(heap, at))->number;
	printf("%d nodes, numbers add up to %llu\n", NODES, sum);
	printf("alive: %llu\n", alive(heap));

	/* The only reference from outside is ours. Without it, the list is garbage. */
	must("moheap_decref", moheap_decref(heap, head));
	must("moheap_flush", moheap_flush(heap));
	left = wait_for_the_collector(heap);
	printf("alive after the collector came by: %llu\n", left);
	must("moheap_close", moheap_close(heap));
	return left || sum != NODES * (NODES - 1) / 2;
}
