/* SPDX-License-Identifier: MIT OR LGPL-2.1-only */
/*
 * libmoheap: objects that the kernel owns.
 *
 * A heap holds objects. An object is some bytes (its payload, plain memory in your address
 * space) and some slots (references to other objects, kept by the kernel). What a process
 * holds, and all that can be reached from there through slots, stays alive; everything else
 * is freed: at once where reference counts tell, by the kernel's cycle collector where they
 * cannot, and when the process dies, however it dies.
 *
 * Words
 * -----
 * ref		the 64-bit name of one object for all time. By itself it is weak: it keeps nothing
 *		alive, and once the object is gone it means -ESTALE, never somebody else's object
 * reference	a count that keeps an object alive. A function that gives you one says so;
 *		moheap_decref() gives it back
 * borrowed	a ref that came without a reference: it names the object as long as something
 *		else keeps it; moheap_incref() makes it yours
 *
 * Errors
 * ------
 * Functions return 0 (or something that is not negative), or a negative errno. Every call can
 * return what <linux/moheap.h> lists for the ioctl behind it, and -ENOTCONN in a process that
 * was forked without a client of its own (moheap_set_fork()). Only what a call adds to that is
 * said at the call.
 *
 * What goes out when
 * ------------------
 * moheap_store(), moheap_decref() and the last step of giving something up need no answer, so
 * they gather in a queue and reach the kernel many at once: when the queue is full, and before
 * every call that does need an answer. So a program always sees its own operations in its own
 * order. Others may see them late. So there is one rule: *call moheap_flush() before you tell
 * anyone outside the process, or another client inside it, a ref, or to look*. Call it, too, when
 * your program goes idle. An operation that fails in the queue does not stop those after it; the
 * first such error is returned by the next moheap_flush() (or moheap_close()).
 *
 * An object, too, is this process's own business until then: the block of one that dies before
 * it is stored anywhere may become the next object's without the kernel hearing of either. Its
 * ref is stale then as any other's.
 *
 * With MOHEAP_UNBATCHED=1 in the environment nothing is queued or stocked: every operation is a
 * system call, and its error comes from the call that caused it.
 *
 * Threads, signals, fork
 * ----------------------
 * Every function may be called by any number of threads at once, moheap_close() excepted: it
 * must be the last for its heap. Order between threads is what they make of it with their own
 * synchronisation; the queue is the heap's, not the thread's, so what happened before in one
 * thread is in the queue before what happens after in another. For containers the library keeps
 * no lock (moheap-containers.h). No function may be called in a signal handler. Signals
 * interrupt nothing but moheap_collect() and moheap_dispatch_wait(). See moheap_set_fork() for
 * fork().
 *
 * Structures that begin with size may grow: set it to sizeof the structure before the call.
 */
#ifndef MOHEAP_H
#define MOHEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/moheap.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOHEAP_API		__attribute__((visibility("default")))
#define MOHEAP_WARN_UNUSED	__attribute__((warn_unused_result))

/* The name of one object, or 0 (MOHEAP_REF_NONE) for none. */
typedef __u64 moheap_ref_t;

/* A heap as this process is attached to it: one client of the kernel's. */
struct moheap;

/* ---- Heaps ---- */

/**
 * enum moheap_fork - what becomes of a heap in a child of fork()
 * @MOHEAP_FORK_CLONE: the child gets a client of its own with the same references. The default
 * @MOHEAP_FORK_SHARE: parent and child stay one client, for a child that soon calls exec() or
 *	_exit(), or one that uses the heap in its parent's place. What either gives up, both
 *	lose, and what either holds stays held until one gives it up or both are gone
 * @MOHEAP_FORK_NONE: the child has no heap: its calls return -ENOTCONN, and nothing the child
 *	does keeps the parent's objects alive. The mapping is still there to be read
 */
enum moheap_fork {
	MOHEAP_FORK_CLONE = 0,
	MOHEAP_FORK_SHARE = 1,
	MOHEAP_FORK_NONE = 2,
};

/**
 * struct moheap_options - how to make a heap
 * @size: sizeof(struct moheap_options)
 * @flags: MOHEAP_CREATE_DEBUG allows moheap_check(); MOHEAP_CREATE_GUARD, too, and makes a guarded
 *	heap (moheap_set_guard_handler())
 * @limit: most bytes of kernel and payload memory together; 0 for the module's default
 * @fork: enum moheap_fork
 * @reserved: 0
 */
struct moheap_options {
	__u32 size;
	__u32 flags;
	__u64 limit;
	__u32 fork;
	__u32 reserved;
};

/**
 * moheap_create() - make a heap, and attach to it
 * @options: how, or NULL for all defaults
 * @heap: out: the heap; moheap_close() it
 *
 * The device is /dev/moheap, or what MOHEAP_DEVICE in the environment says. With MOHEAP_DEBUG=1
 * there, the heap is made with MOHEAP_CREATE_GUARD, as with PYTHONMALLOC=debug.
 *
 * Return: 0 or a negative errno; -ENOENT or -ENODEV where the module is not loaded.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_create(const struct moheap_options *options, struct moheap **heap);

/* Flag of moheap_join(): look, but change nothing */
#define MOHEAP_JOIN_READ_ONLY	1U

/**
 * moheap_join() - attach to a heap by a file of it
 * @fd: what moheap_fd() gives, inherited or received through a socket (SCM_RIGHTS)
 * @flags: 0 or MOHEAP_JOIN_READ_ONLY
 * @heap: out: a client of its own, with no references yet; moheap_close() it
 *
 * @fd stays the caller's, and may be closed. Whoever has a file of a heap may join the heap;
 * one that was opened read-only leads to read-only clients only.
 *
 * A read-only client can hold, load and read. Its mapping cannot be written.
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_join(int fd, unsigned int flags, struct moheap **heap);

/**
 * moheap_adopt() - go on with a client that another process set up
 * @fd: a file bound to a heap. On success it belongs to the library
 * @heap: out: the heap; moheap_close() it
 *
 * Where moheap_join() makes a new client, this takes over @fd itself with all it holds: made
 * by moheap_clone(), sent through a socket, it carries references from process to process
 * without a moment in which nobody holds them. Objects that the client held already stay held
 * until it is closed, or until each is named in moheap_incref() and given up again. Only one
 * process may use a client at a time.
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_adopt(int fd, struct moheap **heap);

/**
 * moheap_clone() - a second client of a heap that holds what this one holds
 * @heap: the heap
 * @clone: out: the same heap through a client of its own; moheap_close() it
 *
 * As moheap_adopt() of a copy of the client: every object this process has references to is
 * held by @clone, though the library has counted no reference through it yet.
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_clone(struct moheap *heap, struct moheap **clone);

/**
 * moheap_close() - detach from a heap
 * @heap: the heap, or NULL; no other thread may use it any more
 *
 * Calls finalizers that are to be called at the end (moheap_finalize_new()), gives up every
 * reference of this client, and unmaps the payload: pointers into it end here.
 * The heap itself goes with its last client.
 *
 * Return: 0, or the first error of operations still in the queue, and @heap is gone in any case;
 * -EDEADLK: called from a callback (moheap-events.h) or such a finalizer, and @heap is as it was.
 */
MOHEAP_API
int moheap_close(struct moheap *heap);

/**
 * moheap_fd() - the file of a client, to pass on
 * @heap: the heap
 *
 * Return: a file descriptor that stays the library's (closed by exec()), or -ENOTCONN.
 */
MOHEAP_API
int moheap_fd(const struct moheap *heap);

/**
 * moheap_base() - where the payload of a heap is mapped
 * @heap: the heap
 *
 * Return: the address that granule 0 would have; the same until moheap_close(), and in children.
 */
MOHEAP_API
void *moheap_base(const struct moheap *heap);

/**
 * moheap_arena_size() - how much is mapped
 * @heap: the heap
 *
 * Return: bytes of address space.
 */
MOHEAP_API
size_t moheap_arena_size(const struct moheap *heap);

/**
 * moheap_set_fork() - choose what fork() does with a heap
 * @heap: the heap
 * @fork: what
 *
 * With MOHEAP_FORK_CLONE, fork() takes two more system calls in the parent (moheap_trim(), and
 * one whose cost grows with the number of pools the parent holds objects in) and three in the
 * child. The child's moheap_fd() has the same number as the parent's. Where the
 * client cannot be cloned (-EMFILE, -ENOMEM), the child is as with MOHEAP_FORK_NONE.
 *
 * Only fork() of the C library is covered: not vfork(), posix_spawn() or a raw clone(), whose
 * children can do nothing with a heap but exec() away from it.
 *
 * Return: 0, or -EINVAL.
 */
MOHEAP_API
int moheap_set_fork(struct moheap *heap, enum moheap_fork fork);

/**
 * moheap_flush() - let everyone see what was done so far
 * @heap: the heap
 *
 * Sends off what is queued; from here on the refs of all objects made so far may be told to
 * others. Objects in stock that have not been wanted for a while go back.
 *
 * Return: 0, or the first error that an operation in the queue met since it was last asked.
 */
MOHEAP_API
int moheap_flush(struct moheap *heap);

/**
 * moheap_trim() - moheap_flush(), and keep nothing in stock
 * @heap: the heap
 *
 * The library takes objects from the kernel many at once and keeps a stock of them for
 * moheap_new(). The kernel counts these as alive; this gives them all back.
 *
 * Return: as moheap_flush().
 */
MOHEAP_API
int moheap_trim(struct moheap *heap);

/* ---- Types ---- */

/**
 * struct moheap_layout - what the objects of a type look like
 * @size: sizeof(struct moheap_layout)
 * @flags: MOHEAP_TYPE_VAR_PAYLOAD, MOHEAP_TYPE_VAR_SLOTS, MOHEAP_TYPE_FINALIZE (moheap-events.h)
 * @name: the type's name in this heap; shorter than MOHEAP_NAME_LEN
 * @payload: bytes of payload; the least of them where each object has its own
 * @slots: slots; the least of them where each object has its own
 * @nfields: entries in @fields
 * @fields: the parts of the payload, and which slots are mirrored in it
 *
 * A field of kind MOHEAP_FIELD_REF that has an offset makes the library write a copy of each
 * reference stored into its slots there, so that walking a graph is reading memory. With
 * count 0 it covers all slots from its first on, as far as the payload reaches.
 */
struct moheap_layout {
	__u32 size;
	__u32 flags;
	const char *name;
	size_t payload;
	__u32 slots;
	__u32 nfields;
	const struct moheap_field *fields;
};

/**
 * moheap_type_register() - make a type, or find it
 * @heap: the heap
 * @layout: its layout
 *
 * A type lives as long as its heap. Registering the same name with the same layout again, also
 * from another process, gives the same type.
 *
 * Return: the type's id, which is the same in every process; or a negative errno, -EEXIST where
 * the name belongs to another layout.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_type_register(struct moheap *heap, const struct moheap_layout *layout);

/**
 * moheap_type_find() - the type of a name
 * @heap: the heap
 * @name: its name
 *
 * Looks at one type after the other: for programs that start, not for loops.
 *
 * Return: the type's id, or -ENOENT.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_type_find(struct moheap *heap, const char *name);

/**
 * moheap_type_info() - describe a type
 * @heap: the heap
 * @info: size, id, and fields and nfields (room there) are read; the rest is filled in
 *
 * Return: 0, -ENOENT where no type has that id.
 */
MOHEAP_API
int moheap_type_info(struct moheap *heap, struct moheap_type *info);

/**
 * moheap_type_of() - the type of an object: Python's type()
 * @heap: the heap
 * @ref: the object
 *
 * Costs no system call where the library has met the object's page before. For a ref of an
 * object that is gone it says either what that was, or -ESTALE.
 *
 * Return: the type's id; -ESTALE; -EINVAL: @ref never named an object.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_type_of(struct moheap *heap, moheap_ref_t ref);

/* ---- Objects ---- */

/**
 * moheap_new() - make an object
 * @heap: the heap
 * @type: id of its type
 * @ref: out: the object; the caller has a reference to it
 *
 * Its payload reads as zero, its slots refer to nothing. Of a type in which something varies,
 * the object has the least of it.
 *
 * Return: 0; -ENOENT: no such type; -ENOSPC: the heap is at its limit, with nothing to collect.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_new(struct moheap *heap, unsigned int type, moheap_ref_t *ref);

/**
 * moheap_new_sized() - make an object of a size of its own
 * @heap: the heap
 * @type: id of its type
 * @payload: bytes of payload, for a type where they vary; else 0
 * @slots: slots, for a type where they vary; else 0
 * @ref: out: the object; the caller has a reference to it
 *
 * Less than the type's least gives the least.
 *
 * Return: as moheap_new(); -EINVAL for a size that the type fixes; -E2BIG above
 * MOHEAP_PAYLOAD_MAX or MOHEAP_SLOTS_MAX.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_new_sized(struct moheap *heap, unsigned int type, size_t payload, size_t slots,
		     moheap_ref_t *ref);

/**
 * moheap_new_many() - make many objects
 * @heap: the heap
 * @type: id of their type
 * @n: how many
 * @refs: out: the objects; the caller has a reference to each
 *
 * All or none. Objects made together lie together.
 *
 * Return: as moheap_new(); -EINVAL where @n is 0.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_new_many(struct moheap *heap, unsigned int type, size_t n, moheap_ref_t *refs);

/**
 * moheap_incref() - take a reference
 * @heap: the heap
 * @ref: an object
 *
 * Costs no system call where the process has a reference already. Otherwise the kernel is
 * asked, which makes a borrowed ref strong, or finds that the object is gone.
 *
 * Return: 0; -ESTALE: the object is gone; -EINVAL: @ref never named one; -EOVERFLOW.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_incref(struct moheap *heap, moheap_ref_t ref);

/**
 * moheap_incref_many() - take references to many objects
 * @heap: the heap
 * @n: how many
 * @refs: the objects; one that is there twice gets two
 *
 * All or none. For refs that came from elsewhere, for which moheap_incref() asks the kernel one
 * by one: this asks for many at a time.
 *
 * Return: 0, or the error of one of them as from moheap_incref().
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_incref_many(struct moheap *heap, size_t n, const moheap_ref_t *refs);

/**
 * moheap_decref() - give a reference back
 * @heap: the heap
 * @ref: an object; 0 is ignored
 *
 * With the last reference of the process the kernel is told, when the queue goes out.
 *
 * Return: 0; -ENOENT: the process has no reference to that object.
 */
MOHEAP_API
int moheap_decref(struct moheap *heap, moheap_ref_t ref);

/**
 * moheap_ptr() - the payload of an object
 * @heap: the heap
 * @ref: the object
 *
 * Arithmetic only. The pointer is good as long as the object lives and the heap is open, and
 * unlike the ref it is good in this process only.
 *
 * Return: its address.
 */
static inline void *moheap_ptr(const struct moheap *heap, moheap_ref_t ref)
{
	/* The base address is the first member of struct moheap, and stays that. */
	return *(char *const *)heap + ((ref & 0xffffffffU) << MOHEAP_GRANULE_SHIFT);
}

/**
 * moheap_get() - read the mirror of a slot
 * @heap: the heap
 * @owner: an object whose type mirrors the slot
 * @offset: where in its payload
 *
 * Reads memory, no more: what any client wrote there. Good for finding one's way; it is
 * moheap_incref() that finds out whether the object is there.
 *
 * Return: a borrowed ref, or 0.
 */
static inline moheap_ref_t moheap_get(const struct moheap *heap, moheap_ref_t owner, size_t offset)
{
	const moheap_ref_t *mirror;

	mirror = (const moheap_ref_t *)((const char *)moheap_ptr(heap, owner) + offset);
	return __atomic_load_n(mirror, __ATOMIC_RELAXED);
}

/**
 * moheap_follow() - the payload that the mirror of a slot leads to
 * @heap: the heap
 * @mirror: where the mirror is: in the payload of the slot's owner
 *
 * moheap_ptr() of moheap_get(), but it reads no more of the ref than the address: for loops that
 * walk from payload to payload.
 *
 * Return: its address, or NULL where the slot refers to nothing.
 */
static inline void *moheap_follow(const struct moheap *heap, const moheap_ref_t *mirror)
{
	typedef __u32 __attribute__((may_alias)) granule_t;
	const granule_t *granule = (const granule_t *)mirror;
	__u64 offset;

	granule += __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
	offset = (__u64)__atomic_load_n(granule, __ATOMIC_RELAXED) << MOHEAP_GRANULE_SHIFT;
	return offset ? *(char *const *)heap + offset : NULL;
}

/**
 * moheap_inspect() - what the kernel knows of an object
 * @heap: the heap
 * @object: size and ref are read; the rest is filled in
 *
 * Its count has 1 for each client that holds the object, however often that client's own
 * library counts it, and for objects in stock, too.
 *
 * Return: 0, -ESTALE, -EINVAL.
 */
MOHEAP_API
int moheap_inspect(struct moheap *heap, struct moheap_object *object);

/**
 * moheap_refcount() - how many references an object has
 * @heap: the heap
 * @ref: the object
 *
 * Return: slots that refer to it, references of this process, and 1 for each other client that
 * holds it; or -ESTALE, -EINVAL.
 */
MOHEAP_API
long long moheap_refcount(struct moheap *heap, moheap_ref_t ref);

/**
 * moheap_getsizeof() - what an object takes
 * @heap: the heap
 * @ref: the object
 *
 * Return: bytes of payload, header and slots; or -ESTALE, -EINVAL.
 */
MOHEAP_API
long long moheap_getsizeof(struct moheap *heap, moheap_ref_t ref);

/* ---- The graph ---- */

/**
 * moheap_store() - let a slot refer to an object
 * @heap: the heap
 * @owner: the object with the slot
 * @slot: which
 * @target: the object, or 0 for none
 *
 * The caller keeps its references; the slot has one of its own. Queued: errors come from
 * moheap_flush(). The mirror, where there is one, is written at once. A store that a later one
 * of the same slot overtakes in the queue may be left out: others see the last value only.
 *
 * Return: 0; -ESTALE where @owner or @target is gone and that is known already.
 */
MOHEAP_API
int moheap_store(struct moheap *heap, moheap_ref_t owner, unsigned int slot, moheap_ref_t target);

/**
 * moheap_load() - take a reference to what a slot refers to
 * @heap: the heap
 * @owner: the object with the slot
 * @slot: which
 * @target: out: the object, with a reference for the caller; or 0
 *
 * Return: 0, -ERANGE: no such slot.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_load(struct moheap *heap, moheap_ref_t owner, unsigned int slot, moheap_ref_t *target);

/**
 * moheap_peek() - as moheap_load(), but the ref is borrowed
 * @heap: the heap
 * @owner: the object with the slot
 * @slot: which
 * @target: out: the object, or 0
 *
 * Return: 0, -ERANGE: no such slot.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_peek(struct moheap *heap, moheap_ref_t owner, unsigned int slot, moheap_ref_t *target);

/**
 * moheap_exchange() - let a slot refer to an object, and take what it referred to
 * @heap: the heap
 * @owner: the object with the slot
 * @slot: which
 * @target: the object, or 0 for none
 * @old: out: what the slot referred to, with a reference for the caller; or 0
 *
 * Return: 0, -ERANGE: no such slot.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_exchange(struct moheap *heap, moheap_ref_t owner, unsigned int slot,
		    moheap_ref_t target, moheap_ref_t *old);

/**
 * moheap_compare_exchange() - let a slot refer to an object if it refers to another
 * @heap: the heap
 * @owner: the object with the slot
 * @slot: which
 * @expected: what the slot must refer to; out, with -EAGAIN: what it does refer to, borrowed
 * @target: the object, or 0 for none
 *
 * Return: 0, -EAGAIN: the slot refers to something else; -ERANGE: no such slot.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_compare_exchange(struct moheap *heap, moheap_ref_t owner, unsigned int slot,
			    moheap_ref_t *expected, moheap_ref_t target);

/**
 * moheap_fill() - let many slots refer to one object
 * @heap: the heap
 * @owner: the object with the slots
 * @slot: the first
 * @n: how many; 0 does nothing
 * @target: the object, or 0 for none
 *
 * Return: 0, -ERANGE: not all of these slots exist; then none was changed.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_fill(struct moheap *heap, moheap_ref_t owner, unsigned int slot, size_t n,
		moheap_ref_t target);

/**
 * moheap_copy() - let slots refer to what other slots refer to
 * @heap: the heap
 * @owner: the object with the slots to change
 * @slot: the first
 * @source: the object with the slots to copy; may be @owner, and overlap
 * @from: the first
 * @n: how many; 0 does nothing
 *
 * Return: 0, -ERANGE: not all of these slots exist; then none was changed.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_copy(struct moheap *heap, moheap_ref_t owner, unsigned int slot, moheap_ref_t source,
		unsigned int from, size_t n);

/**
 * moheap_read() - what many slots refer to
 * @heap: the heap
 * @owner: the object with the slots
 * @slot: the first
 * @n: how many; 0 does nothing
 * @refs: out: the objects, borrowed; 0 where a slot refers to nothing
 *
 * Return: 0, -ERANGE: not all of these slots exist.
 */
MOHEAP_API MOHEAP_WARN_UNUSED
int moheap_read(struct moheap *heap, moheap_ref_t owner, unsigned int slot, size_t n,
		moheap_ref_t *refs);

/* ---- The collector ---- */

/**
 * moheap_collect() - collect now
 * @heap: the heap
 * @generation: MOHEAP_COLLECT_LOCAL, MOHEAP_COLLECT_LOCAL_ALL or MOHEAP_COLLECT_FULL
 * @unreachable: out: objects in cycles that were freed; may be NULL
 *
 * The collector runs by itself; this is for programs that want to know now.
 *
 * Return: 0, -EINTR: a signal came, and the collection may not be complete.
 */
MOHEAP_API
int moheap_collect(struct moheap *heap, unsigned int generation, unsigned long long *unreachable);

/**
 * moheap_stat() - figures of a heap
 * @heap: the heap
 * @stat: size is read; the rest is filled in
 *
 * What is queued goes out first. Objects in stock count as alive (moheap_trim()).
 *
 * Return: 0 or a negative errno.
 */
MOHEAP_API
int moheap_stat(struct moheap *heap, struct moheap_stat *stat);

/**
 * moheap_tune() - read, and set, what drives the collector
 * @heap: the heap
 * @tune: size, set and the members it names are read; all members are filled in
 *
 * Return: 0, -ERANGE: a value is out of bounds, and nothing was set.
 */
MOHEAP_API
int moheap_tune(struct moheap *heap, struct moheap_tune *tune);

/**
 * moheap_check() - let the kernel verify the heap, to find bugs in the kernel
 * @heap: the heap, created with MOHEAP_CREATE_DEBUG
 *
 * In a guarded heap the red zones of all objects are looked at as well, and blocks in quarantine;
 * what is found is reported first.
 *
 * Return: 0, -EUCLEAN: it is broken, or something was reported; -EPERM: no debugging heap.
 */
MOHEAP_API
int moheap_check(struct moheap *heap);

/* ---- Guarded heaps ---- */

/**
 * enum moheap_guard_error - what was found in a guarded heap
 * @MOHEAP_GUARD_OUTSIDE: somebody wrote outside the payload of an object: behind it, or in front of
 *	that which comes next. Found when the object goes, and by moheap_check()
 * @MOHEAP_GUARD_AFTER_FREE: somebody wrote to payload of an object that was gone. Found when its
 *	block comes to another, and by moheap_check()
 * @MOHEAP_GUARD_STALE: a call named an object that is gone, moheap_incref() excepted
 * @MOHEAP_GUARD_DECREF: moheap_decref() of an object that the process has no reference to
 */
enum moheap_guard_error {
	MOHEAP_GUARD_OUTSIDE = 1,
	MOHEAP_GUARD_AFTER_FREE = 2,
	MOHEAP_GUARD_STALE = 3,
	MOHEAP_GUARD_DECREF = 4,
};

/**
 * struct moheap_guard_report - what a handler is told
 * @size: sizeof(struct moheap_guard_report)
 * @error: enum moheap_guard_error
 * @type: id of the object's type, -1 where that is not known
 * @wanted: what each of @found should be
 * @ref: the object. Of one that is gone bit 63 may be set where it was not
 * @payload: bytes that were asked for
 * @offset: of the first wrong byte, from the beginning of the payload
 * @nfound: bytes in @found; 0 where no payload is concerned
 * @found: what is there
 * @made: return address of the call that made the object; NULL: not this process, or not known
 * @freed: return address of the call that gave up this process's last reference, likewise: a
 *	moheap_decref(), or a moheap_store() over a mirror. NULL, too, for what the collector freed,
 *	or what went with something that referred to it
 */
struct moheap_guard_report {
	__u32 size;
	__u32 error;
	__s32 type;
	__u32 wanted;
	moheap_ref_t ref;
	size_t payload;
	ptrdiff_t offset;
	size_t nfound;
	unsigned char found[16];
	const void *made;
	const void *freed;
};

/* May do with a report what it likes, but not call the library with this heap. */
typedef void (*moheap_guard_handler_t)(struct moheap *heap,
				       const struct moheap_guard_report *report, void *data);

/**
 * moheap_set_guard_handler() - choose who is told of what is found in a guarded heap
 * @heap: the heap, created with MOHEAP_CREATE_GUARD by whichever process
 * @handler: called with each report, in whatever thread finds it; NULL for the default
 * @data: for @handler
 *
 * In a guarded heap payload is followed by a red zone, and filled with 0xdd when its object is
 * gone; both are looked at before a block is used anew. That costs time and memory, and finds
 * what any process that has the heap does wrong.
 *
 * By default a report is written to stderr, and damage to payload ends the process with abort().
 * Where a handler returns, everything goes on.
 *
 * Return: 0, or -EPERM: the heap is not guarded.
 */
MOHEAP_API
int moheap_set_guard_handler(struct moheap *heap, moheap_guard_handler_t handler, void *data);

/* ---- Version ---- */

#define MOHEAP_VERSION		"0.1.0"

/**
 * moheap_version() - the version of the library that runs
 *
 * Return: MOHEAP_VERSION of its build.
 */
MOHEAP_API
const char *moheap_version(void);

#ifdef __cplusplus
}
#endif

#include <moheap-containers.h>
#include <moheap-events.h>
#include <moheap-gc.h>
#include <moheap-tracemalloc.h>
#include <moheap-weakref.h>

#endif /* MOHEAP_H */
