// SPDX-License-Identifier: GPL-2.0
/*
 * See pass.h.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pass.h"

void pass_pair(int sockets[2])
{
	bench_must_sys("socketpair",
		       socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
}

void pass_write(int socket, const void *data, size_t size)
{
	ssize_t n;

	for (; size; size -= n) {
		n = bench_must_sys("write", write(socket, data, size));
		data = (const char *)data + n;
	}
}

void pass_read(int socket, void *data, size_t size)
{
	ssize_t n;

	for (; size; size -= n) {
		n = bench_must_sys("read", read(socket, data, size));
		bench_must_be("the other is there", n > 0);
		data = (char *)data + n;
	}
}

/* A message of one byte, with room for one file. */
struct message {
	struct msghdr header;
	struct iovec iov;
	char byte;
	union {
		struct cmsghdr align;
		char control[CMSG_SPACE(sizeof(int))];
	};
};

static struct cmsghdr *message_prepare(struct message *m)
{
	memset(m, 0, sizeof(*m));
	m->iov.iov_base = &m->byte;
	m->iov.iov_len = 1;
	m->header.msg_iov = &m->iov;
	m->header.msg_iovlen = 1;
	m->header.msg_control = m->control;
	m->header.msg_controllen = sizeof(m->control);
	return CMSG_FIRSTHDR(&m->header);
}

void pass_file(int socket, int file)
{
	struct message m;
	struct cmsghdr *control = message_prepare(&m);

	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(file));
	memcpy(CMSG_DATA(control), &file, sizeof(file));
	bench_must_sys("sendmsg", sendmsg(socket, &m.header, 0));
}

int pass_get_file(int socket)
{
	struct message m;
	struct cmsghdr *control = message_prepare(&m);
	int file;

	bench_must_be("a message came", recvmsg(socket, &m.header, 0) == 1);
	control = CMSG_FIRSTHDR(&m.header);
	bench_must_be("with a file", control && control->cmsg_type == SCM_RIGHTS);
	memcpy(&file, CMSG_DATA(control), sizeof(file));
	return file;
}
