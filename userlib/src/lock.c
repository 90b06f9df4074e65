// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Where the lock is not free: spin a moment, for most holders are gone within a few dozen
 * instructions; then sleep.
 */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lock.h"

#define MH_LOCK_SPINS	64

void mh_lock_slow(struct mh_lock *lock)
{
	int spins;

	for (spins = 0; spins < MH_LOCK_SPINS; spins++) {
		if (atomic_load_explicit(&lock->word, memory_order_relaxed) == MH_LOCK_FREE &&
		    mh_trylock(lock))
			return;
	}
	while (atomic_exchange_explicit(&lock->word, MH_LOCK_WANTED,
					memory_order_acquire) != MH_LOCK_FREE)
		syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, MH_LOCK_WANTED, NULL);
}

void mh_unlock_slow(struct mh_lock *lock)
{
	syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1);
}

void mh_sleep(atomic_int *word, int seen)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL);
}

void mh_wake(atomic_int *word)
{
	atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX);
}
