/*
 * pcp_server.h - what a router answers to hosts that ask for mappings: PCP
 * (RFC 6887) and NAT-PMP (RFC 6886).  Bytes in, bytes out.
 *
 * Who asks is told by the packet's source address, and a mapping of PCP is
 * changed by who knows its nonce.  A mapping lasts for as long as is answered,
 * and is not taken back before.  Mappings of IPv4 are pins of the NAT, those of
 * IPv6 are pinholes of the filter; what the router translates without
 * remembering is told as it is.
 */
#ifndef ROUTER_PCP_SERVER_H
#define ROUTER_PCP_SERVER_H

#include "net/cursor.h"
#include "net/ip6.h"
#include "net/reason.h"
#include "router/router.h"

struct flow6_table;
struct nat;
struct pin6_table;

struct pcp_server {
	struct nat *nat; /* of IPv4; NULL: none */
	/* Of IPv6; both NULL: all comes in anyway. */
	struct pin6_table *pins6;
	const struct flow6_table *flows6;
	enum router_pcp_protocols protocols;
	enum router_pcp_opcodes opcodes;
	bool third_party;      /* may hosts ask for others (RFC 6887 13.1)? */
	uint32_t min_s, max_s; /* how long mappings last */
	/* May ip have mappings: is it of a host inside?  And could a packet be
	 * for it, outside?  IPv4 addresses are within IPv6 ones. */
	bool (*is_inside)(void *arg, const struct ip6_addr *ip);
	bool (*is_outside)(void *arg, const struct ip6_addr *ip);
	/* The form outside of an inside address of IPv6. */
	struct ip6_addr (*form_outside)(void *arg, const struct ip6_addr *ip);
	void *arg;
};

/* A datagram that came to the server's port. */
struct pcp_asked {
	const uint8_t *bytes;
	size_t len;
	struct ip6_addr src;
	struct mac station; /* who has sent it */
	uint64_t now_ns;
	uint32_t epoch_s; /* since the router has its mappings */
};

/* Answers it; nothing is written if there is nothing to say, else
 * PCP_MAX_BYTES at most.  REASON_DELIVERED: as was asked for.  DROP_PCP: not
 * answered, or malformed.  DROP_PCP_UNSUPPORTED, DROP_PCP_REFUSED,
 * DROP_PCP_FULL: answered with an error. */
enum reason pcp_server_take(const struct pcp_server *server,
    const struct pcp_asked *asked, struct writer *answer);

/* What hosts are told when the router has begun (RFC 6886 3.2.1, RFC 6887 14.1);
 * nothing if that protocol is not spoken. */
void pcp_server_announce(const struct pcp_server *server, uint32_t epoch_s,
    struct writer *pcp, struct writer *natpmp);

#endif
