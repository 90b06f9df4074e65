/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * Weak references: what Python's weakref has. Included by moheap.h.
 *
 * Any ref is weak: it keeps nothing alive, and moheap_incref() makes it strong or says -ESTALE.
 * What is here adds to that what needs to be told of deaths. It belongs to the process and to one
 * client of the heap, and ends with moheap_close().
 *
 * Deaths are told by the dispatcher (moheap-events.h): callbacks are called there. But what is here
 * never gives out an object that is gone, whether somebody dispatches or not.
 *
 * Every function may be called by any number of threads at once, and from callbacks.
 *
 * In a child of fork() with a client of its own everything is there again, and is told for itself.
 *
 * There is no proxy object: a ref is one. Every function of the library that is given the ref of an
 * object that is gone says -ESTALE, where Python's proxy raises ReferenceError; payload needs a
 * reference while it is used, which moheap_weakref_get() gives.
 *
 * Objects that are brought back: where a cycle with something to be finalized is garbage, whoever
 * watches is told before the finalizers run, once and for all, as in Python. So a weak reference
 * with a callback is dead from when that is called, whatever a finalizer does. One without is not
 * told: it is dead when the object is.
 */
#ifndef MOHEAP_WEAKREF_H
#define MOHEAP_WEAKREF_H

#include <moheap.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Weak references ---- */

struct moheap_weakref;

/* Called when the object is dead. May free @weakref. */
typedef void (*moheap_weakref_callback_t)(struct moheap *heap, struct moheap_weakref *weakref,
					  void *data);

/**
 * moheap_weakref_new() - make a weak reference: Python's weakref.ref()
 * @heap: the heap
 * @ref: an object
 * @callback: called once, by the dispatcher, when the object is dead; or NULL
 * @data: for @callback
 * @weakref: out: the weak reference; moheap_weakref_free() it
 *
 * Without a callback the kernel has nothing to tell, and all share one weak reference to an object:
 * each of them frees it once. With one it is a watch of the kernel's, of which an object has at
 * most MOHEAP_WATCHES_MAX; of the callbacks of an object the newest is called first.
 *
 * Return: 0; -ESTALE: the object is gone; -EINVAL: @ref never named one; -EOVERFLOW: it has too
 * many watches; -ENOSPC, -ENOMEM.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakref_new(struct moheap *heap, moheap_ref_t ref, moheap_weakref_callback_t callback,
		       void *data, struct moheap_weakref **weakref);

/**
 * moheap_weakref_free() - drop a weak reference
 * @heap: the heap
 * @weakref: the weak reference, or NULL
 *
 * With its last user it is gone: its callback is not called any more, and does not run when this
 * returns, unless it is the callback that calls this.
 */
MOHEAP_API
void moheap_weakref_free(struct moheap *heap, struct moheap_weakref *weakref);

/**
 * moheap_weakref_get() - the object, if it is there: Python's ref()
 * @heap: the heap
 * @weakref: the weak reference
 * @ref: out: the object, with a reference for the caller; 0: it is gone
 *
 * Costs what moheap_incref() does: no system call where the process has a reference already.
 *
 * Return: 0; -EOVERFLOW.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakref_get(struct moheap *heap, const struct moheap_weakref *weakref,
		       moheap_ref_t *ref);

/**
 * moheap_weakref_alive() - is the object there?
 * @heap: the heap
 * @weakref: the weak reference
 *
 * It may be gone by the time that this returns, unless somebody holds it.
 *
 * Return: 1 or 0, or a negative errno.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakref_alive(struct moheap *heap, const struct moheap_weakref *weakref);

/**
 * moheap_weakref_peek() - the name of the object, there or not
 * @weakref: the weak reference
 *
 * Return: a borrowed ref; that of an object which is gone is stale.
 */
MOHEAP_API
moheap_ref_t moheap_weakref_peek(const struct moheap_weakref *weakref);

/**
 * moheap_weakref_callback() - what will be called: Python's ref.__callback__
 * @weakref: the weak reference
 * @data: out: what will be given to it; may be NULL
 *
 * Return: the callback; NULL where there is none, or it was called, or is being called.
 */
MOHEAP_API
moheap_weakref_callback_t moheap_weakref_callback(const struct moheap_weakref *weakref,
						  void **data);

/**
 * moheap_weakref_equal() - are two weak references equal?
 * @heap: the heap
 * @a: a weak reference
 * @b: a weak reference
 *
 * Two are if both objects are there and moheap_equal(). One whose object is gone is equal to itself
 * only.
 *
 * Return: 1 or 0; as moheap_equal(), moheap_weakref_get().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakref_equal(struct moheap *heap, const struct moheap_weakref *a,
			 const struct moheap_weakref *b);

/**
 * moheap_weakref_hash() - moheap_hash() of the object
 * @heap: the heap
 * @weakref: the weak reference
 * @hash: out: the number
 *
 * Is remembered, and so is the same when the object is gone.
 *
 * Return: 0; -ESTALE: the object is gone, and nobody asked before; as moheap_weakref_get().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakref_hash(struct moheap *heap, struct moheap_weakref *weakref, __u64 *hash);

/**
 * moheap_getweakrefcount() - how many weak references of this process an object has
 * @heap: the heap
 * @ref: the object
 *
 * Return: their number, those of weak dicts, sets and finalizers included; -ESTALE, -EINVAL.
 */
MOHEAP_API
long long moheap_getweakrefcount(struct moheap *heap, moheap_ref_t ref);

/**
 * moheap_getweakrefs() - the weak references of this process to an object
 * @heap: the heap
 * @ref: the object
 * @weakrefs: out: that without a callback first, then the newest first; moheap_weakref_free() each
 * @n: room there
 *
 * Return: as moheap_getweakrefcount(), which may be more than @n.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
long long moheap_getweakrefs(struct moheap *heap, moheap_ref_t ref,
			     struct moheap_weakref **weakrefs, size_t n);

#ifdef __cplusplus
}
#endif

#endif /* MOHEAP_WEAKREF_H */
