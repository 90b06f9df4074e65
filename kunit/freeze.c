// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_freeze: objects set aside from the collector.
 *
 * The proof at the top of module/freeze.c needs barrier F: stored_in_frozen fails without it, which
 * lost_without_f shows.
 */
#include "fixture.h"

/* A ring that only its references keep, frozen. */
static u64 *ku_frozen_ring(struct ku *ku, u32 n)
{
	u64 *ring = ku_ring(ku, n);

	ku_freeze(ku);
	ku_drop_all(ku, ring, n);
	return ring;
}

static void garbage_stays(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_frozen_ring(ku, 10), *other = ku_ring(ku, 10);

	KUNIT_EXPECT_EQ(test, ku_stat(ku).frozen, 10);
	KUNIT_EXPECT_TRUE(test, ku_bit(ku, ring[3], MH_FROZEN));
	KUNIT_EXPECT_FALSE(test, ku_bit(ku, other[3], MH_FROZEN));
	ku_drop_all(ku, other, 10);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 10);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 0);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 0);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 10);
	KUNIT_EXPECT_EQ(test, ku_unfreeze(ku), 0);
	KUNIT_EXPECT_FALSE(test, ku_bit(ku, ring[3], MH_FROZEN));
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 10);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* What is garbage already when it is frozen is set aside like all else. */
static void garbage_is_frozen(struct kunit *test)
{
	struct ku *ku = test->priv;

	ku_drop_all(ku, ku_ring(ku, 10), 10);
	KUNIT_EXPECT_EQ(test, ku_freeze(ku), 10);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 0);
	ku_unfreeze(ku);
	/* Its candidates are used up: unfreezing asks for a trace. */
	KUNIT_EXPECT_GT(test, ku_stat(ku).escaped, 0);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 10);
}

static void counts_still_free(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_new_many(ku, KU_NODE, 100);

	ku_links(ku, refs, 0, refs + 1, 99);
	KUNIT_EXPECT_EQ(test, ku_freeze(ku), 100);
	ku_drop_all(ku, refs + 1, 99);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 100);
	ku_release(ku, refs[0]);
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).frozen, 0);
	/* What comes there next is not frozen. */
	ku_drop_all(ku, ku_ring(ku, 100), 100);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 100);
}

/* Only from something frozen does a way lead there; it was made later. */
static void stored_in_frozen(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_frozen_ring(ku, 10), late[2];
	u32 i;

	/* The traces see that the ring refers to nothing else, and look no more. */
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 0);
	KUNIT_EXPECT_FALSE(test, ku_bit(ku, ring[4], MH_REMEMBERED));
	for (i = 0; i < 2; i++)
		late[i] = ku_new(ku, KU_NODE);
	KU_OK(test, ku_hold(ku->client, ring[4]));
	ku_link(ku, late[0], 0, late[1]);
	ku_link(ku, late[1], 0, late[0]);
	ku_link(ku, ring[4], 1, late[0]);
	ku_release(ku, ring[4]);
	for (i = 0; i < 2; i++)
		ku_release(ku, late[i]);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 0);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 12);
	/* Until it does not any more. */
	KU_OK(test, ku_hold(ku->client, ring[4]));
	ku_link(ku, ring[4], 1, 0);
	ku_release(ku, ring[4]);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 2);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 10);
}

/* The same without the barrier: what the ring refers to is taken for garbage. */
static void lost_without_f(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_frozen_ring(ku, 10), late;

	ku_collect(ku, MOHEAP_COLLECT_FULL);
	ku->heap->without = BIT(MH_BARRIER_F);
	ku->unchecked = true;
	late = ku_new(ku, KU_NODE);
	KU_OK(test, ku_hold(ku->client, ring[4]));
	ku_link(ku, ring[4], 1, late);
	ku_release(ku, ring[4]);
	ku_release(ku, late);
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_SWEEPING);
	KUNIT_EXPECT_FALSE(test, ku_bit(ku, late, MH_MARK));
	/* Before that does any harm. */
	set_bit(ku_find(ku, late).idx, mh_map(ku_find(ku, late).pool, MH_MARK));
	ku_trace_finish(ku);
}

/* Whatever writes a slot of something frozen has it remembered. */
static void every_way_to_store(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_ring(ku, TO_WAYS), from = ku_new(ku, KU_NODE), late;
	u32 i;

	ku_freeze(ku);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	for (i = 0; i < TO_WAYS; i++) {
		late = ku_new(ku, KU_NODE);
		KUNIT_EXPECT_FALSE(test, ku_bit(ku, ring[i], MH_REMEMBERED));
		ku_link(ku, from, 1, late);
		ku_store_by(ku, i, ring[i], 1, late, from, 1);
		KUNIT_EXPECT_TRUE_MSG(test, ku_bit(ku, ring[i], MH_REMEMBERED), "way %u", i);
		ku_release(ku, late);
	}
	ku_release(ku, from);
	ku_drop_all(ku, ring, TO_WAYS);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 0);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 2 * TO_WAYS);
	/* What is frozen as well is no reason. */
	ku_freeze(ku);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KU_OK(test, ku_hold(ku->client, ring[0]));
	ku_link(ku, ring[0], 1, ring[3]);
	KUNIT_EXPECT_FALSE(test, ku_bit(ku, ring[0], MH_REMEMBERED));
	ku_release(ku, ring[0]);
}

/* The second trace does not follow what is frozen. */
static void traces_cost_little(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 visits;

	ku_frozen_ring(ku, 5000);
	visits = ku_stat(ku).trace_visits;
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_GE(test, ku_stat(ku).trace_visits - visits, 5000);
	visits = ku_stat(ku).trace_visits;
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_LT(test, ku_stat(ku).trace_visits - visits, 10);
}

/* Slots of all kinds, and of many; the invariants hold at every step. */
static void sound_at_every_step(struct kunit *test)
{
	static const u32 slots[] = { 1, 5, 64, 65, 600, 2000 };
	u32 i, n = ARRAY_SIZE(slots), round;
	struct ku *ku = test->priv;
	u64 arrays[ARRAY_SIZE(slots)], late = 0;

	for (i = 0; i < n; i++)
		arrays[i] = ku_new_var(ku, slots[i], 0);
	for (i = 0; i < n; i++)
		ku_link(ku, arrays[i], slots[i] - 1, arrays[(i + 1) % n]);
	KUNIT_EXPECT_EQ(test, ku_freeze(ku), n);
	for (round = 0; round < 3; round++) {
		ku_trace_begin(ku);
		do {
			KUNIT_ASSERT_EQ(test, moheap_check(ku->client), 0);
		} while (!ku_trace_step(ku));
		/* In the second round the last one refers to something else. */
		KUNIT_EXPECT_EQ(test, ku_bit(ku, arrays[n - 1], MH_REMEMBERED), round == 1);
		late = round ? 0 : ku_new(ku, KU_LEAF);
		ku_link(ku, arrays[n - 1], 0, late);
		if (late)
			ku_release(ku, late);
	}
	ku_unfreeze(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), n);
}

/* What the library has in stock is not meant: only a hold refers to it, and it to nothing. */
static void stock_is_left_out(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 *refs = ku_new_many(ku, KU_NODE, 4), wide = ku_new(ku, KU_WIDE);
	u64 leaf = ku_new(ku, KU_LEAF);

	ku_link(ku, refs[0], 1, refs[1]);
	ku_release(ku, refs[1]);
	KU_OK(test, ku_hold(other, refs[2]));
	KUNIT_EXPECT_EQ(test, ku_freeze(ku), 3);
	KUNIT_EXPECT_TRUE(test, ku_bit(ku, refs[0], MH_FROZEN));
	KUNIT_EXPECT_TRUE(test, ku_bit(ku, refs[1], MH_FROZEN));
	KUNIT_EXPECT_TRUE(test, ku_bit(ku, refs[2], MH_FROZEN));
	KUNIT_EXPECT_FALSE(test, ku_bit(ku, refs[3], MH_FROZEN));
	KUNIT_EXPECT_FALSE(test, ku_bit(ku, wide, MH_FROZEN));
	KUNIT_EXPECT_FALSE(test, ku_bit(ku, leaf, MH_FROZEN));
}

/* An object of a later name is another object. */
static void renewed(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 ref = ku_new(ku, KU_NODE), to = ku_later(ref);

	KU_OK(test, ku_hold(other, ref));
	KUNIT_EXPECT_EQ(test, ku_freeze(ku), 1);
	KU_OK(test, ku_drop(other, ref));
	KU_OK(test, ku_renew(ku->client, ref, to));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).frozen, 0);
	ku_link(ku, to, 0, to);
	ku_release(ku, to);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 1);
}

/* Garbage that a trace under way is after is saved as long as it is not found, and not later. */
static void frozen_in_every_phase(struct kunit *test)
{
	struct ku *ku = test->priv;
	enum mh_phase phase;
	bool saved;

	for (phase = MH_CLEAR; phase <= MH_SWEEPING; phase++) {
		if (phase == MH_FINALIZING)
			continue;
		ku_drop_all(ku, ku_ring(ku, 20), 20);
		ku_trace_begin(ku);
		ku_trace_until(ku, phase);
		while (phase == MH_MARKING && !ku->heap->collect->rooted)
			ku_trace_step(ku);
		saved = phase <= MH_MARKING;
		KUNIT_EXPECT_EQ_MSG(test, ku_freeze(ku), 20 * saved, "phase %u", phase);
		ku_trace_finish(ku);
		KUNIT_EXPECT_EQ_MSG(test, ku_objects(ku), 20 * saved, "phase %u", phase);
		KUNIT_EXPECT_EQ(test, ku_unfreeze(ku), 0);
		ku_collect(ku, MOHEAP_COLLECT_FULL);
		KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	}
}

/* A trace under way when all is unfrozen may keep it; the next does not. */
static void unfrozen_in_every_phase(struct kunit *test)
{
	struct ku *ku = test->priv;
	enum mh_phase phase;

	for (phase = MH_CLEAR; phase <= MH_SWEEPING; phase++) {
		if (phase == MH_FINALIZING)
			continue;
		ku_frozen_ring(ku, 20);
		ku_collect(ku, MOHEAP_COLLECT_FULL);
		ku_trace_begin(ku);
		ku_trace_until(ku, phase);
		KUNIT_EXPECT_EQ(test, ku_unfreeze(ku), 0);
		KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
		ku_trace_finish(ku);
		ku_collect(ku, MOHEAP_COLLECT_FULL);
		KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	}
}

/*
 * The trace has marked an object as a root without following it, and has yet to come to what that
 * refers to, in a pool that is far behind, when all is unfrozen.
 */
static void unfrozen_among_roots(struct kunit *test)
{
	u64 first, last, between[40], i;
	struct ku *ku = test->priv;

	first = ku_new(ku, KU_NODE);
	/* A pool each, as each is of another size. */
	for (i = 0; i < ARRAY_SIZE(between); i++)
		between[i] = ku_new_var(ku, 1, PAGE_SIZE * (i + 1));
	last = ku_new(ku, KU_BARE);
	KUNIT_ASSERT_GT(test, ku_find(ku, last).pool->id, ku_find(ku, first).pool->id + 16);
	ku_link(ku, first, 0, last);
	ku_release(ku, last);
	KUNIT_EXPECT_GE(test, ku_freeze(ku), 2);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_ASSERT_FALSE(test, ku_bit(ku, first, MH_REMEMBERED));
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_MARKING);
	ku_trace_step(ku);
	KUNIT_ASSERT_FALSE(test, ku->heap->collect->rooted);
	KUNIT_ASSERT_TRUE(test, ku_bit(ku, first, MH_MARK));
	KUNIT_ASSERT_FALSE(test, ku_bit(ku, last, MH_MARK));
	KUNIT_EXPECT_EQ(test, ku_unfreeze(ku), 0);
	ku_trace_finish(ku);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, last));
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 2 + ARRAY_SIZE(between));
}

/* What is dead and waits for the collector is no root. */
static void dead_are_no_roots(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 1000, i;
	u64 hub = ku_new_var(ku, n, 0), *ring;

	ku_link(ku, hub, n - 1, hub);
	KUNIT_EXPECT_EQ(test, ku_freeze(ku), 1);
	ring = ku_ring(ku, n);
	for (i = 0; i < n; i++)
		ku_link(ku, hub, i, ring[i]);
	ku_drop_all(ku, ring, n);
	ku_release(ku, hub);
	KUNIT_EXPECT_GT(test, ku_stat(ku).pending, 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).frozen, 0);
	ku_trace_begin(ku);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).freed_trace, n);
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

static void frozen_are_listed(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_ring(ku, 3), got[8];
	struct moheap_objects objects = {
		.flags = MOHEAP_OBJECTS_FROZEN, .refs = (uintptr_t)got, .count = 8,
	};

	ku_freeze(ku);
	ku_ring(ku, 3);
	KU_OK(test, mh_objects(ku->heap, &objects, false));
	KUNIT_EXPECT_EQ(test, objects.count, 3);
	KUNIT_EXPECT_MEMEQ(test, got, ring, 3 * sizeof(*ring));
}

static void unknown_flag(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_freeze freeze = { .size = sizeof(freeze), .flags = 2 };

	KUNIT_EXPECT_EQ(test, mh_freeze(ku->heap, &freeze), -EINVAL);
}

/* After unfreezing, a quiet heap ends clean by itself. */
static void garbage_goes_by_itself(struct kunit *test)
{
	struct ku *ku = test->priv;

	ku_frozen_ring(ku, 100);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 100);
	ku_unfreeze(ku);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 0));
}

/* Of renewed_while_stored: a thread that stores a ref as soon as it is good for something. */
struct ku_eager {
	struct mh_client *client;
	u64 owner;
	u64 to;
	u32 rounds;
	u32 begun;
	u32 done;
};

static void ku_store_eagerly(void *data)
{
	struct ku_eager *e = data;
	u32 round;

	for (round = 1; round <= e->rounds && !kthread_should_stop(); round++) {
		/* @to of this round is there; renewed_while_stored() has the release. */
		while (smp_load_acquire(&e->begun) != round && !kthread_should_stop())
			cond_resched();
		while (ku_store(e->client, e->owner, 0, e->to) && !kthread_should_stop())
			cond_resched();
		/* The store is done; renewed_while_stored() has the acquire. */
		smp_store_release(&e->done, round);
	}
}

/* As a trace does that sees it refer to nothing. */
static void ku_forget(struct ku *ku, u64 ref)
{
	struct mh_obj o = ku_find(ku, ref);

	KUNIT_ASSERT_TRUE(ku->test, mh_test(&o, MH_FROZEN));
	clear_bit(o.idx, mh_map(o.pool, MH_REMEMBERED));
}

/*
 * A renewed object is not frozen. Who knows the new ref may store it in one that is as soon as the
 * ref is good for something, and must find it so.
 */
static void renewed_while_stored(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_eager *e = kunit_kzalloc(test, sizeof(*e), GFP_KERNEL);
	u64 ref = ku_new(ku, KU_NODE);
	struct ku_task *task;
	u32 round;

	KUNIT_ASSERT_NOT_NULL(test, e);
	e->client = ku_join(ku);
	e->rounds = 2 * ku_steps();
	e->owner = ku_new(ku, KU_NODE);
	KU_OK(test, ku_hold(e->client, e->owner));
	task = ku_start(ku, 1, ku_store_eagerly, e);
	for (round = 1; round <= e->rounds; round++) {
		KU_OK(test, ku_hold(e->client, ref));
		KUNIT_ASSERT_EQ(test, ku_freeze(ku), 2);
		KU_OK(test, ku_drop(e->client, ref));
		ku_forget(ku, e->owner);
		e->to = ku_later(ref);
		/* ku_store_eagerly() has the acquire. */
		smp_store_release(&e->begun, round);
		KU_OK(test, ku_renew(ku->client, ref, e->to));
		/* ku_store_eagerly() has the release. */
		while (smp_load_acquire(&e->done) != round)
			cond_resched();
		ref = e->to;
		KUNIT_ASSERT_FALSE(test, ku_bit(ku, ref, MH_FROZEN));
		KUNIT_ASSERT_TRUE(test, ku_bit(ku, e->owner, MH_REMEMBERED));
		ku_link(ku, e->owner, 0, 0);
	}
	ku_await(task);
}

static struct kunit_case ku_freeze_cases[] = {
	KUNIT_CASE(garbage_stays),
	KUNIT_CASE(garbage_is_frozen),
	KUNIT_CASE(counts_still_free),
	KUNIT_CASE(stored_in_frozen),
	KUNIT_CASE(lost_without_f),
	KUNIT_CASE(every_way_to_store),
	KUNIT_CASE(traces_cost_little),
	KUNIT_CASE(sound_at_every_step),
	KUNIT_CASE(stock_is_left_out),
	KUNIT_CASE(renewed),
	KUNIT_CASE(frozen_in_every_phase),
	KUNIT_CASE(unfrozen_in_every_phase),
	KUNIT_CASE(unfrozen_among_roots),
	KUNIT_CASE(dead_are_no_roots),
	KUNIT_CASE(frozen_are_listed),
	KUNIT_CASE(unknown_flag),
	KUNIT_CASE(renewed_while_stored),
	{}
};

struct kunit_suite ku_freeze_suite = {
	.name = "moheap_freeze",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_freeze_cases,
};

static struct kunit_case ku_freeze_live_cases[] = {
	KUNIT_CASE(garbage_goes_by_itself),
	{}
};

struct kunit_suite ku_freeze_live_suite = {
	.name = "moheap_freeze_live",
	.init = ku_init_live,
	.exit = ku_exit,
	.test_cases = ku_freeze_live_cases,
};
