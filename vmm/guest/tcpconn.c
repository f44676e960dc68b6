/*
 * tcpconn.c - the life of a connection.
 *
 *                  CLOSED --open--> SYN-SENT ----SYN, ACK----.
 *                    |                 | SYN                 v
 *                    '--SYN in--> SYN-RECEIVED --ACK--> ESTABLISHED
 *                                                       |         |
 *                                                finish |         | FIN in
 *                                                       v         v
 *               FIN-WAIT-2 <--ACK-- FIN-WAIT-1 <--------'     CLOSE-WAIT
 *                    |                 | FIN in                   | finish
 *                    | FIN in          v                          v
 *                    |              CLOSING                   LAST-ACK
 *                    v                 | ACK                      | ACK
 *                TIME-WAIT <-----------'                          v
 *                    '----60 s----> CLOSED <----------------------'
 *
 * and from any state to CLOSED by a reset, a timeout or an error.  The states
 * are RFC 9293's (3.3.2); listeners are apart, so LISTEN is none of them.
 */
#include "vmm/guest/tcpconn.h"

#include <assert.h>
#include <string.h>

#include "vmm/guest/stack.h"
#include "vmm/guest/tcp_parts.h"

#define TO(state) (1u << TCP_##state)
static const struct {
	const char *name;
	unsigned int next;
} tcp_fsm[] = {
	[TCP_CLOSED] = { "CLOSED", TO(SYN_SENT) | TO(SYN_RECEIVED) },
	[TCP_SYN_SENT] = { "SYN-SENT",
	    TO(CLOSED) | TO(ESTABLISHED) | TO(SYN_RECEIVED) },
	[TCP_SYN_RECEIVED] = { "SYN-RECEIVED", TO(CLOSED) | TO(ESTABLISHED) },
	[TCP_ESTABLISHED] = { "ESTABLISHED",
	    TO(CLOSED) | TO(FIN_WAIT_1) | TO(CLOSE_WAIT) },
	[TCP_FIN_WAIT_1] = { "FIN-WAIT-1",
	    TO(CLOSED) | TO(FIN_WAIT_2) | TO(CLOSING) | TO(TIME_WAIT) },
	[TCP_FIN_WAIT_2] = { "FIN-WAIT-2", TO(CLOSED) | TO(TIME_WAIT) },
	[TCP_CLOSE_WAIT] = { "CLOSE-WAIT", TO(CLOSED) | TO(LAST_ACK) },
	[TCP_CLOSING] = { "CLOSING", TO(CLOSED) | TO(TIME_WAIT) },
	[TCP_LAST_ACK] = { "LAST-ACK", TO(CLOSED) },
	[TCP_TIME_WAIT] = { "TIME-WAIT", TO(CLOSED) },
};
static_assert(
    sizeof(tcp_fsm) / sizeof(tcp_fsm[0]) == TCP_NSTATES, "a state has no row");

const char *
tcpconn_state_name(enum tcp_state state)
{
	return tcp_fsm[state].name;
}

const char *
tcpconn_error_text(enum tcp_error error)
{
	switch (error) {
	case TCP_NO_ERROR: return "no error";
	case TCP_REFUSED: return "connection refused";
	case TCP_RESET: return "connection reset by the other side";
	case TCP_TIMEOUT: return "the other side does not answer";
	case TCP_UNREACHABLE: return "the other side cannot be reached";
	case TCP_NO_ADDRESS: return "our own address is gone";
	}
	return "?";
}

static void
leave_listener(struct tcpconn *conn)
{
	if (conn->listening == NULL)
		return;
	conn->listening->pending--;
	conn->listening = NULL;
}

void
tcpconn_set(struct tcpconn *conn, enum tcp_state to)
{
	struct timers *timers = &conn->stack->timers;
	const uint64_t now_us = conn->stack->now_us;

	assert(tcp_fsm[conn->state].next & 1u << to);
	conn->state = to;
	conn->since_us = now_us;
	if (to == TCP_CLOSED || to == TCP_TIME_WAIT) {
		timer_unset(timers, &conn->timer);
		timer_unset(timers, &conn->ack_timer);
	}
	if (to == TCP_TIME_WAIT)
		timer_set(timers, &conn->timer, now_us + TCP_TIME_WAIT_US);
	if (to == TCP_FIN_WAIT_2) {
		timer_unset(timers, &conn->timer);
		if (!conn->owned)
			timer_set(
			    timers, &conn->timer, now_us + TCP_FIN_WAIT_US);
	}
	if (to == TCP_CLOSED)
		leave_listener(conn);
	tcpconn_wake(conn);
}

void
tcpconn_wake(struct tcpconn *conn)
{
	if (conn->wake != NULL)
		*conn->wake = true;
	if (conn->event != NULL)
		conn->changed = conn->stack->tcp.changed = true;
}

bool
tcpconn_run_events(struct stack *stack)
{
	if (!stack->tcp.changed)
		return false;
	stack->tcp.changed = false;
	for (unsigned int i = 0; i < TCPCONNS; i++) {
		struct tcpconn *conn = &stack->tcp.conn[i];

		if (!conn->changed)
			continue;
		conn->changed = false;
		if (conn->event != NULL)
			conn->event(conn);
	}
	return true;
}

void
tcpconn_fail(struct tcpconn *conn, enum tcp_error error)
{
	if (conn->error == TCP_NO_ERROR)
		conn->error = error;
	conn->out.len = 0;
	tcpconn_set(conn, TCP_CLOSED);
}

void
tcpconn_init(struct stack *stack)
{
	struct tcpconns *tcp = &stack->tcp;

	for (unsigned int i = 0; i < TCPCONNS; i++)
		tcp->conn[i].stack = stack;
}

/* ---- finding and making ---- */

struct tcpconn *
tcpconn_find(struct stack *stack, const struct ip6_addr *local, uint16_t lport,
    const struct ip6_addr *remote, uint16_t rport)
{
	for (unsigned int i = 0; i < TCPCONNS; i++) {
		struct tcpconn *conn = &stack->tcp.conn[i];

		if (conn->state != TCP_CLOSED && conn->rport == rport &&
		    conn->lport == lport && ip6_equal(&conn->remote, remote) &&
		    ip6_equal(&conn->local, local))
			return conn;
	}
	return NULL;
}

struct tcplisten *
tcplisten_find(struct stack *stack, uint16_t port)
{
	for (unsigned int i = 0; i < TCPLISTENS; i++) {
		struct tcplisten *l = &stack->tcp.listen[i];

		if (l->used && l->port == port)
			return l;
	}
	return NULL;
}

/* How readily a connection gives up its place; 0: not at all. */
static unsigned int
readiness(const struct tcpconn *conn)
{
	/* A service's connection gives way to who came later. */
	if (conn->owned && conn->event != NULL && conn->state != TCP_CLOSED)
		return 1;
	if (conn->owned)
		return 0;
	switch (conn->state) {
	case TCP_CLOSED: return 4;
	case TCP_TIME_WAIT: return 3;
	case TCP_SYN_RECEIVED: return 2;
	case TCP_FIN_WAIT_2:
	case TCP_LAST_ACK:
	case TCP_CLOSING: return 1;
	case TCP_SYN_SENT:
	case TCP_ESTABLISHED:
	case TCP_FIN_WAIT_1:
	case TCP_CLOSE_WAIT:
	case TCP_NSTATES: break;
	}
	return 0;
}

struct tcpconn *
tcpconn_new(struct stack *stack, const struct ip6_addr *local, uint16_t lport,
    const struct ip6_addr *remote, uint16_t rport)
{
	struct tcpconn *best = NULL;
	unsigned int index, most = 0, r;

	for (unsigned int i = 0; i < TCPCONNS; i++) {
		struct tcpconn *conn = &stack->tcp.conn[i];

		r = readiness(conn);
		if (r > most ||
		    (r == most && r > 0 && conn->heard_us < best->heard_us)) {
			most = r;
			best = conn;
		}
		if (most == 4)
			break;
	}
	if (best == NULL)
		return NULL;
	if (best->state != TCP_CLOSED)
		tcpconn_abort(best);
	index = (unsigned int)(best - stack->tcp.conn);
	*best = (struct tcpconn){
		.stack = stack,
		.local = *local,
		.lport = lport,
		.remote = *remote,
		.rport = rport,
		.heard_us = stack->now_us,
		.dont_fragment = true,
		.mss = TCP_DEFAULT_MSS,
		.ssthresh = UINT32_MAX,
		.rto_us = US_PER_S,
	};
	ring_init(&best->out, stack->tcp.buffer[index][0], TCP_BUFFER_BYTES);
	ring_init(&best->in, stack->tcp.buffer[index][1], TCP_BUFFER_BYTES);
	timer_init(&best->timer, tcp_out_timer, best);
	timer_init(&best->ack_timer, tcp_out_ack_timer, best);
	return best;
}

/* ---- listening ---- */

struct tcplisten *
tcplisten_new(struct stack *stack, uint16_t port, bool *wake)
{
	if (port == 0 || tcplisten_find(stack, port) != NULL)
		return NULL;
	for (unsigned int i = 0; i < TCPLISTENS; i++) {
		struct tcplisten *l = &stack->tcp.listen[i];

		if (l->used)
			continue;
		*l = (struct tcplisten){
			.used = true, .port = port, .wake = wake
		};
		return l;
	}
	return NULL;
}

struct tcpconn *
tcplisten_accept(struct stack *stack, struct tcplisten *l)
{
	struct tcpconn *oldest = NULL;

	for (unsigned int i = 0; i < TCPCONNS; i++) {
		struct tcpconn *conn = &stack->tcp.conn[i];

		if (conn->listening == l && conn->state != TCP_CLOSED &&
		    conn->state != TCP_SYN_RECEIVED &&
		    (oldest == NULL || conn->since_us < oldest->since_us))
			oldest = conn;
	}
	if (oldest == NULL)
		return NULL;
	leave_listener(oldest);
	oldest->owned = true;
	oldest->wake = l->wake;
	return oldest;
}

void
tcplisten_close(struct stack *stack, struct tcplisten *l)
{
	for (unsigned int i = 0; i < TCPCONNS; i++) {
		struct tcpconn *conn = &stack->tcp.conn[i];

		if (conn->state != TCP_CLOSED && conn->listening == l)
			tcpconn_abort(conn);
	}
	l->used = false;
}

/* ---- the owner's side ---- */

static bool
port_is_free(struct stack *stack, uint16_t port, const struct tcp_to *to)
{
	if (tcplisten_find(stack, port) != NULL)
		return false;
	for (unsigned int i = 0; i < TCPCONNS; i++) {
		const struct tcpconn *conn = &stack->tcp.conn[i];

		if (conn->state != TCP_CLOSED && conn->lport == port &&
		    ip6_equal(&conn->remote, &to->dst) &&
		    conn->rport == to->dport)
			return false;
	}
	return true;
}

/* RFC 6528: a clock of 4 us ticks, and a secret per pair of ends. */
static uint32_t
first_sequence(const struct tcpconn *conn)
{
	const struct random *random = &conn->stack->random;
	uint64_t words[4], hash;

	memcpy(words, conn->local.b, 16);
	memcpy(words + 2, conn->remote.b, 16);
	hash = random_hash(random, words[0], words[1]);
	hash = random_hash(random, hash ^ words[2], words[3]);
	hash = random_hash(
	    random, hash, (uint64_t)conn->lport << 16 | conn->rport);
	return (uint32_t)(conn->stack->now_us / 4) + (uint32_t)hash;
}

void
tcpconn_choose_iss(struct tcpconn *conn)
{
	conn->iss = conn->una = conn->nxt = conn->max = first_sequence(conn);
}

struct tcpconn *
tcpconn_open(
    struct stack *stack, const struct tcp_to *to, bool *wake, enum reason *why)
{
	uint16_t sport = to->sport;
	struct tcpconn *conn = NULL;
	unsigned int tries = 64;
	struct ip6_addr local;

	*why = DROP_NO_ROUTE;
	if (to->dport == 0 || ip6_is_multicast(&to->dst) ||
	    !ip_source(stack, &to->dst, &to->src, &local))
		return NULL;
	*why = DROP_PORT_FULL;
	if (sport != 0 && !port_is_free(stack, sport, to))
		return NULL;
	while (sport == 0 && tries-- > 0) {
		sport = (uint16_t)(EPHEMERAL_FIRST +
		    random_below(&stack->random, EPHEMERAL_COUNT));
		if (!port_is_free(stack, sport, to))
			sport = 0;
	}
	if (sport != 0)
		conn = tcpconn_new(stack, &local, sport, &to->dst, to->dport);
	if (conn == NULL)
		return NULL;
	conn->owned = true;
	conn->wake = wake;
	tcpconn_choose_iss(conn);
	tcpconn_set(conn, TCP_SYN_SENT);
	tcp_out_syn(conn);
	*why = DROP_NONE;
	return conn;
}

static bool
can_send(const struct tcpconn *conn)
{
	return (conn->state == TCP_ESTABLISHED ||
		   conn->state == TCP_CLOSE_WAIT ||
		   conn->state == TCP_SYN_SENT ||
		   conn->state == TCP_SYN_RECEIVED) &&
	    !conn->fin_asked;
}

size_t
tcpconn_write(struct tcpconn *conn, const void *data, size_t len)
{
	const size_t room = ring_room(&conn->out);

	if (!can_send(conn))
		return 0;
	if (len > room)
		len = room;
	if (len == 0)
		return 0;
	ring_append(&conn->out, data, len);
	tcp_out(conn);
	return len;
}

size_t
tcpconn_read(struct tcpconn *conn, void *data, size_t size)
{
	uint32_t window, edge;

	if (size > conn->in.len)
		size = conn->in.len;
	if (size == 0)
		return 0;
	ring_peek(&conn->in, 0, data, size);
	ring_drop(&conn->in, size);
	/* Tell of room only when there is some worth it (3.8.6.2.2). */
	window = (uint32_t)ring_room(&conn->in);
	edge = conn->rcv_nxt + window;
	if (conn->state != TCP_CLOSED && !conn->fin_taken &&
	    (edge - conn->advertised >= TCP_BUFFER_BYTES / 2 ||
		(edge - conn->advertised >= 2u * conn->mss &&
		    conn->advertised - conn->rcv_nxt < 2u * conn->mss))) {
		conn->ack_now = true;
		tcp_out(conn);
	}
	return size;
}

bool
tcpconn_ended(const struct tcpconn *conn)
{
	return conn->in.len == 0 &&
	    (conn->fin_taken || conn->state == TCP_CLOSED);
}

bool
tcpconn_is_connecting(const struct tcpconn *conn)
{
	return conn->state == TCP_SYN_SENT || conn->state == TCP_SYN_RECEIVED;
}

bool
tcpconn_flushed(const struct tcpconn *conn)
{
	return conn->out.len == 0;
}

void
tcpconn_finish(struct tcpconn *conn)
{
	if (conn->fin_asked)
		return;
	switch (conn->state) {
	case TCP_SYN_SENT: tcpconn_set(conn, TCP_CLOSED); return;
	case TCP_SYN_RECEIVED: conn->fin_asked = true; return;
	case TCP_ESTABLISHED:
		conn->fin_asked = true;
		tcpconn_set(conn, TCP_FIN_WAIT_1);
		break;
	case TCP_CLOSE_WAIT:
		conn->fin_asked = true;
		tcpconn_set(conn, TCP_LAST_ACK);
		break;
	case TCP_CLOSED:
	case TCP_FIN_WAIT_1:
	case TCP_FIN_WAIT_2:
	case TCP_CLOSING:
	case TCP_LAST_ACK:
	case TCP_TIME_WAIT:
	case TCP_NSTATES: return;
	}
	tcp_out(conn);
}

static void
let_go(struct tcpconn *conn)
{
	conn->owned = false;
	conn->wake = NULL;
	conn->event = NULL;
}

void
tcpconn_close(struct tcpconn *conn)
{
	if (conn->in.len > 0 && !tcpconn_is_connecting(conn)) {
		tcpconn_abort(conn); /* RFC 1122, 4.2.2.13 */
		return;
	}
	let_go(conn);
	tcpconn_finish(conn);
	if (conn->state == TCP_FIN_WAIT_2)
		timer_set(&conn->stack->timers, &conn->timer,
		    conn->stack->now_us + TCP_FIN_WAIT_US);
}

void
tcpconn_abort(struct tcpconn *conn)
{
	let_go(conn);
	switch (conn->state) {
	case TCP_CLOSED: return;
	case TCP_SYN_RECEIVED:
	case TCP_ESTABLISHED:
	case TCP_FIN_WAIT_1:
	case TCP_FIN_WAIT_2:
	case TCP_CLOSE_WAIT:
	case TCP_CLOSING:
	case TCP_LAST_ACK: tcp_out_reset(conn); break;
	case TCP_SYN_SENT:
	case TCP_TIME_WAIT:
	case TCP_NSTATES: break;
	}
	tcpconn_set(conn, TCP_CLOSED);
}

void
tcpconn_address_lost(struct stack *stack, const struct ip6_addr *addr)
{
	for (unsigned int i = 0; i < TCPCONNS; i++) {
		struct tcpconn *conn = &stack->tcp.conn[i];

		if (conn->state != TCP_CLOSED && ip6_equal(&conn->local, addr))
			tcpconn_fail(conn, TCP_NO_ADDRESS);
	}
}
