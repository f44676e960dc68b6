/*
 * Answers have one place each, by a hash of the address, and the last one stays.
 * Addresses that share a place are looked up as if nothing were kept, which is
 * the worst that anybody can make of it.
 */
#include "router/place.h"

#include <string.h>

#include "router/router_state.h"

static struct iface *
owner_of(const struct router *router, uint32_t addr)
{
	for (unsigned int i = 0; i < router->nifaces; i++)
		if (router->ifaces[i]->address.addr == addr)
			return router->ifaces[i];
	return router->nat != NULL && nat_has_address(router->nat, addr)
	    ? router->outside
	    : NULL;
}

void
place_look_up(const struct router *router, struct place *place, uint32_t addr)
{
	const struct route *route = route_find(&router->routes, addr);

	*place = (struct place){ .addr = addr,
		.known = true,
		.martian = addr >> 24 == 0 || ip4_is_loopback(addr) ||
		    addr >> 28 >= 0xe,
		.broadcast = route != NULL && route->via == 0 &&
		    ip4_net_broadcast(route->out->address) == addr,
		.exempt = route_find(&router->exempt, addr) != NULL,
		.route = route,
		.owner = owner_of(router, addr) };
}

void
place_forget(struct router *router)
{
	memset(router->places, 0, sizeof(router->places));
}
