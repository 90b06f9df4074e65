// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Questions about one object.
 */
#include <string.h>

#include "guard.h"

int moheap_inspect(struct moheap *heap, struct moheap_object *object)
{
	moheap_ref_t ref = object->ref;
	int err;

	if (object->size < sizeof(*object))
		return -EINVAL;
	memset(&object->flags, 0, object->size - sizeof(object->size));
	object->ref = ref;
	mh_lock(&heap->lock);
	err = mh_name(heap, ref);
	mh_queue_send(heap);
	if (!err)
		err = mh_ioctl(heap, MOHEAP_IOC_OBJECT, object);
	if (!err)
		object->payload = mh_guard_size(heap, ref, object->payload);
	mh_unlock(&heap->lock);
	return err;
}

long long moheap_refcount(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };
	long long count;
	int err;

	err = moheap_inspect(heap, &object);
	if (err)
		return err;
	count = mh_hold_count(heap, ref);
	if (count && object.flags & MOHEAP_OBJECT_HELD)
		count--;
	return count + object.count;
}

long long moheap_getsizeof(struct moheap *heap, moheap_ref_t ref)
{
	struct moheap_object object = { .size = sizeof(object), .ref = ref };
	int err;

	err = moheap_inspect(heap, &object);
	if (err)
		return err;
	return object.payload + object.header_bytes + object.slot_bytes;
}
