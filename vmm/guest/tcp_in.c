/*
 * tcp_in.c - segments in, in the order of RFC 9293, 3.10.7: is it in the
 * window, RST, SYN, ACK, text, FIN.
 *
 * Data that comes early is put down in the receive ring where it belongs; a
 * short list of ranges says where it is.  When the list is full, the segment
 * is dropped and comes again.
 */
#include <string.h>

#include "vmm/guest/stack.h"
#include "vmm/guest/tcp_parts.h"

#define DELAYED_ACK_US (40 * US_PER_MS)
#define CHALLENGE_US   (100 * US_PER_MS)
#define DUPLICATES     3 /* acknowledgements that mean a loss */
#define CWND_MAX       (4u * 65535u)
#define RTO_MIN_US     (1 * US_PER_S) /* RFC 6298, 2.4 */
#define MIN_DF_MTU     296 /* a smaller one: let routers cut (RFC 1191, 7.2) */

/* An acknowledgement that somebody, perhaps an attacker, made us send; so many
 * that two confused stacks do not shout at each other (RFC 5961, 7). */
static void
challenge(struct tcpconn *conn)
{
	const uint64_t now_us = conn->stack->now_us;

	if (now_us < conn->challenge_us)
		return;
	conn->challenge_us = now_us + CHALLENGE_US;
	tcp_out_ack(conn);
}

static void
set_mss(struct tcpconn *conn, const struct tcp *tcp)
{
	const uint16_t asked = tcp->mss != 0 ? tcp->mss : TCP_DEFAULT_MSS;
	const uint16_t ours = tcp_out_mss(conn);

	conn->mss = asked < ours ? asked : ours;
	if (conn->mss < TCP_FLOOR_MSS)
		conn->mss = TCP_FLOOR_MSS;
	conn->cwnd = 10u * conn->mss; /* RFC 6928 */
	if (conn->cwnd > 14600)
		conn->cwnd = 2u * conn->mss > 14600 ? 2u * conn->mss : 14600;
}

static void
set_window(struct tcpconn *conn, const struct tcp *tcp)
{
	conn->window = tcp->window;
	conn->wl1 = tcp->seq;
	conn->wl2 = tcp->ack;
	if (conn->window > conn->max_window)
		conn->max_window = conn->window;
}

/* ---- round trips (RFC 6298) ---- */

static void
take_sample(struct tcpconn *conn)
{
	const uint64_t r = conn->stack->now_us - conn->timed_us;
	uint64_t off;

	conn->timing = false;
	conn->backoff = 0; /* only now: Karn's algorithm (RFC 6298, 5.7) */
	if (conn->srtt_us == 0) {
		conn->srtt_us = r > 0 ? r : 1;
		conn->rttvar_us = r / 2;
	} else {
		off = r > conn->srtt_us ? r - conn->srtt_us : conn->srtt_us - r;
		conn->rttvar_us = (3 * conn->rttvar_us + off) / 4;
		conn->srtt_us = (7 * conn->srtt_us + r) / 8;
	}
	conn->rto_us = conn->srtt_us + 4 * conn->rttvar_us;
	if (conn->rto_us < RTO_MIN_US)
		conn->rto_us = RTO_MIN_US;
}

/* ---- establishing ---- */

static void
established(struct tcpconn *conn)
{
	struct tcplisten *l = conn->listening;

	timer_unset(&conn->stack->timers, &conn->timer);
	conn->backoff = conn->unheard = 0;
	tcpconn_set(conn, TCP_ESTABLISHED);
	if (l != NULL && l->event != NULL) {
		l->pending--;
		conn->listening = NULL;
		conn->owned = true;
		conn->event = l->event;
		tcpconn_wake(conn);
	} else if (l != NULL && l->wake != NULL)
		*l->wake = true;
	if (conn->fin_asked)
		tcpconn_set(conn, TCP_FIN_WAIT_1);
}

static enum reason
listen_input(struct netif *nif, const struct ip_in *in, const struct tcp *tcp,
    const struct tcpconn *before)
{
	/* A new life of the same two ends must not begin among the numbers
	 * of the one before (RFC 9293, 3.4.1). */
	const uint32_t used = before != NULL ? before->max : 0;
	struct stack *stack = nif->stack;
	struct tcplisten *l = tcplisten_find(stack, tcp->dport);
	struct tcpconn *conn;

	if (tcp->flags & TCP_RST)
		return DROP_NO_LISTENER;
	if (l == NULL || tcp->flags & TCP_ACK) {
		tcp_out_refuse(stack, in, tcp);
		return DROP_NO_LISTENER;
	}
	if ((tcp->flags & TCP_SYN) == 0)
		return DROP_NO_LISTENER;
	if (l->pending >= TCP_BACKLOG)
		return DROP_PORT_FULL;
	conn = tcpconn_new(stack, &in->dst, tcp->dport, &in->src, tcp->sport);
	if (conn == NULL)
		return DROP_PORT_FULL;
	conn->listening = l;
	l->pending++;
	conn->irs = tcp->seq;
	conn->rcv_nxt = conn->advertised = tcp->seq + 1;
	tcpconn_choose_iss(conn);
	if (before != NULL && seq_before(conn->iss, used + 1))
		conn->iss = conn->una = conn->nxt = conn->max = used + 1;
	set_mss(conn, tcp);
	set_window(conn, tcp);
	tcpconn_set(conn, TCP_SYN_RECEIVED);
	tcp_out_syn(conn);
	return REASON_DELIVERED;
}

/* RFC 9293, 3.10.7.3. */
static enum reason
syn_sent_input(
    struct tcpconn *conn, const struct ip_in *in, const struct tcp *tcp)
{
	const bool acks = (tcp->flags & TCP_ACK) != 0;

	if (acks && tcp->ack != conn->iss + 1) {
		tcp_out_refuse(conn->stack, in, tcp);
		return DROP_TCP_STATE;
	}
	if (tcp->flags & TCP_RST) {
		if (!acks)
			return DROP_TCP_STATE;
		tcpconn_fail(conn, TCP_REFUSED);
		return REASON_DELIVERED;
	}
	if ((tcp->flags & TCP_SYN) == 0)
		return DROP_TCP_STATE;
	conn->irs = tcp->seq;
	conn->rcv_nxt = conn->advertised = tcp->seq + 1;
	set_mss(conn, tcp);
	set_window(conn, tcp);
	if (!acks) { /* both sides open at once */
		tcpconn_set(conn, TCP_SYN_RECEIVED);
		tcp_out_syn(conn);
		return REASON_DELIVERED;
	}
	conn->una = tcp->ack;
	established(conn);
	conn->ack_now = true;
	tcp_out(conn);
	return REASON_DELIVERED;
}

/* ---- acknowledgements ---- */

static void
grow_window(struct tcpconn *conn, uint32_t bytes)
{
	if (conn->cwnd < conn->ssthresh)
		conn->cwnd += bytes < conn->mss ? bytes : conn->mss;
	else
		conn->cwnd += (uint32_t)conn->mss * conn->mss / conn->cwnd + 1;
	if (conn->cwnd > CWND_MAX)
		conn->cwnd = CWND_MAX;
}

/* A new acknowledgement while repairing a loss (RFC 6582, 3.2). */
static void
recover(struct tcpconn *conn, uint32_t ack, uint32_t bytes)
{
	if (!seq_before(ack, conn->recover)) {
		conn->recovering = false;
		conn->duplicates = 0;
		conn->cwnd = conn->ssthresh;
		return;
	}
	tcp_out_again(conn);
	conn->cwnd = conn->cwnd > bytes ? conn->cwnd - bytes : 0;
	conn->cwnd += conn->mss;
}

static void
new_ack(struct tcpconn *conn, uint32_t ack)
{
	const uint32_t bytes = ack - conn->una;
	const uint32_t data =
	    bytes < conn->out.len ? bytes : (uint32_t)conn->out.len;

	ring_drop(&conn->out, data);
	conn->bytes_out += data;
	if (bytes > data && conn->fin_asked)
		conn->fin_acked = true;
	conn->una = ack;
	if (seq_before(conn->nxt, ack))
		conn->nxt = ack;
	if (conn->timing && seq_before(conn->timed, ack))
		take_sample(conn);
	timer_unset(&conn->stack->timers, &conn->timer);
	if (conn->una != conn->max)
		tcp_out_arm(conn);
	if (conn->recovering)
		recover(conn, ack, bytes);
	else {
		conn->duplicates = 0;
		grow_window(conn, bytes);
	}
	tcpconn_wake(conn);
}

/* The same acknowledgement again: something behind it came in (RFC 5681,
 * 3.2). */
static void
duplicate_ack(struct tcpconn *conn)
{
	const uint32_t flight = conn->max - conn->una;

	conn->duplicates++;
	if (conn->recovering) {
		if (conn->cwnd < CWND_MAX)
			conn->cwnd += conn->mss;
		return;
	}
	if (conn->duplicates != DUPLICATES)
		return;
	conn->ssthresh =
	    flight / 2 > 2u * conn->mss ? flight / 2 : 2u * conn->mss;
	conn->recover = conn->max;
	conn->recovering = true;
	tcp_out_again(conn);
	conn->cwnd = conn->ssthresh + DUPLICATES * conn->mss;
}

/* The window opens again: what was sent while it was shut may be lost. */
static void
reopen(struct tcpconn *conn)
{
	conn->backoff = 0;
	conn->nxt = conn->una;
	conn->timing = false;
	if (conn->una != conn->max)
		tcp_out_arm(conn);
}

/* False: the segment is not looked at any further. */
static bool
take_ack(struct tcpconn *conn, const struct ip_in *in, const struct tcp *tcp)
{
	if (conn->state == TCP_SYN_RECEIVED) {
		if (tcp->ack != conn->iss + 1) {
			tcp_out_refuse(conn->stack, in, tcp);
			return false;
		}
		conn->una = tcp->ack;
		set_window(conn, tcp);
		established(conn);
	}
	if (seq_before(conn->max, tcp->ack) ||
	    seq_before(tcp->ack, conn->una - conn->max_window)) {
		challenge(conn); /* RFC 5961, 5.2 */
		return false;
	}
	conn->unheard = 0;
	if (seq_before(conn->una, tcp->ack))
		new_ack(conn, tcp->ack);
	else if (tcp->ack == conn->una && conn->una != conn->max &&
	    tcp->data_bytes == 0 && (tcp->flags & TCP_FIN) == 0 &&
	    tcp->window == conn->window)
		duplicate_ack(conn);
	if (!seq_before(tcp->ack, conn->una) &&
	    (seq_before(conn->wl1, tcp->seq) ||
		(conn->wl1 == tcp->seq && !seq_before(tcp->ack, conn->wl2)))) {
		if (conn->window == 0 && tcp->window > 0)
			reopen(conn);
		set_window(conn, tcp);
	}
	return true;
}

/* Our FIN was acknowledged. */
static void
finished(struct tcpconn *conn)
{
	switch (conn->state) {
	case TCP_FIN_WAIT_1: tcpconn_set(conn, TCP_FIN_WAIT_2); break;
	case TCP_CLOSING: tcpconn_set(conn, TCP_TIME_WAIT); break;
	case TCP_LAST_ACK: tcpconn_set(conn, TCP_CLOSED); break;
	case TCP_CLOSED:
	case TCP_SYN_SENT:
	case TCP_SYN_RECEIVED:
	case TCP_ESTABLISHED:
	case TCP_FIN_WAIT_2:
	case TCP_CLOSE_WAIT:
	case TCP_TIME_WAIT:
	case TCP_NSTATES: break;
	}
}

/* ---- text ---- */

/* Moves rcv_nxt over the early pieces that are no longer early. */
static void
join_ranges(struct tcpconn *conn)
{
	unsigned int taken = 0;

	while (taken < conn->nranges &&
	    !seq_before(conn->rcv_nxt, conn->range[taken].from)) {
		const struct tcp_range *r = &conn->range[taken++];

		if (seq_before(conn->rcv_nxt, r->to)) {
			ring_join(&conn->in, r->to - conn->rcv_nxt);
			conn->bytes_in += r->to - conn->rcv_nxt;
			conn->rcv_nxt = r->to;
		}
	}
	conn->nranges -= taken;
	memmove(conn->range, conn->range + taken,
	    conn->nranges * sizeof(conn->range[0]));
}

/* Adds an early piece to the list.  False: it is full. */
static bool
add_range(struct tcpconn *conn, uint32_t from, uint32_t to)
{
	struct tcp_range *r = conn->range;
	unsigned int at = 0, end;

	/* [at, end) are the ranges that touch the new one. */
	while (at < conn->nranges && seq_before(r[at].to, from))
		at++;
	end = at;
	while (end < conn->nranges && !seq_before(to, r[end].from)) {
		if (seq_before(r[end].from, from))
			from = r[end].from;
		if (seq_before(to, r[end].to))
			to = r[end].to;
		end++;
	}
	if (end == at && conn->nranges == TCP_RANGES)
		return false;
	memmove(&r[at + 1], &r[end], (conn->nranges - end) * sizeof(*r));
	conn->nranges = conn->nranges - (end - at) + 1;
	r[at] = (struct tcp_range){ from, to };
	return true;
}

/* n bytes that begin at seq, all of them in the window. */
static void
put_text(struct tcpconn *conn, uint32_t seq, const uint8_t *data, uint32_t n)
{
	const uint32_t ahead = seq - conn->rcv_nxt;

	if (ahead > 0) {
		conn->ack_now = true;
		if (add_range(conn, seq, seq + n))
			ring_put(&conn->in, ahead, data, n);
		return;
	}
	ring_append(&conn->in, data, n);
	conn->rcv_nxt += n;
	conn->bytes_in += n;
	if (conn->nranges > 0) {
		join_ranges(conn);
		conn->ack_now = true;
	}
	if (++conn->unacked >= 2)
		conn->ack_now = true;
	else if (!conn->ack_timer.set)
		timer_set(&conn->stack->timers, &conn->ack_timer,
		    conn->stack->now_us + DELAYED_ACK_US);
	tcpconn_wake(conn);
}

/* Cuts a segment's text to what is new and fits, and takes it. */
static void
take_text(struct tcpconn *conn, const struct tcp *tcp)
{
	const uint8_t *data = tcp->data;
	uint32_t seq = tcp->seq, n = (uint32_t)tcp->data_bytes, edge, old;

	edge = conn->fin_known ? conn->fin : conn->advertised;
	if (seq_before(conn->advertised, edge))
		edge = conn->advertised;
	if (seq_before(seq, conn->rcv_nxt)) {
		old = conn->rcv_nxt - seq;
		conn->ack_now = true; /* it was sent again: tell where we are */
		if (old >= n)
			return;
		data += old;
		seq += old;
		n -= old;
	}
	if (!seq_before(seq, edge)) {
		conn->ack_now = true;
		return;
	}
	if (seq_before(edge, seq + n)) {
		n = edge - seq;
		conn->ack_now = true;
	}
	put_text(conn, seq, data, n);
}

static void
take_fin(struct tcpconn *conn)
{
	conn->fin_taken = true;
	conn->rcv_nxt++;
	if (seq_before(conn->advertised, conn->rcv_nxt))
		conn->advertised = conn->rcv_nxt;
	conn->ack_now = true;
	conn->nranges = 0;
	switch (conn->state) {
	case TCP_ESTABLISHED: tcpconn_set(conn, TCP_CLOSE_WAIT); break;
	case TCP_FIN_WAIT_1:
		tcpconn_set(
		    conn, conn->fin_acked ? TCP_TIME_WAIT : TCP_CLOSING);
		break;
	case TCP_FIN_WAIT_2: tcpconn_set(conn, TCP_TIME_WAIT); break;
	case TCP_CLOSED:
	case TCP_SYN_SENT:
	case TCP_SYN_RECEIVED:
	case TCP_CLOSE_WAIT:
	case TCP_CLOSING:
	case TCP_LAST_ACK:
	case TCP_TIME_WAIT:
	case TCP_NSTATES: break;
	}
}

static bool
receives(enum tcp_state state)
{
	return state == TCP_ESTABLISHED || state == TCP_FIN_WAIT_1 ||
	    state == TCP_FIN_WAIT_2;
}

/* ---- a segment of a connection ---- */

/* RFC 9293, 3.4: the window that counts is the one we told.  A segment that
 * begins at rcv_nxt is always looked at, so that its acknowledgement and its
 * RST count even when the window is closed. */
static bool
is_acceptable(const struct tcpconn *conn, const struct tcp *tcp)
{
	const uint32_t window = conn->advertised - conn->rcv_nxt;
	const uint32_t bytes = (uint32_t)tcp->data_bytes +
	    ((tcp->flags & TCP_SYN) != 0) + ((tcp->flags & TCP_FIN) != 0);

	if (tcp->seq == conn->rcv_nxt)
		return true;
	if (seq_in(tcp->seq, conn->rcv_nxt, window))
		return true;
	return bytes > 0 && window > 0 &&
	    seq_in(tcp->seq + bytes - 1, conn->rcv_nxt, window);
}

static enum reason
unacceptable(struct tcpconn *conn, const struct tcp *tcp)
{
	const bool again = conn->state == TCP_SYN_RECEIVED &&
	    (tcp->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
	    tcp->seq == conn->irs;

	if (tcp->flags & TCP_RST)
		return DROP_TCP_WINDOW;
	if (again) { /* our answer was lost */
		(void)tcp_out_syn(conn);
		return REASON_DELIVERED;
	}
	if (conn->state == TCP_TIME_WAIT && tcp->flags & TCP_FIN)
		timer_set(&conn->stack->timers, &conn->timer,
		    conn->stack->now_us + TCP_TIME_WAIT_US);
	if (tcp->data_bytes > 0 || tcp->flags & TCP_FIN)
		tcp_out_ack(conn);
	else
		challenge(conn);
	return DROP_TCP_WINDOW;
}

/* RFC 5961, 3.2: only the very next sequence number resets. */
static enum reason
take_reset(struct tcpconn *conn, const struct tcp *tcp)
{
	if (conn->state == TCP_TIME_WAIT)
		return DROP_TCP_STATE; /* RFC 1337, 3 */
	if (tcp->seq != conn->rcv_nxt) {
		challenge(conn);
		return DROP_TCP_WINDOW;
	}
	tcpconn_fail(
	    conn, conn->state == TCP_SYN_RECEIVED ? TCP_REFUSED : TCP_RESET);
	return REASON_DELIVERED;
}

static enum reason
segment_input(
    struct tcpconn *conn, const struct ip_in *in, const struct tcp *tcp)
{
	const uint32_t end = tcp->seq + (uint32_t)tcp->data_bytes;

	if (!is_acceptable(conn, tcp))
		return unacceptable(conn, tcp);
	if (tcp->flags & TCP_RST)
		return take_reset(conn, tcp);
	if (tcp->flags & TCP_SYN) {
		challenge(conn); /* RFC 5961, 4.2 */
		return DROP_TCP_STATE;
	}
	if ((tcp->flags & TCP_ACK) == 0)
		return DROP_TCP_STATE;
	conn->heard_us = conn->stack->now_us;
	if (!take_ack(conn, in, tcp))
		return DROP_TCP_STATE;
	if (conn->fin_acked)
		finished(conn);
	if (receives(conn->state)) {
		/* Nobody will ever read it (RFC 1122, 4.2.2.13). */
		if (tcp->data_bytes > 0 && !conn->owned &&
		    conn->listening == NULL) {
			tcpconn_abort(conn);
			return DROP_TCP_STATE;
		}
		if (tcp->flags & TCP_FIN && !conn->fin_known &&
		    end - conn->rcv_nxt <= conn->advertised - conn->rcv_nxt) {
			conn->fin_known = true;
			conn->fin = end;
		}
		if (tcp->data_bytes > 0)
			take_text(conn, tcp);
		if (conn->fin_known && conn->rcv_nxt == conn->fin)
			take_fin(conn);
		else if (tcp->flags & TCP_FIN)
			conn->ack_now = true;
	} else if (tcp->data_bytes > 0 || tcp->flags & TCP_FIN)
		conn->ack_now = true;
	if (conn->state != TCP_CLOSED)
		tcp_out(conn);
	return REASON_DELIVERED;
}

enum reason
tcpconn_input(struct netif *nif, const struct ip_in *in, struct cursor *c,
    unsigned int how)
{
	struct stack *stack = nif->stack;
	const bool trusted = (how & (RX_TRUSTED | RX_SELF)) != 0;
	struct tcp tcp;
	enum reason why = in->ip4 != NULL
	    ? tcp_parse(&tcp, c, in->ip4, trusted)
	    : tcp6_parse(&tcp, c, in->ip6, trusted);
	struct tcpconn *conn;

	if (why != DROP_NONE)
		return why;
	if (how & RX_GROUP || (in->ip4 != NULL && in->ip4->src == 0))
		return DROP_MARTIAN; /* RFC 1122, 4.2.3.10 */
	conn = tcpconn_find(stack, &in->dst, tcp.dport, &in->src, tcp.sport);
	/* A new beginning in TIME-WAIT (RFC 9293, 3.6.1). */
	if (conn != NULL && conn->state == TCP_TIME_WAIT &&
	    (tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
	    seq_before(conn->rcv_nxt, tcp.seq)) {
		tcpconn_abort(conn);
		return listen_input(nif, in, &tcp, conn);
	}
	if (conn == NULL)
		return listen_input(nif, in, &tcp, NULL);
	if (conn->state == TCP_SYN_SENT)
		return syn_sent_input(conn, in, &tcp);
	return segment_input(conn, in, &tcp);
}

/* ---- ICMP ---- */

/* RFC 1191, 6.4, on the word of a router that quotes a segment in flight. */
static void
shrink(struct tcpconn *conn, uint32_t mtu)
{
	const bool ip4 = ip_is4(&conn->remote);
	uint16_t mss;

	if (!ip4 && mtu < IP6_MTU_MIN)
		return; /* no link has less (RFC 8201 4) */
	if (mtu > UINT16_MAX)
		mtu = UINT16_MAX;
	if (ip4 && mtu < MIN_DF_MTU) {
		conn->dont_fragment = false;
		mtu = MIN_DF_MTU;
	}
	mss = (uint16_t)(mtu - tcp_out_heads(conn));
	if (mss >= conn->mss && conn->dont_fragment)
		return;
	if (mss < conn->mss)
		conn->mss = mss;
	conn->nxt = conn->una;
	conn->timing = false;
	tcp_out(conn);
}

enum reason
tcpconn_note(struct stack *stack, const struct ip6_addr *src, uint16_t port,
    uint16_t dport, const struct icmp_note *note)
{
	struct tcpconn *conn =
	    tcpconn_find(stack, src, port, &note->dst, dport);
	const uint32_t seq = (uint32_t)note->stamp;

	if (conn == NULL)
		return DROP_NO_LISTENER;
	if (seq_before(seq, conn->una) || !seq_before(seq, conn->max))
		return DROP_TCP_WINDOW; /* RFC 5927, 4.1 */
	if (note->kind == ICMP_NOTE_TOO_BIG) {
		if (conn->state != TCP_SYN_SENT &&
		    conn->state != TCP_SYN_RECEIVED)
			shrink(conn, note->mtu);
		return REASON_DELIVERED;
	}
	/* Errors end what has not begun; others may pass (RFC 1122, 4.2.3.9). */
	conn->note = *note;
	if (note->kind == ICMP_NOTE_UNREACHABLE && conn->state == TCP_SYN_SENT)
		tcpconn_fail(conn, TCP_UNREACHABLE);
	return REASON_DELIVERED;
}
