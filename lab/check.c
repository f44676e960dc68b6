/*
 * What is wrong with a lab whose values are all of the right type: names that
 * lead nowhere, addresses that cannot be, things that are missing or twice.
 *
 * Everything is told in one go, so each check steps over what another has
 * complained about already (a NULL name, an address 0).  Entries that stand
 * for many ("vm[1-9]") share a node of the tree and are checked once where
 * the answer is the same.
 *
 * Addresses must be unique within a segment only: switches joined by uplinks,
 * or the two ends of a cable.  Two homes behind two NATs may look alike.
 */
#include "lab/check_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lab/check_bridge.h"
#include "lab/check_switch.h"
#include "lab/check_tree.h"
#include "lab/check_vm.h"
#include "lab/check_wire.h"
#include "lab/switch_control.h"

void
check_missing(struct check *c, struct place at, const char *what,
    const char *name, const struct nearest *near, const char *remedy)
{
	if (near->best != NULL)
		problem_add(c->problems, at,
		    "%s \"%.60s\" is not in this lab; did you mean \"%s\"?",
		    what, name, near->best);
	else
		problem_add(c->problems, at,
		    "%s \"%.60s\" is not in this lab; %s", what, name, remedy);
}

struct trial {
	struct nearest *near;
	struct arena *arena; /* names must last */
};

static void
try_name(void *arg, const char *full)
{
	const struct trial *trial = arg;
	const char *name = arena_text(trial->arena, full, strlen(full));

	if (name != NULL)
		nearest_try(trial->near, name);
}

void
check_no_such_port(struct check *c, struct place at, const char *name)
{
	struct nearest near;
	struct trial trial = { &near, c->lab->arena };

	nearest_init(&near, name);
	for (unsigned int i = 0; i < c->lab->nports; i++)
		nearest_try(&near, c->lab->ports[i]->full);
	lab_each_switch_port(c->lab, try_name, &trial);
	check_missing(c, at, "port", name, &near,
	    "name one of a router, VM, host, plug or bridge as NODE.PORT, or a "
	    "switch's as SWITCH.SWITCH or SWITCH.NODE.PORT");
}

static void
no_such_switch(struct check *c, struct place at, const char *name)
{
	struct nearest near;

	nearest_init(&near, name);
	for (unsigned int i = 0; i < c->lab->nswitches; i++)
		nearest_try(&near, c->lab->switches[i].item.name);
	check_missing(c, at, "switch", name, &near, "add it below switches");
}

void
check_no_such_vm(struct check *c, struct place at, const char *name)
{
	struct nearest near;

	nearest_init(&near, name);
	for (unsigned int i = 0; i < c->lab->nvms; i++)
		nearest_try(&near, c->lab->vms[i].item.name);
	check_missing(c, at, "VM", name, &near, "add it below vms");
}

/* ---- names of nodes ---- */

static int
by_name(const void *a, const void *b)
{
	const struct lab_item *const *pa = a, *const *pb = b;
	int by = strcmp((*pa)->name, (*pb)->name);

	if (by != 0)
		return by;
	by = (int)(*pa)->node->key_at.line - (int)(*pb)->node->key_at.line;
	if (by != 0)
		return by;
	return (int)(*pa)->node->key_at.column -
	    (int)(*pb)->node->key_at.column;
}

static void
check_names(struct check *c)
{
	const struct lab *lab = c->lab;
	size_t n = (size_t)lab->nswitches + lab->nrouters + lab->nvms +
	    lab->nhosts + lab->nplugs + lab->nbridges;
	const struct lab_item **all =
	    arena_array(lab->arena, n, sizeof(all[0]));
	size_t k = 0;

	if (n == 0) {
		if (c->problems->errors > 0)
			return; /* perhaps those that were refused */
		problem_add(c->problems, lab->item.node->at,
		    "the lab has no nodes; add switches and vms, or hosts");
		return;
	}
	if (all == NULL)
		return;
	for (unsigned int i = 0; i < lab->nswitches; i++)
		all[k++] = &lab->switches[i].item;
	for (unsigned int i = 0; i < lab->nrouters; i++)
		all[k++] = &lab->routers[i].item;
	for (unsigned int i = 0; i < lab->nvms; i++)
		all[k++] = &lab->vms[i].item;
	for (unsigned int i = 0; i < lab->nhosts; i++)
		all[k++] = &lab->hosts[i].item;
	for (unsigned int i = 0; i < lab->nplugs; i++)
		all[k++] = &lab->plugs[i].item;
	for (unsigned int i = 0; i < lab->nbridges; i++)
		all[k++] = &lab->bridges[i].item;
	qsort(all, n, sizeof(all[0]), by_name);
	for (size_t i = 1; i < n; i++)
		if (strcmp(all[i - 1]->name, all[i]->name) == 0)
			problem_add(c->problems, all[i]->node->key_at,
			    "node \"%s\" is in line %u already; names are "
			    "unique in a lab, choose another",
			    all[i]->name, all[i - 1]->node->key_at.line);
}

/* ---- switches and segments ---- */

/* Is there another cable between the two, named before? */
static bool
is_joined_already(const struct lab_switch *sw, unsigned int i)
{
	const struct lab_switch *up = sw->uplinks[i].up;

	for (unsigned int k = 0; k < i; k++)
		if (sw->uplinks[k].up == up)
			return true;
	for (unsigned int k = 0; up < sw && k < up->nuplinks; k++)
		if (up->uplinks[k].up == sw)
			return true;
	return false;
}

static bool
check_uplink_name(struct check *c, const struct lab_switch *sw, unsigned int i)
{
	const struct lab_uplink *link = &sw->uplinks[i];
	struct place at = lab_place(&link->item, NULL);

	if (link->up == NULL)
		no_such_switch(c, at, link->item.name);
	else if (link->up == sw)
		problem_add(c->problems, at,
		    "switch \"%s\" has an uplink to itself; name another "
		    "switch",
		    sw->item.name);
	else if (is_joined_already(sw, i))
		problem_add(c->problems, at,
		    "switches \"%s\" and \"%s\" have a cable already; remove "
		    "this uplink, or write one with \"cables: 2\"",
		    sw->item.name, link->up->item.name);
	else
		return true;
	return false;
}

static bool
has_tree(const struct lab_switch *sw)
{
	return sw->stp.item.node != NULL;
}

/* A loop is broken by a spanning tree if all switches of it take part: those
 * that do not let no BPDUs pass. */
static void
join_segments(struct check *c, const struct lab_switch *sw, unsigned int i)
{
	const struct lab_uplink *link = &sw->uplinks[i];
	const struct lab_switch *up = link->up;
	bool trees = has_tree(sw) && has_tree(up);

	if (link->cables > 1 && !trees && link->bond_name == NULL)
		problem_add(c->problems, lab_place(&link->item, "cables"),
		    "%" PRIu64
		    " cables from \"%s\" to \"%s\" are a loop, where frames "
		    "would circle for ever; leave one, or make them a bond, or "
		    "give both switches a spanning tree, \"stp:\"",
		    link->cables, sw->item.name, up->item.name);
	if (segments_are_one(&c->segments, sw, up) && !trees)
		problem_add(c->problems, lab_place(&link->item, NULL),
		    "the uplink from \"%s\" to \"%s\" closes a loop of "
		    "switches, where frames would circle for ever; remove one "
		    "uplink, or give all switches of the loop a spanning tree, "
		    "\"stp:\"",
		    sw->item.name, up->item.name);
	segments_join(&c->segments, sw, up);
}

/* Uplinks between switches with a spanning tree first: a loop that then closes
 * has others in it. */
static void
check_uplinks(struct check *c, bool trees)
{
	const struct lab *lab = c->lab;

	for (unsigned int i = 0; i < lab->nswitches; i++)
		for (unsigned int k = 0; k < lab->switches[i].nuplinks; k++) {
			const struct lab_switch *sw = &lab->switches[i];
			const struct lab_switch *up = sw->uplinks[k].up;

			if ((up != NULL && has_tree(sw) && has_tree(up)) !=
			    trees)
				continue;
			if (check_uplink_name(c, sw, k))
				join_segments(c, sw, k);
		}
}

static void
check_switches(struct check *c)
{
	const struct lab *lab = c->lab;

	segments_init(&c->segments, lab);
	check_uplinks(c, true);
	check_uplinks(c, false);
	for (unsigned int i = 0; i < lab->nswitches; i++) {
		const struct lab_switch *sw = &lab->switches[i];
		bool used = sw->nuplinks > 0;

		for (unsigned int k = 0; k < lab->nports && !used; k++)
			used = lab->ports[k]->sw == sw;
		for (unsigned int k = 0; k < lab->nswitches && !used; k++)
			for (unsigned int j = 0; j < lab->switches[k].nuplinks;
			     j++)
				used |= lab->switches[k].uplinks[j].up == sw;
		if (!used)
			problem_warn(c->problems, sw->item.node->key_at,
			    "nothing is plugged into switch \"%s\"; remove it "
			    "or plug something in",
			    sw->item.name);
	}
}

static bool
are_together(
    const void *segments, const struct lab_port *a, const struct lab_port *b)
{
	size_t as, bs;

	return segment_of(segments, a, &as) && segment_of(segments, b, &bs) &&
	    as == bs;
}

/* ---- plugs and cables ---- */

static void
check_cable(struct check *c, const struct lab_port *port)
{
	struct place at = lab_place(&port->item, "cable");
	const struct lab_port *peer = port->peer;

	if (strcmp(port->cable, port->full) == 0)
		problem_add(c->problems, at,
		    "port \"%s\" has a cable to itself; name another port",
		    port->full);
	else if (peer == NULL)
		check_no_such_port(c, at, port->cable);
	else if (peer->sw_name != NULL)
		problem_add(c->problems, at,
		    "port \"%s\" is plugged into switch \"%s\" already; remove "
		    "one of the two",
		    peer->full, peer->sw_name);
	else if (peer->peer != port)
		problem_add(c->problems, at,
		    "port \"%s\" has a cable to \"%s\" already; a cable has "
		    "two ends",
		    peer->full,
		    peer->peer != NULL ? peer->peer->full : peer->cable);
}

static void
check_plugged(struct check *c, const struct lab_port *port)
{
	struct place at = lab_place(&port->item, NULL);

	if (port->sw_name != NULL && port->cable != NULL)
		problem_add(c->problems, at,
		    "port \"%s\" has both a switch and a cable; keep one",
		    port->full);
	else if (port->sw_name != NULL && port->sw == NULL)
		no_such_switch(
		    c, lab_place(&port->item, "switch"), port->sw_name);
	else if (port->cable != NULL)
		check_cable(c, port);
	else if (port->sw_name == NULL && port->peer == NULL &&
	    yaml_get(port->item.node, "switch") == NULL &&
	    yaml_get(port->item.node, "cable") == NULL)
		problem_add(c->problems, at,
		    "port \"%s\" is plugged in nowhere; add \"switch: NAME\" "
		    "or \"cable: NODE.PORT\"",
		    port->full);
}

/* ---- all of it ---- */

static void
check_ports(struct check *c)
{
	const struct yaml *before = NULL;

	for (unsigned int i = 0; i < c->lab->nports; i++) {
		const struct lab_port *port = c->lab->ports[i];
		bool again = port->item.node == before;

		before = port->item.node;
		/* Cables differ by name even among entries that are alike. */
		if (!again || port->cable != NULL)
			check_plugged(c, port);
		if (again)
			continue;
		check_address(c, port);
		check_address6(c, port);
		check_gateway(c, port);
		check_dhcp_client(c, port);
	}
	check_unique(c);
	check_unique6(c);
}

void
lab_check(const struct lab *lab, struct problems *problems)
{
	struct check *c;

	if (lab->item.node == NULL || lab->item.node->kind != YAML_MAP)
		return;
	c = arena_alloc(lab->arena, sizeof(*c));
	if (c == NULL)
		return;
	c->lab = lab;
	c->problems = problems;
	check_names(c);
	check_switches(c);
	check_ports(c);
	check_routers(c);
	lab_check_control(lab, problems);
	lab_check_wires(lab, problems);
	lab_check_trees(lab, problems);
	lab_check_switches(lab, problems);
	lab_check_vms(lab, problems);
	for (unsigned int i = 0; i < lab->nhosts; i++)
		if (i == 0 ||
		    lab->hosts[i].item.node != lab->hosts[i - 1].item.node)
			check_host(c, &lab->hosts[i]);
	for (unsigned int i = 0; i < lab->nplugs; i++)
		check_plug(c, &lab->plugs[i]);
	lab_check_bridges(lab, are_together, &c->segments, problems);
	for (unsigned int i = 0; i < lab->ncaptures; i++)
		check_capture(c, &lab->captures[i]);
	for (unsigned int i = 0; i < lab->nevents; i++)
		check_event(c, &lab->events[i]);
	for (unsigned int i = 0; i < lab->nexpects; i++)
		check_expect(c, &lab->expects[i]);
	if (lab->nexpects > LAB_NODES_MAX)
		problem_add(problems, lab_place(&lab->item, "expect"),
		    "more than %d expectations; use fewer", LAB_NODES_MAX);
}
