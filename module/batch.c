// SPDX-License-Identifier: GPL-2.0
/*
 * Batches: ordered operations on the graph.
 *
 * Operations are copied in, done and copied out MH_CHUNK at a time. Each runs under the shared
 * gate and does a bounded amount of work there. What has to wait (memory for a pool, memory of
 * the caller) is done with the gate released (mh_leave(), mh_enter()). No pin is kept across
 * that: a trace may get from one phase to the next meanwhile, so objects are looked up again by
 * their refs. An operation that lacks hold bits undoes what it did and fails with -ENOBUFS;
 * mh_run() makes them and starts it again. Between two slices of a long operation, and between
 * chunks, a signal ends the batch.
 *
 * Every operation pins the objects it works on. So the owner of a slot cannot be freed while the
 * slot is written, and a new reference is counted before it is stored: at no time is there a
 * slot that its target does not count. An old reference is given up last.
 *
 * Barriers for a trace under way (trace.c): every reference that is stored or taken shades its
 * target, in mh_store_slot() (S) and mh_client_hold() (H); and what is frozen is remembered if it
 * refers to something else from then on (F, freeze.c).
 */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "internal.h"

#define MH_CHUNK	64	/* operations copied, and done in one hold of the gate, at most */
#define MH_CHUNK_STACK	16	/* as many where there is no memory, or no need, for more */
#define MH_SLICE	128	/* slots, and objects, handled in one hold of the gate */
#define MH_REFS		32	/* refs on their way to the caller */

/* Slots kept apart that take more bytes than this have pages of their own. */
#define MH_APART_KMALLOC	(16 * PAGE_SIZE)

/**
 * struct mh_ctx - a batch under way
 * @client: whose
 * @heap: its heap
 * @user: pointers are those of a user process
 * @dead: objects that died and are not reaped yet
 * @freed: blocks of those that are; they are free when the gate is left
 * @need_pool: after -ENOBUFS: id of the pool that something is missing for
 * @need_blocks: and how many
 * @need_client: whom for
 * @refs: on their way to the caller
 */
struct mh_ctx {
	struct mh_client *client;
	struct mh_heap *heap;
	bool user;
	struct mh_dead dead;
	struct mh_freed freed;
	u32 need_pool;
	u32 need_blocks;
	struct mh_client *need_client;
	u64 refs[MH_REFS];
};

static void mh_enter(struct mh_ctx *ctx)
{
	down_read(&ctx->heap->gate);
}

static void mh_leave(struct mh_ctx *ctx)
{
	mh_reap_into(ctx->heap, &ctx->dead, MH_REAP_INLINE, &ctx->freed);
	mh_blocks_release(&ctx->freed);
	up_read(&ctx->heap->gate);
}

/* Let others through, and see whether to go on. */
static int mh_pause(struct mh_ctx *ctx)
{
	mh_leave(ctx);
	cond_resched();
	mh_enter(ctx);
	return signal_pending(current) ? -EINTR : 0;
}

static int mh_copy_out(struct mh_ctx *ctx, u64 to, const void *from, size_t bytes)
{
	if (!ctx->user) {
		memcpy((void *)(uintptr_t)to, from, bytes);
		return 0;
	}
	return copy_to_user(u64_to_user_ptr(to), from, bytes) ? -EFAULT : 0;
}

static int mh_copy_in(struct mh_ctx *ctx, void *to, u64 from, size_t bytes)
{
	if (!ctx->user) {
		memcpy(to, (void *)(uintptr_t)from, bytes);
		return 0;
	}
	return copy_from_user(to, u64_to_user_ptr(from), bytes) ? -EFAULT : 0;
}

/* Count @n references to come; nothing to refer to is fine where @ref is 0. */
static int mh_pin_target(struct mh_ctx *ctx, u64 ref, u32 n, struct mh_obj *o)
{
	o->pool = NULL;
	return ref ? mh_refer(ctx->heap, ref, n, o) : 0;
}

static void mh_unpin_target(struct mh_ctx *ctx, const struct mh_obj *o)
{
	if (o->pool)
		mh_unpin(ctx->heap, o, &ctx->dead);
}

/* Pin the owner of slots @first to @first + @n - 1. */
static int mh_pin_owner(struct mh_ctx *ctx, u64 ref, u64 first, u64 n, struct mh_obj *o,
			u32 **slots)
{
	u32 nslots;
	int err = mh_pin(ctx->heap, ref, o);

	if (err)
		return err;
	*slots = mh_slots(o, &nslots);
	if (first < nslots && n <= nslots - first) {
		*slots += first;
		return 0;
	}
	mh_unpin(ctx->heap, o, &ctx->dead);
	return -ERANGE;
}

/* Note that hold bits, watches or sites for the pool of @o are missing. */
static int mh_need(struct mh_ctx *ctx, const struct mh_obj *o)
{
	ctx->need_pool = o->pool->id;
	ctx->need_blocks = o->pool->nblocks;
	ctx->need_client = ctx->client;
	return -ENOBUFS;
}

/* Hold what is pinned; the pin is used up in any case. */
static int mh_hold_pinned(struct mh_ctx *ctx, const struct mh_obj *o)
{
	int err = mh_client_hold(ctx->client, o, &ctx->dead);

	if (!err)
		return 0;
	err = mh_need(ctx, o);
	mh_unpin(ctx->heap, o, &ctx->dead);
	return err;
}

/* ---- Allocation ---- */

struct mh_alloc {
	struct mh_bin *bin;
	u32 nslots;
	bool collected;
};

static int mh_alloc_shape(const struct mh_type *type, const struct moheap_op *op, u64 *payload,
			  u32 *nslots)
{
	*payload = (u32)op->b;
	*nslots = op->b >> 32;
	if (type->flags & MOHEAP_TYPE_VAR_PAYLOAD) {
		if (*payload > MOHEAP_PAYLOAD_MAX)
			return -E2BIG;
		if (*payload < type->payload)
			return -EINVAL;
	}
	if (!(type->flags & MOHEAP_TYPE_VAR_PAYLOAD)) {
		if (*payload)
			return -EINVAL;
		*payload = type->payload;
	}
	if (type->flags & MOHEAP_TYPE_VAR_SLOTS) {
		if (*nslots > MOHEAP_SLOTS_MAX)
			return -E2BIG;
		return *nslots < type->slots ? -EINVAL : 0;
	}
	if (*nslots)
		return -EINVAL;
	*nslots = type->slots;
	return 0;
}

/* Runs without the gate. */
static int mh_alloc_prepare(struct mh_ctx *ctx, const struct moheap_op *op,
			    struct mh_alloc *alloc)
{
	struct mh_type *type;
	u64 payload;
	int err;

	if (ctx->client->readonly)
		return -EACCES;
	if (op->flags || !op->a || (!op->ref && op->a != 1))
		return -EINVAL;
	if (op->a > MOHEAP_ALLOC_MAX)
		return -E2BIG;
	type = mh_type_find(ctx->heap, op->index);
	if (!type)
		return -ENOENT;
	err = mh_alloc_shape(type, op, &payload, &alloc->nslots);
	if (err)
		return err;
	alloc->bin = mh_type_bin(ctx->heap, type, payload, alloc->nslots);
	return PTR_ERR_OR_ZERO(alloc->bin);
}

/*
 * Large ones in pages of their own: kvcalloc() would take a power of two of them where it can get
 * that in one piece, which for a million slots is five percent too much.
 */
static u32 *mh_apart_alloc(u64 bytes)
{
	if (bytes > MH_APART_KMALLOC)
		return __vmalloc(bytes, MH_GFP | __GFP_ZERO);
	return kvzalloc(bytes, MH_GFP);
}

/* Memory for slots apart. Runs without the gate. */
static u32 *mh_apart_new(struct mh_heap *heap, u32 nslots)
{
	u64 bytes = (u64)nslots * sizeof(u32);
	u32 *slots;
	int err = mh_charge(heap, &heap->kernel_bytes, bytes);

	if (err)
		return ERR_PTR(err);
	slots = mh_apart_alloc(bytes);
	if (slots)
		return slots;
	mh_uncharge(heap, &heap->kernel_bytes, bytes);
	return ERR_PTR(-ENOMEM);
}

static void mh_apart_free(struct mh_heap *heap, u32 *slots, u32 nslots)
{
	if (!slots)
		return;
	mh_uncharge(heap, &heap->kernel_bytes, (u64)nslots * sizeof(u32));
	kvfree(slots);
}

/* Make up to @want objects; fewer only if the active pool is at its end. Has the gate. */
static int mh_alloc_some(struct mh_ctx *ctx, struct mh_alloc *alloc, u32 want)
{
	u32 *apart = NULL;
	u32 n;

	if (alloc->bin->geo.kind == MH_SLOTS_APART) {
		want = 1;
		mh_leave(ctx);
		apart = mh_apart_new(ctx->heap, alloc->nslots);
		mh_enter(ctx);
		if (IS_ERR(apart))
			return PTR_ERR(apart);
	}
	n = mh_client_alloc(ctx->client, alloc->bin, alloc->nslots, apart, want, ctx->refs);
	if (!n)
		mh_apart_free(ctx->heap, apart, alloc->nslots);
	return n;
}

/* Find room, if need be by collecting first. Has the gate, and releases it meanwhile. */
static int mh_alloc_room(struct mh_ctx *ctx, struct mh_alloc *alloc, int err)
{
	mh_leave(ctx);
	if (!err)
		err = mh_client_grow(ctx->client, alloc->bin);
	if (err == -ENOSPC && !alloc->collected) {
		alloc->collected = true;
		err = mh_collect_for_memory(ctx->heap);
	}
	mh_enter(ctx);
	return err;
}

static void mh_alloc_undo(struct mh_ctx *ctx, const u64 *refs, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		mh_client_drop(ctx->client, refs[i], &ctx->dead);
}

/* Hand @n refs to the caller. Has the gate, and releases it meanwhile. */
static int mh_alloc_deliver(struct mh_ctx *ctx, struct moheap_op *op, u64 done, u32 n)
{
	int err;

	if (!op->ref) {
		op->ref = ctx->refs[0];
		return 0;
	}
	mh_leave(ctx);
	err = mh_copy_out(ctx, op->ref + done * sizeof(u64), ctx->refs, n * sizeof(u64));
	cond_resched();
	mh_enter(ctx);
	if (err)
		mh_alloc_undo(ctx, ctx->refs, n);
	return err;
}

static int mh_op_alloc(struct mh_ctx *ctx, struct moheap_op *op)
{
	struct mh_alloc alloc = { };
	u64 want = op->a, done = 0;
	int err, n;

	mh_leave(ctx);
	err = mh_alloc_prepare(ctx, op, &alloc);
	mh_enter(ctx);
	while (!err && done < want) {
		n = mh_alloc_some(ctx, &alloc, min_t(u64, want - done, MH_REFS));
		if (n > 0) {
			err = mh_alloc_deliver(ctx, op, done, n);
			if (!err)
				done += n;
			if (!err && done < want && signal_pending(current))
				err = -EINTR;
		} else {
			err = mh_alloc_room(ctx, &alloc, n);
		}
	}
	op->a = done;
	return err;
}

/* ---- Holds ---- */

static int mh_op_hold(struct mh_ctx *ctx, struct moheap_op *op)
{
	struct mh_obj o;
	int err;

	if (op->flags || op->index || op->a || op->b)
		return -EINVAL;
	err = mh_refer(ctx->heap, op->ref, 1, &o);
	return err ? err : mh_hold_pinned(ctx, &o);
}

/* Is a what a client may call the object ref by from now on? */
static int mh_check_later(const struct mh_ctx *ctx, const struct moheap_op *op)
{
	u32 gen = mh_gen(op->a);

	if (ctx->client->readonly)
		return -EACCES;
	if ((u32)op->a != (u32)op->ref || !(gen & 1) || !(gen & MH_GEN_REUSED) ||
	    (gen & ~MH_GEN_REUSED) <= (mh_gen(op->ref) & ~MH_GEN_REUSED) ||
	    (gen & ~MH_GEN_REUSED) > MH_GEN_LAST)
		return -EINVAL;
	return 0;
}

/* mh_client_renew() or mh_client_drop_as() */
typedef int (*mh_later_t)(struct mh_client *client, u64 from, u64 to, bool alone,
			  struct mh_dead *dead);

/*
 * Once more, where nobody has pins: an operation that followed an outdated slot may have had one
 * on whatever lives in that block now. Or it is frozen.
 */
static int mh_later_alone(struct mh_ctx *ctx, const struct moheap_op *op, mh_later_t later)
{
	u64 since;
	int err;

	mh_leave(ctx);
	mh_gate_exclusive(ctx->heap, &since);
	err = later(ctx->client, op->ref, op->a, true, &ctx->dead);
	mh_gate_release(ctx->heap, since);
	mh_enter(ctx);
	return err;
}

static int mh_later(struct mh_ctx *ctx, const struct moheap_op *op, mh_later_t later)
{
	int err = mh_check_later(ctx, op);

	if (!err)
		err = later(ctx->client, op->ref, op->a, false, &ctx->dead);
	return err == -EBUSY ? mh_later_alone(ctx, op, later) : err;
}

static int mh_op_renew(struct mh_ctx *ctx, struct moheap_op *op)
{
	if (op->flags || op->index || op->b)
		return -EINVAL;
	return mh_later(ctx, op, mh_client_renew);
}

static int mh_op_drop(struct mh_ctx *ctx, struct moheap_op *op)
{
	if (op->flags || op->index || op->b)
		return -EINVAL;
	if (op->a)
		return mh_later(ctx, op, mh_client_drop_as);
	return mh_client_drop(ctx->client, op->ref, &ctx->dead);
}

/* As a hold, by the heap. */
static int mh_op_immortal(struct mh_ctx *ctx, struct moheap_op *op)
{
	struct mh_client *immortals = READ_ONCE(ctx->heap->immortals);
	struct mh_obj o;
	int err;

	if (op->flags || op->index || op->a || op->b)
		return -EINVAL;
	if (ctx->client->readonly)
		return -EACCES;
	if (!immortals) {
		mh_leave(ctx);
		immortals = mh_client_of_heap(ctx->heap, &ctx->heap->immortals);
		mh_enter(ctx);
	}
	if (!immortals)
		return -ENOMEM;
	err = mh_refer(ctx->heap, op->ref, 1, &o);
	if (err || !mh_client_hold(immortals, &o, &ctx->dead))
		return err;
	err = mh_need(ctx, &o);
	ctx->need_client = immortals;
	mh_unpin(ctx->heap, &o, &ctx->dead);
	return err;
}

/* The heap lets go of what the collector saved. */
static int mh_op_discard(struct mh_ctx *ctx, struct moheap_op *op)
{
	if (op->flags || op->index || op->a || op->b)
		return -EINVAL;
	if (ctx->client->readonly)
		return -EACCES;
	return mh_discard(ctx->heap, op->ref, &ctx->dead);
}

/* ---- Watches ---- */

/* Runs without the gate. */
static struct mh_watch *mh_watch_prepare(struct mh_ctx *ctx, const struct moheap_op *op)
{
	struct mh_watch *watch = mh_watch_new(ctx->client, op->ref, op->a);
	int err;

	if (watch != ERR_PTR(-ENOSPC))
		return watch;
	err = mh_collect_for_memory(ctx->heap);
	return err ? ERR_PTR(err) : mh_watch_new(ctx->client, op->ref, op->a);
}

static int mh_watch_once(struct mh_ctx *ctx, struct moheap_op *op, struct mh_watch *watch,
			 u32 *id)
{
	struct mh_obj o;
	int err = mh_pin(ctx->heap, op->ref, &o);

	if (err)
		return err;
	err = mh_watch_attach(watch, &o, id);
	if (err == -ENOBUFS)
		err = mh_need(ctx, &o);
	mh_unpin(ctx->heap, &o, &ctx->dead);
	return err;
}

static int mh_op_watch(struct mh_ctx *ctx, struct moheap_op *op)
{
	struct mh_watch *watch;
	u32 id = 0;
	int err;

	if (op->flags || op->index || op->b)
		return -EINVAL;
	mh_leave(ctx);
	watch = mh_watch_prepare(ctx, op);
	mh_enter(ctx);
	if (IS_ERR(watch))
		return PTR_ERR(watch);
	do {
		err = mh_watch_once(ctx, op, watch, &id);
		if (err != -ENOBUFS)
			break;
		mh_leave(ctx);
		err = mh_watch_room(ctx->heap, ctx->need_pool, ctx->need_blocks);
		mh_enter(ctx);
	} while (!err);
	if (err) {
		mh_watch_discard(watch);
		return err;
	}
	op->b = id;
	return 0;
}

static int mh_op_unwatch(struct mh_ctx *ctx, struct moheap_op *op)
{
	int ret;

	if (op->flags || op->index || op->ref || op->a)
		return -EINVAL;
	ret = op->b > U32_MAX ? -ENOENT : mh_unwatch(ctx->client, op->b);
	if (ret < 0)
		return ret;
	op->a = ret;
	return 0;
}

/* ---- Sites ---- */

static int mh_site_once(struct mh_ctx *ctx, const struct moheap_op *op)
{
	struct mh_obj o;
	int err = mh_pin(ctx->heap, op->ref, &o);

	if (err)
		return err;
	err = mh_site_set(ctx->client, &o, op->a);
	if (err == -ENOBUFS)
		err = mh_need(ctx, &o);
	mh_unpin(ctx->heap, &o, &ctx->dead);
	return err;
}

/* Runs without the gate. */
static int mh_site_prepare(struct mh_ctx *ctx)
{
	int err = mh_site_room(ctx->client, ctx->need_pool, ctx->need_blocks);

	if (err != -ENOSPC)
		return err;
	err = mh_collect_for_memory(ctx->heap);
	return err ? err : mh_site_room(ctx->client, ctx->need_pool, ctx->need_blocks);
}

static int mh_op_site(struct mh_ctx *ctx, struct moheap_op *op)
{
	int err;

	if (op->flags || op->index || op->b || op->a > U32_MAX)
		return -EINVAL;
	if (ctx->client->readonly)
		return -EACCES;
	for (;;) {
		err = mh_site_once(ctx, op);
		if (err != -ENOBUFS)
			return err;
		mh_leave(ctx);
		err = mh_site_prepare(ctx);
		mh_enter(ctx);
		if (err)
			return err;
	}
}

/* ---- Single slots ---- */

/*
 * A slot of @owner takes over one reference to @target; return what it referred to before.
 */
static u32 mh_store_slot(struct mh_ctx *ctx, const struct mh_obj *owner, u32 *slot,
			 const struct mh_obj *target)
{
	u32 old;

	if (!target->pool)
		return xchg(slot, 0);
	mh_shade_stored(ctx->heap, target);
	old = xchg(slot, mh_granule(target));
	mh_frozen_stored(ctx->heap, owner, target);
	return old;
}

/* As mh_store_slot(), if the slot refers to @old. Return whether it did. */
static bool mh_replace_slot(struct mh_ctx *ctx, const struct mh_obj *owner, u32 *slot, u32 old,
			    const struct mh_obj *target)
{
	if (!target->pool)
		return cmpxchg(slot, old, 0) == old;
	mh_shade_stored(ctx->heap, target);
	if (cmpxchg(slot, old, mh_granule(target)) != old)
		return false;
	mh_frozen_stored(ctx->heap, owner, target);
	return true;
}

static int mh_op_store(struct mh_ctx *ctx, struct moheap_op *op)
{
	struct mh_obj owner, target;
	u32 *slot;
	int err;

	if (op->flags || op->b)
		return -EINVAL;
	if (ctx->client->readonly)
		return -EACCES;
	err = mh_pin_owner(ctx, op->ref, op->index, 1, &owner, &slot);
	if (err)
		return err;
	err = mh_pin_target(ctx, op->a, 1, &target);
	if (!err)
		mh_put_granule(ctx->heap, mh_store_slot(ctx, &owner, slot, &target), &ctx->dead);
	mh_unpin(ctx->heap, &owner, &ctx->dead);
	return err;
}

static int mh_op_load(struct mh_ctx *ctx, struct moheap_op *op)
{
	struct mh_obj owner, target;
	u64 ref = 0;
	u32 *slot;
	int ret;

	if ((op->flags & ~MOHEAP_OP_F_HOLD) || op->a || op->b)
		return -EINVAL;
	ret = mh_pin_owner(ctx, op->ref, op->index, 1, &owner, &slot);
	if (ret)
		return ret;
	ret = mh_pin_slot(ctx->heap, slot, &target);
	if (ret > 0) {
		ref = mh_ref(&target);
		ret = 0;
		if (op->flags & MOHEAP_OP_F_HOLD)
			ret = mh_hold_pinned(ctx, &target);
		else
			mh_unpin(ctx->heap, &target, &ctx->dead);
	}
	if (!ret)
		op->a = ref;
	mh_unpin(ctx->heap, &owner, &ctx->dead);
	return ret;
}

/*
 * One try to put @target (pinned, and given to the slot) in the place of what a slot refers to.
 * Return 0, -EAGAIN if the slot changed meanwhile, or why it cannot be done; target is the
 * caller's unless 0.
 */
static int mh_exchange_once(struct mh_ctx *ctx, struct moheap_op *op,
			    const struct mh_obj *owner, u32 *slot, const struct mh_obj *target)
{
	struct mh_obj old;
	u32 granule = 0;
	int err = mh_pin_slot(ctx->heap, slot, &old);

	if (err < 0)
		return err;
	if (!err)
		old.pool = NULL;
	else
		granule = mh_granule(&old);
	/* Once the slot is changed there is no way back, so look for hold bits first. */
	err = 0;
	if (old.pool && (op->flags & MOHEAP_OP_F_HOLD) &&
	    !mh_client_holds(ctx->client, old.pool))
		err = mh_need(ctx, &old);
	if (!err && !mh_replace_slot(ctx, owner, slot, granule, target))
		err = -EAGAIN;
	if (err) {
		mh_unpin_target(ctx, &old);
		return err;
	}
	op->a = old.pool ? mh_ref(&old) : 0;
	if (old.pool && (op->flags & MOHEAP_OP_F_HOLD))
		mh_hold_pinned(ctx, &old);
	else
		mh_unpin_target(ctx, &old);
	mh_put_granule(ctx->heap, granule, &ctx->dead);
	return 0;
}

static int mh_op_exchange(struct mh_ctx *ctx, struct moheap_op *op)
{
	struct mh_obj owner, target;
	u32 *slot;
	int err;

	if ((op->flags & ~MOHEAP_OP_F_HOLD) || op->b)
		return -EINVAL;
	if (ctx->client->readonly)
		return -EACCES;
	err = mh_pin_owner(ctx, op->ref, op->index, 1, &owner, &slot);
	if (err)
		return err;
	err = mh_pin_target(ctx, op->a, 1, &target);
	if (!err) {
		do {
			err = mh_exchange_once(ctx, op, &owner, slot, &target);
		} while (err == -EAGAIN);
		if (err)
			mh_unpin_target(ctx, &target);
	}
	mh_unpin(ctx->heap, &owner, &ctx->dead);
	return err;
}

/* The slot held something else: say what. */
static int mh_cmpxchg_failed(struct mh_ctx *ctx, struct moheap_op *op, u32 *slot)
{
	struct mh_obj actual;
	int ret = mh_pin_slot(ctx->heap, slot, &actual);

	if (ret < 0)
		return ret;
	op->a = 0;
	if (ret) {
		op->a = mh_ref(&actual);
		mh_unpin(ctx->heap, &actual, &ctx->dead);
	}
	return -EAGAIN;
}

static int mh_op_cmpxchg(struct mh_ctx *ctx, struct moheap_op *op)
{
	struct mh_obj owner, expected, target;
	u32 *slot, old;
	int err;

	if (op->flags)
		return -EINVAL;
	if (ctx->client->readonly)
		return -EACCES;
	err = mh_pin_owner(ctx, op->ref, op->index, 1, &owner, &slot);
	if (err)
		return err;
	/* Pinned, what is expected keeps its granule: equal granules are equal refs. */
	err = mh_pin_target(ctx, op->a, 1, &expected);
	if (err)
		goto unpin_owner;
	err = mh_pin_target(ctx, op->b, 1, &target);
	if (err)
		goto unpin_expected;
	old = expected.pool ? mh_granule(&expected) : 0;
	if (mh_replace_slot(ctx, &owner, slot, old, &target)) {
		mh_put_granule(ctx->heap, old, &ctx->dead);
	} else {
		mh_unpin_target(ctx, &target);
		err = mh_cmpxchg_failed(ctx, op, slot);
	}
unpin_expected:
	mh_unpin_target(ctx, &expected);
unpin_owner:
	mh_unpin(ctx->heap, &owner, &ctx->dead);
	return err;
}

/* ---- Many slots ---- */

/* One slice of FILL: @n slots from @done on. */
static int mh_fill_slice(struct mh_ctx *ctx, struct moheap_op *op, u64 done, u32 n)
{
	struct mh_obj owner, target;
	u32 *slots, i;
	int err;

	err = mh_pin_owner(ctx, op->ref, op->index + done, n, &owner, &slots);
	if (err)
		return err;
	err = mh_pin_target(ctx, op->a, n, &target);
	if (!err)
		for (i = 0; i < n; i++)
			mh_put_granule(ctx->heap,
				       mh_store_slot(ctx, &owner, &slots[i], &target),
				       &ctx->dead);
	mh_unpin(ctx->heap, &owner, &ctx->dead);
	return err;
}

static int mh_copy_slot(struct mh_ctx *ctx, const struct mh_obj *owner, u32 *to, u32 *from)
{
	struct mh_obj target;
	int ret = mh_pin_slot(ctx->heap, from, &target);

	if (ret < 0)
		return ret;
	if (!ret)
		target.pool = NULL;
	mh_put_granule(ctx->heap, mh_store_slot(ctx, owner, to, &target), &ctx->dead);
	return 0;
}

struct mh_copy {
	u32 first;	/* slot of the source */
	u64 count;
	bool backwards;
};

/* One slice of COPY: @n slots after the @done that are copied. Return how many, or an error. */
static int mh_copy_slice(struct mh_ctx *ctx, struct moheap_op *op, const struct mh_copy *copy,
			 u64 done, u32 n)
{
	u64 at = copy->backwards ? copy->count - done - n : done;
	struct mh_obj owner, source;
	u32 *to, *from, i, j;
	int err;

	err = mh_pin_owner(ctx, op->ref, op->index + at, n, &owner, &to);
	if (err)
		return err;
	err = mh_pin_owner(ctx, op->a, copy->first + at, n, &source, &from);
	if (err) {
		n = 0;
		goto unpin_owner;
	}
	for (i = 0; !err && i < n; i++) {
		j = copy->backwards ? n - 1 - i : i;
		err = mh_copy_slot(ctx, &owner, &to[j], &from[j]);
	}
	if (err)
		n = i - 1;
	mh_unpin(ctx->heap, &source, &ctx->dead);
unpin_owner:
	mh_unpin(ctx->heap, &owner, &ctx->dead);
	return n ? n : err;
}

/* Are all slots of the operation there? Otherwise none is touched. */
static int mh_check_range(struct mh_ctx *ctx, u64 ref, u64 first, u64 n)
{
	struct mh_obj o;
	u32 *slots;
	int err = mh_pin_owner(ctx, ref, first, n, &o, &slots);

	if (!err)
		mh_unpin(ctx->heap, &o, &ctx->dead);
	return err;
}

static int mh_op_fill(struct mh_ctx *ctx, struct moheap_op *op)
{
	u64 count = op->b, done = 0;
	int err;
	u32 n;

	op->b = 0;
	if (op->flags || !count)
		return -EINVAL;
	if (ctx->client->readonly)
		return -EACCES;
	err = mh_check_range(ctx, op->ref, op->index, count);
	while (!err && done < count) {
		n = min_t(u64, count - done, MH_SLICE);
		err = mh_fill_slice(ctx, op, done, n);
		if (err)
			break;
		done += n;
		if (done < count)
			err = mh_pause(ctx);
	}
	op->b = done;
	return err;
}

static int mh_op_copy(struct mh_ctx *ctx, struct moheap_op *op)
{
	struct mh_copy copy = { .first = op->b, .count = op->b >> 32 };
	u64 done = 0;
	int ret;

	op->b = 0;
	if (op->flags || !copy.count)
		return -EINVAL;
	if (ctx->client->readonly)
		return -EACCES;
	copy.backwards = op->ref == op->a && copy.first < op->index;
	ret = mh_check_range(ctx, op->ref, op->index, copy.count);
	if (!ret)
		ret = mh_check_range(ctx, op->a, copy.first, copy.count);
	while (!ret && done < copy.count) {
		ret = mh_copy_slice(ctx, op, &copy, done,
				    min_t(u64, copy.count - done, MH_SLICE));
		if (ret < 0)
			break;
		done += ret;
		ret = done < copy.count ? mh_pause(ctx) : 0;
	}
	op->b = done;
	return ret;
}

static int mh_read_slice(struct mh_ctx *ctx, struct moheap_op *op, u64 done, u32 n)
{
	struct mh_obj owner, target;
	u32 *slots, i;
	int ret;

	ret = mh_pin_owner(ctx, op->ref, op->index + done, n, &owner, &slots);
	if (ret)
		return ret;
	for (i = 0; i < n; i++) {
		ctx->refs[i] = 0;
		ret = mh_pin_slot(ctx->heap, &slots[i], &target);
		if (ret < 0)
			break;
		if (ret) {
			ctx->refs[i] = mh_ref(&target);
			mh_unpin(ctx->heap, &target, &ctx->dead);
		}
		ret = 0;
	}
	mh_unpin(ctx->heap, &owner, &ctx->dead);
	if (ret)
		return ret;
	mh_leave(ctx);
	ret = mh_copy_out(ctx, op->a + done * sizeof(u64), ctx->refs, n * sizeof(u64));
	cond_resched();
	mh_enter(ctx);
	return ret;
}

static int mh_op_read(struct mh_ctx *ctx, struct moheap_op *op)
{
	u64 count = op->b, done = 0;
	int err;
	u32 n;

	op->b = 0;
	if (op->flags || !count)
		return -EINVAL;
	err = mh_check_range(ctx, op->ref, op->index, count);
	while (!err && done < count) {
		n = min_t(u64, count - done, MH_REFS);
		err = mh_read_slice(ctx, op, done, n);
		if (err)
			break;
		done += n;
		if (done < count && signal_pending(current))
			err = -EINTR;
	}
	op->b = done;
	return err;
}

/* ---- The batch ---- */

static int mh_op(struct mh_ctx *ctx, struct moheap_op *op)
{
	switch (op->code) {
	case MOHEAP_OP_ALLOC:
		return mh_op_alloc(ctx, op);
	case MOHEAP_OP_HOLD:
		return mh_op_hold(ctx, op);
	case MOHEAP_OP_DROP:
		return mh_op_drop(ctx, op);
	case MOHEAP_OP_STORE:
		return mh_op_store(ctx, op);
	case MOHEAP_OP_LOAD:
		return mh_op_load(ctx, op);
	case MOHEAP_OP_EXCHANGE:
		return mh_op_exchange(ctx, op);
	case MOHEAP_OP_CMPXCHG:
		return mh_op_cmpxchg(ctx, op);
	case MOHEAP_OP_FILL:
		return mh_op_fill(ctx, op);
	case MOHEAP_OP_COPY:
		return mh_op_copy(ctx, op);
	case MOHEAP_OP_READ:
		return mh_op_read(ctx, op);
	case MOHEAP_OP_RENEW:
		return mh_op_renew(ctx, op);
	case MOHEAP_OP_WATCH:
		return mh_op_watch(ctx, op);
	case MOHEAP_OP_UNWATCH:
		return mh_op_unwatch(ctx, op);
	case MOHEAP_OP_IMMORTAL:
		return mh_op_immortal(ctx, op);
	case MOHEAP_OP_SITE:
		return mh_op_site(ctx, op);
	case MOHEAP_OP_DISCARD:
		return mh_op_discard(ctx, op);
	default:
		return -EINVAL;
	}
}

/* Do one operation, with the gate held. */
static int mh_run(struct mh_ctx *ctx, struct moheap_op *op)
{
	int err;

	for (;;) {
		err = mh_op(ctx, op);
		if (err != -ENOBUFS)
			return err;
		mh_leave(ctx);
		err = mh_client_reserve(ctx->need_client, ctx->need_pool, ctx->need_blocks);
		mh_enter(ctx);
		if (err)
			return err;
	}
}

/* Has an operation nothing to tell but its error? */
static bool mh_quiet(const struct moheap_op *op)
{
	switch (op->code) {
	case MOHEAP_OP_HOLD:
	case MOHEAP_OP_DROP:
	case MOHEAP_OP_STORE:
	case MOHEAP_OP_RENEW:
	case MOHEAP_OP_IMMORTAL:
	case MOHEAP_OP_DISCARD:
		return true;
	default:
		return false;
	}
}

/*
 * Do the operations of a chunk up to the one that ends the batch. Return how many succeeded, and
 * in @told those that differ from what the caller has: most do not.
 */
static u32 mh_run_chunk(struct mh_ctx *ctx, struct moheap_op *ops, u32 n, u32 flags, u64 *told,
			int *err)
{
	s16 error;
	u32 i;

	*told = 0;
	mh_enter(ctx);
	for (i = 0; i < n; i++) {
		error = ops[i].error;
		ops[i].error = mh_run(ctx, &ops[i]);
		if (error != ops[i].error || !mh_quiet(&ops[i]))
			*told |= BIT_ULL(i);
		if (ctx->dead.first)
			mh_reap_into(ctx->heap, &ctx->dead, MH_REAP_INLINE, &ctx->freed);
		if (ops[i].error == -EINTR)
			*err = -EINTR;
		else if (ops[i].error && !(flags & MOHEAP_BATCH_CONTINUE))
			*err = -ECANCELED;
		if (*err)
			break;
	}
	mh_leave(ctx);
	return i;
}

/* The caller cannot be told of these: drop what was made for it. */
static void mh_undo_chunk(struct mh_ctx *ctx, const struct moheap_op *ops, u32 n, u64 inlined)
{
	u32 i;

	mh_enter(ctx);
	for (i = 0; i < n; i++) {
		if (!(inlined & BIT_ULL(i)) || ops[i].error)
			continue;
		if (ops[i].code == MOHEAP_OP_ALLOC)
			mh_alloc_undo(ctx, &ops[i].ref, 1);
		else
			mh_unwatch(ctx->client, ops[i].b);
	}
	mh_leave(ctx);
}

/* Which operations of a chunk return a new ref, or a watch, in place? */
static u64 mh_inlined(const struct moheap_op *ops, u32 n)
{
	u64 inlined = 0;
	u32 i;

	BUILD_BUG_ON(BITS_PER_TYPE(inlined) < MH_CHUNK);

	for (i = 0; i < n; i++)
		if ((ops[i].code == MOHEAP_OP_ALLOC && !ops[i].ref) ||
		    ops[i].code == MOHEAP_OP_WATCH)
			inlined |= BIT_ULL(i);
	return inlined;
}

/* Copy out the operations in @told, and what is between them. */
static int mh_tell_chunk(struct mh_ctx *ctx, const struct moheap_op *ops, u64 at, u64 told)
{
	u32 first, end;

	if (!told)
		return 0;
	first = __ffs64(told);
	end = fls64(told);
	return mh_copy_out(ctx, at + first * sizeof(*ops), ops + first,
			   (end - first) * sizeof(*ops));
}

static int mh_batch_chunk(struct mh_ctx *ctx, struct moheap_op *ops, u64 at, u32 n, u32 flags,
			  u32 *done)
{
	u64 inlined, told;
	u32 ran;
	int err = mh_copy_in(ctx, ops, at, n * sizeof(*ops));

	if (err)
		return err;
	inlined = mh_inlined(ops, n);
	ran = mh_run_chunk(ctx, ops, n, flags, &told, &err);
	if (mh_tell_chunk(ctx, ops, at, told)) {
		/* The one that ended the batch has something to say as well. */
		mh_undo_chunk(ctx, ops, err ? ran + 1 : ran, inlined);
		return -EFAULT;
	}
	*done += ran;
	return err;
}

/**
 * mh_batch() - do operations in order
 * @client: whose; no lock may be held
 * @ops: the operations: a user pointer if @user
 * @count: how many
 * @flags: MOHEAP_BATCH_*
 * @user: @ops and the pointers in it are those of a user process
 * @done: out: how many were done
 *
 * Return: 0, -ECANCELED, -EINTR, -EFAULT; see uapi/linux/moheap.h.
 */
int mh_batch(struct mh_client *client, u64 ops, u32 count, u32 flags, bool user, u32 *done)
{
	struct mh_ctx ctx = { .client = client, .heap = client->heap, .user = user };
	struct moheap_op few[MH_CHUNK_STACK], *many = NULL;
	u32 chunk = MH_CHUNK_STACK;
	int err = 0;

	*done = 0;
	if (count > MH_CHUNK_STACK)
		many = kmalloc_array(MH_CHUNK, sizeof(*many), GFP_KERNEL | __GFP_NOWARN);
	if (many)
		chunk = MH_CHUNK;
	while (!err && *done < count) {
		err = mh_batch_chunk(&ctx, many ?: few, ops + *done * sizeof(struct moheap_op),
				     min(count - *done, chunk), flags, done);
		cond_resched();
		if (!err && *done < count && signal_pending(current))
			err = -EINTR;
	}
	kfree(many);
	mh_collector_kick(client->heap);
	return err;
}
