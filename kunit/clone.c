// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_clone: a new client with the same holds, as a process needs it after fork.
 */
#include "fixture.h"

static void clone_of_nothing(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *twin = ku_adopt(ku, moheap_clone(ku->client));

	KUNIT_EXPECT_EQ(test, ku_held(twin), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).clients, 2);
}

static void clone_holds_the_same(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *nodes = ku_new_many(ku, KU_NODE, 2000), *wide = ku_new_many(ku, KU_WIDE, 10);
	struct mh_client *twin;
	u32 i;

	for (i = 0; i < 2000; i += 3)
		ku_release(ku, nodes[i]);
	twin = ku_adopt(ku, moheap_clone(ku->client));
	KUNIT_EXPECT_EQ(test, ku_held(twin), ku_held(ku->client));
	for (i = 0; i < 2000; i++)
		if (i % 3)
			KUNIT_ASSERT_EQ(test, ku_count(ku, nodes[i]), 2);
	for (i = 0; i < 10; i++)
		KUNIT_ASSERT_EQ(test, ku_count(ku, wide[i]), 2);
}

static void twins_are_independent(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_NODE), c;
	struct mh_client *twin = ku_adopt(ku, moheap_clone(ku->client));

	ku_release(ku, a);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, a));
	KU_OK(test, ku_drop(twin, b));
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, b));
	c = ku_new_by(ku, twin, KU_NODE);
	KUNIT_EXPECT_EQ(test, ku_drop(ku->client, c), -ENOENT);
	ku_close(ku, twin);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, a));
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, b));
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, c));
}

/* fork, and the parent dies: nothing that the child knows is lost. */
static void clone_outlives_its_model(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *parent = ku_join(ku), *child;
	u64 ring[3], leaf = ku_new_by(ku, parent, KU_LEAF);
	u32 i;

	KU_OK(test, ku_alloc(parent, ku->type[KU_NODE], 0, ring, 3));
	for (i = 0; i < 3; i++)
		KU_OK(test, ku_store(parent, ring[i], 0, ring[(i + 1) % 3]));
	KU_OK(test, ku_drop(parent, ring[1]));
	child = ku_adopt(ku, moheap_clone(parent));
	ku_close(ku, parent);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 4);
	KU_OK(test, ku_drop(child, leaf));
	ku_close(ku, child);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

static void generations_of_clones(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_NODE);
	struct mh_client *twins[5], *last = ku->client;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(twins); i++) {
		twins[i] = ku_adopt(ku, moheap_clone(last));
		last = twins[i];
	}
	KUNIT_EXPECT_EQ(test, ku_count(ku, ref), 1 + ARRAY_SIZE(twins));
	ku_release(ku, ref);
	for (i = 0; i < ARRAY_SIZE(twins); i++) {
		KUNIT_EXPECT_TRUE(test, ku_alive(ku, ref));
		ku_close(ku, twins[i]);
	}
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, ref));
}

/* An object that has all the references it may have is held by the clone, or there is none. */
static void clone_at_the_maximum(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_NODE);
	struct mh_client *twin;
	bool fine;

	ku_add_count(ku, ref, MOHEAP_COUNT_MAX - 1);
	twin = moheap_clone(ku->client);
	fine = IS_ERR(twin) ? PTR_ERR(twin) == -EOVERFLOW : ku_held(twin) == 1;
	KUNIT_EXPECT_TRUE(test, fine);
	ku_add_count(ku, ref, 1 - (s64)MOHEAP_COUNT_MAX);
	if (!IS_ERR(twin))
		moheap_close(twin);
}

/* ---- Clones of a client that is not still ---- */

#define KU_STEADY	200
#define KU_MOVING	300

struct ku_mover {
	struct ku *ku;
	u64 steady[KU_STEADY];
	u64 moving[KU_MOVING];
	u32 failed;
};

static void ku_move(void *data)
{
	struct ku_mover *m = data;
	struct mh_client *client = m->ku->client;
	u32 i, n;

	for (n = 0; !kthread_should_stop(); n++) {
		i = n % KU_MOVING;
		if (m->moving[i])
			m->failed += !!ku_drop(client, m->moving[i]);
		m->moving[i] = 0;
		m->failed += !!ku_alloc(client, m->ku->type[n % 2 ? KU_NODE : KU_LEAF], 0,
					&m->moving[i], 1);
		cond_resched();
	}
}

/* What is held throughout is held by the clone; the rest may be or not, and counts agree. */
static void cloned_on_the_move(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_mover *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	struct mh_client *twin;
	struct ku_task *mover;
	u32 i, round;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->ku = ku;
	KU_OK(test, ku_alloc(ku->client, ku->type[KU_NODE], 0, m->steady, KU_STEADY));
	mover = ku_start(ku, 1, ku_move, m);
	for (round = 0; round < 5 + ku_steps() / 200; round++) {
		twin = ku_adopt(ku, moheap_clone(ku->client));
		for (i = 0; i < KU_STEADY; i++)
			KU_OK(test, ku_drop(twin, m->steady[i]));
		KUNIT_ASSERT_EQ(test, moheap_check(twin), 0);
		ku_close(ku, twin);
	}
	ku_stop(mover);
	KUNIT_EXPECT_EQ(test, m->failed, 0);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), ku_held(ku->client));
}

static struct kunit_case ku_clone_cases[] = {
	KUNIT_CASE(clone_of_nothing),
	KUNIT_CASE(clone_holds_the_same),
	KUNIT_CASE(twins_are_independent),
	KUNIT_CASE(clone_outlives_its_model),
	KUNIT_CASE(generations_of_clones),
	KUNIT_CASE(clone_at_the_maximum),
	KUNIT_CASE(cloned_on_the_move),
	{}
};

struct kunit_suite ku_clone_suite = {
	.name = "moheap_clone",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_clone_cases,
};
