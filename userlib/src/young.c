// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Objects that only this process ever knew.
 *
 * Most objects die young, before anyone outside the process could have heard of them: handed out
 * of stock since the last moheap_flush(), and never in an operation that went to the kernel. Such
 * an object is MH_LOCAL. With its last reference its block goes back to stock (hold.c) with the
 * generation after, as a new object, and the kernel need not know: for it the object there is
 * what it was, alive and held by this client. MH_UNTOLD says that it knows the object in this
 * block by an older generation: heap->told has that.
 *
 * The kernel is told (by RENEW, queued before whatever comes next)
 *
 * (1) when an operation names the object to it: mh_name(), called by all that do;
 * (2) when others may hear of it: mh_tell_all(), with moheap_flush() and before a fork or a
 *     clone. That goes for blocks in stock, too, whose last owners are dead;
 * (3) when the block goes back to the kernel, by the DROP itself: mh_give_back() for what is in
 *     stock, mh_drop_to_kernel() for what is not.
 *
 * Why no ref ever names two objects. The kernel gives each object it makes in a block a later
 * generation than all before. So does this file, in a block that the client holds: each gets the
 * next one after its word's. Only these two name objects; it is enough that each begins after
 * what the other used. This file begins at the generation that the kernel gave the block, in
 * ALLOC. The kernel goes on when the block is freed, not before the client drops it, and by (3)
 * it is told of the last generation then. Where the client ends without a drop, what it used
 * and never told died with the process: by (2) nobody outside ever had those refs.
 *
 * Why no stale ref names anything. Say @ref names no object any more, since its block went back
 * to stock. In this process its word has a later generation: mh_name() and the counts refuse it.
 * Another process has @ref only if it was told, and so after a flush that came after @ref was
 * made. If @ref was alive at that flush, it was not MH_LOCAL afterwards, and its last reference
 * went to the kernel. If it was dead, the block went on as another; when the flush came it was
 * MH_LOCAL (a word loses that with the flush only, or when the block leaves), so by (2) the
 * kernel was told, and from then on it refuses @ref.
 *
 * So it is not enough to tell of objects that are alive: a dead one by whose ref the kernel still
 * knows the block would come back to life if somebody held it there, and the RENEW to come would
 * be refused with EBUSY.
 *
 * A word is forgotten (words.c) when nothing in the block is MH_LOCAL or has a reference, after the
 * DROP went out: what the word refused before, the kernel refuses then, by (3).
 *
 * RENEW needs an object that nothing else refers to and that refers to nothing. Both are so: to
 * refer to it, or to store in it, is to name it.
 *
 * Blocks that may be MH_LOCAL are in heap->young, a ring: each that is, and others that were.
 * When it is full the oldest is told of. All under heap->lock.
 */
#include "guard.h"
#include "word.h"

/* Past this generation a block is left to the kernel: it has few left. */
#define MH_AGE_LAST	0x7fff0000U

/*
 * mh_told() - by which ref the kernel knows the object in the block of @ref, which is MH_UNTOLD
 *
 * Caller holds heap->lock.
 */
moheap_ref_t mh_told(struct moheap *heap, moheap_ref_t ref)
{
	return mh_word_ref((__u64)heap->told[mh_granule(ref)] << 32, mh_granule(ref));
}

/*
 * mh_tell() - others may hear of @ref from here on; caller holds heap->lock
 *
 * The word is of @ref.
 */
void mh_tell(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_op op = { .code = MOHEAP_OP_RENEW, .a = ref };
	__u64 old = mh_word_get(heap, ref);

	if (!(old & MH_LOCAL))
		return;
	atomic_fetch_and_explicit(mh_word_at(heap, ref), ~(__u64)(MH_LOCAL | MH_UNTOLD),
				  memory_order_relaxed);
	if (!(old & MH_UNTOLD))
		return;
	op.ref = mh_told(heap, ref);
	mh_queue_add(heap, &op);
}

/*
 * mh_name_weak() - as mh_name(), for an operation that is to find out whether the object is there
 */
int mh_name_weak(struct moheap *heap, moheap_ref_t ref)
{
	__u64 word;

	if (!ref || !mh_ref_inside(heap, ref))
		return 0;
	word = mh_word_get(heap, ref);
	if (!mh_word_is_of(word, ref))
		return mh_generation(ref) & 1 && mh_age(ref) < mh_age(word) ? -ESTALE : 0;
	if (mh_count_of(word, ref))
		mh_tell(heap, ref);
	return 0;
}

/*
 * mh_name() - an operation is about to name @ref to the kernel; caller holds heap->lock
 *
 * Return: 0; or -ESTALE where it is known here that the object is gone.
 */
int mh_name(struct moheap *heap, moheap_ref_t ref)
{
	int err = mh_name_weak(heap, ref);

	if (err)
		mh_guard_stale(heap, ref);
	return err;
}

/*
 * mh_give_back() - DROP an object that is in stock; caller holds heap->lock
 */
void mh_give_back(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_op op = { .code = MOHEAP_OP_DROP, .ref = ref };
	__u64 word = mh_word_get(heap, ref);

	if (mh_word_is_of(word, ref) && word & MH_LOCAL) {
		mh_words_left(heap, ref);
		mh_word_set(heap, ref, 0);
		if (word & MH_UNTOLD) {
			op.ref = mh_told(heap, ref);
			op.a = ref;
		}
	}
	mh_queue_add(heap, &op);
}

static __attribute_noinline__ void mh_young_leave(struct moheap *heap)
{
	struct mh_young *young = &heap->young;
	__u32 granule = young->granules[young->first++ % MH_YOUNG];

	mh_tell(heap, mh_word_ref(mh_word_get(heap, granule), granule));
}

/*
 * mh_tell_all() - others may hear of everything from here on; caller holds heap->lock
 */
void mh_tell_all(struct moheap *heap)
{
	while (heap->young.first != heap->young.end)
		mh_young_leave(heap);
}

/*
 * mh_young_born() - the first reference to an object out of a stock that recycles
 *
 * Caller holds heap->lock.
 */
void mh_young_born(struct moheap *heap, moheap_ref_t ref)
{
	struct mh_young *young = &heap->young;
	__u64 word;

	/* Of one that never had an owner nothing is known: its page of the table may be missing. */
	if (ref & MOHEAP_REF_REUSED) {
		word = mh_word_get(heap, ref);
		if (mh_word_is_of(word, ref) && word & MH_LOCAL) {
			mh_word_set(heap, ref, (__u32)word + 1);
			return;
		}
	}
	if (young->end - young->first == MH_YOUNG)
		mh_young_leave(heap);
	young->granules[young->end++ % MH_YOUNG] = mh_granule(ref);
	mh_word_set(heap, ref, MH_LOCAL | 1);
}

/*
 * mh_young_die() - the last reference to @ref is given up: make its block that of a new object
 *
 * Caller holds heap->lock and puts the new object in stock. @old is the word.
 *
 * Return: the ref of the new object; or 0 if that cannot be, it was not the last, or the word is
 * not @old any more.
 */
moheap_ref_t mh_young_die(struct moheap *heap, moheap_ref_t ref, __u64 old)
{
	moheap_ref_t next = (ref + (2ULL << 32)) | MOHEAP_REF_REUSED;
	__u32 untold = old & MH_UNTOLD;

	if (old != mh_word(ref, MH_LOCAL | untold | 1) || mh_age(ref) > MH_AGE_LAST ||
	    !mh_word_change(heap, ref, &old, mh_word(next, MH_LOCAL | MH_UNTOLD),
			    memory_order_acq_rel))
		return 0;
	if (!untold)
		heap->told[mh_granule(ref)] = mh_generation(ref);
	return next;
}
