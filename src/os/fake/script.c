/* SPDX-License-Identifier: BSD-2-Clause */
/* What is to happen at which call, and which calls there were. */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "os/fake/fake_int.h"

#define RULES 8
#define COMMANDS 8
#define CALLS 8192 /* kept */

enum what { FAIL, SIGNAL, KILL, END };
struct rule {
	unsigned at;
	enum fake_when when;
	enum what what;
	int arg; /* errno or signal */
	bool group;
	char name[FAKE_NAME]; /* END */
};
struct command {
	char command[FAKE_NAME];
	int status;
	ino_t root;
};
struct script {
	_Atomic unsigned calls;
	struct rule rule[RULES];
	size_t n_rules;
	struct command command[COMMANDS];
	size_t n_commands;
	struct fake_call call[CALLS];
};
static struct script *script;
static unsigned current; /* the call that this process is in */
static bool quiet;

static const struct {
	const char *call;
	int errors[4];
} errors[] = {
    {"os_ready", {EPERM}},
    {"os_boot_id", {EIO}},
    {"os_jail_create", {ENOSPC, EAGAIN}},
    {"os_jail_release", {EPIPE}},
    {"os_jail_output", {EIO}},
    {"os_jail_term", {EIO}},
    {"os_jail_kill", {EBUSY}},
    {"os_jail_root", {EMFILE}},
    {"os_jail_pids", {EIO}},
    {"os_jail_exec", {ENOMEM, ETIMEDOUT}},
    {"os_net_check", {EBUSY}},
    {"os_net_up", {EBUSY, ENOMEM}},
    {"os_net_down", {EBUSY}},
    {"os_fw_up", {EADDRINUSE}},
    {"os_fw_down", {EBUSY}},
    {"os_jail_listen", {EADDRINUSE}},
    {"os_watch_start", {ENOMEM}},
    {"os_watch_ready", {EIO}},
    {"os_jail_sockets", {ENOMEM}},
    {"os_limit_check", {EOPNOTSUPP}},
    {"os_limit_up", {EEXIST, EBUSY}},
    {"os_limit_down", {EBUSY}},
    {"os_space_format", {EIO}},
    {"os_space_mount", {EBUSY}},
    {"write", {EIO, ENOSPC}},
    {"syncfs", {EIO}},
    {"unlinkat", {EIO}},
    {"fsync", {EIO, ENOSPC}},
    {"openat", {EIO, ENOSPC}},
    {"renameat", {EIO, ENOSPC}},
    {"renameat2", {EIO, ENOSPC}},
    {"linkat", {EIO, ENOSPC}},
    {"mkdirat", {EIO, ENOSPC}},
    {"symlinkat", {EIO, ENOSPC}},
};

const int *
fake_errors(const char *call)
{
	static const int none[1];

	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (streq(errors[i].call, call))
			return errors[i].errors;
	return none;
}

void
fake_script_reset(void)
{
	if (!script)
		script =
		    mmap(NULL, sizeof(*script), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (script == MAP_FAILED)
		abort();
	script->n_rules = script->n_commands = 0;
	atomic_store(&script->calls, 0);
}

static void
add(struct rule r)
{
	if (script->n_rules == RULES)
		abort();
	script->rule[script->n_rules++] = r;
}

void
fake_fail(unsigned at, int num)
{
	add((struct rule){.at = at, .when = FAKE_BEFORE, .what = FAIL, .arg = num});
}

void
fake_signal(unsigned at, enum fake_when when, int sig, bool group)
{
	add((struct rule){.at = at, .when = when, .what = SIGNAL, .arg = sig, .group = group});
}

void
fake_kill(unsigned at, enum fake_when when, bool group)
{
	add((struct rule){.at = at, .when = when, .what = KILL, .group = group});
}

void
fake_ends(unsigned at, const char *name)
{
	struct rule r = {.at = at, .when = FAKE_BEFORE, .what = END};

	(void)snprintf(r.name, sizeof(r.name), "%s", name);
	add(r);
}

void
fake_clear_script(void)
{
	script->n_rules = 0;
}

void
fake_command(const char *command, ino_t root, int status)
{
	struct command *c = &script->command[script->n_commands];

	if (script->n_commands++ == COMMANDS)
		abort();
	*c = (struct command){.status = status, .root = root};
	(void)snprintf(c->command, sizeof(c->command), "%s", command);
}

int
fake_command_status(const char *command, ino_t root)
{
	for (size_t i = 0; i < script->n_commands; i++)
		if (streq(script->command[i].command, command) && script->command[i].root == root)
			return script->command[i].status;
	return streq(command, "false");
}

/* A signal to oneself has been delivered when kill(2) returns. */
static int
play(unsigned at, enum fake_when when)
{
	int r = 0;

	for (size_t i = 0; i < script->n_rules; i++) {
		struct rule rule = script->rule[i];

		if (rule.at != at || rule.when != when)
			continue;
		if (rule.what == FAIL)
			r = -rule.arg;
		else if (rule.what == END)
			fake_end(rule.name);
		else if (rule.what == KILL)
			(void)kill(rule.group ? 0 : getpid(), SIGKILL);
		else
			(void)kill(rule.group ? 0 : getpgrp(), rule.arg);
	}
	return r;
}

int
fake_enter(const char *call, const char *about)
{
	unsigned at;

	if (!script || quiet)
		return 0;
	at = atomic_fetch_add(&script->calls, 1) + 1;
	if (at < CALLS) {
		script->call[at].call = call;
		(void)snprintf(script->call[at].about, sizeof(script->call[at].about), "%s",
			       about ? about : "");
	}
	current = at;
	return play(at, FAKE_BEFORE);
}

void
fake_leave(void)
{
	if (script && !quiet)
		(void)play(current, FAKE_AFTER);
}

void
fake_quiet(bool yes)
{
	quiet = yes;
}

unsigned
fake_calls(void)
{
	return atomic_load(&script->calls);
}

const struct fake_call *
fake_call(unsigned n)
{
	return n > 0 && n < CALLS && n <= fake_calls() ? &script->call[n] : NULL;
}

int
fake_begin(const char *call, const char *about, struct err *e)
{
	int r = fake_enter(call, about);

	return r < 0 ? err_sys(e, -r, "%s %s", call, about ? about : "") : 0;
}
