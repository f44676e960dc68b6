/*
 * dhcp_offer.h - what a DHCP server offers, judged before it is believed.
 *
 * A server may be a stranger's, or broken: what it says is taken over only if
 * the router could live by it.
 */
#ifndef ROUTER_DHCP_OFFER_H
#define ROUTER_DHCP_OFFER_H

#include "net/dhcp.h"

#define DHCP_OFFER_ROUTES  32
#define DHCP_LEASE_FOREVER UINT32_MAX
#define DHCP_LEASE_MIN_S   4 /* less is no lease to live by */

struct dhcp_route {
	struct ip4_net to; /* 0.0.0.0/0: the default */
	uint32_t via;
};

/* What comes with an address. */
struct dhcp_offer {
	struct ip4_net address;
	uint32_t server;
	uint32_t gateway; /* of the default route; 0: none */
	uint32_t dns[DHCP_MAX_DNS];
	uint8_t ndns;
	uint16_t mtu; /* 0: not said */
	uint32_t lease_s, renewal_s, rebinding_s;
	struct dhcp_route routes[DHCP_OFFER_ROUTES]; /* the default not among */
	uint8_t nroutes;
	char domain[DHCP_MAX_NAME];
};

/*
 * Reads a message that gives an address.  Times are in order: renewal_s <
 * rebinding_s < lease_s, whatever the server says.  Routes on the link, or
 * beyond a next hop that is not on the subnet, are left out, as are those that
 * there is no room for.
 *
 * REASON_NONE, or DROP_DHCP_SERVER: it names no server, or
 * less than DHCP_LEASE_MIN_S.
 * DROP_DHCP_ADDRESS: no host can have it.  DROP_DHCP_MASK: there is none, or
 * one that leaves no subnet.  DROP_DHCP_GATEWAY: it is not on that subnet.
 */
enum reason dhcp_offer_read(struct dhcp_offer *offer, const struct dhcp *m);

#endif
