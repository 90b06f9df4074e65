// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_arena: pages given out and taken back, their memory, and the way from page to pool.
 */
#include <linux/fs.h>

#include "fixture.h"

static u64 ku_backed_bytes(struct ku *ku)
{
	return (u64)file_inode(ku->heap->arena.file)->i_blocks << 9;
}

static u32 ku_reserve(struct ku *ku, u32 pages, bool backed)
{
	u32 page = 0;

	KU_OK(ku->test, mh_arena_reserve(ku->heap, pages, backed, &page));
	return page;
}

/* Granule 0 in a slot means no object. */
static void page_zero_is_nobodys(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_obj o;
	u32 page = ku_reserve(ku, 1, false);

	KUNIT_EXPECT_GT(test, page, 0);
	mh_arena_release(ku->heap, page, 1, 0);
	down_read(&ku->heap->gate);
	KUNIT_EXPECT_EQ(test, mh_pool_find(ku->heap, 0, &o), -ESTALE);
	up_read(&ku->heap->gate);
}

static void reservations_are_apart(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 at[32], i, j;

	for (i = 0; i < ARRAY_SIZE(at); i++)
		at[i] = ku_reserve(ku, i + 1, false);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_TRUE(test, at[i] + i < at[j] || at[j] + j < at[i]);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		mh_arena_release(ku->heap, at[i], i + 1, 0);
}

/* Memory is there before it is used, charged, and given back. */
static void memory_comes_and_goes(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 before = ku_stat(ku).arena_bytes;
	u64 backed = ku_backed_bytes(ku);
	u32 page = ku_reserve(ku, 100, true);

	KUNIT_EXPECT_EQ(test, ku_stat(ku).arena_bytes - before, 100 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, ku_backed_bytes(ku) - backed, 100 * PAGE_SIZE);
	mh_arena_punch(ku->heap, page, 100, 100);
	mh_arena_release(ku->heap, page, 100, 2);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).arena_bytes, before);
	KUNIT_EXPECT_EQ(test, ku_backed_bytes(ku), backed);
}

static void no_payload_no_memory(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 before = ku_stat(ku).arena_bytes;
	u32 page = ku_reserve(ku, 100, false);

	KUNIT_EXPECT_EQ(test, ku_stat(ku).arena_bytes, before);
	KUNIT_EXPECT_EQ(test, ku_backed_bytes(ku), 0);
	mh_arena_release(ku->heap, page, 100, 2);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).arena_bytes, before);
}

static void limit_refuses(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *client = ku_adopt(ku, moheap_create(MOHEAP_LIMIT_MIN, 0));
	struct mh_heap *heap = client->heap;
	u32 pages = MOHEAP_LIMIT_MIN / PAGE_SIZE;
	u64 used = bitmap_weight(heap->arena.used, heap->arena.npages);
	u32 page;

	KUNIT_EXPECT_EQ(test, mh_arena_reserve(heap, pages, true, &page), -ENOSPC);
	KUNIT_EXPECT_EQ(test, atomic64_read(&heap->arena_bytes), 0);
	KUNIT_EXPECT_EQ(test, bitmap_weight(heap->arena.used, heap->arena.npages), used);
	KU_OK(test, mh_arena_reserve(heap, pages / 2, true, &page));
	mh_arena_punch(heap, page, pages / 2, pages / 2);
	mh_arena_release(heap, page, pages / 2, 2);
	ku_close(ku, client);
}

/* Address space may run out where memory does not: then the search begins anew, and fails. */
static void address_space_runs_out(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_arena *arena = &ku->heap->arena;
	u32 half = arena->npages / 2;
	u32 first = ku_reserve(ku, half, false);
	u32 second = ku_reserve(ku, arena->npages - half - first, false);
	u32 page;

	KUNIT_EXPECT_EQ(test, mh_arena_reserve(ku->heap, 1, false, &page), -ENOSPC);
	mh_arena_release(ku->heap, first, half, 0);
	page = ku_reserve(ku, half, false);
	KUNIT_EXPECT_EQ(test, page, first);
	KUNIT_EXPECT_EQ(test, mh_arena_reserve(ku->heap, 1, false, &page), -ENOSPC);
	mh_arena_release(ku->heap, first, half, 0);
	mh_arena_release(ku->heap, second, arena->npages - half - first, 0);
}

static void generations_are_remembered(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 page = ku_reserve(ku, 4, false);

	KUNIT_EXPECT_EQ(test, mh_arena_base(ku->heap, page, 4), 0);
	mh_arena_release(ku->heap, page, 4, 100);
	KUNIT_EXPECT_EQ(test, mh_arena_base(ku->heap, page, 4), 100);
	KUNIT_EXPECT_EQ(test, mh_arena_base(ku->heap, page + 3, 4), 100);
	KUNIT_EXPECT_EQ(test, mh_arena_base(ku->heap, page + 4, 4), 0);
}

static void worn_out_pages_are_not_reused(struct kunit *test)
{
	struct ku *ku = test->priv;
	unsigned long *used = ku->heap->arena.used;
	u32 page = ku_reserve(ku, 4, false);

	mh_arena_release(ku->heap, page, 4, MH_GEN_LAST - 1);
	KUNIT_EXPECT_FALSE(test, test_bit(page, used));
	ku->heap->arena.hint = page;
	KUNIT_ASSERT_EQ(test, ku_reserve(ku, 4, false), page);
	mh_arena_release(ku->heap, page, 4, MH_GEN_LAST + 1);
	KUNIT_EXPECT_TRUE(test, test_bit(page, used));
	KUNIT_EXPECT_TRUE(test, test_bit(page + 3, used));
}

/* Every page of a pool leads to it, and none around it. */
static void pages_lead_to_pools(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_pool *pool = ku_find(ku, ku_new(ku, KU_NODE)).pool;
	u32 granule, end = pool->first + pool->nblocks * pool->stride;
	struct mh_obj o;

	down_read(&ku->heap->gate);
	for (granule = pool->first; granule < end; granule++) {
		if (mh_pool_find(ku->heap, granule, &o) || o.pool != pool ||
		    mh_granule(&o) != granule)
			break;
	}
	up_read(&ku->heap->gate);
	KUNIT_EXPECT_EQ(test, granule, end);
	down_read(&ku->heap->gate);
	KUNIT_EXPECT_EQ(test, mh_pool_find(ku->heap, pool->first - 1, &o), -ESTALE);
	KUNIT_EXPECT_EQ(test, mh_pool_find(ku->heap, U32_MAX, &o), -EINVAL);
	KUNIT_EXPECT_EQ(test, mh_pool_find(ku->heap, ku->heap->arena.npages * MH_PAGE_GRANULES,
					   &o), -EINVAL);
	KUNIT_EXPECT_EQ(test, mh_pool_find(ku->heap, ku->heap->arena.npages * MH_PAGE_GRANULES
					   - 1, &o), -ESTALE);
	up_read(&ku->heap->gate);
}

/* Only where a block begins. */
static void only_blocks_are_found(struct kunit *test)
{
	static const u32 payloads[] = { 17, 48, 100, 129, 1000, 5000, 33000, 300000, 3 << 20 };
	struct ku *ku = test->priv;
	struct mh_pool *pool;
	struct mh_obj o;
	u32 i, off, found;

	for (i = 0; i < ARRAY_SIZE(payloads); i++) {
		pool = ku_find(ku, ku_new_var(ku, 1, payloads[i])).pool;
		found = 0;
		down_read(&ku->heap->gate);
		for (off = 0; off < pool->nblocks * pool->stride; off++)
			if (!mh_pool_find(ku->heap, pool->first + off, &o))
				found += o.idx * pool->stride == off;
		up_read(&ku->heap->gate);
		KUNIT_EXPECT_EQ(test, found, pool->nblocks);
	}
}

/* Fresh payload reads as zero: what a pool leaves in its pages goes with them. */
static void pages_come_back_empty(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct file *file = ku->heap->arena.file;
	u32 page = ku_reserve(ku, 1, true);
	loff_t pos = (loff_t)page << PAGE_SHIFT;
	char byte = 'x';

	KUNIT_ASSERT_EQ(test, kernel_write(file, &byte, 1, &pos), 1);
	mh_arena_punch(ku->heap, page, 1, 1);
	mh_arena_release(ku->heap, page, 1, 2);
	ku->heap->arena.hint = page;
	KUNIT_ASSERT_EQ(test, ku_reserve(ku, 1, true), page);
	pos = (loff_t)page << PAGE_SHIFT;
	KUNIT_ASSERT_EQ(test, kernel_read(file, &byte, 1, &pos), 1);
	KUNIT_EXPECT_EQ(test, byte, 0);
	mh_arena_punch(ku->heap, page, 1, 1);
	mh_arena_release(ku->heap, page, 1, 2);
}

static struct kunit_case ku_arena_cases[] = {
	KUNIT_CASE(page_zero_is_nobodys),
	KUNIT_CASE(reservations_are_apart),
	KUNIT_CASE(memory_comes_and_goes),
	KUNIT_CASE(no_payload_no_memory),
	KUNIT_CASE(limit_refuses),
	KUNIT_CASE(address_space_runs_out),
	KUNIT_CASE(generations_are_remembered),
	KUNIT_CASE(worn_out_pages_are_not_reused),
	KUNIT_CASE(pages_lead_to_pools),
	KUNIT_CASE(only_blocks_are_found),
	KUNIT_CASE(pages_come_back_empty),
	{}
};

struct kunit_suite ku_arena_suite = {
	.name = "moheap_arena",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_arena_cases,
};
