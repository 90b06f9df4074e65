// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Byte strings: the bytes, how many, their hash, and a 0 behind them for those who want a
 * string of C.
 */
#include "container.h"

int moheap_bytes_new(struct moheap *heap, const void *data, size_t len, moheap_ref_t *bytes)
{
	int type = mh_kind_type(heap, MOHEAP_KIND_BYTES), err;
	struct mh_bytes *b;

	if (type < 0)
		return type;
	if (len > MH_BYTES_MAX)
		return -E2BIG;
	err = moheap_new_sized(heap, type, sizeof(*b) + len + 1, 0, bytes);
	if (err)
		return err;
	b = moheap_ptr(heap, *bytes);
	b->len = len;
	b->hash = mh_bytes_hash(data, len);
	if (len)
		memcpy(b->data, data, len);
	return 0;
}

int moheap_bytes_value(struct moheap *heap, moheap_ref_t bytes, const char **data, size_t *len)
{
	int kind = moheap_kind(heap, bytes);
	const struct mh_bytes *b;

	if (kind < 0)
		return kind;
	if (kind != MOHEAP_KIND_BYTES)
		return -EINVAL;
	b = moheap_ptr(heap, bytes);
	*data = b->data;
	if (len)
		*len = b->len;
	return 0;
}
