/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * What containers are tested with: values of all kinds, some of them equal; memory that runs
 * out at one point or another; random numbers that can be had again.
 */
#ifndef MOHEAP_TESTS_VALUES_H
#define MOHEAP_TESTS_VALUES_H

#include "tap.h"

/**
 * struct value - an item or a key
 * @ref: the object; the case has a reference to it
 * @same: equal values have the same here, others do not
 */
struct value {
	moheap_ref_t ref;
	int same;
};

void values_make(struct moheap *heap, struct value *values, unsigned int n);
void values_drop(struct moheap *heap, struct value *values, unsigned int n);

/* Where the test's random numbers begin: MOHEAP_SEED, which is printed. */
void values_seed(void);

/* A box, a byte string: the caller has a reference to it. */
moheap_ref_t value_int(struct moheap *heap, long long value);
moheap_ref_t value_bytes(struct moheap *heap, const char *string);

/*
 * Do something on a heap that has next to no memory left, and a little more each time, until it
 * works. Where it fails, it must be for want of memory, and must leave no object behind. @check
 * looks at the rest, and is told what came of it.
 */
void values_with_little_memory(struct moheap *heap, int (*run)(struct moheap *heap, void *arg),
			       void (*check)(struct moheap *heap, void *arg, int err), void *arg);

#endif /* MOHEAP_TESTS_VALUES_H */
