/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * The structures of libmoheap, and what its files offer each other.
 *
 * Dependencies point downwards only:
 *
 *	weakmap.h	weak dicts and sets: weakmap.c, weakdict.c, weakset.c
 *	container.h	says what is on top of all that follows
 *	trace.h		and what of traces, when they are looked at
 *	kinds.c		the types of containers
 *	weak.h		weak references: weakref.c; finalizers that are called once: finalize.c
 *	gc.c, iterate.c	what Python's gc and sys tell; objects found
 *	callback.c	functions that programs register
 *	event.c		what the kernel tells, and who is to hear of it
 *	graph.c		slots, and their mirrors
 *	new.c		new objects
 *	tracemalloc.c	where they were made
 *	traceback.c	... as call stacks
 *	hold.c		references of this process
 *	stock.c		stocks of objects
 *	young.c		objects that nobody else ever knew
 *	words.c		pages of the table of words
 *	guard.c		misuse of payload and refs, found in guarded heaps
 *	word.h		what is known of the object in a block
 *	type.c		what is known of types
 *	object.c, collect.c	questions to the kernel
 *	queue.c		the way to the kernel
 *	heap.c		a heap, from the open device to the mapping
 *	fork.c		all heaps of the process
 *
 * Locks, outermost first: mh_heaps.lock (fork.c: the list of heaps), heap->weakrefs.lock (weak.h),
 * heap->lock (all members of struct moheap that say so). The table of local counts needs none, see
 * word.h.
 *
 * Functions that are __attribute_noinline__ are so to keep rare work out of paths where every
 * instruction counts.
 */
#ifndef MOHEAP_INTERNAL_H
#define MOHEAP_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "lock.h"
#include "moheap.h"

#define MH_ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static inline size_t mh_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t mh_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* The kernel gives pages of this size of the arena to objects of one type. */
#define MH_PAGE		4096U

static inline size_t mh_round_up(size_t n, size_t step)
{
	return (n + step - 1) / step * step;
}

/*
 * mh_grow() - make room in an array for @need entries of @size bytes; twice as much as was there
 *
 * Return: 0; or -ENOMEM, and the array is as it was.
 */
static inline int mh_grow(void **array, size_t *room, size_t need, size_t size)
{
	size_t more = mh_max(mh_max(*room * 2, need), 16);
	void *grown;

	if (need <= *room)
		return 0;
	grown = reallocarray(*array, more, size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = more;
	return 0;
}

/* ---- queue.c ---- */

#define MH_QUEUE_OPS	2048
#define MH_QUEUE_HINTS	4096

/* Code of an operation that is not to be carried out any more. */
#define MH_OP_CANCELLED	0

/**
 * struct mh_queue - operations that need no answer, on their way to the kernel
 * @n: entries in @ops
 * @depth: entries at which they go out; 1 where nothing is to be queued
 * @cancelled: how many of them are MH_OP_CANCELLED
 * @stores: how many of them are a STORE, at most
 * @error: the first error that one of them met, until somebody asks
 * @ops: in the order in which they were made
 * @hints: where a STORE may be, by a hash of its slot: to be verified
 */
struct mh_queue {
	unsigned int n;
	unsigned int depth;
	unsigned int cancelled;
	unsigned int stores;
	int error;
	struct moheap_op ops[MH_QUEUE_OPS];
	__u16 hints[MH_QUEUE_HINTS];
};

int mh_ioctl(struct moheap *heap, unsigned long request, void *arg);
int mh_queue_add(struct moheap *heap, const struct moheap_op *op);
int mh_queue_run(struct moheap *heap, struct moheap_op *op);
void mh_queue_run_many(struct moheap *heap, struct moheap_op *ops, unsigned int n);
int mh_queue_run_long(struct moheap *heap, struct moheap_op *op);
void mh_queue_send(struct moheap *heap);
struct moheap_op *mh_queue_find_store(struct moheap *heap, const struct moheap_op *op);
void mh_queue_cancel(struct moheap *heap, struct moheap_op *op);
int mh_queue_add_store(struct moheap *heap, const struct moheap_op *op);

/* ---- type.c ---- */

/**
 * struct mh_mirror - slots that have copies in the payload
 * @slot: the first
 * @count: how many; UINT32_MAX: all from @slot on that the object and its payload have
 * @offset: of the first copy
 */
struct mh_mirror {
	__u32 slot;
	__u32 count;
	__u32 offset;
};

/**
 * struct mh_stock - objects of one type and size that nobody has asked for yet
 * @next: in heap->stocks, where it has objects
 * @payload: bytes to ask for; with @slots the key
 * @least: where sizes vary: the least payload for which the kernel gives such a block, as known
 * @block: bytes of the block, 0 where there is no payload: what is cleared in one that had an
 *	owner before
 * @slots: slots
 * @head: the next to be handed out; before it is room for what comes back
 * @room: entries of @refs, the end of what is in stock
 * @want: how many to take next time
 * @idle: flushes since one was handed out
 * @listed: it is in heap->stocks
 * @recycles: objects come back here (hold.c)
 * @refs: the objects; the client holds them, their local count is 0, and nobody knows them
 */
struct mh_stock {
	struct mh_stock *next;
	size_t payload;
	size_t least;
	size_t block;
	__u32 slots;
	unsigned int head;
	unsigned int room;
	unsigned int want;
	unsigned int idle;
	bool listed;
	bool recycles;
	moheap_ref_t *refs;
};

/* Stocks of a type in which sizes vary. At most 255, for heap->pages to name one. */
#define MH_STOCKS_VAR	64

/* Payload up to here, in granules, finds its stock through a table. */
#define MH_SIZES	128

/**
 * struct mh_type - what the library knows of a type
 * @id: its id
 * @flags: MOHEAP_TYPE_*
 * @slots: of an object, or the least
 * @payload: of an object, or the least
 * @nmirrors: entries in @mirrors
 * @mirrors: which slots are mirrored
 * @nstocks: entries in @stocks: 1 where nothing varies, else MH_STOCKS_VAR
 * @nsizes: where only payload varies: entries that belong to a size
 * @by_size: there: which one a payload of so many granules comes from; 0 where not known yet
 * @finalizer: the program's, for objects of this type; NULL: none
 * @finalizer_data: for @finalizer
 * @stocks: new objects: see stock.c
 *
 * Never changes, finalizer and stocks excepted, and stays until the heap is closed.
 */
struct mh_type {
	__u32 id;
	__u32 flags;
	__u32 slots;
	__u32 nmirrors;
	size_t payload;
	struct mh_mirror *mirrors;
	unsigned int nstocks;
	unsigned int nsizes;
	__u8 by_size[MH_SIZES + 1];
	moheap_finalizer_t finalizer;
	void *finalizer_data;
	struct mh_stock stocks[];
};

void mh_types_free(struct moheap *heap);
struct mh_type *mh_type_get(struct moheap *heap, unsigned int id, int *err);
struct mh_type *mh_type_of(struct moheap *heap, moheap_ref_t ref, int *err);
void mh_type_note(struct moheap *heap, moheap_ref_t ref, const struct mh_type *type,
		  unsigned int stock);
void mh_type_renew(struct moheap *heap, moheap_ref_t ref);
struct mh_stock *mh_stock_of_page(struct moheap *heap, moheap_ref_t ref);

/* ---- young.c ---- */

/* Blocks whose objects may be known to nobody else. */
#define MH_YOUNG	131072

/**
 * struct mh_young - a ring
 * @first: counts those that left
 * @end: counts those that entered
 * @granules: where the blocks begin
 */
struct mh_young {
	unsigned int first;
	unsigned int end;
	__u32 granules[MH_YOUNG];
};

void mh_young_born(struct moheap *heap, moheap_ref_t ref);
moheap_ref_t mh_young_die(struct moheap *heap, moheap_ref_t ref, __u64 old);
int mh_name(struct moheap *heap, moheap_ref_t ref);
int mh_name_weak(struct moheap *heap, moheap_ref_t ref);
moheap_ref_t mh_told(struct moheap *heap, moheap_ref_t ref);
void mh_tell(struct moheap *heap, moheap_ref_t ref);
void mh_tell_all(struct moheap *heap);
void mh_give_back(struct moheap *heap, moheap_ref_t ref);

/* ---- words.c ---- */

/**
 * struct mh_left - pages of the table of words where references were given up: heap->left_map
 * @first: the first of them
 * @last: the last
 * @pages: how many
 * @drops: references given up there
 */
struct mh_left {
	size_t first;
	size_t last;
	size_t pages;
	size_t drops;
};

void mh_words_left_first(struct moheap *heap, size_t page);
void mh_words_trim(struct moheap *heap, bool all);

/* ---- stock.c ---- */

long mh_alloc(struct moheap *heap, const struct mh_type *type, size_t payload, __u32 slots,
	      size_t n, moheap_ref_t *refs);
size_t mh_block_bytes(struct moheap *heap, moheap_ref_t ref, size_t payload);
bool mh_recycles(const struct moheap *heap, __u32 flags, size_t payload, __u32 slots);
struct mh_stock *mh_stock_find(struct moheap *heap, struct mh_type *type, size_t payload,
			       __u32 slots, int *err);
bool mh_stock_recycle(struct moheap *heap, moheap_ref_t ref, __u64 old);
void mh_stocks_age(struct moheap *heap);
void mh_stocks_release(struct moheap *heap);
void mh_stocks_forget(struct moheap *heap);

/* ---- hold.c ---- */

void mh_hold_born(struct moheap *heap, moheap_ref_t ref);
void mh_hold_gained(struct moheap *heap, moheap_ref_t ref);
int mh_hold_lose(struct moheap *heap, moheap_ref_t ref, const void *site);
__u32 mh_hold_count(struct moheap *heap, moheap_ref_t ref);

/* ---- graph.c ---- */

/*
 * How many slots of an object are mirrored, where its type says "all": found out once for each
 * object, kept by a hash of its ref. Sizes are fixed at birth and a ref never names anything
 * else, so what is here is never wrong.
 */
#define MH_REACHES	64

struct mh_reach {
	moheap_ref_t ref;
	__u32 slots;
	__u64 payload;
};

/* ---- kinds.c ---- */

/**
 * struct mh_kinds - the types of boxes and containers: see kinds.c
 * @types: their ids, by kind; -1: not known
 * @cache: the kinds of types, by id: id + 1 in bits 31..8, kind in bits 7..0; 0: empty
 * @root: of interned strings; 0: not known
 */
struct mh_kinds {
	atomic_int types[16];
	atomic_uint cache[64];
	atomic_ullong root;
};

void mh_kinds_init(struct mh_kinds *kinds);

/* ---- traceback.c ---- */

/**
 * struct mh_traceback - a call stack
 * @first: its most recent frame
 * @n: its frames
 * @hash: of them
 */
struct mh_traceback {
	size_t first;
	__u32 n;
	__u32 hash;
};

/**
 * struct mh_tracebacks - call stacks, each once
 * @frames: return addresses of all
 * @nframes: how many
 * @frames_room: room there
 * @entries: the stacks; number 1 comes first
 * @n: how many
 * @room: room there
 * @index: their numbers by hash, 0 where there is none
 * @nindex: entries there: a power of two, or 0
 */
struct mh_tracebacks {
	void **frames;
	size_t nframes;
	size_t frames_room;
	struct mh_traceback *entries;
	__u32 n;
	size_t room;
	__u32 *index;
	size_t nindex;
};

void mh_traceback_init(void);
unsigned int mh_traceback_walk(void **frames, unsigned int n);
__u32 mh_traceback_intern(struct mh_tracebacks *table, void *const *frames, unsigned int n);
size_t mh_tracebacks_bytes(const struct mh_tracebacks *table);
void mh_tracebacks_free(struct mh_tracebacks *table);

/* ---- tracemalloc.c ---- */

/**
 * struct mh_tracing - the tracing of a heap
 * @tracebacks: whose numbers the kernel keeps with objects
 * @self: at a fork: the client whose they are, or 0
 * @parent: in a child of fork(): the client whose they were before, or 0
 * @parent_n: how many those are
 */
struct mh_tracing {
	struct mh_tracebacks tracebacks;
	__u32 self;
	__u32 parent;
	__u32 parent_n;
};

int mh_tracing_init(struct moheap *heap);
void mh_tracing_free(struct moheap *heap);
void mh_tracing_fork(struct moheap *heap);
void mh_tracing_forked(struct moheap *heap);
void mh_tracing_end(struct moheap *heap);
int mh_sites_ask(struct moheap *heap, struct moheap_sites *sites);
void mh_trace(struct moheap *heap, const moheap_ref_t *refs, size_t n);

/* ---- event.c ---- */

/* Events to read at a time. */
#define MH_EVENTS	64

LIST_HEAD(mh_watcher_chain, mh_watcher);
TAILQ_HEAD(mh_watcher_list, mh_watcher);
TAILQ_HEAD(mh_gc_callback_list, mh_gc_callback);

/**
 * struct mh_dispatcher - the library's thread that dispatches events
 * @thread: it
 * @wake_fd: an eventfd that wakes it
 * @there: it is to be joined
 * @stop: it is to end
 */
struct mh_dispatcher {
	pthread_t thread;
	int wake_fd;
	bool there;
	bool stop;
};

/**
 * struct mh_events - what is wanted of the kernel's events: see event.c
 * @all: watchers of which the kernel will tell, oldest first
 * @dead: watchers of which it need not tell any more, newest first
 * @table: those of @all that are armed, by id
 * @size: entries there: a power of two, or 0
 * @armed: how many of @all are
 * @unarmed: how many are not
 * @serial: the last that was given to a watcher, or to a callback
 * @callbacks: functions to be called for collections, oldest first
 * @busy: somebody dispatches
 * @open: the file is non-blocking
 * @owner: who does
 * @current: what is being told: a watcher whose died() is running, a type whose finalizer is, a
 *	callback that is
 * @finalizing: the object that a finalizer is running for, or 0
 * @finalizers: how many types have one
 * @listening: MOHEAP_LISTEN_*: what the kernel was asked for
 * @turn: changes when @busy or @current does
 * @sleepers: threads that wait for that
 * @dispatcher: see struct mh_dispatcher
 * @next: in @batch: the next to be handled
 * @n: events in @batch
 * @batch: events that were read
 */
struct mh_events {
	struct mh_watcher_list all;
	struct mh_watcher_list dead;
	struct mh_watcher_chain *table;
	size_t size;
	size_t armed;
	size_t unarmed;
	__u64 serial;
	struct mh_gc_callback_list callbacks;
	bool busy;
	bool open;
	pthread_t owner;
	const void *current;
	moheap_ref_t finalizing;
	unsigned int finalizers;
	__u32 listening;
	atomic_int turn;
	unsigned int sleepers;
	struct mh_dispatcher dispatcher;
	unsigned int next;
	unsigned int n;
	struct moheap_event batch[MH_EVENTS];
};

/* ---- weakref.c ---- */

TAILQ_HEAD(mh_weakref_chain, moheap_weakref);
LIST_HEAD(mh_weakmap_list, mh_weakmap);
TAILQ_HEAD(mh_finalizers, moheap_finalize);

/**
 * struct mh_weakrefs - the weak references of this process: see weakref.c
 * @lock: protects all of this, and what hangs from it
 * @table: weak references, by object
 * @size: entries there: a power of two, or 0
 * @n: how many weak references there are
 * @maps: what is under weak dicts and sets: see weakmap.c
 * @finalizers: that are to be called, oldest first: see finalize.c
 * @natexit: how many of them also when the heap is closed
 * @closing: it is being closed
 */
struct mh_weakrefs {
	struct mh_lock lock;
	struct mh_weakref_chain *table;
	size_t size;
	size_t n;
	struct mh_weakmap_list maps;
	struct mh_finalizers finalizers;
	size_t natexit;
	bool closing;
};

/* ---- debug.c ---- */

void mh_debug_free(struct moheap *heap);

/* ---- heap.c, fork.c ---- */

/**
 * struct moheap - a heap as this process is attached to it
 * @base: where granule 0 would be. First, for moheap_ptr() reads it
 * @size: bytes of the mapping
 * @fd: the client, or -1 where a fork left none
 * @lock: protects what follows, @kinds, @words and @weakrefs excepted
 * @nframe: frames that are traced of each new object; 0: tracing is off
 * @types: by id; NULL where nothing is known
 * @ntypes: entries there
 * @stocks: stocks that have objects
 * @guard: of a guarded heap, see guard.c; else NULL
 * @fork: what fork() does
 * @fork_fd: between the steps of a fork: the client of the child
 * @next: in mh_heaps, under its lock
 * @words: what is known of the object in a block, by granule: see word.h
 * @told: how the kernel knows what is in a block, by granule: see young.c
 * @pages: which type a page of the arena holds: see type.c
 * @left_map: which pages of @words @left counts, a bit each
 * @kinds: see struct mh_kinds
 * @tracing: see struct mh_tracing
 * @queue: see queue.c
 * @reaches: see struct mh_reach
 * @events: see struct mh_events
 * @weakrefs: see struct mh_weakrefs
 * @named_garbage: saved garbage that this process has named, once it did: see debug.c
 * @left: see struct mh_left
 * @young: see struct mh_young
 *
 * It begins the mapping of the tables. What every process needs comes first, in one page: the
 * others are for those that need them.
 */
struct moheap {
	char *base;
	size_t size;
	int fd;
	struct mh_lock lock;
	atomic_uint nframe;
	struct mh_type **types;
	unsigned int ntypes;
	struct mh_stock *stocks;
	struct mh_guard *guard;
	enum moheap_fork fork;
	int fork_fd;
	struct moheap *next;
	atomic_ullong *words;
	__u32 *told;
	__u64 *pages;
	__u64 *left_map;
	struct mh_kinds kinds;
	struct mh_tracing tracing;
	struct mh_queue queue;
	struct mh_reach reaches[MH_REACHES];
	struct mh_events events;
	struct mh_weakrefs weakrefs;
	struct mh_named_garbage *named_garbage;
	struct mh_left left;
	struct mh_young young;
};

void *mh_table_map(size_t bytes);
int mh_clone_fd(struct moheap *heap);
int mh_heaps_lock(void);
void mh_heaps_unlock(void);
void mh_heaps_add(struct moheap *heap);
void mh_heaps_remove(struct moheap *heap);

/* Are new objects traced? */
static inline unsigned int mh_nframe(const struct moheap *heap)
{
	return atomic_load_explicit(&heap->nframe, memory_order_relaxed);
}

static inline __u32 mh_granule(moheap_ref_t ref)
{
	return ref;
}

static inline __u32 mh_generation(moheap_ref_t ref)
{
	return ref >> 32;
}

/* May this ref be looked up in a table? One that no heap gave out may lie outside. */
static inline bool mh_ref_inside(const struct moheap *heap, moheap_ref_t ref)
{
	return mh_granule(ref) < heap->size >> MOHEAP_GRANULE_SHIFT;
}

/* Generations of a block in their order: bit 63 says something else. */
static inline __u32 mh_age(moheap_ref_t ref)
{
	return mh_generation(ref & ~MOHEAP_REF_REUSED);
}

#endif /* MOHEAP_INTERNAL_H */
