/* libs: router switch net base */
/*
 * A router with NAT, hairpin, DHCP or its relay, DNS, PCP, filter and MSS
 * clamping between two links, fed frames that are random, or nearly right:
 * templates of each protocol with random fields and a few random bytes, some in
 * fragments, some with offloads.  Time goes on by random steps; neighbours
 * answer ARP or not.
 *
 * What must hold: each frame gets one verdict, which is counted; whatever
 * leaves is whole and its network checksum right; nothing leaves by the outer
 * port with an inside address; no packet is translated to where nobody is.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/arp.h"
#include "net/checksum.h"
#include "net/dhcp.h"
#include "net/dns.h"
#include "net/eth.h"
#include "net/icmp.h"
#include "net/ip4.h"
#include "net/natpmp.h"
#include "net/pcp.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "router/router.h"
#include "switch/offload.h"
#include "tests/fuzz/router_rig.h"

#define IP(a, b, c, d)                                                    \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | \
	    (uint32_t)(d))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint32_t gw_ip[NLINKS] = { IP(10, 0, 0, 1), IP(203, 0, 113, 1) };

static const uint32_t pool[] = { IP(203, 0, 113, 2), IP(203, 0, 113, 1) };
static const struct router_nat_pair pair = { IP(203, 0, 113, 3),
	IP(10, 0, 0, 11) };

static struct {
	unsigned int out;
	/* The packet that left last, to answer or quote it. */
	uint8_t last[2048];
	size_t last_len;
	bool answer_arp;
	bool paired; /* with pool and pair */
} f;

static void
check_frame(const struct link *link, const struct frame *frame)
{
	static uint8_t bytes[FRAME_MAX_BYTES];
	struct cursor c;
	struct eth eth;
	struct ip4 ip;

	assert(frame->len <= sizeof(bytes));
	assert(frame->cause != NULL && frame->cause->node != NULL);
	assert(frame->cause->reason != REASON_NONE);
	frame_copy(bytes, frame, 0, frame->len);
	c = cursor(bytes, frame->len);
	assert(eth_parse(&eth, &c) == REASON_NONE);
	assert(mac_equal(&eth.src, &gw_mac[link->number]));
	if (eth.type == ETH_ARP)
		return;
	assert(eth.type == ETH_IPV4);
	assert(ip4_parse(&ip, &c) == REASON_NONE);
	assert(frame->len == (size_t)ETH_HEADER_BYTES + ip.total_bytes);
	if (link->number == OUTSIDE)
		assert(ip.src >> 8 != IP(10, 0, 0, 0) >> 8);
	if (frame->flags & FRAME_CSUM)
		assert(frame->csum_start ==
		    ETH_HEADER_BYTES + (size_t)ip.header_bytes);
	f.last_len = frame->len < sizeof(f.last) ? frame->len : sizeof(f.last);
	memcpy(f.last, bytes, f.last_len);
}

static void
answer_arp(const struct link *link, const struct frame *frame)
{
	struct cursor c = cursor(frame->data + 14, frame->len - 14);
	struct arp arp;
	uint8_t out[42];
	struct writer w = writer(out, sizeof(out));
	struct eth eth = { .dst = gw_mac[link->number], .type = ETH_ARP };
	struct frame reply = { .data = out, .len = 42, .head = 42 };
	uint32_t ip;

	assert(arp_parse(&arp, &c) == REASON_NONE);
	if (arp.op != ARP_REQUEST || arp.sender_ip == arp.target_ip)
		return;
	ip = arp.sender_ip;
	arp.op = ARP_REPLY;
	arp.target_mac = arp.sender_mac;
	arp.sender_mac =
	    (struct mac){ { 2, 1, 0, 0, 0, (uint8_t)arp.target_ip } };
	arp.sender_ip = arp.target_ip;
	arp.target_ip = ip;
	eth.src = arp.sender_mac;
	eth_write(&w, &eth);
	arp_write(&w, &arp);
	send_frame(link->number, reply);
}

static void
take(struct port *port, struct burst *burst)
{
	struct link *link = (struct link *)port;

	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];

		node_judge(&rig.peers, frame, REASON_DELIVERED);
		f.out++;
		check_frame(link, frame);
		if (get_be16(frame->data + 12) == ETH_ARP && f.answer_arp)
			answer_arp(link, frame);
	}
}

static const struct port_ops ops = { .take = take };

/* ---- frames in ---- */

static uint32_t
address(void)
{
	static const uint32_t known[] = { IP(10, 0, 0, 10), IP(10, 0, 0, 11),
		IP(203, 0, 113, 10), IP(203, 0, 113, 11), IP(10, 0, 0, 1),
		IP(203, 0, 113, 1), IP(10, 0, 0, 255), IP(255, 255, 255, 255),
		IP(198, 51, 100, 7), IP(224, 0, 0, 1), 0, IP(127, 0, 0, 1),
		IP(203, 0, 113, 2), IP(203, 0, 113, 3) };
	uint8_t b = byte();

	if (b < 240)
		return known[b % (b < 160 ? 6 : 14)];
	return cur_be32(&rig.in);
}

static uint16_t
port_number(void)
{
	static const uint16_t known[] = { 5000, 5060, 53, 67, 68, 21, 9, 0,
		PCP_PORT };
	uint8_t b = byte();

	return b < 240 ? known[b % 9] : cur_be16(&rig.in);
}

/* Lines of FTP, of bytes in all. */
static const uint8_t *
ftp_data(const struct ip4 *ip, size_t bytes)
{
	static uint8_t text[3000];
	uint8_t choice = byte();

	memset(text, 0, bytes + 64);
	switch (choice & 3) {
	case 0: strcpy((char *)text, "USER a\r\n"); break;
	case 1:
		snprintf((char *)text, 64, "PORT 10,0,0,%u,%u,%u\r\n",
		    ip->src & 255, choice >> 2, choice);
		break;
	case 2:
		snprintf((char *)text, 64, "EPRT |1|10.0.0.%u|%u|\r\n",
		    ip->src & 255, 5000 + (choice >> 4));
		break;
	case 3: strcpy((char *)text, "229 (|||5001|)\r\n"); break;
	}
	if (bytes > 0)
		text[bytes - 1] = '\n';
	return text;
}

/* A message of SIP, of bytes in all. */
static const uint8_t *
sip_data(const struct ip4 *ip, size_t bytes)
{
	static uint8_t text[4000];
	uint8_t choice = byte();
	unsigned int host =
	    choice & 1 ? IP(203, 0, 113, 1) & 255 : ip->src & 255;
	const char *net = choice & 1 ? "203.0.113" : "10.0.0";

	memset(text, 0, bytes + 512);
	snprintf((char *)text, 512,
	    "%sVia: SIP/2.0/UDP %s.%u:5060\r\nm: <sip:a@%s.%u:%u>\r\n"
	    "c: application/sdp\r\n\r\nc=IN IP4 %s.%u\r\n"
	    "m=audio %u RTP/AVP 0\r\n",
	    choice & 2 ? "SIP/2.0 200 OK\r\n" : "INVITE sip:a SIP/2.0\r\n", net,
	    host, net, host, 5000 + (choice >> 4), net, host, 5000 + choice);
	return text;
}

static void
write_transport(struct writer *w, const struct ip4 *ip, size_t bytes)
{
	static uint8_t zeros[3000];
	struct udp udp = { .data = zeros, .data_bytes = bytes };
	struct tcp tcp = { .data = zeros, .data_bytes = bytes };
	struct icmp icmp = { .data = zeros, .data_bytes = bytes };

	switch (ip->protocol) {
	case IP_UDP:
		udp.sport = port_number();
		udp.dport = port_number();
		if (udp.dport == 5060 || udp.sport == 5060)
			udp.data = sip_data(ip, bytes);
		udp_write(w, &udp, ip->src, ip->dst);
		break;
	case IP_TCP:
		tcp.sport = port_number();
		tcp.dport = port_number();
		tcp.flags = byte();
		tcp.seq = byte();
		tcp.ack = byte();
		tcp.window = 100;
		if (tcp.dport == 21 || tcp.sport == 21)
			tcp.data = ftp_data(ip, bytes);
		tcp_write(w, &tcp, ip->src, ip->dst);
		break;
	case IP_ICMP:
		icmp.type = byte() % 16;
		icmp.code = byte() % 16;
		icmp.echo.id = byte() % 4;
		if (icmp_is_error(icmp.type) && f.last_len > 14) {
			icmp.data = f.last + 14;
			icmp.data_bytes = f.last_len - 14;
		}
		icmp_write(w, &icmp);
		break;
	default: wr_zeros(w, bytes); break;
	}
}

/* A packet with fields at random, whole and with right checksums. */
static size_t
make_packet(uint8_t *out, size_t room, int from)
{
	static const uint8_t protocols[] = { IP_UDP, IP_TCP, IP_ICMP, IP_UDP,
		IP_TCP, IP_ICMP, 47, IP_UDP };
	struct writer w = writer(out, room);
	struct eth eth = { .dst = gw_mac[from], .type = ETH_IPV4 };
	uint8_t shape = byte();
	uint8_t options[40] = { 1, 7, 7, 4 };
	struct ip4 ip = { .ttl = shape & 1 ? 64 : byte() % 4,
		.protocol = protocols[byte() % 8],
		.src = address(),
		.dst = address(),
		.id = byte() % 4,
		.options = options };
	size_t bytes = shape & 2 ? byte() : (size_t)byte() * 11;
	uint8_t transport[4096];
	struct writer t = writer(transport, sizeof(transport));

	eth.src = (struct mac){ { 2, 1, 0, 0, 0, (uint8_t)ip.src } };
	if (shape & 4)
		ip.fragment = IP4_DF;
	ip.header_bytes = 20;
	if ((shape & 0x18) == 0x18)
		ip.header_bytes = (uint8_t)(20 + byte() % 11 * 4);
	if (ip.dst == IP4_BROADCAST)
		eth.dst = mac_broadcast;
	write_transport(&t, &ip, bytes);
	bytes = (size_t)(t.at - transport);
	if ((shape & 0xe0) == 0xe0) { /* a piece of it */
		size_t at = (size_t)(byte() & 7) * 8;

		if (at > bytes)
			at = 0;
		ip.offset_bytes = (uint16_t)at;
		bytes -= at;
		memmove(transport, transport + at, bytes);
		if (byte() & 1 && bytes >= 8) {
			ip.fragment |= IP4_MF;
			bytes = (bytes / 2) & ~(size_t)7;
			if (bytes == 0)
				bytes = 8;
		}
	}
	ip.total_bytes = (uint16_t)(ip.header_bytes + bytes);
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	wr_bytes(&w, transport, bytes);
	return w.overrun ? 0 : (size_t)(w.at - out);
}

static void
offload(struct frame *frame)
{
	uint8_t b = byte();
	const uint8_t *ip = frame->data + 14;

	if (b >= 64 || frame->len < 60)
		return;
	frame->flags = FRAME_CSUM;
	frame->csum_start = (uint16_t)(14 + (ip[0] & 0xf) * 4);
	frame->csum_offset = ip[IP4_OFF_PROTOCOL] == IP_TCP ? 16 : 6;
	if (b & 1) { /* any others that lie within the frame */
		frame->csum_start = (uint16_t)(byte() % (frame->len - 2));
		frame->csum_offset =
		    (uint16_t)(byte() % (frame->len - 1 - frame->csum_start));
	}
	if (frame->csum_start + frame->csum_offset + 2u > frame->len) {
		frame->flags = 0;
		return;
	}
	if (b & 2) {
		frame->flags |= FRAME_TSO4;
		frame->gso_bytes = (uint16_t)(byte() * 6);
		frame->header_bytes = (uint16_t)(b & 4 ? frame->csum_start + 20u
						       : byte() % frame->len);
		if (frame->header_bytes > frame->len)
			frame->flags = 0;
	}
}

static void
packet_in(int from)
{
	uint8_t bytes[5000];
	size_t len = make_packet(bytes, sizeof(bytes), from);
	uint8_t flips = byte();
	struct frame frame = { .data = NULL };
	struct iovec tail[1];
	uint8_t *copy;

	if (len == 0)
		return;
	for (; flips >= 250 && flips < 255; flips++)
		bytes[cur_be16(&rig.in) % len] ^= byte();
	/* Its own memory, so that a read beyond it is found. */
	copy = malloc(len);
	memcpy(copy, bytes, len);
	frame = (struct frame){
		.data = copy, .len = (uint32_t)len, .head = (uint32_t)len
	};
	offload(&frame);
	if (len > 300 && byte() & 1) {
		frame.head = 256;
		frame.ntail = 1;
		frame.tail = tail;
		tail[0] = (struct iovec){ copy + 256, len - 256 };
	}
	send_frame(from, frame);
	free(copy);
}

static void
raw_in(int from)
{
	size_t len = (size_t)byte() + 1;
	const uint8_t *bytes = cur_bytes(&rig.in, len);
	uint8_t *copy;

	if (bytes == NULL)
		return;
	copy = malloc(len);
	memcpy(copy, bytes, len);
	if (byte() & 1 && len >= 6)
		memcpy(copy, gw_mac[from].b, 6);
	send_frame(from,
	    (struct frame){
		.data = copy, .len = (uint32_t)len, .head = (uint32_t)len });
	free(copy);
}

static void
dhcp_in(void)
{
	uint8_t message[600], out[700];
	struct writer w = writer(message, sizeof(message));
	struct dhcp m = { .op = DHCP_BOOTREQUEST,
		.chaddr = { { 2, 1, 0, 0, 0, byte() % 8 } },
		.type = (enum dhcp_type)(byte() % 9),
		.requested = byte() & 1 ? IP(10, 0, 0, 100 + byte() % 4) : 0,
		.server = byte() & 1 ? gw_ip[INSIDE] : 0,
		.ciaddr = byte() & 1 ? IP(10, 0, 0, 100 + byte() % 4) : 0,
		.giaddr = byte() < 20 ? IP(10, 0, 0, 50) : 0,
		.flags = byte() & 1 ? DHCP_BROADCAST : 0 };
	struct udp udp = { .sport = 68, .dport = 67, .data = message };
	struct eth eth = {
		.dst = mac_broadcast, .src = m.chaddr, .type = ETH_IPV4
	};
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_UDP,
		.src = m.ciaddr,
		.dst = IP4_BROADCAST };
	size_t len;

	dhcp_write(&w, &m);
	udp.data_bytes = (size_t)(w.at - message);
	ip.total_bytes = (uint16_t)(28 + udp.data_bytes);
	w = writer(out, sizeof(out));
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, ip.src, ip.dst);
	len = (size_t)(w.at - out);
	send_frame(INSIDE,
	    (struct frame){
		.data = out, .len = (uint32_t)len, .head = (uint32_t)len });
}

/* A datagram from a host inside, with a few bytes of it at random. */
static void
datagram_in(uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport,
    uint8_t *message, size_t bytes)
{
	uint8_t out[1600];
	struct writer w = writer(out, sizeof(out));
	const struct udp udp = { .sport = sport,
		.dport = dport,
		.data = message,
		.data_bytes = bytes };
	const struct eth eth = { .dst = gw_mac[INSIDE],
		.src = { { 2, 1, 0, 0, 0, (uint8_t)src } },
		.type = ETH_IPV4 };
	const struct ip4 ip = { .ttl = 64,
		.protocol = IP_UDP,
		.src = src,
		.dst = dst,
		.total_bytes = (uint16_t)(28 + bytes) };
	size_t len;

	for (unsigned int n = byte(); n >= 240 && n < 255; n++)
		message[byte() % bytes] = byte();
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, src, dst);
	assert(!w.overrun);
	len = (size_t)(w.at - out);
	send_frame(INSIDE,
	    (struct frame){
		.data = out, .len = (uint32_t)len, .head = (uint32_t)len });
}

/* A request for a mapping, by either protocol. */
static void
pcp_in(void)
{
	uint8_t message[PCP_MAX_BYTES], shape = byte();
	struct writer w = writer(message, sizeof(message));
	uint32_t host = IP(10, 0, 0, 10 + (shape & 3));
	const struct natpmp natpmp = { .op = byte() % 3,
		.in_port = port_number(),
		.out_port = port_number(),
		.lifetime_s = byte() };
	struct pcp pcp = { .op = natpmp.op,
		.lifetime_s = natpmp.lifetime_s,
		.client = ip6_of_ip4(host),
		.nonce = { shape & 4 },
		.protocol = shape & 8 ? IP_TCP : IP_UDP,
		.in_port = natpmp.in_port,
		.out_port = natpmp.out_port,
		.out_ip = ip6_of_ip4(shape & 16 ? address() : 0),
		.remote_port = port_number(),
		.remote = ip6_of_ip4(address()),
		.prefer_failure = natpmp.op == PCP_MAP && shape & 32,
		.nfilters = natpmp.op == PCP_MAP ? byte() % 3 : 0 };

	for (unsigned int i = 0; i < pcp.nfilters; i++)
		pcp.filters[i] = (struct pcp_filter){ ip6_of_ip4(address()),
			port_number(), byte() % 130 };
	if (shape & 64)
		natpmp_write_request(&w, &natpmp);
	else
		pcp_write_request(&w, &pcp);
	datagram_in(host, gw_ip[INSIDE], 1234, PCP_PORT, message,
	    (size_t)(w.at - message));
}

static int
look_up(void *arg, const char *name, struct ip6_addr *addr, unsigned int max)
{
	(void)arg;
	assert(strlen(name) < DNS_NAME_BYTES && max > 0);
	addr[0] = ip6_of_ip4(IP(10, 0, 0, 10));
	return name[0] == 'a' ? 1 : -1;
}

/* A question as a client asks it. */
static void
dns_in(void)
{
	uint8_t message[DNS_MAX_BYTES];
	struct writer w = writer(message, sizeof(message));
	struct dns question = { .id = byte(),
		.flags = DNS_FLAG_RECURSE,
		.type = (uint16_t)(byte() % 30),
		.class = DNS_CLASS_IN };
	unsigned int n = byte() % 70u;

	memset(question.name, byte() & 1 ? 'a' : 'b', n);
	dns_write(&w, &question);
	if (!w.overrun)
		datagram_in(IP(10, 0, 0, 10), gw_ip[INSIDE], 5353, DNS_PORT,
		    message, (size_t)(w.at - message));
}

static void
arp_in(int from)
{
	uint8_t out[42];
	struct writer w = writer(out, sizeof(out));
	uint32_t ip = address();
	struct arp arp = { .op = (uint16_t)(1 + byte() % 2),
		.sender_mac = { { 2, 1, 0, 0, 0, (uint8_t)ip } },
		.sender_ip = ip,
		.target_ip = address() };
	struct eth eth = {
		.dst = mac_broadcast, .src = arp.sender_mac, .type = ETH_ARP
	};

	eth_write(&w, &eth);
	arp_write(&w, &arp);
	send_frame(from, (struct frame){ .data = out, .len = 42, .head = 42 });
}

/* ---- before and after ---- */

static void
start(uint8_t options)
{
	struct router_nat_options nat = { .rules.mapping = options % 3,
		.rules.filtering = options / 3 % 3,
		.max_entries = 20,
		.rules.hairpin = options & 0x40,
		.rules.ftp = options & 0x40,
		.rules.sip = options & 0x40,
		.rules.refuse_syn = options & 0x20 };
	struct router_dhcp_options dhcp = { .first = IP(10, 0, 0, 100),
		.last = IP(10, 0, 0, 103),
		.lease_s = 60,
		.probe_ns = options & 0x20 ? 50 * NS_PER_MS : 0 };
	const struct router_dns_options dns = { .lookup = look_up };
	const struct router_pcp_options pcp = { .third_party = options & 1,
		.min_s = 1 };
	const struct router_dhcp_relay_options relay = {
		.servers = { IP(203, 0, 113, 10), IP(198, 51, 100, 7) },
		.nservers = 2,
		.info = options & 1
	};

	f.paired = options & 0x10;
	if (f.paired) {
		nat.pool = pool;
		nat.npool = 2;
		nat.pairs = &pair;
		nat.npairs = 1;
	}
	f.last_len = 0;
	f.answer_arp = true;
	rig_start();
	for (int i = 0; i < NLINKS; i++) {
		struct router_port_options o = { .mac = gw_mac[i],
			.address = { gw_ip[i], 24 },
			.mtu_bytes = i == OUTSIDE && options & 0x80 ? 300 : 0,
			.mss_clamp = options & 0x80,
			.proxy_arp = options & 0x20 };
		struct port *port = rig_link(i, &o, &ops);

		if (i == OUTSIDE)
			nat.outside = port;
		else if (options & 0x10)
			router_set_dhcp_relay(rig.router, port, &relay, NULL);
		else
			router_set_dhcp(rig.router, port, &dhcp, NULL);
	}
	router_add_route(
	    rig.router, (struct ip4_net){ 0, 0 }, IP(203, 0, 113, 254), NULL);
	assert(router_set_nat(rig.router, &nat, NULL) == 0);
	assert(router_set_dns(rig.router, &dns, NULL) == 0);
	assert(router_set_pcp(rig.router, &pcp, NULL) == 0);
	if (options & 0x20)
		assert(router_add_filter(rig.router, NULL, nat.outside,
			   "dst port 9", ROUTER_FILTER_REJECT, NULL) == 0);
}

/* A kept frame may be lost later, and what the router sends itself may not
 * leave: both are counted, too. */
static bool
is_late(int reason)
{
	return reason == DROP_ARP_FAILED || reason == DROP_ARP_QUEUE ||
	    reason == DROP_PORT_FULL || reason == DROP_FRAGMENT ||
	    reason == DROP_TTL || reason == DROP_MTU ||
	    reason == DROP_LINK_DOWN || reason == REASON_SENT;
}

static void
check_row(void *arg, const struct nat_row *row)
{
	unsigned int *n = arg;

	assert(row->inside_ip >> 8 == IP(10, 0, 0, 0) >> 8);
	assert(row->outside_ip >= gw_ip[OUTSIDE] &&
	    row->outside_ip <= pair.out_ip);
	assert((row->outside_ip == pair.out_ip) ==
	    (row->inside_ip == pair.in_ip && f.paired));
	assert(row->left_ns > 0);
	*n += row->id != 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int rows = 0;

	rig.in = cursor(data, size);
	start(byte());
	while (cur_left(&rig.in) > 0) {
		uint8_t op = byte();
		int from = op >> 7;

		switch (op & 15) {
		case 0: raw_in(from); break;
		case 1: dhcp_in(); break;
		case 2: arp_in(from); break;
		case 3: wait_ms((uint64_t)byte() * 10); break;
		case 4: wait_ms((uint64_t)byte() * 2000); break;
		case 5: f.answer_arp = !f.answer_arp; break;
		case 7: dns_in(); break;
		case 8: pcp_in(); break;
		case 6:
			port_set_down(&rig.link[from].port, true);
			port_set_down(&rig.link[from].port, false);
			break;
		default: packet_in(from); break;
		}
	}
	check_counts(is_late);
	router_each_nat(rig.router, check_row, &rows);
	assert(rows <= 20);
	loop_run(rig.loop); /* all timers run out */
	rows = 0;
	router_each_nat(rig.router, check_row, &rows);
	assert(rows == 0);
	rig_end();
	return 0;
}
