// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_oracle: random operations, on the heap and on the oracle (oracle.h) alike. After each
 * full collection the live objects, their counts and their slots must be the same.
 *
 * Operations go in batches of one client. What each must return is known beforehand: their
 * operands are reachable when their turn comes, and they change the oracle as they are chosen.
 * New objects are entered once the batch is done. What cannot be known, whether an object that
 * nobody can reach is still there, is tried by HOLD on its own: then either all that it reaches
 * is there too, or it is gone.
 */
#include "fixture.h"
#include "oracle.h"

#define MR_CLIENTS	4
#define MR_OBJECTS	400
#define MR_OPS		24
#define MR_ARRAY	8

/**
 * struct mr_expect - what an operation must return
 * @error: its error
 * @checked: look at op.a
 * @out: what that must be
 * @made: objects that an ALLOC makes
 * @nslots: slots of each
 * @refs: for ALLOC and READ
 * @want: for READ: what must be in @refs
 */
struct mr_expect {
	int error;
	bool checked;
	u64 out;
	u32 made;
	u32 nslots;
	u64 refs[MR_ARRAY];
	u64 want[MR_ARRAY];
};

/**
 * struct mr - a random run
 * @ku: the case
 * @rnd: chance
 * @oracle: what must be
 * @clients: who acts; by number in the oracle's masks
 * @watcher: a client that only watches
 * @now: the client whose batch is made
 * @ops: the batch
 * @expect: and what must come of it
 * @n: how long it is
 * @pending: objects the batch is going to make
 */
struct mr {
	struct ku *ku;
	struct rnd_state rnd;
	struct oracle oracle;
	struct mh_client *clients[MR_CLIENTS];
	struct mh_client *watcher;
	u32 now;
	struct moheap_op ops[MR_OPS];
	struct mr_expect expect[MR_OPS];
	u32 n;
	u32 pending;
};

static u32 mr_below(struct mr *r, u32 n)
{
	return ku_below(&r->rnd, n);
}

static void mr_destroy(void *data)
{
	struct mr *r = data;

	oracle_destroy(&r->oracle);
	kvfree(r);
}

static struct mr *mr_create(struct kunit *test)
{
	struct mr *r = kvzalloc(sizeof(*r), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, r);
	KU_OK(test, kunit_add_action_or_reset(test, mr_destroy, r));
	r->ku = test->priv;
	KU_OK(test, oracle_init(&r->oracle, MR_OBJECTS));
	ku_seed(test, &r->rnd);
	r->clients[0] = r->ku->client;
	for (i = 1; i < MR_CLIENTS; i++)
		r->clients[i] = ku_join(r->ku);
	r->watcher = ku_join_readonly(r->ku);
	return r;
}

/* ---- Choosing operations ---- */

static bool mr_readonly(struct mr *r)
{
	return r->clients[r->now]->readonly;
}

static struct mr_expect *mr_add(struct mr *r, struct moheap_op op)
{
	struct mr_expect *expect = &r->expect[r->n];

	memset(expect, 0, sizeof(*expect));
	r->ops[r->n++] = op;
	return expect;
}

/* An operation that changes the graph: a read-only client must not. */
static struct mr_expect *mr_add_change(struct mr *r, struct moheap_op op)
{
	struct mr_expect *expect = mr_add(r, op);

	if (mr_readonly(r))
		expect->error = -EACCES;
	return expect;
}

static struct oracle_object *mr_object(struct mr *r, u32 i)
{
	return &r->oracle.objects[i];
}

static u32 mr_reachable(struct mr *r)
{
	return oracle_any_reachable(&r->oracle, &r->rnd);
}

/* Something to refer to; at times nothing. */
static u32 mr_target(struct mr *r)
{
	return mr_below(r, 5) ? mr_reachable(r) : ORACLE_NONE;
}

/* An object with slots that can be reached; or ORACLE_NONE. */
static u32 mr_owner(struct mr *r)
{
	u32 tries, i;

	for (tries = 0; tries < 10; tries++) {
		i = mr_reachable(r);
		if (i != ORACLE_NONE && mr_object(r, i)->nslots)
			return i;
	}
	return ORACLE_NONE;
}

/* It must be returned what a slot refers to now. */
static u32 mr_returned(struct mr *r, struct mr_expect *expect, u32 i, u32 slot)
{
	u32 target = mr_object(r, i)->slots[slot];

	expect->checked = true;
	expect->out = oracle_ref(&r->oracle, target);
	return target;
}

static void mr_hold_model(struct mr *r, u32 i)
{
	if (i != ORACLE_NONE)
		mr_object(r, i)->holds |= BIT(r->now);
}

static void mr_alloc(struct mr *r)
{
	static const u32 slots[KU_TYPES] = {
		[KU_NODE] = 2, [KU_BARE] = 3, [KU_WIDE] = KU_WIDE_SLOTS,
	};
	static const u32 var[] = { 0, 1, 4, 5, 70, ORACLE_SLOTS };
	u32 type = mr_below(r, KU_TYPES), n = 1 + mr_below(r, MR_ARRAY);
	struct moheap_op op = {
		.code = MOHEAP_OP_ALLOC, .index = r->ku->type[type], .a = n,
	};
	struct mr_expect *expect;
	u32 nslots = slots[type];

	if (r->pending + n > oracle_room(&r->oracle))
		return;
	if (type == KU_VAR) {
		nslots = var[mr_below(r, ARRAY_SIZE(var))];
		op.b = ku_shape(nslots, mr_below(r, 2) * 100);
	}
	expect = mr_add_change(r, op);
	expect->nslots = nslots;
	if (n > 1 || mr_below(r, 2))
		r->ops[r->n - 1].ref = (uintptr_t)expect->refs;
	if (expect->error)
		return;
	expect->made = n;
	r->pending += n;
}

static void mr_hold(struct mr *r)
{
	u32 i = mr_reachable(r);

	if (i == ORACLE_NONE)
		return;
	mr_add(r, (struct moheap_op){
		.code = MOHEAP_OP_HOLD, .ref = mr_object(r, i)->ref,
	});
	mr_hold_model(r, i);
}

/* Mostly what the client holds. */
static void mr_drop(struct mr *r)
{
	u32 i = mr_below(r, 8) ? oracle_any_held(&r->oracle, &r->rnd, BIT(r->now)) :
				 mr_reachable(r);
	struct mr_expect *expect;

	if (i == ORACLE_NONE)
		return;
	expect = mr_add(r, (struct moheap_op){
		.code = MOHEAP_OP_DROP, .ref = mr_object(r, i)->ref,
	});
	if (!(mr_object(r, i)->holds & BIT(r->now)))
		expect->error = -ENOENT;
	mr_object(r, i)->holds &= ~BIT(r->now);
}

static void mr_store(struct mr *r)
{
	u32 i = mr_owner(r), target = mr_target(r), slot;
	struct mr_expect *expect;

	if (i == ORACLE_NONE)
		return;
	slot = mr_below(r, mr_object(r, i)->nslots);
	expect = mr_add_change(r, (struct moheap_op){
		.code = MOHEAP_OP_STORE, .index = slot, .ref = mr_object(r, i)->ref,
		.a = oracle_ref(&r->oracle, target),
	});
	if (!expect->error)
		mr_object(r, i)->slots[slot] = target;
}

static void mr_store_outside(struct mr *r)
{
	u32 i = mr_reachable(r);
	struct mr_expect *expect;

	if (i == ORACLE_NONE)
		return;
	expect = mr_add_change(r, (struct moheap_op){
		.code = MOHEAP_OP_STORE, .ref = mr_object(r, i)->ref,
		.index = mr_object(r, i)->nslots + mr_below(r, 2) * mr_below(r, 1000),
		.a = oracle_ref(&r->oracle, mr_target(r)),
	});
	expect->error = expect->error ?: -ERANGE;
}

static void mr_load(struct mr *r)
{
	u32 i = mr_owner(r), slot, target, hold = mr_below(r, 2);
	struct mr_expect *expect;

	if (i == ORACLE_NONE)
		return;
	slot = mr_below(r, mr_object(r, i)->nslots);
	expect = mr_add(r, (struct moheap_op){
		.code = MOHEAP_OP_LOAD, .flags = hold ? MOHEAP_OP_F_HOLD : 0,
		.index = slot, .ref = mr_object(r, i)->ref,
	});
	target = mr_returned(r, expect, i, slot);
	if (hold)
		mr_hold_model(r, target);
}

static void mr_exchange(struct mr *r)
{
	u32 i = mr_owner(r), target = mr_target(r), slot, old, hold = mr_below(r, 2);
	struct mr_expect *expect;

	if (i == ORACLE_NONE)
		return;
	slot = mr_below(r, mr_object(r, i)->nslots);
	expect = mr_add_change(r, (struct moheap_op){
		.code = MOHEAP_OP_EXCHANGE, .flags = hold ? MOHEAP_OP_F_HOLD : 0,
		.index = slot, .ref = mr_object(r, i)->ref,
		.a = oracle_ref(&r->oracle, target),
	});
	if (expect->error)
		return;
	old = mr_returned(r, expect, i, slot);
	if (hold)
		mr_hold_model(r, old);
	mr_object(r, i)->slots[slot] = target;
}

static void mr_cmpxchg(struct mr *r)
{
	u32 i = mr_owner(r), target = mr_target(r), slot, is, old;
	struct mr_expect *expect;

	if (i == ORACLE_NONE)
		return;
	slot = mr_below(r, mr_object(r, i)->nslots);
	is = mr_object(r, i)->slots[slot];
	old = mr_below(r, 3) ? is : mr_target(r);
	expect = mr_add_change(r, (struct moheap_op){
		.code = MOHEAP_OP_CMPXCHG, .index = slot, .ref = mr_object(r, i)->ref,
		.a = oracle_ref(&r->oracle, old), .b = oracle_ref(&r->oracle, target),
	});
	if (expect->error)
		return;
	if (old == is) {
		mr_object(r, i)->slots[slot] = target;
		return;
	}
	expect->error = -EAGAIN;
	mr_returned(r, expect, i, slot);
}

static void mr_fill(struct mr *r)
{
	u32 i = mr_owner(r), target = mr_target(r), slot, n, j;
	struct mr_expect *expect;

	if (i == ORACLE_NONE)
		return;
	slot = mr_below(r, mr_object(r, i)->nslots);
	n = 1 + mr_below(r, mr_object(r, i)->nslots - slot);
	expect = mr_add_change(r, (struct moheap_op){
		.code = MOHEAP_OP_FILL, .index = slot, .ref = mr_object(r, i)->ref,
		.a = oracle_ref(&r->oracle, target), .b = n,
	});
	for (j = 0; !expect->error && j < n; j++)
		mr_object(r, i)->slots[slot + j] = target;
}

static void mr_copy(struct mr *r)
{
	u32 to = mr_owner(r), from = mr_below(r, 3) ? mr_owner(r) : to, at, first, n;
	struct mr_expect *expect;

	if (to == ORACLE_NONE || from == ORACLE_NONE)
		return;
	at = mr_below(r, mr_object(r, to)->nslots);
	first = mr_below(r, mr_object(r, from)->nslots);
	n = 1 + mr_below(r, min(mr_object(r, to)->nslots - at,
				mr_object(r, from)->nslots - first));
	expect = mr_add_change(r, (struct moheap_op){
		.code = MOHEAP_OP_COPY, .index = at, .ref = mr_object(r, to)->ref,
		.a = mr_object(r, from)->ref, .b = (u64)n << 32 | first,
	});
	if (!expect->error)
		oracle_copy(&r->oracle, to, at, from, first, n);
}

static void mr_read(struct mr *r)
{
	u32 i = mr_owner(r), slot, n, j;
	struct mr_expect *expect;

	if (i == ORACLE_NONE)
		return;
	slot = mr_below(r, mr_object(r, i)->nslots);
	n = 1 + mr_below(r, min(mr_object(r, i)->nslots - slot, MR_ARRAY));
	expect = mr_add(r, (struct moheap_op){
		.code = MOHEAP_OP_READ, .index = slot, .ref = mr_object(r, i)->ref, .b = n,
	});
	r->ops[r->n - 1].a = (uintptr_t)expect->refs;
	for (j = 0; j < n; j++)
		expect->want[j] = oracle_ref(&r->oracle, mr_object(r, i)->slots[slot + j]);
}

static bool mr_empty(const struct oracle_object *o)
{
	u32 i;

	for (i = 0; i < o->nslots; i++)
		if (o->slots[i] != ORACLE_NONE)
			return false;
	return true;
}

/* Only where it is certain that nothing refers to the object, dead or alive. */
static void mr_renew(struct mr *r)
{
	u32 i = oracle_any_held(&r->oracle, &r->rnd, BIT(r->now));
	struct mr_expect *expect;
	struct oracle_object *o;
	u64 to;

	if (i == ORACLE_NONE)
		return;
	o = mr_object(r, i);
	if (o->watch || o->holds != BIT(r->now) || o->nslots > MH_SLOTS_INLINE || !mr_empty(o) ||
	    oracle_referred(&r->oracle, i))
		return;
	to = (o->ref + ((2 + 2ULL * mr_below(r, 3)) << 32)) | MOHEAP_REF_REUSED;
	expect = mr_add_change(r, (struct moheap_op){
		.code = MOHEAP_OP_RENEW, .ref = o->ref, .a = to,
	});
	if (expect->error)
		return;
	o->ref = to;
	o->site = 0;
	o->frozen = false;
}

/* An object was made somewhere, or nowhere, says a client, if by another. */
static void mr_site(struct mr *r)
{
	u32 i = mr_reachable(r), site = mr_below(r, 5);
	struct mr_expect *expect;

	if (i == ORACLE_NONE)
		return;
	expect = mr_add_change(r, (struct moheap_op){
		.code = MOHEAP_OP_SITE, .ref = mr_object(r, i)->ref, .a = site,
	});
	if (expect->error)
		return;
	mr_object(r, i)->site = site;
	mr_object(r, i)->tracer = r->now;
}

/* How often each is chosen. */
static const struct {
	u32 weight;
	void (*add)(struct mr *r);
} mr_kinds[] = {
	{ 14, mr_alloc }, { 6, mr_hold }, { 20, mr_drop }, { 17, mr_store },
	{ 2, mr_store_outside }, { 6, mr_load }, { 6, mr_exchange }, { 6, mr_cmpxchg },
	{ 3, mr_fill }, { 5, mr_copy }, { 4, mr_read }, { 6, mr_renew }, { 5, mr_site },
};

static void mr_choose(struct mr *r)
{
	u32 pick = mr_below(r, 100), i;

	for (i = 0; pick >= mr_kinds[i].weight; i++)
		pick -= mr_kinds[i].weight;
	mr_kinds[i].add(r);
}

/* ---- Doing them ---- */

static void mr_settle(struct mr *r, u32 i)
{
	struct mr_expect *expect = &r->expect[i];
	struct kunit *test = r->ku->test;
	struct moheap_op *op = &r->ops[i];
	u64 *refs = op->ref == (uintptr_t)expect->refs ? expect->refs : &op->ref;
	u32 j;

	KUNIT_ASSERT_EQ_MSG(test, op->error, expect->error, "operation %u", op->code);
	if (expect->checked)
		KUNIT_ASSERT_EQ_MSG(test, op->a, expect->out, "operation %u", op->code);
	if (op->code == MOHEAP_OP_READ)
		KUNIT_ASSERT_MEMEQ(test, expect->refs, expect->want, sizeof(expect->want));
	for (j = 0; j < expect->made; j++)
		KUNIT_ASSERT_NE(test, oracle_add(&r->oracle, refs[j], expect->nslots, r->now),
				ORACLE_NONE);
}

static u32 mr_batch(struct mr *r)
{
	u32 want = 1 + mr_below(r, MR_OPS), tries, done, i;

	r->now = mr_below(r, MR_CLIENTS);
	r->n = 0;
	r->pending = 0;
	for (tries = 0; r->n < want && tries < 3 * MR_OPS; tries++)
		mr_choose(r);
	if (!r->n)
		return 0;
	KU_OK(r->ku->test, moheap_submit(r->clients[r->now], r->ops, r->n,
					 MOHEAP_BATCH_CONTINUE, &done));
	KUNIT_ASSERT_EQ(r->ku->test, done, r->n);
	for (i = 0; i < r->n; i++)
		mr_settle(r, i);
	return r->n;
}

/* All that an object reaches must be there. */
static void mr_expect_alive(struct mr *r)
{
	u32 i;

	oracle_search(&r->oracle);
	for (i = 0; i < MR_OBJECTS; i++)
		if (mr_object(r, i)->reached)
			KUNIT_ASSERT_TRUE(r->ku->test, ku_alive(r->ku, mr_object(r, i)->ref));
}

/* Hold anything that was ever made, and may be gone. */
static void mr_bring_back(struct mr *r)
{
	u32 i = oracle_any(&r->oracle, &r->rnd);
	int err;

	if (i == ORACLE_NONE)
		return;
	oracle_search(&r->oracle);
	r->now = mr_below(r, MR_CLIENTS);
	err = ku_hold(r->clients[r->now], mr_object(r, i)->ref);
	if (mr_object(r, i)->reached || err != -ESTALE)
		KUNIT_ASSERT_EQ(r->ku->test, err, 0);
	if (err)
		return;
	mr_hold_model(r, i);
	mr_expect_alive(r);
}

/* A client goes; another comes, or a clone of one that is there. */
static void mr_replace_client(struct mr *r)
{
	u32 i = 1 + mr_below(r, MR_CLIENTS - 1), from = mr_below(r, MR_CLIENTS);

	ku_close(r->ku, r->clients[i]);
	oracle_drop_client(&r->oracle, i);
	if (from != i && mr_below(r, 2)) {
		r->clients[i] = ku_adopt(r->ku, moheap_clone(r->clients[from]));
		oracle_clone_client(&r->oracle, from, i);
	} else {
		r->clients[i] = mr_below(r, 4) ? ku_join(r->ku) : ku_join_readonly(r->ku);
	}
}

/* All clients let go of some objects, or of nearly all. */
static void mr_thin_out(struct mr *r)
{
	u32 keep = mr_below(r, 4), i, c;

	for (i = 0; i < MR_OBJECTS; i++) {
		if (mr_below(r, 8) < keep)
			continue;
		for (c = 0; c < MR_CLIENTS; c++)
			if (mr_object(r, i)->holds & BIT(c))
				KU_OK(r->ku->test,
				      ku_drop(r->clients[c], mr_object(r, i)->ref));
		mr_object(r, i)->holds = 0;
	}
}

/* ---- Watching ---- */

/* Read some events: none is told twice, and none of an object that lives again. */
static void mr_read_events(struct mr *r, u32 n)
{
	struct kunit *test = r->ku->test;
	struct moheap_event event;
	struct oracle_object *o;

	while (n-- && moheap_read(r->watcher, &event, 1) == 1) {
		KUNIT_ASSERT_EQ(test, event.type, MOHEAP_EVENT_WATCH);
		KUNIT_ASSERT_LT(test, event.cookie, MR_OBJECTS);
		o = mr_object(r, event.cookie);
		KUNIT_ASSERT_EQ(test, o->ref, event.ref);
		KUNIT_ASSERT_EQ(test, o->watch, event.index);
		KUNIT_ASSERT_FALSE(test, o->told);
		KUNIT_ASSERT_FALSE(test, ku_alive(r->ku, o->ref));
		o->told = true;
	}
}

/* Watch something that lives, or do so no longer; it may be dead by now. */
static void mr_watch(struct mr *r)
{
	u32 i = mr_reachable(r);
	struct oracle_object *o;
	int ret;

	if (i == ORACLE_NONE)
		return;
	o = mr_object(r, i);
	if (!o->watch) {
		o->watch = ku_watch(r->ku, r->watcher, o->ref, i);
		return;
	}
	i = oracle_any(&r->oracle, &r->rnd);
	o = mr_object(r, i);
	if (!o->watch)
		return;
	ret = ku_unwatch(r->watcher, o->watch);
	if (ret >= 0) {
		KUNIT_ASSERT_FALSE(r->ku->test, ret && ku_alive(r->ku, o->ref));
		o->watch = 0;
	}
	KUNIT_ASSERT_EQ(r->ku->test, ret < 0, o->told);
}

/* ---- Comparing ---- */

static void mr_compare_object(struct mr *r, const struct oracle_object *o)
{
	struct kunit *test = r->ku->test;
	u64 refs[ORACLE_SLOTS];
	u32 i;

	KUNIT_ASSERT_EQ(test, o->told, o->watch && !o->reached);
	if (!o->reached) {
		KUNIT_ASSERT_FALSE(test, ku_alive(r->ku, o->ref));
		return;
	}
	KUNIT_ASSERT_TRUE(test, ku_alive(r->ku, o->ref));
	KUNIT_ASSERT_EQ(test, ku_count(r->ku, o->ref), o->count);
	if (o->nslots)
		KU_OK(test, ku_read(r->ku->client, o->ref, 0, refs, o->nslots));
	for (i = 0; i < o->nslots; i++)
		KUNIT_ASSERT_EQ(test, refs[i], oracle_ref(&r->oracle, o->slots[i]));
}

/* The accounts of a client are what the objects of its sites add up to. */
static void mr_compare_traced(struct mr *r, u32 client)
{
	struct moheap_sites sites = ku_traced(r->ku, r->clients[client]);
	u64 objects = 0, bytes = 0;
	struct oracle_object *o;
	u32 i;

	for (i = 0; i < MR_OBJECTS; i++) {
		o = mr_object(r, i);
		if (!o->ref || !o->reached || !o->site || o->tracer != client)
			continue;
		objects++;
		bytes += ku_object_bytes(r->ku, o->ref);
	}
	KUNIT_ASSERT_EQ(r->ku->test, sites.objects, objects);
	KUNIT_ASSERT_EQ(r->ku->test, sites.bytes, bytes);
}

/* After a full collection there is what can be reached, and nothing else. */
static void mr_compare(struct mr *r)
{
	u32 live, frozen = 0, i;

	ku_collect(r->ku, MOHEAP_COLLECT_FULL);
	live = oracle_search(&r->oracle);
	KUNIT_ASSERT_EQ(r->ku->test, ku_objects(r->ku), live);
	for (i = 0; i < MR_OBJECTS; i++)
		frozen += mr_object(r, i)->frozen;
	KUNIT_ASSERT_EQ(r->ku->test, ku_stat(r->ku).frozen, frozen);
	mr_read_events(r, U32_MAX);
	for (i = 0; i < MR_OBJECTS; i++)
		if (mr_object(r, i)->ref)
			mr_compare_object(r, mr_object(r, i));
	for (i = 0; i < MR_CLIENTS; i++)
		mr_compare_traced(r, i);
	KUNIT_ASSERT_EQ(r->ku->test, moheap_check(r->ku->client), 0);
	oracle_forget(&r->oracle);
	cond_resched();
}

/* ---- Freezing ---- */

static bool mr_in_stock(const struct oracle_object *o)
{
	return mr_empty(o) && o->holds && o->count == 1;
}

/* Once it is known what there is. */
static void mr_freeze(struct mr *r)
{
	u32 i, n = 0;

	mr_compare(r);
	for (i = 0; i < MR_OBJECTS; i++) {
		if (mr_object(r, i)->ref && !mr_in_stock(mr_object(r, i)))
			mr_object(r, i)->frozen = true;
		n += mr_object(r, i)->frozen;
	}
	KUNIT_ASSERT_EQ(r->ku->test, ku_freeze(r->ku), n);
}

static void mr_unfreeze(struct mr *r)
{
	u32 i;

	KUNIT_ASSERT_EQ(r->ku->test, ku_unfreeze(r->ku), 0);
	for (i = 0; i < MR_OBJECTS; i++)
		mr_object(r, i)->frozen = false;
}

/* ---- The runs ---- */

/* Something the collector might do between two operations. */
static void mr_step_collector(struct mr *r)
{
	u32 steps = 1 + mr_below(r, 3);

	switch (mr_below(r, 8)) {
	case 0:
		ku_collect(r->ku, MOHEAP_COLLECT_LOCAL);
		break;
	case 1:
		ku_reap_step(r->ku);
		break;
	case 2:
		mh_trim_all(r->ku->heap);
		break;
	case 3:
		ku_tune(r->ku, MOHEAP_TUNE_BUDGET, 1 + mr_below(r, 40));
		break;
	default:
		if (r->ku->heap->phase == MH_IDLE)
			ku_trace_begin(r->ku);
		while (steps-- && !ku_trace_step(r->ku))
			;
		break;
	}
}

static void mr_run(struct mr *r, u32 steps, u32 period, void (*between)(struct mr *r))
{
	u32 done = 0, next = period;

	while (done < steps) {
		done += 1 + mr_batch(r);
		if (between)
			between(r);
		if (!mr_below(r, 3))
			mr_watch(r);
		if (!mr_below(r, 20))
			mr_read_events(r, mr_below(r, 10));
		if (!mr_below(r, 10))
			mr_bring_back(r);
		if (!mr_below(r, 60))
			mr_replace_client(r);
		if (!mr_below(r, 30))
			mr_expect_alive(r);
		if (!mr_below(r, 100))
			mr_freeze(r);
		if (!mr_below(r, 60))
			mr_unfreeze(r);
		if (oracle_room(&r->oracle) < MR_OBJECTS / 8)
			mr_thin_out(r);
		/* Of what is gone, only a comparison clears the table. */
		if (done < next && oracle_room(&r->oracle) > MR_ARRAY)
			continue;
		mr_compare(r);
		next = done + period;
	}
	mr_compare(r);
}

/* Nothing but counts frees anything between two comparisons. */
static void counts_alone(struct kunit *test)
{
	mr_run(mr_create(test), ku_steps(), 500, NULL);
}

/* The collector acts between any two batches, by single steps of all it can do. */
static void collector_stepped(struct kunit *test)
{
	mr_run(mr_create(test), 2 * ku_steps(), 1000, mr_step_collector);
}

/* Now and then all is let go of: pools go, and their pages and generations come again. */
static void pools_come_and_go(struct kunit *test)
{
	struct mr *r = mr_create(test);
	u32 round, i;

	for (round = 0; round < 4; round++) {
		mr_run(r, ku_steps() / 8, 200, mr_step_collector);
		for (i = 1; i < MR_CLIENTS; i++)
			mr_replace_client(r);
		for (i = 0; i < 10; i++)
			mr_thin_out(r);
		mr_compare(r);
		mh_trim_all(r->ku->heap);
	}
}

static struct kunit_case ku_oracle_cases[] = {
	KUNIT_CASE(counts_alone),
	KUNIT_CASE_SLOW(collector_stepped),
	KUNIT_CASE(pools_come_and_go),
	{}
};

struct kunit_suite ku_oracle_suite = {
	.name = "moheap_oracle",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_oracle_cases,
};

/* Some client takes blocks that linger, and gives others back; or all that linger become free. */
static void mr_step_linger(struct mr *r)
{
	struct moheap_block blocks[MR_ARRAY];
	struct moheap_linger linger = {
		.size = sizeof(linger), .blocks = (uintptr_t)blocks,
		.count = mr_below(r, MR_ARRAY + 1), .keep = mr_below(r, 100),
	};
	struct mh_client *client = r->clients[mr_below(r, MR_CLIENTS)];
	u32 i;

	mr_step_collector(r);
	if (!mr_below(r, 50))
		mh_linger_release(r->ku->heap);
	if (client->readonly)
		return;
	KU_OK(r->ku->test, mh_linger_exchange(client, &linger, false));
	for (i = 0; i < linger.count; i++)
		KUNIT_ASSERT_FALSE(r->ku->test, ku_alive(r->ku, blocks[i].ref));
}

/* Blocks linger, and are taken, beside all else: to the graph that makes no difference. */
static void blocks_linger(struct kunit *test)
{
	mr_run(mr_create(test), 2 * ku_steps(), 1000, mr_step_linger);
}

static struct kunit_case ku_oracle_guarded_cases[] = {
	KUNIT_CASE_SLOW(blocks_linger),
	{}
};

struct kunit_suite ku_oracle_guarded_suite = {
	.name = "moheap_oracle_guarded",
	.init = ku_init_guarded,
	.exit = ku_exit,
	.test_cases = ku_oracle_guarded_cases,
};

/* The same beside a collector that never rests. */
static void collector_beside(struct kunit *test)
{
	struct mr *r = mr_create(test);

	ku_tune(r->ku, MOHEAP_TUNE_THRESHOLD, 1);
	ku_tune(r->ku, MOHEAP_TUNE_IDLE, 1);
	ku_tune(r->ku, MOHEAP_TUNE_GROWTH, 1);
	ku_tune(r->ku, MOHEAP_TUNE_BUDGET, 1 + mr_below(r, 30));
	mr_run(r, 2 * ku_steps(), 1000, NULL);
}

static struct kunit_case ku_oracle_live_cases[] = {
	KUNIT_CASE_SLOW(collector_beside),
	{}
};

struct kunit_suite ku_oracle_live_suite = {
	.name = "moheap_oracle_live",
	.init = ku_init_live,
	.exit = ku_exit,
	.test_cases = ku_oracle_live_cases,
};
