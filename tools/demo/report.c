// SPDX-License-Identifier: GPL-2.0
/*
 * How the report looks.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"

#define WIDTH	78

/* ---- Numbers ---- */

struct number count(unsigned long long n)
{
	struct number number = { "" };
	char plain[24];
	char *to = number.s;
	int digits = snprintf(plain, sizeof(plain), "%llu", n);

	for (int i = 0; i < digits; i++) {
		if (i && (digits - i) % 3 == 0)
			*to++ = ',';
		*to++ = plain[i];
	}
	return number;
}

struct number size(unsigned long long n)
{
	struct number number = { "" };

	if (n < 10000)
		snprintf(number.s, sizeof(number.s), "%llu bytes", n);
	else if (n < 1000000)
		snprintf(number.s, sizeof(number.s), "%.0f kB", n / 1e3);
	else
		snprintf(number.s, sizeof(number.s), "%.1f MB", n / 1e6);
	return number;
}

struct number duration(__u64 ns)
{
	struct number number = { "" };

	if (ns < 10000)
		snprintf(number.s, sizeof(number.s), "%llu ns", (unsigned long long)ns);
	else if (ns < 10000000)
		snprintf(number.s, sizeof(number.s), "%.1f ms", ns / 1e6);
	else if (ns < 1000000000)
		snprintf(number.s, sizeof(number.s), "%.0f ms", ns / 1e6);
	else
		snprintf(number.s, sizeof(number.s), "%.2f s", ns / 1e9);
	return number;
}

__u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* ---- Lines ---- */

void heading(const char *text)
{
	printf("\n%s\n", text);
	for (size_t i = strlen(text); i; i--)
		putchar('-');
	printf("\n\n");
	fflush(stdout);
}

void row(const char *what, struct number value, const char *meaning, ...)
{
	va_list args;

	printf("  %-15s %12s   ", what, value.s);
	va_start(args, meaning);
	vprintf(meaning, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

void blank_line(void)
{
	putchar('\n');
}

/* ---- Paragraphs ---- */

/* Where the line ends now; 0 where it has not begun. */
static size_t column;

static void say_word(const char *word)
{
	size_t length = strlen(word);

	if (column && column + 1 + length > WIDTH) {
		putchar('\n');
		column = 0;
	}
	column += printf("%s%s", column ? " " : "  ", word);
}

void say(const char *fmt, ...)
{
	char *text, *word, *next;
	va_list args;
	int length;

	va_start(args, fmt);
	length = vasprintf(&text, fmt, args);
	va_end(args);
	must("memory", length < 0 ? -ENOMEM : 0);
	for (word = strtok_r(text, " ", &next); word; word = strtok_r(NULL, " ", &next))
		say_word(word);
	free(text);
}

void paragraph_end(void)
{
	putchar('\n');
	column = 0;
	fflush(stdout);
}

/* ---- Checks ---- */

void claim(bool truth, const char *fmt, ...)
{
	va_list args;

	if (truth)
		return;
	fflush(stdout);
	fprintf(stderr, "\nmoheap-demo: FAILED: it is not so that ");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

long long must(const char *what, long long ret)
{
	if (ret >= 0)
		return ret;
	fflush(stdout);
	fprintf(stderr, "\nmoheap-demo: FAILED: %s: %s\n", what, strerror(-ret));
	exit(1);
}

void *memory(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	must("memory", p ? 0 : -ENOMEM);
	return p;
}

void *memory_grown(void *old, size_t n, size_t size)
{
	void *p = reallocarray(old, n, size);

	must("memory", p ? 0 : -ENOMEM);
	return p;
}
