// SPDX-License-Identifier: GPL-2.0
/*
 * moheap_user: batches of a process, and memory that turns out not to be there.
 *
 * A case runs in a thread that gets an address space of its own: two pages to work in, and
 * nothing after them. Whatever cannot be told to the caller must not be left behind.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>

#include "fixture.h"

#define KU_USER_BYTES	(2 * PAGE_SIZE)

/* The address of the two pages. */
static u64 ku_user_pages(struct ku *ku)
{
	unsigned long addr;

	addr = kunit_vm_mmap(ku->test, NULL, 0, KU_USER_BYTES + PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(ku->test, addr, 0);
	KUNIT_ASSERT_LT(ku->test, addr, (unsigned long)TASK_SIZE);
	KU_OK(ku->test, vm_munmap(addr + KU_USER_BYTES, PAGE_SIZE));
	return addr;
}

static void ku_put_ops(struct ku *ku, u64 to, const struct moheap_op *ops, u32 n)
{
	KU_OK(ku->test, copy_to_user(u64_to_user_ptr(to), ops, n * sizeof(*ops)));
}

static void ku_get_ops(struct ku *ku, u64 from, struct moheap_op *ops, u32 n)
{
	KU_OK(ku->test, copy_from_user(ops, u64_to_user_ptr(from), n * sizeof(*ops)));
}

static void ku_allocs(struct ku *ku, struct moheap_op *ops, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		ops[i] = (struct moheap_op){
			.code = MOHEAP_OP_ALLOC, .index = ku->type[KU_NODE], .a = 1,
		};
}

static void results_are_written(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 base = ku_user_pages(ku), refs[100];
	struct moheap_op ops[20];
	u32 done, i;

	ku_allocs(ku, ops, 20);
	ops[19].ref = base + PAGE_SIZE;
	ops[19].a = 100;
	ku_put_ops(ku, base, ops, 20);
	KU_OK(test, mh_batch(ku->client, base, 20, 0, true, &done));
	KUNIT_EXPECT_EQ(test, done, 20);
	ku_get_ops(ku, base, ops, 20);
	for (i = 0; i < 19; i++)
		KUNIT_EXPECT_TRUE(test, ku_alive(ku, ops[i].ref));
	KUNIT_EXPECT_EQ(test, ops[19].a, 100);
	KU_OK(test, copy_from_user(refs, u64_to_user_ptr(base + PAGE_SIZE), sizeof(refs)));
	for (i = 0; i < 100; i++)
		KUNIT_EXPECT_TRUE(test, ku_alive(ku, refs[i]));
}

static void operations_are_nowhere(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 base = ku_user_pages(ku);
	u32 done = 1;

	KUNIT_EXPECT_EQ(test, mh_batch(ku->client, base + KU_USER_BYTES, 1, 0, true, &done),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, done, 0);
	KUNIT_EXPECT_EQ(test, mh_batch(ku->client, 0, 1, 0, true, &done), -EFAULT);
	KUNIT_EXPECT_EQ(test, mh_batch(ku->client, (uintptr_t)ku, 1, 0, true, &done), -EFAULT);
	KUNIT_EXPECT_EQ(test, mh_batch(ku->client, U64_MAX - 8, 1, 0, true, &done), -EFAULT);
}

/* Some operations are there: they are done. */
static void operations_end_in_nowhere(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 base = ku_user_pages(ku);
	struct moheap_op ops[40];
	u64 at = base + KU_USER_BYTES - sizeof(ops);
	u32 done;

	ku_allocs(ku, ops, 40);
	ku_put_ops(ku, at, ops, 40);
	KUNIT_EXPECT_EQ(test, mh_batch(ku->client, at, 60, 0, true, &done), -EFAULT);
	KUNIT_EXPECT_LE(test, done, 40);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), done);
	ku_get_ops(ku, at, ops, 40);
	if (done)
		KUNIT_EXPECT_TRUE(test, ku_alive(ku, ops[done - 1].ref));
}

/* As many as could be delivered are alive. */
static void refs_end_in_nowhere(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 base = ku_user_pages(ku), room = 100, ref;
	struct moheap_op op;
	u32 done;

	ku_allocs(ku, &op, 1);
	op.ref = base + KU_USER_BYTES - room * sizeof(u64);
	op.a = 1000;
	ku_put_ops(ku, base, &op, 1);
	KUNIT_EXPECT_EQ(test, mh_batch(ku->client, base, 1, 0, true, &done), -ECANCELED);
	KUNIT_EXPECT_EQ(test, done, 0);
	ku_get_ops(ku, base, &op, 1);
	KUNIT_EXPECT_EQ(test, op.error, -EFAULT);
	KUNIT_EXPECT_LE(test, op.a, room);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), op.a);
	KUNIT_EXPECT_EQ(test, ku_held(ku->client), op.a);
	KU_OK(test, get_user(ref, (u64 __user *)u64_to_user_ptr(op.ref)));
	if (op.a)
		KUNIT_EXPECT_TRUE(test, ku_alive(ku, ref));
}

static void read_ends_in_nowhere(struct kunit *test)
{
	struct ku *ku = test->priv;
	u64 base = ku_user_pages(ku), array = ku_new_var(ku, 1000, 0);
	struct moheap_op op = {
		.code = MOHEAP_OP_READ, .ref = array, .b = 1000,
		.a = base + KU_USER_BYTES - 100 * sizeof(u64),
	};
	u32 done;

	ku_put_ops(ku, base, &op, 1);
	KUNIT_EXPECT_EQ(test, mh_batch(ku->client, base, 1, 0, true, &done), -ECANCELED);
	ku_get_ops(ku, base, &op, 1);
	KUNIT_EXPECT_EQ(test, op.error, -EFAULT);
	KUNIT_EXPECT_LE(test, op.b, 100);
	KUNIT_EXPECT_EQ(test, ku_count(ku, array), 1);
}

/* Operations that can be read, but their results not be written. */
static u64 ku_user_readonly(struct ku *ku, struct moheap_op *ops, u32 n)
{
	struct file *file = shmem_file_setup("ku", PAGE_SIZE, 0);
	unsigned long addr;
	loff_t pos = 0;

	KUNIT_ASSERT_FALSE(ku->test, IS_ERR(file));
	KUNIT_EXPECT_EQ(ku->test, kernel_write(file, ops, n * sizeof(*ops), &pos),
			n * sizeof(*ops));
	addr = kunit_vm_mmap(ku->test, file, 0, PAGE_SIZE, PROT_READ, MAP_SHARED, 0);
	fput(file);
	KUNIT_ASSERT_NE(ku->test, addr, 0);
	KUNIT_ASSERT_LT(ku->test, addr, (unsigned long)TASK_SIZE);
	return addr;
}

/* Nobody would know of these objects. */
static void untold_objects_are_dropped(struct kunit *test)
{
	struct ku *ku = test->priv;
	struct moheap_op ops[20];
	u32 done;
	u64 base;

	ku_allocs(ku, ops, 20);
	base = ku_user_readonly(ku, ops, 20);
	KUNIT_EXPECT_EQ(test, mh_batch(ku->client, base, 20, 0, true, &done), -EFAULT);
	KUNIT_EXPECT_EQ(test, done, 0);
	KUNIT_EXPECT_EQ(test, ku_objects(ku), 0);
	KUNIT_EXPECT_EQ(test, ku_held(ku->client), 0);
	KUNIT_EXPECT_GT(test, ku_stat(ku).allocated, 0);
}

static struct kunit_case ku_user_cases[] = {
	KUNIT_CASE(results_are_written),
	KUNIT_CASE(operations_are_nowhere),
	KUNIT_CASE(operations_end_in_nowhere),
	KUNIT_CASE(refs_end_in_nowhere),
	KUNIT_CASE(read_ends_in_nowhere),
	KUNIT_CASE(untold_objects_are_dropped),
	{}
};

struct kunit_suite ku_user_suite = {
	.name = "moheap_user",
	.init = ku_init,
	.exit = ku_exit,
	.test_cases = ku_user_cases,
};
