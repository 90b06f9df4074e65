// SPDX-License-Identifier: GPL-2.0
/*
 * Pools: spans of equal blocks, with the headers of their objects.
 *
 * A pool is one allocation from a size-classed slab cache: struct mh_pool, eight bitmaps, and
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
 *	ACTIVE --mh_pool_retire()--> any other, by its blocks
 *	FULL, HOLLOW --first block freed--> PARTIAL or SPARSE
 *	PARTIAL --few are left in use--> SPARSE
 *	SPARSE --mh_punch_bin()--> ACTIVE, and retired again
 *	PARTIAL, SPARSE --last block freed--> EMPTY
 *	PARTIAL, SPARSE, EMPTY, HOLLOW --mh_pool_adopt()--> ACTIVE
 *	EMPTY --mh_trim_step()--> gone
 *
 * The transitions for freed blocks are made by whoever moves pool->nfree to pool->trip, or above;
 * where there is none to be made that is out of reach. mh_pool_settle() sets it to 0 before it
 * reads nfree, so none is lost: a free that was counted before is seen there, one that is counted
 * later finds 0 there, or what follows from the nfree that was read.
 *
 * A pool leaves only from the list of empty ones, under heap->lock and the exclusive gate, and
 * not while it is queued for the collector. Whoever holds the gate shared, or heap->lock, or has
 * the pool active, can rely on it.
 *
 * Sparse pools
 * ------------
 * A few survivors keep a pool, and need not keep all its memory. The collector thread takes a
 * sparse pool as a client would (ACTIVE: nobody else takes blocks there), and looks for pages
 * with free blocks only. These blocks are parked: out of MH_FREE and pool->nfree, so that
 * mh_pool_take() does not find them; pool->holes has the pages, which are punched out of the
 * arena after that. The way back is mh_pool_refill(): the pages are reserved first, then their
 * blocks get their bits again. So no block is handed out that lacks memory, and where there is
 * none that is an error of mh_client_grow(), after which the blocks are parked as before.
 * What comes back reads as zero, but for what somebody wrote who had no business there; that is
 * why the library clears blocks that had an owner, and it does so here as elsewhere.
 *
 * A block is parked if, and only if, one of its pages is a hole: there is no list of them. Bits,
 * counts and pool->holes change under one hold of the gate, so that whoever keeps everybody out
 * finds them in agreement.
 *
 * To punch and to reserve a page costs about as much as to use all its blocks once or twice. So
 * that a pool that is in use does not do it all the time, it is sparse only when a quarter of its
 * blocks is left, then again when half of those are: each page is given back once, and is
 * looked at a few times, until the pool has been refilled. Sparse pools are adopted last of those
 * with free blocks, and a bin keeps MH_KEEP_SPARSE with all their memory. So those lose theirs
 * that the bin could have done without while others filled up.
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

/* Sparse pools that keep all their memory, for the same. */
#define MH_KEEP_SPARSE	1

/* Pools given back in one hold of the exclusive gate: each costs a look at all its holders. */
#define MH_TRIM_STEP	8

/* For pool->trip: more free blocks than any pool has. */
#define MH_NO_TRIP	(MH_POOL_BLOCKS + 1)

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

/*
 * Blocks in use at which a pool that has all its memory is sparse. That of a guarded heap never is:
 * its free blocks are filled, to show who writes there, and a block may end in another page than
 * it begins, so that punching one would look like such writing.
 */
static u32 mh_pool_level(const struct mh_pool *pool)
{
	const struct mh_geometry *geo = &pool->bin->geo;

	BUILD_BUG_ON(BITS_PER_TYPE(pool->holes) < MH_POOL_PAGES);
	if (pool->heap->flags & MOHEAP_CREATE_GUARD)
		return 0;
	return geo->backed && geo->pages > 1 && geo->nblocks > 1 ? geo->nblocks / 4 : 0;
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
	pool->trip = MH_NO_TRIP;
	pool->level = mh_pool_level(pool);
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
		mh_arena_punch(heap, page, geo->pages, geo->pages);
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

/* Tell the collector that @bin has more empty or sparse pools than it should keep. */
static void mh_bin_queue_trim(struct mh_heap *heap, struct mh_bin *bin)
{
	if (!test_and_set_bit(0, &bin->trim_queued))
		llist_add(&bin->trim_node, &heap->trim);
}

static void mh_pool_enlist(struct mh_pool *pool, enum mh_pool_state state, int trip)
{
	struct mh_bin *bin = pool->bin;

	lockdep_assert_held(&bin->lock);
	pool->state = state;
	WRITE_ONCE(pool->trip, trip);
	switch (state) {
	case MH_POOL_PARTIAL:
		list_add_tail(&pool->list, &bin->partial);
		break;
	case MH_POOL_SPARSE:
		list_add_tail(&pool->list, &bin->sparse);
		if (++bin->nsparse > MH_KEEP_SPARSE)
			mh_bin_queue_trim(pool->heap, bin);
		break;
	case MH_POOL_HOLLOW:
		list_add(&pool->list, &bin->hollow);
		break;
	case MH_POOL_EMPTY:
		list_add(&pool->list, &bin->empty);
		if (++bin->nempty > MH_KEEP_EMPTY)
			mh_bin_queue_trim(pool->heap, bin);
		break;
	default:
		break;
	}
}

static void mh_pool_delist(struct mh_pool *pool)
{
	struct mh_bin *bin = pool->bin;

	lockdep_assert_held(&bin->lock);
	bin->nempty -= pool->state == MH_POOL_EMPTY;
	bin->nsparse -= pool->state == MH_POOL_SPARSE;
	list_del_init(&pool->list);
}

/* Put a pool that is on no list where its blocks say it belongs. */
static void mh_pool_settle(struct mh_pool *pool)
{
	int most = pool->nblocks - pool->nparked;
	int nfree, used;

	lockdep_assert_held(&pool->bin->lock);
	WRITE_ONCE(pool->trip, 0);
	/* Pairs with the full order of atomic_add_return() in mh_blocks_release(). */
	smp_mb();
	nfree = atomic_read(&pool->nfree);
	used = most - nfree;
	pool->level = max_t(int, pool->level, min_t(int, mh_pool_level(pool), used / 2));
	if (nfree == most)
		mh_pool_enlist(pool, MH_POOL_EMPTY, MH_NO_TRIP);
	else if (nfree <= 0)
		mh_pool_enlist(pool, pool->nparked ? MH_POOL_HOLLOW : MH_POOL_FULL, 1);
	else if (used <= pool->level)
		mh_pool_enlist(pool, MH_POOL_SPARSE, most);
	else
		mh_pool_enlist(pool, MH_POOL_PARTIAL, most - pool->level);
}

/* Take a pool from the head of a list. */
static struct mh_pool *mh_pool_activate(struct list_head *list)
{
	struct mh_pool *pool = list_first_entry_or_null(list, struct mh_pool, list);

	if (!pool)
		return NULL;
	mh_pool_delist(pool);
	pool->state = MH_POOL_ACTIVE;
	pool->cursor = 0;
	WRITE_ONCE(pool->trip, MH_NO_TRIP);
	return pool;
}

/**
 * mh_pool_adopt() - make a pool with free blocks active for the caller
 * @bin: the bin it is to be from; neither the gate nor a lock of the heap may be held
 *
 * Return: the pool, NULL if there is none, or an error pointer, as from mh_pool_refill().
 */
struct mh_pool *mh_pool_adopt(struct mh_bin *bin)
{
	struct mh_pool *pool;
	int err;

	spin_lock(&bin->lock);
	pool = mh_pool_activate(&bin->partial);
	if (!pool)
		pool = mh_pool_activate(&bin->sparse);
	if (!pool)
		pool = mh_pool_activate(&bin->empty);
	if (pool) {
		spin_unlock(&bin->lock);
		return pool;
	}
	pool = mh_pool_activate(&bin->hollow);
	spin_unlock(&bin->lock);
	if (!pool)
		return NULL;
	err = mh_pool_refill(pool);
	if (!err)
		return pool;
	mh_pool_retire(pool);
	return ERR_PTR(err);
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

/* So many blocks of a pool are free that it may belong elsewhere. */
static void mh_pool_freed(struct mh_pool *pool)
{
	struct mh_bin *bin = pool->bin;

	spin_lock(&bin->lock);
	if (pool->state != MH_POOL_ACTIVE && atomic_read(&pool->nfree) >= pool->trip) {
		mh_pool_delist(pool);
		mh_pool_settle(pool);
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
	int nfree;

	if (!pool)
		return;
	/* The empty slots and the words come before the bits, for mh_pool_take(). */
	smp_mb__before_atomic();
	atomic_long_or(freed->mask, (atomic_long_t *)&mh_map(pool, MH_FREE)[freed->word]);
	/* Some may have been taken before they were counted: then it was below 0. */
	nfree = atomic_add_return(hweight_long(freed->mask), &pool->nfree);
	if (nfree >= READ_ONCE(pool->trip))
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

/* ---- Pages that do without memory ---- */

/* The blocks that have a part of a page of their pool: from @first to before @end. */
static void mh_page_blocks(const struct mh_pool *pool, u32 page, u32 *first, u32 *end)
{
	*first = page * MH_PAGE_GRANULES / pool->stride;
	*end = min(DIV_ROUND_UP((page + 1) * MH_PAGE_GRANULES, pool->stride), pool->nblocks);
}

/**
 * mh_pool_parked() - which blocks lack memory
 * @pool: the pool
 * @holes: pages without memory, as in pool->holes
 * @parked: out: the blocks, MH_POOL_BLOCKS bits
 *
 * Return: how many.
 */
u32 mh_pool_parked(struct mh_pool *pool, u16 holes, unsigned long *parked)
{
	unsigned long pages = holes;
	u32 page, first, end;

	bitmap_zero(parked, MH_POOL_BLOCKS);
	for_each_set_bit(page, &pages, MH_POOL_PAGES) {
		mh_page_blocks(pool, page, &first, &end);
		bitmap_set(parked, first, end - first);
	}
	return bitmap_weight(parked, pool->nblocks);
}

/**
 * mh_pool_arena_bytes() - the payload memory of a pool
 * @pool: the pool; caller holds the gate
 *
 * Return: bytes.
 */
u64 mh_pool_arena_bytes(struct mh_pool *pool)
{
	const struct mh_geometry *geo = &pool->bin->geo;

	if (!geo->backed)
		return 0;
	return (u64)(geo->pages - hweight16(READ_ONCE(pool->holes))) << PAGE_SHIFT;
}

/*
 * Pages have memory, or have none: their blocks are in MH_FREE, or are not. The pool is active
 * for the caller, and no block on pages that differ is in use. Return how many blocks that are.
 */
static u32 mh_pool_set_holes(struct mh_pool *pool, u16 holes)
{
	DECLARE_BITMAP(before, MH_POOL_BLOCKS);
	DECLARE_BITMAP(after, MH_POOL_BLOCKS);
	unsigned long *map = mh_map(pool, MH_FREE);
	u32 had = mh_pool_parked(pool, pool->holes, before);
	u32 has = mh_pool_parked(pool, holes, after);
	u32 i;

	lockdep_assert_held(&pool->heap->gate);
	/* Memory comes before the bits, for mh_pool_take(). */
	smp_mb__before_atomic();
	for (i = 0; i < pool->words; i++) {
		if (before[i] & ~after[i])
			atomic_long_or(before[i] & ~after[i], (atomic_long_t *)&map[i]);
		if (after[i] & ~before[i])
			atomic_long_andnot(after[i] & ~before[i], (atomic_long_t *)&map[i]);
	}
	WRITE_ONCE(pool->holes, holes);
	WRITE_ONCE(pool->nparked, has);
	atomic_add((int)(had - has), &pool->nfree);
	return abs((int)(had - has));
}

/* The pages with free and parked blocks only; none of a pool that is about to be empty. */
static u16 mh_pool_idle_pages(struct mh_pool *pool)
{
	const unsigned long *map = mh_map(pool, MH_FREE);
	DECLARE_BITMAP(idle, MH_POOL_BLOCKS);
	u32 page, first, end, i;
	u16 pages = 0;

	mh_pool_parked(pool, pool->holes, idle);
	for (i = 0; i < pool->words; i++)
		idle[i] |= READ_ONCE(map[i]);
	if (bitmap_full(idle, pool->nblocks))
		return pool->holes;
	for (page = 0; page < pool->bin->geo.pages; page++) {
		mh_page_blocks(pool, page, &first, &end);
		if (find_next_zero_bit(idle, end, first) == end)
			pages |= BIT(page);
	}
	return pages;
}

/* The next run of pages in a set, which it leaves. Return its length, 0 if the set is empty. */
static u32 mh_next_run(u16 *set, u32 *page)
{
	u32 n;

	if (!*set)
		return 0;
	*page = __ffs(*set);
	n = ffz(*set >> *page);
	*set &= ~GENMASK(*page + n - 1, *page);
	return n;
}

/* Give back the memory of a sparse pool that it can do without. It is active for the caller. */
static void mh_pool_punch(struct mh_pool *pool)
{
	u16 holes, punch;
	u32 page, n;

	down_read(&pool->heap->gate);
	holes = mh_pool_idle_pages(pool);
	punch = holes & ~pool->holes;
	if (punch)
		mh_pool_set_holes(pool, holes);
	up_read(&pool->heap->gate);
	while ((n = mh_next_run(&punch, &page)))
		mh_arena_punch(pool->heap, mh_pool_page(pool) + page, n, n);
}

/**
 * mh_pool_refill() - reserve the memory that a pool lacks
 * @pool: the pool, active for the caller, who holds neither the gate nor a lock of the heap
 *
 * Return: 0: there are free blocks; or -ENOSPC at the heap's limit, -ENOMEM, -EINTR when a signal
 * came: then there are as many as before.
 */
int mh_pool_refill(struct mh_pool *pool)
{
	u16 left = pool->holes, holes = pool->holes;
	u32 page, n, got;
	int err = 0;

	while (!err && (n = mh_next_run(&left, &page))) {
		err = mh_arena_back(pool->heap, mh_pool_page(pool) + page, n);
		if (!err)
			holes &= ~GENMASK(page + n - 1, page);
	}
	down_read(&pool->heap->gate);
	got = mh_pool_set_holes(pool, holes);
	up_read(&pool->heap->gate);
	spin_lock(&pool->bin->lock);
	pool->level = mh_pool_level(pool);
	spin_unlock(&pool->bin->lock);
	return got ? 0 : err;
}

/* Take a sparse pool of @bin that has more of them than it is to keep. */
static struct mh_pool *mh_sparse_pool(struct mh_bin *bin, u32 keep)
{
	struct mh_pool *pool = NULL;

	spin_lock(&bin->lock);
	if (bin->nsparse > keep)
		pool = mh_pool_activate(&bin->sparse);
	spin_unlock(&bin->lock);
	return pool;
}

/* Look at up to MH_TRIM_STEP sparse pools. Return true if there may be more of them. */
static bool mh_punch_bin(struct mh_bin *bin, u32 keep)
{
	struct mh_pool *pool;
	int i, used;

	for (i = 0; i < MH_TRIM_STEP; i++) {
		pool = mh_sparse_pool(bin, keep);
		if (!pool)
			return false;
		mh_pool_punch(pool);
		used = pool->nblocks - pool->nparked - atomic_read(&pool->nfree);
		spin_lock(&bin->lock);
		pool->level = max(used, 0) / 2;
		mh_pool_settle(pool);
		spin_unlock(&bin->lock);
	}
	return true;
}

/* ---- Pools that go ---- */

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
	u32 page = 0, pages = 0, backed = 0;

	if (!bin->geo.backed)
		return;
	list_sort(NULL, out, mh_pool_order);
	list_for_each_entry(pool, out, list) {
		if (pages && mh_pool_page(pool) != page + pages) {
			mh_arena_punch(heap, page, pages, backed);
			pages = 0;
			backed = 0;
		}
		if (!pages)
			page = mh_pool_page(pool);
		pages += bin->geo.pages;
		backed += bin->geo.pages - hweight16(pool->holes);
	}
	mh_arena_punch(heap, page, pages, backed);
}

static bool mh_trim_bin(struct mh_heap *heap, struct mh_bin *bin, u32 keep)
{
	struct mh_pool *pool, *next;
	LIST_HEAD(out);
	u64 since;

	/* Not worth the gate. One that comes now queues the bin. */
	if (READ_ONCE(bin->nempty) <= keep)
		return false;
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
 * mh_trim_step() - give back memory of one bin that has more empty or sparse pools than it should
 * @heap: the heap; caller holds heap->collect_lock and not the gate
 *
 * Return: true if there may be more to do.
 */
bool mh_trim_step(struct mh_heap *heap)
{
	struct llist_node *node;
	struct mh_bin *bin;
	bool more;

	lockdep_assert_held(&heap->collect_lock);
	node = llist_del_first(&heap->trim);
	if (!node)
		return false;
	bin = llist_entry(node, struct mh_bin, trim_node);
	clear_bit(0, &bin->trim_queued);
	/* Pools that become empty or sparse from here on queue the bin again. */
	smp_mb__after_atomic();
	more = mh_trim_bin(heap, bin, MH_KEEP_EMPTY);
	if (mh_punch_bin(bin, MH_KEEP_SPARSE) || more)
		mh_bin_queue_trim(heap, bin);
	return true;
}

/**
 * mh_trim_all() - give back every empty pool, and what sparse ones can do without: the heap is at
 * its limit
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
			while (mh_trim_bin(heap, bin, 0) || mh_punch_bin(bin, 0))
				cond_resched();
		}
	}
}
