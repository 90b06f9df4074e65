// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Finalizers of weak references. What CPython's test_weakref.py has of them comes first, under its
 * names (CPYTHON.md).
 */
#include <pthread.h>
#include <stdatomic.h>

#include "values.h"

/* What functions were called with, as words. */
static char res[256];

static void append(struct moheap *heap, void *data)
{
	err_is(moheap_flush(heap), 0);
	strcat(res, data);
	strcat(res, " ");
}

static void res_is(const char *want)
{
	if (strcmp(res, want))
		tap_fail(__FILE__, __LINE__, "\"%s\", not \"%s\"", res, want);
	*res = 0;
}

static moheap_ref_t object(struct moheap *heap)
{
	return tap_new(heap, tap_type(heap, "A", 8, 1));
}

static void drop(struct moheap *heap, moheap_ref_t ref)
{
	err_is(moheap_decref(heap, ref), 0);
}

static struct moheap_finalize *finalizer(struct moheap *heap, moheap_ref_t ref, char *word)
{
	struct moheap_finalize *f;

	err_is(moheap_finalize_new(heap, ref, append, word, &f), 0);
	ok(moheap_finalize_alive(heap, f));
	ok(moheap_finalize_atexit(heap, f));
	return f;
}

static void is_dead(struct moheap *heap, struct moheap_finalize *f)
{
	moheap_finalize_func_t func = NULL;
	moheap_ref_t ref = 0;
	void *data = NULL;

	ok(!moheap_finalize_alive(heap, f));
	ok(!moheap_finalize_atexit(heap, f));
	moheap_finalize_set_atexit(heap, f, true);
	ok(!moheap_finalize_atexit(heap, f));
	is(moheap_finalize_call(heap, f), 0);
	is(moheap_finalize_peek(heap, f, &ref, &func, &data), 0);
	is(moheap_finalize_detach(heap, f, &ref, &func, &data), 0);
	ok(!ref && !func && !data);
}

/* ---- FinalizeTestCase ---- */

static void test_finalize(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t a = object(heap), ref;
	moheap_finalize_func_t func;
	struct moheap_finalize *f;
	char word[] = "199";
	void *data;

	f = finalizer(heap, a, word);
	is(moheap_finalize_peek(heap, f, &ref, &func, &data), 1);
	ok(ref == a && func == append && data == word);
	drop(heap, ref);
	is(moheap_getweakrefcount(heap, a), 1);
	is(moheap_finalize_call(heap, f), 1);
	res_is("199 ");
	is(moheap_getweakrefcount(heap, a), 0);
	is_dead(heap, f);
	moheap_finalize_free(heap, f);

	f = finalizer(heap, a, word);
	is(moheap_finalize_peek(heap, f, NULL, NULL, NULL), 1);
	is(moheap_refcount(heap, a), 1);
	is(moheap_finalize_detach(heap, f, &ref, &func, &data), 1);
	ok(ref == a && func == append && data == word);
	drop(heap, ref);
	is_dead(heap, f);
	moheap_finalize_free(heap, f);
	f = finalizer(heap, a, word);
	is(moheap_finalize_detach(heap, f, NULL, NULL, NULL), 1);
	is_dead(heap, f);
	moheap_finalize_free(heap, f);
	res_is("");

	f = finalizer(heap, a, word);
	drop(heap, a);
	/* Its object is gone, and it is still to be called. */
	ok(moheap_finalize_alive(heap, f));
	is(moheap_finalize_peek(heap, f, &ref, &func, &data), 0);
	is(moheap_finalize_detach(heap, f, &ref, &func, &data), 0);
	ok(moheap_finalize_alive(heap, f));
	res_is("");
	is(moheap_dispatch(heap), 1);
	res_is("199 ");
	is_dead(heap, f);
	res_is("");
}

static void test_arg_errors(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t a = object(heap);
	struct moheap_finalize *f = NULL;
	char word[] = "never";

	err_is(moheap_finalize_new(heap, 0, append, word, &f), -EINVAL);
	err_is(moheap_finalize_new(heap, ~0ULL, append, word, &f), -EINVAL);
	drop(heap, a);
	err_is(moheap_finalize_new(heap, a, append, word, &f), -ESTALE);
	err_is(moheap_finalize_new(heap, a, append, word, NULL), -ESTALE);
	ok(!f);
	moheap_finalize_free(heap, NULL);
	is(moheap_dispatch(heap), 0);
	res_is("");
}

static void test_order(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t a = object(heap), ref;
	struct moheap_finalize *f[5];
	char words[5][3] = { "f1", "f2", "f3", "f4", "f5" };
	int i;

	for (i = 0; i < 5; i++)
		f[i] = finalizer(heap, a, words[i]);
	/* They need nobody to keep them. */
	moheap_finalize_free(heap, f[0]);
	moheap_finalize_free(heap, f[3]);
	is(moheap_getweakrefcount(heap, a), 5);
	is(moheap_finalize_detach(heap, f[4], &ref, NULL, NULL), 1);
	drop(heap, ref);
	is_dead(heap, f[4]);
	is(moheap_finalize_call(heap, f[2]), 1);
	is_dead(heap, f[2]);
	res_is("f3 ");
	drop(heap, a);
	is(moheap_dispatch(heap), 3);
	res_is("f4 f2 f1 ");
	is_dead(heap, f[1]);
	res_is("");
}

static void free_data(struct moheap *heap, void *data)
{
	append(heap, data);
	free(data);
}

/* A finalizer that is done keeps nothing. */
static void test_all_freed(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t a = object(heap);
	struct moheap_weakref *weakrefs[2];
	char *word = strdup("123");

	ok(word);
	err_is(moheap_finalize_new(heap, a, free_data, word, NULL), 0);
	is(moheap_getweakrefs(heap, a, weakrefs, 2), 1);
	drop(heap, a);
	is(moheap_dispatch(heap), 1);
	res_is("123 ");
	is(moheap_weakref_alive(heap, weakrefs[0]), 0);
	moheap_weakref_free(heap, weakrefs[0]);
	is(moheap_dispatch(heap), 0);
	is(tap_objects(heap), 0);
}

static moheap_ref_t cls;
static char words[][12] = { "f1", "f2", "f3", "f4", "g1", "f5" };

static void adds_another(struct moheap *heap, void *data)
{
	append(heap, data);
	err_is(moheap_finalize_new(heap, cls, append, words[4], NULL), 0);
	/* Nobody closes it twice. */
	err_is(moheap_close(heap), -EDEADLK);
	err_is(moheap_start_dispatcher(heap), 0);
}

static void test_atexit(void)
{
	struct moheap_finalize *f;
	struct moheap *heap;

	err_is(moheap_create(NULL, &heap), 0);
	cls = object(heap);
	finalizer(heap, cls, words[0]);
	f = finalizer(heap, cls, words[1]);
	moheap_finalize_set_atexit(heap, f, false);
	ok(!moheap_finalize_atexit(heap, f) && moheap_finalize_alive(heap, f));
	err_is(moheap_finalize_new(heap, cls, adds_another, words[2], NULL), 0);
	finalizer(heap, cls, words[3]);
	f = finalizer(heap, cls, words[5]);
	moheap_finalize_set_atexit(heap, f, false);
	moheap_finalize_set_atexit(heap, f, false);
	err_is(moheap_start_dispatcher(heap), 0);
	err_is(moheap_close(heap), 0);
	res_is("f4 f3 g1 f1 ");
}

/* ---- Beyond ---- */

/* That of an object which is dead is called in any case: it is only late. */
static void overdue(void)
{
	struct moheap *heap;
	moheap_ref_t a, b;

	err_is(moheap_create(NULL, &heap), 0);
	a = object(heap);
	b = object(heap);
	moheap_finalize_set_atexit(heap, finalizer(heap, a, words[0]), false);
	moheap_finalize_set_atexit(heap, finalizer(heap, b, words[1]), false);
	finalizer(heap, b, words[2]);
	moheap_finalize_set_atexit(heap, finalizer(heap, b, words[3]), false);
	drop(heap, a);
	err_is(moheap_close(heap), 0);
	res_is("f3 f1 ");
}

static unsigned long called;

static void in_order(struct moheap *heap, void *data)
{
	ok(heap);
	is((unsigned long)data, called);
	called--;
}

/* Many that are called at the end, and as many that are not. */
static void many_at_the_end(void)
{
	unsigned long i, n = tap_scaled(10000);
	struct moheap_finalize *f;
	moheap_ref_t *refs = calloc(n, sizeof(*refs));
	struct moheap *heap;

	ok(refs);
	err_is(moheap_create(NULL, &heap), 0);
	err_is(moheap_new_many(heap, tap_type(heap, "A", 8, 0), n, refs), 0);
	for (i = 0; i < n; i++) {
		err_is(moheap_finalize_new(heap, refs[i], in_order, (void *)(i + 1), NULL), 0);
		err_is(moheap_finalize_new(heap, refs[i], in_order, NULL, &f), 0);
		moheap_finalize_set_atexit(heap, f, false);
	}
	called = n;
	err_is(moheap_close(heap), 0);
	is(called, 0);
}

static void frees_handle(struct moheap *heap, void *data)
{
	struct moheap_finalize **f = data;

	is_dead(heap, *f);
	moheap_finalize_free(heap, *f);
	*f = NULL;
}

static void freed_inside(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t a = object(heap);
	struct moheap_finalize *f;

	err_is(moheap_finalize_new(heap, a, frees_handle, &f, &f), 0);
	is(moheap_finalize_call(heap, f), 1);
	ok(!f);
	err_is(moheap_finalize_new(heap, a, frees_handle, &f, &f), 0);
	drop(heap, a);
	is(moheap_dispatch(heap), 1);
	ok(!f);
}

/* ---- Threads ---- */

static atomic_ulong once;

static void count(struct moheap *heap, void *data)
{
	atomic_fetch_add((atomic_ulong *)data, 1);
	err_is(moheap_flush(heap), 0);
}

struct race {
	struct moheap *heap;
	struct moheap_finalize *f;
	moheap_ref_t ref;
	pthread_barrier_t start;
	unsigned long n;
};

static void *calls(void *arg)
{
	struct race *r = arg;
	unsigned long i;

	for (i = 0; i < r->n; i++) {
		pthread_barrier_wait(&r->start);
		ok(moheap_finalize_call(r->heap, r->f) >= 0);
		pthread_barrier_wait(&r->start);
	}
	return NULL;
}

/* It is called by the program, or because its object is dead, and never twice. */
static void called_once(void)
{
	struct race r = { .heap = tap_heap(), .n = tap_scaled(1000) };
	pthread_t thread;
	unsigned long i;

	ok(!pthread_barrier_init(&r.start, NULL, 2));
	err_is(moheap_start_dispatcher(r.heap), 0);
	ok(!pthread_create(&thread, NULL, calls, &r));
	for (i = 0; i < r.n; i++) {
		r.ref = object(r.heap);
		err_is(moheap_finalize_new(r.heap, r.ref, count, &once, &r.f), 0);
		pthread_barrier_wait(&r.start);
		drop(r.heap, r.ref);
		err_is(moheap_flush(r.heap), 0);
		pthread_barrier_wait(&r.start);
		ok(moheap_dispatch(r.heap) >= 0);
		ok(!moheap_finalize_alive(r.heap, r.f));
		is(atomic_load(&once), i + 1);
		moheap_finalize_free(r.heap, r.f);
	}
	ok(!pthread_join(thread, NULL));
}

/* ---- Fork ---- */

struct family {
	struct moheap *heap;
	moheap_ref_t a, b;
};

static void in_the_child(void *arg)
{
	struct family *f = arg;

	drop(f->heap, f->a);
	is(moheap_dispatch(f->heap), 0);
	res_is("");
	err_is(moheap_close(f->heap), 0);
	res_is("f2 f1 ");
}

static void without_a_client(void *arg)
{
	struct family *f = arg;

	err_is(moheap_close(f->heap), 0);
	res_is("");
}

static void children_have_their_own(void)
{
	struct family f;

	err_is(moheap_create(NULL, &f.heap), 0);
	f.a = object(f.heap);
	f.b = object(f.heap);
	finalizer(f.heap, f.a, words[0]);
	finalizer(f.heap, f.b, words[1]);
	tap_wait(tap_fork(in_the_child, &f));
	err_is(moheap_set_fork(f.heap, MOHEAP_FORK_NONE), 0);
	tap_wait(tap_fork(without_a_client, &f));
	res_is("");
	drop(f.heap, f.b);
	is(moheap_dispatch(f.heap), 1);
	res_is("f2 ");
	err_is(moheap_close(f.heap), 0);
	res_is("f1 ");
}

#define PYTHON(test)	{ #test, test }

static const struct tap_case cases[] = {
	PYTHON(test_finalize),
	PYTHON(test_arg_errors),
	PYTHON(test_order),
	PYTHON(test_all_freed),
	PYTHON(test_atexit),
	{ "overdue at the end", overdue },
	{ "many at the end", many_at_the_end },
	{ "handles freed inside", freed_inside },
	{ "called once", called_once },
	{ "children have their own", children_have_their_own },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
