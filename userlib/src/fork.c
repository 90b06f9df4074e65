// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * All heaps of the process, for what concerns them all: fork, and the end.
 *
 * A child of fork() shares the open file with its parent, and so the client: what one drops,
 * the other loses. So before each fork the parent makes a client for the child that holds the
 * same objects (CLONE), and the child puts it in the place of the inherited one. Local counts
 * and tables are copied by fork itself, the mapping is of the arena and good for both.
 *
 * Stocks would be copied, too, but an object can be handed out as new only once: they are given
 * back first, or, where no client is made, they stay the parent's.
 *
 * Between mh_fork_prepare() and the other two all locks are held, mh_heaps.lock first, so
 * that the child finds everything consistent.
 */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "event.h"
#include "guard.h"

static struct {
	struct mh_lock lock;	/* protects first, and moheap->next */
	struct moheap *first;
} mh_heaps;

static void mh_fork_prepare(void)
{
	struct moheap *heap;

	mh_lock(&mh_heaps.lock);
	for (heap = mh_heaps.first; heap; heap = heap->next) {
		mh_lock(&heap->weakrefs.lock);
		mh_lock(&heap->lock);
		heap->fork_fd = -1;
		mh_tell_all(heap);
		mh_tracing_fork(heap);
		if (heap->fork == MOHEAP_FORK_CLONE)
			heap->fork_fd = mh_clone_fd(heap);
		else
			mh_queue_send(heap);
	}
}

static void mh_fork_parent(void)
{
	struct moheap *heap;

	for (heap = mh_heaps.first; heap; heap = heap->next) {
		if (heap->fork_fd >= 0)
			close(heap->fork_fd);
		mh_unlock(&heap->lock);
		mh_unlock(&heap->weakrefs.lock);
	}
	mh_unlock(&mh_heaps.lock);
}

/* Put the child's own client in the place, and under the number, of its parent's. */
static void mh_fork_switch(struct moheap *heap)
{
	int cloexec = (fcntl(heap->fd, F_GETFD) & FD_CLOEXEC) ? O_CLOEXEC : 0;

	if (dup3(heap->fork_fd, heap->fd, cloexec) < 0) {
		close(heap->fd);
		heap->fd = heap->fork_fd;
		return;
	}
	close(heap->fork_fd);
}

static void mh_fork_child_client(struct moheap *heap)
{
	if (heap->fork_fd >= 0) {
		mh_fork_switch(heap);
		mh_tracing_forked(heap);
		return;
	}
	mh_tracing_end(heap);
	if (heap->fork == MOHEAP_FORK_SHARE)
		return;
	if (heap->fd >= 0)
		close(heap->fd);
	heap->fd = -1;
}

static void mh_fork_child_heap(struct moheap *heap)
{
	heap->queue.error = 0;
	mh_stocks_forget(heap);
	mh_guard_forget(heap, heap->fork == MOHEAP_FORK_SHARE);
	mh_fork_child_client(heap);
	mh_events_forked(heap);
}

static void mh_fork_child(void)
{
	struct moheap *heap;

	for (heap = mh_heaps.first; heap; heap = heap->next) {
		mh_fork_child_heap(heap);
		mh_lock_reset(&heap->lock);
		mh_lock_reset(&heap->weakrefs.lock);
	}
	mh_lock_reset(&mh_heaps.lock);
}

static pthread_once_t mh_fork_once = PTHREAD_ONCE_INIT;
static int mh_fork_error;

static void mh_fork_init(void)
{
	mh_fork_error = pthread_atfork(mh_fork_prepare, mh_fork_parent, mh_fork_child);
}

/*
 * mh_heaps_lock() - no fork from here to mh_heaps_unlock()
 *
 * To be held while there is a file of a heap that is not in the list: a child would keep it.
 *
 * Return: 0, or -ENOMEM, and then the lock is not held.
 */
int mh_heaps_lock(void)
{
	pthread_once(&mh_fork_once, mh_fork_init);
	if (mh_fork_error)
		return -mh_fork_error;
	mh_lock(&mh_heaps.lock);
	return 0;
}

void mh_heaps_unlock(void)
{
	mh_unlock(&mh_heaps.lock);
}

/*
 * mh_heaps_add() - have a heap that is complete taken care of; caller holds mh_heaps_lock()
 */
void mh_heaps_add(struct moheap *heap)
{
	heap->next = mh_heaps.first;
	mh_heaps.first = heap;
}

/*
 * mh_heaps_remove() - and no longer; caller holds mh_heaps_lock()
 */
void mh_heaps_remove(struct moheap *heap)
{
	struct moheap **link;

	for (link = &mh_heaps.first; *link != heap; link = &(*link)->next)
		;
	*link = heap->next;
}

/*
 * What a program stored and never flushed is there for others when it ends, as what it wrote to
 * a stdio stream. A thread that still works on a heap is not waited for.
 */
__attribute__((destructor)) static void mh_heaps_flush(void)
{
	struct moheap *heap;

	if (!mh_trylock(&mh_heaps.lock))
		return;
	for (heap = mh_heaps.first; heap; heap = heap->next) {
		if (!mh_trylock(&heap->lock))
			continue;
		mh_queue_send(heap);
		mh_unlock(&heap->lock);
	}
	mh_unlock(&mh_heaps.lock);
}

int moheap_set_fork(struct moheap *heap, enum moheap_fork fork)
{
	if ((unsigned int)fork > MOHEAP_FORK_NONE)
		return -EINVAL;
	mh_lock(&heap->lock);
	heap->fork = fork;
	mh_unlock(&heap->lock);
	return 0;
}
