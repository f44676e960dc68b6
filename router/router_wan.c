/*
 * The ports of a router that get their address from others.
 */
#include "router/router_state.h"

void
router_each_wan(const struct router *router,
    void (*each)(void *arg, const struct wan_row *row), void *arg)
{
	for (unsigned int i = 0; i < router->nifaces; i++) {
		struct wan_row row;

		if (router->ifaces[i]->wan == NULL)
			continue;
		wan_row(router->ifaces[i]->wan, &row);
		each(arg, &row);
	}
}

void
router_on_address(struct router *router,
    void (*tell)(void *arg, const char *sentence), void *arg)
{
	router->tell = tell;
	router->tell_arg = arg;
}

void
router_release(struct router *router)
{
	for (unsigned int i = 0; i < router->nifaces; i++)
		if (router->ifaces[i]->wan != NULL)
			wan_release(router->ifaces[i]->wan);
}

struct ip4_net
router_port_address(const struct router *router, const struct port *port)
{
	const struct iface *iface = router_iface(router, port);

	return iface != NULL ? iface->address : (struct ip4_net){ 0, 0 };
}
