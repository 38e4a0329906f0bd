/* SPDX-License-Identifier: BSD-2-Clause */
/* The conditions are in etcupdate(8)'s order: handle_removed_*, handle_modified_file, handle_added_file. */
#include <stddef.h>

#include "merge/decide.h"

const char *
node_word(enum node_type t)
{
	static const char *const words[] = {
	    [NODE_NONE] = "nothing",
	    [NODE_FILE] = "regular file",
	    [NODE_DIR] = "directory",
	    [NODE_LINK] = "symbolic link",
	    [NODE_FIFO] = "fifo file",
	    [NODE_SOCKET] = "socket",
	    [NODE_CHAR] = "character special file",
	    [NODE_BLOCK] = "block special file",
	};

	return words[t];
}

static enum merge_act
warn(enum merge_why why, enum merge_why *ret_why)
{
	*ret_why = why;
	return MERGE_WARN;
}

static enum merge_act
conflict(enum merge_why *ret_why)
{
	*ret_why = WHY_TWO;
	return MERGE_CONFLICT;
}

/* A directory that is not empty cannot be replaced. */
static bool
in_the_way(const struct merge_facts *f)
{
	return f->d == NODE_DIR && !f->d_empty;
}

/* N has nothing. */
static enum merge_act
removed(const struct merge_facts *f, enum merge_why *ret_why)
{
	if (f->d == NODE_NONE)
		return MERGE_NOTHING;
	if (!f->same_od && !f->id_od)
		return warn(WHY_REMAINS, ret_why);
	return in_the_way(f) ? warn(WHY_DIR_REMAINS, ret_why) : MERGE_REMOVE;
}

/* O has nothing. */
static enum merge_act
added(const struct merge_facts *f, enum merge_why *ret_why)
{
	if (f->d == NODE_NONE)
		return MERGE_ADD;
	if (f->same_nd)
		return MERGE_NOTHING;
	if ((f->always && !in_the_way(f)) || f->id_nd)
		return MERGE_UPDATE;
	if (f->n != f->d)
		return warn(WHY_NEW_FILE, ret_why);
	return f->n == NODE_LINK ? warn(WHY_NEW_LINK, ret_why) : conflict(ret_why);
}

/* O and N have it and differ; D does not have it. */
static enum merge_act
gone(const struct merge_facts *f, enum merge_why *ret_why)
{
	if (f->always)
		return MERGE_ADD;
	if (f->id_on)
		return MERGE_NOTHING;
	if (f->o != f->n)
		return warn(WHY_REMOVED_TYPE, ret_why);
	return warn(f->n == NODE_LINK ? WHY_REMOVED_LINK : WHY_REMOVED_FILE, ret_why);
}

/* All three have it and no two are the same. */
static enum merge_act
changed_by_both(const struct merge_facts *f, enum merge_why *ret_why)
{
	if (f->o == f->n) {
		if (f->d != f->n)
			return warn(WHY_MODIFIED_TYPE, ret_why);
		if (f->n == NODE_LINK)
			return warn(WHY_MODIFIED_LINK, ret_why);
		return f->id_on ? MERGE_ID : MERGE_CONTENT;
	}
	/* as if added by both */
	if (f->n == f->d && f->n == NODE_LINK)
		return warn(WHY_NEW_LINK, ret_why);
	if (f->n == f->d && f->n == NODE_FILE)
		return conflict(ret_why);
	return warn(WHY_MODIFIED_CHANGE, ret_why);
}

static enum merge_act
modified(const struct merge_facts *f, enum merge_why *ret_why)
{
	bool as_old = f->same_od || f->id_od;

	if (f->same_on || f->same_nd)
		return MERGE_NOTHING;
	if (f->id_nd)
		return MERGE_UPDATE;
	if (f->d == NODE_NONE)
		return gone(f, ret_why);
	if ((as_old || f->always) && !in_the_way(f))
		return MERGE_UPDATE;
	return changed_by_both(f, ret_why);
}

enum merge_act
merge_decide(const struct merge_facts *f, enum merge_why *ret_why)
{
	*ret_why = WHY_NONE;
	if (f->n == NODE_NONE)
		return f->o == NODE_NONE ? MERGE_NOTHING : removed(f, ret_why);
	return f->o == NODE_NONE ? added(f, ret_why) : modified(f, ret_why);
}
