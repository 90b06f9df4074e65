// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Weak dicts: weak maps by the names that Python has for them.
 */
#include "weakmap.h"

struct moheap_weakvaluedict {
	struct mh_weakmap map;
};

struct moheap_weakkeydict {
	struct mh_weakmap map;
};

/* A map is all that a dict is: what mh_weakmap_new() gives is one. */

/* ---- WeakValueDictionary ---- */

int moheap_weakvaluedict_new(struct moheap *heap, struct moheap_weakvaluedict **dict)
{
	struct mh_weakmap *map = mh_weakmap_new(heap, MH_WEAK_VALUE);

	if (!map)
		return -ENOMEM;
	*dict = (struct moheap_weakvaluedict *)map;
	return 0;
}

void moheap_weakvaluedict_free(struct moheap *heap, struct moheap_weakvaluedict *dict)
{
	mh_weakmap_free(heap, (struct mh_weakmap *)dict);
}

int moheap_weakvaluedict_copy(struct moheap *heap, struct moheap_weakvaluedict *dict,
			      struct moheap_weakvaluedict **copy)
{
	int err;
	struct mh_weakmap *map = mh_weakmap_copy(heap, &dict->map, &err);

	if (!err)
		*copy = (struct moheap_weakvaluedict *)map;
	return err;
}

long long moheap_weakvaluedict_len(struct moheap *heap, struct moheap_weakvaluedict *dict)
{
	return mh_weakmap_len(heap, &dict->map);
}

int moheap_weakvaluedict_set(struct moheap *heap, struct moheap_weakvaluedict *dict,
			     moheap_ref_t key, moheap_ref_t value)
{
	return mh_weakmap_set(heap, &dict->map, key, value);
}

int moheap_weakvaluedict_get(struct moheap *heap, struct moheap_weakvaluedict *dict,
			     moheap_ref_t key, moheap_ref_t *value)
{
	return mh_weakmap_get(heap, &dict->map, key, value);
}

int moheap_weakvaluedict_contains(struct moheap *heap, struct moheap_weakvaluedict *dict,
				  moheap_ref_t key)
{
	return mh_weakmap_contains(heap, &dict->map, key);
}

int moheap_weakvaluedict_setdefault(struct moheap *heap, struct moheap_weakvaluedict *dict,
				    moheap_ref_t key, moheap_ref_t value, moheap_ref_t *got)
{
	return mh_weakmap_setdefault(heap, &dict->map, key, value, got);
}

int moheap_weakvaluedict_pop(struct moheap *heap, struct moheap_weakvaluedict *dict,
			     moheap_ref_t key, moheap_ref_t *value)
{
	return mh_weakmap_pop(heap, &dict->map, key, value);
}

int moheap_weakvaluedict_popitem(struct moheap *heap, struct moheap_weakvaluedict *dict,
				 moheap_ref_t *key, moheap_ref_t *value)
{
	return mh_weakmap_popitem(heap, &dict->map, key, value);
}

void moheap_weakvaluedict_clear(struct moheap *heap, struct moheap_weakvaluedict *dict)
{
	mh_weakmap_clear(heap, &dict->map);
}

int moheap_weakvaluedict_update(struct moheap *heap, struct moheap_weakvaluedict *dict,
				struct moheap_weakvaluedict *other)
{
	return mh_weakmap_update(heap, &dict->map, &other->map);
}

int moheap_weakvaluedict_update_from(struct moheap *heap, struct moheap_weakvaluedict *dict,
				     moheap_ref_t other)
{
	return mh_weakmap_update_from(heap, &dict->map, other);
}

int moheap_weakvaluedict_next(struct moheap *heap, struct moheap_weakvaluedict *dict,
			      struct moheap_weak_cursor *cursor, moheap_ref_t *key,
			      moheap_ref_t *value)
{
	return mh_weakmap_next(heap, &dict->map, cursor, key, value);
}

size_t moheap_weakvaluedict_valuerefs(struct moheap *heap, struct moheap_weakvaluedict *dict,
				      struct moheap_weakref **weakrefs, size_t n)
{
	return mh_weakmap_refs(heap, &dict->map, weakrefs, n);
}

/* ---- WeakKeyDictionary ---- */

int moheap_weakkeydict_new(struct moheap *heap, struct moheap_weakkeydict **dict)
{
	struct mh_weakmap *map = mh_weakmap_new(heap, MH_WEAK_KEY);

	if (!map)
		return -ENOMEM;
	*dict = (struct moheap_weakkeydict *)map;
	return 0;
}

void moheap_weakkeydict_free(struct moheap *heap, struct moheap_weakkeydict *dict)
{
	mh_weakmap_free(heap, (struct mh_weakmap *)dict);
}

int moheap_weakkeydict_copy(struct moheap *heap, struct moheap_weakkeydict *dict,
			    struct moheap_weakkeydict **copy)
{
	int err;
	struct mh_weakmap *map = mh_weakmap_copy(heap, &dict->map, &err);

	if (!err)
		*copy = (struct moheap_weakkeydict *)map;
	return err;
}

long long moheap_weakkeydict_len(struct moheap *heap, struct moheap_weakkeydict *dict)
{
	return mh_weakmap_len(heap, &dict->map);
}

int moheap_weakkeydict_set(struct moheap *heap, struct moheap_weakkeydict *dict, moheap_ref_t key,
			   moheap_ref_t value)
{
	return mh_weakmap_set(heap, &dict->map, key, value);
}

int moheap_weakkeydict_get(struct moheap *heap, struct moheap_weakkeydict *dict, moheap_ref_t key,
			   moheap_ref_t *value)
{
	return mh_weakmap_get(heap, &dict->map, key, value);
}

int moheap_weakkeydict_contains(struct moheap *heap, struct moheap_weakkeydict *dict,
				moheap_ref_t key)
{
	return mh_weakmap_contains(heap, &dict->map, key);
}

int moheap_weakkeydict_setdefault(struct moheap *heap, struct moheap_weakkeydict *dict,
				  moheap_ref_t key, moheap_ref_t value, moheap_ref_t *got)
{
	return mh_weakmap_setdefault(heap, &dict->map, key, value, got);
}

int moheap_weakkeydict_pop(struct moheap *heap, struct moheap_weakkeydict *dict, moheap_ref_t key,
			   moheap_ref_t *value)
{
	return mh_weakmap_pop(heap, &dict->map, key, value);
}

int moheap_weakkeydict_popitem(struct moheap *heap, struct moheap_weakkeydict *dict,
			       moheap_ref_t *key, moheap_ref_t *value)
{
	return mh_weakmap_popitem(heap, &dict->map, key, value);
}

void moheap_weakkeydict_clear(struct moheap *heap, struct moheap_weakkeydict *dict)
{
	mh_weakmap_clear(heap, &dict->map);
}

int moheap_weakkeydict_update(struct moheap *heap, struct moheap_weakkeydict *dict,
			      struct moheap_weakkeydict *other)
{
	return mh_weakmap_update(heap, &dict->map, &other->map);
}

int moheap_weakkeydict_update_from(struct moheap *heap, struct moheap_weakkeydict *dict,
				   moheap_ref_t other)
{
	return mh_weakmap_update_from(heap, &dict->map, other);
}

int moheap_weakkeydict_next(struct moheap *heap, struct moheap_weakkeydict *dict,
			    struct moheap_weak_cursor *cursor, moheap_ref_t *key,
			    moheap_ref_t *value)
{
	return mh_weakmap_next(heap, &dict->map, cursor, key, value);
}

size_t moheap_weakkeydict_keyrefs(struct moheap *heap, struct moheap_weakkeydict *dict,
				  struct moheap_weakref **weakrefs, size_t n)
{
	return mh_weakmap_refs(heap, &dict->map, weakrefs, n);
}
