/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * What the files of tracing offer each other. From the top:
 *
 *	dump.c		snapshots in files
 *	statistics.c	traces, added up
 *	traces.c	... as the kernel hands them back
 *	snapshot.c	traces of one moment
 *	places.c	what tracebacks lead to, found out once
 *	symbols.c	which line and symbol an address is
 *
 * Only traces.c knows of heaps.
 */
#ifndef MOHEAP_TRACE_H
#define MOHEAP_TRACE_H

#include "internal.h"

/* ---- symbols.c ---- */

/**
 * struct mh_module - a file that is mapped into this process
 * @path: where it is, for free()
 * @bias: what was added to its addresses
 * @from: the first address
 * @to: and the one after the last
 */
struct mh_module {
	char *path;
	uintptr_t bias;
	uintptr_t from;
	uintptr_t to;
};

struct mh_modules {
	struct mh_module *modules;
	unsigned int n;
};

/**
 * struct mh_symbol - what is known of an address
 * @filename: source, or module; NULL: nothing is known
 * @symbol: function, or NULL
 * @lineno: line, or 0
 * @offset: room for a @symbol that is kept nowhere else
 */
struct mh_symbol {
	const char *filename;
	const char *symbol;
	unsigned int lineno;
	char offset[128];
};

int mh_modules_get(struct mh_modules *modules);
void mh_modules_free(struct mh_modules *modules);
void *mh_symbols_begin(const struct mh_modules *modules);
void mh_symbol_find(void *symbols, const struct mh_modules *modules, uintptr_t address,
		    struct mh_symbol *symbol);
void mh_symbols_end(void *symbols);

/* ---- places.c ---- */

/**
 * struct mh_strings - strings that are kept, each once
 * @slots: a hash table of them
 * @room: its size, a power of two
 * @n: strings there
 */
struct mh_strings {
	char **slots;
	size_t room;
	size_t n;
};

/**
 * struct mh_places - what the tracebacks of some snapshots lead to
 * @users: snapshots
 * @tracebacks: the tracebacks, in @frames
 * @ntracebacks: how many
 * @addresses: return addresses, by place in @frames; NULL once those are there
 * @frames: what they are, once that was found out
 * @nframes: how many
 * @modules: what @addresses lie in
 * @strings: of @frames
 */
struct mh_places {
	atomic_uint users;
	struct mh_traceback *tracebacks;
	size_t ntracebacks;
	uintptr_t *addresses;
	struct moheap_frame *frames;
	size_t nframes;
	struct mh_modules modules;
	struct mh_strings strings;
};

struct mh_places *mh_places_new(void);
struct mh_places *mh_places_of(const struct mh_tracebacks *tracebacks, __u32 first, __u32 n);
void mh_places_get(struct mh_places *places);
void mh_places_put(struct mh_places *places);
int mh_places_find(struct mh_places *places);
struct moheap_traceback mh_places_traceback(const struct mh_places *places, size_t i);
const char *mh_strings_add(struct mh_strings *strings, const char *text);

/* ---- snapshot.c ---- */

/**
 * struct mh_trace - an object that was traced
 * @ref: the object
 * @size: its bytes
 * @type: its type
 * @traceback: where it was made, in places->tracebacks
 */
struct mh_trace {
	moheap_ref_t ref;
	__u64 size;
	__u32 type;
	__u32 traceback;
};

/**
 * struct moheap_snapshot - traces of one moment
 * @nframe: frames that were kept of each traceback, at most
 * @traces: the traces
 * @n: how many
 * @places: where they were made
 */
struct moheap_snapshot {
	unsigned int nframe;
	struct mh_trace *traces;
	size_t n;
	struct mh_places *places;
};

#endif /* MOHEAP_TRACE_H */
