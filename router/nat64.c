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
 * What leads to a virtual address is a way whose interface stands for one of the
 * real ones: smaller by what headers grow, so that the NAT's own checks of sizes
 * and its errors are right.  What is sent there, be it forwarded, of the router
 * itself, or an error, becomes IPv6 last of all (nat64_output).  Errors that the
 * router makes about a translated packet are written for the virtual address
 * and take the same way.  The address of such an interface is 0.0.0.0, which
 * becomes the router's own IPv6 address.
 *
 * Rejected: sessions with IPv6 ends.  Two addresses of 16 bytes more make an
 * entry larger than a line of the cache and than 128 bytes in all, also for
 * those who have no IPv6; and a table beside the NAT's would need each rule
 * twice, with outside ports of its own.
 *
 * Packets that would become fragments of ICMP are refused, DROP_FRAGMENT: the
 * checksum of ICMPv6 holds the length of the whole message (net/siit.c).
 */
#include "router/nat64.h"

#include <errno.h>
#include <stdlib.h>

#include "base/loop.h"
#include "net/icmp.h"
#include "net/siit.h"
#include "router/nat64_hosts.h"
#include "router/nat_ports.h" /* nat_random() */
#include "router/taken.h"
#include "switch/offload.h"

#define GROWTH (IP6_HEADER_BYTES - IP4_HEADER_BYTES)
/* What a fragment holds: IPv4's may be cut, so that they fit any link (RFC 7915
 * 4). */
#define PART_BYTES ((IP6_MIN_MTU - IP6_HEADER_BYTES - IP6_FRAGMENT_BYTES) & ~7u)

struct nat64 {
	struct ip64_prefix prefix;
	struct nat64_hosts hosts;
	unsigned int nlinks;
	struct iface *links[ROUTER_PORTS_MAX]; /* to virtual addresses */
};

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

static bool
to6(const void *arg, uint32_t ip4, struct ip6_addr *addr)
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

static struct siit
translation(const struct router *router, const struct iface *inside)
{
	return (struct siit){ .to4 = to4,
		.to6 = to6,
		.arg = router->nat64,
		.mtu4_bytes = router->outside->mtu_bytes,
		.mtu6_bytes = inside->mtu_bytes };
}

/* ---- from IPv6 ---- */

/* Headers shrink or grow: what an offload says of where they are. */
static void
move_offload(struct frame *frame, int by)
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
	if (ip6_is_link_local(&p->ip.src))
		return DROP_SCOPE;
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
	struct siit siit = translation(router, p->in);
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
	move_offload(frame, IP4_HEADER_BYTES - head->header_bytes);
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

enum reason
nat64_take(struct router *router, struct packet6 *p)
{
	struct nat64 *nat64 = router->nat64;
	struct siit_new4 to4 = { .id = router->next_id,
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
	router->next_id++;
	/* Who sends an error need be no host that has sessions. */
	if (siit6_wants_whole(&head, packet6_ip(p), p->head - ETH_HEADER_BYTES))
		return take_from(router, p, &head, &to4, &to);
	to4.src = nat64_hosts_take(&nat64->hosts, &p->ip.src);
	if (to4.src == 0)
		return refuse(router, p, DROP_NAT64_FULL);
	reason = take_from(router, p, &head, &to4, &to);
	nat64_hosts_leave(&nat64->hosts, to4.src);
	return reason;
}

/* Brings an error about what was translated to IPv6 back to who sent it. */
enum reason
nat64_own(struct router *router, const uint8_t *ip, size_t bytes)
{
	struct siit siit = translation(router, router->outside);
	uint64_t now_ns = loop_now_ns(router->loop);
	struct siit_new4 to = { .id = router->next_id++ };
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

/* ---- to IPv6 ---- */

/* One packet on its way to a host. */
struct crossing {
	struct router *router;
	struct way6 way;
	const struct verdict *cause;
	struct frame frame; /* of IPv4, and then of IPv6 */
	struct ip4 ip;
	struct siit_new6 to;
};

static const uint8_t *
crossing_ip(const struct crossing *x)
{
	return x->frame.data + ETH_HEADER_BYTES;
}

/* From whom: the sender, or, if that is the router or an error of one whose
 * address cannot be told, the router itself (RFC 6791 3). */
static bool
choose_source(struct crossing *x)
{
	const struct nat64 *nat64 = x->router->nat64;
	const uint8_t *l4 = crossing_ip(x) + x->ip.header_bytes;
	bool is_error = x->ip.protocol == IP_ICMP && !ip4_is_fragment(&x->ip) &&
	    x->frame.head > ETH_HEADER_BYTES + (size_t)x->ip.header_bytes &&
	    icmp_is_error(l4[0]);

	if (nat64_is_virtual(x->ip.src) ||
	    ip64_may_embed(&nat64->prefix, x->ip.src))
		return to6(nat64, x->ip.src, &x->to.src);
	if (x->ip.src != 0 && !is_error)
		return false;
	x->to.src = *iface6_source(x->way.out, &x->to.dst);
	return true;
}

/* Makes all of the packet contiguous.  False: no room. */
static bool
gather(struct crossing *x)
{
	struct frame *f = &x->frame;
	uint8_t *room;

	if (f->head == f->len)
		return true;
	room = outbox_room(x->router->outbox, f->len);
	if (room == NULL)
		return false;
	frame_copy(room, f, 0, f->len);
	f->data = room;
	f->head = f->len;
	f->tail = NULL;
	f->ntail = 0;
	x->ip.options = crossing_ip(x) + IP4_HEADER_BYTES;
	return true;
}

/* What an offload left to do is done: nobody could do it later. */
static bool
finish_checksum(struct crossing *x)
{
	struct frame *f = &x->frame;
	uint8_t *room;

	if (!(f->flags & FRAME_CSUM))
		return true;
	room = outbox_room(x->router->outbox, f->len);
	if (room == NULL)
		return false;
	frame_copy(room, f, 0, f->len);
	offload_checksum(room, f);
	f->data = room;
	f->head = f->len;
	f->tail = NULL;
	f->ntail = 0;
	f->flags &= (uint8_t)~FRAME_TODO;
	x->ip.options = crossing_ip(x) + IP4_HEADER_BYTES;
	return true;
}

/* Is it to be cut?  What must not be, was refused if it is too big. */
static bool
must_cut(const struct crossing *x)
{
	size_t bytes = (size_t)x->ip.total_bytes - x->ip.header_bytes +
	    IP6_HEADER_BYTES +
	    (ip4_is_fragment(&x->ip) ? IP6_FRAGMENT_BYTES : 0);

	return !(x->ip.fragment & IP4_DF) && !(x->frame.flags & FRAME_TSO4) &&
	    bytes > IP6_MIN_MTU;
}

/* The frame's packet becomes one of IPv6. */
static enum reason
convert(struct crossing *x)
{
	struct frame *f = &x->frame;
	struct siit siit = translation(x->router, x->way.out);
	size_t room_bytes = f->head + SIIT_MAX_GROWTH;
	uint8_t *room;
	struct writer w;
	enum reason reason;
	uint32_t n;

	if (room_bytes < ETH_HEADER_BYTES + SIIT_MAX_ERROR6)
		room_bytes = ETH_HEADER_BYTES + SIIT_MAX_ERROR6;
	room = outbox_room(x->router->outbox, room_bytes);
	if (room == NULL)
		return DROP_PORT_FULL;
	w = writer(room + ETH_HEADER_BYTES, room_bytes - ETH_HEADER_BYTES);
	x->to.partial = (f->flags & FRAME_CSUM) != 0;
	reason = siit_to6(&siit, &x->ip, crossing_ip(x),
	    f->head - ETH_HEADER_BYTES, &x->to, &w);
	if (reason != REASON_NONE)
		return reason;
	n = (uint32_t)(w.at - room);
	move_offload(f, IP6_HEADER_BYTES - x->ip.header_bytes);
	f->len = n + (f->len - f->head);
	f->head = n;
	f->data = room;
	/* Segments are as long as who cuts them likes. */
	if (f->flags & FRAME_TSO6 &&
	    f->header_bytes + (size_t)f->gso_bytes >
		ETH_HEADER_BYTES + (size_t)x->way.out->mtu_bytes)
		f->gso_bytes = (uint16_t)(ETH_HEADER_BYTES +
		    x->way.out->mtu_bytes - f->header_bytes);
	return REASON_NONE;
}

/* Sends a part of a packet of IPv6, which begins with header: bytes from at on
 * of its payload, at offset in what was one packet once. */
static enum reason
send_part(struct crossing *x, const uint8_t *header, const uint8_t *payload,
    size_t bytes, size_t offset, bool more)
{
	size_t len =
	    ETH_HEADER_BYTES + IP6_HEADER_BYTES + IP6_FRAGMENT_BYTES + bytes;
	uint8_t *room = outbox_room(x->router->outbox, len), *ip;
	struct frame frame = {
		.data = room, .len = (uint32_t)len, .head = (uint32_t)len
	};

	if (room == NULL)
		return DROP_PORT_FULL;
	ip = room + ETH_HEADER_BYTES;
	memcpy(ip, header, IP6_HEADER_BYTES);
	put_be16(ip + 4, (uint16_t)(IP6_FRAGMENT_BYTES + bytes));
	ip[SIIT_OFF_NEXT] = IP_FRAGMENT;
	ip += IP6_HEADER_BYTES;
	ip[0] = x->ip.protocol == IP_ICMP ? IP_ICMP6 : x->ip.protocol;
	ip[1] = 0;
	put_be16(ip + 2, (uint16_t)(offset | (more ? IP6_MORE : 0)));
	put_be32(ip + 4, x->ip.id);
	memcpy(ip + IP6_FRAGMENT_BYTES, payload, bytes);
	return output6_ip(x->router, &x->way, &frame, room, x->cause);
}

static enum reason
send_cut(struct crossing *x)
{
	const uint8_t *header = crossing_ip(x);
	size_t skip = IP6_HEADER_BYTES +
	    (ip4_is_fragment(&x->ip) ? IP6_FRAGMENT_BYTES : 0);
	size_t bytes = x->frame.len - ETH_HEADER_BYTES - skip;
	size_t n = bytes / PART_BYTES + 1;
	enum reason worst = REASON_NONE;

	if (!outbox_has_room(x->router->outbox, (unsigned int)n,
		bytes + n * (ETH_HEADER_BYTES + IP6_HEADER_BYTES + 8)))
		return DROP_PORT_FULL;
	for (size_t at = 0; at < bytes; at += PART_BYTES) {
		bool last = bytes - at <= PART_BYTES;
		enum reason reason = send_part(x, header, header + skip + at,
		    last ? bytes - at : PART_BYTES, x->ip.offset_bytes + at,
		    !last || x->ip.fragment & IP4_MF);

		if (reason != REASON_NONE)
			worst = reason;
	}
	return worst;
}

/* May it leave by the router's filter? */
static bool
passes(const struct crossing *x)
{
	struct router *router = x->router;

	return router->filter == NULL ||
	    packet_filter_decide(router->filter, NULL, x->way.out,
		x->frame.data, x->frame.head,
		x->frame.len) == ROUTER_FILTER_PASS;
}

enum reason
nat64_output(struct router *router, const struct way *way,
    const struct frame *frame, const struct verdict *cause)
{
	struct crossing x = {
		.router = router, .cause = cause, .frame = *frame
	};
	const struct ip6_addr *host = nat64_host(router, way->next_hop);
	struct cursor c = cursor(
	    frame->data + ETH_HEADER_BYTES, frame->head - ETH_HEADER_BYTES);
	enum reason reason = ip4_parse_quoted(&x.ip, &c);
	bool cut;

	if (reason != REASON_NONE)
		return reason;
	if (host == NULL || !way6_find(router, host, &x.way))
		return DROP_NO_ROUTE;
	x.to.dst = *host;
	if (!choose_source(&x))
		return DROP_NAT64_ADDRESS;
	cut = must_cut(&x);
	if (cut && !finish_checksum(&x))
		return DROP_PORT_FULL;
	if ((cut ||
		siit4_wants_whole(
		    &x.ip, crossing_ip(&x), x.frame.head - ETH_HEADER_BYTES)) &&
	    !gather(&x))
		return DROP_PORT_FULL;
	reason = convert(&x);
	if (reason != REASON_NONE)
		return reason;
	memset((uint8_t *)(uintptr_t)x.frame.data, 0, ETH_HEADER_BYTES);
	if (!passes(&x))
		return DROP_FILTERED;
	return cut ? send_cut(&x)
		   : output6_ip(router, &x.way, &x.frame,
			 (uint8_t *)(uintptr_t)x.frame.data, cause);
}
