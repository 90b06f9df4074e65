# SPDX-License-Identifier: GPL-2.0
"""attach_read: see ours/attach_read.c. The graph goes through a pipe, pickled.

Nodes are lists, [value, left, right]: what pickle is fastest with.
"""

import gc
import os
import pickle
import time

import bench

OBJECTS = 1000000


def reader(take, give):
    gc.disable()
    with open(take, "rb") as f:
        node = pickle.load(f)
    while node[1]:
        node = node[1]
    os.write(give, bytes([node[0]]))
    bench.end()


def tree(n):
    nodes = [[0, None, None] for _ in range(n + 1)]
    for i in range(2, n + 1):
        nodes[i // 2][1 + i % 2] = nodes[i]
    nodes[1 << n.bit_length() - 1][0] = 42
    return nodes[1]


take, give = os.pipe()
answer_take, answer_give = os.pipe()
if os.fork() == 0:
    os.close(give)
    reader(take, answer_give)
gc.disable()
root = tree(OBJECTS)
since = time.perf_counter_ns()
with open(give, "wb") as f:
    pickle.dump(root, f, pickle.HIGHEST_PROTOCOL)
answer = os.read(answer_take, 1)
took = time.perf_counter_ns() - since
assert answer == bytes([42])
bench.result("attach_read", took, "pickle")
bench.end()
