// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * The same programs on CPython and on moheap: what containers have, which objects live, what weak
 * references, weak dicts and sets give, what was called for the dead, and what was finalized, after
 * each step and after each collection.
 *
 * A program is a list of operations on registers, made at random. peer.py, beside this program,
 * runs it on Python's objects and prints a line for each operation; here it is run on moheap's,
 * and must give the same lines. What an operation does is said there; each has a function of
 * the same name here. Neither side collects by itself, so that objects in cycles live until
 * both collect.
 *
 *	MOHEAP_SEED=n	begin from there (every run prints its own)
 *
 * Skipped where there is no python3.11.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "values.h"

#define REGISTERS	48	/* as in peer.py */
#define WEAKS		16
#define FINALIZERS	8
#define WEAK_DICTS	2
#define BORN		4000
#define LINE		20000

/* Registers by what is mostly in them. Some may have anything. */
static const struct {
	char kind;
	int first, n;
} classes[] = {
	{ 'L', 0, 6 }, { 'D', 6, 6 }, { 'S', 12, 4 }, { 'T', 16, 4 }, { 'N', 20, 6 },
	{ 'k', 26, 14 }, { 'a', 40, 8 },
};

static struct moheap *heap;
static int node_type, final_type, witness_type;
static moheap_ref_t r[REGISTERS];
static moheap_ref_t born[BORN];
static struct moheap_weakref *born_weak[BORN];
static int nborn;
static int collected;	/* of them, in cycles */

/* What the operation prints, where it prints more than a word. */
static char text[LINE];
static size_t text_len;

static const char *const done = "ok", *const senseless = "x";

/* ---- Registers ---- */

/* The caller's reference becomes the register's. */
static void put(int out, moheap_ref_t ref)
{
	moheap_ref_t old = r[out];

	r[out] = ref;
	err_is(moheap_decref(heap, old), 0);
}

static moheap_ref_t known(moheap_ref_t ref)
{
	__u64 hash;

	ok(nborn < BORN);
	err_is(moheap_weakref_new(heap, ref, NULL, NULL, &born_weak[nborn]), 0);
	err_is(moheap_weakref_hash(heap, born_weak[nborn], &hash), 0);
	born[nborn++] = ref;
	return ref;
}

static bool is_a(int a, int kind)
{
	return r[a] && must(moheap_kind(heap, r[a])) == kind;
}

static bool is_node(int a)
{
	int type = r[a] ? must(moheap_type_of(heap, r[a])) : -1;

	return type == node_type || type == final_type;
}

/* ---- What there is to see ---- */

TAP_PRINTF(1, 2)
static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_len += vsnprintf(text + text_len, sizeof(text) - text_len, format, args);
	va_end(args);
	ok(text_len < sizeof(text));
}

static void describe(moheap_ref_t ref, int depth);

static void describe_all(const char *begin, const moheap_ref_t *refs, size_t n, int depth,
			 const char *end)
{
	size_t i;

	say("%s", begin);
	for (i = 0; i < n; i++) {
		say("%s", i ? " " : "");
		describe(refs[i], depth);
	}
	say("%s", end);
}

static void describe_bytes(moheap_ref_t ref)
{
	const char *data;
	size_t len, i;

	err_is(moheap_bytes_value(heap, ref, &data, &len), 0);
	say("b");
	for (i = 0; i < len; i++)
		say("%02x", data[i]);
}

static int serial_of(moheap_ref_t ref)
{
	int i = nborn;

	while (i-- && born[i] != ref)
		;
	ok(i >= 0);
	return i;
}

static void describe(moheap_ref_t ref, int depth)
{
	long long number;
	double real;

	switch (ref ? must(moheap_kind(heap, ref)) : -1) {
	case -1:
		say("-");
		break;
	case MOHEAP_KIND_INT:
		err_is(moheap_int_value(heap, ref, &number), 0);
		say("i%lld", number);
		break;
	case MOHEAP_KIND_FLOAT:
		err_is(moheap_float_value(heap, ref, &real), 0);
		say("f%d", (int)(real * 4));
		break;
	case MOHEAP_KIND_BYTES:
		describe_bytes(ref);
		break;
	case MOHEAP_KIND_TUPLE:
		if (depth == 2)
			say("(...)");
		else
			describe_all("(", moheap_tuple_items(heap, ref),
				     moheap_tuple_len(heap, ref), depth + 1, ")");
		break;
	default:
		say("#%d", serial_of(ref));
	}
}

static void show_dict(moheap_ref_t dict)
{
	struct moheap_cursor cursor = { 0 };
	moheap_ref_t key, value;
	int more;

	say("{");
	while ((more = moheap_dict_next(heap, dict, &cursor, &key, &value)) == 1) {
		say("%s", text[text_len - 1] == '{' ? "" : " ");
		describe(key, 0);
		say(":");
		describe(value, 0);
	}
	is(more, 0);
	say("}");
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A set has no order: sorted by what its keys look like. */
static void show_set(moheap_ref_t set)
{
	size_t n = moheap_set_len(heap, set), i;
	struct moheap_cursor cursor = { 0 };
	char **keys = calloc(n + 1, sizeof(*keys));
	moheap_ref_t key;

	for (i = 0; i < n; i++) {
		is(moheap_set_next(heap, set, &cursor, &key), 1);
		text_len = 0;
		describe(key, 0);
		keys[i] = strdup(text);
	}
	is(moheap_set_next(heap, set, &cursor, &key), 0);
	text_len = 0;
	qsort(keys, n, sizeof(*keys), by_text);
	say("{");
	for (i = 0; i < n; i++) {
		say("%s%s", i ? " " : "", keys[i]);
		free(keys[i]);
	}
	say("}");
	free(keys);
}

static void show_list(moheap_ref_t list)
{
	size_t n = moheap_list_len(heap, list);
	moheap_ref_t *items = calloc(n + 1, sizeof(*items));

	err_is(moheap_list_read(heap, list, 0, n, items), 0);
	describe_all("[", items, n, 0, "]");
	free(items);
}

static const char *show(const int *a)
{
	moheap_ref_t slots[2];

	if (is_a(a[0], MOHEAP_KIND_LIST)) {
		show_list(r[a[0]]);
	} else if (is_a(a[0], MOHEAP_KIND_DICT)) {
		show_dict(r[a[0]]);
	} else if (is_a(a[0], MOHEAP_KIND_SET)) {
		show_set(r[a[0]]);
	} else if (is_node(a[0])) {
		err_is(moheap_read(heap, r[a[0]], 0, 2, slots), 0);
		describe_all("<", slots, 2, 0, ">");
	} else {
		describe(r[a[0]], 0);
	}
	return text;
}

/* ---- New objects ---- */

static const char *new_list(const int *a)
{
	moheap_ref_t list;

	err_is(moheap_list_new(heap, 0, &list), 0);
	put(a[0], known(list));
	return done;
}

static const char *new_plain_list(const int *a)
{
	moheap_ref_t list;

	err_is(moheap_list_new_plain(heap, 0, &list), 0);
	put(a[0], known(list));
	return done;
}

static const char *new_dict(const int *a)
{
	moheap_ref_t dict;

	err_is(moheap_dict_new(heap, &dict), 0);
	put(a[0], known(dict));
	return done;
}

static const char *new_set(const int *a)
{
	moheap_ref_t set;

	err_is(moheap_set_new(heap, &set), 0);
	put(a[0], known(set));
	return done;
}

static const char *new_node(const int *a)
{
	put(a[0], known(tap_new(heap, node_type)));
	return done;
}

static const char *new_final(const int *a)
{
	put(a[0], known(tap_new(heap, final_type)));
	return done;
}

static const char *new_tuple(const int *a)
{
	moheap_ref_t items[3] = { tap_new(heap, witness_type), r[a[1]], r[a[2]] }, tuple;

	err_is(moheap_tuple_new(heap, items, a[3] % 3 + 1, &tuple), 0);
	moheap_decref(heap, known(items[0]));
	put(a[0], tuple);
	return done;
}

static const char *new_pair(const int *a)
{
	moheap_ref_t items[2] = { r[a[1]], r[a[2]] }, tuple;

	err_is(moheap_tuple_new(heap, items, 2, &tuple), 0);
	put(a[0], tuple);
	return done;
}

static const char *new_int(const int *a)
{
	put(a[0], value_int(heap, a[1]));
	return done;
}

static const char *new_float(const int *a)
{
	moheap_ref_t box;

	err_is(moheap_float_new(heap, a[1] / 4.0, &box), 0);
	put(a[0], box);
	return done;
}

static const char *new_bytes(const int *a)
{
	char string[64] = "", number[16];
	int i;

	snprintf(number, sizeof(number), "%d", a[1]);
	for (i = 0; i < a[1] % 5; i++)
		strcat(string, number);
	put(a[0], value_bytes(heap, string));
	return done;
}

/* ---- Registers, nodes, tuples ---- */

static const char *drop(const int *a)
{
	put(a[0], 0);
	return done;
}

static const char *move(const int *a)
{
	if (r[a[1]])
		err_is(moheap_incref(heap, r[a[1]]), 0);
	put(a[0], r[a[1]]);
	return done;
}

static const char *equal(const int *a)
{
	say("%d", must(moheap_equal(heap, r[a[0]], r[a[1]])));
	return text;
}

static const char *node_set(const int *a)
{
	if (!is_node(a[0]))
		return senseless;
	err_is(moheap_store(heap, r[a[0]], a[1] % 2, r[a[2]]), 0);
	return done;
}

static const char *node_get(const int *a)
{
	moheap_ref_t got;

	if (!is_node(a[0]))
		return senseless;
	err_is(moheap_load(heap, r[a[0]], a[1] % 2, &got), 0);
	put(a[2], got);
	return done;
}

static const char *tuple_get(const int *a)
{
	moheap_ref_t got;
	size_t n;

	if (!is_a(a[0], MOHEAP_KIND_TUPLE))
		return senseless;
	n = moheap_tuple_len(heap, r[a[0]]);
	if (n < 2)
		return senseless;
	err_is(moheap_tuple_get(heap, r[a[0]], 1 + a[1] % (n - 1), &got), 0);
	put(a[2], got);
	return done;
}

/* ---- Lists ---- */

/* The length of a list, or -1. */
static long list_len(int a)
{
	return is_a(a, MOHEAP_KIND_LIST) ? (long)moheap_list_len(heap, r[a]) : -1;
}

static const char *list_append(const int *a)
{
	if (list_len(a[0]) < 0)
		return senseless;
	err_is(moheap_list_append(heap, r[a[0]], r[a[1]]), 0);
	return done;
}

static const char *list_insert(const int *a)
{
	long n = list_len(a[0]);

	if (n < 0)
		return senseless;
	err_is(moheap_list_insert(heap, r[a[0]], a[1] % (n + 1), r[a[2]]), 0);
	return done;
}

static const char *list_set(const int *a)
{
	long n = list_len(a[0]);

	if (n <= 0)
		return senseless;
	err_is(moheap_list_set(heap, r[a[0]], a[1] % n, r[a[2]]), 0);
	return done;
}

static const char *list_get(const int *a)
{
	long n = list_len(a[0]);
	moheap_ref_t got;

	if (n <= 0)
		return senseless;
	err_is(moheap_list_get(heap, r[a[0]], a[1] % n, &got), 0);
	put(a[2], got);
	return done;
}

static const char *list_pop(const int *a)
{
	long n = list_len(a[0]);
	moheap_ref_t got;

	if (n <= 0)
		return senseless;
	err_is(moheap_list_pop_at(heap, r[a[0]], a[1] % n, &got), 0);
	put(a[2], got);
	return done;
}

static const char *list_delete(const int *a)
{
	long n = list_len(a[0]), index;

	if (n < 0)
		return senseless;
	index = a[1] % (n + 1);
	err_is(moheap_list_delete(heap, r[a[0]], index, a[2] % (n - index + 1)), 0);
	return done;
}

static const char *list_clear(const int *a)
{
	if (list_len(a[0]) < 0)
		return senseless;
	err_is(moheap_list_clear(heap, r[a[0]]), 0);
	return done;
}

static const char *list_index(const int *a)
{
	long long index;

	if (list_len(a[0]) < 0)
		return senseless;
	index = moheap_list_index(heap, r[a[0]], r[a[1]], 0);
	if (index == -ENOENT)
		return senseless;
	say("%lld", index);
	return text;
}

static const char *list_remove(const int *a)
{
	int err;

	if (list_len(a[0]) < 0)
		return senseless;
	err = moheap_list_remove(heap, r[a[0]], r[a[1]]);
	if (err == -ENOENT)
		return senseless;
	err_is(err, 0);
	return done;
}

static const char *list_extend(const int *a)
{
	long n = list_len(a[0]), more = list_len(a[1]);

	if (n < 0 || more < 0 || n + more > 300)
		return senseless;
	err_is(moheap_list_extend(heap, r[a[0]], r[a[1]]), 0);
	return done;
}

static const char *list_concat(const int *a)
{
	moheap_ref_t list;

	if (list_len(a[0]) < 0 || list_len(a[1]) < 0)
		return senseless;
	err_is(moheap_list_concat(heap, r[a[0]], r[a[1]], &list), 0);
	put(a[2], known(list));
	return done;
}

static const char *list_slice(const int *a)
{
	long n = list_len(a[0]), index;
	moheap_ref_t list;

	if (n < 0)
		return senseless;
	index = a[1] % (n + 1);
	err_is(moheap_list_slice(heap, r[a[0]], index, a[2] % (n - index + 1), &list), 0);
	put(a[3], known(list));
	return done;
}

/* ---- Dicts ---- */

static bool dict_and_key(const int *a)
{
	return is_a(a[0], MOHEAP_KIND_DICT) && r[a[1]];
}

static const char *dict_set(const int *a)
{
	if (!dict_and_key(a))
		return senseless;
	err_is(moheap_dict_set(heap, r[a[0]], r[a[1]], r[a[2]]), 0);
	return done;
}

static const char *dict_get(const int *a)
{
	moheap_ref_t got;
	int err;

	if (!dict_and_key(a))
		return senseless;
	err = moheap_dict_get(heap, r[a[0]], r[a[1]], &got);
	if (err == -ENOENT)
		return senseless;
	err_is(err, 0);
	put(a[2], got);
	return done;
}

static const char *dict_pop(const int *a)
{
	moheap_ref_t got;
	int err;

	if (!dict_and_key(a))
		return senseless;
	err = moheap_dict_pop(heap, r[a[0]], r[a[1]], &got);
	if (err == -ENOENT)
		return senseless;
	err_is(err, 0);
	put(a[2], got);
	return done;
}

static const char *dict_popitem(const int *a)
{
	moheap_ref_t key, value;
	int err;

	if (!is_a(a[0], MOHEAP_KIND_DICT))
		return senseless;
	err = moheap_dict_popitem(heap, r[a[0]], &key, &value);
	if (err == -ENOENT)
		return senseless;
	err_is(err, 0);
	put(a[1], key);
	put(a[2], value);
	return done;
}

static const char *dict_setdefault(const int *a)
{
	moheap_ref_t got;

	if (!dict_and_key(a))
		return senseless;
	err_is(moheap_dict_setdefault(heap, r[a[0]], r[a[1]], r[a[2]], &got), 0);
	put(a[3], got);
	return done;
}

static const char *dict_update(const int *a)
{
	if (!is_a(a[0], MOHEAP_KIND_DICT) || !is_a(a[1], MOHEAP_KIND_DICT))
		return senseless;
	err_is(moheap_dict_update(heap, r[a[0]], r[a[1]]), 0);
	return done;
}

static const char *dict_copy(const int *a)
{
	moheap_ref_t dict;

	if (!is_a(a[0], MOHEAP_KIND_DICT))
		return senseless;
	err_is(moheap_dict_copy(heap, r[a[0]], &dict), 0);
	put(a[1], known(dict));
	return done;
}

static const char *dict_clear(const int *a)
{
	if (!is_a(a[0], MOHEAP_KIND_DICT))
		return senseless;
	err_is(moheap_dict_clear(heap, r[a[0]]), 0);
	return done;
}

/* ---- Sets ---- */

static bool two_sets(const int *a)
{
	return is_a(a[0], MOHEAP_KIND_SET) && is_a(a[1], MOHEAP_KIND_SET);
}

static const char *set_add(const int *a)
{
	if (!is_a(a[0], MOHEAP_KIND_SET) || !r[a[1]])
		return senseless;
	must(moheap_set_add(heap, r[a[0]], r[a[1]]));
	return done;
}

static const char *set_remove(const int *a)
{
	int err;

	if (!is_a(a[0], MOHEAP_KIND_SET) || !r[a[1]])
		return senseless;
	err = moheap_set_remove(heap, r[a[0]], r[a[1]]);
	if (err == -ENOENT)
		return senseless;
	err_is(err, 0);
	return done;
}

static const char *set_update(const int *a)
{
	if (!two_sets(a))
		return senseless;
	err_is(moheap_set_update(heap, r[a[0]], r[a[1]]), 0);
	return done;
}

static const char *set_difference(const int *a)
{
	moheap_ref_t set;

	if (!two_sets(a))
		return senseless;
	err_is(moheap_set_difference(heap, r[a[0]], r[a[1]], &set), 0);
	put(a[2], known(set));
	return done;
}

static const char *set_issubset(const int *a)
{
	if (!two_sets(a))
		return senseless;
	say("%d", must(moheap_set_issubset(heap, r[a[0]], r[a[1]])));
	return text;
}

static const char *set_copy(const int *a)
{
	moheap_ref_t set;

	if (!is_a(a[0], MOHEAP_KIND_SET))
		return senseless;
	err_is(moheap_set_copy(heap, r[a[0]], &set), 0);
	put(a[1], known(set));
	return done;
}

static const char *set_clear(const int *a)
{
	if (!is_a(a[0], MOHEAP_KIND_SET))
		return senseless;
	err_is(moheap_set_clear(heap, r[a[0]]), 0);
	return done;
}

/* ---- Weak references ---- */

/* What is told of an object when it is dead: a callback, or a finalizer. */
struct call {
	int serial;	/* of the object */
	int number;	/* of the callback */
	int turn;
};

static struct call calls[BORN], called[BORN];
static int ncalls, ncalled, nsaid;

static struct moheap_weakref *weaks[WEAKS];
static struct moheap_finalize *finalizers[FINALIZERS];
static struct moheap_weakvaluedict *valued[WEAK_DICTS];
static struct moheap_weakkeydict *keyed[WEAK_DICTS];
static struct moheap_weakset *weak_sets[WEAK_DICTS];

/* Until everybody was told of everything, as CPython does at once. */
static void settle(void)
{
	do {
		tap_objects(heap);
	} while (must(moheap_dispatch(heap)));
}

static bool is_known(int a)
{
	int kind = r[a] ? must(moheap_kind(heap, r[a])) : -1;

	return kind == MOHEAP_KIND_LIST || kind == MOHEAP_KIND_DICT ||
	       kind == MOHEAP_KIND_SET || is_node(a);
}

static void call(struct moheap *of, void *data)
{
	struct call *entry = data;

	ok(of == heap && ncalled < BORN);
	entry->turn = ncalled;
	called[ncalled++] = *entry;
}

static void called_back(struct moheap *of, struct moheap_weakref *weakref, void *data)
{
	is(moheap_weakref_alive(heap, weakref), 0);
	call(of, data);
}

static struct call *call_of(moheap_ref_t ref)
{
	ok(ncalls < BORN);
	calls[ncalls] = (struct call){ .serial = serial_of(ref), .number = ncalls };
	return &calls[ncalls++];
}

static const char *weak_new(const int *a)
{
	struct moheap_weakref **w = &weaks[a[0] % WEAKS], *old = *w;

	settle();
	if (!is_known(a[1]))
		return senseless;
	if (a[2] % 2)
		err_is(moheap_weakref_new(heap, r[a[1]], called_back, call_of(r[a[1]]), w), 0);
	else
		err_is(moheap_weakref_new(heap, r[a[1]], NULL, NULL, w), 0);
	moheap_weakref_free(heap, old);
	return done;
}

static const char *weak_drop(const int *a)
{
	settle();
	moheap_weakref_free(heap, weaks[a[0] % WEAKS]);
	weaks[a[0] % WEAKS] = NULL;
	return done;
}

static const char *weak_get(const int *a)
{
	struct moheap_weakref *weakref = weaks[a[0] % WEAKS];
	moheap_ref_t ref = 0;

	settle();
	if (weakref)
		err_is(moheap_weakref_get(heap, weakref, &ref), 0);
	put(a[1], ref);
	describe(ref, 0);
	return text;
}

static const char *weak_equal(const int *a)
{
	struct moheap_weakref *w = weaks[a[0] % WEAKS], *v = weaks[a[1] % WEAKS];

	settle();
	say("%d", w && v ? must(moheap_weakref_equal(heap, w, v)) : w == v);
	return text;
}

static const char *weak_hash(const int *a)
{
	struct moheap_weakref *w = weaks[a[0] % WEAKS];
	__u64 hash;
	int err;

	settle();
	err = w ? moheap_weakref_hash(heap, w, &hash) : 0;
	if (err == -ESTALE)
		return senseless;
	err_is(err, 0);
	return done;
}

static const char *weak_count(const int *a)
{
	settle();
	if (!is_known(a[0]))
		return senseless;
	say("%lld", moheap_getweakrefcount(heap, r[a[0]]));
	return text;
}

static int by_serial(const void *a, const void *b)
{
	const struct call *x = a, *y = b;

	return x->serial == y->serial ? x->turn - y->turn : x->serial - y->serial;
}

static void say_calls(void)
{
	int i;

	qsort(called, ncalled, sizeof(*called), by_serial);
	for (i = 0; i < ncalled; i++)
		say("%s%d:%d", i ? " " : "", called[i].serial, called[i].number);
	nsaid += ncalled;
	ncalled = 0;
}

static const char *weak_calls(const int *a)
{
	(void)a;
	settle();
	say_calls();
	return text;
}

static const char *finalize_new(const int *a)
{
	struct moheap_finalize **f = &finalizers[a[0] % FINALIZERS];

	settle();
	if (!is_known(a[1]))
		return senseless;
	moheap_finalize_free(heap, *f);
	err_is(moheap_finalize_new(heap, r[a[1]], call, call_of(r[a[1]]), f), 0);
	moheap_finalize_set_atexit(heap, *f, false);
	return done;
}

static const char *finalize_call(const int *a)
{
	struct moheap_finalize *f = finalizers[a[0] % FINALIZERS];

	settle();
	return f && must(moheap_finalize_call(heap, f)) ? done : senseless;
}

static const char *finalize_detach(const int *a)
{
	struct moheap_finalize *f = finalizers[a[0] % FINALIZERS];

	settle();
	return f && must(moheap_finalize_detach(heap, f, NULL, NULL, NULL)) ? done : senseless;
}

static const char *finalize_alive(const int *a)
{
	struct moheap_finalize *f = finalizers[a[0] % FINALIZERS];

	settle();
	say("%d", f && moheap_finalize_alive(heap, f));
	return text;
}

/* ---- Weak dicts and sets ---- */

static void weak_make(void)
{
	int i;

	for (i = 0; i < WEAK_DICTS; i++) {
		err_is(moheap_weakvaluedict_new(heap, &valued[i]), 0);
		err_is(moheap_weakkeydict_new(heap, &keyed[i]), 0);
		err_is(moheap_weakset_new(heap, &weak_sets[i]), 0);
	}
}

static const char *valued_set(const int *a)
{
	settle();
	if (!r[a[1]] || !is_known(a[2]))
		return senseless;
	err_is(moheap_weakvaluedict_set(heap, valued[a[0] % WEAK_DICTS], r[a[1]], r[a[2]]), 0);
	return done;
}

static const char *keyed_set(const int *a)
{
	settle();
	if (!is_known(a[1]))
		return senseless;
	err_is(moheap_weakkeydict_set(heap, keyed[a[0] % WEAK_DICTS], r[a[1]], r[a[2]]), 0);
	return done;
}

/* What came of a call that gives what may not be there. */
static const char *got(int err, int out, moheap_ref_t ref)
{
	if (err == -ENOENT)
		return senseless;
	err_is(err, 0);
	put(out, ref);
	return done;
}

static const char *valued_get(const int *a)
{
	moheap_ref_t ref = 0;
	int err;

	settle();
	if (!r[a[1]])
		return senseless;
	err = moheap_weakvaluedict_get(heap, valued[a[0] % WEAK_DICTS], r[a[1]], &ref);
	return got(err, a[2], ref);
}

static const char *keyed_get(const int *a)
{
	moheap_ref_t ref = 0;
	int err;

	settle();
	if (!is_known(a[1]))
		return senseless;
	err = moheap_weakkeydict_get(heap, keyed[a[0] % WEAK_DICTS], r[a[1]], &ref);
	return got(err, a[2], ref);
}

static const char *valued_pop(const int *a)
{
	moheap_ref_t ref = 0;
	int err;

	settle();
	if (!r[a[1]])
		return senseless;
	err = moheap_weakvaluedict_pop(heap, valued[a[0] % WEAK_DICTS], r[a[1]], &ref);
	return got(err, a[2], ref);
}

static const char *keyed_pop(const int *a)
{
	moheap_ref_t ref = 0;
	int err;

	settle();
	if (!is_known(a[1]))
		return senseless;
	err = moheap_weakkeydict_pop(heap, keyed[a[0] % WEAK_DICTS], r[a[1]], &ref);
	return got(err, a[2], ref);
}

static const char *valued_popitem(const int *a)
{
	moheap_ref_t key, value;
	int err;

	settle();
	err = moheap_weakvaluedict_popitem(heap, valued[a[0] % WEAK_DICTS], &key, &value);
	if (err)
		return got(err, 0, 0);
	put(a[1], key);
	put(a[2], value);
	return done;
}

static const char *keyed_popitem(const int *a)
{
	moheap_ref_t key, value;
	int err;

	settle();
	err = moheap_weakkeydict_popitem(heap, keyed[a[0] % WEAK_DICTS], &key, &value);
	if (err)
		return got(err, 0, 0);
	put(a[1], key);
	put(a[2], value);
	return done;
}

static void say_item(moheap_ref_t key, moheap_ref_t value, bool first)
{
	say("%s", first ? "" : " ");
	describe(key, 0);
	say(":");
	describe(value, 0);
	err_is(moheap_decref(heap, key), 0);
	err_is(moheap_decref(heap, value), 0);
}

static const char *valued_show(const int *a)
{
	struct moheap_weakvaluedict *d = valued[a[0] % WEAK_DICTS];
	struct moheap_weak_cursor cursor = { 0 };
	moheap_ref_t key, value;
	int i;

	settle();
	say("%lld ", moheap_weakvaluedict_len(heap, d));
	for (i = 0; must(moheap_weakvaluedict_next(heap, d, &cursor, &key, &value)); i++)
		say_item(key, value, !i);
	return text;
}

static const char *keyed_show(const int *a)
{
	struct moheap_weakkeydict *d = keyed[a[0] % WEAK_DICTS];
	struct moheap_weak_cursor cursor = { 0 };
	moheap_ref_t key, value;
	int i;

	settle();
	say("%lld ", moheap_weakkeydict_len(heap, d));
	for (i = 0; must(moheap_weakkeydict_next(heap, d, &cursor, &key, &value)); i++)
		say_item(key, value, !i);
	return text;
}

static const char *valued_update(const int *a)
{
	settle();
	err_is(moheap_weakvaluedict_update(heap, valued[a[0] % WEAK_DICTS],
					   valued[(a[0] + 1) % WEAK_DICTS]), 0);
	return done;
}

static const char *keyed_update(const int *a)
{
	settle();
	err_is(moheap_weakkeydict_update(heap, keyed[a[0] % WEAK_DICTS],
					 keyed[(a[0] + 1) % WEAK_DICTS]), 0);
	return done;
}

static const char *valued_clear(const int *a)
{
	settle();
	moheap_weakvaluedict_clear(heap, valued[a[0] % WEAK_DICTS]);
	return done;
}

static const char *keyed_clear(const int *a)
{
	settle();
	moheap_weakkeydict_clear(heap, keyed[a[0] % WEAK_DICTS]);
	return done;
}

static const char *weak_set_add(const int *a)
{
	settle();
	if (!is_known(a[1]))
		return senseless;
	must(moheap_weakset_add(heap, weak_sets[a[0] % WEAK_DICTS], r[a[1]]));
	return done;
}

static const char *weak_set_discard(const int *a)
{
	settle();
	if (is_known(a[1]))
		must(moheap_weakset_discard(heap, weak_sets[a[0] % WEAK_DICTS], r[a[1]]));
	return done;
}

/* Sorted as text is, as Python does it. */
static const char *weak_set_show(const int *a)
{
	struct moheap_weakset *set = weak_sets[a[0] % WEAK_DICTS];
	struct moheap_weak_cursor cursor = { 0 };
	static char keys[BORN][16];
	char *sorted[BORN] = { NULL };
	moheap_ref_t key;
	int i, n;

	settle();
	for (n = 0; must(moheap_weakset_next(heap, set, &cursor, &key)); n++) {
		snprintf(keys[n], sizeof(keys[n]), "#%d", serial_of(key));
		sorted[n] = keys[n];
		err_is(moheap_decref(heap, key), 0);
	}
	qsort(sorted, n, sizeof(*sorted), by_text);
	say("%lld ", moheap_weakset_len(heap, set));
	for (i = 0; i < n; i++)
		say("%s%s", i ? " " : "", sorted[i]);
	return text;
}

static const char *weak_set_change(const int *a)
{
	struct moheap_weakset *set = weak_sets[a[0] % WEAK_DICTS];
	struct moheap_weakset *other = weak_sets[(a[0] + 1) % WEAK_DICTS];

	settle();
	if (a[1] % 3 == 0)
		err_is(moheap_weakset_update(heap, set, other), 0);
	else if (a[1] % 3 == 1)
		err_is(moheap_weakset_difference_update(heap, set, other), 0);
	else
		err_is(moheap_weakset_symmetric_difference_update(heap, set, other), 0);
	say("%d", must(moheap_weakset_issubset(heap, set, other)));
	return text;
}

/* ---- Who was finalized, and who lives ---- */

static int finalized[BORN], nfinalized, nfinals;
static bool collecting;

/* Before what it refers to: but for collections that is sure. */
static void finalize(struct moheap *of, moheap_ref_t ref, void *data)
{
	moheap_ref_t slots[2];
	unsigned int i;

	(void)data;
	err_is(moheap_read(of, ref, 0, 2, slots), 0);
	for (i = 0; i < 2; i++)
		if (slots[i] && !collecting)
			is(moheap_is_finalized(of, slots[i]), 0);
	ok(nfinalized < BORN);
	finalized[nfinalized++] = serial_of(ref);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void say_finals(void)
{
	int i;

	qsort(finalized, nfinalized, sizeof(*finalized), by_number);
	for (i = 0; i < nfinalized; i++)
		say("%s%d", i ? " " : "", finalized[i]);
	nfinals += nfinalized;
	nfinalized = 0;
}

static const char *finals(const int *a)
{
	(void)a;
	settle();
	say_finals();
	return text;
}

/* Once what was found is finalized it is found again. */
static void collect_all(void)
{
	unsigned long long unreachable;

	collecting = true;
	do {
		err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, &unreachable), 0);
		settle();
	} while (unreachable);
	collecting = false;
}

/* How many of those that are asked for. */
static int alive_say(void)
{
	int i, n = 0;

	settle();
	text_len = 0;
	text[0] = 0;
	for (i = 0; i < nborn; i++)
		if (must(moheap_weakref_alive(heap, born_weak[i])))
			say("%s%d", n++ ? " " : "", i);
	return n;
}

static const char *alive(const int *a)
{
	(void)a;
	alive_say();
	return text;
}

static const char *collect(const int *a)
{
	int n = alive_say();

	(void)a;
	collect_all();
	collected += n - alive_say();
	say(" / ");
	say_calls();
	say(" / ");
	say_finals();
	return text;
}

static const char *drop_all(const int *a)
{
	int i;

	for (i = 0; i < REGISTERS; i++)
		put(i, 0);
	for (i = 0; i < WEAK_DICTS; i++) {
		moheap_weakvaluedict_clear(heap, valued[i]);
		moheap_weakkeydict_clear(heap, keyed[i]);
		moheap_weakset_clear(heap, weak_sets[i]);
	}
	return alive(a);
}

/* ---- Programs ---- */

/*
 * What the arguments are: a register of a class (see above), any register (v), a number (i).
 * How often the operation comes, beside the others.
 */
static const struct operation {
	const char *name;
	const char *args;
	const char *(*run)(const int *args);
	int often;
} operations[] = {
	{ "new_list", "L", new_list, 25 },
	{ "new_plain_list", "L", new_plain_list, 10 },
	{ "new_dict", "D", new_dict, 25 },
	{ "new_set", "S", new_set, 15 },
	{ "new_node", "N", new_node, 25 },
	{ "new_final", "N", new_final, 20 },
	{ "new_tuple", "Tvvi", new_tuple, 25 },
	{ "new_pair", "kkk", new_pair, 15 },
	{ "new_int", "ki", new_int, 30 },
	{ "new_float", "ki", new_float, 30 },
	{ "new_bytes", "ki", new_bytes, 30 },
	{ "drop", "v", drop, 60 },
	{ "move", "av", move, 20 },
	{ "equal", "vv", equal, 10 },
	{ "show", "v", show, 60 },
	{ "node_set", "Niv", node_set, 30 },
	{ "node_get", "Nia", node_get, 10 },
	{ "tuple_get", "Tia", tuple_get, 10 },
	{ "list_append", "Lv", list_append, 60 },
	{ "list_insert", "Liv", list_insert, 20 },
	{ "list_set", "Liv", list_set, 20 },
	{ "list_get", "Lia", list_get, 20 },
	{ "list_pop", "Lia", list_pop, 20 },
	{ "list_delete", "Lii", list_delete, 10 },
	{ "list_clear", "L", list_clear, 5 },
	{ "list_index", "Lv", list_index, 10 },
	{ "list_remove", "Lk", list_remove, 10 },
	{ "list_extend", "LL", list_extend, 10 },
	{ "list_concat", "LLL", list_concat, 10 },
	{ "list_slice", "LiiL", list_slice, 10 },
	{ "dict_set", "Dvv", dict_set, 80 },
	{ "dict_get", "Dka", dict_get, 20 },
	{ "dict_pop", "Dka", dict_pop, 30 },
	{ "dict_popitem", "Daa", dict_popitem, 10 },
	{ "dict_setdefault", "Dkva", dict_setdefault, 15 },
	{ "dict_update", "DD", dict_update, 10 },
	{ "dict_copy", "DD", dict_copy, 10 },
	{ "dict_clear", "D", dict_clear, 5 },
	{ "set_add", "Sv", set_add, 50 },
	{ "set_remove", "Sk", set_remove, 15 },
	{ "set_update", "SS", set_update, 10 },
	{ "set_difference", "SSS", set_difference, 10 },
	{ "set_issubset", "SS", set_issubset, 10 },
	{ "set_copy", "SS", set_copy, 10 },
	{ "set_clear", "S", set_clear, 5 },
	{ "weak_new", "ivi", weak_new, 100 },
	{ "weak_drop", "i", weak_drop, 10 },
	{ "weak_get", "ia", weak_get, 15 },
	{ "weak_equal", "ii", weak_equal, 10 },
	{ "weak_hash", "i", weak_hash, 10 },
	{ "weak_count", "v", weak_count, 15 },
	{ "weak_calls", "", weak_calls, 20 },
	{ "finalize_new", "iv", finalize_new, 30 },
	{ "finalize_call", "i", finalize_call, 5 },
	{ "finalize_detach", "i", finalize_detach, 5 },
	{ "finalize_alive", "i", finalize_alive, 5 },
	{ "valued_set", "ikv", valued_set, 40 },
	{ "valued_get", "ika", valued_get, 15 },
	{ "valued_pop", "ika", valued_pop, 10 },
	{ "valued_popitem", "iaa", valued_popitem, 5 },
	{ "valued_show", "i", valued_show, 20 },
	{ "valued_update", "i", valued_update, 5 },
	{ "valued_clear", "i", valued_clear, 2 },
	{ "keyed_set", "ivv", keyed_set, 40 },
	{ "keyed_get", "iva", keyed_get, 15 },
	{ "keyed_pop", "iva", keyed_pop, 10 },
	{ "keyed_popitem", "iaa", keyed_popitem, 5 },
	{ "keyed_show", "i", keyed_show, 20 },
	{ "keyed_update", "i", keyed_update, 5 },
	{ "keyed_clear", "i", keyed_clear, 2 },
	{ "weak_set_add", "iv", weak_set_add, 30 },
	{ "weak_set_discard", "iv", weak_set_discard, 5 },
	{ "weak_set_show", "i", weak_set_show, 15 },
	{ "weak_set_change", "ii", weak_set_change, 10 },
	{ "finals", "", finals, 20 },
	{ "alive", "", alive, 40 },
	{ "collect", "", collect, 15 },
	/* Comes at the end. */
	{ "drop_all", "", drop_all, 0 },
};

struct line {
	const struct operation *operation;
	int args[4];
};

static int any_arg(char kind)
{
	unsigned int i;

	if (kind == 'i')
		return rand() % 40;
	if (kind == 'v')
		return rand() % REGISTERS;
	/* One in ten where such a thing is not to be expected. */
	if (rand() % 10 == 0)
		kind = 'a';
	for (i = 0; classes[i].kind != kind; i++)
		;
	return classes[i].first + rand() % classes[i].n;
}

static const struct operation *any_operation(void)
{
	unsigned int i;
	int choice, all = 0;

	for (i = 0; i < TAP_COUNT(operations); i++)
		all += operations[i].often;
	choice = rand() % all;
	for (i = 0; choice >= operations[i].often; i++)
		choice -= operations[i].often;
	return &operations[i];
}

static const struct operation *operation_named(const char *name)
{
	int i = 0;

	while (strcmp(operations[i].name, name))
		i++;
	return &operations[i];
}

static void program_make(struct line *program, int n)
{
	unsigned int j;
	int i;

	for (i = 0; i < n; i++) {
		program[i].operation = any_operation();
		for (j = 0; program[i].operation->args[j]; j++)
			program[i].args[j] = any_arg(program[i].operation->args[j]);
	}
	program[n - 2].operation = operation_named("drop_all");
	program[n - 1].operation = operation_named("collect");
}

static void line_print(const struct line *line, FILE *file)
{
	unsigned int j;

	fprintf(file, "%s", line->operation->name);
	for (j = 0; line->operation->args[j]; j++)
		fprintf(file, " %d", line->args[j]);
	fprintf(file, "\n");
}

/* ---- The peer ---- */

/* peer.py lies beside this program. */
static const char *peer_path(void)
{
	static char path[4096];
	char self[2048] = "";

	ok(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	*strrchr(self, '/') = 0;
	snprintf(path, sizeof(path), "%s/peer.py", self);
	return path;
}

/* Neither site packages (-S) nor the environment (-E) have a say in it. */
static FILE *peer_start(const char *program, pid_t *child)
{
	union {
		const char *given[5];
		char *taken[5];
	} argv = { .given = { "python3.11", "-SE", peer_path(), program, NULL } };
	posix_spawn_file_actions_t actions;
	int ends[2], err;

	is(pipe2(ends, O_CLOEXEC), 0);
	is(posix_spawn_file_actions_init(&actions), 0);
	is(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO), 0);
	err = posix_spawnp(child, "python3.11", &actions, NULL, argv.taken, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (err == ENOENT)
		tap_skip("no python3.11");
	is(err, 0);
	return fdopen(ends[0], "r");
}

static void heap_set(void)
{
	struct moheap_tune off = { .size = sizeof(off), .set = MOHEAP_TUNE_ENABLED };
	struct moheap_layout final = {
		.size = sizeof(final), .name = "final", .payload = 8, .slots = 2,
		.flags = MOHEAP_TYPE_FINALIZE,
	};

	heap = tap_heap();
	err_is(moheap_tune(heap, &off), 0);
	node_type = tap_type(heap, "node", 8, 2);
	final_type = must(moheap_type_register(heap, &final));
	err_is(moheap_set_finalizer(heap, final_type, finalize, NULL), 0);
	witness_type = tap_type(heap, "witness", 8, 0);
	weak_make();
}

/* One line here, and the same as the peer said. */
static void line_run(const struct line *line, int number, FILE *peer)
{
	static char want[LINE];
	const char *got;
	size_t n;

	text_len = 0;
	text[0] = 0;
	got = line->operation->run(line->args);
	if (!fgets(want, sizeof(want), peer))
		tap_fail(__FILE__, __LINE__, "the peer ended before line %d", number);
	n = strcspn(want, "\n");
	want[n] = 0;
	if (strcmp(got, want)) {
		tap_note("line %d:", number);
		printf("# ");
		line_print(line, stdout);
		tap_note("CPython: %s", want);
		tap_note("moheap:  %s", got);
		tap_fail(__FILE__, __LINE__, "they differ");
	}
}

static void programs(void)
{
	static const char path[] = "/tmp/moheap-program";
	int n = tap_scaled(10000), i;
	struct line *program;
	FILE *file, *peer;
	int status;
	pid_t child;

	values_seed();
	program = calloc(n + 2, sizeof(*program));
	program_make(program, n + 2);
	file = fopen(path, "w");
	ok(file);
	for (i = 0; i < n + 2; i++)
		line_print(&program[i], file);
	fclose(file);
	peer = peer_start(path, &child);
	heap_set();
	for (i = 0; i < n + 2; i++)
		line_run(&program[i], i + 1, peer);
	is(waitpid(child, &status, 0), child);
	is(status, 0);
	tap_note("%d operations, %d objects asked for, %d collected; %d callbacks, %d called", n,
		 nborn, collected, ncalls, nsaid);
	tap_note("%d finalized", nfinals);
	ok((collected > 0 && nsaid > 0 && nfinals > 0) || n < 5000);
	/* Not only those that were asked for. */
	is(tap_objects(heap), 0);
	unlink(path);
}

static const struct tap_case cases[] = {
	{ "programs do on moheap as on CPython", programs, 300 },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
