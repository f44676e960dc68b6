/*
 * Packets, facts, pairs and statistics, on frames that are put together here.
 */
#include "pcap-tools/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/eth.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "pcap-tools/stats.h"

#define INSIDE  0x0a000064 /* 10.0.0.100 */
#define OUTSIDE 0xcb007101 /* 203.0.113.1 */
#define SERVER  0xcb00710a /* 203.0.113.10 */

struct made {
	uint8_t data[200];
	size_t n;
};

static struct writer
begin_ip(struct made *m, uint32_t src, uint32_t dst, uint8_t protocol,
    uint16_t id, size_t bytes)
{
	struct writer w = writer(m->data, sizeof(m->data));
	struct eth eth = { .dst = { { 2, 0, 0, 0, 0, 1 } },
		.src = { { 2, 0, 0, 0, 0, 2 } },
		.type = ETH_IPV4 };
	struct ip4 ip = { .header_bytes = IP4_HEADER_BYTES,
		.total_bytes = (uint16_t)(IP4_HEADER_BYTES + bytes),
		.id = id,
		.ttl = 64,
		.protocol = protocol,
		.src = src,
		.dst = dst };

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	return w;
}

static void
make_tcp(struct made *m, uint32_t src, uint16_t sport, uint32_t dst,
    uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags, const char *data)
{
	struct tcp tcp = { .sport = sport,
		.dport = dport,
		.seq = seq,
		.ack = ack,
		.flags = flags,
		.header_bytes = TCP_HEADER_BYTES,
		.data = (const uint8_t *)data,
		.data_bytes = strlen(data) };
	struct writer w =
	    begin_ip(m, src, dst, IP_TCP, 7, TCP_HEADER_BYTES + strlen(data));

	tcp_write(&w, &tcp, src, dst);
	assert_false(w.overrun);
	m->n = (size_t)(w.at - m->data);
}

static void
make_udp(struct made *m, uint32_t src, uint16_t sport, uint32_t dst,
    uint16_t dport, uint16_t id, const char *data)
{
	struct udp udp = { .sport = sport,
		.dport = dport,
		.len_bytes = (uint16_t)(UDP_HEADER_BYTES + strlen(data)),
		.data = (const uint8_t *)data,
		.data_bytes = strlen(data) };
	struct writer w =
	    begin_ip(m, src, dst, IP_UDP, id, UDP_HEADER_BYTES + strlen(data));

	udp_write(&w, &udp, src, dst);
	assert_false(w.overrun);
	m->n = (size_t)(w.at - m->data);
}

/* A crossing of m at point at_us; facts NULL: of another's capture. */
static struct crossing
crossing_of(const struct made *m, uint64_t number, uint32_t point,
    uint64_t at_us, bool out, const char *facts)
{
	struct crossing c = { .frame = { .number = number,
				  .interface = point,
				  .stamped = true,
				  .at_ns = at_us * 1000,
				  .kept_bytes = (uint32_t)m->n,
				  .len_bytes = (uint32_t)m->n,
				  .data = m->data } };

	c.out = out;
	c.directed = true;
	c.readable = packet_read(&c.packet, m->data, m->n, m->n);
	assert_true(c.readable);
	if (facts != NULL)
		assert_true(crossing_facts(&c, facts, strlen(facts)));
	return c;
}

/* ---- packets ---- */

static void
packets_are_read_as_far_as_their_bytes_go(void **state)
{
	struct packet p;
	struct made m;
	char text[PACKET_END_BYTES];

	(void)state;
	make_tcp(&m, INSIDE, 40000, SERVER, 80, 1000, 2000, TCP_ACK, "hello");
	assert_true(packet_read(&p, m.data, m.n, m.n));
	assert_int_equal(p.flow.layer, PACKET_IP4);
	assert_string_equal(
	    packet_end_text(text, &p.flow, &p.flow.src), "10.0.0.100:40000");
	assert_string_equal(
	    packet_end_text(text, &p.flow, &p.flow.dst), "203.0.113.10:80");
	assert_int_equal(p.seq, 1000);
	assert_int_equal(p.ack, 2000);
	assert_int_equal(p.data_bytes, 5);
	assert_memory_equal(p.data, "hello", 5);
	/* Cut off, lengths are still those of the wire. */
	for (size_t kept = 0; kept <= m.n; kept++) {
		if (!packet_read(&p, m.data, kept, m.n)) {
			assert_true(kept < ETH_HEADER_BYTES);
			continue;
		}
		if (kept >= ETH_HEADER_BYTES + IP4_HEADER_BYTES)
			assert_int_equal(p.flow.layer, PACKET_IP4);
		assert_true(p.data + p.kept_bytes <= m.data + kept);
	}
	/* Padding is not data. */
	assert_true(packet_read(&p, m.data, m.n + 20, m.n + 20));
	assert_int_equal(p.data_bytes, 5);
}

static void
a_flow_is_the_same_both_ways(void **state)
{
	struct packet a, b, c;
	struct made m;

	(void)state;
	make_tcp(&m, INSIDE, 40000, SERVER, 80, 1, 0, TCP_SYN, "");
	assert_true(packet_read(&a, m.data, m.n, m.n));
	make_tcp(&m, SERVER, 80, INSIDE, 40000, 1, 2, TCP_SYN | TCP_ACK, "");
	assert_true(packet_read(&b, m.data, m.n, m.n));
	make_tcp(&m, SERVER, 81, INSIDE, 40000, 1, 2, TCP_SYN | TCP_ACK, "");
	assert_true(packet_read(&c, m.data, m.n, m.n));
	assert_true(packet_same_flow(&a.flow, &b.flow));
	assert_int_equal(packet_flow_hash(&a.flow), packet_flow_hash(&b.flow));
	assert_false(packet_same_flow(&a.flow, &c.flow));
}

/* ---- facts ---- */

static void
facts_that_are_not_known_are_passed_over(void **state)
{
	static const char text[] = "lanyard journey=17 future=1 node=gw "
				   "verdict=nat-filtered entry=99999999999 "
				   "cause.node=lan nonsense = ports=3";
	struct crossing c = { .journey = 0 };

	(void)state;
	assert_true(crossing_facts(&c, text, sizeof(text) - 1));
	assert_int_equal(c.journey, 17);
	assert_string_equal(c.verdict.node, "gw");
	assert_string_equal(c.verdict.name, "nat-filtered");
	assert_true(c.verdict.drop);
	assert_int_equal(c.verdict.entry, 0);
	assert_int_equal(c.verdict.ports, 3);
	assert_string_equal(c.cause.node, "lan");
	assert_false(crossing_facts(&c, "another", 7));
	assert_false(crossing_facts(&c, "lanyard", 7));
}

/* ---- pairs ---- */

static void
assert_pair(struct pairing *p, struct crossing c, uint64_t from)
{
	struct paired a, b;
	bool paired = pairing_next(p, &c, 0, c.frame.interface, &a, &b);

	assert_int_equal(paired, from != 0);
	if (from != 0) {
		assert_int_equal(a.number, from);
		assert_int_equal(b.number, c.frame.number);
	}
}

static void
journeys_pair_each_copy_with_where_it_came_from(void **state)
{
	static const char in[] = "lanyard journey=5 node=lan verdict=x";
	static const char out[] =
	    "lanyard journey=5 cause.node=lan node=gw verdict=y";
	static const char at_gw[] = "lanyard journey=5 node=gw verdict=y";
	static const char beyond[] =
	    "lanyard journey=5 cause.node=gw node=internet verdict=z";
	static const char other[] = "lanyard journey=6 node=lan verdict=x";
	struct pairing *p = pairing_new();
	struct made m;

	(void)state;
	assert_non_null(p);
	make_udp(&m, INSIDE, 1, SERVER, 2, 9, "x");
	assert_pair(p, crossing_of(&m, 1, 0, 0, false, in), 0);
	assert_pair(p, crossing_of(&m, 2, 0, 0, false, other), 0);
	/* Two copies of one frame, each with its way on. */
	assert_pair(p, crossing_of(&m, 3, 1, 0, true, out), 1);
	assert_pair(p, crossing_of(&m, 4, 2, 0, true, out), 1);
	assert_pair(p, crossing_of(&m, 5, 3, 1, false, at_gw), 4);
	assert_pair(p, crossing_of(&m, 6, 4, 2, true, beyond), 5);
	pairing_free(p);
}

static void
foreign_frames_pair_by_what_a_nat_leaves(void **state)
{
	struct pairing *p = pairing_new();
	struct made a, b, m;

	(void)state;
	/* Two hosts send the same; the NAT changes address and port. */
	make_udp(&a, INSIDE, 1000, SERVER, 53, 9, "same");
	make_udp(&b, INSIDE + 1, 1001, SERVER, 53, 9, "same");
	assert_pair(p, crossing_of(&a, 1, 0, 0, false, NULL), 0);
	assert_pair(p, crossing_of(&b, 2, 0, 1, false, NULL), 0);
	make_udp(&m, OUTSIDE, 1001, SERVER, 53, 9, "same");
	assert_pair(p, crossing_of(&m, 3, 1, 5, false, NULL), 2);
	make_udp(&m, OUTSIDE, 1000, SERVER, 53, 9, "same");
	assert_pair(p, crossing_of(&m, 4, 1, 6, false, NULL), 1);
	/* A third, of which none came; other data, too late: no pair. */
	make_udp(&m, OUTSIDE, 1000, SERVER, 53, 9, "same");
	assert_pair(p, crossing_of(&m, 5, 1, 7, false, NULL), 0);
	make_udp(&m, OUTSIDE, 1000, SERVER, 53, 9, "some");
	assert_pair(p, crossing_of(&m, 6, 1, 8, false, NULL), 0);
	make_udp(&m, INSIDE, 1000, SERVER, 53, 11, "late");
	assert_pair(p, crossing_of(&m, 7, 0, 9, false, NULL), 0);
	make_udp(&m, OUTSIDE, 1000, SERVER, 53, 11, "late");
	assert_pair(p,
	    crossing_of(&m, 8, 1, 10 + PAIR_PATIENCE_NS / 1000, false, NULL),
	    0);
	pairing_free(p);
}

static void
identifications_tell_frames_apart_that_a_nat_leaves_them(void **state)
{
	struct pairing *p = pairing_new();
	struct made m;

	(void)state;
	for (uint16_t id = 9; id <= 11; id++) {
		make_udp(&m, INSIDE, 1000, SERVER, 53, id, "same");
		assert_pair(p, crossing_of(&m, id, 0, id, false, NULL), 0);
	}
	make_udp(&m, OUTSIDE, 1000, SERVER, 53, 10, "same");
	assert_pair(p, crossing_of(&m, 20, 1, 20, false, NULL), 10);
	/* One that numbers anew: in order. */
	make_udp(&m, OUTSIDE, 1000, SERVER, 53, 700, "same");
	assert_pair(p, crossing_of(&m, 21, 1, 21, false, NULL), 9);
	make_udp(&m, OUTSIDE, 1000, SERVER, 53, 701, "same");
	assert_pair(p, crossing_of(&m, 22, 1, 22, false, NULL), 11);
	pairing_free(p);
}

static void
frames_alike_in_everything_pair_in_order(void **state)
{
	struct pairing *p = pairing_new();
	struct made a, b;

	(void)state;
	make_udp(&a, INSIDE, 1000, SERVER, 53, 9, "same");
	make_udp(&b, OUTSIDE, 1000, SERVER, 53, 9, "same");
	for (uint64_t i = 1; i <= 3; i++)
		assert_pair(p, crossing_of(&a, i, 0, i, false, NULL), 0);
	for (uint64_t i = 1; i <= 3; i++)
		assert_pair(p, crossing_of(&b, 3 + i, 1, i, false, NULL), i);
	/* Far more than it remembers, and none of them a partner. */
	make_udp(&a, INSIDE, 1000, SERVER, 53, 9, "alone");
	for (uint64_t i = 10; i < 3 * PAIR_WINDOW; i++)
		assert_pair(p, crossing_of(&a, i, 0, i, false, NULL), 0);
	pairing_free(p);
}

/* ---- statistics ---- */

static void
add_at(struct stats *s, const struct made *m, uint32_t point, uint64_t at_us)
{
	static uint64_t number;
	struct crossing c = crossing_of(m, ++number, point, at_us, false, NULL);

	assert_int_equal(stats_add(s, &c), 0);
}

static void
statistics_time_round_trips_and_count_what_was_sent_twice(void **state)
{
	struct stats *s = stats_new();
	const struct stats_flow *f;
	struct made m;

	(void)state;
	assert_non_null(s);
	make_tcp(&m, INSIDE, 40000, SERVER, 80, 100, 0, TCP_SYN, "");
	add_at(s, &m, 0, 1000);
	make_tcp(
	    &m, SERVER, 80, INSIDE, 40000, 500, 101, TCP_SYN | TCP_ACK, "");
	add_at(s, &m, 0, 1300); /* 300 us */
	make_tcp(&m, INSIDE, 40000, SERVER, 80, 101, 501, TCP_ACK, "abcd");
	add_at(s, &m, 0, 1400); /* 100 us for the other direction */
	make_tcp(&m, INSIDE, 40000, SERVER, 80, 101, 501, TCP_ACK, "abcd");
	add_at(s, &m, 0, 201400); /* again: times nothing */
	make_tcp(&m, SERVER, 80, INSIDE, 40000, 501, 105, TCP_ACK, "");
	add_at(s, &m, 0, 201500);
	make_tcp(&m, INSIDE, 40000, SERVER, 80, 105, 501, TCP_ACK, "efgh");
	add_at(s, &m, 0, 300000);
	make_tcp(&m, SERVER, 80, INSIDE, 40000, 501, 109, TCP_ACK, "");
	add_at(s, &m, 0, 300500); /* 500 us */
	assert_int_equal(stats_flows(s), 1);
	f = stats_flow(s, 0);
	assert_int_equal(f->way[0].frames, 4);
	assert_int_equal(f->way[1].frames, 3);
	assert_int_equal(f->way[0].retransmissions, 1);
	assert_int_equal(f->way[1].retransmissions, 0);
	assert_int_equal(f->rtts, 3);
	assert_int_equal(f->rtt_min_ns, 100000);
	assert_int_equal(f->rtt_max_ns, 500000);
	assert_int_equal(f->rtt_sum_ns, 900000);
	stats_free(s);
}

static void
statistics_give_delays_between_points_and_keep_every_byte(void **state)
{
	struct stats *s = stats_new();
	const struct stats_hop *hop;
	uint64_t start_ns, bytes = 0;
	struct made a, b;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		char data[8];

		snprintf(data, sizeof(data), "%u", i);
		make_udp(&a, INSIDE, 5, SERVER, 6, (uint16_t)i, data);
		make_udp(&b, OUTSIDE, 7, SERVER, 6, (uint16_t)i, data);
		add_at(s, &a, 0, i * 10000);
		add_at(s, &b, 1, i * 10000 + 100 + i % 3);
	}
	assert_int_equal(stats_hops(s), 1);
	hop = stats_hop(s, 0);
	assert_int_equal(hop->from, 0);
	assert_int_equal(hop->to, 1);
	assert_int_equal(hop->delay.n, 1000);
	assert_int_equal(hop->delay.min_ns, 100000);
	assert_int_equal(hop->delay.max_ns, 102000);
	assert_in_range(stats_median_ns(&hop->delay), 100000, 102000);
	/* Ten seconds in bins that were a millisecond at first. */
	assert_true(stats_bin_ns(s, &start_ns) * STATS_BINS > 9990000000);
	assert_int_equal(start_ns, 0);
	for (unsigned int i = 0; i < STATS_BINS; i++)
		bytes += stats_point(s, 0)->bin[i];
	assert_int_equal(bytes, stats_point(s, 0)->bytes);
	stats_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_read_as_far_as_their_bytes_go),
		cmocka_unit_test(a_flow_is_the_same_both_ways),
		cmocka_unit_test(facts_that_are_not_known_are_passed_over),
		cmocka_unit_test(
		    journeys_pair_each_copy_with_where_it_came_from),
		cmocka_unit_test(foreign_frames_pair_by_what_a_nat_leaves),
		cmocka_unit_test(
		    identifications_tell_frames_apart_that_a_nat_leaves_them),
		cmocka_unit_test(frames_alike_in_everything_pair_in_order),
		cmocka_unit_test(
		    statistics_time_round_trips_and_count_what_was_sent_twice),
		cmocka_unit_test(
		    statistics_give_delays_between_points_and_keep_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
