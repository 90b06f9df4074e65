// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Sets: against an array that says of each value whether it is in.
 */
#include "raw.h"
#include "values.h"

#define KEYS	120

struct scene {
	struct moheap *heap;
	struct value keys[KEYS];
	moheap_ref_t set[2];
	bool in[2][KEYS];
};

static moheap_ref_t set_new(struct moheap *heap)
{
	moheap_ref_t set;

	err_is(moheap_set_new(heap, &set), 0);
	return set;
}

/* The first of the values that are equal to one: the one that stands for all. */
static unsigned int first_of(const struct scene *s, unsigned int key)
{
	unsigned int i = 0;

	while (s->keys[i].same != s->keys[key].same)
		i++;
	return i;
}

static unsigned int count(const bool *in)
{
	unsigned int i, n = 0;

	for (i = 0; i < KEYS; i++)
		n += in[i];
	return n;
}

/* Which of the keys an object is equal to. */
static unsigned int find(const struct scene *s, moheap_ref_t ref)
{
	unsigned int i = 0;

	while (i < KEYS && moheap_equal(s->heap, s->keys[i].ref, ref) != 1)
		i++;
	ok(i < KEYS);
	return i;
}

static void set_is(const struct scene *s, moheap_ref_t set, const bool *want)
{
	struct moheap_cursor cursor = { 0 };
	bool got[KEYS] = { false };
	unsigned int i;
	moheap_ref_t key;

	is(moheap_set_len(s->heap, set), count(want));
	while (moheap_set_next(s->heap, set, &cursor, &key) == 1) {
		i = find(s, key);
		ok(!got[i]);
		got[i] = true;
	}
	for (i = 0; i < KEYS; i++) {
		is(got[i], want[i]);
		is(moheap_set_contains(s->heap, set, s->keys[i].ref), want[first_of(s, i)]);
	}
}

static void scene_set(struct scene *s, struct moheap *heap)
{
	memset(s, 0, sizeof(*s));
	s->heap = heap;
	s->set[0] = set_new(heap);
	s->set[1] = set_new(heap);
	values_make(heap, s->keys, KEYS);
}

static void scene_strike(struct scene *s)
{
	moheap_decref(s->heap, s->set[0]);
	moheap_decref(s->heap, s->set[1]);
	values_drop(s->heap, s->keys, KEYS);
	tap_wait_objects(s->heap, 0);
}

static void do_add(struct scene *s, int which)
{
	unsigned int key = rand() % KEYS, first = first_of(s, key);

	is(moheap_set_add(s->heap, s->set[which], s->keys[key].ref), !s->in[which][first]);
	s->in[which][first] = true;
}

static void do_remove(struct scene *s, int which)
{
	unsigned int key = rand() % KEYS, first = first_of(s, key);

	err_is(moheap_set_remove(s->heap, s->set[which], s->keys[key].ref),
	       s->in[which][first] ? 0 : -ENOENT);
	s->in[which][first] = false;
}

static void do_pop(struct scene *s, int which)
{
	bool any = count(s->in[which]);
	moheap_ref_t key;

	err_is(moheap_set_pop(s->heap, s->set[which], &key), any ? 0 : -ENOENT);
	if (!any)
		return;
	s->in[which][find(s, key)] = false;
	moheap_decref(s->heap, key);
}

static void do_clear(struct scene *s, int which)
{
	err_is(moheap_set_clear(s->heap, s->set[which]), 0);
	memset(s->in[which], 0, sizeof(s->in[which]));
}

static void do_update(struct scene *s, int which)
{
	unsigned int i;

	err_is(moheap_set_update(s->heap, s->set[which], s->set[!which]), 0);
	for (i = 0; i < KEYS; i++)
		s->in[which][i] |= s->in[!which][i];
}

static void do_copy(struct scene *s, int which)
{
	moheap_decref(s->heap, s->set[which]);
	err_is(moheap_set_copy(s->heap, s->set[!which], &s->set[which]), 0);
	memcpy(s->in[which], s->in[!which], sizeof(s->in[which]));
}

/* What is of the two sets together. */
static void do_both(struct scene *s, int which)
{
	moheap_ref_t a = s->set[which], b = s->set[!which], made;
	bool want[KEYS], subset = true, equal;
	unsigned int i;

	equal = !memcmp(s->in[0], s->in[1], sizeof(s->in[0]));
	for (i = 0; i < KEYS; i++) {
		want[i] = s->in[which][i] && s->in[!which][i];
		subset &= s->in[!which][i] || !s->in[which][i];
	}
	is(moheap_set_issubset(s->heap, a, b), subset);
	is(moheap_set_equal(s->heap, a, b), equal);
	err_is(moheap_set_intersection(s->heap, a, b, &made), 0);
	set_is(s, made, want);
	moheap_decref(s->heap, made);
	for (i = 0; i < KEYS; i++)
		want[i] = s->in[which][i] && !s->in[!which][i];
	err_is(moheap_set_difference(s->heap, a, b, &made), 0);
	set_is(s, made, want);
	moheap_decref(s->heap, made);
}

static const struct {
	void (*run)(struct scene *s, int which);
	unsigned int often;
} doings[] = {
	{ do_add, 50 }, { do_remove, 40 }, { do_pop, 5 }, { do_clear, 1 }, { do_update, 1 },
	{ do_copy, 1 }, { do_both, 2 },
};

static void as_an_array_does(void)
{
	unsigned long steps = tap_scaled(6000);
	struct moheap *heap = tap_heap();
	unsigned int i, choice;
	static struct scene s;

	values_seed();
	scene_set(&s, heap);
	while (steps--) {
		choice = rand() % 100;
		for (i = 0; choice >= doings[i].often; i++)
			choice -= doings[i].often;
		doings[i].run(&s, rand() % 2);
		if (steps % 100 == 0)
			set_is(&s, s.set[0], s.in[0]);
	}
	scene_strike(&s);
}

static void bad_keys(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t set = set_new(heap), key;

	err_is(moheap_set_add(heap, set, 0), -EINVAL);
	err_is(moheap_set_contains(heap, set, 0), -EINVAL);
	err_is(moheap_set_remove(heap, set, 0), -EINVAL);
	err_is(moheap_set_remove(heap, set, set), -ENOENT);
	err_is(moheap_set_pop(heap, set, &key), -ENOENT);
	err_is(moheap_set_update(heap, set, set), 0);
	err_is(moheap_set_clear(heap, set), 0);
	is(moheap_set_len(heap, set), 0);
}

static void changed_while_walked(void)
{
	struct moheap_cursor cursor = { 0 };
	struct moheap *heap = tap_heap();
	moheap_ref_t set = set_new(heap), key;

	is(moheap_set_add(heap, set, set), 1);
	is(moheap_set_add(heap, set, value_int(heap, 1)), 1);
	is(moheap_set_next(heap, set, &cursor, &key), 1);
	ok(key == set);
	err_is(moheap_set_remove(heap, set, set), 0);
	err_is(moheap_set_next(heap, set, &cursor, &key), -EAGAIN);
}

static void a_set_that_has_itself(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t set = set_new(heap);

	is(moheap_set_add(heap, set, set), 1);
	is(moheap_set_contains(heap, set, set), 1);
	moheap_decref(heap, set);
	tap_wait_objects(heap, 0);
}

static void readers_read(void)
{
	struct moheap *heap = tap_heap(), *reader;
	static struct scene s;
	moheap_ref_t got;
	int i;

	scene_set(&s, heap);
	for (i = 0; i < 100; i++)
		do_add(&s, 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	s.heap = reader;
	set_is(&s, s.set[0], s.in[0]);
	s.heap = heap;
	err_is(moheap_set_add(reader, s.set[0], s.set[0]), -EACCES);
	err_is(moheap_set_pop(reader, s.set[0], &got), -EACCES);
	err_is(moheap_set_clear(reader, s.set[0]), -EACCES);
	err_is(moheap_set_update(reader, s.set[1], s.set[0]), -EACCES);
	err_is(moheap_set_intersection(reader, s.set[0], s.set[0], &got), -EACCES);
	for (i = 0; !s.in[0][i]; i++)
		;
	err_is(moheap_set_remove(reader, s.set[0], s.keys[i].ref), -EACCES);
	err_is(moheap_close(reader), 0);
	set_is(&s, s.set[0], s.in[0]);
	scene_strike(&s);
}

static int sets(struct moheap *heap, void *arg)
{
	moheap_ref_t made[60];
	struct scene *s = arg;
	int i, err = 0;

	for (i = 0; i < (int)TAP_COUNT(made) && !err; i++) {
		if (i % 3 == 0)
			err = moheap_set_copy(heap, s->set[0], &made[i]);
		else if (i % 3 == 1)
			err = moheap_set_difference(heap, s->set[0], s->set[1], &made[i]);
		else
			err = moheap_set_intersection(heap, s->set[0], s->set[0], &made[i]);
		i -= !!err;
	}
	while (i--)
		moheap_decref(heap, made[i]);
	return err;
}

static void still_the_same(struct moheap *heap, void *arg, int err)
{
	struct scene *s = arg;

	(void)err;
	set_is(s, s->set[0], s->in[0]);
	err_is(moheap_check(heap), 0);
}

static void too_little_memory(void)
{
	struct moheap *heap = tap_heap_limited(MOHEAP_LIMIT_MIN);
	static struct scene s;
	int i;

	scene_set(&s, heap);
	for (i = 0; i < 200; i++)
		do_add(&s, 0);
	values_with_little_memory(heap, sets, still_the_same, &s);
	scene_strike(&s);
}

static void sizes_agree(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t set = set_new(heap), table, key;
	int i;

	ok(moheap_set_getsizeof(heap, set) == moheap_getsizeof(heap, set));
	for (i = 0; i < 300; i++) {
		key = value_int(heap, i);
		is(moheap_set_add(heap, set, key), 1);
		moheap_decref(heap, key);
		err_is(moheap_peek(heap, set, 0, &table), 0);
		is(moheap_set_getsizeof(heap, set),
		   moheap_getsizeof(heap, set) + moheap_getsizeof(heap, table));
	}
}

static const struct tap_case cases[] = {
	{ "a set does as an array does", as_an_array_does, 120 },
	{ "bad keys", bad_keys },
	{ "changed while walked over", changed_while_walked },
	{ "a set that has itself is collected", a_set_that_has_itself },
	{ "readers read, and no more", readers_read },
	{ "too little memory", too_little_memory, 120 },
	{ "sizes agree", sizes_agree },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
