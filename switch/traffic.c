/*
 * A host of one address, as small as a sender and answerer can be.
 *
 * Every frame is copied to the stack before it is read, and every answer is
 * made and sent from the stack: an answer to what this host sends may arrive
 * before its own port_send() returns.
 *
 * Its stream has one next hop, and that is the only neighbour it resolves.
 * Answers go to the station that asked: a router that asked is the way back.
 * While the next hop is being resolved the latest frame waits (RFC 1122,
 * 2.3.2.2), and the one it pushes out is counted as DROP_ARP_QUEUE; frames that
 * never found their hop as DROP_ARP_FAILED.  Both were never sent by the port.
 *
 * It takes every UDP datagram, as the discard service would, and reassembles
 * no fragments.
 */
#include "switch/traffic.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "net/arp.h"
#include "net/eth.h"
#include "net/icmp.h"
#include "net/ip4.h"
#include "net/udp.h"

#define FRAME_BYTES_MAX (ETH_HEADER_BYTES + ETH_MTU)
#define FRAME_BYTES     98 /* as ping(8) sends */
#define DISCARD_PORT    9
#define TTL             64
#define TICK_FRAMES     16 /* of the stream, in one go */
#define WINDOW          64 /* echo requests that may be answered yet */

#define ARP_TRIES    3
#define ARP_RETRY_NS NS_PER_S
#define ARP_AGE_NS   (60 * NS_PER_S)

static_assert(ICMP_HEADER_BYTES == UDP_HEADER_BYTES, "payload is one length");

/* The next hop of the stream (RFC 1122, 2.3.2).
 *
 *    FREE --frame--> ASKING --reply--> KNOWN --age--> CHECKING
 *     ^                | 3 tries         ^--- reply ---'  | 3 tries
 *     '----------------'----------------------------------'
 */
enum hop_state { HOP_FREE, HOP_ASKING, HOP_KNOWN, HOP_CHECKING, HOP_NSTATES };

struct traffic {
	struct node node;
	struct port port;
	struct loop *loop;
	struct traffic_options options; /* none of the 0s that stand for more */
	struct traffic_stats stats;
	struct loop_timer tick;
	uint64_t seq;     /* of the next frame of the stream */
	uint64_t next_ns; /* when it is due */
	uint16_t ip_id, icmp_id;
	/* the next hop */
	enum hop_state state;
	uint32_t hop_ip;
	struct mac hop_mac;
	uint64_t confirmed_ns;
	unsigned int tries;
	struct loop_timer retry;
	bool holds; /* a frame waits for the hop */
	uint64_t held_seq;
	/* echo requests under way: bit and time by seq modulo WINDOW */
	uint64_t open;
	uint64_t sent_ns[WINDOW];
};

static uint64_t
mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* ---- frames out ---- */

static struct writer
begin_frame(
    struct traffic *t, uint8_t *out, const struct mac *dst, uint16_t type)
{
	struct writer w = writer(out, FRAME_BYTES_MAX);
	struct eth eth = { .dst = *dst, .src = t->options.mac, .type = type };

	eth_write(&w, &eth);
	return w;
}

/* Pads and sends what was written to out. */
static void
end_frame(struct traffic *t, struct writer *w, uint8_t *out,
    const struct verdict *cause)
{
	struct burst burst;

	if (w->at < out + ETH_MIN_BYTES)
		wr_zeros(w, (size_t)(out + ETH_MIN_BYTES - w->at));
	assert(!w->overrun);
	burst_clear(&burst);
	burst_add(&burst, out, (size_t)(w->at - out))->cause = cause;
	port_send(&t->port, &burst);
}

static void
send_arp(struct traffic *t, const struct mac *dst, const struct arp *arp,
    const struct verdict *cause)
{
	uint8_t out[FRAME_BYTES_MAX];
	struct writer w = begin_frame(t, out, dst, ETH_ARP);

	arp_write(&w, arp);
	end_frame(t, &w, out, cause);
}

static void
write_ip(struct traffic *t, struct writer *w, uint32_t dst, uint8_t protocol,
    size_t payload_bytes)
{
	struct ip4 ip = {
		.total_bytes = (uint16_t)(IP4_HEADER_BYTES + payload_bytes),
		.id = t->ip_id++,
		.ttl = TTL,
		.protocol = protocol,
		.src = t->options.address.addr,
		.dst = dst,
	};

	ip4_write(w, &ip);
}

/* Frame seq of the stream. */
static void
send_stream(struct traffic *t, uint64_t seq)
{
	const struct traffic_options *o = &t->options;
	size_t bytes = o->frame_bytes - ETH_HEADER_BYTES - IP4_HEADER_BYTES -
	    UDP_HEADER_BYTES;
	uint8_t out[FRAME_BYTES_MAX], payload[ETH_MTU];
	struct writer w = begin_frame(t, out, &t->hop_mac, ETH_IPV4);
	uint64_t random = mix(o->seed ^ mix(seq));

	for (size_t i = 0; i < bytes; i++) {
		payload[i] = (uint8_t)(random >> 8 * (i % 8));
		if (i % 8 == 7)
			random = mix(random);
	}
	switch (o->kind) {
	case TRAFFIC_UDP: {
		struct udp udp = { .sport = o->sport, .dport = o->dport };

		udp.data = payload;
		udp.data_bytes = bytes;
		write_ip(t, &w, o->to, IP_UDP, UDP_HEADER_BYTES + bytes);
		udp_write(&w, &udp, o->address.addr, o->to);
		break;
	}
	case TRAFFIC_PING: {
		struct icmp icmp = { .type = ICMP_ECHO_REQUEST };

		icmp.echo.id = t->icmp_id;
		icmp.echo.seq = (uint16_t)seq;
		icmp.data = payload;
		icmp.data_bytes = bytes;
		write_ip(t, &w, o->to, IP_ICMP, ICMP_HEADER_BYTES + bytes);
		icmp_write(&w, &icmp);
		t->open |= UINT64_C(1) << seq % WINDOW;
		t->sent_ns[seq % WINDOW] = loop_now_ns(t->loop);
		break;
	}
	}
	t->stats.sent++;
	end_frame(t, &w, out, NULL);
}

/* ---- the next hop ---- */

static void
drop_held(struct traffic *t)
{
	loop_timer_unset(&t->retry);
	if (t->holds)
		t->node.count[DROP_ARP_FAILED]++;
	t->holds = false;
}

/* Asks, and will ask again.  The answer may come before this returns. */
static void
ask(struct traffic *t)
{
	struct arp arp = {
		.op = ARP_REQUEST,
		.sender_mac = t->options.mac,
		.sender_ip = t->options.address.addr,
		.target_ip = t->hop_ip,
	};

	t->tries++;
	loop_timer_set(&t->retry, loop_now_ns(t->loop) + ARP_RETRY_NS);
	send_arp(t, t->state == HOP_CHECKING ? &t->hop_mac : &mac_broadcast,
	    &arp, NULL);
}

static void
ask_first(struct traffic *t)
{
	t->tries = 0;
	ask(t);
}

static void
send_held(struct traffic *t)
{
	loop_timer_unset(&t->retry);
	t->confirmed_ns = loop_now_ns(t->loop);
	if (!t->holds)
		return;
	t->holds = false;
	send_stream(t, t->held_seq);
}

#define TO(state) (1u << HOP_##state)

static const struct {
	unsigned int next; /* states we may leave for */
	void (*enter)(struct traffic *t);
} hop_fsm[] = {
	[HOP_FREE] = { TO(ASKING), drop_held },
	[HOP_ASKING] = { TO(FREE) | TO(KNOWN), ask_first },
	[HOP_KNOWN] = { TO(CHECKING), send_held },
	[HOP_CHECKING] = { TO(FREE) | TO(KNOWN), ask_first },
};
static_assert(
    sizeof(hop_fsm) / sizeof(hop_fsm[0]) == HOP_NSTATES, "a state has no row");

static void
hop_set(struct traffic *t, enum hop_state to)
{
	assert(hop_fsm[t->state].next & 1u << to);
	t->state = to;
	hop_fsm[to].enter(t);
}

static void
ask_again(void *arg)
{
	struct traffic *t = arg;

	if (t->tries < ARP_TRIES)
		ask(t);
	else
		hop_set(t, HOP_FREE);
}

/* The hop was heard of. */
static void
hop_seen(struct traffic *t, const struct mac *mac)
{
	switch (t->state) {
	case HOP_FREE: return;
	case HOP_KNOWN:
		t->hop_mac = *mac;
		t->confirmed_ns = loop_now_ns(t->loop);
		return;
	case HOP_ASKING:
	case HOP_CHECKING:
		t->hop_mac = *mac;
		hop_set(t, HOP_KNOWN);
		return;
	case HOP_NSTATES: break;
	}
}

/* ---- the stream ---- */

static void
hold(struct traffic *t, uint64_t seq)
{
	if (t->holds)
		t->node.count[DROP_ARP_QUEUE]++;
	t->holds = true;
	t->held_seq = seq;
}

static void
emit(struct traffic *t, uint64_t seq)
{
	switch (t->state) {
	case HOP_FREE:
		hold(t, seq);
		hop_set(t, HOP_ASKING);
		return;
	case HOP_ASKING: hold(t, seq); return;
	case HOP_KNOWN:
		if (loop_now_ns(t->loop) - t->confirmed_ns > ARP_AGE_NS)
			hop_set(t, HOP_CHECKING);
		send_stream(t, seq);
		return;
	case HOP_CHECKING: send_stream(t, seq); return;
	case HOP_NSTATES: break;
	}
}

static bool
has_more(const struct traffic *t)
{
	return t->options.count == 0 || t->seq < t->options.count;
}

/* Sends what is due; a loop that is late catches up a few at a time. */
static void
tick(void *arg)
{
	struct traffic *t = arg;

	for (unsigned int i = 0; i < TICK_FRAMES && has_more(t) &&
	     t->next_ns <= loop_now_ns(t->loop);
	     i++) {
		t->next_ns += t->options.interval_ns;
		emit(t, t->seq++);
	}
	if (has_more(t))
		loop_timer_set(&t->tick, t->next_ns);
}

/* ---- frames in ---- */

/* One frame being received: its copy, and what was read of it so far. */
struct received {
	struct frame *frame;
	struct eth eth;
	struct ip4 ip;
	struct cursor c;
	uint8_t bytes[FRAME_BYTES_MAX];
};

static void
judge(struct traffic *t, struct received *r, enum reason reason)
{
	node_judge(&t->node, r->frame, reason);
}

static void
receive_arp(struct traffic *t, struct received *r)
{
	uint32_t own = t->options.address.addr;
	struct arp arp, answer;
	enum reason reason = arp_parse(&arp, &r->c);

	if (reason == DROP_NONE && arp.target_ip != own)
		reason = DROP_NOT_OURS;
	if (reason == DROP_NONE &&
	    (mac_is_group(&arp.sender_mac) || arp.sender_ip == own))
		reason = DROP_MARTIAN;
	if (reason != DROP_NONE) {
		judge(t, r, reason);
		return;
	}
	judge(t, r, REASON_DELIVERED);
	if (arp.sender_ip == t->hop_ip && t->hop_ip != 0)
		hop_seen(t, &arp.sender_mac);
	if (arp.op != ARP_REQUEST)
		return;
	answer = (struct arp){
		.op = ARP_REPLY,
		.sender_mac = t->options.mac,
		.sender_ip = own,
		.target_mac = arp.sender_mac,
		.target_ip = arp.sender_ip,
	};
	t->stats.answered++;
	send_arp(t, &arp.sender_mac, &answer, &r->frame->verdict);
}

static void
answer_echo(struct traffic *t, struct received *r, const struct icmp *request)
{
	uint8_t out[FRAME_BYTES_MAX];
	struct writer w = begin_frame(t, out, &r->eth.src, ETH_IPV4);
	struct icmp icmp = *request;

	icmp.type = ICMP_ECHO_REPLY;
	write_ip(
	    t, &w, r->ip.src, IP_ICMP, ICMP_HEADER_BYTES + icmp.data_bytes);
	icmp_write(&w, &icmp);
	t->stats.answered++;
	end_frame(t, &w, out, &r->frame->verdict);
}

/* An answer to one of the last WINDOW requests counts, once. */
static void
count_reply(struct traffic *t, uint16_t seq16)
{
	struct traffic_stats *s = &t->stats;
	uint64_t last = t->seq - 1, bit, rtt;
	uint16_t behind = (uint16_t)((uint16_t)last - seq16);
	unsigned int slot = (unsigned int)((last - behind) % WINDOW);

	bit = UINT64_C(1) << slot;
	if (behind >= WINDOW || !(t->open & bit))
		return;
	t->open &= ~bit;
	rtt = loop_now_ns(t->loop) - t->sent_ns[slot];
	if (s->received == 0 || rtt < s->rtt_min_ns)
		s->rtt_min_ns = rtt;
	if (rtt > s->rtt_max_ns)
		s->rtt_max_ns = rtt;
	s->rtt_sum_ns += rtt;
	s->received++;
}

static void
receive_icmp(struct traffic *t, struct received *r)
{
	const struct traffic_options *o = &t->options;
	struct icmp icmp;
	enum reason reason = icmp_parse(&icmp, &r->c);

	if (reason != DROP_NONE) {
		judge(t, r, reason);
		return;
	}
	judge(t, r, REASON_DELIVERED);
	if (icmp.type == ICMP_ECHO_REQUEST && icmp.code == 0 &&
	    r->ip.dst == o->address.addr)
		answer_echo(t, r, &icmp);
	else if (icmp.type == ICMP_ECHO_REPLY && o->kind == TRAFFIC_PING &&
	    r->ip.src == o->to && icmp.echo.id == t->icmp_id)
		count_reply(t, icmp.echo.seq);
}

static void
receive_udp(struct traffic *t, struct received *r)
{
	const struct traffic_options *o = &t->options;
	struct udp udp;
	enum reason reason = udp_parse(
	    &udp, &r->c, &r->ip, (r->frame->flags & FRAME_VALID) != 0);

	if (reason != DROP_NONE) {
		judge(t, r, reason);
		return;
	}
	judge(t, r, REASON_DELIVERED);
	if (o->to != 0 && o->kind == TRAFFIC_UDP && r->ip.src == o->to &&
	    udp.sport == o->dport && udp.dport == o->sport)
		t->stats.received++;
}

/* No host sends from there (RFC 1122, 3.2.1.3). */
static bool
is_martian(uint32_t src)
{
	return src == 0 || src == IP4_BROADCAST || ip4_is_multicast(src) ||
	    ip4_is_loopback(src);
}

static bool
is_for_us(const struct traffic *t, uint32_t dst)
{
	return dst == t->options.address.addr || dst == IP4_BROADCAST ||
	    (dst == ip4_net_broadcast(t->options.address) && dst != 0);
}

static void
receive_ip(struct traffic *t, struct received *r)
{
	enum reason reason = ip4_parse(&r->ip, &r->c);

	if (reason == DROP_NONE && is_martian(r->ip.src))
		reason = DROP_MARTIAN;
	if (reason == DROP_NONE && !is_for_us(t, r->ip.dst))
		reason = DROP_NOT_OURS;
	if (reason == DROP_NONE && ip4_is_fragment(&r->ip))
		reason = DROP_FRAGMENT;
	if (reason != DROP_NONE) {
		judge(t, r, reason);
		return;
	}
	switch (r->ip.protocol) {
	case IP_ICMP: receive_icmp(t, r); return;
	case IP_UDP: receive_udp(t, r); return;
	case IP_TCP: judge(t, r, DROP_NO_LISTENER); return;
	default: judge(t, r, DROP_PROTOCOL); return;
	}
}

static void
receive(struct traffic *t, struct frame *frame)
{
	struct received r;
	enum reason reason;

	r.frame = frame;
	if (frame->len > sizeof(r.bytes)) {
		judge(t, &r, DROP_TOO_LONG);
		return;
	}
	frame_copy(r.bytes, frame, 0, frame->len);
	r.c = cursor(r.bytes, frame->len);
	reason = eth_parse(&r.eth, &r.c);
	if (reason == DROP_NONE && !mac_equal(&r.eth.dst, &t->options.mac) &&
	    !mac_is_broadcast(&r.eth.dst))
		reason = DROP_NOT_OURS;
	if (reason == DROP_NONE && r.eth.nvlans > 0)
		reason = DROP_ETH_TYPE;
	if (reason != DROP_NONE)
		judge(t, &r, reason);
	else if (r.eth.type == ETH_ARP)
		receive_arp(t, &r);
	else if (r.eth.type == ETH_IPV4)
		receive_ip(t, &r);
	else
		judge(t, &r, DROP_ETH_TYPE);
}

static void
take(struct port *port, struct burst *burst)
{
	struct traffic *t = (struct traffic *)(void *)((char *)port -
	    offsetof(struct traffic, port));

	for (unsigned int i = 0; i < burst->n; i++)
		receive(t, &burst->frame[i]);
}

static const struct port_ops traffic_ops = { .take = take };

/* ---- the host ---- */

static bool
is_host(uint32_t addr)
{
	return addr != 0 && addr != IP4_BROADCAST && !ip4_is_multicast(addr);
}

static int
check_sending(
    const char *name, const struct traffic_options *o, struct err *err)
{
	char a[IP4_TEXT_BYTES], b[NET_TEXT_BYTES];

	if (!is_host(o->to) || o->to == o->address.addr)
		return err_set(err, -EINVAL,
		    "%s: %s is no other host to send to; "
		    "use the address of one",
		    name, ip4_text(a, o->to));
	if (o->gateway != 0 && !ip4_net_has(o->address, o->gateway))
		return err_set(err, -EINVAL,
		    "%s: the gateway %s is not in %s; use one that is", name,
		    ip4_text(a, o->gateway), ip4_net_text(b, o->address));
	if (o->frame_bytes < ETH_MIN_BYTES || o->frame_bytes > FRAME_BYTES_MAX)
		return err_set(err, -EINVAL,
		    "%s: frames of %u bytes are not possible; use %d to %d",
		    name, o->frame_bytes, ETH_MIN_BYTES, FRAME_BYTES_MAX);
	if (o->interval_ns < NS_PER_US || o->interval_ns > 86400 * NS_PER_S)
		return err_set(err, -EINVAL,
		    "%s: a frame each %llu ns is not possible; "
		    "use 1 us to a day",
		    name, (unsigned long long)o->interval_ns);
	return 0;
}

static int
check(const char *name, const struct traffic_options *o, struct err *err)
{
	char a[MAC_TEXT_BYTES], b[IP4_TEXT_BYTES];

	if (mac_is_group(&o->mac) || mac_is_zero(&o->mac))
		return err_set(err, -EINVAL,
		    "%s: %s is no station's address; use one that begins "
		    "with an even byte",
		    name, mac_text(a, &o->mac));
	if (!is_host(o->address.addr) || o->address.prefix > 32)
		return err_set(err, -EINVAL,
		    "%s: %s/%u is no host address; use one as 10.0.0.1/24",
		    name, ip4_text(b, o->address.addr), o->address.prefix);
	return o->to != 0 ? check_sending(name, o, err) : 0;
}

/* Sets what was left 0. */
static void
complete(struct traffic_options *o)
{
	if (o->frame_bytes == 0)
		o->frame_bytes = FRAME_BYTES;
	if (o->interval_ns == 0)
		o->interval_ns = NS_PER_S;
	if (o->dport == 0)
		o->dport = DISCARD_PORT;
	/* dynamic ports (RFC 6335, 6) */
	if (o->sport == 0)
		o->sport = (uint16_t)(0xc000 | mix(o->seed ^ 1));
}

struct traffic *
traffic_new(struct loop *loop, const char *name, const char *port_name,
    const struct traffic_options *options, struct err *err)
{
	struct traffic_options o = *options;
	struct traffic *t;

	complete(&o);
	if (check(name, &o, err) < 0)
		return NULL;
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	node_init(&t->node, name);
	port_init(&t->port, &traffic_ops, &t->node, port_name);
	t->port.accepts = 0; /* everything comes finished */
	t->port.mtu_bytes = FRAME_BYTES_MAX;
	t->loop = loop;
	t->options = o;
	t->ip_id = (uint16_t)mix(o.seed ^ 2);
	t->icmp_id = (uint16_t)mix(o.seed ^ 3);
	t->hop_ip =
	    o.gateway != 0 && !ip4_net_has(o.address, o.to) ? o.gateway : o.to;
	loop_timer_init(&t->tick, loop, tick, t);
	loop_timer_init(&t->retry, loop, ask_again, t);
	t->next_ns = o.start_ns;
	if (o.start_ns == 0)
		t->next_ns =
		    loop_now_ns(loop) + mix(o.seed ^ 4) % o.interval_ns;
	if (o.to != 0)
		loop_timer_set(&t->tick, t->next_ns);
	return t;
}

void
traffic_free(struct traffic *t)
{
	if (t == NULL)
		return;
	loop_timer_unset(&t->tick);
	loop_timer_unset(&t->retry);
	cable_cut(&t->port);
	free(t);
}

struct node *
traffic_node(struct traffic *t)
{
	return &t->node;
}

struct port *
traffic_port(struct traffic *t)
{
	return &t->port;
}

struct traffic_stats
traffic_stats(const struct traffic *t)
{
	struct traffic_stats stats = t->stats;

	stats.held = t->holds;
	return stats;
}
