// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * New objects.
 *
 * They are taken from the kernel many at once and handed out from stock, without a system
 * call. What is in stock is the client's already, so it goes with the client, however that
 * ends. A stock takes more the more often it runs dry, up to MH_STOCK_MAX objects or
 * MH_STOCK_BYTES of them, and gives back what nobody wanted for MH_STOCK_IDLE flushes.
 *
 * A block that had an owner before is cleared when it is handed out.
 *
 * All under heap->lock.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define MH_STOCK_FIRST	8
#define MH_STOCK_MAX	512
#define MH_STOCK_BYTES	(128U << 10)
#define MH_STOCK_IDLE	8

/* ---- One ALLOC ---- */

static void mh_alloc_op(struct moheap_op *op, const struct mh_type *type, size_t payload,
			__u32 slots, size_t n, moheap_ref_t *refs)
{
	*op = (struct moheap_op){
		.code = MOHEAP_OP_ALLOC,
		.index = type->id,
		.ref = (uintptr_t)refs,
		.a = n,
	};
	if (type->flags & MOHEAP_TYPE_VAR_PAYLOAD)
		op->b = payload;
	if (type->flags & MOHEAP_TYPE_VAR_SLOTS)
		op->b |= (__u64)slots << 32;
}

/*
 * Up to @n objects into @refs. At the heap's limit the queue may have what makes room; the
 * stocks have for certain.
 *
 * Return: how many there are, at least one; or a negative errno.
 */
static long mh_alloc_some(struct moheap *heap, const struct mh_type *type, size_t payload,
			  __u32 slots, size_t n, moheap_ref_t *refs)
{
	struct moheap_op op;
	bool tried = false;
	int err;

	n = mh_min(n, MOHEAP_ALLOC_MAX);
	for (;;) {
		refs[0] = 0;
		mh_alloc_op(&op, type, payload, slots, n, refs);
		err = mh_queue_run_long(heap, &op);
		if (!err || (refs[0] && op.a && op.a <= n))
			return op.a;
		if (err == -EINTR)
			continue;
		if (tried || (err != -ENOSPC && err != -ENOMEM))
			return err;
		mh_stocks_release(heap);
		mh_queue_send(heap);
		tried = true;
	}
}

/* ---- Stocks ---- */

static void mh_stock_enlist(struct moheap *heap, struct mh_stock *stock)
{
	if (stock->listed)
		return;
	stock->listed = true;
	stock->next = heap->stocks;
	heap->stocks = stock;
}

/* Whoever is refilling the stock meanwhile has the use of stock->refs: it stays. */
static void mh_stock_release(struct moheap *heap, struct mh_stock *stock)
{
	struct moheap_op op = { .code = MOHEAP_OP_DROP };

	for (; stock->head < stock->n; stock->head++) {
		op.ref = stock->refs[stock->head];
		mh_queue_add(heap, &op);
	}
	stock->want = 0;
	stock->idle = 0;
}

/*
 * mh_stocks_release() - give all stocks back; caller holds heap->lock
 */
void mh_stocks_release(struct moheap *heap)
{
	struct mh_stock *stock;

	while (heap->stocks) {
		stock = heap->stocks;
		heap->stocks = stock->next;
		stock->listed = false;
		mh_stock_release(heap, stock);
	}
}

/*
 * mh_stocks_forget() - what is in stock is somebody else's; caller holds heap->lock
 */
void mh_stocks_forget(struct moheap *heap)
{
	struct mh_stock *stock;

	for (stock = heap->stocks; stock; stock = stock->next)
		stock->head = stock->n;
}

/*
 * mh_stocks_age() - one flush more; give back what nobody wants; caller holds heap->lock
 */
void mh_stocks_age(struct moheap *heap)
{
	struct mh_stock **link = &heap->stocks;
	struct mh_stock *stock;

	while (*link) {
		stock = *link;
		if (++stock->idle < MH_STOCK_IDLE) {
			link = &stock->next;
			continue;
		}
		*link = stock->next;
		stock->listed = false;
		mh_stock_release(heap, stock);
	}
}

/* How many to take, this being the first time or one more. */
static unsigned int mh_stock_want(const struct moheap *heap, const struct mh_type *type,
				  const struct mh_stock *stock)
{
	size_t bytes = stock->payload + stock->slots * sizeof(__u32) + MOHEAP_GRANULE;
	unsigned int want = stock->want * 2;

	if (heap->queue.depth == 1)
		return 1;
	if (!want)
		want = type->nstocks == 1 ? MH_STOCK_FIRST : 1;
	return mh_max(1, mh_min(want, mh_min(MH_STOCK_MAX, MH_STOCK_BYTES / bytes)));
}

static int mh_stock_refill(struct moheap *heap, const struct mh_type *type,
			   struct mh_stock *stock)
{
	unsigned int want = mh_stock_want(heap, type, stock);
	moheap_ref_t *refs;
	long n;

	if (want > stock->room) {
		refs = realloc(stock->refs, want * sizeof(*refs));
		if (!refs)
			return -ENOMEM;
		stock->refs = refs;
		stock->room = want;
	}
	n = mh_alloc_some(heap, type, stock->payload, stock->slots, want, stock->refs);
	if (n < 0)
		return n;
	mh_stock_enlist(heap, stock);
	stock->want = want;
	stock->head = 0;
	stock->n = n;
	return 0;
}

/* The stock of a size: where another has its place, that one goes. */
static struct mh_stock *mh_stock_find(struct moheap *heap, struct mh_type *type, size_t payload,
				      __u32 slots)
{
	size_t key = payload / MOHEAP_GRANULE + slots * 5UL;
	struct mh_stock *stock = &type->stocks[key % type->nstocks];

	if (stock->payload == payload && stock->slots == slots)
		return stock;
	mh_stock_release(heap, stock);
	stock->payload = payload;
	stock->slots = slots;
	stock->block = 0;
	return stock;
}

/* Bytes that an object of this stock has. All of one bin have the same: ask once. */
static size_t mh_stock_block(struct moheap *heap, struct mh_stock *stock, moheap_ref_t ref)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };

	if (!stock->block) {
		stock->block = stock->payload;
		if (!mh_ioctl(heap, MOHEAP_IOC_OBJECT, &object))
			stock->block = object.payload;
	}
	return stock->block;
}

/* ---- The interface ---- */

/* A size as the kernel is to be asked for it. */
static int mh_size_check(const struct mh_type *type, size_t *payload, size_t *slots)
{
	if ((*payload && !(type->flags & MOHEAP_TYPE_VAR_PAYLOAD)) ||
	    (*slots && !(type->flags & MOHEAP_TYPE_VAR_SLOTS)))
		return -EINVAL;
	if (*payload > MOHEAP_PAYLOAD_MAX || *slots > MOHEAP_SLOTS_MAX)
		return -E2BIG;
	*payload = mh_round_up(mh_max(*payload, type->payload), MOHEAP_GRANULE);
	*slots = mh_max(*slots, type->slots);
	return 0;
}

int moheap_new_sized(struct moheap *heap, unsigned int id, size_t payload, size_t slots,
		     moheap_ref_t *ref)
{
	struct mh_stock *stock;
	struct mh_type *type;
	size_t clear = 0;
	int err;

	mh_lock(&heap->lock);
	type = mh_type_get(heap, id, &err);
	if (!type)
		goto unlock;
	err = mh_size_check(type, &payload, &slots);
	if (err)
		goto unlock;
	stock = mh_stock_find(heap, type, payload, slots);
	if (stock->head == stock->n) {
		err = mh_stock_refill(heap, type, stock);
		if (err)
			goto unlock;
	}
	*ref = stock->refs[stock->head++];
	stock->idle = 0;
	mh_hold_born(heap, *ref);
	mh_type_note(heap, *ref, id);
	if (*ref & MOHEAP_REF_REUSED && payload)
		clear = mh_stock_block(heap, stock, *ref);
unlock:
	mh_unlock(&heap->lock);
	if (clear)
		memset(moheap_ptr(heap, *ref), 0, clear);
	return err;
}

int moheap_new(struct moheap *heap, unsigned int type, moheap_ref_t *ref)
{
	return moheap_new_sized(heap, type, 0, 0, ref);
}

static void mh_drop_made(struct moheap *heap, const moheap_ref_t *refs, size_t n)
{
	struct moheap_op op = { .code = MOHEAP_OP_DROP };
	size_t i;

	for (i = 0; i < n; i++) {
		op.ref = refs[i];
		mh_queue_add(heap, &op);
	}
}

int moheap_new_many(struct moheap *heap, unsigned int id, size_t n, moheap_ref_t *refs)
{
	size_t payload = 0, slots = 0, block = 0, made, i;
	struct mh_stock *stock;
	struct mh_type *type;
	long some = 0;
	int err;

	if (!n)
		return -EINVAL;
	mh_lock(&heap->lock);
	type = mh_type_get(heap, id, &err);
	if (!type)
		goto unlock;
	mh_size_check(type, &payload, &slots);
	stock = mh_stock_find(heap, type, payload, slots);
	for (made = 0; made < n; made += some) {
		some = mh_alloc_some(heap, type, payload, slots, n - made, refs + made);
		if (some < 0) {
			err = some;
			mh_drop_made(heap, refs, made);
			goto unlock;
		}
	}
	for (i = 0; i < n; i++) {
		mh_hold_born(heap, refs[i]);
		mh_type_note(heap, refs[i], id);
		if (refs[i] & MOHEAP_REF_REUSED && payload && !block)
			block = mh_stock_block(heap, stock, refs[i]);
	}
unlock:
	mh_unlock(&heap->lock);
	for (i = 0; block && i < n; i++)
		if (refs[i] & MOHEAP_REF_REUSED)
			memset(moheap_ptr(heap, refs[i]), 0, block);
	return err;
}
