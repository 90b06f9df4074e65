// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Tuples: an object with a slot for each item, and mirrors of them all. Its items never change,
 * so its hash is found once.
 */
#include "container.h"

static const struct mh_tuple *mh_tuple(const struct moheap *heap, moheap_ref_t tuple)
{
	return moheap_ptr(heap, tuple);
}

static int mh_tuple_fill(struct moheap *heap, moheap_ref_t tuple, const moheap_ref_t *items,
			 size_t n)
{
	int err = 0;
	size_t i;

	for (i = 0; i < n && !err; i++)
		if (items[i])
			err = moheap_store(heap, tuple, i, items[i]);
	return err;
}

int moheap_tuple_new(struct moheap *heap, const moheap_ref_t *items, size_t n,
		     moheap_ref_t *tuple)
{
	int type = mh_kind_type(heap, MOHEAP_KIND_TUPLE), err;
	struct mh_tuple *t;
	moheap_ref_t made;
	__u64 hash;

	if (type < 0)
		return type;
	if (n > MOHEAP_SLOTS_MAX)
		return -E2BIG;
	err = mh_items_hash(heap, items, n, &hash);
	if (err)
		return err;
	err = moheap_new_sized(heap, type, sizeof(*t) + n * sizeof(*items), n, &made);
	if (err)
		return err;
	t = moheap_ptr(heap, made);
	t->len = n;
	t->hash = hash;
	err = mh_tuple_fill(heap, made, items, n);
	return mh_give(heap, err, made, tuple);
}

size_t moheap_tuple_len(const struct moheap *heap, moheap_ref_t tuple)
{
	return mh_tuple(heap, tuple)->len;
}

const moheap_ref_t *moheap_tuple_items(const struct moheap *heap, moheap_ref_t tuple)
{
	return mh_tuple(heap, tuple)->items;
}

int moheap_tuple_get(struct moheap *heap, moheap_ref_t tuple, size_t index, moheap_ref_t *value)
{
	if (index >= moheap_tuple_len(heap, tuple))
		return -ERANGE;
	return mh_take(heap, moheap_tuple_items(heap, tuple)[index], value);
}
