// SPDX-License-Identifier: GPL-2.0
/*
 * The textbook example:
 *
 *	a = [1] * 1000000
 *	b = [2] * 1000000
 *	c = a + b
 *
 * Lists refer to their items. Here that is one object for 1 and one for 2, as in Python.
 */
#include <stdio.h>

#include "heap.h"
#include "parts.h"
#include "python.h"
#include "report.h"

#define ITEMS	1000000

/* ---- Integers ---- */

static moheap_ref_t new_int(struct moheap *heap, __s64 value)
{
	static const struct moheap_field fields[] = {
		{ .kind = MOHEAP_FIELD_INT, .width = 8, .count = 1, .offset = 0, .name = "value" },
	};
	static const struct moheap_layout layout = {
		.size = sizeof(layout),
		.name = "int",
		.payload = sizeof(value),
		.nfields = 1,
		.fields = fields,
	};
	moheap_ref_t ref;
	int type;

	type = must("the type of integers", moheap_type_register(heap, &layout));
	must("moheap_new", moheap_new(heap, type, &ref));
	*(__s64 *)moheap_ptr(heap, ref) = value;
	return ref;
}

/* ---- Lists ---- */

/**
 * struct example - the five objects
 * @heap: where they are
 * @one: 1
 * @two: 2
 * @a: [1] * 1000000
 * @b: [2] * 1000000
 * @c: a + b
 * @took: how long the three lists took to make
 */
struct example {
	struct moheap *heap;
	moheap_ref_t one, two;
	moheap_ref_t a, b, c;
	__u64 took;
};

static void make(struct example *e)
{
	__u64 since;

	e->one = new_int(e->heap, 1);
	e->two = new_int(e->heap, 2);
	since = now();
	must("moheap_list_repeat", moheap_list_repeat(e->heap, e->one, ITEMS, &e->a));
	must("moheap_list_repeat", moheap_list_repeat(e->heap, e->two, ITEMS, &e->b));
	must("moheap_list_concat", moheap_list_concat(e->heap, e->a, e->b, &e->c));
	must("moheap_flush", moheap_flush(e->heap));
	e->took = now() - since;
}

static void check_item(const struct example *e, size_t index, moheap_ref_t expected)
{
	moheap_ref_t item;

	must("moheap_list_read", moheap_list_read(e->heap, e->c, index, 1, &item));
	claim(item == expected, "c[%zu] is what it should be", index);
}

static void check(const struct example *e)
{
	claim(moheap_list_len(e->heap, e->c) == 2 * ITEMS, "c has %d items", 2 * ITEMS);
	check_item(e, 0, e->one);
	check_item(e, ITEMS - 1, e->one);
	check_item(e, ITEMS, e->two);
	check_item(e, 2 * ITEMS - 1, e->two);
}

static void table_row(const char *what, unsigned long long here, unsigned long long python)
{
	printf("  %-20s %15s %15s   %3.0f %%\n", what, count(here).s, count(python).s,
	       100.0 * here / python);
}

static void tell_sizes(const struct example *e)
{
	struct python_sizes python = python_measure();

	printf("  %-20s %15s %15s\n", "bytes", "moheap", "CPython 3.11");
	table_row("a = [1] * 1000000", must("a", moheap_list_getsizeof(e->heap, e->a)), python.a);
	table_row("b = [2] * 1000000", must("b", moheap_list_getsizeof(e->heap, e->b)), python.b);
	table_row("c = a + b", must("c", moheap_list_getsizeof(e->heap, e->c)), python.c);
	table_row("the object 1", must("1", moheap_getsizeof(e->heap, e->one)), python.one);
	blank_line();
	if (python.measured)
		say("CPython's column was measured just now, beside us, with sys.getsizeof().");
	else
		say("CPython's column is what is documented: no python3.11 is here to be asked.");
}

/* a, b, and our own references: gone. c still has its items. */
static void tell_counts(const struct example *e)
{
	long long before, after;

	before = must("moheap_refcount", moheap_refcount(e->heap, e->one));
	claim(before == 2 * ITEMS + 1, "1 has a reference from every item, and ours");
	must("moheap_decref", moheap_decref(e->heap, e->a));
	must("moheap_decref", moheap_decref(e->heap, e->b));
	heap_wait(e->heap, heap_has_objects, 4, "1, 2, c and its array are left without a and b");
	/* Of a million slots, the last are cleared a little later. */
	heap_rest(e->heap);
	after = must("moheap_refcount", moheap_refcount(e->heap, e->one));
	claim(after == ITEMS + 1, "1 still has a reference from every item of c, and ours");
	say("The three lists took %s to make. A reference takes 4 bytes, in the kernel.",
	    duration(e->took).s);
	say("%s of them led to the object 1, and %s are left now that a and b are dropped:",
	    count(before - 1).s, count(after - 1).s);
	say("c keeps its items.");
	paragraph_end();
}

void show_lists(void)
{
	struct example e = { .heap = heap_open() };

	heading("2. The textbook example: lists of a million references");
	make(&e);
	check(&e);
	tell_sizes(&e);
	tell_counts(&e);
	must("moheap_decref", moheap_decref(e.heap, e.c));
	must("moheap_decref", moheap_decref(e.heap, e.one));
	must("moheap_decref", moheap_decref(e.heap, e.two));
	heap_wait(e.heap, heap_has_objects, 0, "nothing is left of the lists");
	heap_close(e.heap);
}
