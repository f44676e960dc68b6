/* libs: vmm/guest net */
/*
 * IPv6 frames into the tiny guest's stack, with time passing between them.
 *
 * The input is a list of steps.  Packets are built nearly right: with our
 * addresses or others, extension headers and fragments before them, and their
 * sums made right, which a fuzzer would not find by chance.
 *
 * What must hold: what the stack sends can be read by the parsers and fits the
 * link; no packet of the pool is lost; an address is used only after it was
 * looked for; tables hold what they say.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/checksum.h"
#include "net/ip6_chain.h"
#include "net/mld.h"
#include "net/nd.h"
#include "net/ra.h"

#include "vmm/guest/services.h"
#include "vmm/guest/stack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct stack *stack;
static uint8_t room[NETIF_MTU_MAX + ETH_HEADER_BYTES];
static bool wake;
static struct pingsock *pinger;
static struct udpsock *sock;
static struct tcpconn *opened;
static struct ip6_addr addrs[12];

static uint8_t *
give_room(struct netif *nif, size_t len)
{
	(void)nif;
	return len <= sizeof(room) ? room : NULL;
}

/* Who speaks uses an address that nobody else has. */
static void
check_source(struct netif *nif, const struct ip6_addr *src)
{
	const struct addr6 *a = addr6_find(nif, src);

	assert(ip6_is_zero(src) || (a != NULL && a->state == ADDR6_VALID));
}

static void
check_sent(struct netif *nif, size_t len)
{
	struct cursor c = cursor(room, len);
	struct eth eth;
	struct ip6 ip;
	struct ip6_chain chain;
	struct icmp6 icmp;
	struct tcp tcp;
	struct udp udp;

	assert(eth_parse(&eth, &c) == DROP_NONE);
	if (eth.type != ETH_IPV6)
		return;
	assert(len - ETH_HEADER_BYTES <= nif->mtu_bytes);
	assert(ip6_parse(&ip, &c) == DROP_NONE);
	assert(ip6_chain_parse(&chain, &c, &ip) == DROP_NONE);
	check_source(nif, &ip.src);
	if (ip6_is_fragment(&chain))
		return;
	if (chain.protocol == IP_ICMP6)
		assert(icmp6_parse(&icmp, &c, &ip.src, &ip.dst, false) ==
		    DROP_NONE);
	else if (chain.protocol == IP_TCP)
		assert(tcp6_parse(&tcp, &c, &ip, false) == DROP_NONE);
	else {
		assert(chain.protocol == IP_UDP);
		assert(udp6_parse(&udp, &c, &ip, false) == DROP_NONE);
	}
}

static void
flush(struct netif *nif)
{
	(void)nif;
}

static const struct netif_ops ops = { give_room, check_sent, flush };

static void
settle(void)
{
	for (unsigned int n = 0; stack_flush(stack); n++)
		assert(n < 1000);
}

/* A stack with an address of its own, or one that waits for a router. */
static void
begin(bool own)
{
	static const char *const all[] = { "fe80::ff:fe00:1", "2001:db8::1",
		"2001:db8:1:0:0:ff:fe00:1", "fe80::9", "2001:db8::2",
		"2001:db8:7::1", "::", "::1", "ff02::1", "ff02::1:ff00:1",
		"::ffff:10.0.0.1", "2001:db8:1::" };
	const struct mac mac = { { 2, 0, 0, 0, 0, 1 } };
	char text[80];
	struct tcp_to to = { .dport = 99, .sport = 4000 };
	enum reason why;
	struct netif *nif;

	for (unsigned int i = 0; i < 12; i++)
		assert(ip6_read(&addrs[i], all[i]));
	if (stack == NULL)
		stack = malloc(sizeof(*stack));
	memset(stack, 0, sizeof(*stack));
	stack_init(stack, "fuzz", 1, 2);
	nif = netif_add(stack, &ops, NULL, &mac, 1500);
	netif_link(nif, true);
	services_start(stack);
	strcpy(text, own ? "2001:db8::1/64,gw=fe80::9" : "auto");
	stack_round(stack, 1000000);
	assert(ipv6_configure(nif, text) == NULL);
	for (unsigned int i = 0; i < 40; i++) {
		stack_round(stack, 1000000 + i * 100000);
		settle();
	}
	pinger = pingsock_new(stack, &wake);
	sock = udpsock_new(stack, 53, &wake);
	to.dst = addrs[4];
	opened = tcpconn_open(stack, &to, &wake, &why);
	assert((opened != NULL) == own);
	if (opened != NULL)
		tcpconn_write(opened, "0123456789", 10);
}

/* ---- packets that are nearly right ---- */

static struct ip6_addr
some_address(struct cursor *c)
{
	const uint8_t which = cur_u8(c);
	struct ip6_addr addr = addrs[which % 12];

	if (which >= 240)
		addr.b[7] = cur_u8(c);
	return addr;
}

/* The sum of the transport at at, whose message begins at byte sum_at. */
static void
set_sum(uint8_t *at, size_t bytes, size_t sum_at, uint8_t protocol,
    const struct ip6 *ip)
{
	if (bytes < sum_at + 2)
		return;
	put_be16(at + sum_at, 0);
	put_be16(at + sum_at,
	    csum_finish(csum_add_bytes(
		csum_pseudo6(&ip->src, &ip->dst, protocol, (uint32_t)bytes), at,
		bytes)));
}

/* Sends it with what the input wants before it: headers, or as a fragment. */
static void
put_packet(struct cursor *c, uint8_t protocol, uint8_t *message, size_t bytes)
{
	uint8_t frame[2048] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86,
		0xdd };
	struct writer w = writer(frame + 14, sizeof(frame) - 14);
	const uint8_t how = cur_u8(c), headers = cur_u8(c);
	struct ip6 ip = { .next = protocol,
		.hop_limit = how & 1 ? 64
		    : how & 2        ? 1
				     : 255,
		.src = some_address(c),
		.dst = some_address(c) };
	static const size_t sums[] = { 2, 16, 6 };
	uint8_t before[16] = { protocol, 0 };
	size_t nbefore = 0;

	set_sum(message, bytes,
	    sums[protocol == IP_TCP      ? 1
		    : protocol == IP_UDP ? 2
					 : 0],
	    protocol, &ip);
	if (headers & 1) { /* options, a route, or a fragment */
		static const uint8_t kinds[] = { IP_HOP_BY_HOP, IP_DESTINATION,
			IP_ROUTING, IP_FRAGMENT };

		ip.next = kinds[headers >> 1 & 3];
		nbefore = 8;
		for (unsigned int i = 2; i < 8; i++)
			before[i] = cur_u8(c);
		if (ip.next == IP_FRAGMENT)
			memset(before + 4, 0, 3);
	}
	ip.payload_bytes = (uint16_t)(nbefore + bytes);
	if (headers >= 0xf0)
		ip.payload_bytes =
		    (uint16_t)(ip.payload_bytes + headers - 0xf8);
	if (how & 4)
		frame[0] = 0x33;
	ip6_write(&w, &ip);
	wr_bytes(&w, before, nbefore);
	wr_bytes(&w, message, bytes);
	if (!w.overrun)
		netif_input(&stack->nif[0], frame, (size_t)(w.at - frame),
		    how & 8 ? RX_TRUSTED : 0);
}

/* A message of ICMPv6 whose rest the input makes up. */
static void
icmp_packet(struct cursor *c)
{
	static const uint8_t types[] = { ND_SOLICIT, ND_ADVERTISE,
		ND_ROUTER_ADVERTISE, ND_REDIRECT, 130, 131, 143, 128, 129, 1, 2,
		3, 4 };
	uint8_t message[300] = { types[cur_u8(c) % sizeof(types)] };
	const uint8_t what = cur_u8(c);
	size_t n = what % 128 * 2u;
	struct writer w = writer(message + 4, sizeof(message) - 4);
	struct ip6_addr target;

	if (message[0] == ND_SOLICIT || message[0] == ND_ADVERTISE) {
		target = some_address(c);
		wr_be32(&w, (uint32_t)cur_u8(c) << 24);
		wr_ip6(&w, &target);
	} else if (message[0] == 129) {
		wr_be16(&w, pinger->id);
		wr_be16(&w, 1);
	}
	if (n > cur_left(c))
		n = cur_left(c);
	wr_bytes(&w, cur_bytes(c, n), n);
	put_packet(c, IP_ICMP6, message, (size_t)(w.at - message));
}

/* An advertisement that a router may well send. */
static void
ra_packet(struct cursor *c)
{
	uint8_t packet[IP6_HEADER_BYTES + RA_MAX_BYTES];
	struct writer w = writer(packet, sizeof(packet));
	struct ra_message ra = { .hop_limit = cur_u8(c),
		.lifetime_s = (uint16_t)(cur_u8(c) * 10),
		.mac = { { 2, 0, 0, 0, 0, cur_u8(c) } },
		.mtu_bytes = cur_u8(c) * 16u,
		.domain = "",
		.dns_s = cur_u8(c) };
	const struct ip6_addr src = some_address(c);

	ra.nprefixes = cur_u8(c) % (RA_PREFIXES + 1);
	for (unsigned int i = 0; i < ra.nprefixes; i++) {
		const uint8_t how = cur_u8(c);

		ra.prefix[i] = (struct ra_prefix){
			{ some_address(c), how & 4 ? cur_u8(c) : 64 }, how & 1,
			how & 2, cur_u8(c) * 1000u, cur_u8(c) * 1000u
		};
	}
	ra.ndns = cur_u8(c) % (RA_SERVERS + 1);
	for (unsigned int i = 0; i < ra.ndns; i++)
		ra.dns[i] = some_address(c);
	ra_write(&w, &ra, &src, &ip6_all_nodes);
	assert(!w.overrun);
	put_packet(c, IP_ICMP6, packet + IP6_HEADER_BYTES,
	    (size_t)(w.at - packet) - IP6_HEADER_BYTES);
}

/* An error that quotes what was sent last, or nearly. */
static void
error_packet(struct cursor *c)
{
	uint8_t message[8 + 100] = { 0 };
	const uint8_t flip = cur_u8(c);

	message[0] = 1 + cur_u8(c) % 4;
	message[1] = cur_u8(c) % 8;
	put_be32(message + 4, cur_u8(c) * 16u);
	memcpy(message + 8, room + ETH_HEADER_BYTES, 100);
	if (flip < 100)
		message[8 + flip] ^= cur_u8(c);
	put_packet(c, IP_ICMP6, message, sizeof(message));
}

static void
datagram(struct cursor *c)
{
	uint8_t message[100] = { 0 };
	const uint8_t port = cur_u8(c), bytes = cur_u8(c) % 92;

	put_be16(message, port);
	put_be16(message + 2, port & 1 ? 53 : port & 2 ? PORT_ECHO : port);
	put_be16(message + 4, (uint16_t)(8 + bytes));
	put_packet(c, IP_UDP, message, 8u + bytes);
}

static void
segment(struct cursor *c)
{
	uint8_t message[60] = { 0 };
	const uint8_t who = cur_u8(c), flags = cur_u8(c);
	const int8_t seq = (int8_t)cur_u8(c), ack = (int8_t)cur_u8(c);
	const struct tcpconn *conn = &stack->tcp.conn[who % 4];

	put_be16(message, conn->rport != 0 ? conn->rport : 5000 + who);
	put_be16(message + 2, conn->lport != 0 ? conn->lport : PORT_ECHO);
	put_be32(message + 4, conn->rcv_nxt + (uint32_t)seq);
	put_be32(message + 8, conn->nxt + (uint32_t)ack);
	message[12] = 5 << 4;
	message[13] = flags;
	put_be16(message + 14, (uint16_t)(who << 4));
	put_packet(c, IP_TCP, message, 20u + (who & 8 ? 30 : 0));
}

static void
orders(uint8_t what)
{
	struct netif *nif = &stack->nif[0];
	struct ping ping = { .seq = 1, .data_bytes = what & 0x80 ? 3000 : 10 };
	struct icmp_note note;
	struct udp_from from;
	char text[16] = "none";
	uint8_t data[64];

	switch (what % 6) {
	case 0: netif_link(nif, !nif->up); break;
	case 1:
	case 2:
		ping.dst = addrs[(what >> 3) % 12];
		(void)pingsock_send(stack, pinger, &ping);
		break;
	case 3:
		while (icmp_notes_take(&pinger->notes, &note))
			;
		while (udpsock_take(sock, &from, data, sizeof(data)))
			;
		break;
	case 4:
		strcpy(text, what & 0x80 ? "none" : "auto");
		(void)ipv6_configure(nif, text);
		break;
	case 5: neigh_forget(nif); break;
	}
}

static void
check(void)
{
	const struct netif6 *six = &stack->nif[0].ip6;
	unsigned int kept = 0, used = 0;
	const struct packet *p;

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
	/* Each address that may become ours listens to its group. */
	for (unsigned int i = 0; i < NETIF_ADDRS6; i++) {
		const struct addr6 *a = &six->addr[i];
		const struct ip6_addr group = nd_group(&a->net.addr);

		if (a->state == ADDR6_FREE || a->state == ADDR6_DUPLICATE)
			continue;
		used++;
		assert(ip6_is_host(&a->net.addr));
		assert(mld6_listens(&stack->nif[0], &group));
	}
	for (unsigned int i = 0; i < NETIF_GROUPS6; i++)
		used -= six->group[i].users;
	assert(used == 0);
	assert(six->on || six->group[0].users == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(data, size);
	uint64_t now_us = 5000000;
	uint8_t frame[600] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd };
	size_t n;

	begin(cur_u8(&c) & 1);
	while (cur_left(&c) > 0) {
		const uint8_t step = cur_u8(&c);

		switch (step % 8) {
		case 0:
			n = cur_u8(&c) * 2u;
			n = n > cur_left(&c) ? cur_left(&c) : n;
			memcpy(frame + 14, cur_bytes(&c, n), n);
			netif_input(&stack->nif[0], frame, 14 + n, 0);
			break;
		case 1:
			now_us += (uint64_t)cur_u8(&c) << (step >> 3);
			stack_round(stack, now_us);
			break;
		case 2: icmp_packet(&c); break;
		case 3: ra_packet(&c); break;
		case 4: error_packet(&c); break;
		case 5: datagram(&c); break;
		case 6: segment(&c); break;
		case 7: orders(cur_u8(&c)); break;
		}
		settle();
		check();
	}
	return 0;
}
