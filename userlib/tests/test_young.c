// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Objects that die before anybody else heard of them: their blocks are handed out again without
 * a word to the kernel. No ref may ever name two objects all the same, here or there.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "raw.h"

static struct moheap *heap;
static int type, fd;

static void setup(void)
{
	unsetenv("MOHEAP_UNBATCHED");
	heap = tap_heap();
	type = tap_type(heap, "t", 40, 2);
	fd = raw_join(moheap_fd(heap), O_RDWR);
}

static __u64 allocated(void)
{
	struct moheap_stat stat;

	err_is(raw_stat(fd, &stat), 0);
	return stat.allocated;
}

static int kernel_knows(moheap_ref_t ref)
{
	struct moheap_object object;

	return raw_object(fd, ref, &object);
}

/* At once, or when it goes out. */
static void store_refused(moheap_ref_t owner, moheap_ref_t target)
{
	int err = moheap_store(heap, owner, 0, target);

	err_is(err ? err : moheap_flush(heap), -ESTALE);
}

/* Nothing of the library takes this ref. */
static void stale_here(moheap_ref_t ref, moheap_ref_t live)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };
	moheap_ref_t got, expected = ref;

	err_is(moheap_incref(heap, ref), -ESTALE);
	err_is(moheap_decref(heap, ref), -ENOENT);
	err_is(moheap_inspect(heap, &object), -ESTALE);
	is(moheap_refcount(heap, ref), -ESTALE);
	err_is(moheap_load(heap, ref, 0, &got), -ESTALE);
	err_is(moheap_peek(heap, ref, 0, &got), -ESTALE);
	err_is(moheap_read(heap, ref, 0, 1, &got), -ESTALE);
	store_refused(ref, live);
	store_refused(live, ref);
	err_is(moheap_exchange(heap, ref, 0, live, &got), -ESTALE);
	err_is(moheap_exchange(heap, live, 0, ref, &got), -ESTALE);
	err_is(moheap_compare_exchange(heap, live, 0, &expected, live), -ESTALE);
	expected = 0;
	err_is(moheap_compare_exchange(heap, live, 0, &expected, ref), -ESTALE);
	err_is(moheap_fill(heap, live, 0, 1, ref), -ESTALE);
	err_is(moheap_fill(heap, ref, 0, 1, live), -ESTALE);
	err_is(moheap_copy(heap, ref, 0, live, 0, 1), -ESTALE);
	err_is(moheap_copy(heap, live, 0, ref, 0, 1), -ESTALE);
}

/* Make and drop until the block of an object has had a few more. */
static moheap_ref_t successor(moheap_ref_t ref, int generations)
{
	moheap_ref_t next = ref;
	int i;

	while (generations--) {
		err_is(moheap_decref(heap, next), 0);
		for (i = 0; i < 10000; i++) {
			next = tap_new(heap, type);
			if ((__u32)next == (__u32)ref)
				break;
			moheap_decref(heap, next);
		}
		is((__u32)next, (__u32)ref);
	}
	ok(next != ref);
	ok(next & MOHEAP_REF_REUSED);
	return next;
}

static void the_kernel_hears_of_none(void)
{
	moheap_ref_t ref, alive[100] = { 0 };
	unsigned long n = tap_scaled(200000), i;
	const __u64 *payload;
	__u64 before;

	setup();
	for (i = 0; i < 2000; i++)
		moheap_decref(heap, tap_new(heap, type));
	before = allocated();
	for (i = 0; i < n; i++) {
		moheap_decref(heap, alive[i % 100]);
		ref = tap_new(heap, type);
		payload = moheap_ptr(heap, ref);
		ok(!payload[0] && !payload[4]);
		memset(moheap_ptr(heap, ref), 0x99, 48);
		alive[i % 100] = ref;
	}
	tap_note("%lu objects made, %llu of them by the kernel", n, allocated() - before);
	ok(allocated() - before < 1000);
	for (i = 0; i < 100; i++)
		moheap_decref(heap, alive[i]);
	is(tap_objects(heap), 0);
}

static void stale_refs_are_stale(void)
{
	moheap_ref_t first, second, third, live;

	setup();
	live = tap_new(heap, type);
	first = tap_new(heap, type);
	second = successor(first, 1);
	stale_here(first, live);
	third = successor(second, 3);
	stale_here(first, live);
	stale_here(second, live);
	is(moheap_refcount(heap, third), 1);
	stale_here(second, live);
	/* And the kernel knows the last only. */
	err_is(kernel_knows(third), 0);
	err_is(kernel_knows(second), -ESTALE);
	err_is(kernel_knows(first), -ESTALE);
	moheap_decref(heap, third);
	err_is(moheap_flush(heap), 0);
	stale_here(third, live);
	moheap_decref(heap, live);
	is(tap_objects(heap), 0);
}

/* Any operation that names it tells of it, before. */
static void naming_tells(void)
{
	moheap_ref_t owner, target, got, expected = 0;
	int way;

	setup();
	for (way = 0; way < 7; way++) {
		owner = successor(tap_new(heap, type), 2);
		target = successor(tap_new(heap, type), 3);
		err_is(kernel_knows(owner), -ESTALE);
		switch (way) {
		case 0:
			err_is(moheap_store(heap, owner, 1, target), 0);
			err_is(moheap_peek(heap, owner, 1, &got), 0);
			break;
		case 1:
			err_is(moheap_exchange(heap, owner, 1, target, &got), 0);
			break;
		case 2:
			err_is(moheap_compare_exchange(heap, owner, 1, &expected, target), 0);
			break;
		case 3:
			err_is(moheap_fill(heap, owner, 1, 1, target), 0);
			break;
		case 4:
			err_is(moheap_store(heap, target, 0, target), 0);
			err_is(moheap_copy(heap, owner, 1, target, 0, 1), 0);
			err_is(moheap_store(heap, target, 0, 0), 0);
			break;
		case 5:
			/* Given up at once, but kept by the slot. */
			err_is(moheap_store(heap, owner, 1, target), 0);
			err_is(moheap_decref(heap, target), 0);
			err_is(moheap_flush(heap), 0);
			err_is(moheap_incref(heap, target), 0);
			break;
		default:
			err_is(moheap_store(heap, owner, 1, target), 0);
			is(moheap_refcount(heap, target), 2);
		}
		err_is(raw_load(fd, owner, 1, &got), 0);
		ok(got == target);
		moheap_decref(heap, target);
		err_is(moheap_store(heap, owner, 1, 0), 0);
		moheap_decref(heap, owner);
	}
	is(tap_objects(heap), 0);
}

static void a_flush_tells(void)
{
	moheap_ref_t first, ref;

	setup();
	first = tap_new(heap, type);
	ref = successor(first, 5);
	err_is(kernel_knows(ref), -ESTALE);
	err_is(moheap_flush(heap), 0);
	err_is(kernel_knows(ref), 0);
	err_is(kernel_knows(first), -ESTALE);
	/* From now on somebody may hold it: it must not go back to stock. */
	err_is(raw_hold(fd, ref), 0);
	moheap_decref(heap, ref);
	is(tap_objects(heap), 1);
	err_is(kernel_knows(ref), 0);
	err_is(moheap_incref(heap, ref), 0);
	moheap_decref(heap, ref);
	err_is(raw_drop(fd, ref), 0);
	is(tap_objects(heap), 0);
}

/* The dead, too: nobody can have brought them back by the ref that the kernel still had. */
static void a_flush_buries(void)
{
	moheap_ref_t first, second, live;

	setup();
	live = tap_new(heap, type);
	first = tap_new(heap, type);
	err_is(moheap_decref(heap, first), 0);
	err_is(moheap_flush(heap), 0);
	err_is(kernel_knows(first), -ESTALE);
	err_is(raw_hold(fd, first), -ESTALE);
	stale_here(first, live);
	/* What was alive at one flush and dead at the next. */
	second = tap_new(heap, type);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_decref(heap, second), 0);
	err_is(moheap_flush(heap), 0);
	err_is(raw_hold(fd, second), -ESTALE);
	stale_here(second, live);
	moheap_decref(heap, live);
	is(tap_objects(heap), 0);
}

/* More than the library keeps track of are told of by and by. */
static void the_old_are_told_of(void)
{
	enum { N = 140000 };
	static moheap_ref_t refs[N];
	moheap_ref_t old;
	unsigned int i;

	setup();
	old = successor(tap_new(heap, type), 3);
	err_is(kernel_knows(old), -ESTALE);
	for (i = 0; i < N; i++)
		refs[i] = tap_new(heap, type);
	/* Its RENEW may still be in the queue: loading needs an answer. */
	err_is(moheap_peek(heap, refs[0], 0, &refs[0]), 0);
	ok(!refs[0]);
	err_is(kernel_knows(old), 0);
	moheap_decref(heap, old);
	err_is(moheap_trim(heap), 0);
	err_is(kernel_knows(old), -ESTALE);
}

/* Sizes that differ share blocks where the kernel's steps say so, and no others. */
static void sizes_keep_apart(void)
{
	static const struct moheap_layout layout = {
		.size = sizeof(layout), .name = "sized", .flags = MOHEAP_TYPE_VAR_PAYLOAD,
		.slots = 1,
	};
	static moheap_ref_t refs[300];
	static size_t sizes[300];
	unsigned long n = tap_scaled(100000);
	struct moheap_object object = { .size = sizeof(object) };
	size_t size, j;
	unsigned int i;
	char *payload;
	int sized;

	setup();
	srand(7);
	sized = must(moheap_type_register(heap, &layout));
	while (n--) {
		i = rand() % 300;
		payload = moheap_ptr(heap, refs[i]);
		if (refs[i]) {
			/* Whoever got a block that is too small would write here. */
			for (j = 0; j < sizes[i]; j += 7)
				ok(payload[j] == (char)(i + 1));
			err_is(moheap_decref(heap, refs[i]), 0);
			refs[i] = 0;
			continue;
		}
		size = rand() % 4 ? rand() % 600 : rand() % 50000;
		err_is(moheap_new_sized(heap, sized, size, 0, &refs[i]), 0);
		payload = moheap_ptr(heap, refs[i]);
		for (j = 0; j < size; j += 5)
			ok(!payload[j]);
		if (rand() % 50 == 0) {
			object.ref = refs[i];
			err_is(moheap_inspect(heap, &object), 0);
			ok(object.payload >= size);
			size = object.payload;
		}
		memset(payload, i + 1, size);
		sizes[i] = size;
		if (rand() % 500 == 0)
			err_is(moheap_flush(heap), 0);
	}
	for (i = 0; i < 300; i++)
		moheap_decref(heap, refs[i]);
	is(tap_objects(heap), 0);
}

/* ---- No ref twice ---- */

#define REFS	0x40000

static moheap_ref_t seen[REFS];
static unsigned long nseen;

static bool see(moheap_ref_t ref)
{
	unsigned long at = ref * 0x9e3779b97f4a7c15ULL >> 46;

	for (; seen[at]; at = (at + 1) % REFS)
		if (seen[at] == ref)
			return false;
	seen[at] = ref;
	nseen++;
	return true;
}

/* A drop that is still queued may be taken back; otherwise the object is gone. */
static void come_back(struct moheap *owner, moheap_ref_t ref)
{
	int err = moheap_incref(owner, ref);

	if (!err)
		err_is(moheap_decref(owner, ref), 0);
	else
		err_is(err, -ESTALE);
}

static void no_ref_twice(void)
{
	struct moheap *heaps[2];
	moheap_ref_t refs[2][300] = { { 0 } }, old[2][300] = { { 0 } };
	unsigned long n = tap_scaled(100000);
	int i, j;

	setup();
	srand(5);
	for (i = 0; i < 2; i++) {
		err_is(moheap_join(moheap_fd(heap), 0, &heaps[i]), 0);
		tap_heap_adopted(heaps[i]);
	}
	while (n-- && nseen < REFS / 2) {
		i = rand() % 2;
		j = rand() % 300;
		if (refs[i][j]) {
			old[i][j] = refs[i][j];
			err_is(moheap_decref(heaps[i], refs[i][j]), 0);
			refs[i][j] = 0;
		} else {
			refs[i][j] = tap_new(heaps[i], type);
			if (!see(refs[i][j]))
				tap_fail(__FILE__, __LINE__, "%#llx was there before",
					 refs[i][j]);
		}
		if (rand() % 100 == 0)
			err_is(moheap_flush(heaps[i]), 0);
		if (rand() % 1000 == 0)
			err_is(moheap_trim(heaps[i]), 0);
		if (rand() % 10 == 0 && refs[i][j])
			err_is(moheap_store(heaps[i], refs[i][j], 0, 0), 0);
		else if (rand() % 10 == 0 && old[i][j])
			come_back(heaps[i], old[i][j]);
	}
	tap_note("%lu refs, all different", nseen);
	for (i = 0; i < 2; i++)
		for (j = 0; j < 300; j++)
			err_is(moheap_decref(heaps[i], refs[i][j]), 0);
	for (i = 0; i < 2; i++)
		err_is(moheap_trim(heaps[i]), 0);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 0);
}

static moheap_ref_t *shared;
enum { MADE = 2000 };

static void makes(void *arg)
{
	unsigned int i;

	for (i = 0; i < MADE; i++) {
		shared[i] = tap_new(heap, type);
		moheap_decref(heap, shared[i]);
	}
	err_is(moheap_incref(heap, *(moheap_ref_t *)arg), -ESTALE);
}

static void nor_in_a_child(void)
{
	moheap_ref_t first, ref, next;
	unsigned int i;
	pid_t child;

	setup();
	shared = tap_shared(MADE * sizeof(*shared));
	first = tap_new(heap, type);
	ref = successor(first, 3);
	for (i = 0; i < MADE; i++) {
		next = tap_new(heap, type);
		ok(see(next));
		moheap_decref(heap, next);
	}
	child = tap_fork(makes, &first);
	for (i = 0; i < MADE; i++) {
		next = tap_new(heap, type);
		ok(see(next));
		moheap_decref(heap, next);
	}
	tap_wait(child);
	for (i = 0; i < MADE; i++)
		ok(see(shared[i]));
	is(moheap_refcount(heap, ref), 1);
	moheap_decref(heap, ref);
	is(tap_objects(heap), 0);
}

/* ---- Threads, one of which borrows what another drops ---- */

static moheap_ref_t offered;
static bool stop;

static void *borrows(void *arg)
{
	unsigned long *got = arg;
	moheap_ref_t ref, copy;
	int err;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		ref = __atomic_load_n(&offered, __ATOMIC_ACQUIRE);
		err = moheap_incref(heap, ref);
		if (err) {
			err_is(err, -ESTALE);
			continue;
		}
		copy = moheap_get(heap, ref, 0);
		ok(copy == ref);
		err_is(moheap_decref(heap, ref), 0);
		++*got;
	}
	return NULL;
}

static void threads_may_borrow(void)
{
	unsigned long n = tap_scaled(50000), got[2] = { 0 };
	pthread_t threads[2];
	moheap_ref_t ref, last;
	int i;

	setup();
	last = tap_new(heap, type);
	*(moheap_ref_t *)moheap_ptr(heap, last) = last;
	__atomic_store_n(&offered, last, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		is(pthread_create(&threads[i], NULL, borrows, &got[i]), 0);
	while (n--) {
		ref = tap_new(heap, type);
		*(moheap_ref_t *)moheap_ptr(heap, ref) = ref;
		__atomic_store_n(&offered, ref, __ATOMIC_RELEASE);
		moheap_decref(heap, last);
		last = ref;
		if (n % 1000 == 0)
			err_is(moheap_flush(heap), 0);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		is(pthread_join(threads[i], NULL), 0);
	tap_note("borrowed %lu and %lu times", got[0], got[1]);
	ok(got[0] + got[1]);
	moheap_decref(heap, last);
	is(tap_objects(heap), 0);
}

/* Pages that are this process's alone. */
static long private_pages(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long all, resident, shared;

	ok(f);
	is(fscanf(f, "%ld %ld %ld", &all, &resident, &shared), 3);
	fclose(f);
	return resident - shared;
}

static __u64 arena_bytes(void)
{
	struct moheap_stat stat;

	err_is(raw_stat(fd, &stat), 0);
	return stat.arena_bytes;
}

/* One in so many survives. */
#define SURVIVES	500

static void fill_up(moheap_ref_t *refs, unsigned long n)
{
	const __u64 *payload;
	unsigned long i;

	for (i = 0; i < n; i++) {
		if (refs[i])
			continue;
		refs[i] = tap_new(heap, type);
		payload = moheap_ptr(heap, refs[i]);
		ok(!payload[0] && !payload[4]);
		memset(moheap_ptr(heap, refs[i]), 0x99, 40);
		*(moheap_ref_t *)moheap_ptr(heap, refs[i]) = refs[i];
	}
}

static void thin_out(moheap_ref_t *refs, unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++) {
		if (i % SURVIVES == 0)
			continue;
		err_is(moheap_decref(heap, refs[i]), 0);
	}
	err_is(moheap_flush(heap), 0);
	for (i = 1; i < n; i += 997) {
		if (i % SURVIVES == 0)
			continue;
		err_is(moheap_incref(heap, refs[i]), -ESTALE);
		err_is(moheap_decref(heap, refs[i]), -ENOENT);
		is(moheap_refcount(heap, refs[i]), -ESTALE);
		err_is(kernel_knows(refs[i]), -ESTALE);
	}
	for (i = 0; i < n; i++)
		if (i % SURVIVES)
			refs[i] = 0;
}

static void survive(const moheap_ref_t *refs, unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i += SURVIVES) {
		ok(*(moheap_ref_t *)moheap_ptr(heap, refs[i]) == refs[i]);
		is(moheap_refcount(heap, refs[i]), 1);
		err_is(moheap_incref(heap, refs[i]), 0);
		err_is(moheap_decref(heap, refs[i]), 0);
	}
}

/* Survivors keep their pages, and little else: here, and in the kernel when it gets to it. */
static void memory_goes_with_the_dead(void)
{
	unsigned long n = tap_scaled(200000), round;
	moheap_ref_t *refs = calloc(n, sizeof(*refs));
	long words = n * 48 / 2 / 4096, full;
	double end = tap_seconds() + 60;
	__u64 bytes;

	setup();
	ok(refs);
	for (round = 0; round < 2; round++) {
		fill_up(refs, n);
		full = private_pages();
		bytes = arena_bytes();
		thin_out(refs, n);
		tap_note("%ld private pages, %ld after", full, private_pages());
		survive(refs, n);
		/* What lingers keeps its memory. */
		if (tap_guarded())
			continue;
		ok(full - private_pages() > words / 2);
		while (arena_bytes() > bytes / 2 && tap_seconds() < end)
			usleep(10000);
		tap_note("%llu bytes of payload, %llu after", bytes, arena_bytes());
		ok(arena_bytes() <= bytes / 2);
		survive(refs, n);
	}
	fill_up(refs, n);
	survive(refs, n);
	free(refs);
}

static const struct tap_case cases[] = {
	{ "the kernel hears of none", the_kernel_hears_of_none },
	{ "stale refs are stale", stale_refs_are_stale },
	{ "naming an object tells of it", naming_tells },
	{ "a flush tells of all", a_flush_tells },
	{ "a flush buries the dead", a_flush_buries },
	{ "the old are told of", the_old_are_told_of },
	{ "sizes keep apart", sizes_keep_apart },
	{ "no ref twice", no_ref_twice },
	{ "no ref twice, nor in a child", nor_in_a_child },
	{ "threads may borrow", threads_may_borrow },
	{ "memory goes with the dead", memory_goes_with_the_dead },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
