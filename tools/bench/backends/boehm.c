// SPDX-License-Identifier: GPL-2.0
/*
 * The Boehm collector finds out by itself what was dropped: the workload overwrites it.
 */
#include <gc.h>

#include "backend.h"
#include "bench.h"

const char *const backend_name = "boehm";

void backend_open(size_t size)
{
	GC_INIT();
}

backend_t backend_new(size_t size)
{
	return (uintptr_t)bench_must_have("GC_MALLOC", GC_MALLOC(size));
}

void backend_drop(backend_t object)
{
}

void *backend_ptr(backend_t object)
{
	return (void *)(uintptr_t)object;
}

void backend_flush(void)
{
}
