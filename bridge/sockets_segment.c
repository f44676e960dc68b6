/*
 * Segments to the guest.  The window that they say is the socket's free space:
 * what the peer does not take, the guest keeps.
 */
#include "bridge/sockets_tcp.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "net/checksum.h"

#define OPTION_BYTES 12 /* of our SYN: MSS, window scale, SACK, padding */
#define SACKS        4  /* that have room in a header */

struct sack {
	uint32_t start, end;
};

/* How much the socket takes, as far as can be said. */
static uint32_t
room_of(struct tcp_flow *t)
{
	int queued = 0;

	if (t->fd < 0 || t->guest_fin)
		return MSS;
	if (t->queued_to == t->rcv) /* it got nothing since it was empty */
		return t->s->tcp->size;
	if (ioctl(t->fd, SIOCOUTQ, &queued) < 0 || queued < 0)
		return MSS;
	if (queued == 0)
		t->queued_to = t->rcv;
	return (uint32_t)queued < t->s->tcp->size
	    ? t->s->tcp->size - (uint32_t)queued
	    : 0;
}

void
tcp_flow_wait_write(struct tcp_flow *t)
{
	if (t->wait_write)
		return;
	t->wait_write = true;
	/* Asked anew, it tells at once if it takes more by now. */
	loop_watch_events(t->watch, LOOP_READ | LOOP_WRITE | LOOP_EDGE);
}

/* The window field for what room there is; it never shrinks. */
static uint16_t
window_field(struct tcp_flow *t, uint32_t room)
{
	uint8_t shift = t->scaled ? SCALE : 0;
	uint32_t most = UINT32_C(0xffff) << shift, window;

	room = smaller(room, most);
	/* Small windows make small segments (RFC 9293 3.8.6.2.2). */
	if (room < MSS)
		room = 0;
	if (seq_before(t->edge, t->rcv + room))
		t->edge = t->rcv + room;
	window = t->edge - t->rcv;
	return (uint16_t)(smaller(window, most) >> shift);
}

uint16_t
tcp_flow_window(struct tcp_flow *t)
{
	uint32_t room = room_of(t);

	if (room < 2 * MSS && t->state == OPEN && !t->guest_fin)
		tcp_flow_wait_write(t);
	return window_field(t, room);
}

/* Writes what a header of len bytes has in any case, for a segment of which
 * n bytes follow it. */
static void
write_header(uint8_t *l4, const struct ip4 *ip, const struct tcp *tcp,
    uint8_t len, size_t n)
{
	put_be16(l4, tcp->sport);
	put_be16(l4 + 2, tcp->dport);
	put_be32(l4 + 4, tcp->seq);
	put_be32(l4 + 8, tcp->ack);
	l4[12] = (uint8_t)(len / 4 << 4);
	l4[13] = tcp->flags;
	put_be16(l4 + 14, tcp->window);
	put_be16(l4 + TCP_OFF_CHECKSUM,
	    csum_fold(
		csum_pseudo4(ip->src, ip->dst, IP_TCP, (uint16_t)(len + n))));
	put_be16(l4 + 18, 0);
}

static struct ip4
packet_of(const struct tcp_flow *t)
{
	return (struct ip4){ .ttl = TTL,
		.protocol = IP_TCP,
		.fragment = IP4_DF,
		.src = t->out_ip,
		.dst = t->in_ip };
}

void
tcp_flow_send(struct tcp_flow *t, uint8_t *l4, uint32_t seq, size_t n,
    uint8_t flags, uint16_t window)
{
	struct ip4 ip = packet_of(t);
	struct tcp tcp = { .sport = t->out_port,
		.dport = t->in_port,
		.seq = seq,
		.ack = t->rcv,
		.flags = flags | TCP_ACK,
		.window = window };

	write_header(l4, &ip, &tcp, TCP_HEADER_BYTES, n);
	sockets_send(t->s, &t->mac, &ip, l4, TCP_HEADER_BYTES + n,
	    TCP_OFF_CHECKSUM, t->mss, TCP_HEADER_BYTES);
}

/* The run of held segments that begins with *held, which is moved behind it. */
static struct sack
next_run(struct held **held)
{
	struct sack run = { (*held)->seq, (*held)->seq };

	while (*held != NULL && !seq_before(run.end, (*held)->seq)) {
		uint32_t end = (*held)->seq + (*held)->bytes;

		if (seq_before(run.end, end))
			run.end = end;
		*held = TAILQ_NEXT(*held, next);
	}
	return run;
}

/* The runs that are held, the latest one first (RFC 2018 4).  How many. */
static unsigned int
find_sacks(const struct tcp_flow *t, struct sack *out)
{
	struct held *held = TAILQ_FIRST(&t->held);
	unsigned int n = 1;

	if (held == NULL || !t->sack)
		return 0;
	out[0] = (struct sack){ 0, 0 };
	while (held != NULL) {
		struct sack run = next_run(&held);

		if (!seq_before(t->held_last, run.start) &&
		    seq_before(t->held_last, run.end))
			out[0] = run;
		else if (n < SACKS)
			out[n++] = run;
	}
	/* The latest is gone already: the first one is not missed. */
	return out[0].start == out[0].end ? 0 : n;
}

void
tcp_flow_ack(struct tcp_flow *t, uint32_t seq, uint8_t flags)
{
	uint8_t packet[SOCKETS_HEAD_BYTES + TCP_HEADER_BYTES + 4 + 8 * SACKS];
	uint8_t *l4 = packet + SOCKETS_HEAD_BYTES, len = TCP_HEADER_BYTES;
	struct ip4 ip = packet_of(t);
	struct tcp tcp = { .sport = t->out_port,
		.dport = t->in_port,
		.seq = seq,
		.ack = t->rcv,
		.flags = flags | TCP_ACK,
		.window = tcp_flow_window(t) };
	struct sack sack[SACKS];
	unsigned int n = find_sacks(t, sack);

	if (n > 0) {
		put_be32(l4 + len, UINT32_C(0x01010500) | (2 + 8 * n));
		len += 4;
	}
	for (unsigned int i = 0; i < n; i++, len += 8) {
		put_be32(l4 + len, sack[i].start);
		put_be32(l4 + len + 4, sack[i].end);
	}
	write_header(l4, &ip, &tcp, len, 0);
	sockets_flush(t->s);
	sockets_send(t->s, &t->mac, &ip, l4, len, TCP_OFF_CHECKSUM, 0, 0);
	sockets_flush(t->s);
}

void
tcp_flow_syn_ack(struct tcp_flow *t)
{
	uint8_t packet[SOCKETS_HEAD_BYTES + TCP_HEADER_BYTES + OPTION_BYTES];
	uint8_t *l4 = packet + SOCKETS_HEAD_BYTES, len = TCP_HEADER_BYTES;
	struct ip4 ip = packet_of(t);
	struct tcp tcp = { .sport = t->out_port,
		.dport = t->in_port,
		.seq = t->una,
		.ack = t->rcv,
		.flags = TCP_SYN | TCP_ACK,
		.window = (uint16_t)smaller(room_of(t), 0xffff) };

	t->edge = t->rcv + tcp.window;
	put_be32(l4 + len, UINT32_C(0x02040000) | MSS);
	len += 4;
	if (t->scaled) {
		put_be32(l4 + len, UINT32_C(0x01030300) | SCALE);
		len += 4;
	}
	if (t->sack) {
		put_be32(l4 + len, UINT32_C(0x01010402));
		len += 4;
	}
	write_header(l4, &ip, &tcp, len, 0);
	sockets_flush(t->s);
	sockets_send(t->s, &t->mac, &ip, l4, len, TCP_OFF_CHECKSUM, 0, 0);
	sockets_flush(t->s);
}

void
tcp_refuse(struct sockets *s, const struct sockets_packet *p,
    const struct tcp *tcp, size_t data_bytes)
{
	uint8_t packet[SOCKETS_HEAD_BYTES + TCP_HEADER_BYTES];
	uint8_t *l4 = packet + SOCKETS_HEAD_BYTES;
	struct ip4 ip = { .ttl = TTL,
		.protocol = IP_TCP,
		.src = p->ip.dst,
		.dst = p->ip.src };
	struct tcp whole = *tcp, reset;

	if (tcp->flags & TCP_RST)
		return;
	whole.data_bytes = data_bytes; /* the frame's head has less */
	reset = tcp_reset(&whole);
	write_header(l4, &ip, &reset, TCP_HEADER_BYTES, 0);
	sockets_flush(s);
	sockets_send(
	    s, &p->from, &ip, l4, TCP_HEADER_BYTES, TCP_OFF_CHECKSUM, 0, 0);
	sockets_flush(s);
}
