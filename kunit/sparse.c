// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_sparse: pools of few survivors, which do without the memory of the others.
 *
 * What the arena says it has is compared with what its file has, page by page. The objects are of
 * a size that makes many of them lie on two pages.
 */
#include <linux/fs.h>

#include "fixture.h"

#define KU_SPARSE	3000	/* objects: a few dozen pools */
#define KU_PAYLOAD	440
#define KU_EACH		100	/* one of so many survives */

/**
 * struct ku_sparse - objects that are going to be few
 * @ku: the case
 * @client: whose they are
 * @type: their type
 * @refs: they, 0 for those that are gone
 */
struct ku_sparse {
	struct ku *ku;
	struct mh_client *client;
	int type;
	u64 *refs;
};

static struct file *ku_file(struct ku_sparse *s)
{
	return s->client->heap->arena.file;
}

static struct moheap_stat ku_sparse_stat(struct ku_sparse *s)
{
	struct moheap_stat stat = { };

	moheap_stat(s->client, &stat);
	return stat;
}

/* What is charged is there, and nothing else; nor is anything lost. */
static void ku_expect_exact(struct ku_sparse *s)
{
	struct moheap_usage usage = { .size = sizeof(usage), .type = s->type };
	u64 backed = (u64)file_inode(ku_file(s))->i_blocks << 9;

	KUNIT_EXPECT_EQ(s->ku->test, ku_sparse_stat(s).arena_bytes, backed);
	KU_OK(s->ku->test, mh_usage(s->client->heap, &usage));
	KUNIT_EXPECT_EQ(s->ku->test, usage.arena_bytes, backed);
	KUNIT_EXPECT_EQ(s->ku->test, moheap_check(s->client), 0);
}

static loff_t ku_payload(u64 ref)
{
	return (loff_t)(u32)ref << MOHEAP_GRANULE_SHIFT;
}

/* Has the block memory, all of it? */
static bool ku_is_there(struct ku_sparse *s, u64 ref)
{
	struct xarray *pages = &ku_file(s)->f_mapping->i_pages;
	unsigned long first = ku_payload(ref) >> PAGE_SHIFT;
	unsigned long last = (ku_payload(ref) + KU_PAYLOAD - 1) >> PAGE_SHIFT;

	return xa_load(pages, first) && xa_load(pages, last);
}

/* The ref fills the payload, as far as it goes. */
static void ku_mark(struct ku_sparse *s, u64 ref)
{
	loff_t at = ku_payload(ref), last = at + KU_PAYLOAD - sizeof(ref);

	KUNIT_ASSERT_EQ(s->ku->test, kernel_write(ku_file(s), &ref, sizeof(ref), &at),
			sizeof(ref));
	KUNIT_ASSERT_EQ(s->ku->test, kernel_write(ku_file(s), &ref, sizeof(ref), &last),
			sizeof(ref));
}

static u64 ku_payload_at(struct ku_sparse *s, loff_t at)
{
	u64 word = 0;

	KUNIT_ASSERT_EQ(s->ku->test, kernel_read(ku_file(s), &word, sizeof(word), &at),
			sizeof(word));
	return word;
}

static void ku_expect_marked(struct ku_sparse *s, u64 ref)
{
	loff_t at = ku_payload(ref);

	KUNIT_ASSERT_EQ(s->ku->test, ku_payload_at(s, at), ref);
	KUNIT_ASSERT_EQ(s->ku->test, ku_payload_at(s, at + KU_PAYLOAD - sizeof(ref)), ref);
}

/* All that are missing are made; each has memory before anybody touches it. */
static void ku_fill_up(struct ku_sparse *s)
{
	u32 i;

	for (i = 0; i < KU_SPARSE; i++) {
		if (s->refs[i])
			continue;
		KU_OK(s->ku->test, ku_alloc(s->client, s->type, 0, &s->refs[i], 1));
		KUNIT_ASSERT_TRUE(s->ku->test, ku_is_there(s, s->refs[i]));
		ku_mark(s, s->refs[i]);
	}
}

static struct ku_sparse ku_sparse(struct kunit *test, struct mh_client *client)
{
	struct ku *ku = test->priv;
	struct ku_sparse s = { .ku = ku, .client = client };

	s.type = ku_register(client, "payload", 0, 0, KU_PAYLOAD);
	s.refs = ku_refs(ku, KU_SPARSE);
	ku_fill_up(&s);
	return s;
}

static void ku_drop_one(struct ku_sparse *s, u32 i)
{
	KU_OK(s->ku->test, ku_drop(s->client, s->refs[i]));
	s->refs[i] = 0;
}

/* Drop all but every KU_EACH-th. */
static void ku_thin_out(struct ku_sparse *s)
{
	u32 i;

	for (i = 0; i < KU_SPARSE; i++)
		if (i % KU_EACH && s->refs[i])
			ku_drop_one(s, i);
}

static void ku_expect_survivors(struct ku_sparse *s)
{
	u32 i;

	for (i = 0; i < KU_SPARSE; i++)
		if (s->refs[i])
			ku_expect_marked(s, s->refs[i]);
}

/* Of a page with 9 objects few have a survivor; the memory of the others goes, and comes back. */
static void few_keep_little(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_sparse s = ku_sparse(test, ku->client);
	u64 full = ku_sparse_stat(&s).arena_bytes;
	u32 i;

	for (i = 0; i < 2; i++) {
		ku_expect_exact(&s);
		ku_thin_out(&s);
		KUNIT_EXPECT_EQ(test, ku_sparse_stat(&s).arena_bytes, full);
		ku_trim(s.client->heap);
		KUNIT_EXPECT_LT(test, ku_sparse_stat(&s).arena_bytes, full / 3);
		ku_expect_exact(&s);
		ku_expect_survivors(&s);
		ku_fill_up(&s);
		ku_expect_survivors(&s);
		KUNIT_EXPECT_EQ(test, ku_sparse_stat(&s).arena_bytes, full);
	}
}

/* Has a hole of a pool that was filled anything of what was there? Return how many there are. */
static u32 ku_expect_zeroes(struct ku_sparse *s, struct mh_pool *pool, u16 holes)
{
	loff_t at = (loff_t)pool->first << MOHEAP_GRANULE_SHIFT;
	u32 page;

	KUNIT_EXPECT_EQ(s->ku->test, pool->holes, 0);
	for (page = 0; page < pool->bin->geo.pages; page++, at += PAGE_SIZE) {
		if (!(holes & BIT(page)))
			continue;
		KUNIT_EXPECT_EQ(s->ku->test, ku_payload_at(s, at), 0);
		KUNIT_EXPECT_EQ(s->ku->test, ku_payload_at(s, at + PAGE_SIZE - sizeof(u64)), 0);
	}
	return hweight16(holes);
}

static void punched_pages_come_back_empty(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_sparse s = ku_sparse(test, ku->client);
	struct mh_bin *bin = mh_type_find(ku->heap, s.type)->fixed;
	struct mh_pool *pools[64], *pool;
	u32 n, i, zero = 0;
	u16 holes;

	ku_thin_out(&s);
	mh_trim_all(ku->heap);
	for (n = 0; n < ARRAY_SIZE(pools); n++) {
		pool = mh_pool_adopt(bin);
		if (!pool)
			break;
		pools[n] = pool;
		holes = pool->holes;
		KU_OK(test, mh_pool_refill(pool));
		zero += ku_expect_zeroes(&s, pool, holes);
	}
	KUNIT_EXPECT_GE(test, zero, KU_SPARSE / KU_EACH);
	for (i = 0; i < n; i++)
		mh_pool_retire(pools[i]);
	ku_expect_survivors(&s);
	ku_expect_exact(&s);
}

/* With the last survivor a pool goes, whatever it lacked. */
static void nothing_is_left(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_sparse s = ku_sparse(test, ku->client);
	u32 i;

	ku_thin_out(&s);
	ku_trim(s.client->heap);
	for (i = 0; i < KU_SPARSE; i += KU_EACH)
		ku_drop_one(&s, i);
	ku_expect_exact(&s);
	ku_trim(s.client->heap);
	ku_expect_exact(&s);
	/* One is kept, and one is active. */
	KUNIT_EXPECT_LE(test, ku_sparse_stat(&s).pools, 2);
	mh_trim_all(ku->heap);
	KUNIT_EXPECT_LE(test, ku_sparse_stat(&s).pools, 1);
	ku_expect_exact(&s);
}

/* A pool that is full and sparse in turns keeps what it has. */
static void one_sparse_pool_is_left_alone(struct kunit *test)
{
	struct ku *ku = test->priv;
	int type = ku_register(ku->client, "payload", 0, 0, KU_PAYLOAD);
	u64 *refs = ku_refs(ku, 2 * MH_POOL_BLOCKS), bytes;
	u32 left = 2, n, i, j;
	struct mh_pool *pool;

	KU_OK(test, ku_alloc(ku->client, type, 0, refs, 1));
	pool = ku_find(ku, refs[0]).pool;
	KUNIT_ASSERT_GT(test, pool->level, left);
	n = pool->nblocks;
	/* Another pool is active, and full. */
	KU_OK(test, ku_alloc(ku->client, type, 0, refs + 1, 2 * n - 1));
	bytes = ku_stat(ku).arena_bytes;
	for (i = 0; i < 5; i++) {
		for (j = left; j < n; j++)
			KU_OK(test, ku_drop(ku->client, refs[j]));
		KUNIT_EXPECT_EQ(test, pool->state, i ? MH_POOL_ACTIVE : MH_POOL_SPARSE);
		ku_trim(ku->heap);
		KUNIT_EXPECT_EQ(test, ku_stat(ku).arena_bytes, bytes);
		KUNIT_EXPECT_EQ(test, pool->holes, 0);
		KU_OK(test, ku_alloc(ku->client, type, 0, refs + left, n - left));
		KUNIT_EXPECT_EQ(test, ku_stat(ku).arena_bytes, bytes);
	}
}

/* Use up what the heap may have still. Return how much that is. */
static u64 ku_use_up_rest(struct mh_heap *heap)
{
	u64 rest = heap->limit - atomic64_read(&heap->kernel_bytes) -
		   atomic64_read(&heap->arena_bytes);

	WARN_ON(mh_charge(heap, &heap->kernel_bytes, rest));
	return rest;
}

/* Where there is no memory for what was given back, that is an error, and nothing else. */
static void no_memory_to_come_back(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *client = ku_adopt(ku, moheap_create(32 << 20, 0));
	struct ku_sparse s;
	u64 rest, ref = 0;
	u32 i, n = 0;
	int err = 0;

	KU_OK(test, ku_stand_in(client->heap));
	s = ku_sparse(test, client);
	ku_thin_out(&s);
	mh_trim_all(client->heap);
	rest = ku_use_up_rest(client->heap);
	for (i = 0; i < KU_SPARSE && !err; i++) {
		if (s.refs[i])
			continue;
		err = ku_alloc(client, s.type, 0, &s.refs[i], 1);
		if (!err)
			ku_mark(&s, s.refs[i]);
		n += !err;
	}
	/* What has memory was had. */
	KUNIT_EXPECT_EQ(test, err, -ENOSPC);
	KUNIT_EXPECT_GT(test, n, KU_SPARSE / KU_EACH);
	KUNIT_EXPECT_LT(test, n, KU_SPARSE / 2);
	ku_expect_survivors(&s);
	ku_expect_exact(&s);
	KUNIT_EXPECT_EQ(test, ku_alloc(client, s.type, 0, &ref, 1), -ENOSPC);
	mh_uncharge(client->heap, &client->heap->kernel_bytes, rest);
	ku_fill_up(&s);
	ku_expect_survivors(&s);
	ku_expect_exact(&s);
	ku_close(ku, client);
}

/* Any survivors, at any time. */
static void at_random(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_sparse s = ku_sparse(test, ku->client);
	u32 rounds = max(ku_steps() / 600, 2U), i, j, keep;
	struct rnd_state rnd;

	ku_seed(test, &rnd);
	for (i = 0; i < rounds; i++) {
		keep = 1 + ku_below(&rnd, 200);
		for (j = 0; j < KU_SPARSE; j++) {
			if (s.refs[j] && ku_below(&rnd, keep))
				ku_drop_one(&s, j);
			if (!ku_below(&rnd, KU_SPARSE / 4))
				ku_trim(s.client->heap);
		}
		mh_trim_all(ku->heap);
		ku_expect_exact(&s);
		ku_expect_survivors(&s);
		if (i % 2)
			ku_fill_up(&s);
	}
}

/* ---- Several at a time ---- */

#define KU_CROWD	600	/* objects of a thread */

struct ku_crowd {
	struct ku *ku;
	struct mh_client *client;
	int type;
	u32 rounds;
	u32 wrong;
	struct rnd_state rnd;
	u64 refs[KU_CROWD];
};

static bool ku_has_memory(struct ku_crowd *c, u64 ref)
{
	return xa_load(&c->ku->heap->arena.file->f_mapping->i_pages,
		       ku_payload(ref) >> PAGE_SHIFT);
}

/* All are made, most are dropped. */
static void ku_come_and_go(void *data)
{
	struct ku_crowd *c = data;
	u32 i, round;

	for (round = 0; round < c->rounds && !kthread_should_stop(); round++) {
		for (i = 0; i < KU_CROWD; i++) {
			if (!c->refs[i])
				c->wrong += !!ku_alloc(c->client, c->type, 0, &c->refs[i], 1);
			c->wrong += !ku_has_memory(c, c->refs[i]);
		}
		for (i = 0; i < KU_CROWD; i++) {
			if (!ku_below(&c->rnd, 40))
				continue;
			c->wrong += !!ku_drop(c->client, c->refs[i]);
			c->refs[i] = 0;
		}
		cond_resched();
	}
}

/* What is held has memory, while others free its neighbours and two punch. */
static void while_others_allocate(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_task *tasks[2];
	struct ku_crowd *crowd;
	u32 i, n = ARRAY_SIZE(tasks);
	bool done = false;

	crowd = kunit_kcalloc(test, n, sizeof(*crowd), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, crowd);
	for (i = 0; i < n; i++) {
		crowd[i].ku = ku;
		crowd[i].client = ku_join(ku);
		crowd[i].type = ku_register(ku->client, "payload", 0, 0, KU_PAYLOAD);
		crowd[i].rounds = max(ku_steps() / 400, 4U);
		ku_seed(test, &crowd[i].rnd);
	}
	for (i = 0; i < n; i++)
		tasks[i] = ku_start(ku, i, ku_come_and_go, &crowd[i]);
	while (!done) {
		mh_trim_all(ku->heap);
		ku_trim(ku->heap);
		KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
		for (done = true, i = 0; i < n; i++)
			done = done && completion_done(&tasks[i]->done);
		cond_resched();
	}
	for (i = 0; i < n; i++) {
		ku_await(tasks[i]);
		KUNIT_EXPECT_EQ(test, crowd[i].wrong, 0);
	}
	mh_trim_all(ku->heap);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).arena_bytes,
			(u64)file_inode(ku->heap->arena.file)->i_blocks << 9);
}

static struct kunit_case ku_sparse_cases[] = {
	KUNIT_CASE(few_keep_little),
	KUNIT_CASE(punched_pages_come_back_empty),
	KUNIT_CASE(nothing_is_left),
	KUNIT_CASE(one_sparse_pool_is_left_alone),
	KUNIT_CASE(no_memory_to_come_back),
	KUNIT_CASE(at_random),
	KUNIT_CASE(while_others_allocate),
	{}
};

struct kunit_suite ku_sparse_suite = {
	.name = "moheap_sparse",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_sparse_cases,
};
