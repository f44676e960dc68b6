/*
 * wan.h - a port of the router whose address others give by DHCP: the client's
 * frames in and out, and what its lease changes in the router.
 *
 * While it has no address, the port takes nothing of IPv4 but DHCP and ARP:
 * DROP_NO_ADDRESS.  With one, the lease's gateway is the default route, and its
 * other routes are the router's (RFC 3442), but for those into what is the
 * router's on other ports.  The port's MTU is the lease's, if that is smaller,
 * but not below 576.
 *
 * An address of a subnet that overlaps with that of another port (RFC 4787
 * REQ-7) moves that port to its other net, if it has one that does not
 * (readdress.h); else the offer is refused, DROP_DHCP_CONFLICT, and loudly.
 *
 * Who has no lease asks for ever.
 */
#ifndef ROUTER_WAN_H
#define ROUTER_WAN_H

#include "base/err.h"
#include "router/dhcp_client.h"
#include "router/router.h"

struct iface;
struct arp;
struct packet;
struct wan;

#define WAN_MTU_MIN 576 /* RFC 791 3.1 */
#define WAN_SHORT_S 60  /* leases of ports that may yet move */

/* NULL: no memory.  It begins to ask when the loop runs. */
struct wan *wan_new(struct iface *iface,
    const struct router_port_options *options, uint64_t seed);
void wan_free(struct wan *wan); /* NULL is fine */

/* Asks for this address first; before the loop runs. */
void wan_restore(struct wan *wan, uint32_t ip);
/* What a restored one would not know: 0 or its address, and how often that has
 * changed. */
uint32_t wan_known(const struct wan *wan, uint64_t *left_ns);
uint64_t wan_changes(const struct wan *wan);

/* The port's link is up again. */
void wan_link_up(struct wan *wan);

/* Gives the address back. */
void wan_release(struct wan *wan);

/* An IPv4 packet that came in by the port, before anybody else looks at it.
 * REASON_NONE: it is not for the client, and the port has an address. */
enum reason wan_take(struct wan *wan, struct packet *p);

/* An ARP packet that came in by the port.  True: it was about the client. */
bool wan_heard(struct wan *wan, const struct arp *arp);

/* How long the port's address will last; and the rest. */
void wan_row(const struct wan *wan, struct wan_row *row);

/* Name servers of the lease; 0: there is none. */
uint32_t wan_dns(const struct wan *wan);

#endif
