#include "bridge/slirp_admit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/eth.h"
#include "net/ip4.h"
#include "net/ip6.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static uint8_t frame[200];

static struct writer
begin(uint16_t type)
{
	static const struct mac dst = { { 0x52, 0x55, 10, 0, 2, 2 } };
	static const struct mac src = { { 0x52, 0x54, 0, 0, 0, 1 } };
	const struct eth eth = { .dst = dst, .src = src, .type = type };
	struct writer w = writer(frame, sizeof(frame));

	memset(frame, 0, sizeof(frame));
	eth_write(&w, &eth);
	return w;
}

static size_t
frame4(uint32_t src, uint32_t dst, uint8_t protocol, uint8_t flags)
{
	const struct ip4 ip = { .total_bytes = IP4_HEADER_BYTES + 20,
		.ttl = 64,
		.protocol = protocol,
		.src = src,
		.dst = dst };
	struct writer w = begin(ETH_IPV4);

	ip4_write(&w, &ip);
	wr_zeros(&w, 20);
	frame[ETH_HEADER_BYTES + IP4_HEADER_BYTES + 13] = flags;
	return sizeof(frame) - wr_left(&w);
}

static size_t
frame6(const struct ip6_addr *src, const struct ip6_addr *dst, uint8_t next)
{
	const struct ip6 ip = { .payload_bytes = 20,
		.next = next,
		.hop_limit = 64,
		.src = *src,
		.dst = *dst };
	struct writer w = begin(ETH_IPV6);

	ip6_write(&w, &ip);
	wr_zeros(&w, 20);
	return sizeof(frame) - wr_left(&w);
}

static void
the_host_itself_is_not_to_be_reached_by_its_own_addresses(void **state)
{
	static const struct {
		uint32_t src, dst;
		enum reason reason;
	} rows[] = {
		{ 0x0a00020f, 0xc6336401, DROP_NONE },
		{ 0x0a00020f, 0x0a000202, DROP_NONE },
		{ 0, IP4_BROADCAST, DROP_NONE }, /* DHCP */
		{ 0x0a00020f, 0x7f000001, DROP_MARTIAN },
		{ 0x0a00020f, 0x7fffffff, DROP_MARTIAN },
		{ 0x0a00020f, 0, DROP_MARTIAN },
		{ 0x0a00020f, 0x00000001, DROP_MARTIAN },
		{ 0x7f000001, 0xc6336401, DROP_MARTIAN },
		{ 0x0a00020f, 0xe00000fb, DROP_MULTICAST },
		{ 0x0a00020f, 0xefffffff, DROP_MULTICAST },
	};
	bool may_begin;

	(void)state;
	for (size_t i = 0; i < NITEMS(rows); i++) {
		size_t n = frame4(rows[i].src, rows[i].dst, IP_UDP, 0);

		assert_int_equal(
		    slirp_admit(frame, n, false, &may_begin), rows[i].reason);
	}
}

static void
nor_by_those_of_ipv6(void **state)
{
	static const struct ip6_addr host = { { 0xfd,
	    0, [7] = 2, [15] = 0x15 } };
	static const struct {
		struct ip6_addr dst;
		enum reason reason;
	} rows[] = {
		{ { { 0xfd, 0, [7] = 2, [15] = 2 } }, DROP_NONE },
		{ { { 0x20, 1, 0xd, 0xb8, [15] = 1 } }, DROP_NONE },
		{ { { 0xff, 2, [15] = 2 } }, DROP_NONE },
		{ { { 0xff, 0x12, [15] = 2 } }, DROP_NONE },
		{ { { 0xff, 5, [15] = 2 } }, DROP_MULTICAST },
		{ { { [15] = 1 } }, DROP_MARTIAN },
		{ { { [15] = 0 } }, DROP_MARTIAN },
		/* ::ffff:127.0.0.1, ::127.0.0.1 */
		{ { { [10] = 0xff, 0xff, 127, 0, 0, 1 } }, DROP_MARTIAN },
		{ { { [12] = 127, 0, 0, 1 } }, DROP_MARTIAN },
	};
	const struct ip6_addr unspecified = { { 0 } };
	bool may_begin;
	size_t n;

	(void)state;
	for (size_t i = 0; i < NITEMS(rows); i++) {
		n = frame6(&host, &rows[i].dst, IP_UDP);
		assert_int_equal(
		    slirp_admit(frame, n, true, &may_begin), rows[i].reason);
		assert_int_equal(
		    slirp_admit(frame, n, false, &may_begin), DROP_ETH_TYPE);
	}
	n = frame6(&rows[5].dst, &host, IP_UDP);
	assert_int_equal(slirp_admit(frame, n, true, &may_begin), DROP_MARTIAN);
	n = frame6(&unspecified, &rows[2].dst, IP_ICMP6);
	assert_int_equal(slirp_admit(frame, n, true, &may_begin), DROP_NONE);
}

static void
what_may_begin_a_flow_is_told(void **state)
{
	static const struct {
		uint8_t protocol, flags;
		bool may_begin;
	} rows[] = {
		{ IP_TCP, 0x02, true }, /* SYN */
		{ IP_TCP, 0x12, true },
		{ IP_TCP, 0x10, false },
		{ IP_TCP, 0x11, false },
		{ IP_UDP, 0, true },
		{ IP_ICMP, 0, true },
	};
	bool may_begin;

	(void)state;
	for (size_t i = 0; i < NITEMS(rows); i++) {
		size_t n = frame4(
		    0x0a00020f, 0xc6336401, rows[i].protocol, rows[i].flags);

		assert_int_equal(
		    slirp_admit(frame, n, false, &may_begin), DROP_NONE);
		assert_int_equal(may_begin, rows[i].may_begin);
	}
	begin(ETH_ARP);
	assert_int_equal(slirp_admit(frame, 60, false, &may_begin), DROP_NONE);
	assert_false(may_begin);
}

static void
what_is_no_packet_is_refused(void **state)
{
	size_t n = frame4(0x0a00020f, 0xc6336401, IP_TCP, 0x02);
	bool may_begin;

	(void)state;
	for (size_t len = 0; len < n; len++)
		assert_int_not_equal(
		    slirp_admit(frame, len, true, &may_begin), DROP_NONE);
	frame[ETH_HEADER_BYTES + IP4_OFF_TTL]++;
	assert_int_equal(
	    slirp_admit(frame, n, true, &may_begin), DROP_IP_CHECKSUM);
	begin(ETH_VLAN);
	assert_int_equal(
	    slirp_admit(frame, 60, true, &may_begin), DROP_ETH_TYPE);
	begin(ETH_LLDP);
	assert_int_equal(
	    slirp_admit(frame, 60, true, &may_begin), DROP_ETH_TYPE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_host_itself_is_not_to_be_reached_by_its_own_addresses),
		cmocka_unit_test(nor_by_those_of_ipv6),
		cmocka_unit_test(what_may_begin_a_flow_is_told),
		cmocka_unit_test(what_is_no_packet_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
