// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * tracemalloc. The first cases have the names of CPython's (Lib/test/test_tracemalloc.py), whose
 * intent they follow: CPYTHON.md says which is which. What follows them is ours alone.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "raw.h"

#define OWN_FRAME	__attribute__((noipa))

static struct moheap *heap;
static int type;	/* of any payload */

/* ---- Allocations whose place is known ---- */

static int line;	/* of the last one */

/* A call at the very end leaves no frame. */
static int after;

OWN_FRAME static moheap_ref_t allocate(size_t size)
{
	moheap_ref_t ref = 0;
	int err;

	err = moheap_new_sized(heap, type, size, 0, &ref); line = __LINE__;
	err_is(err, 0);
	return ref;
}

OWN_FRAME static moheap_ref_t allocate_deep(unsigned int depth, size_t size)
{
	moheap_ref_t ref = depth ? allocate_deep(depth - 1, size) : allocate(size);

	__atomic_fetch_add(&after, 1, __ATOMIC_RELAXED);
	return ref;
}

OWN_FRAME static moheap_ref_t allocate_elsewhere(size_t size)
{
	moheap_ref_t ref = 0;
	int err;

	err = moheap_new_sized(heap, type, size, 0, &ref); line = __LINE__;
	err_is(err, 0);
	__atomic_fetch_add(&after, 1, __ATOMIC_RELAXED);
	return ref;
}

static void setup_off(void)
{
	heap = tap_heap();
	type = must(moheap_type_register(heap, &(struct moheap_layout){
		.size = sizeof(struct moheap_layout), .name = "any",
		.flags = MOHEAP_TYPE_VAR_PAYLOAD }));
}

static void setup(unsigned int nframe)
{
	setup_off();
	err_is(moheap_tracemalloc_start(heap, nframe), 0);
}

static bool ends(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && !strcmp(text + n - m, end);
}

static void frame_is(const struct moheap_frame *frame, const char *symbol, int lineno)
{
	if (!ends(frame->filename, "tests/test_tracemalloc.c") ||
	    strcmp(frame->symbol ? frame->symbol : "", symbol) ||
	    (lineno && frame->lineno != (unsigned int)lineno))
		tap_fail(__FILE__, __LINE__, "%s:%u (%s), not line %d (%s)", frame->filename,
			 frame->lineno, frame->symbol, lineno, symbol);
}

static struct moheap_traceback *traceback_of(moheap_ref_t ref)
{
	struct moheap_traceback *traceback = NULL;

	err_is(moheap_tracemalloc_get_object_traceback(heap, ref, &traceback), 0);
	ok(traceback->nframes);
	return traceback;
}

static void untraced(moheap_ref_t ref)
{
	struct moheap_traceback *traceback;

	err_is(moheap_tracemalloc_get_object_traceback(heap, ref, &traceback), -ENOENT);
}

static __u64 traced(__u64 *peak)
{
	__u64 size = 0;

	err_is(moheap_tracemalloc_get_traced_memory(heap, &size, peak), 0);
	return size;
}

static struct moheap_snapshot *take(void)
{
	struct moheap_snapshot *snapshot;

	err_is(moheap_tracemalloc_take_snapshot(heap, &snapshot), 0);
	return snapshot;
}

/* ---- TestTracemallocEnabled ---- */

static void test_get_tracemalloc_memory(void)
{
	size_t size, size2;
	unsigned int i;

	setup(1);
	for (i = 0; i < 1000; i++)
		allocate(123);
	size = moheap_tracemalloc_get_tracemalloc_memory(heap);
	ok(size > 0);
	/* All were made in one place. */
	ok(size < 4096);
	err_is(moheap_tracemalloc_clear_traces(heap), 0);
	size2 = moheap_tracemalloc_get_tracemalloc_memory(heap);
	ok(size2 <= size);
}

static void test_get_object_traceback(void)
{
	struct moheap_traceback *traceback;
	moheap_ref_t ref;

	setup(1);
	ref = allocate(12345);
	traceback = traceback_of(ref);
	is(traceback->nframes, 1);
	frame_is(traceback->frames, "allocate", line);
	moheap_traceback_free(traceback);
	moheap_traceback_free(NULL);
}

/* Blocks come out of a stock of those that were given up: the traceback is of the new object. */
static void test_new_reference(void)
{
	struct moheap_traceback *traceback;
	moheap_ref_t old, ref;
	unsigned int i;

	setup_off();
	/* The same block again and again. */
	old = allocate_elsewhere(40);
	err_is(moheap_decref(heap, old), 0);
	err_is(moheap_tracemalloc_start(heap, 1), 0);
	for (i = 0; i < 3; i++) {
		ref = allocate(40);
		traceback = traceback_of(ref);
		frame_is(traceback->frames, "allocate", line);
		moheap_traceback_free(traceback);
		err_is(moheap_decref(heap, ref), 0);
		ref = allocate_elsewhere(40);
		traceback = traceback_of(ref);
		frame_is(traceback->frames, "allocate_elsewhere", line);
		moheap_traceback_free(traceback);
		err_is(moheap_decref(heap, ref), 0);
	}
	is(traced(NULL), 0);
}

static void test_set_traceback_limit(void)
{
	struct moheap_traceback *traceback;

	setup_off();
	err_is(moheap_tracemalloc_start(heap, 0), -ERANGE);
	err_is(moheap_tracemalloc_start(heap, MOHEAP_NFRAME_MAX + 1), -ERANGE);
	err_is(moheap_tracemalloc_start(heap, -1), -ERANGE);
	ok(!moheap_tracemalloc_is_tracing(heap));
	is(moheap_tracemalloc_get_traceback_limit(heap), 0);

	err_is(moheap_tracemalloc_start(heap, 10), 0);
	is(moheap_tracemalloc_get_traceback_limit(heap), 10);
	/* It is on already: nothing changes. */
	err_is(moheap_tracemalloc_start(heap, 5), 0);
	is(moheap_tracemalloc_get_traceback_limit(heap), 10);
	traceback = traceback_of(allocate_deep(20, 10));
	is(traceback->nframes, 10);
	frame_is(&traceback->frames[0], "allocate", line);
	frame_is(&traceback->frames[9], "allocate_deep", 0);
	moheap_traceback_free(traceback);

	err_is(moheap_tracemalloc_stop(heap), 0);
	err_is(moheap_tracemalloc_start(heap, 1), 0);
	traceback = traceback_of(allocate_deep(20, 10));
	is(traceback->nframes, 1);
	frame_is(&traceback->frames[0], "allocate", line);
	moheap_traceback_free(traceback);

	err_is(moheap_tracemalloc_stop(heap), 0);
	err_is(moheap_tracemalloc_start(heap, MOHEAP_NFRAME_MAX), 0);
	traceback = traceback_of(allocate_deep(300, 10));
	is(traceback->nframes, MOHEAP_NFRAME_MAX);
	moheap_traceback_free(traceback);
}

static void test_get_traces(void)
{
	struct moheap_snapshot *snapshot;
	struct moheap_trace trace;
	moheap_ref_t ref;

	setup(1);
	ref = allocate(12345);
	snapshot = take();
	is(moheap_snapshot_len(snapshot), 1);
	err_is(moheap_snapshot_trace(snapshot, 0, &trace), 0);
	ok(trace.ref == ref);
	is(trace.size, moheap_getsizeof(heap, ref));
	ok(trace.size >= 12345);
	is(trace.type, type);
	is(trace.traceback.nframes, 1);
	frame_is(trace.traceback.frames, "allocate", line);
	err_is(moheap_snapshot_trace(snapshot, 1, &trace), -ERANGE);
	moheap_snapshot_free(snapshot);
	err_is(moheap_tracemalloc_stop(heap), 0);
	err_is(moheap_tracemalloc_take_snapshot(heap, &snapshot), -EINVAL);
	ok(!snapshot);
}

/* Two tracebacks that are the same are kept once. */
static void test_get_traces_intern_traceback(void)
{
	struct moheap_trace trace[2];
	struct moheap_snapshot *snapshot;
	size_t size;
	unsigned int i;

	setup(4);
	for (i = 0; i < 2; i++)
		allocate_deep(10, 123);
	snapshot = take();
	is(moheap_snapshot_len(snapshot), 2);
	for (i = 0; i < 2; i++)
		err_is(moheap_snapshot_trace(snapshot, i, &trace[i]), 0);
	is(trace[0].traceback.nframes, 4);
	ok(trace[0].traceback.frames == trace[1].traceback.frames);
	size = moheap_tracemalloc_get_tracemalloc_memory(heap);
	for (i = 0; i < 1000; i++)
		allocate_deep(10, 123);
	/* One more place, in this loop. */
	ok(moheap_tracemalloc_get_tracemalloc_memory(heap) <= size);
	moheap_snapshot_free(snapshot);
}

static void test_get_traced_memory(void)
{
	__u64 size, peak, size2, peak2;
	const size_t bytes = 1024 * 1024;
	moheap_ref_t ref;

	setup(1);
	ref = allocate(bytes);
	size = traced(&peak);
	is(size, moheap_getsizeof(heap, ref));
	ok(size >= bytes);
	is(peak, size);
	err_is(moheap_decref(heap, ref), 0);
	size2 = traced(&peak2);
	is(size2, 0);
	is(peak2, peak);

	err_is(moheap_tracemalloc_clear_traces(heap), 0);
	is(traced(&peak), 0);
	is(peak, 0);
	allocate(bytes);
	ok(traced(NULL) >= bytes);
	err_is(moheap_tracemalloc_stop(heap), 0);
	is(traced(&peak), 0);
	is(peak, 0);
	/* Neither is asked for. */
	err_is(moheap_tracemalloc_get_traced_memory(heap, NULL, NULL), 0);
}

static void test_clear_traces(void)
{
	moheap_ref_t ref;

	setup(1);
	ref = allocate(123);
	moheap_traceback_free(traceback_of(ref));
	err_is(moheap_tracemalloc_clear_traces(heap), 0);
	untraced(ref);
	ok(moheap_tracemalloc_is_tracing(heap));
	moheap_traceback_free(traceback_of(allocate(123)));
}

static void test_reset_peak(void)
{
	__u64 size1, peak1, size2, peak2, size3, peak3;
	moheap_ref_t refs[100];
	unsigned int i;

	setup(1);
	for (i = 0; i < 100; i++)
		refs[i] = allocate(1000);
	for (i = 0; i < 100; i++)
		err_is(moheap_decref(heap, refs[i]), 0);
	size1 = traced(&peak1);
	ok(peak1 >= size1 + 100000);
	err_is(moheap_tracemalloc_reset_peak(heap), 0);
	size2 = traced(&peak2);
	is(peak2, size2);
	ok(peak2 < peak1);
	allocate(1024 * 1024);
	size3 = traced(&peak3);
	is(peak3, size3);
	ok(peak3 - peak2 >= 1024 * 1024);
}

static void test_is_tracing(void)
{
	setup_off();
	ok(!moheap_tracemalloc_is_tracing(heap));
	err_is(moheap_tracemalloc_start(heap, 1), 0);
	ok(moheap_tracemalloc_is_tracing(heap));
	err_is(moheap_tracemalloc_stop(heap), 0);
	ok(!moheap_tracemalloc_is_tracing(heap));
	err_is(moheap_tracemalloc_stop(heap), 0);
}

static const char dump_path[] = "/tmp/moheap-snapshot";

static void traces_are_equal(struct moheap_snapshot *a, struct moheap_snapshot *b)
{
	struct moheap_trace x, y;
	unsigned int j;
	size_t i;

	is(moheap_snapshot_len(a), moheap_snapshot_len(b));
	for (i = 0; i < moheap_snapshot_len(a); i++) {
		err_is(moheap_snapshot_trace(a, i, &x), 0);
		err_is(moheap_snapshot_trace(b, i, &y), 0);
		ok(x.ref == y.ref);
		is(x.size, y.size);
		is(x.type, y.type);
		is(x.traceback.nframes, y.traceback.nframes);
		for (j = 0; j < x.traceback.nframes; j++) {
			const struct moheap_frame *f = &x.traceback.frames[j];
			const struct moheap_frame *g = &y.traceback.frames[j];

			is(f->lineno, g->lineno);
			ok(!strcmp(f->filename, g->filename));
			ok(!f->symbol == !g->symbol);
			ok(!f->symbol || !strcmp(f->symbol, g->symbol));
		}
	}
}

static struct moheap_snapshot *dump_and_load(struct moheap_snapshot *snapshot)
{
	struct moheap_snapshot *loaded;

	err_is(moheap_snapshot_dump(snapshot, dump_path), 0);
	err_is(moheap_snapshot_load(dump_path, &loaded), 0);
	is(moheap_snapshot_get_traceback_limit(loaded),
	   moheap_snapshot_get_traceback_limit(snapshot));
	return loaded;
}

static void test_snapshot(void)
{
	struct moheap_snapshot *snapshot, *loaded;
	unsigned int i;

	setup(5);
	for (i = 0; i < 1000; i++) {
		allocate_deep(i % 10, i);
		allocate_elsewhere(10);
	}
	snapshot = take();
	is(moheap_snapshot_len(snapshot), 2000);
	is(moheap_snapshot_get_traceback_limit(snapshot), 5);
	loaded = dump_and_load(snapshot);
	traces_are_equal(snapshot, loaded);
	moheap_snapshot_free(snapshot);
	moheap_snapshot_free(loaded);
	moheap_snapshot_free(NULL);
	err_is(moheap_tracemalloc_stop(heap), 0);
	err_is(moheap_tracemalloc_take_snapshot(heap, &snapshot), -EINVAL);
}

/* A snapshot does not change with the heap, nor need it. */
static void outlives_the_heap(void)
{
	struct moheap_snapshot *snapshot, *loaded;
	struct moheap_trace trace;
	moheap_ref_t ref;

	setup(1);
	ref = allocate(100);
	snapshot = take();
	err_is(moheap_decref(heap, ref), 0);
	err_is(moheap_tracemalloc_stop(heap), 0);
	is(moheap_snapshot_len(snapshot), 1);
	/* Looked up only now. */
	err_is(moheap_snapshot_trace(snapshot, 0, &trace), 0);
	frame_is(trace.traceback.frames, "allocate", line);
	loaded = dump_and_load(snapshot);
	moheap_snapshot_free(snapshot);
	err_is(moheap_snapshot_trace(loaded, 0, &trace), 0);
	ok(trace.ref == ref);
	moheap_snapshot_free(loaded);
}

struct parental {
	moheap_ref_t ref;
	int line;
};

static void child_traces(void *arg)
{
	struct parental *parental = arg;
	struct moheap_traceback *traceback;
	moheap_ref_t ref;

	ok(moheap_tracemalloc_is_tracing(heap));
	is(moheap_tracemalloc_get_traceback_limit(heap), 1);
	/* The account is its own; where its parent made what there was, it knows. */
	is(traced(NULL), 0);
	traceback = traceback_of(parental->ref);
	frame_is(traceback->frames, "allocate", parental->line);
	moheap_traceback_free(traceback);
	ref = allocate_elsewhere(12345);
	traceback = traceback_of(ref);
	frame_is(traceback->frames, "allocate_elsewhere", line);
	moheap_traceback_free(traceback);
	is(traced(NULL), moheap_getsizeof(heap, ref));
	is(moheap_snapshot_len(take()), 1);
	err_is(moheap_tracemalloc_stop(heap), 0);
	untraced(parental->ref);
}

static void test_fork(void)
{
	struct parental parental;
	__u64 size;

	setup(1);
	parental.ref = allocate(100);
	parental.line = line;
	size = traced(NULL);
	tap_wait(tap_fork(child_traces, &parental));
	/* Whatever the child did, this account is as it was; what it made went with it. */
	is(traced(NULL), size);
	moheap_traceback_free(traceback_of(parental.ref));
}

static void child_of_the_same_client(void *arg)
{
	(void)arg;
	ok(!moheap_tracemalloc_is_tracing(heap));
	allocate(10);
}

static void fork_with_a_shared_client(void)
{
	moheap_ref_t ref;
	__u64 size;

	setup(1);
	err_is(moheap_set_fork(heap, MOHEAP_FORK_SHARE), 0);
	ref = allocate(10);
	size = traced(NULL);
	tap_wait(tap_fork(child_of_the_same_client, NULL));
	is(traced(NULL), size);
	moheap_traceback_free(traceback_of(ref));
}

/* Frames of the library are left out; those of the program are there, to where it began. */
static void test_no_incomplete_frames(void)
{
	struct moheap_traceback *traceback;
	const struct moheap_frame *frame;
	bool began = false;
	unsigned int i;

	setup(64);
	traceback = traceback_of(allocate_deep(3, 10));
	ok(traceback->nframes < 64);
	frame_is(&traceback->frames[0], "allocate", line);
	for (i = 1; i <= 4; i++)
		frame_is(&traceback->frames[i], "allocate_deep", 0);
	frame_is(&traceback->frames[5], __func__, __LINE__ - 5);
	for (i = 0; i < traceback->nframes; i++) {
		frame = &traceback->frames[i];
		ok(!strstr(frame->filename, "userlib/src/") && !strstr(frame->filename, ".so.0"));
		began = began || (frame->symbol && !strcmp(frame->symbol, "tap_main"));
	}
	ok(began);
	moheap_traceback_free(traceback);
}

/* ---- TestSnapshot: invented traces ---- */

static struct moheap_snapshot *snapshot_of(const char *text, int err)
{
	struct moheap_snapshot *snapshot = NULL;
	FILE *file = fopen(dump_path, "we");

	ok(file && fputs(text, file) >= 0 && !fclose(file));
	err_is(moheap_snapshot_load(dump_path, &snapshot), err);
	return snapshot;
}

/* Frames 0 to 4 of the first; 5 is in the second alone. */
#define HEAD "moheap-snapshot 1\nnframe 2\n"
#define FRAMES "2 a.py -\n4 b.py -\n5 a.py -\n1 b.py -\n0 <unknown> -\n"

static const char text1[] = HEAD "frames 5\n" FRAMES
	"tracebacks 4\n2 0 1\n2 2 1\n1 3\n1 4\n"
	"traces 6\n1 10 0 0\n2 10 0 0\n3 10 0 0\n4 2 1 1\n5 66 2 2\n6 7 3 3\nend\n";

static const char text2[] = HEAD "frames 6\n" FRAMES "578 c.py -\n"
	"tracebacks 3\n2 0 1\n2 2 1\n1 5\n"
	"traces 6\n1 10 0 0\n2 10 0 0\n3 10 0 0\n7 2 2 1\n8 5000 2 1\n9 400 4 2\nend\n";

static struct moheap_snapshot *snapshot1(void)
{
	return snapshot_of(text1, 0);
}

static struct moheap_snapshot *snapshot2(void)
{
	return snapshot_of(text2, 0);
}

static void test_create_snapshot(void)
{
	struct moheap_snapshot *snapshot;
	struct moheap_trace trace;

	snapshot = snapshot_of("moheap-snapshot 1\nnframe 5\nframes 1\n2 a.py -\n"
			       "tracebacks 1\n1 0\ntraces 1\n1 5 0 0\nend\n", 0);
	is(moheap_snapshot_get_traceback_limit(snapshot), 5);
	is(moheap_snapshot_len(snapshot), 1);
	err_is(moheap_snapshot_trace(snapshot, 0, &trace), 0);
	is(trace.size, 5);
	is(trace.traceback.nframes, 1);
	ok(!strcmp(trace.traceback.frames[0].filename, "a.py"));
	is(trace.traceback.frames[0].lineno, 2);
	ok(!trace.traceback.frames[0].symbol);
	moheap_snapshot_free(snapshot);
}

static struct moheap_snapshot *filtered(struct moheap_snapshot *snapshot,
					const struct moheap_filter *filters, size_t n)
{
	struct moheap_snapshot *some;

	err_is(moheap_snapshot_filter(snapshot, filters, n, &some), 0);
	return some;
}

/* What is left, by the refs of the traces. */
static void left_is(struct moheap_snapshot *snapshot, const char *refs)
{
	struct moheap_trace trace;
	size_t i;

	is(moheap_snapshot_len(snapshot), strlen(refs));
	for (i = 0; refs[i]; i++) {
		err_is(moheap_snapshot_trace(snapshot, i, &trace), 0);
		is(trace.ref, refs[i] - '0');
	}
}

static void test_filter_traces(void)
{
	struct moheap_filter exclude = MOHEAP_FILTER(false, "b.py");
	struct moheap_filter lines[2] = {
		MOHEAP_FILTER(true, "a.py"), MOHEAP_FILTER(true, "a.py"),
	};
	struct moheap_snapshot *all = snapshot1(), *some, *less, *same;

	lines[0].lineno = 2;
	lines[1].lineno = 5;
	some = filtered(all, &exclude, 1);
	left_is(some, "12346");
	/* The other is as it was. */
	left_is(all, "123456");
	less = filtered(some, lines, 2);
	left_is(less, "1234");
	same = filtered(all, NULL, 0);
	ok(same != all);
	traces_are_equal(same, all);
	/* Each stands on its own. */
	moheap_snapshot_free(all);
	moheap_snapshot_free(some);
	left_is(less, "1234");
	left_is(same, "123456");
	moheap_snapshot_free(less);
	moheap_snapshot_free(same);
}

static void test_filter_traces_domain(void)
{
	struct moheap_filter exclude = MOHEAP_FILTER(false, "a.py");
	struct moheap_filter include = MOHEAP_FILTER(true, "a.py");
	struct moheap_snapshot *all = snapshot1();

	exclude.type = 1;
	include.type = 1;
	left_is(filtered(all, &exclude, 1), "12356");
	left_is(filtered(all, &include, 1), "4");
}

static void test_filter_traces_domain_filter(void)
{
	struct moheap_filter exclude = MOHEAP_FILTER(false, NULL);
	struct moheap_filter include = MOHEAP_FILTER(true, NULL);
	struct moheap_snapshot *all = snapshot1();

	exclude.type = 3;
	include.type = 3;
	left_is(filtered(all, &exclude, 1), "12345");
	left_is(filtered(all, &include, 1), "6");
}

/**
 * struct want - a statistic that is wanted
 * @filename: of the most recent frame; NULL: there is no more
 * @lineno: of it
 * @size: as struct moheap_statistic
 * @size_diff: ditto
 * @count: ditto
 * @count_diff: ditto
 * @nframes: frames, where more than one
 */
struct want {
	const char *filename;
	int lineno;
	long long size, size_diff;
	long long count, count_diff;
	unsigned int nframes;
};

static void statistics_are(struct moheap_snapshot *snapshot, struct moheap_snapshot *old,
			   unsigned int key, const struct want *want)
{
	struct moheap_statistic *statistics;
	const struct moheap_frame *frame;
	size_t n, i;

	if (old)
		err_is(moheap_snapshot_compare_to(snapshot, old, key, &statistics, &n), 0);
	else
		err_is(moheap_snapshot_statistics(snapshot, key, &statistics, &n), 0);
	for (i = 0; i < n; i++, want++) {
		frame = statistics[i].traceback.frames;
		ok(want->filename);
		if (strcmp(frame->filename, want->filename))
			tap_fail(__FILE__, __LINE__, "%s, not %s", frame->filename, want->filename);
		is(frame->lineno, want->lineno);
		is(statistics[i].size, want->size);
		is(statistics[i].size_diff, want->size_diff);
		is(statistics[i].count, want->count);
		is(statistics[i].count_diff, want->count_diff);
		is(statistics[i].traceback.nframes, want->nframes ? want->nframes : 1);
	}
	ok(!want->filename);
	free(statistics);
}

static void test_snapshot_group_by_line(void)
{
	struct moheap_snapshot *a = snapshot1(), *b = snapshot2();

	statistics_are(a, NULL, MOHEAP_KEY_LINENO, (const struct want[]){
		{ "b.py", 1, 66, 0, 1 },
		{ "a.py", 2, 30, 0, 3 },
		{ "<unknown>", 0, 7, 0, 1 },
		{ "a.py", 5, 2, 0, 1 },
		{ NULL } });
	statistics_are(b, NULL, MOHEAP_KEY_LINENO, (const struct want[]){
		{ "a.py", 5, 5002, 0, 2 },
		{ "c.py", 578, 400, 0, 1 },
		{ "a.py", 2, 30, 0, 3 },
		{ NULL } });
	statistics_are(b, a, MOHEAP_KEY_LINENO, (const struct want[]){
		{ "a.py", 5, 5002, 5000, 2, 1 },
		{ "c.py", 578, 400, 400, 1, 1 },
		{ "b.py", 1, 0, -66, 0, -1 },
		{ "<unknown>", 0, 0, -7, 0, -1 },
		{ "a.py", 2, 30, 0, 3, 0 },
		{ NULL } });
}

static void test_snapshot_group_by_file(void)
{
	struct moheap_snapshot *a = snapshot1(), *b = snapshot2();

	statistics_are(a, NULL, MOHEAP_KEY_FILENAME, (const struct want[]){
		{ "b.py", 0, 66, 0, 1 },
		{ "a.py", 0, 32, 0, 4 },
		{ "<unknown>", 0, 7, 0, 1 },
		{ NULL } });
	statistics_are(b, NULL, MOHEAP_KEY_FILENAME, (const struct want[]){
		{ "a.py", 0, 5032, 0, 5 },
		{ "c.py", 0, 400, 0, 1 },
		{ NULL } });
	statistics_are(b, a, MOHEAP_KEY_FILENAME, (const struct want[]){
		{ "a.py", 0, 5032, 5000, 5, 1 },
		{ "c.py", 0, 400, 400, 1, 1 },
		{ "b.py", 0, 0, -66, 0, -1 },
		{ "<unknown>", 0, 0, -7, 0, -1 },
		{ NULL } });
}

static void test_snapshot_group_by_traceback(void)
{
	struct moheap_snapshot *a = snapshot1(), *b = snapshot2();
	struct moheap_statistic *statistics;
	size_t n;

	statistics_are(a, NULL, MOHEAP_KEY_TRACEBACK, (const struct want[]){
		{ "b.py", 1, 66, 0, 1 },
		{ "a.py", 2, 30, 0, 3, .nframes = 2 },
		{ "<unknown>", 0, 7, 0, 1 },
		{ "a.py", 5, 2, 0, 1, .nframes = 2 },
		{ NULL } });
	statistics_are(b, NULL, MOHEAP_KEY_TRACEBACK, (const struct want[]){
		{ "a.py", 5, 5002, 0, 2, .nframes = 2 },
		{ "c.py", 578, 400, 0, 1 },
		{ "a.py", 2, 30, 0, 3, .nframes = 2 },
		{ NULL } });
	statistics_are(b, a, MOHEAP_KEY_TRACEBACK, (const struct want[]){
		{ "a.py", 5, 5002, 5000, 2, 1, 2 },
		{ "c.py", 578, 400, 400, 1, 1 },
		{ "b.py", 1, 0, -66, 0, -1 },
		{ "<unknown>", 0, 0, -7, 0, -1 },
		{ "a.py", 2, 30, 0, 3, 0, 2 },
		{ NULL } });
	err_is(moheap_snapshot_statistics(a, MOHEAP_KEY_TRACEBACK | MOHEAP_KEY_CUMULATIVE,
					  &statistics, &n), -EINVAL);
	err_is(moheap_snapshot_statistics(a, 4, &statistics, &n), -EINVAL);
	err_is(moheap_snapshot_compare_to(a, b, 0x200, &statistics, &n), -EINVAL);
}

static void test_snapshot_group_by_cumulative(void)
{
	struct moheap_snapshot *a = snapshot1();

	statistics_are(a, NULL, MOHEAP_KEY_FILENAME | MOHEAP_KEY_CUMULATIVE, (const struct want[]){
		{ "b.py", 0, 98, 0, 5 },
		{ "a.py", 0, 32, 0, 4 },
		{ "<unknown>", 0, 7, 0, 1 },
		{ NULL } });
	statistics_are(a, NULL, MOHEAP_KEY_LINENO | MOHEAP_KEY_CUMULATIVE, (const struct want[]){
		{ "b.py", 1, 66, 0, 1 },
		{ "b.py", 4, 32, 0, 4 },
		{ "a.py", 2, 30, 0, 3 },
		{ "<unknown>", 0, 7, 0, 1 },
		{ "a.py", 5, 2, 0, 1 },
		{ NULL } });
}

static void first_line_is(struct moheap_snapshot *snapshot, struct moheap_snapshot *old,
			  const char *want)
{
	struct moheap_statistic *statistics;
	char text[200], less[10];
	size_t n;

	if (old) {
		err_is(moheap_snapshot_compare_to(snapshot, old, MOHEAP_KEY_LINENO, &statistics,
						  &n), 0);
		is(moheap_statistic_diff_format(statistics, text, sizeof(text)), strlen(want));
		is(moheap_statistic_diff_format(statistics, NULL, 0), strlen(want));
	} else {
		err_is(moheap_snapshot_statistics(snapshot, MOHEAP_KEY_LINENO, &statistics, &n), 0);
		is(moheap_statistic_format(statistics, text, sizeof(text)), strlen(want));
		is(moheap_statistic_format(statistics, less, sizeof(less)), strlen(want));
		ok(!strncmp(less, want, 9) && !less[9]);
	}
	if (strcmp(text, want))
		tap_fail(__FILE__, __LINE__, "%s", text);
	free(statistics);
}

static void test_statistic_format(void)
{
	first_line_is(snapshot1(), NULL, "b.py:1: size=66 B, count=1, average=66 B");
	first_line_is(snapshot_of("moheap-snapshot 1\nnframe 1\nframes 1\n7 a%20b.c main\n"
				  "tracebacks 1\n1 0\ntraces 2\n1 10239 0 0\n2 20479 0 0\n"
				  "end\n", 0),
		      NULL, "a b.c:7 (main): size=30.0 KiB, count=2, average=15.0 KiB");
	first_line_is(snapshot_of("moheap-snapshot 1\nnframe 1\nframes 1\n7 a.c -\n"
				  "tracebacks 1\n1 0\ntraces 1\n1 500000000000000 0 0\nend\n", 0),
		      NULL, "a.c:7: size=455 TiB, count=1, average=455 TiB");
}

static void test_statistic_diff_format(void)
{
	first_line_is(snapshot2(), snapshot1(),
		      "a.py:5: size=5002 B (+5000 B), count=2 (+1), average=2501 B");
	first_line_is(snapshot1(), snapshot2(),
		      "a.py:5: size=2 B (-5000 B), count=1 (-1), average=2 B");
}

/* A part of a traceback is a traceback. */
static void test_slices(void)
{
	struct moheap_snapshot *snapshot = snapshot1();
	struct moheap_traceback oldest;
	struct moheap_trace trace;
	char text[100];

	err_is(moheap_snapshot_trace(snapshot, 0, &trace), 0);
	oldest = (struct moheap_traceback){
		.frames = trace.traceback.frames + 1,
		.nframes = trace.traceback.nframes - 1,
	};
	ok(moheap_traceback_format(&oldest, text, sizeof(text)) > 0);
	ok(!strcmp(text, "  File \"b.py\", line 4\n"));
}

static void test_format_traceback(void)
{
	static const char want[] =
		"  File \"/tmp/source.c\", line 3, in main\n    return f();\n"
		"  File \"/tmp/source.c\", line 1, in f\n    int f(void);\n"
		"  File \"/tmp/source.c\", line 2\n"
		"  File \"/tmp/source.c\", line 9\n"
		"  File \"/tmp/no-source.c\", line 1\n";
	struct moheap_snapshot *snapshot;
	FILE *file = fopen("/tmp/source.c", "we");
	struct moheap_trace trace;
	char text[1000];

	ok(file && fputs("int f(void);\n\n \t return f(); \t\n", file) >= 0 && !fclose(file));
	snapshot = snapshot_of("moheap-snapshot 1\nnframe 5\nframes 5\n1 /tmp/no-source.c -\n"
			       "9 /tmp/source.c -\n2 /tmp/source.c -\n1 /tmp/source.c f\n"
			       "3 /tmp/source.c main\ntracebacks 1\n5 0 1 2 3 4\n"
			       "traces 1\n1 10 0 0\nend\n", 0);
	err_is(moheap_snapshot_trace(snapshot, 0, &trace), 0);
	is(moheap_traceback_format(&trace.traceback, text, sizeof(text)), sizeof(want) - 1);
	if (strcmp(text, want))
		tap_fail(__FILE__, __LINE__, "%s", text);
	is(moheap_traceback_format(&trace.traceback, NULL, 0), sizeof(want) - 1);
	is(moheap_traceback_format(&trace.traceback, text, 10), sizeof(want) - 1);
	ok(!strcmp(text, "  File \"/"));
}

/* ---- TestFilters ---- */

/* Does a filter keep a trace with these frames? */
static bool keeps(struct moheap_filter filter, const char *frames)
{
	struct moheap_snapshot *snapshot, *some;
	unsigned int n = 0, i;
	char text[500];
	bool kept;

	for (i = 0; frames[i]; i++)
		n += frames[i] == '\n';
	snprintf(text, sizeof(text),
		 HEAD "frames %u\n%stracebacks 1\n%s\ntraces 1\n1 5 0 0\nend\n", n, frames,
		 n == 1 ? "1 0" : "2 0 1");
	snapshot = snapshot_of(text, 0);
	some = filtered(snapshot, &filter, 1);
	kept = moheap_snapshot_len(some);
	moheap_snapshot_free(snapshot);
	moheap_snapshot_free(some);
	return kept;
}

static bool keeps_frame(bool inclusive, const char *pattern, int lineno, const char *filename,
			int at)
{
	struct moheap_filter filter = MOHEAP_FILTER(inclusive, pattern);
	char text[100];

	filter.lineno = lineno;
	snprintf(text, sizeof(text), "%d %s -\n", at, filename);
	return keeps(filter, text);
}

static void test_filter_attributes(void)
{
	struct moheap_filter filter = MOHEAP_FILTER(true, "abc");

	ok(filter.inclusive && !filter.all_frames);
	ok(!strcmp(filter.filename, "abc"));
	ok(!filter.symbol);
	is(filter.lineno, MOHEAP_FILTER_ANY);
	is(filter.type, MOHEAP_FILTER_ANY);
}

static void test_filter_match(void)
{
	static const int lines[] = { MOHEAP_FILTER_ANY, 5, 0 };
	unsigned int i, j;
	bool matches;

	for (i = 0; i < 3; i++) {
		for (j = 0; j <= 10; j += 5) {
			matches = lines[i] == MOHEAP_FILTER_ANY || lines[i] == (int)j;
			is(keeps_frame(true, "abc", lines[i], "abc", j), matches);
			is(keeps_frame(false, "abc", lines[i], "abc", j), !matches);
			ok(!keeps_frame(true, "abc", lines[i], "12356", j));
			ok(keeps_frame(false, "abc", lines[i], "12356", j));
		}
	}
}

static void test_filter_match_filename(void)
{
	ok(keeps_frame(true, "abc", -1, "abc", 0));
	ok(!keeps_frame(true, "abc", -1, "12356", 0));
	ok(!keeps_frame(true, "abc", -1, "<unknown>", 0));
	ok(!keeps_frame(false, "abc", -1, "abc", 0));
	ok(keeps_frame(false, "abc", -1, "12356", 0));
	ok(keeps_frame(false, "abc", -1, "<unknown>", 0));
}

static void test_filter_match_filename_joker(void)
{
	static const struct {
		const char *filename, *pattern;
		bool matches;
	} cases[] = {
		{ "abc", "", false }, { "", "abc", false }, { "", "", true }, { "", "*", true },
		{ "abc", "abc", true }, { "abc", "abcd", false }, { "abc", "def", false },
		{ "abc", "a*", true }, { "abc", "abc*", true }, { "abc", "b*", false },
		{ "abc", "abcd*", false }, { "abc", "a*c", true }, { "abcdcx", "a*cx", true },
		{ "abb", "a*c", false }, { "abcdce", "a*cx", false }, { "abcde", "a*c*e", true },
		{ "abcbdefeg", "a*bd*eg", true }, { "abcdd", "a*c*e", false },
		{ "abcbdefef", "a*bd*eg", false }, { "aBC", "ABc", false },
		{ "aBcDe", "Ab*dE", false }, { "a/b", "a\\b", false }, { "a\\b", "a\\b", true },
		{ "a/b\\c", "a\\b/c", false }, { "/usr/src/a.c", "*/a.c", true },
		{ "/usr/src/.a.c", "/usr*", true }, { "abc", "a?[b-d]", true },
	};
	unsigned int i;

	for (i = 0; i < TAP_COUNT(cases); i++)
		if (keeps_frame(true, cases[i].pattern, -1, cases[i].filename, 0) !=
		    cases[i].matches)
			tap_fail(__FILE__, __LINE__, "%s, %s", cases[i].filename, cases[i].pattern);
}

static void test_filter_match_trace(void)
{
	static const char *const traces[] = {
		"2 a.py -\n3 b.py -\n", "4 b.py -\n5 b.py -\n", "5 c.py -\n0 <unknown> -\n",
		"0 <unknown> -\n",
	};
	static const struct {
		bool inclusive, all_frames;
		const char *pattern, *kept;
	} cases[] = {
		{ true, true, "b.py", "yynn" },
		{ true, false, "b.py", "nynn" },
		{ false, true, "b.py", "nnyy" },
		{ false, false, "b.py", "ynyy" },
		{ false, false, "<unknown>", "yyyn" },
		{ true, true, "<unknown>", "nnyy" },
		{ false, true, "<unknown>", "yynn" },
	};
	struct moheap_filter filter = MOHEAP_FILTER(true, NULL);
	unsigned int i, j;

	for (i = 0; i < TAP_COUNT(cases); i++) {
		filter.inclusive = cases[i].inclusive;
		filter.all_frames = cases[i].all_frames;
		filter.filename = cases[i].pattern;
		for (j = 0; j < TAP_COUNT(traces); j++)
			is(keeps(filter, traces[j]), cases[i].kept[j] == 'y');
	}
}

static void filter_by_symbol(void)
{
	struct moheap_filter filter = MOHEAP_FILTER(true, NULL);

	filter.symbol = "list_*";
	ok(keeps(filter, "2 a.c list_append\n"));
	ok(!keeps(filter, "2 a.c main\n"));
	/* No symbol matches none. */
	filter.symbol = "*";
	ok(!keeps(filter, "2 a.c -\n"));
	ok(keeps(filter, "2 a.c %2D\n"));
	filter.filename = "b.c";
	ok(!keeps(filter, "2 a.c main\n"));
	filter.all_frames = true;
	ok(keeps(filter, "2 a.c main\n3 b.c f\n"));
}

/* ---- TestCommandLine: the environment ---- */

static void setup_env(const char *value)
{
	if (value)
		setenv("MOHEAP_TRACEMALLOC", value, 1);
	setup_off();
}

static void test_env_var_disabled_by_default(void)
{
	setup_env(NULL);
	ok(!moheap_tracemalloc_is_tracing(heap));
}

static void test_env_var_disabled(void)
{
	setup_env("0");
	ok(!moheap_tracemalloc_is_tracing(heap));
	setup_env("");
	ok(!moheap_tracemalloc_is_tracing(heap));
}

static void test_env_var_enabled_at_startup(void)
{
	setup_env("1");
	ok(moheap_tracemalloc_is_tracing(heap));
	moheap_traceback_free(traceback_of(allocate(10)));
}

static void test_env_limit(void)
{
	struct moheap *joined;

	setup_env("10");
	is(moheap_tracemalloc_get_traceback_limit(heap), 10);
	err_is(moheap_join(moheap_fd(heap), 0, &joined), 0);
	is(moheap_tracemalloc_get_traceback_limit(joined), 10);
	err_is(moheap_close(joined), 0);
}

static void test_env_var_invalid(void)
{
	static const char *const values[] = {
		"-1", "1073741824", "257", "x", "1x", " 1", "+1", "0x1",
		"99999999999999999999999",
	};
	unsigned int i;

	for (i = 0; i < TAP_COUNT(values); i++) {
		setenv("MOHEAP_TRACEMALLOC", values[i], 1);
		err_is(moheap_create(NULL, &heap), -EINVAL);
	}
}

/* Objects without payload are traced. */
static void test_pymem_alloc0(void)
{
	struct moheap_traceback *traceback;
	moheap_ref_t ref;

	setup_env("1");
	ref = allocate(0);
	traceback = traceback_of(ref);
	frame_is(traceback->frames, "allocate", line);
	moheap_traceback_free(traceback);
	is(traced(NULL), moheap_getsizeof(heap, ref));
}

/* ---- TestCAPI: what a program says itself ---- */

static void test_track_already_tracked(void)
{
	moheap_ref_t ref;
	__u64 size;

	setup(1);
	ref = allocate(123);
	size = traced(NULL);
	/* A second time replaces the first; number 1 is the traceback of the first. */
	err_is(raw_site(moheap_fd(heap), ref, 1), 0);
	is(traced(NULL), size);
	moheap_traceback_free(traceback_of(ref));
	/* One that was never given out. */
	err_is(raw_site(moheap_fd(heap), ref, 1000), 0);
	untraced(ref);
	is(traced(NULL), size);
	is(moheap_snapshot_len(take()), 0);
}

static void test_untrack(void)
{
	moheap_ref_t ref;

	setup(1);
	ref = allocate(123);
	moheap_traceback_free(traceback_of(ref));
	err_is(raw_site(moheap_fd(heap), ref, 0), 0);
	untraced(ref);
	is(traced(NULL), 0);
	err_is(raw_site(moheap_fd(heap), ref, 0), 0);
	err_is(raw_site(moheap_fd(heap), ref, 0), 0);
}

/* ---- Ours: every way to make an object ---- */

/* Each is called from here, through more or less of the library. */
static void through_every_call(void)
{
	struct moheap_traceback *traceback;
	moheap_ref_t refs[9], fixed;
	int lines[9], fixed_type;
	unsigned int i, n = 0;

	setup(2);
	fixed_type = tap_type(heap, "fixed", 40, 2);
	err_is(moheap_new(heap, fixed_type, &refs[n]), 0); lines[n++] = __LINE__;
	err_is(moheap_new_many(heap, fixed_type, 2, &refs[n]), 0); lines[n] = __LINE__;
	lines[n + 1] = lines[n];
	n += 2;
	err_is(moheap_int_new(heap, 1, &refs[n]), 0); lines[n++] = __LINE__;
	err_is(moheap_bytes_new(heap, "hello", 5, &refs[n]), 0); lines[n++] = __LINE__;
	err_is(moheap_list_new(heap, 0, &refs[n]), 0); lines[n++] = __LINE__;
	err_is(moheap_dict_new(heap, &refs[n]), 0); lines[n++] = __LINE__;
	err_is(moheap_tuple_new(heap, refs, 2, &refs[n]), 0); lines[n++] = __LINE__;
	for (i = 0; i < n; i++) {
		traceback = traceback_of(refs[i]);
		frame_is(traceback->frames, __func__, lines[i]);
		moheap_traceback_free(traceback);
	}
	/* What a list is made of as it grows is made by who appends. */
	err_is(moheap_tracemalloc_clear_traces(heap), 0);
	for (i = 0; i < 100; i++) {
		err_is(moheap_list_append(heap, refs[5], refs[0]), 0); lines[0] = __LINE__;
	}
	err_is(moheap_read(heap, refs[5], 0, 1, &fixed), 0);
	traceback = traceback_of(fixed);
	frame_is(traceback->frames, __func__, lines[0]);
	moheap_traceback_free(traceback);
}

/* Objects freed by the collector, and in cycles, count no longer. */
static void freed_by_the_collector(void)
{
	int node;
	moheap_ref_t refs[2];
	__u64 size;

	setup(1);
	node = tap_type(heap, "node", 16, 1);
	err_is(moheap_new_many(heap, node, 2, refs), 0);
	err_is(moheap_store(heap, refs[0], 0, refs[1]), 0);
	err_is(moheap_store(heap, refs[1], 0, refs[0]), 0);
	size = traced(NULL);
	is(size, 2 * moheap_getsizeof(heap, refs[0]));
	err_is(moheap_decref(heap, refs[0]), 0);
	err_is(moheap_decref(heap, refs[1]), 0);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(traced(NULL), 0);
}

/* Another client keeps what this one made: it counts, until it goes. */
static void kept_by_another(void)
{
	struct moheap *other;
	moheap_ref_t ref;
	__u64 size;

	setup(1);
	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	ref = allocate(100);
	size = traced(NULL);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_incref(other, ref), 0);
	err_is(moheap_decref(heap, ref), 0);
	is(traced(NULL), size);
	is(moheap_snapshot_len(take()), 1);
	err_is(moheap_decref(other, ref), 0);
	err_is(moheap_flush(other), 0);
	is(traced(NULL), 0);
	err_is(moheap_close(other), 0);
}

static void makes_and_is_killed(void *arg)
{
	(void)arg;
	allocate(1000);
	err_is(moheap_flush(heap), 0);
	raise(SIGKILL);
}

/* What a process traced is forgotten with it; that another keeps the object does not matter. */
static void killed_while_tracing(void)
{
	struct moheap_sites sites;
	int status;
	pid_t child;

	setup(1);
	allocate(10);
	child = tap_fork(makes_and_is_killed, NULL);
	is(waitpid(child, &status, 0), child);
	ok(WIFSIGNALED(status));
	tap_wait_objects(heap, 1);
	err_is(raw_sites(moheap_fd(heap), 0, &sites), 0);
	is(sites.objects, 1);
	err_is(moheap_check(heap), 0);
}

static void by_symbol_and_line(void)
{
	struct moheap_statistic *statistics;
	struct moheap_snapshot *old, *snapshot;
	unsigned int i;
	size_t n;

	setup(3);
	allocate(1000);
	old = take();
	for (i = 0; i < 10; i++)
		allocate_elsewhere(100);
	snapshot = take();
	err_is(moheap_snapshot_statistics(snapshot, MOHEAP_KEY_SYMBOL, &statistics, &n), 0);
	is(n, 2);
	frame_is(statistics[0].traceback.frames, statistics[0].count == 1 ? "allocate" :
		 "allocate_elsewhere", 0);
	is(statistics[0].traceback.frames->lineno, 0);
	is(statistics[0].count + statistics[1].count, 11);
	free(statistics);
	err_is(moheap_snapshot_compare_to(snapshot, old, MOHEAP_KEY_SYMBOL, &statistics, &n), 0);
	is(n, 2);
	frame_is(statistics[0].traceback.frames, "allocate_elsewhere", 0);
	is(statistics[0].count_diff, 10);
	is(statistics[1].count_diff, 0);
	free(statistics);
	/* Recursion counts once. */
	err_is(moheap_tracemalloc_clear_traces(heap), 0);
	allocate_deep(10, 100);
	snapshot = take();
	err_is(moheap_snapshot_statistics(snapshot, MOHEAP_KEY_SYMBOL | MOHEAP_KEY_CUMULATIVE,
					  &statistics, &n), 0);
	is(n, 2);
	is(statistics[0].count, 1);
	is(statistics[1].count, 1);
}

static void unbatched(void)
{
	struct moheap_traceback *traceback;
	moheap_ref_t ref;

	setenv("MOHEAP_UNBATCHED", "1", 1);
	setup(1);
	ref = allocate(10);
	traceback = traceback_of(ref);
	frame_is(traceback->frames, "allocate", line);
	err_is(moheap_decref(heap, ref), 0);
	is(traced(NULL), 0);
}

/* No room for a site: the object is there, and moheap_flush() says so. */
static void at_the_limit(void)
{
	struct moheap_stat stat = { .size = sizeof(stat) };
	moheap_ref_t ref;
	int err = 0, made;

	heap = tap_heap_limited(MOHEAP_LIMIT_MIN);
	type = tap_type(heap, "leaf", 16, 0);
	err_is(moheap_tracemalloc_start(heap, 1), 0);
	for (made = 0; !err; made++)
		err = moheap_new(heap, type, &ref);
	err_is(err, -ENOSPC);
	err = moheap_flush(heap);
	ok(err == 0 || err == -ENOSPC);
	err_is(moheap_stat(heap, &stat), 0);
	ok(stat.objects >= (unsigned int)made - 1);
	ok(moheap_snapshot_len(take()) <= stat.objects);
}

/* ---- Threads ---- */

#define THREADS	4

static atomic_bool over;

OWN_FRAME static void *make_and_drop(void *arg)
{
	unsigned int i, n = tap_scaled(20000);
	moheap_ref_t refs[8] = { 0 }, *ref;

	(void)arg;
	for (i = 0; i < n; i++) {
		ref = &refs[i % 8];
		err_is(moheap_decref(heap, *ref), 0);
		err_is(moheap_new_sized(heap, type, i % 100, 0, ref), 0);
	}
	for (i = 0; i < 8; i++)
		err_is(moheap_decref(heap, refs[i]), 0);
	return NULL;
}

static void *turn_on_and_off(void *arg)
{
	struct moheap_snapshot *snapshot;
	unsigned int i;
	int err;

	(void)arg;
	for (i = 0; !atomic_load(&over); i++) {
		err_is(moheap_tracemalloc_start(heap, 1 + i % 10), 0);
		usleep(500);
		err = moheap_tracemalloc_take_snapshot(heap, &snapshot);
		err_is(err, 0);
		ok(moheap_snapshot_len(snapshot) <= 8 * THREADS + 1000);
		moheap_snapshot_free(snapshot);
		if (i % 2)
			err_is(moheap_tracemalloc_clear_traces(heap), 0);
		traced(NULL);
		err_is(moheap_tracemalloc_stop(heap), 0);
	}
	return NULL;
}

static void threads_and_a_switch(void)
{
	pthread_t threads[THREADS], other;
	unsigned int i;

	setup_off();
	is(pthread_create(&other, NULL, turn_on_and_off, NULL), 0);
	for (i = 0; i < THREADS; i++)
		is(pthread_create(&threads[i], NULL, make_and_drop, NULL), 0);
	for (i = 0; i < THREADS; i++)
		is(pthread_join(threads[i], NULL), 0);
	atomic_store(&over, true);
	is(pthread_join(other, NULL), 0);
	err_is(moheap_tracemalloc_start(heap, 1), 0);
	is(traced(NULL), 0);
	err_is(moheap_flush(heap), 0);
	tap_wait_objects(heap, 0);
}

/* ---- Without libdw; files that are no snapshots ---- */

static void without_libdw(void)
{
	static const char library[] = "/usr/lib/x86_64-linux-gnu/libdw.so.1";
	struct moheap_traceback *traceback;
	struct moheap_statistic *statistics;
	size_t n;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("/dev/null", library, NULL, MS_BIND, NULL))
		tap_skip("nothing can be mounted: %s", strerror(errno));
	setup(1);
	traceback = traceback_of(allocate(10));
	ok(ends(traceback->frames[0].filename, "test_tracemalloc"));
	is(traceback->frames[0].lineno, 0);
	/* An offset, for addr2line. */
	ok(!strncmp(traceback->frames[0].symbol, "+0x", 3));
	err_is(moheap_snapshot_statistics(take(), MOHEAP_KEY_LINENO, &statistics, &n), 0);
	is(n, 1);
}

static void damaged_files(void)
{
	static const char *const bad[] = {
		"", "x\n", "moheap-snapshot 2\n", "moheap-snapshot 1", "moheap-snapshot 1\n",
		HEAD, "moheap-snapshot 1\nnframe 257\n", "moheap-snapshot 1\nnframe x\n",
		"moheap-snapshot 1\nnframe 1 1\n", HEAD "frames 1\n", HEAD "frames 4294967296\n",
		HEAD "frames 99999999999999999999999\n", HEAD "frames 1\n2\n",
		HEAD "frames 1\n2 a\n", HEAD "frames 1\n2 a b c\n", HEAD "frames 1\n-2 a b\n",
		HEAD "frames 1\n2 a%0 b\n", HEAD "frames 1\n2 a%00 b\n", HEAD "frames 1\n2 a% b\n",
		HEAD "frames 1\n2 a b\ntracebacks 1\n1 1\n",
		HEAD "frames 1\n2 a b\ntracebacks 1\n0\n",
		HEAD "frames 1\n2 a b\ntracebacks 1\n2 0\n",
		HEAD "frames 1\n2 a b\ntracebacks 1\n257 0\n",
		HEAD "frames 0\ntracebacks 0\ntraces 1\n1 1 1 0\nend\n",
		HEAD "frames 1\n2 a b\ntracebacks 1\n1 0\ntraces 1\n1 1 1 1\nend\n",
		HEAD "frames 1\n2 a b\ntracebacks 1\n1 0\ntraces 1\n1 1 1\nend\n",
		HEAD "frames 1\n2 a b\ntracebacks 1\n1 0\ntraces 1\n1 1 1 0 0\nend\n",
		HEAD "frames 1\n2 a b\ntracebacks 1\n1 0\ntraces 1\ng 1 1 0\nend\n",
		HEAD "frames 1\n2 a b\ntracebacks 1\n1 0\ntraces 1\n1 1 1 0\n",
		HEAD "frames 0\ntracebacks 0\ntraces 0\nend",
		HEAD "frames 0\ntracebacks 0\ntraces 0\nend\nend\n",
	};
	struct moheap_snapshot *snapshot;
	struct moheap_statistic *statistics;
	unsigned int i;
	size_t n;

	for (i = 0; i < TAP_COUNT(bad); i++) {
		snapshot = snapshot_of(bad[i], -EINVAL);
		ok(!snapshot);
	}
	err_is(moheap_snapshot_load("/tmp/there-is-none", &snapshot), -ENOENT);
	snapshot = snapshot_of(HEAD "frames 0\ntracebacks 0\ntraces 0\nend\n", 0);
	is(moheap_snapshot_len(snapshot), 0);
	err_is(moheap_snapshot_statistics(snapshot, MOHEAP_KEY_LINENO, &statistics, &n), 0);
	is(n, 0);
	free(statistics);
	err_is(moheap_snapshot_dump(snapshot, "/there/is/none"), -ENOENT);
	if (!access("/dev/full", W_OK))
		err_is(moheap_snapshot_dump(snapshot, "/dev/full"), -ENOSPC);
	moheap_snapshot_free(snapshot);
}

/* All but the end of a file, and all with one byte changed, either loads or says why not. */
static void any_damage(void)
{
	struct moheap_snapshot *snapshot;
	char text[sizeof(text2)];
	size_t i;
	FILE *file;
	int err;

	for (i = 0; i < 2 * sizeof(text2) - 2; i++) {
		memcpy(text, text2, sizeof(text2));
		if (i < sizeof(text2) - 1)
			text[i] = 0;
		else
			text[i - sizeof(text2) + 1] ^= 0x15;
		file = fopen(dump_path, "we");
		ok(file && fwrite(text, strnlen(text, sizeof(text)), 1, file) <= 1 &&
		   !fclose(file));
		err = moheap_snapshot_load(dump_path, &snapshot);
		ok(err == 0 || err == -EINVAL);
		if (i < sizeof(text2) - 1)
			err_is(err, -EINVAL);
		if (!err)
			moheap_snapshot_free(snapshot);
	}
}

#define CASE(name)	{ #name, name }

static const struct tap_case cases[] = {
	CASE(test_get_tracemalloc_memory),
	CASE(test_get_object_traceback),
	CASE(test_new_reference),
	CASE(test_set_traceback_limit),
	CASE(test_get_traces),
	CASE(test_get_traces_intern_traceback),
	CASE(test_get_traced_memory),
	CASE(test_clear_traces),
	CASE(test_reset_peak),
	CASE(test_is_tracing),
	CASE(test_snapshot),
	CASE(test_fork),
	CASE(test_no_incomplete_frames),
	CASE(test_create_snapshot),
	CASE(test_filter_traces),
	CASE(test_filter_traces_domain),
	CASE(test_filter_traces_domain_filter),
	CASE(test_snapshot_group_by_line),
	CASE(test_snapshot_group_by_file),
	CASE(test_snapshot_group_by_traceback),
	CASE(test_snapshot_group_by_cumulative),
	CASE(test_statistic_format),
	CASE(test_statistic_diff_format),
	CASE(test_slices),
	CASE(test_format_traceback),
	CASE(test_filter_attributes),
	CASE(test_filter_match),
	CASE(test_filter_match_filename),
	CASE(test_filter_match_filename_joker),
	CASE(test_filter_match_trace),
	CASE(test_env_var_disabled_by_default),
	CASE(test_env_var_disabled),
	CASE(test_env_var_enabled_at_startup),
	CASE(test_env_limit),
	CASE(test_env_var_invalid),
	CASE(test_pymem_alloc0),
	CASE(test_track_already_tracked),
	CASE(test_untrack),
	{ "a snapshot outlives its heap's traces", outlives_the_heap },
	{ "a child that shares its parent's client", fork_with_a_shared_client },
	{ "filters by symbol", filter_by_symbol },
	{ "every call that makes an object", through_every_call },
	{ "objects freed by the collector", freed_by_the_collector },
	{ "objects that another client keeps", kept_by_another },
	{ "a process killed while it traces", killed_while_tracing },
	{ "statistics by symbol, recursion", by_symbol_and_line },
	{ "MOHEAP_UNBATCHED", unbatched },
	{ "a heap at its limit", at_the_limit },
	{ "threads, and one that turns tracing on and off", threads_and_a_switch, 200 },
	{ "without libdw", without_libdw },
	{ "files that are no snapshots", damaged_files },
	{ "files with any byte lost or changed", any_damage },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
