// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Guarded heaps: what is done wrong to payload and refs is found, whoever did it, and nothing is
 * reported that nobody did.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "raw.h"

#define GUARD_SIZES	60

static struct moheap *heap;
static int type;

/* ---- Reports ---- */

#define SEEN_MOST	64

static struct {
	unsigned int n;
	struct moheap_guard_report reports[SEEN_MOST];
} seen;

static void note(struct moheap *of, const struct moheap_guard_report *report, void *data)
{
	ok(data == &seen);
	ok(of);
	is(report->size, sizeof(*report));
	if (seen.n < SEEN_MOST)
		seen.reports[seen.n] = *report;
	seen.n++;
}

static void watched(struct moheap *of)
{
	err_is(moheap_set_guard_handler(of, note, &seen), 0);
}

static struct moheap *guarded(__u64 limit)
{
	struct moheap_options options = {
		.size = sizeof(options),
		.flags = MOHEAP_CREATE_GUARD,
		.limit = limit,
	};
	struct moheap *made;

	err_is(moheap_create(&options, &made), 0);
	tap_heap_adopted(made);
	watched(made);
	return made;
}

static void setup(void)
{
	heap = guarded(0);
	type = tap_type(heap, "t", 20, 2);
}

/* The only report there was, of this. */
static const struct moheap_guard_report *reported(unsigned int error, moheap_ref_t ref)
{
	const struct moheap_guard_report *report = &seen.reports[0];

	is(seen.n, 1);
	is(report->error, error);
	ok((report->ref | MOHEAP_REF_REUSED) == (ref | MOHEAP_REF_REUSED));
	seen.n = 0;
	return report;
}

static void reported_at(const struct moheap_guard_report *report, long offset, int byte, int wanted)
{
	is(report->offset, offset);
	ok(report->nfound > 0 && report->nfound <= sizeof(report->found));
	is(report->found[0], byte);
	is(report->wanted, wanted);
}

static void nothing_reported(void)
{
	err_is(moheap_trim(heap), 0);
	err_is(moheap_check(heap), 0);
	is(seen.n, 0);
}

static char *bytes(moheap_ref_t ref)
{
	return moheap_ptr(heap, ref);
}

static void let_go(moheap_ref_t ref)
{
	err_is(moheap_decref(heap, ref), 0);
	err_is(moheap_flush(heap), 0);
}

/* Is this address in that function? They are small, and do not overlap. */
static bool inside(const void *site, void (*function)(moheap_ref_t ref))
{
	const char *begin = (const char *)(uintptr_t)function;

	return (const char *)site > begin && (const char *)site < begin + 400;
}

/* ---- Payload ---- */

static void just_what_was_asked_for(void)
{
	int var = -1, with_least = -1;
	struct moheap_layout layout = { .size = sizeof(layout), .flags = MOHEAP_TYPE_VAR_PAYLOAD };
	moheap_ref_t refs[GUARD_SIZES];
	char name[16];
	unsigned int i, j, round;

	setup();
	layout.name = "var";
	var = must(moheap_type_register(heap, &layout));
	layout.name = "least";
	layout.payload = 24;
	with_least = must(moheap_type_register(heap, &layout));
	for (round = 0; round < 4; round++) {
		for (i = 1; i < GUARD_SIZES; i++) {
			size_t n = i < 40 ? i : i * i;

			snprintf(name, sizeof(name), "t%u", i);
			if (round == 0)
				refs[i] = tap_new(heap, tap_type(heap, name, n, 1));
			else if (round == 1)
				err_is(moheap_new_many(heap, tap_type(heap, name, n, 1), 1,
						       &refs[i]), 0);
			else
				err_is(moheap_new_sized(heap, round == 2 ? var : with_least, n, 0,
							&refs[i]), 0);
			for (j = 0; j < n; j++)
				is(bytes(refs[i])[j], 0);
			memset(bytes(refs[i]), 0xa5, n);
		}
		nothing_reported();
		for (i = 1; i < GUARD_SIZES; i++)
			err_is(moheap_decref(heap, refs[i]), 0);
		nothing_reported();
	}
	/* The least, and none at all. */
	err_is(moheap_new(heap, with_least, &refs[0]), 0);
	memset(bytes(refs[0]), 0xa5, 24);
	err_is(moheap_new(heap, var, &refs[1]), 0);
	let_go(refs[0]);
	let_go(refs[1]);
	nothing_reported();
}

/* Programs are told of what they asked for. */
static void sizes_as_asked_for(void)
{
	struct moheap_type info = { .size = sizeof(info) };
	struct moheap_object object = { .size = sizeof(object) };
	struct moheap_field field = { .kind = MOHEAP_FIELD_UINT, .width = 4, .count = 1 };
	struct moheap_layout layout = {
		.size = sizeof(layout), .name = "fields", .payload = 20, .fields = &field,
		.nfields = 1,
	};
	struct moheap *plain = tap_heap();

	setup();
	info.id = type;
	err_is(moheap_type_info(heap, &info), 0);
	is(info.payload, 20);
	object.ref = tap_new(heap, type);
	err_is(moheap_inspect(heap, &object), 0);
	is(object.payload, 20);
	is(moheap_getsizeof(heap, object.ref), 20 + object.header_bytes);
	/* The zone is no place for a field. */
	field.offset = 17;
	err_is(moheap_type_register(heap, &layout), -EINVAL);
	field.offset = 16;
	must(moheap_type_register(heap, &layout));
	let_go(object.ref);
	if (!tap_guarded())
		err_is(moheap_set_guard_handler(plain, note, &seen), -EPERM);
}

/* Found when the object goes. */
static void behind_the_payload(void)
{
	const struct moheap_guard_report *report;
	unsigned int i;
	moheap_ref_t ref;

	setup();
	for (i = 20; i < 32; i++) {
		ref = tap_new(heap, type);
		bytes(ref)[i] = 7;
		let_go(ref);
		report = reported(MOHEAP_GUARD_OUTSIDE, ref);
		is(report->type, type);
		is(report->payload, 20);
		reported_at(report, i, 7, 0xfd);
		ok(report->made);
		ok(report->freed);
	}
	nothing_reported();
}

/* Found while it lives. */
static void found_by_check(void)
{
	const struct moheap_guard_report *report;
	moheap_ref_t refs[500];
	unsigned int i;

	setup();
	for (i = 0; i < TAP_COUNT(refs); i++)
		refs[i] = tap_new(heap, type);
	nothing_reported();
	bytes(refs[321])[22] = 1;
	err_is(moheap_check(heap), -EUCLEAN);
	report = reported(MOHEAP_GUARD_OUTSIDE, refs[321]);
	is(report->type, type);
	is(report->payload, 20);
	reported_at(report, 22, 1, 0xfd);
	bytes(refs[321])[22] = (char)0xfd;
	nothing_reported();
}

/* In front of a payload is the zone of another. */
static void in_front_of_the_payload(void)
{
	moheap_ref_t refs[2];
	char was;

	setup();
	err_is(moheap_new_many(heap, type, 2, refs), 0);
	was = bytes(refs[1])[-1];
	bytes(refs[1])[-1] = (char)(was + 1);
	err_is(moheap_check(heap), -EUCLEAN);
	is(seen.reports[0].error, MOHEAP_GUARD_OUTSIDE);
	ok(reported(MOHEAP_GUARD_OUTSIDE, refs[0])->offset > 20);
	bytes(refs[1])[-1] = was;
	nothing_reported();
}

/* Found in quarantine, */
static void after_it_was_gone(void)
{
	moheap_ref_t ref;

	setup();
	ref = tap_new(heap, type);
	let_go(ref);
	is((unsigned char)bytes(ref)[3], 0xdd);
	bytes(ref)[3] = 1;
	err_is(moheap_check(heap), -EUCLEAN);
	reported_at(reported(MOHEAP_GUARD_AFTER_FREE, ref), 3, 1, 0xdd);
	nothing_reported();
}

/* and when the block comes to another. */
static void found_at_reuse(void)
{
	moheap_ref_t ref, other = 0;
	unsigned int i;

	setup();
	ref = tap_new(heap, type);
	let_go(ref);
	bytes(ref)[19] = 1;
	for (i = 0; !seen.n && i < 100000; i++) {
		other = tap_new(heap, type);
		ok(seen.n || (__u32)other != (__u32)ref);
		let_go(other);
	}
	/* It was in quarantine for a while. */
	ok(i > 1000);
	is((__u32)other, (__u32)ref);
	reported_at(reported(MOHEAP_GUARD_AFTER_FREE, ref), 19, 1, 0xdd);
	nothing_reported();
}

/* A mirror goes as far as the payload, not into the zone. */
static void mirrors_stay_inside(void)
{
	struct moheap_field field = {
		.kind = MOHEAP_FIELD_REF, .width = 8, .count = 0, .offset = 8,
	};
	struct moheap_layout layout = {
		.size = sizeof(layout), .name = "mirrors", .fields = &field, .nfields = 1,
		.flags = MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS, .payload = 8,
	};
	moheap_ref_t ref, target;
	unsigned int i;
	int var;

	setup();
	var = must(moheap_type_register(heap, &layout));
	target = tap_new(heap, type);
	err_is(moheap_new_sized(heap, var, 8 + 3 * 8, 6, &ref), 0);
	for (i = 0; i < 6; i++)
		err_is(moheap_store(heap, ref, i, target), 0);
	err_is(moheap_fill(heap, ref, 0, 6, target), 0);
	ok(moheap_get(heap, ref, 8 + 2 * 8) == target);
	nothing_reported();
	let_go(ref);
	let_go(target);
	nothing_reported();
}

/* ---- Refs ---- */

static __attribute_noinline__ void make_it(moheap_ref_t ref)
{
	err_is(moheap_new(heap, type, (moheap_ref_t *)(uintptr_t)ref), 0);
	is(seen.n, 0);
}

static __attribute_noinline__ void drop_it(moheap_ref_t ref)
{
	err_is(moheap_decref(heap, ref), 0);
	err_is(moheap_flush(heap), 0);
}

static void the_sites(const struct moheap_guard_report *report)
{
	ok(inside(report->made, make_it));
	ok(inside(report->freed, drop_it));
}

static void stale_refs(void)
{
	struct moheap_object object = { .size = sizeof(object) };
	moheap_ref_t ref = 0, live, got;

	setup();
	live = tap_new(heap, type);
	make_it((uintptr_t)&ref);
	drop_it(ref);
	/* To ask is no mistake. */
	err_is(moheap_incref(heap, ref), -ESTALE);
	err_is(moheap_incref_many(heap, 1, &ref), -ESTALE);
	is(seen.n, 0);
	err_is(moheap_load(heap, ref, 0, &got), -ESTALE);
	the_sites(reported(MOHEAP_GUARD_STALE, ref));
	err_is(moheap_exchange(heap, live, 0, ref, &got), -ESTALE);
	the_sites(reported(MOHEAP_GUARD_STALE, ref));
	got = 0;
	err_is(moheap_compare_exchange(heap, live, 0, &got, ref), -ESTALE);
	the_sites(reported(MOHEAP_GUARD_STALE, ref));
	err_is(moheap_fill(heap, ref, 0, 1, live), -ESTALE);
	the_sites(reported(MOHEAP_GUARD_STALE, ref));
	/* Later, when the queue goes out. */
	err_is(moheap_store(heap, live, 0, ref), 0);
	err_is(moheap_flush(heap), -ESTALE);
	the_sites(reported(MOHEAP_GUARD_STALE, ref));
	object.ref = ref;
	err_is(moheap_inspect(heap, &object), -ESTALE);
	seen.n = 0;
	let_go(live);
	nothing_reported();
}

static void given_back_twice(void)
{
	moheap_ref_t ref = 0;

	setup();
	make_it((uintptr_t)&ref);
	drop_it(ref);
	err_is(moheap_decref(heap, ref), -ENOENT);
	the_sites(reported(MOHEAP_GUARD_DECREF, ref));
	nothing_reported();
}

static __attribute_noinline__ void overwrite_it(moheap_ref_t owner)
{
	err_is(moheap_store(heap, owner, 0, 0), 0);
	err_is(moheap_flush(heap), 0);
}

/* The last reference may be a slot, as its mirror says. */
static void overwritten(void)
{
	struct moheap_field field = { .kind = MOHEAP_FIELD_REF, .width = 8, .count = 1 };
	struct moheap_layout layout = {
		.size = sizeof(layout), .name = "mirror", .payload = 8, .slots = 1,
		.fields = &field, .nfields = 1,
	};
	moheap_ref_t owner, ref = 0, got;

	setup();
	err_is(moheap_new(heap, must(moheap_type_register(heap, &layout)), &owner), 0);
	make_it((uintptr_t)&ref);
	err_is(moheap_store(heap, owner, 0, ref), 0);
	drop_it(ref);
	err_is(moheap_peek(heap, ref, 0, &got), 0);
	overwrite_it(owner);
	err_is(moheap_peek(heap, ref, 0, &got), -ESTALE);
	ok(inside(reported(MOHEAP_GUARD_STALE, ref)->freed, overwrite_it));
	let_go(owner);
	nothing_reported();
}

/* ---- Other processes ---- */

struct told {
	moheap_ref_t ref;
};

static struct told *told;

/* A process of its own, with the same type. */
static void join(void)
{
	struct moheap *ours;

	err_is(moheap_join(moheap_fd(heap), 0, &ours), 0);
	heap = ours;
	watched(heap);
	is(tap_type(heap, "t", 20, 2), type);
}

static void overrun_and_end(void *unused)
{
	(void)unused;
	join();
	told->ref = tap_new(heap, type);
	memset(bytes(told->ref), 0xa5, 24);
	err_is(moheap_flush(heap), 0);
	kill(getpid(), SIGKILL);
}

static void killed(pid_t child)
{
	int status;

	ok(waitpid(child, &status, 0) == child);
	ok(WIFSIGNALED(status));
	is(WTERMSIG(status), SIGKILL);
}

/* Its objects go with it; their zones stay, for others to look at. */
static void what_another_did(void)
{
	const struct moheap_guard_report *report;

	setup();
	told = tap_shared(sizeof(*told));
	killed(tap_fork(overrun_and_end, NULL));
	err_is(moheap_flush(heap), 0);
	report = reported(MOHEAP_GUARD_OUTSIDE, told->ref);
	is(report->type, type);
	reported_at(report, 20, 0xa5, 0xfd);
	ok(!report->made);
	ok(!report->freed);
	nothing_reported();
}

static void fill_and_end(void *unused)
{
	moheap_ref_t refs[100];
	unsigned int i;

	(void)unused;
	join();
	for (i = 0; i < 100; i++)
		refs[i] = tap_new(heap, type);
	for (i = 0; i < 100; i++)
		err_is(moheap_decref(heap, refs[i]), 0);
	err_is(moheap_flush(heap), 0);
	told->ref = refs[50];
	kill(getpid(), SIGKILL);
}

/* What a process had in quarantine when it was killed is as good as any. */
static void a_filler_is_killed(void)
{
	moheap_ref_t refs[3000];
	unsigned int i;

	setup();
	told = tap_shared(sizeof(*told));
	killed(tap_fork(fill_and_end, NULL));
	is((unsigned char)bytes(told->ref)[0], 0xdd);
	bytes(told->ref)[5] = 9;
	for (i = 0; i < 3000; i++)
		refs[i] = tap_new(heap, type);
	reported_at(reported(MOHEAP_GUARD_AFTER_FREE, told->ref), 5, 9, 0xdd);
	for (i = 0; i < 3000; i++)
		err_is(moheap_decref(heap, refs[i]), 0);
	nothing_reported();
}

static void churn(unsigned int n)
{
	moheap_ref_t ref;
	unsigned int i;

	for (i = 0; i < n; i++) {
		ref = tap_new(heap, type);
		memset(bytes(ref), i, 20);
		err_is(moheap_decref(heap, ref), 0);
	}
	err_is(moheap_flush(heap), 0);
}

/* Memory that the kernel took back in between is no damage, wherever a block begins and ends. */
static void few_survive(void)
{
	enum { MANY = 6000, EVERY = 60 };
	static moheap_ref_t refs[MANY];
	unsigned int round, i;

	setup();
	for (round = 0; round < 3; round++) {
		for (i = 0; i < MANY; i++)
			refs[i] = tap_new(heap, type);
		for (i = 0; i < MANY; i++)
			if (i % EVERY)
				err_is(moheap_decref(heap, refs[i]), 0);
		nothing_reported();
		usleep(50000);
		for (i = 0; i < MANY; i++)
			if (i % EVERY)
				refs[i] = tap_new(heap, type);
		for (i = 0; i < MANY; i++)
			err_is(moheap_decref(heap, refs[i]), 0);
		nothing_reported();
	}
}

static void churn_in_child(void *unused)
{
	(void)unused;
	churn(5000);
	err_is(moheap_check(heap), 0);
	is(seen.n, 0);
}

/* Parent and child take blocks side by side, as one client or as two. */
static void across_fork(void)
{
	static const enum moheap_fork ways[] = { MOHEAP_FORK_CLONE, MOHEAP_FORK_SHARE };
	unsigned int i;
	pid_t child;

	setup();
	for (i = 0; i < 2; i++) {
		churn(2000);
		err_is(moheap_set_fork(heap, ways[i]), 0);
		child = tap_fork(churn_in_child, NULL);
		churn(5000);
		tap_wait(child);
		nothing_reported();
	}
}

/* A reader sees types as they were meant, and can look at zones. */
static void read_only(void)
{
	struct moheap_object object = { .size = sizeof(object) };
	struct moheap *reader;
	moheap_ref_t ref;

	setup();
	ref = tap_new(heap, type);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_join(moheap_fd(heap), MOHEAP_JOIN_READ_ONLY, &reader), 0);
	tap_heap_adopted(reader);
	watched(reader);
	object.ref = ref;
	err_is(moheap_inspect(reader, &object), 0);
	is(object.payload, 20);
	err_is(moheap_check(reader), 0);
	bytes(ref)[20] = 0;
	err_is(moheap_check(reader), -EUCLEAN);
	reported_at(reported(MOHEAP_GUARD_OUTSIDE, ref), 20, 0, 0xfd);
	let_go(ref);
	reported(MOHEAP_GUARD_OUTSIDE, ref);
}

/* ---- The rest ---- */

/* A heap of which most lingers, or is in quarantine, is not full. */
static void at_the_limit(void)
{
	moheap_ref_t large;
	unsigned int i;

	heap = guarded(MOHEAP_LIMIT_MIN);
	type = tap_type(heap, "t", 20, 2);
	churn(50000);
	nothing_reported();
	type = tap_type(heap, "large", 100000, 0);
	for (i = 0; i < 100; i++) {
		large = tap_new(heap, type);
		memset(bytes(large), 1, 100000);
		err_is(moheap_decref(heap, large), 0);
	}
	nothing_reported();
}

static void end_with_a_report(void *data)
{
	moheap_ref_t ref;

	dup2(*(int *)data, STDERR_FILENO);
	setup();
	err_is(moheap_set_guard_handler(heap, NULL, NULL), 0);
	ref = tap_new(heap, type);
	bytes(ref)[25] = 1;
	drop_it(ref);
}

/* Where nobody handles a report, it is written, and damage ends the process. */
static void a_process_ends(void)
{
	char text[2000] = "";
	int fds[2], status;
	pid_t child;

	ok(!pipe(fds));
	child = tap_fork(end_with_a_report, &fds[1]);
	ok(waitpid(child, &status, 0) == child);
	ok(WIFSIGNALED(status));
	is(WTERMSIG(status), SIGABRT);
	ok(read(fds[0], text, sizeof(text) - 1) > 0);
	ok(strstr(text, "outside the payload"));
	ok(strstr(text, "of type t, 20 bytes"));
	ok(strstr(text, "found at offset 25: 01"));
	ok(strstr(text, "test_guard"));
}

static void by_environment(void)
{
	struct moheap *made;

	ok(!setenv("MOHEAP_DEBUG", "1", 1));
	err_is(moheap_create(NULL, &made), 0);
	tap_heap_adopted(made);
	watched(made);
	err_is(moheap_check(made), 0);
	ok(!setenv("MOHEAP_DEBUG", "0", 1));
	err_is(moheap_create(NULL, &made), 0);
	err_is(moheap_set_guard_handler(made, note, &seen), -EPERM);
	err_is(moheap_close(made), 0);
}

static void containers(void)
{
	moheap_ref_t list, dict, key, value;
	long long i;

	setup();
	err_is(moheap_list_new(heap, 0, &list), 0);
	err_is(moheap_dict_new(heap, &dict), 0);
	for (i = 0; i < 3000; i++) {
		err_is(moheap_int_new(heap, i, &key), 0);
		err_is(moheap_bytes_new(heap, "0123456789abcdef0123456789", i % 26, &value), 0);
		err_is(moheap_list_append(heap, list, value), 0);
		err_is(moheap_dict_set(heap, dict, key, value), 0);
		err_is(moheap_dict_set(heap, dict, value, list), 0);
		err_is(moheap_decref(heap, key), 0);
		err_is(moheap_decref(heap, value), 0);
		if (i % 500 == 0)
			err_is(moheap_check(heap), 0);
	}
	err_is(moheap_list_append(heap, list, dict), 0);
	nothing_reported();
	err_is(moheap_decref(heap, list), 0);
	err_is(moheap_decref(heap, dict), 0);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 0);
	nothing_reported();
}

static const struct tap_case cases[] = {
	{ "just what was asked for", just_what_was_asked_for },
	{ "sizes as asked for", sizes_as_asked_for },
	{ "behind the payload", behind_the_payload },
	{ "found by moheap_check()", found_by_check },
	{ "in front of the payload", in_front_of_the_payload },
	{ "after it was gone", after_it_was_gone },
	{ "found at reuse", found_at_reuse },
	{ "mirrors stay inside", mirrors_stay_inside },
	{ "stale refs", stale_refs },
	{ "given back twice", given_back_twice },
	{ "overwritten", overwritten },
	{ "what another did", what_another_did },
	{ "a filler is killed", a_filler_is_killed },
	{ "few survive", few_survive },
	{ "across fork()", across_fork },
	{ "a reader", read_only },
	{ "at the limit", at_the_limit },
	{ "a process ends", a_process_ends },
	{ "by MOHEAP_DEBUG", by_environment },
	{ "containers", containers },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
