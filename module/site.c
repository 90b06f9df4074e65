// SPDX-License-Identifier: GPL-2.0
/*
 * Sites: where in a program an object was made, as its client numbers such places.
 *
 * A client that traces its allocations gives each object it makes a site (SITE), a number that
 * means something to that client only: the library's is that of a call stack. The kernel keeps it
 * with the object, because it alone knows how long that lives, and keeps account of what the
 * objects of a client's sites use: the objects there are, their bytes, and the most bytes there
 * ever were.
 *
 * An object has one site: that which it was given last. A site is of a client that lives: those of
 * one that goes are taken back (mh_sites_close()), so no number is ever taken for that of another
 * client, and a process that dies leaves nothing behind but the array.
 *
 * Figures are by client, not by heap. Each process asks what it uses itself, and traces without
 * regard to others; and a peak that several can reset is of use to none. Who wants the whole heap
 * lists the sites of all clients and adds up.
 *
 * An object counts from SITE until its block is free, not until its ref is stale: that is as long
 * as it takes memory. Its bytes are those of MOHEAP_IOC_OBJECT: block, header and slots. Sizes
 * never change, so what is taken off the account in the end is what was put on it.
 *
 * The sites of a pool are an array, pool->sites, which it gets with the first. Where nothing was
 * ever traced the death of an object costs a look at that pointer, and an object takes no byte
 * more. SITE has the object pinned, so whoever ends its life (mh_object_release()), or gives its
 * block a new one (mh_client_renew()), sees the site, if it has one.
 *
 * Locks: heap->site_lock for the sites of all pools, heap->tracers and the figures of clients.
 * Nothing is taken inside it. One lock for the heap, since an object may pass from the account of
 * one client to that of another; only those who trace meet there. An array, once it is there,
 * stays as long as its pool.
 */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "internal.h"

#define MH_SITES_STEP	2048	/* blocks looked at in one hold of the gate */
#define MH_SITES_FOUND	16	/* sites on their way to the caller */

/* ---- The account ---- */

/* Take the site of an object off the account of its client. */
static void mh_site_take(struct mh_heap *heap, const struct mh_obj *o)
{
	struct mh_site *site = &o->pool->sites[o->idx];
	struct mh_client *client;

	lockdep_assert_held(&heap->site_lock);
	if (!site->id)
		return;
	/* With the last client its sites are forgotten, not taken back. */
	client = xa_load(&heap->tracers, site->client);
	if (client) {
		client->traced.objects--;
		client->traced.bytes -= mh_object_bytes(o);
	}
	WRITE_ONCE(site->id, 0);
}

static void mh_site_give(struct mh_client *client, const struct mh_obj *o, u32 id)
{
	struct mh_site *site = &o->pool->sites[o->idx];
	struct mh_traced *traced = &client->traced;

	lockdep_assert_held(&client->heap->site_lock);
	WRITE_ONCE(site->client, client->id);
	WRITE_ONCE(site->id, id);
	traced->objects++;
	traced->bytes += mh_object_bytes(o);
	traced->peak = max(traced->peak, traced->bytes);
}

/**
 * mh_site_set() - give an object a site, or none
 * @client: whose site; caller holds the gate
 * @o: the object, pinned
 * @id: the site, 0 for none
 *
 * Return: 0, or -ENOBUFS if mh_site_room() has to be called first.
 */
int mh_site_set(struct mh_client *client, const struct mh_obj *o, u32 id)
{
	struct mh_heap *heap = client->heap;
	int err = 0;

	/* Pairs with mh_pool_attach(). */
	if (!smp_load_acquire(&o->pool->sites))
		return id ? -ENOBUFS : 0;
	spin_lock(&heap->site_lock);
	if (!id || client->traced.listed) {
		mh_site_take(heap, o);
		if (id)
			mh_site_give(client, o, id);
	} else {
		err = -ENOBUFS;
	}
	spin_unlock(&heap->site_lock);
	return err;
}

/**
 * mh_site_forget() - an object, or its ref, is gone: so is its site
 * @heap: the heap; caller holds its gate
 * @o: the object, which has a pool with sites, and still has its slots
 */
void mh_site_forget(struct mh_heap *heap, const struct mh_obj *o)
{
	if (!READ_ONCE(o->pool->sites[o->idx].id))
		return;
	spin_lock(&heap->site_lock);
	mh_site_take(heap, o);
	spin_unlock(&heap->site_lock);
}

/**
 * mh_site_get() - the site of an object
 * @heap: the heap; caller holds its gate
 * @o: the object, pinned
 *
 * Return: the site and whose it is; both 0 if there is none.
 */
struct mh_site mh_site_get(struct mh_heap *heap, const struct mh_obj *o)
{
	struct mh_site site = { };

	/* Pairs with mh_pool_attach(). */
	if (!smp_load_acquire(&o->pool->sites))
		return site;
	spin_lock(&heap->site_lock);
	if (o->pool->sites[o->idx].id)
		site = o->pool->sites[o->idx];
	spin_unlock(&heap->site_lock);
	return site;
}

/* ---- Room ---- */

/* Have the client found by those who take its sites away. */
static int mh_site_enlist(struct mh_client *client)
{
	struct mh_heap *heap = client->heap;
	int err = xa_insert(&heap->tracers, client->id, client, MH_GFP);

	/* Another thread of the client was here, too. */
	if (err && err != -EBUSY)
		return err;
	spin_lock(&heap->site_lock);
	client->traced.listed = true;
	spin_unlock(&heap->site_lock);
	return 0;
}

/**
 * mh_site_room() - let a client give sites to the objects of a pool
 * @client: the client; neither the gate nor a lock may be held
 * @pool_id: which pool
 * @nblocks: its blocks, when it was last seen
 *
 * Should the pool have gone meanwhile, nothing happens; the caller looks again anyway.
 *
 * Return: 0, -ENOSPC at the heap's limit, -ENOMEM.
 */
int mh_site_room(struct mh_client *client, u32 pool_id, u32 nblocks)
{
	int err = mh_site_enlist(client);

	return err ? err : mh_pool_attach(client->heap, pool_id, nblocks, sizeof(struct mh_site),
					  offsetof(struct mh_pool, sites));
}

/**
 * mh_sites_free() - free the array of a pool that is going away
 * @pool: the pool; nothing lives there, or the heap is being destroyed
 */
void mh_sites_free(struct mh_pool *pool)
{
	mh_pool_detach(pool, pool->sites, sizeof(struct mh_site));
}

/* ---- All sites ---- */

/**
 * struct mh_sites - a walk over sites
 * @client: who asks
 * @all: for those of all clients
 * @pool_id: where to go on
 * @idx: ... block of that pool
 * @budget: blocks left in this slice
 * @found: sites found
 * @n: how many
 */
struct mh_sites {
	struct mh_client *client;
	bool all;
	unsigned long pool_id;
	u32 idx;
	int budget;
	struct moheap_site found[MH_SITES_FOUND];
	u32 n;
};

/* The next object with a site that is asked for. Return false when there is none, or no budget. */
static bool mh_sites_next(struct mh_sites *walk, struct mh_obj *o)
{
	struct mh_heap *heap = walk->client->heap;
	unsigned long from = walk->pool_id;
	struct mh_site *sites;

	for (;;) {
		o->pool = xa_find(&heap->pools, &walk->pool_id, ULONG_MAX, XA_PRESENT);
		if (!o->pool || walk->budget-- <= 0)
			return false;
		if (walk->pool_id != from)
			walk->idx = 0;
		from = walk->pool_id;
		/* Pairs with mh_pool_attach(). */
		sites = smp_load_acquire(&o->pool->sites);
		if (!sites || walk->idx >= o->pool->nblocks) {
			walk->pool_id++;
			continue;
		}
		o->idx = walk->idx++;
		o->header = mh_header(o->pool, o->idx);
		if (READ_ONCE(sites[o->idx].id) &&
		    (walk->all || READ_ONCE(sites[o->idx].client) == walk->client->id))
			return true;
	}
}

static void mh_sites_list(struct mh_sites *walk, const struct mh_obj *o, struct mh_dead *dead)
{
	struct mh_heap *heap = walk->client->heap;
	struct moheap_site *found = &walk->found[walk->n];
	struct mh_site site;

	/* Its memory may be there still, but its ref is not. */
	if (!mh_pin_live(o))
		return;
	site = mh_site_get(heap, o);
	if (site.id && (walk->all || site.client == walk->client->id) &&
	    !mh_unreachable(heap, o)) {
		*found = (struct moheap_site){
			.ref = mh_ref(o),
			.bytes = mh_object_bytes(o),
			.site = site.id,
			.client = site.client,
			.type = o->pool->bin->type->id,
		};
		walk->n++;
	}
	mh_unpin(heap, o, dead);
}

/* Return true when all sites were looked at. */
static bool mh_sites_slice(struct mh_sites *walk, u32 room)
{
	struct mh_heap *heap = walk->client->heap;
	struct mh_dead dead = { };
	struct mh_obj o = { };

	walk->budget = MH_SITES_STEP;
	walk->n = 0;
	down_read(&heap->gate);
	while (walk->n < room && mh_sites_next(walk, &o))
		mh_sites_list(walk, &o, &dead);
	mh_reap(heap, &dead, MH_REAP_INLINE);
	up_read(&heap->gate);
	return walk->n < room && !o.pool;
}

static int mh_sites_copy(const struct mh_sites *walk, u64 to, bool user)
{
	size_t bytes = walk->n * sizeof(*walk->found);

	if (user)
		return copy_to_user(u64_to_user_ptr(to), walk->found, bytes) ? -EFAULT : 0;
	memcpy((void *)(uintptr_t)to, walk->found, bytes);
	return 0;
}

static int mh_sites_find(struct mh_client *client, struct moheap_sites *sites, bool user)
{
	struct mh_sites walk = {
		.client = client, .all = sites->flags & MOHEAP_SITES_ALL,
		.pool_id = sites->cursor >> 32, .idx = sites->cursor,
	};
	u32 room = sites->count, done = 0;
	bool end;
	int err;

	do {
		end = mh_sites_slice(&walk, min_t(u32, room - done, MH_SITES_FOUND));
		err = mh_sites_copy(&walk, sites->sites + done * sizeof(*walk.found), user);
		if (err)
			return err;
		done += walk.n;
		cond_resched();
	} while (!end && done < room && !signal_pending(current));
	sites->count = done;
	sites->cursor = end ? MOHEAP_SITES_END : (u64)walk.pool_id << 32 | walk.idx;
	return 0;
}

/* Take back some sites of a client. Return true when it has none, or all were looked at. */
static bool mh_sites_clear_slice(struct mh_sites *walk)
{
	struct mh_client *client = walk->client;
	struct mh_heap *heap = client->heap;
	struct mh_obj o = { };
	bool none;

	walk->budget = MH_SITES_STEP;
	down_read(&heap->gate);
	while (mh_sites_next(walk, &o)) {
		spin_lock(&heap->site_lock);
		/* Somebody else's by now? */
		if (o.pool->sites[o.idx].client == client->id)
			mh_site_take(heap, &o);
		spin_unlock(&heap->site_lock);
	}
	up_read(&heap->gate);
	spin_lock(&heap->site_lock);
	none = !client->traced.objects;
	spin_unlock(&heap->site_lock);
	return none || !o.pool;
}

static int mh_sites_clear(struct mh_client *client)
{
	struct mh_sites walk = { .client = client };

	while (!mh_sites_clear_slice(&walk)) {
		cond_resched();
		if (signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/**
 * mh_sites_close() - the client is gone, and its sites with it
 * @client: the client; nobody else uses it
 * @last: nobody will look at a site of this heap again
 */
void mh_sites_close(struct mh_client *client, bool last)
{
	struct mh_sites walk = { .client = client };
	struct mh_heap *heap = client->heap;

	if (!client->traced.listed)
		return;
	while (!last && !mh_sites_clear_slice(&walk))
		cond_resched();
	spin_lock(&heap->site_lock);
	xa_erase(&heap->tracers, client->id);
	spin_unlock(&heap->site_lock);
}

static void mh_sites_figures(struct mh_client *client, struct moheap_sites *sites)
{
	struct mh_traced *traced = &client->traced;

	spin_lock(&client->heap->site_lock);
	if (sites->flags & (MOHEAP_SITES_RESET_PEAK | MOHEAP_SITES_CLEAR))
		traced->peak = traced->bytes;
	sites->objects = traced->objects;
	sites->bytes = traced->bytes;
	sites->peak = traced->peak;
	spin_unlock(&client->heap->site_lock);
	sites->client = client->id;
}

/**
 * mh_sites() - list sites, and what their objects use
 * @client: who asks; no lock may be held
 * @sites: in: what to do, and where to go on; out: cursor, count and figures
 * @user: sites->sites is a pointer of a user process
 *
 * Return: 0, -EINVAL where there is nothing more to list, -EFAULT, -EINTR.
 */
int mh_sites(struct mh_client *client, struct moheap_sites *sites, bool user)
{
	int err = 0;

	if (sites->count && sites->cursor == MOHEAP_SITES_END)
		return -EINVAL;
	if (sites->flags & MOHEAP_SITES_CLEAR)
		err = mh_sites_clear(client);
	if (!err && sites->count)
		err = mh_sites_find(client, sites, user);
	if (err)
		return err;
	mh_sites_figures(client, sites);
	return 0;
}
