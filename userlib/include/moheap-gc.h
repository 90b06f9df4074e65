/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * What Python's gc and sys tell of objects, and the switches of the collector.
 *
 * Everything here is for any number of threads at once, and is a system call or several: for
 * tools, tests and programs that look at themselves, not for loops that work. Errors and words
 * are those of moheap.h, which includes this.
 */
#ifndef MOHEAP_GC_H
#define MOHEAP_GC_H

#include <stdio.h>
#include <moheap.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Objects ---- */

/**
 * struct moheap_search - a search for objects, and how far it has come
 * @size: sizeof(struct moheap_search)
 * @flags: MOHEAP_OBJECTS_TYPE: only those of @type; MOHEAP_OBJECTS_CANDIDATES: only those that the
 *	collector will look at, as gc.get_objects(0); MOHEAP_OBJECTS_FROZEN: only those that are
 *	set aside (moheap_freeze()); MOHEAP_OBJECTS_SAVED: only saved garbage, as gc.garbage
 *	(moheap_set_debug()); MOHEAP_OBJECTS_REFERRERS: only those with a
 *	slot that refers to @target, as gc.get_referrers(). All that are given must hold; 0: all
 *	objects
 * @cursor: 0 to begin; else the library's
 * @target: an object
 * @type: a type
 * @reserved: 0
 */
struct moheap_search {
	__u32 size;
	__u32 flags;
	__u64 cursor;
	moheap_ref_t target;
	__u32 type;
	__u32 reserved;
};

/**
 * moheap_objects() - find objects: gc.get_objects(), gc.get_referrers()
 * @heap: the heap
 * @search: what to find; call with the same until nothing is found any more
 * @n: room in @refs
 * @refs: out: objects, borrowed
 *
 * What lives from the first call to the last is found exactly once, whatever else comes and goes
 * meanwhile; nothing is kept between two calls. Objects that this process has in stock are left
 * out. Those that other processes have in stock are not: nobody but they can tell.
 *
 * Room for a thousand or more is best: a call looks through the stocks.
 *
 * Return: how many were found, 0 at the end; -EINVAL: @n is 0, an unknown flag, or the search was
 * at its end; -ESTALE: the target is gone; -ENOMEM.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
long moheap_objects(struct moheap *heap, struct moheap_search *search, size_t n,
		    moheap_ref_t *refs);

/**
 * moheap_referents() - what an object refers to: gc.get_referents()
 * @heap: the heap
 * @ref: the object
 * @n: room in @refs
 * @refs: out: the first @n of the objects that its slots refer to, borrowed, in the order of the
 *	slots; one that is there twice is told twice
 *
 * Return: how many there are, which may be more than @n; -ESTALE, -EINVAL.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
long moheap_referents(struct moheap *heap, moheap_ref_t ref, size_t n, moheap_ref_t *refs);

/**
 * moheap_is_tracked() - can an object be part of a cycle? gc.is_tracked()
 * @heap: the heap
 * @ref: the object
 *
 * Return: 1 if it has slots, 0 if not; -ESTALE, -EINVAL.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_is_tracked(struct moheap *heap, moheap_ref_t ref);

/**
 * moheap_is_finalized() - was an object handed to its finalizer? gc.is_finalized()
 * @heap: the heap
 * @ref: the object
 *
 * Return: 1 if it was due, and will not be again, 0 if not; -ESTALE, -EINVAL.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_is_finalized(struct moheap *heap, moheap_ref_t ref);

/**
 * moheap_immortal() - let an object live as long as its heap
 * @heap: the heap
 * @ref: the object, which the heap itself holds from now on
 *
 * For what is made once and used by everybody. It stays, with all that it refers to, whoever
 * goes, until the last client has gone; then it is neither finalized nor told of. There is no way
 * back, and doing it twice is doing it once. The caller keeps its references.
 *
 * Return: 0; -ESTALE, -EINVAL; -EACCES: the client is read-only.
 */
MOHEAP_API
int moheap_immortal(struct moheap *heap, moheap_ref_t ref);

/* ---- Switches ---- */

/**
 * moheap_enable() - let the collector work by itself: gc.enable()
 * @heap: the heap
 *
 * For all clients of the heap, as everything below. It does from the beginning.
 *
 * Return: 0; -EACCES: the client is read-only.
 */
MOHEAP_API
int moheap_enable(struct moheap *heap);

/**
 * moheap_disable() - have the collector wait until it is asked: gc.disable()
 * @heap: the heap
 *
 * At the heap's limit it acts all the same: garbage is no reason to fail. Reference counts go on.
 *
 * Return: 0; -EACCES: the client is read-only.
 */
MOHEAP_API
int moheap_disable(struct moheap *heap);

/**
 * moheap_is_enabled() - does the collector work by itself? gc.isenabled()
 * @heap: the heap
 *
 * Return: 1 or 0; or a negative errno.
 */
MOHEAP_API
int moheap_is_enabled(struct moheap *heap);

/**
 * moheap_set_threshold() - when the collector begins: gc.set_threshold()
 * @heap: the heap
 * @candidates: how many candidates have a local pass begin at once, 1 or more; fewer wait for a
 *	moment (idle_ms of moheap_tune())
 * @growth: percent of the live objects that may be made before what local passes could not
 *	decide starts a trace of the whole heap, 1 to 1000. Python has 25, and no way to set it
 *
 * Return: 0; -ERANGE: a value is out of bounds, and nothing was set; -EACCES.
 */
MOHEAP_API
int moheap_set_threshold(struct moheap *heap, unsigned int candidates, unsigned int growth);

/**
 * moheap_get_threshold() - what moheap_set_threshold() sets: gc.get_threshold()
 * @heap: the heap
 * @candidates: out
 * @growth: out
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API
int moheap_get_threshold(struct moheap *heap, unsigned int *candidates, unsigned int *growth);

/**
 * moheap_freeze() - set all objects aside from the collector: gc.freeze()
 * @heap: the heap
 *
 * For what a program has set up and will keep. The collector takes it, and all that it refers to,
 * for alive, and spends next to nothing on it. It goes when nothing refers to it any more, as
 * ever. Objects made later are not frozen, nor are those that refer to nothing, and that nothing
 * but one process refers to: no process loses its stock. Unlike in Python, objects without slots
 * are frozen and counted like others.
 *
 * It is done in short steps, beside all else; what is made meanwhile may be frozen or not.
 *
 * Return: 0; -EACCES: the client is read-only; -EINTR: a signal came, and part of it is frozen.
 */
MOHEAP_API
int moheap_freeze(struct moheap *heap);

/**
 * moheap_unfreeze() - give all frozen objects back to the collector: gc.unfreeze()
 * @heap: the heap
 *
 * What of them is garbage goes with a trace of the whole heap, which begins soon.
 *
 * Return: 0; -EACCES; -EINTR: a signal came, and part of it is frozen still.
 */
MOHEAP_API
int moheap_unfreeze(struct moheap *heap);

/**
 * moheap_get_freeze_count() - how many objects are frozen: gc.get_freeze_count()
 * @heap: the heap
 *
 * Return: how many; or a negative errno.
 */
MOHEAP_API
long long moheap_get_freeze_count(struct moheap *heap);

/* ---- Debugging ---- */

/**
 * moheap_set_debug() - tell of what the collector finds, or keep it: gc.set_debug()
 * @heap: the heap
 * @flags: MOHEAP_DEBUG_STATS: print a line when a collection begins, and one when it ended.
 *	MOHEAP_DEBUG_SAVEALL: save what is found unreachable, in place of freeing it; with
 *	MOHEAP_DEBUG_COLLECTABLE each object that is saved is printed, by its type and ref.
 *	MOHEAP_DEBUG_UNCOLLECTABLE: nothing, as there is no such garbage here. MOHEAP_DEBUG_LEAK:
 *	the last three. 0: none, as at first
 *
 * The flags are the heap's, for all its clients, and for collections from now on. A process that
 * has set a flag that prints does so on stderr, when it dispatches (moheap-events.h), as if by
 * moheap_gc_callback_add(), and so does its child after fork(); no other process does.
 *
 * Saved garbage is held by the heap, whole, until somebody discards it. Watches on it are told,
 * and it is finalized, before it is saved. moheap_objects() finds it (MOHEAP_OBJECTS_SAVED), and
 * moheap_get_stats() counts it as uncollectable. At the heap's limit no collection makes room.
 *
 * Return: 0; -ERANGE: an unknown flag; -EACCES: the client is read-only; -ENOMEM: the flags are
 * set, but this process does not print.
 */
MOHEAP_API
int moheap_set_debug(struct moheap *heap, unsigned int flags);

/**
 * moheap_get_debug() - the flags that moheap_set_debug() set: gc.get_debug()
 * @heap: the heap
 *
 * Return: flags; or a negative errno.
 */
MOHEAP_API
int moheap_get_debug(struct moheap *heap);

/**
 * moheap_discard() - let go of saved garbage: gc.garbage.remove()
 * @heap: the heap
 * @ref: the object, borrowed
 *
 * It is garbage again unless somebody refers to it. While MOHEAP_DEBUG_SAVEALL is set, the next
 * collection will save it again.
 *
 * Return: 0; -ENOENT: it is not saved; -ESTALE, -EINVAL; -EACCES.
 */
MOHEAP_API
int moheap_discard(struct moheap *heap, moheap_ref_t ref);

/**
 * moheap_discard_all() - let go of all saved garbage: gc.garbage.clear()
 * @heap: the heap
 *
 * Return: how much it was; or a negative errno: the rest stays.
 */
MOHEAP_API
long moheap_discard_all(struct moheap *heap);

/* ---- Figures ---- */

/**
 * moheap_get_count() - what waits for the collector: gc.get_count()
 * @heap: the heap
 * @count: out, by generation: candidates that a local pass (0), or local passes to exhaustion (1),
 *	would look at; candidates that escaped local passes, and wait for a trace (2)
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API
int moheap_get_count(struct moheap *heap, unsigned long long count[MOHEAP_GENERATIONS]);

/**
 * moheap_get_stats() - what collections have found so far: gc.get_stats()
 * @heap: the heap
 * @stats: out, by generation. What the collector does by itself is of generation 0 and 2
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API
int moheap_get_stats(struct moheap *heap, struct moheap_generation stats[MOHEAP_GENERATIONS]);

/**
 * moheap_getallocatedblocks() - objects alive: sys.getallocatedblocks()
 * @heap: the heap
 *
 * Gives this process's stock back first (moheap_trim()). What other processes have in stock counts.
 *
 * Return: how many; or a negative errno.
 */
MOHEAP_API
long long moheap_getallocatedblocks(struct moheap *heap);

/**
 * moheap_debugmallocstats() - a table of what each type uses: sys._debugmallocstats()
 * @heap: the heap
 * @file: where it is printed
 *
 * For each type that has pools: objects, pools and how many of those are empty, how full the others
 * are, and memory of the kernel and of payload. For people: its form may change.
 *
 * Return: 0; -EIO where it could not be written; or another negative errno.
 */
MOHEAP_API
int moheap_debugmallocstats(struct moheap *heap, FILE *file);

/* ---- Callbacks ---- */

/**
 * enum moheap_gc_phase - what a callback is called for
 * @MOHEAP_GC_START: a collection begins
 * @MOHEAP_GC_STOP: a collection has ended
 */
enum moheap_gc_phase {
	MOHEAP_GC_START = 0,
	MOHEAP_GC_STOP = 1,
};

/**
 * struct moheap_gc_info - what a callback is told
 * @size: sizeof(struct moheap_gc_info)
 * @generation: of the collection; of the last where it is several
 * @count: how many collections this is about. What happens between two calls of moheap_dispatch()
 *	is told together, and figures are sums
 * @collected: objects found unreachable and freed; 0 at the start
 * @uncollectable: objects found unreachable and saved (moheap_set_debug()); 0 at the start
 * @finalizing: objects found unreachable, and to be finalized first; 0 at the start
 */
struct moheap_gc_info {
	__u32 size;
	__u32 generation;
	__u64 count;
	__u64 collected;
	__u64 uncollectable;
	__u64 finalizing;
};

/* @info is good until the callback returns. @data is what was given with the callback. */
typedef void (*moheap_gc_callback_t)(struct moheap *heap, enum moheap_gc_phase phase,
				     const struct moheap_gc_info *info, void *data);

/**
 * moheap_gc_callback_add() - have a function called for collections: gc.callbacks.append()
 * @heap: the heap
 * @callback: called by whoever dispatches (moheap-events.h), when a collection began, and when it
 *	ended: whichever process asked for it, or the collector by itself
 * @data: for @callback
 *
 * Callbacks are called in the order in which they were added; one that was added twice, twice.
 *
 * Return: 0; -ENOMEM.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_gc_callback_add(struct moheap *heap, moheap_gc_callback_t callback, void *data);

/**
 * moheap_gc_callback_remove() - and no longer: gc.callbacks.remove()
 * @heap: the heap
 * @callback: as it was added; where that was more than once, the first
 * @data: likewise
 *
 * Waits for another thread that is in it: when this returns, it is not called any more.
 *
 * Return: 0; -ENOENT: it was not added.
 */
MOHEAP_API
int moheap_gc_callback_remove(struct moheap *heap, moheap_gc_callback_t callback, void *data);

#ifdef __cplusplus
}
#endif

#endif /* MOHEAP_GC_H */
