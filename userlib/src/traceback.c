// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Call stacks, each kept once.
 *
 * A traceback is a row of return addresses, the most recent first. All that a heap has met are in
 * heap->tracing.tracebacks, under heap->lock: addresses end to end in one array, and a hash table
 * of those rows. The number of a row is what the kernel keeps with each object (its site); it
 * stays as it is until all are forgotten. Most programs make millions of objects in a few hundred
 * places.
 *
 * The stack is walked by glibc's backtrace(), which loads the unwinder of libgcc_s.so.1 when it
 * is first called: programs that do not trace do without. Frames of the library itself are left
 * out, by address: containers make objects, and it is their user who wants to be seen.
 */
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Frames of the library above those of a program, at most; if there are more, some are seen. */
#define MH_OWN_FRAMES	24

/* ---- Walking the stack ---- */

/* Where the code of the library is; nowhere, if that is the program's, too. */
static struct {
	uintptr_t from;
	uintptr_t to;
} mh_own;

static int mh_own_find(struct dl_phdr_info *info, size_t size, void *first)
{
	uintptr_t here = (uintptr_t)mh_own_find, from, to;
	bool *program = first;
	unsigned int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum && !*program; i++) {
		from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		to = from + info->dlpi_phdr[i].p_memsz;
		if (info->dlpi_phdr[i].p_type == PT_LOAD && here >= from && here < to) {
			mh_own.from = from;
			mh_own.to = to;
		}
	}
	/* The program comes first. */
	*program = false;
	return 0;
}

static void mh_own_init(void)
{
	bool program = true;
	void *frame;

	dl_iterate_phdr(mh_own_find, &program);
	/* So that it does not load anything when a lock is held. */
	backtrace(&frame, 1);
}

/*
 * mh_traceback_init() - get ready to walk stacks; no lock may be held
 */
void mh_traceback_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, mh_own_init);
}

static bool mh_frame_is_own(const void *frame)
{
	return (uintptr_t)frame - mh_own.from < mh_own.to - mh_own.from;
}

/*
 * mh_traceback_walk() - who called the library
 *
 * At most @n frames, @n being at most MOHEAP_NFRAME_MAX.
 *
 * Return: how many there are in @frames; 0 if the stack cannot be walked.
 */
__attribute_noinline__ unsigned int mh_traceback_walk(void **frames, unsigned int n)
{
	void *all[MOHEAP_NFRAME_MAX + MH_OWN_FRAMES];
	int got = backtrace(all, n + MH_OWN_FRAMES), own = 0;

	while (own < got && mh_frame_is_own(all[own]))
		own++;
	n = mh_min(n, got - own);
	memcpy(frames, all + own, n * sizeof(*frames));
	return n;
}

/* ---- The table ---- */

static __u32 mh_traceback_hash(void *const *frames, unsigned int n)
{
	__u64 hash = n;
	unsigned int i;

	for (i = 0; i < n; i++) {
		hash = (hash ^ (uintptr_t)frames[i]) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 32;
	}
	return hash;
}

/* The place of a traceback in the index, or that where it would be. */
static __u32 *mh_traceback_place(const struct mh_tracebacks *table, void *const *frames,
				 unsigned int n, __u32 hash)
{
	__u32 at = hash & (table->nindex - 1);
	const struct mh_traceback *entry;

	for (;; at = (at + 1) & (table->nindex - 1)) {
		if (!table->index[at])
			return &table->index[at];
		entry = &table->entries[table->index[at] - 1];
		if (entry->hash == hash && entry->n == n &&
		    !memcmp(table->frames + entry->first, frames, n * sizeof(*frames)))
			return &table->index[at];
	}
}

static int mh_traceback_grow_index(struct mh_tracebacks *table)
{
	size_t room = table->nindex ? 2 * table->nindex : 64;
	__u32 *index, i, at;

	if (table->n < table->nindex / 2)
		return 0;
	index = calloc(room, sizeof(*index));
	if (!index)
		return -ENOMEM;
	for (i = 0; i < table->n; i++) {
		at = table->entries[i].hash & (room - 1);
		while (index[at])
			at = (at + 1) & (room - 1);
		index[at] = i + 1;
	}
	free(table->index);
	table->index = index;
	table->nindex = room;
	return 0;
}

static int mh_traceback_grow(struct mh_tracebacks *table, unsigned int n)
{
	int err = mh_traceback_grow_index(table);

	if (!err)
		err = mh_grow((void **)&table->entries, &table->room, table->n + 1,
			      sizeof(*table->entries));
	if (!err)
		err = mh_grow((void **)&table->frames, &table->frames_room, table->nframes + n,
			      sizeof(*table->frames));
	return err;
}

/*
 * mh_traceback_intern() - the number of a traceback; caller holds heap->lock
 *
 * Return: 1 or more; 0 where there is no memory for a new one.
 */
__u32 mh_traceback_intern(struct mh_tracebacks *table, void *const *frames, unsigned int n)
{
	__u32 hash = mh_traceback_hash(frames, n);
	struct mh_traceback *entry;
	__u32 found, *place;

	if (table->nindex) {
		found = *mh_traceback_place(table, frames, n, hash);
		if (found)
			return found;
	}
	if (table->n == UINT32_MAX - 1 || mh_traceback_grow(table, n))
		return 0;
	place = mh_traceback_place(table, frames, n, hash);
	entry = &table->entries[table->n++];
	*entry = (struct mh_traceback){ .first = table->nframes, .n = n, .hash = hash };
	memcpy(table->frames + table->nframes, frames, n * sizeof(*frames));
	table->nframes += n;
	*place = table->n;
	return table->n;
}

size_t mh_tracebacks_bytes(const struct mh_tracebacks *table)
{
	return table->frames_room * sizeof(*table->frames) +
	       table->room * sizeof(*table->entries) + table->nindex * sizeof(*table->index);
}

void mh_tracebacks_free(struct mh_tracebacks *table)
{
	free(table->frames);
	free(table->entries);
	free(table->index);
	*table = (struct mh_tracebacks){ 0 };
}
