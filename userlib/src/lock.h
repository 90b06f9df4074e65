/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * The library's lock: a word, and a futex where somebody must wait. Taken and released
 * without a function call where nobody does. fork() resets it in the child (fork.c).
 */
#ifndef MOHEAP_LOCK_H
#define MOHEAP_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/cdefs.h>

enum {
	MH_LOCK_FREE = 0,
	MH_LOCK_TAKEN = 1,
	MH_LOCK_WANTED = 2,	/* taken, and somebody may sleep on it */
};

struct mh_lock {
	atomic_int word;
};

__attribute_noinline__ void mh_lock_slow(struct mh_lock *lock);
__attribute_noinline__ void mh_unlock_slow(struct mh_lock *lock);

static inline bool mh_trylock(struct mh_lock *lock)
{
	int expected = MH_LOCK_FREE;

	return atomic_compare_exchange_strong_explicit(&lock->word, &expected, MH_LOCK_TAKEN,
						       memory_order_acquire,
						       memory_order_relaxed);
}

static inline void mh_lock(struct mh_lock *lock)
{
	if (!mh_trylock(lock))
		mh_lock_slow(lock);
}

static inline void mh_unlock(struct mh_lock *lock)
{
	if (atomic_exchange_explicit(&lock->word, MH_LOCK_FREE,
				     memory_order_release) == MH_LOCK_WANTED)
		mh_unlock_slow(lock);
}

static inline void mh_lock_reset(struct mh_lock *lock)
{
	atomic_store_explicit(&lock->word, MH_LOCK_FREE, memory_order_relaxed);
}

/* Until somebody calls mh_wake(), unless @word is not @seen any more. May return early. */
void mh_sleep(atomic_int *word, int seen);
/* Change @word, and wake all who sleep on it. */
void mh_wake(atomic_int *word);

#endif /* MOHEAP_LOCK_H */
