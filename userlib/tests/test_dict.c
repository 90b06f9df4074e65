// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Dicts: against an array of pairs that has the same done to it.
 */
#include <pthread.h>

#include "raw.h"
#include "values.h"

#define KEYS	200

static moheap_ref_t dict_new(struct moheap *heap)
{
	moheap_ref_t dict;

	err_is(moheap_dict_new(heap, &dict), 0);
	return dict;
}

/* ---- The model: pairs in the order in which their keys came ---- */

struct pair {
	struct value key;
	moheap_ref_t value;
};

struct model {
	struct pair pairs[KEYS];
	unsigned int n;
};

static int model_find(const struct model *model, const struct value *key)
{
	unsigned int i;

	for (i = 0; i < model->n; i++)
		if (model->pairs[i].key.same == key->same)
			return i;
	return -1;
}

static void model_set(struct model *model, const struct value *key, moheap_ref_t value)
{
	int at = model_find(model, key);

	if (at < 0) {
		at = model->n++;
		model->pairs[at].key = *key;
	}
	model->pairs[at].value = value;
}

static void model_delete(struct model *model, int at)
{
	model->n--;
	memmove(model->pairs + at, model->pairs + at + 1,
		(model->n - at) * sizeof(*model->pairs));
}

static void dict_is(struct moheap *heap, moheap_ref_t dict, const struct model *model)
{
	struct moheap_cursor cursor = { 0 };
	moheap_ref_t key, value;
	unsigned int i;

	is(moheap_dict_len(heap, dict), model->n);
	for (i = 0; i < model->n; i++) {
		is(moheap_dict_next(heap, dict, &cursor, &key, &value), 1);
		ok(key == model->pairs[i].key.ref);
		ok(value == model->pairs[i].value);
	}
	is(moheap_dict_next(heap, dict, &cursor, &key, &value), 0);
}

/* ---- What is done to both ---- */

struct scene {
	struct moheap *heap;
	moheap_ref_t dict, second;
	struct model model, model2;
	struct value keys[KEYS];
};

static void scene_set(struct scene *s, struct moheap *heap)
{
	memset(s, 0, sizeof(*s));
	s->heap = heap;
	s->dict = dict_new(heap);
	s->second = dict_new(heap);
	values_make(heap, s->keys, KEYS);
}

static void scene_strike(struct scene *s)
{
	moheap_decref(s->heap, s->dict);
	moheap_decref(s->heap, s->second);
	values_drop(s->heap, s->keys, KEYS);
	tap_wait_objects(s->heap, 0);
}

static const struct value *any_key(const struct scene *s)
{
	return &s->keys[rand() % KEYS];
}

static void do_set(struct scene *s)
{
	const struct value *key = any_key(s);
	moheap_ref_t value = rand() % 10 ? any_key(s)->ref : 0;

	err_is(moheap_dict_set(s->heap, s->dict, key->ref, value), 0);
	model_set(&s->model, key, value);
}

static void do_get(struct scene *s)
{
	const struct value *key = any_key(s);
	int at = model_find(&s->model, key);
	moheap_ref_t value;

	is(moheap_dict_contains(s->heap, s->dict, key->ref), at >= 0);
	err_is(moheap_dict_get(s->heap, s->dict, key->ref, &value), at < 0 ? -ENOENT : 0);
	if (at < 0)
		return;
	ok(value == s->model.pairs[at].value);
	moheap_decref(s->heap, value);
}

static void do_setdefault(struct scene *s)
{
	const struct value *key = any_key(s);
	int at = model_find(&s->model, key);
	moheap_ref_t value = any_key(s)->ref, got;

	err_is(moheap_dict_setdefault(s->heap, s->dict, key->ref, value, &got), 0);
	ok(got == (at < 0 ? value : s->model.pairs[at].value));
	moheap_decref(s->heap, got);
	if (at < 0)
		model_set(&s->model, key, value);
}

static void do_pop(struct scene *s)
{
	const struct value *key = any_key(s);
	int at = model_find(&s->model, key);
	bool wanted = rand() % 2;
	moheap_ref_t value;

	err_is(moheap_dict_pop(s->heap, s->dict, key->ref, wanted ? &value : NULL),
	       at < 0 ? -ENOENT : 0);
	if (at < 0)
		return;
	if (wanted) {
		ok(value == s->model.pairs[at].value);
		moheap_decref(s->heap, value);
	}
	model_delete(&s->model, at);
}

static void do_popitem(struct scene *s)
{
	const struct pair *last = &s->model.pairs[s->model.n - 1];
	moheap_ref_t key, value;

	err_is(moheap_dict_popitem(s->heap, s->dict, &key, &value), s->model.n ? 0 : -ENOENT);
	if (!s->model.n)
		return;
	ok(key == last->key.ref && value == last->value);
	moheap_decref(s->heap, key);
	moheap_decref(s->heap, value);
	model_delete(&s->model, s->model.n - 1);
}

static void do_exchange(struct scene *s)
{
	static struct model model;
	moheap_ref_t dict = s->dict;

	model = s->model;
	s->dict = s->second;
	s->model = s->model2;
	s->second = dict;
	s->model2 = model;
}

static void do_update(struct scene *s)
{
	unsigned int i;

	err_is(moheap_dict_update(s->heap, s->dict, s->second), 0);
	for (i = 0; i < s->model2.n; i++)
		model_set(&s->model, &s->model2.pairs[i].key, s->model2.pairs[i].value);
}

static void do_copy(struct scene *s)
{
	moheap_decref(s->heap, s->second);
	err_is(moheap_dict_copy(s->heap, s->dict, &s->second), 0);
	s->model2 = s->model;
	is(moheap_dict_equal(s->heap, s->dict, s->second), 1);
}

static void do_clear(struct scene *s)
{
	err_is(moheap_dict_clear(s->heap, s->dict), 0);
	s->model.n = 0;
}

static bool models_equal(const struct scene *s)
{
	const struct model *a = &s->model, *b = &s->model2;
	unsigned int i;
	int at;

	for (i = 0; i < a->n && a->n == b->n; i++) {
		at = model_find(b, &a->pairs[i].key);
		if (at < 0 || moheap_equal(s->heap, a->pairs[i].value, b->pairs[at].value) != 1)
			return false;
	}
	return a->n == b->n;
}

static void do_compare(struct scene *s)
{
	is(moheap_dict_equal(s->heap, s->dict, s->second), models_equal(s));
	is(moheap_dict_equal(s->heap, s->second, s->dict), models_equal(s));
}

static const struct {
	void (*run)(struct scene *s);
	unsigned int often;
} doings[] = {
	{ do_set, 30 }, { do_get, 20 }, { do_setdefault, 10 }, { do_pop, 25 },
	{ do_popitem, 8 }, { do_exchange, 2 }, { do_update, 1 }, { do_copy, 1 },
	{ do_clear, 1 }, { do_compare, 2 },
};

static void as_an_array_of_pairs_does(void)
{
	struct moheap *heap = tap_heap();
	unsigned long steps = tap_scaled(20000);
	static struct scene s;
	unsigned int i, choice;

	values_seed();
	scene_set(&s, heap);
	while (steps--) {
		choice = rand() % 100;
		for (i = 0; choice >= doings[i].often; i++)
			choice -= doings[i].often;
		doings[i].run(&s);
		if (steps % 64 == 0)
			dict_is(heap, s.dict, &s.model);
	}
	dict_is(heap, s.dict, &s.model);
	dict_is(heap, s.second, &s.model2);
	scene_strike(&s);
}

/* ---- Single things ---- */

static void an_empty_dict(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t dict = dict_new(heap), key = value_int(heap, 1), got;
	struct moheap_cursor cursor = { 0 };

	is(moheap_dict_len(heap, dict), 0);
	is(moheap_dict_contains(heap, dict, key), 0);
	err_is(moheap_dict_get(heap, dict, key, &got), -ENOENT);
	err_is(moheap_dict_pop(heap, dict, key, &got), -ENOENT);
	err_is(moheap_dict_popitem(heap, dict, &key, &got), -ENOENT);
	is(moheap_dict_next(heap, dict, &cursor, &key, &got), 0);
	err_is(moheap_dict_clear(heap, dict), 0);
	err_is(moheap_dict_update(heap, dict, dict), 0);
	is(moheap_dict_equal(heap, dict, dict_new(heap)), 1);
	ok(moheap_dict_getsizeof(heap, dict) == moheap_getsizeof(heap, dict));
}

static void bad_keys(void)
{
	struct moheap *heap = tap_heap();
	int fd = raw_join(moheap_fd(heap), O_RDWR);
	moheap_ref_t dict = dict_new(heap), gone, got;

	err_is(raw_alloc(fd, tap_type(heap, "other", 100, 0), 1, &gone), 0);
	err_is(raw_drop(fd, gone), 0);
	close(fd);
	err_is(moheap_dict_set(heap, dict, 0, dict), -EINVAL);
	err_is(moheap_dict_get(heap, dict, 0, &got), -EINVAL);
	err_is(moheap_dict_contains(heap, dict, 0), -EINVAL);
	err_is(moheap_dict_pop(heap, dict, 0, NULL), -EINVAL);
	err_is(moheap_dict_setdefault(heap, dict, 0, dict, &got), -EINVAL);
	err_is(moheap_dict_set(heap, dict, gone, dict), -ESTALE);
	err_is(moheap_dict_get(heap, dict, gone, &got), -ESTALE);
	is(moheap_dict_len(heap, dict), 0);
	moheap_decref(heap, dict);
	is(tap_objects(heap), 0);
}

/* Keys that were taken out leave no trace: as many as ever, and no larger for it. */
static void first_in_first_out(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t dict = dict_new(heap), key;
	unsigned long n = tap_scaled(20000), i;
	struct moheap_cursor cursor;
	long long size = 0;

	for (i = 0; i < n; i++) {
		key = value_int(heap, i);
		err_is(moheap_dict_set(heap, dict, key, key), 0);
		moheap_decref(heap, key);
		if (i == 100)
			size = moheap_dict_getsizeof(heap, dict);
		if (i < 100)
			continue;
		cursor = (struct moheap_cursor){ 0 };
		is(moheap_dict_next(heap, dict, &cursor, &key, NULL), 1);
		err_is(moheap_dict_pop(heap, dict, key, NULL), 0);
	}
	is(moheap_dict_len(heap, dict), 100);
	if (n > 200)
		ok(moheap_dict_getsizeof(heap, dict) <= 2 * size);
	moheap_decref(heap, dict);
	tap_wait_objects(heap, 0);
}

static void many_keys(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t dict = dict_new(heap), key, got;
	size_t n = tap_scaled(50000), i;

	for (i = 0; i < n; i++) {
		key = value_int(heap, i);
		err_is(moheap_dict_set(heap, dict, key, key), 0);
		moheap_decref(heap, key);
	}
	is(tap_objects(heap), n + 2);
	tap_note("%zu keys take %lld bytes", n, moheap_dict_getsizeof(heap, dict));
	for (i = 0; i < n; i += 7) {
		key = value_int(heap, i);
		err_is(moheap_dict_get(heap, dict, key, &got), 0);
		ok(got != key && moheap_equal(heap, got, key) == 1);
		moheap_decref(heap, got);
		moheap_decref(heap, key);
	}
	while (n--) {
		err_is(moheap_dict_popitem(heap, dict, &key, &got), 0);
		ok(key == got);
		moheap_decref(heap, key);
		moheap_decref(heap, got);
	}
	is(moheap_dict_len(heap, dict), 0);
	is(tap_objects(heap), 2);
	moheap_decref(heap, dict);
	is(tap_objects(heap), 0);
}

static void changed_while_walked(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t dict = dict_new(heap), keys[20], key, value;
	struct moheap_cursor cursor = { 0 };
	int i;

	for (i = 0; i < 20; i++)
		keys[i] = value_int(heap, i);
	for (i = 0; i < 10; i++)
		err_is(moheap_dict_set(heap, dict, keys[i], keys[i]), 0);
	for (i = 0; i < 10; i++) {
		is(moheap_dict_next(heap, dict, &cursor, &key, &value), 1);
		err_is(moheap_dict_set(heap, dict, keys[i], 0), 0);
	}
	is(moheap_dict_next(heap, dict, &cursor, &key, &value), 0);
	cursor = (struct moheap_cursor){ 0 };
	is(moheap_dict_next(heap, dict, &cursor, &key, &value), 1);
	err_is(moheap_dict_pop(heap, dict, keys[5], NULL), 0);
	err_is(moheap_dict_next(heap, dict, &cursor, &key, &value), -EAGAIN);
	cursor = (struct moheap_cursor){ 0 };
	is(moheap_dict_next(heap, dict, &cursor, &key, &value), 1);
	for (i = 10; i < 20; i++)
		err_is(moheap_dict_set(heap, dict, keys[i], 0), 0);
	err_is(moheap_dict_next(heap, dict, &cursor, &key, &value), -EAGAIN);
}

static void a_dict_that_has_itself(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t dict = dict_new(heap), other = dict_new(heap);

	err_is(moheap_dict_set(heap, dict, dict, other), 0);
	err_is(moheap_dict_set(heap, other, other, dict), 0);
	moheap_decref(heap, dict);
	moheap_decref(heap, other);
	tap_wait_objects(heap, 0);
}

static void sizes_agree(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t dict = dict_new(heap), table, key;
	int i;

	for (i = 0; i < 1000; i++) {
		key = value_int(heap, i);
		err_is(moheap_dict_set(heap, dict, key, 0), 0);
		moheap_decref(heap, key);
		err_is(moheap_peek(heap, dict, 0, &table), 0);
		is(moheap_dict_getsizeof(heap, dict),
		   moheap_getsizeof(heap, dict) + moheap_getsizeof(heap, table));
	}
}

/* ---- Too little memory ---- */

/* As many as a table has room for. */
#define FULL	85

static void fill(struct scene *s)
{
	unsigned int i;

	for (i = 0; s->model.n < FULL; i++) {
		err_is(moheap_dict_set(s->heap, s->dict, s->keys[i].ref, s->keys[i].ref), 0);
		model_set(&s->model, &s->keys[i], s->keys[i].ref);
	}
}

static int grow(struct moheap *heap, void *arg)
{
	const struct value *key = &((struct scene *)arg)->keys[KEYS - 1];
	struct scene *s = arg;
	int err;

	err = moheap_dict_set(heap, s->dict, key->ref, 0);
	if (!err)
		model_set(&s->model, key, 0);
	return err;
}

#define COPIES	16

/* Copies, made in one way or the other: all or none. */
static int copy(struct moheap *heap, void *arg)
{
	moheap_ref_t copies[COPIES];
	struct scene *s = arg;
	int i, err = 0;

	for (i = 0; i < COPIES && !err; i++) {
		if (i % 2) {
			err = moheap_dict_copy(heap, s->dict, &copies[i]);
			i -= !!err;
			continue;
		}
		err = moheap_dict_new(heap, &copies[i]);
		if (err)
			break;
		err = moheap_dict_update(heap, copies[i], s->dict);
		is(moheap_dict_len(heap, copies[i]), err ? 0 : s->model.n);
	}
	while (i--)
		moheap_decref(heap, copies[i]);
	return err;
}

static void still_the_same(struct moheap *heap, void *arg, int err)
{
	struct scene *s = arg;

	(void)err;
	dict_is(heap, s->dict, &s->model);
	err_is(moheap_check(heap), 0);
}

static void too_little_memory(void)
{
	struct moheap *heap = tap_heap_limited(MOHEAP_LIMIT_MIN);
	static struct scene s;

	scene_set(&s, heap);
	fill(&s);
	values_with_little_memory(heap, grow, still_the_same, &s);
	values_with_little_memory(heap, copy, still_the_same, &s);
	scene_strike(&s);
}

/* ---- Others ---- */

static void readers_read(void)
{
	struct moheap *heap = tap_heap(), *reader;
	moheap_ref_t key, value, got;
	struct moheap_cursor cursor = { 0 };
	static struct scene s;
	int i, more;

	scene_set(&s, heap);
	for (i = 0; i < 200; i++)
		do_set(&s);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	dict_is(reader, s.dict, &s.model);
	while ((more = moheap_dict_next(reader, s.dict, &cursor, &key, &value)) == 1) {
		err_is(moheap_dict_get(reader, s.dict, key, &got), 0);
		ok(got == value);
		moheap_decref(reader, got);
	}
	is(more, 0);
	cursor = (struct moheap_cursor){ 0 };
	is(moheap_dict_next(reader, s.dict, &cursor, &key, &value), 1);
	err_is(moheap_dict_set(reader, s.dict, key, key), -EACCES);
	err_is(moheap_dict_set(reader, s.dict, s.second, key), -EACCES);
	err_is(moheap_dict_pop(reader, s.dict, key, NULL), -EACCES);
	err_is(moheap_dict_popitem(reader, s.dict, &key, &value), -EACCES);
	err_is(moheap_dict_clear(reader, s.dict), -EACCES);
	err_is(moheap_dict_update(reader, s.dict, s.dict), -EACCES);
	err_is(moheap_dict_update(reader, s.second, s.dict), -EACCES);
	err_is(moheap_dict_copy(reader, s.dict, &got), -EACCES);
	err_is(moheap_dict_setdefault(reader, s.dict, s.second, key, &got), -EACCES);
	err_is(moheap_close(reader), 0);
	dict_is(heap, s.dict, &s.model);
	scene_strike(&s);
}

#define WORKERS	3

struct shared {
	struct moheap *heap;
	moheap_ref_t dict;
	pthread_mutex_t *lock;
	int worker;
	int rounds;
};

/* Each has keys of its own, and puts them in and takes every other out again. */
static void worker(void *arg)
{
	struct shared *shared = arg;
	struct moheap *heap = shared->heap;
	moheap_ref_t key;
	int i;

	for (i = 0; i < shared->rounds; i++) {
		key = value_int(heap, shared->worker + i * WORKERS);
		pthread_mutex_lock(shared->lock);
		err_is(moheap_dict_set(heap, shared->dict, key, key), 0);
		if (i % 2)
			err_is(moheap_dict_pop(heap, shared->dict, key, NULL), 0);
		moheap_decref(heap, key);
		err_is(moheap_flush(heap), 0);
		pthread_mutex_unlock(shared->lock);
	}
}

static void processes_take_turns(void)
{
	struct moheap *heap = tap_heap();
	struct shared shared = { .heap = heap, .rounds = tap_scaled(600) };
	pthread_mutexattr_t attributes;
	moheap_ref_t lock, key, got;
	pid_t children[WORKERS];
	long long number;
	int i;

	lock = tap_new(heap, tap_type(heap, "lock", sizeof(pthread_mutex_t), 0));
	shared.lock = moheap_ptr(heap, lock);
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(shared.lock, &attributes);
	shared.dict = dict_new(heap);
	for (i = 0; i < WORKERS; i++) {
		shared.worker = i;
		children[i] = tap_fork(worker, &shared);
	}
	for (i = 0; i < WORKERS; i++)
		tap_wait(children[i]);
	is(moheap_dict_len(heap, shared.dict), (shared.rounds + 1) / 2 * WORKERS);
	for (i = 0; i < shared.rounds * WORKERS; i++) {
		key = value_int(heap, i);
		err_is(moheap_dict_get(heap, shared.dict, key, &got),
		       i / WORKERS % 2 ? -ENOENT : 0);
		if (i / WORKERS % 2 == 0) {
			err_is(moheap_int_value(heap, got, &number), 0);
			is(number, i);
			moheap_decref(heap, got);
		}
		moheap_decref(heap, key);
	}
	moheap_decref(heap, shared.dict);
	moheap_decref(heap, lock);
	tap_wait_objects(heap, 0);
}

static const struct tap_case cases[] = {
	{ "an empty dict", an_empty_dict },
	{ "bad keys", bad_keys },
	{ "a dict does as an array of pairs does", as_an_array_of_pairs_does, 120 },
	{ "first in, first out", first_in_first_out },
	{ "many keys", many_keys },
	{ "changed while walked over", changed_while_walked },
	{ "a dict that has itself is collected", a_dict_that_has_itself },
	{ "sizes agree", sizes_agree },
	{ "too little memory", too_little_memory, 120 },
	{ "readers read, and no more", readers_read },
	{ "processes take turns", processes_take_turns },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
