/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The report: what a person reads, 80 columns wide, and the checks behind it. Whatever turns out
 * not to be as the report says ends the program, with a line that says what.
 */
#ifndef DEMO_REPORT_H
#define DEMO_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

/* As in the kernel: arguments from @b on fit the format that is argument @a. */
#define FORMAT_PRINTF(a, b)	format(printf, a, b)
#define __printf(a, b)		__attribute__((FORMAT_PRINTF(a, b)))

/* A number as people write it, good until the end of the statement: count(n).s */
struct number {
	char s[32];
};

struct number count(unsigned long long n);
struct number size(unsigned long long n);
struct number duration(__u64 ns);

/* Nanoseconds on a clock that only goes forward. */
__u64 now(void);

void heading(const char *text);

void blank_line(void);

/* What is counted, how many, and what that means. */
void row(const char *what, struct number value, const char *meaning, ...) __printf(3, 4);

/* Words of a paragraph, whose lines are broken where they must, until its end. */
void say(const char *fmt, ...) __printf(1, 2);
void paragraph_end(void);

/* The end of the program, unless @truth. */
void claim(bool truth, const char *fmt, ...) __printf(2, 3);

/* The end of the program where @ret is a negative errno. */
long long must(const char *what, long long ret);

/* malloc() and calloc() that do not fail. */
void *memory(size_t n, size_t size);
void *memory_grown(void *old, size_t n, size_t size);

#endif /* DEMO_REPORT_H */
