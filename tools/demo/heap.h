/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A heap to show things in: made, watched and closed without a word about errors.
 */
#ifndef DEMO_HEAP_H
#define DEMO_HEAP_H

#include <stdbool.h>

#include <moheap.h>

struct moheap *heap_open(void);
void heap_close(struct moheap *heap);

/* The figures of a heap, the library's stock of new objects left out of them. */
struct moheap_stat heap_stat(struct moheap *heap);

/*
 * Look at the figures again and again, until they are as wanted; @what says how that is.
 * Nothing is asked of the collector: it has a thread of its own in the kernel.
 */
typedef bool (*heap_is)(const struct moheap_stat *stat, unsigned long long n);

struct moheap_stat heap_wait(struct moheap *heap, heap_is is, unsigned long long n,
			     const char *what);

bool heap_has_objects(const struct moheap_stat *stat, unsigned long long n);

/* So many, or fewer. */
bool heap_has_shrunk(const struct moheap_stat *stat, unsigned long long n);

/* Has the collector so many objects to look at? */
bool heap_has_work(const struct moheap_stat *stat, unsigned long long n);

/* Let the collector look for cycles, or not. It finishes what it began: heap_rest(). */
void heap_collector(struct moheap *heap, bool enabled);

/* Wait until it is not in the middle of anything. */
void heap_rest(struct moheap *heap);

#endif /* DEMO_HEAP_H */
