# SPDX-License-Identifier: MIT OR LGPL-2.1-only
"""The peer of test_differential.c: runs its programs on CPython's own objects.

    peer.py FILE        prints a line for each line of the program in FILE

What a line does, and what it prints, is defined by the functions below: the C
side has one of the same name for each. An operation that makes no sense on
what is in its registers does nothing, and prints "x".

Lists, dicts and sets compare by identity, as moheap_equal() does it.
"""

import gc
import sys
import weakref

REGISTERS = 48


class List(list):
    __slots__ = ("serial", "__weakref__")
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class Dict(dict):
    __slots__ = ("serial", "__weakref__")
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class Set(set):
    __slots__ = ("serial",)
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class Node:
    """Two references and an identity."""
    __slots__ = ("serial", "slots", "__weakref__")

    def __init__(self):
        self.slots = (None, None)


class Witness:
    """The first item of a tuple, which has no weak references of its own."""
    __slots__ = ("serial", "__weakref__")


r = [None] * REGISTERS
born = []


def known(thing):
    """A new object that is asked for later: does it still live?"""
    thing.serial = len(born)
    born.append(weakref.ref(thing))
    return thing


def describe(thing, depth=0):
    if thing is None:
        return "-"
    if isinstance(thing, int):
        return f"i{thing}"
    if isinstance(thing, float):
        return f"f{int(thing * 4)}"
    if isinstance(thing, bytes):
        return f"b{thing.hex()}"
    if isinstance(thing, tuple):
        if depth == 2:
            return "(...)"
        return "(" + " ".join(describe(item, depth + 1) for item in thing) + ")"
    return f"#{thing.serial}"


def contents(thing):
    if isinstance(thing, List):
        return "[" + " ".join(map(describe, thing)) + "]"
    if isinstance(thing, Dict):
        return "{" + " ".join(f"{describe(k)}:{describe(v)}" for k, v in thing.items()) + "}"
    if isinstance(thing, Set):
        return "{" + " ".join(sorted(map(describe, thing))) + "}"
    if isinstance(thing, Node):
        return "<" + " ".join(map(describe, thing.slots)) + ">"
    return describe(thing)


def needs(**kinds):
    """Decorates an operation: what its first registers must have."""
    def decorate(function):
        def checked(*args):
            for arg, kind in zip(args, kinds.values()):
                if not isinstance(r[arg], kind):
                    return "x"
            return function(*args) or "ok"
        return checked
    return decorate


# New objects

def new_list(out):
    r[out] = known(List())
    return "ok"


new_plain_list = new_list


def new_dict(out):
    r[out] = known(Dict())
    return "ok"


def new_set(out):
    r[out] = known(Set())
    return "ok"


def new_node(out):
    r[out] = known(Node())
    return "ok"


def new_tuple(out, a, b, n):
    r[out] = (known(Witness()), r[a], r[b])[:n % 3 + 1]
    return "ok"


def new_pair(out, a, b):
    r[out] = (r[a], r[b])
    return "ok"


def new_int(out, n):
    r[out] = n
    return "ok"


def new_float(out, n):
    r[out] = n / 4
    return "ok"


def new_bytes(out, n):
    r[out] = (b"%d" % n) * (n % 5)
    return "ok"


# Registers

def drop(a):
    r[a] = None
    return "ok"


def move(out, a):
    r[out] = r[a]
    return "ok"


def equal(a, b):
    return str(int(r[a] == r[b]))


def show(a):
    return contents(r[a])


# Nodes and tuples

@needs(n=Node)
def node_set(n, i, a):
    slots = list(r[n].slots)
    slots[i % 2] = r[a]
    r[n].slots = tuple(slots)


@needs(n=Node)
def node_get(n, i, out):
    r[out] = r[n].slots[i % 2]


@needs(t=tuple)
def tuple_get(t, i, out):
    if len(r[t]) < 2:
        return "x"
    r[out] = r[t][1 + i % (len(r[t]) - 1)]


# Lists

@needs(a=List)
def list_append(a, value):
    r[a].append(r[value])


@needs(a=List)
def list_insert(a, i, value):
    r[a].insert(i % (len(r[a]) + 1), r[value])


@needs(a=List)
def list_set(a, i, value):
    if not r[a]:
        return "x"
    r[a][i % len(r[a])] = r[value]


@needs(a=List)
def list_get(a, i, out):
    if not r[a]:
        return "x"
    r[out] = r[a][i % len(r[a])]


@needs(a=List)
def list_pop(a, i, out):
    if not r[a]:
        return "x"
    r[out] = r[a].pop(i % len(r[a]))


@needs(a=List)
def list_delete(a, i, n):
    i %= len(r[a]) + 1
    n %= len(r[a]) - i + 1
    del r[a][i:i + n]


@needs(a=List)
def list_clear(a):
    r[a].clear()


@needs(a=List)
def list_index(a, value):
    if r[value] not in r[a]:
        return "x"
    return str(r[a].index(r[value]))


@needs(a=List)
def list_remove(a, value):
    if r[value] not in r[a]:
        return "x"
    r[a].remove(r[value])


@needs(a=List, b=List)
def list_extend(a, b):
    if len(r[a]) + len(r[b]) > 300:
        return "x"
    r[a].extend(r[b])


@needs(a=List, b=List)
def list_concat(a, b, out):
    r[out] = known(List(r[a] + r[b]))


@needs(a=List)
def list_slice(a, i, n, out):
    i %= len(r[a]) + 1
    n %= len(r[a]) - i + 1
    r[out] = known(List(r[a][i:i + n]))


# Dicts

@needs(d=Dict)
def dict_set(d, key, value):
    if r[key] is None:
        return "x"
    r[d][r[key]] = r[value]


@needs(d=Dict)
def dict_get(d, key, out):
    if r[key] is None or r[key] not in r[d]:
        return "x"
    r[out] = r[d][r[key]]


@needs(d=Dict)
def dict_pop(d, key, out):
    if r[key] is None or r[key] not in r[d]:
        return "x"
    r[out] = r[d].pop(r[key])


@needs(d=Dict)
def dict_popitem(d, out, out2):
    if not r[d]:
        return "x"
    r[out], r[out2] = r[d].popitem()


@needs(d=Dict)
def dict_setdefault(d, key, value, out):
    if r[key] is None:
        return "x"
    r[out] = r[d].setdefault(r[key], r[value])


@needs(d=Dict, e=Dict)
def dict_update(d, e):
    r[d].update(r[e])


@needs(d=Dict)
def dict_copy(d, out):
    r[out] = known(Dict(r[d]))


@needs(d=Dict)
def dict_clear(d):
    r[d].clear()


# Sets

@needs(s=Set)
def set_add(s, key):
    if r[key] is None:
        return "x"
    r[s].add(r[key])


@needs(s=Set)
def set_remove(s, key):
    if r[key] is None or r[key] not in r[s]:
        return "x"
    r[s].remove(r[key])


@needs(s=Set, t=Set)
def set_update(s, t):
    r[s].update(r[t])


@needs(s=Set, t=Set)
def set_difference(s, t, out):
    r[out] = known(Set(set.difference(r[s], r[t])))


@needs(s=Set, t=Set)
def set_issubset(s, t):
    return str(int(r[s].issubset(r[t])))


@needs(s=Set)
def set_copy(s, out):
    r[out] = known(Set(r[s]))


@needs(s=Set)
def set_clear(s):
    r[s].clear()


# Who lives

def alive():
    return " ".join(str(i) for i, ref in enumerate(born) if ref() is not None)


def collect():
    gc.collect()
    return alive()


def drop_all():
    for i in range(REGISTERS):
        r[i] = None
    return alive()


def main():
    gc.disable()
    with open(sys.argv[1], encoding="ascii") as program:
        for line in program:
            name, *args = line.split()
            print(globals()[name](*map(int, args)))


main()
