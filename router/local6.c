/*
 * IPv6 packets for the router itself.
 *
 * Here extension headers count (RFC 8200 4): what says that it must be known
 * and is not is refused, and its sender told.  A routing header has nowhere
 * else to lead to: type 0 is refused (RFC 5095), others with segments left,
 * too.  Fragments are collected (join6.h), but of neighbour discovery (RFC 6980).
 */
#include "router/router6.h"

#include "net/dhcp6.h"
#include "net/nd.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "router/filter6.h"
#include "router/join6.h"
#include "router/ra.h"

#define HOP_LIMIT 64

/* What an option's type asks for when it is not known (RFC 8200 4.2). */
#define OPT_DISCARD_QUIETLY 0x40
#define OPT_TELL_ALWAYS     0x80
#define OPT_TELL_OF_UNICAST 0xc0
#define OPT_WHAT            0xc0

/* The upper layer of a packet for the router. */
struct upper {
	struct ip6_chain chain;
	struct cursor c;
	bool trusted; /* its checksum is yet to be made, or was looked at */
	bool joined;  /* it came in fragments */
};

/* Tells the sender of headers that cannot be read why. */
static enum reason
refuse_chain(struct router *router, struct packet6 *p,
    const struct ip6_chain *chain, enum reason reason)
{
	/* As of any header that is not known (RFC 8200 4). */
	if (reason == DROP_IP6_CHAIN && chain->protocol == IP_HOP_BY_HOP)
		output6_error(router, p, ICMP6_PARAMETER, ICMP6_PARAMETER_NEXT,
		    chain->next_at);
	/* RFC 8200 4.5, RFC 7112. */
	if (reason == DROP_SHORT && chain->fragment_at != 0 &&
	    chain->offset_bytes == 0 && chain->more)
		output6_error(
		    router, p, ICMP6_PARAMETER, ICMP6_PARAMETER_FIRST, 0);
	return reason;
}

/* Has a first fragment all of the upper layer's header? */
static bool
has_upper(const struct upper *u)
{
	switch (u->chain.protocol) {
	case IP_TCP: return cur_left(&u->c) >= TCP_HEADER_BYTES;
	case IP_UDP: return cur_left(&u->c) >= UDP_HEADER_BYTES;
	case IP_ICMP6: return cur_left(&u->c) >= ICMP6_HEADER_BYTES;
	default: return true; /* open: what is not known is not read */
	}
}

static enum reason
refuse_option(
    struct router *router, struct packet6 *p, const struct ip6_chain *chain)
{
	uint8_t what = chain->option & OPT_WHAT;

	if (what == OPT_TELL_ALWAYS ||
	    (what == OPT_TELL_OF_UNICAST && !ip6_is_multicast(&p->ip.dst)))
		output6_error(router, p, ICMP6_PARAMETER,
		    ICMP6_PARAMETER_OPTION, chain->option_at);
	return DROP_IP6_OPTION;
}

/* Reads the extension headers of a packet of which all has been copied. */
static enum reason
open_packet(struct router *router, struct packet6 *p, struct upper *u)
{
	enum reason reason;

	if (!packet6_whole(router, p))
		return DROP_PORT_FULL;
	u->c = packet6_payload(p);
	reason = ip6_chain_parse(&u->chain, &u->c, &p->ip);
	if (reason == REASON_NONE && u->chain.offset_bytes == 0 &&
	    u->chain.more && !has_upper(u))
		reason = DROP_SHORT;
	if (reason != REASON_NONE)
		return refuse_chain(router, p, &u->chain, reason);
	if (u->chain.option_at != 0)
		return refuse_option(router, p, &u->chain);
	if (u->chain.routing_at != 0 && u->chain.segments_left != 0) {
		/* The pointer is to the header's type. */
		output6_error(router, p, ICMP6_PARAMETER,
		    ICMP6_PARAMETER_HEADER, u->chain.routing_at + 2u);
		return DROP_IP6_OPTION;
	}
	u->joined = u->chain.fragment_at != 0;
	u->trusted = (p->frame->flags & (FRAME_CSUM | FRAME_VALID)) != 0;
	return REASON_NONE;
}

/* ---- the upper layers ---- */

/* An echo request is answered from the address it was sent to, or, if that is a
 * group's or any router's, from one of the link's (RFC 4443 2.2, 4.2). */
static enum reason
answer_echo(
    struct router *router, struct packet6 *p, const struct icmp6 *request)
{
	struct icmp6 reply = *request;
	struct ip6 ip = { .traffic_class = p->ip.traffic_class,
		.payload_bytes =
		    (uint16_t)(ICMP6_HEADER_BYTES + request->data_bytes),
		.next = IP_ICMP6,
		.hop_limit = HOP_LIMIT,
		.dst = p->ip.src };
	const struct iface *owner = router_owner6(router, p->in, &p->ip.dst);
	const struct ip6_addr *from =
	    owner != NULL && iface6_is_unicast(owner, &p->ip.dst)
	    ? &p->ip.dst
	    : iface6_source(p->in, &p->ip.src);
	size_t bytes = IP6_HEADER_BYTES + (size_t)ip.payload_bytes;
	uint8_t *room = output_room(router, bytes);
	struct writer w;
	enum reason reason;

	if (room == NULL)
		return DROP_PORT_FULL;
	if (from == NULL)
		return DROP_TENTATIVE;
	ip.src = *from;
	reply.type = ICMP6_ECHO_REPLY;
	reply.code = 0;
	w = writer(room, bytes);
	ip6_write(&w, &ip);
	icmp6_write(&w, &reply, &ip.src, &ip.dst);
	reason = output6_own(router, p->in, room, bytes);
	return reason_is_drop(reason) ? reason : REASON_DELIVERED;
}

static enum reason
take_icmp(struct router *router, struct packet6 *p, struct upper *u)
{
	struct icmp6 icmp;
	struct cursor c = u->c;
	enum reason reason =
	    icmp6_parse(&icmp, &c, &p->ip.src, &p->ip.dst, u->trusted);

	if (reason != REASON_NONE)
		return reason;
	if (u->joined && icmp.type >= ND_ROUTER_SOLICIT &&
	    icmp.type <= ND_REDIRECT)
		return DROP_ND;
	switch (icmp.type) {
	case ND_SOLICIT:
	case ND_ADVERTISE: return nd_take(router, p, &u->c);
	case ND_ROUTER_SOLICIT:
		return p->in->six.ra == NULL
		    ? REASON_DELIVERED
		    : ra_solicited(p->in->six.ra, p, &u->c);
	case ICMP6_ECHO_REQUEST:
		return ip6_is_zero(&p->ip.src) ? DROP_MARTIAN
					       : answer_echo(router, p, &icmp);
	default: /* open: it has been heard */
		return membership_is_mld(icmp.type)
		    ? groups6_take(p->in, p, packet6_payload(p))
		    : REASON_DELIVERED;
	}
}

static enum reason
take_dns(struct router *router, const struct packet6 *p, const struct udp *udp)
{
	const struct dns_client client = { .addr = p->ip.src,
		.own = p->ip.dst,
		.port = udp->sport,
		.in = p->in };

	return dns_service_take(router->dns, &client, udp);
}

static enum reason
take_udp(struct router *router, struct packet6 *p, struct upper *u)
{
	struct udp udp;
	bool served = true;
	enum reason reason = udp6_parse(&udp, &u->c, &p->ip, u->trusted);

	if (reason != REASON_NONE)
		return reason;
	/* From outside, neither is (RFC 6092 REC-8, REC-9). */
	if (router->filter6 != NULL &&
	    filter6_is_outside(router->filter6, p->in))
		served = false;
	if (udp.dport == DHCP6_SERVER_PORT && p->in->six.ra != NULL && served)
		return ra_informed(p->in->six.ra, p, &udp);
	if (udp.dport == DNS_PORT && router->dns != NULL &&
	    p->in != router->outside && served && !ip6_is_multicast(&p->ip.dst))
		return take_dns(router, p, &udp);
	if (router->pcp != NULL && pcp_service_wants6(p, &udp))
		return pcp_service_take6(router->pcp, p, &udp);
	output6_error(router, p, ICMP6_UNREACHABLE, ICMP6_UNREACH_PORT, 0);
	return DROP_NO_LISTENER;
}

/* A segment to a port where nothing listens (RFC 9293 3.10.7.1). */
static enum reason
take_tcp(struct router *router, struct packet6 *p, struct upper *u)
{
	struct tcp tcp, rst;
	struct ip6 ip = { .payload_bytes = TCP_HEADER_BYTES,
		.next = IP_TCP,
		.hop_limit = HOP_LIMIT,
		.src = p->ip.dst,
		.dst = p->ip.src };
	const size_t bytes = IP6_HEADER_BYTES + TCP_HEADER_BYTES;
	struct writer w;
	uint8_t *room;
	enum reason reason = tcp6_parse(&tcp, &u->c, &p->ip, u->trusted);

	if (reason != REASON_NONE)
		return reason;
	if (tcp.flags & TCP_RST ||
	    !icmp_limit_take(
		&router->errors6, get_be32(p->ip.src.b + 12), p->now_ns))
		return DROP_NO_LISTENER;
	room = output_room(router, bytes);
	if (room == NULL)
		return DROP_NO_LISTENER;
	rst = tcp_reset(&tcp);
	w = writer(room, bytes);
	ip6_write(&w, &ip);
	tcp6_write(&w, &rst, &ip.src, &ip.dst);
	output6_own(router, p->in, room, bytes);
	return DROP_NO_LISTENER;
}

static enum reason
take_own(struct router *router, struct packet6 *p, struct upper *u)
{
	switch (u->chain.protocol) {
	case IP_ICMP6: return take_icmp(router, p, u);
	case IP_UDP: return take_udp(router, p, u);
	case IP_TCP: return take_tcp(router, p, u);
	case IP_NONE: return REASON_DELIVERED;
	default: /* open: other protocols exist */
		output6_error(router, p, ICMP6_PARAMETER, ICMP6_PARAMETER_NEXT,
		    u->chain.next_at);
		return DROP_PROTOCOL;
	}
}

static enum reason
take_of_group(struct router *router, struct packet6 *p, struct upper *u)
{
	switch (u->chain.protocol) {
	case IP_ICMP6: return take_icmp(router, p, u);
	case IP_UDP: return take_udp(router, p, u);
	default: return DROP_MULTICAST; /* open: other protocols exist */
	}
}

/* Reads a packet, or, if it is the last fragment of one, that. */
static enum reason
take(struct router *router, struct packet6 *p,
    enum reason (*upper)(
	struct router *router, struct packet6 *p, struct upper *u))
{
	struct upper u;
	struct packet6 whole;
	struct frame frame;
	enum reason reason = open_packet(router, p, &u);

	if (reason != REASON_NONE)
		return reason;
	if (!ip6_is_fragment(&u.chain))
		return upper(router, p, &u);
	reason = join6_take(router, p, &u.chain, &whole, &frame);
	if (reason == REASON_NONE)
		reason = open_packet(router, &whole, &u);
	if (reason != REASON_NONE)
		return reason;
	if (u.joined) /* fragments of fragments */
		return DROP_FRAGMENT;
	u.joined = true;
	reason = upper(router, &whole, &u);
	p->frame->verdict = frame.verdict;
	return reason;
}

enum reason
local6_packet(struct router *router, struct packet6 *p)
{
	return take(router, p, take_own);
}

/* ---- groups ---- */

enum reason
local6_group(struct router *router, struct packet6 *p)
{
	return groups6_has(p->in, &p->ip.dst) ? take(router, p, take_of_group)
					      : DROP_MULTICAST;
}
