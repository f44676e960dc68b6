/*
 * services.c - echo and discard.
 *
 * They hold no state of their own: an echo reads only as much as it can write
 * back, so that TCP's window slows a sender who does not read.
 */
#include "vmm/guest/services.h"

#include "vmm/guest/stack.h"

#define PIECE_BYTES 2048

static const uint16_t ports[] = { PORT_ECHO, PORT_DISCARD };

/* ---- UDP ---- */

static void
udp_echo(void *arg, struct stack *stack, const struct udp_from *from,
    const uint8_t *data)
{
	const struct udp_to to = {
		.dst = from->src, .dport = from->sport, .src = from->dst
	};

	/* From echo to echo a datagram would travel for ever, and one to all
	 * would come back from all. */
	if (from->sport == PORT_ECHO || !stack_owns(stack, &from->dst))
		return;
	(void)udpsock_send(stack, arg, &to, data, from->data_bytes);
}

static void
udp_discard(void *arg, struct stack *stack, const struct udp_from *from,
    const uint8_t *data)
{
	(void)arg;
	(void)stack;
	(void)from;
	(void)data;
}

/* ---- TCP ---- */

static void
end_if_done(struct tcpconn *conn)
{
	if (conn->state == TCP_CLOSED || tcpconn_ended(conn))
		tcpconn_close(conn);
}

static void
tcp_echo(struct tcpconn *conn)
{
	uint8_t piece[PIECE_BYTES];
	size_t n;

	for (;;) {
		n = ring_room(&conn->out);
		n = tcpconn_read(
		    conn, piece, n < sizeof(piece) ? n : sizeof(piece));
		if (n == 0)
			break;
		if (tcpconn_write(conn, piece, n) < n)
			break; /* it has failed */
	}
	end_if_done(conn);
}

static void
tcp_discard(struct tcpconn *conn)
{
	uint8_t piece[PIECE_BYTES];

	while (tcpconn_read(conn, piece, sizeof(piece)) > 0)
		;
	end_if_done(conn);
}

void
services_start(struct stack *stack)
{
	for (unsigned int i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		struct udpsock *sock = udpsock_new(stack, ports[i], NULL);
		struct tcplisten *l = tcplisten_new(stack, ports[i], NULL);
		const bool echo = ports[i] == PORT_ECHO;

		if (sock != NULL) {
			sock->call = echo ? udp_echo : udp_discard;
			sock->arg = sock;
		}
		if (l != NULL)
			l->event = echo ? tcp_echo : tcp_discard;
	}
}

/* Ours among the listeners and sockets are those with our callbacks: a command
 * may hold the port meanwhile. */
void
services_stop(struct stack *stack)
{
	for (unsigned int i = 0; i < UDPSOCKS; i++) {
		struct udpsock *sock = &stack->udp.sock[i];

		if (sock->used &&
		    (sock->call == udp_echo || sock->call == udp_discard))
			udpsock_free(sock);
	}
	for (unsigned int i = 0; i < TCPLISTENS; i++) {
		struct tcplisten *l = &stack->tcp.listen[i];

		if (l->used &&
		    (l->event == tcp_echo || l->event == tcp_discard))
			tcplisten_close(stack, l);
	}
	for (unsigned int i = 0; i < TCPCONNS; i++) {
		struct tcpconn *conn = &stack->tcp.conn[i];

		if (conn->owned &&
		    (conn->event == tcp_echo || conn->event == tcp_discard))
			tcpconn_abort(conn);
	}
}

bool
services_running(const struct stack *stack)
{
	for (unsigned int i = 0; i < TCPLISTENS; i++) {
		const struct tcplisten *l = &stack->tcp.listen[i];

		if (l->used && l->event == tcp_echo)
			return true;
	}
	return false;
}
