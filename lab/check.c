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
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "bridge/port_wifi.h"
#include "lab/capturing.h"
#include "lab/check_tree.h"
#include "lab/check_vm.h"
#include "lab/check_bridge.h"
#include "lab/check_switch.h"
#include "lab/check_wire.h"
#include "lab/serving.h"
#include "lab/filter.h"
#include "lab/model.h"
#include "lab/nat_keys.h"
#include "lab/nearest.h"
#include "lab/port_kinds.h"
#include "lab/schema.h"
#include "lab/switch_control.h"

#define COMMAND_MAX_BYTES 500
#define REGEX_MAX_BYTES   200
#define DHCP_MAX          65536

struct check {
	const struct lab *lab;
	struct problems *problems;
	unsigned int segment[LAB_SWITCHES_MAX]; /* of each switch, its root */
};

static void
missing(struct check *c, struct place at, const char *what, const char *name,
    const struct nearest *near, const char *remedy)
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

static void
no_such_port(struct check *c, struct place at, const char *name)
{
	struct nearest near;
	struct trial trial = { &near, c->lab->arena };

	nearest_init(&near, name);
	for (unsigned int i = 0; i < c->lab->nports; i++)
		nearest_try(&near, c->lab->ports[i]->full);
	lab_each_switch_port(c->lab, try_name, &trial);
	missing(c, at, "port", name, &near,
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
	missing(c, at, "switch", name, &near, "add it below switches");
}

static void
no_such_vm(struct check *c, struct place at, const char *name)
{
	struct nearest near;

	nearest_init(&near, name);
	for (unsigned int i = 0; i < c->lab->nvms; i++)
		nearest_try(&near, c->lab->vms[i].item.name);
	missing(c, at, "VM", name, &near, "add it below vms");
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

static unsigned int
root_of(const struct check *c, unsigned int sw)
{
	while (c->segment[sw] != sw)
		sw = c->segment[sw];
	return sw;
}

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
	unsigned int a = root_of(c, (unsigned int)(sw - c->lab->switches));
	unsigned int b = root_of(c, (unsigned int)(up - c->lab->switches));
	bool trees = has_tree(sw) && has_tree(up);

	if (link->cables > 1 && !trees && link->bond_name == NULL)
		problem_add(c->problems, lab_place(&link->item, "cables"),
		    "%" PRIu64
		    " cables from \"%s\" to \"%s\" are a loop, where frames "
		    "would circle for ever; leave one, or make them a bond, or "
		    "give both switches a spanning tree, \"stp:\"",
		    link->cables, sw->item.name, up->item.name);
	if (a == b && !trees)
		problem_add(c->problems, lab_place(&link->item, NULL),
		    "the uplink from \"%s\" to \"%s\" closes a loop of "
		    "switches, where frames would circle for ever; remove one "
		    "uplink, or give all switches of the loop a spanning tree, "
		    "\"stp:\"",
		    sw->item.name, up->item.name);
	c->segment[a > b ? a : b] = a > b ? b : a;
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

	for (unsigned int i = 0; i < lab->nswitches; i++)
		c->segment[i] = i;
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

/* A number that two ports have in common if frames pass between them without
 * a router; false if the port is plugged in nowhere. */
static bool
segment_of(const struct check *c, const struct lab_port *port, size_t *segment)
{
	const struct lab_port *a = port, *b = port->peer;

	if (port->sw != NULL) {
		*segment =
		    root_of(c, (unsigned int)(port->sw - c->lab->switches));
		return true;
	}
	if (b == NULL)
		return false;
	/* of the two ends, the one with the lower name */
	*segment = LAB_SWITCHES_MAX +
	    (size_t)(strcmp(a->full, b->full) < 0 ? (uintptr_t)a
						  : (uintptr_t)b);
	return true;
}

static bool
are_together(
    const void *check, const struct lab_port *a, const struct lab_port *b)
{
	size_t as, bs;

	return segment_of(check, a, &as) && segment_of(check, b, &bs) &&
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
		no_such_port(c, at, port->cable);
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

/* ---- addresses ---- */

static bool
is_host_address(uint32_t addr)
{
	return addr >> 24 != 0 && !ip4_is_loopback(addr) &&
	    addr < UINT32_C(0xe0000000);
}

static void
check_address(struct check *c, const struct lab_port *port)
{
	struct place at = lab_place(&port->item, "address");
	struct ip4_net net = port->address;
	char text[NET_TEXT_BYTES];

	if (yaml_get(port->item.node, "address") == NULL ||
	    (net.addr == 0 && net.prefix == 0))
		return;
	ip4_net_text(text, net);
	if (!is_host_address(net.addr))
		problem_add(c->problems, at,
		    "address %s cannot belong to a host; use one as "
		    "10.0.0.1/24",
		    text);
	else if (net.prefix < 8 || net.prefix > 31)
		problem_add(c->problems, at,
		    "address %s: prefix length %u leaves no subnet; use 8 to "
		    "31",
		    text, net.prefix);
	else if (net.prefix < 31 &&
	    (net.addr == (net.addr & ip4_mask(net.prefix)) ||
		net.addr == ip4_net_broadcast(net)))
		problem_add(c->problems, at,
		    "address %s is the %s address of its subnet; use one "
		    "between",
		    text,
		    net.addr == ip4_net_broadcast(net) ? "broadcast"
						       : "network");
}

static bool
has_address(const struct lab_port *port)
{
	return is_host_address(port->address.addr) &&
	    port->address.prefix >= 8 && port->address.prefix <= 31;
}

/* A port with an address that is used in the segment, or NULL. */
static const struct lab_port *
owner_in_segment(const struct check *c, size_t segment, uint32_t addr)
{
	size_t other;

	for (unsigned int i = 0; i < c->lab->nports; i++)
		if (c->lab->ports[i]->address.addr == addr &&
		    segment_of(c, c->lab->ports[i], &other) && other == segment)
			return c->lab->ports[i];
	return NULL;
}

/* Is there a port in the segment that satisfies test? */
static bool
some_in_segment(const struct check *c, size_t segment,
    bool (*test)(const struct lab_port *port))
{
	size_t other;

	for (unsigned int i = 0; i < c->lab->nports; i++)
		if (test(c->lab->ports[i]) &&
		    segment_of(c, c->lab->ports[i], &other) && other == segment)
			return true;
	return false;
}

/* Is anything there, whose addresses are not in the file? */
static bool
is_outside(const struct lab_port *port)
{
	return port->kind == LAB_PLUG || port->kind == LAB_BRIDGE;
}

static bool
gives_addresses(const struct lab_port *port)
{
	/* The item is the first member of its VM; a kernel of the user's may
	 * well serve DHCP. */
	return port->dhcp.first != 0 || is_outside(port) ||
	    (port->kind == LAB_VM && port->address.addr != 0 &&
		((const struct lab_vm *)port->owner)->kernel != NULL);
}

static void
check_gateway(struct check *c, const struct lab_port *port)
{
	struct place at = lab_place(&port->item, "gateway");
	char text[IP4_TEXT_BYTES], net[NET_TEXT_BYTES];
	size_t segment;

	if (port->gateway == 0)
		return;
	ip4_text(text, port->gateway);
	if (yaml_get(port->item.node, "address") == NULL) {
		problem_add(c->problems, at,
		    "gateway %s without an address; add \"address:\", or leave "
		    "both to DHCP",
		    text);
		return;
	}
	if (!has_address(port))
		return;
	ip4_net_text(net, port->address);
	if (!ip4_net_has(port->address, port->gateway))
		problem_add(c->problems, at,
		    "gateway %s is not in the subnet of %s; use an address in "
		    "it",
		    text, net);
	else if (port->gateway == port->address.addr)
		problem_add(c->problems, at,
		    "gateway %s is the port's own address; use the router's",
		    text);
	else if (segment_of(c, port, &segment) &&
	    owner_in_segment(c, segment, port->gateway) == NULL &&
	    !some_in_segment(c, segment, is_outside))
		problem_warn(c->problems, at,
		    "gateway %s belongs to no port that \"%s\" can reach; use "
		    "a router's address",
		    text, port->full);
}

/* What a guest without an address hopes for. */
static void
check_dhcp_client(struct check *c, const struct lab_port *port)
{
	size_t segment;

	if (port->kind != LAB_VM ||
	    yaml_get(port->item.node, "address") != NULL)
		return;
	if (port->dns != 0)
		problem_add(c->problems, lab_place(&port->item, "dns"),
		    "dns without an address; add \"address:\", or leave both "
		    "to DHCP");
	if (segment_of(c, port, &segment) &&
	    !some_in_segment(c, segment, gives_addresses))
		problem_warn(c->problems, lab_place(&port->item, NULL),
		    "port \"%s\" has no address and nothing there serves DHCP; "
		    "add \"address:\", or \"dhcp:\" to a router's port",
		    port->full);
}

/* ---- what must be unique ---- */

struct claim {
	const struct lab_port *port;
	size_t segment;
};

static int
by_address(const void *a, const void *b)
{
	const struct claim *pa = a, *pb = b;

	if (pa->segment != pb->segment)
		return pa->segment < pb->segment ? -1 : 1;
	if (pa->port->address.addr != pb->port->address.addr)
		return pa->port->address.addr < pb->port->address.addr ? -1 : 1;
	return (int)pa->port->item.node->at.line -
	    (int)pb->port->item.node->at.line;
}

static int
by_mac(const void *a, const void *b)
{
	const struct claim *pa = a, *pb = b;
	int by = memcmp(&pa->port->mac, &pb->port->mac, sizeof(struct mac));

	return by != 0 ? by
		       : (int)pa->port->item.node->at.line -
		(int)pb->port->item.node->at.line;
}

static void
tell_twins(struct check *c, const struct claim *list, size_t n, bool macs)
{
	const struct yaml *told = NULL;

	for (size_t i = 1; i < n; i++) {
		const struct lab_port *a = list[i - 1].port, *b = list[i].port;
		char text[NET_TEXT_BYTES];

		if (macs ? !mac_equal(&a->mac, &b->mac)
			 : a->address.addr != b->address.addr ||
			    list[i - 1].segment != list[i].segment)
			continue;
		if (told == b->item.node)
			continue;
		told = b->item.node;
		if (macs)
			mac_text(text, &b->mac);
		else
			ip4_text(text, b->address.addr);
		problem_add(c->problems,
		    lab_place(&b->item, macs ? "mac" : "address"),
		    "port \"%s\": %s %s is that of \"%s\" already; choose "
		    "another",
		    b->full, macs ? "mac" : "address", text, a->full);
	}
}

static void
check_unique(struct check *c)
{
	const struct lab *lab = c->lab;
	struct claim *list =
	    arena_array(lab->arena, lab->nports, sizeof(list[0]));
	size_t n = 0;

	if (list == NULL)
		return;
	for (unsigned int i = 0; i < lab->nports; i++)
		if (!is_outside(lab->ports[i]))
			list[n++] = (struct claim){ lab->ports[i], 0 };
	if (n > 1)
		qsort(list, n, sizeof(list[0]), by_mac);
	tell_twins(c, list, n, true);
	n = 0;
	for (unsigned int i = 0; i < lab->nports; i++) {
		list[n].port = lab->ports[i];
		if (has_address(lab->ports[i]) &&
		    segment_of(c, lab->ports[i], &list[n].segment))
			n++;
	}
	if (n > 1)
		qsort(list, n, sizeof(list[0]), by_address);
	tell_twins(c, list, n, false);
}

/* ---- routers ---- */

static void
check_whole_seconds(
    struct check *c, const struct lab_item *item, const char *key, uint64_t ns)
{
	if (ns % NS_PER_S != 0)
		problem_add(c->problems, lab_place(item, key),
		    "%s is counted in whole seconds; write it as 60s", key);
}

static void
check_reserve(
    struct check *c, const struct lab_port *port, const struct lab_reserve *res)
{
	char text[IP4_TEXT_BYTES], net[NET_TEXT_BYTES];

	if (res->port != NULL && res->of == NULL)
		no_such_port(c, lab_place(&res->item, "port"), res->port);
	if (res->address == 0 || !has_address(port))
		return;
	ip4_text(text, res->address);
	ip4_net_text(net, port->address);
	if (!ip4_net_has(port->address, res->address))
		problem_add(c->problems, lab_place(&res->item, "address"),
		    "address %s is not in the subnet of %s; use one in it",
		    text, net);
	for (unsigned int i = 0; i < port->nreserve; i++) {
		const struct lab_reserve *other = &port->reserve[i];

		if (other == res)
			break;
		if (other->address == res->address ||
		    (other->of == res->of && res->of != NULL))
			problem_add(c->problems, lab_place(&res->item, "port"),
			    "\"%s\" or its address %s is reserved in line %u "
			    "already; keep one",
			    res->port != NULL ? res->port : "?", text,
			    other->item.node->at.line);
	}
}

static void
check_dhcp_range(struct check *c, const struct lab_port *port)
{
	struct place at = lab_place(&port->item, "dhcp");
	char first[IP4_TEXT_BYTES], last[IP4_TEXT_BYTES], net[NET_TEXT_BYTES];
	struct lab_range range = port->dhcp;

	ip4_text(first, range.first);
	ip4_text(last, range.last);
	ip4_net_text(net, port->address);
	if (range.first > range.last)
		problem_add(c->problems, at,
		    "dhcp: %s comes after %s; write the lower address first",
		    first, last);
	else if (!ip4_net_has(port->address, range.first) ||
	    !ip4_net_has(port->address, range.last))
		problem_add(c->problems, at,
		    "dhcp: %s-%s is not in the subnet of %s; use addresses in "
		    "it",
		    first, last, net);
	else if (range.first <= port->address.addr &&
	    port->address.addr <= range.last)
		problem_add(c->problems, at,
		    "dhcp: %s-%s contains the router's own address %s; leave "
		    "it out",
		    first, last, net);
	else if (port->address.prefix < 31 &&
	    (range.first ==
		    (port->address.addr & ip4_mask(port->address.prefix)) ||
		range.last == ip4_net_broadcast(port->address)))
		problem_add(c->problems, at,
		    "dhcp: %s-%s contains the network or broadcast address; "
		    "leave it out",
		    first, last);
	else if (range.last - range.first >= DHCP_MAX)
		problem_add(c->problems, at,
		    "dhcp: %s-%s are more than %d addresses; use fewer", first,
		    last, DHCP_MAX);
}

static void
check_dhcp_server(struct check *c, const struct lab_port *port)
{
	if (yaml_get(port->item.node, "dhcp") == NULL &&
	    yaml_get(port->item.node, "dns") != NULL)
		problem_add(c->problems, lab_place(&port->item, "dns"),
		    "dns without dhcp; add \"dhcp: FIRST-LAST\"");
	serving_check(port, c->problems);
	check_whole_seconds(c, &port->item, "lease", port->lease_ns);
	if (port->dhcp.first != 0 && has_address(port))
		check_dhcp_range(c, port);
	for (unsigned int i = 0; i < port->nreserve; i++)
		check_reserve(c, port, &port->reserve[i]);
}

static void
check_subnets(struct check *c, const struct lab_router *router)
{
	for (unsigned int i = 1; i < router->nports; i++)
		for (unsigned int k = 0; k < i; k++) {
			const struct lab_port *a = &router->ports[k];
			const struct lab_port *b = &router->ports[i];
			char text[NET_TEXT_BYTES];

			if (!has_address(a) || !has_address(b) ||
			    (!ip4_net_has(a->address, b->address.addr) &&
				!ip4_net_has(b->address, a->address.addr)))
				continue;
			problem_add(c->problems, lab_place(&b->item, "address"),
			    "port \"%s\": its subnet overlaps with that of "
			    "\"%s\", %s; each port of a router needs its own",
			    b->full, a->full, ip4_net_text(text, a->address));
		}
}

static void
check_route(struct check *c, const struct lab_router *router,
    const struct lab_route *route)
{
	char text[NET_TEXT_BYTES];
	uint32_t bits = route->to.addr & ~ip4_mask(route->to.prefix);

	if (bits != 0) {
		struct ip4_net net = { route->to.addr & ~bits,
			route->to.prefix };

		problem_add(c->problems, lab_place(&route->item, "to"),
		    "to: the address has bits behind the prefix; write %s",
		    ip4_net_text(text, net));
	}
	if (route->via == 0)
		return;
	ip4_text(text, route->via);
	for (unsigned int k = 0; k < router->nports; k++) {
		const struct lab_port *port = &router->ports[k];

		if (!has_address(port))
			return; /* told already; it might have been this one */
		if (port->address.addr == route->via) {
			problem_add(c->problems, lab_place(&route->item, "via"),
			    "via %s is the router's own address; name the next "
			    "router's",
			    text);
			return;
		}
		if (ip4_net_has(port->address, route->via))
			return;
	}
	problem_add(c->problems, lab_place(&route->item, "via"),
	    "via %s is on no subnet of router \"%s\"; use a neighbour's "
	    "address",
	    text, router->item.name);
}

/* False: with a problem. */
static bool
check_nat_timers(struct check *c, const struct lab_nat *nat)
{
	bool whole = true;

	for (const struct schema_key *row = nat_keys.rows; row->path != NULL;
	     row++) {
		uint64_t ns;

		if (row->type != SCHEMA_DURATION)
			continue;
		memcpy(&ns, (const unsigned char *)&nat->rules + row->into,
		    sizeof(ns));
		check_whole_seconds(c, &nat->item, row->path, ns);
		whole &= ns % NS_PER_S == 0;
	}
	return whole;
}

static void
check_nat(struct check *c, const struct lab_router *router)
{
	const struct lab_nat *nat = &router->nat;
	struct nat_rules rules = nat_rules_default;
	struct err err = { "" };
	struct nearest near;

	if (nat->item.node == NULL)
		return;
	if (check_nat_timers(c, nat) &&
	    nat_keys_apply(&nat->rules, &rules, &err) < 0)
		problem_add(c->problems, nat->item.node->at, "%s", err.text);
	if (nat->outside == NULL || nat->out != NULL)
		return;
	nearest_init(&near, nat->outside);
	for (unsigned int k = 0; k < router->nports; k++)
		nearest_try(&near, router->ports[k].item.name);
	if (near.best == NULL && router->nports == 1)
		near.best = router->ports[0].item.name;
	problem_add(c->problems, lab_place(&nat->item, "outside"),
	    "outside \"%.40s\" is no port of router \"%s\"; %s%s%s",
	    nat->outside, router->item.name,
	    near.best != NULL ? "did you mean \"" : "name one of its ports",
	    near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
}

static void
check_routers(struct check *c)
{
	for (unsigned int i = 0; i < c->lab->nrouters; i++) {
		const struct lab_router *router = &c->lab->routers[i];

		for (unsigned int k = 0; k < router->nports; k++)
			check_dhcp_server(c, &router->ports[k]);
		check_subnets(c, router);
		for (unsigned int k = 0; k < router->nroutes; k++)
			check_route(c, router, &router->routes[k]);
		check_nat(c, router);
	}
}

/* ---- hosts and plugs ---- */

static void
check_host(struct check *c, const struct lab_host *host)
{
	const struct lab_send *send = &host->send;
	static const char *const udp[] = { "port", "source-port" };
	char text[IP4_TEXT_BYTES];

	if (send->item.node == NULL)
		return;
	for (unsigned int i = 0; i < 2; i++)
		if (send->protocol != 0 &&
		    yaml_get(send->item.node, udp[i]) != NULL)
			problem_add(c->problems, lab_place(&send->item, udp[i]),
			    "%s is for \"protocol: udp\"; add that, or remove "
			    "the key",
			    udp[i]);
	if (send->to == 0 || !has_address(&host->port))
		return;
	ip4_text(text, send->to);
	if (!ip4_net_has(host->port.address, send->to) &&
	    host->port.gateway == 0)
		problem_add(c->problems, lab_place(&send->item, "to"),
		    "to: %s is not on the host's subnet and it has no gateway; "
		    "add \"gateway:\"",
		    text);
	else if (send->to == host->port.address.addr)
		problem_add(c->problems, lab_place(&send->item, "to"),
		    "to: %s is the host's own address; name another", text);
}

static void
check_plug(struct check *c, const struct lab_plug *plug)
{
	struct place at = lab_place(&plug->item, "locator");
	struct err err = { "" };

	if (plug->locator == NULL)
		return;
	for (unsigned int i = 0; i < c->lab->nplugs; i++) {
		const struct lab_plug *other = &c->lab->plugs[i];

		if (other == plug)
			break;
		if (other->locator != NULL &&
		    strcmp(other->locator, plug->locator) == 0)
			problem_add(c->problems, at,
			    "locator \"%.100s\" is that of plug \"%s\" "
			    "already; name another",
			    plug->locator, other->item.name);
	}
	if (port_check(port_kinds, "locator", plug->locator, &err) < 0)
		problem_add(c->problems, at, "%s", err.text);
}

/* ---- captures, events, expectations ---- */

static void
check_filter(struct check *c, const struct lab_item *item, const char *filter)
{
	struct err err = { "" };

	if (filter != NULL && filter_check(filter, FILTER_ETHERNET, &err) < 0)
		problem_add(
		    c->problems, lab_place(item, "filter"), "%s", err.text);
}

static bool
is_node(const struct lab *lab, const char *name)
{
	size_t n = strlen(name);

	for (unsigned int i = 0; i < lab->nports; i++) {
		const char *full = lab->ports[i]->full;

		if (strncmp(full, name, n) == 0 && full[n] == '.')
			return true;
	}
	return lab_switch(lab, name) != NULL;
}

/* The radio of a plug, as NODE.radio. */
static bool
is_radio(const struct lab *lab, const char *name)
{
	for (unsigned int i = 0; i < lab->nplugs; i++) {
		const struct lab_plug *plug = &lab->plugs[i];
		size_t n = strlen(plug->item.name);

		if (strncmp(name, plug->item.name, n) == 0 &&
		    strcmp(name + n, ".radio") == 0)
			return plug->locator != NULL &&
			    port_kind_of(port_kinds, plug->locator) ==
			    &port_wifi;
	}
	return false;
}

/* One place of a capture: capturing.h says how it is named. */
static void
check_point(struct check *c, const struct lab_text *at)
{
	struct err err = { "" };
	const char *filter;
	size_t n = capturing_name(at->text, &filter);
	char name[128];
	bool radio;

	snprintf(name, sizeof(name), "%.*s", (int)n, at->text);
	radio = is_radio(c->lab, name);
	if (strcmp(name, CAPTURING_ALL) != 0 &&
	    strcmp(name, CAPTURE_BIN) != 0 && !is_node(c->lab, name) &&
	    !lab_has_port(c->lab, name) && !radio)
		no_such_port(c, at->node->at, name);
	if (filter != NULL &&
	    filter_check(filter, radio ? FILTER_RADIO : FILTER_ETHERNET, &err) <
		0)
		problem_add(c->problems, at->node->at, "%s", err.text);
}

static void
check_capture(struct check *c, const struct lab_capture *capture)
{
	const struct lab *lab = c->lab;

	for (unsigned int i = 0; i < capture->at.n; i++) {
		const struct lab_text *at = &capture->at.list[i];

		check_point(c, at);
		for (unsigned int k = 0; k < i; k++)
			if (strcmp(capture->at.list[k].text, at->text) == 0)
				problem_add(c->problems, at->node->at,
				    "\"%s\" is named twice; once is enough",
				    at->text);
	}
	check_filter(c, &capture->item, capture->filter);
	if (capture->files != 0 && capture->file_bytes == 0 &&
	    capture->file_ns == 0)
		problem_add(c->problems, lab_place(&capture->item, "files"),
		    "files are kept of a capture that is never cut; add "
		    "file-size or file-time");
	for (unsigned int i = 0; i < lab->ncaptures; i++) {
		const struct lab_capture *other = &lab->captures[i];

		if (other == capture)
			break;
		if (other->file != NULL && capture->file != NULL &&
		    strcmp(other->file, capture->file) == 0)
			problem_add(c->problems,
			    lab_place(&capture->item, "file"),
			    "file \"%.100s\" is written by the capture in line "
			    "%u already; name another",
			    capture->file, other->item.node->at.line);
	}
}

/* The VM and command of an event or expectation. */
static void
check_run(struct check *c, const struct lab_item *item, const char *vm,
    const char *run)
{
	bool has_vm = yaml_get(item->node, "vm") != NULL;
	bool has_run = yaml_get(item->node, "run") != NULL;

	if (has_vm != has_run)
		problem_add(c->problems, lab_place(item, has_vm ? "vm" : "run"),
		    "%s without %s; a command needs both",
		    has_vm ? "vm" : "run", has_vm ? "run" : "vm");
	if (vm != NULL && lab_vm(c->lab, vm) == NULL)
		no_such_vm(c, lab_place(item, "vm"), vm);
	if (run != NULL && strlen(run) > COMMAND_MAX_BYTES)
		problem_add(c->problems, lab_place(item, "run"),
		    "run is longer than %d letters; shorten it",
		    COMMAND_MAX_BYTES);
}

static void
check_event(struct check *c, const struct lab_event *event)
{
	const struct lab_item *item = &event->item;
	bool runs = yaml_get(item->node, "vm") != NULL ||
	    yaml_get(item->node, "run") != NULL;
	bool changes = event->sets_link || lab_says_something(event->wire) ||
	    event->rules.given != 0;
	bool sets = yaml_get(item->node, "set") != NULL || changes;

	if (runs == sets) {
		problem_add(c->problems, item->node->at,
		    runs ? "an event that both runs a command and sets a port; "
			   "make it two"
			 : "an event that does nothing; add vm and run, or set "
			   "and what to set");
		return;
	}
	if (runs) {
		check_run(c, item, event->vm, event->run);
		return;
	}
	if (yaml_get(item->node, "set") == NULL)
		problem_add(c->problems, item->node->at,
		    "of which port? add \"set: NODE.PORT\"");
	else if (!changes)
		problem_add(c->problems, item->node->at,
		    "what is to be set? write \"set: NODE.PORT, down: true\" "
		    "or \"set: NODE.PORT, delay: 20ms\"");
	if (event->set != NULL && !lab_has_port(c->lab, event->set))
		no_such_port(c, lab_place(item, "set"), event->set);
}

static void
check_regex(struct check *c, const struct lab_expect *e)
{
	struct place at = lab_place(&e->item, "output");
	const char *brace;
	regex_t regex;
	char why[100];
	int code;

	if (e->output == NULL)
		return;
	brace = strchr(e->output, '{');
	if (strlen(e->output) > REGEX_MAX_BYTES ||
	    (brace != NULL && strchr(brace + 1, '{') != NULL)) {
		problem_add(c->problems, at,
		    "output: more than %d letters or more than one {n,m}; "
		    "write a simpler expression",
		    REGEX_MAX_BYTES);
		return;
	}
	code = regcomp(&regex, e->output, REG_EXTENDED | REG_NOSUB);
	if (code == 0) {
		regfree(&regex);
		return;
	}
	regerror(code, NULL, why, sizeof(why));
	problem_add(c->problems, at,
	    "output: \"%.60s\" is no regular expression (%s); see regex(7)",
	    e->output, why);
}

/* Keys of the other kinds of expectation. */
static void
check_expect_keys(struct check *c, const struct lab_expect *e)
{
	static const struct {
		const char *key;
		enum expect_kind kind;
	} keys[] = {
		{ "vm", EXPECT_RUN },
		{ "run", EXPECT_RUN },
		{ "status", EXPECT_RUN },
		{ "output", EXPECT_RUN },
		{ "at", EXPECT_FRAMES },
		{ "filter", EXPECT_FRAMES },
		{ "verdict", EXPECT_FRAMES },
		{ "frames", EXPECT_FRAMES },
		{ "router", EXPECT_NAT },
		{ "nat", EXPECT_NAT },
	};
	static const char *const about[] = {
		[EXPECT_RUN] = "a command (vm, run, output, status)",
		[EXPECT_FRAMES] = "frames (at, filter, verdict, frames)",
		[EXPECT_NAT] = "a NAT table (router, nat)",
	};

	for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].kind != e->kind &&
		    yaml_get(e->item.node, keys[i].key) != NULL)
			problem_add(c->problems,
			    lab_place(&e->item, keys[i].key),
			    "%s does not belong to an expectation about %s; "
			    "make it another one",
			    keys[i].key, about[e->kind]);
}

static void
check_expect_time(struct check *c, const struct lab_expect *e)
{
	const struct yaml *node = e->item.node;
	bool within = yaml_get(node, "within") != NULL;

	if (within == (yaml_get(node, "always") != NULL))
		problem_add(c->problems, node->at,
		    within ? "within and always exclude each other; keep one"
			   : "when must it be seen? add \"within: 10s\" or "
			     "\"always: true\"");
	else if (!within && !e->always)
		problem_add(c->problems, lab_place(&e->item, "always"),
		    "always can only be true; write \"within: TIME\" instead");
	else if (within && e->within_ns != 0 && e->after_ns >= e->within_ns)
		problem_add(c->problems, lab_place(&e->item, "after"),
		    "after is not before within; both count from the lab's "
		    "start");
	if (e->always && e->kind == EXPECT_RUN)
		problem_add(c->problems, lab_place(&e->item, "always"),
		    "a command cannot be seen always; use \"within: TIME\"");
}

static void
need(struct check *c, const struct lab_expect *e, const char *key,
    const char *remedy)
{
	if (yaml_get(e->item.node, key) == NULL)
		problem_add(c->problems, e->item.node->at,
		    "the expectation lacks %s; %s", key, remedy);
}

static void
check_expect_frames(struct check *c, const struct lab_expect *e)
{
	struct nearest near;

	need(c, e, "frames", "add \"frames: \">=1\"\" or \"frames: 0\"");
	if (!lab_has_port(c->lab, e->at))
		no_such_port(c, lab_place(&e->item, "at"), e->at);
	check_filter(c, &e->item, e->filter);
	if (e->verdict == NULL ||
	    (e->reason != REASON_COUNT && e->reason != REASON_NONE))
		return;
	nearest_init(&near, e->verdict);
	for (int i = 1; i < REASON_COUNT; i++)
		nearest_try(&near, reason_name((enum reason)i));
	problem_add(c->problems, lab_place(&e->item, "verdict"),
	    "verdict \"%.40s\" is not known; %s%s%s", e->verdict,
	    near.best != NULL ? "did you mean \""
			      : "\"lanyard reasons\" lists them",
	    near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
}

static void
check_expect_nat(struct check *c, const struct lab_expect *e)
{
	const struct lab_router *router = lab_router(c->lab, e->router);
	struct nearest near;

	need(c, e, "nat", "add \"nat: \">=1\"\"");
	if (router != NULL && router->nat.item.node == NULL)
		problem_add(c->problems, lab_place(&e->item, "router"),
		    "router \"%s\" has no NAT; add \"nat:\" to it", e->router);
	if (router != NULL)
		return;
	nearest_init(&near, e->router);
	for (unsigned int i = 0; i < c->lab->nrouters; i++)
		nearest_try(&near, c->lab->routers[i].item.name);
	missing(c, lab_place(&e->item, "router"), "router", e->router, &near,
	    "add it below routers");
}

static void
check_expect(struct check *c, const struct lab_expect *e)
{
	static const char *const subjects[] = { "vm", "run", "at", "router",
		"frames", "nat", "filter", "verdict" };
	bool about = false;

	for (unsigned int i = 0; i < sizeof(subjects) / sizeof(subjects[0]);
	     i++)
		about |= yaml_get(e->item.node, subjects[i]) != NULL;
	check_expect_time(c, e);
	if (!about) {
		problem_add(c->problems, e->item.node->at,
		    "an expectation about nothing; add vm and run, at and "
		    "frames, or router and nat");
		return;
	}
	check_expect_keys(c, e);
	switch (e->kind) {
	case EXPECT_RUN:
		check_run(c, &e->item, e->vm, e->run);
		check_regex(c, e);
		return;
	case EXPECT_FRAMES: check_expect_frames(c, e); return;
	case EXPECT_NAT: check_expect_nat(c, e); return;
	}
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
		check_gateway(c, port);
		check_dhcp_client(c, port);
	}
	check_unique(c);
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
	lab_check_bridges(lab, are_together, c, problems);
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
