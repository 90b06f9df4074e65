// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "backend.h"
#include "bench.h"

const char *const backend_name = "glibc";

void backend_open(size_t size)
{
}

backend_t backend_new(size_t size)
{
	return (uintptr_t)bench_must_have("malloc", malloc(size));
}

void backend_drop(backend_t object)
{
	free((void *)(uintptr_t)object);
}

void *backend_ptr(backend_t object)
{
	return (void *)(uintptr_t)object;
}

void backend_flush(void)
{
}
