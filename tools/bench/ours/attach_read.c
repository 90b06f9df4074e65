// SPDX-License-Identifier: GPL-2.0
/*
 * attach_read: a process has a graph of 1,000,000 objects; another one opens it and reads one
 * payload. From the moment the first passes it on until it has the answer.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "graph.h"
#include "pass.h"

#define OBJECTS	1000000

/* Reads the leftmost leaf. */
static void reader(int socket)
{
	const struct graph_node *node;
	struct moheap *heap;
	moheap_ref_t root;

	bench_must("moheap_join",
		   moheap_join(pass_get_file(socket), MOHEAP_JOIN_READ_ONLY, &heap));
	pass_read(socket, &root, sizeof(root));
	bench_must("moheap_incref", moheap_incref(heap, root));
	node = moheap_ptr(heap, root);
	while (node->refs[0])
		node = moheap_ptr(heap, node->refs[0]);
	pass_write(socket, &node->value, sizeof(node->value));
	_exit(0);
}

static void mark(struct moheap *heap, moheap_ref_t ref)
{
	struct graph_node *node = moheap_ptr(heap, ref);

	while (node->refs[0])
		node = moheap_ptr(heap, node->refs[0]);
	node->value = 42;
}

int main(void)
{
	struct moheap *heap;
	moheap_ref_t root;
	__u64 since, value;
	int sockets[2], status;

	pass_pair(sockets);
	if (!bench_must_sys("fork", fork()))
		reader(sockets[1]);
	heap = graph_heap();
	graph_prepare(heap);
	root = graph_tree(heap, graph_node_type(heap), OBJECTS);
	mark(heap, root);
	graph_prepared(heap);
	since = bench_now();
	pass_file(sockets[0], moheap_fd(heap));
	pass_write(sockets[0], &root, sizeof(root));
	pass_read(sockets[0], &value, sizeof(value));
	since = bench_now() - since;
	bench_must_be("it is the right one", value == 42);
	bench_result("attach_read", "ours", since);
	bench_must_be("the other did its work", wait(&status) > 0 && !status);
	return 0;
}
