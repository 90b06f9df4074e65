// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Equality and hash, of whatever may be an item or a key.
 *
 * What has a value is compared by it, everything else by which object it is. A hash is 64 bits
 * in which every bit of the value counts, so that tables may take any of them.
 */
#include "container.h"

#define MH_EQUAL_DEPTH	200

#define MH_INT_LEAST	(-9223372036854775808.0)

/* Which of the kinds a hash is of, where two could have the same value. */
#define MH_HASH_IDENTITY	0x9e3779b97f4a7c15ULL
#define MH_HASH_BYTES		0xc2b2ae3d27d4eb4fULL
#define MH_HASH_TUPLE		0x165667b19e3779f9ULL
#define MH_HASH_FLOAT		0x27d4eb2f165667c5ULL

static const void *mh_payload(const struct moheap *heap, moheap_ref_t ref)
{
	return moheap_ptr(heap, ref);
}

static __s64 mh_int_of(const struct moheap *heap, moheap_ref_t ref)
{
	return ((const struct mh_int *)mh_payload(heap, ref))->value;
}

static double mh_float_of(const struct moheap *heap, moheap_ref_t ref)
{
	return ((const struct mh_float *)mh_payload(heap, ref))->value;
}

/* Is there an integer of the same value? */
static bool mh_float_to_int(double value, __s64 *same)
{
	if (!(value >= MH_INT_LEAST && value < -MH_INT_LEAST))
		return false;
	*same = value;
	return *same == value;
}

/* ---- Hash ---- */

__u64 mh_bytes_hash(const void *data, size_t len)
{
	__u64 h = MH_HASH_BYTES ^ len, word;
	const char *p = data;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = mh_mix(h ^ word);
	}
	word = 0;
	if (len)
		memcpy(&word, p, len);
	return mh_mix(h ^ word);
}

static __u64 mh_identity_hash(moheap_ref_t ref)
{
	return mh_mix(ref ^ MH_HASH_IDENTITY);
}

static __u64 mh_float_hash(double value, moheap_ref_t ref)
{
	__u64 bits;
	__s64 same;

	if (mh_float_to_int(value, &same))
		return mh_mix(same);
	if (value != value)
		return mh_identity_hash(ref);
	memcpy(&bits, &value, sizeof(bits));
	return mh_mix(bits ^ MH_HASH_FLOAT);
}

int moheap_hash(struct moheap *heap, moheap_ref_t ref, __u64 *hash)
{
	int kind = ref ? moheap_kind(heap, ref) : MOHEAP_KIND_OTHER;

	switch (kind) {
	case MOHEAP_KIND_INT:
		*hash = mh_mix(mh_int_of(heap, ref));
		return 0;
	case MOHEAP_KIND_FLOAT:
		*hash = mh_float_hash(mh_float_of(heap, ref), ref);
		return 0;
	case MOHEAP_KIND_BYTES:
		*hash = ((const struct mh_bytes *)mh_payload(heap, ref))->hash;
		return 0;
	case MOHEAP_KIND_TUPLE:
		*hash = ((const struct mh_tuple *)mh_payload(heap, ref))->hash;
		return 0;
	default:
		if (kind < 0)
			return kind;
		*hash = mh_identity_hash(ref);
		return 0;
	}
}

/*
 * mh_items_hash() - the hash of a tuple that has these items
 */
int mh_items_hash(struct moheap *heap, const moheap_ref_t *items, size_t n, __u64 *hash)
{
	__u64 h = MH_HASH_TUPLE ^ n, one;
	size_t i;
	int err;

	for (i = 0; i < n; i++) {
		err = moheap_hash(heap, items[i], &one);
		if (err)
			return err;
		h = mh_mix(h ^ one);
	}
	*hash = h;
	return 0;
}

/* ---- Equality ---- */

static int mh_equal(struct moheap *heap, moheap_ref_t a, moheap_ref_t b, unsigned int depth);

static bool mh_int_float_equal(__s64 a, double b)
{
	__s64 same;

	return mh_float_to_int(b, &same) && a == same;
}

static bool mh_numbers_equal(const struct moheap *heap, moheap_ref_t a, int kind_a,
			     moheap_ref_t b, int kind_b)
{
	bool a_int = kind_a == MOHEAP_KIND_INT, b_int = kind_b == MOHEAP_KIND_INT;

	if (a_int && b_int)
		return mh_int_of(heap, a) == mh_int_of(heap, b);
	if (a_int)
		return mh_int_float_equal(mh_int_of(heap, a), mh_float_of(heap, b));
	if (b_int)
		return mh_int_float_equal(mh_int_of(heap, b), mh_float_of(heap, a));
	return mh_float_of(heap, a) == mh_float_of(heap, b);
}

static bool mh_bytes_equal(const struct mh_bytes *a, const struct mh_bytes *b)
{
	return a->hash == b->hash && a->len == b->len && !memcmp(a->data, b->data, a->len);
}

static int mh_items_equal_at(struct moheap *heap, const moheap_ref_t *a, const moheap_ref_t *b,
			     size_t n, unsigned int depth)
{
	int equal = 1;
	size_t i;

	for (i = 0; i < n && equal == 1; i++)
		equal = mh_equal(heap, a[i], b[i], depth);
	return equal;
}

static int mh_tuples_equal(struct moheap *heap, const struct mh_tuple *a,
			   const struct mh_tuple *b, unsigned int depth)
{
	if (a->hash != b->hash || a->len != b->len)
		return 0;
	if (depth == MH_EQUAL_DEPTH)
		return -ELOOP;
	return mh_items_equal_at(heap, a->items, b->items, a->len, depth + 1);
}

static bool mh_is_number(int kind)
{
	return kind == MOHEAP_KIND_INT || kind == MOHEAP_KIND_FLOAT;
}

static int mh_equal(struct moheap *heap, moheap_ref_t a, moheap_ref_t b, unsigned int depth)
{
	int kind_a, kind_b;

	if (a == b)
		return 1;
	if (!a || !b)
		return 0;
	kind_a = moheap_kind(heap, a);
	if (kind_a < 0)
		return kind_a;
	kind_b = moheap_kind(heap, b);
	if (kind_b < 0)
		return kind_b;
	if (mh_is_number(kind_a) && mh_is_number(kind_b))
		return mh_numbers_equal(heap, a, kind_a, b, kind_b);
	if (kind_a != kind_b)
		return 0;
	if (kind_a == MOHEAP_KIND_BYTES)
		return mh_bytes_equal(mh_payload(heap, a), mh_payload(heap, b));
	if (kind_a == MOHEAP_KIND_TUPLE)
		return mh_tuples_equal(heap, mh_payload(heap, a), mh_payload(heap, b), depth);
	return 0;
}

int moheap_equal(struct moheap *heap, moheap_ref_t a, moheap_ref_t b)
{
	return mh_equal(heap, a, b, 0);
}

/*
 * mh_items_equal() - is each of @n items equal to its counterpart?
 *
 * Return: 1, 0 or a negative errno.
 */
int mh_items_equal(struct moheap *heap, const moheap_ref_t *a, const moheap_ref_t *b, size_t n)
{
	return mh_items_equal_at(heap, a, b, n, 0);
}
