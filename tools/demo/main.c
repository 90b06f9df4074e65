// SPDX-License-Identifier: GPL-2.0
/*
 * moheap-demo: what a heap in the kernel can do, shown on real input, as a report to read.
 *
 *	moheap-demo PACKAGES_FILE	a Debian package index
 *
 * Everything the report says is checked while it happens. Exit status: 0 if it is all so.
 */
#include <stdio.h>
#include <sys/utsname.h>

#include <moheap.h>

#include "parts.h"
#include "report.h"

int main(int argc, char **argv)
{
	__u64 since = now();
	struct utsname system;

	if (argc != 2) {
		fprintf(stderr, "usage: moheap-demo PACKAGES_FILE\n");
		return 2;
	}
	uname(&system);
	printf("\nmoheap %s: a heap of objects that the kernel owns\n", moheap_version());
	printf("Linux %s, %s\n", system.release, system.machine);
	show_packages(argv[1]);
	show_lists();
	show_killed();
	printf("\nAll of this was checked while it happened. It took %s.\n\n",
	       duration(now() - since).s);
	return 0;
}
