// SPDX-License-Identifier: GPL-2.0
/*
 * scale_2: two clients of one heap on two processors, against one: how many times as much gets
 * done. And for comparison the same with two processes that have nothing in common but the
 * machine: an ideal of 2 takes two processors of one's own.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "graph.h"
#include "pass.h"

#define TIMES	3
#define STEPS	200000
#define ALIVE	1000

struct job {
	const char *party;
	void (*run)(int file);
	int file;
};

static void run_client(int file)
{
	moheap_ref_t alive[ALIVE];
	struct moheap *heap;
	__u32 i;
	int type;

	bench_must("moheap_join", moheap_join(file, 0, &heap));
	type = graph_node_type(heap);
	for (i = 0; i < ALIVE; i++)
		alive[i] = graph_new(heap, type);
	for (i = 0; i < STEPS; i++) {
		moheap_decref(heap, alive[i % ALIVE]);
		alive[i % ALIVE] = graph_new(heap, type);
		moheap_store(heap, alive[i % ALIVE], 0, i % 2 ? alive[(i - 1) % ALIVE] : 0);
	}
	graph_flush(heap);
}

static void run_alone(int file)
{
	__u64 random = 1;
	int i;

	for (i = 0; i < 5000000; i++)
		bench_random(&random);
}

static void wait_for_one(void)
{
	int status;

	bench_must_sys("wait", wait(&status));
	bench_must_be("a client did its work", !status);
}

/* How long @n processes take that do it at a time, each on its own processor. */
static __u64 time_once(const struct job *job, int n)
{
	int sockets[2], i;
	__u64 since;
	char byte = 0;

	pass_pair(sockets);
	for (i = 0; i < n; i++) {
		if (bench_must_sys("fork", fork()))
			continue;
		bench_pin(i);
		pass_read(sockets[1], &byte, 1);
		job->run(job->file);
		_exit(0);
	}
	usleep(50000);
	since = bench_now();
	pass_write(sockets[0], "go", n);
	for (i = 0; i < n; i++)
		wait_for_one();
	close(sockets[0]);
	close(sockets[1]);
	return bench_now() - since;
}

/* The least of several times: the one that the least came between. */
static __u64 time_of(const struct job *job, int n)
{
	__u64 least = UINT64_MAX, ns;
	int i;

	for (i = 0; i < TIMES; i++) {
		ns = time_once(job, n);
		if (ns < least)
			least = ns;
	}
	return least;
}

int main(void)
{
	struct moheap *heap = graph_heap();
	const struct job jobs[] = {
		/* A copy: the library's own does not pass into a child that has no heap. */
		{ "ours", run_client, bench_must_sys("dup", dup(moheap_fd(heap))) },
		{ "spinning", run_alone, -1 },
	};
	const struct job *job;
	__u64 one, two;

	bench_must("moheap_set_fork", moheap_set_fork(heap, MOHEAP_FORK_NONE));
	for (job = jobs; job < jobs + BENCH_ARRAY_SIZE(jobs); job++) {
		one = time_of(job, 1);
		two = time_of(job, 2);
		bench_result("scale_2", job->party, 2.0 * one / two);
	}
	return 0;
}
