/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Circles in the graph: packages that, step by step, need each other. (Strongly connected
 * components, in other words, that are more than a single package which does not need itself.)
 */
#ifndef DEMO_CIRCLES_H
#define DEMO_CIRCLES_H

#include <stdbool.h>

#include "graph.h"

/**
 * struct circles - all of them
 * @component: by package number: the component it belongs to, from 1
 * @n: circles
 * @packages: packages in any of them
 * @largest: the component with most packages
 * @largest_size: how many these are
 * @in_circle: by package number: is it in a circle?
 */
struct circles {
	unsigned int *component;
	unsigned int n;
	unsigned int packages;
	unsigned int largest;
	unsigned int largest_size;
	bool *in_circle;
};

void circles_find(struct circles *circles, const struct graph *graph);
void circles_free(struct circles *circles);

#endif /* DEMO_CIRCLES_H */
