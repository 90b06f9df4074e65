// SPDX-License-Identifier: GPL-2.0
/*
 * Walking the graph, breadth first. Every step is a pointer read from the heap's own memory, as
 * it is mapped into this process: the kernel is not asked.
 */
#include <stdlib.h>

#include "report.h"
#include "walk.h"

void walk_init(struct walk *walk, const struct graph *graph)
{
	*walk = (struct walk){
		.reached = memory(graph->n, sizeof(*walk->reached)),
		.from = memory(graph->n, sizeof(*walk->from)),
		.steps = memory(graph->n, sizeof(*walk->steps)),
	};
}

void walk_add(struct walk *walk, const struct entry *entry, const struct entry *from)
{
	if (walk->from[entry->number])
		return;
	walk->from[entry->number] = from;
	walk->steps[entry->number] = entry == from ? 0 : walk->steps[from->number] + 1;
	walk->reached[walk->n++] = entry;
}

void walk_run(struct walk *walk, const struct graph *graph)
{
	for (unsigned int i = 0; i < walk->n; i++) {
		const struct entry *entry = walk->reached[i];

		for (unsigned int slot = 0; slot < entry->n; slot++)
			walk_add(walk, graph_entry(graph, entry->needs[slot]), entry);
		walk->followed += entry->n;
	}
}

void walk_free(struct walk *walk)
{
	free(walk->steps);
	free(walk->from);
	free(walk->reached);
	*walk = (struct walk){ 0 };
}
