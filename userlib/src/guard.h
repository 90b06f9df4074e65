/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * Guarded heaps: what guard.c offers the other files of the library. Of a heap that is not
 * guarded, heap->guard is NULL; functions that say nothing of it work for either.
 */
#ifndef MOHEAP_GUARD_H
#define MOHEAP_GUARD_H

#include "internal.h"

int mh_guard_init(struct moheap *heap);
void mh_guard_free(struct moheap *heap);
void mh_guard_forget(struct moheap *heap, bool shared);
size_t mh_guard_payload(const struct moheap *heap, size_t payload);
size_t mh_guard_asked(const struct moheap *heap, size_t payload);
size_t mh_guard_size(const struct moheap *heap, moheap_ref_t ref, size_t block);

/* Only where heap->guard is not NULL. */
void mh_guard_born(struct moheap *heap, const struct mh_type *type, moheap_ref_t ref, size_t block,
		   size_t payload, const void *site);
void mh_guard_given_up(struct moheap *heap, moheap_ref_t ref, const void *site);
void mh_guard_overwritten(struct moheap *heap, moheap_ref_t old, moheap_ref_t now,
			  const void *site);
void mh_guard_judge(struct moheap *heap, const struct moheap_op *ops, unsigned int n);

void mh_guard_drain(struct moheap *heap);
void mh_guard_release(struct moheap *heap);
void mh_guard_stale(struct moheap *heap, moheap_ref_t ref);
void mh_guard_unheld(struct moheap *heap, moheap_ref_t ref);
int mh_guard_check(struct moheap *heap);

#endif /* MOHEAP_GUARD_H */
