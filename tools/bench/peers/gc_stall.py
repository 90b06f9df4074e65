# SPDX-License-Identifier: GPL-2.0
"""gc_longest_stall: see ours/gc_stall.c. Nothing else runs while gc.collect() does."""

import gc
import time

import bench

OBJECTS = 1000000

gc.disable()
bench.drop_ring(OBJECTS // 2)
for _ in range(OBJECTS // 4):
    bench.drop_ring(2)
since = time.perf_counter_ns()
found = gc.collect()
took = time.perf_counter_ns() - since
assert found == OBJECTS
bench.result("gc_longest_stall", took)
bench.end()
