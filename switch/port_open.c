/*
 * Opening by locator.
 */
#include "switch/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct port *
port_open(const struct port_kind *const *kinds, struct loop *loop,
    struct node *node, const char *name, const char *locator, struct err *err)
{
	size_t n = strcspn(locator, ":");
	char known[256] = "";
	size_t used = 0;

	for (unsigned int k = 0; kinds[k] != NULL; k++) {
		const struct port_kind *kind = kinds[k];

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
