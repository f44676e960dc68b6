/*
 * Addresses of ports, and what of them must be there once only.
 */
#include "lab/check_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- addresses ---- */

static bool
is_host_address(uint32_t addr)
{
	return addr >> 24 != 0 && !ip4_is_loopback(addr) &&
	    addr < UINT32_C(0xe0000000);
}

void
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

bool
check_has_address(const struct lab_port *port)
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
		    segment_of(&c->segments, c->lab->ports[i], &other) &&
		    other == segment)
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
		    segment_of(&c->segments, c->lab->ports[i], &other) &&
		    other == segment)
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
	return port->dhcp.first != 0 || port->relay.n > 0 || is_outside(port) ||
	    (port->ra.item.node != NULL && port->ra.autonomous) ||
	    (port->kind == LAB_VM && port->address.addr != 0 &&
		((const struct lab_vm *)port->owner)->kernel != NULL);
}

void
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
	if (!check_has_address(port))
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
	else if (segment_of(&c->segments, port, &segment) &&
	    owner_in_segment(c, segment, port->gateway) == NULL &&
	    !some_in_segment(c, segment, is_outside))
		problem_warn(c->problems, at,
		    "gateway %s belongs to no port that \"%s\" can reach; use "
		    "a router's address",
		    text, port->full);
}

/* What a guest without an address hopes for. */
void
check_dhcp_client(struct check *c, const struct lab_port *port)
{
	size_t segment;

	if ((port->kind != LAB_VM ||
		yaml_get(port->item.node, "address") != NULL) &&
	    !port->by_dhcp)
		return;
	if (port->dns != 0 && !port->by_dhcp)
		problem_add(c->problems, lab_place(&port->item, "dns"),
		    "dns without an address; add \"address:\", or leave both "
		    "to DHCP");
	if (port->address6.n == 0 && segment_of(&c->segments, port, &segment) &&
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

void
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
		if (check_has_address(lab->ports[i]) &&
		    segment_of(&c->segments, lab->ports[i], &list[n].segment))
			n++;
	}
	if (n > 1)
		qsort(list, n, sizeof(list[0]), by_address);
	tell_twins(c, list, n, false);
}
