// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Traces, as the kernel hands them back: of one object, and of all.
 *
 * Tracebacks are copied out of the heap's table under heap->lock, so that numbers and table fit;
 * what they lead to is found out afterwards, without it.
 */
#include <stdlib.h>

#include "trace.h"

/* ---- Where an object was made ---- */

/* What moheap_traceback_free() frees. */
struct mh_object_traceback {
	struct moheap_traceback traceback;
	struct mh_places *places;
};

/* The number of the traceback of an object. Caller holds heap->lock. */
static int mh_object_site(struct moheap *heap, moheap_ref_t ref, __u32 *site)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };
	const struct mh_tracing *tracing = &heap->tracing;
	struct moheap_sites sites = { 0 };
	int err = mh_name(heap, ref);

	if (!err)
		err = mh_sites_ask(heap, &sites);
	if (!err)
		err = mh_ioctl(heap, MOHEAP_IOC_OBJECT, &object);
	if (err)
		return err;
	*site = object.site;
	if (!object.site || !mh_nframe(heap))
		return -ENOENT;
	if (object.site_client == sites.client)
		return object.site <= tracing->tracebacks.n ? 0 : -ENOENT;
	return object.site_client == tracing->parent && object.site <= tracing->parent_n ? 0 :
											   -ENOENT;
}

static int mh_object_places(struct moheap *heap, moheap_ref_t ref, struct mh_places **places)
{
	__u32 site;
	int err;

	mh_lock(&heap->lock);
	err = mh_object_site(heap, ref, &site);
	if (!err) {
		*places = mh_places_of(&heap->tracing.tracebacks, site - 1, 1);
		if (!*places)
			err = -ENOMEM;
	}
	mh_unlock(&heap->lock);
	return err;
}

int moheap_tracemalloc_get_object_traceback(struct moheap *heap, moheap_ref_t ref,
					    struct moheap_traceback **traceback)
{
	struct mh_object_traceback *object = malloc(sizeof(*object));
	int err;

	if (!object)
		return -ENOMEM;
	err = mh_object_places(heap, ref, &object->places);
	if (err)
		goto free;
	err = mh_places_find(object->places);
	if (err)
		goto put;
	object->traceback = mh_places_traceback(object->places, 0);
	*traceback = &object->traceback;
	return 0;
put:
	mh_places_put(object->places);
free:
	free(object);
	return err;
}

void moheap_traceback_free(struct moheap_traceback *traceback)
{
	struct mh_object_traceback *object = (struct mh_object_traceback *)traceback;

	if (!object)
		return;
	mh_places_put(object->places);
	free(object);
}

/* ---- All of them ---- */

/* Sites that are asked for at a time. */
#define MH_SITES_SOME	256

static int mh_snapshot_add(struct moheap_snapshot *snapshot, size_t *room,
			   const struct moheap_site *sites, __u32 n)
{
	struct mh_trace *trace;
	__u32 i;

	if (mh_grow((void **)&snapshot->traces, room, snapshot->n + n, sizeof(*snapshot->traces)))
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		/* One of a table that is gone. */
		if (sites[i].site > snapshot->places->ntracebacks)
			continue;
		trace = &snapshot->traces[snapshot->n++];
		*trace = (struct mh_trace){
			.ref = sites[i].ref,
			.size = sites[i].bytes,
			.type = sites[i].type,
			.traceback = sites[i].site - 1,
		};
	}
	return 0;
}

/* Caller holds heap->lock, so that all sites are of the table as it is. */
static int mh_snapshot_fill(struct moheap *heap, struct moheap_snapshot *snapshot)
{
	struct mh_tracebacks *tracebacks = &heap->tracing.tracebacks;
	struct moheap_site found[MH_SITES_SOME];
	struct moheap_sites sites = { .sites = (uintptr_t)found };
	size_t room = 0;
	int err = 0;

	snapshot->nframe = mh_nframe(heap);
	if (!snapshot->nframe)
		return -EINVAL;
	snapshot->places = mh_places_of(tracebacks, 0, tracebacks->n);
	if (!snapshot->places)
		return -ENOMEM;
	while (!err && sites.cursor != MOHEAP_SITES_END) {
		sites.count = MH_SITES_SOME;
		err = mh_sites_ask(heap, &sites);
		if (!err)
			err = mh_snapshot_add(snapshot, &room, found, sites.count);
	}
	return err;
}

int moheap_tracemalloc_take_snapshot(struct moheap *heap, struct moheap_snapshot **snapshot)
{
	int err;

	*snapshot = calloc(1, sizeof(**snapshot));
	if (!*snapshot)
		return -ENOMEM;
	mh_lock(&heap->lock);
	err = mh_snapshot_fill(heap, *snapshot);
	mh_unlock(&heap->lock);
	if (!err)
		return 0;
	moheap_snapshot_free(*snapshot);
	*snapshot = NULL;
	return err;
}
