#include "vmm/guest/udpsock.h"

#include <string.h>

#include "vmm/guest/stack.h"

static struct udpsock *
find(struct stack *stack, uint16_t port)
{
	for (unsigned int i = 0; i < UDPSOCKS; i++) {
		struct udpsock *sock = &stack->udp.sock[i];

		if (sock->used && sock->port == port)
			return sock;
	}
	return NULL;
}

struct udpsock *
udpsock_new(struct stack *stack, uint16_t port, bool *wake)
{
	if (port != UDPSOCK_PORT_ANY && find(stack, port) != NULL)
		return NULL;
	while (port == UDPSOCK_PORT_ANY || find(stack, port) != NULL)
		port = (uint16_t)(EPHEMERAL_FIRST +
		    random_below(&stack->random, EPHEMERAL_COUNT));
	for (unsigned int i = 0; i < UDPSOCKS; i++) {
		struct udpsock *sock = &stack->udp.sock[i];

		if (sock->used)
			continue;
		sock->used = true;
		sock->port = port;
		sock->wake = wake;
		sock->call = NULL;
		sock->notes.count = 0;
		ring_init(&sock->queue, sock->bytes, sizeof(sock->bytes));
		sock->dropped = 0;
		return sock;
	}
	return NULL;
}

void
udpsock_free(struct udpsock *sock)
{
	sock->used = false;
}

enum reason
udpsock_send(struct stack *stack, struct udpsock *sock, const struct udp_to *to,
    const void *data, size_t data_bytes)
{
	const size_t bytes = UDP_HEADER_BYTES + data_bytes;
	const struct udp udp = {
		.sport = sock->port,
		.dport = to->dport,
		.data = data,
		.data_bytes = data_bytes,
	};
	struct ip_out out = {
		.dst = to->dst,
		.src = to->src,
		.protocol = IP_UDP,
		.ttl = to->ttl,
		.last_first = to->last_first,
	};
	struct writer w;
	enum reason why;
	uint8_t *at;

	if (bytes > IP4_MAX_BYTES)
		return DROP_TOO_LONG;
	at = ip_begin(stack, &out, bytes, &why);
	if (at == NULL)
		return why;
	w = writer(at, bytes);
	if (out.ip4)
		udp_write(&w, &udp, ip_get4(&out.src), ip_get4(&out.dst));
	else
		udp6_write(&w, &udp, &out.src, &out.dst);
	ip_end(stack, &out);
	return DROP_NONE;
}

bool
udpsock_take(
    struct udpsock *sock, struct udp_from *from, void *data, size_t size)
{
	size_t rest = 0;

	if (sock->queue.len == 0)
		return false;
	ring_peek(&sock->queue, 0, from, sizeof(*from));
	ring_drop(&sock->queue, sizeof(*from));
	if (from->data_bytes > size) {
		rest = from->data_bytes - size;
		from->data_bytes = size;
	}
	ring_peek(&sock->queue, 0, data, from->data_bytes);
	ring_drop(&sock->queue, from->data_bytes + rest);
	return true;
}

/* ---- in ---- */

enum reason
udpsock_input(struct netif *nif, const struct ip_in *in, struct cursor *c,
    unsigned int how)
{
	const bool trusted = (how & (RX_TRUSTED | RX_SELF)) != 0;
	struct udp udp;
	enum reason why = in->ip4 != NULL
	    ? udp_parse(&udp, c, in->ip4, trusted)
	    : udp6_parse(&udp, c, in->ip6, trusted);
	struct udp_from from;
	struct udpsock *sock;

	if (why != DROP_NONE)
		return why;
	if (udp.dport == DHCP_CLIENT_PORT && in->ip4 != NULL)
		return dhcpc_input(nif, in->ip4, &udp);
	sock = find(nif->stack, udp.dport);
	if (sock == NULL) {
		icmp_refuse_port(nif, in, how);
		return DROP_NO_LISTENER;
	}
	from = (struct udp_from){
		.src = in->src,
		.dst = in->dst,
		.sport = udp.sport,
		.data_bytes = udp.data_bytes,
	};
	if (sock->call != NULL) {
		sock->call(sock->arg, nif->stack, &from, udp.data);
		return REASON_DELIVERED;
	}
	if (sizeof(from) + from.data_bytes > ring_room(&sock->queue)) {
		sock->dropped++;
		return DROP_PORT_FULL;
	}
	ring_append(&sock->queue, &from, sizeof(from));
	ring_append(&sock->queue, udp.data, udp.data_bytes);
	if (sock->wake != NULL)
		*sock->wake = true;
	return REASON_DELIVERED;
}

enum reason
udpsock_note(struct stack *stack, uint16_t port, const struct icmp_note *note)
{
	struct udpsock *sock = find(stack, port);

	if (sock == NULL)
		return DROP_NO_LISTENER;
	icmp_notes_add(&sock->notes, note);
	if (sock->wake != NULL)
		*sock->wake = true;
	return REASON_DELIVERED;
}
