// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Very many deaths that somebody is to be told of: by a dispatcher that keeps up, by one that does
 * not, by none until the end, and of a process that dies before it is told. None is lost, they come
 * in order, and afterwards the kernel has as much memory as before. How many: MOHEAP_LARGE (tap.h).
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "values.h"

/* What watches and events may leave behind in the kernel: an empty pool or two. */
#define SLACK		(512 * 1024)

/* Each storm may take so long. */
#define SECONDS		300

/* Objects that are made at a time. */
#define SOME		64

/* Pages that a small heap has besides, so that it is soon full. */
#define BALLAST		150

static struct moheap_stat stat_of(struct moheap *heap)
{
	struct moheap_stat stat = { .size = sizeof(stat) };

	err_is(moheap_stat(heap, &stat), 0);
	return stat;
}

/* Once all is over: nothing is left, and the kernel's memory is what it was. */
static void all_over(struct moheap *heap, __u64 kernel_bytes)
{
	tap_wait_objects(heap, 0);
	ok(stat_of(heap).kernel_bytes < kernel_bytes + SLACK);
	err_is(moheap_check(heap), 0);
}

/* ---- In order ---- */

/*
 * Each object has two weak references. They are numbered as they should be told of: the objects
 * die in the order in which they were made, and of each the newer weak reference comes first.
 */
static struct {
	atomic_ulong told;
	unsigned int pause_us;	/* now and then, to be slow */
} storm;

static void told(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	unsigned long number = atomic_fetch_add(&storm.told, 1);

	is((unsigned long)data, number);
	moheap_weakref_free(heap, weakref);
	if (storm.pause_us && number % 1024 == 0)
		usleep(storm.pause_us);
}

static void watch_twice(struct moheap *heap, moheap_ref_t ref, unsigned long i)
{
	struct moheap_weakref *weakref;

	err_is(moheap_weakref_new(heap, ref, told, (void *)(2 * i + 1), &weakref), 0);
	err_is(moheap_weakref_new(heap, ref, told, (void *)(2 * i), &weakref), 0);
}

static void make_some(struct moheap *heap, int type, unsigned long i, moheap_ref_t *refs)
{
	unsigned int j;

	err_is(moheap_new_many(heap, type, SOME, refs), 0);
	for (j = 0; j < SOME; j++)
		watch_twice(heap, refs[j], i + j);
}

static void drop_some(struct moheap *heap, const moheap_ref_t *refs)
{
	unsigned int j;

	for (j = 0; j < SOME; j++)
		err_is(moheap_decref(heap, refs[j]), 0);
}

/* @n objects live and die. */
static void storm_run(struct moheap *heap, unsigned long n)
{
	int type = tap_type(heap, "t", 8, 1);
	moheap_ref_t refs[SOME];
	unsigned long i;

	for (i = 0; i < n; i += SOME) {
		make_some(heap, type, i, refs);
		drop_some(heap, refs);
	}
	err_is(moheap_flush(heap), 0);
}

/* Objects of a storm. All storms have half a million, and of a million deaths is to be told. */
static unsigned long scaled(unsigned long n)
{
	return tap_large(n) / SOME * SOME + SOME;
}

static void a_quick_dispatcher(void)
{
	struct moheap *heap = tap_heap();
	__u64 before = stat_of(heap).kernel_bytes;
	unsigned long n = scaled(250000);

	err_is(moheap_start_dispatcher(heap), 0);
	storm_run(heap, n);
	err_is(moheap_stop_dispatcher(heap), 0);
	ok(moheap_dispatch(heap) >= 0);
	is(atomic_load(&storm.told), 2 * n);
	all_over(heap, before);
}

static void a_slow_dispatcher(void)
{
	struct moheap *heap = tap_heap();
	__u64 before = stat_of(heap).kernel_bytes;
	unsigned long n = scaled(50000);

	storm.pause_us = 20000;
	err_is(moheap_start_dispatcher(heap), 0);
	storm_run(heap, n);
	/* It waits for the other, and does the rest. */
	ok(moheap_dispatch(heap) >= 0);
	is(atomic_load(&storm.told), 2 * n);
	err_is(moheap_stop_dispatcher(heap), 0);
	all_over(heap, before);
}

static void no_dispatcher(void)
{
	struct moheap *heap = tap_heap();
	__u64 before = stat_of(heap).kernel_bytes;
	unsigned long n = scaled(100000);

	storm_run(heap, n);
	is(atomic_load(&storm.told), 0);
	/* What is to be told is all that is left. */
	is(tap_objects(heap), 0);
	is(moheap_dispatch(heap), 2 * n);
	is(atomic_load(&storm.told), 2 * n);
	all_over(heap, before);
}

/* Nobody dispatches, ever: what is there to be told has a limit, that of the heap. */
static void never(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	tap_fail(__FILE__, __LINE__, "%p was called, of %p in %p", data, (void *)weakref,
		 (void *)heap);
}

static void no_dispatcher_for_ever(void)
{
	struct moheap *heap = tap_heap_limited(1 << 20);
	int type = tap_type(heap, "t", 8, 1), err = 0;
	moheap_ref_t ballast[BALLAST];
	unsigned long n = 0, i, room = 0;
	struct moheap_weakref **weakrefs = NULL, **more, *weakref;
	moheap_ref_t ref;

	err_is(moheap_new_many(heap, tap_type(heap, "ballast", 4096, 0), BALLAST, ballast), 0);
	while (!err) {
		if (n == room) {
			room += 4096;
			more = reallocarray(weakrefs, room, sizeof(struct moheap_weakref *));
			ok(more);
			weakrefs = more;
		}
		ref = tap_new(heap, type);
		err = moheap_weakref_new(heap, ref, never, NULL, &weakrefs[n]);
		n += !err;
		err_is(moheap_decref(heap, ref), 0);
	}
	err_is(err, -ENOSPC);
	tap_note("%lu deaths to be told of in what is left of 1 MiB", n);
	ok(n > 1000);
	/* Without a callback there is nothing to tell. */
	ref = tap_new(heap, type);
	err_is(moheap_weakref_new(heap, ref, NULL, NULL, &weakref), 0);
	err_is(moheap_decref(heap, ref), 0);
	for (i = 0; i < n; i++)
		moheap_weakref_free(heap, weakrefs[i]);
	ref = tap_new(heap, type);
	err_is(moheap_weakref_new(heap, ref, never, NULL, &weakref), 0);
	is(moheap_dispatch(heap), 0);
}

/* ---- Somebody who dies ---- */

struct victim {
	struct moheap *heap;
	int pipe[2];
	unsigned long n;
};

static void be_killed(void *arg)
{
	struct victim *v = arg;
	struct moheap *heap;

	/* A client of its own, and one of those that it inherited. */
	err_is(moheap_join(moheap_fd(v->heap), 0, &heap), 0);
	storm_run(heap, v->n);
	storm_run(v->heap, v->n);
	is(write(v->pipe[1], "", 1), 1);
	pause();
}

static void a_dead_dispatcher(void)
{
	struct victim v = { .heap = tap_heap(), .n = scaled(25000) };
	__u64 before = stat_of(v.heap).kernel_bytes;
	int status;
	pid_t child;
	char byte;

	ok(!pipe(v.pipe));
	child = tap_fork(be_killed, &v);
	is(read(v.pipe[0], &byte, 1), 1);
	ok(stat_of(v.heap).kernel_bytes > before);
	ok(!kill(child, SIGKILL));
	is(waitpid(child, &status, 0), child);
	/* Others are told of theirs meanwhile. */
	storm_run(v.heap, v.n);
	is(moheap_dispatch(v.heap), 2 * v.n);
	is(atomic_load(&storm.told), 2 * v.n);
	all_over(v.heap, before);
}

/* ---- In cycles, and in chains ---- */

static unsigned long counted;
static moheap_ref_t last_ref;

/* Of each object the newer comes first, whatever the order of objects. */
static void counts(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	if (data)
		last_ref = moheap_weakref_peek(weakref);
	else
		ok(last_ref == moheap_weakref_peek(weakref));
	counted++;
	moheap_weakref_free(heap, weakref);
}

static void watch_both(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_weakref *weakref;

	err_is(moheap_weakref_new(heap, ref, counts, NULL, &weakref), 0);
	err_is(moheap_weakref_new(heap, ref, counts, &counted, &weakref), 0);
}

static void garbage(void)
{
	struct moheap *heap = tap_heap();
	__u64 before = stat_of(heap).kernel_bytes;
	unsigned long n = scaled(25000), i;
	int type = tap_type(heap, "t", 8, 1);
	moheap_ref_t refs[SOME];
	unsigned int j;

	for (i = 0; i < n; i += SOME) {
		err_is(moheap_new_many(heap, type, SOME, refs), 0);
		for (j = 0; j < SOME; j++) {
			watch_both(heap, refs[j]);
			err_is(moheap_store(heap, refs[j], 0, refs[(j + 1) % SOME]), 0);
		}
		for (j = 0; j < SOME; j++)
			err_is(moheap_decref(heap, refs[j]), 0);
	}
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	ok(moheap_dispatch(heap) > 0);
	is(counted, 2 * n);
	all_over(heap, before);
}

static void a_chain(void)
{
	struct moheap *heap = tap_heap();
	__u64 before = stat_of(heap).kernel_bytes;
	unsigned long n = scaled(25000), i;
	int type = tap_type(heap, "t", 8, 1);
	moheap_ref_t head = 0, ref;

	for (i = 0; i < n; i++) {
		ref = tap_new(heap, type);
		watch_both(heap, ref);
		err_is(moheap_store(heap, ref, 0, head), 0);
		err_is(moheap_decref(heap, head), 0);
		head = ref;
	}
	err_is(moheap_decref(heap, head), 0);
	tap_wait_objects(heap, 0);
	is(moheap_dispatch(heap), 2 * n);
	is(counted, 2 * n);
	all_over(heap, before);
}

/* ---- Weak dicts, sets and finalizers ---- */

static unsigned long finalized;

static void finalizes(struct moheap *heap, void *data)
{
	ok(heap && data == &finalized);
	finalized++;
}

static void of_all_kinds(void)
{
	struct moheap *heap = tap_heap();
	__u64 before = stat_of(heap).kernel_bytes;
	unsigned long n = scaled(10000), i;
	struct moheap_weakvaluedict *values;
	int type = tap_type(heap, "t", 8, 1);
	struct moheap_weakkeydict *keys;
	struct moheap_weakset *set;
	moheap_ref_t ref, number;

	err_is(moheap_weakvaluedict_new(heap, &values), 0);
	err_is(moheap_weakkeydict_new(heap, &keys), 0);
	err_is(moheap_weakset_new(heap, &set), 0);
	err_is(moheap_start_dispatcher(heap), 0);
	for (i = 0; i < n; i++) {
		ref = tap_new(heap, type);
		number = value_int(heap, i);
		err_is(moheap_weakvaluedict_set(heap, values, number, ref), 0);
		err_is(moheap_weakkeydict_set(heap, keys, ref, number), 0);
		is(moheap_weakset_add(heap, set, ref), 1);
		err_is(moheap_finalize_new(heap, ref, finalizes, &finalized, NULL), 0);
		err_is(moheap_decref(heap, number), 0);
		err_is(moheap_decref(heap, ref), 0);
	}
	ok(moheap_dispatch(heap) >= 0);
	is(finalized, n);
	is(moheap_weakvaluedict_len(heap, values), 0);
	is(moheap_weakkeydict_len(heap, keys), 0);
	is(moheap_weakset_len(heap, set), 0);
	all_over(heap, before);
}

static const struct tap_case cases[] = {
	{ "a dispatcher that keeps up", a_quick_dispatcher, SECONDS },
	{ "a slow dispatcher", a_slow_dispatcher, SECONDS },
	{ "no dispatcher until the end", no_dispatcher, SECONDS },
	{ "no dispatcher for ever", no_dispatcher_for_ever, SECONDS },
	{ "a dispatcher that is killed", a_dead_dispatcher, SECONDS },
	{ "garbage", garbage, SECONDS },
	{ "a chain", a_chain, SECONDS },
	{ "weak dicts, sets and finalizers", of_all_kinds, SECONDS },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
