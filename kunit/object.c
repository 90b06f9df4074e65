// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_object: counts, generations, slots, candidates: the life of one object.
 */
#include "fixture.h"

static int ku_pin(struct ku *ku, u64 ref)
{
	struct mh_obj o;
	int err;

	down_read(&ku->heap->gate);
	err = mh_pin(ku->heap, ref, &o);
	up_read(&ku->heap->gate);
	return err;
}

static int ku_refer(struct ku *ku, u64 ref, u32 n)
{
	struct mh_obj o;
	int err;

	down_read(&ku->heap->gate);
	err = mh_refer(ku->heap, ref, n, &o);
	up_read(&ku->heap->gate);
	return err;
}

static void ku_unpin(struct ku *ku, u64 ref)
{
	struct mh_obj o = ku_find(ku, ref);
	struct mh_dead dead = { };

	down_read(&ku->heap->gate);
	mh_unpin(ku->heap, &o, &dead);
	mh_reap(ku->heap, &dead, MH_REAP_INLINE);
	up_read(&ku->heap->gate);
}

static void count_is_slots_and_holds(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_NODE);

	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 1);
	ku_link(ku, a, 0, b);
	ku_link(ku, a, 1, b);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 3);
	KU_OK(test, ku_hold(ku_join(ku), b));
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 4);
	ku_release(ku, b);
	ku_link(ku, a, 0, 0);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 2);
}

static void last_reference_frees_at_once(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_LEAF);

	ku_link(ku, a, 0, b);
	ku_release(ku, b);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, b));
	ku_link(ku, a, 0, 0);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, b));
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1);
	ku_link(ku, a, 0, a);
	ku_release(ku, a);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).freed_count, 1);
}

static void pin_takes_only_what_was_meant(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_LEAF);
	u64 arena = (u64)ku->heap->arena.npages * MH_PAGE_GRANULES;

	KUNIT_EXPECT_EQ(test, ku_pin(ku, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ku_pin(ku, ref - (1ULL << 32)), -EINVAL);
	KUNIT_EXPECT_EQ(test, ku_pin(ku, (ref & ~0xffffffffULL) | arena), -EINVAL);
	KUNIT_EXPECT_EQ(test, ku_pin(ku, ref | 0xffffffff), -EINVAL);
	KUNIT_EXPECT_EQ(test, ku_pin(ku, ref + (2ULL << 32)), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_pin(ku, ref ^ MOHEAP_REF_REUSED), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_pin(ku, ref + 1), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_pin(ku, ref & ~0xffffffffULL), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_count(ku, ref), 1);
	KUNIT_EXPECT_EQ(test, ku_pin(ku, ref), 0);
	KUNIT_EXPECT_EQ(test, ku_count(ku, ref), 2);
	ku_unpin(ku, ref);
	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_pin(ku, ref), -ESTALE);
}

static void counts_end_at_the_maximum(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_LEAF);

	ku_add_count(ku, ref, MOHEAP_COUNT_MAX - 3);
	KUNIT_EXPECT_EQ(test, ku_refer(ku, ref, 3), -EOVERFLOW);
	KUNIT_EXPECT_EQ(test, ku_refer(ku, ref, 2), 0);
	KUNIT_EXPECT_EQ(test, ku_count(ku, ref), MOHEAP_COUNT_MAX);
	KUNIT_EXPECT_EQ(test, ku_refer(ku, ref, 1), -EOVERFLOW);
	KUNIT_EXPECT_EQ(test, ku_refer(ku, ref, MOHEAP_COUNT_MAX), -EOVERFLOW);
	/* A pin is none of them, and goes again. */
	KUNIT_EXPECT_EQ(test, ku_pin(ku, ref), 0);
	ku_unpin(ku, ref);
	ku_add_count(ku, ref, 1 - (s64)MOHEAP_COUNT_MAX);
	KUNIT_EXPECT_EQ(test, ku_count(ku, ref), 1);
}

/* The same block, time and again: no ref ever comes twice. */
static void refs_tell_owners_apart(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 first = ku_new(ku, KU_LEAF), ref = first, before;
	int i;

	KUNIT_EXPECT_FALSE(test, ref & MOHEAP_REF_REUSED);
	for (i = 0; i < 50; i++) {
		before = ref;
		ku_release(ku, ref);
		KUNIT_EXPECT_EQ(test, ku_hold(ku->client, before), -ESTALE);
		ref = ku_new(ku, KU_LEAF);
		KUNIT_ASSERT_EQ(test, (u32)ref, (u32)first);
		KUNIT_EXPECT_TRUE(test, ref & MOHEAP_REF_REUSED);
		KUNIT_EXPECT_GT(test, ref & ~MOHEAP_REF_REUSED, before & ~MOHEAP_REF_REUSED);
		KUNIT_EXPECT_EQ(test, ku_hold(ku->client, before), -ESTALE);
		KUNIT_EXPECT_EQ(test, ku_hold(ku->client, first), -ESTALE);
	}
}

static void ku_expect_empty(struct ku *ku, u64 ref, u32 nslots)
{
	u64 target;
	u32 i;

	for (i = 0; i < nslots; i++) {
		KU_OK(ku->test, ku_load(ku->client, ref, i, &target));
		KUNIT_EXPECT_EQ(ku->test, target, 0);
	}
	KUNIT_EXPECT_EQ(ku->test, ku_load(ku->client, ref, nslots, &target), -ERANGE);
}

/* Slots of each kind are empty at birth, also where the block had an owner before. */
static void slots_are_empty_at_birth(struct kunit *test)
{
	static const u32 slots[] = { 0, 1, 2, 5, 6, 64, 65, 1000 };
	struct ku *ku = test->priv;
	u64 ref, again;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(slots); i++) {
		ref = ku_new_var(ku, slots[i], 16);
		ku_expect_empty(ku, ref, slots[i]);
		if (slots[i])
			KU_OK(test, ku_fill(ku->client, ref, 0, ku_new(ku, KU_LEAF), slots[i]));
		ku_release(ku, ref);
		ku_reap_all(ku);
		again = ku_new_var(ku, slots[i], 16);
		KUNIT_EXPECT_EQ(test, (u32)again, (u32)ref);
		ku_expect_empty(ku, again, slots[i]);
	}
}

/* Two objects of one bin may have a different number of slots. */
static void counted_slots_are_counted(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 five = ku_new_var(ku, 5, 0), four = ku_new_var(ku, 4, 0);
	u64 again;

	KUNIT_EXPECT_PTR_EQ(test, ku_find(ku, five).pool, ku_find(ku, four).pool);
	ku_expect_empty(ku, five, 5);
	ku_expect_empty(ku, four, 4);
	ku_link(ku, five, 4, four);
	ku_release(ku, five);
	again = ku_new_var(ku, 4, 0);
	KUNIT_EXPECT_EQ(test, (u32)again, (u32)five);
	ku_expect_empty(ku, again, 4);
}

/* Slots kept apart are memory of the heap, and go with the object. */
static void apart_slots_are_charged(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 keep = ku_new_var(ku, 65, 0), before = ku_stat(ku).kernel_bytes;
	u64 ref = ku_new_var(ku, 100000, 0);

	KUNIT_EXPECT_EQ(test, ku_stat(ku).kernel_bytes, before + 400000);
	ku_release(ku, ref);
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).kernel_bytes, before);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, keep));
}

static struct moheap_object ku_object(struct ku *ku, u64 ref)
{
	struct moheap_object stat = { };
	struct mh_obj o;

	KU_OK(ku->test, ku_pin(ku, ref));
	o = ku_find(ku, ref);
	mh_object_stat(&o, &stat);
	ku_unpin(ku, ref);
	return stat;
}

static void object_says_what_it_is(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 node = ku_new(ku, KU_NODE), wide = ku_new(ku, KU_WIDE), bare = ku_new(ku, KU_BARE);
	struct moheap_object stat = ku_object(ku, node);

	KUNIT_EXPECT_EQ(test, stat.type, ku->type[KU_NODE]);
	KUNIT_EXPECT_EQ(test, stat.count, 1);
	KUNIT_EXPECT_EQ(test, stat.slots, 2);
	KUNIT_EXPECT_EQ(test, stat.payload, 16);
	KUNIT_EXPECT_EQ(test, stat.header_bytes, 16);
	KUNIT_EXPECT_EQ(test, stat.slot_bytes, 0);
	ku_link(ku, node, 0, wide);
	stat = ku_object(ku, wide);
	KUNIT_EXPECT_EQ(test, stat.type, ku->type[KU_WIDE]);
	KUNIT_EXPECT_EQ(test, stat.count, 2);
	KUNIT_EXPECT_EQ(test, stat.slots, KU_WIDE_SLOTS);
	KUNIT_EXPECT_EQ(test, stat.slot_bytes, KU_WIDE_SLOTS * 4);
	stat = ku_object(ku, bare);
	KUNIT_EXPECT_EQ(test, stat.payload, 0);
	KUNIT_EXPECT_EQ(test, stat.slots, 3);
}

/* ---- Candidates ---- */

static void falling_counts_make_candidates(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_NODE), c = ku_new(ku, KU_WIDE);

	ku_link(ku, a, 0, b);
	ku_link(ku, a, 1, b);
	ku_link(ku, b, 0, c);
	ku_link(ku, b, 1, c);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 0);
	ku_release(ku, b);
	KUNIT_EXPECT_TRUE(test, ku_bit(ku, b, MH_CAND));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 1);
	/* Once is enough. */
	ku_link(ku, a, 1, 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 1);
	ku_release(ku, c);
	KUNIT_EXPECT_TRUE(test, ku_bit(ku, c, MH_CAND));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 2);
	/* A candidate that dies is none. */
	ku_link(ku, a, 0, 0);
	ku_reap_all(ku);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, b));
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, c));
	KUNIT_EXPECT_FALSE(test, ku_bit(ku, b, MH_CAND));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 0);
}

/* While a client holds it, it is no garbage; when the last lets go, it may be. */
static void held_objects_are_no_candidates(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_NODE);

	ku_link(ku, a, 0, b);
	ku_link(ku, a, 1, b);
	KU_OK(test, ku_hold(other, b));
	ku_link(ku, a, 1, 0);
	ku_release(ku, b);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 0);
	KU_OK(test, ku_drop(other, b));
	KUNIT_EXPECT_TRUE(test, ku_bit(ku, b, MH_CAND));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 1);
}

/* However many hold it. */
static void last_of_many_makes_a_candidate(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *others[KU_CLIENTS - 1];
	u64 node = ku_new(ku, KU_NODE);
	u32 i;

	ku_link(ku, node, 0, node);
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		others[i] = ku_join(ku);
		KU_OK(test, ku_hold(others[i], node));
	}
	ku_release(ku, node);
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
		KUNIT_EXPECT_TRUE(test, ku_alive(ku, node));
		if (i % 2)
			ku_close(ku, others[i]);
		else
			KU_OK(test, ku_drop(others[i], node));
	}
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 1);
}

/* No cycle goes through an object without slots, and none begins where only a pin went. */
static void leaves_and_pins_make_none(struct kunit *test)
{
	struct ku *ku = test->priv;
	int text = ku_register(ku->client, "text", MOHEAP_TYPE_VAR_PAYLOAD, 0, 0);
	u64 a = ku_new(ku, KU_NODE), leaf = ku_new(ku, KU_LEAF), none = 0, target;

	KU_OK(test, ku_alloc(ku->client, text, 100, &none, 1));
	ku_link(ku, a, 0, leaf);
	ku_link(ku, a, 1, none);
	ku_release(ku, leaf);
	ku_release(ku, none);
	KU_OK(test, ku_pin(ku, a));
	ku_unpin(ku, a);
	KU_OK(test, ku_load(ku->client, a, 0, &target));
	KU_OK(test, ku_load(ku->client, a, 1, &target));
	KU_OK(test, ku_hold(ku->client, a));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 0);
}

/* Of objects that nobody holds, and one slot refers to all the time. */
static void each_operation_makes_candidates(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), keep = ku_new_var(ku, 4, 0), old;
	u64 *b = ku_new_many(ku, KU_NODE, 4);
	int i;

	for (i = 0; i < 4; i++)
		ku_link(ku, keep, i, b[i]);
	ku_drop_all(ku, b, 4);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 0);
	ku_link(ku, a, 0, b[0]);
	ku_link(ku, a, 0, b[1]);
	KUNIT_EXPECT_TRUE(test, ku_bit(ku, b[0], MH_CAND));
	old = b[2];
	KU_OK(test, ku_exchange(ku->client, a, 0, &old));
	KUNIT_EXPECT_TRUE(test, ku_bit(ku, b[1], MH_CAND));
	old = b[2];
	KU_OK(test, ku_cmpxchg(ku->client, a, 0, &old, b[3]));
	KUNIT_EXPECT_TRUE(test, ku_bit(ku, b[2], MH_CAND));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 3);
	KU_OK(test, ku_fill(ku->client, a, 0, b[0], 2));
	KUNIT_EXPECT_TRUE(test, ku_bit(ku, b[3], MH_CAND));
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 0);
	ku_link(ku, a, 1, b[1]);
	KU_OK(test, ku_copy(ku->client, a, 0, a, 1, 1));
	KUNIT_EXPECT_TRUE(test, ku_bit(ku, b[0], MH_CAND));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 1);
}

/* ---- Slots and pins ---- */

static int ku_pin_slot(struct ku *ku, u64 owner, u32 index, struct mh_obj *o)
{
	struct mh_obj at = ku_find(ku, owner);
	u32 nslots, *slots = mh_slots(&at, &nslots);
	int ret;

	down_read(&ku->heap->gate);
	ret = mh_pin_slot(ku->heap, &slots[index], o);
	up_read(&ku->heap->gate);
	return ret;
}

static void pin_slot_pins_what_is_there(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_LEAF);
	struct mh_obj o = { };

	KUNIT_EXPECT_EQ(test, ku_pin_slot(ku, a, 0, &o), 0);
	ku_link(ku, a, 0, b);
	KUNIT_EXPECT_EQ(test, ku_pin_slot(ku, a, 0, &o), 1);
	KUNIT_EXPECT_EQ(test, mh_ref(&o), b);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 3);
	ku_unpin(ku, b);
	ku_add_count(ku, b, MOHEAP_COUNT_MAX - 2);
	KUNIT_EXPECT_EQ(test, ku_pin_slot(ku, a, 0, &o), -EOVERFLOW);
	ku_add_count(ku, b, 2 - (s64)MOHEAP_COUNT_MAX);
}

/* Whatever held the object goes while it is pinned: the pin was the last reference then. */
static void last_pin_frees(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_NODE);

	ku_link(ku, a, 0, b);
	ku_release(ku, b);
	KU_OK(test, ku_pin(ku, a));
	ku_release(ku, a);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 2);
	ku_unpin(ku, a);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, a));
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, b));
}

static struct kunit_case ku_object_cases[] = {
	KUNIT_CASE(count_is_slots_and_holds),
	KUNIT_CASE(last_reference_frees_at_once),
	KUNIT_CASE(pin_takes_only_what_was_meant),
	KUNIT_CASE(counts_end_at_the_maximum),
	KUNIT_CASE(refs_tell_owners_apart),
	KUNIT_CASE(slots_are_empty_at_birth),
	KUNIT_CASE(counted_slots_are_counted),
	KUNIT_CASE(apart_slots_are_charged),
	KUNIT_CASE(object_says_what_it_is),
	KUNIT_CASE(falling_counts_make_candidates),
	KUNIT_CASE(held_objects_are_no_candidates),
	KUNIT_CASE(last_of_many_makes_a_candidate),
	KUNIT_CASE(leaves_and_pins_make_none),
	KUNIT_CASE(each_operation_makes_candidates),
	KUNIT_CASE(pin_slot_pins_what_is_there),
	KUNIT_CASE(last_pin_frees),
	{}
};

struct kunit_suite ku_object_suite = {
	.name = "moheap_object",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_object_cases,
};
