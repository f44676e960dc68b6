/*
 * Routers, with what they give to others, hosts and plugs.
 */
#include "lab/check_parts.h"

#include <string.h>

#include "base/loop.h"
#include "lab/nat_keys.h"
#include "lab/outside.h"
#include "lab/port_kinds.h"
#include "lab/schema.h"
#include "lab/serving.h"

#define DHCP_MAX 65536

/* ---- routers ---- */

static void
check_whole_seconds(
    struct check *c, const struct lab_item *item, const char *key, uint64_t ns)
{
	if (ns % NS_PER_S != 0)
		problem_add(c->problems, lab_place(item, key),
		    "%s is counted in whole seconds; write it as 60s", key);
}

/* Is addr in a subnet that the port serves? */
static bool
is_served(const struct lab_port *port, uint32_t addr)
{
	bool is = ip4_net_has(port->address, addr);

	for (unsigned int i = 0; i < port->nrelayed; i++)
		is = is || ip4_net_has(port->relayed[i].relay, addr);
	return is;
}

static void
check_reserve(
    struct check *c, const struct lab_port *port, const struct lab_reserve *res)
{
	char text[IP4_TEXT_BYTES], net[NET_TEXT_BYTES];

	if (res->port != NULL && res->of == NULL)
		check_no_such_port(c, lab_place(&res->item, "port"), res->port);
	if (res->address == 0 || !check_has_address(port))
		return;
	ip4_text(text, res->address);
	ip4_net_text(net, port->address);
	if (!is_served(port, res->address))
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

/* A range that key gives; net is the router's address there. */
static void
check_dhcp_range(struct check *c, const struct lab_item *item, const char *key,
    struct ip4_net own, struct lab_range range)
{
	struct place at = lab_place(item, key);
	char first[IP4_TEXT_BYTES], last[IP4_TEXT_BYTES], net[NET_TEXT_BYTES];

	ip4_text(first, range.first);
	ip4_text(last, range.last);
	ip4_net_text(net, own);
	if (range.first > range.last)
		problem_add(c->problems, at,
		    "%s: %s comes after %s; write the lower address first", key,
		    first, last);
	else if (!ip4_net_has(own, range.first) ||
	    !ip4_net_has(own, range.last))
		problem_add(c->problems, at,
		    "%s: %s-%s is not in the subnet of %s; use addresses in "
		    "it",
		    key, first, last, net);
	else if (range.first <= own.addr && own.addr <= range.last)
		problem_add(c->problems, at,
		    "%s: %s-%s contains the router's own address %s; leave "
		    "it out",
		    key, first, last, net);
	else if (own.prefix < 31 &&
	    (range.first == (own.addr & ip4_mask(own.prefix)) ||
		range.last == ip4_net_broadcast(own)))
		problem_add(c->problems, at,
		    "%s: %s-%s contains the network or broadcast address; "
		    "leave it out",
		    key, first, last);
	else if (range.last - range.first >= DHCP_MAX)
		problem_add(c->problems, at,
		    "%s: %s-%s are more than %d addresses; use fewer", key,
		    first, last, DHCP_MAX);
}

static bool
overlap(struct ip4_net a, struct ip4_net b)
{
	return a.prefix < b.prefix ? ip4_net_has(a, b.addr)
				   : ip4_net_has(b, a.addr);
}

static void
check_relayed(struct check *c, const struct lab_port *port, unsigned int i)
{
	const struct lab_relayed *r = &port->relayed[i];
	struct place at = lab_place(&r->item, "relay");
	char text[NET_TEXT_BYTES];
	bool twice =
	    check_has_address(port) && overlap(port->address, r->relay);

	if (r->relay.prefix == 0 || r->range.first == 0)
		return; /* they were complained about */
	ip4_net_text(text, r->relay);
	for (unsigned int k = 0; k < i; k++)
		twice = twice || overlap(port->relayed[k].relay, r->relay);
	if (r->relay.prefix < 8 || r->relay.prefix > 30)
		problem_add(c->problems, at,
		    "dhcp-relayed: %s has no subnet of hosts; use a prefix "
		    "length of 8 to 30",
		    text);
	else if (twice)
		problem_add(c->problems, at,
		    "dhcp-relayed: the subnet of %s is served by this port "
		    "already; leave it out",
		    text);
	else
		check_dhcp_range(c, &r->item, "range", r->relay, r->range);
}

static void
check_dhcp_relay(struct check *c, const struct lab_port *port)
{
	struct place at = lab_place(&port->item, "dhcp-relay");
	uint32_t server;

	if (port->relay_info && port->relay.n == 0)
		problem_add(c->problems,
		    lab_place(&port->item, "dhcp-relay-info"),
		    "dhcp-relay-info without dhcp-relay; add \"dhcp-relay: "
		    "SERVER\"");
	if (port->relay.n == 0)
		return;
	if (yaml_get(port->item.node, "dhcp") != NULL)
		problem_add(c->problems, at,
		    "dhcp and dhcp-relay on one port; keep one of both");
	if (port->nrelayed > 0)
		problem_add(c->problems, at,
		    "dhcp-relayed and dhcp-relay on one port; keep one of "
		    "both");
	if (yaml_get(port->item.node, "address") == NULL)
		problem_add(c->problems, at,
		    "dhcp-relay on a port without an IPv4 address; add "
		    "\"address:\"");
	if (port->relay.n > ROUTER_RELAY_SERVERS)
		problem_add(c->problems, at,
		    "dhcp-relay: %u servers are too many; use up to %d",
		    port->relay.n, ROUTER_RELAY_SERVERS);
	for (unsigned int i = 0; i < port->relay.n; i++) {
		const struct lab_text *text = &port->relay.list[i];

		if (!ip4_read(&server, text->text))
			problem_add(c->problems, text->node->at,
			    "dhcp-relay: \"%.40s\" is not an address; write "
			    "it as 192.0.2.1",
			    text->text);
		else if (check_has_address(port) &&
		    ip4_net_has(port->address, server))
			problem_add(c->problems, text->node->at,
			    "dhcp-relay: %s is on the port's own subnet, where "
			    "the server hears clients itself; leave it out",
			    text->text);
	}
}

static void
check_dhcp_server(struct check *c, const struct lab_port *port)
{
	if (yaml_get(port->item.node, "dhcp") == NULL && port->nrelayed == 0 &&
	    yaml_get(port->item.node, "dns") != NULL)
		problem_add(c->problems, lab_place(&port->item, "dns"),
		    "dns without dhcp; add \"dhcp: FIRST-LAST\"");
	if (yaml_get(port->item.node, "dhcp") != NULL &&
	    yaml_get(port->item.node, "address") == NULL)
		problem_add(c->problems, lab_place(&port->item, "dhcp"),
		    "dhcp on a port without an IPv4 address; add \"address:\"");
	serving_check(port, c->problems);
	check_whole_seconds(c, &port->item, "lease", port->lease_ns);
	if (port->dhcp.first != 0 && check_has_address(port))
		check_dhcp_range(
		    c, &port->item, "dhcp", port->address, port->dhcp);
	if (port->nrelayed > 0 && yaml_get(port->item.node, "address") == NULL)
		problem_add(c->problems, lab_place(&port->item, "dhcp-relayed"),
		    "dhcp-relayed on a port without an IPv4 address; add "
		    "\"address:\"");
	if (port->nrelayed > ROUTER_RELAYED)
		problem_add(c->problems, lab_place(&port->item, "dhcp-relayed"),
		    "dhcp-relayed: %u subnets are too many; use up to %d",
		    port->nrelayed, ROUTER_RELAYED);
	for (unsigned int i = 0; i < port->nrelayed; i++)
		check_relayed(c, port, i);
	for (unsigned int i = 0; i < port->nreserve; i++)
		check_reserve(c, port, &port->reserve[i]);
}

static void
check_dhcp(struct check *c, const struct lab_port *port)
{
	check_dhcp_server(c, port);
	check_dhcp_relay(c, port);
}

static void
check_subnets(struct check *c, const struct lab_router *router)
{
	for (unsigned int i = 1; i < router->nports; i++)
		for (unsigned int k = 0; k < i; k++) {
			const struct lab_port *a = &router->ports[k];
			const struct lab_port *b = &router->ports[i];
			char text[NET_TEXT_BYTES];

			if (!check_has_address(a) || !check_has_address(b) ||
			    (!ip4_net_has(a->address, b->address.addr) &&
				!ip4_net_has(b->address, a->address.addr)))
				continue;
			problem_add(c->problems, lab_place(&b->item, "address"),
			    "port \"%s\": its subnet overlaps with that of "
			    "\"%s\", %s; each port of a router needs its own",
			    b->full, a->full, ip4_net_text(text, a->address));
		}
}

/* The IPv4 route's bits behind the prefix, and the way to its next hop. */
static void
check_via4(struct check *c, const struct lab_router *router,
    const struct lab_route *route)
{
	char text[IP4_TEXT_BYTES];
	uint32_t via = route->via.ip4;

	ip4_text(text, via);
	for (unsigned int k = 0; k < router->nports; k++) {
		const struct lab_port *port = &router->ports[k];

		if (!check_has_address(port)) {
			if ((port->address6.n > 0 || port->by_dhcp) &&
			    port->address.addr == 0)
				continue;
			return; /* told already; it might have been this one */
		}
		if (port->address.addr == via) {
			problem_add(c->problems, lab_place(&route->item, "via"),
			    "via %s is the router's own address; name the next "
			    "router's",
			    text);
			return;
		}
		if (ip4_net_has(port->address, via))
			return;
	}
	problem_add(c->problems, lab_place(&route->item, "via"),
	    "via %s is on no subnet of router \"%s\"; use a neighbour's "
	    "address",
	    text, router->item.name);
}

static void
check_route(struct check *c, const struct lab_router *router,
    const struct lab_route *route)
{
	char text[ANY_NET_TEXT_BYTES];
	struct any_net net = route->to;

	net.ip4.addr &= ip4_mask(net.ip4.prefix);
	net.ip6.addr = ip6_masked(&net.ip6.addr, net.ip6.prefix);
	if (route->to.family != ANY_NONE &&
	    (net.ip4.addr != route->to.ip4.addr ||
		!ip6_equal(&net.ip6.addr, &route->to.ip6.addr)))
		problem_add(c->problems, lab_place(&route->item, "to"),
		    "to: the address has bits behind the prefix; write %s",
		    any_net_text(text, &net));
	if (route->to.family == ANY_NONE || route->via.family == ANY_NONE)
		return;
	if (route->to.family != route->via.family)
		problem_add(c->problems, lab_place(&route->item, "via"),
		    "via %s is of another family than to; use an IPv%d "
		    "address",
		    any_ip_text(text, &route->via),
		    route->to.family == ANY_IP4 ? 4 : 6);
	else if (route->via.family == ANY_IP4)
		check_via4(c, router, route);
	else
		check_via6(c, router, route);
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
check_dns(struct check *c, const struct lab_router *router)
{
	const struct lab_texts *upstream = &router->dns.upstream;
	uint32_t addr;

	if (upstream->n > ROUTER_DNS_UPSTREAMS)
		problem_add(c->problems,
		    lab_place(&router->dns.item, "upstream"),
		    "upstream: %u servers are too many; use up to %d",
		    upstream->n, ROUTER_DNS_UPSTREAMS);
	for (unsigned int i = 0; i < upstream->n; i++)
		if (!ip4_read(&addr, upstream->list[i].text))
			problem_add(c->problems, upstream->list[i].node->at,
			    "upstream: \"%.40s\" is not an address; write it "
			    "as 192.0.2.1",
			    upstream->list[i].text);
}

static void
check_nat64(struct check *c, const struct lab_router *router)
{
	const struct ip64_prefix *nat64 = &router->nat.nat64;
	const struct ip64_prefix *dns64 = &router->dns.dns64;
	bool some = false;

	if (nat64->bits == 0)
		return;
	for (unsigned int i = 0; i < router->nports; i++)
		some |= &router->ports[i] != router->nat.out &&
		    yaml_get(router->ports[i].item.node, "address6") != NULL;
	if (!some)
		problem_add(c->problems, lab_place(&router->nat.item, "nat64"),
		    "nat64 without a port that IPv6 hosts can be behind; add "
		    "\"address6:\" to one");
	for (unsigned int i = 0; i < router->nports; i++)
		for (unsigned int k = 0; k < router->ports[i].address6.n; k++)
			if (ip64_overlaps(
				nat64, &router->ports[i].address6.net[k]))
				problem_add(c->problems,
				    lab_place(&router->nat.item, "nat64"),
				    "nat64 has addresses of port \"%s\"; use "
				    "another prefix",
				    router->ports[i].full);
	if (dns64->bits != 0 &&
	    (dns64->bits != nat64->bits ||
		!ip6_equal(&dns64->addr, &nat64->addr)))
		problem_add(c->problems, lab_place(&router->dns.item, "dns64"),
		    "dns64 is another prefix than nat64; write the same one");
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
	if (nat->out != NULL &&
	    yaml_get(nat->out->item.node, "address") == NULL)
		problem_add(c->problems, lab_place(&nat->item, "outside"),
		    "port \"%s\" has no IPv4 address for others to hide "
		    "behind; add \"address:\" to it",
		    nat->out->full);
	check_nat64(c, router);
	outside_check(c->lab, nat, c->problems);
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
check_pcp(struct check *c, const struct lab_router *router)
{
	const struct lab_pcp *pcp = &router->pcp;

	if (pcp->item.node == NULL)
		return;
	if (router->nat.item.node == NULL &&
	    router->firewall6.item.node == NULL && router->nnpt6 == 0)
		problem_add(c->problems, lab_place(&router->item, "pcp"),
		    "router \"%s\" has neither NAT nor a filter of IPv6 that "
		    "could be asked to let something in; add \"nat:\" or "
		    "\"firewall6:\" to it, or remove pcp",
		    router->item.name);
	check_whole_seconds(c, &pcp->item, "min-lifetime", pcp->min_ns);
	check_whole_seconds(c, &pcp->item, "max-lifetime", pcp->max_ns);
	if (pcp->min_ns > pcp->max_ns)
		problem_add(c->problems, lab_place(&pcp->item, NULL),
		    "min-lifetime %us is longer than max-lifetime %us; make "
		    "it shorter",
		    (unsigned int)(pcp->min_ns / NS_PER_S),
		    (unsigned int)(pcp->max_ns / NS_PER_S));
}

void
check_routers(struct check *c)
{
	for (unsigned int i = 0; i < c->lab->nrouters; i++) {
		const struct lab_router *router = &c->lab->routers[i];

		for (unsigned int k = 0; k < router->nports; k++)
			check_dhcp(c, &router->ports[k]);
		check_wan(c, router);
		check_subnets(c, router);
		check_prefixes6(c, router);
		check_outside6(c, router);
		for (unsigned int k = 0; k < router->nroutes; k++)
			check_route(c, router, &router->routes[k]);
		check_nat(c, router);
		check_dns(c, router);
		check_pcp(c, router);
		serving_check_filter(router, c->problems);
	}
}

/* ---- hosts and plugs ---- */

void
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
	if (send->to == 0 || !check_has_address(&host->port))
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

void
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
