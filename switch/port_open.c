/*
 * Opening by locator.
 */
#include "switch/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct port_kind *
port_kind_of(const struct port_kind *const *kinds, const char *locator)
{
	size_t n = strcspn(locator, ":");

	for (; *kinds != NULL; kinds++)
		if (locator[n] == ':' && strlen((*kinds)->scheme) == n &&
		    memcmp((*kinds)->scheme, locator, n) == 0)
			return *kinds;
	return NULL;
}

struct port *
port_open(const struct port_kind *const *kinds, struct loop *loop,
    struct node *node, const char *name, const char *locator, struct err *err)
{
	const struct port_kind *kind = port_kind_of(kinds, locator);
	char known[512] = "";
	size_t used = 0;

	if (kind != NULL)
		return kind->open(
		    loop, node, name, locator + strlen(kind->scheme) + 1, err);
	for (unsigned int k = 0; kinds[k] != NULL; k++)
		if (used < sizeof(known))
			used +=
			    (size_t)snprintf(known + used, sizeof(known) - used,
				"%s%s", k > 0 ? " or " : "", kinds[k]->syntax);
	err_set(err, -EINVAL, "%s: \"%s\" does not name a port; use %s", name,
	    locator, known);
	return NULL;
}
