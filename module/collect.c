// SPDX-License-Identifier: GPL-2.0
/*
 * The collector: local passes, the thread, and when which of its work is due.
 *
 * Reference counts free everything but cycles. For those there are two ways. A local pass looks
 * at candidates (object.c) and at what they reach, within a budget; it finds small garbage at a
 * cost that does not depend on the heap. What exceeds the budget *escapes*, and waits for a
 * trace of the whole heap (trace.c). Besides, the collector reaps the dead that operations left
 * to it, and gives empty pools back.
 *
 * The local pass is trial deletion (Bacon, Rajan 2001, with the trial on the real counts, as
 * nobody can look). Under the exclusive gate, from a few candidates, as many as the budget allows:
 *
 *	subtract	visit what they reach; for each slot of a visited object, take one off the
 *			count of the target. What is left of a count are references from outside
 *	restore		whatever has a count left is alive, and so is all that it reaches: put back
 *			what was taken through its slots
 *	free		the others had references only from each other
 *
 * Objects without slots are in no cycle, and objects that a client holds, or that are frozen, are
 * alive, with all that they reach. They are left alone: neither visited nor subtracted, they lose
 * their references like any other when a garbage object goes. An escape puts back what was taken.
 * Before any garbage is freed, those who watch it are told, and what is to be finalized first is
 * spared, with all that it reaches (final.c); or all of it is spared, and saved (garbage.c).
 * The visited are in an array of the budget's length, and their counts have MH_TRIAL set: without
 * pins no count is as high. They are candidates no longer, for nobody need visit them again.
 * Nothing is allocated. The pass is correct whatever the phase of a trace: it frees only what
 * nothing else refers to, and that a marked object is freed does not matter to the trace.
 *
 * Local passes must earn their keep: collect->credit pays for visits. It grows with every
 * object freed and every candidate looked at, and when it is used up (a tree with parent
 * pointers, whose nodes reach all of it) candidates escape unvisited, until the next trace.
 *
 * What a pass visited and did not free are candidates no longer. So a ring whose members are
 * dropped one by one does not cost a visit to all of it for each. Nothing is lost. Say v was
 * visited and not freed, either because it lives as far as the pass can see, or on account of a
 * candidate x that escaped:
 *
 * - A pass that begins with v frees nothing. If v reaches x, it reaches all that x does, and
 *   escapes, too. Otherwise there is a reference that such a pass would not explain: one from
 *   outside of what was visited, or from what x passed on its way to v, to something that v
 *   reaches and that leads to v. (Of a chain of references that ends in v and begins outside of
 *   what v reaches, one leads in; all that v reaches is alive by that one.)
 * - If v is garbage all the same, what keeps it is garbage, too. That goes with the trace that
 *   x waits for; or it goes earlier, and lets go of what it refers to, which makes candidates.
 *
 * A trace is due when candidates have escaped, and the program has made a quarter as many
 * objects as were alive after the last trace, or the pause since is four times what that took.
 * So garbage that waits for a trace is never more than that quarter plus MH_TRACE_MIN and what
 * is made during the trace, to which clients that make it contribute steps; and a quiet heap
 * ends clean.
 *
 * heap->collect_lock is held by whoever does any of this, for one bounded step at a time: the
 * thread, a process that asked for a collection or is short of memory, and clients that make
 * garbage faster than the thread collects it (mh_collector_assist()). All state is in struct
 * mh_collect, so each goes on where the other left off. The thread is made when there is first
 * something to do, by a work item, as that takes milliseconds. It runs in the cgroups of the
 * process that created the heap, and sleeps without a timer when all is done.
 */
#include <linux/cgroup.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "internal.h"
#include "tracepoints.h"

/* Objects made before growth alone may start a trace: tracing less is not worth the steps. */
#define MH_TRACE_MIN	4096

/* Slots that count as one visit, and that a candidate may have looked at for each visit. */
#define MH_EDGES	8

/* A client that needs a pool does so many steps while more candidates than that are waiting. */
#define MH_ASSIST_CANDIDATES	8192
#define MH_ASSIST_STEPS		2

/* Visits a heap may spend in advance, and what it gets back. */
#define MH_CREDIT_MAX		65536
#define MH_CREDIT_CANDIDATE	1
#define MH_CREDIT_FREED		8

static const struct moheap_tune mh_tune_default = {
	.size = sizeof(struct moheap_tune),
	.budget = MOHEAP_BUDGET_MAX,
	.threshold = 512,
	.growth = 25,
	.idle_ms = 20,
	.enabled = 1,
	.finalize_ms = 60000,
};

/**
 * mh_gate_exclusive() - keep everybody out of the graph
 * @heap: the heap
 * @since: out: for mh_gate_release()
 */
void mh_gate_exclusive(struct mh_heap *heap, u64 *since)
{
	down_write(&heap->gate);
	*since = ktime_get_ns();
}

/**
 * mh_gate_release() - end of a step under the exclusive gate
 * @heap: the heap
 * @since: from mh_gate_exclusive()
 */
void mh_gate_release(struct mh_heap *heap, u64 since)
{
	u64 ns = ktime_get_ns() - since;

	if (ns > heap->collect->stat.longest_step_ns)
		WRITE_ONCE(heap->collect->stat.longest_step_ns, ns);
	up_write(&heap->gate);
}

/**
 * mh_collector_stat() - the collector's own figures
 * @heap: the heap
 * @stat: out
 */
void mh_collector_stat(struct mh_heap *heap, struct moheap_stat *stat)
{
	/* Single figures are whole; that they may be of different moments is all right. */
	data_race(*stat = heap->collect->stat);
}

/* ---- Local pass ---- */

struct mh_local {
	struct mh_heap *heap;
	struct mh_collect *c;
	u32 budget;
	u32 n;		/* visited, and not undone */
	u32 edges;	/* slots that may still be looked at */
	u32 freed;
	u32 saved;
	u32 staged;
	u32 cost;	/* visits, or what slots come to */
	u32 looked;	/* candidates that are none any more, and still in heap->ncand */
	bool large;	/* the candidate in hand reaches what a pass found large */
	bool watched;	/* something visited is */
	struct mh_dead dead;
};

/*
 * The gate is exclusive: nobody else touches a word. A count is what is left of it, and MH_TRIAL as
 * long as the object is visited.
 */
static u64 mh_local_word(const struct mh_obj *o)
{
	return atomic64_read(&o->header->word);
}

static bool mh_local_visited(const struct mh_obj *o)
{
	return mh_local_word(o) & MH_TRIAL;
}

/* Objects are candidates no longer, or again. What is counted of that, mh_local_account() tells. */
static bool mh_local_uncandidate(struct mh_local *l, const struct mh_obj *o)
{
	if (!mh_test(o, MH_CAND))
		return false;
	__clear_bit(o->idx, mh_map(o->pool, MH_CAND));
	l->looked++;
	return true;
}

static void mh_local_recandidate(struct mh_local *l, const struct mh_obj *o)
{
	__set_bit(o->idx, mh_map(o->pool, MH_CAND));
	l->looked--;
}

/*
 * Note an object as visited, with @taken off its count. Return false if that exceeds the budget,
 * or would.
 */
static bool mh_local_visit(struct mh_local *l, const struct mh_obj *o, u32 taken)
{
	l->large = mh_test(o, MH_LARGE);
	if (l->large || l->n == l->budget)
		return false;
	atomic64_set(&o->header->word, (mh_local_word(o) - taken) | MH_TRIAL);
	l->c->notes[l->n] = mh_local_uncandidate(l, o) ? MH_NOTE_CAND : 0;
	l->c->visited[l->n++] = *o;
	return true;
}

/* Is an object in no garbage cycle anyway? Of what is visited it is known. */
static bool mh_local_passes_by(const struct mh_local *l, const struct mh_obj *o)
{
	return mh_is_leaf(o) || mh_is_frozen(l->heap, o) || mh_is_saved(l->heap, o) ||
	       mh_is_held_still(o);
}

/* What a slot refers to, if it concerns the pass. */
static bool mh_local_target(struct mh_local *l, u32 granule, struct mh_obj *target)
{
	return granule && !WARN_ON_ONCE(mh_pool_find(l->heap, granule, target)) &&
	       (mh_local_visited(target) || !mh_local_passes_by(l, target));
}

/* Put back what was taken through the first @end slots of an object. */
static void mh_local_undo_object(struct mh_local *l, const struct mh_obj *o, u32 end)
{
	struct mh_obj target;
	u32 nslots, i;
	u32 *slots = mh_slots(o, &nslots);

	for (i = 0; i < min(end, nslots); i++)
		if (mh_local_target(l, slots[i], &target))
			atomic64_set(&target.header->word, mh_local_word(&target) + 1);
}

/*
 * Forget the visited from @from on, of which slots were taken up to @last, and @end slots of that.
 * If they @escaped, none is worth another look until its count falls again.
 */
static void mh_local_undo(struct mh_local *l, u32 from, u32 last, u32 end, bool escaped)
{
	const struct mh_obj *o = l->c->visited;
	u32 i;

	for (i = from; i <= last; i++)
		mh_local_undo_object(l, &o[i], i < last ? U32_MAX : end);
	for (i = from; i < l->n; i++) {
		atomic64_set(&o[i].header->word, mh_local_word(&o[i]) & ~(u64)MH_TRIAL);
		if (!escaped && l->c->notes[i] & MH_NOTE_CAND)
			mh_local_recandidate(l, &o[i]);
	}
	l->n = from;
}

/* Take one off the count of what a slot refers to. Return false if it exceeds the budget to. */
static bool mh_local_subtract_slot(struct mh_local *l, u32 v, u32 granule)
{
	struct mh_obj target;
	u64 word;

	if (WARN_ON_ONCE(mh_pool_find(l->heap, granule, &target)))
		return true;
	word = mh_local_word(&target);
	if (word & MH_TRIAL) {
		atomic64_set(&target.header->word, word - 1);
		return true;
	}
	if (!mh_local_passes_by(l, &target))
		return mh_local_visit(l, &target, 1);
	l->c->notes[v] |= MH_NOTE_OUTSIDE;
	return true;
}

/* Return the slots taken of visited object @v, all of them unless the budget ran out. */
static u32 mh_local_subtract_object(struct mh_local *l, u32 v, bool *within)
{
	const struct mh_obj *o = &l->c->visited[v];
	u32 nslots, i, edges, watched = mh_watched(o);
	u32 *slots = mh_slots(o, &nslots);

	/* Should the object be garbage, telling those who watch it will be work as well. */
	if (watched)
		l->watched = true;
	edges = nslots + watched;
	*within = edges <= l->edges;
	if (!*within)
		return 0;
	l->edges -= edges;
	for (i = 0; i < nslots; i++) {
		if (!slots[i])
			continue;
		*within = mh_local_subtract_slot(l, v, slots[i]);
		if (!*within)
			break;
	}
	return i;
}

enum mh_fit {
	MH_FITS,
	MH_ESCAPES,	/* whatever the pass has visited before */
	MH_NO_ROOM,	/* behind what it has */
};

/*
 * Visit a candidate and all that it reaches, and take their references off the counts. Unless it
 * fits, all is as it was before.
 */
static enum mh_fit mh_local_subtract(struct mh_local *l, const struct mh_obj *candidate)
{
	u32 from = l->n, edges = l->edges, last = from, end = 0, i;
	bool within = mh_local_visit(l, candidate, 0);
	bool escaped;

	for (i = from; within && i < l->n; i++) {
		end = mh_local_subtract_object(l, i, &within);
		last = i;
	}
	l->cost += max(l->n - from, (edges - l->edges) / MH_EDGES);
	if (within)
		return MH_FITS;
	escaped = l->large || !from;
	if (l->n > from)
		mh_local_undo(l, from, last, end, escaped);
	l->edges = edges;
	return escaped ? MH_ESCAPES : MH_NO_ROOM;
}

/* @o is alive: so is all that it reaches. */
static void mh_local_restore(struct mh_local *l, const struct mh_obj *o)
{
	struct mh_obj target;
	u32 nslots, i, top = 0;
	u32 *slots;
	u64 word;

	atomic64_set(&o->header->word, mh_local_word(o) & ~(u64)MH_TRIAL);
	l->c->stack[top++] = *o;
	while (top) {
		slots = mh_slots(&l->c->stack[--top], &nslots);
		for (i = 0; i < nslots; i++) {
			if (!mh_local_target(l, slots[i], &target))
				continue;
			word = mh_local_word(&target);
			atomic64_set(&target.header->word, (word & ~(u64)MH_TRIAL) + 1);
			if (word & MH_TRIAL)
				l->c->stack[top++] = target;
		}
	}
}

/* Clear the slots of a garbage object. What the pass left alone still counts them. */
static void mh_local_cut(struct mh_local *l, const struct mh_obj *o, bool outside)
{
	struct mh_obj target;
	u32 nslots, i;
	u32 *slots = mh_slots(o, &nslots);

	for (i = 0; i < nslots; i++) {
		if (outside && slots[i] && !mh_local_target(l, slots[i], &target))
			mh_put(l->heap, &target, 1, &l->dead);
		slots[i] = 0;
	}
}

/* What is visited still is garbage: tell those who watch it. */
static void mh_local_tell(struct mh_local *l)
{
	struct mh_obj *o = l->c->visited;
	u32 i;

	for (i = 0; l->watched && i < l->n; i++)
		if (mh_watched(&o[i]) && mh_local_visited(&o[i]))
			mh_watches_fire(l->heap, &o[i]);
}

/*
 * Or it is saved: all counts are what they were, and one more. A saved object the pass would leave
 * alone, so that comes last.
 */
static void mh_local_save(struct mh_local *l)
{
	const struct mh_obj *o = l->c->visited;
	u32 i;

	for (i = 0; i < l->n; i++)
		if (mh_local_visited(&o[i]))
			l->c->notes[i] |= MH_NOTE_SAVE;
	for (i = 0; i < l->n; i++)
		if (mh_local_visited(&o[i]))
			mh_local_restore(l, &o[i]);
	for (i = 0; i < l->n; i++) {
		if (!(l->c->notes[i] & MH_NOTE_SAVE))
			continue;
		atomic64_set(&o[i].header->word, mh_local_word(&o[i]) + 1);
		mh_save(l->heap, &o[i]);
		l->saved++;
	}
}

/* Else it is freed. */
static void mh_local_free(struct mh_local *l)
{
	struct mh_freed freed = { };
	struct mh_obj *o;
	u64 word;
	u32 i;

	for (i = 0; i < l->n; i++) {
		o = &l->c->visited[i];
		word = mh_local_word(o);
		if (!(word & MH_TRIAL))
			continue;
		mh_local_cut(l, o, l->c->notes[i] & MH_NOTE_OUTSIDE);
		mh_object_release(l->heap, o, mh_gen_after(mh_gen(word)), &freed);
		l->freed++;
	}
	mh_blocks_release(&freed);
}

/*
 * Garbage that is to be finalized first is alive for now, and so is what it reaches. All of it is
 * staged before any of it is spared, for each is due, whoever refers to it. The keeper gets its
 * reference here and the hold, which would have the pass leave the object alone, at the end.
 */
static void mh_local_stage(struct mh_local *l, struct list_head *staged)
{
	const struct mh_obj *o = l->c->visited;
	u32 i;

	for (i = 0; i < l->n; i++)
		if (o[i].pool->final && mh_local_visited(&o[i]) &&
		    mh_final_stage(l->heap, &o[i], staged)) {
			atomic64_set(&o[i].header->word, mh_local_word(&o[i]) + 1);
			l->staged++;
		}
	if (list_empty(staged))
		return;
	for (i = 0; i < l->n; i++)
		if (o[i].pool->final && mh_local_visited(&o[i]) && mh_final_staged(&o[i]))
			mh_local_restore(l, &o[i]);
}

static void mh_local_deliver(struct mh_local *l, struct list_head *staged)
{
	struct mh_final *f;
	struct mh_obj o;

	list_for_each_entry(f, staged, event.list)
		if (!WARN_ON_ONCE(mh_pool_find(l->heap, f->ref, &o)))
			mh_final_keep(l->heap, &o);
	while (!mh_final_deliver(l->heap, staged))
		;
}

/* Tell the living among the visited from garbage, which goes. */
static void mh_local_decide(struct mh_local *l)
{
	const struct mh_obj *o = l->c->visited;
	LIST_HEAD(staged);
	u32 i;

	/* Visited still, and more of its count left than that. */
	for (i = 0; i < l->n; i++)
		if (mh_count(mh_local_word(&o[i])) > MH_TRIAL)
			mh_local_restore(l, &o[i]);
	mh_local_tell(l);
	if (mh_finalizing(l->heap))
		mh_local_stage(l, &staged);
	if (unlikely(mh_saving(l->heap)))
		mh_local_save(l);
	else
		mh_local_free(l);
	mh_local_deliver(l, &staged);
}

static bool mh_cand_queued(struct mh_heap *heap)
{
	return heap->collect->cand_pool || !llist_empty(&heap->cand);
}

/*
 * The next candidate, as long as the pass may go on: with this one, to twice the budget at most.
 * A pool without candidates leaves the queue: nobody can add one, for the gate is exclusive.
 */
static bool mh_next_candidate(struct mh_local *l, struct mh_obj *o)
{
	struct mh_collect *c = l->c;

	while (l->cost < l->budget && mh_cand_queued(l->heap)) {
		l->cost++;
		if (!c->cand_pool) {
			c->cand_pool = llist_entry(llist_del_first(&l->heap->cand),
						   struct mh_pool, cand_node);
			c->cand_word = 0;
		}
		o->pool = c->cand_pool;
		o->idx = mh_first_bit(o->pool, MH_CAND, c->cand_word);
		if (o->idx < o->pool->nblocks) {
			c->cand_word = o->idx / BITS_PER_LONG;
			mh_local_uncandidate(l, o);
			o->header = mh_header(o->pool, o->idx);
			return true;
		}
		/* Some may have come behind our back, between two passes. */
		if (c->cand_word && mh_first_bit(o->pool, MH_CAND, 0) < o->pool->nblocks) {
			c->cand_word = 0;
			continue;
		}
		clear_bit(MH_QUEUED_CAND, &o->pool->queued);
		c->cand_pool = NULL;
	}
	return false;
}

/* Dead, condemned or free blocks may have kept their bit, or a client may hold it again. */
static bool mh_candidate_worth(struct mh_heap *heap, const struct mh_obj *o)
{
	u64 word = mh_local_word(o);

	if (word & MH_TRIAL || !mh_alive(word) || !mh_count(word) || mh_is_frozen(heap, o) ||
	    mh_is_saved(heap, o) || mh_is_held_still(o))
		return false;
	return heap->phase < MH_FINALIZING || mh_test(o, MH_MARK);
}

/* Return false if there is no room for this one behind others: the next pass begins with it. */
static bool mh_local_candidate(struct mh_local *l, const struct mh_obj *o)
{
	if (l->c->credit > 0) {
		switch (mh_local_subtract(l, o)) {
		case MH_FITS:
			return true;
		case MH_NO_ROOM:
			mh_local_recandidate(l, o);
			return false;
		case MH_ESCAPES:
			__set_bit(o->idx, mh_map(o->pool, MH_LARGE));
			break;
		}
	}
	l->c->stat.local_escapes++;
	atomic_inc(&l->heap->escaped);
	return true;
}

static void mh_local_account(struct mh_local *l, u32 candidates, u64 escapes)
{
	struct mh_collect *c = l->c;

	c->credit += (s64)candidates * MH_CREDIT_CANDIDATE + (s64)l->freed * MH_CREDIT_FREED;
	c->credit = min_t(s64, c->credit - l->cost, MH_CREDIT_MAX);
	c->stat.local_passes++;
	c->stat.local_visits += l->cost;
	atomic_sub(l->looked, &l->heap->ncand);
	this_cpu_add(l->heap->counters->freed_local, l->freed);
	trace_moheap_local_pass(l->heap, l->cost, l->freed, c->stat.local_escapes - escapes);
}

/**
 * mh_local_pass() - one local pass
 * @heap: the heap; caller holds heap->collect_lock and not the gate
 * @generation: 0, or 1 if it is one of as many as it takes
 *
 * Return: true if candidates are left.
 */
static bool mh_local_pass(struct mh_heap *heap, u32 generation)
{
	struct mh_local l = { .heap = heap, .c = heap->collect, .budget = heap->tune.budget,
			      .edges = heap->tune.budget * MH_EDGES };
	u64 escapes = l.c->stat.local_escapes;
	struct mh_obj o;
	u32 candidates = 0;
	bool more;
	u64 since;

	lockdep_assert_held(&heap->collect_lock);
	mh_tell_begin(heap, generation);
	mh_gate_exclusive(heap, &since);
	while (mh_next_candidate(&l, &o)) {
		candidates++;
		if (mh_candidate_worth(heap, &o) && !mh_local_candidate(&l, &o))
			break;
	}
	mh_local_decide(&l);
	more = mh_cand_queued(heap);
	mh_reap(heap, &l.dead, MH_REAP_INLINE);
	mh_local_account(&l, candidates, escapes);
	l.c->stat.local_ns += ktime_get_ns() - since;
	mh_gate_release(heap, since);
	WRITE_ONCE(l.c->spared_ever, l.c->spared_ever + l.staged + l.saved);
	mh_tell_end(heap, generation, &(const struct mh_findings){ l.freed, l.saved, l.staged });
	return more;
}

/* ---- What is due, and doing it ---- */

/* Return true if dead objects are left. */
static bool mh_timed_reap(struct mh_heap *heap)
{
	u64 since = ktime_get_ns();
	bool more;

	down_read(&heap->gate);
	more = mh_reap_step(heap, MH_REAP_STEP);
	up_read(&heap->gate);
	heap->collect->stat.reap_ns += ktime_get_ns() - since;
	return more;
}

static bool mh_timed_trace_step(struct mh_heap *heap)
{
	u64 since = ktime_get_ns();
	bool done = mh_trace_step(heap);

	heap->collect->stat.trace_ns += ktime_get_ns() - since;
	if (done)
		heap->collect->credit = MH_CREDIT_MAX;
	return done;
}

/* Jiffies until a trace is due: 0 for now, MAX_SCHEDULE_TIMEOUT for not at all. */
static long mh_trace_due(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;
	struct mh_counters sum;
	unsigned long now = jiffies, pause;
	u64 grown;

	if (heap->phase != MH_IDLE)
		return 0;
	if (!atomic_read(&heap->escaped) || !heap->tune.enabled)
		return MAX_SCHEDULE_TIMEOUT;
	mh_counters_sum(heap, &sum);
	grown = sum.allocated - c->allocated;
	if (grown >= MH_TRACE_MIN && grown * 100 >= c->live * heap->tune.growth)
		return 0;
	pause = c->ended + 4 * c->lasted + msecs_to_jiffies(heap->tune.idle_ms);
	return time_after_eq(now, pause) ? 0 : (long)(pause - now);
}

/*
 * Do one bounded piece of what is due. Local passes and the steps of a trace take turns, so that
 * small garbage does not pile up behind a long trace. Return false when nothing is due.
 */
static bool mh_collector_step(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;
	bool local = heap->tune.enabled && mh_cand_queued(heap);
	bool trace = !mh_trace_due(heap);

	lockdep_assert_held(&heap->collect_lock);
	if (atomic_read(&heap->ndead)) {
		mh_timed_reap(heap);
		return true;
	}
	if (local && (!trace || !c->passed)) {
		c->passed = true;
		mh_local_pass(heap, MOHEAP_COLLECT_LOCAL);
		return true;
	}
	c->passed = false;
	if (!trace)
		return mh_trim_step(heap);
	if (heap->phase == MH_IDLE)
		mh_trace_begin(heap);
	mh_timed_trace_step(heap);
	return true;
}

/* Have mutators left so much behind that they should lend a hand? */
static bool mh_behind(struct mh_heap *heap)
{
	struct mh_collect *c = heap->collect;
	struct mh_counters sum;

	if (!READ_ONCE(heap->tune.enabled))
		return false;
	if (atomic_read(&heap->ncand) > MH_ASSIST_CANDIDATES)
		return true;
	if (READ_ONCE(heap->phase) == MH_IDLE)
		return false;
	mh_counters_sum(heap, &sum);
	/* A guess is enough, and is all that can be had without the lock. */
	return data_race(sum.allocated - c->allocated > c->live / 2 + 2 * MH_TRACE_MIN);
}

/**
 * mh_collector_assist() - do some of the collector's work, if it falls behind
 * @heap: the heap; no lock may be held
 *
 * Called by a client that is about to take another pool, so that garbage cannot be made faster
 * than it is collected, however many processors make it. The work is bounded, and so is the wait
 * for whoever is in the middle of a step.
 */
void mh_collector_assist(struct mh_heap *heap)
{
	int i;

	for (i = 0; i < MH_ASSIST_STEPS && mh_behind(heap); i++) {
		if (mutex_lock_killable(&heap->collect_lock))
			return;
		mh_collector_step(heap);
		mutex_unlock(&heap->collect_lock);
	}
}

/* ---- The thread ---- */

static bool mh_urgent(struct mh_heap *heap)
{
	return atomic_read(&heap->ndead) || !llist_empty(&heap->trim) ||
	       atomic_read(&heap->ncand) >= READ_ONCE(heap->tune.threshold);
}

static bool mh_work_waits(struct mh_heap *heap)
{
	if (atomic_read(&heap->ndead) || !llist_empty(&heap->trim) ||
	    READ_ONCE(heap->phase) != MH_IDLE)
		return true;
	return READ_ONCE(heap->tune.enabled) && atomic_read(&heap->ncand);
}

/* Do all that is due. Return when the next trace is. */
static long mh_collector_run(struct mh_heap *heap)
{
	bool more = true;
	long due = 0;

	while (more && !kthread_should_stop()) {
		mutex_lock(&heap->collect_lock);
		more = mh_collector_step(heap);
		due = mh_trace_due(heap);
		mutex_unlock(&heap->collect_lock);
		cond_resched();
	}
	return due;
}

static int mh_collector_thread(void *data)
{
	struct mh_heap *heap = data;
	long timeout = MAX_SCHEDULE_TIMEOUT;

	while (!kthread_should_stop()) {
		wait_event_idle_timeout(heap->wait,
					kthread_should_stop() || mh_work_waits(heap), timeout);
		/* A few candidates may wait for more of them. */
		if (!mh_urgent(heap) && mh_work_waits(heap)) {
			/* Before idle_ms is read; mh_collector_tune() does both the other way. */
			smp_store_mb(heap->napping, true);
			wait_event_idle_timeout(heap->wait,
						kthread_should_stop() || mh_urgent(heap) ||
						!READ_ONCE(heap->napping),
						msecs_to_jiffies(READ_ONCE(heap->tune.idle_ms)));
			WRITE_ONCE(heap->napping, false);
		}
		timeout = mh_collector_run(heap);
	}
	return 0;
}

static void mh_collector_start(struct work_struct *work)
{
	struct mh_heap *heap = container_of(work, struct mh_heap, start);
	struct task_struct *thread;

	if (heap->thread)
		return;
	thread = kthread_create(mh_collector_thread, heap, "moheap/%llu", heap->id);
	/* Short of memory: the next operation tries again, and collections work without it. */
	if (IS_ERR(thread))
		return;
	/* It can run in the root cgroup as well: its time is charged there then. */
	cgroup_attach_task_all(heap->creator, thread);
	WRITE_ONCE(heap->thread, thread);
	wake_up_process(thread);
}

/**
 * mh_collector_kick() - let the collector know that there may be work
 * @heap: the heap; no lock may be held
 */
void mh_collector_kick(struct mh_heap *heap)
{
	if (!mh_work_waits(heap))
		return;
	/* Milliseconds of work: not the caller's, who may hold nobody up. */
	if (!READ_ONCE(heap->thread))
		queue_work(system_unbound_wq, &heap->start);
	if (READ_ONCE(heap->napping) && !mh_urgent(heap))
		return;
	if (wq_has_sleeper(&heap->wait))
		wake_up(&heap->wait);
}

/**
 * mh_collector_init() - everything the collector will need
 * @heap: a new heap
 *
 * Return: 0 or -ENOMEM.
 */
int mh_collector_init(struct mh_heap *heap)
{
	INIT_WORK(&heap->start, mh_collector_start);
	mutex_init(&heap->collect_lock);
	init_waitqueue_head(&heap->wait);
	heap->tune = mh_tune_default;
	heap->collect = kvzalloc(sizeof(*heap->collect), MH_GFP);
	if (!heap->collect)
		return -ENOMEM;
	heap->collect->credit = MH_CREDIT_MAX;
	INIT_LIST_HEAD(&heap->collect->staged);
	heap->creator = get_task_struct(current);
	return 0;
}

/**
 * mh_collector_destroy() - stop the thread and free its state
 * @heap: a heap that nobody can reach
 */
void mh_collector_destroy(struct mh_heap *heap)
{
	cancel_work_sync(&heap->start);
	if (heap->thread)
		kthread_stop(heap->thread);
	put_task_struct(heap->creator);
	kvfree(heap->collect);
}

/* ---- Requests ---- */

/*
 * Do @step under the lock until it says that all is done. Others get their turn between two
 * steps.
 */
static int mh_collect_until(struct mh_heap *heap, bool (*step)(struct mh_heap *heap, u64 arg),
			    u64 arg)
{
	bool done = false;

	while (!done) {
		if (signal_pending(current) || mutex_lock_interruptible(&heap->collect_lock))
			return -EINTR;
		done = step(heap, arg);
		mutex_unlock(&heap->collect_lock);
		cond_resched();
	}
	return 0;
}

/* Everything dead is freed, including what operations under way were about to leave. */
static bool mh_step_reap(struct mh_heap *heap, u64 unused)
{
	bool done;
	u64 since;

	if (mh_timed_reap(heap))
		return false;
	mh_gate_exclusive(heap, &since);
	done = !atomic_read(&heap->ndead);
	mh_gate_release(heap, since);
	return done;
}

/* All traces up to number @last are finished. */
static bool mh_step_trace(struct mh_heap *heap, u64 last)
{
	if (heap->collect->finished >= last)
		return true;
	if (heap->phase == MH_IDLE)
		mh_trace_begin(heap);
	mh_timed_trace_step(heap);
	return false;
}

/* No candidate is left, and nothing that may leave one when it is reaped. */
static bool mh_step_local(struct mh_heap *heap, u64 unused)
{
	if (atomic_read(&heap->ndead))
		mh_timed_reap(heap);
	return !mh_local_pass(heap, MOHEAP_COLLECT_LOCAL_ALL) && !atomic_read(&heap->ndead);
}

/*
 * A pool queued for candidates cannot be given back: see to it that none is in vain. Then give
 * back what can be.
 */
static bool mh_step_trim(struct mh_heap *heap, u64 unused)
{
	bool queued = !atomic_read(&heap->ncand) && mh_cand_queued(heap);

	if (queued)
		mh_local_pass(heap, MOHEAP_COLLECT_LOCAL);
	return !mh_trim_step(heap) && !queued;
}

static int mh_collect_full(struct mh_heap *heap)
{
	u64 last;
	int err = mh_collect_until(heap, mh_step_reap, 0);

	if (err || mutex_lock_interruptible(&heap->collect_lock))
		return -EINTR;
	/* A trace under way began too early. */
	last = heap->collect->begun + 1;
	mutex_unlock(&heap->collect_lock);
	err = mh_collect_until(heap, mh_step_trace, last);
	return err ? err : mh_collect_until(heap, mh_step_reap, 0);
}

static int mh_collect_once(struct mh_heap *heap)
{
	if (mutex_lock_interruptible(&heap->collect_lock))
		return -EINTR;
	mh_local_pass(heap, MOHEAP_COLLECT_LOCAL);
	mutex_unlock(&heap->collect_lock);
	return 0;
}

static u64 mh_found_unreachable(struct mh_heap *heap)
{
	struct mh_counters sum;

	mh_counters_sum(heap, &sum);
	return sum.freed_local + sum.freed_trace + READ_ONCE(heap->collect->spared_ever);
}

/**
 * mh_collect() - collect now
 * @heap: the heap; no lock may be held
 * @generation: MOHEAP_COLLECT_*
 * @unreachable: out: objects in cycles found meanwhile
 *
 * Return: 0, -EINVAL, or -EINTR when a signal came. The collector thread finishes what was
 * begun then.
 */
int mh_collect(struct mh_heap *heap, u32 generation, u64 *unreachable)
{
	u64 before = mh_found_unreachable(heap);
	int err;

	if (generation > MOHEAP_COLLECT_FULL)
		return -EINVAL;
	if (generation == MOHEAP_COLLECT_LOCAL)
		err = mh_collect_once(heap);
	else if (generation == MOHEAP_COLLECT_LOCAL_ALL)
		err = mh_collect_until(heap, mh_step_local, 0);
	else
		err = mh_collect_full(heap);
	if (!err)
		err = mh_collect_until(heap, mh_step_trim, 0);
	*unreachable = mh_found_unreachable(heap) - before;
	mh_collector_kick(heap);
	return err;
}

/**
 * mh_collect_for_memory() - the heap is at its limit: free what can be freed
 * @heap: the heap; no lock may be held
 *
 * Where nothing became unreachable since the last time, nothing is traced.
 *
 * Return: 0 or -EINTR.
 */
int mh_collect_for_memory(struct mh_heap *heap)
{
	u64 unreachable;
	int err = 0;

	if (atomic_read(&heap->ncand) || atomic_read(&heap->escaped) ||
	    atomic_read(&heap->ndead) || READ_ONCE(heap->phase) != MH_IDLE)
		err = mh_collect(heap, MOHEAP_COLLECT_FULL, &unreachable);
	mh_linger_release(heap);
	/* Pools that are queued for candidates they have no longer could not be given back. */
	if (!err)
		err = mh_collect_until(heap, mh_step_trim, 0);
	mh_trim_all(heap);
	return err;
}

#define MH_DEBUG_FLAGS	(MOHEAP_DEBUG_STATS | MOHEAP_DEBUG_LEAK)

static bool mh_tune_ok(const struct moheap_tune *tune)
{
	return tune->budget && tune->budget <= MOHEAP_BUDGET_MAX && tune->threshold &&
	       tune->threshold <= INT_MAX && tune->growth && tune->growth <= 1000 &&
	       tune->idle_ms && tune->idle_ms <= 60000 && tune->enabled <= 1 &&
	       tune->finalize_ms && tune->finalize_ms <= 86400000 &&
	       !(tune->debug & ~MH_DEBUG_FLAGS);
}

/**
 * mh_collector_tune() - set and read what drives the collector
 * @heap: the heap; no lock may be held
 * @tune: in: set, and the members it names; out: all
 *
 * Return: 0, -ERANGE, or -EINTR.
 */
int mh_collector_tune(struct mh_heap *heap, struct moheap_tune *tune)
{
	struct moheap_tune now;

	if (mutex_lock_interruptible(&heap->collect_lock))
		return -EINTR;
	now = heap->tune;
	if (tune->set & MOHEAP_TUNE_BUDGET)
		now.budget = tune->budget;
	if (tune->set & MOHEAP_TUNE_THRESHOLD)
		now.threshold = tune->threshold;
	if (tune->set & MOHEAP_TUNE_GROWTH)
		now.growth = tune->growth;
	if (tune->set & MOHEAP_TUNE_IDLE)
		now.idle_ms = tune->idle_ms;
	if (tune->set & MOHEAP_TUNE_ENABLED)
		now.enabled = tune->enabled;
	if (tune->set & MOHEAP_TUNE_FINALIZE)
		now.finalize_ms = tune->finalize_ms;
	if (tune->set & MOHEAP_TUNE_DEBUG)
		now.debug = tune->debug;
	if (!mh_tune_ok(&now)) {
		mutex_unlock(&heap->collect_lock);
		return -ERANGE;
	}
	heap->tune = now;
	mutex_unlock(&heap->collect_lock);
	if (tune->set & MOHEAP_TUNE_FINALIZE)
		mh_final_tuned(heap);
	now.set = tune->set;
	now.size = tune->size;
	*tune = now;
	/* A nap begun under the old settings is over. */
	smp_store_mb(heap->napping, false);
	mh_collector_kick(heap);
	return 0;
}
