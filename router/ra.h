/*
 * ra.h - a port's router advertisements (RFC 4861 6.2), and what it answers to
 * hosts that ask for more (RFC 8415 6.1).
 *
 * Advertisements go to all nodes: at random instants of the interval; the first
 * three at most 16 s apart; and within half a second when a host asks, but three
 * seconds apart at least.  So hosts that ask without end cause one in three
 * seconds.
 */
#ifndef ROUTER_RA_H
#define ROUTER_RA_H

#include "base/err.h"
#include "net/cursor.h"
#include "net/udp.h"
#include "router/router.h"

struct iface;
struct packet6;
struct ra;

/* NULL: *err says why. */
struct ra *ra_new(struct router *router, struct iface *iface,
    const struct router_ra_options *options, struct err *err);
void ra_free(struct ra *ra); /* NULL is fine */

/* The port has its link-local address: hosts on the link may be new. */
void ra_link_up(struct ra *ra);
/* It has none until then. */
void ra_link_down(struct ra *ra);
/* The router will be gone: who was told of it is told not to use it. */
void ra_cease(struct ra *ra);

/* A router solicitation; c is the ICMPv6 message. */
enum reason ra_solicited(struct ra *ra, struct packet6 *p, struct cursor *c);

/* A datagram to the port of DHCPv6. */
enum reason ra_informed(
    struct ra *ra, struct packet6 *p, const struct udp *udp);

#endif
