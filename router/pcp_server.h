/*
 * pcp_server.h - what a NAT answers to hosts that ask for mappings: PCP
 * (RFC 6887) and NAT-PMP (RFC 6886).  Bytes in, bytes out.
 *
 * Who asks is told by the packet's source address, and a mapping of PCP is
 * changed by who knows its nonce.  A mapping lasts for as long as is answered,
 * and is not taken back before.
 */
#ifndef ROUTER_PCP_SERVER_H
#define ROUTER_PCP_SERVER_H

#include "net/cursor.h"
#include "net/reason.h"
#include "router/router.h"

struct nat;

struct pcp_server {
	struct nat *nat;
	enum router_pcp_protocols protocols;
	bool third_party;      /* may hosts ask for others (RFC 6887 13.1)? */
	uint32_t min_s, max_s; /* how long mappings last */
	/* May ip have mappings: is it of a host inside? */
	bool (*is_inside)(void *arg, uint32_t ip);
	void *arg;
};

/* A datagram that came to the server's port. */
struct pcp_asked {
	const uint8_t *bytes;
	size_t len;
	uint32_t src;
	uint64_t now_ns;
	uint32_t epoch_s; /* since the NAT has its mappings */
};

/* Answers it; nothing is written if there is nothing to say, else
 * PCP_MAX_BYTES at most.  REASON_DELIVERED: as was asked for.  DROP_PCP: not
 * answered.  DROP_PCP_UNSUPPORTED, DROP_PCP_REFUSED, DROP_PCP_FULL: answered
 * with an error. */
enum reason pcp_server_take(const struct pcp_server *server,
    const struct pcp_asked *asked, struct writer *answer);

/* What hosts are told when the NAT has begun (RFC 6886 3.2.1, RFC 6887 14.1);
 * nothing if that protocol is not spoken. */
void pcp_server_announce(const struct pcp_server *server, uint32_t epoch_s,
    struct writer *pcp, struct writer *natpmp);

#endif
