// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Random operations by several processes and threads at once, against a model.
 *
 * What makes an exact model possible: every slot has one writer, the actor (a thread) that made
 * the object; every reference of a process is counted by the actor that has it. Each actor keeps
 * books in shared memory of the objects it made, what it last put into their slots, and its
 * references. Whenever all actors rest, the books tell the whole graph; what can be reached from
 * anybody's references must be alive after a full collection, with the right count, slots,
 * mirrors and payload, and nothing else.
 *
 * Objects of one kind are finalized, by a process that has no part in it: it lets go of most at
 * once, and of some when all rest. Whoever finds one by its name meanwhile brings it back. In the
 * end each was finalized once.
 *
 * Actors freeze and unfreeze the heap, and in some rounds what is collected is saved, and let go of
 * now and then. Neither may keep anything once it is undone, nor may what is saved be of use to
 * anybody.
 *
 *	MOHEAP_SEED=n		begin from there (every run prints its own)
 *	MOHEAP_STEPS=n		steps of an actor in a round
 *	MOHEAP_SOAK_MINUTES=n	go on for so long
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "raw.h"

#define PROCESSES	3
#define THREADS		2
#define ACTORS		(PROCESSES * THREADS)
#define OBJECTS		400
#define HOLDS		150
#define SLOTS		8

/* ---- The books ---- */

enum kind { PAIR, LEAF, ARRAY, BARE, BIG, FINAL, KINDS };

struct object {
	moheap_ref_t ref;	/* 0: an empty line */
	__u32 kind;
	__u32 nslots;
	bool told;		/* flushed since: other processes may know the ref */
	moheap_ref_t slots[SLOTS];
};

struct hold {
	moheap_ref_t ref;
	__u32 count;
};

struct actor {
	struct object objects[OBJECTS];
	struct hold holds[HOLDS];
	unsigned int nholds;
	__u64 random;
};

static struct books {
	unsigned int processes;
	unsigned int threads;
	unsigned long steps;
	unsigned long finals;	/* objects made that are to be finalized */
	struct actor actors[ACTORS];
} *books;

static int kinds[KINDS];

/* ---- Types ---- */

static const struct moheap_field pair_fields[] = {
	{ .kind = MOHEAP_FIELD_UINT, .width = 8, .count = 1, .name = "pattern" },
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 2, .offset = 8, .name = "pair" },
};

static const struct moheap_field array_fields[] = {
	{ .kind = MOHEAP_FIELD_UINT, .width = 8, .count = 1, .name = "pattern" },
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 0, .offset = 8, .name = "items" },
};

static const struct moheap_layout layouts[KINDS] = {
	[PAIR] = { .size = sizeof(layouts[0]), .name = "pair", .payload = 24, .slots = 2,
		   .nfields = 2, .fields = pair_fields },
	[LEAF] = { .size = sizeof(layouts[0]), .name = "leaf", .payload = 40 },
	[ARRAY] = { .size = sizeof(layouts[0]), .name = "array", .payload = 8,
		    .flags = MOHEAP_TYPE_VAR_PAYLOAD | MOHEAP_TYPE_VAR_SLOTS,
		    .nfields = 2, .fields = array_fields },
	[BARE] = { .size = sizeof(layouts[0]), .name = "bare", .slots = 3 },
	[BIG] = { .size = sizeof(layouts[0]), .name = "big", .payload = 5000, .slots = 1 },
	[FINAL] = { .size = sizeof(layouts[0]), .name = "final", .payload = 16, .slots = 2,
		    .flags = MOHEAP_TYPE_FINALIZE },
};

static void kinds_register(struct moheap *heap)
{
	unsigned int i;

	for (i = 0; i < KINDS; i++)
		kinds[i] = must(moheap_type_register(heap, &layouts[i]));
}

static bool kind_mirrors(enum kind kind)
{
	return kind == PAIR || kind == ARRAY;
}

static __u64 pattern(moheap_ref_t ref)
{
	return ref * 0x9e3779b97f4a7c15ULL;
}

/* The first word of the payload, and the last of large ones, say whose it is. */
static void payload_write(struct moheap *heap, const struct object *object)
{
	__u64 *payload = moheap_ptr(heap, object->ref);

	if (object->kind == BARE)
		return;
	payload[0] = pattern(object->ref);
	if (object->kind == BIG)
		payload[624] = pattern(object->ref);
}

static bool payload_right(struct moheap *heap, const struct object *object)
{
	const __u64 *payload = moheap_ptr(heap, object->ref);

	if (object->kind == BARE)
		return true;
	return payload[0] == pattern(object->ref) &&
	       (object->kind != BIG || payload[624] == pattern(object->ref));
}

/* ---- Actors ---- */

static __u64 any(struct actor *actor, __u64 n)
{
	actor->random ^= actor->random << 13;
	actor->random ^= actor->random >> 7;
	actor->random ^= actor->random << 17;
	return actor->random % n;
}

static struct hold *hold_find(struct actor *actor, moheap_ref_t ref)
{
	unsigned int i;

	for (i = 0; i < actor->nholds; i++)
		if (actor->holds[i].ref == ref)
			return &actor->holds[i];
	return NULL;
}

static void hold_add(struct actor *actor, moheap_ref_t ref)
{
	struct hold *hold;

	if (!ref)
		return;
	hold = hold_find(actor, ref);
	if (!hold) {
		ok(actor->nholds < HOLDS);
		hold = &actor->holds[actor->nholds++];
		*hold = (struct hold){ .ref = ref };
	}
	hold->count++;
}

static void hold_drop(struct moheap *heap, struct actor *actor, struct hold *hold)
{
	err_is(moheap_decref(heap, hold->ref), 0);
	if (!--hold->count)
		*hold = actor->holds[--actor->nholds];
}

static moheap_ref_t any_held(struct actor *actor)
{
	return actor->nholds ? actor->holds[any(actor, actor->nholds)].ref : 0;
}

static struct object *any_object(struct actor *actor)
{
	struct object *object = &actor->objects[any(actor, OBJECTS)];

	return object->ref ? object : NULL;
}

/* An object of this actor that it holds, with a slot. */
static struct object *any_owner(struct actor *actor, unsigned int *slot)
{
	struct object *object = any_object(actor);

	if (!object || !object->nslots || !hold_find(actor, object->ref))
		return NULL;
	*slot = any(actor, object->nslots);
	return object;
}

/* A name that somebody gave something once. */
static moheap_ref_t any_known(struct actor *actor)
{
	unsigned int n = books->processes * books->threads;
	struct actor *other = &books->actors[any(actor, n)];
	struct object *object = &other->objects[any(actor, OBJECTS)];
	bool relative = (other - books->actors) / books->threads ==
			(actor - books->actors) / books->threads;

	moheap_ref_t ref = __atomic_load_n(&object->ref, __ATOMIC_ACQUIRE);

	/* In this order: a line that was filled anew is not told of. */
	if (!relative && !__atomic_load_n(&object->told, __ATOMIC_ACQUIRE))
		return 0;
	return ref;
}

static void told_all(struct actor *actor)
{
	unsigned int i;

	for (i = 0; i < OBJECTS; i++)
		if (actor->objects[i].ref)
			__atomic_store_n(&actor->objects[i].told, true, __ATOMIC_RELEASE);
}

static void do_new(struct moheap *heap, struct actor *actor)
{
	static const unsigned int nslots[KINDS] = { 2, 0, 0, 3, 1, 2 };
	struct object *object = &actor->objects[any(actor, OBJECTS)];
	struct object fresh = { .kind = any(actor, KINDS) };
	unsigned int i;

	if (object->ref)
		return;
	fresh.nslots = nslots[fresh.kind];
	if (fresh.kind == ARRAY) {
		fresh.nslots = any(actor, SLOTS + 1);
		err_is(moheap_new_sized(heap, kinds[ARRAY], 8 + 8 * fresh.nslots, fresh.nslots,
					&fresh.ref), 0);
	} else {
		err_is(moheap_new(heap, kinds[fresh.kind], &fresh.ref), 0);
	}
	for (i = 0; kind_mirrors(fresh.kind) && i < fresh.nslots; i++)
		ok(!moheap_get(heap, fresh.ref, 8 + 8 * i));
	payload_write(heap, &fresh);
	if (fresh.kind == FINAL)
		__atomic_fetch_add(&books->finals, 1, __ATOMIC_RELAXED);
	object->told = false;
	memcpy(object->slots, fresh.slots, sizeof(fresh.slots));
	object->kind = fresh.kind;
	object->nslots = fresh.nslots;
	__atomic_store_n(&object->ref, fresh.ref, __ATOMIC_RELEASE);
	hold_add(actor, fresh.ref);
}

/* Held owner, held target: nothing can go wrong, so it may be queued. */
static void do_store(struct moheap *heap, struct actor *actor)
{
	moheap_ref_t target = any(actor, 5) ? any_held(actor) : 0;
	struct object *object;
	unsigned int slot;

	object = any_owner(actor, &slot);
	if (!object)
		return;
	err_is(moheap_store(heap, object->ref, slot, target), 0);
	object->slots[slot] = target;
	if (kind_mirrors(object->kind))
		ok(moheap_get(heap, object->ref, 8 + 8 * slot) == target);
}

/* Owner and target may be gone. */
static void do_exchange(struct moheap *heap, struct actor *actor)
{
	struct object *object = any_object(actor);
	moheap_ref_t target = any_known(actor), old;
	unsigned int slot;
	int err;

	if (!object || !object->nslots)
		return;
	slot = any(actor, object->nslots);
	err = moheap_exchange(heap, object->ref, slot, target, &old);
	if (err) {
		err_is(err, -ESTALE);
		ok(!hold_find(actor, object->ref) || !target || !hold_find(actor, target));
		return;
	}
	ok(old == object->slots[slot]);
	object->slots[slot] = target;
	hold_add(actor, old);
}

static void do_compare_exchange(struct moheap *heap, struct actor *actor)
{
	moheap_ref_t target = any_held(actor), expected;
	struct object *object;
	unsigned int slot;
	int err;

	object = any_owner(actor, &slot);
	if (!object)
		return;
	expected = any(actor, 2) ? object->slots[slot] : any_held(actor);
	if (expected == object->slots[slot]) {
		err_is(moheap_compare_exchange(heap, object->ref, slot, &expected, target), 0);
		object->slots[slot] = target;
		return;
	}
	err = moheap_compare_exchange(heap, object->ref, slot, &expected, target);
	err_is(err, -EAGAIN);
	ok(expected == object->slots[slot]);
}

static void do_load(struct moheap *heap, struct actor *actor)
{
	struct object *object;
	moheap_ref_t got;
	unsigned int slot;

	object = any_owner(actor, &slot);
	if (!object)
		return;
	if (any(actor, 2)) {
		err_is(moheap_peek(heap, object->ref, slot, &got), 0);
		ok(got == object->slots[slot]);
		return;
	}
	err_is(moheap_load(heap, object->ref, slot, &got), 0);
	ok(got == object->slots[slot]);
	hold_add(actor, got);
}

/* Somebody else's object: whatever it refers to just now. */
static void do_load_other(struct moheap *heap, struct actor *actor)
{
	moheap_ref_t owner = any_known(actor), got;
	int err;

	if (!owner)
		return;
	err = moheap_load(heap, owner, any(actor, 3), &got);
	if (!err)
		hold_add(actor, got);
	else
		ok(err == -ESTALE || err == -ERANGE);
}

static void do_incref(struct moheap *heap, struct actor *actor)
{
	moheap_ref_t ref = any(actor, 2) ? any_held(actor) : any_known(actor);
	int err;

	if (!ref)
		return;
	err = moheap_incref(heap, ref);
	if (!err) {
		hold_add(actor, ref);
		return;
	}
	err_is(err, -ESTALE);
	ok(!hold_find(actor, ref));
}

static void do_decref(struct moheap *heap, struct actor *actor)
{
	/* The more it has, the likelier: about half of what there is room for. */
	if (actor->nholds > any(actor, HOLDS))
		hold_drop(heap, actor, &actor->holds[any(actor, actor->nholds)]);
}

static void do_fill(struct moheap *heap, struct actor *actor)
{
	moheap_ref_t target = any_held(actor);
	struct object *object;
	unsigned int slot, n, i;

	object = any_owner(actor, &slot);
	if (!object)
		return;
	n = any(actor, object->nslots - slot + 1);
	err_is(moheap_fill(heap, object->ref, slot, n, target), 0);
	for (i = 0; i < n; i++)
		object->slots[slot + i] = target;
	err_is(moheap_fill(heap, object->ref, slot, object->nslots - slot + 1, 0), -ERANGE);
}

static void do_copy(struct moheap *heap, struct actor *actor)
{
	moheap_ref_t source = any(actor, 2) ? any_known(actor) : 0;
	struct object *object;
	unsigned int slot, from, n;
	int err;

	object = any_owner(actor, &slot);
	if (!object)
		return;
	if (!source)
		source = object->ref;
	n = any(actor, object->nslots - slot + 1);
	from = any(actor, 4);
	err = moheap_copy(heap, object->ref, slot, source, from, n);
	ok(!err || err == -ESTALE || err == -ERANGE);
	if (source == object->ref && !err)
		memmove(&object->slots[slot], &object->slots[from], n * sizeof(*object->slots));
	else if (!err)
		err_is(moheap_read(heap, object->ref, slot, n, &object->slots[slot]), 0);
}

static void do_payload(struct moheap *heap, struct actor *actor)
{
	struct object *object;
	unsigned int slot;

	object = any_owner(actor, &slot);
	if (object)
		ok(payload_right(heap, object));
}

static void do_now_and_then(struct moheap *heap, struct actor *actor)
{
	switch (any(actor, 64)) {
	case 0:
		err_is(moheap_collect(heap, any(actor, 3), NULL), 0);
		break;
	case 1:
		err_is(moheap_trim(heap), 0);
		told_all(actor);
		break;
	case 2:
		err_is(moheap_check(heap), 0);
		break;
	case 3 ... 20:
		err_is(moheap_flush(heap), 0);
		told_all(actor);
		break;
	case 21:
		err_is(moheap_freeze(heap), 0);
		break;
	case 22:
		err_is(moheap_unfreeze(heap), 0);
		break;
	case 23:
		must(moheap_discard_all(heap));
		break;
	default:
		break;
	}
}

static void (*const deeds[])(struct moheap *heap, struct actor *actor) = {
	do_new, do_new, do_new, do_store, do_store, do_store, do_exchange, do_compare_exchange,
	do_load, do_load_other, do_incref, do_decref, do_decref, do_decref, do_fill, do_copy,
	do_payload, do_now_and_then,
};

struct thread {
	struct moheap *heap;
	struct actor *actor;
};

static void *act(void *arg)
{
	struct moheap *heap = ((struct thread *)arg)->heap;
	struct actor *actor = ((struct thread *)arg)->actor;
	unsigned long n = books->steps;

	while (n--) {
		deeds[any(actor, TAP_COUNT(deeds))](heap, actor);
		while (actor->nholds > HOLDS - 20)
			do_decref(heap, actor);
	}
	return NULL;
}

/* ---- Processes ---- */

struct process {
	pid_t pid;
	int go[2];	/* a byte: one round more */
	int done[2];	/* a byte: it is over */
};

static struct process processes[PROCESSES];

static void process_round(struct moheap *heap, unsigned int number)
{
	struct thread threads[THREADS];
	pthread_t ids[THREADS];
	unsigned int i;

	for (i = 0; i < books->threads; i++) {
		threads[i].heap = heap;
		threads[i].actor = &books->actors[number * books->threads + i];
		is(pthread_create(&ids[i], NULL, act, &threads[i]), 0);
	}
	for (i = 0; i < books->threads; i++)
		is(pthread_join(ids[i], NULL), 0);
	err_is(moheap_trim(heap), 0);
	for (i = 0; i < books->threads; i++)
		told_all(&books->actors[number * books->threads + i]);
}

struct start {
	struct moheap *heap;
	unsigned int number;
};

static void process_run(void *arg)
{
	struct start *start = arg;
	struct process *process = &processes[start->number];
	struct moheap *heap;
	unsigned int i;
	char byte;

	/* Its own end, and those of others that were there before. */
	for (i = 0; i < books->processes; i++) {
		if (!processes[i].pid && i != start->number)
			continue;
		close(processes[i].go[1]);
		close(processes[i].done[0]);
	}
	err_is(moheap_join(moheap_fd(start->heap), 0, &heap), 0);
	moheap_close(start->heap);
	is(write(process->done[1], "", 1), 1);
	while (read(process->go[0], &byte, 1) == 1) {
		process_round(heap, start->number);
		is(write(process->done[1], "", 1), 1);
	}
	err_is(moheap_close(heap), 0);
}

static void process_start(struct moheap *heap, unsigned int number)
{
	struct process *process = &processes[number];
	struct start start = { heap, number };
	unsigned int i;
	char byte;

	for (i = 0; i < books->threads; i++)
		books->actors[number * books->threads + i].nholds = 0;
	ok(!pipe(process->go) && !pipe(process->done));
	process->pid = tap_fork(process_run, &start);
	close(process->go[0]);
	close(process->done[1]);
	/* What the heap's owner was finalizing at the fork the child has let go of then. */
	is(read(process->done[0], &byte, 1), 1);
}

static void process_end(unsigned int number, bool violently)
{
	struct process *process = &processes[number];

	close(process->go[1]);
	close(process->done[0]);
	process->go[1] = -1;
	process->done[0] = -1;
	if (violently) {
		kill(process->pid, SIGKILL);
		is(waitpid(process->pid, NULL, 0), process->pid);
	} else {
		tap_wait(process->pid);
	}
}

/* ---- The oracle ---- */

struct node {
	struct object *object;
	__u32 count;	/* references from what is alive, and processes */
	bool alive;
	__u32 holders;	/* bits: processes */
};

static struct node nodes[ACTORS * OBJECTS];
static unsigned int nnodes;

static int node_compare(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	return x->object->ref < y->object->ref ? -1 : x->object->ref > y->object->ref;
}

static struct node *node_known(moheap_ref_t ref)
{
	struct object object = { .ref = ref };
	struct node key = { .object = &object };

	return bsearch(&key, nodes, nnodes, sizeof(key), node_compare);
}

static struct node *node_find(moheap_ref_t ref)
{
	struct node *node = node_known(ref);

	if (!node)
		tap_fail(__FILE__, __LINE__, "%#llx came back from the dead", ref);
	return node;
}

static void nodes_list(void)
{
	unsigned int i, j;

	nnodes = 0;
	for (i = 0; i < books->processes * books->threads; i++) {
		for (j = 0; j < OBJECTS; j++) {
			if (books->actors[i].objects[j].ref)
				nodes[nnodes++] = (struct node){ &books->actors[i].objects[j],
								 0, false, 0 };
		}
	}
	qsort(nodes, nnodes, sizeof(*nodes), node_compare);
}

static struct node *reached[ACTORS * OBJECTS];
static unsigned int nreached;

static void node_reach(moheap_ref_t ref)
{
	struct node *node = node_find(ref);

	node->count++;
	if (node->alive)
		return;
	node->alive = true;
	reached[nreached++] = node;
}

/* Who is alive, by the books, and how many know of it. */
static void oracle_mark(void)
{
	unsigned int i, j, process;
	const struct object *object;
	struct node *node;

	nodes_list();
	nreached = 0;
	for (i = 0; i < books->processes * books->threads; i++) {
		process = i / books->threads;
		for (j = 0; j < books->actors[i].nholds; j++) {
			node = node_find(books->actors[i].holds[j].ref);
			if (node->holders & 1U << process)
				continue;
			node->holders |= 1U << process;
			node_reach(node->object->ref);
		}
	}
	for (i = 0; i < nreached; i++) {
		object = reached[i]->object;
		for (j = 0; j < object->nslots; j++)
			if (object->slots[j])
				node_reach(object->slots[j]);
	}
}

static void node_verify(struct moheap *heap, const struct node *node)
{
	struct moheap_object info = { .size = sizeof(info), .ref = node->object->ref };
	const struct object *object = node->object;
	moheap_ref_t slots[SLOTS];
	unsigned int i;

	err_is(moheap_inspect(heap, &info), 0);
	is(info.type, kinds[object->kind]);
	is(info.slots, object->nslots);
	is(info.count, node->count);
	err_is(moheap_read(heap, object->ref, 0, object->nslots, slots), 0);
	for (i = 0; i < object->nslots; i++) {
		ok(slots[i] == object->slots[i]);
		if (kind_mirrors(object->kind))
			ok(moheap_get(heap, object->ref, 8 + 8 * i) == slots[i]);
	}
	ok(payload_right(heap, object));
}

/*
 * Of all that a search finds, the books say that it is alive, or that it is not. Returns how much
 * was found.
 */
static unsigned int search_verify(struct moheap *heap, __u32 flags, bool alive)
{
	struct moheap_search search = { .size = sizeof(search), .flags = flags };
	const struct node *node;
	unsigned int found = 0;
	moheap_ref_t refs[512];
	long n, i;

	while ((n = moheap_objects(heap, &search, TAP_COUNT(refs), refs)) > 0) {
		for (i = 0; i < n; i++) {
			node = node_known(refs[i]);
			ok((node && node->alive) == alive);
		}
		found += n;
	}
	err_is(n, 0);
	return found;
}

static void oracle_verify(struct moheap *heap)
{
	struct moheap_object info = { .size = sizeof(info) };
	unsigned int i;
	int err;

	for (i = 0; i < nnodes; i++) {
		if (nodes[i].alive) {
			node_verify(heap, &nodes[i]);
			continue;
		}
		info.ref = nodes[i].object->ref;
		err = moheap_inspect(heap, &info);
		if (err != -ESTALE)
			tap_fail(__FILE__, __LINE__, "%#llx should be gone: %d, count %u",
				 info.ref, err, info.count);
	}
	is(tap_objects(heap), nreached);
	is(search_verify(heap, 0, true), nreached);
	err_is(moheap_check(heap), 0);
}

/* The lines of what is gone are free. */
static void oracle_forget(void)
{
	unsigned int i;

	for (i = 0; i < nnodes; i++)
		if (!nodes[i].alive)
			nodes[i].object->ref = 0;
}

/* ---- Finalizers ---- */

#define KEPT	50

static struct {
	unsigned long calls;
	moheap_ref_t kept[KEPT];
	unsigned int nkept;
} finals;

static void finalize(struct moheap *heap, moheap_ref_t ref, void *data)
{
	__u64 *payload = moheap_ptr(heap, ref);

	finals.calls++;
	ok(payload[0] == pattern(ref));
	/* Not twice. */
	ok(!payload[1]);
	payload[1] = 1;
	if (finals.calls % 4 || finals.nkept == KEPT)
		return;
	err_is(moheap_incref(heap, ref), 0);
	finals.kept[finals.nkept++] = ref;
}

/* All rest: until nothing is left that is unreachable. */
static void finals_settle(struct moheap *heap)
{
	unsigned long long unreachable;
	int handled;

	do {
		while (finals.nkept)
			err_is(moheap_decref(heap, finals.kept[--finals.nkept]), 0);
		err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, &unreachable), 0);
		handled = must(moheap_dispatch(heap));
	} while (unreachable || handled || finals.nkept);
}

/* ---- What is set aside ---- */

/* A cycle of two that nobody but the caller knows. */
static void ring_new(struct moheap *heap, moheap_ref_t ring[2])
{
	err_is(moheap_new_many(heap, kinds[PAIR], 2, ring), 0);
	err_is(moheap_store(heap, ring[0], 0, ring[1]), 0);
	err_is(moheap_store(heap, ring[1], 1, ring[0]), 0);
}

static void ring_drop(struct moheap *heap, const moheap_ref_t ring[2])
{
	err_is(moheap_decref(heap, ring[0]), 0);
	err_is(moheap_decref(heap, ring[1]), 0);
}

/* Is it alive, by references in the heap alone? Then @count for each of the two, else 0. */
static void ring_is(struct moheap *heap, const moheap_ref_t ring[2], __u32 count)
{
	struct moheap_object info = { .size = sizeof(info) };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		info.ref = ring[i];
		err_is(moheap_inspect(heap, &info), count ? 0 : -ESTALE);
		if (count)
			is(info.count, count);
	}
}

/* All rest, and all is frozen, garbage or not: collections find none of it. */
static void rest_frozen(struct moheap *heap)
{
	moheap_ref_t ring[2];

	ring_new(heap, ring);
	err_is(moheap_freeze(heap), 0);
	ring_drop(heap, ring);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	ring_is(heap, ring, 1);
	err_is(moheap_unfreeze(heap), 0);
	is(moheap_get_freeze_count(heap), 0);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	ring_is(heap, ring, 0);
}

/* All rest, and what collections find is saved. */
static void rest_saving(struct moheap *heap)
{
	moheap_ref_t ring[2];
	unsigned int saved;

	err_is(moheap_set_debug(heap, MOHEAP_DEBUG_SAVEALL), 0);
	ring_new(heap, ring);
	ring_drop(heap, ring);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	/* The other's, and the heap's. */
	ring_is(heap, ring, 2);
	/* Nothing was saved before. */
	oracle_mark();
	saved = search_verify(heap, MOHEAP_OBJECTS_SAVED, false);
	ok(saved >= 2);
	err_is(moheap_set_debug(heap, 0), 0);
	is(must(moheap_discard_all(heap)), saved);
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	ring_is(heap, ring, 0);
}

/* Before all that is garbage goes, it is set aside in one way or another. */
static void rest(struct moheap *heap, bool saving)
{
	err_is(moheap_stop_dispatcher(heap), 0);
	err_is(moheap_unfreeze(heap), 0);
	if (saving) {
		err_is(moheap_set_debug(heap, 0), 0);
		/* A trace that was under way may still save. */
		err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
		must(moheap_discard_all(heap));
	} else if (rand() % 2) {
		rest_saving(heap);
	}
	if (rand() % 2)
		rest_frozen(heap);
	finals_settle(heap);
}

/* ---- Rounds ---- */

static void round_run(void)
{
	unsigned int i;
	char byte;

	for (i = 0; i < books->processes; i++)
		is(write(processes[i].go[1], "", 1), 1);
	for (i = 0; i < books->processes; i++)
		if (read(processes[i].done[0], &byte, 1) != 1)
			tap_fail(__FILE__, __LINE__, "process %u is gone", i);
}

static unsigned long number_from(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 0) : otherwise;
}

static void play(unsigned int nprocesses, unsigned int nthreads, unsigned long rounds)
{
	struct moheap *heap = tap_heap();
	double end = tap_seconds() + 60.0 * number_from("MOHEAP_SOAK_MINUTES", 0);
	__u64 seed = number_from("MOHEAP_SEED", time(NULL) * 1000003UL + getpid());
	unsigned long round, alive = 0, gone = 0;
	unsigned int i;
	bool saving;

	tap_note("MOHEAP_SEED=%llu", seed);
	books = tap_shared(sizeof(*books));
	books->processes = nprocesses;
	books->threads = nthreads;
	books->steps = number_from("MOHEAP_STEPS", tap_scaled(12000)) / (nprocesses * nthreads);
	for (i = 0; i < ACTORS; i++)
		books->actors[i].random = (seed + i) * 0x9e3779b97f4a7c15ULL | 1;
	srand(seed);
	kinds_register(heap);
	err_is(moheap_set_finalizer(heap, kinds[FINAL], finalize, NULL), 0);
	for (i = 0; i < nprocesses; i++)
		process_start(heap, i);
	for (round = 0; round < rounds || tap_seconds() < end; round++) {
		saving = rand() % 2;
		err_is(moheap_set_debug(heap, saving ? MOHEAP_DEBUG_SAVEALL : 0), 0);
		err_is(moheap_start_dispatcher(heap), 0);
		round_run();
		if (nprocesses > 1 && rand() % 2) {
			i = rand() % nprocesses;
			process_end(i, rand() % 2);
			process_start(heap, i);
		}
		rest(heap, saving);
		oracle_mark();
		oracle_verify(heap);
		oracle_forget();
		alive += nreached;
		gone += nnodes - nreached;
	}
	tap_note("%lu rounds; %lu times an object was alive, %lu times gone", round, alive, gone);
	ok(alive && gone);
	for (i = 0; i < nprocesses; i++)
		process_end(i, false);
	do {
		finals_settle(heap);
	} while (tap_objects(heap));
	is(finals.calls, books->finals);
	tap_note("%lu were finalized", finals.calls);
}

/* With less to do in each, fewer will do. */
static unsigned long rounds(void)
{
	return 2 + tap_scaled(8);
}

static void alone(void)
{
	play(1, 1, rounds());
}

static void threads_of_a_process(void)
{
	play(1, THREADS, rounds());
}

static void processes_of_a_thread(void)
{
	play(PROCESSES, 1, rounds());
}

static void all_of_them(void)
{
	play(PROCESSES, THREADS, rounds());
}

int main(int argc, char **argv)
{
	unsigned int minutes = number_from("MOHEAP_SOAK_MINUTES", 0);
	const struct tap_case cases[] = {
		{ "one process, one thread", alone, 60 + 60 * minutes },
		{ "one process, two threads", threads_of_a_process, 60 + 60 * minutes },
		{ "three processes", processes_of_a_thread, 60 + 60 * minutes },
		{ "three processes of two threads", all_of_them, 60 + 60 * minutes },
	};

	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
