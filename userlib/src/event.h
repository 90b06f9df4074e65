/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * Events: what event.c offers the other files of the library.
 */
#ifndef MOHEAP_EVENT_H
#define MOHEAP_EVENT_H

#include "internal.h"

enum mh_watcher_state {
	MH_WATCHER_IDLE = 0,
	MH_WATCHER_ARMED,	/* the kernel will tell, or has */
	MH_WATCHER_UNARMED,	/* the kernel has yet to be asked: in a child of fork() */
	MH_WATCHER_DEAD,	/* it need not be asked any more */
};

/**
 * struct mh_watcher - a watch of the library on an object, part of what wants to know of its death
 * @chain: in the table, by @id
 * @list: in the list of all, or of the dead
 * @ref: the object
 * @id: of the kernel's watch; 0: none
 * @state: enum mh_watcher_state
 * @died: called, once, by whoever dispatches events. No lock is held: it may call everything in
 *	the library, and free the watcher
 * @serial: tells it from all others that ever had that id
 *
 * All zero at first but @died. While it is watching, it may be neither moved nor freed.
 */
struct mh_watcher {
	LIST_ENTRY(mh_watcher) chain;
	TAILQ_ENTRY(mh_watcher) list;
	moheap_ref_t ref;
	__u32 id;
	__u32 state;
	void (*died)(struct moheap *heap, struct mh_watcher *watcher);
	__u64 serial;
};

/**
 * struct mh_gc_callback - a function to be called for collections
 * @list: in heap->events.callbacks
 * @serial: those that are older have smaller ones
 * @callback: the program's
 * @data: for @callback
 */
struct mh_gc_callback {
	TAILQ_ENTRY(mh_gc_callback) list;
	__u64 serial;
	moheap_gc_callback_t callback;
	void *data;
};

int mh_watcher_add(struct moheap *heap, struct mh_watcher *watcher, moheap_ref_t ref);
bool mh_watcher_remove(struct moheap *heap, struct mh_watcher *watcher);

int mh_events_listen(struct moheap *heap);
void mh_events_await(struct moheap *heap, const void *what);
void mh_events_init(struct moheap *heap);
void mh_events_free(struct moheap *heap);
void mh_events_forked(struct moheap *heap);
bool mh_events_inside(struct moheap *heap);

#endif /* MOHEAP_EVENT_H */
