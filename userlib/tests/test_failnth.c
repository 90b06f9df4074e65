// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Every allocation, and every access to the caller's memory, fails once: the first of a call,
 * then the second, and so on until a call gets by without meeting a fault. What comes back must
 * be an errno of the table, the heap intact and as it was before; and then the same call must
 * work.
 *
 * Needs a kernel with CONFIG_FAULT_INJECTION (/proc/self/fail-nth), and root.
 */
#include <signal.h>
#include <sys/mman.h>

#include "raw.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define DEBUGFS		"/sys/kernel/debug/"
#define MOST_FAULTS	400

/* ---- Faults ---- */

static bool set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	bool written;

	if (fd < 0)
		return false;
	written = write(fd, value, strlen(value)) > 0;
	close(fd);
	return written;
}

static void faults_need(void)
{
	if (access(FAIL_NTH, W_OK))
		tap_skip("no " FAIL_NTH);
	if (!set(DEBUGFS "failslab/ignore-gfp-wait", "N"))
		tap_skip("no failslab");
	set(DEBUGFS "failslab/verbose", "0");
	set(DEBUGFS "fail_page_alloc/verbose", "0");
	set(DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N");
	set(DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N");
	set(DEBUGFS "fail_page_alloc/min-order", "0");
	set(DEBUGFS "fail_usercopy/verbose", "0");
}

static int fail_fd;

static void fault_arm(unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	is(write(fail_fd, text, n), n);
}

/* Was there a fault since fault_arm()? */
static bool fault_met(void)
{
	char text[16] = "";
	ssize_t n = pread(fail_fd, text, sizeof(text) - 1, 0);

	/* The read itself may be the one that is made to fail. */
	while (write(fail_fd, "0", 1) != 1)
		;
	return n > 0 && atoi(text) == 0;
}

/* ---- What a call finds ---- */

enum { SMALL = 40 };

struct scene {
	int fd;		/* a client that holds small[0], small[1], ... */
	int other;	/* a client that holds nothing */
	int unbound;
	int fixed, varied;
	moheap_ref_t small[SMALL];
	moheap_ref_t array, second;	/* 500 slots each, held by fd */
	__u32 watch;	/* of array, by fd */
	int plain;	/* a heap without types, for calls that have it */
	int guarded;	/* a heap with blocks that linger, and a type without objects; likewise */
	int large;	/* that type */
	int final;	/* a type, to be finalized by other */
	moheap_ref_t due;	/* one that is */
	struct moheap_stat stat;
	int made;	/* file that the call has opened */
	__u64 done;	/* objects that the call has made, in spite of all */
};

static moheap_ref_t made[6000];

static struct moheap_stat stat_of(int fd)
{
	struct moheap_stat stat;

	err_is(raw_stat(fd, &stat), 0);
	return stat;
}

static int guarded_heap(void)
{
	int fd = raw_heap_flags(0, MOHEAP_CREATE_DEBUG | MOHEAP_CREATE_GUARD);
	int type = must(raw_type(fd, "small", 16, 0, 0));
	moheap_ref_t refs[SMALL];
	unsigned int i;

	err_is(raw_alloc(fd, type, SMALL, refs), 0);
	for (i = 0; i < SMALL; i++)
		err_is(raw_drop(fd, refs[i]), 0);
	return fd;
}

enum { PLAIN = 1, GUARDED = 2 };

static void scene_set(struct scene *s, unsigned int has)
{
	struct moheap_op fill = { .code = MOHEAP_OP_FILL, .b = 500 };

	memset(s, 0, sizeof(*s));
	s->made = -1;
	s->fd = raw_heap(8 << 20);
	s->other = raw_join(s->fd, O_RDWR);
	s->unbound = must(raw_open(O_RDWR));
	s->fixed = must(raw_type(s->fd, "fixed", 100, 2, 0));
	s->varied = must(raw_type(s->fd, "varied", 0, 0,
				  MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS));
	err_is(raw_alloc(s->fd, s->fixed, SMALL, s->small), 0);
	err_is(raw_alloc_sized(s->fd, s->varied, 0, 500, &s->array), 0);
	err_is(raw_alloc_sized(s->fd, s->varied, 20, 500, &s->second), 0);
	err_is(raw_store(s->fd, s->small[0], 0, s->small[1]), 0);
	fill.ref = s->array;
	fill.a = s->small[2];
	err_is(raw_op(s->fd, &fill), 0);
	err_is(raw_watch(s->fd, s->array, 0, &s->watch), 0);
	err_is(raw_site(s->fd, s->array, 5), 0);
	s->plain = has & PLAIN ? raw_heap(0) : -1;
	s->guarded = has & GUARDED ? guarded_heap() : -1;
	s->large = has & GUARDED ? must(raw_type(s->guarded, "large", 2000, 0, 0)) : 0;
	s->final = must(raw_type(s->fd, "final", 32, 2, MOHEAP_TYPE_FINALIZE));
	err_is(raw_listen(s->other, MOHEAP_LISTEN_FINALIZE), 0);
	err_is(raw_alloc(s->fd, s->final, 1, &s->due), 0);
	err_is(raw_drop(s->fd, s->due), 0);
	/* Two events. */
	err_is(raw_listen(s->fd, MOHEAP_LISTEN_COLLECT), 0);
	err_is(raw_collect(s->fd, MOHEAP_COLLECT_LOCAL), 0);
	/* And garbage for the collector. */
	err_is(raw_store(s->fd, s->small[10], 0, s->small[11]), 0);
	err_is(raw_store(s->fd, s->small[11], 0, s->small[10]), 0);
	s->stat = stat_of(s->fd);
}

static void scene_strike(struct scene *s)
{
	close(s->fd);
	close(s->other);
	close(s->unbound);
	if (s->plain >= 0)
		close(s->plain);
	if (s->guarded >= 0)
		close(s->guarded);
	if (s->made >= 0)
		close(s->made);
}

static int batch_op(int fd, struct moheap_op op)
{
	return raw_op(fd, &op);
}

/* ---- The calls ---- */

static int call_open(struct scene *s)
{
	s->made = raw_open(O_RDWR);
	return s->made < 0 ? s->made : 0;
}

static int call_create(struct scene *s)
{
	struct moheap_create create = { .size = sizeof(create), .flags = MOHEAP_CREATE_DEBUG };

	return raw_ioctl(s->unbound, MOHEAP_IOC_CREATE, &create);
}

static int call_join(struct scene *s)
{
	struct moheap_join join = { .size = sizeof(join), .fd = s->fd };

	return raw_ioctl(s->unbound, MOHEAP_IOC_JOIN, &join);
}

static int call_clone(struct scene *s)
{
	s->made = raw_clone(s->fd);
	return s->made < 0 ? s->made : 0;
}

static int call_type(struct scene *s)
{
	struct moheap_field fields[3] = {
		{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 2, .name = "f" },
	};
	struct moheap_type type = {
		.size = sizeof(type),
		.payload = 64,
		.slots = 2,
		.fields = (uintptr_t)fields,
		.nfields = 1,
		.name = "new",
	};

	return raw_ioctl(s->fd, MOHEAP_IOC_TYPE, &type);
}

static int call_type_info(struct scene *s)
{
	struct moheap_type type = { .size = sizeof(type), .id = s->fixed };

	return raw_ioctl(s->fd, MOHEAP_IOC_TYPE_INFO, &type);
}

static int call_object(struct scene *s)
{
	struct moheap_object object;

	return raw_object(s->fd, s->small[0], &object);
}

static int call_collect(struct scene *s)
{
	return raw_collect(s->fd, MOHEAP_COLLECT_FULL);
}

static int call_stat(struct scene *s)
{
	struct moheap_stat stat;

	return raw_stat(s->fd, &stat);
}

static int call_tune(struct scene *s)
{
	struct moheap_tune tune = { .size = sizeof(tune) };

	return raw_ioctl(s->fd, MOHEAP_IOC_TUNE, &tune);
}

static int call_freeze(struct scene *s)
{
	struct moheap_freeze freeze = { .size = sizeof(freeze) };
	int err = raw_ioctl(s->fd, MOHEAP_IOC_FREEZE, &freeze);

	freeze.flags = MOHEAP_FREEZE_UNDO;
	return err ? err : raw_ioctl(s->fd, MOHEAP_IOC_FREEZE, &freeze);
}

static int call_check(struct scene *s)
{
	return raw_check(s->fd);
}

static int call_mmap(struct scene *s)
{
	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);

	return p == MAP_FAILED ? -errno : munmap(p, 1 << 20);
}

static int alloc_n(struct scene *s, int type, __u64 n, __u64 size)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_ALLOC,
		.index = type,
		.a = n,
		.b = size,
		.ref = (uintptr_t)made,
	};
	int err;

	made[0] = 0;
	err = raw_op(s->fd, &op);
	if (err == -EFAULT && !op.error)
		/* The batch itself could not be read, or written back: then nothing is told. */
		s->done = stat_of(s->fd).objects - s->stat.objects;
	else if (!err || made[0])
		s->done = op.a;
	return err;
}

static int call_alloc(struct scene *s)
{
	return alloc_n(s, s->fixed, 1, 0);
}

static int call_alloc_many(struct scene *s)
{
	return alloc_n(s, s->fixed, 300, 0);
}

static int call_alloc_array(struct scene *s)
{
	return alloc_n(s, s->varied, 2, 20000ULL << 32);
}

static int call_alloc_large(struct scene *s)
{
	return alloc_n(s, s->varied, 2, 20000);
}

static int call_alloc_other(struct scene *s)
{
	return batch_op(s->other, (struct moheap_op){
		.code = MOHEAP_OP_ALLOC, .index = s->fixed, .a = 1 });
}

static int call_hold(struct scene *s)
{
	return raw_hold(s->other, s->small[0]);
}

static int call_drop(struct scene *s)
{
	return raw_drop(s->fd, s->small[10]);
}

static int call_store(struct scene *s)
{
	return raw_store(s->fd, s->small[0], 1, s->small[3]);
}

static int call_load(struct scene *s)
{
	return batch_op(s->other, (struct moheap_op){
		.code = MOHEAP_OP_LOAD, .flags = MOHEAP_OP_F_HOLD, .ref = s->small[0] });
}

static int call_exchange(struct scene *s)
{
	return batch_op(s->other, (struct moheap_op){
		.code = MOHEAP_OP_EXCHANGE, .flags = MOHEAP_OP_F_HOLD, .ref = s->small[0],
		.a = s->small[1] });
}

static int call_cmpxchg(struct scene *s)
{
	return batch_op(s->fd, (struct moheap_op){
		.code = MOHEAP_OP_CMPXCHG, .ref = s->small[0], .a = s->small[1],
		.b = s->small[1] });
}

static int call_fill(struct scene *s)
{
	return batch_op(s->fd, (struct moheap_op){
		.code = MOHEAP_OP_FILL, .ref = s->array, .a = s->small[2], .b = 500 });
}

static int call_copy(struct scene *s)
{
	return batch_op(s->fd, (struct moheap_op){
		.code = MOHEAP_OP_COPY, .ref = s->second, .a = s->array, .b = 500ULL << 32 });
}

static int call_read(struct scene *s)
{
	return batch_op(s->fd, (struct moheap_op){
		.code = MOHEAP_OP_READ, .ref = s->array, .a = (uintptr_t)made, .b = 500 });
}

static int call_renew(struct scene *s)
{
	moheap_ref_t next = (s->small[20] + (2ULL << 32)) | MOHEAP_REF_REUSED;
	int err = batch_op(s->fd, (struct moheap_op){
		.code = MOHEAP_OP_RENEW, .ref = s->small[20], .a = next });

	/* Done, but for telling: the second time it is stale. */
	return err == -ESTALE ? 0 : err;
}

static int call_listen(struct scene *s)
{
	return raw_listen(s->other, MOHEAP_LISTEN_COLLECT | MOHEAP_LISTEN_FINALIZE);
}

/* Two events, however often it failed before. */
static int call_events(struct scene *s)
{
	struct moheap_event events[4];
	int ret = raw_read(s->fd, events, sizeof(events));

	return ret == 2 * (int)sizeof(*events) ? 0 : ret;
}

static int call_watch(struct scene *s)
{
	__u32 id;

	return raw_watch(s->other, s->small[0], 1, &id);
}

/* Done, but for telling: the second time there is none. */
static int call_unwatch(struct scene *s)
{
	int ret = raw_unwatch(s->fd, s->watch);

	return ret == -ENOENT ? 0 : ret;
}

/* A pool with what it takes to finalize, for one who could be handed objects. */
static int call_alloc_final(struct scene *s)
{
	return alloc_n(s, s->final, 1, 0);
}

static int call_type_final(struct scene *s)
{
	int type = raw_type(s->plain, "final", 0, 1, MOHEAP_TYPE_FINALIZE);

	return type < 0 ? type : 0;
}

static int call_listen_final(struct scene *s)
{
	return raw_listen(s->fd, MOHEAP_LISTEN_FINALIZE);
}

/* One who never held anything is handed an object. */
static int call_hand(struct scene *s)
{
	struct moheap_event event;
	int ret = raw_read(s->other, &event, sizeof(event));

	if (ret == sizeof(event)) {
		ok(event.type == MOHEAP_EVENT_FINALIZE && event.ref == s->due);
		return 0;
	}
	return ret;
}

static int call_objects(struct scene *s)
{
	struct moheap_objects objects = {
		.size = sizeof(objects), .refs = (uintptr_t)made, .count = TAP_COUNT(made),
	};

	return raw_ioctl(s->fd, MOHEAP_IOC_OBJECTS, &objects);
}

static int call_usage(struct scene *s)
{
	struct moheap_usage usage = { .size = sizeof(usage), .type = s->fixed };

	return raw_ioctl(s->fd, MOHEAP_IOC_USAGE, &usage);
}

/* After a fault some of them may be free. */
static int call_linger(struct scene *s)
{
	struct moheap_block blocks[SMALL];
	int ret = raw_linger(s->guarded, blocks, SMALL, 0);

	return ret < 0 ? ret : 0;
}

/* The first pool of a type in a guarded heap. */
static int call_alloc_guarded(struct scene *s)
{
	moheap_ref_t ref;

	return raw_alloc(s->guarded, s->large, 1, &ref);
}

static int call_immortal(struct scene *s)
{
	return batch_op(s->fd, (struct moheap_op){
		.code = MOHEAP_OP_IMMORTAL, .ref = s->small[0] });
}

static int call_site(struct scene *s)
{
	return raw_site(s->fd, s->small[0], 1);
}

static int call_sites(struct scene *s)
{
	struct moheap_sites sites = {
		.size = sizeof(sites), .sites = (uintptr_t)made, .count = TAP_COUNT(made) / 4,
		.flags = MOHEAP_SITES_RESET_PEAK,
	};

	return raw_ioctl(s->fd, MOHEAP_IOC_SITES, &sites);
}

static int call_sites_clear(struct scene *s)
{
	struct moheap_sites sites;

	return raw_sites(s->fd, MOHEAP_SITES_CLEAR, &sites);
}

struct call {
	const char *name;
	int (*run)(struct scene *s);
	int errors[3];	/* besides ENOMEM and EFAULT */
	unsigned int has;
};

static const struct call calls[] = {
	{ "open", call_open, { -ENFILE } },
	{ "CREATE", call_create },
	{ "JOIN", call_join },
	{ "CLONE", call_clone, { -ENFILE, -EMFILE } },
	{ "TYPE", call_type },
	{ "TYPE_INFO", call_type_info },
	{ "OBJECT", call_object },
	{ "COLLECT", call_collect },
	{ "STAT", call_stat },
	{ "TUNE", call_tune },
	{ "FREEZE", call_freeze },
	{ "CHECK", call_check },
	{ "mmap", call_mmap },
	{ "ALLOC", call_alloc },
	{ "ALLOC of 300", call_alloc_many },
	{ "ALLOC of arrays", call_alloc_array },
	{ "ALLOC of large payloads", call_alloc_large },
	{ "ALLOC by a new client", call_alloc_other },
	{ "HOLD", call_hold },
	{ "DROP", call_drop },
	{ "STORE", call_store },
	{ "LOAD and hold", call_load },
	{ "EXCHANGE and hold", call_exchange },
	{ "CMPXCHG", call_cmpxchg },
	{ "FILL", call_fill },
	{ "COPY", call_copy },
	{ "READ", call_read },
	{ "RENEW", call_renew },
	{ "LISTEN", call_listen },
	{ "WATCH", call_watch },
	{ "UNWATCH", call_unwatch },
	{ "IMMORTAL", call_immortal },
	{ "read", call_events },
	{ "OBJECTS", call_objects },
	{ "USAGE", call_usage },
	{ "LINGER", call_linger, .has = GUARDED },
	{ "ALLOC in a guarded heap", call_alloc_guarded, .has = GUARDED },
	{ "SITE", call_site },
	{ "SITES", call_sites },
	{ "SITES, cleared", call_sites_clear },
	{ "TYPE to be finalized", call_type_final, .has = PLAIN },
	{ "ALLOC of what is to be finalized", call_alloc_final },
	{ "LISTEN for what is to be finalized", call_listen_final },
	{ "read what is to be finalized", call_hand },
};

static bool documented(const struct call *call, int err)
{
	unsigned int i;

	if (!err || err == -ENOMEM || err == -EFAULT)
		return true;
	for (i = 0; i < TAP_COUNT(call->errors); i++)
		if (err == call->errors[i])
			return true;
	return false;
}

/* It failed, so nothing happened but what it says. */
static void verify_nothing(const struct scene *s)
{
	struct moheap_stat now = stat_of(s->fd);
	moheap_ref_t ref;
	unsigned int i;

	is(now.objects, s->stat.objects + s->done);
	is(now.types, s->stat.types);
	is(now.clients, s->stat.clients);
	for (i = 0; i < s->done && i < TAP_COUNT(made); i++)
		err_is(raw_drop(s->fd, made[i]), 0);
	err_is(raw_load(s->fd, s->small[0], 0, &ref), 0);
	ok(ref == s->small[1]);
}

/*
 * EFAULT that hits a call when it is done, and only cannot say so: what it did stands. Of the
 * calls that change something these can be told apart by trying again.
 */
static bool may_have_happened(const struct call *call, int err)
{
	return err == -EFAULT && (call->run == call_type || call->run == call_alloc_other ||
				  call->run == call_drop || call->run == call_exchange ||
				  call->run == call_alloc || call->run == call_alloc_many ||
				  call->run == call_alloc_array || call->run == call_alloc_large ||
				  call->run == call_alloc_final);
}

static bool fails_at(const struct call *call, unsigned int nth)
{
	struct scene s;
	bool met;
	int err;

	scene_set(&s, call->has);
	fault_arm(nth);
	err = call->run(&s);
	met = fault_met();
	if (!documented(call, err))
		tap_fail(__FILE__, __LINE__, "fault %u: %d is no errno of this call", nth, err);
	err_is(raw_check(s.fd), 0);
	if (err && !may_have_happened(call, err))
		verify_nothing(&s);
	if (err && call->run != call_drop) {
		s.done = 0;
		s.stat = stat_of(s.fd);
		err_is(call->run(&s), 0);
	}
	err_is(raw_check(s.fd), 0);
	if (s.guarded >= 0)
		err_is(raw_check(s.guarded), 0);
	scene_strike(&s);
	return met;
}

static void every_fault_of_a_call(const void *arg)
{
	const struct call *call = arg;
	unsigned int nth;

	faults_need();
	fail_fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	ok(fail_fd >= 0);
	/* So that page faults of this program do not count. */
	memset(made, 0, sizeof(made));
	mlockall(MCL_CURRENT);
	for (nth = 1; fails_at(call, nth); nth++)
		ok(nth < MOST_FAULTS);
	tap_note("%u faults", nth - 1);
}

int main(int argc, char **argv)
{
	static const struct tap_case like = { .run_with = every_fault_of_a_call, .seconds = 120 };

	return tap_main_table(argc, argv, calls, sizeof(calls[0]), TAP_COUNT(calls), &like);
}
