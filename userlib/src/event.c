// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Events: taken from the kernel, and handed to whom they concern.
 *
 * One thread at a time dispatches (events->busy), so that everything is called in the order in
 * which it happened. It reads some events into events->batch and goes through them; heap->lock is
 * released while something is called.
 *
 * Watchers
 * --------
 * A watcher is found by the id of the kernel's watch, in a table, and only if its serial, the
 * cookie of that watch, is right as well. Whoever takes it out of the table under heap->lock owns
 * it: the dispatcher, to call died(), or mh_watcher_remove(). What the kernel still tells of one
 * that was removed finds nothing. So the kernel need not be asked, and UNWATCH is queued.
 *
 * Finalization
 * ------------
 * When the kernel has told of an object to be finalized, the client holds it. That is a reference
 * of the dispatcher's from the moment it was read, under heap->lock as all that counts: others may
 * take references to the object and give them up before it is finalized, and must not let go of
 * it. The dispatcher gives its own up when the finalizer has returned, or where there is none.
 *
 * Fork
 * ----
 * The watches of a client are not those of its clone. So in a child all watchers are UNARMED, and
 * that is all that fork() costs; whoever comes first, dispatching or with a new watcher, has the
 * kernel watch again. It says of some objects that they are gone: their watchers are DEAD, and are
 * dealt with before any event. That goes for all whose events the parent had not been told of, so
 * none is lost; only one that watched garbage that something to be finalized brought back just then
 * waits for the next death. Watches are made oldest first, for the kernel tells the newest of an
 * object first, and the dead are newest first.
 *
 * What the parent had taken but not come to yet it deals with itself. Of what another thread was
 * about at the fork nothing is done in the child. But the child has the dispatcher's references to
 * objects to be finalized, as it has all others, and gives them up.
 *
 * Nor does the client of a child listen. That is made up for when the child dispatches.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "event.h"
#include "word.h"

/* Watches to ask for at a time. */
#define MH_ARM_SOME	64

/* When to try again what failed, for want of memory or the like. */
#define MH_RETRY_MS	100

void mh_events_init(struct moheap *heap)
{
	struct mh_events *events = &heap->events;

	TAILQ_INIT(&events->all);
	TAILQ_INIT(&events->dead);
	TAILQ_INIT(&events->callbacks);
	events->dispatcher.wake_fd = -1;
}

void mh_events_free(struct moheap *heap)
{
	struct mh_gc_callback *callback;

	while ((callback = TAILQ_FIRST(&heap->events.callbacks))) {
		TAILQ_REMOVE(&heap->events.callbacks, callback, list);
		free(callback);
	}
	free(heap->events.table);
}

/* ---- Whose turn it is ---- */

static bool mh_events_mine(const struct mh_events *events)
{
	return events->busy && pthread_equal(events->owner, pthread_self());
}

/* Wait for a change of busy or current; caller holds heap->lock. */
static void mh_events_sleep(struct moheap *heap)
{
	struct mh_events *events = &heap->events;
	int seen = atomic_load_explicit(&events->turn, memory_order_relaxed);

	events->sleepers++;
	mh_unlock(&heap->lock);
	mh_sleep(&events->turn, seen);
	mh_lock(&heap->lock);
	events->sleepers--;
}

static void mh_events_wake(struct mh_events *events)
{
	if (events->sleepers)
		mh_wake(&events->turn);
}

/* Caller holds heap->lock. */
static int mh_events_enter(struct moheap *heap)
{
	struct mh_events *events = &heap->events;

	if (mh_events_mine(events))
		return -EDEADLK;
	while (events->busy)
		mh_events_sleep(heap);
	events->busy = true;
	events->owner = pthread_self();
	return 0;
}

static void mh_events_leave(struct moheap *heap)
{
	heap->events.busy = false;
	mh_events_wake(&heap->events);
}

/* @what is being told, with heap->lock released, from here to mh_events_told(). */
static void mh_events_tell(struct moheap *heap, const void *what)
{
	heap->events.current = what;
	mh_unlock(&heap->lock);
}

static void mh_events_told(struct moheap *heap)
{
	mh_lock(&heap->lock);
	heap->events.current = NULL;
	mh_events_wake(&heap->events);
}

/*
 * mh_events_await() - wait until @what is not being told any more, unless by this very thread
 *
 * Caller holds heap->lock, which is released meanwhile.
 */
void mh_events_await(struct moheap *heap, const void *what)
{
	while (heap->events.current == what && !mh_events_mine(&heap->events))
		mh_events_sleep(heap);
}

/*
 * mh_events_inside() - is this thread in a callback?
 */
bool mh_events_inside(struct moheap *heap)
{
	bool inside;

	mh_lock(&heap->lock);
	inside = mh_events_mine(&heap->events);
	mh_unlock(&heap->lock);
	return inside;
}

/* ---- What to listen for; caller holds heap->lock ---- */

static __u32 mh_events_wanted(const struct mh_events *events)
{
	return (events->finalizers ? MOHEAP_LISTEN_FINALIZE : 0) |
	       (TAILQ_EMPTY(&events->callbacks) ? 0 : MOHEAP_LISTEN_COLLECT);
}

/*
 * mh_events_listen() - have the kernel tell what is wanted now
 *
 * Return: 0, -EACCES: the client is read-only; -ENOMEM, -ENOTCONN.
 */
int mh_events_listen(struct moheap *heap)
{
	struct mh_events *events = &heap->events;
	struct moheap_listen listen = {
		.size = sizeof(listen),
		.events = mh_events_wanted(events),
	};
	int err;

	if (listen.events == events->listening)
		return 0;
	err = mh_ioctl(heap, MOHEAP_IOC_LISTEN, &listen);
	if (!err)
		events->listening = listen.events;
	return err;
}

/* ---- Watchers; caller holds heap->lock ---- */

static struct mh_watcher_chain *mh_watchers_at(struct mh_events *events, __u32 id)
{
	return &events->table[id & (events->size - 1)];
}

static void mh_watcher_link(struct mh_events *events, struct mh_watcher *watcher, __u32 id)
{
	watcher->id = id;
	watcher->state = MH_WATCHER_ARMED;
	LIST_INSERT_HEAD(mh_watchers_at(events, id), watcher, chain);
	events->armed++;
}

/* Nobody finds it any more. */
static void mh_watcher_unlink(struct mh_events *events, struct mh_watcher *watcher)
{
	if (watcher->state == MH_WATCHER_DEAD) {
		TAILQ_REMOVE(&events->dead, watcher, list);
	} else {
		TAILQ_REMOVE(&events->all, watcher, list);
		if (watcher->state == MH_WATCHER_UNARMED) {
			events->unarmed--;
		} else {
			LIST_REMOVE(watcher, chain);
			events->armed--;
		}
	}
	watcher->id = 0;
	watcher->state = MH_WATCHER_IDLE;
}

static struct mh_watcher *mh_watcher_find(struct mh_events *events,
					  const struct moheap_event *event)
{
	struct mh_watcher *watcher;

	if (!events->size)
		return NULL;
	LIST_FOREACH(watcher, mh_watchers_at(events, event->index), chain)
		if (watcher->id == event->index && watcher->serial == event->cookie)
			return watcher;
	return NULL;
}

static int mh_watchers_make_room(struct mh_events *events, size_t need)
{
	struct mh_watcher_chain *old = events->table;
	struct mh_watcher *watcher;
	size_t size = mh_max(events->size, 16);

	while (size < need)
		size *= 2;
	if (size == events->size)
		return 0;
	events->table = calloc(size, sizeof(*events->table));
	if (!events->table) {
		events->table = old;
		return -ENOMEM;
	}
	free(old);
	events->size = size;
	TAILQ_FOREACH(watcher, &events->all, list)
		if (watcher->state == MH_WATCHER_ARMED)
			LIST_INSERT_HEAD(mh_watchers_at(events, watcher->id), watcher, chain);
	return 0;
}

static void mh_watch_op(struct moheap_op *op, const struct mh_watcher *watcher)
{
	*op = (struct moheap_op){
		.code = MOHEAP_OP_WATCH,
		.ref = watcher->ref,
		.a = watcher->serial,
	};
}

/* What came of the WATCH of a watcher that is UNARMED. */
static void mh_watcher_armed(struct mh_events *events, struct mh_watcher *watcher,
			     const struct moheap_op *op)
{
	if (op->error && op->error != -ESTALE)
		return;
	events->unarmed--;
	if (!op->error) {
		mh_watcher_link(events, watcher, op->b);
		return;
	}
	TAILQ_REMOVE(&events->all, watcher, list);
	watcher->state = MH_WATCHER_DEAD;
	TAILQ_INSERT_HEAD(&events->dead, watcher, list);
}

/* Some watchers from @watcher on. Return where to go on, or NULL. */
static struct mh_watcher *mh_watchers_arm_some(struct moheap *heap, struct mh_watcher *watcher)
{
	struct mh_watcher *some[MH_ARM_SOME];
	struct moheap_op ops[MH_ARM_SOME];
	unsigned int i, n = 0;

	for (; watcher && n < MH_ARM_SOME; watcher = TAILQ_NEXT(watcher, list)) {
		if (watcher->state != MH_WATCHER_UNARMED)
			continue;
		mh_watch_op(&ops[n], watcher);
		some[n++] = watcher;
	}
	if (n)
		mh_queue_run_many(heap, ops, n);
	for (i = 0; i < n; i++)
		mh_watcher_armed(&heap->events, some[i], &ops[i]);
	return watcher;
}

/* After a fork: have the kernel watch again. What fails is tried again the next time. */
static void mh_watchers_arm(struct moheap *heap)
{
	struct mh_events *events = &heap->events;
	struct mh_watcher *watcher = TAILQ_FIRST(&events->all);

	if (mh_watchers_make_room(events, events->armed + events->unarmed))
		return;
	while (events->unarmed && watcher)
		watcher = mh_watchers_arm_some(heap, watcher);
}

static int mh_watcher_ask(struct moheap *heap, struct mh_watcher *watcher)
{
	struct mh_events *events = &heap->events;
	struct moheap_op op;
	int err;

	if (events->unarmed)
		mh_watchers_arm(heap);
	err = mh_watchers_make_room(events, events->armed + events->unarmed + 1);
	if (!err)
		err = mh_name_weak(heap, watcher->ref);
	if (err)
		return err;
	watcher->serial = ++events->serial;
	mh_watch_op(&op, watcher);
	err = mh_queue_run(heap, &op);
	if (err)
		return err;
	mh_watcher_link(events, watcher, op.b);
	TAILQ_INSERT_TAIL(&events->all, watcher, list);
	return 0;
}

/*
 * mh_watcher_add() - watch an object; no lock may be held
 *
 * @watcher watches nothing now. It is safe to call this from its own died().
 *
 * Return: 0, -ESTALE, -EINVAL, -EOVERFLOW, -ENOSPC, -ENOMEM, -ENOTCONN.
 */
int mh_watcher_add(struct moheap *heap, struct mh_watcher *watcher, moheap_ref_t ref)
{
	int err;

	mh_lock(&heap->lock);
	watcher->ref = ref;
	err = mh_watcher_ask(heap, watcher);
	mh_unlock(&heap->lock);
	return err;
}

/*
 * mh_watcher_remove() - watch no longer; no lock may be held
 *
 * When this returns, died() does not run and will not, in any thread, unless it is died() of this
 * very watcher that calls. So the watcher may be freed. Another thread that is in died() is waited
 * for: the caller must hold nothing that died() waits for.
 *
 * Return: true if died() was not called for what was watched; false if it was, or nothing was
 * watched.
 */
bool mh_watcher_remove(struct moheap *heap, struct mh_watcher *watcher)
{
	struct mh_events *events = &heap->events;
	struct moheap_op op = { .code = MOHEAP_OP_UNWATCH };
	bool watching;

	mh_lock(&heap->lock);
	watching = watcher->state != MH_WATCHER_IDLE;
	if (watching) {
		op.b = watcher->id;
		mh_watcher_unlink(events, watcher);
		/* Its error would say that the event was read, which makes no difference. */
		if (op.b)
			mh_queue_add(heap, &op);
	}
	mh_events_await(heap, watcher);
	mh_unlock(&heap->lock);
	return watching;
}

/* ---- Dispatching; caller holds heap->lock, and it is its turn ---- */

/* It may be gone when this returns. */
static void mh_watcher_tell(struct moheap *heap, struct mh_watcher *watcher)
{
	mh_watcher_unlink(&heap->events, watcher);
	mh_events_tell(heap, watcher);
	watcher->died(heap, watcher);
	mh_events_told(heap);
}

/* The dispatcher's reference to the object ends here. */
static void mh_event_finalize(struct moheap *heap, moheap_ref_t ref, unsigned int id)
{
	const struct mh_type *type = id < heap->ntypes ? heap->types[id] : NULL;
	moheap_finalizer_t finalizer = type ? type->finalizer : NULL;
	void *data;

	if (finalizer) {
		data = type->finalizer_data;
		heap->events.finalizing = ref;
		mh_events_tell(heap, type);
		finalizer(heap, ref, data);
		mh_events_told(heap);
		heap->events.finalizing = 0;
	}
	mh_hold_lose(heap, ref, NULL);
}

/* The first that is younger than @serial, and not younger than @last. */
static struct mh_gc_callback *mh_gc_callback_after(const struct mh_events *events, __u64 serial,
						   __u64 last)
{
	struct mh_gc_callback *callback;

	TAILQ_FOREACH(callback, &events->callbacks, list)
		if (callback->serial > serial && callback->serial <= last)
			return callback;
	return NULL;
}

/* All callbacks there are now; they may add and remove some, themselves included. */
static bool mh_event_collection(struct moheap *heap, const struct moheap_event *event)
{
	enum moheap_gc_phase phase = event->type == MOHEAP_EVENT_COLLECT_BEGIN ? MOHEAP_GC_START :
										  MOHEAP_GC_STOP;
	const struct moheap_gc_info info = {
		.size = sizeof(info),
		.generation = event->index,
		.count = event->count,
		.collected = event->collected,
		.uncollectable = event->uncollectable,
		.finalizing = event->finalizing,
	};
	struct mh_events *events = &heap->events;
	struct mh_gc_callback *next, copy = { .serial = 0 };
	__u64 last = events->serial;

	while ((next = mh_gc_callback_after(events, copy.serial, last))) {
		copy = *next;
		mh_events_tell(heap, next);
		copy.callback(heap, phase, &info, copy.data);
		mh_events_told(heap);
	}
	return copy.serial;
}

/* Return whether anything was done. */
static bool mh_event_handle(struct moheap *heap, const struct moheap_event *event)
{
	struct mh_watcher *watcher;

	switch (event->type) {
	case MOHEAP_EVENT_WATCH:
		watcher = mh_watcher_find(&heap->events, event);
		if (watcher)
			mh_watcher_tell(heap, watcher);
		return watcher;
	case MOHEAP_EVENT_FINALIZE:
		mh_event_finalize(heap, event->ref, event->index);
		return true;
	case MOHEAP_EVENT_COLLECT_BEGIN:
	case MOHEAP_EVENT_COLLECT_END:
		return mh_event_collection(heap, event);
	default:
		return false;
	}
}

static int mh_events_handle_dead(struct moheap *heap)
{
	struct mh_events *events = &heap->events;
	int n = 0;

	while (!TAILQ_EMPTY(&events->dead)) {
		mh_watcher_tell(heap, TAILQ_FIRST(&events->dead));
		n++;
	}
	return n;
}

static int mh_events_handle_batch(struct moheap *heap)
{
	struct mh_events *events = &heap->events;
	struct moheap_event event;
	int n = 0;

	/* In a child that a callback forked the rest is not there any more. */
	while (events->next < events->n) {
		event = events->batch[events->next++];
		n += mh_event_handle(heap, &event);
	}
	return n;
}

/* Whoever reads here does not wait, whatever else the file is used for. */
static void mh_events_open(struct moheap *heap)
{
	struct mh_events *events = &heap->events;
	int flags = fcntl(heap->fd, F_GETFL);

	if (!(flags & O_NONBLOCK))
		fcntl(heap->fd, F_SETFL, flags | O_NONBLOCK);
	events->open = true;
}

/* The client holds what it was told to finalize. */
static void mh_event_gained(struct moheap *heap, struct moheap_event *event)
{
	if (event->type != MOHEAP_EVENT_FINALIZE)
		return;
	/* Nobody is told of what nobody ever had. */
	if (mh_word_get(heap, event->ref) == mh_word(event->ref, MH_UNMADE))
		event->index = UINT32_MAX;
	mh_hold_gained(heap, event->ref);
}

/* Return how many events there are now, or a negative errno. */
static int mh_events_read(struct moheap *heap)
{
	struct mh_events *events = &heap->events;
	ssize_t got;

	mh_queue_send(heap);
	if (heap->fd < 0)
		return -ENOTCONN;
	if (!events->open)
		mh_events_open(heap);
	do {
		got = read(heap->fd, events->batch, sizeof(events->batch));
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	events->n = got / sizeof(events->batch[0]);
	for (events->next = 0; events->next < events->n; events->next++)
		mh_event_gained(heap, &events->batch[events->next]);
	events->next = 0;
	return events->n;
}

static int mh_events_dispatch(struct moheap *heap)
{
	int n, got;

	/* In a child of fork(). What fails is tried again. */
	mh_events_listen(heap);
	if (heap->events.unarmed)
		mh_watchers_arm(heap);
	n = mh_events_handle_dead(heap);
	do {
		got = mh_events_read(heap);
		if (got > 0)
			n += mh_events_handle_batch(heap);
	} while (got == MH_EVENTS);
	mh_queue_send(heap);
	return got < 0 && !n ? got : n;
}

int moheap_dispatch(struct moheap *heap)
{
	int ret;

	mh_lock(&heap->lock);
	ret = mh_events_enter(heap);
	if (!ret) {
		ret = mh_events_dispatch(heap);
		mh_events_leave(heap);
	}
	mh_unlock(&heap->lock);
	return ret;
}

/* ---- Waiting ---- */

static __s64 mh_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Wait for events, for something from @wake_fd (-1: nothing), or @timeout_ms (-1: for ever). */
static int mh_events_poll(struct moheap *heap, int wake_fd, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = heap->fd, .events = POLLIN },
		{ .fd = wake_fd, .events = POLLIN },
	};
	bool retry;

	mh_lock(&heap->lock);
	retry = heap->events.unarmed || mh_events_wanted(&heap->events) != heap->events.listening;
	mh_unlock(&heap->lock);
	if (retry && (timeout_ms < 0 || timeout_ms > MH_RETRY_MS))
		timeout_ms = MH_RETRY_MS;
	return poll(fds, MH_ARRAY_SIZE(fds), timeout_ms) < 0 ? -errno : 0;
}

int moheap_dispatch_wait(struct moheap *heap, int timeout_ms)
{
	__s64 end = mh_now_ms() + timeout_ms;
	__s64 left = -1;
	int ret;

	for (;;) {
		ret = moheap_dispatch(heap);
		if (ret)
			return ret;
		if (timeout_ms >= 0)
			left = end - mh_now_ms();
		if (timeout_ms >= 0 && left <= 0)
			return 0;
		ret = mh_events_poll(heap, -1, left);
		if (ret)
			return ret;
	}
}

/* ---- The library's own thread ---- */

/* Is this thread to go on? Not if it is the copy of one that forked. */
static bool mh_dispatcher_wanted(struct moheap *heap)
{
	struct mh_dispatcher *dispatcher = &heap->events.dispatcher;
	bool wanted;

	mh_lock(&heap->lock);
	wanted = dispatcher->there && !dispatcher->stop &&
		 pthread_equal(dispatcher->thread, pthread_self());
	mh_unlock(&heap->lock);
	return wanted;
}

static void *mh_dispatcher_run(void *arg)
{
	struct moheap *heap = arg;
	int wake_fd = heap->events.dispatcher.wake_fd;
	struct pollfd wake = { .fd = wake_fd, .events = POLLIN };

	while (mh_dispatcher_wanted(heap)) {
		if (moheap_dispatch(heap) < 0)
			poll(&wake, 1, MH_RETRY_MS);
		else if (mh_dispatcher_wanted(heap))
			mh_events_poll(heap, wake_fd, -1);
	}
	return NULL;
}

/* Signals are for the program's own threads. */
static int mh_dispatcher_create(struct moheap *heap)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&heap->events.dispatcher.thread, NULL, mh_dispatcher_run, heap);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static int mh_dispatcher_start(struct moheap *heap)
{
	struct mh_dispatcher *dispatcher = &heap->events.dispatcher;
	int err;

	if (heap->fd < 0)
		return -ENOTCONN;
	if (dispatcher->there)
		return -EALREADY;
	dispatcher->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (dispatcher->wake_fd < 0)
		return -errno;
	dispatcher->stop = false;
	err = mh_dispatcher_create(heap);
	if (err) {
		close(dispatcher->wake_fd);
		dispatcher->wake_fd = -1;
	}
	dispatcher->there = !err;
	return err;
}

int moheap_start_dispatcher(struct moheap *heap)
{
	int err;

	mh_lock(&heap->lock);
	err = mh_dispatcher_start(heap);
	mh_unlock(&heap->lock);
	return err;
}

/* Have the thread end. Return true if the caller is to join it. Caller holds heap->lock. */
static bool mh_dispatcher_end(struct mh_dispatcher *dispatcher)
{
	__u64 one = 1;

	if (!dispatcher->there || dispatcher->stop)
		return false;
	dispatcher->stop = true;
	/* The first write to an eventfd cannot fail. */
	return write(dispatcher->wake_fd, &one, sizeof(one)) == sizeof(one);
}

int moheap_stop_dispatcher(struct moheap *heap)
{
	struct mh_dispatcher *dispatcher = &heap->events.dispatcher;
	bool join;

	mh_lock(&heap->lock);
	if (dispatcher->there && pthread_equal(dispatcher->thread, pthread_self())) {
		mh_unlock(&heap->lock);
		return -EDEADLK;
	}
	join = mh_dispatcher_end(dispatcher);
	mh_unlock(&heap->lock);
	if (!join)
		return 0;
	pthread_join(dispatcher->thread, NULL);
	mh_lock(&heap->lock);
	close(dispatcher->wake_fd);
	dispatcher->wake_fd = -1;
	dispatcher->there = false;
	mh_unlock(&heap->lock);
	return 0;
}

/* ---- Fork ---- */

/* All watchers, in a child with a client of its own. */
static void mh_watchers_disarm(struct mh_events *events)
{
	struct mh_watcher *watcher;

	TAILQ_FOREACH(watcher, &events->all, list) {
		watcher->id = 0;
		watcher->state = MH_WATCHER_UNARMED;
	}
	events->unarmed += events->armed;
	events->armed = 0;
	if (events->size)
		memset(events->table, 0, events->size * sizeof(*events->table));
}

/* What is the parent's to finalize, in a child with a client of its own. */
static void mh_finalizing_lose(struct moheap *heap)
{
	struct mh_events *events = &heap->events;

	for (; events->next < events->n; events->next++)
		if (events->batch[events->next].type == MOHEAP_EVENT_FINALIZE)
			mh_hold_lose(heap, events->batch[events->next].ref, NULL);
	if (events->finalizing && !mh_events_mine(events))
		mh_hold_lose(heap, events->finalizing, NULL);
}

/*
 * mh_events_forked() - in a child of fork(), which has this thread alone; it holds heap->lock
 *
 * It has the client it is to have, or none. Only if it shares that of its parent are the watches
 * its own.
 */
void mh_events_forked(struct moheap *heap)
{
	struct mh_events *events = &heap->events;

	if (heap->fork == MOHEAP_FORK_CLONE && heap->fd >= 0)
		mh_finalizing_lose(heap);
	events->next = 0;
	events->n = 0;
	events->sleepers = 0;
	if (!mh_events_mine(events)) {
		events->busy = false;
		events->current = NULL;
		events->finalizing = 0;
	}
	if (events->dispatcher.there)
		close(events->dispatcher.wake_fd);
	events->dispatcher.wake_fd = -1;
	events->dispatcher.there = false;
	if (heap->fork == MOHEAP_FORK_SHARE)
		return;
	events->open = false;
	events->listening = 0;
	mh_watchers_disarm(events);
}
