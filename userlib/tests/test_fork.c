// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * fork(): the child has what its parent had, and neither hurts the other.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "raw.h"

struct family {
	struct moheap *heap;
	int type;
	moheap_ref_t refs[100];
};

static void family_make(struct family *f)
{
	unsigned int i;

	f->heap = tap_heap();
	f->type = tap_type(f->heap, "t", 8, 1);
	for (i = 0; i < TAP_COUNT(f->refs); i++) {
		f->refs[i] = tap_new(f->heap, f->type);
		*(__u64 *)moheap_ptr(f->heap, f->refs[i]) = i;
	}
}

static void family_end(struct family *f)
{
	unsigned int i;

	for (i = 0; i < TAP_COUNT(f->refs); i++)
		err_is(moheap_decref(f->heap, f->refs[i]), 0);
	tap_wait_objects(f->heap, 0);
}

static void child_drops(void *arg)
{
	struct family *f = arg;
	unsigned int i;

	for (i = 0; i < TAP_COUNT(f->refs); i++) {
		is(*(__u64 *)moheap_ptr(f->heap, f->refs[i]), i);
		is(moheap_refcount(f->heap, f->refs[i]), 1 + 1);
		err_is(moheap_decref(f->heap, f->refs[i]), 0);
	}
	err_is(moheap_flush(f->heap), 0);
}

static void what_the_child_drops_the_parent_has(void)
{
	struct family f;
	unsigned int i;

	family_make(&f);
	tap_wait(tap_fork(child_drops, &f));
	for (i = 0; i < TAP_COUNT(f.refs); i++)
		is(moheap_refcount(f.heap, f.refs[i]), 1);
	family_end(&f);
}

static int pipes[2][2];

static void child_waits_and_looks(void *arg)
{
	struct family *f = arg;
	unsigned int i;
	char byte;

	is(write(pipes[0][1], "", 1), 1);
	is(read(pipes[1][0], &byte, 1), 1);
	for (i = 0; i < TAP_COUNT(f->refs); i++) {
		is(*(__u64 *)moheap_ptr(f->heap, f->refs[i]), i);
		is(moheap_refcount(f->heap, f->refs[i]), 1);
	}
	family_end(f);
}

static void what_the_parent_drops_the_child_has(void)
{
	struct family f;
	char byte;
	unsigned int i;
	pid_t child;

	ok(!pipe(pipes[0]) && !pipe(pipes[1]));
	family_make(&f);
	child = tap_fork(child_waits_and_looks, &f);
	is(read(pipes[0][0], &byte, 1), 1);
	for (i = 0; i < TAP_COUNT(f.refs); i++)
		err_is(moheap_decref(f.heap, f.refs[i]), 0);
	is(tap_objects(f.heap), 100);
	is(write(pipes[1][1], "", 1), 1);
	tap_wait(child);
	is(tap_objects(f.heap), 0);
}

static void child_drops_what_was_counted(void *arg)
{
	struct family *f = arg;
	int i;

	for (i = 0; i < 5; i++)
		err_is(moheap_decref(f->heap, f->refs[0]), 0);
	err_is(moheap_decref(f->heap, f->refs[0]), -ENOENT);
	is(moheap_refcount(f->heap, f->refs[0]), 1);
}

static void local_counts_are_copied(void)
{
	struct family f;
	int i;

	family_make(&f);
	for (i = 0; i < 4; i++)
		err_is(moheap_incref(f.heap, f.refs[0]), 0);
	tap_wait(tap_fork(child_drops_what_was_counted, &f));
	is(moheap_refcount(f.heap, f.refs[0]), 5);
	for (i = 0; i < 4; i++)
		err_is(moheap_decref(f.heap, f.refs[0]), 0);
	family_end(&f);
}

/* Both go on to make objects: no object may be made twice. */
static moheap_ref_t *shared_refs;
enum { MADE = 3000 };

static void child_makes(void *arg)
{
	struct family *f = arg;
	char byte;
	int i;

	for (i = 0; i < MADE; i++)
		shared_refs[i] = tap_new(f->heap, f->type);
	is(write(pipes[0][1], "", 1), 1);
	is(read(pipes[1][0], &byte, 1), 1);
	for (i = 0; i < MADE; i++)
		err_is(moheap_decref(f->heap, shared_refs[i]), 0);
	moheap_close(f->heap);
}

static int compare(const void *a, const void *b)
{
	const moheap_ref_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void stocks_are_not_shared(void)
{
	static moheap_ref_t all[2 * MADE];
	struct family f;
	char byte;
	pid_t child;
	int i;

	shared_refs = tap_shared(MADE * sizeof(*shared_refs));
	ok(!pipe(pipes[0]) && !pipe(pipes[1]));
	family_make(&f);
	child = tap_fork(child_makes, &f);
	for (i = 0; i < MADE; i++)
		all[i] = tap_new(f.heap, f.type);
	is(read(pipes[0][0], &byte, 1), 1);
	memcpy(all + MADE, shared_refs, MADE * sizeof(*all));
	is(tap_objects(f.heap) >= 2 * MADE + 100, 1);
	for (i = 0; i < MADE; i++)
		err_is(moheap_decref(f.heap, all[i]), 0);
	is(write(pipes[1][1], "", 1), 1);
	tap_wait(child);
	qsort(all, 2 * MADE, sizeof(*all), compare);
	for (i = 1; i < 2 * MADE; i++)
		ok(all[i] != all[i - 1]);
	family_end(&f);
}

static void child_stores(void *arg)
{
	struct family *f = arg;

	err_is(moheap_flush(f->heap), 0);
	err_is(moheap_store(f->heap, f->refs[1], 0, f->refs[2]), 0);
	err_is(moheap_flush(f->heap), 0);
}

/* What the parent had queued goes out once; its errors are its own. */
static void the_queue_goes_out_once(void)
{
	struct family f;
	moheap_ref_t got;

	family_make(&f);
	err_is(moheap_store(f.heap, f.refs[1], 5, 0), 0);
	err_is(moheap_store(f.heap, f.refs[1], 0, f.refs[1]), 0);
	tap_wait(tap_fork(child_stores, &f));
	err_is(moheap_peek(f.heap, f.refs[1], 0, &got), 0);
	ok(got == f.refs[2]);
	err_is(moheap_flush(f.heap), -ERANGE);
	err_is(moheap_store(f.heap, f.refs[1], 0, 0), 0);
	family_end(&f);
}

static void child_checks_fd(void *arg)
{
	struct family *f = arg;
	struct moheap_stat stat = { .size = sizeof(stat) };

	is(fcntl(moheap_fd(f->heap), F_GETFD), FD_CLOEXEC);
	err_is(moheap_stat(f->heap, &stat), 0);
	is(stat.clients, 2);
}

static void the_file_keeps_its_number(void)
{
	struct moheap_stat stat = { .size = sizeof(stat) };
	struct family f;
	int fd;

	family_make(&f);
	fd = moheap_fd(f.heap);
	tap_wait(tap_fork(child_checks_fd, &f));
	is(moheap_fd(f.heap), fd);
	err_is(moheap_stat(f.heap, &stat), 0);
	is(stat.clients, 1);
	family_end(&f);
}

static void child_has_none(void *arg)
{
	struct family *f = arg;
	struct moheap_stat stat = { .size = sizeof(stat) };
	struct moheap *other;
	moheap_ref_t ref;

	err_is(moheap_new(f->heap, f->type, &ref), -ENOTCONN);
	err_is(moheap_fd(f->heap), -ENOTCONN);
	err_is(moheap_store(f->heap, f->refs[0], 0, 0), 0);
	err_is(moheap_flush(f->heap), -ENOTCONN);
	err_is(moheap_load(f->heap, f->refs[0], 0, &ref), -ENOTCONN);
	err_is(moheap_collect(f->heap, MOHEAP_COLLECT_FULL, NULL), -ENOTCONN);
	err_is(moheap_stat(f->heap, &stat), -ENOTCONN);
	err_is(moheap_clone(f->heap, &other), -ENOTCONN);
	is(moheap_refcount(f->heap, f->refs[0]), -ENOTCONN);
	is(*(__u64 *)moheap_ptr(f->heap, f->refs[5]), 5);
	moheap_close(f->heap);
}

static void none_leaves_nothing(void)
{
	struct family f;

	family_make(&f);
	err_is(moheap_set_fork(f.heap, 3), -EINVAL);
	err_is(moheap_set_fork(f.heap, MOHEAP_FORK_NONE), 0);
	tap_wait(tap_fork(child_has_none, &f));
	family_end(&f);
}

static void a_clone_that_fails_is_none(void)
{
	struct rlimit limit = { 0 }, old;
	struct family f;
	pid_t child;

	family_make(&f);
	ok(!getrlimit(RLIMIT_NOFILE, &old));
	limit.rlim_max = old.rlim_max;
	ok(!setrlimit(RLIMIT_NOFILE, &limit));
	child = tap_fork(child_has_none, &f);
	ok(!setrlimit(RLIMIT_NOFILE, &old));
	tap_wait(child);
	family_end(&f);
}

static void child_shares(void *arg)
{
	struct family *f = arg;
	moheap_ref_t ref = tap_new(f->heap, f->type);
	struct moheap_stat stat = { .size = sizeof(stat) };

	*(__u64 *)moheap_ptr(f->heap, ref) = 4711;
	err_is(moheap_stat(f->heap, &stat), 0);
	is(stat.clients, 1);
	err_is(moheap_store(f->heap, f->refs[0], 0, ref), 0);
	err_is(moheap_trim(f->heap), 0);
}

static void share_is_one_client(void)
{
	struct family f;
	moheap_ref_t ref;

	family_make(&f);
	err_is(moheap_set_fork(f.heap, MOHEAP_FORK_SHARE), 0);
	tap_wait(tap_fork(child_shares, &f));
	err_is(moheap_load(f.heap, f.refs[0], 0, &ref), 0);
	is(*(__u64 *)moheap_ptr(f.heap, ref), 4711);
	err_is(moheap_store(f.heap, f.refs[0], 0, 0), 0);
	/* The child is gone, but what it held stays held: it was this client. */
	is(tap_objects(f.heap), 101);
	moheap_decref(f.heap, ref);
	family_end(&f);
}

/* ---- fork() from a program with threads ---- */

static bool stop;

static void *churn(void *arg)
{
	struct family *f = arg;
	moheap_ref_t a, b;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		a = tap_new(f->heap, f->type);
		b = tap_new(f->heap, f->type);
		err_is(moheap_store(f->heap, a, 0, b), 0);
		err_is(moheap_incref(f->heap, b), 0);
		err_is(moheap_decref(f->heap, b), 0);
		err_is(moheap_decref(f->heap, b), 0);
		err_is(moheap_decref(f->heap, a), 0);
	}
	return NULL;
}

static void child_of_threads(void *arg)
{
	struct family *f = arg;
	unsigned int i;
	moheap_ref_t ref;

	for (i = 0; i < TAP_COUNT(f->refs); i++)
		is(*(__u64 *)moheap_ptr(f->heap, f->refs[i]), i);
	for (i = 0; i < 100; i++) {
		ref = tap_new(f->heap, f->type);
		err_is(moheap_store(f->heap, ref, 0, f->refs[i % 100]), 0);
		err_is(moheap_decref(f->heap, ref), 0);
	}
	err_is(moheap_close(f->heap), 0);
}

static void fork_among_threads(void)
{
	unsigned long n = tap_scaled(40);
	pthread_t threads[2];
	struct family f;
	unsigned int i;

	family_make(&f);
	for (i = 0; i < 2; i++)
		is(pthread_create(&threads[i], NULL, churn, &f), 0);
	while (n--)
		tap_wait(tap_fork(child_of_threads, &f));
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	family_end(&f);
}

/* ---- Finalizers ---- */

struct finals {
	struct moheap *heap;
	int type;
	unsigned int calls;
	pid_t forked;
	atomic_int inside;
	atomic_int go_on;
};

static void count_call(struct moheap *heap, moheap_ref_t ref, void *data)
{
	struct finals *f = data;

	is(moheap_is_finalized(heap, ref), 1);
	f->calls++;
}

static void finals_make(struct finals *f, moheap_finalizer_t finalizer)
{
	struct moheap_layout layout = {
		.size = sizeof(layout),
		.name = "final",
		.payload = 8,
		.flags = MOHEAP_TYPE_FINALIZE,
	};

	f->heap = tap_heap();
	f->type = must(moheap_type_register(f->heap, &layout));
	err_is(moheap_set_finalizer(f->heap, f->type, finalizer, f), 0);
}

static void child_finalizes_its_own(void *arg)
{
	struct finals *f = arg;

	/* It listens from now on. */
	is(moheap_dispatch(f->heap), 0);
	err_is(moheap_decref(f->heap, tap_new(f->heap, f->type)), 0);
	is(moheap_dispatch(f->heap), 1);
	is(f->calls, 1);
	err_is(moheap_set_finalizer(f->heap, f->type, NULL, NULL), 0);
}

static void finalizers_are_copied(void)
{
	struct finals f = { 0 };

	finals_make(&f, count_call);
	tap_wait(tap_fork(child_finalizes_its_own, &f));
	is(moheap_dispatch(f.heap), 0);
	err_is(moheap_decref(f.heap, tap_new(f.heap, f.type)), 0);
	is(moheap_dispatch(f.heap), 1);
	is(f.calls, 1);
	is(tap_objects(f.heap), 0);
}

/* The first call waits. */
static void wait_in_call(struct moheap *heap, moheap_ref_t ref, void *data)
{
	struct finals *f = data;

	count_call(heap, ref, data);
	atomic_store(&f->inside, 1);
	while (!atomic_load(&f->go_on))
		usleep(1000);
}

static void child_has_none_of_them(void *arg)
{
	struct finals *f = arg;
	char byte;

	is(moheap_dispatch(f->heap), 0);
	is(write(pipes[0][1], "", 1), 1);
	is(read(pipes[1][0], &byte, 1), 1);
	is(moheap_dispatch(f->heap), 0);
	is(tap_objects(f->heap), 0);
	is(f->calls, 1);
}

static void objects_to_finalize_stay_the_parents(void)
{
	struct finals f = { 0 };
	unsigned int i;
	pid_t child;
	char byte;

	ok(!pipe(pipes[0]) && !pipe(pipes[1]));
	finals_make(&f, wait_in_call);
	for (i = 0; i < 10; i++)
		err_is(moheap_decref(f.heap, tap_new(f.heap, f.type)), 0);
	err_is(moheap_flush(f.heap), 0);
	err_is(moheap_start_dispatcher(f.heap), 0);
	while (!atomic_load(&f.inside))
		usleep(1000);
	child = tap_fork(child_has_none_of_them, &f);
	is(read(pipes[0][0], &byte, 1), 1);
	is(tap_objects(f.heap), 10);
	atomic_store(&f.go_on, 1);
	err_is(moheap_stop_dispatcher(f.heap), 0);
	is(moheap_dispatch(f.heap), 0);
	is(f.calls, 10);
	is(write(pipes[1][1], "", 1), 1);
	tap_wait(child);
	is(tap_objects(f.heap), 0);
}

static void fork_in_call(struct moheap *heap, moheap_ref_t ref, void *data)
{
	struct finals *f = data;

	count_call(heap, ref, data);
	if (f->calls == 1)
		f->forked = fork();
	/* Whichever of the two it is has the object until here. */
	is(moheap_incref(heap, ref), 0);
	is(moheap_decref(heap, ref), 0);
}

/* The child goes on in the call, with this object, and leaves the others. */
static void fork_in_a_finalizer(void)
{
	struct finals f = { 0 };
	unsigned int i;

	finals_make(&f, fork_in_call);
	for (i = 0; i < 3; i++)
		err_is(moheap_decref(f.heap, tap_new(f.heap, f.type)), 0);
	must(moheap_dispatch(f.heap));
	if (!f.forked) {
		is(f.calls, 1);
		err_is(moheap_close(f.heap), 0);
		fflush(stdout);
		_exit(0);
	}
	tap_wait(f.forked);
	is(f.calls, 3);
	is(tap_objects(f.heap), 0);
}

static void child_without_a_client(void *arg)
{
	struct finals *f = arg;

	err_is(moheap_dispatch(f->heap), -ENOTCONN);
	err_is(moheap_set_finalizer(f->heap, f->type, NULL, NULL), 0);
	err_is(moheap_set_finalizer(f->heap, f->type, count_call, f), -ENOTCONN);
}

static void no_client_no_finalizers(void)
{
	struct finals f = { 0 };

	finals_make(&f, count_call);
	err_is(moheap_set_fork(f.heap, MOHEAP_FORK_NONE), 0);
	tap_wait(tap_fork(child_without_a_client, &f));
	err_is(moheap_decref(f.heap, tap_new(f.heap, f.type)), 0);
	is(moheap_dispatch(f.heap), 1);
	is(f.calls, 1);
}

/* ---- exec and its kin ---- */

static void spawned_programs_hold_nothing(void)
{
	struct moheap_stat stat = { .size = sizeof(stat) };
	char name[] = "sleep", seconds[] = "100";
	char *const argv[] = { name, seconds, NULL };
	char *const envp[] = { NULL };
	struct family f;
	pid_t child;
	int fd;

	family_make(&f);
	fd = raw_join(moheap_fd(f.heap), O_RDWR);
	if (posix_spawnp(&child, name, NULL, NULL, argv, envp))
		tap_skip("no sleep(1)");
	moheap_close(f.heap);
	err_is(raw_stat(fd, &stat), 0);
	is(stat.clients, 1);
	is(stat.objects, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	_exit(0);
}

static const struct tap_case cases[] = {
	{ "what the child drops, the parent has", what_the_child_drops_the_parent_has },
	{ "what the parent drops, the child has", what_the_parent_drops_the_child_has },
	{ "local counts are copied", local_counts_are_copied },
	{ "stocks are not shared", stocks_are_not_shared },
	{ "the queue goes out once", the_queue_goes_out_once },
	{ "the file keeps its number", the_file_keeps_its_number },
	{ "MOHEAP_FORK_NONE leaves nothing", none_leaves_nothing },
	{ "a clone that fails is as NONE", a_clone_that_fails_is_none },
	{ "MOHEAP_FORK_SHARE is one client", share_is_one_client },
	{ "fork among threads", fork_among_threads },
	{ "finalizers are copied", finalizers_are_copied },
	{ "objects to finalize stay the parent's", objects_to_finalize_stay_the_parents },
	{ "fork in a finalizer", fork_in_a_finalizer },
	{ "no client, no finalizers", no_client_no_finalizers },
	{ "spawned programs hold nothing", spawned_programs_hold_nothing },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
