/*
 * dhcp_service.h - the DHCP server on a router's port: frames in and out.
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

/* NULL: *err says why. */
struct dhcp_service *dhcp_service_new(struct router *router,
    struct iface *iface, const struct router_dhcp_options *options,
    struct err *err);
void dhcp_service_free(struct dhcp_service *service); /* NULL is fine */

struct dhcp_server *dhcp_service_server(struct dhcp_service *service);

/* A datagram to port 67. */
enum reason dhcp_service_take(
    struct dhcp_service *service, struct packet *p, const struct udp *udp);

/* ARP says that mac has ip. */
void dhcp_service_heard(
    struct dhcp_service *service, uint32_t ip, const struct mac *mac);

#endif
