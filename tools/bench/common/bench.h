/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every measuring program needs: the time, the memory it is charged for, and a way to say
 * what it found. A finding is a line on standard output:
 *
 *	result METRIC PARTY NUMBER		goes into the table
 *	besides METRIC PARTY WHAT NUMBER	is told beside it
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Nanoseconds: of the clock, and of the processor time of this process. */
__u64 bench_now(void);
__u64 bench_cpu(void);

/* The program ends where @ret is negative: an errno of the library's. */
long long bench_must(const char *what, long long ret);

/* ... where @ret is negative: see errno. */
long long bench_must_sys(const char *what, long long ret);

/* ... where @p is NULL. */
void *bench_must_have(const char *what, void *p);

/* ... where @truth is not. */
void bench_must_be(const char *what, int truth);

void bench_result(const char *metric, const char *party, double number);
void bench_besides(const char *metric, const char *party, const char *what, double number);

/* The same random numbers in every program that starts from the same state. */
__u32 bench_random(__u64 *state);

/* 0 to @n - 1 in random order. */
void bench_shuffle(__u32 *order, __u32 n, __u64 *state);

/*
 * The memory that this process is charged for: user memory, page tables, kernel objects.
 * bench_charge_alone() first: it moves the process to a memory cgroup of its own.
 */
void bench_charge_alone(void);
__u64 bench_charged(void);

/*
 * The longest moment, of so many ns, in which this processor did not run: what is to be taken off
 * any longest time.
 */
__u64 bench_longest_gap(__u64 ns);

/* This process runs on processor @cpu from now on. */
void bench_pin(int cpu);

#ifdef __cplusplus
}
#endif

#endif /* BENCH_H */
