# SPDX-License-Identifier: GPL-2.0
"""What every measuring script needs; see common/bench.h."""

import os

PARTY = "cpython"


class Node:
    """A node with two references, as lean as Python has them."""

    __slots__ = ("a", "b")


class Valued:
    """... and a value."""

    __slots__ = ("value", "a", "b")


def result(metric, number, party=PARTY):
    print("result", metric, party, format(number, ".6g"), flush=True)


def besides(metric, what, number, party=PARTY):
    print("besides", metric, party, what, format(number, ".6g"), flush=True)


def end():
    """Ends here: to take the graph apart is nobody's question."""
    os._exit(0)


def chain(n, make=Valued):
    """n nodes, each referring to the next."""
    head = None
    for _ in range(n):
        node = make()
        node.value = 0
        node.a = head
        node.b = None
        head = node
    return head


def drop_ring(n, make=Valued):
    """Garbage: n nodes in a ring."""
    last = head = make()
    for _ in range(n - 1):
        node = make()
        node.a = head
        head = node
    last.a = head


def charge_alone():
    """See bench_charge_alone()."""
    group = f"/sys/fs/cgroup/bench-{os.getpid()}"
    os.mkdir(group)
    with open(group + "/cgroup.procs", "w") as f:
        f.write(str(os.getpid()))


def charged():
    with open(f"/sys/fs/cgroup/bench-{os.getpid()}/memory.current") as f:
        return int(f.read())


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096
