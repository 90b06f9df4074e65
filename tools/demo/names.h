/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names and the numbers they stand for: a hash table.
 */
#ifndef DEMO_NAMES_H
#define DEMO_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define NAMES_NONE	(~0U)

struct name;

/**
 * struct names - the table
 * @entries: in no order; free where the name is NULL
 * @room: entries there, a power of two
 * @used: how many are not free
 */
struct names {
	struct name *entries;
	size_t room;
	size_t used;
};

/* @at is not copied. Return: false where the name is there already; it keeps its number. */
bool names_add(struct names *names, const char *at, size_t length, unsigned int number);

/* Return: its number, or NAMES_NONE. */
unsigned int names_find(const struct names *names, const char *at, size_t length);

void names_free(struct names *names);

#endif /* DEMO_NAMES_H */
