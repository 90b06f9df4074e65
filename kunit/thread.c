// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_thread: the collector by itself: what it does when nobody asks, and that it does
 * nothing when there is nothing to do.
 */
#include <linux/delay.h>

#include "fixture.h"

static void no_work_no_thread(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_NODE);

	ku_link(ku, a, 0, b);
	KU_OK(test, ku_hold(ku->client, a));
	KUNIT_EXPECT_PTR_EQ(test, READ_ONCE(ku->heap->thread), NULL);
	ku_drop_all(ku, ku_ring(ku, 2), 2);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 2));
	KUNIT_EXPECT_PTR_NE(test, READ_ONCE(ku->heap->thread), NULL);
}

/* A quiet heap ends clean: small garbage, large garbage, and chains. */
static void quiet_heap_ends_clean(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 3 * MOHEAP_BUDGET_MAX, i;
	u64 *refs;

	ku_drop_all(ku, ku_ring(ku, 5), 5);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 0));
	ku_drop_all(ku, ku_ring(ku, n), n);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 0));
	refs = ku_new_many(ku, KU_NODE, n);
	for (i = 0; i + 1 < n; i++) {
		ku_link(ku, refs[i], 0, refs[i + 1]);
		ku_link(ku, refs[i + 1], 1, refs[i]);
	}
	ku_drop_all(ku, refs, n);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 0));
}

/* Empty pools are given back without being asked for. */
static void quiet_heap_gives_back(struct kunit *test)
{
	struct ku *ku = test->priv;
	unsigned long end;
	u64 *refs = ku_new_many(ku, KU_NODE, 20000);

	KUNIT_EXPECT_GT(test, ku_stat(ku).pools, 10);
	ku_drop_all(ku, refs, 20000);
	end = jiffies + 20 * HZ;
	/* One is active, one is kept for the next burst. */
	while (ku_stat(ku).pools > 2 && time_before(jiffies, end))
		fsleep(5000);
	KUNIT_EXPECT_LE(test, ku_stat(ku).pools, 2);
}

static bool ku_clean(struct ku *ku)
{
	struct moheap_stat stat = ku_stat(ku);

	return !stat.objects && !stat.candidates && !stat.escaped &&
	       READ_ONCE(ku->heap->phase) == MH_IDLE;
}

/* Once clean, it sleeps: no pass, no trace, however long one waits. */
static void clean_heap_sleeps(struct kunit *test)
{
	struct ku *ku = test->priv;
	unsigned long end = jiffies + 20 * HZ;
	struct moheap_stat stat;
	unsigned long switches;

	ku_drop_all(ku, ku_ring(ku, 2000), 2000);
	while (!ku_clean(ku) && time_before(jiffies, end))
		fsleep(5000);
	KUNIT_EXPECT_TRUE(test, ku_clean(ku));
	/* It may be on its way to sleep. */
	msleep(100);
	stat = ku_stat(ku);
	switches = ku->heap->thread->nvcsw + ku->heap->thread->nivcsw;
	msleep(300);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).local_passes, stat.local_passes);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).traces, stat.traces);
	KUNIT_EXPECT_EQ(test, ku->heap->thread->nvcsw + ku->heap->thread->nivcsw, switches);
}

/* Live objects are no work, whatever their shape: a trace must not call for the next. */
static void live_heap_sleeps(struct kunit *test)
{
	struct ku *ku = test->priv;
	unsigned long end = jiffies + 20 * HZ;
	u64 small = ku_new_var(ku, 1000, 0), large = ku_new_var(ku, 20000, 0);
	u64 *ring = ku_ring(ku, 2000), traces;

	ku_link(ku, small, 0, large);
	ku_link(ku, large, 0, small);
	ku_link(ku, large, 1, ring[0]);
	ku_drop_all(ku, ring, 2000);
	ku_drop_all(ku, ku_ring(ku, 2000), 2000);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 2002));
	do {
		traces = ku_stat(ku).traces;
		msleep(300);
	} while (ku_stat(ku).traces != traces && time_before(jiffies, end));
	kunit_info(test, "%llu traces", ku_stat(ku).traces);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).traces, traces);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 2002);
}

static void disabled_it_waits_for_requests(struct kunit *test)
{
	struct ku *ku = test->priv;

	ku_tune(ku, MOHEAP_TUNE_ENABLED, 0);
	ku_drop_all(ku, ku_ring(ku, 10), 10);
	msleep(100);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 10);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).local_passes, 0);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 10);
	ku_drop_all(ku, ku_ring(ku, 10), 10);
	ku_tune(ku, MOHEAP_TUNE_ENABLED, 1);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 0));
}

/* The dead are no choice: they go, whether it is enabled or not. */
static void disabled_it_reaps_all_the_same(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 3000, i;
	u64 *refs = ku_new_many(ku, KU_NODE, n);

	ku_tune(ku, MOHEAP_TUNE_ENABLED, 0);
	for (i = 0; i + 1 < n; i++) {
		ku_link(ku, refs[i], 0, refs[i + 1]);
		ku_release(ku, refs[i + 1]);
	}
	ku_release(ku, refs[0]);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 0));
}

/* Candidates in plenty are looked at without waiting for more. Those that come after may wait. */
static void threshold_wakes_it(struct kunit *test)
{
	struct ku *ku = test->priv;
	unsigned long end;
	u32 i;

	ku_tune(ku, MOHEAP_TUNE_IDLE, 60000);
	ku_tune(ku, MOHEAP_TUNE_THRESHOLD, 20);
	ku_drop_all(ku, ku_ring(ku, 2), 2);
	msleep(50);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 2);
	for (i = 0; i < 20; i++)
		ku_drop_all(ku, ku_ring(ku, 1), 1);
	end = jiffies + 30 * HZ;
	while (ku_objects(ku) > 2 && time_before(jiffies, end))
		msleep(20);
	KUNIT_EXPECT_LE(test, ku_objects(ku), 2);
}

/* A thread that waits for more candidates learns of a shorter pause at once. */
static void tuning_ends_a_nap(struct kunit *test)
{
	struct ku *ku = test->priv;

	ku_tune(ku, MOHEAP_TUNE_IDLE, 60000);
	ku_drop_all(ku, ku_ring(ku, 2), 2);
	msleep(50);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 2);
	ku_tune(ku, MOHEAP_TUNE_IDLE, 20);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 0));
}

/* What escapes is traced when the heap has grown, while there is no pause. */
static void growth_starts_a_trace(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs;
	u32 i;

	ku_tune(ku, MOHEAP_TUNE_BUDGET, 10);
	ku_tune(ku, MOHEAP_TUNE_IDLE, 1);
	for (i = 0; i < 10; i++) {
		refs = ku_ring(ku, 1000);
		ku_drop_all(ku, refs, 1000);
	}
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 0));
	KUNIT_EXPECT_GE(test, ku_stat(ku).traces, 1);
	KUNIT_EXPECT_GT(test, ku_stat(ku).freed_trace, 0);
}

/* The thread, requests and clients that come and go; nobody waits for ever. */
static void requests_beside_the_thread(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other;
	u64 refs[3], found;
	u32 i, j;

	ku_tune(ku, MOHEAP_TUNE_IDLE, 1);
	ku_tune(ku, MOHEAP_TUNE_THRESHOLD, 1);
	for (i = 0; i < 100; i++) {
		other = ku_join(ku);
		KU_OK(test, ku_alloc(other, ku->type[KU_NODE], 0, refs, 3));
		for (j = 0; j < 3; j++)
			KU_OK(test, ku_store(other, refs[j], 0, refs[(j + 1) % 3]));
		if (i % 4)
			KU_OK(test, moheap_collect(other, i % 3, &found));
		ku_close(ku, other);
	}
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 0));
}

/* Heaps that go while their collector is at work. */
static void closed_at_work(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *client;
	u32 n = 1500, i, j;
	u64 *refs = ku_refs(ku, n);
	int type;

	for (i = 0; i < 15; i++) {
		client = ku_adopt(ku, moheap_create(KU_LIMIT, 0));
		type = ku_register(client, "node", 0, 2, 16);
		KU_OK(test, ku_alloc(client, type, 0, refs, n));
		for (j = 0; j < n; j++)
			KU_OK(test, ku_store(client, refs[j], 0, refs[(j + 1) % n]));
		ku_drop_all_by(ku, client, refs, n);
		usleep_range(i * 500, i * 500 + 100);
		ku_close(ku, client);
	}
}

static struct kunit_case ku_thread_cases[] = {
	KUNIT_CASE(no_work_no_thread),
	KUNIT_CASE(quiet_heap_ends_clean),
	KUNIT_CASE(quiet_heap_gives_back),
	KUNIT_CASE(clean_heap_sleeps),
	KUNIT_CASE(live_heap_sleeps),
	KUNIT_CASE(disabled_it_waits_for_requests),
	KUNIT_CASE(disabled_it_reaps_all_the_same),
	KUNIT_CASE(threshold_wakes_it),
	KUNIT_CASE(tuning_ends_a_nap),
	KUNIT_CASE(growth_starts_a_trace),
	KUNIT_CASE(requests_beside_the_thread),
	KUNIT_CASE(closed_at_work),
	{}
};

struct kunit_suite ku_thread_suite = {
	.name = "moheap_thread",
	.init = ku_init_live,
	.exit = ku_exit,
	.test_cases = ku_thread_cases,
};
