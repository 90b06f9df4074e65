// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * References of this process, counted here; and objects that only this process ever knew.
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
 * Objects that nobody else knows
 * ------------------------------
 * Most objects die young, before anyone outside the process could have heard of them: handed out
 * of stock since the last moheap_flush(), and never in an operation that went to the kernel. Such
 * an object is MH_LOCAL. With its last reference it goes back to stock, in its block a new
 * object with the generation after, and the kernel need not know: for it the object is what it
 * was, alive and held by this client. MH_UNTOLD says that it knows the object in this block by an
 * older generation: heap->told has that.
 *
 * The kernel is told (RENEW, queued before whatever is next) as soon as something names the
 * object to it (mh_name()), or others may be told of it (mh_tell_all()), or it is given back. So
 *
 * - whatever the kernel may say of a ref to anybody, it says of the object that has it;
 * - within the process, a ref whose generation is older than that of the word is stale, whatever
 *   the kernel may think: mh_name() and moheap_incref() refuse it;
 * - no ref is given out twice: a block that goes back has first had its last generation told.
 *
 * Objects that may be MH_LOCAL are in heap->young, a ring. Where that is full the oldest is one no
 * more. Flags change under heap->lock only, counts beside them at any time.
 *
 * The tables are address space, in all as large as three quarters of the arena, of which only
 * those pages take memory whose objects the process has had. fork() copies them.
 */
#include <sys/mman.h>

#include "internal.h"

#define MH_DROPPED	0x80000000U
#define MH_LOCAL	0x40000000U
#define MH_UNTOLD	0x20000000U
#define MH_COUNT	0x1fffffffU

/* Past this generation a block is left to the kernel: it has few left. */
#define MH_AGE_LAST	0x7fff0000U

static inline __u64 mh_word(moheap_ref_t ref, __u32 low)
{
	return (ref & ~0xffffffffULL) | low;
}

static size_t mh_holds_bytes(const struct moheap *heap)
{
	return (heap->size >> MOHEAP_GRANULE_SHIFT) * sizeof(*heap->holds);
}

static size_t mh_told_bytes(const struct moheap *heap)
{
	return (heap->size >> MOHEAP_GRANULE_SHIFT) * sizeof(*heap->told);
}

int mh_holds_init(struct moheap *heap)
{
	heap->holds = mh_table_map(mh_holds_bytes(heap));
	heap->told = mh_table_map(mh_told_bytes(heap));
	return heap->holds && heap->told ? 0 : -ENOMEM;
}

void mh_holds_free(struct moheap *heap)
{
	if (heap->holds)
		munmap((void *)(uintptr_t)heap->holds, mh_holds_bytes(heap));
	if (heap->told)
		munmap(heap->told, mh_told_bytes(heap));
}

/* The count in a word, if it is of @ref; else 0. */
static inline __u32 mh_count_of(__u64 word, moheap_ref_t ref)
{
	if ((word ^ ref) >> 32 || word & MH_DROPPED)
		return 0;
	return word & MH_COUNT;
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
 * mh_hold_born() - the first reference to an object that others may know; caller holds heap->lock
 */
void mh_hold_born(struct moheap *heap, moheap_ref_t ref)
{
	atomic_store_explicit(mh_hold_word(heap, ref), mh_word(ref, 1), memory_order_relaxed);
}

/* ---- Objects that nobody else knows ---- */

/* How the kernel names what is in the block of @ref, which is untold. */
static moheap_ref_t mh_told_ref(const struct moheap *heap, moheap_ref_t ref)
{
	return (__u64)heap->told[mh_granule(ref)] << 32 | mh_granule(ref);
}

/* Others may hear of @ref from here on. Caller holds heap->lock; the word is of @ref. */
static void mh_tell(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_op op = { .code = MOHEAP_OP_RENEW, .a = ref };
	__u64 old;

	old = atomic_fetch_and_explicit(mh_hold_word(heap, ref),
					~(__u64)(MH_LOCAL | MH_UNTOLD), memory_order_relaxed);
	if (!(old & MH_UNTOLD))
		return;
	op.ref = mh_told_ref(heap, ref);
	mh_queue_add(heap, &op);
}

/*
 * mh_name() - an operation is about to name @ref to the kernel; caller holds heap->lock
 *
 * Return: 0; or -ESTALE where it is known here that the object is gone.
 */
int mh_name(struct moheap *heap, moheap_ref_t ref)
{
	__u64 word;

	if (!ref || !mh_ref_inside(heap, ref))
		return 0;
	word = atomic_load_explicit(mh_hold_word(heap, ref), memory_order_relaxed);
	if ((word ^ ref) >> 32)
		return mh_generation(ref) & 1 && mh_age(ref) < mh_age(word) ? -ESTALE : 0;
	if (word & (MH_LOCAL | MH_UNTOLD) && mh_count_of(word, ref))
		mh_tell(heap, ref);
	return 0;
}

/*
 * mh_give_back() - DROP an object that is in stock; caller holds heap->lock
 */
void mh_give_back(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_op op = { .code = MOHEAP_OP_DROP, .ref = ref };
	__u64 word = atomic_load_explicit(mh_hold_word(heap, ref), memory_order_relaxed);

	if (!((word ^ ref) >> 32))
		mh_tell(heap, ref);
	mh_queue_add(heap, &op);
}

/*
 * mh_kernel_ref() - what to call an object that was just handed out, only to ask about its block
 */
moheap_ref_t mh_kernel_ref(const struct moheap *heap, moheap_ref_t ref)
{
	__u64 word = atomic_load_explicit(&heap->holds[mh_granule(ref)], memory_order_relaxed);

	return word & MH_UNTOLD ? mh_told_ref(heap, ref) : ref;
}

static void mh_young_leave(struct moheap *heap)
{
	struct mh_young *young = &heap->young;
	moheap_ref_t ref = young->refs[young->first++ % MH_YOUNG];
	__u64 word = atomic_load_explicit(mh_hold_word(heap, ref), memory_order_relaxed);

	if (!((word ^ ref) >> 32) && word & MH_LOCAL)
		mh_tell(heap, ref);
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
 * mh_hold_young() - the first reference to an object out of stock; caller holds heap->lock
 */
void mh_hold_young(struct moheap *heap, moheap_ref_t ref)
{
	atomic_ullong *word = mh_hold_word(heap, ref);
	struct mh_young *young = &heap->young;
	__u64 old = atomic_load_explicit(word, memory_order_relaxed);
	__u32 untold = (old ^ ref) >> 32 ? 0 : old & MH_UNTOLD;

	if (young->end - young->first == MH_YOUNG)
		mh_young_leave(heap);
	young->refs[young->end++ % MH_YOUNG] = ref;
	atomic_store_explicit(word, mh_word(ref, MH_LOCAL | untold | 1), memory_order_relaxed);
}

/* ---- References ---- */

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
	err = mh_name(heap, ref);
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

/*
 * The last reference to an object that nobody else knows: back to stock with it, as another.
 * Return false if that cannot be, or the word is not @old any more.
 */
static bool mh_drop_to_stock(struct moheap *heap, moheap_ref_t ref, __u64 old)
{
	moheap_ref_t next = (ref + (2ULL << 32)) | MOHEAP_REF_REUSED;
	struct mh_stock *stock;

	if (!(old & MH_LOCAL) || mh_age(ref) > MH_AGE_LAST)
		return false;
	stock = mh_stock_with_room(heap, ref);
	if (!stock || !atomic_compare_exchange_strong_explicit(mh_hold_word(heap, ref), &old,
							       mh_word(next, MH_UNTOLD),
							       memory_order_acq_rel,
							       memory_order_relaxed))
		return false;
	if (!(old & MH_UNTOLD))
		heap->told[mh_granule(ref)] = mh_generation(ref);
	mh_stock_put(heap, stock, next);
	return true;
}

/* The last reference to an object that others may know. Return false if it is not the last. */
static bool mh_drop_to_kernel(struct moheap *heap, moheap_ref_t ref, int *err)
{
	struct moheap_op op = { .code = MOHEAP_OP_DROP, .ref = ref };
	__u64 one = mh_word(ref, 1);

	mh_tell(heap, ref);
	if (!atomic_compare_exchange_strong_explicit(mh_hold_word(heap, ref), &one,
						     mh_word(ref, MH_DROPPED | heap->queue.n),
						     memory_order_acq_rel, memory_order_relaxed))
		return false;
	*err = mh_queue_add(heap, &op);
	return true;
}

/* What looked like the last one. Others may still count up and down meanwhile. */
static int mh_drop_last(struct moheap *heap, moheap_ref_t ref)
{
	atomic_ullong *word = mh_hold_word(heap, ref);
	int err = 0;
	__u64 old;

	mh_lock(&heap->lock);
	do {
		old = atomic_load_explicit(word, memory_order_relaxed);
		if (!mh_count_of(old, ref)) {
			err = -ENOENT;
			break;
		}
	} while (!mh_drop_some(word, ref) && !mh_drop_to_stock(heap, ref, old) &&
		 !mh_drop_to_kernel(heap, ref, &err));
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
