// SPDX-License-Identifier: GPL-2.0
/*
 * The life of one object, from the count that names it to the block it leaves.
 *
 * Everything hangs on one 64-bit word of the header, changed by single atomic operations:
 *
 *	generation odd, count n		alive: the ref with that generation names it
 *	generation even, count n	condemned by the trace: nothing names it, n references of
 *					other condemned or dead objects are still to be cleared
 *	generation even, next granule	dead, on a list, its slots still to be cleared
 *	generation even, 0		free, or lingering before it is (linger.c)
 *
 * A count is the number of slots that refer to the object, plus one for each client that holds
 * it, plus pins of operations under way. mh_pin() adds to it only where generation and life
 * still fit, in one compare-and-exchange; so a ref either gets the object it was made for or
 * -ESTALE. Whoever takes the count to zero (mh_put()) owns the object from then on: nobody can
 * pin it, and no slot refers to it. It makes the generation even, so that the word stays the
 * only truth.
 *
 * Slots are single 32-bit granule numbers, changed by exchange. mh_pin_slot() reads a slot,
 * pins what it finds there and looks again: if the slot still says so, its own reference kept
 * the object alive meanwhile; if not, the pin is undone and the slot read anew.
 *
 * The dead are freed without recursion and without memory: they are linked through their own
 * words (struct mh_dead). mh_reap() clears slots up to a budget and leaves the rest to the
 * collector on heap->dead, so no operation pays for a long chain.
 *
 * Candidates: an object whose count falls, but not to zero, may be all that leads into a cycle.
 * Not so if a client holds it: the drop of that hold clears the bit before it lowers the count,
 * so if the bit is seen set after a count was lowered, the drop is still to come, and makes the
 * candidate. Otherwise its MH_CAND bit is set and its pool queued on heap->cand. The order is:
 * bit, then (a full barrier in test_and_set_bit()) the pool's queued flag; the collector clears
 * the flag, then looks for bits. Pins are not references: undoing one makes no candidate
 * (mh_unpin()); the drop of the reference that was undone meanwhile has made it.
 *
 * Locks: the gate, at least shared, for everything here; heap->dead_lock for heap->dead.
 */
#include "internal.h"
#include "tracepoints.h"

/**
 * mh_ref() - the ref of an object
 * @o: the object, pinned
 *
 * Return: its ref.
 */
u64 mh_ref(const struct mh_obj *o)
{
	return mh_word(mh_gen(atomic64_read(&o->header->word)), mh_granule(o));
}

/*
 * Barrier C: while unmarked means unreachable, or condemned, a ref to such an object is as good as
 * stale.
 */
static bool mh_condemned(struct mh_heap *heap, const struct mh_obj *o)
{
	return heap->phase >= MH_FINALIZING && !mh_test(o, MH_MARK) &&
	       mh_barrier(heap, MH_BARRIER_C);
}

/**
 * mh_unreachable() - was an object that is still there found to be garbage?
 * @heap: the heap; caller holds its gate
 * @o: the object, pinned
 *
 * Return: true if so: it has no name any more.
 */
bool mh_unreachable(struct mh_heap *heap, const struct mh_obj *o)
{
	return mh_condemned(heap, o);
}

static bool mh_names(struct mh_heap *heap, const struct mh_obj *o, u64 ref, u64 word)
{
	return mh_gen(word) == mh_gen(ref) && mh_count(word) && !mh_condemned(heap, o);
}

/**
 * mh_named() - find an object, without a pin
 * @heap: the heap; caller holds its gate
 * @ref: which object
 * @o: out; the object may be gone the next moment
 *
 * Return: 0, -EINVAL for what was never a ref, -ESTALE.
 */
int mh_named(struct mh_heap *heap, u64 ref, struct mh_obj *o)
{
	int err;

	if (!(mh_gen(ref) & 1))
		return -EINVAL;
	err = mh_pool_find(heap, ref, o);
	if (err)
		return err;
	return mh_names(heap, o, ref, atomic64_read_acquire(&o->header->word)) ? 0 : -ESTALE;
}

/*
 * Find an object and add @n to its count, which must not be above @max afterwards. Pins may go
 * beyond MOHEAP_COUNT_MAX: there are never more of them than threads.
 */
static int mh_count_in(struct mh_heap *heap, u64 ref, u32 n, u32 max, struct mh_obj *o)
{
	int err = mh_named(heap, ref, o);
	u64 word;

	if (err)
		return err;
	word = atomic64_read_acquire(&o->header->word);
	do {
		if (!mh_names(heap, o, ref, word))
			return -ESTALE;
		if (mh_count(word) > max - n)
			return -EOVERFLOW;
	} while (!atomic64_try_cmpxchg(&o->header->word, &word, word + n));
	return 0;
}

/**
 * mh_pin() - find an object and pin it
 * @heap: the heap; caller holds its gate
 * @ref: which object
 * @o: out
 *
 * Return: 0, -EINVAL for what was never a ref, -ESTALE.
 */
int mh_pin(struct mh_heap *heap, u64 ref, struct mh_obj *o)
{
	return mh_count_in(heap, ref, 1, U32_MAX, o);
}

/**
 * mh_refer() - find an object and count new references to it
 * @heap: the heap; caller holds its gate
 * @ref: which object
 * @n: how many references
 * @o: out
 *
 * Return: 0, -EINVAL for what was never a ref, -ESTALE, -EOVERFLOW.
 */
int mh_refer(struct mh_heap *heap, u64 ref, u32 n, struct mh_obj *o)
{
	return mh_count_in(heap, ref, n, MOHEAP_COUNT_MAX, o);
}

/**
 * mh_pin_live() - pin whatever lives in a block
 * @o: the block; caller holds the gate
 *
 * Return: true if an object lives there; it is pinned.
 */
bool mh_pin_live(const struct mh_obj *o)
{
	u64 word = atomic64_read_acquire(&o->header->word);

	do {
		if (!mh_alive(word) || !mh_count(word))
			return false;
	} while (!atomic64_try_cmpxchg(&o->header->word, &word, word + 1));
	return true;
}

/**
 * mh_pin_slot() - pin what a slot refers to
 * @heap: the heap; caller holds its gate
 * @slot: a slot of an object that the caller has pinned
 * @o: out
 *
 * Return: 1 if the slot referred to an object, which is pinned now; 0 if to none; -EOVERFLOW if
 * that has so many references that the pin must not become another.
 */
int mh_pin_slot(struct mh_heap *heap, u32 *slot, struct mh_obj *o)
{
	struct mh_dead dead = { };
	u32 granule;

	for (;;) {
		granule = READ_ONCE(*slot);
		if (!granule)
			return 0;
		if (mh_pool_find(heap, granule, o))
			continue;
		if (mh_pin_live(o)) {
			bool full = mh_count(atomic64_read(&o->header->word)) > MOHEAP_COUNT_MAX;

			if (READ_ONCE(*slot) == granule && !full) {
				/* Not marked yet, its ref would be stale, for a while. */
				if (unlikely(heap->phase == MH_FINALIZING))
					mh_shade(heap, o);
				return 1;
			}
			mh_unpin(heap, o, &dead);
			mh_reap(heap, &dead, MH_REAP_INLINE);
			if (full)
				return -EOVERFLOW;
		}
		cpu_relax();
	}
}

/* What comes after @o on a list of the dead. */
static void mh_dead_link(const struct mh_obj *o, u32 gen, u32 next)
{
	atomic64_set(&o->header->word, mh_word(gen, next));
}

static void mh_dead_push(struct mh_dead *dead, const struct mh_obj *o, u32 gen)
{
	mh_dead_link(o, gen, dead->first);
	if (!dead->first)
		dead->last = mh_granule(o);
	dead->first = mh_granule(o);
	dead->n++;
}

/**
 * mh_slots_begin() - all slots of an object are to be cleared
 * @o: the object, dead or condemned just now
 */
void mh_slots_begin(const struct mh_obj *o)
{
	struct mh_apart *apart;

	if (o->pool->bin->geo.kind != MH_SLOTS_APART)
		return;
	apart = container_of(o->header, struct mh_apart, header);
	apart->left = apart->nslots;
}

/* The count of @o just went to zero in the caller's hands. */
static void mh_died(struct mh_heap *heap, const struct mh_obj *o, u32 gen, struct mh_dead *dead)
{
	if (gen & 1) {
		if (unlikely(o->pool->final) && mh_final_rescue(heap, o))
			return;
		if (mh_watched(o))
			mh_watches_fire(heap, o);
		if (mh_freezes(heap))
			mh_frozen_gone(heap, o);
		mh_slots_begin(o);
		if (mh_condemned(heap, o))
			this_cpu_inc(heap->counters->freed_trace);
		else
			this_cpu_inc(heap->counters->freed_count);
		gen = mh_gen_after(gen);
	}
	mh_dead_push(dead, o, gen);
}

static void mh_candidate(struct mh_heap *heap, const struct mh_obj *o)
{
	struct mh_pool *pool = o->pool;

	if (!mh_may_cycle(pool) || mh_test(o, MH_CAND) || mh_is_held(o))
		return;
	if (test_and_set_bit(o->idx, mh_map(pool, MH_CAND)))
		return;
	atomic_inc(&heap->ncand);
	if (!test_and_set_bit(MH_QUEUED_CAND, &pool->queued))
		llist_add(&pool->cand_node, &heap->cand);
}

/**
 * mh_put() - take references away
 * @heap: the heap; caller holds its gate
 * @o: the object
 * @n: how many references, all the caller's to give up
 * @dead: where the object goes if they were the last
 *
 * If the object lives on, it is a candidate now.
 */
void mh_put(struct mh_heap *heap, const struct mh_obj *o, u32 n, struct mh_dead *dead)
{
	u64 word = atomic64_sub_return(n, &o->header->word);

	if (!mh_count(word))
		mh_died(heap, o, mh_gen(word), dead);
	else if (mh_alive(word))
		mh_candidate(heap, o);
}

/**
 * mh_unpin() - take a pin away
 * @heap: the heap; caller holds its gate
 * @o: the object, pinned by the caller
 * @dead: where the object goes if nothing else kept it
 */
void mh_unpin(struct mh_heap *heap, const struct mh_obj *o, struct mh_dead *dead)
{
	u64 word = atomic64_dec_return(&o->header->word);

	if (!mh_count(word))
		mh_died(heap, o, mh_gen(word), dead);
}

/**
 * mh_put_granule() - take away the reference that a slot was
 * @heap: the heap; caller holds its gate
 * @granule: what the slot said, or 0
 * @dead: where the object goes if that was the last
 */
void mh_put_granule(struct mh_heap *heap, u32 granule, struct mh_dead *dead)
{
	struct mh_obj o;

	if (!granule || WARN_ON_ONCE(mh_pool_find(heap, granule, &o)))
		return;
	mh_put(heap, &o, 1, dead);
}

/**
 * mh_grey() - objects were marked: their slots are to be followed
 * @heap: the heap; caller holds its gate
 * @pool: their pool
 * @word: which word of its bitmaps
 * @mask: which objects of that; only those that the caller marked, or that are to be followed
 *	once more
 */
void mh_grey(struct mh_heap *heap, struct mh_pool *pool, u32 word, unsigned long mask)
{
	if (!mask || !mh_may_cycle(pool))
		return;
	atomic_long_or(mask, (atomic_long_t *)&mh_map(pool, MH_GREY)[word]);
	/* The grey bits before the flag, as for candidates. */
	smp_mb__after_atomic();
	if (!test_and_set_bit(MH_QUEUED_GREY, &pool->queued))
		llist_add(&pool->grey_node, &heap->grey);
}

/**
 * mh_shade() - tell a trace under way that an object is in use
 * @heap: the heap; caller holds its gate
 * @o: the object, which somebody got a new reference to; pinned
 *
 * Return: true if the object was unmarked until now.
 */
bool mh_shade(struct mh_heap *heap, const struct mh_obj *o)
{
	struct mh_pool *pool = o->pool;

	if (!mh_marking(heap) || mh_test(o, MH_MARK))
		return false;
	if (test_and_set_bit(o->idx, mh_map(pool, MH_MARK)))
		return false;
	mh_grey(heap, pool, o->idx / BITS_PER_LONG, BIT_MASK(o->idx));
	return true;
}

/**
 * mh_shade_held() - barrier H: mh_shade(), for an object that a client is about to hold
 * @heap: the heap; caller holds its gate
 * @o: the object, pinned
 */
void mh_shade_held(struct mh_heap *heap, const struct mh_obj *o)
{
	if (mh_barrier(heap, MH_BARRIER_H))
		mh_shade(heap, o);
}

/**
 * mh_shade_stored() - barrier S: mh_shade(), for an object that a slot is about to refer to
 * @heap: the heap; caller holds its gate
 * @o: the object, pinned
 *
 * Both may be garbage, reached by refs that somebody kept. The trace, which has wiped their
 * candidates, will not free what is marked; and unlike a hold, no drop need follow that would
 * make the object a candidate. So it becomes one here.
 */
void mh_shade_stored(struct mh_heap *heap, const struct mh_obj *o)
{
	if (mh_barrier(heap, MH_BARRIER_S) && mh_shade(heap, o))
		mh_candidate(heap, o);
}

static void mh_clear_range(struct mh_heap *heap, u32 *slots, u32 from, u32 to,
			   struct mh_dead *dead)
{
	u32 i, granule;

	for (i = from; i < to; i++) {
		granule = slots[i];
		WRITE_ONCE(slots[i], 0);
		mh_put_granule(heap, granule, dead);
	}
}

/**
 * mh_slots_clear() - clear the slots of an object that the caller owns
 * @heap: the heap; caller holds its gate
 * @o: the object, dead or condemned
 * @dead: where objects go that nothing refers to any more
 * @budget: slots that may be cleared; lowered by those that were. Inline slots are cleared all
 *	at once
 *
 * Return: true when all are cleared.
 */
bool mh_slots_clear(struct mh_heap *heap, const struct mh_obj *o, struct mh_dead *dead,
		    int *budget)
{
	struct mh_apart *apart;
	u32 nslots, n;
	u32 *slots = mh_slots(o, &nslots);

	if (o->pool->bin->geo.kind != MH_SLOTS_APART) {
		mh_clear_range(heap, slots, 0, nslots, dead);
		*budget -= nslots + 1;
		return true;
	}
	apart = container_of(o->header, struct mh_apart, header);
	n = min_t(u32, apart->left, max(*budget, 1));
	mh_clear_range(heap, slots, apart->left - n, apart->left, dead);
	apart->left -= n;
	*budget -= n + 1;
	return !apart->left;
}

static void mh_free_apart(struct mh_heap *heap, const struct mh_obj *o)
{
	struct mh_apart *apart;

	if (o->pool->bin->geo.kind != MH_SLOTS_APART)
		return;
	apart = container_of(o->header, struct mh_apart, header);
	mh_uncharge(heap, &heap->kernel_bytes, apart->nslots * sizeof(u32));
	kvfree(apart->slots);
	apart->slots = NULL;
	apart->nslots = 0;
}

/**
 * mh_object_release() - give up the block of an object that is gone
 * @heap: the heap; caller holds its gate
 * @o: the object; the caller owns it, nothing refers to it, its slots are cleared
 * @gen: its generation, even
 * @freed: where the block goes; the caller has mh_blocks_release() at the end
 */
void mh_object_release(struct mh_heap *heap, const struct mh_obj *o, u32 gen,
		       struct mh_freed *freed)
{
	struct mh_pool *pool = o->pool;

	if (mh_test(o, MH_CAND) && test_and_clear_bit(o->idx, mh_map(pool, MH_CAND)))
		atomic_dec(&heap->ncand);
	/* What is grey was shaded, and is followed before marking ends. */
	if (mh_marking(heap) && mh_test(o, MH_GREY))
		clear_bit(o->idx, mh_map(pool, MH_GREY));
	if (unlikely(READ_ONCE(pool->sites)))
		mh_site_forget(heap, o);
	mh_free_apart(heap, o);
	trace_moheap_free(heap, o, gen);
	mh_block_free(pool, o->idx, gen, freed);
}

static void mh_dead_splice(struct mh_heap *heap, struct mh_dead *dead)
{
	struct mh_dead *all = &heap->dead;
	struct mh_obj last;

	if (!dead->first)
		return;
	spin_lock(&heap->dead_lock);
	if (all->first) {
		if (!WARN_ON_ONCE(mh_pool_find(heap, dead->last, &last)))
			mh_dead_link(&last, mh_gen(atomic64_read(&last.header->word)),
				     all->first);
	} else {
		all->last = dead->last;
	}
	all->first = dead->first;
	all->n += dead->n;
	spin_unlock(&heap->dead_lock);
	atomic_add(dead->n, &heap->ndead);
	*dead = (struct mh_dead){ };
}

/**
 * mh_reap_into() - free the dead, and what dies with them, but for their blocks
 * @heap: the heap; caller holds its gate
 * @dead: the dead; empty afterwards
 * @budget: slots to clear before the rest is left to the collector
 * @freed: where the blocks go; the caller has mh_blocks_release() before it lets go of the gate
 */
void mh_reap_into(struct mh_heap *heap, struct mh_dead *dead, int budget, struct mh_freed *freed)
{
	struct mh_obj o;
	u64 word;

	while (dead->first && budget > 0) {
		if (WARN_ON_ONCE(mh_pool_find(heap, dead->first, &o)))
			break;
		word = atomic64_read(&o.header->word);
		dead->first = mh_count(word);
		dead->n--;
		if (mh_slots_clear(heap, &o, dead, &budget))
			mh_object_release(heap, &o, mh_gen(word), freed);
		else
			mh_dead_push(dead, &o, mh_gen(word));
	}
	mh_dead_splice(heap, dead);
}

/**
 * mh_reap() - free the dead, and what dies with them
 * @heap: the heap; caller holds its gate
 * @dead: the dead; empty afterwards
 * @budget: slots to clear before the rest is left to the collector
 */
void mh_reap(struct mh_heap *heap, struct mh_dead *dead, int budget)
{
	struct mh_freed freed = { };

	mh_reap_into(heap, dead, budget, &freed);
	mh_blocks_release(&freed);
}

/**
 * mh_reap_step() - free some of the dead that were left to the collector
 * @heap: the heap; caller holds its gate
 * @budget: slots to clear
 *
 * Return: true if some are left.
 */
bool mh_reap_step(struct mh_heap *heap, int budget)
{
	struct mh_dead dead;
	u32 n;

	spin_lock(&heap->dead_lock);
	dead = heap->dead;
	heap->dead = (struct mh_dead){ };
	spin_unlock(&heap->dead_lock);
	n = dead.n;
	mh_reap(heap, &dead, budget);
	/* Only now: who reads 0 may rely on it. */
	atomic_sub(n, &heap->ndead);
	return atomic_read(&heap->ndead) > 0;
}

/**
 * mh_object_stat() - what is known of an object
 * @o: the object, pinned once by the caller
 * @stat: out: all but size, flags and ref
 */
void mh_object_stat(const struct mh_obj *o, struct moheap_object *stat)
{
	const struct mh_bin *bin = o->pool->bin;

	mh_slots(o, &stat->slots);
	stat->type = bin->type->id;
	stat->count = mh_count(atomic64_read(&o->header->word)) - 1;
	stat->payload = bin->geo.backed ? (u64)bin->geo.stride * MOHEAP_GRANULE : 0;
	stat->header_bytes = bin->geo.hstride;
	if (bin->geo.kind == MH_SLOTS_APART)
		stat->slot_bytes = (u64)stat->slots * sizeof(u32);
}
