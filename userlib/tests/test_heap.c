// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Making, joining, cloning and leaving heaps; what is queued and when it goes out.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "raw.h"

static void create_with_defaults(void)
{
	struct moheap_stat stat = { .size = sizeof(stat) };
	struct moheap *heap;

	err_is(moheap_create(NULL, &heap), 0);
	err_is(moheap_stat(heap, &stat), 0);
	is(stat.clients, 1);
	is(stat.objects, 0);
	is(stat.types, 0);
	is(stat.arena_size, moheap_arena_size(heap));
	ok(stat.limit >= MOHEAP_LIMIT_MIN);
	ok(stat.heap_id);
	err_is(moheap_check(heap), -EPERM);
	err_is(moheap_close(heap), 0);
	err_is(moheap_close(NULL), 0);
	ok(!strcmp(moheap_version(), MOHEAP_VERSION));
}

static void options_are_checked(void)
{
	struct moheap_options options = { .size = sizeof(options) };
	struct moheap *heap;

	options.size = sizeof(options) - 8;
	err_is(moheap_create(&options, &heap), -EINVAL);
	options.size = sizeof(options);
	options.flags = ~0U;
	err_is(moheap_create(&options, &heap), -EINVAL);
	options.flags = 0;
	options.fork = MOHEAP_FORK_NONE + 1;
	err_is(moheap_create(&options, &heap), -EINVAL);
	options.fork = 0;
	options.reserved = 1;
	err_is(moheap_create(&options, &heap), -EINVAL);
	options.reserved = 0;
	options.limit = MOHEAP_LIMIT_MIN - 1;
	err_is(moheap_create(&options, &heap), -ERANGE);
	options.limit = MOHEAP_LIMIT_MIN;
	err_is(moheap_create(&options, &heap), 0);
	moheap_close(heap);
	setenv("MOHEAP_DEVICE", "/nonexistent", 1);
	err_is(moheap_create(NULL, &heap), -ENOENT);
	setenv("MOHEAP_DEVICE", "/dev/null", 1);
	err_is(moheap_create(NULL, &heap), -ENOTTY);
}

static void ptr_is_arithmetic(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref = tap_new(heap, tap_type(heap, "t", 8, 0));
	char *base = moheap_base(heap);

	ok(moheap_ptr(heap, ref) == base + (ref & 0xffffffff) * 16);
	ok((char *)moheap_ptr(heap, ref) < base + moheap_arena_size(heap));
	moheap_decref(heap, ref);
}

static void join_sees_the_same_objects(void)
{
	struct moheap *heap = tap_heap(), *other;
	int type = tap_type(heap, "t", 8, 0);
	moheap_ref_t ref = tap_new(heap, type);

	*(__u64 *)moheap_ptr(heap, ref) = 42;
	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	tap_heap_adopted(other);
	ok(moheap_base(other) != moheap_base(heap));
	is(*(__u64 *)moheap_ptr(other, ref), 42);
	err_is(moheap_incref(other, ref), 0);
	err_is(moheap_decref(heap, ref), 0);
	is(tap_objects(heap), 1);
	*(__u64 *)moheap_ptr(other, ref) = 43;
	is(*(__u64 *)moheap_ptr(heap, ref), 43);
	err_is(moheap_decref(other, ref), 0);
	is(tap_objects(other), 0);
	err_is(moheap_incref(heap, ref), -ESTALE);
	err_is(moheap_join(moheap_fd(heap), 2, &other), -EINVAL);
	err_is(moheap_join(-1, 0, &other), -EBADF);
	err_is(moheap_join(0, 0, &other), -EINVAL);
}

static sigjmp_buf read_only_jump;

static void read_only_segv(int signal)
{
	(void)signal;
	siglongjmp(read_only_jump, 1);
}

static void read_only_cannot_change(void)
{
	struct moheap *heap = tap_heap(), *reader, *other;
	int type = tap_type(heap, "t", 8, 1);
	moheap_ref_t ref = tap_new(heap, type), got;
	struct sigaction action = { .sa_handler = read_only_segv };

	err_is(moheap_store(heap, ref, 0, ref), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	tap_heap_adopted(reader);
	err_is(moheap_incref(reader, ref), 0);
	err_is(moheap_load(reader, ref, 0, &got), 0);
	ok(got == ref);
	is(moheap_refcount(reader, ref), 1 + 1 + 2);
	err_is(moheap_read(reader, ref, 0, 1, &got), 0);
	is(moheap_type_find(reader, "t"), type);

	err_is(moheap_new(reader, type, &got), -EACCES);
	err_is(moheap_store(reader, ref, 0, 0), 0);
	err_is(moheap_flush(reader), -EACCES);
	err_is(moheap_exchange(reader, ref, 0, 0, &got), -EACCES);
	err_is(moheap_fill(reader, ref, 0, 1, 0), -EACCES);
	err_is(moheap_copy(reader, ref, 0, ref, 0, 1), -EACCES);
	err_is(moheap_collect(reader, MOHEAP_COLLECT_FULL, NULL), -EACCES);
	err_is(moheap_join(moheap_fd(reader), 0, &other), -EACCES);
	err_is(moheap_join(moheap_fd(reader), MOHEAP_JOIN_READ_ONLY, &other), 0);
	err_is(moheap_close(other), 0);

	sigaction(SIGSEGV, &action, NULL);
	if (!sigsetjmp(read_only_jump, 1)) {
		__atomic_store_n((__u64 *)moheap_ptr(reader, ref), 1, __ATOMIC_SEQ_CST);
		ok(!"a read-only client wrote payload");
	}
	moheap_decref(reader, ref);
	moheap_decref(reader, ref);
	err_is(moheap_store(heap, ref, 0, 0), 0);
	moheap_decref(heap, ref);
}

static void close_gives_everything_up(void)
{
	struct moheap *heap = tap_heap(), *other;
	int type = tap_type(heap, "t", 8, 1);
	moheap_ref_t refs[100], shared;
	unsigned int i;

	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	for (i = 0; i < TAP_COUNT(refs); i++)
		refs[i] = tap_new(other, type);
	err_is(moheap_flush(other), 0);
	shared = refs[50];
	err_is(moheap_incref(heap, shared), 0);
	err_is(moheap_close(other), 0);
	is(tap_objects(heap), 1);
	err_is(moheap_incref(heap, refs[0]), -ESTALE);
	moheap_decref(heap, shared);
}

static void clone_holds_the_same(void)
{
	struct moheap *heap = tap_heap(), *clone;
	int type = tap_type(heap, "t", 8, 1);
	moheap_ref_t ref = tap_new(heap, type);

	err_is(moheap_clone(heap, &clone), 0);
	tap_heap_adopted(clone);
	moheap_decref(heap, ref);
	is(tap_objects(heap), 1);
	/* Held, though not counted: the first reference is known to the kernel already. */
	err_is(moheap_decref(clone, ref), -ENOENT);
	is(moheap_refcount(clone, ref), 1);
	err_is(moheap_incref(clone, ref), 0);
	is(moheap_refcount(clone, ref), 1);
	err_is(moheap_decref(clone, ref), 0);
	is(tap_objects(clone), 0);
}

static void adopt_takes_a_client_over(void)
{
	struct moheap *heap = tap_heap(), *adopted;
	int fd = must(raw_clone(moheap_fd(heap))), type, unbound;
	moheap_ref_t ref;

	type = tap_type(heap, "t", 8, 0);
	err_is(raw_alloc(fd, type, 1, &ref), 0);
	err_is(moheap_adopt(fd, &adopted), 0);
	is(moheap_fd(adopted), fd);
	is(tap_objects(heap), 1);
	err_is(moheap_close(adopted), 0);
	is(tap_objects(heap), 0);
	is(fcntl(fd, F_GETFD), -1);
	unbound = must(raw_open(O_RDWR));
	err_is(moheap_adopt(unbound, &adopted), -ENOTCONN);
	is(fcntl(unbound, F_GETFD), FD_CLOEXEC);
}

static void files_are_closed_by_exec(void)
{
	struct moheap *heap = tap_heap();

	is(fcntl(moheap_fd(heap), F_GETFD), FD_CLOEXEC);
}

static void heaps_are_apart(void)
{
	struct moheap *a = tap_heap(), *b = tap_heap();
	moheap_ref_t ref = tap_new(a, tap_type(a, "t", 8, 0));
	int err;

	is(tap_objects(b), 0);
	err = moheap_incref(b, ref);
	ok(err == -ESTALE || err == -EINVAL);
	is(moheap_type_find(b, "t"), -ENOENT);
	moheap_decref(a, ref);
}

/* ---- The queue ---- */

/* What the kernel knows, seen by a client that queues nothing. */
static moheap_ref_t slot_0(int fd, moheap_ref_t owner)
{
	moheap_ref_t target;

	err_is(raw_load(fd, owner, 0, &target), 0);
	return target;
}

static void stores_wait_for_a_flush(void)
{
	struct moheap *heap = tap_heap();
	int fd = raw_join(moheap_fd(heap), O_RDWR), type = tap_type(heap, "t", 8, 1);
	moheap_ref_t a = tap_new(heap, type), b = tap_new(heap, type), got;

	err_is(moheap_store(heap, a, 0, b), 0);
	ok(!slot_0(fd, a));
	err_is(moheap_flush(heap), 0);
	ok(slot_0(fd, a) == b);
	/* Whoever asks sees what he did himself. */
	err_is(moheap_store(heap, a, 0, a), 0);
	ok(slot_0(fd, a) == b);
	err_is(moheap_peek(heap, a, 0, &got), 0);
	ok(got == a);
	ok(slot_0(fd, a) == a);
	err_is(moheap_store(heap, a, 0, 0), 0);
	moheap_decref(heap, a);
	moheap_decref(heap, b);
}

static void a_full_queue_goes_out(void)
{
	struct moheap *heap = tap_heap();
	int fd = raw_join(moheap_fd(heap), O_RDWR), type = tap_type(heap, "t", 8, 1);
	static moheap_ref_t owners[10000];
	int n, i;

	err_is(moheap_new_many(heap, type, TAP_COUNT(owners), owners), 0);
	for (n = 0; !slot_0(fd, owners[0]); n++) {
		ok(n < (int)TAP_COUNT(owners));
		err_is(moheap_store(heap, owners[n], 0, owners[1]), 0);
	}
	tap_note("the queue took %d operations", n);
	ok(n > 16);
	for (i = 0; i < (int)TAP_COUNT(owners); i++)
		moheap_decref(heap, owners[i]);
}

static void errors_come_with_the_flush(void)
{
	struct moheap *heap = tap_heap();
	int type = tap_type(heap, "t", 8, 1);
	moheap_ref_t a = tap_new(heap, type), got;

	err_is(moheap_store(heap, a, 7, a), 0);
	err_is(moheap_store(heap, a, 0, a), 0);
	err_is(moheap_flush(heap), -ERANGE);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_peek(heap, a, 0, &got), 0);
	ok(got == a);
	/* Also where something else sent the queue off; and the first error counts. */
	err_is(moheap_store(heap, a, 7, a), 0);
	err_is(moheap_store(heap, a, 0, 0x100000000ULL), 0);
	err_is(moheap_peek(heap, a, 0, &got), 0);
	ok(got == a);
	err_is(moheap_flush(heap), -ERANGE);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_store(heap, a, 0, 0), 0);
	moheap_decref(heap, a);
}

static void close_returns_what_is_left(void)
{
	struct moheap *heap;
	int type;
	moheap_ref_t a;

	err_is(moheap_create(NULL, &heap), 0);
	type = tap_type(heap, "t", 8, 1);
	a = tap_new(heap, type);
	err_is(moheap_store(heap, a, 1, a), 0);
	err_is(moheap_close(heap), -ERANGE);
}

static void unbatched_queues_nothing(void)
{
	struct moheap *heap;
	moheap_ref_t a, b;
	int fd, type;

	setenv("MOHEAP_UNBATCHED", "1", 1);
	heap = tap_heap();
	fd = raw_join(moheap_fd(heap), O_RDWR);
	type = tap_type(heap, "t", 8, 1);
	a = tap_new(heap, type);
	is(raw_objects(fd), 1);
	b = tap_new(heap, type);
	is(raw_objects(fd), 2);
	err_is(moheap_store(heap, a, 0, b), 0);
	ok(slot_0(fd, a) == b);
	err_is(moheap_store(heap, a, 1, b), -ERANGE);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_store(heap, a, 0, 0), 0);
	err_is(moheap_decref(heap, b), 0);
	is(raw_objects(fd), 1);
	err_is(moheap_decref(heap, a), 0);
	is(raw_objects(fd), 0);
}

static void store_and_exit(void *arg)
{
	struct moheap *heap = ((void **)arg)[0];
	moheap_ref_t a = *(moheap_ref_t *)((void **)arg)[1];

	err_is(moheap_store(heap, a, 0, a), 0);
	exit(0);
}

static void exit_flushes(void)
{
	struct moheap *heap = tap_heap();
	int fd = raw_join(moheap_fd(heap), O_RDWR), type = tap_type(heap, "t", 8, 1);
	moheap_ref_t a = tap_new(heap, type);
	void *arg[] = { heap, &a };

	tap_wait(tap_fork(store_and_exit, arg));
	ok(slot_0(fd, a) == a);
	err_is(moheap_store(heap, a, 0, 0), 0);
	moheap_decref(heap, a);
}

/* ---- The collector's knobs; fdinfo ---- */

static void tune_reads_and_sets(void)
{
	struct moheap *heap = tap_heap();
	struct moheap_tune tune = { .size = sizeof(tune) }, now;

	err_is(moheap_tune(heap, &tune), 0);
	ok(tune.budget && tune.threshold && tune.growth && tune.idle_ms);
	is(tune.enabled, 1);
	now = tune;
	now.set = MOHEAP_TUNE_BUDGET | MOHEAP_TUNE_ENABLED;
	now.budget = 7;
	now.enabled = 0;
	now.idle_ms = 1;	/* not named in set */
	err_is(moheap_tune(heap, &now), 0);
	is(now.budget, 7);
	is(now.enabled, 0);
	is(now.idle_ms, tune.idle_ms);
	now.set = 0;
	now.budget = 0;
	err_is(moheap_tune(heap, &now), 0);
	is(now.budget, 7);
}

static void a_disabled_collector_waits_to_be_asked(void)
{
	struct moheap *heap = tap_heap();
	struct moheap_tune tune = {
		.size = sizeof(tune),
		.set = MOHEAP_TUNE_ENABLED,
		.enabled = 0,
	};
	int type = tap_type(heap, "t", 8, 1), i;
	unsigned long long found;
	moheap_ref_t a;

	err_is(moheap_tune(heap, &tune), 0);
	for (i = 0; i < 10; i++) {
		a = tap_new(heap, type);
		err_is(moheap_store(heap, a, 0, a), 0);
		moheap_decref(heap, a);
	}
	is(tap_objects(heap), 10);
	usleep(200000);
	is(tap_objects(heap), 10);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, &found), 0);
	is(found, 10);
	is(tap_objects(heap), 0);
	err_is(moheap_collect(heap, 3, NULL), -EINVAL);
}

static void fdinfo_tells_what_is_held(void)
{
	struct moheap *heap = tap_heap();
	int type = tap_type(heap, "t", 8, 1), i;
	unsigned long long held = 0;
	char path[64], line[128];
	moheap_ref_t refs[9];
	FILE *file;

	for (i = 0; i < 9; i++)
		refs[i] = tap_new(heap, type);
	err_is(moheap_trim(heap), 0);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", moheap_fd(heap));
	file = fopen(path, "r");
	ok(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "moheap-held: %llu", &held);
	fclose(file);
	is(held, 9);
	for (i = 0; i < 9; i++)
		moheap_decref(heap, refs[i]);
}

static const struct tap_case cases[] = {
	{ "create with defaults", create_with_defaults },
	{ "options are checked", options_are_checked },
	{ "ptr is arithmetic", ptr_is_arithmetic },
	{ "join: the same objects", join_sees_the_same_objects },
	{ "join read-only: look, but change nothing", read_only_cannot_change },
	{ "close gives everything up", close_gives_everything_up },
	{ "clone holds the same", clone_holds_the_same },
	{ "adopt takes a client over", adopt_takes_a_client_over },
	{ "files are closed by exec", files_are_closed_by_exec },
	{ "heaps are apart", heaps_are_apart },
	{ "queue: stores wait for a flush", stores_wait_for_a_flush },
	{ "queue: goes out when full", a_full_queue_goes_out },
	{ "queue: errors come with the flush", errors_come_with_the_flush },
	{ "queue: close returns what is left", close_returns_what_is_left },
	{ "queue: none with MOHEAP_UNBATCHED", unbatched_queues_nothing },
	{ "queue: exit flushes", exit_flushes },
	{ "tune reads and sets", tune_reads_and_sets },
	{ "collector: disabled, it waits to be asked", a_disabled_collector_waits_to_be_asked },
	{ "fdinfo tells what is held", fdinfo_tells_what_is_held },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
