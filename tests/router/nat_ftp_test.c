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
	rig_wait(rig, FTP_PIN_S * S + 1);
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
		/* In other pieces, the text comes with each. */
		assert_int_equal(say_with(&t, at + 8, "0,0,10,15,161\r\n", 0),
		    REASON_NAT_OUT);
		g = rig_got(rig, OUTSIDE);
		assert_int_equal(g.tcp.seq, at + 5);
		assert_int_equal(g.tcp.data_bytes, n - 5);
		assert_memory_equal(g.tcp.data, first + 5, n - 5);
		assert_int_equal(
		    say_with(&t, at, "PORT 10,0", 0), REASON_NAT_OUT);
		g = rig_got(rig, OUTSIDE);
		assert_int_equal(g.tcp.data_bytes, n - 2);
		assert_memory_equal(g.tcp.data, first, n - 2);
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

/* ---- in pieces ---- */

/* The server's side: what it has of the stream, in order. */
struct server {
	uint32_t next; /* number of what it lacks */
	char text[512];
	size_t n;
};

/* Takes all that came to the server, as its TCP would.  True: it was more. */
static bool
serve(struct server *server, struct rig *rig)
{
	const struct peer *peer = &rig->peer[OUTSIDE];
	bool more = false;

	for (unsigned int i = 0; i < peer->n; i++) {
		struct got g = got_of(&peer->seen[i]);
		uint32_t skip = server->next - g.tcp.seq;

		if (skip > g.tcp.data_bytes)
			continue; /* beyond a gap */
		more = more || g.tcp.data_bytes > skip;
		for (size_t k = skip; k < g.tcp.data_bytes; k++)
			server->text[server->n++] = (char)g.tcp.data[k];
		server->next = g.tcp.seq + (uint32_t)g.tcp.data_bytes;
		server->text[server->n] = '\0';
	}
	return more;
}

static void
assert_port_line(const char *text, const char *after)
{
	unsigned int high, low;
	int n = 0;

	assert_int_equal(
	    sscanf(text, "PORT 203,0,113,1,%u,%u\r\n%n", &high, &low, &n), 2);
	assert_int_not_equal(high << 8 | low, 4001);
	assert_string_equal(text + n, after);
}

/* What alice is told has come; 0: nothing new. */
static uint32_t
told(struct rig *rig)
{
	const struct peer *peer = &rig->peer[INSIDE];
	struct got g;

	if (peer->n == 0)
		return 0;
	g = got_of(&peer->seen[peer->n - 1]);
	assert_int_equal(g.ip.src, SERVER);
	assert_int_equal(g.sport, FTP_PORT);
	assert_int_equal(g.dport, 5000);
	assert_int_equal(g.ip.dst, ALICE);
	return g.tcp.ack;
}

/* In whatever two pieces the line comes, the server gets one line; and alice is
 * told at once that the first piece came, for she may wait for that. */
static void
a_line_in_two_segments_is_translated(void **state)
{
	static const char line[] = "PORT 10,0,0,10,15,161\r\nNOOP\r\n";

	for (size_t cut = 1; cut < strlen(line) - 6; cut++) {
		struct rig *rig = start(state, true);
		struct talk t = begin(rig, 100, "USER a\r\n");
		struct server server = { .next = t.seq };
		uint32_t at = t.seq;
		bool held = cut < 23;
		char first[64];

		answer(&t, t.seq);
		snprintf(first, sizeof(first), "%.*s", (int)cut, line);
		assert_int_equal(say_with(&t, at, first, 0),
		    held ? REASON_NAT_ALG_HELD : REASON_NAT_OUT);
		assert_int_equal(
		    rig->peer[OUTSIDE].n, 1); /* its ack, at least */
		assert_int_equal(serve(&server, rig), !held);
		assert_int_equal(told(rig), held ? at + cut : 0);
		assert_int_equal(
		    say_with(&t, at + (uint32_t)cut, line + cut, 0),
		    REASON_NAT_OUT);
		serve(&server, rig);
		assert_port_line(server.text, "NOOP\r\n");
		t.seq += (uint32_t)strlen(line);
		assert_int_equal(answer(&t, server.next).tcp.ack, t.seq);
		rig_free(rig);
	}
	*state = rig_new(0);
}

static void
a_line_that_is_typed_is_translated(void **state)
{
	static const char line[] = "EPRT |1|10.0.0.10|4001|\r\n";
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	struct server server = { .next = t.seq };
	unsigned int port;

	answer(&t, t.seq);
	for (size_t i = 0; i < strlen(line); i++) {
		char c[2] = { line[i], '\0' };

		say_with(&t, t.seq, c, 0);
		serve(&server, rig);
		t.seq++;
		if (line[i] == '\n')
			break;
		assert_int_equal(told(rig), t.seq);
		assert_int_equal(server.n, 0);
	}
	assert_int_equal(
	    sscanf(server.text, "EPRT |1|203.0.113.1|%u|\r\n", &port), 1);
	assert_int_equal(answer(&t, server.next).tcp.ack, t.seq);
}

/* Lost beyond the router; alice has been told that its begin came. */
static void
what_was_held_back_is_sent_until_it_has_come(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	struct server server = { .next = t.seq };
	uint32_t at = t.seq;

	answer(&t, t.seq);
	say_with(&t, at, "PORT 10,0,0,1", 0);
	assert_int_equal(told(rig), at + 13);
	/* Once more, since she was not told. */
	say_with(&t, at, "PORT 10,0,0,1", 0);
	assert_int_equal(told(rig), at + 13);
	/* The rest, which is lost; she does not take back what she knows. */
	say_with(&t, at + 13, "0,15,161\r\nNOOP\r\n", 0);
	assert_int_equal(answer(&t, at).tcp.ack, at);
	/* Again, in ever smaller pieces. */
	say_with(&t, at + 13, "0,15", 0);
	serve(&server, rig);
	say_with(&t, at + 17, ",161\r\nNO", 0);
	serve(&server, rig);
	say_with(&t, at + 25, "OP\r\n", 0);
	serve(&server, rig);
	assert_port_line(server.text, "NOOP\r\n");
	assert_int_equal(answer(&t, server.next).tcp.ack, at + 29);
}

static void
alice_is_told_of_it_only_when_the_server_has_what_is_before(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	uint32_t at = t.seq;

	/* Nothing was acknowledged yet. */
	say_with(&t, at, "NOOP\r\nPORT 1", 0);
	assert_int_equal(told(rig), 0);
	assert_data(rig_got(rig, OUTSIDE), "NOOP\r\n");
	assert_int_equal(answer(&t, at).tcp.ack, at);
	/* The answer to what was sent tells of what is held back, too. */
	assert_int_equal(answer(&t, at + 6).tcp.ack, at + 12);
}

static void
what_asks_whether_the_server_is_alive_is_answered(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	uint32_t at = t.seq;

	answer(&t, at);
	say_with(&t, at, "PORT", 0);
	/* Just before what the server waits for, so that it says so. */
	assert_int_equal(say_with(&t, at + 3, "", 0), REASON_NAT_OUT);
	assert_int_equal(rig_got(rig, OUTSIDE).tcp.seq, at - 1);
	assert_int_equal(say_with(&t, at + 4, "", 0), REASON_NAT_OUT);
	assert_int_equal(rig_got(rig, OUTSIDE).tcp.seq, at);
	assert_int_equal(answer(&t, at).tcp.ack, at + 4);
}

static void
the_end_of_the_stream_brings_what_was_held_back(void **state)
{
	static const struct {
		const char *held, *last;
	} rows[] = {
		{ "PORT 10,0", "" },
		{ "PORT 10,0", ",0" },
		{ "", "NOOP\r\nPOR" },
		{ "P", "OLL" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig *rig = start(state, true);
		struct talk t = begin(rig, 100, "USER a\r\n");
		struct server server = { .next = t.seq };
		struct tcp fin = { .sport = 5000,
			.dport = FTP_PORT,
			.seq = t.seq + (uint32_t)strlen(rows[i].held),
			.ack = 5000,
			.flags = TCP_ACK | TCP_FIN };
		char all[64];

		answer(&t, t.seq);
		if (rows[i].held[0] != '\0')
			say_with(&t, t.seq, rows[i].held, 0);
		for (int again = 0; again < 2; again++) {
			struct got g;

			rig_clear(rig);
			segment(
			    rig, INSIDE, &fin, ALICE, SERVER, rows[i].last, 0);
			g = rig_got(rig, OUTSIDE);
			assert_true(g.tcp.flags & TCP_FIN);
			serve(&server, rig);
			assert_int_equal(
			    g.tcp.seq + g.tcp.data_bytes, server.next);
		}
		snprintf(all, sizeof(all), "%s%s", rows[i].held, rows[i].last);
		assert_string_equal(server.text, all);
		rig_free(rig);
	}
	*state = rig_new(0);
}

/* What is held back is bounded; what is longer comes as it is, and says so. */
static void
a_long_line_in_pieces_passes_as_it_is(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	struct server server = { .next = t.seq };
	char all[FTP_HELD_BYTES + 41] = "PORT 10,0,0,10,15,161", part[41];
	size_t n = strlen(all);
	unsigned int left = 0;

	memset(all + n, ' ', sizeof(all) - n);
	all[sizeof(all) - 2] = '\n';
	all[sizeof(all) - 1] = '\0';
	answer(&t, t.seq);
	for (size_t at = 0; at < sizeof(all) - 1; at += 40) {
		snprintf(part, sizeof(part), "%.40s", all + at);
		left += say_with(&t, t.seq + (uint32_t)at, part, 0) ==
		    REASON_NAT_ALG_LEFT;
		serve(&server, rig);
	}
	assert_int_equal(left, 1);
	assert_string_equal(server.text, all);
	/* The next one is read. */
	t.seq += (uint32_t)strlen(all);
	assert_int_equal(answer(&t, server.next).tcp.ack, t.seq);
	port_in(say(&t, "PORT 10,0,0,10,15,161\r\n"));
}

static void
other_lines_in_pieces_are_not_held_up(void **state)
{
	static const char *const pieces[][3] = {
		{ "PAS", "V\r\n" },
		{ "P", "ASS x", "\r\n" },
		{ "PORT 10,0,0,11", ",15,161\r\n" },
		{ "PORT 10,0,0,10,0", ",80\r\n" },
		{ "PORTS", " 10,0,0,10,15,161\r\n" },
		{ "RETR ", "PORT 10,0,0,10,15,161\r\n" },
	};

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct rig *rig = start(state, true);
		struct talk t = begin(rig, 100, "USER a\r\n");
		struct server server = { .next = t.seq };
		char all[64] = "";

		answer(&t, t.seq);
		for (size_t k = 0; k < 3 && pieces[i][k] != NULL; k++) {
			say_with(
			    &t, t.seq + (uint32_t)strlen(all), pieces[i][k], 0);
			strcat(all, pieces[i][k]);
			serve(&server, rig);
		}
		assert_string_equal(server.text, all);
		assert_int_equal(answer(&t, server.next).tcp.ack,
		    t.seq + (uint32_t)strlen(all));
		rig_free(rig);
	}
	*state = rig_new(0);
}

static void
an_opening_in_pieces_is_one(void **state)
{
	static const struct {
		const char *one, *two;
		bool is_ftp;
	} rows[] = {
		{ "US", "ER a\r\n", true },
		{ "POST / ", "HTTP/1.1\r\n", false },
		{ "PO", "RT 10,0,0,10,15,161\r\n", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig *rig = start(state, true);
		struct talk t = begin(rig, 100, rows[i].one);
		struct got g;

		assert_data(say(&t, rows[i].two), rows[i].two);
		g = say(&t, "PORT 10,0,0,10,15,161\r\n");
		assert_int_equal(g.tcp.data_bytes != 23 || g.tcp.data[5] != '1',
		    rows[i].is_ftp);
		rig_free(rig);
	}
	*state = rig_new(0);
}

static void
what_comes_early_is_read_in_its_place(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	struct server server = { .next = t.seq };

	assert_int_equal(
	    say_with(&t, t.seq + 13, "0,15,161\r\n", 0), DROP_NAT_ALG_ORDER);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	say_with(&t, t.seq, "PORT 10,0,0,1", 0);
	serve(&server, rig);
	say_with(&t, t.seq + 13, "0,15,161\r\n", 0);
	serve(&server, rig);
	assert_port_line(server.text, "");
}

/* If what is missing never comes, reading goes on where a line begins. */
static void
a_gap_that_stays_is_left_behind(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	unsigned int n = 0;

	t.seq += 10;
	while (say_with(&t, t.seq, "PORT 10,0,0,10,15,161\r\n", 0) ==
	    DROP_NAT_ALG_ORDER)
		assert_true(++n < 10);
	assert_data(rig_got(rig, OUTSIDE), "PORT 10,0,0,10,15,161\r\n");
	t.seq += 23;
	port_in(say(&t, "PORT 10,0,0,10,15,161\r\n"));
}

static void
the_stamp_of_what_tells_alice_is_the_servers(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	uint8_t stamps[2][12] = { { 1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 1 },
		{ 1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7 } };
	uint32_t src[2] = { SERVER, ALICE }, dst[2] = { GW_OUTSIDE, SERVER };
	struct got g;

	for (int i = 0; i < 2; i++) {
		uint8_t bytes[128];
		struct writer w = writer(bytes, sizeof(bytes));
		int from = i == 0 ? OUTSIDE : INSIDE;
		struct eth eth = { .dst = rig->peer[from].gw_mac,
			.src = rig_mac(src[i]),
			.type = ETH_IPV4 };
		size_t n = i == 0 ? 0 : 2;
		struct ip4 ip = { .ttl = 64,
			.protocol = IP_TCP,
			.src = src[i],
			.dst = dst[i],
			.total_bytes = (uint16_t)(52 + n) };
		uint8_t *tcp = bytes + 34;

		eth_write(&w, &eth);
		ip4_write(&w, &ip);
		memset(tcp, 0, 32);
		put_be16(tcp, i == 0 ? FTP_PORT : t.in_port);
		put_be16(tcp + 2, i == 0 ? t.out_port : FTP_PORT);
		put_be32(tcp + 4, i == 0 ? 5000 : t.seq);
		put_be32(tcp + 8, i == 0 ? t.seq : 5000);
		tcp[12] = 8 << 4;
		tcp[13] = TCP_ACK;
		put_be16(tcp + 14, 777);
		memcpy(tcp + 20, stamps[i], 12);
		memcpy(tcp + 32, "PO", n);
		put_be16(tcp + TCP_OFF_CHECKSUM,
		    csum_finish(csum_add_bytes(csum_pseudo4(src[i], dst[i],
						   IP_TCP, (uint16_t)(32 + n)),
			tcp, 32 + n)));
		rig_clear(rig);
		rig_send(rig, from, bytes, 66 + n);
	}
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.tcp.ack, t.seq + 2);
	assert_int_equal(g.tcp.seq, 5000);
	assert_int_equal(g.tcp.window, 777);
	assert_memory_equal(
	    g.seen->data + 34 + 20, "\1\1\10\12\0\0\0\7\0\0\0\11", 12);
}

static void
a_syn_that_comes_again_forgets_nothing(void **state)
{
	struct rig *rig = start(state, true);
	struct talk t = begin(rig, 100, "USER a\r\n");
	struct tcp syn = {
		.sport = 5000, .dport = FTP_PORT, .seq = 100, .flags = TCP_SYN
	};
	struct got g = say(&t, "PORT 10,0,0,10,15,161\r\n");
	uint32_t grown = (uint32_t)g.tcp.data_bytes - 23;

	segment(rig, INSIDE, &syn, ALICE, SERVER, "", 0);
	g = say(&t, "NOOP\r\n");
	assert_int_equal(g.tcp.seq, t.seq - 6 + grown);
}

/* Bob is reached by Alice at the outer address, by a forward of port 21. */
static void
between_two_inside_hosts_both_are_translated(void **state)
{
	struct rig *rig = start(state, true);
	struct router_forward forward = { .protocol = IP_TCP,
		.in_ip = BOB,
		.in_port = FTP_PORT,
		.out_port = FTP_PORT };
	struct err err = { "" };
	struct tcp tcp = {
		.sport = 5000, .dport = FTP_PORT, .seq = 100, .flags = TCP_SYN
	};
	uint16_t out_port;
	uint32_t grown;
	struct got g;

	assert_int_equal(router_add_forward(rig->router, &forward, &err), 0);
	rig_clear(rig);
	assert_int_equal(segment(rig, INSIDE, &tcp, ALICE, GW_OUTSIDE, "", 0),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.ip.dst, BOB);
	out_port = g.sport;
	/* Bob answers, and says hello. */
	tcp = (struct tcp){ .sport = FTP_PORT,
		.dport = out_port,
		.seq = 900,
		.ack = 101,
		.flags = TCP_SYN | TCP_ACK };
	segment(rig, INSIDE, &tcp, BOB, GW_OUTSIDE, "", 0);
	tcp.seq++;
	tcp.flags = TCP_ACK;
	segment(rig, INSIDE, &tcp, BOB, GW_OUTSIDE, "220 hello\r\n", 0);
	/* Alice names an end, and means her outside one. */
	tcp = (struct tcp){ .sport = 5000,
		.dport = FTP_PORT,
		.seq = 101,
		.ack = 912,
		.flags = TCP_ACK };
	segment(rig, INSIDE, &tcp, ALICE, GW_OUTSIDE, "USER a\r\n", 0);
	tcp.seq += 8;
	rig_clear(rig);
	segment(rig, INSIDE, &tcp, ALICE, GW_OUTSIDE,
	    "PORT 10,0,0,10,15,161\r\n", 0);
	g = rig_got(rig, INSIDE);
	port_in(g);
	grown = (uint32_t)g.tcp.data_bytes - 23;
	/* Bob has it, and names an end of his. */
	tcp = (struct tcp){ .sport = FTP_PORT,
		.dport = out_port,
		.seq = 912,
		.ack = 132 + grown,
		.flags = TCP_ACK };
	rig_clear(rig);
	segment(rig, INSIDE, &tcp, BOB, GW_OUTSIDE,
	    "227 Here (10,0,0,11,15,161).\r\n", 0);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.tcp.ack, 132);
	assert_int_equal(g.tcp.seq, 912);
	assert_memory_equal(g.tcp.data, "227 Here (203,0,113,1,", 22);
	/* What she acknowledges of it is his. */
	tcp = (struct tcp){ .sport = 5000,
		.dport = FTP_PORT,
		.seq = 132,
		.ack = 912 + (uint32_t)g.tcp.data_bytes,
		.flags = TCP_ACK };
	rig_clear(rig);
	segment(rig, INSIDE, &tcp, ALICE, GW_OUTSIDE, "", 0);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, BOB);
	assert_int_equal(g.tcp.ack, 912 + 30);
	assert_int_equal(g.tcp.seq, 132 + grown);
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
		T(a_line_in_two_segments_is_translated),
		T(a_line_that_is_typed_is_translated),
		T(what_was_held_back_is_sent_until_it_has_come),
		T(alice_is_told_of_it_only_when_the_server_has_what_is_before),
		T(what_asks_whether_the_server_is_alive_is_answered),
		T(the_end_of_the_stream_brings_what_was_held_back),
		T(a_long_line_in_pieces_passes_as_it_is),
		T(other_lines_in_pieces_are_not_held_up),
		T(an_opening_in_pieces_is_one),
		T(what_comes_early_is_read_in_its_place),
		T(a_gap_that_stays_is_left_behind),
		T(the_stamp_of_what_tells_alice_is_the_servers),
		T(a_syn_that_comes_again_forgets_nothing),
		T(between_two_inside_hosts_both_are_translated),
		T(a_server_inside_tells_its_outside_end),
		T(rfc4787_req10_ftp_is_off_by_default),
		T(rfc4787_req10a_ftp_is_switched_while_connections_live),
		T(rfc5382_req6_no_tcp_payload_is_touched),
		T(many_connections_take_no_more_than_their_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
