/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all suites share: a heap with a few types, operations that return their errno, a look
 * at what no operation tells, and the collector worked by hand.
 *
 * The heap of ku_init() has a collector thread that does nothing. So nothing is freed, traced
 * or given back unless a case asks for it: cases are exact, and can act between any two steps.
 * ku_init_live() leaves the thread to the module; ku_init_guarded() makes a guarded heap. ku_exit()
 * checks every invariant of the heap at the end of each case.
 */
#ifndef MOHEAP_KUNIT_FIXTURE_H
#define MOHEAP_KUNIT_FIXTURE_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/prandom.h>

#include "internal.h"

/* The types of a heap made by ku_init(). */
enum ku_type {
	KU_LEAF,	/* 16 bytes */
	KU_NODE,	/* 16 bytes, 2 slots */
	KU_BARE,	/* 3 slots, no payload */
	KU_VAR,		/* bytes and slots vary */
	KU_WIDE,	/* 16 bytes, KU_WIDE_SLOTS slots, so kept apart */
	KU_TYPES
};

#define KU_WIDE_SLOTS	(MH_SLOTS_INLINE + 6)
#define KU_CLIENTS	8
#define KU_OPS		24	/* operations of a batch, where there are many */
#define KU_LIMIT	(512ULL << 20)

/**
 * struct ku_task - a thread of a case
 * @list: in ku->tasks while it was not stopped
 * @run: what it does; may look at kthread_should_stop()
 * @data: for @run
 * @task: the thread
 * @started: it began
 * @done: @run returned
 */
struct ku_task {
	struct list_head list;
	void (*run)(void *data);
	void *data;
	struct task_struct *task;
	struct completion started;
	struct completion done;
};

/**
 * struct ku - what a case has; test->priv
 * @test: the case
 * @heap: its heap
 * @client: the first client of it
 * @clients: all clients, to be closed at the end; NULL where there is none
 * @type: type ids
 * @tasks: threads to be stopped before the clients are closed
 * @stat: for ku_stat()
 * @unchecked: the case left the heap in a state that is not to be checked
 */
struct ku {
	struct kunit *test;
	struct mh_heap *heap;
	struct mh_client *client;
	struct mh_client *clients[KU_CLIENTS];
	int type[KU_TYPES];
	struct list_head tasks;
	struct moheap_stat stat;
	bool unchecked;
};

int ku_init(struct kunit *test);
int ku_init_live(struct kunit *test);
int ku_init_guarded(struct kunit *test);
void ku_exit(struct kunit *test);

/* A case cannot go on where a step of it fails. */
#define KU_OK(test, call)	KUNIT_ASSERT_EQ(test, call, 0)

/* ---- Clients and types ---- */

struct mh_client *ku_adopt(struct ku *ku, struct mh_client *client);
struct mh_client *ku_join(struct ku *ku);
struct mh_client *ku_join_readonly(struct ku *ku);
void ku_close(struct ku *ku, struct mh_client *client);
int ku_stand_in(struct mh_heap *heap);
int ku_register(struct mh_client *client, const char *name, u32 flags, u32 slots, u64 payload);
void ku_name(char *to, const char *name);

/* ---- Threads ---- */

struct ku_task *ku_start(struct ku *ku, int cpu, void (*run)(void *data), void *data);
void ku_stop(struct ku_task *t);
void ku_await(struct ku_task *t);

/* ---- Operations: 0 or an errno ---- */

int ku_op(struct mh_client *client, struct moheap_op *op);
int ku_alloc(struct mh_client *client, u32 type, u64 shape, u64 *refs, u64 n);
int ku_hold(struct mh_client *client, u64 ref);
int ku_drop(struct mh_client *client, u64 ref);
int ku_drop_as(struct mh_client *client, u64 ref, u64 to);
int ku_store(struct mh_client *client, u64 ref, u32 index, u64 target);
int ku_load(struct mh_client *client, u64 ref, u32 index, u64 *target);
int ku_load_hold(struct mh_client *client, u64 ref, u32 index, u64 *target);
int ku_exchange(struct mh_client *client, u64 ref, u32 index, u64 *target);
int ku_exchange_hold(struct mh_client *client, u64 ref, u32 index, u64 *target);
int ku_cmpxchg(struct mh_client *client, u64 ref, u32 index, u64 *old, u64 new);
int ku_fill(struct mh_client *client, u64 ref, u32 index, u64 target, u64 n);
int ku_copy(struct mh_client *client, u64 to, u32 at, u64 from, u32 first, u32 n);
int ku_read(struct mh_client *client, u64 ref, u32 index, u64 *refs, u64 n);
int ku_renew(struct mh_client *client, u64 ref, u64 to);

/* The shape of objects of KU_VAR. */
static inline u64 ku_shape(u32 slots, u32 payload)
{
	return (u64)slots << 32 | payload;
}

/* The ref after @ref of the same block. */
static inline u64 ku_later(u64 ref)
{
	return (ref + (2ULL << 32)) | MOHEAP_REF_REUSED;
}

/* The ways in which a slot gets a reference. */
enum ku_way_to_store { TO_STORE, TO_EXCHANGE, TO_CMPXCHG, TO_FILL, TO_COPY, TO_WAYS };

/* ---- The same, for steps that cannot fail ---- */

u64 ku_new(struct ku *ku, enum ku_type type);
u64 ku_new_by(struct ku *ku, struct mh_client *client, enum ku_type type);
u64 ku_new_var(struct ku *ku, u32 slots, u32 payload);
u64 *ku_new_many(struct ku *ku, enum ku_type type, u32 n);
void ku_link(struct ku *ku, u64 ref, u32 index, u64 target);
void ku_store_by(struct ku *ku, enum ku_way_to_store way, u64 to, u32 at, u64 x, u64 from,
		 u32 first);
void ku_release(struct ku *ku, u64 ref);
u64 *ku_ring(struct ku *ku, u32 n);
void ku_links(struct ku *ku, const u64 *owners, u32 index, const u64 *targets, u32 n);
void ku_links_by(struct ku *ku, struct mh_client *client, const u64 *owners, u32 index,
		 const u64 *targets, u32 n);
void ku_drop_all(struct ku *ku, const u64 *refs, u32 n);
void ku_drop_all_by(struct ku *ku, struct mh_client *client, const u64 *refs, u32 n);
u64 *ku_refs(struct ku *ku, u32 n);

/* ---- What no operation tells ---- */

struct mh_obj ku_find(struct ku *ku, u64 ref);
u64 ku_word(struct ku *ku, u64 ref);
bool ku_alive(struct ku *ku, u64 ref);
u32 ku_count(struct ku *ku, u64 ref);
bool ku_bit(struct ku *ku, u64 ref, enum mh_map map);
void ku_add_count(struct ku *ku, u64 ref, s64 n);
u64 ku_held(struct mh_client *client);
const struct moheap_stat *ku_stat_now(struct ku *ku);
u64 ku_objects(struct ku *ku);
u64 ku_bytes(struct ku *ku);

/* The figures of now; for the thread of the case, and up to its next look at them. */
#define ku_stat(ku)	(*ku_stat_now(ku))

/* ---- Events ---- */

int ku_try_watch(struct mh_client *client, u64 ref, u64 cookie, u32 *id);
u32 ku_watch(struct ku *ku, struct mh_client *client, u64 ref, u64 cookie);
int ku_unwatch(struct mh_client *client, u32 id);
struct moheap_event ku_event(struct ku *ku, struct mh_client *client);
void ku_no_event(struct ku *ku, struct mh_client *client);

/* ---- Sites ---- */

int ku_try_site(struct mh_client *client, u64 ref, u64 site);
void ku_site(struct ku *ku, struct mh_client *client, u64 ref, u32 site);
struct moheap_sites ku_traced(struct ku *ku, struct mh_client *client);
u64 ku_object_bytes(struct ku *ku, u64 ref);

/* ---- The collector ---- */

void ku_tune(struct ku *ku, u32 set, u32 value);
u64 ku_collect(struct ku *ku, u32 generation);
u64 ku_freeze(struct ku *ku);
u64 ku_unfreeze(struct ku *ku);
void ku_trace_begin(struct ku *ku);
bool ku_trace_step(struct ku *ku);
void ku_trace_until(struct ku *ku, enum mh_phase phase);
void ku_trace_rooted(struct ku *ku);
void ku_trace_finish(struct ku *ku);
bool ku_reap_step(struct ku *ku);
void ku_reap_all(struct ku *ku);
void ku_trim(struct mh_heap *heap);
bool ku_wait_objects(struct ku *ku, u64 objects);

/* ---- Chance, and how much of it (main.c) ---- */

void ku_seed(struct kunit *test, struct rnd_state *rnd);
u32 ku_below(struct rnd_state *rnd, u32 n);
u32 ku_steps(void);

extern struct kunit_suite ku_type_suite;
extern struct kunit_suite ku_arena_suite;
extern struct kunit_suite ku_pool_suite;
extern struct kunit_suite ku_sparse_suite;
extern struct kunit_suite ku_object_suite;
extern struct kunit_suite ku_client_suite;
extern struct kunit_suite ku_clone_suite;
extern struct kunit_suite ku_batch_suite;
extern struct kunit_suite ku_user_suite;
extern struct kunit_suite ku_collect_suite;
extern struct kunit_suite ku_thread_suite;
extern struct kunit_suite ku_trace_suite;
extern struct kunit_suite ku_check_suite;
extern struct kunit_suite ku_limit_suite;
extern struct kunit_suite ku_gen_suite;
extern struct kunit_suite ku_reap_suite;
extern struct kunit_suite ku_death_suite;
extern struct kunit_suite ku_shapes_suite;
extern struct kunit_suite ku_event_suite;
extern struct kunit_suite ku_watch_suite;
extern struct kunit_suite ku_watch_live_suite;
extern struct kunit_suite ku_final_suite;
extern struct kunit_suite ku_final_live_suite;
extern struct kunit_suite ku_iterate_suite;
extern struct kunit_suite ku_linger_suite;
extern struct kunit_suite ku_site_suite;
extern struct kunit_suite ku_site_live_suite;
extern struct kunit_suite ku_freeze_suite;
extern struct kunit_suite ku_freeze_live_suite;
extern struct kunit_suite ku_garbage_suite;
extern struct kunit_suite ku_oracle_suite;
extern struct kunit_suite ku_oracle_live_suite;
extern struct kunit_suite ku_oracle_guarded_suite;
extern struct kunit_suite ku_parallel_suite;

#endif /* MOHEAP_KUNIT_FIXTURE_H */
