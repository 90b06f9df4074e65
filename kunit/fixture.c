// SPDX-License-Identifier: GPL-2.0
/*
 * What all suites share; see fixture.h.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>

#include "fixture.h"

/* ---- The heap of a case ---- */

static const struct {
	const char *name;
	u32 flags;
	u32 slots;
	u64 payload;
} ku_types[KU_TYPES] = {
	[KU_LEAF] = { "leaf", 0, 0, 16 },
	[KU_NODE] = { "node", 0, 2, 16 },
	[KU_BARE] = { "bare", 0, 3, 0 },
	[KU_VAR] = { "var", MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS, 0, 0 },
	[KU_WIDE] = { "wide", 0, KU_WIDE_SLOTS, 16 },
};

static int ku_idle_thread(void *unused)
{
	while (!kthread_should_stop()) {
		set_current_state(TASK_IDLE);
		if (!kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return 0;
}

/**
 * ku_stand_in() - give a new heap a collector thread that does nothing
 * @heap: the heap; nothing happened to it yet
 *
 * The module starts its own thread only where there is none, and stops whichever there is.
 *
 * Return: 0 or an errno.
 */
int ku_stand_in(struct mh_heap *heap)
{
	struct task_struct *thread = kthread_run(ku_idle_thread, NULL, "ku/%llu", heap->id);

	if (IS_ERR(thread))
		return PTR_ERR(thread);
	mutex_lock(&heap->collect_lock);
	heap->thread = thread;
	mutex_unlock(&heap->collect_lock);
	return 0;
}

static int ku_init_types(struct ku *ku)
{
	int i;

	for (i = 0; i < KU_TYPES; i++) {
		ku->type[i] = ku_register(ku->client, ku_types[i].name, ku_types[i].flags,
					  ku_types[i].slots, ku_types[i].payload);
		if (ku->type[i] < 0)
			return ku->type[i];
	}
	return 0;
}

static int ku_init_heap(struct kunit *test, u32 flags)
{
	struct ku *ku = kunit_kzalloc(test, sizeof(*ku), GFP_KERNEL);
	struct mh_client *client;

	if (!ku)
		return -ENOMEM;
	ku->test = test;
	INIT_LIST_HEAD(&ku->tasks);
	client = moheap_create(KU_LIMIT, MOHEAP_CREATE_DEBUG | flags);
	if (IS_ERR(client))
		return PTR_ERR(client);
	ku->client = client;
	ku->clients[0] = client;
	ku->heap = client->heap;
	test->priv = ku;
	return ku_init_types(ku);
}

/**
 * ku_init_live() - a heap whose collector runs
 * @test: the case
 *
 * Return: 0 or an errno.
 */
int ku_init_live(struct kunit *test)
{
	return ku_init_heap(test, 0);
}

static int ku_init_still(struct kunit *test, u32 flags)
{
	struct ku *ku;
	int err = ku_init_heap(test, flags);

	if (err)
		return err;
	ku = test->priv;
	/* Nor do clients lend a hand. */
	ku->heap->tune.enabled = 0;
	return ku_stand_in(ku->heap);
}

/**
 * ku_init() - a heap whose collector acts only when the case says so
 * @test: the case
 *
 * Return: 0 or an errno.
 */
int ku_init(struct kunit *test)
{
	return ku_init_still(test, 0);
}

/**
 * ku_init_guarded() - as ku_init(), where blocks linger before they are free
 * @test: the case
 *
 * Return: 0 or an errno.
 */
int ku_init_guarded(struct kunit *test)
{
	return ku_init_still(test, MOHEAP_CREATE_GUARD);
}

/**
 * ku_exit() - check the heap, and close all its clients
 * @test: the case
 */
void ku_exit(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *any = NULL;
	struct ku_task *t, *next;
	int i;

	if (!ku)
		return;
	list_for_each_entry_safe(t, next, &ku->tasks, list)
		ku_stop(t);
	for (i = 0; i < KU_CLIENTS; i++)
		any = any ?: ku->clients[i];
	if (any && !ku->unchecked)
		KUNIT_EXPECT_EQ(test, moheap_check(any), 0);
	for (i = 0; i < KU_CLIENTS; i++)
		if (ku->clients[i])
			moheap_close(ku->clients[i]);
}

/* ---- Clients and types ---- */

/**
 * ku_adopt() - see to it that a client is closed at the end of the case
 * @ku: the case
 * @client: the client; the case fails if it is an error
 *
 * Return: the client.
 */
struct mh_client *ku_adopt(struct ku *ku, struct mh_client *client)
{
	int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(ku->test, client);
	for (i = 0; i < KU_CLIENTS; i++) {
		if (!ku->clients[i]) {
			ku->clients[i] = client;
			return client;
		}
	}
	moheap_close(client);
	KUNIT_FAIL_AND_ABORT(ku->test, "more than %d clients", KU_CLIENTS);
	return NULL;
}

struct mh_client *ku_join(struct ku *ku)
{
	return ku_adopt(ku, moheap_join(ku->client, false));
}

struct mh_client *ku_join_readonly(struct ku *ku)
{
	return ku_adopt(ku, moheap_join(ku->client, true));
}

void ku_close(struct ku *ku, struct mh_client *client)
{
	int i;

	for (i = 0; i < KU_CLIENTS; i++)
		if (ku->clients[i] == client)
			ku->clients[i] = NULL;
	moheap_close(client);
}

void ku_name(char *to, const char *name)
{
	strscpy_pad(to, name, MOHEAP_NAME_LEN);
}

int ku_register(struct mh_client *client, const char *name, u32 flags, u32 slots, u64 payload)
{
	struct moheap_type desc = { .flags = flags, .slots = slots, .payload = payload };

	ku_name(desc.name, name);
	return moheap_register(client, &desc, NULL);
}

/* ---- Threads ---- */

static int ku_task(void *data)
{
	struct ku_task *t = data;

	complete(&t->started);
	t->run(t->data);
	complete(&t->done);
	while (!kthread_should_stop())
		schedule_timeout_idle(1);
	return 0;
}

/**
 * ku_start() - start a thread
 * @ku: the case; it fails if that cannot be done
 * @cpu: the processor it is to be on, modulo those there are; negative for any
 * @run: what it does
 * @data: for @run
 *
 * Return: the thread, running; for ku_stop() or ku_await(), or else ku_exit() stops it.
 */
struct ku_task *ku_start(struct ku *ku, int cpu, void (*run)(void *data), void *data)
{
	struct ku_task *t = kunit_kzalloc(ku->test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(ku->test, t);
	t->run = run;
	t->data = data;
	init_completion(&t->started);
	init_completion(&t->done);
	t->task = kthread_create(ku_task, t, "ku_task");
	KUNIT_ASSERT_FALSE(ku->test, IS_ERR(t->task));
	if (cpu >= 0)
		kthread_bind(t->task, cpu % num_online_cpus());
	list_add(&t->list, &ku->tasks);
	wake_up_process(t->task);
	/* A thread that is stopped before it began would never begin. */
	wait_for_completion(&t->started);
	return t;
}

void ku_stop(struct ku_task *t)
{
	list_del(&t->list);
	kthread_stop(t->task);
}

/* Let it come to its end by itself. */
void ku_await(struct ku_task *t)
{
	wait_for_completion(&t->done);
	ku_stop(t);
}

/* ---- Operations ---- */

int ku_op(struct mh_client *client, struct moheap_op *op)
{
	u32 done;
	int err = moheap_submit(client, op, 1, 0, &done);

	return err == -ECANCELED ? op->error : err;
}

int ku_alloc(struct mh_client *client, u32 type, u64 shape, u64 *refs, u64 n)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_ALLOC, .index = type, .ref = (uintptr_t)refs, .a = n,
		.b = shape,
	};

	return ku_op(client, &op);
}

int ku_hold(struct mh_client *client, u64 ref)
{
	struct moheap_op op = { .code = MOHEAP_OP_HOLD, .ref = ref };

	return ku_op(client, &op);
}

int ku_drop(struct mh_client *client, u64 ref)
{
	struct moheap_op op = { .code = MOHEAP_OP_DROP, .ref = ref };

	return ku_op(client, &op);
}

int ku_drop_as(struct mh_client *client, u64 ref, u64 to)
{
	struct moheap_op op = { .code = MOHEAP_OP_DROP, .ref = ref, .a = to };

	return ku_op(client, &op);
}

int ku_store(struct mh_client *client, u64 ref, u32 index, u64 target)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_STORE, .index = index, .ref = ref, .a = target,
	};

	return ku_op(client, &op);
}

static int ku_get(struct mh_client *client, struct moheap_op op, u64 *out)
{
	int err = ku_op(client, &op);

	*out = op.a;
	return err;
}

int ku_load(struct mh_client *client, u64 ref, u32 index, u64 *target)
{
	struct moheap_op op = { .code = MOHEAP_OP_LOAD, .index = index, .ref = ref };

	return ku_get(client, op, target);
}

int ku_load_hold(struct mh_client *client, u64 ref, u32 index, u64 *target)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_LOAD, .flags = MOHEAP_OP_F_HOLD, .index = index, .ref = ref,
	};

	return ku_get(client, op, target);
}

int ku_exchange(struct mh_client *client, u64 ref, u32 index, u64 *target)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_EXCHANGE, .index = index, .ref = ref, .a = *target,
	};

	return ku_get(client, op, target);
}

int ku_exchange_hold(struct mh_client *client, u64 ref, u32 index, u64 *target)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_EXCHANGE, .flags = MOHEAP_OP_F_HOLD, .index = index,
		.ref = ref, .a = *target,
	};

	return ku_get(client, op, target);
}

int ku_cmpxchg(struct mh_client *client, u64 ref, u32 index, u64 *old, u64 new)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_CMPXCHG, .index = index, .ref = ref, .a = *old, .b = new,
	};

	return ku_get(client, op, old);
}

int ku_fill(struct mh_client *client, u64 ref, u32 index, u64 target, u64 n)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_FILL, .index = index, .ref = ref, .a = target, .b = n,
	};

	return ku_op(client, &op);
}

int ku_copy(struct mh_client *client, u64 to, u32 at, u64 from, u32 first, u32 n)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_COPY, .index = at, .ref = to, .a = from,
		.b = (u64)n << 32 | first,
	};

	return ku_op(client, &op);
}

int ku_read(struct mh_client *client, u64 ref, u32 index, u64 *refs, u64 n)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_READ, .index = index, .ref = ref, .a = (uintptr_t)refs,
		.b = n,
	};

	return ku_op(client, &op);
}

int ku_renew(struct mh_client *client, u64 ref, u64 to)
{
	struct moheap_op op = { .code = MOHEAP_OP_RENEW, .ref = ref, .a = to };

	return ku_op(client, &op);
}

/* ---- Steps that cannot fail ---- */

u64 ku_new_by(struct ku *ku, struct mh_client *client, enum ku_type type)
{
	u64 ref = 0;

	KU_OK(ku->test, ku_alloc(client, ku->type[type], 0, &ref, 1));
	return ref;
}

u64 ku_new(struct ku *ku, enum ku_type type)
{
	return ku_new_by(ku, ku->client, type);
}

u64 ku_new_var(struct ku *ku, u32 slots, u32 payload)
{
	u64 ref = 0;

	KU_OK(ku->test, ku_alloc(ku->client, ku->type[KU_VAR], ku_shape(slots, payload), &ref,
				 1));
	return ref;
}

/* An array that goes with the case. */
u64 *ku_refs(struct ku *ku, u32 n)
{
	u64 *refs = kvcalloc(n, sizeof(*refs), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(ku->test, refs);
	KU_OK(ku->test, kunit_add_action_or_reset(ku->test, (kunit_action_t *)kvfree, refs));
	return refs;
}

u64 *ku_new_many(struct ku *ku, enum ku_type type, u32 n)
{
	u64 *refs = ku_refs(ku, n);

	KU_OK(ku->test, ku_alloc(ku->client, ku->type[type], 0, refs, n));
	return refs;
}

void ku_link(struct ku *ku, u64 ref, u32 index, u64 target)
{
	KU_OK(ku->test, ku_store(ku->client, ref, index, target));
}

/* Slot @at, which refers to nothing, refers to @x from now on, as slot @first of @from does. */
void ku_store_by(struct ku *ku, enum ku_way_to_store way, u64 to, u32 at, u64 x, u64 from,
		 u32 first)
{
	u64 old = x, none = 0;

	switch (way) {
	case TO_STORE:
		KU_OK(ku->test, ku_store(ku->client, to, at, x));
		break;
	case TO_EXCHANGE:
		KU_OK(ku->test, ku_exchange(ku->client, to, at, &old));
		break;
	case TO_CMPXCHG:
		KU_OK(ku->test, ku_cmpxchg(ku->client, to, at, &none, x));
		break;
	case TO_FILL:
		KU_OK(ku->test, ku_fill(ku->client, to, at, x, 1));
		break;
	default:
		KU_OK(ku->test, ku_copy(ku->client, to, at, from, first, 1));
	}
}

void ku_release(struct ku *ku, u64 ref)
{
	KU_OK(ku->test, ku_drop(ku->client, ref));
}

static void ku_submit_all(struct ku *ku, struct mh_client *client, struct moheap_op *ops, u32 n)
{
	u32 done;

	if (n)
		KU_OK(ku->test, moheap_submit(client, ops, n, 0, &done));
}

/**
 * ku_links_by() - many stores
 * @ku: the case
 * @client: who stores
 * @owners: whose slots
 * @index: which slot of each
 * @targets: what they refer to from now on
 * @n: how many
 */
void ku_links_by(struct ku *ku, struct mh_client *client, const u64 *owners, u32 index,
		 const u64 *targets, u32 n)
{
	struct moheap_op ops[KU_OPS];
	u32 i;

	for (i = 0; i < n; i++) {
		ops[i % KU_OPS] = (struct moheap_op){
			.code = MOHEAP_OP_STORE, .index = index, .ref = owners[i],
			.a = targets[i],
		};
		if (i % KU_OPS == KU_OPS - 1)
			ku_submit_all(ku, client, ops, KU_OPS);
	}
	ku_submit_all(ku, client, ops, n % KU_OPS);
}

void ku_links(struct ku *ku, const u64 *owners, u32 index, const u64 *targets, u32 n)
{
	ku_links_by(ku, ku->client, owners, index, targets, n);
}

void ku_drop_all_by(struct ku *ku, struct mh_client *client, const u64 *refs, u32 n)
{
	struct moheap_op ops[KU_OPS];
	u32 i;

	for (i = 0; i < n; i++) {
		ops[i % KU_OPS] = (struct moheap_op){ .code = MOHEAP_OP_DROP, .ref = refs[i] };
		if (i % KU_OPS == KU_OPS - 1)
			ku_submit_all(ku, client, ops, KU_OPS);
	}
	ku_submit_all(ku, client, ops, n % KU_OPS);
}

void ku_drop_all(struct ku *ku, const u64 *refs, u32 n)
{
	ku_drop_all_by(ku, ku->client, refs, n);
}

/* @n nodes, all held, each referring to the next, the last to the first. */
u64 *ku_ring(struct ku *ku, u32 n)
{
	u64 *refs = ku_new_many(ku, KU_NODE, n);

	ku_links(ku, refs, 0, refs + 1, n - 1);
	ku_link(ku, refs[n - 1], 0, refs[0]);
	return refs;
}

/* ---- What no operation tells ---- */

/* The block that @ref names or named. */
struct mh_obj ku_find(struct ku *ku, u64 ref)
{
	struct mh_obj o = { };
	int err;

	down_read(&ku->heap->gate);
	err = mh_pool_find(ku->heap, ref, &o);
	up_read(&ku->heap->gate);
	KUNIT_ASSERT_EQ(ku->test, err, 0);
	return o;
}

u64 ku_word(struct ku *ku, u64 ref)
{
	return atomic64_read(&ku_find(ku, ref).header->word);
}

/* Looked at from the side: HOLD would bring it back. */
bool ku_alive(struct ku *ku, u64 ref)
{
	struct mh_obj o;
	bool alive;
	u64 word;

	down_read(&ku->heap->gate);
	alive = !mh_pool_find(ku->heap, ref, &o);
	if (alive) {
		word = atomic64_read(&o.header->word);
		alive = mh_gen(word) == mh_gen(ref) && mh_count(word);
	}
	up_read(&ku->heap->gate);
	return alive;
}

u32 ku_count(struct ku *ku, u64 ref)
{
	return mh_count(ku_word(ku, ref));
}

bool ku_bit(struct ku *ku, u64 ref, enum mh_map map)
{
	struct mh_obj o = ku_find(ku, ref);

	return mh_test(&o, map);
}

void ku_add_count(struct ku *ku, u64 ref, s64 n)
{
	atomic64_add(n, &ku_find(ku, ref).header->word);
}

/* How many objects a client holds. */
u64 ku_held(struct mh_client *client)
{
	u64 held;

	down_read(&client->heap->gate);
	held = mh_client_count_held(client);
	up_read(&client->heap->gate);
	return held;
}

/* For ku_stat(). */
const struct moheap_stat *ku_stat_now(struct ku *ku)
{
	moheap_stat(ku->client, &ku->stat);
	return &ku->stat;
}

u64 ku_objects(struct ku *ku)
{
	struct moheap_stat stat = { };

	moheap_stat(ku->client, &stat);
	return stat.objects;
}

u64 ku_bytes(struct ku *ku)
{
	struct moheap_stat stat = { };

	moheap_stat(ku->client, &stat);
	return stat.kernel_bytes + stat.arena_bytes;
}

/* ---- Events ---- */

/* @id is set where it works; it may be NULL. */
int ku_try_watch(struct mh_client *client, u64 ref, u64 cookie, u32 *id)
{
	struct moheap_op op = { .code = MOHEAP_OP_WATCH, .ref = ref, .a = cookie };
	int err = ku_op(client, &op);

	if (!err && id)
		*id = op.b;
	return err;
}

u32 ku_watch(struct ku *ku, struct mh_client *client, u64 ref, u64 cookie)
{
	u32 id = 0;

	KU_OK(ku->test, ku_try_watch(client, ref, cookie, &id));
	return id;
}

/* 0 if the object was alive, 1 if it was not and nobody was told, or an errno. */
int ku_unwatch(struct mh_client *client, u32 id)
{
	struct moheap_op op = { .code = MOHEAP_OP_UNWATCH, .b = id };
	int err = ku_op(client, &op);

	return err ? err : op.a;
}

/* The next event of a client; there must be one. */
struct moheap_event ku_event(struct ku *ku, struct mh_client *client)
{
	struct moheap_event event = { };

	KUNIT_EXPECT_EQ(ku->test, moheap_read(client, &event, 1), 1);
	return event;
}

void ku_no_event(struct ku *ku, struct mh_client *client)
{
	struct moheap_event event;

	KUNIT_EXPECT_EQ(ku->test, moheap_read(client, &event, 1), 0);
}

/* ---- Sites ---- */

int ku_try_site(struct mh_client *client, u64 ref, u64 site)
{
	struct moheap_op op = { .code = MOHEAP_OP_SITE, .ref = ref, .a = site };

	return ku_op(client, &op);
}

void ku_site(struct ku *ku, struct mh_client *client, u64 ref, u32 site)
{
	KU_OK(ku->test, ku_try_site(client, ref, site));
}

/* The figures of a client. */
struct moheap_sites ku_traced(struct ku *ku, struct mh_client *client)
{
	struct moheap_sites sites = { };

	KU_OK(ku->test, mh_sites(client, &sites, false));
	return sites;
}

/* As MOHEAP_IOC_OBJECT has it. */
u64 ku_object_bytes(struct ku *ku, u64 ref)
{
	struct mh_obj o = ku_find(ku, ref);
	struct moheap_object stat = { };

	mh_object_stat(&o, &stat);
	return stat.payload + stat.header_bytes + stat.slot_bytes;
}

/* ---- The collector ---- */

/* Set one member of struct moheap_tune. */
void ku_tune(struct ku *ku, u32 set, u32 value)
{
	struct moheap_tune tune = {
		.size = sizeof(tune), .set = set, .budget = value, .threshold = value,
		.growth = value, .idle_ms = value, .enabled = value,
		.finalize_ms = value, .debug = value,
	};

	KU_OK(ku->test, mh_collector_tune(ku->heap, &tune));
}

/* Return how many objects were found in cycles. */
u64 ku_collect(struct ku *ku, u32 generation)
{
	u64 unreachable = 0;

	KU_OK(ku->test, moheap_collect(ku->client, generation, &unreachable));
	return unreachable;
}

static u64 ku_set_aside(struct ku *ku, u32 flags)
{
	struct moheap_freeze freeze = { .size = sizeof(freeze), .flags = flags };

	KU_OK(ku->test, mh_freeze(ku->heap, &freeze));
	return freeze.frozen;
}

/* Return how many objects are frozen now. */
u64 ku_freeze(struct ku *ku)
{
	return ku_set_aside(ku, 0);
}

u64 ku_unfreeze(struct ku *ku)
{
	return ku_set_aside(ku, MOHEAP_FREEZE_UNDO);
}

void ku_trace_begin(struct ku *ku)
{
	mutex_lock(&ku->heap->collect_lock);
	mh_trace_begin(ku->heap);
	mutex_unlock(&ku->heap->collect_lock);
}

/* Return true when the trace is over. */
bool ku_trace_step(struct ku *ku)
{
	bool done;

	mutex_lock(&ku->heap->collect_lock);
	done = mh_trace_step(ku->heap);
	mutex_unlock(&ku->heap->collect_lock);
	return done;
}

void ku_trace_until(struct ku *ku, enum mh_phase phase)
{
	while (ku->heap->phase != phase)
		KUNIT_ASSERT_FALSE(ku->test, ku_trace_step(ku) && phase != MH_IDLE);
}

/* To where all roots are marked, and nothing is followed yet. */
void ku_trace_rooted(struct ku *ku)
{
	ku_trace_until(ku, MH_MARKING);
	while (!ku->heap->collect->rooted)
		KUNIT_ASSERT_FALSE(ku->test, ku_trace_step(ku));
}

void ku_trace_finish(struct ku *ku)
{
	ku_trace_until(ku, MH_IDLE);
}

bool ku_reap_step(struct ku *ku)
{
	bool more;

	down_read(&ku->heap->gate);
	more = mh_reap_step(ku->heap, MH_REAP_STEP);
	up_read(&ku->heap->gate);
	return more;
}

void ku_reap_all(struct ku *ku)
{
	while (ku_reap_step(ku))
		cond_resched();
}

/* Give back what bins have too much of. */
void ku_trim(struct mh_heap *heap)
{
	mutex_lock(&heap->collect_lock);
	while (mh_trim_step(heap))
		cond_resched();
	mutex_unlock(&heap->collect_lock);
}

/* Give the collector thread of ku_init_live() time to get down to @objects. */
bool ku_wait_objects(struct ku *ku, u64 objects)
{
	unsigned long end = jiffies + 60 * HZ;

	while (ku_objects(ku) != objects) {
		if (time_after(jiffies, end))
			return false;
		fsleep(5000);
	}
	return true;
}
