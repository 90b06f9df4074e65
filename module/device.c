// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/moheap: the character device. One function an ioctl; what they do is elsewhere.
 *
 * file->private_data is the client, or NULL while the file is bound to no heap. It is set once,
 * by CREATE, JOIN or the CLONE that opened the file, and the client lives as long as the file.
 *
 * An mmap is handed to the shmem file of the arena altogether: the mapping belongs to that file
 * afterwards, and outlives the client as any mapping outlives its descriptor.
 */
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "device.h"
#include "internal.h"

static const struct file_operations mh_fops;

static struct mh_client *mh_file_client(struct file *file)
{
	/* Pairs with mh_bind(). */
	return smp_load_acquire(&file->private_data);
}

/* Make @client the client of a file, if it has none. */
static int mh_bind(struct file *file, struct mh_client *client)
{
	if (cmpxchg(&file->private_data, NULL, client))
		return -EISCONN;
	return 0;
}

static bool mh_file_readonly(const struct file *file)
{
	return !(file->f_mode & FMODE_WRITE);
}

static int mh_open(struct inode *inode, struct file *file)
{
	/* misc_open() left its own data here. */
	file->private_data = NULL;
	return nonseekable_open(inode, file);
}

static int mh_release(struct inode *inode, struct file *file)
{
	struct mh_client *client = mh_file_client(file);

	if (client)
		mh_client_destroy(client);
	return 0;
}

/*
 * Copy in a structure that begins with its size. All are in their first version: none may be
 * shorter than it is here.
 */
static int mh_get(void *to, size_t size, const void __user *from)
{
	u32 usize;

	if (get_user(usize, (const u32 __user *)from))
		return -EFAULT;
	if (usize < size)
		return -EINVAL;
	if (usize > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(to, size, from, usize);
}

/* Copy as much of a structure out as the caller has room for. */
static int mh_put_struct(void __user *to, const void *from, size_t size)
{
	u32 usize = *(const u32 *)from;

	return copy_to_user(to, from, min_t(size_t, usize, size)) ? -EFAULT : 0;
}

static long mh_ioctl_create(struct file *file, void __user *arg)
{
	struct moheap_create create;
	struct mh_client *client;
	struct mh_heap *heap;
	int err = mh_get(&create, sizeof(create), arg);

	if (err)
		return err;
	if (create.flags & ~MH_CREATE_FLAGS)
		return -EINVAL;
	if (mh_file_client(file))
		return -EISCONN;
	if (mh_file_readonly(file))
		return -EACCES;
	heap = mh_heap_create(create.limit, create.flags);
	if (IS_ERR(heap))
		return PTR_ERR(heap);
	client = mh_client_create(heap, false);
	if (!client) {
		mh_heap_put(heap);
		return -ENOMEM;
	}
	create.limit = heap->limit;
	create.arena_size = heap->arena.size;
	create.heap_id = heap->id;
	/* Told first: a file that is bound cannot be unbound. */
	err = mh_put_struct(arg, &create, sizeof(create));
	if (!err)
		err = mh_bind(file, client);
	if (err)
		mh_client_destroy(client);
	return err;
}

static int mh_join_client(struct file *file, struct moheap_join *join, void __user *arg,
			  struct mh_client *other)
{
	struct mh_heap *heap = other->heap;
	struct mh_client *client;
	int err;

	mh_heap_get(heap);
	client = mh_client_create(heap, mh_file_readonly(file));
	if (!client) {
		mh_heap_put(heap);
		return -ENOMEM;
	}
	join->limit = heap->limit;
	join->arena_size = heap->arena.size;
	join->heap_id = heap->id;
	err = mh_put_struct(arg, join, sizeof(*join));
	if (!err)
		err = mh_bind(file, client);
	if (err)
		mh_client_destroy(client);
	return err;
}

static long mh_ioctl_join(struct file *file, void __user *arg)
{
	struct moheap_join join;
	struct mh_client *other = NULL;
	struct file *by;
	int err = mh_get(&join, sizeof(join), arg);

	if (err)
		return err;
	if (join.flags || join.reserved)
		return -EINVAL;
	if (mh_file_client(file))
		return -EISCONN;
	by = fget(join.fd);
	if (!by)
		return -EBADF;
	if (by->f_op == &mh_fops)
		other = mh_file_client(by);
	if (!other)
		err = -EINVAL;
	else if (other->readonly && !mh_file_readonly(file))
		err = -EACCES;
	else
		err = mh_join_client(file, &join, arg, other);
	fput(by);
	return err;
}

static long mh_ioctl_clone(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_clone clone;
	struct mh_client *twin;
	struct file *new;
	int err = mh_get(&clone, sizeof(clone), arg);
	int fd;

	if (err)
		return err;
	if (clone.flags & ~MOHEAP_CLONE_CLOEXEC)
		return -EINVAL;
	fd = get_unused_fd_flags(clone.flags & MOHEAP_CLONE_CLOEXEC ? O_CLOEXEC : 0);
	if (fd < 0)
		return fd;
	new = dentry_open(&file->f_path, file->f_flags & O_ACCMODE, current_cred());
	if (IS_ERR(new)) {
		err = PTR_ERR(new);
		goto put_fd;
	}
	twin = mh_client_clone(client);
	if (IS_ERR(twin)) {
		err = PTR_ERR(twin);
		goto put_file;
	}
	new->private_data = twin;
	fd_install(fd, new);
	return fd;

put_file:
	fput(new);
put_fd:
	put_unused_fd(fd);
	return err;
}

static long mh_ioctl_type(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_field *fields;
	struct moheap_type desc;
	int ret = mh_get(&desc, sizeof(desc), arg);

	if (ret)
		return ret;
	if (client->readonly)
		return -EACCES;
	if (desc.nfields > MOHEAP_FIELDS_MAX)
		return -E2BIG;
	fields = kvcalloc(max(desc.nfields, 1U), sizeof(*fields), MH_GFP);
	if (!fields)
		return -ENOMEM;
	ret = -EFAULT;
	if (!copy_from_user(fields, u64_to_user_ptr(desc.fields),
			    desc.nfields * sizeof(*fields)))
		ret = mh_type_register(client->heap, &desc, fields);
	kvfree(fields);
	if (ret < 0)
		return ret;
	desc.id = ret;
	return mh_put_struct(arg, &desc, sizeof(desc));
}

static long mh_ioctl_type_info(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_type desc;
	struct mh_type *type;
	u32 n;
	int err = mh_get(&desc, sizeof(desc), arg);

	if (err)
		return err;
	if (desc.reserved)
		return -EINVAL;
	type = mh_type_find(client->heap, desc.id);
	if (!type)
		return -ENOENT;
	n = min(desc.nfields, type->nfields);
	if (copy_to_user(u64_to_user_ptr(desc.fields), type->fields, n * sizeof(*type->fields)))
		return -EFAULT;
	desc.flags = type->flags;
	desc.slots = type->slots;
	desc.payload = type->payload;
	desc.nfields = type->nfields;
	memcpy(desc.name, type->name, sizeof(desc.name));
	return mh_put_struct(arg, &desc, sizeof(desc));
}

static long mh_ioctl_batch(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_batch batch;
	int err = mh_get(&batch, sizeof(batch), arg);
	int ret;

	if (err)
		return err;
	if (batch.flags & ~MOHEAP_BATCH_CONTINUE || !batch.count)
		return -EINVAL;
	if (batch.count > MOHEAP_BATCH_MAX)
		return -E2BIG;
	ret = mh_batch(client, batch.ops, batch.count, batch.flags, true, &batch.done);
	err = mh_put_struct(arg, &batch, sizeof(batch));
	return err ? err : ret;
}

static long mh_ioctl_object(struct file *file, struct mh_client *client, void __user *arg)
{
	struct mh_heap *heap = client->heap;
	struct moheap_object object;
	struct mh_client *immortals;
	struct mh_dead dead = { };
	struct mh_site site;
	struct mh_obj o;
	int err = mh_get(&object, sizeof(object), arg);

	if (err)
		return err;
	if (object.reserved)
		return -EINVAL;
	object.flags = 0;
	object.slot_bytes = 0;
	down_read(&heap->gate);
	immortals = READ_ONCE(heap->immortals);
	err = mh_pin(heap, object.ref, &o);
	if (!err) {
		mh_object_stat(&o, &object);
		if (mh_client_holding(client, &o))
			object.flags |= MOHEAP_OBJECT_HELD;
		if (mh_test(&o, MH_CAND))
			object.flags |= MOHEAP_OBJECT_CANDIDATE;
		if (immortals && mh_client_holding(immortals, &o))
			object.flags |= MOHEAP_OBJECT_IMMORTAL;
		if (mh_is_frozen(heap, &o))
			object.flags |= MOHEAP_OBJECT_FROZEN;
		if (mh_is_saved(heap, &o))
			object.flags |= MOHEAP_OBJECT_SAVED;
		if (mh_watched(&o))
			object.flags |= MOHEAP_OBJECT_WATCHED;
		if (mh_final_was_due(&o))
			object.flags |= MOHEAP_OBJECT_FINALIZED;
		site = mh_site_get(heap, &o);
		object.site = site.id;
		object.site_client = site.client;
		mh_unpin(heap, &o, &dead);
		mh_reap(heap, &dead, MH_REAP_INLINE);
	}
	up_read(&heap->gate);
	return err ? err : mh_put_struct(arg, &object, sizeof(object));
}

static long mh_ioctl_collect(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_collect collect;
	int err = mh_get(&collect, sizeof(collect), arg);

	if (err)
		return err;
	if (collect.flags || collect.reserved)
		return -EINVAL;
	if (client->readonly)
		return -EACCES;
	err = mh_collect(client->heap, collect.generation, &collect.unreachable);
	return err ? err : mh_put_struct(arg, &collect, sizeof(collect));
}

static long mh_ioctl_stat(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_stat stat;
	int err = mh_get(&stat, sizeof(stat), arg);
	u32 size;

	if (err)
		return err;
	if (stat.flags)
		return -EINVAL;
	size = stat.size;
	mh_heap_stat(client->heap, &stat);
	stat.size = size;
	stat.flags = 0;
	return mh_put_struct(arg, &stat, sizeof(stat));
}

static long mh_ioctl_tune(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_tune tune;
	int err = mh_get(&tune, sizeof(tune), arg);

	if (err)
		return err;
	if (tune.set & ~(MOHEAP_TUNE_BUDGET | MOHEAP_TUNE_THRESHOLD | MOHEAP_TUNE_GROWTH |
			 MOHEAP_TUNE_IDLE | MOHEAP_TUNE_ENABLED | MOHEAP_TUNE_FINALIZE |
			 MOHEAP_TUNE_DEBUG))
		return -EINVAL;
	if (tune.reserved)
		return -EINVAL;
	if (tune.set && client->readonly)
		return -EACCES;
	err = mh_collector_tune(client->heap, &tune);
	return err ? err : mh_put_struct(arg, &tune, sizeof(tune));
}

static long mh_ioctl_listen(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_listen listen;
	int err = mh_get(&listen, sizeof(listen), arg);

	return err ? err : mh_events_listen(client, listen.events);
}

static long mh_ioctl_check(struct file *file, struct mh_client *client, void __user *arg)
{
	if (arg)
		return -EINVAL;
	if (!(client->heap->flags & MOHEAP_CREATE_DEBUG))
		return -EPERM;
	return mh_heap_check(client->heap);
}

static long mh_ioctl_objects(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_objects objects;
	int err = mh_get(&objects, sizeof(objects), arg);

	if (err)
		return err;
	if (objects.flags & ~(MOHEAP_OBJECTS_TYPE | MOHEAP_OBJECTS_CANDIDATES |
			      MOHEAP_OBJECTS_REFERRERS | MOHEAP_OBJECTS_FROZEN |
			      MOHEAP_OBJECTS_SAVED))
		return -EINVAL;
	err = mh_objects(client->heap, &objects, true);
	return err ? err : mh_put_struct(arg, &objects, sizeof(objects));
}

static long mh_ioctl_usage(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_usage in, usage;
	int err = mh_get(&in, sizeof(in), arg);

	if (err)
		return err;
	if (in.flags || in.reserved)
		return -EINVAL;
	usage = (struct moheap_usage){ .size = in.size, .type = in.type };
	err = mh_usage(client->heap, &usage);
	return err ? err : mh_put_struct(arg, &usage, sizeof(usage));
}

static long mh_ioctl_freeze(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_freeze freeze;
	int err = mh_get(&freeze, sizeof(freeze), arg), written;

	if (err)
		return err;
	if (client->readonly)
		return -EACCES;
	err = mh_freeze(client->heap, &freeze);
	if (err && err != -EINTR)
		return err;
	written = mh_put_struct(arg, &freeze, sizeof(freeze));
	return written ? written : err;
}

static long mh_ioctl_linger(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_linger linger;
	int err = mh_get(&linger, sizeof(linger), arg);

	if (err)
		return err;
	if (linger.flags)
		return -EINVAL;
	err = mh_linger_exchange(client, &linger, true);
	return err ? err : mh_put_struct(arg, &linger, sizeof(linger));
}

static long mh_ioctl_sites(struct file *file, struct mh_client *client, void __user *arg)
{
	struct moheap_sites sites;
	int err = mh_get(&sites, sizeof(sites), arg);

	if (err)
		return err;
	if (sites.flags & ~(MOHEAP_SITES_ALL | MOHEAP_SITES_RESET_PEAK | MOHEAP_SITES_CLEAR))
		return -EINVAL;
	err = mh_sites(client, &sites, true);
	return err ? err : mh_put_struct(arg, &sites, sizeof(sites));
}

static long mh_ioctl_bound(struct file *file, unsigned int cmd, void __user *arg)
{
	struct mh_client *client = mh_file_client(file);

	if (!client)
		return -ENOTCONN;
	switch (cmd) {
	case MOHEAP_IOC_CLONE:
		return mh_ioctl_clone(file, client, arg);
	case MOHEAP_IOC_TYPE:
		return mh_ioctl_type(file, client, arg);
	case MOHEAP_IOC_TYPE_INFO:
		return mh_ioctl_type_info(file, client, arg);
	case MOHEAP_IOC_BATCH:
		return mh_ioctl_batch(file, client, arg);
	case MOHEAP_IOC_OBJECT:
		return mh_ioctl_object(file, client, arg);
	case MOHEAP_IOC_COLLECT:
		return mh_ioctl_collect(file, client, arg);
	case MOHEAP_IOC_STAT:
		return mh_ioctl_stat(file, client, arg);
	case MOHEAP_IOC_TUNE:
		return mh_ioctl_tune(file, client, arg);
	case MOHEAP_IOC_LISTEN:
		return mh_ioctl_listen(file, client, arg);
	case MOHEAP_IOC_OBJECTS:
		return mh_ioctl_objects(file, client, arg);
	case MOHEAP_IOC_USAGE:
		return mh_ioctl_usage(file, client, arg);
	case MOHEAP_IOC_FREEZE:
		return mh_ioctl_freeze(file, client, arg);
	case MOHEAP_IOC_LINGER:
		return mh_ioctl_linger(file, client, arg);
	case MOHEAP_IOC_SITES:
		return mh_ioctl_sites(file, client, arg);
	default:
		return mh_ioctl_check(file, client, arg);
	}
}

static bool mh_ioctl_known(unsigned int cmd)
{
	switch (cmd) {
	case MOHEAP_IOC_CREATE:
	case MOHEAP_IOC_JOIN:
	case MOHEAP_IOC_CLONE:
	case MOHEAP_IOC_TYPE:
	case MOHEAP_IOC_TYPE_INFO:
	case MOHEAP_IOC_BATCH:
	case MOHEAP_IOC_OBJECT:
	case MOHEAP_IOC_COLLECT:
	case MOHEAP_IOC_STAT:
	case MOHEAP_IOC_TUNE:
	case MOHEAP_IOC_CHECK:
	case MOHEAP_IOC_LISTEN:
	case MOHEAP_IOC_OBJECTS:
	case MOHEAP_IOC_USAGE:
	case MOHEAP_IOC_FREEZE:
	case MOHEAP_IOC_LINGER:
	case MOHEAP_IOC_SITES:
		return true;
	default:
		return false;
	}
}

static long mh_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *p = (void __user *)arg;

	if (!mh_ioctl_known(cmd))
		return -ENOTTY;
	if (cmd == MOHEAP_IOC_CREATE)
		return mh_ioctl_create(file, p);
	if (cmd == MOHEAP_IOC_JOIN)
		return mh_ioctl_join(file, p);
	return mh_ioctl_bound(file, cmd, p);
}

/* The most events of one read: what it returns is an int's worth of bytes. */
#define MH_READ_EVENTS	(INT_MAX / sizeof(struct moheap_event))

static ssize_t mh_read(struct file *file, char __user *to, size_t bytes, loff_t *pos)
{
	struct mh_client *client = mh_file_client(file);
	size_t n = min(bytes / sizeof(struct moheap_event), MH_READ_EVENTS);
	int ret;

	if (!client)
		return -ENOTCONN;
	if (!n)
		return -EINVAL;
	for (;;) {
		ret = mh_events_read(client, (uintptr_t)to, n, true);
		if (ret > 0)
			return ret * sizeof(struct moheap_event);
		if (ret < 0)
			return ret == -EINTR ? -ERESTARTSYS : ret;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		ret = wait_event_interruptible(client->reader, !list_empty(&client->events));
		if (ret)
			return ret;
	}
}

static __poll_t mh_poll(struct file *file, struct poll_table_struct *table)
{
	struct mh_client *client = mh_file_client(file);

	if (!client)
		return EPOLLERR;
	poll_wait(file, &client->reader, table);
	return list_empty(&client->events) ? 0 : EPOLLIN | EPOLLRDNORM;
}

static int mh_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mh_client *client = mh_file_client(file);
	struct mh_arena *arena;

	if (!client)
		return -ENOTCONN;
	arena = &client->heap->arena;
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_pgoff >= arena->npages || vma_pages(vma) > arena->npages - vma->vm_pgoff)
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;
	mh_vma_forbid(vma, VM_MAYEXEC);
	vma_set_file(vma, arena->file);
	return call_mmap(vma->vm_file, vma);
}

#ifdef CONFIG_PROC_FS
static void mh_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct mh_client *client = mh_file_client(file);
	struct mh_heap *heap;
	u64 held;

	if (!client)
		return;
	heap = client->heap;
	down_read(&heap->gate);
	held = mh_client_count_held(client);
	up_read(&heap->gate);
	seq_printf(m, "moheap-heap:\t%llu\n", heap->id);
	seq_printf(m, "moheap-readonly:\t%d\n", client->readonly);
	seq_printf(m, "moheap-held:\t%llu\n", held);
	seq_printf(m, "moheap-kernel:\t%llu KiB\n",
		   (u64)atomic64_read(&heap->kernel_bytes) >> 10);
	seq_printf(m, "moheap-arena:\t%llu KiB\n", (u64)atomic64_read(&heap->arena_bytes) >> 10);
	seq_printf(m, "moheap-limit:\t%llu KiB\n", heap->limit >> 10);
}
#endif

static const struct file_operations mh_fops = {
	.owner = THIS_MODULE,
	.open = mh_open,
	.release = mh_release,
	.read = mh_read,
	.poll = mh_poll,
	.unlocked_ioctl = mh_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = mh_mmap,
#ifdef CONFIG_PROC_FS
	.show_fdinfo = mh_show_fdinfo,
#endif
};

static struct miscdevice mh_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "moheap",
	.fops = &mh_fops,
	/* Programs need no privilege: what they use is charged to them, and bounded. */
	.mode = 0666,
};

/**
 * mh_device_init() - make /dev/moheap
 *
 * Return: 0, or what misc_register() failed with.
 */
int mh_device_init(void)
{
	return misc_register(&mh_misc);
}

/**
 * mh_device_exit() - remove /dev/moheap; no file is open
 */
void mh_device_exit(void)
{
	misc_deregister(&mh_misc);
}
