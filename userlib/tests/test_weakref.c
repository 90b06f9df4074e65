// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Weak references. What CPython's test_weakref.py has of them comes first, under its names
 * (CPYTHON.md); then what only a heap that several threads and processes share can get wrong.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "values.h"

#define MOST_CALLS	128

/* What callbacks saw: which weak references, in which order. */
static struct {
	struct moheap_weakref *weakrefs[MOST_CALLS];
	void *data[MOST_CALLS];
	unsigned int n;
} calls;

static void noted(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	moheap_ref_t ref;

	ok(calls.n < MOST_CALLS);
	calls.weakrefs[calls.n] = weakref;
	calls.data[calls.n++] = data;
	err_is(moheap_weakref_get(heap, weakref, &ref), 0);
	is(ref, 0);
	ok(!moheap_weakref_callback(weakref, NULL));
}

static int type_of(struct moheap *heap)
{
	return tap_type(heap, "C", 8, 3);
}

static moheap_ref_t new_object(struct moheap *heap)
{
	return tap_new(heap, type_of(heap));
}

static struct moheap_weakref *weakref_with(struct moheap *heap, moheap_ref_t ref,
					   moheap_weakref_callback_t callback, void *data)
{
	struct moheap_weakref *weakref;

	err_is(moheap_weakref_new(heap, ref, callback, data, &weakref), 0);
	ok(moheap_weakref_peek(weakref) == ref);
	return weakref;
}

static struct moheap_weakref *plain(struct moheap *heap, moheap_ref_t ref)
{
	return weakref_with(heap, ref, NULL, NULL);
}

static struct moheap_weakref *with_note(struct moheap *heap, moheap_ref_t ref)
{
	return weakref_with(heap, ref, noted, NULL);
}

static void drop(struct moheap *heap, moheap_ref_t ref)
{
	err_is(moheap_decref(heap, ref), 0);
}

/* The weak reference gives the object, or, for 0, nothing. */
static void gives(struct moheap *heap, struct moheap_weakref *weakref, moheap_ref_t want)
{
	moheap_ref_t ref;

	is(moheap_weakref_alive(heap, weakref), !!want);
	err_is(moheap_weakref_get(heap, weakref, &ref), 0);
	ok(ref == want);
	drop(heap, ref);
}

static void collect(struct moheap *heap)
{
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
}

/* ---- ReferencesTestCase ---- */

static void test_basic_ref(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t list, refs[3];
	unsigned int i;

	err_is(moheap_list_new(heap, 0, &list), 0);
	refs[0] = new_object(heap);
	refs[1] = list;
	refs[2] = value_int(heap, 3);
	for (i = 0; i < TAP_COUNT(refs); i++) {
		struct moheap_weakref *weakref = plain(heap, refs[i]);

		is(moheap_refcount(heap, refs[i]), 1);
		gives(heap, weakref, refs[i]);
		is(moheap_refcount(heap, refs[i]), 1);
		drop(heap, refs[i]);
		gives(heap, weakref, 0);
		ok(moheap_weakref_peek(weakref) == refs[i]);
		moheap_weakref_free(heap, weakref);
	}
}

static void test_basic_callback(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap);
	struct moheap_weakref *weakref = weakref_with(heap, ref, noted, &ref);

	is(moheap_dispatch(heap), 0);
	gives(heap, weakref, ref);
	drop(heap, ref);
	/* Dead for all, before anybody is told. */
	gives(heap, weakref, 0);
	is(calls.n, 0);
	is(moheap_dispatch(heap), 1);
	is(calls.n, 1);
	ok(calls.weakrefs[0] == weakref && calls.data[0] == &ref);
	gives(heap, weakref, 0);
	is(moheap_dispatch(heap), 0);
	is(calls.n, 1);
	moheap_weakref_free(heap, weakref);
}

static void test_multiple_callbacks(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap);
	struct moheap_weakref *first = with_note(heap, ref), *second = with_note(heap, ref);

	ok(first != second);
	drop(heap, ref);
	is(moheap_dispatch(heap), 2);
	is(calls.n, 2);
	/* The newest is called first. */
	ok(calls.weakrefs[0] == second && calls.weakrefs[1] == first);
	gives(heap, first, 0);
	gives(heap, second, 0);
}

static void look_at_other(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	gives(heap, *(struct moheap_weakref **)data, 0);
	noted(heap, weakref, data);
}

static void test_multiple_selfref_callbacks(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap);
	struct moheap_weakref *first;

	first = weakref_with(heap, ref, look_at_other, &first);
	weakref_with(heap, ref, look_at_other, &first);
	drop(heap, ref);
	is(moheap_dispatch(heap), 2);
	is(calls.n, 2);
}

/* A ref is its own proxy. */
static void test_proxy_ref(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap), target;
	struct moheap_weakref *weakref = with_note(heap, ref);
	moheap_ref_t proxy = moheap_weakref_peek(weakref);

	if (tap_guarded())
		tap_skip("refs of objects that are gone are reported");
	err_is(moheap_load(heap, proxy, 0, &target), 0);
	drop(heap, ref);
	err_is(moheap_load(heap, proxy, 0, &target), -ESTALE);
	is(moheap_refcount(heap, proxy), -ESTALE);
	moheap_store(heap, proxy, 0, 0);
	err_is(moheap_flush(heap), -ESTALE);
	is(moheap_dispatch(heap), 1);
	is(calls.n, 1);
}

static void test_ref_reuse(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap);
	struct moheap_weakref *first = plain(heap, ref), *between = with_note(heap, ref);
	struct moheap_weakref *second = plain(heap, ref);

	ok(first == second && first != between);
	is(moheap_getweakrefcount(heap, ref), 2);
	moheap_weakref_free(heap, between);
	is(moheap_getweakrefcount(heap, ref), 1);
	moheap_weakref_free(heap, first);
	gives(heap, second, ref);
	is(moheap_getweakrefcount(heap, ref), 1);
	moheap_weakref_free(heap, second);
	is(moheap_getweakrefcount(heap, ref), 0);
	drop(heap, ref);
}

static void test_shared_ref_without_callback(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap), other = new_object(heap);
	struct moheap_weakref *first = plain(heap, ref), *second = plain(heap, ref);

	ok(first == second);
	ok(plain(heap, other) != first);
	moheap_weakref_free(heap, first);
	moheap_weakref_free(heap, second);
	first = plain(heap, ref);
	ok(plain(heap, ref) == first);
	/* Data without a callback is nothing. */
	ok(weakref_with(heap, ref, NULL, &ref) == first);
	drop(heap, ref);
	err_is(moheap_weakref_new(heap, ref, NULL, NULL, &second), -ESTALE);
	gives(heap, first, 0);
	drop(heap, other);
}

static void test_getweakrefcount(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap), number = value_int(heap, 1);
	struct moheap_weakref *weakrefs[3] = {
		plain(heap, ref), with_note(heap, ref), with_note(heap, ref),
	};
	unsigned int i;

	is(moheap_getweakrefcount(heap, ref), 3);
	for (i = 0; i < TAP_COUNT(weakrefs); i++)
		moheap_weakref_free(heap, weakrefs[i]);
	is(moheap_getweakrefcount(heap, ref), 0);
	is(moheap_getweakrefcount(heap, number), 0);
	drop(heap, ref);
	is(moheap_getweakrefcount(heap, ref), -ESTALE);
	is(moheap_getweakrefcount(heap, 0), -EINVAL);
	drop(heap, number);
	is(moheap_dispatch(heap), 0);
	is(calls.n, 0);
}

static void test_getweakrefs(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap);
	struct moheap_weakref *first = with_note(heap, ref), *second = with_note(heap, ref);
	struct moheap_weakref *got[4], *basic = plain(heap, ref);

	is(moheap_getweakrefs(heap, ref, got, 4), 3);
	ok(got[0] == basic && got[1] == second && got[2] == first);
	moheap_weakref_free(heap, got[0]);
	moheap_weakref_free(heap, got[1]);
	moheap_weakref_free(heap, got[2]);
	moheap_weakref_free(heap, basic);
	moheap_weakref_free(heap, first);
	is(moheap_getweakrefs(heap, ref, got, 1), 1);
	ok(got[0] == second);
	/* Whoever was given it keeps it, callback and all. */
	moheap_weakref_free(heap, second);
	is(moheap_getweakrefcount(heap, ref), 1);
	drop(heap, ref);
	is(moheap_dispatch(heap), 1);
	is(calls.n, 1);
	moheap_weakref_free(heap, got[0]);
	is(moheap_getweakrefs(heap, ref, got, 4), -ESTALE);
}

static void collects(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	collect(heap);
	noted(heap, weakref, data);
}

static void test_sf_bug_840829(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t c, c1, c2;

	c = new_object(heap);
	weakref_with(heap, c, collects, NULL);
	drop(heap, c);
	is(moheap_dispatch(heap), 1);
	/* One that goes down with what refers to it. */
	c = new_object(heap);
	c1 = new_object(heap);
	c2 = new_object(heap);
	err_is(moheap_store(heap, c1, 0, c), 0);
	err_is(moheap_store(heap, c2, 0, c1), 0);
	weakref_with(heap, c, collects, NULL);
	drop(heap, c);
	drop(heap, c1);
	is(moheap_dispatch(heap), 0);
	drop(heap, c2);
	is(moheap_dispatch(heap), 1);
	is(calls.n, 2);
	is(tap_objects(heap), 0);
}

/* Callbacks are never part of the garbage here: they are called, and bring nothing back. */
static void take_other(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	err_is(moheap_incref(heap, *(moheap_ref_t *)data), -ESTALE);
	noted(heap, weakref, data);
}

static void test_callback_in_cycle(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t i = new_object(heap), j = new_object(heap);

	err_is(moheap_store(heap, j, 0, j), 0);
	err_is(moheap_store(heap, i, 0, i), 0);
	err_is(moheap_store(heap, i, 1, j), 0);
	weakref_with(heap, j, take_other, &i);
	drop(heap, i);
	drop(heap, j);
	collect(heap);
	is(moheap_dispatch(heap), 1);
	is(calls.n, 1);
	is(tap_objects(heap), 0);
}

static void test_callback_reachable_one_way(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t c1 = new_object(heap), c2 = new_object(heap);

	err_is(moheap_store(heap, c2, 0, c2), 0);
	err_is(moheap_store(heap, c2, 1, c1), 0);
	weakref_with(heap, c1, take_other, &c2);
	drop(heap, c1);
	drop(heap, c2);
	collect(heap);
	is(moheap_dispatch(heap), 1);
	is(tap_objects(heap), 0);
}

static void test_callback_in_cycle_resurrection(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t c1 = new_object(heap), c2 = new_object(heap);

	err_is(moheap_store(heap, c1, 0, c2), 0);
	err_is(moheap_store(heap, c2, 0, c1), 0);
	weakref_with(heap, c1, take_other, &c2);
	weakref_with(heap, c2, take_other, &c1);
	drop(heap, c1);
	drop(heap, c2);
	is(moheap_dispatch(heap), 0);
	collect(heap);
	is(moheap_dispatch(heap), 2);
	is(calls.n, 2);
	collect(heap);
	is(moheap_dispatch(heap), 0);
	is(tap_objects(heap), 0);
}

static void drop_data(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	noted(heap, weakref, data);
	drop(heap, *(moheap_ref_t *)data);
}

/* What a callback lets go of is told of in its turn. */
static void test_callbacks_on_callback(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t c = new_object(heap), d = new_object(heap), kept = new_object(heap);
	struct moheap_weakref *external;

	err_is(moheap_store(heap, c, 0, d), 0);
	err_is(moheap_store(heap, d, 0, c), 0);
	weakref_with(heap, d, drop_data, &kept);
	external = with_note(heap, kept);
	drop(heap, c);
	drop(heap, d);
	gives(heap, external, kept);
	collect(heap);
	is(moheap_dispatch(heap), 1);
	gives(heap, external, 0);
	is(moheap_dispatch(heap), 1);
	is(calls.n, 2);
	ok(calls.weakrefs[1] == external);
}

static unsigned int tallied;

static void tally(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	ok(data == &tallied);
	tallied++;
	moheap_weakref_free(heap, weakref);
}

/* The collector at work, while weak references to what it looks at are made. */
static void test_gc_during_ref_creation(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t referenced = new_object(heap), a;
	unsigned int i, n = tap_scaled(2000) * 2;

	err_is(moheap_set_threshold(heap, 1, 1), 0);
	for (i = 0; i < n; i++) {
		a = new_object(heap);
		err_is(moheap_store(heap, a, 0, a), 0);
		err_is(moheap_store(heap, a, 1, referenced), 0);
		weakref_with(heap, a, i & 1 ? tally : NULL, &tallied);
		drop(heap, a);
		moheap_weakref_free(heap, with_note(heap, referenced));
		ok(moheap_dispatch(heap) >= 0);
	}
	collect(heap);
	ok(moheap_dispatch(heap) >= 0);
	is(tallied, n / 2);
	is(calls.n, 0);
	drop(heap, referenced);
}

static struct moheap_weakref *from_del[2];

static void ref_from_del(struct moheap *heap, moheap_ref_t ref, void *data)
{
	from_del[0] = plain(heap, ref);
	from_del[1] = weakref_with(heap, ref, noted, data);
}

/* What is about to go can have weak references: they are told of its death. */
static void test_ref_created_during_del(void)
{
	struct moheap_layout layout = {
		.size = sizeof(layout), .flags = MOHEAP_TYPE_FINALIZE, .name = "Target",
		.payload = 8, .slots = 1,
	};
	struct moheap *heap = tap_heap();
	moheap_ref_t w;
	int type, i;

	type = must(moheap_type_register(heap, &layout));
	err_is(moheap_set_finalizer(heap, type, ref_from_del, &layout), 0);
	/* Of one that goes by its count, and of one in a cycle. */
	for (i = 0; i < 2; i++) {
		w = tap_new(heap, type);
		err_is(moheap_store(heap, w, 0, i ? w : 0), 0);
		drop(heap, w);
		collect(heap);
		is(moheap_dispatch(heap), 1);
		is(calls.n, i);
		collect(heap);
		is(moheap_dispatch(heap), 1);
		is(calls.n, i + 1);
		ok(calls.weakrefs[i] == from_del[1] && calls.data[i] == &layout);
		gives(heap, from_del[0], 0);
	}
	is(tap_objects(heap), 0);
}

static void test_equality(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t x = value_int(heap, 1), y = value_int(heap, 1), z = value_int(heap, 2);
	struct moheap_weakref *a = plain(heap, x), *b = plain(heap, y), *c = plain(heap, z);
	struct moheap_weakref *d = with_note(heap, x);

	is(moheap_weakref_equal(heap, a, b), 1);
	is(moheap_weakref_equal(heap, a, c), 0);
	is(moheap_weakref_equal(heap, a, d), 1);
	is(moheap_weakref_equal(heap, d, b), 1);
	drop(heap, x);
	is(moheap_weakref_equal(heap, a, b), 0);
	drop(heap, y);
	drop(heap, z);
	is(moheap_weakref_equal(heap, a, b), 0);
	is(moheap_weakref_equal(heap, a, c), 0);
	is(moheap_weakref_equal(heap, a, d), 0);
	is(moheap_weakref_equal(heap, a, a), 1);
	is(moheap_weakref_equal(heap, d, d), 1);
}

static void test_hashing(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t x = value_bytes(heap, "42"), y = value_bytes(heap, "42");
	struct moheap_weakref *a = plain(heap, x), *b = plain(heap, y);
	__u64 hash, want;

	err_is(moheap_hash(heap, x, &want), 0);
	err_is(moheap_weakref_hash(heap, a, &hash), 0);
	ok(hash == want);
	drop(heap, x);
	drop(heap, y);
	hash = 0;
	err_is(moheap_weakref_hash(heap, a, &hash), 0);
	ok(hash == want);
	err_is(moheap_weakref_hash(heap, b, &hash), -ESTALE);
}

/* An object further down may be there still. Then it is whole, and goes when we let go of it. */
static void look_at_child(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	moheap_ref_t child = *(moheap_ref_t *)data, next;

	noted(heap, weakref, data);
	if (moheap_incref(heap, child))
		return;
	err_is(moheap_load(heap, child, 0, &next), 0);
	drop(heap, next);
	drop(heap, child);
}

/* A chain goes down step by step. */
static void test_trashcan_16602(void)
{
	enum { CHAIN = 100 };
	struct moheap *heap = tap_heap();
	moheap_ref_t refs[CHAIN];
	static moheap_ref_t children[CHAIN];
	int n, i;

	for (i = 0; i < CHAIN; i++) {
		refs[i] = new_object(heap);
		if (i)
			err_is(moheap_store(heap, refs[i - 1], 0, refs[i]), 0);
	}
	for (i = 1; i < CHAIN; i++) {
		children[i] = refs[i];
		weakref_with(heap, refs[i - 1], look_at_child, &children[i]);
	}
	for (i = 1; i < CHAIN; i++)
		drop(heap, refs[i]);
	drop(heap, refs[0]);
	for (n = 0; n < CHAIN - 1; n += i) {
		calls.n = 0;
		i = moheap_dispatch_wait(heap, 10000);
		ok(i > 0);
	}
	is(tap_objects(heap), 0);
}

static void test_callback_attribute(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap);
	void *data = NULL;

	ok(moheap_weakref_callback(weakref_with(heap, ref, noted, &ref), &data) == noted);
	ok(data == &ref);
	ok(!moheap_weakref_callback(plain(heap, ref), &data));
	drop(heap, ref);
}

static void test_callback_attribute_after_deletion(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap);
	struct moheap_weakref *weakref = with_note(heap, ref);

	ok(moheap_weakref_callback(weakref, NULL) == noted);
	drop(heap, ref);
	is(moheap_dispatch(heap), 1);
	ok(!moheap_weakref_callback(weakref, NULL));
}

/* ---- SubclassableWeakrefTestCase ---- */

/* A weak reference has what keeps its object: to drop it is to have no callback. */
static void test_subclass_refs_with_cycle(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap);
	struct moheap_weakref *first = weakref_with(heap, ref, noted, &ref);
	struct moheap_weakref *second = weakref_with(heap, ref, noted, first);

	moheap_weakref_free(heap, first);
	moheap_weakref_free(heap, second);
	drop(heap, ref);
	is(moheap_dispatch(heap), 0);
	is(calls.n, 0);
}

/* ---- Beyond ---- */

static void dropped_first(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t refs[2] = { new_object(heap), new_object(heap) };
	struct moheap_weakref *weakrefs[2] = {
		with_note(heap, refs[0]), with_note(heap, refs[1]),
	};

	moheap_weakref_free(heap, weakrefs[0]);
	drop(heap, refs[0]);
	drop(heap, refs[1]);
	err_is(moheap_flush(heap), 0);
	/* Told already, but not to us. */
	moheap_weakref_free(heap, weakrefs[1]);
	moheap_weakref_free(heap, NULL);
	is(moheap_dispatch(heap), 0);
	is(calls.n, 0);
}

static void frees_itself(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	noted(heap, weakref, data);
	moheap_weakref_free(heap, weakref);
	/* And the one that would be next. */
	moheap_weakref_free(heap, data);
}

static void freed_inside(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap);

	weakref_with(heap, ref, frees_itself, with_note(heap, ref));
	drop(heap, ref);
	is(moheap_dispatch(heap), 1);
	is(calls.n, 1);
}

static void errors(void)
{
	static struct moheap_weakref *weakrefs[MOHEAP_WATCHES_MAX];
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap);
	struct moheap_weakref *weakref;
	unsigned int i;

	err_is(moheap_weakref_new(heap, 0, NULL, NULL, &weakref), -EINVAL);
	err_is(moheap_weakref_new(heap, 0, noted, NULL, &weakref), -EINVAL);
	err_is(moheap_weakref_new(heap, ~0ULL, NULL, NULL, &weakref), -EINVAL);
	err_is(moheap_weakref_new(heap, ~0ULL, noted, NULL, &weakref), -EINVAL);
	for (i = 0; i < MOHEAP_WATCHES_MAX; i++)
		weakrefs[i] = with_note(heap, ref);
	err_is(moheap_weakref_new(heap, ref, noted, NULL, &weakref), -EOVERFLOW);
	plain(heap, ref);
	is(moheap_getweakrefcount(heap, ref), MOHEAP_WATCHES_MAX + 1);
	for (i = 0; i < MOHEAP_WATCHES_MAX; i++)
		moheap_weakref_free(heap, weakrefs[i]);
	drop(heap, ref);
	err_is(moheap_weakref_new(heap, ref, NULL, NULL, &weakref), -ESTALE);
	err_is(moheap_weakref_new(heap, ref, noted, NULL, &weakref), -ESTALE);
	/* One that the kernel never heard of. */
	ref = new_object(heap);
	weakref = plain(heap, ref);
	drop(heap, ref);
	gives(heap, weakref, 0);
	ref = new_object(heap);
	gives(heap, weakref, 0);
	drop(heap, ref);
}

/* What others hold is there, though we do not hold it. */
static void held_by_others(void)
{
	struct moheap *heap = tap_heap(), *other;
	struct moheap_weakref *weakref, *told;
	moheap_ref_t ref = new_object(heap);

	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	err_is(moheap_incref(other, ref), 0);
	weakref = plain(heap, ref);
	told = with_note(heap, ref);
	drop(heap, ref);
	gives(heap, weakref, ref);
	gives(heap, told, ref);
	is(moheap_getweakrefcount(heap, ref), 2);
	is(moheap_getweakrefcount(other, ref), 0);
	is(moheap_dispatch(heap), 0);
	err_is(moheap_close(other), 0);
	is(moheap_dispatch_wait(heap, 10000), 1);
	is(calls.n, 1);
	gives(heap, weakref, 0);
}

/* To look and to be told is not to change anything. */
static void read_only(void)
{
	struct moheap *heap = tap_heap(), *reader;
	moheap_ref_t ref = new_object(heap);
	struct moheap_weakref *basic, *told;

	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	basic = plain(reader, ref);
	told = with_note(reader, ref);
	gives(reader, basic, ref);
	drop(heap, ref);
	err_is(moheap_flush(heap), 0);
	/* It may hold it still, from when it looked. */
	err_is(moheap_flush(reader), 0);
	gives(reader, basic, 0);
	is(moheap_dispatch(reader), 1);
	is(calls.n, 1);
	moheap_weakref_free(reader, told);
	err_is(moheap_close(reader), 0);
}

static void reported(struct moheap *heap, const struct moheap_guard_report *report, void *data)
{
	tap_fail(__FILE__, __LINE__, "error %u of %p %p", report->error, (void *)heap, data);
}

/* To ask whether an object is there is no misuse of it. */
static void nothing_is_reported(void)
{
	struct moheap_options options = { .size = sizeof(options), .flags = MOHEAP_CREATE_GUARD };
	struct moheap_weakvaluedict *dict;
	struct moheap_weakref *weakref, *other;
	moheap_ref_t ref, key, value;
	struct moheap *heap;

	err_is(moheap_create(&options, &heap), 0);
	err_is(moheap_set_guard_handler(heap, reported, NULL), 0);
	err_is(moheap_weakvaluedict_new(heap, &dict), 0);
	key = value_int(heap, 1);
	ref = new_object(heap);
	weakref = plain(heap, ref);
	other = with_note(heap, ref);
	err_is(moheap_weakvaluedict_set(heap, dict, key, ref), 0);
	drop(heap, ref);
	gives(heap, weakref, 0);
	gives(heap, other, 0);
	is(moheap_weakref_equal(heap, weakref, other), 0);
	is(moheap_getweakrefcount(heap, ref), -ESTALE);
	err_is(moheap_weakref_new(heap, ref, NULL, NULL, &weakref), -ESTALE);
	err_is(moheap_weakref_new(heap, ref, noted, NULL, &weakref), -ESTALE);
	is(moheap_weakvaluedict_len(heap, dict), 0);
	err_is(moheap_weakvaluedict_get(heap, dict, key, &value), -ENOENT);
	is(moheap_dispatch(heap), 1);
	drop(heap, key);
	err_is(moheap_close(heap), 0);
}

/* ---- Threads ---- */

static pthread_barrier_t inside;
static atomic_bool returned;

static void takes_its_time(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	pthread_barrier_wait(&inside);
	usleep(20000);
	noted(heap, weakref, data);
	atomic_store(&returned, true);
}

static void freed_while_called(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = new_object(heap);
	struct moheap_weakref *weakref = weakref_with(heap, ref, takes_its_time, NULL);

	ok(!pthread_barrier_init(&inside, NULL, 2));
	err_is(moheap_start_dispatcher(heap), 0);
	drop(heap, ref);
	err_is(moheap_flush(heap), 0);
	pthread_barrier_wait(&inside);
	moheap_weakref_free(heap, weakref);
	ok(atomic_load(&returned));
	is(calls.n, 1);
}

struct worker {
	struct moheap *heap;
	pthread_t thread;
	int type;
	unsigned int seed;
	unsigned long kept;
};

static atomic_ulong told;

static void count(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	ok(data);
	atomic_fetch_add(&told, 1);
	moheap_weakref_free(heap, weakref);
}

/* Drop the object first, or the weak reference: then nobody is told. */
static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned long i, n = tap_scaled(3000);

	for (i = 0; i < n; i++) {
		moheap_ref_t ref = tap_new(w->heap, w->type);
		struct moheap_weakref *weakref = weakref_with(w->heap, ref, count, w);
		bool keep = rand_r(&w->seed) % 2;

		if (rand_r(&w->seed) % 4 == 0)
			moheap_weakref_free(w->heap, plain(w->heap, ref));
		if (!keep)
			moheap_weakref_free(w->heap, weakref);
		drop(w->heap, ref);
		w->kept += keep;
	}
	return NULL;
}

static void many_threads(void)
{
	struct moheap *heap = tap_heap();
	unsigned long kept = 0;
	struct worker w[3];
	unsigned int i;

	values_seed();
	err_is(moheap_start_dispatcher(heap), 0);
	for (i = 0; i < TAP_COUNT(w); i++) {
		w[i] = (struct worker){ .heap = heap, .type = type_of(heap), .seed = rand() };
		ok(!pthread_create(&w[i].thread, NULL, work, &w[i]));
	}
	for (i = 0; i < TAP_COUNT(w); i++) {
		ok(!pthread_join(w[i].thread, NULL));
		kept += w[i].kept;
	}
	ok(moheap_dispatch(heap) >= 0);
	is(atomic_load(&told), kept);
	is(tap_objects(heap), 0);
}

/* ---- Fork ---- */

struct family {
	struct moheap *heap;
	moheap_ref_t refs[2];
	struct moheap_weakref *weakrefs[2];
	struct moheap_weakref *plain;
};

static void in_the_child(void *arg)
{
	struct family *f = arg;

	gives(f->heap, f->plain, f->refs[0]);
	is(moheap_getweakrefcount(f->heap, f->refs[0]), 2);
	is(moheap_dispatch(f->heap), 0);
	drop(f->heap, f->refs[0]);
	/* The parent has it still. */
	is(moheap_dispatch(f->heap), 0);
	gives(f->heap, f->plain, f->refs[0]);
	moheap_weakref_free(f->heap, f->weakrefs[1]);
	drop(f->heap, f->refs[1]);
	is(moheap_dispatch(f->heap), 0);
	is(calls.n, 0);
	err_is(moheap_close(f->heap), 0);
}

static void what_died_in_the_child(void *arg)
{
	struct family *f = arg;

	is(calls.n, 0);
	is(moheap_dispatch(f->heap), 2);
	is(calls.n, 2);
	gives(f->heap, f->plain, 0);
	moheap_weakref_free(f->heap, f->plain);
	moheap_weakref_free(f->heap, f->weakrefs[0]);
	err_is(moheap_close(f->heap), 0);
}

static void children_have_their_own(void)
{
	struct family f = { .heap = tap_heap() };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		f.refs[i] = new_object(f.heap);
		f.weakrefs[i] = with_note(f.heap, f.refs[i]);
	}
	f.plain = plain(f.heap, f.refs[0]);
	tap_wait(tap_fork(in_the_child, &f));
	is(moheap_dispatch(f.heap), 0);
	gives(f.heap, f.plain, f.refs[0]);
	gives(f.heap, f.weakrefs[1], f.refs[1]);
	drop(f.heap, f.refs[0]);
	drop(f.heap, f.refs[1]);
	err_is(moheap_flush(f.heap), 0);
	/* Both are told of what neither was told of before. */
	tap_wait(tap_fork(what_died_in_the_child, &f));
	is(moheap_dispatch(f.heap), 2);
	is(calls.n, 2);
}

static void without_a_client(void *arg)
{
	struct family *f = arg;
	moheap_ref_t ref;

	err_is(moheap_weakref_get(f->heap, f->plain, &ref), -ENOTCONN);
	is(ref, 0);
	is(moheap_weakref_alive(f->heap, f->plain), -ENOTCONN);
	err_is(moheap_weakref_new(f->heap, f->refs[0], NULL, NULL, &f->plain), -ENOTCONN);
	err_is(moheap_weakref_new(f->heap, f->refs[0], noted, NULL, &f->plain), -ENOTCONN);
	moheap_weakref_free(f->heap, f->weakrefs[0]);
	err_is(moheap_close(f->heap), 0);
}

static void children_without_a_client(void)
{
	struct family f = { .heap = tap_heap() };
	struct moheap *other;

	f.refs[0] = new_object(f.heap);
	f.weakrefs[0] = with_note(f.heap, f.refs[0]);
	f.plain = plain(f.heap, f.refs[0]);
	err_is(moheap_clone(f.heap, &other), 0);
	drop(f.heap, f.refs[0]);
	err_is(moheap_set_fork(f.heap, MOHEAP_FORK_NONE), 0);
	tap_wait(tap_fork(without_a_client, &f));
	gives(f.heap, f.plain, f.refs[0]);
	err_is(moheap_close(other), 0);
	is(moheap_dispatch_wait(f.heap, 10000), 1);
}

#define PYTHON(test)	{ #test, test }

static const struct tap_case cases[] = {
	PYTHON(test_basic_ref),
	PYTHON(test_basic_callback),
	PYTHON(test_multiple_callbacks),
	PYTHON(test_multiple_selfref_callbacks),
	PYTHON(test_proxy_ref),
	PYTHON(test_ref_reuse),
	PYTHON(test_shared_ref_without_callback),
	PYTHON(test_getweakrefcount),
	PYTHON(test_getweakrefs),
	PYTHON(test_sf_bug_840829),
	PYTHON(test_callback_in_cycle),
	PYTHON(test_callback_reachable_one_way),
	PYTHON(test_callback_in_cycle_resurrection),
	PYTHON(test_callbacks_on_callback),
	PYTHON(test_gc_during_ref_creation),
	PYTHON(test_ref_created_during_del),
	PYTHON(test_equality),
	PYTHON(test_hashing),
	PYTHON(test_trashcan_16602),
	PYTHON(test_callback_attribute),
	PYTHON(test_callback_attribute_after_deletion),
	PYTHON(test_subclass_refs_with_cycle),
	{ "dropped first, and never called", dropped_first },
	{ "freed by their callbacks", freed_inside },
	{ "errors", errors },
	{ "held by others", held_by_others },
	{ "read-only", read_only },
	{ "nothing is reported in guarded heaps", nothing_is_reported },
	{ "freed while called", freed_while_called },
	{ "many threads", many_threads },
	{ "children have their own", children_have_their_own },
	{ "children without a client", children_without_a_client },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
