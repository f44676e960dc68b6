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
text_is_read_all_or_nothing(void **state)
{
	static const char *const good[] = { "::", "::1", "1::", "fe80::1",
		"2001:DB8::A", "1:2:3:4:5:6:7:8", "1::3:4:5:6:7:8",
		"1:2:3:4:5:6:7::", "::ffff:1.2.3.4", "64:ff9b::192.0.2.33",
		"1:2:3:4:5:6:1.2.3.4", "0001::" };
	static const char *const bad[] = { "", ":", ":::", "1:", ":1",
		"1::2::3", "1:::2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
		"12345::", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
		"g::", "1.2.3.4", "::1.2.3", "::1.2.3.4:5",
		"1:2:3:4:5:6:7:1.2.3.4", "::1 ", "::01.2.3.4", "fe80::1%eth0",
		"::1/64" };
	struct ip6_addr is, want;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		want = addr(good[i]);
		assert_true(ip6_read(&is, good[i]));
		assert_true(ip6_equal(&is, &want));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(ip6_read(&is, bad[i]));
}

static void
a_prefix_is_read_written_and_compared(void **state)
{
	static const char *const good[] = { "::/0", "2001:db8::1/64",
		"2001:db8::1/128", "fe80::/10", "1:2:3:4:5:6:7:8/9" };
	static const char *const bad[] = { "::", "::/", "::/129", "::/064",
		"::/-1", "::/6a", "/64", "::/0000", "1.2.3.4/24" };
	char text[IP6_NET_TEXT_BYTES];
	struct ip6_net net;
	struct ip6_addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(ip6_net_read(&net, good[i]));
		assert_string_equal(ip6_net_text(text, &net), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(ip6_net_read(&net, bad[i]));
	assert_true(ip6_net_read(&net, "2001:db8:abcd::1/36"));
	a = ip6_masked(&net.addr, net.prefix);
	assert_string_equal(ip6_text(text, &a), "2001:db8:a000::");
	a = addr("2001:db8:afff:ffff::");
	assert_true(ip6_net_has(&net, &a));
	a = addr("2001:db8:b000::");
	assert_false(ip6_net_has(&net, &a));
	assert_int_equal(ip6_common_bits(&net.addr, &a), 35);
	assert_int_equal(ip6_common_bits(&a, &a), 128);
	a = ip6_masked(&net.addr, 0);
	assert_true(ip6_is_zero(&a));
}

static void
addresses_that_no_host_has_are_told_apart(void **state)
{
	static const char *const hosts[] = { "2001:db8::1", "fe80::1",
		"fd00::1", "64:ff9b::1.2.3.4", "100::1" };
	static const char *const others[] = { "::", "::1", "ff02::1",
		"::ffff:1.2.3.4", "::1.2.3.4" };
	struct ip6_addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		a = addr(hosts[i]);
		assert_true(ip6_is_host(&a));
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		a = addr(others[i]);
		assert_false(ip6_is_host(&a));
	}
	a = addr("fdff::1");
	assert_true(ip6_is_unique_local(&a));
	a = addr("fe00::1");
	assert_false(ip6_is_unique_local(&a));
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
		cmocka_unit_test(text_is_read_all_or_nothing),
		cmocka_unit_test(a_prefix_is_read_written_and_compared),
		cmocka_unit_test(addresses_that_no_host_has_are_told_apart),
		cmocka_unit_test(an_ip4_address_fits_within),
		cmocka_unit_test(a_link_local_address_follows_from_the_mac),
		cmocka_unit_test(a_header_is_read_and_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
