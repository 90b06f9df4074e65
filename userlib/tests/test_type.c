// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Types: one name, one layout; the same in every process.
 */
#include "raw.h"

static const struct moheap_field node_fields[] = {
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 2, .offset = 0, .slot = 0,
	  .name = "children" },
	{ .kind = MOHEAP_FIELD_FLOAT, .width = 8, .count = 1, .offset = 16, .name = "weight" },
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 1, .offset = MOHEAP_NO_MIRROR, .slot = 2,
	  .name = "hidden" },
};

static const struct moheap_layout node = {
	.size = sizeof(node),
	.name = "node",
	.payload = 24,
	.slots = 3,
	.nfields = 3,
	.fields = node_fields,
};

static void same_name_same_layout(void)
{
	struct moheap *heap = tap_heap(), *other;
	int id = must(moheap_type_register(heap, &node));

	is(moheap_type_register(heap, &node), id);
	ok(tap_type(heap, "other", 24, 3) != id);
	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	is(moheap_type_register(other, &node), id);
	is(moheap_type_find(other, "node"), id);
	is(moheap_type_find(other, "nod"), -ENOENT);
	moheap_close(other);
}

static void other_layout_is_refused(void)
{
	struct moheap *heap = tap_heap();
	struct moheap_field fields[3];
	struct moheap_layout layout = node;

	must(moheap_type_register(heap, &node));
	layout.payload++;
	err_is(moheap_type_register(heap, &layout), -EEXIST);
	layout = node;
	layout.slots++;
	err_is(moheap_type_register(heap, &layout), -EEXIST);
	layout = node;
	layout.nfields--;
	err_is(moheap_type_register(heap, &layout), -EEXIST);
	layout = node;
	layout.flags = MOHEAP_TYPE_VAR_PAYLOAD;
	err_is(moheap_type_register(heap, &layout), -EEXIST);
	memcpy(fields, node_fields, sizeof(fields));
	fields[1].kind = MOHEAP_FIELD_INT;
	layout = node;
	layout.fields = fields;
	err_is(moheap_type_register(heap, &layout), -EEXIST);
}

static void bad_layouts_are_refused(void)
{
	struct moheap *heap = tap_heap();
	struct moheap_layout layout = node;

	layout.size = 4;
	err_is(moheap_type_register(heap, &layout), -EINVAL);
	layout = node;
	layout.name = NULL;
	err_is(moheap_type_register(heap, &layout), -EINVAL);
	layout.name = "";
	err_is(moheap_type_register(heap, &layout), -EINVAL);
	layout.name = "a name that takes thirty-two byte";
	err_is(moheap_type_register(heap, &layout), -EINVAL);
	layout = node;
	layout.payload = 16;
	err_is(moheap_type_register(heap, &layout), -EINVAL);
	layout = node;
	layout.slots = 2;
	err_is(moheap_type_register(heap, &layout), -EINVAL);
	layout = node;
	layout.flags = 1U << 31;
	err_is(moheap_type_register(heap, &layout), -EINVAL);
}

static void info_gives_it_back(void)
{
	struct moheap *heap = tap_heap();
	struct moheap_field fields[8] = { { 0 } };
	struct moheap_type info = {
		.size = sizeof(info),
		.id = must(moheap_type_register(heap, &node)),
		.fields = (uintptr_t)fields,
		.nfields = TAP_COUNT(fields),
	};

	err_is(moheap_type_info(heap, &info), 0);
	ok(!strcmp(info.name, "node"));
	is(info.payload, 24);
	is(info.slots, 3);
	is(info.flags, 0);
	is(info.nfields, 3);
	ok(!memcmp(fields, node_fields, sizeof(node_fields)));
	/* Room for fewer fields: as many as fit, and how many there are. */
	memset(fields, 0, sizeof(fields));
	info.nfields = 1;
	err_is(moheap_type_info(heap, &info), 0);
	is(info.nfields, 3);
	ok(!memcmp(&fields[0], &node_fields[0], sizeof(fields[0])));
	ok(!fields[1].name[0]);
	info.id = 12345;
	err_is(moheap_type_info(heap, &info), -ENOENT);
}

/* The library finds out by itself what others registered. */
static void types_of_others_are_known(void)
{
	struct moheap *heap = tap_heap(), *other;
	moheap_ref_t a, b;
	int id;

	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	tap_heap_adopted(other);
	id = must(moheap_type_register(heap, &node));
	a = tap_new(other, id);
	b = tap_new(heap, id);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_incref(other, b), 0);
	err_is(moheap_store(other, b, 1, a), 0);
	ok(moheap_get(other, b, 8) == a);
	ok(moheap_get(heap, b, 8) == a);
	moheap_decref(other, a);
	moheap_decref(other, b);
	err_is(moheap_flush(other), 0);
	moheap_decref(heap, b);
}

static void unknown_types(void)
{
	struct moheap *heap = tap_heap();
	moheap_ref_t ref;

	err_is(moheap_new(heap, 0, &ref), -ENOENT);
	err_is(moheap_new(heap, 70000, &ref), -ENOENT);
	err_is(moheap_new_many(heap, 1, 1, &ref), -ENOENT);
}

static void many_types(void)
{
	struct moheap *heap = tap_heap();
	unsigned int i, n = tap_scaled(300);
	char name[32];
	moheap_ref_t ref;

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "type-%u", i);
		is(tap_type(heap, name, i % 100, i % 7), i);
	}
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "type-%u", i);
		is(tap_type(heap, name, i % 100, i % 7), i);
		ref = tap_new(heap, i);
		moheap_decref(heap, ref);
	}
	is(tap_objects(heap), 0);
}

static void types_of_objects(void)
{
	struct moheap *heap = tap_heap(), *other;
	int type = tap_type(heap, "a", 8, 0), varied;
	struct moheap_layout layout = {
		.size = sizeof(layout),
		.name = "b",
		.flags = MOHEAP_TYPE_VAR_PAYLOAD,
	};
	moheap_ref_t a = tap_new(heap, type), b;

	varied = must(moheap_type_register(heap, &layout));
	err_is(moheap_new_sized(heap, varied, 10000, 0, &b), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &other), 0);
	is(moheap_type_of(heap, a), type);
	is(moheap_type_of(heap, b), varied);
	is(moheap_type_of(other, a), type);
	is(moheap_type_of(other, b), varied);
	err_is(moheap_type_of(heap, 0), -EINVAL);
	err_is(moheap_type_of(heap, ~0ULL), -EINVAL);
	moheap_decref(heap, b);
	err_is(moheap_close(other), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	err_is(moheap_type_of(other, b), -ESTALE);
	err_is(moheap_close(other), 0);
}

/* ENOSPC: MOHEAP_TYPES_MAX exist. */
static void only_so_many_types(void)
{
	int fd, id = 0, n;
	char name[32];

	if (tap_scaled(100) < 100)
		tap_skip("makes %u types, whatever MOHEAP_SCALE says", MOHEAP_TYPES_MAX);
	if (tap_large(TAP_LARGE) < MOHEAP_TYPES_MAX)
		tap_skip("makes %u types: too slow here", MOHEAP_TYPES_MAX);
	fd = raw_heap(0);
	for (n = 0; id >= 0 && n <= MOHEAP_TYPES_MAX; n++) {
		snprintf(name, sizeof(name), "%d", n);
		id = raw_type(fd, name, 8, 0, MOHEAP_TYPE_VAR_SLOTS);
	}
	err_is(id, -ENOSPC);
	is(n - 1, MOHEAP_TYPES_MAX);
	is(raw_type(fd, "0", 8, 0, MOHEAP_TYPE_VAR_SLOTS), 0);
	err_is(raw_check(fd), 0);
}

static const struct tap_case cases[] = {
	{ "same name, same layout: the same type", same_name_same_layout },
	{ "same name, other layout: refused", other_layout_is_refused },
	{ "bad layouts are refused", bad_layouts_are_refused },
	{ "info gives a layout back", info_gives_it_back },
	{ "types of others are known", types_of_others_are_known },
	{ "types of objects", types_of_objects },
	{ "unknown types", unknown_types },
	{ "many types", many_types },
	{ "MOHEAP_TYPES_MAX types", only_so_many_types, 120 },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
