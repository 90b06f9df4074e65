// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Slots, and their mirrors.
 *
 * The kernel has the truth; a mirror is a copy of a ref in the payload of the slot's owner, for
 * reading at the speed of memory. It is written here, under heap->lock, together with the
 * operation on the slot, so that within a process mirrors change in the order of slots.
 */
#include <string.h>

#include "guard.h"

/* ---- Mirrors ---- */

/* The sizes of an object. Caller holds heap->lock. */
static int mh_reach(struct moheap *heap, moheap_ref_t ref, const struct mh_reach **reach)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };
	struct mh_reach *entry = &heap->reaches[mh_granule(ref) % MH_REACHES];
	int err;

	*reach = entry;
	if (entry->ref == ref)
		return 0;
	err = mh_ioctl(heap, MOHEAP_IOC_OBJECT, &object);
	if (err)
		return err;
	entry->ref = ref;
	entry->slots = object.slots;
	entry->payload = mh_guard_size(heap, ref, object.payload);
	return 0;
}

/* Is there room for the copy of a slot in a mirror that covers "all" of them? */
static int mh_mirror_reaches(struct moheap *heap, moheap_ref_t owner, __u32 slot,
			     unsigned long long offset)
{
	const struct mh_reach *reach;
	int err = mh_reach(heap, owner, &reach);

	if (err)
		return err;
	return slot < reach->slots && offset + sizeof(moheap_ref_t) <= reach->payload;
}

/*
 * Where the mirror of a slot is. Caller holds heap->lock.
 *
 * Return: 1 and @mirror, 0 if there is none, or a negative errno.
 */
static int mh_mirror_find(struct moheap *heap, const struct mh_type *type, moheap_ref_t owner,
			  __u32 slot, moheap_ref_t **mirror)
{
	const struct mh_mirror *m = type->mirrors;
	unsigned long long offset;
	unsigned int i;
	int ret;

	for (i = 0; i < type->nmirrors; i++, m++) {
		if (slot < m->slot || slot - m->slot >= m->count)
			continue;
		offset = m->offset + (slot - m->slot) * (unsigned long long)sizeof(**mirror);
		if (m->count == UINT32_MAX) {
			ret = mh_mirror_reaches(heap, owner, slot, offset);
			if (ret <= 0)
				return ret;
		}
		*mirror = (moheap_ref_t *)((char *)moheap_ptr(heap, owner) + offset);
		return 1;
	}
	return 0;
}

static void mh_mirror_set(moheap_ref_t *mirror, moheap_ref_t target)
{
	__atomic_store_n(mirror, target, __ATOMIC_RELEASE);
}

/* Write the mirror of one slot, if it has one. The kernel has changed the slot. */
static void mh_mirror_write(struct moheap *heap, moheap_ref_t owner, __u32 slot,
			    moheap_ref_t target)
{
	struct mh_type *type;
	moheap_ref_t *mirror;
	int err;

	type = mh_type_of(heap, owner, &err);
	if (type && mh_mirror_find(heap, type, owner, slot, &mirror) > 0)
		mh_mirror_set(mirror, target);
}

static bool mh_mirrored(struct moheap *heap, moheap_ref_t owner)
{
	struct mh_type *type;
	int err;

	type = mh_type_of(heap, owner, &err);
	return type && type->nmirrors;
}

/* ---- Single slots ---- */

static int mh_name_both(struct moheap *heap, moheap_ref_t a, moheap_ref_t b)
{
	int err = mh_name(heap, a);

	return err ? err : mh_name(heap, b);
}

/*
 * A STORE still in the queue, for the slot that is to be stored to now, need not go out. Nobody
 * has seen what it would have stored, for whoever looks sends the queue off first; what comes
 * after it in the queue may name that object, though, and must find it alive. So it is
 * cancelled only if this process holds the object. It did all the time then: what began since
 * to hold something had to ask the kernel, and so sent the queue off.
 *
 * The new one goes to the end: what the program did before it, others must not see after it.
 */
static inline int mh_store_queue(struct moheap *heap, const struct moheap_op *op)
{
	struct moheap_op *old = mh_queue_find_store(heap, op);

	if (old && (!old->a || mh_hold_count(heap, old->a)))
		mh_queue_cancel(heap, old);
	return mh_queue_add_store(heap, op);
}

int moheap_store(struct moheap *heap, moheap_ref_t owner, unsigned int slot, moheap_ref_t target)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_STORE,
		.index = slot,
		.ref = owner,
		.a = target,
	};
	moheap_ref_t *mirror = NULL;
	struct mh_type *type;
	int err;

	mh_lock(&heap->lock);
	err = mh_name_both(heap, owner, target);
	if (err)
		goto unlock;
	type = mh_type_of(heap, owner, &err);
	if (!type)
		goto unlock;
	err = mh_mirror_find(heap, type, owner, slot, &mirror);
	if (err < 0)
		goto unlock;
	err = mh_store_queue(heap, &op);
	if (mirror && !err) {
		if (heap->guard)
			mh_guard_overwritten(heap, *mirror, target, __builtin_return_address(0));
		mh_mirror_set(mirror, target);
	}
unlock:
	mh_unlock(&heap->lock);
	return err;
}

static int mh_load(struct moheap *heap, moheap_ref_t owner, unsigned int slot, __u8 flags,
		   moheap_ref_t *target)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_LOAD,
		.flags = flags,
		.index = slot,
		.ref = owner,
	};
	int err;

	mh_lock(&heap->lock);
	err = mh_name(heap, owner);
	if (!err)
		err = mh_queue_run(heap, &op);
	if (!err && op.a && flags & MOHEAP_OP_F_HOLD)
		mh_hold_gained(heap, op.a);
	mh_unlock(&heap->lock);
	if (!err)
		*target = op.a;
	return err;
}

int moheap_load(struct moheap *heap, moheap_ref_t owner, unsigned int slot, moheap_ref_t *target)
{
	return mh_load(heap, owner, slot, MOHEAP_OP_F_HOLD, target);
}

int moheap_peek(struct moheap *heap, moheap_ref_t owner, unsigned int slot, moheap_ref_t *target)
{
	return mh_load(heap, owner, slot, 0, target);
}

int moheap_exchange(struct moheap *heap, moheap_ref_t owner, unsigned int slot,
		    moheap_ref_t target, moheap_ref_t *old)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_EXCHANGE,
		.flags = MOHEAP_OP_F_HOLD,
		.index = slot,
		.ref = owner,
		.a = target,
	};
	int err;

	mh_lock(&heap->lock);
	err = mh_name_both(heap, owner, target);
	if (!err)
		err = mh_queue_run(heap, &op);
	if (!err) {
		mh_mirror_write(heap, owner, slot, target);
		if (op.a)
			mh_hold_gained(heap, op.a);
		*old = op.a;
	}
	mh_unlock(&heap->lock);
	return err;
}

int moheap_compare_exchange(struct moheap *heap, moheap_ref_t owner, unsigned int slot,
			    moheap_ref_t *expected, moheap_ref_t target)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_CMPXCHG,
		.index = slot,
		.ref = owner,
		.a = *expected,
		.b = target,
	};
	int err;

	mh_lock(&heap->lock);
	err = mh_name_both(heap, owner, target);
	if (!err)
		err = mh_name(heap, *expected);
	if (!err)
		err = mh_queue_run(heap, &op);
	if (!err)
		mh_mirror_write(heap, owner, slot, target);
	else if (err == -EAGAIN)
		*expected = op.a;
	mh_unlock(&heap->lock);
	return err;
}

/* ---- Many slots: the kernel does them in one operation, which a signal can cut in two ---- */

int moheap_fill(struct moheap *heap, moheap_ref_t owner, unsigned int slot, size_t n,
		moheap_ref_t target)
{
	struct moheap_op op;
	size_t done = 0, i;
	int err;

	mh_lock(&heap->lock);
	err = mh_name_both(heap, owner, target);
	while (done < n && (!err || err == -EINTR)) {
		op = (struct moheap_op){
			.code = MOHEAP_OP_FILL,
			.index = slot + done,
			.ref = owner,
			.a = target,
			.b = n - done,
		};
		err = mh_queue_run_long(heap, &op);
		done += mh_min(op.b, n - done);
	}
	if (done && mh_mirrored(heap, owner))
		for (i = 0; i < done; i++)
			mh_mirror_write(heap, owner, slot + i, target);
	mh_unlock(&heap->lock);
	return err;
}

static int mh_read(struct moheap *heap, moheap_ref_t owner, unsigned int slot, size_t n,
		   moheap_ref_t *refs)
{
	struct moheap_op op;
	size_t done = 0;
	int err = mh_name(heap, owner);

	while (done < n && (!err || err == -EINTR)) {
		op = (struct moheap_op){
			.code = MOHEAP_OP_READ,
			.index = slot + done,
			.ref = owner,
			.a = (uintptr_t)(refs + done),
			.b = n - done,
		};
		err = mh_queue_run_long(heap, &op);
		done += mh_min(op.b, n - done);
	}
	return err;
}

int moheap_read(struct moheap *heap, moheap_ref_t owner, unsigned int slot, size_t n,
		moheap_ref_t *refs)
{
	int err;

	mh_lock(&heap->lock);
	err = mh_read(heap, owner, slot, n, refs);
	mh_unlock(&heap->lock);
	return err;
}

/* Bring the mirrors of @n slots up to date with the slots. */
static int mh_mirrors_refresh(struct moheap *heap, moheap_ref_t owner, unsigned int slot, size_t n)
{
	moheap_ref_t refs[256];
	size_t at, some, i;
	int err;

	for (at = 0; at < n; at += some) {
		some = mh_min(n - at, MH_ARRAY_SIZE(refs));
		err = mh_read(heap, owner, slot + at, some, refs);
		if (err)
			return err;
		for (i = 0; i < some; i++)
			mh_mirror_write(heap, owner, slot + at + i, refs[i]);
	}
	return 0;
}

int moheap_copy(struct moheap *heap, moheap_ref_t owner, unsigned int slot, moheap_ref_t source,
		unsigned int from, size_t n)
{
	/* The kernel begins at the end where slots must not be overwritten before their turn. */
	bool backwards = owner == source && from < slot;
	size_t left = n, done = 0;
	struct moheap_op op;
	int err;

	if (n > UINT32_MAX)
		return -ERANGE;
	mh_lock(&heap->lock);
	err = mh_name_both(heap, owner, source);
	while (left && (!err || err == -EINTR)) {
		op = (struct moheap_op){
			.code = MOHEAP_OP_COPY,
			.index = slot + done,
			.ref = owner,
			.a = source,
			.b = (__u64)left << 32 | (__u32)(from + done),
		};
		err = mh_queue_run_long(heap, &op);
		op.b = mh_min(op.b, left);
		left -= op.b;
		if (!backwards)
			done += op.b;
	}
	if (left < n && mh_mirrored(heap, owner))
		mh_mirrors_refresh(heap, owner, slot, n);
	mh_unlock(&heap->lock);
	return err;
}
