/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of store/change share: change.c (life), file.c (ID.json), keep.c, stage.c, apply.c, undo.c,
 * usage.c, data.c. */
#ifndef BRIG_STORE_CHANGE_INTERNAL_H
#define BRIG_STORE_CHANGE_INTERNAL_H

#include <jansson.h>

#include "store/change/change.h"

struct change_op *change_add_op(struct change *c, const char *path); /* numbered, otherwise empty */
const struct change_op *change_find_op(const struct change *c, const char *path);
void change_remove_last_op(struct change *c);
void change_node_free(struct change_node *n);
/* Names of nodes in new/ and old/. */
struct node_name {
	char s[16];
};
struct node_name change_node_name(unsigned n);
/* The directory of path in the jailspace, by descriptor; -errno without a message. */
int change_parent(int space_fd, const char *path, int *ret_fd, const char **ret_name);
void change_node_of(const struct stat *st, struct change_node *ret); /* without link and digest */
/* With link target and, for a regular file of exactly this size, digest: a jail's file can be of any size,
 * and one of another size is another file.  type NODE_NONE when it is not there. */
int change_look(int dir_fd, const char *name, uint64_t size, struct change_node *ret);
/* The jail's own files are as large as its root likes: of what a change puts aside no more than this is read
 * for digests, of one file and in all.  For the rest the inode's times and sizes decide. */
#define KEPT_FILE_MAX TEXT_MAX
#define KEPT_ALL_MAX (256u << 20)
bool change_same_owner(const struct change_node *a, const struct change_node *b); /* and mode */
/* A time that was recorded, and is another one now. */
bool change_time_differs(const struct timespec *recorded, const struct timespec *now);

/* The number in "7", "7.json", ".tmp.7.json.X"; 0 for anything else. */
unsigned change_id_of(const char *name);
bool change_in_use(const struct record *rec, unsigned id);
/* Opens SPACE/.brig-merge.  *ret <0: there is none, or the jail's root has put something else there. */
int change_open_inside(int space_fd, int *ret, struct err *e);
/* Removes new/NAME. */
void change_remove_staged(const struct change *c, const char *name);

/* file.c */
int change_save(struct change *c, struct err *e); /* atomic, synced */
int change_read(struct change *c, struct err *e); /* into a change with id, jail and change_fd */
char *change_file_name(unsigned id);

/* whole.c: directories of data.  1 there is room for what is given.  New/N with all of it, or its directories. */
int change_takes_data(const struct change *c, const struct merge_item *it, int space_fd);
int change_stage_tree(struct change *c, const struct merge_item *it, const char *base, int new_fd);
/* 1 it is as it was given, 0 not, also where the jail is in the way; no more of it is read than was given. */
int change_tree_as_given(int dir, const char *name, const struct change_tree *given);
/* 1, 0 there is more of it than was given or the jail is in the way: what its inodes are now. */
int change_tree_stamp(int dir, const char *name, const struct change_tree *given, struct change_tree *ret);
int change_tree_as_stamped(int dir, const char *name, const struct change_tree *stamp);

/* data.c: an operation that puts a copy back, and the way back over it. */
int change_apply_copy(struct change *c, struct change_op *op, int space_fd, struct err *e);
int change_revert_copy(struct change *c, struct change_op *op, int space_fd, struct err *e);
/* A change that goes back: its own copies take the place of data that were touched since they were made. */
int change_revert_data(struct change *c, int space_fd, struct err *e);
/* Removes the copies that it has made, or begun to make. */
int change_remove_copies(struct change *c, struct err *e);

/* stage.c: what is at the path of op now becomes `before`. */
int change_note_before(struct change_op *op, int space_fd);
/* The path of op once more, as it is now; new operations are added. */
int change_stage_again(struct change *c, const struct change_op *op, int space_fd, struct err *e);
/* Sets owner and mode of name, never through a link. */
int change_own(int dir, const char *name, const struct change_node *want);
/* Makes new/N as op->after says (not regular files); fills in after from it. */
int change_make_other(struct change *c, struct change_op *op);
/* A regular file as a copy of src, with owner and mode of op->after; fills in after. */
int change_make_file(struct change *c, struct change_op *op, int src);
int change_note_after(struct change *c, struct change_op *op);

#endif
