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

/* ---- Collections ---- */

/* Caller holds heap->lock. */
static int mh_gc_callback_add(struct moheap *heap, struct mh_gc_callback *callback)
{
	struct mh_events *events = &heap->events;
	int err;

	callback->serial = ++events->serial;
	TAILQ_INSERT_TAIL(&events->callbacks, callback, list);
	err = mh_events_listen(heap);
	if (err)
		TAILQ_REMOVE(&events->callbacks, callback, list);
	return err;
}

int moheap_gc_callback_add(struct moheap *heap, moheap_gc_callback_t function, void *data)
{
	struct mh_gc_callback *callback = calloc(1, sizeof(*callback));
	int err;

	if (!callback)
		return -ENOMEM;
	callback->callback = function;
	callback->data = data;
	mh_lock(&heap->lock);
	err = mh_gc_callback_add(heap, callback);
	mh_unlock(&heap->lock);
	if (err)
		free(callback);
	return err;
}

/* Caller holds heap->lock. */
static struct mh_gc_callback *mh_gc_callback_find(const struct moheap *heap,
						  moheap_gc_callback_t function, const void *data)
{
	struct mh_gc_callback *callback;

	TAILQ_FOREACH(callback, &heap->events.callbacks, list)
		if (callback->callback == function && callback->data == data)
			return callback;
	return NULL;
}

int moheap_gc_callback_remove(struct moheap *heap, moheap_gc_callback_t function, void *data)
{
	struct mh_gc_callback *callback;

	mh_lock(&heap->lock);
	callback = mh_gc_callback_find(heap, function, data);
	if (callback) {
		TAILQ_REMOVE(&heap->events.callbacks, callback, list);
		/* To be told of what nobody wants to know does no harm. */
		mh_events_listen(heap);
		mh_events_await(heap, callback);
	}
	mh_unlock(&heap->lock);
	free(callback);
	return callback ? 0 : -ENOENT;
}
