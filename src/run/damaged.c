/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `brig stop --force` of a jail whose state is damaged: which JID and ids it has, and what it was made with, is
 * put together from what is left, then the table of steps is walked backwards as for any other jail.
 *
 *	JIDs		RUN/jid/N, the links that lead to it
 *	ids		its record; else shown.json
 *	processes	the kernel's, by the ids
 *	addresses	its lines of RUN/hosts/hosts
 *	redirections	those in the firewall that have its name
 *	the rest	the configuration, where it has the jail: interfaces that its addresses were given for
 */
#include "run/walk.h"

#define INSTANCES_MAX 16 /* one, or two in the middle of an upgrade */

/* 1 known. */
static int
find_ids(const struct store *s, const char *name, struct record *rec, uint32_t *ret, struct err *e)
{
	struct state st;
	int r = record_read(s, name, rec, e);

	if (r > 0)
		*ret = rec->idbase;
	if (r != 0 && r != -EINVAL)
		return r;
	r = state_read_shown(s, name, &st, e);
	if (r > 0) {
		*ret = st.idbase;
		state_free(&st);
	}
	return r == -EINVAL ? 0 : r;
}

/* Refuses if another running jail has these ids: its processes would be killed. */
static int
check_ids(const struct store *s, const char *name, uint32_t idbase, struct err *e)
{
	struct state *list;
	size_t n;
	int r = state_list_brief(s, &list, &n, e);

	for (size_t i = 0; i < n; i++) {
		if (r == 0 && list[i].idbase == idbase && !streq(list[i].name, name) &&
		    os_jail_alive(&list[i].ref))
			r = err_set(
			    e, EBUSY,
			    "its state is damaged, and jail %s has the same ids on the host: stop that first",
			    list[i].name);
		state_free(&list[i]);
	}
	free(list);
	return r;
}

static int
end_processes(const struct store *s, const char *name, uint32_t idbase, struct err *e)
{
	struct os_id id = {s->tag, name, 0};
	int r = check_ids(s, name, idbase, e);

	for (int i = 0; r == 0 && i < INSTANCES_MAX; i++) {
		struct os_ref ref;

		r = os_jail_find(&id, idbase, &ref, e);
		if (r <= 0)
			return r;
		r = os_jail_kill(&ref, e);
	}
	return r < 0 ? r : err_set(e, EBUSY, "it makes new processes faster than they are killed");
}

/* A specification with the addresses that the hosts file has for this jail. */
static int
with_addresses(const struct store *s, const char *name, struct jailspec **ret, struct err *e)
{
	_auto_strv struct strv ip4 = STRV_INIT, ip6 = STRV_INIT;
	struct params p = {0};
	int r = hosts_addrs(s, name, &ip4, &ip6, e);

	if (r == 0 && ip4.n)
		strv_copy(&params_set(&p, "ip4.addr")->values, &ip4);
	if (r == 0 && ip6.n)
		strv_copy(&params_set(&p, "ip6.addr")->values, &ip6);
	if (r == 0)
		r = spec_from_params(name, &p, s->base, ret, e);
	params_free(&p);
	return r;
}

struct lost {
	const struct store *s;
	const char *name;
	const struct record *rec;
	const struct run_caller *who;
};

static int
clean_up(const struct lost *l, const struct jailspec *made, int jid, struct err *e)
{
	struct ctx c = CTX_INIT(l->s, l->who, l->name);
	int r;

	c.old.spec = c.old.made = made;
	c.old.id.jid = jid;
	c.old.st = (struct state){.name = xstrdup(l->name),
				  .jid = jid,
				  .idbase = l->rec->idbase,
				  .template = xstrdup_null(l->rec->template),
				  .ephemeral = l->rec->ephemeral};
	r = walk_down(&c, &(struct walk_facts){.runs = true}, e);
	ctx_free(&c);
	return r;
}

int
run_stop_damaged(const struct store *s, const char *name, const struct jailspec *spec,
		 const struct run_caller *who, struct err *e)
{
	_auto_(record_free) struct record rec = {0};
	const struct lost l = {s, name, &rec, who};
	struct jailspec *found = NULL;
	uint32_t idbase = 0;
	struct os_id id = {s->tag, name, 0};
	int r = find_ids(s, name, &rec, &idbase, e);

	if (r == 0)
		return err_set(e, ENOENT,
			       "its state and its record are damaged: the ids of its processes are not "
			       "known (restore %s/js/.brig/%s.json)",
			       s->base, name);
	if (r > 0)
		r = end_processes(s, name, idbase, e);
	if (r == 0)
		r = with_addresses(s, name, &found, e);
	if (r == 0)
		r = os_fw_remove(&id, e);
	while (r == 0 && (r = state_jid_of(s, name, &id.jid, e)) > 0) {
		r = spec ? clean_up(&l, spec, id.jid, e) : 0;
		if (r == 0)
			r = clean_up(&l, found, id.jid, e);
		if (r == 0)
			r = state_remove_jid(s, id.jid, e);
	}
	if (r == 0) /* its names and files can be there without a JID, too */
		r = clean_up(&l, found, 0, e);
	jailspec_free(found);
	return r;
}
