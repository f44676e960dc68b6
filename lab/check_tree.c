#include "lab/check_tree.h"

#include <string.h>

#include "lab/nearest.h"
#include "lab/tree.h"

static void
no_such_end(const struct lab *lab, const struct lab_switch *sw,
    const struct lab_stp_port *port, struct problems *problems)
{
	struct nearest near;

	nearest_init(&near, port->to);
	for (unsigned int i = 0; i < lab->nports; i++)
		if (lab->ports[i]->sw == sw)
			nearest_try(&near, lab->ports[i]->full);
	for (unsigned int i = 0; i < lab->nswitches; i++)
		if (lab_uplink(sw, &lab->switches[i]) != NULL ||
		    lab_uplink(&lab->switches[i], sw) != NULL)
			nearest_try(&near, lab->switches[i].item.name);
	for (unsigned int i = 0; i < sw->nbonds; i++)
		nearest_try(&near, sw->bonds[i].item.name);
	problem_add(problems, lab_place(&port->item, "to"),
	    "\"%.60s\" is no port of switch \"%s\"; %s%s%s", port->to,
	    sw->item.name, near.best != NULL ? "did you mean \"" : "",
	    near.best != NULL ? near.best
			      : "name what is plugged in, a "
				"switch or NODE.PORT, or a bond",
	    near.best != NULL ? "\"?" : "");
}

/* Of those that are not in a bond, and of bonds. */
static bool
is_bridge_port(
    const struct lab *lab, const struct lab_switch *sw, const char *to)
{
	const struct lab_port *port = lab_port(lab, to);

	for (unsigned int i = 0; i < sw->nbonds; i++)
		if (strcmp(sw->bonds[i].item.name, to) == 0)
			return true;
	return lab_is_plugged(lab, sw, to) &&
	    (port == NULL || port->bond == NULL);
}

static void
check_port(const struct lab *lab, const struct lab_switch *sw, unsigned int i,
    struct problems *problems)
{
	const struct lab_stp_port *port = &sw->stp.ports[i];
	struct stp_port_options options;
	struct err err = { "" };

	if (port->to == NULL)
		return; /* said already */
	if (!is_bridge_port(lab, sw, port->to))
		no_such_end(lab, sw, port, problems);
	for (unsigned int k = 0; k < i; k++)
		if (sw->stp.ports[k].to != NULL &&
		    strcmp(sw->stp.ports[k].to, port->to) == 0)
			problem_add(problems, lab_place(&port->item, "to"),
			    "port \"%s\" is in line %u already; put both "
			    "together",
			    port->to, sw->stp.ports[k].item.node->at.line);
	if (tree_port_options(&options, &sw->stp, port, NULL, &err) < 0)
		problem_add(problems, port->item.node->at, "%s", err.text);
}

static unsigned int
count_ports(const struct lab *lab, const struct lab_switch *sw)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < lab->nports; i++)
		n += lab->ports[i]->sw == sw;
	for (unsigned int i = 0; i < sw->nuplinks; i++)
		n += (unsigned int)sw->uplinks[i].cables;
	for (unsigned int i = 0; i < lab->nswitches; i++) {
		const struct lab_uplink *link =
		    lab_uplink(&lab->switches[i], sw);

		n += link != NULL ? (unsigned int)link->cables : 0;
	}
	return n;
}

/* Was told already. */
static bool
lacks_ids(const struct lab_stp *stp)
{
	for (unsigned int i = 0; i < stp->ninstances; i++)
		if (stp->instances[i].id == 0)
			return true;
	return false;
}

static void
check_switch(const struct lab *lab, const struct lab_switch *sw,
    struct problems *problems)
{
	struct stp_options options;
	struct err err = { "" };

	if (!lacks_ids(&sw->stp) && tree_options(&options, &sw->stp, &err) < 0)
		problem_add(
		    problems, sw->stp.item.node->key_at, "%s", err.text);
	if (count_ports(lab, sw) > STP_PORTS_MAX)
		problem_add(problems, sw->stp.item.node->key_at,
		    "switch \"%s\" has more ports than a spanning tree, which "
		    "has %d; use another switch",
		    sw->item.name, STP_PORTS_MAX);
	for (unsigned int i = 0; i < sw->stp.nports; i++)
		check_port(lab, sw, i, problems);
}

void
lab_check_trees(const struct lab *lab, struct problems *problems)
{
	for (unsigned int i = 0; i < lab->nswitches; i++)
		if (lab->switches[i].stp.item.node != NULL)
			check_switch(lab, &lab->switches[i], problems);
}
