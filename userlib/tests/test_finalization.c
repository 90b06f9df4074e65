// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Finalizers. Cases that bear the name of one in CPython's test_finalization.py or test_gc.py have
 * its intent: CPYTHON.md.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "raw.h"

/* ---- Objects that note down that they are finalized ---- */

enum { LEFT, RIGHT, SLOTS };

enum kind {
	SIMPLE,
	RESURRECT,	/* brings itself back */
	SUICIDAL,	/* lets go of what it refers to */
};

/**
 * struct body - the payload of an object
 * @self: its ref
 * @kind: what its finalizer does
 * @gone: it has let go of what it referred to
 */
struct body {
	moheap_ref_t self;
	__u32 kind;
	__u32 gone;
};

/* What has been finalized, in order, and what was brought back. */
static struct {
	moheap_ref_t refs[2000];
	moheap_ref_t survivors[100];
	unsigned int n;
	unsigned int nsurvivors;
} calls;

static struct body *body_of(struct moheap *heap, moheap_ref_t ref)
{
	return moheap_ptr(heap, ref);
}

static moheap_ref_t peek(struct moheap *heap, moheap_ref_t ref, unsigned int slot)
{
	moheap_ref_t target;

	err_is(moheap_peek(heap, ref, slot, &target), 0);
	return target;
}

/* What refers to whom is whole, but for what finalizers cut before. */
static void check_sanity(struct moheap *heap, moheap_ref_t ref)
{
	moheap_ref_t left = peek(heap, ref, LEFT), right = peek(heap, ref, RIGHT);

	if (body_of(heap, ref)->gone)
		ok(!left && !right);
	if (left && left != ref)
		ok(peek(heap, left, RIGHT) == (body_of(heap, left)->gone ? 0 : ref));
	if (right && right != ref)
		ok(peek(heap, right, LEFT) == (body_of(heap, right)->gone ? 0 : ref));
}

static void finalize(struct moheap *heap, moheap_ref_t ref, void *data)
{
	struct body *body = body_of(heap, ref);

	ok(calls.n < TAP_COUNT(calls.refs));
	calls.refs[calls.n++] = ref;
	ok(body->self == ref);
	is(moheap_is_finalized(heap, ref), 1);
	if (data)
		return;
	check_sanity(heap, ref);
	if (body->kind == RESURRECT) {
		err_is(moheap_incref(heap, ref), 0);
		calls.survivors[calls.nsurvivors++] = ref;
	} else if (body->kind == SUICIDAL) {
		body->gone = 1;
		err_is(moheap_store(heap, ref, LEFT, 0), 0);
		err_is(moheap_store(heap, ref, RIGHT, 0), 0);
	}
}

static int final_type(struct moheap *heap, const char *name, unsigned int slots, __u32 flags)
{
	struct moheap_layout layout = {
		.size = sizeof(layout),
		.name = name,
		.payload = sizeof(struct body),
		.slots = slots,
		.flags = MOHEAP_TYPE_FINALIZE | flags,
	};

	return must(moheap_type_register(heap, &layout));
}

/* A heap whose collector waits until it is asked. */
static struct moheap *quiet_heap(void)
{
	struct moheap *heap = tap_heap();

	err_is(moheap_disable(heap), 0);
	return heap;
}

static int type_in(struct moheap *heap)
{
	int type = final_type(heap, "object", SLOTS, 0);

	err_is(moheap_set_finalizer(heap, type, finalize, NULL), 0);
	return type;
}

static moheap_ref_t new_object(struct moheap *heap, int type, enum kind kind)
{
	moheap_ref_t ref = tap_new(heap, type);

	body_of(heap, ref)->self = ref;
	body_of(heap, ref)->kind = kind;
	return ref;
}

static void drop(struct moheap *heap, moheap_ref_t ref)
{
	err_is(moheap_decref(heap, ref), 0);
}

static void store(struct moheap *heap, moheap_ref_t owner, unsigned int slot, moheap_ref_t target)
{
	err_is(moheap_store(heap, owner, slot, target), 0);
}

static bool is_alive(struct moheap *heap, moheap_ref_t ref)
{
	int err = moheap_incref(heap, ref);

	if (!err)
		drop(heap, ref);
	else
		err_is(err, -ESTALE);
	return !err;
}

/* As gc.collect(): what is unreachable is finalized, and what is unreachable then is freed. */
static void collect(struct moheap *heap)
{
	unsigned long long unreachable;
	int handled;

	do {
		err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, &unreachable), 0);
		handled = must(moheap_dispatch(heap));
	} while (unreachable || handled);
}

static void clear_survivors(struct moheap *heap)
{
	while (calls.nsurvivors)
		drop(heap, calls.survivors[--calls.nsurvivors]);
}

/* Each of these was finalized, once, and nothing else. */
static void calls_are(const moheap_ref_t *refs, unsigned int n)
{
	unsigned int i, j, seen;

	is(calls.n, n);
	for (i = 0; i < n; i++) {
		for (seen = 0, j = 0; j < n; j++)
			seen += calls.refs[j] == refs[i];
		is(seen, 1);
	}
}

/* ---- Without cycles ---- */

static void noted_death(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	*(unsigned int *)data = calls.n + 1;
}

static moheap_ref_t got(struct moheap *heap, struct moheap_weakref *weakref)
{
	moheap_ref_t ref;

	err_is(moheap_weakref_get(heap, weakref, &ref), 0);
	if (ref)
		drop(heap, ref);
	return ref;
}

static void simple(unsigned int slots)
{
	struct moheap *heap = quiet_heap();
	int type = final_type(heap, "t", slots, 0);
	struct moheap_weakref *plain, *told;
	unsigned int died = 0;
	moheap_ref_t s;

	err_is(moheap_set_finalizer(heap, type, finalize, slots ? NULL : &s), 0);
	s = new_object(heap, type, SIMPLE);
	is(moheap_is_tracked(heap, s), !!slots);
	err_is(moheap_weakref_new(heap, s, NULL, NULL, &plain), 0);
	err_is(moheap_weakref_new(heap, s, noted_death, &died, &told), 0);
	drop(heap, s);
	is(calls.n, 0);
	collect(heap);
	calls_are(&s, 1);
	ok(!is_alive(heap, s) && !got(heap, plain) && !got(heap, told));
	/* A single object is finalized before its weak references are dead. */
	is(died, 2);
	collect(heap);
	is(calls.n, 1);
	is(tap_objects(heap), 0);
}

static void test_simple_resurrect(void)
{
	struct moheap *heap = quiet_heap();
	int type = type_in(heap);
	struct moheap_weakref *told;
	unsigned int died = 0;
	moheap_ref_t s = new_object(heap, type, RESURRECT);

	err_is(moheap_weakref_new(heap, s, noted_death, &died, &told), 0);
	drop(heap, s);
	collect(heap);
	calls_are(&s, 1);
	is(calls.nsurvivors, 1);
	ok(got(heap, told) == s);
	is(died, 0);
	clear_survivors(heap);
	collect(heap);
	/* Once is once, for every object. */
	calls_are(&s, 1);
	ok(!got(heap, told));
	is(died, 2);
	is(tap_objects(heap), 0);
}

static void test_simple(void)
{
	simple(SLOTS);
}

static void test_non_gc(void)
{
	simple(0);
}

static void revive(struct moheap *heap, moheap_ref_t ref, void *data)
{
	finalize(heap, ref, data);
	err_is(moheap_incref(heap, ref), 0);
}

static void test_non_gc_resurrect(void)
{
	struct moheap *heap = quiet_heap();
	int type = final_type(heap, "leaf", 0, 0);
	moheap_ref_t s;

	err_is(moheap_set_finalizer(heap, type, revive, &s), 0);
	s = new_object(heap, type, SIMPLE);
	is(moheap_is_tracked(heap, s), 0);
	drop(heap, s);
	collect(heap);
	calls_are(&s, 1);
	ok(is_alive(heap, s));
	drop(heap, s);
	collect(heap);
	calls_are(&s, 1);
	is(tap_objects(heap), 0);
}

/* ---- One that refers to itself ---- */

static void self_cycle(enum kind kind)
{
	struct moheap *heap = quiet_heap();
	moheap_ref_t s = new_object(heap, type_in(heap), kind);
	struct moheap_weakref *told, *plain;
	unsigned int died = 0;

	store(heap, s, LEFT, s);
	err_is(moheap_weakref_new(heap, s, noted_death, &died, &told), 0);
	err_is(moheap_weakref_new(heap, s, NULL, NULL, &plain), 0);
	drop(heap, s);
	is(moheap_dispatch(heap), 0);
	collect(heap);
	calls_are(&s, 1);
	/* Told of as garbage, and so before it was finalized, once and for all. */
	is(died, 1);
	ok(!got(heap, told));
	is(calls.nsurvivors, kind == RESURRECT);
	ok(is_alive(heap, s) == (kind == RESURRECT));
	ok(got(heap, plain) == (kind == RESURRECT ? s : 0));
	clear_survivors(heap);
	collect(heap);
	calls_are(&s, 1);
	ok(!is_alive(heap, s) && !got(heap, plain));
	is(tap_objects(heap), 0);
}

static void self_cycle_test_simple(void)
{
	self_cycle(SIMPLE);
}

static void self_cycle_test_simple_resurrect(void)
{
	self_cycle(RESURRECT);
}

static void test_simple_suicide(void)
{
	self_cycle(SUICIDAL);
}

/* ---- Chains that are closed to cycles ---- */

static void chain(const enum kind *kinds, unsigned int n)
{
	struct moheap *heap = quiet_heap();
	int type = type_in(heap);
	struct moheap_weakref *told[8];
	unsigned int died[8] = { 0 }, i, resurrectors = 0;
	moheap_ref_t nodes[8];

	for (i = 0; i < n; i++) {
		nodes[i] = new_object(heap, type, kinds[i]);
		resurrectors += kinds[i] == RESURRECT;
		err_is(moheap_weakref_new(heap, nodes[i], noted_death, &died[i], &told[i]), 0);
	}
	for (i = 0; i < n; i++) {
		store(heap, nodes[i], LEFT, nodes[(i + n - 1) % n]);
		store(heap, nodes[(i + n - 1) % n], RIGHT, nodes[i]);
	}
	for (i = 0; i < n; i++)
		drop(heap, nodes[i]);
	is(moheap_dispatch(heap), 0);
	collect(heap);
	calls_are(nodes, n);
	is(calls.nsurvivors, resurrectors);
	for (i = 0; i < n; i++) {
		is(died[i], 1);
		ok(!got(heap, told[i]));
	}
	clear_survivors(heap);
	collect(heap);
	calls_are(nodes, n);
	is(calls.nsurvivors, 0);
	is(tap_objects(heap), 0);
}

#define CHAIN(name, ...)						\
static void name(void)							\
{									\
	static const enum kind kinds[] = { __VA_ARGS__ };		\
									\
	chain(kinds, TAP_COUNT(kinds));					\
}

CHAIN(test_homogenous, SIMPLE, SIMPLE, SIMPLE)
CHAIN(test_homogenous_resurrect, RESURRECT, RESURRECT, RESURRECT)
CHAIN(test_homogenous_suicidal, SUICIDAL, SUICIDAL, SUICIDAL)
CHAIN(test_heterogenous_suicidal_one, SUICIDAL, SIMPLE, SUICIDAL, SIMPLE)
CHAIN(test_heterogenous_suicidal_two, SUICIDAL, SUICIDAL, SIMPLE, SIMPLE)
CHAIN(test_heterogenous_resurrect_one, RESURRECT, SIMPLE, RESURRECT, SIMPLE)
CHAIN(test_heterogenous_resurrect_two, RESURRECT, SIMPLE, SUICIDAL, RESURRECT, SIMPLE, SUICIDAL)
CHAIN(test_heterogenous_resurrect_three, RESURRECT, RESURRECT, SIMPLE, SIMPLE, SUICIDAL, SUICIDAL)

/* ---- Those of test_gc.py ---- */

/* Garbage in a cycle of one, with something in it to be finalized. */
static void test_del(void)
{
	struct moheap *heap = tap_heap();
	int type = type_in(heap), plain = tap_type(heap, "plain", 8, 1);
	moheap_ref_t a = tap_new(heap, plain), b = new_object(heap, type, SIMPLE);

	/* The collector works by itself. */
	store(heap, a, 0, a);
	store(heap, b, LEFT, b);
	drop(heap, a);
	drop(heap, b);
	while (!calls.n)
		must(moheap_dispatch_wait(heap, -1));
	calls_are(&b, 1);
	collect(heap);
	is(tap_objects(heap), 0);
}

static void test_resurrection_only_happens_once_per_object(void)
{
	struct moheap *heap = quiet_heap();
	moheap_ref_t laz = new_object(heap, type_in(heap), RESURRECT);

	store(heap, laz, LEFT, laz);
	drop(heap, laz);
	is(calls.n, 0);
	collect(heap);
	is(calls.n, 1);
	is(calls.nsurvivors, 1);
	clear_survivors(heap);
	is(calls.n, 1);
	collect(heap);
	is(calls.n, 1);
	ok(!is_alive(heap, laz));
}

static void test_resurrection_is_transitive(void)
{
	struct moheap *heap = quiet_heap();
	int plain = tap_type(heap, "cargo", 8, 2);
	moheap_ref_t laz = new_object(heap, type_in(heap), RESURRECT);
	moheap_ref_t cargo = tap_new(heap, plain), more = tap_new(heap, plain);

	*(__u64 *)moheap_ptr(heap, more) = 12345;
	err_is(moheap_set_finalizer(heap, moheap_type_of(heap, laz), revive, &cargo), 0);
	store(heap, laz, LEFT, cargo);
	store(heap, cargo, 0, laz);
	store(heap, cargo, 1, more);
	drop(heap, more);
	drop(heap, laz);
	drop(heap, cargo);
	collect(heap);
	is(calls.n, 1);
	ok(is_alive(heap, laz) && is_alive(heap, cargo) && is_alive(heap, more));
	ok(peek(heap, laz, LEFT) == cargo && peek(heap, cargo, 1) == more);
	is(*(__u64 *)moheap_ptr(heap, more), 12345);
	drop(heap, laz);
	collect(heap);
	is(calls.n, 1);
	is(tap_objects(heap), 0);
}

static void self_loops(struct moheap *heap, int type, unsigned int n)
{
	moheap_ref_t ref;

	while (n--) {
		ref = tap_new(heap, type);
		store(heap, ref, 0, ref);
		drop(heap, ref);
	}
}

static void test_resurrection_does_not_block_cleanup_of_other_objects(void)
{
	enum { N = 100 };
	struct moheap *heap = quiet_heap();
	struct moheap_generation stats[MOHEAP_GENERATIONS];
	int type = type_in(heap), plain = tap_type(heap, "plain", 8, 1);
	unsigned long long unreachable;
	moheap_ref_t z = new_object(heap, type, RESURRECT);

	store(heap, z, LEFT, z);
	drop(heap, z);
	self_loops(heap, plain, N);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, &unreachable), 0);
	is(unreachable, N + 1);
	err_is(moheap_get_stats(heap, stats), 0);
	is(stats[0].collected + stats[1].collected + stats[2].collected, N);
	is(stats[0].finalizing + stats[1].finalizing + stats[2].finalizing, 1);
	is(moheap_dispatch(heap), 1);
	is(tap_objects(heap), 1);
	is(calls.nsurvivors, 1);
	clear_survivors(heap);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, &unreachable), 0);
	is(unreachable, 1);
	is(tap_objects(heap), 0);
	is(calls.n, 1);
}

/* Garbage of which a finalizer finds other garbage, by a ref. */
struct finder {
	moheap_ref_t wanted;
	moheap_ref_t found;
};

static void find_other(struct moheap *heap, moheap_ref_t ref, void *data)
{
	struct finder *finder = data;

	finalize(heap, ref, data);
	if (!moheap_incref(heap, finder->wanted))
		finder->found = finder->wanted;
}

static void test_bug1055820d(void)
{
	struct moheap *heap = quiet_heap();
	int type = final_type(heap, "d", SLOTS, 0), plain = tap_type(heap, "c", 8, 2);
	moheap_ref_t d0 = new_object(heap, type, SIMPLE);
	moheap_ref_t c1 = tap_new(heap, plain), c2 = tap_new(heap, plain);
	struct finder finder = { .wanted = c2 };

	err_is(moheap_set_finalizer(heap, type, find_other, &finder), 0);
	*(__u64 *)moheap_ptr(heap, c2) = 12345;
	store(heap, c1, 0, c1);
	store(heap, c1, 1, d0);
	store(heap, c2, 0, c2);
	drop(heap, d0);
	drop(heap, c1);
	drop(heap, c2);
	collect(heap);
	is(calls.n, 1);
	/* Either is right; what is found must be whole, and is alive then. */
	if (finder.found) {
		ok(peek(heap, c2, 0) == c2);
		is(*(__u64 *)moheap_ptr(heap, c2), 12345);
		drop(heap, c2);
		collect(heap);
	}
	is(calls.n, 1);
	is(tap_objects(heap), 0);
}

/* ---- What the library does besides ---- */

static void errors(void)
{
	struct moheap *heap = quiet_heap(), *reader;
	int type = final_type(heap, "t", SLOTS, 0), plain = tap_type(heap, "plain", 8, 1);

	err_is(moheap_set_finalizer(heap, 12345, finalize, NULL), -ENOENT);
	err_is(moheap_set_finalizer(heap, ~0U, finalize, NULL), -ENOENT);
	err_is(moheap_set_finalizer(heap, plain, finalize, NULL), -EINVAL);
	err_is(moheap_set_finalizer(heap, plain, NULL, NULL), -EINVAL);
	err_is(moheap_set_finalizer(heap, type, NULL, NULL), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	err_is(moheap_set_finalizer(reader, type, finalize, NULL), -EACCES);
	err_is(moheap_set_finalizer(reader, type, NULL, NULL), 0);
	is(moheap_dispatch(reader), 0);
	err_is(moheap_close(reader), 0);
}

/* Objects that nobody else ever heard of are finalized like all others. */
static void young_objects(void)
{
	enum { N = 1000 };
	static moheap_ref_t refs[N];
	struct moheap *heap = quiet_heap();
	int type = type_in(heap);
	struct moheap_stat stat = { .size = sizeof(stat) };
	unsigned int i;

	for (i = 0; i < N; i++) {
		refs[i] = new_object(heap, type, SIMPLE);
		drop(heap, refs[i]);
	}
	while (calls.n < N)
		ok(must(moheap_dispatch(heap)) > 0);
	for (i = 0; i < N; i++)
		ok(calls.refs[i] == refs[i]);
	is(tap_objects(heap), 0);
	is(moheap_dispatch(heap), 0);
	err_is(moheap_stat(heap, &stat), 0);
	is(stat.allocated, N);
	is(stat.finalized, N);
}

/* What nobody asked for is not there, and so is not finalized. */
static void nothing_in_stock(void)
{
	struct moheap *heap = quiet_heap(), *other;
	int type = type_in(heap);
	int sizes = final_type(heap, "sizes", 0, MOHEAP_TYPE_VAR_PAYLOAD);
	int both = final_type(heap, "both", 0, MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS);
	struct moheap_stat stat = { .size = sizeof(stat) };
	moheap_ref_t ref;
	size_t bytes;

	err_is(moheap_set_finalizer(heap, sizes, finalize, heap), 0);
	err_is(moheap_set_finalizer(heap, both, finalize, heap), 0);
	/* Another that would be handed what this one gives up. */
	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	err_is(moheap_set_finalizer(other, type, finalize, NULL), 0);
	err_is(moheap_new(heap, type, &ref), 0);
	err_is(moheap_stat(heap, &stat), 0);
	is(stat.objects, 1);
	for (bytes = 1; bytes < 100000; bytes = bytes * 3 / 2 + 1) {
		err_is(moheap_new_sized(heap, sizes, bytes, 0, &ref), 0);
		err_is(moheap_new_sized(heap, both, bytes, bytes % 100, &ref), 0);
	}
	err_is(moheap_stat(heap, &stat), 0);
	is(stat.objects, stat.allocated);
	err_is(moheap_trim(heap), 0);
	is(moheap_dispatch(heap), 0);
	is(moheap_dispatch(other), 0);
	err_is(moheap_close(other), 0);
	is(calls.n, 0);
}

/* Objects of varying sizes, whose blocks are used again, are each finalized. */
static void sizes_vary(void)
{
	struct moheap *heap = quiet_heap();
	int type = final_type(heap, "sizes", 0, MOHEAP_TYPE_VAR_PAYLOAD);
	unsigned int i, n = 500;
	moheap_ref_t ref;
	size_t bytes;

	err_is(moheap_set_finalizer(heap, type, finalize, heap), 0);
	for (i = 0; i < n; i++) {
		bytes = sizeof(struct body) + i * 37 % 3000;
		err_is(moheap_new_sized(heap, type, bytes, 0, &ref), 0);
		is(body_of(heap, ref)->self, 0);
		is(((char *)moheap_ptr(heap, ref))[bytes - 1], 0);
		memset(moheap_ptr(heap, ref), 0xff, bytes);
		body_of(heap, ref)->self = ref;
		drop(heap, ref);
		while (must(moheap_dispatch(heap)))
			;
		is(calls.n, i + 1);
		ok(calls.refs[i] == ref && !is_alive(heap, ref));
	}
	is(tap_objects(heap), 0);
}

/* All or none, and none is as if they had never been. */
static void made_in_vain(void)
{
	enum { MANY = 1000000 };
	struct moheap *heap = tap_heap_limited(4 << 20);
	int type = type_in(heap);
	moheap_ref_t *refs = calloc(MANY, sizeof(*refs)), some[10];
	struct moheap_stat stat = { .size = sizeof(stat) };
	unsigned int i;

	ok(refs);
	err_is(moheap_new_many(heap, type, MANY, refs), -ENOSPC);
	/* That is not forgotten before they come to be finalized. */
	err_is(moheap_trim(heap), 0);
	while (must(moheap_dispatch(heap)))
		;
	err_is(moheap_stat(heap, &stat), 0);
	ok(stat.allocated > 0);
	is(calls.n, 0);
	is(tap_objects(heap), 0);
	err_is(moheap_new_many(heap, type, TAP_COUNT(some), some), 0);
	for (i = 0; i < TAP_COUNT(some); i++) {
		body_of(heap, some[i])->self = some[i];
		drop(heap, some[i]);
	}
	is(moheap_dispatch(heap), TAP_COUNT(some));
	calls_are(some, TAP_COUNT(some));
	free(refs);
}

/* In the order in which they died; what only they referred to after them. */
static void in_order(void)
{
	enum { N = 300 };
	static moheap_ref_t refs[N];
	struct moheap *heap = quiet_heap();
	int type = type_in(heap);
	unsigned int i;

	/* Each third one refers to the one after it, and that to the next. */
	for (i = 0; i < N; i++) {
		refs[i] = new_object(heap, type, SIMPLE);
		if (i % 3)
			store(heap, refs[i - 1], RIGHT, refs[i]);
	}
	err_is(moheap_set_finalizer(heap, type, finalize, heap), 0);
	for (i = 0; i < N; i += 3) {
		drop(heap, refs[i + 2]);
		drop(heap, refs[i + 1]);
	}
	for (i = N; i; i -= 3)
		drop(heap, refs[i - 3]);
	while (calls.n < N)
		ok(must(moheap_dispatch(heap)) > 0);
	for (i = 0; i < N / 3; i++) {
		ok(calls.refs[i] == refs[N - 3 - i * 3]);
		ok(calls.refs[N / 3 + i] == refs[N - 2 - i * 3]);
		ok(calls.refs[2 * N / 3 + i] == refs[N - 1 - i * 3]);
	}
	is(tap_objects(heap), 0);
}

/* A finalizer that has others let go of what waits to be finalized. */
static void touch_others(struct moheap *heap, moheap_ref_t ref, void *data)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };
	const moheap_ref_t *others = data;
	unsigned int i;

	finalize(heap, ref, data);
	err_is(moheap_inspect(heap, &object), 0);
	ok(object.flags & MOHEAP_OBJECT_HELD);
	for (i = 0; i < 3; i++) {
		if (!is_alive(heap, others[i]))
			continue;
		err_is(moheap_flush(heap), 0);
	}
}

static void held_until_its_turn(void)
{
	struct moheap *heap = quiet_heap();
	int type = final_type(heap, "t", SLOTS, 0);
	moheap_ref_t refs[3];
	unsigned int i;

	err_is(moheap_set_finalizer(heap, type, touch_others, refs), 0);
	for (i = 0; i < 3; i++)
		refs[i] = new_object(heap, type, SIMPLE);
	for (i = 0; i < 3; i++)
		drop(heap, refs[i]);
	is(moheap_dispatch(heap), 3);
	calls_are(refs, 3);
	is(tap_objects(heap), 0);
}

static void bring_back_in_slot(struct moheap *heap, moheap_ref_t ref, void *data)
{
	finalize(heap, ref, data);
	store(heap, *(moheap_ref_t *)data, 0, ref);
}

static void brought_back_by_a_store(void)
{
	struct moheap *heap = quiet_heap();
	int type = final_type(heap, "t", SLOTS, 0);
	moheap_ref_t keeper = tap_new(heap, tap_type(heap, "keeper", 8, 1));
	moheap_ref_t ref;

	err_is(moheap_set_finalizer(heap, type, bring_back_in_slot, &keeper), 0);
	ref = new_object(heap, type, SIMPLE);
	drop(heap, ref);
	is(moheap_dispatch(heap), 1);
	ok(is_alive(heap, ref));
	is(moheap_refcount(heap, ref), 1);
	store(heap, keeper, 0, 0);
	is(moheap_dispatch(heap), 0);
	ok(!is_alive(heap, ref));
	is(calls.n, 1);
	is(tap_objects(heap), 1);
}

/* Everything but what may not be. */
static void much_inside(struct moheap *heap, moheap_ref_t ref, void *data)
{
	int type = must(moheap_type_of(heap, ref));
	moheap_ref_t other;

	finalize(heap, ref, NULL);
	err_is(moheap_dispatch(heap), -EDEADLK);
	err_is(moheap_close(heap), -EDEADLK);
	other = new_object(heap, type, SIMPLE);
	store(heap, other, LEFT, other);
	drop(heap, other);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	err_is(moheap_trim(heap), 0);
	err_is(moheap_set_finalizer(heap, type, NULL, NULL), 0);
	err_is(moheap_set_finalizer(heap, type, finalize, NULL), 0);
	ok(is_alive(heap, ref));
}

static void anything_inside(void)
{
	struct moheap *heap = quiet_heap();
	int type = final_type(heap, "t", SLOTS, 0);

	err_is(moheap_set_finalizer(heap, type, much_inside, NULL), 0);
	drop(heap, new_object(heap, type, SIMPLE));
	is(moheap_dispatch(heap), 1);
	is(calls.n, 1);
	/* What died inside is left for this. */
	is(moheap_dispatch(heap), 1);
	is(calls.n, 2);
	collect(heap);
	is(tap_objects(heap), 0);
}

static void count_up(struct moheap *heap, moheap_ref_t ref, void *data)
{
	++*(unsigned int *)data;
}

static void set_and_unset(void)
{
	struct moheap *heap = quiet_heap();
	int type = final_type(heap, "t", SLOTS, 0), other = final_type(heap, "other", 0, 0);
	struct moheap_stat stat = { .size = sizeof(stat) };
	unsigned int a = 0, b = 0;

	/* Nobody listens. */
	drop(heap, tap_new(heap, type));
	is(tap_objects(heap), 0);
	/* What died before is not finalized. */
	drop(heap, tap_new(heap, type));
	err_is(moheap_set_finalizer(heap, type, count_up, &a), 0);
	is(moheap_dispatch(heap), 0);
	/* One type has none: it is taken, and goes. */
	drop(heap, tap_new(heap, type));
	drop(heap, tap_new(heap, other));
	is(moheap_dispatch(heap), 2);
	is(tap_objects(heap), 0);
	is(a, 1);
	err_is(moheap_set_finalizer(heap, other, count_up, &b), 0);
	err_is(moheap_set_finalizer(heap, type, count_up, &b), 0);
	drop(heap, tap_new(heap, type));
	drop(heap, tap_new(heap, other));
	is(moheap_dispatch(heap), 2);
	is(a, 1);
	is(b, 2);
	err_is(moheap_set_finalizer(heap, type, NULL, NULL), 0);
	drop(heap, tap_new(heap, type));
	drop(heap, tap_new(heap, other));
	is(moheap_dispatch(heap), 2);
	is(b, 3);
	/* The last one: nobody listens any more. */
	err_is(moheap_set_finalizer(heap, other, NULL, NULL), 0);
	err_is(moheap_set_finalizer(heap, other, NULL, NULL), 0);
	drop(heap, tap_new(heap, other));
	is(tap_objects(heap), 0);
	is(moheap_dispatch(heap), 0);
	err_is(moheap_stat(heap, &stat), 0);
	is(stat.finalizing, 0);
	is(stat.finalized, 6);
}

/* ---- Threads ---- */

struct slow {
	atomic_int inside;
	atomic_int go_on;
	atomic_int done;
};

static void slowly(struct moheap *heap, moheap_ref_t ref, void *data)
{
	struct slow *slow = data;

	atomic_store(&slow->inside, 1);
	while (!atomic_load(&slow->go_on))
		usleep(1000);
	atomic_store(&slow->done, 1);
}

static void *let_go_on(void *arg)
{
	struct slow *slow = arg;

	usleep(20000);
	is(atomic_load(&slow->done), 0);
	atomic_store(&slow->go_on, 1);
	return NULL;
}

static void unset_while_called(void)
{
	struct moheap *heap = quiet_heap();
	int type = final_type(heap, "t", SLOTS, 0);
	struct slow slow = { 0 };
	pthread_t thread;

	err_is(moheap_set_finalizer(heap, type, slowly, &slow), 0);
	err_is(moheap_start_dispatcher(heap), 0);
	drop(heap, tap_new(heap, type));
	err_is(moheap_flush(heap), 0);
	while (!atomic_load(&slow.inside))
		usleep(1000);
	ok(!pthread_create(&thread, NULL, let_go_on, &slow));
	err_is(moheap_set_finalizer(heap, type, NULL, NULL), 0);
	is(atomic_load(&slow.done), 1);
	ok(!pthread_join(thread, NULL));
	err_is(moheap_stop_dispatcher(heap), 0);
}

enum { THREADS = 4 };

static struct {
	struct moheap *heap;
	int type;
	unsigned int n;
	atomic_uint finalized;
	atomic_uint twice;
	atomic_bool done;
} many;

static void mark(struct moheap *heap, moheap_ref_t ref, void *data)
{
	struct body *body = body_of(heap, ref);

	if (body->self != ref || __atomic_fetch_add(&body->gone, 1, __ATOMIC_RELAXED))
		atomic_fetch_add(&many.twice, 1);
	atomic_fetch_add(&many.finalized, 1);
}

static void *make_and_drop(void *arg)
{
	moheap_ref_t a, b;
	unsigned int i;

	for (i = 0; i < many.n; i++) {
		a = new_object(many.heap, many.type, SIMPLE);
		b = new_object(many.heap, many.type, SIMPLE);
		store(many.heap, a, LEFT, b);
		if (i % 4 == 0)
			store(many.heap, b, LEFT, a);
		drop(many.heap, a);
		drop(many.heap, b);
		if (i % 64 == 0)
			err_is(moheap_flush(many.heap), 0);
	}
	return NULL;
}

static void *dispatch_until_done(void *arg)
{
	while (!atomic_load(&many.done))
		must(moheap_dispatch_wait(many.heap, 1));
	return NULL;
}

static void many_threads(void)
{
	pthread_t makers[THREADS], dispatchers[THREADS];
	unsigned int i;

	many.heap = tap_heap();
	many.type = final_type(many.heap, "t", SLOTS, 0);
	many.n = tap_scaled(3000);
	err_is(moheap_set_finalizer(many.heap, many.type, mark, NULL), 0);
	for (i = 0; i < THREADS; i++) {
		ok(!pthread_create(&makers[i], NULL, make_and_drop, NULL));
		ok(!pthread_create(&dispatchers[i], NULL, dispatch_until_done, NULL));
	}
	for (i = 0; i < THREADS; i++)
		ok(!pthread_join(makers[i], NULL));
	atomic_store(&many.done, true);
	for (i = 0; i < THREADS; i++)
		ok(!pthread_join(dispatchers[i], NULL));
	collect(many.heap);
	is(atomic_load(&many.finalized), 2 * THREADS * many.n);
	is(atomic_load(&many.twice), 0);
	is(tap_objects(many.heap), 0);
}

/* ---- Those who die, and those who do not answer ---- */

static void die_in_it(struct moheap *heap, moheap_ref_t ref, void *data)
{
	raise(SIGKILL);
}

static void owner(void *arg)
{
	struct moheap *own;
	unsigned int i;
	int type;

	err_is(moheap_join(*(int *)arg, 0, &own), 0);
	type = final_type(own, "object", SLOTS, 0);
	err_is(moheap_set_finalizer(own, type, die_in_it, NULL), 0);
	for (i = 0; i < 10; i++)
		drop(own, new_object(own, type, SIMPLE));
	for (i = 0; i < 5; i++)
		new_object(own, type, SIMPLE);
	err_is(moheap_flush(own), 0);
	moheap_dispatch(own);
}

static void die_as_an_owner(struct moheap *heap)
{
	int fd = moheap_fd(heap), status;
	pid_t child = tap_fork(owner, &fd);

	is(waitpid(child, &status, 0), child);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void dead_owners(void)
{
	struct moheap *heap = quiet_heap();
	struct moheap_stat stat = { .size = sizeof(stat) };

	/* Nobody else finalizes: all goes. */
	die_as_an_owner(heap);
	tap_wait_objects(heap, 0);
	/* Another that does: ten were handed to the owner, five it held. */
	type_in(heap);
	die_as_an_owner(heap);
	while (calls.n < 5)
		must(moheap_dispatch_wait(heap, -1));
	tap_wait_objects(heap, 0);
	is(moheap_dispatch(heap), 0);
	is(calls.n, 5);
	err_is(moheap_stat(heap, &stat), 0);
	is(stat.finalized, 10 + 10 + 5);
	is(stat.finalizing, 0);
}

static void owners_that_never_dispatch(void)
{
	enum { N = 200 };
	struct moheap *heap = quiet_heap();
	struct moheap_tune tune = {
		.size = sizeof(tune), .set = MOHEAP_TUNE_FINALIZE, .finalize_ms = 20,
	};
	struct moheap_stat stat = { .size = sizeof(stat) };
	int type = type_in(heap);
	moheap_ref_t ref;
	unsigned int i;

	err_is(moheap_tune(heap, &tune), 0);
	for (i = 0; i < N; i++) {
		ref = new_object(heap, type, SIMPLE);
		store(heap, ref, i % 2, i % 4 < 2 ? ref : 0);
		drop(heap, ref);
	}
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	do {
		err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
		err_is(moheap_stat(heap, &stat), 0);
	} while (stat.objects);
	is(stat.unfinalized, N);
	is(moheap_dispatch(heap), 0);
	is(calls.n, 0);
}

/* ---- Storms ---- */

#define STORM_LIMIT	(8U << 20)	/* far less than all of them take together */
#define STORM_MANY	64

enum { MAKERS = 2, MORTALS = 8 };

static struct storm {
	struct moheap *heap;
	int type;
	unsigned long n;	/* objects of a maker */
	atomic_ulong finalized;
	atomic_ulong wrong;
	__u32 last[MAKERS];	/* of each maker's objects the one finalized last, counted from 1 */
	atomic_int makers;	/* that have not ended */
} storm;

/* Of its maker's objects this is the next, and has not been here before. */
static void weather(struct moheap *heap, moheap_ref_t ref, void *data)
{
	struct body *body = body_of(heap, ref);
	unsigned int maker = body->kind;

	if (body->self != ref || maker >= MAKERS || body->gone != ++storm.last[maker])
		atomic_fetch_add(&storm.wrong, 1);
	body->self = 0;
	if (atomic_fetch_add(&storm.finalized, 1) % 1000 == 0)
		usleep(1000);
}

/* Where the heap is full of what waits to be finalized, wait for that. */
static void storm_new(struct moheap *heap, int type, moheap_ref_t *refs)
{
	int err;

	while ((err = moheap_new_many(heap, type, STORM_MANY, refs)) == -ENOSPC)
		usleep(1000);
	err_is(err, 0);
}

static void *make_storm(void *arg)
{
	unsigned int maker = (uintptr_t)arg;
	moheap_ref_t refs[STORM_MANY];
	unsigned long made;
	unsigned int i;

	for (made = 0; made < storm.n; made += STORM_MANY) {
		storm_new(storm.heap, storm.type, refs);
		for (i = 0; i < STORM_MANY; i++) {
			*body_of(storm.heap, refs[i]) = (struct body){ refs[i], maker,
								       made + i + 1 };
			drop(storm.heap, refs[i]);
		}
	}
	err_is(moheap_flush(storm.heap), 0);
	atomic_fetch_sub(&storm.makers, 1);
	return NULL;
}

static unsigned long storm_scaled(unsigned long n)
{
	return (tap_scaled(n) / STORM_MANY + 1) * STORM_MANY;
}

static void slow_readers(void)
{
	struct moheap_stat stat = { .size = sizeof(stat) };
	pthread_t makers[MAKERS];
	unsigned int i;

	storm.heap = tap_heap_limited(STORM_LIMIT);
	storm.type = final_type(storm.heap, "object", SLOTS, 0);
	storm.n = storm_scaled(100000);
	storm.makers = MAKERS;
	err_is(moheap_set_finalizer(storm.heap, storm.type, weather, NULL), 0);
	for (i = 0; i < MAKERS; i++)
		ok(!pthread_create(&makers[i], NULL, make_storm, (void *)(uintptr_t)i));
	while (atomic_load(&storm.finalized) < MAKERS * storm.n)
		must(moheap_dispatch_wait(storm.heap, 100));
	for (i = 0; i < MAKERS; i++)
		ok(!pthread_join(makers[i], NULL));
	is(moheap_dispatch(storm.heap), 0);
	is(atomic_load(&storm.wrong), 0);
	is(atomic_load(&storm.finalized), MAKERS * storm.n);
	is(tap_objects(storm.heap), 0);
	err_is(moheap_stat(storm.heap, &stat), 0);
	is(stat.finalized, stat.allocated);
	is(stat.unfinalized, 0);
}

/* What processes that will be killed share with who survives them. */
static struct mortals {
	atomic_ulong finalized;
	atomic_ulong twice;
	unsigned long until;	/* a process dies in the finalizer, after so many */
} *mortals;

static void count_once(struct moheap *heap, moheap_ref_t ref, void *data)
{
	struct body *body = body_of(heap, ref);

	if (__atomic_exchange_n(&body->gone, 1, __ATOMIC_RELAXED))
		atomic_fetch_add(&mortals->twice, 1);
	atomic_fetch_add(&mortals->finalized, 1);
	if (data && !--mortals->until)
		raise(SIGKILL);
}

/* Half of what it makes is in cycles of two; some of it waits when it dies. */
static void be_mortal(void *arg)
{
	moheap_ref_t refs[STORM_MANY];
	struct moheap *own;
	unsigned int i;
	int type;

	err_is(moheap_join(*(int *)arg, 0, &own), 0);
	type = final_type(own, "object", SLOTS, 0);
	err_is(moheap_set_finalizer(own, type, count_once, arg), 0);
	for (;;) {
		storm_new(own, type, refs);
		for (i = 0; i < STORM_MANY; i += 2) {
			store(own, refs[i], LEFT, refs[i + 1]);
			store(own, refs[i + 1], LEFT, i % 4 ? refs[i] : 0);
		}
		for (i = 0; i < STORM_MANY; i++)
			drop(own, refs[i]);
		must(moheap_dispatch(own));
	}
}

static void dead_readers(void)
{
	struct moheap *heap = tap_heap();
	struct moheap_stat stat = { .size = sizeof(stat) };
	int fd = moheap_fd(heap), type = final_type(heap, "object", SLOTS, 0), status;
	unsigned int i;
	pid_t child;

	mortals = tap_shared(sizeof(*mortals));
	err_is(moheap_set_finalizer(heap, type, count_once, NULL), 0);
	for (i = 0; i < MORTALS; i++) {
		mortals->until = storm_scaled(12000) + i;
		child = tap_fork(be_mortal, &fd);
		is(waitpid(child, &status, 0), child);
		ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		must(moheap_dispatch(heap));
	}
	do {
		collect(heap);
	} while (tap_objects(heap));
	err_is(moheap_stat(heap, &stat), 0);
	/* All were handed to somebody; those that were in the hands of the dead went with them. */
	is(stat.finalized, stat.allocated);
	is(stat.unfinalized, 0);
	is(atomic_load(&mortals->twice), 0);
	ok(mortals->finalized >= MORTALS * storm_scaled(12000));
	ok(mortals->finalized <= stat.finalized);
	ok(mortals->finalized + MORTALS * STORM_MANY >= stat.finalized);
}

static void absent_readers(void)
{
	struct moheap *heap = tap_heap_limited(STORM_LIMIT);
	struct moheap_tune tune = {
		.size = sizeof(tune), .set = MOHEAP_TUNE_FINALIZE, .finalize_ms = 5,
	};
	struct moheap_stat stat = { .size = sizeof(stat) };
	unsigned long n = storm_scaled(100000), made;
	moheap_ref_t refs[STORM_MANY];
	int type = type_in(heap);
	unsigned int i;

	err_is(moheap_tune(heap, &tune), 0);
	for (made = 0; made < n; made += STORM_MANY) {
		storm_new(heap, type, refs);
		for (i = 0; i < STORM_MANY; i++)
			drop(heap, refs[i]);
	}
	tap_wait_objects(heap, 0);
	err_is(moheap_stat(heap, &stat), 0);
	is(stat.unfinalized, stat.allocated);
	ok(stat.allocated >= n);
	is(moheap_dispatch(heap), 0);
	is(calls.n, 0);
}

#define PYTHON(name)	{ #name, name }

static const struct tap_case cases[] = {
	{ "SimpleFinalizationTest.test_simple", test_simple },
	{ "SimpleFinalizationTest.test_simple_resurrect", test_simple_resurrect },
	PYTHON(test_non_gc),
	PYTHON(test_non_gc_resurrect),
	{ "SelfCycleFinalizationTest.test_simple", self_cycle_test_simple },
	{ "SelfCycleFinalizationTest.test_simple_resurrect", self_cycle_test_simple_resurrect },
	PYTHON(test_simple_suicide),
	PYTHON(test_homogenous),
	PYTHON(test_homogenous_resurrect),
	PYTHON(test_homogenous_suicidal),
	PYTHON(test_heterogenous_suicidal_one),
	PYTHON(test_heterogenous_suicidal_two),
	PYTHON(test_heterogenous_resurrect_one),
	PYTHON(test_heterogenous_resurrect_two),
	PYTHON(test_heterogenous_resurrect_three),
	PYTHON(test_del),
	PYTHON(test_resurrection_only_happens_once_per_object),
	PYTHON(test_resurrection_is_transitive),
	PYTHON(test_resurrection_does_not_block_cleanup_of_other_objects),
	PYTHON(test_bug1055820d),
	{ "errors", errors },
	{ "young objects", young_objects },
	{ "nothing is in stock", nothing_in_stock },
	{ "sizes vary", sizes_vary },
	{ "made in vain", made_in_vain },
	{ "in order", in_order },
	{ "held until its turn", held_until_its_turn },
	{ "brought back by a store", brought_back_by_a_store },
	{ "anything inside", anything_inside },
	{ "set and unset", set_and_unset },
	{ "unset while called", unset_while_called },
	{ "many threads", many_threads },
	{ "owners that die", dead_owners },
	{ "owners that never dispatch", owners_that_never_dispatch },
	{ "storm: slow readers", slow_readers, 120 },
	{ "storm: dead readers", dead_readers, 120 },
	{ "storm: absent readers", absent_readers, 120 },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
