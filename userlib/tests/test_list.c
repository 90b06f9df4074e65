// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Lists: against a plain array that has the same done to it.
 */
#include "raw.h"
#include "values.h"

static void lists_are(struct moheap *heap, moheap_ref_t list, const moheap_ref_t *want, size_t n)
{
	moheap_ref_t *got = calloc(n + 1, sizeof(*got));
	size_t i;

	is(moheap_list_len(heap, list), n);
	err_is(moheap_list_read(heap, list, 0, n, got), 0);
	for (i = 0; i < n; i++)
		ok(got[i] == want[i]);
	err_is(moheap_list_read(heap, list, 0, n + 1, got), -ERANGE);
	free(got);
}

static moheap_ref_t list_new(struct moheap *heap, size_t capacity)
{
	moheap_ref_t list;

	err_is(moheap_list_new(heap, capacity, &list), 0);
	return list;
}

static moheap_ref_t plain_new(struct moheap *heap)
{
	moheap_ref_t list;

	err_is(moheap_list_new_plain(heap, 0, &list), 0);
	return list;
}

static void empty_lists(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t list = list_new(heap, 0), got;

	is(moheap_list_len(heap, list), 0);
	err_is(moheap_list_get(heap, list, 0, &got), -ERANGE);
	err_is(moheap_list_set(heap, list, 0, list), -ERANGE);
	err_is(moheap_list_pop(heap, list, &got), -ERANGE);
	err_is(moheap_list_insert(heap, list, 1, list), -ERANGE);
	err_is(moheap_list_pop_at(heap, list, 0, &got), -ERANGE);
	err_is(moheap_list_delete(heap, list, 0, 1), -ERANGE);
	err_is(moheap_list_slice(heap, list, 0, 1, &got), -ERANGE);
	err_is(moheap_list_remove(heap, list, 0), -ENOENT);
	err_is(moheap_list_delete(heap, list, 0, 0), 0);
	err_is(moheap_list_clear(heap, list), 0);
	err_is(moheap_list_extend(heap, list, list), 0);
	is(moheap_list_len(heap, list), 0);
	ok(moheap_list_getsizeof(heap, list) > 0);
	moheap_decref(heap, list);
	is(tap_objects(heap), 0);
}

enum { MOST = 2000, VALUES = 20 };

struct model {
	moheap_ref_t items[2 * MOST];
	size_t n;
};

static struct value values[VALUES];

/* What stands for a value, and all that are equal to it. */
static int same_as(moheap_ref_t ref)
{
	int i;

	for (i = 0; i < VALUES; i++)
		if (values[i].ref == ref)
			return values[i].same;
	return -1000;
}

static long long model_index(const struct model *model, moheap_ref_t value, size_t from)
{
	for (; from < model->n; from++)
		if (same_as(model->items[from]) == same_as(value))
			return from;
	return -ENOENT;
}

static void model_insert(struct model *model, size_t at, moheap_ref_t value)
{
	memmove(model->items + at + 1, model->items + at,
		(model->n++ - at) * sizeof(*model->items));
	model->items[at] = value;
}

static void model_delete(struct model *model, size_t at, size_t n)
{
	model->n -= n;
	memmove(model->items + at, model->items + at + n,
		(model->n - at) * sizeof(*model->items));
}

/* Whatever puts items in. */
static void step_in(struct moheap *heap, moheap_ref_t list, struct model *model)
{
	moheap_ref_t value = rand() % 10 ? values[rand() % VALUES].ref : 0;
	size_t at = rand() % (model->n + 1);

	if (model->n > MOST)
		return;
	switch (rand() % 4) {
	case 0:
		err_is(moheap_list_insert(heap, list, at, value), 0);
		model_insert(model, at, value);
		break;
	case 1:
		if (at == model->n)
			break;
		err_is(moheap_list_set(heap, list, at, value), 0);
		model->items[at] = value;
		break;
	case 2:
		if (model->n > 100 || rand() % 4)
			break;
		err_is(moheap_list_extend(heap, list, list), 0);
		memcpy(model->items + model->n, model->items, model->n * sizeof(*model->items));
		model->n *= 2;
		break;
	default:
		err_is(moheap_list_append(heap, list, value), 0);
		model_insert(model, model->n, value);
	}
}

/* Whatever takes items out. */
static void step_out(struct moheap *heap, moheap_ref_t list, struct model *model)
{
	size_t at = model->n ? rand() % model->n : 0, n;
	moheap_ref_t value, got;
	long long index;

	if (!model->n)
		return;
	switch (rand() % 8) {
	case 0:
		value = values[rand() % VALUES].ref;
		index = model_index(model, value, 0);
		err_is(moheap_list_remove(heap, list, value), index < 0 ? index : 0);
		if (index >= 0)
			model_delete(model, index, 1);
		break;
	case 1:
		n = rand() % (model->n - at + 1);
		if (rand() % 10)
			n %= 5;
		err_is(moheap_list_delete(heap, list, at, n), 0);
		model_delete(model, at, n);
		break;
	case 2:
		if (rand() % 50)
			break;
		err_is(moheap_list_clear(heap, list), 0);
		model->n = 0;
		break;
	case 3:
		err_is(moheap_list_pop_at(heap, list, at, NULL), 0);
		model_delete(model, at, 1);
		break;
	case 4:
		err_is(moheap_list_pop_at(heap, list, at, &got), 0);
		ok(got == model->items[at]);
		moheap_decref(heap, got);
		model_delete(model, at, 1);
		break;
	default:
		err_is(moheap_list_pop(heap, list, &got), 0);
		ok(got == model->items[--model->n]);
		moheap_decref(heap, got);
	}
}

static void step_look(struct moheap *heap, moheap_ref_t list, const struct model *model)
{
	size_t at = model->n ? rand() % model->n : 0, n = model->n - at;
	moheap_ref_t value = values[rand() % VALUES].ref, got;

	is(moheap_list_index(heap, list, value, at), model_index(model, value, at));
	if (!model->n)
		return;
	err_is(moheap_list_get(heap, list, at, &got), 0);
	ok(got == model->items[at]);
	moheap_decref(heap, got);
	err_is(moheap_list_slice(heap, list, at, n, &got), 0);
	lists_are(heap, got, model->items + at, n);
	is(moheap_list_equal(heap, got, list), !at);
	moheap_decref(heap, got);
}

static void as_an_array_does(const void *arg)
{
	struct moheap *heap = tap_heap();
	unsigned long steps = tap_scaled(6000);
	static struct model model;
	moheap_ref_t list, other;
	unsigned int i;

	values_seed();
	values_make(heap, values, VALUES);
	list = arg ? plain_new(heap) : list_new(heap, 0);
	while (steps--) {
		if (rand() % 100 < 53)
			step_in(heap, list, &model);
		else
			step_out(heap, list, &model);
		if (steps % 16 == 0)
			step_look(heap, list, &model);
		if (steps % 64 == 0)
			lists_are(heap, list, model.items, model.n);
		ok(!moheap_list_items(heap, list) || !arg);
	}
	err_is(moheap_list_concat(heap, list, list, &other), 0);
	memcpy(model.items + model.n, model.items, model.n * sizeof(*model.items));
	lists_are(heap, other, model.items, 2 * model.n);
	while (model.n--)
		err_is(moheap_list_pop(heap, list, NULL), 0);
	moheap_decref(heap, list);
	moheap_decref(heap, other);
	tap_objects(heap);
	for (i = 0; i < VALUES; i++)
		is(moheap_refcount(heap, values[i].ref), 1);
	values_drop(heap, values, VALUES);
	is(tap_objects(heap), 0);
}

/* a = [1] * n, b = [2] * n, c = a + b */
static void the_textbook_example(void)
{
	struct moheap *heap = tap_heap();
	int type = tap_type(heap, "int", 8, 0);
	size_t n = tap_scaled(1000000);
	moheap_ref_t one = tap_new(heap, type), two = tap_new(heap, type), a, b, c, got;
	long long size;

	err_is(moheap_list_repeat(heap, one, n, &a), 0);
	err_is(moheap_list_repeat(heap, two, n, &b), 0);
	err_is(moheap_list_concat(heap, a, b, &c), 0);
	size = moheap_list_getsizeof(heap, a);
	tap_note("[1] * %zu takes %lld bytes, the sum %lld", n, size,
		 moheap_list_getsizeof(heap, c));
	ok(size >= 4 * (long long)n && size <= 4 * (long long)n + 200);
	is(moheap_list_len(heap, c), 2 * n);
	is(moheap_refcount(heap, one), 2 * n + 1);
	is(moheap_refcount(heap, two), 2 * n + 1);
	err_is(moheap_list_get(heap, c, n - 1, &got), 0);
	ok(got == one);
	moheap_decref(heap, got);
	err_is(moheap_list_get(heap, c, n, &got), 0);
	ok(got == two);
	moheap_decref(heap, got);
	moheap_decref(heap, one);
	moheap_decref(heap, two);
	moheap_decref(heap, a);
	moheap_decref(heap, b);
	tap_wait_objects(heap, 4);
	moheap_decref(heap, c);
	tap_wait_objects(heap, 0);
}

static void append_many(void)
{
	struct moheap *heap = tap_heap();
	int type = tap_type(heap, "int", 8, 0);
	size_t n = tap_scaled(50000), i;
	moheap_ref_t list = list_new(heap, 0), one;

	for (i = 0; i < n; i++) {
		one = tap_new(heap, type);
		*(__u64 *)moheap_ptr(heap, one) = i;
		err_is(moheap_list_append(heap, list, one), 0);
		moheap_decref(heap, one);
	}
	is(tap_objects(heap), n + 2);
	for (i = 0; i < n; i += 97) {
		err_is(moheap_list_get(heap, list, i, &one), 0);
		is(*(__u64 *)moheap_ptr(heap, one), i);
		moheap_decref(heap, one);
	}
	moheap_decref(heap, list);
	tap_wait_objects(heap, 0);
}

static void a_list_that_has_itself(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t list = list_new(heap, 2);

	err_is(moheap_list_append(heap, list, list), 0);
	moheap_decref(heap, list);
	tap_wait_objects(heap, 0);
}

static void others_read_it(void)
{
	struct moheap *heap = tap_heap(), *reader;
	moheap_ref_t list = list_new(heap, 0), got;
	int i;

	for (i = 0; i < 100; i++)
		err_is(moheap_list_append(heap, list, i % 2 ? list : 0), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	tap_heap_adopted(reader);
	is(moheap_list_len(reader, list), 100);
	err_is(moheap_list_get(reader, list, 99, &got), 0);
	ok(got == list);
	moheap_decref(reader, got);
	err_is(moheap_flush(reader), 0);
	moheap_decref(heap, list);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 0);
}

static void readers_change_nothing(void)
{
	struct moheap *heap = tap_heap(), *reader;
	moheap_ref_t list = list_new(heap, 10), got;

	err_is(moheap_list_append(heap, list, list), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	err_is(moheap_list_append(reader, list, list), -EACCES);
	err_is(moheap_list_insert(reader, list, 0, list), -EACCES);
	err_is(moheap_list_set(reader, list, 0, 0), -EACCES);
	err_is(moheap_list_pop(reader, list, &got), -EACCES);
	err_is(moheap_list_delete(reader, list, 0, 1), -EACCES);
	err_is(moheap_list_remove(reader, list, list), -EACCES);
	err_is(moheap_list_clear(reader, list), -EACCES);
	err_is(moheap_list_extend(reader, list, list), -EACCES);
	err_is(moheap_list_slice(reader, list, 0, 1, &got), -EACCES);
	err_is(moheap_close(reader), 0);
	lists_are(heap, list, &list, 1);
	err_is(moheap_list_clear(heap, list), 0);
	moheap_decref(heap, list);
	is(tap_objects(heap), 0);
}

/* An array that is three quarters empty gives way to a smaller one. */
static void lists_shrink(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t list = list_new(heap, 0);
	long long size;
	int i;

	for (i = 0; i < 4096; i++)
		err_is(moheap_list_append(heap, list, 0), 0);
	size = moheap_list_getsizeof(heap, list);
	while (moheap_list_len(heap, list) > 10)
		err_is(moheap_list_pop(heap, list, NULL), 0);
	ok(moheap_list_getsizeof(heap, list) < size / 50);
	err_is(moheap_list_clear(heap, list), 0);
	is(moheap_list_getsizeof(heap, list), moheap_getsizeof(heap, list));
	moheap_decref(heap, list);
	is(tap_objects(heap), 0);
}

static void too_much(const void *arg)
{
	struct moheap *heap = tap_heap_limited(MOHEAP_LIMIT_MIN);
	moheap_ref_t list = arg ? plain_new(heap) : list_new(heap, 0), got, tmp;
	int i, err = 0;

	err_is(moheap_list_new(heap, MOHEAP_SLOTS_MAX + 1UL, &got), -E2BIG);
	/* With a red zone, the mirrors are too long. */
	err_is(moheap_list_new(heap, MOHEAP_SLOTS_MAX - 2, &got), -ENOSPC);
	err_is(moheap_list_repeat(heap, list, 1000000, &got), -ENOSPC);
	/* Grown until it cannot: what is there stays. */
	for (i = 0; !err; i++)
		err = moheap_list_append(heap, list, list);
	err_is(err, -ENOSPC);
	is(moheap_list_len(heap, list), i - 1);
	ok(i > (arg ? 10000 : 5000));
	err_is(moheap_list_insert(heap, list, 0, list), -ENOSPC);
	err_is(moheap_list_extend(heap, list, list), -ENOSPC);
	err_is(moheap_list_concat(heap, list, list, &got), -ENOSPC);
	err_is(moheap_list_get(heap, list, i - 2, &tmp), 0);
	ok(tmp == list);
	moheap_decref(heap, tmp);
	is(tap_objects(heap), 2);
	err_is(moheap_list_set(heap, list, 0, 0), 0);
	moheap_decref(heap, list);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 0);
}

static const struct tap_case cases[] = {
	{ "empty lists", empty_lists },
	{ "a list does as an array does", .run_with = as_an_array_does, .seconds = 120 },
	{ "a plain list does as an array does", .run_with = as_an_array_does, .seconds = 120,
	  .arg = "plain" },
	{ "[1] * 1000000", the_textbook_example },
	{ "append, and grow", append_many },
	{ "a list that has itself is collected", a_list_that_has_itself },
	{ "others read it", others_read_it },
	{ "readers change nothing", readers_change_nothing },
	{ "lists shrink", lists_shrink },
	{ "too much", .run_with = too_much },
	{ "too much for a plain list", .run_with = too_much, .arg = "plain" },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
