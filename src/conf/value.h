/* SPDX-License-Identifier: BSD-2-Clause */
/* Single values of the configuration: text to numbers, addresses, ports.  No messages of their own:
 * 0, or -EINVAL / -ERANGE, or a text that says what is wrong. */
#ifndef BRIG_CONF_VALUE_H
#define BRIG_CONF_VALUE_H

#include "conf/spec.h"

/* true, false (any case) or a decimal number; "" is false. */
int value_bool(const char *s, bool *ret);
/* disable, new, inherit; "" is new. */
int value_share(const char *s, enum spec_share *ret);
const char *share_name(enum spec_share s);
/* "0.5" (CPUs), "50%" -> thousandths of a CPU. */
int value_cpu(const char *s, uint64_t *ret);
/* "30m", "12h", "90d", "8w" -> seconds.  Without a unit it is refused: nobody would know which is meant. */
int value_duration(const char *s, int64_t *ret);
/* num_size, "/s" allowed behind it. */
int value_rate(const char *s, uint64_t *ret);
/* "tcp 8080 80", "udp 53".  NULL, or what is wrong. */
const char *value_rdr(const char *s, struct spec_rdr *ret);
/* "tcp 80", "udp 192.0.2.1:53 dns", "tcp [::1]:80".  NULL, or what is wrong; ret->name is malloc'ed. */
const char *value_listen(const char *s, struct spec_listen *ret);
/* "IF|ADDR/MASK parameters" -> ret; *ret_extra: parameters without effect, malloc'ed, or NULL.  NULL, or what
 * is wrong. */
const char *value_addr(const char *s, int family, struct spec_addr *ret, char **ret_extra);
char *addr_text(const struct spec_addr *a); /* the address alone */
bool addr_equal(const struct spec_addr *a, const struct spec_addr *b);
/* The next word of *p (blank-separated), malloc'ed; NULL at the end. */
char *next_word(const char **p);

#endif
