// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Growable lists.
 *
 * A list is an object whose only slot refers to an array, an object that is nothing but slots
 * and, unless the list is plain, their mirrors. The list's payload says how many of these are
 * items, how many there are, and mirrors the reference to the array. The array doubles as it
 * fills, and halves when three quarters of it are empty. Slots that are no items refer to
 * nothing.
 */
#include "container.h"

#define MH_LIST_FIRST	4	/* capacity of the first array */
#define MH_LIST_SOME	256	/* items of a plain list looked at together */

static struct mh_list *mh_list(const struct moheap *heap, moheap_ref_t list)
{
	return moheap_ptr(heap, list);
}

static size_t mh_list_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

static bool mh_list_has(const struct mh_list *l, size_t index, size_t n)
{
	return index <= l->len && n <= l->len - index;
}

/* ---- Making one ---- */

static int mh_array_new(struct moheap *heap, bool plain, size_t capacity, moheap_ref_t *array)
{
	int type = mh_kind_type(heap, plain ? MH_KIND_PLAIN_ARRAY : MH_KIND_ARRAY);

	if (type < 0)
		return type;
	return moheap_new_sized(heap, type, plain ? 0 : capacity * sizeof(moheap_ref_t), capacity,
				array);
}

/* Give a list an array of @capacity slots, with its items. */
static int mh_list_resize(struct moheap *heap, moheap_ref_t list, size_t capacity)
{
	struct mh_list *l = mh_list(heap, list);
	moheap_ref_t array;
	int err;

	err = mh_array_new(heap, l->plain, capacity, &array);
	if (err)
		return err;
	err = moheap_copy(heap, array, 0, l->array, 0, l->len);
	if (!err)
		err = moheap_store(heap, list, 0, array);
	if (!err)
		l->capacity = capacity;
	moheap_decref(heap, array);
	return err;
}

/* Room for @n more items, in a list that is to change. */
static int mh_list_reserve(struct moheap *heap, moheap_ref_t list, size_t n)
{
	const struct mh_list *l = mh_list(heap, list);
	int err = mh_kind_writable(heap, MOHEAP_KIND_LIST);
	size_t capacity;

	if (err || n <= l->capacity - l->len)
		return err;
	if (n > MOHEAP_SLOTS_MAX - l->len)
		return -E2BIG;
	capacity = mh_list_max(mh_list_max(l->capacity * 2, l->len + n), MH_LIST_FIRST);
	if (capacity > MOHEAP_SLOTS_MAX)
		capacity = MOHEAP_SLOTS_MAX;
	return mh_list_resize(heap, list, capacity);
}

/* Where this fails, the list is as it should be, only larger. */
static void mh_list_shrink(struct moheap *heap, moheap_ref_t list)
{
	const struct mh_list *l = mh_list(heap, list);

	if (l->capacity > MH_LIST_FIRST && l->len < l->capacity / 4)
		mh_list_resize(heap, list, l->capacity / 2);
}

static int mh_list_new(struct moheap *heap, bool plain, size_t capacity, moheap_ref_t *list)
{
	int type = mh_kind_type(heap, MOHEAP_KIND_LIST), err;
	moheap_ref_t made;

	if (type < 0)
		return type;
	if (capacity > MOHEAP_SLOTS_MAX)
		return -E2BIG;
	err = moheap_new(heap, type, &made);
	if (err)
		return err;
	mh_list(heap, made)->plain = plain;
	if (capacity)
		err = mh_list_resize(heap, made, capacity);
	return mh_give(heap, err, made, list);
}

int moheap_list_new(struct moheap *heap, size_t capacity, moheap_ref_t *list)
{
	return mh_list_new(heap, false, capacity, list);
}

int moheap_list_new_plain(struct moheap *heap, size_t capacity, moheap_ref_t *list)
{
	return mh_list_new(heap, true, capacity, list);
}

int moheap_list_repeat(struct moheap *heap, moheap_ref_t value, size_t n, moheap_ref_t *list)
{
	struct mh_list *l;
	moheap_ref_t made;
	int err;

	err = mh_list_new(heap, true, n, &made);
	if (err)
		return err;
	l = mh_list(heap, made);
	err = moheap_fill(heap, l->array, 0, n, value);
	if (err) {
		moheap_decref(heap, made);
		return err;
	}
	l->len = n;
	*list = made;
	return 0;
}

/* Add @n items of another list, from @index on. */
static int mh_list_extend(struct moheap *heap, moheap_ref_t list, moheap_ref_t other,
			  size_t index, size_t n)
{
	struct mh_list *l = mh_list(heap, list);
	int err;

	err = mh_list_reserve(heap, list, n);
	if (!err)
		err = moheap_copy(heap, l->array, l->len, mh_list(heap, other)->array, index, n);
	if (!err)
		l->len += n;
	return err;
}

int moheap_list_concat(struct moheap *heap, moheap_ref_t a, moheap_ref_t b, moheap_ref_t *list)
{
	const struct mh_list *la = mh_list(heap, a), *lb = mh_list(heap, b);
	moheap_ref_t made;
	int err;

	err = mh_list_new(heap, la->plain && lb->plain, la->len + lb->len, &made);
	if (err)
		return err;
	err = mh_list_extend(heap, made, a, 0, la->len);
	if (!err)
		err = mh_list_extend(heap, made, b, 0, lb->len);
	return mh_give(heap, err, made, list);
}

int moheap_list_slice(struct moheap *heap, moheap_ref_t list, size_t index, size_t n,
		      moheap_ref_t *slice)
{
	const struct mh_list *l = mh_list(heap, list);
	moheap_ref_t made;
	int err;

	if (!mh_list_has(l, index, n))
		return -ERANGE;
	err = mh_list_new(heap, l->plain, n, &made);
	if (err)
		return err;
	err = mh_list_extend(heap, made, list, index, n);
	return mh_give(heap, err, made, slice);
}

/* ---- Reading items ---- */

size_t moheap_list_len(const struct moheap *heap, moheap_ref_t list)
{
	return mh_list(heap, list)->len;
}

const moheap_ref_t *moheap_list_items(const struct moheap *heap, moheap_ref_t list)
{
	const struct mh_list *l = mh_list(heap, list);

	return l->plain || !l->array ? NULL : moheap_ptr(heap, l->array);
}

int moheap_list_get(struct moheap *heap, moheap_ref_t list, size_t index, moheap_ref_t *value)
{
	const moheap_ref_t *items = moheap_list_items(heap, list);
	const struct mh_list *l = mh_list(heap, list);

	if (index >= l->len)
		return -ERANGE;
	if (items)
		return mh_take(heap, items[index], value);
	return moheap_load(heap, l->array, index, value);
}

int moheap_list_read(struct moheap *heap, moheap_ref_t list, size_t index, size_t n,
		     moheap_ref_t *values)
{
	const moheap_ref_t *items = moheap_list_items(heap, list);
	const struct mh_list *l = mh_list(heap, list);

	if (!mh_list_has(l, index, n))
		return -ERANGE;
	if (!items)
		return moheap_read(heap, l->array, index, n, values);
	memcpy(values, items + index, n * sizeof(*values));
	return 0;
}

/*
 * Some items from @index on, borrowed: where they are, or copied into @buffer where the list is
 * plain. @n: in: how many there are; out: how many these are.
 */
static int mh_list_look(struct moheap *heap, moheap_ref_t list, size_t index, size_t *n,
			moheap_ref_t *buffer, const moheap_ref_t **items)
{
	*items = moheap_list_items(heap, list);
	if (*n > MH_LIST_SOME)
		*n = MH_LIST_SOME;
	if (*items) {
		*items += index;
		return 0;
	}
	*items = buffer;
	return moheap_list_read(heap, list, index, *n, buffer);
}

long long moheap_list_index(struct moheap *heap, moheap_ref_t list, moheap_ref_t value,
			    size_t from)
{
	moheap_ref_t buffer[MH_LIST_SOME];
	size_t len = moheap_list_len(heap, list), n, i;
	const moheap_ref_t *items;
	int err;

	for (; from < len; from += n) {
		n = len - from;
		err = mh_list_look(heap, list, from, &n, buffer, &items);
		for (i = 0; i < n && !err; i++) {
			err = moheap_equal(heap, items[i], value);
			if (err == 1)
				return from + i;
		}
		if (err)
			return err;
	}
	return -ENOENT;
}

int moheap_list_equal(struct moheap *heap, moheap_ref_t a, moheap_ref_t b)
{
	moheap_ref_t buffer_a[MH_LIST_SOME], buffer_b[MH_LIST_SOME];
	size_t len = moheap_list_len(heap, a), at, n;
	const moheap_ref_t *items_a, *items_b;
	int ret = 1;

	if (moheap_list_len(heap, b) != len)
		return 0;
	for (at = 0; at < len && ret == 1; at += n) {
		n = len - at;
		ret = mh_list_look(heap, a, at, &n, buffer_a, &items_a);
		if (!ret)
			ret = mh_list_look(heap, b, at, &n, buffer_b, &items_b);
		if (!ret)
			ret = mh_items_equal(heap, items_a, items_b, n);
	}
	return ret;
}

/* ---- Changing items ---- */

/* Take @n items out. */
static int mh_list_cut(struct moheap *heap, moheap_ref_t list, size_t index, size_t n)
{
	struct mh_list *l = mh_list(heap, list);
	size_t left = l->len - n, i;
	int err;

	err = moheap_copy(heap, l->array, index, l->array, index + n, left - index);
	if (err)
		return err;
	l->len = left;
	for (i = 0; i < n && !err; i++)
		err = moheap_store(heap, l->array, left + i, 0);
	return err;
}

int moheap_list_append(struct moheap *heap, moheap_ref_t list, moheap_ref_t value)
{
	struct mh_list *l = mh_list(heap, list);
	int err;

	err = mh_list_reserve(heap, list, 1);
	if (!err)
		err = moheap_store(heap, l->array, l->len, value);
	if (!err)
		l->len++;
	return err;
}

int moheap_list_extend(struct moheap *heap, moheap_ref_t list, moheap_ref_t other)
{
	return mh_list_extend(heap, list, other, 0, moheap_list_len(heap, other));
}

int moheap_list_insert(struct moheap *heap, moheap_ref_t list, size_t index, moheap_ref_t value)
{
	struct mh_list *l = mh_list(heap, list);
	int err;

	if (index > l->len)
		return -ERANGE;
	err = mh_list_reserve(heap, list, 1);
	if (!err)
		err = moheap_copy(heap, l->array, index + 1, l->array, index, l->len - index);
	if (err)
		return err;
	l->len++;
	err = moheap_store(heap, l->array, index, value);
	if (err)
		mh_list_cut(heap, list, index, 1);
	return err;
}

int moheap_list_set(struct moheap *heap, moheap_ref_t list, size_t index, moheap_ref_t value)
{
	const struct mh_list *l = mh_list(heap, list);
	int err = mh_kind_writable(heap, MOHEAP_KIND_LIST);

	if (err)
		return err;
	if (index >= l->len)
		return -ERANGE;
	return moheap_store(heap, l->array, index, value);
}

int moheap_list_delete(struct moheap *heap, moheap_ref_t list, size_t index, size_t n)
{
	int err = mh_kind_writable(heap, MOHEAP_KIND_LIST);

	if (err)
		return err;
	if (!mh_list_has(mh_list(heap, list), index, n))
		return -ERANGE;
	err = mh_list_cut(heap, list, index, n);
	if (!err)
		mh_list_shrink(heap, list);
	return err;
}

int moheap_list_clear(struct moheap *heap, moheap_ref_t list)
{
	struct mh_list *l = mh_list(heap, list);
	int err = mh_kind_writable(heap, MOHEAP_KIND_LIST);

	if (!err && l->array)
		err = moheap_store(heap, list, 0, 0);
	if (!err) {
		l->len = 0;
		l->capacity = 0;
	}
	return err;
}

int moheap_list_pop_at(struct moheap *heap, moheap_ref_t list, size_t index, moheap_ref_t *value)
{
	int err = mh_kind_writable(heap, MOHEAP_KIND_LIST);
	moheap_ref_t taken = 0;

	if (err)
		return err;
	if (index >= moheap_list_len(heap, list))
		return -ERANGE;
	if (value)
		err = moheap_list_get(heap, list, index, &taken);
	if (err)
		return err;
	err = moheap_list_delete(heap, list, index, 1);
	if (err)
		moheap_decref(heap, taken);
	else if (value)
		*value = taken;
	return err;
}

int moheap_list_pop(struct moheap *heap, moheap_ref_t list, moheap_ref_t *value)
{
	size_t len = moheap_list_len(heap, list);

	return moheap_list_pop_at(heap, list, len ? len - 1 : 0, value);
}

int moheap_list_remove(struct moheap *heap, moheap_ref_t list, moheap_ref_t value)
{
	long long index = moheap_list_index(heap, list, value, 0);

	return index < 0 ? index : moheap_list_delete(heap, list, index, 1);
}

/* ---- Size ---- */

long long moheap_list_getsizeof(struct moheap *heap, moheap_ref_t list)
{
	const struct mh_list *l = mh_list(heap, list);
	long long size, items;

	size = moheap_getsizeof(heap, list);
	if (size < 0 || !l->array)
		return size;
	items = moheap_getsizeof(heap, l->array);
	return items < 0 ? items : size + items;
}
