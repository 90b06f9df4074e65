// SPDX-License-Identifier: GPL-2.0
/*
 * moheap for other kernel code; see api.h.
 */
#include <linux/export.h>
#include <linux/module.h>

#include "internal.h"

/**
 * moheap_create() - a new heap
 * @limit: most bytes of memory, 0 for the default
 * @flags: MOHEAP_CREATE_*
 *
 * Context: process; may sleep, as everything here.
 * Return: its first client, to be released with moheap_close(), or an error pointer: -EINVAL,
 * -ERANGE, -EDQUOT, -ENOMEM.
 */
struct mh_client *moheap_create(u64 limit, u32 flags)
{
	struct mh_client *client;
	struct mh_heap *heap;

	if (flags & ~MH_CREATE_FLAGS)
		return ERR_PTR(-EINVAL);
	heap = mh_heap_create(limit, flags);
	if (IS_ERR(heap))
		return ERR_CAST(heap);
	client = mh_client_create(heap, false);
	if (client)
		return client;
	mh_heap_put(heap);
	return ERR_PTR(-ENOMEM);
}
EXPORT_SYMBOL_GPL(moheap_create);

/**
 * moheap_join() - a new client of a heap
 * @other: a client of it
 * @readonly: the new client may change nothing
 *
 * Return: the client, to be released with moheap_close(), or an error pointer: -EACCES if
 * @other is read-only and the new one is not to be, -ENOMEM.
 */
struct mh_client *moheap_join(struct mh_client *other, bool readonly)
{
	struct mh_client *client;

	if (other->readonly && !readonly)
		return ERR_PTR(-EACCES);
	mh_heap_get(other->heap);
	client = mh_client_create(other->heap, readonly);
	if (client)
		return client;
	mh_heap_put(other->heap);
	return ERR_PTR(-ENOMEM);
}
EXPORT_SYMBOL_GPL(moheap_join);

/**
 * moheap_clone() - a new client with the same holds
 * @other: whose holds
 *
 * Return: the client, to be released with moheap_close(), or an error pointer: -ENOMEM, -EINTR.
 */
struct mh_client *moheap_clone(struct mh_client *other)
{
	return mh_client_clone(other);
}
EXPORT_SYMBOL_GPL(moheap_clone);

/**
 * moheap_close() - drop all that a client holds, and the client
 * @client: the client, which must not be used afterwards
 */
void moheap_close(struct mh_client *client)
{
	mh_client_destroy(client);
}
EXPORT_SYMBOL_GPL(moheap_close);

/**
 * moheap_register() - the type of this name and layout
 * @client: a client of the heap
 * @desc: the layout; its size, id and fields members are not used
 * @fields: desc->nfields fields
 *
 * Return: the type's id, or -EACCES, -EINVAL, -E2BIG, -EEXIST, -ENOSPC, -ENOMEM.
 */
int moheap_register(struct mh_client *client, const struct moheap_type *desc,
		    const struct moheap_field *fields)
{
	if (client->readonly)
		return -EACCES;
	if (desc->nfields > MOHEAP_FIELDS_MAX)
		return -E2BIG;
	return mh_type_register(client->heap, desc, fields);
}
EXPORT_SYMBOL_GPL(moheap_register);

/**
 * moheap_submit() - do operations in order
 * @client: whose
 * @ops: the operations; pointers in them are kernel pointers
 * @count: how many
 * @flags: MOHEAP_BATCH_*
 * @done: out: how many were done
 *
 * Return: 0, -EINVAL, -ECANCELED, -EINTR; see uapi/linux/moheap.h.
 */
int moheap_submit(struct mh_client *client, struct moheap_op *ops, u32 count, u32 flags,
		  u32 *done)
{
	if (flags & ~MOHEAP_BATCH_CONTINUE || !count)
		return -EINVAL;
	return mh_batch(client, (uintptr_t)ops, count, flags, false, done);
}
EXPORT_SYMBOL_GPL(moheap_submit);

/**
 * moheap_collect() - collect now, and return when it is done
 * @client: a client of the heap
 * @generation: MOHEAP_COLLECT_*
 * @unreachable: out: objects in cycles found meanwhile
 *
 * Return: 0, -EINVAL, -EINTR.
 */
int moheap_collect(struct mh_client *client, u32 generation, u64 *unreachable)
{
	return mh_collect(client->heap, generation, unreachable);
}
EXPORT_SYMBOL_GPL(moheap_collect);

/**
 * moheap_stat() - the figures of a heap
 * @client: a client of it
 * @stat: out
 */
void moheap_stat(struct mh_client *client, struct moheap_stat *stat)
{
	mh_heap_stat(client->heap, stat);
}
EXPORT_SYMBOL_GPL(moheap_stat);

/**
 * moheap_listen() - which events of the heap a client is to get
 * @client: the client
 * @events: MOHEAP_LISTEN_*
 *
 * Return: 0 or -EINVAL.
 */
int moheap_listen(struct mh_client *client, u32 events)
{
	return mh_events_listen(client, events);
}
EXPORT_SYMBOL_GPL(moheap_listen);

/**
 * moheap_read() - events that are there; waits for none
 * @client: whose
 * @events: out
 * @n: room for so many
 *
 * Return: how many, 0 if there was none, or -EINTR.
 */
int moheap_read(struct mh_client *client, struct moheap_event *events, u32 n)
{
	return mh_events_read(client, (uintptr_t)events, n, false);
}
EXPORT_SYMBOL_GPL(moheap_read);

/**
 * moheap_check() - are all invariants of a heap intact?
 * @client: a client of it
 *
 * Keeps everybody out for as long as it takes: for tests.
 *
 * Return: 0, -EUCLEAN (the log says what is broken), -ENOMEM, -EINTR.
 */
int moheap_check(struct mh_client *client)
{
	return mh_heap_check(client->heap);
}
EXPORT_SYMBOL_GPL(moheap_check);
