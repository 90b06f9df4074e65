/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A trace of allocations: a row of numbers, each in bytes of seven bits, the lowest first, with
 * the top bit set in all but the last.
 *
 *	size << 1			an allocation
 *	age << 1 | TRACE_DROP		the end of the one made age allocations before the last
 *
 * calloc is as malloc, realloc as a drop and an allocation.
 */
#ifndef BENCH_TRACE_FORMAT_H
#define BENCH_TRACE_FORMAT_H

#include <linux/types.h>

#define TRACE_DROP	1
#define TRACE_BYTES	10	/* that a number may take */

static inline __u64 trace_get(const __u8 **at)
{
	__u64 number = 0;
	unsigned int shift = 0;
	__u8 byte;

	do {
		byte = *(*at)++;
		number |= (__u64)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return number;
}

static inline __u8 *trace_put(__u8 *at, __u64 number)
{
	for (; number >= 0x80; number >>= 7)
		*at++ = number | 0x80;
	*at++ = number;
	return at;
}

#endif /* BENCH_TRACE_FORMAT_H */
