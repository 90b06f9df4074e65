// SPDX-License-Identifier: GPL-2.0
/*
 * Types: named layouts, and the bins in which their objects live.
 *
 * A type is a cache, as in SLUB: objects of different types never share a block. Where nothing
 * of a type varies it has one bin, made with it. Otherwise payload sizes and slot counts are
 * rounded up to steps of a ladder, and each pair of steps that occurs gets a bin.
 *
 * Types and bins are added under heap->lock and stay as long as the heap, so a pointer to one
 * never goes stale. type->bins is walked under RCU.
 */
#include <linux/rculist.h>
#include <linux/stringhash.h>

#include "internal.h"

/* Payload is rounded to granules up to here, then to quarters of a power of two, ... */
#define MH_STRIDE_EXACT	8
/* ... and from here to whole pages: such blocks are page runs of their own. */
#define MH_STRIDE_RUN	(8 * MH_PAGE_GRANULES)

/*
 * Steps for counted slots: header and slots fill a multiple of eight bytes.
 */
static const u32 mh_slot_steps[] = { 1, 3, 5, 7, 11, 15, 23, 31, 47, MH_SLOTS_INLINE };

static u32 mh_slot_step(u32 slots)
{
	u32 i = 0;

	while (mh_slot_steps[i] < slots)
		i++;
	return mh_slot_steps[i];
}

static u32 mh_stride(u64 payload)
{
	u64 granules = max_t(u64, DIV_ROUND_UP(payload, MOHEAP_GRANULE), 1);

	if (granules <= MH_STRIDE_EXACT)
		return granules;
	if (granules >= MH_STRIDE_RUN)
		return ALIGN(granules, MH_PAGE_GRANULES);
	return ALIGN(granules, 1U << (ilog2(granules - 1) - 2));
}

static u32 mh_hstride(const struct mh_geometry *geo)
{
	switch (geo->kind) {
	case MH_SLOTS_FIXED:
		return ALIGN(sizeof(struct mh_header) + geo->nslots * sizeof(u32), 8);
	case MH_SLOTS_COUNTED:
		return ALIGN(sizeof(struct mh_counted) + geo->nslots * sizeof(u32), 8);
	default:
		return sizeof(struct mh_apart);
	}
}

/* Blocks in a pool whose descriptor has @bytes. */
static u32 mh_geometry_blocks(const struct mh_geometry *geo, size_t bytes)
{
	u32 span = max_t(u32, MH_POOL_PAGES * MH_PAGE_GRANULES, geo->stride);
	u32 n = min_t(u32, MH_POOL_BLOCKS, span / geo->stride);

	/* No more than that, bitmaps and rounding left out of account. */
	n = min_t(u32, n, bytes / geo->hstride);
	while (n && mh_pool_bytes(n, geo->hstride) > bytes)
		n--;
	return n;
}

/* Of all descriptor sizes, take the one that needs least memory for an object. */
static void mh_geometry_fit(struct mh_geometry *geo)
{
	u64 best = U64_MAX;
	int class;

	for (class = 0; class < MH_CLASSES; class++) {
		u32 n = mh_geometry_blocks(geo, mh_class_bytes(class));
		u32 pages = DIV_ROUND_UP(n * geo->stride, MH_PAGE_GRANULES);
		u64 cost;

		if (!n)
			continue;
		cost = mh_class_bytes(class) + (geo->backed ? (u64)pages << PAGE_SHIFT : 0);
		cost = div_u64(cost << 8, n);
		if (cost >= best)
			continue;
		best = cost;
		geo->class = class;
		geo->nblocks = n;
		geo->pages = pages;
	}
}

static void mh_geometry_init(struct mh_geometry *geo, const struct mh_type *type, u64 payload,
			     u32 slots)
{
	memset(geo, 0, sizeof(*geo));
	geo->stride = mh_stride(payload);
	geo->backed = payload > 0;
	if (slots > MH_SLOTS_INLINE) {
		geo->kind = MH_SLOTS_APART;
	} else if (type->flags & MOHEAP_TYPE_VAR_SLOTS) {
		geo->kind = MH_SLOTS_COUNTED;
		geo->nslots = mh_slot_step(slots);
	} else {
		geo->kind = MH_SLOTS_FIXED;
		geo->nslots = slots;
	}
	geo->hstride = mh_hstride(geo);
}

static struct mh_bin *mh_bin_find(struct mh_type *type, const struct mh_geometry *geo)
{
	struct mh_bin *bin;

	list_for_each_entry_rcu(bin, &type->bins, list, true) {
		if (bin->geo.stride == geo->stride && bin->geo.backed == geo->backed &&
		    bin->geo.kind == geo->kind && bin->geo.nslots == geo->nslots)
			return bin;
	}
	return NULL;
}

static struct mh_bin *mh_bin_create(struct mh_heap *heap, struct mh_type *type,
				    const struct mh_geometry *geo)
{
	struct mh_bin *bin;

	lockdep_assert_held(&heap->lock);
	if (mh_charge(heap, &heap->kernel_bytes, sizeof(*bin)))
		return ERR_PTR(-ENOSPC);
	bin = kzalloc(sizeof(*bin), MH_GFP);
	if (!bin) {
		mh_uncharge(heap, &heap->kernel_bytes, sizeof(*bin));
		return ERR_PTR(-ENOMEM);
	}
	bin->type = type;
	bin->id = heap->nbins++;
	bin->geo = *geo;
	mh_geometry_fit(&bin->geo);
	spin_lock_init(&bin->lock);
	INIT_LIST_HEAD(&bin->partial);
	INIT_LIST_HEAD(&bin->sparse);
	INIT_LIST_HEAD(&bin->hollow);
	INIT_LIST_HEAD(&bin->empty);
	list_add_tail_rcu(&bin->list, &type->bins);
	return bin;
}

/**
 * mh_type_bin() - the bin for an object
 * @heap: the heap; heap->gate and heap->lock not held unless nothing of @type varies
 * @type: its type
 * @payload: payload bytes, at most MOHEAP_PAYLOAD_MAX
 * @slots: slots, at most MOHEAP_SLOTS_MAX
 *
 * Return: the bin, made if it was missing, or an error pointer: -ENOMEM, -ENOSPC.
 */
struct mh_bin *mh_type_bin(struct mh_heap *heap, struct mh_type *type, u64 payload, u32 slots)
{
	struct mh_geometry geo;
	struct mh_bin *bin;

	if (type->fixed)
		return type->fixed;
	mh_geometry_init(&geo, type, payload, slots);
	rcu_read_lock();
	bin = mh_bin_find(type, &geo);
	rcu_read_unlock();
	if (bin)
		return bin;
	mutex_lock(&heap->lock);
	bin = mh_bin_find(type, &geo);
	if (!bin)
		bin = mh_bin_create(heap, type, &geo);
	mutex_unlock(&heap->lock);
	return bin;
}

/**
 * mh_type_find() - a type by its id
 * @heap: the heap
 * @id: from mh_type_register()
 *
 * Return: the type, or NULL.
 */
struct mh_type *mh_type_find(struct mh_heap *heap, u32 id)
{
	return xa_load(&heap->types, id);
}

static bool mh_name_ok(const char *name, bool may_be_empty)
{
	size_t len = strnlen(name, MOHEAP_NAME_LEN);

	if (len == MOHEAP_NAME_LEN || (!len && !may_be_empty))
		return false;
	return !memchr_inv(name + len, 0, MOHEAP_NAME_LEN - len);
}

static bool mh_field_ref_ok(const struct moheap_type *desc, const struct moheap_field *field)
{
	u64 end = (u64)field->slot + field->count;

	if (field->width != sizeof(u64))
		return false;
	if (!field->count)
		return desc->flags & MOHEAP_TYPE_VAR_SLOTS;
	return end <= desc->slots;
}

static bool mh_field_ok(const struct moheap_type *desc, const struct moheap_field *field)
{
	u64 end = field->offset + (u64)field->width * field->count;

	if (!mh_name_ok(field->name, true) || !field->width)
		return false;
	if (field->kind > MOHEAP_FIELD_REF)
		return false;
	if (field->kind == MOHEAP_FIELD_REF) {
		if (!mh_field_ref_ok(desc, field))
			return false;
		if (field->offset == MOHEAP_NO_MIRROR)
			return true;
		if (!IS_ALIGNED(field->offset, sizeof(u64)))
			return false;
	} else if (field->slot) {
		return false;
	}
	if (!field->count)
		return (desc->flags & MOHEAP_TYPE_VAR_PAYLOAD) && field->offset <= desc->payload;
	return end <= desc->payload;
}

static bool mh_type_ok(const struct moheap_type *desc, const struct moheap_field *fields)
{
	u32 i;

	if (desc->flags & ~(MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS |
			    MOHEAP_TYPE_FINALIZE))
		return false;
	if (!mh_name_ok(desc->name, false) || desc->reserved)
		return false;
	if (desc->slots > MOHEAP_SLOTS_MAX || desc->payload > MOHEAP_PAYLOAD_MAX)
		return false;
	for (i = 0; i < desc->nfields; i++)
		if (!mh_field_ok(desc, &fields[i]))
			return false;
	return true;
}

static bool mh_type_same(const struct mh_type *type, const struct moheap_type *desc,
			 const struct moheap_field *fields)
{
	return type->flags == desc->flags && type->slots == desc->slots &&
	       type->payload == desc->payload && type->nfields == desc->nfields &&
	       !memcmp(type->fields, fields, desc->nfields * sizeof(*fields));
}

static u32 mh_name_hash(const char *name)
{
	return full_name_hash(NULL, name, strlen(name));
}

static struct mh_type *mh_type_by_name(struct mh_heap *heap, const char *name)
{
	struct mh_type *type;

	lockdep_assert_held(&heap->lock);
	hash_for_each_possible(heap->names, type, node, mh_name_hash(name))
		if (!strcmp(type->name, name))
			return type;
	return NULL;
}

static size_t mh_type_bytes(const struct mh_type *type)
{
	return struct_size(type, fields, type->nfields);
}

static struct mh_type *mh_type_new(const struct moheap_type *desc,
				   const struct moheap_field *fields)
{
	struct mh_type *type;

	type = kvzalloc(struct_size(type, fields, desc->nfields), MH_GFP);
	if (!type)
		return NULL;
	type->flags = desc->flags;
	type->slots = desc->slots;
	type->payload = desc->payload;
	type->nfields = desc->nfields;
	memcpy(type->name, desc->name, sizeof(type->name));
	memcpy(type->fields, fields, desc->nfields * sizeof(*fields));
	INIT_LIST_HEAD(&type->bins);
	return type;
}

/* Give @type a bin where it needs only one, and an id. */
static int mh_type_add(struct mh_heap *heap, struct mh_type *type)
{
	struct mh_geometry geo;
	struct mh_bin *bin;
	int err;

	lockdep_assert_held(&heap->lock);
	err = mh_charge(heap, &heap->kernel_bytes, mh_type_bytes(type));
	if (err)
		return err;
	if (!(type->flags & (MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS))) {
		mh_geometry_init(&geo, type, type->payload, type->slots);
		bin = mh_bin_create(heap, type, &geo);
		err = PTR_ERR_OR_ZERO(bin);
		if (err)
			goto uncharge;
		type->fixed = bin;
	}
	err = xa_alloc(&heap->types, &type->id, type, XA_LIMIT(0, MOHEAP_TYPES_MAX - 1), MH_GFP);
	if (!err) {
		hash_add(heap->names, &type->node, mh_name_hash(type->name));
		heap->ntypes++;
		return 0;
	}
	if (err == -EBUSY)
		err = -ENOSPC;
	if (type->fixed) {
		mh_uncharge(heap, &heap->kernel_bytes, sizeof(*type->fixed));
		kfree(type->fixed);
	}
uncharge:
	mh_uncharge(heap, &heap->kernel_bytes, mh_type_bytes(type));
	return err;
}

/**
 * mh_type_register() - the type of this name and layout
 * @heap: the heap
 * @desc: the layout; of it flags, slots, payload, nfields, reserved and name are used
 * @fields: @desc->nfields fields
 *
 * Return: its id, or -EINVAL, -EEXIST, -ENOSPC, -ENOMEM.
 */
int mh_type_register(struct mh_heap *heap, const struct moheap_type *desc,
		     const struct moheap_field *fields)
{
	struct mh_type *type, *found;
	int ret;

	if (!mh_type_ok(desc, fields))
		return -EINVAL;
	ret = desc->flags & MOHEAP_TYPE_FINALIZE ? mh_final_init(heap) : 0;
	if (ret)
		return ret;
	type = mh_type_new(desc, fields);
	if (!type)
		return -ENOMEM;
	mutex_lock(&heap->lock);
	found = mh_type_by_name(heap, type->name);
	if (!found) {
		ret = mh_type_add(heap, type);
		if (!ret) {
			ret = type->id;
			type = NULL;
		}
	} else {
		ret = mh_type_same(found, desc, fields) ? found->id : -EEXIST;
	}
	mutex_unlock(&heap->lock);
	kvfree(type);
	return ret;
}

/**
 * mh_types_destroy() - free all types and bins
 * @heap: a heap that nobody can reach and that has no pools
 */
void mh_types_destroy(struct mh_heap *heap)
{
	struct mh_bin *bin, *next;
	struct mh_type *type;
	unsigned long id;

	xa_for_each(&heap->types, id, type) {
		list_for_each_entry_safe(bin, next, &type->bins, list)
			kfree(bin);
		kvfree(type);
	}
	xa_destroy(&heap->types);
}
