# SPDX-License-Identifier: GPL-2.0
"""store_ref: see ours/store_ref.c."""

import random
import time

import bench

OBJECTS = 1000
TIMES = 1000


def store(owners, targets):
    for j in range(TIMES):
        shifted = targets[j:] + targets[:j]
        for owner, target in zip(owners, shifted):
            owner.a = target


owners = [bench.Node() for _ in range(OBJECTS)]
targets = random.Random(1).choices(owners, k=OBJECTS)
since = time.perf_counter_ns()
store(owners, targets)
bench.result("store_ref", (time.perf_counter_ns() - since) / OBJECTS / TIMES)
bench.end()
