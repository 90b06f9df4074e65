// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Threads: one heap, one client, many hands.
 */
#include <pthread.h>
#include <semaphore.h>

#include "raw.h"

#define THREADS	4

static struct moheap *heap;
static int type;

static void run(void *(*body)(void *arg))
{
	pthread_t threads[THREADS];
	long i;

	for (i = 0; i < THREADS; i++)
		is(pthread_create(&threads[i], NULL, body, (void *)i), 0);
	for (i = 0; i < THREADS; i++)
		is(pthread_join(threads[i], NULL), 0);
}

static void setup(void)
{
	heap = tap_heap();
	type = tap_type(heap, "t", 16, 2);
}

/* ---- Objects ---- */

static void *allocates(void *arg)
{
	unsigned long n = tap_scaled(5000), i;
	moheap_ref_t refs[64] = { 0 };
	__u64 *payload;

	for (i = 0; i < n; i++) {
		if (refs[i % 64]) {
			payload = moheap_ptr(heap, refs[i % 64]);
			ok(payload[0] == (__u64)arg + 1 && payload[1] == i - 64);
			err_is(moheap_decref(heap, refs[i % 64]), 0);
		}
		refs[i % 64] = tap_new(heap, type);
		payload = moheap_ptr(heap, refs[i % 64]);
		ok(!payload[0] && !payload[1]);
		payload[0] = (__u64)arg + 1;
		payload[1] = i;
	}
	for (i = 0; i < 64; i++)
		err_is(moheap_decref(heap, refs[i]), 0);
	return NULL;
}

static void each_has_its_own_objects(void)
{
	setup();
	run(allocates);
	is(tap_objects(heap), 0);
}

static moheap_ref_t common;

/* Up and down, through zero: the object is kept by a slot, and by whoever has it now. */
static void *counts(void *arg)
{
	unsigned long n = tap_scaled(20000);
	unsigned int seed = (long)arg + 1, have = 0;

	while (n--) {
		if (have < 5 && rand_r(&seed) % 2) {
			err_is(moheap_incref(heap, common), 0);
			have++;
		} else if (have) {
			err_is(moheap_decref(heap, common), 0);
			have--;
		}
	}
	while (have--)
		err_is(moheap_decref(heap, common), 0);
	return NULL;
}

static void counts_meet(void)
{
	moheap_ref_t keeper;

	setup();
	keeper = tap_new(heap, type);
	common = tap_new(heap, type);
	err_is(moheap_store(heap, keeper, 0, common), 0);
	err_is(moheap_decref(heap, common), 0);
	run(counts);
	is(moheap_refcount(heap, common), 1);
	err_is(moheap_incref(heap, common), 0);
	err_is(moheap_store(heap, keeper, 0, 0), 0);
	err_is(moheap_decref(heap, keeper), 0);
	is(moheap_refcount(heap, common), 1);
	run(counts);
	is(moheap_refcount(heap, common), 1);
	err_is(moheap_decref(heap, common), 0);
	is(tap_objects(heap), 0);
}

/* ---- The graph ---- */

#define NODES	32

static moheap_ref_t nodes[NODES];

static void *mutates(void *arg)
{
	unsigned long n = tap_scaled(5000);
	unsigned int seed = (long)arg + 7;
	moheap_ref_t owner, target, got;
	int slot;

	while (n--) {
		owner = nodes[rand_r(&seed) % NODES];
		target = nodes[rand_r(&seed) % NODES];
		slot = rand_r(&seed) % 2;
		switch (rand_r(&seed) % 6) {
		case 0:
			err_is(moheap_store(heap, owner, slot, target), 0);
			break;
		case 1:
			err_is(moheap_load(heap, owner, slot, &got), 0);
			err_is(moheap_decref(heap, got), 0);
			break;
		case 2:
			err_is(moheap_exchange(heap, owner, slot, target, &got), 0);
			err_is(moheap_decref(heap, got), 0);
			break;
		case 3:
			got = tap_new(heap, type);
			err_is(moheap_store(heap, owner, slot, got), 0);
			err_is(moheap_store(heap, got, 0, owner), 0);
			err_is(moheap_decref(heap, got), 0);
			break;
		case 4:
			err_is(moheap_copy(heap, owner, 0, target, 0, 2), 0);
			break;
		default:
			err_is(moheap_peek(heap, owner, slot, &got), 0);
			if (!got || moheap_incref(heap, got))
				break;
			err_is(moheap_store(heap, owner, !slot, got), 0);
			err_is(moheap_decref(heap, got), 0);
		}
	}
	return NULL;
}

static void the_graph_is_everybodys(void)
{
	int i;

	setup();
	for (i = 0; i < NODES; i++)
		nodes[i] = tap_new(heap, type);
	run(mutates);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_check(heap), 0);
	for (i = 0; i < NODES; i++)
		err_is(moheap_decref(heap, nodes[i]), 0);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 0);
}

/* A stack in one slot, with compare_exchange. */
static moheap_ref_t stack;
static unsigned long popped;

static void push(moheap_ref_t node)
{
	moheap_ref_t head;
	int err;

	do {
		err_is(moheap_load(heap, stack, 0, &head), 0);
		err_is(moheap_store(heap, node, 0, head), 0);
		err_is(moheap_decref(heap, head), 0);
		err = moheap_compare_exchange(heap, stack, 0, &head, node);
		/* The head was popped and died meanwhile: as good as changed. */
	} while (err == -EAGAIN || err == -ESTALE);
	err_is(err, 0);
}

static bool pop(void)
{
	moheap_ref_t head, next;
	int err;

	do {
		err_is(moheap_load(heap, stack, 0, &head), 0);
		if (!head)
			return false;
		err_is(moheap_load(heap, head, 0, &next), 0);
		err = moheap_compare_exchange(heap, stack, 0, &(moheap_ref_t){ head }, next);
		err_is(moheap_decref(heap, next), 0);
		err_is(moheap_decref(heap, head), 0);
	} while (err == -EAGAIN);
	err_is(err, 0);
	return true;
}

static void *pushes_and_pops(void *arg)
{
	unsigned long n = tap_scaled(1500), i, mine = 0;
	moheap_ref_t node;

	(void)arg;
	for (i = 0; i < n; i++) {
		node = tap_new(heap, type);
		push(node);
		err_is(moheap_decref(heap, node), 0);
		if (i % 3)
			mine += pop();
	}
	__atomic_fetch_add(&popped, mine, __ATOMIC_RELAXED);
	return NULL;
}

static void compare_exchange_decides(void)
{
	unsigned long left = 0;

	setup();
	stack = tap_new(heap, type);
	run(pushes_and_pops);
	while (pop())
		left++;
	is(popped + left, THREADS * tap_scaled(1500));
	moheap_decref(heap, stack);
	is(tap_objects(heap), 0);
}

/* ---- What happens before is in the queue before ---- */

static moheap_ref_t handed;
static sem_t full, empty;

static void *hands_over(void *arg)
{
	unsigned long n = tap_scaled(3000);
	moheap_ref_t box, item;

	(void)arg;
	while (n--) {
		box = tap_new(heap, type);
		item = tap_new(heap, type);
		err_is(moheap_store(heap, box, 1, item), 0);
		err_is(moheap_decref(heap, item), 0);
		sem_wait(&empty);
		handed = box;
		sem_post(&full);
	}
	return NULL;
}

static void *takes_over(void *arg)
{
	unsigned long n = tap_scaled(3000);
	moheap_ref_t box, got;

	(void)arg;
	while (n--) {
		sem_wait(&full);
		box = handed;
		sem_post(&empty);
		err_is(moheap_load(heap, box, 1, &got), 0);
		ok(got);
		err_is(moheap_decref(heap, got), 0);
		err_is(moheap_decref(heap, box), 0);
	}
	return NULL;
}

static void order_holds_across_threads(void)
{
	pthread_t threads[2];

	setup();
	sem_init(&empty, 0, 1);
	sem_init(&full, 0, 0);
	is(pthread_create(&threads[0], NULL, hands_over, NULL), 0);
	is(pthread_create(&threads[1], NULL, takes_over, NULL), 0);
	is(pthread_join(threads[0], NULL), 0);
	is(pthread_join(threads[1], NULL), 0);
	is(tap_objects(heap), 0);
}

/* ---- Collections and figures meanwhile ---- */

static bool stop;

static void *collects(void *arg)
{
	struct moheap_stat stat = { .size = sizeof(stat) };
	unsigned int i;

	(void)arg;
	for (i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		err_is(moheap_collect(heap, i % 3, NULL), 0);
		err_is(moheap_stat(heap, &stat), 0);
		err_is(moheap_check(heap), 0);
	}
	return NULL;
}

static void collections_beside_work(void)
{
	pthread_t collector;
	int i;

	setup();
	for (i = 0; i < NODES; i++)
		nodes[i] = tap_new(heap, type);
	is(pthread_create(&collector, NULL, collects, NULL), 0);
	run(mutates);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	is(pthread_join(collector, NULL), 0);
	for (i = 0; i < NODES; i++)
		err_is(moheap_decref(heap, nodes[i]), 0);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 0);
}

static const struct tap_case cases[] = {
	{ "each has its own objects", each_has_its_own_objects },
	{ "counts meet at zero", counts_meet },
	{ "the graph is everybody's", the_graph_is_everybodys },
	{ "compare_exchange decides", compare_exchange_decides },
	{ "order holds across threads", order_holds_across_threads },
	{ "collections beside work", collections_beside_work },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
