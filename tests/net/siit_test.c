/*
 * The tables were made by another implementation of the headers, packet by
 * packet in both families; 192.0.2.1 stands for 2001:db8::1, all other
 * addresses for those behind 64:ff9b::/96.
 */
#include "net/siit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "net/icmp.h"
#include "net/ip64.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))
#define HOST4     0xc0000201
#define ID        0x77

static const struct ip6_addr host6 = { { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 1 } };

struct pair {
	const char *name, *six, *four;
};

static const struct pair both_ways[] = {
	{ "UDP",
	    "6b8000000011113c20010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a03e800350011b3997061796c6f616421"
	    "21",
	    "45b80025007700003c117f8dc0000201cb00710a03e8003500111f52"
	    "7061796c6f61642121" },
	{ "TCP",
	    "600000000018064020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a13880050000000070000000060022000"
	    "fa960000020405a0",
	    "4500002c0077000040067c49c0000201cb00710a1388005000000007"
	    "0000000060022000664f0000020405a0" },
	{ "echo request",
	    "6000000000113a0920010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a80003796000500037061796c6f616421"
	    "21",
	    "45000025007700000901b355c0000201cb00710a080019a700050003"
	    "7061796c6f61642121" },
	{ "echo reply",
	    "6000000000113a0920010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a81003696000500037061796c6f616421"
	    "21",
	    "45000025007700000901b355c0000201cb00710a000021a700050003"
	    "7061796c6f61642121" },
	{ "a first fragment",
	    "6000000000282c4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a11000001000012340001000200406879"
	    "787878787878787878787878787878787878787878787878",
	    "450000341234200040114a79c0000201cb00710a000100020040d431"
	    "787878787878787878787878787878787878787878787878" },
	{ "a last fragment",
	    "6000000000282c4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a11000020000012347878787878787878"
	    "787878787878787878787878787878787878787878787878",
	    "450000341234000440116a75c0000201cb00710a7878787878787878"
	    "787878787878787878787878787878787878787878787878" },
	{ "no route",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0100239e000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0301fb2d00000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "prohibited",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0101239d000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a030afb2400000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "port unreachable",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0104239a000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0303fb2b00000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "hop limit exceeded",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0300219e000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0b00f32e00000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "reassembly time exceeded",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0301219d000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0b01f32d00000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "too big",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a02001d26000005786000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0304f5c600000564"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "next header unknown",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a04012097000000066000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0302fb2c00000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "a wrong hop limit",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a04002097000000076000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0c00ea2e08000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "a wrong source",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a04002096000000086000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0c00e62e0c000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
};

static const struct pair to4_only[] = {
	{ "beyond the scope",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0102239c000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0301fb2d00000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "address unreachable",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0103239b000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0301fb2d00000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "too big, of a lie",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a02002046000002586000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0304f63e000004ec"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "too big, beyond both links",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0200ff75000023286000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0304f562000005c8"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "extension headers",
	    "600000000029004020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a3c000104000000002b00010400000000"
	    "1100000000000000000100020011b7b37061796c6f61642121",
	    "450000250077000040117c45c0000201cb00710a000100020011236c"
	    "7061796c6f61642121" },
	{ "an atomic fragment",
	    "6000000000192c4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a11000000abcd1234000100020011b7b3"
	    "7061796c6f61642121",
	    "450000251234000040116a88c0000201cb00710a000100020011236c"
	    "7061796c6f61642121" },
};

static const struct pair to6_only[] = {
	{ "unreachable 0",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0100239e000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0300fb2e00000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "unreachable 5",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0100239e000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0305fb2900000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "unreachable 6",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0100239e000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0306fb2800000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "unreachable 7",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0100239e000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0307fb2700000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "unreachable 8",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0100239e000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0308fb2600000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "unreachable 11",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0100239e000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a030bfb2300000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "unreachable 12",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0100239e000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a030cfb2200000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "unreachable 9",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0101239d000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0309fb2500000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "unreachable 13",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0101239d000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a030dfb2100000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "unreachable 15",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0101239d000000006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a030ffb1f00000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "no MTU told: the next smaller of those in use",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a02001d9e000005006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0304fb2a00000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "MTU of less than IPv6 needs",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a02001d9e000005006000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0304f8ea00000240"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "option missing",
	    "6000000000413a4020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a0400209a000000046000000000111132"
	    "0064ff9b0000000000000000cb00710a20010db80000000000000000"
	    "00000001003503e80011b3997061796c6f61642121",
	    "450000410077000040017c39c0000201cb00710a0c02f02c02000000"
	    "450000250000000032118abccb00710ac0000201003503e800111f52"
	    "7061796c6f61642121" },
	{ "UDP without a checksum",
	    "600000000011114020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a000100020011b7b37061796c6f616421"
	    "21",
	    "450000250077000040117c45c0000201cb00710a0001000200110000"
	    "7061796c6f61642121" },
	{ "options",
	    "600000000011114020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a000100020011b7b37061796c6f616421"
	    "21",
	    "4700002d0077000040116f36c0000201cb00710a0707040000000000"
	    "000100020011236c7061796c6f61642121" },
	{ "not to be fragmented",
	    "600000000011114020010db80000000000000000000000010064ff9b"
	    "0000000000000000cb00710a000100020011b7b37061796c6f616421"
	    "21",
	    "450000250077400040113c45c0000201cb00710a000100020011236c"
	    "7061796c6f61642121" },
};

static bool
to4(const void *arg, const struct ip6_addr *addr, uint32_t *ip4)
{
	(void)arg;
	if (ip6_equal(addr, &host6)) {
		*ip4 = HOST4;
		return true;
	}
	return ip64_extract(&ip64_well_known, addr, ip4);
}

static bool
to6(const void *arg, uint32_t ip4, struct ip6_addr *addr)
{
	(void)arg;
	*addr = ip4 == HOST4 ? host6 : ip64_embed(&ip64_well_known, ip4);
	return true;
}

static const struct siit siit = {
	.to4 = to4, .to6 = to6, .mtu4_bytes = 1500, .mtu6_bytes = 1500
};

static struct exact
unhex(const char *text)
{
	uint8_t bytes[2048];
	size_t n = strlen(text) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned int byte;

		assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
		bytes[i] = (uint8_t)byte;
	}
	return exact(bytes, n);
}

/* Translates all of e to out; *n bytes. */
static enum reason
translate4(const struct exact *e, uint8_t *out, size_t room, size_t *n)
{
	struct siit6 p;
	struct siit_new4 to = { .id = ID };
	struct writer w = writer(out, room);
	enum reason reason = siit6_read(&p, e->data, e->len);

	if (reason != DROP_NONE)
		return reason;
	assert_true(to4(NULL, &p.ip.src, &to.src));
	assert_true(to4(NULL, &p.ip.dst, &to.dst));
	reason = siit_to4(&siit, &p, e->data, e->len, &to, &w);
	*n = (size_t)(w.at - out);
	return reason;
}

static enum reason
translate6(const struct exact *e, uint8_t *out, size_t room, size_t *n)
{
	struct cursor c = cursor(e->data, e->len);
	struct ip4 ip;
	struct siit_new6 to = { .partial = false };
	struct writer w = writer(out, room);
	enum reason reason = ip4_parse(&ip, &c);

	if (reason != DROP_NONE)
		return reason;
	to6(NULL, ip.src, &to.src);
	to6(NULL, ip.dst, &to.dst);
	reason = siit_to6(&siit, &ip, e->data, e->len, &to, &w);
	*n = (size_t)(w.at - out);
	return reason;
}

static void
expect4(const struct pair *pair)
{
	struct exact six = unhex(pair->six), four = unhex(pair->four);
	uint8_t out[2048];
	size_t n = 0;
	enum reason reason = translate4(&six, out, sizeof(out), &n);

	if (reason != DROP_NONE || n != four.len ||
	    memcmp(out, four.data, n) != 0)
		print_message("%s: %s\n", pair->name, reason_name(reason));
	assert_int_equal(reason, DROP_NONE);
	assert_int_equal(n, four.len);
	assert_memory_equal(out, four.data, n);
	exact_free(&six);
	exact_free(&four);
}

static void
expect6(const struct pair *pair)
{
	struct exact six = unhex(pair->six), four = unhex(pair->four);
	uint8_t out[2048];
	size_t n = 0;
	enum reason reason = translate6(&four, out, sizeof(out), &n);

	if (reason != DROP_NONE || n != six.len ||
	    memcmp(out, six.data, n) != 0)
		print_message("%s: %s\n", pair->name, reason_name(reason));
	assert_int_equal(reason, DROP_NONE);
	assert_int_equal(n, six.len);
	assert_memory_equal(out, six.data, n);
	exact_free(&six);
	exact_free(&four);
}

static void
packets_become_what_rfc_7915_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < NITEMS(both_ways); i++) {
		expect4(&both_ways[i]);
		expect6(&both_ways[i]);
	}
}

static void
what_only_ip6_has_is_lost_on_the_way_to_ip4(void **state)
{
	(void)state;
	for (size_t i = 0; i < NITEMS(to4_only); i++)
		expect4(&to4_only[i]);
}

static void
what_only_ip4_has_is_lost_on_the_way_to_ip6(void **state)
{
	(void)state;
	for (size_t i = 0; i < NITEMS(to6_only); i++)
		expect6(&to6_only[i]);
}

/* A UDP packet of IPv6 of bytes in all. */
static size_t
make_udp6(uint8_t *out, size_t bytes)
{
	uint8_t data[1500] = { 0 };
	struct writer w = writer(out, bytes);
	struct ip6 ip = { .payload_bytes = (uint16_t)(bytes - IP6_HEADER_BYTES),
		.next = IP_UDP,
		.hop_limit = 64,
		.src = host6,
		.dst = ip64_embed(&ip64_well_known, 0xcb00710a) };
	uint32_t sum;
	uint8_t *udp;

	ip6_write(&w, &ip);
	udp = w.at;
	wr_be16(&w, 1);
	wr_be16(&w, 2);
	wr_be16(&w, ip.payload_bytes);
	wr_be16(&w, 0);
	wr_bytes(&w, data, ip.payload_bytes - 8u);
	sum = csum_pseudo6(&ip.src, &ip.dst, IP_UDP, ip.payload_bytes);
	put_be16(udp + UDP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(sum, udp, ip.payload_bytes)));
	return bytes;
}

static void
packets_up_to_1260_bytes_may_be_cut(void **state)
{
	uint8_t six[1500], four[1500];
	size_t n;

	(void)state;
	for (size_t bytes = 1270; bytes < 1290; bytes++) {
		struct exact e;

		make_udp6(six, bytes);
		e = exact(six, bytes);
		assert_int_equal(
		    translate4(&e, four, sizeof(four), &n), DROP_NONE);
		assert_int_equal(n, bytes - 20);
		assert_int_equal(
		    get_be16(four + IP4_OFF_FRAGMENT), n > 1260 ? IP4_DF : 0);
		assert_int_equal(
		    get_be16(four + IP4_OFF_ID), n > 1260 ? 0 : ID);
		exact_free(&e);
	}
}

static void
the_head_alone_is_enough(void **state)
{
	uint8_t six[1200], whole[1200], part[1200];
	struct siit6 p;
	struct siit_new4 to = { .src = HOST4, .dst = 0xcb00710a, .id = ID };
	struct writer w = writer(part, sizeof(part));
	struct exact e, head;
	size_t n;

	(void)state;
	make_udp6(six, sizeof(six));
	e = exact(six, sizeof(six));
	head = exact(six, 64);
	assert_int_equal(translate4(&e, whole, sizeof(whole), &n), DROP_NONE);
	assert_int_equal(siit6_read(&p, head.data, head.len), DROP_NONE);
	assert_false(siit6_wants_whole(&p, head.data, head.len));
	assert_int_equal(
	    siit_to4(&siit, &p, head.data, head.len, &to, &w), DROP_NONE);
	assert_int_equal(w.at - part, 44);
	assert_memory_equal(part, whole, 44);
	exact_free(&e);
	exact_free(&head);
}

static void
an_unfinished_checksum_stays_one(void **state)
{
	uint8_t six[100], four[100], back[100];
	struct siit6 p;
	struct ip4 ip;
	struct siit_new4 to = {
		.src = HOST4, .dst = 0xcb00710a, .id = ID, .partial = true
	};
	struct siit_new6 to_6 = { .src = host6, .partial = true };
	struct writer w = writer(four, sizeof(four));
	struct cursor c;
	uint8_t *check = six + IP6_HEADER_BYTES + UDP_OFF_CHECKSUM;

	(void)state;
	make_udp6(six, sizeof(six));
	put_be16(check,
	    csum_fold(csum_pseudo6((struct ip6_addr *)(six + 8),
		(struct ip6_addr *)(six + 24), IP_UDP, 60)));
	assert_int_equal(siit6_read(&p, six, sizeof(six)), DROP_NONE);
	assert_int_equal(
	    siit_to4(&siit, &p, six, sizeof(six), &to, &w), DROP_NONE);
	assert_int_equal(get_be16(four + IP4_HEADER_BYTES + UDP_OFF_CHECKSUM),
	    csum_fold(csum_pseudo4(to.src, to.dst, IP_UDP, 60)));
	c = cursor(four, 80);
	assert_int_equal(ip4_parse(&ip, &c), DROP_NONE);
	to_6.dst = p.ip.dst;
	w = writer(back, sizeof(back));
	assert_int_equal(siit_to6(&siit, &ip, four, 80, &to_6, &w), DROP_NONE);
	assert_memory_equal(back, six, sizeof(six));
}

/* ---- what is refused ---- */

static void
what_cannot_be_is_refused_by_name(void **state)
{
	static const struct {
		const char *six;
		enum reason reason;
	} rows[] = {
#define ENDS                               \
	"20010db8000000000000000000000001" \
	"0064ff9b0000000000000000cb00710a"
		{ "60000000", DROP_SHORT },
		{ "4000000000083b40" ENDS "0000000000000000", DROP_IP6_HEADER },
		/* a routing header with a place left to visit */
		{ "6000000000102b40" ENDS "1100000100000000"
		  "0001000200080000",
		    DROP_SOURCE_ROUTE },
		/* headers longer than the packet */
		{ "6000000000043c40" ENDS "1100000000000000", DROP_IP6_HEADER },
		{ "6000000000083c40" ENDS "11010000", DROP_SHORT },
		/* a header behind the fragment header */
		{ "6000000000102c40" ENDS "3c00000000000001"
		  "1100000000000000",
		    DROP_FRAGMENT },
		/* more fragments, and not a multiple of 8 */
		{ "60000000000c2c40" ENDS "1100000100000001"
		  "00000000",
		    DROP_FRAGMENT },
		/* beyond what a packet of IPv4 can hold */
		{ "6000000000102c40" ENDS "1100fff800000001"
		  "0000000000000000",
		    DROP_FRAGMENT },
		/* ICMP in fragments */
		{ "6000000000102c40" ENDS "3a00000100000001"
		  "8000000000000000",
		    DROP_FRAGMENT },
		/* neighbour discovery, an unknown error */
		{ "6000000000083a40" ENDS "8700000000000000", DROP_ICMP_TYPE },
		{ "6000000000083a40" ENDS "6400000000000000",
		    DROP_L4_CHECKSUM },
		/* ICMP of IPv4 in IPv6 */
		{ "6000000000080140" ENDS "0800f7ff00000000", DROP_PROTOCOL },
		/* UDP without a checksum */
		{ "6000000000081140" ENDS "0001000200080000",
		    DROP_L4_CHECKSUM },
	};
	uint8_t out[200];
	size_t n;

	(void)state;
	for (size_t i = 0; i < NITEMS(rows); i++) {
		struct exact e = unhex(rows[i].six);

		assert_int_equal(
		    translate4(&e, out, sizeof(out), &n), rows[i].reason);
		exact_free(&e);
	}
}

static size_t
make_ip4(uint8_t *out, const struct ip4 *like, const uint8_t *data, size_t n)
{
	struct ip4 ip = *like;
	struct writer w = writer(out, 200);

	ip.total_bytes =
	    (uint16_t)((ip.header_bytes ? ip.header_bytes : IP4_HEADER_BYTES) +
		n);
	ip.src = HOST4;
	ip.dst = 0xcb00710a;
	ip.ttl = 64;
	ip4_write(&w, &ip);
	wr_bytes(&w, data, n);
	return (size_t)(w.at - out);
}

static void
what_cannot_be_of_ip4_is_refused_by_name(void **state)
{
	static const uint8_t route[] = { 0x83, 7, 4, 1, 2, 3, 4, 0 };
	static const uint8_t walked[] = { 0x83, 7, 8, 1, 2, 3, 4, 0 };
	static const uint8_t udp[8] = { 0, 1, 0, 2, 0, 8, 0, 0 };
	static const uint8_t timestamp[8] = { 13, 0, 0xf2, 0xff };
	static const uint8_t echo[8] = { 8, 0, 0xf7, 0xff };
	static const uint8_t quench[8] = { 4, 0, 0xfb, 0xff };
	const struct {
		struct ip4 ip;
		const uint8_t *data;
		size_t bytes;
		enum reason reason;
	} rows[] = {
		{ { .protocol = IP_UDP, .header_bytes = 28, .options = route },
		    udp, 8, DROP_SOURCE_ROUTE },
		{ { .protocol = IP_UDP, .header_bytes = 28, .options = walked },
		    udp, 8, DROP_NONE },
		{ { .protocol = IP_UDP, .fragment = IP4_MF }, udp, 8,
		    DROP_NO_CHECKSUM },
		{ { .protocol = IP_UDP }, udp, 4, DROP_SHORT },
		{ { .protocol = IP_TCP }, udp, 8, DROP_SHORT },
		{ { .protocol = IP_ICMP }, timestamp, 8, DROP_ICMP_TYPE },
		{ { .protocol = IP_ICMP }, timestamp, 4, DROP_SHORT },
		{ { .protocol = IP_ICMP, .fragment = IP4_MF }, echo, 8,
		    DROP_FRAGMENT },
		{ { .protocol = IP_ICMP }, quench, 8, DROP_SHORT },
		/* what would become extension headers, or ICMPv6 */
		{ { .protocol = IP_ICMP6 }, echo, 8, DROP_PROTOCOL },
		{ { .protocol = IP_HOP_BY_HOP }, echo, 8, DROP_PROTOCOL },
		{ { .protocol = 43 }, echo, 8, DROP_PROTOCOL },
		{ { .protocol = IP_FRAGMENT }, echo, 8, DROP_PROTOCOL },
		{ { .protocol = 60 }, echo, 8, DROP_PROTOCOL },
	};
	uint8_t bytes[200], out[300];
	size_t n;

	(void)state;
	for (size_t i = 0; i < NITEMS(rows); i++) {
		size_t len =
		    make_ip4(bytes, &rows[i].ip, rows[i].data, rows[i].bytes);
		struct exact e = exact(bytes, len);

		assert_int_equal(
		    translate6(&e, out, sizeof(out), &n), rows[i].reason);
		exact_free(&e);
	}
}

/* ---- errors that say more (RFC 4884) ---- */

static void
an_extension_of_an_error_is_kept(void **state)
{
	static const uint8_t more[12] = { 0x20, 0, 0, 0, 0, 8, 1, 1, 1, 2, 3,
		4 };
	uint8_t six[400], four[400], icmp[160] = { 11, 0, 0, 0, 0, 32 };
	struct exact e;
	struct ip4 ip = { .protocol = IP_ICMP };
	size_t n;
	const uint8_t *m = six + IP6_HEADER_BYTES;

	(void)state;
	make_udp6(six, 56);
	e = exact(six, 56);
	assert_int_equal(translate4(&e, icmp + 8, 152, &n), DROP_NONE);
	exact_free(&e);
	memcpy(icmp + 8 + 128, more, sizeof(more));
	put_be16(icmp + 2, csum_finish(csum_add_bytes(0, icmp, 148)));
	n = make_ip4(four, &ip, icmp, 148);
	e = exact(four, n);
	assert_int_equal(translate6(&e, six, sizeof(six), &n), DROP_NONE);
	exact_free(&e);
	assert_int_equal(n, 40 + 8 + 128 + sizeof(more));
	assert_int_equal(m[0], 3);
	assert_int_equal(m[4], 128 / 8);
	assert_memory_equal(m + 8 + 128, more, sizeof(more));
	/* And back. */
	e = exact(six, n);
	assert_int_equal(translate4(&e, four, sizeof(four), &n), DROP_NONE);
	exact_free(&e);
	assert_int_equal(n, 20 + 148);
	assert_int_equal(four[IP4_HEADER_BYTES], 11);
	assert_int_equal(four[IP4_HEADER_BYTES + 5], 128 / 4);
	assert_memory_equal(
	    four + IP4_HEADER_BYTES + 8 + 128, more, sizeof(more));
}

static void
errors_fit_what_each_family_allows(void **state)
{
	uint8_t six[1280], four[1280], quote[1300];
	struct exact e;
	struct writer w = writer(six, sizeof(six));
	struct ip6 ip = { .payload_bytes = 1240,
		.next = IP_ICMP6,
		.hop_limit = 64,
		.src = host6,
		.dst = ip64_embed(&ip64_well_known, 0xcb00710a) };
	size_t n;
	uint32_t sum;

	(void)state;
	make_udp6(quote, sizeof(quote));
	ip6_write(&w, &ip);
	wr_u8(&w, 1);
	wr_u8(&w, 4);
	wr_zeros(&w, 6);
	wr_bytes(&w, quote, 1232);
	sum = csum_pseudo6(&ip.src, &ip.dst, IP_ICMP6, 1240);
	put_be16(six + 42, csum_finish(csum_add_bytes(sum, six + 40, 1240)));
	e = exact(six, sizeof(six));
	assert_int_equal(translate4(&e, four, sizeof(four), &n), DROP_NONE);
	exact_free(&e);
	assert_int_equal(n, SIIT_MAX_ERROR4);
	assert_int_equal(
	    csum_fold(csum_add_bytes(0, four + 20, n - 20)), 0xffff);
	/* The quoted packet's length is its own. */
	assert_int_equal(get_be16(four + 28 + IP4_OFF_LENGTH), 1280);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_become_what_rfc_7915_says),
		cmocka_unit_test(what_only_ip6_has_is_lost_on_the_way_to_ip4),
		cmocka_unit_test(what_only_ip4_has_is_lost_on_the_way_to_ip6),
		cmocka_unit_test(packets_up_to_1260_bytes_may_be_cut),
		cmocka_unit_test(the_head_alone_is_enough),
		cmocka_unit_test(an_unfinished_checksum_stays_one),
		cmocka_unit_test(what_cannot_be_is_refused_by_name),
		cmocka_unit_test(what_cannot_be_of_ip4_is_refused_by_name),
		cmocka_unit_test(an_extension_of_an_error_is_kept),
		cmocka_unit_test(errors_fit_what_each_family_allows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
