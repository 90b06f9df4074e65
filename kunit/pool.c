// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_pool: blocks taken and freed in every order, and what a pool is to its bin meanwhile.
 *
 * The cases take pools as a client does, but have no client: they free every block themselves.
 */
#include "fixture.h"

static struct mh_bin *ku_bin(struct ku *ku, enum ku_type type)
{
	return mh_type_find(ku->heap, ku->type[type])->fixed;
}

static struct mh_pool *ku_pool(struct ku *ku, enum ku_type type)
{
	struct mh_pool *pool = mh_pool_create(ku->heap, ku_bin(ku, type));

	KUNIT_ASSERT_NOT_ERR_OR_NULL(ku->test, pool);
	return pool;
}

/* Take all blocks of a pool that has a few, in words of at most @want. */
static u32 ku_take_all(struct ku *ku, struct mh_pool *pool, u32 want, u32 *blocks)
{
	unsigned long mask;
	u32 word, got, n = 0;

	for (;;) {
		got = mh_pool_take(pool, want, &word, &mask);
		if (!got)
			return n;
		KUNIT_ASSERT_EQ(ku->test, hweight_long(mask), got);
		KUNIT_ASSERT_LE(ku->test, got, want);
		for (; mask; mask &= mask - 1)
			blocks[n++] = word * BITS_PER_LONG + __ffs(mask);
	}
}

/* Several blocks, of an array that is used as a ring, are freed in one go. */
static void ku_blocks_free(struct ku *ku, struct mh_pool *pool, const u32 *ring, u32 first, u32 n,
			   u32 size)
{
	struct mh_freed freed = { };
	u32 i, idx, gen;

	down_read(&ku->heap->gate);
	for (i = 0; i < n; i++) {
		idx = ring[(first + i) % size];
		gen = mh_gen(atomic64_read(&mh_header(pool, idx)->word));
		mh_block_free(pool, idx, gen, &freed);
	}
	mh_blocks_release(&freed);
	up_read(&ku->heap->gate);
}

static void ku_block_free(struct ku *ku, struct mh_pool *pool, u32 idx)
{
	ku_blocks_free(ku, pool, &idx, 0, 1, 1);
}

static u32 *ku_blocks(struct ku *ku)
{
	u32 *blocks = kunit_kcalloc(ku->test, MH_POOL_BLOCKS, sizeof(*blocks), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(ku->test, blocks);
	return blocks;
}

static void each_block_once(struct kunit *test)
{
	static const u32 wants[] = { 1, 3, 64, 1000 };
	struct ku *ku = test->priv;
	struct mh_pool *pool = ku_pool(ku, KU_NODE);
	u32 *blocks = ku_blocks(ku);
	u32 i, j, n;
	DECLARE_BITMAP(seen, MH_POOL_BLOCKS);

	for (i = 0; i < ARRAY_SIZE(wants); i++) {
		n = ku_take_all(ku, pool, wants[i], blocks);
		KUNIT_EXPECT_EQ(test, n, pool->nblocks);
		KUNIT_EXPECT_EQ(test, atomic_read(&pool->nfree), 0);
		bitmap_zero(seen, MH_POOL_BLOCKS);
		for (j = 0; j < n; j++)
			KUNIT_ASSERT_FALSE(test, __test_and_set_bit(blocks[j], seen));
		KUNIT_EXPECT_TRUE(test, bitmap_full(seen, pool->nblocks));
		for (j = 0; j < n; j++)
			ku_block_free(ku, pool, blocks[j]);
		KUNIT_EXPECT_EQ(test, atomic_read(&pool->nfree), pool->nblocks);
	}
	mh_pool_retire(pool);
}

static void freed_blocks_are_taken_again(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_pool *pool = ku_pool(ku, KU_NODE);
	u32 *blocks = ku_blocks(ku);
	u32 i, n = ku_take_all(ku, pool, 64, blocks);
	unsigned long mask;
	u32 word;

	for (i = 0; i < n; i += 97) {
		ku_block_free(ku, pool, blocks[i]);
		KUNIT_ASSERT_EQ(test, mh_pool_take(pool, 64, &word, &mask), 1);
		KUNIT_EXPECT_EQ(test, word * BITS_PER_LONG + __ffs(mask), blocks[i]);
		KUNIT_EXPECT_EQ(test, mh_pool_take(pool, 64, &word, &mask), 0);
	}
	for (i = 0; i < n; i++)
		ku_block_free(ku, pool, blocks[i]);
	mh_pool_retire(pool);
}

/* What the pool must be to its bin while nobody has it active. */
static void ku_expect_settled(struct kunit *test, struct mh_pool *pool)
{
	u32 nfree = bitmap_weight(mh_map(pool, MH_FREE), pool->nblocks);

	KUNIT_ASSERT_EQ(test, atomic_read(&pool->nfree), nfree);
	if (!nfree)
		KUNIT_ASSERT_EQ(test, pool->state, MH_POOL_FULL);
	else if (nfree < pool->nblocks)
		KUNIT_ASSERT_EQ(test, pool->state,
				pool->nblocks - nfree > pool->level ? MH_POOL_PARTIAL :
								      MH_POOL_SPARSE);
	else
		KUNIT_ASSERT_EQ(test, pool->state, MH_POOL_EMPTY);
	KUNIT_ASSERT_EQ(test, list_empty(&pool->list), !nfree);
}

/* The next order of a few numbers; false after the last. */
static bool ku_permute(u32 *order, u32 n)
{
	u32 i, j;

	for (i = n - 1; i && order[i - 1] > order[i]; i--)
		;
	if (!i)
		return false;
	for (j = n - 1; order[j] < order[i - 1]; j--)
		;
	swap(order[i - 1], order[j]);
	for (j = n - 1; i < j; i++, j--)
		swap(order[i], order[j]);
	return true;
}

/* A pool of few blocks, and all orders in which they can be freed. */
static void freed_in_every_order(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_type *type = mh_type_find(ku->heap, ku->type[KU_VAR]);
	struct mh_bin *bin = mh_type_bin(ku->heap, type, 12288, 1);
	u32 order[] = { 0, 1, 2, 3, 4 };
	struct mh_pool *pool;
	u32 blocks[16], i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bin);
	pool = mh_pool_create(ku->heap, bin);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pool);
	KUNIT_ASSERT_EQ(test, pool->nblocks, ARRAY_SIZE(order));
	do {
		KUNIT_ASSERT_EQ(test, ku_take_all(ku, pool, 2, blocks), pool->nblocks);
		KUNIT_ASSERT_EQ(test, pool->state, MH_POOL_ACTIVE);
		mh_pool_retire(pool);
		ku_expect_settled(test, pool);
		for (i = 0; i < pool->nblocks; i++) {
			ku_block_free(ku, pool, blocks[order[i]]);
			ku_expect_settled(test, pool);
		}
		KUNIT_ASSERT_PTR_EQ(test, mh_pool_adopt(bin), pool);
	} while (ku_permute(order, ARRAY_SIZE(order)));
	mh_pool_retire(pool);
}

/* Retired at any fill, a pool is where its free blocks say. */
static void retired_at_every_fill(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_pool *pool = ku_pool(ku, KU_WIDE);
	u32 *blocks = ku_blocks(ku);
	u32 n = ku_take_all(ku, pool, 64, blocks), i;

	for (i = n; i; i--) {
		mh_pool_retire(pool);
		ku_expect_settled(test, pool);
		ku_block_free(ku, pool, blocks[i - 1]);
		ku_expect_settled(test, pool);
		KUNIT_ASSERT_PTR_EQ(test, mh_pool_adopt(pool->bin), pool);
		KUNIT_ASSERT_EQ(test, pool->state, MH_POOL_ACTIVE);
	}
	mh_pool_retire(pool);
}

/* Frees leave an active pool where it is: only its client takes from it. */
static void active_stays_active(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_pool *pool = ku_pool(ku, KU_NODE);
	u32 *blocks = ku_blocks(ku);
	u32 i, n = ku_take_all(ku, pool, 64, blocks);

	for (i = 0; i < n; i++) {
		ku_block_free(ku, pool, blocks[i]);
		KUNIT_ASSERT_EQ(test, pool->state, MH_POOL_ACTIVE);
		KUNIT_ASSERT_PTR_EQ(test, mh_pool_adopt(pool->bin), NULL);
	}
	mh_pool_retire(pool);
	KUNIT_EXPECT_EQ(test, pool->state, MH_POOL_EMPTY);
}

static void partial_before_empty(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_pool *empty = ku_pool(ku, KU_NODE), *partial = ku_pool(ku, KU_NODE);
	unsigned long mask;
	u32 word;

	KUNIT_ASSERT_EQ(test, mh_pool_take(partial, 1, &word, &mask), 1);
	mh_pool_retire(partial);
	mh_pool_retire(empty);
	KUNIT_EXPECT_PTR_EQ(test, mh_pool_adopt(empty->bin), partial);
	KUNIT_EXPECT_PTR_EQ(test, mh_pool_adopt(empty->bin), empty);
	KUNIT_EXPECT_PTR_EQ(test, mh_pool_adopt(empty->bin), NULL);
	ku_block_free(ku, partial, word * BITS_PER_LONG + __ffs(mask));
	mh_pool_retire(partial);
	mh_pool_retire(empty);
}

/* One empty pool is kept for the next burst, the others go; at the limit all go. */
static void empty_pools_are_given_back(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_stat before, stat;
	struct mh_pool *pools[20];
	u32 i;

	mh_pool_retire(ku_pool(ku, KU_NODE));
	ku_trim(ku->heap);
	before = ku_stat(ku);
	KUNIT_EXPECT_EQ(test, before.pools, 1);
	for (i = 0; i < ARRAY_SIZE(pools); i++)
		pools[i] = ku_pool(ku, KU_NODE);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).pools, 1 + ARRAY_SIZE(pools));
	for (i = 0; i < ARRAY_SIZE(pools); i++)
		mh_pool_retire(pools[i]);
	ku_trim(ku->heap);
	stat = ku_stat(ku);
	KUNIT_EXPECT_EQ(test, stat.pools, before.pools);
	KUNIT_EXPECT_EQ(test, stat.arena_bytes, before.arena_bytes);
	KUNIT_EXPECT_EQ(test, stat.kernel_bytes, before.kernel_bytes);
	mh_trim_all(ku->heap);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).pools, 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).arena_bytes, 0);
}

/* The collector may still look at a pool that is queued: it must find it. */
static void queued_pools_stay(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_pool *pool = ku_pool(ku, KU_NODE);

	set_bit(MH_QUEUED_CAND, &pool->queued);
	mh_pool_retire(pool);
	mh_trim_all(ku->heap);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).pools, 1);
	clear_bit(MH_QUEUED_CAND, &pool->queued);
	mh_trim_all(ku->heap);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).pools, 0);
}

static void pool_at_the_limit(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *client = ku_adopt(ku, moheap_create(MOHEAP_LIMIT_MIN, 0));
	int id = ku_register(client, "node", 0, 2, 16);
	struct mh_bin *bin = mh_type_find(client->heap, id)->fixed;
	struct moheap_stat before = { }, stat = { };
	struct mh_pool *pool, *pools[64];
	int n = 0;

	for (;;) {
		moheap_stat(client, &before);
		pool = mh_pool_create(client->heap, bin);
		if (IS_ERR(pool) || n == ARRAY_SIZE(pools))
			break;
		pools[n++] = pool;
	}
	KUNIT_EXPECT_EQ(test, PTR_ERR(pool), -ENOSPC);
	moheap_stat(client, &stat);
	KUNIT_EXPECT_EQ(test, stat.pools, n);
	KUNIT_EXPECT_EQ(test, stat.kernel_bytes, before.kernel_bytes);
	KUNIT_EXPECT_EQ(test, stat.arena_bytes, before.arena_bytes);
	KUNIT_EXPECT_LE(test, stat.kernel_bytes + stat.arena_bytes, MOHEAP_LIMIT_MIN);
	while (n--)
		mh_pool_retire(pools[n]);
	KUNIT_EXPECT_EQ(test, moheap_check(client), 0);
	ku_close(ku, client);
}

/* ---- Freed by one, taken by another ---- */

#define KU_HANDOVER	256	/* blocks on their way; a power of two */

struct ku_race {
	struct ku *ku;
	struct mh_pool *pool;
	u32 ring[KU_HANDOVER];
	u32 head, tail;
};

/* Blocks put in by one thread; what it wrote before is seen by who takes them out. */
static u32 ku_put_in(struct ku_race *race)
{
	/* Pairs with ku_hand_over(). */
	return smp_load_acquire(&race->head);
}

static u32 ku_taken_out(struct ku_race *race)
{
	/* Pairs with ku_freer(). */
	return smp_load_acquire(&race->tail);
}

/* Frees what ku_hand_over() puts into the ring. */
static void ku_freer(void *data)
{
	struct ku_race *race = data;
	u32 n, tail = 0;

	while (!kthread_should_stop() || ku_put_in(race) != tail) {
		n = min(ku_put_in(race) - tail, 1 + tail % 5);
		if (!n) {
			cond_resched();
			continue;
		}
		ku_blocks_free(race->ku, race->pool, race->ring, tail, n, KU_HANDOVER);
		tail += n;
		/* The entries were read: they may be written again. */
		smp_store_release(&race->tail, tail);
	}
}

static void ku_hand_over(struct ku_race *race, u32 block)
{
	while (race->head - ku_taken_out(race) == KU_HANDOVER)
		cond_resched();
	race->ring[race->head % KU_HANDOVER] = block;
	/* The entry was written: it may be read. */
	smp_store_release(&race->head, race->head + 1);
}

static void taken_while_freed(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	u32 i, got, word, steps = ku_steps() * 4;
	struct ku_task *freer;
	unsigned long mask;

	KUNIT_ASSERT_NOT_NULL(test, race);
	race->ku = ku;
	race->pool = ku_pool(ku, KU_WIDE);
	freer = ku_start(ku, -1, ku_freer, race);
	for (i = 0; i < steps; i += got) {
		got = mh_pool_take(race->pool, 1 + i % 7, &word, &mask);
		for (; mask && got; mask &= mask - 1)
			ku_hand_over(race, word * BITS_PER_LONG + __ffs(mask));
		if (!got)
			cond_resched();
	}
	ku_stop(freer);
	KUNIT_EXPECT_EQ(test, race->head, i);
	KUNIT_EXPECT_EQ(test, atomic_read(&race->pool->nfree), race->pool->nblocks);
	mh_pool_retire(race->pool);
	ku_expect_settled(test, race->pool);
}

/* Wait until the pool can be adopted: at the latest when all that was handed over is freed. */
static struct mh_pool *ku_adopt_again(struct ku_race *race)
{
	struct mh_pool *pool;
	bool freed;

	do {
		cond_resched();
		freed = ku_taken_out(race) == race->head;
		pool = mh_pool_adopt(race->pool->bin);
	} while (!pool && !freed);
	return pool;
}

/*
 * The pool is retired and adopted by one while another frees its blocks, all but one: a pool that
 * is taken for full stays so.
 */
static void retired_while_freed(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	u32 i, j, n, kept, *blocks = ku_blocks(ku);
	u32 rounds = ku_steps() / 150;
	struct mh_pool *pool = NULL;
	struct ku_task *freer;
	unsigned long mask;

	KUNIT_ASSERT_NOT_NULL(test, race);
	race->ku = ku;
	race->pool = ku_pool(ku, KU_WIDE);
	KUNIT_ASSERT_EQ(test, mh_pool_take(race->pool, 1, &n, &mask), 1);
	kept = n * BITS_PER_LONG + __ffs(mask);
	freer = ku_start(ku, -1, ku_freer, race);
	for (i = 0; i < rounds; i++) {
		n = ku_take_all(ku, race->pool, 64, blocks);
		for (j = 0; j < n; j++)
			ku_hand_over(race, blocks[j]);
		mh_pool_retire(race->pool);
		pool = ku_adopt_again(race);
		KUNIT_EXPECT_PTR_EQ(test, pool, race->pool);
		if (!pool)
			break;
	}
	if (pool)
		mh_pool_retire(pool);
	ku_stop(freer);
	ku_block_free(ku, race->pool, kept);
	ku_expect_settled(test, race->pool);
	KUNIT_EXPECT_EQ(test, race->pool->state, MH_POOL_EMPTY);
}

static struct kunit_case ku_pool_cases[] = {
	KUNIT_CASE(each_block_once),
	KUNIT_CASE(freed_blocks_are_taken_again),
	KUNIT_CASE(freed_in_every_order),
	KUNIT_CASE(retired_at_every_fill),
	KUNIT_CASE(active_stays_active),
	KUNIT_CASE(partial_before_empty),
	KUNIT_CASE(empty_pools_are_given_back),
	KUNIT_CASE(queued_pools_stay),
	KUNIT_CASE(pool_at_the_limit),
	KUNIT_CASE(taken_while_freed),
	KUNIT_CASE(retired_while_freed),
	{}
};

struct kunit_suite ku_pool_suite = {
	.name = "moheap_pool",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_pool_cases,
};
