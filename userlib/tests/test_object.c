// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Objects: fresh memory, counts that are kept here and in the kernel, and the stock.
 */
#include <signal.h>
#include <sys/wait.h>

#include "raw.h"

static bool all_zero(const unsigned char *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

static int sized_type(struct moheap *heap, const char *name)
{
	struct moheap_layout layout = {
		.size = sizeof(layout),
		.name = name,
		.flags = MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS,
	};

	return must(moheap_type_register(heap, &layout));
}

/* ---- Memory ---- */

static void fresh_payload_is_zero(void)
{
	struct moheap *heap = tap_heap();
	unsigned long rounds = 3 + tap_scaled(20), round, i;
	int type = tap_type(heap, "t", 40, 2), reused = 0;
	/* All of the block, but for a red zone. */
	size_t bytes = tap_guarded() ? 40 : 48;
	moheap_ref_t refs[500];

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < TAP_COUNT(refs); i++) {
			refs[i] = tap_new(heap, type);
			reused += !!(refs[i] & MOHEAP_REF_REUSED);
			ok(all_zero(moheap_ptr(heap, refs[i]), bytes));
			memset(moheap_ptr(heap, refs[i]), 0xa5, bytes);
		}
		for (i = 0; i < TAP_COUNT(refs); i++)
			moheap_decref(heap, refs[i]);
		err_is(moheap_flush(heap), 0);
	}
	ok(reused);
	is(tap_objects(heap), 0);
}

static void sizes_of_their_own(void)
{
	static const size_t sizes[] = {
		0, 1, 15, 16, 17, 100, 128, 129, 200, 500, 1000, 4095, 4096, 4097, 10000, 32768,
		32769, 100000, 1 << 20,
	};
	static const unsigned int slots[] = { 0, 1, 2, 3, 8, 47, 64, 65, 100, 5000 };
	struct moheap *heap = tap_heap();
	struct moheap_object object = { .size = sizeof(object) };
	int type = sized_type(heap, "t"), round;
	unsigned int i, j;
	moheap_ref_t ref;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < TAP_COUNT(sizes); i++) {
			for (j = 0; j < TAP_COUNT(slots); j++) {
				err_is(moheap_new_sized(heap, type, sizes[i], slots[j], &ref), 0);
				object.ref = ref;
				err_is(moheap_inspect(heap, &object), 0);
				is(object.slots, slots[j]);
				ok(object.payload >= sizes[i]);
				ok(object.payload <= sizes[i] + sizes[i] / 4 + 4096);
				ok(all_zero(moheap_ptr(heap, ref), object.payload));
				memset(moheap_ptr(heap, ref), 0x5a, object.payload);
				if (slots[j])
					err_is(moheap_store(heap, ref, slots[j] - 1, ref), 0);
				err_is(moheap_flush(heap), 0);
				if (slots[j])
					err_is(moheap_store(heap, ref, slots[j] - 1, 0), 0);
				moheap_decref(heap, ref);
			}
		}
	}
	is(tap_objects(heap), 0);
	err_is(moheap_new_sized(heap, type, MOHEAP_PAYLOAD_MAX + 1UL, 0, &ref), -E2BIG);
	err_is(moheap_new_sized(heap, type, 0, MOHEAP_SLOTS_MAX + 1UL, &ref), -E2BIG);
}

static void fixed_sizes_are_fixed(void)
{
	struct moheap *heap = tap_heap();
	struct moheap_layout least = {
		.size = sizeof(least),
		.name = "least",
		.flags = MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS,
		.payload = 100,
		.slots = 10,
	};
	struct moheap_object object = { .size = sizeof(object) };
	int fixed = tap_type(heap, "t", 8, 1);
	int type = must(moheap_type_register(heap, &least));
	moheap_ref_t ref;

	err_is(moheap_new_sized(heap, fixed, 16, 0, &ref), -EINVAL);
	err_is(moheap_new_sized(heap, fixed, 0, 2, &ref), -EINVAL);
	err_is(moheap_new_sized(heap, type, 1, 1, &object.ref), 0);
	err_is(moheap_inspect(heap, &object), 0);
	ok(object.payload >= 100);
	is(object.slots, 10);
	moheap_decref(heap, object.ref);
}

static int compare_refs(const void *a, const void *b)
{
	__u32 x = *(const moheap_ref_t *)a, y = *(const moheap_ref_t *)b;

	return x < y ? -1 : x > y;
}

static void new_many(void)
{
	size_t n = tap_scaled(50000), i;
	struct moheap *heap = tap_heap();
	int type = tap_type(heap, "t", 40, 2), round;
	moheap_ref_t *refs = calloc(n, sizeof(*refs));

	err_is(moheap_new_many(heap, type, 0, refs), -EINVAL);
	for (round = 0; round < 2; round++) {
		err_is(moheap_new_many(heap, type, n, refs), 0);
		for (i = 0; i < n; i++) {
			ok(all_zero(moheap_ptr(heap, refs[i]), 40));
			memset(moheap_ptr(heap, refs[i]), 1, 40);
		}
		qsort(refs, n, sizeof(*refs), compare_refs);
		for (i = 1; i < n; i++)
			ok((refs[i] & 0xffffffff) - (refs[i - 1] & 0xffffffff) >= 3);
		is(tap_objects(heap), n);
		is(moheap_refcount(heap, refs[n / 2]), 1);
		for (i = 0; i < n; i++)
			err_is(moheap_decref(heap, refs[i]), 0);
		is(tap_objects(heap), 0);
	}
}

/* ---- Counts ---- */

static void counts_are_local(void)
{
	struct moheap *heap = tap_heap(), *other;
	int type = tap_type(heap, "t", 8, 1), i;
	moheap_ref_t ref = tap_new(heap, type), owner = tap_new(heap, type);
	struct moheap_object object = { .size = sizeof(object), .ref = ref };

	is(moheap_refcount(heap, ref), 1);
	for (i = 0; i < 100; i++)
		err_is(moheap_incref(heap, ref), 0);
	is(moheap_refcount(heap, ref), 101);
	err_is(moheap_inspect(heap, &object), 0);
	is(object.count, 1);
	ok(object.flags & MOHEAP_OBJECT_HELD);
	is(object.type, type);
	err_is(moheap_store(heap, owner, 0, ref), 0);
	is(moheap_refcount(heap, ref), 102);
	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	tap_heap_adopted(other);
	is(moheap_refcount(other, ref), 2);
	err_is(moheap_incref(other, ref), 0);
	err_is(moheap_incref(other, ref), 0);
	is(moheap_refcount(heap, ref), 103);
	for (i = 0; i < 101; i++)
		err_is(moheap_decref(heap, ref), 0);
	err_is(moheap_decref(heap, ref), -ENOENT);
	err_is(moheap_trim(heap), 0);
	is(moheap_refcount(other, ref), 1 + 2);
	err_is(moheap_inspect(heap, &object), 0);
	ok(!(object.flags & MOHEAP_OBJECT_HELD));
	err_is(moheap_decref(other, ref), 0);
	err_is(moheap_decref(other, ref), 0);
	is(tap_objects(other), 2);
	moheap_decref(heap, owner);
	is(tap_objects(heap), 0);
}

static void stale_refs_are_refused(void)
{
	struct moheap *heap = tap_heap();
	struct moheap_object object = { .size = sizeof(object) };
	int type = tap_type(heap, "t", 8, 1), i;
	moheap_ref_t old = tap_new(heap, type), ref = 0, got;
	int err;

	if (tap_guarded())
		tap_skip("blocks stay in quarantine");
	err_is(moheap_flush(heap), 0);
	moheap_decref(heap, old);
	err_is(moheap_trim(heap), 0);
	/* Until somebody else has the block. */
	for (i = 0; i < 100000 && (__u32)ref != (__u32)old; i++)
		ref = tap_new(heap, type);
	is((__u32)ref, (__u32)old);
	ok(ref != old);
	err_is(moheap_incref(heap, old), -ESTALE);
	err_is(moheap_decref(heap, old), -ENOENT);
	is(moheap_refcount(heap, old), -ESTALE);
	is(moheap_getsizeof(heap, old), -ESTALE);
	object.ref = old;
	err_is(moheap_inspect(heap, &object), -ESTALE);
	err_is(moheap_load(heap, old, 0, &got), -ESTALE);
	err = moheap_store(heap, ref, 0, old);
	err_is(err ? err : moheap_flush(heap), -ESTALE);
	is(moheap_refcount(heap, ref), 1);
}

static void invented_refs_are_refused(void)
{
	struct moheap *heap = tap_heap();
	int type = tap_type(heap, "t", 8, 1), err;
	moheap_ref_t ref = tap_new(heap, type);

	err_is(moheap_incref(heap, 0), -EINVAL);
	err_is(moheap_decref(heap, 0), 0);
	err_is(moheap_incref(heap, ref + (1ULL << 32)), -EINVAL);
	err_is(moheap_incref(heap, ref + (2ULL << 32)), -ESTALE);
	err_is(moheap_decref(heap, ref + (2ULL << 32)), -ENOENT);
	err_is(moheap_incref(heap, ref | 0xffffffff), -EINVAL);
	err_is(moheap_decref(heap, ref | 0xffffffff), -ENOENT);
	err = moheap_incref(heap, ref + 1000);
	ok(err == -EINVAL || err == -ESTALE);
	is(moheap_refcount(heap, ref), 1);
	moheap_decref(heap, ref);
}

/* A drop that has not gone out yet is taken back. */
static void a_queued_drop_is_recalled(void)
{
	struct moheap *heap = tap_heap();
	int type = tap_type(heap, "t", 8, 1), i;
	moheap_ref_t ref = tap_new(heap, type), others[20];

	err_is(moheap_trim(heap), 0);
	for (i = 0; i < 20; i++)
		others[i] = tap_new(heap, type);
	err_is(moheap_flush(heap), 0);
	for (i = 0; i < 300; i++) {
		err_is(moheap_decref(heap, ref), 0);
		err_is(moheap_decref(heap, others[i % 20]), 0);
		err_is(moheap_incref(heap, others[i % 20]), 0);
		err_is(moheap_incref(heap, ref), 0);
		if (i % 50 == 49)
			err_is(moheap_flush(heap), 0);
	}
	is(tap_objects(heap), 21);
	is(moheap_refcount(heap, ref), 1);
	err_is(moheap_decref(heap, ref), 0);
	err_is(moheap_flush(heap), 0);
	/* The place in the queue where the drop was is taken by something else now. */
	err_is(moheap_decref(heap, others[0]), 0);
	err_is(moheap_incref(heap, ref), -ESTALE);
	for (i = 1; i < 20; i++)
		moheap_decref(heap, others[i]);
	is(tap_objects(heap), 0);
}

static void sizes_are_told(void)
{
	struct moheap *heap = tap_heap();
	int small = tap_type(heap, "two", 0, 2), type = sized_type(heap, "t");
	moheap_ref_t node = tap_new(heap, small), array;
	long long size = moheap_getsizeof(heap, node);

	tap_note("a node with two references: %lld bytes", size);
	ok(size >= 8 + 8 && size <= 48);
	err_is(moheap_new_sized(heap, type, 0, 1000000, &array), 0);
	size = moheap_getsizeof(heap, array);
	tap_note("an array of a million: %lld bytes", size);
	ok(size >= 4000000 && size <= 4100000);
	moheap_decref(heap, node);
	moheap_decref(heap, array);
}

/* ---- Stock ---- */

static void stock_adapts_and_goes_back(void)
{
	struct moheap *heap = tap_heap();
	int fd = raw_join(moheap_fd(heap), O_RDWR), type = tap_type(heap, "t", 8, 1), i;
	__u64 before, most = 0;
	moheap_ref_t refs[5000];

	for (i = 0; i < 5000; i++) {
		refs[i] = tap_new(heap, type);
		before = raw_objects(fd) - (i + 1);
		most = before > most ? before : most;
	}
	tap_note("up to %llu objects in stock", most);
	ok(most >= 64 && most <= 512);
	err_is(moheap_trim(heap), 0);
	is(raw_objects(fd), 5000);
	refs[0] = (moheap_decref(heap, refs[0]), tap_new(heap, type));
	ok(raw_objects(fd) > 5000);
	/* Idle hints alone, after a while. */
	for (i = 0; i < 100; i++)
		err_is(moheap_flush(heap), 0);
	is(raw_objects(fd), 5000);
	for (i = 0; i < 5000; i++)
		moheap_decref(heap, refs[i]);
	is(tap_objects(heap), 0);
}

static void take_and_be_killed(void *arg)
{
	struct moheap *heap = arg, *own;
	int type;

	err_is(moheap_join(moheap_fd(heap), 0, &own), 0);
	type = must(moheap_type_find(own, "t"));
	tap_new(own, type);
	raise(SIGKILL);
}

static void stock_dies_with_its_client(void)
{
	struct moheap *heap = tap_heap();
	pid_t child;

	tap_type(heap, "t", 8, 1);
	child = tap_fork(take_and_be_killed, heap);
	is(waitpid(child, NULL, 0), child);
	tap_wait_objects(heap, 0);
}

static const struct tap_case cases[] = {
	{ "fresh payload is zero", fresh_payload_is_zero },
	{ "sizes of their own", sizes_of_their_own },
	{ "sizes a type fixes are fixed", fixed_sizes_are_fixed },
	{ "new_many", new_many },
	{ "counts are local", counts_are_local },
	{ "stale refs are refused", stale_refs_are_refused },
	{ "invented refs are refused", invented_refs_are_refused },
	{ "a queued drop is recalled", a_queued_drop_is_recalled },
	{ "sizes are told", sizes_are_told },
	{ "stock adapts, and goes back", stock_adapts_and_goes_back },
	{ "stock dies with its client", stock_dies_with_its_client },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
