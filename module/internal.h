/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The structures of moheap, and what its files offer each other.
 *
 * Dependencies point downwards only:
 *
 *	main, device	the character device
 *	batch		ordered operations
 *	collect, trace	the collector: local passes, the thread; the concurrent trace
 *	check		the invariants of a heap, recounted
 *	iterate		the objects of a heap, found
 *	garbage		what the collector found, and saved (which asks it, as object does)
 *	freeze		objects set aside from the collector (which asks it, as object does)
 *	linger		blocks of a guarded heap that are not free yet (pool tells it)
 *	event		what clients are told
 *	watch, final	... of deaths, and before them (object tells these)
 *	site		where objects were made (object tells this)
 *	client		holds
 *	object		the lifetime of one object
 *	pool		blocks and their headers
 *	type		layouts and bins
 *	arena		payload memory and the page map
 *	heap		the heap itself
 *
 * Lock order, outermost first; each lock is described at the top of the file named:
 *
 *	client->read_lock	event.c		one thread of a client reads events at a time
 *	taken->lock		linger.c	one thread of a client takes blocks at a time
 *	heap->collect_lock	collect.c	who drives the collector
 *	client->grow_lock	client.c	one thread of a client grows at a time
 *	heap->lock		heap.c		types, bins, span allocation, list of clients
 *	heap->gate		heap.c		shared: graph operations; exclusive: the collector
 *	client->lock		client.c	active pools of the client
 *	bin->lock		pool.c		pool states and lists of a bin
 *	heap->dead_lock		object.c	the list of dead objects left to the collector
 *	heap->event_lock	event.c		events of all clients
 *	heap->linger_lock	linger.c	blocks that linger
 *	heap->site_lock		site.c		sites of all objects, and what they add up to
 */
#ifndef MOHEAP_INTERNAL_H
#define MOHEAP_INTERNAL_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/lockdep.h>
#include <linux/moheap.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "compat.h"
#include "api.h"

#define MH_PAGE_GRANULES	(PAGE_SIZE / MOHEAP_GRANULE)

/*
 * Every allocation is charged to the caller's memory cgroup, and may fail: quietly, and rather
 * than have the OOM killer choose a victim.
 */
#define MH_GFP	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/* ---- object.c: headers ---- */

/*
 * The one word that decides over life and death. Bits 63..32: the generation, odd while the
 * object may be named. Bits 31..0: the count, or the next granule once the object is on a
 * list of the dead.
 */
struct mh_header {
	atomic64_t word;
};

#define MH_GEN_REUSED	0x80000000U	/* as MOHEAP_REF_REUSED */
#define MH_GEN_LAST	0x7ffffffdU	/* births from here on retire the block */

/*
 * In a count, while a local pass keeps everybody else out: visited. Counts are as high with pins
 * only, and nobody has one then.
 */
#define MH_TRIAL	0x80000000U

static inline u32 mh_gen(u64 word)
{
	return word >> 32;
}

static inline u32 mh_count(u64 word)
{
	return word;
}

static inline u64 mh_word(u32 gen, u32 low)
{
	return (u64)gen << 32 | low;
}

static inline bool mh_alive(u64 word)
{
	return mh_gen(word) & 1;
}

/* The generation that names the dead block after @gen. */
static inline u32 mh_gen_after(u32 gen)
{
	return (gen + 1) | MH_GEN_REUSED;
}

/* How the slots of a bin's objects follow their header. */
enum mh_slots_kind {
	MH_SLOTS_FIXED,		/* bin->nslots of them */
	MH_SLOTS_COUNTED,	/* a u32 that counts them, then they */
	MH_SLOTS_APART,		/* struct mh_apart */
};

/* Slots beyond MH_SLOTS_INLINE are an allocation of their own. */
#define MH_SLOTS_INLINE	64

struct mh_counted {
	struct mh_header header;
	u32 nslots;
	u32 slots[];
};

struct mh_apart {
	struct mh_header header;
	u32 nslots;
	u32 left;	/* dead or condemned: slots not cleared yet */
	u32 *slots;
};

/**
 * struct mh_dead - a private list of dead objects, linked through their words
 * @first: granule of the first, 0 for none
 * @last: of the last; means nothing where there is no first
 * @n: how many
 */
struct mh_dead {
	u32 first;
	u32 last;
	u32 n;
};

/* ---- pool.c ---- */

#define MH_POOL_BLOCKS	1024	/* most blocks of a pool */
#define MH_POOL_PAGES	16	/* most pages of one, unless one block alone has more */

enum mh_pool_state {
	MH_POOL_ACTIVE,		/* one client allocates from it; on no list */
	MH_POOL_FULL,		/* no free block; on no list */
	MH_POOL_PARTIAL,	/* on bin->partial */
	MH_POOL_SPARSE,		/* on bin->sparse: some of its pages may do without memory */
	MH_POOL_HOLLOW,		/* on bin->hollow: no free block, but for those without memory */
	MH_POOL_EMPTY,		/* on bin->empty */
};

/* Bitmaps of a pool; all are of pool->nblocks bits, updated atomically. */
enum mh_map {
	MH_FREE,	/* nobody has the block */
	MH_MARK,	/* reached by the trace under way, or born during it */
	MH_GREY,	/* marked, its slots not followed yet */
	MH_CAND,	/* its count fell, but not to zero */
	MH_LARGE,	/* reached too much for a local pass when one looked */
	MH_FROZEN,	/* no business of the collector's; see freeze.c */
	MH_REMEMBERED,	/* frozen, and may refer to an object that is not */
	MH_SAVED,	/* garbage that the heap holds; see garbage.c */
	MH_MAPS,
};

/* Bits of pool->queued */
#define MH_QUEUED_GREY	0
#define MH_QUEUED_CAND	1

/**
 * struct mh_pool - a span of equal blocks of one bin, with the headers of their objects
 * @bin: what its blocks are like
 * @heap: whose it is
 * @id: index in heap->pools
 * @first: granule of the first block
 * @stride: granules of a block
 * @magic: 2^32 / @stride, rounded up, to divide by it
 * @hstride: bytes of a header with its inline slots
 * @nblocks: blocks
 * @words: words of a bitmap
 * @state: enum mh_pool_state, under bin->lock
 * @nfree: bits set in MH_FREE; may lag behind by those being freed right now
 * @nretired: blocks whose generations ran out
 * @cursor: word of MH_FREE to look at first; under client->lock of the client it is active for
 * @trip: whoever moves @nfree there or above looks after the lists; under bin->lock
 * @nparked: blocks that nobody has, but that are not in MH_FREE as they lack memory
 * @holes: pages without memory; changes, with @nparked, under the gate by who has it active
 * @level: blocks in use at which it is sparse, 0 for never; under bin->lock
 * @queued: MH_QUEUED_*
 * @list: in a list of the bin, by @state
 * @holders: struct mh_holds of the clients that hold objects here; under bin->lock, RCU
 * @grey_node: in heap->grey
 * @cand_node: in heap->cand
 * @watches: of each object, once there was a watch here; see watch.c
 * @final: of each object, where its type is finalizable; see final.c
 * @linger: where its blocks linger; see linger.c
 * @sites: of each object, once there was a site here; see site.c
 * @check: counts found by mh_heap_check(), while that runs
 * @headers: the headers
 * @map: the bitmaps, BITS_TO_LONGS(nblocks) each
 */
struct mh_pool {
	struct mh_bin *bin;
	struct mh_heap *heap;
	u32 id;
	u32 first;
	u32 stride;
	u64 magic;
	u32 hstride;
	u32 nblocks;
	u32 words;
	u32 state;
	atomic_t nfree;
	atomic_t nretired;
	u32 cursor;
	int trip;
	u16 nparked;
	u16 holes;
	u16 level;
	unsigned long queued;
	struct list_head list;
	struct hlist_head holders;
	struct llist_node grey_node;
	struct llist_node cand_node;
	struct mh_watches *watches;
	struct mh_final *final;
	struct mh_linger *linger;
	struct mh_site *sites;
	u32 *check;
	void *headers;
	unsigned long map[];
};

static inline unsigned long *mh_map(struct mh_pool *pool, enum mh_map map)
{
	return pool->map + map * pool->words;
}

/*
 * The first bit of a bitmap that others change meanwhile, from a word on. Return nblocks if none
 * is set.
 */
static inline u32 mh_first_bit(struct mh_pool *pool, enum mh_map map, u32 from)
{
	const unsigned long *words = mh_map(pool, map);
	unsigned long word;
	u32 i;

	for (i = from; i < pool->words; i++) {
		word = READ_ONCE(words[i]);
		if (word)
			return i * BITS_PER_LONG + __ffs(word);
	}
	return pool->nblocks;
}

/* An object found: where its header is. */
struct mh_obj {
	struct mh_pool *pool;
	struct mh_header *header;
	u32 idx;
};

/**
 * struct mh_freed - blocks that are about to be free
 * @pool: their pool; NULL if there are none
 * @word: the word of its bitmaps that they are in
 * @mask: which of that
 *
 * Whoever frees several does so with one, under one hold of the gate: neighbours go together.
 */
struct mh_freed {
	struct mh_pool *pool;
	u32 word;
	unsigned long mask;
};

static inline struct mh_header *mh_header(struct mh_pool *pool, u32 idx)
{
	return pool->headers + idx * pool->hstride;
}

static inline u32 mh_granule(const struct mh_obj *o)
{
	return o->pool->first + o->idx * o->pool->stride;
}

static inline bool mh_test(const struct mh_obj *o, enum mh_map map)
{
	return test_bit(o->idx, mh_map(o->pool, map));
}

/* ---- type.c ---- */

/**
 * struct mh_geometry - the shape of a bin's pools
 * @kind: how slots are kept
 * @nslots: inline slots there is room for
 * @stride: granules of a block
 * @hstride: bytes of a header
 * @backed: payload has memory (not so where there is no payload)
 * @nblocks: blocks of a pool
 * @pages: arena pages of a pool
 * @class: index of the slab cache its pool descriptor comes from
 */
struct mh_geometry {
	enum mh_slots_kind kind;
	u32 nslots;
	u32 stride;
	u32 hstride;
	bool backed;
	u32 nblocks;
	u32 pages;
	int class;
};

/**
 * struct mh_bin - the pools of one type and geometry
 * @type: whose objects they hold
 * @id: index in client->active
 * @geo: their shape
 * @list: in type->bins; set at birth, never removed before the heap
 * @lock: protects the members below, pool->state, pool->list and pool->holders
 * @partial: pools with a free block, active for nobody
 * @sparse: likewise, but with few blocks in use
 * @nsparse: how many those are
 * @hollow: pools without a free block that lack memory for some, active for nobody
 * @empty: pools with no block in use, active for nobody
 * @nempty: how many those are
 * @trim_node: in heap->trim, when there are more empty or sparse pools than worth keeping
 * @trim_queued: bit 0: it is there
 */
struct mh_bin {
	struct mh_type *type;
	u32 id;
	struct mh_geometry geo;
	struct list_head list;
	/* protects what follows */
	spinlock_t lock;
	struct list_head partial;
	struct list_head sparse;
	struct list_head hollow;
	struct list_head empty;
	u32 nsparse;
	u32 nempty;
	struct llist_node trim_node;
	unsigned long trim_queued;
};

/**
 * struct mh_type - a named layout; lives as long as the heap
 * @id: index in heap->types
 * @flags: MOHEAP_TYPE_*
 * @slots: slots of an object, or the least
 * @payload: payload bytes of an object, or the least
 * @nfields: entries in @fields
 * @name: terminated
 * @node: in heap->names
 * @bins: its bins; heap->lock to add, RCU to walk
 * @fixed: the only bin where nothing varies, else NULL
 * @fields: as registered
 */
struct mh_type {
	u32 id;
	u32 flags;
	u32 slots;
	u32 nfields;
	u64 payload;
	char name[MOHEAP_NAME_LEN];
	struct hlist_node node;
	struct list_head bins;
	struct mh_bin *fixed;
	struct moheap_field fields[];
};

int mh_type_register(struct mh_heap *heap, const struct moheap_type *desc,
		     const struct moheap_field *fields);
struct mh_type *mh_type_find(struct mh_heap *heap, u32 id);
struct mh_bin *mh_type_bin(struct mh_heap *heap, struct mh_type *type, u64 payload, u32 slots);
void mh_types_destroy(struct mh_heap *heap);

/* ---- arena.c ---- */

#define MH_LEAF_PAGES	256

/**
 * struct mh_leaf - what is known of MH_LEAF_PAGES pages of the arena
 * @pool: the pool that covers the page, or NULL
 * @base: the generation that blocks of the next pool there start from
 */
struct mh_leaf {
	struct mh_pool *pool[MH_LEAF_PAGES];
	u32 base[MH_LEAF_PAGES];
};

/**
 * struct mh_arena - the payload address range of a heap
 * @file: shmem file of its memory
 * @size: bytes of address space
 * @npages: pages of address space
 * @hint: page to look for room from; under heap->lock
 * @used: bitmap of pages given to pools or retired; under heap->lock
 * @dir: the leaves, each installed once and kept; heap->lock to install
 */
struct mh_arena {
	struct file *file;
	u64 size;
	u32 npages;
	u32 hint;
	unsigned long *used;
	struct mh_leaf **dir;
};

int mh_arena_init(struct mh_heap *heap, u64 limit);
void mh_arena_destroy(struct mh_heap *heap);
int mh_arena_reserve(struct mh_heap *heap, u32 pages, bool backed, u32 *page);
int mh_arena_back(struct mh_heap *heap, u32 page, u32 pages);
void mh_arena_punch(struct mh_heap *heap, u32 page, u32 pages, u32 backed);
void mh_arena_release(struct mh_heap *heap, u32 page, u32 pages, u32 base);
u32 mh_arena_base(struct mh_heap *heap, u32 page, u32 pages);
void mh_arena_map(struct mh_heap *heap, u32 page, u32 pages, struct mh_pool *pool);

/* ---- heap.c ---- */

/* Counters that every operation updates: one copy a processor, added up when asked for. */
struct mh_counters {
	u64 allocated;
	u64 freed_count;
	u64 freed_local;
	u64 freed_trace;
};

enum mh_phase {
	MH_IDLE,	/* no trace */
	MH_CLEAR,	/* old marks are being wiped */
	MH_MARKING,	/* roots and grey objects are being followed */
	MH_FINALIZING,	/* unmarked means unreachable; what is due is being marked, and followed */
	MH_SWEEPING,	/* unmarked means condemned */
};

/**
 * struct mh_heap - a set of objects, their types and their memory limit
 * @id: for people and logs
 * @flags: MOHEAP_CREATE_*
 * @limit: most bytes of @kernel_bytes and @arena_bytes together
 * @owner: the user it counts against
 * @lock: see heap.c
 * @gate: see heap.c
 * @nclients: clients; the last to go takes the heap along
 * @ntypes: types in @types
 * @nbins: bins; the next bin's id
 * @npools: pools in @pools
 * @types: by id
 * @names: types by name, under @lock
 * @pools: by id; stored under @lock, erased under @lock and the exclusive gate
 * @arena: payload memory
 * @kernel_bytes: slab and vmalloc memory
 * @arena_bytes: payload memory
 * @counters: see struct mh_counters
 * @dead_lock: protects @dead
 * @dead: dead objects left to the collector
 * @ndead: how many there are, on the list or in the collector's hands
 * @grey: pools with grey objects
 * @cand: pools with candidates
 * @ncand: candidates
 * @escaped: candidates that wait for a trace
 * @trim: bins with empty or sparse pools whose memory is to be given back
 * @phase: of the trace; changed under the exclusive gate
 * @nfrozen: objects that are frozen
 * @nsaved: objects that are saved as garbage
 * @unfreezing: calls that unfreeze; changed under the exclusive gate
 * @collect_lock: see collect.c
 * @collect: state of the collector, under @collect_lock
 * @start: makes the collector thread
 * @thread: the collector thread, or NULL; set once, by @start
 * @creator: the task that created the heap; the thread runs in its cgroups
 * @wait: where it sleeps
 * @napping: candidates wait for more of them there: not worth a wake-up until work is urgent
 * @tune: what drives it
 * @without: barriers that a test took out; set while no trace is under way
 * @event_lock: see event.c
 * @listeners: clients that are told of collections; under @event_lock
 * @finalizers: clients that objects may be handed to, by their ids; erased under @event_lock
 * @keeper: the client without a file that holds what is due; made with the first type that is
 *	finalizable
 * @immortals: the client without a file that holds what is immortal; made with the first
 * @due: what is due, and queued for a client, oldest first; under @event_lock
 * @ndue: how many
 * @finalized: objects handed to a client; under @event_lock
 * @unfinalized: objects skipped; under @event_lock
 * @final_work: skips what nobody reads
 * @last_client: the id of the client made last
 * @linger_lock: see linger.c
 * @lingering: struct mh_linger of pools where blocks linger, by the first that did
 * @nlinger: blocks that linger, and that nobody took
 * @takers: struct mh_taken of all clients that have one; under @linger_lock
 * @site_lock: see site.c
 * @tracers: clients that have sites, or had; by their ids
 */
struct mh_heap {
	u64 id;
	u32 flags;
	u64 limit;
	struct mh_user *owner;

	struct mutex lock;		/* see heap.c */
	struct rw_semaphore gate;
	refcount_t nclients;
	u32 ntypes;
	u32 nbins;
	u32 npools;
	struct xarray types;
	DECLARE_HASHTABLE(names, 8);
	struct xarray pools;
	struct mh_arena arena;
	atomic64_t kernel_bytes;
	atomic64_t arena_bytes;
	struct mh_counters __percpu *counters;

	spinlock_t dead_lock;		/* protects dead */
	struct mh_dead dead;
	atomic_t ndead;

	struct llist_head grey;
	struct llist_head cand;
	atomic_t ncand;
	atomic_t escaped;
	struct llist_head trim;
	enum mh_phase phase;
	atomic_long_t nfrozen;
	atomic_long_t nsaved;
	u32 unfreezing;

	struct mutex collect_lock;	/* see collect.c */
	struct mh_collect *collect;
	struct work_struct start;
	struct task_struct *thread;
	struct task_struct *creator;
	wait_queue_head_t wait;
	bool napping;
	struct moheap_tune tune;
#if IS_ENABLED(CONFIG_KUNIT)
	unsigned long without;
#endif

	spinlock_t event_lock;		/* see event.c */
	struct list_head listeners;
	struct xarray finalizers;
	struct mh_client *keeper;
	struct mh_client *immortals;
	struct list_head due;
	u64 ndue;
	u64 finalized;
	u64 unfinalized;
	struct delayed_work final_work;
	atomic_t last_client;

	spinlock_t linger_lock;		/* see linger.c */
	struct list_head lingering;
	u64 nlinger;
	struct list_head takers;
	spinlock_t site_lock;		/* see site.c */
	struct xarray tracers;
};

#define MH_CREATE_FLAGS	(MOHEAP_CREATE_DEBUG | MOHEAP_CREATE_GUARD)

/*
 * The barriers of the trace (trace.c, freeze.c). In test builds a heap can do without one, so that
 * a test sees what it is for.
 */
enum mh_barrier {
	MH_BARRIER_H,
	MH_BARRIER_S,
	MH_BARRIER_B,
	MH_BARRIER_C,
	MH_BARRIER_F,
};

static inline bool mh_barrier(struct mh_heap *heap, enum mh_barrier barrier)
{
#if IS_ENABLED(CONFIG_KUNIT)
	return likely(!(heap->without & BIT(barrier)));
#else
	return true;
#endif
}

struct mh_heap *mh_heap_create(u64 limit, u32 flags);
void mh_heap_get(struct mh_heap *heap);
void mh_heap_put(struct mh_heap *heap);
int mh_charge(struct mh_heap *heap, atomic64_t *what, u64 bytes);
void mh_uncharge(struct mh_heap *heap, atomic64_t *what, u64 bytes);
void mh_counters_sum(struct mh_heap *heap, struct mh_counters *sum);
void mh_heap_stat(struct mh_heap *heap, struct moheap_stat *stat);
u64 mh_counters_live(const struct mh_counters *sum);

/* ---- pool.c, the functions ---- */

int mh_pools_init(void);
void mh_pools_exit(void);
#define MH_CLASSES	4
size_t mh_class_bytes(int class);
size_t mh_pool_bytes(u32 nblocks, u32 hstride);

struct mh_pool *mh_pool_create(struct mh_heap *heap, struct mh_bin *bin);
struct mh_pool *mh_pool_adopt(struct mh_bin *bin);
int mh_pool_refill(struct mh_pool *pool);
u32 mh_pool_parked(struct mh_pool *pool, u16 holes, unsigned long *parked);
u64 mh_pool_arena_bytes(struct mh_pool *pool);
void mh_pool_retire(struct mh_pool *pool);
void mh_pool_free_apart(struct mh_pool *pool);
void mh_pool_free(struct mh_pool *pool);
u32 mh_pool_take(struct mh_pool *pool, u32 want, u32 *word, unsigned long *mask);
int mh_pool_attach(struct mh_heap *heap, u32 pool_id, u32 nblocks, size_t bytes, size_t member);
void mh_pool_detach(struct mh_pool *pool, void *array, size_t bytes);
void mh_blocks_release(struct mh_freed *freed);
bool mh_trim_step(struct mh_heap *heap);
void mh_trim_all(struct mh_heap *heap);

/* ---- The hottest paths of pool.c and object.c ---- */

void mh_linger(struct mh_pool *pool, u32 idx);

/**
 * mh_block_release() - a block is to be free
 * @pool: the pool; caller holds the gate
 * @idx: the block; its slots are empty, nobody has it, and its word says so
 * @freed: where it goes; the caller has mh_blocks_release() at the end
 */
static inline void mh_block_release(struct mh_pool *pool, u32 idx, struct mh_freed *freed)
{
	u32 word = idx / BITS_PER_LONG;

	if (freed->pool != pool || freed->word != word) {
		mh_blocks_release(freed);
		freed->pool = pool;
		freed->word = word;
		freed->mask = 0;
	}
	freed->mask |= BIT_MASK(idx);
}

/**
 * mh_block_free() - give a block back to its pool
 * @pool: the pool
 * @idx: the block; its slots are empty and nobody has it
 * @gen: its generation, even
 * @freed: as for mh_block_release()
 *
 * The caller holds the gate. A block whose generations ran out stays out of use; that of a guarded
 * heap lingers first.
 */
static inline void mh_block_free(struct mh_pool *pool, u32 idx, u32 gen,
				 struct mh_freed *freed)
{
	atomic64_set(&mh_header(pool, idx)->word, mh_word(gen, 0));
	if ((gen & ~MH_GEN_REUSED) > MH_GEN_LAST)
		atomic_inc(&pool->nretired);
	else if (unlikely(pool->linger))
		mh_linger(pool, idx);
	else
		mh_block_release(pool, idx, freed);
}

/**
 * mh_pool_find() - the block at a granule
 * @heap: the heap; caller holds its gate
 * @granule: where
 * @o: out
 *
 * Return: 0, -EINVAL if it is outside the arena, -ESTALE if no block begins there.
 */
static inline int mh_pool_find(struct mh_heap *heap, u32 granule, struct mh_obj *o)
{
	u32 page = granule / MH_PAGE_GRANULES;
	struct mh_leaf *leaf;
	struct mh_pool *pool;
	u32 off, idx;

	lockdep_assert_held(&heap->gate);
	if (page >= heap->arena.npages)
		return -EINVAL;
	/* Pairs with mh_arena_install_leaves(), and the next with mh_arena_map(). */
	leaf = smp_load_acquire(&heap->arena.dir[page / MH_LEAF_PAGES]);
	if (!leaf)
		return -ESTALE;
	/* Complete, as it can be seen. */
	pool = smp_load_acquire(&leaf->pool[page % MH_LEAF_PAGES]);
	if (!pool)
		return -ESTALE;
	off = granule - pool->first;
	idx = (off * pool->magic) >> 32;
	if (idx >= pool->nblocks || idx * pool->stride != off)
		return -ESTALE;
	o->pool = pool;
	o->header = mh_header(pool, idx);
	o->idx = idx;
	return 0;
}

/**
 * mh_slots() - the slots of an object
 * @o: the object
 * @nslots: out: how many
 *
 * Return: the first. Slots kept apart are there for as long as the object is pinned, or the
 * caller owns it.
 */
static inline u32 *mh_slots(const struct mh_obj *o, u32 *nslots)
{
	struct mh_counted *counted;
	struct mh_apart *apart;

	switch (o->pool->bin->geo.kind) {
	case MH_SLOTS_FIXED:
		*nslots = o->pool->bin->geo.nslots;
		return (u32 *)(o->header + 1);
	case MH_SLOTS_COUNTED:
		counted = container_of(o->header, struct mh_counted, header);
		*nslots = READ_ONCE(counted->nslots);
		return counted->slots;
	default:
		apart = container_of(o->header, struct mh_apart, header);
		*nslots = READ_ONCE(apart->nslots);
		return apart->slots;
	}
}

/* Are objects being marked by what happens to them? */
static inline bool mh_marking(const struct mh_heap *heap)
{
	return heap->phase == MH_MARKING || heap->phase == MH_FINALIZING;
}

static inline bool mh_may_cycle(const struct mh_pool *pool)
{
	return pool->bin->geo.nslots || pool->bin->geo.kind == MH_SLOTS_APART;
}

/**
 * mh_is_leaf() - the object has no slots, so no cycle goes through it
 * @o: the object
 *
 * Return: true if so.
 */
static inline bool mh_is_leaf(const struct mh_obj *o)
{
	return !mh_may_cycle(o->pool);
}

/**
 * mh_object_bytes() - the memory of an object: block, header and slots
 * @o: the object; its slots are there
 *
 * Return: bytes; the same for as long as it lives.
 */
static inline u64 mh_object_bytes(const struct mh_obj *o)
{
	const struct mh_geometry *geo = &o->pool->bin->geo;
	u64 bytes = geo->hstride;
	u32 nslots;

	if (geo->backed)
		bytes += (u64)geo->stride * MOHEAP_GRANULE;
	if (geo->kind == MH_SLOTS_APART) {
		mh_slots(o, &nslots);
		bytes += (u64)nslots * sizeof(u32);
	}
	return bytes;
}

/* ---- object.c, the functions ---- */

/* Slots an operation clears in dead objects before it leaves the rest to the collector. */
#define MH_REAP_INLINE	64

/* Slots the collector clears in dead objects in one hold of the gate. */
#define MH_REAP_STEP	512

u64 mh_ref(const struct mh_obj *o);
bool mh_unreachable(struct mh_heap *heap, const struct mh_obj *o);
int mh_named(struct mh_heap *heap, u64 ref, struct mh_obj *o);
int mh_pin(struct mh_heap *heap, u64 ref, struct mh_obj *o);
int mh_refer(struct mh_heap *heap, u64 ref, u32 n, struct mh_obj *o);
bool mh_pin_live(const struct mh_obj *o);
int mh_pin_slot(struct mh_heap *heap, u32 *slot, struct mh_obj *o);
void mh_put(struct mh_heap *heap, const struct mh_obj *o, u32 n, struct mh_dead *dead);
void mh_unpin(struct mh_heap *heap, const struct mh_obj *o, struct mh_dead *dead);
void mh_put_granule(struct mh_heap *heap, u32 granule, struct mh_dead *dead);
void mh_grey(struct mh_heap *heap, struct mh_pool *pool, u32 word, unsigned long mask);
bool mh_shade(struct mh_heap *heap, const struct mh_obj *o);
void mh_shade_held(struct mh_heap *heap, const struct mh_obj *o);
void mh_shade_stored(struct mh_heap *heap, const struct mh_obj *o);
void mh_slots_begin(const struct mh_obj *o);
bool mh_slots_clear(struct mh_heap *heap, const struct mh_obj *o, struct mh_dead *dead,
		    int *budget);
void mh_reap_into(struct mh_heap *heap, struct mh_dead *dead, int budget, struct mh_freed *freed);
void mh_reap(struct mh_heap *heap, struct mh_dead *dead, int budget);
bool mh_reap_step(struct mh_heap *heap, int budget);
void mh_object_release(struct mh_heap *heap, const struct mh_obj *o, u32 gen,
		       struct mh_freed *freed);
void mh_object_stat(const struct mh_obj *o, struct moheap_object *stat);

/* ---- client.c ---- */

/**
 * struct mh_holds - which objects of a pool a client holds
 * @node: in pool->holders
 * @client: who
 * @pool: where
 * @rcu: to free it
 * @bits: one for each block; a set bit is part of the object's count
 */
struct mh_holds {
	struct hlist_node node;
	struct mh_client *client;
	struct mh_pool *pool;
	struct rcu_head rcu;
	unsigned long bits[];
};

struct mh_active {
	struct mh_pool *pool;
	struct mh_holds *holds;
};

/**
 * struct mh_findings - objects that collections found unreachable
 * @freed: freed
 * @saved: saved as garbage
 * @staged: due to be finalized first
 */
struct mh_findings {
	u64 freed;
	u64 saved;
	u64 staged;
};

enum mh_event_kind {
	MH_EVENT_COLLECT,	/* part of a struct mh_told */
	MH_EVENT_WATCH,		/* part of a struct mh_watch */
	MH_EVENT_FINAL,		/* part of a struct mh_final */
};

enum mh_event_state {
	MH_EVENT_IDLE,		/* nothing to tell; on no list */
	MH_EVENT_STAGED,	/* soon to be queued; on a list of the collector's */
	MH_EVENT_QUEUED,	/* on client->events */
	MH_EVENT_READING,	/* in the hands of a reader */
	MH_EVENT_TOLD,		/* never again; on no list */
};

/**
 * struct mh_event - something a client is to be told; part of what it is about
 * @list: see enum mh_event_state
 * @kind: enum mh_event_kind
 * @state: enum mh_event_state
 * @id: of a watch; of the client that made the finalizable object
 */
struct mh_event {
	struct list_head list;
	u8 kind;
	u8 state;
	u32 id;
};

/* Of client->told */
enum { MH_TOLD_BEGIN, MH_TOLD_END, MH_TOLD };

/**
 * struct mh_told - collections that a client is yet to be told of
 * @event: to tell them
 * @generation: of the last
 * @count: how many
 * @found: by them
 */
struct mh_told {
	struct mh_event event;
	u32 generation;
	u64 count;
	struct mh_findings found;
};

/**
 * struct mh_traced - what the objects of a client's sites use; see site.c
 * @listed: the client is in heap->tracers
 * @objects: how many
 * @bytes: of them
 * @peak: the most those ever were, or since that was reset
 * @check: objects found by mh_heap_check(), while that runs
 * @check_bytes: ... and bytes
 */
struct mh_traced {
	bool listed;
	u64 objects;
	u64 bytes;
	u64 peak;
	u64 check;
	u64 check_bytes;
};

/**
 * struct mh_client - one open file on a heap
 * @heap: the heap
 * @id: unlike that of any other client, as far as 32 bits go
 * @readonly: may change nothing
 * @grow_lock: see client.c
 * @lock: protects @active and the cursors of the pools there
 * @active: the pool it allocates from, by bin id
 * @nactive: entries there
 * @holds: by pool id
 * @events: what it is to be told, under heap->event_lock
 * @told: collections among that, by MH_TOLD_*
 * @listener: in heap->listeners
 * @watches: its watches, by id; see watch.c
 * @next_watch: where to look for an id
 * @read_lock: see event.c
 * @reader: who waits for an event
 * @taken: blocks it took, once it took some; see linger.c
 * @traced: under heap->site_lock
 */
struct mh_client {
	struct mh_heap *heap;
	u32 id;
	bool readonly;
	struct mutex grow_lock;	/* see client.c */
	spinlock_t lock;	/* protects active */
	struct mh_active *active;
	u32 nactive;
	struct xarray holds;

	struct list_head events;
	struct mh_told told[MH_TOLD];
	struct list_head listener;
	struct xarray watches;
	u32 next_watch;
	struct mutex read_lock;	/* see event.c */
	wait_queue_head_t reader;
	struct mh_taken *taken;

	struct mh_traced traced;
};

struct mh_client *mh_client_create(struct mh_heap *heap, bool readonly);
struct mh_client *mh_client_clone(struct mh_client *from);
struct mh_client *mh_client_of_heap(struct mh_heap *heap, struct mh_client **which);
void mh_client_destroy(struct mh_client *client);
void mh_client_forget(struct mh_client *client);
int mh_client_grow(struct mh_client *client, struct mh_bin *bin);
int mh_client_reserve(struct mh_client *client, u32 pool_id, u32 nblocks);
struct mh_holds *mh_client_holds(struct mh_client *client, struct mh_pool *pool);
u32 mh_client_alloc(struct mh_client *client, struct mh_bin *bin, u32 nslots, u32 *apart,
		    u32 want, u64 *refs);
int mh_client_hold(struct mh_client *client, const struct mh_obj *o, struct mh_dead *dead);
int mh_client_drop(struct mh_client *client, u64 ref, struct mh_dead *dead);
int mh_client_renew(struct mh_client *client, u64 from, u64 to, bool alone, struct mh_dead *dead);
int mh_client_drop_as(struct mh_client *client, u64 from, u64 to, bool alone, struct mh_dead *dead);
/* Holders of a pool that mh_is_held() looks at: nearly always all there are. */
#define MH_HOLDERS_LOOK	4

/**
 * mh_is_held_still() - as mh_is_held(), while nobody can change that
 * @o: the object; caller holds the gate exclusive
 *
 * Return: true if so; false if not, or not worth finding out.
 */
static inline bool mh_is_held_still(const struct mh_obj *o)
{
	struct mh_holds *holds;
	int n = 0;

	/* Holders come and go under the gate only. */
	lockdep_assert_held_write(&o->pool->heap->gate);
	hlist_for_each_entry(holds, &o->pool->holders, node) {
		if (test_bit(o->idx, holds->bits))
			return true;
		if (++n == MH_HOLDERS_LOOK)
			break;
	}
	return false;
}

bool mh_client_holding(struct mh_client *client, const struct mh_obj *o);
bool mh_is_held(const struct mh_obj *o);
void mh_holds_forget(struct mh_pool *pool);
u64 mh_client_count_held(struct mh_client *client);

/* ---- event.c ---- */

void mh_events_init(struct mh_client *client);
void mh_events_close(struct mh_client *client);
int mh_events_listen(struct mh_client *client, u32 events);
int mh_events_read(struct mh_client *client, u64 to, u32 n, bool user);
void mh_event_queue(struct mh_client *client, struct mh_event *event);
void mh_tell_begin(struct mh_heap *heap, u32 generation);
void mh_tell_end(struct mh_heap *heap, u32 generation, const struct mh_findings *found);

/* ---- watch.c ---- */

/**
 * struct mh_watches - the watches of one object, under heap->event_lock
 * @list: newest first
 * @n: how many
 */
struct mh_watches {
	struct hlist_head list;
	u32 n;
};

/**
 * struct mh_watch - a client is to be told when an object dies
 * @event: to tell it
 * @node: in the list of @on while the object lives
 * @on: the object's watches
 * @client: who
 * @ref: of the object
 * @cookie: what the client knows it by
 */
struct mh_watch {
	struct mh_event event;
	struct hlist_node node;
	struct mh_watches *on;
	struct mh_client *client;
	u64 ref;
	u64 cookie;
};

struct mh_watch *mh_watch_new(struct mh_client *client, u64 ref, u64 cookie);
void mh_watch_discard(struct mh_watch *watch);
int mh_watch_room(struct mh_heap *heap, u32 pool_id, u32 nblocks);
int mh_watch_attach(struct mh_watch *watch, const struct mh_obj *o, u32 *id);
void mh_watch_told(struct mh_watch *watch);
int mh_unwatch(struct mh_client *client, u32 id);
void mh_watches_close(struct mh_client *client);
void mh_watches_free(struct mh_pool *pool);
void mh_watches_fire(struct mh_heap *heap, const struct mh_obj *o);

/**
 * mh_watched() - how many watches an object has
 * @o: the object; caller holds the gate
 *
 * Return: how many; fewer than there are only if some are added right now, and that takes a pin.
 */
static inline u32 mh_watched(const struct mh_obj *o)
{
	struct mh_watches *watches = READ_ONCE(o->pool->watches);

	return watches ? READ_ONCE(watches[o->idx].n) : 0;
}

/* ---- final.c ---- */

/**
 * struct mh_final - an object that is to be finalized before it goes
 * @event: to tell a client
 * @due: in heap->due while the event is queued
 * @ref: of the object, once it is due
 * @since: when it was queued, in jiffies
 */
struct mh_final {
	struct mh_event event;
	struct list_head due;
	u64 ref;
	unsigned long since;
};

int mh_final_init(struct mh_heap *heap);
void mh_final_destroy(struct mh_heap *heap);
int mh_final_prepare(struct mh_pool *pool);
void mh_final_free(struct mh_pool *pool);
bool mh_final_rescue(struct mh_heap *heap, const struct mh_obj *o);
bool mh_final_stage(struct mh_heap *heap, const struct mh_obj *o, struct list_head *staged);
bool mh_final_staged(const struct mh_obj *o);
void mh_final_keep(struct mh_heap *heap, const struct mh_obj *o);
bool mh_final_deliver(struct mh_heap *heap, struct list_head *staged);
void mh_final_taken(struct mh_heap *heap, struct mh_final *f);
void mh_final_returned(struct mh_heap *heap, struct mh_final *f);
int mh_final_ready(struct mh_client *client, struct mh_final *f, u32 *type);
void mh_final_told(struct mh_client *client, struct mh_final *f);
void mh_final_close(struct mh_client *client);
void mh_final_work(struct work_struct *work);
void mh_final_tuned(struct mh_heap *heap);

/**
 * mh_final_born() - a new object is not due yet
 * @client: who makes it
 * @pool: where
 * @idx: the block, which nobody else sees yet
 */
static inline void mh_final_born(struct mh_client *client, struct mh_pool *pool, u32 idx)
{
	struct mh_event *event = &pool->final[idx].event;

	event->kind = MH_EVENT_FINAL;
	event->state = MH_EVENT_IDLE;
	event->id = client->id;
}

/* Was an object ever due? */
static inline bool mh_final_was_due(const struct mh_obj *o)
{
	return o->pool->final && READ_ONCE(o->pool->final[o->idx].event.state) != MH_EVENT_IDLE;
}

/* Is there anybody whom objects can be handed to? */
static inline bool mh_finalizing(struct mh_heap *heap)
{
	return READ_ONCE(heap->keeper) && !xa_empty(&heap->finalizers);
}

/* ---- site.c ---- */

/**
 * struct mh_site - where an object was made
 * @id: a number that the client chose, or 0
 * @client: whose it is
 */
struct mh_site {
	u32 id;
	u32 client;
};

int mh_site_set(struct mh_client *client, const struct mh_obj *o, u32 id);
void mh_site_forget(struct mh_heap *heap, const struct mh_obj *o);
struct mh_site mh_site_get(struct mh_heap *heap, const struct mh_obj *o);
int mh_site_room(struct mh_client *client, u32 pool_id, u32 nblocks);
void mh_sites_free(struct mh_pool *pool);
void mh_sites_close(struct mh_client *client, bool last);
int mh_sites(struct mh_client *client, struct moheap_sites *sites, bool user);

/* ---- collect.c, trace.c, check.c ---- */

/* Of an object visited by a local pass */
#define MH_NOTE_OUTSIDE	1	/* it refers to objects that the pass leaves alone */
#define MH_NOTE_CAND	2	/* it was a candidate */
#define MH_NOTE_SAVE	4	/* it is garbage that will be saved */

/**
 * struct mh_collect - the collector's state; everything it needs, allocated with the heap
 * @cand_pool: the pool whose candidates are being looked at
 * @grey_pool: the pool whose grey objects are being followed
 * @cursor: next pool of the phase under way
 * @sweep_id: the pool being swept
 * @sweep_idx: block of it to go on from
 * @staged: objects that the trace under way found due
 * @nstaged: how many there were
 * @nsaved: objects that it saved as garbage
 * @spared_ever: how many all traces and local passes found due, or saved
 * @saving: the trace under way saves what it finds
 * @final_step: what FINALIZING is at; see trace.c
 * @condemned: the condemned object that is being cleared, or no pool; pinned
 * @following: ref of an object with slots apart that is being followed, or 0
 * @followed: how many of its slots were
 * @rooted: all roots are marked
 * @begun: traces begun
 * @finished: traces finished
 * @passed: the last step was a local pass: it is a trace's turn
 * @credit: visits that local passes may still spend
 * @allocated: objects ever made when the last trace ended
 * @freed_trace: objects that traces had freed then
 * @live: objects alive then
 * @ended: when that was, in jiffies
 * @lasted: how long it took, in jiffies
 * @started: when the trace under way began, in ns
 * @stat: figures; only those of the collector are kept up to date
 * @cand_word: word of the candidates of @cand_pool to go on from
 * @visited: objects visited by the local pass under way
 * @notes: of each of them, MH_NOTE_*
 * @stack: objects found reachable by it, whose slots are to be restored
 */
struct mh_collect {
	struct mh_pool *cand_pool;
	u32 cand_word;
	struct mh_pool *grey_pool;
	unsigned long cursor;
	unsigned long sweep_id;
	u32 sweep_idx;
	struct list_head staged;
	u64 nstaged;
	u64 nsaved;
	u64 spared_ever;
	bool saving;
	u32 final_step;
	struct mh_obj condemned;
	u64 following;
	u32 followed;
	bool rooted;
	u64 begun;
	u64 finished;
	bool passed;
	s64 credit;
	u64 allocated;
	u64 freed_trace;
	u64 live;
	unsigned long ended;
	unsigned long lasted;
	u64 started;
	struct moheap_stat stat;
	struct mh_obj visited[MOHEAP_BUDGET_MAX];
	u8 notes[MOHEAP_BUDGET_MAX];
	struct mh_obj stack[MOHEAP_BUDGET_MAX];
};

int mh_collector_init(struct mh_heap *heap);
void mh_collector_destroy(struct mh_heap *heap);
void mh_collector_kick(struct mh_heap *heap);
void mh_collector_assist(struct mh_heap *heap);
void mh_collector_stat(struct mh_heap *heap, struct moheap_stat *stat);
int mh_collector_tune(struct mh_heap *heap, struct moheap_tune *tune);
int mh_collect(struct mh_heap *heap, u32 generation, u64 *unreachable);
int mh_collect_for_memory(struct mh_heap *heap);
void mh_gate_exclusive(struct mh_heap *heap, u64 *since);
void mh_gate_release(struct mh_heap *heap, u64 since);

void mh_trace_begin(struct mh_heap *heap);
bool mh_trace_step(struct mh_heap *heap);

int mh_heap_check(struct mh_heap *heap);

/* ---- linger.c ---- */

/**
 * struct mh_linger - which blocks of a pool linger
 * @node: in heap->lingering, while some do
 * @pool: the pool
 * @n: how many linger or were taken
 * @lingering: how many linger
 * @bits: one for each block
 *
 * All but @pool and @n under heap->linger_lock.
 */
struct mh_linger {
	struct list_head node;
	struct mh_pool *pool;
	atomic_t n;
	u32 lingering;
	unsigned long bits[];
};

/**
 * struct mh_taken - blocks that a client took
 * @lock: see linger.c
 * @node: in heap->takers
 * @first: the oldest
 * @n: how many
 * @granules: where they begin: a ring
 */
struct mh_taken {
	struct mutex lock;	/* see linger.c */
	struct list_head node;
	u32 first;
	u32 n;
	u32 granules[MOHEAP_LINGER_MAX];
};

int mh_linger_prepare(struct mh_pool *pool);
void mh_linger_free(struct mh_pool *pool);
void mh_linger_release(struct mh_heap *heap);
int mh_linger_exchange(struct mh_client *client, struct moheap_linger *linger, bool user);
void mh_linger_close(struct mh_client *client, bool last);

/* ---- freeze.c ---- */

int mh_freeze(struct mh_heap *heap, struct moheap_freeze *freeze);
void mh_frozen_remember(const struct mh_obj *o);
void mh_frozen_follow(struct mh_heap *heap, const struct mh_obj *o);
void mh_frozen_gone(struct mh_heap *heap, const struct mh_obj *o);

/* Is anything? */
static inline bool mh_freezes(struct mh_heap *heap)
{
	return unlikely(atomic_long_read(&heap->nfrozen));
}

/**
 * mh_is_frozen() - is an object set aside from the collector?
 * @heap: the heap; caller holds its gate
 * @o: the object
 *
 * Return: true if so.
 */
static inline bool mh_is_frozen(struct mh_heap *heap, const struct mh_obj *o)
{
	return mh_freezes(heap) && mh_test(o, MH_FROZEN);
}

/**
 * mh_frozen_stored() - barrier F: a slot refers to something else now
 * @heap: the heap; caller holds its gate
 * @owner: the object with the slot, pinned
 * @target: what the slot refers to, pinned
 */
static inline void mh_frozen_stored(struct mh_heap *heap, const struct mh_obj *owner,
				    const struct mh_obj *target)
{
	if (mh_is_frozen(heap, owner) && !mh_test(target, MH_FROZEN) &&
	    mh_barrier(heap, MH_BARRIER_F))
		mh_frozen_remember(owner);
}

/* ---- garbage.c ---- */

void mh_save(struct mh_heap *heap, const struct mh_obj *o);
int mh_discard(struct mh_heap *heap, u64 ref, struct mh_dead *dead);

/* Is what the collector finds from now on saved? */
static inline bool mh_saving(struct mh_heap *heap)
{
	return READ_ONCE(heap->tune.debug) & MOHEAP_DEBUG_SAVEALL;
}

/* Is anything? */
static inline bool mh_saves(struct mh_heap *heap)
{
	return unlikely(atomic_long_read(&heap->nsaved));
}

/**
 * mh_is_saved() - does the heap hold an object as garbage?
 * @heap: the heap; caller holds its gate
 * @o: the object
 *
 * Return: true if so.
 */
static inline bool mh_is_saved(struct mh_heap *heap, const struct mh_obj *o)
{
	return mh_saves(heap) && mh_test(o, MH_SAVED);
}

/* ---- iterate.c ---- */

int mh_objects(struct mh_heap *heap, struct moheap_objects *objects, bool user);
int mh_usage(struct mh_heap *heap, struct moheap_usage *usage);

/* ---- batch.c ---- */

int mh_batch(struct mh_client *client, u64 ops, u32 count, u32 flags, bool user, u32 *done);

#endif /* MOHEAP_INTERNAL_H */
