// SPDX-License-Identifier: GPL-2.0
/*
 * moheap: loading and unloading. What the module does begins in device.c.
 */
#define CREATE_TRACE_POINTS
#include "tracepoints.h"

#include <linux/module.h>

#include "device.h"
#include "internal.h"

/*
 * The ABI has the same layout for all callers: no holes, sizes a multiple of eight.
 */
static_assert(sizeof(struct moheap_create) == 32);
static_assert(sizeof(struct moheap_join) == 40);
static_assert(sizeof(struct moheap_clone) == 8);
static_assert(sizeof(struct moheap_field) == 48);
static_assert(sizeof(struct moheap_type) == 72);
static_assert(sizeof(struct moheap_op) == 32);
static_assert(sizeof(struct moheap_batch) == 24);
static_assert(sizeof(struct moheap_object) == 64);
static_assert(sizeof(struct moheap_collect) == 24);
static_assert(sizeof(struct moheap_event) == 64);
static_assert(sizeof(struct moheap_listen) == 8);
static_assert(sizeof(struct moheap_generation) == 32);
static_assert(sizeof(struct moheap_objects) == 40);
static_assert(sizeof(struct moheap_usage) == 64);
static_assert(sizeof(struct moheap_block) == 16);
static_assert(sizeof(struct moheap_linger) == 32);
static_assert(sizeof(struct moheap_site) == 32);
static_assert(sizeof(struct moheap_sites) == 56);
static_assert(sizeof(struct moheap_stat) == 8 + 31 * 8 + 3 * 32 + 2 * 8);
static_assert(sizeof(struct moheap_tune) == 40);

static int __init mh_init(void)
{
	int err = mh_pools_init();

	if (err)
		return err;
	err = mh_device_init();
	if (err)
		mh_pools_exit();
	return err;
}

static void __exit mh_exit(void)
{
	mh_device_exit();
	mh_pools_exit();
}

module_init(mh_init);
module_exit(mh_exit);

MODULE_DESCRIPTION("A managed-object heap that the kernel owns");
MODULE_LICENSE("GPL");
