// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_event: what clients are told, in which order, and how often.
 */
#include "fixture.h"

static void nothing_to_tell(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_event event;

	ku_collect(ku, MOHEAP_COLLECT_FULL);
	KUNIT_EXPECT_EQ(test, moheap_read(ku->client, &event, 1), 0);
	KUNIT_EXPECT_EQ(test, moheap_listen(ku->client, 0x80), -EINVAL);
}

static void ku_expect_collect(struct ku *ku, u32 type, u32 generation, u64 count, u64 collected)
{
	struct moheap_event event = ku_event(ku, ku->client);

	KUNIT_EXPECT_EQ(ku->test, event.type, type);
	KUNIT_EXPECT_EQ(ku->test, event.index, generation);
	KUNIT_EXPECT_EQ(ku->test, event.ref, 0);
	KUNIT_EXPECT_EQ(ku->test, event.cookie, 0);
	KUNIT_EXPECT_EQ(ku->test, event.count, count);
	KUNIT_EXPECT_EQ(ku->test, event.collected, collected);
	KUNIT_EXPECT_EQ(ku->test, event.uncollectable, 0);
}

/* A full collection also lets go of pools, for which it runs a local pass. */
static void ku_collect_by(struct ku *ku, u32 generation)
{
	if (generation < MOHEAP_COLLECT_FULL) {
		ku_collect(ku, generation);
		return;
	}
	ku_trace_begin(ku);
	ku_trace_finish(ku);
}

/* Each generation, with its figures, and the same figures in the statistics. */
static void collections(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_stat stat;
	u32 i;

	KU_OK(test, moheap_listen(ku->client, MOHEAP_LISTEN_COLLECT));
	for (i = 0; i < MOHEAP_GENERATIONS; i++) {
		ku_drop_all(ku, ku_ring(ku, 3 + i), 3 + i);
		ku_collect_by(ku, i);
		ku_expect_collect(ku, MOHEAP_EVENT_COLLECT_BEGIN, i, 1, 0);
		ku_expect_collect(ku, MOHEAP_EVENT_COLLECT_END, i, 1, 3 + i);
		ku_no_event(ku, ku->client);
		stat = ku_stat(ku);
		KUNIT_EXPECT_EQ(test, stat.generation[i].collections, 1);
		KUNIT_EXPECT_EQ(test, stat.generation[i].collected, 3 + i);
		KUNIT_EXPECT_EQ(test, stat.generation[i].uncollectable, 0);
	}
}

/* Who does not read is told of many at once. */
static void slow_reader(struct kunit *test)
{
	struct ku *ku = test->priv;
	u32 i;

	KU_OK(test, moheap_listen(ku->client, MOHEAP_LISTEN_COLLECT));
	for (i = 0; i < 50; i++) {
		ku_drop_all(ku, ku_ring(ku, 2), 2);
		ku_collect(ku, MOHEAP_COLLECT_LOCAL);
	}
	ku_expect_collect(ku, MOHEAP_EVENT_COLLECT_BEGIN, 0, 50, 0);
	ku_expect_collect(ku, MOHEAP_EVENT_COLLECT_END, 0, 50, 100);
	ku_no_event(ku, ku->client);
}

/* An end that is still to be told moves behind the begin that came after it. */
static void end_comes_last(struct kunit *test)
{
	struct ku *ku = test->priv;

	KU_OK(test, moheap_listen(ku->client, MOHEAP_LISTEN_COLLECT));
	ku_collect(ku, MOHEAP_COLLECT_LOCAL);
	ku_expect_collect(ku, MOHEAP_EVENT_COLLECT_BEGIN, 0, 1, 0);
	ku_collect(ku, MOHEAP_COLLECT_LOCAL_ALL);
	ku_expect_collect(ku, MOHEAP_EVENT_COLLECT_BEGIN, 1, 1, 0);
	ku_expect_collect(ku, MOHEAP_EVENT_COLLECT_END, 1, 2, 0);
	ku_no_event(ku, ku->client);
}

static void only_who_listens(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct mh_client *other = ku_join_readonly(ku), *twin;

	KU_OK(test, moheap_listen(other, MOHEAP_LISTEN_COLLECT));
	KU_OK(test, moheap_listen(other, MOHEAP_LISTEN_COLLECT));
	twin = ku_adopt(ku, moheap_clone(other));
	ku_collect(ku, MOHEAP_COLLECT_LOCAL);
	ku_no_event(ku, ku->client);
	ku_no_event(ku, twin);
	KUNIT_EXPECT_EQ(test, ku_event(ku, other).type, MOHEAP_EVENT_COLLECT_BEGIN);
	/* What happened while it listened it is told, and nothing else. */
	KU_OK(test, moheap_listen(other, 0));
	ku_collect(ku, MOHEAP_COLLECT_LOCAL);
	KUNIT_EXPECT_EQ(test, ku_event(ku, other).type, MOHEAP_EVENT_COLLECT_END);
	ku_no_event(ku, other);
	/* It goes with an event untold. */
	KU_OK(test, moheap_listen(other, MOHEAP_LISTEN_COLLECT));
	ku_collect(ku, MOHEAP_COLLECT_LOCAL);
	ku_close(ku, other);
	ku_collect(ku, MOHEAP_COLLECT_LOCAL);
}

static void no_more_than_fit(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_event events[4] = { };

	KU_OK(test, moheap_listen(ku->client, MOHEAP_LISTEN_COLLECT));
	ku_collect(ku, MOHEAP_COLLECT_LOCAL);
	KUNIT_EXPECT_EQ(test, moheap_read(ku->client, events, 1), 1);
	KUNIT_EXPECT_EQ(test, events[1].type, 0);
	KUNIT_EXPECT_EQ(test, moheap_read(ku->client, events, 4), 1);
	KUNIT_EXPECT_EQ(test, events[0].type, MOHEAP_EVENT_COLLECT_END);
	ku_collect(ku, MOHEAP_COLLECT_LOCAL);
	KUNIT_EXPECT_EQ(test, moheap_read(ku->client, events, 4), 2);
	KUNIT_EXPECT_EQ(test, events[2].type, 0);
}

/* ---- Many at once ---- */

#define KU_READERS	3

struct ku_reader {
	struct mh_client *client;
	u64 begun;
	u64 ended;
};

static void ku_reader_once(struct ku_reader *r)
{
	struct moheap_event events[2];
	int i, n = moheap_read(r->client, events, 2);

	for (i = 0; i < n; i++) {
		if (events[i].type == MOHEAP_EVENT_COLLECT_BEGIN)
			r->begun += events[i].count;
		else
			r->ended += events[i].count;
	}
}

static void ku_read_on(void *data)
{
	while (!kthread_should_stop()) {
		ku_reader_once(data);
		cond_resched();
	}
}

/* Several readers of one client: between them they are told of everything once. */
static void readers_share(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct ku_task *tasks[KU_READERS];
	struct ku_reader readers[KU_READERS] = { };
	u64 begun = 0, ended = 0;
	u32 i, n = ku_steps() / 3;

	KU_OK(test, moheap_listen(ku->client, MOHEAP_LISTEN_COLLECT));
	for (i = 0; i < KU_READERS; i++) {
		readers[i].client = ku->client;
		tasks[i] = ku_start(ku, i, ku_read_on, &readers[i]);
	}
	for (i = 0; i < n; i++)
		ku_collect(ku, MOHEAP_COLLECT_LOCAL);
	for (i = 0; i < KU_READERS; i++)
		ku_stop(tasks[i]);
	ku_reader_once(&readers[0]);
	for (i = 0; i < KU_READERS; i++) {
		begun += readers[i].begun;
		ended += readers[i].ended;
	}
	KUNIT_EXPECT_EQ(test, begun, n);
	KUNIT_EXPECT_EQ(test, ended, n);
	ku_no_event(ku, ku->client);
}

static struct kunit_case ku_event_cases[] = {
	KUNIT_CASE(nothing_to_tell),
	KUNIT_CASE(collections),
	KUNIT_CASE(slow_reader),
	KUNIT_CASE(end_comes_last),
	KUNIT_CASE(only_who_listens),
	KUNIT_CASE(no_more_than_fit),
	KUNIT_CASE(readers_share),
	{}
};

struct kunit_suite ku_event_suite = {
	.name = "moheap_event",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_event_cases,
};
