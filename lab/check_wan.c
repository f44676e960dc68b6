/*
 * Ports of routers that get their address by DHCP, and those that move when
 * that is of their network.
 */
#include "lab/check_parts.h"

/* ---- who asks ---- */

static void
check_client(struct check *c, const struct lab_port *port)
{
	static const char *const not_with[] = { "dhcp", "dhcp-relay",
		"dhcp-relayed", "instead" };

	for (size_t i = 0; i < sizeof(not_with) / sizeof(not_with[0]); i++)
		if (yaml_get(port->item.node, not_with[i]) != NULL)
			problem_add(c->problems,
			    lab_place(&port->item, not_with[i]),
			    "%s on a port that gets its own address by DHCP; "
			    "give the port an address, or leave %s out",
			    not_with[i], not_with[i]);
}

/* The addresses of a NAT behind one that others choose. */
static void
check_outside(struct check *c, const struct lab_nat *nat)
{
	const struct lab_texts *const lists[] = { &nat->addresses,
		&nat->pairs };
	static const char *const keys[] = { "addresses", "one-to-one" };

	if (nat->out == NULL || !nat->out->by_dhcp)
		return;
	for (int i = 0; i < 2; i++)
		if (lists[i]->n > 0)
			problem_add(c->problems, lab_place(&nat->item, keys[i]),
			    "%s of a NAT whose port \"%s\" gets its address by "
			    "DHCP: others say what addresses there are; give "
			    "that port an address, or leave %s out",
			    keys[i], nat->out->full, keys[i]);
}

/* ---- who moves ---- */

/* The number of an address within its network. */
static uint32_t
host_of(struct ip4_net net, uint32_t addr)
{
	return addr & ~ip4_mask(net.prefix);
}

static void
check_instead(struct check *c, const struct lab_router *router,
    const struct lab_port *port)
{
	struct place at = lab_place(&port->item, "instead");
	char text[NET_TEXT_BYTES], own[NET_TEXT_BYTES];
	struct ip4_net to = port->instead;
	struct lab_port there = *port;

	there.address = to;
	ip4_net_text(text, to);
	ip4_net_text(own, port->address);
	if (!check_has_address(&there) || host_of(to, to.addr) == 0 ||
	    to.addr == ip4_net_broadcast(to)) {
		problem_add(c->problems, at,
		    "instead: %s cannot be a router's; use one as 10.99.0.1/24",
		    text);
		return;
	}
	if (to.prefix != port->address.prefix) {
		problem_add(c->problems, at,
		    "instead: %s has another prefix length than %s; write "
		    "them alike",
		    text, own);
		return;
	}
	if (port->nrelayed > 0)
		problem_add(c->problems, at,
		    "instead on a port that serves clients behind relays, who "
		    "know it by its address; leave one of the two out");
	for (unsigned int i = 0; i < router->nports; i++) {
		const struct lab_port *other = &router->ports[i];

		if (check_has_address(other) &&
		    ip4_nets_overlap(other->address, to))
			problem_add(c->problems, at,
			    "instead: %s overlaps with the network of \"%s\"; "
			    "use another one",
			    text, other->full);
		if (other < port && other->instead.addr != 0 &&
		    ip4_nets_overlap(other->instead, to))
			problem_add(c->problems, at,
			    "instead: %s overlaps with that of \"%s\"; use "
			    "another one",
			    text, other->full);
	}
	if (port->dhcp.first != 0 &&
	    host_of(to, to.addr) >= host_of(to, port->dhcp.first) &&
	    host_of(to, to.addr) <= host_of(to, port->dhcp.last))
		problem_add(c->problems, at,
		    "instead: %s would be one of the addresses that the port "
		    "gives by DHCP there; use one that is as far from them as "
		    "%s",
		    text, own);
}

void
check_wan(struct check *c, const struct lab_router *router)
{
	bool some = false;

	for (unsigned int i = 0; i < router->nports; i++) {
		some |= router->ports[i].by_dhcp;
		if (router->ports[i].by_dhcp)
			check_client(c, &router->ports[i]);
	}
	check_outside(c, &router->nat);
	for (unsigned int i = 0; i < router->nports; i++) {
		const struct lab_port *port = &router->ports[i];

		if (port->instead.addr == 0 || port->by_dhcp)
			continue;
		if (!some)
			problem_add(c->problems,
			    lab_place(&port->item, "instead"),
			    "instead without a port of the router with "
			    "\"address: dhcp\"; nothing would make it move, "
			    "leave it out");
		else if (check_has_address(port))
			check_instead(c, router, port);
	}
}
