#include "net/membership.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static const struct mac us = { { 0x52, 0x54, 0, 0x12, 0x34, 0x56 } };

static struct ip6_addr
addr(const char *text)
{
	struct ip6_addr a;
	uint32_t ip4;

	if (ip4_read(&ip4, text))
		return ip6_of_ip4(ip4);
	assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	return a;
}

static bool
is(const struct ip6_addr *a, const char *text)
{
	struct ip6_addr b = addr(text);

	return ip6_equal(a, &b);
}

/* Bytes of IGMP with their checksum, from 10.0.0.9; kept until the next. */
static enum reason
igmp(struct member_msg *msg, const uint8_t *bytes, size_t len)
{
	static struct exact e;
	struct ip4 ip = { .protocol = IP_IGMP, .src = 0x0a000009 };

	exact_free(&e);
	e = exact(bytes, len);
	if (len >= 4)
		put_be16(
		    e.data + 2, csum_finish(csum_add_bytes(0, e.data, len)));
	return igmp_parse(msg, &ip, &e.c);
}

/* The same of ICMPv6, behind a router alert, from fe80::9. */
static enum reason
mld(struct member_msg *msg, const uint8_t *bytes, size_t len)
{
	static const uint8_t alert[] = { 58, 0, 5, 2, 0, 0, 1, 0 };
	static struct exact e;
	uint8_t all[256];
	struct ip6 ip = {
		.hop_limit = 1, .src = addr("fe80::9"), .dst = addr("ff02::16")
	};
	uint32_t sum = csum_pseudo6(&ip.src, &ip.dst, 58, (uint32_t)len);

	memcpy(all, alert, sizeof(alert));
	memcpy(all + 8, bytes, len);
	if (len >= 4)
		put_be16(
		    all + 10, csum_finish(csum_add_bytes(sum, all + 8, len)));
	exact_free(&e);
	e = exact(all, len + 8);
	return mld_parse(msg, &ip, &e.c);
}

static void
reports_of_old_versions_mean_records(void **state)
{
	static const struct {
		uint8_t bytes[8];
		uint8_t version;
		enum member_change change;
	} t[] = {
		{ { 0x12, 0, 0, 0, 239, 1, 2, 3 }, 1, MEMBER_IS_EXCLUDE },
		{ { 0x16, 0, 0, 0, 239, 1, 2, 3 }, 2, MEMBER_IS_EXCLUDE },
		{ { 0x17, 0, 0, 0, 239, 1, 2, 3 }, 2, MEMBER_TO_INCLUDE },
	};
	static const uint8_t none[] = { 0x16, 0, 0, 0, 10, 0, 0, 1 };
	struct member_record record;
	struct ip6_addr source;
	struct member_msg m;

	(void)state;
	for (size_t i = 0; i < NITEMS(t); i++) {
		assert_int_equal(igmp(&m, t[i].bytes, 8), DROP_NONE);
		assert_int_equal(m.kind, MEMBER_REPORT);
		assert_int_equal(m.version, t[i].version);
		assert_true(is(&m.src, "10.0.0.9"));
		assert_true(member_next(&m, &record));
		assert_int_equal(record.change, t[i].change);
		assert_true(is(&record.group, "239.1.2.3"));
		assert_false(member_source(&record, &source));
		assert_false(member_next(&m, &record));
	}
	assert_int_equal(igmp(&m, none, 8), DROP_IGMP);
}

static const uint8_t v3_report[] = { 0x22, 0, 0, 0, 0, 0, 0, 4,
	/* auxiliary data is stepped over */
	4, 1, 0, 0, 239, 1, 1, 1, 9, 9, 9, 9,
	/* of a type that is not known, and of no group: left out */
	7, 0, 0, 0, 239, 9, 9, 9, /**/ 4, 0, 0, 0, 10, 1, 1, 1,
	/* two sources */
	5, 0, 0, 2, 232, 1, 1, 1, 10, 0, 0, 1, 10, 0, 0, 2 };

static void
a_report_is_a_list_of_records(void **state)
{
	struct member_record record;
	struct ip6_addr source;
	struct member_msg m;

	(void)state;
	assert_int_equal(igmp(&m, v3_report, sizeof(v3_report)), DROP_NONE);
	assert_int_equal(m.version, 3);
	assert_true(member_next(&m, &record));
	assert_int_equal(record.change, MEMBER_TO_EXCLUDE);
	assert_true(is(&record.group, "239.1.1.1"));
	assert_int_equal(record.nsources, 0);
	assert_true(member_next(&m, &record));
	assert_int_equal(record.change, MEMBER_ALLOW);
	assert_true(is(&record.group, "232.1.1.1"));
	assert_true(member_source(&record, &source));
	assert_true(is(&source, "10.0.0.1"));
	assert_true(member_source(&record, &source));
	assert_true(is(&source, "10.0.0.2"));
	assert_false(member_source(&record, &source));
	assert_false(member_next(&m, &record));
	for (size_t n = 0; n < sizeof(v3_report); n++)
		assert_int_equal(
		    igmp(&m, v3_report, n), n < 8 ? DROP_SHORT : DROP_IGMP);
}

static void
queries_of_all_versions_are_read(void **state)
{
	static const struct {
		uint8_t bytes[16];
		size_t len;
		enum reason reason;
		uint8_t version;
		uint32_t response_ms;
	} t[] = {
		{ { 0x11, 0 }, 8, DROP_NONE, 1, 10000 },
		{ { 0x11, 100 }, 8, DROP_NONE, 2, 10000 },
		{ { 0x11, 10, 0, 0, 239, 1, 1, 1 }, 8, DROP_NONE, 2, 1000 },
		{ { 0x11, 0xff }, 12, DROP_NONE, 3, 3174400 },
		{ { 0x11, 10 }, 9, DROP_IGMP, 0, 0 },
		{ { 0x11, 10, 0, 0, 10, 0, 0, 1 }, 8, DROP_IGMP, 0, 0 },
		/* a source that is not there, one without a group */
		{ { 0x11, 10, 0, 0, 239, 1, 1, 1, 0, 0, 0, 1 }, 12, DROP_IGMP,
		    0, 0 },
		{ { 0x11, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 16, DROP_IGMP, 0,
		    0 },
	};
	struct member_msg m;

	(void)state;
	for (size_t i = 0; i < NITEMS(t); i++) {
		assert_int_equal(igmp(&m, t[i].bytes, t[i].len), t[i].reason);
		if (t[i].reason != DROP_NONE)
			continue;
		assert_int_equal(m.kind, MEMBER_QUERY);
		assert_int_equal(m.version, t[i].version);
		assert_int_equal(m.max_response_ms, t[i].response_ms);
	}
}

/* What is written is read by the same rules as others' queries. */
static void
check_query(const struct member_query *q)
{
	uint8_t frame[MEMBER_QUERY_BYTES];
	struct writer w = writer(frame, sizeof(frame));
	struct member_msg m;
	struct ip6_addr source;
	struct cursor c;
	struct ip4 ip4;
	struct ip6 ip6;

	member_write_query(&w, &us, q);
	assert_false(w.overrun);
	assert_true(w.at - frame >= 60);
	c = cursor(frame + 14, (size_t)(w.at - frame - 14));
	if (q->ip6) {
		assert_int_equal(get_be16(frame + 12), 0x86dd);
		assert_int_equal(ip6_parse(&ip6, &c), DROP_NONE);
		assert_int_equal(mld_parse(&m, &ip6, &c), DROP_NONE);
	} else {
		assert_int_equal(get_be16(frame + 12), 0x0800);
		assert_int_equal(ip4_parse(&ip4, &c), DROP_NONE);
		assert_int_equal(ip4.ttl, 1);
		assert_int_equal(ip4.header_bytes, 24);
		assert_int_equal(igmp_parse(&m, &ip4, &c), DROP_NONE);
	}
	assert_int_equal(m.kind, MEMBER_QUERY);
	assert_int_equal(m.version, q->version);
	assert_true(ip6_equal(&m.src, &q->src));
	assert_true(ip6_equal(&m.group, &q->group));
	assert_int_equal(m.max_response_ms, q->max_response_ms);
	if (q->version < (q->ip6 ? 2 : 3))
		return;
	assert_int_equal(m.suppress, q->suppress);
	assert_int_equal(m.robustness, q->robustness);
	assert_int_equal(m.interval_s, q->interval_s);
	assert_int_equal(m.record.nsources, q->nsources);
	for (unsigned int i = 0; i < q->nsources; i++) {
		assert_true(member_source(&m.record, &source));
		assert_true(ip6_equal(&source, &q->source[i]));
	}
}

static void
queries_that_are_written_are_right(void **state)
{
	struct ip6_addr sources4[] = { addr("10.0.0.1"), addr("10.0.0.2") };
	struct ip6_addr sources6[] = { addr("2001:db8::1") };
	const struct member_query t[] = {
		{ .version = 1,
		    .src = addr("10.0.0.1"),
		    .max_response_ms = 10000 },
		{ .version = 2,
		    .src = addr("0.0.0.0"),
		    .max_response_ms = 10000 },
		{ .version = 2,
		    .src = addr("10.0.0.1"),
		    .group = addr("239.1.1.1"),
		    .max_response_ms = 1000 },
		{ .version = 3,
		    .src = addr("10.0.0.1"),
		    .max_response_ms = 10000,
		    .robustness = 2,
		    .interval_s = 125 },
		{ .version = 3,
		    .src = addr("10.0.0.1"),
		    .group = addr("239.1.1.1"),
		    .max_response_ms = 16000,
		    .robustness = 7,
		    .interval_s = 496,
		    .suppress = true,
		    .source = sources4,
		    .nsources = 2 },
		{ .ip6 = true,
		    .version = 1,
		    .src = addr("fe80::1"),
		    .max_response_ms = 10000 },
		{ .ip6 = true,
		    .version = 2,
		    .src = addr("fe80::1"),
		    .max_response_ms = 10000,
		    .robustness = 2,
		    .interval_s = 125 },
		{ .ip6 = true,
		    .version = 2,
		    .src = addr("fe80::1"),
		    .group = addr("ff05::1234"),
		    .max_response_ms = 65536,
		    .robustness = 2,
		    .interval_s = 125,
		    .source = sources6,
		    .nsources = 1 },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(t); i++)
		check_query(&t[i]);
}

static void
a_group_has_an_address_on_the_link(void **state)
{
	static const uint8_t v4[] = { 0x01, 0, 0x5e, 0x01, 0x02, 0x03 },
			     v6[] = { 0x33, 0x33, 0, 0x01, 0x12, 0x34 };
	struct ip6_addr a = addr("239.129.2.3"), b = addr("ff05::1:1234");
	struct mac mac = member_mac(&a);

	(void)state;
	assert_memory_equal(mac.b, v4, 6);
	mac = member_mac(&b);
	assert_memory_equal(mac.b, v6, 6);
}

static void
routers_are_heard_in_many_ways(void **state)
{
	static const struct {
		uint8_t protocol;
		uint8_t bytes[16];
		size_t len;
		enum member_kind kind;
		uint32_t hold_s;
	} t[] = {
		{ IP_IGMP, { 0x13, 1 }, 8, MEMBER_ROUTER, 0 },
		{ IP_IGMP, { 0x30, 20 }, 8, MEMBER_ROUTER, 0 },
		{ IP_IGMP, { 0x32, 0 }, 8, MEMBER_ROUTER_GONE, 0 },
		{ IP_IGMP, { 0x44, 0 }, 8, MEMBER_OTHER, 0 },
		{ IP_PIM, { 0x20, 0 }, 4, MEMBER_ROUTER, 105 },
		{ IP_PIM, { 0x20, 0, 0, 0, 0, 20, 0, 1, 7, 0, 1, 0, 2, 0, 60 },
		    15, MEMBER_ROUTER, 60 },
		{ IP_PIM, { 0x20, 0, 0, 0, 0, 1, 0, 2, 0, 0 }, 10,
		    MEMBER_ROUTER_GONE, 0 },
		{ IP_PIM, { 0x23, 0, 0, 0 }, 4, MEMBER_NOTHING, 0 },
		{ IP_UDP, { 0x30, 0, 0, 0 }, 4, MEMBER_NOTHING, 0 },
	};
	struct member_msg m;

	(void)state;
	for (size_t i = 0; i < NITEMS(t); i++) {
		struct exact e = exact(t[i].bytes, t[i].len);
		struct ip4 ip = { .protocol = t[i].protocol };

		if (t[i].protocol == IP_IGMP)
			put_be16(e.data + 2,
			    csum_finish(csum_add_bytes(0, e.data, e.len)));
		assert_int_equal(igmp_parse(&m, &ip, &e.c), DROP_NONE);
		assert_int_equal(m.kind, t[i].kind);
		assert_int_equal(m.hold_s, t[i].hold_s);
		exact_free(&e);
	}
}

/* An MLDv2 report of one record: TO_EXCLUDE {} of ff05::1234. */
static const uint8_t mld_report[] = { 143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0,
	0xff, 0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34 };
static const uint8_t mld_done[] = { 132, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x05, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34 };

static void
mld_reads_as_igmp_does(void **state)
{
	struct member_record record;
	struct member_msg m;

	(void)state;
	assert_int_equal(mld(&m, mld_report, sizeof(mld_report)), DROP_NONE);
	assert_int_equal(m.kind, MEMBER_REPORT);
	assert_int_equal(m.version, 2);
	assert_true(member_next(&m, &record));
	assert_int_equal(record.change, MEMBER_TO_EXCLUDE);
	assert_true(is(&record.group, "ff05::1234"));
	assert_int_equal(mld(&m, mld_done, sizeof(mld_done)), DROP_NONE);
	assert_int_equal(m.version, 1);
	assert_true(member_next(&m, &record));
	assert_int_equal(record.change, MEMBER_TO_INCLUDE);
	for (size_t n = 1; n < sizeof(mld_report); n++)
		assert_int_equal(
		    mld(&m, mld_report, n), n < 4 ? DROP_SHORT : DROP_MLD);
}

static void
mld_from_beyond_the_link_is_refused(void **state)
{
	struct ip6 ip = { .next = IP_ICMP6,
		.hop_limit = 1,
		.src = addr("fe80::9"),
		.dst = addr("ff02::16") };
	struct member_msg m;
	struct exact e = exact(mld_done, sizeof(mld_done));
	struct cursor c;

	(void)state;
	put_be16(e.data + 2,
	    csum_finish(csum_add_bytes(
		csum_pseudo6(&ip.src, &ip.dst, 58, sizeof(mld_done)), e.data,
		sizeof(mld_done))));
	c = e.c;
	assert_int_equal(mld_parse(&m, &ip, &c), DROP_MLD); /* no alert */
	c = e.c;
	e.data[4] ^= 1;
	assert_int_equal(mld_parse(&m, &ip, &c), DROP_L4_CHECKSUM);
	e.data[4] ^= 1;
	c = e.c;
	e.data[0] = 135; /* a neighbour solicitation is not about members */
	assert_int_equal(mld_parse(&m, &ip, &c), DROP_NONE);
	assert_int_equal(m.kind, MEMBER_NOTHING);
	exact_free(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_of_old_versions_mean_records),
		cmocka_unit_test(a_report_is_a_list_of_records),
		cmocka_unit_test(queries_of_all_versions_are_read),
		cmocka_unit_test(queries_that_are_written_are_right),
		cmocka_unit_test(a_group_has_an_address_on_the_link),
		cmocka_unit_test(routers_are_heard_in_many_ways),
		cmocka_unit_test(mld_reads_as_igmp_does),
		cmocka_unit_test(mld_from_beyond_the_link_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
