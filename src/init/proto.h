/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the creator of a jail and brig-init, its first process.
 *
 * brig-init is executed by descriptor, with its settings as arguments, the environment of the services, and
 * these descriptors; no other is open, not even 0 to 2:
 *	3 INIT_FD_CTL	stream socket to the creator
 *	4 INIT_FD_LOG	console log, append only
 *	5 INIT_FD_LOGRW	the same file for reading and truncating, or closed
 *	6 INIT_FD_STATUS	service status records, or closed
 * It opens 7 itself.  8 (INIT_FD_LISTEN) to 8 + 63 are the sockets of `listen`, in the order of the
 * configuration: an instance that takes over this one's network finds them there (pidfd_getfd(2)), and
 * checks them.  The one after them, INIT_FD_COMMANDS, is the writing end of a pipe: the output of exec.start
 * and the like goes there, by way of /proc/PID/fd, and is copied to the log like that of services, so that
 * the log stays below its bound.
 *
 * Arguments: brig-init [-p] [-t STOP_SECONDS] [-m LOG_MAX_BYTES] [-f FIFO] [-l SOCKET] [--] [SERVICE...]
 *	-p	persist: stay when nothing is left to run
 *	-t	default 10; 0: KILL at once
 *	-m	default 0: the log grows without end
 *	-f	a FIFO that it makes, for the jail's rc (below)
 *	-l	a socket that it makes, for syslog(3)
 *	SERVICE	a command string by jail(8)'s rule (sh -c if it has shell characters, else split at blanks)
 *
 * brig-init -x FILE ARGV0 [ARG...], never as the first process: executes FILE as execvp(3) does, with the
 * arguments from ARGV0 on.  `brig exec` executes it in the jail first: until it executes FILE,
 * /proc/self/exe is brig-init, which the jail cannot open, and not the host's brig (CVE-2019-5736).  If FILE
 * cannot be executed it writes the errno (an int) to INIT_FD_CTL, which closes on exec.
 *
 * Control: init sends INIT_READY once it is up.  The creator sends INIT_GO: services are started and
 * `persist` counts.  Before that it may send INIT_LISTEN with sockets (SCM_RIGHTS, INIT_MAX_LISTEN in all);
 * init keeps them and answers INIT_READY.  End of file before INIT_GO: init exits at once (the creator died).
 * After INIT_GO the creator closes; init needs nobody.
 *
 * Every service gets the sockets at every start, as sd_listen_fds(3) has it: descriptors from 3 on,
 * LISTEN_FDS their number, LISTEN_PID the service's process as the jail counts.  LISTEN_FDNAMES is in the
 * environment that init was given.
 *
 * SIGTERM to init: services are not restarted any more, TERM to everything, exit when all are gone or after
 * STOP_SECONDS (KILL).  SIGKILL to init ends the jail at once (pid_namespaces(7)).
 *
 * Status file: one record of INIT_RECORD bytes a service, in the order of the arguments, written in place
 * with one pwrite(2): "STATE PID RESTARTS SECONDS LASTSTATUS", blanks, and '\n' as the last byte.  STATE is
 * one of up, wait (back-off), failed (too many restarts), done; PID the jail's, 0 when it is not up; SECONDS
 * since 1970 of the last change; LASTSTATUS of its last end as a shell has it (128 + signal), 0 before it.
 *
 * After these come two records for each followed service, in the order in which they were first named: one
 * as above, and the name, [A-Za-z0-9_], padded with blanks.  STATE can also be `started`: its process is not
 * known.
 *
 * A followed service is one that the jail's rc (data/skel/rc) has started, and that init restarts by running
 * rc again.  rc writes lines of less than 512 bytes to the FIFO (mode 0600: only the jail's root can).
 * Other lines are ignored, and so are more than INIT_MAX_FOLLOWED names.
 *	follow NAME POLICY PID [PIDFILE]
 *		NAME runs as process PID of the jail; 0: not known.  When it ends, and POLICY is `always`, or
 *		`on-failure` and it did not end with status 0 or by HUP, INT, TERM or PIPE, init runs
 *		`/bin/sh /etc/rc start NAME`, with the delays below; that writes `follow` again, or `failed`.
 *		POLICY `no`: it is not restarted.  Before a restart what is left of its process group, if that
 *		is a session of its own, gets TERM, and KILL after ten seconds.
 *		While NAME does not run, PIDFILE is read after a process of the jail has ended: the service
 *		may have been started by hand.  The end of such a process counts as clean, unless it is a
 *		child of init with another status
 *	failed NAME
 *		it did not start
 *	stop
 *		rc.shutdown begins: no followed service is started again
 *
 * Messages of syslog(3) go to the log as "FACILITY.LEVEL TEXT".  A daemon of the jail can take the socket
 * over (unlink, bind); when it has ended, init makes the socket again.
 *
 * The log is kept below LOG_MAX_BYTES by moving its last half to its beginning, with INIT_FD_LOGRW.
 *
 * Restarts: a service that ends is started again after 0.1 s, doubling to 30 s; a run of 10 s or more resets
 * the delay.  After 20 failures in a row without such a run it is left `failed`.  A service that exits with
 * status 0 is started again all the same: it is to be kept running.
 */
#ifndef BRIG_INIT_PROTO_H
#define BRIG_INIT_PROTO_H

#define INIT_EXEC "-x"
#define INIT_FD_CTL 3
#define INIT_FD_LOG 4
#define INIT_FD_LOGRW 5
#define INIT_FD_STATUS 6
#define INIT_FD_LISTEN 8
#define INIT_READY 'r'
#define INIT_GO 'g'
#define INIT_LISTEN 'l'
#define INIT_RECORD 64
#define INIT_MAX_SERVICES 64
#define INIT_MAX_LISTEN 64
#define INIT_MAX_FOLLOWED 64
#define INIT_FOLLOW "/run/brig-init"
#define INIT_SYSLOG "/run/systemd/journal/syslog" /* where /dev/log leads to: see dev.c */
#define INIT_FD_COMMANDS (INIT_FD_LISTEN + INIT_MAX_LISTEN)

#endif
