// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * What never changes: boxes and tuples; their kinds, equality and hash.
 */
#include <float.h>
#include <limits.h>
#include <math.h>

#include "raw.h"
#include "values.h"

#define VALUES	100

static void numbers_come_back(void)
{
	static const long long ints[] = { 0, 1, -1, LLONG_MAX, LLONG_MIN };
	static const double floats[] = { 0, -0.0, 1.5, -1e300, INFINITY, DBL_TRUE_MIN };
	struct moheap *heap = tap_heap();
	moheap_ref_t box;
	long long number;
	unsigned int i;
	double real;

	for (i = 0; i < TAP_COUNT(ints); i++) {
		box = value_int(heap, ints[i]);
		err_is(moheap_int_value(heap, box, &number), 0);
		is(number, ints[i]);
		err_is(moheap_float_value(heap, box, &real), -EINVAL);
		moheap_decref(heap, box);
	}
	for (i = 0; i < TAP_COUNT(floats); i++) {
		err_is(moheap_float_new(heap, floats[i], &box), 0);
		err_is(moheap_float_value(heap, box, &real), 0);
		ok(!memcmp(&real, &floats[i], sizeof(real)));
		err_is(moheap_int_value(heap, box, &number), -EINVAL);
		moheap_decref(heap, box);
	}
	err_is(moheap_int_value(heap, 0, &number), -EINVAL);
	is(tap_objects(heap), 0);
}

static void bytes_are(struct moheap *heap, moheap_ref_t bytes, const void *want, size_t n)
{
	const char *data;
	size_t len;

	err_is(moheap_bytes_value(heap, bytes, &data, &len), 0);
	is(len, n);
	ok(!memcmp(data, want, n));
	is(data[n], 0);
}

static void byte_strings_come_back(void)
{
	static const size_t sizes[] = { 0, 1, 7, 8, 9, 15, 16, 17, 100, 4095, 4096, 100000 };
	struct moheap *heap = tap_heap();
	moheap_ref_t bytes, box = value_int(heap, 0);
	static char data[100000];
	unsigned int i, round;
	const char *p;

	for (i = 0; i < sizeof(data); i++)
		data[i] = i * 7 % 256;
	/* Twice: in blocks that had an owner before, too. */
	for (round = 0; round < 2; round++) {
		for (i = 0; i < TAP_COUNT(sizes); i++) {
			err_is(moheap_bytes_new(heap, data, sizes[i], &bytes), 0);
			bytes_are(heap, bytes, data, sizes[i]);
			moheap_decref(heap, bytes);
		}
		is(tap_objects(heap), 1);
	}
	err_is(moheap_bytes_new(heap, NULL, 0, &bytes), 0);
	bytes_are(heap, bytes, "", 0);
	err_is(moheap_bytes_value(heap, box, &p, NULL), -EINVAL);
	err_is(moheap_bytes_new(heap, data, MOHEAP_PAYLOAD_MAX, &bytes), -E2BIG);
}

static void tuples_come_back(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t items[300], tuple, got;
	int node = tap_type(heap, "node", 8, 1);
	unsigned int i, n;

	for (i = 0; i < TAP_COUNT(items); i++)
		items[i] = i % 7 == 3 ? 0 : tap_new(heap, node);
	for (n = 0; n <= TAP_COUNT(items); n += n < 5 ? 1 : 59) {
		err_is(moheap_tuple_new(heap, items, n, &tuple), 0);
		is(moheap_tuple_len(heap, tuple), n);
		for (i = 0; i < n; i++) {
			ok(moheap_tuple_items(heap, tuple)[i] == items[i]);
			err_is(moheap_peek(heap, tuple, i, &got), 0);
			ok(got == items[i]);
			err_is(moheap_tuple_get(heap, tuple, i, &got), 0);
			ok(got == items[i]);
			moheap_decref(heap, got);
		}
		err_is(moheap_tuple_get(heap, tuple, n, &got), -ERANGE);
		if (n)
			is(moheap_refcount(heap, items[0]), 2);
		moheap_decref(heap, tuple);
		tap_objects(heap);
		is(moheap_refcount(heap, items[0]), 1);
	}
	for (i = 0; i < TAP_COUNT(items); i++)
		moheap_decref(heap, items[i]);
	is(tap_objects(heap), 0);
}

static void no_tuple_of_what_is_no_object(void)
{
	struct moheap *heap = tap_heap();
	int node = tap_type(heap, "node", 8, 1), fd = raw_join(moheap_fd(heap), O_RDWR);
	moheap_ref_t items[2] = { tap_new(heap, node), 0 }, tuple = 1;

	items[1] = 2ULL << 32 | 7;
	err_is(moheap_tuple_new(heap, items, 2, &tuple), -EINVAL);
	/* One that was never met in this process, and is gone. */
	err_is(raw_alloc(fd, tap_type(heap, "other", 100, 0), 1, &items[1]), 0);
	err_is(raw_drop(fd, items[1]), 0);
	err_is(moheap_tuple_new(heap, items, 2, &tuple), -ESTALE);
	is(tuple, 1);
	close(fd);
	moheap_decref(heap, items[0]);
	is(tap_objects(heap), 0);
}

static void kinds_are_known(void)
{
	struct moheap *heap = tap_heap(), *reader;
	int node = tap_type(heap, "node", 8, 1), i;
	moheap_ref_t refs[8];

	refs[MOHEAP_KIND_OTHER] = tap_new(heap, node);
	refs[MOHEAP_KIND_INT] = value_int(heap, 1);
	err_is(moheap_float_new(heap, 1, &refs[MOHEAP_KIND_FLOAT]), 0);
	refs[MOHEAP_KIND_BYTES] = value_bytes(heap, "1");
	err_is(moheap_tuple_new(heap, NULL, 0, &refs[MOHEAP_KIND_TUPLE]), 0);
	err_is(moheap_list_new(heap, 5, &refs[MOHEAP_KIND_LIST]), 0);
	err_is(moheap_dict_new(heap, &refs[MOHEAP_KIND_DICT]), 0);
	err_is(moheap_set_new(heap, &refs[MOHEAP_KIND_SET]), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	for (i = 0; i < 8; i++) {
		is(moheap_kind(heap, refs[i]), i);
		is(moheap_kind(reader, refs[i]), i);
		is(moheap_type_of(reader, refs[i]), moheap_type_of(heap, refs[i]));
	}
	is(moheap_type_of(heap, refs[0]), node);
	err_is(moheap_kind(heap, 0), -EINVAL);
	err_is(moheap_type_of(heap, 0), -EINVAL);
	/* What a list is made of is nobody's business. */
	err_is(moheap_peek(heap, refs[MOHEAP_KIND_LIST], 0, &refs[0]), 0);
	is(moheap_kind(heap, refs[0]), MOHEAP_KIND_OTHER);
	err_is(moheap_int_new(reader, 1, &refs[0]), -EACCES);
	err_is(moheap_close(reader), 0);
}

static void equal_is(struct moheap *heap, moheap_ref_t a, moheap_ref_t b, int want)
{
	__u64 hash_a, hash_b;

	err_is(moheap_equal(heap, a, b), want);
	err_is(moheap_equal(heap, b, a), want);
	err_is(moheap_hash(heap, a, &hash_a), 0);
	err_is(moheap_hash(heap, b, &hash_b), 0);
	/* Two that differ may share a hash, but none of these do. */
	ok((hash_a == hash_b) == want);
}

static void equality_and_hash(void)
{
	struct moheap *heap = tap_heap();
	struct value values[VALUES];
	unsigned int i, j;

	values_make(heap, values, VALUES);
	for (i = 0; i < VALUES; i++) {
		equal_is(heap, values[i].ref, 0, 0);
		for (j = 0; j < VALUES; j++)
			equal_is(heap, values[i].ref, values[j].ref,
				 values[i].same == values[j].same);
	}
	values_drop(heap, values, VALUES);
	is(tap_objects(heap), 0);
}

static void numbers_equal_by_value(void)
{
	static const struct {
		long long number;
		double real;
		int equal;
	} pairs[] = {
		{ 0, 0.0, 1 }, { 0, -0.0, 1 }, { 1, 1.0, 1 }, { -5, -5.0, 1 }, { 1, 1.5, 0 },
		{ 1LL << 53, 0x1p53, 1 }, { (1LL << 53) + 1, 0x1p53, 0 },
		{ LLONG_MAX, 0x1p63, 0 }, { LLONG_MIN, -0x1p63, 1 },
		{ 0, NAN, 0 }, { LLONG_MAX, INFINITY, 0 }, { LLONG_MIN, -INFINITY, 0 },
	};
	struct moheap *heap = tap_heap();
	moheap_ref_t number, real, nan;
	unsigned int i;

	for (i = 0; i < TAP_COUNT(pairs); i++) {
		number = value_int(heap, pairs[i].number);
		err_is(moheap_float_new(heap, pairs[i].real, &real), 0);
		equal_is(heap, number, real, pairs[i].equal);
	}
	err_is(moheap_float_new(heap, NAN, &real), 0);
	err_is(moheap_float_new(heap, NAN, &nan), 0);
	equal_is(heap, nan, nan, 1);
	equal_is(heap, nan, real, 0);
}

/* A tuple in a tuple in a tuple ... */
static moheap_ref_t nested(struct moheap *heap, unsigned int depth)
{
	moheap_ref_t inner = value_int(heap, 1), outer;

	while (depth--) {
		err_is(moheap_tuple_new(heap, &inner, 1, &outer), 0);
		moheap_decref(heap, inner);
		inner = outer;
	}
	return inner;
}

static void deep_tuples(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t deep = nested(heap, 300), other = nested(heap, 300);
	moheap_ref_t deeper = nested(heap, 301);

	is(moheap_equal(heap, nested(heap, 200), nested(heap, 200)), 1);
	err_is(moheap_equal(heap, deep, other), -ELOOP);
	is(moheap_equal(heap, deep, deep), 1);
	is(moheap_equal(heap, deep, deeper), 0);
	moheap_decref(heap, nested(heap, tap_scaled(100000)));
	tap_wait_objects(heap, 3 + 300 + 300 + 301 + 2 * 201);
}

struct made {
	moheap_ref_t items[500];
	moheap_ref_t tuple;
};

static int make_a_tuple(struct moheap *heap, void *arg)
{
	struct made *made = arg;

	return moheap_tuple_new(heap, made->items, TAP_COUNT(made->items), &made->tuple);
}

static void no_tuple_was_made(struct moheap *heap, void *arg, int err)
{
	struct made *made = arg;

	if (err)
		is(moheap_refcount(heap, made->items[0]), 1);
}

static void too_little_memory(void)
{
	struct moheap *heap = tap_heap_limited(MOHEAP_LIMIT_MIN);
	static struct made made;
	unsigned int i;

	for (i = 0; i < TAP_COUNT(made.items); i++)
		made.items[i] = value_int(heap, i);
	values_with_little_memory(heap, make_a_tuple, no_tuple_was_made, &made);
	is(moheap_tuple_len(heap, made.tuple), TAP_COUNT(made.items));
	moheap_decref(heap, made.tuple);
	for (i = 0; i < TAP_COUNT(made.items); i++)
		moheap_decref(heap, made.items[i]);
	tap_wait_objects(heap, 0);
}

static void others_see_the_same(void)
{
	struct moheap *heap = tap_heap(), *reader;
	struct value values[VALUES];
	__u64 ours, theirs;
	unsigned int i;

	values_make(heap, values, VALUES);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	for (i = 0; i < VALUES; i++) {
		err_is(moheap_hash(heap, values[i].ref, &ours), 0);
		err_is(moheap_hash(reader, values[i].ref, &theirs), 0);
		ok(ours == theirs);
		is(moheap_equal(reader, values[i].ref, values[i ^ 1].ref),
		   values[i].same == values[i ^ 1].same);
	}
	err_is(moheap_close(reader), 0);
}

static const struct tap_case cases[] = {
	{ "numbers come back", numbers_come_back },
	{ "byte strings come back", byte_strings_come_back },
	{ "tuples come back", tuples_come_back },
	{ "no tuple of what is no object", no_tuple_of_what_is_no_object },
	{ "kinds are known", kinds_are_known },
	{ "equality and hash", equality_and_hash },
	{ "numbers are equal by value", numbers_equal_by_value },
	{ "deep tuples", deep_tuples },
	{ "too little memory for a tuple", too_little_memory },
	{ "others see the same", others_see_the_same },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
