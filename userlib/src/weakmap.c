// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Weak maps: what is under weak dicts and sets. Memory of this process, not objects of the heap.
 *
 * An entry has a weak side, with a weak reference, and another side that the map holds. It goes
 * when the dispatcher tells that the weak side died, or when anybody comes by and sees that. So it
 * does not matter to what a map has whether somebody dispatches; and before a map grows, it asks
 * the kernel which of its entries are dead, so it does not matter to its size either.
 *
 * Entries are found by hash, in chains, and have places in the order in which they came. A walk
 * remembers the number of the last entry it saw: nothing that happens to the map can confuse it.
 *
 * All is under heap->weakrefs.lock. An entry that was taken out is buried after that is released:
 * to give up its weak reference may mean to wait for the dispatcher.
 */
#include "container.h"
#include "weakmap.h"

#define MH_WEAKMAP_FIRST	8

/* Entries to ask for at a time. */
#define MH_SCAN_SOME	64

/**
 * struct mh_weak_entry - an entry
 * @weakref: its weak side; first, for it is freed with that
 * @chain: the next in its chain, or to be buried
 * @map: where it is; NULL once it was taken out
 * @place: where in the order
 * @hash: of its key
 * @other: its other side, with a reference; 0: none
 */
struct mh_weak_entry {
	struct moheap_weakref weakref;
	struct mh_weak_entry *chain;
	struct mh_weakmap *map;
	size_t place;
	__u64 hash;
	moheap_ref_t other;
};

/* ---- Entries that go ---- */

static struct mh_weak_entry **mh_weak_chain(const struct mh_weakmap *map, __u64 hash)
{
	return &map->index[hash & (map->size - 1)];
}

/* Caller holds heap->weakrefs.lock. */
static void mh_weak_out(struct mh_weak_entry *entry, struct mh_weak_entry **gone)
{
	struct mh_weakmap *map = entry->map;
	struct mh_weak_entry **link = mh_weak_chain(map, entry->hash);

	while (*link != entry)
		link = &(*link)->chain;
	*link = entry->chain;
	map->places[entry->place].entry = NULL;
	while (map->filled && !map->places[map->filled - 1].entry)
		map->filled--;
	map->used--;
	entry->map = NULL;
	entry->chain = *gone;
	*gone = entry;
}

/* No lock may be held. */
static void mh_weak_bury(struct moheap *heap, struct mh_weak_entry *gone)
{
	struct mh_weak_entry *entry;

	while (gone) {
		entry = gone;
		gone = entry->chain;
		moheap_decref(heap, entry->other);
		mh_weakref_put(heap, &entry->weakref);
	}
}

static void mh_weak_died(struct moheap *heap, struct moheap_weakref *weakref)
{
	struct mh_weak_entry *entry = (struct mh_weak_entry *)weakref, *gone = NULL;

	mh_lock(&heap->weakrefs.lock);
	if (entry->map)
		mh_weak_out(entry, &gone);
	mh_unlock(&heap->weakrefs.lock);
	mh_weak_bury(heap, gone);
}

/* ---- All entries; caller holds heap->weakrefs.lock ---- */

/* Some entries from place *@at on. */
static unsigned int mh_weakmap_some(const struct mh_weakmap *map, size_t *at,
				    struct mh_weak_entry **some)
{
	unsigned int n = 0;

	for (; *at < map->filled && n < MH_SCAN_SOME; ++*at)
		if (map->places[*at].entry)
			some[n++] = map->places[*at].entry;
	return n;
}

/* Take out all that are dead. */
static int mh_weakmap_scan(struct moheap *heap, struct mh_weakmap *map,
			   struct mh_weak_entry **gone)
{
	struct mh_weak_entry *some[MH_SCAN_SOME];
	moheap_ref_t refs[MH_SCAN_SOME];
	bool alive[MH_SCAN_SOME];
	unsigned int i, n;
	size_t at = 0;
	int err = 0;

	while (!err && (n = mh_weakmap_some(map, &at, some))) {
		for (i = 0; i < n; i++)
			refs[i] = mh_weakref_ref(&some[i]->weakref);
		err = mh_alive_many(heap, refs, n, alive);
		for (i = 0; i < n && !err; i++)
			if (!alive[i] || mh_weakref_dead(&some[i]->weakref))
				mh_weak_out(some[i], gone);
	}
	return err;
}

static void mh_weakmap_move(struct mh_weakmap *map, const struct mh_weakmap *from)
{
	struct mh_weak_entry *entry;
	size_t at;

	for (at = 0; at < from->filled; at++) {
		entry = from->places[at].entry;
		if (!entry)
			continue;
		map->places[map->filled] = from->places[at];
		entry->place = map->filled++;
		entry->chain = *mh_weak_chain(map, entry->hash);
		*mh_weak_chain(map, entry->hash) = entry;
	}
}

static int mh_weakmap_resize(struct mh_weakmap *map, size_t size)
{
	struct mh_weakmap old = *map;
	struct mh_weak_place *places = malloc(size * sizeof(*places));
	struct mh_weak_entry **index = calloc(size, sizeof(struct mh_weak_entry *));

	if (!places || !index) {
		free(places);
		free(index);
		return -ENOMEM;
	}
	map->places = places;
	map->index = index;
	map->size = size;
	map->filled = 0;
	mh_weakmap_move(map, &old);
	free(old.places);
	free(old.index);
	return 0;
}

/* Room for one more. */
static int mh_weakmap_make_room(struct moheap *heap, struct mh_weakmap *map,
				struct mh_weak_entry **gone)
{
	size_t size = MH_WEAKMAP_FIRST;
	int err = 0;

	if (map->filled < map->size)
		return 0;
	if (map->used > map->size / 2)
		err = mh_weakmap_scan(heap, map, gone);
	while (size * 2 < map->used * 3)
		size *= 2;
	return err ? err : mh_weakmap_resize(map, size);
}

/* ---- One entry; caller holds heap->weakrefs.lock ---- */

/*
 * Is this the entry of a key?
 *
 * Return: 1, and @held is its weak side, with a reference; 0: it is not, or @held is 0 and it is
 * dead; or an errno.
 */
static int mh_weak_is(struct moheap *heap, const struct mh_weak_entry *entry,
		      const struct mh_key *key, moheap_ref_t *held)
{
	bool weak_key = entry->map->weak == MH_WEAK_KEY;
	int ret;

	*held = mh_weakref_ref(&entry->weakref);
	if (entry->hash != key->hash)
		return 0;
	ret = weak_key ? 1 : moheap_equal(heap, entry->other, key->ref);
	if (ret != 1)
		return ret;
	ret = mh_weakref_take(heap, &entry->weakref, held);
	if (ret || !*held)
		return ret;
	ret = weak_key ? moheap_equal(heap, *held, key->ref) : 1;
	if (ret != 1)
		moheap_decref(heap, *held);
	return ret;
}

/*
 * The entry of a key, as mh_weak_is() says. Those that are dead are taken out on the way.
 */
static int mh_weak_find(struct moheap *heap, struct mh_weakmap *map, const struct mh_key *key,
			struct mh_weak_entry **found, moheap_ref_t *held,
			struct mh_weak_entry **gone)
{
	struct mh_weak_entry *entry, *next;
	int is = 0;

	if (!map->size)
		return 0;
	for (entry = *mh_weak_chain(map, key->hash); entry && !is; entry = next) {
		next = entry->chain;
		is = mh_weak_is(heap, entry, key, held);
		*found = entry;
		if (!is && !*held)
			mh_weak_out(entry, gone);
	}
	return is;
}

/* Make references of what is wanted of an entry; @held is used up. */
static int mh_weak_give(struct moheap *heap, const struct mh_weak_entry *entry, moheap_ref_t held,
			moheap_ref_t *key, moheap_ref_t *value)
{
	bool weak_key = entry->map->weak == MH_WEAK_KEY;
	moheap_ref_t *weak = weak_key ? key : value;
	moheap_ref_t *other = weak_key ? value : key;
	int err = other ? mh_take(heap, entry->other, other) : 0;

	if (weak && !err)
		*weak = held;
	else
		moheap_decref(heap, held);
	return err;
}

/* The new entry comes last, or takes the place of another. */
static void mh_weak_in(struct mh_weakmap *map, struct mh_weak_entry *entry,
		       struct mh_weak_entry *instead, struct mh_weak_entry **gone)
{
	struct mh_weak_place place = { .entry = entry };

	if (instead) {
		place.number = map->places[instead->place].number;
		entry->place = instead->place;
		mh_weak_out(instead, gone);
		map->filled = mh_max(map->filled, entry->place + 1);
	} else {
		place.number = ++map->number;
		entry->place = map->filled++;
	}
	map->places[entry->place] = place;
	entry->chain = *mh_weak_chain(map, entry->hash);
	*mh_weak_chain(map, entry->hash) = entry;
	entry->map = map;
	map->used++;
}

static int mh_weak_attach(struct moheap *heap, struct mh_weak_entry *entry, moheap_ref_t weak,
			  moheap_ref_t other)
{
	int err = mh_take(heap, other, &entry->other);

	if (err)
		return err;
	err = mh_weakref_attach(heap, &entry->weakref, weak);
	if (err)
		moheap_decref(heap, entry->other);
	return err;
}

static int mh_weak_add(struct moheap *heap, struct mh_weakmap *map, const struct mh_key *key,
		       moheap_ref_t value, struct mh_weak_entry *instead,
		       struct mh_weak_entry **gone)
{
	struct mh_weak_entry *made = calloc(1, sizeof(*made));
	int err = made ? 0 : -ENOMEM;

	if (!err && !instead)
		err = mh_weakmap_make_room(heap, map, gone);
	if (err)
		goto free;
	made->weakref.died = mh_weak_died;
	made->hash = key->hash;
	if (map->weak == MH_WEAK_KEY)
		err = mh_weak_attach(heap, made, key->ref, value);
	else
		err = mh_weak_attach(heap, made, value, instead ? instead->other : key->ref);
	if (err)
		goto free;
	mh_weak_in(map, made, instead, gone);
	return 0;

free:
	free(made);
	return err;
}

/* Another value for an entry that is there. */
static int mh_weak_change(struct moheap *heap, struct mh_weak_entry *entry,
			  const struct mh_key *key, moheap_ref_t held, moheap_ref_t value,
			  struct mh_weak_entry **gone)
{
	moheap_ref_t old = entry->other;
	int err;

	if (entry->map->weak == MH_WEAK_VALUE)
		return held == value ? 0 : mh_weak_add(heap, entry->map, key, value, entry, gone);
	err = mh_take(heap, value, &entry->other);
	if (!err)
		moheap_decref(heap, old);
	return err;
}

static int mh_weak_set(struct moheap *heap, struct mh_weakmap *map, const struct mh_key *key,
		       moheap_ref_t value, struct mh_weak_entry **gone)
{
	struct mh_weak_entry *entry;
	moheap_ref_t held;
	int ret = mh_weak_find(heap, map, key, &entry, &held, gone);

	if (ret < 0)
		return ret;
	if (!ret)
		return mh_weak_add(heap, map, key, value, NULL, gone);
	ret = mh_weak_change(heap, entry, key, held, value, gone);
	moheap_decref(heap, held);
	return ret;
}

static int mh_weak_setdefault(struct moheap *heap, struct mh_weakmap *map,
			      const struct mh_key *key, moheap_ref_t value, moheap_ref_t *got,
			      struct mh_weak_entry **gone)
{
	struct mh_weak_entry *entry;
	moheap_ref_t held;
	int ret = mh_weak_find(heap, map, key, &entry, &held, gone);

	if (ret == 1)
		return mh_weak_give(heap, entry, held, NULL, got);
	if (!ret)
		ret = mh_take(heap, value, &held);
	if (ret)
		return ret;
	ret = mh_weak_add(heap, map, key, value, NULL, gone);
	return mh_give(heap, ret, held, got);
}

/* The last that is alive. */
static int mh_weak_popitem(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t *key,
			   moheap_ref_t *value, struct mh_weak_entry **gone)
{
	struct mh_weak_entry *entry;
	moheap_ref_t held = 0;
	int err = 0;

	while (map->filled) {
		entry = map->places[map->filled - 1].entry;
		err = mh_weakref_take(heap, &entry->weakref, &held);
		if (!err && held)
			err = mh_weak_give(heap, entry, held, key, value);
		if (err)
			return err;
		mh_weak_out(entry, gone);
		if (held)
			return 0;
	}
	return -ENOENT;
}

/* ---- Maps ---- */

struct mh_weakmap *mh_weakmap_new(struct moheap *heap, enum mh_weak_side weak)
{
	struct mh_weakmap *map = calloc(1, sizeof(*map));

	if (!map)
		return NULL;
	map->weak = weak;
	mh_lock(&heap->weakrefs.lock);
	LIST_INSERT_HEAD(&heap->weakrefs.maps, map, list);
	mh_unlock(&heap->weakrefs.lock);
	return map;
}

/*
 * mh_weakmap_clear() - take all entries out
 */
void mh_weakmap_clear(struct moheap *heap, struct mh_weakmap *map)
{
	struct mh_weak_entry *gone = NULL;

	mh_lock(&heap->weakrefs.lock);
	while (map->filled)
		mh_weak_out(map->places[map->filled - 1].entry, &gone);
	free(map->places);
	free(map->index);
	map->places = NULL;
	map->index = NULL;
	map->size = 0;
	mh_unlock(&heap->weakrefs.lock);
	mh_weak_bury(heap, gone);
}

void mh_weakmap_free(struct moheap *heap, struct mh_weakmap *map)
{
	if (!map)
		return;
	mh_weakmap_clear(heap, map);
	mh_lock(&heap->weakrefs.lock);
	LIST_REMOVE(map, list);
	mh_unlock(&heap->weakrefs.lock);
	free(map);
}

/*
 * mh_weakmaps_free() - the heap is closed: all maps end, with weak references that are freed next
 */
void mh_weakmaps_free(struct moheap *heap)
{
	struct mh_weakmap *map;

	while ((map = LIST_FIRST(&heap->weakrefs.maps))) {
		LIST_REMOVE(map, list);
		free(map->places);
		free(map->index);
		free(map);
	}
}

/*
 * mh_weakmap_copy() - another with the same entries
 *
 * Return: the copy; or NULL, and @err.
 */
struct mh_weakmap *mh_weakmap_copy(struct moheap *heap, struct mh_weakmap *map, int *err)
{
	struct mh_weakmap *copy = mh_weakmap_new(heap, map->weak);

	*err = copy ? mh_weakmap_update(heap, copy, map) : -ENOMEM;
	if (!*err)
		return copy;
	mh_weakmap_free(heap, copy);
	return NULL;
}

/*
 * mh_weakmap_len() - how many entries are alive
 */
long long mh_weakmap_len(struct moheap *heap, struct mh_weakmap *map)
{
	struct mh_weak_entry *gone = NULL;
	long long ret;

	mh_lock(&heap->weakrefs.lock);
	ret = mh_weakmap_scan(heap, map, &gone);
	if (!ret)
		ret = map->used;
	mh_unlock(&heap->weakrefs.lock);
	mh_weak_bury(heap, gone);
	return ret;
}

/*
 * Is there an entry of a key? If not, one may be added, without a value. Return 1, 0, or an errno.
 */
static int mh_weakmap_key(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key, bool add)
{
	struct mh_weak_entry *entry, *gone = NULL;
	moheap_ref_t held;
	struct mh_key k;
	int ret = mh_key_init(heap, key, &k), err = 0;

	if (ret)
		return ret;
	mh_lock(&heap->weakrefs.lock);
	ret = mh_weak_find(heap, map, &k, &entry, &held, &gone);
	if (!ret && add)
		err = mh_weak_add(heap, map, &k, 0, NULL, &gone);
	mh_unlock(&heap->weakrefs.lock);
	mh_weak_bury(heap, gone);
	if (ret == 1)
		moheap_decref(heap, held);
	return err ? err : ret;
}

/*
 * mh_weakmap_contains() - is there an entry of a key?
 */
int mh_weakmap_contains(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key)
{
	return mh_weakmap_key(heap, map, key, false);
}

/*
 * mh_weakmap_add() - an entry of a key, without a value
 *
 * Return: 1; 0: there is one; or an errno.
 */
int mh_weakmap_add(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key)
{
	int ret = mh_weakmap_key(heap, map, key, true);

	return ret < 0 ? ret : !ret;
}

/* The value of a key, which may be taken out then. */
static int mh_weakmap_value(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key,
			    bool out, moheap_ref_t *value)
{
	struct mh_weak_entry *entry, *gone = NULL;
	moheap_ref_t held;
	struct mh_key k;
	int ret = mh_key_init(heap, key, &k);

	if (ret)
		return ret;
	mh_lock(&heap->weakrefs.lock);
	ret = mh_weak_find(heap, map, &k, &entry, &held, &gone);
	if (ret == 1) {
		ret = mh_weak_give(heap, entry, held, NULL, value);
		if (!ret && out)
			mh_weak_out(entry, &gone);
	} else if (!ret) {
		ret = -ENOENT;
	}
	mh_unlock(&heap->weakrefs.lock);
	mh_weak_bury(heap, gone);
	return ret;
}

int mh_weakmap_get(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key,
		   moheap_ref_t *value)
{
	return mh_weakmap_value(heap, map, key, false, value);
}

/*
 * mh_weakmap_pop() - take an entry out; @value may be NULL
 */
int mh_weakmap_pop(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key,
		   moheap_ref_t *value)
{
	return mh_weakmap_value(heap, map, key, true, value);
}

int mh_weakmap_popitem(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t *key,
		       moheap_ref_t *value)
{
	struct mh_weak_entry *gone = NULL;
	int err;

	mh_lock(&heap->weakrefs.lock);
	err = mh_weak_popitem(heap, map, key, value, &gone);
	mh_unlock(&heap->weakrefs.lock);
	mh_weak_bury(heap, gone);
	return err;
}

/* Set the value of a key; or, where @got is wanted, set it if there is none, and give it. */
static int mh_weakmap_change(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key,
			     moheap_ref_t value, moheap_ref_t *got)
{
	struct mh_weak_entry *gone = NULL;
	struct mh_key k;
	int err = mh_key_init(heap, key, &k);

	if (err)
		return err;
	mh_lock(&heap->weakrefs.lock);
	if (got)
		err = mh_weak_setdefault(heap, map, &k, value, got, &gone);
	else
		err = mh_weak_set(heap, map, &k, value, &gone);
	mh_unlock(&heap->weakrefs.lock);
	mh_weak_bury(heap, gone);
	return err;
}

int mh_weakmap_set(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key,
		   moheap_ref_t value)
{
	return mh_weakmap_change(heap, map, key, value, NULL);
}

int mh_weakmap_setdefault(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t key,
			  moheap_ref_t value, moheap_ref_t *got)
{
	return mh_weakmap_change(heap, map, key, value, got);
}

/* ---- Walking ---- */

/* The first place after that of a number. */
static size_t mh_weakmap_after(const struct mh_weakmap *map, __u64 number)
{
	size_t low = 0, high = map->filled, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (map->places[middle].number <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int mh_weak_next(struct moheap *heap, const struct mh_weakmap *map,
			struct moheap_weak_cursor *cursor, moheap_ref_t *key, moheap_ref_t *value)
{
	size_t at = mh_weakmap_after(map, cursor->at);
	const struct mh_weak_entry *entry;
	moheap_ref_t held;
	int err;

	for (; at < map->filled && map->places[at].number < cursor->end; at++) {
		entry = map->places[at].entry;
		if (!entry)
			continue;
		err = mh_weakref_take(heap, &entry->weakref, &held);
		if (!err && held)
			err = mh_weak_give(heap, entry, held, key, value);
		if (err)
			return err;
		cursor->at = map->places[at].number;
		if (held)
			return 1;
	}
	return 0;
}

/*
 * mh_weakmap_next() - one step; what is not wanted is NULL
 *
 * Return: 1, 0: that was all.
 */
int mh_weakmap_next(struct moheap *heap, struct mh_weakmap *map,
		    struct moheap_weak_cursor *cursor, moheap_ref_t *key, moheap_ref_t *value)
{
	int ret;

	mh_lock(&heap->weakrefs.lock);
	if (!cursor->end)
		cursor->end = map->number + 1;
	ret = mh_weak_next(heap, map, cursor, key, value);
	mh_unlock(&heap->weakrefs.lock);
	return ret;
}

/*
 * mh_weakmap_refs() - the first @n weak references
 *
 * Return: how many there are.
 */
size_t mh_weakmap_refs(struct moheap *heap, struct mh_weakmap *map,
		       struct moheap_weakref **weakrefs, size_t n)
{
	struct mh_weak_entry *entry;
	size_t at, all = 0;

	mh_lock(&heap->weakrefs.lock);
	for (at = 0; at < map->filled; at++) {
		entry = map->places[at].entry;
		if (!entry)
			continue;
		if (all < n) {
			entry->weakref.users++;
			weakrefs[all] = &entry->weakref;
		}
		all++;
	}
	mh_unlock(&heap->weakrefs.lock);
	return all;
}

/*
 * mh_weakmap_update() - all entries of another as well; not at once
 */
int mh_weakmap_update(struct moheap *heap, struct mh_weakmap *map, struct mh_weakmap *other)
{
	struct moheap_weak_cursor cursor = { 0 };
	moheap_ref_t key, value;
	int err = 0, more;

	while (!err) {
		more = mh_weakmap_next(heap, other, &cursor, &key, &value);
		if (more <= 0)
			return more;
		err = mh_weakmap_set(heap, map, key, value);
		moheap_decref(heap, key);
		moheap_decref(heap, value);
	}
	return err;
}

/*
 * mh_weakmap_update_from() - and all of a dict of the heap's
 */
int mh_weakmap_update_from(struct moheap *heap, struct mh_weakmap *map, moheap_ref_t dict)
{
	struct moheap_cursor cursor = { 0 };
	moheap_ref_t key, value;
	int err = 0, more;

	while (!err) {
		more = moheap_dict_next(heap, dict, &cursor, &key, &value);
		if (more <= 0)
			return more;
		err = mh_weakmap_set(heap, map, key, value);
	}
	return err;
}
