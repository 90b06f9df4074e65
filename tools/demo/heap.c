// SPDX-License-Identifier: GPL-2.0
/*
 * A heap to show things in.
 */
#include <time.h>

#include "heap.h"
#include "report.h"

/* Nothing here takes a second. Whoever waits for longer than this waits in vain. */
#define PATIENCE_NS	60000000000ULL

struct moheap *heap_open(void)
{
	struct moheap *heap;

	must("moheap_create (is the module loaded?)", moheap_create(NULL, &heap));
	return heap;
}

void heap_close(struct moheap *heap)
{
	must("moheap_close", moheap_close(heap));
}

struct moheap_stat heap_stat(struct moheap *heap)
{
	struct moheap_stat stat = { .size = sizeof(stat) };

	must("moheap_trim", moheap_trim(heap));
	must("moheap_stat", moheap_stat(heap, &stat));
	return stat;
}

struct moheap_stat heap_wait(struct moheap *heap, heap_is is, unsigned long long n,
			     const char *what)
{
	const struct timespec moment = { .tv_nsec = 500000 };
	struct moheap_stat stat = heap_stat(heap);
	__u64 since = now();

	while (!is(&stat, n)) {
		claim(now() - since < PATIENCE_NS, "%s: %llu objects, %llu wanted", what,
		      stat.objects, n);
		nanosleep(&moment, NULL);
		stat = heap_stat(heap);
	}
	return stat;
}

bool heap_has_objects(const struct moheap_stat *stat, unsigned long long n)
{
	return stat->objects == n;
}

bool heap_has_shrunk(const struct moheap_stat *stat, unsigned long long n)
{
	return stat->objects <= n;
}

bool heap_has_work(const struct moheap_stat *stat, unsigned long long n)
{
	return stat->candidates + stat->escaped == n;
}

void heap_collector(struct moheap *heap, bool enabled)
{
	struct moheap_tune tune = {
		.size = sizeof(tune),
		.set = MOHEAP_TUNE_ENABLED,
		.enabled = enabled,
	};

	must("moheap_tune", moheap_tune(heap, &tune));
}

void heap_rest(struct moheap *heap)
{
	/* What is under way shows in the time it takes, which is counted a step at a time. */
	const struct timespec steps = { .tv_nsec = 20000000 };
	struct moheap_stat stat = heap_stat(heap);
	unsigned long long collector_ns;
	__u64 since = now();

	do {
		claim(now() - since < PATIENCE_NS, "the collector comes to rest");
		collector_ns = stat.collector_ns;
		nanosleep(&steps, NULL);
		stat = heap_stat(heap);
	} while (stat.pending || stat.collector_ns != collector_ns);
}
