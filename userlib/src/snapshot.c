// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Snapshots: traces of one moment, and some of them.
 */
#include <fnmatch.h>
#include <string.h>

#include "trace.h"

void moheap_snapshot_free(struct moheap_snapshot *snapshot)
{
	if (!snapshot)
		return;
	mh_places_put(snapshot->places);
	free(snapshot->traces);
	free(snapshot);
}

size_t moheap_snapshot_len(const struct moheap_snapshot *snapshot)
{
	return snapshot->n;
}

unsigned int moheap_snapshot_get_traceback_limit(const struct moheap_snapshot *snapshot)
{
	return snapshot->nframe;
}

int moheap_snapshot_trace(struct moheap_snapshot *snapshot, size_t index,
			  struct moheap_trace *trace)
{
	const struct mh_trace *from;
	int err;

	if (index >= snapshot->n)
		return -ERANGE;
	err = mh_places_find(snapshot->places);
	if (err)
		return err;
	from = &snapshot->traces[index];
	*trace = (struct moheap_trace){
		.ref = from->ref,
		.size = from->size,
		.type = from->type,
		.traceback = mh_places_traceback(snapshot->places, from->traceback),
	};
	return 0;
}

/* ---- Filters ---- */

static bool mh_pattern_matches(const char *pattern, const char *text)
{
	if (!pattern)
		return true;
	return text && !fnmatch(pattern, text, FNM_NOESCAPE);
}

static bool mh_filter_matches_frame(const struct moheap_filter *filter,
				    const struct moheap_frame *frame)
{
	if (filter->lineno != MOHEAP_FILTER_ANY && filter->lineno != (int)frame->lineno)
		return false;
	return mh_pattern_matches(filter->filename, frame->filename) &&
	       mh_pattern_matches(filter->symbol, frame->symbol);
}

static bool mh_filter_matches(const struct moheap_filter *filter, const struct mh_trace *trace,
			      const struct moheap_traceback *traceback)
{
	unsigned int n = filter->all_frames ? traceback->nframes : 1, i;

	if (filter->type != MOHEAP_FILTER_ANY && filter->type != (int)trace->type)
		return false;
	for (i = 0; i < n; i++)
		if (mh_filter_matches_frame(filter, &traceback->frames[i]))
			return true;
	return false;
}

static bool mh_filters_keep(const struct moheap_filter *filters, size_t n,
			    const struct moheap_snapshot *snapshot, const struct mh_trace *trace)
{
	struct moheap_traceback traceback = mh_places_traceback(snapshot->places,
								trace->traceback);
	bool wanted = true, matches;
	size_t i;

	for (i = 0; i < n; i++)
		wanted = wanted && !filters[i].inclusive;
	for (i = 0; i < n; i++) {
		matches = mh_filter_matches(&filters[i], trace, &traceback);
		if (matches && !filters[i].inclusive)
			return false;
		wanted = wanted || matches;
	}
	return wanted;
}

int moheap_snapshot_filter(struct moheap_snapshot *snapshot, const struct moheap_filter *filters,
			   size_t n, struct moheap_snapshot **filtered)
{
	struct moheap_snapshot *some;
	size_t i;
	int err;

	err = mh_places_find(snapshot->places);
	if (err)
		return err;
	some = calloc(1, sizeof(*some));
	if (!some)
		return -ENOMEM;
	some->nframe = snapshot->nframe;
	some->traces = calloc(snapshot->n + 1, sizeof(*some->traces));
	if (!some->traces) {
		free(some);
		return -ENOMEM;
	}
	some->places = snapshot->places;
	mh_places_get(some->places);
	for (i = 0; i < snapshot->n; i++)
		if (mh_filters_keep(filters, n, snapshot, &snapshot->traces[i]))
			some->traces[some->n++] = snapshot->traces[i];
	*filtered = some;
	return 0;
}
