#include "net/ip6_chain.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/ip4.h"
#include "tests/net/exact.h"

struct row {
	const char *what;
	uint8_t next;
	const uint8_t *bytes;
	size_t n;
	enum reason reason;
	struct ip6_chain want;
};

#define BYTES(...)                        \
	(const uint8_t[]){ __VA_ARGS__ }, \
	    sizeof((const uint8_t[]){ __VA_ARGS__ })

static const struct row rows[] = {
	{ "no header", IP_UDP, BYTES(0), REASON_NONE,
	    { .protocol = IP_UDP, .next_at = 6 } },
	{ "hop by hop with padding alone", IP_HOP_BY_HOP,
	    BYTES(IP_UDP, 0, 1, 4, 0, 0, 0, 0), REASON_NONE,
	    { .protocol = IP_UDP, .bytes = 8, .next_at = 40 } },
	{ "router alert may be passed over", IP_HOP_BY_HOP,
	    BYTES(IP_ICMP6, 0, 5, 2, 0, 0, 1, 0), REASON_NONE,
	    { .protocol = IP_ICMP6, .bytes = 8, .next_at = 40 } },
	{ "an option that must be known", IP_DESTINATION,
	    BYTES(IP_UDP, 0, 0, 0xc9, 2, 0, 0, 0), REASON_NONE,
	    { .protocol = IP_UDP,
		.bytes = 8,
		.next_at = 40,
		.option_at = 43,
		.option = 0xc9 } },
	{ "routing header", IP_ROUTING, BYTES(IP_TCP, 0, 4, 1, 0, 0, 0, 0),
	    REASON_NONE,
	    { .protocol = IP_TCP,
		.bytes = 8,
		.next_at = 40,
		.routing_at = 40,
		.routing_type = 4,
		.segments_left = 1 } },
	{ "authentication header", IP_AUTH,
	    BYTES(IP_TCP, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1), REASON_NONE,
	    { .protocol = IP_TCP, .bytes = 12, .next_at = 40 } },
	{ "a first fragment, behind another header", IP_DESTINATION,
	    BYTES(
		IP_FRAGMENT, 0, 1, 4, 0, 0, 0, 0, IP_UDP, 0, 0, 1, 0, 0, 1, 2),
	    REASON_NONE,
	    { .protocol = IP_UDP,
		.bytes = 16,
		.next_at = 48,
		.fragment_at = 48,
		.more = true,
		.id = 258 } },
	{ "a later fragment, whose data is not a header", IP_FRAGMENT,
	    BYTES(IP_DESTINATION, 0, 5, 0xa8, 0, 0, 0, 9), REASON_NONE,
	    { .protocol = IP_DESTINATION,
		.bytes = 8,
		.next_at = 40,
		.fragment_at = 40,
		.offset_bytes = 1448,
		.id = 9 } },
	{ "two fragment headers", IP_FRAGMENT,
	    BYTES(
		IP_FRAGMENT, 0, 0, 1, 0, 0, 0, 9, IP_UDP, 0, 0, 0, 0, 0, 0, 1),
	    DROP_IP6_CHAIN,
	    { .protocol = IP_FRAGMENT,
		.bytes = 8,
		.next_at = 40,
		.fragment_at = 40,
		.more = true,
		.id = 9 } },
	{ "hop by hop is the first or none", IP_DESTINATION,
	    BYTES(IP_HOP_BY_HOP, 0, 1, 4, 0, 0, 0, 0, IP_UDP, 0, 1, 4, 0, 0, 0,
		0),
	    DROP_IP6_CHAIN,
	    { .protocol = IP_HOP_BY_HOP, .bytes = 8, .next_at = 40 } },
	{ "cut off in a header", IP_DESTINATION,
	    BYTES(IP_UDP, 1, 1, 4, 0, 0, 0, 0), DROP_SHORT,
	    { .protocol = IP_DESTINATION, .next_at = IP6_OFF_NEXT } },
	{ "cut off before one", IP_DESTINATION,
	    BYTES(IP_FRAGMENT, 0, 1, 4, 0, 0, 0, 0), DROP_SHORT,
	    { .protocol = IP_FRAGMENT, .bytes = 8, .next_at = 40 } },
};

static void
headers_are_walked_to_the_upper_layer(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct ip6 ip = { .next = row->next };
		struct ip6_chain is = { 0 };
		struct exact e = exact(row->bytes, row->n);

		print_message("%s\n", row->what);
		assert_int_equal(ip6_chain_parse(&is, &e.c, &ip), row->reason);
		assert_int_equal(is.protocol, row->want.protocol);
		assert_int_equal(is.bytes, row->want.bytes);
		assert_int_equal(is.next_at, row->want.next_at);
		assert_int_equal(is.fragment_at, row->want.fragment_at);
		assert_int_equal(is.offset_bytes, row->want.offset_bytes);
		assert_int_equal(is.more, row->want.more);
		assert_int_equal(is.id, row->want.id);
		assert_int_equal(is.routing_at, row->want.routing_at);
		assert_int_equal(is.routing_type, row->want.routing_type);
		assert_int_equal(is.segments_left, row->want.segments_left);
		assert_int_equal(is.option_at, row->want.option_at);
		assert_int_equal(is.option, row->want.option);
		if (row->reason == REASON_NONE)
			assert_ptr_equal(e.c.at, e.data + is.bytes);
		exact_free(&e);
	}
}

static void
a_chain_has_an_end(void **state)
{
	uint8_t bytes[8 * 40];
	struct ip6 ip = { .next = IP_DESTINATION };
	struct ip6_chain chain;
	struct cursor c = cursor(bytes, sizeof(bytes));

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i += 8)
		memcpy(bytes + i,
		    (const uint8_t[]){ IP_DESTINATION, 0, 1, 4, 0, 0, 0, 0 },
		    8);
	assert_int_equal(ip6_chain_parse(&chain, &c, &ip), DROP_IP6_CHAIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_walked_to_the_upper_layer),
		cmocka_unit_test(a_chain_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
