// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Dicts: a table in which each entry has a key and a value.
 */
#include "container.h"

#define MH_DICT_WIDTH	2

enum { MH_DICT_KEY = 0, MH_DICT_VALUE = 1 };

static moheap_ref_t mh_dict_key(const struct moheap *heap, moheap_ref_t dict, __u32 entry)
{
	return mh_hashed_ref(heap, dict, entry, MH_DICT_KEY);
}

static moheap_ref_t mh_dict_value(const struct moheap *heap, moheap_ref_t dict, __u32 entry)
{
	return mh_hashed_ref(heap, dict, entry, MH_DICT_VALUE);
}

/* The entry of a key, which is made ready for mh_hashed_add() where there is none. */
static long long mh_dict_find(struct moheap *heap, moheap_ref_t dict, moheap_ref_t ref,
			      struct mh_key *key)
{
	int err = mh_key_init(heap, ref, key);

	return err ? err : mh_hashed_find(heap, dict, key);
}

static int mh_dict_set(struct moheap *heap, moheap_ref_t dict, const struct mh_key *key,
		       moheap_ref_t value)
{
	long long entry = mh_hashed_find(heap, dict, key);

	if (entry == -ENOENT)
		return mh_hashed_add(heap, dict, MH_DICT_WIDTH, key, value);
	return entry < 0 ? entry : mh_hashed_set_value(heap, dict, entry, value);
}

int moheap_dict_new(struct moheap *heap, moheap_ref_t *dict)
{
	int type = mh_kind_type(heap, MOHEAP_KIND_DICT);

	return type < 0 ? type : moheap_new(heap, type, dict);
}

size_t moheap_dict_len(const struct moheap *heap, moheap_ref_t dict)
{
	return mh_hashed_len(heap, dict);
}

int moheap_dict_set(struct moheap *heap, moheap_ref_t dict, moheap_ref_t key, moheap_ref_t value)
{
	struct mh_key k;
	int err = mh_key_init(heap, key, &k);

	return err ? err : mh_dict_set(heap, dict, &k, value);
}

int moheap_dict_get(struct moheap *heap, moheap_ref_t dict, moheap_ref_t key, moheap_ref_t *value)
{
	struct mh_key k;
	long long entry = mh_dict_find(heap, dict, key, &k);

	return entry < 0 ? entry : mh_take(heap, mh_dict_value(heap, dict, entry), value);
}

int moheap_dict_contains(struct moheap *heap, moheap_ref_t dict, moheap_ref_t key)
{
	struct mh_key k;
	long long entry = mh_dict_find(heap, dict, key, &k);

	if (entry == -ENOENT)
		return 0;
	return entry < 0 ? entry : 1;
}

int moheap_dict_setdefault(struct moheap *heap, moheap_ref_t dict, moheap_ref_t key,
			   moheap_ref_t value, moheap_ref_t *got)
{
	struct mh_key k;
	long long entry = mh_dict_find(heap, dict, key, &k);
	moheap_ref_t taken;
	int err;

	if (entry >= 0)
		return mh_take(heap, mh_dict_value(heap, dict, entry), got);
	if (entry != -ENOENT)
		return entry;
	err = mh_take(heap, value, &taken);
	if (err)
		return err;
	err = mh_hashed_add(heap, dict, MH_DICT_WIDTH, &k, value);
	return mh_give(heap, err, taken, got);
}

int moheap_dict_pop(struct moheap *heap, moheap_ref_t dict, moheap_ref_t key, moheap_ref_t *value)
{
	struct mh_key k;
	long long entry = mh_dict_find(heap, dict, key, &k);
	moheap_ref_t taken = 0;
	int err = 0;

	if (entry < 0)
		return entry;
	if (value)
		err = mh_take(heap, mh_dict_value(heap, dict, entry), &taken);
	if (err)
		return err;
	err = mh_hashed_delete(heap, dict, entry);
	if (err)
		moheap_decref(heap, taken);
	else if (value)
		*value = taken;
	return err;
}

int moheap_dict_popitem(struct moheap *heap, moheap_ref_t dict, moheap_ref_t *key,
			moheap_ref_t *value)
{
	long long entry = mh_hashed_last(heap, dict);
	moheap_ref_t k, v;
	int err;

	if (entry < 0)
		return entry;
	err = mh_take(heap, mh_dict_key(heap, dict, entry), &k);
	if (err)
		return err;
	err = mh_take(heap, mh_dict_value(heap, dict, entry), &v);
	if (err)
		goto no_value;
	err = mh_hashed_delete(heap, dict, entry);
	if (err)
		goto not_deleted;
	*key = k;
	*value = v;
	return 0;

not_deleted:
	moheap_decref(heap, v);
no_value:
	moheap_decref(heap, k);
	return err;
}

int moheap_dict_clear(struct moheap *heap, moheap_ref_t dict)
{
	return mh_hashed_clear(heap, dict);
}

int moheap_dict_update(struct moheap *heap, moheap_ref_t dict, moheap_ref_t other)
{
	struct moheap_cursor cursor = { 0 };
	struct mh_key key;
	int err, more;

	if (dict == other)
		return mh_kind_writable(heap, MOHEAP_KIND_DICT);
	err = mh_hashed_reserve(heap, dict, MH_DICT_WIDTH, moheap_dict_len(heap, other));
	while (!err) {
		more = mh_hashed_next_key(heap, other, &cursor, &key);
		if (more <= 0)
			return more;
		err = mh_dict_set(heap, dict, &key, mh_dict_value(heap, other, cursor.at - 1));
	}
	return err;
}

int moheap_dict_copy(struct moheap *heap, moheap_ref_t dict, moheap_ref_t *copy)
{
	moheap_ref_t made;
	int err;

	err = moheap_dict_new(heap, &made);
	if (err)
		return err;
	err = moheap_dict_update(heap, made, dict);
	return mh_give(heap, err, made, copy);
}

int moheap_dict_next(const struct moheap *heap, moheap_ref_t dict, struct moheap_cursor *cursor,
		     moheap_ref_t *key, moheap_ref_t *value)
{
	int more = mh_hashed_next(heap, dict, cursor);

	if (more <= 0)
		return more;
	*key = mh_dict_key(heap, dict, cursor->at - 1);
	if (value)
		*value = mh_dict_value(heap, dict, cursor->at - 1);
	return 1;
}

/* Does a dict have an equal value for a key, given that of another dict? */
static int mh_dict_agrees(struct moheap *heap, moheap_ref_t dict, const struct mh_key *key,
			  moheap_ref_t value)
{
	long long entry = mh_hashed_find(heap, dict, key);

	if (entry == -ENOENT)
		return 0;
	return entry < 0 ? entry : moheap_equal(heap, mh_dict_value(heap, dict, entry), value);
}

int moheap_dict_equal(struct moheap *heap, moheap_ref_t a, moheap_ref_t b)
{
	struct moheap_cursor cursor = { 0 };
	struct mh_key key;
	int equal, more;

	if (moheap_dict_len(heap, a) != moheap_dict_len(heap, b))
		return 0;
	while ((more = mh_hashed_next_key(heap, a, &cursor, &key)) == 1) {
		equal = mh_dict_agrees(heap, b, &key, mh_dict_value(heap, a, cursor.at - 1));
		if (equal != 1)
			return equal;
	}
	return more < 0 ? more : 1;
}

long long moheap_dict_getsizeof(struct moheap *heap, moheap_ref_t dict)
{
	return mh_hashed_getsizeof(heap, dict);
}
