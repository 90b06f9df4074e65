// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Tables: what is under a dict or set, its owner.
 *
 * A table is an object that holds entries in the order in which they came. In its payload,
 * after struct mh_table:
 *
 *	refs	@capacity * @width	key, and value in a dict, of each entry: mirrors of slots
 *	hashes	@capacity		of the keys
 *	index	@size			by hash: entry + 1, MH_PLACE_FREE or MH_PLACE_LEFT
 *
 * An entry whose key is 0 was taken out; its place in the index is MH_PLACE_LEFT, so that a
 * search goes on behind it. Entries are only ever added at the end: when there are no usable
 * ones left, all that are in go to a new table, one after the other. At most two thirds of the
 * index are ever used, so a search ends.
 *
 * Whatever can fail comes before the first change. Stores cannot, given refs of living objects.
 */
#include "container.h"

#define MH_PLACE_FREE	0U
#define MH_PLACE_LEFT	UINT32_MAX

#define MH_TABLE_FIRST	8U			/* places in the smallest index */
#define MH_TABLE_MOST	0x40000000U		/* ... and in the largest to be asked for */

enum { MH_ENTRY_KEY = 0, MH_ENTRY_VALUE = 1 };

static struct mh_table *mh_table(const struct moheap *heap, moheap_ref_t table)
{
	return moheap_ptr(heap, table);
}

/* The table of a dict or set, or NULL. */
static struct mh_table *mh_table_of(const struct moheap *heap, moheap_ref_t owner)
{
	const struct mh_hashed *hashed = moheap_ptr(heap, owner);

	return hashed->table ? mh_table(heap, hashed->table) : NULL;
}

static moheap_ref_t mh_table_ref(const struct moheap *heap, moheap_ref_t owner)
{
	return ((const struct mh_hashed *)moheap_ptr(heap, owner))->table;
}

static __u64 *mh_hashes(struct mh_table *t)
{
	return t->refs + (size_t)t->capacity * t->width;
}

static __u32 *mh_index(struct mh_table *t)
{
	return (__u32 *)(mh_hashes(t) + t->capacity);
}

static moheap_ref_t mh_entry_key(const struct mh_table *t, __u32 entry)
{
	return t->refs[(size_t)entry * t->width + MH_ENTRY_KEY];
}

/* ---- Finding ---- */

/*
 * mh_key_init() - what there is to know of a key that is looked for
 *
 * Return: 0; -EINVAL, -ESTALE: @ref is no object.
 */
int mh_key_init(struct moheap *heap, moheap_ref_t ref, struct mh_key *key)
{
	key->ref = ref;
	return ref ? moheap_hash(heap, ref, &key->hash) : -EINVAL;
}

static int mh_entry_is(struct moheap *heap, struct mh_table *t, __u32 entry,
		       const struct mh_key *key)
{
	if (mh_hashes(t)[entry] != key->hash)
		return 0;
	return moheap_equal(heap, mh_entry_key(t, entry), key->ref);
}

/*
 * The place in the index of a key's entry. Goes over keys of equal hash by comparing them.
 *
 * Return: the place, -ENOENT, or what moheap_equal() returns.
 */
static long long mh_table_find(struct moheap *heap, struct mh_table *t, const struct mh_key *key)
{
	__u32 place, mask = t->size - 1;
	int is;

	for (place = key->hash & mask; mh_index(t)[place]; place = (place + 1) & mask) {
		if (mh_index(t)[place] == MH_PLACE_LEFT)
			continue;
		is = mh_entry_is(heap, t, mh_index(t)[place] - 1, key);
		if (is < 0)
			return is;
		if (is)
			return place;
	}
	return -ENOENT;
}

/* The place of an entry that is in. */
static __u32 mh_table_place(struct mh_table *t, __u32 entry)
{
	__u32 place, mask = t->size - 1;

	for (place = mh_hashes(t)[entry] & mask; mh_index(t)[place] != entry + 1;)
		place = (place + 1) & mask;
	return place;
}

/*
 * mh_hashed_find() - the entry of a key
 *
 * Return: the entry, -ENOENT, or what moheap_equal() returns.
 */
long long mh_hashed_find(struct moheap *heap, moheap_ref_t owner, const struct mh_key *key)
{
	struct mh_table *t = mh_table_of(heap, owner);
	long long place;

	if (!t)
		return -ENOENT;
	place = mh_table_find(heap, t, key);
	return place < 0 ? place : mh_index(t)[place] - 1;
}

/*
 * mh_hashed_ref() - the key (@which is 0) or value (1) of an entry, borrowed
 */
moheap_ref_t mh_hashed_ref(const struct moheap *heap, moheap_ref_t owner, __u32 entry,
			   unsigned int which)
{
	const struct mh_table *t = mh_table_of(heap, owner);

	return t->refs[(size_t)entry * t->width + which];
}

/*
 * mh_hashed_len() - how many entries there are
 */
size_t mh_hashed_len(const struct moheap *heap, moheap_ref_t owner)
{
	const struct mh_table *t = mh_table_of(heap, owner);

	return t ? t->used : 0;
}

/* ---- A table for another ---- */

static __u32 mh_capacity(__u32 size)
{
	return size / 3 * 2 + (size % 3) * 2 / 3;
}

static int mh_table_new(struct moheap *heap, unsigned int width, __u32 size, moheap_ref_t *table)
{
	__u32 capacity = mh_capacity(size);
	size_t slots = (size_t)capacity * width;
	int type = mh_kind_type(heap, MH_KIND_TABLE), err;
	struct mh_table *t;

	if (type < 0)
		return type;
	err = moheap_new_sized(heap, type, sizeof(*t) + slots * sizeof(moheap_ref_t) +
			       capacity * sizeof(__u64) + size * sizeof(__u32), slots, table);
	if (err)
		return err;
	t = mh_table(heap, *table);
	t->capacity = capacity;
	t->usable = capacity;
	t->size = size;
	t->width = width;
	return 0;
}

static bool mh_place_taken(__u32 place)
{
	return place != MH_PLACE_FREE && place != MH_PLACE_LEFT;
}

/* Write into hashes and index that the next entry has this hash. */
static void mh_table_enter(struct mh_table *t, __u64 hash)
{
	__u32 place, mask = t->size - 1;

	for (place = hash & mask; mh_place_taken(mh_index(t)[place]); place = (place + 1) & mask)
		;
	mh_hashes(t)[t->filled] = hash;
	mh_index(t)[place] = ++t->filled;
	t->used++;
	t->usable--;
}

/* Entries that lie without gaps are the kernel's to copy, and the mirrors ours. */
static int mh_table_move_all(struct moheap *heap, moheap_ref_t to, moheap_ref_t from)
{
	struct mh_table *t = mh_table(heap, to), *old = mh_table(heap, from);
	size_t n = (size_t)old->used * old->width;
	__u32 entry;
	int err;

	err = moheap_copy(heap, to, 0, from, 0, n);
	if (err)
		return err;
	memcpy(t->refs, old->refs, n * sizeof(*t->refs));
	for (entry = 0; entry < old->used; entry++)
		mh_table_enter(t, mh_hashes(old)[entry]);
	return 0;
}

static int mh_table_move(struct moheap *heap, moheap_ref_t to, moheap_ref_t from)
{
	struct mh_table *t = mh_table(heap, to), *old = mh_table(heap, from);
	unsigned int i;
	__u32 entry;
	int err = 0;

	if (old->used == old->filled)
		return mh_table_move_all(heap, to, from);
	for (entry = 0; entry < old->filled && !err; entry++) {
		if (!mh_entry_key(old, entry))
			continue;
		for (i = 0; i < t->width && !err; i++)
			err = moheap_store(heap, to, t->filled * t->width + i,
					   old->refs[(size_t)entry * t->width + i]);
		if (!err)
			mh_table_enter(t, mh_hashes(old)[entry]);
	}
	return err;
}

static int mh_hashed_resize(struct moheap *heap, moheap_ref_t owner, unsigned int width,
			    __u32 size)
{
	moheap_ref_t old = mh_table_ref(heap, owner), table;
	int err;

	err = mh_table_new(heap, width, size, &table);
	if (err)
		return err;
	if (old)
		err = mh_table_move(heap, table, old);
	if (!err)
		err = moheap_store(heap, owner, 0, table);
	moheap_decref(heap, table);
	return err;
}

/*
 * mh_hashed_reserve() - room for @n more entries
 *
 * A table that has to be replaced gets room for as many again.
 *
 * Return: 0; -E2BIG; as moheap_new_sized().
 */
int mh_hashed_reserve(struct moheap *heap, moheap_ref_t owner, unsigned int width, size_t n)
{
	const struct mh_table *t = mh_table_of(heap, owner);
	size_t used = t ? t->used : 0, want;
	__u32 size = MH_TABLE_FIRST;

	if (n <= (t ? t->usable : 0))
		return 0;
	if (n > MH_TABLE_MOST / 2)
		return -E2BIG;
	want = used + n > used * 2 ? used + n : used * 2;
	while (mh_capacity(size) < want)
		size *= 2;
	if (size > MH_TABLE_MOST)
		return -E2BIG;
	return mh_hashed_resize(heap, owner, width, size);
}

/* ---- Changing entries ---- */

/*
 * mh_hashed_add() - one more entry, of a key that is not there yet
 *
 * @value: for a dict
 *
 * Return: 0; as mh_hashed_reserve().
 */
int mh_hashed_add(struct moheap *heap, moheap_ref_t owner, unsigned int width,
		  const struct mh_key *key, moheap_ref_t value)
{
	moheap_ref_t table;
	struct mh_table *t;
	size_t slot;
	int err;

	err = mh_kind_writable(heap, MH_KIND_TABLE);
	if (!err)
		err = mh_hashed_reserve(heap, owner, width, 1);
	if (err)
		return err;
	table = mh_table_ref(heap, owner);
	t = mh_table(heap, table);
	slot = (size_t)t->filled * width;
	err = moheap_store(heap, table, slot + MH_ENTRY_KEY, key->ref);
	if (err)
		return err;
	if (value)
		err = moheap_store(heap, table, slot + MH_ENTRY_VALUE, value);
	if (err)
		moheap_store(heap, table, slot + MH_ENTRY_KEY, 0);
	else
		mh_table_enter(t, key->hash);
	return err;
}

/*
 * mh_hashed_set_value() - another value for an entry of a dict
 */
int mh_hashed_set_value(struct moheap *heap, moheap_ref_t owner, __u32 entry, moheap_ref_t value)
{
	int err = mh_kind_writable(heap, MH_KIND_TABLE);

	if (err)
		return err;
	return moheap_store(heap, mh_table_ref(heap, owner), entry * 2 + MH_ENTRY_VALUE, value);
}

/*
 * mh_hashed_delete() - take an entry out
 *
 * One that was the last gives way to the next, in the table, though not in what is usable: the
 * index keeps its place.
 */
int mh_hashed_delete(struct moheap *heap, moheap_ref_t owner, __u32 entry)
{
	moheap_ref_t table = mh_table_ref(heap, owner);
	struct mh_table *t = mh_table(heap, table);
	__u32 place = mh_table_place(t, entry);
	int err = mh_kind_writable(heap, MH_KIND_TABLE);
	unsigned int i;

	for (i = t->width; i && !err; i--)
		err = moheap_store(heap, table, entry * t->width + i - 1, 0);
	if (err)
		return err;
	mh_index(t)[place] = MH_PLACE_LEFT;
	t->used--;
	if (entry + 1 == t->filled)
		t->filled--;
	return 0;
}

/*
 * mh_hashed_last() - the entry that came last
 *
 * Forgets about those taken out behind it, so that to take one after the other costs no more
 * than there are. The caller changes the table anyway.
 *
 * Return: the entry, -ENOENT: there is none.
 */
long long mh_hashed_last(struct moheap *heap, moheap_ref_t owner)
{
	struct mh_table *t = mh_table_of(heap, owner);
	int err = mh_kind_writable(heap, MH_KIND_TABLE);

	if (err)
		return err;
	if (!t || !t->used)
		return -ENOENT;
	while (!mh_entry_key(t, t->filled - 1))
		t->filled--;
	return t->filled - 1;
}

/*
 * mh_hashed_clear() - take all entries out
 */
int mh_hashed_clear(struct moheap *heap, moheap_ref_t owner)
{
	int err = mh_kind_writable(heap, MH_KIND_TABLE);

	if (err || !mh_table_ref(heap, owner))
		return err;
	return moheap_store(heap, owner, 0, 0);
}

/* ---- Walking ---- */

static int mh_cursor_check(const struct moheap *heap, moheap_ref_t owner,
			   struct moheap_cursor *cursor)
{
	moheap_ref_t table = mh_table_ref(heap, owner);
	size_t len = mh_hashed_len(heap, owner);

	if (!cursor->at) {
		cursor->table = table;
		cursor->len = len;
	}
	return cursor->table == table && cursor->len == len ? 0 : -EAGAIN;
}

/*
 * mh_hashed_next() - one step
 *
 * Return: 1: the entry is @cursor->at - 1; 0: that was all; -EAGAIN: keys came or went.
 */
int mh_hashed_next(const struct moheap *heap, moheap_ref_t owner, struct moheap_cursor *cursor)
{
	const struct mh_table *t = mh_table_of(heap, owner);
	int err = mh_cursor_check(heap, owner, cursor);

	if (err || !t)
		return err;
	while (cursor->at < t->filled)
		if (mh_entry_key(t, cursor->at++))
			return 1;
	return 0;
}

/*
 * mh_hashed_next_key() - one step, with the key as others are to be searched for it
 */
int mh_hashed_next_key(const struct moheap *heap, moheap_ref_t owner,
		       struct moheap_cursor *cursor, struct mh_key *key)
{
	int more = mh_hashed_next(heap, owner, cursor);
	struct mh_table *t;

	if (more <= 0)
		return more;
	t = mh_table_of(heap, owner);
	key->ref = mh_entry_key(t, cursor->at - 1);
	key->hash = mh_hashes(t)[cursor->at - 1];
	return 1;
}

/* ---- Size ---- */

long long mh_hashed_getsizeof(struct moheap *heap, moheap_ref_t owner)
{
	moheap_ref_t table = mh_table_ref(heap, owner);
	long long size = moheap_getsizeof(heap, owner), more;

	if (size < 0 || !table)
		return size;
	more = moheap_getsizeof(heap, table);
	return more < 0 ? more : size + more;
}
