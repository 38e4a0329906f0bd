/* SPDX-License-Identifier: BSD-2-Clause */
/* Jailspaces that are an image or a device. */
#ifndef BRIG_OS_SPACE_H
#define BRIG_OS_SPACE_H

#include <stdbool.h>

#include "base/err.h"

/* Makes a new file system for a jailspace in an image (a regular file of its final size) or on a block
 * device, open for writing.  Everything on it is lost: the caller has checked. */
int os_space_format(int fd, struct err *e);
/* Mounts the file system in an image (regular file) or on a block device, detached: only *ret_dir leads
 * to it, and it is unmounted when the last descriptor of it is closed. */
int os_space_mount(int fd, bool read_only, int *ret_dir, struct err *e);

#endif
