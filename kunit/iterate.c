// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_iterate: all objects are found, each once, whatever happens meanwhile.
 */
#include <linux/sort.h>

#include "fixture.h"

static int ku_compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Find all that @in asks for, @room at a time. Return how many; @refs has them, sorted. */
static u32 ku_objects_found(struct ku *ku, struct moheap_objects in, u32 room, u64 *refs, u32 most)
{
	u32 n = 0;

	while (in.cursor != MOHEAP_OBJECTS_END) {
		KUNIT_ASSERT_LE(ku->test, n + room, most);
		in.refs = (uintptr_t)(refs + n);
		in.count = room;
		KU_OK(ku->test, mh_objects(ku->heap, &in, false));
		n += in.count;
	}
	sort(refs, n, sizeof(*refs), ku_compare, NULL);
	return n;
}

static void ku_expect_same(struct ku *ku, const u64 *got, u32 n, u64 *want, u32 m)
{
	sort(want, m, sizeof(*want), ku_compare, NULL);
	KUNIT_EXPECT_EQ(ku->test, n, m);
	KUNIT_EXPECT_EQ(ku->test, memcmp(got, want, min(n, m) * sizeof(*got)), 0);
}

static void all_are_found(struct kunit *test)
{
	static const u32 rooms[] = { 1, 7, 32, 33, 1000 };
	struct ku *ku = test->priv;
	u64 *want = ku_refs(ku, 3100), *got = ku_refs(ku, 5000);
	u32 i, n;

	KUNIT_EXPECT_EQ(test, ku_objects_found(ku, (struct moheap_objects){ }, 10, got, 5000), 0);
	KU_OK(test, ku_alloc(ku->client, ku->type[KU_NODE], 0, want, 2000));
	KU_OK(test, ku_alloc(ku->client, ku->type[KU_LEAF], 0, want + 2000, 1000));
	KU_OK(test, ku_alloc(ku->client, ku->type[KU_WIDE], 0, want + 3000, 100));
	/* With holes. */
	ku_drop_all(ku, want + 500, 500);
	memmove(want + 500, want + 1000, 2100 * sizeof(*want));
	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		n = ku_objects_found(ku, (struct moheap_objects){ }, rooms[i], got, 5000);
		ku_expect_same(ku, got, n, want, 2600);
	}
}

static void by_type(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *nodes = ku_new_many(ku, KU_NODE, 300), *leaves = ku_new_many(ku, KU_LEAF, 200);
	u64 *got = ku_refs(ku, 1000);
	struct moheap_objects in = { .flags = MOHEAP_OBJECTS_TYPE };
	u32 n;

	in.type = ku->type[KU_LEAF];
	n = ku_objects_found(ku, in, 100, got, 1000);
	ku_expect_same(ku, got, n, leaves, 200);
	in.type = ku->type[KU_NODE];
	n = ku_objects_found(ku, in, 100, got, 1000);
	ku_expect_same(ku, got, n, nodes, 300);
	in.type = ku->type[KU_WIDE];
	KUNIT_EXPECT_EQ(test, ku_objects_found(ku, in, 100, got, 1000), 0);
	in.type = 999;
	KUNIT_EXPECT_EQ(test, ku_objects_found(ku, in, 100, got, 1000), 0);
}

static void candidates(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_ring(ku, 100), *got = ku_refs(ku, 200);
	struct moheap_objects in = { .flags = MOHEAP_OBJECTS_CANDIDATES };
	u32 n;

	KUNIT_EXPECT_EQ(test, ku_objects_found(ku, in, 10, got, 200), 0);
	ku_drop_all(ku, refs, 30);
	n = ku_objects_found(ku, in, 10, got, 200);
	ku_expect_same(ku, got, n, refs, 30);
}

/* Small objects and large ones, which take more than one slice; one that refers to itself. */
static void referrers(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *nodes = ku_new_many(ku, KU_NODE, 500), *got = ku_refs(ku, 1000), *want;
	u64 target = ku_new(ku, KU_NODE), large = ku_new_var(ku, 20000, 0);
	struct moheap_objects in = { .flags = MOHEAP_OBJECTS_REFERRERS, .target = target };
	u32 i, n = 0;

	want = ku_refs(ku, 600);
	KUNIT_EXPECT_EQ(test, ku_objects_found(ku, in, 10, got, 1000), 0);
	for (i = 0; i < 500; i += 3) {
		ku_link(ku, nodes[i], i & 1, target);
		want[n++] = nodes[i];
	}
	/* Twice is once. */
	ku_link(ku, nodes[0], 1, target);
	ku_link(ku, large, 19999, target);
	ku_link(ku, target, 0, target);
	want[n++] = large;
	want[n++] = target;
	ku_expect_same(ku, got, ku_objects_found(ku, in, 1, got, 1000), want, n);
	ku_expect_same(ku, got, ku_objects_found(ku, in, 50, got, 1000), want, n);
	in.flags |= MOHEAP_OBJECTS_TYPE;
	in.type = ku->type[KU_VAR];
	KUNIT_EXPECT_EQ(test, ku_objects_found(ku, in, 50, got, 1000), 1);
	KUNIT_EXPECT_EQ(test, got[0], large);
}

static void bad_input(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_NODE), got[4];
	struct moheap_objects in = { .refs = (uintptr_t)got, .count = 4 };
	struct moheap_usage usage = { .type = 999 };

	in.cursor = MOHEAP_OBJECTS_END;
	KUNIT_EXPECT_EQ(test, mh_objects(ku->heap, &in, false), -EINVAL);
	in.cursor = 0;
	in.count = 0;
	KUNIT_EXPECT_EQ(test, mh_objects(ku->heap, &in, false), -EINVAL);
	in.count = 4;
	in.flags = MOHEAP_OBJECTS_REFERRERS;
	KUNIT_EXPECT_EQ(test, mh_objects(ku->heap, &in, false), -EINVAL);
	in.target = ref;
	KU_OK(test, mh_objects(ku->heap, &in, false));
	ku_release(ku, ref);
	in.cursor = 0;
	in.count = 4;
	KUNIT_EXPECT_EQ(test, mh_objects(ku->heap, &in, false), -ESTALE);
	/* Anywhere is somewhere. */
	in.flags = 0;
	in.cursor = 0x7ffffffffffffffeULL;
	in.count = 4;
	KU_OK(test, mh_objects(ku->heap, &in, false));
	KUNIT_EXPECT_EQ(test, in.cursor, MOHEAP_OBJECTS_END);
	KUNIT_EXPECT_EQ(test, in.count, 0);
	KUNIT_EXPECT_EQ(test, mh_usage(ku->heap, &usage), -ENOENT);
}

/* What is condemned has no name, and is not found. */
static void garbage_of_the_trace(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *live = ku_ring(ku, 50), *dead = ku_ring(ku, 2000), *got = ku_refs(ku, 3000);
	u32 n;

	ku_drop_all(ku, dead, 2000);
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_MARKING);
	KUNIT_EXPECT_EQ(test, ku_objects_found(ku, (struct moheap_objects){ }, 99, got, 3000),
			2050);
	ku_trace_until(ku, MH_SWEEPING);
	n = ku_objects_found(ku, (struct moheap_objects){ }, 99, got, 3000);
	ku_expect_same(ku, got, n, live, 50);
	ku_trace_finish(ku);
}

/* Objects, and pools, that come and go while others stay. */
static void change(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *stay = ku_refs(ku, 1000), *go = ku_refs(ku, 3000), *got = ku_refs(ku, 6000);
	struct moheap_objects in = { };
	u32 i, j, n = 0, seen = 0;

	for (i = 0; i < 1000; i++) {
		KU_OK(test, ku_alloc(ku->client, ku->type[KU_NODE], 0, &stay[i], 1));
		KU_OK(test, ku_alloc(ku->client, ku->type[KU_NODE], 0, &go[3 * i], 3));
	}
	for (i = 0; in.cursor != MOHEAP_OBJECTS_END; i++) {
		in.refs = (uintptr_t)(got + n);
		in.count = 50;
		KUNIT_ASSERT_LT(test, n, 5900);
		KU_OK(test, mh_objects(ku->heap, &in, false));
		n += in.count;
		for (j = 0; i < 30 && j < 100; j++)
			ku_release(ku, go[i * 100 + j]);
		ku_new_many(ku, KU_LEAF, 20);
		mh_trim_all(ku->heap);
	}
	sort(got, n, sizeof(*got), ku_compare, NULL);
	sort(stay, 1000, sizeof(*stay), ku_compare, NULL);
	for (i = 0, j = 0; i < 1000; i++) {
		while (j < n && got[j] < stay[i])
			j++;
		seen += j < n && got[j] == stay[i];
		KUNIT_EXPECT_FALSE(test, j + 1 < n && got[j + 1] == stay[i]);
	}
	KUNIT_EXPECT_EQ(test, seen, 1000);
}

static void usage(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_NODE, 5000);
	struct moheap_usage use = { .type = ku->type[KU_NODE] }, full;

	ku_new_many(ku, KU_LEAF, 100);
	KU_OK(test, mh_usage(ku->heap, &use));
	KUNIT_EXPECT_EQ(test, use.used, 5000);
	KUNIT_EXPECT_GE(test, use.blocks, 5000);
	KUNIT_EXPECT_GT(test, use.pools, 1);
	KUNIT_EXPECT_EQ(test, use.empty, 0);
	KUNIT_EXPECT_GE(test, use.arena_bytes, 5000 * 16);
	KUNIT_EXPECT_GE(test, use.kernel_bytes, 5000 * 16);
	full = use;
	ku_drop_all(ku, refs, 5000);
	use = (struct moheap_usage){ .type = ku->type[KU_NODE] };
	KU_OK(test, mh_usage(ku->heap, &use));
	KUNIT_EXPECT_EQ(test, use.used, 0);
	KUNIT_EXPECT_EQ(test, use.pools, full.pools);
	KUNIT_EXPECT_EQ(test, use.empty, full.pools);
	use = (struct moheap_usage){ .type = ku->type[KU_BARE] };
	KU_OK(test, mh_usage(ku->heap, &use));
	KUNIT_EXPECT_EQ(test, use.pools, 0);
	ku_new(ku, KU_BARE);
	KU_OK(test, mh_usage(ku->heap, &use));
	KUNIT_EXPECT_EQ(test, use.pools, 1);
	KUNIT_EXPECT_EQ(test, use.used, 1);
	KUNIT_EXPECT_EQ(test, use.arena_bytes, 0);
}

static struct kunit_case ku_iterate_cases[] = {
	KUNIT_CASE(all_are_found),
	KUNIT_CASE(by_type),
	KUNIT_CASE(candidates),
	KUNIT_CASE(referrers),
	KUNIT_CASE(bad_input),
	KUNIT_CASE(garbage_of_the_trace),
	KUNIT_CASE(change),
	KUNIT_CASE(usage),
	{}
};

struct kunit_suite ku_iterate_suite = {
	.name = "moheap_iterate",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_iterate_cases,
};
