// SPDX-License-Identifier: GPL-2.0
/*
 * Watches: clients that are to be told when an object dies.
 *
 * A watch is on the list of its object (pool->watches, an array that a pool gets with its first
 * watch) from mh_watch_attach() until the object dies, the client takes it back, or the client
 * dies. All that telling will need is allocated before: the watch itself, which is the event as
 * well, and its place in client->watches, where its id leads.
 *
 * Who adds a watch has the object pinned. So whoever ends the life of the object, by taking its
 * count to zero, or with the gate exclusive, or when it is condemned (no ref pins it then), sees
 * all watches there will ever be. An object without watches costs that one look at
 * pool->watches, and the list if there is one.
 *
 * The life of a watch ends in one of three places, each under heap->event_lock:
 *
 *	mh_unwatch()		taken back: it is on the list of its object, or its event is queued;
 *				nobody is told any more
 *	mh_watch_told()		a reader has told the client; only the reader has it in between
 *	mh_watches_close()	the client is gone, and its readers with it
 *
 * Watches of an object are told newest first, as Python calls back. All at once, as an object
 * has at most MOHEAP_WATCHES_MAX of them.
 *
 * Locks: heap->event_lock (event.c) for the lists and client->watches. An array, once it is
 * there, stays as long as its pool.
 */
#include "internal.h"

/**
 * mh_watch_new() - a watch, on nothing yet
 * @client: whose; no lock may be held
 * @ref: the object to watch
 * @cookie: what the client knows it by
 *
 * Return: the watch, for mh_watch_attach() or mh_watch_discard(), or an error pointer: -ENOSPC at
 * the heap's limit, -ENOMEM.
 */
struct mh_watch *mh_watch_new(struct mh_client *client, u64 ref, u64 cookie)
{
	struct mh_heap *heap = client->heap;
	struct mh_watch *watch;
	int err = mh_charge(heap, &heap->kernel_bytes, sizeof(*watch));

	if (err)
		return ERR_PTR(err);
	watch = kzalloc(sizeof(*watch), MH_GFP);
	if (!watch)
		goto uncharge;
	watch->event.kind = MH_EVENT_WATCH;
	watch->client = client;
	watch->ref = ref;
	watch->cookie = cookie;
	/* A place, where nobody finds the watch yet. */
	if (xa_alloc_cyclic(&client->watches, &watch->event.id, NULL, XA_LIMIT(1, INT_MAX),
			    &client->next_watch, MH_GFP) >= 0)
		return watch;
	kfree(watch);
uncharge:
	mh_uncharge(heap, &heap->kernel_bytes, sizeof(*watch));
	return ERR_PTR(-ENOMEM);
}

static void mh_watch_free(struct mh_watch *watch)
{
	struct mh_heap *heap = watch->client->heap;

	mh_uncharge(heap, &heap->kernel_bytes, sizeof(*watch));
	kfree(watch);
}

/**
 * mh_watch_discard() - free a watch that was never attached
 * @watch: from mh_watch_new()
 */
void mh_watch_discard(struct mh_watch *watch)
{
	xa_erase(&watch->client->watches, watch->event.id);
	mh_watch_free(watch);
}

/**
 * mh_watch_room() - let the objects of a pool have watches
 * @heap: the heap; neither the gate nor a lock may be held
 * @pool_id: which pool
 * @nblocks: its blocks, when it was last seen
 *
 * Should the pool have gone meanwhile, nothing happens; the caller looks again anyway.
 *
 * Return: 0, -ENOSPC at the heap's limit, -ENOMEM.
 */
int mh_watch_room(struct mh_heap *heap, u32 pool_id, u32 nblocks)
{
	return mh_pool_attach(heap, pool_id, nblocks, sizeof(struct mh_watches),
			      offsetof(struct mh_pool, watches));
}

/**
 * mh_watches_free() - free the array of a pool that is going away
 * @pool: the pool; nothing lives there, or the heap is being destroyed
 */
void mh_watches_free(struct mh_pool *pool)
{
	mh_pool_detach(pool, pool->watches, sizeof(struct mh_watches));
}

/**
 * mh_watch_attach() - from now on the watch is told of the object's death
 * @watch: from mh_watch_new(); the caller must not use it after success
 * @o: the object, pinned
 * @id: out: what mh_unwatch() takes
 *
 * Return: 0, -ENOBUFS if mh_watch_room() has to be called first, -EOVERFLOW if the object has
 * MOHEAP_WATCHES_MAX watches.
 */
int mh_watch_attach(struct mh_watch *watch, const struct mh_obj *o, u32 *id)
{
	/* Pairs with mh_pool_attach(). */
	struct mh_watches *all = smp_load_acquire(&o->pool->watches);
	struct mh_client *client = watch->client;
	int err = 0;

	if (!all)
		return -ENOBUFS;
	spin_lock(&client->heap->event_lock);
	if (all[o->idx].n < MOHEAP_WATCHES_MAX) {
		*id = watch->event.id;
		watch->on = &all[o->idx];
		WRITE_ONCE(watch->on->n, watch->on->n + 1);
		hlist_add_head(&watch->node, &watch->on->list);
		/* The place was reserved: this allocates nothing. */
		xa_store(&client->watches, *id, watch, GFP_NOWAIT);
	} else {
		err = -EOVERFLOW;
	}
	spin_unlock(&client->heap->event_lock);
	return err;
}

static void mh_watch_detach(struct mh_watch *watch)
{
	lockdep_assert_held(&watch->client->heap->event_lock);
	if (watch->event.state == MH_EVENT_QUEUED) {
		list_del(&watch->event.list);
	} else {
		hlist_del(&watch->node);
		WRITE_ONCE(watch->on->n, watch->on->n - 1);
	}
}

/**
 * mh_unwatch() - the client wants to be told no longer
 * @client: the client
 * @id: of the watch
 *
 * Return: 0; 1 if the object was dead already, and its event is taken back; -ENOENT if there is
 * no such watch, or the client is being told, or was.
 */
int mh_unwatch(struct mh_client *client, u32 id)
{
	struct mh_watch *watch;
	int ret = -ENOENT;

	spin_lock(&client->heap->event_lock);
	watch = xa_load(&client->watches, id);
	if (watch && watch->event.state != MH_EVENT_READING) {
		ret = watch->event.state == MH_EVENT_QUEUED;
		mh_watch_detach(watch);
		xa_erase(&client->watches, id);
	}
	spin_unlock(&client->heap->event_lock);
	if (ret >= 0)
		mh_watch_free(watch);
	return ret;
}

/**
 * mh_watch_told() - the client was told: that was all
 * @watch: the watch, in the hands of the reader
 */
void mh_watch_told(struct mh_watch *watch)
{
	struct mh_client *client = watch->client;

	spin_lock(&client->heap->event_lock);
	xa_erase(&client->watches, watch->event.id);
	spin_unlock(&client->heap->event_lock);
	mh_watch_free(watch);
}

/**
 * mh_watches_close() - the client is gone: free its watches
 * @client: the client; nobody else uses it
 */
void mh_watches_close(struct mh_client *client)
{
	struct mh_watch *watch;
	unsigned long id;

	xa_for_each(&client->watches, id, watch) {
		spin_lock(&client->heap->event_lock);
		mh_watch_detach(watch);
		xa_erase(&client->watches, id);
		spin_unlock(&client->heap->event_lock);
		mh_watch_free(watch);
		cond_resched();
	}
	xa_destroy(&client->watches);
}

/**
 * mh_watches_fire() - tell those who watch an object that it is dead
 * @heap: the heap; caller holds its gate
 * @o: the object, which nothing refers to, or which is garbage; the caller owns it
 */
void mh_watches_fire(struct mh_heap *heap, const struct mh_obj *o)
{
	struct mh_watches *on = &o->pool->watches[o->idx];
	struct hlist_node *next;
	struct mh_watch *watch;

	spin_lock(&heap->event_lock);
	hlist_for_each_entry_safe(watch, next, &on->list, node)
		mh_event_queue(watch->client, &watch->event);
	INIT_HLIST_HEAD(&on->list);
	WRITE_ONCE(on->n, 0);
	spin_unlock(&heap->event_lock);
}
