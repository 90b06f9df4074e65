// SPDX-License-Identifier: GPL-2.0
/*
 * Clients: what one open file holds, and the pools it allocates from.
 *
 * A hold is a bit: struct mh_holds has one for each block of a pool, made when the client first
 * holds something there, found by pool id in client->holds, and by the trace in pool->holders.
 * A set bit is part of the object's count, always: it is set after the count was raised for it
 * and cleared before the count is lowered. So a client's death is a walk over its bits.
 *
 * New objects come from the pool that is active for the client in the object's bin; no other
 * client takes blocks there. When that pool is full, mh_client_grow() finds another. It runs
 * outside the gate, as it allocates and reserves memory.
 *
 * Locks: client->grow_lock, a mutex: one thread of the client looks for pools at a time. It is
 * the only writer of client->active. client->lock, a spinlock: the active pools, and with them
 * the right to take blocks. pool->holders changes under bin->lock and is read under RCU.
 * client->holds gets entries outside the gate or under it, and loses them under it.
 */
#include <linux/rculist.h>
#include <linux/sched/signal.h>

#include "internal.h"
#include "tracepoints.h"

/* Dead slots that a client in need of a pool clears first, so that frees keep up with births. */
#define MH_GROW_REAP	4096

static struct mh_client *mh_client_new(struct mh_heap *heap, bool readonly)
{
	struct mh_client *client = kzalloc(sizeof(*client), MH_GFP);

	if (!client)
		return NULL;
	client->heap = heap;
	client->id = atomic_inc_return(&heap->last_client);
	client->readonly = readonly;
	mutex_init(&client->grow_lock);
	spin_lock_init(&client->lock);
	xa_init_flags(&client->holds, XA_FLAGS_ACCOUNT);
	mh_events_init(client);
	return client;
}

/**
 * mh_client_create() - a client that holds nothing
 * @heap: its heap: the reference of the caller becomes the client's
 * @readonly: may change nothing
 *
 * Return: the client, or NULL when memory is short; the caller keeps its reference then.
 */
struct mh_client *mh_client_create(struct mh_heap *heap, bool readonly)
{
	return mh_client_new(heap, readonly);
}

/**
 * mh_client_of_heap() - a client without a file, by which the heap itself holds objects
 * @heap: the heap; no lock may be held
 * @which: where the heap has it: made there if it is missing, for mh_client_forget()
 *
 * Return: the client, or NULL when memory is short.
 */
struct mh_client *mh_client_of_heap(struct mh_heap *heap, struct mh_client **which)
{
	struct mh_client *client = READ_ONCE(*which), *first;

	if (client)
		return client;
	client = mh_client_new(heap, true);
	if (!client)
		return NULL;
	first = cmpxchg(which, NULL, client);
	if (!first)
		return client;
	mh_client_forget(client);
	return first;
}

/**
 * mh_client_holds() - the hold bits of a client in a pool
 * @client: the client
 * @pool: the pool; caller holds the gate or has it active
 *
 * Return: the bits, or NULL if it never held anything there.
 */
struct mh_holds *mh_client_holds(struct mh_client *client, struct mh_pool *pool)
{
	struct mh_holds *first;

	/* Most pools have one holder, or the one that made the objects last. */
	rcu_read_lock();
	first = hlist_entry_safe(rcu_dereference(hlist_first_rcu(&pool->holders)),
				 struct mh_holds, node);
	if (!first || first->client != client)
		first = NULL;
	rcu_read_unlock();
	return first ? first : xa_load(&client->holds, pool->id);
}

static size_t mh_holds_bytes(u32 nblocks)
{
	return struct_size((struct mh_holds *)NULL, bits, BITS_TO_LONGS(nblocks));
}

static struct mh_holds *mh_holds_new(struct mh_client *client, u32 nblocks)
{
	struct mh_holds *holds = kzalloc(mh_holds_bytes(nblocks), MH_GFP);

	if (!holds)
		return NULL;
	holds->client = client;
	atomic64_add(mh_holds_bytes(nblocks), &client->heap->kernel_bytes);
	return holds;
}

static void mh_holds_free(struct mh_heap *heap, struct mh_holds *holds, u32 nblocks)
{
	mh_uncharge(heap, &heap->kernel_bytes, mh_holds_bytes(nblocks));
	kfree_rcu(holds, rcu);
}

static void mh_holds_link(struct mh_holds *holds, struct mh_pool *pool)
{
	holds->pool = pool;
	spin_lock(&pool->bin->lock);
	hlist_add_head_rcu(&holds->node, &pool->holders);
	spin_unlock(&pool->bin->lock);
}

static void mh_holds_unlink(struct mh_holds *holds)
{
	spin_lock(&holds->pool->bin->lock);
	hlist_del_rcu(&holds->node);
	spin_unlock(&holds->pool->bin->lock);
}

/**
 * mh_holds_forget() - free all hold bits of an empty pool
 * @pool: a pool that is going away; caller holds the exclusive gate
 */
void mh_holds_forget(struct mh_pool *pool)
{
	struct hlist_node *next;
	struct mh_holds *holds;

	lockdep_assert_held_write(&pool->heap->gate);
	hlist_for_each_entry_safe(holds, next, &pool->holders, node) {
		xa_erase(&holds->client->holds, pool->id);
		mh_holds_unlink(holds);
		mh_holds_free(pool->heap, holds, pool->nblocks);
	}
}

/* Enter @holds, if the pool is still the one they were made for. Caller holds the gate. */
static bool mh_holds_enter(struct mh_client *client, struct mh_holds *holds, u32 pool_id,
			   u32 nblocks)
{
	struct mh_pool *pool = xa_load(&client->heap->pools, pool_id);
	bool entered;

	if (!pool || pool->nblocks != nblocks)
		return false;
	holds->pool = pool;
	spin_lock(&client->lock);
	/* The entry was reserved: this allocates nothing. */
	entered = !xa_load(&client->holds, pool_id) &&
		  !xa_err(xa_store(&client->holds, pool_id, holds, GFP_NOWAIT));
	spin_unlock(&client->lock);
	if (entered)
		mh_holds_link(holds, pool);
	return entered;
}

/**
 * mh_client_reserve() - make hold bits for a pool
 * @client: the client; neither the gate nor a lock may be held
 * @pool_id: which pool
 * @nblocks: its blocks, when it was last seen
 *
 * Should the pool have gone meanwhile, nothing happens; the caller looks again anyway.
 *
 * Return: 0 or -ENOMEM.
 */
int mh_client_reserve(struct mh_client *client, u32 pool_id, u32 nblocks)
{
	struct mh_heap *heap = client->heap;
	struct mh_holds *holds;
	bool entered;

	holds = mh_holds_new(client, nblocks);
	if (!holds)
		return -ENOMEM;
	if (xa_reserve(&client->holds, pool_id, MH_GFP)) {
		mh_holds_free(heap, holds, nblocks);
		return -ENOMEM;
	}
	down_read(&heap->gate);
	entered = mh_holds_enter(client, holds, pool_id, nblocks);
	up_read(&heap->gate);
	if (!entered)
		mh_holds_free(heap, holds, nblocks);
	return 0;
}

/* Room in client->active for the bin. */
static int mh_active_room(struct mh_client *client, u32 bin_id)
{
	struct mh_active *more, *old;
	u32 n;

	lockdep_assert_held(&client->grow_lock);
	if (bin_id < client->nactive)
		return 0;
	n = roundup_pow_of_two(max(bin_id + 1, 8U));
	more = kvcalloc(n, sizeof(*more), MH_GFP);
	if (!more)
		return -ENOMEM;
	atomic64_add((n - client->nactive) * sizeof(*more), &client->heap->kernel_bytes);
	memcpy(more, client->active, client->nactive * sizeof(*more));
	spin_lock(&client->lock);
	old = client->active;
	client->active = more;
	client->nactive = n;
	spin_unlock(&client->lock);
	kvfree(old);
	return 0;
}

/* The hold bits in a pool that is active for the caller, made if need be. */
static struct mh_holds *mh_active_holds(struct mh_client *client, struct mh_pool *pool)
{
	struct mh_holds *holds = mh_client_holds(client, pool);
	int err;

	if (holds)
		return holds;
	err = mh_client_reserve(client, pool->id, pool->nblocks);
	return err ? NULL : mh_client_holds(client, pool);
}

/* Dead objects are memory too: before taking more, free some. */
static void mh_grow_reap(struct mh_heap *heap)
{
	int i;
	bool more = true;

	for (i = 0; more && i < MH_GROW_REAP / MH_REAP_STEP; i++) {
		down_read(&heap->gate);
		more = mh_reap_step(heap, MH_REAP_STEP);
		up_read(&heap->gate);
	}
}

static int mh_grow_locked(struct mh_client *client, struct mh_bin *bin)
{
	struct mh_active *active;
	struct mh_pool *pool, *old;
	struct mh_holds *holds;
	int err;

	err = mh_active_room(client, bin->id);
	if (err)
		return err;
	active = &client->active[bin->id];
	if (active->pool && atomic_read(&active->pool->nfree) > 0)
		return 0;
	pool = mh_pool_adopt(bin);
	/* Our own may lack memory for some of its blocks. */
	if (!pool && active->pool && active->pool->holes)
		return mh_pool_refill(active->pool);
	if (!pool)
		pool = mh_pool_create(client->heap, bin);
	if (IS_ERR(pool))
		return PTR_ERR(pool);
	err = mh_final_prepare(pool);
	holds = err ? NULL : mh_active_holds(client, pool);
	if (!holds) {
		mh_pool_retire(pool);
		return err ? err : -ENOMEM;
	}
	spin_lock(&client->lock);
	old = active->pool;
	active->pool = pool;
	active->holds = holds;
	spin_unlock(&client->lock);
	if (old)
		mh_pool_retire(old);
	return 0;
}

/**
 * mh_client_grow() - find a pool with free blocks for a client
 * @client: the client; neither the gate nor a lock may be held
 * @bin: what blocks it needs
 *
 * Return: 0, -ENOSPC at the heap's limit, -ENOMEM, or -EINTR when a signal came. After 0 there
 * are free blocks, unless another thread of the client was quicker.
 */
int mh_client_grow(struct mh_client *client, struct mh_bin *bin)
{
	int err;

	if (atomic_read(&client->heap->ndead))
		mh_grow_reap(client->heap);
	mh_collector_assist(client->heap);
	mutex_lock(&client->grow_lock);
	err = mh_grow_locked(client, bin);
	mutex_unlock(&client->grow_lock);
	return err;
}

static void mh_header_begin(struct mh_pool *pool, u32 idx, u32 nslots, u32 *apart)
{
	struct mh_counted *counted;
	struct mh_apart *header;

	switch (pool->bin->geo.kind) {
	case MH_SLOTS_FIXED:
		break;
	case MH_SLOTS_COUNTED:
		counted = container_of(mh_header(pool, idx), struct mh_counted, header);
		WRITE_ONCE(counted->nslots, nslots);
		break;
	case MH_SLOTS_APART:
		header = container_of(mh_header(pool, idx), struct mh_apart, header);
		header->slots = apart;
		WRITE_ONCE(header->nslots, nslots);
		break;
	}
}

/*
 * Give life to the blocks in @mask. A trace must find them marked, so that goes first; the
 * word, which makes them visible, goes last.
 */
static u32 mh_births(struct mh_client *client, struct mh_active *active, u32 word,
		     unsigned long mask, u32 nslots, u32 *apart, u64 *refs)
{
	struct mh_pool *pool = active->pool;
	struct mh_header *header;
	u32 idx, gen, n = 0;

	/* Barrier B. */
	if (client->heap->phase >= MH_MARKING && mh_barrier(client->heap, MH_BARRIER_B))
		atomic_long_or(mask, (atomic_long_t *)&mh_map(pool, MH_MARK)[word]);
	if (READ_ONCE(mh_map(pool, MH_LARGE)[word]) & mask)
		atomic_long_andnot(mask, (atomic_long_t *)&mh_map(pool, MH_LARGE)[word]);
	atomic_long_or(mask, (atomic_long_t *)&active->holds->bits[word]);
	for (; mask; mask &= mask - 1) {
		idx = word * BITS_PER_LONG + __ffs(mask);
		header = mh_header(pool, idx);
		mh_header_begin(pool, idx, nslots, apart);
		if (unlikely(pool->final))
			mh_final_born(client, pool, idx);
		gen = mh_gen(atomic64_read(&header->word)) + 1;
		atomic64_set_release(&header->word, mh_word(gen, 1));
		refs[n] = mh_word(gen, pool->first + idx * pool->stride);
		trace_moheap_alloc(client->heap, pool, refs[n]);
		n++;
	}
	return n;
}

/**
 * mh_client_alloc() - make objects, held by the client, as far as its active pool goes
 * @client: the client; caller holds the gate
 * @bin: what kind
 * @nslots: slots of each
 * @apart: where slots are kept apart: the slots of the one object that is made
 * @want: how many
 * @refs: out
 *
 * Return: how many were made; fewer than wanted when mh_client_grow() is called for.
 */
u32 mh_client_alloc(struct mh_client *client, struct mh_bin *bin, u32 nslots, u32 *apart,
		    u32 want, u64 *refs)
{
	struct mh_active *active;
	unsigned long mask;
	u32 n = 0, got, word;

	lockdep_assert_held(&client->heap->gate);
	spin_lock(&client->lock);
	active = bin->id < client->nactive ? &client->active[bin->id] : NULL;
	while (active && active->pool && n < want) {
		got = mh_pool_take(active->pool, want - n, &word, &mask);
		if (!got)
			break;
		n += mh_births(client, active, word, mask, nslots, apart, refs + n);
	}
	spin_unlock(&client->lock);
	if (n)
		this_cpu_add(client->heap->counters->allocated, n);
	return n;
}

/**
 * mh_client_hold() - turn a pin into a hold
 * @client: the client
 * @o: an object that the caller has pinned; caller holds the gate
 * @dead: where it goes if the pin was not needed and was the last
 *
 * Return: 0; or -ENOBUFS if mh_client_reserve() has to be called first, and the pin is still
 * the caller's.
 */
int mh_client_hold(struct mh_client *client, const struct mh_obj *o, struct mh_dead *dead)
{
	struct mh_holds *holds = mh_client_holds(client, o->pool);

	if (!holds)
		return -ENOBUFS;
	mh_shade_held(client->heap, o);
	if (test_and_set_bit(o->idx, holds->bits))
		mh_unpin(client->heap, o, dead);
	return 0;
}

/*
 * Take the hold on what @ref names out of its bit: the reference is the caller's then. Return 0,
 * -ENOENT if the client does not hold it, or what mh_named() says.
 */
static int mh_unhold(struct mh_client *client, u64 ref, struct mh_holds **holds,
		     struct mh_obj *o)
{
	int err = mh_named(client->heap, ref, o);

	if (err)
		return err;
	*holds = mh_client_holds(client, o->pool);
	return *holds && test_and_clear_bit(o->idx, (*holds)->bits) ? 0 : -ENOENT;
}

/*
 * Make the caller's reference a hold again. If another thread has held the object meanwhile, it
 * is one too many. The trace may have looked at the bit while it was clear (barrier H).
 */
static void mh_rehold(struct mh_client *client, struct mh_holds *holds, const struct mh_obj *o,
		      struct mh_dead *dead)
{
	mh_shade_held(client->heap, o);
	if (test_and_set_bit(o->idx, holds->bits))
		mh_put(client->heap, o, 1, dead);
}

/**
 * mh_client_drop() - hold an object no longer
 * @client: the client; caller holds the gate
 * @ref: which object
 * @dead: where it goes if that was the last reference
 *
 * Return: 0, -ENOENT if the client does not hold it, or what mh_named() says.
 */
int mh_client_drop(struct mh_client *client, u64 ref, struct mh_dead *dead)
{
	struct mh_holds *holds;
	struct mh_obj o;
	int err = mh_unhold(client, ref, &holds, &o);

	if (err)
		return err;
	/*
	 * Now the block cannot change hands. If two threads dropped the same ref, it may have
	 * done so before, and the reference is that of a new object.
	 */
	if (mh_ref(&o) == ref) {
		mh_put(client->heap, &o, 1, dead);
		return 0;
	}
	mh_rehold(client, holds, &o, dead);
	return -ESTALE;
}

/* It refers to nothing, and nobody is to be told of its death, or before. */
static bool mh_inconspicuous(const struct mh_obj *o)
{
	u32 nslots;
	u32 *slots = mh_slots(o, &nslots);

	BUILD_BUG_ON(MOHEAP_RENEW_SLOTS > MH_SLOTS_INLINE);
	return nslots <= MOHEAP_RENEW_SLOTS && !memchr_inv(slots, 0, nslots * sizeof(*slots)) &&
	       !mh_watched(o) && !o->pool->final;
}

/*
 * The caller has a reference to @from. Return whether that was all, and it is @to now.
 *
 * Others may use @to at once, and what was @from is frozen still: one who stored it in a frozen
 * object would not remember that (barrier F). So what is frozen takes the exclusive gate.
 */
static bool mh_renew(struct mh_heap *heap, const struct mh_obj *o, u64 from, u64 to, bool alone)
{
	u64 word = mh_word(mh_gen(from), 1);

	if (!mh_inconspicuous(o) || (mh_is_frozen(heap, o) && !alone))
		return false;
	if (!atomic64_try_cmpxchg(&o->header->word, &word, mh_word(mh_gen(to), 1)))
		return false;
	/* A store, or a watch, of another thread may have come since. None can any more. */
	if (mh_inconspicuous(o))
		return true;
	atomic64_sub(mh_word(mh_gen(to) - mh_gen(from), 0), &o->header->word);
	return false;
}

static void mh_renewed(struct mh_client *client, const struct mh_obj *o, u64 from, u64 to)
{
	if (READ_ONCE(o->pool->sites))
		mh_site_forget(client->heap, o);
	if (mh_freezes(client->heap))
		mh_frozen_gone(client->heap, o);
	this_cpu_inc(client->heap->counters->allocated);
	this_cpu_inc(client->heap->counters->freed_count);
	trace_moheap_free(client->heap, o, mh_gen(from) + 1);
	trace_moheap_alloc(client->heap, o->pool, to);
}

/**
 * mh_client_renew() - a drop and a birth in one, for an object that only the client refers to
 * @client: the client; caller holds the gate
 * @from: the object
 * @to: a later ref of its block
 * @alone: does the caller hold the exclusive gate?
 * @dead: where the object goes if the client gave it up meanwhile
 *
 * A pin is enough to make it -EBUSY: under the exclusive gate nobody has one. And what is frozen
 * is -EBUSY unless the caller is alone.
 *
 * Return: 0, -EBUSY if something else refers to it, it refers to something or could to too much, or
 * it is watched or to be finalized, -ENOENT if the client does not hold it, or what mh_named()
 * says.
 */
int mh_client_renew(struct mh_client *client, u64 from, u64 to, bool alone, struct mh_dead *dead)
{
	struct mh_holds *holds;
	struct mh_obj o;
	bool renewed;
	int err = mh_unhold(client, from, &holds, &o);

	if (err)
		return err;
	renewed = mh_renew(client->heap, &o, from, to, alone);
	/* While the reference is the caller's: another thread may drop what is held again. */
	if (renewed)
		mh_renewed(client, &o, from, to);
	mh_rehold(client, holds, &o, dead);
	return renewed ? 0 : -EBUSY;
}

/**
 * mh_client_drop_as() - mh_client_renew() and mh_client_drop() in one
 * @client: the client; caller holds the gate
 * @from: the object
 * @to: a later ref of its block: what comes there next goes on from it
 * @alone: does the caller hold the exclusive gate?
 * @dead: where the object goes
 *
 * Return: as mh_client_renew().
 */
int mh_client_drop_as(struct mh_client *client, u64 from, u64 to, bool alone, struct mh_dead *dead)
{
	struct mh_holds *holds;
	struct mh_obj o;
	int err = mh_unhold(client, from, &holds, &o);

	if (err)
		return err;
	if (!mh_renew(client->heap, &o, from, to, alone)) {
		mh_rehold(client, holds, &o, dead);
		return -EBUSY;
	}
	mh_renewed(client, &o, from, to);
	mh_put(client->heap, &o, 1, dead);
	return 0;
}

/**
 * mh_client_holding() - does the client hold an object?
 * @client: the client; caller holds the gate
 * @o: the object
 *
 * Return: true if so.
 */
bool mh_client_holding(struct mh_client *client, const struct mh_obj *o)
{
	struct mh_holds *holds = mh_client_holds(client, o->pool);

	return holds && test_bit(o->idx, holds->bits);
}

/**
 * mh_is_held() - does some client hold an object?
 * @o: the object; caller holds the gate
 *
 * Return: true if so; false if not, or not worth finding out.
 */
bool mh_is_held(const struct mh_obj *o)
{
	struct mh_holds *holds;
	bool held = false;
	int n = 0;

	rcu_read_lock();
	hlist_for_each_entry_rcu(holds, &o->pool->holders, node) {
		held = test_bit(o->idx, holds->bits);
		if (held || ++n == MH_HOLDERS_LOOK)
			break;
	}
	rcu_read_unlock();
	return held;
}

/**
 * mh_client_count_held() - how many objects a client holds
 * @client: the client; caller holds the gate
 *
 * Return: how many.
 */
u64 mh_client_count_held(struct mh_client *client)
{
	struct mh_holds *holds;
	unsigned long id;
	u64 n = 0;

	xa_for_each(&client->holds, id, holds)
		/* A figure for people: bits may change while they are counted. */
		n += data_race(bitmap_weight(holds->bits, holds->pool->nblocks));
	return n;
}

/* Hold for @to what @from holds in one word of a pool. */
static void mh_clone_word(struct mh_heap *heap, struct mh_holds *from, struct mh_holds *to,
			  u32 word, struct mh_dead *dead)
{
	unsigned long bits = READ_ONCE(from->bits[word]);
	struct mh_obj o = { .pool = from->pool };

	for (; bits; bits &= bits - 1) {
		o.idx = word * BITS_PER_LONG + __ffs(bits);
		o.header = mh_header(o.pool, o.idx);
		if (!mh_pin_live(&o))
			continue;
		/* Dropped meanwhile, it may be another object by now. */
		if (test_bit(o.idx, from->bits)) {
			mh_shade_held(heap, &o);
			set_bit(o.idx, to->bits);
		} else {
			mh_unpin(heap, &o, dead);
		}
	}
}

static int mh_clone_pool(struct mh_client *from, struct mh_client *to, unsigned long id)
{
	struct mh_heap *heap = from->heap;
	struct mh_holds *theirs, *ours;
	struct mh_dead dead = { };
	struct mh_pool *pool;
	u32 nblocks = 0, i;
	int err;

	down_read(&heap->gate);
	pool = xa_load(&heap->pools, id);
	if (pool)
		nblocks = pool->nblocks;
	up_read(&heap->gate);
	if (!pool)
		return 0;
	err = mh_client_reserve(to, id, nblocks);
	if (err)
		return err;
	down_read(&heap->gate);
	theirs = xa_load(&from->holds, id);
	ours = xa_load(&to->holds, id);
	if (theirs && ours)
		for (i = 0; i < BITS_TO_LONGS(ours->pool->nblocks); i++)
			mh_clone_word(heap, theirs, ours, i, &dead);
	mh_reap(heap, &dead, MH_REAP_INLINE);
	up_read(&heap->gate);
	return 0;
}

/**
 * mh_client_clone() - a client with the same holds
 * @from: whose holds; no lock may be held
 *
 * Return: the client, with a reference of its own to the heap, or an error pointer: -ENOMEM,
 * -EINTR.
 */
struct mh_client *mh_client_clone(struct mh_client *from)
{
	struct mh_heap *heap = from->heap;
	struct mh_client *client;
	struct mh_holds *holds;
	unsigned long id = 0;
	int err = 0;

	client = mh_client_new(heap, from->readonly);
	if (!client)
		return ERR_PTR(-ENOMEM);
	mh_heap_get(heap);
	for (;;) {
		down_read(&heap->gate);
		holds = xa_find(&from->holds, &id, ULONG_MAX, XA_PRESENT);
		up_read(&heap->gate);
		if (!holds)
			return client;
		err = signal_pending(current) ? -EINTR : mh_clone_pool(from, client, id);
		if (err)
			break;
		id++;
		cond_resched();
	}
	mh_client_destroy(client);
	return ERR_PTR(err);
}

static void mh_drop_word(struct mh_heap *heap, struct mh_holds *holds, u32 word,
			 struct mh_dead *dead)
{
	unsigned long bits = xchg(&holds->bits[word], 0);
	struct mh_obj o = { .pool = holds->pool };

	for (; bits; bits &= bits - 1) {
		o.idx = word * BITS_PER_LONG + __ffs(bits);
		o.header = mh_header(o.pool, o.idx);
		mh_put(heap, &o, 1, dead);
	}
}

/*
 * Drop the holds in the next pool. Return false when there is none. Holds of the last client
 * need not be taken off any count: nobody will look at one again.
 */
static bool mh_drop_pool(struct mh_client *client, unsigned long *id, bool last)
{
	struct mh_heap *heap = client->heap;
	struct mh_dead dead = { };
	struct mh_holds *holds;
	u32 nblocks, i;

	down_read(&heap->gate);
	holds = xa_find(&client->holds, id, ULONG_MAX, XA_PRESENT);
	if (holds) {
		nblocks = holds->pool->nblocks;
		for (i = 0; !last && i < BITS_TO_LONGS(nblocks); i++)
			mh_drop_word(heap, holds, i, &dead);
		xa_erase(&client->holds, *id);
		mh_holds_unlink(holds);
		mh_holds_free(heap, holds, nblocks);
		mh_reap(heap, &dead, MH_REAP_STEP);
	}
	up_read(&heap->gate);
	return holds;
}

static void mh_client_free(struct mh_client *client)
{
	u32 i;

	for (i = 0; i < client->nactive; i++)
		if (client->active[i].pool)
			mh_pool_retire(client->active[i].pool);
	atomic64_sub(client->nactive * sizeof(*client->active), &client->heap->kernel_bytes);
	kvfree(client->active);
	xa_destroy(&client->holds);
	kfree(client);
}

/**
 * mh_client_forget() - free a client that was never told of anything, and what it holds
 * @client: the client: nobody else uses it, nor is anybody left to look at a count
 */
void mh_client_forget(struct mh_client *client)
{
	unsigned long id = 0;

	while (mh_drop_pool(client, &id, true))
		cond_resched();
	mh_client_free(client);
}

/**
 * mh_client_destroy() - the client is gone: drop what it holds, and its part in the heap
 * @client: the client; nobody else uses it
 *
 * Works off one pool after the other, so that others wait for none of it.
 */
void mh_client_destroy(struct mh_client *client)
{
	struct mh_heap *heap = client->heap;
	unsigned long id = 0;
	/* Joining takes a client, so the last one stays the last. */
	bool last = refcount_read(&heap->nclients) == 1;

	mh_events_close(client);
	while (mh_drop_pool(client, &id, last))
		cond_resched();
	mh_linger_close(client, last);
	mh_sites_close(client, last);
	mh_client_free(client);
	if (!last)
		mh_collector_kick(heap);
	mh_heap_put(heap);
}
