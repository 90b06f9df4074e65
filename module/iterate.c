// SPDX-License-Identifier: GPL-2.0
/*
 * Iteration: the objects of a heap, those that refer to one of them, and what types use.
 *
 * A cursor is the place of the next object: pool id and block. An object keeps its place while it
 * lives, so one that lives from the first call to the last is found exactly once, whatever else
 * comes and goes. Nothing is kept between two calls.
 *
 * Like every operation, a call works in slices under the shared gate; refs are copied out without
 * it. What is found is not pinned: it may be gone when the caller is told.
 */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "internal.h"

#define MH_ITERATE_STEP		2048	/* blocks or slots looked at in one hold of the gate */
#define MH_ITERATE_REFS		32	/* refs on their way to the caller */

/**
 * struct mh_iterate - a call under way
 * @heap: the heap
 * @in: what is asked for
 * @pool_id: where to go on
 * @idx: ... block of that pool
 * @slot: ... and slot of that object, for one with many
 * @scanned: ref of the object that @slot belongs to
 * @partial: it is in the middle of that
 * @budget: blocks and slots left in this slice
 * @refs: found
 * @n: how many
 */
struct mh_iterate {
	struct mh_heap *heap;
	const struct moheap_objects *in;
	unsigned long pool_id;
	u32 idx;
	u32 slot;
	u64 scanned;
	bool partial;
	int budget;
	u64 refs[MH_ITERATE_REFS];
	u32 n;
};

enum mh_found { MH_FOUND, MH_NOT_FOUND, MH_NOT_YET };

/* Does a pinned object refer to the one asked for? MH_NOT_YET: there are more slots to look at. */
static enum mh_found mh_iterate_slots(struct mh_iterate *it, const struct mh_obj *o)
{
	u32 nslots, end;
	u32 *slots = mh_slots(o, &nslots);

	if (it->scanned != mh_ref(o)) {
		it->scanned = mh_ref(o);
		it->slot = 0;
	}
	end = min_t(u64, nslots, (u64)it->slot + max(it->budget, 1));
	it->budget -= end - it->slot;
	for (; it->slot < end; it->slot++)
		if (READ_ONCE(slots[it->slot]) == (u32)it->in->target)
			return MH_FOUND;
	return end < nslots ? MH_NOT_YET : MH_NOT_FOUND;
}

static enum mh_found mh_iterate_object(struct mh_iterate *it, const struct mh_obj *o,
				       struct mh_dead *dead)
{
	enum mh_found found = MH_FOUND;

	it->budget--;
	if ((it->in->flags & MOHEAP_OBJECTS_CANDIDATES) && !mh_test(o, MH_CAND))
		return MH_NOT_FOUND;
	if ((it->in->flags & MOHEAP_OBJECTS_FROZEN) && !mh_is_frozen(it->heap, o))
		return MH_NOT_FOUND;
	if ((it->in->flags & MOHEAP_OBJECTS_SAVED) && !mh_is_saved(it->heap, o))
		return MH_NOT_FOUND;
	if (mh_test(o, MH_FREE) || !mh_pin_live(o))
		return MH_NOT_FOUND;
	/* Alive, but as good as gone. */
	if (mh_unreachable(it->heap, o))
		found = MH_NOT_FOUND;
	else if (it->in->flags & MOHEAP_OBJECTS_REFERRERS)
		found = mh_iterate_slots(it, o);
	if (found == MH_FOUND)
		it->refs[it->n++] = mh_ref(o);
	mh_unpin(it->heap, o, dead);
	return found;
}

static bool mh_iterate_wants(const struct mh_iterate *it, const struct mh_pool *pool)
{
	if ((it->in->flags & MOHEAP_OBJECTS_TYPE) && pool->bin->type->id != it->in->type)
		return false;
	if (it->in->flags & MOHEAP_OBJECTS_REFERRERS)
		return mh_may_cycle(pool);
	return true;
}

/* Return 1 when all objects were looked at, 0 if not, or what is wrong with the target. */
static int mh_iterate_some(struct mh_iterate *it, u32 room, struct mh_dead *dead)
{
	struct mh_heap *heap = it->heap;
	unsigned long from;
	struct mh_obj o;
	int err;

	it->budget = MH_ITERATE_STEP;
	it->n = 0;
	while (it->budget > 0 && it->n < room) {
		from = it->pool_id;
		o.pool = xa_find(&heap->pools, &it->pool_id, ULONG_MAX, XA_PRESENT);
		if (!o.pool)
			break;
		if (it->pool_id != from)
			it->idx = 0;
		it->budget--;
		if (it->idx >= o.pool->nblocks || !mh_iterate_wants(it, o.pool)) {
			it->pool_id++;
			it->idx = 0;
			continue;
		}
		o.idx = it->idx;
		o.header = mh_header(o.pool, o.idx);
		it->partial = mh_iterate_object(it, &o, dead) == MH_NOT_YET;
		if (!it->partial)
			it->idx++;
	}
	/* If it is still there, what the slots said was said of it. */
	err = it->in->flags & MOHEAP_OBJECTS_REFERRERS ? mh_named(heap, it->in->target, &o) : 0;
	return err ? err : it->budget > 0 && it->n < room;
}

static int mh_iterate_slice(struct mh_iterate *it, u32 room)
{
	struct mh_dead dead = { };
	int ret;

	down_read(&it->heap->gate);
	ret = mh_iterate_some(it, room, &dead);
	mh_reap(it->heap, &dead, MH_REAP_INLINE);
	up_read(&it->heap->gate);
	return ret;
}

/* An object with many slots is looked at as a whole, or the next call would begin with it anew. */
static bool mh_iterate_stop(const struct mh_iterate *it)
{
	return fatal_signal_pending(current) || (signal_pending(current) && !it->partial);
}

static int mh_iterate_copy(const struct mh_iterate *it, u64 at, bool user)
{
	u64 to = it->in->refs + at * sizeof(u64);
	size_t bytes = it->n * sizeof(u64);

	if (user)
		return copy_to_user(u64_to_user_ptr(to), it->refs, bytes) ? -EFAULT : 0;
	memcpy((void *)(uintptr_t)to, it->refs, bytes);
	return 0;
}

/**
 * mh_objects() - find objects
 * @heap: the heap; no lock may be held
 * @objects: in: what to look for, and where to go on; out: cursor and count
 * @user: objects->refs is a pointer of a user process
 *
 * Return: 0, -EINVAL or -ESTALE for a target that is no object, -EFAULT.
 */
int mh_objects(struct mh_heap *heap, struct moheap_objects *objects, bool user)
{
	struct mh_iterate it = {
		.heap = heap, .in = objects, .pool_id = objects->cursor >> 32,
		.idx = objects->cursor,
	};
	u32 room = objects->count, done = 0;
	int err = 0, end = 0;

	if (objects->cursor == MOHEAP_OBJECTS_END || !room)
		return -EINVAL;
	while (!end && done < room) {
		end = mh_iterate_slice(&it, min_t(u32, room - done, MH_ITERATE_REFS));
		err = end < 0 ? end : mh_iterate_copy(&it, done, user);
		if (err)
			return err;
		done += it.n;
		cond_resched();
		if (mh_iterate_stop(&it))
			break;
	}
	objects->count = done;
	objects->cursor = end ? MOHEAP_OBJECTS_END : (u64)it.pool_id << 32 | it.idx;
	return 0;
}

/* Blocks of a pool that are neither free nor an object's. */
static u32 mh_nlinger(const struct mh_pool *pool)
{
	return pool->linger ? atomic_read(&pool->linger->n) : 0;
}

static void mh_usage_add(struct moheap_usage *usage, struct mh_pool *pool)
{
	/* Either may change meanwhile. */
	u32 nfree = clamp_t(int, atomic_read(&pool->nfree) + READ_ONCE(pool->nparked), 0,
			    pool->nblocks);

	usage->pools++;
	usage->empty += nfree == pool->nblocks;
	usage->blocks += pool->nblocks;
	usage->used += pool->nblocks - nfree - mh_nlinger(pool);
	usage->kernel_bytes += mh_class_bytes(pool->bin->geo.class);
	usage->arena_bytes += mh_pool_arena_bytes(pool);
}

/**
 * mh_usage() - what the objects of a type use
 * @heap: the heap; no lock may be held
 * @usage: in: type; out: all else
 *
 * Return: 0, -ENOENT, or -EINTR.
 */
int mh_usage(struct mh_heap *heap, struct moheap_usage *usage)
{
	struct mh_type *type = mh_type_find(heap, usage->type);
	unsigned long id = 0;
	struct mh_pool *pool;
	bool more = true;
	u32 i;

	if (!type)
		return -ENOENT;
	while (more) {
		down_read(&heap->gate);
		for (i = 0; more && i < MH_ITERATE_STEP; i++, id++) {
			pool = xa_find(&heap->pools, &id, ULONG_MAX, XA_PRESENT);
			more = pool;
			if (!more || pool->bin->type != type)
				continue;
			mh_usage_add(usage, pool);
		}
		up_read(&heap->gate);
		if (more && signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}
