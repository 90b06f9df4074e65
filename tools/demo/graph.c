// SPDX-License-Identifier: GPL-2.0
/*
 * Building the graph of packages.
 */
#include <stdlib.h>
#include <string.h>

#include "graph.h"
#include "report.h"

/* ---- Types ---- */

/*
 * Objects of both types differ in size: as many slots as the package has dependencies, and bytes
 * for their mirrors, the name and the version. Count 0 mirrors all slots there are.
 */
static int type_of_packages(struct moheap *heap)
{
	static const struct moheap_field fields[] = {
		{ .kind = MOHEAP_FIELD_UINT, .width = 4, .count = 1,
		  .offset = offsetof(struct entry, number), .name = "number" },
		{ .kind = MOHEAP_FIELD_UINT, .width = 4, .count = 1,
		  .offset = offsetof(struct entry, n), .name = "n" },
		{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 0,
		  .offset = offsetof(struct entry, needs), .name = "needs" },
	};
	static const struct moheap_layout layout = {
		.size = sizeof(layout),
		.flags = MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS,
		.name = "package",
		.payload = sizeof(struct entry),
		.nfields = 3,
		.fields = fields,
	};

	return must("the type of packages", moheap_type_register(heap, &layout));
}

static int type_of_directories(struct moheap *heap)
{
	static const struct moheap_field fields[] = {
		{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 0, .offset = 0,
		  .name = "packages" },
	};
	static const struct moheap_layout layout = {
		.size = sizeof(layout),
		.flags = MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS,
		.name = "directory",
		.nfields = 1,
		.fields = fields,
	};

	return must("the type of directories", moheap_type_register(heap, &layout));
}

/* ---- Objects ---- */

static size_t entry_size(const struct package *package)
{
	return sizeof(struct entry) + package->n * sizeof(moheap_ref_t) +
	       strlen(package->name) + 1 + strlen(package->version) + 1;
}

/* Where the library stops telling payload sizes apart. */
static size_t entry_granules(const struct package *package)
{
	return (entry_size(package) + MOHEAP_GRANULE - 1) / MOHEAP_GRANULE;
}

static int compare_sizes(const void *a, const void *b)
{
	const struct package *left = *(const struct package * const *)a;
	const struct package *right = *(const struct package * const *)b;
	size_t left_size = entry_granules(left), right_size = entry_granules(right);

	if (left_size != right_size)
		return left_size < right_size ? -1 : 1;
	if (left->n != right->n)
		return left->n < right->n ? -1 : 1;
	return left < right ? -1 : left > right;
}

static void fill_entry(struct entry *entry, const struct package *package, unsigned int number)
{
	char *text = (char *)&entry->needs[package->n];

	entry->number = number;
	entry->n = package->n;
	text = stpcpy(text, package->name) + 1;
	stpcpy(text, package->version);
}

/*
 * One object a package. The library gets objects of one size from the kernel many at once, so
 * they are made in the order of their sizes.
 */
static void make_objects(struct moheap *heap, const struct packages *packages, moheap_ref_t *refs)
{
	const struct package **sorted = memory(packages->n, sizeof(*sorted));
	int type = type_of_packages(heap);
	unsigned int i, number;

	for (i = 0; i < packages->n; i++)
		sorted[i] = &packages->list[i];
	qsort(sorted, packages->n, sizeof(*sorted), compare_sizes);
	for (i = 0; i < packages->n; i++) {
		number = sorted[i] - packages->list;
		must("moheap_new_sized",
		     moheap_new_sized(heap, type, entry_size(sorted[i]), sorted[i]->n,
				      &refs[number]));
		fill_entry(moheap_ptr(heap, refs[number]), sorted[i], number);
	}
	free(sorted);
}

/* ---- References ---- */

/* Stores are queued, and reach the kernel hundreds at a time. */
static void store_needs(struct moheap *heap, const struct packages *packages,
			const moheap_ref_t *refs)
{
	for (unsigned int i = 0; i < packages->n; i++) {
		const struct package *package = &packages->list[i];
		const unsigned int *needs = packages->needs + package->first;

		for (unsigned int slot = 0; slot < package->n; slot++)
			must("moheap_store", moheap_store(heap, refs[i], slot, refs[needs[slot]]));
	}
}

/* From here on the directory keeps the packages, and we keep nothing but the directory. */
static moheap_ref_t make_directory(struct moheap *heap, const moheap_ref_t *refs, unsigned int n)
{
	moheap_ref_t directory;

	must("moheap_new_sized",
	     moheap_new_sized(heap, type_of_directories(heap), n * sizeof(*refs), n, &directory));
	for (unsigned int i = 0; i < n; i++) {
		must("moheap_store", moheap_store(heap, directory, i, refs[i]));
		must("moheap_decref", moheap_decref(heap, refs[i]));
	}
	must("moheap_flush", moheap_flush(heap));
	return directory;
}

void graph_build(struct graph *graph, const struct packages *packages)
{
	moheap_ref_t *refs = memory(packages->n, sizeof(*refs));

	make_objects(graph->heap, packages, refs);
	store_needs(graph->heap, packages, refs);
	graph->directory = make_directory(graph->heap, refs, packages->n);
	graph->n = packages->n;
	graph->references = packages->nneeds;
	free(refs);
}
