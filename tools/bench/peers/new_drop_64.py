# SPDX-License-Identifier: GPL-2.0
"""new_drop_64: see backends/new_drop_64.c. What is dropped is overwritten."""

import time

import bench

TIMES = 1000000
ALIVE = 1000


def new_drop(alive, make):
    for _ in range(TIMES // ALIVE):
        for i in range(ALIVE):
            alive[i] = make()


alive = [bench.Node() for _ in range(ALIVE)]
since = time.perf_counter_ns()
new_drop(alive, bench.Node)
bench.result("new_drop_64", (time.perf_counter_ns() - since) / TIMES)
bench.end()
