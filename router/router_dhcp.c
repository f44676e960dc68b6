/*
 * The DHCP servers and relays of a router's ports, and their leases.
 */
#include <errno.h>

#include "router/router_state.h"

/* The service of a port, made if there is none.  NULL: *err says why. */
static struct dhcp_service *
dhcp_of(struct router *router, struct port *port, struct err *err)
{
	struct iface *iface = router_iface(router, port);

	if (iface == NULL) {
		router_not_ours(router, port, err);
		return NULL;
	}
	if (iface->address.addr == 0) {
		err_set(err, -EINVAL,
		    "port \"%s\" has no IPv4 address; DHCP needs one",
		    port->name);
		return NULL;
	}
	if (iface->dhcp == NULL)
		iface->dhcp = dhcp_service_new(router, iface);
	if (iface->dhcp == NULL)
		err_sys(err, -ENOMEM, NULL, "dhcp");
	return iface->dhcp;
}

int
router_set_dhcp(struct router *router, struct port *port,
    const struct router_dhcp_options *options, struct err *err)
{
	struct dhcp_service *service = dhcp_of(router, port, err);

	return service != NULL ? dhcp_service_add(service, options, err)
			       : -EINVAL;
}

int
router_add_dhcp_relayed(struct router *router, struct port *port,
    struct ip4_net relay, const struct router_dhcp_options *options,
    struct err *err)
{
	struct dhcp_service *service = dhcp_of(router, port, err);

	return service != NULL
	    ? dhcp_service_add_relayed(service, relay, options, err)
	    : -EINVAL;
}

int
router_set_dhcp_relay(struct router *router, struct port *port,
    const struct router_dhcp_relay_options *options, struct err *err)
{
	struct iface *iface = router_iface(router, port);

	if (iface == NULL)
		return router_not_ours(router, port, err);
	if (iface->address.addr == 0)
		return err_set(err, -EINVAL,
		    "port \"%s\" has no IPv4 address; a DHCP relay needs one",
		    port->name);
	if (iface->dhcp != NULL || iface->relay != NULL)
		return err_set(err, -EEXIST,
		    "port \"%s\" serves or relays DHCP already; use one of "
		    "both",
		    port->name);
	iface->relay = dhcp_relay_new(iface, options, err);
	return iface->relay != NULL ? 0 : -EINVAL;
}

int
router_add_reservation(struct router *router, struct port *port,
    const struct mac *mac, uint32_t addr, struct err *err)
{
	struct iface *iface = router_iface(router, port);
	struct dhcp_server *server;

	if (iface == NULL)
		return router_not_ours(router, port, err);
	if (iface->dhcp == NULL)
		return err_set(err, -EINVAL,
		    "port \"%s\" does not serve DHCP; give it a range first",
		    port->name);
	server = dhcp_service_of(iface->dhcp, addr);
	if (server == NULL) /* it says why not */
		server = dhcp_service_server(iface->dhcp, 0);
	return dhcp_server_reserve(server, mac, addr, err);
}

/* ---- leases ---- */

static struct dhcp_server *
server_at(const struct iface *iface, unsigned int i)
{
	return iface->dhcp != NULL ? dhcp_service_server(iface->dhcp, i) : NULL;
}

struct lease_each {
	const struct port *port;
	void (*each)(void *arg, const struct lease_row *row);
	void *arg;
};

static void
each_lease(void *arg, const struct lease_row *row)
{
	const struct lease_each *l = arg;
	struct lease_row of_port = *row;

	of_port.port = l->port;
	l->each(l->arg, &of_port);
}

void
router_each_lease(const struct router *router,
    void (*each)(void *arg, const struct lease_row *row), void *arg)
{
	for (unsigned int i = 0; i < router->nifaces; i++) {
		const struct iface *iface = router->ifaces[i];
		struct lease_each l = { &iface->port, each, arg };
		const struct dhcp_server *server;

		for (unsigned int k = 0; (server = server_at(iface, k)) != NULL;
		     k++)
			dhcp_server_each(
			    server, loop_now_ns(router->loop), each_lease, &l);
	}
}

uint64_t
router_lease_changes(const struct router *router)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < router->nifaces; i++) {
		const struct dhcp_server *server;

		for (unsigned int k = 0;
		     (server = server_at(router->ifaces[i], k)) != NULL; k++)
			n += dhcp_server_changes(server);
		if (router->ifaces[i]->wan != NULL)
			n += wan_changes(router->ifaces[i]->wan);
	}
	return n;
}

struct saved_each {
	const struct port *port;
	void (*each)(void *arg, const struct lease_saved *saved);
	void *arg;
};

static void
each_saved(void *arg, const struct lease_saved *saved)
{
	const struct saved_each *s = arg;
	struct lease_saved of_port = *saved;

	of_port.port = s->port;
	s->each(s->arg, &of_port);
}

/* The port's own lease: its address, for its MAC address. */
static void
save_wan(const struct iface *iface,
    void (*each)(void *arg, const struct lease_saved *saved), void *arg)
{
	struct lease_saved saved = { .port = &iface->port, .mac = iface->mac };

	saved.ip = wan_known(iface->wan, &saved.left_ns);
	if (saved.ip != 0)
		each(arg, &saved);
}

void
router_save_leases(const struct router *router,
    void (*each)(void *arg, const struct lease_saved *saved), void *arg)
{
	for (unsigned int i = 0; i < router->nifaces; i++) {
		const struct iface *iface = router->ifaces[i];
		struct saved_each s = { &iface->port, each, arg };
		const struct dhcp_server *server;

		if (iface->wan != NULL)
			save_wan(iface, each, arg);
		for (unsigned int k = 0; (server = server_at(iface, k)) != NULL;
		     k++)
			dhcp_server_save(
			    server, loop_now_ns(router->loop), each_saved, &s);
	}
}

int
router_restore_lease(struct router *router, const struct lease_saved *saved)
{
	const struct iface *iface = router_iface(router, saved->port);
	struct dhcp_server *server;

	if (iface != NULL && iface->wan != NULL && saved->client_bytes == 0 &&
	    mac_equal(&saved->mac, &iface->mac)) {
		wan_restore(iface->wan, saved->ip);
		return 0;
	}
	if (iface == NULL || iface->dhcp == NULL)
		return -EINVAL;
	server = dhcp_service_of(iface->dhcp, saved->ip);
	return server != NULL
	    ? dhcp_server_restore(server, saved, loop_now_ns(router->loop))
	    : -EINVAL;
}
