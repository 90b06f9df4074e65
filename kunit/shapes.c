// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_shapes: garbage of every shape, freed to zero by a collector that nobody asks, and the
 * longest time that it kept everybody out meanwhile.
 */
#include "fixture.h"

/* A sanitizer kernel has less memory, and less time. */
#define KU_SANITIZED	(IS_ENABLED(CONFIG_KASAN) || IS_ENABLED(CONFIG_KCSAN))
#define KU_LARGE	(KU_SANITIZED ? 10000 : 1000000)

/**
 * struct ku_shape - a graph that one object keeps alive
 * @what: for people
 * @n: how large
 * @build: make it; return its only held object
 */
struct ku_shape {
	const char *what;
	u32 n;
	u64 (*build)(struct ku *ku, u32 n);
};

/* Hold nothing but the first. */
static u64 ku_rooted(struct ku *ku, const u64 *refs, u32 n)
{
	ku_drop_all(ku, refs + 1, n - 1);
	return refs[0];
}

static u64 ku_build_ring(struct ku *ku, u32 n)
{
	return ku_rooted(ku, ku_ring(ku, n), n);
}

/* Everybody knows everybody. */
static u64 ku_build_clique(struct ku *ku, u32 n)
{
	u64 *refs = ku_refs(ku, n);
	u32 i;

	for (i = 0; i < n; i++)
		refs[i] = ku_new_var(ku, n, 16);
	for (i = 0; i < n; i++)
		ku_link(ku, refs[0], i, refs[i]);
	for (i = 1; i < n; i++)
		KU_OK(ku->test, ku_copy(ku->client, refs[i], 0, refs[0], 0, n));
	return ku_rooted(ku, refs, n);
}

static u64 ku_build_doubly_linked(struct ku *ku, u32 n)
{
	u64 *refs = ku_new_many(ku, KU_NODE, n);

	ku_links(ku, refs, 0, refs + 1, n - 1);
	ku_links(ku, refs + 1, 1, refs, n - 1);
	return ku_rooted(ku, refs, n);
}

/* A binary tree; slot 0 refers to the parent, where there is one. */
static u64 *ku_tree(struct ku *ku, u32 n)
{
	u64 *refs = ku_new_many(ku, KU_BARE, n), *parents = ku_refs(ku, n);
	u32 i, half = (n - 1) / 2;

	for (i = 1; i < n; i++)
		parents[i] = refs[(i - 1) / 2];
	ku_links(ku, refs + 1, 0, parents + 1, n - 1);
	/* Left children are the odd ones. */
	for (i = 0; i < half; i++)
		parents[i] = refs[2 * i + 1];
	ku_links(ku, refs, 1, parents, half);
	for (i = 0; i < half; i++)
		parents[i] = refs[2 * i + 2];
	ku_links(ku, refs, 2, parents, half);
	if (n % 2 == 0)
		ku_link(ku, refs[(n - 2) / 2], 1, refs[n - 1]);
	return refs;
}

static u64 ku_build_tree(struct ku *ku, u32 n)
{
	return ku_rooted(ku, ku_tree(ku, n), n);
}

/* Rings of five, each with the next hanging off it. */
static u64 ku_build_rings_off_rings(struct ku *ku, u32 n)
{
	u64 *refs = ku_new_many(ku, KU_NODE, n);
	u32 i;

	ku_links(ku, refs, 0, refs + 1, n - 1);
	for (i = 4; i < n; i += 5)
		ku_link(ku, refs[i], 1, refs[i - 4]);
	return ku_rooted(ku, refs, n);
}

/* One array, and objects that know only themselves. */
static u64 ku_build_self_references(struct ku *ku, u32 n)
{
	u64 array = ku_new_var(ku, n - 1, 0), *refs = ku_new_many(ku, KU_NODE, n - 1);
	u32 i;

	ku_links(ku, refs, 1, refs, n - 1);
	for (i = 0; i < n - 1; i++)
		ku_link(ku, array, i, refs[i]);
	ku_drop_all(ku, refs, n - 1);
	return array;
}

/*
 * As many references as objects, at random: there the first large component appears, and paths
 * are at their longest. A spanning chain of second slots keeps it all in one piece.
 */
static u64 ku_build_percolation(struct ku *ku, u32 n)
{
	u64 *refs = ku_new_many(ku, KU_NODE, n), *targets = ku_refs(ku, n);
	struct rnd_state rnd;
	u32 i;

	ku_seed(ku->test, &rnd);
	for (i = 0; i < n; i++)
		targets[i] = refs[ku_below(&rnd, n)];
	ku_links(ku, refs, 0, targets, n);
	ku_links(ku, refs, 1, refs + 1, n - 1);
	return ku_rooted(ku, refs, n);
}

/* A chain with an array that knows all of it at its end. */
static u64 ku_build_chain_to_array(struct ku *ku, u32 n)
{
	u64 *refs = ku_new_many(ku, KU_NODE, n - 1), array = ku_new_var(ku, n - 1, 0);
	u32 i;

	ku_links(ku, refs, 0, refs + 1, n - 2);
	ku_link(ku, refs[n - 2], 0, array);
	for (i = 0; i < n - 1; i++)
		ku_link(ku, array, i, refs[i]);
	ku_release(ku, array);
	return ku_rooted(ku, refs, n - 1);
}

static const struct ku_shape ku_shapes[] = {
	{ "ring of 2", 2, ku_build_ring },
	{ "ring of 3", 3, ku_build_ring },
	{ "ring of 100", 100, ku_build_ring },
	{ "ring of 1025", 1025, ku_build_ring },
	{ "large ring", KU_LARGE, ku_build_ring },
	{ "clique of 3", 3, ku_build_clique },
	{ "clique of 60", 60, ku_build_clique },
	{ "large clique", KU_SANITIZED ? 150 : 300, ku_build_clique },
	{ "doubly linked list", KU_LARGE, ku_build_doubly_linked },
	{ "tree with parents", KU_LARGE, ku_build_tree },
	{ "rings off rings", KU_LARGE, ku_build_rings_off_rings },
	{ "self references", KU_LARGE / 4, ku_build_self_references },
	{ "percolation", KU_LARGE, ku_build_percolation },
	{ "chain to array", KU_LARGE / 4, ku_build_chain_to_array },
};

static void ku_shape_name(const struct ku_shape *shape, char *to)
{
	strscpy(to, shape->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(shape, ku_shapes, ku_shape_name);

static void ku_say_longest(struct ku *ku, u32 n)
{
	struct moheap_stat stat = ku_stat(ku);

	kunit_info(ku->test, "%u objects: longest step %llu us, %llu passes, %llu traces", n,
		   div_u64(stat.longest_step_ns, 1000), stat.local_passes, stat.traces);
}

/* While its root is held nothing is freed; without it, all is. */
static void freed_to_zero(struct kunit *test)
{
	const struct ku_shape *shape = test->param_value;
	struct ku *ku = test->priv;
	u64 root = shape->build(ku, shape->n);

	KUNIT_EXPECT_EQ(test, ku_collect(ku, MOHEAP_COLLECT_FULL), 0);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), shape->n);
	KUNIT_EXPECT_EQ(test, moheap_check(ku->client), 0);
	ku_release(ku, root);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 0));
	ku_say_longest(ku, shape->n);
}

/* The same by a request. */
static void freed_on_request(struct kunit *test)
{
	const struct ku_shape *shape = test->param_value;
	struct ku *ku = test->priv;
	u32 n = min(shape->n, 2000U);
	u64 root;

	ku_tune(ku, MOHEAP_TUNE_ENABLED, 0);
	root = shape->build(ku, n);
	ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), n);
	ku_release(ku, root);
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
}

/* Every node reaches all the others: dropping them one by one must not cost all each time. */
static void tree_dropped_node_by_node(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 n = KU_LARGE, i;
	u64 *refs = ku_tree(ku, n);

	for (i = n - 1; i > 0; i--)
		ku_release(ku, refs[i]);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), n);
	kunit_info(test, "%llu visits for %u nodes", ku_stat(ku).local_visits, n);
	ku_release(ku, refs[0]);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 0));
	ku_say_longest(ku, n);
}

#define KU_OWNERS	4

/* Each client made, and holds, every fourth object of the rings. */
static void rings_through_clients(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *clients[KU_OWNERS] = { ku->client };
	u32 n = 2000, i, j;
	u64 *refs[KU_OWNERS];

	for (i = 0; i < KU_OWNERS; i++) {
		clients[i] = clients[i] ?: ku_join(ku);
		refs[i] = ku_refs(ku, n);
		KU_OK(test, ku_alloc(clients[i], ku->type[KU_NODE], 0, refs[i], n));
	}
	for (i = 0; i < KU_OWNERS; i++)
		ku_links_by(ku, clients[i], refs[i], 0, refs[(i + 1) % KU_OWNERS], n);
	/* Half of the rings are one. */
	for (j = 0; j + 1 < n / 2; j++)
		ku_link(ku, refs[0][j], 1, refs[2][j + 1]);
	ku_link(ku, refs[0][n / 2 - 1], 1, refs[2][0]);
	for (i = 1; i < KU_OWNERS; i++) {
		KUNIT_EXPECT_EQ(test, ku_objects(ku), KU_OWNERS * n);
		if (i % 2)
			ku_close(ku, clients[i]);
		else
			ku_drop_all_by(ku, clients[i], refs[i], n);
	}
	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), KU_OWNERS * n);
	ku_drop_all(ku, refs[0] + 1, n - 1);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, KU_OWNERS * n / 2));
	ku_release(ku, refs[0][0]);
	KUNIT_EXPECT_TRUE(test, ku_wait_objects(ku, 0));
	ku_say_longest(ku, KU_OWNERS * n);
}

static struct kunit_case ku_shapes_cases[] = {
	KUNIT_CASE_PARAM_ATTR(freed_to_zero, shape_gen_params, { .speed = KUNIT_SPEED_SLOW }),
	KUNIT_CASE_PARAM(freed_on_request, shape_gen_params),
	KUNIT_CASE_SLOW(tree_dropped_node_by_node),
	KUNIT_CASE(rings_through_clients),
	{}
};

struct kunit_suite ku_shapes_suite = {
	.name = "moheap_shapes",
	.init = ku_init_live,
	.exit = ku_exit,
	.test_cases = ku_shapes_cases,
};
