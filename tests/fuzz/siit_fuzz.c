/* libs: net */
/*
 * Packets of both families through the translation to the other, as they are
 * and with their checksums made right.
 *
 * What must hold: what comes out parses and has the length that it says;
 * checksums that were right still are; what has been to the other family and
 * back stays the same from then on; and the head of a packet becomes what the
 * whole becomes, as far as it is there.
 */
#include "net/siit.h"

#include <stdlib.h>

#include "net/checksum.h"
#include "net/icmp.h"
#include "net/ip64.h"
#include "net/siit_icmp.h"
#include "net/tcp.h"
#include "net/udp.h"

#define CHECK(claim) ((claim) ? (void)0 : abort())
#define ROOM         (65535 + SIIT_MAX_GROWTH)
#define ID           0x77

static bool
to4(const void *arg, const struct ip6_addr *addr, uint32_t *ip4)
{
	(void)arg;
	return ip64_extract(&ip64_well_known, addr, ip4);
}

static bool
to6(const void *arg, uint32_t ip4, struct ip6_addr *addr)
{
	(void)arg;
	*addr = ip64_embed(&ip64_well_known, ip4);
	return true;
}

static const struct siit siit = {
	.to4 = to4, .to6 = to6, .mtu4_bytes = 1500, .mtu6_bytes = 1500
};

/* Where the checksum of a transport header is, or -1. */
static int
check_at(uint8_t protocol)
{
	switch (protocol) {
	case IP_TCP: return TCP_OFF_CHECKSUM;
	case IP_UDP: return UDP_OFF_CHECKSUM;
	case IP_ICMP:
	case IP_ICMP6: return ICMP_OFF_CHECKSUM;
	default: return -1;
	}
}

static uint32_t
transport_sum(uint32_t pseudo, const uint8_t *l4, size_t bytes)
{
	return csum_add_bytes(pseudo, l4, bytes);
}

/* ---- right checksums ---- */

/* The sum of the pseudo header of a packet that is no fragment. */
static uint32_t
pseudo6(const struct siit6 *p)
{
	return csum_pseudo6(&p->ip.src, &p->ip.dst, p->protocol,
	    (uint32_t)siit6_payload_bytes(p));
}

static uint32_t
pseudo4(const struct ip4 *ip)
{
	if (ip->protocol == IP_ICMP)
		return 0;
	return csum_pseudo4(ip->src, ip->dst, ip->protocol,
	    (uint16_t)(ip->total_bytes - ip->header_bytes));
}

static void
seal(uint8_t protocol, uint32_t pseudo, uint8_t *l4, size_t bytes)
{
	int at = check_at(protocol);
	uint16_t sum;

	if (at < 0 || bytes < (size_t)at + 2)
		return;
	put_be16(l4 + at, 0);
	sum = csum_finish(transport_sum(pseudo, l4, bytes));
	if (protocol == IP_UDP && sum == 0)
		sum = 0xffff;
	put_be16(l4 + at, sum);
}

static bool
is_right(uint8_t protocol, uint32_t pseudo, const uint8_t *l4, size_t bytes)
{
	int at = check_at(protocol);

	if (at < 0 || bytes < (size_t)at + 2)
		return true;
	if (protocol == IP_UDP && get_be16(l4 + at) == 0)
		return false;
	return csum_fold(transport_sum(pseudo, l4, bytes)) == 0xffff;
}

/* ---- there ---- */

/* All of packet, of bytes, to IPv4.  What it becomes is in out, of *n bytes. */
static enum reason
go4(const uint8_t *packet, size_t bytes, uint16_t id, uint8_t *out, size_t *n)
{
	struct siit6 p;
	struct siit_new4 to = { .id = id };
	struct writer w = writer(out, ROOM);
	enum reason reason = siit6_read(&p, packet, bytes);

	if (reason != DROP_NONE)
		return reason;
	if (bytes < IP6_HEADER_BYTES + (size_t)p.ip.payload_bytes)
		return DROP_IP_LENGTH;
	CHECK(p.header_bytes <= bytes);
	if (!to4(NULL, &p.ip.src, &to.src) || !to4(NULL, &p.ip.dst, &to.dst))
		return DROP_NAT64_ADDRESS;
	reason = siit_to4(&siit, &p, packet, bytes, &to, &w);
	*n = (size_t)(w.at - out);
	return reason;
}

static enum reason
go6(const uint8_t *packet, size_t bytes, uint8_t *out, size_t *n)
{
	struct cursor c = cursor(packet, bytes);
	struct ip4 ip;
	struct siit_new6 to = { .partial = false };
	struct writer w = writer(out, ROOM);
	enum reason reason = ip4_parse(&ip, &c);

	if (reason != DROP_NONE)
		return reason;
	to6(NULL, ip.src, &to.src);
	to6(NULL, ip.dst, &to.dst);
	reason = siit_to6(&siit, &ip, packet, bytes, &to, &w);
	*n = (size_t)(w.at - out);
	return reason;
}

/* What came out of go4(): is it a packet, and, if sealed, a right one? */
static void
check4(const uint8_t *out, size_t n, bool sealed)
{
	struct cursor c = cursor(out, n);
	struct ip4 ip;

	CHECK(ip4_parse(&ip, &c) == DROP_NONE);
	CHECK(n == ip.total_bytes && ip.header_bytes == IP4_HEADER_BYTES);
	if (sealed && !ip4_is_fragment(&ip))
		CHECK(is_right(ip.protocol, pseudo4(&ip), c.at, cur_left(&c)));
	if (ip.protocol == IP_ICMP && icmp_is_error(c.at[0])) {
		CHECK(n <= SIIT_MAX_ERROR4);
		CHECK(is_right(IP_ICMP, 0, c.at, cur_left(&c)));
	}
}

static void
check6(const uint8_t *out, size_t n, bool sealed)
{
	struct siit6 p;
	const uint8_t *l4;

	CHECK(siit6_read(&p, out, n) == DROP_NONE);
	CHECK(n == IP6_HEADER_BYTES + (size_t)p.ip.payload_bytes);
	l4 = out + p.header_bytes;
	if (sealed && !siit6_is_fragment(&p))
		CHECK(is_right(
		    p.protocol, pseudo6(&p), l4, siit6_payload_bytes(&p)));
	if (p.protocol == IP_ICMP6 && l4[0] < ICMP6_ECHO_REQUEST) {
		CHECK(n <= SIIT_MAX_ERROR6);
		CHECK(is_right(
		    IP_ICMP6, pseudo6(&p), l4, siit6_payload_bytes(&p)));
	}
}

/* The first have bytes alone. */
static void
check_head4(const uint8_t *packet, size_t have, const uint8_t *whole, size_t n)
{
	uint8_t *head = malloc(have), *out = malloc(ROOM);
	struct siit6 p;
	struct siit_new4 to = { .id = ID };
	struct writer w = writer(out, ROOM);
	enum reason reason;

	memcpy(head, packet, have);
	if (siit6_read(&p, head, have) == DROP_NONE &&
	    !siit6_wants_whole(&p, head, have)) {
		to4(NULL, &p.ip.src, &to.src);
		to4(NULL, &p.ip.dst, &to.dst);
		reason = siit_to4(&siit, &p, head, have, &to, &w);
		CHECK(reason == DROP_NONE || reason == DROP_SHORT);
		if (reason == DROP_NONE) {
			CHECK((size_t)(w.at - out) <= n);
			CHECK(memcmp(out, whole, (size_t)(w.at - out)) == 0);
		}
	}
	free(head);
	free(out);
}

/* ---- and back ---- */

static void
check_back4(const uint8_t *four, size_t n)
{
	uint8_t *six = malloc(ROOM), *again = malloc(ROOM);
	uint8_t *more = malloc(ROOM);
	size_t n6 = 0, n4 = 0, m6 = 0;

	if (go6(four, n, six, &n6) == DROP_NONE) {
		CHECK(go4(six, n6, get_be16(four + IP4_OFF_ID), again, &n4) ==
		    DROP_NONE);
		CHECK(go6(again, n4, more, &m6) == DROP_NONE);
		CHECK(m6 == n6 && memcmp(six, more, n6) == 0);
	}
	free(six);
	free(again);
	free(more);
}

static void
try6(const uint8_t *packet, size_t size, bool sealed)
{
	uint8_t *out = malloc(ROOM);
	size_t n = 0;

	if (go4(packet, size, ID, out, &n) == DROP_NONE) {
		check4(out, n, sealed);
		check_head4(packet, size / 2, out, n);
		check_back4(out, n);
	}
	free(out);
}

static void
try4(const uint8_t *packet, size_t size, bool sealed)
{
	uint8_t *out = malloc(ROOM);
	size_t n = 0;

	if (go6(packet, size, out, &n) == DROP_NONE) {
		check6(out, n, sealed);
		try6(out, n, sealed);
	}
	free(out);
}

/* ---- packets ---- */

/* Makes an IPv6 packet of data: known addresses, the right length, and
 * checksums. */
static void
dress6(uint8_t *packet, size_t size)
{
	struct siit6 p;
	struct ip6_addr addr;

	if (size < IP6_HEADER_BYTES + 8)
		return;
	packet[0] = (uint8_t)(0x60 | (packet[0] & 0xf));
	put_be16(packet + 4, (uint16_t)(size - IP6_HEADER_BYTES));
	for (int at = 8; at <= 24; at += 16) {
		addr = ip64_embed(&ip64_well_known, get_be32(packet + at + 12));
		memcpy(packet + at, addr.b, sizeof(addr.b));
	}
	if (siit6_read(&p, packet, size) != DROP_NONE)
		return;
	if (!siit6_is_fragment(&p))
		seal(p.protocol, pseudo6(&p), packet + p.header_bytes,
		    siit6_payload_bytes(&p));
}

static void
dress4(uint8_t *packet, size_t size)
{
	struct cursor c;
	struct ip4 ip;
	size_t header;

	if (size < IP4_HEADER_BYTES + 8)
		return;
	packet[0] = (uint8_t)(0x40 | (5 + packet[0] % 3));
	header = (packet[0] & 0xf) * (size_t)4;
	put_be16(packet + IP4_OFF_LENGTH, (uint16_t)size);
	put_be16(packet + IP4_OFF_CHECKSUM, 0);
	put_be16(packet + IP4_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(0, packet, header)));
	c = cursor(packet, size);
	if (ip4_parse(&ip, &c) == DROP_NONE && !ip4_is_fragment(&ip))
		seal(ip.protocol, pseudo4(&ip), packet + header, size - header);
}

/* What an error quotes: so that it has a header that can be read. */
static void
dress_quotes(uint8_t *packet, size_t size)
{
	if (size > IP6_HEADER_BYTES + 8 && packet[0] >> 4 == 6)
		dress6(
		    packet + IP6_HEADER_BYTES + 8, size - IP6_HEADER_BYTES - 8);
	if (size > IP4_HEADER_BYTES + 8 && packet[0] >> 4 == 4)
		dress4(
		    packet + IP4_HEADER_BYTES + 8, size - IP4_HEADER_BYTES - 8);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *packet;

	if (size > UINT16_MAX)
		return 0;
	packet = malloc(size + 1);
	CHECK(packet != NULL);
	memcpy(packet, data, size);
	try6(packet, size, false);
	try4(packet, size, false);
	if (size > 0 && packet[0] & 0x80) {
		packet[0] = 0x60;
		dress_quotes(packet, size);
	}
	dress6(packet, size);
	try6(packet, size, true);
	memcpy(packet, data, size);
	if (size > 0 && packet[0] & 0x80) {
		packet[0] = 0x45;
		dress_quotes(packet, size);
	}
	dress4(packet, size);
	try4(packet, size, true);
	free(packet);
	return 0;
}
