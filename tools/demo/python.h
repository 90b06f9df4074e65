/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What CPython says about the same lists.
 */
#ifndef DEMO_PYTHON_H
#define DEMO_PYTHON_H

#include <stdbool.h>

/**
 * struct python_sizes - sys.getsizeof(), in bytes
 * @a: of [1] * 1000000
 * @b: of [2] * 1000000
 * @c: of a + b
 * @one: of 1
 * @measured: it was asked here and now; else that is what is documented
 */
struct python_sizes {
	unsigned long long a;
	unsigned long long b;
	unsigned long long c;
	unsigned long long one;
	bool measured;
};

struct python_sizes python_measure(void);

#endif /* DEMO_PYTHON_H */
