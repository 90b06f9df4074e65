/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Passing things to another process: bytes, and files, through a socket.
 */
#ifndef BENCH_PASS_H
#define BENCH_PASS_H

#include "bench.h"

void pass_pair(int sockets[2]);
void pass_write(int socket, const void *data, size_t size);
void pass_read(int socket, void *data, size_t size);
void pass_file(int socket, int file);
int pass_get_file(int socket);

#endif /* BENCH_PASS_H */
