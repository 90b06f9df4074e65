// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_type: names and layouts, what is refused, and the geometry of bins.
 */
#include "fixture.h"

static void same_layout_same_id(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 before = ku_bytes(ku);

	KUNIT_EXPECT_EQ(test, ku_register(ku->client, "node", 0, 2, 16), ku->type[KU_NODE]);
	KUNIT_EXPECT_EQ(test, ku_register(other, "node", 0, 2, 16), ku->type[KU_NODE]);
	KUNIT_EXPECT_EQ(test, ku_bytes(ku), before);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).types, KU_TYPES);
	KUNIT_EXPECT_GE(test, ku_register(other, "node2", 0, 2, 16), 0);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).types, KU_TYPES + 1);
}

static void other_layout_refused(struct kunit *test)
{
	struct ku *ku = test->priv;

	KUNIT_EXPECT_EQ(test, ku_register(ku->client, "node", 0, 3, 16), -EEXIST);
	KUNIT_EXPECT_EQ(test, ku_register(ku->client, "node", 0, 2, 24), -EEXIST);
	KUNIT_EXPECT_EQ(test, ku_register(ku->client, "node", MOHEAP_TYPE_VAR_SLOTS, 2, 16),
			-EEXIST);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).types, KU_TYPES);
}

/* Two slots with a mirror, and a number: what each bad field below was made from. */
#define FIELD(...)	{ __VA_ARGS__ }

struct ku_layout {
	const char *what;
	u32 flags;
	u32 slots;
	u64 payload;
	u32 reserved;
	int err;
	struct moheap_field field;
};

static const struct ku_layout ku_layouts[] = {
	{ "bytes", 0, 0, 16, 0, 0, FIELD(.width = 1, .count = 16) },
	{ "number at the end", 0, 0, 16, 0, 0,
	  FIELD(.kind = MOHEAP_FIELD_INT, .width = 8, .count = 1, .offset = 8) },
	{ "mirror", 0, 2, 16, 0, 0,
	  FIELD(.kind = MOHEAP_FIELD_REF, .width = 8, .count = 2) },
	{ "no mirror", 0, 2, 0, 0, 0,
	  FIELD(.kind = MOHEAP_FIELD_REF, .width = 8, .count = 2,
		.offset = MOHEAP_NO_MIRROR) },
	{ "as many as there are", MOHEAP_TYPE_VAR_SLOTS | MOHEAP_TYPE_VAR_PAYLOAD, 0, 8, 0, 0,
	  FIELD(.kind = MOHEAP_FIELD_REF, .width = 8, .offset = 8) },
	{ "most slots", 0, MOHEAP_SLOTS_MAX, 0, 0, 0, FIELD(.width = 0) },
	{ "most payload", 0, 0, MOHEAP_PAYLOAD_MAX, 0, 0, FIELD(.width = 0) },
	{ "unknown flag", 8, 0, 16, 0, -EINVAL, FIELD(.width = 0) },
	{ "reserved", 0, 0, 16, 1, -EINVAL, FIELD(.width = 0) },
	{ "too many slots", 0, MOHEAP_SLOTS_MAX + 1, 0, 0, -EINVAL, FIELD(.width = 0) },
	{ "too much payload", 0, 0, MOHEAP_PAYLOAD_MAX + 1ULL, 0, -EINVAL, FIELD(.width = 0) },
	{ "unknown kind", 0, 0, 16, 0, -EINVAL,
	  FIELD(.kind = MOHEAP_FIELD_REF + 1, .width = 8, .count = 1) },
	{ "no width", 0, 0, 16, 0, -EINVAL, FIELD(.count = 1, .kind = MOHEAP_FIELD_UINT) },
	{ "past the payload", 0, 0, 16, 0, -EINVAL,
	  FIELD(.width = 8, .count = 2, .offset = 1) },
	{ "far past the payload", 0, 0, 16, 0, -EINVAL,
	  FIELD(.width = 0xffff, .count = 0xffffffff, .offset = 0xffffffff) },
	{ "slot of a number", 0, 2, 16, 0, -EINVAL,
	  FIELD(.kind = MOHEAP_FIELD_UINT, .width = 8, .count = 1, .slot = 1) },
	{ "short mirror", 0, 2, 16, 0, -EINVAL,
	  FIELD(.kind = MOHEAP_FIELD_REF, .width = 4, .count = 2) },
	{ "crooked mirror", 0, 1, 16, 0, -EINVAL,
	  FIELD(.kind = MOHEAP_FIELD_REF, .width = 8, .count = 1, .offset = 4) },
	{ "mirror past the payload", 0, 2, 16, 0, -EINVAL,
	  FIELD(.kind = MOHEAP_FIELD_REF, .width = 8, .count = 2, .offset = 8) },
	{ "past the slots", 0, 2, 16, 0, -EINVAL,
	  FIELD(.kind = MOHEAP_FIELD_REF, .width = 8, .count = 2, .slot = 1) },
	{ "slots wrap", 0, 2, 16, 0, -EINVAL,
	  FIELD(.kind = MOHEAP_FIELD_REF, .width = 8, .count = 2, .slot = 0xffffffff) },
	{ "as many as there are, of fixed payload", 0, 0, 16, 0, -EINVAL, FIELD(.width = 1) },
	{ "as many as there are, of fixed slots", MOHEAP_TYPE_VAR_PAYLOAD, 2, 16, 0, -EINVAL,
	  FIELD(.kind = MOHEAP_FIELD_REF, .width = 8) },
	{ "open end past the payload", MOHEAP_TYPE_VAR_PAYLOAD, 0, 16, 0, -EINVAL,
	  FIELD(.width = 1, .offset = 17) },
};

static void ku_layout_name(const struct ku_layout *layout, char *to)
{
	strscpy(to, layout->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(layout, ku_layouts, ku_layout_name);

static void layout_checked(struct kunit *test)
{
	const struct ku_layout *layout = test->param_value;
	struct ku *ku = test->priv;
	struct moheap_type type = {
		.flags = layout->flags, .slots = layout->slots, .payload = layout->payload,
		.reserved = layout->reserved,
		/* A row without a field says so by all zero. */
		.nfields = !!memchr_inv(&layout->field, 0, sizeof(layout->field)),
	};
	u64 before = ku_bytes(ku);
	int ret;

	ku_name(type.name, "layout");
	ret = moheap_register(ku->client, &type, &layout->field);
	KUNIT_EXPECT_EQ(test, min(ret, 0), layout->err);
	if (layout->err)
		KUNIT_EXPECT_EQ(test, ku_bytes(ku), before);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).types, KU_TYPES + !layout->err);
}

static void bad_names_refused(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_field field = { .width = 1, .count = 16 };
	struct moheap_type type = { .payload = 16, .nfields = 1 };

	KUNIT_EXPECT_EQ(test, moheap_register(ku->client, &type, &field), -EINVAL);
	memset(type.name, 'x', sizeof(type.name));
	KUNIT_EXPECT_EQ(test, moheap_register(ku->client, &type, &field), -EINVAL);
	ku_name(type.name, "name");
	type.name[MOHEAP_NAME_LEN - 1] = 1;
	KUNIT_EXPECT_EQ(test, moheap_register(ku->client, &type, &field), -EINVAL);
	memset(type.name, 'x', sizeof(type.name) - 1);
	type.name[MOHEAP_NAME_LEN - 1] = 0;
	memset(field.name, 'f', sizeof(field.name));
	KUNIT_EXPECT_EQ(test, moheap_register(ku->client, &type, &field), -EINVAL);
	ku_name(field.name, "f");
	field.name[2] = 'x';
	KUNIT_EXPECT_EQ(test, moheap_register(ku->client, &type, &field), -EINVAL);
	ku_name(field.name, "f");
	KUNIT_EXPECT_GE(test, moheap_register(ku->client, &type, &field), 0);
}

/* Names of fields are part of a layout. */
static void fields_compared(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_field field = { .width = 1, .count = 16 };
	struct moheap_type type = { .payload = 16, .nfields = 1 };
	int id;

	ku_name(type.name, "fields");
	ku_name(field.name, "one");
	id = moheap_register(ku->client, &type, &field);
	KUNIT_ASSERT_GE(test, id, 0);
	KUNIT_EXPECT_EQ(test, moheap_register(ku->client, &type, &field), id);
	ku_name(field.name, "two");
	KUNIT_EXPECT_EQ(test, moheap_register(ku->client, &type, &field), -EEXIST);
	type.nfields = 0;
	KUNIT_EXPECT_EQ(test, moheap_register(ku->client, &type, &field), -EEXIST);
}

static void as_many_fields_as_may_be(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_type type = { .payload = 16, .nfields = MOHEAP_FIELDS_MAX };
	struct moheap_field *fields;
	int i;

	fields = kunit_kcalloc(test, MOHEAP_FIELDS_MAX + 1, sizeof(*fields), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fields);
	for (i = 0; i <= MOHEAP_FIELDS_MAX; i++)
		fields[i] = (struct moheap_field){ .width = 1, .count = 1, .offset = i % 16 };
	ku_name(type.name, "many");
	KUNIT_EXPECT_GE(test, moheap_register(ku->client, &type, fields), 0);
	type.nfields++;
	ku_name(type.name, "too many");
	KUNIT_EXPECT_EQ(test, moheap_register(ku->client, &type, fields), -E2BIG);
	type.nfields = MOHEAP_FIELDS_MAX;
	fields[MOHEAP_FIELDS_MAX - 1].offset = 16;
	KUNIT_EXPECT_EQ(test, moheap_register(ku->client, &type, fields), -EINVAL);
}

static void readonly_refused(struct kunit *test)
{
	struct ku *ku = test->priv;

	KUNIT_EXPECT_EQ(test, ku_register(ku_join_readonly(ku), "node", 0, 2, 16), -EACCES);
}

/* One type at all ids but one stands for 65535 of them. */
static void as_many_types_as_may_be(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct xarray *types = &ku->heap->types;
	struct mh_type *any = xa_load(types, 0);
	int last, full, err = 0;
	u64 before;
	u32 id;

	for (id = KU_TYPES; !err && id < MOHEAP_TYPES_MAX - 1; id++)
		err = xa_err(xa_store(types, id, any, GFP_KERNEL));
	last = ku_register(ku->client, "last", 0, 2, 16);
	before = ku_bytes(ku);
	full = ku_register(ku->client, "one more", 0, 2, 16);
	for (id = KU_TYPES; id < MOHEAP_TYPES_MAX - 1; id++)
		xa_erase(types, id);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, last, MOHEAP_TYPES_MAX - 1);
	KUNIT_EXPECT_EQ(test, full, -ENOSPC);
	KUNIT_EXPECT_EQ(test, ku_bytes(ku), before);
	KUNIT_EXPECT_EQ(test, ku_register(ku->client, "now", 0, 2, 16), KU_TYPES);
}

/* Types are charged to the heap, and the one that does not fit leaves nothing. */
static void limit_holds_for_types(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *client = ku_adopt(ku, moheap_create(MOHEAP_LIMIT_MIN, 0));
	struct moheap_type type = { .payload = 16, .nfields = MOHEAP_FIELDS_MAX };
	struct moheap_field *fields;
	struct moheap_stat stat = { };
	int i, ret = 0;

	fields = kunit_kcalloc(test, MOHEAP_FIELDS_MAX, sizeof(*fields), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fields);
	for (i = 0; i < MOHEAP_FIELDS_MAX; i++)
		fields[i] = (struct moheap_field){ .width = 1, .count = 1 };
	for (i = 0; ret >= 0 && i < 1000; i++) {
		snprintf(type.name, sizeof(type.name), "type%03d", i);
		ret = moheap_register(client, &type, fields);
	}
	KUNIT_EXPECT_EQ(test, ret, -ENOSPC);
	moheap_stat(client, &stat);
	KUNIT_EXPECT_EQ(test, stat.types, i - 1);
	KUNIT_EXPECT_LE(test, stat.kernel_bytes + stat.arena_bytes, MOHEAP_LIMIT_MIN);
	KUNIT_EXPECT_GE(test, stat.kernel_bytes, (i - 1) * MOHEAP_FIELDS_MAX * sizeof(*fields));
	KUNIT_EXPECT_EQ(test, moheap_check(client), 0);
	ku_close(ku, client);
}

/* ---- Bins ---- */

static void geometry_sound(struct kunit *test, const struct mh_geometry *geo, u64 payload,
			   u32 slots)
{
	u64 room = (u64)geo->stride * MOHEAP_GRANULE;
	u32 header = sizeof(struct mh_header);

	KUNIT_ASSERT_GE(test, room, max(payload, 1ULL));
	KUNIT_ASSERT_EQ(test, geo->backed, payload > 0);
	KUNIT_ASSERT_GT(test, geo->nblocks, 0);
	KUNIT_ASSERT_LE(test, geo->nblocks, MH_POOL_BLOCKS);
	KUNIT_ASSERT_EQ(test, geo->hstride % 8, 0);
	KUNIT_ASSERT_LE(test, mh_pool_bytes(geo->nblocks, geo->hstride),
			mh_class_bytes(geo->class));
	KUNIT_ASSERT_GE(test, (u64)geo->pages * MH_PAGE_GRANULES,
			(u64)geo->nblocks * geo->stride);
	/* No page of a pool is without a block. */
	KUNIT_ASSERT_LT(test, (u64)(geo->pages - 1) * MH_PAGE_GRANULES,
			(u64)geo->nblocks * geo->stride);
	switch (geo->kind) {
	case MH_SLOTS_FIXED:
		KUNIT_ASSERT_EQ(test, geo->nslots, slots);
		KUNIT_ASSERT_GE(test, geo->hstride, header + slots * 4);
		break;
	case MH_SLOTS_COUNTED:
		KUNIT_ASSERT_GE(test, geo->nslots, slots);
		KUNIT_ASSERT_LE(test, slots, MH_SLOTS_INLINE);
		KUNIT_ASSERT_GE(test, geo->hstride, header + 4 + geo->nslots * 4);
		break;
	case MH_SLOTS_APART:
		KUNIT_ASSERT_GT(test, slots, MH_SLOTS_INLINE);
		KUNIT_ASSERT_EQ(test, geo->hstride, sizeof(struct mh_apart));
		break;
	}
}

/* Payload is rounded up by a granule, or by a quarter, or to pages where it is large. */
static void little_is_wasted(struct kunit *test, const struct mh_geometry *geo, u64 payload)
{
	u64 room = (u64)geo->stride * MOHEAP_GRANULE;
	u64 waste = room - payload;

	KUNIT_ASSERT_LT(test, waste, MOHEAP_GRANULE + max(payload / 4, 1ULL));
	if (payload >= 8 * PAGE_SIZE)
		KUNIT_ASSERT_LT(test, waste, PAGE_SIZE);
}

static void every_shape_has_a_bin(struct kunit *test)
{
	static const u32 slots[] = { 0, 1, 2, 3, 4, 7, 8, 15, 16, 47, 48, 63, 64, 65, 1000 };
	struct ku *ku = test->priv;
	struct mh_type *type = mh_type_find(ku->heap, ku->type[KU_VAR]);
	struct mh_bin *bin;
	u64 payload;
	u32 i;

	for (payload = 0; payload <= 4 << 20; payload += max(payload / 37, 1ULL)) {
		i = payload % ARRAY_SIZE(slots);
		bin = mh_type_bin(ku->heap, type, payload, slots[i]);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bin);
		geometry_sound(test, &bin->geo, payload, slots[i]);
		little_is_wasted(test, &bin->geo, payload);
		KUNIT_ASSERT_PTR_EQ(test, mh_type_bin(ku->heap, type, payload, slots[i]), bin);
	}
	for (i = 0; i < ARRAY_SIZE(slots); i++) {
		bin = mh_type_bin(ku->heap, type, 16, slots[i]);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bin);
		geometry_sound(test, &bin->geo, 16, slots[i]);
	}
	bin = mh_type_bin(ku->heap, type, MOHEAP_PAYLOAD_MAX, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bin);
	geometry_sound(test, &bin->geo, MOHEAP_PAYLOAD_MAX, 0);
}

/* Steps of the ladder share a bin, and there are few of them. */
static void few_bins_serve_all(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_type *type = mh_type_find(ku->heap, ku->type[KU_VAR]);
	u32 before = ku->heap->nbins;
	u64 payload;
	u32 slots;

	KUNIT_EXPECT_PTR_EQ(test, mh_type_bin(ku->heap, type, 17, 4),
			    mh_type_bin(ku->heap, type, 32, 5));
	KUNIT_EXPECT_PTR_NE(test, mh_type_bin(ku->heap, type, 16, 4),
			    mh_type_bin(ku->heap, type, 17, 4));
	KUNIT_EXPECT_PTR_EQ(test, mh_type_bin(ku->heap, type, 16, 65),
			    mh_type_bin(ku->heap, type, 16, 100000));
	for (payload = 1; payload <= 8 * PAGE_SIZE; payload += 5)
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mh_type_bin(ku->heap, type, payload, 0));
	for (slots = 0; slots <= 100; slots++)
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mh_type_bin(ku->heap, type, 1, slots));
	KUNIT_EXPECT_LE(test, ku->heap->nbins - before, 8 + 4 * 8 + 12);
}

/* The design's aim for an object with two references. */
static void node_costs_48_bytes(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_geometry *geo = &mh_type_find(ku->heap, ku->type[KU_NODE])->fixed->geo;
	u64 pool = mh_class_bytes(geo->class) + geo->pages * PAGE_SIZE;

	kunit_info(test, "%llu.%02llu bytes a node", pool / geo->nblocks,
		   pool % geo->nblocks * 100 / geo->nblocks);
	KUNIT_EXPECT_LE(test, pool, 48 * geo->nblocks);
}

static struct kunit_case ku_type_cases[] = {
	KUNIT_CASE(same_layout_same_id),
	KUNIT_CASE(other_layout_refused),
	KUNIT_CASE_PARAM(layout_checked, layout_gen_params),
	KUNIT_CASE(bad_names_refused),
	KUNIT_CASE(fields_compared),
	KUNIT_CASE(as_many_fields_as_may_be),
	KUNIT_CASE(readonly_refused),
	KUNIT_CASE(as_many_types_as_may_be),
	KUNIT_CASE(limit_holds_for_types),
	KUNIT_CASE(every_shape_has_a_bin),
	KUNIT_CASE(few_bins_serve_all),
	KUNIT_CASE(node_costs_48_bytes),
	{}
};

struct kunit_suite ku_type_suite = {
	.name = "moheap_type",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_type_cases,
};
