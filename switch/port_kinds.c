/*
 * The kinds of ports that reach outside the process, and their opening by
 * locator.  Apart from port.c, so that what only joins nodes inside the process
 * is linked without any of them.
 */
#include "switch/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

extern const struct port_kind port_tap, port_vhost;

const struct port_kind *const port_kinds[] = {
	&port_tap,
	&port_vhost,
	NULL,
};

struct port *
port_open(struct loop *loop, struct node *node, const char *name,
    const char *locator, struct err *err)
{
	size_t n = strcspn(locator, ":");
	char known[256] = "";
	size_t used = 0;

	for (unsigned int k = 0; port_kinds[k] != NULL; k++) {
		const struct port_kind *kind = port_kinds[k];

		if (locator[n] == ':' && strlen(kind->scheme) == n &&
		    memcmp(kind->scheme, locator, n) == 0)
			return kind->open(
			    loop, node, name, locator + n + 1, err);
		if (used < sizeof(known))
			used +=
			    (size_t)snprintf(known + used, sizeof(known) - used,
				"%s%s", k > 0 ? " or " : "", kind->syntax);
	}
	err_set(err, -EINVAL, "%s: \"%s\" does not name a port; use %s", name,
	    locator, known);
	return NULL;
}
