/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * libmoheap: what the kernel tells of a heap, and the functions that are called then.
 *
 * The kernel tells a client when an object dies that it watches, when one is to be finalized, and
 * when a collection begins and ends. It does so in events, which wait until somebody *dispatches*
 * them: takes them and calls what is registered for them. Python calls back wherever it happens to
 * be; here a program chooses where:
 *
 * - in a thread of the library: moheap_start_dispatcher();
 * - in a loop of its own: moheap_fd() is readable when there are events, moheap_dispatch() takes
 *   them;
 * - whenever it likes: moheap_dispatch(), or moheap_dispatch_wait().
 *
 * Callbacks
 * ---------
 * They are called one after the other, in the order in which things happened, however many threads
 * dispatch. The library holds no lock meanwhile: a callback may call everything but moheap_close(),
 * which says -EDEADLK, as does dispatching what comes next. While one runs, other threads that
 * dispatch wait, and so do those that give up what the callback is about: a callback must not wait
 * for one of them.
 *
 * The library makes the file of a heap non-blocking when it first takes events from it. A program
 * that dispatches does not read events itself: each is read once.
 *
 * Finalizers
 * ----------
 * What Python's __del__ is for a class, moheap_set_finalizer() is for a type. When nothing refers
 * to an object of that type any more, or the collector finds it unreachable, the finalizer is
 * called with it, once. The object is whole then, with all that it refers to, and is held until
 * the finalizer returns: to bring it back, take a reference (moheap_incref()) or store it
 * somewhere. Otherwise it goes, and when it was brought back it goes like any other the next time.
 *
 * As with PEP 442, all of a cycle is finalized before anything of it is cut. An object that dies
 * by its count is finalized before what only it refers to, which is told of by the next
 * moheap_dispatch(). Weak references to garbage that the collector found are told before any of it
 * is finalized, even if it is brought back; those to a single object whose count fell to zero when
 * it is gone for good.
 *
 * Objects of these types are not taken from a stock: moheap_new() of one is a system call;
 * moheap_new_many() takes one for many.
 *
 * An object is given to the process that made it, if that has a finalizer for any type, else to
 * another that has. Where the process it came to has none for its type, it goes as if there were
 * no finalizer; so whoever makes objects of a type, or outlives who did, sets the same. Nobody can
 * keep garbage by not dispatching: what is not taken within finalize_ms (moheap_tune()) goes
 * unfinalized, and what a process was to finalize when it died goes to another that has
 * finalizers, or goes unfinalized. Neither moheap_close() nor the end of a process calls
 * finalizers: a program that wants them called gives up what it has, and dispatches, before.
 *
 * fork()
 * ------
 * In a child with a client of its own (MOHEAP_FORK_CLONE) everything is registered as in its
 * parent, and each of the two is told for itself. The child has to call moheap_dispatch() once, or
 * start a dispatcher of its own, before it hears of deaths; that also tells it of those that its
 * parent had not been told of at the fork. Objects that the parent has yet to finalize stay the
 * parent's. A child with MOHEAP_FORK_SHARE shares events with its parent: each goes to one of the
 * two.
 */
#ifndef MOHEAP_EVENTS_H
#define MOHEAP_EVENTS_H

#include <moheap.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Dispatching ---- */

/**
 * moheap_dispatch() - take the events that are there, and call what is registered for them
 * @heap: the heap
 *
 * Sends off what is queued, first and last (moheap_flush()). It does not wait for events, but for
 * another thread that dispatches just now: when it returns, everything is done with that happened
 * before. What the callbacks bring about is left for the next time.
 *
 * Return: how many events were handled; -EDEADLK: called from a callback.
 */
MOHEAP_API
int moheap_dispatch(struct moheap *heap);

/**
 * moheap_dispatch_wait() - as moheap_dispatch(), but wait for the first event
 * @heap: the heap
 * @timeout_ms: how long at most; less than 0: for ever
 *
 * Return: how many events were handled, 0 when time is up; -EDEADLK: called from a callback;
 * -EINTR: a signal came while it waited.
 */
MOHEAP_API
int moheap_dispatch_wait(struct moheap *heap, int timeout_ms);

/**
 * moheap_start_dispatcher() - have a thread of the library dispatch events
 * @heap: the heap
 *
 * All signals are blocked in it. It does not keep the process from ending; moheap_close() ends it,
 * and a child of fork() has none.
 *
 * Return: 0; -EALREADY: there is one; -EAGAIN, -EMFILE, -ENFILE, -ENOMEM: there can be none.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_start_dispatcher(struct moheap *heap);

/**
 * moheap_stop_dispatcher() - end that thread
 * @heap: the heap
 *
 * Waits for the callback that it is in. Events that are there then stay.
 *
 * Return: 0, also where there is none; -EDEADLK: called from that thread.
 */
MOHEAP_API
int moheap_stop_dispatcher(struct moheap *heap);

/* ---- Finalizers ---- */

/*
 * @ref is borrowed: it is held until the finalizer returns. @data is what was given with the
 * finalizer.
 */
typedef void (*moheap_finalizer_t)(struct moheap *heap, moheap_ref_t ref, void *data);

/**
 * moheap_set_finalizer() - have a function called with each object of a type before it goes
 * @heap: the heap
 * @type: id of a type with MOHEAP_TYPE_FINALIZE
 * @finalizer: called by whoever dispatches, in place of what was set before; NULL: no function
 * @data: for @finalizer
 *
 * Sends off what is queued: @finalizer is not called with what died before, unless the process had
 * a finalizer of some type already and has yet to dispatch. It waits for another thread that is in
 * what was set before: when this returns, that is not called any more.
 *
 * Return: 0; -ENOENT: no such type; -EINVAL: not one with MOHEAP_TYPE_FINALIZE; -EACCES: the client
 * is read-only; -ENOMEM.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_finalizer(struct moheap *heap, unsigned int type, moheap_finalizer_t finalizer,
			 void *data);

#ifdef __cplusplus
}
#endif

#endif /* MOHEAP_EVENTS_H */
