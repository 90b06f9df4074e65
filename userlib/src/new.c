// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * New objects: out of stock, or as many as asked for. A block that had an owner before is cleared
 * here. Where tracing is on, a new object is traced when it is complete: nobody else knows it
 * yet.
 */
#include <string.h>

#include "guard.h"
#include "word.h"

/* A size as the kernel is to be asked for it. */
static int mh_size_check(const struct moheap *heap, const struct mh_type *type, size_t *payload,
			 size_t *slots)
{
	if ((*payload && !(type->flags & MOHEAP_TYPE_VAR_PAYLOAD)) ||
	    (*slots && !(type->flags & MOHEAP_TYPE_VAR_SLOTS)))
		return -EINVAL;
	if (*payload > MOHEAP_PAYLOAD_MAX || *slots > MOHEAP_SLOTS_MAX)
		return -E2BIG;
	*payload = mh_max(mh_guard_payload(heap, *payload), type->payload);
	*payload = mh_round_up(*payload, MOHEAP_GRANULE);
	*slots = mh_max(*slots, type->slots);
	return 0;
}

/*
 * The stock of a size that was asked for before, where only payload varies, if it is not empty;
 * else NULL. It is the one that mh_stock_find() would find.
 */
static inline struct mh_stock *mh_new_known(const struct moheap *heap, struct mh_type *type,
					    size_t payload, size_t slots)
{
	size_t granules = (payload + MOHEAP_GRANULE - 1) / MOHEAP_GRANULE;
	struct mh_stock *stock;

	if (payload > MH_SIZES * MOHEAP_GRANULE || payload < type->payload || slots ||
	    heap->guard || !type->by_size[granules])
		return NULL;
	stock = &type->stocks[type->by_size[granules]];
	return stock->head < stock->room ? stock : NULL;
}

/* Where an object of @type comes from: a stock that is not empty. */
static inline struct mh_stock *mh_new_stock(struct moheap *heap, struct mh_type *type,
					    size_t payload, size_t slots, int *err)
{
	struct mh_stock *stock;

	/* What most calls are. */
	if (type->nstocks == 1 && !payload && !slots &&
	    type->stocks[0].head < type->stocks[0].room)
		return &type->stocks[0];
	stock = mh_new_known(heap, type, payload, slots);
	if (stock)
		return stock;
	*err = mh_size_check(heap, type, &payload, &slots);
	return *err ? NULL : mh_stock_find(heap, type, payload, slots, err);
}

int moheap_new_sized(struct moheap *heap, unsigned int id, size_t payload, size_t slots,
		     moheap_ref_t *ref)
{
	struct mh_stock *stock = NULL;
	struct mh_type *type;
	size_t clear = 0;
	int err;

	mh_lock(&heap->lock);
	type = mh_type_get(heap, id, &err);
	if (type)
		stock = mh_new_stock(heap, type, payload, slots, &err);
	if (stock) {
		*ref = stock->refs[stock->head++];
		stock->idle = 0;
		if (*ref & MOHEAP_REF_REUSED)
			clear = stock->block;
		if (stock->recycles)
			mh_young_born(heap, *ref);
		else
			mh_hold_born(heap, *ref);
		if (!stock->recycles && heap->guard) {
			clear = 0;
			mh_guard_born(heap, type, *ref, stock->block, payload,
				      __builtin_return_address(0));
		}
	}
	mh_unlock(&heap->lock);
	if (clear)
		memset(moheap_ptr(heap, *ref), 0, clear);
	if (mh_nframe(heap) && !err)
		mh_trace(heap, ref, 1);
	return err;
}

int moheap_new(struct moheap *heap, unsigned int type, moheap_ref_t *ref)
{
	return moheap_new_sized(heap, type, 0, 0, ref);
}

/* Nobody will know that they were there. */
static void mh_drop_made(struct moheap *heap, const struct mh_type *type,
			 const moheap_ref_t *refs, size_t n)
{
	struct moheap_op op = { .code = MOHEAP_OP_DROP };
	size_t i;

	for (i = 0; i < n; i++) {
		op.ref = refs[i];
		if (type->flags & MOHEAP_TYPE_FINALIZE)
			mh_word_set(heap, refs[i], MH_UNMADE);
		mh_queue_add(heap, &op);
	}
}

int moheap_new_many(struct moheap *heap, unsigned int id, size_t n, moheap_ref_t *refs)
{
	size_t payload = 0, slots = 0, block = 0, made, i;
	struct mh_type *type;
	long some = 0;
	int err;

	if (!n)
		return -EINVAL;
	mh_lock(&heap->lock);
	type = mh_type_get(heap, id, &err);
	if (!type)
		goto unlock;
	mh_size_check(heap, type, &payload, &slots);
	for (made = 0; made < n; made += some) {
		some = mh_alloc(heap, type, payload, slots, n - made, refs + made);
		if (some < 0) {
			err = some;
			mh_drop_made(heap, type, refs, made);
			goto unlock;
		}
	}
	for (i = 0; i < n; i++) {
		mh_hold_born(heap, refs[i]);
		mh_type_note(heap, refs[i], type, 0);
		if ((refs[i] & MOHEAP_REF_REUSED || heap->guard) && !block)
			block = mh_block_bytes(heap, refs[i], payload);
		if (heap->guard)
			mh_guard_born(heap, type, refs[i], block, 0, __builtin_return_address(0));
	}
unlock:
	mh_unlock(&heap->lock);
	for (i = 0; block && !heap->guard && i < n; i++)
		if (refs[i] & MOHEAP_REF_REUSED)
			memset(moheap_ptr(heap, refs[i]), 0, block);
	if (mh_nframe(heap) && !err)
		mh_trace(heap, refs, n);
	return err;
}
