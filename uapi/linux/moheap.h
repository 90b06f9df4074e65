/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * moheap: a managed-object heap owned by the kernel. This header is the whole ABI.
 *
 * A program opens /dev/moheap and binds the file to a heap: it creates one
 * (MOHEAP_IOC_CREATE) or joins the heap of another open file (MOHEAP_IOC_JOIN). From then on
 * the file is a *client*. What a client holds stays alive until it drops it or the last copy
 * of the file is closed, however that comes about. The payload of every object is mapped with
 * mmap(MAP_SHARED) on the file: the bytes of the object named by ref are at
 * base + (ref & 0xffffffff) * 16. What a client asked to be told of it gets with read (events).
 *
 * Rules for every structure here: members have fixed widths, the layout is the same for
 * 32-bit callers, members called "reserved" must be zero, unknown flags are refused, members
 * that are only written ("out") may hold anything before, and a structure that begins with
 * "size" may grow: the caller sets it to its sizeof, the kernel reads missing members as zero
 * and refuses members it does not know unless they are zero.
 *
 * ---------------------------------------------------------------------------------------
 * Every errno of every call
 * ---------------------------------------------------------------------------------------
 * any ioctl      ENOTTY     no ioctl of moheap
 *                EFAULT     a pointer does not lead to memory of the caller
 *                EINVAL     size smaller than the first version of the structure, an unknown
 *                           flag, or a reserved member that is not zero
 *                E2BIG      size larger than known here, and the excess is not zero
 *                ENOTCONN   the file is bound to no heap (all but CREATE and JOIN)
 *                EINTR      a signal came; what was done so far stands and is reported
 *                ENOMEM     the system (or the memory cgroup) is out of memory
 * CREATE, JOIN   EISCONN    the file is bound already
 * CREATE         EACCES     the file is open for reading only
 *                ERANGE     limit below MOHEAP_LIMIT_MIN or above what the administrator allows
 *                EDQUOT     the user has as many heaps as the administrator allows
 * JOIN           EBADF      fd is not open
 *                EINVAL     fd is no moheap file, or one that is bound to no heap
 *                EACCES     this file is writable, the file it joins by is not
 * CLONE          EMFILE, ENFILE   no file can be opened
 * TYPE           EACCES     the client is read-only
 *                EINVAL     name empty, not terminated or followed by rubbish; a payload, slot
 *                           or field outside its bounds; a mirror not aligned to 8 bytes
 *                EEXIST     the name is taken by a type of another layout
 *                ENOSPC     MOHEAP_TYPES_MAX types exist
 *                E2BIG      more than MOHEAP_FIELDS_MAX fields
 * TYPE_INFO      ENOENT     no type has that id
 * OBJECT         EINVAL, ESTALE   as for the operations below
 * OBJECTS        EINVAL     count is zero, the cursor was at the end, or target is no ref
 *                ESTALE     target is gone
 * USAGE          ENOENT     no type has that id
 * SITES          EINVAL     count is not zero and the cursor was at the end
 * COLLECT        EINVAL     no such generation
 *                EACCES     the client is read-only
 * LISTEN         EINVAL     an event that nobody can listen to
 *                EACCES     the client is read-only and wants to finalize
 * TUNE           EACCES     the client is read-only and set is not zero
 *                ERANGE     a value outside its bounds
 * FREEZE         EACCES     the client is read-only
 * LINGER         EPERM      the heap was created without MOHEAP_CREATE_GUARD
 *                EACCES     the client is read-only
 *                E2BIG      keep and count are above MOHEAP_LINGER_MAX together
 * CHECK          EPERM      the heap was created without MOHEAP_CREATE_DEBUG
 *                EUCLEAN    an invariant of the heap is broken
 * BATCH          EINVAL     count is zero
 *                E2BIG      count is above MOHEAP_BATCH_MAX
 *                ECANCELED  an operation failed and the batch stopped there: ops[done].error
 *                           says why
 * mmap           ENOTCONN   the file is bound to no heap
 *                EINVAL     the mapping is private or reaches past the arena
 *                EACCES     writable mapping of a read-only client, or an executable mapping
 * read           ENOTCONN   the file is bound to no heap
 *                EINVAL     room for less than one event
 *                EAGAIN     no event is there, and the file is open with O_NONBLOCK
 *                EINTR      a signal came before the first event
 *                EFAULT     the buffer is no memory of the caller; no event is lost
 *                ENOMEM     no memory to have the client hold an object; no event is lost
 * poll           POLLERR    the file is bound to no heap
 *
 * An operation of a batch leaves its errno in moheap_op.error:
 * any            EINVAL     no such operation or flag; a member it does not use is not zero; a
 *                           ref that no heap ever gave out (none where an object is needed,
 *                           even generation, granule outside the arena)
 *                ESTALE     the object the ref named is gone
 *                EACCES     the client is read-only and the operation changes the graph
 *                EOVERFLOW  the object has MOHEAP_COUNT_MAX references
 *                ENOMEM     the system (or the memory cgroup) is out of memory
 *                EINTR      a signal came inside a long operation; its members say how far it
 *                           came
 *                EFAULT     a pointer does not lead to memory of the caller
 * DROP, RENEW    ENOENT     the client does not hold the object
 * RENEW, and     EINVAL     a is no later ref of the same block, marked as reused
 * DROP with a    EBUSY      something else refers to the object, it refers to something, it has
 *                           more than MOHEAP_RENEW_SLOTS slots, it is watched, or it is to be
 *                           finalized
 * WATCH          EOVERFLOW  the object has MOHEAP_WATCHES_MAX watches
 *                ENOSPC     the heap is at its limit, also after a collection
 * DISCARD        ENOENT     the object is not saved as garbage
 * UNWATCH        ENOENT     no watch of the client has that id: its event was read, or is being
 *                           read now
 * SITE           EINVAL     a has more than 32 bits
 *                EACCES     the client is read-only
 *                ENOSPC     the heap is at its limit, also after a collection
 * ALLOC          ENOENT     no type has that id
 *                EINVAL     count zero; payload or slots given for a type that fixes them
 *                E2BIG      count above MOHEAP_ALLOC_MAX, slots above MOHEAP_SLOTS_MAX, payload
 *                           above MOHEAP_PAYLOAD_MAX
 *                ENOSPC     the heap is at its limit, also after a collection
 * STORE, LOAD, EXCHANGE, CMPXCHG, FILL, COPY, READ
 *                ERANGE     the object has no such slot
 * FILL, COPY, READ
 *                EINVAL     count zero
 * CMPXCHG        EAGAIN     the slot held something else: a says what
 */
#ifndef _UAPI_LINUX_MOHEAP_H
#define _UAPI_LINUX_MOHEAP_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* ---- Refs ---- */

/*
 * A ref names one object for all time: the generation is in bits 63..32, the granule in bits
 * 31..0. Live objects have odd generations. Bit 63 tells that the block had an owner before:
 * its payload holds whatever that left, and the library clears it; where bit 63 is clear,
 * fresh payload reads as zero. 0 is no object.
 *
 * All objects in a page of the arena (4096 bytes) are of one type, as long as one of them lives.
 * Whatever lives there later has later generations, bit 63 left out of account.
 */
#define MOHEAP_REF_NONE		0ULL
#define MOHEAP_REF_REUSED	0x8000000000000000ULL
#define MOHEAP_GRANULE_SHIFT	4
#define MOHEAP_GRANULE		16

/* ---- Bounds ---- */

#define MOHEAP_LIMIT_MIN	0x100000ULL	/* bytes a heap needs to be of use */
#define MOHEAP_TYPES_MAX	65536
#define MOHEAP_FIELDS_MAX	256
#define MOHEAP_NAME_LEN		32		/* with its terminator */
#define MOHEAP_BATCH_MAX	65536		/* operations in a batch */
#define MOHEAP_ALLOC_MAX	0x100000	/* objects of one ALLOC */
#define MOHEAP_SLOTS_MAX	0x10000000	/* slots of one object */
#define MOHEAP_PAYLOAD_MAX	0x80000000U	/* payload bytes of one object */
#define MOHEAP_RENEW_SLOTS	64		/* slots of an object that RENEW takes */
#define MOHEAP_COUNT_MAX	0x7fffffffU	/* references to one object */
#define MOHEAP_WATCHES_MAX	1024		/* watches on one object */
#define MOHEAP_LINGER_MAX	4096		/* blocks a client may have taken */

/* ---- Heaps and clients ---- */

#define MOHEAP_CREATE_DEBUG	0x1	/* MOHEAP_IOC_CHECK is allowed */
#define MOHEAP_CREATE_GUARD	0x2	/* blocks linger before they are free: MOHEAP_IOC_LINGER */

/**
 * struct moheap_create - MOHEAP_IOC_CREATE: bind this file to a new heap
 * @size: sizeof(struct moheap_create)
 * @flags: MOHEAP_CREATE_*
 * @limit: most bytes of kernel and payload memory together; 0 for the default. Out: the limit
 * @arena_size: out: bytes that mmap may map
 * @heap_id: out: a number for people and logs, unique until the module is unloaded
 */
struct moheap_create {
	__u32 size;
	__u32 flags;
	__u64 limit;
	__u64 arena_size;
	__u64 heap_id;
};

/**
 * struct moheap_join - MOHEAP_IOC_JOIN: bind this file to the heap of another
 * @size: sizeof(struct moheap_join)
 * @flags: 0
 * @fd: a moheap file bound to a heap
 * @reserved: 0
 * @limit: out
 * @arena_size: out
 * @heap_id: out
 */
struct moheap_join {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 reserved;
	__u64 limit;
	__u64 arena_size;
	__u64 heap_id;
};

#define MOHEAP_CLONE_CLOEXEC	0x1

/**
 * struct moheap_clone - MOHEAP_IOC_CLONE: a new client of this heap with the same holds
 * @size: sizeof(struct moheap_clone)
 * @flags: MOHEAP_CLONE_*
 *
 * The ioctl returns the new file descriptor, opened as this one is (read-only or not). Every
 * object that this client holds throughout the call is held by the new one.
 */
struct moheap_clone {
	__u32 size;
	__u32 flags;
};

/* ---- Types ---- */

#define MOHEAP_TYPE_VAR_PAYLOAD	0x1	/* each object says how many payload bytes */
#define MOHEAP_TYPE_VAR_SLOTS	0x2	/* each object says how many slots */
#define MOHEAP_TYPE_FINALIZE	0x4	/* each object is finalized before it goes */

enum moheap_field_kind {
	MOHEAP_FIELD_BYTES = 0,
	MOHEAP_FIELD_INT = 1,
	MOHEAP_FIELD_UINT = 2,
	MOHEAP_FIELD_FLOAT = 3,
	MOHEAP_FIELD_REF = 4,
};

/* The offset of a REF field that names slots but mirrors none. */
#define MOHEAP_NO_MIRROR	0xffffffffU

/**
 * struct moheap_field - a named part of an object
 * @kind: enum moheap_field_kind
 * @width: bytes of one element; 8 for MOHEAP_FIELD_REF
 * @count: elements; 0: as many as the (variable) payload or slots hold
 * @offset: of the first element in the payload. For MOHEAP_FIELD_REF the library writes a copy
 *	of each reference there, its mirror; MOHEAP_NO_MIRROR for none
 * @slot: for MOHEAP_FIELD_REF the first slot, else 0
 * @name: terminated; the rest zero; may be empty
 *
 * Fields are what tools and the library know of a type. The kernel keeps and compares them,
 * and checks that they lie inside the object.
 */
struct moheap_field {
	__u16 kind;
	__u16 width;
	__u32 count;
	__u32 offset;
	__u32 slot;
	char name[MOHEAP_NAME_LEN];
};

/**
 * struct moheap_type - MOHEAP_IOC_TYPE registers a type, MOHEAP_IOC_TYPE_INFO describes one
 * @size: sizeof(struct moheap_type)
 * @flags: MOHEAP_TYPE_*
 * @id: TYPE: out. TYPE_INFO: in
 * @slots: slots of each object; with MOHEAP_TYPE_VAR_SLOTS the least an object may have
 * @payload: payload bytes of each object; with MOHEAP_TYPE_VAR_PAYLOAD the least
 * @fields: pointer to an array of struct moheap_field
 * @nfields: entries in @fields. TYPE_INFO: in: room in @fields, out: fields of the type
 * @reserved: 0
 * @name: terminated, not empty, the rest zero
 *
 * Registering the same name with the same layout gives the type that exists.
 *
 * Objects of a type with MOHEAP_TYPE_FINALIZE are handed to a client before they go, as Python
 * calls __del__ (PEP 442). When nothing refers to such an object any more, or the collector finds
 * it unreachable, it is due: a client that listens (MOHEAP_LISTEN_FINALIZE) gets
 * MOHEAP_EVENT_FINALIZE, and with reading it holds the object. It can do with it what it likes:
 * store a reference to it somewhere, and so bring it back, or drop it, and let it go. Either
 * way, this happens once to an object; the next time it goes like any other.
 *
 * Of garbage that the collector finds, all objects that are due are told of, before any object
 * that they reach is touched; a later collection frees what is unreachable then. Watches on garbage
 * are told first, once and for all, even if it is brought back. A single object whose count falls
 * to zero is finalized before its watches: those are told when it dies in the end.
 *
 * The event goes to the client that made the object, if it listens, else to any other that does.
 * Where none listens, objects go without. Nobody can keep garbage by not reading: events that were
 * not read when their client dies, or in moheap_tune.finalize_ms, are passed on in the first case
 * if somebody else listens, and otherwise taken back: their objects go without. What a client
 * was handed it drops when it dies, like everything it holds.
 */
struct moheap_type {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 slots;
	__u64 payload;
	__u64 fields;
	__u32 nfields;
	__u32 reserved;
	char name[MOHEAP_NAME_LEN];
};

/* ---- Batches ---- */

/**
 * enum moheap_op_code - what an operation does, and what it makes of the members of its
 * struct moheap_op. Members not named must be zero.
 *
 * @MOHEAP_OP_ALLOC: make objects, each held by the client. index: type id; a: in: how many,
 *	out: how many were made; b: payload bytes in bits 31..0 (of variable payload), slots in
 *	bits 63..32 (of variable slots); ref: in: pointer to an array of a refs that is filled,
 *	or 0 where a is 1: then out: the ref
 * @MOHEAP_OP_HOLD: hold ref. Holding twice is holding once
 * @MOHEAP_OP_DROP: hold ref no longer. a: 0; or a later ref of its block, as for RENEW: both in
 *	one, for a block that the library has no more use for
 * @MOHEAP_OP_STORE: slot index of ref refers to a from now on (or to nothing: a is 0)
 * @MOHEAP_OP_LOAD: a: out: what slot index of ref refers to. MOHEAP_OP_F_HOLD: and hold it
 * @MOHEAP_OP_EXCHANGE: as STORE; a: out: what the slot referred to before.
 *	MOHEAP_OP_F_HOLD: and hold that
 * @MOHEAP_OP_CMPXCHG: slot index of ref refers to b if it referred to a. Otherwise EAGAIN, and
 *	a: out: what it refers to
 * @MOHEAP_OP_FILL: b slots of ref from index on refer to a. b: out: slots filled
 * @MOHEAP_OP_COPY: slots of ref from index on refer to what slots of a refer to. b: first slot
 *	of a in bits 31..0, how many in bits 63..32; out: how many were copied. As memmove where
 *	ref and a are the same: from the last slot to the first where the slots of a come first,
 *	so that b, if less, counts from the end then. Slots change one by one
 * @MOHEAP_OP_READ: the refs in slots of ref from index on, as LOAD without hold. a: pointer to
 *	an array; b: how many; out: how many were read
 * @MOHEAP_OP_RENEW: the object ref is gone, and in its block is a new one, held by the client,
 *	whose ref is a: the caller chooses a later generation. For a library that hands out again
 *	what only this client ever knew, and tells the kernel when others are to know
 * @MOHEAP_OP_WATCH: the client is to be told of the death of ref, by one MOHEAP_EVENT_WATCH.
 *	a: a cookie for it; b: out: the id of the watch. Watches do not keep the object alive
 * @MOHEAP_OP_UNWATCH: the client is to be told no longer. b: the id; a: out: 0 if the object was
 *	alive, 1 if it was dead and the event not read yet: now nobody will read it
 * @MOHEAP_OP_IMMORTAL: the heap itself holds ref from now on, so that it lives, with all that it
 *	refers to, until the last client is gone. Then it goes with the heap, and like all that is
 *	left then it is neither finalized nor told of
 * @MOHEAP_OP_SITE: ref was made at a site of the client: a, a number of its own choice, in 32
 *	bits; 0: at none. An object has one site, that which it was given last, and goes with it;
 *	a client that dies takes its sites along. See MOHEAP_IOC_SITES
 * @MOHEAP_OP_DISCARD: the heap holds ref no longer as saved garbage (MOHEAP_DEBUG_SAVEALL)
 */
enum moheap_op_code {
	MOHEAP_OP_ALLOC = 1,
	MOHEAP_OP_HOLD = 2,
	MOHEAP_OP_DROP = 3,
	MOHEAP_OP_STORE = 4,
	MOHEAP_OP_LOAD = 5,
	MOHEAP_OP_EXCHANGE = 6,
	MOHEAP_OP_CMPXCHG = 7,
	MOHEAP_OP_FILL = 8,
	MOHEAP_OP_COPY = 9,
	MOHEAP_OP_READ = 10,
	MOHEAP_OP_RENEW = 11,
	MOHEAP_OP_WATCH = 12,
	MOHEAP_OP_UNWATCH = 13,
	MOHEAP_OP_IMMORTAL = 14,
	MOHEAP_OP_DISCARD = 15,
	MOHEAP_OP_SITE = 16,
};

#define MOHEAP_OP_F_HOLD	0x1

/**
 * struct moheap_op - one operation of a batch
 * @code: enum moheap_op_code
 * @flags: MOHEAP_OP_F_*
 * @error: out: 0 or a negative errno
 * @index: slot index, or type id
 * @ref: the object worked on
 * @a: see enum moheap_op_code
 * @b: see enum moheap_op_code
 */
struct moheap_op {
	__u8 code;
	__u8 flags;
	__s16 error;
	__u32 index;
	__u64 ref;
	__u64 a;
	__u64 b;
};

#define MOHEAP_BATCH_CONTINUE	0x1	/* go on after an operation that failed */

/**
 * struct moheap_batch - MOHEAP_IOC_BATCH: do operations in order
 * @size: sizeof(struct moheap_batch)
 * @flags: MOHEAP_BATCH_*
 * @ops: pointer to an array of struct moheap_op
 * @count: entries in @ops
 * @done: out: operations that were carried out (with MOHEAP_BATCH_CONTINUE: or failed)
 *
 * Not a transaction: others see every operation as it is done. Without
 * MOHEAP_BATCH_CONTINUE the first that fails ends the batch with ECANCELED. After EINTR the
 * operations from @done on can be handed in again; if the error of the first is EINTR as well, it
 * was begun, and its members say how far it came. Should writing results back fail with EFAULT,
 * objects and watches that the caller could not be told of are given up again.
 */
struct moheap_batch {
	__u32 size;
	__u32 flags;
	__u64 ops;
	__u32 count;
	__u32 done;
};

/* ---- Events ---- */

/**
 * enum moheap_event_type - what an event tells
 * @MOHEAP_EVENT_COLLECT_BEGIN: a collection begins. index: its generation
 * @MOHEAP_EVENT_COLLECT_END: a collection has ended. index: its generation; collected,
 *	uncollectable, finalizing: what it found
 * @MOHEAP_EVENT_WATCH: an object that the client watched is dead: nothing refers to it any more,
 *	and its ref is stale. Or it is garbage that will be dead when something is finalized, unless
 *	it is brought back (struct moheap_type). index: the id of the watch, which is gone with
 *	this; ref: the object; cookie: as given
 * @MOHEAP_EVENT_FINALIZE: an object is to be finalized, and the client holds it from now on. ref:
 *	the object; index: its type. See struct moheap_type
 */
enum moheap_event_type {
	MOHEAP_EVENT_COLLECT_BEGIN = 1,
	MOHEAP_EVENT_COLLECT_END = 2,
	MOHEAP_EVENT_WATCH = 3,
	MOHEAP_EVENT_FINALIZE = 4,
};

/**
 * struct moheap_event - what read gives: as many of these as are there, and fit
 * @type: enum moheap_event_type
 * @index: see there; else 0
 * @ref: the object it is about; else 0
 * @cookie: what the client gave with its request; else 0
 * @count: how often it happened: 1, or more for collections
 * @collected: objects found unreachable and freed; else 0
 * @uncollectable: objects found unreachable and saved (MOHEAP_DEBUG_SAVEALL); else 0
 * @finalizing: objects found unreachable and due to be finalized first; else 0
 * @reserved: 0
 *
 * Events come in the order in which things happened, and each is read once: where several
 * threads read, each event goes to one of them. None is lost, however slow the reader is. The
 * kernel keeps what it needs to tell of an event from the time that it was asked to; so
 * collections that end before the reader has seen the last one are told of together: @count says
 * how many, @index is the generation of the last, the other members are sums. Of those there is
 * at most one event of each type waiting, and an end is the last of the two when no collection
 * is under way.
 *
 * Where a client has several watches on one object, the newest is told first.
 *
 * A read waits for the first event unless the file is open with O_NONBLOCK; poll says whether it
 * would (POLLIN). Events belong to the client: processes that share its file share them, a clone
 * has none, and those not read when it dies are gone.
 */
struct moheap_event {
	__u32 type;
	__u32 index;
	__u64 ref;
	__u64 cookie;
	__u64 count;
	__u64 collected;
	__u64 uncollectable;
	__u64 finalizing;
	__u64 reserved;
};

#define MOHEAP_LISTEN_COLLECT	0x1	/* collections, of whatever generation */
#define MOHEAP_LISTEN_FINALIZE	0x2	/* objects to be finalized may be handed to this client */

/**
 * struct moheap_listen - MOHEAP_IOC_LISTEN: which events of the heap the client is to get
 * @size: sizeof(struct moheap_listen)
 * @events: MOHEAP_LISTEN_*; those not named it gets no longer. At first there is none
 */
struct moheap_listen {
	__u32 size;
	__u32 events;
};

/* ---- Objects, collection, statistics ---- */

#define MOHEAP_OBJECT_HELD	0x1	/* by the asking client */
#define MOHEAP_OBJECT_CANDIDATE	0x2	/* its count fell: the collector will look at it */
#define MOHEAP_OBJECT_WATCHED	0x4	/* by some client */
#define MOHEAP_OBJECT_FINALIZED	0x8	/* it was due, and will not be again */
#define MOHEAP_OBJECT_IMMORTAL	0x10	/* it lives as long as the heap */
#define MOHEAP_OBJECT_FROZEN	0x20	/* it is set aside from the collector */
#define MOHEAP_OBJECT_SAVED	0x40	/* it is garbage that the heap holds */

/**
 * struct moheap_object - MOHEAP_IOC_OBJECT: what is known of one object
 * @size: sizeof(struct moheap_object)
 * @flags: out: MOHEAP_OBJECT_*
 * @ref: in
 * @type: out: type id
 * @count: out: references to it: slots, one for each client that holds it, one if it is immortal,
 *	and one while it is due to be finalized and no client was handed it
 * @slots: out
 * @reserved: 0
 * @payload: out: payload bytes it may use (its block)
 * @header_bytes: out: kernel memory of its header, inline slots included
 * @slot_bytes: out: kernel memory of slots kept apart from the header
 * @site: out: its site (MOHEAP_OP_SITE); 0 if it has none
 * @site_client: out: the client whose site that is; 0 if it has none
 */
struct moheap_object {
	__u32 size;
	__u32 flags;
	__u64 ref;
	__u32 type;
	__u32 count;
	__u32 slots;
	__u32 reserved;
	__u64 payload;
	__u64 header_bytes;
	__u64 slot_bytes;
	__u32 site;
	__u32 site_client;
};

#define MOHEAP_OBJECTS_TYPE	0x1	/* only of this type */
#define MOHEAP_OBJECTS_CANDIDATES 0x2	/* only those that the collector will look at */
#define MOHEAP_OBJECTS_REFERRERS 0x4	/* only those with a slot that refers to target */
#define MOHEAP_OBJECTS_FROZEN	0x8	/* only those that are set aside from the collector */
#define MOHEAP_OBJECTS_SAVED	0x10	/* only garbage that the heap holds */

#define MOHEAP_OBJECTS_END	(~0ULL)

/**
 * struct moheap_objects - MOHEAP_IOC_OBJECTS: find objects
 * @size: sizeof(struct moheap_objects)
 * @flags: MOHEAP_OBJECTS_*; all must hold of an object
 * @cursor: in: 0 to begin, else as it was left; out: where to go on, MOHEAP_OBJECTS_END when all
 *	objects were looked at
 * @refs: pointer to an array of @count refs that is filled
 * @count: in: room in @refs; out: how many were found. After a signal they may be fewer, or
 *	none, before the end
 * @type: with MOHEAP_OBJECTS_TYPE: type id
 * @target: with MOHEAP_OBJECTS_REFERRERS: an object
 *
 * What lives from the first call to the last is found exactly once, whatever changes meanwhile.
 * The client does not hold what it finds.
 */
struct moheap_objects {
	__u32 size;
	__u32 flags;
	__u64 cursor;
	__u64 refs;
	__u32 count;
	__u32 type;
	__u64 target;
};

/**
 * struct moheap_usage - MOHEAP_IOC_USAGE: what the objects of a type use
 * @size: sizeof(struct moheap_usage)
 * @flags: 0
 * @type: in: type id
 * @reserved: 0
 * @pools: out: pools of the type
 * @empty: out: those without an object
 * @blocks: out: objects there is room for in them
 * @used: out: objects there are; the rest, in pools that are not empty, is fragmentation
 * @kernel_bytes: out: memory of headers and inline slots
 * @arena_bytes: out: memory of payload
 */
struct moheap_usage {
	__u32 size;
	__u32 flags;
	__u32 type;
	__u32 reserved;
	__u64 pools;
	__u64 empty;
	__u64 blocks;
	__u64 used;
	__u64 kernel_bytes;
	__u64 arena_bytes;
};

/**
 * struct moheap_site - an object with a site
 * @ref: the object
 * @bytes: its memory: block, header and slots
 * @site: where it was made, as the client numbers such places
 * @client: whose site that is
 * @type: type id of the object
 * @reserved: 0
 */
struct moheap_site {
	__u64 ref;
	__u64 bytes;
	__u32 site;
	__u32 client;
	__u32 type;
	__u32 reserved;
};

#define MOHEAP_SITES_ALL	0x1	/* list the sites of all clients */
#define MOHEAP_SITES_RESET_PEAK	0x2	/* first, peak is what bytes is now */
#define MOHEAP_SITES_CLEAR	0x4	/* first, take back all sites of this client; reset peak */

#define MOHEAP_SITES_END	MOHEAP_OBJECTS_END

/**
 * struct moheap_sites - MOHEAP_IOC_SITES: the sites of objects, and what those use
 * @size: sizeof(struct moheap_sites)
 * @flags: MOHEAP_SITES_*
 * @cursor: in: 0 to begin, else as it was left; out: where to go on, MOHEAP_SITES_END when all
 *	objects were looked at. Left alone where @count is 0
 * @sites: pointer to an array of @count struct moheap_site that is filled with sites of this
 *	client
 * @count: in: room in @sites, 0 to list none; out: how many were found. After a signal they may be
 *	fewer, or none, before the end
 * @client: out: the id of this client in this heap
 * @objects: out: objects with a site of this client whose memory is not free yet
 * @bytes: out: that memory: blocks, headers and slots
 * @peak: out: the most @bytes ever was, or since it was reset
 *
 * What lives, and keeps its site, from the first call to the last is found exactly once, whatever
 * changes meanwhile. The client does not hold what it finds.
 */
struct moheap_sites {
	__u32 size;
	__u32 flags;
	__u64 cursor;
	__u64 sites;
	__u32 count;
	__u32 client;
	__u64 objects;
	__u64 bytes;
	__u64 peak;
};

/*
 * Generations of a collection, as Python's gc.collect(generation). What the collector does by
 * itself are local passes, of generation 0, and traces of the whole heap, of generation 2.
 */
#define MOHEAP_COLLECT_LOCAL	0	/* one local pass */
#define MOHEAP_COLLECT_LOCAL_ALL 1	/* local passes until no candidate is left */
#define MOHEAP_COLLECT_FULL	2	/* everything that is unreachable now */
#define MOHEAP_GENERATIONS	3

/**
 * struct moheap_collect - MOHEAP_IOC_COLLECT: collect now, and return when it is done
 * @size: sizeof(struct moheap_collect)
 * @flags: 0
 * @generation: MOHEAP_COLLECT_*
 * @reserved: 0
 * @unreachable: out: objects in cycles that this collection found: freed, saved, or to be
 *	finalized first
 */
struct moheap_collect {
	__u32 size;
	__u32 flags;
	__u32 generation;
	__u32 reserved;
	__u64 unreachable;
};

#define MOHEAP_FREEZE_UNDO	0x1	/* unfreeze all objects instead */

/**
 * struct moheap_freeze - MOHEAP_IOC_FREEZE: set all objects aside from the collector
 * @size: sizeof(struct moheap_freeze)
 * @flags: MOHEAP_FREEZE_*
 * @frozen: out: how many objects are frozen now
 *
 * As Python's gc.freeze(): a frozen object, and all that it refers to, is alive to the collector,
 * garbage or not, and costs it next to nothing. It goes when nothing refers to it any more, as
 * ever. Frozen is what lives from the beginning of the call to its end, objects without slots
 * included; but not what refers to nothing and is referred to by nothing but one client's hold:
 * such objects are what libraries keep in reserve. After a signal it is done in part.
 */
struct moheap_freeze {
	__u32 size;
	__u32 flags;
	__u64 frozen;
};

/**
 * struct moheap_generation - figures of the collections of one generation
 * @collections: how many there were. Of generation 0 and 1: local passes; of 2: traces
 * @collected: objects they found unreachable and freed
 * @uncollectable: objects they found unreachable and saved (MOHEAP_DEBUG_SAVEALL)
 * @finalizing: objects they found unreachable and due to be finalized first
 */
struct moheap_generation {
	__u64 collections;
	__u64 collected;
	__u64 uncollectable;
	__u64 finalizing;
};

/**
 * struct moheap_stat - MOHEAP_IOC_STAT: figures of the heap
 * @size: sizeof(struct moheap_stat)
 * @flags: 0
 * @heap_id: its number
 * @limit: most bytes it may use
 * @arena_size: bytes of address space for payload
 * @kernel_bytes: headers, slots, pools, hold bits, tables
 * @arena_bytes: payload memory reserved
 * @objects: alive
 * @pools: pools
 * @types: types registered
 * @clients: open files bound to it
 * @allocated: objects ever made
 * @freed_count: objects freed by reference counts
 * @freed_local: objects in cycles freed by local passes
 * @freed_trace: objects in cycles freed by traces
 * @pending: dead objects whose slots the collector has yet to clear
 * @candidates: objects the local pass has yet to look at
 * @escaped: candidates too large for a local pass, waiting for a trace
 * @local_passes: local passes run
 * @local_visits: objects they visited
 * @local_escapes: candidates that ever escaped
 * @traces: traces finished
 * @trace_visits: objects they marked
 * @collector_ns: time spent collecting, whoever did it
 * @longest_step_ns: longest time the collector kept everyone else out
 * @trace_ns: time spent in traces
 * @local_ns: time spent in local passes
 * @reap_ns: time the collector spent on dead objects left to it
 * @tracing: 1 while a trace is under way
 * @finalizing: objects to be finalized that no client was handed yet
 * @finalized: objects that were handed to a client
 * @unfinalized: objects to be finalized that no client was handed in time
 * @lingering: blocks that linger, and that no client took (struct moheap_linger)
 * @generation: by generation of collections
 * @frozen: objects set aside from the collector (struct moheap_freeze)
 * @saved: garbage that the heap holds (MOHEAP_DEBUG_SAVEALL)
 */
struct moheap_stat {
	__u32 size;
	__u32 flags;
	__u64 heap_id;
	__u64 limit;
	__u64 arena_size;
	__u64 kernel_bytes;
	__u64 arena_bytes;
	__u64 objects;
	__u64 pools;
	__u64 types;
	__u64 clients;
	__u64 allocated;
	__u64 freed_count;
	__u64 freed_local;
	__u64 freed_trace;
	__u64 pending;
	__u64 candidates;
	__u64 escaped;
	__u64 local_passes;
	__u64 local_visits;
	__u64 local_escapes;
	__u64 traces;
	__u64 trace_visits;
	__u64 collector_ns;
	__u64 longest_step_ns;
	__u64 trace_ns;
	__u64 local_ns;
	__u64 reap_ns;
	__u64 tracing;
	__u64 finalizing;
	__u64 finalized;
	__u64 unfinalized;
	__u64 lingering;
	struct moheap_generation generation[MOHEAP_GENERATIONS];
	__u64 frozen;
	__u64 saved;
};

/* Members of struct moheap_tune, for its @set */
#define MOHEAP_TUNE_BUDGET	0x1
#define MOHEAP_TUNE_THRESHOLD	0x2
#define MOHEAP_TUNE_GROWTH	0x4
#define MOHEAP_TUNE_IDLE	0x8
#define MOHEAP_TUNE_ENABLED	0x10
#define MOHEAP_TUNE_FINALIZE	0x20
#define MOHEAP_TUNE_DEBUG	0x40

#define MOHEAP_BUDGET_MAX	1024

/*
 * Flags of moheap_tune.debug, as Python's gc has them. With SAVEALL the kernel saves what the
 * collector finds unreachable: watches are told and finalizers have their turn, but then each
 * object is held by the heap, in place of being freed, until somebody discards it
 * (MOHEAP_OP_DISCARD). MOHEAP_OBJECTS_SAVED finds what is saved. It counts against the limit of
 * the heap, at which a collection cannot free anything then. The other flags are for libraries,
 * which print; the kernel keeps them.
 */
#define MOHEAP_DEBUG_STATS		0x1	/* say how each collection went */
#define MOHEAP_DEBUG_COLLECTABLE	0x2	/* name what was found unreachable, and is saved */
#define MOHEAP_DEBUG_UNCOLLECTABLE	0x4	/* nothing: all can be freed */
#define MOHEAP_DEBUG_SAVEALL		0x20	/* save all garbage */
#define MOHEAP_DEBUG_LEAK \
	(MOHEAP_DEBUG_COLLECTABLE | MOHEAP_DEBUG_UNCOLLECTABLE | MOHEAP_DEBUG_SAVEALL)

/**
 * struct moheap_tune - MOHEAP_IOC_TUNE: read, and set, what drives the collector
 * @size: sizeof(struct moheap_tune)
 * @set: MOHEAP_TUNE_*: the members to set first. All are written back
 * @budget: visits of one local pass, 1 to MOHEAP_BUDGET_MAX
 * @threshold: candidates that wake the collector at once, 1 or more
 * @growth: percent of the live objects that may be made before an escaped candidate starts
 *	a trace, 1 to 1000
 * @idle_ms: how long candidates may wait for more of them, 1 to 60000
 * @enabled: 0: the collector acts only on request and at the limit
 * @finalize_ms: how long an object may wait to be finalized, 1 to 86400000
 * @debug: MOHEAP_DEBUG_*
 * @reserved: 0
 */
struct moheap_tune {
	__u32 size;
	__u32 set;
	__u32 budget;
	__u32 threshold;
	__u32 growth;
	__u32 idle_ms;
	__u32 enabled;
	__u32 finalize_ms;
	__u32 debug;
	__u32 reserved;
};

/* ---- Guarded heaps ---- */

/**
 * struct moheap_block - a block that no object has
 * @ref: where it begins in bits 31..0, and the generation of the object that had it last, with bit
 *	63 set in any case
 * @type: type id of that
 * @payload: bytes of the block
 */
struct moheap_block {
	__u64 ref;
	__u32 type;
	__u32 payload;
};

/**
 * struct moheap_linger - MOHEAP_IOC_LINGER: take blocks that linger, and give back others
 * @size: sizeof(struct moheap_linger)
 * @flags: 0
 * @blocks: pointer to an array of @count struct moheap_block that is filled
 * @count: in: room in @blocks; out: how many blocks were taken
 * @keep: in: how many of the blocks it took before the client keeps at most: those it took last.
 *	The others become free. Out: how many it has now
 * @left: out: blocks that linger still
 *
 * In a heap made with MOHEAP_CREATE_GUARD a block with payload does not become free when its object
 * dies, but lingers: no object gets it until a client took it and gave it back. In between the
 * client may look at what is in it, and write there. When the client dies, it gives back all; where
 * the heap is at its limit, blocks that linger, and that nobody took, become free at once.
 *
 * Every client takes for itself, and no two take the same block. Where writing blocks out fails
 * with EFAULT, those that the caller could not be told of are free again.
 */
struct moheap_linger {
	__u32 size;
	__u32 flags;
	__u64 blocks;
	__u32 count;
	__u32 keep;
	__u64 left;
};

/* ---- The ioctls ---- */

#define MOHEAP_IOC_MAGIC	0xbd

#define MOHEAP_IOC_CREATE	_IOWR(MOHEAP_IOC_MAGIC, 0x00, struct moheap_create)
#define MOHEAP_IOC_JOIN		_IOWR(MOHEAP_IOC_MAGIC, 0x01, struct moheap_join)
#define MOHEAP_IOC_CLONE	_IOW(MOHEAP_IOC_MAGIC, 0x02, struct moheap_clone)
#define MOHEAP_IOC_TYPE		_IOWR(MOHEAP_IOC_MAGIC, 0x03, struct moheap_type)
#define MOHEAP_IOC_TYPE_INFO	_IOWR(MOHEAP_IOC_MAGIC, 0x04, struct moheap_type)
#define MOHEAP_IOC_BATCH	_IOWR(MOHEAP_IOC_MAGIC, 0x05, struct moheap_batch)
#define MOHEAP_IOC_OBJECT	_IOWR(MOHEAP_IOC_MAGIC, 0x06, struct moheap_object)
#define MOHEAP_IOC_COLLECT	_IOWR(MOHEAP_IOC_MAGIC, 0x07, struct moheap_collect)
#define MOHEAP_IOC_STAT		_IOWR(MOHEAP_IOC_MAGIC, 0x08, struct moheap_stat)
#define MOHEAP_IOC_TUNE		_IOWR(MOHEAP_IOC_MAGIC, 0x09, struct moheap_tune)
#define MOHEAP_IOC_CHECK	_IO(MOHEAP_IOC_MAGIC, 0x0a)
#define MOHEAP_IOC_LISTEN	_IOW(MOHEAP_IOC_MAGIC, 0x0b, struct moheap_listen)
#define MOHEAP_IOC_OBJECTS	_IOWR(MOHEAP_IOC_MAGIC, 0x0c, struct moheap_objects)
#define MOHEAP_IOC_USAGE	_IOWR(MOHEAP_IOC_MAGIC, 0x0d, struct moheap_usage)
#define MOHEAP_IOC_FREEZE	_IOWR(MOHEAP_IOC_MAGIC, 0x0e, struct moheap_freeze)
#define MOHEAP_IOC_SITES	_IOWR(MOHEAP_IOC_MAGIC, 0x0f, struct moheap_sites)
#define MOHEAP_IOC_LINGER	_IOWR(MOHEAP_IOC_MAGIC, 0x10, struct moheap_linger)

#endif /* _UAPI_LINUX_MOHEAP_H */
