// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Snapshots in files.
 *
 * Text, in lines whose fields are separated by single spaces:
 *
 *	moheap-snapshot 1		what it is, and of which version
 *	nframe N			frames that were kept of each traceback
 *	frames N			then N lines, each a frame:
 *	LINENO FILENAME SYMBOL
 *	tracebacks N			then N lines, each a traceback, the most recent frame first:
 *	COUNT FRAME...			frames by number, from 0
 *	traces N			then N lines, each a trace:
 *	REF SIZE TYPE TRACEBACK		the ref in hex; the traceback by number, from 0
 *	end
 *
 * In a string, a byte that is a space, a percent sign or a control character is %XX, in hex. A
 * symbol that is not known is "-", and one that is a single dash %2D.
 *
 * Numbers are checked when they are read, and memory is taken as lines are read, not as numbers
 * promise: a file that is damaged, or was made to harm, is refused.
 */
#include <stdio.h>
#include <string.h>

#include "trace.h"

/* ---- Writing ---- */

static void mh_string_dump(FILE *file, const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text <= ' ' || *text == '%' || *text == 0x7f)
			fprintf(file, "%%%02X", (unsigned char)*text);
		else
			fputc(*text, file);
	}
}

static void mh_frame_dump(FILE *file, const struct moheap_frame *frame)
{
	fprintf(file, "%u ", frame->lineno);
	mh_string_dump(file, frame->filename);
	fputc(' ', file);
	if (!frame->symbol)
		fputc('-', file);
	else if (!strcmp(frame->symbol, "-"))
		fputs("%2D", file);
	else
		mh_string_dump(file, frame->symbol);
	fputc('\n', file);
}

static void mh_places_dump(FILE *file, const struct mh_places *places)
{
	const struct mh_traceback *traceback;
	size_t i, j;

	fprintf(file, "frames %zu\n", places->nframes);
	for (i = 0; i < places->nframes; i++)
		mh_frame_dump(file, &places->frames[i]);
	fprintf(file, "tracebacks %zu\n", places->ntracebacks);
	for (i = 0; i < places->ntracebacks; i++) {
		traceback = &places->tracebacks[i];
		fprintf(file, "%u", traceback->n);
		for (j = 0; j < traceback->n; j++)
			fprintf(file, " %zu", traceback->first + j);
		fputc('\n', file);
	}
}

static void mh_traces_dump(FILE *file, const struct moheap_snapshot *snapshot)
{
	const struct mh_trace *trace = snapshot->traces;
	size_t i;

	fprintf(file, "traces %zu\n", snapshot->n);
	for (i = 0; i < snapshot->n; i++, trace++)
		fprintf(file, "%llx %llu %u %u\n", (unsigned long long)trace->ref,
			(unsigned long long)trace->size, trace->type, trace->traceback);
}

int moheap_snapshot_dump(struct moheap_snapshot *snapshot, const char *path)
{
	FILE *file;
	int err;

	err = mh_places_find(snapshot->places);
	if (err)
		return err;
	file = fopen(path, "we");
	if (!file)
		return -errno;
	fprintf(file, "moheap-snapshot 1\nnframe %u\n", snapshot->nframe);
	mh_places_dump(file, snapshot->places);
	mh_traces_dump(file, snapshot);
	fputs("end\n", file);
	err = fflush(file) || ferror(file) ? -errno : 0;
	if (fclose(file) && !err)
		err = -errno;
	return err;
}

/* ---- Reading ---- */

/**
 * struct mh_reader - a file that is being read
 * @file: the file
 * @line: the line it is at
 * @room: memory there
 * @at: what of the line is to be read still; NULL: nothing
 */
struct mh_reader {
	FILE *file;
	char *line;
	size_t room;
	char *at;
};

static int mh_line_read(struct mh_reader *reader)
{
	ssize_t n;

	errno = 0;
	n = getline(&reader->line, &reader->room, reader->file);
	if (n < 0)
		return errno ? -errno : -EINVAL;
	if (!n || reader->line[n - 1] != '\n' || strlen(reader->line) != (size_t)n)
		return -EINVAL;
	reader->line[n - 1] = 0;
	reader->at = reader->line;
	return 0;
}

/* The next field, or NULL. */
static char *mh_field(struct mh_reader *reader)
{
	return reader->at ? strsep(&reader->at, " ") : NULL;
}

static int mh_field_number(struct mh_reader *reader, int base, __u64 most, __u64 *number)
{
	static const char digits[] = "0123456789abcdef";
	const char *field = mh_field(reader), *digit;

	if (!field || !*field)
		return -EINVAL;
	for (*number = 0; *field; field++) {
		digit = memchr(digits, *field, base);
		if (!digit || *number > (most - (digit - digits)) / base)
			return -EINVAL;
		*number = *number * base + (digit - digits);
	}
	return 0;
}

static int mh_hex(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *digit = c ? strchr(digits, c) : NULL;

	return digit ? digit - digits : -1;
}

/* A string, in place. */
static char *mh_field_string(struct mh_reader *reader)
{
	char *field = mh_field(reader), *from, *to;
	int high, low;

	if (!field)
		return NULL;
	for (from = to = field; *from; from++) {
		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		high = mh_hex(from[1]);
		low = high < 0 ? -1 : mh_hex(from[2]);
		if (low < 0 || !(high | low))
			return NULL;
		*to++ = high << 4 | low;
		from += 2;
	}
	*to = 0;
	return field;
}

static int mh_line_end(const struct mh_reader *reader)
{
	return reader->at ? -EINVAL : 0;
}

/* A line that is a word and a number. */
static int mh_heading_read(struct mh_reader *reader, const char *word, __u64 most, __u64 *number)
{
	const char *field;
	int err = mh_line_read(reader);

	if (err)
		return err;
	field = mh_field(reader);
	if (!field || strcmp(field, word))
		return -EINVAL;
	err = mh_field_number(reader, 10, most, number);
	return err ? err : mh_line_end(reader);
}

static int mh_frame_read(struct mh_reader *reader, struct mh_places *places,
			 struct moheap_frame *frame)
{
	const char *filename, *symbol;
	__u64 lineno;
	bool none;
	int err = mh_line_read(reader);

	if (!err)
		err = mh_field_number(reader, 10, INT32_MAX, &lineno);
	if (err)
		return err;
	filename = mh_field_string(reader);
	none = reader->at && !strcmp(reader->at, "-");
	symbol = mh_field_string(reader);
	if (!filename || !symbol || mh_line_end(reader))
		return -EINVAL;
	frame->lineno = lineno;
	frame->filename = mh_strings_add(&places->strings, filename);
	frame->symbol = none ? NULL : mh_strings_add(&places->strings, symbol);
	return frame->filename && (none || frame->symbol) ? 0 : -ENOMEM;
}

/* Frames by number; those of a traceback are put together when tracebacks are read. */
static int mh_frames_read(struct mh_reader *reader, struct mh_places *places,
			  struct moheap_frame **frames, __u64 *n)
{
	size_t room = 0;
	__u64 i;
	int err;

	err = mh_heading_read(reader, "frames", UINT32_MAX, n);
	for (i = 0; i < *n && !err; i++) {
		err = mh_grow((void **)frames, &room, i + 1, sizeof(**frames));
		if (!err)
			err = mh_frame_read(reader, places, &(*frames)[i]);
	}
	return err;
}

static int mh_traceback_read(struct mh_reader *reader, struct mh_places *places, size_t *room,
			     const struct moheap_frame *frames, __u64 nframes)
{
	struct mh_traceback *traceback = &places->tracebacks[places->ntracebacks];
	__u64 count, frame, i;
	int err = mh_line_read(reader);

	if (!err)
		err = mh_field_number(reader, 10, MOHEAP_NFRAME_MAX, &count);
	if (!err && !count)
		err = -EINVAL;
	if (!err)
		err = mh_grow((void **)&places->frames, room, places->nframes + count,
			      sizeof(*places->frames));
	if (err)
		return err;
	*traceback = (struct mh_traceback){ .first = places->nframes, .n = count };
	for (i = 0; i < count && !err; i++) {
		err = mh_field_number(reader, 10, UINT32_MAX, &frame);
		if (!err && frame >= nframes)
			err = -EINVAL;
		if (!err)
			places->frames[places->nframes++] = frames[frame];
	}
	if (!err)
		err = mh_line_end(reader);
	places->ntracebacks += !err;
	return err;
}

static int mh_places_read(struct mh_reader *reader, struct mh_places *places)
{
	struct moheap_frame *frames = NULL;
	size_t room = 0, frames_room = 0;
	__u64 nframes = 0, n = 0, i;
	int err;

	err = mh_frames_read(reader, places, &frames, &nframes);
	if (!err)
		err = mh_heading_read(reader, "tracebacks", UINT32_MAX, &n);
	for (i = 0; i < n && !err; i++) {
		err = mh_grow((void **)&places->tracebacks, &room, i + 1,
			      sizeof(*places->tracebacks));
		if (!err)
			err = mh_traceback_read(reader, places, &frames_room, frames, nframes);
	}
	free(frames);
	return err;
}

static int mh_trace_read(struct mh_reader *reader, const struct mh_places *places,
			 struct mh_trace *trace)
{
	__u64 ref, size, type, traceback;
	int err = mh_line_read(reader);

	if (!err)
		err = mh_field_number(reader, 16, UINT64_MAX, &ref);
	if (!err)
		err = mh_field_number(reader, 10, INT64_MAX, &size);
	if (!err)
		err = mh_field_number(reader, 10, INT32_MAX, &type);
	if (!err)
		err = mh_field_number(reader, 10, UINT32_MAX, &traceback);
	if (!err && (traceback >= places->ntracebacks || mh_line_end(reader)))
		err = -EINVAL;
	if (!err)
		*trace = (struct mh_trace){
			.ref = ref, .size = size, .type = type, .traceback = traceback,
		};
	return err;
}

static int mh_traces_read(struct mh_reader *reader, struct moheap_snapshot *snapshot)
{
	size_t room = 0;
	__u64 n = 0;
	int err;

	err = mh_heading_read(reader, "traces", UINT32_MAX, &n);
	while (!err && snapshot->n < n) {
		err = mh_grow((void **)&snapshot->traces, &room, snapshot->n + 1,
			      sizeof(*snapshot->traces));
		if (!err)
			err = mh_trace_read(reader, snapshot->places,
					    &snapshot->traces[snapshot->n]);
		snapshot->n += !err;
	}
	return err;
}

static int mh_snapshot_read(struct mh_reader *reader, struct moheap_snapshot *snapshot)
{
	__u64 version, nframe = 0;
	int err;

	err = mh_heading_read(reader, "moheap-snapshot", 1, &version);
	if (!err && version != 1)
		err = -EINVAL;
	if (!err)
		err = mh_heading_read(reader, "nframe", MOHEAP_NFRAME_MAX, &nframe);
	snapshot->nframe = nframe;
	if (!err)
		err = mh_places_read(reader, snapshot->places);
	if (!err)
		err = mh_traces_read(reader, snapshot);
	if (!err)
		err = mh_line_read(reader);
	if (!err && (strcmp(reader->line, "end") || getc(reader->file) != EOF))
		err = -EINVAL;
	return err;
}

int moheap_snapshot_load(const char *path, struct moheap_snapshot **snapshot)
{
	struct mh_reader reader = { .file = fopen(path, "re") };
	int err = -ENOMEM;

	if (!reader.file)
		return -errno;
	*snapshot = calloc(1, sizeof(**snapshot));
	if (*snapshot)
		(*snapshot)->places = mh_places_new();
	if (*snapshot && (*snapshot)->places)
		err = mh_snapshot_read(&reader, *snapshot);
	if (err) {
		moheap_snapshot_free(*snapshot);
		*snapshot = NULL;
	}
	free(reader.line);
	fclose(reader.file);
	return err;
}
