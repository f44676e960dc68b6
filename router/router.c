/*
 * Making a router, and what is asked about it.  The way of a frame is in
 * forward.c.
 *
 * All memory is allocated here, before the first frame; tables are sized for
 * their limits, and touched as they fill.
 */
#include "router/router.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/nat64.h"
#include "router/nat_ports.h" /* nat_random() */
#include "router/filter6.h"
#include "router/ra.h"
#include "router/router6.h"

#define MTU_MIN 68 /* RFC 791 3.2 */
#define MTU_MAX 65521

/* A frame kept for its other fragments is lost. */
static void
lose_fragment(void *arg, const struct iface *in, struct held *held)
{
	struct router *router = arg;
	struct held_view view;

	router->node.count[DROP_FRAGMENT]++;
	if (in->port.watchers == NULL)
		return;
	hold_view(&view, held);
	view.frame.verdict = (struct verdict){ .node = &router->node,
		.reason = DROP_FRAGMENT,
		.journey = held->verdict.journey };
	port_tell_lost(&in->port, DIR_IN, &view.frame);
}

struct router *
router_new(struct loop *loop, const char *name, uint64_t seed, struct err *err)
{
	struct router *router = calloc(1, sizeof(*router));

	if (router == NULL)
		goto fail;
	node_init(&router->node, name);
	router->loop = loop;
	router->seed = seed;
	for (uint64_t s = ~seed, i = 0; i < 2; i++)
		router->key6[i] = nat_random(&s);
	router->own =
	    (struct verdict){ .node = &router->node, .reason = REASON_SENT };
	ip_ids_init(&router->ids, nat_random(&router->seed));
	route_init(&router->routes);
	route_init(&router->exempt);
	loop_timer_init(&router->nat_timer, loop, router_nat_expire, router);
	loop_timer_init(&router->syn_timer, loop, router_answer_syns, router);
	loop_timer_init(
	    &router->fragment_timer, loop, router_fragments_expire, router);
	router->outbox = outbox_new();
	router->neighbours = neigh_new(loop, NEIGH_MAX,
	    nat_random(&router->seed), &output_neigh_calls, router);
	router->fragments = fragment_table_new(
	    nat_random(&router->seed), lose_fragment, router);
	router->whole = malloc(FRAME_MAX_BYTES);
	router->neighbours6 = neigh_new(loop, NEIGH_MAX,
	    nat_random(&router->seed), &nd_neigh_calls, router);
	if (router->outbox == NULL || router->neighbours == NULL ||
	    router->neighbours6 == NULL || router->fragments == NULL ||
	    router->whole == NULL)
		goto fail;
	return router;
fail:
	router_free(router);
	err_sys(err, -ENOMEM, NULL, "router \"%s\"", name);
	return NULL;
}

void
router_free(struct router *router)
{
	if (router == NULL)
		return;
	/* Nobody is told about what is kept: it is all gone. */
	neigh_free(router->neighbours);
	neigh_free(router->neighbours6);
	router->neighbours = NULL;
	router->neighbours6 = NULL;
	for (unsigned int i = 0; i < router->nifaces; i++) {
		cable_cut(&router->ifaces[i]->port);
		dhcp_service_free(router->ifaces[i]->dhcp);
		iface6_clear(router->ifaces[i]);
		dhcp_relay_free(router->ifaces[i]->relay);
		wan_free(router->ifaces[i]->wan);
	}
	dns_service_free(router->dns);
	pcp_service_free(router->pcp);
	loop_timer_unset(&router->nat_timer);
	loop_timer_unset(&router->syn_timer);
	loop_timer_unset(&router->fragment_timer);
	nat64_free(router->nat64);
	for (unsigned int i = 0; i < router->nifaces; i++)
		free(router->ifaces[i]);
	fragment_table_free(router->fragments);
	outbox_free(router->outbox);
	route_clear(&router->routes);
	route_clear(&router->exempt);
	route6_clear(&router->routes6);
	packet_filter_free(router->filter);
	ftp_alg_free(router->ftp);
	filter6_free(router->filter6);
	nat_free(router->nat);
	free(router->whole);
	free(router);
}

void
router_stop(struct router *router)
{
	for (unsigned int i = 0; i < router->nifaces; i++) {
		struct iface *iface = router->ifaces[i];

		if (iface->six.ra != NULL)
			ra_cease(iface->six.ra);
		groups6_leave(iface);
	}
	outbox_flush(router->outbox);
}

struct node *
router_node(struct router *router)
{
	return &router->node;
}

struct router_held
router_held(const struct router *router)
{
	return (struct router_held){
		.neighbours = neigh_held(router->neighbours),
		.neighbours6 = neigh_held(router->neighbours6),
		.fragments = fragment_held(router->fragments),
	};
}

/* ---- ports ---- */

/* What was known of the link's neighbours may not be true when it is back. */
static void
link_changed(struct port *port, bool up)
{
	struct iface *iface = (struct iface *)port;

	if (iface->router->neighbours == NULL)
		return;
	iface6_link(iface, up);
	if (up && iface->wan != NULL)
		wan_link_up(iface->wan);
	if (up)
		return;
	neigh_forget(iface->router->neighbours, iface);
	neigh_forget(iface->router->neighbours6, iface);
	outbox_flush(iface->router->outbox);
}

/* What is to be known of an address whose state is not the usual one. */
static const char *
said_of(enum dad_state state)
{
	switch (state) {
	case DAD_TENTATIVE: return " (tentative)";
	case DAD_ASSIGNED: return "";
	case DAD_DUPLICATE: return " (duplicate)";
	}
	return "";
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct iface *iface = (const struct iface *)port;
	char text[IP6_NET_TEXT_BYTES];
	size_t used = 0;

	out[0] = '\0';
	if (iface->wan != NULL && iface->address.addr == 0)
		used = (size_t)snprintf(out, len, "no address yet, ");
	if (iface->address.addr != 0)
		used = (size_t)snprintf(
		    out, len, "%s, ", ip4_net_text(text, iface->address));
	for (unsigned int i = 0; i < iface->six.naddresses && used < len; i++)
		used += (size_t)snprintf(out + used, len - used, "%s%s, ",
		    ip6_net_text(text, &iface->six.address[i]),
		    said_of(iface->six.state[i]));
	if (iface6_is_off(iface) && used < len)
		used += (size_t)snprintf(out + used, len - used, "%s%s, ",
		    ip6_text(text, &iface->six.link_local),
		    said_of(iface->six.link_state));
	if (used < len)
		snprintf(out + used, len - used, "%s%s",
		    mac_text(text, &iface->mac),
		    iface == iface->router->outside ? ", outside of the NAT"
						    : "");
	return out;
}

static const struct port_ops iface_ops = {
	.take = router_take,
	.link = link_changed,
	.describe = describe,
};

static bool
is_host_address(struct ip4_net net)
{
	if (net.prefix == 0 || net.prefix > 32 || net.addr >> 24 == 0 ||
	    ip4_is_loopback(net.addr) || net.addr >> 28 >= 0xe)
		return false;
	return net.prefix > 30 ||
	    (net.addr != ip4_net_broadcast(net) &&
		(net.addr & ~ip4_mask(net.prefix)) != 0);
}

static int
check_port(const struct router *router, const char *name,
    const struct router_port_options *o, struct err *err)
{
	char text[NET_TEXT_BYTES], mac[MAC_TEXT_BYTES], other[NET_TEXT_BYTES];

	ip4_net_text(text, o->address);
	if (router->nifaces == ROUTER_PORTS_MAX)
		return err_set(err, -ENOSPC,
		    "port \"%s\": a router has at most %d ports; use another "
		    "router",
		    name, ROUTER_PORTS_MAX);
	if (o->address.addr == 0 && o->naddresses6 == 0 && !o->dhcp)
		return err_set(err, -EINVAL,
		    "port \"%s\" has no address; give it one like 10.0.0.1/24 "
		    "or 2001:db8::1/64",
		    name);
	if (o->instead.addr != 0 &&
	    (!is_host_address(o->instead) ||
		o->instead.prefix != o->address.prefix ||
		ip4_nets_overlap(o->instead, o->address)))
		return err_set(err, -EINVAL,
		    "port \"%s\": it cannot move to %s; use an address of "
		    "another net with a prefix as long as that of %s",
		    name, ip4_net_text(other, o->instead), text);
	if (o->address.addr != 0 && !is_host_address(o->address))
		return err_set(err, -EINVAL,
		    "port \"%s\": %s is not the address of a host; use one "
		    "like 10.0.0.1/24",
		    name, text);
	if (mac_is_group(&o->mac) || mac_is_zero(&o->mac))
		return err_set(err, -EINVAL,
		    "port \"%s\": %s is not the MAC address of a station; use "
		    "an even first byte",
		    name, mac_text(mac, &o->mac));
	if (o->mtu_bytes != 0 &&
	    (o->mtu_bytes < MTU_MIN || o->mtu_bytes > MTU_MAX))
		return err_set(err, -EINVAL,
		    "port \"%s\": mtu %u is out of range; use %d to %d", name,
		    o->mtu_bytes, MTU_MIN, MTU_MAX);
	for (unsigned int i = 0; i < router->nifaces && o->address.addr; i++)
		if (router->ifaces[i]->address.addr != 0 &&
		    ip4_nets_overlap(router->ifaces[i]->address, o->address))
			return err_set(err, -EEXIST,
			    "port \"%s\": the subnet of %s overlaps with that "
			    "of port \"%s\"; use another one",
			    name, text, router->ifaces[i]->port.name);
	return iface6_check(router, name, o, err);
}

struct port *
router_add_port(struct router *router, const char *name,
    const struct router_port_options *options, struct err *err)
{
	struct iface *iface;
	struct route route = { .to = options->address };

	if (check_port(router, name, options, err) < 0)
		return NULL;
	iface = calloc(1, sizeof(*iface));
	if (iface == NULL) {
		err_sys(err, -ENOMEM, NULL, "port \"%s\"", name);
		return NULL;
	}
	port_init(&iface->port, &iface_ops, &router->node, name);
	iface->router = router;
	iface->mac = options->mac;
	iface->address = options->address;
	iface->instead = options->instead;
	iface->mss_clamp = options->mss_clamp;
	iface->proxy_arp = options->proxy_arp;
	iface->redirects = !options->no_redirects;
	iface->no_errors = options->no_errors;
	iface->mtu_bytes =
	    options->mtu_bytes != 0 ? options->mtu_bytes : ETH_MTU;
	route.out = iface;
	if ((options->address.addr != 0 &&
		route_add(&router->routes, &route, err) < 0) ||
	    iface6_set(iface, options, err) < 0) {
		free(iface);
		return NULL;
	}
	if (options->dhcp) {
		iface->wan = wan_new(iface, options, nat_random(&router->seed));
		if (iface->wan == NULL) {
			err_sys(err, -ENOMEM, NULL, "port \"%s\"", name);
			free(iface);
			return NULL;
		}
	}
	router->ifaces[router->nifaces++] = iface;
	place_forget(router);
	return &iface->port;
}

struct iface *
router_iface(const struct router *router, const struct port *port)
{
	for (unsigned int i = 0; i < router->nifaces; i++)
		if (&router->ifaces[i]->port == port)
			return router->ifaces[i];
	return NULL;
}

int
router_add_route(
    struct router *router, struct ip4_net to, uint32_t via, struct err *err)
{
	struct route route = { .to = to, .via = via };
	char text[IP4_TEXT_BYTES], net[NET_TEXT_BYTES];

	ip4_text(text, via);
	ip4_net_text(net, to);
	if (to.prefix > 32)
		return err_set(err, -EINVAL,
		    "route: the prefix of %s is too long; use 0 to 32", net);
	for (unsigned int i = 0; i < router->nifaces; i++)
		if (router->ifaces[i]->address.addr != 0 &&
		    ip4_net_has(router->ifaces[i]->address, via))
			route.out = router->ifaces[i];
	if (route.out == NULL || via == 0)
		return err_set(err, -EINVAL,
		    "route to %s: no port of \"%s\" is on the link of %s; use "
		    "a next hop within the subnet of a port",
		    net, router->node.name, text);
	if (route.out->address.addr == via)
		return err_set(err, -EINVAL,
		    "route to %s: %s is the router itself; use another host's "
		    "address",
		    net, text);
	place_forget(router);
	return route_add(&router->routes, &route, err);
}

/* ---- what a router does besides ---- */

int
router_not_ours(
    const struct router *router, const struct port *port, struct err *err)
{
	return err_set(err, -EINVAL,
	    "port \"%s\" does not belong to router \"%s\"; use one that does",
	    port != NULL ? port->name : "", router->node.name);
}

int
router_add_filter(struct router *router, const struct port *in,
    const struct port *out, const char *expression, enum router_filter_do what,
    struct err *err)
{
	const struct iface *from = router_iface(router, in);
	const struct iface *to = router_iface(router, out);

	if (in != NULL && from == NULL)
		return router_not_ours(router, in, err);
	if (out != NULL && to == NULL)
		return router_not_ours(router, out, err);
	if (router->filter == NULL)
		router->filter = packet_filter_new();
	if (router->filter == NULL)
		return err_sys(err, -ENOMEM, NULL, "filter");
	return packet_filter_add(
	    router->filter, from, to, expression, what, err);
}

int
router_set_dns(struct router *router, const struct router_dns_options *options,
    struct err *err)
{
	if (router->dns != NULL)
		return err_set(err, -EEXIST,
		    "router \"%s\" answers DNS already; say it once",
		    router->node.name);
	router->dns = dns_service_new(router, options, err);
	return router->dns != NULL ? 0 : -EINVAL;
}

/* Can an address be the NAT's? */
static int
check_outside(struct router *router, const struct iface *outside, uint32_t ip,
    struct err *err)
{
	char text[IP4_TEXT_BYTES];
	struct ip4_net net = { ip, 32 };
	struct way way;

	if (ip4_net_has(outside->address, ip))
		net.prefix = outside->address.prefix;
	ip4_text(text, ip);
	if (!is_host_address(net))
		return err_set(err, -EINVAL,
		    "the NAT of router \"%s\": %s is not the address of a "
		    "host; use another one",
		    router->node.name, text);
	if (way_find(router, ip, &way) && way.out != outside)
		return err_set(err, -EINVAL,
		    "the NAT of router \"%s\": %s is reached by port \"%s\"; "
		    "use an outside address",
		    router->node.name, text, way.out->port.name);
	return 0;
}

/* Is an address that of an inside host? */
static int
check_inside(struct router *router, const struct iface *outside, uint32_t ip,
    struct err *err)
{
	char text[IP4_TEXT_BYTES];
	struct way way;

	if (way_find(router, ip, &way) && way.out != outside)
		return 0;
	return err_set(err, -EINVAL,
	    "the NAT of router \"%s\": %s is not inside; use the address of a "
	    "host behind it",
	    router->node.name, ip4_text(text, ip));
}

static int
check_addresses(struct router *router, const struct iface *outside,
    const struct router_nat_options *options, struct err *err)
{
	int e = 0;

	for (unsigned int i = 0; i < options->npool && e == 0; i++)
		e = check_outside(router, outside, options->pool[i], err);
	for (unsigned int i = 0; i < options->npairs && e == 0; i++) {
		const struct router_nat_pair *pair = &options->pairs[i];

		e = check_outside(router, outside, pair->out_ip, err);
		if (e == 0)
			e = check_inside(router, outside, pair->in_ip, err);
	}
	return e;
}

static int
set_exempt(struct router *router, const struct router_nat_options *options,
    struct err *err)
{
	for (unsigned int i = 0; i < options->nexempt; i++) {
		struct route route = { .to = options->exempt[i] };
		char text[NET_TEXT_BYTES];
		int e;

		ip4_net_text(text, route.to);
		if (route.to.prefix > 32)
			return err_set(err, -EINVAL,
			    "the NAT of router \"%s\": the prefix of %s is too "
			    "long; use 0 to 32",
			    router->node.name, text);
		e = route_add(&router->exempt, &route, NULL);
		if (e < 0)
			return err_set(err, e,
			    "the NAT of router \"%s\": %s cannot be exempt: "
			    "%s; name each net once, and at most %d",
			    router->node.name, text, strerror(-e), ROUTES_MAX);
	}
	return 0;
}

static int
set_nat64(struct router *router, const struct router_nat_options *options,
    struct err *err)
{
	const struct ip64_prefix *prefix = &options->nat64;
	char text[IP6_TEXT_BYTES];

	if (!ip64_is_prefix(prefix))
		return err_set(err, -EINVAL,
		    "the NAT64 of router \"%s\": %s/%u is no prefix that IPv4 "
		    "addresses can stand behind; use one of 32, 40, 48, 56, 64 "
		    "or 96 bits, as 64:ff9b::/96",
		    router->node.name, ip6_text(text, &prefix->addr),
		    prefix->bits);
	for (unsigned int i = 0; i < router->nifaces; i++)
		for (unsigned int k = 0; k < router->ifaces[i]->six.naddresses;
		     k++)
			if (ip64_overlaps(
				prefix, &router->ifaces[i]->six.address[k]))
				return err_set(err, -EINVAL,
				    "the NAT64 of router \"%s\": %s/%u has "
				    "addresses of port \"%s\"; use another "
				    "prefix",
				    router->node.name,
				    ip6_text(text, &prefix->addr), prefix->bits,
				    router->ifaces[i]->port.name);
	router->nat64 = nat64_new(router, prefix,
	    options->max_entries != 0 ? options->max_entries : NAT_MAX_ENTRIES,
	    err);
	return router->nat64 != NULL ? 0 : -ENOMEM;
}

int
router_set_nat(struct router *router, const struct router_nat_options *options,
    struct err *err)
{
	struct iface *outside = router_iface(router, options->outside);
	struct nat_options o = { .pool = options->pool,
		.npool = options->npool,
		.pairs = options->pairs,
		.npairs = options->npairs,
		.max_entries = options->max_entries,
		.rules = options->rules };

	if (outside == NULL)
		return router_not_ours(router, options->outside, err);
	if (router->nat != NULL)
		return err_set(err, -EEXIST,
		    "router \"%s\" has a NAT already; use one outside port",
		    router->node.name);
	if (outside->address.addr == 0 && outside->wan == NULL)
		return err_set(err, -EINVAL,
		    "port \"%s\" has no IPv4 address; a NAT's outside needs "
		    "one",
		    outside->port.name);
	if (check_addresses(router, outside, options, err) < 0 ||
	    set_exempt(router, options, err) < 0)
		return -EINVAL;
	if (options->rules.ftp && !alg_make(router, err))
		return -ENOMEM;
	o.outside_ip = outside->address.addr;
	o.seed = nat_random(&router->seed);
	router->nat = nat_new(&o, err);
	if (router->nat == NULL)
		return -EINVAL;
	router->outside = outside;
	place_forget(router);
	return options->nat64.bits == 0 ? 0 : set_nat64(router, options, err);
}

int
router_set_pcp(struct router *router, const struct router_pcp_options *options,
    struct err *err)
{
	if (router->nat == NULL && router->filter6 == NULL &&
	    router->npairs == 0)
		return err_set(err, -EINVAL,
		    "router \"%s\" has neither NAT nor a filter of IPv6 that "
		    "could be asked to let something in; give it one first",
		    router->node.name);
	if (router->pcp != NULL)
		return err_set(err, -EEXIST,
		    "router \"%s\" speaks PCP already; say it once",
		    router->node.name);
	router->pcp = pcp_service_new(router, options, err);
	return router->pcp != NULL ? 0 : -ENOMEM;
}

const struct nat_rules *
router_nat_rules(const struct router *router)
{
	return router->nat == NULL ? NULL : nat_rules(router->nat);
}

int
router_change_nat(
    struct router *router, const struct nat_rules *rules, struct err *err)
{
	int e;

	if (router->nat == NULL)
		return err_set(err, -EINVAL,
		    "router \"%s\" has no NAT; add \"nat:\" to it in the lab "
		    "file",
		    router->node.name);
	if (rules->ftp && !alg_make(router, err))
		return -ENOMEM;
	e = nat_set_rules(router->nat, rules, loop_now_ns(router->loop), err);
	router_arm_timers(router);
	return e;
}

/* ---- what is asked about it ---- */

struct each_nat {
	const struct router *router;
	void (*each)(void *arg, const struct nat_row *row);
	void *arg;
};

/* Gives a row its IPv6 ends. */
static void
each_ends(void *arg, const struct nat_row *row)
{
	const struct each_nat *e = arg;
	const struct ip6_addr *host = nat64_host(e->router, row->inside_ip);
	struct nat_row six = *row;

	if (host != NULL) {
		six.inside6 = *host;
		six.remote6 = nat64_remote(e->router, row->remote_ip);
	}
	e->each(e->arg, &six);
}

void
router_each_nat(const struct router *router,
    void (*each)(void *arg, const struct nat_row *row), void *arg)
{
	struct each_nat e = { router, each, arg };

	if (router->nat != NULL)
		nat_each(router->nat, loop_now_ns(router->loop), each_ends, &e);
}

bool
router_walk_nat(const struct router *router, struct nat_walk *walk, uint32_t n,
    void (*each)(void *arg, const struct nat_row *row), void *arg)
{
	struct each_nat e = { router, each, arg };

	return router->nat != NULL &&
	    nat_walk(
		router->nat, walk, n, loop_now_ns(router->loop), each_ends, &e);
}

void
router_each_refusal(const struct router *router,
    void (*each)(void *arg, const struct refusal_row *row), void *arg)
{
	uint64_t n = router->nrefusals;
	uint64_t i = n > ROUTER_REFUSALS ? n - ROUTER_REFUSALS : 0;

	for (; i < n; i++)
		each(arg, &router->refusals[i % ROUTER_REFUSALS]);
}

struct arp_each {
	void (*each)(void *arg, const struct arp_row *row);
	void *arg;
};

static void
each_neighbour(void *arg, const struct iface *iface, const struct ip6_addr *ip,
    const struct mac *mac, enum neigh_state state, uint64_t age_ns)
{
	const struct arp_each *a = arg;
	struct arp_row row = { .port = &iface->port,
		.ip = *ip,
		.mac = *mac,
		.state = neigh_state_name(state),
		.age_ns = age_ns };

	a->each(a->arg, &row);
}

void
router_each_arp(const struct router *router,
    void (*each)(void *arg, const struct arp_row *row), void *arg)
{
	struct arp_each a = { each, arg };

	neigh_each(router->neighbours, each_neighbour, &a);
	neigh_each(router->neighbours6, each_neighbour, &a);
}

void
router_each_route(const struct router *router,
    void (*each)(void *arg, const struct route_row *row), void *arg)
{
	for (unsigned int i = 0; i < router->routes.n; i++) {
		const struct route *route = &router->routes.routes[i];
		struct route_row row = { .to = route->to,
			.via = route->via,
			.port = &route->out->port };

		each(arg, &row);
	}
}
