// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Slots and their mirrors, what keeps an object alive, and what frees it.
 */
#include "raw.h"

/* Four slots, all mirrored, the last two out of order; behind them room for other things. */
static const struct moheap_field quad_fields[] = {
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 2, .offset = 8, .slot = 0 },
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 1, .offset = 32, .slot = 2 },
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 1, .offset = 24, .slot = 3 },
};

static const unsigned int quad_offset[] = { 8, 16, 32, 24 };

static const struct moheap_layout quad = {
	.size = sizeof(quad),
	.name = "quad",
	.payload = 48,
	.slots = 4,
	.nfields = 3,
	.fields = quad_fields,
};

/* Any number of slots, mirrored from 16 on as far as the payload reaches. */
static const struct moheap_field open_fields[] = {
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 0, .offset = 16, .slot = 0 },
};

static const struct moheap_layout open_layout = {
	.size = sizeof(open_layout),
	.name = "open",
	.flags = MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS,
	.payload = 16,
	.nfields = 1,
	.fields = open_fields,
};

static int quad_type(struct moheap *heap)
{
	return must(moheap_type_register(heap, &quad));
}

/* What a mirror says, and where it leads to. */
static void mirror_is(struct moheap *heap, moheap_ref_t owner, unsigned int offset,
		      moheap_ref_t want)
{
	const moheap_ref_t *mirror;

	mirror = (const moheap_ref_t *)((char *)moheap_ptr(heap, owner) + offset);
	ok(moheap_get(heap, owner, offset) == want);
	ok(moheap_follow(heap, mirror) == (want ? moheap_ptr(heap, want) : NULL));
}

/* The slots of a quad, and their mirrors. */
static void slots_are(struct moheap *heap, moheap_ref_t owner, moheap_ref_t a, moheap_ref_t b,
		      moheap_ref_t c, moheap_ref_t d)
{
	const moheap_ref_t want[] = { a, b, c, d };
	moheap_ref_t got[4];
	int i;

	err_is(moheap_read(heap, owner, 0, 4, got), 0);
	for (i = 0; i < 4; i++) {
		ok(got[i] == want[i]);
		mirror_is(heap, owner, quad_offset[i], want[i]);
	}
}

static void drop_all(struct moheap *heap, const moheap_ref_t *refs, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		err_is(moheap_decref(heap, refs[i]), 0);
}

/* ---- Operations ---- */

static void store_load_peek(void)
{
	struct moheap *heap = tap_heap();
	int type = quad_type(heap);
	moheap_ref_t a = tap_new(heap, type), b = tap_new(heap, type), got;

	slots_are(heap, a, 0, 0, 0, 0);
	err_is(moheap_store(heap, a, 0, b), 0);
	err_is(moheap_store(heap, a, 3, a), 0);
	slots_are(heap, a, b, 0, 0, a);
	is(moheap_refcount(heap, b), 2);
	err_is(moheap_load(heap, a, 0, &got), 0);
	ok(got == b);
	is(moheap_refcount(heap, b), 3);
	moheap_decref(heap, b);
	moheap_decref(heap, b);
	is(moheap_refcount(heap, b), 1);
	err_is(moheap_load(heap, a, 0, &got), 0);
	is(moheap_refcount(heap, b), 2);
	moheap_decref(heap, got);
	err_is(moheap_peek(heap, a, 0, &got), 0);
	ok(got == b);
	is(moheap_refcount(heap, b), 1);
	err_is(moheap_load(heap, a, 1, &got), 0);
	ok(!got);
	err_is(moheap_load(heap, a, 4, &got), -ERANGE);
	err_is(moheap_peek(heap, a, ~0U, &got), -ERANGE);
	err_is(moheap_store(heap, a, 0, 0), 0);
	err_is(moheap_peek(heap, b, 0, &got), -ESTALE);
	err_is(moheap_store(heap, a, 3, 0), 0);
	moheap_decref(heap, a);
	is(tap_objects(heap), 0);
}

static void exchange(void)
{
	struct moheap *heap = tap_heap();
	int type = quad_type(heap);
	moheap_ref_t a = tap_new(heap, type), b = tap_new(heap, type), c = tap_new(heap, type), old;

	err_is(moheap_exchange(heap, a, 1, b, &old), 0);
	ok(!old);
	moheap_decref(heap, b);
	err_is(moheap_exchange(heap, a, 1, c, &old), 0);
	ok(old == b);
	slots_are(heap, a, 0, c, 0, 0);
	is(moheap_refcount(heap, b), 1);
	is(moheap_refcount(heap, c), 2);
	err_is(moheap_exchange(heap, a, 9, c, &old), -ERANGE);
	err_is(moheap_exchange(heap, a, 1, 0, &old), 0);
	ok(old == c);
	is(moheap_refcount(heap, c), 2);
	slots_are(heap, a, 0, 0, 0, 0);
	moheap_decref(heap, c);
	moheap_decref(heap, c);
	moheap_decref(heap, b);
	moheap_decref(heap, a);
	is(tap_objects(heap), 0);
}

static void compare_exchange(void)
{
	struct moheap *heap = tap_heap();
	int type = quad_type(heap);
	moheap_ref_t a = tap_new(heap, type), b = tap_new(heap, type), c = tap_new(heap, type);
	moheap_ref_t expected = 0;

	err_is(moheap_compare_exchange(heap, a, 2, &expected, b), 0);
	slots_are(heap, a, 0, 0, b, 0);
	expected = 0;
	err_is(moheap_compare_exchange(heap, a, 2, &expected, c), -EAGAIN);
	ok(expected == b);
	slots_are(heap, a, 0, 0, b, 0);
	err_is(moheap_compare_exchange(heap, a, 2, &expected, c), 0);
	slots_are(heap, a, 0, 0, c, 0);
	is(moheap_refcount(heap, b), 1);
	is(moheap_refcount(heap, c), 2);
	expected = c;
	err_is(moheap_compare_exchange(heap, a, 2, &expected, 0), 0);
	expected = b;
	err_is(moheap_compare_exchange(heap, a, 2, &expected, c), -EAGAIN);
	ok(!expected);
	err_is(moheap_compare_exchange(heap, a, 4, &expected, c), -ERANGE);
	moheap_decref(heap, b);
	expected = b;
	err_is(moheap_compare_exchange(heap, a, 2, &expected, c), -ESTALE);
	moheap_decref(heap, c);
	moheap_decref(heap, a);
	is(tap_objects(heap), 0);
}

static void fill_copy_read(void)
{
	struct moheap *heap = tap_heap();
	int type = quad_type(heap);
	moheap_ref_t r[4], got[4];
	int i;

	for (i = 0; i < 4; i++)
		r[i] = tap_new(heap, type);
	err_is(moheap_fill(heap, r[0], 1, 3, r[1]), 0);
	slots_are(heap, r[0], 0, r[1], r[1], r[1]);
	is(moheap_refcount(heap, r[1]), 4);
	err_is(moheap_fill(heap, r[0], 2, 3, r[2]), -ERANGE);
	slots_are(heap, r[0], 0, r[1], r[1], r[1]);
	err_is(moheap_fill(heap, r[0], 0, 0, r[2]), 0);
	err_is(moheap_store(heap, r[0], 0, r[2]), 0);
	err_is(moheap_store(heap, r[0], 3, r[3]), 0);
	/* Overlapping, either way. */
	err_is(moheap_copy(heap, r[0], 1, r[0], 0, 3), 0);
	slots_are(heap, r[0], r[2], r[2], r[1], r[1]);
	err_is(moheap_store(heap, r[0], 3, r[3]), 0);
	err_is(moheap_copy(heap, r[0], 0, r[0], 1, 3), 0);
	slots_are(heap, r[0], r[2], r[1], r[3], r[3]);
	err_is(moheap_copy(heap, r[1], 1, r[0], 0, 3), 0);
	slots_are(heap, r[1], 0, r[2], r[1], r[3]);
	err_is(moheap_copy(heap, r[1], 2, r[0], 0, 3), -ERANGE);
	err_is(moheap_copy(heap, r[1], 0, r[0], 2, 3), -ERANGE);
	slots_are(heap, r[1], 0, r[2], r[1], r[3]);
	err_is(moheap_copy(heap, r[1], 0, r[0], 0, 0), 0);
	err_is(moheap_read(heap, r[0], 0, 5, got), -ERANGE);
	err_is(moheap_read(heap, r[0], 7, 0, got), 0);
	is(moheap_refcount(heap, r[2]), 1 + 2);
	err_is(moheap_fill(heap, r[0], 0, 4, 0), 0);
	err_is(moheap_fill(heap, r[1], 0, 4, 0), 0);
	slots_are(heap, r[1], 0, 0, 0, 0);
	drop_all(heap, r, 4);
	is(tap_objects(heap), 0);
}

static void big_arrays(void)
{
	struct moheap *heap = tap_heap();
	size_t n = 5 * tap_scaled(40000) + 3, i;
	moheap_ref_t *refs = calloc(n, sizeof(*refs)), a, b, x, y;
	int type, small = tap_type(heap, "small", 8, 0);

	type = must(moheap_type_register(heap, &open_layout));
	err_is(moheap_new_sized(heap, type, 16, n, &a), 0);
	err_is(moheap_new_sized(heap, type, 16, n, &b), 0);
	x = tap_new(heap, small);
	y = tap_new(heap, small);
	err_is(moheap_fill(heap, a, 0, n, x), 0);
	is(moheap_refcount(heap, x), n + 1);
	err_is(moheap_store(heap, a, n / 2, y), 0);
	err_is(moheap_copy(heap, b, 1, a, 0, n - 1), 0);
	err_is(moheap_read(heap, b, 0, n, refs), 0);
	for (i = 0; i < n; i++)
		ok(refs[i] == (i == 0 ? 0 : i == n / 2 + 1 ? y : x));
	err_is(moheap_copy(heap, b, 0, b, 1, n - 1), 0);
	err_is(moheap_copy(heap, b, 1000, b, 0, n - 1000), 0);
	err_is(moheap_read(heap, b, 0, n, refs), 0);
	for (i = 0; i < n; i++)
		ok(refs[i] == (i == n / 2 + 1000 ? y : x));
	moheap_decref(heap, b);
	/* Its slots are cleared bit by bit; a collection returns when that is done. */
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 3);
	is(moheap_refcount(heap, x), n);
	is(moheap_refcount(heap, y), 2);
	moheap_decref(heap, a);
	moheap_decref(heap, x);
	moheap_decref(heap, y);
	tap_wait_objects(heap, 0);
}

/* ---- Mirrors ---- */

static void mirrors_of_any_length(void)
{
	struct moheap *heap = tap_heap();
	int type = must(moheap_type_register(heap, &open_layout)), other;
	moheap_ref_t a, b, target;
	unsigned int i;
	const moheap_ref_t *payload;

	other = tap_type(heap, "other", 8, 0);
	target = tap_new(heap, other);
	/* Payload for ten mirrors, twenty slots. */
	err_is(moheap_new_sized(heap, type, 16 + 10 * 8, 20, &a), 0);
	err_is(moheap_new_sized(heap, type, 16 + 10 * 8, 20, &b), 0);
	memset(moheap_ptr(heap, b), 0x77, 16 + 10 * 8);
	for (i = 0; i < 20; i++)
		err_is(moheap_store(heap, a, i, target), 0);
	err_is(moheap_store(heap, a, 20, target), 0);
	err_is(moheap_flush(heap), -ERANGE);
	payload = moheap_ptr(heap, a);
	ok(!payload[0] && !payload[1]);
	for (i = 0; i < 10; i++)
		ok(payload[2 + i] == target);
	payload = moheap_ptr(heap, b);
	for (i = 0; i < 12; i++)
		ok(payload[i] == 0x7777777777777777ULL);
	is(moheap_refcount(heap, target), 21);
	err_is(moheap_fill(heap, a, 0, 20, 0), 0);
	payload = moheap_ptr(heap, a);
	for (i = 0; i < 10; i++)
		ok(!payload[2 + i]);
	moheap_decref(heap, a);
	moheap_decref(heap, b);
	moheap_decref(heap, target);
	is(tap_objects(heap), 0);
}

/* Both have one slot. The first has its mirror at 0, the second has something else there. */
static const struct moheap_field mirrored_fields[] = {
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 1, .offset = 0, .slot = 0 },
};

static const struct moheap_layout mirrored = {
	.size = sizeof(mirrored),
	.name = "mirrored",
	.payload = 2048,
	.slots = 1,
	.nfields = 1,
	.fields = mirrored_fields,
};

enum { BLOCKS = 220 };

/* Make objects, store to them through @user, and see what becomes of their payload. */
static void blocks_use(struct moheap *maker, struct moheap *user, int type, moheap_ref_t *refs,
		       bool has_mirror)
{
	const __u64 pattern = 0x3333333333333333ULL;
	int i;

	err_is(moheap_new_many(maker, type, BLOCKS, refs), 0);
	for (i = 0; i < BLOCKS; i++) {
		memset(moheap_ptr(maker, refs[i]), 0x33, 2048);
		if (maker != user)
			err_is(moheap_incref(user, refs[i]), 0);
		err_is(moheap_store(user, refs[i], 0, refs[0]), 0);
	}
	err_is(moheap_flush(user), 0);
	for (i = 0; i < BLOCKS; i++) {
		ok(*(__u64 *)moheap_ptr(maker, refs[i]) == (has_mirror ? refs[0] : pattern));
		err_is(moheap_store(user, refs[i], 0, 0), 0);
	}
	drop_all(user, refs, BLOCKS);
	err_is(moheap_trim(user), 0);
	if (maker != user)
		drop_all(maker, refs, BLOCKS);
	err_is(moheap_trim(maker), 0);
}

static bool on_pages_of(const moheap_ref_t *refs, const unsigned char *pages)
{
	int i;

	for (i = 0; i < BLOCKS; i++)
		if (pages[(__u32)refs[i] >> 8])
			return true;
	return false;
}

/*
 * Pages change hands: first they have objects with a mirror, which this client makes itself;
 * then objects without, made by somebody else. Going by what was true of a page would write
 * mirrors over payload; and the other way round would miss them.
 */
static void mirrors_follow_the_type(void)
{
	struct moheap *heap = tap_heap_limited(1 << 20), *other;
	static moheap_ref_t refs[BLOCKS];
	int type = must(moheap_type_register(heap, &mirrored)), plain, i, met[2] = { 0 }, kind;
	unsigned char *pages[2];

	plain = tap_type(heap, "plain", 2048, 1);
	for (i = 0; i < 2; i++)
		pages[i] = calloc(1, moheap_arena_size(heap) >> 12);
	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	tap_heap_adopted(other);
	for (i = 0; i < 100 && !(met[0] && met[1]); i++) {
		kind = i % 2;
		blocks_use(kind ? other : heap, heap, kind ? plain : type, refs, !kind);
		met[kind] |= on_pages_of(refs, pages[!kind]);
		for (int j = 0; j < BLOCKS; j++)
			pages[kind][(__u32)refs[j] >> 8] = 1;
		err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	}
	ok(met[0] && met[1]);
	is(tap_objects(heap), 0);
}

/* ---- Order ---- */

/* The store is queued, and so is the drop of what it stores. */
static void store_then_drop(void)
{
	struct moheap *heap = tap_heap();
	int type = quad_type(heap), i;
	moheap_ref_t head = tap_new(heap, type), at = head, next;
	unsigned long n = tap_scaled(20000);

	for (i = 1; i < (int)n; i++) {
		next = tap_new(heap, type);
		err_is(moheap_store(heap, at, 0, next), 0);
		err_is(moheap_decref(heap, next), 0);
		at = next;
	}
	is(tap_objects(heap), n);
	for (at = head, i = 0; at; at = moheap_get(heap, at, quad_offset[0]))
		i++;
	is(i, n);
	/* And down again from the head: take the next, let go of this one. */
	for (at = head; at; at = next) {
		err_is(moheap_exchange(heap, at, 0, 0, &next), 0);
		err_is(moheap_decref(heap, at), 0);
	}
	is(tap_objects(heap), 0);
}

static void random_order(void)
{
	struct moheap *heap = tap_heap();
	int type = quad_type(heap), i, from, to, slot;
	moheap_ref_t r[50], slots[50][4] = { { 0 } }, got;
	unsigned long steps = tap_scaled(20000);

	srand(1);
	for (i = 0; i < 50; i++)
		r[i] = tap_new(heap, type);
	while (steps--) {
		from = rand() % 50;
		to = rand() % 50;
		slot = rand() % 4;
		switch (rand() % 6) {
		case 0:
			err_is(moheap_peek(heap, r[from], slot, &got), 0);
			ok(got == slots[from][slot]);
			break;
		case 1:
			err_is(moheap_exchange(heap, r[from], slot, r[to], &got), 0);
			ok(got == slots[from][slot]);
			moheap_decref(heap, got);
			slots[from][slot] = r[to];
			break;
		default:
			got = rand() % 4 ? r[to] : 0;
			err_is(moheap_store(heap, r[from], slot, got), 0);
			slots[from][slot] = got;
		}
		ok(moheap_get(heap, r[from], quad_offset[slot]) == slots[from][slot]);
	}
	for (i = 0; i < 50; i++) {
		slots_are(heap, r[i], slots[i][0], slots[i][1], slots[i][2], slots[i][3]);
		moheap_decref(heap, r[i]);
	}
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 0);
}

/* ---- Life and death ---- */

static void long_chains_die(void)
{
	struct moheap *heap = tap_heap();
	unsigned long n = tap_scaled(100000), i;
	moheap_ref_t *r = calloc(n, sizeof(*r)), head;
	int type = tap_type(heap, "link", 0, 1);
	double began, dropped;

	err_is(moheap_new_many(heap, type, n, r), 0);
	for (i = 1; i < n; i++) {
		err_is(moheap_store(heap, r[i - 1], 0, r[i]), 0);
		err_is(moheap_decref(heap, r[i]), 0);
	}
	head = r[0];
	is(tap_objects(heap), n);
	began = tap_seconds();
	err_is(moheap_decref(heap, head), 0);
	err_is(moheap_flush(heap), 0);
	dropped = tap_seconds() - began;
	tap_wait_objects(heap, 0);
	tap_note("dropped in %.2f ms, all gone after %.0f ms", dropped * 1e3,
		 (tap_seconds() - began) * 1e3);
	ok(dropped < 0.5);
}

static void cycle(struct moheap *heap, int type, unsigned int n)
{
	moheap_ref_t *r = calloc(n, sizeof(*r));
	unsigned int i;

	err_is(moheap_new_many(heap, type, n, r), 0);
	for (i = 0; i < n; i++)
		err_is(moheap_store(heap, r[i], 0, r[(i + 1) % n]), 0);
	drop_all(heap, r, n);
	free(r);
}

static void cycles_die_by_themselves(void)
{
	static const unsigned int sizes[] = { 1, 2, 3, 100, 1000, 1023, 1024, 1025, 30000 };
	struct moheap *heap = tap_heap();
	struct moheap_stat stat = { .size = sizeof(stat) };
	int type = tap_type(heap, "link", 0, 1);
	moheap_ref_t alive = tap_new(heap, type);
	unsigned int i, total = 0;

	err_is(moheap_store(heap, alive, 0, alive), 0);
	for (i = 0; i < TAP_COUNT(sizes); i++) {
		cycle(heap, type, sizes[i]);
		total += sizes[i];
		tap_wait_objects(heap, 1);
	}
	err_is(moheap_stat(heap, &stat), 0);
	ok(stat.freed_local + stat.freed_trace >= total);
	ok(stat.freed_local && stat.freed_trace);
	is(moheap_refcount(heap, alive), 2);
	moheap_decref(heap, alive);
	tap_wait_objects(heap, 0);
}

static void collect_finds_them_now(void)
{
	struct moheap *heap = tap_heap();
	struct moheap_tune off = { .size = sizeof(off), .set = MOHEAP_TUNE_ENABLED };
	int type = tap_type(heap, "link", 0, 1), i;
	unsigned long long found;

	err_is(moheap_tune(heap, &off), 0);
	for (i = 0; i < 100; i++)
		cycle(heap, type, 3);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_LOCAL_ALL, &found), 0);
	is(found, 300);
	is(tap_objects(heap), 0);
	cycle(heap, type, 5000);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_LOCAL_ALL, &found), 0);
	is(found, 0);
	is(tap_objects(heap), 5000);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, &found), 0);
	is(found, 5000);
	is(tap_objects(heap), 0);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
}

/* Held by another client, or referred to from where one is held: neither is garbage. */
static void what_is_reachable_stays(void)
{
	struct moheap *heap = tap_heap(), *other;
	int type = quad_type(heap), i;
	moheap_ref_t root = tap_new(heap, type), r[1000];

	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	tap_heap_adopted(other);
	err_is(moheap_new_many(heap, type, 1000, r), 0);
	for (i = 0; i < 1000; i++) {
		err_is(moheap_store(heap, r[i], 0, r[(i + 1) % 1000]), 0);
		err_is(moheap_store(heap, r[i], 1, r[(i + 999) % 1000]), 0);
	}
	err_is(moheap_store(heap, root, 0, r[500]), 0);
	drop_all(heap, r, 1000);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 1001);
	err_is(moheap_incref(other, r[7]), 0);
	moheap_decref(heap, root);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 1000);
	moheap_decref(other, r[7]);
	err_is(moheap_flush(other), 0);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 0);
}

/* What a later store makes superfluous may be left out, but not what others rely on. */
static void stores_overtake_stores(void)
{
	struct moheap *heap = tap_heap();
	int type = tap_type(heap, "t", 16, 2);
	moheap_ref_t a = tap_new(heap, type), b = tap_new(heap, type), x, y, got;
	moheap_ref_t expected[2][2];
	unsigned int i;

	for (i = 0; i < 100; i++) {
		/* Alive by the slot alone when it is stored elsewhere. */
		x = tap_new(heap, type);
		err_is(moheap_store(heap, a, 0, x), 0);
		err_is(moheap_decref(heap, x), 0);
		err_is(moheap_store(heap, b, 0, x), 0);
		y = tap_new(heap, type);
		err_is(moheap_store(heap, a, 0, y), 0);
		/* Held all the time, but for a drop that was recalled. */
		err_is(moheap_store(heap, a, 1, y), 0);
		err_is(moheap_decref(heap, y), 0);
		err_is(moheap_incref(heap, y), 0);
		err_is(moheap_store(heap, a, 1, b), 0);
		err_is(moheap_store(heap, a, 1, 0), 0);
		err_is(moheap_store(heap, a, 1, y), 0);
		err_is(moheap_decref(heap, y), 0);
		err_is(moheap_store(heap, a, 0, 0), 0);
		if (i % 2)
			err_is(moheap_flush(heap), 0);
		err_is(moheap_peek(heap, b, 0, &got), 0);
		ok(got == x);
		is(moheap_refcount(heap, x), 1);
		err_is(moheap_peek(heap, a, 1, &got), 0);
		ok(got == y);
		is(moheap_refcount(heap, y), 1);
		is(moheap_refcount(heap, b), 1);
	}
	/* More than the queue has room for, again and again in the same slots. */
	for (i = 0; i < 20000; i++) {
		x = i % 5 ? a : b;
		err_is(moheap_store(heap, i % 3 ? a : b, i % 2, x), 0);
		expected[!(i % 3)][i % 2] = x;
	}
	for (i = 0; i < 4; i++) {
		err_is(moheap_peek(heap, i / 2 ? b : a, i % 2, &got), 0);
		ok(got == expected[i / 2][i % 2]);
	}
	moheap_decref(heap, a);
	moheap_decref(heap, b);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 0);
}

static const struct tap_case cases[] = {
	{ "store, load, peek", store_load_peek },
	{ "exchange", exchange },
	{ "compare_exchange", compare_exchange },
	{ "fill, copy, read", fill_copy_read },
	{ "arrays longer than a slice", big_arrays },
	{ "mirrors as far as the payload reaches", mirrors_of_any_length },
	{ "mirrors follow the type of a page", mirrors_follow_the_type },
	{ "order: store, then drop", store_then_drop },
	{ "order: one's own operations", random_order },
	{ "long chains die, and nobody waits", long_chains_die },
	{ "cycles die by themselves", cycles_die_by_themselves },
	{ "collect finds them now", collect_finds_them_now },
	{ "what is reachable stays", what_is_reachable_stays },
	{ "stores overtake stores", stores_overtake_stores },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
