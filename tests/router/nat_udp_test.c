/*
 * UDP through the NAT as its neighbours see it: mappings, ports, timers,
 * filters, hairpins and checksums (RFC 4787), by frames in and frames out, in
 * virtual time.
 */
#include "tests/router/nat_rig.h"

static void
rfc4787_req1_mapping_is_endpoint_independent(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	uint16_t port = udp_port(rig, ALICE, 5555, SERVER, 1000);

	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER, 1001), port);
	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER2, 1000), port);
}

static void
rfc4787_req1_mapping_is_endpoint_independent_even_under_port_collision(
    void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	uint16_t port;

	assert_int_equal(udp_port(rig, BOB, 5555, SERVER2, 1000), 5555);
	port = udp_port(rig, ALICE, 5555, SERVER, 1000);
	assert_int_not_equal(port, 5555);
	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER2, 1000), port);
	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER2, 1001), port);
	expect_in(rig, SERVER2, 1000, 5555, BOB, 5555);
	expect_in(rig, SERVER2, 1000, port, ALICE, 5555);
}

static void
mapping_can_depend_on_the_address(void **state)
{
	struct rig *rig = start_as(state, AD, APD, 0);
	uint16_t port = udp_port(rig, ALICE, 5555, SERVER, 1000);

	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER, 1001), port);
	assert_int_not_equal(udp_port(rig, ALICE, 5555, SERVER2, 1000), port);
}

static void
mapping_can_depend_on_address_and_port(void **state)
{
	struct rig *rig = start_as(state, APD, APD, 0);
	uint16_t port = udp_port(rig, ALICE, 5555, SERVER, 1000);
	uint16_t port2 = udp_port(rig, ALICE, 5555, SERVER, 1001);

	assert_int_not_equal(port2, port);
	assert_int_not_equal(udp_port(rig, ALICE, 5555, SERVER2, 1000), port);
	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER, 1001), port2);
}

static void
rfc4787_req3_no_port_is_shared(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	uint16_t a = udp_port(rig, ALICE, 7000, SERVER, 1000);
	uint16_t b = udp_port(rig, BOB, 7000, SERVER, 1000);

	assert_int_equal(a, 7000); /* preserved where it is free */
	assert_int_not_equal(a, b);
	expect_in(rig, SERVER, 1000, a, ALICE, 7000);
	expect_in(rig, SERVER, 1000, b, BOB, 7000);
}

static void
rfc4787_req3a_the_class_of_a_port_is_kept(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	assert_int_equal(udp_port(rig, ALICE, 500, SERVER, 1), 500);
	assert_in_range(udp_port(rig, BOB, 500, SERVER, 1), 1, 1023);
	assert_int_equal(udp_port(rig, ALICE, 5000, SERVER, 1), 5000);
	assert_in_range(udp_port(rig, BOB, 5000, SERVER, 1), 1024, 65535);
}

static void
rfc4787_req4_parity_is_kept(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	for (uint16_t i = 0; i < 100; i++) {
		udp_port(rig, ALICE, (uint16_t)(6000 + i), SERVER, 1);
		assert_int_equal(
		    udp_port(rig, BOB, (uint16_t)(6000 + i), SERVER, 1) & 1,
		    i & 1);
	}
}

static void
rfc4787_req5_a_mapping_lives_five_minutes_idle_and_no_longer(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	rig_wait(rig, 299 * S);
	expect_in(rig, SERVER, 1, 5000, ALICE, 5000);
	rig_wait(rig, 300 * S);
	assert_int_equal(udp_in(rig, SERVER, 1, 5000), DROP_NAT_UNSOLICITED);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
rfc4787_req5b_the_timer_is_an_option(void **state)
{
	struct rig *rig = rig_new(0);
	struct router_nat_options o = { .outside = rig->peer[OUTSIDE].gw,
		.rules.idle_s[NAT_TIMER_UDP] = 150 };
	struct err err = { "" };

	*state = rig;
	assert_int_equal(router_set_nat(rig->router, &o, &err), 0);
	rig_warm(rig);
	udp_port(rig, ALICE, 5000, SERVER, 1);
	rig_wait(rig, 149 * S);
	expect_in(rig, SERVER, 1, 5000, ALICE, 5000);
	rig_wait(rig, 150 * S);
	assert_int_equal(udp_in(rig, SERVER, 1, 5000), DROP_NAT_UNSOLICITED);
}

static void
rfc4787_req6_outbound_packets_refresh(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	for (int i = 0; i < 6; i++) {
		assert_int_equal(udp_port(rig, ALICE, 5000, SERVER, 1), 5000);
		rig_wait(rig, 250 * S);
	}
	expect_in(rig, SERVER, 1, 5000, ALICE, 5000);
}

static void
rfc4787_req6a_inbound_packets_refresh(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	for (int i = 0; i < 6; i++) {
		rig_wait(rig, 250 * S);
		expect_in(rig, SERVER, 1, 5000, ALICE, 5000);
	}
}

static void
rfc4787_req8_endpoint_independent_filtering_admits_all(void **state)
{
	struct rig *rig = start_as(state, EI, EI, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	expect_in(rig, SERVER, 2, 5000, ALICE, 5000);
	expect_in(rig, SERVER2, 3, 5000, ALICE, 5000);
	assert_int_equal(udp_in(rig, SERVER, 1, 5001), DROP_NAT_UNSOLICITED);
}

static void
rfc4787_req8_address_dependent_filtering_admits_the_address(void **state)
{
	struct rig *rig = start_as(state, EI, AD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	expect_in(rig, SERVER, 2, 5000, ALICE, 5000);
	assert_int_equal(udp_in(rig, SERVER2, 1, 5000), DROP_NAT_FILTERED);
	udp_port(rig, ALICE, 5000, SERVER2, 9);
	expect_in(rig, SERVER2, 1, 5000, ALICE, 5000);
}

static void
address_dependent_filters_end_with_their_sessions(void **state)
{
	struct rig *rig = start_as(state, EI, AD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	udp_port(rig, ALICE, 5000, SERVER, 2);
	rig_wait(rig, 200 * S);
	udp_port(rig, ALICE, 5000, SERVER2, 9);
	rig_wait(rig, 101 * S);
	assert_int_equal(udp_in(rig, SERVER, 3, 5000), DROP_NAT_FILTERED);
	expect_in(rig, SERVER2, 3, 5000, ALICE, 5000);
}

static void
rfc4787_req8_address_and_port_dependent_filtering_admits_the_end(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	assert_int_equal(udp_in(rig, SERVER, 2, 5000), DROP_NAT_FILTERED);
	assert_int_equal(udp_in(rig, SERVER2, 1, 5000), DROP_NAT_FILTERED);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	assert_int_equal(rig->peer[OUTSIDE].n, 0); /* and says nothing */
	expect_in(rig, SERVER, 1, 5000, ALICE, 5000);
}

static void
mappings_by_address_can_be_open_to_all(void **state)
{
	struct rig *rig = start_as(state, AD, EI, 0);
	uint16_t one = udp_port(rig, ALICE, 5000, SERVER, 1);
	uint16_t two = udp_port(rig, ALICE, 5000, SERVER2, 1);

	assert_int_not_equal(one, two);
	expect_in(rig, FAR, 9, one, ALICE, 5000);
	/* The pair of ends is the other mapping's already. */
	assert_int_equal(udp_in(rig, SERVER2, 1, one), DROP_NAT_FILTERED);
	/* A session of that mapping ends: the pair is free. */
	rig_wait(rig, 301 * S);
	one = udp_port(rig, ALICE, 5000, SERVER, 1);
	expect_in(rig, SERVER2, 1, one, ALICE, 5000);
}

static void
rfc4787_req9_hairpin_arrives_from_the_outer_end(void **state)
{
	struct rig *rig = start_as(state, EI, EI, 0);
	uint16_t alice, bob;
	struct got g;

	alice = udp_port(rig, ALICE, 5000, SERVER, 1);
	assert_int_equal(rig_udp(rig, INSIDE, BOB, 6000, GW_OUTSIDE, alice),
	    REASON_NAT_HAIRPIN);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.dport, 5000);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	bob = g.sport;
	rig_clear(rig);
	assert_int_equal(rig_udp(rig, INSIDE, ALICE, 5000, GW_OUTSIDE, bob),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, BOB);
	assert_int_equal(g.dport, 6000);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.sport, alice);
	/* Nobody is told of a shorter way (RFC 1812 5.2.7.2). */
	assert_int_equal(router_node(rig->router)->count[REASON_SENT], 6);
}

static void
hairpin_is_filtered_like_everything_from_outside(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	assert_int_equal(rig_udp(rig, INSIDE, BOB, 6000, GW_OUTSIDE, 5000),
	    DROP_NAT_FILTERED);
	/* Both have sent to the other: both are admitted. */
	assert_int_equal(udp_port(rig, BOB, 6000, SERVER, 1), 6000);
	assert_int_equal(rig_udp(rig, INSIDE, ALICE, 5000, GW_OUTSIDE, 6000),
	    REASON_NAT_HAIRPIN);
	assert_int_equal(rig_udp(rig, INSIDE, BOB, 6000, GW_OUTSIDE, 5000),
	    REASON_NAT_HAIRPIN);
}

static void
hairpin_to_a_port_without_a_mapping_is_the_routers_own_business(void **state)
{
	struct rig *rig = start_as(state, EI, EI, 0);
	struct got g;

	assert_int_equal(rig_udp(rig, INSIDE, BOB, 6000, GW_OUTSIDE, 5000),
	    DROP_NO_LISTENER);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_PORT);
}

static void
rfc4787_req10_no_payload_is_touched(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5060, SERVER, 5060);
	struct got g;

	f.data_bytes = 600;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_UDP, 0), REASON_NAT_NEW);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.udp.data_bytes, 600);
	for (size_t i = 0; i < 600; i++)
		assert_int_equal(g.udp.data[i], rig_byte(i));
}

static void
udp_without_a_checksum_stays_without(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt pkt;
	struct got g;

	pkt_make(&pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	put_be16(pkt.bytes + 34 + UDP_OFF_CHECKSUM, 0);
	assert_int_equal(
	    rig_send(rig, INSIDE, pkt.bytes, pkt.len), REASON_NAT_NEW);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.udp.checksum, 0);
}

static void
a_udp_checksum_that_comes_to_zero_is_sent_as_ones(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt pkt;
	uint16_t checksum;
	uint8_t *udp = pkt.bytes + 34;

	/* With this word instead of 0 the sum comes to 0xffff. */
	f.data_bytes = 2;
	for (int i = 0; i < 2; i++) {
		pkt_make(&pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
		put_be16(udp + 8, i == 0 ? 0 : checksum);
		put_be16(udp + UDP_OFF_CHECKSUM, 0);
		put_be16(udp + UDP_OFF_CHECKSUM,
		    csum_finish(csum_add_bytes(
			csum_pseudo4(ALICE, SERVER, IP_UDP, 10), udp, 10)));
		rig_clear(rig);
		rig_send(rig, INSIDE, pkt.bytes, pkt.len);
		checksum = rig_got(rig, OUTSIDE).udp.checksum;
	}
	assert_int_equal(checksum, 0xffff);
}

static void
a_wrong_checksum_stays_wrong(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt pkt;
	struct ip4 ip;
	struct udp udp;
	struct cursor c;

	pkt_make(&pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	pkt.bytes[pkt.len - 1] ^= 0x40;
	assert_int_equal(
	    rig_send(rig, INSIDE, pkt.bytes, pkt.len), REASON_NAT_NEW);
	c = cursor(rig->peer[OUTSIDE].seen[0].data + 14, pkt.len - 14);
	assert_int_equal(ip4_parse(&ip, &c), REASON_NONE);
	assert_int_equal(udp_parse(&udp, &c, &ip, false), DROP_L4_CHECKSUM);
}

static void
rfc4787_req11_mapping_stays_the_same_when_the_table_is_full(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 12);
	uint16_t port;

	udp_port(rig, BOB, 5555, SERVER, 1);
	port = udp_port(rig, ALICE, 5555, SERVER, 1);
	for (uint16_t i = 0; i < 9; i++)
		udp_port(rig, BOB, (uint16_t)(100 + i), SERVER, 1);
	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER2, 1), port);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5555, SERVER2, 2), DROP_NAT_FULL);
	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER, 1), port);
	assert_int_equal(udp_in(rig, SERVER, 2, port), DROP_NAT_FILTERED);
}

static void
rfc7857_s5_udp_and_tcp_mappings_are_apart(void **state)
{
	struct rig *rig = start_as(state, EI, EI, 0);

	udp_port(rig, BOB, 5000, SERVER, 1);
	/* Alice's of UDP is at another port; of TCP hers is free. */
	assert_int_not_equal(udp_port(rig, ALICE, 5000, SERVER, 1), 5000);
	tcp_out(rig, TCP_SYN, 1, 0);
	assert_int_equal(rig_got(rig, OUTSIDE).sport, 5000);
	expect_in(rig, SERVER, 9, 5000, BOB, 5000);
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, SERVER, 9, GW_OUTSIDE, 5000, TCP_SYN),
	    REASON_NAT_IN);
	assert_int_equal(rig_got(rig, INSIDE).ip.dst, ALICE);
}

static void
rfc7857_s7_what_is_refused_refreshes_nothing(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	for (int i = 0; i < 4; i++) {
		rig_wait(rig, 60 * S);
		assert_int_equal(
		    udp_in(rig, SERVER2, 1, 5000), DROP_NAT_FILTERED);
	}
	rig_wait(rig, 61 * S);
	assert_int_equal(udp_in(rig, SERVER2, 1, 5000), DROP_NAT_UNSOLICITED);
}

static void
rfc7857_s9_other_ports_are_random(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	unsigned int sixteenth[16] = { 0 }, steps = 0;
	uint16_t last = 0;
	double chi = 0;

	for (uint16_t i = 0; i < 1000; i++) {
		uint16_t port;

		udp_port(rig, ALICE, (uint16_t)(20000 + i), SERVER, 1);
		port = udp_port(rig, BOB, (uint16_t)(20000 + i), SERVER, 1);
		sixteenth[(port - 1024) / 4032]++;
		steps += (uint16_t)(port - last) <= 16;
		last = port;
	}
	for (int i = 0; i < 16; i++)
		chi += (sixteenth[i] - 62.5) * (sixteenth[i] - 62.5) / 62.5;
	assert_true(chi < 37.7); /* 15 degrees of freedom, 0.1 % */
	assert_true(steps < 10);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc4787_req1_mapping_is_endpoint_independent),
		T(rfc4787_req1_mapping_is_endpoint_independent_even_under_port_collision),
		T(mapping_can_depend_on_the_address),
		T(mapping_can_depend_on_address_and_port),
		T(rfc4787_req3_no_port_is_shared),
		T(rfc4787_req3a_the_class_of_a_port_is_kept),
		T(rfc4787_req4_parity_is_kept),
		T(rfc4787_req5_a_mapping_lives_five_minutes_idle_and_no_longer),
		T(rfc4787_req5b_the_timer_is_an_option),
		T(rfc4787_req6_outbound_packets_refresh),
		T(rfc4787_req6a_inbound_packets_refresh),
		T(rfc4787_req8_endpoint_independent_filtering_admits_all),
		T(rfc4787_req8_address_dependent_filtering_admits_the_address),
		T(address_dependent_filters_end_with_their_sessions),
		T(rfc4787_req8_address_and_port_dependent_filtering_admits_the_end),
		T(mappings_by_address_can_be_open_to_all),
		T(rfc4787_req9_hairpin_arrives_from_the_outer_end),
		T(hairpin_is_filtered_like_everything_from_outside),
		T(hairpin_to_a_port_without_a_mapping_is_the_routers_own_business),
		T(rfc4787_req10_no_payload_is_touched),
		T(udp_without_a_checksum_stays_without),
		T(a_udp_checksum_that_comes_to_zero_is_sent_as_ones),
		T(a_wrong_checksum_stays_wrong),
		T(rfc4787_req11_mapping_stays_the_same_when_the_table_is_full),
		T(rfc7857_s5_udp_and_tcp_mappings_are_apart),
		T(rfc7857_s7_what_is_refused_refreshes_nothing),
		T(rfc7857_s9_other_ports_are_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
