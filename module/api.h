/* SPDX-License-Identifier: GPL-2.0 */
/*
 * moheap for other kernel code: the same heaps, clients and operations that programs have.
 *
 * The operations are those of the ABI. Pointers inside a struct moheap_op are
 * kernel pointers here, cast to u64. Payload belongs to user space: kernel users see refs,
 * slots and lifetimes only.
 */
#ifndef MOHEAP_API_H
#define MOHEAP_API_H

#include <linux/moheap.h>

struct mh_client;

struct mh_client *moheap_create(u64 limit, u32 flags);
struct mh_client *moheap_join(struct mh_client *other, bool readonly);
struct mh_client *moheap_clone(struct mh_client *other);
void moheap_close(struct mh_client *client);

int moheap_register(struct mh_client *client, const struct moheap_type *desc,
		    const struct moheap_field *fields);
int moheap_submit(struct mh_client *client, struct moheap_op *ops, u32 count, u32 flags,
		  u32 *done);
int moheap_collect(struct mh_client *client, u32 generation, u64 *unreachable);
void moheap_stat(struct mh_client *client, struct moheap_stat *stat);
int moheap_listen(struct mh_client *client, u32 events);
int moheap_read(struct mh_client *client, struct moheap_event *events, u32 n);
int moheap_check(struct mh_client *client);

#endif /* MOHEAP_API_H */
