/*
 * TCP by sockets: the guest's connection ends here, and the host's goes on.
 * This file is about flows; sockets_tcp.h names the others.
 */
#include "bridge/sockets_tcp.h"

#include <assert.h>
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
#define SNDBUF_BYTES  (4 * 1024 * 1024)
#define OWED_MAX      64
#define LINGERING_MAX 32768 /* then the eldest goes */

/* ---- what is due when the round ends ---- */

void
tcp_flow_touch(struct tcp_flow *t)
{
	if (t->dirty)
		return;
	TAILQ_INSERT_TAIL(&t->s->tcp->dirty, t, dirty_link);
	t->dirty = true;
	loop_defer_ask(&t->s->tcp->work);
}

void
tcp_flow_may_send(struct tcp_flow *t)
{
	t->to_pump = true;
	tcp_flow_touch(t);
}

void
tcp_flow_owe_ack(struct tcp_flow *t, bool always)
{
	if (t->owed == 0 || (always && t->owed < OWED_MAX))
		t->owed++;
	tcp_flow_touch(t);
}

static void
forget(struct tcp_flow *t)
{
	if (t->dirty)
		TAILQ_REMOVE(&t->s->tcp->dirty, t, dirty_link);
	t->dirty = false;
}

/* ---- states ---- */

static const unsigned int legal_moves[] = {
	[CONNECTING] = 1u << OPEN | 1u << ENDED,
	[OPEN] = 1u << LINGERING | 1u << ENDED,
	[LINGERING] = 1u << ENDED,
	[ENDED] = 0,
};

static void
set_state(struct tcp_flow *t, enum tcp_state to)
{
	assert(legal_moves[t->state] & 1u << to);
	t->state = to;
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
	t->s->tcp_sockets--;
}

/* Outside of any burst that is being taken. */
static void
flow_free(struct tcp_flow *t)
{
	close_socket(t, t->state == OPEN);
	if (t->linger_until_ns != 0) {
		TAILQ_REMOVE(&t->s->tcp->lingering, t, linger_link);
		t->s->tcp->nlingering--;
	}
	while (!TAILQ_EMPTY(&t->held))
		tcp_flow_drop_held(t, TAILQ_FIRST(&t->held));
	forget(t);
	loop_timer_unset(&t->timer);
	LIST_REMOVE(t, others);
	t->s->ntcp--;
	free(t);
}

void
tcp_flow_end(struct tcp_flow *t, enum farewell farewell)
{
	if (t->state == ENDED)
		return;
	close_socket(t, t->state == OPEN);
	set_state(t, ENDED);
	t->farewell = farewell;
	loop_timer_unset(&t->timer);
	tcp_flow_touch(t);
}

static void
may_linger(struct tcp_flow *t)
{
	struct tcp_burst *b = t->s->tcp;

	if (t->state != OPEN || !t->fin_acked || !t->guest_fin)
		return;
	set_state(t, LINGERING);
	close_socket(t, false);
	loop_timer_unset(&t->timer);
	t->linger_until_ns = loop_now_ns(t->s->loop) + LINGER_NS;
	TAILQ_INSERT_TAIL(&b->lingering, t, linger_link);
	if (b->nlingering++ == 0)
		loop_timer_set(&b->linger, t->linger_until_ns);
	else if (b->nlingering > LINGERING_MAX)
		flow_free(TAILQ_FIRST(&b->lingering));
}

/* All linger equally long, so one list and one timer do. */
static void
stop_lingering(void *arg)
{
	struct sockets *s = arg;
	struct tcp_burst *b = s->tcp;
	struct tcp_flow *t;

	while ((t = TAILQ_FIRST(&b->lingering)) != NULL) {
		if (t->linger_until_ns > loop_now_ns(s->loop)) {
			loop_timer_set(&b->linger, t->linger_until_ns);
			break;
		}
		flow_free(t);
	}
}

/* An ICMP error instead of an answer to the SYN. */
static void
say_unreachable(struct tcp_flow *t, uint8_t code)
{
	struct ip4 ip = { .ttl = TTL,
		.protocol = IP_TCP,
		.total_bytes = IP4_HEADER_BYTES + TCP_HEADER_BYTES,
		.src = t->in_ip,
		.dst = t->out_ip };
	uint8_t l4[8];

	put_be16(l4, t->in_port);
	put_be16(l4 + 2, t->out_port);
	put_be32(l4 + 4, t->rcv - 1);
	sockets_error(t->s, &t->mac, t->s->net.addr, ICMP_UNREACHABLE, code, 0,
	    &ip, l4, sizeof(l4));
}

static void
say_farewell(struct tcp_flow *t)
{
	switch (t->farewell) {
	case SAY_NOTHING: break;
	case SAY_RESET: tcp_flow_ack(t, t->nxt, TCP_RST); break;
	case SAY_NO_NET: say_unreachable(t, ICMP_UNREACH_NET); break;
	case SAY_NO_HOST: say_unreachable(t, ICMP_UNREACH_HOST); break;
	}
}

/* ---- the end of a round ---- */

static void
look_at(struct tcp_flow *t)
{
	forget(t);
	if (t->to_pump && t->state == OPEN) {
		t->to_pump = false;
		tcp_flow_pump(t);
	}
	for (; t->owed > 0 && t->state != ENDED; t->owed--)
		if (t->synced)
			tcp_flow_ack(t, t->nxt, 0);
		else
			tcp_flow_syn_ack(t); /* the other one was lost */
	if (t->state == ENDED) {
		say_farewell(t);
		flow_free(t);
		return;
	}
	may_linger(t);
	if (t->to_shut && t->state == OPEN)
		(void)shutdown(t->fd, SHUT_WR);
	t->to_shut = false;
}

/* Looks at those that are dirty, but not at those that get so meanwhile. */
static void
work(void *arg)
{
	struct sockets *s = arg;
	struct tcp_flow *t, *last;

	last = TAILQ_LAST(&s->tcp->dirty, dirty_list);
	while ((t = TAILQ_FIRST(&s->tcp->dirty)) != NULL) {
		look_at(t);
		if (t == last)
			break;
	}
}

/* ---- the timer ---- */

static void
ring(void *arg)
{
	struct tcp_flow *t = arg;

	if (t->to_pump && t->synced)
		return; /* when the round ends it is set anew */
	/* The kernel's own timer ends a connection that is not made. */
	if (t->state == CONNECTING || (t->max == t->una && t->window > 0) ||
	    t->tries >= TRIES_MAX)
		tcp_flow_end(t, SAY_RESET);
	else
		tcp_flow_timeout(t);
}

/* ---- the socket ---- */

static void
refused(struct tcp_flow *t, int error)
{
	/* The answer to a SYN: its own number is acknowledged. */
	t->nxt = 0;
	tcp_flow_end(t,
	    error == ENETUNREACH                              ? SAY_NO_NET
		: error == EHOSTUNREACH || error == ETIMEDOUT ? SAY_NO_HOST
							      : SAY_RESET);
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
	set_state(t, OPEN);
	/* Nothing is read before the guest has answered. */
	t->nxt = t->max = t->una + 1;
	tcp_flow_syn_ack(t);
	tcp_flow_arm(t);
}

/* After the peer's end nothing is read that would tell of a reset. */
static bool
was_reset(const struct tcp_flow *t)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ||
	    error != 0;
}

static void
ready(void *arg, unsigned int events)
{
	struct tcp_flow *t = arg;

	if (t->state == CONNECTING) {
		connected(t);
		return;
	}
	if (t->wait_write && (events & LOOP_WRITE)) {
		t->wait_write = false;
		tcp_flow_send_held(t);
		tcp_flow_owe_ack(t, false);
	}
	if (t->eof && was_reset(t))
		tcp_flow_end(t, SAY_RESET);
	else if (events & LOOP_READ)
		tcp_flow_may_send(t);
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
		if (t->state != ENDED && t->in_ip == p->ip.src &&
		    t->out_ip == p->ip.dst && t->in_port == tcp->sport &&
		    t->out_port == tcp->dport)
			return t;
	return NULL;
}

/* As much as we may have: a buffer that the kernel sizes by itself grows only
 * when it was full, which it never is.  How much it is, the first one tells. */
static void
widen(struct sockets *s, int fd)
{
	int size = SNDBUF_BYTES;
	socklen_t len = sizeof(size);

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (s->tcp->size == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) == 0 && size > 0)
		/* The kernel's size is twice what it means for data. */
		s->tcp->size = (uint32_t)size / 2;
}

/* A socket that connects, or -errno. */
static int
start_connecting(struct tcp_flow *t)
{
	struct sockaddr_in to = sockets_outside(t->s, t->out_ip, t->out_port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, e;

	if (fd < 0)
		return -errno;
	widen(t->s, fd);
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
	enum reason reason;
	uint32_t isn;

	reason = sockets_check_dns(s, p, tcp->dport);
	if (reason != DROP_NONE)
		return reason;
	t = sockets_full(s, s->tcp_sockets) ? NULL : calloc(1, sizeof(*t));
	if (t == NULL) {
		tcp_refuse(s, p, tcp, p->l4_bytes - tcp->header_bytes);
		return DROP_SOCKETS_FULL;
	}
	if (getrandom(&isn, sizeof(isn), GRND_NONBLOCK) != sizeof(isn))
		isn = s->hash_key ^ (uint32_t)loop_wall_ns(s->loop);
	t->s = s;
	t->in_ip = p->ip.src;
	t->out_ip = p->ip.dst;
	t->in_port = tcp->sport;
	t->out_port = tcp->dport;
	t->mac = p->from;
	t->una = t->nxt = t->max = t->recover = isn;
	t->rcv = t->edge = t->queued_to = tcp->seq + 1;
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
	s->tcp_sockets++;
	t->fd = start_connecting(t);
	if (t->fd < 0) {
		int e = -t->fd;

		s->tcp_sockets--;
		refused(t, e);
		return e == ENETUNREACH || e == EHOSTUNREACH ? DROP_NO_ROUTE
		    : e == EMFILE || e == ENFILE || e == ENOBUFS ||
			e == ENOMEM || e == EADDRNOTAVAIL
		    ? DROP_SOCKETS_FULL
		    : DROP_IO;
	}
	t->watch = loop_watch_new(
	    s->loop, t->fd, LOOP_READ | LOOP_WRITE | LOOP_EDGE, ready, t, NULL);
	if (t->watch == NULL) {
		tcp_flow_end(t, SAY_RESET);
		return DROP_SOCKETS_FULL;
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
		tcp_flow_end(t, SAY_NOTHING); /* the port is used anew */
		(void)begin(t->s, p, tcp);
	} else if (tcp->flags & (TCP_FIN | TCP_SYN))
		tcp_flow_owe_ack(t, false);
}

/* RFC 5961 3.2, but that no challenge is sent. */
static bool
reset_is_in_window(const struct tcp_flow *t, const struct tcp *tcp)
{
	return t->state == CONNECTING || tcp->seq == t->rcv;
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
	if (t != s->tcp->flow || s->tcp->npieces > BURST_PIECES / 2 ||
	    (tcp.flags & TCP_RST)) {
		tcp_flows_send_gathered(s);
		t = find(s, p, &tcp); /* that may have ended it */
	}
	s->tcp->flow = t;
	reason = REASON_DELIVERED;
	if (t == NULL &&
	    (tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN) {
		reason = begin(s, p, &tcp);
	} else if (t == NULL) {
		tcp_refuse(s, p, &tcp, data_bytes);
		reason = DROP_TCP_STATE;
	} else if (tcp.flags & TCP_RST) {
		if (reset_is_in_window(t, &tcp))
			tcp_flow_end(t, SAY_NOTHING);
	} else if (t->state == LINGERING)
		take_lingering(t, p, &tcp);
	else if (t->state == OPEN && (tcp.flags & TCP_SYN))
		tcp_flow_owe_ack(t, false); /* RFC 5961 4 */
	else if (t->state == OPEN && (tcp.flags & TCP_ACK) &&
	    tcp_flow_take(t, p, &tcp, frame, data_bytes))
		return;
	node_judge(s->port.node, frame, reason);
}

void
sockets_tcp_end(struct sockets *s)
{
	tcp_flows_send_gathered(s);
	s->tcp->flow = NULL;
}

/* ---- all of it ---- */

int
sockets_tcp_init(struct sockets *s)
{
	s->tcp = calloc(1, sizeof(*s->tcp));
	if (s->tcp == NULL)
		return -ENOMEM;
	TAILQ_INIT(&s->tcp->dirty);
	TAILQ_INIT(&s->tcp->lingering);
	loop_defer_init(&s->tcp->work, s->loop, work, s);
	loop_timer_init(&s->tcp->linger, s->loop, stop_lingering, s);
	return 0;
}

void
sockets_tcp_free(struct sockets *s)
{
	for (unsigned int i = 0; i < SOCKETS_BUCKETS; i++)
		while (!LIST_EMPTY(&s->tcps[i]))
			flow_free(LIST_FIRST(&s->tcps[i]));
	if (s->tcp != NULL) {
		loop_defer_cancel(&s->tcp->work);
		loop_timer_unset(&s->tcp->linger);
	}
	free(s->tcp);
}
