// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * The names that Python's gc and sys have for what the kernel tells of a heap, and for what drives
 * its collector.
 */
#include "internal.h"

/* ---- Objects ---- */

int moheap_is_tracked(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };
	int err;

	err = moheap_inspect(heap, &object);
	return err ? err : object.slots > 0;
}

int moheap_is_finalized(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };
	int err;

	err = moheap_inspect(heap, &object);
	return err ? err : !!(object.flags & MOHEAP_OBJECT_FINALIZED);
}

/* An operation that takes an object and nothing else. */
static int mh_run_on(struct moheap *heap, __u8 code, moheap_ref_t ref)
{
	struct moheap_op op = { .code = code, .ref = ref };
	int err;

	mh_lock(&heap->lock);
	err = mh_name(heap, ref);
	if (!err)
		err = mh_queue_run(heap, &op);
	mh_unlock(&heap->lock);
	return err;
}

int moheap_immortal(struct moheap *heap, moheap_ref_t ref)
{
	return mh_run_on(heap, MOHEAP_OP_IMMORTAL, ref);
}

int moheap_discard(struct moheap *heap, moheap_ref_t ref)
{
	return mh_run_on(heap, MOHEAP_OP_DISCARD, ref);
}

/* ---- Switches ---- */

static int mh_enable(struct moheap *heap, bool enabled)
{
	struct moheap_tune tune = {
		.size = sizeof(tune),
		.set = MOHEAP_TUNE_ENABLED,
		.enabled = enabled,
	};

	return moheap_tune(heap, &tune);
}

int moheap_enable(struct moheap *heap)
{
	return mh_enable(heap, true);
}

int moheap_disable(struct moheap *heap)
{
	return mh_enable(heap, false);
}

int moheap_is_enabled(struct moheap *heap)
{
	struct moheap_tune tune = { .size = sizeof(tune) };
	int err;

	err = moheap_tune(heap, &tune);
	return err ? err : (int)tune.enabled;
}

int moheap_set_threshold(struct moheap *heap, unsigned int candidates, unsigned int growth)
{
	struct moheap_tune tune = {
		.size = sizeof(tune),
		.set = MOHEAP_TUNE_THRESHOLD | MOHEAP_TUNE_GROWTH,
		.threshold = candidates,
		.growth = growth,
	};

	return moheap_tune(heap, &tune);
}

int moheap_get_threshold(struct moheap *heap, unsigned int *candidates, unsigned int *growth)
{
	struct moheap_tune tune = { .size = sizeof(tune) };
	int err;

	err = moheap_tune(heap, &tune);
	if (err)
		return err;
	*candidates = tune.threshold;
	*growth = tune.growth;
	return 0;
}

static int mh_freeze(struct moheap *heap, __u32 flags)
{
	struct moheap_freeze freeze = { .size = sizeof(freeze), .flags = flags };

	moheap_flush(heap);
	return mh_ioctl(heap, MOHEAP_IOC_FREEZE, &freeze);
}

int moheap_freeze(struct moheap *heap)
{
	return mh_freeze(heap, 0);
}

int moheap_unfreeze(struct moheap *heap)
{
	return mh_freeze(heap, MOHEAP_FREEZE_UNDO);
}

long long moheap_get_freeze_count(struct moheap *heap)
{
	struct moheap_stat stat = { .size = sizeof(stat) };
	int err;

	err = moheap_stat(heap, &stat);
	return err ? err : (long long)stat.frozen;
}

/* ---- Figures ---- */

int moheap_get_count(struct moheap *heap, unsigned long long count[MOHEAP_GENERATIONS])
{
	struct moheap_stat stat = { .size = sizeof(stat) };
	int err;

	err = moheap_stat(heap, &stat);
	if (err)
		return err;
	count[MOHEAP_COLLECT_LOCAL] = stat.candidates;
	count[MOHEAP_COLLECT_LOCAL_ALL] = stat.candidates;
	count[MOHEAP_COLLECT_FULL] = stat.escaped;
	return 0;
}

int moheap_get_stats(struct moheap *heap, struct moheap_generation stats[MOHEAP_GENERATIONS])
{
	struct moheap_stat stat = { .size = sizeof(stat) };
	unsigned int i;
	int err;

	err = moheap_stat(heap, &stat);
	for (i = 0; !err && i < MOHEAP_GENERATIONS; i++)
		stats[i] = stat.generation[i];
	return err;
}

long long moheap_getallocatedblocks(struct moheap *heap)
{
	struct moheap_stat stat = { .size = sizeof(stat) };
	int err;

	err = moheap_trim(heap);
	if (!err)
		err = moheap_stat(heap, &stat);
	return err ? err : (long long)stat.objects;
}

/* Objects in the pools that are not empty, of all there is room for. */
static double mh_percent_full(const struct moheap_usage *usage)
{
	double room;

	if (!usage->used)
		return 0;
	/* All pools of a type that are empty are taken to be of the usual size. */
	room = usage->blocks - (double)usage->blocks / usage->pools * usage->empty;
	return room > usage->used ? 100 * usage->used / room : 100;
}

static void mh_usage_print(FILE *file, const char *name, const struct moheap_usage *usage)
{
	fprintf(file, "%-31s %12llu %8llu %8llu %7.1f %% %12llu %12llu\n", name,
		(unsigned long long)usage->used, (unsigned long long)usage->pools,
		(unsigned long long)usage->empty, mh_percent_full(usage),
		(unsigned long long)usage->kernel_bytes / 1024,
		(unsigned long long)usage->arena_bytes / 1024);
}

static void mh_usage_add(struct moheap_usage *sum, const struct moheap_usage *usage)
{
	sum->pools += usage->pools;
	sum->empty += usage->empty;
	sum->blocks += usage->blocks;
	sum->used += usage->used;
	sum->kernel_bytes += usage->kernel_bytes;
	sum->arena_bytes += usage->arena_bytes;
}

int moheap_debugmallocstats(struct moheap *heap, FILE *file)
{
	struct moheap_usage usage, sum = { 0 };
	struct moheap_type info;
	unsigned int id;
	int err;

	err = moheap_flush(heap);
	if (err)
		return err;
	fprintf(file, "%-31s %12s %8s %8s %9s %12s %12s\n", "type", "objects", "pools", "empty",
		"full", "kernel KiB", "payload KiB");
	for (id = 0;; id++) {
		info = (struct moheap_type){ .size = sizeof(info), .id = id };
		err = mh_ioctl(heap, MOHEAP_IOC_TYPE_INFO, &info);
		if (err)
			break;
		usage = (struct moheap_usage){ .size = sizeof(usage), .type = id };
		err = mh_ioctl(heap, MOHEAP_IOC_USAGE, &usage);
		if (err)
			break;
		mh_usage_add(&sum, &usage);
		if (usage.pools)
			mh_usage_print(file, info.name, &usage);
	}
	if (err != -ENOENT)
		return err;
	mh_usage_print(file, "together", &sum);
	return ferror(file) ? -EIO : 0;
}
