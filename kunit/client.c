// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_client: holds, active pools, read-only clients, and several threads of one client.
 */
#include "fixture.h"

static bool ku_holding(struct ku *ku, struct mh_client *client, u64 ref)
{
	struct mh_obj o = ku_find(ku, ref);
	bool holding;

	down_read(&client->heap->gate);
	holding = mh_client_holding(client, &o);
	up_read(&client->heap->gate);
	return holding;
}

static void born_held_by_the_maker(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 ref = ku_new(ku, KU_LEAF);

	KUNIT_EXPECT_TRUE(test, ku_holding(ku, ku->client, ref));
	KUNIT_EXPECT_FALSE(test, ku_holding(ku, other, ref));
	KUNIT_EXPECT_EQ(test, ku_held(ku->client), 1);
	KUNIT_EXPECT_EQ(test, ku_held(other), 0);
}

static void holding_twice_is_holding_once(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_LEAF);

	KU_OK(test, ku_hold(ku->client, ref));
	KU_OK(test, ku_hold(ku->client, ref));
	KUNIT_EXPECT_EQ(test, ku_count(ku, ref), 1);
	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_drop(ku->client, ref), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_held(ku->client), 0);
}

static void clients_hold_for_themselves(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 ref = ku_new(ku, KU_LEAF);

	KUNIT_EXPECT_EQ(test, ku_drop(other, ref), -ENOENT);
	KU_OK(test, ku_hold(other, ref));
	KUNIT_EXPECT_EQ(test, ku_count(ku, ref), 2);
	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_drop(ku->client, ref), -ENOENT);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, ref));
	KU_OK(test, ku_drop(other, ref));
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, ref));
}

/* A drop that fails leaves neither a pin nor a candidate. */
static void failed_drop_leaves_nothing(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 ref = ku_new(ku, KU_NODE);

	KUNIT_EXPECT_EQ(test, ku_drop(other, ref), -ENOENT);
	KUNIT_EXPECT_EQ(test, ku_count(ku, ref), 1);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 0);
}

static void readonly_holds_and_looks(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *reader = ku_join_readonly(ku);
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_LEAF), target;

	ku_link(ku, a, 0, b);
	ku_release(ku, b);
	KU_OK(test, ku_hold(reader, a));
	KU_OK(test, ku_load(reader, a, 0, &target));
	KUNIT_EXPECT_EQ(test, target, b);
	KU_OK(test, ku_load_hold(reader, a, 0, &target));
	KU_OK(test, ku_read(reader, a, 0, &target, 1));
	ku_release(ku, a);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, a));
	KU_OK(test, ku_drop(reader, a));
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, a));
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, b));
}

static void readonly_begets_readonly(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *reader = ku_join_readonly(ku);

	KUNIT_EXPECT_EQ(test, PTR_ERR(moheap_join(reader, false)), -EACCES);
	KUNIT_EXPECT_TRUE(test, ku_adopt(ku, moheap_join(reader, true))->readonly);
	KUNIT_EXPECT_TRUE(test, ku_adopt(ku, moheap_clone(reader))->readonly);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).clients, 4);
}

/* Two clients never take blocks from the same pool at a time. */
static void clients_have_pools_of_their_own(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	struct mh_pool *first = ku_find(ku, ku_new(ku, KU_NODE)).pool;
	struct mh_pool *second = ku_find(ku, ku_new_by(ku, other, KU_NODE)).pool;

	KUNIT_EXPECT_PTR_NE(test, first, second);
	ku_close(ku, other);
	KUNIT_EXPECT_EQ(test, second->state, MH_POOL_EMPTY);
	KUNIT_EXPECT_EQ(test, first->state, MH_POOL_ACTIVE);
}

/* A pool that one client leaves with few objects is used up by another. */
static void pools_are_inherited(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 ref = ku_new_by(ku, other, KU_NODE);
	struct mh_pool *pool = ku_find(ku, ref).pool;

	KU_OK(test, ku_hold(ku->client, ref));
	ku_close(ku, other);
	KUNIT_EXPECT_EQ(test, pool->state, MH_POOL_SPARSE);
	KUNIT_EXPECT_PTR_EQ(test, ku_find(ku, ku_new(ku, KU_NODE)).pool, pool);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).pools, 1);
}

static void many_pools_of_many_bins(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 i, n = 40;
	u64 *refs = ku_new_many(ku, KU_NODE, 5000);
	u64 *vars = ku_refs(ku, n);

	for (i = 0; i < n; i++)
		vars[i] = ku_new_var(ku, i * 2, 16 << (i % 12));
	KUNIT_EXPECT_EQ(test, ku_held(ku->client), 5000 + n);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 5000 + n);
	ku_drop_all(ku, vars, n);
	ku_drop_all(ku, refs, 5000);
	KUNIT_EXPECT_EQ(test, ku_held(ku->client), 0);
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* Hold bits go with their pool, and come again with the next. */
static void holds_go_with_their_pool(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 ref = ku_new_by(ku, other, KU_LEAF), before;
	int i;

	ku_close(ku, other);
	mh_trim_all(ku->heap);
	before = ku_stat(ku).kernel_bytes;
	for (i = 0; i < 3; i++) {
		other = ku_join(ku);
		ref = ku_new_by(ku, other, KU_LEAF);
		KU_OK(test, ku_hold(ku->client, ref));
		KUNIT_EXPECT_EQ(test, ku_held(ku->client), 1);
		ku_close(ku, other);
		ku_release(ku, ref);
		mh_trim_all(ku->heap);
		KUNIT_EXPECT_EQ(test, ku_stat(ku).pools, 0);
		KUNIT_EXPECT_EQ(test, ku_stat(ku).kernel_bytes, before);
	}
}

/* ---- Threads of one client ---- */

#define KU_THREADS	4

struct ku_worker {
	struct ku *ku;
	struct ku_task *task;
	u32 rounds;
	u32 failed;
	u64 refs[64];
};

/* Allocate, link and drop; more types than pools are active, so that all grow at once. */
static void ku_worker(void *data)
{
	struct ku_worker *w = data;
	struct mh_client *client = w->ku->client;
	u32 i, round, n = ARRAY_SIZE(w->refs);

	for (round = 0; round < w->rounds; round++) {
		w->failed += !!ku_alloc(client, w->ku->type[round % 2 ? KU_NODE : KU_BARE], 0,
					w->refs, n);
		for (i = 0; i + 1 < n; i++)
			w->failed += !!ku_store(client, w->refs[i], 0, w->refs[i + 1]);
		for (i = 0; i < n; i++)
			w->failed += !!ku_drop(client, w->refs[i]);
	}
}

static void threads_share_a_client(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_worker *w;
	int i;

	w = kunit_kcalloc(test, KU_THREADS, sizeof(*w), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, w);
	for (i = 0; i < KU_THREADS; i++) {
		w[i].ku = ku;
		w[i].rounds = ku_steps() / 300;
		w[i].task = ku_start(ku, i, ku_worker, &w[i]);
	}
	for (i = 0; i < KU_THREADS; i++) {
		ku_await(w[i].task);
		KUNIT_EXPECT_EQ(test, w[i].failed, 0);
	}
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, ku_held(ku->client), 0);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).allocated,
			(u64)KU_THREADS * w[0].rounds * ARRAY_SIZE(w[0].refs));
}

static int ku_immortal(struct mh_client *client, u64 ref)
{
	struct moheap_op op = { .code = MOHEAP_OP_IMMORTAL, .ref = ref };

	return ku_op(client, &op);
}

/* Whoever goes, and whatever is collected, it stays, with what it reaches. */
static void immortal_stays(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 root = ku_new_by(ku, other, KU_NODE), behind = ku_new_by(ku, other, KU_LEAF);
	u64 *ring = ku_ring(ku, 3), plain = ku_new(ku, KU_LEAF);

	KUNIT_EXPECT_EQ(test, ku_immortal(ku_join_readonly(ku), root), -EACCES);
	KU_OK(test, ku_store(other, root, 0, behind));
	KU_OK(test, ku_immortal(other, root));
	KU_OK(test, ku_immortal(ku->client, root));
	KUNIT_EXPECT_EQ(test, ku_count(ku, root), 2);
	KU_OK(test, ku_immortal(ku->client, ring[1]));
	ku_drop_all(ku, ring, 3);
	ku_release(ku, plain);
	ku_close(ku, other);
	KUNIT_EXPECT_EQ(test, ku_drop(ku->client, root), -ENOENT);
	ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 5);
	KUNIT_EXPECT_EQ(test, ku_count(ku, root), 1);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, behind));
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, plain));
	/* It is no client. */
	KUNIT_EXPECT_EQ(test, ku_stat(ku).clients, 2);
}

/* Made immortal while a trace, that passed its pool, is under way (barrier H). */
static void immortal_during_trace(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_ring(ku, 5), keep = ku_new(ku, KU_NODE);

	KU_OK(test, ku_immortal(ku->client, keep));
	ku_drop_all(ku, ring, 5);
	ku_trace_begin(ku);
	ku_trace_rooted(ku);
	KU_OK(test, ku_immortal(ku->client, ring[2]));
	ku_trace_finish(ku);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 6);
}

static struct kunit_case ku_client_cases[] = {
	KUNIT_CASE(immortal_stays),
	KUNIT_CASE(immortal_during_trace),
	KUNIT_CASE(born_held_by_the_maker),
	KUNIT_CASE(holding_twice_is_holding_once),
	KUNIT_CASE(clients_hold_for_themselves),
	KUNIT_CASE(failed_drop_leaves_nothing),
	KUNIT_CASE(readonly_holds_and_looks),
	KUNIT_CASE(readonly_begets_readonly),
	KUNIT_CASE(clients_have_pools_of_their_own),
	KUNIT_CASE(pools_are_inherited),
	KUNIT_CASE(many_pools_of_many_bins),
	KUNIT_CASE(holds_go_with_their_pool),
	KUNIT_CASE(threads_share_a_client),
	{}
};

struct kunit_suite ku_client_suite = {
	.name = "moheap_client",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_client_cases,
};
