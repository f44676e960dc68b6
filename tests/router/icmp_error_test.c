#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "router/icmp_error.h"

#include "net/checksum.h"

#define MS UINT64_C(1000000)

/* RFC 1812, 4.3.2.7, each of its cases. */
static void
errors_are_sent_only_about_what_rfc1812_allows(void **state)
{
	static const struct {
		const char *why;
		struct ip4 ip;
		uint8_t icmp_type;
		bool group, allowed;
	} rows[] = {
		{ "udp",
		    { .src = 0x0a000001,
			.dst = 0x0a000002,
			.protocol = IP_UDP },
		    0, false, true },
		{ "echo request",
		    { .src = 0x0a000001,
			.dst = 0x0a000002,
			.protocol = IP_ICMP },
		    8, false, true },
		{ "echo reply",
		    { .src = 0x0a000001,
			.dst = 0x0a000002,
			.protocol = IP_ICMP },
		    0, false, true },
		{ "unreachable",
		    { .src = 0x0a000001,
			.dst = 0x0a000002,
			.protocol = IP_ICMP },
		    3, false, false },
		{ "redirect",
		    { .src = 0x0a000001,
			.dst = 0x0a000002,
			.protocol = IP_ICMP },
		    5, false, false },
		{ "time exceeded",
		    { .src = 0x0a000001,
			.dst = 0x0a000002,
			.protocol = IP_ICMP },
		    11, false, false },
		{ "parameter",
		    { .src = 0x0a000001,
			.dst = 0x0a000002,
			.protocol = IP_ICMP },
		    12, false, false },
		{ "link broadcast",
		    { .src = 0x0a000001,
			.dst = 0x0a000002,
			.protocol = IP_UDP },
		    0, true, false },
		{ "broadcast",
		    { .src = 0x0a000001,
			.dst = 0xffffffff,
			.protocol = IP_UDP },
		    0, false, false },
		{ "multicast",
		    { .src = 0x0a000001,
			.dst = 0xe0000001,
			.protocol = IP_UDP },
		    0, false, false },
		{ "first fragment",
		    { .src = 0x0a000001,
			.dst = 0x0a000002,
			.protocol = IP_UDP,
			.fragment = IP4_MF },
		    0, false, true },
		{ "another fragment",
		    { .src = 0x0a000001,
			.dst = 0x0a000002,
			.protocol = IP_UDP,
			.offset_bytes = 8 },
		    0, false, false },
		{ "source 0",
		    { .src = 0, .dst = 0x0a000002, .protocol = IP_UDP }, 0,
		    false, false },
		{ "source loopback",
		    { .src = 0x7f000001,
			.dst = 0x0a000002,
			.protocol = IP_UDP },
		    0, false, false },
		{ "source multicast",
		    { .src = 0xe0000001,
			.dst = 0x0a000002,
			.protocol = IP_UDP },
		    0, false, false },
		{ "source broadcast",
		    { .src = 0xffffffff,
			.dst = 0x0a000002,
			.protocol = IP_UDP },
		    0, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t payload[8] = { rows[i].icmp_type };

		if (icmp_error_allowed(&rows[i].ip, payload, 8,
			rows[i].group) != rows[i].allowed)
			fail_msg("%s", rows[i].why);
	}
}

static void
icmp_without_a_type_is_not_answered(void **state)
{
	struct ip4 ip = {
		.src = 0x0a000001, .dst = 0x0a000002, .protocol = IP_ICMP
	};

	(void)state;
	assert_false(icmp_error_allowed(&ip, NULL, 0, false));
}

static void
a_burst_passes_and_then_the_rate(void **state)
{
	struct icmp_limit limit = { .all.tokens = 0 };
	unsigned int n = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		n += icmp_limit_take(&limit, i, 5 * MS);
	assert_int_equal(n, ICMP_ERROR_BURST);
	n = 0;
	for (uint64_t t = 0; t < 10000; t++)
		n += icmp_limit_take(&limit, (uint32_t)t, 5 * MS + t * MS);
	assert_in_range(n, 10 * ICMP_ERROR_RATE - 2, 10 * ICMP_ERROR_RATE);
}

static void
a_long_silence_fills_the_bucket_and_no_more(void **state)
{
	struct icmp_limit limit = { .all.tokens = 0 };
	unsigned int n = 0;

	(void)state;
	icmp_limit_take(&limit, 0, 0);
	for (uint32_t i = 0; i < 1000; i++)
		n += icmp_limit_take(&limit, i, UINT64_C(1) << 60);
	assert_int_equal(n, ICMP_ERROR_BURST);
}

static void
one_host_leaves_errors_for_others(void **state)
{
	struct icmp_limit limit = { .all.tokens = 0 };
	unsigned int mine = 0, others = 0;

	(void)state;
	for (uint64_t t = 0; t < 10000; t++) {
		for (int i = 0; i < 10; i++)
			mine += icmp_limit_take(&limit, 0x0a00000a, t * MS);
		if (t % 100 == 0) /* ten a second */
			others += icmp_limit_take(&limit, 0x0a00000b, t * MS);
	}
	assert_int_equal(others, 100);
	assert_in_range(mine, 10 * ICMP_ERROR_RATE / 2,
	    10 * ICMP_ERROR_RATE / 2 + ICMP_ERROR_BURST);
}

static void
the_quote_fits_576_bytes_and_the_checksums_are_right(void **state)
{
	static const size_t lengths[] = { 0, 1, 27, 28, 547, 548, 549, 1500 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct icmp_error error = { .type = ICMP_UNREACHABLE,
			.code = ICMP_UNREACH_NEEDFRAG,
			.word = 1400,
			.tos = 0xc8 };
		uint8_t quote[1500], out[ICMP_ERROR_BYTES];
		struct writer w = writer(out, sizeof(out));
		size_t expected = lengths[i] < 548 ? lengths[i] : 548;
		struct cursor c;
		struct ip4 ip;
		struct icmp icmp;

		for (size_t k = 0; k < sizeof(quote); k++)
			quote[k] = (uint8_t)(k * 7);
		icmp_error_write(
		    &w, &error, 0x0a000001, 0x0a000002, quote, lengths[i]);
		assert_false(w.overrun);
		c = cursor(out, (size_t)(w.at - out));
		assert_int_equal(ip4_parse(&ip, &c), REASON_NONE);
		assert_int_equal(ip.tos, 0xc8);
		assert_int_equal(ip.total_bytes, 28 + expected);
		assert_int_equal(icmp_parse(&icmp, &c), REASON_NONE);
		assert_int_equal(icmp.frag.mtu, 1400);
		assert_int_equal(icmp.data_bytes, expected);
		if (expected > 0)
			assert_memory_equal(icmp.data, quote, expected);
	}
}

static void
rfc1812_4_3_2_5_routers_say_that_errors_are_control(void **state)
{
	(void)state;
	assert_int_equal(icmp_error_tos(0, false), 0xc0);
	assert_int_equal(icmp_error_tos(0x2f, false), 0xcc); /* no ECN */
	assert_int_equal(icmp_error_tos(0xff, false), 0xdc);
}

static void
rfc5508_7_7_nats_keep_the_class_of_the_packet(void **state)
{
	(void)state;
	for (unsigned int tos = 0; tos < 256; tos++)
		assert_int_equal(
		    icmp_error_tos((uint8_t)tos, true), tos >> 2 << 2);
}

#define T(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(errors_are_sent_only_about_what_rfc1812_allows),
		T(icmp_without_a_type_is_not_answered),
		T(a_burst_passes_and_then_the_rate),
		T(one_host_leaves_errors_for_others),
		T(a_long_silence_fills_the_bucket_and_no_more),
		T(rfc1812_4_3_2_5_routers_say_that_errors_are_control),
		T(rfc5508_7_7_nats_keep_the_class_of_the_packet),
		T(the_quote_fits_576_bytes_and_the_checksums_are_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
