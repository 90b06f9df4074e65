// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Events, through plain reads: that a reader waits, is woken, and loses nothing.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "raw.h"

/* Two events are there. */
static int told_of_a_collection(void)
{
	int fd = raw_heap(0);

	err_is(raw_listen(fd, MOHEAP_LISTEN_COLLECT), 0);
	err_is(raw_collect(fd, MOHEAP_COLLECT_LOCAL), 0);
	return fd;
}

static void nonblocking(int fd)
{
	ok(!fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
}

static short polled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	ok(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static void reads(void)
{
	int fd = told_of_a_collection();
	struct moheap_event events[3];

	memset(events, 0xff, sizeof(events));
	err_is(raw_read(fd, events, sizeof(events)), 2 * (int)sizeof(*events));
	is(events[0].type, MOHEAP_EVENT_COLLECT_BEGIN);
	is(events[0].count, 1);
	is(events[1].type, MOHEAP_EVENT_COLLECT_END);
	is(events[1].index, MOHEAP_COLLECT_LOCAL);
	is(events[1].collected, 0);
	is(events[1].reserved, 0);
	is(events[2].type, ~0U);
	nonblocking(fd);
	err_is(raw_read(fd, events, sizeof(events)), -EAGAIN);
	is(write(fd, events, sizeof(events)), -1);
	/* No more than fits, and nothing less than an event. */
	err_is(raw_collect(fd, MOHEAP_COLLECT_LOCAL), 0);
	err_is(raw_read(fd, events, 0), -EINVAL);
	err_is(raw_read(fd, events, sizeof(*events) - 1), -EINVAL);
	err_is(raw_read(fd, events, 2 * sizeof(*events) - 1), sizeof(*events));
	is(events[0].type, MOHEAP_EVENT_COLLECT_BEGIN);
	err_is(raw_read(fd, events, sizeof(*events)), sizeof(*events));
	is(events[0].type, MOHEAP_EVENT_COLLECT_END);
}

static void bad_memory_loses_nothing(void)
{
	struct moheap_event *page, event;
	int fd = told_of_a_collection();

	page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(page != MAP_FAILED && !munmap((char *)page + 4096, 4096));
	err_is(raw_read(fd, NULL, sizeof(event)), -EFAULT);
	/* Room for one event, and for the half of another. */
	err_is(raw_read(fd, (char *)page + 4096 - 96, 2 * sizeof(event)), -EFAULT);
	err_is(raw_collect(fd, MOHEAP_COLLECT_LOCAL), 0);
	err_is(raw_read(fd, (void *)1, sizeof(event)), -EFAULT);
	err_is(raw_read(fd, &event, sizeof(event)), sizeof(event));
	is(event.type, MOHEAP_EVENT_COLLECT_BEGIN);
	is(event.count, 2);
	err_is(raw_read(fd, &event, sizeof(event)), sizeof(event));
	is(event.type, MOHEAP_EVENT_COLLECT_END);
	is(event.count, 2);
	is(polled(fd), 0);
}

static void polls(void)
{
	int fd = told_of_a_collection(), unbound = must(raw_open(O_RDWR));
	struct moheap_event event;

	is(polled(unbound), POLLERR);
	is(polled(fd), POLLIN);
	err_is(raw_read(fd, &event, sizeof(event)), sizeof(event));
	is(polled(fd), POLLIN);
	err_is(raw_read(fd, &event, sizeof(event)), sizeof(event));
	is(polled(fd), 0);
	/* A client that may only read can listen as well. */
	fd = raw_join(fd, O_RDONLY);
	err_is(raw_listen(fd, MOHEAP_LISTEN_COLLECT), 0);
	is(polled(fd), 0);
}

/* ---- Deaths ---- */

static void deaths_are_told(void)
{
	int fd = raw_heap(0), type = must(raw_type(fd, "t", 16, 1, 0));
	struct moheap_event events[3];
	moheap_ref_t ref[2];
	__u32 id[3];

	err_is(raw_alloc(fd, type, 2, ref), 0);
	err_is(raw_watch(fd, ref[0], 10, &id[0]), 0);
	err_is(raw_watch(fd, ref[0], ~0ULL, &id[1]), 0);
	err_is(raw_watch(fd, ref[1], 12, &id[2]), 0);
	ok(id[0] != id[1] && id[1] != id[2] && id[0] != id[2]);
	is(polled(fd), 0);
	err_is(raw_drop(fd, ref[0]), 0);
	is(polled(fd), POLLIN);
	err_is(raw_read(fd, events, sizeof(events)), 2 * (int)sizeof(*events));
	is(events[0].type, MOHEAP_EVENT_WATCH);
	is(events[0].index, id[1]);
	ok(events[0].cookie == ~0ULL && events[0].ref == ref[0]);
	is(events[1].index, id[0]);
	err_is(raw_unwatch(fd, id[0]), -ENOENT);
	err_is(raw_drop(fd, ref[1]), 0);
	err_is(raw_unwatch(fd, id[2]), 1);
	is(polled(fd), 0);
}

/* The death that nobody survives to tell: others are told when a process is killed. */
static void deaths_of_clients_are_told(void)
{
	int fd = raw_heap(0), type = must(raw_type(fd, "t", 16, 1, 0));
	struct moheap_event event;
	moheap_ref_t ref;
	__u32 id;
	int other;

	other = raw_join(fd, O_RDWR);
	err_is(raw_alloc(other, type, 1, &ref), 0);
	err_is(raw_store(other, ref, 0, ref), 0);
	err_is(raw_watch(fd, ref, 1, &id), 0);
	err_is(raw_watch(other, ref, 2, &id), 0);
	close(other);
	/* The collector, by itself. */
	err_is(raw_read(fd, &event, sizeof(event)), sizeof(event));
	is(event.cookie, 1);
	is(polled(fd), 0);
}

/* ---- Objects to be finalized ---- */

static moheap_ref_t due(int fd)
{
	struct moheap_event event = { 0 };

	err_is(raw_read(fd, &event, sizeof(event)), sizeof(event));
	is(event.type, MOHEAP_EVENT_FINALIZE);
	return event.ref;
}

static void finalized_once(void)
{
	int fd = raw_heap(0), type = must(raw_type(fd, "t", 16, 1, MOHEAP_TYPE_FINALIZE));
	struct moheap_object object;
	moheap_ref_t ref[2];

	err_is(raw_listen(fd, MOHEAP_LISTEN_FINALIZE), 0);
	err_is(raw_alloc(fd, type, 2, ref), 0);
	err_is(raw_store(fd, ref[0], 0, ref[1]), 0);
	err_is(raw_store(fd, ref[1], 0, ref[0]), 0);
	err_is(raw_object(fd, ref[0], &object), 0);
	ok(!(object.flags & MOHEAP_OBJECT_FINALIZED));
	err_is(raw_drop(fd, ref[0]), 0);
	err_is(raw_drop(fd, ref[1]), 0);
	/* The collector does it by itself, and the reader is woken. */
	ok((due(fd) ^ due(fd)) == (ref[0] ^ ref[1]));
	err_is(raw_object(fd, ref[0], &object), 0);
	ok(object.flags & MOHEAP_OBJECT_FINALIZED);
	ok(object.flags & MOHEAP_OBJECT_HELD);
	is(object.count, 2);
	err_is(raw_drop(fd, ref[0]), 0);
	err_is(raw_store(fd, ref[0], 0, 0), 0);
	err_is(raw_store(fd, ref[1], 0, 0), 0);
	is(raw_objects(fd), 1);
	err_is(raw_drop(fd, ref[1]), 0);
	is(raw_objects(fd), 0);
	is(polled(fd), 0);
}

/* A reader whose memory is not there holds nothing. */
static void finalized_in_spite_of_bad_memory(void)
{
	int fd = raw_heap(0), type = must(raw_type(fd, "t", 16, 1, MOHEAP_TYPE_FINALIZE));
	struct moheap_event *page;
	struct moheap_object object;
	moheap_ref_t ref[3];
	unsigned int i;

	page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ok(page != MAP_FAILED && !munmap((char *)page + 4096, 4096));
	err_is(raw_listen(fd, MOHEAP_LISTEN_FINALIZE), 0);
	err_is(raw_alloc(fd, type, 3, ref), 0);
	for (i = 0; i < 3; i++)
		err_is(raw_drop(fd, ref[i]), 0);
	err_is(raw_read(fd, page + 4096 / sizeof(*page) - 1, 2 * sizeof(*page)), -EFAULT);
	err_is(raw_object(fd, ref[0], &object), 0);
	ok(!(object.flags & MOHEAP_OBJECT_HELD));
	is(object.count, 1);
	err_is(raw_check(fd), 0);
	for (i = 0; i < 3; i++) {
		ok(due(fd) == ref[i]);
		err_is(raw_drop(fd, ref[i]), 0);
	}
	is(raw_objects(fd), 0);
}

static void be_killed(void *arg)
{
	int *fd = arg, own = raw_join(*fd, O_RDWR), type;
	moheap_ref_t ref[10];
	unsigned int i;

	type = must(raw_type(own, "t", 16, 1, MOHEAP_TYPE_FINALIZE));
	err_is(raw_listen(own, MOHEAP_LISTEN_FINALIZE), 0);
	err_is(raw_alloc(own, type, 10, ref), 0);
	/* One is handed, four are due, and five are held. */
	for (i = 0; i < 5; i++)
		err_is(raw_drop(own, ref[i]), 0);
	ok(due(own) == ref[0]);
	raise(SIGKILL);
}

static void killed_with_objects_due(void)
{
	int fd = raw_heap(0), status;
	struct moheap_stat stat;
	unsigned int i;
	pid_t child;

	child = tap_fork(be_killed, &fd);
	is(waitpid(child, &status, 0), child);
	is(raw_objects(fd), 0);
	err_is(raw_stat(fd, &stat), 0);
	is(stat.finalized, 1);
	is(stat.unfinalized, 4);
	/* Somebody else takes over. */
	err_is(raw_listen(fd, MOHEAP_LISTEN_FINALIZE), 0);
	child = tap_fork(be_killed, &fd);
	is(waitpid(child, &status, 0), child);
	for (i = 0; i < 9; i++)
		err_is(raw_drop(fd, due(fd)), 0);
	is(polled(fd), 0);
	is(raw_objects(fd), 0);
}

static void unread_for_too_long(void)
{
	int fd = raw_heap(0), type = must(raw_type(fd, "t", 16, 1, MOHEAP_TYPE_FINALIZE));
	struct moheap_tune tune = {
		.size = sizeof(tune), .set = MOHEAP_TUNE_FINALIZE, .finalize_ms = 20,
	};
	struct moheap_stat stat;
	moheap_ref_t ref;

	err_is(raw_listen(fd, MOHEAP_LISTEN_FINALIZE), 0);
	err_is(raw_ioctl(fd, MOHEAP_IOC_TUNE, &tune), 0);
	err_is(raw_alloc(fd, type, 1, &ref), 0);
	err_is(raw_drop(fd, ref), 0);
	while (raw_objects(fd))
		usleep(1000);
	err_is(raw_stat(fd, &stat), 0);
	is(stat.unfinalized, 1);
	is(polled(fd), 0);
}

/* ---- Readers that wait ---- */

struct reader {
	pthread_t thread;
	int fd;
	bool by_poll;
	__u64 ends;
};

/* To the first end of a collection of generation 1. */
static void *reader_run(void *arg)
{
	struct reader *r = arg;
	struct moheap_event event = { 0 };

	while (event.type != MOHEAP_EVENT_COLLECT_END || event.index != 1) {
		struct pollfd p = { .fd = r->fd, .events = POLLIN };

		if (r->by_poll)
			is(poll(&p, 1, -1), 1);
		err_is(raw_read(r->fd, &event, sizeof(event)), sizeof(event));
		if (event.type == MOHEAP_EVENT_COLLECT_END)
			r->ends += event.count;
	}
	return NULL;
}

static void readers_are_woken(void)
{
	int fd = raw_heap(0);
	struct reader readers[4];
	unsigned int i, n = tap_scaled(500);
	struct moheap_stat stat;

	for (i = 0; i < TAP_COUNT(readers); i++) {
		readers[i] = (struct reader){ .fd = raw_join(fd, O_RDWR), .by_poll = i & 1 };
		err_is(raw_listen(readers[i].fd, MOHEAP_LISTEN_COLLECT), 0);
		ok(!pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]));
	}
	for (i = 0; i < n; i++)
		err_is(raw_collect(fd, MOHEAP_COLLECT_LOCAL), 0);
	err_is(raw_collect(fd, MOHEAP_COLLECT_LOCAL_ALL), 0);
	err_is(raw_stat(fd, &stat), 0);
	for (i = 0; i < TAP_COUNT(readers); i++) {
		ok(!pthread_join(readers[i].thread, NULL));
		is(readers[i].ends, n + 1);
	}
	is(stat.generation[0].collections, n);
	is(stat.generation[1].collections, 1);
}

static void on_alarm(int signal)
{
}

static void signals_wake_readers(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval often = { .it_interval.tv_usec = 10000, .it_value.tv_usec = 10000 };
	struct moheap_event event;
	int fd = raw_heap(0);

	ok(!sigaction(SIGALRM, &action, NULL));
	ok(!setitimer(ITIMER_REAL, &often, NULL));
	err_is(raw_read(fd, &event, sizeof(event)), -EINTR);
}

static const struct tap_case cases[] = {
	{ "reads give what is there", reads },
	{ "bad memory loses nothing", bad_memory_loses_nothing },
	{ "poll", polls },
	{ "deaths are told", deaths_are_told },
	{ "deaths of clients are told", deaths_of_clients_are_told },
	{ "objects are finalized once", finalized_once },
	{ "bad memory finalizes nothing", finalized_in_spite_of_bad_memory },
	{ "killed with objects due", killed_with_objects_due },
	{ "unread for too long", unread_for_too_long },
	{ "readers are woken", readers_are_woken },
	{ "signals wake readers", signals_wake_readers },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, cases, TAP_COUNT(cases));
}
