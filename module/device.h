/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MOHEAP_DEVICE_H
#define MOHEAP_DEVICE_H

int mh_device_init(void);
void mh_device_exit(void);

#endif /* MOHEAP_DEVICE_H */
