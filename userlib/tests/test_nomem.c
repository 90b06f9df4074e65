// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Containers, weak references and tracing while the kernel runs out of memory: an allocation of a
 * call fails, the first or a later one, or some do, for the library tries again where it has given
 * something back. A call that fails then must have changed nothing, and must work when there is
 * memory again. Searches, and what tells of traces, have the kernel allocate nothing.
 *
 * The call is made by a client that is new to the heap: whatever it makes needs memory in the
 * kernel.
 *
 * Needs a kernel with failslab, and root.
 */
#include <fcntl.h>

#include "values.h"

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define ITEMS		21	/* as many as the tables and arrays here have room for */
#define MOST		6	/* allocations of a call to be gone by before one fails */
#define LEAST		3	/* ... whatever MOHEAP_SCALE says */
#define OFTEN		8	/* allocations that may fail then */

/* ---- Faults ---- */

static bool set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written;

	if (fd < 0)
		return false;
	written = write(fd, value, strlen(value)) > 0;
	close(fd);
	return written;
}

static void faults_need(void)
{
	if (!set(FAILSLAB "ignore-gfp-wait", "N"))
		tap_skip("no failslab");
	ok(set(FAILSLAB "verbose", "0"));
	ok(set(FAILSLAB "task-filter", "Y"));
	ok(set(FAILSLAB "probability", "100"));
}

/* Of this process, one allocation in @every fails, @times of them. */
static void fault_arm(unsigned int every, unsigned int times)
{
	char text[2][16];

	snprintf(text[0], sizeof(text[0]), "%u", every);
	snprintf(text[1], sizeof(text[1]), "%u", times);
	ok(set(FAILSLAB "interval", text[0]));
	ok(set(FAILSLAB "times", text[1]));
	ok(set("/proc/self/make-it-fail", "1"));
}

/* To open it may fail as well. */
static void fault_disarm(void)
{
	while (!set("/proc/self/make-it-fail", "0"))
		;
}

/* ---- What a call finds ---- */

struct scene {
	struct moheap *owner;
	struct moheap *heap;	/* the call's, a client of its own */
	int final;
	moheap_ref_t list, plain, dict, set, other_dict, other_set, fresh;
	moheap_ref_t made, made2;	/* by the call */
};

static void let_go(struct moheap *heap, moheap_ref_t ref, void *data)
{
}

/* Something waits to be finalized by the client of the call. */
static void scene_set_final(struct scene *s)
{
	struct moheap_layout layout = {
		.size = sizeof(layout), .name = "final", .flags = MOHEAP_TYPE_FINALIZE,
	};

	s->final = must(moheap_type_register(s->owner, &layout));
	err_is(moheap_set_finalizer(s->heap, s->final, let_go, NULL), 0);
	err_is(moheap_decref(s->owner, tap_new(s->owner, s->final)), 0);
	err_is(moheap_flush(s->owner), 0);
}

static void scene_set(struct scene *s, struct moheap *heap)
{
	moheap_ref_t key;
	int i;

	memset(s, 0, sizeof(*s));
	s->owner = heap;
	err_is(moheap_list_new(heap, ITEMS, &s->list), 0);
	err_is(moheap_list_new_plain(heap, ITEMS, &s->plain), 0);
	err_is(moheap_dict_new(heap, &s->dict), 0);
	err_is(moheap_dict_new(heap, &s->other_dict), 0);
	err_is(moheap_set_new(heap, &s->set), 0);
	err_is(moheap_set_new(heap, &s->other_set), 0);
	for (i = 0; i < ITEMS; i++) {
		key = value_int(heap, i);
		err_is(moheap_list_append(heap, s->list, key), 0);
		err_is(moheap_list_append(heap, s->plain, key), 0);
		err_is(moheap_dict_set(heap, s->dict, key, key), 0);
		is(moheap_set_add(heap, s->set, key), 1);
		moheap_decref(heap, key);
		key = value_int(heap, i + 10);
		err_is(moheap_dict_set(heap, s->other_dict, key, key), 0);
		is(moheap_set_add(heap, s->other_set, key), 1);
		moheap_decref(heap, key);
	}
	s->fresh = value_int(heap, 1000);
	err_is(moheap_trim(heap), 0);
	err_is(moheap_join(moheap_fd(heap), 0, &s->heap), 0);
	scene_set_final(s);
}

static void scene_strike(struct scene *s)
{
	moheap_ref_t refs[] = { s->list, s->plain, s->dict, s->set, s->other_dict, s->other_set,
				s->fresh };
	unsigned int i;

	err_is(moheap_decref(s->heap, s->made), 0);
	err_is(moheap_decref(s->heap, s->made2), 0);
	err_is(moheap_close(s->heap), 0);
	for (i = 0; i < TAP_COUNT(refs); i++)
		err_is(moheap_decref(s->owner, refs[i]), 0);
	tap_wait_objects(s->owner, 0);
}

/* All refs that are in the containers. */
struct contents {
	moheap_ref_t refs[8 * ITEMS];
	unsigned int n;
};

static void contents_add(struct contents *contents, moheap_ref_t ref)
{
	ok(contents->n < TAP_COUNT(contents->refs));
	contents->refs[contents->n++] = ref;
}

static void contents_of(const struct scene *s, struct contents *contents)
{
	moheap_ref_t sets[2] = { s->set, s->other_set }, dicts[2] = { s->dict, s->other_dict };
	struct moheap_cursor cursor;
	moheap_ref_t key, value;
	int i;

	memset(contents, 0, sizeof(*contents));
	is(moheap_list_len(s->heap, s->list), ITEMS);
	is(moheap_list_len(s->heap, s->plain), ITEMS);
	err_is(moheap_list_read(s->heap, s->list, 0, ITEMS, contents->refs), 0);
	err_is(moheap_list_read(s->heap, s->plain, 0, ITEMS, contents->refs + ITEMS), 0);
	contents->n = 2 * ITEMS;
	for (i = 0; i < 2; i++) {
		cursor = (struct moheap_cursor){ 0 };
		while (moheap_dict_next(s->heap, dicts[i], &cursor, &key, &value) == 1) {
			contents_add(contents, key);
			contents_add(contents, value);
		}
		cursor = (struct moheap_cursor){ 0 };
		while (moheap_set_next(s->heap, sets[i], &cursor, &key) == 1)
			contents_add(contents, key);
	}
}

/* ---- The calls ---- */

static int list_append(struct scene *s)
{
	return moheap_list_append(s->heap, s->list, s->fresh);
}

static int list_insert(struct scene *s)
{
	return moheap_list_insert(s->heap, s->plain, 3, s->fresh);
}

static int list_extend(struct scene *s)
{
	return moheap_list_extend(s->heap, s->list, s->plain);
}

static int list_concat(struct scene *s)
{
	return moheap_list_concat(s->heap, s->list, s->plain, &s->made);
}

static int list_slice(struct scene *s)
{
	return moheap_list_slice(s->heap, s->list, 3, 10, &s->made);
}

static int list_repeat(struct scene *s)
{
	return moheap_list_repeat(s->heap, s->list, 1000, &s->made);
}

static int list_pop(struct scene *s)
{
	return moheap_list_pop(s->heap, s->list, &s->made);
}

static int list_pop_plain(struct scene *s)
{
	return moheap_list_pop_at(s->heap, s->plain, 5, &s->made);
}

static int dict_set(struct scene *s)
{
	return moheap_dict_set(s->heap, s->dict, s->fresh, s->list);
}

static int dict_pop(struct scene *s)
{
	moheap_ref_t key = moheap_list_items(s->heap, s->list)[4];

	return moheap_dict_pop(s->heap, s->dict, key, &s->made);
}

static int dict_popitem(struct scene *s)
{
	return moheap_dict_popitem(s->heap, s->other_dict, &s->made, &s->made2);
}

static int dict_setdefault(struct scene *s)
{
	return moheap_dict_setdefault(s->heap, s->dict, s->fresh, s->list, &s->made);
}

static int dict_update(struct scene *s)
{
	return moheap_dict_update(s->heap, s->dict, s->other_dict);
}

static int dict_copy(struct scene *s)
{
	return moheap_dict_copy(s->heap, s->dict, &s->made);
}

static int set_add(struct scene *s)
{
	int err = moheap_set_add(s->heap, s->set, s->fresh);

	return err < 0 ? err : 0;
}

static int set_pop(struct scene *s)
{
	return moheap_set_pop(s->heap, s->other_set, &s->made);
}

static int set_update(struct scene *s)
{
	return moheap_set_update(s->heap, s->set, s->other_set);
}

static int set_intersection(struct scene *s)
{
	return moheap_set_intersection(s->heap, s->set, s->other_set, &s->made);
}

static int tuple_new(struct scene *s)
{
	return moheap_tuple_new(s->heap, moheap_list_items(s->heap, s->list), ITEMS, &s->made);
}

static int bytes_new(struct scene *s)
{
	return moheap_bytes_new(s->heap, "some bytes", 10, &s->made);
}

/* Weak ones are this process's: the client's end takes them along. */

static void not_called(struct moheap *heap, struct moheap_weakref *weakref, void *data)
{
	tap_fail(__FILE__, __LINE__, "%p %p %p", (void *)heap, (void *)weakref, data);
}

static int weakref_new(struct scene *s)
{
	struct moheap_weakref *weakref;

	return moheap_weakref_new(s->heap, s->list, not_called, NULL, &weakref);
}

static int weakvaluedict_set(struct scene *s)
{
	struct moheap_weakvaluedict *dict;

	err_is(moheap_weakvaluedict_new(s->heap, &dict), 0);
	return moheap_weakvaluedict_set(s->heap, dict, s->fresh, s->list);
}

static int weakkeydict_set(struct scene *s)
{
	struct moheap_weakkeydict *dict;

	err_is(moheap_weakkeydict_new(s->heap, &dict), 0);
	return moheap_weakkeydict_set(s->heap, dict, s->list, s->fresh);
}

static int weakset_add(struct scene *s)
{
	struct moheap_weakset *set;
	int ret;

	err_is(moheap_weakset_new(s->heap, &set), 0);
	ret = moheap_weakset_add(s->heap, set, s->list);
	return ret < 0 ? ret : 0;
}

static int finalize_new(struct scene *s)
{
	struct moheap_finalize *finalize;
	int err = moheap_finalize_new(s->heap, s->list, NULL, NULL, &finalize);

	if (!err)
		moheap_finalize_set_atexit(s->heap, finalize, false);
	return err;
}

/* Of a client that has none. */
static int set_finalizer(struct scene *s)
{
	struct moheap *other;
	int err;

	err = moheap_join(moheap_fd(s->owner), 0, &other);
	if (err)
		return err;
	err = moheap_set_finalizer(other, s->final, let_go, NULL);
	err_is(moheap_close(other), 0);
	return err;
}

static int dispatch_final(struct scene *s)
{
	int err = moheap_dispatch(s->heap);

	return err < 0 ? err : 0;
}

static int new_final(struct scene *s)
{
	return moheap_new(s->heap, s->final, &s->made);
}

static void trace(struct scene *s)
{
	err_is(moheap_tracemalloc_start(s->heap, 4), 0);
}

/* It is made whatever becomes of its trace. Of that the next flush tells. */
static int new_traced(struct scene *s)
{
	struct moheap_traceback *traceback = NULL;
	moheap_ref_t ref;
	int err;

	err = moheap_bytes_new(s->heap, "traced", 6, &ref);
	if (err)
		return err;
	err = moheap_flush(s->heap);
	fault_disarm();
	err_is(moheap_tracemalloc_get_object_traceback(s->heap, ref, &traceback),
	       err ? -ENOENT : 0);
	moheap_traceback_free(traceback);
	err_is(moheap_decref(s->heap, ref), 0);
	return err;
}

/* @prepare sees to what @run needs besides, with all the memory there is. */
struct call {
	const char *name;
	int (*run)(struct scene *s);
	void (*prepare)(struct scene *s);
};

static const struct call calls[] = {
	{ "list_append", list_append },
	{ "list_insert", list_insert },
	{ "list_extend", list_extend },
	{ "list_concat", list_concat },
	{ "list_slice", list_slice },
	{ "list_repeat", list_repeat },
	{ "list_pop", list_pop },
	{ "list_pop of a plain list", list_pop_plain },
	{ "dict_set", dict_set },
	{ "dict_pop", dict_pop },
	{ "dict_popitem", dict_popitem },
	{ "dict_setdefault", dict_setdefault },
	{ "dict_update", dict_update },
	{ "dict_copy", dict_copy },
	{ "set_add", set_add },
	{ "set_pop", set_pop },
	{ "set_update", set_update },
	{ "set_intersection", set_intersection },
	{ "tuple_new", tuple_new },
	{ "bytes_new", bytes_new },
	{ "weakref_new", weakref_new },
	{ "weakvaluedict_set", weakvaluedict_set },
	{ "weakkeydict_set", weakkeydict_set },
	{ "weakset_add", weakset_add },
	{ "finalize_new", finalize_new },
	{ "set_finalizer", set_finalizer },
	{ "dispatch, with an object to finalize", dispatch_final },
	{ "new, of an object to finalize", new_final },
	{ "new, traced", new_traced, trace },
};

/* Returns whether the call failed. */
static bool fails_once(const struct call *call, struct moheap *heap, unsigned int every,
		       unsigned int times)
{
	struct contents before, after;
	struct scene s;
	__u64 objects;
	int err;

	scene_set(&s, heap);
	if (call->prepare)
		call->prepare(&s);
	contents_of(&s, &before);
	objects = tap_objects(heap);
	fault_arm(every, times);
	err = call->run(&s);
	fault_disarm();
	if (err) {
		err_is(err, -ENOMEM);
		contents_of(&s, &after);
		ok(!memcmp(&before, &after, sizeof(before)));
		ok(!s.made && !s.made2);
		is(moheap_getweakrefcount(s.heap, s.list), 0);
		err_is(moheap_trim(s.heap), 0);
		is(tap_objects(heap), objects);
		err_is(call->run(&s), 0);
	}
	scene_strike(&s);
	err_is(moheap_check(heap), 0);
	return err;
}

static void every_call_fails(const void *arg)
{
	unsigned int every, failed = 0, most = LEAST + tap_scaled(MOST - LEAST);
	struct moheap *heap;

	faults_need();
	heap = tap_heap();
	for (every = 1; every <= most; every++) {
		failed += fails_once(arg, heap, every, 1);
		failed += fails_once(arg, heap, every, OFTEN);
	}
	tap_note("%u times of %u", failed, 2 * most);
	ok(failed);
}

int main(int argc, char **argv)
{
	static const struct tap_case like = { .run_with = every_call_fails, .seconds = 120 };

	return tap_main_table(argc, argv, calls, sizeof(calls[0]), TAP_COUNT(calls), &like);
}
