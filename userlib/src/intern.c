// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Interned byte strings: of each content at most one in a heap, whichever process asks for it.
 *
 * They are found through a tree that all clients share, made of objects:
 *
 *	branch	MH_WAYS slots, mirrored. A slot refers to nothing, to a leaf or to a branch; which
 *		slot of a branch at depth d is meant, bits 4d to 4d + 3 of a string's hash say
 *	leaf	a hash and the ref of a string of that hash, in payload: a weak reference, so that
 *		strings go when nobody else refers to them, as in Python. Its slot is for another
 *		leaf of the same hash, should two strings have one
 *
 * The tree grows by a branch where two strings meet in a slot, so there is no size to choose, and
 * nothing is ever moved. A leaf whose string is gone stays until a string that comes its way takes
 * its place: there are never more of them than there were strings at a time.
 *
 * Why no content has two strings. What is in the tree changes by compare-and-exchange of one slot
 * at a time, in three ways: nothing, or a leaf whose string is gone, becomes a new leaf; a leaf
 * becomes a branch with just that leaf in it; a leaf becomes a new leaf of the same hash that
 * leads to it. A branch stays for ever. So the slots that a hash leads through never get fewer,
 * and what is to be said of it is in the last of them. Who adds a string has read that slot, has
 * seen of each leaf there that its string is gone (which is for ever) or is another, and changes
 * the slot only if it is still the same: it holds what it compares with, so the ref it read names
 * nothing else. If another was quicker, it reads the slot anew, and finds what that one added.
 *
 * A process that is killed in the middle has changed the slot or has not.
 *
 * What mirrors say may be late: their writer comes after the kernel, or was killed. So a search
 * reads them first, and believes only what it can verify: a string that is alive, equal, and marked
 * as interned. That mark is set once the string is in the tree, by whoever put it there or finds it
 * there by the slots themselves; and a string that was in the tree is the only one of its content
 * as long as it lives. Where this fails, the slots are asked.
 *
 * The root is a branch that is made immortal, and elected by registering a type: that of its name
 * exists once in a heap, and its field is named by the root. Who comes second learns so who was
 * first; a root that was not elected is some 200 bytes that stay until the heap goes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "container.h"

#define MH_ROOT_TYPE	"moheap.interned"
#define MH_WAY_BITS	4
#define MH_DEPTH	(64 / MH_WAY_BITS)

/**
 * struct mh_wanted - a string that is looked for
 * @data: its bytes
 * @len: how many
 * @hash: their hash
 * @string: made for it, or 0
 * @leaf: and its leaf, or 0
 */
struct mh_wanted {
	const void *data;
	size_t len;
	__u64 hash;
	moheap_ref_t string;
	moheap_ref_t leaf;
};

static unsigned int mh_way(__u64 hash, unsigned int depth)
{
	return hash >> (depth * MH_WAY_BITS) & (MH_WAYS - 1);
}

static moheap_ref_t *mh_way_mirror(const struct moheap *heap, moheap_ref_t branch,
				   unsigned int way)
{
	return &((struct mh_branch *)moheap_ptr(heap, branch))->ways[way];
}

/* ---- The root ---- */

static int mh_make_immortal(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };
	struct moheap_op op = { .code = MOHEAP_OP_IMMORTAL, .ref = ref };
	struct moheap_batch batch = { .size = sizeof(batch), .ops = (uintptr_t)&op, .count = 1 };
	/* From here on the kernel knows it by this name. */
	int err = moheap_inspect(heap, &object);

	if (err)
		return err;
	if (!ioctl(moheap_fd(heap), MOHEAP_IOC_BATCH, &batch))
		return 0;
	return errno == ECANCELED ? op.error : -errno;
}

/* Who was elected: 0, or -ENOENT if nobody was. */
static int mh_root_find(struct moheap *heap, moheap_ref_t *root)
{
	struct moheap_field field;
	struct moheap_type info = { .size = sizeof(info), .nfields = 1 };
	int id = moheap_type_find(heap, MH_ROOT_TYPE), err;

	if (id < 0)
		return id;
	info.id = id;
	info.fields = (uintptr_t)&field;
	err = moheap_type_info(heap, &info);
	if (!err)
		*root = strtoull(field.name, NULL, 16);
	return err;
}

/* Stand for election. Return 0 if somebody was elected. */
static int mh_root_elect(struct moheap *heap, moheap_ref_t candidate)
{
	struct moheap_field field = { .kind = MOHEAP_FIELD_BYTES, .width = 1, .count = 1 };
	struct moheap_layout layout = {
		.size = sizeof(layout), .name = MH_ROOT_TYPE, .payload = 1, .fields = &field,
		.nfields = 1,
	};
	int id = mh_make_immortal(heap, candidate);

	if (id)
		return id;
	snprintf(field.name, sizeof(field.name), "%016llx", (unsigned long long)candidate);
	id = moheap_type_register(heap, &layout);
	return id < 0 && id != -EEXIST ? id : 0;
}

static int mh_root(struct moheap *heap, moheap_ref_t *root)
{
	int type, err;

	*root = mh_kinds_root(heap);
	if (*root)
		return 0;
	err = mh_root_find(heap, root);
	if (err == -ENOENT) {
		type = mh_kind_type(heap, MH_KIND_BRANCH);
		err = type < 0 ? type : moheap_new(heap, type, root);
		if (err)
			return err;
		err = mh_root_elect(heap, *root);
		moheap_decref(heap, *root);
		if (!err)
			err = mh_root_find(heap, root);
	}
	if (!err)
		mh_kinds_set_root(heap, *root);
	return err;
}

/* ---- Looking ---- */

/* Branches are what the root is, also for a reader, who can register no type. */
static int mh_is_branch(struct moheap *heap, moheap_ref_t root, moheap_ref_t ref)
{
	int type = moheap_type_of(heap, ref);

	return type < 0 ? type : type == moheap_type_of(heap, root);
}

/*
 * Take a reference to @ref if it is the string that is wanted.
 *
 * Return: 1; 0: it is another; -ESTALE: it is gone; or another errno.
 */
static int mh_take_wanted(struct moheap *heap, moheap_ref_t ref, const struct mh_wanted *wanted)
{
	const struct mh_bytes *b = moheap_ptr(heap, ref);
	int err = moheap_incref(heap, ref), kind;

	if (err)
		return err;
	kind = moheap_kind(heap, ref);
	if (kind == MOHEAP_KIND_BYTES && b->hash == wanted->hash && b->len == wanted->len &&
	    !memcmp(b->data, wanted->data, wanted->len))
		return 1;
	moheap_decref(heap, ref);
	return kind < 0 ? kind : 0;
}

static bool mh_is_interned(const struct moheap *heap, moheap_ref_t string)
{
	const struct mh_bytes *b = moheap_ptr(heap, string);

	return __atomic_load_n(&b->interned, __ATOMIC_RELAXED);
}

/* The string is in the tree. */
static void mh_mark_interned(struct moheap *heap, moheap_ref_t string)
{
	struct mh_bytes *b = moheap_ptr(heap, string);

	if (!b->interned && !mh_kind_writable(heap, MOHEAP_KIND_BYTES))
		__atomic_store_n(&b->interned, 1, __ATOMIC_RELAXED);
}

/* A search that reads memory only, and may miss what is there. Return true if it did not. */
static bool mh_search_mirrors(struct moheap *heap, moheap_ref_t root,
			      const struct mh_wanted *wanted, moheap_ref_t *string)
{
	moheap_ref_t ref = root;
	const struct mh_leaf *leaf;
	unsigned int depth;

	for (depth = 0; depth < MH_DEPTH && ref && mh_is_branch(heap, root, ref) == 1; depth++)
		ref = __atomic_load_n(mh_way_mirror(heap, ref, mh_way(wanted->hash, depth)),
				      __ATOMIC_ACQUIRE);
	if (!ref || depth == MH_DEPTH)
		return false;
	leaf = moheap_ptr(heap, ref);
	*string = leaf->string;
	if (leaf->hash != wanted->hash || mh_take_wanted(heap, *string, wanted) != 1)
		return false;
	if (mh_is_interned(heap, *string))
		return true;
	moheap_decref(heap, *string);
	return false;
}

/*
 * What there is in a leaf, and in those behind it.
 *
 * Return: 1: what is wanted, and @string; 0: others; -ESTALE: strings that are gone; or another
 * errno.
 */
static int mh_search_leaves(struct moheap *heap, moheap_ref_t ref, const struct mh_wanted *wanted,
			    moheap_ref_t *string)
{
	int ret = -ESTALE, is, err = moheap_incref(heap, ref);
	moheap_ref_t next;

	while (!err && ref) {
		*string = ((const struct mh_leaf *)moheap_ptr(heap, ref))->string;
		is = mh_take_wanted(heap, *string, wanted);
		next = 0;
		if (is == 1 || (is < 0 && is != -ESTALE))
			err = is;
		else
			err = moheap_load(heap, ref, 0, &next);
		if (!is)
			ret = 0;
		moheap_decref(heap, ref);
		ref = next;
	}
	return err ? err : ret;
}

/* ---- Adding ---- */

static int mh_leaf_new(struct moheap *heap, moheap_ref_t string, __u64 hash, moheap_ref_t *ref)
{
	int type = mh_kind_type(heap, MH_KIND_LEAF), err;
	struct mh_leaf *leaf;

	err = type < 0 ? type : moheap_new(heap, type, ref);
	if (err)
		return err;
	leaf = moheap_ptr(heap, *ref);
	leaf->hash = hash;
	leaf->string = string;
	return 0;
}

/* The string and its leaf, made when they are first needed. */
static int mh_wanted_make(struct moheap *heap, struct mh_wanted *wanted)
{
	struct moheap_object object = { .size = sizeof(object) };
	int err = 0;

	if (!wanted->string)
		err = moheap_bytes_new(heap, wanted->data, wanted->len, &wanted->string);
	if (err || wanted->leaf)
		return err;
	/* Others will know it by this name. */
	object.ref = wanted->string;
	err = moheap_inspect(heap, &object);
	return err ? err : mh_leaf_new(heap, wanted->string, wanted->hash, &wanted->leaf);
}

/*
 * Let a slot of a branch refer to @to, if it refers to @from.
 *
 * Return: 0, -EAGAIN, or another errno.
 */
static int mh_way_change(struct moheap *heap, moheap_ref_t branch, unsigned int way,
			 moheap_ref_t from, moheap_ref_t to)
{
	return moheap_compare_exchange(heap, branch, way, &from, to);
}

/* Put the wanted string in the place of @leaf, or before it, where that is of strings that live. */
static int mh_add(struct moheap *heap, moheap_ref_t branch, unsigned int way, moheap_ref_t leaf,
		  bool alive, struct mh_wanted *wanted)
{
	int err = mh_wanted_make(heap, wanted);

	if (!err)
		err = moheap_store(heap, wanted->leaf, 0, alive ? leaf : 0);
	if (!err)
		err = mh_way_change(heap, branch, way, leaf, wanted->leaf);
	return err;
}

/* Put a branch in the place of @leaf, which is in it. */
static int mh_split(struct moheap *heap, moheap_ref_t branch, unsigned int depth, moheap_ref_t leaf,
		    const struct mh_wanted *wanted)
{
	__u64 hash = ((const struct mh_leaf *)moheap_ptr(heap, leaf))->hash;
	int type = mh_kind_type(heap, MH_KIND_BRANCH), err;
	moheap_ref_t made;

	err = type < 0 ? type : moheap_new(heap, type, &made);
	if (err)
		return err;
	err = moheap_store(heap, made, mh_way(hash, depth + 1), leaf);
	if (!err)
		err = mh_way_change(heap, branch, mh_way(wanted->hash, depth), leaf, made);
	moheap_decref(heap, made);
	return err;
}

/* ---- Both ---- */

/*
 * Look at the leaf in a slot, or at the slot that is empty, and add what is wanted there.
 *
 * Return: 1 and @string; 0, -EAGAIN: look at the slot again; or another errno.
 */
static int mh_intern_at(struct moheap *heap, moheap_ref_t branch, unsigned int depth,
			moheap_ref_t leaf, struct mh_wanted *wanted, moheap_ref_t *string)
{
	unsigned int way = mh_way(wanted->hash, depth);
	int found = leaf ? mh_search_leaves(heap, leaf, wanted, string) : -ESTALE, err;

	if (found == 1)
		mh_mark_interned(heap, *string);
	if (found && found != -ESTALE)
		return found;
	if (!found && ((const struct mh_leaf *)moheap_ptr(heap, leaf))->hash != wanted->hash)
		return mh_split(heap, branch, depth, leaf, wanted);
	err = mh_add(heap, branch, way, leaf, !found, wanted);
	if (err)
		return err;
	*string = wanted->string;
	wanted->string = 0;
	mh_mark_interned(heap, *string);
	return 1;
}

/* What a slot refers to, with a reference; its mirror, should it be wrong, is put right. */
static int mh_way_load(struct moheap *heap, moheap_ref_t branch, unsigned int way,
		       moheap_ref_t *ref)
{
	moheap_ref_t *mirror = mh_way_mirror(heap, branch, way);
	moheap_ref_t was = __atomic_load_n(mirror, __ATOMIC_RELAXED);
	int err = moheap_load(heap, branch, way, ref);

	if (!err && was != *ref && !mh_kind_writable(heap, MH_KIND_BRANCH))
		__atomic_compare_exchange_n(mirror, &was, *ref, false, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED);
	return err;
}

static int mh_intern(struct moheap *heap, moheap_ref_t root, struct mh_wanted *wanted,
		     moheap_ref_t *string)
{
	moheap_ref_t branch = root, ref;
	unsigned int depth = 0;
	int err, is;

	do {
		err = mh_way_load(heap, branch, mh_way(wanted->hash, depth), &ref);
		if (err)
			return err;
		is = ref ? mh_is_branch(heap, root, ref) : 0;
		if (is < 0) {
			err = is;
		} else if (is) {
			branch = ref;
			/* Branches of deeper ones are nothing that this file made. */
			err = ++depth == MH_DEPTH ? -ELOOP : 0;
		} else {
			err = mh_intern_at(heap, branch, depth, ref, wanted, string);
		}
		/* Branches stay, and so does what they refer to for as long as they do. */
		moheap_decref(heap, ref);
	} while (!err || err == -EAGAIN);
	return err;
}

int moheap_intern(struct moheap *heap, const void *data, size_t len, moheap_ref_t *bytes)
{
	struct mh_wanted wanted = { .data = data, .len = len };
	moheap_ref_t root, string = 0;
	int err;

	if (len > MH_BYTES_MAX)
		return -E2BIG;
	err = mh_root(heap, &root);
	if (err)
		return err;
	wanted.hash = mh_bytes_hash(data, len);
	if (!mh_search_mirrors(heap, root, &wanted, &string)) {
		err = mh_intern(heap, root, &wanted, &string);
		moheap_decref(heap, wanted.leaf);
		moheap_decref(heap, wanted.string);
		if (err < 0)
			return err;
	}
	*bytes = string;
	return 0;
}

int moheap_interned(struct moheap *heap, moheap_ref_t ref)
{
	int kind = moheap_kind(heap, ref);

	return kind == MOHEAP_KIND_BYTES ? mh_is_interned(heap, ref) : kind < 0 ? kind : 0;
}
