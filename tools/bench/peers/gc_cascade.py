# SPDX-License-Identifier: GPL-2.0
"""gc_cascade_stall: see ours/gc_cascade.c."""

import gc
import time

import bench

NODES = 1000000

gc.disable()
head = bench.chain(NODES)
since = time.perf_counter_ns()
del head
bench.result("gc_cascade_stall", time.perf_counter_ns() - since)
bench.end()
