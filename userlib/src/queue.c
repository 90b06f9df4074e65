// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * The way to the kernel.
 *
 * Operations that need no answer gather in heap->queue, in the order in which they are made,
 * and go out as one batch: when the queue is full, when somebody asks (moheap_flush()), and
 * before any operation that does need an answer, so that each sees what was done before it.
 * One that fails does not stop those after it (MOHEAP_BATCH_CONTINUE).
 *
 * The queue is the heap's, under heap->lock: whatever order threads agree on by other means is
 * the order here. Per-thread queues would have to be told of such agreements.
 */
#include <sys/ioctl.h>

#include "internal.h"

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

/* Carry out all of the queue. Each operation has its own error afterwards. */
static void mh_queue_carry_out(struct moheap *heap)
{
	struct mh_queue *queue = &heap->queue;
	unsigned int at = 0;
	unsigned int done;
	int err;

	while (at < queue->n) {
		err = mh_batch(heap, queue->ops + at, queue->n - at, &done);
		at += done;
		if (!err && !done)
			err = -EIO;	/* no kernel does that; loop for ever on none */
		if (!err || err == -EINTR)
			continue;
		for (; at < queue->n; at++)
			queue->ops[at].error = err;
	}
	queue->n = 0;
}

static void mh_queue_remember_error(struct mh_queue *queue, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && !queue->error; i++)
		queue->error = queue->ops[i].error;
}

/*
 * mh_queue_send() - send off what is queued; caller holds heap->lock
 */
void mh_queue_send(struct moheap *heap)
{
	struct mh_queue *queue = &heap->queue;
	unsigned int n = queue->n;

	if (!n)
		return;
	mh_queue_carry_out(heap);
	mh_queue_remember_error(queue, n);
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
		mh_queue_send(heap);
		return 0;
	}
	mh_queue_carry_out(heap);
	return queue->ops[0].error;
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

	if (queue->n == MH_QUEUE_OPS)
		mh_queue_send(heap);
	n = queue->n;
	queue->ops[queue->n++] = *op;
	mh_queue_carry_out(heap);
	mh_queue_remember_error(queue, n);
	*op = queue->ops[n];
	return op->error;
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
	return op->error;
}
