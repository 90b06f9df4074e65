// SPDX-License-Identifier: GPL-2.0
/*
 * A real graph, with real cycles: the Debian package index lives and dies as objects.
 */
#include <stdlib.h>
#include <string.h>

#include "circles.h"
#include "graph.h"
#include "heap.h"
#include "packages.h"
#include "parts.h"
#include "report.h"
#include "walk.h"

/* Names of a circle that are printed; the rest is counted. */
#define NAMES_SHOWN	40

/* ---- It is built ---- */

static void tell_memory(const struct graph *graph)
{
	struct moheap_stat stat = heap_stat(graph->heap);
	unsigned long long all = stat.arena_bytes + stat.kernel_bytes;

	claim(stat.objects == graph->n + 1ULL, "%u packages and a directory are %llu objects",
	      graph->n, stat.objects);
	row("payload", size(stat.arena_bytes), "names and versions: mapped, read as memory");
	row("kernel", size(stat.kernel_bytes), "who refers to whom: out of our reach");
	row("together", size(all / graph->n), "a package, on average");
}

static void build(struct graph *graph, const char *index)
{
	struct packages packages;
	__u64 since;

	packages_read(&packages, index);
	since = now();
	graph_build(graph, &packages);
	since = now() - since;
	row("packages", count(graph->n), "an object each, name and version in it");
	row("references", count(graph->references), "one for every dependency that resolves");
	row("unresolved", count(packages.unresolved), "dependencies on what is not in the index");
	row("built in", duration(since), "%.1f us a package with its references",
	    since / 1e3 / graph->n);
	/* From here on, all that is known of packages is in the heap. */
	packages_free(&packages);
	tell_memory(graph);
}

/* ---- It is walked ---- */

/* Something to start from that people know, or the first package there is. */
static const struct entry *well_known(const struct graph *graph)
{
	static const char * const names[] = {
		"gnome", "kde-standard", "xfce4", "firefox-esr", "python3", "bash"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (unsigned int number = 0; number < graph->n; number++)
			if (!strcmp(entry_name(graph_package(graph, number)), names[i]))
				return graph_package(graph, number);
	return graph_package(graph, 0);
}

/* From where the walk began to @entry. */
static void tell_path(const struct walk *walk, const struct entry *entry)
{
	unsigned int n = walk->steps[entry->number];
	const struct entry **path = memory(n + 1, sizeof(*path));

	for (unsigned int i = n + 1; i--; entry = walk->from[entry->number])
		path[i] = entry;
	for (unsigned int i = 0; i <= n; i++)
		say("%s %s", i ? "->" : "", entry_name(path[i]));
	paragraph_end();
	free(path);
}

/* What we read is a copy. The kernel has the truth: does it say the same? */
static void check_with_kernel(const struct graph *graph, const struct entry *entry)
{
	const moheap_ref_t *directory = moheap_ptr(graph->heap, graph->directory);
	moheap_ref_t *slots = memory(entry->n, sizeof(*slots));

	must("moheap_read", moheap_read(graph->heap, directory[entry->number], 0, entry->n, slots));
	claim(!memcmp(slots, entry->needs, entry->n * sizeof(*slots)),
	      "the kernel says the same of %s as its payload", entry_name(entry));
	free(slots);
}

static void show_path(const struct graph *graph)
{
	const struct entry *start = well_known(graph), *furthest;
	struct walk walk;
	__u64 since;

	walk_init(&walk, graph);
	walk_add(&walk, start, start);
	since = now();
	walk_run(&walk, graph);
	since = now() - since;
	for (unsigned int i = 0; i < walk.n; i++)
		check_with_kernel(graph, walk.reached[i]);
	furthest = walk.reached[walk.n - 1];
	blank_line();
	say("To install %s is to install %s packages, found by following %s references in %s:",
	    entry_name(start), count(walk.n).s, count(walk.followed).s, duration(since).s);
	say("%.0f ns each, and no system call. The one furthest away is %s. The way to it:",
	    walk.followed ? (double)since / walk.followed : 0.0, entry_name(furthest));
	paragraph_end();
	tell_path(&walk, furthest);
	walk_free(&walk);
}

static void tell_largest(const struct graph *graph, const struct circles *circles)
{
	unsigned int shown = 0;

	say("The largest has %u:", circles->largest_size);
	paragraph_end();
	for (unsigned int i = 0; i < graph->n && shown < NAMES_SHOWN; i++) {
		if (!circles->in_circle[i] || circles->component[i] != circles->largest)
			continue;
		say("%s", entry_name(graph_package(graph, i)));
		shown++;
	}
	if (shown < circles->largest_size)
		say("... and %u more", circles->largest_size - shown);
}

/* Return: how many packages are in circles, or needed by one: counts cannot free these. */
static unsigned int show_circles(const struct graph *graph)
{
	struct circles circles;
	struct walk below;
	unsigned int n;
	__u64 since = now();

	circles_find(&circles, graph);
	since = now() - since;
	blank_line();
	say("Packages that need each other, step by step, form circles: %u circles of %u packages",
	    circles.n, circles.packages);
	say("in all, found in %s.", duration(since).s);
	if (circles.n)
		tell_largest(graph, &circles);
	paragraph_end();
	walk_init(&below, graph);
	for (unsigned int i = 0; i < graph->n; i++)
		if (circles.in_circle[i])
			walk_add(&below, graph_package(graph, i), graph_package(graph, i));
	walk_run(&below, graph);
	n = below.n;
	walk_free(&below);
	circles_free(&circles);
	return n;
}

/* ---- It dies ---- */

/*
 * Counts alone, to begin with: the collector rests meanwhile. Freeing is bounded in each call,
 * so what the last reference sets off may go on after it returned.
 */
static void drop_directory(struct graph *graph, unsigned int remain)
{
	struct moheap_stat before, after;
	unsigned long long freed;
	__u64 since;

	heap_wait(graph->heap, heap_has_work, 0, "the collector knows the graph");
	heap_collector(graph->heap, false);
	heap_rest(graph->heap);
	before = heap_stat(graph->heap);
	since = now();
	must("moheap_decref", moheap_decref(graph->heap, graph->directory));
	must("moheap_flush", moheap_flush(graph->heap));
	heap_wait(graph->heap, heap_has_shrunk, remain, "only what is in cycles remains");
	since = now() - since;
	heap_rest(graph->heap);
	after = heap_stat(graph->heap);
	claim(after.objects == remain, "%u packages remain, and not %llu", remain, after.objects);
	freed = after.freed_count - before.freed_count - 1;	/* the directory */
	claim(freed + remain == graph->n, "reference counts freed the others, not %llu", freed);
	row("freed at once", count(freed), "packages, by reference counts, in %s",
	    duration(since).s);
	row("left in cycles", count(after.objects), "in a circle or needed by one, as foreseen");
}

static void let_collect(struct graph *graph, unsigned int remain)
{
	struct moheap_stat before = heap_stat(graph->heap), after;
	unsigned long long cycles;
	__u64 since = now();

	heap_collector(graph->heap, true);
	after = heap_wait(graph->heap, heap_has_objects, 0, "the collector leaves nothing");
	row("left then", count(after.objects), "the collector was let go, and took %s",
	    duration(now() - since).s);
	cycles = after.freed_local + after.freed_trace - before.freed_local - before.freed_trace;
	claim(cycles || !remain, "it was the collector that freed them");
	claim(cycles + after.freed_count - before.freed_count == remain,
	      "%u packages were freed, %llu of them in cycles", remain, cycles);
}

static void show_death(struct graph *graph, unsigned int remain)
{
	blank_line();
	say("All we hold is the directory, an object that refers to every package. Now we drop");
	say("it, and nobody can reach any of them. The cycle collector is told to wait, so that");
	say("we see what reference counts do alone.");
	paragraph_end();
	blank_line();
	drop_directory(graph, remain);
	let_collect(graph, remain);
}

void show_packages(const char *index)
{
	struct graph graph = { .heap = heap_open() };
	unsigned int remain;

	heading("1. A real graph: the Debian package index, as objects");
	build(&graph, index);
	show_path(&graph);
	remain = show_circles(&graph);
	show_death(&graph, remain);
	heap_close(graph.heap);
}
