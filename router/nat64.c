/*
 * NAT64 is a stateless translation of headers (net/siit.h) and the NAT that
 * IPv4 hosts have, one behind the other:
 *
 *    IPv6 host --> siit_to4 --> NAT: its table, rules, fragments --> outer port
 *              <-- siit_to6 <--                                 <--
 *
 * Between the two, a host goes by a virtual IPv4 address (nat64_hosts.h), so
 * that there is one table, with one limit and one set of rules: its mappings are
 * the BIB of RFC 6146 and its sessions the session table, and what mappings,
 * filters, ports, timers, TCP, hairpins and errors do for hosts of IPv4, they do
 * for those of IPv6, also between both.  An entry is as small as before, and the
 * NAT does not know of IPv6 at all.
 *
 * What leads to a virtual address is a way whose interface stands for one of
 * the real ones: smaller by what headers grow, so that the NAT's own checks of
 * sizes and its errors are right.  What is sent there, be it forwarded, of the
 * router itself, or an error, becomes IPv6 last of all (nat64_output.c).
 * Errors that the router makes about a translated packet are written for the
 * virtual address and take the same way.  The address of such an interface is
 * 0.0.0.0, which becomes the router's own IPv6 address.
 *
 * Rejected: sessions with IPv6 ends.  Two addresses of 16 bytes more make an
 * entry larger than a line of the cache and than 128 bytes in all, also for
 * those who have no IPv6; and a table beside the NAT's would need each rule
 * twice, with outside ports of its own.
 *
 * The checksum of ICMPv6 holds the length of the whole message (net/siit.c), so
 * fragments of ICMP are collected until they are whole, as those for the router
 * itself are, by the same table with its bounds; what they become is cut anew.
 * Errors are short by design, and refused in fragments.
 */
#include "router/nat64.h"

#include <errno.h>
#include <stdlib.h>

#include "base/loop.h"
#include "net/icmp.h"
#include "net/siit.h"
#include "router/nat64_state.h"
#include "router/nat_ports.h" /* nat_random() */
#include "router/taken.h"

#define GROWTH (IP6_HEADER_BYTES - IP4_HEADER_BYTES)

/* ---- making it ---- */

static bool
add_link(struct nat64 *nat64, struct iface *real)
{
	struct iface *link = calloc(1, sizeof(*link));

	if (link == NULL)
		return false;
	link->router = real->router;
	link->real = real;
	link->mtu_bytes = real->mtu_bytes - GROWTH;
	real->six.nat64 = link;
	nat64->links[nat64->nlinks++] = link;
	return true;
}

struct nat64 *
nat64_new(struct router *router, const struct ip64_prefix *prefix,
    uint32_t max_hosts, struct err *err)
{
	struct nat64 *nat64 = calloc(1, sizeof(*nat64));
	const uint64_t key[2] = { nat_random(&router->seed),
		nat_random(&router->seed) };
	bool good = nat64 != NULL;

	if (max_hosts > NAT64_HOSTS_MAX)
		max_hosts = NAT64_HOSTS_MAX;
	if (good) {
		nat64->prefix = *prefix;
		good = nat64_hosts_init(&nat64->hosts, max_hosts, key) == 0;
	}
	for (unsigned int i = 0; i < router->nifaces && good; i++)
		if (router->ifaces[i] != router->outside &&
		    router->ifaces[i]->six.naddresses > 0)
			good = add_link(nat64, router->ifaces[i]);
	if (good) {
		nat_set_virtual(router->nat, &nat64->hosts);
		return nat64;
	}
	err_set(err, -ENOMEM, "NAT64: out of memory");
	nat64_free(nat64);
	return NULL;
}

void
nat64_free(struct nat64 *nat64)
{
	if (nat64 == NULL)
		return;
	for (unsigned int i = 0; i < nat64->nlinks; i++) {
		nat64->links[i]->real->six.nat64 = NULL;
		free(nat64->links[i]);
	}
	nat64_hosts_clear(&nat64->hosts);
	free(nat64);
}

const struct ip64_prefix *
nat64_prefix(const struct router *router)
{
	return &router->nat64->prefix;
}

bool
nat64_has(const struct router *router, const struct ip6_addr *addr)
{
	return router->nat64 != NULL && ip64_has(&router->nat64->prefix, addr);
}

const struct ip6_addr *
nat64_host(const struct router *router, uint32_t ip)
{
	return router->nat64 != NULL && nat64_is_virtual(ip)
	    ? nat64_hosts_addr(&router->nat64->hosts, ip)
	    : NULL;
}

struct ip6_addr
nat64_remote(const struct router *router, uint32_t ip)
{
	return ip64_embed(&router->nat64->prefix, ip);
}

bool
nat64_way(struct router *router, uint32_t ip, struct way *way)
{
	const struct ip6_addr *host = nat64_host(router, ip);
	struct way6 way6;

	if (host == NULL || !way6_find(router, host, &way6) ||
	    way6.out->six.nat64 == NULL)
		return false;
	way->out = way6.out->six.nat64;
	way->next_hop = ip;
	return true;
}

/* ---- addresses ---- */

static bool
to4(const void *arg, const struct ip6_addr *addr, uint32_t *ip4)
{
	const struct nat64 *nat64 = arg;

	if (ip64_extract(&nat64->prefix, addr, ip4))
		return !nat64_is_virtual(*ip4);
	*ip4 = nat64_hosts_find(&nat64->hosts, addr);
	return *ip4 != 0;
}

bool
nat64_to6(const void *arg, uint32_t ip4, struct ip6_addr *addr)
{
	const struct nat64 *nat64 = arg;
	const struct ip6_addr *host;

	if (!nat64_is_virtual(ip4)) {
		*addr = ip64_embed(&nat64->prefix, ip4);
		return true;
	}
	host = nat64_hosts_addr(&nat64->hosts, ip4);
	if (host != NULL)
		*addr = *host;
	return host != NULL;
}

struct siit
nat64_translation(const struct router *router, const struct iface *inside)
{
	return (struct siit){ .to4 = to4,
		.to6 = nat64_to6,
		.arg = router->nat64,
		.mtu4_bytes = router->outside->mtu_bytes,
		.mtu6_bytes = inside->mtu_bytes };
}

/* ---- fragments of ICMP ---- */

enum reason
nat64_collect(struct router *router, const struct iface *in,
    const struct ip4 *key, const struct frame *frame, uint8_t *where,
    size_t *bytes)
{
	enum reason reason = fragment_collect(router->fragments, in, key, frame,
	    &router->node, loop_now_ns(router->loop), where, bytes);

	if (reason == REASON_NONE && *bytes < ICMP_HEADER_BYTES)
		reason = DROP_FRAGMENT;
	return reason;
}

/* ---- from IPv6 ---- */

void
nat64_move_offload(struct frame *frame, int by)
{
	if (!(frame->flags & FRAME_TODO))
		return;
	frame->csum_start = (uint16_t)(frame->csum_start + by);
	frame->header_bytes = (uint16_t)(frame->header_bytes + by);
	if (by < 0 && frame->flags & FRAME_TSO6)
		frame->flags ^= FRAME_TSO6 | FRAME_TSO4;
	else if (by > 0 && frame->flags & FRAME_TSO4)
		frame->flags ^= FRAME_TSO6 | FRAME_TSO4;
}

/* Refuses what has no place in IPv4, and tells its sender. */
static enum reason
refuse(struct router *router, const struct packet6 *p, enum reason reason)
{
	output6_error(
	    router, p, ICMP6_UNREACHABLE, ICMP6_UNREACH_PROHIBITED, 0);
	return reason;
}

/* May a packet from its source come in here, and be translated? */
static enum reason
check_source(struct router *router, const struct packet6 *p)
{
	struct way6 way;

	if (p->in == router->outside)
		return DROP_NAT_UNSOLICITED;
	if (ip6_is_link_local(&p->ip.src)) {
		output6_error(
		    router, p, ICMP6_UNREACHABLE, ICMP6_UNREACH_SCOPE, 0);
		return DROP_SCOPE;
	}
	/* It would come back (RFC 6146 3.5, 5.2). */
	if (nat64_has(router, &p->ip.src))
		return DROP_NAT64_ADDRESS;
	return way6_find(router, &p->ip.src, &way) && way.out == p->in
	    ? REASON_NONE
	    : DROP_MARTIAN;
}

/* Where does it go?  Only what is beyond the outer port and not exempt, or hides
 * behind its addresses, is translated. */
static enum reason
check_destination(struct router *router, const struct packet6 *p, uint32_t dst,
    struct place *to)
{
	if (!ip64_may_embed(&router->nat64->prefix, dst))
		return refuse(router, p, DROP_NAT64_ADDRESS);
	*to = *place_find(router, dst);
	if (to->martian || to->broadcast)
		return refuse(router, p, DROP_NAT64_ADDRESS);
	if (to->owner == NULL && to->route == NULL)
		return REASON_NONE; /* which IPv4 says itself */
	if (to->owner != router->outside &&
	    (to->owner != NULL || to->route->out != router->outside ||
		to->exempt))
		return refuse(router, p, DROP_NAT64_INSIDE);
	return REASON_NONE;
}

/* Makes q, in frame, of p. */
static enum reason
make_packet4(struct router *router, struct packet6 *p, const struct siit6 *head,
    const struct siit_new4 *to, struct packet *q, struct frame *frame)
{
	struct siit siit = nat64_translation(router, p->in);
	uint32_t len = (uint32_t)ETH_HEADER_BYTES + packet6_bytes(p), n;
	struct cursor c;
	struct writer w;
	enum reason reason;
	uint8_t *room;

	if (siit6_wants_whole(
		head, packet6_ip(p), p->head - ETH_HEADER_BYTES) &&
	    !packet6_whole(router, p))
		return DROP_PORT_FULL;
	if (!taken_view(
		router->outbox, p->frame, &p->bytes, &p->head, len, frame))
		return DROP_PORT_FULL;
	room = outbox_room(router->outbox, frame->head);
	if (room == NULL)
		return DROP_PORT_FULL;
	memset(room, 0, ETH_HEADER_BYTES);
	w = writer(room + ETH_HEADER_BYTES, frame->head - ETH_HEADER_BYTES);
	reason = siit_to4(
	    &siit, head, packet6_ip(p), frame->head - ETH_HEADER_BYTES, to, &w);
	if (reason != REASON_NONE)
		return reason;
	n = (uint32_t)(w.at - room);
	nat64_move_offload(frame, IP4_HEADER_BYTES - head->header_bytes);
	frame->len = n + (frame->len - frame->head);
	frame->head = n;
	frame->data = room;
	frame->verdict = p->frame->verdict;
	*q = (struct packet){ .in = p->in,
		.frame = frame,
		.bytes = room,
		.head = n,
		.now_ns = p->now_ns,
		.type = ETH_IPV4 };
	c = cursor(room + ETH_HEADER_BYTES, n - ETH_HEADER_BYTES);
	return ip4_parse_quoted(&q->ip, &c);
}

/* The packet of a host that has a virtual address, or an error of whom it may
 * be. */
static enum reason
take_from(struct router *router, struct packet6 *p, const struct siit6 *head,
    const struct siit_new4 *to4, const struct place *to)
{
	struct frame frame;
	struct packet q;
	enum reason reason = make_packet4(router, p, head, to4, &q, &frame);

	if (reason != REASON_NONE)
		return reason;
	if (!ip4_is_fragment(&q.ip))
		packet_read_l4(router, &q);
	reason = forward_to(router, &q, to);
	p->frame->verdict = frame.verdict;
	return reason;
}

static enum reason
take_whole(struct router *router, struct packet6 *p, const struct siit6 *head,
    struct siit_new4 *to4, const struct place *to)
{
	struct nat64_hosts *hosts = &router->nat64->hosts;
	enum reason reason;

	/* Who sends an error need be no host that has sessions. */
	if (siit6_wants_whole(head, packet6_ip(p), p->head - ETH_HEADER_BYTES))
		return take_from(router, p, head, to4, to);
	to4->src = nat64_hosts_take(hosts, &p->ip.src);
	if (to4->src == 0)
		return refuse(router, p, DROP_NAT64_FULL);
	reason = take_from(router, p, head, to4, to);
	nat64_hosts_leave(hosts, to4->src);
	return reason;
}

/* Makes whole, in frame, the packet that p is a fragment of. */
static enum reason
join(struct router *router, struct packet6 *p, const struct siit6 *head,
    struct packet6 *whole, struct frame *frame)
{
	const struct nat64_hosts *hosts = &router->nat64->hosts;
	uint8_t *ip = router->whole + ETH_HEADER_BYTES;
	/* As the table knows packets, which are of IPv4. */
	struct ip4 key = {
		.dst = nat64_hosts_hash(hosts, &p->ip.dst) + head->id,
		.id = (uint16_t)(head->id >> 16),
		.protocol = IP_ICMP6,
		.header_bytes = IP4_HEADER_BYTES,
		.offset_bytes = head->offset_bytes,
		.fragment = head->more ? IP4_MF : 0,
	};
	struct frame view;
	size_t bytes;
	enum reason reason;

	key.src = nat64_hosts_hash(hosts, &p->ip.src);
	key.total_bytes =
	    (uint16_t)(IP4_HEADER_BYTES + siit6_payload_bytes(head));
	if (!taken_view(router->outbox, p->frame, &p->bytes, &p->head,
		(uint32_t)ETH_HEADER_BYTES + packet6_bytes(p), &view))
		return DROP_PORT_FULL;
	reason = nat64_collect(
	    router, p->in, &key, &view, ip + IP6_HEADER_BYTES, &bytes);
	if (reason != REASON_NONE)
		return reason;
	memcpy(router->whole, p->bytes, ETH_HEADER_BYTES + IP6_HEADER_BYTES);
	put_be16(ip + IP6_OFF_PAYLOAD, (uint16_t)bytes);
	ip[IP6_OFF_NEXT] = IP_ICMP6;
	*whole = *p;
	whole->bytes = router->whole;
	whole->head = (uint32_t)(ETH_HEADER_BYTES + IP6_HEADER_BYTES + bytes);
	whole->ip.payload_bytes = (uint16_t)bytes;
	whole->ip.next = IP_ICMP6;
	*frame = (struct frame){ .data = router->whole,
		.len = whole->head,
		.head = whole->head,
		.verdict = p->frame->verdict };
	whole->frame = frame;
	return REASON_NONE;
}

/* A fragment of ICMPv6. */
static enum reason
take_piece(struct router *router, struct packet6 *p, const struct siit6 *head,
    struct siit_new4 *to4, const struct place *to)
{
	struct packet6 whole;
	struct frame frame;
	struct siit6 joined = *head;
	enum reason reason = join(router, p, head, &whole, &frame);

	if (reason != REASON_NONE)
		return reason;
	/* It may be cut again: that is what has_fragment stands for. */
	joined.ip = whole.ip;
	joined.header_bytes = IP6_HEADER_BYTES;
	joined.offset_bytes = 0;
	joined.more = false;
	if (siit6_wants_whole(
		&joined, packet6_ip(&whole), whole.head - ETH_HEADER_BYTES))
		return DROP_FRAGMENT;
	reason = take_whole(router, &whole, &joined, to4, to);
	p->frame->verdict = frame.verdict;
	return reason;
}

enum reason
nat64_take(struct router *router, struct packet6 *p)
{
	struct nat64 *nat64 = router->nat64;
	struct siit_new4 to4 = { .id = ip_ids_take(&router->ids, 0, 0, 0, 1),
		.partial = (p->frame->flags & FRAME_CSUM) != 0 };
	struct siit6 head;
	struct place to;
	enum reason reason = check_source(router, p);

	if (reason == REASON_NONE &&
	    !ip64_extract(&nat64->prefix, &p->ip.dst, &to4.dst))
		reason = DROP_NAT64_ADDRESS;
	if (reason == REASON_NONE)
		reason = check_destination(router, p, to4.dst, &to);
	if (reason != REASON_NONE)
		return reason;
	if (p->ip.hop_limit <= 1) {
		output6_error(router, p, ICMP6_TIME_EXCEEDED, 0, 0);
		return DROP_TTL;
	}
	reason = siit6_read(&head, packet6_ip(p), p->head - ETH_HEADER_BYTES);
	if (reason == DROP_SOURCE_ROUTE)
		output6_error(router, p, ICMP6_PARAMETER,
		    ICMP6_PARAMETER_HEADER, head.fault_at);
	if (reason != REASON_NONE)
		return reason;
	if (head.protocol == IP_ICMP6 && siit6_is_fragment(&head))
		return take_piece(router, p, &head, &to4, &to);
	return take_whole(router, p, &head, &to4, &to);
}

/* Brings an error about what was translated to IPv6 back to who sent it. */
enum reason
nat64_own(struct router *router, const uint8_t *ip, size_t bytes)
{
	struct siit siit = nat64_translation(router, router->outside);
	uint64_t now_ns = loop_now_ns(router->loop);
	struct siit_new4 to = { .id = ip_ids_take(&router->ids, 0, 0, 0, 1) };
	struct siit6 head;
	struct writer w;
	struct nat_hit hit;
	uint8_t *room;
	size_t n;

	if (siit6_read(&head, ip, bytes) != REASON_NONE ||
	    !siit6_wants_whole(&head, ip, bytes) ||
	    !ip64_extract(&router->nat64->prefix, &head.ip.dst, &to.dst))
		return DROP_NO_ROUTE;
	room = output_room(router, SIIT_MAX_ERROR4);
	if (room == NULL)
		return DROP_PORT_FULL;
	w = writer(room, SIIT_MAX_ERROR4);
	if (siit_to4(&siit, &head, ip, bytes, &to, &w) != REASON_NONE)
		return DROP_NAT_ICMP;
	n = (size_t)(w.at - room);
	if (nat_icmp_out(router->nat, room, n, now_ns, &hit) != REASON_NAT_ICMP)
		return DROP_NAT_ICMP;
	if (nat_has_address(router->nat, to.dst) &&
	    nat_icmp_in(router->nat, room, n, now_ns, &hit) != REASON_NAT_ICMP)
		return DROP_NAT_ICMP;
	return output_own(router, room, n);
}
