/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Walking the graph: everything that can be reached, nearest first.
 */
#ifndef DEMO_WALK_H
#define DEMO_WALK_H

#include "graph.h"

/**
 * struct walk - where a walk came by
 * @reached: packages in the order in which they were reached, where it began included
 * @n: how many
 * @from: by package number: the package it was reached from; itself where the walk began;
 *	NULL where it never came
 * @steps: by package number: how far it is from where the walk began
 * @followed: references followed
 */
struct walk {
	const struct entry **reached;
	unsigned int n;
	const struct entry **from;
	unsigned int *steps;
	unsigned long long followed;
};

void walk_init(struct walk *walk, const struct graph *graph);

/* A place to begin at. */
void walk_add(struct walk *walk, const struct entry *entry, const struct entry *from);

void walk_run(struct walk *walk, const struct graph *graph);
void walk_free(struct walk *walk);

#endif /* DEMO_WALK_H */
