// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_limit: the limit of a heap: what is tried before it refuses, and that it can be used
 * up time and again. And the heaps that one user may have.
 */
#include "fixture.h"

#define KU_SMALL	MOHEAP_LIMIT_MIN

/**
 * struct ku_full - a heap that gets full, beside that of the fixture
 * @ku: the case
 * @client: its client
 * @node: 16 bytes, 2 slots
 * @page: 4096 bytes, 1 slot
 * @refs: room for all objects it can have
 */
struct ku_full {
	struct ku *ku;
	struct mh_client *client;
	int node;
	int page;
	u64 *refs;
};

#define KU_ROOM	40000

static struct ku_full ku_full(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_full f = { .ku = ku, .client = ku_adopt(ku, moheap_create(KU_SMALL, 0)) };

	KU_OK(test, ku_stand_in(f.client->heap));
	f.node = ku_register(f.client, "node", 0, 2, 16);
	f.page = ku_register(f.client, "page", 0, 1, 4096);
	f.refs = ku_refs(ku, KU_ROOM);
	return f;
}

static struct moheap_stat ku_full_stat(struct ku_full *f)
{
	struct moheap_stat stat = { };

	moheap_stat(f->client, &stat);
	return stat;
}

/* Make objects until there is no room, in one operation. Return how many. */
static u64 ku_use_up(struct ku_full *f, int type)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_ALLOC, .index = type, .ref = (uintptr_t)f->refs, .a = KU_ROOM,
	};
	struct moheap_stat stat;

	KUNIT_ASSERT_EQ(f->ku->test, ku_op(f->client, &op), -ENOSPC);
	stat = ku_full_stat(f);
	KUNIT_EXPECT_LE(f->ku->test, stat.kernel_bytes + stat.arena_bytes, KU_SMALL);
	return op.a;
}

static void ku_full_close(struct ku_full *f)
{
	KUNIT_EXPECT_EQ(f->ku->test, moheap_check(f->client), 0);
	ku_close(f->ku, f->client);
}

static void limits_of_limits(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_stat stat = { };
	struct mh_client *client;

	KUNIT_EXPECT_EQ(test, PTR_ERR(moheap_create(MOHEAP_LIMIT_MIN - 1, 0)), -ERANGE);
	KUNIT_EXPECT_EQ(test, PTR_ERR(moheap_create(1, 0)), -ERANGE);
	KUNIT_EXPECT_EQ(test, PTR_ERR(moheap_create(U64_MAX, 0)), -ERANGE);
	KUNIT_EXPECT_EQ(test, PTR_ERR(moheap_create(0, 4)), -EINVAL);
	client = ku_adopt(ku, moheap_create(MOHEAP_LIMIT_MIN, 0));
	moheap_stat(client, &stat);
	KUNIT_EXPECT_EQ(test, stat.limit, MOHEAP_LIMIT_MIN);
	ku_close(ku, client);
	client = ku_adopt(ku, moheap_create(0, 0));
	moheap_stat(client, &stat);
	KUNIT_EXPECT_GE(test, stat.limit, MOHEAP_LIMIT_MIN);
	KUNIT_EXPECT_GE(test, stat.arena_size, stat.limit);
	ku_close(ku, client);
}

/* What was made before there was no room is there, and held. */
static void full_at_the_limit(struct kunit *test)
{
	struct ku_full f = ku_full(test);
	u64 n = ku_use_up(&f, f.node), i;

	KUNIT_EXPECT_GT(test, n, KU_SMALL / 48);
	KUNIT_EXPECT_EQ(test, ku_full_stat(&f).objects, n);
	KUNIT_EXPECT_EQ(test, ku_held(f.client), n);
	for (i = 0; i < n; i++)
		KUNIT_ASSERT_NE(test, f.refs[i], 0);
	KUNIT_EXPECT_EQ(test, f.refs[n], 0);
	ku_full_close(&f);
}

static void room_again_after_a_drop(struct kunit *test)
{
	struct ku_full f = ku_full(test);
	u64 n = ku_use_up(&f, f.node), ref = 0, target;
	u32 i;

	KUNIT_EXPECT_EQ(test, ku_alloc(f.client, f.node, 0, &ref, 1), -ENOSPC);
	for (i = 0; i < 100; i++) {
		KU_OK(test, ku_drop(f.client, f.refs[i]));
		KU_OK(test, ku_alloc(f.client, f.node, 0, &f.refs[i], 1));
		KUNIT_EXPECT_EQ(test, ku_alloc(f.client, f.node, 0, &ref, 1), -ENOSPC);
	}
	/* A full heap can be used as any other. */
	KU_OK(test, ku_store(f.client, f.refs[0], 0, f.refs[1]));
	KU_OK(test, ku_load_hold(f.client, f.refs[0], 0, &target));
	KUNIT_EXPECT_EQ(test, ku_full_stat(&f).objects, n);
	ku_full_close(&f);
}

/* Time and again, and the same amount each time. */
static void full_and_empty_again(struct kunit *test)
{
	struct ku_full f = ku_full(test);
	u64 first = ku_use_up(&f, f.node), n = first;
	u32 i;

	for (i = 0; i < 3; i++) {
		ku_drop_all_by(f.ku, f.client, f.refs, n);
		KUNIT_EXPECT_EQ(test, ku_full_stat(&f).objects, 0);
		n = ku_use_up(&f, i % 2 ? f.node : f.page);
		if (i % 2)
			KUNIT_EXPECT_GE(test, n, first * 9 / 10);
		else
			KUNIT_EXPECT_GE(test, n * 4200, KU_SMALL * 8 / 10);
	}
	ku_full_close(&f);
}

/* Make rings of @length of all objects, and drop them. */
static void ku_close_rings(struct ku_full *f, u64 n, u32 length)
{
	u64 i, last;

	ku_links_by(f->ku, f->client, f->refs, 0, f->refs + 1, n - 1);
	for (i = 0; i < n; i += length) {
		last = min(i + length, n) - 1;
		KU_OK(f->ku->test, ku_store(f->client, f->refs[last], 0, f->refs[i]));
	}
	ku_drop_all_by(f->ku, f->client, f->refs, n);
}

/* Cycles are collected before an allocation is refused: small ones, and one as large as all. */
static void garbage_makes_room(struct kunit *test)
{
	static const u32 lengths[] = { 1, 100, KU_ROOM };
	struct ku_full f = ku_full(test);
	u64 n = ku_use_up(&f, f.node), again;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		ku_close_rings(&f, n, lengths[i]);
		KUNIT_EXPECT_EQ(test, ku_full_stat(&f).objects, n);
		again = ku_use_up(&f, f.node);
		KUNIT_EXPECT_GE(test, again, n * 9 / 10);
		KUNIT_EXPECT_EQ(test, ku_full_stat(&f).objects, again);
		n = again;
	}
	ku_full_close(&f);
}

/* Pages of pools that are empty now serve another type. */
static void empty_pools_make_room(struct kunit *test)
{
	struct ku_full f = ku_full(test);
	u64 n = ku_use_up(&f, f.node);

	ku_close_rings(&f, n, 3);
	n = ku_use_up(&f, f.page);
	KUNIT_EXPECT_GE(test, n * 4200, KU_SMALL * 8 / 10);
	KUNIT_EXPECT_EQ(test, ku_full_stat(&f).objects, n);
	ku_full_close(&f);
}

/* Garbage that only a trace under way knows of: wait for that. */
static void garbage_being_traced_makes_room(struct kunit *test)
{
	struct ku_full f = ku_full(test);
	struct mh_heap *heap = f.client->heap;
	u64 n = ku_use_up(&f, f.node);

	ku_close_rings(&f, n, 3);
	mutex_lock(&heap->collect_lock);
	mh_trace_begin(heap);
	while (heap->phase != MH_MARKING)
		mh_trace_step(heap);
	mutex_unlock(&heap->collect_lock);
	KUNIT_EXPECT_EQ(test, ku_full_stat(&f).candidates, 0);
	KU_OK(test, ku_alloc(f.client, f.node, 0, f.refs, n / 2));
	ku_full_close(&f);
}

/* The dead that wait to be reaped. */
static void the_dead_make_room(struct kunit *test)
{
	struct ku_full f = ku_full(test);
	u64 n = ku_use_up(&f, f.node);

	ku_links_by(f.ku, f.client, f.refs, 0, f.refs + 1, n - 1);
	ku_drop_all_by(f.ku, f.client, f.refs + 1, n - 1);
	KU_OK(test, ku_drop(f.client, f.refs[0]));
	KUNIT_EXPECT_GT(test, ku_full_stat(&f).pending, 0);
	KU_OK(test, ku_alloc(f.client, f.node, 0, f.refs, n / 2));
	ku_full_close(&f);
}

/*
 * Pools whose objects all were candidates once, and went by their counts: nothing is left to
 * collect, but the pools may still be queued for it.
 */
static void once_queued_pools_make_room(struct kunit *test)
{
	struct ku_full f = ku_full(test);
	u64 n = ku_use_up(&f, f.node);

	ku_links_by(f.ku, f.client, f.refs, 0, f.refs + 1, n - 1);
	ku_drop_all_by(f.ku, f.client, f.refs + 1, n - 1);
	KU_OK(test, ku_drop(f.client, f.refs[0]));
	down_read(&f.client->heap->gate);
	while (mh_reap_step(f.client->heap, MH_REAP_STEP))
		;
	up_read(&f.client->heap->gate);
	KUNIT_EXPECT_EQ(test, ku_full_stat(&f).objects, 0);
	n = ku_use_up(&f, f.page);
	KUNIT_EXPECT_GE(test, n * 4200, KU_SMALL * 8 / 10);
	ku_full_close(&f);
}

/* Where nothing changed, nothing is traced again for every allocation that fails. */
static void refusals_are_cheap(struct kunit *test)
{
	struct ku_full f = ku_full(test);
	u64 traces, ref = 0;
	u32 i;

	ku_use_up(&f, f.node);
	KUNIT_EXPECT_EQ(test, ku_alloc(f.client, f.node, 0, &ref, 1), -ENOSPC);
	traces = ku_full_stat(&f).traces;
	for (i = 0; i < 50; i++)
		KUNIT_EXPECT_EQ(test, ku_alloc(f.client, f.node, 0, &ref, 1), -ENOSPC);
	KUNIT_EXPECT_EQ(test, ku_full_stat(&f).traces, traces);
	ku_full_close(&f);
}

/* Objects that are too large by themselves leave nothing. */
static void too_large_for_the_heap(struct kunit *test)
{
	struct ku_full f = ku_full(test);
	int var = ku_register(f.client, "var", MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS,
			      0, 0);
	struct moheap_stat before, stat;
	u64 ref = 0;

	/* The bin, and what else stays, is made by these. */
	KU_OK(test, ku_alloc(f.client, var, ku_shape(100, 0), &ref, 1));
	KUNIT_EXPECT_EQ(test, ku_alloc(f.client, var, ku_shape(0, KU_SMALL), &ref, 1), -ENOSPC);
	before = ku_full_stat(&f);
	KUNIT_EXPECT_EQ(test, ku_alloc(f.client, var, ku_shape(0, KU_SMALL), &ref, 1), -ENOSPC);
	KUNIT_EXPECT_EQ(test, ku_alloc(f.client, var, ku_shape(KU_SMALL / 4, 0), &ref, 1),
			-ENOSPC);
	KUNIT_EXPECT_EQ(test, ku_alloc(f.client, var, ku_shape(MOHEAP_SLOTS_MAX, 0), &ref, 1),
			-ENOSPC);
	stat = ku_full_stat(&f);
	KUNIT_EXPECT_EQ(test, stat.objects, 1);
	KUNIT_EXPECT_EQ(test, stat.arena_bytes, before.arena_bytes);
	/* What stays is the page map of where room was looked for. */
	KUNIT_EXPECT_LE(test, stat.kernel_bytes,
			before.kernel_bytes + 16 * sizeof(struct mh_leaf));
	ku_full_close(&f);
}

/* ---- A thousand heaps ---- */

static void as_many_heaps_as_may_be(struct kunit *test)
{
	u32 max = 1100, i, n = 0;
	struct mh_client **clients;
	int err = 0;

	clients = kunit_kcalloc(test, max, sizeof(*clients), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, clients);
	while (n < max) {
		clients[n] = moheap_create(MOHEAP_LIMIT_MIN, 0);
		err = PTR_ERR_OR_ZERO(clients[n]);
		if (err)
			break;
		n++;
	}
	KUNIT_EXPECT_EQ(test, err, -EDQUOT);
	KUNIT_ASSERT_GT(test, n, 0);
	kunit_info(test, "%u heaps, %llu kernel bytes each", n,
		   (u64)atomic64_read(&clients[0]->heap->kernel_bytes));
	/* One goes, one can come. */
	moheap_close(clients[0]);
	clients[0] = moheap_create(MOHEAP_LIMIT_MIN, 0);
	KUNIT_EXPECT_FALSE(test, IS_ERR(clients[0]));
	for (i = IS_ERR(clients[0]); i < n; i++)
		moheap_close(clients[i]);
}

static struct kunit_case ku_limit_cases[] = {
	KUNIT_CASE(limits_of_limits),
	KUNIT_CASE(full_at_the_limit),
	KUNIT_CASE(room_again_after_a_drop),
	KUNIT_CASE(full_and_empty_again),
	KUNIT_CASE(garbage_makes_room),
	KUNIT_CASE(empty_pools_make_room),
	KUNIT_CASE(garbage_being_traced_makes_room),
	KUNIT_CASE(the_dead_make_room),
	KUNIT_CASE(once_queued_pools_make_room),
	KUNIT_CASE(refusals_are_cheap),
	KUNIT_CASE(too_large_for_the_heap),
	KUNIT_CASE_SLOW(as_many_heaps_as_may_be),
	{}
};

struct kunit_suite ku_limit_suite = {
	.name = "moheap_limit",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_limit_cases,
};
