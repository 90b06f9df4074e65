// SPDX-License-Identifier: GPL-2.0
/*
 * The invariants of a heap, recounted from scratch.
 *
 * With everybody kept out, every count must be what the slots and hold bits add up to, every
 * bitmap must agree with the words, and nothing may be lost. Tests call this after all they do;
 * programs can on heaps created with MOHEAP_CREATE_DEBUG. It is the one place where the
 * exclusive gate is held for as long as the heap is large.
 *
 * What a trace under way does to the counts is known: the condemned object whose slots it clears
 * has a pin.
 */
#include "internal.h"

struct mh_check {
	struct mh_heap *heap;
	u64 live;
	u64 candidates;
	u64 frozen;
	u64 saved;
	u64 lingering;
	u64 taken;
	bool broken;
};

static __printf(3, 4) void mh_expect(struct mh_check *check, bool fine, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	if (fine)
		return;
	check->broken = true;
	va_start(args, fmt);
	vaf.va = &args;
	pr_info_ratelimited("moheap: heap %llu: %pV\n", check->heap->id, &vaf);
	va_end(args);
}

static void mh_check_end(struct mh_heap *heap)
{
	struct mh_pool *pool;
	unsigned long id;

	xa_for_each(&heap->pools, id, pool) {
		kvfree(pool->check);
		pool->check = NULL;
	}
}

static int mh_check_begin(struct mh_heap *heap)
{
	struct mh_pool *pool;
	unsigned long id;

	xa_for_each(&heap->pools, id, pool) {
		pool->check = kvcalloc(pool->nblocks, sizeof(u32), MH_GFP);
		if (!pool->check) {
			mh_check_end(heap);
			return -ENOMEM;
		}
	}
	return 0;
}

static void mh_check_slots(struct mh_check *check, const struct mh_obj *o)
{
	struct mh_obj target;
	u32 nslots, i;
	u32 *slots = mh_slots(o, &nslots);

	for (i = 0; i < nslots; i++) {
		if (!slots[i])
			continue;
		mh_expect(check, !mh_pool_find(check->heap, slots[i], &target),
			  "slot %u of %#x leads nowhere (%#x)", i, mh_granule(o), slots[i]);
		if (!check->broken)
			target.pool->check[target.idx]++;
	}
}

static void mh_check_holds(struct mh_pool *pool)
{
	struct mh_holds *holds;
	unsigned long idx;

	hlist_for_each_entry(holds, &pool->holders, node)
		for_each_set_bit(idx, holds->bits, pool->nblocks)
			pool->check[idx]++;
	for_each_set_bit(idx, mh_map(pool, MH_SAVED), pool->nblocks)
		pool->check[idx]++;
}

/* Add up what refers to what. */
static void mh_check_references(struct mh_check *check)
{
	struct mh_collect *c = check->heap->collect;
	struct mh_pool *pool;
	struct mh_obj o;
	unsigned long id;

	xa_for_each(&check->heap->pools, id, pool) {
		mh_check_holds(pool);
		for (o.pool = pool, o.idx = 0; o.idx < pool->nblocks; o.idx++) {
			o.header = mh_header(pool, o.idx);
			mh_check_slots(check, &o);
		}
	}
	if (c->condemned.pool)
		c->condemned.pool->check[c->condemned.idx]++;
}

static u32 mh_check_dead(struct mh_check *check)
{
	u32 granule = check->heap->dead.first;
	struct mh_obj o;
	u32 n = 0;

	while (granule && !check->broken) {
		mh_expect(check, !mh_pool_find(check->heap, granule, &o),
			  "dead object nowhere (%#x)", granule);
		if (check->broken)
			break;
		mh_expect(check, !o.pool->check[o.idx], "dead object %#x is referred to",
			  granule);
		granule = mh_count(atomic64_read(&o.header->word));
		/* Its word is a link, not a count: do not compare it below. */
		o.pool->check[o.idx] = U32_MAX;
		n++;
	}
	return n;
}

/* @unused counts blocks that are neither free nor anything else. */
static void mh_check_object(struct mh_check *check, const struct mh_obj *o, u32 *unused)
{
	u64 word = atomic64_read(&o->header->word);
	u32 found = o->pool->check[o->idx];
	bool free = mh_test(o, MH_FREE);

	if (found == U32_MAX) {
		mh_expect(check, !free && !mh_alive(word), "dead object %#x: free or alive",
			  mh_granule(o));
		return;
	}
	mh_expect(check, mh_count(word) == found, "count of %#x is %u, should be %u",
		  mh_granule(o), mh_count(word), found);
	if (free)
		mh_expect(check, !mh_alive(word), "free block %#x is alive", mh_granule(o));
	else if (!found && !mh_alive(word))
		(*unused)++;
	if (mh_alive(word)) {
		mh_expect(check, found, "object %#x is alive without a reference",
			  mh_granule(o));
		check->live++;
	}
}

/* What refers to something else is remembered. A trace may have forgotten what it is following. */
static void mh_check_frozen(struct mh_check *check, const struct mh_obj *o)
{
	bool remembered = mh_test(o, MH_REMEMBERED) ||
			  check->heap->collect->following == mh_ref(o);
	struct mh_obj target;
	u32 nslots, i;
	u32 *slots;

	mh_expect(check, !mh_test(o, MH_FREE), "free block %#x is frozen", mh_granule(o));
	check->frozen++;
	slots = mh_slots(o, &nslots);
	for (i = 0; !remembered && i < nslots; i++)
		mh_expect(check, !slots[i] || mh_pool_find(check->heap, slots[i], &target) ||
			  mh_test(&target, MH_FROZEN), "%#x is frozen, slot %u (%#x) is not",
			  mh_granule(o), i, slots[i]);
}

/* From STAGED to READING the keeper holds the object, and only then. */
static void mh_check_final(struct mh_check *check, const struct mh_obj *o,
			   const struct mh_holds *kept)
{
	struct mh_final *f = &o->pool->final[o->idx];
	u32 state = f->event.state;
	bool due = state != MH_EVENT_IDLE && state != MH_EVENT_TOLD;

	mh_expect(check, due == (kept && test_bit(o->idx, kept->bits)),
		  "%#x is %sdue, but the keeper does%s hold it", mh_granule(o), due ? "" : "not ",
		  due ? " not" : "");
	mh_expect(check, !due || f->ref == mh_ref(o), "%#x is due by another ref",
		  mh_granule(o));
}

/* event_lock is held. */
static void mh_check_watches(struct mh_check *check, const struct mh_obj *o)
{
	struct mh_watches *on = &o->pool->watches[o->idx];
	struct mh_watch *watch;
	u32 n = 0;

	hlist_for_each_entry(watch, &on->list, node) {
		mh_expect(check, watch->on == on && watch->event.state == MH_EVENT_IDLE,
			  "watch %u of %#x is another's", watch->event.id, mh_granule(o));
		mh_expect(check, xa_load(&watch->client->watches, watch->event.id) == watch,
			  "watch %u of %#x is lost", watch->event.id, mh_granule(o));
		n++;
	}
	mh_expect(check, on->n == n, "%u watches on %#x, not %u", n, mh_granule(o), on->n);
	mh_expect(check, !n || mh_alive(atomic64_read(&o->header->word)),
		  "dead object %#x is watched", mh_granule(o));
}

/* A block that lingers, or was taken: nobody has it. */
static void mh_check_unused(struct mh_check *check, const struct mh_obj *o)
{
	u64 word = atomic64_read(&o->header->word);

	mh_expect(check, !mh_test(o, MH_FREE), "block %#x lingers and is free", mh_granule(o));
	mh_expect(check, !mh_alive(word) && !mh_count(word), "block %#x lingers and is in use",
		  mh_granule(o));
}

static void mh_check_linger(struct mh_check *check, struct mh_pool *pool)
{
	struct mh_obj o = { .pool = pool };
	unsigned long idx;
	u32 lingering = 0;

	for_each_set_bit(idx, pool->linger->bits, pool->nblocks) {
		o.idx = idx;
		o.header = mh_header(pool, idx);
		mh_check_unused(check, &o);
		lingering++;
	}
	mh_expect(check, lingering == pool->linger->lingering, "pool %u: %u blocks linger, not %u",
		  pool->id, lingering, pool->linger->lingering);
	check->lingering += lingering;
	check->taken += atomic_read(&pool->linger->n) - lingering;
}

/* The counts in pool->check are done with. */
static void mh_check_taken(struct mh_check *check, u32 granule)
{
	struct mh_obj o;
	bool found = !mh_pool_find(check->heap, granule, &o) && o.pool->linger;

	mh_expect(check, found, "a block was taken nowhere (%#x)", granule);
	if (!found)
		return;
	mh_check_unused(check, &o);
	mh_expect(check, !test_bit(o.idx, o.pool->linger->bits), "block %#x taken, and lingers",
		  granule);
	mh_expect(check, o.pool->check[o.idx] != U32_MAX, "block %#x taken twice", granule);
	o.pool->check[o.idx] = U32_MAX;
}

/* What clients took. Their rings change under the gate only. */
static void mh_check_takers(struct mh_check *check)
{
	struct mh_heap *heap = check->heap;
	struct mh_linger *linger;
	struct mh_taken *taken;
	u64 n = 0, listed = 0;
	u32 i;

	spin_lock(&heap->linger_lock);
	list_for_each_entry(taken, &heap->takers, node) {
		for (i = 0; i < taken->n; i++)
			mh_check_taken(check, taken->granules[(taken->first + i) %
							      MOHEAP_LINGER_MAX]);
		n += taken->n;
	}
	list_for_each_entry(linger, &heap->lingering, node)
		listed += linger->lingering;
	spin_unlock(&heap->linger_lock);
	mh_expect(check, n == check->taken, "%llu blocks taken, not %llu", n, check->taken);
	mh_expect(check, listed == check->lingering, "%llu blocks linger in listed pools, not %llu",
		  listed, check->lingering);
	mh_expect(check, check->lingering == heap->nlinger, "%llu blocks linger, not %llu",
		  check->lingering, heap->nlinger);
}

/* The object may be dead, but its memory is not free yet. site_lock is held. */
static void mh_check_site(struct mh_check *check, const struct mh_obj *o)
{
	struct mh_site *site = &o->pool->sites[o->idx];
	struct mh_client *client;

	if (!site->id)
		return;
	mh_expect(check, !mh_test(o, MH_FREE), "free block %#x has a site", mh_granule(o));
	client = xa_load(&check->heap->tracers, site->client);
	mh_expect(check, client, "the site of %#x is of nobody", mh_granule(o));
	if (client) {
		client->traced.check++;
		client->traced.check_bytes += mh_object_bytes(o);
	}
}

/* The lock is taken once, for all blocks of a pool. */
static void mh_check_locked(struct mh_check *check, struct mh_pool *pool, spinlock_t *lock,
			    void (*one)(struct mh_check *check, const struct mh_obj *o))
{
	struct mh_obj o = { .pool = pool };

	spin_lock(lock);
	for (o.idx = 0; o.idx < pool->nblocks; o.idx++) {
		o.header = mh_header(pool, o.idx);
		one(check, &o);
	}
	spin_unlock(lock);
}

/* What a pool says it is. One that is active may be anything. */
static void mh_check_state(struct mh_check *check, struct mh_pool *pool, u32 nfree)
{
	bool fine = true;

	switch (pool->state) {
	case MH_POOL_FULL:
		fine = !nfree && !pool->nparked;
		break;
	case MH_POOL_HOLLOW:
		fine = !nfree && pool->nparked;
		break;
	case MH_POOL_PARTIAL:
	case MH_POOL_SPARSE:
		fine = nfree && nfree + pool->nparked < pool->nblocks;
		break;
	case MH_POOL_EMPTY:
		fine = nfree + pool->nparked == pool->nblocks;
		break;
	}
	mh_expect(check, fine, "pool %u, state %u: %u blocks are free, %u parked, of %u", pool->id,
		  pool->state, nfree, pool->nparked, pool->nblocks);
}

/* Blocks without memory are neither free nor in use. Return how many there are. */
static u32 mh_check_parked(struct mh_check *check, struct mh_pool *pool)
{
	DECLARE_BITMAP(parked, MH_POOL_BLOCKS);
	u32 n = mh_pool_parked(pool, pool->holes, parked);
	u32 idx;

	mh_expect(check, n == pool->nparked, "pool %u: %u blocks lack memory, not %u", pool->id, n,
		  pool->nparked);
	for_each_set_bit(idx, parked, pool->nblocks)
		mh_expect(check, !test_bit(idx, mh_map(pool, MH_FREE)) && !pool->check[idx] &&
			  !mh_alive(atomic64_read(&mh_header(pool, idx)->word)),
			  "block %u of pool %u is used, without memory", idx, pool->id);
	return n;
}

static void mh_check_pool(struct mh_check *check, struct mh_pool *pool)
{
	u32 nfree = bitmap_weight(mh_map(pool, MH_FREE), pool->nblocks);
	u32 ncand = bitmap_weight(mh_map(pool, MH_CAND), pool->nblocks);
	struct mh_holds *kept = NULL;
	struct mh_obj o = { .pool = pool };
	u32 unused = 0;

	if (pool->final)
		kept = mh_client_holds(check->heap->keeper, pool);
	check->candidates += ncand;
	check->saved += bitmap_weight(mh_map(pool, MH_SAVED), pool->nblocks);
	mh_expect(check, !ncand || test_bit(MH_QUEUED_CAND, &pool->queued),
		  "pool %u has candidates and is not queued", pool->id);
	mh_expect(check, nfree == atomic_read(&pool->nfree), "pool %u: %u free blocks, not %u",
		  pool->id, nfree, atomic_read(&pool->nfree));
	mh_check_state(check, pool, nfree);
	unused -= mh_check_parked(check, pool);
	for (o.idx = 0; o.idx < pool->nblocks; o.idx++) {
		o.header = mh_header(pool, o.idx);
		mh_check_object(check, &o, &unused);
		if (mh_test(&o, MH_FROZEN))
			mh_check_frozen(check, &o);
		if (pool->final)
			mh_check_final(check, &o, kept);
	}
	if (pool->watches)
		mh_check_locked(check, pool, &check->heap->event_lock, mh_check_watches);
	if (pool->sites)
		mh_check_locked(check, pool, &check->heap->site_lock, mh_check_site);
	if (pool->linger) {
		mh_check_linger(check, pool);
		unused -= atomic_read(&pool->linger->n);
	}
	mh_expect(check, unused == atomic_read(&pool->nretired), "pool %u: %u blocks lost",
		  pool->id, unused - atomic_read(&pool->nretired));
}

static void mh_check_due(struct mh_check *check)
{
	struct mh_heap *heap = check->heap;
	struct mh_final *f;
	u64 n = 0;

	spin_lock(&heap->event_lock);
	list_for_each_entry(f, &heap->due, due) {
		mh_expect(check, f->event.state == MH_EVENT_QUEUED, "%#llx is listed as due",
			  f->ref);
		n++;
	}
	mh_expect(check, n == heap->ndue, "%llu objects due, not %llu", n, heap->ndue);
	spin_unlock(&heap->event_lock);
}

static void mh_check_tracers(struct mh_check *check)
{
	struct mh_heap *heap = check->heap;
	struct mh_client *client;
	struct mh_traced *traced;
	unsigned long id;

	spin_lock(&heap->site_lock);
	xa_for_each(&heap->tracers, id, client) {
		traced = &client->traced;
		mh_expect(check, traced->check == traced->objects,
			  "client %lu traces %llu objects, not %llu", id, traced->check,
			  traced->objects);
		mh_expect(check, traced->check_bytes == traced->bytes,
			  "client %lu traces %llu bytes, not %llu", id, traced->check_bytes,
			  traced->bytes);
		mh_expect(check, traced->peak >= traced->bytes, "client %lu: the peak is low", id);
		traced->check = 0;
		traced->check_bytes = 0;
	}
	spin_unlock(&heap->site_lock);
}

static void mh_check_figures(struct mh_check *check)
{
	struct mh_heap *heap = check->heap;
	struct mh_counters sum;
	u32 ndead;

	mh_counters_sum(heap, &sum);
	mh_expect(check, check->live == mh_counters_live(&sum), "%llu objects alive, not %llu",
		  check->live, mh_counters_live(&sum));
	mh_expect(check, check->frozen == atomic_long_read(&heap->nfrozen),
		  "%llu objects frozen, not %ld", check->frozen,
		  atomic_long_read(&heap->nfrozen));
	mh_expect(check, check->saved == atomic_long_read(&heap->nsaved),
		  "%llu objects saved, not %ld", check->saved, atomic_long_read(&heap->nsaved));
	ndead = atomic_read(&heap->ndead);
	mh_expect(check, ndead == heap->dead.n, "%u dead objects, not %u", ndead, heap->dead.n);
	mh_expect(check, check->candidates == atomic_read(&heap->ncand),
		  "%llu candidates, not %d", check->candidates, atomic_read(&heap->ncand));
}

static void mh_check_all(struct mh_check *check)
{
	struct mh_pool *pool;
	unsigned long id;
	u32 ndead;

	mh_check_references(check);
	ndead = mh_check_dead(check);
	mh_expect(check, ndead == check->heap->dead.n, "%u dead objects listed, not %u", ndead,
		  check->heap->dead.n);
	xa_for_each(&check->heap->pools, id, pool)
		mh_check_pool(check, pool);
	mh_check_takers(check);
	mh_check_due(check);
	mh_check_tracers(check);
	mh_check_figures(check);
}

/**
 * mh_heap_check() - are all invariants of a heap intact?
 * @heap: the heap; no lock may be held
 *
 * Return: 0, -EUCLEAN (the log says what is broken), -ENOMEM, or -EINTR.
 */
int mh_heap_check(struct mh_heap *heap)
{
	struct mh_check check = { .heap = heap };
	int err;

	if (mutex_lock_interruptible(&heap->collect_lock))
		return -EINTR;
	mutex_lock(&heap->lock);
	down_write(&heap->gate);
	err = mh_check_begin(heap);
	if (!err) {
		mh_check_all(&check);
		mh_check_end(heap);
		err = check.broken ? -EUCLEAN : 0;
	}
	up_write(&heap->gate);
	mutex_unlock(&heap->lock);
	mutex_unlock(&heap->collect_lock);
	/* Those who could not start the collector meanwhile left that to us. */
	mh_collector_kick(heap);
	return err;
}
