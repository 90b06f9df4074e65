/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * The ABI without the library: tests look at the kernel through this. Everything returns a
 * negative errno.
 */
#ifndef MOHEAP_TESTS_RAW_H
#define MOHEAP_TESTS_RAW_H

#include <fcntl.h>
#include <stdint.h>

#include "tap.h"

int raw_open(int flags);
int raw_ioctl(int fd, unsigned long request, void *arg);
int raw_heap(__u64 limit);	/* created with MOHEAP_CREATE_DEBUG */
int raw_heap_flags(__u64 limit, __u32 flags);
int raw_join(int by, int flags);
int raw_clone(int fd);
int raw_type(int fd, const char *name, __u64 payload, __u32 slots, __u32 flags);
int raw_batch(int fd, struct moheap_op *ops, __u32 n, __u32 flags, __u32 *done);
int raw_op(int fd, struct moheap_op *op);
int raw_alloc(int fd, int type, __u64 n, moheap_ref_t *refs);
int raw_alloc_sized(int fd, int type, __u32 payload, __u32 slots, moheap_ref_t *ref);
int raw_hold(int fd, moheap_ref_t ref);
int raw_drop(int fd, moheap_ref_t ref);
int raw_store(int fd, moheap_ref_t owner, __u32 slot, moheap_ref_t target);
int raw_load(int fd, moheap_ref_t owner, __u32 slot, moheap_ref_t *target);
int raw_watch(int fd, moheap_ref_t ref, __u64 cookie, __u32 *id);
int raw_unwatch(int fd, __u32 id);	/* 0, 1 if it was dead, or an errno */
int raw_site(int fd, moheap_ref_t ref, __u64 site);
int raw_sites(int fd, __u32 flags, struct moheap_sites *sites);	/* the figures alone */
int raw_collect(int fd, __u32 generation);
int raw_object(int fd, moheap_ref_t ref, struct moheap_object *object);
int raw_stat(int fd, struct moheap_stat *stat);
__u64 raw_objects(int fd);
int raw_check(int fd);
int raw_linger(int fd, struct moheap_block *blocks, __u32 n, __u32 keep);	/* how many */
int raw_listen(int fd, __u32 events);
int raw_read(int fd, void *to, size_t bytes);	/* bytes, or an errno */

#endif /* MOHEAP_TESTS_RAW_H */
