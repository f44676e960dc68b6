/*
 * Opening by locator.
 */
#include "switch/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/unix_listen.h"

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

static int
no_kind(const struct port_kind *const *kinds, const char *name,
    const char *locator, struct err *err)
{
	char known[ERR_MAX_BYTES * 3 / 4] = "";
	size_t used = 0;

	for (unsigned int k = 0; kinds[k] != NULL && used < sizeof(known); k++)
		used +=
		    (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
			k == 0                     ? ""
			    : kinds[k + 1] == NULL ? " or "
						   : ", ",
			kinds[k]->syntax);
	return err_set(err, -EINVAL,
	    "%s: \"%.100s\" does not name a port; use %s", name, locator,
	    known);
}

/* Whether kind, which locator is of, can open it; *rest is what follows. */
static int
check_rest(const struct port_kind *kind, const char *name, const char *locator,
    const char **rest, struct err *err)
{
	*rest = locator + strlen(kind->scheme) + 1;
	if (kind->check != NULL)
		return kind->check(name, *rest, err);
	if (**rest != '\0')
		return 0;
	return err_set(err, -EINVAL, "%s: \"%s\" names nothing; use %s", name,
	    locator, kind->syntax);
}

int
port_check(const struct port_kind *const *kinds, const char *name,
    const char *locator, struct err *err)
{
	const struct port_kind *kind = port_kind_of(kinds, locator);
	const char *rest;

	return kind != NULL ? check_rest(kind, name, locator, &rest, err)
			    : no_kind(kinds, name, locator, err);
}

int
port_check_path(const char *name, const char *rest, struct err *err)
{
	struct sockaddr_un path;

	(void)name; /* the path says which one it is */
	return unix_address(&path, rest, err);
}

struct port *
port_open(const struct port_kind *const *kinds, struct loop *loop,
    struct node *node, const char *name, const char *locator, struct err *err)
{
	const struct port_kind *kind = port_kind_of(kinds, locator);
	const char *rest;

	if (kind == NULL) {
		no_kind(kinds, name, locator, err);
		return NULL;
	}
	if (check_rest(kind, name, locator, &rest, err) < 0)
		return NULL;
	return kind->open(loop, node, name, rest, err);
}
