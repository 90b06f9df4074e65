// SPDX-License-Identifier: GPL-2.0
/*
 * Finding the strongly connected components of the graph: Tarjan's algorithm (1972), with a
 * stack of its own in place of recursion, for paths may be long.
 */
#include <stdlib.h>

#include "circles.h"
#include "report.h"

/* A package whose dependencies are being looked at, and how many have been. */
struct frame {
	const struct entry *entry;
	unsigned int next;
};

/**
 * struct tarjan - the state of the search
 * @graph: the graph
 * @circles: what comes out
 * @order: by package number: when it was first seen, from 1; 0: not yet
 * @low: by package number: the earliest order known to be reachable from it among @open
 * @path: from the package that the search began with to the one it is at
 * @depth: entries in @path
 * @open: packages seen that have no component yet
 * @nopen: entries in @open
 * @seen: packages seen
 * @components: components found
 */
struct tarjan {
	const struct graph *graph;
	struct circles *circles;
	unsigned int *order;
	unsigned int *low;
	struct frame *path;
	unsigned int depth;
	const struct entry **open;
	unsigned int nopen;
	unsigned int seen;
	unsigned int components;
};

static void lower(unsigned int *low, unsigned int to)
{
	if (to < *low)
		*low = to;
}

static void enter(struct tarjan *t, const struct entry *entry)
{
	t->order[entry->number] = ++t->seen;
	t->low[entry->number] = t->seen;
	t->path[t->depth++] = (struct frame){ .entry = entry };
	t->open[t->nopen++] = entry;
}

static bool needs_itself(const struct graph *graph, const struct entry *entry)
{
	for (unsigned int i = 0; i < entry->n; i++)
		if (graph_entry(graph, entry->needs[i]) == entry)
			return true;
	return false;
}

/* The packages opened since @entry, and @entry, are a component. */
static void close_component(struct tarjan *t, const struct entry *entry)
{
	struct circles *circles = t->circles;
	unsigned int first = t->nopen, size, i;

	t->components++;
	do {
		first--;
		circles->component[t->open[first]->number] = t->components;
	} while (t->open[first] != entry);
	size = t->nopen - first;
	t->nopen = first;
	if (size == 1 && !needs_itself(t->graph, entry))
		return;
	for (i = first; i < first + size; i++)
		circles->in_circle[t->open[i]->number] = true;
	circles->n++;
	circles->packages += size;
	if (size > circles->largest_size) {
		circles->largest_size = size;
		circles->largest = t->components;
	}
}

/* All dependencies of the last package on the path have been looked at. */
static void leave(struct tarjan *t)
{
	const struct entry *entry = t->path[--t->depth].entry;
	unsigned int low = t->low[entry->number];

	if (low == t->order[entry->number])
		close_component(t, entry);
	if (t->depth)
		lower(&t->low[t->path[t->depth - 1].entry->number], low);
}

/* Look at one dependency. */
static void step(struct tarjan *t)
{
	struct frame *frame = &t->path[t->depth - 1];
	const struct entry *entry = frame->entry, *needed;

	if (frame->next == entry->n) {
		leave(t);
		return;
	}
	needed = graph_entry(t->graph, entry->needs[frame->next++]);
	if (!t->order[needed->number])
		enter(t, needed);
	else if (!t->circles->component[needed->number])
		lower(&t->low[entry->number], t->order[needed->number]);
}

void circles_find(struct circles *circles, const struct graph *graph)
{
	struct tarjan t = {
		.graph = graph,
		.circles = circles,
		.order = memory(graph->n, sizeof(*t.order)),
		.low = memory(graph->n, sizeof(*t.low)),
		.path = memory(graph->n, sizeof(*t.path)),
		.open = memory(graph->n, sizeof(*t.open)),
	};

	*circles = (struct circles){
		.component = memory(graph->n, sizeof(*circles->component)),
		.in_circle = memory(graph->n, sizeof(*circles->in_circle)),
	};
	for (unsigned int i = 0; i < graph->n; i++) {
		if (!t.order[i])
			enter(&t, graph_package(graph, i));
		while (t.depth)
			step(&t);
	}
	free(t.order);
	free(t.low);
	free(t.path);
	free(t.open);
}

void circles_free(struct circles *circles)
{
	free(circles->component);
	free(circles->in_circle);
	*circles = (struct circles){ 0 };
}
