/*
 * prefix6.h - a router's translation of IPv6 prefixes (RFC 6296).
 *
 * A pair of prefixes belongs to an outside port.  Addresses are changed where a
 * packet leaves by that port or has come in there, and both of them where one
 * from inside is for the outside form of another inside address (2.4).  What an
 * ICMPv6 error quotes is changed with it.  Nothing is remembered.
 */
#ifndef ROUTER_PREFIX6_H
#define ROUTER_PREFIX6_H

#include "net/npt6.h"
#include "net/reason.h"

#define PREFIX6_PAIRS 8

struct iface;
struct packet6;
struct router;

struct prefix6_pair {
	struct npt6 npt;
	struct iface *outside;
};

/* What becomes of a packet's addresses.  It begins with what they are. */
struct prefix6_change {
	struct ip6_addr src, dst;
	enum reason reason; /* REASON_NPT_*, or REASON_NONE: nothing */
};

/* Is addr one that has another form outside, and so is no address there, where a
 * packet came in by in? */
bool prefix6_hides(const struct router *router, const struct iface *in,
    const struct ip6_addr *addr);

/* Where the packet is for.  REASON_NONE, or DROP_NPT. */
enum reason prefix6_arrive(const struct router *router, const struct packet6 *p,
    struct prefix6_change *change);

/* From whom it is, when it leaves by out.  REASON_NONE, DROP_NPT. */
enum reason prefix6_leave(struct router *router, const struct packet6 *p,
    const struct iface *out, struct prefix6_change *change);

/* Writes the change into the packet. */
void prefix6_apply(const struct router *router, struct packet6 *p,
    const struct prefix6_change *change);

/* Makes of a packet that was to leave by out what its sender sent, in ip, of
 * which bytes are there; *src is its source.  For errors about it. */
void prefix6_undo(const struct router *router, const struct iface *out,
    uint8_t *ip, size_t bytes, struct ip6_addr *src);

#endif
