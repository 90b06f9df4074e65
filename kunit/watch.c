// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_watch: who watches an object is told of its death, however it dies, exactly once.
 */
#include "fixture.h"

static void ku_expect_dead(struct ku *ku, struct mh_client *client, u64 ref, u64 cookie)
{
	struct moheap_event event = ku_event(ku, client);

	KUNIT_EXPECT_EQ(ku->test, event.type, MOHEAP_EVENT_WATCH);
	KUNIT_EXPECT_EQ(ku->test, event.ref, ref);
	KUNIT_EXPECT_EQ(ku->test, event.cookie, cookie);
	KUNIT_EXPECT_EQ(ku->test, event.count, 1);
	KUNIT_EXPECT_EQ(ku->test, event.collected, 0);
}

static u32 ku_watched(struct ku *ku, u64 ref)
{
	struct mh_obj o = ku_find(ku, ref);

	return mh_watched(&o);
}

static void count_falls_to_zero(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_LEAF);
	u32 id = ku_watch(ku, ku->client, ref, 77);
	struct moheap_event event;

	KUNIT_EXPECT_EQ(test, ku_count(ku, ref), 1);
	KUNIT_EXPECT_EQ(test, ku_watched(ku, ref), 1);
	ku_no_event(ku, ku->client);
	ku_release(ku, ref);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, ref));
	event = ku_event(ku, ku->client);
	KUNIT_EXPECT_EQ(test, event.index, id);
	KUNIT_EXPECT_EQ(test, event.cookie, 77);
	KUNIT_EXPECT_EQ(test, event.ref, ref);
	ku_no_event(ku, ku->client);
	KUNIT_EXPECT_EQ(test, ku_unwatch(ku->client, id), -ENOENT);
	/* The block has another owner, and that nobody watches. */
	ref = ku_new(ku, KU_LEAF);
	KUNIT_EXPECT_EQ(test, ku_watched(ku, ref), 0);
	ku_release(ku, ref);
	ku_no_event(ku, ku->client);
}

static void newest_first(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join_readonly(ku);
	u64 ref = ku_new(ku, KU_NODE);
	u64 i;

	for (i = 0; i < 10; i++) {
		ku_watch(ku, ku->client, ref, i);
		ku_watch(ku, other, ref, 100 + i);
	}
	KUNIT_EXPECT_EQ(test, ku_watched(ku, ref), 20);
	ku_release(ku, ref);
	for (i = 10; i--;) {
		ku_expect_dead(ku, ku->client, ref, i);
		ku_expect_dead(ku, other, ref, 100 + i);
	}
	ku_no_event(ku, ku->client);
	ku_no_event(ku, other);
}

/* A chain dies from its head. */
static void owners_first(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 100, i;
	u64 *refs = ku_new_many(ku, KU_NODE, n);

	ku_links(ku, refs, 0, refs + 1, n - 1);
	for (i = n; i--;)
		ku_watch(ku, ku->client, refs[i], i);
	ku_drop_all(ku, refs, n);
	ku_reap_all(ku);
	for (i = 0; i < n; i++)
		ku_expect_dead(ku, ku->client, refs[i], i);
	ku_no_event(ku, ku->client);
}

/* Cycles, and what hangs off them; what lives is not told of. */
static void cycles_by(struct kunit *test, u32 generation)
{
	struct ku *ku = test->priv;
	u64 *dead = ku_ring(ku, 50), *live = ku_ring(ku, 50), leaf = ku_new(ku, KU_LEAF);
	u64 seen = 0;
	u32 i;

	ku_link(ku, dead[7], 1, leaf);
	ku_link(ku, dead[8], 1, live[8]);
	for (i = 0; i < 50; i++) {
		ku_watch(ku, ku->client, dead[i], i);
		ku_watch(ku, ku->client, live[i], 100 + i);
	}
	ku_watch(ku, ku->client, leaf, 50);
	ku_release(ku, leaf);
	ku_drop_all(ku, dead, 50);
	ku_drop_all(ku, live + 1, 49);
	ku_no_event(ku, ku->client);
	ku_collect(ku, generation);
	for (i = 0; i <= 50; i++)
		seen |= 1ULL << ku_event(ku, ku->client).cookie;
	KUNIT_EXPECT_EQ(test, seen, (1ULL << 51) - 1);
	ku_no_event(ku, ku->client);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 50);
}

static void cycles_by_local_pass(struct kunit *test)
{
	cycles_by(test, MOHEAP_COLLECT_LOCAL_ALL);
}

static void cycles_by_trace(struct kunit *test)
{
	cycles_by(test, MOHEAP_COLLECT_FULL);
}

/* Condemned is dead: it is told at once, and nobody can watch it any more. */
static void condemned_is_dead(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_ring(ku, 2000);
	struct moheap_event event;
	u64 told = 0;

	ku_watch(ku, ku->client, refs[0], 1);
	ku_watch(ku, ku->client, refs[1999], 1);
	ku_drop_all(ku, refs, 2000);
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_SWEEPING);
	KUNIT_EXPECT_EQ(test, ku_try_watch(ku->client, refs[1000], 1, NULL), -ESTALE);
	while (ku->heap->phase == MH_SWEEPING) {
		KU_OK(test, moheap_check(ku->client));
		ku_trace_step(ku);
		told += moheap_read(ku->client, &event, 1);
	}
	KUNIT_EXPECT_EQ(test, told + moheap_read(ku->client, &event, 1), 2);
	ku_no_event(ku, ku->client);
}

/* So many watches that a local pass leaves the cycle to the trace. */
static void too_many_for_a_local_pass(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs = ku_ring(ku, 10);
	u32 i, j;

	for (i = 0; i < 10; i++)
		for (j = 0; j < MOHEAP_WATCHES_MAX; j++)
			ku_watch(ku, ku->client, refs[i], j);
	ku_drop_all(ku, refs, 10);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL), 0);
	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 10);
	for (i = 0; i < 10; i++)
		for (j = MOHEAP_WATCHES_MAX; j--;)
			KUNIT_ASSERT_EQ(test, ku_event(ku, ku->client).cookie, j);
	ku_no_event(ku, ku->client);
}

static void taken_back(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 ref = ku_new(ku, KU_NODE);
	u32 id[4], i;

	for (i = 0; i < 4; i++)
		id[i] = ku_watch(ku, ku->client, ref, i);
	KUNIT_EXPECT_EQ(test, ku_unwatch(ku->client, id[1]), 0);
	KUNIT_EXPECT_EQ(test, ku_unwatch(ku->client, id[1]), -ENOENT);
	KUNIT_EXPECT_EQ(test, ku_unwatch(ku->client, 0), -ENOENT);
	KUNIT_EXPECT_EQ(test, ku_unwatch(other, id[2]), -ENOENT);
	KUNIT_EXPECT_EQ(test, ku_watched(ku, ref), 3);
	ku_release(ku, ref);
	KUNIT_EXPECT_EQ(test, ku_unwatch(ku->client, id[2]), 1);
	KUNIT_EXPECT_EQ(test, ku_unwatch(ku->client, id[2]), -ENOENT);
	ku_expect_dead(ku, ku->client, ref, 3);
	ku_expect_dead(ku, ku->client, ref, 0);
	ku_no_event(ku, ku->client);
}

static void clients_go(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku), *twin;
	u64 ref = ku_new(ku, KU_NODE), gone = ku_new(ku, KU_NODE);

	ku_watch(ku, ku->client, ref, 1);
	ku_watch(ku, other, ref, 2);
	ku_watch(ku, ku->client, ref, 3);
	ku_watch(ku, other, gone, 4);
	twin = ku_adopt(ku, moheap_clone(other));
	ku_release(ku, gone);
	/* With a watch, and with an event untold. */
	ku_close(ku, other);
	KUNIT_EXPECT_EQ(test, ku_watched(ku, ref), 2);
	ku_release(ku, ref);
	ku_expect_dead(ku, ku->client, ref, 3);
	ku_expect_dead(ku, ku->client, ref, 1);
	ku_no_event(ku, ku->client);
	ku_no_event(ku, twin);
}

static void bad_input(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_LEAF), stale = ku_new(ku, KU_LEAF);
	struct moheap_op op;
	u32 i, id = 0;

	ku_release(ku, stale);
	KUNIT_EXPECT_EQ(test, ku_try_watch(ku->client, stale, 0, NULL), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_try_watch(ku->client, 0, 0, NULL), -EINVAL);
	op = (struct moheap_op){ .code = MOHEAP_OP_WATCH, .ref = ref, .b = 1 };
	KUNIT_EXPECT_EQ(test, ku_op(ku->client, &op), -EINVAL);
	op = (struct moheap_op){ .code = MOHEAP_OP_UNWATCH, .b = 1ULL << 32 };
	KUNIT_EXPECT_EQ(test, ku_op(ku->client, &op), -ENOENT);
	for (i = 0; i < MOHEAP_WATCHES_MAX; i++)
		id = ku_watch(ku, ku->client, ref, i);
	KUNIT_EXPECT_EQ(test, ku_try_watch(ku->client, ref, 0, NULL), -EOVERFLOW);
	KUNIT_EXPECT_EQ(test, ku_unwatch(ku->client, id), 0);
	ku_watch(ku, ku->client, ref, 5);
	KUNIT_EXPECT_EQ(test, ku_try_watch(ku->client, ref, 0, NULL), -EOVERFLOW);
}

static void watched_is_not_renewed(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_LEAF), later = (ref | MOHEAP_REF_REUSED) + (2ULL << 32);
	u32 id = ku_watch(ku, ku->client, ref, 9);

	KUNIT_EXPECT_EQ(test, ku_renew(ku->client, ref, later), -EBUSY);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, ref));
	KUNIT_EXPECT_EQ(test, ku_unwatch(ku->client, id), 0);
	KU_OK(test, ku_renew(ku->client, ref, later));
	ku_release(ku, later);
	ku_no_event(ku, ku->client);
}

/* What watches cost they give back, pools of the watched included. */
static void memory_comes_back(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 before, *refs;
	u32 round, i, n = 2000;

	/* Figures that stay: hold bits, active pools, the page map. */
	refs = ku_new_many(ku, KU_NODE, n);
	ku_drop_all(ku, refs, n);
	mh_trim_all(ku->heap);
	before = ku_bytes(ku);
	for (round = 0; round < 3; round++) {
		KU_OK(test, ku_alloc(ku->client, ku->type[KU_NODE], 0, refs, n));
		for (i = 0; i < n; i++)
			ku_watch(ku, ku->client, refs[i], i);
		KUNIT_EXPECT_GT(test, ku_bytes(ku), before + n * sizeof(struct mh_watch));
		ku_drop_all(ku, refs, n);
		for (i = 0; i < n; i++)
			ku_expect_dead(ku, ku->client, refs[i], i);
		mh_trim_all(ku->heap);
	}
	/* The pool that is still active has kept its lists. */
	KUNIT_EXPECT_LE(test, ku_bytes(ku),
			before + MH_POOL_BLOCKS * sizeof(struct mh_watches));
}

static u64 ku_kernel_bytes(struct ku *ku)
{
	return ku_stat(ku).kernel_bytes;
}

/* Watches count against the limit, and garbage makes room for them. */
static void at_the_limit(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *client = ku_adopt(ku, moheap_create(MOHEAP_LIMIT_MIN, 0));
	int node = ku_register(client, "node", 0, 2, 16);
	u64 refs[40], big = 0;
	u32 i, n = 0, id;
	int err = 0;

	KU_OK(test, ku_stand_in(client->heap));
	client->heap->tune.enabled = 0;
	KU_OK(test, ku_alloc(client, node, 0, refs, 40));
	while (!err) {
		err = ku_try_watch(client, refs[n / 1000], n, &id);
		n += !err;
	}
	KUNIT_EXPECT_EQ(test, err, -ENOSPC);
	KUNIT_EXPECT_GT(test, n, 1000);
	for (i = 0; i < 2000; i++)
		KUNIT_EXPECT_EQ(test, ku_unwatch(client, id - i), 0);
	/* A large object that refers to itself takes the room, and is garbage. */
	err = ku_register(client, "wide", MOHEAP_TYPE_VAR_SLOTS, 0, 0);
	KU_OK(test, ku_alloc(client, err, ku_shape(20000, 0), &big, 1));
	KU_OK(test, ku_store(client, big, 0, big));
	KU_OK(test, ku_drop(client, big));
	/* There is still the pool that it was in. */
	for (i = 0; i < 1000; i++)
		KU_OK(test, ku_try_watch(client, refs[39], n, &id));
	KUNIT_EXPECT_EQ(test, ku_hold(client, big), -ESTALE);
	ku_close(ku, client);
}

/* ---- Races ---- */

struct ku_storm {
	struct ku *ku;
	struct mh_client *client;
	u64 watched;	/* watches that were made */
	u64 taken;	/* ... and taken back */
	u64 told;
	u32 failed;
	u32 seed;
	u32 rounds;
	u64 *refs;	/* shared; the client holds what it watches only by chance */
	u32 n;
};

static void ku_storm_read(struct ku_storm *s)
{
	struct moheap_event events[3];
	int n = moheap_read(s->client, events, 3);

	s->failed += n < 0;
	s->told += max(n, 0);
}

/* Make watches on what others drop, take some back, and read. */
static void ku_storm_watch(void *data)
{
	struct ku_storm *s = data;
	struct rnd_state rnd;
	u32 i, id, last = 0;
	int ret;

	prandom_seed_state(&rnd, s->seed);
	for (i = 0; i < s->rounds; i++) {
		ret = ku_try_watch(s->client, READ_ONCE(s->refs[ku_below(&rnd, s->n)]), i, &id);
		if (!ret) {
			s->watched++;
			last = id;
		} else {
			s->failed += ret != -ESTALE && ret != -EOVERFLOW;
		}
		if (ku_below(&rnd, 3) == 0 && last) {
			s->taken += ku_unwatch(s->client, last) >= 0;
			last = 0;
		}
		if (ku_below(&rnd, 5) == 0)
			ku_storm_read(s);
	}
}

/* Replace objects all the time; now and then by a cycle. */
static void ku_storm_kill(void *data)
{
	struct ku_storm *s = data;
	struct rnd_state rnd;
	u64 ref;
	u32 i, at;

	prandom_seed_state(&rnd, s->seed);
	for (i = 0; i < s->rounds; i++) {
		at = ku_below(&rnd, s->n);
		s->failed += !!ku_drop(s->client, s->refs[at]);
		s->failed += !!ku_alloc(s->client, s->ku->type[KU_NODE], 0, &ref, 1);
		if (ku_below(&rnd, 2))
			s->failed += !!ku_store(s->client, ref, 0, ref);
		WRITE_ONCE(s->refs[at], ref);
	}
}

#define KU_WATCHERS	3

/* Every watch is told of once, or taken back; never both, never neither. */
static void storm(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_storm storms[KU_WATCHERS + 1] = { };
	struct ku_task *tasks[KU_WATCHERS + 1];
	u64 *refs = ku_new_many(ku, KU_NODE, 20), found;
	struct rnd_state rnd;
	u32 i;

	ku_tune(ku, MOHEAP_TUNE_THRESHOLD, 20);
	ku_seed(test, &rnd);
	for (i = 0; i <= KU_WATCHERS; i++) {
		storms[i] = (struct ku_storm){
			.ku = ku, .refs = refs, .n = 20, .rounds = ku_steps(),
			.seed = ku_below(&rnd, U32_MAX),
			/* Two of them share a client, and its events. */
			.client = i == KU_WATCHERS ? ku->client : i == 1 ? storms[0].client :
							       ku_join_readonly(ku),
		};
		tasks[i] = ku_start(ku, i, i == KU_WATCHERS ? ku_storm_kill : ku_storm_watch,
				    &storms[i]);
	}
	for (i = 0; i <= KU_WATCHERS; i++)
		ku_await(tasks[i]);
	ku_drop_all(ku, refs, 20);
	KU_OK(test, moheap_collect(ku->client, MOHEAP_COLLECT_FULL, &found));
	storms[0].watched += storms[1].watched;
	storms[0].taken += storms[1].taken;
	storms[0].told += storms[1].told;
	for (i = 0; i < KU_WATCHERS; i++) {
		KUNIT_EXPECT_EQ(test, storms[i].failed, 0);
		if (i == 1)
			continue;
		do {
			found = storms[i].told;
			ku_storm_read(&storms[i]);
		} while (storms[i].told != found);
		KUNIT_EXPECT_EQ(test, storms[i].watched, storms[i].told + storms[i].taken);
		KUNIT_EXPECT_GT(test, storms[i].told, 0);
		KUNIT_EXPECT_TRUE(test, xa_empty(&storms[i].client->watches));
	}
	KUNIT_EXPECT_EQ(test, storms[KU_WATCHERS].failed, 0);
}

/* Millions would do the same: nobody reads, and memory is what the watches took. */
static void absent_reader(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u32 n = min(ku_steps(), 3000U), i;
	u64 *refs = ku_new_many(ku, KU_LEAF, n), bytes;

	for (i = 0; i < n; i++)
		ku_watch(ku, other, refs[i], i);
	bytes = ku_kernel_bytes(ku);
	ku_drop_all(ku, refs, n);
	KUNIT_EXPECT_LE(test, ku_kernel_bytes(ku), bytes);
	for (i = 0; i < n / 2; i++)
		ku_expect_dead(ku, other, refs[i], i);
	ku_close(ku, other);
	KUNIT_EXPECT_LE(test, ku_kernel_bytes(ku), bytes - n * sizeof(struct mh_watch));
}

static struct kunit_case ku_watch_cases[] = {
	KUNIT_CASE(count_falls_to_zero),
	KUNIT_CASE(newest_first),
	KUNIT_CASE(owners_first),
	KUNIT_CASE(cycles_by_local_pass),
	KUNIT_CASE(cycles_by_trace),
	KUNIT_CASE(condemned_is_dead),
	KUNIT_CASE(too_many_for_a_local_pass),
	KUNIT_CASE(taken_back),
	KUNIT_CASE(clients_go),
	KUNIT_CASE(bad_input),
	KUNIT_CASE(watched_is_not_renewed),
	KUNIT_CASE(memory_comes_back),
	KUNIT_CASE(at_the_limit),
	KUNIT_CASE(absent_reader),
	{}
};

struct kunit_suite ku_watch_suite = {
	.name = "moheap_watch",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_watch_cases,
};

static struct kunit_case ku_watch_live_cases[] = {
	KUNIT_CASE(storm),
	{}
};

struct kunit_suite ku_watch_live_suite = {
	.name = "moheap_watch_live",
	.init = ku_init_live,
	.exit = ku_exit,
	.test_cases = ku_watch_live_cases,
};
