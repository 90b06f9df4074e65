// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * A heap as this process is attached to it: from the open device to the mapping, and back.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "event.h"
#include "guard.h"
#include "weak.h"

/* ---- Making one ---- */

static int mh_device_open(int flags)
{
	const char *path = secure_getenv("MOHEAP_DEVICE");
	int fd = open(path ? path : "/dev/moheap", flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Is a switch in the environment on? */
static bool mh_switched_on(const char *name)
{
	const char *value = getenv(name);

	return value && *value && strcmp(value, "0");
}

/*
 * mh_table_map() - address space for tables of which little will be used
 *
 * A page at a time: the first entry of a table is not worth two megabytes.
 */
void *mh_table_map(size_t bytes)
{
	void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (table == MAP_FAILED)
		return NULL;
	/* Where the kernel has no huge pages there is nothing to advise. */
	madvise(table, bytes, MADV_NOHUGEPAGE);
	return table;
}

/* What is mapped for a heap besides its arena, and where in it the tables begin. */
struct mh_layout {
	size_t words;
	size_t told;
	size_t pages;
	size_t left;
	size_t bytes;
};

static struct mh_layout mh_layout_of(size_t size)
{
	const struct moheap *heap = NULL;
	size_t granules = size >> MOHEAP_GRANULE_SHIFT;
	struct mh_layout at;

	at.words = mh_round_up(sizeof(*heap), MH_PAGE);
	at.told = at.words + granules * sizeof(*heap->words);
	at.pages = at.told + granules * sizeof(*heap->told);
	at.left = at.pages + size / MH_PAGE * sizeof(*heap->pages);
	at.bytes = at.left + mh_round_up(granules * sizeof(*heap->words) / MH_PAGE, 64) / 8;
	return at;
}

/* One mapping for all, as each takes time in a process that starts. */
static struct moheap *mh_heap_map(size_t size)
{
	struct mh_layout at = mh_layout_of(size);
	char *begin = mh_table_map(at.bytes);
	struct moheap *heap;

	if (!begin)
		return NULL;
	heap = (struct moheap *)begin;
	heap->size = size;
	heap->words = (atomic_ullong *)(begin + at.words);
	heap->told = (__u32 *)(begin + at.told);
	heap->pages = (__u64 *)(begin + at.pages);
	heap->left_map = (__u64 *)(begin + at.left);
	return heap;
}

static int mh_arena_map(struct moheap *heap, bool readonly)
{
	void *base = mmap(NULL, heap->size, readonly ? PROT_READ : PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_NORESERVE, heap->fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	heap->base = base;
	return 0;
}

static void mh_heap_free(struct moheap *heap)
{
	mh_weakrefs_free(heap);
	mh_events_free(heap);
	mh_debug_free(heap);
	mh_tracing_free(heap);
	mh_types_free(heap);
	mh_guard_free(heap);
	if (heap->base)
		munmap(heap->base, heap->size);
	munmap(heap, mh_layout_of(heap->size).bytes);
}

/*
 * The client at @fd is complete: make a heap of it. @fd is the caller's if that fails. Caller
 * holds mh_heaps_lock().
 */
static int mh_heap_new(int fd, size_t size, bool readonly, struct moheap **out)
{
	struct moheap *heap = mh_heap_map(size);
	int err;

	if (!heap)
		return -ENOMEM;
	heap->fd = fd;
	heap->fork = MOHEAP_FORK_CLONE;
	heap->fork_fd = -1;
	mh_kinds_init(&heap->kinds);
	mh_events_init(heap);
	mh_weakrefs_init(heap);
	heap->queue.depth = mh_switched_on("MOHEAP_UNBATCHED") ? 1 : MH_QUEUE_OPS;
	err = mh_arena_map(heap, readonly);
	if (!err)
		err = mh_guard_init(heap);
	if (!err)
		err = mh_tracing_init(heap);
	if (err) {
		mh_heap_free(heap);
		return err;
	}
	mh_heaps_add(heap);
	*out = heap;
	return 0;
}

/* An ioctl before there is a heap. */
static int mh_ioctl_fd(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static bool mh_options_ok(const struct moheap_options *options)
{
	return options->size >= sizeof(*options) && options->fork <= MOHEAP_FORK_NONE &&
	       !options->reserved;
}

static int mh_create(struct moheap_create *create, struct moheap **heap)
{
	int fd = mh_device_open(O_RDWR);
	int err;

	if (fd < 0)
		return fd;
	err = mh_ioctl_fd(fd, MOHEAP_IOC_CREATE, create);
	if (!err)
		err = mh_heap_new(fd, create->arena_size, false, heap);
	if (err)
		close(fd);
	return err;
}

int moheap_create(const struct moheap_options *options, struct moheap **heap)
{
	struct moheap_create create = { .size = sizeof(create) };
	int err;

	if (options && !mh_options_ok(options))
		return -EINVAL;
	if (options) {
		create.flags = options->flags;
		create.limit = options->limit;
	}
	if (mh_switched_on("MOHEAP_DEBUG"))
		create.flags |= MOHEAP_CREATE_GUARD;
	if (create.flags & MOHEAP_CREATE_GUARD)
		create.flags |= MOHEAP_CREATE_DEBUG;
	err = mh_heaps_lock();
	if (err)
		return err;
	err = mh_create(&create, heap);
	if (!err && options)
		(*heap)->fork = options->fork;
	mh_heaps_unlock();
	return err;
}

static int mh_join(struct moheap_join *join, bool readonly, struct moheap **heap)
{
	int fd = mh_device_open(readonly ? O_RDONLY : O_RDWR);
	int err;

	if (fd < 0)
		return fd;
	err = mh_ioctl_fd(fd, MOHEAP_IOC_JOIN, join);
	if (!err)
		err = mh_heap_new(fd, join->arena_size, readonly, heap);
	if (err)
		close(fd);
	return err;
}

int moheap_join(int fd, unsigned int flags, struct moheap **heap)
{
	struct moheap_join join = { .size = sizeof(join), .fd = fd };
	int err;

	if (flags & ~MOHEAP_JOIN_READ_ONLY)
		return -EINVAL;
	err = mh_heaps_lock();
	if (err)
		return err;
	err = mh_join(&join, flags & MOHEAP_JOIN_READ_ONLY, heap);
	mh_heaps_unlock();
	return err;
}

static int mh_adopt(int fd, struct moheap **heap)
{
	struct moheap_stat stat = { .size = sizeof(stat) };
	int flags, err;

	err = mh_ioctl_fd(fd, MOHEAP_IOC_STAT, &stat);
	if (err)
		return err;
	flags = fcntl(fd, F_GETFL);
	err = mh_heap_new(fd, stat.arena_size, (flags & O_ACCMODE) == O_RDONLY, heap);
	if (!err)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return err;
}

int moheap_adopt(int fd, struct moheap **heap)
{
	int err = mh_heaps_lock();

	if (err)
		return err;
	err = mh_adopt(fd, heap);
	mh_heaps_unlock();
	return err;
}

/*
 * mh_clone_fd() - a client that holds what this one holds; caller holds heap->lock
 *
 * But for what is in stock: an object can be handed out as new only once.
 *
 * Return: its file, or a negative errno.
 */
int mh_clone_fd(struct moheap *heap)
{
	struct moheap_clone clone = {
		.size = sizeof(clone),
		.flags = MOHEAP_CLONE_CLOEXEC,
	};

	mh_stocks_release(heap);
	mh_tell_all(heap);
	mh_queue_send(heap);
	return mh_ioctl(heap, MOHEAP_IOC_CLONE, &clone);
}

static int mh_clone(struct moheap *heap, struct moheap **clone)
{
	int fd, err;

	mh_lock(&heap->lock);
	fd = mh_clone_fd(heap);
	mh_unlock(&heap->lock);
	if (fd < 0)
		return fd;
	err = mh_adopt(fd, clone);
	if (err)
		close(fd);
	return err;
}

int moheap_clone(struct moheap *heap, struct moheap **clone)
{
	int err = mh_heaps_lock();

	if (err)
		return err;
	err = mh_clone(heap, clone);
	mh_heaps_unlock();
	return err;
}

/* ---- Using it ---- */

int moheap_fd(const struct moheap *heap)
{
	return heap->fd < 0 ? -ENOTCONN : heap->fd;
}

void *moheap_base(const struct moheap *heap)
{
	return heap->base;
}

size_t moheap_arena_size(const struct moheap *heap)
{
	return heap->size;
}

static int mh_error_take(struct moheap *heap)
{
	int err = heap->queue.error;

	heap->queue.error = 0;
	return err;
}

int moheap_flush(struct moheap *heap)
{
	int err;

	mh_lock(&heap->lock);
	mh_tell_all(heap);
	mh_stocks_age(heap);
	mh_queue_send(heap);
	mh_words_trim(heap, false);
	mh_guard_drain(heap);
	err = mh_error_take(heap);
	mh_unlock(&heap->lock);
	return err;
}

int moheap_trim(struct moheap *heap)
{
	int err;

	mh_lock(&heap->lock);
	mh_tell_all(heap);
	mh_stocks_release(heap);
	mh_queue_send(heap);
	mh_words_trim(heap, true);
	mh_guard_drain(heap);
	err = mh_error_take(heap);
	mh_unlock(&heap->lock);
	return err;
}

int moheap_close(struct moheap *heap)
{
	int err;

	if (!heap)
		return 0;
	if (mh_events_inside(heap) || heap->weakrefs.closing)
		return -EDEADLK;
	err = moheap_stop_dispatcher(heap);
	if (err)
		return err;
	mh_finalize_all(heap);
	/* Those may have started another. */
	moheap_stop_dispatcher(heap);
	mh_tell_all(heap);
	mh_stocks_release(heap);
	mh_queue_send(heap);
	mh_guard_drain(heap);
	err = mh_error_take(heap);
	mh_heaps_lock();
	mh_heaps_remove(heap);
	if (heap->fd >= 0)
		close(heap->fd);
	mh_heaps_unlock();
	mh_heap_free(heap);
	return err;
}
