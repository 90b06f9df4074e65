// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * The way to the kernel.
 *
 * Operations that need no answer gather in heap->queue, in the order in which they are made. The
 * oldest go out as a batch when the queue is full; all do when somebody asks (moheap_flush()), and
 * before any operation that does need an answer, so that each sees what was done before it.
 * One that fails does not stop those after it (MOHEAP_BATCH_CONTINUE).
 *
 * A STORE that another one of the same slot overtakes while it is still here need not go out
 * (graph.c has the rule). So there are hints where the last STORE of a slot may be: two places
 * for each slot, by a hash. What is cancelled stays in its place until the queue is full or goes
 * out, and is squeezed out then.
 *
 * The queue is the heap's, under heap->lock: whatever order threads agree on by other means is
 * the order here. Per-thread queues would have to be told of such agreements.
 */
#include <sys/ioctl.h>

#include "guard.h"

/*
 * mh_ioctl() - ask the kernel
 *
 * Goes on after signals, where the request is one that has not begun then. The caller holds
 * heap->lock or needs no order.
 *
 * Return: what the ioctl returns, or a negative errno.
 */
int mh_ioctl(struct moheap *heap, unsigned long request, void *arg)
{
	int ret;

	if (heap->fd < 0)
		return -ENOTCONN;
	do {
		ret = ioctl(heap->fd, request, arg);
	} while (ret < 0 && errno == EINTR && request != MOHEAP_IOC_COLLECT);
	return ret < 0 ? -errno : ret;
}

/* One BATCH. Sets @done, whatever comes of it. */
static int mh_batch(struct moheap *heap, struct moheap_op *ops, unsigned int n,
		    unsigned int *done)
{
	struct moheap_batch batch = {
		.size = sizeof(batch),
		.flags = MOHEAP_BATCH_CONTINUE,
		.ops = (uintptr_t)ops,
		.count = n,
	};
	int ret;

	*done = 0;
	if (heap->fd < 0)
		return -ENOTCONN;
	ret = ioctl(heap->fd, MOHEAP_IOC_BATCH, &batch);
	*done = mh_min(batch.done, n);
	return ret < 0 ? -errno : 0;
}

/* ---- Stores that are overtaken ---- */

static inline __u16 *mh_queue_hints(struct mh_queue *queue, const struct moheap_op *op)
{
	__u32 hash = ((__u32)op->ref + op->index * 0x85ebca6bU) * 0x9e3779b1U;

	return &queue->hints[hash >> 20 & ~1U];
}

static inline bool mh_queue_is_store(const struct mh_queue *queue, unsigned int at,
				     const struct moheap_op *op)
{
	const struct moheap_op *found = &queue->ops[at];

	return at < queue->n && found->ref == op->ref && found->index == op->index &&
	       found->code == MOHEAP_OP_STORE;
}

/*
 * mh_queue_find_store() - a STORE in the queue that is for the same slot as @op
 *
 * Caller holds heap->lock.
 *
 * Return: the operation, or NULL; there may be one all the same.
 */
struct moheap_op *mh_queue_find_store(struct moheap *heap, const struct moheap_op *op)
{
	struct mh_queue *queue = &heap->queue;
	const __u16 *hints = mh_queue_hints(queue, op);

	if (mh_queue_is_store(queue, hints[0], op))
		return &queue->ops[hints[0]];
	if (mh_queue_is_store(queue, hints[1], op))
		return &queue->ops[hints[1]];
	return NULL;
}

/* The newest two of a hash are remembered. */
static inline void mh_queue_hint(struct mh_queue *queue, unsigned int at)
{
	__u16 *hints = mh_queue_hints(queue, &queue->ops[at]);

	if (!mh_queue_is_store(queue, hints[0], &queue->ops[at]))
		hints[1] = hints[0];
	hints[0] = at;
}

/*
 * mh_queue_cancel() - an operation in the queue is not to be carried out; caller holds heap->lock
 */
void mh_queue_cancel(struct moheap *heap, struct moheap_op *op)
{
	op->code = MH_OP_CANCELLED;
	heap->queue.cancelled++;
}

/* Only the operations from @from on are left, without those that are cancelled. */
static void mh_queue_squeeze(struct mh_queue *queue, unsigned int from)
{
	unsigned int i, n = queue->n;

	if (!queue->cancelled && !from)
		return;
	if (!queue->cancelled && !queue->stores) {
		for (i = from; i < n; i++)
			queue->ops[i - from] = queue->ops[i];
		queue->n = n - from;
		return;
	}
	queue->n = 0;
	queue->stores = 0;
	for (i = from; i < n; i++) {
		if (queue->ops[i].code == MH_OP_CANCELLED)
			continue;
		queue->ops[queue->n++] = queue->ops[i];
		if (queue->ops[i].code == MOHEAP_OP_STORE) {
			mh_queue_hint(queue, queue->n - 1);
			queue->stores++;
		}
	}
	queue->cancelled = 0;
}

/* ---- Going out ---- */

/* Carry out operations. Each has its own error afterwards. */
static void mh_carry_out(struct moheap *heap, struct moheap_op *ops, unsigned int n)
{
	unsigned int at = 0;
	unsigned int done;
	int err;

	while (at < n) {
		err = mh_batch(heap, ops + at, n - at, &done);
		at += done;
		if (!err && !done)
			err = -EIO;	/* no kernel does that; loop for ever on none */
		if (!err || err == -EINTR)
			continue;
		for (; at < n; at++)
			ops[at].error = err;
	}
	if (heap->guard)
		mh_guard_judge(heap, ops, n);
}

static void mh_queue_carry_out(struct moheap *heap)
{
	mh_carry_out(heap, heap->queue.ops, heap->queue.n);
	heap->queue.n = 0;
}

static void mh_queue_remember_error(struct mh_queue *queue, unsigned int n)
{
	unsigned int i;

	/* An UNWATCH that comes late is no error (event.c). */
	for (i = 0; i < n && !queue->error; i++)
		if (queue->ops[i].code != MOHEAP_OP_UNWATCH)
			queue->error = queue->ops[i].error;
}

/*
 * mh_queue_send() - send off what is queued; caller holds heap->lock
 */
void mh_queue_send(struct moheap *heap)
{
	struct mh_queue *queue = &heap->queue;
	unsigned int n;

	mh_queue_squeeze(queue, 0);
	n = queue->n;
	if (!n)
		return;
	mh_queue_carry_out(heap);
	mh_queue_remember_error(queue, n);
}

/*
 * If squeezing it out does not help, send off the oldest quarter. Not all: the rest may be
 * overtaken yet, and whoever is the one to fill the queue should not pay for all of it.
 */
static __attribute_noinline__ void mh_queue_full(struct moheap *heap)
{
	struct mh_queue *queue = &heap->queue;
	unsigned int some = queue->depth / 4;

	mh_queue_squeeze(queue, 0);
	if (queue->n <= queue->depth - some)
		return;
	mh_carry_out(heap, queue->ops, some);
	mh_queue_remember_error(queue, some);
	mh_queue_squeeze(queue, some);
	mh_guard_drain(heap);
}

/*
 * mh_queue_add() - queue an operation; caller holds heap->lock
 *
 * Return: 0; or its error, where nothing is to be queued.
 */
int mh_queue_add(struct moheap *heap, const struct moheap_op *op)
{
	struct mh_queue *queue = &heap->queue;

	queue->ops[queue->n++] = *op;
	if (queue->n < queue->depth)
		return 0;
	if (queue->depth > 1) {
		mh_queue_full(heap);
		return 0;
	}
	mh_queue_carry_out(heap);
	return queue->ops[0].error;
}

/*
 * mh_queue_add_store() - as mh_queue_add(), for a STORE that mh_queue_find_store() shall find
 */
int mh_queue_add_store(struct moheap *heap, const struct moheap_op *op)
{
	int err;

	heap->queue.stores++;
	err = mh_queue_add(heap, op);
	if (heap->queue.n)
		mh_queue_hint(&heap->queue, heap->queue.n - 1);
	return err;
}

/*
 * mh_queue_run() - carry out an operation now, after all that are queued
 *
 * Caller holds heap->lock. For operations of bounded length, which no signal can cut in two.
 *
 * Return: the error of @op, which has the results.
 */
int mh_queue_run(struct moheap *heap, struct moheap_op *op)
{
	struct mh_queue *queue = &heap->queue;
	unsigned int n;

	mh_queue_squeeze(queue, 0);
	n = queue->n;
	queue->ops[queue->n++] = *op;
	mh_queue_carry_out(heap);
	mh_queue_remember_error(queue, n);
	*op = queue->ops[n];
	return op->error;
}

/*
 * mh_queue_run_many() - as mh_queue_run(), for @n operations; each has its own error afterwards
 */
void mh_queue_run_many(struct moheap *heap, struct moheap_op *ops, unsigned int n)
{
	mh_queue_send(heap);
	mh_carry_out(heap, ops, n);
}

/*
 * mh_queue_run_long() - as mh_queue_run(), for ALLOC, FILL, COPY and READ
 *
 * Return: the error of @op. With -EINTR its members say how far it came: the caller goes on
 * from there.
 */
int mh_queue_run_long(struct moheap *heap, struct moheap_op *op)
{
	unsigned int done;
	int err;

	mh_queue_send(heap);
	do {
		op->error = 0;
		err = mh_batch(heap, op, 1, &done);
	} while (err == -EINTR && !op->error);
	if (!op->error)
		op->error = err;
	if (heap->guard)
		mh_guard_judge(heap, op, 1);
	return op->error;
}
