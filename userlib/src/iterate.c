// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * The objects of a heap, found by the kernel; what is in this process's stocks is left out.
 *
 * The kernel takes what is in stock for alive, and may know it, and young objects, by refs that
 * nobody was given (young.c). So it is told of all of them first, and as long as heap->lock is
 * kept no stock changes: a ref that the kernel finds is in stock if a stock has its granule.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Slots read at a time. */
#define MH_REFERENTS	512

/* Granules in stock, sorted. */
struct mh_stocked {
	__u32 *granules;
	size_t n;
};

static int mh_granule_compare(const void *a, const void *b)
{
	__u32 x = *(const __u32 *)a, y = *(const __u32 *)b;

	return (x > y) - (x < y);
}

/* Caller holds heap->lock, and frees the array. */
static int mh_stocked_note(struct moheap *heap, struct mh_stocked *stocked)
{
	const struct mh_stock *stock;
	unsigned int i;
	size_t n = 0;

	for (stock = heap->stocks; stock; stock = stock->next)
		n += stock->room - stock->head;
	stocked->granules = malloc((n + 1) * sizeof(*stocked->granules));
	if (!stocked->granules)
		return -ENOMEM;
	stocked->n = 0;
	for (stock = heap->stocks; stock; stock = stock->next)
		for (i = stock->head; i < stock->room; i++)
			stocked->granules[stocked->n++] = mh_granule(stock->refs[i]);
	qsort(stocked->granules, n, sizeof(*stocked->granules), mh_granule_compare);
	return 0;
}

static size_t mh_leave_out(const struct mh_stocked *stocked, moheap_ref_t *refs, size_t n)
{
	size_t i, left = 0;
	__u32 granule;

	for (i = 0; i < n; i++) {
		granule = mh_granule(refs[i]);
		if (!bsearch(&granule, stocked->granules, stocked->n, sizeof(granule),
			     mh_granule_compare))
			refs[left++] = refs[i];
	}
	return left;
}

/* Until something is found, or nothing is left. Caller holds heap->lock. */
static long mh_search(struct moheap *heap, struct moheap_objects *objects,
		      const struct mh_stocked *stocked, size_t room)
{
	size_t found;
	int err;

	do {
		objects->count = mh_min(room, UINT32_MAX);
		err = mh_ioctl(heap, MOHEAP_IOC_OBJECTS, objects);
		if (err)
			return err;
		found = mh_leave_out(stocked, (moheap_ref_t *)(uintptr_t)objects->refs,
				     objects->count);
	} while (!found && objects->cursor != MOHEAP_OBJECTS_END);
	return found;
}

long moheap_objects(struct moheap *heap, struct moheap_search *search, size_t n,
		    moheap_ref_t *refs)
{
	struct moheap_objects objects = {
		.size = sizeof(objects),
		.flags = search->flags,
		.cursor = search->cursor,
		.refs = (uintptr_t)refs,
		.type = search->type,
		.target = search->target,
	};
	struct mh_stocked stocked;
	long found;

	if (search->size < sizeof(*search) || search->reserved || !n)
		return -EINVAL;
	if (search->cursor == MOHEAP_OBJECTS_END)
		return 0;
	mh_lock(&heap->lock);
	mh_tell_all(heap);
	found = search->target ? mh_name(heap, search->target) : 0;
	mh_queue_send(heap);
	if (!found)
		found = mh_stocked_note(heap, &stocked);
	if (!found) {
		found = mh_search(heap, &objects, &stocked, n);
		free(stocked.granules);
	}
	mh_unlock(&heap->lock);
	if (found >= 0)
		search->cursor = objects.cursor;
	return found;
}

long moheap_referents(struct moheap *heap, moheap_ref_t ref, size_t n, moheap_ref_t *refs)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };
	moheap_ref_t some[MH_REFERENTS];
	size_t at, many, i;
	long found = 0;
	int err;

	err = moheap_inspect(heap, &object);
	for (at = 0; !err && at < object.slots; at += many) {
		many = mh_min(object.slots - at, MH_REFERENTS);
		err = moheap_read(heap, ref, at, many, some);
		for (i = 0; !err && i < many; i++) {
			if (!some[i])
				continue;
			if ((size_t)found < n)
				refs[found] = some[i];
			found++;
		}
	}
	return err ? err : found;
}
