// SPDX-License-Identifier: GPL-2.0
/*
 * The trace: find every object that no client can reach, beside the mutators, and free it.
 *
 * heap->phase goes IDLE, CLEAR, MARKING, (FINALIZING,) SWEEPING, IDLE, each change a bounded step
 * under the exclusive gate. Between the changes the trace works in slices under the shared gate,
 * like any mutator. It allocates nothing: marks, grey objects and candidates are bitmaps of the
 * pools, and a pool with grey objects is queued through a node of its own.
 *
 *	CLEAR		wipe the marks, and the candidates: this trace answers for them (but not
 *			for garbage that a store marks later, see mh_shade_stored())
 *	MARKING		mark what clients hold, what is frozen or saved, then what marked objects
 *			refer to, until no object is grey (marked, but its slots not followed yet)
 *	FINALIZING	if a client listens for objects to finalize: unmarked means
 *			unreachable. Tell those who watch such objects; stage what is due, hold
 *			it for the keeper and mark it; then mark what that reaches, until no
 *			object is grey; then queue what was staged for its clients. If garbage is
 *			to be saved, all that is unmarked still is marked and saved (garbage.c)
 *	SWEEPING	unmarked means condemned: make the generation even, so that nothing names
 *			the object any more, clear its slots, and let the counts free it
 *
 * Why no live object is freed. Say an object is reachable when MARKING ends: from a client's
 * hold, through slots. By induction along that path every object on it is marked:
 *
 * - The held one: when the walk over the roots passed its pool, the hold was there, and it was
 *   marked; or it came later, and mh_shade_held() marked it (barrier H); or the object
 *   was born since the marks were wiped for good, with its mark (barrier B).
 * - The next one, to which a slot of a marked object refers: the marked one has been followed,
 *   or it would be grey. If the slot said so then, its target was marked. If it says so since,
 *   whoever stored it shaded the target (barrier S: store, exchange, compare-exchange, fill,
 *   copy). An object born marked has empty slots, so all of them were stored.
 *
 * What is frozen is a root like what is held; why not all of it need be followed, and why that
 * takes a barrier more (F), freeze.c says.
 *
 * No other barrier is needed: clients have no registers that hide references, every reference
 * is taken in the kernel, under the gate. Overwriting or dropping a reference needs none, for
 * the induction looks only at what is there when MARKING ends. That is checked under the
 * exclusive gate: no grey pool is queued and none is in hand, and nobody else is inside.
 *
 * Without H: a client turns a ref that it kept, unheld, into a hold after its pool was passed.
 * Without S: a slot that has been followed gets the only reference to an unmarked object, and
 * the one that led there before is cleared. Without B: a new object is unmarked and held in a
 * pool that was passed. In each case a live object would be condemned. From the start of
 * SWEEPING, an unmarked object is as good as gone (mh_pin() says -ESTALE): without that barrier
 * (C) a hold could bring back an object whose slots are being cleared.
 *
 * FINALIZING is a second MARKING, after which the same holds, with the same barriers: new roots are
 * what the keeper holds, shaded as it gets the hold (H). But C is there from its beginning: refs to
 * the unmarked do not pin them, so nobody can bring back what was found unreachable, and all of it
 * that is due is seen to be. (What dies meanwhile by its count is rescued by itself, and marked.)
 * Nothing grey is followed before all is staged: what is due, but reached by something else that is
 * due, is still unmarked until then. Who has an object in hand, so a marked one, may find
 * unmarked ones in its slots from then on; they would be marked soon, and mh_pin_slot() does it at
 * once, so that no ref is stale that will be valid again.
 *
 * Why no garbage survives a full collect. Only three things mark an object: a hold, birth, or a
 * slot of a marked object. What is unreachable when MARKING begins, and is not brought back
 * with a ref somebody kept, is referred to only by objects that are unreachable as well: none of
 * them is ever marked. So all of it is swept. This is why there is no snapshot at the
 * beginning: shading what is overwritten would keep garbage that a dead object referred to. An
 * object referred to by the dead that wait on heap->dead is condemned all the same; its count
 * falls to zero when they are reaped, which mh_collect() waits for. What is due, and what it
 * reaches, survives once.
 *
 * Why it ends. Every slice of MARKING follows an object, each at most once a trace, and once more
 * for each time that all is unfrozen meanwhile. Objects born during it are never grey.
 *
 * Sweeping against the rest. Nobody but the sweep and the clearing of slots touches a condemned
 * object: refs do not pin it, and no marked object refers to it. The sweep adds a pin before it
 * clears the slots, so that an object that refers to itself is not freed under its hands. The
 * block goes when the count reaches zero, in the hands of whoever took it there, as for every
 * object (object.c).
 *
 * After "Concurrent Cycle Collection in Reference Counted Systems" (Bacon, Rajan 2001) in its
 * use of a trace behind counts, and Dijkstra's on-the-fly collector (1978) for the barrier.
 *
 * Locks: heap->collect_lock throughout; the gate as said.
 */
#include <linux/rculist.h>

#include "internal.h"
#include "tracepoints.h"

/*
 * Bounds of a slice, that is, of the time that a step under the exclusive gate (and with it,
 * every mutator behind it) may have to wait for the trace.
 */
#define MH_CLEAR_STEP	32	/* pools whose bitmaps are wiped: 3 times 16 words each */
#define MH_ROOTS_STEP	16	/* pools whose hold bits are read, 16 words a client */
#define MH_MARK_STEP	512	/* slots followed */
#define MH_SWEEP_STEP	512	/* slots cleared */
#define MH_SWEEP_POOLS	64	/* pools looked at for unmarked objects */

static void mh_set_phase(struct mh_heap *heap, enum mh_phase phase)
{
	lockdep_assert_held_write(&heap->gate);
	heap->phase = phase;
	heap->collect->cursor = 0;
}

static struct mh_pool *mh_next_pool(struct mh_heap *heap)
{
	return xa_find(&heap->pools, &heap->collect->cursor, ULONG_MAX, XA_PRESENT);
}

/**
 * mh_trace_begin() - begin a trace
 * @heap: the heap, idle; caller holds heap->collect_lock and not the gate
 */
void mh_trace_begin(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;
	u64 since;

	lockdep_assert_held(&heap->collect_lock);
	c->begun++;
	c->nstaged = 0;
	c->nsaved = 0;
	c->started = ktime_get_ns();
	trace_moheap_trace_begin(heap, c->begun);
	mh_tell_begin(heap, MOHEAP_COLLECT_FULL);
	mh_gate_exclusive(heap, &since);
	mh_set_phase(heap, MH_CLEAR);
	atomic_set(&heap->escaped, 0);
	mh_gate_release(heap, since);
}

static void mh_clear_pool(struct mh_heap *heap, struct mh_pool *pool)
{
	unsigned long *cand = mh_map(pool, MH_CAND);
	u32 i;

	for (i = 0; i < pool->words; i++) {
		WRITE_ONCE(mh_map(pool, MH_MARK)[i], 0);
		WRITE_ONCE(mh_map(pool, MH_LARGE)[i], 0);
		if (READ_ONCE(cand[i]))
			atomic_sub(hweight_long(xchg(&cand[i], 0)), &heap->ncand);
	}
}

/* Return true when all pools are done. */
static bool mh_clear_slice(struct mh_heap *heap)
{
	struct mh_pool *pool;
	int n;

	for (n = 0; n < MH_CLEAR_STEP; n++) {
		pool = mh_next_pool(heap);
		if (!pool)
			return true;
		mh_clear_pool(heap, pool);
		heap->collect->cursor++;
	}
	return false;
}

static void mh_root_word(struct mh_heap *heap, struct mh_pool *pool, u32 word,
			 unsigned long held)
{
	unsigned long *mark = mh_map(pool, MH_MARK);
	unsigned long fresh = held & ~READ_ONCE(mark[word]);

	if (!fresh)
		return;
	fresh &= ~atomic_long_fetch_or(fresh, (atomic_long_t *)&mark[word]);
	heap->collect->stat.trace_visits += hweight_long(fresh);
	mh_grey(heap, pool, word, fresh);
}

/* What is frozen and not remembered refers to what is frozen: no need to follow it. */
static void mh_frozen_word(struct mh_heap *heap, struct mh_pool *pool, u32 word)
{
	unsigned long frozen = READ_ONCE(mh_map(pool, MH_FROZEN)[word]);
	unsigned long *mark = mh_map(pool, MH_MARK);

	if (!frozen)
		return;
	mh_root_word(heap, pool, word, frozen & READ_ONCE(mh_map(pool, MH_REMEMBERED)[word]));
	atomic_long_or(frozen, (atomic_long_t *)&mark[word]);
}

static void mh_roots_pool(struct mh_heap *heap, struct mh_pool *pool)
{
	struct mh_holds *holds;
	u32 i;

	for (i = 0; mh_freezes(heap) && i < pool->words; i++)
		mh_frozen_word(heap, pool, i);
	for (i = 0; mh_saves(heap) && i < pool->words; i++)
		mh_root_word(heap, pool, i, READ_ONCE(mh_map(pool, MH_SAVED)[i]));
	rcu_read_lock();
	hlist_for_each_entry_rcu(holds, &pool->holders, node)
		for (i = 0; i < pool->words; i++)
			mh_root_word(heap, pool, i, READ_ONCE(holds->bits[i]));
	rcu_read_unlock();
}

/* Return true when all roots are marked. */
static bool mh_roots_slice(struct mh_heap *heap)
{
	struct mh_pool *pool;
	int n;

	for (n = 0; n < MH_ROOTS_STEP; n++) {
		pool = mh_next_pool(heap);
		if (!pool)
			return true;
		mh_roots_pool(heap, pool);
		heap->collect->cursor++;
	}
	return false;
}

static void mh_follow(struct mh_heap *heap, const struct mh_obj *o, u32 *slots, u32 from, u32 to)
{
	bool frozen = mh_is_frozen(heap, o);
	struct mh_obj target;
	u32 i, granule;

	for (i = from; i < to; i++) {
		granule = READ_ONCE(slots[i]);
		if (!granule || mh_pool_find(heap, granule, &target))
			continue;
		mh_shade(heap, &target);
		if (unlikely(frozen) && !mh_test(&target, MH_FROZEN))
			mh_frozen_remember(o);
	}
}

/*
 * Slots kept apart may be many, and are freed with their object. They are followed over as many
 * slices as it takes, with the object pinned in each, and not in between: a pin that a local
 * pass sees would keep garbage.
 */
static int mh_follow_apart(struct mh_heap *heap, int budget)
{
	struct mh_collect *c = heap->collect;
	struct mh_dead dead = { };
	u32 nslots, n, *slots;
	struct mh_obj o;

	if (mh_pin(heap, c->following, &o)) {
		c->following = 0;
		return 1;
	}
	slots = mh_slots(&o, &nslots);
	n = min_t(u32, nslots - c->followed, budget);
	mh_follow(heap, &o, slots, c->followed, c->followed + n);
	c->followed += n;
	if (c->followed == nslots)
		c->following = 0;
	mh_unpin(heap, &o, &dead);
	mh_reap(heap, &dead, MH_REAP_INLINE);
	return n + 1;
}

/* Follow the slots of a grey object, or begin to. Return what it cost. */
static int mh_follow_object(struct mh_heap *heap, const struct mh_obj *o)
{
	struct mh_collect *c = heap->collect;
	u32 nslots;
	u32 *slots;

	c->stat.trace_visits++;
	if (mh_is_frozen(heap, o))
		mh_frozen_follow(heap, o);
	if (o->pool->bin->geo.kind != MH_SLOTS_APART) {
		slots = mh_slots(o, &nslots);
		mh_follow(heap, o, slots, 0, nslots);
		return nslots + 1;
	}
	/* Dead meanwhile, it is not found again. */
	c->following = mh_ref(o);
	c->followed = 0;
	return 1;
}

static bool mh_next_grey(struct mh_pool *pool, struct mh_obj *o)
{
	o->idx = mh_first_bit(pool, MH_GREY, 0);
	if (o->idx >= pool->nblocks)
		return false;
	clear_bit(o->idx, mh_map(pool, MH_GREY));
	o->pool = pool;
	o->header = mh_header(pool, o->idx);
	return true;
}

/* A pool without grey objects leaves the queue, unless one turns up at the last moment. */
static bool mh_grey_done(struct mh_pool *pool)
{
	clear_bit(MH_QUEUED_GREY, &pool->queued);
	/* The flag before the bits: mh_grey() sets them in the other order. */
	smp_mb__after_atomic();
	if (mh_first_bit(pool, MH_GREY, 0) >= pool->nblocks)
		return true;
	return test_and_set_bit(MH_QUEUED_GREY, &pool->queued);
}

static struct mh_pool *mh_grey_pool(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;
	struct llist_node *node;

	if (c->grey_pool)
		return c->grey_pool;
	node = llist_del_first(&heap->grey);
	if (node)
		c->grey_pool = llist_entry(node, struct mh_pool, grey_node);
	return c->grey_pool;
}

/* Return true when no grey object was left. */
static bool mh_mark_slice(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;
	int budget = MH_MARK_STEP;
	struct mh_pool *pool;
	struct mh_obj o;

	while (budget > 0) {
		if (c->following) {
			budget -= mh_follow_apart(heap, budget);
			continue;
		}
		pool = mh_grey_pool(heap);
		if (!pool)
			return true;
		if (mh_next_grey(pool, &o))
			budget -= mh_follow_object(heap, &o);
		else if (mh_grey_done(pool))
			c->grey_pool = NULL;
	}
	return false;
}

/*
 * Make the object in a block that is taken and unmarked unreachable, for good, and pin it.
 * Return false if none lives there, or it was born meanwhile.
 */
static bool mh_condemn(struct mh_heap *heap, const struct mh_obj *o)
{
	u64 word = atomic64_read_acquire(&o->header->word);

	do {
		if (!mh_alive(word) || !mh_count(word) || mh_test(o, MH_MARK))
			return false;
	} while (!atomic64_try_cmpxchg(&o->header->word, &word,
				       mh_word(mh_gen_after(mh_gen(word)),
					       mh_count(word) + 1)));
	if (mh_watched(o))
		mh_watches_fire(heap, o);
	mh_slots_begin(o);
	this_cpu_add(heap->counters->freed_trace, 1);
	return true;
}

/* Clear the slots of the condemned object in hand; when all are, let go of it. */
static void mh_sweep_object(struct mh_heap *heap, struct mh_dead *dead, int *budget)
{
	struct mh_obj *o = &heap->collect->condemned;

	if (!mh_slots_clear(heap, o, dead, budget))
		return;
	mh_unpin(heap, o, dead);
	o->pool = NULL;
}

/* The next block of @pool, from collect->sweep_idx on, that is taken and unmarked. */
static bool mh_next_unmarked(struct mh_heap *heap, struct mh_pool *pool, struct mh_obj *o)
{
	struct mh_collect *c = heap->collect;
	unsigned long *free = mh_map(pool, MH_FREE);
	unsigned long *mark = mh_map(pool, MH_MARK);
	unsigned long bits;
	u32 word;

	while (c->sweep_idx < pool->nblocks) {
		word = c->sweep_idx / BITS_PER_LONG;
		bits = ~(READ_ONCE(free[word]) | READ_ONCE(mark[word]));
		bits &= ~0UL << (c->sweep_idx % BITS_PER_LONG);
		if (!bits) {
			c->sweep_idx = (word + 1) * BITS_PER_LONG;
			continue;
		}
		o->idx = word * BITS_PER_LONG + __ffs(bits);
		if (o->idx >= pool->nblocks)
			break;
		o->pool = pool;
		o->header = mh_header(pool, o->idx);
		c->sweep_idx = o->idx + 1;
		return true;
	}
	return false;
}

/* The pool being swept. Between two slices it may have become empty, and gone. */
static struct mh_pool *mh_sweep_pool(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;
	struct mh_pool *pool = mh_next_pool(heap);

	if (c->cursor != c->sweep_id) {
		c->sweep_id = c->cursor;
		c->sweep_idx = 0;
	}
	return pool;
}

/* Return true when all pools are swept. */
static bool mh_sweep_slice(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;
	struct mh_dead dead = { };
	int budget = MH_SWEEP_STEP;
	struct mh_pool *pool = NULL;
	struct mh_obj o;
	int pools = 0;

	while (budget > 0 && pools < MH_SWEEP_POOLS) {
		if (c->condemned.pool) {
			mh_sweep_object(heap, &dead, &budget);
			continue;
		}
		pool = mh_sweep_pool(heap);
		if (!pool)
			break;
		if (mh_next_unmarked(heap, pool, &o)) {
			budget--;
			if (mh_condemn(heap, &o))
				c->condemned = o;
		} else {
			c->cursor++;
			pools++;
		}
	}
	mh_reap(heap, &dead, MH_SWEEP_STEP);
	return budget > 0 && pools < MH_SWEEP_POOLS && !pool;
}

/* What FINALIZING is at. */
enum {
	MH_FINAL_TELL,	/* who watches what is unreachable is told */
	MH_FINAL_STAGE,	/* what is unreachable and finalizable is staged, and marked */
	MH_FINAL_MARK,	/* what that reaches is marked; then clients are told */
	MH_FINAL_SAVE,	/* if garbage is to be saved: what is unmarked is, and marked */
	MH_FINAL_END,	/* what somebody marked meanwhile is followed */
};

static void mh_finalizing_begin(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;

	mh_set_phase(heap, MH_FINALIZING);
	c->final_step = MH_FINAL_TELL;
	c->sweep_id = ULONG_MAX;
}

/*
 * The pin becomes the heap's reference. One too many that cannot be: the object is kept, and
 * looked at again by the next trace.
 */
static bool mh_finalizing_save(struct mh_heap *heap, const struct mh_obj *o)
{
	if (mh_count(atomic64_read(&o->header->word)) > MOHEAP_COUNT_MAX) {
		mh_shade(heap, o);
		return false;
	}
	mh_save(heap, o);
	heap->collect->nsaved++;
	return true;
}

/* @o was unreachable when MARKING ended. It may die by itself, and its block be used anew. */
static void mh_finalizing_object(struct mh_heap *heap, const struct mh_obj *o,
				 struct mh_dead *dead)
{
	struct mh_collect *c = heap->collect;

	if (!mh_pin_live(o))
		return;
	if (!mh_test(o, MH_MARK)) {
		if (c->final_step == MH_FINAL_TELL) {
			mh_watches_fire(heap, o);
		} else if (c->final_step == MH_FINAL_SAVE) {
			if (mh_finalizing_save(heap, o))
				return;
		} else if (mh_count(atomic64_read(&o->header->word)) <= MOHEAP_COUNT_MAX &&
			   mh_final_stage(heap, o, &c->staged)) {
			/* The pin is the keeper's, and so a reference, which may be too many. */
			mh_final_keep(heap, o);
			c->nstaged++;
			return;
		}
	}
	mh_unpin(heap, o, dead);
}

static bool mh_finalizing_wants(const struct mh_collect *c, const struct mh_pool *pool)
{
	switch (c->final_step) {
	case MH_FINAL_TELL:
		return READ_ONCE(pool->watches);
	case MH_FINAL_STAGE:
		return pool->final;
	default:
		return true;
	}
}

/* Look at what is unreachable in some pools. Return true when all are done. */
static bool mh_finalizing_pools(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;
	int budget = MH_SWEEP_STEP, pools = 0;
	struct mh_dead dead = { };
	struct mh_pool *pool = NULL;
	struct mh_obj o;

	while (budget > 0 && pools < MH_SWEEP_POOLS) {
		pool = mh_sweep_pool(heap);
		if (!pool)
			break;
		if (mh_finalizing_wants(c, pool) && mh_next_unmarked(heap, pool, &o)) {
			budget -= 1 + mh_watched(&o);
			if (c->final_step != MH_FINAL_TELL || mh_watched(&o))
				mh_finalizing_object(heap, &o, &dead);
		} else {
			c->cursor++;
			pools++;
		}
	}
	mh_reap(heap, &dead, MH_SWEEP_STEP);
	return !pool;
}

/* Return true when MARKING, as it were, is over again, and all clients are told. */
static bool mh_finalizing_slice(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;

	if (c->final_step == MH_FINAL_END)
		return mh_mark_slice(heap);
	if (c->final_step == MH_FINAL_MARK) {
		if (!mh_mark_slice(heap) || !mh_final_deliver(heap, &c->staged))
			return false;
		if (!c->saving)
			return true;
	} else if (!mh_finalizing_pools(heap)) {
		return false;
	}
	c->final_step++;
	c->cursor = 0;
	c->sweep_id = ULONG_MAX;
	return false;
}

static void mh_trace_end(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;
	struct mh_counters sum;
	u64 ns = ktime_get_ns() - c->started;

	mh_counters_sum(heap, &sum);
	c->live = mh_counters_live(&sum);
	c->allocated = sum.allocated;
	c->ended = jiffies;
	c->lasted = nsecs_to_jiffies(ns);
	c->finished++;
	c->stat.traces++;
	WRITE_ONCE(c->spared_ever, c->spared_ever + c->nstaged + c->nsaved);
	mh_tell_end(heap, MOHEAP_COLLECT_FULL, &(const struct mh_findings){
		sum.freed_trace - c->freed_trace, c->nsaved, c->nstaged });
	c->freed_trace = sum.freed_trace;
	trace_moheap_trace_end(heap, c->finished, c->live, ns);
}

/* MARKING is over if nothing is grey, now that nobody can shade. */
static bool mh_marked_all(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;

	lockdep_assert_held_write(&heap->gate);
	return !c->grey_pool && !c->following && llist_empty(&heap->grey);
}

static bool mh_trace_slice(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;
	bool done = false;

	down_read(&heap->gate);
	switch (heap->phase) {
	case MH_CLEAR:
		done = mh_clear_slice(heap);
		break;
	case MH_MARKING:
		if (!c->rooted)
			c->rooted = mh_roots_slice(heap);
		else
			done = mh_mark_slice(heap);
		break;
	case MH_FINALIZING:
		done = mh_finalizing_slice(heap);
		break;
	case MH_SWEEPING:
		done = mh_sweep_slice(heap);
		break;
	case MH_IDLE:
		break;
	}
	up_read(&heap->gate);
	return done;
}

static void mh_trace_advance(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;
	u64 since;

	mh_gate_exclusive(heap, &since);
	switch (heap->phase) {
	case MH_CLEAR:
		mh_set_phase(heap, MH_MARKING);
		c->rooted = false;
		break;
	case MH_MARKING:
		c->saving = mh_saving(heap);
		if (mh_marked_all(heap) && (c->saving || mh_finalizing(heap))) {
			mh_finalizing_begin(heap);
			break;
		}
		fallthrough;
	case MH_FINALIZING:
		if (mh_marked_all(heap)) {
			mh_set_phase(heap, MH_SWEEPING);
			c->sweep_id = ULONG_MAX;
		}
		break;
	case MH_SWEEPING:
		mh_set_phase(heap, MH_IDLE);
		break;
	case MH_IDLE:
		break;
	}
	mh_gate_release(heap, since);
}

/**
 * mh_trace_step() - go on with the trace under way, by a bounded step
 * @heap: the heap; caller holds heap->collect_lock and not the gate
 *
 * Return: true when the trace is finished.
 */
bool mh_trace_step(struct mh_heap *heap)
{
	lockdep_assert_held(&heap->collect_lock);
	if (mh_trace_slice(heap))
		mh_trace_advance(heap);
	if (heap->phase != MH_IDLE)
		return false;
	mh_trace_end(heap);
	return true;
}
