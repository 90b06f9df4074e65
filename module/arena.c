// SPDX-License-Identifier: GPL-2.0
/*
 * The arena: the payload address range of a heap, and the map from its pages to pools.
 *
 * Payload lives in one shmem file that every client maps whole. The module never touches it:
 * it only reserves pages before blocks in them are handed out (so that running out of memory is
 * an error of an allocation, never a SIGBUS at an access) and punches them out when their pool
 * goes, or has no use for them (pool.c). heap->arena_bytes counts pages that are reserved: the
 * charge comes before the memory, and goes after it. Swap, huge pages and cgroup charging are
 * shmem's.
 *
 * A pool covers whole pages. arena->dir leads from a page to its pool in two loads; leaves are
 * installed once, under heap->lock, and stay as long as the heap. arena->used says which pages
 * are given out. Page 0 never is: granule 0 in a slot means no object.
 *
 * Refs stay unique when a pool goes and another takes its pages: mh_leaf.base remembers the
 * last generation used in the page, and the next pool goes on from there. Pages whose
 * generations ran out are not used again.
 *
 * Locks: heap->lock for arena->used, arena->hint and all writes to the map. Readers of the map
 * hold heap->gate or heap->lock: pools leave it only under both (mh_trim_step()).
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>

#include "internal.h"

#define MH_ARENA_MIN	(16ULL << 20)
#define MH_ARENA_MAX	(1ULL << (32 + MOHEAP_GRANULE_SHIFT))

static u32 mh_arena_leaves(const struct mh_arena *arena)
{
	return DIV_ROUND_UP(arena->npages, MH_LEAF_PAGES);
}

static u64 mh_arena_overhead(const struct mh_arena *arena)
{
	return BITS_TO_LONGS(arena->npages) * sizeof(long) +
	       mh_arena_leaves(arena) * sizeof(*arena->dir);
}

/*
 * Without __GFP_RETRY_MAYFAIL a cgroup at its limit would see a task killed where an
 * allocation can simply fail.
 */
static struct file *mh_arena_file(u64 size)
{
	struct file *file = shmem_file_setup("moheap", size, VM_NORESERVE);
	struct address_space *mapping;

	/* It says -ENOSPC where it got no memory for an inode. */
	if (IS_ERR(file))
		return ERR_PTR(-ENOMEM);
	mapping = file->f_mapping;
	mapping_set_gfp_mask(mapping, mapping_gfp_mask(mapping) | __GFP_RETRY_MAYFAIL |
			     __GFP_NOWARN);
	/* Nobody sees when it changed, so page faults need not note it, which they do in a race. */
	file_inode(file)->i_flags |= S_NOCMTIME;
	return file;
}

/**
 * mh_arena_init() - set up the address range of a new heap
 * @heap: the heap, visible to nobody yet
 * @limit: bytes of memory it may use; the range is larger, for payload that has no memory
 *	and for pages that are retired
 *
 * Return: 0 or -ENOMEM.
 */
int mh_arena_init(struct mh_heap *heap, u64 limit)
{
	struct mh_arena *arena = &heap->arena;
	u64 size = limit > MH_ARENA_MAX / 2 ? MH_ARENA_MAX : limit * 2;
	int err = -ENOMEM;

	size = ALIGN(max_t(u64, size, MH_ARENA_MIN), MH_LEAF_PAGES * PAGE_SIZE);
	arena->size = size;
	arena->npages = size >> PAGE_SHIFT;
	arena->hint = 1;
	arena->used = kvcalloc(BITS_TO_LONGS(arena->npages), sizeof(long), MH_GFP);
	if (!arena->used)
		return err;
	arena->dir = kvcalloc(mh_arena_leaves(arena), sizeof(*arena->dir), MH_GFP);
	if (!arena->dir)
		goto free_used;
	arena->file = mh_arena_file(size);
	if (IS_ERR(arena->file)) {
		err = PTR_ERR(arena->file);
		goto free_dir;
	}
	__set_bit(0, arena->used);
	atomic64_add(mh_arena_overhead(arena), &heap->kernel_bytes);
	return 0;

free_dir:
	kvfree(arena->dir);
free_used:
	kvfree(arena->used);
	return err;
}

/**
 * mh_arena_destroy() - give up the address range of a heap that nobody can reach any more
 * @heap: the heap; its pools are gone
 *
 * The memory itself goes with the last mapping of the file.
 */
void mh_arena_destroy(struct mh_heap *heap)
{
	struct mh_arena *arena = &heap->arena;
	u32 i;

	fput(arena->file);
	for (i = 0; i < mh_arena_leaves(arena); i++)
		kfree(arena->dir[i]);
	kvfree(arena->dir);
	kvfree(arena->used);
}

static int mh_arena_install_leaves(struct mh_heap *heap, u32 page, u32 pages)
{
	struct mh_arena *arena = &heap->arena;
	struct mh_leaf *leaf;
	u32 i;

	for (i = page / MH_LEAF_PAGES; i <= (page + pages - 1) / MH_LEAF_PAGES; i++) {
		if (arena->dir[i])
			continue;
		if (mh_charge(heap, &heap->kernel_bytes, sizeof(*leaf)))
			return -ENOSPC;
		leaf = kzalloc(sizeof(*leaf), MH_GFP);
		if (!leaf) {
			mh_uncharge(heap, &heap->kernel_bytes, sizeof(*leaf));
			return -ENOMEM;
		}
		/* Zeroed before mh_pool_find() can see it. */
		smp_store_release(&arena->dir[i], leaf);
	}
	return 0;
}

static int mh_arena_find_room(struct mh_heap *heap, u32 pages, u32 *page)
{
	struct mh_arena *arena = &heap->arena;
	unsigned long at;

	at = bitmap_find_next_zero_area(arena->used, arena->npages, arena->hint, pages, 0);
	if (at >= arena->npages)
		at = bitmap_find_next_zero_area(arena->used, arena->npages, 1, pages, 0);
	if (at >= arena->npages)
		return -ENOSPC;
	bitmap_set(arena->used, at, pages);
	arena->hint = at + pages;
	*page = at;
	return 0;
}

/**
 * mh_arena_back() - see to it that pages have memory
 * @heap: the heap; neither its gate nor its lock may be held
 * @page: the first page, reserved, and without memory
 * @pages: how many
 *
 * Return: 0, -ENOSPC at the heap's limit, -ENOMEM, or -EINTR when a signal came: then all are
 * without memory still.
 */
int mh_arena_back(struct mh_heap *heap, u32 page, u32 pages)
{
	u64 bytes = (u64)pages << PAGE_SHIFT;
	int err = mh_charge(heap, &heap->arena_bytes, bytes);

	if (err)
		return err;
	err = vfs_fallocate(heap->arena.file, 0, (loff_t)page << PAGE_SHIFT, bytes);
	if (!err)
		return 0;
	mh_uncharge(heap, &heap->arena_bytes, bytes);
	return err == -EINTR ? err : -ENOMEM;
}

/**
 * mh_arena_reserve() - find pages for a pool, and see to it that they are there
 * @heap: the heap; neither its gate nor its lock may be held
 * @pages: how many
 * @backed: reserve memory, too
 * @page: out: the first page
 *
 * Return: 0, -ENOSPC at the heap's limit, -ENOMEM, or -EINTR when a signal came.
 */
int mh_arena_reserve(struct mh_heap *heap, u32 pages, bool backed, u32 *page)
{
	int err;

	mutex_lock(&heap->lock);
	err = mh_arena_find_room(heap, pages, page);
	if (!err) {
		err = mh_arena_install_leaves(heap, *page, pages);
		if (err)
			bitmap_clear(heap->arena.used, *page, pages);
	}
	mutex_unlock(&heap->lock);
	if (err || !backed)
		return err;

	err = mh_arena_back(heap, *page, pages);
	if (err)
		mh_arena_release(heap, *page, pages, mh_arena_base(heap, *page, pages));
	return err;
}

/**
 * mh_arena_punch() - give the memory of pages back
 * @heap: the heap; neither its gate nor its lock may be held
 * @page: the first page, reserved; nobody has a block there
 * @pages: how many, of one pool or several
 * @backed: how many of these have memory
 */
void mh_arena_punch(struct mh_heap *heap, u32 page, u32 pages, u32 backed)
{
	u64 bytes = (u64)pages << PAGE_SHIFT;

	vfs_fallocate(heap->arena.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (loff_t)page << PAGE_SHIFT, bytes);
	mh_uncharge(heap, &heap->arena_bytes, (u64)backed << PAGE_SHIFT);
}

/**
 * mh_arena_release() - take the pages of a pool back
 * @heap: the heap; neither its gate nor its lock may be held
 * @page: the first page, in the map no more, and without memory
 * @pages: how many
 * @base: last generation that was used there
 */
void mh_arena_release(struct mh_heap *heap, u32 page, u32 pages, u32 base)
{
	struct mh_arena *arena = &heap->arena;
	u32 i;

	mutex_lock(&heap->lock);
	for (i = page; i < page + pages; i++)
		arena->dir[i / MH_LEAF_PAGES]->base[i % MH_LEAF_PAGES] = base;
	if (base <= MH_GEN_LAST)
		bitmap_clear(arena->used, page, pages);
	mutex_unlock(&heap->lock);
}

/**
 * mh_arena_base() - the generation that the blocks of a new pool start from
 * @heap: the heap
 * @page: first page of the pool; reserved, so nobody else looks
 * @pages: how many
 *
 * Return: an even generation no less than any used in these pages.
 */
u32 mh_arena_base(struct mh_heap *heap, u32 page, u32 pages)
{
	u32 base = 0;
	u32 i;

	for (i = page; i < page + pages; i++)
		base = max(base, heap->arena.dir[i / MH_LEAF_PAGES]->base[i % MH_LEAF_PAGES]);
	return base;
}

/**
 * mh_arena_map() - from now on these pages lead to this pool
 * @heap: the heap; caller holds heap->lock, and the exclusive gate to take a pool out
 * @page: first page
 * @pages: how many
 * @pool: the pool, complete; or NULL
 */
void mh_arena_map(struct mh_heap *heap, u32 page, u32 pages, struct mh_pool *pool)
{
	struct mh_arena *arena = &heap->arena;
	struct mh_pool **at;
	u32 i;

	lockdep_assert_held(&heap->lock);
	if (!pool)
		lockdep_assert_held_write(&heap->gate);
	for (i = page; i < page + pages; i++) {
		at = &arena->dir[i / MH_LEAF_PAGES]->pool[i % MH_LEAF_PAGES];
		/* The pool is complete before mh_pool_find() can see it. */
		smp_store_release(at, pool);
	}
}
