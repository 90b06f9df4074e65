// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Types: registered here or found, and what the library must know of them: sizes, to make
 * objects; mirrors, to write them.
 *
 * Which type an object has is looked up by its page. The kernel gives whole pages of the arena
 * to objects of one type, takes them back when the last of them is gone, and counts
 * generations on from there when others move in. So heap->pages has for each page a type and
 * the highest generation that was seen with it: an object with that generation or a lower one
 * is of that type, if it lives at all; for a higher one the kernel is asked. All objects of a
 * page have blocks of one size, too, so where that is known it names the stock they came out of.
 *
 * All under heap->lock.
 */
#include <stdlib.h>
#include <string.h>

#include "guard.h"

/* An entry of heap->pages: the generation in bits 63..32, ... */
#define MH_PAGE_STOCK		16
#define MH_PAGE_STOCK_MASK	0xffU
#define MH_PAGE_TYPE_MASK	(MOHEAP_TYPES_MAX - 1)

/* ---- Descriptions ---- */

static unsigned int mh_mirrors_fill(struct mh_mirror *mirrors, const struct moheap_field *fields,
				    unsigned int nfields)
{
	unsigned int i, n = 0;

	for (i = 0; i < nfields; i++) {
		const struct moheap_field *field = &fields[i];

		if (field->kind != MOHEAP_FIELD_REF || field->offset == MOHEAP_NO_MIRROR)
			continue;
		if (mirrors) {
			mirrors[n].slot = field->slot;
			mirrors[n].count = field->count ? field->count : UINT32_MAX;
			mirrors[n].offset = field->offset;
		}
		n++;
	}
	return n;
}

static struct mh_type *mh_type_new(const struct moheap *heap, const struct moheap_type *info,
				   const struct moheap_field *fields)
{
	bool varies = info->flags & (MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS);
	unsigned int nstocks = varies ? MH_STOCKS_VAR : 1;
	struct mh_type *type;

	type = calloc(1, sizeof(*type) + nstocks * sizeof(type->stocks[0]));
	if (!type)
		return NULL;
	type->id = info->id;
	type->flags = info->flags;
	type->slots = info->slots;
	type->payload = info->payload;
	type->nstocks = nstocks;
	if (!varies) {
		type->stocks[0].payload = mh_round_up(info->payload, MOHEAP_GRANULE);
		type->stocks[0].slots = info->slots;
		type->stocks[0].recycles = mh_recycles(heap, info->flags, info->payload,
						       info->slots);
	}
	type->nmirrors = mh_mirrors_fill(NULL, fields, info->nfields);
	if (!type->nmirrors)
		return type;
	type->mirrors = calloc(type->nmirrors, sizeof(*type->mirrors));
	if (!type->mirrors) {
		free(type);
		return NULL;
	}
	mh_mirrors_fill(type->mirrors, fields, info->nfields);
	return type;
}

static void mh_type_free(struct mh_type *type)
{
	unsigned int i;

	if (!type)
		return;
	for (i = 0; i < type->nstocks; i++)
		free(type->stocks[i].refs);
	free(type->mirrors);
	free(type);
}

void mh_types_free(struct moheap *heap)
{
	unsigned int i;

	for (i = 0; i < heap->ntypes; i++)
		mh_type_free(heap->types[i]);
	free(heap->types);
}

static int mh_types_make_room(struct moheap *heap, unsigned int id)
{
	unsigned int n = heap->ntypes;
	struct mh_type **types;

	if (id < n)
		return 0;
	n = mh_max(mh_max(16, n * 2), id + 1);
	types = realloc(heap->types, n * sizeof(*types));
	if (!types)
		return -ENOMEM;
	memset(types + heap->ntypes, 0, (n - heap->ntypes) * sizeof(*types));
	heap->types = types;
	heap->ntypes = n;
	return 0;
}

static int mh_type_add(struct moheap *heap, const struct moheap_type *info,
		       const struct moheap_field *fields)
{
	int err = mh_types_make_room(heap, info->id);

	if (err)
		return err;
	if (heap->types[info->id])
		return 0;
	heap->types[info->id] = mh_type_new(heap, info, fields);
	return heap->types[info->id] ? 0 : -ENOMEM;
}

/* Ask the kernel for a type that some other process registered. */
static __attribute_noinline__ int mh_type_learn(struct moheap *heap, unsigned int id)
{
	struct moheap_type info = { .size = sizeof(info), .id = id };
	struct moheap_field *fields;
	int err;

	fields = calloc(MOHEAP_FIELDS_MAX, sizeof(*fields));
	if (!fields)
		return -ENOMEM;
	info.fields = (uintptr_t)fields;
	info.nfields = MOHEAP_FIELDS_MAX;
	err = mh_ioctl(heap, MOHEAP_IOC_TYPE_INFO, &info);
	if (!err)
		err = mh_type_add(heap, &info, fields);
	free(fields);
	return err;
}

/*
 * mh_type_get() - what is known of a type; caller holds heap->lock
 *
 * Return: the type, good until the heap is closed; or NULL and @err.
 */
struct mh_type *mh_type_get(struct moheap *heap, unsigned int id, int *err)
{
	*err = 0;
	if (id < heap->ntypes && heap->types[id])
		return heap->types[id];
	*err = mh_type_learn(heap, id);
	return *err ? NULL : heap->types[id];
}

/* ---- The type of an object ---- */

static inline __u64 *mh_page_of(struct moheap *heap, moheap_ref_t ref)
{
	return &heap->pages[mh_granule(ref) / (MH_PAGE / MOHEAP_GRANULE)];
}

static inline __u64 mh_page(moheap_ref_t ref, __u32 id, unsigned int stock)
{
	return (__u64)mh_age(ref) << 32 | stock << MH_PAGE_STOCK | id;
}

/*
 * mh_type_note() - the kernel said that @ref is of @type; caller holds heap->lock
 *
 * @stock: 0, or 1 + the number of the stock to which objects of this page come back.
 */
void mh_type_note(struct moheap *heap, moheap_ref_t ref, const struct mh_type *type,
		  unsigned int stock)
{
	__u64 *page = mh_page_of(heap, ref);

	if (type->nstocks == 1)
		stock = type->stocks[0].recycles;
	if (*page >> 32 <= mh_age(ref))
		*page = mh_page(ref, type->id, stock);
}

/*
 * mh_stock_of_page() - where objects of the page of @ref come back to; caller holds heap->lock
 *
 * The client holds @ref, and it came out of stock.
 *
 * Return: the stock, or NULL.
 */
struct mh_stock *mh_stock_of_page(struct moheap *heap, moheap_ref_t ref)
{
	__u64 page = *mh_page_of(heap, ref);
	unsigned int stock = page >> MH_PAGE_STOCK & MH_PAGE_STOCK_MASK;

	return stock ? &heap->types[page & MH_PAGE_TYPE_MASK]->stocks[stock - 1] : NULL;
}

/*
 * mh_type_renew() - a block that is in its page's stock has the generation of @ref now
 */
void mh_type_renew(struct moheap *heap, moheap_ref_t ref)
{
	__u64 *page = mh_page_of(heap, ref);

	if (*page >> 32 < mh_age(ref))
		*page = (__u64)mh_age(ref) << 32 | (__u32)*page;
}

/*
 * mh_type_of() - the type of an object; caller holds heap->lock
 *
 * Return: the type; or NULL and @err.
 */
struct mh_type *mh_type_of(struct moheap *heap, moheap_ref_t ref, int *err)
{
	struct moheap_object object;
	struct mh_type *type;
	__u64 page;

	*err = -EINVAL;
	if (!mh_ref_inside(heap, ref))
		return NULL;
	page = *mh_page_of(heap, ref);
	if (page && mh_age(ref) <= page >> 32)
		return mh_type_get(heap, page & MH_PAGE_TYPE_MASK, err);
	object = (struct moheap_object){ .size = sizeof(object), .ref = ref };
	*err = mh_ioctl(heap, MOHEAP_IOC_OBJECT, &object);
	if (*err)
		return NULL;
	type = mh_type_get(heap, object.type, err);
	if (type)
		mh_type_note(heap, ref, type, 0);
	return type;
}

/* ---- The interface ---- */

/* The kernel sees to it that fields lie inside the payload that it knows of: not in the zone. */
static bool mh_fields_inside(const struct moheap_layout *layout)
{
	const struct moheap_field *field;
	__u64 end;

	for (field = layout->fields; field < layout->fields + layout->nfields; field++) {
		if (field->kind == MOHEAP_FIELD_REF && field->offset == MOHEAP_NO_MIRROR)
			continue;
		end = field->offset + (__u64)field->width * field->count;
		if (end > layout->payload)
			return false;
	}
	return true;
}

int moheap_type_register(struct moheap *heap, const struct moheap_layout *layout)
{
	struct moheap_type info = { .size = sizeof(info) };
	int err;

	if (layout->size < sizeof(*layout) || !layout->name ||
	    strlen(layout->name) >= sizeof(info.name))
		return -EINVAL;
	info.flags = layout->flags;
	info.payload = mh_guard_payload(heap, layout->payload);
	info.slots = layout->slots;
	info.fields = (uintptr_t)layout->fields;
	info.nfields = layout->nfields;
	memcpy(info.name, layout->name, strlen(layout->name));

	if (heap->guard && !mh_fields_inside(layout))
		return -EINVAL;
	mh_lock(&heap->lock);
	err = mh_ioctl(heap, MOHEAP_IOC_TYPE, &info);
	if (!err)
		err = mh_type_add(heap, &info, layout->fields);
	mh_unlock(&heap->lock);
	return err ? err : (int)info.id;
}

int moheap_type_find(struct moheap *heap, const char *name)
{
	struct moheap_type info;
	unsigned int id;
	int err;

	for (id = 0; id < MOHEAP_TYPES_MAX; id++) {
		info = (struct moheap_type){ .size = sizeof(info), .id = id };
		err = mh_ioctl(heap, MOHEAP_IOC_TYPE_INFO, &info);
		if (err)
			return err;
		if (!strcmp(info.name, name))
			return id;
	}
	return -ENOENT;
}

int moheap_type_of(struct moheap *heap, moheap_ref_t ref)
{
	struct mh_type *type;
	int err, id = 0;

	mh_lock(&heap->lock);
	type = mh_type_of(heap, ref, &err);
	if (type)
		id = type->id;
	mh_unlock(&heap->lock);
	return err ? err : id;
}

int moheap_type_info(struct moheap *heap, struct moheap_type *info)
{
	struct moheap_type asked = *info;
	int err;

	if (info->size < sizeof(*info))
		return -EINVAL;
	memset(&info->flags, 0, info->size - sizeof(info->size));
	info->id = asked.id;
	info->fields = asked.fields;
	info->nfields = asked.nfields;
	err = mh_ioctl(heap, MOHEAP_IOC_TYPE_INFO, info);
	if (!err)
		info->payload = mh_guard_asked(heap, info->payload);
	return err;
}
