/*
 * router6.h - IPv6 in a router, for the files of this folder alone.
 *
 *    router6.c    interfaces and routes
 *    forward6.c   the way of an IPv6 packet: parse, decide, send
 *    local6.c     what is for the router itself: echo, errors
 *    nd.c         ... neighbour discovery (RFC 4861)
 *    dad.c        ... whether an address is free (RFC 4862)
 *    groups6.c    ... MLD (RFC 3810)
 *    output6.c    the last steps: the neighbour, the port
 *
 * A packet enters by forward6_take(), whose first steps are the same for all:
 * the header is right, source and destination may stand there.  What is not for
 * the router itself is given a way by way6_find(), and leaves by
 * forward6_send(), which has its hop limit lowered; output6_own() sends what
 * the router makes.  Who translates a packet steps in between: behind
 * forward6_take()'s checks, and before forward6_send() or, if it becomes
 * another packet, output6_own().
 *
 * A port without an IPv6 address does not read IPv6.
 */
#ifndef ROUTER_ROUTER6_H
#define ROUTER_ROUTER6_H

#include "net/icmp6.h"
#include "net/ip6_chain.h"
#include "router/icmp6_error.h"
#include "router/router_state.h"

/* One IPv6 packet being decided, with a copy of its beginning that is ours. */
struct packet6 {
	struct iface *in;
	struct frame *frame; /* as it came; its verdict is to be written */
	uint8_t *bytes;      /* of the frame: head bytes of it, or all */
	uint32_t head;
	uint64_t now_ns;
	struct ip6 ip;
	bool group; /* the frame went to a group address */
};

/* How a packet leaves. */
struct way6 {
	struct iface *out;
	struct ip6_addr next_hop;
};

static inline uint8_t *
packet6_ip(const struct packet6 *p)
{
	return p->bytes + ETH_HEADER_BYTES;
}

static inline uint32_t
packet6_bytes(const struct packet6 *p)
{
	return IP6_HEADER_BYTES + (uint32_t)p->ip.payload_bytes;
}

/* What follows the IPv6 header, as far as it was copied. */
static inline struct cursor
packet6_payload(const struct packet6 *p)
{
	size_t end = p->head - ETH_HEADER_BYTES;

	if (end > packet6_bytes(p))
		end = packet6_bytes(p);
	return cursor(packet6_ip(p) + IP6_HEADER_BYTES, end - IP6_HEADER_BYTES);
}

/* ---- router6.c ---- */

/* Says what of a port's IPv6 addresses cannot be.  0 or -Exxx. */
int iface6_check(const struct router *router, const char *name,
    const struct router_port_options *options, struct err *err);
/* Gives an interface what it has of IPv6; routes lead there afterwards. */
int iface6_set(struct iface *iface, const struct router_port_options *options,
    struct err *err);
void iface6_clear(struct iface *iface);
/* Its link came up, or went down. */
void iface6_link(struct iface *iface, bool up);

/* Does it take no part in IPv6, since another one has its link-local address
 * (RFC 4862 5.4.5)? */
static inline bool
iface6_is_off(const struct iface *iface)
{
	return iface->six.link_state == DAD_DUPLICATE;
}

/* ---- forward6.c ---- */

/* Decides what becomes of a packet of which p has all but the header, and sends
 * it on.  The reason is its verdict's. */
enum reason forward6_take(struct router *router, struct packet6 *p);

/* Where addr is reached, if it is not of a link alone.  False: nowhere. */
bool way6_find(
    const struct router *router, const struct ip6_addr *addr, struct way6 *way);

/* The interface one of whose assigned addresses is addr, or NULL; on is the one
 * that a link-local address is of. */
struct iface *router_owner6(const struct router *router, const struct iface *on,
    const struct ip6_addr *addr);

/* Is addr on the interface's own link? */
bool iface6_has_on_link(const struct iface *in, const struct ip6_addr *addr);

/* Is it an address of the interface that may be used, and none that any router
 * of the subnet has? */
bool iface6_is_unicast(const struct iface *iface, const struct ip6_addr *addr);

/* The address of out to speak from to dst (RFC 6724 5, rules 2 and 8).  NULL:
 * none may be used yet. */
const struct ip6_addr *iface6_source(
    const struct iface *out, const struct ip6_addr *dst);

/* Checks a packet that is to leave by out: its hop limit, and its size.  Tells
 * its sender what is wrong.  REASON_NONE, DROP_TTL, DROP_MTU. */
enum reason forward6_check(
    struct router *router, const struct packet6 *p, const struct iface *out);

/* Sends a packet on, with one hop less to live.  Its verdict's reason and entry
 * are set already.  Returns the reason that stands in the end. */
enum reason forward6_send(
    struct router *router, struct packet6 *p, const struct way6 *way);

/* Copies all of a packet to where p->bytes are contiguous.  False: no room. */
bool packet6_whole(struct router *router, struct packet6 *p);

/* ---- local6.c ---- */

/* To one of the router's addresses. */
enum reason local6_packet(struct router *router, struct packet6 *p);
/* To a multicast address. */
enum reason local6_group(struct router *router, struct packet6 *p);

/* ---- nd.c ---- */

extern const struct neigh_calls nd_neigh_calls; /* arg is the router */

/* Neighbour solicitations and advertisements; c is the ICMPv6 message. */
enum reason nd_take(struct router *router, struct packet6 *p, struct cursor *c);

/* Tells the sender of a packet that goes back to where it came from that there
 * is a better way (8.2), if that is allowed. */
void nd_redirect(
    struct router *router, const struct packet6 *p, const struct way6 *way);

/* ---- output6.c ---- */

/* As output_ip(), for a packet that fits the link. */
enum reason output6_ip(struct router *router, const struct way6 *way,
    struct frame *frame, uint8_t *head, const struct verdict *cause);

/* A packet that is sent in fragments that fit any link. */
struct output6_cut {
	const uint8_t
	    *header;  /* of IPv6; its length and type are not looked at */
	uint8_t next; /* what the data is of */
	uint32_t id;
	size_t offset; /* of the data in what it is a fragment of already */
	bool more;     /* that goes on */
};

enum reason output6_cut(struct router *router, const struct way6 *way,
    const struct output6_cut *cut, const uint8_t *data, size_t bytes,
    const struct verdict *cause);

/* Sends a packet of the router's own without extension headers, written to
 * output_room(), to where its destination is; by out if that is of a link alone.
 * One that may be too big for the way there leaves in fragments. */
enum reason output6_own(
    struct router *router, struct iface *out, uint8_t *ip, size_t ip_bytes);

/* Likewise, on out to mac, without asking for it. */
void output6_direct(struct router *router, struct iface *out,
    const struct mac *mac, uint8_t *ip, size_t ip_bytes);

/* Tells p's sender what is wrong, if that is allowed. */
void output6_error(struct router *router, const struct packet6 *p, uint8_t type,
    uint8_t code, uint32_t word);

/* The same about a packet that was to leave by on, of which bytes are at ip, to
 * be changed into what its sender sent. */
void output6_error_about(struct router *router, struct iface *on,
    const struct icmp6_error *error, uint8_t *ip, size_t bytes);

/* Tells the sender of a packet that was kept that its next hop on out does not
 * answer (RFC 4861 7.2.2). */
void output6_unreachable(
    struct router *router, struct iface *out, struct held *held);

#endif
