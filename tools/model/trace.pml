/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The concurrent trace of moheap (module/trace.c), as a model for spin: a few objects, two
 * clients, one collector. Run ./check, which looks at every state there is.
 *
 * What is modelled
 *
 * Objects: a block is free, taken (off the free bitmap, its word not written yet), alive,
 * condemned (the trace made its generation even) or dead (its count fell to zero, and it waits
 * for its slot to be cleared). It has a count, one slot, and its bits of the mark and grey
 * bitmaps. A block is used again as soon as it is free. With one slot each, three objects make
 * chains, rings, rings with a tail, and objects that refer to themselves.
 *
 * Clients: each has a bitmap of holds and does, for ever, any of: hold, drop, store, load and
 * hold, alloc. It may name every object that lives, held or not, reachable or not: somebody may
 * have told it the ref. The refs that an operation was given are chosen before it begins, so
 * they may be stale when it comes to them. Exchange, fill and copy consist of the same steps.
 *
 * Refs: a generation is compared with one other, that of the block now, and never comes back.
 * So a ref that is kept is an object and a bit, stale, which is set when the block is born
 * again; a ref to a condemned or dead object is told by the block's state.
 *
 * Collector: idle, CLEAR, MARKING (roots, then grey objects), SWEEPING, idle, without end, over
 * the blocks in any order. The dead are freed by a process of their own at any time, as whoever
 * has a list of them may do it, or leave it to the collector.
 *
 * Finalization, with -DFINAL: some objects are to be finalized, once, and FINALIZING is between
 * MARKING and SWEEPING: whatever is unreachable is staged, then grey objects again. What is due a
 * client may be handed at any time; in the code it is later, where a trace staged it. Whoever
 * takes a count to zero makes the object due in the same step, for until then nobody can pin it,
 * and afterwards it is like any other. Two objects are checked with it, with -DMERGE (below).
 *
 * Freezing (module/freeze.c), with -DFROZEN: bitmaps of what is frozen, and of what is remembered,
 * and a freezer, who may freeze any object at any time, as one call or another would. It unfreezes
 * step by step: it counts itself, remembers whatever is frozen, object by object, then unfreezes
 * any, and may stop anywhere, as if interrupted. Something that died stays frozen until whoever
 * took its count to zero says otherwise, who is inside the gate until then. Two objects are checked
 * with it, with -DMERGE; and step by step, or with finalization as well, with one client.
 *
 * The gate: a client is inside from the first pin to the end of its operation. The phase
 * changes, and things are frozen and unfrozen, only while nobody is inside, which is what the
 * exclusive gate is for. All else is under the shared gate, and interleaved.
 *
 * What is atomic: a step here is one atomic operation of the code, with what it decides and
 * nobody else can see. Those that take a closer look:
 *
 * - mh_pin(), mh_pin_live() and mh_condemn() are loops around a compare-and-exchange of a word
 *   that has generation and count, so what they looked at is still so when they succeed. The
 *   mark that they look at besides is set, if at all, before the word is written (birth).
 * - mh_shade() sets the mark, then the grey bit. In between, others take the object for
 *   shaded; but that nothing is grey counts only when nobody is inside.
 * - The walk over the roots reads the hold bits of all clients at once. A hold that moves to
 *   another client meanwhile is a hold taken, and shades. Reading and marking are two steps:
 *   the object may be dropped, freed and born again in between.
 * - A drop is two steps: with the bit cleared, what the bit was on the count is a pin.
 *
 * With -DMERGE, steps are joined that others could tell apart only by an object's living a
 * little longer: an operation pins and shades in one go, and then, after everybody had a chance,
 * sets the hold bit, or changes the slot and gives up what it has. Drop, load and alloc are one
 * step each, and the collector looks and acts at once, but follows slots in two steps. That is
 * what three objects are checked with; two objects are checked step by step. The slot of a frozen
 * object is followed in three steps, and written in one before barrier F looks.
 *
 * -DSYMMETRY takes states for the same that differ only in the numbers of objects and clients
 * (symmetry.h): nothing in the model depends on those.
 *
 * What is left out: pools and their queues of grey objects (here the grey bitmap is the queue),
 * slots kept apart and followed over several slices (but what is frozen meanwhile, or not any more,
 * is in it), local passes, candidates, clients that come and go, renewal, the order of memory
 * accesses (all atomic operations of the code that matter here are fully ordered or said to be
 * release and acquire), and that a trace ever ends.
 *
 * What is checked, wherever it might break:
 *
 *	lost		objects that are frozen, or can be reached from what is or from a hold,
 *			and do not live
 *	miscounted	objects whose count is not what slots and holds add up to; checked when
 *			nobody is inside
 *	garbage		objects that could not be reached when MARKING began, that nobody brought
 *			back with a ref kept or froze, and that are not free when all is done
 *	stale		a client holds what its ref did not name
 *	unfinalized	with -DFINAL: an object to be finalized is freed that was never due
 *
 * What may be taken out, to see what it was for:
 *
 *	-DNO_H, -DNO_S, -DNO_B, -DNO_C	the barriers of trace.c
 *	-DNO_F		with -DFINAL: shading in FINALIZING
 *	-DNO_STAGE	... the mark of what is staged
 *	-DNO_RESCUE	... the look at what dies by its count
 *	-DNO_REMEMBER	with -DFROZEN: barrier F of freeze.c
 *	-DNO_ORDER	... forgetting before the slot is read: it comes after
 *	-DNO_AGAIN	... remembering again what was followed to something not frozen
 *	-DNO_SHADE	... shading what is frozen
 *	-DNO_RECALL	... remembering all that is frozen before any of it is unfrozen
 *	-DNO_GREY	... marking it then, and making it grey
 *	-DNO_UNFREEZING	... not forgetting meanwhile
 *	-DNO_GONE	... that the dead are not frozen, from before their slots are cleared
 *
 * and to see that the checks see: -DNO_CLEAR, the wiping of marks, -DNO_GEN, the look at the
 * generation, -DNO_COUNT, the count of a reference stored.
 *
 * With -DALONE one client does nothing, and there are fewer states. (Not with -DSYMMETRY, which
 * would have it take the other's part.)
 */

#ifdef NO_H
#define BARRIER_H	false
#else
#define BARRIER_H	true
#endif
#ifdef NO_S
#define BARRIER_S	false
#else
#define BARRIER_S	true
#endif
#ifdef NO_B
#define BARRIER_B	false
#else
#define BARRIER_B	true
#endif

#if defined(FINAL) && !defined(NO_F)
#define MARKS_AGAIN	true
#else
#define MARKS_AGAIN	false
#endif
#ifdef NO_STAGE
#define MARKS_STAGED	false
#else
#define MARKS_STAGED	true
#endif
#if defined(FINAL) && !defined(NO_RESCUE)
#define RESCUES		true
#else
#define RESCUES		false
#endif

#ifdef NO_REMEMBER
#define REMEMBERS	false
#else
#define REMEMBERS	true
#endif
#ifdef NO_ORDER
#define FORGETS_FIRST	false
#else
#define FORGETS_FIRST	true
#endif
#ifdef NO_AGAIN
#define REMEMBERS_AGAIN	false
#else
#define REMEMBERS_AGAIN	true
#endif

#ifdef NO_SHADE
#define SHADES_FROZEN	false
#else
#define SHADES_FROZEN	true
#endif
#ifdef NO_RECALL
#define RECALLS		false
#else
#define RECALLS		true
#endif
#ifdef NO_GREY
#define GREYS_FROZEN	false
#else
#define GREYS_FROZEN	true
#endif
#ifdef NO_UNFREEZING
#define may_forget	true
#else
#define may_forget	(!unfreezing)
#endif

#ifdef NO_GONE
#define ENDS_WITH_LIFE	false
#else
#define ENDS_WITH_LIFE	true
#endif

/* Objects are numbers, sets of them bitmaps. */
#define NIL	OBJECTS
#define ALL	((1 << OBJECTS) - 1)
#define BIT(o)	(1 << (o))
#define REST(o)	(ALL - BIT(o))

/* The state of a block */
#define FREE		0
#define TAKEN		1
#define ALIVE		2
#define CONDEMNED	3
#define DEAD		4

/* heap->phase */
#define IDLE		0
#define CLEAR		1
#define MARKING		2
#define FINALIZING	3
#define SWEEPING	4

/* What a client is about to do. Up to KEPT it is not inside the gate. */
#define OUT		0	/* nothing */
#define KEPT		1	/* hold target[], a ref that it keeps */
#define HOLD		2	/* keep the ref target[] */
#define HOLD_SHADE	3	/* target[] is pinned */
#define HOLD_SET	4
#define DROP		5	/* obj[] */
#define STORE		6	/* target[], a ref or NIL, to the slot of obj[] */
#define STORE_TARGET	7	/* obj[] is pinned */
#define STORE_SHADE	8	/* and target[] */
#define STORE_XCHG	9
#define STORE_FROZEN	10	/* obj[] is frozen, and stored[] was put in its slot */
#define STORE_PUT	11	/* target[] is what the slot referred to before */
#define LOAD		12	/* and hold what the slot of obj[] refers to */
#define LOAD_READ	13	/* obj[] is pinned */
#define LOAD_PIN	14	/* target[] was read */
#define LOAD_CHECK	15	/* target[] is pinned */
#define LOAD_UNDO	16
#define ALLOC		17	/* the block obj[] */
#define ALLOC_MARK	18
#define ALLOC_HOLD	19
#define ALLOC_WORD	20
#define UNPIN		21	/* obj[] */
#define TAKE		22	/* target[], which the keeper holds */

/* Where the collector is */
#define AT_REST		0
#define AT_CLEAR	1
#define AT_ROOTS	2	/* todo: blocks not looked at yet */
#define AT_ROOT_MARK	3	/* hand: it was held, or frozen and remembered */
#define AT_ROOT_PASS	4	/* hand: it was frozen, and not remembered */
#define AT_GREY		5
#define AT_FOLLOW	6	/* hand: it was grey */
#define AT_FOLLOW_READ	7	/* hand: it was frozen, and is forgotten */
#define AT_FOLLOW_MARK	8	/* hand: a followed slot referred to it, that of behind if frozen */
#define AT_FOLLOW_AGAIN	9	/* hand: it is marked */
#define AT_STAGE	10	/* todo: blocks not looked at yet */
#define AT_STAGE_LOOK	11	/* hand: it was unmarked, and is pinned */
#define AT_STAGE_KEEP	12	/* hand: it is staged, and the pin the keeper's */
#define AT_SWEEP	13	/* todo: blocks not looked at yet */
#define AT_CONDEMN	14	/* hand: its block was taken, and it unmarked */
#define AT_CUT		15	/* hand: it is condemned, and pinned */
#define AT_LET_GO	16

byte state[OBJECTS];
byte count[OBJECTS];
byte slot[OBJECTS] = NIL;
byte mark, grey;
byte phase;

/* What the keeper holds, and what was due in its life or never will be */
byte due, was_due;

byte frozen, remembered;

/* Unfreezing is under way; objects that it has not come to yet, to remember them */
bool unfreezing;
byte recall;

byte hold[2];
byte op[2];
byte obj[2] = NIL;
byte target[2] = NIL;
byte stored[2] = NIL;
byte stale[2];

byte at, todo, hand = NIL, behind = NIL;

byte garbage;

/* Always 0 between steps */
byte x, seen, lost, miscounted;
bool unfinalized;

/* ---- Sets of objects ---- */

#define free_block(o)	(state[o] == FREE)
#define taken(o)	(state[o] == TAKEN)
#define alive(o)	(state[o] == ALIVE)
#define dead(o)		(state[o] == DEAD)
#define marked(o)	(mark & BIT(o))
#define is_grey(o)	(grey & BIT(o))
#define is_todo(o)	(todo & BIT(o))
#define held_by_me(o)	(hold[m] & BIT(o))
#define is_frozen(o)	(frozen & BIT(o))
#define is_remembered(o) (remembered & BIT(o))

/* What the slot of o refers to, if o is in the set */
#define beyond(set, o)	((((set) >> (o)) & 1) * (BIT(slot[o]) & ALL))
#define held(o)		(((hold[0] >> (o)) & 1) + ((hold[1] >> (o)) & 1) + ((due >> (o)) & 1))
#define is_due(o)	(due & BIT(o))
#define was_never_due(o) (!(was_due & BIT(o)))
#define wrong(o, slots)	((count[o] != held(o) + (slots)) << (o))

#if OBJECTS == 3
#define some(is)	(is(0) || is(1) || is(2))
#define choose(is)	if :: is(0) -> x = 0 :: is(1) -> x = 1 :: is(2) -> x = 2 fi
#define those(is)	(is(0) | is(1) << 1 | is(2) << 2)
#define next(set)	((set) | beyond(set, 0) | beyond(set, 1) | beyond(set, 2))
#define slots_to(o)	((slot[0] == o) + (slot[1] == o) + (slot[2] == o))
#define wrong_ones	(wrong(0, slots_to(0)) | wrong(1, slots_to(1)) | wrong(2, slots_to(2)))
#else
#define some(is)	(is(0) || is(1))
#define choose(is)	if :: is(0) -> x = 0 :: is(1) -> x = 1 fi
#define those(is)	(is(0) | is(1) << 1)
#define next(set)	((set) | beyond(set, 0) | beyond(set, 1))
#define slots_to(o)	((slot[0] == o) + (slot[1] == o))
#define wrong_ones	(wrong(0, slots_to(0)) | wrong(1, slots_to(1)))
#endif

/* A set, and all that can be reached from it: no path is longer than two slots. */
inline reach(set)
{
	set = next(set);
	set = next(set)
}

/* ---- What is checked ---- */

#define frozen_ones	(frozen & ~those(dead))

/* A hold bit counts once the object is born, being frozen until it is dead. */
inline check_reachable()
{
	seen = (hold[0] | hold[1]) & ~those(taken) | due | frozen_ones;
	reach(seen);
	lost = seen & ~those(alive);
	assert(!lost);
	seen = 0
}

inline check_counts()
{
	miscounted = wrong_ones;
	assert(!miscounted)
}

/* ---- object.c ---- */

#ifdef NO_C
#define condemned(o)	false
#else
#define condemned(o)	(phase >= FINALIZING && !marked(o))
#endif

#ifdef NO_GEN
#define fits(m)		true
#else
#define fits(m)		(!stale[m])
#endif

/* mh_pin() would succeed, given a ref that is not stale. */
#define can_pin(o)	(alive(o) && !condemned(o))

inline set_mark(o)
{
	if
	:: !marked(o) -> mark = mark | BIT(o); grey = grey | BIT(o)
	:: else
	fi
}

#define marking		(phase == MARKING || phase == FINALIZING && MARKS_AGAIN)

/* mh_shade(). Whatever was garbage is brought back, with all that it leads to. */
inline shade(o, barrier)
{
	if
	:: barrier && marking -> set_mark(o)
	:: else
	fi;
	if
	:: garbage -> seen = BIT(o); reach(seen); garbage = garbage & ~seen; seen = 0
	:: else
	fi
}

#define rescued(o)	(RESCUES && alive(o) && was_never_due(o) && \
			 !(phase == SWEEPING && !marked(o)))

/* mh_put(), mh_unpin(); mh_final_rescue() */
inline put(o)
{
	assert(count[o] > 0);
	count[o]--;
	if
	:: count[o] == 0 && rescued(o) ->
		count[o] = 1;
		was_due = was_due | BIT(o);
		shade(o, true);
		due = due | BIT(o)
	:: count[o] == 0 && !rescued(o) -> state[o] = DEAD; check_reachable()
	:: else
	fi
}

/* ---- client.c, batch.c ---- */

/* What is dead and still frozen somebody inside has just taken to zero. */
#define dying		(ENDS_WITH_LIFE && (frozen & those(dead)))
#define nobody_inside	(op[0] <= KEPT && op[1] <= KEPT && !dying)

/* Has client c a ref to o, which is not pinned? Has it o in its hands? */
#define keeps(c, o)	(target[c] == o && (op[c] == KEPT || op[c] == STORE_TARGET))
#define has(c, o)	(obj[c] == o || target[c] == o && !keeps(c, o) && op[c] != LOAD_PIN && \
			 op[c] != TAKE)

inline hold_step()
{
	if
	/* mh_op_hold() */
	:: op[m] == HOLD -> op[m] = KEPT
	:: op[m] == KEPT ->
		if
		:: fits(m) && can_pin(target[m]) -> count[target[m]]++; op[m] = HOLD_SHADE
		:: else -> target[m] = NIL; stale[m] = 0; op[m] = OUT
		fi
	/* mh_client_hold(), also at the end of a load */
	:: op[m] == HOLD_SHADE ->
		printf("client %d has %d pinned, to hold it\n", m, target[m]);
		shade(target[m], BARRIER_H);
		op[m] = HOLD_SET
	:: op[m] == HOLD_SET ->
		printf("client %d holds %d\n", m, target[m]);
		assert(!stale[m]);
		if
		:: held_by_me(target[m]) -> put(target[m])
		:: else -> hold[m] = hold[m] | BIT(target[m]); check_reachable()
		fi;
		target[m] = NIL;
		op[m] = (obj[m] == NIL -> OUT : UNPIN)
	fi
}

inline remember(o)
{
	printf("%d is remembered\n", o);
	remembered = remembered | BIT(o)
}

/* mh_op_store() */
inline store_step()
{
	if
	:: op[m] == STORE ->
		if
		:: can_pin(obj[m]) -> count[obj[m]]++; op[m] = STORE_TARGET
		:: else -> obj[m] = NIL; target[m] = NIL; op[m] = OUT
		fi
	:: op[m] == STORE_TARGET ->
		if
		:: target[m] == NIL -> op[m] = STORE_XCHG
		:: target[m] != NIL && fits(m) && can_pin(target[m]) ->
#ifndef NO_COUNT
			count[target[m]]++;
#endif
			op[m] = STORE_SHADE
		:: else -> target[m] = NIL; stale[m] = 0; op[m] = UNPIN
		fi
	:: op[m] == STORE_SHADE ->
		printf("client %d has %d and %d pinned, to store\n", m, obj[m], target[m]);
		shade(target[m], BARRIER_S);
		op[m] = STORE_XCHG
	:: op[m] == STORE_XCHG ->
		printf("client %d makes the slot of %d refer to %d\n", m, obj[m], target[m]);
		x = slot[obj[m]];
		slot[obj[m]] = target[m];
		target[m] = x;
		stale[m] = 0;
		check_reachable();
		op[m] = (target[m] == NIL -> UNPIN : STORE_PUT);
		if
		:: is_frozen(obj[m]) && slot[obj[m]] != NIL ->
			stored[m] = slot[obj[m]];
			op[m] = STORE_FROZEN
		:: else
		fi
	/* mh_frozen_stored(). What was stored may be dead again: then it is not frozen. */
	:: op[m] == STORE_FROZEN ->
		if
		:: REMEMBERS && !is_frozen(stored[m]) -> remember(obj[m])
		:: else
		fi;
		stored[m] = NIL;
		op[m] = (target[m] == NIL -> UNPIN : STORE_PUT)
	:: op[m] == STORE_PUT -> put(target[m]); target[m] = NIL; op[m] = UNPIN
	fi
}

/* mh_op_load(), mh_pin_slot() */
inline load_step()
{
	if
	:: op[m] == LOAD ->
		if
		:: can_pin(obj[m]) -> count[obj[m]]++; op[m] = LOAD_READ
		:: else -> obj[m] = NIL; op[m] = OUT
		fi
	:: op[m] == LOAD_READ ->
		target[m] = slot[obj[m]];
		op[m] = (target[m] == NIL -> UNPIN : LOAD_PIN)
	:: op[m] == LOAD_PIN ->
		if
		:: alive(target[m]) -> count[target[m]]++; op[m] = LOAD_CHECK
		:: else -> target[m] = NIL; op[m] = LOAD_READ
		fi
	:: op[m] == LOAD_CHECK -> op[m] = (slot[obj[m]] == target[m] -> HOLD_SHADE : LOAD_UNDO)
	:: op[m] == LOAD_UNDO -> put(target[m]); target[m] = NIL; op[m] = LOAD_READ
	fi
}

/* mh_births() */
inline alloc_step()
{
	if
	:: op[m] == ALLOC -> state[obj[m]] = TAKEN; op[m] = ALLOC_MARK
	:: op[m] == ALLOC_MARK ->
		if
		:: BARRIER_B && phase >= MARKING -> mark = mark | BIT(obj[m])
		:: else
		fi;
		op[m] = ALLOC_HOLD
	:: op[m] == ALLOC_HOLD -> hold[m] = hold[m] | BIT(obj[m]); op[m] = ALLOC_WORD
	:: op[m] == ALLOC_WORD ->
		assert(count[obj[m]] == 0 && slot[obj[m]] == NIL && !has(1 - m, obj[m]));
		if
		:: keeps(1 - m, obj[m]) -> stale[1 - m] = 1
		:: else
		fi;
		printf("client %d makes %d\n", m, obj[m]);
		count[obj[m]] = 1;
		state[obj[m]] = ALIVE;
		obj[m] = NIL;
		op[m] = OUT
	fi
}

inline client_step()
{
	if
	:: op[m] >= KEPT && op[m] <= HOLD_SET -> hold_step()
	:: op[m] == DROP ->
		printf("client %d drops %d\n", m, obj[m]);
		hold[m] = hold[m] & ~BIT(obj[m]);
		op[m] = UNPIN
	:: op[m] >= STORE && op[m] <= STORE_PUT -> store_step()
	:: op[m] >= LOAD && op[m] <= LOAD_UNDO -> load_step()
	:: op[m] >= ALLOC && op[m] <= ALLOC_WORD -> alloc_step()
	:: op[m] == UNPIN -> put(obj[m]); obj[m] = NIL; op[m] = OUT
	/* mh_final_told(), unless another client was */
	:: op[m] == TAKE && is_due(target[m]) ->
		printf("client %d is handed %d\n", m, target[m]);
		due = due & REST(target[m]);
		op[m] = HOLD_SHADE
	:: op[m] == TAKE && !is_due(target[m]) -> target[m] = NIL; op[m] = OUT
	fi
}

#ifdef MERGE
#define client_goes_on	(op[m] != OUT && \
			 !(op[m] == STORE_XCHG && target[m] != NIL) && op[m] != STORE_FROZEN && \
			 !(op[m] == HOLD_SET && obj[m] == NIL))
#define collector_goes_on (at == AT_ROOT_MARK || at == AT_ROOT_PASS || at == AT_FOLLOW || \
			   at == AT_FOLLOW_AGAIN || at == AT_STAGE_LOOK || at == AT_STAGE_KEEP || \
			   at == AT_CONDEMN || at == AT_LET_GO)
#else
#define client_goes_on	false
#define collector_goes_on false
#endif

#ifdef SYMMETRY
c_code {
\#include "symmetry.h"
};
#define step_done()	x = 0; c_code { rename_all(); }
#else
#define step_done()	x = 0
#endif

proctype client(byte m)
{
	do
	:: atomic {
		if
		:: op[m] == OUT && some(alive) -> choose(alive); target[m] = x; op[m] = HOLD
		:: op[m] == OUT && some(held_by_me) -> choose(held_by_me); obj[m] = x; op[m] = DROP
		:: op[m] == OUT && some(alive) ->
			choose(alive);
			obj[m] = x;
			if
			:: choose(alive)
			:: x = NIL
			fi;
			target[m] = x;
			op[m] = STORE
		:: op[m] == OUT && some(alive) -> choose(alive); obj[m] = x; op[m] = LOAD
		:: op[m] == OUT && some(free_block) ->
			choose(free_block);
			obj[m] = x;
			op[m] = ALLOC;
#ifdef FINAL
			if
			:: was_due = was_due & REST(x)
			:: was_due = was_due | BIT(x)	/* of a type that is not finalizable */
			fi
		:: op[m] == OUT && some(is_due) ->
			choose(is_due);
			target[m] = x;
			op[m] = TAKE
#endif
		:: op[m] != OUT
		fi;
		d_step {
			client_step();
			do
			:: client_goes_on -> client_step()
			:: else -> break
			od;
			step_done()
		}
	   }
	od
}

/* ---- trace.c ---- */

/* Under the exclusive gate: from one phase to the next */
inline change_phase()
{
	check_counts();
	if
	:: at == AT_REST ->
		printf("CLEAR\n");
		phase = CLEAR;
		at = AT_CLEAR;
		garbage = 0
	:: at == AT_CLEAR ->
		printf("MARKING\n");
		phase = MARKING;
		at = AT_ROOTS;
		todo = ALL;
		seen = hold[0] | hold[1] | due | frozen_ones;
		reach(seen);
		garbage = those(alive) & ~seen;
		seen = 0
#ifdef FINAL
	:: at == AT_GREY && phase == MARKING ->
		printf("FINALIZING\n");
		phase = FINALIZING;
		at = AT_STAGE;
		todo = ALL
	:: at == AT_GREY && phase == FINALIZING ->
#else
	:: at == AT_GREY ->
#endif
		printf("SWEEPING\n");
		phase = SWEEPING;
		at = AT_SWEEP;
		todo = ALL
	:: at == AT_SWEEP ->
		printf("IDLE\n");
		phase = IDLE;
		at = AT_REST
	fi
}

/* mh_frozen_follow() */
inline forget(o)
{
	if
	:: may_forget && is_frozen(o) && is_remembered(o) ->
		printf("%d is forgotten\n", o);
		remembered = remembered & REST(o)
	:: else
	fi
}

/* Between the changes. x is a block of todo, or a grey one. */
inline mark_step()
{
	if
	:: at == AT_ROOTS ->
		printf("root %d is looked at\n", x);
		todo = todo & REST(x);
		if
		:: is_frozen(x) ->
			hand = x;
			at = (is_remembered(x) && !marked(x) -> AT_ROOT_MARK : AT_ROOT_PASS)
		:: !is_frozen(x) && held(x) && !marked(x) -> hand = x; at = AT_ROOT_MARK
		:: else -> at = (todo -> AT_ROOTS : AT_GREY)
		fi
	:: at == AT_ROOT_MARK ->
		set_mark(hand);
		hand = NIL;
		at = (todo -> AT_ROOTS : AT_GREY)
	/* mh_frozen_word() */
	:: at == AT_ROOT_PASS ->
		mark = mark | BIT(hand);
		hand = NIL;
		at = (todo -> AT_ROOTS : AT_GREY)
	:: at == AT_GREY -> grey = grey & REST(x); hand = x; at = AT_FOLLOW
	/* Neither the object nor what it refers to is pinned. */
	:: at == AT_FOLLOW && is_frozen(hand) ->
		if
		:: FORGETS_FIRST -> forget(hand)
		:: else
		fi;
		at = AT_FOLLOW_READ
	:: at == AT_FOLLOW && !is_frozen(hand) || at == AT_FOLLOW_READ ->
		printf("%d is followed, to %d\n", hand, slot[hand]);
		if
		:: slot[hand] != NIL && is_frozen(hand) -> behind = hand
		:: else
		fi;
		hand = slot[hand];
		at = (hand == NIL -> AT_GREY : AT_FOLLOW_MARK)
	:: at == AT_FOLLOW_MARK ->
		set_mark(hand);
		if
		:: behind == NIL -> hand = NIL; at = AT_GREY
		:: else -> at = AT_FOLLOW_AGAIN
		fi
	:: at == AT_FOLLOW_AGAIN ->
		if
		:: !FORGETS_FIRST -> forget(behind)
		:: else
		fi;
		if
		:: REMEMBERS_AGAIN && !is_frozen(hand) -> remember(behind)
		:: else
		fi;
		behind = NIL;
		hand = NIL;
		at = AT_GREY
	fi
}

/* mh_finalizing_object() */
inline stage_step()
{
	if
	:: at == AT_STAGE ->
		todo = todo & REST(x);
		if
		:: alive(x) && !marked(x) -> count[x]++; hand = x; at = AT_STAGE_LOOK
		:: else -> at = (todo -> AT_STAGE : AT_GREY)
		fi
	:: at == AT_STAGE_LOOK && (marked(hand) || !was_never_due(hand)) ->
		put(hand);
		hand = NIL;
		at = (todo -> AT_STAGE : AT_GREY)
	:: at == AT_STAGE_LOOK && !marked(hand) && was_never_due(hand) ->
		printf("%d is staged\n", hand);
		was_due = was_due | BIT(hand);
		shade(hand, false);
		if
		:: MARKS_STAGED -> set_mark(hand)
		:: else
		fi;
		at = AT_STAGE_KEEP
	:: at == AT_STAGE_KEEP ->
		due = due | BIT(hand);
		hand = NIL;
		at = (todo -> AT_STAGE : AT_GREY)
	fi
}

inline sweep_step()
{
	if
	:: at == AT_SWEEP ->
		todo = todo & REST(x);
		if
		:: state[x] != FREE && !marked(x) -> hand = x; at = AT_CONDEMN
		:: else
		fi
	:: at == AT_CONDEMN ->
		if
		:: alive(hand) && !marked(hand) ->
			printf("%d is condemned\n", hand);
			state[hand] = CONDEMNED;
			count[hand]++;
			check_reachable();
			at = AT_CUT
		:: else -> hand = NIL; at = AT_SWEEP
		fi
	:: at == AT_CUT ->
		x = slot[hand];
		slot[hand] = NIL;
		if
		:: x != NIL -> put(x)
		:: else
		fi;
		at = AT_LET_GO
	:: at == AT_LET_GO -> put(hand); hand = NIL; at = AT_SWEEP
	fi
}

inline collector_step()
{
	if
	:: at <= AT_FOLLOW_AGAIN -> mark_step()
	:: at >= AT_STAGE && at <= AT_STAGE_KEEP -> stage_step()
	:: else -> sweep_step()
	fi
}

/* A slice is done, and so is the phase. */
#define phase_done	(at == AT_REST || at == AT_CLEAR || \
			 at == AT_GREY && !grey || at == AT_SWEEP && !todo)

proctype collector()
{
	do
	/* Old marks are read by nobody before they are wiped: let them be the worst. */
	:: d_step {
		nobody_inside && phase_done ->
		change_phase();
		mark = (phase == IDLE -> ALL : mark);
#ifndef NO_CLEAR
		mark = (phase == CLEAR -> 0 : mark);
#endif
		step_done()
	   }
	:: atomic {
		if
		:: at == AT_ROOTS || at == AT_STAGE || at == AT_SWEEP && todo -> choose(is_todo)
		:: at == AT_GREY && grey -> choose(is_grey)
		:: hand != NIL
		fi;
		d_step {
			collector_step();
			do
			:: collector_goes_on -> collector_step()
			:: else -> break
			od;
			step_done()
		}
	   }
	/* What mh_collect() waits for */
	:: d_step {
		at == AT_REST && nobody_inside && !some(dead) ->
		check_counts();
		assert(!garbage)
	   }
	od
}

/* ---- freeze.c ---- */

/* Nobody is inside, and the trace between two slices. */
#define gate_is_ours	(nobody_inside && (hand == NIL || at == AT_FOLLOW_READ || at == AT_CUT))

#define freezable(o)	(gate_is_ours && can_pin(o) && !is_frozen(o))
#define recallable(o)	(gate_is_ours && (recall & BIT(o)))
#define unfreezable(o)	(gate_is_ours && unfreezing && !recall && is_frozen(o))

proctype freezer()
{
	do
	/* mh_freeze_word() */
	:: atomic {
		choose(freezable);
		d_step {
			printf("%d is frozen\n", x);
			frozen = frozen | BIT(x);
			remembered = remembered | BIT(x);
			shade(x, SHADES_FROZEN);
			check_reachable();
			step_done()
		}
	   }
	/* mh_unfreezing() */
	:: d_step {
		gate_is_ours && !unfreezing ->
		printf("unfreezing begins\n");
		unfreezing = true;
		recall = ALL;
		step_done()
	   }
	:: d_step {
		gate_is_ours && unfreezing ->
		printf("unfreezing ends\n");
		unfreezing = false;
		recall = 0;
		step_done()
	   }
	/* mh_remember_word() */
	:: atomic {
		choose(recallable);
		d_step {
			recall = recall & REST(x);
			if
			:: RECALLS && is_frozen(x) -> remember(x)
			:: else
			fi;
			if
			:: GREYS_FROZEN && is_frozen(x) && marking ->
				mark = mark | BIT(x);
				grey = grey | BIT(x)
			:: else
			fi;
			step_done()
		}
	   }
	/* mh_unfreeze_word() */
	:: atomic {
		choose(unfreezable);
		d_step {
			printf("%d is unfrozen\n", x);
			frozen = frozen & REST(x);
			remembered = remembered & REST(x);
			step_done()
		}
	   }
	od
}

/*
 * mh_frozen_gone(), of whoever took the count to zero; then mh_reap(): clear the slot of a dead
 * object, then free it
 */
proctype reaper()
{
	do
	:: atomic {
		choose(dead);
		d_step {
			if
			:: ENDS_WITH_LIFE && is_frozen(x) ->
				frozen = frozen & REST(x);
				remembered = remembered & REST(x)
			:: !(ENDS_WITH_LIFE && is_frozen(x)) && slot[x] != NIL ->
				seen = slot[x];
				slot[x] = NIL;
				x = seen;
				put(x)
			:: else ->
				assert(count[x] == 0);
				printf("%d is free\n", x);
#ifdef FINAL
				unfinalized = was_never_due(x);
				assert(!unfinalized);
#endif
				was_due = was_due & REST(x);
				frozen = frozen & REST(x);	/* with -DNO_GONE */
				state[x] = FREE;
				grey = grey & REST(x);
				garbage = garbage & REST(x)
			fi;
			seen = 0;
			step_done()
		}
	   }
	od
}

init
{
	atomic {
		mark = ALL;
		run client(0);
#ifndef ALONE
		run client(1);
#endif
		run collector();
#ifdef FROZEN
		run freezer();
#endif
		run reaper()
	}
}
