// SPDX-License-Identifier: GPL-2.0
/*
 * Saved garbage: what the collector would have freed, kept for people to look at, as Python's
 * gc.garbage has it with gc.DEBUG_SAVEALL.
 *
 * While MOHEAP_DEBUG_SAVEALL is set, the collector saves what it finds unreachable: watches are
 * told and finalizers have their turn as ever, but then, in place of being cut and freed, each
 * object gets a reference of the heap's own, its MH_SAVED bit. It is reachable by that: a root of
 * traces, and nothing to local passes, so it is found once. mh_discard() takes the reference back,
 * and with the last that leads there it is garbage like any other.
 *
 * Saving allocates nothing. It happens
 *
 * - in a local pass, once what is to be finalized is spared: the counts of the others are
 *   restored, then they are saved (mh_local_save(), collect.c);
 * - in a trace, at the end of FINALIZING, which such a trace goes through in any case: all that is
 *   unmarked then is marked and saved, so the sweep finds nothing (trace.c). Barrier C holds
 *   meanwhile: no ref leads to what is yet to be saved.
 *
 * Locks: the gate. A bit is set by who has pinned the object, or has the gate exclusive, and
 * cleared by whoever gets to it first.
 */
#include "internal.h"

/**
 * mh_save() - a reference of the caller's becomes the heap's, to an object that is garbage
 * @heap: the heap; caller holds its gate
 * @o: the object
 */
void mh_save(struct mh_heap *heap, const struct mh_obj *o)
{
	/* Barrier H of trace.c. */
	mh_shade(heap, o);
	set_bit(o->idx, mh_map(o->pool, MH_SAVED));
	atomic_long_inc(&heap->nsaved);
}

/**
 * mh_discard() - the heap lets go of saved garbage
 * @heap: the heap; caller holds its gate
 * @ref: the object
 * @dead: where it goes if that was all that kept it
 *
 * Return: 0, -ENOENT if it is not saved, or what mh_pin() says.
 */
int mh_discard(struct mh_heap *heap, u64 ref, struct mh_dead *dead)
{
	struct mh_obj o;
	int err = mh_pin(heap, ref, &o);

	if (err)
		return err;
	if (mh_is_saved(heap, &o) && test_and_clear_bit(o.idx, mh_map(o.pool, MH_SAVED))) {
		atomic_long_dec(&heap->nsaved);
		mh_put(heap, &o, 1, dead);
	} else {
		err = -ENOENT;
	}
	mh_unpin(heap, &o, dead);
	return err;
}
