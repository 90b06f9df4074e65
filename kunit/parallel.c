// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_parallel: clients on all processors, on objects of their own and on shared ones, while
 * the collector never rests.
 *
 * Each thread has a client, and knows exactly what that holds; of what others do it knows
 * nothing. So an operation may return only what its operands allow: on held objects it must
 * succeed, on refs of others they may be gone. Afterwards the graph is read through the
 * operations, from what the clients hold, and compared with the heap.
 */
#include <linux/xarray.h>

#include "fixture.h"

#define MP_THREADS	4
#define MP_SHARED	128	/* refs that threads tell each other */
#define MP_HELD		96	/* most objects a thread holds */

struct mp;

/**
 * struct mp_thread - a thread and its client
 * @mp: the run
 * @task: it
 * @client: its client, used by nobody else
 * @rnd: its chance
 * @held: what the client holds
 * @nheld: how many those are
 * @steps: operations to do
 * @wrong: operations that returned what they must not
 * @code: what the first of those was
 * @error: and what it returned
 */
struct mp_thread {
	struct mp *mp;
	struct ku_task *task;
	struct mh_client *client;
	struct rnd_state rnd;
	u64 held[MP_HELD];
	u32 nheld;
	u32 steps;
	u32 wrong;
	int code;
	int error;
};

/**
 * struct mp - a run
 * @ku: the case
 * @shared: refs that somebody made known, and that may be gone
 * @threads: who takes part
 * @collections: requests by the thread that does nothing else
 * @found: by xarray of granules: refs that the reading found
 * @refs: the same in order
 * @counts: references to each
 * @nfound: how many there are
 * @room: and how many there may be
 */
struct mp {
	struct ku *ku;
	u64 shared[MP_SHARED];
	struct mp_thread threads[MP_THREADS];
	u32 collections;
	struct xarray found;
	u64 *refs;
	u32 *counts;
	u32 nfound;
	u32 room;
};

static u32 mp_below(struct mp_thread *t, u32 n)
{
	return ku_below(&t->rnd, n);
}

/* A ref that may be gone. */
static u64 mp_shared(struct mp_thread *t)
{
	return READ_ONCE(t->mp->shared[mp_below(t, MP_SHARED)]);
}

static void mp_tell(struct mp_thread *t, u64 ref)
{
	WRITE_ONCE(t->mp->shared[mp_below(t, MP_SHARED)], ref);
}

static u64 mp_held(struct mp_thread *t)
{
	return t->nheld ? t->held[mp_below(t, t->nheld)] : 0;
}

static bool mp_holds(struct mp_thread *t, u64 ref)
{
	u32 i;

	for (i = 0; i < t->nheld; i++)
		if (t->held[i] == ref)
			return true;
	return false;
}

/* What an operation returned, and whether it may: 0, and those named. */
static void mp_judge(struct mp_thread *t, int code, int error, int may, int may_also)
{
	if (!error || error == may || error == may_also)
		return;
	if (!t->wrong++) {
		t->code = code;
		t->error = error;
	}
}

static void mp_drop(struct mp_thread *t)
{
	u32 i;

	if (!t->nheld)
		return;
	i = mp_below(t, t->nheld);
	mp_judge(t, MOHEAP_OP_DROP, ku_drop(t->client, t->held[i]), 0, 0);
	t->held[i] = t->held[--t->nheld];
}

static void mp_now_held(struct mp_thread *t, u64 ref)
{
	if (!ref || mp_holds(t, ref))
		return;
	if (t->nheld == MP_HELD)
		mp_drop(t);
	t->held[t->nheld++] = ref;
}

static void mp_alloc(struct mp_thread *t)
{
	static const enum ku_type types[] = { KU_LEAF, KU_NODE, KU_NODE, KU_BARE, KU_WIDE };
	u32 type = types[mp_below(t, ARRAY_SIZE(types))], n = 1 + mp_below(t, 4), i;
	u64 refs[4];
	int err;

	while (t->nheld + n > MP_HELD)
		mp_drop(t);
	err = ku_alloc(t->client, t->mp->ku->type[type], 0, refs, n);
	mp_judge(t, MOHEAP_OP_ALLOC, err, 0, 0);
	for (i = 0; !err && i < n; i++) {
		mp_now_held(t, refs[i]);
		mp_tell(t, refs[i]);
	}
}

static void mp_hold(struct mp_thread *t)
{
	u64 ref = mp_shared(t);
	int err;

	if (!ref)
		return;
	err = ku_hold(t->client, ref);
	mp_judge(t, MOHEAP_OP_HOLD, err, mp_holds(t, ref) ? 0 : -ESTALE, 0);
	if (!err)
		mp_now_held(t, ref);
}

/* Operands: mostly an owner that is held, and any target. */
struct mp_operands {
	u64 owner;
	u64 target;
	u32 index;
	int may;
};

static bool mp_choose(struct mp_thread *t, struct mp_operands *o)
{
	o->owner = mp_below(t, 4) ? mp_held(t) : mp_shared(t);
	o->target = mp_below(t, 3) ? mp_held(t) : mp_shared(t);
	if (!mp_below(t, 5))
		o->target = 0;
	o->index = mp_below(t, 2);
	o->may = mp_holds(t, o->owner) && (!o->target || mp_holds(t, o->target)) ? 0 : -ESTALE;
	return o->owner;
}

static void mp_store(struct mp_thread *t)
{
	struct mp_operands o;

	if (!mp_choose(t, &o))
		return;
	mp_judge(t, MOHEAP_OP_STORE, ku_store(t->client, o.owner, o.index, o.target), o.may,
		 -ERANGE);
}

static void mp_load(struct mp_thread *t)
{
	struct mp_operands o;
	u64 target;
	int err;

	if (!mp_choose(t, &o))
		return;
	err = ku_load_hold(t->client, o.owner, o.index, &target);
	mp_judge(t, MOHEAP_OP_LOAD, err, mp_holds(t, o.owner) ? 0 : -ESTALE, -ERANGE);
	if (err || !target)
		return;
	/* It is held now, so it must be there. */
	mp_now_held(t, target);
	mp_judge(t, MOHEAP_OP_HOLD, ku_hold(t->client, target), 0, 0);
	mp_tell(t, target);
}

static void mp_exchange(struct mp_thread *t)
{
	struct mp_operands o;
	int err;

	if (!mp_choose(t, &o))
		return;
	if (mp_below(t, 2)) {
		mp_judge(t, MOHEAP_OP_EXCHANGE,
			 ku_exchange(t->client, o.owner, o.index, &o.target), o.may, -ERANGE);
		return;
	}
	err = ku_exchange_hold(t->client, o.owner, o.index, &o.target);
	mp_judge(t, MOHEAP_OP_EXCHANGE, err, o.may, -ERANGE);
	if (!err)
		mp_now_held(t, o.target);
}

/* What is expected may be gone as well, so ESTALE is always possible; then swap for good. */
static void mp_cmpxchg(struct mp_thread *t)
{
	struct mp_operands o;
	u64 old;
	int err;

	if (!mp_choose(t, &o) || ku_load(t->client, o.owner, o.index, &old))
		return;
	err = ku_cmpxchg(t->client, o.owner, o.index, &old, o.target);
	mp_judge(t, MOHEAP_OP_CMPXCHG, err, -ESTALE, -EAGAIN);
}

static void mp_fill(struct mp_thread *t)
{
	struct mp_operands o;
	u32 n = mp_below(t, 2) ? KU_WIDE_SLOTS : 2;

	if (!mp_choose(t, &o))
		return;
	mp_judge(t, MOHEAP_OP_FILL, ku_fill(t->client, o.owner, 0, o.target, n), o.may, -ERANGE);
}

static void mp_copy(struct mp_thread *t)
{
	struct mp_operands o;
	u32 n = mp_below(t, 2) ? KU_WIDE_SLOTS - 2 : 1;

	if (!mp_choose(t, &o) || !o.target)
		return;
	mp_judge(t, MOHEAP_OP_COPY,
		 ku_copy(t->client, o.owner, o.index, o.target, mp_below(t, 2), n), o.may,
		 -ERANGE);
}

static void mp_read(struct mp_thread *t)
{
	u64 refs[2], owner = mp_below(t, 2) ? mp_held(t) : mp_shared(t);

	if (owner)
		mp_judge(t, MOHEAP_OP_READ, ku_read(t->client, owner, 0, refs, 2),
			 mp_holds(t, owner) ? 0 : -ESTALE, -ERANGE);
}

/* A clone that lives for a moment holds what this client does. */
static void mp_clone(struct mp_thread *t)
{
	struct mh_client *twin = moheap_clone(t->client);
	u32 i;

	if (IS_ERR(twin)) {
		mp_judge(t, 0, PTR_ERR(twin), 0, 0);
		return;
	}
	for (i = 0; i < t->nheld; i += 2)
		mp_judge(t, MOHEAP_OP_DROP, ku_drop(twin, t->held[i]), 0, 0);
	moheap_close(twin);
}

static void mp_die(struct mp_thread *t)
{
	struct mh_client *next = moheap_join(t->mp->ku->client, false);

	if (IS_ERR(next)) {
		mp_judge(t, 0, PTR_ERR(next), 0, 0);
		return;
	}
	moheap_close(t->client);
	t->client = next;
	t->nheld = 0;
}

static const struct {
	u32 weight;
	void (*act)(struct mp_thread *t);
} mp_kinds[] = {
	{ 150, mp_alloc }, { 120, mp_hold }, { 200, mp_drop }, { 200, mp_store },
	{ 90, mp_load }, { 80, mp_exchange }, { 60, mp_cmpxchg }, { 30, mp_fill },
	{ 36, mp_copy }, { 30, mp_read }, { 2, mp_clone }, { 2, mp_die },
};

static void mp_run(void *data)
{
	struct mp_thread *t = data;
	u32 step, pick, i;

	for (step = 0; step < t->steps; step++) {
		pick = mp_below(t, 1000);
		for (i = 0; pick >= mp_kinds[i].weight; i++)
			pick -= mp_kinds[i].weight;
		mp_kinds[i].act(t);
		cond_resched();
	}
}

/* Requests without end; at times all empty pools are given back in between. */
static void mp_collect(void *data)
{
	struct mp *mp = data;
	u64 found;
	u32 i;

	for (i = 0; !kthread_should_stop(); i++) {
		if (moheap_collect(mp->ku->client, i % 3, &found))
			break;
		if (i % 7 == 0)
			mh_trim_all(mp->ku->heap);
		mp->collections++;
		cond_resched();
	}
}

/* What is frozen is soon unfrozen; a local pass, or a trace, may come in between. */
static void mp_freeze(void *data)
{
	struct mp *mp = data;
	struct moheap_freeze freeze = { };
	u64 found;
	u32 i;

	/* Being told to stop interrupts what is under way. */
	for (i = 0; !kthread_should_stop(); i++) {
		freeze.flags = 0;
		if (mh_freeze(mp->ku->heap, &freeze))
			break;
		if (i % 2 && moheap_collect(mp->ku->client, i % 3, &found))
			break;
		mp->collections += i % 2;
		freeze.flags = MOHEAP_FREEZE_UNDO;
		if (mh_freeze(mp->ku->heap, &freeze))
			break;
		cond_resched();
	}
}

/* ---- Reading the graph ---- */

/* A reference to @ref was found. */
static void mp_found(struct mp *mp, u64 ref)
{
	void *entry = xa_load(&mp->found, (u32)ref);
	u32 at;

	if (!entry) {
		at = mp->nfound++;
		KUNIT_ASSERT_LT(mp->ku->test, at, mp->room);
		mp->refs[at] = ref;
		entry = xa_mk_value(at);
		KU_OK(mp->ku->test, xa_err(xa_store(&mp->found, (u32)ref, entry, GFP_KERNEL)));
	}
	at = xa_to_value(entry);
	KUNIT_ASSERT_EQ(mp->ku->test, mp->refs[at], ref);
	mp->counts[at]++;
}

static void mp_read_object(struct mp *mp, u64 ref)
{
	u32 index;
	u64 target;
	int err;

	for (index = 0;; index++) {
		err = ku_load(mp->ku->client, ref, index, &target);
		if (err == -ERANGE)
			return;
		KU_OK(mp->ku->test, err);
		if (target)
			mp_found(mp, target);
	}
}

/* From what the threads know that they hold. */
static void mp_read_graph(struct mp *mp)
{
	u32 i, j;

	mp->room = ku_objects(mp->ku);
	mp->refs = ku_refs(mp->ku, mp->room + 1);
	mp->counts = (u32 *)ku_refs(mp->ku, mp->room + 1);
	for (i = 0; i < MP_THREADS; i++)
		for (j = 0; j < mp->threads[i].nheld; j++)
			mp_found(mp, mp->threads[i].held[j]);
	for (i = 0; i < mp->nfound; i++)
		mp_read_object(mp, mp->refs[i]);
}

static void mp_compare(struct mp *mp)
{
	struct kunit *test = mp->ku->test;
	u32 i;

	KUNIT_ASSERT_EQ(test, moheap_check(mp->ku->client), 0);
	ku_collect(mp->ku, MOHEAP_COLLECT_FULL);
	KUNIT_ASSERT_EQ(test, moheap_check(mp->ku->client), 0);
	mp_read_graph(mp);
	KUNIT_EXPECT_EQ(test, mp->nfound, ku_objects(mp->ku));
	for (i = 0; i < mp->nfound; i++)
		KUNIT_ASSERT_EQ(test, ku_count(mp->ku, mp->refs[i]), mp->counts[i]);
	kunit_info(test, "%u alive of %llu made, %u collections", mp->nfound,
		   ku_stat(mp->ku).allocated, mp->collections);
}

/* ---- The cases ---- */

static void mp_destroy(void *data)
{
	struct mp *mp = data;

	xa_destroy(&mp->found);
	kvfree(mp);
}

static struct mp *mp_create(struct kunit *test, u32 steps)
{
	struct mp *mp = kvzalloc(sizeof(*mp), GFP_KERNEL);
	struct rnd_state rnd;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, mp);
	xa_init(&mp->found);
	KU_OK(test, kunit_add_action_or_reset(test, mp_destroy, mp));
	mp->ku = test->priv;
	ku_seed(test, &rnd);
	for (i = 0; i < MP_THREADS; i++) {
		mp->threads[i].mp = mp;
		mp->threads[i].steps = steps;
		prandom_seed_state(&mp->threads[i].rnd, prandom_u32_state(&rnd));
	}
	return mp;
}

static void mp_all(struct mp *mp)
{
	struct mp_thread *t;
	u32 i;

	for (i = 0; i < MP_THREADS; i++) {
		t = &mp->threads[i];
		t->client = moheap_join(mp->ku->client, false);
		KUNIT_ASSERT_FALSE(mp->ku->test, IS_ERR(t->client));
	}
	for (i = 0; i < MP_THREADS; i++)
		mp->threads[i].task = ku_start(mp->ku, i, mp_run, &mp->threads[i]);
	for (i = 0; i < MP_THREADS; i++) {
		t = &mp->threads[i];
		ku_await(t->task);
		ku_adopt(mp->ku, t->client);
		KUNIT_EXPECT_EQ_MSG(mp->ku->test, t->wrong, 0, "operation %d returned %d",
				    t->code, t->error);
	}
}

static void mp_always_collecting(struct mp *mp)
{
	ku_tune(mp->ku, MOHEAP_TUNE_THRESHOLD, 1);
	ku_tune(mp->ku, MOHEAP_TUNE_IDLE, 1);
	ku_tune(mp->ku, MOHEAP_TUNE_GROWTH, 1);
}

/* The thread of the heap, and one that asks for collections without end. */
static void beside_the_collector(struct kunit *test)
{
	struct mp *mp = mp_create(test, ku_steps());
	struct ku_task *collector;

	mp_always_collecting(mp);
	collector = ku_start(mp->ku, -1, mp_collect, mp);
	mp_all(mp);
	ku_stop(collector);
	mp_compare(mp);
}

/* Nearly everything escapes, so that traces follow one another. */
static void beside_traces(struct kunit *test)
{
	struct mp *mp = mp_create(test, ku_steps());

	mp_always_collecting(mp);
	ku_tune(mp->ku, MOHEAP_TUNE_BUDGET, 2);
	mp_all(mp);
	kunit_info(test, "%llu traces", ku_stat(mp->ku).traces);
	mp_compare(mp);
}

/* ... and one that freezes and unfreezes it all. */
static void beside_freezing(struct kunit *test)
{
	struct mp *mp = mp_create(test, ku_steps());
	struct ku_task *freezer;

	mp_always_collecting(mp);
	freezer = ku_start(mp->ku, -1, mp_freeze, mp);
	mp_all(mp);
	ku_stop(freezer);
	KUNIT_EXPECT_EQ(test, ku_unfreeze(mp->ku), 0);
	mp_compare(mp);
}

static void mp_discard_all(struct mp *mp)
{
	struct moheap_op op = { .code = MOHEAP_OP_DISCARD };
	struct moheap_objects objects = {
		.flags = MOHEAP_OBJECTS_SAVED, .refs = (uintptr_t)&op.ref, .count = 1,
	};

	while (!mh_objects(mp->ku->heap, &objects, false) && objects.count)
		KU_OK(mp->ku->test, ku_op(mp->ku->client, &op));
}

/* ... and all garbage is saved, up to the end. */
static void beside_saving(struct kunit *test)
{
	struct mp *mp = mp_create(test, ku_steps() / 4);
	struct ku_task *collector;

	mp_always_collecting(mp);
	ku_tune(mp->ku, MOHEAP_TUNE_DEBUG, MOHEAP_DEBUG_SAVEALL);
	collector = ku_start(mp->ku, -1, mp_collect, mp);
	mp_all(mp);
	ku_stop(collector);
	KUNIT_ASSERT_EQ(test, moheap_check(mp->ku->client), 0);
	kunit_info(test, "%llu saved", ku_stat(mp->ku).saved);
	ku_tune(mp->ku, MOHEAP_TUNE_DEBUG, 0);
	mp_discard_all(mp);
	KUNIT_EXPECT_EQ(test, ku_stat(mp->ku).saved, 0);
	mp_compare(mp);
}

/* Nothing but clients. */
static void beside_each_other(struct kunit *test)
{
	struct mp *mp = mp_create(test, ku_steps());

	ku_tune(mp->ku, MOHEAP_TUNE_ENABLED, 0);
	mp_all(mp);
	mp_compare(mp);
}

/* All go in the middle of it: nothing is left. */
static void all_die(struct kunit *test)
{
	struct mp *mp = mp_create(test, ku_steps() / 4);
	u32 i;

	mp_always_collecting(mp);
	mp_all(mp);
	for (i = 0; i < MP_THREADS; i++)
		ku_close(mp->ku, mp->threads[i].client);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(mp->ku, 0));
}

static struct kunit_case ku_parallel_cases[] = {
	KUNIT_CASE_SLOW(beside_the_collector),
	KUNIT_CASE_SLOW(beside_traces),
	KUNIT_CASE_SLOW(beside_freezing),
	KUNIT_CASE_SLOW(beside_saving),
	KUNIT_CASE_SLOW(beside_each_other),
	KUNIT_CASE(all_die),
	{}
};

struct kunit_suite ku_parallel_suite = {
	.name = "moheap_parallel",
	.init = ku_init_live,
	.exit = ku_exit,
	.test_cases = ku_parallel_cases,
};
