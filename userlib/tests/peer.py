# SPDX-License-Identifier: MIT OR LGPL-2.1-only
"""The peer of test_differential.c: runs its programs on CPython's own objects.

    peer.py FILE        prints a line for each line of the program in FILE

What a line does, and what it prints, is defined by the functions below: the C
side has one of the same name for each. An operation that makes no sense on
what is in its registers does nothing, and prints "x".

Lists, dicts and sets compare by identity, as moheap_equal() does it.

Of callbacks CPython defines the order for one object only, so what was called is
sorted by objects.
"""

import gc
import sys
import weakref

REGISTERS = 48
WEAKS = 16      # weak references
FINALIZERS = 8
WEAK_DICTS = 2  # of each kind


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


class Final(Node):
    """A node that is finalized, before what it refers to: but for collections that is sure."""
    __slots__ = ()

    def __del__(self):
        early = not any(isinstance(thing, Final) and thing.serial in gone for thing in self.slots)
        gone.add(self.serial)
        finalized.append(self.serial if early or collecting else -1)


class Witness:
    """The first item of a tuple, which has no weak references of its own."""
    __slots__ = ("serial", "__weakref__")


r = [None] * REGISTERS
born = []
weaks = [None] * WEAKS
finalizers = [None] * FINALIZERS
valued = [weakref.WeakValueDictionary() for _ in range(WEAK_DICTS)]
keyed = [weakref.WeakKeyDictionary() for _ in range(WEAK_DICTS)]
weak_sets = [weakref.WeakSet() for _ in range(WEAK_DICTS)]
callbacks = 0
called = []
finalized = []      # since somebody asked
gone = set()        # ever
collecting = False


def known(thing):
    """A new object that is asked for later: does it still live?"""
    thing.serial = len(born)
    born.append(weakref.ref(thing))
    # All without a callback are this one, and weak dicts and sets ask it.
    hash(born[-1])
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


def new_final(out):
    r[out] = known(Final())
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


# Weak references

def is_known(thing):
    return isinstance(thing, (List, Dict, Set, Node))


def callback(thing):
    """What to call when it is dead: notes whose it was, and which callback."""
    global callbacks
    entry = (thing.serial, callbacks)
    callbacks += 1
    return lambda *_: called.append(entry)


def weak_new(w, a, i):
    if not is_known(r[a]):
        return "x"
    weaks[w % WEAKS] = weakref.ref(r[a], callback(r[a]) if i % 2 else None)
    return "ok"


def weak_drop(w):
    weaks[w % WEAKS] = None
    return "ok"


def weak_get(w, out):
    ref = weaks[w % WEAKS]
    r[out] = ref and ref()
    return describe(r[out])


def weak_equal(w, v):
    return str(int(weaks[w % WEAKS] == weaks[v % WEAKS]))


def weak_hash(w):
    try:
        hash(weaks[w % WEAKS])
    except TypeError:
        return "x"
    return "ok"


def weak_count(a):
    return str(weakref.getweakrefcount(r[a])) if is_known(r[a]) else "x"


def weak_calls():
    calls = " ".join(f"{serial}:{number}" for serial, number in
                     sorted(called, key=lambda entry: entry[0]))
    called.clear()
    return calls


def finalize_new(f, a):
    if not is_known(r[a]):
        return "x"
    finalizer = weakref.finalize(r[a], callback(r[a]))
    finalizer.atexit = False
    finalizers[f % FINALIZERS] = finalizer
    return "ok"


def finalize_call(f):
    finalizer = finalizers[f % FINALIZERS]
    if not finalizer or not finalizer.alive:
        return "x"
    finalizer()
    return "ok"


def finalize_detach(f):
    finalizer = finalizers[f % FINALIZERS]
    return "ok" if finalizer and finalizer.detach() else "x"


def finalize_alive(f):
    finalizer = finalizers[f % FINALIZERS]
    return str(int(bool(finalizer and finalizer.alive)))


# Weak dicts and sets. Where a key or value is weak it is one of those known

def valued_set(d, key, value):
    if r[key] is None or not is_known(r[value]):
        return "x"
    valued[d % WEAK_DICTS][r[key]] = r[value]
    return "ok"


def keyed_set(d, key, value):
    if not is_known(r[key]):
        return "x"
    keyed[d % WEAK_DICTS][r[key]] = r[value]
    return "ok"


def weak_dict_get(d, key, out):
    if key not in d:
        return "x"
    r[out] = d[key]
    return "ok"


def valued_get(d, key, out):
    return weak_dict_get(valued[d % WEAK_DICTS], r[key], out)


def keyed_get(d, key, out):
    if not is_known(r[key]):
        return "x"
    return weak_dict_get(keyed[d % WEAK_DICTS], r[key], out)


def weak_dict_pop(d, key, out):
    if key not in d:
        return "x"
    r[out] = d.pop(key)
    return "ok"


def valued_pop(d, key, out):
    return weak_dict_pop(valued[d % WEAK_DICTS], r[key], out)


def keyed_pop(d, key, out):
    if not is_known(r[key]):
        return "x"
    return weak_dict_pop(keyed[d % WEAK_DICTS], r[key], out)


def weak_dict_popitem(d, out, out2):
    if not d:
        return "x"
    r[out], r[out2] = d.popitem()
    return "ok"


def valued_popitem(d, out, out2):
    return weak_dict_popitem(valued[d % WEAK_DICTS], out, out2)


def keyed_popitem(d, out, out2):
    return weak_dict_popitem(keyed[d % WEAK_DICTS], out, out2)


def weak_dict_show(d):
    items = " ".join(f"{describe(k)}:{describe(v)}" for k, v in d.items())
    return f"{len(d)} {items}"


def valued_show(d):
    return weak_dict_show(valued[d % WEAK_DICTS])


def keyed_show(d):
    return weak_dict_show(keyed[d % WEAK_DICTS])


def valued_update(d):
    valued[d % WEAK_DICTS].update(valued[(d + 1) % WEAK_DICTS])
    return "ok"


def keyed_update(d):
    keyed[d % WEAK_DICTS].update(keyed[(d + 1) % WEAK_DICTS])
    return "ok"


def valued_clear(d):
    valued[d % WEAK_DICTS].clear()
    return "ok"


def keyed_clear(d):
    keyed[d % WEAK_DICTS].clear()
    return "ok"


def weak_set_add(s, key):
    if not is_known(r[key]):
        return "x"
    weak_sets[s % WEAK_DICTS].add(r[key])
    return "ok"


def weak_set_discard(s, key):
    if is_known(r[key]):
        weak_sets[s % WEAK_DICTS].discard(r[key])
    return "ok"


def weak_set_show(s):
    keys = weak_sets[s % WEAK_DICTS]
    return f"{len(keys)} " + " ".join(sorted(map(describe, keys)))


def weak_set_change(s, i):
    keys, other = weak_sets[s % WEAK_DICTS], weak_sets[(s + 1) % WEAK_DICTS]
    if i % 3 == 0:
        keys.update(other)
    elif i % 3 == 1:
        keys.difference_update(other)
    else:
        keys.symmetric_difference_update(other)
    return str(int(keys.issubset(other)))


# Who was finalized, and who lives

def finals():
    serials = " ".join(map(str, sorted(finalized)))
    finalized.clear()
    return serials


def alive():
    return " ".join(str(i) for i, ref in enumerate(born) if ref() is not None)


def collect():
    global collecting
    collecting = True
    while gc.collect():
        pass
    collecting = False
    return f"{alive()} / {weak_calls()} / {finals()}"


def drop_all():
    for i in range(REGISTERS):
        r[i] = None
    for thing in valued + keyed + weak_sets:
        thing.clear()
    return alive()


def main():
    gc.disable()
    with open(sys.argv[1], encoding="ascii") as program:
        for line in program:
            name, *args = line.split()
            print(globals()[name](*map(int, args)))


main()
