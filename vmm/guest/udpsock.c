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
		sock->start = sock->len = 0;
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
udpsock_send(struct stack *stack, struct udpsock *sock, uint32_t dst,
    uint16_t dport, uint8_t ttl, const void *data, size_t data_bytes)
{
	const size_t bytes = UDP_HEADER_BYTES + data_bytes;
	const struct udp udp = {
		.sport = sock->port,
		.dport = dport,
		.len_bytes = (uint16_t)bytes,
		.data = data,
		.data_bytes = data_bytes,
	};
	struct ipv4_out out = { .dst = dst, .protocol = IP_UDP, .ttl = ttl };
	struct writer w;
	enum reason why;
	uint8_t *at;

	if (bytes > IP4_MAX_BYTES)
		return DROP_TOO_LONG;
	at = ipv4_begin(stack, &out, bytes, &why);
	if (at == NULL)
		return why;
	w = writer(at, bytes);
	udp_write(&w, &udp, out.src, dst);
	ipv4_end(stack, &out);
	return DROP_NONE;
}

/* ---- the queue ---- */

static void
ring_put(struct udpsock *sock, const void *data, size_t bytes)
{
	size_t at = (sock->start + sock->len) % UDPSOCK_QUEUE;
	size_t run = UDPSOCK_QUEUE - at < bytes ? UDPSOCK_QUEUE - at : bytes;

	memcpy(sock->ring + at, data, run);
	memcpy(sock->ring, (const uint8_t *)data + run, bytes - run);
	sock->len += bytes;
}

static void
ring_get(struct udpsock *sock, void *data, size_t bytes)
{
	size_t at = sock->start;
	size_t run = UDPSOCK_QUEUE - at < bytes ? UDPSOCK_QUEUE - at : bytes;

	memcpy(data, sock->ring + at, run);
	memcpy((uint8_t *)data + run, sock->ring, bytes - run);
	sock->start = (at + bytes) % UDPSOCK_QUEUE;
	sock->len -= bytes;
}

bool
udpsock_take(
    struct udpsock *sock, struct udp_from *from, void *data, size_t size)
{
	size_t rest = 0;

	if (sock->len == 0)
		return false;
	ring_get(sock, from, sizeof(*from));
	if (from->data_bytes > size) {
		rest = from->data_bytes - size;
		from->data_bytes = size;
	}
	ring_get(sock, data, from->data_bytes);
	sock->start = (sock->start + rest) % UDPSOCK_QUEUE;
	sock->len -= rest;
	return true;
}

/* ---- in ---- */

enum reason
udpsock_input(
    struct netif *nif, const struct ip4 *ip, struct cursor *c, unsigned int how)
{
	const struct cursor whole = *c;
	struct udp udp;
	enum reason why =
	    udp_parse(&udp, c, ip, (how & (RX_TRUSTED | RX_SELF)) != 0);
	struct udp_from from;
	struct udpsock *sock;

	if (why != DROP_NONE)
		return why;
	if (udp.dport == DHCP_CLIENT_PORT)
		return dhcpc_input(nif, ip, &udp);
	sock = find(nif->stack, udp.dport);
	if (sock == NULL) {
		icmp4_error(
		    nif, ip, &whole, how, ICMP_UNREACHABLE, ICMP_UNREACH_PORT);
		return DROP_NO_LISTENER;
	}
	from = (struct udp_from){
		.src = ip->src,
		.dst = ip->dst,
		.sport = udp.sport,
		.data_bytes = udp.data_bytes,
	};
	if (sock->call != NULL) {
		sock->call(sock->arg, nif->stack, &from, udp.data);
		return REASON_DELIVERED;
	}
	if (sizeof(from) + from.data_bytes > UDPSOCK_QUEUE - sock->len) {
		sock->dropped++;
		return DROP_PORT_FULL;
	}
	ring_put(sock, &from, sizeof(from));
	ring_put(sock, udp.data, udp.data_bytes);
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
