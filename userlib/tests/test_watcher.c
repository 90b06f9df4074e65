// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * The dispatcher, by what the library itself builds on it: watchers. Linked with libmoheap.a, for
 * programs do not see them.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "../src/event.h"
#include "tap.h"

/* A watcher that takes note of its death. */
struct note {
	struct mh_watcher watcher;
	unsigned int deaths;
	unsigned int turn;	/* of the last death, counted from 1 */
	void (*then)(struct moheap *heap, struct note *note);
	struct note *other;
};

static unsigned int turns;

static void noted(struct moheap *heap, struct mh_watcher *watcher)
{
	struct note *note = (struct note *)watcher;

	note->deaths++;
	note->turn = ++turns;
	if (note->then)
		note->then(heap, note);
}

static void watch(struct moheap *heap, struct note *note, moheap_ref_t ref)
{
	*note = (struct note){ .watcher.died = noted };
	err_is(mh_watcher_add(heap, &note->watcher, ref), 0);
}

static int type_of(struct moheap *heap)
{
	return tap_type(heap, "t", 16, 2);
}

/* ---- One thread ---- */

static void told_once_in_order(void)
{
	struct moheap *heap = tap_heap();
	int type = type_of(heap);
	moheap_ref_t refs[3];
	struct note n[4];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		refs[i] = tap_new(heap, type);
		watch(heap, &n[i], refs[i]);
	}
	watch(heap, &n[3], refs[1]);
	is(moheap_dispatch(heap), 0);
	err_is(moheap_decref(heap, refs[2]), 0);
	err_is(moheap_decref(heap, refs[1]), 0);
	err_is(moheap_decref(heap, refs[0]), 0);
	is(turns, 0);
	is(moheap_dispatch(heap), 4);
	is(moheap_dispatch(heap), 0);
	/* Of an object the newest is told first. */
	is(n[2].turn, 1);
	is(n[3].turn, 2);
	is(n[1].turn, 3);
	is(n[0].turn, 4);
	is(turns, 4);
	ok(!mh_watcher_remove(heap, &n[0].watcher));
}

/* More than are read at a time, and than the table begins with. */
static void many(void)
{
	enum { MANY = 1000 };
	static struct note n[MANY];
	static moheap_ref_t refs[MANY];
	struct moheap *heap = tap_heap();
	int type = type_of(heap);
	unsigned int i;

	err_is(moheap_new_many(heap, type, MANY, refs), 0);
	for (i = 0; i < MANY; i++)
		watch(heap, &n[i], refs[i]);
	for (i = 1; i < MANY; i += 2)
		ok(mh_watcher_remove(heap, &n[i].watcher));
	for (i = 0; i < MANY; i++)
		err_is(moheap_decref(heap, refs[i]), 0);
	is(moheap_dispatch(heap), MANY / 2);
	for (i = 0; i < MANY; i++)
		is(n[i].turn, i % 2 ? 0 : i / 2 + 1);
	is(moheap_dispatch(heap), 0);
}

/* An object that is watched is not the library's to use again. */
static void young_objects(void)
{
	struct moheap *heap = tap_heap();
	int type = type_of(heap);
	moheap_ref_t first, second;
	struct note a, b;

	first = tap_new(heap, type);
	watch(heap, &a, first);
	err_is(moheap_decref(heap, first), 0);
	second = tap_new(heap, type);
	watch(heap, &b, second);
	is(moheap_dispatch(heap), 1);
	is(a.deaths, 1);
	is(b.deaths, 0);
	err_is(mh_watcher_add(heap, &a.watcher, first), -ESTALE);
	err_is(moheap_decref(heap, second), 0);
	is(moheap_dispatch(heap), 1);
	/* One that died young, before anybody heard of it. */
	first = tap_new(heap, type);
	err_is(moheap_decref(heap, first), 0);
	err_is(mh_watcher_add(heap, &a.watcher, first), -ESTALE);
	second = tap_new(heap, type);
	err_is(mh_watcher_add(heap, &a.watcher, first), -ESTALE);
	watch(heap, &b, second);
	err_is(moheap_decref(heap, second), 0);
	is(moheap_dispatch(heap), 1);
	err_is(moheap_flush(heap), 0);
}

static void garbage(void)
{
	struct moheap *heap = tap_heap();
	int type = type_of(heap);
	struct note n;
	moheap_ref_t ref = tap_new(heap, type);

	watch(heap, &n, ref);
	err_is(moheap_store(heap, ref, 0, ref), 0);
	err_is(moheap_decref(heap, ref), 0);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(moheap_dispatch(heap), 1);
}

static void removed(void)
{
	struct moheap *heap = tap_heap();
	int type = type_of(heap);
	struct note alive, dead;
	moheap_ref_t refs[2];

	refs[0] = tap_new(heap, type);
	refs[1] = tap_new(heap, type);
	watch(heap, &alive, refs[0]);
	watch(heap, &dead, refs[1]);
	err_is(moheap_decref(heap, refs[1]), 0);
	err_is(moheap_flush(heap), 0);
	ok(mh_watcher_remove(heap, &alive.watcher));
	ok(!mh_watcher_remove(heap, &alive.watcher));
	ok(mh_watcher_remove(heap, &dead.watcher));
	err_is(moheap_decref(heap, refs[0]), 0);
	is(moheap_dispatch(heap), 0);
	is(turns, 0);
	err_is(moheap_flush(heap), 0);
}

static void errors(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = tap_new(heap, type_of(heap));
	static struct note n[MOHEAP_WATCHES_MAX], more;
	unsigned int i;

	more.watcher.died = noted;
	err_is(mh_watcher_add(heap, &more.watcher, 0), -EINVAL);
	err_is(mh_watcher_add(heap, &more.watcher, ~0ULL), -EINVAL);
	for (i = 0; i < MOHEAP_WATCHES_MAX; i++)
		watch(heap, &n[i], ref);
	err_is(mh_watcher_add(heap, &more.watcher, ref), -EOVERFLOW);
	ok(!mh_watcher_remove(heap, &more.watcher));
	ok(mh_watcher_remove(heap, &n[7].watcher));
	err_is(mh_watcher_add(heap, &more.watcher, ref), 0);
	err_is(moheap_decref(heap, ref), 0);
	is(moheap_dispatch(heap), MOHEAP_WATCHES_MAX);
	is(more.turn, 1);
	is(n[0].turn, MOHEAP_WATCHES_MAX);
	is(n[7].turn, 0);
	err_is(moheap_flush(heap), 0);
}

/* ---- Inside ---- */

static void remove_other(struct moheap *heap, struct note *note)
{
	ok(!mh_watcher_remove(heap, &note->watcher));
	ok(mh_watcher_remove(heap, &note->other->watcher));
}

static void removed_inside(void)
{
	struct moheap *heap = tap_heap();
	int type = type_of(heap);
	moheap_ref_t ref = tap_new(heap, type);
	struct note first, second;

	watch(heap, &second, ref);
	watch(heap, &first, ref);
	first.then = remove_other;
	first.other = &second;
	err_is(moheap_decref(heap, ref), 0);
	is(moheap_dispatch(heap), 1);
	is(first.deaths, 1);
	is(second.deaths, 0);
}

/* Everything but what may not be. */
static void much_inside(struct moheap *heap, struct note *note)
{
	int type = must(moheap_type_find(heap, "t"));
	moheap_ref_t a = tap_new(heap, type);

	err_is(moheap_dispatch(heap), -EDEADLK);
	err_is(moheap_dispatch_wait(heap, -1), -EDEADLK);
	err_is(moheap_close(heap), -EDEADLK);
	err_is(moheap_incref(heap, note->watcher.ref), -ESTALE);
	err_is(moheap_store(heap, a, 0, a), 0);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	if (note->deaths == 1)
		err_is(mh_watcher_add(heap, &note->watcher, a), 0);
	err_is(moheap_decref(heap, a), 0);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	err_is(moheap_flush(heap), 0);
}

static void anything_inside(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = tap_new(heap, type_of(heap));
	struct note n;

	watch(heap, &n, ref);
	n.then = much_inside;
	err_is(moheap_decref(heap, ref), 0);
	is(moheap_dispatch(heap), 1);
	is(n.deaths, 1);
	/* What died inside is left for this. */
	is(moheap_dispatch(heap), 1);
	is(n.deaths, 2);
	is(moheap_dispatch(heap), 0);
}

static void free_it(struct moheap *heap, struct note *note)
{
	free(note);
}

static void freed_inside(void)
{
	struct moheap *heap = tap_heap();
	int type = type_of(heap);
	struct note *note;
	moheap_ref_t ref;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		note = malloc(sizeof(*note));
		ok(note);
		ref = tap_new(heap, type);
		watch(heap, note, ref);
		note->then = free_it;
		err_is(moheap_decref(heap, ref), 0);
	}
	is(moheap_dispatch(heap), 100);
	is(turns, 100);
}

/* ---- Waiting, and threads ---- */

static void on_alarm(int signal)
{
}

static void waiting(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval often = { .it_interval.tv_usec = 10000, .it_value.tv_usec = 10000 };
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = tap_new(heap, type_of(heap));
	struct pollfd fd;
	struct note n;

	watch(heap, &n, ref);
	fd = (struct pollfd){ .fd = moheap_fd(heap), .events = POLLIN };
	is(moheap_dispatch_wait(heap, 0), 0);
	is(moheap_dispatch_wait(heap, 1), 0);
	ok(!sigaction(SIGALRM, &action, NULL));
	ok(!setitimer(ITIMER_REAL, &often, NULL));
	err_is(moheap_dispatch_wait(heap, -1), -EINTR);
	often = (struct itimerval){ 0 };
	ok(!setitimer(ITIMER_REAL, &often, NULL));
	is(poll(&fd, 1, 0), 0);
	err_is(moheap_decref(heap, ref), 0);
	err_is(moheap_flush(heap), 0);
	is(poll(&fd, 1, 0), 1);
	is(moheap_dispatch_wait(heap, -1), 1);
	is(poll(&fd, 1, 0), 0);
}

/* Wait for what another thread does. */
static void until(const unsigned int *what, unsigned int want)
{
	while (__atomic_load_n(what, __ATOMIC_ACQUIRE) != want)
		usleep(1000);
}

static unsigned int inside, go_on;

static void linger(struct moheap *heap, struct note *note)
{
	__atomic_store_n(&inside, 1, __ATOMIC_RELEASE);
	until(&go_on, 1);
	usleep(20000);
	note->deaths++;
}

static void own_thread(void)
{
	struct moheap *heap = tap_heap();
	int type = type_of(heap);
	moheap_ref_t refs[2];
	struct note n[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		refs[i] = tap_new(heap, type);
		watch(heap, &n[i], refs[i]);
	}
	err_is(moheap_stop_dispatcher(heap), 0);
	err_is(moheap_start_dispatcher(heap), 0);
	err_is(moheap_start_dispatcher(heap), -EALREADY);
	err_is(moheap_decref(heap, refs[0]), 0);
	err_is(moheap_flush(heap), 0);
	until(&n[0].deaths, 1);
	err_is(moheap_stop_dispatcher(heap), 0);
	err_is(moheap_decref(heap, refs[1]), 0);
	err_is(moheap_flush(heap), 0);
	usleep(20000);
	is(n[1].deaths, 0);
	/* Once more, and to the end: closing the heap ends it. */
	err_is(moheap_start_dispatcher(heap), 0);
	until(&n[1].deaths, 1);
}

/* An object dies, and the library's thread is in what is called then. */
static struct moheap *heap_with_thread_inside(struct note *note,
					      void (*then)(struct moheap *heap, struct note *note))
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = tap_new(heap, type_of(heap));

	watch(heap, note, ref);
	note->then = then;
	err_is(moheap_start_dispatcher(heap), 0);
	err_is(moheap_decref(heap, ref), 0);
	err_is(moheap_flush(heap), 0);
	until(&inside, 1);
	__atomic_store_n(&go_on, 1, __ATOMIC_RELEASE);
	return heap;
}

/* A thread in died() is waited for. */
static void removal_waits(void)
{
	struct note n;
	struct moheap *heap = heap_with_thread_inside(&n, linger);

	ok(!mh_watcher_remove(heap, &n.watcher));
	is(n.deaths, 2);
}

/* So is one that dispatches. */
static void dispatching_waits(void)
{
	struct note n;
	struct moheap *heap = heap_with_thread_inside(&n, linger);

	is(moheap_dispatch(heap), 0);
	is(n.deaths, 2);
}

static void stop_inside(struct moheap *heap, struct note *note)
{
	err_is(moheap_stop_dispatcher(heap), -EDEADLK);
	err_is(moheap_close(heap), -EDEADLK);
	__atomic_store_n(&inside, 1, __ATOMIC_RELEASE);
}

static void stopped_inside(void)
{
	struct note n;
	struct moheap *heap = heap_with_thread_inside(&n, stop_inside);

	err_is(moheap_stop_dispatcher(heap), 0);
}

/* Some threads watch and let die, some give up, all dispatch. */
struct crowd {
	struct moheap *heap;
	int type;
	unsigned long rounds;
	unsigned int told;
	unsigned int removed;
	unsigned int inside;
};

static struct crowd crowd;

static void one_at_a_time(struct moheap *heap, struct note *note)
{
	is(__atomic_fetch_add(&crowd.inside, 1, __ATOMIC_ACQ_REL), 0);
	crowd.told++;
	is(__atomic_fetch_sub(&crowd.inside, 1, __ATOMIC_ACQ_REL), 1);
}

static void *crowd_run(void *arg)
{
	struct note n[4];
	moheap_ref_t ref;
	unsigned long r;
	unsigned int i;

	for (r = 0; r < crowd.rounds; r++) {
		ref = tap_new(crowd.heap, crowd.type);
		for (i = 0; i < 4; i++) {
			n[i] = (struct note){ .watcher.died = noted, .then = one_at_a_time };
			err_is(mh_watcher_add(crowd.heap, &n[i].watcher, ref), 0);
		}
		err_is(moheap_decref(crowd.heap, ref), 0);
		if (r % 2)
			ok(moheap_dispatch(crowd.heap) >= 0);
		for (i = 0; i < 4; i++) {
			bool mine = mh_watcher_remove(crowd.heap, &n[i].watcher);

			is(n[i].deaths, !mine);
			if (mine)
				__atomic_fetch_add(&crowd.removed, 1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

static void a_crowd(void)
{
	pthread_t threads[4];
	unsigned int i;

	crowd.heap = tap_heap();
	crowd.type = type_of(crowd.heap);
	crowd.rounds = tap_scaled(300);
	err_is(moheap_start_dispatcher(crowd.heap), 0);
	for (i = 0; i < 4; i++)
		ok(!pthread_create(&threads[i], NULL, crowd_run, NULL));
	for (i = 0; i < 4; i++)
		ok(!pthread_join(threads[i], NULL));
	is(crowd.told + crowd.removed, 4 * 4 * crowd.rounds);
	ok(crowd.told);
	err_is(moheap_flush(crowd.heap), 0);
}

/* ---- Processes ---- */

static void deaths_by_others(void)
{
	struct moheap *heap = tap_heap(), *other;
	moheap_ref_t ref = tap_new(heap, type_of(heap));
	struct note n;

	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_incref(other, ref), 0);
	watch(heap, &n, ref);
	err_is(moheap_decref(heap, ref), 0);
	is(moheap_dispatch(heap), 0);
	err_is(moheap_close(other), 0);
	is(moheap_dispatch_wait(heap, -1), 1);
}

struct family {
	struct moheap *heap;
	int type;
	moheap_ref_t refs[4];
	struct note n[5];
};

static void family_make(struct family *f)
{
	unsigned int i;

	f->heap = tap_heap();
	f->type = type_of(f->heap);
	for (i = 0; i < 4; i++) {
		f->refs[i] = tap_new(f->heap, f->type);
		watch(f->heap, &f->n[i], f->refs[i]);
	}
	watch(f->heap, &f->n[4], f->refs[0]);
}

static void child_is_told(void *arg)
{
	struct family *f = arg;

	/* 0 and 1 died before the fork, untold; 2 was told of. */
	is(moheap_dispatch(f->heap), 3);
	is(f->n[4].deaths, 1);
	is(f->n[0].deaths, 1);
	is(f->n[1].deaths, 1);
	ok(f->n[4].turn < f->n[0].turn);
	is(f->n[2].deaths, 1);
	is(f->n[3].deaths, 0);
	err_is(moheap_decref(f->heap, f->refs[3]), 0);
	/* The parent has it, too. */
	is(moheap_dispatch(f->heap), 0);
	ok(mh_watcher_remove(f->heap, &f->n[3].watcher));
	err_is(moheap_close(f->heap), 0);
}

static void fork_and_deaths(void)
{
	struct family f;

	family_make(&f);
	err_is(moheap_decref(f.heap, f.refs[2]), 0);
	is(moheap_dispatch(f.heap), 1);
	err_is(moheap_decref(f.heap, f.refs[0]), 0);
	err_is(moheap_decref(f.heap, f.refs[1]), 0);
	tap_wait(tap_fork(child_is_told, &f));
	is(f.n[0].deaths, 0);
	is(moheap_dispatch(f.heap), 3);
	err_is(moheap_decref(f.heap, f.refs[3]), 0);
	is(moheap_dispatch(f.heap), 1);
}

static unsigned int *parents_turn;

static void child_lets_go(void *arg)
{
	struct family *f = arg;
	struct note more[2];
	moheap_ref_t ref = tap_new(f->heap, f->type);

	/* A new watch makes those of before be, so that it is the first still. */
	watch(f->heap, &more[0], f->refs[0]);
	watch(f->heap, &more[1], ref);
	err_is(moheap_start_dispatcher(f->heap), 0);
	err_is(moheap_decref(f->heap, f->refs[0]), 0);
	err_is(moheap_decref(f->heap, ref), 0);
	err_is(moheap_flush(f->heap), 0);
	until(&more[1].deaths, 1);
	is(f->n[0].deaths, 0);
	/* When the parent lets go as well. */
	__atomic_store_n(parents_turn, 1, __ATOMIC_RELEASE);
	until(&f->n[0].deaths, 1);
	is(more[0].turn, 2);
	is(f->n[4].turn, 3);
	is(f->n[0].turn, 4);
	ok(mh_watcher_remove(f->heap, &f->n[1].watcher));
	err_is(moheap_close(f->heap), 0);
}

static void fork_of_dispatchers(void)
{
	struct family f;
	pid_t child;

	parents_turn = tap_shared(sizeof(*parents_turn));
	family_make(&f);
	err_is(moheap_start_dispatcher(f.heap), 0);
	child = tap_fork(child_lets_go, &f);
	until(parents_turn, 1);
	err_is(moheap_decref(f.heap, f.refs[0]), 0);
	err_is(moheap_flush(f.heap), 0);
	tap_wait(child);
	until(&f.n[0].deaths, 1);
	is(f.n[4].deaths, 1);
}

static void fork_inside(struct moheap *heap, struct note *note)
{
	pid_t child = fork();

	ok(child >= 0);
	if (!child) {
		err_is(moheap_dispatch(heap), -EDEADLK);
		note->other = note;
		return;
	}
	tap_wait(child);
}

/* What comes after the one that forked is told to each of the two. */
static void forked_inside(void)
{
	struct family f;
	unsigned int i;

	family_make(&f);
	f.n[4].then = fork_inside;
	for (i = 0; i < 4; i++)
		err_is(moheap_decref(f.heap, f.refs[i]), 0);
	if (f.n[4].other)
		tap_fail(__FILE__, __LINE__, "too early");
	i = moheap_dispatch(f.heap);
	if (f.n[4].other) {
		is(i, 1);
		is(moheap_dispatch(f.heap), 4);
	} else {
		is(i, 5);
	}
	for (i = 0; i < 5; i++)
		is(f.n[i].deaths, 1);
	is(moheap_dispatch(f.heap), 0);
	if (f.n[4].other)
		_exit(0);
}

static void child_has_none(void *arg)
{
	struct family *f = arg;

	err_is(moheap_dispatch(f->heap), -ENOTCONN);
	err_is(moheap_dispatch_wait(f->heap, -1), -ENOTCONN);
	err_is(moheap_start_dispatcher(f->heap), -ENOTCONN);
	err_is(mh_watcher_add(f->heap, &f->n[2].watcher, f->refs[2]), -ENOTCONN);
	ok(mh_watcher_remove(f->heap, &f->n[0].watcher));
	moheap_close(f->heap);
}

static void fork_to_none(void)
{
	struct family f;

	family_make(&f);
	ok(mh_watcher_remove(f.heap, &f.n[2].watcher));
	err_is(moheap_set_fork(f.heap, MOHEAP_FORK_NONE), 0);
	tap_wait(tap_fork(child_has_none, &f));
	err_is(moheap_decref(f.heap, f.refs[0]), 0);
	is(moheap_dispatch(f.heap), 2);
}

static void child_takes_the_place(void *arg)
{
	struct family *f = arg;

	err_is(moheap_decref(f->heap, f->refs[0]), 0);
	is(moheap_dispatch(f->heap), 2);
	is(f->n[0].deaths, 1);
	is(f->n[4].deaths, 1);
}

static void fork_to_share(void)
{
	struct family f;

	family_make(&f);
	err_is(moheap_set_fork(f.heap, MOHEAP_FORK_SHARE), 0);
	tap_wait(tap_fork(child_takes_the_place, &f));
	is(moheap_dispatch(f.heap), 0);
}

static const struct tap_case cases[] = {
	{ "told once, in order", told_once_in_order },
	{ "many", many },
	{ "young objects", young_objects },
	{ "garbage", garbage },
	{ "removed", removed },
	{ "errors", errors },
	{ "removed inside", removed_inside },
	{ "anything inside", anything_inside },
	{ "freed inside", freed_inside },
	{ "waiting", waiting },
	{ "a thread of the library", own_thread },
	{ "removal waits for died()", removal_waits },
	{ "dispatching waits for died()", dispatching_waits },
	{ "stopped inside", stopped_inside },
	{ "a crowd", a_crowd },
	{ "deaths by others", deaths_by_others },
	{ "fork, and deaths that were not told of", fork_and_deaths },
	{ "fork, and dispatchers", fork_of_dispatchers },
	{ "forked inside", forked_inside },
	{ "fork to none", fork_to_none },
	{ "fork to share", fork_to_share },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
