/*
 * sockets:ADDRESS/PREFIX[?host=yes&dns=ADDRESS] - a way out for those who may
 * nothing.
 *
 * The port is a station of the LAN with that address, and a gateway: what is
 * sent to it for anywhere goes out by ordinary sockets of this process, so the
 * host's own network does the rest, and no privilege is needed.  The network
 * sees the host alone.
 *
 * There is no table of translations here but that of the sockets.  UDP and echo
 * have one per inside address and port, which speaks with everybody
 * (endpoint-independent mapping and filtering, RFC 4787), so a NAT before it
 * shows its own behaviour.  TCP is ended here and made anew: nothing is kept
 * that the host's sockets do not keep.
 *
 * Not carried: fragments from the inside, other protocols, and connections
 * from outside.  The host's loopback network cannot be reached, but with
 * host=yes by the port's own address, and but for the host's name server, which
 * may be there, by the address that dns gives it.  What else the host can reach,
 * guests can.
 *
 * Limits: SOCKETS_FLOWS_MAX sockets of TCP and as many of UDP and echo, or what
 * the limit of open files leaves, of which neither kind takes more than three
 * quarters, so that a flood of one does not end the other; who is there stays,
 * and who comes too late is refused.  Of a connection some 400 bytes are kept
 * here, and no byte of its data but behind a hole (HELD_MAX).
 */
#include "bridge/port_sockets.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "bridge/host_resolver.h"
#include "bridge/sockets.h"
#include "net/arp.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/icmp.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "switch/locator.h"

#define TTL          64
#define SPARE_FDS    256 /* descriptors that are not ours */
#define DNS_PORT     53
#define RESOLVER_NS  NS_PER_S /* it is looked up anew after this */
#define HEADER_BYTES (ETH_HEADER_BYTES + IP4_HEADER_BYTES)
#define QUOTE_BYTES  (IP4_HEADER_BYTES + 528) /* RFC 1812 4.3.2.3 */

static_assert(SOCKETS_HEAD_BYTES >= HEADER_BYTES, "no room for headers");

/* ---- shared ---- */

struct sockaddr_in
sockets_outside(const struct sockets *s, uint32_t addr, uint16_t port)
{
	if (addr == s->net.addr)
		addr = INADDR_LOOPBACK;
	else if (s->dns != 0 && addr == s->dns)
		addr = s->resolver;
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(addr),
	};
}

uint32_t
sockets_inside(
    const struct sockets *s, uint32_t addr, uint16_t port, bool asks_dns)
{
	if (asks_dns && addr == s->resolver && port == DNS_PORT)
		return s->dns;
	return ip4_is_loopback(addr) ? s->net.addr : addr;
}

bool
sockets_full(const struct sockets *s, unsigned int of_kind)
{
	return of_kind >= s->max_flows ||
	    s->tcp_sockets + s->ndatagram >= s->room;
}

uint32_t
sockets_hash(
    const struct sockets *s, uint32_t a, uint32_t b, uint16_t c, uint16_t d)
{
	uint64_t x = ((uint64_t)a << 32 | b) ^ s->hash_key;

	/* Two rounds of multiplication and folding. */
	x = (x ^ x >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	x ^= (uint64_t)c << 16 | d;
	x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(x >> 32) % SOCKETS_BUCKETS;
}

unsigned int
sockets_pieces(const struct frame *frame, size_t offset, size_t n,
    struct iovec *out, unsigned int max)
{
	unsigned int used = 0;

	if (offset < frame->head && n > 0 && max > 0) {
		size_t here = frame->head - offset;

		if (here > n)
			here = n;
		out[used].iov_base = (void *)(uintptr_t)(frame->data + offset);
		out[used++].iov_len = here;
		n -= here;
		offset = 0;
	} else
		offset -= frame->head;
	for (unsigned int i = 0; i < frame->ntail && n > 0; i++) {
		size_t len = frame->tail[i].iov_len, here;

		if (offset >= len) {
			offset -= len;
			continue;
		}
		if (used == max)
			return 0;
		here = len - offset < n ? len - offset : n;
		out[used].iov_base =
		    (uint8_t *)frame->tail[i].iov_base + offset;
		out[used++].iov_len = here;
		n -= here;
		offset = 0;
	}
	return n == 0 ? used : 0;
}

uint32_t
sockets_sum(const struct frame *frame, size_t offset, size_t n)
{
	uint8_t part[2048];
	uint32_t sum = 0;

	for (size_t here; n > 0; offset += here, n -= here) {
		here = n < sizeof(part) ? n : sizeof(part);
		frame_copy(part, frame, offset, here);
		sum = csum_add(sum, csum_add_bytes(0, part, here));
	}
	return sum;
}

/* One of the addresses that we have on the LAN. */
static bool
is_ours(const struct sockets *s, uint32_t addr)
{
	return addr == s->net.addr || (s->dns != 0 && addr == s->dns);
}

/* ---- to the LAN ---- */

void
sockets_flush(struct sockets *s)
{
	struct burst out;

	if (s->out.n == 0)
		return;
	/* What the others answer may be staged meanwhile. */
	out = s->out;
	burst_clear(&s->out);
	port_send(&s->port, &out);
}

static void
write_headers(
    struct sockets *s, uint8_t *at, const struct mac *to, const struct ip4 *ip)
{
	struct writer w = writer(at, HEADER_BYTES);

	eth_write(
	    &w, &(struct eth){ .dst = *to, .src = s->mac, .type = ETH_IPV4 });
	ip4_write(&w, ip);
}

/* A packet that is too large, and finished. */
static void
send_fragments(struct sockets *s, const struct mac *to, const struct ip4 *whole,
    const uint8_t *l4, size_t l4_bytes)
{
	size_t each = (ETH_MTU - IP4_HEADER_BYTES) & ~(size_t)7;
	uint8_t frame[ETH_HEADER_BYTES + ETH_MTU];

	sockets_flush(s);
	for (size_t at = 0, here; at < l4_bytes; at += here) {
		struct ip4 ip = *whole;

		here = l4_bytes - at < each ? l4_bytes - at : each;
		ip.total_bytes = (uint16_t)(IP4_HEADER_BYTES + here);
		ip.offset_bytes = (uint16_t)at;
		ip.fragment = at + here < l4_bytes ? IP4_MF : 0;
		write_headers(s, frame, to, &ip);
		memcpy(frame + HEADER_BYTES, l4 + at, here);
		burst_add(&s->out, frame, HEADER_BYTES + here);
		sockets_flush(s);
	}
}

void
sockets_send(struct sockets *s, const struct mac *to, struct ip4 *ip,
    uint8_t *l4, size_t l4_bytes, uint16_t csum_offset, uint16_t mss,
    uint16_t l4_header_bytes)
{
	struct frame *frame;

	assert(l4_bytes <= IP4_MAX_BYTES - IP4_HEADER_BYTES);
	ip->header_bytes = IP4_HEADER_BYTES;
	ip->total_bytes = (uint16_t)(IP4_HEADER_BYTES + l4_bytes);
	ip->id = s->ip_id++;
	if (mss == 0 && ip->total_bytes > ETH_MTU) {
		uint16_t sum = csum_finish(csum_add_bytes(0, l4, l4_bytes));

		if (csum_offset != 0)
			put_be16(l4 + csum_offset, sum != 0 ? sum : 0xffff);
		send_fragments(s, to, ip, l4, l4_bytes);
		return;
	}
	write_headers(s, l4 - HEADER_BYTES, to, ip);
	if (s->out.n == BURST_MAX)
		sockets_flush(s);
	frame = burst_add(&s->out, l4 - HEADER_BYTES, HEADER_BYTES + l4_bytes);
	if (csum_offset == 0)
		return;
	frame->flags = FRAME_CSUM;
	frame->csum_start = HEADER_BYTES;
	frame->csum_offset = csum_offset;
	if (mss != 0 && l4_bytes > (size_t)l4_header_bytes + mss) {
		frame->flags |= FRAME_TSO4;
		frame->gso_bytes = mss;
		frame->header_bytes = HEADER_BYTES + l4_header_bytes;
	}
	s->out.flags |= frame->flags;
}

void
sockets_error(struct sockets *s, const struct mac *to, uint32_t from,
    uint8_t type, uint8_t code, uint32_t word, const struct ip4 *ip,
    const void *l4, size_t n)
{
	uint8_t quote[QUOTE_BYTES],
	    packet[SOCKETS_HEAD_BYTES + 8 + QUOTE_BYTES];
	struct ip4 head = *ip,
		   own = { .ttl = TTL,
			   .protocol = IP_ICMP,
			   .src = from,
			   .dst = ip->src };
	struct writer w = writer(quote, sizeof(quote));
	struct icmp icmp = { .type = type, .code = code, .word = word };

	if (n > QUOTE_BYTES - IP4_HEADER_BYTES)
		n = QUOTE_BYTES - IP4_HEADER_BYTES;
	head.header_bytes = IP4_HEADER_BYTES;
	head.options = NULL;
	ip4_write(&w, &head);
	wr_bytes(&w, l4, n);
	icmp.data = quote;
	icmp.data_bytes = IP4_HEADER_BYTES + n;
	w = writer(packet + SOCKETS_HEAD_BYTES, 8 + QUOTE_BYTES);
	icmp_write(&w, &icmp);
	sockets_send(s, to, &own, packet + SOCKETS_HEAD_BYTES,
	    ICMP_HEADER_BYTES + icmp.data_bytes, 0, 0, 0);
	sockets_flush(s);
}

/* ---- from the LAN ---- */

static enum reason
take_arp(struct sockets *s, struct cursor *c)
{
	uint8_t frame[ETH_MIN_BYTES];
	struct writer w = writer(frame, sizeof(frame));
	struct arp arp;
	enum reason reason = arp_parse(&arp, c);

	if (reason != DROP_NONE)
		return reason;
	if (arp.op != ARP_REQUEST || !is_ours(s, arp.target_ip) ||
	    is_ours(s, arp.sender_ip))
		return DROP_NOT_OURS;
	eth_write(&w,
	    &(struct eth){
		.dst = arp.sender_mac, .src = s->mac, .type = ETH_ARP });
	arp_write(&w,
	    &(struct arp){ .op = ARP_REPLY,
		.sender_mac = s->mac,
		.sender_ip = arp.target_ip,
		.target_mac = arp.sender_mac,
		.target_ip = arp.sender_ip });
	wr_zeros(&w, wr_left(&w));
	sockets_flush(s);
	burst_add(&s->out, frame, sizeof(frame));
	sockets_flush(s);
	return REASON_DELIVERED;
}

/* An echo request for ourselves. */
static enum reason
answer_echo(struct sockets *s, const struct sockets_packet *p)
{
	uint8_t packet[SOCKETS_HEAD_BYTES + IP4_MAX_BYTES];
	uint8_t *l4 = packet + SOCKETS_HEAD_BYTES;
	struct ip4 ip = { .ttl = TTL,
		.protocol = IP_ICMP,
		.src = p->ip.dst,
		.dst = p->ip.src };
	struct cursor c;
	struct icmp icmp;
	struct writer w;
	enum reason reason;

	frame_copy(l4, p->frame, p->l4_at, p->l4_bytes);
	c = cursor(l4, p->l4_bytes);
	reason = icmp_parse(&icmp, &c);
	if (reason != DROP_NONE)
		return reason;
	if (icmp.type != ICMP_ECHO_REQUEST)
		return DROP_NO_LISTENER;
	icmp.type = ICMP_ECHO_REPLY;
	w = writer(l4, p->l4_bytes);
	icmp_write(&w, &icmp);
	sockets_send(s, &p->from, &ip, l4, p->l4_bytes, 0, 0, 0);
	sockets_flush(s);
	return REASON_DELIVERED;
}

static enum reason
unreachable(struct sockets *s, const struct sockets_packet *p, uint8_t code,
    enum reason reason)
{
	sockets_error(s, &p->from, s->net.addr, ICMP_UNREACHABLE, code, 0,
	    &p->ip, p->l4, p->l4_head_bytes);
	return reason;
}

enum reason
sockets_check_dns(
    struct sockets *s, const struct sockets_packet *p, uint16_t port)
{
	uint64_t now = loop_now_ns(s->loop);

	if (s->dns == 0 || p->ip.dst != s->dns)
		return DROP_NONE;
	if (port != DNS_PORT)
		return unreachable(
		    s, p, ICMP_UNREACH_PORT, DROP_SOCKETS_RESOLVER);
	if (s->resolver_ns == 0 || now - s->resolver_ns > RESOLVER_NS) {
		s->resolver = host_resolver();
		s->resolver_ns = now;
	}
	if (s->resolver == 0)
		return unreachable(
		    s, p, ICMP_UNREACH_HOST, DROP_SOCKETS_RESOLVER);
	return DROP_NONE;
}

/* Where it goes to is somewhere that it may go. */
static enum reason
check_destination(struct sockets *s, const struct sockets_packet *p)
{
	uint32_t dst = p->ip.dst, src = p->ip.src;

	if (ip4_is_multicast(dst) || ip4_is_multicast(src))
		return DROP_MULTICAST;
	if (dst >> 24 == 0 || dst >> 28 == 0xf || src >> 24 == 0 ||
	    src >> 28 == 0xf || ip4_is_loopback(dst) || ip4_is_loopback(src) ||
	    is_ours(s, src))
		return DROP_MARTIAN;
	if (dst == ip4_net_broadcast(s->net))
		return DROP_BROADCAST_FORWARD;
	if (!is_ours(s, dst) && ip4_net_has(s->net, dst))
		return unreachable(s, p, ICMP_UNREACH_HOST, DROP_NO_ROUTE);
	if (ip4_is_fragment(&p->ip))
		return DROP_FRAGMENT;
	if (p->ip.ttl <= 1 && !is_ours(s, dst)) {
		sockets_error(s, &p->from, s->net.addr, ICMP_TIME_EXCEEDED, 0,
		    0, &p->ip, p->l4, p->l4_head_bytes);
		return DROP_TTL;
	}
	return DROP_NONE;
}

static void
take_ip4(struct sockets *s, struct sockets_packet *p, struct frame *frame,
    struct cursor *c)
{
	size_t at =
	    frame->head < FRAME_HEAD_BYTES ? frame->head : FRAME_HEAD_BYTES;
	enum reason reason = ip4_parse_quoted(&p->ip, c);

	p->frame = frame;
	p->trusted = (frame->flags & (FRAME_CSUM | FRAME_VALID)) != 0;
	p->l4_at = at - cur_left(c);
	if (reason == DROP_NONE &&
	    (p->ip.total_bytes < p->ip.header_bytes ||
		p->l4_at - p->ip.header_bytes + p->ip.total_bytes > frame->len))
		reason = DROP_IP_LENGTH;
	if (reason == DROP_NONE) {
		p->l4_bytes = (size_t)p->ip.total_bytes - p->ip.header_bytes;
		p->l4 = c->at;
		p->l4_head_bytes =
		    cur_left(c) < p->l4_bytes ? cur_left(c) : p->l4_bytes;
		reason = check_destination(s, p);
	}
	if (reason == DROP_NONE && p->ip.dst == s->net.addr && !s->host &&
	    p->ip.protocol != IP_ICMP)
		reason = unreachable(
		    s, p, ICMP_UNREACH_PROHIBITED, DROP_NO_LISTENER);
	if (reason == DROP_NONE && p->ip.protocol == IP_ICMP &&
	    is_ours(s, p->ip.dst))
		reason = answer_echo(s, p);
	if (reason != DROP_NONE)
		node_judge(s->port.node, frame, reason);
	else if (p->ip.protocol == IP_TCP)
		sockets_tcp(s, p, frame);
	else if (p->ip.protocol == IP_UDP)
		sockets_udp(s, p, frame);
	else if (p->ip.protocol == IP_ICMP)
		sockets_echo(s, p, frame);
	else
		node_judge(s->port.node, frame,
		    unreachable(s, p, ICMP_UNREACH_PROTOCOL, DROP_PROTOCOL));
}

static void
take_one(struct sockets *s, struct frame *frame)
{
	/* A copy: a guest may change the headers while we read them. */
	uint8_t head[FRAME_HEAD_BYTES];
	size_t n =
	    frame->head < FRAME_HEAD_BYTES ? frame->head : FRAME_HEAD_BYTES;
	struct sockets_packet p;
	struct cursor c;
	struct eth eth;
	enum reason reason;

	memcpy(head, frame->data, n);
	c = cursor(head, n);
	reason = eth_parse(&eth, &c);
	if (reason == DROP_NONE && !mac_equal(&eth.dst, &s->mac) &&
	    !(eth.type == ETH_ARP && mac_is_group(&eth.dst)))
		reason = DROP_NOT_OURS;
	if (reason == DROP_NONE && eth.nvlans > 0)
		reason = DROP_VLAN_TAGGED;
	if (reason == DROP_NONE && eth.type == ETH_IPV4) {
		p.from = eth.src;
		take_ip4(s, &p, frame, &c);
		return;
	}
	if (reason == DROP_NONE)
		reason = eth.type == ETH_ARP ? take_arp(s, &c) : DROP_ETH_TYPE;
	node_judge(s->port.node, frame, reason);
}

static void
take(struct port *port, struct burst *burst)
{
	struct sockets *s = (struct sockets *)port;

	for (unsigned int i = 0; i < burst->n; i++)
		take_one(s, &burst->frame[i]);
	sockets_datagram_end(s);
	sockets_tcp_end(s);
}

/* ---- the port ---- */

static void
close_sockets(struct port *port)
{
	struct sockets *s = (struct sockets *)port;

	sockets_datagram_free(s);
	sockets_tcp_free(s);
	free(s->pool);
	free(s);
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct sockets *s = (const struct sockets *)port;

	snprintf(out, len,
	    "%u TCP connections, %u sockets of UDP and echo, of %u each and "
	    "%u together",
	    s->tcp_sockets, s->ndatagram, s->max_flows, s->room);
	return out;
}

static const struct port_ops sockets_ops = {
	.take = take,
	.close = close_sockets,
	.describe = describe,
};

/* What a locator says of the way out. */
struct said {
	struct ip4_net net;
	bool host;
	uint32_t dns; /* 0: none */
};

static int
read_dns(
    struct said *said, const char *name, const char *value, struct err *err)
{
	if (!ip4_read(&said->dns, value))
		return err_set(err, -EINVAL,
		    "%s: \"dns=%s\" is no IPv4 address; use a free one of the "
		    "LAN, as 10.0.2.3",
		    name, value);
	if (!ip4_net_has(said->net, said->dns) || said->dns == said->net.addr ||
	    (said->dns & ~ip4_mask(said->net.prefix)) == 0 ||
	    said->dns == ip4_net_broadcast(said->net))
		return err_set(err, -EINVAL,
		    "%s: \"dns=%s\" is no other host of the LAN; use a free "
		    "address of it",
		    name, value);
	return 0;
}

static int
read_locator(
    struct said *said, const char *name, const char *rest, struct err *err)
{
	static const char *const keys[] = { "host", "dns", NULL };
	struct ip4_net *net = &said->net;
	const char *value;
	struct locator l;
	int e = locator_read(&l, name, rest, keys, err);

	*said = (struct said){ .host = false };
	if (e < 0)
		return e;
	if (!ip4_net_read(net, l.place) || net->prefix > 30 ||
	    net->prefix < 8 || ip4_is_multicast(net->addr) ||
	    ip4_is_loopback(net->addr) ||
	    (net->addr & ~ip4_mask(net->prefix)) == 0 ||
	    net->addr == ip4_net_broadcast(*net))
		return err_set(err, -EINVAL,
		    "%s: \"sockets:%s\" has no address for the gateway; use "
		    "one of the LAN with its prefix length, as "
		    "sockets:10.0.2.2/24",
		    name, l.place);
	value = locator_get(&l, "host", 0);
	if (value != NULL && strcmp(value, "yes") != 0 &&
	    strcmp(value, "no") != 0)
		return err_set(err, -EINVAL,
		    "%s: \"host=%s\" is not known; use yes or no", name, value);
	said->host = value != NULL && strcmp(value, "yes") == 0;
	value = locator_get(&l, "dns", 0);
	return value != NULL ? read_dns(said, name, value, err) : 0;
}

static int
check_sockets(const char *name, const char *rest, struct err *err)
{
	struct said said;

	return read_locator(&said, name, rest, err);
}

/* How many sockets there may be, and of one kind: what the process's limit
 * leaves, up to our own. */
static void
find_room(struct sockets *s)
{
	struct rlimit limit;
	rlim_t want = 2 * SOCKETS_FLOWS_MAX + 2 * SPARE_FDS;

	s->room = 2 * SPARE_FDS;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < want) {
		limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		if (limit.rlim_cur >= want)
			s->room = 2 * SOCKETS_FLOWS_MAX;
		else if (limit.rlim_cur > 4 * SPARE_FDS)
			s->room = (unsigned int)(limit.rlim_cur - SPARE_FDS);
	}
	s->max_flows = s->room - s->room / 4;
	if (s->max_flows > SOCKETS_FLOWS_MAX)
		s->max_flows = SOCKETS_FLOWS_MAX;
}

static struct port *
open_sockets(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct sockets *s = calloc(1, sizeof(*s));
	struct said said;

	if (s != NULL) {
		s->loop = loop;
		s->pool = malloc(SOCKETS_POOL_BYTES);
	}
	if (s == NULL || s->pool == NULL || sockets_tcp_init(s) < 0 ||
	    sockets_datagram_init(s) < 0) {
		if (s != NULL)
			close_sockets(&s->port);
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_init(&s->port, &sockets_ops, node, name);
	if (getrandom(&s->hash_key, sizeof(s->hash_key), 0) < 0)
		s->hash_key = (uint32_t)loop_wall_ns(loop);
	s->mac = mac_of_name(name);
	find_room(s);
	if (read_locator(&said, name, rest, err) < 0) {
		close_sockets(&s->port);
		return NULL;
	}
	s->net = said.net;
	s->host = said.host;
	s->dns = said.dns;
	return &s->port;
}

const struct port_kind port_sockets = {
	.scheme = "sockets",
	.syntax = "sockets:ADDRESS/PREFIX",
	.check = check_sockets,
	.open = open_sockets,
};
