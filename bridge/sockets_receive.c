/*
 * From the guest to the peer.
 *
 * Bytes of the guest go straight to the socket, a burst's in one call, and are
 * acknowledged when it took them.  Only segments behind a hole are held here,
 * within limits, until it is filled, and told by SACK (RFC 2018).  Urgent data
 * is data.
 */
#include "bridge/sockets_tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define HELD_MAX (512u * 1024) /* bytes behind holes, of a flow */

/* ---- behind holes ---- */

void
tcp_flow_drop_held(struct tcp_flow *t, struct held *held)
{
	TAILQ_REMOVE(&t->held, held, next);
	t->held_bytes -= held->bytes;
	free(held);
}

/* Keeps a segment behind a hole, as far as there is room. */
static void
hold(struct tcp_flow *t, const struct frame *frame, size_t at, uint32_t seq,
    size_t n)
{
	struct held *held, *after;

	if (n == 0 || n > HELD_MAX - t->held_bytes ||
	    seq - t->rcv > HELD_MAX + WINDOW_MAX)
		return;
	TAILQ_FOREACH_REVERSE(after, &t->held, held_list, next)
	if (!seq_before(seq, after->seq))
		break;
	if (after != NULL && after->seq == seq && after->bytes >= n)
		return;
	held = malloc(sizeof(*held) + n);
	if (held == NULL)
		return;
	held->seq = seq;
	held->bytes = (uint32_t)n;
	frame_copy(held->data, frame, at, n);
	t->held_bytes += held->bytes;
	t->held_last = seq;
	if (after != NULL)
		TAILQ_INSERT_AFTER(&t->held, after, held, next);
	else
		TAILQ_INSERT_HEAD(&t->held, held, next);
}

/* Gives the socket what was held behind a hole that is filled. */
void
tcp_flow_send_held(struct tcp_flow *t)
{
	struct held *held;

	while ((held = TAILQ_FIRST(&t->held)) != NULL &&
	    !seq_before(t->rcv, held->seq)) {
		uint32_t late = t->rcv - held->seq;
		ssize_t n = 0;

		if (late < held->bytes) {
			n = send(t->fd, held->data + late, held->bytes - late,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0)
				break;
			t->rcv += (uint32_t)n;
		}
		if (late + (size_t)n < held->bytes) {
			tcp_flow_wait_write(t);
			break;
		}
		tcp_flow_drop_held(t, held);
	}
	/* The guest may have sent beyond the window that it knew. */
	if (seq_before(t->edge, t->rcv))
		t->edge = t->rcv;
}

/* ---- from the guest to the peer ---- */

/* Gives the socket what is gathered. */
void
tcp_flows_send_gathered(struct sockets *s)
{
	struct tcp_burst *b = s->tcp;
	struct tcp_flow *t = b->flow;
	struct msghdr msg = { .msg_iov = b->piece, .msg_iovlen = b->npieces };
	ssize_t n;
	int error = 0;

	if (b->nframes == 0)
		return;
	do
		n = sendmsg(t->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		error = errno;
		n = 0;
	}
	for (unsigned int i = 0; i < b->nframes; i++)
		node_judge(s->port.node, b->frame[i],
		    b->end[i] <= (size_t)n ? REASON_DELIVERED
			: error == EPIPE || error == ECONNRESET
			? DROP_TCP_STATE
			: DROP_PORT_FULL);
	t->rcv += (uint32_t)n;
	if ((size_t)n < b->bytes) {
		/* What it did not take, the guest keeps. */
		t->edge = t->rcv;
		tcp_flow_wait_write(t);
	}
	b->nframes = b->npieces = 0;
	b->bytes = 0;
	if (error == 0)
		tcp_flow_send_held(t);
	tcp_flow_owe_ack(t, false);
	if (error != 0 && error != EAGAIN && error != ENOBUFS)
		tcp_flow_end(t, SAY_RESET);
}

/* Gathers the frame's data behind skip bytes of it. */
static void
gather(struct tcp_flow *t, const struct sockets_packet *p, struct frame *frame,
    size_t at, size_t n)
{
	struct tcp_burst *b = t->s->tcp;
	unsigned int more;

	more = sockets_pieces(frame, p->l4_at + at, n, b->piece + b->npieces,
	    BURST_PIECES - b->npieces);
	if (more == 0) {
		node_judge(t->s->port.node, frame, DROP_RING_PIECES);
		return;
	}
	b->npieces += more;
	b->bytes += n;
	b->end[b->nframes] = (uint32_t)b->bytes;
	b->frame[b->nframes++] = frame;
}

/* The acknowledgement and window of a segment. */
static void
take_ack(struct tcp_flow *t, const struct tcp *tcp, size_t data_bytes)
{
	uint32_t window = (uint32_t)tcp->window << (t->scaled ? t->wscale : 0);
	uint32_t old = t->window;

	if (seq_before(t->max, tcp->ack) || seq_before(tcp->ack, t->una))
		return;
	t->window = window;
	if (tcp->ack != t->una)
		tcp_flow_acknowledged(t, tcp->ack);
	else if (window > old)
		t->tries = 0;
	else if (data_bytes == 0 && window == old && t->max != t->una &&
	    !(tcp->flags & TCP_FIN))
		tcp_flow_duplicate_ack(t);
	else if (window == 0 && t->tries > TRIES_MAX / 2)
		t->tries = TRIES_MAX / 2; /* it is there, and full */
	else
		return;
	tcp_flow_may_send(t);
}

/* A segment for an open flow.  Whether its verdict is left to others. */
bool
tcp_flow_take(struct tcp_flow *t, const struct sockets_packet *p,
    const struct tcp *tcp, struct frame *frame, size_t data_bytes)
{
	uint32_t want = t->rcv + (uint32_t)t->s->tcp->bytes, late;
	bool fin = tcp->flags & TCP_FIN;

	take_ack(t, tcp, data_bytes);
	if (data_bytes == 0 && !fin) {
		/* A keep-alive, or a probe of our window. */
		if (seq_before(tcp->seq, want))
			tcp_flow_owe_ack(t, false);
		return false;
	}
	if (seq_before(want, tcp->seq)) { /* a hole: say what is wanted */
		tcp_flows_send_gathered(t->s);
		if (t->state != OPEN)
			return false;
		hold(t, frame, p->l4_at + tcp->header_bytes, tcp->seq,
		    data_bytes);
		tcp_flow_owe_ack(t, true);
		return false;
	}
	late = want - tcp->seq;
	tcp_flow_owe_ack(t, false);
	if (late > data_bytes || t->guest_fin)
		return false;
	if (data_bytes > late)
		gather(
		    t, p, frame, tcp->header_bytes + late, data_bytes - late);
	if (!fin)
		return data_bytes > late;
	tcp_flows_send_gathered(t->s);
	/* It may have been taken in part, or ended the flow. */
	if (t->state == OPEN && t->rcv == tcp->seq + data_bytes) {
		t->guest_fin = true;
		t->rcv++;
		t->to_shut = true;
	}
	return data_bytes > late;
}
