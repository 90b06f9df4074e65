/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A way to get memory and to give it back: libmoheap and those it is compared with. A workload
 * is compiled once, and linked with each.
 */
#ifndef BENCH_BACKEND_H
#define BENCH_BACKEND_H

#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an allocation is called: never 0. */
typedef __u64 backend_t;

extern const char *const backend_name;

/* @size: bytes of every object, with two references each; 0: they vary, and have none. */
void backend_open(size_t size);

backend_t backend_new(size_t size);
void backend_drop(backend_t object);
void *backend_ptr(backend_t object);

/* All that was dropped is dropped for good. */
void backend_flush(void);

#ifdef __cplusplus
}
#endif

#endif /* BENCH_BACKEND_H */
