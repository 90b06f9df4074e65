// SPDX-License-Identifier: GPL-2.0
/*
 * Events: what clients asked to be told, on its way to them.
 *
 * An event (struct mh_event) is part of what it is about, so that nothing is allocated when it
 * happens, and a client that does not read costs no more than what it asked for. It is QUEUED on
 * client->events, in the order in which things happen; a reader takes some off (READING), copies
 * them out, and then they are told (IDLE again) or go back to where they were, if the caller's
 * memory turned out not to be there, or the kernel is short of it.
 *
 * Of collections there may be any number, so they have one event of each type for a client, and
 * those that the client has not seen yet add up there. Every end moves behind the begin that it
 * belongs to. While a reader has such an event in hand, what happens is noted down in it, for it
 * to be queued again afterwards.
 *
 * Who waits is woken when the first event is queued; nobody goes to sleep while there is one.
 *
 * Locks: heap->event_lock, a spinlock, for the events of all clients: their states, lists and
 * figures. client->read_lock, a mutex: one thread takes events off at a time, so that those that
 * go back keep their order. It is held over accesses to the caller's memory, and outside the gate.
 */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "internal.h"

/* Events in the hands of a reader at a time. */
#define MH_EVENTS_STEP	8

static struct mh_told *mh_told(struct mh_event *event)
{
	return container_of(event, struct mh_told, event);
}

static struct mh_final *mh_final(struct mh_event *event)
{
	return container_of(event, struct mh_final, event);
}

static struct mh_watch *mh_watch(struct mh_event *event)
{
	return container_of(event, struct mh_watch, event);
}

/**
 * mh_events_init() - a new client has no events
 * @client: the client
 */
void mh_events_init(struct mh_client *client)
{
	int i;

	INIT_LIST_HEAD(&client->events);
	INIT_LIST_HEAD(&client->listener);
	init_waitqueue_head(&client->reader);
	mutex_init(&client->read_lock);
	xa_init_flags(&client->watches, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	for (i = 0; i < MH_TOLD; i++)
		client->told[i].event.kind = MH_EVENT_COLLECT;
}

/**
 * mh_events_close() - the client is going: no event comes any more
 * @client: the client; nobody else uses it
 */
void mh_events_close(struct mh_client *client)
{
	struct mh_heap *heap = client->heap;

	spin_lock(&heap->event_lock);
	list_del_init(&client->listener);
	spin_unlock(&heap->event_lock);
	mh_watches_close(client);
	mh_final_close(client);
}

/**
 * mh_event_queue() - something happened that a client is to be told of
 * @client: the client
 * @event: the event, which nobody else has; caller holds heap->event_lock
 */
void mh_event_queue(struct mh_client *client, struct mh_event *event)
{
	bool first = list_empty(&client->events);

	lockdep_assert_held(&client->heap->event_lock);
	event->state = MH_EVENT_QUEUED;
	list_add_tail(&event->list, &client->events);
	if (first)
		wake_up(&client->reader);
}

/* ---- Collections ---- */

static void mh_told_add(struct mh_told *told, u32 generation, u64 count,
			const struct mh_findings *found)
{
	told->generation = generation;
	told->count += count;
	told->found.freed += found->freed;
	told->found.saved += found->saved;
	told->found.staged += found->staged;
}

static void mh_tell(struct mh_heap *heap, int which, u32 generation,
		    const struct mh_findings *found)
{
	struct mh_client *client;
	struct mh_told *told;

	/* Who begins to listen just now has missed this one. */
	if (list_empty(&heap->listeners))
		return;
	spin_lock(&heap->event_lock);
	list_for_each_entry(client, &heap->listeners, listener) {
		told = &client->told[which];
		mh_told_add(told, generation, 1, found);
		if (told->event.state == MH_EVENT_IDLE)
			mh_event_queue(client, &told->event);
		else if (told->event.state == MH_EVENT_QUEUED)
			list_move_tail(&told->event.list, &client->events);
	}
	spin_unlock(&heap->event_lock);
}

/**
 * mh_tell_begin() - a collection begins
 * @heap: the heap
 * @generation: its generation
 */
void mh_tell_begin(struct mh_heap *heap, u32 generation)
{
	mh_tell(heap, MH_TOLD_BEGIN, generation, &(const struct mh_findings){ });
}

/**
 * mh_tell_end() - a collection has ended
 * @heap: the heap; caller holds heap->collect_lock
 * @generation: its generation
 * @found: by it
 */
void mh_tell_end(struct mh_heap *heap, u32 generation, const struct mh_findings *found)
{
	struct moheap_generation *stat = &heap->collect->stat.generation[generation];

	lockdep_assert_held(&heap->collect_lock);
	stat->collections++;
	stat->collected += found->freed;
	stat->uncollectable += found->saved;
	stat->finalizing += found->staged;
	mh_tell(heap, MH_TOLD_END, generation, found);
}

/**
 * mh_events_listen() - which events of the heap a client is to get
 * @client: the client; no lock may be held
 * @events: MOHEAP_LISTEN_*
 *
 * Return: 0, -EINVAL, -EACCES if a client that may change nothing wants to finalize, -ENOMEM.
 */
int mh_events_listen(struct mh_client *client, u32 events)
{
	struct mh_heap *heap = client->heap;

	if (events & ~(MOHEAP_LISTEN_COLLECT | MOHEAP_LISTEN_FINALIZE))
		return -EINVAL;
	if (events & MOHEAP_LISTEN_FINALIZE) {
		if (client->readonly)
			return -EACCES;
		if (xa_err(xa_store(&heap->finalizers, client->id, client, MH_GFP)))
			return -ENOMEM;
	}
	spin_lock(&heap->event_lock);
	list_del_init(&client->listener);
	if (events & MOHEAP_LISTEN_COLLECT)
		list_add_tail(&client->listener, &heap->listeners);
	if (!(events & MOHEAP_LISTEN_FINALIZE))
		xa_erase(&heap->finalizers, client->id);
	spin_unlock(&heap->event_lock);
	return 0;
}

/* ---- Reading ---- */

/* Take what is to be told out of an event that the reader has in hand. */
static void mh_told_record(struct mh_client *client, struct mh_told *told,
			   struct moheap_event *record)
{
	*record = (struct moheap_event){
		.type = told == &client->told[MH_TOLD_BEGIN] ? MOHEAP_EVENT_COLLECT_BEGIN :
							       MOHEAP_EVENT_COLLECT_END,
		.index = told->generation,
		.count = told->count,
		.collected = told->found.freed,
		.uncollectable = told->found.saved,
		.finalizing = told->found.staged,
	};
	told->count = 0;
	told->found = (struct mh_findings){ };
}

static void mh_event_record(struct mh_client *client, struct mh_event *event,
			    struct moheap_event *record)
{
	switch (event->kind) {
	case MH_EVENT_COLLECT:
		mh_told_record(client, mh_told(event), record);
		break;
	case MH_EVENT_WATCH:
		*record = (struct moheap_event){
			.type = MOHEAP_EVENT_WATCH,
			.index = event->id,
			.ref = mh_watch(event)->ref,
			.cookie = mh_watch(event)->cookie,
			.count = 1,
		};
		break;
	case MH_EVENT_FINAL:
		mh_final_taken(client->heap, mh_final(event));
		*record = (struct moheap_event){
			.type = MOHEAP_EVENT_FINALIZE,
			.ref = mh_final(event)->ref,
			.count = 1,
		};
		break;
	}
}

/* Take up to @n events off the queue. Return how many. */
static u32 mh_events_take(struct mh_client *client, struct mh_event **hand,
			  struct moheap_event *records, u32 n)
{
	struct mh_event *event;
	u32 i;

	spin_lock(&client->heap->event_lock);
	for (i = 0; i < n; i++) {
		event = list_first_entry_or_null(&client->events, struct mh_event, list);
		if (!event)
			break;
		list_del(&event->list);
		event->state = MH_EVENT_READING;
		mh_event_record(client, event, &records[i]);
		hand[i] = event;
	}
	spin_unlock(&client->heap->event_lock);
	return i;
}

/* The client was told. */
static void mh_event_done(struct mh_client *client, struct mh_event *event)
{
	if (event->kind == MH_EVENT_WATCH) {
		mh_watch_told(mh_watch(event));
		return;
	}
	if (event->kind == MH_EVENT_FINAL) {
		mh_final_told(client, mh_final(event));
		return;
	}
	spin_lock(&client->heap->event_lock);
	event->state = MH_EVENT_IDLE;
	if (mh_told(event)->count)
		mh_event_queue(client, event);
	spin_unlock(&client->heap->event_lock);
}

/* The client could not be told: the event is the first again. */
static void mh_event_return(struct mh_client *client, struct mh_event *event,
			    const struct moheap_event *record)
{
	struct mh_told *told = mh_told(event);

	spin_lock(&client->heap->event_lock);
	if (event->kind == MH_EVENT_COLLECT)
		mh_told_add(told, told->count ? told->generation : record->index,
			    record->count, &(const struct mh_findings){
				record->collected, record->uncollectable,
				record->finalizing });
	else if (event->kind == MH_EVENT_FINAL)
		mh_final_returned(client->heap, mh_final(event));
	event->state = MH_EVENT_QUEUED;
	list_add(&event->list, &client->events);
	spin_unlock(&client->heap->event_lock);
}

static int mh_events_copy(u64 to, const struct moheap_event *records, u32 n, bool user)
{
	size_t bytes = n * sizeof(*records);

	if (user)
		return copy_to_user(u64_to_user_ptr(to), records, bytes) ? -EFAULT : 0;
	memcpy((void *)(uintptr_t)to, records, bytes);
	return 0;
}

/*
 * Get what telling needs besides the record. Return how many events can be told; fewer than @n for
 * want of memory.
 */
static u32 mh_events_ready(struct mh_client *client, struct mh_event **hand,
			   struct moheap_event *records, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		if (hand[i]->kind == MH_EVENT_FINAL &&
		    mh_final_ready(client, mh_final(hand[i]), &records[i].index))
			break;
	return i;
}

/* Return how many events were told, or why none was. */
static int mh_events_step(struct mh_client *client, u64 to, u32 n, bool user)
{
	struct moheap_event records[MH_EVENTS_STEP];
	struct mh_event *hand[MH_EVENTS_STEP];
	u32 taken = mh_events_take(client, hand, records, min_t(u32, n, MH_EVENTS_STEP));
	u32 ready = mh_events_ready(client, hand, records, taken);
	u32 i, told = ready;
	int err = taken && !ready ? -ENOMEM : 0;

	if (mh_events_copy(to, records, ready, user)) {
		err = -EFAULT;
		told = 0;
	}
	for (i = 0; i < told; i++)
		mh_event_done(client, hand[i]);
	/* The last one first, so that the first one is. */
	for (i = taken; i > told; i--)
		mh_event_return(client, hand[i - 1], &records[i - 1]);
	return err ? err : told;
}

/**
 * mh_events_read() - tell a client of events that are there
 * @client: the client; no lock may be held
 * @to: where to: a user pointer if @user
 * @n: room for so many
 * @user: @to is a pointer of a user process
 *
 * Return: how many, 0 if there was none; -EFAULT, -ENOMEM or -EINTR, where it was none for that
 * reason.
 */
int mh_events_read(struct mh_client *client, u64 to, u32 n, bool user)
{
	int done = 0, got = 0;

	if (mutex_lock_interruptible(&client->read_lock))
		return -EINTR;
	while (done < n) {
		got = mh_events_step(client, to + done * sizeof(struct moheap_event), n - done,
				     user);
		if (got <= 0)
			break;
		done += got;
		if (signal_pending(current))
			break;
		cond_resched();
	}
	mutex_unlock(&client->read_lock);
	return done ? done : got;
}
