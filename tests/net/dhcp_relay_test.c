#include "net/dhcp_relay.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/dhcp.h"
#include "net/ip4.h"
#include "tests/net/exact.h"

#define OWN   UINT32_C(0x0a000001)
#define OTHER UINT32_C(0x0a010001)
#define ROOM  600

static const struct mac client = { { 2, 9, 0, 0, 0, 7 } };

/* What a client sends, or a server, in memory of room. */
static struct dhcp_relayed
message(const struct dhcp *m, size_t room)
{
	struct dhcp_relayed r = { .bytes = calloc(1, room), .room = room };
	struct writer w = writer(r.bytes, room);

	dhcp_write(&w, m);
	assert_false(w.overrun);
	r.len = (size_t)(w.at - r.bytes);
	return r;
}

static struct dhcp
parsed(const struct dhcp_relayed *r)
{
	struct cursor c = cursor(r->bytes, r->len);
	struct dhcp m;

	assert_int_equal(dhcp_parse(&m, &c), DROP_NONE);
	return m;
}

static struct dhcp
discover(void)
{
	return (struct dhcp){ .op = DHCP_BOOTREQUEST,
		.xid = 77,
		.chaddr = client,
		.type = DHCP_DISCOVER,
		.hostname = "alice" };
}

static struct dhcp
offer(void)
{
	return (struct dhcp){ .op = DHCP_BOOTREPLY,
		.xid = 77,
		.chaddr = client,
		.type = DHCP_OFFER,
		.server = OTHER,
		.giaddr = OWN,
		.yiaddr = OWN + 9 };
}

static void
a_request_gets_our_address_and_one_hop_more(void **state)
{
	struct dhcp sent = discover(), m;
	struct dhcp_relayed r = message(&sent, ROOM),
			    before = message(&sent, ROOM);

	(void)state;
	assert_int_equal(
	    dhcp_relay_request(&r, OWN, NULL), REASON_DHCP_RELAYED);
	m = parsed(&r);
	assert_int_equal(m.giaddr, OWN);
	assert_int_equal(m.hops, 1);
	/* ... and is what it was. */
	r.bytes[3] = 0;
	put_be32(r.bytes + 24, 0);
	assert_int_equal(r.len, before.len);
	assert_memory_equal(r.bytes, before.bytes, r.len);
	free(r.bytes);
	free(before.bytes);
}

static void
another_relays_address_stays(void **state)
{
	struct dhcp sent = discover();
	struct dhcp_relayed r;

	(void)state;
	sent.giaddr = OTHER;
	sent.hops = 1;
	sent.relay_info = (const uint8_t *)"\1\1x";
	sent.relay_info_bytes = 3;
	r = message(&sent, ROOM);
	assert_int_equal(
	    dhcp_relay_request(&r, OWN, "gw.inside"), REASON_DHCP_RELAYED);
	assert_int_equal(parsed(&r).giaddr, OTHER);
	assert_int_equal(parsed(&r).hops, 2);
	assert_int_equal(parsed(&r).relay_info_bytes, 3);
	free(r.bytes);
}

static void
a_circuit_is_told_where_there_is_room(void **state)
{
	static const uint8_t want[] = { 1, 9, 'g', 'w', '.', 'i', 'n', 's', 'i',
		'd', 'e' };
	static const size_t rooms[] = { ROOM, 300 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct dhcp sent = discover(), m;
		struct dhcp_relayed r = message(&sent, rooms[i]);

		assert_int_equal(dhcp_relay_request(&r, OWN, "gw.inside"),
		    REASON_DHCP_RELAYED);
		m = parsed(&r);
		assert_int_equal(m.relay_info_bytes, sizeof(want));
		assert_memory_equal(m.relay_info, want, sizeof(want));
		assert_string_equal(m.hostname, "alice");
		assert_int_equal(r.len, 300);
		free(r.bytes);
	}
}

static void
a_full_message_goes_without_it(void **state)
{
	uint8_t bytes[300] = { DHCP_BOOTREQUEST, 1, 6, [236] = 0x63, 0x82, 0x53,
		0x63, 12, 50 };
	struct dhcp_relayed r = { bytes, 300, 300 };

	(void)state;
	bytes[292] = 60; /* of two bytes, and the end at the end */
	bytes[293] = 2;
	bytes[296] = 255;
	assert_int_equal(
	    dhcp_relay_request(&r, OWN, "abc"), REASON_DHCP_RELAYED);
	assert_int_equal(bytes[296], 255);
	assert_int_equal(r.len, 300);
	assert_int_equal(get_be32(bytes + 24), OWN);
}

static void
requests_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *what;
		size_t len;
		uint8_t op, hops;
		uint8_t options[8];
		enum reason reason;
	} rows[] = {
		{ "plain BOOTP", 300, 1, 0, { 0 }, REASON_DHCP_RELAYED },
		{ "the shortest", 236, 1, 0, { 0 }, REASON_DHCP_RELAYED },
		{ "too short", 235, 1, 0, { 0 }, DROP_DHCP },
		{ "nothing", 0, 0, 0, { 0 }, DROP_DHCP },
		{ "neither", 300, 3, 0, { 0 }, DROP_DHCP },
		{ "four hops", 300, 1, 4, { 0 }, REASON_DHCP_RELAYED },
		{ "five hops", 300, 1, 5, { 0 }, DROP_DHCP_HOPS },
		{ "no end", 244, 1, 0, { 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 0 },
		    REASON_DHCP_RELAYED },
		{ "an option cut off", 243, 1, 0,
		    { 0x63, 0x82, 0x53, 0x63, 53, 2, 1 }, DROP_DHCP },
		{ "a code alone", 241, 1, 0, { 0x63, 0x82, 0x53, 0x63, 53 },
		    DROP_DHCP },
		{ "a relay's option from a client", 244, 1, 0,
		    { 0x63, 0x82, 0x53, 0x63, 82, 1, 1, 255 },
		    DROP_DHCP_RELAY },
		{ "... behind the end is none", 244, 1, 0,
		    { 0x63, 0x82, 0x53, 0x63, 255, 82, 1, 1 },
		    REASON_DHCP_RELAYED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[300] = { rows[i].op, 1, 6, rows[i].hops };
		struct exact e;
		struct dhcp_relayed r;
		enum reason reason;

		memcpy(bytes + 236, rows[i].options, 8);
		e = exact(bytes, rows[i].len);
		r = (struct dhcp_relayed){ e.data, e.len, e.len };
		reason = dhcp_relay_request(&r, OWN, "x");
		if (reason != rows[i].reason)
			fail_msg("%s: %s", rows[i].what, reason_name(reason));
		exact_free(&e);
	}
}

static void
an_answer_goes_where_the_flags_say(void **state)
{
	static const struct {
		uint16_t flags;
		uint32_t yiaddr, ip;
		bool to_all;
	} rows[] = {
		{ 0, OWN + 9, OWN + 9, false },
		{ DHCP_BROADCAST, OWN + 9, IP4_BROADCAST, true },
		{ 0, 0, IP4_BROADCAST, true }, /* a refusal */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dhcp sent = offer();
		struct dhcp_relay_to to;
		struct dhcp_relayed r;

		sent.flags = rows[i].flags;
		sent.yiaddr = rows[i].yiaddr;
		r = message(&sent, ROOM);
		assert_true(dhcp_relay_is_reply(&r));
		assert_int_equal(
		    dhcp_relay_reply(&r, false, &to), REASON_DHCP_RELAYED);
		assert_int_equal(to.relay, OWN);
		assert_int_equal(to.ip, rows[i].ip);
		assert_true(mac_equal(
		    &to.mac, rows[i].to_all ? &mac_broadcast : &client));
		free(r.bytes);
	}
}

static void
what_the_server_was_told_goes_no_further(void **state)
{
	struct dhcp sent = offer(), m;
	struct dhcp_relay_to to;
	struct dhcp_relayed r;

	(void)state;
	sent.relay_info = (const uint8_t *)"\1\3abc";
	sent.relay_info_bytes = 5;
	sent.lease_s = 600;
	for (int strip = 0; strip < 2; strip++) {
		r = message(&sent, ROOM);
		assert_int_equal(
		    dhcp_relay_reply(&r, strip, &to), REASON_DHCP_RELAYED);
		m = parsed(&r);
		assert_int_equal(m.relay_info_bytes, strip ? 0 : 5);
		assert_int_equal(m.lease_s, 600);
		assert_int_equal(m.yiaddr, OWN + 9);
		free(r.bytes);
	}
}

static void
answers_that_cannot_be_are_refused(void **state)
{
	static const uint8_t change[][2] = { { 0, 1 }, { 1, 6 }, { 2, 16 } };

	(void)state;
	for (size_t i = 0; i < sizeof(change) / sizeof(change[0]); i++) {
		struct dhcp sent = offer();
		struct dhcp_relay_to to;
		struct dhcp_relayed r = message(&sent, ROOM);

		r.bytes[change[i][0]] = change[i][1];
		assert_int_equal(dhcp_relay_reply(&r, true, &to), DROP_DHCP);
		free(r.bytes);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_gets_our_address_and_one_hop_more),
		cmocka_unit_test(another_relays_address_stays),
		cmocka_unit_test(a_circuit_is_told_where_there_is_room),
		cmocka_unit_test(a_full_message_goes_without_it),
		cmocka_unit_test(requests_that_cannot_be_are_refused),
		cmocka_unit_test(an_answer_goes_where_the_flags_say),
		cmocka_unit_test(what_the_server_was_told_goes_no_further),
		cmocka_unit_test(answers_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
