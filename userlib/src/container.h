/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * Containers and boxes: what their payload looks like, and what their files offer each other.
 *
 *	dict.c, set.c	thin covers of table.c
 *	table.c		keys in the order in which they came, found by their hash
 *	list.c		growable lists
 *	intern.c	byte strings, one of each content
 *	tuple.c, bytes.c, number.c	what never changes
 *	value.c		equality and hash
 *	kinds.c		the types of all these in a heap
 *
 * All but kinds.c see nothing of the library that a program does not see: moheap.h, and no
 * internal.h. kinds.c has a place in struct moheap to remember types.
 */
#ifndef MOHEAP_CONTAINER_H
#define MOHEAP_CONTAINER_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "moheap.h"

/* ---- kinds.c ---- */

/* Besides those of enum moheap_kind; programs know of them as MOHEAP_KIND_OTHER. */
enum {
	MH_KIND_ARRAY = MOHEAP_KIND_SET + 1,
	MH_KIND_PLAIN_ARRAY,
	MH_KIND_TABLE,
	MH_KIND_BRANCH,
	MH_KIND_LEAF,
	MH_KINDS,
};

int mh_kind_type(struct moheap *heap, unsigned int kind);
moheap_ref_t mh_kinds_root(struct moheap *heap);
void mh_kinds_set_root(struct moheap *heap, moheap_ref_t root);

/* Whoever may register types may change objects: for functions that write payload at once. */
static inline int mh_kind_writable(struct moheap *heap, unsigned int kind)
{
	int type = mh_kind_type(heap, kind);

	return type < 0 ? type : 0;
}

/* ---- Payload ---- */

/**
 * struct mh_int - payload of an integer
 * @value: it
 */
struct mh_int {
	__s64 value;
};

/**
 * struct mh_float - payload of a floating-point number
 * @value: it
 */
struct mh_float {
	double value;
};

/**
 * struct mh_bytes - payload of a byte string
 * @len: bytes in @data, the 0 at the end not counted
 * @interned: it is: see intern.c
 * @hash: see moheap_hash()
 * @data: the bytes
 */
struct mh_bytes {
	__u32 len;
	__u32 interned;
	__u64 hash;
	char data[];
};

#define MH_BYTES_MAX	(MOHEAP_PAYLOAD_MAX - sizeof(struct mh_bytes) - 1)

/**
 * struct mh_tuple - payload of a tuple
 * @len: items
 * @hash: see moheap_hash()
 * @items: mirrors of the slots
 */
struct mh_tuple {
	__u64 len;
	__u64 hash;
	moheap_ref_t items[];
};

/**
 * struct mh_list - payload of a list
 * @len: items
 * @capacity: slots of the array
 * @array: mirror of the list's slot; 0 where there is no array
 * @plain: the array has no mirrors
 */
struct mh_list {
	__u64 len;
	__u64 capacity;
	moheap_ref_t array;
	__u64 plain;
};

/**
 * struct mh_hashed - payload of a dict or set
 * @table: mirror of its slot; 0 where there is no table
 */
struct mh_hashed {
	moheap_ref_t table;
};

/**
 * struct mh_table - payload of a table: these, and three arrays (see table.c)
 * @capacity: entries there is room for
 * @filled: entries written so far, those that were taken out since included
 * @used: entries that are in
 * @usable: entries that may still be written
 * @size: places of the index, a power of two
 * @width: refs of an entry: 1 for a set, 2 for a dict
 * @refs: mirrors of the slots: @width for each entry
 */
struct mh_table {
	__u32 capacity;
	__u32 filled;
	__u32 used;
	__u32 usable;
	__u32 size;
	__u32 width;
	moheap_ref_t refs[];
};

/* Slots of a branch. */
#define MH_WAYS		16

/**
 * struct mh_branch - payload of a branch: see intern.c
 * @ways: mirrors of the slots
 */
struct mh_branch {
	moheap_ref_t ways[MH_WAYS];
};

/**
 * struct mh_leaf - payload of a leaf: see intern.c
 * @hash: of its string
 * @string: a weak reference
 */
struct mh_leaf {
	__u64 hash;
	moheap_ref_t string;
};

/* ---- value.c ---- */

static inline __u64 mh_mix(__u64 h)
{
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ h >> 27) * 0x94d049bb133111ebULL;
	return h ^ h >> 31;
}

__u64 mh_bytes_hash(const void *data, size_t len);
int mh_items_hash(struct moheap *heap, const moheap_ref_t *items, size_t n, __u64 *hash);
int mh_items_equal(struct moheap *heap, const moheap_ref_t *a, const moheap_ref_t *b, size_t n);

/* Make a reference of what a mirror says. */
static inline int mh_take(struct moheap *heap, moheap_ref_t ref, moheap_ref_t *value)
{
	int err = ref ? moheap_incref(heap, ref) : 0;

	if (!err)
		*value = ref;
	return err;
}

/* Hand a new object out, unless there was an error since it was made. */
static inline int mh_give(struct moheap *heap, int err, moheap_ref_t made, moheap_ref_t *out)
{
	if (err)
		moheap_decref(heap, made);
	else
		*out = made;
	return err;
}

/* ---- table.c ---- */

/**
 * struct mh_key - a key that is looked for
 * @ref: the object
 * @hash: its hash
 */
struct mh_key {
	moheap_ref_t ref;
	__u64 hash;
};

int mh_key_init(struct moheap *heap, moheap_ref_t ref, struct mh_key *key);

size_t mh_hashed_len(const struct moheap *heap, moheap_ref_t owner);
long long mh_hashed_find(struct moheap *heap, moheap_ref_t owner, const struct mh_key *key);
moheap_ref_t mh_hashed_ref(const struct moheap *heap, moheap_ref_t owner, __u32 entry,
			   unsigned int which);
int mh_hashed_reserve(struct moheap *heap, moheap_ref_t owner, unsigned int width, size_t n);
int mh_hashed_add(struct moheap *heap, moheap_ref_t owner, unsigned int width,
		  const struct mh_key *key, moheap_ref_t value);
int mh_hashed_set_value(struct moheap *heap, moheap_ref_t owner, __u32 entry, moheap_ref_t value);
int mh_hashed_delete(struct moheap *heap, moheap_ref_t owner, __u32 entry);
long long mh_hashed_last(struct moheap *heap, moheap_ref_t owner);
int mh_hashed_clear(struct moheap *heap, moheap_ref_t owner);
int mh_hashed_next(const struct moheap *heap, moheap_ref_t owner, struct moheap_cursor *cursor);
int mh_hashed_next_key(const struct moheap *heap, moheap_ref_t owner,
		       struct moheap_cursor *cursor, struct mh_key *key);
long long mh_hashed_getsizeof(struct moheap *heap, moheap_ref_t owner);

#endif /* MOHEAP_CONTAINER_H */
