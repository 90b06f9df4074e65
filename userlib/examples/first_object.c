// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * The first object: make a heap, a type, an object; write to it; see it live and die.
 *
 *	cc first_object.c -lmoheap && ./a.out
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <moheap.h>

/* What an object of ours looks like in memory. */
struct greeting {
	__u32 times;
	char text[60];
};

static void must(const char *what, long long ret)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-ret));
	exit(1);
}

int main(void)
{
	/* Tell the heap about it. The fields are for tools to read; size is all it needs. */
	static const struct moheap_field fields[] = {
		{ .kind = MOHEAP_FIELD_UINT, .width = 4, .count = 1, .offset = 0, .name = "times" },
		{ .kind = MOHEAP_FIELD_BYTES, .width = 1, .count = 60, .offset = 4,
		  .name = "text" },
	};
	static const struct moheap_layout layout = {
		.size = sizeof(layout),
		.name = "greeting",
		.payload = sizeof(struct greeting),
		.nfields = 2,
		.fields = fields,
	};
	struct greeting *greeting;
	struct moheap *heap;
	moheap_ref_t ref;
	int type, err;

	must("moheap_create", moheap_create(NULL, &heap));
	type = moheap_type_register(heap, &layout);
	must("moheap_type_register", type);

	/* A new object is all zero, and we have the one reference to it. */
	must("moheap_new", moheap_new(heap, type, &ref));

	/* Its payload is memory like any other. */
	greeting = moheap_ptr(heap, ref);
	greeting->times = 3;
	snprintf(greeting->text, sizeof(greeting->text), "hello from the kernel's heap");
	for (unsigned int i = 0; i < greeting->times; i++)
		printf("%s\n", greeting->text);
	printf("the object takes %lld bytes, and has %lld reference\n",
	       moheap_getsizeof(heap, ref), moheap_refcount(heap, ref));

	/* With the last reference it is gone, and its name means nothing any more. */
	must("moheap_decref", moheap_decref(heap, ref));
	must("moheap_flush", moheap_flush(heap));
	err = moheap_incref(heap, ref);
	printf("after decref: %s\n", err ? strerror(-err) : "still there?");
	moheap_close(heap);
	return err == -ESTALE ? 0 : 1;
}
