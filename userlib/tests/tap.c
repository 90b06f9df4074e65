// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * See tap.h.
 */
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "tap.h"

#define TAP_SECONDS	60
#define TAP_SKIPPED	77
#define TAP_HEAPS	16

/* Shared with the process of the case: why it was skipped. */
static char *tap_reason;
#define TAP_REASON_LEN	256

static struct moheap *tap_heaps[TAP_HEAPS];
static unsigned int tap_nheaps;
static pid_t tap_case_pid;

void tap_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	fflush(stdout);
}

void tap_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(tap_reason, TAP_REASON_LEN, format, args);
	va_end(args);
	_exit(TAP_SKIPPED);
}

void tap_fail(const char *file, int line, const char *format, ...)
{
	const char *name = strrchr(file, '/');
	va_list args;

	va_start(args, format);
	printf("# %s:%d: ", name ? name + 1 : file, line);
	vprintf(format, args);
	printf("\n");
	va_end(args);
	fflush(stdout);
	_exit(1);
}

void tap_is(const char *file, int line, const char *what, long long got, long long want)
{
	if (got != want)
		tap_fail(file, line, "%s is %lld, not %lld", what, got, want);
}

static const char *tap_errno(long long ret)
{
	static char buffers[2][32];
	static int turn;
	char *buffer = buffers[turn++ % 2];
	const char *name = ret < 0 && ret >= -4095 ? strerrorname_np(-ret) : NULL;

	if (name)
		snprintf(buffer, sizeof(buffers[0]), "-%s", name);
	else
		snprintf(buffer, sizeof(buffers[0]), "%lld", ret);
	return buffer;
}

void tap_err(const char *file, int line, const char *what, long long got, long long want)
{
	if (got != want)
		tap_fail(file, line, "%s is %s, not %s", what, tap_errno(got), tap_errno(want));
}

int tap_must(const char *file, int line, const char *what, int got)
{
	if (got < 0)
		tap_err(file, line, what, got, 0);
	return got;
}

static unsigned long tap_scale(void)
{
	const char *scale = getenv("MOHEAP_SCALE");

	return scale && atol(scale) > 0 ? atol(scale) : 100;
}

unsigned long tap_scaled(unsigned long n)
{
	unsigned long scaled = n * tap_scale() / 100;

	return scaled ? scaled : 1;
}

unsigned long tap_large(unsigned long n)
{
	const char *large = getenv("MOHEAP_LARGE");
	unsigned long most = large && atol(large) > 0 ? atol(large) : TAP_LARGE;

	return tap_scaled(n) * most / TAP_LARGE;
}

double tap_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1000000000.0;
}

void *tap_shared(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ok(memory != MAP_FAILED);
	return memory;
}

/* ---- Heaps ---- */

void tap_heap_adopted(struct moheap *heap)
{
	ok(tap_nheaps < TAP_HEAPS);
	tap_heaps[tap_nheaps++] = heap;
}

struct moheap *tap_heap_limited(__u64 limit)
{
	struct moheap_options options = {
		.size = sizeof(options),
		.flags = MOHEAP_CREATE_DEBUG,
		.limit = limit,
	};
	struct moheap *heap;

	err_is(moheap_create(&options, &heap), 0);
	tap_heap_adopted(heap);
	return heap;
}

struct moheap *tap_heap(void)
{
	return tap_heap_limited(0);
}

bool tap_guarded(void)
{
	const char *value = getenv("MOHEAP_DEBUG");

	return value && *value && strcmp(value, "0");
}

__u64 tap_objects(struct moheap *heap)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	struct moheap_stat stat = { .size = sizeof(stat) };

	err_is(moheap_trim(heap), 0);
	for (;;) {
		err_is(moheap_stat(heap, &stat), 0);
		if (!stat.pending)
			break;
		nanosleep(&moment, NULL);
	}
	/* They may have been counted before the last of the dead was done with. */
	err_is(moheap_stat(heap, &stat), 0);
	return stat.objects;
}

/* For what others give up: clients that were killed, the collector's thread. */
void tap_wait_objects(struct moheap *heap, __u64 want)
{
	double end = tap_seconds() + 20;
	const struct timespec moment = { .tv_nsec = 5000000 };

	while (tap_objects(heap) != want && tap_seconds() < end)
		nanosleep(&moment, NULL);
	is(tap_objects(heap), want);
}

int tap_type(struct moheap *heap, const char *name, size_t payload, unsigned int slots)
{
	struct moheap_layout layout = {
		.size = sizeof(layout),
		.name = name,
		.payload = payload,
		.slots = slots,
	};

	return must(moheap_type_register(heap, &layout));
}

moheap_ref_t tap_new(struct moheap *heap, int type)
{
	moheap_ref_t ref;

	err_is(moheap_new(heap, type, &ref), 0);
	ok(ref);
	return ref;
}

/* ---- Processes ---- */

pid_t tap_fork(void (*run)(void *arg), void *arg)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	ok(child >= 0);
	if (child)
		return child;
	run(arg);
	fflush(stdout);
	_exit(0);
}

void tap_wait(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		ok(errno == EINTR);
	if (WIFSIGNALED(status))
		tap_fail(__FILE__, __LINE__, "a process died of signal %d", WTERMSIG(status));
	is(WEXITSTATUS(status), 0);
}

/* ---- Cases ---- */

static void tap_verify_heaps(void)
{
	unsigned int i;

	for (i = 0; i < tap_nheaps; i++) {
		err_is(moheap_flush(tap_heaps[i]), 0);
		err_is(moheap_check(tap_heaps[i]), 0);
		err_is(moheap_close(tap_heaps[i]), 0);
	}
}

static void tap_run_case(const struct tap_case *c)
{
	setpgid(0, 0);
	tap_case_pid = getpid();
	if (c->run_with)
		c->run_with(c->arg);
	else
		c->run();
	if (getpid() != tap_case_pid)
		tap_fail(__FILE__, __LINE__, "a child came back");
	tap_verify_heaps();
	fflush(stdout);
	_exit(0);
}

/* Wait for a case; kill it, and what it left behind, when its time is up. */
static int tap_await(pid_t pid, unsigned int seconds)
{
	const struct timespec moment = { .tv_nsec = 2000000 };
	double end = tap_seconds() + seconds;
	bool late = false;
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (!late && tap_seconds() > end) {
			late = true;
			printf("# killed after %u s\n", seconds);
			kill(-pid, SIGKILL);
		}
		nanosleep(&moment, NULL);
	}
	kill(-pid, SIGKILL);
	return status;
}

static bool tap_case(const struct tap_case *c, unsigned int number)
{
	unsigned long seconds = c->seconds ? c->seconds : TAP_SECONDS;
	unsigned long scale = tap_scale();
	double began = tap_seconds();
	int status;
	pid_t pid;

	fflush(stdout);
	*tap_reason = 0;
	pid = fork();
	if (!pid)
		tap_run_case(c);
	status = tap_await(pid, scale > 100 ? seconds * scale / 100 : seconds);
	if (WIFEXITED(status) && WEXITSTATUS(status) == TAP_SKIPPED) {
		printf("ok %u - %s # SKIP %s\n", number, c->name, tap_reason);
		return true;
	}
	if (WIFSIGNALED(status))
		printf("# died of signal %d\n", WTERMSIG(status));
	if (tap_seconds() - began > 2)
		printf("# took %.1f s\n", tap_seconds() - began);
	printf("%sok %u - %s\n", status ? "not " : "", number, c->name);
	return !status;
}

int tap_main(int argc, char **argv, const struct tap_case *cases, unsigned int n)
{
	unsigned int i, wanted = 0, number = 0;
	bool passed = true;

	tap_reason = tap_shared(TAP_REASON_LEN);
	for (i = 0; i < n; i++)
		wanted += argc < 2 || strstr(cases[i].name, argv[1]);
	printf("1..%u\n", wanted);
	for (i = 0; i < n; i++)
		if (argc < 2 || strstr(cases[i].name, argv[1]))
			passed &= tap_case(&cases[i], ++number);
	fflush(stdout);
	return !passed;
}

int tap_main_table(int argc, char **argv, const void *table, size_t size, unsigned int n,
		   const struct tap_case *like)
{
	struct tap_case *cases = calloc(n, sizeof(*cases));
	const char *entry = table;
	unsigned int i;
	int status;

	if (!cases) {
		perror("tap");
		return 1;
	}
	for (i = 0; i < n; i++, entry += size) {
		cases[i] = *like;
		memcpy(&cases[i].name, entry, sizeof(cases[i].name));
		cases[i].arg = entry;
	}
	status = tap_main(argc, argv, cases, n);
	free(cases);
	return status;
}
