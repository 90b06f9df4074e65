// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Tracing: objects and the tracebacks of their making.
 *
 * heap->nframe says whether tracing is on, and how many frames are kept. It is all that making an
 * object looks at while it is off, and is read there without the lock; whoever finds it set asks
 * again under heap->lock before a number is given out.
 *
 * What a traceback is (a number, here) the kernel does not know: it keeps the number with the
 * object (SITE) and hands it back. So this process has no table of objects, and needs none: objects
 * may live on in other hands long after they were given up here, and nobody would tell.
 *
 * To give an object a site is to name it to the kernel: mh_name() comes first, as for any
 * operation, and a traced object is not MH_LOCAL from then on (young.c). That is what tracing
 * costs beside the walk up the stack: objects that die young go to the kernel, too.
 *
 * Numbers are this table's. When it is emptied (stop, clear) the kernel forgets all sites of the
 * client first, under the same lock. A child of fork() has a copy of the table, and another
 * client: what its parent traced before the fork is still to be found in the copy, but for what the
 * parent gives out later. So the child remembers whose its table was, and how long it was then.
 * A child that shares the client would give out the same numbers for other tracebacks than its
 * parent, and so does not trace.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/*
 * mh_sites_ask() - what the kernel knows of the sites of this client; caller holds heap->lock
 *
 * Return: 0 or a negative errno.
 */
int mh_sites_ask(struct moheap *heap, struct moheap_sites *sites)
{
	sites->size = sizeof(*sites);
	mh_queue_send(heap);
	return mh_ioctl(heap, MOHEAP_IOC_SITES, sites);
}

/* ---- Making objects ---- */

/*
 * mh_trace() - some objects were made by who called the library
 *
 * The caller knows of them alone, and does not hold heap->lock.
 */
__attribute_noinline__ void mh_trace(struct moheap *heap, const moheap_ref_t *refs, size_t n)
{
	struct moheap_op op = { .code = MOHEAP_OP_SITE };
	void *frames[MOHEAP_NFRAME_MAX];
	unsigned int nframes = mh_traceback_walk(frames, mh_nframe(heap));
	size_t i;

	mh_lock(&heap->lock);
	/* It may be off by now. */
	nframes = mh_min(nframes, mh_nframe(heap));
	if (mh_nframe(heap))
		op.a = mh_traceback_intern(&heap->tracing.tracebacks, frames, nframes);
	for (i = 0; op.a && i < n; i++) {
		op.ref = refs[i];
		mh_name(heap, op.ref);
		mh_queue_add(heap, &op);
	}
	mh_unlock(&heap->lock);
}

/* ---- On and off ---- */

static const char *mh_tracing_wanted(void)
{
	return secure_getenv("MOHEAP_TRACEMALLOC");
}

/* Before any lock is taken. */
__attribute__((constructor)) static void mh_tracing_prepare(void)
{
	if (mh_tracing_wanted())
		mh_traceback_init();
}

/*
 * mh_tracing_init() - what the environment wants of a heap that is being made
 *
 * Return: 0 or -EINVAL.
 */
int mh_tracing_init(struct moheap *heap)
{
	const char *value = mh_tracing_wanted();
	unsigned long nframe;
	char *end;

	if (!value || !*value)
		return 0;
	errno = 0;
	nframe = strtoul(value, &end, 10);
	/* strtoul() takes a sign. */
	if (errno || *end || *value < '0' || *value > '9' || nframe > MOHEAP_NFRAME_MAX)
		return -EINVAL;
	return nframe ? moheap_tracemalloc_start(heap, nframe) : 0;
}

/*
 * mh_tracing_end() - trace no longer, without a word to the kernel; caller holds heap->lock
 */
void mh_tracing_end(struct moheap *heap)
{
	atomic_store_explicit(&heap->nframe, 0, memory_order_relaxed);
	mh_tracing_free(heap);
}

void mh_tracing_free(struct moheap *heap)
{
	mh_tracebacks_free(&heap->tracing.tracebacks);
	heap->tracing.parent = 0;
}

/*
 * mh_tracing_fork() - a child is about to get a copy of the table; caller holds heap->lock
 */
void mh_tracing_fork(struct moheap *heap)
{
	struct moheap_sites sites = { 0 };

	heap->tracing.self = 0;
	if (mh_nframe(heap) && !mh_sites_ask(heap, &sites))
		heap->tracing.self = sites.client;
}

/*
 * mh_tracing_forked() - this is that child, and has another client; caller holds heap->lock
 */
void mh_tracing_forked(struct moheap *heap)
{
	heap->tracing.parent = heap->tracing.self;
	heap->tracing.parent_n = heap->tracing.tracebacks.n;
}

int moheap_tracemalloc_start(struct moheap *heap, unsigned int nframe)
{
	int err = 0;

	if (!nframe || nframe > MOHEAP_NFRAME_MAX)
		return -ERANGE;
	mh_traceback_init();
	mh_lock(&heap->lock);
	if (heap->fd < 0)
		err = -ENOTCONN;
	else if (!mh_nframe(heap))
		atomic_store_explicit(&heap->nframe, nframe, memory_order_relaxed);
	mh_unlock(&heap->lock);
	return err;
}

/* Forget all traces; caller holds heap->lock. */
static int mh_tracing_clear(struct moheap *heap)
{
	struct moheap_sites sites = { .flags = MOHEAP_SITES_CLEAR };
	int err = mh_sites_ask(heap, &sites);

	if (!err)
		mh_tracing_free(heap);
	return err;
}

int moheap_tracemalloc_stop(struct moheap *heap)
{
	int err = 0;

	mh_lock(&heap->lock);
	if (mh_nframe(heap))
		err = mh_tracing_clear(heap);
	if (!err)
		mh_tracing_end(heap);
	mh_unlock(&heap->lock);
	return err;
}

int moheap_tracemalloc_clear_traces(struct moheap *heap)
{
	int err = 0;

	mh_lock(&heap->lock);
	if (mh_nframe(heap))
		err = mh_tracing_clear(heap);
	mh_unlock(&heap->lock);
	return err;
}

bool moheap_tracemalloc_is_tracing(const struct moheap *heap)
{
	return mh_nframe(heap);
}

unsigned int moheap_tracemalloc_get_traceback_limit(const struct moheap *heap)
{
	return mh_nframe(heap);
}

/* ---- The account ---- */

static int mh_traced(struct moheap *heap, struct moheap_sites *sites)
{
	int err = 0;

	mh_lock(&heap->lock);
	if (mh_nframe(heap))
		err = mh_sites_ask(heap, sites);
	mh_unlock(&heap->lock);
	return err;
}

int moheap_tracemalloc_get_traced_memory(struct moheap *heap, __u64 *size, __u64 *peak)
{
	struct moheap_sites sites = { 0 };
	int err = mh_traced(heap, &sites);

	if (err)
		return err;
	if (size)
		*size = sites.bytes;
	if (peak)
		*peak = sites.peak;
	return 0;
}

int moheap_tracemalloc_reset_peak(struct moheap *heap)
{
	struct moheap_sites sites = { .flags = MOHEAP_SITES_RESET_PEAK };

	return mh_traced(heap, &sites);
}

size_t moheap_tracemalloc_get_tracemalloc_memory(struct moheap *heap)
{
	size_t bytes;

	mh_lock(&heap->lock);
	bytes = mh_tracebacks_bytes(&heap->tracing.tracebacks);
	mh_unlock(&heap->lock);
	return bytes;
}
