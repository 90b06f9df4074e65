// SPDX-License-Identifier: GPL-2.0
/*
 * A process is killed in the middle of its work. What only it held is gone, cycles and all; what
 * others hold is as it was.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap.h"
#include "parts.h"
#include "report.h"

#define OURS	1000
#define THEIRS	100000
#define RING	100	/* objects in a cycle */

/* Payload of an object. The two references are mirrors of its slots. */
struct node {
	moheap_ref_t next;
	moheap_ref_t friend;
	__u64 number;
};

enum { SLOT_NEXT, SLOT_FRIEND };

static int type_of_nodes(struct moheap *heap)
{
	static const struct moheap_field fields[] = {
		{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 1, .slot = SLOT_NEXT,
		  .offset = offsetof(struct node, next), .name = "next" },
		{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = 1, .slot = SLOT_FRIEND,
		  .offset = offsetof(struct node, friend), .name = "friend" },
		{ .kind = MOHEAP_FIELD_UINT, .width = 8, .count = 1,
		  .offset = offsetof(struct node, number), .name = "number" },
	};
	static const struct moheap_layout layout = {
		.size = sizeof(layout),
		.name = "node",
		.payload = sizeof(struct node),
		.slots = 2,
		.nfields = 3,
		.fields = fields,
	};

	return must("the type of nodes", moheap_type_register(heap, &layout));
}

static struct node *node(struct moheap *heap, moheap_ref_t ref)
{
	return moheap_ptr(heap, ref);
}

/* @n numbered objects, in rings of RING. */
static void make_rings(struct moheap *heap, size_t n, moheap_ref_t *refs)
{
	size_t i, next;

	must("moheap_new_many", moheap_new_many(heap, type_of_nodes(heap), n, refs));
	for (i = 0; i < n; i++) {
		next = i % RING == RING - 1 ? i + 1 - RING : i + 1;
		node(heap, refs[i])->number = i;
		must("moheap_store", moheap_store(heap, refs[i], SLOT_NEXT, refs[next]));
	}
}

/* ---- The child ---- */

/*
 * A member of the heap in its own right: it joins by the file it inherited. Its objects refer to
 * ours as well, so that they have something of ours in their hands when they go.
 */
static void child(int heap_fd, const moheap_ref_t *ours, int out)
{
	moheap_ref_t *theirs = memory(THEIRS, sizeof(*theirs));
	struct moheap *heap;
	size_t i;

	must("moheap_join", moheap_join(heap_fd, 0, &heap));
	close(heap_fd);
	make_rings(heap, THEIRS, theirs);
	for (i = 0; i < THEIRS; i++)
		must("moheap_store", moheap_store(heap, theirs[i], SLOT_FRIEND, ours[i % OURS]));
	must("moheap_flush", moheap_flush(heap));
	claim(write(out, &theirs[0], sizeof(theirs[0])) == sizeof(theirs[0]), "the parent listens");
	for (;;)
		pause();
}

/* Return: its process id. @theirs: out: one of its objects, once all of them are there. */
static pid_t start_child(struct moheap *heap, const moheap_ref_t *ours, moheap_ref_t *theirs)
{
	int heap_fd, ends[2];
	pid_t pid;

	/* Nothing of the library's state goes to the child: only the file does. */
	must("moheap_set_fork", moheap_set_fork(heap, MOHEAP_FORK_NONE));
	must("moheap_flush", moheap_flush(heap));
	heap_fd = dup(moheap_fd(heap));
	must("dup", heap_fd < 0 ? -errno : 0);
	must("pipe", pipe(ends) ? -errno : 0);
	fflush(NULL);
	pid = fork();
	must("fork", pid < 0 ? -errno : 0);
	if (!pid) {
		/* Should the parent fail, the child has nothing to wait for. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		child(heap_fd, ours, ends[1]);
	}
	close(heap_fd);
	close(ends[1]);
	claim(read(ends[0], theirs, sizeof(*theirs)) == sizeof(*theirs), "the child comes up");
	close(ends[0]);
	return pid;
}

/* ---- The parent ---- */

/* Everything of ours is held, has its number, its neighbour, and @friends who refer to it. */
static void check_ours(struct moheap *heap, const moheap_ref_t *ours, size_t friends)
{
	for (size_t i = 0; i < OURS; i++) {
		struct moheap_object object = { .size = sizeof(object), .ref = ours[i] };
		size_t next = i % RING == RING - 1 ? i + 1 - RING : i + 1;
		moheap_ref_t slot;

		must("moheap_inspect", moheap_inspect(heap, &object));
		must("moheap_peek", moheap_peek(heap, ours[i], SLOT_NEXT, &slot));
		claim(object.flags & MOHEAP_OBJECT_HELD, "our object %zu is held", i);
		/* One reference is our hold, one is the ring's. */
		claim(object.count == 2 + friends, "our object %zu has %zu references, not %u", i,
		      2 + friends, object.count);
		claim(node(heap, ours[i])->number == i, "our object %zu has its payload", i);
		claim(slot == ours[next] && node(heap, ours[i])->next == slot,
		      "our object %zu has its neighbour", i);
	}
}

static void kill_child(struct moheap *heap, pid_t pid)
{
	struct moheap_stat stat;
	int status;
	__u64 since = now();

	must("kill", kill(pid, SIGKILL) ? -errno : 0);
	stat = heap_wait(heap, heap_has_objects, OURS, "the child's objects are gone");
	since = now() - since;
	claim(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	      WTERMSIG(status) == SIGKILL, "the child died of SIGKILL");
	claim(stat.clients == 1, "we are the only client again");
	row("left", count(stat.objects), "all of the child's are gone");
	row("gone after", duration(since), "counted from kill(); only the kernel saw to it");
}

void show_killed(void)
{
	struct moheap *heap = heap_open();
	moheap_ref_t ours[OURS], theirs;
	unsigned long long objects;
	__u64 since = now();
	pid_t pid;

	heading("3. A killed process: a child joins our heap, works, and gets SIGKILL");
	make_rings(heap, OURS, ours);
	pid = start_child(heap, ours, &theirs);
	since = now() - since;
	objects = heap_stat(heap).objects;
	row("ours", count(OURS), "objects of the parent");
	row("the child's", count(objects - OURS), "in rings of %d, and each refers to one of ours",
	    RING);
	row("made in", duration(since), "then the child is killed, in full possession");
	claim(objects == OURS + THEIRS, "%llu objects are there", objects);
	check_ours(heap, ours, THEIRS / OURS);
	kill_child(heap, pid);
	/* What the last of them referred to is let go a little later. */
	heap_rest(heap);
	check_ours(heap, ours, 0);
	claim(moheap_incref(heap, theirs) == -ESTALE, "a name of the child's means nothing now");
	row("intact", count(OURS), "ours: payload, references, counts: all checked");
	heap_close(heap);
}
