/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The graph of packages, in a heap: one object a package, one reference a dependency, and a
 * directory with a reference to each of them.
 */
#ifndef DEMO_GRAPH_H
#define DEMO_GRAPH_H

#include <moheap.h>

#include "packages.h"

/**
 * struct entry - payload of a package's object
 * @number: its place in the directory
 * @n: packages it needs
 * @needs: mirrors of its slots: the packages it needs. Behind them its name and its version,
 *	each terminated
 */
struct entry {
	__u32 number;
	__u32 n;
	moheap_ref_t needs[];
};

/**
 * struct graph - where to find it
 * @heap: the heap that has it
 * @directory: the object that has a slot for each package, with a mirror of each in its payload
 * @n: packages
 * @references: of packages to packages
 */
struct graph {
	struct moheap *heap;
	moheap_ref_t directory;
	unsigned int n;
	unsigned long long references;
};

void graph_build(struct graph *graph, const struct packages *packages);

/* These read memory, and no more. */

static inline const struct entry *graph_entry(const struct graph *graph, moheap_ref_t ref)
{
	return moheap_ptr(graph->heap, ref);
}

static inline const struct entry *graph_package(const struct graph *graph, unsigned int number)
{
	const moheap_ref_t *directory = moheap_ptr(graph->heap, graph->directory);

	return graph_entry(graph, directory[number]);
}

static inline const char *entry_name(const struct entry *entry)
{
	return (const char *)&entry->needs[entry->n];
}

#endif /* DEMO_GRAPH_H */
