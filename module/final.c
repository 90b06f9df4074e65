// SPDX-License-Identifier: GPL-2.0
/*
 * Finalization: objects of some types are handed to a client before they go, as PEP 442 has it.
 *
 * An object of a finalizable type that nothing refers to any more, or that the collector found
 * unreachable, is not freed the first time: it is *due*. Nothing of it is cut, nor of what it
 * reaches. The heap holds it, as the keeper, a client without a file, until a client has read
 * the event that names it; from then on that client holds it. So a due object is held like any
 * other, and counts, roots and checks need to know nothing of it. What becomes of it is the
 * client's choice: store it somewhere and it lives, drop it and it goes for good, as this
 * happens once to an object.
 *
 * An event is told to the client that made the object, if it listens for objects to finalize,
 * else to any that does. If none does, if the last one dies, or if nobody has read the event
 * after tune.finalize_ms, the object is skipped: the keeper drops it, and it goes unfinalized. An
 * object that a client was handed is dropped with that client's other holds.
 *
 * All it takes is allocated with the pool: struct mh_final for each block, and the hold bits of
 * the keeper. Becoming due needs no memory. Its state (event.state, under heap->event_lock):
 *
 *	IDLE	 not due yet
 *	STAGED	 found by a trace or a local pass that is not done with its garbage
 *	QUEUED	 on client->events, and on heap->due, oldest first
 *	READING	 a reader has it in hand
 *	TOLD	 handed to a client, or skipped: never again
 *
 * From STAGED to READING the keeper holds the object, and nobody else will take that hold away.
 *
 * Who finds an object due, and why it is still whole:
 *
 * - mh_died() (object.c): the count fell to zero, in hands that own the object now. The count is
 *   set to one again, which is the keeper's (mh_final_rescue()). Refs lead to it as before.
 * - A local pass: all of its garbage that is due is staged before any of it is freed, and is
 *   alive to it then, as is what that reaches (collect.c).
 * - The trace: in FINALIZING, before anything is condemned (trace.c).
 *
 * An object that is condemned cannot be rescued: it is freed even if it was not finalized, which
 * happens only if no client listened when the trace looked.
 *
 * Locks: heap->event_lock for states and queues. The keeper's bits change under the gate.
 */
#include <linux/jiffies.h>

#include "internal.h"

/* Objects passed on or skipped at a time. */
#define MH_FINAL_STEP	32

/**
 * mh_final_init() - objects of the heap may be finalizable from now on
 * @heap: the heap; no lock may be held
 *
 * Return: 0 or -ENOMEM.
 */
int mh_final_init(struct mh_heap *heap)
{
	return mh_client_of_heap(heap, &heap->keeper) ? 0 : -ENOMEM;
}

/**
 * mh_final_destroy() - no object of the heap will be finalized any more
 * @heap: a heap that nobody can reach, with its pools
 */
void mh_final_destroy(struct mh_heap *heap)
{
	cancel_delayed_work_sync(&heap->final_work);
	if (heap->keeper)
		mh_client_forget(heap->keeper);
}

static size_t mh_final_bytes(const struct mh_pool *pool)
{
	return pool->nblocks * sizeof(struct mh_final);
}

/**
 * mh_final_prepare() - everything that objects of a pool will need to be finalized
 * @pool: a pool, active for the caller; neither the gate nor a spinlock may be held
 *
 * Return: 0, -ENOSPC at the heap's limit, -ENOMEM.
 */
int mh_final_prepare(struct mh_pool *pool)
{
	struct mh_heap *heap = pool->heap;
	int err;

	if (!(pool->bin->type->flags & MOHEAP_TYPE_FINALIZE))
		return 0;
	if (!pool->final) {
		err = mh_charge(heap, &heap->kernel_bytes, mh_final_bytes(pool));
		if (err)
			return err;
		pool->final = kvcalloc(pool->nblocks, sizeof(*pool->final), MH_GFP);
		if (!pool->final) {
			mh_uncharge(heap, &heap->kernel_bytes, mh_final_bytes(pool));
			return -ENOMEM;
		}
	}
	if (mh_client_holds(heap->keeper, pool))
		return 0;
	err = mh_client_reserve(heap->keeper, pool->id, pool->nblocks);
	if (err)
		return err;
	return mh_client_holds(heap->keeper, pool) ? 0 : -ENOMEM;
}

/**
 * mh_final_free() - free what mh_final_prepare() made
 * @pool: a pool that is going away
 */
void mh_final_free(struct mh_pool *pool)
{
	if (!pool->final)
		return;
	mh_uncharge(pool->heap, &pool->heap->kernel_bytes, mh_final_bytes(pool));
	kvfree(pool->final);
}

static struct mh_final *mh_final(const struct mh_obj *o)
{
	return &o->pool->final[o->idx];
}

/* The object that is due; the keeper holds it. */
static void mh_final_object(struct mh_heap *heap, const struct mh_final *f, struct mh_obj *o)
{
	WARN_ON_ONCE(mh_pool_find(heap, f->ref, o));
}

/* ---- Due ---- */

/* Whom to tell of an object that client @id made. */
static struct mh_client *mh_final_client(struct mh_heap *heap, u32 id)
{
	struct mh_client *client;
	unsigned long any = 0;

	lockdep_assert_held(&heap->event_lock);
	client = xa_load(&heap->finalizers, id);
	return client ? client : xa_find(&heap->finalizers, &any, ULONG_MAX, XA_PRESENT);
}

static unsigned long mh_final_patience(struct mh_heap *heap)
{
	return msecs_to_jiffies(READ_ONCE(heap->tune.finalize_ms));
}

static void mh_final_queue(struct mh_heap *heap, struct mh_client *client, struct mh_final *f)
{
	lockdep_assert_held(&heap->event_lock);
	f->since = jiffies;
	if (list_empty(&heap->due))
		queue_delayed_work(system_unbound_wq, &heap->final_work, mh_final_patience(heap));
	list_add_tail(&f->due, &heap->due);
	heap->ndue++;
	mh_event_queue(client, &f->event);
}

/* Off heap->due; the event is off the client's queue, or the caller takes it off. */
static void mh_final_unqueue(struct mh_heap *heap, struct mh_final *f)
{
	lockdep_assert_held(&heap->event_lock);
	list_del(&f->due);
	heap->ndue--;
}

/**
 * mh_final_keep() - a reference of the caller's becomes the keeper's hold
 * @heap: the heap; caller holds its gate
 * @o: the object, due
 */
void mh_final_keep(struct mh_heap *heap, const struct mh_obj *o)
{
	/* Barrier H of trace.c. */
	mh_shade(heap, o);
	set_bit(o->idx, mh_client_holds(heap->keeper, o->pool)->bits);
}

/* The keeper's hold becomes a reference of the caller's. */
static void mh_final_unkeep(struct mh_heap *heap, const struct mh_obj *o)
{
	clear_bit(o->idx, mh_client_holds(heap->keeper, o->pool)->bits);
}

/**
 * mh_final_rescue() - the count of an object fell to zero: is it due?
 * @heap: the heap; caller holds its gate
 * @o: the object, of a finalizable type and alive but for the count; the caller owns it
 *
 * Return: true if so: it is alive again, and the keeper's.
 */
bool mh_final_rescue(struct mh_heap *heap, const struct mh_obj *o)
{
	struct mh_final *f = mh_final(o);
	u32 gen = mh_gen(atomic64_read(&o->header->word));
	struct mh_client *client;

	if (f->event.state != MH_EVENT_IDLE)
		return false;
	if (heap->phase == MH_SWEEPING && !mh_test(o, MH_MARK))
		return false;
	spin_lock(&heap->event_lock);
	client = mh_final_client(heap, f->event.id);
	if (client) {
		f->ref = mh_word(gen, mh_granule(o));
		/* Before anybody can pin it again. */
		mh_final_queue(heap, client, f);
		atomic64_set_release(&o->header->word, mh_word(gen, 1));
		mh_final_keep(heap, o);
	}
	spin_unlock(&heap->event_lock);
	return client;
}

/**
 * mh_final_stage() - an object is garbage: is it due?
 * @heap: the heap; caller holds its gate
 * @o: the object, which the caller has pinned, or nobody else can reach
 * @staged: where it goes if so, for mh_final_deliver()
 *
 * Return: true if so: the caller sees to it that the keeper holds it (mh_final_keep()).
 */
bool mh_final_stage(struct mh_heap *heap, const struct mh_obj *o, struct list_head *staged)
{
	struct mh_final *f = mh_final(o);
	bool due;

	spin_lock(&heap->event_lock);
	due = f->event.state == MH_EVENT_IDLE && mh_final_client(heap, f->event.id);
	if (due) {
		f->ref = mh_ref(o);
		f->event.state = MH_EVENT_STAGED;
		list_add_tail(&f->event.list, staged);
	}
	spin_unlock(&heap->event_lock);
	return due;
}

/**
 * mh_final_staged() - is an object staged?
 * @o: the object, of a finalizable type
 *
 * Return: true if so.
 */
bool mh_final_staged(const struct mh_obj *o)
{
	return READ_ONCE(mh_final(o)->event.state) == MH_EVENT_STAGED;
}

/* Objects that nobody will finalize: the keeper drops them. Caller holds the gate. */
static void mh_final_skip(struct mh_heap *heap, const u64 *refs, u32 n)
{
	struct mh_dead dead = { };
	struct mh_obj o;
	u32 i;

	lockdep_assert_held(&heap->gate);
	for (i = 0; i < n; i++) {
		if (WARN_ON_ONCE(mh_pool_find(heap, refs[i], &o)))
			continue;
		mh_final_unkeep(heap, &o);
		mh_put(heap, &o, 1, &dead);
	}
	mh_reap(heap, &dead, MH_REAP_INLINE);
}

/**
 * mh_final_deliver() - tell clients of objects that are due
 * @heap: the heap; caller holds its gate
 * @staged: objects staged; the keeper holds them
 *
 * Tells of a few at a time.
 *
 * Return: true if none are left.
 */
bool mh_final_deliver(struct mh_heap *heap, struct list_head *staged)
{
	struct mh_client *client;
	u64 refs[MH_FINAL_STEP];
	struct mh_final *f;
	u32 i, n = 0;

	spin_lock(&heap->event_lock);
	for (i = 0; i < MH_FINAL_STEP && !list_empty(staged); i++) {
		f = list_first_entry(staged, struct mh_final, event.list);
		list_del(&f->event.list);
		client = mh_final_client(heap, f->event.id);
		if (client) {
			mh_final_queue(heap, client, f);
			continue;
		}
		/* Whoever listened has gone meanwhile. */
		f->event.state = MH_EVENT_TOLD;
		heap->unfinalized++;
		refs[n++] = f->ref;
	}
	spin_unlock(&heap->event_lock);
	mh_final_skip(heap, refs, n);
	return list_empty(staged);
}

/* ---- Read ---- */

/**
 * mh_final_taken() - a reader takes the event off the queue
 * @heap: the heap; caller holds heap->event_lock
 * @f: what is due
 */
void mh_final_taken(struct mh_heap *heap, struct mh_final *f)
{
	mh_final_unqueue(heap, f);
}

/**
 * mh_final_returned() - the reader puts the event back, as the first
 * @heap: the heap; caller holds heap->event_lock
 * @f: what is due
 */
void mh_final_returned(struct mh_heap *heap, struct mh_final *f)
{
	lockdep_assert_held(&heap->event_lock);
	if (list_empty(&heap->due))
		queue_delayed_work(system_unbound_wq, &heap->final_work, 0);
	list_add(&f->due, &heap->due);
	heap->ndue++;
}

/**
 * mh_final_ready() - see to it that a client can be handed an object
 * @client: the client; no lock but its read_lock may be held
 * @f: what is due, in the hands of the reader
 * @type: out: type id of the object
 *
 * Return: 0 or -ENOMEM.
 */
int mh_final_ready(struct mh_client *client, struct mh_final *f, u32 *type)
{
	struct mh_heap *heap = client->heap;
	u32 pool_id, nblocks;
	struct mh_obj o;
	bool ready;

	down_read(&heap->gate);
	mh_final_object(heap, f, &o);
	*type = o.pool->bin->type->id;
	pool_id = o.pool->id;
	nblocks = o.pool->nblocks;
	ready = mh_client_holds(client, o.pool);
	up_read(&heap->gate);
	return ready ? 0 : mh_client_reserve(client, pool_id, nblocks);
}

/**
 * mh_final_told() - the client was told: it holds the object now
 * @client: the client; no lock but its read_lock may be held
 * @f: what was due, in the hands of the reader
 */
void mh_final_told(struct mh_client *client, struct mh_final *f)
{
	struct mh_heap *heap = client->heap;
	struct mh_dead dead = { };
	struct mh_obj o;

	down_read(&heap->gate);
	mh_final_object(heap, f, &o);
	spin_lock(&heap->event_lock);
	f->event.state = MH_EVENT_TOLD;
	heap->finalized++;
	spin_unlock(&heap->event_lock);
	/* In this order: as soon as the client holds it, it may be gone. */
	mh_final_unkeep(heap, &o);
	WARN_ON_ONCE(mh_client_hold(client, &o, &dead));
	mh_reap(heap, &dead, MH_REAP_INLINE);
	up_read(&heap->gate);
}

/* ---- Not read ---- */

/**
 * mh_final_close() - a client is going: pass on what it was to be told
 * @client: the client; nobody else uses it
 */
void mh_final_close(struct mh_client *client)
{
	struct mh_heap *heap = client->heap;
	struct mh_event *event, *next;
	u64 refs[MH_FINAL_STEP];
	struct mh_client *other;
	struct mh_final *f;
	u32 looked, n;

	spin_lock(&heap->event_lock);
	xa_erase(&heap->finalizers, client->id);
	spin_unlock(&heap->event_lock);
	do {
		down_read(&heap->gate);
		spin_lock(&heap->event_lock);
		looked = 0;
		n = 0;
		list_for_each_entry_safe(event, next, &client->events, list) {
			if (looked++ == MH_FINAL_STEP)
				break;
			if (event->kind != MH_EVENT_FINAL) {
				/* Collections: the client takes them along. */
				list_del(&event->list);
				continue;
			}
			f = container_of(event, struct mh_final, event);
			list_del(&event->list);
			other = mh_final_client(heap, event->id);
			if (other) {
				mh_event_queue(other, event);
				continue;
			}
			mh_final_unqueue(heap, f);
			event->state = MH_EVENT_TOLD;
			heap->unfinalized++;
			refs[n++] = f->ref;
		}
		spin_unlock(&heap->event_lock);
		mh_final_skip(heap, refs, n);
		up_read(&heap->gate);
		cond_resched();
	} while (looked > MH_FINAL_STEP);
}

/*
 * Skip some of what nobody has read in time. Return true if there is more of that now. Else @until
 * is how many jiffies it will take, or 0 for never.
 */
static bool mh_final_expire(struct mh_heap *heap, unsigned long *until)
{
	u64 refs[MH_FINAL_STEP];
	unsigned long end, now;
	struct mh_final *f;
	u32 n = 0;

	*until = 0;
	down_read(&heap->gate);
	spin_lock(&heap->event_lock);
	while (n < MH_FINAL_STEP && !list_empty(&heap->due)) {
		f = list_first_entry(&heap->due, struct mh_final, due);
		end = f->since + mh_final_patience(heap);
		/* One look at the time: by the next one @until may be 0. */
		now = jiffies;
		if (time_before(now, end)) {
			*until = end - now;
			break;
		}
		list_del(&f->event.list);
		mh_final_unqueue(heap, f);
		f->event.state = MH_EVENT_TOLD;
		heap->unfinalized++;
		refs[n++] = f->ref;
	}
	spin_unlock(&heap->event_lock);
	mh_final_skip(heap, refs, n);
	up_read(&heap->gate);
	return n == MH_FINAL_STEP;
}

/**
 * mh_final_work() - some objects may have waited too long for a reader
 * @work: of a heap
 */
void mh_final_work(struct work_struct *work)
{
	struct mh_heap *heap = container_of(to_delayed_work(work), struct mh_heap, final_work);
	unsigned long until;

	while (mh_final_expire(heap, &until))
		cond_resched();
	/* Where the list was empty, whoever puts something there queues the work. */
	if (until)
		queue_delayed_work(system_unbound_wq, &heap->final_work, until);
	mh_collector_kick(heap);
}

/**
 * mh_final_tuned() - tune.finalize_ms has changed
 * @heap: the heap
 */
void mh_final_tuned(struct mh_heap *heap)
{
	mod_delayed_work(system_unbound_wq, &heap->final_work, 0);
}
