// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * The types of boxes and containers.
 *
 * A kind becomes a type of a heap when the first of that kind is made there, by whichever
 * process; its id is remembered in heap->kinds.types, -1 before. The other way round, which
 * kind a type is, is asked far more often, for every key of a dict: heap->kinds.cache has the
 * answers by a hash of the type's id. A reader that may register nothing recognizes a kind by
 * its name and its sizes.
 *
 * These are words that any thread may write, for all would write the same; so is the root of
 * interned strings.
 */
#include "internal.h"
#include "container.h"

#define MH_FIELD(k, n, w, s, m) {					\
	.kind = MOHEAP_FIELD_##k, .count = n, .width = w,		\
	.offset = offsetof(struct s, m), .name = #m,			\
}

static const struct moheap_field mh_int_fields[] = {
	MH_FIELD(INT, 1, 8, mh_int, value),
};

static const struct moheap_field mh_float_fields[] = {
	MH_FIELD(FLOAT, 1, 8, mh_float, value),
};

static const struct moheap_field mh_bytes_fields[] = {
	MH_FIELD(UINT, 1, 4, mh_bytes, len),
	MH_FIELD(UINT, 1, 4, mh_bytes, interned),
	MH_FIELD(UINT, 1, 8, mh_bytes, hash),
	MH_FIELD(BYTES, 0, 1, mh_bytes, data),
};

static const struct moheap_field mh_tuple_fields[] = {
	MH_FIELD(UINT, 1, 8, mh_tuple, len),
	MH_FIELD(UINT, 1, 8, mh_tuple, hash),
	MH_FIELD(REF, 0, 8, mh_tuple, items),
};

static const struct moheap_field mh_list_fields[] = {
	MH_FIELD(UINT, 1, 8, mh_list, len),
	MH_FIELD(UINT, 1, 8, mh_list, capacity),
	MH_FIELD(REF, 1, 8, mh_list, array),
	MH_FIELD(UINT, 1, 8, mh_list, plain),
};

static const struct moheap_field mh_hashed_fields[] = {
	MH_FIELD(REF, 1, 8, mh_hashed, table),
};

static const struct moheap_field mh_array_fields[] = {
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .name = "items" },
};

/* What follows the refs is no field: see table.c. */
static const struct moheap_field mh_table_fields[] = {
	MH_FIELD(UINT, 1, 4, mh_table, capacity),
	MH_FIELD(UINT, 1, 4, mh_table, filled),
	MH_FIELD(UINT, 1, 4, mh_table, used),
	MH_FIELD(UINT, 1, 4, mh_table, usable),
	MH_FIELD(UINT, 1, 4, mh_table, size),
	MH_FIELD(UINT, 1, 4, mh_table, width),
	MH_FIELD(REF, 0, 8, mh_table, refs),
};

static const struct moheap_field mh_branch_fields[] = {
	MH_FIELD(REF, MH_WAYS, 8, mh_branch, ways),
};

static const struct moheap_field mh_leaf_fields[] = {
	MH_FIELD(UINT, 1, 8, mh_leaf, hash),
	MH_FIELD(UINT, 1, 8, mh_leaf, string),
};

#define MH_VAR_BOTH	(MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS)

static const struct moheap_layout mh_layouts[MH_KINDS] = {
	[MOHEAP_KIND_INT] = {
		.size = sizeof(struct moheap_layout),
		.name = "moheap.int",
		.payload = sizeof(struct mh_int),
		.fields = mh_int_fields,
		.nfields = MH_ARRAY_SIZE(mh_int_fields),
	},
	[MOHEAP_KIND_FLOAT] = {
		.size = sizeof(struct moheap_layout),
		.name = "moheap.float",
		.payload = sizeof(struct mh_float),
		.fields = mh_float_fields,
		.nfields = MH_ARRAY_SIZE(mh_float_fields),
	},
	[MOHEAP_KIND_BYTES] = {
		.size = sizeof(struct moheap_layout),
		.name = "moheap.bytes",
		.flags = MOHEAP_TYPE_VAR_PAYLOAD,
		.payload = sizeof(struct mh_bytes),
		.fields = mh_bytes_fields,
		.nfields = MH_ARRAY_SIZE(mh_bytes_fields),
	},
	[MOHEAP_KIND_TUPLE] = {
		.size = sizeof(struct moheap_layout),
		.name = "moheap.tuple",
		.flags = MH_VAR_BOTH,
		.payload = sizeof(struct mh_tuple),
		.fields = mh_tuple_fields,
		.nfields = MH_ARRAY_SIZE(mh_tuple_fields),
	},
	[MOHEAP_KIND_LIST] = {
		.size = sizeof(struct moheap_layout),
		.name = "moheap.list",
		.payload = sizeof(struct mh_list),
		.slots = 1,
		.fields = mh_list_fields,
		.nfields = MH_ARRAY_SIZE(mh_list_fields),
	},
	[MOHEAP_KIND_DICT] = {
		.size = sizeof(struct moheap_layout),
		.name = "moheap.dict",
		.payload = sizeof(struct mh_hashed),
		.slots = 1,
		.fields = mh_hashed_fields,
		.nfields = MH_ARRAY_SIZE(mh_hashed_fields),
	},
	[MOHEAP_KIND_SET] = {
		.size = sizeof(struct moheap_layout),
		.name = "moheap.set",
		.payload = sizeof(struct mh_hashed),
		.slots = 1,
		.fields = mh_hashed_fields,
		.nfields = MH_ARRAY_SIZE(mh_hashed_fields),
	},
	[MH_KIND_ARRAY] = {
		.size = sizeof(struct moheap_layout),
		.name = "moheap.array",
		.flags = MH_VAR_BOTH,
		.fields = mh_array_fields,
		.nfields = MH_ARRAY_SIZE(mh_array_fields),
	},
	[MH_KIND_PLAIN_ARRAY] = {
		.size = sizeof(struct moheap_layout),
		.name = "moheap.plain_array",
		.flags = MOHEAP_TYPE_VAR_SLOTS,
	},
	[MH_KIND_TABLE] = {
		.size = sizeof(struct moheap_layout),
		.name = "moheap.table",
		.flags = MH_VAR_BOTH,
		.payload = sizeof(struct mh_table),
		.fields = mh_table_fields,
		.nfields = MH_ARRAY_SIZE(mh_table_fields),
	},
	[MH_KIND_BRANCH] = {
		.size = sizeof(struct moheap_layout),
		.name = "moheap.branch",
		.payload = sizeof(struct mh_branch),
		.slots = MH_WAYS,
		.fields = mh_branch_fields,
		.nfields = MH_ARRAY_SIZE(mh_branch_fields),
	},
	[MH_KIND_LEAF] = {
		.size = sizeof(struct moheap_layout),
		.name = "moheap.leaf",
		.payload = sizeof(struct mh_leaf),
		.slots = 1,
		.fields = mh_leaf_fields,
		.nfields = MH_ARRAY_SIZE(mh_leaf_fields),
	},
};

void mh_kinds_init(struct mh_kinds *kinds)
{
	unsigned int i;

	for (i = 0; i < MH_ARRAY_SIZE(kinds->types); i++)
		atomic_init(&kinds->types[i], -1);
}

/*
 * mh_kind_type() - the type that objects of a kind have in a heap, made where it is missing
 *
 * Return: its id; or a negative errno, -EACCES for a read-only client.
 */
int mh_kind_type(struct moheap *heap, unsigned int kind)
{
	atomic_int *type = &heap->kinds.types[kind];
	int id = atomic_load_explicit(type, memory_order_relaxed);

	if (id >= 0)
		return id;
	id = moheap_type_register(heap, &mh_layouts[kind]);
	if (id >= 0)
		atomic_store_explicit(type, id, memory_order_relaxed);
	return id;
}

/*
 * mh_kinds_root() - where interned strings are found: see intern.c
 *
 * Return: the root, or 0: not known here.
 */
moheap_ref_t mh_kinds_root(struct moheap *heap)
{
	return atomic_load_explicit(&heap->kinds.root, memory_order_relaxed);
}

/*
 * mh_kinds_set_root() - it is known now
 */
void mh_kinds_set_root(struct moheap *heap, moheap_ref_t root)
{
	atomic_store_explicit(&heap->kinds.root, root, memory_order_relaxed);
}

static bool mh_layout_is(const struct moheap_layout *layout, const struct moheap_type *info)
{
	return layout->name && !strcmp(layout->name, info->name) &&
	       layout->flags == info->flags && layout->payload == info->payload &&
	       layout->slots == info->slots;
}

/* Which kind the type @id is, by what the kernel says of it. */
static int mh_kind_learn(struct moheap *heap, int id)
{
	struct moheap_type info = { .size = sizeof(info), .id = id };
	unsigned int kind;
	int err;

	err = moheap_type_info(heap, &info);
	if (err)
		return err;
	for (kind = MH_KINDS - 1; kind; kind--)
		if (mh_layout_is(&mh_layouts[kind], &info))
			break;
	return kind > MOHEAP_KIND_SET ? MOHEAP_KIND_OTHER : kind;
}

int moheap_kind(struct moheap *heap, moheap_ref_t ref)
{
	int id = moheap_type_of(heap, ref), kind;
	atomic_uint *entry;
	unsigned int word;

	if (id < 0)
		return id;
	entry = &heap->kinds.cache[id % MH_ARRAY_SIZE(heap->kinds.cache)];
	word = atomic_load_explicit(entry, memory_order_relaxed);
	if (word >> 8 == id + 1U)
		return word & 0xff;
	kind = mh_kind_learn(heap, id);
	if (kind >= 0)
		atomic_store_explicit(entry, (id + 1U) << 8 | kind, memory_order_relaxed);
	return kind;
}
