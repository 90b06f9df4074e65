// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_gen: generations that run out. No ref is ever given out twice: a block whose
 * generations are used up is retired, and a pool goes on where the one before it in its pages
 * stopped.
 */
#include <linux/delay.h>

#include "fixture.h"

static u32 ku_age(u64 ref)
{
	return mh_gen(ref) & ~MH_GEN_REUSED;
}

/* Make the free block that @ref named as old as if it had been used very often. */
static void ku_make_old(struct ku *ku, u64 ref, u32 gen)
{
	struct mh_obj o = ku_find(ku, ref);

	KUNIT_ASSERT_TRUE(ku->test, mh_test(&o, MH_FREE));
	atomic64_set(&o.header->word, mh_word(gen | MH_GEN_REUSED, 0));
}

/* An old block, which the next object made will get. */
static u64 ku_old_block(struct ku *ku, u32 gen)
{
	u64 ref = ku_new(ku, KU_NODE);

	ku_release(ku, ref);
	ku_make_old(ku, ref, gen);
	return ref;
}

static void last_generations(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 block = ku_old_block(ku, MH_GEN_LAST - 9), ref, refs[5];
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(refs); i++) {
		refs[i] = ku_new(ku, KU_NODE);
		KUNIT_ASSERT_EQ(test, (u32)refs[i], (u32)block);
		KUNIT_EXPECT_EQ(test, ku_age(refs[i]), MH_GEN_LAST - 8 + 2 * i);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_EQ(test, ku_hold(ku->client, refs[j]), -ESTALE);
		ku_release(ku, refs[i]);
	}
	/* That was the last time. */
	KUNIT_EXPECT_EQ(test, atomic_read(&ku_find(ku, block).pool->nretired), 1);
	KUNIT_EXPECT_FALSE(test, ku_bit(ku, block, MH_FREE));
	for (i = 0; i < 50; i++) {
		ref = ku_new(ku, KU_NODE);
		KUNIT_ASSERT_NE(test, (u32)ref, (u32)block);
		ku_release(ku, ref);
	}
	for (i = 0; i < ARRAY_SIZE(refs); i++)
		KUNIT_EXPECT_EQ(test, ku_hold(ku->client, refs[i]), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* The next generation of a retired block would be that of its first owner. */
static void first_ref_stays_stale(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 first = ku_new(ku, KU_NODE), last;

	KUNIT_EXPECT_EQ(test, ku_age(first), 1);
	ku_release(ku, first);
	ku_make_old(ku, first, MH_GEN_LAST - 1);
	last = ku_new(ku, KU_NODE);
	KUNIT_EXPECT_EQ(test, ku_age(last), MH_GEN_LAST);
	KUNIT_EXPECT_EQ(test, ku_hold(ku->client, first), -ESTALE);
	ku_release(ku, last);
	KUNIT_EXPECT_EQ(test, ku_hold(ku->client, first), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_hold(ku->client, last), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_hold(ku->client, mh_word(1, first)), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_hold(ku->client, mh_word(MH_GEN_REUSED | 1, first)), -ESTALE);
}

/* Blocks are retired whoever frees them. */
static void retired_by_local_pass_and_trace(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 generation;
	u64 ref;

	for (generation = MOHEAP_COLLECT_LOCAL; generation <= MOHEAP_COLLECT_FULL;
	     generation += 2) {
		ku_old_block(ku, MH_GEN_LAST - 1);
		ref = ku_new(ku, KU_NODE);
		KUNIT_ASSERT_EQ(test, ku_age(ref), MH_GEN_LAST);
		ku_link(ku, ref, 0, ref);
		ku_release(ku, ref);
		KUNIT_EXPECT_EQ(test, ku_collect(ku, generation), 1);
		KUNIT_EXPECT_FALSE(test, ku_bit(ku, ref, MH_FREE));
		KUNIT_EXPECT_EQ(test, ku_hold(ku->client, ref), -ESTALE);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&ku_find(ku, ref).pool->nretired), 2);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* A pool may wear out altogether: then clients use others. */
static void whole_pool_retired(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_pool *pool = ku_find(ku, ku_new(ku, KU_WIDE)).pool;
	u32 i, n = atomic_read(&pool->nfree);
	u64 *refs = ku_new_many(ku, KU_WIDE, n);

	ku_drop_all(ku, refs, n);
	ku_reap_all(ku);
	for (i = 0; i < n; i++)
		ku_make_old(ku, refs[i], MH_GEN_LAST - 1);
	KU_OK(test, ku_alloc(ku->client, ku->type[KU_WIDE], 0, refs, n));
	for (i = 0; i < n; i++)
		KUNIT_ASSERT_EQ(test, ku_age(refs[i]), MH_GEN_LAST);
	ku_drop_all(ku, refs, n);
	ku_reap_all(ku);
	KUNIT_EXPECT_EQ(test, atomic_read(&pool->nretired), n);
	KUNIT_EXPECT_EQ(test, atomic_read(&pool->nfree), 0);
	KUNIT_EXPECT_PTR_NE(test, ku_find(ku, ku_new(ku, KU_WIDE)).pool, pool);
	KUNIT_EXPECT_EQ(test, pool->state, MH_POOL_FULL);
	mh_trim_all(ku->heap);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).pools, 2);
}

/* ---- Pools that go, and their pages used again ---- */

/* Objects of a client that goes; their pool is given back. */
static struct mh_pool *ku_temporary(struct ku *ku, enum ku_type type, u64 *refs, u32 n)
{
	struct mh_client *other = ku_join(ku);
	struct mh_pool *pool;

	KU_OK(ku->test, ku_alloc(other, ku->type[type], 0, refs, n));
	pool = ku_find(ku, refs[0]).pool;
	ku_close(ku, other);
	ku_reap_all(ku);
	return pool;
}

static void ku_reuse_pages(struct ku *ku, u32 page)
{
	mh_trim_all(ku->heap);
	KUNIT_ASSERT_EQ(ku->test, ku_stat(ku).pools, 0);
	ku->heap->arena.hint = page;
}

/* In the same pages, whichever type they serve: generations only grow. */
static void pages_keep_their_generation(struct kunit *test)
{
	static const enum ku_type types[] = { KU_NODE, KU_LEAF, KU_WIDE, KU_BARE, KU_NODE };
	struct ku *ku = test->priv;
	u64 refs[40], again[40];
	u32 i, j, page, top, low;

	page = ku_temporary(ku, KU_NODE, refs, 40)->first / MH_PAGE_GRANULES;
	for (i = 0; i < 40; i++) {
		ku_reuse_pages(ku, page);
		top = 0;
		low = U32_MAX;
		for (j = 0; j < 40; j++)
			top = max(top, ku_age(refs[j]));
		ku_temporary(ku, types[i % ARRAY_SIZE(types)], again, 40);
		KUNIT_ASSERT_EQ(test, (u32)again[0] / MH_PAGE_GRANULES, page);
		for (j = 0; j < 40; j++) {
			low = min(low, ku_age(again[j]));
			/* Fresh memory: what was there went with the pool. */
			KUNIT_EXPECT_FALSE(test, again[j] & MOHEAP_REF_REUSED);
			KUNIT_EXPECT_EQ(test, ku_hold(ku->client, refs[j]), -ESTALE);
		}
		KUNIT_ASSERT_GT(test, low, top);
		memcpy(refs, again, sizeof(refs));
	}
}

/* One old block makes all of the next pool old. */
static void oldest_block_decides(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 refs[3], again[3];
	u32 page;

	page = ku_temporary(ku, KU_NODE, refs, 3)->first / MH_PAGE_GRANULES;
	ku_make_old(ku, refs[1], 1000);
	ku_reuse_pages(ku, page);
	ku_temporary(ku, KU_LEAF, again, 3);
	KUNIT_EXPECT_EQ(test, ku_age(again[0]), 1001);
	KUNIT_EXPECT_EQ(test, ku_age(again[2]), 1001);
}

/* Pages whose generations are all but used up serve one more time. */
static void pages_wear_out(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 refs[3], again[3];
	struct mh_pool *pool;
	u32 page;

	page = ku_temporary(ku, KU_NODE, refs, 3)->first / MH_PAGE_GRANULES;
	ku_make_old(ku, refs[2], MH_GEN_LAST - 1);
	ku_reuse_pages(ku, page);
	pool = ku_temporary(ku, KU_LEAF, again, 3);
	KUNIT_EXPECT_EQ(test, pool->first / MH_PAGE_GRANULES, page);
	KUNIT_EXPECT_EQ(test, ku_age(again[0]), MH_GEN_LAST);
	KUNIT_EXPECT_EQ(test, atomic_read(&pool->nretired), 3);
	/* Some of its blocks are retired, so the pool can never be empty. */
	mh_trim_all(ku->heap);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).pools, 1);
}

/* A caller that chooses generations cannot choose past the end. */
static void renewed_to_the_last(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_NODE);
	u64 last = mh_word(MH_GEN_LAST | MH_GEN_REUSED, ref);

	KUNIT_EXPECT_EQ(test, ku_renew(ku->client, ref, last + (2ULL << 32)), -EINVAL);
	KU_OK(test, ku_renew(ku->client, ref, last));
	KUNIT_EXPECT_EQ(test, ku_renew(ku->client, last, last + (2ULL << 32)), -EINVAL);
	KUNIT_EXPECT_EQ(test, ku_renew(ku->client, last, ref), -EINVAL);
	ku_release(ku, last);
	KUNIT_EXPECT_EQ(test, atomic_read(&ku_find(ku, ref).pool->nretired), 1);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

struct gen_pins {
	struct mh_heap *heap;
	u64 ref;
	u32 pins;
};

/* Pin what lives in a block, for a moment, as who follows an outdated slot does. */
static void gen_pin(void *data)
{
	struct gen_pins *pins = data;
	struct mh_dead dead = { };
	struct mh_obj o;

	while (!kthread_should_stop()) {
		down_read(&pins->heap->gate);
		if (!mh_pin(pins->heap, READ_ONCE(pins->ref), &o)) {
			pins->pins++;
			udelay(5);
			mh_unpin(pins->heap, &o, &dead);
		}
		up_read(&pins->heap->gate);
		cond_resched();
	}
}

/* A pin is no reference: who has the only one may renew the object all the same. */
static void renewed_beside_pins(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct gen_pins pins = { .heap = ku->heap, .ref = ku_new(ku, KU_NODE) };
	struct ku_task *task = ku_start(ku, 1, gen_pin, &pins);
	u32 i, refused = 0;
	u64 to;

	for (i = 0; i < 2000 || READ_ONCE(pins.pins) < 100; i++) {
		to = (pins.ref + (2ULL << 32)) | MOHEAP_REF_REUSED;
		if (ku_renew(ku->client, pins.ref, to))
			refused++;
		else
			WRITE_ONCE(pins.ref, to);
		cond_resched();
	}
	ku_stop(task);
	kunit_info(test, "renewed %u times beside %u pins", i, pins.pins);
	KUNIT_EXPECT_EQ(test, refused, 0);
	ku_release(ku, pins.ref);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

static struct kunit_case ku_gen_cases[] = {
	KUNIT_CASE(last_generations),
	KUNIT_CASE(first_ref_stays_stale),
	KUNIT_CASE(retired_by_local_pass_and_trace),
	KUNIT_CASE(whole_pool_retired),
	KUNIT_CASE(pages_keep_their_generation),
	KUNIT_CASE(oldest_block_decides),
	KUNIT_CASE(pages_wear_out),
	KUNIT_CASE(renewed_to_the_last),
	KUNIT_CASE(renewed_beside_pins),
	{}
};

struct kunit_suite ku_gen_suite = {
	.name = "moheap_gen",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_gen_cases,
};
