// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Guarded heaps: misuse of payload and refs is found, and reported, as with PYTHONMALLOC=debug.
 *
 * A heap made with MOHEAP_CREATE_GUARD is laid out differently, by all processes that attach to
 * it. Payload is followed by a red zone, up to the end of the block:
 *
 *	payload		as many bytes as were asked for
 *	fence		MH_FENCE_BYTE, MH_FENCE_BYTES or more
 *	word		8 bytes, the last of the block: the payload's size, whether the block is
 *			filled, and a hash of both and of where the block is
 *
 * Types are registered with a payload that has room for the zone (mh_guard_payload()); the kernel
 * knows of no other. What programs are told of sizes is what they asked for.
 *
 * A block goes through four hands:
 *
 *	born	a new object: payload is zeroed, the zone written (mh_guard_born())
 *	dead	it lingers: the kernel gives it to nobody (module/linger.c)
 *	filled	some process, whichever asks first, takes it, looks whether the zone is intact, and
 *		fills all of it with MH_DEAD_BYTE (mh_guard_drain())
 *	free	that process gives it back; the next to get it looks whether it is as it was filled
 *
 * In between it is in quarantine: a process gives back the oldest blocks it filled when they are
 * more than MH_QUARANTINE, or more bytes than a share of the heap. Where nobody takes blocks in
 * time, the kernel gives them out as they are, and their word says that they were not filled. So
 * what a word says decides what is compared, and nothing is reported that nobody did.
 *
 * The word of one block is followed by the payload of the next: writing before a payload is found
 * as well, as damage to the zone of the block in front of it.
 *
 * Others look at zones while they are written (moheap_check() at objects that somebody is making).
 * So the word is cleared first and written last, and a look that finds damage is repeated, for an
 * object that is still there.
 *
 * Blocks do not come back to stock by themselves (young.c): an object that dies goes to the kernel,
 * and its block to the end of a queue, not to the next object.
 *
 * Stale refs are reported where a call names one to the kernel, or would: not by moheap_incref(),
 * which is how one asks whether an object is there. heap->guard->sites says where an object was
 * made, and where this process gave up its last reference to it: return addresses, by granule.
 *
 * A child of fork() that shares its parent's client takes no blocks: what one gave back, the other
 * might be filling.
 *
 * All under heap->lock, reports included.
 */
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "guard.h"
#include "word.h"

#define MH_FENCE_BYTE	0xfd
#define MH_FENCE_BYTES	8
#define MH_DEAD_BYTE	0xdd

#define MH_PAGE_GRANULES	256

/* What a red zone adds to a payload. */
#define MH_ZONE_BYTES	(MH_FENCE_BYTES + sizeof(__u64))

/* Blocks in quarantine, and their bytes: at most a part of the heap's limit. */
#define MH_QUARANTINE		1024
#define MH_QUARANTINE_BYTES	0x100000U
#define MH_QUARANTINE_PART	16

/* Blocks that are taken at a time, and how often in one call that has something else to do. */
#define MH_DRAIN_BLOCKS		64
#define MH_DRAIN_ROUNDS		8

/*
 * Objects of one look of moheap_check(), and further looks at one that seems damaged, each after
 * twice as long: a quarter of a second together, as who writes the zone just then may have to wait
 * for a processor.
 */
#define MH_CHECK_REFS		256
#define MH_CHECK_LOOKS		8

/* Sites of one block: of the object that was made there last, and of the one given up last. */
struct mh_sites {
	__u32 made_generation;
	__u32 freed_generation;
	const void *made;
	const void *freed;
};

/**
 * struct mh_guard - what a heap has if it is guarded
 * @takes: this client takes blocks
 * @handler: whom to tell
 * @data: for @handler
 * @sites: by granule
 * @most: bytes that quarantine may have
 * @first: the oldest block in quarantine
 * @n: how many there are
 * @bytes: of these
 * @blocks: a ring
 */
struct mh_guard {
	bool takes;
	moheap_guard_handler_t handler;
	void *data;
	struct mh_sites *sites;
	size_t most;
	unsigned int first;
	unsigned int n;
	size_t bytes;
	struct moheap_block blocks[MH_QUARANTINE];
};

static size_t mh_sites_bytes(const struct moheap *heap)
{
	return (heap->size >> MOHEAP_GRANULE_SHIFT) * sizeof(struct mh_sites);
}

/*
 * mh_guard_init() - find out whether a new heap is guarded, and prepare for it
 *
 * Return: 0 or -ENOMEM.
 */
int mh_guard_init(struct moheap *heap)
{
	struct moheap_linger linger = { .size = sizeof(linger) };
	struct moheap_stat stat = { .size = sizeof(stat) };
	int err = mh_ioctl(heap, MOHEAP_IOC_LINGER, &linger);

	/* -EACCES: it is, and the client is read-only. */
	if (err && err != -EACCES)
		return err == -ENOMEM ? err : 0;
	heap->guard = calloc(1, sizeof(*heap->guard));
	if (!heap->guard)
		return -ENOMEM;
	heap->guard->takes = !err;
	heap->guard->sites = mh_table_map(mh_sites_bytes(heap));
	if (!heap->guard->sites)
		return -ENOMEM;
	heap->guard->most = MH_QUARANTINE_BYTES;
	if (!mh_ioctl(heap, MOHEAP_IOC_STAT, &stat))
		heap->guard->most = mh_min(MH_QUARANTINE_BYTES, stat.limit / MH_QUARANTINE_PART);
	return 0;
}

void mh_guard_free(struct moheap *heap)
{
	if (!heap->guard)
		return;
	if (heap->guard->sites)
		munmap(heap->guard->sites, mh_sites_bytes(heap));
	free(heap->guard);
}

/*
 * mh_guard_forget() - quarantine is somebody else's; caller holds heap->lock
 *
 * @shared: and so is the client, which that one goes on with
 */
void mh_guard_forget(struct moheap *heap, bool shared)
{
	if (!heap->guard)
		return;
	heap->guard->n = 0;
	heap->guard->bytes = 0;
	if (shared)
		heap->guard->takes = false;
}

/*
 * mh_guard_payload() - what the kernel is to be asked for where a program asks for @payload
 */
size_t mh_guard_payload(const struct moheap *heap, size_t payload)
{
	return heap->guard && payload ? payload + MH_ZONE_BYTES : payload;
}

/*
 * mh_guard_asked() - the other way round
 */
size_t mh_guard_asked(const struct moheap *heap, size_t payload)
{
	return heap->guard && payload ? payload - MH_ZONE_BYTES : payload;
}

/* ---- Zones ---- */

enum mh_zone_state {
	MH_ZONE_NONE,		/* none was written yet */
	MH_ZONE_LIVE,		/* an object's, or was when it died */
	MH_ZONE_FILLED,		/* of a block that was filled */
	MH_ZONE_DAMAGED,	/* there is no telling */
};

/**
 * struct mh_zone - a block, and what its word says
 * @state: see there
 * @base: of the block
 * @bytes: of the block
 * @size: of the payload
 */
struct mh_zone {
	enum mh_zone_state state;
	unsigned char *base;
	size_t bytes;
	size_t size;
};

static __u64 mh_zone_word(moheap_ref_t ref, size_t size, bool filled)
{
	__u32 low = (__u32)size << 1 | filled;
	__u64 h = ((__u64)mh_granule(ref) << 32 | low) * 0x9e3779b97f4a7c15ULL;

	h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9ULL;
	return (h & ~0xffffffffULL) | low;
}

static __u64 *mh_zone_word_at(const struct mh_zone *zone)
{
	return (__u64 *)(zone->base + zone->bytes) - 1;
}

static struct mh_zone mh_zone_read(const struct moheap *heap, moheap_ref_t ref, size_t block)
{
	struct mh_zone zone = { .base = moheap_ptr(heap, ref), .bytes = block };
	__u64 word = __atomic_load_n(mh_zone_word_at(&zone), __ATOMIC_ACQUIRE);
	bool filled = word & 1;

	if (!word)
		return zone;
	zone.size = (__u32)word >> 1;
	if (word != mh_zone_word(ref, zone.size, filled) || zone.size + MH_ZONE_BYTES > block) {
		zone.state = MH_ZONE_DAMAGED;
		zone.size = block - MH_ZONE_BYTES;
	} else {
		zone.state = filled ? MH_ZONE_FILLED : MH_ZONE_LIVE;
	}
	return zone;
}

/* From here on the word says nothing, so that the rest can be written. */
static void mh_zone_open(const struct mh_zone *zone)
{
	__atomic_store_n(mh_zone_word_at(zone), 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void mh_zone_close(const struct mh_zone *zone, moheap_ref_t ref, size_t size, bool filled)
{
	__atomic_store_n(mh_zone_word_at(zone), mh_zone_word(ref, size, filled), __ATOMIC_RELEASE);
}

/* The first of the bytes from @from on, up to the word, that is not @want. Return true if one. */
static bool mh_zone_differs(const struct mh_zone *zone, size_t from, unsigned char want,
			    size_t *at)
{
	size_t end = zone->bytes - sizeof(__u64);

	for (*at = from; *at < end; ++*at)
		if (zone->base[*at] != want)
			return true;
	return false;
}

/* What is wrong with a block, and where: 0, or enum moheap_guard_error. */
static int mh_zone_wrong(const struct mh_zone *zone, size_t *at)
{
	bool differs = false;

	*at = zone->bytes - sizeof(__u64);
	switch (zone->state) {
	case MH_ZONE_LIVE:
		differs = mh_zone_differs(zone, zone->size, MH_FENCE_BYTE, at);
		return differs ? MOHEAP_GUARD_OUTSIDE : 0;
	case MH_ZONE_FILLED:
		differs = mh_zone_differs(zone, 0, MH_DEAD_BYTE, at);
		return differs ? MOHEAP_GUARD_AFTER_FREE : 0;
	case MH_ZONE_DAMAGED:
		return MOHEAP_GUARD_OUTSIDE;
	default:
		return 0;
	}
}

/* ---- Reports ---- */

static const char *mh_error_text(unsigned int error)
{
	switch (error) {
	case MOHEAP_GUARD_OUTSIDE:
		return "bytes outside the payload were written";
	case MOHEAP_GUARD_AFTER_FREE:
		return "payload was written after the object was gone";
	case MOHEAP_GUARD_STALE:
		return "a call named an object that is gone";
	default:
		return "a reference was given back that the process does not have";
	}
}

/* "file(function+0x12) [address]", as far as it can be found out. */
static void mh_site_print(const char *what, const void *site)
{
	void *address = (void *)(uintptr_t)site;

	if (site) {
		dprintf(STDERR_FILENO, "moheap:   %s by ", what);
		backtrace_symbols_fd(&address, 1, STDERR_FILENO);
	} else {
		dprintf(STDERR_FILENO, "moheap:   %s where this process does not know\n", what);
	}
}

static void mh_report_print(struct moheap *heap, const struct moheap_guard_report *report)
{
	struct moheap_type info = { .size = sizeof(info), .id = report->type };
	unsigned int i;

	if (report->type < 0 || mh_ioctl(heap, MOHEAP_IOC_TYPE_INFO, &info))
		info.name[0] = 0;
	dprintf(STDERR_FILENO, "moheap: %s\n", mh_error_text(report->error));
	dprintf(STDERR_FILENO, "moheap:   object %#llx of type %s, %zu bytes\n",
		(unsigned long long)report->ref, info.name, report->payload);
	if (report->nfound) {
		dprintf(STDERR_FILENO, "moheap:   found at offset %td:", report->offset);
		for (i = 0; i < report->nfound; i++)
			dprintf(STDERR_FILENO, " %02x", report->found[i]);
		dprintf(STDERR_FILENO, ", not %02x\n", report->wanted);
	}
	mh_site_print("made", report->made);
	if (report->error != MOHEAP_GUARD_OUTSIDE || report->freed)
		mh_site_print("given up", report->freed);
}

static bool mh_damage(unsigned int error)
{
	return error == MOHEAP_GUARD_OUTSIDE || error == MOHEAP_GUARD_AFTER_FREE;
}

/* Tell the program. Does not return where payload was damaged, unless a handler does. */
static void mh_report(struct moheap *heap, struct moheap_guard_report *report)
{
	struct mh_guard *guard = heap->guard;
	const struct mh_sites *sites = &guard->sites[mh_granule(report->ref)];
	__u32 generation = mh_age(report->ref);

	report->size = sizeof(*report);
	if (sites->made_generation == generation)
		report->made = sites->made;
	if (sites->freed_generation == generation)
		report->freed = sites->freed;
	if (guard->handler) {
		guard->handler(heap, report, guard->data);
		return;
	}
	mh_report_print(heap, report);
	if (mh_damage(report->error))
		abort();
}

static void mh_report_zone(struct moheap *heap, moheap_ref_t ref, int type, int error,
			   const struct mh_zone *zone, size_t at)
{
	struct moheap_guard_report report = {
		.error = error,
		.type = type,
		.ref = ref,
		.payload = zone->size,
		.offset = at,
		.wanted = error == MOHEAP_GUARD_OUTSIDE ? MH_FENCE_BYTE : MH_DEAD_BYTE,
		.nfound = mh_min(zone->bytes - at, sizeof(report.found)),
	};

	memcpy(report.found, zone->base + at, report.nfound);
	mh_report(heap, &report);
}

/* ---- Birth ---- */

/* Whom the block had before, as far as the sites tell. */
static moheap_ref_t mh_guard_former(const struct mh_guard *guard, moheap_ref_t ref)
{
	const struct mh_sites *sites = &guard->sites[mh_granule(ref)];
	__u32 generation = sites->freed_generation;

	if (!generation || generation >= mh_age(ref))
		generation = mh_age(ref) - 2;
	return mh_word_ref((__u64)generation << 32, mh_granule(ref));
}

/*
 * mh_guard_born() - make payload and zone of a new object; caller holds heap->lock
 *
 * @block: bytes of its block
 * @payload: bytes that were asked for; the type may say more
 * @site: who made it
 */
void mh_guard_born(struct moheap *heap, const struct mh_type *type, moheap_ref_t ref, size_t block,
		   size_t payload, const void *site)
{
	struct mh_sites *sites = &heap->guard->sites[mh_granule(ref)];
	size_t size = mh_max(payload, mh_guard_asked(heap, type->payload)), at;
	struct mh_zone zone;

	if (block) {
		zone = mh_zone_read(heap, ref, block);
		/* What was not filled was not looked at either: it may be anything. */
		if (zone.state == MH_ZONE_FILLED && mh_zone_wrong(&zone, &at))
			mh_report_zone(heap, mh_guard_former(heap->guard, ref), type->id,
				       MOHEAP_GUARD_AFTER_FREE, &zone, at);
		else if (zone.state == MH_ZONE_DAMAGED)
			mh_report_zone(heap, mh_guard_former(heap->guard, ref), type->id,
				       MOHEAP_GUARD_AFTER_FREE, &zone,
				       block - sizeof(__u64));
		mh_zone_open(&zone);
		memset(zone.base, 0, size);
		memset(zone.base + size, MH_FENCE_BYTE, block - sizeof(__u64) - size);
		mh_zone_close(&zone, ref, size, false);
	}
	sites->made_generation = mh_age(ref);
	sites->made = site;
}

/*
 * mh_guard_size() - bytes of an object's payload that are the program's; caller holds heap->lock
 *
 * @block: bytes of its block
 */
size_t mh_guard_size(const struct moheap *heap, moheap_ref_t ref, size_t block)
{
	struct mh_zone zone;

	if (!heap->guard || !block)
		return block;
	zone = mh_zone_read(heap, ref, block);
	return zone.state == MH_ZONE_LIVE ? zone.size : mh_guard_asked(heap, block);
}

/* ---- Death ---- */

/*
 * mh_guard_given_up() - @site gives up the last reference; caller holds heap->lock
 */
void mh_guard_given_up(struct moheap *heap, moheap_ref_t ref, const void *site)
{
	struct mh_sites *sites;

	if (!ref || !mh_ref_inside(heap, ref))
		return;
	sites = &heap->guard->sites[mh_granule(ref)];
	sites->freed_generation = mh_age(ref);
	sites->freed = site;
}

/*
 * mh_guard_overwritten() - @site lets a slot refer to @now, and its mirror said @old
 *
 * Caller holds heap->lock.
 */
void mh_guard_overwritten(struct moheap *heap, moheap_ref_t old, moheap_ref_t now,
			  const void *site)
{
	if (old != now && !mh_hold_count(heap, old))
		mh_guard_given_up(heap, old, site);
}

/* A block was taken: see what its object left, and fill it. */
static void mh_guard_fill(struct moheap *heap, const struct moheap_block *block)
{
	struct mh_zone zone = mh_zone_read(heap, block->ref, block->payload);
	size_t at;
	int error = mh_zone_wrong(&zone, &at);

	if (error)
		mh_report_zone(heap, block->ref, block->type, error, &zone, at);
	mh_zone_open(&zone);
	memset(zone.base, MH_DEAD_BYTE, zone.bytes - sizeof(__u64));
	mh_zone_close(&zone, block->ref, zone.size, true);
}

static void mh_quarantine_push(struct mh_guard *guard, const struct moheap_block *block)
{
	guard->blocks[(guard->first + guard->n++) % MH_QUARANTINE] = *block;
	guard->bytes += block->payload;
}

static void mh_quarantine_pop(struct mh_guard *guard)
{
	guard->bytes -= guard->blocks[guard->first].payload;
	guard->first = (guard->first + 1) % MH_QUARANTINE;
	guard->n--;
}

/* Take some blocks, and let the oldest go. Return how many were taken. */
static unsigned int mh_guard_take(struct moheap *heap, unsigned int want)
{
	struct moheap_block blocks[MH_DRAIN_BLOCKS];
	struct moheap_linger linger = {
		.size = sizeof(linger),
		.blocks = (uintptr_t)blocks,
		.count = want,
	};
	struct mh_guard *guard = heap->guard;
	unsigned int i;

	while (guard->n && (guard->bytes > guard->most || guard->n > MH_QUARANTINE - want))
		mh_quarantine_pop(guard);
	linger.keep = guard->n;
	if (mh_ioctl(heap, MOHEAP_IOC_LINGER, &linger))
		return 0;
	for (i = 0; i < linger.count; i++) {
		mh_guard_fill(heap, &blocks[i]);
		mh_quarantine_push(guard, &blocks[i]);
	}
	return linger.count;
}

/*
 * mh_guard_drain() - take what lingers, up to a bound, and fill it; caller holds heap->lock
 */
void mh_guard_drain(struct moheap *heap)
{
	int rounds = MH_DRAIN_ROUNDS;

	if (!heap->guard || !heap->guard->takes)
		return;
	while (rounds-- && mh_guard_take(heap, MH_DRAIN_BLOCKS) == MH_DRAIN_BLOCKS)
		;
}

/*
 * mh_guard_release() - the heap is at its limit: keep nothing in quarantine
 *
 * Caller holds heap->lock.
 */
void mh_guard_release(struct moheap *heap)
{
	if (!heap->guard || !heap->guard->takes)
		return;
	mh_guard_forget(heap, false);
	mh_guard_take(heap, 0);
}

/* ---- Stale refs ---- */

/* Does the kernel say of @ref that its object is gone? */
static bool mh_is_stale(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };

	return ref && mh_ioctl(heap, MOHEAP_IOC_OBJECT, &object) == -ESTALE;
}

static void mh_report_ref(struct moheap *heap, moheap_ref_t ref, int error)
{
	struct moheap_guard_report report = { .error = error, .ref = ref };
	struct mh_type *type;
	int err;

	type = mh_type_of(heap, ref, &err);
	report.type = type ? (int)type->id : -1;
	if (type)
		report.payload = mh_guard_asked(heap, type->payload);
	mh_report(heap, &report);
}

/*
 * mh_guard_stale() - a call named @ref, whose object is gone; caller holds heap->lock
 */
void mh_guard_stale(struct moheap *heap, moheap_ref_t ref)
{
	if (heap->guard)
		mh_report_ref(heap, ref, MOHEAP_GUARD_STALE);
}

/*
 * mh_guard_unheld() - a reference to @ref is given back, and there was none; caller holds
 * heap->lock
 */
void mh_guard_unheld(struct moheap *heap, moheap_ref_t ref)
{
	if (heap->guard)
		mh_report_ref(heap, ref, MOHEAP_GUARD_DECREF);
}

/* Which of the refs in an operation that failed with -ESTALE is that of an object gone; or 0. */
static moheap_ref_t mh_stale_of(struct moheap *heap, const struct moheap_op *op)
{
	if (mh_is_stale(heap, op->ref))
		return op->ref;
	if (op->code == MOHEAP_OP_CMPXCHG && mh_is_stale(heap, op->b))
		return op->b;
	switch (op->code) {
	case MOHEAP_OP_STORE:
	case MOHEAP_OP_EXCHANGE:
	case MOHEAP_OP_CMPXCHG:
	case MOHEAP_OP_FILL:
	case MOHEAP_OP_COPY:
		return mh_is_stale(heap, op->a) ? op->a : 0;
	default:
		return 0;
	}
}

/*
 * mh_guard_judge() - operations came back: report what they named that is gone
 *
 * Not by HOLD and WATCH, which ask just that. Caller holds heap->lock.
 */
void mh_guard_judge(struct moheap *heap, const struct moheap_op *ops, unsigned int n)
{
	const struct moheap_op *op;
	moheap_ref_t stale;

	for (op = ops; op < ops + n; op++) {
		if (op->error != -ESTALE || op->code == MOHEAP_OP_HOLD ||
		    op->code == MOHEAP_OP_WATCH)
			continue;
		stale = mh_stale_of(heap, op);
		if (stale)
			mh_guard_stale(heap, stale);
	}
}

/* ---- moheap_check() ---- */

/* The block of a living object, or 0 if that is gone, or has no payload. */
static size_t mh_check_block(struct moheap *heap, moheap_ref_t ref, int *type)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };

	if (mh_ioctl(heap, MOHEAP_IOC_OBJECT, &object))
		return 0;
	*type = object.type;
	return object.payload;
}

/*
 * Look at an object, whoever may be working on it. What is wrong stays so while the object lives.
 * Return true if something is.
 */
static bool mh_check_object(struct moheap *heap, moheap_ref_t ref, size_t block)
{
	struct timespec moment = { .tv_nsec = 1000000 };
	struct mh_zone zone = mh_zone_read(heap, ref, block);
	size_t at, again;
	int type, error, looks;

	/* In stock, it may be filled still. */
	if (zone.state == MH_ZONE_FILLED)
		return false;
	error = mh_zone_wrong(&zone, &at);
	for (looks = 0; error && looks < MH_CHECK_LOOKS; looks++) {
		nanosleep(&moment, NULL);
		moment.tv_nsec *= 2;
		if (mh_check_block(heap, ref, &type) != block)
			return false;
		zone = mh_zone_read(heap, ref, block);
		if (mh_zone_wrong(&zone, &again) != error || again != at)
			return false;
	}
	if (error)
		mh_report_zone(heap, ref, type, error, &zone, at);
	return error;
}

/* Return true if something is wrong. */
static bool mh_check_objects(struct moheap *heap, const moheap_ref_t *refs, unsigned int n)
{
	__u32 page = 0, of;
	bool wrong = false;
	size_t block = 0;
	unsigned int i;
	int type;

	for (i = 0; i < n; i++) {
		/* Blocks that begin in one page are of one size. */
		of = mh_granule(refs[i]) / MH_PAGE_GRANULES;
		if (of != page || !block)
			block = mh_check_block(heap, refs[i], &type);
		page = of;
		if (block && mh_check_object(heap, refs[i], block))
			wrong = true;
	}
	return wrong;
}

static bool mh_check_quarantine(struct moheap *heap)
{
	const struct moheap_block *block;
	struct mh_zone zone;
	bool wrong = false;
	unsigned int i;
	size_t at;

	for (i = 0; i < heap->guard->n; i++) {
		block = &heap->guard->blocks[(heap->guard->first + i) % MH_QUARANTINE];
		zone = mh_zone_read(heap, block->ref, block->payload);
		if (!mh_zone_wrong(&zone, &at))
			continue;
		mh_report_zone(heap, block->ref, block->type, MOHEAP_GUARD_AFTER_FREE, &zone, at);
		wrong = true;
		/* Once: from here on it is as it should be. */
		mh_zone_open(&zone);
		memset(zone.base, MH_DEAD_BYTE, zone.bytes - sizeof(__u64));
		mh_zone_close(&zone, block->ref, zone.size, true);
	}
	return wrong;
}

/*
 * mh_guard_check() - look at the zones of all objects, and at what is in quarantine
 *
 * Caller holds heap->lock.
 *
 * Return: 0, or -EUCLEAN where something was reported; or a negative errno.
 */
int mh_guard_check(struct moheap *heap)
{
	struct moheap_objects objects = { .size = sizeof(objects) };
	moheap_ref_t refs[MH_CHECK_REFS];
	bool wrong;
	int err;

	if (!heap->guard)
		return 0;
	mh_guard_drain(heap);
	wrong = mh_check_quarantine(heap);
	while (objects.cursor != MOHEAP_OBJECTS_END) {
		objects.refs = (uintptr_t)refs;
		objects.count = MH_CHECK_REFS;
		err = mh_ioctl(heap, MOHEAP_IOC_OBJECTS, &objects);
		if (err)
			return err;
		if (mh_check_objects(heap, refs, objects.count))
			wrong = true;
	}
	return wrong ? -EUCLEAN : 0;
}

/* ---- The interface ---- */

int moheap_set_guard_handler(struct moheap *heap, moheap_guard_handler_t handler, void *data)
{
	if (!heap->guard)
		return -EPERM;
	mh_lock(&heap->lock);
	heap->guard->handler = handler;
	heap->guard->data = data;
	mh_unlock(&heap->lock);
	return 0;
}
