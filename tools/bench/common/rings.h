/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program that makes cyclic garbage without end: how much is alive, how much is dropped, and
 * in rings of which sizes. peers/gc_overshoot.py has the same.
 */
#ifndef BENCH_RINGS_H
#define BENCH_RINGS_H

#include "bench.h"

#define RINGS_LIVE	100000
#define RINGS_GARBAGE	800000
#define RINGS_LARGEST	4096

/* 2, 4, 8, ..., each so often that every size has an equal share of the objects. */
static inline __u32 rings_next(__u32 step)
{
	__u32 size = 2;

	while (size < RINGS_LARGEST && step % 2) {
		step /= 2;
		size *= 2;
	}
	return size;
}

#endif /* BENCH_RINGS_H */
