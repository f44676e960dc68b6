/*
 * What bonds, LLDP and snooping cannot be.
 */
#include <string.h>

#include "base/loop.h"
#include "lab/nearest.h"
#include "lab/switch_control.h"

#define TENTH (100 * NS_PER_MS) /* a second's, IGMP's unit */

/* ---- bonds ---- */

static unsigned int
ports_of(const struct lab *lab, const struct lab_bond *bond)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < lab->nports; i++)
		n += lab->ports[i]->bond == bond;
	for (unsigned int i = 0; i < lab->nswitches; i++) {
		const struct lab_switch *sw = &lab->switches[i];

		for (unsigned int k = 0; k < sw->nuplinks; k++)
			if (sw->uplinks[k].bond == bond ||
			    sw->uplinks[k].far_bond == bond)
				n += (unsigned int)sw->uplinks[k].cables;
	}
	return n;
}

/* A static bond speaks no LACP. */
static void
check_static(struct problems *problems, const struct lab_bond *bond)
{
	static const char *const keys[] = { "rate", "system-priority", "key",
		"max-links", "individual" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (yaml_get(bond->item.node, keys[i]) != NULL)
			problem_add(problems, lab_place(&bond->item, keys[i]),
			    "bond \"%s\" is static and speaks no LACP; remove "
			    "%s",
			    bond->item.name, keys[i]);
}

static void
check_bond(const struct lab *lab, struct problems *problems,
    const struct lab_bond *bond)
{
	unsigned int n = ports_of(lab, bond);

	if (bond->mode == BOND_STATIC)
		check_static(problems, bond);
	if (n == 0)
		problem_warn(problems, lab_place(&bond->item, NULL),
		    "bond \"%s\" has no ports; add \"bond: %s\" to some",
		    bond->item.name, bond->item.name);
	else if (n > BOND_WIRES_MAX)
		problem_add(problems, lab_place(&bond->item, NULL),
		    "bond \"%s\" has %u ports; it holds %d", bond->item.name, n,
		    BOND_WIRES_MAX);
	else if (bond->min_links > n)
		problem_add(problems, lab_place(&bond->item, "min-links"),
		    "bond \"%s\" has %u port%s and would never carry; use a "
		    "smaller min-links",
		    bond->item.name, n, n == 1 ? "" : "s");
	if (bond->max_links != 0 && bond->max_links < bond->min_links)
		problem_add(problems, lab_place(&bond->item, "max-links"),
		    "max-links is less than min-links; make it %u or more",
		    (unsigned int)bond->min_links);
}

static void
no_such_bond(struct problems *problems, struct place at,
    const struct lab_switch *sw, const char *name)
{
	struct nearest near;

	nearest_init(&near, name);
	for (unsigned int i = 0; i < sw->nbonds; i++)
		nearest_try(&near, sw->bonds[i].item.name);
	if (near.best != NULL)
		problem_add(problems, at,
		    "bond \"%.40s\" is not in switch \"%s\"; did you mean "
		    "\"%s\"?",
		    name, sw->item.name, near.best);
	else
		problem_add(problems, at,
		    "bond \"%.40s\" is not in switch \"%s\"; add it below its "
		    "bonds",
		    name, sw->item.name);
}

static void
check_port(struct problems *problems, const struct lab_port *port)
{
	const struct lab_switch *sw = port->sw;

	if (yaml_get(port->item.node, "bond-priority") != NULL &&
	    port->bond_name == NULL)
		problem_add(problems, lab_place(&port->item, "bond-priority"),
		    "port \"%s\" is in no bond; add bond, or remove "
		    "bond-priority",
		    port->full);
	if (port->multicast_router && sw != NULL &&
	    sw->snooping.item.node == NULL)
		problem_add(problems,
		    lab_place(&port->item, "multicast-router"),
		    "switch \"%s\" does not snoop on groups; add \"snooping:\" "
		    "to it, or remove multicast-router",
		    sw->item.name);
	if ((port->bond_name != NULL || port->multicast_router) &&
	    port->sw_name == NULL) {
		problem_add(problems,
		    lab_place(&port->item,
			port->bond_name != NULL ? "bond" : "multicast-router"),
		    "port \"%s\" is not plugged into a switch; add switch",
		    port->full);
		return;
	}
	if (port->bond_name == NULL || sw == NULL || port->bond != NULL)
		return;
	no_such_bond(
	    problems, lab_place(&port->item, "bond"), sw, port->bond_name);
}

static void
check_uplink(struct problems *problems, const struct lab_switch *sw,
    const struct lab_uplink *link)
{
	struct place at = lab_place(&link->item, "bond");

	if (link->bond_name == NULL || link->up == NULL)
		return;
	if (link->bond == NULL)
		no_such_bond(problems, at, sw, link->bond_name);
	if (link->far_bond == NULL)
		no_such_bond(problems, at, link->up, link->bond_name);
	if (link->bond != NULL && link->far_bond != NULL &&
	    (link->bond->mode == BOND_STATIC) !=
		(link->far_bond->mode == BOND_STATIC))
		problem_add(problems, at,
		    "bond \"%s\" is static at one end and speaks LACP at the "
		    "other; give both the same mode, or one active and one "
		    "passive",
		    link->bond_name);
}

/* ---- multicast ---- */

static void
check_unit(struct problems *problems, const struct lab_snooping *s,
    const char *key, uint64_t ns, uint64_t unit_ns, const char *unit)
{
	if (ns % unit_ns != 0)
		problem_add(problems, lab_place(&s->item, key),
		    "%s is told in queries as a number of %s; use a multiple "
		    "of that",
		    key, unit);
}

static void
check_snooping(struct problems *problems, const struct lab_snooping *s)
{
	/* The others also say how long members last that others ask for. */
	static const char *const ours[] = { "last-member", "igmp", "mld" };

	if (s->item.node == NULL)
		return;
	check_unit(
	    problems, s, "query-interval", s->query_ns, NS_PER_S, "seconds");
	check_unit(problems, s, "response-time", s->response_ns, TENTH,
	    "tenths of a second");
	check_unit(problems, s, "last-member", s->last_ns, TENTH,
	    "tenths of a second");
	if (s->response_ns >= s->query_ns)
		problem_add(problems, lab_place(&s->item, "response-time"),
		    "response-time must be less than query-interval "
		    "(RFC 3376 8.3); make it shorter");
	if (s->querier != 0 && ip4_is_multicast(s->querier))
		problem_add(problems, lab_place(&s->item, "querier"),
		    "a querier cannot have a group's address; use one of a "
		    "host");
	for (size_t i = 0; s->querier == 0 && i < 3; i++)
		if (yaml_get(s->item.node, ours[i]) != NULL)
			problem_add(problems, lab_place(&s->item, ours[i]),
			    "%s is for queries of our own; add querier, or "
			    "remove it",
			    ours[i]);
}

void
lab_check_control(const struct lab *lab, struct problems *problems)
{
	const struct yaml *before = NULL;

	for (unsigned int i = 0; i < lab->nswitches; i++) {
		const struct lab_switch *sw = &lab->switches[i];

		if (sw->item.node == before)
			continue;
		before = sw->item.node;
		for (unsigned int k = 0; k < sw->nbonds; k++)
			check_bond(lab, problems, &sw->bonds[k]);
		for (unsigned int k = 0; k < sw->nuplinks; k++)
			check_uplink(problems, sw, &sw->uplinks[k]);
		check_snooping(problems, &sw->snooping);
	}
	for (unsigned int i = 0; i < lab->nports; i++)
		if (i == 0 ||
		    lab->ports[i]->item.node != lab->ports[i - 1]->item.node)
			check_port(problems, lab->ports[i]);
}
