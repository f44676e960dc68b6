#include "net/ip6.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

static struct ip6_addr
addr(const char *text)
{
	struct ip6_addr a;

	assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	return a;
}

static void
addresses_are_written_as_rfc_5952_says(void **state)
{
	static const char *const texts[] = { "::", "::1", "fe80::1",
		"2001:db8::1:0:0:1", "2001:0:0:1::1", "2001:db8:0:1:1:1:1:1",
		"ff02::1:ff00:1", "1:2:3:4:5:6:7:8",
		"1::", "1:0:0:2::", "ff05::abcd" };
	char text[IP6_TEXT_BYTES];
	struct ip6_addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		a = addr(texts[i]);
		assert_string_equal(ip6_text(text, &a), texts[i]);
	}
	a = addr("2001:db8:1111:2222:3333:4444:5555:6666");
	assert_int_equal(strlen(ip6_text(text, &a)), 38);
	a = ip6_of_ip4(0xe0010203);
	assert_string_equal(ip6_text(text, &a), "224.1.2.3");
}

static void
an_ip4_address_fits_within(void **state)
{
	struct ip6_addr a = ip6_of_ip4(0x0a000001), other = addr("fe80::1");
	uint32_t ip4 = 0;

	(void)state;
	assert_true(ip6_to_ip4(&ip4, &a));
	assert_int_equal(ip4, 0x0a000001);
	assert_false(ip6_to_ip4(&ip4, &other));
}

static void
a_link_local_address_follows_from_the_mac(void **state)
{
	static const struct mac mac = { { 0x52, 0x54, 0x00, 0x12, 0x34,
	    0x56 } };
	struct ip6_addr is = ip6_link_local(&mac),
			want = addr("fe80::5054:ff:fe12:3456");

	(void)state;
	assert_true(ip6_equal(&is, &want));
	assert_true(ip6_is_link_local(&is));
	assert_false(ip6_is_multicast(&is));
}

static void
a_header_is_read_and_written(void **state)
{
	uint8_t bytes[IP6_HEADER_BYTES + 8] = { 0 };
	struct ip6 h = { .traffic_class = 0xc0,
		.flow = 0x12345,
		.payload_bytes = 5,
		.next = IP_ICMP6,
		.hop_limit = 1,
		.src = addr("fe80::1"),
		.dst = addr("ff02::1") },
		   is;
	struct writer w = writer(bytes, sizeof(bytes));
	struct exact e;

	(void)state;
	ip6_write(&w, &h);
	assert_int_equal(wr_left(&w), 8);
	e = exact(bytes, sizeof(bytes));
	assert_int_equal(ip6_parse(&is, &e.c), DROP_NONE);
	assert_int_equal(cur_left(&e.c), 5);
	assert_int_equal(is.traffic_class, 0xc0);
	assert_int_equal(is.flow, 0x12345);
	assert_int_equal(is.next, IP_ICMP6);
	assert_int_equal(is.hop_limit, 1);
	assert_true(ip6_equal(&is.src, &h.src) && ip6_equal(&is.dst, &h.dst));
	exact_free(&e);

	for (size_t n = 0; n < sizeof(bytes); n++) {
		e = exact(bytes, n);
		assert_int_equal(ip6_parse(&is, &e.c),
		    n < IP6_HEADER_BYTES           ? DROP_SHORT
			: n < IP6_HEADER_BYTES + 5 ? DROP_IP_LENGTH
						   : DROP_NONE);
		exact_free(&e);
	}
	bytes[0] = 0x45;
	e = exact(bytes, sizeof(bytes));
	assert_int_equal(ip6_parse(&is, &e.c), DROP_IP6_HEADER);
	exact_free(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_written_as_rfc_5952_says),
		cmocka_unit_test(an_ip4_address_fits_within),
		cmocka_unit_test(a_link_local_address_follows_from_the_mac),
		cmocka_unit_test(a_header_is_read_and_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
