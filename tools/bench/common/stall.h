/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A mutator that takes the time of each of its library calls: it makes small objects, links
 * them, drops them, and now and then flushes or reads a slot, as a program does that minds its
 * own business while the collector works.
 */
#ifndef BENCH_STALL_H
#define BENCH_STALL_H

#include "graph.h"

#define STALL_RING	64	/* objects the mutator keeps */

/**
 * struct stall - the mutator
 * @heap: where it works
 * @type: of its objects
 * @step: how far it is
 * @ring: what it keeps
 * @times: what each call took, in ns
 * @n: how many that are
 * @room: entries in @times; calls beyond are only compared with @longest
 * @longest: of all
 */
struct stall {
	struct moheap *heap;
	int type;
	__u32 step;
	moheap_ref_t ring[STALL_RING];
	__u32 *times;
	size_t n;
	size_t room;
	__u64 longest;
};

void stall_begin(struct stall *s, struct moheap *heap, int type);

/* A handful of calls. */
void stall_step(struct stall *s);

/* Say what was found. */
void stall_tell(struct stall *s, const char *metric, const char *party);

#endif /* BENCH_STALL_H */
