/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * Where objects were made: Python's tracemalloc. Included by moheap.h.
 *
 * Words
 * -----
 * frame	a place in a program: a file and a line, and the symbol (function) they are in
 * traceback	the frames that led to a place, the most recent first: frame 0 called the library
 * trace	an object that was made while tracing was on: its bytes, its type, its traceback
 * snapshot	all traces of one moment
 * statistic	what the traces of a snapshot with something in common add up to
 *
 * Tracing is of a heap as this process is attached to it, and sees the objects that this process
 * makes: by moheap_new() and its like, containers and boxes included. Frames inside the library
 * are left out. (Not where a program is linked with libmoheap.a: nothing tells them apart then.)
 *
 * What is traced is known to the kernel, which keeps the account: it alone knows how long an
 * object lives that others use, too. An object counts until its memory is free, whoever gives it
 * up; what a process traced counts no longer when that process is gone. The bytes are those of
 * moheap_getsizeof(): payload block, header and slots.
 *
 * While tracing is off a new object pays for one look at a flag. While it is on, it pays for the
 * walk up the stack and an operation in the queue, and its block is not reused in the process
 * (moheap.h, "What goes out when"). Where memory is short, for the table of tracebacks here or
 * for the account in the kernel, objects are made all the same and go untraced; the kernel's
 * error comes with the next moheap_flush().
 *
 * Lines and symbols come from a program's debugging information and symbol table. They are looked
 * up when somebody wants to see them, never while objects are made, through elfutils' libdw.so.1,
 * which is loaded then. Where a file has no such information, a frame has the name of the program
 * or shared library in its place, and line 0. Where libdw is not installed it has, for a symbol, an
 * offset: from a symbol that the dynamic linker knows, or from the beginning of the file. An
 * address that is in no file any more has "<unknown>", line 0 and no symbol.
 *
 * A snapshot belongs to who took it, and needs no heap. Like a container it is for one thread at a
 * time. A child of fork() has a copy. Strings and frames live as long as what they came with.
 *
 * With MOHEAP_TRACEMALLOC=n in the environment tracing with n frames is on from the start for each
 * heap of the process; making or joining one fails with -EINVAL where n is no number of frames. 0,
 * or nothing, is off.
 *
 * After fork() a child with a client of its own goes on tracing, with an account of its own that
 * begins with nothing: what its parent made is on its parent's. A child that shares its parent's
 * client (MOHEAP_FORK_SHARE) does not trace.
 */
#ifndef MOHEAP_TRACEMALLOC_H
#define MOHEAP_TRACEMALLOC_H

#include <moheap.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Tracing ---- */

/* Most frames of a traceback. */
#define MOHEAP_NFRAME_MAX	256

/**
 * moheap_tracemalloc_start() - trace the objects that are made from now on
 * @heap: the heap
 * @nframe: frames to keep of each traceback, 1 to MOHEAP_NFRAME_MAX. Statistics by line need
 *	one, those by traceback and cumulative ones are the better for more
 *
 * If tracing is on already nothing changes.
 *
 * Return: 0, -ERANGE, -ENOTCONN.
 */
MOHEAP_API
int moheap_tracemalloc_start(struct moheap *heap, unsigned int nframe);

/**
 * moheap_tracemalloc_stop() - trace no longer, and forget all traces
 * @heap: the heap
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API
int moheap_tracemalloc_stop(struct moheap *heap);

/**
 * moheap_tracemalloc_is_tracing() - is tracing on?
 * @heap: the heap
 *
 * Return: true if so.
 */
MOHEAP_API
bool moheap_tracemalloc_is_tracing(const struct moheap *heap);

/**
 * moheap_tracemalloc_get_traceback_limit() - frames that are kept of each traceback
 * @heap: the heap
 *
 * Return: what moheap_tracemalloc_start() was given; 0 while tracing is off.
 */
MOHEAP_API
unsigned int moheap_tracemalloc_get_traceback_limit(const struct moheap *heap);

/**
 * moheap_tracemalloc_get_traced_memory() - what traced objects use, and used at most
 * @heap: the heap
 * @size: out: bytes they use now; or NULL
 * @peak: out: the most that ever was, since tracing began or moheap_tracemalloc_reset_peak(); or
 *	NULL
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API
int moheap_tracemalloc_get_traced_memory(struct moheap *heap, __u64 *size, __u64 *peak);

/**
 * moheap_tracemalloc_reset_peak() - let the peak begin with what is used now
 * @heap: the heap
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API
int moheap_tracemalloc_reset_peak(struct moheap *heap);

/**
 * moheap_tracemalloc_clear_traces() - forget all traces, and go on
 * @heap: the heap
 *
 * Objects that there are count no longer, and have no traceback.
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API
int moheap_tracemalloc_clear_traces(struct moheap *heap);

/**
 * moheap_tracemalloc_get_tracemalloc_memory() - what tracing itself uses
 * @heap: the heap
 *
 * Return: bytes of this process. The kernel uses another eight for each object there is room for
 * beside a traced one; they are in kernel_bytes of moheap_stat().
 */
MOHEAP_API
size_t moheap_tracemalloc_get_tracemalloc_memory(struct moheap *heap);

/* ---- Tracebacks ---- */

/**
 * struct moheap_frame - a place in a program
 * @filename: of the source; see the head of this file for where there is none
 * @symbol: the function; NULL where that is not known
 * @lineno: the line, from 1; 0 where that is not known
 */
struct moheap_frame {
	const char *filename;
	const char *symbol;
	unsigned int lineno;
};

/**
 * struct moheap_traceback - how a place was reached
 * @frames: the most recent first
 * @nframes: how many, at least one
 */
struct moheap_traceback {
	const struct moheap_frame *frames;
	unsigned int nframes;
};

/**
 * moheap_tracemalloc_get_object_traceback() - where an object was made
 * @heap: the heap
 * @ref: the object
 * @traceback: out: for moheap_traceback_free()
 *
 * Return: 0, -ENOENT if it was not traced, or not by this process or its parent before a fork,
 * -ENOMEM.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_tracemalloc_get_object_traceback(struct moheap *heap, moheap_ref_t ref,
					    struct moheap_traceback **traceback);

/**
 * moheap_traceback_free() - free what moheap_tracemalloc_get_object_traceback() gave
 * @traceback: that, or NULL; those that came with a snapshot go with it
 */
MOHEAP_API
void moheap_traceback_free(struct moheap_traceback *traceback);

/**
 * moheap_traceback_format() - a traceback as text for people, as Python prints it
 * @traceback: the traceback
 * @text: where to, terminated; NULL where @size is 0
 * @size: bytes there
 *
 * The oldest frame first, two lines for each: file, line and symbol, and what is written in that
 * line, where the file can be read.
 *
 * Return: bytes of the whole text without its terminator, as snprintf() does; or -ENOMEM.
 */
MOHEAP_API
long long moheap_traceback_format(const struct moheap_traceback *traceback, char *text,
				  size_t size);

/* ---- Snapshots ---- */

/**
 * struct moheap_trace - an object that was traced
 * @ref: the object, which may be gone by now
 * @size: its bytes
 * @type: its type's id
 * @traceback: where it was made
 */
struct moheap_trace {
	moheap_ref_t ref;
	__u64 size;
	unsigned int type;
	struct moheap_traceback traceback;
};

struct moheap_snapshot;

/**
 * moheap_tracemalloc_take_snapshot() - all traces of this moment
 * @heap: the heap
 * @snapshot: out: for moheap_snapshot_free()
 *
 * Objects that others give up meanwhile may be in it or not.
 *
 * Return: 0, -EINVAL while tracing is off, -ENOMEM.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_tracemalloc_take_snapshot(struct moheap *heap, struct moheap_snapshot **snapshot);

/**
 * moheap_snapshot_free() - free a snapshot, and what came with it
 * @snapshot: the snapshot, or NULL
 */
MOHEAP_API
void moheap_snapshot_free(struct moheap_snapshot *snapshot);

/**
 * moheap_snapshot_len() - how many traces there are
 * @snapshot: the snapshot
 *
 * Return: how many.
 */
MOHEAP_API
size_t moheap_snapshot_len(const struct moheap_snapshot *snapshot);

/**
 * moheap_snapshot_get_traceback_limit() - frames that were kept of each traceback
 * @snapshot: the snapshot
 *
 * Return: how many.
 */
MOHEAP_API
unsigned int moheap_snapshot_get_traceback_limit(const struct moheap_snapshot *snapshot);

/**
 * moheap_snapshot_trace() - one of the traces
 * @snapshot: the snapshot
 * @index: which, from 0
 * @trace: out
 *
 * Return: 0, -ERANGE if there is none, -ENOMEM.
 */
MOHEAP_API
int moheap_snapshot_trace(struct moheap_snapshot *snapshot, size_t index,
			  struct moheap_trace *trace);

/* Of struct moheap_filter: whatever it is */
#define MOHEAP_FILTER_ANY	(-1)

/**
 * struct moheap_filter - which traces to keep, or to leave out
 * @inclusive: keep what matches; else leave it out
 * @all_frames: it matches if any frame of its traceback does; else the most recent one must
 * @filename: pattern, as fnmatch(3) without escapes: * ? [...]; NULL: any
 * @symbol: pattern; NULL: any, or none
 * @lineno: line, or MOHEAP_FILTER_ANY
 * @type: type id of the object, or MOHEAP_FILTER_ANY. An object of another type does not match
 */
struct moheap_filter {
	bool inclusive;
	bool all_frames;
	const char *filename;
	const char *symbol;
	int lineno;
	int type;
};

/* A filter by file, to be refined. */
#define MOHEAP_FILTER(inclusive_, filename_) \
	{ \
		.inclusive = (inclusive_), .filename = (filename_), \
		.lineno = MOHEAP_FILTER_ANY, .type = MOHEAP_FILTER_ANY, \
	}

/**
 * moheap_snapshot_filter() - a snapshot of some of the traces
 * @snapshot: the snapshot, which stays as it is
 * @filters: filters
 * @n: how many; 0: keep all
 * @filtered: out: for moheap_snapshot_free(). It does not need @snapshot
 *
 * What is kept matches one of the inclusive filters, if there are any, and none of the others.
 *
 * Return: 0, or -ENOMEM.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_snapshot_filter(struct moheap_snapshot *snapshot, const struct moheap_filter *filters,
			   size_t n, struct moheap_snapshot **filtered);

/**
 * moheap_snapshot_dump() - write a snapshot to a file
 * @snapshot: the snapshot
 * @path: the file, which is replaced if it exists
 *
 * Frames are written as files and lines: who reads it needs neither the program nor this machine.
 * It is text; userlib/src/dump.c describes it.
 *
 * Return: 0, -ENOMEM, or why it could not be written.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_snapshot_dump(struct moheap_snapshot *snapshot, const char *path);

/**
 * moheap_snapshot_load() - read a snapshot that moheap_snapshot_dump() wrote
 * @path: the file
 * @snapshot: out: for moheap_snapshot_free()
 *
 * Return: 0, -EINVAL: it is no snapshot, -ENOMEM, or why it could not be read.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_snapshot_load(const char *path, struct moheap_snapshot **snapshot);

/* ---- Statistics ---- */

/**
 * enum moheap_key - what the traces of a statistic have in common
 * @MOHEAP_KEY_FILENAME: the file of the most recent frame
 * @MOHEAP_KEY_LINENO: file and line; where there is no line, file and symbol
 * @MOHEAP_KEY_SYMBOL: file and symbol
 * @MOHEAP_KEY_TRACEBACK: all frames
 * @MOHEAP_KEY_CUMULATIVE: with one of the first three: a trace counts for every frame of its
 *	traceback, not for the most recent one only; where they have the key in common, as in
 *	recursion, it counts once
 */
enum moheap_key {
	MOHEAP_KEY_FILENAME = 0,
	MOHEAP_KEY_LINENO = 1,
	MOHEAP_KEY_SYMBOL = 2,
	MOHEAP_KEY_TRACEBACK = 3,
	MOHEAP_KEY_CUMULATIVE = 0x100,
};

/**
 * struct moheap_statistic - traces with something in common
 * @traceback: what they have in common: one frame, without the members that are no part of the
 *	key, but for MOHEAP_KEY_TRACEBACK
 * @size: their bytes
 * @count: how many they are
 * @size_diff: how many bytes more than in the older snapshot; 0 where there is none
 * @count_diff: how many more
 */
struct moheap_statistic {
	struct moheap_traceback traceback;
	__u64 size;
	__u64 count;
	long long size_diff;
	long long count_diff;
};

/**
 * moheap_snapshot_statistics() - add traces up by what they have in common
 * @snapshot: the snapshot, which must be there as long as the result
 * @key: enum moheap_key
 * @statistics: out: an array, for free(); the largest first: by size, then by count
 * @n: out: how many
 *
 * Return: 0, -EINVAL: no such key, -ENOMEM.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_snapshot_statistics(struct moheap_snapshot *snapshot, unsigned int key,
			       struct moheap_statistic **statistics, size_t *n);

/**
 * moheap_snapshot_compare_to() - what has changed since an older snapshot
 * @snapshot: the snapshot
 * @old: the older one. Both must be there as long as the result
 * @key: enum moheap_key
 * @statistics: out: an array, for free(); the largest change first, whichever way it went. With
 *	what there is no longer, and what has not changed
 * @n: out: how many
 *
 * Return: 0, -EINVAL: no such key, -ENOMEM.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_snapshot_compare_to(struct moheap_snapshot *snapshot, struct moheap_snapshot *old,
			       unsigned int key, struct moheap_statistic **statistics, size_t *n);

/**
 * moheap_statistic_format() - a statistic as a line for people, as Python prints it
 * @statistic: the statistic
 * @text: where to, terminated; NULL where @size is 0
 * @size: bytes there
 *
 * Return: bytes of the whole line without its terminator, as snprintf() does; or -ENOMEM.
 */
MOHEAP_API
int moheap_statistic_format(const struct moheap_statistic *statistic, char *text, size_t size);

/**
 * moheap_statistic_diff_format() - the same, with what has changed
 * @statistic: the statistic, from moheap_snapshot_compare_to()
 * @text: where to, terminated; NULL where @size is 0
 * @size: bytes there
 *
 * Return: bytes of the whole line without its terminator, as snprintf() does; or -ENOMEM.
 */
MOHEAP_API
int moheap_statistic_diff_format(const struct moheap_statistic *statistic, char *text,
				 size_t size);

#ifdef __cplusplus
}
#endif

#endif /* MOHEAP_TRACEMALLOC_H */
