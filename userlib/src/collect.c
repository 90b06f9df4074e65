// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * The collector, and figures of the heap.
 */
#include "guard.h"

static void mh_flush_queue(struct moheap *heap)
{
	mh_lock(&heap->lock);
	mh_queue_send(heap);
	mh_unlock(&heap->lock);
}

int moheap_collect(struct moheap *heap, unsigned int generation, unsigned long long *unreachable)
{
	struct moheap_collect collect = {
		.size = sizeof(collect),
		.generation = generation,
	};
	int err;

	mh_flush_queue(heap);
	err = mh_ioctl(heap, MOHEAP_IOC_COLLECT, &collect);
	mh_lock(&heap->lock);
	mh_guard_drain(heap);
	mh_unlock(&heap->lock);
	if (!err && unreachable)
		*unreachable = collect.unreachable;
	return err;
}

int moheap_stat(struct moheap *heap, struct moheap_stat *stat)
{
	mh_flush_queue(heap);
	return mh_ioctl(heap, MOHEAP_IOC_STAT, stat);
}

int moheap_tune(struct moheap *heap, struct moheap_tune *tune)
{
	return mh_ioctl(heap, MOHEAP_IOC_TUNE, tune);
}

int moheap_check(struct moheap *heap)
{
	int broken, err;

	mh_lock(&heap->lock);
	mh_queue_send(heap);
	broken = mh_guard_check(heap);
	mh_unlock(&heap->lock);
	err = mh_ioctl(heap, MOHEAP_IOC_CHECK, NULL);
	return err ? err : broken;
}
