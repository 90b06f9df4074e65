// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Stocks of objects.
 *
 * New objects are taken from the kernel many at once and handed out from stock, without a system
 * call. What is in stock is the client's already, so it goes with the client, however that
 * ends. A stock takes more the more often it runs dry, up to MH_STOCK_MAX objects or
 * MH_STOCK_BYTES of them, and gives back what nobody wanted for MH_STOCK_IDLE flushes. Objects
 * that nobody else came to know come back here, as new ones (young.c).
 *
 * Which stock
 * -----------
 * Where nothing of a type varies it has one. Where payload varies the kernel has a ladder of block
 * sizes, and there is a stock for each step: stocks[1] and on, as they are met. A size that is
 * new is asked for once, and the block that comes tells where it belongs. All objects of a page
 * of the arena have blocks of one size, so heap->pages names the stock to which they come back.
 * stocks[0] is for payload above MH_STOCK_PAYLOAD: one size at a time, which does not recycle,
 * for whatever is as large as that is better gone.
 *
 * Where slots vary a page has objects of several counts. Such types have a stock for a hash of
 * the sizes, which goes where another needs its place, and do not recycle.
 *
 * Objects to be finalized are made one by one, when they are asked for, and do not come back: the
 * kernel would have those finalized that nobody ever had, and would not hear of those that
 * somebody had.
 *
 * All under heap->lock.
 */
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "word.h"

#define MH_STOCK_FIRST		8
#define MH_STOCK_MAX		512
#define MH_STOCK_BYTES		(128U << 10)
#define MH_STOCK_PAYLOAD	(32U << 10)
#define MH_STOCK_IDLE		8

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
 * mh_alloc() - up to @n objects into @refs; caller holds heap->lock
 *
 * At the heap's limit the queue may have what makes room; the stocks have for certain.
 *
 * Return: how many there are, at least one; or a negative errno.
 */
long mh_alloc(struct moheap *heap, const struct mh_type *type, size_t payload, __u32 slots,
	      size_t n, moheap_ref_t *refs)
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
		mh_guard_drain(heap);
		mh_guard_release(heap);
		tried = true;
	}
}

/* ---- What is in stock, and its way back ---- */

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
	for (; stock->head < stock->room; stock->head++)
		mh_give_back(heap, stock->refs[stock->head]);
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
		stock->head = stock->room;
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

/* ---- Filling up ---- */

/*
 * mh_recycles() - may objects of these sizes come back to stock?
 *
 * Large blocks are better gone, and RENEW takes so many slots only. In a guarded heap, all are
 * better gone, for others to look at them (guard.c). @flags are the type's.
 */
bool mh_recycles(const struct moheap *heap, __u32 flags, size_t payload, __u32 slots)
{
	return heap->queue.depth > 1 && !heap->guard && !(flags & MOHEAP_TYPE_FINALIZE) &&
	       payload <= MH_STOCK_PAYLOAD && slots <= MOHEAP_RENEW_SLOTS;
}

/* What heap->pages says of the pages of this stock. */
static unsigned int mh_stock_number(const struct mh_type *type, const struct mh_stock *stock)
{
	return stock->recycles ? stock - type->stocks + 1 : 0;
}

/* An array as long as the stock may become. It is empty now. */
static int mh_stock_make_room(struct mh_stock *stock)
{
	size_t bytes = stock->payload + stock->slots * sizeof(__u32) + MOHEAP_GRANULE;
	unsigned int room = mh_max(1, mh_min(MH_STOCK_MAX, MH_STOCK_BYTES / bytes));
	moheap_ref_t *refs;

	if (room == stock->room)
		return 0;
	refs = realloc(stock->refs, room * sizeof(*refs));
	if (!refs)
		return -ENOMEM;
	stock->refs = refs;
	stock->room = room;
	stock->head = room;
	return 0;
}

/* How many to take, this being the first time or one more. */
static unsigned int mh_stock_want(const struct moheap *heap, const struct mh_type *type,
				  const struct mh_stock *stock)
{
	unsigned int want = stock->want * 2;

	if (heap->queue.depth == 1 || type->flags & MOHEAP_TYPE_FINALIZE)
		return 1;
	if (!want)
		want = type->nstocks == 1 ? MH_STOCK_FIRST : 1;
	return mh_min(want, stock->room);
}

/*
 * mh_block_bytes() - how large the block of a new object is; caller holds heap->lock
 *
 * Return: its bytes; @payload where the kernel cannot say.
 */
size_t mh_block_bytes(struct moheap *heap, moheap_ref_t ref, size_t payload)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };

	if (!payload || mh_ioctl(heap, MOHEAP_IOC_OBJECT, &object))
		return payload;
	return object.payload;
}

static void mh_stock_filled(struct moheap *heap, const struct mh_type *type,
			    struct mh_stock *stock, unsigned int n)
{
	unsigned int number = mh_stock_number(type, stock), i;
	moheap_ref_t last = 0, ref;

	stock->head = stock->room - n;
	memmove(stock->refs + stock->head, stock->refs, n * sizeof(*stock->refs));
	for (i = stock->head; i < stock->room; i++) {
		ref = stock->refs[i];
		/* Neighbours of one generation have the same said of their page. */
		if ((ref ^ last) & ~(moheap_ref_t)(MH_PAGE / MOHEAP_GRANULE - 1))
			mh_type_note(heap, ref, type, number);
		last = ref;
	}
	mh_stock_enlist(heap, stock);
}

static __attribute_noinline__
int mh_stock_refill(struct moheap *heap, const struct mh_type *type, struct mh_stock *stock)
{
	unsigned int want;
	long n;
	int err;

	err = mh_stock_make_room(stock);
	if (err)
		return err;
	want = mh_stock_want(heap, type, stock);
	mh_guard_drain(heap);
	n = mh_alloc(heap, type, stock->payload, stock->slots, want, stock->refs);
	if (n < 0)
		return n;
	if (!stock->block)
		stock->block = mh_block_bytes(heap, stock->refs[0], stock->payload);
	mh_stock_filled(heap, type, stock, n);
	stock->want = want;
	return 0;
}

/* ---- Which stock ---- */

/* The stock of these sizes: where another has the place, that one goes. */
static struct mh_stock *mh_stock_take_place(struct moheap *heap, struct mh_stock *stock,
					    size_t payload, __u32 slots)
{
	if (stock->payload == payload && stock->slots == slots)
		return stock;
	mh_stock_release(heap, stock);
	stock->payload = payload;
	stock->slots = slots;
	stock->block = 0;
	return stock;
}

/* The stock of a step of the ladder that is known to cover @payload. */
static struct mh_stock *mh_stock_known(struct mh_type *type, size_t payload)
{
	unsigned int i;

	for (i = 1; i <= type->nsizes; i++)
		if (payload >= type->stocks[i].least && payload <= type->stocks[i].block)
			return &type->stocks[i];
	return NULL;
}

/* The stock of blocks of @block bytes, into which the kernel puts @payload. */
static struct mh_stock *mh_stock_of_block(struct moheap *heap, struct mh_type *type, size_t block,
					  size_t payload)
{
	struct mh_stock *stock = mh_stock_known(type, block);

	if (stock) {
		stock->least = mh_min(stock->least, payload);
		return stock;
	}
	if (type->nsizes + 1 == type->nstocks)
		return mh_stock_take_place(heap, &type->stocks[0], payload, type->slots);
	stock = &type->stocks[++type->nsizes];
	stock->payload = block;
	stock->block = block;
	stock->least = payload;
	stock->slots = type->slots;
	stock->recycles = mh_recycles(heap, type->flags, block, type->slots);
	return stock;
}

/* A size that was not asked for yet: see what comes. */
static __attribute_noinline__
struct mh_stock *mh_stock_learn(struct moheap *heap, struct mh_type *type, size_t payload, int *err)
{
	moheap_ref_t ref;
	size_t block;
	long n;

	if (payload > MH_STOCK_PAYLOAD)
		return mh_stock_take_place(heap, &type->stocks[0], payload, type->slots);
	n = mh_alloc(heap, type, payload, type->slots, 1, &ref);
	if (n < 0) {
		*err = n;
		return NULL;
	}
	block = mh_block_bytes(heap, ref, payload);
	mh_give_back(heap, ref);
	return mh_stock_of_block(heap, type, block, payload);
}

static struct mh_stock *mh_stock_by_size(struct moheap *heap, struct mh_type *type,
					 size_t payload, int *err)
{
	size_t granules = payload / MOHEAP_GRANULE;
	struct mh_stock *stock;

	if (granules <= MH_SIZES && type->by_size[granules])
		return &type->stocks[type->by_size[granules]];
	stock = mh_stock_known(type, payload);
	if (!stock)
		stock = mh_stock_learn(heap, type, payload, err);
	if (stock && granules <= MH_SIZES)
		type->by_size[granules] = stock - type->stocks;
	return stock;
}

/*
 * mh_stock_find() - where objects of these sizes come from; caller holds heap->lock
 *
 * @payload is a multiple of a granule, and @payload and @slots are what the type allows.
 *
 * Return: a stock that is not empty; or NULL and @err.
 */
struct mh_stock *mh_stock_find(struct moheap *heap, struct mh_type *type, size_t payload,
			       __u32 slots, int *err)
{
	size_t key = payload / MOHEAP_GRANULE + slots * 5UL;
	struct mh_stock *stock;

	*err = 0;
	if (type->nstocks == 1)
		stock = &type->stocks[0];
	else if (type->flags & (MOHEAP_TYPE_VAR_SLOTS | MOHEAP_TYPE_FINALIZE))
		stock = mh_stock_take_place(heap, &type->stocks[key % MH_STOCKS_VAR], payload,
					    slots);
	else
		stock = mh_stock_by_size(heap, type, payload, err);
	if (stock && stock->head == stock->room)
		*err = mh_stock_refill(heap, type, stock);
	return *err ? NULL : stock;
}

/*
 * mh_stock_recycle() - the last reference to @ref is given up: back to stock with its block
 *
 * Caller holds heap->lock; @old is the word of @ref.
 *
 * Return: false if the kernel has to be told, or the word is not @old any more.
 */
bool mh_stock_recycle(struct moheap *heap, moheap_ref_t ref, __u64 old)
{
	struct mh_stock *stock;
	moheap_ref_t next;

	stock = old & MH_LOCAL ? mh_stock_of_page(heap, ref) : NULL;
	if (!stock || !stock->head)
		return false;
	next = mh_young_die(heap, ref, old);
	if (!next)
		return false;
	mh_type_renew(heap, next);
	stock->refs[--stock->head] = next;
	stock->idle = 0;
	mh_stock_enlist(heap, stock);
	return true;
}
