/* libs: vmm/guest net */
/*
 * Frames into the tiny guest's stack, with time passing between them: it must
 * neither crash nor lose count, whatever comes.
 *
 * The input is a list of steps: a byte that says what, and what it needs.
 * Besides frames as they are, there are steps that build packets of each
 * protocol which are nearly right: with our addresses, checksums, transaction
 * and sequence numbers, which a fuzzer would not find by chance.
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
static struct pingsock *pinger;
static struct tcplisten *listener;
static struct udpsock *sock;

static void
begin(bool dhcp)
{
	const struct mac mac = { { 2, 0, 0, 0, 0, 1 } };
	char address[] = "10.0.0.1/24,gw=10.0.0.2";
	const struct tcp_to to = {
		.dst = ip6_of_ip4(THEM), .dport = 99, .sport = 4000
	};
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
	pinger = NULL;
	if (dhcp) {
		dhcpc_start(nif);
		return;
	}
	assert(stack_set_address(nif, address) == NULL);
	listener = tcplisten_new(stack, 80, &wake);
	sock = udpsock_new(stack, 53, &wake);
	opened = tcpconn_open(stack, &to, &wake, &why);
	pinger = pingsock_new(stack, &wake);
	assert(listener != NULL && sock != NULL && opened != NULL &&
	    pinger != NULL);
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
	const uint8_t window = cur_u8(c), bytes = cur_u8(c) % 16;
	struct tcpconn *conn = &stack->tcp.conn[who % 8];
	const struct tcp tcp = {
		.sport = conn->rport ? conn->rport : 5000 + who,
		.dport = conn->lport ? conn->lport
		    : who & 8        ? 7
				     : 80,
		.seq = conn->rcv_nxt + (uint32_t)seq,
		.ack = (who & 16 ? conn->una : conn->nxt) + (uint32_t)ack,
		.flags = flags,
		.window = (uint16_t)(window << (who >> 5)),
		.data = c->at,
		.data_bytes = cur_left(c) < bytes ? 0 : bytes,
	};
	const struct ip4 ip = {
		.total_bytes = (uint16_t)(40 + tcp.data_bytes),
		.ttl = 64,
		.protocol = IP_TCP,
		.src = ip_get4(&conn->remote) ? ip_get4(&conn->remote) : THEM,
		.dst = ip_get4(&conn->local) ? ip_get4(&conn->local) : US,
	};

	ip4_write(&w, &ip);
	tcp_write(&w, &tcp, ip.src, ip.dst);
	netif_input(&stack->nif[0], frame, (size_t)(w.at - frame), 0);
}

/* ---- packets that are nearly right ---- */

static uint32_t
some_address(struct cursor *c)
{
	static const uint32_t all[] = { US, THEM, 0x0a000003u, 0xc0000201u,
		IP4_BROADCAST, 0x0a0000ffu, 0x7f000001u, 0, 0xe0000001u };
	const uint8_t which = cur_u8(c);

	if (which < sizeof(all) / sizeof(all[0]))
		return all[which];
	return 0x0a000000u | which;
}

static void
put_packet(struct cursor *c, uint8_t protocol, uint32_t src, uint32_t dst,
    const uint8_t *payload, size_t bytes)
{
	uint8_t frame[2048] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0 };
	struct writer w = writer(frame + 14, sizeof(frame) - 14);
	const uint8_t how = cur_u8(c);
	const struct ip4 ip = {
		.total_bytes = (uint16_t)(IP4_HEADER_BYTES + bytes),
		.id = how >> 6,
		.fragment = how & 1 ? IP4_MF : 0,
		.offset_bytes =
		    how & 2 ? (uint16_t)(cur_u8(c) * (how & 4 ? 8 : 256)) : 0,
		.ttl = 64,
		.protocol = protocol,
		.src = src,
		.dst = dst,
	};

	ip4_write(&w, &ip);
	wr_bytes(&w, payload, bytes);
	if (w.overrun)
		return;
	if (how & 8)
		memset(frame, 0xff, 6);
	if ((how & 3) == 0)
		set_sums(frame, (size_t)(w.at - frame));
	netif_input(&stack->nif[0], frame, (size_t)(w.at - frame), 0);
}

static void
arp_packet(struct cursor *c)
{
	uint8_t frame[42] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6 };
	struct writer w = writer(frame + 14, sizeof(frame) - 14);
	const uint8_t how = cur_u8(c);
	const struct arp arp = {
		.op = how & 3,
		.sender_mac = { { 2, 0, 0, 0, 0, how >> 4 } },
		.sender_ip = some_address(c),
		.target_ip = some_address(c),
	};

	if (how & 4)
		memset(frame, 0xff, 6);
	arp_write(&w, &arp);
	netif_input(&stack->nif[0], frame, sizeof(frame), 0);
}

static void
dhcp_packet(struct cursor *c)
{
	const struct dhcpc *client = &stack->nif[0].dhcp;
	const uint8_t how = cur_u8(c);
	struct dhcp m = {
		.op = how & 1 ? DHCP_BOOTREQUEST : DHCP_BOOTREPLY,
		.xid = client->xid,
		.yiaddr = some_address(c),
		.chaddr = stack->nif[0].mac,
		.type = (enum dhcp_type)(cur_u8(c) % 9),
		.server = some_address(c),
		.mask = ip4_mask(cur_u8(c) % 33),
		.router = some_address(c),
		.lease_s = cur_u8(c) == 0 ? UINT32_MAX : how,
		.mtu = how & 2 ? cur_be16(c) | 68 : 0,
	};
	uint8_t message[600], datagram[700];
	struct writer w = writer(message, sizeof(message));
	struct udp udp = { .sport = 67, .dport = 68, .data = message };
	const uint32_t dst = some_address(c);

	if (how & 4) {
		m.renewal_s = cur_u8(c);
		m.rebinding_s = cur_u8(c);
	}
	dhcp_write(&w, &m);
	if (how & 8 && cur_left(c) > 2) /* and a dent in it */
		message[240 + cur_u8(c) % 60] = cur_u8(c);
	udp.data_bytes = (size_t)(w.at - message);
	w = writer(datagram, sizeof(datagram));
	udp_write(&w, &udp, THEM, dst);
	put_packet(c, IP_UDP, THEM, dst, datagram, (size_t)(w.at - datagram));
}

/* An ICMP message, which may be an error about what we sent. */
static void
icmp_packet(struct cursor *c)
{
	const uint8_t type = cur_u8(c), code = cur_u8(c);
	const uint32_t src = some_address(c), dst = some_address(c);
	uint8_t message[200] = { type, code, 0, 0, 0, 0 };
	struct writer w = writer(message + 4, sizeof(message) - 4);
	const struct ip4 quoted = {
		.total_bytes = 1000,
		.ttl = 1,
		.protocol = code >> 5 == 0 ? IP_TCP
		    : code >> 5 == 1       ? IP_UDP
					   : IP_ICMP,
		.src = US,
		.dst = some_address(c),
	};
	size_t more;

	if (type == ICMP_ECHO_REPLY || type == ICMP_ECHO_REQUEST) {
		wr_be16(&w, pinger != NULL ? pinger->id : 1);
		wr_be16(&w, cur_u8(c));
	} else {
		wr_be16(&w, 0);
		wr_be16(&w, cur_be16(c));
		message[1] &= 0x1f;
		ip4_write(&w, &quoted);
		if (quoted.protocol == IP_TCP) {
			wr_be16(&w, 4000);
			wr_be16(&w, 99);
			wr_be32(&w, stack->tcp.conn[0].una + cur_u8(c));
		} else if (quoted.protocol == IP_UDP) {
			wr_be16(&w, cur_u8(c));
			wr_be16(&w, 53);
		} else {
			wr_be32(&w, 0x08000000);
			wr_be16(&w, pinger != NULL ? pinger->id : 1);
			wr_be16(&w, 1);
		}
	}
	more = cur_u8(c) % 64;
	if (more > cur_left(c))
		more = cur_left(c);
	wr_bytes(&w, cur_bytes(c, more), more);
	put_packet(c, IP_ICMP, src, dst, message, (size_t)(w.at - message));
}

static void
udp_packet(struct cursor *c)
{
	static const uint16_t ports[] = { 7, 9, 53, 68, 4000 };
	const uint32_t src = some_address(c), dst = some_address(c);
	const uint8_t how = cur_u8(c);
	uint8_t datagram[300];
	struct writer w = writer(datagram, sizeof(datagram));
	struct udp udp = {
		.sport = how & 8 ? 7 : 5000,
		.dport = ports[how % 5],
		.data_bytes = cur_u8(c),
	};

	if (udp.data_bytes > cur_left(c))
		udp.data_bytes = cur_left(c);
	udp.data = cur_bytes(c, udp.data_bytes);
	udp_write(&w, &udp, src, dst);
	put_packet(c, IP_UDP, src, dst, datagram, (size_t)(w.at - datagram));
}

/* What the machine and its user do. */
static void
orders(uint8_t what)
{
	struct netif *nif = &stack->nif[0];
	const struct ping ping = {
		.dst = ip6_of_ip4(THEM), .seq = 1, .data_bytes = 3000
	};
	struct icmp_note note;

	switch (what % 8) {
	case 0: netif_link(nif, !nif->up); break;
	case 1: dhcpc_renew(nif); break;
	case 2: dhcpc_release(nif); break;
	case 3: dhcpc_start(nif); break;
	case 4:
		if (pinger != NULL)
			(void)pingsock_send(stack, pinger, &ping);
		break;
	case 5:
		while (pinger != NULL && icmp_notes_take(&pinger->notes, &note))
			;
		break;
	case 6: services_stop(stack); break;
	case 7: services_start(stack); break;
	}
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
	for (p = stack->ip.loop; p != NULL; p = p->next)
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

		switch (step % 10) {
		case 0:
		case 1: /* a frame, as it is or made plausible */
			len = cur_u8(&c) * (size_t)(step >> 5 ? 1 : 8);
			if (len > cur_left(&c))
				len = cur_left(&c);
			memcpy(frame, cur_bytes(&c, len), len);
			if (step % 10 == 1 && len >= 14) {
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
		case 5: arp_packet(&c); break;
		case 6: dhcp_packet(&c); break;
		case 7: icmp_packet(&c); break;
		case 8: udp_packet(&c); break;
		case 9: orders(cur_u8(&c)); break;
		}
		for (unsigned int n = 0; stack_flush(stack); n++)
			assert(n < 1000);
		check();
	}
	return 0;
}
