// SPDX-License-Identifier: GPL-2.0
/*
 * The oracle; see oracle.h.
 */
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "oracle.h"

int oracle_init(struct oracle *oracle, u32 size)
{
	oracle->size = size;
	oracle->objects = kvcalloc(size, sizeof(*oracle->objects), GFP_KERNEL);
	oracle->queue = kvcalloc(size, sizeof(*oracle->queue), GFP_KERNEL);
	if (oracle->objects && oracle->queue)
		return 0;
	oracle_destroy(oracle);
	return -ENOMEM;
}

void oracle_destroy(struct oracle *oracle)
{
	kvfree(oracle->objects);
	kvfree(oracle->queue);
}

/* A new object, held by a client. Return its entry, or ORACLE_NONE if there is no room. */
u32 oracle_add(struct oracle *oracle, u64 ref, u32 nslots, u32 client)
{
	struct oracle_object *o;
	u32 i;

	for (i = 0; i < oracle->size; i++) {
		o = &oracle->objects[i];
		if (o->ref)
			continue;
		o->ref = ref;
		o->nslots = nslots;
		o->holds = 1U << client;
		o->watch = 0;
		o->told = false;
		o->site = 0;
		o->frozen = false;
		memset(o->slots, 0xff, sizeof(o->slots));
		return i;
	}
	return ORACLE_NONE;
}

u64 oracle_ref(const struct oracle *oracle, u32 i)
{
	return i == ORACLE_NONE ? 0 : oracle->objects[i].ref;
}

void oracle_copy(struct oracle *oracle, u32 to, u32 at, u32 from, u32 first, u32 n)
{
	memmove(&oracle->objects[to].slots[at], &oracle->objects[from].slots[first],
		n * sizeof(u32));
}

void oracle_drop_client(struct oracle *oracle, u32 client)
{
	u32 i;

	for (i = 0; i < oracle->size; i++) {
		oracle->objects[i].holds &= ~(1U << client);
		if (oracle->objects[i].tracer == client)
			oracle->objects[i].site = 0;
	}
}

/* @to, which holds nothing, gets the holds of @from. */
void oracle_clone_client(struct oracle *oracle, u32 from, u32 to)
{
	u32 i;

	for (i = 0; i < oracle->size; i++)
		if (oracle->objects[i].holds & 1U << from)
			oracle->objects[i].holds |= 1U << to;
}

/* Does any slot of any object, reachable or not, refer to it? */
bool oracle_referred(const struct oracle *oracle, u32 target)
{
	const struct oracle_object *o;
	u32 i, j;

	for (i = 0; i < oracle->size; i++) {
		o = &oracle->objects[i];
		for (j = 0; o->ref && j < o->nslots; j++)
			if (o->slots[j] == target)
				return true;
	}
	return false;
}

/* Something refers to an object: count that, and go on from there if it is new. */
static void oracle_reach(struct oracle *oracle, u32 i, u32 references, u32 *tail)
{
	struct oracle_object *o = &oracle->objects[i];

	o->count += references;
	if (o->reached)
		return;
	o->reached = true;
	oracle->queue[(*tail)++] = i;
}

static u32 oracle_search_once(struct oracle *oracle)
{
	u32 head = 0, tail = 0, i, j;
	struct oracle_object *o;

	for (i = 0; i < oracle->size; i++) {
		oracle->objects[i].reached = false;
		oracle->objects[i].count = 0;
	}
	for (i = 0; i < oracle->size; i++)
		if (oracle->objects[i].holds || oracle->objects[i].frozen)
			oracle_reach(oracle, i, hweight32(oracle->objects[i].holds), &tail);
	while (head < tail) {
		o = &oracle->objects[oracle->queue[head++]];
		for (j = 0; j < o->nslots; j++)
			if (o->slots[j] != ORACLE_NONE)
				oracle_reach(oracle, o->slots[j], 1, &tail);
	}
	return tail;
}

/*
 * Find what can be reached, and count what refers to it. Return how much that is. What is frozen
 * and not referred to is not there: that is found, and with it gone, what it referred to.
 */
u32 oracle_search(struct oracle *oracle)
{
	bool again = true;
	u32 n = 0, i;

	while (again) {
		n = oracle_search_once(oracle);
		again = false;
		for (i = 0; i < oracle->size; i++) {
			if (!oracle->objects[i].frozen || oracle->objects[i].count)
				continue;
			oracle->objects[i].frozen = false;
			again = true;
		}
	}
	return n;
}

/* Free the entries of what the last search did not find. */
void oracle_forget(struct oracle *oracle)
{
	u32 i;

	for (i = 0; i < oracle->size; i++)
		if (!oracle->objects[i].reached)
			oracle->objects[i].ref = 0;
}

static u32 oracle_below(struct rnd_state *rnd, u32 n)
{
	return (u64)prandom_u32_state(rnd) * n >> 32;
}

/* Any object that was not forgotten, reachable or not; or ORACLE_NONE. */
u32 oracle_any(const struct oracle *oracle, struct rnd_state *rnd)
{
	u32 start = oracle_below(rnd, oracle->size), i, at;

	for (i = 0; i < oracle->size; i++) {
		at = (start + i) % oracle->size;
		if (oracle->objects[at].ref)
			return at;
	}
	return ORACLE_NONE;
}

/* Any object that one of @holders holds; or ORACLE_NONE. */
u32 oracle_any_held(const struct oracle *oracle, struct rnd_state *rnd, u32 holders)
{
	u32 start = oracle_below(rnd, oracle->size), i, at;

	for (i = 0; i < oracle->size; i++) {
		at = (start + i) % oracle->size;
		if (oracle->objects[at].holds & holders)
			return at;
	}
	return ORACLE_NONE;
}

/* Walk a few slots on from something held. */
u32 oracle_any_reachable(const struct oracle *oracle, struct rnd_state *rnd)
{
	u32 at = oracle_any_held(oracle, rnd, ~0U), next, steps = oracle_below(rnd, 6);
	const struct oracle_object *o;

	while (at != ORACLE_NONE && steps--) {
		o = &oracle->objects[at];
		if (!o->nslots)
			break;
		next = o->slots[oracle_below(rnd, o->nslots)];
		if (next != ORACLE_NONE)
			at = next;
	}
	return at;
}

/* Free entries. */
u32 oracle_room(const struct oracle *oracle)
{
	u32 i, room = 0;

	for (i = 0; i < oracle->size; i++)
		room += !oracle->objects[i].ref;
	return room;
}
