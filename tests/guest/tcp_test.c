/*
 * One stack, and a peer that says exactly what the test wants it to.
 */
#include "tests/guest/wire.h"

#include "net/checksum.h"

#define US   0x0a000001u /* the stack */
#define THEM 0x0a000002u /* the test */
#define PORT 80
#define PEER 4000
#define ISS  1000u /* the peer's first sequence number */

#define SENT_MAX 64

/* What the stack sent, as the test reads it. */
struct segment {
	struct tcp tcp;
	uint8_t data[1600];
	uint64_t at_us;
};

struct script {
	struct wire *wire;
	struct stack *stack;
	struct segment sent[SENT_MAX];
	unsigned int nsent, taken;
	uint32_t iss; /* the stack's */
	struct tcplisten *listener;
	struct tcpconn *conn;
	bool wake;
};

static const struct mac our_mac = { { 2, 0, 0, 0, 0, 1 } };
static const struct mac their_mac = { { 2, 0, 0, 0, 0, 2 } };

static void
answer_arp(struct wire *wire)
{
	const struct arp arp = {
		.op = ARP_REPLY,
		.sender_mac = their_mac,
		.sender_ip = THEM,
		.target_mac = our_mac,
		.target_ip = US,
	};
	const struct eth eth = { our_mac, their_mac, ETH_ARP, 0, { { 0, 0 } } };
	uint8_t frame[64];
	struct writer w = writer(frame, sizeof(frame));

	eth_write(&w, &eth);
	arp_write(&w, &arp);
	wire_put(wire, 0, frame, (size_t)(w.at - frame));
}

static void
sent(struct wire *wire, unsigned int from, const uint8_t *frame, size_t len)
{
	struct script *s = wire->arg;
	struct cursor c = cursor(frame, len);
	struct segment *seg;
	struct eth eth;
	struct ip4 ip;

	(void)from;
	assert_int_equal(eth_parse(&eth, &c), DROP_NONE);
	if (eth.type == ETH_ARP)
		answer_arp(wire);
	if (eth.type != ETH_IPV4)
		return;
	assert_int_equal(ip4_parse(&ip, &c), DROP_NONE);
	assert_true(ip.total_bytes <= WIRE_MTU);
	if (ip.protocol != IP_TCP)
		return;
	assert_true(s->nsent < SENT_MAX);
	seg = &s->sent[s->nsent++];
	assert_int_equal(tcp_parse(&seg->tcp, &c, &ip, false), DROP_NONE);
	assert_true(seg->tcp.data_bytes <= sizeof(seg->data));
	memcpy(seg->data, seg->tcp.data, seg->tcp.data_bytes);
	seg->tcp.data = seg->data;
	seg->at_us = wire->now_us;
	assert_int_equal(ip.src, US);
	assert_int_equal(ip.dst, THEM);
}

static void
say(struct script *s, const struct tcp *tcp)
{
	uint8_t frame[2000];
	struct writer w = writer(frame, sizeof(frame));
	const struct eth eth = { our_mac, their_mac, ETH_IPV4, 0,
		{ { 0, 0 } } };
	const size_t bytes = TCP_HEADER_BYTES +
	    (tcp->mss && tcp->flags & TCP_SYN ? 4 : 0) + tcp->data_bytes;
	const struct ip4 ip = {
		.total_bytes = (uint16_t)(IP4_HEADER_BYTES + bytes),
		.ttl = 64,
		.protocol = IP_TCP,
		.src = THEM,
		.dst = US,
	};

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	tcp_write(&w, tcp, THEM, US);
	assert_false(w.overrun);
	wire_round(s->wire);
	netif_input(s->wire->station[0]->nif, frame, (size_t)(w.at - frame), 0);
	wire_round(s->wire);
}

/* A segment on the connection: seq counts from the peer's first byte, ack from
 * the stack's; text NULL: none. */
static void
talk(struct script *s, uint8_t flags, int32_t seq, int32_t ack,
    const char *text, uint16_t window)
{
	const struct tcp tcp = {
		.sport = PEER,
		.dport = s->conn != NULL ? s->conn->lport : PORT,
		.seq = ISS + 1 + (uint32_t)seq,
		.ack = flags & TCP_ACK ? s->iss + 1 + (uint32_t)ack : 0,
		.flags = flags,
		.window = window,
		.data = (const uint8_t *)text,
		.data_bytes = text != NULL ? strlen(text) : 0,
	};

	say(s, &tcp);
}

/* The next segment that the stack has sent; fails if there is none. */
static const struct segment *
heard(struct script *s)
{
	assert_true(s->taken < s->nsent);
	return &s->sent[s->taken++];
}

static void
nothing_heard(const struct script *s)
{
	assert_int_equal(s->taken, s->nsent);
}

/* Checks the next segment against flags, numbers as talk() counts, length. */
static void
expect(struct script *s, uint8_t flags, int32_t seq, int32_t ack, size_t bytes)
{
	const struct segment *seg = heard(s);

	assert_int_equal(seg->tcp.flags & ~TCP_PSH, flags);
	assert_int_equal((int32_t)(seg->tcp.seq - s->iss - 1), seq);
	if (flags & TCP_ACK)
		assert_int_equal((int32_t)(seg->tcp.ack - ISS - 1), ack);
	assert_int_equal(seg->tcp.data_bytes, bytes);
}

static void
forget(struct script *s)
{
	s->nsent = s->taken = 0;
}

static int
setup(void **state)
{
	const struct ip6_addr them = ip6_of_ip4(THEM);
	struct script *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->wire = wire_new(11);
	s->wire->delay_us = 0;
	s->wire->sent = sent;
	s->wire->arg = s;
	s->stack = wire_station(s->wire, 0, "10.0.0.1/24");
	/* From the start they know each other. */
	(void)neigh_get(s->wire->station[0]->nif, &them);
	wire_round(s->wire);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct script *s = *state;

	wire_free(s->wire);
	free(s);
	return 0;
}

/* ---- ways into ESTABLISHED ---- */

static void
syn(struct script *s, uint16_t mss, uint16_t window)
{
	const struct tcp tcp = {
		.sport = PEER,
		.dport = PORT,
		.seq = ISS,
		.flags = TCP_SYN,
		.mss = mss,
		.window = window,
	};

	say(s, &tcp);
}

static void
listen_on(struct script *s)
{
	s->listener = tcplisten_new(s->stack, PORT, &s->wake);
	assert_non_null(s->listener);
}

/* The peer connects; the stack accepts. */
static void
accepted_mss(struct script *s, uint16_t mss, uint16_t window)
{
	const struct segment *seg;

	listen_on(s);
	syn(s, mss, window);
	seg = heard(s);
	assert_int_equal(seg->tcp.flags, TCP_SYN | TCP_ACK);
	s->iss = seg->tcp.seq;
	talk(s, TCP_ACK, 0, 0, NULL, window);
	s->conn = tcplisten_accept(s->stack, s->listener);
	assert_non_null(s->conn);
	nothing_heard(s);
	forget(s);
}

static void
accepted(struct script *s)
{
	accepted_mss(s, 1460, 60000);
}

static void
expect_text(struct script *s, const char *text)
{
	char got[4096];
	size_t n = tcpconn_read(s->conn, got, sizeof(got) - 1);

	got[n] = '\0';
	assert_string_equal(got, text);
}

/* ---- opening ---- */

static void
a_listening_port_answers_a_syn(void **state)
{
	struct script *s = *state;
	const struct segment *seg;

	listen_on(s);
	syn(s, 1460, 1000);
	seg = heard(s);
	assert_int_equal(seg->tcp.flags, TCP_SYN | TCP_ACK);
	assert_int_equal(seg->tcp.ack, ISS + 1);
	assert_int_equal(seg->tcp.mss, WIRE_MTU - 40);
	assert_int_equal(seg->tcp.window, TCP_BUFFER_BYTES);
	nothing_heard(s);
	assert_null(tcplisten_accept(s->stack, s->listener));
}

static void
an_answer_to_a_syn_is_repeated_and_given_up(void **state)
{
	struct script *s = *state;
	uint64_t last_us, gap_us = 0;

	listen_on(s);
	syn(s, 1460, 1000);
	last_us = heard(s)->at_us;
	wire_pass(s->wire, 600 * US_PER_S);
	assert_int_equal(s->nsent, 9);
	while (s->taken < s->nsent) {
		const struct segment *seg = heard(s);

		assert_int_equal(seg->tcp.flags, TCP_SYN | TCP_ACK);
		assert_true(seg->at_us - last_us >= gap_us);
		gap_us = seg->at_us - last_us;
		last_us = seg->at_us;
	}
	assert_int_equal(gap_us, 60 * US_PER_S);
	assert_int_equal(s->listener->pending, 0);
}

static void
a_repeated_syn_is_answered_alike(void **state)
{
	struct script *s = *state;
	uint32_t seq;

	listen_on(s);
	syn(s, 1460, 1000);
	seq = heard(s)->tcp.seq;
	syn(s, 1460, 1000);
	assert_int_equal(s->sent[s->taken].tcp.flags, TCP_SYN | TCP_ACK);
	assert_int_equal(heard(s)->tcp.seq, seq);
}

static void
a_closed_port_resets(void **state)
{
	struct script *s = *state;
	const struct segment *seg;

	syn(s, 1460, 1000);
	seg = heard(s);
	assert_int_equal(seg->tcp.flags, TCP_RST | TCP_ACK);
	assert_int_equal(seg->tcp.seq, 0);
	assert_int_equal(seg->tcp.ack, ISS + 1);
	s->iss = 5000;
	talk(s, TCP_ACK, 3, 7, "abc", 100);
	seg = heard(s);
	assert_int_equal(seg->tcp.flags, TCP_RST);
	assert_int_equal(seg->tcp.seq, 5008);
	talk(s, TCP_RST, 0, 0, NULL, 0);
	talk(s, TCP_RST | TCP_ACK, 0, 0, NULL, 0);
	nothing_heard(s);
}

static void
a_handshake_with_a_wrong_number_is_reset(void **state)
{
	struct script *s = *state;

	listen_on(s);
	syn(s, 1460, 1000);
	s->iss = heard(s)->tcp.seq;
	talk(s, TCP_ACK, 0, 77, NULL, 1000);
	expect(s, TCP_RST, 77, 0, 0);
	assert_null(tcplisten_accept(s->stack, s->listener));
	talk(s, TCP_ACK, 0, 0, NULL, 1000);
	assert_non_null(tcplisten_accept(s->stack, s->listener));
}

static void
a_flood_of_syns_leaves_room_for_others(void **state)
{
	struct script *s = *state;
	struct tcp tcp = {
		.dport = PORT, .seq = ISS, .flags = TCP_SYN, .window = 1000
	};
	struct tcplisten *other = tcplisten_new(s->stack, 81, NULL);

	listen_on(s);
	for (unsigned int i = 0; i < 500; i++) {
		tcp.sport = (uint16_t)(10000 + i);
		say(s, &tcp);
		forget(s);
	}
	assert_int_equal(s->listener->pending, TCP_BACKLOG);
	assert_int_equal(
	    s->wire->station[0]->nif->drops[DROP_PORT_FULL], 500 - TCP_BACKLOG);
	tcp.dport = 81;
	say(s, &tcp);
	assert_int_equal(heard(s)->tcp.flags, TCP_SYN | TCP_ACK);
	assert_int_equal(other->pending, 1);
}

/* The stack connects, as nc does. */
static void
opened(struct script *s)
{
	const struct tcp_to to = { .dst = ip6_of_ip4(THEM), .dport = PEER };
	enum reason why;
	const struct segment *seg;

	s->conn = tcpconn_open(s->stack, &to, &s->wake, &why);
	assert_non_null(s->conn);
	seg = heard(s);
	assert_int_equal(seg->tcp.flags, TCP_SYN);
	assert_int_equal(seg->tcp.mss, WIRE_MTU - 40);
	assert_true(seg->tcp.sport >= EPHEMERAL_FIRST);
	s->iss = seg->tcp.seq;
}

static void
connecting_ends_established(void **state)
{
	struct script *s = *state;

	opened(s);
	assert_true(tcpconn_is_connecting(s->conn));
	assert_int_equal(tcpconn_write(s->conn, "early", 5), 5);
	nothing_heard(s);
	talk(s, TCP_SYN | TCP_ACK, -1, 0, NULL, 5000);
	expect(s, TCP_ACK, 0, 0, 5);
	assert_int_equal(s->conn->state, TCP_ESTABLISHED);
	assert_true(s->wake);
}

static void
a_reset_refuses_a_connection(void **state)
{
	struct script *s = *state;

	opened(s);
	talk(s, TCP_RST, 0, 0, NULL, 0); /* without ACK: not believed */
	assert_int_equal(s->conn->state, TCP_SYN_SENT);
	talk(s, TCP_RST | TCP_ACK, 0, 5, NULL, 0); /* the wrong one: no */
	assert_int_equal(s->conn->state, TCP_SYN_SENT);
	talk(s, TCP_RST | TCP_ACK, 0, 0, NULL, 0);
	assert_int_equal(s->conn->state, TCP_CLOSED);
	assert_int_equal(s->conn->error, TCP_REFUSED);
}

static void
a_half_open_peer_is_reset(void **state)
{
	struct script *s = *state;

	opened(s);
	talk(s, TCP_ACK, 50, 500, NULL, 0); /* RFC 9293, 3.5.1, figure 9 */
	expect(s, TCP_RST, 500, 0, 0);
	assert_int_equal(s->conn->state, TCP_SYN_SENT);
}

static void
both_sides_may_open_at_once(void **state)
{
	struct script *s = *state;

	opened(s);
	talk(s, TCP_SYN, -1, 0, NULL, 5000);
	expect(s, TCP_SYN | TCP_ACK, -1, 0, 0);
	assert_int_equal(s->conn->state, TCP_SYN_RECEIVED);
	talk(s, TCP_SYN | TCP_ACK, -1, 0, NULL, 5000);
	talk(s, TCP_ACK, 0, 0, NULL, 5000);
	assert_int_equal(s->conn->state, TCP_ESTABLISHED);
}

static void
nobody_there_is_found_out_in_three_minutes(void **state)
{
	struct script *s = *state;
	const uint64_t start_us = s->wire->now_us;

	opened(s);
	while (s->conn->state != TCP_CLOSED)
		wire_pass(s->wire, US_PER_S);
	assert_int_equal(s->conn->error, TCP_TIMEOUT);
	assert_in_range((s->wire->now_us - start_us) / US_PER_S, 180, 310);
}

/* ---- receiving ---- */

static void
text_in_order_is_read_and_acknowledged(void **state)
{
	struct script *s = *state;

	accepted(s);
	talk(s, TCP_ACK, 0, 0, "hello", 60000);
	nothing_heard(s); /* delayed */
	wire_pass(s->wire, 500 * US_PER_MS);
	expect(s, TCP_ACK, 0, 5, 0);
	talk(s, TCP_ACK, 5, 0, " wor", 60000);
	talk(s, TCP_ACK, 9, 0, "ld", 60000);
	expect(s, TCP_ACK, 0, 11, 0); /* every second at once */
	expect_text(s, "hello world");
}

static void
early_text_is_kept(void **state)
{
	struct script *s = *state;

	accepted(s);
	talk(s, TCP_ACK, 6, 0, "world", 60000);
	expect(s, TCP_ACK, 0, 0, 0);
	talk(s, TCP_ACK, 12, 0, "and", 60000);
	expect(s, TCP_ACK, 0, 0, 0);
	talk(s, TCP_ACK, 10, 0, "d a", 60000); /* joins the two */
	expect(s, TCP_ACK, 0, 0, 0);
	expect_text(s, "");
	talk(s, TCP_ACK, 0, 0, "hello ", 60000);
	expect(s, TCP_ACK, 0, 15, 0);
	expect_text(s, "hello world and");
}

static void
more_early_pieces_than_we_keep_come_again(void **state)
{
	struct script *s = *state;

	accepted(s);
	for (int32_t i = 1; i <= TCP_RANGES + 2; i++)
		talk(s, TCP_ACK, 2 * i, 0, "x", 60000);
	assert_int_equal(s->conn->nranges, TCP_RANGES);
	for (int32_t i = 0; i <= 2 * TCP_RANGES; i++)
		talk(s, TCP_ACK, i, 0, i % 2 ? "o" : "x", 60000);
	expect_text(s, "xoxoxoxox");
}

static void
text_that_came_before_is_not_taken_twice(void **state)
{
	struct script *s = *state;

	accepted(s);
	talk(s, TCP_ACK, 0, 0, "hello", 60000);
	talk(s, TCP_ACK, 0, 0, "hello", 60000);
	expect(s, TCP_ACK, 0, 5, 0); /* at once */
	talk(s, TCP_ACK, 3, 0, "lo you", 60000);
	expect(s, TCP_ACK, 0, 9, 0);
	expect_text(s, "hello you");
}

static void
text_beyond_the_window_is_cut(void **state)
{
	struct script *s = *state;
	static char text[1461];
	const int32_t full = TCP_BUFFER_BYTES / 1460 * 1460;
	char got[TCP_BUFFER_BYTES + 1];

	accepted(s);
	memset(text, 'a', 1460);
	for (int32_t i = 0; i <= full; i += 1460)
		talk(s, TCP_ACK, i, 0, text, 60000);
	assert_int_equal(s->conn->in.len, TCP_BUFFER_BYTES);
	assert_int_equal(s->sent[s->nsent - 1].tcp.window, 0);
	assert_int_equal(
	    s->sent[s->nsent - 1].tcp.ack, ISS + 1 + TCP_BUFFER_BYTES);
	/* Reading opens it again, and says so. */
	forget(s);
	assert_int_equal(
	    tcpconn_read(s->conn, got, sizeof(got)), TCP_BUFFER_BYTES);
	assert_int_equal(heard(s)->tcp.window, TCP_BUFFER_BYTES);
	assert_int_equal(s->sent[0].tcp.ack, ISS + 1 + TCP_BUFFER_BYTES);
}

static void
the_window_is_not_opened_by_crumbs(void **state)
{
	struct script *s = *state;
	static char text[1461];
	char got[100];

	accepted(s);
	memset(text, 'a', 1460);
	for (int32_t i = 0; i <= TCP_BUFFER_BYTES; i += 1460)
		talk(s, TCP_ACK, i, 0, text, 60000);
	forget(s);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(tcpconn_read(s->conn, got, 100), 100);
	nothing_heard(s);
	/* Not even to who asks. */
	talk(s, TCP_ACK, TCP_BUFFER_BYTES, 0, "b", 60000);
	assert_int_equal(heard(s)->tcp.window, 0);
}

/* ---- what attackers send ---- */

static void
only_the_exact_reset_resets(void **state)
{
	struct script *s = *state;

	accepted(s);
	talk(s, TCP_RST, 100, 0, NULL, 0); /* in the window: challenged */
	expect(s, TCP_ACK, 0, 0, 0);
	talk(s, TCP_RST, 20000, 0, NULL, 0); /* outside: not even that */
	talk(s, TCP_RST, -5, 0, NULL, 0);
	nothing_heard(s);
	assert_int_equal(s->conn->state, TCP_ESTABLISHED);
	talk(s, TCP_RST, 0, 0, NULL, 0);
	assert_int_equal(s->conn->state, TCP_CLOSED);
	assert_int_equal(s->conn->error, TCP_RESET);
	assert_true(tcpconn_ended(s->conn));
}

static void
a_syn_in_a_connection_is_challenged(void **state)
{
	struct script *s = *state;

	accepted(s);
	talk(s, TCP_SYN, 10, 0, NULL, 0);
	expect(s, TCP_ACK, 0, 0, 0);
	assert_int_equal(s->conn->state, TCP_ESTABLISHED);
	talk(s, TCP_SYN, 10, 0, NULL, 0); /* once in a while */
	nothing_heard(s);
}

static void
an_acknowledgement_of_what_was_not_sent_is_challenged(void **state)
{
	struct script *s = *state;

	accepted(s);
	talk(s, TCP_ACK, 0, 100, "evil", 60000);
	expect(s, TCP_ACK, 0, 0, 0);
	expect_text(s, "");
	assert_int_equal(s->conn->una, s->iss + 1);
}

static void
a_segment_without_ack_is_dropped(void **state)
{
	struct script *s = *state;

	accepted(s);
	talk(s, 0, 0, 0, "evil", 60000);
	nothing_heard(s);
	expect_text(s, "");
	assert_int_equal(s->wire->station[0]->nif->drops[DROP_TCP_STATE], 1);
}

/* ---- sending ---- */

static void
write_bytes(struct script *s, size_t n)
{
	static char text[TCP_BUFFER_BYTES];

	memset(text, 'x', sizeof(text));
	assert_int_equal(tcpconn_write(s->conn, text, n), n);
}

static void
segments_are_as_long_as_the_peer_allows(void **state)
{
	static const struct {
		uint16_t mss;
		size_t bytes;
	} rows[] = { { 1460, 1460 }, { 536, 536 }, { 0, 536 }, { 9000, 1460 },
		{ 1, 64 }, { 100, 100 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *one;

		setup(&one);
		accepted_mss(one, rows[i].mss, 60000);
		write_bytes(one, 4000);
		expect(one, TCP_ACK, 0, 0, rows[i].bytes);
		teardown(&one);
	}
}

static void
sending_stops_at_the_window(void **state)
{
	struct script *s = *state;

	accepted_mss(s, 1000, 2500);
	write_bytes(s, 6000);
	expect(s, TCP_ACK, 0, 0, 1000);
	expect(s, TCP_ACK, 1000, 0, 1000);
	nothing_heard(s); /* 500 would be a crumb */
	talk(s, TCP_ACK, 0, 2000, NULL, 2500);
	expect(s, TCP_ACK, 2000, 0, 1000);
	expect(s, TCP_ACK, 3000, 0, 1000);
	nothing_heard(s);
	talk(s, TCP_ACK, 0, 4000, NULL, 4000);
	expect(s, TCP_ACK, 4000, 0, 1000);
	expect(s, TCP_ACK, 5000, 0, 1000);
	nothing_heard(s);
}

static void
what_is_not_acknowledged_is_sent_again_ever_later(void **state)
{
	struct script *s = *state;
	uint64_t at_us[16], gap_us;
	unsigned int n = 0;

	accepted(s);
	write_bytes(s, 100);
	expect(s, TCP_ACK, 0, 0, 100);
	at_us[n++] = s->wire->now_us;
	wire_pass(s->wire, 2000 * US_PER_S);
	while (s->taken < s->nsent) {
		at_us[n++] = s->sent[s->taken].at_us;
		expect(s, TCP_ACK, 0, 0, 100);
	}
	assert_int_equal(n, 13); /* RFC 9293: more than 100 s */
	for (unsigned int i = 1; i < n; i++) {
		gap_us = US_PER_S << (i - 1 < 6 ? i - 1 : 6);
		if (gap_us > 60 * US_PER_S)
			gap_us = 60 * US_PER_S;
		assert_int_equal(at_us[i] - at_us[i - 1], gap_us);
	}
	assert_int_equal(s->conn->error, TCP_TIMEOUT);
}

static void
the_timeout_follows_the_round_trip(void **state)
{
	struct script *s = *state;
	int32_t at = 0;

	accepted(s);
	for (unsigned int i = 0; i < 20; i++) {
		write_bytes(s, 100);
		wire_pass(s->wire, 900 * US_PER_MS);
		at += 100;
		talk(s, TCP_ACK, 0, at, NULL, 60000);
		forget(s);
	}
	assert_in_range(s->conn->srtt_us, 890000, 910000);
	/* A slower way: at first too slow, until its time is known. */
	for (unsigned int i = 0; i < 20; i++) {
		write_bytes(s, 100);
		wire_pass(s->wire, 1200 * US_PER_MS);
		at += 100;
		talk(s, TCP_ACK, 0, at, NULL, 60000);
		if (i > 15)
			assert_int_equal(s->nsent, 1);
		forget(s);
	}
}

static void
three_duplicates_send_again_at_once(void **state)
{
	struct script *s = *state;

	accepted_mss(s, 1000, 60000);
	write_bytes(s, 8000);
	assert_int_equal(s->nsent, 8);
	forget(s);
	talk(s, TCP_ACK, 0, 0, NULL, 60000);
	talk(s, TCP_ACK, 0, 0, NULL, 60000);
	nothing_heard(s);
	talk(s, TCP_ACK, 0, 0, NULL, 60000);
	expect(s, TCP_ACK, 0, 0, 1000);
	nothing_heard(s);
	/* The second loss shows in a partial acknowledgement (RFC 6582). */
	talk(s, TCP_ACK, 0, 3000, NULL, 60000);
	expect(s, TCP_ACK, 3000, 0, 1000);
	talk(s, TCP_ACK, 0, 8000, NULL, 60000);
	nothing_heard(s);
	assert_false(s->conn->recovering);
	assert_true(s->conn->cwnd <= 5000);
}

static void
a_window_update_is_no_duplicate(void **state)
{
	struct script *s = *state;

	accepted_mss(s, 1000, 60000);
	write_bytes(s, 4000);
	forget(s);
	for (uint16_t i = 0; i < 5; i++)
		talk(s, TCP_ACK, 0, 0, NULL, (uint16_t)(50000 + i));
	nothing_heard(s);
}

static void
a_closed_window_is_probed_and_reopens(void **state)
{
	struct script *s = *state;

	accepted_mss(s, 1000, 2000);
	write_bytes(s, 5000);
	forget(s);
	talk(s, TCP_ACK, 0, 2000, NULL, 0);
	nothing_heard(s);
	wire_pass(s->wire, 1500 * US_PER_MS);
	expect(s, TCP_ACK, 2000, 0, 1);
	talk(s, TCP_ACK, 0, 2000, NULL, 0);
	/* A peer that answers is asked for ever, once a minute at last. */
	wire_pass(s->wire, 1 * US_PER_S);
	for (unsigned int i = 0; i < 40; i++) {
		wire_pass(s->wire, 60 * US_PER_S);
		talk(s, TCP_ACK, 0, 2000, NULL, 0);
	}
	assert_int_equal(s->conn->state, TCP_ESTABLISHED);
	assert_in_range(s->nsent, 40, 52);
	forget(s);
	talk(s, TCP_ACK, 0, 2000, NULL, 3000);
	expect(s, TCP_ACK, 2000, 0, 1000);
	expect(s, TCP_ACK, 3000, 0, 1000);
	expect(s, TCP_ACK, 4000, 0, 1000);
}

static void
a_probe_may_be_taken(void **state)
{
	struct script *s = *state;

	accepted_mss(s, 1000, 1000);
	write_bytes(s, 1003);
	forget(s);
	talk(s, TCP_ACK, 0, 1000, NULL, 0);
	wire_pass(s->wire, 1500 * US_PER_MS);
	expect(s, TCP_ACK, 1000, 0, 1);
	talk(s, TCP_ACK, 0, 1001, NULL, 1000);
	expect(s, TCP_ACK, 1001, 0, 2);
	talk(s, TCP_ACK, 0, 1003, NULL, 1000);
	assert_true(tcpconn_flushed(s->conn));
}

static void
a_silent_peer_with_a_closed_window_is_given_up(void **state)
{
	struct script *s = *state;

	accepted_mss(s, 1000, 1000);
	write_bytes(s, 2000);
	talk(s, TCP_ACK, 0, 1000, NULL, 0);
	wire_pass(s->wire, 3000 * US_PER_S);
	assert_int_equal(s->conn->error, TCP_TIMEOUT);
}

/* ---- closing ---- */

static void
we_close_first(void **state)
{
	struct script *s = *state;

	accepted(s);
	tcpconn_finish(s->conn);
	expect(s, TCP_ACK | TCP_FIN, 0, 0, 0);
	assert_int_equal(tcpconn_write(s->conn, "x", 1), 0);
	talk(s, TCP_ACK, 0, 1, NULL, 60000);
	assert_int_equal(s->conn->state, TCP_FIN_WAIT_2);
	talk(s, TCP_ACK, 0, 1, "still", 60000); /* half-closed */
	expect_text(s, "still");
	talk(s, TCP_ACK | TCP_FIN, 5, 1, NULL, 60000);
	expect(s, TCP_ACK, 1, 6, 0);
	assert_int_equal(s->conn->state, TCP_TIME_WAIT);
	assert_true(tcpconn_ended(s->conn));
	tcpconn_close(s->conn);
	talk(s, TCP_ACK | TCP_FIN, 5, 1, NULL, 60000); /* ours was lost */
	expect(s, TCP_ACK, 1, 6, 0);
	wire_pass(s->wire, 59 * US_PER_S);
	assert_int_equal(s->conn->state, TCP_TIME_WAIT);
	wire_pass(s->wire, 2 * US_PER_S);
	assert_int_equal(s->conn->state, TCP_CLOSED);
}

static void
they_close_first(void **state)
{
	struct script *s = *state;

	accepted(s);
	talk(s, TCP_ACK | TCP_FIN, 0, 0, "bye", 60000);
	expect(s, TCP_ACK, 0, 4, 0);
	assert_int_equal(s->conn->state, TCP_CLOSE_WAIT);
	assert_false(tcpconn_ended(s->conn));
	expect_text(s, "bye");
	assert_true(tcpconn_ended(s->conn));
	assert_int_equal(tcpconn_write(s->conn, "ok", 2), 2);
	expect(s, TCP_ACK, 0, 4, 2);
	tcpconn_close(s->conn);
	expect(s, TCP_ACK | TCP_FIN, 2, 4, 0);
	assert_int_equal(s->conn->state, TCP_LAST_ACK);
	talk(s, TCP_ACK, 4, 3, NULL, 60000);
	assert_int_equal(s->conn->state, TCP_CLOSED);
}

static void
both_close_at_once(void **state)
{
	struct script *s = *state;

	accepted(s);
	tcpconn_close(s->conn);
	expect(s, TCP_ACK | TCP_FIN, 0, 0, 0);
	talk(s, TCP_ACK | TCP_FIN, 0, 0, NULL, 60000);
	expect(s, TCP_ACK, 1, 1, 0);
	assert_int_equal(s->conn->state, TCP_CLOSING);
	talk(s, TCP_ACK, 1, 1, NULL, 60000);
	assert_int_equal(s->conn->state, TCP_TIME_WAIT);
}

static void
an_early_fin_waits_for_the_text_before_it(void **state)
{
	struct script *s = *state;

	accepted(s);
	talk(s, TCP_ACK | TCP_FIN, 3, 0, "def", 60000);
	expect(s, TCP_ACK, 0, 0, 0);
	assert_int_equal(s->conn->state, TCP_ESTABLISHED);
	talk(s, TCP_ACK, 6, 0, "evil", 60000); /* behind the end */
	forget(s);
	talk(s, TCP_ACK, 0, 0, "abc", 60000);
	expect(s, TCP_ACK, 0, 7, 0);
	assert_int_equal(s->conn->state, TCP_CLOSE_WAIT);
	expect_text(s, "abcdef");
}

static void
a_fin_is_sent_behind_all_text(void **state)
{
	struct script *s = *state;

	accepted_mss(s, 1000, 1000);
	write_bytes(s, 1500);
	tcpconn_close(s->conn);
	expect(s, TCP_ACK, 0, 0, 1000);
	nothing_heard(s);
	talk(s, TCP_ACK, 0, 1000, NULL, 1000);
	expect(s, TCP_ACK | TCP_FIN, 1000, 0, 500);
	wire_pass(s->wire, 1100 * US_PER_MS);
	expect(s, TCP_ACK | TCP_FIN, 1000, 0, 500);
	talk(s, TCP_ACK, 0, 1501, NULL, 1000);
	assert_int_equal(s->conn->state, TCP_FIN_WAIT_2);
	wire_pass(s->wire, 61 * US_PER_S); /* nobody waits for the rest */
	assert_int_equal(s->conn->state, TCP_CLOSED);
}

static void
text_for_nobody_resets(void **state)
{
	struct script *s = *state;

	accepted(s);
	tcpconn_close(s->conn);
	forget(s);
	talk(s, TCP_ACK, 0, 1, "hello?", 60000);
	assert_int_equal(heard(s)->tcp.flags & TCP_RST, TCP_RST);
	assert_int_equal(s->conn->state, TCP_CLOSED);
}

static void
closing_on_unread_text_resets(void **state)
{
	struct script *s = *state;

	accepted(s);
	talk(s, TCP_ACK, 0, 0, "unread", 60000);
	forget(s);
	tcpconn_close(s->conn);
	assert_int_equal(heard(s)->tcp.flags & TCP_RST, TCP_RST);
	assert_int_equal(s->conn->state, TCP_CLOSED);
}

static void
a_new_connection_may_follow_in_time_wait(void **state)
{
	struct script *s = *state;
	struct tcp tcp = {
		.sport = PEER,
		.dport = PORT,
		.flags = TCP_SYN,
		.window = 1000,
	};

	accepted(s);
	tcpconn_close(s->conn);
	talk(s, TCP_ACK | TCP_FIN, 0, 1, NULL, 60000);
	assert_int_equal(s->conn->state, TCP_TIME_WAIT);
	forget(s);
	tcp.seq = ISS - 100; /* an old one: no */
	say(s, &tcp);
	assert_int_equal(heard(s)->tcp.flags, TCP_ACK);
	tcp.seq = ISS + 100;
	say(s, &tcp);
	assert_int_equal(heard(s)->tcp.flags, TCP_SYN | TCP_ACK);
	/* Behind what the old connection used (RFC 9293, 3.4.1). */
	assert_true((int32_t)(s->sent[1].tcp.seq - s->iss) > 0);
}

static void
a_reset_does_not_end_time_wait(void **state)
{
	struct script *s = *state;

	accepted(s);
	tcpconn_close(s->conn);
	talk(s, TCP_ACK | TCP_FIN, 0, 1, NULL, 60000);
	talk(s, TCP_RST, 1, 0, NULL, 0); /* RFC 1337 */
	assert_int_equal(s->conn->state, TCP_TIME_WAIT);
}

static void
closing_a_listener_resets_who_waits(void **state)
{
	struct script *s = *state;

	listen_on(s);
	syn(s, 1460, 1000);
	s->iss = heard(s)->tcp.seq;
	talk(s, TCP_ACK, 0, 0, NULL, 1000);
	tcplisten_close(s->stack, s->listener);
	assert_int_equal(heard(s)->tcp.flags, TCP_RST | TCP_ACK);
	forget(s);
	syn(s, 1460, 1000);
	assert_int_equal(heard(s)->tcp.flags, TCP_RST | TCP_ACK);
}

static void
a_lost_address_ends_its_connections(void **state)
{
	struct script *s = *state;

	accepted(s);
	netif_address(
	    s->wire->station[0]->nif, NETIF_UNSET, (struct ip4_net){ 0 });
	assert_int_equal(s->conn->state, TCP_CLOSED);
	assert_int_equal(s->conn->error, TCP_NO_ADDRESS);
}

/* ---- ICMP ---- */

static void
say_icmp(struct script *s, uint8_t type, uint8_t code, uint16_t mtu,
    uint32_t seq, uint16_t sport)
{
	uint8_t frame[200], quote[28];
	struct writer w = writer(quote, sizeof(quote));
	const struct eth eth = { our_mac, their_mac, ETH_IPV4, 0,
		{ { 0, 0 } } };
	const struct ip4 quoted = {
		.total_bytes = 1500,
		.ttl = 1,
		.protocol = IP_TCP,
		.src = US,
		.dst = THEM,
	};
	const struct ip4 ip = {
		.total_bytes = IP4_HEADER_BYTES + 8 + sizeof(quote),
		.ttl = 64,
		.protocol = IP_ICMP,
		.src = 0x0a0000feu,
		.dst = US,
	};
	struct icmp icmp = {
		.type = type, .code = code, .data = quote, .data_bytes = 28
	};

	icmp.frag.mtu = mtu;
	ip4_write(&w, &quoted);
	wr_be16(&w, sport);
	wr_be16(&w, PEER);
	wr_be32(&w, seq);
	w = writer(frame, sizeof(frame));
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	icmp_write(&w, &icmp);
	wire_round(s->wire);
	netif_input(s->wire->station[0]->nif, frame, (size_t)(w.at - frame), 0);
	wire_round(s->wire);
}

static void
a_narrow_path_makes_segments_shorter(void **state)
{
	struct script *s = *state;

	accepted(s);
	write_bytes(s, 2920);
	forget(s);
	/* Not in flight: somebody guesses (RFC 5927, 4.1). */
	say_icmp(s, ICMP_UNREACHABLE, ICMP_UNREACH_NEEDFRAG, 600,
	    s->iss + 1 + 5000, PORT);
	assert_int_equal(s->conn->mss, 1460);
	say_icmp(
	    s, ICMP_UNREACHABLE, ICMP_UNREACH_NEEDFRAG, 600, s->iss + 1, PORT);
	assert_int_equal(s->conn->mss, 560);
	expect(s, TCP_ACK, 0, 0, 560);
	assert_true(s->conn->dont_fragment);
	/* Narrower than anybody needs: let the routers cut. */
	say_icmp(
	    s, ICMP_UNREACHABLE, ICMP_UNREACH_NEEDFRAG, 68, s->iss + 1, PORT);
	assert_int_equal(s->conn->mss, 256);
	assert_false(s->conn->dont_fragment);
}

static void
unreachable_ends_only_what_has_not_begun(void **state)
{
	struct script *s = *state;

	opened(s);
	say_icmp(
	    s, ICMP_UNREACHABLE, ICMP_UNREACH_HOST, 0, s->iss, s->conn->lport);
	assert_int_equal(s->conn->error, TCP_UNREACHABLE);
	assert_int_equal(ip_get4(&s->conn->note.from), 0x0a0000feu);
	s->conn = NULL;
	forget(s);
	accepted(s);
	write_bytes(s, 10);
	say_icmp(s, ICMP_UNREACHABLE, ICMP_UNREACH_HOST, 0, s->iss + 1, PORT);
	assert_int_equal(s->conn->state, TCP_ESTABLISHED);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_listening_port_answers_a_syn),
		TEST(an_answer_to_a_syn_is_repeated_and_given_up),
		TEST(a_repeated_syn_is_answered_alike),
		TEST(a_closed_port_resets),
		TEST(a_handshake_with_a_wrong_number_is_reset),
		TEST(a_flood_of_syns_leaves_room_for_others),
		TEST(connecting_ends_established),
		TEST(a_reset_refuses_a_connection),
		TEST(a_half_open_peer_is_reset),
		TEST(both_sides_may_open_at_once),
		TEST(nobody_there_is_found_out_in_three_minutes),
		TEST(text_in_order_is_read_and_acknowledged),
		TEST(early_text_is_kept),
		TEST(more_early_pieces_than_we_keep_come_again),
		TEST(text_that_came_before_is_not_taken_twice),
		TEST(text_beyond_the_window_is_cut),
		TEST(the_window_is_not_opened_by_crumbs),
		TEST(only_the_exact_reset_resets),
		TEST(a_syn_in_a_connection_is_challenged),
		TEST(an_acknowledgement_of_what_was_not_sent_is_challenged),
		TEST(a_segment_without_ack_is_dropped),
		TEST(segments_are_as_long_as_the_peer_allows),
		TEST(sending_stops_at_the_window),
		TEST(what_is_not_acknowledged_is_sent_again_ever_later),
		TEST(the_timeout_follows_the_round_trip),
		TEST(three_duplicates_send_again_at_once),
		TEST(a_window_update_is_no_duplicate),
		TEST(a_closed_window_is_probed_and_reopens),
		TEST(a_probe_may_be_taken),
		TEST(a_silent_peer_with_a_closed_window_is_given_up),
		TEST(we_close_first),
		TEST(they_close_first),
		TEST(both_close_at_once),
		TEST(an_early_fin_waits_for_the_text_before_it),
		TEST(a_fin_is_sent_behind_all_text),
		TEST(text_for_nobody_resets),
		TEST(closing_on_unread_text_resets),
		TEST(a_new_connection_may_follow_in_time_wait),
		TEST(a_reset_does_not_end_time_wait),
		TEST(closing_a_listener_resets_who_waits),
		TEST(a_lost_address_ends_its_connections),
		TEST(a_narrow_path_makes_segments_shorter),
		TEST(unreachable_ends_only_what_has_not_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
