/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * What this process knows of the object in a block: a word for each granule of the arena, used
 * where a block begins. The generation is in bits 63..32; bits 31..0 are
 *
 *	0		no reference
 *	flags | n	n references; the client holds the object
 *	MH_DROPPED | i	no reference; operation i of the queue dropped it, unless the queue has
 *			gone out since: a hint, to be verified, and never cleared
 *	MH_UNMADE	no reference, nor was there one: an object to be finalized, given back by
 *			a call that made it, and failed
 *
 * The flags MH_LOCAL and MH_UNTOLD are explained in young.c. Since the generation is part of the
 * word, a ref of an object that is gone never finds the count of the one that took its block.
 *
 * A count changes between 0 and 1, and flags change, only under heap->lock, together with the
 * operation that says so to the kernel; so no HOLD overtakes a DROP. Between n > 0 and n + 1 > 1
 * anyone may change it with a compare-and-exchange.
 *
 * The table is address space, as large as half the arena, of which only those pages take memory
 * whose objects the process has had. fork() copies it.
 */
#ifndef MOHEAP_WORD_H
#define MOHEAP_WORD_H

#include "internal.h"

#define MH_DROPPED	0x80000000U
#define MH_LOCAL	0x40000000U
#define MH_UNTOLD	0x20000000U
#define MH_COUNT	0x1fffffffU
#define MH_UNMADE	MH_UNTOLD	/* and no reference */

/* The word of @ref with @low in bits 31..0. */
static inline __u64 mh_word(moheap_ref_t ref, __u32 low)
{
	return (ref & ~0xffffffffULL) | low;
}

/* The ref that a word is of, in the block that begins at @granule. */
static inline moheap_ref_t mh_word_ref(__u64 word, __u32 granule)
{
	return (word & ~0xffffffffULL) | granule;
}

/* A word is of @ref, or of another object that has or had its block. */
static inline bool mh_word_is_of(__u64 word, moheap_ref_t ref)
{
	return !((word ^ ref) >> 32);
}

static inline atomic_ullong *mh_word_at(struct moheap *heap, moheap_ref_t ref)
{
	return &heap->words[mh_granule(ref)];
}

static inline __u64 mh_word_get(struct moheap *heap, moheap_ref_t ref)
{
	return atomic_load_explicit(mh_word_at(heap, ref), memory_order_relaxed);
}

static inline void mh_word_set(struct moheap *heap, moheap_ref_t ref, __u32 low)
{
	atomic_store_explicit(mh_word_at(heap, ref), mh_word(ref, low), memory_order_relaxed);
}

static inline bool mh_word_change(struct moheap *heap, moheap_ref_t ref, __u64 *from, __u64 to,
				  memory_order order)
{
	return atomic_compare_exchange_strong_explicit(mh_word_at(heap, ref), from, to, order,
						       memory_order_relaxed);
}

/* The count in a word, if it is of @ref; else 0. */
static inline __u32 mh_count_of(__u64 word, moheap_ref_t ref)
{
	if (!mh_word_is_of(word, ref) || word & MH_DROPPED)
		return 0;
	return word & MH_COUNT;
}

#define MH_WORDS_OF_PAGE	(MH_PAGE / sizeof(__u64))

/*
 * mh_words_left() - the last reference to @ref was given up; caller holds heap->lock
 */
static inline void mh_words_left(struct moheap *heap, moheap_ref_t ref)
{
	size_t page = mh_granule(ref) / MH_WORDS_OF_PAGE;

	heap->left.drops++;
	if (!(heap->left_map[page / 64] >> page % 64 & 1))
		mh_words_left_first(heap, page);
}

#endif /* MOHEAP_WORD_H */
