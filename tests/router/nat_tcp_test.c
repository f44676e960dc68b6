/*
 * TCP through the NAT: how connections open, close and are reset (RFC 5382,
 * RFC 7857 2).
 */
#include "tests/router/nat_rig.h"

static void
rfc5382_req1_mapping_is_endpoint_independent(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct got g;

	rig_tcp(rig, INSIDE, BOB, 5000, SERVER2, 80, TCP_SYN);
	rig_clear(rig);
	rig_tcp(rig, INSIDE, ALICE, 5000, SERVER, 80, TCP_SYN);
	g = rig_got(rig, OUTSIDE);
	rig_clear(rig);
	rig_tcp(rig, INSIDE, ALICE, 5000, SERVER2, 80, TCP_SYN);
	assert_int_equal(rig_got(rig, OUTSIDE).sport, g.sport);
	rig_clear(rig);
	rig_tcp(rig, INSIDE, ALICE, 5000, SERVER2, 443, TCP_SYN);
	assert_int_equal(rig_got(rig, OUTSIDE).sport, g.sport);
}

static void
rfc5382_req2_a_connection_opens_and_closes_from_both_sides(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	connect_tcp(rig);
	assert_string_equal(state_of(rig), "established");
	/* The server closes; alice still sends; then she closes. */
	assert_int_equal(
	    tcp_in(rig, TCP_FIN | TCP_ACK, 901, 101), REASON_NAT_IN);
	assert_string_equal(state_of(rig), "closing-in");
	assert_int_equal(
	    tcp_out(rig, TCP_ACK | TCP_PSH, 101, 902), REASON_NAT_OUT);
	assert_int_equal(
	    tcp_out(rig, TCP_FIN | TCP_ACK, 101, 902), REASON_NAT_OUT);
	assert_string_equal(state_of(rig), "finished");
	assert_int_equal(tcp_in(rig, TCP_ACK, 902, 102), REASON_NAT_IN);
	rig_wait(rig, 239 * S);
	assert_string_equal(state_of(rig), "finished");
	rig_wait(rig, 2 * S);
	assert_null(state_of(rig));
}

static void
rfc5382_req2a_a_simultaneous_open_is_one_connection(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	assert_int_equal(tcp_out(rig, TCP_SYN, 100, 0), REASON_NAT_NEW);
	assert_int_equal(tcp_in(rig, TCP_SYN, 900, 0), REASON_NAT_IN);
	assert_string_equal(state_of(rig), "established");
	assert_int_equal(
	    tcp_out(rig, TCP_SYN | TCP_ACK, 100, 901), REASON_NAT_OUT);
	assert_int_equal(
	    tcp_in(rig, TCP_SYN | TCP_ACK, 900, 101), REASON_NAT_IN);
}

static void
rfc5382_req3_filters_are_those_of_udp(void **state)
{
	static const struct {
		enum nat_behaviour filtering;
		enum reason other_port, other_host;
	} rows[] = {
		{ EI, REASON_NAT_IN, REASON_NAT_IN },
		{ AD, REASON_NAT_IN, DROP_NAT_FILTERED },
		{ APD, DROP_NAT_FILTERED, DROP_NAT_FILTERED },
	};

	for (int i = 0; i < 3; i++) {
		struct rig *rig = start_as(state, EI, rows[i].filtering, 0);

		tcp_out(rig, TCP_SYN, 1, 0);
		assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER, 81, GW_OUTSIDE,
				     5000, TCP_SYN),
		    rows[i].other_port);
		assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER2, 80, GW_OUTSIDE,
				     5000, TCP_SYN),
		    rows[i].other_host);
		if (i < 2)
			rig_free(rig);
	}
}

static void
rfc5382_req4a_unsolicited_syns_hear_nothing(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	assert_int_equal(tcp_in(rig, TCP_SYN, 1, 0), DROP_NAT_UNSOLICITED);
	rig_wait(rig, 10 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
rfc5382_req5_an_idle_connection_lives_two_hours_and_four_minutes(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	connect_tcp(rig);
	rig_wait(rig, 7439 * S);
	assert_int_equal(tcp_in(rig, TCP_ACK, 901, 101), REASON_NAT_IN);
	rig_wait(rig, 7440 * S);
	assert_int_equal(tcp_in(rig, TCP_ACK, 901, 101), DROP_NAT_UNSOLICITED);
	assert_int_equal(tcp_out(rig, TCP_ACK, 101, 901), DROP_NAT_STATE);
}

static void
rfc5382_req5_a_half_open_connection_lives_four_minutes(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	tcp_out(rig, TCP_SYN, 100, 0);
	rig_wait(rig, 239 * S);
	assert_int_equal(
	    tcp_in(rig, TCP_SYN | TCP_ACK, 900, 101), REASON_NAT_IN);
	assert_string_equal(state_of(rig), "established");
}

static void
only_a_syn_begins_a_connection(void **state)
{
	static const uint8_t flags[] = { 0, TCP_ACK, TCP_RST, TCP_FIN,
		TCP_SYN | TCP_ACK, TCP_SYN | TCP_RST, TCP_SYN | TCP_FIN,
		TCP_FIN | TCP_ACK, 0xff };
	struct rig *rig = start_as(state, EI, EI, 0);

	for (size_t i = 0; i < sizeof(flags); i++)
		assert_int_equal(tcp_out(rig, flags[i], 1, 1), DROP_NAT_STATE);
	assert_null(state_of(rig));
	tcp_out(rig, TCP_SYN, 1, 0);
	for (size_t i = 0; i < sizeof(flags); i++)
		assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER2, 9, GW_OUTSIDE,
				     5000, flags[i]),
		    DROP_NAT_STATE);
}

static void
rfc5382_req8_tcp_hairpins_from_the_outer_end(void **state)
{
	struct rig *rig = start_as(state, EI, EI, 0);
	struct got g;

	tcp_out(rig, TCP_SYN, 1, 0); /* alice's mapping */
	rig_clear(rig);
	assert_int_equal(
	    rig_tcp(rig, INSIDE, BOB, 6000, GW_OUTSIDE, 5000, TCP_SYN),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.sport, 6000);
	assert_int_equal(g.ip.dst, ALICE);
	rig_clear(rig);
	assert_int_equal(rig_tcp(rig, INSIDE, ALICE, 5000, GW_OUTSIDE, 6000,
			     TCP_SYN | TCP_ACK),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, BOB);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
}

static void
rfc5382_req9_unreachable_is_translated_for_tcp(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	uint8_t quote[548];
	struct got g, q;

	tcp_out(rig, TCP_SYN, 100, 0);
	got_to_quote(rig, OUTSIDE, quote);
	rig_clear(rig);
	/* As RFC 792 quotes: 8 bytes, without the checksum. */
	assert_int_equal(rig_error(rig, OUTSIDE, FAR, GW_OUTSIDE,
			     ICMP_UNREACHABLE, ICMP_UNREACH_NET, quote, 28),
	    REASON_NAT_ICMP);
	g = rig_got(rig, INSIDE);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, ALICE);
	assert_int_equal(q.sport, 5000);
}

static void
rfc5382_req10_no_icmp_ends_a_connection(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	uint8_t quote[548];
	size_t n;

	connect_tcp(rig);
	n = got_to_quote(rig, OUTSIDE, quote);
	for (uint8_t code = 0; code < 16; code++)
		rig_error(rig, OUTSIDE, SERVER, GW_OUTSIDE, ICMP_UNREACHABLE,
		    code, quote, n);
	assert_string_equal(state_of(rig), "established");
	rig_wait(rig, 7000 * S);
	assert_int_equal(tcp_in(rig, TCP_ACK, 901, 101), REASON_NAT_IN);
}

static void
rfc7857_s2_2_a_reset_ends_a_connection_after_four_minutes(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	connect_tcp(rig);
	assert_int_equal(tcp_in(rig, TCP_RST, 901, 0), REASON_NAT_IN);
	assert_int_equal(rig_got(rig, INSIDE).tcp.flags, TCP_RST);
	assert_string_equal(state_of(rig), "reset");
	rig_wait(rig, 239 * S);
	assert_string_equal(state_of(rig), "reset");
	rig_wait(rig, 2 * S);
	assert_null(state_of(rig));
}

static void
rfc7857_s2_2_a_reset_outside_the_window_shortens_nothing(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	connect_tcp(rig);
	assert_int_equal(tcp_in(rig, TCP_RST, 901 + 0x2001, 0), REASON_NAT_IN);
	assert_string_equal(state_of(rig), "established");
	assert_int_equal(tcp_in(rig, TCP_RST, 900, 0), REASON_NAT_IN);
	assert_string_equal(state_of(rig), "established");
	assert_int_equal(
	    tcp_out(rig, TCP_RST, 101 + 0x2001, 0), REASON_NAT_OUT);
	assert_string_equal(state_of(rig), "established");
}

/* RFC 5382 9: segments out of the window change nothing. */
static void
rfc7857_s2_a_close_far_from_the_window_closes_nothing(void **state)
{
	static const uint32_t far[] = { 0x40000, 0x80000000,
		UINT32_C(0xfffc0000) };
	struct rig *rig = start_as(state, EI, APD, 0);

	connect_tcp(rig);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
		    tcp_in(rig, TCP_FIN | TCP_ACK, 901 + far[i], 101),
		    REASON_NAT_IN);
		assert_int_equal(rig_got(rig, INSIDE).tcp.flags,
		    TCP_FIN | TCP_ACK); /* its receiver will judge */
		assert_int_equal(
		    tcp_out(rig, TCP_FIN | TCP_ACK, 101 + far[i], 901),
		    REASON_NAT_OUT);
		assert_string_equal(state_of(rig), "established");
	}
	/* One that is sent again with some data before it counts. */
	tcp_in(rig, TCP_FIN | TCP_ACK, 901 - 1000, 101);
	assert_string_equal(state_of(rig), "closing-in");
	tcp_out(rig, TCP_FIN | TCP_ACK, 101 + 1000, 902);
	assert_string_equal(state_of(rig), "finished");
}

static void
rfc5382_req2_a_connection_from_outside_opens_and_closes(void **state)
{
	static const struct {
		bool out;
		uint8_t flags;
		uint32_t seq, ack;
		const char *state;
	} rows[] = {
		{ false, TCP_SYN, 900, 0, "opening-in" },
		{ false, TCP_SYN, 900, 0, "opening-in" }, /* again */
		{ true, TCP_SYN | TCP_ACK, 100, 901, "established" },
		{ false, TCP_ACK, 901, 101, "established" },
		{ true, TCP_ACK | TCP_PSH, 101, 901, "established" },
		/* Both close at once. */
		{ true, TCP_FIN | TCP_ACK, 119, 901, "closing" },
		{ false, TCP_FIN | TCP_ACK, 901, 119, "finished" },
		{ true, TCP_ACK, 120, 902, "finished" },
		{ false, TCP_ACK, 902, 120, "finished" },
	};

	for (int filtering = 0; filtering < 2; filtering++) {
		struct rig *rig =
		    start_as(state, EI, filtering == 0 ? EI : AD, 0);

		/* Another connection has made the mapping. */
		rig_tcp(rig, INSIDE, ALICE, 5000,
		    filtering == 0 ? SERVER2 : SERVER, 443, TCP_SYN);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			assert_false(reason_is_drop(rows[i].out
				? tcp_out(rig, rows[i].flags, rows[i].seq,
				      rows[i].ack)
				: tcp_in(rig, rows[i].flags, rows[i].seq,
				      rows[i].ack)));
			assert_string_equal(state_of(rig), rows[i].state);
		}
		if (filtering == 0)
			rig_free(rig);
	}
}

static void
rfc5382_req2a_it_opens_at_once_whatever_the_filter(void **state)
{
	for (int kind = 0; kind < 18; kind++) {
		struct rig *rig =
		    start_as(state, (enum nat_behaviour)(kind % 3),
			(enum nat_behaviour)(kind / 3 % 3), 0);
		bool early = kind >= 9; /* the other end's comes too soon */

		if (early) {
			assert_int_equal(
			    tcp_in(rig, TCP_SYN, 900, 0), DROP_NAT_UNSOLICITED);
			rig_wait(rig, 1 * S);
		}
		assert_int_equal(tcp_out(rig, TCP_SYN, 100, 0), REASON_NAT_NEW);
		assert_int_equal(rig_got(rig, OUTSIDE).sport, 5000);
		assert_int_equal(tcp_in(rig, TCP_SYN, 900, 0), REASON_NAT_IN);
		assert_int_equal(
		    tcp_out(rig, TCP_SYN | TCP_ACK, 100, 901), REASON_NAT_OUT);
		assert_int_equal(
		    tcp_in(rig, TCP_SYN | TCP_ACK, 900, 101), REASON_NAT_IN);
		assert_string_equal(state_of(rig), "established");
		rig_wait(rig, 7000 * S);
		assert_int_equal(tcp_in(rig, TCP_ACK, 901, 101), REASON_NAT_IN);
		if (kind < 17)
			rig_free(rig);
	}
}

static void
rfc7857_s2_2_data_after_a_reset_establishes_again(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	connect_tcp(rig);
	tcp_in(rig, TCP_RST, 901, 0);
	rig_wait(rig, 100 * S);
	assert_int_equal(tcp_out(rig, TCP_ACK, 101, 901), REASON_NAT_OUT);
	assert_string_equal(state_of(rig), "established");
	rig_wait(rig, 7000 * S);
	assert_string_equal(state_of(rig), "established");
}

static void
rfc7857_s2_what_follows_a_close_or_a_reset_does_not_keep_it(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	connect_tcp(rig);
	tcp_in(rig, TCP_FIN | TCP_ACK, 901, 101);
	tcp_out(rig, TCP_FIN | TCP_ACK, 101, 902);
	rig_wait(rig, 200 * S);
	assert_int_equal(tcp_in(rig, TCP_ACK, 902, 102), REASON_NAT_IN);
	rig_wait(rig, 41 * S);
	assert_null(state_of(rig));
	connect_tcp(rig);
	tcp_in(rig, TCP_RST, 901, 0);
	rig_wait(rig, 200 * S);
	assert_int_equal(tcp_in(rig, TCP_RST, 901, 0), REASON_NAT_IN);
	rig_wait(rig, 41 * S);
	assert_null(state_of(rig));
}

static void
the_same_ports_connect_again_after_a_close(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	connect_tcp(rig);
	tcp_in(rig, TCP_FIN | TCP_ACK, 901, 101);
	tcp_out(rig, TCP_FIN | TCP_ACK, 101, 902);
	rig_wait(rig, 60 * S);
	assert_int_equal(tcp_out(rig, TCP_SYN, 5000, 0), REASON_NAT_OUT);
	assert_string_equal(state_of(rig), "opening");
	assert_int_equal(
	    tcp_in(rig, TCP_SYN | TCP_ACK, 7000, 5001), REASON_NAT_IN);
	rig_wait(rig, 1000 * S);
	assert_string_equal(state_of(rig), "established");
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc5382_req1_mapping_is_endpoint_independent),
		T(rfc5382_req2_a_connection_opens_and_closes_from_both_sides),
		T(rfc5382_req2a_a_simultaneous_open_is_one_connection),
		T(rfc5382_req3_filters_are_those_of_udp),
		T(rfc5382_req4a_unsolicited_syns_hear_nothing),
		T(rfc5382_req5_an_idle_connection_lives_two_hours_and_four_minutes),
		T(rfc5382_req5_a_half_open_connection_lives_four_minutes),
		T(only_a_syn_begins_a_connection),
		T(rfc5382_req8_tcp_hairpins_from_the_outer_end),
		T(rfc5382_req9_unreachable_is_translated_for_tcp),
		T(rfc5382_req10_no_icmp_ends_a_connection),
		T(rfc7857_s2_2_a_reset_ends_a_connection_after_four_minutes),
		T(rfc7857_s2_2_a_reset_outside_the_window_shortens_nothing),
		T(rfc7857_s2_a_close_far_from_the_window_closes_nothing),
		T(rfc5382_req2_a_connection_from_outside_opens_and_closes),
		T(rfc5382_req2a_it_opens_at_once_whatever_the_filter),
		T(rfc7857_s2_2_data_after_a_reset_establishes_again),
		T(rfc7857_s2_what_follows_a_close_or_a_reset_does_not_keep_it),
		T(the_same_ports_connect_again_after_a_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
