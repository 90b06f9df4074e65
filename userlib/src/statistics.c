// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Statistics: traces added up by what they have in common, and how that has changed.
 *
 * Traces are added up by traceback first, which is counting; then each traceback gives an entry
 * for its most recent frame, or for each of its frames. Entries are sorted by key, those with the
 * same key put together, and the result sorted by size. A comparison is the same with the entries
 * of both snapshots, which bring in their figures as new or as old ones: entries are compared by
 * what their strings say, not by where they are.
 */
#include <stdio.h>
#include <string.h>

#include "trace.h"

/* Figures, now and in an older snapshot. */
struct mh_figures {
	__u64 size;
	__u64 count;
	__u64 old_size;
	__u64 old_count;
};

struct mh_entry {
	struct moheap_traceback key;
	struct mh_figures figures;
};

struct mh_entries {
	enum moheap_key key;
	struct mh_entry *entries;
	size_t n;
	size_t room;
};

/* ---- Keys ---- */

static int mh_text_compare(const char *a, const char *b)
{
	if (a == b)
		return 0;
	/* Nothing comes first. */
	if (!a || !b)
		return a ? 1 : -1;
	return strcmp(a, b);
}

static int mh_frame_compare(enum moheap_key key, const struct moheap_frame *a,
			    const struct moheap_frame *b)
{
	int order = mh_text_compare(a->filename, b->filename);

	if (order || key == MOHEAP_KEY_FILENAME)
		return order;
	if (key != MOHEAP_KEY_SYMBOL && a->lineno != b->lineno)
		return a->lineno < b->lineno ? -1 : 1;
	if (key != MOHEAP_KEY_SYMBOL && a->lineno)
		return 0;
	return mh_text_compare(a->symbol, b->symbol);
}

static int mh_key_compare(enum moheap_key key, const struct moheap_traceback *a,
			  const struct moheap_traceback *b)
{
	unsigned int i;
	int order;

	for (i = 0; i < a->nframes && i < b->nframes; i++) {
		order = mh_frame_compare(key, &a->frames[i], &b->frames[i]);
		if (order)
			return order;
	}
	return a->nframes < b->nframes ? -1 : a->nframes > b->nframes;
}

static int mh_entry_compare(const void *a, const void *b, void *entries)
{
	const struct mh_entry *x = a, *y = b;

	return mh_key_compare(((const struct mh_entries *)entries)->key, &x->key, &y->key);
}

/* ---- Entries ---- */

static int mh_entry_add(struct mh_entries *entries, const struct moheap_frame *frames,
			unsigned int nframes, const struct mh_figures *figures)
{
	if (mh_grow((void **)&entries->entries, &entries->room, entries->n + 1,
		    sizeof(*entries->entries)))
		return -ENOMEM;
	entries->entries[entries->n++] = (struct mh_entry){
		.key = { .frames = frames, .nframes = nframes },
		.figures = *figures,
	};
	return 0;
}

/* Does a more recent frame have this key already? */
static bool mh_frame_repeats(enum moheap_key key, const struct moheap_traceback *traceback,
			     unsigned int at)
{
	unsigned int i;

	for (i = 0; i < at; i++)
		if (!mh_frame_compare(key, &traceback->frames[i], &traceback->frames[at]))
			return true;
	return false;
}

static int mh_entries_add_traceback(struct mh_entries *entries, bool cumulative,
				    const struct moheap_traceback *traceback,
				    const struct mh_figures *figures)
{
	unsigned int i;
	int err = 0;

	if (entries->key == MOHEAP_KEY_TRACEBACK)
		return mh_entry_add(entries, traceback->frames, traceback->nframes, figures);
	if (!cumulative)
		return mh_entry_add(entries, traceback->frames, 1, figures);
	for (i = 0; i < traceback->nframes && !err; i++)
		if (!mh_frame_repeats(entries->key, traceback, i))
			err = mh_entry_add(entries, &traceback->frames[i], 1, figures);
	return err;
}

/* What each traceback of a snapshot adds up to. */
static void mh_figures_count(const struct moheap_snapshot *snapshot, bool old,
			     struct mh_figures *figures)
{
	const struct mh_trace *trace;
	size_t i;

	for (i = 0; i < snapshot->n; i++) {
		trace = &snapshot->traces[i];
		if (old) {
			figures[trace->traceback].old_size += trace->size;
			figures[trace->traceback].old_count++;
		} else {
			figures[trace->traceback].size += trace->size;
			figures[trace->traceback].count++;
		}
	}
}

static int mh_entries_add(struct mh_entries *entries, bool cumulative,
			  struct moheap_snapshot *snapshot, bool old)
{
	const struct mh_places *places = snapshot->places;
	struct moheap_traceback traceback;
	struct mh_figures *figures;
	size_t i;
	int err = mh_places_find(snapshot->places);

	if (err)
		return err;
	figures = calloc(places->ntracebacks + 1, sizeof(*figures));
	if (!figures)
		return -ENOMEM;
	mh_figures_count(snapshot, old, figures);
	for (i = 0; i < places->ntracebacks && !err; i++) {
		traceback = mh_places_traceback(places, i);
		if (figures[i].count || figures[i].old_count)
			err = mh_entries_add_traceback(entries, cumulative, &traceback,
						       &figures[i]);
	}
	free(figures);
	return err;
}

/* Put those with the same key together. */
static void mh_entries_merge(struct mh_entries *entries)
{
	struct mh_entry *to = entries->entries, *from = to;
	size_t n = entries->n, i;

	if (!n)
		return;
	qsort_r(entries->entries, n, sizeof(*from), mh_entry_compare, entries);
	entries->n = 0;
	for (i = 0; i < n; i++, from++) {
		if (entries->n && !mh_entry_compare(&to[entries->n - 1], from, entries)) {
			to[entries->n - 1].figures.size += from->figures.size;
			to[entries->n - 1].figures.count += from->figures.count;
			to[entries->n - 1].figures.old_size += from->figures.old_size;
			to[entries->n - 1].figures.old_count += from->figures.old_count;
		} else {
			to[entries->n++] = *from;
		}
	}
}

/* ---- The result ---- */

/* Descending. */
static int mh_order(__u64 a, __u64 b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

/* A tie is decided by traceback, so that the order is always the same. */
static int mh_statistic_compare(const void *a, const void *b)
{
	const struct moheap_statistic *x = a, *y = b;
	int order = mh_order(llabs(x->size_diff), llabs(y->size_diff));

	if (!order)
		order = mh_order(x->size, y->size);
	if (!order)
		order = mh_order(llabs(x->count_diff), llabs(y->count_diff));
	if (!order)
		order = mh_order(x->count, y->count);
	return order ? order : -mh_key_compare(MOHEAP_KEY_TRACEBACK, &x->traceback, &y->traceback);
}

static struct moheap_frame mh_frame_of_key(enum moheap_key key, const struct moheap_frame *frame)
{
	struct moheap_frame reduced = *frame;

	if (key == MOHEAP_KEY_FILENAME)
		reduced.symbol = NULL;
	if (key != MOHEAP_KEY_LINENO)
		reduced.lineno = 0;
	return reduced;
}

/* One piece of memory: the statistics, and behind them the frames that are made here. */
static struct moheap_statistic *mh_statistics_make(const struct mh_entries *entries, bool diff)
{
	struct moheap_statistic *statistics, *to;
	const struct mh_entry *entry = entries->entries;
	struct moheap_frame *frames;
	size_t i;

	statistics = calloc(entries->n + 1, sizeof(*statistics) + sizeof(*frames));
	if (!statistics)
		return NULL;
	frames = (struct moheap_frame *)(statistics + entries->n + 1);
	for (i = 0; i < entries->n; i++, entry++) {
		to = &statistics[i];
		to->traceback = entry->key;
		if (entries->key != MOHEAP_KEY_TRACEBACK) {
			frames[i] = mh_frame_of_key(entries->key, entry->key.frames);
			to->traceback.frames = &frames[i];
		}
		to->size = entry->figures.size;
		to->count = entry->figures.count;
		if (diff) {
			to->size_diff = to->size - entry->figures.old_size;
			to->count_diff = to->count - entry->figures.old_count;
		}
	}
	qsort(statistics, entries->n, sizeof(*statistics), mh_statistic_compare);
	return statistics;
}

static bool mh_key_ok(unsigned int key)
{
	if (key & MOHEAP_KEY_CUMULATIVE)
		return (key & ~MOHEAP_KEY_CUMULATIVE) <= MOHEAP_KEY_SYMBOL;
	return key <= MOHEAP_KEY_TRACEBACK;
}

/* @old may be NULL. */
static int mh_statistics(struct moheap_snapshot *snapshot, struct moheap_snapshot *old,
			 unsigned int key, struct moheap_statistic **statistics, size_t *n)
{
	struct mh_entries entries = { .key = (enum moheap_key)(key & ~MOHEAP_KEY_CUMULATIVE) };
	bool cumulative = key & MOHEAP_KEY_CUMULATIVE;
	int err;

	if (!mh_key_ok(key))
		return -EINVAL;
	err = mh_entries_add(&entries, cumulative, snapshot, false);
	if (!err && old)
		err = mh_entries_add(&entries, cumulative, old, true);
	if (!err) {
		mh_entries_merge(&entries);
		*statistics = mh_statistics_make(&entries, old);
		*n = entries.n;
		if (!*statistics)
			err = -ENOMEM;
	}
	free(entries.entries);
	return err;
}

int moheap_snapshot_statistics(struct moheap_snapshot *snapshot, unsigned int key,
			       struct moheap_statistic **statistics, size_t *n)
{
	return mh_statistics(snapshot, NULL, key, statistics, n);
}

int moheap_snapshot_compare_to(struct moheap_snapshot *snapshot, struct moheap_snapshot *old,
			       unsigned int key, struct moheap_statistic **statistics, size_t *n)
{
	return mh_statistics(snapshot, old, key, statistics, n);
}
