// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Weak sets. What CPython's test_weakset.py has comes first, under its names (CPYTHON.md).
 */
#include "values.h"

#define LETTERS	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define MOST	52

/* Byte strings of one letter each: equal by value, held until they are let go of. */
struct letters {
	struct moheap *heap;
	moheap_ref_t refs[MOST];
	unsigned int n;
};

static moheap_ref_t letter(struct moheap *heap, char c)
{
	char string[2] = { c };

	return value_bytes(heap, string);
}

static struct letters letters_of(struct moheap *heap, const char *string)
{
	struct letters l = { .heap = heap };

	while (*string)
		l.refs[l.n++] = letter(heap, *string++);
	return l;
}

static void drop(struct moheap *heap, moheap_ref_t ref)
{
	err_is(moheap_decref(heap, ref), 0);
}

static void letters_lose(struct letters *l)
{
	drop(l->heap, l->refs[--l->n]);
}

static struct moheap_weakset *set_new(struct moheap *heap)
{
	struct moheap_weakset *set;

	err_is(moheap_weakset_new(heap, &set), 0);
	return set;
}

static struct moheap_weakset *set_of(const struct letters *l)
{
	struct moheap_weakset *set = set_new(l->heap);
	unsigned int i;

	for (i = 0; i < l->n; i++)
		is(moheap_weakset_add(l->heap, set, l->refs[i]), 1);
	return set;
}

/* The set has these letters and no others, in this order. */
static void has(struct moheap *heap, struct moheap_weakset *set, const char *want)
{
	struct moheap_weak_cursor cursor = { 0 };
	moheap_ref_t key, same;
	const char *c;

	is(moheap_weakset_len(heap, set), strlen(want));
	for (c = want; *c; c++) {
		is(moheap_weakset_next(heap, set, &cursor, &key), 1);
		same = letter(heap, *c);
		is(moheap_equal(heap, key, same), 1);
		drop(heap, same);
		drop(heap, key);
	}
	is(moheap_weakset_next(heap, set, &cursor, &key), 0);
	for (c = LETTERS; *c; c++) {
		key = letter(heap, *c);
		is(moheap_weakset_contains(heap, set, key), !!strchr(want, *c));
		drop(heap, key);
	}
}

/* What most cases begin with. */
struct scene {
	struct moheap *heap;
	struct letters items, items2;
	struct moheap_weakset *s, *s2;
};

static struct scene scene(const char *items, const char *items2)
{
	struct scene sc = { .heap = tap_heap() };

	sc.items = letters_of(sc.heap, items);
	sc.items2 = letters_of(sc.heap, items2);
	sc.s = set_of(&sc.items);
	sc.s2 = set_of(&sc.items2);
	return sc;
}

/* ---- TestWeakSet ---- */

static void test_len(void)
{
	struct scene sc = scene("abc", "F");

	is(moheap_weakset_len(sc.heap, sc.s), 3);
	is(moheap_weakset_len(sc.heap, sc.s2), 1);
	letters_lose(&sc.items2);
	is(moheap_weakset_len(sc.heap, sc.s2), 0);
	is(moheap_weakset_len(sc.heap, sc.s), 3);
}

static void test_contains(void)
{
	struct scene sc = scene("abc", "F");
	moheap_ref_t other = value_int(sc.heap, 1);

	has(sc.heap, sc.s, "abc");
	is(moheap_weakset_contains(sc.heap, sc.s, other), 0);
	is(moheap_weakset_contains(sc.heap, sc.s2, sc.items2.refs[0]), 1);
	letters_lose(&sc.items2);
	/* Neither by its own ref, nor by an equal one. */
	is(moheap_weakset_contains(sc.heap, sc.s2, sc.items2.refs[0]), 0);
	has(sc.heap, sc.s2, "");
}

static void test_union(void)
{
	struct scene sc = scene("abc", "cxyz");
	struct moheap_weakset *u;

	err_is(moheap_weakset_union(sc.heap, sc.s, sc.s2, &u), 0);
	has(sc.heap, u, "abcxyz");
	has(sc.heap, sc.s, "abc");
	has(sc.heap, sc.s2, "cxyz");
	letters_lose(&sc.items2);
	has(sc.heap, u, "abcxy");
	moheap_weakset_free(sc.heap, u);
	has(sc.heap, sc.s2, "cxy");
}

static void test_intersection(void)
{
	struct scene sc = scene("abcde", "xbd");
	struct moheap_weakset *i;

	err_is(moheap_weakset_intersection(sc.heap, sc.s, sc.s2, &i), 0);
	has(sc.heap, i, "bd");
	has(sc.heap, sc.s, "abcde");
	has(sc.heap, sc.s2, "xbd");
	/* The keys are the first's: those of the other may go. */
	letters_lose(&sc.items2);
	has(sc.heap, i, "bd");
	letters_lose(&sc.items);
	letters_lose(&sc.items);
	has(sc.heap, i, "b");
}

static void test_isdisjoint(void)
{
	struct scene sc = scene("abc", "xyz");
	struct letters all = letters_of(sc.heap, LETTERS);

	is(moheap_weakset_isdisjoint(sc.heap, sc.s, sc.s2), 1);
	is(moheap_weakset_isdisjoint(sc.heap, sc.s, set_of(&all)), 0);
	is(moheap_weakset_isdisjoint(sc.heap, sc.s, sc.s), 0);
	is(moheap_weakset_isdisjoint(sc.heap, sc.s, set_new(sc.heap)), 1);
}

static void test_difference(void)
{
	struct scene sc = scene("abcde", "xbd");
	struct moheap_weakset *d;

	err_is(moheap_weakset_difference(sc.heap, sc.s, sc.s2, &d), 0);
	has(sc.heap, d, "ace");
	has(sc.heap, sc.s, "abcde");
	letters_lose(&sc.items);
	has(sc.heap, d, "ac");
}

static void test_symmetric_difference(void)
{
	struct scene sc = scene("abc", "xbz");
	struct moheap_weakset *d;

	err_is(moheap_weakset_symmetric_difference(sc.heap, sc.s, sc.s2, &d), 0);
	has(sc.heap, d, "acxz");
	has(sc.heap, sc.s, "abc");
	has(sc.heap, sc.s2, "xbz");
	letters_lose(&sc.items2);
	has(sc.heap, d, "acx");
}

static void test_sub_and_super(void)
{
	struct scene sc = scene("ab", "abcde");
	struct letters def = letters_of(sc.heap, "def");
	struct moheap_weakset *other = set_of(&def);

	is(moheap_weakset_issubset(sc.heap, sc.s, sc.s2), 1);
	is(moheap_weakset_issubset(sc.heap, sc.s2, sc.s2), 1);
	is(moheap_weakset_issubset(sc.heap, sc.s2, sc.s), 0);
	is(moheap_weakset_issubset(sc.heap, sc.s2, other), 0);
	is(moheap_weakset_issubset(sc.heap, set_new(sc.heap), sc.s), 1);
	/* Without those that are gone it is one. */
	letters_lose(&def);
	is(moheap_weakset_issubset(sc.heap, other, sc.s2), 1);
}

static void test_gc(void)
{
	struct moheap *heap = tap_heap();
	struct moheap_weakset *s = set_new(heap), *sets[100];
	int type = tap_type(heap, "Foo", 8, 2);
	struct moheap_weak_cursor cursor = { 0 };
	moheap_ref_t refs[100], key;
	unsigned int i;

	err_is(moheap_disable(heap), 0);
	err_is(moheap_new_many(heap, type, 100, refs), 0);
	for (i = 0; i < 100; i++)
		is(moheap_weakset_add(heap, s, refs[i]), 1);
	for (i = 0; moheap_weakset_next(heap, s, &cursor, &key) == 1; i++) {
		err_is(moheap_store(heap, key, 0, key), 0);
		err_is(moheap_store(heap, key, 1, refs[99 - i]), 0);
		sets[i] = set_new(heap);
		is(moheap_weakset_add(heap, sets[i], key), 1);
		drop(heap, key);
		drop(heap, refs[i]);
	}
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(moheap_dispatch(heap), 200);
	is(moheap_weakset_len(heap, s), 0);
	is(moheap_weakset_len(heap, sets[7]), 0);
	is(tap_objects(heap), 0);
}

static void test_init(void)
{
	struct scene sc = scene("abc", "ab");
	moheap_ref_t set;
	unsigned int i;

	err_is(moheap_set_new(sc.heap, &set), 0);
	for (i = 0; i < sc.items.n; i++)
		is(moheap_set_add(sc.heap, set, sc.items.refs[i]), 1);
	err_is(moheap_weakset_update_from(sc.heap, sc.s2, set), 0);
	is(moheap_weakset_equal(sc.heap, sc.s, sc.s2), 1);
	drop(sc.heap, set);
	is(moheap_weakset_equal(sc.heap, sc.s, sc.s2), 1);
}

static void test_clear(void)
{
	struct scene sc = scene("abc", "");

	moheap_weakset_clear(sc.heap, sc.s);
	is(moheap_weakset_equal(sc.heap, sc.s, sc.s2), 1);
	has(sc.heap, sc.s, "");
	is(moheap_getweakrefcount(sc.heap, sc.items.refs[0]), 0);
	is(moheap_weakset_add(sc.heap, sc.s, sc.items.refs[0]), 1);
	has(sc.heap, sc.s, "a");
}

static void test_copy(void)
{
	struct scene sc = scene("abc", "");
	struct moheap_weakset *dup;

	err_is(moheap_weakset_copy(sc.heap, sc.s, &dup), 0);
	is(moheap_weakset_equal(sc.heap, sc.s, dup), 1);
	is(moheap_weakset_remove(sc.heap, dup, sc.items.refs[0]), 0);
	has(sc.heap, sc.s, "abc");
	has(sc.heap, dup, "bc");
}

static void test_add(void)
{
	struct scene sc = scene("abc", "F");
	moheap_ref_t x = letter(sc.heap, 'Q'), same = letter(sc.heap, 'Q');

	is(moheap_weakset_add(sc.heap, sc.s, x), 1);
	is(moheap_weakset_contains(sc.heap, sc.s, x), 1);
	is(moheap_weakset_add(sc.heap, sc.s, x), 0);
	/* An equal one is there, and stays. */
	is(moheap_weakset_add(sc.heap, sc.s, same), 0);
	has(sc.heap, sc.s, "abcQ");
	drop(sc.heap, x);
	has(sc.heap, sc.s, "abc");
	is(moheap_weakset_add(sc.heap, sc.s, same), 1);
	has(sc.heap, sc.s, "abcQ");
	is(moheap_weakset_add(sc.heap, sc.s, 0), -EINVAL);
	/* What nobody holds is there for no time at all. */
	x = letter(sc.heap, 'R');
	is(moheap_weakset_add(sc.heap, sc.s2, x), 1);
	drop(sc.heap, x);
	has(sc.heap, sc.s2, "F");
	is(moheap_weakset_add(sc.heap, sc.s2, sc.items2.refs[0]), 0);
	has(sc.heap, sc.s2, "F");
	drop(sc.heap, same);
}

static void test_remove(void)
{
	struct scene sc = scene("abc", "");
	moheap_ref_t x = letter(sc.heap, 'a');

	err_is(moheap_weakset_remove(sc.heap, sc.s, x), 0);
	has(sc.heap, sc.s, "bc");
	err_is(moheap_weakset_remove(sc.heap, sc.s, x), -ENOENT);
	err_is(moheap_weakset_remove(sc.heap, sc.s, 0), -EINVAL);
}

static void test_discard(void)
{
	struct scene sc = scene("abc", "");
	moheap_ref_t a = letter(sc.heap, 'a'), q = letter(sc.heap, 'Q');

	is(moheap_weakset_discard(sc.heap, sc.s, a), 1);
	is(moheap_weakset_discard(sc.heap, sc.s, a), 0);
	is(moheap_weakset_discard(sc.heap, sc.s, q), 0);
	is(moheap_weakset_discard(sc.heap, sc.s, 0), -EINVAL);
	has(sc.heap, sc.s, "bc");
}

static void test_pop(void)
{
	struct scene sc = scene("abcd", "");
	moheap_ref_t key;
	int i;

	/* The last is dead: it is not popped. */
	letters_lose(&sc.items);
	for (i = 2; i >= 0; i--) {
		err_is(moheap_weakset_pop(sc.heap, sc.s, &key), 0);
		ok(key == sc.items.refs[i]);
		is(moheap_weakset_contains(sc.heap, sc.s, key), 0);
		drop(sc.heap, key);
	}
	err_is(moheap_weakset_pop(sc.heap, sc.s, &key), -ENOENT);
}

static void test_update(void)
{
	struct scene sc = scene("abc", "bxyz");

	err_is(moheap_weakset_update(sc.heap, sc.s, sc.s2), 0);
	has(sc.heap, sc.s, "abcxyz");
	has(sc.heap, sc.s2, "bxyz");
}

static void test_intersection_update(void)
{
	struct scene sc = scene("abcd", "xdb");

	err_is(moheap_weakset_intersection_update(sc.heap, sc.s, sc.s2), 0);
	has(sc.heap, sc.s, "bd");
	has(sc.heap, sc.s2, "xdb");
}

static void test_difference_update(void)
{
	struct scene sc = scene("abcd", "xdb");

	err_is(moheap_weakset_difference_update(sc.heap, sc.s, sc.s2), 0);
	has(sc.heap, sc.s, "ac");
	has(sc.heap, sc.s2, "xdb");
}

static void test_symmetric_difference_update(void)
{
	struct scene sc = scene("abcd", "xdb");

	err_is(moheap_weakset_symmetric_difference_update(sc.heap, sc.s, sc.s2), 0);
	has(sc.heap, sc.s, "acx");
	has(sc.heap, sc.s2, "xdb");
}

static void test_inplace_on_self(void)
{
	struct scene sc = scene("abc", "");
	struct moheap_weakset *t;

	err_is(moheap_weakset_copy(sc.heap, sc.s, &t), 0);
	err_is(moheap_weakset_update(sc.heap, t, t), 0);
	has(sc.heap, t, "abc");
	err_is(moheap_weakset_intersection_update(sc.heap, t, t), 0);
	has(sc.heap, t, "abc");
	err_is(moheap_weakset_difference_update(sc.heap, t, t), 0);
	has(sc.heap, t, "");
	err_is(moheap_weakset_update(sc.heap, t, sc.s), 0);
	err_is(moheap_weakset_symmetric_difference_update(sc.heap, t, t), 0);
	has(sc.heap, t, "");
}

static void test_eq(void)
{
	struct scene sc = scene("abc", "cba");

	is(moheap_weakset_equal(sc.heap, sc.s, sc.s), 1);
	is(moheap_weakset_equal(sc.heap, sc.s, sc.s2), 1);
	is(moheap_weakset_equal(sc.heap, sc.s, set_new(sc.heap)), 0);
	is(moheap_weakset_equal(sc.heap, set_new(sc.heap), sc.s), 0);
	is(moheap_weakset_equal(sc.heap, set_new(sc.heap), set_new(sc.heap)), 1);
	letters_lose(&sc.items2);
	is(moheap_weakset_equal(sc.heap, sc.s, sc.s2), 0);
	is(moheap_weakset_equal(sc.heap, sc.s2, sc.s), 0);
}

/* How many keys are left for a walk that is on. */
static unsigned int walk(struct moheap *heap, struct moheap_weakset *set,
			 struct moheap_weak_cursor *cursor)
{
	unsigned int n = 0;
	moheap_ref_t key;

	for (; moheap_weakset_next(heap, set, cursor, &key) == 1; n++)
		drop(heap, key);
	return n;
}

/* A walk is on; then a key goes. Gives one that is equal to it. */
static moheap_ref_t walk_and_lose(struct scene *sc, struct moheap_weak_cursor *cursor)
{
	moheap_ref_t key;

	*cursor = (struct moheap_weak_cursor){ 0 };
	is(moheap_weakset_next(sc->heap, sc->s, cursor, &key), 1);
	drop(sc->heap, key);
	letters_lose(&sc->items);
	return letter(sc->heap, LETTERS[sc->items.n]);
}

static void test_weak_destroy_while_iterating(void)
{
	struct scene sc = scene("abc", "");
	struct moheap_weak_cursor cursor;

	drop(sc.heap, walk_and_lose(&sc, &cursor));
	is(walk(sc.heap, sc.s, &cursor), 1);
	has(sc.heap, sc.s, "ab");
}

static void test_weak_destroy_and_mutate_while_iterating(void)
{
	struct scene sc = scene(LETTERS, "");
	struct moheap_weak_cursor cursor;
	struct moheap_weakset *t;
	moheap_ref_t u;

	u = walk_and_lose(&sc, &cursor);
	is(moheap_weakset_contains(sc.heap, sc.s, u), 0);
	drop(sc.heap, u);
	u = walk_and_lose(&sc, &cursor);
	err_is(moheap_weakset_remove(sc.heap, sc.s, u), -ENOENT);
	is(moheap_weakset_contains(sc.heap, sc.s, u), 0);
	drop(sc.heap, u);
	u = walk_and_lose(&sc, &cursor);
	is(moheap_weakset_add(sc.heap, sc.s, u), 1);
	is(moheap_weakset_contains(sc.heap, sc.s, u), 1);
	is(walk(sc.heap, sc.s, &cursor), MOST - 3 - 1);
	err_is(moheap_weakset_copy(sc.heap, sc.s, &t), 0);
	drop(sc.heap, walk_and_lose(&sc, &cursor));
	err_is(moheap_weakset_update(sc.heap, sc.s, t), 0);
	is(moheap_weakset_len(sc.heap, sc.s), moheap_weakset_len(sc.heap, t));
	drop(sc.heap, walk_and_lose(&sc, &cursor));
	moheap_weakset_clear(sc.heap, sc.s);
	is(walk(sc.heap, sc.s, &cursor), 0);
	has(sc.heap, sc.s, "");
	drop(sc.heap, u);
	is(moheap_weakset_len(sc.heap, t), MOST - 5);
}

static moheap_ref_t ref_cycle(struct moheap *heap)
{
	moheap_ref_t ref = tap_new(heap, tap_type(heap, "RefCycle", 8, 1));

	err_is(moheap_store(heap, ref, 0, ref), 0);
	return ref;
}

static void test_len_cycles(void)
{
	struct moheap *heap = tap_heap();
	struct moheap_weakset *s = set_new(heap);
	struct moheap_weak_cursor cursor = { 0 };
	moheap_ref_t ref;
	unsigned int i;

	err_is(moheap_disable(heap), 0);
	for (i = 0; i < 20; i++) {
		ref = ref_cycle(heap);
		is(moheap_weakset_add(heap, s, ref), 1);
		drop(heap, ref);
	}
	/* They are garbage, and there until it is collected. */
	is(moheap_weakset_len(heap, s), 20);
	is(moheap_weakset_next(heap, s, &cursor, &ref), 1);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(moheap_weakset_len(heap, s), 1);
	drop(heap, ref);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(moheap_weakset_len(heap, s), 0);
	is(walk(heap, s, &cursor), 0);
}

static void test_len_race(void)
{
	struct moheap *heap = tap_heap();
	struct moheap_weakset *s;
	struct moheap_weak_cursor cursor;
	unsigned int i, th, n = tap_scaled(50);
	long long first, second;
	moheap_ref_t ref;

	for (th = 1; th <= n; th++) {
		err_is(moheap_set_threshold(heap, th, th), 0);
		s = set_new(heap);
		for (i = 0; i < 20; i++) {
			ref = ref_cycle(heap);
			is(moheap_weakset_add(heap, s, ref), 1);
			drop(heap, ref);
		}
		cursor = (struct moheap_weak_cursor){ 0 };
		if (moheap_weakset_next(heap, s, &cursor, &ref) == 1)
			drop(heap, ref);
		first = moheap_weakset_len(heap, s);
		second = moheap_weakset_len(heap, s);
		ok(first >= 0 && first <= 20 && second >= 0 && second <= first);
		moheap_weakset_free(heap, s);
	}
	/* Sets that are gone are told of nothing. */
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(moheap_dispatch(heap), 0);
	moheap_weakset_free(heap, NULL);
}

#define PYTHON(test)	{ #test, test }

static const struct tap_case cases[] = {
	PYTHON(test_len),
	PYTHON(test_contains),
	PYTHON(test_union),
	PYTHON(test_intersection),
	PYTHON(test_isdisjoint),
	PYTHON(test_difference),
	PYTHON(test_symmetric_difference),
	PYTHON(test_sub_and_super),
	PYTHON(test_gc),
	PYTHON(test_init),
	PYTHON(test_clear),
	PYTHON(test_copy),
	PYTHON(test_add),
	PYTHON(test_remove),
	PYTHON(test_discard),
	PYTHON(test_pop),
	PYTHON(test_update),
	PYTHON(test_intersection_update),
	PYTHON(test_difference_update),
	PYTHON(test_symmetric_difference_update),
	PYTHON(test_inplace_on_self),
	PYTHON(test_eq),
	PYTHON(test_weak_destroy_while_iterating),
	PYTHON(test_weak_destroy_and_mutate_while_iterating),
	PYTHON(test_len_cycles),
	PYTHON(test_len_race),
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
