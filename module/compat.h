/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything that differs between the kernels moheap builds on (6.1 to 6.12) is here.
 */
#ifndef MOHEAP_COMPAT_H
#define MOHEAP_COMPAT_H

#include <linux/mm.h>

/*
 * vma->vm_flags is read-only to drivers since 6.3, and the accessor is missing before. In an
 * mmap handler nobody else can see the vma yet.
 */
static inline void mh_vma_forbid(struct vm_area_struct *vma, unsigned long flags)
{
	*(vm_flags_t *)&vma->vm_flags &= ~flags;
}

/* What only the KUnit suites may call is exported to them alone. */
#if IS_ENABLED(CONFIG_KUNIT)
#include <kunit/visibility.h>
#define MH_EXPORT_KUNIT(symbol)	EXPORT_SYMBOL_IF_KUNIT(symbol)
#endif

#endif /* MOHEAP_COMPAT_H */
