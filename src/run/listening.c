/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does the new instance listen where the services of the old one did?
 *
 * Of the old one only sockets count that its services hold: those of `service`, and what its rc has started and brig-init
 * follows (init/proto.h).  What somebody has started by hand does not come back by itself, and is no reason to go back.
 * Of the new one every socket of the same protocol and port counts, whatever its address and whoever holds it.
 */
#include <netinet/in.h>
#include <time.h>

#include "base/clock.h"
#include "run/service.h"
#include "run/steps.h"

#define SURE_MS 5000      /* so long at least a service may take until it listens */
#define LIMIT_SECONDS 30  /* without exec.timeout, as long as all services are up */
#define PAUSE_NS 20000000 /* between two looks */

static int
note(const struct store *s, const struct state *st, const struct jailspec *made, struct os_sockets *ret,
     struct err *e)
{
	struct services services;
	int *pids, r;
	size_t n = 0;

	services_read(s, st->name, made->service.n, &services);
	pids = xcalloc(services.n + 1, sizeof(*pids));
	for (size_t i = 0; i < services.n; i++)
		if (services.v[i].pid > 0)
			pids[n++] = services.v[i].pid;
	services_free(&services);
	ret->n = 0;
	r = n > 0 ? os_jail_sockets(&st->ref, made, &(struct os_pids){pids, n}, ret, e) : 0;
	free(pids);
	return r < 0 ? err_wrap(e, "what listens in the jail") : 0;
}

int
run_was(const struct store *s, const char *name, struct run_was *ret, struct err *e)
{
	struct state st;
	int r = run_made_of(s, name, &ret->made, e);

	ret->listened.n = 0;
	if (r > 0)
		r = state_read(s, name, &st, e);
	if (r <= 0)
		return r;
	r = note(s, &st, ret->made, &ret->listened, e);
	state_free(&st);
	if (r == -ESRCH) { /* it has ended meanwhile, and had nothing that could be missed */
		err_clear(e);
		r = 0;
	}
	return r < 0 ? r : 1;
}

void
run_was_free(struct run_was *w)
{
	jailspec_free(w->made);
	w->made = NULL;
}

int
up_sockets(struct ctx *c, struct instance *i _unused_, struct err *e)
{
	return note(c->s, &c->old.st, c->made, &c->listened, e);
}

/* "tcp 80, udp 53" of those that are not among them; NULL: none. */
static char *
missing(const struct os_sockets *before, const struct os_sockets *now)
{
	_auto_strv struct strv names = STRV_INIT;

	for (size_t i = 0; i < before->n; i++)
		if (!os_sockets_have(now, &before->v[i]))
			strv_addf(&names, "%s %u", before->v[i].proto == IPPROTO_TCP ? "tcp" : "udp",
				  before->v[i].port);
	return names.n ? strv_join(&names, ", ") : NULL;
}

static bool
all_up(const struct instance *i)
{
	struct services services;
	bool up = true;

	services_read(i->s, i->spec->name, i->spec->service.n, &services);
	for (size_t k = 0; k < services.n; k++)
		up = up && service_is_up(&services.v[k]);
	services_free(&services);
	return up;
}

/* Is it of no use to wait any longer? */
static bool
is_over(const struct instance *i, int64_t since_ms)
{
	int64_t limit = (i->spec->exec_timeout > 0 ? i->spec->exec_timeout : LIMIT_SECONDS) * 1000LL;
	int64_t waited = clock_ms() - since_ms;

	return waited >= limit || (waited >= SURE_MS && !all_up(i));
}

int
up_listening(struct ctx *c, struct instance *i, struct err *e)
{
	const struct os_sockets *before = i->opts->before ? &i->opts->before->listened : &c->listened;
	int64_t begin = clock_ms();

	if (before->n == 0 || (c->to && c->to->ignore_listen))
		return 0;
	for (;;) {
		_auto_free char *names = NULL;
		struct os_sockets now;

		if (os_jail_sockets(&i->st.ref, i->spec, NULL, &now, e) < 0)
			return -e->num;
		names = missing(before, &now);
		if (!names)
			return 0;
		if (!os_jail_alive(&i->st.ref))
			return err_set(e, ECHILD, "%s: nothing listens there any more: the jail ended",
				       names);
		if (is_over(i, begin))
			return err_set(
			    e, ETIMEDOUT,
			    "%s: nothing listens there any more (--ignore-listen: upgrade all the same)",
			    names);
		if (interrupt_pending(i->in))
			return err_set(e, EINTR, "interrupted while waiting for %s", names);
		(void)nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
	}
}
