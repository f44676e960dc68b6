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
	problem_add(problems, lab_place(&port->item, "to"),
	    "\"%.60s\" is not plugged into switch \"%s\"; %s%s%s", port->to,
	    sw->item.name, near.best != NULL ? "did you mean \"" : "",
	    near.best != NULL ? near.best
			      : "name what is, a switch or NODE.PORT",
	    near.best != NULL ? "\"?" : "");
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
	if (!lab_is_plugged(lab, sw, port->to))
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

static void
check_switch(const struct lab *lab, const struct lab_switch *sw,
    struct problems *problems)
{
	struct stp_options options;
	struct err err = { "" };

	if (tree_options(&options, &sw->stp, &err) < 0)
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
