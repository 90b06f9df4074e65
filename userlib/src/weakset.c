// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Weak sets: weak maps without values.
 */
#include "weakmap.h"

struct moheap_weakset {
	struct mh_weakmap map;
};

int moheap_weakset_new(struct moheap *heap, struct moheap_weakset **set)
{
	struct mh_weakmap *map = mh_weakmap_new(heap, MH_WEAK_KEY);

	if (!map)
		return -ENOMEM;
	/* A map is all that a set is. */
	*set = (struct moheap_weakset *)map;
	return 0;
}

void moheap_weakset_free(struct moheap *heap, struct moheap_weakset *set)
{
	mh_weakmap_free(heap, (struct mh_weakmap *)set);
}

long long moheap_weakset_len(struct moheap *heap, struct moheap_weakset *set)
{
	return mh_weakmap_len(heap, &set->map);
}

/* ---- One key ---- */

int moheap_weakset_contains(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t key)
{
	return mh_weakmap_contains(heap, &set->map, key);
}

int moheap_weakset_add(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t key)
{
	return mh_weakmap_add(heap, &set->map, key);
}

int moheap_weakset_remove(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t key)
{
	return mh_weakmap_pop(heap, &set->map, key, NULL);
}

int moheap_weakset_discard(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t key)
{
	int err = moheap_weakset_remove(heap, set, key);

	if (err == -ENOENT)
		return 0;
	return err ? err : 1;
}

int moheap_weakset_pop(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t *key)
{
	moheap_ref_t none;

	return mh_weakmap_popitem(heap, &set->map, key, &none);
}

int moheap_weakset_next(struct moheap *heap, struct moheap_weakset *set,
			struct moheap_weak_cursor *cursor, moheap_ref_t *key)
{
	return mh_weakmap_next(heap, &set->map, cursor, key, NULL);
}

/* ---- All of a set ---- */

void moheap_weakset_clear(struct moheap *heap, struct moheap_weakset *set)
{
	mh_weakmap_clear(heap, &set->map);
}

/*
 * Do something with each key of a set, until that gives something that is not 0.
 *
 * Return: what it gave, or 0.
 */
static int mh_weakset_each(struct moheap *heap, struct moheap_weakset *set,
			   int (*act)(struct moheap *heap, struct moheap_weakset *with,
				      moheap_ref_t key),
			   struct moheap_weakset *with)
{
	struct moheap_weak_cursor cursor = { 0 };
	moheap_ref_t key;
	int ret = 0, more;

	while (!ret) {
		more = moheap_weakset_next(heap, set, &cursor, &key);
		if (more <= 0)
			return more;
		ret = act(heap, with, key);
		moheap_decref(heap, key);
	}
	return ret;
}

static int mh_weakset_put(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t key)
{
	int ret = moheap_weakset_add(heap, set, key);

	return ret < 0 ? ret : 0;
}

static int mh_weakset_drop(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t key)
{
	int ret = moheap_weakset_discard(heap, set, key);

	return ret < 0 ? ret : 0;
}

static int mh_weakset_toggle(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t key)
{
	int ret = moheap_weakset_discard(heap, set, key);

	if (ret)
		return ret < 0 ? ret : 0;
	return mh_weakset_put(heap, set, key);
}

static int mh_weakset_lacks(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t key)
{
	int ret = moheap_weakset_contains(heap, set, key);

	return ret < 0 ? ret : !ret;
}

int moheap_weakset_update(struct moheap *heap, struct moheap_weakset *set,
			  struct moheap_weakset *other)
{
	return mh_weakset_each(heap, other, mh_weakset_put, set);
}

int moheap_weakset_update_from(struct moheap *heap, struct moheap_weakset *set, moheap_ref_t other)
{
	struct moheap_cursor cursor = { 0 };
	moheap_ref_t key;
	int err = 0, more;

	while (!err) {
		more = moheap_set_next(heap, other, &cursor, &key);
		if (more <= 0)
			return more;
		err = mh_weakset_put(heap, set, key);
	}
	return err;
}

/* Take out those of which it is as @has says whether they are in another. */
static int mh_weakset_strike(struct moheap *heap, struct moheap_weakset *set,
			     struct moheap_weakset *other, int has)
{
	struct moheap_weak_cursor cursor = { 0 };
	moheap_ref_t key;
	int ret = 0, more;

	while (ret >= 0) {
		more = moheap_weakset_next(heap, set, &cursor, &key);
		if (more <= 0)
			return more;
		ret = moheap_weakset_contains(heap, other, key);
		if (ret == has)
			ret = mh_weakset_drop(heap, set, key);
		moheap_decref(heap, key);
	}
	return ret;
}

int moheap_weakset_intersection_update(struct moheap *heap, struct moheap_weakset *set,
				       struct moheap_weakset *other)
{
	return mh_weakset_strike(heap, set, other, 0);
}

int moheap_weakset_difference_update(struct moheap *heap, struct moheap_weakset *set,
				     struct moheap_weakset *other)
{
	return mh_weakset_each(heap, other, mh_weakset_drop, set);
}

int moheap_weakset_symmetric_difference_update(struct moheap *heap, struct moheap_weakset *set,
					       struct moheap_weakset *other)
{
	return mh_weakset_each(heap, other, mh_weakset_toggle, set);
}

/* ---- Sets of two ---- */

int moheap_weakset_copy(struct moheap *heap, struct moheap_weakset *set,
			struct moheap_weakset **copy)
{
	struct mh_weakmap *map;
	int err;

	map = mh_weakmap_copy(heap, &set->map, &err);
	if (!err)
		*copy = (struct moheap_weakset *)map;
	return err;
}

/* A copy of @a, changed by what @b has. */
static int mh_weakset_made(struct moheap *heap, struct moheap_weakset *a, struct moheap_weakset *b,
			   int (*change)(struct moheap *heap, struct moheap_weakset *set,
					 struct moheap_weakset *other),
			   struct moheap_weakset **set)
{
	struct moheap_weakset *made;
	int err = moheap_weakset_copy(heap, a, &made);

	if (err)
		return err;
	err = change(heap, made, b);
	if (err)
		moheap_weakset_free(heap, made);
	else
		*set = made;
	return err;
}

int moheap_weakset_union(struct moheap *heap, struct moheap_weakset *a, struct moheap_weakset *b,
			 struct moheap_weakset **set)
{
	return mh_weakset_made(heap, a, b, moheap_weakset_update, set);
}

int moheap_weakset_intersection(struct moheap *heap, struct moheap_weakset *a,
				struct moheap_weakset *b, struct moheap_weakset **set)
{
	return mh_weakset_made(heap, a, b, moheap_weakset_intersection_update, set);
}

int moheap_weakset_difference(struct moheap *heap, struct moheap_weakset *a,
			      struct moheap_weakset *b, struct moheap_weakset **set)
{
	return mh_weakset_made(heap, a, b, moheap_weakset_difference_update, set);
}

int moheap_weakset_symmetric_difference(struct moheap *heap, struct moheap_weakset *a,
					struct moheap_weakset *b, struct moheap_weakset **set)
{
	return mh_weakset_made(heap, a, b, moheap_weakset_symmetric_difference_update, set);
}

/* ---- Comparing ---- */

/* 0 for 1 and the other way round; an errno stays. */
static int mh_weakset_not(int ret)
{
	return ret < 0 ? ret : !ret;
}

int moheap_weakset_issubset(struct moheap *heap, struct moheap_weakset *a, struct moheap_weakset *b)
{
	return mh_weakset_not(mh_weakset_each(heap, a, mh_weakset_lacks, b));
}

int moheap_weakset_isdisjoint(struct moheap *heap, struct moheap_weakset *a,
			      struct moheap_weakset *b)
{
	return mh_weakset_not(mh_weakset_each(heap, a, moheap_weakset_contains, b));
}

int moheap_weakset_equal(struct moheap *heap, struct moheap_weakset *a, struct moheap_weakset *b)
{
	int ret = moheap_weakset_issubset(heap, a, b);

	return ret == 1 ? moheap_weakset_issubset(heap, b, a) : ret;
}
