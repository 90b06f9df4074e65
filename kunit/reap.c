// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_reap: what dies together is freed piece by piece. No operation pays for more than a
 * bounded part, whatever hangs off what it lets go of.
 */
#include "fixture.h"

/* A sanitizer kernel has less memory, and less time. */
#define KU_CHAIN	(IS_ENABLED(CONFIG_KASAN) || IS_ENABLED(CONFIG_KCSAN) ? 50000 : 1000000)

/* Objects that one operation may free on the spot. */
#define KU_INLINE	(4 * MH_REAP_INLINE)

/* @n nodes in a row; only the first is held. */
static u64 *ku_chain(struct ku *ku, u32 n)
{
	u64 *refs = ku_new_many(ku, KU_NODE, n);

	ku_links(ku, refs, 0, refs + 1, n - 1);
	ku_drop_all(ku, refs + 1, n - 1);
	return refs;
}

/* Reap what is left, and see that no step of it is large. */
static void ku_expect_bounded_reaping(struct ku *ku, u64 left)
{
	u64 before, after = ku_objects(ku);
	bool more = true;

	while (more) {
		before = after;
		more = ku_reap_step(ku);
		after = ku_objects(ku);
		KUNIT_ASSERT_LE(ku->test, before - after, MH_REAP_STEP + KU_WIDE_SLOTS);
		cond_resched();
	}
	KUNIT_EXPECT_EQ(ku->test, after, left);
	KUNIT_EXPECT_EQ(ku->test, ku_stat(ku).pending, 0);
}

/* After an operation that let go of @n objects: few are freed, and the rest soon will be. */
static void ku_expect_left(struct ku *ku, u64 n, u64 left)
{
	KUNIT_EXPECT_GE(ku->test, ku_objects(ku), n - KU_INLINE);
	KUNIT_EXPECT_GT(ku->test, ku_stat(ku).pending, 0);
	ku_expect_bounded_reaping(ku, left);
}

static void chain_dropped(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_chain(ku, KU_CHAIN);

	ku_release(ku, refs[0]);
	ku_expect_left(ku, KU_CHAIN, 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).freed_count, KU_CHAIN);
}

static void short_chain_goes_at_once(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_chain(ku, MH_REAP_INLINE / 3);

	ku_release(ku, refs[0]);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).pending, 0);
}

static void chain_overwritten(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 root = ku_new(ku, KU_NODE), *refs = ku_chain(ku, 5000), old = 0;

	ku_link(ku, root, 0, refs[0]);
	ku_release(ku, refs[0]);
	ku_link(ku, root, 0, 0);
	ku_expect_left(ku, 5001, 1);

	refs = ku_chain(ku, 5000);
	ku_link(ku, root, 0, refs[0]);
	ku_release(ku, refs[0]);
	KU_OK(test, ku_exchange(ku->client, root, 0, &old));
	ku_expect_left(ku, 5001, 1);

	refs = ku_chain(ku, 5000);
	ku_link(ku, root, 0, refs[0]);
	ku_release(ku, refs[0]);
	old = refs[0];
	KU_OK(test, ku_cmpxchg(ku->client, root, 0, &old, 0));
	ku_expect_left(ku, 5001, 1);
}

/* One operation that lets go of a thousand chains. */
static void chains_overwritten(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 1000, length = 20, i;
	u64 array = ku_new_var(ku, n, 0), *refs;

	for (i = 0; i < n; i++) {
		refs = ku_chain(ku, length);
		ku_link(ku, array, i, refs[0]);
		ku_release(ku, refs[0]);
	}
	KU_OK(test, ku_fill(ku->client, array, 0, 0, n));
	/* It goes on between slices, a bounded part each. */
	KUNIT_EXPECT_GE(test, ku_objects(ku), n * length / 2);
	ku_expect_bounded_reaping(ku, 1);
}

static void chain_dies_with_its_client(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_chain(ku, 5000);
	struct mh_client *other = ku_join(ku);

	KU_OK(test, ku_hold(other, refs[0]));
	ku_release(ku, refs[0]);
	ku_close(ku, other);
	KUNIT_EXPECT_GE(test, ku_objects(ku), 5000 - MH_REAP_STEP);
	ku_expect_bounded_reaping(ku, 0);
}

/* What waits is dead already: nobody gets at it, and memory that is wanted is freed first. */
static void the_dead_cannot_be_named(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_chain(ku, 1000), next;

	ku_release(ku, refs[0]);
	KUNIT_EXPECT_GT(test, ku_stat(ku).pending, 0);
	KUNIT_EXPECT_EQ(test, ku_hold(ku->client, refs[0]), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_load(ku->client, refs[0], 0, &next), -ESTALE);
	/* Further down they are alive until their turn comes, and can be brought back. */
	KU_OK(test, ku_hold(ku->client, refs[900]));
	ku_expect_bounded_reaping(ku, 100);
	ku_release(ku, refs[900]);
	ku_expect_bounded_reaping(ku, 0);
}

static void new_pools_wait_for_the_dead(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_chain(ku, 3000), pools;

	ku_release(ku, refs[0]);
	pools = ku_stat(ku).pools;
	ku_new_many(ku, KU_NODE, 3000);
	KUNIT_EXPECT_LE(test, ku_stat(ku).pools, pools + 1);
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 3000);
}

/* ---- Slots kept apart ---- */

static void array_of_leaves(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 10000, i;
	u64 array = ku_new_var(ku, n, 0), *refs = ku_new_many(ku, KU_LEAF, n);

	for (i = 0; i < n; i++)
		ku_link(ku, array, i, refs[i]);
	ku_drop_all(ku, refs, n);
	ku_release(ku, array);
	ku_expect_left(ku, n + 1, 0);
}

/* Arrays of arrays: none is followed to its end while another waits for ever. */
static void arrays_of_arrays(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 100, i;
	u64 top = ku_new_var(ku, n, 0), one, leaf = ku_new(ku, KU_LEAF);

	for (i = 0; i < n; i++) {
		one = ku_new_var(ku, 1000, 0);
		KU_OK(test, ku_fill(ku->client, one, 0, leaf, 1000));
		ku_link(ku, top, i, one);
		ku_release(ku, one);
	}
	KUNIT_EXPECT_EQ(test, ku_count(ku, leaf), 1 + n * 1000);
	ku_release(ku, top);
	KUNIT_EXPECT_GE(test, ku_count(ku, leaf), (n - 1) * 1000);
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, ku_count(ku, leaf), 1);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1);
}

/* Each array holds the next in its first slot, which is cleared last. */
static void chain_of_arrays(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 300, slots = 200, i;
	u64 bytes = ku_stat(ku).kernel_bytes, *refs = ku_refs(ku, n), before;
	u64 leaf = ku_new(ku, KU_LEAF);

	for (i = 0; i < n; i++) {
		refs[i] = ku_new_var(ku, slots, 0);
		KU_OK(test, ku_fill(ku->client, refs[i], 1, leaf, slots - 1));
		if (!i)
			continue;
		ku_link(ku, refs[i - 1], 0, refs[i]);
		ku_release(ku, refs[i]);
	}
	KUNIT_EXPECT_GE(test, ku_stat(ku).kernel_bytes, bytes + n * slots * 4);
	ku_release(ku, refs[0]);
	do {
		before = ku_count(ku, leaf);
		ku_reap_step(ku);
		KUNIT_ASSERT_LE(test, before - ku_count(ku, leaf), MH_REAP_STEP);
	} while (ku_stat(ku).pending);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1);
	KUNIT_EXPECT_EQ(test, ku_count(ku, leaf), 1);
}

/* ---- Several threads ---- */

static void ku_reaper(void *data)
{
	struct ku *ku = data;

	while (!kthread_should_stop()) {
		ku_reap_step(ku);
		cond_resched();
	}
}

/* Reaping from two sides while more dies. */
static void reaped_by_many(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_task *a = ku_start(ku, 0, ku_reaper, ku), *b = ku_start(ku, 1, ku_reaper, ku);
	u32 i;

	for (i = 0; i < 10; i++)
		ku_release(ku, ku_chain(ku, 500)[0]);
	ku_stop(a);
	ku_stop(b);
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).freed_count, 5000);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).pending, 0);
}

static struct kunit_case ku_reap_cases[] = {
	KUNIT_CASE_SLOW(chain_dropped),
	KUNIT_CASE(short_chain_goes_at_once),
	KUNIT_CASE(chain_overwritten),
	KUNIT_CASE(chains_overwritten),
	KUNIT_CASE(chain_dies_with_its_client),
	KUNIT_CASE(the_dead_cannot_be_named),
	KUNIT_CASE(new_pools_wait_for_the_dead),
	KUNIT_CASE(array_of_leaves),
	KUNIT_CASE(arrays_of_arrays),
	KUNIT_CASE(chain_of_arrays),
	KUNIT_CASE(reaped_by_many),
	{}
};

struct kunit_suite ku_reap_suite = {
	.name = "moheap_reap",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_reap_cases,
};
