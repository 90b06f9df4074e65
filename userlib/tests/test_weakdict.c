// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Weak dicts. What CPython's test_weakref.py has of them comes first, under its names (CPYTHON.md),
 * for both kinds of dicts where it has it for both.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "values.h"

#define COUNT	10

/* ---- A dict of either kind: it leads from numbers to objects, or from objects to numbers ---- */

struct dict {
	struct moheap *heap;
	struct moheap_weakvaluedict *by_value;
	struct moheap_weakkeydict *by_key;
};

static struct dict dict_new(struct moheap *heap, bool keyed)
{
	struct dict d = { .heap = heap };

	if (keyed)
		err_is(moheap_weakkeydict_new(heap, &d.by_key), 0);
	else
		err_is(moheap_weakvaluedict_new(heap, &d.by_value), 0);
	return d;
}

static void dict_free(struct dict d)
{
	if (d.by_key)
		moheap_weakkeydict_free(d.heap, d.by_key);
	else
		moheap_weakvaluedict_free(d.heap, d.by_value);
}

static struct dict dict_copy(struct dict d)
{
	struct dict copy = { .heap = d.heap };

	if (d.by_key)
		err_is(moheap_weakkeydict_copy(d.heap, d.by_key, &copy.by_key), 0);
	else
		err_is(moheap_weakvaluedict_copy(d.heap, d.by_value, &copy.by_value), 0);
	return copy;
}

static long long dict_len(struct dict d)
{
	return d.by_key ? moheap_weakkeydict_len(d.heap, d.by_key)
			: moheap_weakvaluedict_len(d.heap, d.by_value);
}

static int dict_set(struct dict d, moheap_ref_t object, moheap_ref_t number)
{
	return d.by_key ? moheap_weakkeydict_set(d.heap, d.by_key, object, number)
			: moheap_weakvaluedict_set(d.heap, d.by_value, number, object);
}

static moheap_ref_t dict_key(struct dict d, moheap_ref_t object, moheap_ref_t number)
{
	return d.by_key ? object : number;
}

static int dict_get(struct dict d, moheap_ref_t key, moheap_ref_t *value)
{
	return d.by_key ? moheap_weakkeydict_get(d.heap, d.by_key, key, value)
			: moheap_weakvaluedict_get(d.heap, d.by_value, key, value);
}

static int dict_has(struct dict d, moheap_ref_t key)
{
	return d.by_key ? moheap_weakkeydict_contains(d.heap, d.by_key, key)
			: moheap_weakvaluedict_contains(d.heap, d.by_value, key);
}

static int dict_setdefault(struct dict d, moheap_ref_t key, moheap_ref_t value, moheap_ref_t *got)
{
	return d.by_key ? moheap_weakkeydict_setdefault(d.heap, d.by_key, key, value, got)
			: moheap_weakvaluedict_setdefault(d.heap, d.by_value, key, value, got);
}

static int dict_pop(struct dict d, moheap_ref_t key, moheap_ref_t *value)
{
	return d.by_key ? moheap_weakkeydict_pop(d.heap, d.by_key, key, value)
			: moheap_weakvaluedict_pop(d.heap, d.by_value, key, value);
}

static int dict_popitem(struct dict d, moheap_ref_t *key, moheap_ref_t *value)
{
	return d.by_key ? moheap_weakkeydict_popitem(d.heap, d.by_key, key, value)
			: moheap_weakvaluedict_popitem(d.heap, d.by_value, key, value);
}

static void dict_clear(struct dict d)
{
	if (d.by_key)
		moheap_weakkeydict_clear(d.heap, d.by_key);
	else
		moheap_weakvaluedict_clear(d.heap, d.by_value);
}

static int dict_update(struct dict d, struct dict other)
{
	return d.by_key ? moheap_weakkeydict_update(d.heap, d.by_key, other.by_key)
			: moheap_weakvaluedict_update(d.heap, d.by_value, other.by_value);
}

static int dict_update_from(struct dict d, moheap_ref_t other)
{
	return d.by_key ? moheap_weakkeydict_update_from(d.heap, d.by_key, other)
			: moheap_weakvaluedict_update_from(d.heap, d.by_value, other);
}

static int dict_next(struct dict d, struct moheap_weak_cursor *cursor, moheap_ref_t *key,
		     moheap_ref_t *value)
{
	return d.by_key ? moheap_weakkeydict_next(d.heap, d.by_key, cursor, key, value)
			: moheap_weakvaluedict_next(d.heap, d.by_value, cursor, key, value);
}

static size_t dict_refs(struct dict d, struct moheap_weakref **weakrefs, size_t n)
{
	return d.by_key ? moheap_weakkeydict_keyrefs(d.heap, d.by_key, weakrefs, n)
			: moheap_weakvaluedict_valuerefs(d.heap, d.by_value, weakrefs, n);
}

/* ---- What is in it ---- */

static void drop(struct moheap *heap, moheap_ref_t ref)
{
	err_is(moheap_decref(heap, ref), 0);
}

static void collect(struct moheap *heap)
{
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
}

/* Objects that are equal to others of the same number, and no numbers. */
static moheap_ref_t object_of(struct moheap *heap, int number)
{
	char name[32];

	snprintf(name, sizeof(name), "object %d", number);
	return value_bytes(heap, name);
}

static moheap_ref_t node(struct moheap *heap)
{
	return tap_new(heap, tap_type(heap, "C", 8, 2));
}

static moheap_ref_t ref_cycle(struct moheap *heap)
{
	moheap_ref_t ref = node(heap);

	err_is(moheap_store(heap, ref, 0, ref), 0);
	return ref;
}

/* Objects and their numbers, all held. */
struct items {
	moheap_ref_t objects[COUNT], numbers[COUNT];
	unsigned int n;
};

static void items_make(struct dict d, struct items *items)
{
	for (items->n = 0; items->n < COUNT; items->n++) {
		items->objects[items->n] = object_of(d.heap, items->n);
		items->numbers[items->n] = value_int(d.heap, items->n);
		err_is(dict_set(d, items->objects[items->n], items->numbers[items->n]), 0);
	}
}

/* Let go of the object that came last. */
static void items_lose(struct dict d, struct items *items)
{
	drop(d.heap, items->objects[--items->n]);
}

static void item_is(struct dict d, moheap_ref_t object, moheap_ref_t number)
{
	moheap_ref_t value;

	err_is(dict_get(d, dict_key(d, object, number), &value), 0);
	ok(value == (d.by_key ? number : object));
	drop(d.heap, value);
}

static unsigned int walk(struct dict d, struct moheap_weak_cursor *cursor)
{
	moheap_ref_t key, value;
	unsigned int n;

	for (n = 0; dict_next(d, cursor, &key, &value) == 1; n++) {
		is(moheap_hash(d.heap, key, &(__u64){ 0 }), 0);
		drop(d.heap, key);
		drop(d.heap, value);
	}
	return n;
}

/* One has what the other has, in the same order. */
static void equal(struct dict a, struct dict b)
{
	struct moheap_weak_cursor cursors[2] = { 0 };
	moheap_ref_t keys[2], values[2];
	int more;

	do {
		more = dict_next(a, &cursors[0], &keys[0], &values[0]);
		is(dict_next(b, &cursors[1], &keys[1], &values[1]), more);
		if (more != 1)
			break;
		is(moheap_equal(a.heap, keys[0], keys[1]), 1);
		ok(values[0] == values[1]);
		drop(a.heap, keys[0]);
		drop(a.heap, keys[1]);
		drop(a.heap, values[0]);
		drop(a.heap, values[1]);
	} while (more == 1);
	err_is(more, 0);
	is(dict_len(a), dict_len(b));
}

/* A case is run twice, for its argument. */
struct both {
	const char *name;
	void (*run)(struct moheap *heap, bool keyed);
};

/* ---- MappingTestCase ---- */

static void test_len_cycles(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	struct moheap_weak_cursor cursor = { 0 };
	moheap_ref_t number = value_int(heap, 1), items[20], key, value;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		items[i] = ref_cycle(heap);
		err_is(dict_set(d, items[i], number), 0);
	}
	is(dict_len(d), keyed ? 20 : 1);
	is(dict_next(d, &cursor, &key, &value), 1);
	drop(heap, key);
	drop(heap, value);
	for (i = 0; i < 20; i++)
		drop(heap, items[i]);
	collect(heap);
	is(dict_len(d), 0);
	is(dict_next(d, &cursor, &key, &value), 0);
	is(moheap_dispatch(heap), 0);
	dict_free(d);
	drop(heap, number);
	is(tap_objects(heap), 0);
}

static void test_len_race(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	struct moheap_weak_cursor cursor;
	moheap_ref_t items[20], number, key;
	long long first, second;
	unsigned int i, th, n = tap_scaled(50);

	for (th = 1; th <= n; th++) {
		err_is(moheap_set_threshold(heap, th, th), 0);
		for (i = 0; i < 20; i++) {
			items[i] = ref_cycle(heap);
			number = value_int(heap, i);
			err_is(dict_set(d, items[i], number), 0);
			drop(heap, number);
		}
		for (i = 0; i < 20; i++)
			drop(heap, items[i]);
		cursor = (struct moheap_weak_cursor){ 0 };
		if (dict_next(d, &cursor, &key, NULL) == 1)
			drop(heap, key);
		first = dict_len(d);
		ok(moheap_dispatch(heap) >= 0);
		second = dict_len(d);
		ok(first >= 0 && first <= 20 * th && second >= 0 && second <= first);
	}
	collect(heap);
	is(dict_len(d), 0);
}

static void test_weak_items(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed), copy;
	struct items items;
	moheap_ref_t value, object, number;
	unsigned int i;

	items_make(d, &items);
	for (i = 0; i < COUNT; i++) {
		is(moheap_getweakrefcount(heap, items.objects[i]), 1);
		item_is(d, items.objects[i], items.numbers[i]);
	}
	copy = dict_copy(d);
	equal(d, copy);
	is(moheap_getweakrefcount(heap, items.objects[0]), 2);
	dict_free(copy);
	is(moheap_getweakrefcount(heap, items.objects[0]), 1);
	is(dict_len(d), COUNT);
	items_lose(d, &items);
	is(dict_len(d), COUNT - 1);
	is(moheap_dispatch(heap), 0);
	while (items.n)
		items_lose(d, &items);
	/* Told of, or found: it makes no difference. */
	is(moheap_dispatch(heap), COUNT - 1);
	is(dict_len(d), 0);
	object = node(heap);
	number = value_int(heap, 42);
	err_is(dict_get(d, dict_key(d, object, number), &value), -ENOENT);
	err_is(dict_set(d, object, number), 0);
	is(dict_has(d, dict_key(d, object, number)), 1);
	is(dict_has(d, items.numbers[3]), 0);
	drop(heap, object);
	err_is(dict_get(d, dict_key(d, object, number), &value), -ENOENT);
	is(dict_has(d, dict_key(d, object, number)), 0);
	drop(heap, number);
	for (i = 0; i < COUNT; i++)
		drop(heap, items.numbers[i]);
	is(dict_len(d), 0);
	is(tap_objects(heap), 0);
}

static void test_iters(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	struct moheap_weak_cursor cursor = { 0 };
	struct moheap_weakref *refs[COUNT + 1];
	moheap_ref_t key, value, ref;
	struct items items;
	unsigned int i;

	items_make(d, &items);
	for (i = 0; dict_next(d, &cursor, &key, &value) == 1; i++) {
		ok(key == dict_key(d, items.objects[i], items.numbers[i]));
		ok(value == (keyed ? items.numbers[i] : items.objects[i]));
		drop(heap, key);
		drop(heap, value);
	}
	is(i, COUNT);
	cursor = (struct moheap_weak_cursor){ 0 };
	for (i = 0; dict_next(d, &cursor, i % 2 ? &key : NULL, NULL) == 1; i++)
		if (i % 2)
			drop(heap, key);
	is(i, COUNT);
	is(dict_refs(d, refs, 1), COUNT);
	moheap_weakref_free(heap, refs[0]);
	is(dict_refs(d, refs, COUNT + 1), COUNT);
	for (i = 0; i < COUNT; i++) {
		err_is(moheap_weakref_get(heap, refs[i], &ref), 0);
		ok(ref == items.objects[i]);
		drop(heap, ref);
		/* There is a callback, and it is the library's. */
		ok(!moheap_weakref_callback(refs[i], NULL));
	}
	/* They outlive the dict. */
	dict_free(d);
	for (i = 0; i < COUNT; i++) {
		is(moheap_weakref_alive(heap, refs[i]), 1);
		drop(heap, items.objects[i]);
		is(moheap_weakref_alive(heap, refs[i]), 0);
	}
	is(moheap_dispatch(heap), COUNT);
	for (i = 0; i < COUNT; i++)
		moheap_weakref_free(heap, refs[i]);
}

/* A walk is on; then an object goes. Gives its number, and an object like it. */
static void walk_and_lose(struct dict d, struct items *items, struct moheap_weak_cursor *cursor,
			  moheap_ref_t *object, moheap_ref_t *number)
{
	moheap_ref_t key, value;

	*cursor = (struct moheap_weak_cursor){ 0 };
	is(dict_next(d, cursor, &key, &value), 1);
	drop(d.heap, key);
	drop(d.heap, value);
	items_lose(d, items);
	*object = object_of(d.heap, items->n);
	*number = items->numbers[items->n];
}

static void destroy_and_mutate(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed), copy;
	moheap_ref_t object, number, kept, key;
	struct moheap_weak_cursor cursor;
	struct items items;

	items_make(d, &items);
	walk_and_lose(d, &items, &cursor, &object, &number);
	is(dict_has(d, dict_key(d, object, number)), 0);
	drop(heap, object);
	walk_and_lose(d, &items, &cursor, &object, &number);
	err_is(dict_pop(d, dict_key(d, object, number), NULL), -ENOENT);
	is(dict_has(d, dict_key(d, object, number)), 0);
	drop(heap, object);
	walk_and_lose(d, &items, &cursor, &kept, &number);
	err_is(dict_set(d, kept, number), 0);
	item_is(d, kept, number);
	/* That came after the walk had begun. */
	is(walk(d, &cursor), COUNT - 3 - 1);
	copy = dict_copy(d);
	walk_and_lose(d, &items, &cursor, &object, &key);
	err_is(dict_update(d, copy), 0);
	equal(d, copy);
	item_is(d, kept, number);
	drop(heap, object);
	walk_and_lose(d, &items, &cursor, &object, &key);
	dict_clear(d);
	is(dict_len(d), 0);
	is(walk(d, &cursor), 0);
	drop(heap, object);
	is(dict_len(copy), COUNT - 4);
	err_is(moheap_dispatch(heap), 0);
	is(dict_len(copy), COUNT - 4);
}

static void test_destroy_while_iterating(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	struct moheap_weak_cursor cursor;
	moheap_ref_t object, number;
	struct items items;

	items_make(d, &items);
	walk_and_lose(d, &items, &cursor, &object, &number);
	drop(heap, object);
	is(walk(d, &cursor), COUNT - 2);
	is(dict_len(d), COUNT - 1);
	walk_and_lose(d, &items, &cursor, &object, &number);
	drop(heap, object);
	is(moheap_dispatch(heap), 1);
	is(walk(d, &cursor), COUNT - 3);
	is(dict_len(d), COUNT - 2);
	dict_free(d);
	destroy_and_mutate(heap, keyed);
}

/* len() while some are taken out, and some go by themselves. */
static void test_del_and_len_while_iterating(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	moheap_ref_t object, number, o = object_of(heap, 123456), key, value;
	struct moheap_weak_cursor cursor;
	struct items items;
	unsigned int i;

	items_make(d, &items);
	walk_and_lose(d, &items, &cursor, &object, &number);
	is(dict_len(d), COUNT - 1);
	err_is(dict_pop(d, dict_key(d, items.objects[0], items.numbers[0]), &value), 0);
	ok(value == (keyed ? items.numbers[0] : items.objects[0]));
	drop(heap, value);
	is(dict_len(d), COUNT - 2);
	err_is(dict_set(d, o, o), 0);
	is(dict_len(d), COUNT - 1);
	is(walk(d, &cursor), COUNT - 2);
	drop(heap, object);
	walk_and_lose(d, &items, &cursor, &object, &number);
	err_is(dict_popitem(d, &key, &value), 0);
	ok(key == o && value == o);
	drop(heap, key);
	drop(heap, value);
	drop(heap, object);
	is(dict_len(d), COUNT - 3);
	/* The last is dead: not that one. */
	walk_and_lose(d, &items, &cursor, &object, &number);
	err_is(dict_popitem(d, &key, &value), 0);
	ok(key == dict_key(d, items.objects[items.n - 1], items.numbers[items.n - 1]));
	drop(heap, key);
	drop(heap, value);
	drop(heap, object);
	is(dict_len(d), COUNT - 5);
	walk_and_lose(d, &items, &cursor, &object, &number);
	dict_clear(d);
	is(dict_len(d), 0);
	drop(heap, object);
	for (i = 0; i < items.n; i++)
		drop(heap, items.objects[i]);
	for (i = 0; i < COUNT; i++)
		drop(heap, items.numbers[i]);
	drop(heap, o);
	ok(moheap_dispatch(heap) >= 0);
	is(tap_objects(heap), 0);
}

static void test_make_dict_from_dict(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed), copy;
	moheap_ref_t object = object_of(heap, 3), number = value_int(heap, 364), dict;

	err_is(moheap_dict_new(heap, &dict), 0);
	err_is(dict_update_from(d, dict), 0);
	is(dict_len(d), 0);
	err_is(moheap_dict_set(heap, dict, keyed ? object : number, keyed ? number : object), 0);
	err_is(dict_update_from(d, dict), 0);
	item_is(d, object, number);
	drop(heap, dict);
	item_is(d, object, number);
	copy = dict_copy(d);
	err_is(dict_update(d, copy), 0);
	err_is(dict_update(d, d), 0);
	is(dict_len(d), 1);
	item_is(copy, object, number);
	drop(heap, object);
	is(dict_len(d), 0);
	is(dict_len(copy), 0);
}

static void test_dict_popitem(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	moheap_ref_t objects[2] = { node(heap), node(heap) }, key, value;
	moheap_ref_t names[2] = { value_bytes(heap, "key1"), value_bytes(heap, "key2") };
	int i;

	err_is(dict_popitem(d, &key, &value), -ENOENT);
	for (i = 0; i < 2; i++)
		err_is(dict_set(d, objects[i], names[i]), 0);
	for (i = 2; i--;) {
		is(dict_len(d), i + 1);
		err_is(dict_popitem(d, &key, &value), 0);
		ok(key == dict_key(d, objects[i], names[i]));
		ok(value == (keyed ? names[i] : objects[i]));
		drop(heap, key);
		drop(heap, value);
	}
	err_is(dict_popitem(d, &key, &value), -ENOENT);
	is(moheap_getweakrefcount(heap, objects[0]), 0);
}

static void test_dict_setdefault(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	moheap_ref_t key = node(heap), values[2] = { node(heap), node(heap) }, got;
	int i;

	for (i = 0; i < 2; i++) {
		err_is(dict_setdefault(d, key, values[i], &got), 0);
		ok(got == values[0]);
		drop(heap, got);
		is(dict_has(d, key), 1);
		err_is(dict_get(d, key, &got), 0);
		ok(got == values[0]);
		drop(heap, got);
	}
	if (keyed)
		return;
	/* One that is dead is as none. */
	drop(heap, values[0]);
	err_is(dict_setdefault(d, key, values[1], &got), 0);
	ok(got == values[1]);
	drop(heap, got);
	err_is(dict_setdefault(d, values[1], 0, &got), -EINVAL);
}

static void test_dict_update(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed), from = dict_new(heap, keyed);
	moheap_ref_t other = value_int(heap, -1);
	struct items items;
	unsigned int i;

	items_make(from, &items);
	err_is(dict_set(d, items.objects[2], keyed ? other : items.numbers[2]), 0);
	err_is(dict_update(d, from), 0);
	is(dict_len(d), COUNT);
	for (i = 0; i < COUNT; i++)
		item_is(d, items.objects[i], items.numbers[i]);
	dict_clear(from);
	is(dict_len(d), COUNT);
}

static void test_union_operators(struct moheap *heap, bool keyed)
{
	moheap_ref_t a = node(heap), b = node(heap), c = node(heap), n[4];
	struct dict d1 = dict_new(heap, keyed), d2 = dict_new(heap, keyed), both;
	unsigned int i;

	for (i = 0; i < 4; i++)
		n[i] = value_int(heap, i);
	err_is(dict_set(d1, a, n[1]), 0);
	err_is(dict_set(d1, b, n[2]), 0);
	err_is(dict_set(d2, c, n[1]), 0);
	err_is(dict_set(d2, a, n[3]), 0);
	both = dict_copy(d1);
	err_is(dict_update(both, d2), 0);
	/* Of what both have, the second's value stays. */
	item_is(both, b, n[2]);
	item_is(both, c, n[1]);
	item_is(both, a, n[3]);
	is(dict_len(both), 3);
	is(dict_len(d1), 2);
	drop(heap, a);
	is(dict_len(both), 2);
	is(dict_len(d1), 1);
	is(dict_len(d2), 1);
	is(dict_has(both, n[3]), 0);
	is(dict_has(d2, n[3]), 0);
}

static void test_delitem(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	moheap_ref_t o1 = object_of(heap, 1), o2 = object_of(heap, 2);
	moheap_ref_t s1 = value_bytes(heap, "something"), s2 = value_bytes(heap, "something else");
	struct moheap_weak_cursor cursor = { 0 };
	moheap_ref_t key, value;

	err_is(dict_set(d, o1, s1), 0);
	err_is(dict_set(d, o2, s2), 0);
	is(dict_len(d), 2);
	err_is(dict_pop(d, dict_key(d, o1, s1), NULL), 0);
	is(dict_len(d), 1);
	is(dict_next(d, &cursor, &key, &value), 1);
	ok(key == dict_key(d, o2, s2) && value == (keyed ? s2 : o2));
	is(dict_next(d, &cursor, &key, &value), 0);
	/* As nobody is told of what was taken out, so no entry comes to harm later. */
	drop(heap, o1);
	is(moheap_dispatch(heap), 0);
	is(dict_len(d), 1);
}

static void test_bad_delitem(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	moheap_ref_t o = object_of(heap, 1), value;

	err_is(dict_pop(d, o, NULL), -ENOENT);
	err_is(dict_pop(d, o, &value), -ENOENT);
	err_is(dict_get(d, o, &value), -ENOENT);
	is(dict_has(d, o), 0);
	/* What can be no key, or have no weak reference. */
	err_is(dict_pop(d, 0, NULL), -EINVAL);
	err_is(dict_get(d, 0, &value), -EINVAL);
	is(dict_has(d, 0), -EINVAL);
	err_is(dict_set(d, 0, o), -EINVAL);
	if (keyed)
		err_is(dict_set(d, o, 0), 0);
	else
		err_is(dict_set(d, o, 0), -EINVAL);
	is(dict_len(d), keyed);
	if (!keyed)
		return;
	/* None, as a value. */
	value = 1;
	err_is(dict_get(d, o, &value), 0);
	is(value, 0);
}

/* mapping_tests.BasicTestMappingProtocol: as a dict does, with random calls. */
static void test_mapping(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	moheap_ref_t in[50] = { 0 }, objects[50], numbers[50], got;
	unsigned int step, steps = tap_scaled(5000), i, len = 0;

	values_seed();
	for (i = 0; i < 50; i++) {
		objects[i] = keyed ? object_of(heap, i) : node(heap);
		numbers[i] = value_int(heap, i);
	}
	for (step = 0; step < steps; step++) {
		i = rand() % 50;
		switch (rand() % 5) {
		case 0:
			err_is(dict_set(d, objects[i], numbers[i]), 0);
			len += !in[i];
			in[i] = objects[i];
			break;
		case 1:
			err_is(dict_pop(d, dict_key(d, objects[i], numbers[i]), NULL),
			       in[i] ? 0 : -ENOENT);
			len -= !!in[i];
			in[i] = 0;
			break;
		case 2:
			drop(heap, objects[i]);
			objects[i] = keyed ? object_of(heap, i) : node(heap);
			len -= !!in[i];
			in[i] = 0;
			break;
		case 3:
			is(dict_has(d, dict_key(d, objects[i], numbers[i])), !!in[i]);
			if (dict_get(d, dict_key(d, objects[i], numbers[i]), &got) == 0)
				drop(heap, got);
			break;
		default:
			is(dict_len(d), len);
			if (rand() % 4 == 0)
				ok(moheap_dispatch(heap) >= 0);
		}
	}
	for (i = 0; i < 50; i++)
		is(dict_has(d, dict_key(d, objects[i], numbers[i])), !!in[i]);
	is(walk(d, &(struct moheap_weak_cursor){ 0 }), len);
}

/* ---- Threads ---- */

struct collector {
	struct moheap *heap;
	pthread_t thread;
	atomic_bool stop;
};

static void *collect_often(void *arg)
{
	struct collector *c = arg;

	while (!atomic_load(&c->stop)) {
		usleep(100);
		collect(c->heap);
	}
	return NULL;
}

static void collect_in_thread(struct collector *c, struct moheap *heap)
{
	c->heap = heap;
	atomic_store(&c->stop, false);
	err_is(moheap_disable(heap), 0);
	err_is(moheap_start_dispatcher(heap), 0);
	ok(!pthread_create(&c->thread, NULL, collect_often, c));
}

static void collect_no_more(struct collector *c)
{
	atomic_store(&c->stop, true);
	ok(!pthread_join(c->thread, NULL));
	err_is(moheap_stop_dispatcher(c->heap), 0);
}

static void test_threaded_weak_valued_setdefault(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	moheap_ref_t ten = value_int(heap, 10), x, y;
	unsigned int i, n = tap_scaled(1500);
	struct collector c;

	collect_in_thread(&c, heap);
	for (i = 0; i < n; i++) {
		x = ref_cycle(heap);
		err_is(keyed ? dict_setdefault(d, x, ten, &y) : dict_setdefault(d, ten, x, &y), 0);
		ok(y);
		drop(heap, x);
		drop(heap, y);
	}
	collect_no_more(&c);
}

static void test_threaded_weak_valued_pop(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	moheap_ref_t ten = value_int(heap, 10), x, y;
	unsigned int i, n = tap_scaled(1500);
	struct collector c;

	collect_in_thread(&c, heap);
	for (i = 0; i < n; i++) {
		x = ref_cycle(heap);
		err_is(dict_set(d, x, ten), 0);
		err_is(dict_pop(d, dict_key(d, x, ten), &y), 0);
		ok(y == (keyed ? ten : x));
		drop(heap, y);
		drop(heap, x);
	}
	collect_no_more(&c);
}

/* The death of an old value does not take a new one away. */
static void test_threaded_weak_valued_consistency(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	moheap_ref_t ten = value_int(heap, 10), o;
	unsigned int i, n = tap_scaled(3000);
	struct collector c;

	collect_in_thread(&c, heap);
	for (i = 0; i < n; i++) {
		o = ref_cycle(heap);
		err_is(dict_set(d, o, ten), 0);
		if (!keyed)
			is(dict_len(d), 1);
		is(dict_has(d, dict_key(d, o, ten)), 1);
		drop(heap, o);
	}
	collect_no_more(&c);
	collect(heap);
	is(dict_len(d), 0);
}

struct loser {
	struct dict d;
	moheap_ref_t *objects;
	unsigned int n;
};

static void *lose_all(void *arg)
{
	struct loser *l = arg;
	unsigned int i;

	while (l->n) {
		i = rand() % l->n;
		drop(l->d.heap, l->objects[i]);
		l->objects[i] = l->objects[--l->n];
		if (l->n % 1000 == 0)
			err_is(moheap_flush(l->d.heap), 0);
	}
	return NULL;
}

static void test_threaded_weak_dict_copy(struct moheap *heap, bool keyed)
{
	struct loser l = { .d = dict_new(heap, keyed), .n = tap_scaled(5000) };
	moheap_ref_t number;
	pthread_t thread;
	struct dict copy;
	unsigned int i;

	l.objects = calloc(l.n, sizeof(*l.objects));
	ok(l.objects);
	for (i = 0; i < l.n; i++) {
		l.objects[i] = node(heap);
		number = value_int(heap, i);
		err_is(dict_set(l.d, l.objects[i], number), 0);
		drop(heap, number);
	}
	err_is(moheap_start_dispatcher(heap), 0);
	ok(!pthread_create(&thread, NULL, lose_all, &l));
	copy = dict_copy(l.d);
	ok(!pthread_join(thread, NULL));
	is(dict_len(l.d), 0);
	is(dict_len(copy), 0);
	ok(moheap_dispatch(heap) >= 0);
	is(tap_objects(heap), 0);
}

/* ---- Beyond ---- */

/* The side that is not weak is let go of when the other dies. */
static void the_other_side(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	moheap_ref_t object = node(heap), number = node(heap), other = node(heap), got;

	err_is(dict_set(d, object, number), 0);
	is(moheap_refcount(heap, number), 2);
	is(moheap_refcount(heap, object), 1);
	err_is(dict_set(d, object, number), 0);
	is(moheap_refcount(heap, number), 2);
	is(moheap_getweakrefcount(heap, object), 1);
	drop(heap, number);
	err_is(dict_get(d, dict_key(d, object, number), &got), 0);
	drop(heap, got);
	if (keyed) {
		/* Another value: the old one goes. */
		err_is(dict_set(d, object, other), 0);
		is(moheap_refcount(heap, other), 2);
		is(tap_objects(heap), 2);
	}
	drop(heap, other);
	drop(heap, object);
	is(moheap_dispatch(heap), 1);
	is(dict_len(d), 0);
	is(tap_objects(heap), 0);
}

/* Nobody dispatches: yet the dead take neither memory nor references for ever. */
static void no_dispatcher(struct moheap *heap, bool keyed)
{
	struct dict d = dict_new(heap, keyed);
	unsigned int i, n = tap_scaled(6000);
	moheap_ref_t object, number, kept[50];
	size_t before;
	__u64 objects;

	for (i = 0; i < 50; i++) {
		kept[i] = node(heap);
		number = value_int(heap, -1 - (int)i);
		err_is(dict_set(d, kept[i], number), 0);
		drop(heap, number);
	}
	before = mallinfo2().uordblks;
	objects = tap_objects(heap);
	for (i = 0; i < n; i++) {
		object = node(heap);
		number = value_int(heap, i % 300);
		err_is(dict_set(d, object, number), 0);
		drop(heap, object);
		drop(heap, number);
	}
	ok(mallinfo2().uordblks < before + 200000);
	ok(tap_objects(heap) < objects + 1000);
	is(dict_len(d), 50);
	ok(moheap_dispatch(heap) == 0);
}

static void errors(struct moheap *heap, bool keyed)
{
	static struct dict dicts[MOHEAP_WATCHES_MAX];
	moheap_ref_t object = node(heap), gone = node(heap), number = value_int(heap, 1), value;
	struct dict more = dict_new(heap, keyed);
	unsigned int i;

	drop(heap, gone);
	err_is(moheap_flush(heap), 0);
	err_is(dict_set(more, gone, number), -ESTALE);
	if (keyed)
		err_is(dict_set(more, object, gone), -ESTALE);
	is(dict_has(more, gone), 0);
	err_is(dict_get(more, gone, &value), -ENOENT);
	for (i = 0; i < MOHEAP_WATCHES_MAX; i++) {
		dicts[i] = dict_new(heap, keyed);
		err_is(dict_set(dicts[i], object, number), 0);
	}
	err_is(dict_set(more, object, number), -EOVERFLOW);
	is(dict_len(more), 0);
	is(moheap_refcount(heap, number), 1 + MOHEAP_WATCHES_MAX);
	dict_free(dicts[7]);
	err_is(dict_set(more, object, number), 0);
	drop(heap, object);
	is(moheap_dispatch(heap), MOHEAP_WATCHES_MAX);
	is(moheap_refcount(heap, number), 1);
	moheap_weakkeydict_free(heap, NULL);
	moheap_weakvaluedict_free(heap, NULL);
}

struct family {
	struct dict d;
	struct items *items;
};

static void in_the_child(void *arg)
{
	struct family *f = arg;
	unsigned int i;

	is(dict_len(f->d), COUNT);
	for (i = 0; i < COUNT; i++)
		drop(f->d.heap, f->items->objects[i]);
	/* The parent has them. */
	is(dict_len(f->d), COUNT);
	dict_clear(f->d);
	is(dict_len(f->d), 0);
	err_is(moheap_close(f->d.heap), 0);
}

static void in_a_child_of_nothing(void *arg)
{
	struct family *f = arg;

	is(dict_len(f->d), 0);
	is(walk(f->d, &(struct moheap_weak_cursor){ 0 }), 0);
	err_is(moheap_close(f->d.heap), 0);
}

static void children_have_their_own(struct moheap *heap, bool keyed)
{
	struct items items;
	struct family f = { .d = dict_new(heap, keyed), .items = &items };

	items_make(f.d, &items);
	tap_wait(tap_fork(in_the_child, &f));
	is(dict_len(f.d), COUNT);
	while (items.n)
		items_lose(f.d, &items);
	tap_wait(tap_fork(in_a_child_of_nothing, &f));
	is(moheap_dispatch(heap), COUNT);
	is(dict_len(f.d), 0);
}

#define PYTHON(test)	{ #test, test }

static const struct both cases[] = {
	PYTHON(test_len_cycles),
	PYTHON(test_len_race),
	PYTHON(test_weak_items),
	PYTHON(test_iters),
	PYTHON(test_destroy_while_iterating),
	PYTHON(test_del_and_len_while_iterating),
	PYTHON(test_make_dict_from_dict),
	PYTHON(test_dict_popitem),
	PYTHON(test_dict_setdefault),
	PYTHON(test_dict_update),
	PYTHON(test_union_operators),
	PYTHON(test_delitem),
	PYTHON(test_bad_delitem),
	PYTHON(test_mapping),
	PYTHON(test_threaded_weak_valued_setdefault),
	PYTHON(test_threaded_weak_valued_pop),
	PYTHON(test_threaded_weak_valued_consistency),
	PYTHON(test_threaded_weak_dict_copy),
	{ "the other side is let go of", the_other_side },
	{ "no dispatcher", no_dispatcher },
	{ "errors", errors },
	{ "children have their own", children_have_their_own },
};

static void run_both(const void *arg)
{
	const struct both *both = arg;

	both->run(tap_heap(), false);
	both->run(tap_heap(), true);
}

int main(int argc, char **argv)
{
	static const struct tap_case like = { .run_with = run_both };

	return tap_main_table(argc, argv, cases, sizeof(cases[0]), TAP_COUNT(cases), &like);
}
