// SPDX-License-Identifier: GPL-2.0
/*
 * Names and the numbers they stand for.
 */
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "report.h"

#define NAMES_FIRST	1024

struct name {
	const char *at;
	size_t length;
	unsigned int number;
};

/* FNV-1a */
static size_t hash(const char *at, size_t length)
{
	__u64 h = 0xcbf29ce484222325ULL;

	while (length--)
		h = (h ^ (unsigned char)*at++) * 0x100000001b3ULL;
	return h ^ h >> 32;
}

/* The entry of a name, or the free one where it belongs. */
static struct name *lookup(const struct names *names, const char *at, size_t length)
{
	size_t i = hash(at, length);
	struct name *entry;

	for (;; i++) {
		entry = &names->entries[i & (names->room - 1)];
		if (!entry->at || (entry->length == length && !memcmp(entry->at, at, length)))
			return entry;
	}
}

static void grow(struct names *names)
{
	struct names larger = { .room = names->room ? 2 * names->room : NAMES_FIRST };

	larger.entries = memory(larger.room, sizeof(*larger.entries));
	larger.used = names->used;
	for (size_t i = 0; i < names->room; i++) {
		const struct name *old = &names->entries[i];

		if (old->at)
			*lookup(&larger, old->at, old->length) = *old;
	}
	free(names->entries);
	*names = larger;
}

bool names_add(struct names *names, const char *at, size_t length, unsigned int number)
{
	struct name *entry;

	if (2 * names->used >= names->room)
		grow(names);
	entry = lookup(names, at, length);
	if (entry->at)
		return false;
	*entry = (struct name){ .at = at, .length = length, .number = number };
	names->used++;
	return true;
}

unsigned int names_find(const struct names *names, const char *at, size_t length)
{
	const struct name *entry;

	if (!names->room)
		return NAMES_NONE;
	entry = lookup(names, at, length);
	return entry->at ? entry->number : NAMES_NONE;
}

void names_free(struct names *names)
{
	free(names->entries);
	*names = (struct names){ 0 };
}
