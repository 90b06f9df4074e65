// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Python's gc.set_debug() and gc.garbage: what the collector found, told of and kept.
 *
 * The flags are the heap's, in the kernel, which saves garbage (MOHEAP_DEBUG_SAVEALL). What is
 * printed, a process prints that set a flag for it, from a callback for collections: by whoever
 * dispatches there, then.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

/* What has somebody print. */
#define MH_DEBUG_PRINT \
	(MOHEAP_DEBUG_STATS | MOHEAP_DEBUG_COLLECTABLE | MOHEAP_DEBUG_UNCOLLECTABLE)

/* Objects asked for, or discarded, at a time. */
#define MH_GARBAGE_SOME	512

/**
 * struct mh_named_garbage - saved garbage, sorted
 * @refs: the objects
 * @n: how many
 */
struct mh_named_garbage {
	moheap_ref_t *refs;
	size_t n;
};

static int mh_ref_compare(const void *a, const void *b)
{
	moheap_ref_t x = *(const moheap_ref_t *)a, y = *(const moheap_ref_t *)b;

	return x < y ? -1 : x > y;
}

/* All that is saved now. */
static int mh_garbage_list(struct moheap *heap, struct mh_named_garbage *all)
{
	struct moheap_search search = { .size = sizeof(search), .flags = MOHEAP_OBJECTS_SAVED };
	moheap_ref_t *more;
	long n;

	do {
		more = realloc(all->refs, (all->n + MH_GARBAGE_SOME) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		all->refs = more;
		n = moheap_objects(heap, &search, MH_GARBAGE_SOME, all->refs + all->n);
		if (n < 0)
			return (int)n;
		all->n += n;
	} while (n);
	qsort(all->refs, all->n, sizeof(*all->refs), mh_ref_compare);
	return 0;
}

static void mh_garbage_print(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_type type = { .size = sizeof(type) };
	int id = moheap_type_of(heap, ref);

	/* Discarded meanwhile? */
	type.id = id;
	if (id < 0 || moheap_type_info(heap, &type))
		return;
	fprintf(stderr, "gc: collectable <%s %#llx>\n", type.name, (unsigned long long)ref);
}

/* Name what was saved since the last time. */
static void mh_garbage_name(struct moheap *heap)
{
	struct mh_named_garbage now = { NULL, 0 }, *old = heap->named_garbage;
	size_t i;

	if (mh_garbage_list(heap, &now)) {
		free(now.refs);
		return;
	}
	for (i = 0; i < now.n; i++)
		if (!old->n || !bsearch(&now.refs[i], old->refs, old->n, sizeof(*old->refs),
					mh_ref_compare))
			mh_garbage_print(heap, now.refs[i]);
	free(old->refs);
	*old = now;
}

static void mh_debug_print(struct moheap *heap, enum moheap_gc_phase phase,
			   const struct moheap_gc_info *info, void *data)
{
	int flags = moheap_get_debug(heap);

	(void)data;
	if (flags < 0)
		return;
	if (phase == MOHEAP_GC_START) {
		if (flags & MOHEAP_DEBUG_STATS)
			fprintf(stderr, "gc: collecting generation %u...\n", info->generation);
		return;
	}
	if ((flags & MOHEAP_DEBUG_COLLECTABLE) && info->uncollectable)
		mh_garbage_name(heap);
	if (flags & MOHEAP_DEBUG_STATS)
		fprintf(stderr,
			"gc: done, %llu unreachable, %llu saved, %llu to be finalized first\n",
			(unsigned long long)(info->collected + info->uncollectable +
					     info->finalizing),
			(unsigned long long)info->uncollectable,
			(unsigned long long)info->finalizing);
}

/* Have this process print, or not. */
static int mh_debug_prints(struct moheap *heap, bool prints)
{
	moheap_gc_callback_remove(heap, mh_debug_print, NULL);
	if (!prints)
		return 0;
	if (!heap->named_garbage)
		heap->named_garbage = calloc(1, sizeof(*heap->named_garbage));
	return heap->named_garbage ? moheap_gc_callback_add(heap, mh_debug_print, NULL) : -ENOMEM;
}

void mh_debug_free(struct moheap *heap)
{
	if (heap->named_garbage)
		free(heap->named_garbage->refs);
	free(heap->named_garbage);
}

int moheap_set_debug(struct moheap *heap, unsigned int flags)
{
	struct moheap_tune tune = {
		.size = sizeof(tune),
		.set = MOHEAP_TUNE_DEBUG,
		.debug = flags,
	};
	int err = moheap_tune(heap, &tune);

	return err ? err : mh_debug_prints(heap, flags & MH_DEBUG_PRINT);
}

int moheap_get_debug(struct moheap *heap)
{
	struct moheap_tune tune = { .size = sizeof(tune) };
	int err = moheap_tune(heap, &tune);

	return err ? err : (int)tune.debug;
}

/* Return how many of them were saved, or an errno. Others discard, too. */
static long mh_discard_some(struct moheap *heap, const moheap_ref_t *refs, long n)
{
	struct moheap_op ops[MH_GARBAGE_SOME];
	long i, nops = 0, done = 0;

	mh_lock(&heap->lock);
	for (i = 0; i < n; i++)
		if (!mh_name(heap, refs[i]))
			ops[nops++] = (struct moheap_op){
				.code = MOHEAP_OP_DISCARD, .ref = refs[i] };
	mh_queue_run_many(heap, ops, nops);
	mh_unlock(&heap->lock);
	for (i = 0; i < nops; i++) {
		if (ops[i].error && ops[i].error != -ENOENT && ops[i].error != -ESTALE)
			return ops[i].error;
		done += !ops[i].error;
	}
	return done;
}

long moheap_discard_all(struct moheap *heap)
{
	struct moheap_search search = { .size = sizeof(search), .flags = MOHEAP_OBJECTS_SAVED };
	moheap_ref_t refs[MH_GARBAGE_SOME];
	long n, some, done = 0;

	while ((n = moheap_objects(heap, &search, MH_GARBAGE_SOME, refs)) > 0) {
		some = mh_discard_some(heap, refs, n);
		if (some < 0)
			return some;
		done += some;
	}
	return n < 0 ? n : done;
}
