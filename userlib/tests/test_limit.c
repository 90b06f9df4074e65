// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Memory that runs out: at the heap's own limit, and at that of a memory cgroup.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "raw.h"

#define MOST	0x40000

/* In a smaller heap, what is given out in pools and pages is more than the margins here. */
#define LIMIT_LEAST	(2 << 20)

/* Of the heaps here. */
static __u64 limit;

static moheap_ref_t refs[MOST];

static struct moheap_stat stat_of(int fd)
{
	struct moheap_stat stat;

	err_is(raw_stat(fd, &stat), 0);
	return stat;
}

/* Hold bits are counted, but never refused: a hold must not fail for want of room. */
static void within_limit(int fd)
{
	struct moheap_stat stat = stat_of(fd);
	__u64 used = stat.kernel_bytes + stat.arena_bytes;

	if (used > stat.limit)
		tap_note("%llu bytes above the limit", used - stat.limit);
	ok(used <= stat.limit + stat.limit / 1000);
}

/* Make objects until there is an error. Returns how many. */
static unsigned int fill(int fd, int type, int *err)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_ALLOC,
		.index = type,
		.ref = (uintptr_t)refs,
		.a = MOST,
	};

	*err = raw_op(fd, &op);
	return op.a;
}

static void drop_all(int fd, unsigned int n)
{
	static struct moheap_op ops[1000];
	unsigned int at, some, i;
	__u32 done;

	for (at = 0; at < n; at += some) {
		some = n - at < TAP_COUNT(ops) ? n - at : TAP_COUNT(ops);
		for (i = 0; i < some; i++)
			ops[i] = (struct moheap_op){
				.code = MOHEAP_OP_DROP,
				.ref = refs[at + i],
			};
		err_is(raw_batch(fd, ops, some, 0, &done), 0);
	}
}

static void alloc_ends_at_the_limit(void)
{
	static const struct {
		__u64 payload;
		__u32 slots;
	} kinds[] = { { 16, 0 }, { 0, 2 }, { 256, 4 }, { 4096, 0 }, { 100000, 1 }, { 0, 5000 } };
	unsigned int i, n, again;
	int fd, type, err;
	__u64 used;

	for (i = 0; i < TAP_COUNT(kinds); i++) {
		fd = raw_heap(limit);
		type = must(raw_type(fd, "t", kinds[i].payload, kinds[i].slots, 0));
		n = fill(fd, type, &err);
		err_is(err, -ENOSPC);
		within_limit(fd);
		used = stat_of(fd).kernel_bytes + stat_of(fd).arena_bytes;
		tap_note("payload %llu, %u slots: %u objects in %llu of %llu bytes",
			 kinds[i].payload, kinds[i].slots, n, used, limit);
		ok(used >= limit / 10 * 8);
		/* It stays at that, and what is there is there. */
		err_is(raw_alloc(fd, type, 1, &refs[n]), -ENOSPC);
		is(raw_objects(fd), n);
		err_is(raw_check(fd), 0);
		drop_all(fd, n);
		err_is(raw_collect(fd, MOHEAP_COLLECT_FULL), 0);
		is(raw_objects(fd), 0);
		/* All of it can be had again. */
		again = fill(fd, type, &err);
		err_is(err, -ENOSPC);
		if (again + 1 < n - n / 50)
			tap_note("payload %llu, %u slots: again %u", kinds[i].payload,
				 kinds[i].slots, again);
		ok(again + 1 >= n - n / 50);
		err_is(raw_check(fd), 0);
		close(fd);
	}
}

static void garbage_makes_room(void)
{
	int fd = raw_heap(limit), type = must(raw_type(fd, "t", 64, 1, 0));
	struct moheap_tune off = { .size = sizeof(off), .set = MOHEAP_TUNE_ENABLED };
	unsigned int i, n, again, round;
	int err;

	/* Even a collector that does nothing by itself is asked first. */
	err_is(raw_ioctl(fd, MOHEAP_IOC_TUNE, &off), 0);
	n = fill(fd, type, &err);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < n; i++)
			err_is(raw_store(fd, refs[i], 0, refs[(i + 1) % n]), 0);
		drop_all(fd, n);
		is(raw_objects(fd), n);
		again = fill(fd, type, &err);
		err_is(err, -ENOSPC);
		/* A little less each time, as tables grow towards the arena's size. */
		ok(again > n - n / 20);
		n = again;
		within_limit(fd);
	}
	err_is(raw_check(fd), 0);
}

static void one_by_one(void)
{
	int fd = raw_heap(limit), type = must(raw_type(fd, "t", 1024, 0, 0));
	unsigned int n = 0;
	int err;

	do {
		err = raw_alloc(fd, type, 1, &refs[n]);
	} while (!err && ++n < MOST);
	err_is(err, -ENOSPC);
	ok(n > limit / 4096 && n < limit / 1024);
	is(raw_objects(fd), n);
	drop_all(fd, n);
	is(raw_objects(fd), 0);
	err_is(raw_check(fd), 0);
}

static void objects_larger_than_the_limit(void)
{
	int fd = raw_heap(limit), type;
	moheap_ref_t ref;

	type = must(raw_type(fd, "t", 0, 0, MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS));
	err_is(raw_alloc_sized(fd, type, limit + 1, 0, &ref), -ENOSPC);
	err_is(raw_alloc_sized(fd, type, MOHEAP_PAYLOAD_MAX, 0, &ref), -ENOSPC);
	err_is(raw_alloc_sized(fd, type, 0, limit / 4, &ref), -ENOSPC);
	err_is(raw_alloc_sized(fd, type, 0, MOHEAP_SLOTS_MAX, &ref), -ENOSPC);
	is(raw_objects(fd), 0);
	err_is(raw_alloc_sized(fd, type, limit / 2, 0, &ref), 0);
	err_is(raw_check(fd), 0);
}

/* Each has as much to say of itself as it may. */
static void types_count_too(void)
{
	static struct moheap_field fields[MOHEAP_FIELDS_MAX];
	struct moheap_type type = {
		.size = sizeof(type), .payload = TAP_COUNT(fields), .slots = 1,
		.fields = (uintptr_t)fields, .nfields = TAP_COUNT(fields),
	};
	int fd = raw_heap(MOHEAP_LIMIT_MIN), err = 0, i;

	for (i = 0; i < (int)TAP_COUNT(fields); i++) {
		fields[i] = (struct moheap_field){
			.kind = MOHEAP_FIELD_UINT, .width = 1, .count = 1, .offset = i,
		};
		snprintf(fields[i].name, sizeof(fields[i].name), "%d", i);
	}
	for (i = 0; i < MOHEAP_TYPES_MAX && !err; i++) {
		snprintf(type.name, sizeof(type.name), "%d", i);
		err = raw_ioctl(fd, MOHEAP_IOC_TYPE, &type);
	}
	tap_note("%d types", i - 1);
	err_is(err, -ENOSPC);
	within_limit(fd);
	err_is(raw_check(fd), 0);
}

/* Once the memory is given out, touching it can fail no more. */
static void memory_is_there_before_it_is_touched(void)
{
	struct moheap *heap = tap_heap_limited(limit);
	int type = tap_type(heap, "t", 4096, 0), err;
	unsigned int n, i;

	for (n = 0; !(err = moheap_new(heap, type, &refs[n])); n++)
		memset(moheap_ptr(heap, refs[n]), n, 4096);
	err_is(err, -ENOSPC);
	ok(n > limit / 8192);
	for (i = 0; i < n; i++) {
		is(*(unsigned char *)moheap_ptr(heap, refs[i]), i % 256);
		err_is(moheap_decref(heap, refs[i]), 0);
	}
	is(tap_objects(heap), 0);
}

/* What is queued or in stock is given back before the library says that there is no room. */
static void the_library_gives_back_first(void)
{
	struct moheap *heap = tap_heap_limited(limit);
	int small = tap_type(heap, "small", 16, 0);
	int large = tap_type(heap, "large", limit / 4 * 3, 0);
	moheap_ref_t ref;
	unsigned int i, n;

	for (n = 0; n < 100000 && !moheap_new(heap, small, &refs[n]); n++)
		;
	ok(n > limit / 200);
	for (i = 0; i < n; i++)
		err_is(moheap_decref(heap, refs[i]), 0);
	err_is(moheap_new(heap, large, &ref), 0);
	moheap_decref(heap, ref);
	is(tap_objects(heap), 0);
}

static void giving_back_gives_back(void)
{
	int fd = raw_heap(64 << 20), type = must(raw_type(fd, "t", 1000, 3, 0));
	struct moheap_stat empty = stat_of(fd), full, after;
	unsigned int n = 20000;

	err_is(raw_alloc(fd, type, n, refs), 0);
	full = stat_of(fd);
	drop_all(fd, n);
	err_is(raw_collect(fd, MOHEAP_COLLECT_FULL), 0);
	after = stat_of(fd);
	tap_note("arena %llu, %llu, %llu; kernel %llu, %llu, %llu", empty.arena_bytes,
		 full.arena_bytes, after.arena_bytes, empty.kernel_bytes, full.kernel_bytes,
		 after.kernel_bytes);
	ok(full.arena_bytes > 20000000);
	ok(after.arena_bytes < full.arena_bytes / 50);
	ok(after.kernel_bytes < empty.kernel_bytes + full.kernel_bytes / 10);
}

/* ---- A memory cgroup ---- */

#define CGROUP	"/sys/fs/cgroup/moheap-test"

static bool write_to(const char *name, const char *text)
{
	char path[128];
	bool written;
	int fd;

	snprintf(path, sizeof(path), CGROUP "/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return false;
	written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return written;
}

static void enter_cgroup(const char *most)
{
	char pid[16];

	rmdir(CGROUP);
	if (mkdir(CGROUP, 0755))
		tap_skip("no cgroup v2 to write to: %s", strerror(errno));
	if (!write_to("memory.max", most)) {
		rmdir(CGROUP);
		tap_skip("no memory controller");
	}
	write_to("memory.swap.max", "0");
	snprintf(pid, sizeof(pid), "%d", getpid());
	ok(write_to("cgroup.procs", pid));
}

/* In a child, so that the case can remove the cgroup afterwards. */
static void exhaust_cgroup(void *arg)
{
	const int *kind = arg;
	unsigned int n, i;
	int fd, type, err;
	void *base;

	/* What the process itself needs is there already. */
	memset(refs, 0, sizeof(refs));
	fd = raw_heap(1ULL << 30);
	ok(!mlockall(MCL_CURRENT));
	type = must(raw_type(fd, "t", kind[0], kind[1], 0));
	base = mmap(NULL, stat_of(fd).arena_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ok(base != MAP_FAILED);
	n = fill(fd, type, &err);
	err_is(err, -ENOMEM);
	ok(n > tap_scaled(40));
	is(raw_objects(fd), n);
	drop_all(fd, n);
	err_is(raw_collect(fd, MOHEAP_COLLECT_FULL), 0);
	is(raw_objects(fd), 0);
	/* Only now is there memory to talk about it. */
	tap_note("payload %d, %d slots: %u objects", kind[0], kind[1], n);
	i = fill(fd, type, &err);
	err_is(err, -ENOMEM);
	ok(i > n / 2);
	drop_all(fd, i);
	err_is(raw_collect(fd, MOHEAP_COLLECT_FULL), 0);
	err_is(raw_check(fd), 0);
}

static void in_a_cgroup(void *arg)
{
	char most[16];

	snprintf(most, sizeof(most), "%luM", 4 + tap_scaled(20));
	enter_cgroup(most);
	exhaust_cgroup(arg);
}

static void a_cgroup_at_its_limit(void)
{
	static const int kinds[][2] = { { 0, 60 }, { 4096, 0 }, { 100, 2 }, { 1 << 18, 0 } };
	unsigned int i;
	int status = 0;
	pid_t child;

	for (i = 0; i < TAP_COUNT(kinds); i++) {
		child = tap_fork(in_a_cgroup, (void *)(uintptr_t)kinds[i]);
		is(waitpid(child, &status, 0), child);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			_exit(77);
		usleep(10000);
		rmdir(CGROUP);
		if (status)
			tap_fail(__FILE__, __LINE__, "payload %d, %d slots: status %#x",
				 kinds[i][0], kinds[i][1], status);
	}
}

static const struct tap_case cases[] = {
	{ "alloc ends at the limit", alloc_ends_at_the_limit },
	{ "garbage makes room", garbage_makes_room },
	{ "one by one", one_by_one },
	{ "objects larger than the limit", objects_larger_than_the_limit },
	{ "types count, too", types_count_too },
	{ "memory is there before it is touched", memory_is_there_before_it_is_touched },
	{ "the library gives back first", the_library_gives_back_first },
	{ "what is freed is given back", giving_back_gives_back },
	{ "ENOMEM: a memory cgroup at its limit", a_cgroup_at_its_limit },
};

int main(int argc, char **argv)
{
	limit = tap_scaled(4 << 20);
	if (limit < LIMIT_LEAST)
		limit = LIMIT_LEAST;
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
