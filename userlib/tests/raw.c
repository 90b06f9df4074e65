// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * See raw.h.
 */
#include <sys/ioctl.h>

#include "raw.h"

int raw_open(int flags)
{
	const char *path = getenv("MOHEAP_DEVICE");
	int fd = open(path ? path : "/dev/moheap", flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int raw_ioctl(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

int raw_heap(__u64 limit)
{
	return raw_heap_flags(limit, MOHEAP_CREATE_DEBUG);
}

int raw_heap_flags(__u64 limit, __u32 flags)
{
	struct moheap_create create = { .size = sizeof(create), .flags = flags, .limit = limit };
	int fd = must(raw_open(O_RDWR));

	err_is(raw_ioctl(fd, MOHEAP_IOC_CREATE, &create), 0);
	return fd;
}

int raw_join(int by, int flags)
{
	struct moheap_join join = { .size = sizeof(join), .fd = by };
	int fd = must(raw_open(flags));

	err_is(raw_ioctl(fd, MOHEAP_IOC_JOIN, &join), 0);
	return fd;
}

int raw_clone(int fd)
{
	struct moheap_clone clone = { .size = sizeof(clone), .flags = MOHEAP_CLONE_CLOEXEC };

	return raw_ioctl(fd, MOHEAP_IOC_CLONE, &clone);
}

int raw_type(int fd, const char *name, __u64 payload, __u32 slots, __u32 flags)
{
	struct moheap_type type = {
		.size = sizeof(type),
		.flags = flags,
		.slots = slots,
		.payload = payload,
	};
	int err;

	memcpy(type.name, name, strnlen(name, sizeof(type.name)));
	err = raw_ioctl(fd, MOHEAP_IOC_TYPE, &type);
	return err ? err : (int)type.id;
}

int raw_batch(int fd, struct moheap_op *ops, __u32 n, __u32 flags, __u32 *done)
{
	struct moheap_batch batch = {
		.size = sizeof(batch),
		.flags = flags,
		.ops = (uintptr_t)ops,
		.count = n,
	};
	int err = raw_ioctl(fd, MOHEAP_IOC_BATCH, &batch);

	*done = batch.done;
	return err;
}

/* The error of the operation, or of the batch if it never came to the operation. */
int raw_op(int fd, struct moheap_op *op)
{
	__u32 done;
	int err;

	op->error = 0;
	err = raw_batch(fd, op, 1, 0, &done);
	if (err == -ECANCELED) {
		ok(op->error);
		is(done, 0);
		return op->error;
	}
	return err;
}

int raw_alloc(int fd, int type, __u64 n, moheap_ref_t *refs)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_ALLOC,
		.index = type,
		.ref = (uintptr_t)refs,
		.a = n,
	};

	return raw_op(fd, &op);
}

int raw_alloc_sized(int fd, int type, __u32 payload, __u32 slots, moheap_ref_t *ref)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_ALLOC,
		.index = type,
		.a = 1,
		.b = (__u64)slots << 32 | payload,
	};
	int err = raw_op(fd, &op);

	*ref = op.ref;
	return err;
}

int raw_hold(int fd, moheap_ref_t ref)
{
	struct moheap_op op = { .code = MOHEAP_OP_HOLD, .ref = ref };

	return raw_op(fd, &op);
}

int raw_drop(int fd, moheap_ref_t ref)
{
	struct moheap_op op = { .code = MOHEAP_OP_DROP, .ref = ref };

	return raw_op(fd, &op);
}

int raw_store(int fd, moheap_ref_t owner, __u32 slot, moheap_ref_t target)
{
	struct moheap_op op = {
		.code = MOHEAP_OP_STORE,
		.index = slot,
		.ref = owner,
		.a = target,
	};

	return raw_op(fd, &op);
}

int raw_load(int fd, moheap_ref_t owner, __u32 slot, moheap_ref_t *target)
{
	struct moheap_op op = { .code = MOHEAP_OP_LOAD, .index = slot, .ref = owner };
	int err = raw_op(fd, &op);

	*target = op.a;
	return err;
}

int raw_watch(int fd, moheap_ref_t ref, __u64 cookie, __u32 *id)
{
	struct moheap_op op = { .code = MOHEAP_OP_WATCH, .ref = ref, .a = cookie };
	int err = raw_op(fd, &op);

	if (!err)
		*id = op.b;
	return err;
}

int raw_site(int fd, moheap_ref_t ref, __u64 site)
{
	struct moheap_op op = { .code = MOHEAP_OP_SITE, .ref = ref, .a = site };

	return raw_op(fd, &op);
}

int raw_sites(int fd, __u32 flags, struct moheap_sites *sites)
{
	*sites = (struct moheap_sites){ .size = sizeof(*sites), .flags = flags };
	return raw_ioctl(fd, MOHEAP_IOC_SITES, sites);
}

int raw_unwatch(int fd, __u32 id)
{
	struct moheap_op op = { .code = MOHEAP_OP_UNWATCH, .b = id };
	int err = raw_op(fd, &op);

	return err ? err : (int)op.a;
}

int raw_collect(int fd, __u32 generation)
{
	struct moheap_collect collect = { .size = sizeof(collect), .generation = generation };

	return raw_ioctl(fd, MOHEAP_IOC_COLLECT, &collect);
}

int raw_object(int fd, moheap_ref_t ref, struct moheap_object *object)
{
	*object = (struct moheap_object){ .size = sizeof(*object), .ref = ref };
	return raw_ioctl(fd, MOHEAP_IOC_OBJECT, object);
}

int raw_stat(int fd, struct moheap_stat *stat)
{
	*stat = (struct moheap_stat){ .size = sizeof(*stat) };
	return raw_ioctl(fd, MOHEAP_IOC_STAT, stat);
}

__u64 raw_objects(int fd)
{
	struct moheap_stat stat;

	err_is(raw_stat(fd, &stat), 0);
	return stat.objects;
}

int raw_check(int fd)
{
	return raw_ioctl(fd, MOHEAP_IOC_CHECK, NULL);
}

int raw_linger(int fd, struct moheap_block *blocks, __u32 n, __u32 keep)
{
	struct moheap_linger linger = {
		.size = sizeof(linger), .blocks = (uintptr_t)blocks, .count = n, .keep = keep,
	};
	int err = raw_ioctl(fd, MOHEAP_IOC_LINGER, &linger);

	return err ? err : (int)linger.count;
}

int raw_listen(int fd, __u32 events)
{
	struct moheap_listen listen = { .size = sizeof(listen), .events = events };

	return raw_ioctl(fd, MOHEAP_IOC_LISTEN, &listen);
}

int raw_read(int fd, void *to, size_t bytes)
{
	ssize_t n = read(fd, to, bytes);

	return n < 0 ? -errno : (int)n;
}
