/* libs: router switch net base */
/*
 * A server that does as it likes, on the link of a port that gets its address
 * by DHCP: the port has only addresses that a host can have, of no net that is
 * the router's elsewhere; nothing leaves by it with another source; without an
 * address nothing but DHCP and ARP leaves at all; and the client keeps quiet.
 */
#include "tests/fuzz/router_rig.h"

#include "net/arp.h"
#include "net/dhcp.h"
#include "net/dns.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/udp.h"
#include "router/nat_rules.h"

#define IP(a, b, c, d)                                                    \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | \
	    (uint32_t)(d))
#define INNER    IP(10, 0, 0, 1)
#define FRAME    1600
#define MESSAGES 4000 /* that a client may send in one input */

static struct {
	uint32_t xid, dns_server;
	uint16_t dns_port, dns_id;
	unsigned int messages;
	struct ip4_net address;
	struct wan_row row;
} seen;

static void
take_row(void *arg, const struct wan_row *row)
{
	(void)arg;
	seen.row = *row;
}

static struct ip4_net
address_of(int i)
{
	return router_port_address(rig.router, rig.link[i].port.peer);
}

/* What is so at any time. */
static void
check_address(void)
{
	struct ip4_net outer = address_of(OUTSIDE), inner = address_of(INSIDE);
	struct ip4_net wide = outer;

	router_each_wan(rig.router, take_row, NULL);
	assert(seen.row.address.addr == outer.addr);
	assert(inner.addr == INNER || inner.addr == IP(10, 99, 0, 1));
	if (outer.addr == 0)
		return;
	assert(outer.addr >> 24 != 0 && outer.addr >> 24 != 127);
	assert(outer.addr >> 28 < 0xe);
	assert(outer.prefix >= 8 && outer.prefix <= 31);
	assert(outer.prefix == 31 ||
	    (outer.addr != ip4_net_broadcast(outer) &&
		(outer.addr & ~ip4_mask(outer.prefix)) != 0));
	if (inner.prefix < wide.prefix)
		wide.prefix = inner.prefix;
	assert(!ip4_net_has(wide, inner.addr));
	assert(seen.row.mtu_bytes >= 576 && seen.row.mtu_bytes <= 1500);
	assert(seen.row.gateway == 0 || ip4_net_has(outer, seen.row.gateway));
}

static void
look_at_packet(struct cursor c)
{
	struct ip4_net outer = address_of(OUTSIDE);
	struct ip4 ip;
	struct udp udp;
	bool is_dhcp;

	assert(ip4_parse(&ip, &c) == REASON_NONE);
	if (ip4_is_fragment(&ip) || ip.protocol != IP_UDP) {
		assert(outer.addr != 0 && ip.src == outer.addr);
		return;
	}
	assert(udp_parse(&udp, &c, &ip, false) == REASON_NONE);
	is_dhcp = udp.dport == DHCP_SERVER_PORT && udp.sport == 68;
	assert(outer.addr != 0 || is_dhcp);
	assert(ip.src == outer.addr || (is_dhcp && ip.src == 0));
	if (is_dhcp) {
		struct cursor d = cursor(udp.data, udp.data_bytes);
		struct dhcp m;

		assert(dhcp_parse(&m, &d) == DROP_NONE);
		assert(m.op == DHCP_BOOTREQUEST);
		seen.xid = m.xid;
		assert(++seen.messages < MESSAGES);
	} else if (udp.dport == DNS_PORT && udp.data_bytes > 2) {
		seen.dns_server = ip.dst;
		seen.dns_port = udp.sport;
		seen.dns_id = get_be16(udp.data);
	}
}

static void
take(struct port *port, struct burst *burst)
{
	struct link *link = (struct link *)port;

	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];
		uint8_t bytes[FRAME];
		struct cursor c;
		struct eth eth;

		node_judge(&rig.peers, frame, REASON_DELIVERED);
		assert(frame->len <= sizeof(bytes));
		frame_copy(bytes, frame, 0, frame->len);
		c = cursor(bytes, frame->len);
		if (link->number != OUTSIDE)
			continue;
		assert(eth_parse(&eth, &c) == REASON_NONE);
		if (eth.type == ETH_IPV4)
			look_at_packet(c);
		else
			assert(eth.type == ETH_ARP);
	}
}

static const struct port_ops ops = { .take = take };

/* ---- what comes in ---- */

static uint32_t
word(void)
{
	uint32_t high = cur_be16(&rig.in);

	return high << 16 | cur_be16(&rig.in);
}

/* Mostly of a few that mean something. */
static uint32_t
some_address(void)
{
	static const uint32_t some[] = { IP(203, 0, 113, 7), IP(10, 0, 0, 7),
		IP(10, 99, 0, 7), IP(203, 0, 113, 254), IP(10, 0, 0, 254), 0,
		IP4_BROADCAST, INNER };
	uint8_t which = byte();

	return which < 240 ? some[which % 8] : word();
}

static uint32_t
some_mask(void)
{
	uint8_t which = byte();

	return which < 128 ? IP(255, 255, 255, 0)
			   : ip4_mask((uint8_t)(which % 33));
}

static void
send_udp(int from, const struct udp *udp, uint32_t src, uint32_t dst)
{
	uint8_t bytes[FRAME];
	struct writer w = writer(bytes, sizeof(bytes));
	struct eth eth = { .dst = gw_mac[from],
		.src = { { 2, 9, 0, 0, 0, 1 } },
		.type = ETH_IPV4 };
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_UDP,
		.src = src,
		.dst = dst,
		.total_bytes = (uint16_t)(28 + udp->data_bytes) };

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, udp, src, dst);
	if (!w.overrun)
		send_frame(from,
		    (struct frame){ .data = bytes,
			.len = (uint32_t)(w.at - bytes),
			.head = (uint32_t)(w.at - bytes) });
}

/* An answer of the server: well formed, but with any values. */
static void
send_answer(void)
{
	static const enum dhcp_type types[] = { DHCP_OFFER, DHCP_ACK, DHCP_NAK,
		DHCP_OFFER, DHCP_ACK };
	uint8_t message[1200];
	struct writer w = writer(message, sizeof(message));
	struct dhcp m = {
		.op = DHCP_BOOTREPLY, .xid = seen.xid, .chaddr = gw_mac[OUTSIDE]
	};
	struct udp udp = { .sport = 67, .dport = 68, .data = message };
	uint8_t how = byte();

	m.type = types[byte() % 5];
	m.yiaddr = some_address();
	m.server = some_address();
	m.router = some_address();
	m.mask = some_mask();
	m.lease_s = how & 1 ? byte() : word();
	m.renewal_s = how & 2 ? byte() : 0;
	m.rebinding_s = how & 4 ? byte() : 0;
	m.mtu = how & 8 ? cur_be16(&rig.in) : 0;
	if (how & 16)
		m.dns[m.ndns++] = some_address();
	for (int n = how & 32 ? byte() % 64 : 0; n > 0; n--)
		m.routes[m.routes_bytes++] = byte();
	dhcp_write(&w, &m);
	if (w.overrun)
		return;
	udp.data_bytes = (size_t)(w.at - message);
	/* And some of its bytes others. */
	for (int n = how & 64 ? byte() % 8 : 0; n > 0; n--)
		message[(size_t)cur_be16(&rig.in) % udp.data_bytes] = byte();
	send_udp(OUTSIDE, &udp, m.server != 0 ? m.server : 1,
	    how & 128 ? m.yiaddr : IP4_BROADCAST);
}

static void
send_arp(void)
{
	uint8_t bytes[64];
	struct writer w = writer(bytes, sizeof(bytes));
	struct eth eth = { .dst = mac_broadcast,
		.src = { { 2, 9, 0, 0, 0, byte() } },
		.type = ETH_ARP };
	struct arp arp = { .op = byte() & 1 ? ARP_REQUEST : ARP_REPLY,
		.sender_mac = eth.src,
		.sender_ip = some_address(),
		.target_ip = some_address() };
	int from = byte() & 1;

	if (byte() & 1)
		arp.sender_ip = seen.row.address.addr;
	eth_write(&w, &eth);
	arp_write(&w, &arp);
	send_frame(from,
	    (struct frame){ .data = bytes,
		.len = (uint32_t)(w.at - bytes),
		.head = (uint32_t)(w.at - bytes) });
}

/* From a host inside, of the old net or of the new. */
static void
send_inside(void)
{
	uint8_t data[64] = { 0 };
	struct dns question = { .id = 7,
		.flags = DNS_FLAG_RECURSE,
		.type = DNS_TYPE_A,
		.class = DNS_CLASS_IN,
		.name = "www.example" };
	struct writer w = writer(data, sizeof(data));
	uint8_t how = byte();
	uint32_t src = how & 1 ? IP(10, 0, 0, 9) : IP(10, 99, 0, 9);
	uint32_t dst = how & 2 ? (src & 0xffffff00) | 1 : some_address();
	struct udp udp = { .sport = how & 4 ? 68 : 5000,
		.dport = how & 8 ? DNS_PORT
		    : how & 16   ? 67
				 : 7,
		.data = data,
		.data_bytes = 18 };

	if (how & 8) {
		dns_write(&w, &question);
		udp.data_bytes = (size_t)(w.at - data);
	}
	send_udp(INSIDE, &udp, src, dst);
}

/* An answer of the name server, or nearly. */
static void
send_dns(void)
{
	uint8_t data[128] = { 0 };
	uint8_t n = byte() % sizeof(data);
	struct udp udp = { .sport = DNS_PORT,
		.dport = seen.dns_port,
		.data = data,
		.data_bytes = n };

	for (uint8_t i = 0; i < n; i++)
		data[i] = byte();
	put_be16(data, seen.dns_id);
	send_udp(OUTSIDE, &udp, seen.dns_server, seen.row.address.addr);
}

static void
start(void)
{
	struct router_port_options in = { .mac = gw_mac[INSIDE],
		.address = { INNER, 24 },
		.instead = { IP(10, 99, 0, 1), 24 } };
	struct router_port_options out = { .mac = gw_mac[OUTSIDE],
		.dhcp = true,
		.hostname = "gw",
		.dhcp_probe_ns = byte() & 1 ? NS_PER_S : 0 };
	struct router_dhcp_options dhcp = { .first = IP(10, 0, 0, 10),
		.last = IP(10, 0, 0, 20),
		.short_s = 60 };
	struct router_dns_options dns = { .nupstreams = 0 };
	struct router_nat_options nat = { .max_entries = 64 };
	struct port *inside, *outside;

	memset(&seen, 0, sizeof(seen));
	rig_start();
	inside = rig_link(INSIDE, &in, &ops);
	outside = rig_link(OUTSIDE, &out, &ops);
	assert(router_set_dhcp(rig.router, inside, &dhcp, NULL) == 0);
	assert(router_set_dns(rig.router, &dns, NULL) == 0);
	nat.outside = outside;
	nat.rules = nat_rules_default;
	assert(router_set_nat(rig.router, &nat, NULL) == 0);
	router_on_address(rig.router, NULL, NULL);
}

static void
hush(void *arg, const char *sentence)
{
	(void)arg;
	assert(sentence[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t ms = 0;

	rig.in = cursor(data, size);
	start();
	router_on_address(rig.router, hush, NULL);
	wait_ms(1100);
	while (cur_left(&rig.in) > 0 && ms < 3600 * 1000) {
		uint64_t pause_ms = 0;

		switch (byte() % 8) {
		case 0:
		case 1:
		case 2: send_answer(); break;
		case 3: send_arp(); break;
		case 4: send_inside(); break;
		case 5: send_dns(); break;
		case 6: pause_ms = byte(); break;
		case 7: pause_ms = 1000u * byte(); break;
		default: break;
		}
		if (pause_ms > 0)
			wait_ms(pause_ms);
		ms += pause_ms;
		check_address();
	}
	router_release(rig.router);
	assert(address_of(OUTSIDE).addr == 0);
	rig_end();
	return 0;
}
