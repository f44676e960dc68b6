/*
 * tcp_out.c - segments out, and the timers that repeat them.
 *
 * One timer serves retransmission and the probing of closed windows: which of
 * the two is due follows from whether anything is in flight.  After a timeout
 * sending goes back to the first unacknowledged byte (RFC 6298, 5.4); a
 * receiver that kept what came early moves us on with its acknowledgement.
 */
#include <string.h>

#include "vmm/guest/stack.h"
#include "vmm/guest/tcp_parts.h"

#define RTO_MAX_US  (60 * US_PER_S)
#define BACKOFF_MAX 6
#define SYN_TRIES   8  /* 3 minutes (RFC 9293, 3.8.3) */
#define DATA_TRIES  12 /* more than 100 s */
#define STUCK_US    (5 * US_PER_MS)

static uint16_t
window_to_tell(const struct tcpconn *conn)
{
	const uint32_t told = conn->advertised - conn->rcv_nxt;
	const uint32_t room = (uint32_t)ring_room(&conn->in);
	uint32_t worth = TCP_BUFFER_BYTES / 2;

	if (conn->mss < worth)
		worth = conn->mss;
	/* Never less than before, and more only in worthwhile steps. */
	return (uint16_t)(room < told + worth ? told : room);
}

static void
write_segment(struct writer *w, const struct tcp *tcp,
    const struct ip6_addr *src, const struct ip6_addr *dst)
{
	if (ip_is4(dst))
		tcp_write(w, tcp, ip_get4(src), ip_get4(dst));
	else
		tcp6_write(w, tcp, src, dst);
}

/* One segment: n bytes of out from seq on.  False: it did not get out. */
static bool
send(struct tcpconn *conn, uint32_t seq, size_t n, uint8_t flags)
{
	const bool syn = (flags & TCP_SYN) != 0;
	const size_t head = TCP_HEADER_BYTES + (syn ? 4 : 0);
	struct ip_out out = {
		.dst = conn->remote,
		.src = conn->local,
		.protocol = IP_TCP,
		.dont_fragment = conn->dont_fragment,
	};
	struct tcp tcp = {
		.sport = conn->lport,
		.dport = conn->rport,
		.seq = seq,
		.ack = flags & TCP_ACK ? conn->rcv_nxt : 0,
		.flags = flags,
		.mss = syn ? tcp_out_mss(conn) : 0,
		.data_bytes = n,
	};
	enum reason why;
	struct writer w;
	uint8_t *at = ip_begin(conn->stack, &out, head + n, &why);

	if (at == NULL) {
		if (why == DROP_MTU && tcp_out_mss(conn) < conn->mss)
			conn->mss = tcp_out_mss(conn);
		conn->stuck = true;
		timer_set(&conn->stack->timers, &conn->timer,
		    conn->stack->now_us + STUCK_US);
		return false;
	}
	tcp.window = syn ? TCP_BUFFER_BYTES : window_to_tell(conn);
	if (n > 0) {
		ring_peek(&conn->out, seq - conn->una, at + head, n);
		tcp.data = at + head;
	}
	w = writer(at, head + n);
	write_segment(&w, &tcp, &conn->local, &conn->remote);
	ip_end(conn->stack, &out);
	conn->advertised = conn->rcv_nxt + tcp.window;
	conn->ack_now = false;
	conn->unacked = 0;
	timer_unset(&conn->stack->timers, &conn->ack_timer);
	return true;
}

size_t
tcp_out_heads(const struct tcpconn *conn)
{
	return TCP_HEADER_BYTES +
	    (ip_is4(&conn->remote) ? IP4_HEADER_BYTES : IP6_HEADER_BYTES);
}

uint16_t
tcp_out_mss(const struct tcpconn *conn)
{
	const size_t mtu = ip_mtu(conn->stack, &conn->remote, &conn->local);
	const size_t heads = tcp_out_heads(conn);

	if (mtu < heads + TCP_FLOOR_MSS)
		return TCP_FLOOR_MSS;
	return (uint16_t)(mtu - heads);
}

void
tcp_out_arm(struct tcpconn *conn)
{
	uint64_t rto_us = conn->rto_us << conn->backoff;

	if (rto_us > RTO_MAX_US)
		rto_us = RTO_MAX_US;
	timer_set(
	    &conn->stack->timers, &conn->timer, conn->stack->now_us + rto_us);
}

void
tcp_out_syn(struct tcpconn *conn)
{
	const bool answer = conn->state == TCP_SYN_RECEIVED;

	(void)send(conn, conn->iss, 0, answer ? TCP_SYN | TCP_ACK : TCP_SYN);
	conn->nxt = conn->max = conn->iss + 1;
	tcp_out_arm(conn);
}

/* Without text a segment stands behind all that was ever sent: one from where
 * we went back to would be old to the other side, and not be looked at. */
void
tcp_out_ack(struct tcpconn *conn)
{
	(void)send(conn, conn->max, 0, TCP_ACK);
}

void
tcp_out_reset(struct tcpconn *conn)
{
	(void)send(conn, conn->max, 0, TCP_RST | TCP_ACK);
}

/* Is there a FIN to be sent behind byte `end` of out, and not sent yet? */
static bool
fin_follows(const struct tcpconn *conn, size_t end)
{
	return conn->fin_asked && !conn->fin_acked && end == conn->out.len;
}

/* Bytes, and a FIN, that have never been sent. */
static bool
is_pending(const struct tcpconn *conn)
{
	const uint32_t sent = conn->max - conn->una;

	return conn->out.len > sent ||
	    (conn->fin_asked && !conn->fin_acked && conn->out.len == sent);
}

/* How many bytes the next segment carries, not more than a window's. */
static size_t
next_bytes(const struct tcpconn *conn, bool force)
{
	const uint32_t flight = conn->nxt - conn->una;
	const uint32_t window =
	    conn->window < conn->cwnd ? conn->window : conn->cwnd;
	const size_t avail =
	    conn->out.len > flight ? conn->out.len - flight : 0;
	size_t n = window > flight ? window - flight : 0;

	if (n > conn->mss)
		n = conn->mss;
	if (n >= avail)
		return avail;
	/* Small pieces of a small window wait (RFC 9293, 3.8.6.2.1). */
	if (n < conn->mss && !force && n < conn->max_window / 2)
		return 0;
	return n;
}

static bool
sends_data(enum tcp_state state)
{
	switch (state) {
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
	case TCP_FIN_WAIT_1:
	case TCP_CLOSING:
	case TCP_LAST_ACK: return true;
	case TCP_CLOSED:
	case TCP_SYN_SENT:
	case TCP_SYN_RECEIVED:
	case TCP_FIN_WAIT_2:
	case TCP_TIME_WAIT:
	case TCP_NSTATES: break;
	}
	return false;
}

/* Sends one segment of what is next.  False: nothing may be sent. */
static bool
send_next(struct tcpconn *conn, bool force)
{
	const uint32_t flight = conn->nxt - conn->una;
	const size_t n = next_bytes(conn, force);
	const bool fin = fin_follows(conn, flight + n);
	uint8_t flags = TCP_ACK;

	if (n == 0 && !fin)
		return false;
	if (fin)
		flags |= TCP_FIN;
	if (flight + n == conn->out.len)
		flags |= TCP_PSH;
	if (!send(conn, conn->nxt, n, flags))
		return false;
	if (!conn->timing && conn->nxt == conn->max) {
		conn->timing = true;
		conn->timed = conn->nxt;
		conn->timed_us = conn->stack->now_us;
	}
	conn->nxt += (uint32_t)n + fin;
	if (seq_before(conn->max, conn->nxt))
		conn->max = conn->nxt;
	return true;
}

static void
out(struct tcpconn *conn, bool force)
{
	if (sends_data(conn->state)) {
		while (send_next(conn, force))
			force = false;
		if (!conn->timer.set &&
		    (conn->una != conn->max || is_pending(conn)))
			tcp_out_arm(conn);
	}
	if (conn->ack_now)
		tcp_out_ack(conn);
}

void
tcp_out(struct tcpconn *conn)
{
	out(conn, false);
}

void
tcp_out_again(struct tcpconn *conn)
{
	const uint32_t flight = conn->max - conn->una;
	size_t n = conn->out.len < conn->mss ? conn->out.len : conn->mss;
	bool fin;

	if (n > flight)
		n = flight;
	fin = fin_follows(conn, n) && flight > n;
	conn->retransmits++;
	conn->timing = false;
	(void)send(conn, conn->una, n, fin ? TCP_ACK | TCP_FIN : TCP_ACK);
}

/* ---- timers ---- */

/* The other side has closed its window: one byte asks whether it still is. */
static void
probe(struct tcpconn *conn)
{
	const size_t n = conn->out.len > 0;
	const bool fin = fin_follows(conn, n);

	if (n == 0 && !fin)
		return;
	conn->timing = false;
	if (send(conn, conn->una, n, fin ? TCP_ACK | TCP_FIN : TCP_ACK) &&
	    conn->una == conn->max)
		conn->max = conn->una + (uint32_t)n + (n == 0 && fin);
	if (seq_before(conn->max, conn->una + (uint32_t)n + fin))
		conn->max = conn->una + (uint32_t)n + fin;
}

static void
retransmit(struct tcpconn *conn)
{
	const uint32_t flight = conn->max - conn->una;

	if (conn->backoff == 1)
		conn->ssthresh =
		    flight / 2 > 2u * conn->mss ? flight / 2 : 2u * conn->mss;
	conn->cwnd = conn->mss;
	conn->recovering = false;
	conn->duplicates = 0;
	conn->timing = false;
	conn->nxt = conn->una;
	conn->retransmits++;
	out(conn, true);
}

static void
repeat(struct tcpconn *conn)
{
	if (conn->stuck) {
		conn->stuck = false;
		out(conn, true);
		return;
	}
	if (conn->una == conn->max && !is_pending(conn))
		return;
	if (conn->unheard++ >= DATA_TRIES) {
		tcpconn_fail(conn, TCP_TIMEOUT);
		return;
	}
	if (conn->backoff < BACKOFF_MAX)
		conn->backoff++;
	if (conn->window == 0)
		probe(conn);
	else if (conn->una == conn->max)
		out(conn, true);
	else
		retransmit(conn);
	if (!conn->stuck)
		tcp_out_arm(conn);
}

void
tcp_out_timer(void *arg)
{
	struct tcpconn *conn = arg;

	switch (conn->state) {
	case TCP_TIME_WAIT:
	case TCP_FIN_WAIT_2: tcpconn_set(conn, TCP_CLOSED); break;
	case TCP_SYN_SENT:
	case TCP_SYN_RECEIVED:
		conn->stuck = false;
		if (conn->unheard++ >= SYN_TRIES) {
			tcpconn_fail(conn, TCP_TIMEOUT);
			break;
		}
		if (conn->backoff < BACKOFF_MAX)
			conn->backoff++;
		conn->retransmits++;
		tcp_out_syn(conn);
		break;
	case TCP_ESTABLISHED:
	case TCP_FIN_WAIT_1:
	case TCP_CLOSE_WAIT:
	case TCP_CLOSING:
	case TCP_LAST_ACK: repeat(conn); break;
	case TCP_CLOSED:
	case TCP_NSTATES: break;
	}
}

void
tcp_out_ack_timer(void *arg)
{
	tcp_out_ack(arg);
}

/* ---- for nobody's segments ---- */

void
tcp_out_refuse(
    struct stack *stack, const struct ip_in *in, const struct tcp *segment)
{
	struct ip_out out = {
		.dst = in->src, .src = in->dst, .protocol = IP_TCP
	};
	const struct tcp tcp = tcp_reset(segment);
	enum reason why;
	struct writer w;
	uint8_t *at;

	if (segment->flags & TCP_RST)
		return;
	at = ip_begin(stack, &out, TCP_HEADER_BYTES, &why);
	if (at == NULL)
		return;
	w = writer(at, TCP_HEADER_BYTES);
	write_segment(&w, &tcp, &out.src, &out.dst);
	ip_end(stack, &out);
}
