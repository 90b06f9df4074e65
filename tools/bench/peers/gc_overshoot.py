# SPDX-License-Identifier: GPL-2.0
"""gc_overshoot: see ours/gc_overshoot.c. CPython's collector runs when it likes."""

import bench

LIVE = 100000
GARBAGE = 800000


def ring_size(step):
    size = 2
    while size < 4096 and step % 2:
        step //= 2
        size *= 2
    return size


empty = bench.resident()
keep = bench.chain(LIVE)
live = bench.resident() - empty
most = made = step = 0
while made < GARBAGE:
    size = ring_size(step)
    bench.drop_ring(size)
    made += size
    if step % 64 == 0:
        most = max(most, bench.resident() - empty)
    step += 1
bench.result("gc_overshoot", most / live)
bench.end()
