// SPDX-License-Identifier: GPL-2.0
/*
 * Pools: spans of equal blocks, with the headers of their objects.
 *
 * A pool is one allocation from a size-classed slab cache: struct mh_pool, seven bitmaps, and
 * the headers with their inline slots. Its payload blocks are whole pages of the arena. Nothing
 * is allocated for a single object.
 *
 * A free block has its bit in MH_FREE set, an even generation, a count of zero and empty slots.
 * Freeing a block sets the bit, whoever does it (mh_blocks_release()); only the client for which
 * the pool is active clears bits, a word at a time, under client->lock (mh_pool_take()). So
 * neither needs a lock that other clients take.
 *
 * What a pool is to its bin (pool->state, under bin->lock):
 *
 *	ACTIVE --mh_pool_retire()--> FULL, PARTIAL or EMPTY, by its free blocks
 *	FULL --first block freed--> PARTIAL --last block freed--> EMPTY
 *	PARTIAL, EMPTY --mh_pool_adopt()--> ACTIVE
 *	EMPTY --mh_trim_step()--> gone
 *
 * The transitions for freed blocks are made by whoever moves pool->nfree above 0 or to nblocks;
 * mh_pool_retire() reads nfree under the lock, so none is lost: a free that was counted before
 * is seen there, one that is counted later finds the new state.
 *
 * A pool leaves only from the list of empty ones, under heap->lock and the exclusive gate, and
 * not while it is queued for the collector. Whoever holds the gate shared, or heap->lock, or has
 * the pool active, can rely on it.
 */
#include <linux/list_sort.h>

#include "internal.h"
#include "tracepoints.h"

/*
 * Few, as each costs the module's unloading a grace period: for single large blocks, for a few
 * of them, for the smallest objects (two to a slab, so that nothing is wasted), for the rest.
 */
static const struct {
	const char *name;
	size_t bytes;
} mh_classes[MH_CLASSES] = {
	{ "moheap_pool_512", 512 },
	{ "moheap_pool_2k", 2048 },
	{ "moheap_pool_16k", 16384 },
	{ "moheap_pool_32k", 32768 },
};

static struct kmem_cache *mh_caches[MH_CLASSES];

/* Empty pools a bin keeps for the next burst. */
#define MH_KEEP_EMPTY	1

/* Pools given back in one hold of the exclusive gate: each costs a look at all its holders. */
#define MH_TRIM_STEP	8

/**
 * mh_pools_init() - create the slab caches
 *
 * Return: 0 or -ENOMEM.
 */
int mh_pools_init(void)
{
	int i;

	for (i = 0; i < MH_CLASSES; i++) {
		mh_caches[i] = kmem_cache_create(mh_classes[i].name, mh_classes[i].bytes, 0,
						 SLAB_ACCOUNT, NULL);
		if (!mh_caches[i]) {
			mh_pools_exit();
			return -ENOMEM;
		}
	}
	return 0;
}

/**
 * mh_pools_exit() - destroy the slab caches; no heap is left
 */
void mh_pools_exit(void)
{
	int i;

	for (i = 0; i < MH_CLASSES; i++)
		kmem_cache_destroy(mh_caches[i]);
}

/**
 * mh_class_bytes() - the size of a class of pool descriptors
 * @class: 0 to MH_CLASSES - 1
 *
 * Return: bytes.
 */
size_t mh_class_bytes(int class)
{
	return mh_classes[class].bytes;
}

static size_t mh_pool_headers_at(u32 nblocks)
{
	return sizeof(struct mh_pool) + MH_MAPS * BITS_TO_LONGS(nblocks) * sizeof(long);
}

/**
 * mh_pool_bytes() - the size of a pool descriptor
 * @nblocks: its blocks
 * @hstride: bytes of a header
 *
 * Return: bytes.
 */
size_t mh_pool_bytes(u32 nblocks, u32 hstride)
{
	return mh_pool_headers_at(nblocks) + (size_t)nblocks * hstride;
}

static u32 mh_pool_page(const struct mh_pool *pool)
{
	return pool->first / MH_PAGE_GRANULES;
}

static void mh_pool_init(struct mh_pool *pool, struct mh_heap *heap, struct mh_bin *bin,
			 u32 page)
{
	u32 base = mh_arena_base(heap, page, bin->geo.pages);
	u32 i;

	pool->bin = bin;
	pool->heap = heap;
	pool->first = page * MH_PAGE_GRANULES;
	pool->stride = bin->geo.stride;
	pool->magic = DIV_ROUND_UP_ULL(1ULL << 32, pool->stride);
	pool->hstride = bin->geo.hstride;
	pool->nblocks = bin->geo.nblocks;
	pool->words = BITS_TO_LONGS(pool->nblocks);
	pool->state = MH_POOL_ACTIVE;
	atomic_set(&pool->nfree, pool->nblocks);
	INIT_LIST_HEAD(&pool->list);
	INIT_HLIST_HEAD(&pool->holders);
	pool->headers = (void *)pool + mh_pool_headers_at(pool->nblocks);
	bitmap_set(mh_map(pool, MH_FREE), 0, pool->nblocks);
	for (i = 0; base && i < pool->nblocks; i++)
		atomic64_set(&mh_header(pool, i)->word, mh_word(base, 0));
}

static int mh_pool_publish(struct mh_heap *heap, struct mh_pool *pool)
{
	int err;

	mutex_lock(&heap->lock);
	err = xa_alloc(&heap->pools, &pool->id, pool, xa_limit_31b, MH_GFP);
	if (!err) {
		mh_arena_map(heap, mh_pool_page(pool), pool->bin->geo.pages, pool);
		heap->npools++;
	}
	mutex_unlock(&heap->lock);
	return err;
}

/**
 * mh_pool_create() - a new pool, active for the caller
 * @heap: the heap; neither its gate nor its lock may be held
 * @bin: what blocks it is to have
 *
 * Return: the pool, or an error pointer: -ENOSPC at the heap's limit, -ENOMEM, -EINTR.
 */
struct mh_pool *mh_pool_create(struct mh_heap *heap, struct mh_bin *bin)
{
	const struct mh_geometry *geo = &bin->geo;
	size_t bytes = mh_class_bytes(geo->class);
	struct mh_pool *pool;
	u32 page;
	int err;

	err = mh_charge(heap, &heap->kernel_bytes, bytes);
	if (err)
		return ERR_PTR(err);
	err = -ENOMEM;
	pool = kmem_cache_zalloc(mh_caches[geo->class], MH_GFP);
	if (!pool)
		goto uncharge;
	err = mh_arena_reserve(heap, geo->pages, geo->backed, &page);
	if (err)
		goto free_pool;
	mh_pool_init(pool, heap, bin, page);
	err = mh_linger_prepare(pool);
	if (err)
		goto release;
	err = mh_pool_publish(heap, pool);
	if (err)
		goto free_linger;
	trace_moheap_pool(heap, pool, true);
	return pool;

free_linger:
	mh_linger_free(pool);
release:
	if (geo->backed)
		mh_arena_punch(heap, page, geo->pages);
	mh_arena_release(heap, page, geo->pages, mh_arena_base(heap, page, geo->pages));
free_pool:
	kmem_cache_free(mh_caches[geo->class], pool);
uncharge:
	mh_uncharge(heap, &heap->kernel_bytes, bytes);
	return ERR_PTR(err);
}

/**
 * mh_pool_free_apart() - free the slots that objects of a pool keep apart
 * @pool: a pool of a heap that is being destroyed
 */
void mh_pool_free_apart(struct mh_pool *pool)
{
	u32 i;

	if (pool->bin->geo.kind != MH_SLOTS_APART)
		return;
	for (i = 0; i < pool->nblocks; i++)
		kvfree(container_of(mh_header(pool, i), struct mh_apart, header)->slots);
}

/**
 * mh_pool_free() - free a pool's descriptor and those of its holders
 * @pool: a pool that nobody can find any more
 */
void mh_pool_free(struct mh_pool *pool)
{
	mh_watches_free(pool);
	mh_final_free(pool);
	mh_linger_free(pool);
	mh_sites_free(pool);
	kmem_cache_free(mh_caches[pool->bin->geo.class], pool);
}

/**
 * mh_pool_attach() - give a pool an array with an entry for each block, all zero
 * @heap: the heap; neither the gate nor a lock may be held
 * @pool_id: which pool
 * @nblocks: its blocks, when it was last seen
 * @bytes: of an entry
 * @member: offset of the member of struct mh_pool that points to the array; read it with
 *	smp_load_acquire()
 *
 * Nothing happens where the pool has one already, or has gone meanwhile.
 *
 * Return: 0, -ENOSPC at the heap's limit, -ENOMEM.
 */
int mh_pool_attach(struct mh_heap *heap, u32 pool_id, u32 nblocks, size_t bytes, size_t member)
{
	int err = mh_charge(heap, &heap->kernel_bytes, nblocks * bytes);
	struct mh_pool *pool;
	void *array;

	if (err)
		return err;
	array = kvcalloc(nblocks, bytes, MH_GFP);
	if (array) {
		down_read(&heap->gate);
		pool = xa_load(&heap->pools, pool_id);
		/* Full order: zeroes for whoever sees them. */
		if (pool && pool->nblocks == nblocks &&
		    !cmpxchg((void **)((void *)pool + member), NULL, array)) {
			up_read(&heap->gate);
			return 0;
		}
		up_read(&heap->gate);
		kvfree(array);
	} else {
		err = -ENOMEM;
	}
	mh_uncharge(heap, &heap->kernel_bytes, nblocks * bytes);
	return err;
}

/**
 * mh_pool_detach() - free an array of a pool that is going away
 * @pool: the pool
 * @array: from mh_pool_attach(), or NULL
 * @bytes: of an entry
 */
void mh_pool_detach(struct mh_pool *pool, void *array, size_t bytes)
{
	if (!array)
		return;
	mh_uncharge(pool->heap, &pool->heap->kernel_bytes, pool->nblocks * bytes);
	kvfree(array);
}

/* The last generation of any block: where the next pool in these pages goes on. */
static u32 mh_pool_base(struct mh_pool *pool)
{
	u32 base = 0;
	u32 i;

	for (i = 0; i < pool->nblocks; i++)
		base = max(base, mh_gen(atomic64_read(&mh_header(pool, i)->word)) &
				 ~MH_GEN_REUSED);
	return base;
}

/* Give back a pool that is out of the map and of all lists, and without memory in the arena. */
static void mh_pool_destroy(struct mh_heap *heap, struct mh_pool *pool)
{
	const struct mh_geometry *geo = &pool->bin->geo;

	trace_moheap_pool(heap, pool, false);
	mh_arena_release(heap, mh_pool_page(pool), geo->pages, mh_pool_base(pool));
	mh_uncharge(heap, &heap->kernel_bytes, mh_class_bytes(geo->class));
	mh_pool_free(pool);
}

/* Tell the collector that @bin has more empty pools than it should keep. */
static void mh_bin_queue_trim(struct mh_heap *heap, struct mh_bin *bin)
{
	if (!test_and_set_bit(0, &bin->trim_queued))
		llist_add(&bin->trim_node, &heap->trim);
}

/* Put a pool that is on no list where its free blocks say it belongs. */
static void mh_pool_settle(struct mh_pool *pool)
{
	struct mh_bin *bin = pool->bin;
	int nfree = atomic_read(&pool->nfree);

	lockdep_assert_held(&bin->lock);
	if (nfree == pool->nblocks) {
		pool->state = MH_POOL_EMPTY;
		list_add(&pool->list, &bin->empty);
		bin->nempty++;
		if (bin->nempty > MH_KEEP_EMPTY)
			mh_bin_queue_trim(pool->heap, bin);
	} else if (nfree > 0) {
		pool->state = MH_POOL_PARTIAL;
		list_add_tail(&pool->list, &bin->partial);
	} else {
		pool->state = MH_POOL_FULL;
	}
}

/**
 * mh_pool_adopt() - make a pool with free blocks active for the caller
 * @bin: the bin it is to be from
 *
 * Return: the pool, or NULL.
 */
struct mh_pool *mh_pool_adopt(struct mh_bin *bin)
{
	struct mh_pool *pool;

	spin_lock(&bin->lock);
	pool = list_first_entry_or_null(&bin->partial, struct mh_pool, list);
	if (!pool) {
		pool = list_first_entry_or_null(&bin->empty, struct mh_pool, list);
		if (pool)
			bin->nempty--;
	}
	if (pool) {
		list_del_init(&pool->list);
		pool->state = MH_POOL_ACTIVE;
		pool->cursor = 0;
	}
	spin_unlock(&bin->lock);
	return pool;
}

/**
 * mh_pool_retire() - the pool is active for the caller no longer
 * @pool: the pool, which the caller must not use afterwards
 */
void mh_pool_retire(struct mh_pool *pool)
{
	spin_lock(&pool->bin->lock);
	mh_pool_settle(pool);
	spin_unlock(&pool->bin->lock);
}

/* The first or the last block of a pool was freed. */
static void mh_pool_freed(struct mh_pool *pool)
{
	struct mh_bin *bin = pool->bin;

	spin_lock(&bin->lock);
	switch (pool->state) {
	case MH_POOL_PARTIAL:
		if (atomic_read(&pool->nfree) != pool->nblocks)
			break;
		list_del_init(&pool->list);
		fallthrough;
	case MH_POOL_FULL:
		mh_pool_settle(pool);
		break;
	default:
		break;
	}
	spin_unlock(&bin->lock);
}

/**
 * mh_blocks_release() - blocks are free from now on
 * @freed: the blocks, or none; none afterwards
 *
 * The caller holds the gate, and has since they got there (mh_block_release()).
 */
void mh_blocks_release(struct mh_freed *freed)
{
	struct mh_pool *pool = freed->pool;
	int n, nfree;

	if (!pool)
		return;
	/* The empty slots and the words come before the bits, for mh_pool_take(). */
	smp_mb__before_atomic();
	atomic_long_or(freed->mask, (atomic_long_t *)&mh_map(pool, MH_FREE)[freed->word]);
	n = hweight_long(freed->mask);
	nfree = atomic_add_return(n, &pool->nfree);
	/* Some may have been taken before they were counted: then it was below 0. */
	if ((nfree > 0 && nfree <= n) || nfree == pool->nblocks)
		mh_pool_freed(pool);
	freed->pool = NULL;
}

/**
 * mh_pool_take() - take free blocks that share a word of the bitmap
 * @pool: a pool active for the client whose lock the caller holds
 * @want: at most so many, not 0
 * @word: out: which word
 * @mask: out: which blocks of it
 *
 * Return: how many, 0 if the pool has none.
 */
u32 mh_pool_take(struct mh_pool *pool, u32 want, u32 *word, unsigned long *mask)
{
	unsigned long *map = mh_map(pool, MH_FREE);
	unsigned long free, take;
	u32 i, n;

	for (i = 0; i < pool->words; i++) {
		free = READ_ONCE(map[pool->cursor]);
		if (free)
			break;
		if (++pool->cursor == pool->words)
			pool->cursor = 0;
	}
	if (i == pool->words)
		return 0;
	for (take = 0, n = 0; free && n < want; n++) {
		take |= free & -free;
		free &= free - 1;
	}
	/* Full order: what was written before these bits were set is seen after this. */
	atomic_long_fetch_andnot(take, (atomic_long_t *)&map[pool->cursor]);
	atomic_sub(n, &pool->nfree);
	*word = pool->cursor;
	*mask = take;
	return n;
}

/* Take up to MH_TRIM_STEP empty pools of @bin out of everything that leads to them. */
static void mh_trim_detach(struct mh_heap *heap, struct mh_bin *bin, u32 keep,
			   struct list_head *out)
{
	struct mh_pool *pool, *next;
	u32 n = 0;

	lockdep_assert_held(&heap->lock);
	lockdep_assert_held_write(&heap->gate);
	spin_lock(&bin->lock);
	list_for_each_entry_safe(pool, next, &bin->empty, list) {
		if (bin->nempty <= keep || n == MH_TRIM_STEP)
			break;
		if (pool->queued)
			continue;
		list_move(&pool->list, out);
		bin->nempty--;
		n++;
	}
	spin_unlock(&bin->lock);
	list_for_each_entry(pool, out, list) {
		mh_arena_map(heap, mh_pool_page(pool), bin->geo.pages, NULL);
		xa_erase(&heap->pools, pool->id);
		heap->npools--;
		mh_holds_forget(pool);
	}
}

static int mh_pool_order(void *unused, const struct list_head *a, const struct list_head *b)
{
	return list_entry(a, struct mh_pool, list)->first >
	       list_entry(b, struct mh_pool, list)->first;
}

/*
 * Give back the memory of pools that nobody can find any more. Neighbours go together: each hole
 * costs a visit to every process that has the arena mapped, on whichever processor it runs.
 */
static void mh_trim_punch(struct mh_heap *heap, const struct mh_bin *bin, struct list_head *out)
{
	struct mh_pool *pool;
	u32 page = 0, pages = 0;

	if (!bin->geo.backed)
		return;
	list_sort(NULL, out, mh_pool_order);
	list_for_each_entry(pool, out, list) {
		if (pages && mh_pool_page(pool) != page + pages) {
			mh_arena_punch(heap, page, pages);
			pages = 0;
		}
		if (!pages)
			page = mh_pool_page(pool);
		pages += bin->geo.pages;
	}
	mh_arena_punch(heap, page, pages);
}

static bool mh_trim_bin(struct mh_heap *heap, struct mh_bin *bin, u32 keep)
{
	struct mh_pool *pool, *next;
	LIST_HEAD(out);
	u64 since;

	mutex_lock(&heap->lock);
	mh_gate_exclusive(heap, &since);
	mh_trim_detach(heap, bin, keep, &out);
	mh_gate_release(heap, since);
	mutex_unlock(&heap->lock);
	if (list_empty(&out))
		return false;
	mh_trim_punch(heap, bin, &out);
	list_for_each_entry_safe(pool, next, &out, list)
		mh_pool_destroy(heap, pool);
	return true;
}

/**
 * mh_trim_step() - give back some empty pools of one bin that has more than it should keep
 * @heap: the heap; caller holds heap->collect_lock and not the gate
 *
 * Return: true if there may be more to do.
 */
bool mh_trim_step(struct mh_heap *heap)
{
	struct llist_node *node;
	struct mh_bin *bin;

	lockdep_assert_held(&heap->collect_lock);
	node = llist_del_first(&heap->trim);
	if (!node)
		return false;
	bin = llist_entry(node, struct mh_bin, trim_node);
	clear_bit(0, &bin->trim_queued);
	/* Pools that become empty from here on queue the bin again. */
	smp_mb__after_atomic();
	if (mh_trim_bin(heap, bin, MH_KEEP_EMPTY))
		mh_bin_queue_trim(heap, bin);
	return true;
}

/**
 * mh_trim_all() - give back every empty pool: the heap is at its limit
 * @heap: the heap; caller holds none of its locks
 */
void mh_trim_all(struct mh_heap *heap)
{
	struct mh_type *type;
	struct mh_bin *bin;
	unsigned long id;

	xa_for_each(&heap->types, id, type) {
		/* Bins are only ever added, at the end. */
		list_for_each_entry_rcu(bin, &type->bins, list, true) {
			while (mh_trim_bin(heap, bin, 0))
				cond_resched();
		}
	}
}
