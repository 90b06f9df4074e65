// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_trace: the concurrent trace, stepped by hand, with mutations between the steps.
 *
 * The proof at the top of module/trace.c needs four barriers. Each has cases here that fail
 * without it:
 *
 *	H	held_late_*: a hold that comes after its pool's roots were marked
 *	S	stored_late: the only reference moves to a slot that is not looked at again
 *	B	born_late_*: an object made after its pool was passed
 *	C	condemned_*: a ref to what the sweep is about to take
 *
 * That they fail is seen here as well: lost_without_* take a barrier out.
 */
#include "fixture.h"

/* Take a barrier out for the rest of the case: something alive will be condemned. */
static void ku_without(struct ku *ku, enum mh_barrier barrier)
{
	ku->heap->without = BIT(barrier);
	ku->unchecked = true;
}

/* Slots of an array that takes several slices to follow. */
#define KU_LONG	2000

/* ---- What a trace finds ---- */

static void phases_in_order(struct kunit *test)
{
	struct ku *ku = test->priv;
	enum mh_phase phase = MH_CLEAR;

	ku_ring(ku, 10);
	KUNIT_EXPECT_EQ(test, ku->heap->phase, MH_IDLE);
	ku_trace_begin(ku);
	while (!ku_trace_step(ku)) {
		KUNIT_EXPECT_GE(test, ku->heap->phase, phase);
		/* There is nothing to finalize. */
		KUNIT_EXPECT_NE(test, ku->heap->phase, MH_FINALIZING);
		KUNIT_EXPECT_LE(test, ku->heap->phase, phase + 1 + (phase == MH_MARKING));
		phase = ku->heap->phase;
	}
	KUNIT_EXPECT_EQ(test, phase, MH_SWEEPING);
	KUNIT_EXPECT_EQ(test, ku->heap->phase, MH_IDLE);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).traces, 1);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 10);
}

static void garbage_goes_live_stays(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *dead = ku_ring(ku, 100), *live = ku_ring(ku, 100);
	u32 i;

	ku_link(ku, dead[5], 1, live[7]);
	ku_drop_all(ku, dead, 100);
	ku_drop_all(ku, live + 1, 99);
	ku_trace_begin(ku);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 100);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).freed_trace, 100);
	for (i = 0; i < 100; i++)
		KUNIT_EXPECT_EQ(test, ku_count(ku, live[i]), 1 + !i);
	ku_release(ku, live[0]);
	ku_trace_begin(ku);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* All kinds of slots lead on, and all kinds of objects are swept. */
static void every_kind_of_slot(struct kunit *test)
{
	struct ku *ku = test->priv;
	static const u32 slots[] = { 1, 2, 5, 64, 65, 600, KU_LONG };
	u64 chain[2 * ARRAY_SIZE(slots)], leaf = ku_new(ku, KU_LEAF);
	u32 i, n = ARRAY_SIZE(chain);

	for (i = 0; i < n; i += 2) {
		chain[i] = ku_new_var(ku, slots[i / 2], 16);
		chain[i + 1] = ku_new(ku, i % 4 ? KU_WIDE : KU_BARE);
	}
	/* Through the last slot of each, and back. */
	for (i = 0; i < n; i++)
		ku_link(ku, chain[i], i % 2 ? 2 : slots[i / 2] - 1, chain[(i + 1) % n]);
	ku_link(ku, chain[n - 1], 1, leaf);
	ku_drop_all(ku, chain + 1, n - 1);
	ku_release(ku, leaf);
	ku_trace_begin(ku);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), n + 1);
	ku_release(ku, chain[0]);
	ku_trace_begin(ku);
	ku_trace_finish(ku);
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* The invariants of the heap hold after every single step. */
static void sound_at_every_step(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 array = ku_new_var(ku, KU_LONG, 0), *ring = ku_ring(ku, 300);
	u64 garbage = ku_new_var(ku, KU_LONG, 0);
	u32 i, steps = 0;

	for (i = 0; i < 300; i++)
		ku_link(ku, array, i * 5, ring[i]);
	KU_OK(test, ku_fill(ku->client, garbage, 0, garbage, KU_LONG));
	ku_link(ku, garbage, 3, ring[0]);
	ku_drop_all(ku, ring, 300);
	ku_release(ku, garbage);
	ku_trace_begin(ku);
	do {
		KUNIT_ASSERT_EQ(test, moheap_check(ku->client), 0);
		steps++;
	} while (!ku_trace_step(ku));
	ku_reap_all(ku);
	KUNIT_EXPECT_GT(test, steps, 10);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 301);
}

/* No step marks more than a bounded number of objects, however many there are. */
static void steps_are_bounded(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 visits, freed, *ring = ku_ring(ku, 6000);

	ku_drop_all(ku, ring + 1, 5999);
	ku_trace_begin(ku);
	do {
		visits = ku_stat(ku).trace_visits;
		KUNIT_EXPECT_EQ(test, ku_trace_step(ku), false);
		KUNIT_EXPECT_LE(test, ku_stat(ku).trace_visits - visits, 1024);
	} while (ku->heap->phase != MH_SWEEPING);
	ku_trace_finish(ku);
	ku_release(ku, ring[0]);
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_SWEEPING);
	do {
		freed = ku_stat(ku).freed_trace + ku_stat(ku).freed_count;
		ku_trace_step(ku);
		KUNIT_EXPECT_LE(test, ku_stat(ku).freed_trace + ku_stat(ku).freed_count - freed,
				1024);
	} while (ku->heap->phase == MH_SWEEPING);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* What is unreachable when a trace begins is gone when it ends, whatever the dead refer to. */
static void nothing_floats(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 1000, i;
	u64 hub = ku_new_var(ku, n, 0), *ring = ku_ring(ku, n);

	for (i = 0; i < n; i++)
		ku_link(ku, hub, i, ring[i]);
	ku_drop_all(ku, ring, n);
	/* More than one operation reaps: the rest waits, and its slots still refer to the ring. */
	ku_release(ku, hub);
	KUNIT_EXPECT_GT(test, ku_stat(ku).pending, 0);
	ku_trace_begin(ku);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).freed_trace, n);
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
}

/* Overwriting needs no barrier: what a mutator cuts off before it was marked goes at once. */
static void cut_off_goes_at_once(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 root = ku_new(ku, KU_NODE), *ring = ku_ring(ku, 20);

	ku_link(ku, root, 0, ring[0]);
	ku_drop_all(ku, ring, 20);
	ku_trace_begin(ku);
	ku_trace_rooted(ku);
	ku_link(ku, root, 0, 0);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1);
}

/* What dies after it was marked stays for now, and is a candidate still. */
static void dropped_when_marked(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_ring(ku, 3);

	ku_drop_all(ku, ring + 1, 2);
	ku_trace_begin(ku);
	ku_trace_rooted(ku);
	ku_release(ku, ring[0]);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 3);
	KUNIT_EXPECT_GT(test, ku_stat(ku).candidates, 0);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 3);
}

/* ---- H: a hold that comes late ---- */

enum ku_way_to_hold { BY_HOLD, BY_LOAD, BY_EXCHANGE, BY_OTHER, BY_CLONE };

/*
 * root refers to x, which nobody holds. When the roots are marked, and root is not followed
 * yet, x is held, and root forgets it.
 */
static void held_late(struct kunit *test, enum ku_way_to_hold way)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 root = ku_new(ku, KU_NODE), x = ku_new(ku, KU_NODE), y = ku_new(ku, KU_NODE);
	u64 old = 0;

	/* Hold bits of the other client exist: else they would be made, and seen, late. */
	KU_OK(test, ku_hold(other, y));
	ku_link(ku, root, 0, x);
	ku_link(ku, x, 0, y);
	ku_release(ku, x);
	ku_release(ku, y);
	KU_OK(test, ku_drop(other, y));
	ku_trace_begin(ku);
	ku_trace_rooted(ku);
	KUNIT_ASSERT_FALSE(test, ku_bit(ku, x, MH_MARK));
	switch (way) {
	case BY_LOAD:
		KU_OK(test, ku_load_hold(ku->client, root, 0, &old));
		break;
	case BY_EXCHANGE:
		KU_OK(test, ku_exchange_hold(ku->client, root, 0, &old));
		break;
	case BY_OTHER:
		KU_OK(test, ku_hold(other, x));
		break;
	case BY_CLONE:
		KU_OK(test, ku_hold(ku->client, x));
		ku_adopt(ku, moheap_clone(ku->client));
		ku_release(ku, x);
		break;
	case BY_HOLD:
		KU_OK(test, ku_hold(ku->client, x));
		break;
	}
	ku_link(ku, root, 0, 0);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_alive(ku, x), !ku->heap->without);
	KUNIT_EXPECT_EQ(test, ku_alive(ku, y), !ku->heap->without);
}

static void held_late_by_hold(struct kunit *test)
{
	held_late(test, BY_HOLD);
}

static void held_late_by_load(struct kunit *test)
{
	held_late(test, BY_LOAD);
}

static void held_late_by_exchange(struct kunit *test)
{
	held_late(test, BY_EXCHANGE);
}

static void held_late_by_another(struct kunit *test)
{
	held_late(test, BY_OTHER);
}

static void held_late_by_clone(struct kunit *test)
{
	held_late(test, BY_CLONE);
}

static void lost_without_h(struct kunit *test)
{
	ku_without(test->priv, MH_BARRIER_H);
	held_late(test, BY_HOLD);
}

/* Garbage that somebody kept a ref of comes back whole. */
static void brought_back(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_ring(ku, 50);

	ku_drop_all(ku, ring, 50);
	ku_trace_begin(ku);
	ku_trace_rooted(ku);
	KU_OK(test, ku_hold(ku->client, ring[20]));
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 50);
	ku_release(ku, ring[20]);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 50);
}

/* ---- S: the only reference moves to where the trace has been ---- */

enum ku_place { IN_FOLLOWED, IN_BORN };

struct ku_move {
	const char *what;
	enum ku_way_to_store way;
	enum ku_place place;
};

static const struct ku_move ku_moves[] = {
	{ "store where it has been", TO_STORE, IN_FOLLOWED },
	{ "exchange where it has been", TO_EXCHANGE, IN_FOLLOWED },
	{ "cmpxchg where it has been", TO_CMPXCHG, IN_FOLLOWED },
	{ "fill where it has been", TO_FILL, IN_FOLLOWED },
	{ "copy where it has been", TO_COPY, IN_FOLLOWED },
	{ "store into the newborn", TO_STORE, IN_BORN },
	{ "exchange into the newborn", TO_EXCHANGE, IN_BORN },
	{ "cmpxchg into the newborn", TO_CMPXCHG, IN_BORN },
	{ "fill into the newborn", TO_FILL, IN_BORN },
	{ "copy into the newborn", TO_COPY, IN_BORN },
};

static void ku_move_name(const struct ku_move *move, char *to)
{
	strscpy(to, move->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(move, ku_moves, ku_move_name);

/*
 * root leads to a long array, and the last slot of that to x. When root has been followed, and
 * the array in part, x moves from there to where the trace does not come by again.
 */
static void ku_stored_late(struct kunit *test, const struct ku_move *move)
{
	struct ku *ku = test->priv;
	u64 root = ku_new(ku, KU_NODE), array = ku_new_var(ku, KU_LONG, 0), to = root;
	u64 x = ku_new(ku, KU_NODE), y = ku_new(ku, KU_NODE);

	ku_link(ku, root, 1, array);
	ku_link(ku, array, KU_LONG - 1, x);
	ku_link(ku, x, 0, y);
	ku_release(ku, array);
	ku_release(ku, x);
	ku_release(ku, y);
	ku_trace_begin(ku);
	ku_trace_rooted(ku);
	while (!ku->heap->collect->followed)
		KUNIT_ASSERT_FALSE(test, ku_trace_step(ku));
	KUNIT_ASSERT_NE(test, ku->heap->collect->following, 0);
	KUNIT_ASSERT_FALSE(test, ku_bit(ku, root, MH_GREY));
	KUNIT_ASSERT_FALSE(test, ku_bit(ku, x, MH_MARK));
	if (move->place == IN_BORN)
		to = ku_new(ku, KU_NODE);
	ku_store_by(ku, move->way, to, 0, x, array, KU_LONG - 1);
	ku_link(ku, array, KU_LONG - 1, 0);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_alive(ku, x), !ku->heap->without);
	KUNIT_EXPECT_EQ(test, ku_alive(ku, y), !ku->heap->without);
}

static void stored_late(struct kunit *test)
{
	ku_stored_late(test, test->param_value);
}

static void lost_without_s(struct kunit *test)
{
	ku_without(test->priv, MH_BARRIER_S);
	ku_stored_late(test, &ku_moves[0]);
}

static void stored_in_garbage_by(struct kunit *test, enum ku_way_to_store way)
{
	struct ku *ku = test->priv;
	u64 x = ku_new_var(ku, KU_LONG, 0);

	ku_link(ku, x, KU_LONG - 1, x);
	ku_release(ku, x);
	ku_trace_begin(ku);
	ku_trace_rooted(ku);
	KUNIT_ASSERT_EQ(test, ku_stat(ku).candidates, 0);
	ku_store_by(ku, way, x, 0, x, x, KU_LONG - 1);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 1);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 1);
}

/*
 * Garbage that is stored to garbage, by refs that somebody kept: marked, it stays for now. But
 * the trace has wiped the candidates, and nobody may ever touch it again.
 */
static void stored_in_garbage(struct kunit *test)
{
	enum ku_way_to_store way;

	for (way = TO_STORE; way <= TO_COPY; way++)
		stored_in_garbage_by(test, way);
}

/* ---- B: born while a trace is under way ---- */

static void born_late_in(struct kunit *test, enum mh_phase phase)
{
	struct ku *ku = test->priv;
	u64 old = ku_new(ku, KU_NODE), a, b;

	ku_trace_begin(ku);
	if (phase == MH_MARKING)
		ku_trace_rooted(ku);
	else
		ku_trace_until(ku, phase);
	a = ku_new(ku, KU_NODE);
	b = ku_new(ku, KU_WIDE);
	KU_OK(test, ku_store(ku->client, a, 0, b));
	KU_OK(test, ku_store(ku->client, b, 0, old));
	ku_release(ku, b);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_alive(ku, a), !ku->heap->without);
	KUNIT_EXPECT_EQ(test, ku_alive(ku, b), !ku->heap->without);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, old));
}

static void born_late_in_clear(struct kunit *test)
{
	born_late_in(test, MH_CLEAR);
}

static void born_late_in_marking(struct kunit *test)
{
	born_late_in(test, MH_MARKING);
}

static void born_late_in_sweeping(struct kunit *test)
{
	born_late_in(test, MH_SWEEPING);
}

static void lost_without_b(struct kunit *test)
{
	ku_without(test->priv, MH_BARRIER_B);
	born_late_in(test, MH_MARKING);
}

/* In a block whose last owner this very sweep has taken. */
static void born_where_one_was_swept(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 garbage = ku_new(ku, KU_NODE), *born = ku_refs(ku, 2000), i;

	ku_link(ku, garbage, 0, garbage);
	ku_release(ku, garbage);
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_SWEEPING);
	for (i = 0; ku->heap->phase == MH_SWEEPING && i < 2000; i++) {
		born[i] = ku_new(ku, KU_NODE);
		ku_trace_step(ku);
	}
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), i);
	while (i--)
		KUNIT_EXPECT_TRUE(test, ku_alive(ku, born[i]));
}

/* ---- C: from the start of the sweep, unmarked is gone ---- */

static void condemned_cannot_be_named(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 live = ku_new(ku, KU_NODE), *ring = ku_ring(ku, 3), array, old, out[2];

	array = ku_new_var(ku, 100, 0);
	ku_link(ku, array, 0, array);
	ku_link(ku, live, 0, live);
	ku_drop_all(ku, ring, 3);
	ku_release(ku, array);
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_SWEEPING);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 5);
	KUNIT_EXPECT_EQ(test, ku_hold(ku->client, ring[0]), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_store(ku->client, live, 0, ring[1]), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_store(ku->client, ring[1], 0, live), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_load(ku->client, ring[1], 0, &old), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_load_hold(ku->client, ring[1], 0, &old), -ESTALE);
	old = ring[2];
	KUNIT_EXPECT_EQ(test, ku_exchange(ku->client, live, 0, &old), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_fill(ku->client, live, 0, array, 2), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_copy(ku->client, live, 0, array, 0, 1), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_read(ku->client, array, 0, out, 1), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_drop(ku->client, ring[0]), -ESTALE);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1);
	KUNIT_EXPECT_EQ(test, ku_held(ku->client), 1);
}

/* What the sweep frees an object of must not be brought back while it clears its slots. */
static void condemned_stays_condemned(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 array = ku_new_var(ku, KU_LONG, 0), leaf = ku_new(ku, KU_LEAF);
	struct mh_client *other = ku_join(ku);
	u32 stale = 0;

	KU_OK(test, ku_fill(ku->client, array, 0, leaf, KU_LONG));
	ku_link(ku, array, 0, array);
	ku_release(ku, array);
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_SWEEPING);
	while (ku->heap->phase == MH_SWEEPING) {
		stale += ku_hold(other, array) == -ESTALE;
		KUNIT_ASSERT_EQ(test, ku_held(other), 0);
		ku_trace_step(ku);
	}
	KUNIT_EXPECT_GE(test, stale, 3);
	KUNIT_EXPECT_EQ(test, ku_count(ku, leaf), 1);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1);
}

/* A hold that came between the two would be one on nothing. */
static void lost_without_c(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_ring(ku, 2);

	ku_without(ku, MH_BARRIER_C);
	ku_drop_all(ku, ring, 2);
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_SWEEPING);
	KU_OK(test, ku_hold(ku->client, ring[0]));
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_held(ku->client), 1);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, ring[0]));
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, ring[1]));
}

/* ---- Arrays that take several slices ---- */

static void ku_trace_into_array(struct ku *ku, u32 *slots)
{
	ku_trace_begin(ku);
	ku_trace_rooted(ku);
	while (!ku->heap->collect->followed)
		KUNIT_ASSERT_FALSE(ku->test, ku_trace_step(ku));
	*slots = ku->heap->collect->followed;
	KUNIT_ASSERT_LT(ku->test, *slots, KU_LONG);
}

static void array_freed_while_followed(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 array = ku_new_var(ku, KU_LONG, 0), leaf = ku_new(ku, KU_LEAF);
	u32 slots;

	KU_OK(test, ku_fill(ku->client, array, 0, leaf, KU_LONG));
	ku_trace_into_array(ku, &slots);
	ku_release(ku, array);
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
	ku_trace_finish(ku);
	ku_reap_all(ku);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, array));
	KUNIT_EXPECT_EQ(test, ku_count(ku, leaf), 1);
}

/* Stores before and after where the trace is in an array. */
static void array_changed_while_followed(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 array = ku_new_var(ku, KU_LONG, 0), *ring = ku_ring(ku, 4);
	u32 slots, i;

	for (i = 0; i < 4; i++)
		ku_link(ku, array, KU_LONG - 4 + i, ring[i]);
	ku_drop_all(ku, ring, 4);
	ku_trace_into_array(ku, &slots);
	KU_OK(test, ku_copy(ku->client, array, 0, array, KU_LONG - 4, 4));
	KU_OK(test, ku_fill(ku->client, array, slots, 0, KU_LONG - slots));
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 5);
	KU_OK(test, ku_fill(ku->client, array, 0, 0, KU_LONG));
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 4);
}

/* The trace's own pin is no reference: it must not hide a cycle from a local pass for ever. */
static void array_dropped_while_followed(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 array = ku_new_var(ku, KU_LONG, 0), node = ku_new(ku, KU_NODE);
	u32 slots;

	ku_link(ku, array, 0, node);
	ku_link(ku, node, 0, array);
	ku_release(ku, node);
	ku_trace_into_array(ku, &slots);
	ku_release(ku, array);
	ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL);
	if (ku->heap->phase != MH_IDLE)
		ku_trace_finish(ku);
	ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* An array with as many references as may be is followed like any other. */
static void array_at_the_maximum(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 array = ku_new_var(ku, KU_LONG, 0), *ring = ku_ring(ku, 3);

	ku_link(ku, array, 0, ring[0]);
	ku_drop_all(ku, ring, 3);
	ku_add_count(ku, array, MOHEAP_COUNT_MAX - 1);
	ku_trace_begin(ku);
	ku_trace_finish(ku);
	ku_add_count(ku, array, 1 - (s64)MOHEAP_COUNT_MAX);
	KUNIT_EXPECT_EQ(test, ku_count(ku, array), 1);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 4);
}

/* ---- Sweeping against the rest ---- */

/* @n nodes that refer to themselves, made by a client that goes. */
static u64 *ku_loops(struct ku *ku, u32 n)
{
	struct mh_client *other = ku_join(ku);
	u64 *refs = ku_refs(ku, n);
	u32 i;

	KU_OK(ku->test, ku_alloc(other, ku->type[KU_NODE], 0, refs, n));
	for (i = 0; i < n; i++)
		ku_link(ku, refs[i], 0, refs[i]);
	ku_close(ku, other);
	return refs;
}

/* How many such nodes one step of the sweep condemns. */
static u32 ku_loops_a_step(struct ku *ku)
{
	u64 before = ku_stat(ku).freed_trace;
	u32 n;

	ku_loops(ku, 4 * MH_REAP_STEP);
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_SWEEPING);
	ku_trace_step(ku);
	n = ku_stat(ku).freed_trace - before;
	/* Pools that were queued for candidates cannot go by mh_trim_all() alone. */
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	mh_trim_all(ku->heap);
	return n;
}

/*
 * A step of the sweep ends in the middle of a pool, and has freed all that was there: the nodes
 * up to there, and the others as they were referred to by these only. The pool is given back
 * before the next step, which must begin the next pool at its first block.
 */
static void pool_goes_while_swept(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = ku_loops_a_step(ku), i;
	struct mh_client *other = ku_join(ku);
	u64 *first = ku_refs(ku, 2 * n), *second;

	KU_OK(test, ku_alloc(other, ku->type[KU_NODE], 0, first, 2 * n));
	for (i = 0; i < n; i++) {
		ku_link(ku, first[i], 0, first[i]);
		ku_link(ku, first[i], 1, first[n + i]);
	}
	ku_close(ku, other);
	second = ku_new_many(ku, KU_BARE, n);
	for (i = 0; i < n; i++)
		ku_link(ku, second[i], 0, second[i]);
	ku_drop_all(ku, second, n);
	KUNIT_ASSERT_EQ(test, ku_objects(ku), 3 * n);
	KUNIT_ASSERT_EQ(test, ku_stat(ku).pools, 2);
	/* Candidates keep pools from going. */
	ku_tune(ku, MOHEAP_TUNE_BUDGET, 1);
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_SWEEPING);
	ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL);
	ku_trace_step(ku);
	KUNIT_ASSERT_EQ(test, ku->heap->phase, MH_SWEEPING);
	KUNIT_ASSERT_EQ(test, ku_objects(ku), n);
	ku_reap_all(ku);
	mh_trim_all(ku->heap);
	KUNIT_ASSERT_EQ(test, ku_stat(ku).pools, 1);
	ku_trace_finish(ku);
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
}

/* Local passes at any moment of a trace, garbage of every age. */
static void local_passes_between_steps(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *keep = ku_ring(ku, 100), *old = ku_ring(ku, 500);
	u32 steps = 0;

	ku_drop_all(ku, keep + 1, 99);
	ku_drop_all(ku, old, 500);
	ku_trace_begin(ku);
	do {
		ku_drop_all(ku, ku_ring(ku, 1 + steps % 7), 1 + steps % 7);
		ku_collect(ku, MOHEAP_COLLECT_LOCAL);
		KUNIT_ASSERT_EQ(test, moheap_check(ku->client), 0);
		steps++;
	} while (!ku_trace_step(ku));
	ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 100);
}

/* Pools that come during a trace, and clients that go. */
static void pools_come_while_traced(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other;
	u64 live = ku_new(ku, KU_NODE), *garbage = ku_ring(ku, 3000), *refs = ku_refs(ku, 300);
	u32 steps = 0, kept = 0;

	ku_drop_all(ku, garbage, 3000);
	ku_trace_begin(ku);
	do {
		other = ku_join(ku);
		KU_OK(test, ku_alloc(other, ku->type[KU_BARE], 0, refs, 300));
		KU_OK(test, ku_store(other, refs[299], 0, live));
		if (steps++ % 3 == 0) {
			KU_OK(test, ku_hold(ku->client, refs[299]));
			kept++;
		}
		ku_close(ku, other);
	} while (!ku_trace_step(ku));
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1 + kept);
	KUNIT_EXPECT_EQ(test, ku_count(ku, live), 1 + kept);
}

/* A trace that a request begins when another is half way: two are made. */
static void request_in_the_middle(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *ring = ku_ring(ku, 30);

	ku_drop_all(ku, ring + 1, 29);
	ku_trace_begin(ku);
	ku_trace_rooted(ku);
	/* Marked by then, so the trace under way will not find it. */
	ku_release(ku, ring[0]);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 30);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).traces, 2);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

static struct kunit_case ku_trace_cases[] = {
	KUNIT_CASE(phases_in_order),
	KUNIT_CASE(garbage_goes_live_stays),
	KUNIT_CASE(every_kind_of_slot),
	KUNIT_CASE(sound_at_every_step),
	KUNIT_CASE(steps_are_bounded),
	KUNIT_CASE(nothing_floats),
	KUNIT_CASE(cut_off_goes_at_once),
	KUNIT_CASE(dropped_when_marked),
	KUNIT_CASE(held_late_by_hold),
	KUNIT_CASE(held_late_by_load),
	KUNIT_CASE(held_late_by_exchange),
	KUNIT_CASE(held_late_by_another),
	KUNIT_CASE(held_late_by_clone),
	KUNIT_CASE(lost_without_h),
	KUNIT_CASE(brought_back),
	KUNIT_CASE_PARAM(stored_late, move_gen_params),
	KUNIT_CASE(lost_without_s),
	KUNIT_CASE(stored_in_garbage),
	KUNIT_CASE(born_late_in_clear),
	KUNIT_CASE(born_late_in_marking),
	KUNIT_CASE(born_late_in_sweeping),
	KUNIT_CASE(lost_without_b),
	KUNIT_CASE(born_where_one_was_swept),
	KUNIT_CASE(condemned_cannot_be_named),
	KUNIT_CASE(condemned_stays_condemned),
	KUNIT_CASE(lost_without_c),
	KUNIT_CASE(array_freed_while_followed),
	KUNIT_CASE(array_changed_while_followed),
	KUNIT_CASE(array_dropped_while_followed),
	KUNIT_CASE(array_at_the_maximum),
	KUNIT_CASE(pool_goes_while_swept),
	KUNIT_CASE(local_passes_between_steps),
	KUNIT_CASE(pools_come_while_traced),
	KUNIT_CASE(request_in_the_middle),
	{}
};

struct kunit_suite ku_trace_suite = {
	.name = "moheap_trace",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_trace_cases,
};
