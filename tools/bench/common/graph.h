/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Graphs in a moheap, made as any program would make them: object by object, through
 * libmoheap. Nodes have two slots and a value; they refer to each other through slot 0 where
 * one is enough.
 */
#ifndef BENCH_GRAPH_H
#define BENCH_GRAPH_H

#include <moheap.h>

#include "bench.h"

/* @refs are mirrors of the two slots. */
struct graph_node {
	__u64 value;
	moheap_ref_t refs[2];
};

struct moheap *graph_heap(void);

/* Nodes with mirrors, and nodes that are nothing but their slots: what a type costs. */
int graph_node_type(struct moheap *heap);
int graph_bare_type(struct moheap *heap);

/* A new object; the caller has a reference. */
moheap_ref_t graph_new(struct moheap *heap, int type);

/* @n objects, each referring to the next. The caller has a reference to the first alone. */
moheap_ref_t graph_chain(struct moheap *heap, int type, __u32 n);

/* A binary tree of @n objects, numbered from 1 in breadth; the caller has one to its root. */
moheap_ref_t graph_tree(struct moheap *heap, int type, __u32 n);

/* Garbage: @n objects that refer to each other in a ring, with no other reference left. */
void graph_drop_ring(struct moheap *heap, int type, __u32 n);

/* Garbage: @n objects in rings of two. */
void graph_drop_pairs(struct moheap *heap, int type, __u32 n);

void graph_flush(struct moheap *heap);
void graph_collect(struct moheap *heap, unsigned int generation);
struct moheap_stat graph_stat(struct moheap *heap);

/* Objects in cycles that the collector ever freed. */
__u64 graph_collected(struct moheap *heap);

/* Whether the collector works by itself. */
void graph_enable(struct moheap *heap, int enabled);

/*
 * What is made in between is there, and no work is left that it made for the collector: what is
 * measured begins after the second.
 */
void graph_prepare(struct moheap *heap);
void graph_prepared(struct moheap *heap);

#endif /* BENCH_GRAPH_H */
