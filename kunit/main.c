// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_kunit: the suites, run as the module is loaded, and the parameters of the random ones.
 */
#include <linux/random.h>

#include "fixture.h"

static u32 seed;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "Where chance begins, 0 for anywhere (default 0)");

static u32 steps = 3000;
module_param(steps, uint, 0444);
MODULE_PARM_DESC(steps, "Operations of each random case (default 3000)");

static u32 scale = 100;
module_param(scale, uint, 0444);
MODULE_PARM_DESC(scale, "Percent of that to do (default 100)");

/**
 * ku_seed() - begin a random case, and say how to have it again
 * @test: the case
 * @rnd: out
 */
void ku_seed(struct kunit *test, struct rnd_state *rnd)
{
	if (!seed)
		seed = max(get_random_u32(), 1U);
	kunit_log(KERN_INFO, test, KUNIT_SUBTEST_INDENT "# seed: %u", seed);
	prandom_seed_state(rnd, seed);
}

/**
 * ku_below() - a random number
 * @rnd: from ku_seed()
 * @n: more than it may be
 *
 * Return: 0 to @n - 1.
 */
u32 ku_below(struct rnd_state *rnd, u32 n)
{
	return (u64)prandom_u32_state(rnd) * n >> 32;
}

u32 ku_steps(void)
{
	return max(steps / 100 * scale, 1U);
}

kunit_test_suites(&ku_type_suite, &ku_arena_suite, &ku_pool_suite, &ku_sparse_suite,
		  &ku_object_suite, &ku_client_suite, &ku_clone_suite, &ku_batch_suite,
		  &ku_user_suite, &ku_collect_suite, &ku_thread_suite, &ku_trace_suite,
		  &ku_check_suite, &ku_limit_suite, &ku_gen_suite, &ku_reap_suite, &ku_death_suite,
		  &ku_shapes_suite, &ku_event_suite, &ku_watch_suite,
		  &ku_watch_live_suite, &ku_final_suite, &ku_final_live_suite, &ku_iterate_suite,
		  &ku_linger_suite, &ku_oracle_guarded_suite,
		  &ku_site_suite, &ku_site_live_suite, &ku_freeze_suite, &ku_freeze_live_suite,
		  &ku_garbage_suite,
		  &ku_oracle_suite, &ku_oracle_live_suite, &ku_parallel_suite);

MODULE_DESCRIPTION("KUnit suites of moheap");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_LICENSE("GPL");
