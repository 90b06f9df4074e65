// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * References of this process, counted here.
 *
 * To the kernel a client holds an object or does not. How many references the process has is
 * counted in a table with a word for each granule of the arena: the generation in bits 63..32,
 * what is known of that object in bits 31..0:
 *
 *	0		no reference
 *	n > 0		n references; the client holds the object
 *	MH_DROPPED | i	no reference; operation i of the queue dropped it, unless the queue has
 *			gone out since: a hint, to be verified, and never cleared
 *
 * Since the generation is part of the word, a ref of an object that is gone never finds the
 * count of the one that took its block.
 *
 * Rules: a count changes between 0 and 1 only under heap->lock, together with the operation
 * that says so to the kernel; so no HOLD overtakes a DROP. Between n > 0 and n + 1 > 1 anyone
 * may change it with a compare-and-exchange.
 *
 * The table is address space, as large as half the arena, of which only those pages take
 * memory whose objects the process has had. fork() copies it.
 */
#include <sys/mman.h>

#include "internal.h"

#define MH_DROPPED	0x80000000U
#define MH_LOCAL_MAX	0x7fffffffU

static inline __u64 mh_word(moheap_ref_t ref, __u32 low)
{
	return (ref & ~0xffffffffULL) | low;
}

static size_t mh_holds_bytes(const struct moheap *heap)
{
	return (heap->size >> MOHEAP_GRANULE_SHIFT) * sizeof(*heap->holds);
}

int mh_holds_init(struct moheap *heap)
{
	heap->holds = mh_table_map(mh_holds_bytes(heap));
	return heap->holds ? 0 : -ENOMEM;
}

void mh_holds_free(struct moheap *heap)
{
	if (heap->holds)
		munmap((void *)(uintptr_t)heap->holds, mh_holds_bytes(heap));
}

/* The count in a word, if it is of @ref; else 0. */
static inline __u32 mh_count_of(__u64 word, moheap_ref_t ref)
{
	if ((word ^ ref) >> 32 || word & MH_DROPPED)
		return 0;
	return word;
}

static inline atomic_ullong *mh_hold_word(struct moheap *heap, moheap_ref_t ref)
{
	return &heap->holds[mh_granule(ref)];
}

/*
 * mh_hold_count() - references this process has to an object
 */
__u32 mh_hold_count(struct moheap *heap, moheap_ref_t ref)
{
	if (!mh_ref_inside(heap, ref))
		return 0;
	return mh_count_of(atomic_load_explicit(mh_hold_word(heap, ref), memory_order_relaxed),
			   ref);
}

/*
 * mh_hold_born() - the first reference to a new object; caller holds heap->lock
 */
void mh_hold_born(struct moheap *heap, moheap_ref_t ref)
{
	atomic_store_explicit(mh_hold_word(heap, ref), mh_word(ref, 1), memory_order_relaxed);
}

/* One more, if there is one already. */
static bool mh_hold_again(atomic_ullong *word, moheap_ref_t ref, int *err)
{
	__u64 old = atomic_load_explicit(word, memory_order_relaxed);
	__u32 count;

	do {
		count = mh_count_of(old, ref);
		*err = count == MH_LOCAL_MAX ? -EOVERFLOW : 0;
		if (!count || *err)
			return count;
	} while (!atomic_compare_exchange_weak_explicit(word, &old, old + 1,
							memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

/*
 * mh_hold_gained() - the kernel said that the client holds @ref now: one reference more
 *
 * Caller holds heap->lock, and has since it asked.
 */
void mh_hold_gained(struct moheap *heap, moheap_ref_t ref)
{
	atomic_ullong *word = mh_hold_word(heap, ref);
	int err;

	if (!mh_hold_again(word, ref, &err))
		mh_hold_born(heap, ref);
}

/*
 * If the DROP of @ref is still in the queue, turn it into the HOLD of an object that is held
 * still, which is nothing at all, and keeps its place.
 */
static bool mh_hold_recall(struct moheap *heap, moheap_ref_t ref)
{
	__u64 word = atomic_load_explicit(mh_hold_word(heap, ref), memory_order_relaxed);
	__u32 i = word & ~MH_DROPPED;
	struct moheap_op *op;

	if ((word ^ ref) >> 32 || !(word & MH_DROPPED) || i >= heap->queue.n)
		return false;
	op = &heap->queue.ops[i];
	if (op->code != MOHEAP_OP_DROP || op->ref != ref)
		return false;
	op->code = MOHEAP_OP_HOLD;
	return true;
}

static int mh_hold_first(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_op op = { .code = MOHEAP_OP_HOLD, .ref = ref };
	int err = 0;

	mh_lock(&heap->lock);
	if (mh_hold_again(mh_hold_word(heap, ref), ref, &err))
		goto unlock;
	if (!mh_hold_recall(heap, ref))
		err = mh_queue_run(heap, &op);
	if (!err)
		mh_hold_born(heap, ref);
unlock:
	mh_unlock(&heap->lock);
	return err;
}

int moheap_incref(struct moheap *heap, moheap_ref_t ref)
{
	int err;

	if (!mh_ref_inside(heap, ref))
		return -EINVAL;
	if (mh_hold_again(mh_hold_word(heap, ref), ref, &err))
		return err;
	return mh_hold_first(heap, ref);
}

/* One less, if one is left then. */
static bool mh_drop_some(atomic_ullong *word, moheap_ref_t ref)
{
	__u64 old = atomic_load_explicit(word, memory_order_relaxed);

	do {
		if (mh_count_of(old, ref) < 2)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(word, &old, old - 1,
							memory_order_release,
							memory_order_relaxed));
	return true;
}

/* The last one. Others may still count up from 1 meanwhile. */
static int mh_drop_last(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_op op = { .code = MOHEAP_OP_DROP, .ref = ref };
	atomic_ullong *word = mh_hold_word(heap, ref);
	__u64 one = mh_word(ref, 1);
	int err = 0;

	mh_lock(&heap->lock);
	while (!atomic_compare_exchange_strong_explicit(word, &one,
							mh_word(ref, MH_DROPPED | heap->queue.n),
							memory_order_acq_rel,
							memory_order_relaxed)) {
		if (mh_drop_some(word, ref))
			goto unlock;
		if (!mh_count_of(one, ref)) {
			err = -ENOENT;
			goto unlock;
		}
		one = mh_word(ref, 1);
	}
	err = mh_queue_add(heap, &op);
unlock:
	mh_unlock(&heap->lock);
	return err;
}

int moheap_decref(struct moheap *heap, moheap_ref_t ref)
{
	atomic_ullong *word;

	if (!ref)
		return 0;
	if (!mh_ref_inside(heap, ref))
		return -ENOENT;
	word = mh_hold_word(heap, ref);
	if (mh_drop_some(word, ref))
		return 0;
	return mh_drop_last(heap, ref);
}
