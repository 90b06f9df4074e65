// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Finalizers: functions that are called once, when an object is dead, or the program says so, or
 * the heap is closed.
 *
 * Those that are to be called are in heap->weakrefs.finalizers, oldest first, and have a user of
 * their weak reference: the list. Whoever takes one out of it, under heap->weakrefs.lock, is the
 * one to call it. The program's handle is another user, and matters to nothing else.
 */
#include "weak.h"

/**
 * struct moheap_finalize - a finalizer
 * @weakref: of the object; first, for it is freed with that
 * @list: in heap->weakrefs.finalizers, while @alive
 * @func: to be called
 * @data: for @func
 * @alive: it is to be called
 * @atexit: also when the heap is closed
 */
struct moheap_finalize {
	struct moheap_weakref weakref;

	TAILQ_ENTRY(moheap_finalize) list;
	moheap_finalize_func_t func;
	void *data;
	bool alive;
	bool atexit;
};

/* ---- Caller holds heap->weakrefs.lock ---- */

static void mh_finalize_enter(struct moheap *heap, struct moheap_finalize *finalize)
{
	finalize->alive = true;
	finalize->atexit = true;
	TAILQ_INSERT_TAIL(&heap->weakrefs.finalizers, finalize, list);
	heap->weakrefs.natexit++;
}

static void mh_finalize_leave(struct moheap *heap, struct moheap_finalize *finalize)
{
	finalize->alive = false;
	TAILQ_REMOVE(&heap->weakrefs.finalizers, finalize, list);
	heap->weakrefs.natexit -= finalize->atexit;
	mh_weakref_clear(&finalize->weakref);
}

static void mh_finalize_set_atexit(struct moheap *heap, struct moheap_finalize *finalize,
				   bool atexit)
{
	if (!finalize->alive)
		return;
	heap->weakrefs.natexit += atexit - finalize->atexit;
	finalize->atexit = atexit;
}

/* ---- Calling ---- */

static bool mh_finalize_take(struct moheap *heap, struct moheap_finalize *finalize)
{
	bool taken;

	mh_lock(&heap->weakrefs.lock);
	taken = finalize->alive;
	if (taken)
		mh_finalize_leave(heap, finalize);
	mh_unlock(&heap->weakrefs.lock);
	return taken;
}

/* One that was taken out of the list: nobody need watch any more. */
static void mh_finalize_put(struct moheap *heap, struct moheap_finalize *finalize)
{
	mh_watcher_remove(heap, &finalize->weakref.watcher);
	mh_weakref_put(heap, &finalize->weakref);
}

static void mh_finalize_died(struct moheap *heap, struct moheap_weakref *weakref)
{
	struct moheap_finalize *finalize = (struct moheap_finalize *)weakref;

	if (!mh_finalize_take(heap, finalize))
		return;
	finalize->func(heap, finalize->data);
	mh_finalize_put(heap, finalize);
}

/* The newest that is to be called when the heap is closed; others go to the end of the list. */
static struct moheap_finalize *mh_finalize_next(struct moheap *heap)
{
	struct mh_weakrefs *weakrefs = &heap->weakrefs;
	struct moheap_finalize *finalize;

	if (!weakrefs->natexit)
		return NULL;
	for (;;) {
		finalize = TAILQ_LAST(&weakrefs->finalizers, mh_finalizers);
		if (finalize->atexit)
			break;
		TAILQ_REMOVE(&weakrefs->finalizers, finalize, list);
		TAILQ_INSERT_HEAD(&weakrefs->finalizers, finalize, list);
	}
	mh_finalize_leave(heap, finalize);
	return finalize;
}

/* Of those whose object is dead nobody was told yet. */
static void mh_finalize_overdue(struct moheap *heap)
{
	struct moheap_finalize *finalize;

	TAILQ_FOREACH(finalize, &heap->weakrefs.finalizers, list)
		if (!finalize->atexit && !mh_alive(heap, mh_weakref_ref(&finalize->weakref)))
			mh_finalize_set_atexit(heap, finalize, true);
}

/*
 * mh_finalize_all() - the heap is about to be closed: call what is to be called then
 *
 * Also what is added meanwhile. Not in a child of fork() that has no client.
 */
void mh_finalize_all(struct moheap *heap)
{
	struct mh_weakrefs *weakrefs = &heap->weakrefs;
	struct moheap_finalize *finalize;

	if (heap->fd < 0)
		return;
	mh_lock(&weakrefs->lock);
	weakrefs->closing = true;
	mh_finalize_overdue(heap);
	while ((finalize = mh_finalize_next(heap))) {
		mh_unlock(&weakrefs->lock);
		finalize->func(heap, finalize->data);
		mh_finalize_put(heap, finalize);
		mh_lock(&weakrefs->lock);
	}
	mh_unlock(&weakrefs->lock);
}

/* ---- For programs ---- */

int moheap_finalize_new(struct moheap *heap, moheap_ref_t ref, moheap_finalize_func_t func,
			void *data, struct moheap_finalize **finalize)
{
	struct moheap_finalize *made = calloc(1, sizeof(*made));
	int err;

	if (!made)
		return -ENOMEM;
	made->weakref.died = mh_finalize_died;
	made->func = func;
	made->data = data;
	mh_lock(&heap->weakrefs.lock);
	err = mh_weakref_attach(heap, &made->weakref, ref);
	if (!err) {
		mh_finalize_enter(heap, made);
		made->weakref.users += !!finalize;
	}
	mh_unlock(&heap->weakrefs.lock);
	if (err)
		free(made);
	else if (finalize)
		*finalize = made;
	return err;
}

void moheap_finalize_free(struct moheap *heap, struct moheap_finalize *finalize)
{
	if (finalize)
		mh_weakref_put(heap, &finalize->weakref);
}

int moheap_finalize_call(struct moheap *heap, struct moheap_finalize *finalize)
{
	if (!mh_finalize_take(heap, finalize))
		return 0;
	finalize->func(heap, finalize->data);
	mh_finalize_put(heap, finalize);
	return 1;
}

/* Return 1 and what it is, if it is alive, and its object. */
static int mh_finalize_look(struct moheap *heap, struct moheap_finalize *finalize, bool detach,
			    moheap_ref_t *ref)
{
	int err = 0;

	*ref = 0;
	mh_lock(&heap->weakrefs.lock);
	if (finalize->alive)
		err = mh_weakref_take(heap, &finalize->weakref, ref);
	if (*ref && detach)
		mh_finalize_leave(heap, finalize);
	mh_unlock(&heap->weakrefs.lock);
	if (*ref && detach)
		mh_finalize_put(heap, finalize);
	return err ? err : !!*ref;
}

static int mh_finalize_tell(struct moheap *heap, struct moheap_finalize *finalize, bool detach,
			    moheap_ref_t *ref, moheap_finalize_func_t *func, void **data)
{
	moheap_ref_t held;
	int ret = mh_finalize_look(heap, finalize, detach, &held);

	if (ret != 1)
		return ret;
	if (func)
		*func = finalize->func;
	if (data)
		*data = finalize->data;
	if (ref)
		*ref = held;
	else
		moheap_decref(heap, held);
	return 1;
}

int moheap_finalize_detach(struct moheap *heap, struct moheap_finalize *finalize,
			   moheap_ref_t *ref, moheap_finalize_func_t *func, void **data)
{
	return mh_finalize_tell(heap, finalize, true, ref, func, data);
}

int moheap_finalize_peek(struct moheap *heap, struct moheap_finalize *finalize, moheap_ref_t *ref,
			 moheap_finalize_func_t *func, void **data)
{
	return mh_finalize_tell(heap, finalize, false, ref, func, data);
}

bool moheap_finalize_alive(struct moheap *heap, const struct moheap_finalize *finalize)
{
	bool alive;

	mh_lock(&heap->weakrefs.lock);
	alive = finalize->alive;
	mh_unlock(&heap->weakrefs.lock);
	return alive;
}

bool moheap_finalize_atexit(struct moheap *heap, const struct moheap_finalize *finalize)
{
	bool atexit;

	mh_lock(&heap->weakrefs.lock);
	atexit = finalize->alive && finalize->atexit;
	mh_unlock(&heap->weakrefs.lock);
	return atexit;
}

void moheap_finalize_set_atexit(struct moheap *heap, struct moheap_finalize *finalize, bool atexit)
{
	mh_lock(&heap->weakrefs.lock);
	mh_finalize_set_atexit(heap, finalize, atexit);
	mh_unlock(&heap->weakrefs.lock);
}
