# SPDX-License-Identifier: GPL-2.0
"""gc_cycle_ns_per_object: see ours/gc_cycle.c."""

import gc
import time

import bench

OBJECTS = 400000

gc.disable()
for _ in range(OBJECTS // 2):
    bench.drop_ring(2)
since = time.perf_counter_ns()
found = gc.collect()
took = time.perf_counter_ns() - since
assert found == OBJECTS
bench.result("gc_cycle_ns_per_object", took / OBJECTS)
bench.end()
