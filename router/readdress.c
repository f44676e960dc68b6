/*
 * The packets of a burst that were read before an address changed, and are
 * decided after, are decided by the new one: nothing is kept of the old but
 * the former net of an inside port, by which its hosts are still known when
 * they renew their leases.
 */
#include "router/readdress.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "router/nat_pin.h"
#include "router/pcp_service.h"
#include "router/router_state.h"

/* ---- the address of a port ---- */

static void
add_connected(struct router *router, struct iface *iface)
{
	const struct route route = { .to = iface->address, .out = iface };

	if (iface->address.addr != 0 &&
	    route_add(&router->routes, &route, NULL) < 0)
		log_error("%s: the route to its subnet cannot be added",
		    iface->port.name);
}

/* What NAT had by the outside's address. */
static unsigned int
move_nat(struct router *router, uint32_t ip)
{
	unsigned int n = nat_move(router->nat, ip, loop_now_ns(router->loop));

	/* What was decided about them names the old address. */
	fragment_expire(router->fragments, UINT64_MAX);
	router->syns.n = 0;
	if (router->pcp != NULL && ip != 0)
		pcp_service_begin(router->pcp);
	router_arm_timers(router);
	return n;
}

unsigned int
readdress(struct iface *iface, struct ip4_net to)
{
	struct router *router = iface->router;
	bool moves = to.addr != iface->address.addr;

	route_remove(&router->routes, iface);
	iface->address = to;
	add_connected(router, iface);
	place_forget(router);
	if (!moves)
		return 0;
	neigh_forget(router->neighbours, iface);
	return router->nat != NULL && iface == router->outside
	    ? move_nat(router, to.addr)
	    : 0;
}

/* ---- an inside port's other net ---- */

static bool
is_free(const struct iface *iface, const struct iface *wan, struct ip4_net net)
{
	const struct router *router = iface->router;

	for (unsigned int i = 0; i < router->nifaces; i++)
		if (router->ifaces[i] != iface && router->ifaces[i] != wan &&
		    router->ifaces[i]->address.addr != 0 &&
		    ip4_nets_overlap(router->ifaces[i]->address, net))
			return false;
	return true;
}

struct ip4_net
readdress_choose(
    const struct iface *iface, const struct iface *wan, struct ip4_net net)
{
	if (!ip4_nets_overlap(iface->address, net))
		return iface->address;
	if (iface->instead.addr != 0 &&
	    !ip4_nets_overlap(iface->instead, net) &&
	    is_free(iface, wan, iface->instead))
		return iface->instead;
	return (struct ip4_net){ 0, 0 };
}

/* addr, where it is within the new net. */
static uint32_t
shifted(uint32_t addr, struct ip4_net from, struct ip4_net to)
{
	uint32_t mask = ip4_mask(to.prefix);

	return ip4_net_has(from, addr) ? (addr & ~mask) | (to.addr & mask)
				       : addr;
}

/* Routes are moved by making them anew. */
static void
move_routes(struct iface *iface, struct ip4_net from)
{
	struct router *router = iface->router;
	struct route_table old = router->routes;

	route_init(&router->routes);
	for (unsigned int i = 0; i < old.n; i++) {
		struct route route = old.routes[i];

		if (route.out == iface && route.via == 0)
			route.to = iface->address;
		else if (route.out == iface)
			route.via = shifted(route.via, from, iface->address);
		if (route_add(&router->routes, &route, NULL) < 0)
			log_error(
			    "%s: a route cannot be moved", iface->port.name);
	}
	route_clear(&old);
}

/* Forwards of ports whose hosts are in a net. */
struct forwards {
	struct ip4_net net;
	struct nat_pin *pins;
	unsigned int n, max;
	bool failed; /* no memory for some */
};

static void
collect(void *arg, const struct nat_pin *pin)
{
	struct forwards *f = arg;

	if (pin->by != NAT_PIN_BY_FILE || !ip4_net_has(f->net, pin->in_ip))
		return;
	if (f->n == f->max) {
		unsigned int max = f->max != 0 ? 2 * f->max : 16;
		struct nat_pin *pins =
		    reallocarray(f->pins, max, sizeof(pins[0]));

		f->failed |= pins == NULL;
		if (pins == NULL)
			return;
		f->pins = pins;
		f->max = max;
	}
	f->pins[f->n++] = *pin;
}

/* What the hosts of a net had ends; forwards go to where they will be.  The old
 * ones end first, for their ports are to be the new ones'. */
static unsigned int
move_hosts(struct router *router, struct ip4_net from, struct ip4_net to)
{
	uint64_t now_ns = loop_now_ns(router->loop);
	struct forwards f = { .net = from };
	unsigned int n;

	nat_pin_each(router->nat, now_ns, collect, &f);
	for (unsigned int i = 0; i < f.n; i++)
		nat_pin_delete(router->nat, &f.pins[i], now_ns);
	n = nat_end_hosts(router->nat, from, now_ns);
	for (unsigned int i = 0; i < f.n; i++) {
		struct nat_pin *pin = &f.pins[i];

		pin->in_ip = shifted(pin->in_ip, from, to);
		pin->exact = true;
		if (nat_pin_set(router->nat, pin, now_ns) != NAT_PIN_MADE)
			log_warn("%s: the forward of port %u cannot be moved",
			    router->node.name, pin->out_port);
	}
	if (f.failed)
		log_error(
		    "%s: no memory to move all forwards", router->node.name);
	free(f.pins);
	router_arm_timers(router);
	return n;
}

static void
announce(struct iface *iface)
{
	const struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = iface->mac,
		.sender_ip = iface->address.addr,
		.target_ip = iface->address.addr };

	output_arp(iface->router, iface, &mac_broadcast, &arp);
}

unsigned int
readdress_move(struct iface *iface)
{
	struct router *router = iface->router;
	struct ip4_net from = iface->address, to = iface->instead;
	unsigned int n = 0;

	assert(to.addr != 0 && to.prefix == from.prefix);
	if (iface->dhcp != NULL && dhcp_service_move(iface->dhcp, to) < 0)
		log_error("%s: no memory for leases of its new net",
		    iface->port.name);
	iface->address = to;
	iface->instead = iface->former = from;
	move_routes(iface, from);
	place_forget(router);
	neigh_forget(router->neighbours, iface);
	if (router->nat != NULL)
		n = move_hosts(router, from, to);
	announce(iface);
	return n;
}
