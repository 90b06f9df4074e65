/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * Containers and boxes: what Python has built in, made of objects. Included by moheap.h.
 *
 * Words
 * -----
 * box		an object with one value that never changes: an int, a float, a byte string
 * container	an object that refers to others by place or by key: a tuple, list, dict or set
 * item		what a tuple or list has at an index. An item, and the value of a key, may be 0,
 *		which means none, as Python's None; a key may not
 * key		what a dict finds a value by, or a set has
 *
 * They are ordinary objects: freed when nobody refers to them, in cycles too, readable by every
 * client of the heap. What follows uses no call of the library that a program could not use.
 *
 * Who holds what: a function that takes an item, key or value never takes the caller's reference
 * away: the container has one of its own, through a slot. What comes out through a pointer
 * ("out") comes with a reference for the caller, unless the function says borrowed.
 *
 * References in containers have mirrors: finding a key or walking over items reads memory. The
 * one exception is said at moheap_list_new_plain().
 *
 * Errors: a function that fails for want of memory (-ENOMEM, -ENOSPC) or size (-E2BIG) leaves
 * the containers it was given as they were, and has made nothing. The ref of a container must be
 * that of a living container of the kind the function is for, as with any pointer in C; keys,
 * items and boxes may be anything, and are checked. Functions that change something return
 * -EACCES on a read-only client.
 *
 * Sharing: the library keeps no lock for a container. As long as nobody changes it, any number
 * of threads and processes may read it. Who changes it must keep all others from using it
 * meanwhile: with a lock of the program's own, which may lie in payload. Between processes,
 * moheap_flush() before that lock is given back: what is queued would otherwise reach the slots
 * after what the next one does to them. A borrowed ref that is used after the lock was given
 * back may have lost its object: moheap_incref() finds out, and says -ESTALE.
 *
 * moheap_getsizeof() says what a box or tuple takes. The other containers are of two objects,
 * and have a function each.
 */
#ifndef MOHEAP_CONTAINERS_H
#define MOHEAP_CONTAINERS_H

#include <moheap.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Kinds, equality, hash ---- */

enum moheap_kind {
	MOHEAP_KIND_OTHER = 0,
	MOHEAP_KIND_INT = 1,
	MOHEAP_KIND_FLOAT = 2,
	MOHEAP_KIND_BYTES = 3,
	MOHEAP_KIND_TUPLE = 4,
	MOHEAP_KIND_LIST = 5,
	MOHEAP_KIND_DICT = 6,
	MOHEAP_KIND_SET = 7,
};

/**
 * moheap_kind() - is an object one of those here, and which?
 * @heap: the heap
 * @ref: the object
 *
 * Return: enum moheap_kind; or as moheap_type_of().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_kind(struct moheap *heap, moheap_ref_t ref);

/**
 * moheap_equal() - are two objects equal, as keys and items are compared?
 * @heap: the heap
 * @a: an object, or 0
 * @b: an object, or 0
 *
 * An object is equal to itself. Two numbers are equal by value, 1 and 1.0 too; two byte strings
 * by their bytes; two tuples item by item. Everything else, lists, dicts and sets included, is
 * equal to nothing but itself.
 *
 * Return: 1 or 0; -ELOOP: equal tuples lie in each other more than 200 deep; -ESTALE, -EINVAL.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_equal(struct moheap *heap, moheap_ref_t a, moheap_ref_t b);

/**
 * moheap_hash() - a number that equal objects share
 * @heap: the heap
 * @ref: an object, or 0
 * @hash: out: the number, the same in every process
 *
 * That of a tuple or byte string was found when it was made. It is no secret how to find
 * many objects with one hash: dicts are not for keys that an adversary picks.
 *
 * Return: 0, -ESTALE, -EINVAL.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_hash(struct moheap *heap, moheap_ref_t ref, __u64 *hash);

/* ---- Numbers ---- */

/**
 * moheap_int_new() - put an integer in a box
 * @heap: the heap
 * @value: the integer
 * @box: out: the box; the caller has a reference to it
 *
 * Return: as moheap_new().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_int_new(struct moheap *heap, long long value, moheap_ref_t *box);

/**
 * moheap_int_value() - what is in a box
 * @heap: the heap
 * @box: the box
 * @value: out: the integer
 *
 * Return: 0; -EINVAL: @box is no integer; -ESTALE.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_int_value(struct moheap *heap, moheap_ref_t box, long long *value);

/**
 * moheap_float_new() - put a floating-point number in a box
 * @heap: the heap
 * @value: the number
 * @box: out: the box; the caller has a reference to it
 *
 * A box with a NaN is equal to itself only.
 *
 * Return: as moheap_new().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_float_new(struct moheap *heap, double value, moheap_ref_t *box);

/**
 * moheap_float_value() - what is in a box
 * @heap: the heap
 * @box: the box
 * @value: out: the number
 *
 * Return: 0; -EINVAL: @box is no floating-point number; -ESTALE.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_float_value(struct moheap *heap, moheap_ref_t box, double *value);

/* ---- Byte strings ---- */

/**
 * moheap_bytes_new() - make a byte string
 * @heap: the heap
 * @data: the bytes; may be NULL where @len is 0
 * @len: how many
 * @bytes: out: the byte string; the caller has a reference to it
 *
 * Return: as moheap_new_sized().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_bytes_new(struct moheap *heap, const void *data, size_t len, moheap_ref_t *bytes);

/**
 * moheap_bytes_value() - what a byte string has
 * @heap: the heap
 * @bytes: the byte string
 * @data: out: the bytes, in place, and a 0 after them; good as long as @bytes lives
 * @len: out: how many, without that 0; may be NULL
 *
 * Return: 0; -EINVAL: @bytes is no byte string; -ESTALE.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_bytes_value(struct moheap *heap, moheap_ref_t bytes, const char **data, size_t *len);

/**
 * moheap_intern() - the byte string of this content: Python's sys.intern()
 * @heap: the heap
 * @data: the bytes; may be NULL where @len is 0
 * @len: how many
 * @bytes: out: the byte string, made if there is none; the caller has a reference to it
 *
 * All clients of a heap that ask for the same bytes get the same object, as long as it lives: two
 * interned strings are equal if their refs are. To be interned keeps nothing alive: when nobody
 * else refers to the string, it goes, and the next to ask gets a new one. Unlike containers, what
 * is interned needs no lock of the program's: any number of threads and processes may ask at once.
 *
 * A string that is there costs one system call, or none where the process has a reference to it.
 *
 * Return: 0; as moheap_bytes_new(); -EACCES: a reader asks for what is not there.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_intern(struct moheap *heap, const void *data, size_t len, moheap_ref_t *bytes);

/**
 * moheap_interned() - is an object what moheap_intern() gives?
 * @heap: the heap
 * @ref: the object
 *
 * Return: 1 or 0; -ESTALE, -EINVAL.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_interned(struct moheap *heap, moheap_ref_t ref);

/* ---- Tuples ---- */

/**
 * moheap_tuple_new() - make a tuple
 * @heap: the heap
 * @items: its items; may be NULL where @n is 0
 * @n: how many
 * @tuple: out: the tuple; the caller has a reference to it
 *
 * Return: as moheap_new_sized(); -ESTALE, -EINVAL for an item that is no object.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_tuple_new(struct moheap *heap, const moheap_ref_t *items, size_t n,
		     moheap_ref_t *tuple);

/**
 * moheap_tuple_len() - how many items a tuple has
 * @heap: the heap
 * @tuple: the tuple
 *
 * Return: how many.
 */
MOHEAP_API
size_t moheap_tuple_len(const struct moheap *heap, moheap_ref_t tuple);

/**
 * moheap_tuple_get() - take a reference to an item
 * @heap: the heap
 * @tuple: the tuple
 * @index: which
 * @value: out: the object, or 0
 *
 * Return: 0, -ERANGE: no such item.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_tuple_get(struct moheap *heap, moheap_ref_t tuple, size_t index, moheap_ref_t *value);

/**
 * moheap_tuple_items() - the items of a tuple, to be read as memory
 * @heap: the heap
 * @tuple: the tuple
 *
 * Return: moheap_tuple_len() refs, borrowed; good as long as @tuple lives.
 */
MOHEAP_API
const moheap_ref_t *moheap_tuple_items(const struct moheap *heap, moheap_ref_t tuple);

/* ---- Lists ---- */

/*
 * A list is an object with one slot, which refers to an array of slots; where that is full, a
 * larger one takes its place.
 */

/**
 * moheap_list_new() - make an empty list
 * @heap: the heap
 * @capacity: items to have room for at first; 0 is fine
 * @list: out: the list; the caller has a reference to it
 *
 * Return: as moheap_new().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_new(struct moheap *heap, size_t capacity, moheap_ref_t *list);

/**
 * moheap_list_new_plain() - make an empty list without mirrors
 * @heap: the heap
 * @capacity: items to have room for at first; 0 is fine
 * @list: out: the list; the caller has a reference to it
 *
 * An item takes 4 bytes then, where it takes 12 otherwise, and to read one is a system call.
 *
 * Return: as moheap_new().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_new_plain(struct moheap *heap, size_t capacity, moheap_ref_t *list);

/**
 * moheap_list_repeat() - make a list that has one object many times: Python's [value] * n
 * @heap: the heap
 * @value: the object, or 0
 * @n: how many times
 * @list: out: the list, a plain one; the caller has a reference to it
 *
 * Return: as moheap_new().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_repeat(struct moheap *heap, moheap_ref_t value, size_t n, moheap_ref_t *list);

/**
 * moheap_list_len() - how many items a list has
 * @heap: the heap
 * @list: the list
 *
 * Reads memory; @list must be a list, and alive.
 *
 * Return: how many.
 */
MOHEAP_API
size_t moheap_list_len(const struct moheap *heap, moheap_ref_t list);

/**
 * moheap_list_append() - add an item at the end
 * @heap: the heap
 * @list: the list
 * @value: the object, or 0; the list takes a reference of its own
 *
 * Return: 0; -E2BIG: MOHEAP_SLOTS_MAX items; as moheap_new() where the list must grow.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_append(struct moheap *heap, moheap_ref_t list, moheap_ref_t value);

/**
 * moheap_list_insert() - add an item in the middle
 * @heap: the heap
 * @list: the list
 * @index: the place it shall have; the length appends
 * @value: the object, or 0; the list takes a reference of its own
 *
 * Return: as moheap_list_append(); -ERANGE where @index is above the length.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_insert(struct moheap *heap, moheap_ref_t list, size_t index, moheap_ref_t value);

/**
 * moheap_list_get() - take a reference to an item
 * @heap: the heap
 * @list: the list
 * @index: which
 * @value: out: the object, or 0
 *
 * Return: 0, -ERANGE: no such item.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_get(struct moheap *heap, moheap_ref_t list, size_t index, moheap_ref_t *value);

/**
 * moheap_list_read() - many items at once
 * @heap: the heap
 * @list: the list
 * @index: the first
 * @n: how many
 * @values: out: the objects, borrowed
 *
 * Return: 0, -ERANGE: not all of these items exist.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_read(struct moheap *heap, moheap_ref_t list, size_t index, size_t n,
		     moheap_ref_t *values);

/**
 * moheap_list_set() - replace an item
 * @heap: the heap
 * @list: the list
 * @index: which
 * @value: the object, or 0; the list takes a reference of its own
 *
 * Return: 0, -ERANGE: no such item.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_set(struct moheap *heap, moheap_ref_t list, size_t index, moheap_ref_t value);

/**
 * moheap_list_pop() - take the last item off
 * @heap: the heap
 * @list: the list
 * @value: out: the object, or 0; NULL: nobody wants it
 *
 * Return: 0, -ERANGE: the list is empty.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_pop(struct moheap *heap, moheap_ref_t list, moheap_ref_t *value);

/**
 * moheap_list_pop_at() - take an item out
 * @heap: the heap
 * @list: the list
 * @index: which
 * @value: out: the object, or 0; NULL: nobody wants it
 *
 * Return: 0, -ERANGE: no such item.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_pop_at(struct moheap *heap, moheap_ref_t list, size_t index, moheap_ref_t *value);

/**
 * moheap_list_delete() - take items out, and let go of them: Python's del list[i:j]
 * @heap: the heap
 * @list: the list
 * @index: the first
 * @n: how many
 *
 * Return: 0, -ERANGE: not all of these items exist.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_delete(struct moheap *heap, moheap_ref_t list, size_t index, size_t n);

/**
 * moheap_list_clear() - let go of all items
 * @heap: the heap
 * @list: the list
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_clear(struct moheap *heap, moheap_ref_t list);

/**
 * moheap_list_index() - where a list has an item that is equal to an object
 * @heap: the heap
 * @list: the list
 * @value: the object, or 0
 * @from: index to begin at
 *
 * See moheap_equal().
 *
 * Return: the first index, -ENOENT: there is none; as moheap_equal().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
long long moheap_list_index(struct moheap *heap, moheap_ref_t list, moheap_ref_t value,
			    size_t from);

/**
 * moheap_list_remove() - take the first item out that is equal to an object
 * @heap: the heap
 * @list: the list
 * @value: the object, or 0
 *
 * Return: 0, -ENOENT: there is none; as moheap_equal().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_remove(struct moheap *heap, moheap_ref_t list, moheap_ref_t value);

/**
 * moheap_list_extend() - add all items of another list
 * @heap: the heap
 * @list: the list
 * @other: the other; may be @list
 *
 * Return: as moheap_list_append().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_extend(struct moheap *heap, moheap_ref_t list, moheap_ref_t other);

/**
 * moheap_list_concat() - make a list of the items of two: Python's a + b
 * @heap: the heap
 * @a: a list
 * @b: a list; may be @a
 * @list: out: the list, with room for no more, plain where both are; the caller has a reference
 *	to it
 *
 * Return: as moheap_list_new().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_concat(struct moheap *heap, moheap_ref_t a, moheap_ref_t b, moheap_ref_t *list);

/**
 * moheap_list_slice() - make a list of some items of another: Python's list[i:j]
 * @heap: the heap
 * @list: the other
 * @index: the first
 * @n: how many
 * @slice: out: the list, plain where @list is; the caller has a reference to it
 *
 * Return: as moheap_list_new(); -ERANGE: not all of these items exist.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_slice(struct moheap *heap, moheap_ref_t list, size_t index, size_t n,
		      moheap_ref_t *slice);

/**
 * moheap_list_items() - the items of a list, to be read as memory
 * @heap: the heap
 * @list: the list
 *
 * Return: moheap_list_len() refs, borrowed; good until the list is changed. NULL where the list
 * is plain or never had an item.
 */
MOHEAP_API
const moheap_ref_t *moheap_list_items(const struct moheap *heap, moheap_ref_t list);

/**
 * moheap_list_equal() - do two lists have equal items in the same order?
 * @heap: the heap
 * @a: a list
 * @b: a list
 *
 * Return: 1 or 0; as moheap_equal().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_list_equal(struct moheap *heap, moheap_ref_t a, moheap_ref_t b);

/**
 * moheap_list_getsizeof() - what a list takes, without what it refers to
 * @heap: the heap
 * @list: the list
 *
 * Return: bytes of the list and its array, or a negative errno.
 */
MOHEAP_API
long long moheap_list_getsizeof(struct moheap *heap, moheap_ref_t list);

/* ---- Dicts and sets: what they share ---- */

/*
 * A dict or set is an object with one slot, which refers to a table: the entries in the order in
 * which they came, and an index that finds them by their hash. Where the table is full, another
 * takes its place.
 */

/**
 * struct moheap_cursor - a place in a dict or set that is walked over
 * @table: the table it is in
 * @at: entries behind it
 * @len: entries there were when it began
 *
 * All zero before the first step. The members are the library's.
 */
struct moheap_cursor {
	moheap_ref_t table;
	__u64 at;
	__u64 len;
};

/* ---- Dicts ---- */

/**
 * moheap_dict_new() - make an empty dict
 * @heap: the heap
 * @dict: out: the dict; the caller has a reference to it
 *
 * Return: as moheap_new().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_dict_new(struct moheap *heap, moheap_ref_t *dict);

/**
 * moheap_dict_len() - how many keys a dict has
 * @heap: the heap
 * @dict: the dict
 *
 * Return: how many.
 */
MOHEAP_API
size_t moheap_dict_len(const struct moheap *heap, moheap_ref_t dict);

/**
 * moheap_dict_set() - give a key a value
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 * @value: the object, or 0
 *
 * Where the dict has an equal key, that one stays, and its place.
 *
 * Return: 0; -EINVAL, -ESTALE: @key is no object; as moheap_new_sized() where the dict must grow.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_dict_set(struct moheap *heap, moheap_ref_t dict, moheap_ref_t key, moheap_ref_t value);

/**
 * moheap_dict_get() - take a reference to the value of a key
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 * @value: out: the object, or 0
 *
 * Return: 0, -ENOENT: no such key; as moheap_hash(), moheap_equal().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_dict_get(struct moheap *heap, moheap_ref_t dict, moheap_ref_t key, moheap_ref_t *value);

/**
 * moheap_dict_contains() - does a dict have a key?
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 *
 * Return: 1 or 0; as moheap_hash(), moheap_equal().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_dict_contains(struct moheap *heap, moheap_ref_t dict, moheap_ref_t key);

/**
 * moheap_dict_setdefault() - the value of a key, which is given one first where it is missing
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 * @value: what the key is given then
 * @got: out: the value it has
 *
 * Return: as moheap_dict_set().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_dict_setdefault(struct moheap *heap, moheap_ref_t dict, moheap_ref_t key,
			   moheap_ref_t value, moheap_ref_t *got);

/**
 * moheap_dict_pop() - take a key out
 * @heap: the heap
 * @dict: the dict
 * @key: the key
 * @value: out: the value it had; NULL: nobody wants it
 *
 * Return: 0, -ENOENT: no such key; as moheap_hash(), moheap_equal().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_dict_pop(struct moheap *heap, moheap_ref_t dict, moheap_ref_t key, moheap_ref_t *value);

/**
 * moheap_dict_popitem() - take the key out that came last
 * @heap: the heap
 * @dict: the dict
 * @key: out: the key
 * @value: out: its value, or 0
 *
 * Return: 0, -ENOENT: the dict is empty.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_dict_popitem(struct moheap *heap, moheap_ref_t dict, moheap_ref_t *key,
			moheap_ref_t *value);

/**
 * moheap_dict_clear() - let go of all keys and values
 * @heap: the heap
 * @dict: the dict
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_dict_clear(struct moheap *heap, moheap_ref_t dict);

/**
 * moheap_dict_update() - as moheap_dict_set() of each key of another dict
 * @heap: the heap
 * @dict: the dict
 * @other: the other; may be @dict
 *
 * Return: as moheap_dict_set().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_dict_update(struct moheap *heap, moheap_ref_t dict, moheap_ref_t other);

/**
 * moheap_dict_copy() - make a dict with the same keys and values
 * @heap: the heap
 * @dict: the dict
 * @copy: out: the copy; the caller has a reference to it
 *
 * Return: as moheap_dict_new().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_dict_copy(struct moheap *heap, moheap_ref_t dict, moheap_ref_t *copy);

/**
 * moheap_dict_next() - walk over a dict, in the order in which its keys came
 * @heap: the heap
 * @dict: the dict
 * @cursor: where the walk is
 * @key: out: the next key, borrowed
 * @value: out: its value, borrowed; may be NULL
 *
 * Values may be changed meanwhile.
 *
 * Return: 1; 0: that was all; -EAGAIN: keys came or went since the walk began.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_dict_next(const struct moheap *heap, moheap_ref_t dict, struct moheap_cursor *cursor,
		     moheap_ref_t *key, moheap_ref_t *value);

/**
 * moheap_dict_equal() - do two dicts have equal values for equal keys?
 * @heap: the heap
 * @a: a dict
 * @b: a dict
 *
 * Return: 1 or 0; as moheap_equal().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_dict_equal(struct moheap *heap, moheap_ref_t a, moheap_ref_t b);

/**
 * moheap_dict_getsizeof() - what a dict takes, without what it refers to
 * @heap: the heap
 * @dict: the dict
 *
 * Return: bytes of the dict and its table, or a negative errno.
 */
MOHEAP_API
long long moheap_dict_getsizeof(struct moheap *heap, moheap_ref_t dict);

/* ---- Sets ---- */

/**
 * moheap_set_new() - make an empty set
 * @heap: the heap
 * @set: out: the set; the caller has a reference to it
 *
 * Return: as moheap_new().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_new(struct moheap *heap, moheap_ref_t *set);

/**
 * moheap_set_len() - how many keys a set has
 * @heap: the heap
 * @set: the set
 *
 * Return: how many.
 */
MOHEAP_API
size_t moheap_set_len(const struct moheap *heap, moheap_ref_t set);

/**
 * moheap_set_add() - put a key in
 * @heap: the heap
 * @set: the set
 * @key: the key
 *
 * Return: 1, 0: there is an equal one; -EINVAL, -ESTALE: @key is no object; as
 * moheap_new_sized() where the set must grow.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_add(struct moheap *heap, moheap_ref_t set, moheap_ref_t key);

/**
 * moheap_set_contains() - does a set have a key?
 * @heap: the heap
 * @set: the set
 * @key: the key
 *
 * Return: 1 or 0; as moheap_hash(), moheap_equal().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_contains(struct moheap *heap, moheap_ref_t set, moheap_ref_t key);

/**
 * moheap_set_remove() - take a key out
 * @heap: the heap
 * @set: the set
 * @key: the key
 *
 * Return: 0, -ENOENT: no such key; as moheap_hash(), moheap_equal().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_remove(struct moheap *heap, moheap_ref_t set, moheap_ref_t key);

/**
 * moheap_set_pop() - take a key out, any
 * @heap: the heap
 * @set: the set
 * @key: out: the key
 *
 * Return: 0, -ENOENT: the set is empty.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_pop(struct moheap *heap, moheap_ref_t set, moheap_ref_t *key);

/**
 * moheap_set_clear() - let go of all keys
 * @heap: the heap
 * @set: the set
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_clear(struct moheap *heap, moheap_ref_t set);

/**
 * moheap_set_update() - put all keys of another set in
 * @heap: the heap
 * @set: the set
 * @other: the other; may be @set
 *
 * Return: 0; as moheap_set_add().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_update(struct moheap *heap, moheap_ref_t set, moheap_ref_t other);

/**
 * moheap_set_copy() - make a set with the same keys
 * @heap: the heap
 * @set: the set
 * @copy: out: the copy; the caller has a reference to it
 *
 * Return: as moheap_set_new().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_copy(struct moheap *heap, moheap_ref_t set, moheap_ref_t *copy);

/**
 * moheap_set_intersection() - make a set of the keys that two sets share: Python's a & b
 * @heap: the heap
 * @a: a set; its keys are taken
 * @b: a set
 * @set: out: the set; the caller has a reference to it
 *
 * Return: as moheap_set_new(), moheap_set_add().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_intersection(struct moheap *heap, moheap_ref_t a, moheap_ref_t b,
			    moheap_ref_t *set);

/**
 * moheap_set_difference() - make a set of the keys that only one set has: Python's a - b
 * @heap: the heap
 * @a: a set; its keys are taken
 * @b: a set
 * @set: out: the set; the caller has a reference to it
 *
 * Return: as moheap_set_new(), moheap_set_add().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_difference(struct moheap *heap, moheap_ref_t a, moheap_ref_t b,
			  moheap_ref_t *set);

/**
 * moheap_set_issubset() - does a set have all keys of another?
 * @heap: the heap
 * @a: the other
 * @b: the set
 *
 * Return: 1 or 0; as moheap_equal().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_issubset(struct moheap *heap, moheap_ref_t a, moheap_ref_t b);

/**
 * moheap_set_equal() - do two sets have equal keys?
 * @heap: the heap
 * @a: a set
 * @b: a set
 *
 * Return: 1 or 0; as moheap_equal().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_equal(struct moheap *heap, moheap_ref_t a, moheap_ref_t b);

/**
 * moheap_set_next() - walk over a set
 * @heap: the heap
 * @set: the set
 * @cursor: where the walk is
 * @key: out: the next key, borrowed
 *
 * Return: 1; 0: that was all; -EAGAIN: keys came or went since the walk began.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_set_next(const struct moheap *heap, moheap_ref_t set, struct moheap_cursor *cursor,
		    moheap_ref_t *key);

/**
 * moheap_set_getsizeof() - what a set takes, without what it refers to
 * @heap: the heap
 * @set: the set
 *
 * Return: bytes of the set and its table, or a negative errno.
 */
MOHEAP_API
long long moheap_set_getsizeof(struct moheap *heap, moheap_ref_t set);

#ifdef __cplusplus
}
#endif

#endif /* MOHEAP_CONTAINERS_H */
