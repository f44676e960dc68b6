/*
 * dhcp6.h - stateless DHCPv6: what a host that has its addresses asks for
 * besides (RFC 8415 6.1, RFC 3646).
 */
#ifndef NET_DHCP6_H
#define NET_DHCP6_H

#include "net/cursor.h"
#include "net/ip6.h"
#include "net/reason.h"

#define DHCP6_CLIENT_PORT 546
#define DHCP6_SERVER_PORT 547

#define DHCP6_REPLY        7
#define DHCP6_INFORMATION  11
#define DHCP6_CLIENT_BYTES 130 /* of an identifier (RFC 8415 11.1) */
#define DHCP6_SERVERS      4
#define DHCP6_DUID_BYTES   10 /* by a MAC address (DUID-LL) */

extern const struct ip6_addr dhcp6_servers; /* ff02::1:2 */

/* A request for information. */
struct dhcp6_request {
	uint32_t id; /* 24 bits */
	uint8_t client[DHCP6_CLIENT_BYTES];
	uint16_t client_bytes; /* 0: it names itself not */
	bool wants_dns, wants_domain;
};

struct dhcp6_reply {
	struct mac server;
	struct ip6_addr dns[DHCP6_SERVERS];
	unsigned int ndns;
	const char *domain; /* "": none is told */
	uint32_t refresh_s; /* when to ask again */
};

/* Reads the UDP payload in c, to a server with MAC address server.  DROP_SHORT;
 * DROP_DHCP6 for a message that contradicts itself, or is to another server (RFC
 * 8415 16.12); DROP_DHCP6_STATEFUL for one that asks for addresses. */
enum reason dhcp6_parse(
    struct dhcp6_request *request, struct cursor *c, const struct mac *server);

/* Writes the answer, with what was asked for of what there is. */
void dhcp6_write(struct writer *w, const struct dhcp6_request *request,
    const struct dhcp6_reply *reply);

#endif
