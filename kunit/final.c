// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_final: objects that are handed to a client before they go, once.
 */
#include <linux/delay.h>

#include "fixture.h"

struct ku_finals {
	int type;	/* 2 slots, to be finalized */
	int leaf;	/* no slots, to be finalized */
};

static struct ku_finals ku_finals(struct ku *ku)
{
	struct ku_finals t = {
		.type = ku_register(ku->client, "final", MOHEAP_TYPE_FINALIZE, 2, 16),
		.leaf = ku_register(ku->client, "final leaf", MOHEAP_TYPE_FINALIZE, 0, 16),
	};

	KUNIT_ASSERT_GE(ku->test, t.type, 0);
	KUNIT_ASSERT_GE(ku->test, t.leaf, 0);
	return t;
}

static u64 ku_final_by(struct ku *ku, struct mh_client *client, int type)
{
	u64 ref = 0;

	KU_OK(ku->test, ku_alloc(client, type, 0, &ref, 1));
	return ref;
}

static u64 ku_final(struct ku *ku, int type)
{
	return ku_final_by(ku, ku->client, type);
}

/* @n objects to be finalized, all held, each referring to the next, the last to the first. */
static u64 *ku_final_ring(struct ku *ku, int type, u32 n)
{
	u64 *refs = ku_refs(ku, n);

	KU_OK(ku->test, ku_alloc(ku->client, type, 0, refs, n));
	ku_links(ku, refs, 0, refs + 1, n - 1);
	ku_link(ku, refs[n - 1], 0, refs[0]);
	return refs;
}

static void ku_listen(struct ku *ku, struct mh_client *client)
{
	KU_OK(ku->test, moheap_listen(client, MOHEAP_LISTEN_FINALIZE));
}

/* The client is handed an object. */
static u64 ku_due(struct ku *ku, struct mh_client *client)
{
	struct moheap_event event = ku_event(ku, client);

	KUNIT_EXPECT_EQ(ku->test, event.type, MOHEAP_EVENT_FINALIZE);
	KUNIT_EXPECT_EQ(ku->test, event.count, 1);
	KUNIT_EXPECT_TRUE(ku->test, ku_alive(ku, event.ref));
	return event.ref;
}

static bool ku_was_due(struct ku *ku, u64 ref)
{
	struct mh_obj o = ku_find(ku, ref);

	return mh_final_was_due(&o);
}

static void ku_check(struct ku *ku)
{
	KU_OK(ku->test, moheap_check(ku->client));
}

/* ---- Single objects ---- */

static void count_falls_to_zero(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	u64 ref = ku_final(ku, t.type), behind = ku_new(ku, KU_LEAF);
	struct moheap_event event;

	ku_listen(ku, ku->client);
	ku_link(ku, ref, 0, behind);
	ku_release(ku, behind);
	KUNIT_EXPECT_FALSE(test, ku_was_due(ku, ref));
	ku_release(ku, ref);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, ref));
	KUNIT_EXPECT_TRUE(test, ku_was_due(ku, ref));
	KUNIT_EXPECT_EQ(test, ku_stat(ku).finalizing, 1);
	KUNIT_EXPECT_EQ(test, ku_drop(ku->client, ref), -ENOENT);
	ku_check(ku);
	event = ku_event(ku, ku->client);
	KUNIT_EXPECT_EQ(test, event.type, MOHEAP_EVENT_FINALIZE);
	KUNIT_EXPECT_EQ(test, event.ref, ref);
	KUNIT_EXPECT_EQ(test, event.index, t.type);
	ku_no_event(ku, ku->client);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).finalizing, 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).finalized, 1);
	KUNIT_EXPECT_EQ(test, ku_count(ku, ref), 1);
	/* Whole, as before. */
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, behind));
	ku_check(ku);
	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	ku_no_event(ku, ku->client);
}

static void brought_back(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	u64 root = ku_new(ku, KU_NODE), ref = ku_final(ku, t.type);

	ku_listen(ku, ku->client);
	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_due(ku, ku->client), ref);
	ku_link(ku, root, 0, ref);
	ku_release(ku, ref);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, ref));
	KUNIT_EXPECT_EQ(test, ku_count(ku, ref), 1);
	/* The second time it just goes. */
	ku_link(ku, root, 0, 0);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, ref));
	ku_no_event(ku, ku->client);
	/* What is born in its block has a life of its own. */
	ref = ku_final(ku, t.type);
	KUNIT_EXPECT_FALSE(test, ku_was_due(ku, ref));
	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_due(ku, ku->client), ref);
	ku_release(ku, ref);
}

/* With a ref it kept a client can hold what is due, and it can be handed what it holds. */
static void held_while_due(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	u64 a = ku_final(ku, t.leaf), b = ku_final(ku, t.leaf);

	ku_listen(ku, ku->client);
	ku_release(ku, a);
	ku_release(ku, b);
	KU_OK(test, ku_hold(ku->client, a));
	KU_OK(test, ku_hold(ku->client, b));
	KUNIT_EXPECT_EQ(test, ku_count(ku, a), 2);
	ku_release(ku, b);
	KUNIT_EXPECT_EQ(test, ku_due(ku, ku->client), a);
	KUNIT_EXPECT_EQ(test, ku_count(ku, a), 1);
	KUNIT_EXPECT_EQ(test, ku_due(ku, ku->client), b);
	ku_release(ku, a);
	ku_release(ku, b);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

static void nobody_listens(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	u64 *refs = ku_final_ring(ku, t.type, 10);
	u64 ref = ku_final(ku, t.leaf);

	ku_release(ku, ref);
	ku_drop_all(ku, refs, 5);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, ref));
	ku_drop_all(ku, refs + 5, 5);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 10);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).unfinalized, 0);
}

static void not_renewed(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	u64 ref = ku_final(ku, t.leaf);

	KUNIT_EXPECT_EQ(test, ku_renew(ku->client, ref,
				       (ref | MOHEAP_REF_REUSED) + (2ULL << 32)), -EBUSY);
	KUNIT_EXPECT_EQ(test, moheap_listen(ku_join_readonly(ku), MOHEAP_LISTEN_FINALIZE),
			-EACCES);
}

/* Alone it is finalized first, and the watches are told when it dies in the end. */
static void watches_of_one(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	u64 ref = ku_final(ku, t.type);

	ku_listen(ku, ku->client);
	ku_watch(ku, ku->client, ref, 5);
	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_due(ku, ku->client), ref);
	ku_no_event(ku, ku->client);
	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_event(ku, ku->client).cookie, 5);
}

/* ---- Cycles ---- */

/*
 * A ring of eight, four of which are to be finalized, and what hangs off it. Watches are told
 * first, then all that is due, and all is whole until a later collection.
 */
static void ring_by(struct kunit *test, u32 generation)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	u64 *refs = ku_ring(ku, 8), leaf = ku_final(ku, t.leaf), due = 0;
	u64 final[4], target, told = 0;
	u32 i;

	ku_listen(ku, ku->client);
	for (i = 0; i < 4; i++) {
		final[i] = ku_final(ku, t.type);
		ku_link(ku, refs[2 * i], 0, final[i]);
		ku_link(ku, final[i], 0, refs[2 * i + 1]);
	}
	ku_link(ku, refs[3], 1, leaf);
	ku_watch(ku, ku->client, refs[3], 1);
	ku_watch(ku, ku->client, final[1], 2);
	ku_watch(ku, ku->client, leaf, 4);
	ku_release(ku, leaf);
	ku_drop_all(ku, final, 4);
	ku_drop_all(ku, refs, 8);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, generation), generation < 2 ? 4 : 5);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 13);
	ku_check(ku);
	/* The leaf is in no cycle: the trace finds it, a local pass does not look. */
	for (i = 0; i < (generation < 2 ? 2 : 3); i++)
		told |= ku_event(ku, ku->client).cookie;
	KUNIT_EXPECT_EQ(test, told, generation < 2 ? 3 : 7);
	for (i = 0; i < (generation < 2 ? 4 : 5); i++) {
		target = ku_due(ku, ku->client);
		due += target;
		if (target == leaf)
			continue;
		/* Nothing is cut. */
		KU_OK(test, ku_load(ku->client, target, 0, &target));
		KUNIT_EXPECT_TRUE(test, target == refs[1] || target == refs[3] ||
				  target == refs[5] || target == refs[7]);
	}
	ku_no_event(ku, ku->client);
	KUNIT_EXPECT_EQ(test, due, final[0] + final[1] + final[2] + final[3] +
			(generation < 2 ? 0 : leaf));
	ku_collect(ku, generation);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 13);
	ku_check(ku);
	if (generation == MOHEAP_COLLECT_FULL)
		ku_release(ku, leaf);
	ku_drop_all(ku, final, 4);
	ku_collect(ku, generation);
	if (generation < 2) {
		/* Now it goes by its count. */
		KUNIT_EXPECT_EQ(test, ku_due(ku, ku->client), leaf);
		ku_release(ku, leaf);
		KUNIT_EXPECT_EQ(test, ku_event(ku, ku->client).cookie, 4);
	}
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	ku_no_event(ku, ku->client);
}

static void ring_by_local_pass(struct kunit *test)
{
	ring_by(test, MOHEAP_COLLECT_LOCAL);
}

static void ring_by_trace(struct kunit *test)
{
	ring_by(test, MOHEAP_COLLECT_FULL);
}

/* What is due keeps what it reaches, and nothing else. */
static void rest_is_freed(struct kunit *test, u32 generation)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	u64 *before = ku_ring(ku, 10), *behind = ku_ring(ku, 10), ref = ku_final(ku, t.type);

	ku_listen(ku, ku->client);
	ku_link(ku, before[3], 1, ref);
	ku_link(ku, ref, 0, ref);
	ku_link(ku, ref, 1, behind[3]);
	ku_release(ku, ref);
	ku_drop_all(ku, behind, 10);
	ku_drop_all(ku, before, 10);
	ku_collect(ku, generation);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 11);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).generation[generation].collected, 10);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).generation[generation].finalizing, 1);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, before[3]));
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, behind[3]));
	ku_check(ku);
	KUNIT_EXPECT_EQ(test, ku_due(ku, ku->client), ref);
	ku_release(ku, ref);
	ku_collect(ku, generation);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

static void rest_is_freed_by_local_pass(struct kunit *test)
{
	rest_is_freed(test, MOHEAP_COLLECT_LOCAL);
}

static void rest_is_freed_by_trace(struct kunit *test)
{
	rest_is_freed(test, MOHEAP_COLLECT_FULL);
}

/* More than a local pass looks at, and more than a slice of the trace. */
static void large_ring(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	u32 n = 3000, i;
	u64 *refs = ku_final_ring(ku, t.type, n);

	ku_listen(ku, ku->client);
	ku_drop_all(ku, refs, n);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), n);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).finalizing, n);
	ku_check(ku);
	for (i = 0; i < n; i++)
		ku_due(ku, ku->client);
	ku_no_event(ku, ku->client);
	ku_drop_all(ku, refs, n);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), n);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* Nobody is told before all that is due was found, and refs to garbage are stale meanwhile. */
static void in_steps(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	u32 n = 1200, i;
	u64 *refs = ku_final_ring(ku, t.type, n), *ring = ku_ring(ku, n), target;

	ku_listen(ku, ku->client);
	ku_link(ku, refs[n - 1], 1, ring[0]);
	ku_drop_all(ku, refs, n);
	ku_drop_all(ku, ring, n);
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_FINALIZING);
	for (i = 0; ku->heap->phase == MH_FINALIZING; i++) {
		ku_check(ku);
		if (ku->heap->collect->nstaged < n) {
			KUNIT_EXPECT_EQ(test, ku_hold(ku->client, ring[7]), -ESTALE);
			KUNIT_EXPECT_EQ(test, ku_hold(ku->client, refs[n - 1]), -ESTALE);
			ku_no_event(ku, ku->client);
		} else if (!ku_hold(ku->client, refs[n - 1])) {
			/* What is read is valid. */
			KU_OK(test, ku_load(ku->client, refs[n - 1], 1, &target));
			KUNIT_EXPECT_EQ(test, target, ring[0]);
			KU_OK(test, ku_hold(ku->client, ring[0]));
			KU_OK(test, ku_drop(ku->client, ring[0]));
			KU_OK(test, ku_drop(ku->client, refs[n - 1]));
		}
		ku_trace_step(ku);
	}
	KUNIT_EXPECT_GT(test, i, 5);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 2 * n);
	for (i = 0; i < n; i++)
		KU_OK(test, ku_drop(ku->client, ku_due(ku, ku->client)));
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* In every phase an object may come to its end by itself. */
static void rescued_in_every_phase(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	u64 *ring = ku_ring(ku, 3000), *refs = ku_refs(ku, 3000), behind;
	u64 *garbage = ku_final_ring(ku, t.type, 600);
	u32 i, n = 0, told = 0;

	ku_listen(ku, ku->client);
	KU_OK(test, ku_alloc(ku->client, t.type, 0, refs, 3000));
	for (i = 0; i < 3000; i++) {
		behind = ku_final(ku, t.leaf);
		ku_link(ku, refs[i], 0, behind);
		ku_release(ku, behind);
	}
	ku_drop_all(ku, garbage, 600);
	ku_drop_all(ku, ring + 1, 2999);
	ku_trace_begin(ku);
	while (ku->heap->phase != MH_IDLE && n < 3000) {
		ku_release(ku, refs[n++]);
		if (n % 8 == 0)
			ku_check(ku);
		ku_trace_step(ku);
	}
	while (n < 3000)
		ku_release(ku, refs[n++]);
	KUNIT_EXPECT_EQ(test, ku->heap->phase, MH_IDLE);
	while (ku_stat(ku).finalizing) {
		KU_OK(test, ku_drop(ku->client, ku_due(ku, ku->client)));
		told++;
	}
	KUNIT_EXPECT_EQ(test, told, 3000 + 3000 + 600);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 3000);
}

/* ---- Who finalizes ---- */

static void whose_it_is(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	struct mh_client *a = ku_join(ku), *b = ku_join(ku), *mute = ku_join(ku);
	u64 by_a = ku_final_by(ku, a, t.leaf), by_b = ku_final_by(ku, b, t.leaf);
	u64 by_mute = ku_final_by(ku, mute, t.leaf), late;

	ku_listen(ku, a);
	ku_listen(ku, b);
	KU_OK(test, ku_drop(b, by_b));
	KU_OK(test, ku_drop(a, by_a));
	KU_OK(test, ku_drop(mute, by_mute));
	KUNIT_EXPECT_EQ(test, ku_due(ku, b), by_b);
	ku_no_event(ku, b);
	KUNIT_EXPECT_EQ(test, ku_due(ku, a), by_a);
	KUNIT_EXPECT_EQ(test, ku_due(ku, a), by_mute);
	ku_no_event(ku, a);
	KU_OK(test, ku_drop(a, by_mute));
	/* Who does not listen any more is told what it was to be told, and nothing new. */
	late = ku_final_by(ku, a, t.leaf);
	KU_OK(test, moheap_listen(a, 0));
	KU_OK(test, ku_drop(a, late));
	ku_no_event(ku, a);
	KUNIT_EXPECT_EQ(test, ku_due(ku, b), late);
}

static void passed_on(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	struct mh_client *other = ku_join(ku);
	u32 n = 100, i;
	u64 *refs = ku_refs(ku, n), handed, held;

	ku_listen(ku, other);
	ku_listen(ku, ku->client);
	KU_OK(test, ku_alloc(other, t.type, 0, refs, n));
	held = ku_final_by(ku, other, t.type);
	ku_drop_all_by(ku, other, refs, n);
	handed = ku_due(ku, other);
	ku_close(ku, other);
	/* What it was handed has gone, what it held is due, and in time others were. */
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, handed));
	for (i = 1; i < n; i++)
		KUNIT_EXPECT_EQ(test, ku_due(ku, ku->client), refs[i]);
	KUNIT_EXPECT_EQ(test, ku_due(ku, ku->client), held);
	ku_no_event(ku, ku->client);
	ku_drop_all(ku, refs + 1, n - 1);
	ku_release(ku, held);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).unfinalized, 0);
}

/* The only one that listens goes: cycles and all go unfinalized. */
static void last_listener_goes(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	struct mh_client *other = ku_join(ku);
	u32 n = 100;
	u64 *ring = ku_final_ring(ku, t.type, n), *refs = ku_refs(ku, n);

	ku_listen(ku, other);
	KU_OK(test, ku_alloc(ku->client, t.type, 0, refs, n));
	ku_drop_all(ku, refs, n);
	ku_drop_all(ku, ring, n);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 2 * n);
	ku_close(ku, other);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).unfinalized, 2 * n);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), n);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* It goes between two steps of the trace that staged what it was to be told of. */
static void listener_goes_during_trace(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	struct mh_client *other = ku_join(ku);
	u64 *ring = ku_final_ring(ku, t.type, 1000);

	ku_listen(ku, other);
	ku_drop_all(ku, ring, 1000);
	ku_trace_begin(ku);
	while (ku->heap->collect->nstaged < 1000)
		ku_trace_step(ku);
	ku_close(ku, other);
	ku_check(ku);
	ku_trace_finish(ku);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).unfinalized, 1000);
	ku_check(ku);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

static void nobody_reads(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_finals t = ku_finals(ku);
	unsigned long end = jiffies + 20 * HZ;
	u32 n = 100;
	u64 *refs = ku_refs(ku, n);

	ku_listen(ku, ku->client);
	KU_OK(test, ku_alloc(ku->client, t.type, 0, refs, n));
	ku_drop_all(ku, refs, n);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).finalizing, n);
	/* Those that wait as well as those that come. */
	ku_tune(ku, MOHEAP_TUNE_FINALIZE, 1);
	while (ku_objects(ku) && time_before(jiffies, end))
		fsleep(2000);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	refs[0] = ku_final(ku, t.leaf);
	ku_release(ku, refs[0]);
	while (ku_objects(ku) && time_before(jiffies, end))
		fsleep(2000);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).unfinalized, n + 1);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).finalized, 0);
	ku_no_event(ku, ku->client);
}

/* With objects due, staged and handed. */
static void heap_goes(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *client = ku_adopt(ku, moheap_create(KU_LIMIT, 0));
	int type = ku_register(client, "final", MOHEAP_TYPE_FINALIZE, 2, 16);
	u64 *refs = ku_refs(ku, 1000);
	struct moheap_event event;
	u32 i;

	KU_OK(test, ku_stand_in(client->heap));
	KU_OK(test, moheap_listen(client, MOHEAP_LISTEN_FINALIZE));
	KU_OK(test, ku_alloc(client, type, 0, refs, 1000));
	for (i = 0; i < 500; i++)
		KU_OK(test, ku_store(client, refs[i], 0, refs[(i + 1) % 500]));
	ku_drop_all_by(ku, client, refs, 1000);
	KUNIT_EXPECT_EQ(test, moheap_read(client, &event, 1), 1);
	mutex_lock(&client->heap->collect_lock);
	mh_trace_begin(client->heap);
	while (list_empty(&client->heap->collect->staged))
		mh_trace_step(client->heap);
	mutex_unlock(&client->heap->collect_lock);
	ku_close(ku, client);
}

/* ---- Storm ---- */

struct ku_gust {
	struct ku *ku;
	struct mh_client *client;
	struct ku_finals types;
	u64 made;
	u64 told;
	u32 failed;
	u32 seed;
	u32 rounds;
};

static void ku_gust_read(struct ku_gust *g)
{
	struct moheap_event events[5];
	int i, n = moheap_read(g->client, events, 5);

	g->failed += n < 0;
	for (i = 0; i < n; i++) {
		g->failed += events[i].type != MOHEAP_EVENT_FINALIZE;
		/* Now and then it stays held, until the client dies. */
		if (events[i].ref & 0x30)
			g->failed += !!ku_drop(g->client, events[i].ref);
		g->told++;
	}
}

/* Make objects, rings of objects among them, let go of them, and finalize. */
static void ku_gust(void *data)
{
	struct ku_gust *g = data;
	struct rnd_state rnd;
	u64 refs[6];
	u32 i, j, n;

	prandom_seed_state(&rnd, g->seed);
	for (i = 0; i < g->rounds; i++) {
		n = 1 + ku_below(&rnd, 6);
		g->failed += !!ku_alloc(g->client, g->types.type, 0, refs, n);
		g->made += n;
		for (j = 0; n > 1 && j < n; j++)
			g->failed += !!ku_store(g->client, refs[j], 0, refs[(j + 1) % n]);
		for (j = 0; j < n; j++)
			g->failed += !!ku_drop(g->client, refs[j]);
		if (ku_below(&rnd, 4) == 0)
			ku_gust_read(g);
	}
}

#define KU_GUSTS	3

/* Every object is handed to exactly one client, and then it goes. */
static void storm(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_task *tasks[KU_GUSTS];
	struct ku_gust gusts[KU_GUSTS] = { };
	struct ku_finals t = ku_finals(ku);
	u64 found, made = 0, told = 0;
	struct rnd_state rnd;
	u32 i;

	ku_tune(ku, MOHEAP_TUNE_THRESHOLD, 20);
	ku_seed(test, &rnd);
	for (i = 0; i < KU_GUSTS; i++) {
		gusts[i] = (struct ku_gust){
			.ku = ku, .client = ku_join(ku), .types = t,
			.seed = ku_below(&rnd, U32_MAX), .rounds = ku_steps() / 3,
		};
		ku_listen(ku, gusts[i].client);
		tasks[i] = ku_start(ku, i, ku_gust, &gusts[i]);
	}
	for (i = 0; i < KU_GUSTS; i++)
		ku_await(tasks[i]);
	/* A collection, what is due, and again: a ring takes two. */
	KU_OK(test, moheap_collect(ku->client, MOHEAP_COLLECT_FULL, &found));
	for (i = 0; i < KU_GUSTS; i++) {
		do {
			found = gusts[i].told;
			ku_gust_read(&gusts[i]);
		} while (gusts[i].told != found);
		made += gusts[i].made;
		told += gusts[i].told;
		KUNIT_EXPECT_EQ(test, gusts[i].failed, 0);
	}
	KUNIT_EXPECT_EQ(test, told, made);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).finalized, made);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).unfinalized, 0);
	ku_check(ku);
	for (i = 0; i < KU_GUSTS; i++)
		ku_close(ku, gusts[i].client);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

static struct kunit_case ku_final_cases[] = {
	KUNIT_CASE(count_falls_to_zero),
	KUNIT_CASE(brought_back),
	KUNIT_CASE(held_while_due),
	KUNIT_CASE(nobody_listens),
	KUNIT_CASE(not_renewed),
	KUNIT_CASE(watches_of_one),
	KUNIT_CASE(ring_by_local_pass),
	KUNIT_CASE(ring_by_trace),
	KUNIT_CASE(rest_is_freed_by_local_pass),
	KUNIT_CASE(rest_is_freed_by_trace),
	KUNIT_CASE(large_ring),
	KUNIT_CASE(in_steps),
	KUNIT_CASE(rescued_in_every_phase),
	KUNIT_CASE(whose_it_is),
	KUNIT_CASE(passed_on),
	KUNIT_CASE(last_listener_goes),
	KUNIT_CASE(listener_goes_during_trace),
	KUNIT_CASE(nobody_reads),
	KUNIT_CASE(heap_goes),
	{}
};

struct kunit_suite ku_final_suite = {
	.name = "moheap_final",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_final_cases,
};

static struct kunit_case ku_final_live_cases[] = {
	KUNIT_CASE(storm),
	{}
};

struct kunit_suite ku_final_live_suite = {
	.name = "moheap_final_live",
	.init = ku_init_live,
	.exit = ku_exit,
	.test_cases = ku_final_live_cases,
};
