// SPDX-License-Identifier: GPL-2.0
/*
 * See stall.h.
 */
#include <stdlib.h>

#include "stall.h"

#define STALL_ROOM	(4U << 20)
#define STALL_FLUSH	32	/* steps between flushes */
#define STALL_GAP_NS	2000000000ULL
#define STALL_LOAD	8	/* steps between reads of a slot */

void stall_begin(struct stall *s, struct moheap *heap, int type)
{
	__u32 i;

	*s = (struct stall){ .heap = heap, .type = type, .room = STALL_ROOM };
	s->times = bench_must_have("malloc", malloc(s->room * sizeof(*s->times)));
	/* Its pages shall be there before anything is timed. */
	for (i = 0; i < s->room; i++)
		s->times[i] = 1;
	for (i = 0; i < STALL_RING; i++)
		s->ring[i] = graph_new(heap, type);
}

static __u64 took(struct stall *s, __u64 since)
{
	__u64 now = bench_now(), ns = now - since;

	if (ns > s->longest)
		s->longest = ns;
	if (s->n < s->room)
		s->times[s->n++] = ns > UINT32_MAX ? UINT32_MAX : ns;
	return now;
}

void stall_step(struct stall *s)
{
	__u32 i = s->step % STALL_RING;
	moheap_ref_t old = s->ring[i], target;
	/* An odd one refers to the even one before it: no chain grows. */
	moheap_ref_t before = i % 2 ? s->ring[i - 1] : 0;
	__u64 t = bench_now();

	bench_must("moheap_new", moheap_new(s->heap, s->type, &s->ring[i]));
	t = took(s, t);
	bench_must("moheap_store", moheap_store(s->heap, s->ring[i], 1, before));
	t = took(s, t);
	bench_must("moheap_decref", moheap_decref(s->heap, old));
	t = took(s, t);
	if (s->step % STALL_LOAD == 0) {
		bench_must("moheap_peek", moheap_peek(s->heap, s->ring[i], 1, &target));
		t = took(s, t);
	}
	if (s->step % STALL_FLUSH == 0) {
		graph_flush(s->heap);
		took(s, t);
	}
	s->step++;
}

static int compare(const void *a, const void *b)
{
	__u32 x = *(const __u32 *)a, y = *(const __u32 *)b;

	return (x > y) - (x < y);
}

/* What all but one call in ten thousand took at most. */
static __u64 p9999(struct stall *s)
{
	qsort(s->times, s->n, sizeof(*s->times), compare);
	return s->n ? s->times[s->n - 1 - s->n / 10000] : 0;
}

void stall_tell(struct stall *s, const char *metric, const char *party)
{
	struct moheap_stat stat = graph_stat(s->heap);

	bench_result(metric, party, s->longest);
	bench_besides(metric, party, "p99.99_ms", p9999(s) / 1e6);
	bench_besides(metric, party, "longest_step_ms", stat.longest_step_ns / 1e6);
	bench_besides(metric, party, "longest_gap_ms", bench_longest_gap(STALL_GAP_NS) / 1e6);
	bench_besides(metric, party, "traces", stat.traces);
}
