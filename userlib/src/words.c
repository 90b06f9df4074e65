// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Pages of the table of words (word.h) that say nothing any more.
 *
 * The table takes half as much memory as the objects that the process ever had. What a word says
 * once no reference is left, and the queue went out, the kernel knows: the generation it was told
 * with the DROP, and which refs are stale by that. So a page of such words can go: it reads as
 * zero then, which is what is known of blocks that the process never had.
 *
 * It goes under heap->lock, and so no word in it gets a first reference meanwhile. Those who count
 * without the lock find zero at once or when they compare, and no reference either way.
 *
 * Pages where something was dropped are remembered, and looked at when so much was dropped there
 * that the look costs next to nothing by comparison.
 *
 * All under heap->lock.
 */
#include <sys/mman.h>

#include "guard.h"
#include "word.h"

/* Less is not worth it. */
#define MH_LEFT_PAGES		32
#define MH_LEFT_PER_PAGE	16

/*
 * mh_words_left_first() - the first reference given up in this page since the last look at it
 */
void mh_words_left_first(struct moheap *heap, size_t page)
{
	struct mh_left *left = &heap->left;

	heap->left_map[page / 64] |= 1ULL << page % 64;
	left->first = left->pages ? mh_min(left->first, page) : page;
	left->last = left->pages ? mh_max(left->last, page) : page;
	left->pages++;
}

/* Is no reference in the page, and nothing in stock: is each word 0, or MH_DROPPED? */
static bool mh_words_idle(struct moheap *heap, size_t page)
{
	moheap_ref_t at = page * MH_WORDS_OF_PAGE, end = at + MH_WORDS_OF_PAGE;
	__u32 idle = MH_DROPPED, low;
	unsigned int i;

	/* Some at a time: nearly all pages are idle, or busy soon. */
	for (; at < end && idle & MH_DROPPED; at += 16)
		for (i = 0; i < 16; i++) {
			low = mh_word_get(heap, at + i);
			idle &= low | (low - 1);
		}
	return idle & MH_DROPPED;
}

static void mh_words_free(struct moheap *heap, size_t page, size_t pages)
{
	/* Where it fails they stay. */
	if (pages)
		madvise(mh_word_at(heap, page * MH_WORDS_OF_PAGE), pages * MH_PAGE, MADV_DONTNEED);
}

/*
 * mh_words_trim() - free pages where nothing is left; caller holds heap->lock, and sent the queue
 *
 * @all: also where that is not worth it
 */
void mh_words_trim(struct moheap *heap, bool all)
{
	struct mh_left *left = &heap->left;
	size_t page, first = 0, n = 0;
	__u64 bit;

	if (!left->pages || heap->queue.n)
		return;
	if (!all && (left->pages < MH_LEFT_PAGES || left->drops / left->pages < MH_LEFT_PER_PAGE))
		return;
	for (page = left->first; page <= left->last; page++) {
		bit = 1ULL << page % 64;
		if (!(heap->left_map[page / 64] & bit) || !mh_words_idle(heap, page)) {
			mh_words_free(heap, first, n);
			n = 0;
		} else if (!n++) {
			first = page;
		}
		heap->left_map[page / 64] &= ~bit;
	}
	mh_words_free(heap, first, n);
	left->pages = 0;
	left->drops = 0;
}
