/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an upgrade may do to a path of a jailspace, by the rules (brig-template(5), "Configuration and data").
 * Pure lookups; paths are those of the skeleton.
 */
#ifndef BRIG_STORE_TEMPLATE_CLASS_H
#define BRIG_STORE_TEMPLATE_CLASS_H

#include "store/template/split.h"

enum path_class {
	CLASS_DATA, /* given as a whole where a jail has nothing of the name, and never touched after that */
	CLASS_CONFIG,  /* merged three-way, file by file */
	CLASS_RELEASE, /* the release's in any case */
	CLASS_IGNORE,  /* no difference between releases: only missing directories are made */
};

struct class_rule {
	char *pattern; /* glob(7) in each component */
	enum path_class is;
	bool own; /* the release's own: decides before those of the installed rules */
};
struct classes {
	struct class_rule *v;
	size_t n, cap;
};
void classes_free(struct classes *c);
/* Adds the classes that rules give.  layout: the rules whose `move` say where the skeleton has a path. */
void classes_add(struct classes *c, const struct rules *rules, const struct rules *layout, bool own);
/* The classes of a release: by the rules that it was built with, and for other paths by the installed
 * ones. */
int classes_of_release(const struct release *r, struct classes *ret, struct err *e);

/* Does pattern match path, or a directory that it is in? */
bool class_pattern_covers(const char *pattern, const char *path);
enum path_class class_of(const struct classes *c, const char *path);
/* The piece of data that path belongs to, as the length of its name at the beginning of path: what a data
 * rule matches, else the uppermost directory; of what is ignored each directory directly below the rule's. */
size_t class_piece(const struct classes *c, const char *path);
bool class_is_piece(const struct classes *c, const char *path);
/* May a path below this one be of another class, or a piece of its own? */
bool class_mixed(const struct classes *c, const char *path);
/* Is it data, or as good as data: never merged? */
bool class_is_data(const struct classes *c, const char *path);

#endif
