# SPDX-License-Identifier: GPL-2.0
"""bytes_per_node, bytes_per_array: see ours/bytes.c."""

import sys

import bench

N = 1000000
ARRAYS = 8


def nodes():
    """The tree, without a list of its nodes: that would count."""
    root = bench.Node()
    row = [root]
    n = 1
    while n < N:
        below = []
        for node in row:
            node.a = bench.Node()
            node.b = bench.Node()
            below += (node.a, node.b)
        n += len(below)
        row = below
    return root, n


def arrays():
    return [[None] * N for _ in range(ARRAYS)], ARRAYS * N


bench.charge_alone()
before = bench.charged()
keep, n = nodes() if sys.argv[1] == "bytes_per_node" else arrays()
bench.result(sys.argv[1], (bench.charged() - before) / n)
bench.end()
