// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * What Python's gc and sys tell of a heap. Cases that bear the name of one in CPython's test_gc.py
 * have its intent: CPYTHON.md.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>

#include "raw.h"

#define ROOM	100

/* A heap whose collector waits until it is asked. */
static struct moheap *quiet_heap(void)
{
	struct moheap *heap = tap_heap();

	err_is(moheap_disable(heap), 0);
	return heap;
}

/* Everything that a full collection finds. */
static unsigned long long collect(struct moheap *heap, unsigned int generation)
{
	unsigned long long unreachable;

	err_is(moheap_collect(heap, generation, &unreachable), 0);
	return unreachable;
}

/* Objects in a ring, of which the first is held. */
static moheap_ref_t ring(struct moheap *heap, int type, unsigned int n)
{
	moheap_ref_t first = tap_new(heap, type), last = first, next;
	unsigned int i;

	for (i = 1; i < n; i++) {
		next = tap_new(heap, type);
		err_is(moheap_store(heap, last, 0, next), 0);
		if (last != first)
			err_is(moheap_decref(heap, last), 0);
		last = next;
	}
	err_is(moheap_store(heap, last, 0, first), 0);
	if (last != first)
		err_is(moheap_decref(heap, last), 0);
	return first;
}

/* ---- Cycles ---- */

static void test_list(void)
{
	struct moheap *heap = quiet_heap();
	moheap_ref_t list;

	err_is(moheap_list_new(heap, 0, &list), 0);
	err_is(moheap_list_append(heap, list, list), 0);
	err_is(moheap_flush(heap), 0);
	collect(heap, MOHEAP_COLLECT_FULL);
	err_is(moheap_decref(heap, list), 0);
	/* The list and its array. */
	is(collect(heap, MOHEAP_COLLECT_FULL), 2);
	is(tap_objects(heap), 0);
}

static void test_dict(void)
{
	struct moheap *heap = quiet_heap();
	moheap_ref_t dict, key;

	err_is(moheap_dict_new(heap, &dict), 0);
	err_is(moheap_int_new(heap, 1, &key), 0);
	err_is(moheap_dict_set(heap, dict, key, dict), 0);
	err_is(moheap_decref(heap, key), 0);
	collect(heap, MOHEAP_COLLECT_FULL);
	err_is(moheap_decref(heap, dict), 0);
	ok(collect(heap, MOHEAP_COLLECT_FULL) >= 1);
	is(tap_objects(heap), 0);
}

static void test_tuple(void)
{
	struct moheap *heap = quiet_heap();
	moheap_ref_t list, tuple;

	/* A tuple cannot be made to hold itself: it does by way of a list. */
	err_is(moheap_list_new(heap, 0, &list), 0);
	err_is(moheap_tuple_new(heap, &list, 1, &tuple), 0);
	err_is(moheap_list_append(heap, list, tuple), 0);
	err_is(moheap_decref(heap, tuple), 0);
	collect(heap, MOHEAP_COLLECT_FULL);
	err_is(moheap_decref(heap, list), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 3);
	is(tap_objects(heap), 0);
}

static void test_instance(void)
{
	struct moheap *heap = quiet_heap();
	int type = tap_type(heap, "a", 16, 2);
	moheap_ref_t a = tap_new(heap, type);

	err_is(moheap_store(heap, a, 0, a), 0);
	collect(heap, MOHEAP_COLLECT_FULL);
	err_is(moheap_decref(heap, a), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 1);
	is(tap_objects(heap), 0);
}

/* Deeply nested things go without recursion, each as it was made. */
static void test_trashcan(void)
{
	struct moheap *heap = quiet_heap();
	unsigned long n = tap_scaled(20000), i;
	moheap_ref_t outer, inner;

	err_is(moheap_tuple_new(heap, NULL, 0, &inner), 0);
	for (i = 0; i < n; i++) {
		err_is(moheap_tuple_new(heap, &inner, 1, &outer), 0);
		err_is(moheap_decref(heap, inner), 0);
		inner = outer;
	}
	err_is(moheap_decref(heap, inner), 0);
	tap_wait_objects(heap, 0);
}

static void test_bug1055820b(void)
{
	struct moheap *heap = quiet_heap();
	int type = tap_type(heap, "a", 0, 1);
	moheap_ref_t outside = ring(heap, type, 1), weak = ring(heap, type, 1);

	/* The ref is weak: it sees its object go with the collection, and not before. */
	err_is(moheap_decref(heap, weak), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_incref(heap, weak), 0);
	err_is(moheap_decref(heap, weak), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 1);
	err_is(moheap_incref(heap, weak), -ESTALE);
	err_is(moheap_incref(heap, outside), 0);
	is(tap_objects(heap), 1);
}

/* ---- Figures ---- */

static void test_get_count(void)
{
	struct moheap *heap = quiet_heap();
	int type = tap_type(heap, "a", 0, 1);
	unsigned long long count[MOHEAP_GENERATIONS];

	collect(heap, MOHEAP_COLLECT_FULL);
	err_is(moheap_get_count(heap, count), 0);
	is(count[0], 0);
	is(count[1], 0);
	is(count[2], 0);
	err_is(moheap_decref(heap, ring(heap, type, 2)), 0);
	err_is(moheap_get_count(heap, count), 0);
	ok(count[0] >= 1);
	is(count[1], count[0]);
	is(count[2], 0);
}

static void test_collect_generations(void)
{
	struct moheap *heap = quiet_heap();
	struct moheap_tune tune = { .size = sizeof(tune), .set = MOHEAP_TUNE_BUDGET, .budget = 10 };
	int type = tap_type(heap, "a", 0, 1);
	unsigned long long count[MOHEAP_GENERATIONS];

	/* What is too large for a local pass waits for generation 2. */
	err_is(moheap_tune(heap, &tune), 0);
	err_is(moheap_decref(heap, ring(heap, type, 50)), 0);
	is(collect(heap, MOHEAP_COLLECT_LOCAL), 0);
	err_is(moheap_get_count(heap, count), 0);
	is(count[2], 1);
	is(collect(heap, MOHEAP_COLLECT_LOCAL_ALL), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 50);
	err_is(moheap_get_count(heap, count), 0);
	is(count[2], 0);
	err_is(moheap_collect(heap, MOHEAP_GENERATIONS, NULL), -EINVAL);
}

static void test_get_stats(void)
{
	struct moheap *heap = quiet_heap();
	int type = tap_type(heap, "a", 0, 1);
	struct moheap_generation old[MOHEAP_GENERATIONS], new[MOHEAP_GENERATIONS];
	unsigned int i;

	err_is(moheap_get_stats(heap, old), 0);
	for (i = 0; i < MOHEAP_GENERATIONS; i++)
		is(old[i].uncollectable, 0);
	err_is(moheap_decref(heap, ring(heap, type, 3)), 0);
	is(collect(heap, MOHEAP_COLLECT_LOCAL), 3);
	err_is(moheap_get_stats(heap, new), 0);
	/* And another, to see that no candidate is left that would keep a pool. */
	ok(new[0].collections > old[0].collections);
	is(new[0].collected, old[0].collected + 3);
	is(new[2].collections, old[2].collections);
	is(collect(heap, MOHEAP_COLLECT_FULL), 0);
	err_is(moheap_get_stats(heap, new), 0);
	is(new[2].collections, old[2].collections + 1);
	is(new[2].collected, old[2].collected);
}

static void test_freeze(void)
{
	struct moheap *heap = quiet_heap(), *reader;
	int type = tap_type(heap, "a", 0, 2);
	moheap_ref_t kept = ring(heap, type, 10), late;

	is(moheap_get_freeze_count(heap), 0);
	err_is(moheap_freeze(heap), 0);
	is(moheap_get_freeze_count(heap), 10);
	/* Garbage now, but none of the collector's business; what it refers to is alive. */
	late = ring(heap, type, 3);
	err_is(moheap_store(heap, kept, 1, late), 0);
	err_is(moheap_decref(heap, late), 0);
	err_is(moheap_decref(heap, kept), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	err_is(moheap_unfreeze(reader), -EACCES);
	err_is(moheap_freeze(reader), -EACCES);
	is(moheap_get_freeze_count(reader), 10);
	err_is(moheap_close(reader), 0);
	err_is(moheap_unfreeze(heap), 0);
	is(moheap_get_freeze_count(heap), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 13);
}

static void test_saveall(void)
{
	struct moheap *heap = quiet_heap(), *reader;
	struct moheap_search search = { .size = sizeof(search), .flags = MOHEAP_OBJECTS_SAVED };
	struct moheap_object object = { .size = sizeof(object) };
	struct moheap_generation stats[MOHEAP_GENERATIONS];
	int type = tap_type(heap, "a", 0, 2);
	moheap_ref_t garbage = ring(heap, type, 1), found[4];

	is(moheap_get_debug(heap), 0);
	err_is(moheap_set_debug(heap, MOHEAP_DEBUG_SAVEALL), 0);
	is(moheap_get_debug(heap), MOHEAP_DEBUG_SAVEALL);
	err_is(moheap_set_debug(heap, 0x40), -ERANGE);
	err_is(moheap_decref(heap, garbage), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 1);
	is(moheap_objects(heap, &search, 4, found), 1);
	ok(found[0] == garbage);
	object.ref = garbage;
	err_is(moheap_inspect(heap, &object), 0);
	ok(object.flags & MOHEAP_OBJECT_SAVED);
	err_is(moheap_get_stats(heap, stats), 0);
	is(stats[2].uncollectable, 1);
	is(stats[2].collected, 0);
	/* It is found once. */
	is(collect(heap, MOHEAP_COLLECT_FULL), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	err_is(moheap_set_debug(reader, 0), -EACCES);
	err_is(moheap_discard(reader, garbage), -EACCES);
	is(moheap_get_debug(reader), MOHEAP_DEBUG_SAVEALL);
	err_is(moheap_close(reader), 0);
	err_is(moheap_discard(heap, garbage), 0);
	err_is(moheap_discard(heap, garbage), -ENOENT);
	err_is(moheap_discard(heap, 0), -EINVAL);
	/* Garbage once more. */
	is(collect(heap, MOHEAP_COLLECT_FULL), 1);
	is(moheap_discard_all(heap), 1);
	is(moheap_discard_all(heap), 0);
	err_is(moheap_set_debug(heap, 0), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 1);
	err_is(moheap_discard(heap, garbage), -ESTALE);
}

/* Saved garbage can be used, and lives on with who does. */
static void saved_garbage_is_whole(void)
{
	struct moheap *heap = quiet_heap();
	int type = tap_type(heap, "a", 8, 2);
	moheap_ref_t first = ring(heap, type, 3), next;

	*(int *)moheap_ptr(heap, first) = 77;
	err_is(moheap_set_debug(heap, MOHEAP_DEBUG_SAVEALL), 0);
	err_is(moheap_decref(heap, first), 0);
	is(collect(heap, MOHEAP_COLLECT_LOCAL), 3);
	err_is(moheap_incref(heap, first), 0);
	is(*(int *)moheap_ptr(heap, first), 77);
	err_is(moheap_load(heap, first, 0, &next), 0);
	err_is(moheap_decref(heap, next), 0);
	is(moheap_discard_all(heap), 3);
	is(collect(heap, MOHEAP_COLLECT_FULL), 0);
	is(moheap_refcount(heap, first), 2);
	err_is(moheap_set_debug(heap, 0), 0);
	err_is(moheap_decref(heap, first), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 3);
}

/* What a process prints while it dispatches. */
static const char *printed_by_dispatch(struct moheap *heap)
{
	static char text[1000];
	int saved = dup(STDERR_FILENO);
	FILE *file = tmpfile();
	size_t n;

	ok(file && saved >= 0);
	fflush(stderr);
	ok(dup2(fileno(file), STDERR_FILENO) >= 0);
	must(moheap_dispatch(heap));
	fflush(stderr);
	ok(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static void debug_prints(void)
{
	struct moheap *heap = quiet_heap();
	int type = tap_type(heap, "node", 0, 2);
	const char *text;
	char want[80];
	moheap_ref_t ref;

	err_is(moheap_set_debug(heap, MOHEAP_DEBUG_STATS | MOHEAP_DEBUG_LEAK), 0);
	is(moheap_dispatch(heap), 0);
	ref = ring(heap, type, 1);
	err_is(moheap_decref(heap, ref), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 1);
	text = printed_by_dispatch(heap);
	snprintf(want, sizeof(want), "gc: collectable <node %#llx>\n", (unsigned long long)ref);
	/* What has come since is told together. */
	ok(strstr(text, "gc: collecting generation "));
	ok(strstr(text, want));
	ok(strstr(text, "gc: done, 1 unreachable, 1 saved, 0 to be finalized first\n"));
	/* Each is named once. */
	err_is(moheap_decref(heap, ring(heap, type, 1)), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 1);
	text = printed_by_dispatch(heap);
	ok(strstr(text, "gc: collectable <node 0x"));
	ok(!strstr(text, want));
	is(moheap_discard_all(heap), 2);
	err_is(moheap_set_debug(heap, 0), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 2);
	ok(!*printed_by_dispatch(heap));
}

/* Counts free what is frozen; stock is not, whatever becomes of it. */
static void frozen_goes_by_count(void)
{
	struct moheap *heap = quiet_heap(), *other;
	struct moheap_search search = {
		.size = sizeof(search), .flags = MOHEAP_OBJECTS_FROZEN,
	};
	moheap_ref_t chain[ROOM], found[ROOM + 1], mine;
	int type = tap_type(heap, "a", 0, 2);
	unsigned int i;

	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	type = tap_type(other, "a", 0, 2);
	err_is(moheap_decref(other, tap_new(other, type)), 0);
	for (i = 0; i < ROOM; i++) {
		chain[i] = tap_new(heap, type);
		if (i)
			err_is(moheap_store(heap, chain[i - 1], 0, chain[i]), 0);
	}
	err_is(moheap_freeze(heap), 0);
	is(moheap_get_freeze_count(heap), ROOM);
	is(moheap_objects(heap, &search, ROOM + 1, found), ROOM);
	/* From the stock of either. */
	mine = ring(heap, type, 5);
	err_is(moheap_decref(heap, mine), 0);
	err_is(moheap_decref(other, ring(other, type, 5)), 0);
	err_is(moheap_flush(other), 0);
	is(collect(heap, MOHEAP_COLLECT_FULL), 10);
	for (i = 0; i < ROOM; i++)
		err_is(moheap_decref(heap, chain[i]), 0);
	err_is(moheap_close(other), 0);
	tap_wait_objects(heap, 0);
	is(moheap_get_freeze_count(heap), 0);
}

static void switches_and_thresholds(void)
{
	struct moheap *heap = tap_heap();
	unsigned int candidates, growth;

	is(moheap_is_enabled(heap), 1);
	err_is(moheap_disable(heap), 0);
	is(moheap_is_enabled(heap), 0);
	err_is(moheap_enable(heap), 0);
	is(moheap_is_enabled(heap), 1);

	err_is(moheap_set_threshold(heap, 973, 27), 0);
	err_is(moheap_get_threshold(heap, &candidates, &growth), 0);
	is(candidates, 973);
	is(growth, 27);
	err_is(moheap_set_threshold(heap, 0, 27), -ERANGE);
	err_is(moheap_set_threshold(heap, 1, 1001), -ERANGE);
	err_is(moheap_get_threshold(heap, &candidates, &growth), 0);
	is(candidates, 973);
	is(growth, 27);
}

static void blocks_and_their_table(void)
{
	struct moheap *heap = quiet_heap();
	int type = tap_type(heap, "a-type-of-its-own", 100, 1);
	moheap_ref_t refs[ROOM];
	char *text = NULL;
	size_t bytes = 0;
	FILE *file;
	unsigned int i;

	is(moheap_getallocatedblocks(heap), 0);
	for (i = 0; i < ROOM; i++)
		refs[i] = tap_new(heap, type);
	is(moheap_getallocatedblocks(heap), ROOM);
	file = open_memstream(&text, &bytes);
	ok(file);
	err_is(moheap_debugmallocstats(heap, file), 0);
	fclose(file);
	ok(strstr(text, "a-type-of-its-own") && strstr(text, " 100 "));
	free(text);
	for (i = 0; i < ROOM; i++)
		err_is(moheap_decref(heap, refs[i]), 0);
	is(moheap_getallocatedblocks(heap), 0);

	file = fopen("/dev/full", "w");
	ok(file);
	setvbuf(file, NULL, _IONBF, 0);
	err_is(moheap_debugmallocstats(heap, file), -EIO);
	fclose(file);
}

/* ---- Objects ---- */

/* Everything that a search finds, up to @most, @room at a time. */
static unsigned int find(struct moheap *heap, struct moheap_search search, size_t room,
			 unsigned int most, moheap_ref_t *refs)
{
	unsigned int n = 0;
	long found;

	search.size = sizeof(search);
	while ((found = moheap_objects(heap, &search, room, refs + n)) > 0) {
		n += found;
		ok(n + room <= most);
	}
	err_is(found, 0);
	err_is(moheap_objects(heap, &search, room, refs), 0);
	return n;
}

static bool is_among(moheap_ref_t ref, const moheap_ref_t *refs, unsigned int n)
{
	while (n--)
		if (refs[n] == ref)
			return true;
	return false;
}

static void test_get_objects(void)
{
	static moheap_ref_t found[10 * ROOM], refs[ROOM];
	struct moheap *heap = quiet_heap();
	int type = tap_type(heap, "a", 16, 1), other = tap_type(heap, "b", 16, 1);
	struct moheap_search all = { 0 };
	struct moheap_search of_type = { .flags = MOHEAP_OBJECTS_TYPE, .type = other };
	struct moheap_search candidates = { .flags = MOHEAP_OBJECTS_CANDIDATES };
	moheap_ref_t one = tap_new(heap, other), suspect;
	unsigned int i, n;

	/* Some young, some not, and others that died and are in stock. */
	for (i = 0; i < ROOM; i++) {
		refs[i] = tap_new(heap, type);
		err_is(moheap_decref(heap, tap_new(heap, type)), 0);
		if (i == ROOM / 2)
			err_is(moheap_flush(heap), 0);
	}
	for (n = 1; n <= ROOM; n *= 10) {
		is(find(heap, all, n, TAP_COUNT(found), found), ROOM + 1);
		for (i = 0; i < ROOM; i++)
			ok(is_among(refs[i], found, ROOM + 1));
		ok(is_among(one, found, ROOM + 1));
	}
	is(find(heap, of_type, ROOM, TAP_COUNT(found), found), 1);
	is(found[0], one);

	collect(heap, MOHEAP_COLLECT_FULL);
	is(find(heap, candidates, ROOM, TAP_COUNT(found), found), 0);
	suspect = ring(heap, type, 1);
	err_is(moheap_decref(heap, suspect), 0);
	is(find(heap, candidates, ROOM, TAP_COUNT(found), found), 1);
	is(found[0], suspect);
}

static void test_get_objects_arguments(void)
{
	struct moheap *heap = quiet_heap();
	moheap_ref_t one = tap_new(heap, tap_type(heap, "a", 16, 1)), refs[ROOM];
	struct moheap_search search = { .size = sizeof(search) };

	err_is(moheap_objects(heap, &search, 0, refs), -EINVAL);
	search.size--;
	err_is(moheap_objects(heap, &search, ROOM, refs), -EINVAL);
	search.size = sizeof(search);
	search.reserved = 1;
	err_is(moheap_objects(heap, &search, ROOM, refs), -EINVAL);
	search.reserved = 0;
	search.flags = 0x80000000U;
	err_is(moheap_objects(heap, &search, ROOM, refs), -EINVAL);
	search.flags = MOHEAP_OBJECTS_REFERRERS;
	err_is(moheap_objects(heap, &search, ROOM, refs), -EINVAL);
	search.target = one;
	err_is(moheap_decref(heap, one), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_objects(heap, &search, ROOM, refs), -ESTALE);
	is(search.cursor, 0);
}

static void get_referrers(void)
{
	static moheap_ref_t found[4 * ROOM], from[ROOM];
	struct moheap *heap = quiet_heap();
	int type = tap_type(heap, "a", 16, 2);
	moheap_ref_t target = tap_new(heap, type);
	struct moheap_search search = { .flags = MOHEAP_OBJECTS_REFERRERS, .target = target };
	unsigned int i;

	is(find(heap, search, ROOM, TAP_COUNT(found), found), 0);
	for (i = 0; i < ROOM; i++) {
		from[i] = tap_new(heap, type);
		if (i % 2)
			err_is(moheap_store(heap, from[i], i / 2 % 2, target), 0);
	}
	is(find(heap, search, 7, TAP_COUNT(found), found), ROOM / 2);
	for (i = 0; i < ROOM; i++)
		ok(is_among(from[i], found, ROOM / 2) == i % 2);
}

static void test_get_referents(void)
{
	struct moheap *heap = quiet_heap();
	moheap_ref_t a = tap_new(heap, tap_type(heap, "wide", 0, 1000)), b, refs[4];
	struct moheap_object object = { .size = sizeof(object), .ref = a };

	b = tap_new(heap, tap_type(heap, "leaf", 16, 0));
	is(moheap_referents(heap, a, 4, refs), 0);
	err_is(moheap_store(heap, a, 0, b), 0);
	err_is(moheap_store(heap, a, 700, a), 0);
	err_is(moheap_store(heap, a, 999, b), 0);
	is(moheap_referents(heap, a, 4, refs), 3);
	is(refs[0], b);
	is(refs[1], a);
	is(refs[2], b);
	refs[1] = 0;
	is(moheap_referents(heap, a, 1, refs), 3);
	is(refs[0], b);
	is(refs[1], 0);
	is(moheap_referents(heap, b, 4, refs), 0);
	err_is(moheap_inspect(heap, &object), 0);
	err_is(moheap_referents(heap, 0, 4, refs), -EINVAL);
	err_is(moheap_decref(heap, b), 0);
	err_is(moheap_store(heap, a, 0, 0), 0);
	err_is(moheap_store(heap, a, 999, 0), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_referents(heap, b, 4, refs), -ESTALE);
}

static void test_is_tracked(void)
{
	struct moheap *heap = quiet_heap();
	moheap_ref_t number, bytes, tuple, list;

	err_is(moheap_int_new(heap, 1, &number), 0);
	err_is(moheap_bytes_new(heap, "x", 1, &bytes), 0);
	err_is(moheap_tuple_new(heap, &number, 1, &tuple), 0);
	err_is(moheap_list_new(heap, 0, &list), 0);
	is(moheap_is_tracked(heap, number), 0);
	is(moheap_is_tracked(heap, bytes), 0);
	is(moheap_is_tracked(heap, tuple), 1);
	is(moheap_is_tracked(heap, list), 1);
	err_is(moheap_is_tracked(heap, 0), -EINVAL);
	err_is(moheap_decref(heap, list), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_is_tracked(heap, list), -ESTALE);
}

static void test_is_finalized(void)
{
	struct moheap *heap = quiet_heap();
	struct moheap_layout layout = {
		.size = sizeof(layout), .name = "a", .slots = 1, .flags = MOHEAP_TYPE_FINALIZE,
	};
	struct moheap_listen listen = { .size = sizeof(listen), .events = MOHEAP_LISTEN_FINALIZE };
	int type = must(moheap_type_register(heap, &layout));
	struct moheap_event event;
	moheap_ref_t a;

	is(ioctl(moheap_fd(heap), MOHEAP_IOC_LISTEN, &listen), 0);
	err_is(raw_alloc(moheap_fd(heap), type, 1, &a), 0);
	is(moheap_is_finalized(heap, a), 0);
	err_is(raw_drop(moheap_fd(heap), a), 0);
	is(read(moheap_fd(heap), &event, sizeof(event)), sizeof(event));
	is(event.type, MOHEAP_EVENT_FINALIZE);
	is(event.ref, a);
	is(moheap_is_finalized(heap, a), 1);
}

static void immortal_objects(void)
{
	struct moheap *heap = quiet_heap();
	int type = tap_type(heap, "a", 16, 1);
	moheap_ref_t a = tap_new(heap, type), b = tap_new(heap, type);
	struct moheap_object object = { .size = sizeof(object), .ref = a };

	err_is(moheap_immortal(heap, 0), -EINVAL);
	err_is(moheap_immortal(heap, a), 0);
	err_is(moheap_immortal(heap, a), 0);
	err_is(moheap_store(heap, a, 0, b), 0);
	err_is(moheap_decref(heap, a), 0);
	err_is(moheap_decref(heap, b), 0);
	collect(heap, MOHEAP_COLLECT_FULL);
	is(tap_objects(heap), 2);
	err_is(moheap_inspect(heap, &object), 0);
	ok(object.flags & MOHEAP_OBJECT_IMMORTAL);
	is(object.count, 1);
	err_is(moheap_incref(heap, b), 0);
	err_is(moheap_store(heap, a, 0, 0), 0);
	err_is(moheap_decref(heap, b), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_immortal(heap, b), -ESTALE);
}

/* ---- Callbacks ---- */

static struct visit {
	int who;
	enum moheap_gc_phase phase;
	struct moheap_gc_info info;
} visits[200];

static unsigned int nvisits;

static int cb1 = 1, cb2 = 2;

static void visited(struct moheap *heap, enum moheap_gc_phase phase,
		    const struct moheap_gc_info *info, void *data)
{
	ok(nvisits < TAP_COUNT(visits));
	is(info->size, sizeof(*info));
	visits[nvisits++] = (struct visit){ *(int *)data, phase, *info };
}

static struct moheap *visited_heap(void)
{
	struct moheap *heap = quiet_heap();

	err_is(moheap_gc_callback_add(heap, visited, &cb1), 0);
	err_is(moheap_gc_callback_add(heap, visited, &cb2), 0);
	is(moheap_dispatch(heap), 0);
	return heap;
}

/* Starts and ends, of both callbacks in turn. */
static void visits_are(unsigned int generation, unsigned int collected)
{
	unsigned int i;

	is(nvisits, 4);
	for (i = 0; i < nvisits; i++) {
		is(visits[i].who, i % 2 + 1);
		is(visits[i].phase, i < 2 ? MOHEAP_GC_START : MOHEAP_GC_STOP);
		is(visits[i].info.generation, generation);
		is(visits[i].info.collected, i < 2 ? 0 : collected);
		is(visits[i].info.uncollectable, 0);
		is(visits[i].info.finalizing, 0);
		ok(visits[i].info.count >= 1);
	}
	nvisits = 0;
}

static void callback_test_collect(void)
{
	struct moheap *heap = visited_heap();

	collect(heap, MOHEAP_COLLECT_LOCAL);
	is(nvisits, 0);
	is(moheap_dispatch(heap), 2);
	visits_are(0, 0);
	is(moheap_dispatch(heap), 0);
	is(nvisits, 0);
}

static void test_collect_generation(void)
{
	struct moheap *heap = visited_heap();

	collect(heap, MOHEAP_COLLECT_LOCAL_ALL);
	is(moheap_dispatch(heap), 2);
	visits_are(1, 0);
	collect(heap, MOHEAP_COLLECT_FULL);
	is(moheap_dispatch(heap), 2);
	visits_are(2, 0);
}

static void test_collect_garbage(void)
{
	struct moheap *heap = visited_heap();
	int type = tap_type(heap, "a", 16, 1);

	err_is(moheap_decref(heap, ring(heap, type, 3)), 0);
	is(collect(heap, MOHEAP_COLLECT_LOCAL_ALL), 3);
	is(moheap_dispatch(heap), 2);
	visits_are(1, 3);
	/* Several are told together. */
	err_is(moheap_decref(heap, ring(heap, type, 5)), 0);
	is(collect(heap, MOHEAP_COLLECT_LOCAL), 5);
	err_is(moheap_decref(heap, ring(heap, type, 7)), 0);
	is(collect(heap, MOHEAP_COLLECT_LOCAL), 7);
	is(moheap_dispatch(heap), 2);
	is(visits[0].info.count, 2);
	is(visits[3].info.count, 2);
	visits_are(0, 5 + 7);
}

static void finalized(struct moheap *heap, moheap_ref_t ref, void *data)
{
	is(moheap_is_finalized(heap, ref), 1);
}

static void callbacks_tell_of_what_is_finalized_first(void)
{
	struct moheap *heap = visited_heap();
	struct moheap_layout layout = {
		.size = sizeof(layout), .name = "a", .slots = 1, .flags = MOHEAP_TYPE_FINALIZE,
	};
	int type = must(moheap_type_register(heap, &layout));

	err_is(moheap_set_finalizer(heap, type, finalized, NULL), 0);
	err_is(moheap_decref(heap, ring(heap, type, 4)), 0);
	is(collect(heap, MOHEAP_COLLECT_LOCAL), 4);
	is(moheap_dispatch(heap), 2 + 4);
	is(nvisits, 4);
	is(visits[3].info.collected, 0);
	is(visits[3].info.finalizing, 4);
	is(collect(heap, MOHEAP_COLLECT_FULL), 4);
	is(tap_objects(heap), 0);
}

/* Takes itself away, and brings others. */
static void changes_callbacks(struct moheap *heap, enum moheap_gc_phase phase,
			      const struct moheap_gc_info *info, void *data)
{
	visited(heap, phase, info, data);
	err_is(moheap_gc_callback_remove(heap, changes_callbacks, data), 0);
	err_is(moheap_gc_callback_remove(heap, visited, &cb2), 0);
	err_is(moheap_gc_callback_add(heap, visited, &cb1), 0);
	err_is(moheap_dispatch(heap), -EDEADLK);
	err_is(moheap_close(heap), -EDEADLK);
	collect(heap, MOHEAP_COLLECT_LOCAL);
}

static void callbacks_come_and_go(void)
{
	struct moheap *heap = quiet_heap();
	static int first = 3;

	err_is(moheap_gc_callback_remove(heap, visited, &cb1), -ENOENT);
	err_is(moheap_gc_callback_add(heap, changes_callbacks, &first), 0);
	err_is(moheap_gc_callback_add(heap, visited, &cb1), 0);
	err_is(moheap_gc_callback_add(heap, visited, &cb2), 0);
	err_is(moheap_gc_callback_remove(heap, visited, &first), -ENOENT);
	collect(heap, MOHEAP_COLLECT_LOCAL);
	is(moheap_dispatch(heap), 2);
	/* Of the start the first one and cb1 are told, of the end cb1, which is there twice. */
	is(nvisits, 4);
	is(visits[0].who, 3);
	is(visits[1].who, 1);
	is(visits[2].who, 1);
	is(visits[2].phase, MOHEAP_GC_STOP);
	is(visits[3].who, 1);
	nvisits = 0;
	is(moheap_dispatch(heap), 2);
	is(nvisits, 4);
	err_is(moheap_gc_callback_remove(heap, visited, &cb1), 0);
	err_is(moheap_gc_callback_remove(heap, visited, &cb1), 0);
	err_is(moheap_gc_callback_remove(heap, visited, &cb1), -ENOENT);
	collect(heap, MOHEAP_COLLECT_LOCAL);
	is(moheap_dispatch(heap), 0);
	is(nvisits, 4);
}

/* Who may only look is told as well. */
static void callbacks_of_readers(void)
{
	struct moheap *heap = quiet_heap(), *reader;

	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	err_is(moheap_gc_callback_add(reader, visited, &cb1), 0);
	err_is(moheap_gc_callback_add(reader, visited, &cb2), 0);
	collect(heap, MOHEAP_COLLECT_LOCAL);
	is(moheap_dispatch(heap), 0);
	is(moheap_dispatch(reader), 2);
	visits_are(0, 0);
	err_is(moheap_close(reader), 0);
}

static atomic_int callback_is_in, callback_has_come, callback_may_go;

static void slow_callback(struct moheap *heap, enum moheap_gc_phase phase,
			  const struct moheap_gc_info *info, void *data)
{
	atomic_store(&callback_is_in, 1);
	atomic_store(&callback_has_come, 1);
	while (!atomic_load(&callback_may_go))
		usleep(100);
	atomic_store(&callback_is_in, 0);
}

static void *let_callback_go(void *arg)
{
	usleep(20000);
	atomic_store(&callback_may_go, 1);
	return NULL;
}

static void removed_while_called(void)
{
	struct moheap *heap = quiet_heap();
	pthread_t thread;

	err_is(moheap_gc_callback_add(heap, slow_callback, NULL), 0);
	err_is(moheap_start_dispatcher(heap), 0);
	collect(heap, MOHEAP_COLLECT_LOCAL);
	while (!atomic_load(&callback_has_come))
		usleep(100);
	is(pthread_create(&thread, NULL, let_callback_go, NULL), 0);
	err_is(moheap_gc_callback_remove(heap, slow_callback, NULL), 0);
	is(atomic_load(&callback_is_in), 0);
	pthread_join(thread, NULL);
	/* Nor will it be called any more. */
	atomic_store(&callback_has_come, 0);
	collect(heap, MOHEAP_COLLECT_LOCAL);
	err_is(moheap_stop_dispatcher(heap), 0);
	is(atomic_load(&callback_has_come), 0);
}

/* ---- Found while all changes ---- */

struct churn {
	struct moheap *heap;
	int type;
	atomic_bool stop;
	pthread_t thread;
};

static void *churn(void *arg)
{
	struct churn *c = arg;
	moheap_ref_t refs[64] = { 0 };
	unsigned int i = 0;

	while (!atomic_load(&c->stop)) {
		moheap_decref(c->heap, refs[i % 64]);
		if (moheap_new(c->heap, c->type, &refs[i % 64]))
			break;
		/* One of every three refers to one of the others, so that no chain grows. */
		if (i % 3 == 0)
			moheap_store(c->heap, refs[i % 64], 0, refs[(i + 2) % 64]);
		if (i % 1000 == 0)
			moheap_flush(c->heap);
		i++;
	}
	for (i = 0; i < 64; i++)
		moheap_decref(c->heap, refs[i]);
	return NULL;
}

static void found_once_whatever_changes(void)
{
	enum { KEPT = 2000, MOST = 100000 };
	struct moheap *heap = quiet_heap();
	struct churn c = { .heap = heap, .type = tap_type(heap, "a", 16, 1) };
	moheap_ref_t *found = calloc(MOST, sizeof(*found)), kept[KEPT];
	unsigned long rounds = tap_scaled(20), round;
	unsigned int i, j, n, seen;

	ok(found);
	for (i = 0; i < KEPT; i++) {
		kept[i] = tap_new(heap, c.type);
		moheap_decref(heap, tap_new(heap, c.type));
	}
	is(pthread_create(&c.thread, NULL, churn, &c), 0);
	for (round = 0; round < rounds; round++) {
		n = find(heap, (struct moheap_search){ 0 }, 512, MOST, found);
		for (i = 0; i < KEPT; i += 97) {
			for (seen = 0, j = 0; j < n; j++)
				seen += found[j] == kept[i];
			is(seen, 1);
		}
		ok(n >= KEPT);
	}
	atomic_store(&c.stop, true);
	pthread_join(c.thread, NULL);
	free(found);
}

static const struct tap_case cases[] = {
	{ "test_list", test_list },
	{ "test_dict", test_dict },
	{ "test_tuple", test_tuple },
	{ "test_instance", test_instance },
	{ "test_trashcan", test_trashcan },
	{ "test_bug1055820b", test_bug1055820b },
	{ "test_get_count", test_get_count },
	{ "test_collect_generations", test_collect_generations },
	{ "test_get_stats", test_get_stats },
	{ "test_freeze", test_freeze },
	{ "test_saveall", test_saveall },
	{ "saved garbage is whole", saved_garbage_is_whole },
	{ "set_debug has a process print", debug_prints },
	{ "what is frozen goes by its count", frozen_goes_by_count },
	{ "the collector is switched, its thresholds set", switches_and_thresholds },
	{ "blocks are counted and told of in a table", blocks_and_their_table },
	{ "test_get_objects", test_get_objects },
	{ "test_get_objects_arguments", test_get_objects_arguments },
	{ "referrers are found", get_referrers },
	{ "test_get_referents", test_get_referents },
	{ "test_is_tracked", test_is_tracked },
	{ "test_is_finalized", test_is_finalized },
	{ "GCCallbackTests.test_collect", callback_test_collect },
	{ "test_collect_generation", test_collect_generation },
	{ "test_collect_garbage", test_collect_garbage },
	{ "callbacks tell of what is finalized first", callbacks_tell_of_what_is_finalized_first },
	{ "callbacks come and go", callbacks_come_and_go },
	{ "callbacks of readers", callbacks_of_readers },
	{ "removed while called", removed_while_called },
	{ "immortal objects stay", immortal_objects },
	{ "what lives is found once, whatever else changes", found_once_whatever_changes },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
