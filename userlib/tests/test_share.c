// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Several processes: what they share, and what is left when one dies in the middle.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "raw.h"

static void send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	is(sendmsg(socket, &message, 0), 1);
}

static int receive_fd(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	int fd;

	is(recvmsg(socket, &message, 0), 1);
	header = CMSG_FIRSTHDR(&message);
	ok(header && header->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static void put(int fd, moheap_ref_t ref)
{
	is(write(fd, &ref, sizeof(ref)), sizeof(ref));
}

static moheap_ref_t get(int fd)
{
	moheap_ref_t ref;

	is(read(fd, &ref, sizeof(ref)), sizeof(ref));
	return ref;
}

static int sockets[2];

static void write_text(struct moheap *heap, moheap_ref_t ref, const char *text)
{
	memcpy(moheap_ptr(heap, ref), text, strlen(text) + 1);
}

/* ---- Handing over ---- */

static void joins_by_socket(void *arg)
{
	struct moheap *heap;
	int fd = receive_fd(sockets[1]);
	moheap_ref_t ref = get(sockets[1]), mine;

	(void)arg;
	err_is(moheap_join(fd, 0, &heap), 0);
	close(fd);
	err_is(moheap_incref(heap, ref), 0);
	ok(!strcmp(moheap_ptr(heap, ref), "from the parent"));
	mine = tap_new(heap, must(moheap_type_find(heap, "t")));
	write_text(heap, mine, "from the child");
	err_is(moheap_store(heap, ref, 0, mine), 0);
	err_is(moheap_close(heap), 0);
}

static void a_heap_through_a_socket(void)
{
	struct moheap *heap;
	moheap_ref_t ref, got;
	pid_t child;

	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	child = tap_fork(joins_by_socket, NULL);
	heap = tap_heap();
	ref = tap_new(heap, tap_type(heap, "t", 32, 1));
	write_text(heap, ref, "from the parent");
	err_is(moheap_flush(heap), 0);
	send_fd(sockets[0], moheap_fd(heap));
	put(sockets[0], ref);
	tap_wait(child);
	err_is(moheap_load(heap, ref, 0, &got), 0);
	ok(!strcmp(moheap_ptr(heap, got), "from the child"));
	moheap_decref(heap, got);
	is(tap_objects(heap), 2);
	moheap_decref(heap, ref);
	is(tap_objects(heap), 0);
}

/* A heap whose creator is gone, reached through a file that nobody has open but a socket. */
static void makes_and_goes(void *arg)
{
	struct moheap *heap = tap_heap(), *clone;
	moheap_ref_t ref = tap_new(heap, tap_type(heap, "t", 32, 1));

	(void)arg;
	write_text(heap, ref, "left behind");
	err_is(moheap_clone(heap, &clone), 0);
	send_fd(sockets[1], moheap_fd(clone));
	put(sockets[1], ref);
}

static void holds_travel_with_a_client(void)
{
	struct moheap *heap;
	moheap_ref_t ref;
	pid_t child;
	int fd;

	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	child = tap_fork(makes_and_goes, NULL);
	tap_wait(child);
	fd = receive_fd(sockets[0]);
	ref = get(sockets[0]);
	err_is(moheap_adopt(fd, &heap), 0);
	tap_heap_adopted(heap);
	is(tap_objects(heap), 1);
	err_is(moheap_incref(heap, ref), 0);
	ok(!strcmp(moheap_ptr(heap, ref), "left behind"));
	moheap_decref(heap, ref);
	is(tap_objects(heap), 0);
}

/* ---- Death ---- */

static void litters(void *arg)
{
	struct moheap *heap = arg, *own;
	unsigned long n = tap_scaled(10000), i;
	int type = must(moheap_type_find(heap, "pair"));
	moheap_ref_t *r = calloc(n, sizeof(*r));

	err_is(moheap_join(moheap_fd(heap), 0, &own), 0);
	err_is(moheap_new_many(own, type, n, r), 0);
	for (i = 0; i < n; i++) {
		err_is(moheap_store(own, r[i], 0, r[i ^ 1]), 0);
		err_is(moheap_store(own, r[i], 1, r[(i + 2) % n]), 0);
	}
	/* Some it holds, some only the cycles do. */
	for (i = 0; i < n; i += 3)
		err_is(moheap_decref(own, r[i]), 0);
	err_is(moheap_flush(own), 0);
	put(sockets[1], r[0]);
	pause();
}

static void a_killed_client_leaves_nothing(void)
{
	struct moheap *heap = tap_heap();
	int type = tap_type(heap, "pair", 8, 2), i;
	moheap_ref_t mine[100], theirs;
	unsigned long n = tap_scaled(10000) / 2 * 2;
	double began;
	pid_t child;

	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	for (i = 0; i < 100; i++) {
		mine[i] = tap_new(heap, type);
		*(__u64 *)moheap_ptr(heap, mine[i]) = i;
		if (i)
			err_is(moheap_store(heap, mine[i], 0, mine[i - 1]), 0);
	}
	child = tap_fork(litters, heap);
	theirs = get(sockets[0]);
	ok(tap_objects(heap) >= n + 100);
	began = tap_seconds();
	kill(child, SIGKILL);
	is(waitpid(child, NULL, 0), child);
	tap_wait_objects(heap, 100);
	tap_note("%lu objects gone %.0f ms after the kill", n, (tap_seconds() - began) * 1e3);
	err_is(moheap_incref(heap, theirs), -ESTALE);
	for (i = 0; i < 100; i++) {
		is(*(__u64 *)moheap_ptr(heap, mine[i]), i);
		is(moheap_refcount(heap, mine[i]), 1 + (i < 99));
	}
	for (i = 0; i < 100; i++)
		moheap_decref(heap, mine[i]);
	is(tap_objects(heap), 0);
}

/* Killed anywhere: in the middle of a batch, a fill, an allocation. */
static void works_until_killed(void *arg)
{
	struct moheap *heap = arg, *own;
	int pair = must(moheap_type_find(heap, "pair"));
	moheap_ref_t a, b, list, held[64] = { 0 };
	unsigned int i = getpid();

	err_is(moheap_join(moheap_fd(heap), 0, &own), 0);
	for (;; i++) {
		a = tap_new(own, pair);
		b = tap_new(own, pair);
		err_is(moheap_store(own, a, 0, b), 0);
		err_is(moheap_store(own, b, 1, a), 0);
		err_is(moheap_decref(own, b), 0);
		err_is(moheap_decref(own, held[i % 64]), 0);
		held[i % 64] = a;
		if (i % 50 == 0) {
			err_is(moheap_list_repeat(own, a, 3000, &list), 0);
			err_is(moheap_list_extend(own, list, list), 0);
			err_is(moheap_decref(own, list), 0);
		}
	}
}

static void kills_at_any_moment(void)
{
	struct moheap *heap = tap_heap();
	unsigned long n = tap_scaled(60);
	moheap_ref_t keep = (tap_type(heap, "pair", 8, 2), tap_new(heap, 0));
	pid_t children[2];
	int i;

	srand(3);
	err_is(moheap_trim(heap), 0);
	while (n--) {
		for (i = 0; i < 2; i++)
			children[i] = tap_fork(works_until_killed, heap);
		usleep(rand() % 30000);
		for (i = 0; i < 2; i++) {
			kill(children[i], SIGKILL);
			is(waitpid(children[i], NULL, 0), children[i]);
		}
		if (n % 8 == 0)
			err_is(moheap_check(heap), 0);
	}
	err_is(moheap_collect(heap, MOHEAP_COLLECT_FULL, NULL), 0);
	is(tap_objects(heap), 1);
	moheap_decref(heap, keep);
}

/* ---- Life ---- */

#define WORKERS	3

/* A counter in payload, and a chain that all of them push to with compare_exchange. */
static void pushes(void *arg)
{
	struct moheap *heap = arg, *own;
	unsigned long n = tap_scaled(2000);
	int type = must(moheap_type_find(heap, "pair"));
	moheap_ref_t root, node, head;

	err_is(moheap_join(moheap_fd(heap), 0, &own), 0);
	root = get(sockets[1]);
	err_is(moheap_incref(own, root), 0);
	while (n--) {
		node = tap_new(own, type);
		do {
			err_is(moheap_load(own, root, 0, &head), 0);
			err_is(moheap_store(own, node, 0, head), 0);
			err_is(moheap_decref(own, head), 0);
		} while (moheap_compare_exchange(own, root, 0, &head, node) < 0);
		__atomic_fetch_add((__u64 *)moheap_ptr(own, root), 1, __ATOMIC_RELAXED);
		err_is(moheap_decref(own, node), 0);
	}
	err_is(moheap_close(own), 0);
}

static void processes_build_together(void)
{
	struct moheap *heap = tap_heap();
	int type = tap_type(heap, "pair", 8, 2), i;
	moheap_ref_t root = tap_new(heap, type), at, next;
	unsigned long n = 0;
	pid_t children[WORKERS];

	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	for (i = 0; i < WORKERS; i++)
		children[i] = tap_fork(pushes, heap);
	err_is(moheap_flush(heap), 0);
	for (i = 0; i < WORKERS; i++)
		put(sockets[0], root);
	for (i = 0; i < WORKERS; i++)
		tap_wait(children[i]);
	for (at = root; at; at = next, n++)
		err_is(moheap_peek(heap, at, 0, &next), 0);
	is(n - 1, WORKERS * tap_scaled(2000));
	is(*(__u64 *)moheap_ptr(heap, root), WORKERS * tap_scaled(2000));
	is(tap_objects(heap), n);
	moheap_decref(heap, root);
	tap_wait_objects(heap, 0);
}

/* All of them, or none; and as often as each is there. */
static void many_references_at_once(void)
{
	enum { N = 1000 };
	static moheap_ref_t refs[N];
	struct moheap *heap = tap_heap(), *other;
	int type = tap_type(heap, "t", 16, 1);
	moheap_ref_t twice[2];
	unsigned int i;

	err_is(moheap_join(moheap_fd(heap), 0, &other), 0);
	tap_heap_adopted(other);
	err_is(moheap_new_many(heap, type, N, refs), 0);
	err_is(moheap_flush(heap), 0);
	err_is(moheap_incref_many(other, 0, refs), 0);
	err_is(moheap_incref_many(other, N, refs), 0);
	for (i = 0; i < N; i++) {
		is(moheap_refcount(other, refs[i]), 2);
		err_is(moheap_decref(heap, refs[i]), 0);
	}
	err_is(moheap_flush(heap), 0);
	is(tap_objects(heap), N);

	/* One is gone: nothing is taken. The queued drop of another is recalled meanwhile. */
	twice[0] = refs[0];
	twice[1] = refs[0];
	err_is(moheap_decref(other, refs[N - 1]), 0);
	err_is(moheap_flush(other), 0);
	err_is(moheap_decref(other, refs[0]), 0);
	err_is(moheap_incref_many(other, 2, twice), 0);
	is(moheap_refcount(other, refs[0]), 2);
	err_is(moheap_incref_many(other, N, refs), -ESTALE);
	for (i = 1; i < N - 1; i++)
		is(moheap_refcount(other, refs[i]), 1);
	is(moheap_refcount(other, refs[0]), 2);
	twice[1] = ~0ULL;
	err_is(moheap_incref_many(other, 2, twice), -EINVAL);
	is(moheap_refcount(other, refs[0]), 2);

	/* One whose drop waits is held by nothing else: none means that, too. */
	err_is(moheap_decref(other, refs[1]), 0);
	twice[0] = refs[1];
	twice[1] = refs[N - 1];
	err_is(moheap_incref_many(other, 2, twice), -ESTALE);
	err_is(moheap_flush(other), 0);
	err_is(moheap_incref(other, refs[1]), -ESTALE);

	err_is(moheap_decref(other, refs[0]), 0);
	err_is(moheap_decref(other, refs[0]), 0);
	for (i = 2; i < N - 1; i++)
		err_is(moheap_decref(other, refs[i]), 0);
	is(tap_objects(other), 0);
}

static const struct tap_case cases[] = {
	{ "a heap through a socket", a_heap_through_a_socket },
	{ "holds travel with a client", holds_travel_with_a_client },
	{ "a killed client leaves nothing", a_killed_client_leaves_nothing },
	{ "kills at any moment", kills_at_any_moment, 120 },
	{ "processes build together", processes_build_together },
	{ "many references at once", many_references_at_once },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
