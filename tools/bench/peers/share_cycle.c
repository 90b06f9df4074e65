// SPDX-License-Identifier: GPL-2.0
/*
 * share_cycle: two sockets are in flight to each other, nobody has them open, and the kernel's
 * collector of such cycles frees them. 500 cycles are on the way at a time. No second process:
 * that would only take longer.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "pass.h"

#define CYCLES	2000
#define GROUP	500

/* UNIX sockets that exist: the third column of their lines in /proc/net/protocols. */
static int sockets_alive(void)
{
	FILE *f = bench_must_have("protocols", fopen("/proc/net/protocols", "re"));
	char line[256], name[32];
	int n, sum = 0;

	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%31s %*d %d", name, &n) == 2 && !strncmp(name, "UNIX", 4))
			sum += n;
	fclose(f);
	return sum;
}

/* The collector of sockets runs when one is closed: those in flight to themselves never are. */
static void collect(int before)
{
	while (sockets_alive() > before)
		close(bench_must_sys("socket", socket(AF_UNIX, SOCK_STREAM, 0)));
}

static void make_cycle(void)
{
	int sockets[2];

	pass_pair(sockets);
	pass_file(sockets[0], sockets[0]);
	pass_file(sockets[1], sockets[1]);
	close(sockets[0]);
	close(sockets[1]);
}

int main(void)
{
	int before = sockets_alive(), i;
	__u64 since = bench_now();

	for (i = 1; i <= CYCLES; i++) {
		make_cycle();
		if (i % GROUP == 0)
			collect(before);
	}
	bench_result("share_cycle", "af_unix", (double)(bench_now() - since) / CYCLES);
	return 0;
}
