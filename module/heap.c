// SPDX-License-Identifier: GPL-2.0
/*
 * The heap: what its clients share, its limit and its figures.
 *
 * A heap lives while a client is attached. When the last one goes, nothing can name an object
 * any more, so everything is freed pool by pool, without a look at the graph.
 *
 * Two locks of the heap order everything else:
 *
 * - heap->lock, a mutex, protects what grows: the xarrays of types and pools, bins, the page
 *   map and the span bitmap of the arena. It is never held while payload
 *   pages are reserved or user memory is touched, so no client can make another wait for long.
 * - heap->gate, an rw_semaphore. Graph operations and marking hold it shared; between taking
 *   and releasing it they do a bounded amount of work, allocate nothing and touch no user
 *   memory. The collector holds it exclusive, for bounded steps. Under the shared gate no pool
 *   goes away and heap->phase stays what it is; everything else that graph operations share is
 *   atomic (object.c).
 *
 * Memory is counted twice: here, against heap->limit, and by the kernel, against the memory
 * cgroup of the process that asked for it.
 */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "internal.h"

static unsigned int max_heaps = 1024;
module_param(max_heaps, uint, 0644);
MODULE_PARM_DESC(max_heaps, "Heaps that one user may have (default 1024)");

static unsigned long max_limit = 64UL << 30;
module_param(max_limit, ulong, 0644);
MODULE_PARM_DESC(max_limit, "Largest limit of a heap, in bytes (default 64 GiB)");

static unsigned long default_limit = 1UL << 30;
module_param(default_limit, ulong, 0644);
MODULE_PARM_DESC(default_limit, "Limit of a heap that asks for none, in bytes (default 1 GiB)");

/* A user that has heaps. */
struct mh_user {
	struct list_head list;
	kuid_t uid;
	unsigned int heaps;
};

static DEFINE_MUTEX(mh_users_lock);	/* protects mh_users */
static LIST_HEAD(mh_users);
static atomic64_t mh_next_id = ATOMIC64_INIT(0);

static struct mh_user *mh_user_find(kuid_t uid)
{
	struct mh_user *user;

	lockdep_assert_held(&mh_users_lock);
	list_for_each_entry(user, &mh_users, list)
		if (uid_eq(user->uid, uid))
			return user;
	user = kzalloc(sizeof(*user), MH_GFP);
	if (!user)
		return ERR_PTR(-ENOMEM);
	user->uid = uid;
	list_add(&user->list, &mh_users);
	return user;
}

static void mh_user_release(struct mh_user *user)
{
	lockdep_assert_held(&mh_users_lock);
	if (user->heaps)
		return;
	list_del(&user->list);
	kfree(user);
}

/* One more heap of the current user: -EDQUOT or -ENOMEM as an error pointer. */
static struct mh_user *mh_user_get(void)
{
	struct mh_user *user;

	mutex_lock(&mh_users_lock);
	user = mh_user_find(current_uid());
	if (!IS_ERR(user)) {
		if (user->heaps < READ_ONCE(max_heaps)) {
			user->heaps++;
		} else {
			mh_user_release(user);
			user = ERR_PTR(-EDQUOT);
		}
	}
	mutex_unlock(&mh_users_lock);
	return user;
}

static void mh_user_put(struct mh_user *user)
{
	mutex_lock(&mh_users_lock);
	user->heaps--;
	mh_user_release(user);
	mutex_unlock(&mh_users_lock);
}

static void mh_heap_init(struct mh_heap *heap, u64 limit, u32 flags)
{
	heap->id = atomic64_inc_return(&mh_next_id);
	heap->flags = flags;
	heap->limit = limit;
	refcount_set(&heap->nclients, 1);
	mutex_init(&heap->lock);
	init_rwsem(&heap->gate);
	xa_init_flags(&heap->types, XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
	hash_init(heap->names);
	xa_init_flags(&heap->pools, XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
	spin_lock_init(&heap->dead_lock);
	init_llist_head(&heap->grey);
	init_llist_head(&heap->cand);
	init_llist_head(&heap->trim);
	spin_lock_init(&heap->event_lock);
	INIT_LIST_HEAD(&heap->listeners);
	xa_init_flags(&heap->finalizers, XA_FLAGS_ACCOUNT);
	INIT_LIST_HEAD(&heap->due);
	INIT_DELAYED_WORK(&heap->final_work, mh_final_work);
	spin_lock_init(&heap->linger_lock);
	INIT_LIST_HEAD(&heap->lingering);
	INIT_LIST_HEAD(&heap->takers);
	spin_lock_init(&heap->site_lock);
	xa_init_flags(&heap->tracers, XA_FLAGS_ACCOUNT);
	atomic64_set(&heap->kernel_bytes, sizeof(*heap) + sizeof(struct mh_collect));
}

/**
 * mh_heap_create() - a new, empty heap with one client to come
 * @limit: most bytes of memory, 0 for the default
 * @flags: MOHEAP_CREATE_*
 *
 * Return: the heap, to be released with mh_heap_put(), or an error pointer: -ERANGE, -EDQUOT,
 * -ENOMEM.
 */
struct mh_heap *mh_heap_create(u64 limit, u32 flags)
{
	struct mh_heap *heap;
	int err;

	if (!limit)
		limit = min(READ_ONCE(default_limit), READ_ONCE(max_limit));
	if (limit < MOHEAP_LIMIT_MIN || limit > READ_ONCE(max_limit))
		return ERR_PTR(-ERANGE);
	heap = kzalloc(sizeof(*heap), MH_GFP);
	if (!heap)
		return ERR_PTR(-ENOMEM);
	mh_heap_init(heap, limit, flags);

	err = -ENOMEM;
	heap->counters = alloc_percpu_gfp(struct mh_counters, MH_GFP);
	if (!heap->counters)
		goto free_heap;
	heap->owner = mh_user_get();
	if (IS_ERR(heap->owner)) {
		err = PTR_ERR(heap->owner);
		goto free_counters;
	}
	err = mh_arena_init(heap, limit);
	if (err)
		goto put_user;
	err = mh_collector_init(heap);
	if (err)
		goto destroy_arena;
	return heap;

destroy_arena:
	mh_arena_destroy(heap);
put_user:
	mh_user_put(heap->owner);
free_counters:
	free_percpu(heap->counters);
free_heap:
	kfree(heap);
	return ERR_PTR(err);
}

static void mh_heap_destroy(struct mh_heap *heap)
{
	struct mh_pool *pool;
	unsigned long id;

	mh_final_destroy(heap);
	if (heap->immortals)
		mh_client_forget(heap->immortals);
	mh_collector_destroy(heap);
	xa_for_each(&heap->pools, id, pool) {
		mh_pool_free_apart(pool);
		mh_pool_free(pool);
		cond_resched();
	}
	xa_destroy(&heap->pools);
	xa_destroy(&heap->finalizers);
	xa_destroy(&heap->tracers);
	mh_types_destroy(heap);
	mh_arena_destroy(heap);
	mh_user_put(heap->owner);
	free_percpu(heap->counters);
	kfree(heap);
}

/**
 * mh_heap_get() - one more client
 * @heap: a heap that another client keeps alive
 */
void mh_heap_get(struct mh_heap *heap)
{
	refcount_inc(&heap->nclients);
}

/**
 * mh_heap_put() - one client less; the last takes the heap along
 * @heap: the heap, which the caller must not touch afterwards
 */
void mh_heap_put(struct mh_heap *heap)
{
	if (refcount_dec_and_test(&heap->nclients))
		mh_heap_destroy(heap);
}

/**
 * mh_charge() - count memory against the limit of the heap
 * @heap: the heap
 * @what: heap->kernel_bytes or heap->arena_bytes
 * @bytes: how much
 *
 * Return: 0 or -ENOSPC.
 */
int mh_charge(struct mh_heap *heap, atomic64_t *what, u64 bytes)
{
	atomic64_add(bytes, what);
	if (atomic64_read(&heap->kernel_bytes) + atomic64_read(&heap->arena_bytes) <=
	    heap->limit)
		return 0;
	atomic64_sub(bytes, what);
	return -ENOSPC;
}

/**
 * mh_uncharge() - memory counted by mh_charge() is free
 * @heap: the heap
 * @what: heap->kernel_bytes or heap->arena_bytes
 * @bytes: how much
 */
void mh_uncharge(struct mh_heap *heap, atomic64_t *what, u64 bytes)
{
	atomic64_sub(bytes, what);
}

/**
 * mh_counters_sum() - add up the counters of all processors
 * @heap: the heap
 * @sum: out; exact while nothing happens to the heap
 */
void mh_counters_sum(struct mh_heap *heap, struct mh_counters *sum)
{
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		struct mh_counters *one = per_cpu_ptr(heap->counters, cpu);

		sum->allocated += READ_ONCE(one->allocated);
		sum->freed_count += READ_ONCE(one->freed_count);
		sum->freed_local += READ_ONCE(one->freed_local);
		sum->freed_trace += READ_ONCE(one->freed_trace);
	}
}

/**
 * mh_counters_live() - objects alive
 * @sum: from mh_counters_sum()
 *
 * Return: how many; objects that died while the counters were read may be missing.
 */
u64 mh_counters_live(const struct mh_counters *sum)
{
	s64 live = sum->allocated - sum->freed_count - sum->freed_local - sum->freed_trace;

	return max_t(s64, live, 0);
}

/**
 * mh_heap_stat() - the figures of a heap
 * @heap: the heap
 * @stat: out: all but size and flags
 */
void mh_heap_stat(struct mh_heap *heap, struct moheap_stat *stat)
{
	struct mh_counters sum;

	mh_collector_stat(heap, stat);
	mh_counters_sum(heap, &sum);
	stat->collector_ns = stat->trace_ns + stat->local_ns + stat->reap_ns;
	stat->heap_id = heap->id;
	stat->limit = heap->limit;
	stat->arena_size = heap->arena.size;
	stat->kernel_bytes = atomic64_read(&heap->kernel_bytes);
	stat->arena_bytes = atomic64_read(&heap->arena_bytes);
	stat->objects = mh_counters_live(&sum);
	stat->allocated = sum.allocated;
	stat->freed_count = sum.freed_count;
	stat->freed_local = sum.freed_local;
	stat->freed_trace = sum.freed_trace;
	stat->pending = atomic_read(&heap->ndead);
	stat->candidates = atomic_read(&heap->ncand);
	stat->escaped = atomic_read(&heap->escaped);
	stat->tracing = READ_ONCE(heap->phase) != MH_IDLE;
	stat->lingering = READ_ONCE(heap->nlinger);
	stat->frozen = atomic_long_read(&heap->nfrozen);
	stat->saved = atomic_long_read(&heap->nsaved);
	spin_lock(&heap->event_lock);
	stat->finalizing = heap->ndue;
	stat->finalized = heap->finalized;
	stat->unfinalized = heap->unfinalized;
	spin_unlock(&heap->event_lock);
	stat->clients = refcount_read(&heap->nclients);
	mutex_lock(&heap->lock);
	stat->pools = heap->npools;
	stat->types = heap->ntypes;
	mutex_unlock(&heap->lock);
}
