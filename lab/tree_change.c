#include "lab/tree_change.h"

#include <errno.h>
#include <string.h>

#include "lab/rules.h"
#include "lab/tree.h"

int
tree_change_begin(struct tree_change *c, const struct fabric *f,
    const char *name, struct err *err)
{
	struct port *end = fabric_port(f, name);
	struct port *port = end != NULL ? rules_port(end) : NULL;
	int i =
	    port != NULL ? fabric_switch_of(f, port) : fabric_switch(f, name);

	memset(c, 0, sizeof(*c));
	if (end != NULL && port == NULL)
		return err_set(
		    err, -EINVAL, "\"%s\" is not plugged into a switch", name);
	if (i < 0)
		return fabric_no_port(f, name, err);
	c->tree = f->trees[i];
	c->port = port;
	if (c->tree == NULL)
		return err_set(err, -EINVAL,
		    "switch \"%s\" has no spanning tree; give it \"stp:\" in "
		    "the lab file",
		    f->lab->switches[i].item.name);
	c->options = *stp_get_options(stp_switch_tree(c->tree));
	if (port != NULL)
		c->port_options = *stp_get_port_options(
		    stp_switch_tree(c->tree), switch_port_index(port));
	return 0;
}

int
tree_change_add(
    struct tree_change *c, const char *key, const char *value, struct err *err)
{
	if (c->port == NULL)
		return tree_set(&c->options, key, value, err);
	if (strcmp(key, "stp-check") != 0)
		return tree_set_port(
		    &c->port_options, &c->options, key, value, err);
	if (strcmp(value, "true") != 0)
		return err_set(err, -EINVAL,
		    "stp-check is \"%.40s\"; it can only be true", value);
	c->asks = true;
	return 0;
}

int
tree_change_do(struct tree_change *c, struct err *err)
{
	if (c->port == NULL)
		return stp_switch_set(c->tree, &c->options) == 0
		    ? 0
		    : err_set(err, -ENOMEM, "out of memory");
	stp_switch_set_port(c->tree, c->port, &c->port_options);
	if (c->asks)
		stp_switch_check_protocol(c->tree, c->port);
	return 0;
}
