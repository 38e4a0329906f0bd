/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One jail from one release to another (upgrade, rollback), its files with it.
 *
 * A running jail is switched with as little downtime as possible: all that can be done before is done
 * before. Where the host can (os_jail_can_keep()) and no exec.* command of the host wants to be in between,
 * the new instance is made beside the old one, in the same network, and only then the old one's services
 * stop; addresses, routes, redirections and the JID stay.  Otherwise the jail is stopped and started.  One
 * that does not start, or is not healthy, goes back to the release it came from, with its files as they were.
 *
 * store/change/change.h says how the files and the release change in one step.
 */
#ifndef BRIG_RUN_SWITCH_H
#define BRIG_RUN_SWITCH_H

#include "run/files.h"
#include "run/run.h"

/* What would be done to the jail, a line each. */
int switch_walk(struct switch_to *to, const struct jailspec *spec, struct strv *ret, struct err *e);
/* 0 done, 1 it was on the release already. */
int switch_jail(struct switch_to *to, const struct jailspec *spec, const struct run_caller *who,
		struct switch_result *ret, struct err *e);
/* The first part of all-at-once: it stops, and its mark says that it is to be started again.  1: it does not run, or is
 * on the release already. */
int switch_stop_jail(struct switch_to *to, const struct jailspec *spec, const struct run_caller *who,
		     struct switch_result *ret, struct err *e);
/* The second one, between that and a start of to->restart: the record and the files are the new release's,
 * and the start that follows ends the change, or goes back over it. */
int switch_stopped_jail(struct switch_to *to, const struct jailspec *spec, const struct run_caller *who,
			struct switch_result *ret, struct err *e);

#endif
