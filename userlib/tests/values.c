// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * See values.h.
 */
#include <time.h>

#include "values.h"

#define BALLAST	4096

void values_seed(void)
{
	const char *given = getenv("MOHEAP_SEED");
	unsigned int seed = time(NULL) * 1000003U + getpid();

	if (given)
		seed = strtoul(given, NULL, 0);
	tap_note("MOHEAP_SEED=%u", seed);
	srand(seed);
}

moheap_ref_t value_int(struct moheap *heap, long long value)
{
	moheap_ref_t box;

	err_is(moheap_int_new(heap, value, &box), 0);
	return box;
}

static moheap_ref_t value_float(struct moheap *heap, double value)
{
	moheap_ref_t box;

	err_is(moheap_float_new(heap, value, &box), 0);
	return box;
}

moheap_ref_t value_bytes(struct moheap *heap, const char *string)
{
	moheap_ref_t bytes;

	err_is(moheap_bytes_new(heap, string, strlen(string), &bytes), 0);
	return bytes;
}

static moheap_ref_t value_tuple(struct moheap *heap, int number, const char *string)
{
	moheap_ref_t items[3] = { value_int(heap, number), 0, value_bytes(heap, string) };
	moheap_ref_t tuple;

	err_is(moheap_tuple_new(heap, items, 3, &tuple), 0);
	moheap_decref(heap, items[0]);
	moheap_decref(heap, items[2]);
	return tuple;
}

/* The values come in pairs, equal or not. */
void values_make(struct moheap *heap, struct value *values, unsigned int n)
{
	int node = tap_type(heap, "node", 8, 1), same;
	char string[64];
	unsigned int i;

	for (i = 0; i < n; i++) {
		same = i / 2;
		snprintf(string, sizeof(string), "%*d", same % 40, same);
		switch (same % 5) {
		case 0:
			values[i].ref = i % 2 ? value_int(heap, same) : value_float(heap, same);
			break;
		case 1:
			values[i].ref = value_float(heap, same + 0.25);
			break;
		case 2:
			values[i].ref = value_bytes(heap, string);
			break;
		case 3:
			values[i].ref = value_tuple(heap, same, string);
			break;
		default:
			values[i].ref = tap_new(heap, node);
			same = -(int)i;
		}
		values[i].same = same;
	}
}

void values_drop(struct moheap *heap, struct value *values, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		err_is(moheap_decref(heap, values[i].ref), 0);
}

void values_with_little_memory(struct moheap *heap, int (*run)(struct moheap *heap, void *arg),
			       void (*check)(struct moheap *heap, void *arg, int err), void *arg)
{
	static moheap_ref_t ballast[100000];
	int type = tap_type(heap, "ballast", BALLAST, 0), err;
	unsigned int n = 0, failed = 0;
	__u64 objects;

	if (tap_guarded())
		tap_skip("red zones take what there is");
	while (n < TAP_COUNT(ballast) && !moheap_new(heap, type, &ballast[n]))
		n++;
	do {
		objects = tap_objects(heap);
		err = run(heap, arg);
		check(heap, arg, err);
		if (err) {
			ok(err == -ENOSPC || err == -ENOMEM);
			is(tap_objects(heap), objects);
			failed++;
			ok(n > 0);
			moheap_decref(heap, ballast[--n]);
		}
	} while (err);
	tap_note("%u times too little memory", failed);
	ok(failed > 0);
	while (n--)
		moheap_decref(heap, ballast[n]);
}
