// SPDX-License-Identifier: GPL-2.0
/*
 * Reading a Debian package index.
 *
 * Where the index has a package more than once (it is that of several archives, one after the
 * other), the first counts. "a | b" is whichever of them resolves first; a name that no package
 * has may be provided by one. Versions are not compared: within one release they fit.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "packages.h"
#include "report.h"

/* ---- The file ---- */

static char *read_whole(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text;
	long size;

	must(path, file ? 0 : -errno);
	must(path, fseek(file, 0, SEEK_END) ? -errno : 0);
	size = ftell(file);
	must(path, size < 0 ? -errno : 0);
	rewind(file);
	text = memory(size + 1, 1);
	claim(fread(text, 1, size, file) == (size_t)size, "%s can be read", path);
	fclose(file);
	return text;
}

/* If @line is the field @name, which has @length characters and a colon, its value. */
static const char *field(const char *line, const char *name, size_t length)
{
	if (line[0] != name[0] || strncmp(line, name, length))
		return NULL;
	line += length;
	return *line == ' ' ? line + 1 : line;
}

#define FIELD(line, name)	field(line, name ":", sizeof(name))

static void package_field(struct package *package, const char *line)
{
	const char *value;

	value = FIELD(line, "Version");
	if (value)
		package->version = value;
	value = FIELD(line, "Pre-Depends");
	if (value)
		package->relations[0] = value;
	value = FIELD(line, "Depends");
	if (value)
		package->relations[1] = value;
	value = FIELD(line, "Provides");
	if (value)
		package->provides = value;
}

static struct package *package_add(struct packages *packages, struct names *names,
				   const char *name)
{
	struct package *package;

	if (!names_add(names, name, strlen(name), packages->n))
		return NULL;
	/* Twice the room whenever it is used up, which is at powers of two. */
	if (!(packages->n & (packages->n - 1)))
		packages->list = memory_grown(packages->list, packages->n ? 2 * packages->n : 1,
					      sizeof(*packages->list));
	package = &packages->list[packages->n++];
	*package = (struct package){ .name = name, .version = "" };
	return package;
}

static void parse(struct packages *packages, struct names *names)
{
	struct package *package = NULL;
	char *line, *next;
	const char *name;

	for (line = packages->text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		name = FIELD(line, "Package");
		if (name)
			package = package_add(packages, names, name);
		else if (package)
			package_field(package, line);
	}
}

/* ---- Relations ---- */

/* Only this many kinds of characters, and millions of them: no business of strcspn(). */
static const char *past_blanks(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/* What a name ends with: "a:any (>= 1) [amd64] <!nocheck> | b, c" */
static size_t name_length(const char *at)
{
	size_t length = 0;

	for (;; length++) {
		switch (at[length]) {
		case '\0': case ' ': case '\t': case ':': case '(': case '[': case '<':
		case '|': case ',':
			return length;
		}
	}
}

/* The next alternative, or the comma or the end that comes first. */
static const char *to_alternative(const char *at)
{
	while (*at && *at != ',' && *at != '|')
		at++;
	return *at == '|' ? at + 1 : at;
}

/* The next relation, or NULL: @at is somewhere in the one before. */
static const char *to_relation(const char *at)
{
	at = strchr(at, ',');
	return at ? at + 1 : NULL;
}

static void add_provided(const struct packages *packages, struct names *names)
{
	const char *at;
	size_t length;

	/* Real packages are in the table already, and stay what their names mean. */
	for (unsigned int i = 0; i < packages->n; i++) {
		for (at = packages->list[i].provides; at; at = to_relation(at)) {
			at = past_blanks(at);
			length = name_length(at);
			if (length)
				names_add(names, at, length, i);
		}
	}
}

/* The first of the alternatives from @at to the next comma that there is. */
static unsigned int resolve(const struct names *names, const char *at)
{
	unsigned int found;

	do {
		at = past_blanks(at);
		found = names_find(names, at, name_length(at));
		at = to_alternative(at);
	} while (found == NAMES_NONE && *at && *at != ',');
	return found;
}

static void need(struct packages *packages, unsigned int number)
{
	if (!(packages->nneeds & (packages->nneeds - 1)))
		packages->needs = memory_grown(packages->needs,
					       packages->nneeds ? 2 * packages->nneeds : 1,
					       sizeof(*packages->needs));
	packages->needs[packages->nneeds++] = number;
}

static void resolve_all(struct packages *packages, const struct names *names,
			const char *relations)
{
	unsigned int found;
	const char *at;

	for (at = relations; at; at = to_relation(at)) {
		found = resolve(names, at);
		if (found == NAMES_NONE)
			packages->unresolved++;
		else
			need(packages, found);
	}
}

void packages_read(struct packages *packages, const char *path)
{
	struct names names = { 0 };
	struct package *package;

	*packages = (struct packages){ .text = read_whole(path) };
	parse(packages, &names);
	claim(packages->n, "%s is a package index", path);
	add_provided(packages, &names);
	for (unsigned int i = 0; i < packages->n; i++) {
		package = &packages->list[i];
		package->first = packages->nneeds;
		resolve_all(packages, &names, package->relations[0]);
		resolve_all(packages, &names, package->relations[1]);
		package->n = packages->nneeds - package->first;
	}
	names_free(&names);
}

void packages_free(struct packages *packages)
{
	free(packages->needs);
	free(packages->list);
	free(packages->text);
	*packages = (struct packages){ 0 };
}
