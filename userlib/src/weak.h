/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * Weak references: what weakref.c offers the files that build on it.
 */
#ifndef MOHEAP_WEAK_H
#define MOHEAP_WEAK_H

#include "event.h"

/**
 * struct moheap_weakref - a weak reference
 * @chain: in heap->weakrefs.table
 * @watcher: of the object. Its @ref is the object, whether it is watched or not
 * @users: who has it. Whoever gives it up last frees it
 * @hashed: @hash is known
 * @dead: it is known that the object is gone
 * @hash: of the object, once somebody asked
 * @died: called by the dispatcher when the object is gone, with no lock held, unless all users gave
 *	up before; NULL: the object is not watched
 * @callback: the program's
 * @data: for @callback
 *
 * One that is part of something else comes first there, in memory from malloc().
 */
struct moheap_weakref {
	TAILQ_ENTRY(moheap_weakref) chain;
	struct mh_watcher watcher;
	__u32 users;
	bool hashed;
	atomic_bool dead;
	__u64 hash;
	void (*died)(struct moheap *heap, struct moheap_weakref *weakref);
	moheap_weakref_callback_t callback;
	void *data;
};

static inline struct moheap_weakref *mh_weakref_of(struct mh_watcher *watcher)
{
	return (void *)((char *)watcher - offsetof(struct moheap_weakref, watcher));
}

static inline moheap_ref_t mh_weakref_ref(const struct moheap_weakref *weakref)
{
	return weakref->watcher.ref;
}

static inline bool mh_weakref_dead(const struct moheap_weakref *weakref)
{
	return atomic_load_explicit(&weakref->dead, memory_order_relaxed);
}

/* It refers to nothing any more. */
static inline void mh_weakref_clear(struct moheap_weakref *weakref)
{
	atomic_store_explicit(&weakref->dead, true, memory_order_relaxed);
}

void mh_weakrefs_init(struct moheap *heap);
void mh_weakrefs_free(struct moheap *heap);
int mh_weakref_attach(struct moheap *heap, struct moheap_weakref *weakref, moheap_ref_t ref);
void mh_weakref_put(struct moheap *heap, struct moheap_weakref *weakref);
int mh_weakref_take(struct moheap *heap, const struct moheap_weakref *weakref, moheap_ref_t *ref);
int mh_alive(struct moheap *heap, moheap_ref_t ref);
int mh_alive_many(struct moheap *heap, const moheap_ref_t *refs, size_t n, bool *alive);

void mh_finalize_all(struct moheap *heap);

#endif /* MOHEAP_WEAK_H */
