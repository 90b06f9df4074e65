// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_garbage: what the collector finds, saved in place of being freed.
 */
#include "fixture.h"

static int ku_discard(struct ku *ku, u64 ref)
{
	struct moheap_op op = { .code = MOHEAP_OP_DISCARD, .ref = ref };

	return ku_op(ku->client, &op);
}

static void ku_save_all(struct ku *ku)
{
	ku_tune(ku, MOHEAP_TUNE_DEBUG, MOHEAP_DEBUG_SAVEALL);
}

/* Saved once, by whichever way it was found; whole; and garbage again when it is discarded. */
static void saved_by(struct kunit *test, u32 generation)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_ring(ku, 20), leaf = ku_new(ku, KU_LEAF), target, i;

	ku_link(ku, ring[7], 1, leaf);
	ku_release(ku, leaf);
	ku_save_all(ku);
	ku_drop_all(ku, ring, 20);
	/* Local passes look at nothing without slots. */
	KUNIT_EXPECT_EQ(test, ku_collect(ku, generation), 20 + (generation == MOHEAP_COLLECT_FULL));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).saved, 20 + (generation == MOHEAP_COLLECT_FULL));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).generation[generation].uncollectable,
			ku_stat(ku).saved);
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, ku_count(ku, ring[i]), 2);
		KU_OK(test, ku_load(ku->client, ring[i], 0, &target));
		KUNIT_EXPECT_EQ(test, target, ring[(i + 1) % 20]);
	}
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 0);
	/* One of them keeps them all. */
	ku_tune(ku, MOHEAP_TUNE_DEBUG, 0);
	for (i = 1; i < 20; i++)
		KU_OK(test, ku_discard(ku, ring[i]));
	KUNIT_EXPECT_EQ(test, ku_discard(ku, ring[1]), -ENOENT);
	if (generation == MOHEAP_COLLECT_FULL)
		KU_OK(test, ku_discard(ku, leaf));
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 0);
	KU_OK(test, ku_discard(ku, ring[0]));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).saved, 0);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 21);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_EQ(test, ku_discard(ku, ring[0]), -ESTALE);
}

static void by_local_pass(struct kunit *test)
{
	saved_by(test, MOHEAP_COLLECT_LOCAL);
}

static void by_trace(struct kunit *test)
{
	saved_by(test, MOHEAP_COLLECT_FULL);
}

/* A pass frees nothing of what it visits, be it alive or garbage; counts are what they were. */
static void beside_the_living(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *dead = ku_ring(ku, 10), *live = ku_ring(ku, 10);

	ku_save_all(ku);
	ku_link(ku, dead[3], 1, live[3]);
	ku_drop_all(ku, dead, 10);
	ku_drop_all(ku, live + 1, 9);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 10);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).saved, 10);
	KUNIT_EXPECT_EQ(test, ku_count(ku, live[3]), 2);
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
	/* What saved garbage refers to is alive. */
	ku_release(ku, live[0]);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 0);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 20);
}

/* The invariants hold at every step, while refs that somebody kept are tried. */
static void sound_at_every_step(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_ring(ku, 3000), array = ku_new_var(ku, 2000, 0);
	u32 i = 0;
	int err;

	ku_save_all(ku);
	ku_link(ku, array, 1999, ring[5]);
	ku_link(ku, ring[5], 1, array);
	ku_release(ku, array);
	ku_drop_all(ku, ring, 3000);
	ku_trace_begin(ku);
	do {
		KUNIT_ASSERT_EQ(test, moheap_check(ku->client), 0);
		if (ku->heap->phase >= MH_FINALIZING) {
			err = ku_hold(ku->client, ring[i++ * 7 % 3000]);
			KUNIT_ASSERT_TRUE(test, !err || err == -ESTALE);
		}
	} while (!ku_trace_step(ku));
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 3001);
	KUNIT_EXPECT_GT(test, ku_stat(ku).saved, 2900);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 3001);
}

static void watched(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *watcher = ku_join(ku);
	u64 *ring = ku_ring(ku, 5);

	ku_save_all(ku);
	ku_watch(ku, watcher, ring[2], 7);
	ku_drop_all(ku, ring, 5);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 5);
	KUNIT_EXPECT_EQ(test, ku_event(ku, watcher).cookie, 7);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, ring[2]));
}

/* Garbage is finalized first, and saved when it is found again. */
static void finalized_first(struct kunit *test)
{
	struct ku *ku = test->priv;
	int type = ku_register(ku->client, "final", MOHEAP_TYPE_FINALIZE, 1, 16);
	struct moheap_event event;
	u64 ref = 0;

	ku_save_all(ku);
	KU_OK(test, moheap_listen(ku->client, MOHEAP_LISTEN_FINALIZE));
	KU_OK(test, ku_alloc(ku->client, type, 0, &ref, 1));
	ku_link(ku, ref, 0, ref);
	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 1);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).saved, 0);
	event = ku_event(ku, ku->client);
	KUNIT_EXPECT_EQ(test, event.type, MOHEAP_EVENT_FINALIZE);
	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 1);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).saved, 1);
	KU_OK(test, moheap_listen(ku->client, 0));
}

static void saved_are_listed(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_ring(ku, 3), got[8];
	struct moheap_objects objects = {
		.flags = MOHEAP_OBJECTS_SAVED, .refs = (uintptr_t)got, .count = 8,
	};

	ku_ring(ku, 3);
	ku_save_all(ku);
	ku_drop_all(ku, ring, 3);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KU_OK(test, mh_objects(ku->heap, &objects, false));
	KUNIT_EXPECT_EQ(test, objects.count, 3);
	KUNIT_EXPECT_MEMEQ(test, got, ring, 3 * sizeof(*ring));
}

static void unknown_flag(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_tune tune = {
		.size = sizeof(tune), .set = MOHEAP_TUNE_DEBUG, .debug = 0x8,
	};

	KUNIT_EXPECT_EQ(test, mh_collector_tune(ku->heap, &tune), -ERANGE);
}

static struct kunit_case ku_garbage_cases[] = {
	KUNIT_CASE(by_local_pass),
	KUNIT_CASE(by_trace),
	KUNIT_CASE(beside_the_living),
	KUNIT_CASE(sound_at_every_step),
	KUNIT_CASE(watched),
	KUNIT_CASE(finalized_first),
	KUNIT_CASE(saved_are_listed),
	KUNIT_CASE(unknown_flag),
	{}
};

struct kunit_suite ku_garbage_suite = {
	.name = "moheap_garbage",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_garbage_cases,
};
