/* SPDX-License-Identifier: BSD-2-Clause */
#include <ctype.h>
#include <limits.h>

#include "base/fsx.h"
#include "base/mem.h"
#include "base/num.h"
#include "run/service.h"
#include "store/record/state.h"

void
service_free(struct service_status *s)
{
	free(s->command);
	free(s->state);
}

/* "STATE PID RESTARTS SECONDS LASTSTATUS", padded with blanks. */
void
service_parse(const char *data, size_t len, size_t i, struct service_status *s)
{
	char record[INIT_RECORD + 1] = "", *save = NULL, *field[5] = {NULL};
	uint64_t secs = 0;
	size_t n = 0;

	if (data && i < len / INIT_RECORD)
		memcpy(record, data + i * INIT_RECORD, INIT_RECORD);
	for (char *p = strtok_r(record, " \n", &save); p && n < 5; p = strtok_r(NULL, " \n", &save))
		field[n++] = p;
	s->state = xstrdup(n == 5 ? field[0] : "?");
	if (n < 5)
		return;
	if (num_int(field[1], 0, INT_MAX, &s->pid) < 0)
		s->pid = 0;
	if (num_int(field[2], 0, INT_MAX, &s->restarts) < 0)
		s->restarts = 0;
	if (num_u64(field[3], INT64_MAX, &secs) == 0)
		s->since = (int64_t)secs;
	if (num_int(field[4], 0, INT_MAX, &s->last) < 0)
		s->last = -1;
}

bool
service_followed(const char *data, size_t len, size_t n, size_t k, struct service_status *ret)
{
	size_t at = n + 2 * k, name_len;
	const char *name;

	if (!data || k >= INIT_MAX_FOLLOWED || at + 2 > len / INIT_RECORD)
		return false;
	name = data + (at + 1) * INIT_RECORD;
	for (name_len = 0;
	     name_len < INIT_RECORD && (isalnum((unsigned char)name[name_len]) || name[name_len] == '_');)
		name_len++;
	if (name_len == 0 || name_len == INIT_RECORD)
		return false;
	*ret = (struct service_status){.command = xstrndup(name, name_len)};
	service_parse(data, len, at, ret);
	return true;
}

void
services_read(const struct store *s, const char *jail, size_t n, struct services *ret)
{
	_auto_free char *file = xasprintf("%s/" STATE_SERVICES, jail), *data = NULL;
	struct err ignore = ERR_INIT; /* the file may be missing: an ending jail, an older brig */
	size_t len = 0;

	if (s->jail_fd >= 0)
		(void)fsx_read_at(s->jail_fd, file, SERVICE_FILE_MAX, &data, &len, &ignore);
	*ret = (struct services){.v = xcalloc(n + INIT_MAX_FOLLOWED, sizeof(*ret->v)), .n = n};
	for (size_t i = 0; i < n; i++)
		service_parse(data, len, i, &ret->v[i]);
	for (size_t k = 0; service_followed(data, len, n, k, &ret->v[ret->n]); k++)
		ret->n++;
}

void
services_free(struct services *s)
{
	for (size_t i = 0; i < s->n; i++)
		service_free(&s->v[i]);
	free(s->v);
	*s = (struct services){0};
}

bool
service_is_up(const struct service_status *s)
{
	return streq(s->state, "up") || streq(s->state, "started");
}
