/*
 * From the peer to the guest.
 *
 * Nothing is buffered here.  Bytes of the peer stay in the socket until the
 * guest has acknowledged them: they are peeked at (MSG_PEEK) for sending and
 * for sending again.  Where the kernel knows SO_PEEK_OFF for TCP (6.9), it skips
 * what was sent already, else that is read over.
 *
 * A socket in which such bytes lie is readable all the time.  So it is watched
 * for changes alone (LOOP_EDGE), and the rule by which nothing is forgotten is:
 * a flow is pumped when something arrives by the socket, and when the guest
 * acknowledges or opens its window; pumping ends when the socket has no more,
 * when the window is full, or by asking for another turn in the next round.
 * SO_RCVLOWAT instead was rejected: it costs a system call each time, and the
 * kernel passes over it when its memory is short.
 *
 * A round pumps a flow once from each cause, so that hundreds of them share the
 * loop.  It is never done from within the guest's burst: a router that is
 * sending copies what comes back to it, and has room for 512 KiB of that; a
 * window of more lost its end each time, until the timer rang.
 *
 * Slow start, congestion avoidance, fast retransmit and recovery (RFC 5681, RFC
 * 6582), retransmission timer (RFC 6298), before which the loss of the end of
 * what is in flight is found by a probe (as RFC 8985 7).  No SACK, no
 * timestamps, no ECN.
 */
#include "bridge/sockets_tcp.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define RTO_MIN_NS   (200 * NS_PER_MS)
#define RTO_MAX_NS   (60 * NS_PER_S)
#define PROBE_MIN_NS (10 * NS_PER_MS)

/* What is peeked at a time: superframes, each with room for its headers. */
#define SLOT_BYTES  (SOCKETS_HEAD_BYTES + TCP_HEADER_BYTES + 65536)
#define SLOTS       8
#define SUPER_BYTES (IP4_MAX_BYTES - IP4_HEADER_BYTES - TCP_HEADER_BYTES)
#define OVER_BYTES  (256 * 1024) /* where bytes are read over to */
#define OVER_PIECES (FLIGHT_MAX / OVER_BYTES)
#define TURN_BYTES  (SLOTS * SUPER_BYTES / 2) /* of a flow, in a round */

static_assert(SLOTS * SLOT_BYTES <= SOCKETS_POOL_BYTES, "pool too small");
static_assert(SLOTS * SLOT_BYTES + OVER_BYTES <= SOCKETS_POOL_BYTES,
    "no place to read over to");

/* ---- from the peer to the guest ---- */

/* Does the timer ring for the end of what is in flight first?  Not where an
 * acknowledgement may be delayed, or nothing is known of the way. */
static bool
may_probe(const struct tcp_flow *t)
{
	return !t->probed && !t->recovering && t->tries == 0 &&
	    t->srtt_ns > 0 && t->window > 0 && t->max - t->una > 2u * t->mss;
}

static uint64_t
probe_ns(const struct tcp_flow *t)
{
	uint64_t ns = 2 * t->srtt_ns + PROBE_MIN_NS;

	return ns < t->rto_ns ? ns : t->rto_ns;
}

void
tcp_flow_arm(struct tcp_flow *t)
{
	uint64_t now = loop_now_ns(t->s->loop);

	if (t->state != OPEN)
		return;
	if (may_probe(t))
		loop_timer_set(&t->timer, now + probe_ns(t));
	else if (t->nxt != t->una || (t->window == 0 && !t->eof))
		loop_timer_set(
		    &t->timer, now + (t->rto_ns << smaller(t->tries, 8)));
	else
		loop_timer_set(&t->timer,
		    now + (t->eof || t->guest_fin ? HALF_IDLE_NS : IDLE_NS));
}

static void
set_peek_off(struct tcp_flow *t, uint32_t at)
{
	int offset = (int)at;

	if (!t->peek_off || at == t->peek_at)
		return;
	(void)setsockopt(
	    t->fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
	t->peek_at = at;
}

/* Peeks at up to n bytes that follow at (from una on) into the pool's slots,
 * each of which takes each bytes.  How many, 0 at the end, or -errno. */
static ssize_t
peek(struct tcp_flow *t, uint32_t at, size_t n, size_t each)
{
	struct iovec piece[OVER_PIECES + 1 + SLOTS];
	uint8_t *over = t->s->pool + SLOTS * SLOT_BYTES;
	struct msghdr msg = { .msg_iov = piece };
	size_t used = 0, skip = t->peek_off ? 0 : at;
	ssize_t got;

	for (size_t left = skip, here; left > 0; left -= here) {
		here = left < OVER_BYTES ? left : OVER_BYTES;
		piece[used++] = (struct iovec){ over, here };
	}
	for (unsigned int i = 0; i < SLOTS && n > 0; i++) {
		size_t here = n < each ? n : each;

		piece[used++] = (struct iovec){ t->s->pool + i * SLOT_BYTES +
			    SOCKETS_HEAD_BYTES + TCP_HEADER_BYTES,
			here };
		n -= here;
	}
	msg.msg_iovlen = used;
	got = recvmsg(t->fd, &msg, MSG_PEEK | MSG_DONTWAIT);
	if (got < 0)
		return -errno;
	if (t->peek_off)
		t->peek_at += (uint32_t)got;
	if (skip == 0)
		return got;
	if ((size_t)got > skip)
		return got - (ssize_t)skip;
	return -EAGAIN;
}

/* Has the peer ended, and everything been seen?  Only where peek() cannot
 * tell. */
static bool
peer_ended(struct tcp_flow *t)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return getsockopt(t->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	    (info.tcpi_state == TCP_CLOSE_WAIT ||
		info.tcpi_state == TCP_LAST_ACK ||
		info.tcpi_state == TCP_CLOSING ||
		info.tcpi_state == TCP_TIME_WAIT ||
		info.tcpi_state == TCP_CLOSE);
}

static void
send_fin(struct tcp_flow *t)
{
	t->eof = true;
	t->nxt++;
	if (seq_before(t->max, t->nxt))
		t->max = t->nxt;
	tcp_flow_ack(t, t->nxt - 1, TCP_FIN);
	t->owed = 0;
}

/* Sends the n bytes that were peeked at, from nxt on. */
static void
send_peeked(struct tcp_flow *t, size_t n, size_t each)
{
	uint16_t window = tcp_flow_window(t);
	uint32_t seq = t->nxt;

	t->nxt += (uint32_t)n;
	if (!t->timing && seq_before(t->max, t->nxt)) {
		t->timing = true;
		t->timed = t->nxt;
		t->timed_ns = loop_now_ns(t->s->loop);
	}
	if (seq_before(t->max, t->nxt))
		t->max = t->nxt;
	t->owed = 0;
	for (unsigned int i = 0; n > 0; i++) {
		size_t here = n < each ? n : each;

		n -= here;
		tcp_flow_send(t,
		    t->s->pool + i * SLOT_BYTES + SOCKETS_HEAD_BYTES, seq, here,
		    n == 0 ? TCP_PSH : 0, window);
		seq += (uint32_t)here;
	}
	sockets_flush(t->s);
}

/* The socket may forget what the guest has. */
static void
settle(struct tcp_flow *t)
{
	while (t->unread > 0) {
		ssize_t n =
		    recv(t->fd, NULL, t->unread, MSG_TRUNC | MSG_DONTWAIT);

		if (n <= 0)
			break;
		t->unread -= (uint32_t)n;
		t->peek_at -= smaller((uint32_t)n, t->peek_at);
	}
}

static void
pump(struct tcp_flow *t)
{
	size_t each = SUPER_BYTES / t->mss * t->mss;
	bool ended = !t->peek_off && !t->eof && peer_ended(t);
	size_t sent = 0;

	settle(t);
	set_peek_off(t, t->nxt - t->una);
	while (t->state == OPEN) {
		uint32_t flight = t->nxt - t->una;
		uint32_t window = smaller(t->window, t->cwnd);
		uint32_t room, again = t->max - t->nxt;
		ssize_t n;

		window = smaller(window, FLIGHT_MAX - SLOTS * 65536);
		room = window > flight ? window - flight : 0;
		/* The FIN that was sent is no byte of the socket's. */
		if (t->eof && again > 0)
			again--;
		if (t->eof && again == 0) {
			if (t->nxt != t->max && room > 0)
				send_fin(t);
			break;
		}
		/* Not by dribs: wait for room (RFC 9293 3.8.6.2.1). */
		if (room == 0 || (room < t->mss && flight > 0))
			break;
		n = peek(t, flight, t->eof ? smaller(room, again) : room, each);
		if (n == -EAGAIN && ended) {
			send_fin(t);
			break;
		}
		if (n == -EAGAIN || n == -EINTR)
			break;
		if (n < 0) {
			tcp_flow_end(t, SAY_RESET);
			return;
		}
		if (n == 0) {
			send_fin(t);
			break;
		}
		send_peeked(t, (size_t)n, each);
		if ((sent += (size_t)n) >= TURN_BYTES) {
			tcp_flow_may_send(t);
			break;
		}
	}
	tcp_flow_arm(t);
}

/* Sends the first segment that is not acknowledged again. */
static void
resend(struct tcp_flow *t)
{
	uint32_t bytes = t->max - t->una - (t->eof ? 1 : 0);
	ssize_t n = 0;

	t->timing = false; /* Karn's rule */
	settle(t);
	set_peek_off(t, 0);
	if (bytes > 0)
		n = peek(t, 0, smaller(bytes, t->mss), t->mss);
	if (n > 0)
		tcp_flow_send(t, t->s->pool + SOCKETS_HEAD_BYTES, t->una,
		    (size_t)n, TCP_PSH, tcp_flow_window(t));
	else if (t->eof && bytes == 0)
		tcp_flow_ack(t, t->una, TCP_FIN);
	sockets_flush(t->s);
}

void
tcp_flow_pump(struct tcp_flow *t)
{
	if (!t->synced)
		return;
	if (t->to_resend && t->max != t->una)
		resend(t);
	t->to_resend = false;
	if (t->state == OPEN)
		pump(t);
}

/* ---- what the guest acknowledges ---- */

/* What is in flight is sent again piece by piece, with each piece that is
 * acknowledged (RFC 6582 3.2). */
static void
recover(struct tcp_flow *t)
{
	uint32_t flight = t->max - t->una;

	t->ssthresh = flight / 2 > 2u * t->mss ? flight / 2 : 2u * t->mss;
	t->recovering = true;
	t->recover = t->max;
	t->cwnd = t->ssthresh + 3u * t->mss;
	t->to_resend = true;
	tcp_flow_may_send(t);
}

static void
measure(struct tcp_flow *t)
{
	uint64_t r = loop_now_ns(t->s->loop) - t->timed_ns, off;

	t->timing = false;
	if (t->srtt_ns == 0) {
		t->srtt_ns = r;
		t->rttvar_ns = r / 2;
	} else {
		off = r > t->srtt_ns ? r - t->srtt_ns : t->srtt_ns - r;
		t->rttvar_ns += off / 4 - t->rttvar_ns / 4;
		t->srtt_ns += r / 8 - t->srtt_ns / 8;
	}
	t->rto_ns = t->srtt_ns + 4 * t->rttvar_ns;
	if (t->rto_ns < RTO_MIN_NS)
		t->rto_ns = RTO_MIN_NS;
	if (t->rto_ns > RTO_MAX_NS)
		t->rto_ns = RTO_MAX_NS;
}

static void
congestion(struct tcp_flow *t, uint32_t acked)
{
	if (t->recovering) {
		if (seq_before(t->una, t->recover)) { /* RFC 6582 3.2, step 3 */
			t->to_resend = true;
			t->cwnd -= smaller(acked, t->cwnd - t->mss);
			t->cwnd += t->mss;
			return;
		}
		t->recovering = false;
		t->cwnd = t->ssthresh;
	}
	if (t->cwnd < t->ssthresh)
		t->cwnd += acked;
	else
		t->cwnd += (uint32_t)((uint64_t)t->mss * acked / t->cwnd) + 1;
	t->cwnd = smaller(t->cwnd, FLIGHT_MAX);
}

void
tcp_flow_acknowledged(struct tcp_flow *t, uint32_t ack)
{
	uint32_t acked = ack - t->una, data = acked;

	if (t->eof && ack == t->max) {
		t->fin_acked = true;
		data--;
	}
	if (!t->synced) {
		t->synced = true;
		data--;
	}
	t->unread += data;
	t->una = ack;
	if (seq_before(t->nxt, ack))
		t->nxt = ack;
	t->dupacks = 0;
	t->tries = 0;
	t->probed = false;
	if (t->timing && !seq_before(ack, t->timed))
		measure(t);
	congestion(t, acked);
}

void
tcp_flow_duplicate_ack(struct tcp_flow *t)
{
	if (t->dupacks < 255)
		t->dupacks++;
	if (t->recovering) {
		t->cwnd = smaller(t->cwnd + t->mss, FLIGHT_MAX);
		return;
	}
	/* Those of what a timeout sent in vain tell of no loss. */
	if (t->dupacks == 3 && !seq_before(t->una, t->recover))
		recover(t);
}

/* ---- nothing is acknowledged ---- */

void
tcp_flow_timeout(struct tcp_flow *t)
{
	uint32_t flight = t->max - t->una;

	if (may_probe(t)) {
		t->probed = true;
		recover(t);
		return;
	}
	t->tries++;
	t->timing = false;
	if (!t->synced) {
		tcp_flow_syn_ack(t);
		tcp_flow_arm(t);
		return;
	}
	if (flight == 0) { /* a probe of the window (RFC 9293 3.8.6.1) */
		tcp_flow_ack(t, t->una - 1, 0);
		tcp_flow_arm(t);
		return;
	}
	t->ssthresh = flight / 2 > 2u * t->mss ? flight / 2 : 2u * t->mss;
	t->cwnd = t->mss;
	t->recovering = false;
	t->recover = t->max;
	t->dupacks = 0;
	t->nxt = t->una;
	if (t->window == 0) {
		resend(t);
		tcp_flow_arm(t);
		return;
	}
	pump(t);
}
