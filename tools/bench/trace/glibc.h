/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What malloc and its kin are called within glibc, for a program that has taken their names.
 */
#ifndef BENCH_TRACE_GLIBC_H
#define BENCH_TRACE_GLIBC_H

#include <stddef.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

#endif /* BENCH_TRACE_GLIBC_H */
