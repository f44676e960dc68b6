/*
 * pcp_exchange.h - a request of PCP that is being answered, for the files of its
 * server alone.
 *
 *    pcp_server.c    reads it, finds out for whom it is, and answers it
 *    pcp_nat.c       turns it into a pin of the NAT
 *    pcp_pinhole.c   or into one of the filter of IPv6
 *    natpmp_server.c the same by NAT-PMP, for the NAT alone
 */
#ifndef ROUTER_PCP_EXCHANGE_H
#define ROUTER_PCP_EXCHANGE_H

#include "base/loop.h"
#include "net/pcp.h"
#include "router/pcp_server.h"

#define PCP_FOREVER_S UINT32_MAX /* of what the lab file has (RFC 6887 11.3) */

struct pcp_exchange {
	const struct pcp_server *server;
	const struct pcp_asked *asked;
	struct pcp m;              /* the request, and then the answer */
	struct ip6_addr who;       /* the inside host */
	uint32_t error_lifetime_s; /* 0: the usual one */
};

/* Both write the answer's end outside and lifetime to x->m. */
enum pcp_result pcp_nat_map(struct pcp_exchange *x);
enum pcp_result pcp_nat_peer(struct pcp_exchange *x);
enum pcp_result pcp_pinhole_map(struct pcp_exchange *x);
enum pcp_result pcp_pinhole_peer(struct pcp_exchange *x);

/* A request of NAT-PMP. */
enum reason natpmp_server_take(const struct pcp_server *server,
    const struct pcp_asked *asked, struct writer *answer);

static inline uint32_t
pcp_clamp(const struct pcp_server *server, uint32_t lifetime_s)
{
	if (lifetime_s < server->min_s)
		return server->min_s;
	return lifetime_s > server->max_s ? server->max_s : lifetime_s;
}

/* The seconds from now to until, which is not before. */
static inline uint32_t
pcp_left_s(uint64_t until_ns, uint64_t now_ns)
{
	uint64_t s = (until_ns - now_ns) / NS_PER_S;

	return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

#endif
