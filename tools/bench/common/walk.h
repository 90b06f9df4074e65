/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The list that is walked: the same order in each program. It is walked several times, of which
 * the last counts: the first brings in its pages.
 */
#ifndef BENCH_WALK_H
#define BENCH_WALK_H

#include <stdlib.h>

#include "bench.h"

#define WALK_NODES	1000000U
#define WALK_TIMES	3
#define WALK_SUM	((__u64)WALK_NODES * (WALK_NODES - 1) / 2)

static inline __u32 *walk_order(void)
{
	__u32 *order = bench_must_have("malloc", malloc(WALK_NODES * sizeof(*order)));
	__u64 random = 1;

	bench_shuffle(order, WALK_NODES, &random);
	return order;
}

#endif /* BENCH_WALK_H */
