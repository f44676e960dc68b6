/* libs: vmm/guest net */
/*
 * Frames into the tiny guest's stack, with time passing between them: it must
 * neither crash nor lose count, whatever comes.
 *
 * The input is a list of steps: a byte that says what, and what it needs.
 * Frames get our address and, if asked for, right checksums, so that the
 * fuzzer need not find those by chance.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/checksum.h"

#include "vmm/guest/services.h"
#include "vmm/guest/stack.h"

#define US   0x0a000001u
#define THEM 0x0a000002u

static struct stack *stack;
static uint8_t room[NETIF_MTU_MAX + ETH_HEADER_BYTES];
static bool wake;

static uint8_t *
give_room(struct netif *nif, size_t len)
{
	(void)nif;
	return len <= sizeof(room) ? room : NULL;
}

/* Whatever the stack sends must be right. */
static void
check_sent(struct netif *nif, size_t len)
{
	struct cursor c = cursor(room, len);
	struct eth eth;
	struct ip4 ip;
	struct arp arp;

	(void)nif;
	assert(eth_parse(&eth, &c) == DROP_NONE);
	if (eth.type == ETH_ARP) {
		assert(arp_parse(&arp, &c) == DROP_NONE);
		return;
	}
	assert(ip4_parse(&ip, &c) == DROP_NONE);
	assert(ip.total_bytes <= nif->mtu_bytes);
	if (ip.protocol == IP_TCP) {
		struct tcp tcp;

		assert(tcp_parse(&tcp, &c, &ip, false) == DROP_NONE);
	} else if (ip.protocol == IP_ICMP && !ip4_is_fragment(&ip)) {
		struct icmp icmp;

		assert(icmp_parse(&icmp, &c) == DROP_NONE);
	}
}

static void
flush(struct netif *nif)
{
	(void)nif;
}

static const struct netif_ops ops = { give_room, check_sent, flush };

static struct tcpconn *opened;
static struct tcplisten *listener;
static struct udpsock *sock;

static void
begin(bool dhcp)
{
	const struct mac mac = { { 2, 0, 0, 0, 0, 1 } };
	char address[] = "10.0.0.1/24,gw=10.0.0.2";
	enum reason why;
	struct netif *nif;

	if (stack == NULL)
		stack = malloc(sizeof(*stack));
	memset(stack, 0, sizeof(*stack));
	stack_init(stack, "fuzz", 1, 2);
	nif = netif_add(stack, &ops, NULL, &mac, 1500);
	netif_link(nif, true);
	services_start(stack);
	stack_round(stack, 1000000);
	opened = NULL;
	listener = NULL;
	sock = NULL;
	if (dhcp) {
		dhcpc_start(nif);
		return;
	}
	assert(stack_set_address(nif, address) == NULL);
	listener = tcplisten_new(stack, 80, &wake);
	sock = udpsock_new(stack, 53, &wake);
	opened = tcpconn_open(stack, THEM, 99, 4000, &wake, &why);
	assert(listener != NULL && sock != NULL && opened != NULL);
	tcpconn_write(opened, "0123456789", 10);
}

/* Right checksums for what claims to be a whole IP packet. */
static void
set_sums(uint8_t *frame, size_t len)
{
	uint8_t *ip = frame + ETH_HEADER_BYTES;
	size_t head, total;
	uint8_t *l4;
	uint32_t sum;

	if (len < ETH_HEADER_BYTES + IP4_HEADER_BYTES)
		return;
	head = (size_t)(ip[0] & 0xf) * 4;
	total = get_be16(ip + IP4_OFF_LENGTH);
	if (head < 20 || total < head || total > len - ETH_HEADER_BYTES)
		return;
	put_be16(ip + IP4_OFF_CHECKSUM, 0);
	put_be16(
	    ip + IP4_OFF_CHECKSUM, csum_finish(csum_add_bytes(0, ip, head)));
	l4 = ip + head;
	total -= head;
	sum = csum_pseudo4(get_be32(ip + IP4_OFF_SRC),
	    get_be32(ip + IP4_OFF_DST), ip[IP4_OFF_PROTOCOL], (uint16_t)total);
	if (ip[IP4_OFF_PROTOCOL] == IP_TCP && total >= 20) {
		put_be16(l4 + 16, 0);
		put_be16(l4 + 16, csum_finish(csum_add_bytes(sum, l4, total)));
	} else if (ip[IP4_OFF_PROTOCOL] == IP_ICMP && total >= 8) {
		put_be16(l4 + 2, 0);
		put_be16(l4 + 2, csum_finish(csum_add_bytes(0, l4, total)));
	} else if (ip[IP4_OFF_PROTOCOL] == IP_UDP && total >= 8)
		put_be16(l4 + 6, 0);
}

/* A segment on the open connection or for the listener, from numbers near
 * those that it expects. */
static void
segment(struct cursor *c)
{
	uint8_t frame[200] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0 };
	struct writer w = writer(frame + 14, sizeof(frame) - 14);
	const uint8_t who = cur_u8(c), flags = cur_u8(c);
	const int8_t seq = (int8_t)cur_u8(c), ack = (int8_t)cur_u8(c);
	struct tcpconn *conn = &stack->tcp.conn[who % 8];
	const struct tcp tcp = {
		.sport = conn->rport ? conn->rport : 5000 + who,
		.dport = conn->lport ? conn->lport : 80,
		.seq = conn->rcv_nxt + (uint32_t)seq,
		.ack = conn->nxt + (uint32_t)ack,
		.flags = flags,
		.window = (uint16_t)(cur_u8(c) << (who >> 5)),
		.data = c->at,
		.data_bytes = cur_left(c) < (flags >> 4) ? 0 : flags >> 4,
	};
	const struct ip4 ip = {
		.total_bytes = (uint16_t)(40 + tcp.data_bytes),
		.ttl = 64,
		.protocol = IP_TCP,
		.src = conn->remote ? conn->remote : THEM,
		.dst = conn->local ? conn->local : US,
	};

	ip4_write(&w, &ip);
	tcp_write(&w, &tcp, ip.src, ip.dst);
	netif_input(&stack->nif[0], frame, (size_t)(w.at - frame), 0);
}

static void
check_conn(const struct tcpconn *conn)
{
	if (conn->state == TCP_CLOSED)
		return;
	assert(conn->nranges <= TCP_RANGES);
	assert(conn->in.len <= TCP_BUFFER_BYTES);
	assert(conn->out.len <= TCP_BUFFER_BYTES);
	assert((int32_t)(conn->max - conn->una) >= 0);
	assert((int32_t)(conn->max - conn->nxt) >= 0);
	assert((int32_t)(conn->nxt - conn->una) >= 0);
	assert(conn->max - conn->una <= conn->out.len + 1);
	if (conn->state != TCP_SYN_SENT) {
		assert(conn->advertised - conn->rcv_nxt <= TCP_BUFFER_BYTES);
		assert(
		    conn->advertised - conn->rcv_nxt <= ring_room(&conn->in));
	}
	for (unsigned int i = 0; i < conn->nranges; i++) {
		const struct tcp_range *r = &conn->range[i];

		assert((int32_t)(r->to - r->from) > 0);
		assert((int32_t)(r->from - conn->rcv_nxt) > 0);
		assert(r->to - conn->rcv_nxt <= ring_room(&conn->in));
		assert(i == 0 || (int32_t)(r->from - r[-1].to) > 0);
	}
}

static void
check(void)
{
	unsigned int pending[TCPLISTENS] = { 0 }, kept = 0;
	const struct packet *p;

	for (unsigned int i = 0; i < TCPCONNS; i++) {
		const struct tcpconn *conn = &stack->tcp.conn[i];

		check_conn(conn);
		if (conn->listening != NULL)
			pending[conn->listening - stack->tcp.listen]++;
	}
	for (unsigned int i = 0; i < TCPLISTENS; i++) {
		assert(pending[i] == stack->tcp.listen[i].pending);
		assert(pending[i] <= TCP_BACKLOG);
	}
	/* Every packet is free, waits for a neighbour, or for ourselves. */
	for (p = stack->packets.free; p != NULL; p = p->next)
		kept++;
	for (p = stack->ipv4.loop; p != NULL; p = p->next)
		kept++;
	for (unsigned int i = 0; i < NEIGH_SETS * NEIGH_WAYS; i++) {
		const struct neigh *n =
		    &stack->neighs.set[i / NEIGH_WAYS][i % NEIGH_WAYS];
		unsigned int queued = 0;

		if (n->state == NEIGH_FREE)
			continue;
		for (p = n->queue; p != NULL; p = p->next)
			queued++;
		assert(queued == n->queued && queued <= NEIGH_QUEUE);
		kept += queued;
	}
	assert(kept == stack->packets.used);
}

static void
use_connections(uint8_t how)
{
	uint8_t data[300];
	struct udp_from from;
	struct tcpconn *conn = tcplisten_accept(stack, listener);

	while (udpsock_take(sock, &from, data, sizeof(data)))
		;
	if (conn != NULL) {
		(void)tcpconn_read(conn, data, how);
		(void)tcpconn_write(conn, data, how);
		if (how & 1)
			tcpconn_close(conn);
		else
			tcpconn_abort(conn);
	}
	if (opened == NULL)
		return;
	(void)tcpconn_read(opened, data, how);
	(void)tcpconn_write(opened, data, how);
	if (how == 77)
		tcpconn_finish(opened);
	if (how == 78) {
		tcpconn_close(opened);
		opened = NULL;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(data, size);
	uint64_t now_us = 1000000;
	uint8_t frame[2048];

	begin(cur_u8(&c) & 1);
	while (cur_left(&c) > 0) {
		const uint8_t step = cur_u8(&c);
		size_t len;

		switch (step % 5) {
		case 0:
		case 1: /* a frame, as it is or made plausible */
			len = cur_u8(&c) * (size_t)(step >> 5 ? 1 : 8);
			if (len > cur_left(&c))
				len = cur_left(&c);
			memcpy(frame, cur_bytes(&c, len), len);
			if (step % 5 == 1 && len >= 14) {
				memcpy(frame, "\2\0\0\0\0\1", 6);
				frame[6] &= 0xfe;
				set_sums(frame, len);
			}
			netif_input(&stack->nif[0], frame, len,
			    step & 0x10 ? RX_TRUSTED : 0);
			break;
		case 2: /* time */
			now_us += (uint64_t)cur_u8(&c) << (step >> 3);
			stack_round(stack, now_us);
			break;
		case 3: segment(&c); break;
		case 4:
			if (listener != NULL)
				use_connections(cur_u8(&c));
			break;
		}
		for (unsigned int n = 0; stack_flush(stack); n++)
			assert(n < 1000);
		check();
	}
	return 0;
}
