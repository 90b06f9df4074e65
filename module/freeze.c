// SPDX-License-Identifier: GPL-2.0
/*
 * Freezing: objects set aside from the collector, as Python's gc.freeze() has it.
 *
 * A frozen object (MH_FROZEN) is alive until its count says otherwise: the collector never finds
 * it unreachable. To a local pass it is as one that a client holds. To a trace it is a root; but
 * its slots are followed only while it is *remembered* (MH_REMEMBERED), so that a heap full of
 * frozen objects costs a trace a few words a pool. The invariant:
 *
 *	a frozen object that is not remembered refers to frozen objects only
 *
 * - Freezing remembers an object.
 * - Who stores a reference to one that is not frozen remembers the owner, once the slot is written
 *   (barrier F, mh_frozen_stored()).
 * - A trace that follows a frozen object forgets it first, then reads its slots, and remembers it
 *   again if one refers to an object that is not frozen (mh_frozen_follow(), trace.c). Between
 *   the two writes and reads of either side is a full barrier: either the trace sees the new
 *   slot, or the store sees an object that is not remembered.
 * - Unfreezing, which would make targets other than frozen, remembers all that is frozen first,
 *   and keeps traces from forgetting until it is done (heap->unfreezing).
 * - A frozen object that is referred to cannot cease to be frozen by dying; and when it dies, it
 *   is not frozen any more at once (mh_died()), before its slots are cleared, so the dead are no
 *   roots.
 * - Nor by becoming another object, for all that others see: what is frozen is renewed under the
 *   exclusive gate (mh_renew()).
 *
 * So the proof of trace.c has one more kind of root. The first object of a path is held or frozen;
 * if it is frozen and was not followed, then the next one was frozen, too, and marked with the
 * roots, or it was stored there since the roots were marked, and shaded (barrier S). Or it was
 * unfrozen before the walk over the roots came to it: then the first one has been followed after
 * all, for unfreezing makes all that is frozen grey, before anything ceases to be. Objects that are
 * frozen after the walk passed them are shaded then; what is unreachable or condemned by then is
 * not frozen any more. Without barrier F, an object that only a frozen one refers to is condemned
 * by the next trace but one. tools/model has all of this (-DFROZEN), and shows what happens without
 * each part of it.
 *
 * Both go over the pools in bounded steps under the exclusive gate, so nobody frees, stores or
 * makes anything meanwhile, and need no memory. In between others work: an object made since
 * the call began may be frozen or not. What is interrupted is done in part, which is as good.
 *
 * Left out is what only a client's hold refers to, and that refers to nothing: the library keeps
 * such objects in stock, in every process, and what it makes of them later is not meant. No
 * garbage can come of it now.
 *
 * Locks: the gate. MH_FROZEN and heap->unfreezing change under the exclusive gate, but for
 * objects that go (mh_frozen_gone()).
 */
#include <linux/sched/signal.h>

#include "internal.h"

/* Of each step under the exclusive gate: pools, and objects and slots looked at in them. */
#define MH_FREEZE_POOLS	64
#define MH_FREEZE_STEP	1024

/* Objects with more slots are in nobody's stock. */
#define MH_STOCK_SLOTS	256

/* As the library has it in stock? */
static bool mh_in_stock(const struct mh_obj *o, u64 word)
{
	u32 nslots;
	u32 *slots;

	if (mh_count(word) != 1 || !mh_is_held_still(o))
		return false;
	slots = mh_slots(o, &nslots);
	return nslots <= MH_STOCK_SLOTS && !memchr_inv(slots, 0, nslots * sizeof(*slots));
}

static bool mh_freezable(struct mh_heap *heap, const struct mh_obj *o)
{
	u64 word = atomic64_read(&o->header->word);

	return mh_alive(word) && mh_count(word) && !mh_unreachable(heap, o) &&
	       !mh_in_stock(o, word);
}

static void mh_freeze_word(struct mh_heap *heap, struct mh_pool *pool, u32 word)
{
	unsigned long left = ~(mh_map(pool, MH_FREE)[word] | mh_map(pool, MH_FROZEN)[word]);
	struct mh_obj o = { .pool = pool };

	for (; left; left &= left - 1) {
		o.idx = word * BITS_PER_LONG + __ffs(left);
		if (o.idx >= pool->nblocks)
			break;
		o.header = mh_header(pool, o.idx);
		if (!mh_freezable(heap, &o))
			continue;
		__set_bit(o.idx, mh_map(pool, MH_FROZEN));
		__set_bit(o.idx, mh_map(pool, MH_REMEMBERED));
		atomic_long_inc(&heap->nfrozen);
		mh_shade(heap, &o);
	}
}

/*
 * A trace that has marked some of it as roots, without following, counted on all of it to be
 * frozen when their turn comes. So all is marked and followed now.
 */
static void mh_remember_word(struct mh_heap *heap, struct mh_pool *pool, u32 word)
{
	unsigned long frozen = mh_map(pool, MH_FROZEN)[word];

	mh_map(pool, MH_REMEMBERED)[word] = frozen;
	if (!frozen || !mh_marking(heap))
		return;
	mh_map(pool, MH_MARK)[word] |= frozen;
	mh_grey(heap, pool, word, frozen);
}

static void mh_unfreeze_word(struct mh_heap *heap, struct mh_pool *pool, u32 word)
{
	atomic_long_sub(hweight_long(mh_map(pool, MH_FROZEN)[word]), &heap->nfrozen);
	mh_map(pool, MH_FROZEN)[word] = 0;
	mh_map(pool, MH_REMEMBERED)[word] = 0;
}

/**
 * struct mh_freeze - a walk over all pools under way
 * @heap: the heap
 * @word_step: what is done to each word of their bitmaps
 * @pool_id: where to go on
 * @word: ... in that pool
 */
struct mh_freeze {
	struct mh_heap *heap;
	void (*word_step)(struct mh_heap *heap, struct mh_pool *pool, u32 word);
	unsigned long pool_id;
	u32 word;
};

/* Return true when all pools are done. */
static bool mh_freeze_step(struct mh_freeze *freeze)
{
	int budget = MH_FREEZE_STEP / BITS_PER_LONG, pools = 0;
	unsigned long from;
	struct mh_pool *pool;

	while (budget > 0 && pools < MH_FREEZE_POOLS) {
		from = freeze->pool_id;
		pool = xa_find(&freeze->heap->pools, &freeze->pool_id, ULONG_MAX, XA_PRESENT);
		if (!pool)
			return true;
		if (freeze->pool_id != from)
			freeze->word = 0;
		if (freeze->word < pool->words) {
			freeze->word_step(freeze->heap, pool, freeze->word++);
			budget--;
			continue;
		}
		freeze->pool_id++;
		freeze->word = 0;
		pools++;
	}
	return false;
}

static int mh_freeze_all(struct mh_heap *heap,
			 void (*word_step)(struct mh_heap *heap, struct mh_pool *pool, u32 word))
{
	struct mh_freeze freeze = { .heap = heap, .word_step = word_step };
	bool done = false;
	u64 since;

	while (!done) {
		if (signal_pending(current))
			return -EINTR;
		mh_gate_exclusive(heap, &since);
		done = mh_freeze_step(&freeze);
		mh_gate_release(heap, since);
		cond_resched();
	}
	return 0;
}

static void mh_unfreezing(struct mh_heap *heap, int n)
{
	u64 since;

	mh_gate_exclusive(heap, &since);
	heap->unfreezing += n;
	mh_gate_release(heap, since);
}

static int mh_unfreeze(struct mh_heap *heap)
{
	int err;

	mh_unfreezing(heap, 1);
	err = mh_freeze_all(heap, mh_remember_word);
	if (!err)
		err = mh_freeze_all(heap, mh_unfreeze_word);
	mh_unfreezing(heap, -1);
	/* Nothing says which of it is garbage now: that takes a trace. */
	atomic_inc(&heap->escaped);
	mh_collector_kick(heap);
	return err;
}

/**
 * mh_freeze() - set all objects aside from the collector, or end that
 * @heap: the heap; no lock may be held
 * @freeze: in: flags; out: frozen
 *
 * Return: 0, -EINVAL for an unknown flag, or -EINTR when a signal came: it is done in part.
 */
int mh_freeze(struct mh_heap *heap, struct moheap_freeze *freeze)
{
	int err;

	if (freeze->flags & ~MOHEAP_FREEZE_UNDO)
		return -EINVAL;
	err = freeze->flags & MOHEAP_FREEZE_UNDO ? mh_unfreeze(heap) :
						   mh_freeze_all(heap, mh_freeze_word);
	freeze->frozen = atomic_long_read(&heap->nfrozen);
	return err;
}

/**
 * mh_frozen_remember() - a frozen object may refer to one that is not, from now on
 * @o: the object, frozen; caller holds the gate
 */
void mh_frozen_remember(const struct mh_obj *o)
{
	/* The slot before the look at the bit; mh_frozen_follow() does both the other way. */
	smp_mb();
	if (!mh_test(o, MH_REMEMBERED))
		set_bit(o->idx, mh_map(o->pool, MH_REMEMBERED));
}

/**
 * mh_frozen_follow() - a trace is about to read the slots of a frozen object
 * @heap: the heap; caller holds its gate
 * @o: the object
 */
void mh_frozen_follow(struct mh_heap *heap, const struct mh_obj *o)
{
	if (heap->unfreezing || !mh_test(o, MH_REMEMBERED))
		return;
	clear_bit(o->idx, mh_map(o->pool, MH_REMEMBERED));
	/* The bit before the slots; mh_frozen_remember() does both the other way. */
	smp_mb__after_atomic();
}

/**
 * mh_frozen_gone() - an object is frozen no longer, as it is dead
 * @heap: the heap; caller holds its gate
 * @o: the object, which the caller owns
 */
void mh_frozen_gone(struct mh_heap *heap, const struct mh_obj *o)
{
	if (!mh_test(o, MH_FROZEN))
		return;
	clear_bit(o->idx, mh_map(o->pool, MH_REMEMBERED));
	clear_bit(o->idx, mh_map(o->pool, MH_FROZEN));
	atomic_long_dec(&heap->nfrozen);
}
