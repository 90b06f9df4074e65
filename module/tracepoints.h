/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: the life of objects and pools, and of collections.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM moheap

#if !defined(MOHEAP_TRACEPOINTS_H) || defined(TRACE_HEADER_MULTI_READ)
#define MOHEAP_TRACEPOINTS_H

#include <linux/tracepoint.h>

#include "internal.h"

TRACE_EVENT(moheap_alloc,
	    TP_PROTO(const struct mh_heap *heap, const struct mh_pool *pool, u64 ref),
	    TP_ARGS(heap, pool, ref),
	    TP_STRUCT__entry(__field(u64, heap)
			     __field(u64, ref)
			     __field(u32, type)),
	    TP_fast_assign(__entry->heap = heap->id;
			   __entry->ref = ref;
			   __entry->type = pool->bin->type->id;),
	    TP_printk("heap=%llu ref=%#llx type=%u", __entry->heap, __entry->ref, __entry->type)
);

TRACE_EVENT(moheap_free,
	    TP_PROTO(const struct mh_heap *heap, const struct mh_obj *o, u32 gen),
	    TP_ARGS(heap, o, gen),
	    TP_STRUCT__entry(__field(u64, heap)
			     __field(u32, granule)
			     __field(u32, gen)
			     __field(u32, type)),
	    TP_fast_assign(__entry->heap = heap->id;
			   __entry->granule = mh_granule(o);
			   __entry->gen = gen;
			   __entry->type = o->pool->bin->type->id;),
	    TP_printk("heap=%llu granule=%#x gen=%#x type=%u", __entry->heap, __entry->granule,
		      __entry->gen, __entry->type)
);

TRACE_EVENT(moheap_pool,
	    TP_PROTO(const struct mh_heap *heap, const struct mh_pool *pool, bool created),
	    TP_ARGS(heap, pool, created),
	    TP_STRUCT__entry(__field(u64, heap)
			     __field(u32, pool)
			     __field(u32, type)
			     __field(u32, blocks)
			     __field(bool, created)),
	    TP_fast_assign(__entry->heap = heap->id;
			   __entry->pool = pool->id;
			   __entry->type = pool->bin->type->id;
			   __entry->blocks = pool->nblocks;
			   __entry->created = created;),
	    TP_printk("heap=%llu pool=%u type=%u blocks=%u %s", __entry->heap, __entry->pool,
		      __entry->type, __entry->blocks, __entry->created ? "created" : "released")
);

TRACE_EVENT(moheap_local_pass,
	    TP_PROTO(const struct mh_heap *heap, u64 visits, u64 freed, u64 escapes),
	    TP_ARGS(heap, visits, freed, escapes),
	    TP_STRUCT__entry(__field(u64, heap)
			     __field(u64, visits)
			     __field(u64, freed)
			     __field(u64, escapes)),
	    TP_fast_assign(__entry->heap = heap->id;
			   __entry->visits = visits;
			   __entry->freed = freed;
			   __entry->escapes = escapes;),
	    TP_printk("heap=%llu visits=%llu freed=%llu escapes=%llu", __entry->heap,
		      __entry->visits, __entry->freed, __entry->escapes)
);

TRACE_EVENT(moheap_trace_begin,
	    TP_PROTO(const struct mh_heap *heap, u64 number),
	    TP_ARGS(heap, number),
	    TP_STRUCT__entry(__field(u64, heap)
			     __field(u64, number)),
	    TP_fast_assign(__entry->heap = heap->id;
			   __entry->number = number;),
	    TP_printk("heap=%llu trace=%llu", __entry->heap, __entry->number)
);

TRACE_EVENT(moheap_trace_end,
	    TP_PROTO(const struct mh_heap *heap, u64 number, u64 live, u64 ns),
	    TP_ARGS(heap, number, live, ns),
	    TP_STRUCT__entry(__field(u64, heap)
			     __field(u64, number)
			     __field(u64, live)
			     __field(u64, ns)),
	    TP_fast_assign(__entry->heap = heap->id;
			   __entry->number = number;
			   __entry->live = live;
			   __entry->ns = ns;),
	    TP_printk("heap=%llu trace=%llu live=%llu ns=%llu", __entry->heap, __entry->number,
		      __entry->live, __entry->ns)
);

#endif /* MOHEAP_TRACEPOINTS_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE tracepoints
#include <trace/define_trace.h>
