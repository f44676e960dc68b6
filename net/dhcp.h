/*
 * dhcp.h - DHCP messages (RFC 2131, options of RFC 2132).
 */
#ifndef NET_DHCP_H
#define NET_DHCP_H

#include "net/addr.h"
#include "net/cursor.h"
#include "net/reason.h"

#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68
#define DHCP_MIN_BYTES   300 /* BOOTP's minimum: shorter ones are padded */

#define DHCP_BOOTREQUEST 1
#define DHCP_BOOTREPLY   2
#define DHCP_BROADCAST   0x8000 /* in flags */

enum dhcp_type {
	DHCP_NO_TYPE, /* plain BOOTP */
	DHCP_DISCOVER,
	DHCP_OFFER,
	DHCP_REQUEST,
	DHCP_DECLINE,
	DHCP_ACK,
	DHCP_NAK,
	DHCP_RELEASE,
	DHCP_INFORM,
};

#define DHCP_OPT_MASK       1
#define DHCP_OPT_ROUTER     3
#define DHCP_OPT_DNS        6
#define DHCP_OPT_HOSTNAME   12
#define DHCP_OPT_DOMAIN     15
#define DHCP_OPT_MTU        26
#define DHCP_OPT_BROADCAST  28
#define DHCP_OPT_REQUESTED  50
#define DHCP_OPT_LEASE      51
#define DHCP_OPT_OVERLOAD   52
#define DHCP_OPT_TYPE       53
#define DHCP_OPT_SERVER     54
#define DHCP_OPT_PARAMETERS 55
#define DHCP_OPT_MESSAGE    56
#define DHCP_OPT_MAX_BYTES  57
#define DHCP_OPT_RENEWAL    58
#define DHCP_OPT_REBINDING  59
#define DHCP_OPT_CLIENT_ID  61
#define DHCP_OPT_RELAY_INFO 82
#define DHCP_OPT_ROUTES     121 /* classless static ones (RFC 3442) */

#define DHCP_MAX_DNS     4
#define DHCP_MAX_NAME    64 /* with its end */
#define DHCP_EXTRAS      16
#define DHCP_EXTRA_BYTES 128
#define DHCP_ROUTE_BYTES 512 /* of option 121, its pieces joined */

/* An option as it stands in a message, for a server to tell. */
struct dhcp_extra {
	uint8_t code, len;
	uint8_t data[DHCP_EXTRA_BYTES];
};

/* A message in plain values.  An address or time of 0 means that the option is
 * absent, on reading and on writing alike. */
struct dhcp {
	uint8_t op, hops;
	uint32_t xid;
	uint16_t secs, flags;
	uint32_t ciaddr, yiaddr, siaddr, giaddr;
	struct mac chaddr;
	enum dhcp_type type;
	uint32_t server; /* option 54 */
	uint32_t requested;
	uint32_t mask, router, broadcast;
	uint32_t dns[DHCP_MAX_DNS];
	uint8_t ndns;
	uint16_t mtu, max_bytes; /* the latter of IP, at least 576 */
	uint32_t lease_s, renewal_s, rebinding_s;
	char hostname[DHCP_MAX_NAME]; /* printable ASCII without spaces */
	char domain[DHCP_MAX_NAME];
	const char *message;      /* written only */
	const uint8_t *client_id; /* borrowed */
	uint8_t client_id_bytes;
	const uint8_t *parameters; /* borrowed: option codes asked for */
	uint8_t nparameters;
	const uint8_t *relay_info; /* borrowed (RFC 3046) */
	uint8_t relay_info_bytes;
	/* Option 121, joined of its pieces (RFC 3396), which has whole routes
	 * and no more. */
	uint8_t routes[DHCP_ROUTE_BYTES];
	uint16_t routes_bytes;
	const struct dhcp_extra *extra[DHCP_EXTRAS]; /* written only */
	uint8_t nextra;
};

/* Reads the UDP payload in c, options overloaded into file and sname included.
 * Of an option that comes twice the first counts, a name that would not print
 * or fit is left out; a wrong length or an impossible value (type, MTU below
 * 68, mask with holes) refuses the message.  DROP_SHORT, DROP_DHCP; *dhcp is
 * filled only if DROP_NONE. */
enum reason dhcp_parse(struct dhcp *dhcp, struct cursor *c);

/* The address that a relay tells in a sub-option of relay_info; 0: none. */
#define DHCP_RELAY_LINK   5  /* of the client's link (RFC 3527) */
#define DHCP_RELAY_SERVER 11 /* that the client shall know (RFC 5107) */
uint32_t dhcp_relay_address(const struct dhcp *dhcp, uint8_t sub_option);

/* Writes a message of at least DHCP_MIN_BYTES. */
void dhcp_write(struct writer *w, const struct dhcp *dhcp);

/* The next route of option 121, host bits cleared; via 0: on the link.  False:
 * there is none, or with c->overrun it is none. */
bool dhcp_read_route(struct cursor *c, struct ip4_net *to, uint32_t *via);

/* Was option asked for?  True as well when no list was sent at all. */
bool dhcp_wants(const struct dhcp *dhcp, uint8_t option);

#endif
