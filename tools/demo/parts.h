/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the report. A part returns when all it shows has turned out to be so.
 */
#ifndef DEMO_PARTS_H
#define DEMO_PARTS_H

void show_packages(const char *index);
void show_lists(void);
void show_killed(void);

#endif /* DEMO_PARTS_H */
