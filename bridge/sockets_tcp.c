/*
 * TCP by sockets: the guest's connection ends here, and the host's goes on.
 * This file is about flows; sockets_tcp.h names the others.
 */
#include "bridge/sockets_tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/checksum.h"
#include "net/icmp.h"

#define OPT_END            0
#define OPT_NOP            1
#define OPT_SCALE          3
#define OPT_SACK_PERMITTED 4

#define MSS_DEFAULT   536 /* RFC 9293, MUST-15 */
#define CWND_SEGMENTS 10  /* RFC 6928 */
#define LINGER_NS     (5 * NS_PER_S)

/* ---- a flow's end ---- */

/* Has it looked at when the burst ends. */
void
tcp_flow_touch(struct tcp_flow *t)
{
	if (!t->dirty)
		TAILQ_INSERT_TAIL(&t->s->tcp->dirty, t, dirty_link);
	t->dirty = true;
}

void
tcp_flow_owe_ack(struct tcp_flow *t)
{
	t->owed = true;
	tcp_flow_touch(t);
}

static void
forget(struct tcp_flow *t)
{
	if (t->dirty)
		TAILQ_REMOVE(&t->s->tcp->dirty, t, dirty_link);
	t->dirty = false;
}

static void
close_socket(struct tcp_flow *t, bool reset)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (t->fd < 0)
		return;
	loop_watch_free(t->watch);
	t->watch = NULL;
	if (reset)
		(void)setsockopt(
		    t->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(t->fd);
	t->fd = -1;
	t->s->flows--;
}

void
tcp_flow_free(struct tcp_flow *t)
{
	struct tcp_burst *b = t->s->tcp;

	close_socket(t, t->state == OPEN);
	if (b->flow == t) {
		for (unsigned int i = 0; i < b->nframes; i++)
			node_judge(
			    t->s->port.node, b->frame[i], DROP_TCP_STATE);
		b->nframes = b->npieces = 0;
		b->bytes = 0;
		b->flow = NULL;
	}
	while (!TAILQ_EMPTY(&t->held))
		tcp_flow_drop_held(t, TAILQ_FIRST(&t->held));
	forget(t);
	loop_timer_unset(&t->timer);
	LIST_REMOVE(t, others);
	t->s->ntcp--;
	free(t);
}

/* Both sides are told. */
void
tcp_flow_abort(struct tcp_flow *t)
{
	tcp_flow_ack(t, t->nxt, TCP_RST);
	tcp_flow_free(t);
}

static void
may_linger(struct tcp_flow *t)
{
	if (t->state != OPEN || !t->fin_acked || !t->guest_fin)
		return;
	t->state = LINGERING;
	close_socket(t, false);
	t->to_pump = false;
	loop_timer_set(&t->timer, loop_now_ns(t->s->loop) + LINGER_NS);
}

/* ---- the timer ---- */

static void
ring(void *arg)
{
	struct tcp_flow *t = arg;

	if (t->state == LINGERING)
		tcp_flow_free(t);
	/* The kernel's own timer ends a connection that is not made. */
	else if (t->state == CONNECTING ||
	    (t->max == t->una && t->window > 0) || t->tries >= TRIES_MAX)
		tcp_flow_abort(t);
	else
		tcp_flow_timeout(t);
}

/* ---- the socket ---- */

static void
refused(struct tcp_flow *t, int error)
{
	struct ip4 ip = { .ttl = TTL,
		.protocol = IP_TCP,
		.total_bytes = IP4_HEADER_BYTES + TCP_HEADER_BYTES,
		.src = t->in_ip,
		.dst = t->out_ip };
	uint8_t l4[8];

	if (error == ENETUNREACH || error == EHOSTUNREACH ||
	    error == ETIMEDOUT) {
		put_be16(l4, t->in_port);
		put_be16(l4 + 2, t->out_port);
		put_be32(l4 + 4, t->rcv - 1);
		sockets_error(t->s, &t->mac, t->s->net.addr, ICMP_UNREACHABLE,
		    error == ENETUNREACH ? ICMP_UNREACH_NET : ICMP_UNREACH_HOST,
		    0, &ip, l4, sizeof(l4));
		tcp_flow_free(t);
		return;
	}
	/* The answer to a SYN: its own number is acknowledged. */
	t->nxt = 0;
	tcp_flow_abort(t);
}

static void
connected(struct tcp_flow *t)
{
	int error = 0, off = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0) {
		refused(t, error);
		return;
	}
	t->peek_off =
	    setsockopt(t->fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)) == 0;
	t->state = OPEN;
	t->wait_write = false;
	tcp_flow_syn_ack(t);
	/* Nothing is read before the guest has answered. */
	t->nxt = t->max = t->una + 1;
	tcp_flow_watch(t, false);
	tcp_flow_arm(t);
}

static void
ready(void *arg, unsigned int events)
{
	struct tcp_flow *t = arg;
	bool sent;

	if (t->state == CONNECTING) {
		connected(t);
		return;
	}
	if (t->wait_write && (events & LOOP_WRITE)) {
		t->wait_write = false;
		tcp_flow_watch(t, tcp_flow_is_reading(t));
		tcp_flow_send_held(t);
		tcp_flow_ack(t, t->nxt, 0);
	}
	/* Where the kernel's low-water mark ends before what is in flight, it
	 * would go on telling the same: the next acknowledgement helps. */
	if ((events & LOOP_READ) && tcp_flow_pump(t, &sent) && !sent &&
	    t->nxt != t->una)
		tcp_flow_watch(t, false);
}

/* ---- flows ---- */

/* What the guest's SYN offers. */
static void
read_offers(struct tcp_flow *t, const uint8_t *at, size_t n)
{
	struct cursor c = cursor(at, n);

	while (cur_left(&c) > 0) {
		uint8_t kind = cur_u8(&c), len, value;

		if (kind == OPT_END)
			break;
		if (kind == OPT_NOP)
			continue;
		len = cur_u8(&c);
		if (c.overrun || len < 2)
			break;
		value = cur_left(&c) > 0 ? c.at[0] : 0;
		cur_skip(&c, len - 2u);
		if (c.overrun)
			break;
		if (kind == OPT_SACK_PERMITTED)
			t->sack = true;
		if (kind == OPT_SCALE && len == 3) {
			t->scaled = true;
			t->wscale = value > 14 ? 14 : value; /* RFC 7323 2.3 */
		}
	}
}

static uint32_t
bucket(const struct sockets *s, const struct sockets_packet *p,
    const struct tcp *tcp)
{
	return sockets_hash(s, p->ip.src, p->ip.dst, tcp->sport, tcp->dport);
}

static struct tcp_flow *
find(struct sockets *s, const struct sockets_packet *p, const struct tcp *tcp)
{
	struct tcp_flow *t;

	LIST_FOREACH (t, &s->tcps[bucket(s, p, tcp)], others)
		if (t->in_ip == p->ip.src && t->out_ip == p->ip.dst &&
		    t->in_port == tcp->sport && t->out_port == tcp->dport)
			return t;
	return NULL;
}

/* A socket that connects, or -errno. */
static int
start_connecting(struct sockets *s, uint32_t addr, uint16_t port)
{
	struct sockaddr_in to = sockets_outside(s, addr, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, size = 4 * 1024 * 1024, e;

	if (fd < 0)
		return -errno;
	/* As much as we may have: a buffer that the kernel sizes by itself
	 * grows only when it was full, which it never is. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	e = -errno;
	close(fd);
	return e;
}

static enum reason
begin(struct sockets *s, const struct sockets_packet *p, const struct tcp *tcp)
{
	struct tcp_flow *t;
	uint32_t isn;

	if (!sockets_has_room(s))
		return DROP_PORT_FULL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return DROP_PORT_FULL;
	if (getrandom(&isn, sizeof(isn), GRND_NONBLOCK) != sizeof(isn))
		isn = s->hash_key ^ (uint32_t)loop_wall_ns(s->loop);
	t->s = s;
	t->in_ip = p->ip.src;
	t->out_ip = p->ip.dst;
	t->in_port = tcp->sport;
	t->out_port = tcp->dport;
	t->mac = p->from;
	t->una = t->nxt = t->max = isn;
	t->rcv = t->edge = tcp->seq + 1;
	read_offers(t, p->l4 + TCP_HEADER_BYTES,
	    (size_t)tcp->header_bytes - TCP_HEADER_BYTES);
	t->window = tcp->window;
	t->mss = tcp->mss == 0 ? MSS_DEFAULT
	    : tcp->mss < 64    ? 64
	    : tcp->mss > MSS   ? MSS
			       : tcp->mss;
	t->cwnd = CWND_SEGMENTS * (uint32_t)t->mss;
	t->ssthresh = FLIGHT_MAX;
	t->rto_ns = NS_PER_S;
	TAILQ_INIT(&t->held);
	loop_timer_init(&t->timer, s->loop, ring, t);
	LIST_INSERT_HEAD(&s->tcps[bucket(s, p, tcp)], t, others);
	s->ntcp++;
	s->flows++;
	t->fd = start_connecting(s, t->out_ip, t->out_port);
	if (t->fd < 0) {
		int e = -t->fd;

		s->flows--;
		refused(t, e);
		return e == ENETUNREACH || e == EHOSTUNREACH ? DROP_NO_ROUTE
		    : e == EMFILE || e == ENFILE             ? DROP_PORT_FULL
							     : DROP_IO;
	}
	t->wait_write = true;
	t->events = LOOP_WRITE;
	t->watch = loop_watch_new(s->loop, t->fd, LOOP_WRITE, ready, t, NULL);
	if (t->watch == NULL) {
		tcp_flow_free(t);
		return DROP_PORT_FULL;
	}
	loop_timer_set(&t->timer, loop_now_ns(s->loop) + HALF_IDLE_NS);
	return REASON_DELIVERED;
}

/* ---- segments ---- */

static void
take_lingering(
    struct tcp_flow *t, const struct sockets_packet *p, const struct tcp *tcp)
{
	if ((tcp->flags & TCP_SYN) && seq_before(t->rcv, tcp->seq)) {
		struct sockets *s = t->s;

		tcp_flow_free(t); /* the port is used anew */
		(void)begin(s, p, tcp);
	} else if (tcp->flags & (TCP_FIN | TCP_SYN))
		tcp_flow_ack(t, t->nxt, 0);
}

/* RFC 5961 3.2, but that no challenge is sent. */
static bool
reset_is_in_window(const struct tcp_flow *t, const struct tcp *tcp)
{
	return t->state == CONNECTING || tcp->seq == t->rcv;
}

/* A SYN where there is a connection already. */
static void
take_syn(struct tcp_flow *t, const struct tcp *tcp)
{
	if (!t->synced && tcp->seq + 1 == t->rcv)
		tcp_flow_syn_ack(t);
	else
		tcp_flow_ack(t, t->nxt, 0); /* RFC 5961 4 */
}

static enum reason
check(
    const struct sockets_packet *p, const struct frame *frame, struct tcp *tcp)
{
	struct cursor c = cursor(p->l4, p->l4_head_bytes);
	enum reason reason = tcp_parse(tcp, &c, &p->ip, true);

	if (reason != DROP_NONE || p->trusted)
		return reason;
	if (csum_finish(csum_add(csum_pseudo4(p->ip.src, p->ip.dst, IP_TCP,
				     (uint16_t)p->l4_bytes),
		sockets_sum(frame, p->l4_at, p->l4_bytes))) != 0)
		return DROP_L4_CHECKSUM;
	return DROP_NONE;
}

void
sockets_tcp(
    struct sockets *s, const struct sockets_packet *p, struct frame *frame)
{
	struct tcp tcp;
	struct tcp_flow *t;
	size_t data_bytes;
	enum reason reason = check(p, frame, &tcp);

	if (reason != DROP_NONE) {
		node_judge(s->port.node, frame, reason);
		return;
	}
	data_bytes = p->l4_bytes - tcp.header_bytes;
	t = find(s, p, &tcp);
	if (t != s->tcp->flow || s->tcp->npieces > BURST_PIECES / 2) {
		tcp_flows_send_gathered(s);
		t = find(s, p, &tcp); /* that may have ended it */
	}
	s->tcp->flow = t;
	reason = REASON_DELIVERED;
	if (t == NULL &&
	    (tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN) {
		reason = begin(s, p, &tcp);
		if (reason == DROP_PORT_FULL)
			tcp_reset(s, p, &tcp, data_bytes);
	} else if (t == NULL) {
		tcp_reset(s, p, &tcp, data_bytes);
		reason = DROP_TCP_STATE;
	} else if (tcp.flags & TCP_RST) {
		tcp_flows_send_gathered(s);
		if (s->tcp->flow == t && reset_is_in_window(t, &tcp))
			tcp_flow_free(t);
	} else if (t->state == LINGERING)
		take_lingering(t, p, &tcp);
	else if (t->state == OPEN && (tcp.flags & TCP_SYN))
		take_syn(t, &tcp);
	else if (t->state == OPEN && (tcp.flags & TCP_ACK) &&
	    tcp_flow_take(t, p, &tcp, frame, data_bytes))
		return;
	node_judge(s->port.node, frame, reason);
}

void
sockets_tcp_end(struct sockets *s)
{
	struct tcp_flow *t;

	tcp_flows_send_gathered(s);
	s->tcp->flow = NULL;
	while ((t = TAILQ_FIRST(&s->tcp->dirty)) != NULL) {
		bool sent, pumped = t->to_pump;

		forget(t);
		t->to_pump = false;
		if (pumped && !tcp_flow_pump(t, &sent))
			continue;
		if (t->owed)
			tcp_flow_ack(t, t->nxt, 0);
		t->owed = false;
		may_linger(t);
	}
}

/* ---- all of it ---- */

int
sockets_tcp_init(struct sockets *s)
{
	s->tcp = calloc(1, sizeof(*s->tcp));
	if (s->tcp == NULL)
		return -ENOMEM;
	TAILQ_INIT(&s->tcp->dirty);
	return 0;
}

void
sockets_tcp_free(struct sockets *s)
{
	if (s->tcp != NULL)
		s->tcp->nframes = 0;
	for (unsigned int i = 0; i < SOCKETS_BUCKETS; i++)
		while (!LIST_EMPTY(&s->tcps[i]))
			tcp_flow_free(LIST_FIRST(&s->tcps[i]));
	free(s->tcp);
}
