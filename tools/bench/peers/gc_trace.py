# SPDX-License-Identifier: GPL-2.0
"""gc_trace_live_ns_per_object: see ours/gc_trace.c."""

import gc
import time

import bench

OBJECTS = 500000

gc.disable()
head = bench.chain(OBJECTS)
gc.collect()
since = time.perf_counter_ns()
gc.collect()
bench.result("gc_trace_live_ns_per_object", (time.perf_counter_ns() - since) / OBJECTS)
bench.end()
