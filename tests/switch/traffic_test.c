#include "switch/traffic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/arp.h"
#include "net/eth.h"
#include "net/icmp.h"
#include "net/ip4.h"
#include "net/udp.h"
#include "switch/switch.h"
#include "tests/switch/sink.h"

#define HOST UINT32_C(0x0a000002) /* 10.0.0.2/24 */
#define PEER UINT32_C(0x0a000063)
#define GATE UINT32_C(0x0a000001)
#define FAR  UINT32_C(0xcb00710a) /* 203.0.113.10 */

static const struct mac host_mac = { { 2, 0, 0, 0, 0, 2 } };
static const struct mac peer_mac = { { 2, 0, 0, 0, 0, 0x63 } };

/* A host, and a sink that plays the rest of the world. */
struct world {
	struct loop *loop;
	struct traffic *host;
	struct sink *sink;
	bool answers_arp;
};

static struct traffic_options
plain_options(void)
{
	return (struct traffic_options){
		.mac = host_mac,
		.address = { HOST, 24 },
		.seed = 7,
	};
}

static int
set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct err err = { "" };

	world->loop = loop_new(LOOP_VIRTUAL, &err);
	world->sink = sink_new("peer.eth0");
	world->sink->arg = world;
	*state = world;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *world = *state;

	traffic_free(world->host);
	sink_free(world->sink);
	loop_free(world->loop);
	free(world);
	return 0;
}

static void
start(struct world *world, const struct traffic_options *options)
{
	struct err err = { "" };

	world->host =
	    traffic_new(world->loop, "host", "host.eth0", options, &err);
	assert_string_equal(err.text, "");
	assert_non_null(world->host);
	cable_join(traffic_port(world->host), &world->sink->port);
}

static struct verdict
send_bytes(struct world *world, const uint8_t *bytes, size_t len)
{
	struct burst burst;

	burst_clear(&burst);
	burst_add(&burst, bytes, len);
	port_send(&world->sink->port, &burst);
	return burst.frame[0].verdict;
}

static struct writer
begin(uint8_t *out, const struct mac *dst, uint16_t type)
{
	struct writer w = writer(out, 1514);
	struct eth eth = { .dst = *dst, .src = peer_mac, .type = type };

	eth_write(&w, &eth);
	return w;
}

static struct verdict
send_arp(struct world *world, uint16_t op, uint32_t sender, uint32_t target)
{
	uint8_t out[1514];
	struct writer w =
	    begin(out, op == ARP_REQUEST ? &mac_broadcast : &host_mac, ETH_ARP);
	struct arp arp = {
		.op = op,
		.sender_mac = peer_mac,
		.sender_ip = sender,
		.target_ip = target,
	};

	arp_write(&w, &arp);
	return send_bytes(world, out, (size_t)(w.at - out));
}

/* An IPv4 packet to the host; payload is written behind the header. */
static struct verdict
send_ip(struct world *world, struct ip4 ip, const void *payload, size_t n)
{
	uint8_t out[1514];
	struct writer w = begin(out, &host_mac, ETH_IPV4);

	ip.total_bytes = (uint16_t)(IP4_HEADER_BYTES + n);
	ip.ttl = 64;
	ip4_write(&w, &ip);
	wr_bytes(&w, payload, n);
	return send_bytes(world, out, (size_t)(w.at - out));
}

static struct verdict
send_echo(struct world *world, uint8_t type, uint32_t src, uint32_t dst,
    uint16_t id, uint16_t seq)
{
	uint8_t message[1480];
	struct writer w = writer(message, sizeof(message));
	struct icmp icmp = { .type = type };
	struct ip4 ip = { .protocol = IP_ICMP, .src = src, .dst = dst };

	icmp.echo.id = id;
	icmp.echo.seq = seq;
	icmp.data = (const uint8_t *)"thirteen byte";
	icmp.data_bytes = 13;
	icmp_write(&w, &icmp);
	return send_ip(world, ip, message, (size_t)(w.at - message));
}

/* Reads frame n that the sink took. */
static void
read_frame(const struct world *world, unsigned int n, struct eth *eth,
    struct cursor *c)
{
	assert_true(n < world->sink->n && n < SINK_FRAMES);
	*c = cursor(world->sink->frame[n].data, world->sink->frame[n].len);
	assert_int_equal(eth_parse(eth, c), DROP_NONE);
	assert_memory_equal(&eth->src, &host_mac, 6);
}

static void
read_arp(const struct world *world, unsigned int n, struct arp *arp)
{
	struct cursor c;
	struct eth eth;

	read_frame(world, n, &eth, &c);
	assert_int_equal(eth.type, ETH_ARP);
	assert_int_equal(arp_parse(arp, &c), DROP_NONE);
	assert_memory_equal(&arp->sender_mac, &host_mac, 6);
	assert_int_equal(arp->sender_ip, HOST);
}

static void
read_icmp(const struct world *world, unsigned int n, struct ip4 *ip,
    struct icmp *icmp)
{
	struct cursor c;
	struct eth eth;

	read_frame(world, n, &eth, &c);
	assert_memory_equal(&eth.dst, &peer_mac, 6);
	assert_int_equal(eth.type, ETH_IPV4);
	assert_int_equal(ip4_parse(ip, &c), DROP_NONE);
	assert_int_equal(ip->protocol, IP_ICMP);
	assert_int_equal(icmp_parse(icmp, &c), DROP_NONE);
}

/* Answers the host's ARP requests for anything at once. */
static void
answer_arp(struct sink *sink, struct burst *burst)
{
	struct world *world = sink->arg;

	for (unsigned int i = 0; i < burst->n; i++) {
		uint8_t bytes[60];
		struct cursor c;
		struct eth eth;
		struct arp arp;

		frame_copy(bytes, &burst->frame[i], 0, 42);
		c = cursor(bytes, 42);
		if (eth_parse(&eth, &c) == DROP_NONE && eth.type == ETH_ARP &&
		    arp_parse(&arp, &c) == DROP_NONE && arp.op == ARP_REQUEST &&
		    world->answers_arp)
			send_arp(world, ARP_REPLY, arp.target_ip, HOST);
	}
}

/* ---- answering ---- */

static void
arp_for_the_address_is_answered(void **state)
{
	struct traffic_options options = plain_options();
	struct world *world = *state;
	struct arp arp;

	start(world, &options);
	assert_int_equal(
	    send_arp(world, ARP_REQUEST, PEER, HOST).reason, REASON_DELIVERED);
	assert_int_equal(world->sink->n, 1);
	assert_true(world->sink->frame[0].len >= ETH_MIN_BYTES);
	read_arp(world, 0, &arp);
	assert_int_equal(arp.op, ARP_REPLY);
	assert_memory_equal(&arp.target_mac, &peer_mac, 6);
	assert_int_equal(arp.target_ip, PEER);
	assert_ptr_equal(
	    world->sink->frame[0].caused_by.node, traffic_node(world->host));
	assert_int_equal(traffic_stats(world->host).answered, 1);
}

static void
echo_request_is_answered_with_its_data(void **state)
{
	struct traffic_options options = plain_options();
	struct world *world = *state;
	struct ip4 ip;
	struct icmp icmp;

	start(world, &options);
	assert_int_equal(
	    send_echo(world, ICMP_ECHO_REQUEST, FAR, HOST, 77, 5).reason,
	    REASON_DELIVERED);
	read_icmp(world, 0, &ip, &icmp);
	assert_int_equal(ip.src, HOST);
	assert_int_equal(ip.dst, FAR);
	assert_int_equal(icmp.type, ICMP_ECHO_REPLY);
	assert_int_equal(icmp.echo.id, 77);
	assert_int_equal(icmp.echo.seq, 5);
	assert_int_equal(icmp.data_bytes, 13);
	assert_memory_equal(icmp.data, "thirteen byte", 13);
	assert_int_equal(traffic_stats(world->host).answered, 1);
}

static void
what_is_not_for_it_has_its_reason(void **state)
{
	static const uint8_t udp[8] = { 0, 1, 0, 9, 0, 8, 0, 0 };
	static const uint8_t bad_udp[8] = { 0, 1, 0, 9, 0, 9, 0, 0 };
	static const struct {
		struct ip4 ip;
		const uint8_t *payload;
		enum reason reason;
	} rows[] = {
		{ { .protocol = IP_UDP, .src = PEER, .dst = HOST }, udp,
		    REASON_DELIVERED },
		{ { .protocol = IP_UDP, .src = PEER, .dst = 0x0a0000ff }, udp,
		    REASON_DELIVERED },
		{ { .protocol = IP_UDP, .src = PEER, .dst = IP4_BROADCAST },
		    udp, REASON_DELIVERED },
		{ { .protocol = IP_UDP, .src = PEER, .dst = PEER }, udp,
		    DROP_NOT_OURS },
		{ { .protocol = IP_UDP, .src = PEER, .dst = 0xe0000001 }, udp,
		    DROP_NOT_OURS },
		{ { .protocol = IP_UDP, .src = 0xe0000001, .dst = HOST }, udp,
		    DROP_MARTIAN },
		{ { .protocol = IP_UDP, .src = 0x7f000001, .dst = HOST }, udp,
		    DROP_MARTIAN },
		{ { .protocol = IP_UDP, .src = 0, .dst = HOST }, udp,
		    DROP_MARTIAN },
		{ { .protocol = IP_UDP,
		      .src = PEER,
		      .dst = HOST,
		      .fragment = IP4_MF },
		    udp, DROP_FRAGMENT },
		{ { .protocol = IP_UDP, .src = PEER, .dst = HOST }, bad_udp,
		    DROP_L4_HEADER },
		{ { .protocol = IP_TCP, .src = PEER, .dst = HOST }, udp,
		    DROP_NO_LISTENER },
		{ { .protocol = 89, .src = PEER, .dst = HOST }, udp,
		    DROP_PROTOCOL },
		{ { .protocol = IP_ICMP, .src = PEER, .dst = HOST }, udp,
		    DROP_L4_CHECKSUM },
	};
	struct traffic_options options = plain_options();
	struct world *world = *state;
	uint8_t bytes[1600] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 9, 8, 6 };

	start(world, &options);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    send_ip(world, rows[i].ip, rows[i].payload, 8).reason,
		    rows[i].reason);
	assert_int_equal(
	    send_arp(world, ARP_REQUEST, PEER, GATE).reason, DROP_NOT_OURS);
	assert_int_equal(
	    send_arp(world, ARP_REQUEST, HOST, HOST).reason, DROP_MARTIAN);
	assert_int_equal(send_bytes(world, bytes, 5).reason, DROP_SHORT);
	assert_int_equal(send_bytes(world, bytes, 20).reason, DROP_SHORT);
	assert_int_equal(send_bytes(world, bytes, 1515).reason, DROP_TOO_LONG);
	bytes[13] = 7;
	assert_int_equal(send_bytes(world, bytes, 60).reason, DROP_ETH_TYPE);
	bytes[5] = 3;
	assert_int_equal(send_bytes(world, bytes, 60).reason, DROP_NOT_OURS);
	bytes[6] = 3;
	assert_int_equal(send_bytes(world, bytes, 60).reason, DROP_ETH_SOURCE);
	/* none of it was worth an answer, not even a broadcast ping */
	send_echo(world, ICMP_ECHO_REQUEST, PEER, IP4_BROADCAST, 1, 1);
	assert_int_equal(world->sink->n, 0);
}

/* ---- its stream ---- */

static void
ping_resolves_the_hop_and_measures(void **state)
{
	struct traffic_options options = plain_options();
	struct world *world = *state;
	struct traffic_stats stats;
	struct arp arp;
	struct ip4 ip;
	struct icmp icmp;

	options.kind = TRAFFIC_PING;
	options.to = PEER;
	options.count = 3;
	options.start_ns = NS_PER_S;
	world->answers_arp = true;
	world->sink->hook = answer_arp;
	start(world, &options);
	loop_run(world->loop);
	assert_int_equal(loop_now_ns(world->loop), 3 * NS_PER_S);
	assert_int_equal(world->sink->n, 4);
	read_arp(world, 0, &arp);
	assert_int_equal(arp.op, ARP_REQUEST);
	assert_int_equal(arp.target_ip, PEER);
	for (unsigned int i = 0; i < 3; i++) {
		read_icmp(world, 1 + i, &ip, &icmp);
		assert_int_equal(icmp.type, ICMP_ECHO_REQUEST);
		assert_int_equal(icmp.echo.seq, i);
		assert_int_equal(world->sink->frame[1 + i].len, 98);
	}
	/* one answer, twice; another station's; one never asked for */
	send_echo(world, ICMP_ECHO_REPLY, PEER, HOST, icmp.echo.id, 2);
	send_echo(world, ICMP_ECHO_REPLY, PEER, HOST, icmp.echo.id, 2);
	send_echo(world, ICMP_ECHO_REPLY, GATE, HOST, icmp.echo.id, 1);
	send_echo(world, ICMP_ECHO_REPLY, PEER, HOST, icmp.echo.id, 3);
	send_echo(world, ICMP_ECHO_REPLY, PEER, HOST, icmp.echo.id ^ 1, 1);
	stats = traffic_stats(world->host);
	assert_int_equal(stats.sent, 3);
	assert_int_equal(stats.received, 1);
	assert_int_equal(stats.rtt_max_ns, 0);
	send_echo(world, ICMP_ECHO_REPLY, PEER, HOST, icmp.echo.id, 0);
	stats = traffic_stats(world->host);
	assert_int_equal(stats.received, 2);
	assert_int_equal(stats.rtt_min_ns, 0);
	assert_int_equal(stats.rtt_max_ns, 2 * NS_PER_S);
	assert_int_equal(stats.rtt_sum_ns, 2 * NS_PER_S);
}

static void
answer_that_is_too_late_is_not_taken_for_a_new_one(void **state)
{
	struct traffic_options options = plain_options();
	struct world *world = *state;
	struct ip4 ip;
	struct icmp icmp;

	options.kind = TRAFFIC_PING;
	options.to = PEER;
	options.count = 100;
	options.interval_ns = NS_PER_MS;
	world->answers_arp = true;
	world->sink->hook = answer_arp;
	start(world, &options);
	loop_run(world->loop);
	read_icmp(world, 100, &ip, &icmp);
	assert_int_equal(icmp.echo.seq, 99);
	send_echo(world, ICMP_ECHO_REPLY, PEER, HOST, icmp.echo.id, 99 - 64);
	assert_int_equal(traffic_stats(world->host).received, 0);
	send_echo(world, ICMP_ECHO_REPLY, PEER, HOST, icmp.echo.id, 99 - 63);
	assert_int_equal(traffic_stats(world->host).received, 1);
	assert_int_equal(traffic_stats(world->host).rtt_max_ns, 63 * NS_PER_MS);
}

static void
far_destination_goes_by_the_gateway(void **state)
{
	struct traffic_options options = plain_options();
	struct world *world = *state;
	struct cursor c;
	struct eth eth;
	struct arp arp;
	struct ip4 ip;
	struct udp udp;

	options.to = FAR;
	options.gateway = GATE;
	options.count = 1;
	options.dport = 5000;
	options.frame_bytes = 1514;
	world->answers_arp = true;
	world->sink->hook = answer_arp;
	start(world, &options);
	loop_run(world->loop);
	read_arp(world, 0, &arp);
	assert_int_equal(arp.target_ip, GATE);
	read_frame(world, 1, &eth, &c);
	assert_int_equal(world->sink->frame[1].len, 1514);
	assert_int_equal(ip4_parse(&ip, &c), DROP_NONE);
	assert_int_equal(ip.dst, FAR);
	assert_int_equal(udp_parse(&udp, &c, &ip, false), DROP_NONE);
	assert_int_equal(udp.dport, 5000);
	assert_in_range(udp.sport, 0xc000, 0xffff);
	assert_int_equal(udp.data_bytes, 1514 - 42);
}

static void
silent_hop_is_asked_three_times_then_given_up(void **state)
{
	struct traffic_options options = plain_options();
	struct world *world = *state;
	struct node *node;
	struct arp arp;

	options.to = PEER;
	options.count = 3;
	options.start_ns = 1;
	options.interval_ns = 100 * NS_PER_MS;
	start(world, &options);
	loop_run(world->loop);
	node = traffic_node(world->host);
	assert_int_equal(world->sink->n, 3);
	for (unsigned int i = 0; i < 3; i++)
		read_arp(world, i, &arp);
	/* the latest waited, and pushed out those before it */
	assert_int_equal(node->count[DROP_ARP_QUEUE], 2);
	assert_int_equal(node->count[DROP_ARP_FAILED], 1);
	assert_int_equal(traffic_stats(world->host).sent, 0);
	assert_int_equal(loop_now_ns(world->loop), 1 + 3 * NS_PER_S);
}

static void
begin_answering(void *arg)
{
	((struct world *)arg)->answers_arp = true;
}

static void
late_answer_sends_what_waited(void **state)
{
	struct traffic_options options = plain_options();
	struct world *world = *state;
	struct loop_timer answering;
	struct ip4 ip;
	struct icmp icmp;

	options.kind = TRAFFIC_PING;
	options.to = PEER;
	options.count = 2;
	options.start_ns = 1;
	options.interval_ns = 1500 * NS_PER_MS;
	start(world, &options);
	world->sink->hook = answer_arp;
	loop_timer_init(&answering, world->loop, begin_answering, world);
	loop_timer_set(&answering, 1500 * NS_PER_MS);
	loop_run(world->loop);
	assert_int_equal(world->sink->n, 4);
	read_icmp(world, 3, &ip, &icmp);
	assert_int_equal(icmp.echo.seq, 1);
	assert_int_equal(traffic_stats(world->host).sent, 1);
}

static void
known_hop_is_checked_after_a_minute_by_unicast(void **state)
{
	struct traffic_options options = plain_options();
	struct world *world = *state;
	unsigned int asked = 0;

	options.to = PEER;
	options.count = 100;
	world->answers_arp = true;
	world->sink->hook = answer_arp;
	start(world, &options);
	loop_run(world->loop);
	assert_int_equal(world->sink->n, 102);
	for (unsigned int i = 0; i < world->sink->n; i++) {
		struct cursor c;
		struct eth eth;

		read_frame(world, i, &eth, &c);
		if (eth.type != ETH_ARP)
			continue;
		assert_memory_equal(
		    &eth.dst, asked++ == 0 ? &mac_broadcast : &peer_mac, 6);
	}
	assert_int_equal(asked, 2);
	assert_int_equal(traffic_stats(world->host).sent, 100);
}

static void
impossible_options_are_refused(void **state)
{
	struct world *world = *state;
	const struct traffic_options good = plain_options();
	struct traffic_options o[9];
	static const char *const want[] = {
		"h: 01:00:00:00:00:02 is no station's address; ",
		"h: 00:00:00:00:00:00 is no station's address; ",
		"h: 224.0.0.2/24 is no host address; ",
		"h: 255.255.255.255 is no other host to send to; ",
		"h: 10.0.0.2 is no other host to send to; ",
		"h: the gateway 203.0.113.10 is not in 10.0.0.2/24; ",
		"h: frames of 59 bytes are not possible; use 60 to 1514",
		"h: frames of 1515 bytes are not possible; use 60 to 1514",
		"h: a frame each 999 ns is not possible; use 1 us to a day",
	};

	for (int i = 0; i < 9; i++) {
		o[i] = good;
		o[i].to = i < 3 ? 0 : PEER;
	}
	o[0].mac.b[0] = 1;
	memset(&o[1].mac, 0, 6);
	o[2].address.addr = 0xe0000002;
	o[3].to = IP4_BROADCAST;
	o[4].to = HOST;
	o[5].gateway = FAR;
	o[6].frame_bytes = 59;
	o[7].frame_bytes = 1515;
	o[8].interval_ns = 999;
	for (int i = 0; i < 9; i++) {
		struct err err = { "" };

		assert_null(
		    traffic_new(world->loop, "h", "h.eth0", &o[i], &err));
		assert_memory_equal(err.text, want[i], strlen(want[i]));
	}
}

/* ---- a small lab of them ---- */

struct digest {
	struct watcher watcher;
	struct loop *loop;
	uint64_t value;
	unsigned int frames;
};

static void
digest_byte(struct digest *d, uint8_t byte)
{
	d->value = (d->value ^ byte) * UINT64_C(0x100000001b3);
}

static uint32_t
digest_begin(struct watcher *watcher, const struct port *port,
    enum direction dir, const struct frame *frame)
{
	struct digest *d = (struct digest *)watcher;

	(void)port;
	digest_byte(d, (uint8_t)dir);
	for (int i = 0; i < 64; i += 8)
		digest_byte(d, (uint8_t)(loop_now_ns(d->loop) >> i));
	for (uint32_t i = 0; i < frame->len; i++)
		digest_byte(d, frame->data[i]);
	d->frames++;
	return 1;
}

static void
digest_end(struct watcher *watcher, uint32_t token, const struct frame *frame)
{
	(void)token;
	digest_byte((struct digest *)watcher, (uint8_t)frame->verdict.reason);
}

#define HOSTS 8

/* All hosts ping the next one, over one switch. */
static struct digest
run_lab(uint64_t seed)
{
	const struct switch_options switch_options = { 0 };
	struct digest digest = { .watcher = { digest_begin, digest_end, NULL },
		.value = UINT64_C(0xcbf29ce484222325) };
	struct traffic *host[HOSTS];
	struct err err = { "" };
	struct loop *loop = loop_new(LOOP_VIRTUAL, &err);
	struct lan_switch *sw = switch_new(loop, "lan", &switch_options, &err);

	digest.loop = loop;
	for (uint32_t i = 0; i < HOSTS; i++) {
		struct traffic_options o = {
			.mac = { { 2, 0, 0, 0, 1, (uint8_t)i } },
			.address = { 0x0a000001 + i, 24 },
			.seed = seed + i,
			.kind = TRAFFIC_PING,
			.to = 0x0a000001 + (i + 1) % HOSTS,
			.count = 20,
			.interval_ns = 10 * NS_PER_MS,
		};
		struct port *port = switch_add_port(sw, "lan.h", &err);

		host[i] = traffic_new(loop, "h", "h.eth0", &o, &err);
		assert_non_null(host[i]);
		port_watch(port, &digest.watcher);
		cable_join(port, traffic_port(host[i]));
	}
	loop_run(loop);
	for (uint32_t i = 0; i < HOSTS; i++) {
		struct traffic_stats s = traffic_stats(host[i]);

		assert_int_equal(s.sent, 20);
		assert_int_equal(s.received, 20);
		assert_true(s.answered >= 20);
		traffic_free(host[i]);
	}
	switch_free(sw);
	loop_free(loop);
	return digest;
}

static void
same_seed_same_bytes_another_seed_others(void **state)
{
	struct digest a = run_lab(7), b = run_lab(7), c = run_lab(8);

	(void)state;
	assert_true(a.frames > HOSTS * 20 * 2);
	assert_int_equal(a.frames, b.frames);
	assert_true(a.value == b.value);
	assert_true(a.value != c.value);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(arp_for_the_address_is_answered),
		TEST(echo_request_is_answered_with_its_data),
		TEST(what_is_not_for_it_has_its_reason),
		TEST(ping_resolves_the_hop_and_measures),
		TEST(answer_that_is_too_late_is_not_taken_for_a_new_one),
		TEST(far_destination_goes_by_the_gateway),
		TEST(silent_hop_is_asked_three_times_then_given_up),
		TEST(late_answer_sends_what_waited),
		TEST(known_hop_is_checked_after_a_minute_by_unicast),
		TEST(impossible_options_are_refused),
		cmocka_unit_test(same_seed_same_bytes_another_seed_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
