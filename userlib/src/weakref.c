// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Weak references: a ref, which is weak by itself, and a watcher where somebody wants to be told.
 *
 * All of a heap are in a table by object, until their last user gives them up: so that those of an
 * object can be counted, and moheap_close() finds them all. The dispatcher tells of a death; but a
 * weak reference is dead as soon as the kernel says that its object is, and nothing here gives out
 * a ref without having asked, or having a reference.
 *
 * heap->weakrefs.lock protects the table and what is in it. It may be held while the kernel is
 * asked, and may not be while something is called that waits for the dispatcher.
 */
#include <string.h>

#include "weakmap.h"

/* Objects to ask for at a time. */
#define MH_ALIVE_SOME	64

/* ---- Is it there? ---- */

static void mh_alive_op(struct moheap_op *op, moheap_ref_t ref)
{
	/* What is there has no such slot. */
	*op = (struct moheap_op){ .code = MOHEAP_OP_LOAD, .ref = ref, .index = UINT32_MAX };
}

/* Ask the kernel, and have no guard take it for misuse. Caller holds heap->lock. */
static int mh_alive_ask(struct moheap *heap, struct moheap_op *ops, unsigned int n)
{
	struct moheap_batch batch = {
		.size = sizeof(batch),
		.flags = MOHEAP_BATCH_CONTINUE,
		.ops = (uintptr_t)ops,
		.count = n,
	};
	int err;

	mh_queue_send(heap);
	err = mh_ioctl(heap, MOHEAP_IOC_BATCH, &batch);
	return err < 0 ? err : 0;
}

static int mh_alive_some(struct moheap *heap, const moheap_ref_t *refs, unsigned int n,
			 bool *alive)
{
	unsigned int asked[MH_ALIVE_SOME], i, nops = 0;
	struct moheap_op ops[MH_ALIVE_SOME];
	int err = 0;

	mh_lock(&heap->lock);
	for (i = 0; i < n; i++) {
		alive[i] = mh_hold_count(heap, refs[i]);
		if (alive[i] || mh_name_weak(heap, refs[i]))
			continue;
		asked[nops] = i;
		mh_alive_op(&ops[nops++], refs[i]);
	}
	if (nops)
		err = mh_alive_ask(heap, ops, nops);
	mh_unlock(&heap->lock);
	for (i = 0; i < nops && !err; i++) {
		alive[asked[i]] = ops[i].error == -ERANGE;
		if (ops[i].error != -ERANGE && ops[i].error != -ESTALE)
			err = ops[i].error;
	}
	return err;
}

/*
 * mh_alive_many() - which of these objects are there?
 *
 * The kernel is asked of those that the process has no reference to, many at a time.
 *
 * Return: 0, -EINVAL: one never was an object; -ENOTCONN.
 */
int mh_alive_many(struct moheap *heap, const moheap_ref_t *refs, size_t n, bool *alive)
{
	size_t at, some;
	int err = 0;

	for (at = 0; at < n && !err; at += some) {
		some = mh_min(n - at, MH_ALIVE_SOME);
		err = mh_alive_some(heap, refs + at, some, alive + at);
	}
	return err;
}

/*
 * mh_alive() - is an object there?
 *
 * Return: 1, 0; as mh_alive_many().
 */
int mh_alive(struct moheap *heap, moheap_ref_t ref)
{
	bool alive;
	int err;

	if (mh_hold_count(heap, ref))
		return 1;
	err = mh_alive_some(heap, &ref, 1, &alive);
	return err ? err : alive;
}

/* ---- The table; caller holds heap->weakrefs.lock ---- */

static struct mh_weakref_chain *mh_weakrefs_at(const struct mh_weakrefs *weakrefs, moheap_ref_t ref)
{
	__u64 hash = ref * 0x9e3779b97f4a7c15ULL;

	return &weakrefs->table[hash >> 32 & (weakrefs->size - 1)];
}

/* In each chain the newest comes first. */
static void mh_weakrefs_move(struct mh_weakrefs *to, struct mh_weakref_chain *chain)
{
	struct moheap_weakref *weakref;

	while ((weakref = TAILQ_LAST(chain, mh_weakref_chain))) {
		TAILQ_REMOVE(chain, weakref, chain);
		TAILQ_INSERT_HEAD(mh_weakrefs_at(to, mh_weakref_ref(weakref)), weakref, chain);
	}
}

static int mh_weakrefs_make_room(struct mh_weakrefs *weakrefs)
{
	struct mh_weakrefs more = *weakrefs;
	size_t i;

	if (weakrefs->n < weakrefs->size)
		return 0;
	more.size = mh_max(weakrefs->size * 2, 16);
	more.table = malloc(more.size * sizeof(*more.table));
	if (!more.table)
		return -ENOMEM;
	for (i = 0; i < more.size; i++)
		TAILQ_INIT(&more.table[i]);
	for (i = 0; i < weakrefs->size; i++)
		mh_weakrefs_move(&more, &weakrefs->table[i]);
	free(weakrefs->table);
	weakrefs->table = more.table;
	weakrefs->size = more.size;
	return 0;
}

/* That of an object which has no callback. */
static struct moheap_weakref *mh_weakrefs_plain(const struct mh_weakrefs *weakrefs,
						moheap_ref_t ref)
{
	struct moheap_weakref *weakref;

	if (!weakrefs->size)
		return NULL;
	TAILQ_FOREACH(weakref, mh_weakrefs_at(weakrefs, ref), chain)
		if (mh_weakref_ref(weakref) == ref && !weakref->died)
			return weakref;
	return NULL;
}

void mh_weakrefs_init(struct moheap *heap)
{
	TAILQ_INIT(&heap->weakrefs.finalizers);
}

/*
 * mh_weakrefs_free() - the heap is closed: all weak references end
 */
void mh_weakrefs_free(struct moheap *heap)
{
	struct mh_weakrefs *weakrefs = &heap->weakrefs;
	struct moheap_weakref *weakref;
	size_t i;

	mh_weakmaps_free(heap);
	for (i = 0; i < weakrefs->size; i++) {
		while ((weakref = TAILQ_FIRST(&weakrefs->table[i]))) {
			TAILQ_REMOVE(&weakrefs->table[i], weakref, chain);
			free(weakref);
		}
	}
	free(weakrefs->table);
}

/* ---- Making and dropping them ---- */

static void mh_weakref_told(struct moheap *heap, struct mh_watcher *watcher)
{
	struct moheap_weakref *weakref = mh_weakref_of(watcher);
	bool wanted;

	mh_lock(&heap->weakrefs.lock);
	mh_weakref_clear(weakref);
	wanted = weakref->users;
	mh_unlock(&heap->weakrefs.lock);
	/* Who gives it up now waits until this is done, if it is another thread. */
	if (wanted)
		weakref->died(heap, weakref);
}

/*
 * mh_weakref_attach() - have a weak reference refer to an object; caller holds heap->weakrefs.lock
 *
 * @weakref is all zero but for what is to be called. Its caller becomes its user.
 *
 * Return: 0; -ESTALE, -EINVAL, -ENOMEM; where it is watched also as mh_watcher_add(), and then
 * @weakref is nobody's but the caller's.
 */
int mh_weakref_attach(struct moheap *heap, struct moheap_weakref *weakref, moheap_ref_t ref)
{
	struct mh_weakrefs *weakrefs = &heap->weakrefs;
	int err = mh_weakrefs_make_room(weakrefs);

	if (err)
		return err;
	weakref->users = 1;
	weakref->watcher.ref = ref;
	weakref->watcher.died = mh_weakref_told;
	if (weakref->died) {
		err = mh_watcher_add(heap, &weakref->watcher, ref);
	} else {
		err = mh_alive(heap, ref);
		err = err == 1 ? 0 : err ? err : -ESTALE;
	}
	if (err)
		return err;
	TAILQ_INSERT_HEAD(mh_weakrefs_at(weakrefs, ref), weakref, chain);
	weakrefs->n++;
	return 0;
}

/*
 * mh_weakref_put() - use a weak reference no longer; no lock may be held
 *
 * With its last user it ends: died() does not run then, unless it is what calls this.
 */
void mh_weakref_put(struct moheap *heap, struct moheap_weakref *weakref)
{
	struct mh_weakrefs *weakrefs = &heap->weakrefs;
	bool last;

	mh_lock(&weakrefs->lock);
	last = !--weakref->users;
	if (last) {
		TAILQ_REMOVE(mh_weakrefs_at(weakrefs, mh_weakref_ref(weakref)), weakref, chain);
		weakrefs->n--;
	}
	mh_unlock(&weakrefs->lock);
	if (!last)
		return;
	if (weakref->died)
		mh_watcher_remove(heap, &weakref->watcher);
	free(weakref);
}

static void mh_weakref_call_back(struct moheap *heap, struct moheap_weakref *weakref)
{
	/* It may be gone when this returns. */
	weakref->callback(heap, weakref, weakref->data);
}

/* The one without a callback, if there is one already; caller holds heap->weakrefs.lock. */
static int mh_weakref_share(struct moheap *heap, moheap_ref_t ref, struct moheap_weakref **found)
{
	struct moheap_weakref *weakref = mh_weakrefs_plain(&heap->weakrefs, ref);
	int alive = weakref ? mh_alive(heap, ref) : 1;

	if (alive != 1)
		return alive ? alive : -ESTALE;
	if (weakref)
		weakref->users++;
	*found = weakref;
	return 0;
}

static int mh_weakref_new(struct moheap *heap, struct moheap_weakref *made, moheap_ref_t ref,
			  struct moheap_weakref **weakref)
{
	int err;

	*weakref = NULL;
	if (!made->died) {
		err = mh_weakref_share(heap, ref, weakref);
		if (err || *weakref)
			return err;
	}
	err = mh_weakref_attach(heap, made, ref);
	if (!err)
		*weakref = made;
	return err;
}

int moheap_weakref_new(struct moheap *heap, moheap_ref_t ref, moheap_weakref_callback_t callback,
		       void *data, struct moheap_weakref **weakref)
{
	struct moheap_weakref *made = calloc(1, sizeof(*made)), *got;
	int err;

	if (!made)
		return -ENOMEM;
	made->callback = callback;
	made->data = data;
	made->died = callback ? mh_weakref_call_back : NULL;
	mh_lock(&heap->weakrefs.lock);
	err = mh_weakref_new(heap, made, ref, &got);
	mh_unlock(&heap->weakrefs.lock);
	if (got != made)
		free(made);
	if (!err)
		*weakref = got;
	return err;
}

void moheap_weakref_free(struct moheap *heap, struct moheap_weakref *weakref)
{
	if (weakref)
		mh_weakref_put(heap, weakref);
}

/* ---- Using them ---- */

/* An object that was given up here is not to come back because that is still in the queue. */
static void mh_drops_send(struct moheap *heap, moheap_ref_t ref)
{
	if (mh_hold_count(heap, ref))
		return;
	mh_lock(&heap->lock);
	mh_queue_send(heap);
	mh_unlock(&heap->lock);
}

/*
 * mh_weakref_take() - a reference to the object, or 0 where it is gone
 *
 * Return: 0; -EOVERFLOW, -ENOTCONN.
 */
int mh_weakref_take(struct moheap *heap, const struct moheap_weakref *weakref, moheap_ref_t *ref)
{
	int err = -ESTALE;

	*ref = 0;
	if (!mh_weakref_dead(weakref)) {
		mh_drops_send(heap, mh_weakref_ref(weakref));
		err = moheap_incref(heap, mh_weakref_ref(weakref));
	}
	if (!err)
		*ref = mh_weakref_ref(weakref);
	return err == -ESTALE ? 0 : err;
}

int moheap_weakref_get(struct moheap *heap, const struct moheap_weakref *weakref, moheap_ref_t *ref)
{
	return mh_weakref_take(heap, weakref, ref);
}

int moheap_weakref_alive(struct moheap *heap, const struct moheap_weakref *weakref)
{
	if (mh_weakref_dead(weakref))
		return 0;
	return mh_alive(heap, mh_weakref_ref(weakref));
}

moheap_ref_t moheap_weakref_peek(const struct moheap_weakref *weakref)
{
	return mh_weakref_ref(weakref);
}

moheap_weakref_callback_t moheap_weakref_callback(const struct moheap_weakref *weakref, void **data)
{
	if (mh_weakref_dead(weakref))
		return NULL;
	if (data)
		*data = weakref->data;
	return weakref->callback;
}

int moheap_weakref_hash(struct moheap *heap, struct moheap_weakref *weakref, __u64 *hash)
{
	struct mh_weakrefs *weakrefs = &heap->weakrefs;
	moheap_ref_t ref;
	int err = 0;

	mh_lock(&weakrefs->lock);
	if (!weakref->hashed) {
		err = mh_weakref_take(heap, weakref, &ref);
		if (!err)
			err = ref ? moheap_hash(heap, ref, &weakref->hash) : -ESTALE;
		if (!err)
			weakref->hashed = true;
		moheap_decref(heap, ref);
	}
	*hash = weakref->hash;
	mh_unlock(&weakrefs->lock);
	return err;
}

int moheap_weakref_equal(struct moheap *heap, const struct moheap_weakref *a,
			 const struct moheap_weakref *b)
{
	moheap_ref_t refs[2] = { 0 };
	int ret;

	if (a == b)
		return 1;
	ret = mh_weakref_take(heap, a, &refs[0]);
	if (!ret)
		ret = mh_weakref_take(heap, b, &refs[1]);
	if (!ret && refs[0] && refs[1])
		ret = moheap_equal(heap, refs[0], refs[1]);
	moheap_decref(heap, refs[0]);
	moheap_decref(heap, refs[1]);
	return ret;
}

/* ---- Those of an object ---- */

/* Give out one of them. */
static void mh_weakrefs_give(struct moheap_weakref *weakref, struct moheap_weakref **weakrefs,
			     size_t n, size_t *at)
{
	if (*at < n) {
		weakref->users++;
		weakrefs[*at] = weakref;
	}
	++*at;
}

static long long mh_weakrefs_of(struct moheap *heap, moheap_ref_t ref,
				struct moheap_weakref **weakrefs, size_t n)
{
	const struct mh_weakrefs *all = &heap->weakrefs;
	struct moheap_weakref *weakref = mh_weakrefs_plain(all, ref);
	size_t at = 0;

	if (weakref)
		mh_weakrefs_give(weakref, weakrefs, n, &at);
	if (!all->size)
		return at;
	TAILQ_FOREACH(weakref, mh_weakrefs_at(all, ref), chain)
		if (mh_weakref_ref(weakref) == ref && weakref->died && !mh_weakref_dead(weakref))
			mh_weakrefs_give(weakref, weakrefs, n, &at);
	return at;
}

long long moheap_getweakrefs(struct moheap *heap, moheap_ref_t ref,
			     struct moheap_weakref **weakrefs, size_t n)
{
	int alive = mh_alive(heap, ref);
	long long ret;

	if (alive != 1)
		return alive ? alive : -ESTALE;
	mh_lock(&heap->weakrefs.lock);
	ret = mh_weakrefs_of(heap, ref, weakrefs, n);
	mh_unlock(&heap->weakrefs.lock);
	return ret;
}

long long moheap_getweakrefcount(struct moheap *heap, moheap_ref_t ref)
{
	return moheap_getweakrefs(heap, ref, NULL, 0);
}
