// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Growable lists.
 *
 * A list is an object whose only slot refers to an array, an object that is nothing but slots.
 * The list's payload says how many of these are items, how many there are, and mirrors the
 * reference to the array. The array doubles as it fills. Arrays have no mirrors: an item takes
 * four bytes.
 */
#include "internal.h"

/**
 * struct mh_list - payload of a list
 * @len: items
 * @capacity: slots of the array
 * @array: mirror of the list's slot; 0 where there never was an item
 */
struct mh_list {
	__u64 len;
	__u64 capacity;
	moheap_ref_t array;
};

#define MH_LIST_FIRST	4	/* capacity of the first array */

static struct mh_list *mh_list(const struct moheap *heap, moheap_ref_t list)
{
	return moheap_ptr(heap, list);
}

/* ---- Making one ---- */

static int mh_list_types(struct moheap *heap)
{
	static const struct moheap_field fields[] = {
		{
			.kind = MOHEAP_FIELD_UINT,
			.width = 8,
			.count = 1,
			.offset = offsetof(struct mh_list, len),
			.name = "len",
		}, {
			.kind = MOHEAP_FIELD_UINT,
			.width = 8,
			.count = 1,
			.offset = offsetof(struct mh_list, capacity),
			.name = "capacity",
		}, {
			.kind = MOHEAP_FIELD_REF,
			.width = 8,
			.count = 1,
			.offset = offsetof(struct mh_list, array),
			.slot = 0,
			.name = "array",
		},
	};
	static const struct moheap_layout list = {
		.size = sizeof(list),
		.name = "moheap.list",
		.payload = sizeof(struct mh_list),
		.slots = 1,
		.nfields = MH_ARRAY_SIZE(fields),
		.fields = fields,
	};
	static const struct moheap_layout array = {
		.size = sizeof(array),
		.flags = MOHEAP_TYPE_VAR_SLOTS,
		.name = "moheap.array",
	};
	int id;

	/* Whoever else does this at the same time finds the same types. */
	if (__atomic_load_n(&heap->list_type, __ATOMIC_ACQUIRE) >= 0)
		return 0;
	id = moheap_type_register(heap, &array);
	if (id < 0)
		return id;
	__atomic_store_n(&heap->array_type, id, __ATOMIC_RELAXED);
	id = moheap_type_register(heap, &list);
	if (id < 0)
		return id;
	__atomic_store_n(&heap->list_type, id, __ATOMIC_RELEASE);
	return 0;
}

/* Give a list an array of @capacity slots, with its items. */
static int mh_list_resize(struct moheap *heap, moheap_ref_t list, size_t capacity)
{
	struct mh_list *l = mh_list(heap, list);
	moheap_ref_t array;
	int err;

	err = mh_list_types(heap);
	if (err)
		return err;
	err = moheap_new_sized(heap, heap->array_type, 0, capacity, &array);
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

/* Room for @n more items. */
static int mh_list_reserve(struct moheap *heap, moheap_ref_t list, size_t n)
{
	const struct mh_list *l = mh_list(heap, list);
	size_t capacity;

	if (n <= l->capacity - l->len)
		return 0;
	if (n > MOHEAP_SLOTS_MAX - l->len)
		return -E2BIG;
	capacity = mh_max(mh_max(l->capacity * 2, l->len + n), MH_LIST_FIRST);
	return mh_list_resize(heap, list, mh_min(capacity, MOHEAP_SLOTS_MAX));
}

int moheap_list_new(struct moheap *heap, size_t capacity, moheap_ref_t *list)
{
	int err;

	if (capacity > MOHEAP_SLOTS_MAX)
		return -E2BIG;
	err = mh_list_types(heap);
	if (err)
		return err;
	err = moheap_new(heap, heap->list_type, list);
	if (err || !capacity)
		return err;
	err = mh_list_resize(heap, *list, capacity);
	if (err)
		moheap_decref(heap, *list);
	return err;
}

int moheap_list_repeat(struct moheap *heap, moheap_ref_t value, size_t n, moheap_ref_t *list)
{
	struct mh_list *l;
	int err;

	err = moheap_list_new(heap, n, list);
	if (err)
		return err;
	l = mh_list(heap, *list);
	err = moheap_fill(heap, l->array, 0, n, value);
	if (err)
		moheap_decref(heap, *list);
	else
		l->len = n;
	return err;
}

int moheap_list_concat(struct moheap *heap, moheap_ref_t a, moheap_ref_t b, moheap_ref_t *list)
{
	size_t n = moheap_list_len(heap, a) + moheap_list_len(heap, b);
	int err;

	err = moheap_list_new(heap, n, list);
	if (err)
		return err;
	err = moheap_list_extend(heap, *list, a);
	if (!err)
		err = moheap_list_extend(heap, *list, b);
	if (err)
		moheap_decref(heap, *list);
	return err;
}

/* ---- Its items ---- */

size_t moheap_list_len(const struct moheap *heap, moheap_ref_t list)
{
	return mh_list(heap, list)->len;
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

int moheap_list_insert(struct moheap *heap, moheap_ref_t list, size_t index, moheap_ref_t value)
{
	struct mh_list *l = mh_list(heap, list);
	int err;

	if (index > l->len)
		return -ERANGE;
	err = mh_list_reserve(heap, list, 1);
	if (!err)
		err = moheap_copy(heap, l->array, index + 1, l->array, index, l->len - index);
	if (!err)
		err = moheap_store(heap, l->array, index, value);
	if (!err)
		l->len++;
	return err;
}

int moheap_list_get(struct moheap *heap, moheap_ref_t list, size_t index, moheap_ref_t *value)
{
	const struct mh_list *l = mh_list(heap, list);

	if (index >= l->len)
		return -ERANGE;
	return moheap_load(heap, l->array, index, value);
}

int moheap_list_read(struct moheap *heap, moheap_ref_t list, size_t index, size_t n,
		     moheap_ref_t *values)
{
	const struct mh_list *l = mh_list(heap, list);

	if (index > l->len || n > l->len - index)
		return -ERANGE;
	return moheap_read(heap, l->array, index, n, values);
}

int moheap_list_set(struct moheap *heap, moheap_ref_t list, size_t index, moheap_ref_t value)
{
	const struct mh_list *l = mh_list(heap, list);

	if (index >= l->len)
		return -ERANGE;
	return moheap_store(heap, l->array, index, value);
}

int moheap_list_pop(struct moheap *heap, moheap_ref_t list, moheap_ref_t *value)
{
	struct mh_list *l = mh_list(heap, list);
	int err;

	if (!l->len)
		return -ERANGE;
	if (value)
		err = moheap_exchange(heap, l->array, l->len - 1, 0, value);
	else
		err = moheap_store(heap, l->array, l->len - 1, 0);
	if (!err)
		l->len--;
	return err;
}

int moheap_list_extend(struct moheap *heap, moheap_ref_t list, moheap_ref_t other)
{
	struct mh_list *l = mh_list(heap, list);
	size_t n = moheap_list_len(heap, other);
	int err;

	err = mh_list_reserve(heap, list, n);
	if (!err)
		err = moheap_copy(heap, l->array, l->len, mh_list(heap, other)->array, 0, n);
	if (!err)
		l->len += n;
	return err;
}

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
