// SPDX-License-Identifier: GPL-2.0
/*
 * share_cycle: a cycle of two objects is made, another process takes hold of it, both let go,
 * and the collector frees it. 500 cycles are on the way at a time.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "graph.h"
#include "pass.h"

#define CYCLES	20000
#define GROUP	500

static void sharer(int socket)
{
	moheap_ref_t refs[GROUP];
	struct moheap *heap;
	int i, round;
	char done = 0;

	bench_must("moheap_join", moheap_join(pass_get_file(socket), 0, &heap));
	for (round = 0; round < CYCLES / GROUP; round++) {
		pass_read(socket, refs, sizeof(refs));
		bench_must("moheap_incref_many", moheap_incref_many(heap, GROUP, refs));
		pass_write(socket, &done, 1);
		for (i = 0; i < GROUP; i++)
			moheap_decref(heap, refs[i]);
		graph_flush(heap);
	}
	_exit(0);
}

static moheap_ref_t make_cycle(struct moheap *heap, int type)
{
	moheap_ref_t a = graph_new(heap, type), b = graph_new(heap, type);

	moheap_store(heap, a, 0, b);
	moheap_store(heap, b, 0, a);
	moheap_decref(heap, b);
	return a;
}

static void share(struct moheap *heap, int type, int socket)
{
	moheap_ref_t refs[GROUP];
	char done;
	int i;

	for (i = 0; i < GROUP; i++)
		refs[i] = make_cycle(heap, type);
	graph_flush(heap);
	pass_write(socket, refs, sizeof(refs));
	pass_read(socket, &done, 1);
	for (i = 0; i < GROUP; i++)
		moheap_decref(heap, refs[i]);
}

int main(void)
{
	struct moheap *heap;
	int sockets[2], type, round, status;
	__u64 since;

	pass_pair(sockets);
	if (!bench_must_sys("fork", fork()))
		sharer(sockets[1]);
	heap = graph_heap();
	type = graph_node_type(heap);
	pass_file(sockets[0], moheap_fd(heap));
	since = bench_now();
	for (round = 0; round < CYCLES / GROUP; round++)
		share(heap, type, sockets[0]);
	while (graph_collected(heap) < 2 * CYCLES)
		usleep(1000);
	bench_result("share_cycle", "ours", (double)(bench_now() - since) / CYCLES);
	bench_must_be("the other did its work", wait(&status) > 0 && !status);
	return 0;
}
