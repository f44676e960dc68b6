/* libs: router switch net base */
/*
 * A router's port while it looks whether its addresses are free, advertises and
 * tells of its groups, on a link where anybody says anything.
 *
 * The input is a list of steps: a byte that says how much time passes and which
 * checksums are put right, two of length, and an IPv6 packet.  Whatever is
 * heard: what the router sends is well formed and fits the link, its checksums
 * are right, and it is sent from an address of the router's that nobody else
 * has, or from none.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/checksum.h"
#include "net/eth.h"
#include "net/icmp6.h"
#include "net/ip6_chain.h"
#include "net/nd.h"
#include "net/udp.h"
#include "router/router.h"
#include "router/router6.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mac gw_mac = { { 2, 0, 0, 0, 0, 1 } };
static const struct ip6_net gw_net = { { { 0x20, 1, 0xd, 0xb8, [15] = 1 } },
	64 };

static struct node node;
static const struct port *gw;

static void
check_source(const struct ip6 *ip, bool link_message)
{
	const struct iface *iface = (const struct iface *)gw;

	if (ip6_is_zero(&ip->src))
		assert(link_message);
	else
		assert(iface6_is_unicast(iface, &ip->src) ||
		    ip6_equal(&ip->src, &iface->six.anycast[0]));
	assert(!iface6_is_off(iface));
}

static void
check(const struct frame *frame)
{
	static uint8_t bytes[FRAME_MAX_BYTES];
	struct cursor c;
	struct eth eth;
	struct ip6 ip;
	struct ip6_chain chain;
	struct icmp6 icmp;
	bool link_message;

	frame_copy(bytes, frame, 0, frame->len);
	c = cursor(bytes, frame->len);
	assert(eth_parse(&eth, &c) == REASON_NONE && eth.type == ETH_IPV6);
	assert(frame->len <= ETH_HEADER_BYTES + ETH_MTU);
	assert(ip6_parse(&ip, &c) == REASON_NONE);
	assert(ip6_chain_parse(&chain, &c, &ip) == REASON_NONE);
	link_message = chain.protocol == IP_ICMP6 && cur_left(&c) > 0 &&
	    (c.at[0] == ND_SOLICIT || membership_is_mld(c.at[0]));
	/* What came from its own address goes back there: it is not ours. */
	check_source(&ip, link_message);
	if (!ip6_is_fragment(&chain) && chain.protocol == IP_ICMP6)
		assert(icmp6_parse(&icmp, &c, &ip.src, &ip.dst, false) ==
		    REASON_NONE);
}

static void
take(struct port *port, struct burst *burst)
{
	node_judge_all(port->node, burst, REASON_DELIVERED);
	for (unsigned int i = 0; i < burst->n; i++)
		check(&burst->frame[i]);
}

static const struct port_ops ops = { .take = take };

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
pass_time(struct loop *loop, uint64_t ns)
{
	struct loop_timer timer;

	loop_timer_init(&timer, loop, stop, loop);
	loop_timer_set(&timer, loop_now_ns(loop) + ns);
	loop_run(loop);
}

/* The sum of an ICMPv6 message, so that more than sums is looked at. */
static void
put_sum_right(uint8_t *packet, size_t n)
{
	struct cursor c = cursor(packet, n);
	struct ip6_chain chain;
	struct ip6 ip;
	uint8_t *at;

	if (ip6_parse(&ip, &c) != REASON_NONE ||
	    ip6_chain_parse(&chain, &c, &ip) != REASON_NONE ||
	    chain.protocol != IP_ICMP6 || cur_left(&c) < 4)
		return;
	at = packet + (c.at - packet);
	put_be16(at + 2, 0);
	put_be16(at + 2,
	    csum_finish(csum_add_bytes(csum_pseudo6(&ip.src, &ip.dst, IP_ICMP6,
					   (uint32_t)cur_left(&c)),
		at, cur_left(&c))));
}

static void
hear(struct port *port, uint8_t how, struct cursor *c)
{
	uint8_t bytes[ETH_HEADER_BYTES + 1500];
	struct writer w = writer(bytes, sizeof(bytes));
	struct eth eth = {
		.dst = gw_mac, .src = { { 2, 9, 9, 9, 9, 9 } }, .type = ETH_IPV6
	};
	size_t n = cur_be16(c) % 1501;
	const uint8_t *packet;
	struct burst burst;

	if (n > cur_left(c))
		n = cur_left(c);
	packet = cur_bytes(c, n);
	if (packet == NULL || n < IP6_HEADER_BYTES)
		return;
	if (packet[IP6_OFF_DST] == 0xff) {
		struct ip6_addr group;

		memcpy(group.b, packet + IP6_OFF_DST, sizeof(group.b));
		eth.dst = nd_group_mac(&group);
	}
	eth_write(&w, &eth);
	wr_bytes(&w, packet, n);
	put_be16(bytes + ETH_HEADER_BYTES + IP6_OFF_PAYLOAD,
	    (uint16_t)(n - IP6_HEADER_BYTES));
	if (how & 1)
		put_sum_right(bytes + ETH_HEADER_BYTES, n);
	burst_clear(&burst);
	burst_add(&burst, bytes, ETH_HEADER_BYTES + n);
	port_send(port, &burst);
	assert(burst.frame[0].verdict.reason != REASON_NONE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct router_ra_options ra = { .interval_s = 4 };
	struct router_port_options o = {
		.mac = gw_mac, .address6 = { gw_net }, .naddresses6 = 1
	};
	struct loop *loop = loop_new(LOOP_VIRTUAL, NULL);
	struct router *router = router_new(loop, "gw", 1, NULL);
	struct port peer, *port;
	struct cursor c = cursor(data, size);

	node_init(&node, "link");
	port_init(&peer, &ops, &node, "link.gw");
	port = router_add_port(router, "gw.lan", &o, NULL);
	assert(port != NULL);
	gw = port;
	assert(router_set_ra(router, port, &ra, NULL) == 0);
	cable_join(&peer, port);
	while (cur_left(&c) > 0) {
		uint8_t how = cur_u8(&c);

		pass_time(loop, (uint64_t)(how >> 1 & 31) * NS_PER_S / 8 + 1);
		if (how & 0x40) {
			port_set_down(&peer, true);
			port_set_down(&peer, false);
		}
		hear(&peer, how, &c);
	}
	router_stop(router);
	router_free(router);
	loop_free(loop);
	return 0;
}
