// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Boxes with a number.
 */
#include "container.h"

/* A box of a kind, and its payload. */
static int mh_box_new(struct moheap *heap, int kind, moheap_ref_t *box, void **payload)
{
	int type = mh_kind_type(heap, kind), err;

	if (type < 0)
		return type;
	err = moheap_new(heap, type, box);
	if (!err)
		*payload = moheap_ptr(heap, *box);
	return err;
}

static int mh_box_open(struct moheap *heap, int kind, moheap_ref_t box, const void **payload)
{
	int is = moheap_kind(heap, box);

	if (is < 0)
		return is;
	*payload = moheap_ptr(heap, box);
	return is == kind ? 0 : -EINVAL;
}

int moheap_int_new(struct moheap *heap, long long value, moheap_ref_t *box)
{
	void *payload;
	int err = mh_box_new(heap, MOHEAP_KIND_INT, box, &payload);

	if (!err)
		((struct mh_int *)payload)->value = value;
	return err;
}

int moheap_int_value(struct moheap *heap, moheap_ref_t box, long long *value)
{
	const void *payload;
	int err = mh_box_open(heap, MOHEAP_KIND_INT, box, &payload);

	if (!err)
		*value = ((const struct mh_int *)payload)->value;
	return err;
}

int moheap_float_new(struct moheap *heap, double value, moheap_ref_t *box)
{
	void *payload;
	int err = mh_box_new(heap, MOHEAP_KIND_FLOAT, box, &payload);

	if (!err)
		((struct mh_float *)payload)->value = value;
	return err;
}

int moheap_float_value(struct moheap *heap, moheap_ref_t box, double *value)
{
	const void *payload;
	int err = mh_box_open(heap, MOHEAP_KIND_FLOAT, box, &payload);

	if (!err)
		*value = ((const struct mh_float *)payload)->value;
	return err;
}
