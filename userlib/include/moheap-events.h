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

#ifdef __cplusplus
}
#endif

#endif /* MOHEAP_EVENTS_H */
