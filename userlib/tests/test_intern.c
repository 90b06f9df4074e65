// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Interned byte strings: one of each content, whoever asks, how many at once, and whoever is
 * killed meanwhile.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "raw.h"

static struct moheap *heap;

static void setup(void)
{
	heap = tap_heap();
}

static moheap_ref_t intern(const char *text)
{
	moheap_ref_t ref = 0;

	err_is(moheap_intern(heap, text, strlen(text), &ref), 0);
	ok(ref);
	return ref;
}

static moheap_ref_t intern_number(unsigned int i)
{
	char text[32];

	snprintf(text, sizeof(text), "string %u", i);
	return intern(text);
}

static void drop(moheap_ref_t ref)
{
	err_is(moheap_decref(heap, ref), 0);
}

static void holds(moheap_ref_t ref, const char *text, size_t len)
{
	const char *data;
	size_t n;

	err_is(moheap_bytes_value(heap, ref, &data, &n), 0);
	is(n, len);
	ok(!memcmp(data, text, len));
}

/* ---- One process ---- */

static void one_of_each(void)
{
	moheap_ref_t a, b, again, plain;

	setup();
	a = intern("a");
	b = intern("b");
	ok(a != b);
	again = intern("a");
	ok(again == a);
	is(moheap_refcount(heap, a), 2);
	holds(a, "a", 1);
	holds(b, "b", 1);
	/* No other is what it is. */
	err_is(moheap_bytes_new(heap, "a", 1, &plain), 0);
	ok(plain != a);
	is(moheap_equal(heap, plain, a), 1);
	is(moheap_interned(heap, a), 1);
	is(moheap_interned(heap, plain), 0);
	drop(plain);
	err_is(moheap_int_new(heap, 1, &plain), 0);
	is(moheap_interned(heap, plain), 0);
	drop(plain);
	drop(a);
	drop(again);
	drop(b);
}

static void bytes_of_all_kinds(void)
{
	static char large[100000];
	moheap_ref_t empty, zeros, longer, one, again;

	setup();
	err_is(moheap_intern(heap, NULL, 0, &empty), 0);
	holds(empty, "", 0);
	err_is(moheap_intern(heap, "\0\0", 2, &zeros), 0);
	err_is(moheap_intern(heap, "\0\0\0", 3, &longer), 0);
	ok(zeros != longer && zeros != empty);
	err_is(moheap_intern(heap, large, sizeof(large), &one), 0);
	err_is(moheap_intern(heap, large, sizeof(large), &again), 0);
	ok(one == again);
	large[sizeof(large) - 1] = 1;
	drop(again);
	err_is(moheap_intern(heap, large, sizeof(large), &again), 0);
	ok(one != again);
	err_is(moheap_intern(heap, "", 0, &longer), 0);
	ok(longer == empty);
	err_is(moheap_intern(heap, large, MOHEAP_PAYLOAD_MAX, &longer), -E2BIG);
}

/* It goes with the last reference; and where it was found, the next one is. */
static void mortal(void)
{
	moheap_ref_t ref, before = 0;
	__u64 objects;
	unsigned int i;

	setup();
	ref = intern("mortal");
	objects = tap_objects(heap);
	for (i = 0; i < 100; i++) {
		before = ref;
		drop(ref);
		is(tap_objects(heap), objects - 1);
		err_is(moheap_incref(heap, ref), -ESTALE);
		ref = intern("mortal");
		ok(ref != before);
		is(tap_objects(heap), objects);
	}
	drop(ref);
}

static void many(void)
{
	unsigned int n = tap_scaled(8000), i;
	moheap_ref_t *refs = calloc(n, sizeof(*refs));
	__u64 all;

	setup();
	ok(refs);
	for (i = 0; i < n; i++)
		refs[i] = intern_number(i);
	for (i = 0; i < n; i++) {
		ok(intern_number(i) == refs[i]);
		drop(refs[i]);
	}
	all = tap_objects(heap);
	ok(all < 3 * n);
	/* Half of them go, and come again, and others. */
	for (i = 0; i < n; i += 2)
		drop(refs[i]);
	is(tap_objects(heap), all - n / 2);
	for (i = 0; i < n; i++)
		ok((intern_number(i) == refs[i]) == i % 2);
	for (i = 0; i < n; i += 2)
		intern_number(n + i);
	ok(tap_objects(heap) < 4 * n);
	free(refs);
}

/* ---- Equal hashes ---- */

static __u64 mix(__u64 h)
{
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ h >> 27) * 0x94d049bb133111ebULL;
	return h ^ h >> 31;
}

/* The second half of 16 bytes that begin with @first, so that all have one hash. */
static void colliding(__u64 first, __u64 words[2])
{
	words[0] = first;
	words[1] = mix(0xc2b2ae3d27d4eb4fULL ^ 16 ^ first) ^ 0x123456789abcdefULL;
}

static void equal_hashes(void)
{
	moheap_ref_t refs[40], again;
	__u64 words[2], hash, one = 0;
	unsigned int i, round;

	setup();
	for (round = 0; round < 3; round++) {
		for (i = 0; i < TAP_COUNT(refs); i++) {
			colliding(i * i + 7, words);
			err_is(moheap_intern(heap, words, sizeof(words), &refs[i]), 0);
			err_is(moheap_hash(heap, refs[i], &hash), 0);
			one = one ? one : hash;
			ok(hash == one);
		}
		for (i = 0; i < TAP_COUNT(refs); i++) {
			colliding(i * i + 7, words);
			err_is(moheap_intern(heap, words, sizeof(words), &again), 0);
			ok(again == refs[i]);
			drop(again);
		}
		/* Some go, and are made anew behind those that stay. */
		for (i = round; i < TAP_COUNT(refs); i += 1 + round)
			drop(refs[i]);
	}
}

/* ---- Many at once ---- */

#define RACERS	4
#define CONTENTS	400

struct race {
	moheap_ref_t refs[RACERS][CONTENTS];
	int ready;
	int go;
	int done;
};

static struct race *race;
static unsigned int racer;

static void wait_for(int *flag, int value)
{
	const struct timespec moment = { .tv_nsec = 100000 };

	while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) < value)
		nanosleep(&moment, NULL);
}

/* Ask for all contents, from somewhere on, and hold them until all have. */
static void run_race(unsigned int me)
{
	unsigned int i, at;

	__atomic_add_fetch(&race->ready, 1, __ATOMIC_ACQ_REL);
	wait_for(&race->go, 1);
	for (i = 0; i < CONTENTS; i++) {
		at = (i + me % 2 * 3) % CONTENTS;
		race->refs[me][at] = intern_number(at);
	}
	__atomic_add_fetch(&race->done, 1, __ATOMIC_ACQ_REL);
	wait_for(&race->done, RACERS);
}

static void race_is_even(void)
{
	unsigned int i, me;

	for (i = 0; i < CONTENTS; i++)
		for (me = 1; me < RACERS; me++)
			ok(race->refs[me][i] == race->refs[0][i]);
}

static void racing_process(void *unused)
{
	struct moheap *ours;

	(void)unused;
	err_is(moheap_join(moheap_fd(heap), 0, &ours), 0);
	heap = ours;
	run_race(racer);
	race_is_even();
}

/* Also for the first string of all. */
static void processes(void)
{
	pid_t children[RACERS];
	unsigned int round;

	race = tap_shared(sizeof(*race));
	for (round = 0; round < tap_scaled(3); round++) {
		setup();
		memset(race, 0, sizeof(*race));
		for (racer = 0; racer < RACERS; racer++)
			children[racer] = tap_fork(racing_process, NULL);
		wait_for(&race->ready, RACERS);
		__atomic_store_n(&race->go, 1, __ATOMIC_RELEASE);
		for (racer = 0; racer < RACERS; racer++)
			tap_wait(children[racer]);
		race_is_even();
	}
}

static void *racing_thread(void *number)
{
	run_race((uintptr_t)number);
	return NULL;
}

static void threads(void)
{
	pthread_t racers[RACERS];
	uintptr_t i;

	setup();
	race = tap_shared(sizeof(*race));
	for (i = 0; i < RACERS; i++)
		ok(!pthread_create(&racers[i], NULL, racing_thread, (void *)i));
	wait_for(&race->ready, RACERS);
	__atomic_store_n(&race->go, 1, __ATOMIC_RELEASE);
	for (i = 0; i < RACERS; i++)
		ok(!pthread_join(racers[i], NULL));
	race_is_even();
}

static void intern_without_end(void *unused)
{
	unsigned int i;

	(void)unused;
	for (i = 0;; i++) {
		intern_number(i % 300);
		if (i % 3)
			drop(intern_number(i % 700));
		__atomic_store_n(&race->go, 1, __ATOMIC_RELEASE);
	}
}

/* Whatever it was at. */
static void killed_in_the_middle(void)
{
	struct timespec moment = { 0 };
	unsigned int round, i;
	moheap_ref_t ref;
	pid_t child;

	setup();
	race = tap_shared(sizeof(*race));
	srand(1);
	for (round = 0; round < tap_scaled(20); round++) {
		race->go = 0;
		child = tap_fork(intern_without_end, NULL);
		wait_for(&race->go, 1);
		moment.tv_nsec = rand() % 3000000;
		nanosleep(&moment, NULL);
		kill(child, SIGKILL);
		ok(waitpid(child, NULL, 0) == child);
		for (i = 0; i < 700; i += 7) {
			ref = intern_number(i);
			ok(intern_number(i) == ref);
			drop(ref);
			drop(ref);
		}
	}
	err_is(moheap_check(heap), 0);
}

/* ---- Readers ---- */

static void readers(void)
{
	struct moheap *reader;
	moheap_ref_t ref, seen = 0;

	setup();
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	tap_heap_adopted(reader);
	err_is(moheap_intern(reader, "there", 5, &seen), -EACCES);
	ref = intern("there");
	err_is(moheap_intern(reader, "there", 5, &seen), 0);
	ok(seen == ref);
	is(moheap_interned(reader, seen), 1);
	err_is(moheap_intern(reader, "not there", 9, &seen), -EACCES);
	drop(ref);
	err_is(moheap_flush(heap), 0);
	/* The reader's reference is as good as any. */
	ok(intern("there") == ref);
}

static const struct tap_case cases[] = {
	{ "one of each", one_of_each },
	{ "bytes of all kinds", bytes_of_all_kinds },
	{ "mortal", mortal },
	{ "many", many },
	{ "equal hashes", equal_hashes },
	{ "processes", processes },
	{ "threads", threads },
	{ "killed in the middle", killed_in_the_middle },
	{ "readers", readers },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
