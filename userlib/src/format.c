// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Statistics and tracebacks as text for people, as Python prints them. Where the symbol of a frame
 * is known it is there as well.
 */
#include <stdio.h>
#include <string.h>

#include "trace.h"

/* Room for a number of bytes, or more of them, with its unit. */
#define MH_SIZE_TEXT	32

/* Three digits at least, five at most. */
static void mh_size_format(double size, bool sign, char text[MH_SIZE_TEXT])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned int unit = 0;
	double positive = size < 0 ? -size : size;
	int digits;

	while (positive >= 10 * 1024 && unit < MH_ARRAY_SIZE(units) - 1) {
		positive /= 1024;
		size /= 1024;
		unit++;
	}
	digits = unit && positive < 100;
	if (sign)
		snprintf(text, MH_SIZE_TEXT, "%+.*f %s", digits, size, units[unit]);
	else
		snprintf(text, MH_SIZE_TEXT, "%.*f %s", digits, size, units[unit]);
}

static void mh_frame_print(FILE *file, const struct moheap_frame *frame)
{
	fprintf(file, "%s:%u", frame->filename, frame->lineno);
	if (frame->symbol)
		fprintf(file, " (%s)", frame->symbol);
}

static void mh_statistic_print(FILE *file, const struct moheap_statistic *statistic, bool diff)
{
	char size[MH_SIZE_TEXT];

	mh_frame_print(file, &statistic->traceback.frames[0]);
	mh_size_format(statistic->size, false, size);
	fprintf(file, ": size=%s", size);
	if (diff) {
		mh_size_format(statistic->size_diff, true, size);
		fprintf(file, " (%s)", size);
	}
	fprintf(file, ", count=%llu", (unsigned long long)statistic->count);
	if (diff)
		fprintf(file, " (%+lld)", statistic->count_diff);
	if (!statistic->count)
		return;
	mh_size_format((double)statistic->size / statistic->count, false, size);
	fprintf(file, ", average=%s", size);
}

/* Hand out what was printed to memory, as snprintf() does. Return its length, or -ENOMEM. */
static long long mh_text_give(FILE *file, char **printed, char *text, size_t size)
{
	long long n = ferror(file) ? -ENOMEM : ftell(file);

	if (fclose(file))
		n = -ENOMEM;
	if (n >= 0 && size) {
		size = mh_min(size - 1, n);
		memcpy(text, *printed, size);
		text[size] = 0;
	}
	free(*printed);
	return n;
}

static int mh_statistic_format(const struct moheap_statistic *statistic, bool diff, char *text,
			       size_t size)
{
	char *printed = NULL;
	size_t n;
	FILE *file = open_memstream(&printed, &n);

	if (!file)
		return -ENOMEM;
	mh_statistic_print(file, statistic, diff);
	return mh_text_give(file, &printed, text, size);
}

int moheap_statistic_format(const struct moheap_statistic *statistic, char *text, size_t size)
{
	return mh_statistic_format(statistic, false, text, size);
}

int moheap_statistic_diff_format(const struct moheap_statistic *statistic, char *text,
				 size_t size)
{
	return mh_statistic_format(statistic, true, text, size);
}

/* ---- Tracebacks ---- */

/* The text of a line, without what surrounds it. */
static void mh_source_print(FILE *file, const char *path, unsigned int lineno)
{
	FILE *source = lineno ? fopen(path, "re") : NULL;
	char *line = NULL, *text;
	size_t room = 0;
	ssize_t n = 0;

	if (!source)
		return;
	while (lineno-- && n >= 0)
		n = getline(&line, &room, source);
	fclose(source);
	if (n > 0) {
		while (n && strchr(" \t\r\n", line[n - 1]))
			line[--n] = 0;
		text = line + strspn(line, " \t");
		if (*text)
			fprintf(file, "    %s\n", text);
	}
	free(line);
}

long long moheap_traceback_format(const struct moheap_traceback *traceback, char *text,
				  size_t size)
{
	const struct moheap_frame *frame;
	unsigned int i = traceback->nframes;
	char *printed = NULL;
	size_t n;
	FILE *file = open_memstream(&printed, &n);

	if (!file)
		return -ENOMEM;
	while (i--) {
		frame = &traceback->frames[i];
		fprintf(file, "  File \"%s\", line %u", frame->filename, frame->lineno);
		if (frame->symbol)
			fprintf(file, ", in %s", frame->symbol);
		fputc('\n', file);
		mh_source_print(file, frame->filename, frame->lineno);
	}
	return mh_text_give(file, &printed, text, size);
}
