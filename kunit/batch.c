// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_batch: every operation, every errno of it, and how batches begin, stop and go on.
 */
#include <linux/sched/signal.h>

#include "fixture.h"

/* ---- Every errno ---- */

/* Stands for a ref in the table below: which one is known only when the case runs. */
#define REF(operand)	(0xabcdULL << 48 | (operand))

enum ku_operand {
	O_NODE,		/* has two slots: O_NEXT, and nothing */
	O_NEXT,		/* another node, held */
	O_LEAF,		/* has no slots */
	O_LARGE,	/* a block of many granules */
	O_FOREIGN,	/* held by another client */
	O_STALE,	/* was freed */
	O_REBORN,	/* the name that its block will have next */
	O_EVEN,		/* no object is named by an even generation */
	O_OUTSIDE,	/* past the arena */
	O_UNMAPPED,	/* a granule where there is no pool */
	O_BETWEEN,	/* a granule where no block begins */
	O_LATER,	/* what O_LEAF could be renewed to */
	O_LATER_EVEN,	/* and, but for ... */
	O_LATER_NEW,
	O_LAST,
	O_LATER_NODE,	/* what others could */
	O_LATER_NEXT,
	O_LATER_FOREIGN,
	O_LATER_STALE,
	O_LATER_UNMAPPED,
	O_OPERANDS
};

/* What the type ids in the table stand for; others are taken as they are. */
#define T_MIN	1000	/* at least 100 bytes and 3 slots */
#define T_LEAF	1001
#define T_VAR	1002

struct ku_row {
	const char *what;
	int err;
	struct moheap_op op;
};

#define ROW(what, err, ...)	{ what, err, { __VA_ARGS__ } }

#define OP(name)	.code = MOHEAP_OP_##name

static const struct ku_row ku_rows[] = {
	ROW("code 0", -EINVAL, .code = 0),
	ROW("code 17", -EINVAL, .code = 17, .ref = REF(O_NODE)),
	ROW("code 255", -EINVAL, .code = 255, .ref = REF(O_NODE)),

	ROW("alloc: flags", -EINVAL, OP(ALLOC), .flags = 1, .index = T_LEAF, .a = 1),
	ROW("alloc: none", -EINVAL, OP(ALLOC), .index = T_LEAF),
	ROW("alloc: two without an array", -EINVAL, OP(ALLOC), .index = T_LEAF, .a = 2),
	ROW("alloc: too many", -E2BIG, OP(ALLOC), .index = T_LEAF, .ref = 8,
	    .a = MOHEAP_ALLOC_MAX + 1),
	ROW("alloc: no such type", -ENOENT, OP(ALLOC), .index = 999, .a = 1),
	ROW("alloc: last type", -ENOENT, OP(ALLOC), .index = U32_MAX, .a = 1),
	ROW("alloc: fixed payload", -EINVAL, OP(ALLOC), .index = T_LEAF, .a = 1, .b = 16),
	ROW("alloc: fixed slots", -EINVAL, OP(ALLOC), .index = T_LEAF, .a = 1, .b = 1ULL << 32),
	ROW("alloc: less payload than the least", -EINVAL, OP(ALLOC), .index = T_MIN, .a = 1,
	    .b = 3ULL << 32 | 99),
	ROW("alloc: fewer slots than the least", -EINVAL, OP(ALLOC), .index = T_MIN, .a = 1,
	    .b = 2ULL << 32 | 100),
	ROW("alloc: too much payload", -E2BIG, OP(ALLOC), .index = T_VAR, .a = 1,
	    .b = MOHEAP_PAYLOAD_MAX + 1ULL),
	ROW("alloc: too many slots", -E2BIG, OP(ALLOC), .index = T_VAR, .a = 1,
	    .b = (MOHEAP_SLOTS_MAX + 1ULL) << 32),

	ROW("hold: flags", -EINVAL, OP(HOLD), .flags = 1, .ref = REF(O_NODE)),
	ROW("hold: index", -EINVAL, OP(HOLD), .index = 1, .ref = REF(O_NODE)),
	ROW("hold: a", -EINVAL, OP(HOLD), .ref = REF(O_NODE), .a = 1),
	ROW("hold: b", -EINVAL, OP(HOLD), .ref = REF(O_NODE), .b = 1),

	ROW("drop: flags", -EINVAL, OP(DROP), .flags = 1, .ref = REF(O_NODE)),
	ROW("drop: index", -EINVAL, OP(DROP), .index = 1, .ref = REF(O_NODE)),
	ROW("drop: a", -EINVAL, OP(DROP), .ref = REF(O_NODE), .a = 1),
	ROW("drop: b", -EINVAL, OP(DROP), .ref = REF(O_NODE), .b = 1),
	ROW("drop: not held", -ENOENT, OP(DROP), .ref = REF(O_FOREIGN)),

	ROW("store: flags", -EINVAL, OP(STORE), .flags = 1, .ref = REF(O_NODE)),
	ROW("store: b", -EINVAL, OP(STORE), .ref = REF(O_NODE), .b = 1),

	ROW("load: flags", -EINVAL, OP(LOAD), .flags = 2, .ref = REF(O_NODE)),
	ROW("load: a", -EINVAL, OP(LOAD), .ref = REF(O_NODE), .a = 1),
	ROW("load: b", -EINVAL, OP(LOAD), .ref = REF(O_NODE), .b = 1),

	ROW("exchange: flags", -EINVAL, OP(EXCHANGE), .flags = 2, .ref = REF(O_NODE)),
	ROW("exchange: b", -EINVAL, OP(EXCHANGE), .ref = REF(O_NODE), .b = 1),

	ROW("cmpxchg: flags", -EINVAL, OP(CMPXCHG), .flags = 1, .ref = REF(O_NODE)),
	ROW("cmpxchg: something else", -EAGAIN, OP(CMPXCHG), .ref = REF(O_NODE),
	    .a = REF(O_LEAF)),
	ROW("cmpxchg: something", -EAGAIN, OP(CMPXCHG), .ref = REF(O_NODE), .b = REF(O_LEAF)),
	ROW("cmpxchg: nothing", -EAGAIN, OP(CMPXCHG), .ref = REF(O_NODE), .index = 1,
	    .a = REF(O_LEAF), .b = REF(O_NEXT)),

	ROW("fill: flags", -EINVAL, OP(FILL), .flags = 1, .ref = REF(O_NODE), .b = 1),
	ROW("fill: none", -EINVAL, OP(FILL), .ref = REF(O_NODE)),
	ROW("fill: one too many", -ERANGE, OP(FILL), .ref = REF(O_NODE), .index = 1, .b = 2),
	ROW("fill: all too many", -ERANGE, OP(FILL), .ref = REF(O_NODE), .b = U64_MAX),
	ROW("fill: 2^32", -ERANGE, OP(FILL), .ref = REF(O_NODE), .b = 1ULL << 32),

	ROW("copy: flags", -EINVAL, OP(COPY), .flags = 1, .ref = REF(O_NODE),
	    .a = REF(O_NEXT), .b = 1ULL << 32),
	ROW("copy: none", -EINVAL, OP(COPY), .ref = REF(O_NODE), .a = REF(O_NEXT)),
	ROW("copy: one too many", -ERANGE, OP(COPY), .ref = REF(O_NODE), .index = 1,
	    .a = REF(O_NEXT), .b = 2ULL << 32),
	ROW("copy: from one too many", -ERANGE, OP(COPY), .ref = REF(O_NODE),
	    .a = REF(O_NEXT), .b = 2ULL << 32 | 1),
	ROW("copy: all too many", -ERANGE, OP(COPY), .ref = REF(O_NODE), .a = REF(O_NEXT),
	    .b = ~0ULL),
	ROW("copy: from nothing", -EINVAL, OP(COPY), .ref = REF(O_NODE), .b = 1ULL << 32),

	ROW("read: flags", -EINVAL, OP(READ), .flags = 1, .ref = REF(O_NODE), .a = 8, .b = 1),
	ROW("read: none", -EINVAL, OP(READ), .ref = REF(O_NODE), .a = 8),
	ROW("read: one too many", -ERANGE, OP(READ), .ref = REF(O_NODE), .index = 1, .a = 8,
	    .b = 2),
	ROW("read: all too many", -ERANGE, OP(READ), .ref = REF(O_NODE), .a = 8, .b = U64_MAX),

	ROW("renew: flags", -EINVAL, OP(RENEW), .flags = 1, .ref = REF(O_LEAF),
	    .a = REF(O_LATER)),
	ROW("renew: index", -EINVAL, OP(RENEW), .index = 1, .ref = REF(O_LEAF),
	    .a = REF(O_LATER)),
	ROW("renew: b", -EINVAL, OP(RENEW), .ref = REF(O_LEAF), .a = REF(O_LATER), .b = 1),
	ROW("renew: to nothing", -EINVAL, OP(RENEW), .ref = REF(O_LEAF)),
	ROW("renew: to itself", -EINVAL, OP(RENEW), .ref = REF(O_LEAF), .a = REF(O_LEAF)),
	ROW("renew: to another", -EINVAL, OP(RENEW), .ref = REF(O_LARGE), .a = REF(O_LATER)),
	ROW("renew: to even", -EINVAL, OP(RENEW), .ref = REF(O_LEAF), .a = REF(O_LATER_EVEN)),
	ROW("renew: to new", -EINVAL, OP(RENEW), .ref = REF(O_LEAF), .a = REF(O_LATER_NEW)),
	ROW("renew: to the end", -EINVAL, OP(RENEW), .ref = REF(O_LEAF), .a = REF(O_LAST)),
	ROW("renew: not held", -ENOENT, OP(RENEW), .ref = REF(O_FOREIGN),
	    .a = REF(O_LATER_FOREIGN)),
	ROW("renew: referred to", -EBUSY, OP(RENEW), .ref = REF(O_NEXT),
	    .a = REF(O_LATER_NEXT)),
	ROW("renew: refers to something", -EBUSY, OP(RENEW), .ref = REF(O_NODE),
	    .a = REF(O_LATER_NODE)),
	ROW("renew: nothing", -EINVAL, OP(RENEW), .a = REF(O_LATER)),
	ROW("renew: stale", -ESTALE, OP(RENEW), .ref = REF(O_STALE), .a = REF(O_LATER_STALE)),
	ROW("renew: unmapped", -ESTALE, OP(RENEW), .ref = REF(O_UNMAPPED),
	    .a = REF(O_LATER_UNMAPPED)),

	ROW("drop: to itself", -EINVAL, OP(DROP), .ref = REF(O_LEAF), .a = REF(O_LEAF)),
	ROW("drop: to another", -EINVAL, OP(DROP), .ref = REF(O_LARGE), .a = REF(O_LATER)),
	ROW("drop: later, and b", -EINVAL, OP(DROP), .ref = REF(O_LEAF), .a = REF(O_LATER),
	    .b = 1),
	ROW("drop: later, not held", -ENOENT, OP(DROP), .ref = REF(O_FOREIGN),
	    .a = REF(O_LATER_FOREIGN)),
	ROW("drop: later, referred to", -EBUSY, OP(DROP), .ref = REF(O_NEXT),
	    .a = REF(O_LATER_NEXT)),
	ROW("drop: later, stale", -ESTALE, OP(DROP), .ref = REF(O_STALE),
	    .a = REF(O_LATER_STALE)),

	ROW("watch: flags", -EINVAL, OP(WATCH), .flags = 1, .ref = REF(O_NODE)),
	ROW("watch: index", -EINVAL, OP(WATCH), .index = 1, .ref = REF(O_NODE)),
	ROW("watch: b", -EINVAL, OP(WATCH), .ref = REF(O_NODE), .b = 1),
	ROW("watch: nothing", -EINVAL, OP(WATCH)),
	ROW("watch: even", -EINVAL, OP(WATCH), .ref = REF(O_EVEN)),
	ROW("watch: outside", -EINVAL, OP(WATCH), .ref = REF(O_OUTSIDE)),
	ROW("watch: stale", -ESTALE, OP(WATCH), .ref = REF(O_STALE)),
	ROW("watch: unmapped", -ESTALE, OP(WATCH), .ref = REF(O_UNMAPPED)),
	ROW("unwatch: flags", -EINVAL, OP(UNWATCH), .flags = 1, .b = 1),
	ROW("unwatch: index", -EINVAL, OP(UNWATCH), .index = 1, .b = 1),
	ROW("unwatch: ref", -EINVAL, OP(UNWATCH), .ref = REF(O_NODE), .b = 1),
	ROW("unwatch: a", -EINVAL, OP(UNWATCH), .a = 1, .b = 1),
	ROW("unwatch: no watch", -ENOENT, OP(UNWATCH), .b = 1),

	ROW("immortal: flags", -EINVAL, OP(IMMORTAL), .flags = 1, .ref = REF(O_NODE)),
	ROW("immortal: index", -EINVAL, OP(IMMORTAL), .index = 1, .ref = REF(O_NODE)),
	ROW("immortal: a", -EINVAL, OP(IMMORTAL), .a = 1, .ref = REF(O_NODE)),
	ROW("immortal: b", -EINVAL, OP(IMMORTAL), .b = 1, .ref = REF(O_NODE)),
	ROW("immortal: nothing", -EINVAL, OP(IMMORTAL)),
	ROW("immortal: stale", -ESTALE, OP(IMMORTAL), .ref = REF(O_STALE)),
	ROW("discard: flags", -EINVAL, OP(DISCARD), .flags = 1, .ref = REF(O_NODE)),
	ROW("discard: index", -EINVAL, OP(DISCARD), .index = 1, .ref = REF(O_NODE)),
	ROW("discard: a", -EINVAL, OP(DISCARD), .a = 1, .ref = REF(O_NODE)),
	ROW("discard: b", -EINVAL, OP(DISCARD), .b = 1, .ref = REF(O_NODE)),
	ROW("discard: nothing", -EINVAL, OP(DISCARD)),
	ROW("discard: stale", -ESTALE, OP(DISCARD), .ref = REF(O_STALE)),
	ROW("discard: not saved", -ENOENT, OP(DISCARD), .ref = REF(O_NODE)),
};

/* What every operation must say to a ref, or a slot, that is not what it should be. */
struct ku_variant {
	const char *what;
	int err;
	u64 ref;
	u32 index;
};

static const struct ku_variant ku_bad_refs[] = {
	{ "even", -EINVAL, REF(O_EVEN) },
	{ "outside", -EINVAL, REF(O_OUTSIDE) },
	{ "unmapped", -ESTALE, REF(O_UNMAPPED) },
	{ "between blocks", -ESTALE, REF(O_BETWEEN) },
	{ "stale", -ESTALE, REF(O_STALE) },
	{ "reborn", -ESTALE, REF(O_REBORN) },
};

static const struct ku_variant ku_bad_slots[] = {
	{ "slot 2", -ERANGE, REF(O_NODE), 2 },
	{ "last slot", -ERANGE, REF(O_NODE), U32_MAX },
	{ "slot of a leaf", -ERANGE, REF(O_LEAF), 0 },
};

#define VARY_REF	0x1	/* op.ref is bad, or none */
#define VARY_A		0x2	/* op.a is bad */
#define VARY_B		0x4	/* op.b is bad */
#define VARY_SLOT	0x8	/* op.ref has no slot op.index */

/* Operations that would succeed, and what of them to vary. */
static const struct {
	const char *what;
	u32 vary;
	struct moheap_op op;
} ku_families[] = {
	{ "hold", VARY_REF, { OP(HOLD) } },
	{ "drop", VARY_REF, { OP(DROP) } },
	{ "store", VARY_REF | VARY_A | VARY_SLOT,
	  { OP(STORE), .ref = REF(O_NODE), .a = REF(O_NEXT) } },
	{ "load", VARY_REF | VARY_SLOT, { OP(LOAD), .ref = REF(O_NODE) } },
	{ "load and hold", VARY_REF | VARY_SLOT,
	  { OP(LOAD), .flags = MOHEAP_OP_F_HOLD, .ref = REF(O_NODE) } },
	{ "exchange", VARY_REF | VARY_A | VARY_SLOT,
	  { OP(EXCHANGE), .ref = REF(O_NODE), .a = REF(O_NEXT) } },
	{ "cmpxchg", VARY_REF | VARY_A | VARY_B | VARY_SLOT,
	  { OP(CMPXCHG), .ref = REF(O_NODE), .a = REF(O_NEXT) } },
	{ "fill", VARY_REF | VARY_A | VARY_SLOT,
	  { OP(FILL), .ref = REF(O_NODE), .a = REF(O_NEXT), .b = 2 } },
	{ "copy", VARY_REF | VARY_A | VARY_SLOT,
	  { OP(COPY), .ref = REF(O_NODE), .a = REF(O_NEXT), .b = 1ULL << 32 } },
	{ "read", VARY_REF | VARY_SLOT, { OP(READ), .ref = REF(O_NODE), .a = 8, .b = 1 } },
};

struct ku_operands {
	u64 refs[O_OPERANDS];
	u32 counts[O_OPERANDS];
};

static void ku_operands(struct ku *ku, struct ku_operands *o)
{
	struct mh_client *other = ku_join(ku);
	u64 stale, big = ku_new_var(ku, 1, 1000);
	u32 i;

	o->refs[O_NODE] = ku_new(ku, KU_NODE);
	o->refs[O_NEXT] = ku_new(ku, KU_NODE);
	o->refs[O_LEAF] = ku_new(ku, KU_LEAF);
	o->refs[O_LARGE] = big;
	o->refs[O_FOREIGN] = ku_new_by(ku, other, KU_NODE);
	ku_link(ku, o->refs[O_NODE], 0, o->refs[O_NEXT]);
	for (i = 0; i <= O_FOREIGN; i++)
		o->counts[i] = ku_count(ku, o->refs[i]);
	stale = ku_new(ku, KU_NODE);
	ku_release(ku, stale);
	o->refs[O_STALE] = stale;
	o->refs[O_REBORN] = ku_later(stale);
	o->refs[O_EVEN] = o->refs[O_NODE] + (1ULL << 32);
	o->refs[O_OUTSIDE] = 1ULL << 32 | U32_MAX;
	o->refs[O_UNMAPPED] = 1ULL << 32 | 1;
	o->refs[O_BETWEEN] = big + 1;
	o->refs[O_LATER] = ku_later(o->refs[O_LEAF]);
	o->refs[O_LATER_EVEN] = o->refs[O_LATER] + (1ULL << 32);
	o->refs[O_LATER_NEW] = o->refs[O_LATER] ^ MOHEAP_REF_REUSED;
	o->refs[O_LAST] = mh_word((MH_GEN_LAST + 2) | MH_GEN_REUSED, o->refs[O_LEAF]);
	o->refs[O_LATER_NODE] = ku_later(o->refs[O_NODE]);
	o->refs[O_LATER_NEXT] = ku_later(o->refs[O_NEXT]);
	o->refs[O_LATER_FOREIGN] = ku_later(o->refs[O_FOREIGN]);
	o->refs[O_LATER_STALE] = ku_later(o->refs[O_REBORN]);
	o->refs[O_LATER_UNMAPPED] = ku_later(o->refs[O_UNMAPPED]);
}

static u64 ku_resolve(const struct ku_operands *o, u64 member)
{
	return member >> 48 == 0xabcd ? o->refs[member & 0xff] : member;
}

static u32 ku_resolve_type(struct ku *ku, int min, u32 index)
{
	switch (index) {
	case T_MIN:
		return min;
	case T_LEAF:
		return ku->type[KU_LEAF];
	case T_VAR:
		return ku->type[KU_VAR];
	default:
		return index;
	}
}

/* Nothing in the heap may differ after an operation that failed. */
static void ku_expect_unchanged(struct ku *ku, const struct ku_operands *o, u64 objects,
				const char *what)
{
	struct kunit *test = ku->test;
	u64 target;
	u32 i;

	KUNIT_EXPECT_EQ_MSG(test, ku_objects(ku), objects, "%s", what);
	for (i = 0; i <= O_FOREIGN; i++)
		KUNIT_EXPECT_EQ_MSG(test, ku_count(ku, o->refs[i]), o->counts[i],
				    "%s: operand %u", what, i);
	KU_OK(test, ku_load(ku->client, o->refs[O_NODE], 0, &target));
	KUNIT_EXPECT_EQ_MSG(test, target, o->refs[O_NEXT], "%s", what);
	KU_OK(test, ku_load(ku->client, o->refs[O_NODE], 1, &target));
	KUNIT_EXPECT_EQ_MSG(test, target, 0, "%s", what);
	KUNIT_EXPECT_EQ_MSG(test, ku_stat(ku).candidates, 0, "%s", what);
}

/**
 * struct ku_errnos - what the cases below work with
 * @ku: the case
 * @o: operands
 * @min: type id for T_MIN
 * @objects: alive all the time
 * @n: operations tried
 */
struct ku_errnos {
	struct ku *ku;
	struct ku_operands o;
	int min;
	u64 objects;
	u32 n;
};

static struct ku_errnos *ku_errnos(struct kunit *test)
{
	struct ku_errnos *e = kunit_kzalloc(test, sizeof(*e), GFP_KERNEL);
	struct ku *ku = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, e);
	e->ku = ku;
	e->min = ku_register(ku->client, "min",
			     MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS, 3, 100);
	ku_operands(ku, &e->o);
	e->objects = ku_objects(ku);
	return e;
}

static void ku_expect_errno(struct ku_errnos *e, struct moheap_op op, int err, const char *what,
			    const char *which)
{
	op.ref = ku_resolve(&e->o, op.ref);
	op.a = ku_resolve(&e->o, op.a);
	op.b = ku_resolve(&e->o, op.b);
	op.index = ku_resolve_type(e->ku, e->min, op.index);
	KUNIT_EXPECT_EQ_MSG(e->ku->test, ku_op(e->ku->client, &op), err, "%s: %s", what, which);
	ku_expect_unchanged(e->ku, &e->o, e->objects, what);
	e->n++;
}

static void every_errno(struct kunit *test)
{
	struct ku_errnos *e = ku_errnos(test);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(ku_rows); i++)
		ku_expect_errno(e, ku_rows[i].op, ku_rows[i].err, ku_rows[i].what, "");
	kunit_info(test, "%u operations", e->n);
}

static void ku_vary_ref(struct ku_errnos *e, u32 family)
{
	struct moheap_op op = ku_families[family].op;
	u32 i, vary = ku_families[family].vary;

	for (i = 0; i < ARRAY_SIZE(ku_bad_refs); i++) {
		const struct ku_variant *bad = &ku_bad_refs[i];

		op = ku_families[family].op;
		op.ref = bad->ref;
		ku_expect_errno(e, op, bad->err, ku_families[family].what, bad->what);
		op = ku_families[family].op;
		op.a = bad->ref;
		if (vary & VARY_A)
			ku_expect_errno(e, op, bad->err, ku_families[family].what, bad->what);
		op = ku_families[family].op;
		op.b = bad->ref;
		if (vary & VARY_B)
			ku_expect_errno(e, op, bad->err, ku_families[family].what, bad->what);
	}
	op = ku_families[family].op;
	op.ref = 0;
	ku_expect_errno(e, op, -EINVAL, ku_families[family].what, "no ref");
}

static void ku_vary_slot(struct ku_errnos *e, u32 family)
{
	struct moheap_op op = ku_families[family].op;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(ku_bad_slots); i++) {
		op.ref = ku_bad_slots[i].ref;
		op.index = ku_bad_slots[i].index;
		ku_expect_errno(e, op, ku_bad_slots[i].err, ku_families[family].what,
				ku_bad_slots[i].what);
	}
}

static void every_bad_ref_and_slot(struct kunit *test)
{
	struct ku_errnos *e = ku_errnos(test);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(ku_families); i++) {
		ku_vary_ref(e, i);
		if (ku_families[i].vary & VARY_SLOT)
			ku_vary_slot(e, i);
	}
	kunit_info(test, "%u operations", e->n);
}

/* Out members say how much was done: nothing, where an operation failed at once. */
static void failed_at_once_did_nothing(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_NODE), out[2];
	struct moheap_op ops[] = {
		{ OP(ALLOC), .index = 999, .ref = (uintptr_t)out, .a = 2 },
		{ OP(FILL), .ref = ref, .index = 2, .b = 2 },
		{ OP(COPY), .ref = ref, .a = ref, .index = 2, .b = 2ULL << 32 },
		{ OP(READ), .ref = ref, .index = 2, .a = (uintptr_t)out, .b = 2 },
	};
	u32 done;

	KU_OK(test, moheap_submit(ku->client, ops, 4, MOHEAP_BATCH_CONTINUE, &done));
	KUNIT_EXPECT_EQ(test, done, 4);
	KUNIT_EXPECT_EQ(test, ops[0].error, -ENOENT);
	KUNIT_EXPECT_EQ(test, ops[0].a, 0);
	KUNIT_EXPECT_EQ(test, ops[1].b, 0);
	KUNIT_EXPECT_EQ(test, ops[2].b, 0);
	KUNIT_EXPECT_EQ(test, ops[3].b, 0);
}

static void readonly_changes_nothing(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *reader = ku_join_readonly(ku);
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_NODE), ref = 0;

	KU_OK(test, ku_hold(reader, a));
	KUNIT_EXPECT_EQ(test, ku_alloc(reader, ku->type[KU_LEAF], 0, &ref, 1), -EACCES);
	KUNIT_EXPECT_EQ(test, ku_store(reader, a, 0, b), -EACCES);
	KUNIT_EXPECT_EQ(test, ku_exchange(reader, a, 0, &b), -EACCES);
	KUNIT_EXPECT_EQ(test, ku_exchange_hold(reader, a, 0, &b), -EACCES);
	KUNIT_EXPECT_EQ(test, ku_cmpxchg(reader, a, 0, &ref, b), -EACCES);
	KUNIT_EXPECT_EQ(test, ku_fill(reader, a, 0, b, 2), -EACCES);
	KUNIT_EXPECT_EQ(test, ku_copy(reader, a, 0, b, 0, 2), -EACCES);
	KUNIT_EXPECT_EQ(test, ku_renew(reader, a, ku_later(a)), -EACCES);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 1);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 2);
}

/* At the maximum nothing can refer to an object, and nothing is half done. */
static void overflow_refused(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_NODE), old = 0, out[2];

	ku_link(ku, a, 0, b);
	ku_add_count(ku, b, MOHEAP_COUNT_MAX - 2);
	KUNIT_EXPECT_EQ(test, ku_hold(other, b), -EOVERFLOW);
	KUNIT_EXPECT_EQ(test, ku_store(ku->client, a, 1, b), -EOVERFLOW);
	old = b;
	KUNIT_EXPECT_EQ(test, ku_exchange(ku->client, a, 1, &old), -EOVERFLOW);
	old = 0;
	KUNIT_EXPECT_EQ(test, ku_cmpxchg(ku->client, a, 1, &old, b), -EOVERFLOW);
	KUNIT_EXPECT_EQ(test, ku_fill(ku->client, a, 1, b, 1), -EOVERFLOW);
	KUNIT_EXPECT_EQ(test, ku_copy(ku->client, a, 1, a, 0, 1), -EOVERFLOW);
	KUNIT_EXPECT_EQ(test, ku_load(ku->client, a, 0, &old), -EOVERFLOW);
	KUNIT_EXPECT_EQ(test, ku_load_hold(other, a, 0, &old), -EOVERFLOW);
	KUNIT_EXPECT_EQ(test, ku_read(ku->client, a, 0, out, 2), -EOVERFLOW);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), MOHEAP_COUNT_MAX);
	/* One of two would fit. */
	ku_add_count(ku, b, -1);
	KUNIT_EXPECT_EQ(test, ku_fill(ku->client, a, 0, b, 2), -EOVERFLOW);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), MOHEAP_COUNT_MAX - 1);
	/* A slot lets go of it all the same. */
	ku_link(ku, a, 0, 0);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), MOHEAP_COUNT_MAX - 2);
	ku_add_count(ku, b, 3 - (s64)MOHEAP_COUNT_MAX);
}

/* ---- What operations do ---- */

static void alloc_makes_them(struct kunit *test)
{
	struct ku *ku = test->priv;
	static const u32 ns[] = { 1, 2, 31, 32, 33, 64, 1000, 5000 };
	struct moheap_op op = { OP(ALLOC), .index = ku->type[KU_NODE], .a = 1 };
	u64 *refs, total = 1;
	u32 i, j;

	KU_OK(test, ku_op(ku->client, &op));
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, op.ref));
	KUNIT_EXPECT_EQ(test, op.a, 1);
	for (i = 0; i < ARRAY_SIZE(ns); i++) {
		refs = ku_refs(ku, ns[i] + 1);
		op = (struct moheap_op){
			OP(ALLOC), .index = ku->type[i % 2 ? KU_NODE : KU_WIDE],
			.ref = (uintptr_t)refs, .a = ns[i],
		};
		KU_OK(test, ku_op(ku->client, &op));
		KUNIT_EXPECT_EQ(test, op.a, ns[i]);
		for (j = 0; j < ns[i]; j++)
			KUNIT_ASSERT_EQ(test, ku_count(ku, refs[j]), 1);
		KUNIT_EXPECT_EQ(test, refs[ns[i]], 0);
		total += ns[i];
	}
	KUNIT_EXPECT_EQ(test, ku_objects(ku), total);
	KUNIT_EXPECT_EQ(test, ku_held(ku->client), total);
}

static void store_and_load(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_NODE), target;

	ku_link(ku, a, 1, b);
	KU_OK(test, ku_load(ku->client, a, 1, &target));
	KUNIT_EXPECT_EQ(test, target, b);
	KU_OK(test, ku_load(ku->client, a, 0, &target));
	KUNIT_EXPECT_EQ(test, target, 0);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 2);
	/* The same again, itself, and nothing. */
	ku_link(ku, a, 1, b);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 2);
	ku_link(ku, a, 1, a);
	KUNIT_EXPECT_EQ(test, ku_count(ku, a), 2);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 1);
	ku_link(ku, a, 1, 0);
	KUNIT_EXPECT_EQ(test, ku_count(ku, a), 1);
}

static void load_and_hold(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_LEAF), target;

	ku_link(ku, a, 0, b);
	KU_OK(test, ku_load_hold(other, a, 0, &target));
	KUNIT_EXPECT_EQ(test, target, b);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 3);
	KU_OK(test, ku_load_hold(other, a, 0, &target));
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 3);
	KU_OK(test, ku_load_hold(other, a, 1, &target));
	KUNIT_EXPECT_EQ(test, target, 0);
	ku_link(ku, a, 0, 0);
	ku_release(ku, b);
	KUNIT_EXPECT_TRUE(test, ku_alive(ku, b));
	KU_OK(test, ku_drop(other, b));
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, b));
}

static void exchange_gives_what_was(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_LEAF), c = ku_new(ku, KU_LEAF);
	u64 old = b;

	KU_OK(test, ku_exchange(ku->client, a, 0, &old));
	KUNIT_EXPECT_EQ(test, old, 0);
	ku_release(ku, b);
	old = c;
	KU_OK(test, ku_exchange_hold(other, a, 0, &old));
	KUNIT_EXPECT_EQ(test, old, b);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 1);
	KUNIT_EXPECT_EQ(test, ku_count(ku, c), 2);
	KU_OK(test, ku_drop(other, b));
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, b));
	/* Without a hold, what was there last goes at once. */
	ku_release(ku, c);
	old = 0;
	KU_OK(test, ku_exchange(ku->client, a, 0, &old));
	KUNIT_EXPECT_EQ(test, old, c);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, c));
}

static void exchange_with_itself(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_LEAF), old = b;

	ku_link(ku, a, 0, b);
	KU_OK(test, ku_exchange_hold(ku->client, a, 0, &old));
	KUNIT_EXPECT_EQ(test, old, b);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 2);
	old = a;
	KU_OK(test, ku_exchange(ku->client, a, 1, &old));
	KU_OK(test, ku_exchange(ku->client, a, 1, &a));
	KUNIT_EXPECT_EQ(test, ku_count(ku, a), 2);
}

static void cmpxchg_compares(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_LEAF), c = ku_new(ku, KU_LEAF), old;

	old = 0;
	KU_OK(test, ku_cmpxchg(ku->client, a, 0, &old, b));
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 2);
	old = 0;
	KUNIT_EXPECT_EQ(test, ku_cmpxchg(ku->client, a, 0, &old, c), -EAGAIN);
	KUNIT_EXPECT_EQ(test, old, b);
	old = c;
	KUNIT_EXPECT_EQ(test, ku_cmpxchg(ku->client, a, 0, &old, c), -EAGAIN);
	KUNIT_EXPECT_EQ(test, old, b);
	KU_OK(test, ku_cmpxchg(ku->client, a, 0, &old, c));
	KUNIT_EXPECT_EQ(test, old, b);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 1);
	KUNIT_EXPECT_EQ(test, ku_count(ku, c), 2);
	old = c;
	KU_OK(test, ku_cmpxchg(ku->client, a, 0, &old, 0));
	KUNIT_EXPECT_EQ(test, ku_count(ku, c), 1);
	old = b;
	KUNIT_EXPECT_EQ(test, ku_cmpxchg(ku->client, a, 0, &old, c), -EAGAIN);
	KUNIT_EXPECT_EQ(test, old, 0);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 1);
	KUNIT_EXPECT_EQ(test, ku_count(ku, c), 1);
}

static void fill_and_read(struct kunit *test)
{
	struct ku *ku = test->priv;
	static const u32 sizes[] = { 1, 5, 64, 65, 127, 128, 129, 1000 };
	u64 leaf = ku_new(ku, KU_LEAF), array;
	u64 *refs = ku_refs(ku, 1001);
	u32 i, j, n;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		n = sizes[i];
		array = ku_new_var(ku, n, 0);
		KU_OK(test, ku_fill(ku->client, array, 0, leaf, n));
		KUNIT_EXPECT_EQ(test, ku_count(ku, leaf), 1 + n);
		refs[n] = 1;
		KU_OK(test, ku_read(ku->client, array, 0, refs, n));
		for (j = 0; j < n; j++)
			KUNIT_ASSERT_EQ(test, refs[j], leaf);
		KUNIT_EXPECT_EQ(test, refs[n], 1);
		KU_OK(test, ku_fill(ku->client, array, n / 2, 0, n - n / 2));
		KUNIT_EXPECT_EQ(test, ku_count(ku, leaf), 1 + n / 2);
		KU_OK(test, ku_read(ku->client, array, n / 2, refs, 1));
		KUNIT_EXPECT_EQ(test, refs[0], 0);
		ku_release(ku, array);
		ku_reap_all(ku);
		KUNIT_EXPECT_EQ(test, ku_count(ku, leaf), 1);
	}
}

static void renew_is_drop_and_alloc(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_later(a), c = ku_later(ku_later(b));
	u64 wide = ku_new(ku, KU_WIDE), target;
	struct moheap_stat before = ku_stat(ku);

	KU_OK(test, ku_renew(ku->client, a, b));
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, a));
	KUNIT_EXPECT_EQ(test, ku_hold(ku->client, a), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_count(ku, b), 1);
	KU_OK(test, ku_load(ku->client, b, 0, &target));
	KUNIT_EXPECT_EQ(test, target, 0);
	KU_OK(test, ku_renew(ku->client, b, c));
	KUNIT_EXPECT_EQ(test, ku_renew(ku->client, b, ku_later(c)), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).objects, before.objects);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).allocated, before.allocated + 2);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).freed_count, before.freed_count + 2);
	/* Another client's hold is a reference too. */
	KU_OK(test, ku_hold(ku_join(ku), c));
	KUNIT_EXPECT_EQ(test, ku_renew(ku->client, c, ku_later(c)), -EBUSY);
	ku_link(ku, wide, KU_WIDE_SLOTS - 1, c);
	KUNIT_EXPECT_EQ(test, ku_renew(ku->client, wide, ku_later(wide)), -EBUSY);
	KUNIT_EXPECT_EQ(test, ku_count(ku, wide), 1);
	KUNIT_EXPECT_EQ(test, ku_count(ku, c), 3);
}

static void drop_is_renew_and_drop(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_later(ku_later(a)), next;
	struct moheap_stat before = ku_stat(ku);

	KU_OK(test, ku_drop_as(ku->client, a, b));
	ku_reap_all(ku);
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, a));
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, b));
	KUNIT_EXPECT_EQ(test, ku_drop(ku->client, b), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).objects, before.objects - 1);
	KUNIT_EXPECT_EQ(test, ku_stat(ku).freed_count, before.freed_count + 2);
	/* What comes into the block next goes on from there. */
	next = ku_new(ku, KU_NODE);
	KUNIT_ASSERT_EQ(test, (u32)next, (u32)a);
	KUNIT_EXPECT_EQ(test, next, ku_later(b));
	/* Not so while something else refers to it: all stays as it was. */
	KU_OK(test, ku_hold(ku_join(ku), next));
	KUNIT_EXPECT_EQ(test, ku_drop_as(ku->client, next, ku_later(next)), -EBUSY);
	KUNIT_EXPECT_EQ(test, ku_count(ku, next), 2);
	KU_OK(test, ku_drop(ku->client, next));
}

/* ---- Copies: as memmove ---- */

#define KU_COPY	7

static void ku_expect_slots(struct ku *ku, u64 ref, const u64 *model, u32 n)
{
	u64 *refs = kunit_kcalloc(ku->test, n, sizeof(*refs), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(ku->test, refs);
	KU_OK(ku->test, ku_read(ku->client, ref, 0, refs, n));
	KUNIT_ASSERT_MEMEQ(ku->test, refs, model, n * sizeof(*refs));
	kunit_kfree(ku->test, refs);
}

static void ku_set_slots(struct ku *ku, u64 ref, const u64 *model, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		ku_link(ku, ref, i, model[i]);
}

static void copy_every_range(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 array = ku_new_var(ku, KU_COPY, 0), other = ku_new_var(ku, KU_COPY, 0);
	u64 *leaves = ku_new_many(ku, KU_LEAF, KU_COPY);
	u64 model[KU_COPY];
	u32 to, from, n;

	leaves[3] = 0;
	for (to = 0; to < KU_COPY; to++) {
		for (from = 0; from < KU_COPY; from++) {
			for (n = 1; max(to, from) + n <= KU_COPY; n++) {
				ku_set_slots(ku, array, leaves, KU_COPY);
				memcpy(model, leaves, sizeof(model));
				memmove(model + to, model + from, n * sizeof(u64));
				KU_OK(test, ku_copy(ku->client, array, to, array, from, n));
				ku_expect_slots(ku, array, model, KU_COPY);
			}
		}
	}
	ku_set_slots(ku, array, leaves, KU_COPY);
	KU_OK(test, ku_copy(ku->client, other, 2, array, 1, 4));
	memset(model, 0, sizeof(model));
	memcpy(model + 2, leaves + 1, 4 * sizeof(u64));
	ku_expect_slots(ku, other, model, KU_COPY);
	ku_expect_slots(ku, array, leaves, KU_COPY);
}

/* Past one slice, in both directions. */
static void copy_long_ranges(struct kunit *test)
{
	struct ku *ku = test->priv;
	static const s32 shifts[] = { 1, -1, 100, -100, 128, -128, 129, -129, 500, -500 };
	u32 n = 1000, i, to, from, len;
	u64 array = ku_new_var(ku, n, 0);
	u64 *leaves = ku_new_many(ku, KU_LEAF, n), *model = ku_refs(ku, n);

	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		ku_set_slots(ku, array, leaves, n);
		to = max(shifts[i], 0);
		from = max(-shifts[i], 0);
		len = n - max(to, from);
		memcpy(model, leaves, n * sizeof(*model));
		memmove(model + to, model + from, len * sizeof(*model));
		KU_OK(test, ku_copy(ku->client, array, to, array, from, len));
		ku_expect_slots(ku, array, model, n);
	}
	ku_release(ku, array);
	ku_reap_all(ku);
	for (i = 0; i < n; i++)
		KUNIT_ASSERT_EQ(test, ku_count(ku, leaves[i]), 1);
}

/* ---- Batches ---- */

static void batch_refused(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_op op = { OP(HOLD), .ref = ku_new(ku, KU_LEAF) };
	u32 done = 0;

	KUNIT_EXPECT_EQ(test, moheap_submit(ku->client, &op, 0, 0, &done), -EINVAL);
	KUNIT_EXPECT_EQ(test, moheap_submit(ku->client, &op, 1, 2, &done), -EINVAL);
	KUNIT_EXPECT_EQ(test, done, 0);
}

/* At every place of batches that fill chunks of the copy, and more. */
static void batch_stops_where_it_fails(struct kunit *test)
{
	struct ku *ku = test->priv;
	static const u32 sizes[] = { 1, 2, 15, 16, 17, 32, 33 };
	struct moheap_op ops[33];
	u32 s, i, n, bad, done;
	u64 objects = 0;
	int err;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		n = sizes[s];
		for (bad = 0; bad <= n; bad++) {
			for (i = 0; i < n; i++)
				ops[i] = (struct moheap_op){
					OP(ALLOC), .index = ku->type[KU_LEAF], .a = i != bad,
				};
			err = moheap_submit(ku->client, ops, n, 0, &done);
			KUNIT_ASSERT_EQ(test, err, bad < n ? -ECANCELED : 0);
			KUNIT_ASSERT_EQ(test, done, bad);
			if (bad < n)
				KUNIT_ASSERT_EQ(test, ops[bad].error, -EINVAL);
			for (i = 0; i < n; i++)
				KUNIT_ASSERT_EQ(test, ops[i].ref != 0, i < bad);
			objects += bad;
			KUNIT_ASSERT_EQ(test, ku_objects(ku), objects);
		}
	}
}

static void batch_goes_on_if_told(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_op ops[40];
	u32 i, done, made = 0;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		ops[i] = (struct moheap_op){
			OP(ALLOC), .index = ku->type[KU_LEAF], .a = i % 3 != 0,
		};
	KU_OK(test, moheap_submit(ku->client, ops, ARRAY_SIZE(ops), MOHEAP_BATCH_CONTINUE,
				  &done));
	KUNIT_EXPECT_EQ(test, done, ARRAY_SIZE(ops));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		KUNIT_EXPECT_EQ(test, ops[i].error, i % 3 ? 0 : -EINVAL);
		made += !!ops[i].ref;
	}
	KUNIT_EXPECT_EQ(test, ku_objects(ku), made);
}

/* Operations see what those before them did. */
static void batch_is_ordered(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_new(ku, KU_NODE), out[2] = { };
	struct moheap_op ops[] = {
		{ OP(STORE), .ref = a, .a = b },
		{ OP(DROP), .ref = b },
		{ OP(LOAD), .ref = a },
		{ OP(COPY), .ref = a, .index = 1, .a = a, .b = 1ULL << 32 },
		{ OP(READ), .ref = a, .a = (uintptr_t)out, .b = 2 },
		{ OP(FILL), .ref = a, .b = 2 },
		{ OP(HOLD), .ref = b },
	};
	u32 done;

	KUNIT_EXPECT_EQ(test, moheap_submit(ku->client, ops, ARRAY_SIZE(ops), 0, &done),
			-ECANCELED);
	KUNIT_EXPECT_EQ(test, done, 6);
	KUNIT_EXPECT_EQ(test, ops[6].error, -ESTALE);
	KUNIT_EXPECT_EQ(test, ops[2].a, b);
	KUNIT_EXPECT_EQ(test, out[0], b);
	KUNIT_EXPECT_EQ(test, out[1], b);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 1);
}

/* ---- Signals ---- */

struct ku_signal {
	struct ku *ku;
	struct moheap_op *ops;
	u32 n;
	u32 done;
	int err;
};

/* A kernel thread that lets a signal through is interrupted as a process would be. */
static void ku_submit_signalled(void *data)
{
	struct ku_signal *s = data;

	allow_signal(SIGUSR1);
	send_sig(SIGUSR1, current, 0);
	s->err = moheap_submit(s->ku->client, s->ops, s->n, 0, &s->done);
	flush_signals(current);
}

static void ku_signalled(struct ku *ku, struct ku_signal *s, struct moheap_op *ops, u32 n)
{
	*s = (struct ku_signal){ .ku = ku, .ops = ops, .n = n };
	ku_await(ku_start(ku, -1, ku_submit_signalled, s));
}

static void signal_ends_a_batch(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_op *ops;
	struct ku_signal s;
	u32 n = 200, i;

	ops = kunit_kcalloc(test, n, sizeof(*ops), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ops);
	for (i = 0; i < n; i++)
		ops[i] = (struct moheap_op){ OP(ALLOC), .index = ku->type[KU_LEAF], .a = 1 };
	ku_signalled(ku, &s, ops, n);
	KUNIT_EXPECT_EQ(test, s.err, -EINTR);
	KUNIT_EXPECT_GT(test, s.done, 0);
	KUNIT_EXPECT_LT(test, s.done, n);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), s.done);
	/* The rest can be handed in again. */
	i = s.done;
	KU_OK(test, moheap_submit(ku->client, ops + i, n - i, 0, &s.done));
	KUNIT_EXPECT_EQ(test, s.done, n - i);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), n);
}

/* Long operations say how far they came, and what they did stands. */
static void signal_ends_a_long_operation(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 2000;
	u64 array = ku_new_var(ku, n, 0), twin = ku_new_var(ku, n, 0);
	u64 leaf = ku_new(ku, KU_LEAF), *refs = ku_refs(ku, n);
	struct moheap_op op;
	struct ku_signal s;

	op = (struct moheap_op){ OP(FILL), .ref = array, .a = leaf, .b = n };
	ku_signalled(ku, &s, &op, 1);
	KUNIT_EXPECT_EQ(test, s.err, -EINTR);
	KUNIT_EXPECT_EQ(test, s.done, 0);
	KUNIT_EXPECT_EQ(test, op.error, -EINTR);
	KUNIT_EXPECT_GT(test, op.b, 0);
	KUNIT_EXPECT_LT(test, op.b, n);
	KUNIT_EXPECT_EQ(test, ku_count(ku, leaf), 1 + op.b);

	KU_OK(test, ku_fill(ku->client, array, 0, leaf, n));
	op = (struct moheap_op){ OP(COPY), .ref = twin, .a = array, .b = (u64)n << 32 };
	ku_signalled(ku, &s, &op, 1);
	KUNIT_EXPECT_EQ(test, op.error, -EINTR);
	KUNIT_EXPECT_GT(test, op.b, 0);
	KUNIT_EXPECT_LT(test, op.b, n);
	KUNIT_EXPECT_EQ(test, ku_count(ku, leaf), 1 + n + op.b);

	op = (struct moheap_op){ OP(READ), .ref = array, .a = (uintptr_t)refs, .b = n };
	ku_signalled(ku, &s, &op, 1);
	KUNIT_EXPECT_EQ(test, op.error, -EINTR);
	KUNIT_EXPECT_EQ(test, refs[op.b - 1], leaf);
	KUNIT_EXPECT_EQ(test, refs[op.b], 0);
}

static void signal_ends_an_allocation(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 2000;
	u64 *refs = ku_refs(ku, n);
	struct moheap_op op = {
		OP(ALLOC), .index = ku->type[KU_NODE], .ref = (uintptr_t)refs, .a = n,
	};
	struct ku_signal s;
	u64 i;

	ku_signalled(ku, &s, &op, 1);
	KUNIT_EXPECT_EQ(test, op.error, -EINTR);
	KUNIT_EXPECT_LT(test, op.a, n);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), op.a);
	for (i = 0; i < op.a; i++)
		KUNIT_EXPECT_TRUE(test, ku_alive(ku, refs[i]));
	KUNIT_EXPECT_EQ(test, refs[op.a], 0);
}

static struct kunit_case ku_batch_cases[] = {
	KUNIT_CASE(every_errno),
	KUNIT_CASE(every_bad_ref_and_slot),
	KUNIT_CASE(failed_at_once_did_nothing),
	KUNIT_CASE(readonly_changes_nothing),
	KUNIT_CASE(overflow_refused),
	KUNIT_CASE(alloc_makes_them),
	KUNIT_CASE(store_and_load),
	KUNIT_CASE(load_and_hold),
	KUNIT_CASE(exchange_gives_what_was),
	KUNIT_CASE(exchange_with_itself),
	KUNIT_CASE(cmpxchg_compares),
	KUNIT_CASE(fill_and_read),
	KUNIT_CASE(renew_is_drop_and_alloc),
	KUNIT_CASE(drop_is_renew_and_drop),
	KUNIT_CASE(copy_every_range),
	KUNIT_CASE(copy_long_ranges),
	KUNIT_CASE(batch_refused),
	KUNIT_CASE(batch_stops_where_it_fails),
	KUNIT_CASE(batch_goes_on_if_told),
	KUNIT_CASE(batch_is_ordered),
	KUNIT_CASE(signal_ends_a_batch),
	KUNIT_CASE(signal_ends_a_long_operation),
	KUNIT_CASE(signal_ends_an_allocation),
	{}
};

struct kunit_suite ku_batch_suite = {
	.name = "moheap_batch",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_batch_cases,
};
