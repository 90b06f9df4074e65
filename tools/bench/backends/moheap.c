// SPDX-License-Identifier: GPL-2.0
#include <moheap.h>

#include "backend.h"
#include "bench.h"

const char *const backend_name = "ours";

static struct moheap *heap;
static int type;
static int sized;

void backend_open(size_t size)
{
	struct moheap_options options = { .size = sizeof(options), .limit = 2ULL << 30 };
	struct moheap_layout layout = { .size = sizeof(layout), .name = "object" };

	sized = !size;
	if (sized)
		layout.flags = MOHEAP_TYPE_VAR_PAYLOAD;
	else
		layout.slots = 2;
	layout.payload = size;
	bench_must("moheap_create", moheap_create(&options, &heap));
	type = bench_must("moheap_type_register", moheap_type_register(heap, &layout));
}

backend_t backend_new(size_t size)
{
	moheap_ref_t ref;

	if (sized)
		bench_must("moheap_new_sized", moheap_new_sized(heap, type, size, 0, &ref));
	else
		bench_must("moheap_new", moheap_new(heap, type, &ref));
	return ref;
}

void backend_drop(backend_t object)
{
	moheap_decref(heap, object);
}

void *backend_ptr(backend_t object)
{
	return moheap_ptr(heap, object);
}

void backend_flush(void)
{
	bench_must("moheap_flush", moheap_flush(heap));
}
