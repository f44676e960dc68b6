/*
 * Router solicitations and advertisements, byte by byte.
 */
#include "net/ra.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "net/icmp6.h"
#include "net/nd.h"
#include "tests/net/exact.h"

static const struct ip6_addr zero;
static const struct ip6_addr host = { { 0xfe, 0x80, [15] = 9 } };

/* A solicitation whose checksum is right, in an exact piece of memory. */
static enum reason
solicit(const uint8_t *data, size_t n, struct ip6 ip, struct mac *mac)
{
	uint8_t bytes[128] = { ND_ROUTER_SOLICIT };
	struct exact e;
	enum reason reason;

	memcpy(bytes, data, n);
	if (n >= 4)
		put_be16(bytes + 2,
		    csum_finish(csum_add_bytes(
			csum_pseudo6(&ip.src, &ip.dst, IP_ICMP6, (uint32_t)n),
			bytes, n)));
	e = exact(bytes, n);
	reason = rs_parse(mac, &e.c, &ip);
	exact_free(&e);
	return reason;
}

static void
solicitations_are_believed_as_rfc_4861_says(void **state)
{
	static const struct {
		uint8_t bytes[32];
		size_t n;
		bool nameless;
		uint8_t hop_limit;
		enum reason reason;
		uint8_t mac; /* its first byte */
	} rows[] = {
		{ { 133 }, 8, false, 255, REASON_NONE, 0 },
		{ { 133 }, 8, true, 255, REASON_NONE, 0 },
		{ { 133, [8] = 1, 1, 2, 3, 4, 5, 6, 7 }, 16, false, 255,
		    REASON_NONE, 2 },
		{ { 133, [8] = 1, 1, 2, 3, 4, 5, 6, 7 }, 16, true, 255, DROP_ND,
		    0 },
		{ { 133, [8] = 200, 1, 2, 3, 4, 5, 6, 7 }, 16, false, 255,
		    REASON_NONE, 0 },
		{ { 133 }, 8, false, 254, DROP_ND, 0 },
		{ { 133, 1 }, 8, false, 255, DROP_ND, 0 },
		{ { 134 }, 8, false, 255, DROP_ND, 0 },
		{ { 133 }, 7, false, 255, DROP_SHORT, 0 },
		{ { 133, [8] = 1, 0 }, 16, false, 255, DROP_ND, 0 },
		{ { 133, [8] = 1, 2 }, 16, false, 255, DROP_SHORT, 0 },
		{ { 133, [8] = 1 }, 9, false, 255, DROP_ND, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip6 ip = { .src = rows[i].nameless ? zero : host,
			.dst = ip6_all_routers,
			.hop_limit = rows[i].hop_limit };
		struct mac mac = { { 0 } };

		print_message("row %zu\n", i);
		assert_int_equal(solicit(rows[i].bytes, rows[i].n, ip, &mac),
		    rows[i].reason);
		assert_int_equal(mac.b[0], rows[i].mac);
	}
}

static void
a_wrong_checksum_is_told(void **state)
{
	uint8_t bytes[8] = { ND_ROUTER_SOLICIT };
	struct cursor c = cursor(bytes, sizeof(bytes));
	struct ip6 ip = { .src = host, .hop_limit = 255 };
	struct mac mac;

	(void)state;
	assert_int_equal(rs_parse(&mac, &c, &ip), DROP_L4_CHECKSUM);
}

static void
an_advertisement_says_what_it_is_told(void **state)
{
	static const uint8_t want[] = {
		/* hop limit, O flag, lifetime; reachable, retransmission */
		64, 0x40, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0,
		/* source */
		1, 1, 2, 0, 0, 0, 0, 1,
		/* MTU */
		5, 1, 0, 0, 0, 0, 0x05, 0xdc,
		/* prefix, without host bits */
		3, 4, 64, 0xc0, 0, 0x27, 0x8d, 0, 0, 0x09, 0x3a, 0x80, 0, 0, 0,
		0, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		/* DNS */
		25, 3, 0, 0, 0, 0, 0x07, 0x08, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 1,
		/* NAT64: 225 eights of seconds, /96 */
		38, 2, 0x07, 0x08, 0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0,
		/* domain, padded */
		31, 3, 0, 0, 0, 0, 0x07, 0x08, 3, 'l', 'a', 'b', 7, 'e', 'x',
		'a', 'm', 'p', 'l', 'e', 0, 0, 0, 0
	};
	struct ra_message ra = { .hop_limit = 64,
		.other = true,
		.lifetime_s = 1800,
		.mac = { { 2, 0, 0, 0, 0, 1 } },
		.mtu_bytes = 1500,
		.prefix = { { { { { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 1 } },
				  64 },
		    true, true, 2592000, 604800 } },
		.nprefixes = 1,
		.dns = { { { 0x20, 1, 0xd, 0xb8, [15] = 1 } } },
		.ndns = 1,
		.nat64 = ip64_well_known,
		.domain = "lab.example",
		.dns_s = 1800 };
	uint8_t bytes[IP6_HEADER_BYTES + RA_MAX_BYTES];
	struct writer w = writer(bytes, sizeof(bytes));
	struct cursor c;
	struct ip6 ip;
	struct icmp6 icmp;

	(void)state;
	ra_write(&w, &ra, &host, &ip6_all_nodes);
	assert_false(w.overrun);
	c = cursor(bytes, (size_t)(w.at - bytes));
	assert_int_equal(ip6_parse(&ip, &c), REASON_NONE);
	assert_int_equal(ip.hop_limit, 255);
	assert_int_equal(
	    icmp6_parse(&icmp, &c, &ip.src, &ip.dst, false), REASON_NONE);
	assert_int_equal(icmp.type, ND_ROUTER_ADVERTISE);
	assert_int_equal(icmp.data_bytes, sizeof(want) - 4);
	assert_memory_equal(bytes + IP6_HEADER_BYTES + 4, want, sizeof(want));
	/* A shorter prefix, for long. */
	ra.nat64 = (struct ip64_prefix){ { { 0x20, 1, 0xd, 0xb8, 9 } }, 40 };
	ra.dns_s = 100000;
	w = writer(bytes, sizeof(bytes));
	ra_write(&w, &ra, &host, &ip6_all_nodes);
	assert_memory_equal(bytes + IP6_HEADER_BYTES + 4 + 12 + 8 + 8 + 32 + 24,
	    "\46\2\377\374\40\1\15\270\11\0", 10);
	/* All there can be fits. */
	ra.nprefixes = RA_PREFIXES;
	ra.ndns = RA_SERVERS;
	ra.domain = "a23456789012345678901234567890123456789012345678901234567"
		    "89012";
	w = writer(bytes, sizeof(bytes));
	ra_write(&w, &ra, &host, &ip6_all_nodes);
	assert_false(w.overrun);
	assert_true(w.at - bytes <= RA_MAX_BYTES);
	/* A domain that is no name is left out. */
	ra.domain = "a..b";
	w = writer(bytes, sizeof(bytes));
	ra_write(&w, &ra, &host, &ip6_all_nodes);
	assert_false(w.overrun);
}

/* What ra_write() wrote, read again. */
static void
an_advertisement_reads_as_it_was_written(void **state)
{
	struct ra_message ra = { .hop_limit = 64,
		.managed = true,
		.lifetime_s = 1800,
		.mac = { { 2, 0, 0, 0, 0, 1 } },
		.mtu_bytes = 1500,
		.prefix = { { { { { 0x20, 1, 0xd, 0xb8, 0, 1 } }, 64 }, true,
				true, 2592000, 604800 },
		    { { { { 0xfd, 0, 0, 1 } }, 48 }, true, false, 9, 7 } },
		.nprefixes = 2,
		.dns = { { { 0x20, 1, 0xd, 0xb8, [15] = 1 } },
		    { { 0xfd, [15] = 2 } } },
		.ndns = 2,
		.domain = "lab",
		.nat64 = ip64_well_known,
		.dns_s = 77 };
	uint8_t bytes[IP6_HEADER_BYTES + RA_MAX_BYTES];
	struct writer w = writer(bytes, sizeof(bytes));
	struct ra_message got;
	struct ip6 ip;

	(void)state;
	ra_write(&w, &ra, &host, &ip6_all_nodes);
	/* And cut off anywhere it is refused. */
	for (size_t n = 0; n <= (size_t)(w.at - bytes); n++) {
		const bool whole = n == (size_t)(w.at - bytes);
		struct exact e = exact(bytes, n);
		enum reason reason = ip6_parse(&ip, &e.c);

		if (reason == REASON_NONE)
			reason = ra_parse(&got, &e.c, &ip);
		assert_int_equal(reason == REASON_NONE, whole);
		exact_free(&e);
	}
	assert_int_equal(got.hop_limit, 64);
	assert_true(got.managed && !got.other);
	assert_int_equal(got.lifetime_s, 1800);
	assert_true(mac_equal(&got.mac, &ra.mac));
	assert_int_equal(got.mtu_bytes, 1500);
	assert_int_equal(got.nprefixes, 2);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(
		    ip6_equal(&got.prefix[i].net.addr, &ra.prefix[i].net.addr));
		assert_int_equal(
		    got.prefix[i].net.prefix, ra.prefix[i].net.prefix);
		assert_true(got.prefix[i].on_link);
		assert_int_equal(
		    got.prefix[i].autonomous, ra.prefix[i].autonomous);
		assert_int_equal(got.prefix[i].valid_s, ra.prefix[i].valid_s);
		assert_int_equal(
		    got.prefix[i].preferred_s, ra.prefix[i].preferred_s);
		assert_true(ip6_equal(&got.dns[i], &ra.dns[i]));
		assert_int_equal(got.each_dns_s[i], 77);
	}
	assert_int_equal(got.ndns, 2);
}

static void
a_solicitation_reads_as_it_was_written(void **state)
{
	const struct mac macs[] = { { { 0 } }, { { 2, 0, 0, 0, 0, 7 } } };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t bytes[100];
		struct writer w = writer(bytes, sizeof(bytes));
		struct mac got = { { 0 } };
		struct cursor c;
		struct ip6 ip;

		rs_write(
		    &w, &macs[i], i == 0 ? &zero : &host, &ip6_all_routers);
		c = cursor(bytes, (size_t)(w.at - bytes));
		assert_int_equal(ip6_parse(&ip, &c), REASON_NONE);
		assert_int_equal(rs_parse(&got, &c, &ip), REASON_NONE);
		assert_true(mac_equal(&got, &macs[i]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_advertisement_reads_as_it_was_written),
		cmocka_unit_test(a_solicitation_reads_as_it_was_written),
		cmocka_unit_test(solicitations_are_believed_as_rfc_4861_says),
		cmocka_unit_test(a_wrong_checksum_is_told),
		cmocka_unit_test(an_advertisement_says_what_it_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
