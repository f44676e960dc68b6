/*
 * UDP and ICMP echo by sockets: one for each inside address and port, or
 * identifier, that sends to and hears from everybody.
 *
 * A UDP socket gets the inside's port if that is free and the host lets us, so
 * a NAT before us that preserves ports is seen to.  Ping sockets
 * (net.ipv4.ping_group_range) have an identifier of the kernel's choosing.  The
 * TTL goes along, and ICMP errors come back by the sockets' error queues, so
 * traceroute works from inside.
 *
 * A socket ends when nothing passed for IDLE_S.  One that asked name servers
 * alone does after DNS_IDLE_S: resolvers take a new port for each question, and
 * a busy one would have all sockets there are.  No packet touches a timer: the
 * timer looks at the time of the last one when it rings.
 */
#include "bridge/sockets.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/checksum.h"
#include "net/icmp.h"
#include "net/udp.h"

#define IDLE_S      300 /* RFC 4787 REQ-5 */
#define DNS_IDLE_S  10  /* REQ-5a */
#define ECHO_IDLE_S 60  /* RFC 5508 REQ-1 */
#define DNS_PORT    53
#define TTL         64

#define SLOT_BYTES (SOCKETS_HEAD_BYTES + 65536)
#define SLOTS      (SOCKETS_POOL_BYTES / SLOT_BYTES)
#define PIECES     8 /* of a datagram that is sent without joining them */

struct datagram_flow {
	LIST_ENTRY(datagram_flow) others;
	struct sockets *s;
	struct loop_watch *watch;
	struct loop_timer timer;
	int fd;
	uint8_t protocol; /* IP_UDP, IP_ICMP */
	uint32_t in_ip;
	uint16_t in_port; /* IP_ICMP: the identifier */
	bool asks_dns;    /* our name server */
	bool dns_alone;   /* nothing but name servers, ours or others */
	uint64_t last_ns;
	struct mac mac;
};

/* What is to leave by one socket. */
struct datagram_burst {
	struct datagram_flow *flow;
	unsigned int n;
	bool ending; /* it is being sent: what comes meanwhile is refused */
	struct mmsghdr msg[BURST_MAX];
	struct sockaddr_in to[BURST_MAX];
	struct iovec piece[BURST_MAX][PIECES];
	union {
		struct cmsghdr head; /* for its alignment */
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} ttl[BURST_MAX];
	struct frame *frame[BURST_MAX];
	uint8_t joined[BURST_MAX][ICMP_HEADER_BYTES];
};

/* ---- from outside ---- */

static uint32_t
inside(const struct datagram_flow *flow, const struct sockaddr_in *from)
{
	return sockets_inside(flow->s, ntohl(from->sin_addr.s_addr),
	    ntohs(from->sin_port), flow->asks_dns);
}

static void
deliver_udp(struct datagram_flow *flow, const struct sockaddr_in *from,
    uint8_t *slot, size_t n)
{
	struct sockets *s = flow->s;
	uint8_t *l4 = slot + SOCKETS_HEAD_BYTES;
	struct ip4 ip = { .ttl = TTL,
		.protocol = IP_UDP,
		.src = inside(flow, from),
		.dst = flow->in_ip };
	uint16_t len = (uint16_t)(UDP_HEADER_BYTES + n);

	put_be16(l4, ntohs(from->sin_port));
	put_be16(l4 + 2, flow->in_port);
	put_be16(l4 + 4, len);
	put_be16(l4 + UDP_OFF_CHECKSUM,
	    csum_fold(csum_pseudo4(ip.src, ip.dst, IP_UDP, len)));
	sockets_send(s, &flow->mac, &ip, l4, len, UDP_OFF_CHECKSUM, 0, 0);
}

static void
deliver_echo(struct datagram_flow *flow, const struct sockaddr_in *from,
    uint8_t *slot, size_t n)
{
	struct sockets *s = flow->s;
	uint8_t *l4 = slot + SOCKETS_HEAD_BYTES;
	struct ip4 ip = { .ttl = TTL,
		.protocol = IP_ICMP,
		.src = inside(flow, from),
		.dst = flow->in_ip };
	struct cursor c = cursor(l4, n);
	struct writer w = writer(l4, n);
	struct icmp icmp;

	if (icmp_parse(&icmp, &c) != DROP_NONE || icmp.type != ICMP_ECHO_REPLY)
		return;
	icmp.echo.id = flow->in_port;
	icmp_write(&w, &icmp);
	sockets_send(s, &flow->mac, &ip, l4, n, 0, 0, 0);
}

/* Reads a burst, and sends it on.  False: there was none, or an error. */
static bool
receive(struct datagram_flow *flow)
{
	struct sockets *s = flow->s;
	size_t before = SOCKETS_HEAD_BYTES +
	    (flow->protocol == IP_UDP ? UDP_HEADER_BYTES : 0);
	struct sockaddr_in from[SLOTS];
	struct iovec piece[SLOTS];
	struct mmsghdr msg[SLOTS] = { 0 };
	int n;

	for (unsigned int i = 0; i < SLOTS; i++) {
		piece[i].iov_base = s->pool + i * SLOT_BYTES + before;
		piece[i].iov_len = SLOT_BYTES - before;
		msg[i].msg_hdr.msg_iov = &piece[i];
		msg[i].msg_hdr.msg_iovlen = 1;
		msg[i].msg_hdr.msg_name = &from[i];
		msg[i].msg_hdr.msg_namelen = sizeof(from[i]);
	}
	n = recvmmsg(flow->fd, msg, SLOTS, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return false;
	flow->last_ns = loop_now_ns(s->loop);
	for (int i = 0; i < n; i++) {
		uint8_t *slot = s->pool + (unsigned int)i * SLOT_BYTES;

		if (flow->protocol == IP_UDP)
			deliver_udp(flow, &from[i], slot, msg[i].msg_len);
		else
			deliver_echo(flow, &from[i], slot, msg[i].msg_len);
	}
	sockets_flush(s);
	return true;
}

/* An ICMP error, of which flow's guest is told, about what it sent to to: n
 * bytes of it are at data, behind the header of UDP. */
static void
tell_error(struct datagram_flow *flow, uint32_t from, uint8_t type,
    uint8_t code, uint32_t word, const struct sockaddr_in *to,
    const uint8_t *data, size_t n)
{
	size_t before = flow->protocol == IP_UDP ? UDP_HEADER_BYTES : 0;
	uint8_t l4[UDP_HEADER_BYTES + 512] = { 0 };
	struct ip4 ip = { .ttl = 1,
		.protocol = flow->protocol,
		.src = flow->in_ip,
		.dst = inside(flow, to) };

	if (n > sizeof(l4) - before)
		n = sizeof(l4) - before;
	memcpy(l4 + before, data, n);
	ip.total_bytes = (uint16_t)(IP4_HEADER_BYTES + before + n);
	if (flow->protocol == IP_UDP) {
		put_be16(l4, flow->in_port);
		put_be16(l4 + 2, ntohs(to->sin_port));
		put_be16(l4 + 4, (uint16_t)(UDP_HEADER_BYTES + n));
	} else if (n >= ICMP_HEADER_BYTES)
		put_be16(l4 + ICMP_OFF_ID, flow->in_port);
	sockets_error(
	    flow->s, &flow->mac, from, type, code, word, &ip, l4, before + n);
}

/* The error that e tells. */
static void
pass_error(struct datagram_flow *flow, const struct sock_extended_err *e,
    const struct sockaddr_in *to, const uint8_t *data, size_t n)
{
	const struct sockaddr_in *offender =
	    (const struct sockaddr_in *)SO_EE_OFFENDER(e);
	uint32_t from = flow->s->net.addr;

	if (e->ee_origin == SO_EE_ORIGIN_LOCAL && e->ee_errno == EMSGSIZE) {
		tell_error(flow, from, ICMP_UNREACHABLE, ICMP_UNREACH_NEEDFRAG,
		    e->ee_info & 0xffff, to, data, n);
		return;
	}
	if (e->ee_origin != SO_EE_ORIGIN_ICMP)
		return;
	if (offender->sin_family == AF_INET)
		from = sockets_inside(
		    flow->s, ntohl(offender->sin_addr.s_addr), 0, false);
	tell_error(flow, from, e->ee_type, e->ee_code,
	    e->ee_type == ICMP_UNREACHABLE &&
		    e->ee_code == ICMP_UNREACH_NEEDFRAG
		? e->ee_info & 0xffff
		: 0,
	    to, data, n);
}

/* Takes one from the error queue.  False: there is none. */
static bool
receive_error(struct datagram_flow *flow)
{
	union {
		struct cmsghdr head;
		uint8_t bytes[512];
	} control;
	uint8_t data[512];
	struct sockaddr_in to = { 0 };
	struct iovec piece = { data, sizeof(data) };
	struct msghdr msg = { .msg_name = &to,
		.msg_namelen = sizeof(to),
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(flow->fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT);

	if (n < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL;
	     c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR &&
		    c->cmsg_len >= CMSG_LEN(sizeof(struct sock_extended_err) +
				       sizeof(struct sockaddr_in)))
			pass_error(flow, (const void *)CMSG_DATA(c), &to, data,
			    (size_t)n);
	return true;
}

static void
readable(void *arg, unsigned int events)
{
	struct datagram_flow *flow = arg;

	(void)events;
	/* Level-triggered: what is left comes the next time, and so do errors
	 * where there is data. */
	if (receive(flow))
		return;
	for (unsigned int i = 0; i < BURST_MAX && receive_error(flow); i++)
		;
}

/* ---- flows ---- */

static void
flow_free(struct datagram_flow *flow)
{
	struct sockets *s = flow->s;

	LIST_REMOVE(flow, others);
	s->ndatagram--;
	loop_timer_unset(&flow->timer);
	loop_watch_free(flow->watch);
	close(flow->fd);
	free(flow);
}

static uint64_t
idle_ns(const struct datagram_flow *flow)
{
	if (flow->protocol != IP_UDP)
		return ECHO_IDLE_S * NS_PER_S;
	return (flow->dns_alone ? DNS_IDLE_S : IDLE_S) * NS_PER_S;
}

static void
look_at_idle(void *arg)
{
	struct datagram_flow *flow = arg;
	uint64_t end = flow->last_ns + idle_ns(flow);

	if (end > loop_now_ns(flow->s->loop))
		loop_timer_set(&flow->timer, end);
	else
		flow_free(flow);
}

static int
open_socket(uint8_t protocol, uint16_t port)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    protocol == IP_UDP ? IPPROTO_UDP : IPPROTO_ICMP);
	int on = 1;

	if (fd < 0)
		return -1;
	/* A port that is taken, or not for us: the kernel chooses one. */
	if (protocol == IP_UDP)
		(void)bind(fd, (struct sockaddr *)&own, sizeof(own));
	(void)setsockopt(fd, SOL_IP, IP_RECVERR, &on, sizeof(on));
	return fd;
}

static struct datagram_flow *
flow_new(
    struct sockets *s, uint8_t protocol, uint32_t ip, uint16_t port, bool dns)
{
	struct datagram_flow *flow;

	if (sockets_full(s, s->ndatagram))
		return NULL;
	flow = calloc(1, sizeof(*flow));
	if (flow == NULL)
		return NULL;
	flow->s = s;
	flow->protocol = protocol;
	flow->in_ip = ip;
	flow->in_port = port;
	flow->dns_alone = dns;
	flow->fd = open_socket(protocol, port);
	if (flow->fd >= 0)
		flow->watch = loop_watch_new(
		    s->loop, flow->fd, LOOP_READ, readable, flow, NULL);
	if (flow->watch == NULL) {
		if (flow->fd >= 0)
			close(flow->fd);
		free(flow);
		return NULL;
	}
	s->ndatagram++;
	LIST_INSERT_HEAD(&s->datagrams[sockets_hash(s, ip, 0, port, protocol)],
	    flow, others);
	flow->last_ns = loop_now_ns(s->loop);
	loop_timer_init(&flow->timer, s->loop, look_at_idle, flow);
	loop_timer_set(&flow->timer, flow->last_ns + idle_ns(flow));
	return flow;
}

/* For a datagram to a name server, or to others. */
static struct datagram_flow *
flow_of(
    struct sockets *s, uint8_t protocol, uint32_t ip, uint16_t port, bool dns)
{
	struct datagram_flow *flow;

	LIST_FOREACH (
	    flow, &s->datagrams[sockets_hash(s, ip, 0, port, protocol)], others)
		if (flow->in_ip == ip && flow->in_port == port &&
		    flow->protocol == protocol) {
			flow->dns_alone &= dns;
			return flow;
		}
	return flow_new(s, protocol, ip, port, dns);
}

/* ---- from inside ---- */

/* Datagram i cannot leave. */
static enum reason
refuse(struct datagram_burst *b, unsigned int i, int error)
{
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM: return DROP_PORT_FULL;
	case ENETUNREACH:
	case EHOSTUNREACH:
		tell_error(b->flow, b->flow->s->net.addr, ICMP_UNREACHABLE,
		    error == ENETUNREACH ? ICMP_UNREACH_NET : ICMP_UNREACH_HOST,
		    0, &b->to[i], b->joined[i],
		    b->flow->protocol == IP_UDP ? 0 : ICMP_HEADER_BYTES);
		return DROP_NO_ROUTE;
	case EMSGSIZE: return DROP_MTU;
	default: return DROP_IO;
	}
}

/* Sends what is gathered. */
void
sockets_datagram_end(struct sockets *s)
{
	struct datagram_burst *b = s->datagram;
	unsigned int done = 0;
	bool again = false; /* an error of an earlier datagram is told once */

	if (b->ending)
		return;
	b->ending = true;
	while (done < b->n) {
		int n = sendmmsg(
		    b->flow->fd, b->msg + done, b->n - done, MSG_NOSIGNAL);
		int error = n < 0 ? errno : 0;

		if (error == EINTR || (error != 0 && !again)) {
			again = error != EINTR;
			continue;
		}
		again = false;
		if (error != 0) {
			enum reason reason = refuse(b, done, error);

			node_judge(s->port.node, b->frame[done++], reason);
			continue;
		}
		for (; n > 0; n--)
			node_judge(
			    s->port.node, b->frame[done++], REASON_DELIVERED);
	}
	b->n = 0;
	b->ending = false;
}

/* Stages the frame's bytes behind skip bytes of its payload, before which goes
 * head. */
static void
stage(struct sockets *s, struct datagram_flow *flow,
    const struct sockets_packet *p, struct frame *frame, size_t skip,
    size_t head_bytes, uint16_t port)
{
	struct datagram_burst *b = s->datagram;
	struct msghdr *msg = &b->msg[b->n].msg_hdr;
	struct iovec *piece = b->piece[b->n];
	struct cmsghdr *c = &b->ttl[b->n].head;
	unsigned int n = 0;
	int ttl = p->ip.ttl - 1; /* at least 1, but to ourselves */

	if (head_bytes > 0)
		piece[n++] = (struct iovec){ b->joined[b->n], head_bytes };
	if (p->l4_bytes > skip) {
		unsigned int more = sockets_pieces(frame, p->l4_at + skip,
		    p->l4_bytes - skip, piece + n, PIECES - n);

		if (more == 0) {
			node_judge(s->port.node, frame, DROP_RING_PIECES);
			return;
		}
		n += more;
	}
	b->to[b->n] = sockets_outside(s, p->ip.dst, port);
	c->cmsg_level = SOL_IP;
	c->cmsg_type = IP_TTL;
	c->cmsg_len = CMSG_LEN(sizeof(ttl));
	ttl = ttl > 0 ? ttl : 1;
	memcpy(CMSG_DATA(c), &ttl, sizeof(ttl));
	*msg = (struct msghdr){ .msg_name = &b->to[b->n],
		.msg_namelen = sizeof(b->to[b->n]),
		.msg_iov = piece,
		.msg_iovlen = n,
		.msg_control = c,
		.msg_controllen = CMSG_SPACE(sizeof(ttl)) };
	b->frame[b->n++] = frame;
	flow->mac = p->from;
	flow->last_ns = loop_now_ns(s->loop);
}

/* The burst for the flow of that inside end; NULL: there is no room. */
static struct datagram_flow *
begin(struct sockets *s, uint8_t protocol, uint32_t ip, uint16_t port, bool dns)
{
	struct datagram_flow *flow;

	if (s->datagram->ending)
		return NULL;
	flow = flow_of(s, protocol, ip, port, dns);
	if (flow != s->datagram->flow || s->datagram->n == BURST_MAX)
		sockets_datagram_end(s);
	s->datagram->flow = flow;
	return flow;
}

void
sockets_udp(
    struct sockets *s, const struct sockets_packet *p, struct frame *frame)
{
	struct datagram_flow *flow;
	uint16_t len, sum;
	enum reason reason = DROP_NONE;

	if (p->l4_head_bytes < UDP_HEADER_BYTES) {
		node_judge(s->port.node, frame, DROP_SHORT);
		return;
	}
	len = get_be16(p->l4 + 4);
	sum = get_be16(p->l4 + UDP_OFF_CHECKSUM);
	if (len < UDP_HEADER_BYTES || len > p->l4_bytes)
		reason = DROP_L4_HEADER;
	else if (!p->trusted && sum != 0 &&
	    csum_finish(
		csum_add(csum_pseudo4(p->ip.src, p->ip.dst, IP_UDP, len),
		    sockets_sum(frame, p->l4_at, len))) != 0)
		reason = DROP_L4_CHECKSUM;
	if (reason == DROP_NONE)
		reason = sockets_check_dns(s, p, get_be16(p->l4 + 2));
	if (reason != DROP_NONE) {
		node_judge(s->port.node, frame, reason);
		return;
	}
	flow = begin(s, IP_UDP, p->ip.src, get_be16(p->l4),
	    get_be16(p->l4 + 2) == DNS_PORT);
	if (flow == NULL)
		node_judge(s->port.node, frame,
		    s->datagram->ending ? DROP_PORT_FULL : DROP_SOCKETS_FULL);
	else {
		struct sockets_packet datagram = *p;

		datagram.l4_bytes = len;
		flow->asks_dns |= s->dns != 0 && p->ip.dst == s->dns;
		stage(s, flow, &datagram, frame, UDP_HEADER_BYTES, 0,
		    get_be16(p->l4 + 2));
	}
}

void
sockets_echo(
    struct sockets *s, const struct sockets_packet *p, struct frame *frame)
{
	struct datagram_flow *flow;
	enum reason reason = DROP_NONE;

	if (p->l4_head_bytes < ICMP_HEADER_BYTES)
		reason = DROP_SHORT;
	else if (csum_finish(sockets_sum(frame, p->l4_at, p->l4_bytes)) != 0)
		reason = DROP_L4_CHECKSUM;
	else if (p->l4[0] != ICMP_ECHO_REQUEST || p->l4[1] != 0)
		reason = DROP_PROTOCOL;
	if (reason != DROP_NONE) {
		node_judge(s->port.node, frame, reason);
		return;
	}
	flow =
	    begin(s, IP_ICMP, p->ip.src, get_be16(p->l4 + ICMP_OFF_ID), false);
	if (flow == NULL) { /* as a rule, ping_group_range leaves us out */
		node_judge(s->port.node, frame,
		    s->datagram->ending                 ? DROP_PORT_FULL
			: sockets_full(s, s->ndatagram) ? DROP_SOCKETS_FULL
							: DROP_SOCKETS_PING);
		return;
	}
	memcpy(s->datagram->joined[s->datagram->n], p->l4, ICMP_HEADER_BYTES);
	stage(s, flow, p, frame, ICMP_HEADER_BYTES, ICMP_HEADER_BYTES, 0);
}

/* ---- all of it ---- */

int
sockets_datagram_init(struct sockets *s)
{
	s->datagram = calloc(1, sizeof(*s->datagram));
	return s->datagram != NULL ? 0 : -ENOMEM;
}

void
sockets_datagram_free(struct sockets *s)
{
	for (unsigned int i = 0; i < SOCKETS_BUCKETS; i++)
		while (!LIST_EMPTY(&s->datagrams[i]))
			flow_free(LIST_FIRST(&s->datagrams[i]));
	free(s->datagram);
}
