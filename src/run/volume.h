/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jailspaces that are a file system of their own: space = image:FILE, device:DEV.  A missing image is made
 * (sparse, space.size, under a temporary name beside FILE), a blank device gets a file system; what is on a
 * device is never touched.  space_fill() fills it, and the next create finishes one that was interrupted.
 */
#ifndef BRIG_RUN_VOLUME_H
#define BRIG_RUN_VOLUME_H

#include "run/run.h"

/* 1: it has a whole jailspace, 0: it is missing, blank or unfinished. */
int volume_exists(const struct jailspec *spec, struct err *e);
int volume_create(const struct jailspec *spec, const struct release *from, const struct progress *pr,
		  struct err *e);
/* Removes an image; does nothing to a device. */
int volume_remove(const struct jailspec *spec, struct err *e);

#endif
