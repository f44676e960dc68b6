/*
 * IPv6 addresses of routers' ports, and routes by them.
 */
#include "lab/check_parts.h"

#include "base/loop.h"
#include "router/prefix6.h"

/* False: with a problem. */
static bool
check_net6(
    struct check *c, const struct lab_port *port, const struct ip6_net *net)
{
	struct place at = lab_place(&port->item, "address6");
	struct ip6_addr prefix = ip6_masked(&net->addr, net->prefix);
	char text[IP6_NET_TEXT_BYTES];

	ip6_net_text(text, net);
	if (!ip6_is_host(&net->addr))
		problem_add(c->problems, at,
		    "address6 %s cannot belong to a host; use one as "
		    "2001:db8::1/64",
		    text);
	else if (ip6_is_link_local(&net->addr))
		problem_add(c->problems, at,
		    "address6 %s is link-local, which each port has one of by "
		    "itself; use one as 2001:db8::1/64",
		    text);
	else if (net->prefix == 0)
		problem_add(c->problems, at,
		    "address6 %s leaves nothing for other links; use a prefix "
		    "length as 64",
		    text);
	else if (net->prefix < 127 && ip6_equal(&prefix, &net->addr))
		problem_add(c->problems, at,
		    "address6 %s is that of any router of its subnet; use "
		    "one behind it",
		    text);
	else
		return true;
	return false;
}

/* Problems of what a port advertises. */
static void
check_ra(struct check *c, const struct lab_port *port)
{
	static const char *const whole[] = { "interval", "lifetime", "valid",
		"preferred" };
	const struct lab_ra *ra = &port->ra;
	const uint64_t ns[] = { ra->interval_ns, ra->lifetime_ns, ra->valid_ns,
		ra->preferred_ns };

	if (yaml_get(port->item.node, "address6") == NULL)
		problem_add(c->problems, lab_place(&port->item, "ra"),
		    "ra on a port without an IPv6 address; add \"address6:\"");
	for (unsigned int i = 0; i < 4; i++)
		if (ns[i] % NS_PER_S != 0)
			problem_add(c->problems, lab_place(&ra->item, whole[i]),
			    "%s is counted in whole seconds; write it as 60s",
			    whole[i]);
	if (ra->preferred_ns > ra->valid_ns)
		problem_add(c->problems, lab_place(&ra->item, "preferred"),
		    "preferred is longer than valid; make it as long at most");
}

/* Is addr on the link of a guest? */
static bool
is_on_link(const struct lab_port *port, const struct ip6_addr *addr)
{
	for (unsigned int i = 0; i < port->address6.n; i++)
		if (ip6_net_has(&port->address6.net[i], addr))
			return true;
	return ip6_is_link_local(addr);
}

/* What goes with a guest's addresses. */
static void
check_guest6(struct check *c, const struct lab_port *port)
{
	const struct ips6 *gateway = &port->gateway6;
	char text[IP6_TEXT_BYTES];

	if (gateway->n > 0 && port->address6.n == 0)
		problem_add(c->problems, lab_place(&port->item, "gateway6"),
		    "gateway6 without an address; add one to \"address6:\", or "
		    "leave both to the router's \"ra:\"");
	else if (gateway->n > 1)
		problem_add(c->problems, lab_place(&port->item, "gateway6"),
		    "gateway6 names %u routers; write one", gateway->n);
	else if (gateway->n == 1 && !is_on_link(port, &gateway->addr[0]))
		problem_add(c->problems, lab_place(&port->item, "gateway6"),
		    "gateway6 %s is in no subnet of address6; use an address "
		    "in one",
		    ip6_text(text, &gateway->addr[0]));
	if (port->dns6.n > 0 && port->address6.word == NETS6_NONE)
		problem_add(c->problems, lab_place(&port->item, "dns6"),
		    "dns6 of a guest that speaks no IPv6; remove it, or "
		    "\"address6: none\"");
}

void
check_address6(struct check *c, const struct lab_port *port)
{
	if (port->kind == LAB_ROUTER &&
	    yaml_get(port->item.node, "address") == NULL &&
	    yaml_get(port->item.node, "address6") == NULL)
		problem_add(c->problems, port->item.node->key_at,
		    "\"%s\" lacks \"address\"; add \"address:\" or "
		    "\"address6:\"",
		    port->item.name);
	for (unsigned int i = 0; i < port->address6.n; i++)
		if (!check_net6(c, port, &port->address6.net[i]))
			return;
	if (port->ra.item.node != NULL)
		check_ra(c, port);
	check_guest6(c, port);
	if (port->address6.n > 0 && port->mtu != 0 && port->mtu < IP6_MTU_MIN)
		problem_add(c->problems, lab_place(&port->item, "mtu"),
		    "mtu %u is too small for IPv6; use %d at least, or remove "
		    "address6",
		    (unsigned int)port->mtu, IP6_MTU_MIN);
}

/* An address of b that a has, too, or NULL. */
static const struct ip6_addr *
common_address(const struct lab_port *a, const struct lab_port *b)
{
	for (unsigned int i = 0; i < b->address6.n; i++)
		for (unsigned int k = 0; k < a->address6.n; k++)
			if (ip6_equal(&a->address6.net[k].addr,
				&b->address6.net[i].addr))
				return &b->address6.net[i].addr;
	return NULL;
}

static void
check_twin6(struct check *c, const struct lab_port *a, const struct lab_port *b)
{
	const struct ip6_addr *addr = common_address(a, b);
	size_t at_a, at_b;
	char text[IP6_TEXT_BYTES];

	if (addr != NULL && segment_of(&c->segments, a, &at_a) &&
	    segment_of(&c->segments, b, &at_b) && at_a == at_b)
		problem_add(c->problems, lab_place(&b->item, "address6"),
		    "port \"%s\": address %s is that of \"%s\" already; "
		    "choose another",
		    b->full, ip6_text(text, addr), a->full);
}

void
check_unique6(struct check *c)
{
	const struct lab *lab = c->lab;

	for (unsigned int i = 0; i < lab->nports; i++)
		for (unsigned int k = 0; lab->ports[i]->address6.n > 0 && k < i;
		     k++)
			if (lab->ports[k]->address6.n > 0)
				check_twin6(c, lab->ports[k], lab->ports[i]);
}

static bool
overlap(const struct ip6_net *a, const struct ip6_net *b)
{
	return ip6_net_has(a, &b->addr) || ip6_net_has(b, &a->addr);
}

/* Tells of the first prefix of b that overlaps with one of a, which may be the
 * same port. */
static void
check_pair(struct check *c, const struct lab_port *a, const struct lab_port *b)
{
	char text[IP6_NET_TEXT_BYTES];

	for (unsigned int i = 0; i < b->address6.n; i++)
		for (unsigned int k = 0; k < (a == b ? i : a->address6.n);
		     k++) {
			if (!overlap(&a->address6.net[k], &b->address6.net[i]))
				continue;
			ip6_net_text(text, &a->address6.net[k]);
			problem_add(c->problems,
			    lab_place(&b->item, "address6"),
			    "port \"%s\": the prefix of one of its addresses "
			    "overlaps with that of \"%s\", %s; each needs its "
			    "own",
			    b->full, a->full, text);
			return;
		}
}

void
check_prefixes6(struct check *c, const struct lab_router *router)
{
	for (unsigned int i = 0; i < router->nports; i++)
		for (unsigned int k = 0; k <= i; k++)
			check_pair(c, &router->ports[k], &router->ports[i]);
}

/* Does a port's subnet have addr?  own: it is the port's. */
static bool
port_reaches(
    const struct lab_port *port, const struct ip6_addr *addr, bool *own)
{
	for (unsigned int i = 0; i < port->address6.n; i++) {
		*own = ip6_equal(&port->address6.net[i].addr, addr);
		if (ip6_net_has(&port->address6.net[i], addr))
			return true;
	}
	return false;
}

/* A next hop of a link needs the name of the port that is on it. */
static void
check_link_local(struct check *c, const struct lab_router *router,
    const struct lab_route *route, const char *text)
{
	if (route->port_name == NULL)
		problem_add(c->problems, lab_place(&route->item, "via"),
		    "via %s is of one link alone; add \"port:\", the port of "
		    "that link",
		    text);
	else if (route->port == NULL)
		problem_add(c->problems, lab_place(&route->item, "port"),
		    "port \"%.40s\" is no port of router \"%s\"; name one of "
		    "its ports",
		    route->port_name, router->item.name);
	else if (route->port->address6.n == 0)
		problem_add(c->problems, lab_place(&route->item, "port"),
		    "port \"%s\" has no IPv6; give it an address6",
		    route->port->full);
}

void
check_via6(struct check *c, const struct lab_router *router,
    const struct lab_route *route)
{
	const struct ip6_addr *via = &route->via.ip6;
	char text[IP6_TEXT_BYTES];

	ip6_text(text, via);
	if (ip6_is_link_local(via)) {
		check_link_local(c, router, route, text);
		return;
	}
	if (route->port_name != NULL)
		problem_add(c->problems, lab_place(&route->item, "port"),
		    "port is for a next hop as fe80::1; remove it, since via "
		    "says it all");
	for (unsigned int k = 0; k < router->nports; k++) {
		bool own = false;

		if (!port_reaches(&router->ports[k], via, &own))
			continue;
		if (own)
			problem_add(c->problems, lab_place(&route->item, "via"),
			    "via %s is the router's own address; name the next "
			    "router's",
			    text);
		return;
	}
	problem_add(c->problems, lab_place(&route->item, "via"),
	    "via %s is on no subnet of router \"%s\"; use a neighbour's "
	    "address",
	    text, router->item.name);
}

/* A port that is named as an outside.  False: with a problem. */
static bool
check_outside(struct check *c, const struct lab_router *router,
    const struct lab_item *item, const char *key, const char *name,
    const struct lab_port *port)
{
	if (name == NULL)
		return false; /* told already */
	if (port == NULL)
		problem_add(c->problems, lab_place(item, key),
		    "%s \"%.40s\" is no port of router \"%s\"; name one of its "
		    "ports",
		    key, name, router->item.name);
	else if (yaml_get(port->item.node, "address6") == NULL)
		problem_add(c->problems, lab_place(item, key),
		    "port \"%s\" has no IPv6 address; add \"address6:\" to it",
		    port->full);
	else
		return true;
	return false;
}

static void
check_npt6(struct check *c, const struct lab_router *router,
    const struct lab_npt6 *npt)
{
	const struct ip6_net *out = &npt->outside.ip6;
	struct npt6 pair;
	char text[IP6_NET_TEXT_BYTES];

	if (!check_outside(
		c, router, &npt->item, "port", npt->port_name, npt->port) ||
	    npt->inside.family == ANY_NONE || npt->outside.family == ANY_NONE)
		return;
	if (npt->inside.family == ANY_IP4 || npt->outside.family == ANY_IP4) {
		problem_add(c->problems, lab_place(&npt->item, "inside"),
		    "inside and outside are prefixes of IPv6; use nat for "
		    "IPv4");
		return;
	}
	if (!npt6_init(&pair, &npt->inside.ip6, out))
		problem_add(c->problems, lab_place(&npt->item, "outside"),
		    "inside and outside cannot be translated; use two that "
		    "differ, of 64 bits at most");
	for (unsigned int i = 0; i < npt->port->address6.n; i++)
		if (ip6_net_has(out, &npt->port->address6.net[i].addr))
			problem_add(c->problems,
			    lab_place(&npt->item, "outside"),
			    "outside %s has the address of port \"%s\" in it; "
			    "use a prefix that is routed to that",
			    ip6_net_text(text, out), npt->port->full);
}

void
check_outside6(struct check *c, const struct lab_router *router)
{
	const struct lab_firewall6 *fw = &router->firewall6;

	if (fw->item.node != NULL)
		check_outside(
		    c, router, &fw->item, "outside", fw->outside, fw->out);
	if (router->nnpt6 > PREFIX6_PAIRS)
		problem_add(c->problems, lab_place(&router->item, "nptv6"),
		    "more than %d prefixes; write fewer, wider ones",
		    PREFIX6_PAIRS);
	for (unsigned int i = 0; i < router->nnpt6; i++)
		check_npt6(c, router, &router->npt6[i]);
}
