// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_site: objects keep their sites while they live, and the figures of clients are exact.
 */
#include <linux/sort.h>

#include "fixture.h"

static void ku_expect_traced(struct ku *ku, struct mh_client *client, u64 objects, u64 bytes)
{
	struct moheap_sites sites = ku_traced(ku, client);

	KUNIT_EXPECT_EQ(ku->test, sites.objects, objects);
	KUNIT_EXPECT_EQ(ku->test, sites.bytes, bytes);
	KUNIT_EXPECT_GE(ku->test, sites.peak, bytes);
	KUNIT_EXPECT_EQ(ku->test, sites.client, client->id);
}

static u64 ku_peak(struct ku *ku, struct mh_client *client)
{
	return ku_traced(ku, client).peak;
}

static struct mh_site ku_site_of(struct ku *ku, u64 ref)
{
	struct mh_obj o = ku_find(ku, ref);
	struct mh_site site;

	down_read(&ku->heap->gate);
	site = mh_site_get(ku->heap, &o);
	up_read(&ku->heap->gate);
	return site;
}

static void ku_expect_site(struct ku *ku, u64 ref, u32 id, struct mh_client *client)
{
	struct mh_site site = ku_site_of(ku, ref);

	KUNIT_EXPECT_EQ(ku->test, site.id, id);
	KUNIT_EXPECT_EQ(ku->test, site.client, client ? client->id : 0);
}

static void ku_site_all(struct ku *ku, struct mh_client *client, const u64 *refs, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		ku_site(ku, client, refs[i], i + 1);
}

static void ku_flags(struct ku *ku, struct mh_client *client, u32 flags)
{
	struct moheap_sites sites = { .flags = flags };

	KU_OK(ku->test, mh_sites(client, &sites, false));
}

static int ku_compare(const void *a, const void *b)
{
	const struct moheap_site *x = a, *y = b;

	return x->ref < y->ref ? -1 : x->ref > y->ref;
}

/* List sites, @room at a time. Return how many; @found has them, by ref. */
static u32 ku_list(struct ku *ku, struct mh_client *client, u32 flags, u32 room,
		   struct moheap_site *found, u32 most)
{
	struct moheap_sites in = { .flags = flags };
	u32 n = 0;

	while (in.cursor != MOHEAP_SITES_END) {
		KUNIT_ASSERT_LE(ku->test, n + room, most);
		in.sites = (uintptr_t)(found + n);
		in.count = room;
		KU_OK(ku->test, mh_sites(client, &in, false));
		n += in.count;
	}
	sort(found, n, sizeof(*found), ku_compare, NULL);
	return n;
}

static struct moheap_site *ku_sites(struct ku *ku, u32 n)
{
	/* Four members of eight bytes. */
	return (struct moheap_site *)ku_refs(ku, 4 * n);
}

static void figures(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 a = ku_new(ku, KU_NODE), b = ku_new_var(ku, 10, 1000), bytes_a, bytes_b;

	bytes_a = ku_object_bytes(ku, a);
	bytes_b = ku_object_bytes(ku, b);
	ku_expect_traced(ku, ku->client, 0, 0);
	ku_expect_site(ku, a, 0, NULL);
	ku_site(ku, ku->client, a, 7);
	ku_expect_site(ku, a, 7, ku->client);
	ku_expect_site(ku, b, 0, NULL);
	ku_expect_traced(ku, ku->client, 1, bytes_a);
	ku_site(ku, ku->client, b, U32_MAX);
	ku_expect_traced(ku, ku->client, 2, bytes_a + bytes_b);
	ku_release(ku, b);
	ku_expect_traced(ku, ku->client, 1, bytes_a);
	KUNIT_EXPECT_EQ(test, ku_peak(ku, ku->client), bytes_a + bytes_b);
	ku_flags(ku, ku->client, MOHEAP_SITES_RESET_PEAK);
	KUNIT_EXPECT_EQ(test, ku_peak(ku, ku->client), bytes_a);
	/* The block has another owner, and that was made nowhere. */
	b = ku_new_var(ku, 10, 1000);
	ku_expect_site(ku, b, 0, NULL);
	ku_expect_traced(ku, ku->client, 1, bytes_a);
	ku_site(ku, ku->client, b, 1);
	ku_release(ku, a);
	ku_release(ku, b);
	ku_expect_traced(ku, ku->client, 0, 0);
	KUNIT_EXPECT_EQ(test, ku_peak(ku, ku->client), bytes_a + bytes_b);
}

static void every_shape(struct kunit *test)
{
	static const u32 slots[] = { 0, 1, MH_SLOTS_INLINE, MH_SLOTS_INLINE + 1, 5000 };
	static const u32 payload[] = { 0, 1, 17, 4096, 100000 };
	struct ku *ku = test->priv;
	u64 refs[KU_TYPES + 25], bytes = 0;
	u32 n = 0, i;

	for (i = 0; i < KU_TYPES; i++)
		if (i != KU_VAR)
			refs[n++] = ku_new(ku, i);
	for (i = 0; i < 25; i++)
		refs[n++] = ku_new_var(ku, slots[i / 5], payload[i % 5]);
	for (i = 0; i < n; i++) {
		bytes += ku_object_bytes(ku, refs[i]);
		ku_site(ku, ku->client, refs[i], 1);
		ku_expect_traced(ku, ku->client, i + 1, bytes);
	}
	while (n--) {
		bytes -= ku_object_bytes(ku, refs[n]);
		ku_release(ku, refs[n]);
		ku_reap_all(ku);
		ku_expect_traced(ku, ku->client, n, bytes);
	}
}

static void given_again(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 ref = ku_new(ku, KU_NODE), bytes = ku_object_bytes(ku, ref);

	ku_site(ku, ku->client, ref, 1);
	ku_site(ku, ku->client, ref, 1);
	ku_site(ku, ku->client, ref, 2);
	ku_expect_traced(ku, ku->client, 1, bytes);
	KUNIT_EXPECT_EQ(test, ku_peak(ku, ku->client), bytes);
	/* Somebody else's from now on. */
	ku_site(ku, other, ref, 3);
	ku_expect_site(ku, ref, 3, other);
	ku_expect_traced(ku, ku->client, 0, 0);
	ku_expect_traced(ku, other, 1, bytes);
	/* And nobody's. */
	ku_site(ku, ku->client, ref, 0);
	ku_expect_site(ku, ref, 0, NULL);
	ku_expect_traced(ku, other, 0, 0);
	ku_site(ku, other, ref, 4);
	ku_release(ku, ref);
	ku_expect_traced(ku, other, 0, 0);
}

/* Garbage counts until it is freed. */
static void cycles_by(struct kunit *test, u32 generation)
{
	struct ku *ku = test->priv;
	u64 *dead = ku_ring(ku, 50), *live = ku_ring(ku, 50), bytes = ku_object_bytes(ku, dead[0]);

	ku_site_all(ku, ku->client, dead, 50);
	ku_site_all(ku, ku->client, live, 50);
	ku_drop_all(ku, dead, 50);
	ku_expect_traced(ku, ku->client, 100, 100 * bytes);
	ku_collect(ku, generation);
	ku_expect_traced(ku, ku->client, 50, 50 * bytes);
	ku_expect_site(ku, live[20], 21, ku->client);
}

static void cycles_by_local_pass(struct kunit *test)
{
	cycles_by(test, MOHEAP_COLLECT_LOCAL_ALL);
}

static void cycles_by_trace(struct kunit *test)
{
	cycles_by(test, MOHEAP_COLLECT_FULL);
}

/* What waits for the collector takes memory still. */
static void reaped_later(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = 1000;
	u64 *refs = ku_new_many(ku, KU_NODE, n), bytes = ku_object_bytes(ku, refs[0]);
	struct moheap_site *found = ku_sites(ku, n);

	ku_links(ku, refs, 0, refs + 1, n - 1);
	ku_site_all(ku, ku->client, refs, n);
	ku_drop_all(ku, refs + 1, n - 1);
	ku_release(ku, refs[0]);
	KUNIT_EXPECT_GT(test, ku_traced(ku, ku->client).objects, 0);
	KUNIT_EXPECT_EQ(test, ku_traced(ku, ku->client).objects * bytes,
			ku_traced(ku, ku->client).bytes);
	KUNIT_EXPECT_LT(test, ku_list(ku, ku->client, 0, 100, found, n), n);
	KU_OK(test, moheap_check(ku->client));
	ku_reap_all(ku);
	ku_expect_traced(ku, ku->client, 0, 0);
}

static void renewed(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_NODE), next = (ref + (2ULL << 32)) | MOHEAP_REF_REUSED;

	ku_site(ku, ku->client, ref, 1);
	KU_OK(test, ku_renew(ku->client, ref, next));
	ku_expect_site(ku, next, 0, NULL);
	ku_expect_traced(ku, ku->client, 0, 0);
	ku_site(ku, ku->client, next, 2);
	KUNIT_EXPECT_EQ(test, ku_renew(ku->client, next, ref), -EINVAL);
	ku_expect_site(ku, next, 2, ku->client);
	ku_expect_traced(ku, ku->client, 1, ku_object_bytes(ku, next));
}

static void cleared(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u32 n = 3000;
	u64 *refs = ku_new_many(ku, KU_LEAF, n), bytes = ku_object_bytes(ku, refs[0]);

	ku_site_all(ku, ku->client, refs, n);
	ku_site_all(ku, other, refs, n / 2);
	ku_flags(ku, ku->client, MOHEAP_SITES_CLEAR);
	ku_expect_traced(ku, ku->client, 0, 0);
	KUNIT_EXPECT_EQ(test, ku_peak(ku, ku->client), 0);
	ku_expect_traced(ku, other, n / 2, n / 2 * bytes);
	ku_expect_site(ku, refs[n - 1], 0, NULL);
	ku_expect_site(ku, refs[0], 1, other);
	/* One who never had any. */
	ku_flags(ku, ku_join(ku), MOHEAP_SITES_CLEAR | MOHEAP_SITES_RESET_PEAK);
	ku_site(ku, ku->client, refs[n - 1], 9);
	ku_expect_traced(ku, ku->client, 1, bytes);
}

/* What a client made lives on, held by another, but nobody knows where it was made. */
static void client_goes(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku), *twin;
	struct moheap_site *found = ku_sites(ku, 300);
	u64 *refs = ku_new_many(ku, KU_NODE, 200);

	ku_site_all(ku, other, refs, 150);
	ku_site_all(ku, ku->client, refs, 50);
	/* Of the holds it has a copy; an object has one site. */
	twin = ku_adopt(ku, moheap_clone(other));
	ku_expect_traced(ku, twin, 0, 0);
	KUNIT_EXPECT_EQ(test, ku_list(ku, twin, MOHEAP_SITES_ALL, 100, found, 300), 150);
	ku_close(ku, other);
	KUNIT_EXPECT_EQ(test, ku_list(ku, twin, MOHEAP_SITES_ALL, 100, found, 300), 50);
	KUNIT_EXPECT_EQ(test, found[0].client, ku->client->id);
	ku_expect_site(ku, refs[100], 0, NULL);
	ku_expect_traced(ku, ku->client, 50, 50 * ku_object_bytes(ku, refs[0]));
	/* Not so another's who was traced by somebody who lives. */
	ku_drop_all(ku, refs, 200);
	ku_expect_traced(ku, ku->client, 0, 0);
}

static void lists(struct kunit *test)
{
	static const u32 rooms[] = { 1, 7, 16, 17, 1000 };
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join(ku);
	u64 *refs = ku_new_many(ku, KU_NODE, 2500), *more = ku_new_many(ku, KU_WIDE, 100);
	struct moheap_site *found = ku_sites(ku, 4000);
	u32 i, j, n;

	KUNIT_EXPECT_EQ(test, ku_list(ku, ku->client, 0, 10, found, 4000), 0);
	ku_site_all(ku, ku->client, refs, 2000);
	ku_site_all(ku, other, more, 100);
	ku_drop_all(ku, refs + 500, 500);
	memmove(refs + 500, refs + 1000, 1000 * sizeof(*refs));
	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		n = ku_list(ku, ku->client, 0, rooms[i], found, 4000);
		KUNIT_ASSERT_EQ(test, n, 1500);
		for (j = 0; j < n; j++) {
			KUNIT_ASSERT_EQ(test, found[j].ref, refs[j]);
			KUNIT_ASSERT_EQ(test, found[j].site, j < 500 ? j + 1 : j + 501);
			KUNIT_ASSERT_EQ(test, found[j].client, ku->client->id);
			KUNIT_ASSERT_EQ(test, found[j].type, ku->type[KU_NODE]);
			KUNIT_ASSERT_EQ(test, found[j].bytes, ku_object_bytes(ku, refs[j]));
			KUNIT_ASSERT_EQ(test, found[j].reserved, 0);
		}
	}
	KUNIT_EXPECT_EQ(test, ku_list(ku, other, 0, 100, found, 4000), 100);
	KUNIT_EXPECT_EQ(test, found[0].type, ku->type[KU_WIDE]);
	KUNIT_EXPECT_EQ(test, ku_list(ku, other, MOHEAP_SITES_ALL, 100, found, 4000), 1600);
}

/* As good as gone, so not listed; but it takes memory. */
static void condemned_is_not_listed(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_site *found = ku_sites(ku, 3000);
	u64 *refs = ku_ring(ku, 2000), *live = ku_new_many(ku, KU_LEAF, 5);

	ku_site_all(ku, ku->client, refs, 2000);
	ku_site_all(ku, ku->client, live, 5);
	ku_drop_all(ku, refs, 2000);
	ku_trace_begin(ku);
	ku_trace_until(ku, MH_SWEEPING);
	KUNIT_EXPECT_EQ(test, ku_try_site(ku->client, refs[1000], 1), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_list(ku, ku->client, 0, 100, found, 3000), 5);
	KUNIT_EXPECT_EQ(test, ku_traced(ku, ku->client).objects, 2005);
	while (ku->heap->phase == MH_SWEEPING) {
		KU_OK(test, moheap_check(ku->client));
		ku_trace_step(ku);
	}
	ku_reap_all(ku);
	ku_expect_traced(ku, ku->client, 5, 5 * ku_object_bytes(ku, live[0]));
}

static void bad_input(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *readonly = ku_join_readonly(ku);
	u64 ref = ku_new(ku, KU_LEAF), stale = ku_new(ku, KU_LEAF);
	struct moheap_sites sites = { .cursor = MOHEAP_SITES_END, .count = 1 };
	struct moheap_op op = { .code = MOHEAP_OP_SITE, .ref = ref, .a = 1, .b = 1 };

	ku_release(ku, stale);
	KUNIT_EXPECT_EQ(test, ku_op(ku->client, &op), -EINVAL);
	KUNIT_EXPECT_EQ(test, ku_try_site(ku->client, ref, 1ULL << 32), -EINVAL);
	KUNIT_EXPECT_EQ(test, ku_try_site(ku->client, stale, 1), -ESTALE);
	KUNIT_EXPECT_EQ(test, ku_try_site(ku->client, 0, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, ku_try_site(readonly, ref, 1), -EACCES);
	KUNIT_EXPECT_EQ(test, mh_sites(ku->client, &sites, false), -EINVAL);
	sites.cursor = 0xffffffffULL << 32 | 5;
	KUNIT_EXPECT_EQ(test, mh_sites(ku->client, &sites, false), 0);
	KUNIT_EXPECT_EQ(test, sites.cursor, MOHEAP_SITES_END);
	KUNIT_EXPECT_EQ(test, sites.count, 0);
	/* Nothing was made for nothing. */
	KUNIT_EXPECT_NULL(test, ku_find(ku, ref).pool->sites);
	ku_site(ku, ku->client, ref, 0);
	KUNIT_EXPECT_NULL(test, ku_find(ku, ref).pool->sites);
	ku_expect_traced(ku, ku->client, 0, 0);
}

static void memory_comes_back(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 *refs, bytes = ku_bytes(ku), more;
	u32 n = 5000;

	mh_trim_all(ku->heap);
	refs = ku_new_many(ku, KU_LEAF, n);
	more = ku_bytes(ku);
	ku_site_all(ku, ku->client, refs, n);
	KUNIT_EXPECT_GE(test, ku_bytes(ku), more + n * sizeof(struct mh_site));
	ku_drop_all(ku, refs, n);
	ku_close(ku, ku_join(ku));
	more = ku_bytes(ku) - more;
	mh_trim_all(ku->heap);
	KUNIT_EXPECT_LT(test, ku_bytes(ku), bytes + more);
}

/* A heap at its limit collects for a site, and then says that there is no room. */
static void at_the_limit(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 ref = ku_new(ku, KU_LEAF), limit = ku->heap->limit, *garbage = ku_ring(ku, 2000);

	ku_drop_all(ku, garbage, 2000);
	ku->heap->limit = ku_bytes(ku);
	KU_OK(test, ku_try_site(ku->client, ref, 1));
	KUNIT_EXPECT_FALSE(test, ku_alive(ku, garbage[0]));
	ref = ku_new_var(ku, 1, 1);
	ku->heap->limit = ku_bytes(ku);
	KUNIT_EXPECT_EQ(test, ku_try_site(ku->client, ref, 1), -ENOSPC);
	ku_expect_site(ku, ref, 0, NULL);
	ku->heap->limit = limit;
	KU_OK(test, ku_try_site(ku->client, ref, 1));
}

static void wrong_figures_are_seen(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_traced *traced = &ku->client->traced;
	u64 ref = ku_new(ku, KU_LEAF);
	struct mh_site *site;

	ku_site(ku, ku->client, ref, 1);
	site = &ku_find(ku, ref).pool->sites[ku_find(ku, ref).idx];
	KU_OK(test, moheap_check(ku->client));
	traced->bytes--;
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), -EUCLEAN);
	traced->bytes++;
	traced->objects++;
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), -EUCLEAN);
	traced->objects--;
	traced->peak--;
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), -EUCLEAN);
	traced->peak++;
	site->client += 100;
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), -EUCLEAN);
	site->client -= 100;
	KU_OK(test, moheap_check(ku->client));
	/* Of a free block. */
	ku_release(ku, ref);
	site->id = 1;
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), -EUCLEAN);
	site->id = 0;
	KU_OK(test, moheap_check(ku->client));
}

static struct kunit_case ku_site_cases[] = {
	KUNIT_CASE(figures),
	KUNIT_CASE(every_shape),
	KUNIT_CASE(given_again),
	KUNIT_CASE(cycles_by_local_pass),
	KUNIT_CASE(cycles_by_trace),
	KUNIT_CASE(reaped_later),
	KUNIT_CASE(renewed),
	KUNIT_CASE(cleared),
	KUNIT_CASE(client_goes),
	KUNIT_CASE(lists),
	KUNIT_CASE(condemned_is_not_listed),
	KUNIT_CASE(bad_input),
	KUNIT_CASE(memory_comes_back),
	KUNIT_CASE(at_the_limit),
	KUNIT_CASE(wrong_figures_are_seen),
	{}
};

struct kunit_suite ku_site_suite = {
	.name = "moheap_site",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_site_cases,
};

/* ---- Several clients at once ---- */

#define KU_TRACERS	3

/**
 * struct ku_trace_storm - what a thread does
 * @ku: the case
 * @client: as whom
 * @refs: objects that all threads know, and one replaces
 * @n: how many
 * @seed: of its chance
 * @failed: operations that returned what they must not
 */
struct ku_trace_storm {
	struct ku *ku;
	struct mh_client *client;
	u64 *refs;
	u32 n;
	u32 seed;
	u32 failed;
};

/* Give sites to what others drop, list them, and clear them. */
static void ku_storm_trace(void *data)
{
	struct ku_trace_storm *s = data;
	struct moheap_site found[8];
	struct moheap_sites sites;
	struct rnd_state rnd;
	u32 i;
	int err;

	prandom_seed_state(&rnd, s->seed);
	for (i = 0; i < ku_steps(); i++) {
		err = ku_try_site(s->client, READ_ONCE(s->refs[ku_below(&rnd, s->n)]),
				  ku_below(&rnd, 10));
		s->failed += err && err != -ESTALE;
		if (ku_below(&rnd, 5))
			continue;
		sites = (struct moheap_sites){
			.sites = (uintptr_t)found, .count = ARRAY_SIZE(found),
			.flags = ku_below(&rnd, 8),
		};
		s->failed += !!mh_sites(s->client, &sites, false);
		s->failed += sites.peak < sites.bytes || sites.objects > 1000;
	}
}

static void ku_storm_replace(void *data)
{
	struct ku_trace_storm *s = data;
	struct rnd_state rnd;
	u64 ref;
	u32 i, at;

	prandom_seed_state(&rnd, s->seed);
	for (i = 0; i < ku_steps(); i++) {
		at = ku_below(&rnd, s->n);
		s->failed += !!ku_drop(s->client, s->refs[at]);
		s->failed += !!ku_alloc(s->client, s->ku->type[KU_NODE], 0, &ref, 1);
		if (ku_below(&rnd, 2))
			s->failed += !!ku_store(s->client, ref, 0, ref);
		WRITE_ONCE(s->refs[at], ref);
		if (!ku_below(&rnd, 200))
			s->failed += !!moheap_check(s->client);
	}
}

/* Whatever happens at once, accounts are exact (ku_exit() recounts them). */
static void storm(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_trace_storm storms[KU_TRACERS + 1] = { };
	struct ku_task *tasks[KU_TRACERS + 1];
	u64 *refs = ku_new_many(ku, KU_NODE, 50);
	struct rnd_state rnd;
	u32 i;

	ku_tune(ku, MOHEAP_TUNE_THRESHOLD, 20);
	ku_seed(test, &rnd);
	for (i = 0; i <= KU_TRACERS; i++) {
		storms[i] = (struct ku_trace_storm){
			.ku = ku, .refs = refs, .n = 50, .seed = ku_below(&rnd, U32_MAX),
			/* Two of them share a client. */
			.client = i == KU_TRACERS ? ku->client : i == 1 ? storms[0].client :
								 ku_join(ku),
		};
		tasks[i] = ku_start(ku, i, i == KU_TRACERS ? ku_storm_replace : ku_storm_trace,
				    &storms[i]);
	}
	for (i = 0; i <= KU_TRACERS; i++)
		ku_await(tasks[i]);
	for (i = 0; i <= KU_TRACERS; i++)
		KUNIT_EXPECT_EQ(test, storms[i].failed, 0);
	KU_OK(test, moheap_check(ku->client));
	/* With the objects all accounts are even. */
	ku_drop_all(ku, refs, 50);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	for (i = 0; i < KU_TRACERS; i++)
		ku_expect_traced(ku, storms[i].client, 0, 0);
}

static struct kunit_case ku_site_live_cases[] = {
	KUNIT_CASE(storm),
	{}
};

struct kunit_suite ku_site_live_suite = {
	.name = "moheap_site_live",
	.init = ku_init_live,
	.exit = ku_exit,
	.test_cases = ku_site_live_cases,
};
