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

/* ---- Weak dicts and sets ---- */

/*
 * They are memory of the process. As with all that is here, a function that takes a key or value
 * never takes the caller's reference away, and what comes out through a pointer comes with a
 * reference for the caller. Of a side that is not weak the dict has a reference of its own; what
 * that leads to stays, and the dict is no part of any cycle that the collector could find.
 *
 * Keys are found as those of dicts are (moheap-containers.h): by value where they have one, else by
 * which object they are.
 *
 * An entry is gone when its weak side is. It takes memory until the dispatcher is told, or somebody
 * comes by; before a dict or set grows, those that are dead are taken out. One that is alive is a
 * watch on its weak side, of which an object has at most MOHEAP_WATCHES_MAX.
 *
 * A function that fails has changed nothing, unless it says otherwise.
 */

/**
 * struct moheap_weak_cursor - a place in a weak dict or set that is walked over
 * @at: what is behind it
 * @end: what came when the walk had begun
 *
 * All zero before the first step. The members are the library's.
 */
struct moheap_weak_cursor {
	__u64 at;
	__u64 end;
};

/* ---- WeakValueDictionary ---- */

struct moheap_weakvaluedict;

/**
 * moheap_weakvaluedict_new() - make a dict whose values are weak: Python's WeakValueDictionary
 * @heap: the heap
 * @dict: out: the dict; moheap_weakvaluedict_free() it
 *
 * Return: 0, -ENOMEM.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakvaluedict_new(struct moheap *heap, struct moheap_weakvaluedict **dict);

/**
 * moheap_weakvaluedict_free() - give up a dict
 * @heap: the heap
 * @dict: the dict, or NULL
 */
MOHEAP_API
void moheap_weakvaluedict_free(struct moheap *heap, struct moheap_weakvaluedict *dict);

/**
 * moheap_weakvaluedict_copy() - make a dict with the same keys and values
 * @heap: the heap
 * @dict: the dict
 * @copy: out: the copy; moheap_weakvaluedict_free() it
 *
 * Return: 0; as moheap_weakvaluedict_set().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakvaluedict_copy(struct moheap *heap, struct moheap_weakvaluedict *dict,
			      struct moheap_weakvaluedict **copy);

/**
 * moheap_weakvaluedict_len() - how many values are alive
 * @heap: the heap
 * @dict: the dict
 *
 * The kernel is asked of those that the process has no reference to, many at a time.
 *
 * Return: their number, or a negative errno.
 */
MOHEAP_API
long long moheap_weakvaluedict_len(struct moheap *heap, struct moheap_weakvaluedict *dict);

/**
 * moheap_weakvaluedict_set() - set the value of a key
 * @heap: the heap
 * @dict: the dict
 * @key: its key, which may be any object
 * @value: its value
 *
 * A key that is there stays as it is, and in its place.
 *
 * Return: 0; -ESTALE, -EINVAL; -EOVERFLOW, -ENOSPC, -ENOMEM.
 */
MOHEAP_API
int moheap_weakvaluedict_set(struct moheap *heap, struct moheap_weakvaluedict *dict,
			     moheap_ref_t key, moheap_ref_t value);

/**
 * moheap_weakvaluedict_get() - the value of a key
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 * @value: out: its value
 *
 * Return: 0; -ENOENT: there is no such key, or its value is gone; as moheap_equal(),
 * moheap_hash().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakvaluedict_get(struct moheap *heap, struct moheap_weakvaluedict *dict,
			     moheap_ref_t key, moheap_ref_t *value);

/**
 * moheap_weakvaluedict_contains() - is a key there?
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 *
 * Return: 1 or 0; as moheap_weakvaluedict_get().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakvaluedict_contains(struct moheap *heap, struct moheap_weakvaluedict *dict,
				  moheap_ref_t key);

/**
 * moheap_weakvaluedict_setdefault() - the value of a key, or set it
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 * @value: its value, if it has none
 * @got: out: its value
 *
 * No other thread comes in between.
 *
 * Return: 0; as moheap_weakvaluedict_set().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakvaluedict_setdefault(struct moheap *heap, struct moheap_weakvaluedict *dict,
				    moheap_ref_t key, moheap_ref_t value, moheap_ref_t *got);

/**
 * moheap_weakvaluedict_pop() - take a key out
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 * @value: out: its value; NULL where it is not wanted
 *
 * Return: 0; as moheap_weakvaluedict_get().
 */
MOHEAP_API
int moheap_weakvaluedict_pop(struct moheap *heap, struct moheap_weakvaluedict *dict,
			     moheap_ref_t key, moheap_ref_t *value);

/**
 * moheap_weakvaluedict_popitem() - take out the key that came last
 * @heap: the heap
 * @dict: the dict
 * @key: out: the key
 * @value: out: its value
 *
 * Return: 0, -ENOENT: there is none.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakvaluedict_popitem(struct moheap *heap, struct moheap_weakvaluedict *dict,
				 moheap_ref_t *key, moheap_ref_t *value);

/**
 * moheap_weakvaluedict_clear() - take all keys out
 * @heap: the heap
 * @dict: the dict
 */
MOHEAP_API
void moheap_weakvaluedict_clear(struct moheap *heap, struct moheap_weakvaluedict *dict);

/**
 * moheap_weakvaluedict_update() - set all that another dict has
 * @heap: the heap
 * @dict: the dict
 * @other: the other
 *
 * One after the other: what other threads do meanwhile may be seen or not, and where it fails,
 * some may be set.
 *
 * Return: 0; as moheap_weakvaluedict_set().
 */
MOHEAP_API
int moheap_weakvaluedict_update(struct moheap *heap, struct moheap_weakvaluedict *dict,
				struct moheap_weakvaluedict *other);

/**
 * moheap_weakvaluedict_update_from() - set all that a dict of the heap has
 * @heap: the heap
 * @dict: the dict
 * @other: an object: a dict (moheap_dict_new()), which nobody changes meanwhile
 *
 * Return: as moheap_weakvaluedict_update().
 */
MOHEAP_API
int moheap_weakvaluedict_update_from(struct moheap *heap, struct moheap_weakvaluedict *dict,
				     moheap_ref_t other);

/**
 * moheap_weakvaluedict_next() - walk over a dict, in the order in which its keys came
 * @heap: the heap
 * @dict: the dict
 * @cursor: where the walk is
 * @key: out: the next key; may be NULL
 * @value: out: its value; may be NULL
 *
 * Whatever happens to the dict meanwhile, the walk comes by each key once that was there when it
 * began and is there still, and by no others.
 *
 * Return: 1; 0: that was all; -EOVERFLOW.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakvaluedict_next(struct moheap *heap, struct moheap_weakvaluedict *dict,
			      struct moheap_weak_cursor *cursor, moheap_ref_t *key,
			      moheap_ref_t *value);

/**
 * moheap_weakvaluedict_valuerefs() - weak references to the values
 * @heap: the heap
 * @dict: the dict
 * @weakrefs: out: those of the first keys; moheap_weakref_free() each
 * @n: room there
 *
 * Their objects may be gone.
 *
 * Return: how many there are, which may be more than @n.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
size_t moheap_weakvaluedict_valuerefs(struct moheap *heap, struct moheap_weakvaluedict *dict,
				      struct moheap_weakref **weakrefs, size_t n);

/* ---- WeakKeyDictionary ---- */

struct moheap_weakkeydict;

/**
 * moheap_weakkeydict_new() - make a dict whose keys are weak: Python's WeakKeyDictionary
 * @heap: the heap
 * @dict: out: the dict; moheap_weakkeydict_free() it
 *
 * Return: 0, -ENOMEM.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakkeydict_new(struct moheap *heap, struct moheap_weakkeydict **dict);

/**
 * moheap_weakkeydict_free() - give up a dict
 * @heap: the heap
 * @dict: the dict, or NULL
 */
MOHEAP_API
void moheap_weakkeydict_free(struct moheap *heap, struct moheap_weakkeydict *dict);

/**
 * moheap_weakkeydict_copy() - make a dict with the same keys and values
 * @heap: the heap
 * @dict: the dict
 * @copy: out: the copy; moheap_weakkeydict_free() it
 *
 * Return: 0; as moheap_weakkeydict_set().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakkeydict_copy(struct moheap *heap, struct moheap_weakkeydict *dict,
			    struct moheap_weakkeydict **copy);

/**
 * moheap_weakkeydict_len() - how many keys are alive
 * @heap: the heap
 * @dict: the dict
 *
 * The kernel is asked of those that the process has no reference to, many at a time.
 *
 * Return: their number, or a negative errno.
 */
MOHEAP_API
long long moheap_weakkeydict_len(struct moheap *heap, struct moheap_weakkeydict *dict);

/**
 * moheap_weakkeydict_set() - set the value of a key
 * @heap: the heap
 * @dict: the dict
 * @key: its key
 * @value: its value; may be 0
 *
 * A key that is there stays as it is, and in its place.
 *
 * Return: 0; -ESTALE, -EINVAL; -EOVERFLOW, -ENOSPC, -ENOMEM.
 */
MOHEAP_API
int moheap_weakkeydict_set(struct moheap *heap, struct moheap_weakkeydict *dict, moheap_ref_t key,
			   moheap_ref_t value);

/**
 * moheap_weakkeydict_get() - the value of a key
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 * @value: out: its value
 *
 * Return: 0; -ENOENT: there is no such key, or it is gone; as moheap_equal(), moheap_hash().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakkeydict_get(struct moheap *heap, struct moheap_weakkeydict *dict, moheap_ref_t key,
			   moheap_ref_t *value);

/**
 * moheap_weakkeydict_contains() - is a key there?
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 *
 * Return: 1 or 0; as moheap_weakkeydict_get().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakkeydict_contains(struct moheap *heap, struct moheap_weakkeydict *dict,
				moheap_ref_t key);

/**
 * moheap_weakkeydict_setdefault() - the value of a key, or set it
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 * @value: its value, if it has none
 * @got: out: its value
 *
 * No other thread comes in between.
 *
 * Return: 0; as moheap_weakkeydict_set().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakkeydict_setdefault(struct moheap *heap, struct moheap_weakkeydict *dict,
				  moheap_ref_t key, moheap_ref_t value, moheap_ref_t *got);

/**
 * moheap_weakkeydict_pop() - take a key out
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 * @value: out: its value; NULL where it is not wanted
 *
 * Return: 0; as moheap_weakkeydict_get().
 */
MOHEAP_API
int moheap_weakkeydict_pop(struct moheap *heap, struct moheap_weakkeydict *dict, moheap_ref_t key,
			   moheap_ref_t *value);

/**
 * moheap_weakkeydict_popitem() - take out the key that came last
 * @heap: the heap
 * @dict: the dict
 * @key: out: the key
 * @value: out: its value
 *
 * Return: 0, -ENOENT: there is none.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakkeydict_popitem(struct moheap *heap, struct moheap_weakkeydict *dict,
			       moheap_ref_t *key, moheap_ref_t *value);

/**
 * moheap_weakkeydict_clear() - take all keys out
 * @heap: the heap
 * @dict: the dict
 */
MOHEAP_API
void moheap_weakkeydict_clear(struct moheap *heap, struct moheap_weakkeydict *dict);

/**
 * moheap_weakkeydict_update() - set all that another dict has
 * @heap: the heap
 * @dict: the dict
 * @other: the other
 *
 * One after the other: what other threads do meanwhile may be seen or not, and where it fails,
 * some may be set.
 *
 * Return: 0; as moheap_weakkeydict_set().
 */
MOHEAP_API
int moheap_weakkeydict_update(struct moheap *heap, struct moheap_weakkeydict *dict,
			      struct moheap_weakkeydict *other);

/**
 * moheap_weakkeydict_update_from() - set all that a dict of the heap has
 * @heap: the heap
 * @dict: the dict
 * @other: an object: a dict (moheap_dict_new()), which nobody changes meanwhile
 *
 * Return: as moheap_weakkeydict_update().
 */
MOHEAP_API
int moheap_weakkeydict_update_from(struct moheap *heap, struct moheap_weakkeydict *dict,
				   moheap_ref_t other);

/**
 * moheap_weakkeydict_next() - walk over a dict, in the order in which its keys came
 * @heap: the heap
 * @dict: the dict
 * @cursor: where the walk is
 * @key: out: the next key; may be NULL
 * @value: out: its value; may be NULL
 *
 * Whatever happens to the dict meanwhile, the walk comes by each key once that was there when it
 * began and is there still, and by no others.
 *
 * Return: 1; 0: that was all; -EOVERFLOW.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakkeydict_next(struct moheap *heap, struct moheap_weakkeydict *dict,
			    struct moheap_weak_cursor *cursor, moheap_ref_t *key,
			    moheap_ref_t *value);

/**
 * moheap_weakkeydict_keyrefs() - weak references to the keys
 * @heap: the heap
 * @dict: the dict
 * @weakrefs: out: those of the first keys; moheap_weakref_free() each
 * @n: room there
 *
 * Their objects may be gone.
 *
 * Return: how many there are, which may be more than @n.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
size_t moheap_weakkeydict_keyrefs(struct moheap *heap, struct moheap_weakkeydict *dict,
				  struct moheap_weakref **weakrefs, size_t n);

/* ---- WeakSet ---- */

struct moheap_weakset;

/**
 * moheap_weakset_new() - make a set of weak keys: Python's WeakSet
 * @heap: the heap
 * @set: out: the set; moheap_weakset_free() it
 *
 * Return: 0, -ENOMEM.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakset_new(struct moheap *heap, struct moheap_weakset **set);

/**
 * moheap_weakset_free() - give up a set
 * @heap: the heap
 * @set: the set, or NULL
 */
MOHEAP_API
void moheap_weakset_free(struct moheap *heap, struct moheap_weakset *set);

/**
 * moheap_weakset_copy() - make a set of the same keys
 * @heap: the heap
 * @set: the set
 * @copy: out: the copy; moheap_weakset_free() it
 *
 * Return: 0; as moheap_weakset_add().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakset_copy(struct moheap *heap, struct moheap_weakset *set,
			struct moheap_weakset **copy);

/**
 * moheap_weakset_len() - how many keys are alive
 * @heap: the heap
 * @set: the set
 *
 * The kernel is asked of those that the process has no reference to, many at a time.
 *
 * Return: their number, or a negative errno.
 */
MOHEAP_API
long long moheap_weakset_len(struct moheap *heap, struct moheap_weakset *set);

/**
 * moheap_weakset_contains() - is a key there?
 * @heap: the heap
 * @set: the set
 * @key: the key
 *
 * Return: 1 or 0; as moheap_equal(), moheap_hash().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakset_contains(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t key);

/**
 * moheap_weakset_add() - put a key in
 * @heap: the heap
 * @set: the set
 * @key: the key
 *
 * Return: 1; 0: an equal one is there, and stays; -ESTALE, -EINVAL; -EOVERFLOW, -ENOSPC,
 * -ENOMEM.
 */
MOHEAP_API
int moheap_weakset_add(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t key);

/**
 * moheap_weakset_remove() - take a key out
 * @heap: the heap
 * @set: the set
 * @key: the key
 *
 * Return: 0; -ENOENT: it is not there; as moheap_weakset_contains().
 */
MOHEAP_API
int moheap_weakset_remove(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t key);

/**
 * moheap_weakset_discard() - take a key out if it is there
 * @heap: the heap
 * @set: the set
 * @key: the key
 *
 * Return: 1; 0: it is not there; as moheap_weakset_contains().
 */
MOHEAP_API
int moheap_weakset_discard(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t key);

/**
 * moheap_weakset_pop() - take out the key that came last
 * @heap: the heap
 * @set: the set
 * @key: out: the key
 *
 * Return: 0, -ENOENT: there is none.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakset_pop(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t *key);

/**
 * moheap_weakset_clear() - take all keys out
 * @heap: the heap
 * @set: the set
 */
MOHEAP_API
void moheap_weakset_clear(struct moheap *heap, struct moheap_weakset *set);

/**
 * moheap_weakset_update() - put all keys of another set in
 * @heap: the heap
 * @set: the set
 * @other: another
 *
 * As with all that takes two sets: one key after the other. What other threads do meanwhile may be
 * seen or not; a call that fails and changes a set may have changed it in part.
 *
 * Return: 0; as moheap_weakset_add().
 */
MOHEAP_API
int moheap_weakset_update(struct moheap *heap, struct moheap_weakset *set,
			  struct moheap_weakset *other);

/**
 * moheap_weakset_update_from() - put all keys of a set of the heap in
 * @heap: the heap
 * @set: the set
 * @other: an object: a set (moheap_set_new()), which nobody changes meanwhile
 *
 * Return: as moheap_weakset_update().
 */
MOHEAP_API
int moheap_weakset_update_from(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t other);

/**
 * moheap_weakset_intersection_update() - leave in what another has as well
 * @heap: the heap
 * @set: the set
 * @other: another
 *
 * Return: 0, or a negative errno.
 */
MOHEAP_API
int moheap_weakset_intersection_update(struct moheap *heap, struct moheap_weakset *set,
				       struct moheap_weakset *other);

/**
 * moheap_weakset_difference_update() - take out what another has
 * @heap: the heap
 * @set: the set
 * @other: another
 *
 * Return: 0, or a negative errno.
 */
MOHEAP_API
int moheap_weakset_difference_update(struct moheap *heap, struct moheap_weakset *set,
				     struct moheap_weakset *other);

/**
 * moheap_weakset_symmetric_difference_update() - leave in, and put in, what only one has
 * @heap: the heap
 * @set: the set
 * @other: another
 *
 * Return: 0; as moheap_weakset_add().
 */
MOHEAP_API
int moheap_weakset_symmetric_difference_update(struct moheap *heap, struct moheap_weakset *set,
					       struct moheap_weakset *other);

/**
 * moheap_weakset_union() - make a set of what either has
 * @heap: the heap
 * @a: a set
 * @b: another
 * @set: out: the set; moheap_weakset_free() it
 *
 * Return: 0; as moheap_weakset_add().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakset_union(struct moheap *heap, struct moheap_weakset *a, struct moheap_weakset *b,
			 struct moheap_weakset **set);

/**
 * moheap_weakset_intersection() - make a set of what both have
 * @heap: the heap
 * @a: a set
 * @b: another
 * @set: out: the set; moheap_weakset_free() it
 *
 * The keys are those of @a.
 *
 * Return: 0; as moheap_weakset_add().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakset_intersection(struct moheap *heap, struct moheap_weakset *a,
				struct moheap_weakset *b, struct moheap_weakset **set);

/**
 * moheap_weakset_difference() - make a set of what only the first has
 * @heap: the heap
 * @a: a set
 * @b: another
 * @set: out: the set; moheap_weakset_free() it
 *
 * Return: 0; as moheap_weakset_add().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakset_difference(struct moheap *heap, struct moheap_weakset *a,
			      struct moheap_weakset *b, struct moheap_weakset **set);

/**
 * moheap_weakset_symmetric_difference() - make a set of what only one has
 * @heap: the heap
 * @a: a set
 * @b: another
 * @set: out: the set; moheap_weakset_free() it
 *
 * Return: 0; as moheap_weakset_add().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakset_symmetric_difference(struct moheap *heap, struct moheap_weakset *a,
					struct moheap_weakset *b, struct moheap_weakset **set);

/**
 * moheap_weakset_issubset() - has one set all that another has?
 * @heap: the heap
 * @a: a set
 * @b: the other, which has it all or not
 *
 * Return: 1 or 0, or a negative errno.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakset_issubset(struct moheap *heap, struct moheap_weakset *a,
			    struct moheap_weakset *b);

/**
 * moheap_weakset_isdisjoint() - have two sets nothing that both have?
 * @heap: the heap
 * @a: a set
 * @b: another
 *
 * Return: 1 or 0, or a negative errno.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakset_isdisjoint(struct moheap *heap, struct moheap_weakset *a,
			      struct moheap_weakset *b);

/**
 * moheap_weakset_equal() - have two sets equal keys?
 * @heap: the heap
 * @a: a set
 * @b: another
 *
 * Return: 1 or 0, or a negative errno.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakset_equal(struct moheap *heap, struct moheap_weakset *a, struct moheap_weakset *b);

/**
 * moheap_weakset_next() - walk over a set, in the order in which its keys came
 * @heap: the heap
 * @set: the set
 * @cursor: where the walk is
 * @key: out: the next key
 *
 * As moheap_weakkeydict_next().
 *
 * Return: 1; 0: that was all; -EOVERFLOW.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_weakset_next(struct moheap *heap, struct moheap_weakset *set,
			struct moheap_weak_cursor *cursor, moheap_ref_t *key);

/* ---- Finalizers ---- */

struct moheap_finalize;

typedef void (*moheap_finalize_func_t)(struct moheap *heap, void *data);

/**
 * moheap_finalize_new() - have a function called when an object is dead: Python's weakref.finalize
 * @heap: the heap
 * @ref: an object
 * @func: called once: by the dispatcher when the object is dead, the newest of an object first; by
 *	moheap_finalize_call(); or by moheap_close(). It does not get the object, which is gone
 * @data: for @func
 * @finalize: out: a handle; moheap_finalize_free() it. NULL: none is wanted
 *
 * The finalizer needs no handle: it is alive until @func is called, or moheap_finalize_detach().
 *
 * moheap_close() calls those that are alive, the newest first, and what they add; others only if
 * their object is dead and nobody was told of that. It does so in a child of fork() as well, but
 * not in one without a client. A process that ends without moheap_close() calls none.
 *
 * Return: as moheap_weakref_new().
 */
MOHEAP_API
int moheap_finalize_new(struct moheap *heap, moheap_ref_t ref, moheap_finalize_func_t func,
			void *data, struct moheap_finalize **finalize);

/**
 * moheap_finalize_free() - give up a handle
 * @heap: the heap
 * @finalize: the handle, or NULL
 *
 * The finalizer stays as it is.
 */
MOHEAP_API
void moheap_finalize_free(struct moheap *heap, struct moheap_finalize *finalize);

/**
 * moheap_finalize_call() - call the function now, if it was not called before
 * @heap: the heap
 * @finalize: the handle
 *
 * Return: 1; 0: the finalizer was dead. In another thread the function may still be running.
 */
MOHEAP_API
int moheap_finalize_call(struct moheap *heap, struct moheap_finalize *finalize);

/**
 * moheap_finalize_detach() - have the function not called any more
 * @heap: the heap
 * @finalize: the handle
 * @ref: out: the object, with a reference for the caller; may be NULL
 * @func: out: the function; may be NULL
 * @data: out: what it would have been given; may be NULL
 *
 * Return: 1; 0: the finalizer is dead, or its object, and then the function is or will be called;
 * -EOVERFLOW.
 */
MOHEAP_API
int moheap_finalize_detach(struct moheap *heap, struct moheap_finalize *finalize,
			   moheap_ref_t *ref, moheap_finalize_func_t *func, void **data);

/**
 * moheap_finalize_peek() - as moheap_finalize_detach(), but leave all as it is
 * @heap: the heap
 * @finalize: the handle
 * @ref: out: the object, with a reference for the caller; may be NULL
 * @func: out: the function; may be NULL
 * @data: out: what it will be given; may be NULL
 *
 * Return: 1; 0: the finalizer is dead, or its object; -EOVERFLOW.
 */
MOHEAP_API
int moheap_finalize_peek(struct moheap *heap, struct moheap_finalize *finalize, moheap_ref_t *ref,
			 moheap_finalize_func_t *func, void **data);

/**
 * moheap_finalize_alive() - is the function still to be called?
 * @heap: the heap
 * @finalize: the handle
 *
 * Return: whether.
 */
MOHEAP_API
bool moheap_finalize_alive(struct moheap *heap, const struct moheap_finalize *finalize);

/**
 * moheap_finalize_atexit() - will moheap_close() call the function?
 * @heap: the heap
 * @finalize: the handle
 *
 * At first it will.
 *
 * Return: whether; false if the finalizer is dead.
 */
MOHEAP_API
bool moheap_finalize_atexit(struct moheap *heap, const struct moheap_finalize *finalize);

/**
 * moheap_finalize_set_atexit() - choose whether moheap_close() calls the function
 * @heap: the heap
 * @finalize: the handle
 * @atexit: whether
 */
MOHEAP_API
void moheap_finalize_set_atexit(struct moheap *heap, struct moheap_finalize *finalize,
				bool atexit);

#ifdef __cplusplus
}
#endif

#endif /* MOHEAP_WEAKREF_H */
