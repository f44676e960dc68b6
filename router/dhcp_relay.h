/*
 * dhcp_relay.h - the DHCP relay on a router's port: packets in and out
 * (RFC 1542, RFC 2131 4.1, RFC 3046).
 *
 * What clients on its link send goes to each of its servers, from the address of
 * the port by which these are reached.  Answers come to the relay's own address,
 * are taken from these servers alone, and go to the client as its flags ask.  A
 * client that has its address speaks to its server by itself.
 */
#ifndef ROUTER_DHCP_RELAY_H
#define ROUTER_DHCP_RELAY_H

#include "base/err.h"
#include "net/udp.h"
#include "router/router.h"

struct iface;
struct packet;
struct dhcp_relay;

/* NULL: *err says why. */
struct dhcp_relay *dhcp_relay_new(const struct iface *iface,
    const struct router_dhcp_relay_options *options, struct err *err);
void dhcp_relay_free(struct dhcp_relay *relay); /* NULL is fine */

/* Is a datagram to port 67 a relay's: of a client on a relay's link, or an
 * answer? */
bool dhcp_relay_wants(const struct packet *p, const struct udp *udp);
enum reason dhcp_relay_take(
    struct router *router, struct packet *p, const struct udp *udp);

#endif
