# SPDX-License-Identifier: GPL-2.0
"""What is recorded: a program that reads a large JSON file, as many do.

The file is made here, the same each time, and read back as a program would read it: orders of
a shop, of which some are kept and totals are made. FILE: where to put it.
"""

import json
import random
import sys

ORDERS = 1500


def some_order(number, rng):
    return {
        "id": number,
        "customer": {
            "name": rng.choice(["Ada", "Grace", "Edsger", "Barbara"]) + f" {number}",
            "mail": f"customer{rng.randrange(10**6)}@example.org",
            "tags": [rng.choice(["new", "late", "gift"]) for _ in range(rng.randrange(4))],
        },
        "items": [
            {
                "sku": f"{rng.randrange(16**8):08x}",
                "title": "x" * int(rng.expovariate(1 / 40)),
                "price": rng.randrange(10**5) / 100,
                "count": rng.randrange(1, 2000),
            }
            for _ in range(1 + int(rng.expovariate(1 / 4)))
        ],
        "paid": rng.random() < 0.9,
        "note": None,
    }


def make(path):
    rng = random.Random(7)
    with open(path, "w") as f:
        for number in range(ORDERS):
            f.write(json.dumps(some_order(number, rng)) + "\n")


def read(path):
    totals = {}
    late = []
    with open(path) as f:
        for line in f:
            order = json.loads(line)
            name = order["customer"]["name"]
            total = sum(item["price"] * item["count"] for item in order["items"])
            totals[name] = totals.get(name, 0) + total
            if "late" in order["customer"]["tags"]:
                late.append(order)
    return totals, late


def read_whole(path):
    with open(path) as f:
        return json.loads("[" + ",".join(f) + "]")


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    whole = read_whole(sys.argv[2])
    totals, late = read(sys.argv[2])
    print(len(whole), len(totals), len(late))
