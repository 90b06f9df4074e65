// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Sets: a table in which each entry is a key.
 */
#include "container.h"

#define MH_SET_WIDTH	1

int moheap_set_new(struct moheap *heap, moheap_ref_t *set)
{
	int type = mh_kind_type(heap, MOHEAP_KIND_SET);

	return type < 0 ? type : moheap_new(heap, type, set);
}

size_t moheap_set_len(const struct moheap *heap, moheap_ref_t set)
{
	return mh_hashed_len(heap, set);
}

static int mh_set_has(struct moheap *heap, moheap_ref_t set, const struct mh_key *key)
{
	long long entry = mh_hashed_find(heap, set, key);

	if (entry == -ENOENT)
		return 0;
	return entry < 0 ? entry : 1;
}

/* 1 if it is new, 0 if an equal one is there. */
static int mh_set_add(struct moheap *heap, moheap_ref_t set, const struct mh_key *key)
{
	int err = mh_set_has(heap, set, key);

	if (err)
		return err < 0 ? err : 0;
	err = mh_hashed_add(heap, set, MH_SET_WIDTH, key, 0);
	return err ? err : 1;
}

int moheap_set_add(struct moheap *heap, moheap_ref_t set, moheap_ref_t key)
{
	struct mh_key k;
	int err = mh_key_init(heap, key, &k);

	return err ? err : mh_set_add(heap, set, &k);
}

int moheap_set_contains(struct moheap *heap, moheap_ref_t set, moheap_ref_t key)
{
	struct mh_key k;
	int err = mh_key_init(heap, key, &k);

	return err ? err : mh_set_has(heap, set, &k);
}

int moheap_set_remove(struct moheap *heap, moheap_ref_t set, moheap_ref_t key)
{
	struct mh_key k;
	int err = mh_key_init(heap, key, &k);
	long long entry;

	if (err)
		return err;
	entry = mh_hashed_find(heap, set, &k);
	return entry < 0 ? entry : mh_hashed_delete(heap, set, entry);
}

int moheap_set_pop(struct moheap *heap, moheap_ref_t set, moheap_ref_t *key)
{
	long long entry = mh_hashed_last(heap, set);
	moheap_ref_t taken;
	int err;

	if (entry < 0)
		return entry;
	err = mh_take(heap, mh_hashed_ref(heap, set, entry, 0), &taken);
	if (err)
		return err;
	err = mh_hashed_delete(heap, set, entry);
	return mh_give(heap, err, taken, key);
}

int moheap_set_clear(struct moheap *heap, moheap_ref_t set)
{
	return mh_hashed_clear(heap, set);
}

int moheap_set_update(struct moheap *heap, moheap_ref_t set, moheap_ref_t other)
{
	struct moheap_cursor cursor = { 0 };
	struct mh_key key;
	int err, more;

	if (set == other)
		return mh_kind_writable(heap, MOHEAP_KIND_SET);
	err = mh_hashed_reserve(heap, set, MH_SET_WIDTH, moheap_set_len(heap, other));
	while (err >= 0) {
		more = mh_hashed_next_key(heap, other, &cursor, &key);
		if (more <= 0)
			return more;
		err = mh_set_add(heap, set, &key);
	}
	return err;
}

int moheap_set_copy(struct moheap *heap, moheap_ref_t set, moheap_ref_t *copy)
{
	moheap_ref_t made;
	int err;

	err = moheap_set_new(heap, &made);
	if (err)
		return err;
	err = moheap_set_update(heap, made, set);
	return mh_give(heap, err, made, copy);
}

/* Add to @set those keys of @a of which it is as @has says whether they are in @b. */
static int mh_set_select(struct moheap *heap, moheap_ref_t set, moheap_ref_t a, moheap_ref_t b,
			 int has)
{
	struct moheap_cursor cursor = { 0 };
	struct mh_key key;
	int in, more, err = 0;

	while (err >= 0) {
		more = mh_hashed_next_key(heap, a, &cursor, &key);
		if (more <= 0)
			return more;
		in = mh_set_has(heap, b, &key);
		if (in < 0)
			return in;
		if (in == has)
			err = mh_set_add(heap, set, &key);
	}
	return err;
}

static int mh_set_new_of(struct moheap *heap, moheap_ref_t a, moheap_ref_t b, int has,
			 moheap_ref_t *set)
{
	moheap_ref_t made;
	int err;

	err = moheap_set_new(heap, &made);
	if (err)
		return err;
	err = mh_set_select(heap, made, a, b, has);
	return mh_give(heap, err, made, set);
}

int moheap_set_intersection(struct moheap *heap, moheap_ref_t a, moheap_ref_t b,
			    moheap_ref_t *set)
{
	return mh_set_new_of(heap, a, b, 1, set);
}

int moheap_set_difference(struct moheap *heap, moheap_ref_t a, moheap_ref_t b, moheap_ref_t *set)
{
	return mh_set_new_of(heap, a, b, 0, set);
}

int moheap_set_issubset(struct moheap *heap, moheap_ref_t a, moheap_ref_t b)
{
	struct moheap_cursor cursor = { 0 };
	struct mh_key key;
	int in, more;

	while ((more = mh_hashed_next_key(heap, a, &cursor, &key)) == 1) {
		in = mh_set_has(heap, b, &key);
		if (in != 1)
			return in;
	}
	return more < 0 ? more : 1;
}

int moheap_set_equal(struct moheap *heap, moheap_ref_t a, moheap_ref_t b)
{
	if (moheap_set_len(heap, a) != moheap_set_len(heap, b))
		return 0;
	return moheap_set_issubset(heap, a, b);
}

int moheap_set_next(const struct moheap *heap, moheap_ref_t set, struct moheap_cursor *cursor,
		    moheap_ref_t *key)
{
	int more = mh_hashed_next(heap, set, cursor);

	if (more == 1)
		*key = mh_hashed_ref(heap, set, cursor->at - 1, 0);
	return more;
}

long long moheap_set_getsizeof(struct moheap *heap, moheap_ref_t set)
{
	return mh_hashed_getsizeof(heap, set);
}
