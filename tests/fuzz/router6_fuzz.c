/* libs: router switch net base */
/*
 * A router of IPv6 with advertisements, a filter, PCP and a translated prefix
 * between two links, fed frames that are random, or nearly right: templates of each
 * protocol with random fields, extension headers, fragments and quotes of what
 * left.  Neighbours answer or not; time goes on by random steps.
 *
 * What must hold: each frame gets one verdict, which is counted; whatever leaves
 * is whole, and its ICMPv6 sum right if it is the router's own; nothing leaves by
 * the outer port with an address of the inside prefix; nothing that nobody asked
 * for comes in.  Who asks by PCP is told of what there is: after an answer of
 * success, the hole is there, for as long as was said; all of them are of inside
 * hosts, and none is left when all are due.
 */
#include <assert.h>
#include <stdlib.h>

#include "net/checksum.h"
#include "net/dhcp6.h"
#include "net/eth.h"
#include "net/icmp6.h"
#include "net/ip6_chain.h"
#include "net/nd.h"
#include "net/pcp.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "router/router.h"
#include "tests/fuzz/router_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ip6_net gw_net[NLINKS] = {
	{ { { 0xfd, 0, 0, 1, [15] = 1 } }, 64 },
	{ { { 0x20, 1, 0xd, 0xb8, 0, 2, [15] = 1 } }, 64 },
};
static const struct ip6_net outside_form = { { { 0x20, 1, 0xd, 0xb8, 0, 9 } },
	48 };

#define FLOWS 20
#define MIN_S 10
#define MAX_S 600

static struct {
	uint8_t last[2048]; /* the IPv6 packet that left last */
	size_t last_len;
	bool answer, translates;
	/* The hole that an answer of PCP told of. */
	struct pcp pcp;
	struct ip6_addr host;
	bool found;
} f;

static void
answer(const struct link *link, const struct nd_message *asked,
    const struct ip6 *ip)
{
	struct nd_message nd = *asked;
	struct eth eth = { .dst = gw_mac[link->number], .type = ETH_IPV6 };
	uint8_t out[14 + 40 + ND_BYTES];
	struct writer w = writer(out, sizeof(out));

	nd.type = ND_ADVERTISE;
	nd.flags = ND_SOLICITED | ND_OVERRIDE;
	nd.mac = (struct mac){ { 2, 1, 0, 0, 0, asked->target.b[15] } };
	eth.src = nd.mac;
	eth_write(&w, &eth);
	nd_message_write(&w, &nd, &nd.target, &ip->src);
	send_frame(link->number,
	    (struct frame){
		.data = out, .len = sizeof(out), .head = sizeof(out) });
}

static void
see_hole(void *arg, const struct flow6_row *row)
{
	(void)arg;
	if (row->id == 0 && row->protocol == f.pcp.protocol &&
	    row->port == f.pcp.in_port && ip6_equal(&row->inside, &f.host) &&
	    (f.pcp.op == PCP_MAP ? row->remote_port == 0
				 : row->remote_port == f.pcp.remote_port &&
			ip6_equal(&row->remote, &f.pcp.remote)))
		f.found |= row->left_ns <= f.pcp.lifetime_s * NS_PER_S &&
		    row->left_ns > f.pcp.lifetime_s * NS_PER_S - NS_PER_S;
}

/* What the router answers by PCP, to dst. */
static void
check_pcp(struct cursor c, const struct ip6 *ip)
{
	struct ip6_addr out;
	struct udp udp;

	assert(udp6_parse(&udp, &c, ip, false) == REASON_NONE);
	assert(udp.sport == PCP_PORT);
	assert(pcp_parse_response(&f.pcp, udp.data, udp.data_bytes));
	if (f.pcp.result != PCP_SUCCESS || f.pcp.op == PCP_ANNOUNCE)
		return;
	f.host = f.pcp.has_third_party ? f.pcp.third_party : ip->dst;
	assert(ip6_net_has(&gw_net[INSIDE], &f.host));
	if (f.pcp.lifetime_s == 0)
		return;
	/* PEER tells of established connections, too. */
	assert(f.pcp.lifetime_s <= (f.pcp.op == PCP_MAP ? MAX_S : 7440));
	assert(f.pcp.op == PCP_PEER || f.pcp.lifetime_s >= MIN_S);
	out = f.host;
	if (f.translates)
		assert(!ip6_net_has(&gw_net[INSIDE], &f.pcp.out_ip));
	else
		assert(ip6_equal(&f.pcp.out_ip, &out));
	assert(f.pcp.out_port == f.pcp.in_port);
	f.found = false;
	router_each_flow6(rig.router, see_hole, NULL);
	assert(f.found);
}

static void
check_frame(const struct link *link, const struct frame *frame)
{
	static uint8_t bytes[FRAME_MAX_BYTES];
	struct cursor c;
	struct eth eth;
	struct ip6 ip;
	struct nd_message nd;

	assert(frame->len <= sizeof(bytes));
	assert(frame->cause != NULL && frame->cause->reason != REASON_NONE);
	frame_copy(bytes, frame, 0, frame->len);
	c = cursor(bytes, frame->len);
	assert(eth_parse(&eth, &c) == REASON_NONE);
	assert(mac_equal(&eth.src, &gw_mac[link->number]));
	assert(eth.type == ETH_IPV6);
	assert(ip6_parse(&ip, &c) == REASON_NONE);
	assert(cur_left(&c) == ip.payload_bytes);
	assert(frame->len ==
	    (size_t)ETH_HEADER_BYTES + IP6_HEADER_BYTES + ip.payload_bytes);
	assert(!ip6_is_zero(&ip.src) && !ip6_is_multicast(&ip.src));
	if (link->number == OUTSIDE && f.translates)
		assert(!ip6_net_has(&gw_net[INSIDE], &ip.src));
	f.last_len =
	    frame->len - 14 < sizeof(f.last) ? frame->len - 14 : sizeof(f.last);
	memcpy(f.last, bytes + 14, f.last_len);
	if (frame->cause->reason == REASON_SENT && ip.next == IP_UDP &&
	    cur_left(&c) >= 2 && get_be16(c.at) == PCP_PORT)
		check_pcp(c, &ip);
	if (frame->cause->reason == REASON_SENT && ip.next == IP_ICMP6) {
		struct cursor m = c;
		struct icmp6 icmp;

		assert(icmp6_parse(&icmp, &m, &ip.src, &ip.dst, false) ==
		    REASON_NONE);
		if (icmp6_is_error(icmp.type))
			assert(frame->len <= 14 + IP6_MTU_MIN);
		if (icmp.type == ND_SOLICIT && f.answer &&
		    nd_message_parse(&nd, &c, &ip) == REASON_NONE)
			answer(link, &nd, &ip);
	}
}

static void
take(struct port *port, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++) {
		node_judge(&rig.peers, &burst->frame[i], REASON_DELIVERED);
		check_frame((struct link *)port, &burst->frame[i]);
	}
}

static const struct port_ops ops = { .take = take };

/* ---- frames in ---- */

static struct ip6_addr
address(int link)
{
	struct ip6_addr a = gw_net[link].addr;
	uint8_t b = byte();

	a.b[15] = (uint8_t)(b & 15);
	switch (b >> 4) {
	case 0: return ip6_all_nodes;
	case 1: return ip6_all_routers;
	case 2: return dhcp6_servers;
	case 3: return nd_group(&a);
	case 4: memset(a.b, 0, 16); return a;
	case 5: return ip6_link_local(&gw_mac[link]);
	case 6: a = (struct ip6_addr){ { 0xfe, 0x80, [15] = 9 } }; return a;
	case 7:
	case 8:
		a = outside_form.addr;
		a.b[6] = byte();
		a.b[7] = byte();
		a.b[15] = b & 15;
		return a;
	case 9: cur_ip6(&rig.in, &a); return a;
	default: return a;
	}
}

static size_t
write_chain(struct writer *w, uint8_t protocol, uint8_t how)
{
	uint8_t header[8] = { protocol, 0, byte(), byte(), 0, 0, 0, byte() };

	switch (how & 7) {
	case 1: header[2] = 1, header[3] = 4; break; /* padding */
	case 2: header[3] &= 1; break; /* a fragment, maybe the first */
	case 3: header[2] = 0, header[3] = 0; break;
	default: break;
	}
	wr_bytes(w, header, sizeof(header));
	return sizeof(header);
}

static void
write_upper(
    struct writer *w, uint8_t protocol, const struct ip6 *ip, uint8_t how)
{
	static uint8_t data[1500];
	size_t n = byte() * (how & 0x80 ? 5u : 1u);

	if (protocol == IP_UDP) {
		static const uint16_t ports[] = { 53, 547, 500, 9 };
		struct udp udp = { .sport = byte() & 3,
			.dport = ports[byte() & 3],
			.data = data,
			.data_bytes = n };

		if (udp.dport == 547 && how & 0x20) {
			const uint8_t *at = cur_bytes(&rig.in, 24);

			udp.data = at != NULL ? at : data;
			udp.data_bytes = at != NULL ? 24 : 0;
		}
		udp6_write(w, &udp, &ip->src, &ip->dst);
	} else if (protocol == IP_TCP) {
		struct tcp tcp = { .sport = byte() & 3,
			.dport = 80,
			.flags = byte(),
			.seq = byte(),
			.data = data,
			.data_bytes = n };

		if (how & 0x40)
			tcp.dport = tcp.sport, tcp.sport = 80;
		tcp6_write(w, &tcp, &ip->src, &ip->dst);
	} else if (protocol == IP_ICMP6) {
		struct icmp6 icmp = { .type = byte(),
			.code = byte() & 7,
			.word = byte(),
			.data = data,
			.data_bytes = n };

		if (how & 0x40) { /* about what left last, or its answer */
			icmp.data = f.last;
			icmp.data_bytes = f.last_len;
		} else if (how & 0x20) {
			struct ip6_addr target = address(byte() & 1);

			icmp.type =
			    (uint8_t)(ND_ROUTER_SOLICIT + icmp.type % 5);
			memcpy(data, target.b, sizeof(target.b));
			data[16] = 1 + (icmp.type & 1);
			data[17] = 1;
			data[18] = byte();
			icmp.data_bytes = n % 32;
		}
		icmp6_write(w, &icmp, &ip->src, &ip->dst);
	} else
		wr_bytes(w, data, n);
}

/* A request of PCP, nearly right. */
static void
pcp_in(int from)
{
	static const uint8_t protocols[] = { IP_UDP, IP_TCP, 0, IP_ICMP6 };
	uint8_t request[PCP_MAX_BYTES], out[PCP_MAX_BYTES + 62];
	struct writer w = writer(request, sizeof(request));
	struct eth eth = { .dst = gw_mac[from],
		.src = { { 2, 1, 0, 0, 0, byte() & 3 } },
		.type = ETH_IPV6 };
	uint8_t how = byte(), what = byte();
	struct ip6 ip = { .src = address(from),
		.dst = gw_net[from].addr,
		.next = IP_UDP,
		.hop_limit = 64 };
	struct udp udp = { .sport = 9, .dport = PCP_PORT, .data = request };
	struct pcp m = { .op = how & 3,
		.lifetime_s = (uint32_t)byte() * (what & 0x80 ? 100 : 4),
		.client = ip.src,
		.nonce = { how >> 2 & 1 },
		.protocol = protocols[what & 3],
		.in_port = what >> 2 & 3,
		.out_port = what >> 4 & 3,
		.remote = address(OUTSIDE),
		.remote_port = how >> 3 & 3,
		.has_third_party = how & 0x20,
		.prefer_failure = how & 0x40,
		.nfilters = how >> 7 };

	if (m.has_third_party)
		m.third_party = address(byte() & 1);
	if (m.nfilters > 0)
		m.filters[0] =
		    (struct pcp_filter){ address(OUTSIDE), byte() & 3, byte() };
	pcp_write_request(&w, &m);
	udp.data_bytes = (size_t)(w.at - request);
	if (what & 0x40) {
		request[byte() % udp.data_bytes] ^= byte();
		udp.data_bytes -= byte() & 3;
	}
	ip.payload_bytes = (uint16_t)(UDP_HEADER_BYTES + udp.data_bytes);
	w = writer(out, sizeof(out));
	eth_write(&w, &eth);
	ip6_write(&w, &ip);
	udp6_write(&w, &udp, &ip.src, &ip.dst);
	assert(!w.overrun);
	send_frame(from,
	    (struct frame){ .data = out,
		.len = (uint32_t)(w.at - out),
		.head = (uint32_t)(w.at - out) });
}

static void
packet_in(int from)
{
	static const uint8_t protocols[] = { IP_UDP, IP_TCP, IP_ICMP6, IP_ICMP6,
		50, IP_NONE, 132, 200 };
	static const uint8_t chains[] = { IP_HOP_BY_HOP, IP_ROUTING,
		IP_FRAGMENT, IP_DESTINATION };
	static uint8_t out[4096];
	struct writer w = writer(out, sizeof(out));
	struct eth eth = { .dst = gw_mac[from],
		.src = { { 2, 1, 0, 0, 0, byte() & 3 } },
		.type = ETH_IPV6 };
	uint8_t how = byte(), kind = byte();
	uint8_t protocol = protocols[kind & 7], *start;
	struct ip6 ip = { .src = address(from),
		.dst = address(byte() & 1),
		.next = protocol,
		.hop_limit = how & 0x10 ? 255 : byte() & 3 };

	if (ip6_is_multicast(&ip.dst))
		eth.dst = nd_group_mac(&ip.dst);
	eth_write(&w, &eth);
	start = w.at;
	if (kind & 0x40)
		ip.next = chains[kind >> 4 & 3];
	ip6_write(&w, &ip);
	if (kind & 0x40)
		write_chain(&w, protocol, how);
	write_upper(&w, protocol, &ip, how);
	if (w.overrun)
		return;
	put_be16(start + IP6_OFF_PAYLOAD,
	    (uint16_t)(w.at - start - IP6_HEADER_BYTES));
	if (kind & 0x80) /* something is wrong with it */
		out[byte() % (w.at - out)] ^= byte();
	send_frame(from,
	    (struct frame){ .data = out,
		.len = (uint32_t)(w.at - out),
		.head = (uint32_t)(w.at - out) });
}

static void
raw_in(int from)
{
	size_t n = byte();
	const uint8_t *at = cur_bytes(&rig.in, n);
	uint8_t *copy;

	if (at == NULL || n == 0)
		return;
	copy = malloc(n);
	assert(copy != NULL);
	memcpy(copy, at, n);
	if (n >= 14) {
		memcpy(copy, gw_mac[from].b, 6);
		put_be16(copy + 12, ETH_IPV6);
	}
	send_frame(from,
	    (struct frame){
		.data = copy, .len = (uint32_t)n, .head = (uint32_t)n });
	free(copy);
}

/* ---- before and after ---- */

static void
start(uint8_t options)
{
	struct router_filter6_options filter = { .filtering = options % 3,
		.max_flows = FLOWS,
		.per_station = 8,
		.only_asked = options & 0x20 };
	struct router_ra_options ra = { .interval_s =
					    options & 0x10 ? 60 : 1800 };
	const struct router_pcp_options pcp = {
		.third_party = options & 8, .min_s = MIN_S, .max_s = MAX_S
	};
	struct ip6_net all = { .prefix = 0 };
	struct ip6_addr via = gw_net[OUTSIDE].addr;

	f.last_len = 0;
	f.answer = true;
	rig_start();
	for (int i = 0; i < NLINKS; i++) {
		struct router_port_options o = { .mac = gw_mac[i],
			.address6 = { gw_net[i] },
			.naddresses6 = 1,
			.no_dad = true,
			.mtu_bytes =
			    i == OUTSIDE && options & 0x80 ? 1280 : 0 };
		struct port *port = rig_link(i, &o, &ops);

		if (i == OUTSIDE)
			filter.outside = port;
		else
			assert(router_set_ra(rig.router, port, &ra, NULL) == 0);
	}
	via.b[15] = 0xfe;
	assert(router_add_route6(rig.router, &all, &via, NULL, NULL) == 0);
	assert(router_set_filter6(rig.router, &filter, NULL) == 0);
	f.translates = options & 0x40;
	if (f.translates)
		assert(router_add_npt6(rig.router, filter.outside,
			   &gw_net[INSIDE], &outside_form, NULL) == 0);
	assert(router_set_pcp(rig.router, &pcp, NULL) == 0);
}

/* A kept frame may be lost later, and what the router sends itself may not
 * leave: both are counted, too. */
static bool
is_late(int reason)
{
	return reason == DROP_ND_FAILED || reason == DROP_ND_QUEUE ||
	    reason == DROP_FRAGMENT || reason == DROP_PORT_FULL ||
	    reason == DROP_LINK_DOWN || reason == REASON_SENT;
}

static void
check_row(void *arg, const struct flow6_row *row)
{
	unsigned int *n = arg;

	assert(row->id <= FLOWS && row->left_ns > 0);
	assert(ip6_is_host(&row->inside));
	assert(row->id != 0 || ip6_net_has(&gw_net[INSIDE], &row->inside));
	*n += row->id != 0;
}

static void
no_row(void *arg, const struct flow6_row *row)
{
	(void)arg;
	(void)row;
	abort();
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
		case 1: wait_ms((uint64_t)byte() * 10); break;
		case 2: wait_ms((uint64_t)byte() * 2000); break;
		case 3: f.answer = !f.answer; break;
		case 4:
			port_set_down(&rig.link[from].port, true);
			port_set_down(&rig.link[from].port, false);
			break;
		case 5:
		case 6: pcp_in(from); break;
		default: packet_in(from); break;
		}
	}
	check_counts(is_late);
	router_each_flow6(rig.router, check_row, &rows);
	assert(rows <= FLOWS);
	/* A hole for a connection that was established may last as long as that,
	 * and another may have begun by it then. */
	wait_ms(UINT64_C(15000) * 1000);
	router_each_flow6(rig.router, no_row, NULL);
	rig_end();
	return 0;
}
