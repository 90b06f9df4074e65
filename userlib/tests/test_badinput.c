// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Every errno of the table in <linux/moheap.h>, through plain ioctls; and that the heap is as it
 * was after each call that failed.
 *
 * EOVERFLOW takes 2^31 references, 8 GiB of slots, and EUCLEAN a broken kernel: the module's own
 * tests show these. ENOSPC of TYPE is in test_type, ENOSPC and ENOMEM of memory in test_limit.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

#include "raw.h"

/* ---- A small heap to be mistreated ---- */

static int fd;		/* a client */
static int ro;		/* one that is read-only */
static int guarded;	/* a client of a guarded heap */
static int fixed;	/* a type: 32 bytes, two slots */
static int varied;	/* a type: 32 bytes or more, two slots or more */
static moheap_ref_t a, b;	/* both fixed; slot 0 of a refers to b */
static moheap_ref_t stale;	/* was fixed */
static moheap_ref_t foreign;	/* of another heap */

struct state {
	struct moheap_stat stat;
	struct moheap_object a, b;
	moheap_ref_t slots[2];
	int fds;
};

static int lowest_fd(void)
{
	int lowest = dup(0);

	close(lowest);
	return lowest;
}

static void state_get(struct state *state)
{
	memset(state, 0, sizeof(*state));
	err_is(raw_stat(fd, &state->stat), 0);
	err_is(raw_object(fd, a, &state->a), 0);
	err_is(raw_object(fd, b, &state->b), 0);
	err_is(raw_load(fd, a, 0, &state->slots[0]), 0);
	err_is(raw_load(fd, a, 1, &state->slots[1]), 0);
	state->fds = lowest_fd();
}

/* Something failed: the heap is as it was. */
static void unchanged(const struct state *before)
{
	struct state now;

	state_get(&now);
	is(now.stat.objects, before->stat.objects);
	is(now.stat.types, before->stat.types);
	is(now.stat.clients, before->stat.clients);
	is(now.a.count, before->a.count);
	is(now.b.count, before->b.count);
	is(now.a.flags & MOHEAP_OBJECT_HELD, before->a.flags & MOHEAP_OBJECT_HELD);
	ok(now.slots[0] == before->slots[0]);
	ok(now.slots[1] == before->slots[1]);
	is(now.fds, before->fds);
	err_is(raw_check(fd), 0);
}

static void setup_limited(__u64 limit)
{
	int other = raw_heap(0);

	guarded = raw_heap_flags(0, MOHEAP_CREATE_GUARD);
	fd = raw_heap(limit);
	ro = raw_join(fd, O_RDONLY);
	fixed = must(raw_type(fd, "fixed", 32, 2, 0));
	varied = must(raw_type(fd, "varied", 32, 2,
			       MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS));
	err_is(raw_alloc(fd, fixed, 1, &a), 0);
	err_is(raw_alloc(fd, fixed, 1, &b), 0);
	err_is(raw_store(fd, a, 0, b), 0);
	err_is(raw_alloc(fd, fixed, 1, &stale), 0);
	err_is(raw_drop(fd, stale), 0);
	must(raw_type(other, "fixed", 4096, 0, 0));
	do {
		err_is(raw_alloc(other, 0, 1, &foreign), 0);
	} while ((__u32)foreign < (__u32)stale + 100000);
}

static void setup(void)
{
	setup_limited(0);
}

static void refused(int file, unsigned long request, void *arg, int want)
{
	struct state before;

	state_get(&before);
	err_is(raw_ioctl(file, request, arg), want);
	unchanged(&before);
}

static void op_refused_by(int file, struct moheap_op op, int want)
{
	struct state before;

	state_get(&before);
	err_is(raw_op(file, &op), want);
	unchanged(&before);
}

#define op_refused(want, ...) op_refused_by(fd, (struct moheap_op){ __VA_ARGS__ }, want)

/* ---- Every ioctl ---- */

static struct moheap_op some_op;
static struct moheap_field some_fields[1];
static moheap_ref_t some_refs[4];
static struct moheap_block some_blocks[4];
static struct moheap_site some_sites[4];

struct call {
	const char *name;
	unsigned long request;
	size_t size;
	bool creates;	/* works on a file that is not bound yet */
	bool guarded;	/* works in a guarded heap */
	bool quiet;	/* writes nothing back */
	__u32 flags;	/* flags that are known, or not read */
};

static const struct call calls[] = {
	{ "CREATE", MOHEAP_IOC_CREATE, sizeof(struct moheap_create), .creates = true,
	  .flags = MOHEAP_CREATE_DEBUG | MOHEAP_CREATE_GUARD },
	{ "JOIN", MOHEAP_IOC_JOIN, sizeof(struct moheap_join), .creates = true },
	{ "CLONE", MOHEAP_IOC_CLONE, sizeof(struct moheap_clone), .quiet = true,
	  .flags = MOHEAP_CLONE_CLOEXEC },
	{ "TYPE", MOHEAP_IOC_TYPE, sizeof(struct moheap_type),
	  .flags = MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS | MOHEAP_TYPE_FINALIZE },
	{ "TYPE_INFO", MOHEAP_IOC_TYPE_INFO, sizeof(struct moheap_type), .flags = ~0U },
	{ "BATCH", MOHEAP_IOC_BATCH, sizeof(struct moheap_batch),
	  .flags = MOHEAP_BATCH_CONTINUE },
	{ "OBJECT", MOHEAP_IOC_OBJECT, sizeof(struct moheap_object), .flags = ~0U },
	{ "COLLECT", MOHEAP_IOC_COLLECT, sizeof(struct moheap_collect) },
	{ "STAT", MOHEAP_IOC_STAT, sizeof(struct moheap_stat) },
	{ "TUNE", MOHEAP_IOC_TUNE, sizeof(struct moheap_tune),
	  .flags = MOHEAP_TUNE_BUDGET | MOHEAP_TUNE_THRESHOLD | MOHEAP_TUNE_GROWTH |
		   MOHEAP_TUNE_IDLE | MOHEAP_TUNE_ENABLED | MOHEAP_TUNE_FINALIZE |
		   MOHEAP_TUNE_DEBUG },
	{ "LISTEN", MOHEAP_IOC_LISTEN, sizeof(struct moheap_listen), .quiet = true,
	  .flags = MOHEAP_LISTEN_COLLECT | MOHEAP_LISTEN_FINALIZE },
	{ "OBJECTS", MOHEAP_IOC_OBJECTS, sizeof(struct moheap_objects),
	  .flags = MOHEAP_OBJECTS_TYPE | MOHEAP_OBJECTS_CANDIDATES | MOHEAP_OBJECTS_REFERRERS |
		   MOHEAP_OBJECTS_FROZEN | MOHEAP_OBJECTS_SAVED },
	{ "USAGE", MOHEAP_IOC_USAGE, sizeof(struct moheap_usage) },
	{ "FREEZE", MOHEAP_IOC_FREEZE, sizeof(struct moheap_freeze),
	  .flags = MOHEAP_FREEZE_UNDO },
	{ "LINGER", MOHEAP_IOC_LINGER, sizeof(struct moheap_linger), .guarded = true },
	{ "SITES", MOHEAP_IOC_SITES, sizeof(struct moheap_sites),
	  .flags = MOHEAP_SITES_ALL | MOHEAP_SITES_RESET_PEAK | MOHEAP_SITES_CLEAR },
};

#define FLAGS_OF(p)		(((__u32 *)(p))[1])

/* A call that works. */
static void call_fill(const struct call *call, void *p)
{
	memset(p, 0, call->size);
	*(__u32 *)p = call->size;
	switch (call->request) {
	case MOHEAP_IOC_JOIN:
		((struct moheap_join *)p)->fd = fd;
		break;
	case MOHEAP_IOC_TYPE:
		((struct moheap_type *)p)->payload = 32;
		((struct moheap_type *)p)->slots = 2;
		memcpy(((struct moheap_type *)p)->name, "fixed", sizeof("fixed"));
		break;
	case MOHEAP_IOC_TYPE_INFO:
		((struct moheap_type *)p)->fields = (uintptr_t)some_fields;
		((struct moheap_type *)p)->nfields = 1;
		break;
	case MOHEAP_IOC_BATCH:
		some_op = (struct moheap_op){ .code = MOHEAP_OP_LOAD, .ref = a };
		((struct moheap_batch *)p)->ops = (uintptr_t)&some_op;
		((struct moheap_batch *)p)->count = 1;
		break;
	case MOHEAP_IOC_OBJECT:
		((struct moheap_object *)p)->ref = a;
		break;
	case MOHEAP_IOC_OBJECTS:
		((struct moheap_objects *)p)->refs = (uintptr_t)some_refs;
		((struct moheap_objects *)p)->count = TAP_COUNT(some_refs);
		break;
	case MOHEAP_IOC_LINGER:
		((struct moheap_linger *)p)->blocks = (uintptr_t)some_blocks;
		((struct moheap_linger *)p)->count = TAP_COUNT(some_blocks);
		break;
	case MOHEAP_IOC_SITES:
		((struct moheap_sites *)p)->sites = (uintptr_t)some_sites;
		((struct moheap_sites *)p)->count = TAP_COUNT(some_sites);
		break;
	case MOHEAP_IOC_CLONE:
		((struct moheap_clone *)p)->flags = MOHEAP_CLONE_CLOEXEC;
		break;
	default:
		break;
	}
}

/* Make the call on a file fit for it. Nothing it makes is kept. */
static int call_do(const struct call *call, void *p)
{
	int file = call->creates ? must(raw_open(O_RDWR)) : call->guarded ? guarded : fd;
	struct moheap_stat stat;
	int ret = raw_ioctl(file, call->request, p);

	if (call->request == MOHEAP_IOC_CLONE && ret >= 0)
		close(ret);
	if (!call->creates)
		return ret < 0 ? ret : 0;
	/* What failed has bound the file to nothing. */
	err_is(raw_stat(file, &stat), ret ? -ENOTCONN : 0);
	close(file);
	return ret;
}

static void call_is(const struct call *call, void *p, int want, const char *how)
{
	struct state before;
	int ret;

	state_get(&before);
	ret = call_do(call, p);
	if (ret != want)
		tap_note("%s with %s:", call->name, how);
	err_is(ret, want);
	unchanged(&before);
}

static void every_ioctl_works(void)
{
	char buffer[512];
	unsigned int i;

	setup();
	for (i = 0; i < TAP_COUNT(calls); i++) {
		call_fill(&calls[i], buffer);
		call_is(&calls[i], buffer, 0, "everything right");
	}
	err_is(raw_check(fd), 0);
}

static void no_ioctl_of_moheap(void)
{
	char buffer[4096] = { 0 };
	unsigned int nr;

	setup();
	for (nr = 0x0e; nr < 256; nr++) {
		refused(fd, _IOWR(MOHEAP_IOC_MAGIC, nr, struct moheap_stat), buffer, -ENOTTY);
		refused(fd, _IO(MOHEAP_IOC_MAGIC, nr), buffer, -ENOTTY);
	}
	/* Right number, wrong direction, size or magic. */
	refused(fd, _IOR(MOHEAP_IOC_MAGIC, 0x08, struct moheap_stat), buffer, -ENOTTY);
	refused(fd, _IOWR(MOHEAP_IOC_MAGIC, 0x08, struct moheap_tune), buffer, -ENOTTY);
	refused(fd, _IOWR(MOHEAP_IOC_MAGIC + 1, 0x08, struct moheap_stat), buffer, -ENOTTY);
	refused(fd, 0, buffer, -ENOTTY);
	refused(fd, ~0U, buffer, -ENOTTY);
}

static void sizes(void)
{
	__u64 space[1024];
	char *buffer = (char *)space;
	unsigned int i, j;

	setup();
	for (i = 0; i < TAP_COUNT(calls); i++) {
		const struct call *call = &calls[i];
		const __u32 too_short[] = { 0, 1, 4, call->size - 8, call->size - 1 };

		for (j = 0; j < TAP_COUNT(too_short); j++) {
			call_fill(call, buffer);
			*(__u32 *)buffer = too_short[j];
			if (too_short[j] < call->size)
				call_is(call, buffer, -EINVAL, "a size too short");
		}
		/* A later version's structure: fine if it asks for nothing new. */
		for (j = 1; j <= 64; j += 21) {
			memset(space, 0, sizeof(space));
			call_fill(call, buffer);
			*(__u32 *)buffer += j;
			call_is(call, buffer, 0, "more zeros");
			call_fill(call, buffer);
			*(__u32 *)buffer += j;
			buffer[call->size + j - 1] = 1;
			call_is(call, buffer, -E2BIG, "more that is not zero");
		}
		memset(space, 0, sizeof(space));
		call_fill(call, buffer);
		*(__u32 *)buffer = ~0U;
		call_is(call, buffer, -E2BIG, "a size of 2^32 - 1");
	}
}

static void flags_and_padding(void)
{
	__u64 space[64];
	char *buffer = (char *)space;
	unsigned int i, bit;

	setup();
	for (i = 0; i < TAP_COUNT(calls); i++) {
		for (bit = 0; bit < 32; bit++) {
			if (calls[i].flags & (1U << bit))
				continue;
			call_fill(&calls[i], buffer);
			FLAGS_OF(buffer) |= 1U << bit;
			call_is(&calls[i], buffer, -EINVAL, "an unknown flag");
		}
	}
	call_fill(&calls[1], buffer);
	((struct moheap_join *)buffer)->reserved = 1;
	call_is(&calls[1], buffer, -EINVAL, "reserved");
	call_fill(&calls[3], buffer);
	((struct moheap_type *)buffer)->reserved = 1;
	call_is(&calls[3], buffer, -EINVAL, "reserved");
	call_fill(&calls[4], buffer);
	((struct moheap_type *)buffer)->reserved = 1;
	call_is(&calls[4], buffer, -EINVAL, "reserved");
	call_fill(&calls[6], buffer);
	((struct moheap_object *)buffer)->reserved = 1;
	call_is(&calls[6], buffer, -EINVAL, "reserved");
	call_fill(&calls[7], buffer);
	((struct moheap_collect *)buffer)->reserved = 1;
	call_is(&calls[7], buffer, -EINVAL, "reserved");
}

static char *page_and_a_hole(void)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ok(pages != MAP_FAILED);
	ok(!munmap(pages + 4096, 4096));
	return pages;
}

static void bad_pointers(void)
{
	static const uintptr_t nowhere[] = {
		0, 1, 0x7ffffffff000, 0x8000000000000000, 0xffff888000000000, 0xfffffffffffff000,
		~0UL,
	};
	char *page = page_and_a_hole(), *end = page + 4096, *p;
	unsigned int i, j, cut;

	setup();
	for (i = 0; i < TAP_COUNT(calls); i++) {
		const struct call *call = &calls[i];

		for (j = 0; j < TAP_COUNT(nowhere); j++)
			call_is(call, (void *)nowhere[j], -EFAULT, "a pointer to nowhere");
		call_is(call, end, -EFAULT, "a pointer to a hole");
		/* The structure begins on the page and ends beyond. */
		for (cut = 4; cut < call->size; cut += 4) {
			char whole[512];

			p = end - cut;
			call_fill(call, whole);
			memcpy(p, whole, cut);
			call_is(call, p, -EFAULT, "half of it missing");
		}
		/* Just as much as needs be. */
		call_fill(call, end - call->size);
		call_is(call, end - call->size, 0, "the end of a page");
		/* It can be read, but the results cannot be written. */
		call_fill(call, page);
		ok(!mprotect(page, 4096, PROT_READ));
		call_is(call, page, call->quiet ? 0 : -EFAULT, "read-only memory");
		ok(!mprotect(page, 4096, PROT_READ | PROT_WRITE));
	}
}

static void unbound_files(void)
{
	__u64 space[64];
	char *buffer = (char *)space;
	int file = must(raw_open(O_RDWR));
	unsigned int i;

	setup();
	for (i = 0; i < TAP_COUNT(calls); i++) {
		if (calls[i].creates)
			continue;
		call_fill(&calls[i], buffer);
		refused(file, calls[i].request, buffer, -ENOTCONN);
		refused(file, calls[i].request, NULL, -ENOTCONN);
	}
	refused(file, MOHEAP_IOC_CHECK, NULL, -ENOTCONN);
	ok(mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED);
	is(errno, ENOTCONN);
	err_is(raw_read(file, space, sizeof(space)), -ENOTCONN);
	err_is(raw_read(file, space, 1), -ENOTCONN);
	ok(write(file, buffer, 1) < 0);
}

/* ---- CREATE, JOIN, CLONE ---- */

static void create_and_join(void)
{
	struct moheap_create create = { .size = sizeof(create) };
	struct moheap_join join = { .size = sizeof(join), .fd = 0 };
	int file, closed;

	setup();
	refused(fd, MOHEAP_IOC_CREATE, &create, -EISCONN);
	join.fd = fd;
	refused(fd, MOHEAP_IOC_JOIN, &join, -EISCONN);
	refused(ro, MOHEAP_IOC_JOIN, &join, -EISCONN);

	file = must(raw_open(O_RDONLY));
	refused(file, MOHEAP_IOC_CREATE, &create, -EACCES);
	close(file);
	file = must(raw_open(O_RDWR));
	create.limit = MOHEAP_LIMIT_MIN - 1;
	refused(file, MOHEAP_IOC_CREATE, &create, -ERANGE);
	create.limit = 1;
	refused(file, MOHEAP_IOC_CREATE, &create, -ERANGE);
	create.limit = ~0ULL;
	refused(file, MOHEAP_IOC_CREATE, &create, -ERANGE);

	closed = dup(0);
	close(closed);
	join.fd = closed;
	refused(file, MOHEAP_IOC_JOIN, &join, -EBADF);
	join.fd = -1;
	refused(file, MOHEAP_IOC_JOIN, &join, -EBADF);
	join.fd = 1 << 30;
	refused(file, MOHEAP_IOC_JOIN, &join, -EBADF);
	join.fd = open("/dev/null", O_RDWR);
	refused(file, MOHEAP_IOC_JOIN, &join, -EINVAL);
	close(join.fd);
	join.fd = file;		/* bound to no heap */
	refused(file, MOHEAP_IOC_JOIN, &join, -EINVAL);
	join.fd = ro;
	refused(file, MOHEAP_IOC_JOIN, &join, -EACCES);
	join.fd = fd;
	err_is(raw_ioctl(file, MOHEAP_IOC_JOIN, &join), 0);
	ok(join.arena_size && join.heap_id && join.limit);
	close(file);
}

static void write_file(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);

	if (file < 0)
		tap_skip("%s: %s", path, strerror(errno));
	ok(write(file, text, strlen(text)) == (ssize_t)strlen(text));
	close(file);
}

#define MAX_HEAPS "/sys/module/moheap/parameters/max_heaps"

static void too_many_heaps(void)
{
	struct moheap_create create = { .size = sizeof(create) };
	char old[32] = "";
	FILE *file = fopen(MAX_HEAPS, "r");
	int unbound, twin;

	if (!file || geteuid())
		tap_skip("needs root, and " MAX_HEAPS);
	ok(fgets(old, sizeof(old), file));
	fclose(file);
	setup();	/* three heaps */
	unbound = must(raw_open(O_RDWR));
	write_file(MAX_HEAPS, "3");
	refused(unbound, MOHEAP_IOC_CREATE, &create, -EDQUOT);
	/* Clients are not heaps. */
	twin = must(raw_clone(fd));
	close(twin);
	write_file(MAX_HEAPS, "4");
	err_is(raw_ioctl(unbound, MOHEAP_IOC_CREATE, &create), 0);
	write_file(MAX_HEAPS, old);
}

static void no_room_for_a_file(void)
{
	struct moheap_clone clone = { .size = sizeof(clone) };
	struct rlimit limit, old;
	struct state before;

	setup();
	state_get(&before);
	ok(!getrlimit(RLIMIT_NOFILE, &old));
	limit = old;
	limit.rlim_cur = lowest_fd();
	ok(!setrlimit(RLIMIT_NOFILE, &limit));
	err_is(raw_ioctl(fd, MOHEAP_IOC_CLONE, &clone), -EMFILE);
	ok(!setrlimit(RLIMIT_NOFILE, &old));
	unchanged(&before);
}

#define FILE_MAX "/proc/sys/fs/file-max"

static void clone_as_nobody(void *arg)
{
	struct moheap_clone clone = { .size = sizeof(clone) };

	(void)arg;
	ok(!setuid(65534));
	err_is(raw_ioctl(fd, MOHEAP_IOC_CLONE, &clone), -ENFILE);
}

static void no_room_for_a_file_at_all(void)
{
	char old[32] = "";
	FILE *file = fopen(FILE_MAX, "r");
	pid_t child;

	if (!file || geteuid())
		tap_skip("needs root, and " FILE_MAX);
	ok(fgets(old, sizeof(old), file));
	fclose(file);
	setup();
	write_file(FILE_MAX, "0");
	child = tap_fork(clone_as_nobody, NULL);
	usleep(200000);
	/* Root is not bound by it, and can put it back. */
	write_file(FILE_MAX, old);
	tap_wait(child);
	err_is(raw_check(fd), 0);
}

/* ---- TYPE, OBJECT, COLLECT, TUNE, CHECK ---- */

static struct moheap_type type_of(const char *name, __u64 payload, __u32 slots,
				  struct moheap_field *fields, __u32 nfields)
{
	struct moheap_type type = {
		.size = sizeof(type),
		.payload = payload,
		.slots = slots,
		.fields = (uintptr_t)fields,
		.nfields = nfields,
	};

	memcpy(type.name, name, strnlen(name, MOHEAP_NAME_LEN));
	return type;
}

static void type_names(void)
{
	struct moheap_type type;

	setup();
	type = type_of("", 8, 0, NULL, 0);
	refused(fd, MOHEAP_IOC_TYPE, &type, -EINVAL);
	type = type_of("x", 8, 0, NULL, 0);
	memset(type.name, 'x', sizeof(type.name));
	refused(fd, MOHEAP_IOC_TYPE, &type, -EINVAL);
	type = type_of("x", 8, 0, NULL, 0);
	type.name[MOHEAP_NAME_LEN - 1] = 'x';
	refused(fd, MOHEAP_IOC_TYPE, &type, -EINVAL);
	type = type_of("fixed", 33, 2, NULL, 0);
	refused(fd, MOHEAP_IOC_TYPE, &type, -EEXIST);
	type = type_of("x", 8, 0, NULL, 0);
	refused(ro, MOHEAP_IOC_TYPE, &type, -EACCES);
}

static void type_bounds(void)
{
	struct moheap_type type;

	setup();
	type = type_of("x", MOHEAP_PAYLOAD_MAX + 1ULL, 0, NULL, 0);
	refused(fd, MOHEAP_IOC_TYPE, &type, -EINVAL);
	type = type_of("x", ~0ULL, 0, NULL, 0);
	refused(fd, MOHEAP_IOC_TYPE, &type, -EINVAL);
	type = type_of("x", 8, MOHEAP_SLOTS_MAX + 1, NULL, 0);
	refused(fd, MOHEAP_IOC_TYPE, &type, -EINVAL);
	type = type_of("x", 8, ~0U, NULL, 0);
	refused(fd, MOHEAP_IOC_TYPE, &type, -EINVAL);
}

static void type_fields(void)
{
	static const struct moheap_field good = {
		.kind = MOHEAP_FIELD_REF, .width = 8, .count = 2, .offset = 8, .name = "f",
	};
	static const struct moheap_field bad[] = {
		{ .kind = 5, .width = 8, .count = 1 },
		{ .kind = MOHEAP_FIELD_INT, .width = 0, .count = 1 },
		{ .kind = MOHEAP_FIELD_INT, .width = 8, .count = 5 },
		{ .kind = MOHEAP_FIELD_INT, .width = 8, .count = 1, .offset = 25 },
		{ .kind = MOHEAP_FIELD_INT, .width = 8, .count = 1, .offset = ~0U - 7 },
		{ .kind = MOHEAP_FIELD_INT, .width = 0xffff, .count = ~0U },
		{ .kind = MOHEAP_FIELD_INT, .width = 8, .count = 0 },	/* payload is fixed */
		{ .kind = MOHEAP_FIELD_INT, .width = 8, .count = 1, .slot = 1 },
		{ .kind = MOHEAP_FIELD_REF, .width = 4, .count = 1 },
		{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 3 },
		{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 1, .slot = 2 },
		{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 2, .slot = ~0U },
		{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 1, .offset = 4 },
		{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 2, .offset = 24 },
		{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 0 },	/* slots are fixed */
		{ .kind = MOHEAP_FIELD_INT, .width = 8, .count = 1, .name = "a\0b" },
		{ .kind = MOHEAP_FIELD_INT, .width = 8, .count = 1,
		  .name = { [MOHEAP_NAME_LEN - 1] = 'x' } },
	};
	static struct moheap_field many[MOHEAP_FIELDS_MAX + 1];
	struct moheap_field fields[2];
	struct moheap_type type;
	unsigned int i;
	char *page = page_and_a_hole();

	setup();
	for (i = 0; i < TAP_COUNT(bad); i++) {
		fields[0] = good;
		fields[1] = bad[i];
		type = type_of("x", 32, 2, fields, 2);
		refused(fd, MOHEAP_IOC_TYPE, &type, -EINVAL);
	}
	for (i = 0; i < TAP_COUNT(many); i++)
		many[i] = good;
	type = type_of("x", 32, 2, many, TAP_COUNT(many));
	refused(fd, MOHEAP_IOC_TYPE, &type, -E2BIG);
	type = type_of("x", 32, 2, many, ~0U);
	refused(fd, MOHEAP_IOC_TYPE, &type, -E2BIG);
	type = type_of("x", 32, 2, NULL, 1);
	refused(fd, MOHEAP_IOC_TYPE, &type, -EFAULT);
	memcpy(page + 4096 - 72, many, 72);
	type = type_of("x", 32, 2, (struct moheap_field *)(page + 4096 - 72), 2);
	refused(fd, MOHEAP_IOC_TYPE, &type, -EFAULT);
	type = type_of("x", 32, 2, many, MOHEAP_FIELDS_MAX);
	err_is(raw_ioctl(fd, MOHEAP_IOC_TYPE, &type), 0);

	i = type.id;
	type = (struct moheap_type){ .size = sizeof(type), .id = i + 1 };
	refused(fd, MOHEAP_IOC_TYPE_INFO, &type, -ENOENT);
	type.id = ~0U;
	refused(fd, MOHEAP_IOC_TYPE_INFO, &type, -ENOENT);
	type = (struct moheap_type){ .size = sizeof(type), .id = i, .nfields = 2 };
	type.fields = (uintptr_t)page + 4096 - 72;
	refused(fd, MOHEAP_IOC_TYPE_INFO, &type, -EFAULT);
}

static void the_other_ioctls(void)
{
	struct moheap_collect collect = { .size = sizeof(collect), .generation = 3 };
	struct moheap_create create = { .size = sizeof(create) };
	struct moheap_tune tune = { .size = sizeof(tune) };
	static const struct moheap_tune bad[] = {
		{ .set = MOHEAP_TUNE_BUDGET, .budget = 0 },
		{ .set = MOHEAP_TUNE_BUDGET, .budget = MOHEAP_BUDGET_MAX + 1 },
		{ .set = MOHEAP_TUNE_THRESHOLD, .threshold = 0 },
		{ .set = MOHEAP_TUNE_GROWTH, .growth = 0 },
		{ .set = MOHEAP_TUNE_GROWTH, .growth = 1001 },
		{ .set = MOHEAP_TUNE_IDLE, .idle_ms = 0 },
		{ .set = MOHEAP_TUNE_IDLE, .idle_ms = 60001 },
		{ .set = MOHEAP_TUNE_FINALIZE, .finalize_ms = 0 },
		{ .set = MOHEAP_TUNE_FINALIZE, .finalize_ms = 86400001 },
		{ .set = MOHEAP_TUNE_DEBUG, .debug = 0x8 },
		{ .set = MOHEAP_TUNE_DEBUG, .debug = 0x40 },
		/* One that is fine and one that is not: neither is set. */
		{ .set = MOHEAP_TUNE_BUDGET | MOHEAP_TUNE_IDLE, .budget = 5, .idle_ms = 0 },
	};
	struct moheap_tune before = { .size = sizeof(before) };
	struct moheap_freeze freeze = { .size = sizeof(freeze) };
	unsigned int i;
	int plain;

	setup();
	refused(fd, MOHEAP_IOC_COLLECT, &collect, -EINVAL);
	collect.generation = ~0U;
	refused(fd, MOHEAP_IOC_COLLECT, &collect, -EINVAL);
	collect.generation = 0;
	refused(ro, MOHEAP_IOC_COLLECT, &collect, -EACCES);

	err_is(raw_ioctl(fd, MOHEAP_IOC_TUNE, &before), 0);
	for (i = 0; i < TAP_COUNT(bad); i++) {
		tune = bad[i];
		tune.size = sizeof(tune);
		refused(fd, MOHEAP_IOC_TUNE, &tune, -ERANGE);
		tune = (struct moheap_tune){ .size = sizeof(tune) };
		err_is(raw_ioctl(fd, MOHEAP_IOC_TUNE, &tune), 0);
		ok(!memcmp(&tune, &before, sizeof(tune)));
	}
	tune.reserved = 1;
	refused(fd, MOHEAP_IOC_TUNE, &tune, -EINVAL);
	tune.reserved = 0;
	tune.set = MOHEAP_TUNE_ENABLED;
	refused(ro, MOHEAP_IOC_TUNE, &tune, -EACCES);
	tune.set = 0;
	err_is(raw_ioctl(ro, MOHEAP_IOC_TUNE, &tune), 0);
	refused(ro, MOHEAP_IOC_FREEZE, &freeze, -EACCES);
	freeze.flags = MOHEAP_FREEZE_UNDO;
	refused(ro, MOHEAP_IOC_FREEZE, &freeze, -EACCES);
	err_is(raw_listen(ro, MOHEAP_LISTEN_FINALIZE), -EACCES);
	err_is(raw_listen(ro, MOHEAP_LISTEN_COLLECT), 0);

	plain = must(raw_open(O_RDWR));
	err_is(raw_ioctl(plain, MOHEAP_IOC_CREATE, &create), 0);
	err_is(raw_check(plain), -EPERM);
	close(plain);
}

static void finding_objects(void)
{
	struct moheap_objects objects = { .size = sizeof(objects), .refs = (uintptr_t)some_refs };
	struct moheap_usage usage = { .size = sizeof(usage), .type = 999 };

	setup();
	refused(fd, MOHEAP_IOC_OBJECTS, &objects, -EINVAL);
	objects.count = 4;
	objects.cursor = MOHEAP_OBJECTS_END;
	refused(fd, MOHEAP_IOC_OBJECTS, &objects, -EINVAL);
	objects.cursor = 0;
	objects.flags = MOHEAP_OBJECTS_REFERRERS;
	refused(fd, MOHEAP_IOC_OBJECTS, &objects, -EINVAL);
	objects.target = stale;
	refused(fd, MOHEAP_IOC_OBJECTS, &objects, -ESTALE);
	objects.target = b;
	objects.refs = 1;
	refused(fd, MOHEAP_IOC_OBJECTS, &objects, -EFAULT);
	objects.refs = (uintptr_t)some_refs;
	err_is(raw_ioctl(ro, MOHEAP_IOC_OBJECTS, &objects), 0);
	is(objects.count, 1);
	ok(some_refs[0] == a);
	ok(objects.cursor == MOHEAP_OBJECTS_END);
	refused(fd, MOHEAP_IOC_USAGE, &usage, -ENOENT);
	usage.type = fixed;
	usage.reserved = 1;
	refused(fd, MOHEAP_IOC_USAGE, &usage, -EINVAL);
	usage.reserved = 0;
	err_is(raw_ioctl(ro, MOHEAP_IOC_USAGE, &usage), 0);
	is(usage.used, 2);
}

static void taking_blocks(void)
{
	struct moheap_linger linger = {
		.size = sizeof(linger), .count = 1, .blocks = (uintptr_t)some_blocks,
	};
	moheap_ref_t refs[4];
	int type, i;

	setup();
	refused(fd, MOHEAP_IOC_LINGER, &linger, -EPERM);
	refused(ro, MOHEAP_IOC_LINGER, &linger, -EPERM);
	type = must(raw_type(guarded, "fixed", 32, 2, 0));
	err_is(raw_alloc(guarded, type, 4, refs), 0);
	for (i = 0; i < 4; i++)
		err_is(raw_drop(guarded, refs[i]), 0);
	refused(raw_join(guarded, O_RDONLY), MOHEAP_IOC_LINGER, &linger, -EACCES);
	err_is(raw_linger(guarded, some_blocks, MOHEAP_LINGER_MAX + 1, 0), -E2BIG);
	err_is(raw_linger(guarded, some_blocks, 2, MOHEAP_LINGER_MAX - 1), -E2BIG);
	err_is(raw_linger(guarded, some_blocks, ~0U, 1), -E2BIG);
	err_is(raw_linger(guarded, some_blocks, 1, ~0U), -E2BIG);
	/* What could not be told is free: it lingers no more. */
	is(raw_linger(guarded, some_blocks, 1, 0), 1);
	ok(some_blocks[0].ref == (refs[0] | MOHEAP_REF_REUSED));
	is(some_blocks[0].type, type);
	is(some_blocks[0].payload, 32);
	err_is(raw_linger(guarded, (void *)1, 4, 1), -EFAULT);
	is(raw_linger(guarded, some_blocks, 4, 1), 0);
	is(raw_linger(guarded, NULL, 0, 0), 0);
}

static void finding_sites(void)
{
	struct moheap_sites sites = {
		.size = sizeof(sites), .sites = 1, .count = 4, .cursor = MOHEAP_SITES_END,
	};
	struct moheap_object object;

	setup();
	err_is(raw_site(fd, a, 17), 0);
	err_is(raw_object(fd, a, &object), 0);
	is(object.site, 17);
	refused(fd, MOHEAP_IOC_SITES, &sites, -EINVAL);
	sites.cursor = 0;
	refused(fd, MOHEAP_IOC_SITES, &sites, -EFAULT);
	sites.sites = (uintptr_t)some_sites;
	err_is(raw_ioctl(fd, MOHEAP_IOC_SITES, &sites), 0);
	is(sites.count, 1);
	is(sites.client, object.site_client);
	ok(sites.cursor == MOHEAP_SITES_END);
	ok(some_sites[0].ref == a);
	is(some_sites[0].site, 17);
	is(some_sites[0].bytes, object.payload + object.header_bytes + object.slot_bytes);
	is(sites.bytes, some_sites[0].bytes);
	/* Figures alone need no room, wherever the cursor is; and who may only read can look. */
	sites.count = 0;
	sites.sites = 1;
	err_is(raw_ioctl(fd, MOHEAP_IOC_SITES, &sites), 0);
	ok(sites.cursor == MOHEAP_SITES_END);
	sites.cursor = 0;
	sites.sites = (uintptr_t)some_sites;
	sites.count = 4;
	err_is(raw_ioctl(ro, MOHEAP_IOC_SITES, &sites), 0);
	is(sites.count, 0);
	is(sites.objects, 0);
	sites.cursor = 0;
	sites.count = 4;
	sites.flags = MOHEAP_SITES_ALL;
	err_is(raw_ioctl(ro, MOHEAP_IOC_SITES, &sites), 0);
	is(sites.count, 1);
}

/* ---- Refs ---- */

static int object(moheap_ref_t ref)
{
	struct moheap_object info;

	return raw_object(fd, ref, &info);
}

static void invented(moheap_ref_t ref, int want)
{
	err_is(object(ref), want);
	err_is(raw_hold(fd, ref), want);
	op_refused(want, .code = MOHEAP_OP_LOAD, .ref = ref);
	op_refused(want, .code = MOHEAP_OP_STORE, .ref = ref, .a = b);
	if (ref)
		op_refused(want, .code = MOHEAP_OP_STORE, .ref = a, .a = ref);
}

static void refs_of_all_kinds(void)
{
	struct state before;
	unsigned int i;
	int err;

	setup();
	state_get(&before);
	invented(0, -EINVAL);
	invented(1, -EINVAL);
	invented(0xffffffff, -EINVAL);
	invented(b & 0xffffffff, -EINVAL);		/* generation 0 */
	invented(b + (1ULL << 32), -EINVAL);		/* even */
	invented(b | 0xffffffff, -EINVAL);		/* outside the arena */
	err_is(object(stale), -ESTALE);
	err_is(raw_hold(fd, stale), -ESTALE);
	op_refused(-ESTALE, .code = MOHEAP_OP_LOAD, .ref = stale);
	op_refused(-ESTALE, .code = MOHEAP_OP_STORE, .ref = stale, .a = b);
	op_refused(-ESTALE, .code = MOHEAP_OP_STORE, .ref = a, .a = stale);
	op_refused(-ESTALE, .code = MOHEAP_OP_EXCHANGE, .ref = a, .a = stale);
	op_refused(-ESTALE, .code = MOHEAP_OP_CMPXCHG, .ref = a, .a = stale, .b = b);
	op_refused(-ESTALE, .code = MOHEAP_OP_CMPXCHG, .ref = a, .a = b, .b = stale);
	op_refused(-ESTALE, .code = MOHEAP_OP_FILL, .ref = a, .a = stale, .b = 2);
	op_refused(-ESTALE, .code = MOHEAP_OP_COPY, .ref = a, .a = stale, .b = 1ULL << 32);
	err = object(foreign);
	ok(err == -ESTALE || err == -EINVAL);
	op_refused(err, .code = MOHEAP_OP_STORE, .ref = a, .a = foreign);
	op_refused(err, .code = MOHEAP_OP_STORE, .ref = foreign, .a = a);
	/* Inside of an object, and generations to come. */
	for (i = 1; i < 100; i++) {
		err = object(b + i);
		ok(err == -ESTALE || err == -EINVAL);
		err_is(object(b + ((__u64)i << 33)), -ESTALE);
	}
	unchanged(&before);
}

/* ---- Operations ---- */

static void batches(void)
{
	struct moheap_op ops[4] = { { 0 } };
	struct moheap_batch batch = { .size = sizeof(batch), .ops = (uintptr_t)ops };
	struct state before;
	unsigned int i;
	char *page = page_and_a_hole();
	__u32 done;

	setup();
	refused(fd, MOHEAP_IOC_BATCH, &batch, -EINVAL);
	batch.count = MOHEAP_BATCH_MAX + 1;
	refused(fd, MOHEAP_IOC_BATCH, &batch, -E2BIG);
	batch.count = ~0U;
	refused(fd, MOHEAP_IOC_BATCH, &batch, -E2BIG);
	batch.count = 1;
	batch.ops = 0;
	refused(fd, MOHEAP_IOC_BATCH, &batch, -EFAULT);
	batch.ops = 0xffff888000000000;
	refused(fd, MOHEAP_IOC_BATCH, &batch, -EFAULT);
	batch.ops = (uintptr_t)page + 4096 - 16;
	refused(fd, MOHEAP_IOC_BATCH, &batch, -EFAULT);

	/* The first that fails ends it, and the ones before stand. */
	for (i = 0; i < 4; i++)
		ops[i] = (struct moheap_op){ .code = MOHEAP_OP_STORE, .ref = a, .index = i / 2 };
	ops[0].a = a;
	ops[1].index = 2;
	err_is(raw_batch(fd, ops, 4, 0, &done), -ECANCELED);
	is(done, 1);
	is(ops[0].error, 0);
	is(ops[1].error, -ERANGE);
	is(ops[2].error, 0);
	ok(!raw_load(fd, a, 0, &ops[3].ref) && ops[3].ref == a);
	/* Or it goes on. */
	ops[3] = (struct moheap_op){ .code = MOHEAP_OP_STORE, .ref = a, .index = 0, .a = b };
	ops[2].code = 99;
	err_is(raw_batch(fd, ops, 4, MOHEAP_BATCH_CONTINUE, &done), 0);
	is(done, 4);
	is(ops[1].error, -ERANGE);
	is(ops[2].error, -EINVAL);
	is(ops[3].error, 0);
	state_get(&before);
	ok(before.slots[0] == b);
}

/* What it made and could not tell of is dropped again. */
static void results_that_cannot_be_written(void)
{
	struct moheap_op *ops = (struct moheap_op *)page_and_a_hole();
	struct moheap_batch batch = { .size = sizeof(batch), .ops = (uintptr_t)ops, .count = 40 };
	unsigned int i;

	setup();
	for (i = 0; i < 40; i++)
		ops[i] = (struct moheap_op){ .code = MOHEAP_OP_ALLOC, .index = fixed, .a = 1 };
	ok(!mprotect(ops, 4096, PROT_READ));
	refused(fd, MOHEAP_IOC_BATCH, &batch, -EFAULT);
	/* Half of them lies where nothing can be read. */
	ok(!mprotect(ops, 4096, PROT_READ | PROT_WRITE));
	batch.count = 40;
	batch.ops = (uintptr_t)ops + 4096 - 20 * sizeof(*ops);
	memcpy((void *)(uintptr_t)batch.ops, ops, 20 * sizeof(*ops));
	err_is(raw_ioctl(fd, MOHEAP_IOC_BATCH, &batch), -EFAULT);
	ok(batch.done <= 20);
	is(raw_objects(fd), 2 + batch.done);
	err_is(raw_check(fd), 0);
}

static void operations(void)
{
	static const __u8 codes[] = { 0, MOHEAP_OP_SITE + 1, 100, 255 };
	unsigned int i, bit;

	setup();
	for (i = 0; i < TAP_COUNT(codes); i++)
		op_refused(-EINVAL, .code = codes[i], .ref = a);
	for (i = MOHEAP_OP_ALLOC; i <= MOHEAP_OP_SITE; i++) {
		for (bit = 0; bit < 8; bit++) {
			struct moheap_op op = {
				.code = i,
				.flags = 1U << bit,
				.ref = a,
				.a = b,
				.b = i == MOHEAP_OP_CMPXCHG ? b : 0,
			};

			if (i == MOHEAP_OP_ALLOC || i == MOHEAP_OP_HOLD || i == MOHEAP_OP_DROP ||
			    i == MOHEAP_OP_LOAD)
				op.a = 0;
			if (bit || (i != MOHEAP_OP_LOAD && i != MOHEAP_OP_EXCHANGE))
				op_refused_by(fd, op, -EINVAL);
		}
	}
	/* Members that mean nothing here. */
	op_refused(-EINVAL, .code = MOHEAP_OP_HOLD, .ref = a, .index = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_HOLD, .ref = a, .a = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_HOLD, .ref = a, .b = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_DROP, .ref = a, .index = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_DROP, .ref = a, .a = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_DROP, .ref = a, .b = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_IMMORTAL, .ref = a, .index = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_IMMORTAL, .ref = a, .a = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_IMMORTAL, .ref = a, .b = 1);
	op_refused_by(ro, (struct moheap_op){ .code = MOHEAP_OP_IMMORTAL, .ref = a }, -EACCES);
	op_refused(-EINVAL, .code = MOHEAP_OP_DISCARD, .ref = a, .index = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_DISCARD, .ref = a, .a = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_DISCARD, .ref = a, .b = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_DISCARD, .ref = 0);
	op_refused(-ESTALE, .code = MOHEAP_OP_DISCARD, .ref = stale);
	op_refused(-ENOENT, .code = MOHEAP_OP_DISCARD, .ref = a);
	op_refused_by(ro, (struct moheap_op){ .code = MOHEAP_OP_DISCARD, .ref = a }, -EACCES);
	op_refused(-EINVAL, .code = MOHEAP_OP_STORE, .ref = a, .a = b, .b = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_LOAD, .ref = a, .a = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_LOAD, .ref = a, .b = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_EXCHANGE, .ref = a, .a = b, .b = 1);
}

static void drops(void)
{
	int other;

	setup();
	other = raw_join(fd, O_RDWR);
	op_refused_by(other, (struct moheap_op){ .code = MOHEAP_OP_DROP, .ref = a }, -ENOENT);
	err_is(raw_hold(other, a), 0);
	err_is(raw_hold(other, a), 0);
	err_is(raw_drop(other, a), 0);
	err_is(raw_drop(other, a), -ENOENT);
	close(other);
}

static void drops_of_the_stale(void)
{
	int err;

	setup();
	/* Not held, since it is gone; or gone: either is true. */
	err = raw_drop(fd, stale);
	ok(err == -ENOENT || err == -ESTALE);
	err = raw_drop(fd, b + (2ULL << 32));
	ok(err == -ENOENT || err == -ESTALE);
	op_refused_by(ro, (struct moheap_op){ .code = MOHEAP_OP_DROP, .ref = a }, -ENOENT);
}

static void renewals(void)
{
	const __u64 generation = 1ULL << 32;
	struct moheap_object info;
	moheap_ref_t own, next;
	int other;

	setup();
	err_is(raw_alloc(fd, fixed, 1, &own), 0);
	next = (own + 2 * generation) | MOHEAP_REF_REUSED;
	op_refused(-EINVAL, .code = MOHEAP_OP_RENEW, .ref = own, .a = 0);
	op_refused(-EINVAL, .code = MOHEAP_OP_RENEW, .ref = own, .a = own);
	op_refused(-EINVAL, .code = MOHEAP_OP_RENEW, .ref = own, .a = own + generation);
	op_refused(-EINVAL, .code = MOHEAP_OP_RENEW, .ref = own, .a = own - 2 * generation);
	op_refused(-EINVAL, .code = MOHEAP_OP_RENEW, .ref = own, .a = next + 2);
	op_refused(-EINVAL, .code = MOHEAP_OP_RENEW, .ref = own, .a = next & ~MOHEAP_REF_REUSED);
	op_refused(-EINVAL, .code = MOHEAP_OP_RENEW, .ref = own, .a = next, .b = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_RENEW, .ref = own, .a = next, .index = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_RENEW, .ref = 0, .a = next);
	op_refused(-ESTALE, .code = MOHEAP_OP_RENEW, .ref = next, .a = next + 2 * generation);
	/* Referred to, and referring. */
	op_refused(-EBUSY, .code = MOHEAP_OP_RENEW, .ref = b,
		   .a = (b + 2 * generation) | MOHEAP_REF_REUSED);
	op_refused(-EBUSY, .code = MOHEAP_OP_RENEW, .ref = a,
		   .a = (a + 2 * generation) | MOHEAP_REF_REUSED);
	/* Held by another; held by another only. */
	other = raw_join(fd, O_RDWR);
	op_refused_by(other, (struct moheap_op){ .code = MOHEAP_OP_RENEW, .ref = own, .a = next },
		      -ENOENT);
	err_is(raw_hold(other, own), 0);
	op_refused(-EBUSY, .code = MOHEAP_OP_RENEW, .ref = own, .a = next);
	err_is(raw_drop(other, own), 0);
	close(other);

	next += 10 * generation;
	err_is(raw_op(fd, &(struct moheap_op){ .code = MOHEAP_OP_RENEW, .ref = own, .a = next }),
	       0);
	err_is(object(own), -ESTALE);
	err_is(raw_object(fd, next, &info), 0);
	is(info.count, 1);
	ok(info.flags & MOHEAP_OBJECT_HELD);
	is(raw_objects(fd), 3);

	/* Both in one. */
	op_refused(-EINVAL, .code = MOHEAP_OP_DROP, .ref = next, .a = next);
	op_refused(-EINVAL, .code = MOHEAP_OP_DROP, .ref = next, .a = next + generation);
	op_refused(-EINVAL, .code = MOHEAP_OP_DROP, .ref = next, .a = next + 2 * generation,
		   .b = 1);
	op_refused(-ESTALE, .code = MOHEAP_OP_DROP, .ref = own, .a = next);
	op_refused(-EBUSY, .code = MOHEAP_OP_DROP, .ref = b,
		   .a = (b + 2 * generation) | MOHEAP_REF_REUSED);
	err_is(raw_op(fd, &(struct moheap_op){
		.code = MOHEAP_OP_DROP, .ref = next, .a = next + 20 * generation }), 0);
	err_is(object(next), -ESTALE);
	err_is(object(next + 20 * generation), -ESTALE);
	is(raw_objects(fd), 2);
	err_is(raw_check(fd), 0);
}

static void watches(void)
{
	__u32 id = 0, i;

	setup();
	op_refused(-EINVAL, .code = MOHEAP_OP_WATCH, .ref = a, .b = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_WATCH, .ref = a, .index = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_WATCH, .ref = a, .flags = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_WATCH, .ref = 0);
	op_refused(-ESTALE, .code = MOHEAP_OP_WATCH, .ref = stale);
	op_refused(-EINVAL, .code = MOHEAP_OP_UNWATCH, .b = 1, .ref = a);
	op_refused(-EINVAL, .code = MOHEAP_OP_UNWATCH, .b = 1, .a = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_UNWATCH, .b = 1, .index = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_UNWATCH, .b = 1, .flags = 1);
	op_refused(-ENOENT, .code = MOHEAP_OP_UNWATCH);
	op_refused(-ENOENT, .code = MOHEAP_OP_UNWATCH, .b = 1);
	op_refused(-ENOENT, .code = MOHEAP_OP_UNWATCH, .b = ~0ULL);
	for (i = 0; i < MOHEAP_WATCHES_MAX; i++)
		err_is(raw_watch(ro, a, i, &id), 0);
	op_refused(-EOVERFLOW, .code = MOHEAP_OP_WATCH, .ref = a);
	/* Of another client. */
	op_refused(-ENOENT, .code = MOHEAP_OP_UNWATCH, .b = id);
	err_is(raw_unwatch(ro, id), 0);
	err_is(raw_unwatch(ro, id), -ENOENT);
}

static void sites(void)
{
	setup();
	op_refused(-EINVAL, .code = MOHEAP_OP_SITE, .ref = a, .a = 1, .b = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_SITE, .ref = a, .a = 1, .index = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_SITE, .ref = a, .a = 1, .flags = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_SITE, .ref = a, .a = 1ULL << 32);
	op_refused(-EINVAL, .code = MOHEAP_OP_SITE, .ref = 0, .a = 1);
	op_refused(-ESTALE, .code = MOHEAP_OP_SITE, .ref = stale, .a = 1);
	op_refused_by(ro, (struct moheap_op){ .code = MOHEAP_OP_SITE, .ref = a, .a = 1 }, -EACCES);
	err_is(raw_site(fd, a, ~0U), 0);
	err_is(raw_site(fd, a, 0), 0);
}

/* A watch that the caller cannot be told of is none. */
static void untold_watches(void)
{
	struct moheap_op *op;
	struct moheap_object object;
	__u32 done;
	int err;

	setup();
	op = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(op != MAP_FAILED);
	*op = (struct moheap_op){ .code = MOHEAP_OP_WATCH, .ref = a };
	ok(!mprotect(op, 4096, PROT_READ));
	err = raw_batch(fd, op, 1, 0, &done);
	err_is(err, -EFAULT);
	err_is(raw_object(fd, a, &object), 0);
	ok(!(object.flags & MOHEAP_OBJECT_WATCHED));
	ok(!mprotect(op, 4096, PROT_READ | PROT_WRITE));
	err_is(raw_batch(fd, op, 1, 0, &done), 0);
	err_is(raw_object(fd, a, &object), 0);
	ok(object.flags & MOHEAP_OBJECT_WATCHED);
}

static void allocations(void)
{
	static moheap_ref_t made[100];
	char *page = page_and_a_hole();

	setup();
	op_refused(-ENOENT, .code = MOHEAP_OP_ALLOC, .index = varied + 1, .a = 1);
	op_refused(-ENOENT, .code = MOHEAP_OP_ALLOC, .index = ~0U, .a = 1);
	op_refused(-EINVAL, .code = MOHEAP_OP_ALLOC, .index = fixed, .a = 0);
	op_refused(-EINVAL, .code = MOHEAP_OP_ALLOC, .index = fixed, .a = 2);
	op_refused(-EINVAL, .code = MOHEAP_OP_ALLOC, .index = fixed, .a = 1, .b = 32);
	op_refused(-EINVAL, .code = MOHEAP_OP_ALLOC, .index = fixed, .a = 1, .b = 2ULL << 32);
	op_refused(-E2BIG, .code = MOHEAP_OP_ALLOC, .index = fixed, .a = MOHEAP_ALLOC_MAX + 1ULL,
		   .ref = (uintptr_t)made);
	op_refused(-E2BIG, .code = MOHEAP_OP_ALLOC, .index = fixed, .a = 1ULL << 32,
		   .ref = (uintptr_t)made);
	op_refused(-E2BIG, .code = MOHEAP_OP_ALLOC, .index = fixed, .a = ~0ULL,
		   .ref = (uintptr_t)made);
	op_refused(-E2BIG, .code = MOHEAP_OP_ALLOC, .index = varied, .a = 1,
		   .b = (MOHEAP_SLOTS_MAX + 1ULL) << 32 | 32);
	op_refused(-E2BIG, .code = MOHEAP_OP_ALLOC, .index = varied, .a = 1,
		   .b = 2ULL << 32 | (MOHEAP_PAYLOAD_MAX + 1U));
	op_refused(-EINVAL, .code = MOHEAP_OP_ALLOC, .index = varied, .a = 1, .b = 2ULL << 32 | 31);
	op_refused(-EINVAL, .code = MOHEAP_OP_ALLOC, .index = varied, .a = 1, .b = 1ULL << 32 | 32);
	op_refused_by(ro, (struct moheap_op){ .code = MOHEAP_OP_ALLOC, .index = fixed, .a = 1 },
		      -EACCES);
	/* No room for the refs. */
	op_refused(-EFAULT, .code = MOHEAP_OP_ALLOC, .index = fixed, .a = 5, .ref = 8);
	op_refused(-EFAULT, .code = MOHEAP_OP_ALLOC, .index = fixed, .a = 5,
		   .ref = 0xffff888000000000);
	op_refused(-EFAULT, .code = MOHEAP_OP_ALLOC, .index = fixed, .a = 5,
		   .ref = (uintptr_t)page + 4096 - 16);
}

static void slots_out_of_range(void)
{
	static moheap_ref_t read[4];
	static const __u32 outside[] = { 2, 3, 1000, 1U << 28, 1U << 31, ~0U };
	unsigned int i;

	setup();
	for (i = 0; i < TAP_COUNT(outside); i++) {
		op_refused(-ERANGE, .code = MOHEAP_OP_STORE, .ref = a, .index = outside[i], .a = b);
		op_refused(-ERANGE, .code = MOHEAP_OP_LOAD, .ref = a, .index = outside[i]);
		op_refused(-ERANGE, .code = MOHEAP_OP_EXCHANGE, .ref = a, .index = outside[i]);
		op_refused(-ERANGE, .code = MOHEAP_OP_CMPXCHG, .ref = a, .index = outside[i]);
		op_refused(-ERANGE, .code = MOHEAP_OP_FILL, .ref = a, .index = outside[i], .b = 1);
		op_refused(-ERANGE, .code = MOHEAP_OP_READ, .ref = a, .index = outside[i],
			   .a = (uintptr_t)read, .b = 1);
		op_refused(-ERANGE, .code = MOHEAP_OP_COPY, .ref = a, .index = outside[i],
			   .a = b, .b = 1ULL << 32);
		op_refused(-ERANGE, .code = MOHEAP_OP_COPY, .ref = a, .a = b,
			   .b = 1ULL << 32 | outside[i]);
	}
	/* The first is there, but not all; counts of zero and of 2^32. */
	op_refused(-ERANGE, .code = MOHEAP_OP_FILL, .ref = a, .index = 1, .a = b, .b = 2);
	op_refused(-ERANGE, .code = MOHEAP_OP_FILL, .ref = a, .a = b, .b = 1ULL << 32);
	op_refused(-ERANGE, .code = MOHEAP_OP_FILL, .ref = a, .index = 1, .a = b, .b = ~0ULL);
	op_refused(-EINVAL, .code = MOHEAP_OP_FILL, .ref = a, .a = b, .b = 0);
	op_refused(-ERANGE, .code = MOHEAP_OP_READ, .ref = a, .a = (uintptr_t)read, .b = 3);
	op_refused(-ERANGE, .code = MOHEAP_OP_READ, .ref = a, .a = (uintptr_t)read,
		   .b = 1ULL << 32);
	op_refused(-EINVAL, .code = MOHEAP_OP_READ, .ref = a, .a = (uintptr_t)read, .b = 0);
	op_refused(-ERANGE, .code = MOHEAP_OP_COPY, .ref = a, .a = b, .b = 3ULL << 32);
	op_refused(-ERANGE, .code = MOHEAP_OP_COPY, .ref = a, .a = b, .b = ~0ULL);
	op_refused(-EINVAL, .code = MOHEAP_OP_COPY, .ref = a, .a = b, .b = 0);
	op_refused(-EFAULT, .code = MOHEAP_OP_READ, .ref = a, .a = 8, .b = 2);
	op_refused(-EFAULT, .code = MOHEAP_OP_READ, .ref = a, .a = 0, .b = 1);
	op_refused(-EAGAIN, .code = MOHEAP_OP_CMPXCHG, .ref = a, .a = a, .b = a);
}

static void read_only_operations(void)
{
	static const struct moheap_op changing[] = {
		{ .code = MOHEAP_OP_ALLOC, .a = 1 },
		{ .code = MOHEAP_OP_STORE },
		{ .code = MOHEAP_OP_EXCHANGE },
		{ .code = MOHEAP_OP_CMPXCHG },
		{ .code = MOHEAP_OP_FILL, .b = 1 },
		{ .code = MOHEAP_OP_COPY, .b = 1ULL << 32 },
		{ .code = MOHEAP_OP_SITE },
	};
	struct moheap_op op;
	moheap_ref_t got;
	unsigned int i;

	setup();
	for (i = 0; i < TAP_COUNT(changing); i++) {
		op = changing[i];
		if (op.code != MOHEAP_OP_ALLOC) {
			op.ref = a;
			op.a = op.code == MOHEAP_OP_COPY ? b : 0;
		}
		op_refused_by(ro, op, -EACCES);
	}
	err_is(raw_load(ro, a, 0, &got), 0);
	ok(got == b);
	err_is(raw_hold(ro, a), 0);
	err_is(raw_drop(ro, a), 0);
}

/* ---- mmap ---- */

static void map_refused(int file, size_t size, int prot, int flags, off_t offset, int want)
{
	void *p = mmap(NULL, size, prot, flags, file, offset);

	if (p != MAP_FAILED)
		tap_fail(__FILE__, __LINE__, "mmap(%zu, %#x, %#x, %#lx) worked", size, prot, flags,
			 (long)offset);
	err_is(-errno, want);
}

static void mappings(void)
{
	struct moheap_stat stat;
	size_t size;
	void *p;

	setup();
	err_is(raw_stat(fd, &stat), 0);
	size = stat.arena_size;
	map_refused(fd, 4096, PROT_READ, MAP_PRIVATE, 0, -EINVAL);
	map_refused(fd, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0, -EINVAL);
	map_refused(fd, size + 4096, PROT_READ, MAP_SHARED, 0, -EINVAL);
	map_refused(fd, 4096, PROT_READ, MAP_SHARED, size, -EINVAL);
	map_refused(fd, 8192, PROT_READ, MAP_SHARED, size - 4096, -EINVAL);
	map_refused(fd, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, 0, -EACCES);
	map_refused(ro, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 0, -EACCES);
	map_refused(ro, 4096, PROT_WRITE, MAP_SHARED, 0, -EACCES);
	/* Nor later. */
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0);
	ok(p != MAP_FAILED);
	is(mprotect(p, 4096, PROT_READ | PROT_WRITE), -1);
	is(errno, EACCES);
	is(mprotect(p, 4096, PROT_READ | PROT_EXEC), -1);
	is(errno, EACCES);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, size - 4096);
	ok(p != MAP_FAILED);
	is(mprotect(p, 4096, PROT_READ | PROT_EXEC), -1);
	is(errno, EACCES);
	err_is(raw_check(fd), 0);
}

/* ---- Signals ---- */

static unsigned int signals;

static void on_alarm(int signal)
{
	(void)signal;
	__atomic_fetch_add(&signals, 1, __ATOMIC_RELAXED);
}

/* Where less is to be done, things take longer: and signals should leave it time to go on. */
static void alarms(unsigned int microseconds)
{
	unsigned int slower = microseconds * 100ULL / tap_scaled(100);
	struct itimerval timer = {
		.it_interval = { .tv_usec = slower },
		.it_value = { .tv_usec = slower },
	};
	struct sigaction action = { .sa_handler = on_alarm };

	ok(!sigaction(SIGALRM, &action, NULL));
	ok(!setitimer(ITIMER_REAL, &timer, NULL));
}

enum { LONG = 300000 };

/* A long operation, resumed as often as it takes. Returns how often it was cut. */
static unsigned int carry_on(struct moheap_op op, __u64 left)
{
	unsigned int cuts = 0;
	__u64 some;
	struct moheap_op now;
	__u32 done;
	int err;

	while (left) {
		now = op;
		if (op.code == MOHEAP_OP_COPY)
			now.b = left << 32 | (__u32)op.b;
		else if (op.code == MOHEAP_OP_ALLOC)
			now.a = left;
		else
			now.b = left;
		err = raw_batch(fd, &now, 1, 0, &done);
		ok(err == 0 || err == -EINTR);
		is(done, err ? 0 : 1);
		if (err && !now.error) {
			cuts++;
			continue;
		}
		err_is(now.error, err);
		some = op.code == MOHEAP_OP_ALLOC ? now.a : now.b;
		ok(some <= left);
		is(!err, some == left);
		left -= some;
		op.index += op.code == MOHEAP_OP_ALLOC ? 0 : some;
		if (op.code == MOHEAP_OP_ALLOC)
			op.ref += some * sizeof(moheap_ref_t);
		else if (op.code == MOHEAP_OP_READ)
			op.a += some * sizeof(moheap_ref_t);
		else if (op.code == MOHEAP_OP_COPY)
			op.b += some;
		cuts += !!err;
	}
	return cuts;
}

static void signals_in_long_operations(void)
{
	static moheap_ref_t got[LONG];
	moheap_ref_t x, y;
	unsigned int cuts = 0, i;
	__u64 n = tap_scaled(LONG);

	setup();
	err_is(raw_alloc_sized(fd, varied, 32, n, &x), 0);
	err_is(raw_alloc_sized(fd, varied, 32, n, &y), 0);
	alarms(1500);
	cuts += carry_on((struct moheap_op){ .code = MOHEAP_OP_FILL, .ref = x, .a = b }, n);
	cuts += carry_on((struct moheap_op){ .code = MOHEAP_OP_COPY, .ref = y, .a = x }, n);
	cuts += carry_on((struct moheap_op){
		.code = MOHEAP_OP_READ, .ref = y, .a = (uintptr_t)got }, n);
	for (i = 0; i < n; i++)
		ok(got[i] == b);
	n /= 3;
	cuts += carry_on((struct moheap_op){
		.code = MOHEAP_OP_ALLOC, .index = fixed, .ref = (uintptr_t)got }, n);
	alarms(0);
	tap_note("%u signals, %u cuts", __atomic_load_n(&signals, __ATOMIC_RELAXED), cuts);
	ok(cuts > 3);
	is(raw_objects(fd), 2 + 2 + n);
	err_is(raw_check(fd), 0);
}

static void signals_in_batches(void)
{
	static struct moheap_op ops[20000];
	unsigned int cuts = 0, at, i, rounds = tap_scaled(20);
	__u32 done;
	int err;

	setup();
	alarms(1500);
	while (rounds--) {
		for (i = 0; i < TAP_COUNT(ops); i++)
			ops[i] = (struct moheap_op){
				.code = MOHEAP_OP_EXCHANGE,
				.ref = a,
				.index = 1,
				.a = i % 2 ? a : b,
			};
		for (at = 0; at < TAP_COUNT(ops); at += done) {
			err = raw_batch(fd, ops + at, TAP_COUNT(ops) - at, 0, &done);
			ok(err == 0 || err == -EINTR);
			ok(err ? at + done < TAP_COUNT(ops) : at + done == TAP_COUNT(ops));
			cuts += !!err;
		}
		/* Each was done once, and in order. */
		for (i = 1; i < TAP_COUNT(ops); i++)
			ok(ops[i].a == (i % 2 ? b : a));
	}
	alarms(0);
	tap_note("%u signals, %u cuts", __atomic_load_n(&signals, __ATOMIC_RELAXED), cuts);
	ok(cuts > 3);
	err_is(raw_check(fd), 0);
}

static void signals_in_collections(void)
{
	static moheap_ref_t made[100000];
	unsigned int i, cuts = 0, n = tap_scaled(TAP_COUNT(made));
	struct moheap_collect collect;
	int err = -EINTR;
	struct moheap_tune off = { .size = sizeof(off), .set = MOHEAP_TUNE_ENABLED };

	setup();
	err_is(raw_ioctl(fd, MOHEAP_IOC_TUNE, &off), 0);
	err_is(raw_alloc(fd, fixed, n, made), 0);
	for (i = 0; i < n; i++)
		err_is(raw_store(fd, made[i], 0, made[(i + 1) % n]), 0);
	alarms(1500);
	while (err == -EINTR && cuts < 10) {
		collect = (struct moheap_collect){ .size = sizeof(collect), .generation = 2 };
		err = raw_ioctl(fd, MOHEAP_IOC_COLLECT, &collect);
		cuts += err == -EINTR;
	}
	alarms(0);
	ok(cuts);
	for (i = 0; i < n; i++)
		err_is(raw_drop(fd, made[i]), 0);
	err_is(raw_collect(fd, MOHEAP_COLLECT_FULL), 0);
	is(raw_objects(fd), 2);
	err_is(raw_check(fd), 0);
}

/* The library carries on by itself. */
static void signals_and_the_library(void)
{
	struct moheap *heap = tap_heap();
	static moheap_ref_t refs[LONG / 10];
	unsigned int i, cuts, some = tap_scaled(LONG) / 10, n = 10 * some;
	moheap_ref_t one, x, y;
	int type, err;

	type = tap_type(heap, "t", 8, 0);
	one = tap_new(heap, type);
	alarms(1500);
	err_is(moheap_list_repeat(heap, one, n, &x), 0);
	err_is(moheap_list_concat(heap, x, x, &y), 0);
	err_is(moheap_list_insert(heap, y, 0, 0), 0);
	err_is(moheap_new_many(heap, type, some, refs), 0);
	for (i = 0; i < some; i++)
		err_is(moheap_decref(heap, refs[i]), 0);
	for (i = 0; i < 2 * n; i += some) {
		err_is(moheap_list_read(heap, y, i + 1, some, refs), 0);
		ok(refs[0] == one && refs[some - 1] == one);
	}
	moheap_decref(heap, x);
	moheap_decref(heap, y);
	/* Where it takes longer than from one signal to the next, it would be cut each time. */
	for (cuts = 0; (err = moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL)) == -EINTR; cuts++)
		if (cuts == 10)
			alarms(0);
	err_is(err, 0);
	alarms(0);
	ok(__atomic_load_n(&signals, __ATOMIC_RELAXED) > 3);
	is(moheap_refcount(heap, one), 1);
	moheap_decref(heap, one);
	is(tap_objects(heap), 0);
}

/* ---- Anything at all ---- */

static __u64 random_state;

static __u64 any(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static __u64 any_value(const moheap_ref_t *live, unsigned int n, const void *buffer)
{
	switch (any() % 20) {
	case 0:
		return 0;
	case 1:
		return any();
	case 2:
		return 1ULL << any() % 64;
	case 3:
		return any() % 100;
	case 4:
		return (any() % 100) << 32 | any() % 100;
	case 5:
		return (uintptr_t)buffer;
	case 6:
		return live[any() % n] ^ 1ULL << any() % 64;
	case 7:
		return stale;
	default:
		return live[any() % n];
	}
}

/* An operation that may make sense: what it does not use is mostly zero. */
static void any_op(struct moheap_op *op, const moheap_ref_t *live, unsigned int n, void *buffer)
{
	op->code = any() % (MOHEAP_OP_SITE + 2);
	op->flags = any() % 8 ? 0 : any();
	op->index = any() % 8 ? any() % 4 : any();
	op->error = any();
	op->ref = any_value(live, n, buffer);
	op->a = any_value(live, n, buffer);
	op->b = any() % 4 ? any_value(live, n, buffer) : (any() % 3) << 32 | any() % 3;
	if (any() % 8 == 0)
		return;
	switch (op->code) {
	case MOHEAP_OP_ALLOC:
		op->a = 1 + any() % 50;
		op->ref = (uintptr_t)buffer;
		op->b = op->index == (__u32)varied ? (2 + any() % 5) << 32 | (32 + any() % 50) : 0;
		break;
	case MOHEAP_OP_HOLD:
	case MOHEAP_OP_DROP:
		op->a = 0;
		op->index = 0;
		op->b = 0;
		break;
	case MOHEAP_OP_LOAD:
		op->a = 0;
		op->b = 0;
		break;
	case MOHEAP_OP_STORE:
	case MOHEAP_OP_EXCHANGE:
	case MOHEAP_OP_RENEW:
		op->b = 0;
		break;
	case MOHEAP_OP_READ:
		op->a = (uintptr_t)buffer;
		op->b %= 8;
		break;
	case MOHEAP_OP_WATCH:
		op->index = 0;
		op->b = 0;
		break;
	case MOHEAP_OP_SITE:
		op->index = 0;
		op->a = any() % 8;
		op->b = 0;
		break;
	case MOHEAP_OP_UNWATCH:
		op->index = 0;
		op->ref = 0;
		op->a = 0;
		op->b = any() % 256;
		break;
	default:
		break;
	}
}

static bool documented(int err)
{
	static const int errors[] = {
		0, EINVAL, ESTALE, EACCES, EOVERFLOW, ENOMEM, EINTR, EFAULT, ENOENT, E2BIG, ENOSPC,
		ERANGE, EAGAIN,
		EBUSY,
	};
	unsigned int i;

	for (i = 0; i < TAP_COUNT(errors); i++)
		if (err == -errors[i])
			return true;
	return false;
}

static void anything_at_all(void)
{
	const char *seed = getenv("MOHEAP_SEED");
	static moheap_ref_t buffer[1 << 20], live[64];
	unsigned long n = tap_scaled(3000), made_sense = 0;
	struct moheap_op ops[20];
	unsigned int i, count;
	__u32 done;
	int keeper;

	random_state = seed ? strtoull(seed, NULL, 0) : 88172645463325252ULL ^ time(NULL);
	tap_note("MOHEAP_SEED=%llu", random_state);
	setup_limited(32 << 20);
	live[0] = a;
	live[1] = b;
	for (i = 2; i < 64; i++)
		err_is(raw_alloc_sized(fd, varied, 32 + i, i, &live[i]), 0);
	keeper = must(raw_clone(fd));
	while (n--) {
		count = 1 + any() % TAP_COUNT(ops);
		for (i = 0; i < count; i++)
			any_op(&ops[i], live, 64, buffer);
		err_is(raw_batch(fd, ops, count, MOHEAP_BATCH_CONTINUE, &done), 0);
		is(done, count);
		for (i = 0; i < count; i++) {
			if (!documented(ops[i].error))
				tap_fail(__FILE__, __LINE__, "op %u: error %d", ops[i].code,
					 ops[i].error);
			made_sense += !ops[i].error;
		}
		if (n % 500 == 0)
			err_is(raw_check(fd), 0);
	}
	tap_note("%lu operations made sense", made_sense);
	ok(made_sense > 10);
	err_is(raw_check(fd), 0);
	close(fd);
	err_is(raw_collect(keeper, MOHEAP_COLLECT_FULL), 0);
	/* What the keeper holds, and may be reached from there: nothing was lost. */
	for (i = 0; i < 64; i++)
		err_is(raw_hold(keeper, live[i]), 0);
	err_is(raw_check(keeper), 0);
}

static const struct tap_case cases[] = {
	{ "every ioctl works when everything is right", every_ioctl_works },
	{ "ENOTTY: no ioctl of moheap", no_ioctl_of_moheap },
	{ "EINVAL, E2BIG: short and oversized structures", sizes },
	{ "EINVAL: unknown flags, padding that is not zero", flags_and_padding },
	{ "EFAULT: bad pointers", bad_pointers },
	{ "ENOTCONN: files bound to no heap", unbound_files },
	{ "CREATE, JOIN: EISCONN, EACCES, ERANGE, EBADF, EINVAL", create_and_join },
	{ "CREATE: EDQUOT", too_many_heaps },
	{ "CLONE: EMFILE", no_room_for_a_file },
	{ "CLONE: ENFILE", no_room_for_a_file_at_all },
	{ "TYPE: names, EEXIST, EACCES", type_names },
	{ "TYPE: bounds", type_bounds },
	{ "TYPE, TYPE_INFO: fields, E2BIG, ENOENT", type_fields },
	{ "COLLECT, TUNE, FREEZE, LISTEN, CHECK: EINVAL, EACCES, ERANGE, EPERM", the_other_ioctls },
	{ "OBJECTS, USAGE: EINVAL, ESTALE, EFAULT, ENOENT", finding_objects },
	{ "LINGER: EPERM, EACCES, E2BIG, EFAULT", taking_blocks },
	{ "SITES: EINVAL, EFAULT", finding_sites },
	{ "refs: stale, foreign, invented", refs_of_all_kinds },
	{ "BATCH: EINVAL, E2BIG, ECANCELED", batches },
	{ "BATCH: results that cannot be written", results_that_cannot_be_written },
	{ "operations: unknown codes, flags, members", operations },
	{ "DROP: ENOENT", drops },
	{ "DROP: of the stale", drops_of_the_stale },
	{ "RENEW: ENOENT, EINVAL, EBUSY, ESTALE", renewals },
	{ "WATCH, UNWATCH: EINVAL, ESTALE, EOVERFLOW, ENOENT", watches },
	{ "WATCH: EFAULT", untold_watches },
	{ "SITE: EINVAL, ESTALE, EACCES", sites },
	{ "ALLOC: ENOENT, EINVAL, E2BIG, EFAULT", allocations },
	{ "slots: ERANGE, counts of zero and 2^32, EAGAIN", slots_out_of_range },
	{ "operations of a read-only client: EACCES", read_only_operations },
	{ "mmap: EINVAL, EACCES", mappings },
	{ "EINTR: in long operations", signals_in_long_operations },
	{ "EINTR: in batches", signals_in_batches },
	{ "EINTR: in collections", signals_in_collections },
	{ "EINTR: not through the library", signals_and_the_library },
	{ "anything at all", anything_at_all },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
