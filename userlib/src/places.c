// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * What tracebacks lead to: addresses at first, frames once somebody wants to see them.
 *
 * Snapshots that were made from one another share their places, which change only once, when
 * addresses become frames (mh_places_find()). That happens before the first snapshot is made from
 * another, so shared ones do not change. Each address is looked up once, and each string kept
 * once.
 */
#include <string.h>

#include "trace.h"

/* ---- Strings ---- */

static size_t mh_string_hash(const char *text)
{
	size_t hash = 0xcbf29ce484222325ULL;

	while (*text)
		hash = (hash ^ (unsigned char)*text++) * 0x100000001b3ULL;
	return hash;
}

/* The place of a string, or that where it would be. */
static char **mh_strings_place(char **slots, size_t room, const char *text)
{
	size_t at = mh_string_hash(text) & (room - 1);

	while (slots[at] && strcmp(slots[at], text))
		at = (at + 1) & (room - 1);
	return &slots[at];
}

static int mh_strings_grow(struct mh_strings *strings)
{
	size_t room = strings->room ? 2 * strings->room : 64, i;
	char **slots;

	if (strings->n < strings->room / 2)
		return 0;
	slots = calloc(room, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (i = 0; i < strings->room; i++)
		if (strings->slots[i])
			*mh_strings_place(slots, room, strings->slots[i]) = strings->slots[i];
	free(strings->slots);
	strings->slots = slots;
	strings->room = room;
	return 0;
}

/*
 * mh_strings_add() - keep a string
 *
 * Return: the one that is kept, or NULL where there is no memory.
 */
const char *mh_strings_add(struct mh_strings *strings, const char *text)
{
	char **place;

	if (mh_strings_grow(strings))
		return NULL;
	place = mh_strings_place(strings->slots, strings->room, text);
	if (!*place) {
		*place = strdup(text);
		strings->n += !!*place;
	}
	return *place;
}

static void mh_strings_free(struct mh_strings *strings)
{
	size_t i;

	for (i = 0; i < strings->room; i++)
		free(strings->slots[i]);
	free(strings->slots);
}

/* ---- Places ---- */

/*
 * mh_places_new() - none yet; for mh_places_put()
 */
struct mh_places *mh_places_new(void)
{
	struct mh_places *places = calloc(1, sizeof(*places));

	if (places)
		atomic_init(&places->users, 1);
	return places;
}

void mh_places_get(struct mh_places *places)
{
	atomic_fetch_add_explicit(&places->users, 1, memory_order_relaxed);
}

void mh_places_put(struct mh_places *places)
{
	if (!places || atomic_fetch_sub_explicit(&places->users, 1, memory_order_acq_rel) != 1)
		return;
	free(places->tracebacks);
	free(places->addresses);
	free(places->frames);
	mh_modules_free(&places->modules);
	mh_strings_free(&places->strings);
	free(places);
}

/* A traceback of no frames has one that leads nowhere: address 0. */
static void mh_places_copy(struct mh_places *places, const struct mh_tracebacks *tracebacks,
			   __u32 first, __u32 n)
{
	const struct mh_traceback *from = tracebacks->entries + first;
	struct mh_traceback *to = places->tracebacks;
	__u32 i, j;

	for (i = 0; i < n; i++) {
		to[i] = (struct mh_traceback){
			.first = places->nframes, .n = mh_max(from[i].n, 1),
		};
		places->addresses[places->nframes] = 0;
		for (j = 0; j < from[i].n; j++)
			places->addresses[places->nframes + j] =
				(uintptr_t)tracebacks->frames[from[i].first + j];
		places->nframes += to[i].n;
	}
	places->ntracebacks = n;
}

/*
 * mh_places_of() - the places of @n tracebacks from @first on; for mh_places_put()
 *
 * Return: they, or NULL where there is no memory.
 */
struct mh_places *mh_places_of(const struct mh_tracebacks *tracebacks, __u32 first, __u32 n)
{
	struct mh_places *places = mh_places_new();
	size_t frames = n, i;

	if (!places)
		return NULL;
	for (i = 0; i < n; i++)
		frames += tracebacks->entries[first + i].n;
	/* At least one of each, for none is NULL. */
	places->tracebacks = calloc(n + 1, sizeof(*places->tracebacks));
	places->addresses = calloc(frames + 1, sizeof(*places->addresses));
	if (!places->tracebacks || !places->addresses || mh_modules_get(&places->modules)) {
		mh_places_put(places);
		return NULL;
	}
	mh_places_copy(places, tracebacks, first, n);
	return places;
}

/* ---- From addresses to frames ---- */

static int mh_address_compare(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return x < y ? -1 : x > y;
}

/* Sort, and leave each once. Return how many. */
static size_t mh_addresses_sort(uintptr_t *addresses, size_t n)
{
	size_t kept = 0, i;

	qsort(addresses, n, sizeof(*addresses), mh_address_compare);
	for (i = 0; i < n; i++)
		if (!kept || addresses[kept - 1] != addresses[i])
			addresses[kept++] = addresses[i];
	return kept;
}

static int mh_places_frame(struct mh_places *places, void *symbols, uintptr_t address,
			   struct moheap_frame *frame)
{
	struct mh_symbol symbol = { 0 };

	/* It is where the call returns to: the call is what comes before. */
	mh_symbol_find(symbols, &places->modules, address - 1, &symbol);
	frame->lineno = symbol.lineno;
	frame->filename = mh_strings_add(&places->strings,
					 symbol.filename ? symbol.filename : "<unknown>");
	if (symbol.symbol)
		frame->symbol = mh_strings_add(&places->strings, symbol.symbol);
	return frame->filename && (frame->symbol || !symbol.symbol) ? 0 : -ENOMEM;
}

/* The frame of each of @n addresses that differ. */
static int mh_places_frames(struct mh_places *places, const uintptr_t *unique, size_t n,
			    struct moheap_frame *frames)
{
	void *symbols = mh_symbols_begin(&places->modules);
	int err = 0;
	size_t i;

	for (i = 0; i < n && !err; i++)
		err = mh_places_frame(places, symbols, unique[i], &frames[i]);
	mh_symbols_end(symbols);
	return err;
}

static void mh_places_spread(struct mh_places *places, const uintptr_t *unique, size_t n,
			     const struct moheap_frame *found)
{
	const uintptr_t *at;
	size_t i;

	for (i = 0; i < places->nframes; i++) {
		at = bsearch(&places->addresses[i], unique, n, sizeof(*unique),
			     mh_address_compare);
		places->frames[i] = found[at - unique];
	}
}

/*
 * mh_places_find() - find out what all addresses are, if that is not known yet
 *
 * Return: 0 or -ENOMEM.
 */
int mh_places_find(struct mh_places *places)
{
	size_t n = places->nframes;
	struct moheap_frame *found;
	uintptr_t *unique;
	int err = -ENOMEM;

	if (!places->addresses)
		return 0;
	unique = calloc(n + 1, sizeof(*unique));
	found = calloc(n + 1, sizeof(*found));
	places->frames = calloc(n + 1, sizeof(*places->frames));
	if (unique && found && places->frames) {
		memcpy(unique, places->addresses, n * sizeof(*unique));
		n = mh_addresses_sort(unique, n);
		err = mh_places_frames(places, unique, n, found);
	}
	if (!err) {
		mh_places_spread(places, unique, n, found);
		free(places->addresses);
		places->addresses = NULL;
	} else {
		free(places->frames);
		places->frames = NULL;
	}
	free(found);
	free(unique);
	return err;
}

/*
 * mh_places_traceback() - traceback @i, once mh_places_find() has found out
 */
struct moheap_traceback mh_places_traceback(const struct mh_places *places, size_t i)
{
	return (struct moheap_traceback){
		.frames = places->frames + places->tracebacks[i].first,
		.nframes = places->tracebacks[i].n,
	};
}
