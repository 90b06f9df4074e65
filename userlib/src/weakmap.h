/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * What is under weak dicts and sets: see weakmap.c.
 */
#ifndef MOHEAP_WEAKMAP_H
#define MOHEAP_WEAKMAP_H

#include "weak.h"

/* Which side of an entry is weak; the other is held. */
enum mh_weak_side {
	MH_WEAK_KEY = 0,
	MH_WEAK_VALUE = 1,
};

/**
 * struct mh_weak_place - where an entry is, in the order in which they came
 * @number: of the entry; those of one map only grow
 * @entry: it; NULL where it was taken out
 */
struct mh_weak_place {
	__u64 number;
	struct mh_weak_entry *entry;
};

/**
 * struct mh_weakmap - entries with a weak side, by key
 * @list: in heap->weakrefs.maps
 * @weak: enum mh_weak_side
 * @index: first entry of each chain, by hash
 * @places: of all entries
 * @size: entries of @index and of @places: a power of two, or 0
 * @filled: places in use, those of entries that were taken out since included; the last has one
 * @used: entries
 * @number: the last that was given
 */
struct mh_weakmap {
	LIST_ENTRY(mh_weakmap) list;
	unsigned int weak;
	struct mh_weak_entry **index;
	struct mh_weak_place *places;
	size_t size;
	size_t filled;
	size_t used;
	__u64 number;
};

struct mh_weakmap *mh_weakmap_new(struct moheap *heap, enum mh_weak_side weak);
void mh_weakmap_free(struct moheap *heap, struct mh_weakmap *map);
void mh_weakmaps_free(struct moheap *heap);
struct mh_weakmap *mh_weakmap_copy(struct moheap *heap, struct mh_weakmap *map, int *err);
long long mh_weakmap_len(struct moheap *heap, struct mh_weakmap *map);
int mh_weakmap_contains(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key);
int mh_weakmap_get(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key,
		   moheap_ref_t *value);
int mh_weakmap_add(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key);
int mh_weakmap_set(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key,
		   moheap_ref_t value);
int mh_weakmap_setdefault(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key,
			  moheap_ref_t value, moheap_ref_t *got);
int mh_weakmap_pop(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key,
		   moheap_ref_t *value);
int mh_weakmap_popitem(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t *key,
		       moheap_ref_t *value);
void mh_weakmap_clear(struct moheap *heap, struct mh_weakmap *map);
int mh_weakmap_next(struct moheap *heap, struct mh_weakmap *map,
		    struct moheap_weak_cursor *cursor, moheap_ref_t *key, moheap_ref_t *value);
int mh_weakmap_update(struct moheap *heap, struct mh_weakmap *map, struct mh_weakmap *other);
int mh_weakmap_update_from(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t dict);
size_t mh_weakmap_refs(struct moheap *heap, struct mh_weakmap *map,
		       struct moheap_weakref **weakrefs, size_t n);

#endif /* MOHEAP_WEAKMAP_H */
