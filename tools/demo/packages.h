/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A Debian package index, read from a file: packages, and which of them need which.
 */
#ifndef DEMO_PACKAGES_H
#define DEMO_PACKAGES_H

#include <stddef.h>

/**
 * struct package - a package, as the index has it
 * @name: its name
 * @version: its version
 * @relations: Pre-Depends and Depends: "a (>= 1), b | c"; NULL where it has none
 * @provides: names of virtual packages; or NULL
 * @first: of its dependencies in packages.needs
 * @n: how many
 */
struct package {
	const char *name;
	const char *version;
	const char *relations[2];
	const char *provides;
	size_t first;
	unsigned int n;
};

/**
 * struct packages - an index
 * @text: the file, which all strings are part of
 * @list: the packages
 * @n: how many
 * @needs: dependencies that resolve: the numbers (in @list) of the packages needed
 * @nneeds: how many
 * @unresolved: dependencies that no package satisfies
 */
struct packages {
	char *text;
	struct package *list;
	unsigned int n;
	unsigned int *needs;
	size_t nneeds;
	size_t unresolved;
};

void packages_read(struct packages *packages, const char *path);
void packages_free(struct packages *packages);

#endif /* DEMO_PACKAGES_H */
