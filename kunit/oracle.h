/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The oracle: what a graph must look like, kept in the simplest way there is.
 *
 * Objects are entries of a table, slots are indices into it, holds are a mask of clients. What
 * can be reached is found by a search from the holds, and from what is frozen. Nothing here knows
 * how the module works: no counts are kept, no object is freed before a search says so.
 */
#ifndef MOHEAP_KUNIT_ORACLE_H
#define MOHEAP_KUNIT_ORACLE_H

#include <linux/prandom.h>
#include <linux/types.h>

#define ORACLE_NONE	0xffffffffU
#define ORACLE_SLOTS	96	/* most slots of an object */

/**
 * struct oracle_object - what is known of one object
 * @ref: its name; 0 where the entry is free
 * @nslots: its slots
 * @holds: a bit for each client that holds it
 * @slots: entries that they refer to, or ORACLE_NONE
 * @watch: id of the watch on it, or 0
 * @told: that is told of
 * @site: its site, or 0
 * @tracer: the client whose that is
 * @frozen: it is set aside from the collector: a root until nothing refers to it
 * @reached: the last search found it
 * @count: slots of objects that the last search found, and holds, that refer to it
 */
struct oracle_object {
	u64 ref;
	u32 nslots;
	u32 holds;
	u32 slots[ORACLE_SLOTS];
	u32 watch;
	bool told;
	u32 site;
	u32 tracer;
	bool frozen;
	bool reached;
	u32 count;
};

/**
 * struct oracle - a graph
 * @objects: the table
 * @size: its entries
 * @queue: room for a search
 */
struct oracle {
	struct oracle_object *objects;
	u32 size;
	u32 *queue;
};

int oracle_init(struct oracle *oracle, u32 size);
void oracle_destroy(struct oracle *oracle);
u32 oracle_add(struct oracle *oracle, u64 ref, u32 nslots, u32 client);
u64 oracle_ref(const struct oracle *oracle, u32 i);
void oracle_copy(struct oracle *oracle, u32 to, u32 at, u32 from, u32 first, u32 n);
void oracle_drop_client(struct oracle *oracle, u32 client);
void oracle_clone_client(struct oracle *oracle, u32 from, u32 to);
bool oracle_referred(const struct oracle *oracle, u32 i);
u32 oracle_search(struct oracle *oracle);
void oracle_forget(struct oracle *oracle);
u32 oracle_any(const struct oracle *oracle, struct rnd_state *rnd);
u32 oracle_any_held(const struct oracle *oracle, struct rnd_state *rnd, u32 holders);
u32 oracle_any_reachable(const struct oracle *oracle, struct rnd_state *rnd);
u32 oracle_room(const struct oracle *oracle);

#endif /* MOHEAP_KUNIT_ORACLE_H */
