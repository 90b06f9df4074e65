// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_collect: local passes: what they free, what escapes them, and that an escape leaves
 * everything as it was.
 */
#include <linux/sched/signal.h>
#include <linux/tracepoint.h>
#include <trace/events/kmem.h>

#include "fixture.h"

static void rings_are_found(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n, i;
	u64 *refs;

	for (n = 1; n <= 40; n++) {
		refs = ku_ring(ku, n);
		for (i = 0; i < n; i++) {
			KUNIT_ASSERT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL), 0);
			KUNIT_ASSERT_EQ(test, ku_objects(ku), n);
			ku_release(ku, refs[i]);
		}
		KUNIT_ASSERT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL), n);
		KUNIT_ASSERT_EQ(test, ku_objects(ku), 0);
	}
	KUNIT_EXPECT_EQ(test, ku_stat(ku).local_escapes, 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).freed_local, 40 * 41 / 2);
}

/* Wherever the one hold is that keeps a ring alive. */
static void one_hold_keeps_a_ring(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 9, keep, i;
	u64 *refs;

	for (keep = 0; keep < n; keep++) {
		refs = ku_ring(ku, n);
		for (i = 0; i < n; i++)
			if (i != keep)
				ku_release(ku, refs[i]);
		KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
		KUNIT_EXPECT_EQ(test, ku_objects(ku), n);
		KUNIT_EXPECT_EQ(test, ku_count(ku, refs[keep]), 2);
		ku_release(ku, refs[keep]);
		KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), n);
	}
}

static void self_references(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 node = ku_new(ku, KU_NODE), wide = ku_new(ku, KU_WIDE);

	ku_link(ku, node, 0, node);
	ku_link(ku, node, 1, node);
	KU_OK(test, ku_fill(ku->client, wide, 0, wide, KU_WIDE_SLOTS));
	ku_release(ku, node);
	ku_release(ku, wide);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 2);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* What garbage refers to loses those references, and lives if it has others. */
static void live_objects_lose_references(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 live = ku_new(ku, KU_NODE), leaf = ku_new(ku, KU_LEAF), own = ku_new(ku, KU_LEAF);
	u64 *ring = ku_ring(ku, 3);

	ku_link(ku, ring[0], 1, live);
	ku_link(ku, ring[1], 1, leaf);
	ku_link(ku, ring[2], 1, own);
	ku_link(ku, live, 0, leaf);
	ku_release(ku, own);
	ku_drop_all(ku, ring, 3);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL), 3);
	KUNIT_EXPECT_EQ(test, ku_count(ku, live), 1);
	KUNIT_EXPECT_EQ(test, ku_count(ku, leaf), 2);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, own));
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 2);
}

/* A cycle that hangs off a live object is live, also where the pass begins inside it. */
static void live_cycles_stay(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 root = ku_new(ku, KU_NODE), *ring = ku_ring(ku, 5);
	u32 i;

	ku_link(ku, root, 0, ring[2]);
	ku_drop_all(ku, ring, 5);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 5);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_EQ(test, ku_count(ku, ring[i]), 1 + (i == 2));
	ku_link(ku, root, 0, 0);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 5);
}

/* Of two objects in one pass, one garbage and one not, each gets what it deserves. */
static void garbage_beside_live(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *dead = ku_ring(ku, 4), *live = ku_ring(ku, 4);

	ku_link(ku, dead[0], 1, live[1]);
	ku_drop_all(ku, dead, 4);
	ku_drop_all(ku, live + 1, 3);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 4);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 4);
	KUNIT_EXPECT_EQ(test, ku_count(ku, live[1]), 1);
}

/* ---- The budget ---- */

static void rings_of_the_budget(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_ring(ku, MOHEAP_BUDGET_MAX);

	ku_drop_all(ku, refs + 1, MOHEAP_BUDGET_MAX - 1);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	ku_release(ku, refs[0]);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL), MOHEAP_BUDGET_MAX);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);

	refs = ku_ring(ku, MOHEAP_BUDGET_MAX + 1);
	ku_drop_all(ku, refs + 1, MOHEAP_BUDGET_MAX);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	ku_release(ku, refs[0]);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).escaped, 1);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).local_escapes, 1);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), MOHEAP_BUDGET_MAX + 1);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).escaped, 0);
}

/* Too many slots, and a pass does not even begin to look at them. */
static void large_arrays_escape(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 array = ku_new_var(ku, 100000, 0), node = ku_new(ku, KU_NODE);

	ku_link(ku, array, 0, node);
	ku_link(ku, node, 0, array);
	ku_release(ku, array);
	ku_release(ku, node);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
	KUNIT_EXPECT_GE(test, ku_stat(ku).escaped, 1);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 2);
}

/*
 * A ring whose members are all dropped costs a few budgets, not one for each member, whether the
 * first that is looked at leads to the next, or the other way round.
 */
static void members_escape_together(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 4 * MOHEAP_BUDGET_MAX, backwards, i;
	u64 visits, *refs;

	for (backwards = 0; backwards < 2; backwards++) {
		refs = ku_new_many(ku, KU_NODE, n);
		for (i = 0; i < n; i++)
			ku_link(ku, refs[backwards ? (i + 1) % n : i], 0,
				refs[backwards ? i : (i + 1) % n]);
		ku_drop_all(ku, refs, n);
		visits = ku_stat(ku).local_visits;
		KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, n);
		KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
		KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 0);
		KUNIT_EXPECT_GE(test, ku_stat(ku).escaped, 4);
		visits = ku_stat(ku).local_visits - visits;
		KUNIT_EXPECT_LE(test, visits, 8 * MOHEAP_BUDGET_MAX + 3 * n);
		KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), n);
	}
}

/* What was too large once is small garbage like any other after the next trace, or a new life. */
static void large_is_forgotten(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = MOHEAP_BUDGET_MAX + 1, x = 0;
	u64 *ring = ku_ring(ku, n), root = ku_new(ku, KU_NODE);

	ku_link(ku, root, 0, ring[0]);
	ku_drop_all(ku, ring, n);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
	while (x < n && !ku_bit(ku, ring[x], MH_LARGE))
		x++;
	KUNIT_ASSERT_LT(test, x, n);
	/* Now it is small, but nobody knows. */
	ku_link(ku, ring[x], 0, ring[x]);
	ku_link(ku, root, 0, 0);
	ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, ring[x]));
	KUNIT_EXPECT_GT(test, ku_stat(ku).escaped, 0);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1);
	ring = ku_ring(ku, n);
	ku_drop_all(ku, ring, n);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	ku_drop_all(ku, ku_ring(ku, 900), 900);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 900);
}

/* Nor does a ring that is dropped member by member, with a pass after each few. */
static void live_members_are_seen_once(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 1000, i;
	u64 *ring = ku_ring(ku, n);

	/* From the second to the last: what is dropped already is alive by the first. */
	for (i = 1; i < n; i++)
		ku_release(ku, ring[i]);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 0);
	KUNIT_EXPECT_LE(test, ku_stat(ku).local_visits, 3 * n);
	ku_release(ku, ring[0]);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL), n);
}

/*
 * What a large ring refers to escapes with it, and goes by itself as soon as the ring lets go;
 * what refers to the ring goes with the trace.
 */
static void what_escaped_with_it_is_not_lost(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 2 * MOHEAP_BUDGET_MAX, small = 3;
	u64 *ring = ku_ring(ku, n), *below = ku_ring(ku, small), *above = ku_ring(ku, small);
	u64 root = ku_new(ku, KU_NODE);

	ku_link(ku, root, 0, ring[0]);
	ku_link(ku, ring[1], 1, below[0]);
	ku_link(ku, above[0], 1, ring[n - 1]);
	ku_drop_all(ku, ring, n);
	ku_drop_all(ku, below, small);
	ku_drop_all(ku, above, small);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 0);
	ku_link(ku, ring[1], 1, 0);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), small);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, below[0]));
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), small);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, above[0]));
	KUNIT_EXPECT_EQ(test, ku_objects(ku), n + 1);
}

/* ---- An escape leaves everything as it was ---- */

#define KU_GRAPH	24

/*
 * A random graph, then local passes at every budget. Each either frees all that cannot be
 * reached, or changes nothing: what cannot be seen by counts is seen by ku_exit()'s check.
 */
static u32 ku_reach(const u32 (*to)[2], u32 root)
{
	u32 reached = BIT(root), before = 0, i;

	while (before != reached) {
		before = reached;
		for (i = 0; i < KU_GRAPH; i++)
			if (reached & BIT(i))
				reached |= (BIT(to[i][0]) | BIT(to[i][1])) & (BIT(KU_GRAPH) - 1);
	}
	return reached;
}

static void ku_random_graph(struct ku *ku, struct rnd_state *rnd, const u64 *refs,
			    u32 (*to)[2])
{
	u32 i, j;

	for (i = 0; i < KU_GRAPH; i++) {
		for (j = 0; j < 2; j++) {
			/* One in three refers to nothing. */
			to[i][j] = ku_below(rnd, KU_GRAPH * 3 / 2);
			if (to[i][j] < KU_GRAPH)
				ku_link(ku, refs[i], j, refs[to[i][j]]);
			else
				to[i][j] = KU_GRAPH;
		}
	}
}

static u32 ku_alive_mask(struct ku *ku, const u64 *refs)
{
	u32 alive = 0, i;

	for (i = 0; i < KU_GRAPH; i++)
		if (ku_alive(ku, refs[i]))
			alive |= BIT(i);
	return alive;
}

static void counts_survive_escapes(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 to[KU_GRAPH][2], budget, root, reached, i;
	struct rnd_state rnd;
	u64 *refs;

	ku_seed(test, &rnd);
	for (budget = 1; budget <= KU_GRAPH + 1; budget++) {
		refs = ku_new_many(ku, KU_NODE, KU_GRAPH);
		ku_random_graph(ku, &rnd, refs, to);
		root = ku_below(&rnd, KU_GRAPH);
		reached = ku_reach(to, root);
		ku_tune(ku, MOHEAP_TUNE_BUDGET, budget);
		for (i = 0; i < KU_GRAPH; i++)
			if (i != root)
				ku_release(ku, refs[i]);
		ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL);
		KUNIT_ASSERT_EQ(test, ku_alive_mask(ku, refs) & reached, reached);
		KUNIT_ASSERT_EQ(test, moheap_check(ku->client), 0);
		if (!ku_stat(ku).escaped)
			KUNIT_ASSERT_EQ(test, ku_alive_mask(ku, refs), reached);
		ku_collect(ku, MOHEAP_COLLECT_FULL);
		KUNIT_ASSERT_EQ(test, ku_alive_mask(ku, refs), reached);
		ku_release(ku, refs[root]);
		ku_collect(ku, MOHEAP_COLLECT_FULL);
		KUNIT_ASSERT_EQ(test, ku_objects(ku), 0);
	}
}

/* A live object that nobody holds looks as if it might be garbage. */
static void ku_suspect(struct ku *ku, u64 ref)
{
	KU_OK(ku->test, ku_hold(ku->client, ref));
	ku_release(ku, ref);
}

/* Word for word: the counts of a ring that escapes at every budget below its length. */
static void escapes_undo_exactly(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 30, budget, i;
	u64 *refs = ku_ring(ku, n), *words = ku_refs(ku, n), root = ku_new(ku, KU_NODE);

	for (i = 0; i < n; i++)
		ku_link(ku, refs[i], 1, refs[(i * 7 + 3) % n]);
	ku_link(ku, root, 0, refs[11]);
	ku_drop_all(ku, refs, n);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	for (budget = 1; budget <= n; budget++) {
		ku_tune(ku, MOHEAP_TUNE_BUDGET, budget);
		ku_suspect(ku, refs[0]);
		for (i = 0; i < n; i++)
			words[i] = ku_word(ku, refs[i]);
		ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL);
		KUNIT_EXPECT_EQ(test, ku_stat(ku).escaped, budget < n);
		for (i = 0; i < n; i++)
			KUNIT_EXPECT_EQ(test, ku_word(ku, refs[i]), words[i]);
		/* For it to be looked at again. */
		ku_collect(ku, MOHEAP_COLLECT_FULL);
	}
}

/* ---- Credit ---- */

/*
 * A tree whose nodes point at their parents: every node that is dropped reaches all of it. It
 * must not cost a budget each.
 */
static void poor_yield_backs_off(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 1000, rounds = 40, round, i;
	u64 *refs = ku_new_many(ku, KU_BARE, n), root = ku_new(ku, KU_NODE), visits;

	for (i = 1; i < n; i++) {
		ku_link(ku, refs[i], 0, refs[(i - 1) / 2]);
		ku_link(ku, refs[(i - 1) / 2], 1 + i % 2, refs[i]);
	}
	ku_link(ku, root, 0, refs[0]);
	ku_drop_all(ku, refs, n);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	visits = ku_stat(ku).local_visits;
	for (round = 0; round < rounds; round++) {
		for (i = 1; i < n; i += 25) {
			ku_suspect(ku, refs[i]);
			ku_collect(ku, MOHEAP_COLLECT_LOCAL);
		}
	}
	visits = ku_stat(ku).local_visits - visits;
	kunit_info(test, "%llu visits for %u candidates", visits, rounds * 40);
	KUNIT_EXPECT_GE(test, visits, 2 * n);
	KUNIT_EXPECT_LE(test, visits, 65536 + 1024 + rounds * 40 * 9);
	KUNIT_EXPECT_GT(test, ku_stat(ku).escaped, 0);
	/* Small garbage is found promptly again once a trace has cleared the debt. */
	ku_drop_all(ku, ku_ring(ku, 3), 3);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	ku_drop_all(ku, ku_ring(ku, 3), 3);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL), 3);
}

/* Passes that free what they look at never use up their credit. */
static void good_yield_goes_on(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 i;

	for (i = 0; i < 100; i++) {
		ku_drop_all(ku, ku_ring(ku, 50), 50);
		KUNIT_ASSERT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 50);
	}
	KUNIT_EXPECT_EQ(test, ku_stat(ku).local_escapes, 0);
}

/* A pass is bounded by its budget, give or take the last candidate it began. */
static void passes_are_bounded(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 visits, most = 0;
	u32 i, passes = 0;

	for (i = 0; i < 100; i++)
		ku_drop_all(ku, ku_ring(ku, 40), 40);
	while (ku_stat(ku).candidates) {
		visits = ku_stat(ku).local_visits;
		ku_collect(ku, MOHEAP_COLLECT_LOCAL);
		most = max(most, ku_stat(ku).local_visits - visits);
		passes++;
	}
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_LE(test, most, 2 * MOHEAP_BUDGET_MAX);
	KUNIT_EXPECT_GE(test, passes, 4);
}

/*
 * Visits are not all: arrays have more slots than one looks at for nothing. All of a pass is one
 * hold of the gate, so what it looks at must be bounded, whatever its candidates are like.
 */
static void passes_look_at_few_slots(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 60, slots = 4000, i, most = 0, before;
	u64 root = ku_new_var(ku, n, 0), leaf = ku_new(ku, KU_LEAF), *arrays = ku_refs(ku, n);

	for (i = 0; i < n; i++) {
		arrays[i] = ku_new_var(ku, slots, 0);
		KU_OK(test, ku_fill(ku->client, arrays[i], 0, leaf, slots));
		ku_link(ku, root, i, arrays[i]);
	}
	ku_drop_all(ku, arrays, n);
	while (ku_stat(ku).candidates) {
		before = ku_stat(ku).candidates;
		ku_collect(ku, MOHEAP_COLLECT_LOCAL);
		most = max(most, before - (u32)ku_stat(ku).candidates);
	}
	kunit_info(test, "up to %u arrays of %u slots in a pass", most, slots);
	KUNIT_EXPECT_LE(test, most * slots, 4 * 8 * MOHEAP_BUDGET_MAX);
}

/* ---- Requests ---- */

static void generations(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 found = 0;

	KUNIT_EXPECT_EQ(test, moheap_collect(ku->client, 3, &found), -EINVAL);
	KUNIT_EXPECT_EQ(test, moheap_collect(ku->client, U32_MAX, &found), -EINVAL);
	KU_OK(test, moheap_collect(ku->client, MOHEAP_COLLECT_LOCAL, &found));
	KU_OK(test, moheap_collect(ku->client, MOHEAP_COLLECT_LOCAL_ALL, &found));
	KU_OK(test, moheap_collect(ku->client, MOHEAP_COLLECT_FULL, &found));
	KUNIT_EXPECT_EQ(test, found, 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).traces, 1);
}

/* Reaping the dead may make candidates: they are looked at as well. */
static void all_local_leaves_no_candidate(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 500, i;
	u64 hub = ku_new_var(ku, n, 0), *ring;

	for (i = 0; i < n; i++) {
		ring = ku_ring(ku, 2);
		ku_link(ku, hub, i, ring[0]);
		ku_drop_all(ku, ring, 2);
	}
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1 + 2 * n);
	ku_release(ku, hub);
	KUNIT_EXPECT_GT(test, ku_stat(ku).pending, 0);
	ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).pending, 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).candidates, 0);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

static void tuned_within_bounds(struct kunit *test)
{
	struct ku *ku = test->priv;
	static const struct {
		u32 set;
		u32 good[2];
		u32 bad[2];
	} rows[] = {
		{ MOHEAP_TUNE_BUDGET, { 1, MOHEAP_BUDGET_MAX }, { 0, MOHEAP_BUDGET_MAX + 1 } },
		{ MOHEAP_TUNE_THRESHOLD, { 1, 1000000 }, { 0, 0 } },
		{ MOHEAP_TUNE_GROWTH, { 1, 1000 }, { 0, 1001 } },
		{ MOHEAP_TUNE_IDLE, { 1, 60000 }, { 0, 60001 } },
		{ MOHEAP_TUNE_ENABLED, { 0, 1 }, { 2, U32_MAX } },
	};
	struct moheap_tune tune, now;
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		for (j = 0; j < 2; j++) {
			ku_tune(ku, rows[i].set, rows[i].good[j]);
			now = ku->heap->tune;
			tune = (struct moheap_tune){
				.size = sizeof(tune), .set = rows[i].set,
				.budget = rows[i].bad[j], .threshold = rows[i].bad[j],
				.growth = rows[i].bad[j], .idle_ms = rows[i].bad[j],
				.enabled = rows[i].bad[j],
			};
			KUNIT_EXPECT_EQ(test, mh_collector_tune(ku->heap, &tune), -ERANGE);
			KUNIT_EXPECT_MEMEQ(test, &ku->heap->tune, &now, sizeof(now));
		}
	}
	tune = (struct moheap_tune){ .size = sizeof(tune) };
	KU_OK(test, mh_collector_tune(ku->heap, &tune));
	KUNIT_EXPECT_EQ(test, tune.idle_ms, 60000);
	KUNIT_EXPECT_EQ(test, tune.growth, 1000);
}

struct ku_interrupted {
	struct ku *ku;
	int err[3];
	u64 found;
};

static void ku_collect_signalled(void *data)
{
	struct ku_interrupted *s = data;
	u32 i;

	allow_signal(SIGUSR1);
	send_sig(SIGUSR1, current, 0);
	for (i = 0; i < 3; i++)
		s->err[i] = moheap_collect(s->ku->client, i, &s->found);
	flush_signals(current);
}

static void signal_ends_a_collection(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_interrupted s = { .ku = ku };
	u32 i;

	ku_drop_all(ku, ku_ring(ku, 10), 10);
	ku_await(ku_start(ku, -1, ku_collect_signalled, &s));
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, s.err[i], -EINTR);
	/* What was done before it was seen stands. */
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* ---- The collector allocates nothing ---- */

struct ku_watch {
	struct task_struct *task;
	u32 allocations;
};

static void ku_saw_kmalloc(void *data, unsigned long site, const void *ptr, size_t req,
			   size_t bytes, gfp_t gfp, int node)
{
	struct ku_watch *watch = data;

	if (current == watch->task)
		watch->allocations++;
}

static void ku_saw_cache(void *data, unsigned long site, const void *ptr,
			 struct kmem_cache *cache, gfp_t gfp, int node)
{
	struct ku_watch *watch = data;

	if (current == watch->task)
		watch->allocations++;
}

static void ku_watched_collect(struct ku *ku, struct ku_watch *watch, u32 generation)
{
	/* Registering allocates, too. */
	watch->task = NULL;
	KU_OK(ku->test, register_trace_kmalloc(ku_saw_kmalloc, watch));
	KU_OK(ku->test, register_trace_kmem_cache_alloc(ku_saw_cache, watch));
	watch->task = current;
	ku_collect(ku, generation);
	watch->task = NULL;
	unregister_trace_kmalloc(ku_saw_kmalloc, watch);
	unregister_trace_kmem_cache_alloc(ku_saw_cache, watch);
	tracepoint_synchronize_unregister();
}

static void collecting_allocates_nothing(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_watch watch = { };
	u64 *ring, array;
	u32 generation;

	/* What is looked for can be seen. */
	watch.task = current;
	KU_OK(test, register_trace_kmalloc(ku_saw_kmalloc, &watch));
	kunit_kfree(test, kunit_kmalloc(test, 10, GFP_KERNEL));
	unregister_trace_kmalloc(ku_saw_kmalloc, &watch);
	tracepoint_synchronize_unregister();
	KUNIT_EXPECT_GT(test, watch.allocations, 0);

	for (generation = 0; generation <= MOHEAP_COLLECT_FULL; generation++) {
		ring = ku_ring(ku, 200);
		array = ku_new_var(ku, 2000, 0);
		KU_OK(test, ku_fill(ku->client, array, 0, ring[7], 2000));
		ku_link(ku, ring[3], 1, array);
		ku_drop_all(ku, ring, 200);
		ku_release(ku, array);
		watch.allocations = 0;
		ku_watched_collect(ku, &watch, generation);
		KUNIT_EXPECT_EQ(test, watch.allocations, 0);
	}
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

static struct kunit_case ku_collect_cases[] = {
	KUNIT_CASE(rings_are_found),
	KUNIT_CASE(one_hold_keeps_a_ring),
	KUNIT_CASE(self_references),
	KUNIT_CASE(live_objects_lose_references),
	KUNIT_CASE(live_cycles_stay),
	KUNIT_CASE(garbage_beside_live),
	KUNIT_CASE(rings_of_the_budget),
	KUNIT_CASE(large_arrays_escape),
	KUNIT_CASE(members_escape_together),
	KUNIT_CASE(large_is_forgotten),
	KUNIT_CASE(live_members_are_seen_once),
	KUNIT_CASE(what_escaped_with_it_is_not_lost),
	KUNIT_CASE(counts_survive_escapes),
	KUNIT_CASE(escapes_undo_exactly),
	KUNIT_CASE(poor_yield_backs_off),
	KUNIT_CASE(good_yield_goes_on),
	KUNIT_CASE(passes_are_bounded),
	KUNIT_CASE(passes_look_at_few_slots),
	KUNIT_CASE(generations),
	KUNIT_CASE(all_local_leaves_no_candidate),
	KUNIT_CASE(tuned_within_bounds),
	KUNIT_CASE(signal_ends_a_collection),
	KUNIT_CASE(collecting_allocates_nothing),
	{}
};

struct kunit_suite ku_collect_suite = {
	.name = "moheap_collect",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_collect_cases,
};
