// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Lists: against a plain array that has the same done to it.
 */
#include "raw.h"

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

static void empty_lists(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t list = list_new(heap, 0), got;

	is(moheap_list_len(heap, list), 0);
	err_is(moheap_list_get(heap, list, 0, &got), -ERANGE);
	err_is(moheap_list_set(heap, list, 0, list), -ERANGE);
	err_is(moheap_list_pop(heap, list, &got), -ERANGE);
	err_is(moheap_list_insert(heap, list, 1, list), -ERANGE);
	err_is(moheap_list_extend(heap, list, list), 0);
	is(moheap_list_len(heap, list), 0);
	ok(moheap_list_getsizeof(heap, list) > 0);
	moheap_decref(heap, list);
	is(tap_objects(heap), 0);
}

static void as_an_array_does(void)
{
	struct moheap *heap = tap_heap();
	int type = tap_type(heap, "int", 8, 0);
	enum { MOST = 2000 };
	static moheap_ref_t model[2 * MOST];
	moheap_ref_t list = list_new(heap, 0), values[20], got, other;
	unsigned long steps = tap_scaled(6000);
	size_t n = 0, i;

	srand(2);
	for (i = 0; i < 20; i++)
		values[i] = tap_new(heap, type);
	while (steps--) {
		got = rand() % 10 ? values[rand() % 20] : 0;
		i = n ? rand() % n : 0;
		switch (rand() % 8) {
		case 0:
		case 1:
		case 2:
			if (n == MOST)
				break;
			err_is(moheap_list_append(heap, list, got), 0);
			model[n++] = got;
			break;
		case 3:
			if (n == MOST)
				break;
			err_is(moheap_list_insert(heap, list, i, got), 0);
			memmove(model + i + 1, model + i, (n - i) * sizeof(*model));
			model[i] = got;
			n++;
			break;
		case 4:
			if (!n)
				break;
			err_is(moheap_list_set(heap, list, i, got), 0);
			model[i] = got;
			break;
		case 5:
			if (!n)
				break;
			err_is(moheap_list_get(heap, list, i, &got), 0);
			ok(got == model[i]);
			moheap_decref(heap, got);
			break;
		case 6:
			if (!n)
				break;
			err_is(moheap_list_pop(heap, list, &got), 0);
			ok(got == model[--n]);
			moheap_decref(heap, got);
			break;
		default:
			if (n > 100 || rand() % 4)
				break;
			err_is(moheap_list_extend(heap, list, list), 0);
			memcpy(model + n, model, n * sizeof(*model));
			n *= 2;
		}
		if (steps % 64 == 0)
			lists_are(heap, list, model, n);
	}
	err_is(moheap_list_concat(heap, list, list, &other), 0);
	memcpy(model + n, model, n * sizeof(*model));
	lists_are(heap, other, model, 2 * n);
	while (n--)
		err_is(moheap_list_pop(heap, list, NULL), 0);
	moheap_decref(heap, list);
	moheap_decref(heap, other);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 20);
	for (i = 0; i < 20; i++) {
		is(moheap_refcount(heap, values[i]), 1);
		moheap_decref(heap, values[i]);
	}
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

static void too_much(void)
{
	struct moheap *heap = tap_heap_limited(MOHEAP_LIMIT_MIN);
	moheap_ref_t list = list_new(heap, 0), got, tmp;
	int i, err = 0;

	err_is(moheap_list_new(heap, MOHEAP_SLOTS_MAX + 1UL, &got), -E2BIG);
	err_is(moheap_list_new(heap, MOHEAP_SLOTS_MAX, &got), -ENOSPC);
	err_is(moheap_list_repeat(heap, list, 1000000, &got), -ENOSPC);
	/* Grown until it cannot: what is there stays. */
	for (i = 0; !err; i++)
		err = moheap_list_append(heap, list, list);
	err_is(err, -ENOSPC);
	is(moheap_list_len(heap, list), i - 1);
	ok(i > 10000);
	err_is(moheap_list_get(heap, list, i - 2, &tmp), 0);
	ok(tmp == list);
	moheap_decref(heap, tmp);
	err_is(moheap_list_set(heap, list, 0, 0), 0);
	moheap_decref(heap, list);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 0);
}

static const struct tap_case cases[] = {
	{ "empty lists", empty_lists },
	{ "a list does as an array does", as_an_array_does },
	{ "[1] * 1000000", the_textbook_example },
	{ "append, and grow", append_many },
	{ "a list that has itself is collected", a_list_that_has_itself },
	{ "others read it", others_read_it },
	{ "too much", too_much },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
