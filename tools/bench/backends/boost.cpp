// SPDX-License-Identifier: GPL-2.0
/*
 * Boost.Interprocess, as its documentation has it: a named segment of shared memory, with the
 * default algorithm (best fit) and its interprocess mutex.
 */
#include <boost/interprocess/managed_shared_memory.hpp>

#include "backend.h"

namespace ipc = boost::interprocess;

extern const char *const backend_name = "boost";

static const char segment_name[] = "moheap-bench";
static const size_t segment_bytes = 512UL << 20;
static ipc::managed_shared_memory *segment;

void backend_open(size_t size)
{
	ipc::shared_memory_object::remove(segment_name);
	segment = new ipc::managed_shared_memory(ipc::create_only, segment_name, segment_bytes);
	/* The mapping is all that is needed; the name must not outlive the program. */
	ipc::shared_memory_object::remove(segment_name);
}

backend_t backend_new(size_t size)
{
	return reinterpret_cast<backend_t>(segment->allocate(size));
}

void backend_drop(backend_t object)
{
	segment->deallocate(backend_ptr(object));
}

void *backend_ptr(backend_t object)
{
	return reinterpret_cast<void *>(object);
}

void backend_flush(void)
{
}
