/*
 * IPv6 packets of the guest: neighbours, ICMPv6, extension headers, fragments,
 * paths, UDP and names.
 */
#include "tests/guest/bench6.h"

#include "vmm/guest/services.h"

#define US    "2001:db8::1"
#define THEM  "2001:db8::2"
#define LINK  "fe80::ff:fe00:1"
#define GROUP "ff02::1:ff00:1"

/* Our addresses are known to be ours, and nothing is under way. */
static int
setup(void **state)
{
	struct bench6 *b = bench6_new(US "/64,gw=2001:db8::9");

	bench6_settle(b, 20 * US_PER_S);
	*state = b;
	return 0;
}

static void
ping_us(struct bench6 *b, const char *src, const char *dst, size_t data_bytes)
{
	uint8_t data[1400];
	const struct icmp6 icmp = { .type = ICMP6_ECHO_REQUEST,
		.word = 7u << 16 | 9,
		.data = data,
		.data_bytes = data_bytes };

	for (size_t i = 0; i < data_bytes; i++)
		data[i] = (uint8_t)(i * 7);
	put_icmp6(b, src, dst, &icmp);
}

static void
expect_icmp6(struct bench6 *b, struct icmp6 *icmp, uint8_t type)
{
	const struct sent6 *f = heard6(b);
	struct cursor c = cursor(f->payload, f->bytes);

	assert_int_equal(f->ip.next, IP_ICMP6);
	assert_int_equal(
	    icmp6_parse(icmp, &c, &f->ip.src, &f->ip.dst, false), DROP_NONE);
	assert_int_equal(icmp->type, type);
}

/* ---- neighbours ---- */

static void
a_packet_waits_for_its_neighbour(void **state)
{
	struct bench6 *b = *state;
	const struct sent6 *f;
	struct icmp6 icmp;
	struct nd_message nd;
	struct cursor c;

	ping_us(b, THEM, US, 20);
	f = heard6(b);
	c = cursor(f->payload, f->bytes);
	assert_int_equal(nd_message_parse(&nd, &c, &f->ip), DROP_NONE);
	assert_int_equal(nd.type, ND_SOLICIT);
	assert_true(mac_equal(&nd.mac, &our_mac));
	assert_int_equal(f->eth.dst.b[0], 0x33);
	assert_int_equal(b->taken, b->nsent);
	nd = (struct nd_message){ .type = ND_ADVERTISE,
		.flags = ND_SOLICITED | ND_OVERRIDE,
		.target = addr6(THEM),
		.mac = their_mac };
	put_nd(b, &their_mac, &nd, THEM, US);
	assert_true(mac_equal(&b->sent[b->taken].eth.dst, &their_mac));
	expect_icmp6(b, &icmp, ICMP6_ECHO_REPLY);
	assert_int_equal(icmp.data_bytes, 20);
}

static void
a_silent_neighbour_is_asked_three_times(void **state)
{
	struct bench6 *b = *state;
	const struct ping ping = { .dst = addr6(THEM), .seq = 1 };
	bool wake = false;
	struct pingsock *sock = pingsock_new(b->stack, &wake);
	struct icmp_note note;

	assert_int_equal(pingsock_send(b->stack, sock, &ping), DROP_NONE);
	wire_pass(b->wire, 60 * US_PER_S);
	assert_int_equal(b->nsent, NEIGH_TRIES);
	assert_int_equal(DROPS6(DROP_ND_FAILED), 1);
	assert_true(wake && icmp_notes_take(&sock->notes, &note));
	assert_true(note.local && note.ip6);
	assert_int_equal(note.code, ICMP6_UNREACH_ADDRESS);
	assert_int_equal(note.seq, 1);
	pingsock_free(sock);
}

static void
who_asks_for_us_is_answered_and_known(void **state)
{
	struct bench6 *b = *state;
	struct nd_message nd = {
		.type = ND_SOLICIT, .target = addr6(US), .mac = their_mac
	};
	const struct sent6 *f;
	struct cursor c;

	put_nd(b, &their_mac, &nd, THEM, GROUP);
	f = heard6(b);
	c = cursor(f->payload, f->bytes);
	assert_int_equal(nd_message_parse(&nd, &c, &f->ip), DROP_NONE);
	assert_int_equal(nd.flags, ND_SOLICITED | ND_OVERRIDE);
	assert_true(mac_equal(&nd.mac, &our_mac));
	assert_true(mac_equal(&f->eth.dst, &their_mac));
	/* It is sent to at once; later it is asked whether it is there. */
	ping_us(b, THEM, US, 20);
	assert_true(mac_equal(&heard6(b)->eth.dst, &their_mac));
	wire_pass(b->wire, 4 * US_PER_S);
	assert_int_equal(b->taken, b->nsent);
	wire_pass(b->wire, 2 * US_PER_S);
	f = heard6(b);
	assert_int_equal(f->payload[0], ND_SOLICIT);
	assert_true(mac_equal(&f->eth.dst, &their_mac));
}

/* RFC 4861 7.2.5, and its table in appendix C. */
static void
advertisements_change_what_they_may(void **state)
{
	static const struct mac other = { { 2, 0, 0, 0, 0, 7 } };
	static const struct {
		bool known, other;
		uint32_t flags;
		bool mac_is_other, fresh;
	} rows[] = {
		{ false, true, ND_SOLICITED, true, true },
		{ false, true, 0, true, false },
		{ true, false, ND_SOLICITED, false, true },
		{ true, false, 0, false, true },
		{ true, true, 0, false, false },
		{ true, true, ND_SOLICITED, false, false },
		{ true, true, ND_OVERRIDE, true, false },
		{ true, true, ND_OVERRIDE | ND_SOLICITED, true, true },
	};
	struct bench6 *b = *state;
	const struct ip6_addr them = addr6(THEM);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct nd_message nd = { .type = ND_ADVERTISE,
			.flags = rows[i].flags,
			.target = them,
			.mac = rows[i].other ? other : their_mac };
		struct neigh *n;

		print_message("row %zu\n", i);
		neigh_forget(b->nif);
		if (rows[i].known)
			meet(b, THEM);
		else
			(void)neigh_get(b->nif, &them);
		put_nd(b, &their_mac, &nd, THEM,
		    rows[i].flags & ND_SOLICITED ? US : "ff02::1");
		n = neigh_find(b->nif, &them);
		assert_non_null(n);
		assert_int_equal(n->state, NEIGH_KNOWN);
		assert_true(mac_equal(&n->mac, &other) == rows[i].mac_is_other);
		assert_true(
		    (n->fresh_until_us > b->stack->now_us) == rows[i].fresh);
	}
	neigh_forget(b->nif);
	/* Nobody asked: it is not believed. */
	put_nd(b, &their_mac,
	    &(struct nd_message){ .type = ND_ADVERTISE,
		.flags = ND_OVERRIDE,
		.target = them,
		.mac = other },
	    THEM, "ff02::1");
	assert_null(neigh_find(b->nif, &them));
}

static void
neighbours_from_beyond_the_link_are_refused(void **state)
{
	struct bench6 *b = *state;
	uint8_t packet[200];
	struct writer w = writer(packet, sizeof(packet));
	const struct ip6_addr from = addr6(THEM), to = addr6(GROUP);
	const struct nd_message nd = {
		.type = ND_SOLICIT, .target = addr6(US), .mac = their_mac
	};

	nd_message_write(&w, &nd, &from, &to);
	packet[IP6_OFF_HOP_LIMIT] = 254;
	put_whole(b, &their_mac, packet, (size_t)(w.at - packet));
	assert_int_equal(b->nsent, 0);
	assert_int_equal(DROPS6(DROP_ND), 1);
}

/* ---- ICMPv6 ---- */

static void
pings_are_answered(void **state)
{
	struct bench6 *b = *state;
	struct icmp6 icmp;

	meet(b, THEM);
	meet(b, "fe80::2");
	ping_us(b, THEM, US, 1300);
	expect_icmp6(b, &icmp, ICMP6_ECHO_REPLY);
	assert_int_equal(icmp.word, 7u << 16 | 9);
	assert_int_equal(icmp.data_bytes, 1300);
	for (size_t i = 0; i < icmp.data_bytes; i++)
		assert_int_equal(icmp.data[i], (uint8_t)(i * 7));
	/* All are asked: from an address of ours. */
	ping_us(b, "fe80::2", "ff02::1", 4);
	assert_true(ip6_equal(
	    &b->sent[b->taken].ip.src, &(struct ip6_addr[]){ addr6(LINK) }[0]));
	expect_icmp6(b, &icmp, ICMP6_ECHO_REPLY);
	ping_us(b, "fe80::2", "ff02::2", 4);
	assert_int_equal(DROPS6(DROP_NOT_OURS), 1);
	ping_us(b, "fe80::2", "2001:db8::7", 4);
	assert_int_equal(DROPS6(DROP_NOT_OURS), 2);
	ping_us(b, US, US, 4);
	ping_us(b, "::1", US, 4);
	ping_us(b, "ff02::1", US, 4);
	ping_us(b, "::ffff:10.0.0.1", US, 4);
	assert_int_equal(DROPS6(DROP_MARTIAN), 4);
	assert_int_equal(b->taken, b->nsent);
}

/* A packet to us with headers, of type first, before its transport. */
static void
put_headers(struct bench6 *b, const char *dst, uint8_t first,
    const uint8_t *headers, size_t bytes)
{
	uint8_t payload[200] = { 0 };
	const struct ip6 ip = {
		.next = first, .src = addr6(THEM), .dst = addr6(dst)
	};

	memcpy(payload, headers, bytes);
	put6(b, &their_mac, &ip, payload, bytes + 16);
}

static void
headers_that_are_not_known_are_told_where(void **state)
{
	static const struct {
		const char *dst;
		uint8_t first;
		uint8_t headers[16];
		size_t bytes;
		int code; /* of the error; -1: none */
		uint32_t pointer;
		enum reason why;
	} rows[] = {
		{ US, 253, { 0 }, 0, 1, 6, DROP_PROTOCOL },
		{ US, 60, { 253, 0, 1, 4 }, 8, 1, 40, DROP_PROTOCOL },
		/* options: to be skipped, silent, told, told but to groups */
		{ US, 60, { 59, 0, 0x1e, 4 }, 8, -1, 0, DROP_NONE },
		{ US, 60, { 59, 0, 0x5e, 4 }, 8, -1, 0, DROP_IP6_OPTION },
		{ US, 60, { 59, 0, 0x9e, 4 }, 8, 2, 42, DROP_IP6_OPTION },
		{ US, 60, { 59, 0, 0xde, 4 }, 8, 2, 42, DROP_IP6_OPTION },
		{ "ff02::1", 60, { 59, 0, 0x9e, 4 }, 8, 2, 42,
		    DROP_IP6_OPTION },
		{ "ff02::1", 60, { 59, 0, 0xde, 4 }, 8, -1, 0,
		    DROP_IP6_OPTION },
		{ "ff02::1", 253, { 0 }, 0, -1, 0, DROP_PROTOCOL },
		/* a route through us; one that is at its end */
		{ US, 43, { 59, 0, 0, 1 }, 8, 0, 42, DROP_IP6_CHAIN },
		{ US, 43, { 59, 0, 0, 0 }, 8, -1, 0, DROP_NONE },
		{ US, 60, { 0, 0, 1, 4 }, 8, -1, 0, DROP_IP6_CHAIN },
		{ US, 60, { 59, 9, 1, 4 }, 8, -1, 0, DROP_SHORT },
	};
	struct bench6 *b = *state;
	struct icmp6 icmp;

	meet(b, THEM);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("row %zu\n", i);
		memset(b->nif->drops, 0, sizeof(b->nif->drops));
		put_headers(b, rows[i].dst, rows[i].first, rows[i].headers,
		    rows[i].bytes);
		if (rows[i].why != DROP_NONE)
			assert_int_equal(DROPS6(rows[i].why), 1);
		if (rows[i].code >= 0) {
			expect_icmp6(b, &icmp, ICMP6_PARAMETER);
			assert_int_equal(icmp.code, rows[i].code);
			assert_int_equal(icmp.word, rows[i].pointer);
		}
		assert_int_equal(b->taken, b->nsent);
	}
}

static void
put_udp(struct bench6 *b, const char *src, uint16_t port, size_t data_bytes)
{
	static uint8_t data[1400];
	uint8_t datagram[1500];
	struct writer w = writer(datagram, sizeof(datagram));
	const struct udp udp = { .sport = 999,
		.dport = port,
		.data = data,
		.data_bytes = data_bytes };
	const struct ip6 ip = {
		.next = IP_UDP, .src = addr6(src), .dst = addr6(US)
	};

	udp6_write(&w, &udp, &ip.src, &ip.dst);
	put6(b, &their_mac, &ip, datagram, (size_t)(w.at - datagram));
}

static void
closed_ports_are_told_but_not_without_end(void **state)
{
	struct bench6 *b = *state;
	struct icmp6 icmp;

	meet(b, THEM);
	put_udp(b, THEM, 999, 1400);
	assert_true(b->sent[b->taken].bytes <= IP6_MTU_MIN - IP6_HEADER_BYTES);
	expect_icmp6(b, &icmp, ICMP6_UNREACHABLE);
	assert_int_equal(icmp.code, ICMP6_UNREACH_PORT);
	/* No answer to who has no address. */
	put_udp(b, "::", 999, 4);
	assert_int_equal(DROPS6(DROP_MARTIAN), 1);
	for (unsigned int i = 0; i < 100; i++)
		put_udp(b, THEM, 999, 4);
	assert_int_equal(b->nsent, ICMP_ERROR_BURST);
}

static void
a_datagram_without_a_sum_is_refused(void **state)
{
	struct bench6 *b = *state;
	const uint8_t datagram[] = { 0, 9, 0, 7, 0, 8, 0, 0 };
	const struct ip6 ip = {
		.next = IP_UDP, .src = addr6(THEM), .dst = addr6(US)
	};

	put6(b, &their_mac, &ip, datagram, sizeof(datagram));
	assert_int_equal(DROPS6(DROP_L4_CHECKSUM), 1);
}

/* ---- fragments ---- */

static void
put_fragment(struct bench6 *b, uint32_t id, uint8_t next, size_t at, bool more,
    const uint8_t *data, size_t bytes)
{
	uint8_t payload[1500];
	struct writer w = writer(payload, sizeof(payload));
	const struct ip6 ip = {
		.next = IP_FRAGMENT, .src = addr6(THEM), .dst = addr6(US)
	};

	wr_u8(&w, next);
	wr_u8(&w, 0);
	wr_be16(&w, (uint16_t)(at | more));
	wr_be32(&w, id);
	wr_bytes(&w, data, bytes);
	put6(b, &their_mac, &ip, payload, (size_t)(w.at - payload));
}

/* An echo request of 3 pieces of 1000 bytes. */
static void
big_request(uint8_t message[3000])
{
	const struct ip6_addr src = addr6(THEM), dst = addr6(US);
	static uint8_t data[2992];
	const struct icmp6 icmp = { .type = ICMP6_ECHO_REQUEST,
		.data = data,
		.data_bytes = sizeof(data) };
	struct writer w = writer(message, 3000);

	icmp6_write(&w, &icmp, &src, &dst);
	assert_false(w.overrun);
}

static void
fragments_come_in_any_order(void **state)
{
	static const uint8_t orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 },
		{ 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	struct bench6 *b = *state;
	uint8_t message[3000];

	big_request(message);
	meet(b, THEM);
	for (unsigned int i = 0; i < 6; i++) {
		b->nsent = b->taken = 0;
		for (unsigned int k = 0; k < 3; k++) {
			const size_t at = orders[i][k] * 1000u;

			put_fragment(
			    b, i, IP_ICMP6, at, at < 2000, message + at, 1000);
		}
		/* What is answered goes in fragments, too. */
		assert_int_equal(b->nsent, 3);
		assert_int_equal(b->sent[0].ip.next, IP_FRAGMENT);
		assert_int_equal(b->sent[0].payload[0], IP_ICMP6);
		assert_int_equal(b->sent[0].payload[8], ICMP6_ECHO_REPLY);
	}
	for (unsigned int i = 0; i < REASS_SLOTS; i++)
		assert_false(b->stack->ip.reass[i].used);
}

static void
fragments_that_overlap_or_nest_are_refused(void **state)
{
	struct bench6 *b = *state;
	uint8_t message[3000], nested[16] = { IP_ICMP6, 0, 0, 1 };

	big_request(message);
	meet(b, THEM);
	put_fragment(b, 1, IP_ICMP6, 0, true, message, 1000);
	put_fragment(b, 1, IP_ICMP6, 992, true, message + 992, 1000);
	assert_int_equal(DROPS6(DROP_FRAGMENT), 1);
	/* Between is a header that says that there is another fragment. */
	put_fragment(b, 2, IP_FRAGMENT, 0, true, nested, 16);
	put_fragment(b, 2, IP_FRAGMENT, 16, false, nested, 16);
	assert_int_equal(DROPS6(DROP_IP6_CHAIN), 1);
	/* One that is all there is needs no other (RFC 6946). */
	put_fragment(b, 3, IP_UDP, 0, false, nested, 16);
	assert_int_equal(DROPS6(DROP_FRAGMENT), 1);
	assert_int_equal(b->nsent, 0);
	wire_pass(b->wire, 60 * US_PER_S);
	for (unsigned int i = 0; i < REASS_SLOTS; i++)
		assert_false(b->stack->ip.reass[i].used);
}

/* ---- paths ---- */

/* A router says that what the last packet sent was is too big. */
static void
too_big(struct bench6 *b, uint32_t mtu)
{
	const struct sent6 *f = &b->sent[b->nsent - 1];
	uint8_t quote[IP6_HEADER_BYTES + 64];
	struct writer w = writer(quote, sizeof(quote));
	const struct icmp6 icmp = { .type = ICMP6_TOO_BIG,
		.word = mtu,
		.data = quote,
		.data_bytes = sizeof(quote) };

	ip6_write(&w, &f->ip);
	wr_bytes(&w, f->payload, 64);
	put_icmp6(b, "2001:db8::9", US, &icmp);
}

static void
the_path_is_learnt_from_who_quotes_us(void **state)
{
	struct bench6 *b = *state;
	const struct ping ping = {
		.dst = addr6("2001:db8:9::1"), .seq = 1, .data_bytes = 1400
	};
	bool wake = false;
	struct pingsock *sock = pingsock_new(b->stack, &wake);

	meet(b, "2001:db8::9");
	assert_int_equal(pingsock_send(b->stack, sock, &ping), DROP_NONE);
	assert_int_equal(b->nsent, 1);
	/* Less than any link has is no path's. */
	too_big(b, 1279);
	assert_int_equal(ip_mtu(b->stack, &ping.dst, &ping.src), WIRE_MTU);
	too_big(b, 1300);
	assert_int_equal(ip_mtu(b->stack, &ping.dst, &ping.src), 1300);
	too_big(b, 1400);
	assert_int_equal(ip_mtu(b->stack, &ping.dst, &ping.src), 1300);
	b->nsent = b->taken = 0;
	assert_int_equal(pingsock_send(b->stack, sock, &ping), DROP_NONE);
	assert_int_equal(b->nsent, 2);
	assert_int_equal(b->sent[0].bytes, 1296 - IP6_HEADER_BYTES);
	/* Of somebody else's packet nothing is learnt. */
	pingsock_free(sock);
	b->nsent = b->taken = 0;
	wire_pass(b->wire, 601 * US_PER_S);
	assert_int_equal(ip_mtu(b->stack, &ping.dst, &ping.src), WIRE_MTU);
	b->nsent = 1;
	b->sent[0].ip = (struct ip6){ .next = IP_ICMP6,
		.src = addr6(US),
		.dst = addr6("2001:db8:9::1") };
	too_big(b, 1300);
	assert_int_equal(ip_mtu(b->stack, &ping.dst, &ping.src), WIRE_MTU);
}

/* Of what it answered nobody remembers, but answers have to arrive, too. */
static void
the_path_of_an_answer_is_learnt(void **state)
{
	struct bench6 *b = *state;
	const struct ip6_addr them = addr6(THEM), none = { { 0 } };

	meet(b, THEM);
	ping_us(b, THEM, US, 1300);
	too_big(b, 1300);
	assert_int_equal(ip_mtu(b->stack, &them, &none), 1300);
}

static void
a_router_that_is_silent_gives_way_to_another(void **state)
{
	struct bench6 *b = *state;
	const struct ping ping = { .dst = addr6("2001:db8:9::1"), .seq = 1 };
	struct ra_message ra = usual_ra();
	const struct ip6_addr first = addr6("2001:db8::9"),
			      second = addr6("fe80::9");
	bool wake = false;
	struct pingsock *sock = pingsock_new(b->stack, &wake);

	put_ra(b, &ra);
	assert_true(ip6_equal(autoconf_router(b->nif), &first));
	(void)pingsock_send(b->stack, sock, &ping);
	wire_pass(b->wire, 10 * US_PER_S);
	assert_true(ip6_equal(autoconf_router(b->nif), &second));
	b->nsent = b->taken = 0;
	(void)pingsock_send(b->stack, sock, &ping);
	assert_true(mac_equal(&heard6(b)->eth.dst, &router_mac));
	pingsock_free(sock);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench6_free)
	const struct CMUnitTest tests[] = {
		TEST(a_packet_waits_for_its_neighbour),
		TEST(a_silent_neighbour_is_asked_three_times),
		TEST(who_asks_for_us_is_answered_and_known),
		TEST(advertisements_change_what_they_may),
		TEST(neighbours_from_beyond_the_link_are_refused),
		TEST(pings_are_answered),
		TEST(headers_that_are_not_known_are_told_where),
		TEST(closed_ports_are_told_but_not_without_end),
		TEST(a_datagram_without_a_sum_is_refused),
		TEST(fragments_come_in_any_order),
		TEST(fragments_that_overlap_or_nest_are_refused),
		TEST(the_path_is_learnt_from_who_quotes_us),
		TEST(the_path_of_an_answer_is_learnt),
		TEST(a_router_that_is_silent_gives_way_to_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
