// SPDX-License-Identifier: GPL-2.0
/*
 * Lingering: in a guarded heap, blocks of the dead that are not free yet.
 *
 * A heap that is to find misuse of its memory (MOHEAP_CREATE_GUARD) wants a look at each block
 * between two owners: at what the last one left around its payload, and to fill it, so that the
 * next can tell whether somebody wrote there meanwhile. The module must not touch payload, so
 * clients do that. What the module has to do is to keep a block out of use until one did:
 *
 *	an object dies --mh_linger()--> lingers --mh_linger_exchange()--> taken --> free
 *	                                   |                                         ^
 *	                                   +----------mh_linger_release()------------+
 *
 * A block that lingers has its bit in linger->bits. Nothing is allocated at a death: the bitmap
 * came with the pool. Any client may take blocks, with MOHEAP_IOC_LINGER, and each block is taken
 * by one client, so no two fill it, and nobody fills what is in use. What a client took it has in a
 * ring, client->taken, oldest first, until it says how few it wants to keep, or dies, however that
 * comes about. It decides by that how long a block stays out of use: its quarantine.
 *
 * Clients may as well never ask. So at the heap's limit, before an allocation fails, blocks that
 * nobody took become free as they are. What was taken stays taken: its client may be writing there
 * right now. A ring has MOHEAP_LINGER_MAX places, which bounds how many blocks that can be, and
 * the library keeps few bytes.
 *
 * To its pool a block that lingers, or is taken, is not free: the pool is neither empty nor given
 * back. linger->n counts both. A pool where blocks linger is on heap->lingering, and those that
 * have been there for longest are asked first.
 *
 * Objects without payload have nothing to look at: their blocks are free at once.
 *
 * Locks: taken->lock, a mutex: one thread of a client takes or gives back at a time. The ring
 * changes under it and the gate, so that mh_heap_check() can rely on it.
 * heap->linger_lock, a spinlock: which blocks linger, and heap->takers.
 */
#include <linux/uaccess.h>

#include "internal.h"

/* Blocks that are taken, or become free, in one hold of the gate. */
#define MH_LINGER_STEP	32

/* ---- Pools ---- */

static size_t mh_linger_bytes(u32 nblocks)
{
	return struct_size((struct mh_linger *)NULL, bits, BITS_TO_LONGS(nblocks));
}

/**
 * mh_linger_prepare() - let the blocks of a new pool linger, if they are to
 * @pool: the pool; nobody can find it yet
 *
 * Return: 0, -ENOSPC at the heap's limit, -ENOMEM.
 */
int mh_linger_prepare(struct mh_pool *pool)
{
	size_t bytes = mh_linger_bytes(pool->nblocks);
	struct mh_heap *heap = pool->heap;
	int err;

	if (!(heap->flags & MOHEAP_CREATE_GUARD) || !pool->bin->geo.backed)
		return 0;
	err = mh_charge(heap, &heap->kernel_bytes, bytes);
	if (err)
		return err;
	pool->linger = kzalloc(bytes, MH_GFP);
	if (!pool->linger) {
		mh_uncharge(heap, &heap->kernel_bytes, bytes);
		return -ENOMEM;
	}
	pool->linger->pool = pool;
	return 0;
}

/**
 * mh_linger_free() - free what mh_linger_prepare() made
 * @pool: a pool that is going away
 */
void mh_linger_free(struct mh_pool *pool)
{
	struct mh_heap *heap = pool->heap;

	if (!pool->linger)
		return;
	mh_uncharge(heap, &heap->kernel_bytes, mh_linger_bytes(pool->nblocks));
	kfree(pool->linger);
}

/**
 * mh_linger() - a block is out of use, but not free
 * @pool: the pool, with a linger; caller holds the gate
 * @idx: the block; its slots are empty, nobody has it, and its word says so
 */
void mh_linger(struct mh_pool *pool, u32 idx)
{
	struct mh_linger *linger = pool->linger;
	struct mh_heap *heap = pool->heap;

	lockdep_assert_held(&heap->gate);
	atomic_inc(&linger->n);
	spin_lock(&heap->linger_lock);
	__set_bit(idx, linger->bits);
	if (!linger->lingering++)
		list_add_tail(&linger->node, &heap->lingering);
	WRITE_ONCE(heap->nlinger, heap->nlinger + 1);
	spin_unlock(&heap->linger_lock);
}

/* Take up to @want blocks of a pool; out: where they begin. Return how many. */
static u32 mh_linger_take_from(struct mh_linger *linger, u32 want, u32 *granules)
{
	struct mh_pool *pool = linger->pool;
	unsigned long idx;
	u32 n = 0;

	lockdep_assert_held(&pool->heap->linger_lock);
	for_each_set_bit(idx, linger->bits, pool->nblocks) {
		if (n == want)
			break;
		__clear_bit(idx, linger->bits);
		granules[n++] = pool->first + idx * pool->stride;
	}
	linger->lingering -= n;
	if (!linger->lingering)
		list_del(&linger->node);
	return n;
}

/* Take up to @want blocks, from pools that have had some for longest. Caller holds the gate. */
static u32 mh_linger_take(struct mh_heap *heap, u32 want, u32 *granules)
{
	struct mh_linger *linger;
	u32 n = 0;

	lockdep_assert_held(&heap->gate);
	spin_lock(&heap->linger_lock);
	while (n < want && !list_empty(&heap->lingering)) {
		linger = list_first_entry(&heap->lingering, struct mh_linger, node);
		n += mh_linger_take_from(linger, want - n, granules + n);
	}
	WRITE_ONCE(heap->nlinger, heap->nlinger - n);
	spin_unlock(&heap->linger_lock);
	return n;
}

/* The caller took these blocks, and nobody else has them: they are free. Caller holds the gate. */
static void mh_linger_end(struct mh_heap *heap, const u32 *granules, u32 n)
{
	struct mh_freed freed = { };
	struct mh_obj o;
	u32 i;

	for (i = 0; i < n; i++) {
		if (WARN_ON_ONCE(mh_pool_find(heap, granules[i], &o)))
			continue;
		atomic_dec(&o.pool->linger->n);
		mh_block_release(o.pool, o.idx, &freed);
	}
	mh_blocks_release(&freed);
}

/**
 * mh_linger_release() - what lingers now becomes free: the heap is at its limit
 * @heap: the heap; no lock may be held
 */
void mh_linger_release(struct mh_heap *heap)
{
	u64 left = READ_ONCE(heap->nlinger);
	u32 granules[MH_LINGER_STEP], n;

	while (left) {
		down_read(&heap->gate);
		n = mh_linger_take(heap, MH_LINGER_STEP, granules);
		mh_linger_end(heap, granules, n);
		up_read(&heap->gate);
		left = n ? left - min_t(u64, left, n) : 0;
		cond_resched();
	}
}

/* ---- Clients ---- */

/* What a client took, made with its first request. Return NULL when memory is short. */
static struct mh_taken *mh_taken_of(struct mh_client *client)
{
	struct mh_taken *taken = READ_ONCE(client->taken), *first;
	struct mh_heap *heap = client->heap;

	if (taken)
		return taken;
	taken = kvzalloc(sizeof(*taken), MH_GFP);
	if (!taken)
		return NULL;
	mutex_init(&taken->lock);
	/* Under the lock, so that whoever sees the one sees the other. */
	spin_lock(&heap->linger_lock);
	first = client->taken;
	if (!first) {
		list_add(&taken->node, &heap->takers);
		/* Complete, as it can be seen. */
		smp_store_release(&client->taken, taken);
	}
	spin_unlock(&heap->linger_lock);
	if (first) {
		kvfree(taken);
		return first;
	}
	atomic64_add(sizeof(*taken), &heap->kernel_bytes);
	return taken;
}

/* Give back all but the @keep blocks taken last. */
static void mh_taken_return(struct mh_heap *heap, struct mh_taken *taken, u32 keep)
{
	u32 n;

	while (taken->n > keep) {
		/* As far as they lie together in the ring. */
		n = min(taken->n - keep, MOHEAP_LINGER_MAX - taken->first);
		n = min_t(u32, n, MH_LINGER_STEP);
		down_read(&heap->gate);
		mh_linger_end(heap, taken->granules + taken->first, n);
		taken->first = (taken->first + n) % MOHEAP_LINGER_MAX;
		taken->n -= n;
		up_read(&heap->gate);
		cond_resched();
	}
}

static void mh_block_stat(struct mh_heap *heap, u32 granule, struct moheap_block *block)
{
	struct mh_obj o;

	if (WARN_ON_ONCE(mh_pool_find(heap, granule, &o)))
		return;
	/* Generations of the dead follow those that named them. */
	block->ref = mh_word(mh_gen(atomic64_read(&o.header->word)) - 1, granule);
	block->type = o.pool->bin->type->id;
	block->payload = o.pool->stride * MOHEAP_GRANULE;
}

/* Take up to @want blocks, MH_LINGER_STEP at most, and say what they are. Return how many. */
static u32 mh_taken_add(struct mh_heap *heap, struct mh_taken *taken, u32 want,
			struct moheap_block *blocks)
{
	u32 granules[MH_LINGER_STEP], n, i;

	down_read(&heap->gate);
	n = mh_linger_take(heap, want, granules);
	for (i = 0; i < n; i++) {
		mh_block_stat(heap, granules[i], &blocks[i]);
		taken->granules[(taken->first + taken->n++) % MOHEAP_LINGER_MAX] = granules[i];
	}
	up_read(&heap->gate);
	return n;
}

/* The client could not be told of the @n blocks taken last: they linger no more, nor are taken. */
static void mh_taken_undo(struct mh_heap *heap, struct mh_taken *taken, u32 n)
{
	u32 granule;

	down_read(&heap->gate);
	while (n--) {
		granule = taken->granules[(taken->first + --taken->n) % MOHEAP_LINGER_MAX];
		mh_linger_end(heap, &granule, 1);
	}
	up_read(&heap->gate);
}

static int mh_blocks_copy(u64 to, const struct moheap_block *blocks, u32 n, bool user)
{
	size_t bytes = n * sizeof(*blocks);

	if (user)
		return copy_to_user(u64_to_user_ptr(to), blocks, bytes) ? -EFAULT : 0;
	memcpy((void *)(uintptr_t)to, blocks, bytes);
	return 0;
}

static int mh_taken_fetch(struct mh_heap *heap, struct mh_taken *taken,
			  struct moheap_linger *linger, bool user)
{
	struct moheap_block blocks[MH_LINGER_STEP] = { };
	u32 done = 0, want, n;
	int err = 0;

	do {
		want = min_t(u32, linger->count - done, MH_LINGER_STEP);
		n = mh_taken_add(heap, taken, want, blocks);
		err = mh_blocks_copy(linger->blocks + done * sizeof(*blocks), blocks, n, user);
		if (err)
			mh_taken_undo(heap, taken, n);
		else
			done += n;
		cond_resched();
	} while (!err && n == want && done < linger->count);
	linger->count = done;
	return done ? 0 : err;
}

/**
 * mh_linger_exchange() - give back blocks that a client took, and take others
 * @client: the client; no lock may be held
 * @linger: in: how many to keep, room for others; out: what was taken, and what is left
 * @user: linger->blocks is a pointer of a user process
 *
 * Return: 0, -EPERM if the heap is not guarded, -EACCES, -E2BIG, -EFAULT if nothing could be told,
 * -ENOMEM, or -EINTR.
 */
int mh_linger_exchange(struct mh_client *client, struct moheap_linger *linger, bool user)
{
	struct mh_heap *heap = client->heap;
	struct mh_taken *taken;
	int err = 0;

	if (!(heap->flags & MOHEAP_CREATE_GUARD))
		return -EPERM;
	if (client->readonly)
		return -EACCES;
	if (linger->count > MOHEAP_LINGER_MAX ||
	    linger->keep > MOHEAP_LINGER_MAX - linger->count)
		return -E2BIG;
	taken = mh_taken_of(client);
	if (!taken)
		return -ENOMEM;
	if (mutex_lock_interruptible(&taken->lock))
		return -EINTR;
	mh_taken_return(heap, taken, linger->keep);
	if (linger->count)
		err = mh_taken_fetch(heap, taken, linger, user);
	linger->keep = taken->n;
	mutex_unlock(&taken->lock);
	linger->left = READ_ONCE(heap->nlinger);
	/* Pools may be empty now. */
	mh_collector_kick(heap);
	return err;
}

/**
 * mh_linger_close() - the client is gone: what it took is free
 * @client: the client; nobody else uses it
 * @last: so is everybody else
 */
void mh_linger_close(struct mh_client *client, bool last)
{
	struct mh_taken *taken = client->taken;
	struct mh_heap *heap = client->heap;

	if (!taken)
		return;
	if (!last)
		mh_taken_return(heap, taken, 0);
	spin_lock(&heap->linger_lock);
	list_del(&taken->node);
	spin_unlock(&heap->linger_lock);
	mh_uncharge(heap, &heap->kernel_bytes, sizeof(*taken));
	kvfree(taken);
}
