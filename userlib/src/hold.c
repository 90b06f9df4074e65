// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * References of this process, counted here: see word.h.
 *
 * To the kernel a client holds an object or does not, and hears of the first reference and the
 * last only.
 */
#include "guard.h"
#include "word.h"

/* Objects that moheap_incref_many() asks for at a time. */
#define MH_HOLD_SOME	128

/*
 * mh_hold_count() - references this process has to an object
 */
__u32 mh_hold_count(struct moheap *heap, moheap_ref_t ref)
{
	return mh_ref_inside(heap, ref) ? mh_count_of(mh_word_get(heap, ref), ref) : 0;
}

/*
 * mh_hold_born() - the first reference to an object that others may know; caller holds heap->lock
 */
void mh_hold_born(struct moheap *heap, moheap_ref_t ref)
{
	mh_word_set(heap, ref, 1);
}

/* One more, if there is one already. */
static bool mh_hold_again(atomic_ullong *word, moheap_ref_t ref, int *err)
{
	__u64 old = atomic_load_explicit(word, memory_order_relaxed);
	__u32 count;

	do {
		count = mh_count_of(old, ref);
		*err = count == MH_COUNT ? -EOVERFLOW : 0;
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
	int err;

	if (!mh_hold_again(mh_word_at(heap, ref), ref, &err))
		mh_hold_born(heap, ref);
}

/*
 * If the DROP of @ref is still in the queue, turn it into the HOLD of an object that is held
 * still, which is nothing at all, and keeps its place.
 */
static bool mh_hold_recall(struct moheap *heap, moheap_ref_t ref)
{
	__u64 word = mh_word_get(heap, ref);
	__u32 i = word & ~MH_DROPPED;
	struct moheap_op *op;

	if (!mh_word_is_of(word, ref) || !(word & MH_DROPPED) || i >= heap->queue.n)
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
	if (mh_hold_again(mh_word_at(heap, ref), ref, &err))
		goto unlock;
	err = mh_name_weak(heap, ref);
	if (!err && !mh_hold_recall(heap, ref))
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
	if (mh_hold_again(mh_word_at(heap, ref), ref, &err))
		return err;
	return mh_hold_first(heap, ref);
}

/* One more of each; where that is an error, of those whose operation has none. */
static int mh_hold_each(struct moheap *heap, const moheap_ref_t *refs, unsigned int n,
			struct moheap_op *ops)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = mh_ref_inside(heap, refs[i]) ? mh_name_weak(heap, refs[i]) : -EINVAL;
	for (i = 0; i < n; i++) {
		ops[i] = (struct moheap_op){
			.code = MOHEAP_OP_HOLD,
			.ref = refs[i],
			.error = err,
		};
		if (!err)
			mh_hold_recall(heap, refs[i]);
	}
	if (err)
		return err;
	mh_queue_run_many(heap, ops, n);
	for (i = 0; i < n; i++) {
		if (!ops[i].error)
			mh_hold_gained(heap, refs[i]);
		else if (!err)
			err = ops[i].error;
	}
	return err;
}

/* One more of each, or of none. */
static int mh_hold_some(struct moheap *heap, const moheap_ref_t *refs, unsigned int n)
{
	struct moheap_op ops[MH_HOLD_SOME];
	unsigned int i;
	int err;

	mh_lock(&heap->lock);
	err = mh_hold_each(heap, refs, n, ops);
	mh_unlock(&heap->lock);
	for (i = 0; err && i < n; i++)
		if (!ops[i].error)
			moheap_decref(heap, refs[i]);
	return err;
}

int moheap_incref_many(struct moheap *heap, size_t n, const moheap_ref_t *refs)
{
	size_t at = 0, some;
	int err;

	while (at < n) {
		some = mh_min(n - at, MH_HOLD_SOME);
		err = mh_hold_some(heap, refs + at, some);
		if (err) {
			while (at)
				moheap_decref(heap, refs[--at]);
			return err;
		}
		at += some;
	}
	return 0;
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

/* The last reference, as far as the kernel is concerned. Return false if it is not the last. */
static __attribute_noinline__
bool mh_drop_to_kernel(struct moheap *heap, moheap_ref_t ref, const void *site, int *err)
{
	struct moheap_op op = { .code = MOHEAP_OP_DROP, .ref = ref };
	__u32 flags = mh_word_get(heap, ref) & (MH_LOCAL | MH_UNTOLD);
	__u64 one = mh_word(ref, flags | 1);

	if (!mh_word_change(heap, ref, &one, mh_word(ref, MH_DROPPED | heap->queue.n),
			    memory_order_acq_rel))
		return false;
	mh_words_left(heap, ref);
	if (heap->guard)
		mh_guard_given_up(heap, ref, site);
	if (flags & MH_UNTOLD) {
		op.ref = mh_told(heap, ref);
		op.a = ref;
	}
	*err = mh_queue_add(heap, &op);
	return true;
}

/*
 * mh_hold_lose() - give up a reference that does not come back to stock; caller holds heap->lock
 *
 * It looked like the last one. Others may still count up and down meanwhile.
 *
 * Return: 0; or -ENOENT if there was none.
 */
__attribute_noinline__ int mh_hold_lose(struct moheap *heap, moheap_ref_t ref, const void *site)
{
	int err = 0;

	do {
		if (!mh_count_of(mh_word_get(heap, ref), ref)) {
			mh_guard_unheld(heap, ref);
			return -ENOENT;
		}
	} while (!mh_drop_some(mh_word_at(heap, ref), ref) &&
		 !mh_drop_to_kernel(heap, ref, site, &err));
	return err;
}

static __attribute_noinline__
int mh_drop_last(struct moheap *heap, moheap_ref_t ref, const void *site)
{
	int err = 0;

	mh_lock(&heap->lock);
	if (!mh_stock_recycle(heap, ref, mh_word_get(heap, ref)))
		err = mh_hold_lose(heap, ref, site);
	mh_unlock(&heap->lock);
	return err;
}

int moheap_decref(struct moheap *heap, moheap_ref_t ref)
{
	if (!ref)
		return 0;
	if (!mh_ref_inside(heap, ref))
		return -ENOENT;
	if (mh_drop_some(mh_word_at(heap, ref), ref))
		return 0;
	return mh_drop_last(heap, ref, __builtin_return_address(0));
}
