// SPDX-License-Identifier: GPL-2.0
/*
 * See bench.h.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static __u64 clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

__u64 bench_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

__u64 bench_cpu(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void fail(const char *what, const char *why)
{
	fflush(stdout);
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
	exit(1);
}

long long bench_must(const char *what, long long ret)
{
	if (ret < 0)
		fail(what, strerror(-ret));
	return ret;
}

long long bench_must_sys(const char *what, long long ret)
{
	if (ret < 0)
		fail(what, strerror(errno));
	return ret;
}

void *bench_must_have(const char *what, void *p)
{
	if (!p)
		fail(what, "nothing there");
	return p;
}

void bench_must_be(const char *what, int truth)
{
	if (!truth)
		fail(what, "not so");
}

void bench_result(const char *metric, const char *party, double number)
{
	printf("result %s %s %.6g\n", metric, party, number);
	fflush(stdout);
}

void bench_besides(const char *metric, const char *party, const char *what, double number)
{
	printf("besides %s %s %s %.6g\n", metric, party, what, number);
	fflush(stdout);
}

/* xorshift64* (Vigna 2016). */
__u32 bench_random(__u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * 0x2545f4914f6cdd1dULL) >> 32;
}

void bench_shuffle(__u32 *order, __u32 n, __u64 *state)
{
	__u32 i, j, swap;

	for (i = 0; i < n; i++)
		order[i] = i;
	for (i = n - 1; i > 0; i--) {
		j = bench_random(state) % (i + 1);
		swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
}

__u64 bench_longest_gap(__u64 ns)
{
	__u64 begin = bench_now(), last = begin, now, longest = 0;

	while (last - begin < ns) {
		now = bench_now();
		if (now - last > longest)
			longest = now - last;
		last = now;
	}
	return longest;
}

/* ---- Memory ---- */

static char charge_file[128];

static void write_file(const char *path, const char *text)
{
	FILE *f = bench_must_have(path, fopen(path, "we"));

	bench_must_be(path, fputs(text, f) >= 0 && !fclose(f));
}

void bench_charge_alone(void)
{
	char group[64], procs[128], pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	snprintf(group, sizeof(group), "/sys/fs/cgroup/bench-%s", pid);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", group);
	snprintf(charge_file, sizeof(charge_file), "%s/memory.current", group);
	bench_must_sys(group, mkdir(group, 0755));
	write_file(procs, pid);
}

__u64 bench_charged(void)
{
	FILE *f = bench_must_have(charge_file, fopen(charge_file, "re"));
	__u64 bytes = 0;

	bench_must_be(charge_file, fscanf(f, "%llu", &bytes) == 1);
	fclose(f);
	return bytes;
}

void bench_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	bench_must_sys("sched_setaffinity", sched_setaffinity(0, sizeof(set), &set));
}
