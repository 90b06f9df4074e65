// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * A graph shared by three processes.
 *
 * The parent makes a heap and a small tree in it. One child inherits the heap by fork() and adds
 * a leaf. Another, which started without the heap, receives its file through a socket, joins
 * read-only, and adds up the tree, reading the very memory the others wrote. Then it holds the
 * tree alone, after the parent has let go of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <moheap.h>

#define LEAVES	4

struct tree {
	__u64 value;
	moheap_ref_t leaf[LEAVES];	/* mirrors of the slots */
};

static const struct moheap_field fields[] = {
	{ .kind = MOHEAP_FIELD_UINT, .width = 8, .count = 1,
	  .offset = offsetof(struct tree, value), .name = "value" },
	{ .kind = MOHEAP_FIELD_REF, .width = 8, .count = LEAVES, .slot = 0,
	  .offset = offsetof(struct tree, leaf), .name = "leaf" },
};

static const struct moheap_layout layout = {
	.size = sizeof(layout),
	.name = "tree",
	.payload = sizeof(struct tree),
	.slots = LEAVES,
	.nfields = 2,
	.fields = fields,
};

static void must(const char *what, long long ret)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-ret));
	exit(1);
}

static void must_true(const char *what, int truth)
{
	if (truth)
		return;
	fprintf(stderr, "%s\n", what);
	exit(1);
}

/* ---- Handing over a heap: its file, and the name of the object to begin with ---- */

static void send_heap(int socket, struct moheap *heap, moheap_ref_t root)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = &root, .iov_len = sizeof(root) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int fd = moheap_fd(heap);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	must_true("sendmsg", sendmsg(socket, &message, 0) == sizeof(root));
}

static int receive_heap(int socket, moheap_ref_t *root)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = root, .iov_len = sizeof(*root) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	int fd;

	must_true("recvmsg", recvmsg(socket, &message, 0) == sizeof(*root));
	header = CMSG_FIRSTHDR(&message);
	must_true("no file came along", header && header->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static __u64 add_up(struct moheap *heap, moheap_ref_t ref)
{
	const struct tree *tree = moheap_ptr(heap, ref);
	__u64 sum = tree->value;
	int i;

	for (i = 0; i < LEAVES; i++)
		if (tree->leaf[i])
			sum += add_up(heap, tree->leaf[i]);
	return sum;
}

/* ---- The reader: knows nothing of the heap but what comes through the socket ---- */

static int read_tree(int socket)
{
	struct moheap *heap;
	moheap_ref_t root;
	char byte = 0;
	int fd = receive_heap(socket, &root);

	must("moheap_join", moheap_join(fd, MOHEAP_JOIN_READ_ONLY, &heap));
	close(fd);
	/* A ref is weak until it is held: from here on the tree lives as long as we like. */
	must("moheap_incref", moheap_incref(heap, root));
	printf("reader: the tree adds up to %llu\n", add_up(heap, root));
	must_true("write", write(socket, &byte, 1) == 1);

	/* The parent closes its end when it has let go of the tree. */
	must_true("read", read(socket, &byte, 1) == 0);
	printf("reader: and without the parent to %llu\n", add_up(heap, root));
	return add_up(heap, root) != 1 + 20 + 300;
}

static void add_leaf(struct moheap *heap, int type, moheap_ref_t root, int slot, __u64 value)
{
	struct tree *tree;
	moheap_ref_t leaf;

	must("moheap_new", moheap_new(heap, type, &leaf));
	tree = moheap_ptr(heap, leaf);
	tree->value = value;
	must("moheap_store", moheap_store(heap, root, slot, leaf));
	must("moheap_decref", moheap_decref(heap, leaf));
}

static int wait_for(pid_t child)
{
	int status;

	must_true("waitpid", waitpid(child, &status, 0) == child);
	return !WIFEXITED(status) || WEXITSTATUS(status);
}

int main(void)
{
	struct moheap *heap;
	moheap_ref_t root;
	int sockets[2], type, failed;
	pid_t child, writer;
	char byte;

	must_true("socketpair", !socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	child = fork();
	if (!child) {
		close(sockets[0]);
		return read_tree(sockets[1]);
	}
	close(sockets[1]);

	must("moheap_create", moheap_create(NULL, &heap));
	type = moheap_type_register(heap, &layout);
	must("moheap_type_register", type);
	must("moheap_new", moheap_new(heap, type, &root));
	((struct tree *)moheap_ptr(heap, root))->value = 1;
	add_leaf(heap, type, root, 0, 20);

	/* What a child of fork() has is the same heap: what it adds stays when it is gone. */
	fflush(stdout);
	writer = fork();
	if (!writer) {
		add_leaf(heap, type, root, 1, 300);
		must("moheap_close", moheap_close(heap));
		_exit(0);
	}
	must_true("the writing child failed", !wait_for(writer));

	/* Flush, then tell: another process sees what the kernel has been told of. */
	must("moheap_flush", moheap_flush(heap));
	send_heap(sockets[0], heap, root);
	must_true("the reader is gone", read(sockets[0], &byte, 1) == 1);
	must("moheap_decref", moheap_decref(heap, root));
	must("moheap_close", moheap_close(heap));
	close(sockets[0]);
	failed = wait_for(child);
	printf("parent: the reader %s\n", failed ? "failed" : "is content");
	return failed;
}
