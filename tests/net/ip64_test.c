#include "net/ip64.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static struct ip6_addr
addr(const char *text)
{
	struct ip6_addr a;

	assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	return a;
}

/* The examples of RFC 6052 2.4. */
static const struct {
	const char *prefix;
	uint8_t bits;
	const char *text;
} rows[] = {
	{ "2001:db8::", 32, "2001:db8:c000:221::" },
	{ "2001:db8:100::", 40, "2001:db8:1c0:2:21::" },
	{ "2001:db8:122::", 48, "2001:db8:122:c000:2:2100::" },
	{ "2001:db8:122:300::", 56, "2001:db8:122:3c0:0:221::" },
	{ "2001:db8:122:344::", 64, "2001:db8:122:344:c0:2:2100::" },
	{ "2001:db8:122:344::", 96, "2001:db8:122:344::c000:221" },
	{ "64:ff9b::", 96, "64:ff9b::c000:221" },
};

static void
addresses_are_embedded_as_rfc_6052_shows(void **state)
{
	(void)state;
	for (size_t i = 0; i < NITEMS(rows); i++) {
		struct ip64_prefix prefix = { .addr = addr(rows[i].prefix),
			.bits = rows[i].bits };
		struct ip6_addr want = addr(rows[i].text);
		struct ip6_addr got = ip64_embed(&prefix, 0xc0000221);
		uint32_t ip4 = 0;

		assert_true(ip64_is_prefix(&prefix));
		assert_memory_equal(got.b, want.b, sizeof(got.b));
		assert_true(ip64_extract(&prefix, &got, &ip4));
		assert_int_equal(ip4, 0xc0000221);
		got.b[rows[i].bits / 8 - 1] ^= 1;
		assert_false(ip64_extract(&prefix, &got, &ip4));
	}
}

static void
other_lengths_and_bits_are_no_prefix(void **state)
{
	static const struct {
		const char *addr;
		uint8_t bits;
	} bad[] = { { "64:ff9b::", 95 }, { "64:ff9b::", 128 },
		{ "64:ff9b::", 72 }, { "2001::", 24 }, { "2001:db8::1", 96 },
		{ "2001:db8:0:0:100::", 96 }, { "ff02::", 96 } };

	(void)state;
	for (size_t i = 0; i < NITEMS(bad); i++) {
		struct ip64_prefix prefix = { .addr = addr(bad[i].addr),
			.bits = bad[i].bits };

		assert_false(ip64_is_prefix(&prefix));
	}
}

static void
rfc6052_s3_1_private_addresses_do_not_stand_behind_the_well_known_prefix(
    void **state)
{
	static const struct {
		uint32_t ip4;
		bool well_known, own;
	} of[] = { { 0xcb00710a, true, true }, { 0x08080808, true, true },
		{ 0xc0000201, true, true }, { 0x0a000001, false, true },
		{ 0xac1fffff, false, true }, { 0xc0a80101, false, true },
		{ 0xa9fe0001, false, true }, { 0x64400001, false, true },
		{ 0xc6120001, false, true }, { 0x7f000001, false, false },
		{ 0x00000001, false, false }, { 0xe0000001, false, false },
		{ 0xffffffff, false, false } };
	struct ip64_prefix own = { .addr = addr("2001:db8:64::"), .bits = 96 };

	(void)state;
	for (size_t i = 0; i < NITEMS(of); i++) {
		assert_int_equal(ip64_may_embed(&ip64_well_known, of[i].ip4),
		    of[i].well_known);
		assert_int_equal(ip64_may_embed(&own, of[i].ip4), of[i].own);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_embedded_as_rfc_6052_shows),
		cmocka_unit_test(other_lengths_and_bits_are_no_prefix),
		cmocka_unit_test(
		    rfc6052_s3_1_private_addresses_do_not_stand_behind_the_well_known_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
