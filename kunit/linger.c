// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_linger: blocks of a guarded heap are out of use from the death of their object until a
 * client took them and gave them back, or memory is short; none is lost, and none is had twice.
 */
#include "fixture.h"

#define KU_BLOCKS	256

/**
 * struct ku_taken - what a request gave
 * @blocks: taken
 * @n: how many
 * @keep: blocks the client has
 * @left: blocks that linger
 */
struct ku_taken {
	struct moheap_block blocks[KU_BLOCKS];
	u32 n;
	u32 keep;
	u64 left;
};

static int ku_try_linger(struct mh_client *client, struct ku_taken *t, u32 want, u32 keep)
{
	struct moheap_linger linger = {
		.size = sizeof(linger), .blocks = (uintptr_t)t->blocks, .count = want,
		.keep = keep,
	};
	int err = mh_linger_exchange(client, &linger, false);

	t->n = linger.count;
	t->keep = linger.keep;
	t->left = linger.left;
	return err;
}

/* Take up to @want blocks, and keep @keep that were taken before. */
static struct ku_taken *ku_linger(struct ku *ku, struct mh_client *client, u32 want, u32 keep)
{
	struct ku_taken *t = kunit_kzalloc(ku->test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(ku->test, t);
	KUNIT_ASSERT_LE(ku->test, want, KU_BLOCKS);
	KU_OK(ku->test, ku_try_linger(client, t, want, keep));
	KUNIT_EXPECT_EQ(ku->test, moheap_check(ku->client), 0);
	return t;
}

static bool ku_free(struct ku *ku, u64 ref)
{
	return ku_bit(ku, ref, MH_FREE);
}

static bool ku_lingers(struct ku *ku, u64 ref)
{
	struct mh_obj o = ku_find(ku, ref);

	return test_bit(o.idx, o.pool->linger->bits);
}

/* ---- One block ---- */

static void a_block_lingers(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_NODE);
	struct ku_taken *t;

	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_hold(ku->client, ref), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).lingering, 1);
	KUNIT_EXPECT_TRUE(test, ku_lingers(ku, ref));
	KUNIT_EXPECT_FALSE(test, ku_free(ku, ref));

	t = ku_linger(ku, ku->client, 8, 0);
	KUNIT_ASSERT_EQ(test, t->n, 1);
	KUNIT_EXPECT_EQ(test, t->keep, 1);
	KUNIT_EXPECT_EQ(test, t->left, 0);
	KUNIT_EXPECT_EQ(test, t->blocks[0].ref, ref | MOHEAP_REF_REUSED);
	KUNIT_EXPECT_EQ(test, t->blocks[0].type, ku->type[KU_NODE]);
	KUNIT_EXPECT_EQ(test, t->blocks[0].payload, 16);
	KUNIT_EXPECT_FALSE(test, ku_lingers(ku, ref));
	KUNIT_EXPECT_FALSE(test, ku_free(ku, ref));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).lingering, 0);

	/* Kept, and then not. */
	KUNIT_EXPECT_EQ(test, ku_linger(ku, ku->client, 8, 1)->keep, 1);
	KUNIT_EXPECT_FALSE(test, ku_free(ku, ref));
	KUNIT_EXPECT_EQ(test, ku_linger(ku, ku->client, 0, 0)->keep, 0);
	KUNIT_EXPECT_TRUE(test, ku_free(ku, ref));
}

static void blocks_of_variable_payload(struct kunit *test)
{
	static const u32 sizes[] = { 1, 16, 17, 100, 4096, 40000 };
	struct ku *ku = test->priv;
	struct ku_taken *t;
	u64 ref;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ref = ku_new_var(ku, i, sizes[i]);
		ku_release(ku, ref);
		t = ku_linger(ku, ku->client, 1, 0);
		KUNIT_ASSERT_EQ(test, t->n, 1);
		KUNIT_EXPECT_GE(test, t->blocks[0].payload, sizes[i]);
		KUNIT_EXPECT_EQ(test, t->blocks[0].payload % MOHEAP_GRANULE, 0);
		KUNIT_EXPECT_EQ(test, (u32)t->blocks[0].ref, (u32)ref);
	}
}

static void no_payload_nothing_to_look_at(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_BARE);

	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).lingering, 0);
	KUNIT_EXPECT_TRUE(test, ku_free(ku, ref));
	KUNIT_EXPECT_EQ(test, ku_linger(ku, ku->client, 8, 0)->n, 0);
}

/* Whatever ends an object. */
static void every_death(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 *ring = ku_ring(ku, 5), *big, leaf;

	/* A local pass, */
	ku_drop_all(ku, ring, 5);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL), 5);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).lingering, 5);
	/* a trace, */
	big = ku_ring(ku, 3000);
	ku_drop_all(ku, big, 3000);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 3000);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).lingering, 3005);
	/* and the end of a client. */
	leaf = ku_new_by(ku, other, KU_LEAF);
	ku_close(ku, other);
	KUNIT_EXPECT_TRUE(test, ku_lingers(ku, leaf));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).lingering, 3006);
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
}

/* A trace that sweeps beside it takes no block for an object. */
static void swept_while_they_linger(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_NODE, 500);
	struct ku_taken *t;

	ku_trace_begin(ku);
	ku_drop_all(ku, refs, 200);
	ku_trace_until(ku, MH_SWEEPING);
	ku_drop_all(ku, refs + 200, 200);
	t = ku_linger(ku, ku->client, 100, 0);
	KUNIT_EXPECT_EQ(test, t->n, 100);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 100);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).lingering, 300);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).freed_trace, 0);
}

/* A block whose generations ran out never comes to anybody. */
static void retired_at_once(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_NODE);
	u64 last = mh_word(MH_GEN_LAST | MH_GEN_REUSED, (u32)ref);

	KU_OK(test, ku_renew(ku->client, ref, last));
	ku_release(ku, last);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).lingering, 0);
	KUNIT_EXPECT_EQ(test, ku_linger(ku, ku->client, 8, 0)->n, 0);
}

/* ---- Many ---- */

static void the_oldest_go_back(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_LEAF, 40);
	struct ku_taken *first, *second;
	u32 i;

	ku_drop_all(ku, refs, 20);
	first = ku_linger(ku, ku->client, 20, 0);
	KUNIT_ASSERT_EQ(test, first->n, 20);
	ku_drop_all(ku, refs + 20, 20);
	second = ku_linger(ku, ku->client, 20, 10);
	KUNIT_ASSERT_EQ(test, second->n, 20);
	KUNIT_EXPECT_EQ(test, second->keep, 30);
	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, ku_free(ku, first->blocks[i].ref), i < 10);
		KUNIT_EXPECT_FALSE(test, ku_free(ku, second->blocks[i].ref));
	}
	KUNIT_EXPECT_EQ(test, ku_linger(ku, ku->client, 0, 5)->keep, 5);
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_EQ(test, ku_free(ku, second->blocks[i].ref), i < 15);
}

/* The ring goes round, and gets full. */
static void as_many_as_there_may_be(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_LEAF, MOHEAP_LINGER_MAX + 1000);
	struct ku_taken *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	u32 had = 0;

	KUNIT_ASSERT_NOT_NULL(test, t);
	ku_drop_all(ku, refs, MOHEAP_LINGER_MAX + 1000);
	while (had + KU_BLOCKS <= MOHEAP_LINGER_MAX) {
		KU_OK(test, ku_try_linger(ku->client, t, KU_BLOCKS, had));
		KUNIT_ASSERT_EQ(test, t->n, KU_BLOCKS);
		had += t->n;
		KUNIT_ASSERT_EQ(test, t->keep, had);
	}
	KUNIT_EXPECT_EQ(test, had, MOHEAP_LINGER_MAX);
	KUNIT_EXPECT_EQ(test, t->left, 1000);
	KUNIT_EXPECT_EQ(test, ku_try_linger(ku->client, t, 1, had), -E2BIG);
	KUNIT_EXPECT_EQ(test, ku_try_linger(ku->client, t, 0, had + 1), -E2BIG);
	KUNIT_EXPECT_EQ(test, ku_try_linger(ku->client, t, U32_MAX, 1), -E2BIG);
	/* The oldest make room. */
	KU_OK(test, ku_try_linger(ku->client, t, 100, had - 100));
	KUNIT_EXPECT_EQ(test, t->n, 100);
	KUNIT_EXPECT_EQ(test, t->keep, had);
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
	ku_linger(ku, ku->client, 0, 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).lingering, 900);
}

static void not_all_that_lingers(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_LEAF, 70);
	struct ku_taken *t;

	ku_drop_all(ku, refs, 70);
	t = ku_linger(ku, ku->client, 33, 0);
	KUNIT_EXPECT_EQ(test, t->n, 33);
	KUNIT_EXPECT_EQ(test, t->left, 37);
	t = ku_linger(ku, ku->client, 100, 100);
	KUNIT_EXPECT_EQ(test, t->n, 37);
	KUNIT_EXPECT_EQ(test, t->keep, 70);
	KUNIT_EXPECT_EQ(test, t->left, 0);
}

/* What lingers is not given out, and its pools stay. */
static void out_of_use(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_LEAF, 3000), *others;
	u64 pools = ku_stat(ku).pools;
	u32 i;

	ku_drop_all(ku, refs, 3000);
	mh_trim_all(ku->heap);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).pools, pools);
	others = ku_new_many(ku, KU_LEAF, 3000);
	for (i = 0; i < 3000; i++)
		KUNIT_EXPECT_FALSE(test, ku_lingers(ku, others[i]));
	KUNIT_EXPECT_GE(test, ku_stat(ku).pools, 2 * pools - 1);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).lingering, 3000);
}

/* When they have been looked at, their pools go. */
static void pools_go_afterwards(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_LEAF, 3000);
	u32 n = 1;

	ku_drop_all(ku, refs, 3000);
	while (n)
		n = ku_linger(ku, ku->client, KU_BLOCKS, 0)->n;
	KUNIT_EXPECT_GT(test, ku_stat(ku).pools, 2);
	mh_trim_all(ku->heap);
	/* But for the one that is active. */
	KUNIT_EXPECT_LE(test, ku_stat(ku).pools, 1);
}

static void usage_leaves_them_out(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_LEAF, 100);
	struct moheap_usage usage = { .type = ku->type[KU_LEAF] };

	ku_drop_all(ku, refs, 60);
	ku_linger(ku, ku->client, 20, 0);
	KU_OK(test, mh_usage(ku->heap, &usage));
	KUNIT_EXPECT_EQ(test, usage.used, 40);
}

/* ---- Who may, and who has ---- */

static void only_in_guarded_heaps(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *plain = ku_adopt(ku, moheap_create(MOHEAP_LIMIT_MIN, 0));
	struct ku_taken *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	u64 ref = 0;
	int type;

	KUNIT_ASSERT_NOT_NULL(test, t);
	KUNIT_EXPECT_EQ(test, ku_try_linger(plain, t, 1, 0), -EPERM);
	KUNIT_EXPECT_EQ(test, ku_try_linger(ku_join_readonly(ku), t, 0, 0), -EACCES);
	type = ku_register(plain, "leaf", 0, 0, 16);
	KU_OK(test, ku_alloc(plain, type, 0, &ref, 1));
	KU_OK(test, ku_drop(plain, ref));
	KUNIT_EXPECT_EQ(test, plain->heap->nlinger, 0);
	KUNIT_EXPECT_EQ(test, moheap_check(plain), 0);
	ku_close(ku, plain);
}

static void each_client_has_its_own(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_LEAF, 30);
	struct mh_client *other = ku_join(ku), *clone;
	struct ku_taken *ours, *theirs;
	u32 i, j;

	ku_drop_all(ku, refs, 30);
	ours = ku_linger(ku, ku->client, 10, 0);
	theirs = ku_linger(ku, other, 30, 0);
	KUNIT_EXPECT_EQ(test, ours->n, 10);
	KUNIT_EXPECT_EQ(test, theirs->n, 20);
	for (i = 0; i < ours->n; i++)
		for (j = 0; j < theirs->n; j++)
			KUNIT_EXPECT_NE(test, ours->blocks[i].ref, theirs->blocks[j].ref);
	/* A clone took none of them. */
	clone = ku_adopt(ku, moheap_clone(other));
	KUNIT_EXPECT_EQ(test, ku_linger(ku, clone, 0, 100)->keep, 0);
	KUNIT_EXPECT_EQ(test, ku_linger(ku, other, 0, 100)->keep, 20);
	/* Nor does one give back what is another's. */
	ku_linger(ku, ku->client, 0, 0);
	KUNIT_EXPECT_TRUE(test, ku_free(ku, ours->blocks[0].ref));
	KUNIT_EXPECT_FALSE(test, ku_free(ku, theirs->blocks[0].ref));
}

static void a_client_dies(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_LEAF, 100);
	struct mh_client *other = ku_join(ku);
	u64 bytes = ku_stat(ku).kernel_bytes;
	struct ku_taken *t;
	u32 i;

	ku_drop_all(ku, refs, 100);
	t = ku_linger(ku, other, 60, 0);
	KUNIT_EXPECT_GT(test, ku_stat(ku).kernel_bytes, bytes);
	ku_close(ku, other);
	KUNIT_EXPECT_LE(test, ku_stat(ku).kernel_bytes, bytes);
	for (i = 0; i < t->n; i++)
		KUNIT_EXPECT_TRUE(test, ku_free(ku, t->blocks[i].ref));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).lingering, 40);
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
}

/* ---- Memory ---- */

static void released_for_memory(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_LEAF, 5000);
	struct ku_taken *t;
	u32 i;

	ku_drop_all(ku, refs, 5000);
	t = ku_linger(ku, ku->client, 50, 0);
	mh_linger_release(ku->heap);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).lingering, 0);
	for (i = 0; i < t->n; i++)
		KUNIT_EXPECT_FALSE(test, ku_free(ku, t->blocks[i].ref));
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
	mh_trim_all(ku->heap);
	KUNIT_EXPECT_LE(test, ku_stat(ku).pools, 3);
}

/* A heap that is full of what lingers is as good as empty. */
static void at_the_limit(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *full = ku_adopt(ku, moheap_create(MOHEAP_LIMIT_MIN,
							    MOHEAP_CREATE_GUARD));
	u32 room = 40000, round;
	u64 *refs = ku_refs(ku, room), made = 0;
	struct moheap_op op;
	int type;

	KU_OK(test, ku_stand_in(full->heap));
	type = ku_register(full, "node", 0, 2, 16);
	for (round = 0; round < 3; round++) {
		op = (struct moheap_op){
			.code = MOHEAP_OP_ALLOC, .index = type, .ref = (uintptr_t)refs, .a = room,
		};
		KUNIT_ASSERT_EQ(test, ku_op(full, &op), -ENOSPC);
		KUNIT_EXPECT_GT(test, op.a, 10000);
		if (round)
			KUNIT_EXPECT_GE(test, op.a, made - 1024);
		made = op.a;
		KUNIT_EXPECT_EQ(test, full->heap->nlinger, 0);
		ku_drop_all_by(ku, full, refs, made);
		KUNIT_EXPECT_EQ(test, full->heap->nlinger, made);
		KUNIT_EXPECT_EQ(test, moheap_check(full), 0);
	}
	ku_close(ku, full);
}

/* ---- Damage that mh_heap_check() must see ---- */

static void ku_expect_seen(struct ku *ku)
{
	KUNIT_EXPECT_EQ(ku->test, moheap_check(ku->client), -EUCLEAN);
}

static void damage_is_seen(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_LEAF, 4);
	struct mh_taken *taken;
	struct mh_obj o;
	u32 was;

	ku_drop_all(ku, refs, 3);
	ku_linger(ku, ku->client, 1, 0);
	taken = ku->client->taken;

	/* A block that lingers and is free, or lives, */
	o = ku_find(ku, refs[2]);
	set_bit(o.idx, mh_map(o.pool, MH_FREE));
	atomic_inc(&o.pool->nfree);
	ku_expect_seen(ku);
	clear_bit(o.idx, mh_map(o.pool, MH_FREE));
	atomic_dec(&o.pool->nfree);
	o = ku_find(ku, refs[3]);
	__set_bit(o.idx, o.pool->linger->bits);
	ku_expect_seen(ku);
	__clear_bit(o.idx, o.pool->linger->bits);

	/* one that is nowhere, */
	o = ku_find(ku, refs[2]);
	__clear_bit(o.idx, o.pool->linger->bits);
	ku_expect_seen(ku);
	__set_bit(o.idx, o.pool->linger->bits);
	taken->n--;
	ku_expect_seen(ku);
	taken->n++;

	/* that was taken twice, by mistake, or from nowhere, */
	taken->granules[1] = taken->granules[0];
	taken->n++;
	ku_expect_seen(ku);
	taken->n--;
	was = taken->granules[0];
	taken->granules[0] = (u32)refs[2];
	ku_expect_seen(ku);
	taken->granules[0] = was + 1;
	ku_expect_seen(ku);
	taken->granules[0] = was;

	/* and wrong figures. */
	o.pool->linger->lingering++;
	ku_expect_seen(ku);
	o.pool->linger->lingering--;
	atomic_inc(&o.pool->linger->n);
	ku_expect_seen(ku);
	atomic_dec(&o.pool->linger->n);
	ku->heap->nlinger++;
	ku_expect_seen(ku);
	ku->heap->nlinger--;
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
}

/* ---- Several threads ---- */

/* Make objects and let go of them, without end. */
static void ku_maker(void *data)
{
	struct mh_client *client = data;
	u64 refs[KU_OPS];
	u32 i;

	while (!kthread_should_stop()) {
		if (ku_alloc(client, KU_NODE, 0, refs, KU_OPS))
			break;
		for (i = 0; i < KU_OPS; i++)
			ku_drop(client, refs[i]);
		cond_resched();
	}
}

static void ku_taker(void *data)
{
	struct mh_client *client = data;
	struct ku_taken *t = kzalloc(sizeof(*t), GFP_KERNEL);
	u32 keep = 0;

	while (t && !kthread_should_stop()) {
		keep = (keep + 37) % 200;
		if (ku_try_linger(client, t, 1 + keep / 2, keep))
			break;
		cond_resched();
	}
	kfree(t);
}

static void taken_by_many(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	struct ku_task *tasks[5];
	u32 i;

	KUNIT_ASSERT_EQ(test, ku->type[KU_NODE], KU_NODE);
	tasks[0] = ku_start(ku, 0, ku_maker, ku->client);
	tasks[1] = ku_start(ku, 1, ku_maker, other);
	tasks[2] = ku_start(ku, 0, ku_taker, ku->client);
	tasks[3] = ku_start(ku, 1, ku_taker, ku->client);
	tasks[4] = ku_start(ku, 1, ku_taker, other);
	for (i = 0; i < 100; i++) {
		if (i % 10 == 0)
			mh_linger_release(ku->heap);
		if (i % 10 == 5)
			mh_trim_all(ku->heap);
		if (i % 20 == 0)
			KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
		schedule_timeout_idle(1);
	}
	for (i = 0; i < ARRAY_SIZE(tasks); i++)
		ku_stop(tasks[i]);
	KUNIT_EXPECT_GT(test, ku_stat(ku).allocated, KU_OPS);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	ku_linger(ku, ku->client, 0, 0);
	ku_linger(ku, other, 0, 0);
	mh_linger_release(ku->heap);
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
}

static struct kunit_case ku_linger_cases[] = {
	KUNIT_CASE(a_block_lingers),
	KUNIT_CASE(blocks_of_variable_payload),
	KUNIT_CASE(no_payload_nothing_to_look_at),
	KUNIT_CASE(every_death),
	KUNIT_CASE(swept_while_they_linger),
	KUNIT_CASE(retired_at_once),
	KUNIT_CASE(the_oldest_go_back),
	KUNIT_CASE(as_many_as_there_may_be),
	KUNIT_CASE(not_all_that_lingers),
	KUNIT_CASE(out_of_use),
	KUNIT_CASE(pools_go_afterwards),
	KUNIT_CASE(usage_leaves_them_out),
	KUNIT_CASE(only_in_guarded_heaps),
	KUNIT_CASE(each_client_has_its_own),
	KUNIT_CASE(a_client_dies),
	KUNIT_CASE(released_for_memory),
	KUNIT_CASE_SLOW(at_the_limit),
	KUNIT_CASE(damage_is_seen),
	KUNIT_CASE_SLOW(taken_by_many),
	{}
};

struct kunit_suite ku_linger_suite = {
	.name = "moheap_linger",
	.init = ku_init_guarded,
	.exit = ku_exit,
	.test_cases = ku_linger_cases,
};
