/*
 * What a meter is sent: questions for its addresses, answers to its own, and
 * the frames of streams.
 *
 * A frame is copied before it is read, to the meter's own scratch.  An answer
 * may come back here before port_send() returns: nothing of the scratch is read
 * after it.
 *
 * Questions are answered with the tags they came with.
 */
#include "switch/meter_state.h"

#include "net/arp.h"
#include "net/checksum.h"
#include "net/ip4.h"
#include "net/nd.h"
#include "net/udp.h"

#define ANSWER_BYTES 128

/* ---- frames out ---- */

static struct writer
begin(struct meter *m, uint8_t *out, const struct mac *dst,
    const struct eth *like, uint16_t type)
{
	struct writer w = writer(out, ANSWER_BYTES);
	struct eth eth = *like;

	eth.dst = *dst;
	eth.src = m->address.mac;
	eth.type = type;
	eth_write(&w, &eth);
	return w;
}

static void
end(struct meter *m, struct writer *w, uint8_t *out,
    const struct verdict *cause)
{
	struct burst burst;

	if (w->at < out + ETH_MIN_BYTES)
		wr_zeros(w, (size_t)(out + ETH_MIN_BYTES - w->at));
	burst_clear(&burst);
	burst_add(&burst, out, (size_t)(w->at - out))->cause = cause;
	port_send(&m->port, &burst);
}

static struct eth
tagged(uint16_t vlan)
{
	return (struct eth){
		.nvlans = vlan != 0,
		.vlan = { { ETH_VLAN, vlan } },
	};
}

static void
send_arp(struct meter *m, const struct arp *arp, const struct eth *like,
    const struct verdict *cause)
{
	uint8_t out[ANSWER_BYTES];
	struct writer w = begin(m, out,
	    arp->op == ARP_REPLY ? &arp->target_mac : &mac_broadcast, like,
	    ETH_ARP);

	arp_write(&w, arp);
	end(m, &w, out, cause);
}

static void
send_nd(struct meter *m, const struct nd_message *nd, const struct mac *to,
    const struct ip6_addr *dst, const struct eth *like,
    const struct verdict *cause)
{
	uint8_t out[ANSWER_BYTES];
	struct writer w = begin(m, out, to, like, ETH_IPV6);

	nd_message_write(&w, nd, &m->address.ip6, dst);
	end(m, &w, out, cause);
}

void
meter_ask(struct meter *m)
{
	struct eth like = tagged(m->options.vlan);

	if (m->shape.pattern == TEST_UDP4) {
		struct arp arp = {
			.op = ARP_REQUEST,
			.sender_mac = m->address.mac,
			.sender_ip = m->address.ip4.addr,
			.target_ip = m->hop4,
		};

		send_arp(m, &arp, &like, NULL);
	} else {
		struct ip6_addr group = nd_group(&m->hop6);
		struct mac to = nd_group_mac(&group);
		struct nd_message nd = {
			.type = ND_SOLICIT,
			.target = m->hop6,
			.mac = m->address.mac,
		};

		send_nd(m, &nd, &to, &group, &like, NULL);
	}
}

void
meter_teach(struct meter *m, uint16_t vlan)
{
	uint8_t out[ANSWER_BYTES];
	struct eth like = tagged(vlan);
	struct writer w = begin(m, out, &mac_broadcast, &like, ETH_LOCAL);

	end(m, &w, out, NULL);
}

/* ---- neighbours ---- */

static enum reason
receive_arp(struct meter *m, struct frame *frame, const struct eth *eth,
    struct cursor *c)
{
	uint32_t own = m->address.ip4.addr;
	struct arp arp, answer;
	enum reason reason = arp_parse(&arp, c);

	if (reason != DROP_NONE)
		return reason;
	if (own == 0 || arp.target_ip != own)
		return DROP_NOT_OURS;
	if (mac_is_group(&arp.sender_mac) || arp.sender_ip == own)
		return DROP_MARTIAN;
	if (m->shape.pattern == TEST_UDP4 && arp.sender_ip == m->hop4)
		meter_hop_known(m, &arp.sender_mac);
	if (arp.op != ARP_REQUEST)
		return REASON_DELIVERED;
	answer = (struct arp){
		.op = ARP_REPLY,
		.sender_mac = m->address.mac,
		.sender_ip = own,
		.target_mac = arp.sender_mac,
		.target_ip = arp.sender_ip,
	};
	node_judge(m->port.node, frame, REASON_DELIVERED);
	send_arp(m, &answer, eth, &frame->verdict);
	return REASON_NONE;
}

static enum reason
receive_nd(struct meter *m, struct frame *frame, const struct eth *eth,
    const struct ip6 *ip, struct cursor *c)
{
	struct mac to = eth->src;
	struct nd_message nd, answer;
	enum reason reason = nd_message_parse(&nd, c, ip);

	if (reason != DROP_NONE)
		return reason;
	if (nd.type == ND_ADVERTISE) {
		if (m->shape.pattern == TEST_UDP6 &&
		    ip6_equal(&nd.target, &m->hop6) && !mac_is_group(&nd.mac) &&
		    !mac_is_zero(&nd.mac))
			meter_hop_known(m, &nd.mac);
		return REASON_DELIVERED;
	}
	if (ip6_is_zero(&m->address.ip6) ||
	    !ip6_equal(&nd.target, &m->address.ip6))
		return DROP_NOT_OURS;
	/* Who only wants to know whether the address is free hears it too, but
	 * has none: all nodes are told (RFC 4861 7.2.4). */
	answer = (struct nd_message){
		.type = ND_ADVERTISE,
		.flags = ND_OVERRIDE,
		.target = m->address.ip6,
		.mac = m->address.mac,
	};
	node_judge(m->port.node, frame, REASON_DELIVERED);
	if (ip6_is_zero(&ip->src)) {
		static const struct ip6_addr all = { { 0xff, 2, [15] = 1 } };
		struct mac group = nd_group_mac(&all);

		send_nd(m, &answer, &group, &all, eth, &frame->verdict);
	} else {
		struct ip6_addr asker = ip->src;

		answer.flags |= ND_SOLICITED;
		send_nd(m, &answer, &to, &asker, eth, &frame->verdict);
	}
	return REASON_NONE;
}

/* ---- streams ---- */

/* The payload of a frame of a stream, or of anything; reason is what would
 * become of it otherwise. */
static enum reason
receive_mark(struct meter *m, const uint8_t *payload, size_t len,
    uint32_t frame_bytes, enum reason reason)
{
	struct meter *from = m->fed_by;
	struct test_mark mark;
	enum test_found found = test_mark_read(&mark, payload, len, &m->fill);
	uint64_t now;

	if (found == TEST_NONE)
		return reason != DROP_NONE ? reason : DROP_NO_LISTENER;
	if (from == NULL || mark.stream != m->stream)
		return reason != DROP_NONE ? reason : REASON_DELIVERED;
	if (found == TEST_CORRUPT || reason != DROP_NONE) {
		m->tally.corrupt++;
		return DROP_L4_CHECKSUM;
	}
	if (mark.number == TEST_WARM_UP) {
		m->warm = true;
		meter_heard(from);
		return REASON_DELIVERED;
	}
	now = loop_now_ns(m->loop);
	tally_add(&m->tally, mark.number, from->sent,
	    (now - mark.sent_ns) & TEST_TIME_MASK, now, frame_bytes);
	if (from->phase == METER_DRAINING && m->tally.received == from->sent)
		meter_heard(from);
	return REASON_DELIVERED;
}

static enum reason
receive_ip4(struct meter *m, uint32_t bytes, struct cursor *c)
{
	struct ip4 ip;
	struct udp udp;
	enum reason reason = ip4_parse(&ip, c);
	const uint8_t *payload;
	size_t len;

	if (reason != DROP_NONE)
		return reason;
	if (ip.dst != m->address.ip4.addr || ip.dst == 0)
		return DROP_NOT_OURS;
	if (ip4_is_fragment(&ip))
		return DROP_FRAGMENT;
	if (ip.protocol != IP_UDP)
		return DROP_PROTOCOL;
	if (cur_left(c) < UDP_HEADER_BYTES)
		return DROP_SHORT;
	payload = c->at + UDP_HEADER_BYTES;
	len = cur_left(c) - UDP_HEADER_BYTES;
	reason = udp_parse(&udp, c, &ip, false);
	return receive_mark(m, payload, len, bytes, reason);
}

static enum reason
receive_ip6(struct meter *m, struct frame *frame, const struct eth *eth,
    struct cursor *c)
{
	struct ip6 ip;
	enum reason reason = ip6_parse(&ip, c);
	uint32_t len = (uint32_t)cur_left(c);
	uint32_t sum;

	if (reason != DROP_NONE)
		return reason;
	if (ip.next == IP_ICMP6)
		return receive_nd(m, frame, eth, &ip, c);
	if (!ip6_equal(&ip.dst, &m->address.ip6) || ip6_is_zero(&ip.dst))
		return DROP_NOT_OURS;
	if (ip.next != IP_UDP)
		return DROP_PROTOCOL;
	if (len < UDP_HEADER_BYTES)
		return DROP_SHORT;
	sum = csum_pseudo6(&ip.src, &ip.dst, IP_UDP, len);
	if (csum_finish(csum_add_bytes(sum, c->at, len)) != 0)
		reason = DROP_L4_CHECKSUM;
	return receive_mark(m, c->at + UDP_HEADER_BYTES, len - UDP_HEADER_BYTES,
	    frame->len, reason);
}

/* What becomes of it; REASON_NONE: it is judged. */
static enum reason
receive(struct meter *m, struct frame *frame)
{
	struct cursor c = cursor(m->scratch, frame->len);
	struct eth eth;
	enum reason reason = eth_parse(&eth, &c);

	if (reason != DROP_NONE)
		return reason;
	if (!mac_equal(&eth.dst, &m->address.mac) && !mac_is_group(&eth.dst))
		return DROP_NOT_OURS;
	switch (eth.type) {
	case ETH_ARP: return receive_arp(m, frame, &eth, &c);
	case ETH_IPV4: return receive_ip4(m, frame->len, &c);
	case ETH_IPV6: return receive_ip6(m, frame, &eth, &c);
	case ETH_LOCAL:
		return receive_mark(
		    m, c.at, cur_left(&c), frame->len, DROP_NONE);
	default: return DROP_ETH_TYPE;
	}
}

void
meter_take(struct port *port, struct burst *burst)
{
	struct meter *m = (struct meter *)port;

	/* Once for a burst: a round of the loop may be long. */
	if (m->fed_by != NULL)
		loop_update_now(m->loop);
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];
		enum reason reason = DROP_TOO_LONG;

		if (frame->len <= sizeof(m->scratch)) {
			frame_copy(m->scratch, frame, 0, frame->len);
			reason = receive(m, frame);
		}
		if (reason != REASON_NONE)
			node_judge(port->node, frame, reason);
	}
}
