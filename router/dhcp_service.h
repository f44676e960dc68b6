/*
 * dhcp_service.h - the DHCP servers on a router's port: frames in and out.
 *
 * One server is for the clients on the port's link, others are for subnets whose
 * clients come by a relay; a port has any of them.  Which one is asked is told by
 * the link that the relay names (RFC 3527), else by the relay's address, and for
 * a client that asks by itself from there, to renew its lease, by its own.  A
 * broadcast is for the link, and so is what a client on it sends to the port.
 *
 * Before an address is offered to a new client, the link is asked for it by
 * ARP; if a host other than the client answers within the time given, the
 * address is avoided and another one is tried (RFC 2131 2.2 and 4.4.1, by the
 * server as 4.3.1 advises).  ARP, and not ICMP echo, since hosts that answer no
 * pings have addresses, too.  Up to DHCP_PROBES offers wait at a time; what is
 * more is offered at once.  Relays' clients are not on the link, and are not
 * asked for.
 */
#ifndef ROUTER_DHCP_SERVICE_H
#define ROUTER_DHCP_SERVICE_H

#include "base/err.h"
#include "net/udp.h"
#include "router/router.h"

#define DHCP_PROBES 64

struct iface;
struct dhcp_service;
struct packet;

/* Without any server.  NULL: no memory. */
struct dhcp_service *dhcp_service_new(
    struct router *router, struct iface *iface);
void dhcp_service_free(struct dhcp_service *service); /* NULL is fine */

/* One for the clients on the link, and one for those of relay's subnet.  0, or
 * -Exxx with *err. */
int dhcp_service_add(struct dhcp_service *service,
    const struct router_dhcp_options *options, struct err *err);
int dhcp_service_add_relayed(struct dhcp_service *service, struct ip4_net relay,
    const struct router_dhcp_options *options, struct err *err);

/* The server of addr's subnet, or NULL. */
struct dhcp_server *dhcp_service_of(
    const struct dhcp_service *service, uint32_t addr);

/* All servers, in order of i.  NULL: there are no more. */
struct dhcp_server *dhcp_service_server(
    const struct dhcp_service *service, unsigned int i);

/* The link's leases last their full time from now on. */
void dhcp_service_settle(struct dhcp_service *service);

/* The link's subnet is another one, as dhcp_server_move() has it; what waits for
 * answers of the old one is forgotten. */
int dhcp_service_move(struct dhcp_service *service, struct ip4_net own);

/* A datagram to port 67. */
enum reason dhcp_service_take(
    struct dhcp_service *service, struct packet *p, const struct udp *udp);

/* ARP says that mac has ip. */
void dhcp_service_heard(
    struct dhcp_service *service, uint32_t ip, const struct mac *mac);

#endif
