/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * The test harness: every case runs in a process of its own and is a line of TAP. The first
 * check that fails ends its case. Heaps from tap_heap() are verified by the kernel
 * (MOHEAP_IOC_CHECK) at the end of the case.
 *
 *	prog [PART]	only cases whose names contain PART
 *
 * MOHEAP_SCALE: percent of the usual amount of work (tap_scaled()).
 * MOHEAP_LARGE: what takes the place of a million (tap_large()), for machines that are slow, or
 * small.
 */
#ifndef MOHEAP_TESTS_TAP_H
#define MOHEAP_TESTS_TAP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <moheap.h>

/* Argument @n is a format; what it needs is from argument @first on. */
#define TAP_FORMAT(n, first)	format(printf, n, first)
#define TAP_PRINTF(n, first)	__attribute__((TAP_FORMAT(n, first)))
#define TAP_NO_RETURN		__attribute__((TAP_ENDS))
#define TAP_ENDS		noreturn

#define TAP_LARGE		1000000
#define TAP_COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/**
 * struct tap_case - one case
 * @name: what it shows
 * @run: shows it
 * @seconds: how long it may take; 0: 60. Scaled up with MOHEAP_SCALE
 * @run_with: called in place of @run
 * @arg: for @run_with
 */
struct tap_case {
	const char *name;
	void (*run)(void);
	unsigned int seconds;
	void (*run_with)(const void *arg);
	const void *arg;
};

int tap_main(int argc, char **argv, const struct tap_case *cases, unsigned int n);

/*
 * A case for each of the @n entries of a table, of @size bytes each; @like says all else of it.
 * An entry begins with the name of its case, and is the argument of run_with.
 */
int tap_main_table(int argc, char **argv, const void *table, size_t size, unsigned int n,
		   const struct tap_case *like);

/* Of the case that runs: */

TAP_PRINTF(1, 2) void tap_note(const char *format, ...);
TAP_PRINTF(1, 2) TAP_NO_RETURN void tap_skip(const char *format, ...);
TAP_PRINTF(3, 4) TAP_NO_RETURN
void tap_fail(const char *file, int line, const char *format, ...);
void tap_is(const char *file, int line, const char *what, long long got, long long want);
void tap_err(const char *file, int line, const char *what, long long got, long long want);
int tap_must(const char *file, int line, const char *what, int got);
unsigned long tap_scaled(unsigned long n);
unsigned long tap_large(unsigned long n);
double tap_seconds(void);
void *tap_shared(size_t bytes);	/* memory that children of fork() share */

/* A heap with MOHEAP_CREATE_DEBUG, verified and closed at the end of the case. */
struct moheap *tap_heap(void);
struct moheap *tap_heap_limited(__u64 limit);
void tap_heap_adopted(struct moheap *heap);
/* Is this run about guarded heaps (MOHEAP_DEBUG)? For cases that are about sizes, or blocks. */
bool tap_guarded(void);

/* A process that ends with 0 unless a check fails there. */
pid_t tap_fork(void (*run)(void *arg), void *arg);
void tap_wait(pid_t child);

/* Objects alive, none in stock, when the dead have let go of what they referred to. */
__u64 tap_objects(struct moheap *heap);
void tap_wait_objects(struct moheap *heap, __u64 want);
int tap_type(struct moheap *heap, const char *name, size_t payload, unsigned int slots);
moheap_ref_t tap_new(struct moheap *heap, int type);

#define ok(truth) \
	((truth) ? (void)0 : tap_fail(__FILE__, __LINE__, "%s", #truth))

/* Numbers */
#define is(got, want) \
	tap_is(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))

/* 0 or a negative errno */
#define err_is(got, want) \
	tap_err(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))

/* Not negative; gives the value */
#define must(got) \
	tap_must(__FILE__, __LINE__, #got, got)

#endif /* MOHEAP_TESTS_TAP_H */
