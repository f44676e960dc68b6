#include "net/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static void
ip4_text_reads_back(void **state)
{
	static const struct {
		uint32_t addr;
		const char *text;
	} cases[] = {
		{ 0x00000000, "0.0.0.0" },
		{ 0x0a000001, "10.0.0.1" },
		{ 0x01020304, "1.2.3.4" },
		{ 0x090a6364, "9.10.99.100" },
		{ 0xc8c7ff0b, "200.199.255.11" },
		{ 0xffffffff, "255.255.255.255" },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		char text[IP4_TEXT_BYTES];
		uint32_t addr = 1;

		assert_ptr_equal(ip4_text(text, cases[i].addr), text);
		assert_string_equal(text, cases[i].text);
		assert_true(ip4_read(&addr, text));
		assert_int_equal(addr, cases[i].addr);
	}
	for (uint32_t byte = 0; byte < 256; byte++) {
		char text[IP4_TEXT_BYTES], want[32];
		uint32_t addr;

		snprintf(
		    want, sizeof(want), "%u.%u.0.%u", byte, 255 - byte, byte);
		ip4_text(text, byte << 24 | (255 - byte) << 16 | byte);
		assert_string_equal(text, want);
		assert_true(ip4_read(&addr, text));
		assert_int_equal(addr >> 24, byte);
	}
}

static void
anything_but_a_dotted_quad_is_refused(void **state)
{
	static const char *const cases[] = { "", ".", "1", "1.2", "1.2.3",
		"1.2.3.", "1.2.3.4.", "1.2.3.4.5", ".1.2.3.4", "1..2.3",
		"256.1.1.1", "1.1.1.256", "1.1.1.999", "1.1.1.4294967297",
		"99999999999999999999.1.1.1", "01.2.3.4", "1.2.3.04",
		"1.2.3.00", "0x1.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4",
		"+1.2.3.4", "1.2.3.4/24", "1,2,3,4", "a.b.c.d", "1.2.3.4x",
		"localhost" };

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		uint32_t addr = 0x12345678;

		if (ip4_read(&addr, cases[i]))
			fail_msg("\"%s\" was taken", cases[i]);
		assert_int_equal(addr, 0x12345678);
	}
}

static void
networks_read_back_with_every_prefix(void **state)
{
	(void)state;
	for (uint8_t prefix = 0; prefix <= 32; prefix++) {
		struct ip4_net in = { 0xffffffff, prefix }, out = { 0, 99 };
		char text[NET_TEXT_BYTES], want[32];

		snprintf(want, sizeof(want), "255.255.255.255/%u", prefix);
		assert_ptr_equal(ip4_net_text(text, in), text);
		assert_string_equal(text, want);
		assert_true(ip4_net_read(&out, text));
		assert_int_equal(out.addr, in.addr);
		assert_int_equal(out.prefix, prefix);
	}
}

static void
anything_but_a_network_is_refused(void **state)
{
	static const char *const cases[] = { "", "10.0.0.1", "10.0.0.1/",
		"10.0.0.1/33", "10.0.0.1/024", "10.0.0.1/-1", "10.0.0.1/24 ",
		"10.0.0.1 /24", "10.0.0/24", "/24", "10.0.0.1/24/24",
		"10.0.0.1/255.255.255.0", "10.0.0.1/4294967296" };

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct ip4_net net = { 7, 7 };

		if (ip4_net_read(&net, cases[i]))
			fail_msg("\"%s\" was taken", cases[i]);
		assert_true(net.addr == 7 && net.prefix == 7);
	}
}

static void
network_arithmetic_holds_at_its_edges(void **state)
{
	static const struct {
		struct ip4_net net;
		uint32_t mask, broadcast, in, out; /* out 0: none is */
	} cases[] = {
		{ { 0x0a000001, 0 }, 0, 0xffffffff, 0xffffffff, 0 },
		{ { 0x0a000001, 8 }, 0xff000000, 0x0affffff, 0x0affffff,
		    0x0b000000 },
		{ { 0x0a000001, 24 }, 0xffffff00, 0x0a0000ff, 0x0a000000,
		    0x0a000100 },
		{ { 0x0a000001, 30 }, 0xfffffffc, 0x0a000003, 0x0a000002,
		    0x0a000004 },
		{ { 0x0a000001, 31 }, 0xfffffffe, 0, 0x0a000000, 0x0a000002 },
		{ { 0x0a000001, 32 }, 0xffffffff, 0, 0x0a000001, 0x0a000000 },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct ip4_net net = cases[i].net;

		assert_int_equal(ip4_mask(net.prefix), cases[i].mask);
		assert_int_equal(ip4_net_broadcast(net), cases[i].broadcast);
		assert_true(ip4_net_has(net, cases[i].in));
		if (cases[i].out != 0)
			assert_false(ip4_net_has(net, cases[i].out));
	}
	assert_true(ip4_is_multicast(0xe0000000));
	assert_true(ip4_is_multicast(0xefffffff));
	assert_false(ip4_is_multicast(0xdfffffff));
	assert_false(ip4_is_multicast(0xf0000000));
	assert_true(ip4_is_loopback(0x7fffffff));
	assert_false(ip4_is_loopback(0x80000000));
}

static void
mac_text_reads_back(void **state)
{
	static const struct {
		struct mac mac;
		const char *text, *also;
	} cases[] = {
		{ { { 0, 0, 0, 0, 0, 0 } }, "00:00:00:00:00:00",
		    "00-00-00-00-00-00" },
		{ { { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 } },
		    "52:54:00:12:34:56", "52-54-00-12-34-56" },
		{ { { 0xab, 0xcd, 0xef, 0x09, 0x90, 0xff } },
		    "ab:cd:ef:09:90:ff", "AB-CD-EF-09-90-FF" },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		char text[MAC_TEXT_BYTES];
		struct mac mac = { { 1 } };

		assert_ptr_equal(mac_text(text, &cases[i].mac), text);
		assert_string_equal(text, cases[i].text);
		assert_true(mac_read(&mac, text));
		assert_true(mac_equal(&mac, &cases[i].mac));
		memset(&mac, 1, sizeof(mac));
		assert_true(mac_read(&mac, cases[i].also));
		assert_true(mac_equal(&mac, &cases[i].mac));
	}
}

static void
anything_but_a_mac_is_refused(void **state)
{
	static const char *const cases[] = { "", ":", "52", "52:54:00:12:34",
		"52:54:00:12:34:", "52:54:00:12:34:5", "52:54:00:12:34:567",
		"52:54:00:12:34:56:", "52:54:00:12:34:56:78",
		":52:54:00:12:34:56", "52:54-00:12:34:56", "52-54-00-12-34:56",
		"525400123456", "5254.0012.3456", "52 54 00 12 34 56",
		"5g:54:00:12:34:56", "52:54:00:12:34:5g", "52:54:00:12:34:56 ",
		" 52:54:00:12:34:56", "2:4:0:2:4:6", "0x52:54:00:12:34:56",
		"52::54:00:12:34" };

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct mac mac = { { 1, 2, 3, 4, 5, 6 } }, before = mac;

		if (mac_read(&mac, cases[i]))
			fail_msg("\"%s\" was taken", cases[i]);
		assert_true(mac_equal(&mac, &before));
	}
}

static void
kinds_of_mac_are_told_apart(void **state)
{
	const struct mac zero = { { 0 } };
	const struct mac group = { { 0x01, 0x00, 0x5e, 0, 0, 1 } };
	const struct mac one = { { 0, 0, 0, 0, 0, 1 } };

	(void)state;
	assert_true(mac_is_broadcast(&mac_broadcast));
	assert_true(mac_is_group(&mac_broadcast));
	assert_true(mac_is_group(&group));
	assert_false(mac_is_broadcast(&group));
	assert_true(mac_is_zero(&zero));
	assert_false(mac_is_zero(&one));
	assert_false(mac_is_group(&one));
}

static int
compare_macs(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct mac));
}

/* Names as labs have them; a good hash gives each its own address, and does
 * not give neighbours addresses that look alike. */
static void
names_make_unicast_local_addresses_of_their_own(void **state)
{
	enum { NODES = 2500, PORTS = 4 };
	struct mac *macs = calloc(NODES * PORTS, sizeof(*macs));
	unsigned int changed = 0;

	(void)state;
	assert_non_null(macs);
	for (int n = 0; n < NODES; n++)
		for (int p = 0; p < PORTS; p++) {
			struct mac *mac = &macs[n * PORTS + p];
			char name[32];

			snprintf(name, sizeof(name), "h%d.eth%d", n, p);
			*mac = mac_of_name(name);
			assert_false(mac_is_group(mac));
			assert_true(mac->b[0] & 2);
			if (p == 0)
				continue;
			for (int i = 1; i < 6; i++)
				changed += (unsigned int)__builtin_popcount(
				    mac->b[i] ^ mac[-1].b[i]);
		}
	/* Of 40 bits, 20 change from one port to the next, as by chance. */
	changed = changed * 10 / (NODES * (PORTS - 1));
	assert_in_range(changed, 195, 205);
	qsort(macs, NODES * PORTS, sizeof(*macs), compare_macs);
	for (int i = 1; i < NODES * PORTS; i++)
		assert_false(mac_equal(&macs[i], &macs[i - 1]));
	free(macs);
}

/* What a name gives is in captures and lab files: it may not change. */
static void
addresses_of_names_stay_as_they_are(void **state)
{
	static const struct {
		const char *name, *text;
	} cases[] = {
		{ "", "52:26:29:99:ba:60" },
		{ "alice.eth0", "52:29:79:5c:de:d6" },
		{ "bob.eth0", "52:b5:33:03:1e:c1" },
		{ "gw.inside", "52:36:ac:60:b3:60" },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct mac mac = mac_of_name(cases[i].name);
		char text[MAC_TEXT_BYTES];

		assert_string_equal(mac_text(text, &mac), cases[i].text);
	}
}

static void
addresses_pass_through_cursor_and_writer(void **state)
{
	const struct mac mac = { { 1, 2, 3, 4, 5, 6 } };
	uint8_t bytes[6];
	struct writer w = writer(bytes, sizeof(bytes));
	struct cursor c;
	struct mac out;

	(void)state;
	wr_mac(&w, &mac);
	assert_false(w.overrun);
	c = cursor(bytes, sizeof(bytes));
	cur_mac(&c, &out);
	assert_true(mac_equal(&mac, &out));
	cur_mac(&c, &out);
	assert_true(c.overrun);
	assert_true(mac_is_zero(&out));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip4_text_reads_back),
		cmocka_unit_test(anything_but_a_dotted_quad_is_refused),
		cmocka_unit_test(networks_read_back_with_every_prefix),
		cmocka_unit_test(anything_but_a_network_is_refused),
		cmocka_unit_test(network_arithmetic_holds_at_its_edges),
		cmocka_unit_test(mac_text_reads_back),
		cmocka_unit_test(anything_but_a_mac_is_refused),
		cmocka_unit_test(kinds_of_mac_are_told_apart),
		cmocka_unit_test(
		    names_make_unicast_local_addresses_of_their_own),
		cmocka_unit_test(addresses_of_names_stay_as_they_are),
		cmocka_unit_test(addresses_pass_through_cursor_and_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
