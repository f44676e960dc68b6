/*
 * pcp_service.h - PCP and NAT-PMP on a router's inside ports: packets in and
 * out, and the announcements when it begins.
 *
 * It is spoken to at the addresses of the port that a packet comes in by, on
 * port 5351, by who is reached there: by IPv4 if the router has a NAT, by IPv6
 * if it filters that or translates its prefixes.  It announces itself ten times,
 * after twice the time each, beginning with 250 ms (RFC 6886 3.2.1, RFC 6887
 * 14.1.3).
 */
#ifndef ROUTER_PCP_SERVICE_H
#define ROUTER_PCP_SERVICE_H

#include "base/err.h"
#include "net/udp.h"
#include "router/router.h"

struct packet;
struct packet6;
struct pcp_service;

/* The router has what is asked for.  NULL: *err says why. */
struct pcp_service *pcp_service_new(struct router *router,
    const struct router_pcp_options *options, struct err *err);
void pcp_service_free(struct pcp_service *service); /* NULL is fine */

/* The NAT begins anew, without the mappings it had: hosts are told. */
void pcp_service_begin(struct pcp_service *service);

/* Is this datagram for the service? */
bool pcp_service_wants(const struct packet *p, const struct udp *udp);
enum reason pcp_service_take(
    struct pcp_service *service, struct packet *p, const struct udp *udp);

/* The same for IPv6. */
bool pcp_service_wants6(const struct packet6 *p, const struct udp *udp);
enum reason pcp_service_take6(
    struct pcp_service *service, struct packet6 *p, const struct udp *udp);

#endif
