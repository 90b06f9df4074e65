// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_death: a client goes, and what only it held goes with it. Others notice nothing.
 */
#include "fixture.h"

static void all_holds_dropped(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 *refs = ku_refs(ku, 5000), kept;

	KU_OK(test, ku_alloc(other, ku->type[KU_NODE], 0, refs, 5000));
	KU_OK(test, ku_alloc(other, ku->type[KU_WIDE], 0, &kept, 1));
	KU_OK(test, ku_hold(ku->client, kept));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).clients, 2);
	ku_close(ku, other);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).clients, 1);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1);
	KUNIT_EXPECT_EQ(test, ku_count(ku, kept), 1);
}

/* What the dead client shared stays, with what hangs off it. */
static void shared_objects_stay(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 root = ku_new(ku, KU_NODE), shared = ku_new_by(ku, other, KU_NODE);
	u64 behind = ku_new_by(ku, other, KU_LEAF), own = ku_new_by(ku, other, KU_NODE);

	KU_OK(test, ku_store(other, shared, 0, behind));
	KU_OK(test, ku_store(other, own, 0, shared));
	KU_OK(test, ku_store(other, own, 1, root));
	ku_link(ku, root, 0, shared);
	ku_close(ku, other);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 3);
	KUNIT_EXPECT_EQ(test, ku_count(ku, shared), 1);
	KUNIT_EXPECT_EQ(test, ku_count(ku, root), 1);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, own));
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, behind));
}

static void ku_rings_by(struct ku *ku, struct mh_client *client, u32 n, u32 length)
{
	u64 *refs = ku_refs(ku, n * length);
	u32 i;

	KU_OK(ku->test, ku_alloc(client, ku->type[KU_NODE], 0, refs, n * length));
	ku_links_by(ku, client, refs, 0, refs + 1, n * length - 1);
	for (i = 0; i < n; i++)
		KU_OK(ku->test, ku_store(client, refs[i * length + length - 1], 0,
					 refs[i * length]));
}

/* Nobody asks: the collector knows by itself that cycles may be left. */
static void cycles_collected(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 live = ku_new(ku, KU_NODE);
	struct mh_client *other = ku_join(ku);

	ku_rings_by(ku, other, 100, 5);
	ku_close(ku, other);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 1));
	other = ku_join(ku);
	ku_rings_by(ku, other, 1, 5000);
	ku_close(ku, other);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 1));
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, live));
}

/* The last client takes the heap along, whatever is in it and in whatever state. */
static void heap_goes_with_the_last(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *client = ku_adopt(ku, moheap_create(KU_LIMIT, 0));
	struct mh_heap *heap = client->heap;
	int var = ku_register(client, "var", MOHEAP_TYPE_VAR_SLOTS, 0, 16);
	u64 array, leaves[10];

	KU_OK(test, ku_stand_in(heap));
	KU_OK(test, ku_alloc(client, var, ku_shape(5000, 0), &array, 1));
	KU_OK(test, ku_alloc(client, var, ku_shape(3, 0), leaves, 10));
	KU_OK(test, ku_fill(client, array, 0, array, 2000));
	KU_OK(test, ku_fill(client, array, 2000, leaves[0], 3000));
	KU_OK(test, ku_drop(client, leaves[0]));
	mutex_lock(&heap->collect_lock);
	mh_trace_begin(heap);
	while (!heap->collect->followed)
		mh_trace_step(heap);
	mutex_unlock(&heap->collect_lock);
	KU_OK(test, ku_drop(client, array));
	ku_close(ku, client);
}

/* Its active pools, full and empty and between, are there for others. */
static void pools_are_left_behind(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other;
	u64 refs[10], pools = 0, i;

	for (i = 0; i < 10; i++) {
		other = ku_join(ku);
		KU_OK(test, ku_alloc(other, ku->type[KU_NODE], 0, &refs[i], 1));
		KU_OK(test, ku_hold(ku->client, refs[i]));
		ku_close(ku, other);
		if (!i)
			pools = ku_stat(ku).pools;
	}
	KUNIT_EXPECT_EQ(test, ku_stat(ku).pools, pools);
}

/* ---- Deaths at the same time as everything else ---- */

struct ku_mortal {
	struct ku *ku;
	u64 shared;
	u32 rounds;
	u32 failed;
	u64 refs[60];
};

static u32 ku_live_once(struct ku_mortal *m, struct mh_client *client)
{
	u32 i, n = ARRAY_SIZE(m->refs), failed = 0;

	failed += !!ku_alloc(client, m->ku->type[KU_NODE], 0, m->refs, n);
	failed += !!ku_hold(client, m->shared);
	for (i = 0; i < n; i++)
		failed += !!ku_store(client, m->refs[i], i % 2, m->refs[(i * 7 + 1) % n]);
	failed += !!ku_store(client, m->refs[5], 0, m->shared);
	return failed;
}

/* Clients that live for a moment, and leave cycles. */
static void ku_live_and_die(void *data)
{
	struct ku_mortal *m = data;
	struct mh_client *client;
	u32 i;

	for (i = 0; i < m->rounds; i++) {
		client = moheap_join(m->ku->client, false);
		if (IS_ERR(client)) {
			m->failed++;
			continue;
		}
		m->failed += ku_live_once(m, client);
		moheap_close(client);
	}
}

#define KU_MORTALS	4

static void many_live_and_die(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_task *tasks[KU_MORTALS];
	struct ku_mortal *m;
	u64 shared = ku_new(ku, KU_NODE);
	int i;

	m = kunit_kcalloc(test, KU_MORTALS, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	for (i = 0; i < KU_MORTALS; i++) {
		m[i] = (struct ku_mortal){
			.ku = ku, .shared = shared, .rounds = ku_steps() / 60,
		};
		tasks[i] = ku_start(ku, i, ku_live_and_die, &m[i]);
	}
	for (i = 0; i < KU_MORTALS; i++) {
		ku_await(tasks[i]);
		KUNIT_EXPECT_EQ(test, m[i].failed, 0);
	}
	KUNIT_EXPECT_EQ(test, ku_stat(ku).clients, 1);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 1));
	KUNIT_EXPECT_EQ(test, ku_count(ku, shared), 1);
}

struct ku_pair {
	struct mh_client *client;
	struct completion *go;
};

static void ku_close_one(void *data)
{
	struct ku_pair *pair = data;

	wait_for_completion(pair->go);
	moheap_close(pair->client);
}

/* The last two clients of a heap go at the same moment: one of them is the last. */
static void last_two_go_together(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_task *tasks[2];
	struct ku_pair pair[2];
	struct completion go;
	u32 round, i;
	u64 ref;
	int type;

	for (round = 0; round < 20; round++) {
		init_completion(&go);
		pair[0] = (struct ku_pair){ moheap_create(KU_LIMIT, 0), &go };
		KUNIT_ASSERT_FALSE(test, IS_ERR(pair[0].client));
		pair[1] = (struct ku_pair){ moheap_join(pair[0].client, false), &go };
		KUNIT_ASSERT_FALSE(test, IS_ERR(pair[1].client));
		type = ku_register(pair[0].client, "node", 0, 2, 16);
		for (i = 0; i < 2; i++)
			KU_OK(test, ku_alloc(pair[i].client, type, 0, &ref, 1));
		for (i = 0; i < 2; i++)
			tasks[i] = ku_start(ku, i, ku_close_one, &pair[i]);
		complete_all(&go);
		for (i = 0; i < 2; i++)
			ku_await(tasks[i]);
	}
}

static struct kunit_case ku_death_cases[] = {
	KUNIT_CASE(all_holds_dropped),
	KUNIT_CASE(shared_objects_stay),
	KUNIT_CASE(cycles_collected),
	KUNIT_CASE(heap_goes_with_the_last),
	KUNIT_CASE(pools_are_left_behind),
	KUNIT_CASE(many_live_and_die),
	KUNIT_CASE(last_two_go_together),
	{}
};

struct kunit_suite ku_death_suite = {
	.name = "moheap_death",
	.init = ku_init_live,
	.exit = ku_exit,
	.test_cases = ku_death_cases,
};
