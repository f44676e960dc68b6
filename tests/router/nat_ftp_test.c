/*
 * FTP through the NAT, by frames: what is replaced, how numbers move, whom the
 * pins let in, and what is left alone.
 */
#include <stdio.h>

#include "tests/router/nat_rig.h"

#include "net/checksum.h"
#include "router/ftp_alg.h"

/* A control connection from ALICE to SERVER, or from SERVER to ALICE. */
struct talk {
	struct rig *rig;
	uint16_t in_port, out_port, remote_port;
	uint32_t seq, ack; /* alice's next, and what she has */
};

static struct rig *
start(void **state, bool ftp)
{
	struct nat_rules rules = nat_rules_default;
	struct rig *rig;

	rules.ftp = ftp;
	rig = start_rules(state, &rules);
	/* Alice's is taken outside, so that all texts differ. */
	assert_int_equal(rig_tcp(rig, INSIDE, BOB, 4001, SERVER, 80, TCP_SYN),
	    REASON_NAT_NEW);
	return rig;
}

/* A segment with data, made with flags of offloads. */
static enum reason
segment(struct rig *rig, int from, struct tcp *tcp, uint32_t src, uint32_t dst,
    const char *data, unsigned int flags)
{
	uint8_t bytes[2048];
	struct writer w = writer(bytes, sizeof(bytes));
	struct eth eth = { .dst = rig->peer[from].gw_mac,
		.src = rig_mac(src),
		.type = ETH_IPV4 };
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_TCP,
		.src = src,
		.dst = dst,
		.total_bytes = (uint16_t)(40 + strlen(data)) };
	struct burst burst;

	tcp->data = (const uint8_t *)data;
	tcp->data_bytes = strlen(data);
	tcp->window = 1000;
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	tcp_write(&w, tcp, src, dst);
	assert_false(w.overrun);
	burst_clear(&burst);
	burst_add(&burst, bytes, (size_t)(w.at - bytes));
	if (flags & FRAME_CSUM) {
		put_be16(bytes + 34 + TCP_OFF_CHECKSUM,
		    csum_fold(csum_pseudo4(
			src, dst, IP_TCP, (uint16_t)(ip.total_bytes - 20))));
		burst.frame[0].flags = FRAME_CSUM;
		burst.frame[0].csum_start = 34;
		burst.frame[0].csum_offset = TCP_OFF_CHECKSUM;
	}
	port_send(&rig->peer[from].port, &burst);
	return (enum reason)burst.frame[0].verdict.reason;
}

static enum reason
say_with(struct talk *t, uint32_t seq, const char *data, unsigned int flags)
{
	struct tcp tcp = { .sport = t->in_port,
		.dport = t->remote_port,
		.seq = seq,
		.ack = t->ack,
		.flags = TCP_ACK };

	rig_clear(t->rig);
	return segment(t->rig, INSIDE, &tcp, ALICE, SERVER, data, flags);
}

/* What the other end gets of what alice says next. */
static struct got
say(struct talk *t, const char *data)
{
	assert_int_equal(say_with(t, t->seq, data, 0), REASON_NAT_OUT);
	t->seq += (uint32_t)strlen(data);
	return rig_got(t->rig, OUTSIDE);
}

/* What alice gets of a segment with ack from the other end. */
static struct got
answer(struct talk *t, uint32_t ack)
{
	struct tcp tcp = { .sport = t->remote_port,
		.dport = t->out_port,
		.seq = 5000,
		.ack = ack,
		.flags = TCP_ACK };

	rig_clear(t->rig);
	assert_int_equal(
	    segment(t->rig, OUTSIDE, &tcp, SERVER, GW_OUTSIDE, "", 0),
	    REASON_NAT_IN);
	return rig_got(t->rig, INSIDE);
}

static void
assert_data(struct got g, const char *data)
{
	assert_int_equal(g.tcp.data_bytes, strlen(data));
	assert_memory_equal(g.tcp.data, data, strlen(data));
}

static struct talk
begin(struct rig *rig, uint32_t seq, const char *first)
{
	struct talk t = { .rig = rig,
		.in_port = 5000,
		.remote_port = FTP_PORT,
		.seq = seq,
		.ack = 5000 };
	struct tcp tcp = { .sport = t.in_port,
		.dport = t.remote_port,
		.seq = t.seq++,
		.flags = TCP_SYN };

	rig_clear(rig);
	assert_int_equal(
	    segment(rig, INSIDE, &tcp, ALICE, SERVER, "", 0), REASON_NAT_NEW);
	t.out_port = rig_got(rig, OUTSIDE).sport;
	assert_data(say(&t, first), first);
	return t;
}

/* The outside port in a text of FTP_NUMBERS at the end of data. */
static uint16_t
port_in(struct got g)
{
	char text[128];
	unsigned int high, low;

	snprintf(text, sizeof(text), "%.*s", (int)g.tcp.data_bytes,
	    (const char *)g.tcp.data);
	assert_int_equal(
	    sscanf(text, "PORT 203,0,113,1,%u,%u\r\n", &high, &low), 2);
	return (uint16_t)(high << 8 | low);
}

static enum reason
syn_in(struct rig *rig, uint32_t from, uint16_t to)
{
	rig_clear(rig);
	return rig_tcp(rig, OUTSIDE, from, 20, GW_OUTSIDE, to, TCP_SYN);
}

static void
an_end_that_a_client_names_becomes_the_outside_one(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	uint16_t port = port_in(say(&t, "PORT 10,0,0,10,15,161\r\n"));
	struct got g;

	assert_int_equal(syn_in(rig, SERVER, port), REASON_NAT_IN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.dport, 4001);
}

static void
only_the_server_is_let_in_and_only_for_two_minutes(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	uint16_t port = port_in(say(&t, "PORT 10,0,0,10,15,161\r\n"));

	assert_int_equal(syn_in(rig, SERVER2, port), DROP_NAT_FILTERED);
	rig_wait(rig, FTP_ALG_PIN_S * S + 1);
	assert_int_equal(syn_in(rig, SERVER, port), DROP_NAT_UNSOLICITED);
}

static void
the_next_end_takes_the_place_of_the_last(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	uint16_t one = port_in(say(&t, "PORT 10,0,0,10,15,161\r\n"));
	uint16_t two;

	assert_int_equal(syn_in(rig, SERVER, one), REASON_NAT_IN);
	two = port_in(say(&t, "PORT 10,0,0,10,15,162\r\n"));
	assert_int_not_equal(one, two);
	/* What has begun goes on; no more begins. */
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, SERVER, 20, GW_OUTSIDE, one, TCP_SYN),
	    REASON_NAT_IN);
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, SERVER, 19, GW_OUTSIDE, one, TCP_SYN),
	    DROP_NAT_FILTERED);
	assert_int_equal(syn_in(rig, SERVER, two), REASON_NAT_IN);
}

static void
numbers_move_both_ways_and_come_again_alike(void **state)
{
	static const uint32_t begins[] = { 100, 0xfffffff0 };

	for (size_t i = 0; i < 2; i++) {
		struct rig *rig = start(state, true);
		struct talk t = begin(rig, begins[i], "USER a\r\n");
		uint32_t at = t.seq, grown;
		uint8_t first[64];
		struct got g = say(&t, "PORT 10,0,0,10,15,161\r\n");
		size_t n = g.tcp.data_bytes;

		assert_int_equal(g.tcp.seq, at);
		memcpy(first, g.tcp.data, n);
		grown = (uint32_t)(n - strlen("PORT 10,0,0,10,15,161\r\n"));
		assert_int_not_equal(grown, 0);
		g = say(&t, "RETR b\r\n");
		assert_int_equal(g.tcp.seq,
		    (uint32_t)(t.seq - strlen("RETR b\r\n") + grown));
		assert_data(g, "RETR b\r\n");
		/* The server has all, or all but the last, or nothing. */
		assert_int_equal(answer(&t, t.seq + grown).tcp.ack, t.seq);
		assert_int_equal(answer(&t, at + (uint32_t)n).tcp.ack,
		    (uint32_t)(at + strlen("PORT 10,0,0,10,15,161\r\n")));
		assert_int_equal(answer(&t, at).tcp.ack, at);
		/* Sent again, it is the same, alone or with what follows. */
		assert_int_equal(
		    say_with(&t, at, "PORT 10,0,0,10,15,161\r\n", 0),
		    REASON_NAT_OUT);
		g = rig_got(rig, OUTSIDE);
		assert_int_equal(g.tcp.seq, at);
		assert_int_equal(g.tcp.data_bytes, n);
		assert_memory_equal(g.tcp.data, first, n);
		assert_int_equal(
		    say_with(&t, at, "PORT 10,0,0,10,15,161\r\nRETR b\r\n", 0),
		    REASON_NAT_OUT);
		g = rig_got(rig, OUTSIDE);
		assert_memory_equal(g.tcp.data, first, n);
		assert_int_equal(g.tcp.data_bytes, n + 8);
		/* In other pieces it cannot be. */
		assert_int_equal(
		    say_with(&t, at + 8, "0,0,10,15,161\r\n", 0), DROP_NAT_ALG);
		rig_free(rig);
	}
	*state = rig_new(0);
}

static void
edges_of_sack_move_back(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	struct got g;
	uint32_t grown, left = t.seq;
	uint8_t bytes[128];
	struct writer w = writer(bytes, sizeof(bytes));
	struct eth eth = { .dst = rig->peer[OUTSIDE].gw_mac,
		.src = rig_mac(SERVER),
		.type = ETH_IPV4 };
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_TCP,
		.src = SERVER,
		.dst = GW_OUTSIDE,
		.total_bytes = 52 };
	uint8_t *tcp = bytes + 34;

	g = say(&t, "PORT 10,0,0,10,15,161\r\n");
	grown = (uint32_t)g.tcp.data_bytes - (t.seq - left);
	left = t.seq;
	say(&t, "RETR b\r\n");
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	memset(tcp, 0, 32);
	put_be16(tcp, t.remote_port);
	put_be16(tcp + 2, t.out_port);
	put_be32(tcp + 8, left + grown);
	tcp[12] = 8 << 4;
	tcp[13] = TCP_ACK;
	tcp[20] = 1; /* at an odd place */
	tcp[21] = 5;
	tcp[22] = 10;
	put_be32(tcp + 23, left + grown + 2);
	put_be32(tcp + 27, t.seq + grown);
	put_be16(tcp + TCP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(
		csum_pseudo4(SERVER, GW_OUTSIDE, IP_TCP, 32), tcp, 32)));
	rig_clear(rig);
	assert_int_equal(rig_send(rig, OUTSIDE, bytes, 66), REASON_NAT_IN);
	g = rig_got(rig, INSIDE); /* its checksum is right */
	assert_int_equal(g.tcp.ack, left);
	assert_int_equal(get_be32(g.seen->data + 34 + 23), left + 2);
	assert_int_equal(get_be32(g.seen->data + 34 + 27), t.seq);
}

static void
a_checksum_yet_to_be_finished_is_right_in_the_end(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	struct got g;

	assert_int_equal(
	    say_with(&t, t.seq, "PORT 10,0,0,10,15,161\r\n", FRAME_CSUM),
	    REASON_NAT_OUT);
	g = rig_got(rig, OUTSIDE); /* finished there, it is right */
	assert_int_equal(g.seen->flags, FRAME_CSUM);
	port_in(g);
}

static void
damage_is_not_covered_up(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	struct pkt pkt;
	struct form f = form(ALICE, 5000, SERVER, FTP_PORT);
	struct cursor c;
	struct ip4 ip;
	struct tcp tcp;

	f.flags = TCP_ACK;
	f.seq = t.seq;
	f.data_bytes = 23;
	pkt_make(&pkt, &rig->peer[INSIDE], &f, IP_TCP, 0);
	memcpy(pkt.bytes + 54, "PORT 10,0,0,10,15,161\r\n", 23);
	rig_clear(rig);
	assert_int_equal(
	    rig_send(rig, INSIDE, pkt.bytes, pkt.len), REASON_NAT_OUT);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	c = cursor(rig->peer[OUTSIDE].seen[0].data + 14,
	    rig->peer[OUTSIDE].seen[0].len - 14);
	assert_int_equal(ip4_parse(&ip, &c), REASON_NONE);
	assert_int_equal(tcp_parse(&tcp, &c, &ip, false), DROP_L4_CHECKSUM);
}

/* What looks like it, and is not; or is not the speaker's to name. */
static void
other_lines_are_left_alone(void **state)
{
	static const struct {
		const char *first, *line;
	} rows[] = {
		{ "USER a\r\n", "PORT 10,0,0,11,15,161\r\n" }, /* another's */
		{ "USER a\r\n", "PORT 10,0,0,10,0,80\r\n" },
		{ "USER a\r\n", "PORT 10,0,0,10,15" }, /* not whole */
		{ "USER a\r\n", "RETR PORT 10,0,0,10,15,161\r\n" },
		{ "POST / HTTP/1.1\r\n", "PORT 10,0,0,10,15,161\r\n" },
		{ "US", "PORT 10,0,0,10,15,161\r\n" },
		{ "USER a\r\nx", "PORT 10,0,0,10,15,161\r\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig *rig = start(state, true);
		struct talk t = begin(rig, 100, rows[i].first);

		assert_data(say(&t, rows[i].line), rows[i].line);
		rig_free(rig);
	}
	*state = rig_new(0);
}

static void
after_a_gap_lines_are_read_again_where_one_begins(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");

	t.seq += 10; /* lost before it came here */
	assert_data(
	    say(&t, "PORT 10,0,0,10,15,161\r\n"), "PORT 10,0,0,10,15,161\r\n");
	port_in(say(&t, "PORT 10,0,0,10,15,161\r\n"));
}

static void
a_server_inside_tells_its_outside_end(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = { .rig = rig,
		.in_port = FTP_PORT,
		.remote_port = 7000,
		.seq = 100,
		.ack = 5000 };
	struct tcp tcp = { .sport = FTP_PORT,
		.dport = 7000,
		.seq = t.seq++,
		.flags = TCP_SYN };
	struct got g;
	char text[64];
	unsigned int port;

	rig_clear(rig);
	assert_int_equal(
	    segment(rig, INSIDE, &tcp, ALICE, SERVER, "", 0), REASON_NAT_NEW);
	say(&t, "220 hello\r\n");
	g = say(&t, "227 Here (10,0,0,10,15,161).\r\n");
	assert_memory_equal(g.tcp.data, "227 Here (203,0,113,1,", 22);
	g = say(&t, "229 Here (|||4001|)\r\n");
	snprintf(text, sizeof(text), "%.*s", (int)g.tcp.data_bytes,
	    (const char *)g.tcp.data);
	assert_int_equal(sscanf(text, "229 Here (|||%u|)\r\n", &port), 1);
	assert_int_not_equal(port, 4001);
	assert_int_equal(syn_in(rig, SERVER, (uint16_t)port), REASON_NAT_IN);
}

static void
rfc4787_req10_ftp_is_off_by_default(void **state)
{
	struct rig *rig = start(state, false);
	struct talk t = begin(rig, 100, "USER a\r\n");

	assert_false(nat_rules_default.ftp);
	for (int p = 0; p < NAT_PRESETS; p++)
		assert_false(nat_preset((enum nat_preset)p)->ftp);
	assert_data(
	    say(&t, "PORT 10,0,0,10,15,161\r\n"), "PORT 10,0,0,10,15,161\r\n");
}

static void
rfc4787_req10a_ftp_is_switched_while_connections_live(void **state)
{
	struct rig *rig = start(state, false);
	struct nat_rules rules = *router_nat_rules(rig->router);
	struct err err = { "" };
	struct talk t;
	uint32_t grown;
	struct got g;

	rules.ftp = true;
	assert_int_equal(router_change_nat(rig->router, &rules, &err), 0);
	t = begin(rig, 100, "USER a\r\n");
	g = say(&t, "PORT 10,0,0,10,15,161\r\n");
	port_in(g);
	grown = (uint32_t)g.tcp.data_bytes - 23;
	rules.ftp = false;
	assert_int_equal(router_change_nat(rig->router, &rules, &err), 0);
	/* What was moved goes on to be; nothing else is. */
	g = say(&t, "PORT 10,0,0,10,15,161\r\n");
	assert_data(g, "PORT 10,0,0,10,15,161\r\n");
	assert_int_equal(g.tcp.seq, t.seq - 23 + grown);
}

static void
rfc5382_req6_no_tcp_payload_is_touched(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	struct form f = form(ALICE, 5001, SERVER, 80);

	(void)t;
	f.flags = TCP_SYN;
	f.data_bytes = 0;
	rig_form(rig, INSIDE, &f, IP_TCP, 0);
	rig_clear(rig);
	f.flags = TCP_ACK;
	f.data_bytes = 600;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_TCP, 0), REASON_NAT_OUT);
	for (size_t i = 0; i < 600; i++)
		assert_int_equal(
		    rig_got(rig, OUTSIDE).tcp.data[i], rig_byte(i));
}

/* One host cannot keep others from being helped, nor can those that ended. */
static void
many_connections_take_no_more_than_their_share(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t;

	for (uint16_t port = 10000; port < 10000 + 2 * FTP_CONTROLS_OF_HOST;
	     port++)
		rig_tcp(rig, INSIDE, BOB, port, SERVER, FTP_PORT, TCP_SYN);
	t = begin(rig, 100, "USER a\r\n");
	port_in(say(&t, "PORT 10,0,0,10,15,161\r\n"));
	rig_wait(rig, 241 * S); /* Bob's were never answered */
	rig_clear(rig);
	assert_int_equal(
	    rig_tcp(rig, INSIDE, BOB, 9999, SERVER, FTP_PORT, TCP_SYN),
	    REASON_NAT_NEW);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_end_that_a_client_names_becomes_the_outside_one),
		T(only_the_server_is_let_in_and_only_for_two_minutes),
		T(the_next_end_takes_the_place_of_the_last),
		T(numbers_move_both_ways_and_come_again_alike),
		T(edges_of_sack_move_back),
		T(a_checksum_yet_to_be_finished_is_right_in_the_end),
		T(damage_is_not_covered_up),
		T(other_lines_are_left_alone),
		T(after_a_gap_lines_are_read_again_where_one_begins),
		T(a_server_inside_tells_its_outside_end),
		T(rfc4787_req10_ftp_is_off_by_default),
		T(rfc4787_req10a_ftp_is_switched_while_connections_live),
		T(rfc5382_req6_no_tcp_payload_is_touched),
		T(many_connections_take_no_more_than_their_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
