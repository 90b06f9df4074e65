// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Shapes: garbage of every shape at full size, freed to zero by a collector that nobody asks,
 * and what a mutator with a client of its own sees of that meanwhile.
 *
 *	MOHEAP_LARGE=n	objects in the largest graphs, for machines that are slow or small
 */
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "tap.h"

#define LARGE		TAP_LARGE
#define MEDIUM		(LARGE / 10)	/* where size is not the point */
#define LEAST		10	/* objects in the smallest */
#define SLOTS		3	/* of a node */
#define SECONDS		400	/* of an emulated machine with other work to do */
#define GONE_SECONDS	200	/* and for the collector alone */

static struct moheap *heap;
static int node;

/* What keeps the graph alive; room for all of it. */
static moheap_ref_t *held;
static unsigned long nheld;

static double longest_drop;

/**
 * struct shape - graphs, and what is held of them
 * @build: make them of @n objects in all; leave the objects to be dropped in held[]
 * @n: objects
 * @part: objects in each piece
 */
struct shape {
	void (*build)(unsigned long n, unsigned long part);
	unsigned long n;
	unsigned long part;
};

static unsigned long smaller(unsigned long a, unsigned long b)
{
	return a < b ? a : b;
}

/* All graphs become smaller in proportion. */
static unsigned long scaled(unsigned long n)
{
	unsigned long fewer = tap_large(n);

	return fewer > LEAST ? fewer : LEAST;
}

/* ---- Building ---- */

static void setup(unsigned long n)
{
	heap = tap_heap();
	node = tap_type(heap, "node", 16, SLOTS);
	held = calloc(n, sizeof(*held));
	ok(held);
}

static void make(int type, unsigned long n)
{
	err_is(moheap_new_many(heap, type, n, held), 0);
	nheld = n;
}

static void store(moheap_ref_t owner, unsigned int slot, moheap_ref_t target)
{
	err_is(moheap_store(heap, owner, slot, target), 0);
}

/* Hold every @part-th of them only. */
static void keep(unsigned long part)
{
	unsigned long i;

	for (i = 0; i < nheld; i++)
		if (i % part)
			err_is(moheap_decref(heap, held[i]), 0);
		else
			held[i / part] = held[i];
	nheld = (nheld + part - 1) / part;
}

/* One object whose slots refer to all of them, itself the only one held. */
static void keep_by_array(void)
{
	int type = tap_type(heap, "array", 0, nheld);
	unsigned long i;
	moheap_ref_t array;

	err_is(moheap_new_many(heap, type, 1, &array), 0);
	for (i = 0; i < nheld; i++) {
		store(array, i, held[i]);
		err_is(moheap_decref(heap, held[i]), 0);
	}
	held[0] = array;
	nheld = 1;
}

static void rings(unsigned long n, unsigned long part)
{
	unsigned long i;

	make(node, n);
	for (i = 0; i < n; i++)
		store(held[i], 0, held[(i + 1) % part ? i + 1 : i + 1 - part]);
	keep(part);
}

/* Everybody knows everybody, and itself. */
static void cliques(unsigned long n, unsigned long part)
{
	unsigned long i, j;

	make(tap_type(heap, "clique", 16, part), n);
	for (i = 0; i < n; i++)
		for (j = 0; j < part; j++)
			store(held[i], j, held[i / part * part + j]);
	keep(part);
}

static void doubly_linked(unsigned long n, unsigned long part)
{
	unsigned long i;

	make(node, n);
	for (i = 0; i + 1 < n; i++) {
		store(held[i], 0, held[i + 1]);
		store(held[i + 1], 1, held[i]);
	}
	keep(part);
}

/* A binary tree; slot 0 refers to the parent. */
static void tree(unsigned long n, unsigned long part)
{
	unsigned long i, parent;

	make(node, n);
	for (i = 1; i < n; i++) {
		parent = (i - 1) / 2;
		store(held[i], 0, held[parent]);
		store(held[parent], 2 - i % 2, held[i]);
	}
	keep(part);
}

/* Rings of five, each with the next hanging off it. */
static void rings_off_rings(unsigned long n, unsigned long part)
{
	unsigned long i;

	make(node, n);
	for (i = 0; i + 1 < n; i++)
		store(held[i], 0, held[i + 1]);
	for (i = 4; i < n; i += 5)
		store(held[i], 1, held[i - 4]);
	keep(part);
}

/* An array of objects that know but themselves. */
static void self_references(unsigned long n, unsigned long part)
{
	unsigned long i;

	(void)part;
	make(node, n - 1);
	for (i = 0; i < n - 1; i++)
		store(held[i], i % SLOTS, held[i]);
	keep_by_array();
}

static unsigned long below(unsigned long n)
{
	static __u64 random;
	const char *seed;

	if (!random) {
		seed = getenv("MOHEAP_SEED");
		random = seed ? strtoull(seed, NULL, 0) : (__u64)time(NULL);
		tap_note("MOHEAP_SEED=%llu", random);
		random = random * 0x9e3779b97f4a7c15ULL | 1;
	}
	random ^= random << 13;
	random ^= random >> 7;
	random ^= random << 17;
	return (random >> 11) % n;
}

/*
 * As many references between objects as objects, at random: there the first large component
 * appears, what can be reached is of every size, and paths are at their longest.
 */
static void percolation(unsigned long n, unsigned long part)
{
	__u8 *used = calloc(n, 1);
	unsigned long i, owner;

	(void)part;
	ok(used);
	make(node, n - 1);
	for (i = 0; i < n - 1; i++) {
		do {
			owner = below(n - 1);
		} while (used[owner] == SLOTS);
		store(held[owner], used[owner]++, held[below(n - 1)]);
	}
	free(used);
	keep_by_array();
}

/* ---- A mutator ---- */

#define RING		64	/* objects it keeps */
#define RING_FLUSH	32	/* steps between flushes */
#define RING_PEEK	8	/* steps between reads of a slot */
#define RING_MOST	2000	/* objects it can have at a time, the library's stock included */

/**
 * struct mutator - makes objects and drops them, and takes the time of each call
 * @heap: a client of its own, so that the library makes it wait for nobody
 * @thread: runs it
 * @ready: its objects are there
 * @stop: it is to end
 * @ring: its objects
 * @time: when the last call ended
 * @longest: that a call took
 * @calls: how many
 */
static struct mutator {
	struct moheap *heap;
	pthread_t thread;
	sem_t ready;
	bool stop;
	moheap_ref_t ring[RING];
	double time;
	double longest;
	unsigned long calls;
} mutator;

static void longer(double *longest, double *time)
{
	double now = tap_seconds();

	if (now - *time > *longest)
		*longest = now - *time;
	*time = now;
}

static void called(int err)
{
	err_is(err, 0);
	longer(&mutator.longest, &mutator.time);
	mutator.calls++;
}

/* An odd object refers to the even one before it: no chain grows, no cycle either. */
static void mutate(unsigned long step)
{
	unsigned int i = step % RING;
	moheap_ref_t old = mutator.ring[i], target;

	called(moheap_new(mutator.heap, node, &mutator.ring[i]));
	called(moheap_store(mutator.heap, mutator.ring[i], 1, i % 2 ? mutator.ring[i - 1] : 0));
	called(moheap_decref(mutator.heap, old));
	if (step % RING_PEEK == 0)
		called(moheap_peek(mutator.heap, mutator.ring[i], 1, &target));
	if (step % RING_FLUSH == 0)
		called(moheap_flush(mutator.heap));
}

static void *mutates(void *arg)
{
	unsigned long step;

	(void)arg;
	for (step = 0; step < RING; step++)
		mutator.ring[step] = tap_new(mutator.heap, node);
	sem_post(&mutator.ready);
	mutator.time = tap_seconds();
	for (step = 0; !__atomic_load_n(&mutator.stop, __ATOMIC_RELAXED); step++)
		mutate(step);
	return NULL;
}

static void mutator_begin(void)
{
	err_is(moheap_join(moheap_fd(heap), 0, &mutator.heap), 0);
	sem_init(&mutator.ready, 0, 0);
	is(pthread_create(&mutator.thread, NULL, mutates, NULL), 0);
	sem_wait(&mutator.ready);
}

static void mutator_end(void)
{
	__atomic_store_n(&mutator.stop, true, __ATOMIC_RELAXED);
	is(pthread_join(mutator.thread, NULL), 0);
	err_is(moheap_close(mutator.heap), 0);
}

/* ---- Dropping ---- */

static struct moheap_stat stat_now(void)
{
	struct moheap_stat stat = { .size = sizeof(stat) };

	err_is(moheap_stat(heap, &stat), 0);
	return stat;
}

/* All of it is there, and the collector has seen it so. */
static void alive(unsigned long n)
{
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), n);
	err_is(moheap_check(heap), 0);
}

/* The last first; the first @from stay. */
static void drop_held(unsigned long from)
{
	double time = tap_seconds();

	while (nheld > from) {
		err_is(moheap_decref(heap, held[--nheld]), 0);
		longer(&longest_drop, &time);
	}
	err_is(moheap_flush(heap), 0);
	longer(&longest_drop, &time);
}

/* Nobody asks for a collection here. */
static void gone(unsigned long n)
{
	const struct timespec moment = { .tv_nsec = 5000000 };
	double began = tap_seconds(), seconds = 0;
	struct moheap_stat stat = stat_now();

	while (stat.objects + stat.pending > RING_MOST && seconds < GONE_SECONDS) {
		nanosleep(&moment, NULL);
		stat = stat_now();
		seconds = tap_seconds() - began;
	}
	mutator_end();
	tap_wait_objects(heap, 0);
	stat = stat_now();
	tap_note("%lu objects: longest call %.3f ms of %lu beside, drop %.3f ms, step %.3f ms", n,
		 mutator.longest * 1e3, mutator.calls, longest_drop * 1e3,
		 stat.longest_step_ns / 1e6);
	tap_note("freed %llu in %llu local passes, %llu in %llu traces; %.1f s after the drop",
		 stat.freed_local, stat.local_passes, stat.freed_trace, stat.traces, seconds);
}

static void freed(const void *arg)
{
	const struct shape *shape = arg;
	unsigned long n = scaled(shape->n), part = smaller(shape->part, n);

	n -= n % part;
	setup(n);
	shape->build(n, part);
	alive(n);
	mutator_begin();
	drop_held(0);
	gone(n);
}

/* A local pass visits up to 1024 objects, MOHEAP_TUNE_BUDGET: a node must not cost nearly that. */
#define VISITS		64
#define VISITS_FEW	100000	/* where all of a small tree is within the budget */

/* Every node reaches all others: dropping one must not cost as if it were the last. */
static void tree_node_by_node(void)
{
	unsigned long n = scaled(LARGE);
	struct moheap_stat stat;

	setup(n);
	tree(n, 1);
	alive(n);
	mutator_begin();
	drop_held(1);
	stat = stat_now();
	ok(stat.objects >= n);
	tap_note("%llu visits for %lu nodes dropped", stat.local_visits, n - 1);
	ok(stat.local_visits < VISITS_FEW + VISITS * n);
	drop_held(0);
	gone(n);
}

/* ---- Several clients ---- */

#define CLIENTS	4

static struct moheap *clients[CLIENTS];

/*
 * Each client makes and holds one object of every ring of four, and stores the reference to the
 * next client's. The second slots make one piece of all the rings.
 */
static void rings_through_clients(void)
{
	unsigned long rows = scaled(MEDIUM) / CLIENTS, n = rows * CLIENTS, i, j;
	moheap_ref_t *refs[CLIENTS];

	setup(n);
	for (i = 0; i < CLIENTS; i++) {
		refs[i] = held + i * rows;
		clients[i] = heap;
		if (i)
			err_is(moheap_join(moheap_fd(heap), 0, &clients[i]), 0);
		err_is(moheap_new_many(clients[i], node, rows, refs[i]), 0);
	}
	for (i = 0; i < CLIENTS; i++)
		for (j = 0; j < rows; j++)
			err_is(moheap_store(clients[i], refs[i][j], 0,
					    refs[(i + 1) % CLIENTS][j]), 0);
	for (j = 0; j < rows; j++)
		store(refs[0][j], 1, refs[2][(j + 1) % rows]);
	for (i = 0; i < CLIENTS; i++)
		err_is(moheap_flush(clients[i]), 0);
	/* Some drop what they hold, some go: the first holds it all. */
	for (j = 0; j < rows; j++)
		err_is(moheap_decref(clients[2], refs[2][j]), 0);
	for (i = 1; i < CLIENTS; i++)
		err_is(moheap_close(clients[i]), 0);
	nheld = rows;
	keep(rows);
	alive(n);
	mutator_begin();
	drop_held(0);
	gone(n);
}

/*
 * One ring, every other object made by a clone, which holds the others as well from the moment
 * it was made. It all goes as the clone is closed.
 */
static void a_ring_through_a_clone(void)
{
	unsigned long half = scaled(MEDIUM) / 2, n = 2 * half, i;
	struct moheap *clone;
	moheap_ref_t *theirs;
	double time;

	setup(n);
	make(node, half);
	err_is(moheap_clone(heap, &clone), 0);
	theirs = held + half;
	err_is(moheap_new_many(clone, node, half, theirs), 0);
	for (i = 0; i < half; i++) {
		store(held[i], 0, theirs[i]);
		err_is(moheap_store(clone, theirs[i], 0, held[(i + 1) % half]), 0);
	}
	err_is(moheap_flush(clone), 0);
	drop_held(0);
	alive(n);
	mutator_begin();
	longest_drop = 0;
	time = tap_seconds();
	err_is(moheap_close(clone), 0);
	longer(&longest_drop, &time);
	gone(n);
}

#define SHAPE(...)	(&(const struct shape){ __VA_ARGS__ })

static const struct tap_case cases[] = {
	{ "rings of 2", NULL, SECONDS, freed, SHAPE(rings, MEDIUM, 2) },
	{ "rings of 10", NULL, SECONDS, freed, SHAPE(rings, MEDIUM, 10) },
	{ "rings of 1,000", NULL, SECONDS, freed, SHAPE(rings, MEDIUM, 1000) },
	{ "rings of 100,000", NULL, SECONDS, freed, SHAPE(rings, MEDIUM, 100000) },
	{ "a ring of 1,000,000", NULL, SECONDS, freed, SHAPE(rings, LARGE, LARGE) },
	{ "cliques of 3", NULL, SECONDS, freed, SHAPE(cliques, LARGE / 3, 3) },
	{ "cliques of 60", NULL, SECONDS, freed, SHAPE(cliques, LARGE / 60, 60) },
	{ "a clique of 1,000", NULL, SECONDS, freed, SHAPE(cliques, 1000, 1000) },
	{ "a doubly linked list", NULL, SECONDS, freed, SHAPE(doubly_linked, LARGE, LARGE) },
	{ "a tree with parents", NULL, SECONDS, freed, SHAPE(tree, LARGE, LARGE) },
	{ "a tree with parents, node by node", tree_node_by_node, SECONDS },
	{ "rings off rings", NULL, SECONDS, freed, SHAPE(rings_off_rings, MEDIUM, MEDIUM) },
	{ "self-references", NULL, SECONDS, freed, SHAPE(self_references, MEDIUM, 1) },
	{ "a random graph at its threshold", NULL, SECONDS, freed, SHAPE(percolation, MEDIUM, 1) },
	{ "rings through clients", rings_through_clients, SECONDS },
	{ "a ring through a clone", a_ring_through_a_clone, SECONDS },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
