// SPDX-License-Identifier: MIT OR LGPL-2.1-only
/*
 * Which library this is.
 */
#include "internal.h"

const char *moheap_version(void)
{
	return MOHEAP_VERSION;
}
