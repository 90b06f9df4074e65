// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_check: the check must be able to fail. Damage of every kind is planted, seen, and
 * taken away again; after that the heap must be fine, or the case has found nothing.
 */
#include "fixture.h"

/**
 * struct ku_scene - what there is to damage
 * @ku: the case
 * @owner: a node, held; its first slot refers to @target
 * @target: a node, held
 * @spare: a free block of their pool
 * @gone: what @spare was the ref of
 */
struct ku_scene {
	struct ku *ku;
	u64 owner;
	u64 target;
	struct mh_obj spare;
	u64 gone;
};

static struct ku_scene ku_scene(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_scene s = { .ku = ku, .owner = ku_new(ku, KU_NODE) };

	s.target = ku_new(ku, KU_NODE);
	ku_link(ku, s.owner, 0, s.target);
	s.gone = ku_new(ku, KU_NODE);
	ku_release(ku, s.gone);
	s.spare = ku_find(ku, s.gone);
	KUNIT_ASSERT_EQ(test, moheap_check(ku->client), 0);
	return s;
}

static u32 *ku_slot(struct ku_scene *s)
{
	struct mh_obj o = ku_find(s->ku, s->owner);
	u32 nslots;

	return mh_slots(&o, &nslots);
}

static unsigned long *ku_hold_bits(struct ku_scene *s)
{
	struct mh_obj o = ku_find(s->ku, s->owner);
	struct mh_holds *holds;

	holds = hlist_entry(o.pool->holders.first, struct mh_holds, node);
	return holds->bits;
}

static void ku_expect_seen(struct ku_scene *s)
{
	KUNIT_EXPECT_EQ(s->ku->test, moheap_check(s->ku->client), -EUCLEAN);
}

static void ku_expect_fine(struct ku_scene *s)
{
	KUNIT_EXPECT_EQ(s->ku->test, moheap_check(s->ku->client), 0);
}

static void count_too_high(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);

	ku_add_count(s.ku, s.target, 1);
	ku_expect_seen(&s);
	ku_add_count(s.ku, s.target, -1);
	ku_expect_fine(&s);
}

static void count_too_low(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);

	ku_add_count(s.ku, s.target, -1);
	ku_expect_seen(&s);
	ku_add_count(s.ku, s.target, -1);
	ku_expect_seen(&s);
	ku_add_count(s.ku, s.target, 2);
	ku_expect_fine(&s);
}

static void hold_lost(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);
	u32 idx = ku_find(s.ku, s.target).idx;

	clear_bit(idx, ku_hold_bits(&s));
	ku_expect_seen(&s);
	set_bit(idx, ku_hold_bits(&s));
	ku_expect_fine(&s);
}

static void hold_of_nothing(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);

	set_bit(s.spare.idx, ku_hold_bits(&s));
	ku_expect_seen(&s);
	clear_bit(s.spare.idx, ku_hold_bits(&s));
	ku_expect_fine(&s);
}

static void slot_lost(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);
	u32 was = xchg(ku_slot(&s), 0);

	ku_expect_seen(&s);
	xchg(ku_slot(&s), was);
	ku_expect_fine(&s);
}

static void slot_leads_elsewhere(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);
	u32 was = xchg(ku_slot(&s), s.owner);

	ku_expect_seen(&s);
	/* To a free block. */
	xchg(ku_slot(&s), s.gone);
	ku_expect_seen(&s);
	/* To no block at all. */
	xchg(ku_slot(&s), 1);
	ku_expect_seen(&s);
	xchg(ku_slot(&s), U32_MAX);
	ku_expect_seen(&s);
	xchg(ku_slot(&s), was);
	ku_expect_fine(&s);
}

static void slot_of_a_free_block(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);
	u32 nslots, *slots = mh_slots(&s.spare, &nslots);

	slots[1] = s.target;
	ku_expect_seen(&s);
	slots[1] = 0;
	ku_expect_fine(&s);
}

static void free_bit_lost(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);
	struct mh_pool *pool = s.spare.pool;

	clear_bit(s.spare.idx, mh_map(pool, MH_FREE));
	ku_expect_seen(&s);
	/* And not even missed. */
	atomic_dec(&pool->nfree);
	ku_expect_seen(&s);
	atomic_inc(&pool->nfree);
	set_bit(s.spare.idx, mh_map(pool, MH_FREE));
	ku_expect_fine(&s);
}

static void free_and_in_use(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);
	struct mh_obj o = ku_find(s.ku, s.target);

	set_bit(o.idx, mh_map(o.pool, MH_FREE));
	atomic_inc(&o.pool->nfree);
	ku_expect_seen(&s);
	atomic_dec(&o.pool->nfree);
	clear_bit(o.idx, mh_map(o.pool, MH_FREE));
	ku_expect_fine(&s);
}

static void free_and_alive(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);

	atomic64_add(1ULL << 32, &s.spare.header->word);
	ku_expect_seen(&s);
	atomic64_sub(1ULL << 32, &s.spare.header->word);
	ku_expect_fine(&s);
}

static void free_blocks_miscounted(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);

	atomic_inc(&s.spare.pool->nfree);
	ku_expect_seen(&s);
	atomic_dec(&s.spare.pool->nfree);
	ku_expect_fine(&s);
}

static void retired_blocks_miscounted(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);

	atomic_inc(&s.spare.pool->nretired);
	ku_expect_seen(&s);
	atomic_dec(&s.spare.pool->nretired);
	ku_expect_fine(&s);
}

static void trial_bit_left(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);
	struct mh_obj o = ku_find(s.ku, s.target);

	atomic64_add(MH_TRIAL, &o.header->word);
	ku_expect_seen(&s);
	atomic64_sub(MH_TRIAL, &o.header->word);
	ku_expect_fine(&s);
}

static void candidates_miscounted(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);

	atomic_inc(&s.ku->heap->ncand);
	ku_expect_seen(&s);
	atomic_dec(&s.ku->heap->ncand);
	ku_expect_fine(&s);
}

/* A candidate that the collector will never come to. */
static void candidate_not_queued(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);
	struct mh_obj o = ku_find(s.ku, s.target);

	set_bit(o.idx, mh_map(o.pool, MH_CAND));
	atomic_inc(&s.ku->heap->ncand);
	ku_expect_seen(&s);
	atomic_dec(&s.ku->heap->ncand);
	clear_bit(o.idx, mh_map(o.pool, MH_CAND));
	ku_expect_fine(&s);
}

static void figures_wrong(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);

	this_cpu_inc(s.ku->heap->counters->allocated);
	ku_expect_seen(&s);
	/* As any processor may count it. */
	this_cpu_inc(s.ku->heap->counters->freed_count);
	ku_expect_fine(&s);
}

static void dead_miscounted(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);

	atomic_inc(&s.ku->heap->ndead);
	ku_expect_seen(&s);
	s.ku->heap->dead.n++;
	ku_expect_seen(&s);
	atomic_dec(&s.ku->heap->ndead);
	s.ku->heap->dead.n--;
	ku_expect_fine(&s);
}

static void alive_among_the_dead(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);
	struct mh_heap *heap = s.ku->heap;
	struct mh_dead none = heap->dead;
	u64 word = ku_word(s.ku, s.target);

	/* The list goes through words: with a count of 0 it ends there. */
	atomic64_set(&ku_find(s.ku, s.target).header->word, word & ~0xffffffffULL);
	heap->dead = (struct mh_dead){ .first = s.target, .last = s.target, .n = 1 };
	atomic_set(&heap->ndead, 1);
	ku_expect_seen(&s);
	heap->dead = none;
	atomic_set(&heap->ndead, 0);
	atomic64_set(&ku_find(s.ku, s.target).header->word, word);
	ku_expect_fine(&s);
}

/* A state says which list the pool is on: a wrong one, and nobody finds its blocks. */
static void pool_in_the_wrong_state(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);
	struct mh_pool *pool = s.spare.pool;
	u32 was = pool->state;

	pool->state = MH_POOL_FULL;
	ku_expect_seen(&s);
	pool->state = MH_POOL_EMPTY;
	ku_expect_seen(&s);
	pool->state = was;
	ku_expect_fine(&s);
}

static void full_pool_called_partial(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);
	struct mh_pool *pool = s.spare.pool;
	u32 was = pool->state;

	ku_new_many(s.ku, KU_NODE, atomic_read(&pool->nfree));
	KUNIT_ASSERT_EQ(test, atomic_read(&pool->nfree), 0);
	pool->state = MH_POOL_PARTIAL;
	ku_expect_seen(&s);
	pool->state = was;
	ku_expect_fine(&s);
}

/* What is no damage: work that waits, and a trace at any step (see moheap_trace). */
static void fine_with_work_waiting(struct kunit *test)
{
	struct ku_scene s = ku_scene(test);
	struct ku *ku = s.ku;
	u32 n = 1000, i;
	u64 hub = ku_new_var(ku, n, 0), *ring = ku_ring(ku, n);

	for (i = 0; i < n; i++)
		ku_link(ku, hub, i, ring[i]);
	ku_drop_all(ku, ring, n);
	ku_expect_fine(&s);
	ku_release(ku, hub);
	KUNIT_EXPECT_GT(test, ku_stat(ku).pending, 0);
	KUNIT_EXPECT_GT(test, ku_stat(ku).candidates, 0);
	ku_expect_fine(&s);
}

static struct kunit_case ku_check_cases[] = {
	KUNIT_CASE(count_too_high),
	KUNIT_CASE(count_too_low),
	KUNIT_CASE(hold_lost),
	KUNIT_CASE(hold_of_nothing),
	KUNIT_CASE(slot_lost),
	KUNIT_CASE(slot_leads_elsewhere),
	KUNIT_CASE(slot_of_a_free_block),
	KUNIT_CASE(free_bit_lost),
	KUNIT_CASE(free_and_in_use),
	KUNIT_CASE(free_and_alive),
	KUNIT_CASE(free_blocks_miscounted),
	KUNIT_CASE(retired_blocks_miscounted),
	KUNIT_CASE(trial_bit_left),
	KUNIT_CASE(candidates_miscounted),
	KUNIT_CASE(candidate_not_queued),
	KUNIT_CASE(figures_wrong),
	KUNIT_CASE(dead_miscounted),
	KUNIT_CASE(alive_among_the_dead),
	KUNIT_CASE(pool_in_the_wrong_state),
	KUNIT_CASE(full_pool_called_partial),
	KUNIT_CASE(fine_with_work_waiting),
	{}
};

struct kunit_suite ku_check_suite = {
	.name = "moheap_check",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_check_cases,
};
