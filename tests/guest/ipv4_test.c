/*
 * Neighbours, packets, fragments and ICMP: one stack, and frames made by hand.
 */
#include "tests/guest/wire.h"

#include "net/checksum.h"

#include "vmm/guest/services.h"

#define US       0x0a000001u
#define THEM     0x0a000002u
#define SENT_MAX 128

static const struct mac our_mac = { { 2, 0, 0, 0, 0, 1 } };
static const struct mac their_mac = { { 2, 0, 0, 0, 0, 2 } };

struct sent_frame {
	struct eth eth;
	struct arp arp;
	struct ip4 ip;
	size_t bytes; /* of the IP payload */
	uint8_t payload[1600];
	uint64_t at_us;
};

struct bench {
	struct wire *wire;
	struct stack *stack;
	struct netif *nif;
	struct sent_frame sent[SENT_MAX];
	unsigned int nsent, taken;
	bool mute; /* ARP is not answered */
};

static void
put_arp(struct bench *b, uint16_t op, const struct mac *mac, uint32_t sender,
    uint32_t target)
{
	uint8_t frame[64];
	struct writer w = writer(frame, sizeof(frame));
	const struct eth eth = { op == ARP_REQUEST ? mac_broadcast : our_mac,
		*mac, ETH_ARP, 0, { { 0, 0 } } };
	const struct arp arp = { .op = op,
		.sender_mac = *mac,
		.sender_ip = sender,
		.target_ip = target };

	eth_write(&w, &eth);
	arp_write(&w, &arp);
	wire_put(b->wire, 0, frame, (size_t)(w.at - frame));
}

static void
sent(struct wire *wire, unsigned int from, const uint8_t *frame, size_t len)
{
	struct bench *b = wire->arg;
	struct cursor c = cursor(frame, len);
	struct sent_frame *f = &b->sent[b->nsent];

	(void)from;
	assert_true(b->nsent < SENT_MAX);
	memset(f, 0, sizeof(*f));
	f->at_us = wire->now_us;
	assert_int_equal(eth_parse(&f->eth, &c), DROP_NONE);
	assert_true(mac_equal(&f->eth.src, &our_mac));
	if (f->eth.type == ETH_ARP) {
		assert_int_equal(arp_parse(&f->arp, &c), DROP_NONE);
		if (!b->mute && f->arp.op == ARP_REQUEST &&
		    f->arp.target_ip == THEM) {
			put_arp(b, ARP_REPLY, &their_mac, THEM, US);
			return;
		}
	} else {
		assert_int_equal(ip4_parse(&f->ip, &c), DROP_NONE);
		assert_true(f->ip.total_bytes <= WIRE_MTU);
		f->bytes = cur_left(&c);
		memcpy(f->payload, c.at, f->bytes);
	}
	b->nsent++;
}

static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->wire = wire_new(21);
	b->wire->delay_us = 0;
	b->wire->sent = sent;
	b->wire->arg = b;
	b->stack = wire_station(b->wire, 0, "10.0.0.1/24,gw=10.0.0.2");
	b->nif = b->wire->station[0]->nif;
	wire_round(b->wire);
	b->nsent = b->taken = 0;
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	wire_free(b->wire);
	free(b);
	return 0;
}

static const struct sent_frame *
heard(struct bench *b)
{
	assert_true(b->taken < b->nsent);
	return &b->sent[b->taken++];
}

static void
nothing_heard(const struct bench *b)
{
	assert_int_equal(b->taken, b->nsent);
}

static void
put_ip(struct bench *b, const struct ip4 *given, const struct mac *dst,
    const void *payload, size_t bytes)
{
	uint8_t frame[1600];
	struct writer w = writer(frame, sizeof(frame));
	const struct eth eth = { *dst, their_mac, ETH_IPV4, 0, { { 0, 0 } } };
	struct ip4 ip = *given;

	if (ip.total_bytes == 0)
		ip.total_bytes = (uint16_t)(IP4_HEADER_BYTES + bytes);
	if (ip.ttl == 0)
		ip.ttl = 64;
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	wr_bytes(&w, payload, bytes);
	assert_false(w.overrun);
	wire_round(b->wire);
	netif_input(b->nif, frame, (size_t)(w.at - frame), 0);
	wire_round(b->wire);
}

static size_t
echo_request(uint8_t *out, size_t size, size_t data_bytes)
{
	uint8_t data[4096];
	struct writer w = writer(out, size);
	struct icmp icmp = { .type = ICMP_ECHO_REQUEST,
		.data = data,
		.data_bytes = data_bytes };

	icmp.echo.id = 7;
	icmp.echo.seq = 9;
	for (size_t i = 0; i < data_bytes; i++)
		data[i] = (uint8_t)(i * 7);
	icmp_write(&w, &icmp);
	assert_false(w.overrun);
	return (size_t)(w.at - out);
}

static void
ping(struct bench *b, uint32_t src, uint32_t dst, const struct mac *mac)
{
	uint8_t message[64];
	const size_t n = echo_request(message, sizeof(message), 20);
	const struct ip4 ip = { .src = src, .dst = dst, .protocol = IP_ICMP };

	put_ip(b, &ip, mac, message, n);
}

static void
expect_reply(struct bench *b, size_t data_bytes)
{
	const struct sent_frame *f = heard(b);
	struct cursor c = cursor(f->payload, f->bytes);
	struct icmp icmp;

	assert_int_equal(f->ip.protocol, IP_ICMP);
	assert_int_equal(f->ip.src, US);
	assert_int_equal(icmp_parse(&icmp, &c), DROP_NONE);
	assert_int_equal(icmp.type, ICMP_ECHO_REPLY);
	assert_int_equal(icmp.echo.id, 7);
	assert_int_equal(icmp.echo.seq, 9);
	assert_int_equal(icmp.data_bytes, data_bytes);
	for (size_t i = 0; i < data_bytes; i++)
		assert_int_equal(icmp.data[i], (uint8_t)(i * 7));
}

#define DROPS(reason) (b->nif->drops[reason])

/* ---- neighbours ---- */

static void
a_packet_waits_for_its_neighbour(void **state)
{
	struct bench *b = *state;

	b->mute = true;
	ping(b, THEM, US, &our_mac);
	assert_int_equal(heard(b)->arp.target_ip, THEM);
	nothing_heard(b);
	put_arp(b, ARP_REPLY, &their_mac, THEM, US);
	wire_round(b->wire);
	assert_true(mac_equal(&b->sent[b->taken].eth.dst, &their_mac));
	expect_reply(b, 20);
}

static void
a_silent_neighbour_is_asked_three_times(void **state)
{
	struct bench *b = *state;

	b->mute = true;
	ping(b, THEM, US, &our_mac);
	wire_pass(b->wire, 60 * US_PER_S);
	assert_int_equal(b->nsent, NEIGH_TRIES);
	assert_int_equal(DROPS(DROP_ARP_FAILED), 1);
	assert_int_equal(b->stack->packets.used, 1);
	assert_non_null(b->stack->packets.free);
}

static void
the_oldest_packet_makes_room(void **state)
{
	struct bench *b = *state;

	b->mute = true;
	for (unsigned int i = 0; i < NEIGH_QUEUE + 3; i++)
		ping(b, THEM, US, &our_mac);
	assert_int_equal(DROPS(DROP_ARP_QUEUE), 3);
	b->nsent = b->taken = 0;
	put_arp(b, ARP_REPLY, &their_mac, THEM, US);
	wire_round(b->wire);
	assert_int_equal(b->nsent, NEIGH_QUEUE);
}

static void
a_known_neighbour_is_checked_now_and_then(void **state)
{
	struct bench *b = *state;

	ping(b, THEM, US, &our_mac);
	expect_reply(b, 20);
	wire_pass(b->wire, NEIGH_FRESH_US + US_PER_S);
	nothing_heard(b); /* not while nobody needs it */
	b->mute = true;
	ping(b, THEM, US, &our_mac);
	assert_int_equal(heard(b)->eth.type, ETH_ARP);
	expect_reply(b, 20); /* meanwhile it still goes there */
	wire_pass(b->wire, 10 * US_PER_S);
	b->nsent = b->taken = 0;
	ping(b, THEM, US, &our_mac);
	assert_int_equal(heard(b)->eth.type, ETH_ARP);
	nothing_heard(b);
}

static void
questions_about_us_are_answered(void **state)
{
	struct bench *b = *state;
	const struct sent_frame *f;

	put_arp(b, ARP_REQUEST, &their_mac, THEM, US);
	wire_round(b->wire);
	f = heard(b);
	assert_int_equal(f->arp.op, ARP_REPLY);
	assert_int_equal(f->arp.sender_ip, US);
	assert_true(mac_equal(&f->arp.sender_mac, &our_mac));
	assert_true(mac_equal(&f->eth.dst, &their_mac));
	put_arp(b, ARP_REQUEST, &their_mac, THEM, US + 5);
	put_arp(b, ARP_REQUEST, &their_mac, 0, US + 5);
	wire_round(b->wire);
	nothing_heard(b);
	/* A probe for our address (RFC 5227) gets its answer, too. */
	put_arp(b, ARP_REQUEST, &their_mac, 0, US);
	wire_round(b->wire);
	assert_int_equal(heard(b)->arp.op, ARP_REPLY);
}

static void
strangers_fill_the_table_but_do_not_break_it(void **state)
{
	struct bench *b = *state;
	struct mac mac = their_mac;

	ping(b, THEM, US, &our_mac);
	expect_reply(b, 20);
	for (uint32_t i = 0; i < 5000; i++) {
		mac.b[4] = (uint8_t)(i >> 8);
		mac.b[3] = (uint8_t)i;
		put_arp(b, ARP_REQUEST, &mac, 0x0a000003u + i % 250, US);
		wire_round(b->wire);
		b->nsent = b->taken = 0;
	}
	ping(b, THEM, US, &our_mac);
	assert_true(b->nsent >= 1);
	wire_round(b->wire);
	assert_int_equal(b->sent[b->nsent - 1].ip.protocol, IP_ICMP);
}

static void
a_neighbour_that_moves_is_followed(void **state)
{
	struct bench *b = *state;
	const struct mac moved = { { 2, 0, 0, 0, 0, 77 } };

	ping(b, THEM, US, &our_mac);
	expect_reply(b, 20);
	put_arp(b, ARP_REQUEST, &moved, THEM, THEM); /* it announces itself */
	wire_round(b->wire);
	ping(b, THEM, US, &our_mac);
	assert_true(mac_equal(&b->sent[b->taken].eth.dst, &moved));
	expect_reply(b, 20);
}

/* ---- packets in ---- */

static void
what_is_not_for_us_ends_at_the_door(void **state)
{
	struct bench *b = *state;
	const struct mac other = { { 2, 0, 0, 0, 0, 99 } };
	const struct mac group = { { 1, 0, 0x5e, 0, 0, 1 } };

	ping(b, THEM, US, &other);
	assert_int_equal(DROPS(DROP_NOT_OURS), 1);
	ping(b, THEM, US + 5, &our_mac);
	assert_int_equal(DROPS(DROP_NOT_OURS), 2);
	ping(b, THEM, 0xe0000001u, &group);
	assert_int_equal(DROPS(DROP_NOT_OURS), 3);
	nothing_heard(b);
}

static void
pings_to_all_are_not_answered(void **state)
{
	struct bench *b = *state;

	ping(b, THEM, 0x0a0000ffu, &mac_broadcast);
	ping(b, THEM, IP4_BROADCAST, &mac_broadcast);
	ping(b, THEM, US, &mac_broadcast);
	nothing_heard(b);
}

static void
impossible_senders_are_refused(void **state)
{
	static const uint32_t senders[] = { US, 0x7f000001u, IP4_BROADCAST,
		0x0a0000ffu, 0xe0000005u };
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++)
		ping(b, senders[i], US, &our_mac);
	ping(b, THEM, 0x7f000001u, &our_mac);
	assert_int_equal(DROPS(DROP_MARTIAN), 6);
	nothing_heard(b);
}

static void
through_the_gateway_go_strangers_replies(void **state)
{
	struct bench *b = *state;

	ping(b, 0xc0000201u, US, &our_mac);
	assert_true(mac_equal(&b->sent[b->taken].eth.dst, &their_mac));
	assert_int_equal(b->sent[b->taken].ip.dst, 0xc0000201u);
	expect_reply(b, 20);
}

static void
tagged_and_strange_frames_are_counted(void **state)
{
	struct bench *b = *state;
	uint8_t frame[64] = { 0 };

	memcpy(frame, &our_mac, 6);
	memcpy(frame + 6, &their_mac, 6);
	put_be16(frame + 12, ETH_IPV6);
	netif_input(b->nif, frame, sizeof(frame), 0);
	put_be16(frame + 12, ETH_VLAN);
	put_be16(frame + 16, ETH_IPV4);
	netif_input(b->nif, frame, sizeof(frame), 0);
	assert_int_equal(DROPS(DROP_ETH_TYPE), 2);
	netif_input(b->nif, frame, 13, 0);
	netif_input(b->nif, frame, 0, 0);
	assert_int_equal(DROPS(DROP_SHORT), 2);
	frame[6] |= 1;
	netif_input(b->nif, frame, sizeof(frame), 0);
	assert_int_equal(DROPS(DROP_ETH_SOURCE), 1);
}

/* ---- ICMP errors ---- */

static void
expect_error(struct bench *b, uint8_t type, uint8_t code)
{
	const struct sent_frame *f = heard(b);
	struct cursor c = cursor(f->payload, f->bytes);
	struct icmp icmp;
	struct ip4 quoted;

	assert_int_equal(f->ip.protocol, IP_ICMP);
	assert_int_equal(f->ip.dst, THEM);
	assert_true(f->ip.total_bytes <= 576);
	assert_int_equal(icmp_parse(&icmp, &c), DROP_NONE);
	assert_int_equal(icmp.type, type);
	assert_int_equal(icmp.code, code);
	c = cursor(icmp.data, icmp.data_bytes);
	assert_int_equal(ip4_parse_quoted(&quoted, &c), DROP_NONE);
	assert_int_equal(quoted.src, THEM);
	assert_int_equal(quoted.dst, US);
	assert_true(cur_left(&c) >= 8);
}

static size_t
datagram(uint8_t *out, size_t size, uint16_t dport, uint32_t dst, size_t bytes)
{
	static const uint8_t data[1400];
	struct writer w = writer(out, size);
	const struct udp udp = {
		.sport = 999, .dport = dport, .data = data, .data_bytes = bytes
	};

	udp_write(&w, &udp, THEM, dst);
	assert_false(w.overrun);
	return (size_t)(w.at - out);
}

static void
nobody_at_a_port_is_said(void **state)
{
	struct bench *b = *state;
	uint8_t message[1500];
	const struct ip4 ip = { .src = THEM, .dst = US, .protocol = IP_UDP };
	struct ip4 other = ip;

	put_ip(b, &ip, &our_mac, message,
	    datagram(message, sizeof(message), 1234, US, 50));
	expect_error(b, ICMP_UNREACHABLE, ICMP_UNREACH_PORT);
	put_ip(b, &ip, &our_mac, message,
	    datagram(message, sizeof(message), 1234, US, 1400));
	expect_error(b, ICMP_UNREACHABLE, ICMP_UNREACH_PORT);
	other.protocol = 132;
	put_ip(b, &other, &our_mac, "sctp or so", 10);
	expect_error(b, ICMP_UNREACHABLE, ICMP_UNREACH_PROTOCOL);
	assert_int_equal(DROPS(DROP_NO_LISTENER), 2);
	assert_int_equal(DROPS(DROP_PROTOCOL), 1);
}

static void
errors_are_not_answered_nor_are_broadcasts(void **state)
{
	struct bench *b = *state;
	uint8_t message[100];
	struct writer w = writer(message, sizeof(message));
	struct ip4 ip = { .src = THEM, .dst = US, .protocol = IP_ICMP };
	const struct icmp error = { .type = ICMP_UNREACHABLE,
		.code = ICMP_UNREACH_PORT,
		.data = message,
		.data_bytes = 28 };

	icmp_write(&w, &error);
	put_ip(b, &ip, &our_mac, message, (size_t)(w.at - message));
	ip.protocol = IP_UDP;
	ip.dst = 0x0a0000ff;
	put_ip(b, &ip, &mac_broadcast, message,
	    datagram(message, sizeof(message), 1234, ip.dst, 20));
	ip.dst = US;
	ip.src = 0;
	put_ip(b, &ip, &our_mac, message, 20);
	nothing_heard(b);
}

static void
a_flood_gets_few_errors(void **state)
{
	struct bench *b = *state;
	uint8_t message[100];
	const struct ip4 ip = { .src = THEM, .dst = US, .protocol = IP_UDP };

	for (unsigned int i = 0; i < 1000; i++)
		put_ip(b, &ip, &our_mac, message,
		    datagram(message, sizeof(message), 1234, US, 5));
	assert_in_range(b->nsent, ICMP_ERROR_BURST, ICMP_ERROR_BURST + 1);
	b->nsent = 0;
	wire_pass(b->wire, US_PER_S);
	for (unsigned int i = 0; i < 1000; i++)
		put_ip(b, &ip, &our_mac, message,
		    datagram(message, sizeof(message), 1234, US, 5));
	assert_in_range(b->nsent, ICMP_ERROR_BURST, ICMP_ERROR_BURST + 1);
}

/* ---- fragments ---- */

struct piece {
	size_t at, bytes;
	bool more;
};

/* Sends pieces of one echo request of 4000 bytes of data. */
static void
put_pieces(struct bench *b, uint16_t id, const struct piece *pieces, size_t n)
{
	static uint8_t message[4008];

	assert_int_equal(
	    echo_request(message, sizeof(message), 4000), sizeof(message));
	for (size_t i = 0; i < n && pieces[i].bytes > 0; i++) {
		const struct ip4 ip = {
			.src = THEM,
			.dst = US,
			.protocol = IP_ICMP,
			.id = id,
			.fragment = pieces[i].more ? IP4_MF : 0,
			.offset_bytes = (uint16_t)pieces[i].at,
		};

		put_ip(b, &ip, &our_mac, message + pieces[i].at % 4008,
		    pieces[i].bytes);
	}
}

static void
a_reply_comes_in_fragments_too(struct bench *b)
{
	static uint8_t whole[4008];
	struct cursor c = cursor(whole, sizeof(whole));
	struct icmp icmp;
	size_t have = 0;

	while (b->taken < b->nsent) {
		const struct sent_frame *f = heard(b);

		assert_true(f->ip.offset_bytes + f->bytes <= sizeof(whole));
		memcpy(whole + f->ip.offset_bytes, f->payload, f->bytes);
		have += f->bytes;
	}
	assert_int_equal(have, sizeof(whole));
	assert_int_equal(icmp_parse(&icmp, &c), DROP_NONE);
	for (size_t i = 0; i < 4000; i++)
		assert_int_equal(icmp.data[i], (uint8_t)(i * 7));
}

static void
fragments_are_joined_in_any_order(void **state)
{
	static const struct piece orders[][4] = {
		{ { 0, 1480, true }, { 1480, 1480, true },
		    { 2960, 1048, false } },
		{ { 2960, 1048, false }, { 1480, 1480, true },
		    { 0, 1480, true } },
		{ { 1480, 1480, true }, { 2960, 1048, false },
		    { 0, 1480, true } },
		{ { 1480, 8, true }, { 0, 1480, true }, { 1488, 1472, true },
		    { 2960, 1048, false } },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		put_pieces(b, (uint16_t)i, orders[i], 4);
		a_reply_comes_in_fragments_too(b);
	}
	assert_int_equal(DROPS(DROP_FRAGMENT), 0);
}

static void
fragments_that_lie_are_refused(void **state)
{
	static const struct piece lies[][4] = {
		/* overlapping */
		{ { 0, 1480, true }, { 1472, 1480, true } },
		{ { 0, 1480, true }, { 0, 1480, true } },
		/* two ends */
		{ { 2960, 1048, false }, { 1480, 1000, false } },
		/* bytes behind the end */
		{ { 2960, 1040, true }, { 1480, 1000, false } },
		{ { 1480, 1000, false }, { 2960, 1040, true } },
		/* not a multiple of eight before the end */
		{ { 0, 1001, true } },
		/* a hole that lengths alone would hide */
		{ { 0, 8, true }, { 1480, 8, true }, { 8, 8, false } },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		const uint32_t before = DROPS(DROP_FRAGMENT);

		put_pieces(b, (uint16_t)i, lies[i], 4);
		assert_int_equal(DROPS(DROP_FRAGMENT), before + 1);
	}
	nothing_heard(b);
}

static void
what_never_gets_whole_is_forgotten(void **state)
{
	static const struct piece first = { 0, 1480, true };
	struct bench *b = *state;

	for (uint16_t id = 0; id < 100; id++)
		put_pieces(b, id, &first, 1);
	assert_int_equal(DROPS(DROP_FRAGMENT), 100 - REASS_SLOTS);
	wire_pass(b->wire, REASS_TIMEOUT_US + 1);
	assert_int_equal(DROPS(DROP_FRAGMENT), 100);
	for (unsigned int i = 0; i < REASS_SLOTS; i++)
		assert_false(b->stack->ip.reass[i].used);
	nothing_heard(b);
}

/* ---- services ---- */

static void
echo_over_udp_answers_but_not_echo(void **state)
{
	struct bench *b = *state;
	uint8_t message[100];
	struct ip4 ip = { .src = THEM, .dst = US, .protocol = IP_UDP };
	const struct sent_frame *f;
	struct writer w;
	const struct udp loop = {
		.sport = PORT_ECHO, .dport = PORT_ECHO, .data_bytes = 0
	};

	services_start(b->stack);
	put_ip(b, &ip, &our_mac, message,
	    datagram(message, sizeof(message), PORT_ECHO, US, 5));
	f = heard(b);
	assert_int_equal(f->ip.protocol, IP_UDP);
	assert_int_equal(get_be16(f->payload), PORT_ECHO);
	assert_int_equal(get_be16(f->payload + 2), 999);
	put_ip(b, &ip, &our_mac, message,
	    datagram(message, sizeof(message), PORT_DISCARD, US, 5));
	nothing_heard(b);
	w = writer(message, sizeof(message));
	udp_write(&w, &loop, THEM, US);
	put_ip(b, &ip, &our_mac, message, (size_t)(w.at - message));
	ip.dst = IP4_BROADCAST;
	put_ip(b, &ip, &mac_broadcast, message,
	    datagram(message, sizeof(message), PORT_ECHO, ip.dst, 5));
	nothing_heard(b);
}

static void
a_full_socket_drops_and_counts(void **state)
{
	struct bench *b = *state;
	uint8_t message[1500], data[1500];
	const struct ip4 ip = { .src = THEM, .dst = US, .protocol = IP_UDP };
	struct udpsock *sock = udpsock_new(b->stack, 1234, NULL);
	struct udp_from from;
	unsigned int got = 0;

	for (unsigned int i = 0; i < 50; i++)
		put_ip(b, &ip, &our_mac, message,
		    datagram(message, sizeof(message), 1234, US, 1000 + i));
	assert_int_equal(sock->dropped, DROPS(DROP_PORT_FULL));
	while (udpsock_take(sock, &from, data, sizeof(data))) {
		assert_int_equal(from.data_bytes, 1000 + got);
		assert_int_equal(ip_get4(&from.src), THEM);
		assert_int_equal(from.sport, 999);
		got++;
	}
	assert_int_equal(got + sock->dropped, 50);
	assert_true(got >= 10);
	assert_null(udpsock_new(b->stack, 1234, NULL));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_packet_waits_for_its_neighbour),
		TEST(a_silent_neighbour_is_asked_three_times),
		TEST(the_oldest_packet_makes_room),
		TEST(a_known_neighbour_is_checked_now_and_then),
		TEST(questions_about_us_are_answered),
		TEST(strangers_fill_the_table_but_do_not_break_it),
		TEST(a_neighbour_that_moves_is_followed),
		TEST(what_is_not_for_us_ends_at_the_door),
		TEST(pings_to_all_are_not_answered),
		TEST(impossible_senders_are_refused),
		TEST(through_the_gateway_go_strangers_replies),
		TEST(tagged_and_strange_frames_are_counted),
		TEST(nobody_at_a_port_is_said),
		TEST(errors_are_not_answered_nor_are_broadcasts),
		TEST(a_flood_gets_few_errors),
		TEST(fragments_are_joined_in_any_order),
		TEST(fragments_that_lie_are_refused),
		TEST(what_never_gets_whole_is_forgotten),
		TEST(echo_over_udp_answers_but_not_echo),
		TEST(a_full_socket_drops_and_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
