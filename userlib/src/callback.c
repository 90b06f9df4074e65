// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Functions that programs register, to be called for what the kernel tells (event.c).
 */
#include "event.h"

/* ---- Finalizers ---- */

/* Caller holds heap->lock, which may be released meanwhile. */
static int mh_finalizer_set(struct moheap *heap, struct mh_type *type,
			    moheap_finalizer_t finalizer, void *data)
{
	struct mh_events *events = &heap->events;
	unsigned int before = events->finalizers;
	int err;

	mh_queue_send(heap);
	events->finalizers = before + !!finalizer - !!type->finalizer;
	err = mh_events_listen(heap);
	if (err) {
		events->finalizers = before;
		return err;
	}
	type->finalizer = finalizer;
	type->finalizer_data = data;
	mh_events_await(heap, type);
	return 0;
}

int moheap_set_finalizer(struct moheap *heap, unsigned int id, moheap_finalizer_t finalizer,
			 void *data)
{
	struct mh_type *type;
	int err;

	mh_lock(&heap->lock);
	type = mh_type_get(heap, id, &err);
	if (type && !(type->flags & MOHEAP_TYPE_FINALIZE))
		err = -EINVAL;
	if (!err)
		err = mh_finalizer_set(heap, type, finalizer, data);
	mh_unlock(&heap->lock);
	return err;
}
