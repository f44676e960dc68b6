/*
 * The mark, 18 bytes, which is what a UDP datagram has in the shortest frame:
 *
 *     magic 2 | stream 2 | number 4 | time 6 | sum 4
 *
 * sum covers the mark and the payload's length; the fill behind it is compared.
 * That is exact and costs no more than a copy, where a sum over all of it finds
 * less.  Where a tag was taken off on the way nothing changes: the payload of a
 * frame without IP is all there is to its end, and no frame is made so short
 * that somebody pads it.
 */
#include "switch/test_frame.h"

#include <assert.h>

#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/udp.h"

#define MAGIC     0x4c4e /* "LN" */
#define TTL       64
#define SUM_AT    14
#define FILL_SEED UINT64_C(0x6c616e79617264)

static uint64_t
mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

void
test_fill_make(struct test_fill *fill)
{
	uint64_t x = FILL_SEED;

	for (size_t i = 0; i < sizeof(fill->bytes); i++) {
		if (i % 8 == 0)
			x = mix(x);
		fill->bytes[i] = (uint8_t)(x >> 8 * (i % 8));
	}
}

static size_t
header_bytes(const struct test_shape *shape)
{
	size_t n = ETH_HEADER_BYTES;

	if (shape->vlan != 0)
		n += ETH_VLAN_BYTES;
	switch (shape->pattern) {
	case TEST_ETHERNET: break;
	case TEST_UDP4: n += IP4_HEADER_BYTES + UDP_HEADER_BYTES; break;
	case TEST_UDP6: n += IP6_HEADER_BYTES + UDP_HEADER_BYTES; break;
	}
	return n;
}

size_t
test_frame_min(const struct test_shape *shape)
{
	size_t n = header_bytes(shape) + TEST_MARK_BYTES;
	size_t least = ETH_MIN_BYTES + (shape->vlan != 0 ? ETH_VLAN_BYTES : 0);

	return n > least ? n : least;
}

static uint32_t
sum_of(uint64_t ids, uint64_t time, size_t len)
{
	return (uint32_t)mix(ids ^ mix(time ^ (uint64_t)len << 48));
}

static void
write_payload(uint8_t *out, size_t len, const struct test_shape *shape,
    const struct test_fill *fill, uint32_t number, uint64_t now_ns)
{
	uint64_t time = now_ns & TEST_TIME_MASK;

	put_be16(out, MAGIC);
	put_be16(out + 2, shape->stream);
	put_be32(out + 4, number);
	put_be16(out + 8, (uint16_t)(time >> 32));
	put_be32(out + 10, (uint32_t)time);
	put_be32(out + SUM_AT,
	    sum_of((uint64_t)shape->stream << 32 | number, time, len));
	memcpy(out + TEST_MARK_BYTES, fill->bytes, len - TEST_MARK_BYTES);
}

/* Source address n of the stream: the last three bytes count. */
static struct mac
source(const struct test_shape *shape, uint32_t n)
{
	struct mac mac = shape->src;
	uint32_t low =
	    (uint32_t)mac.b[3] << 16 | (uint32_t)mac.b[4] << 8 | mac.b[5];

	low += n;
	mac.b[3] = (uint8_t)(low >> 16);
	mac.b[4] = (uint8_t)(low >> 8);
	mac.b[5] = (uint8_t)low;
	return mac;
}

static void
write_udp6(
    struct writer *w, const struct test_shape *shape, const struct udp *udp)
{
	uint16_t len = (uint16_t)(UDP_HEADER_BYTES + udp->data_bytes);
	struct ip6 ip = {
		.payload_bytes = len,
		.next = IP_UDP,
		.hop_limit = TTL,
		.src = shape->src6,
		.dst = shape->dst6,
	};
	uint8_t *at;
	uint16_t sum;

	ip6_write(w, &ip);
	at = w->at;
	wr_be16(w, udp->sport);
	wr_be16(w, udp->dport);
	wr_be16(w, len);
	wr_be16(w, 0);
	sum = csum_finish(csum_add_bytes(
	    csum_pseudo6(&ip.src, &ip.dst, IP_UDP, len), at, len));
	put_be16(at + UDP_OFF_CHECKSUM, sum != 0 ? sum : 0xffff);
}

void
test_frame_make(uint8_t *out, size_t bytes, const struct test_shape *shape,
    const struct test_fill *fill, uint32_t number, uint64_t now_ns)
{
	static const uint16_t types[] = { [TEST_ETHERNET] = ETH_LOCAL,
		[TEST_UDP4] = ETH_IPV4,
		[TEST_UDP6] = ETH_IPV6 };
	size_t head = header_bytes(shape), len = bytes - head;
	struct writer w = writer(out, bytes);
	struct eth eth = {
		.dst = shape->dst,
		.src = source(shape, number % shape->macs),
		.type = types[shape->pattern],
		.nvlans = shape->vlan != 0,
		.vlan = { { ETH_VLAN, shape->vlan } },
	};
	struct udp udp = {
		.sport = (uint16_t)(shape->sport + number % shape->flows),
		.dport = shape->dport,
		.data = out + head,
		.data_bytes = len,
	};

	assert(bytes >= test_frame_min(shape) && bytes <= TEST_FRAME_MAX);
	eth_write(&w, &eth);
	write_payload(out + head, len, shape, fill, number, now_ns);
	switch (shape->pattern) {
	case TEST_ETHERNET: break;
	case TEST_UDP4: {
		struct ip4 ip = {
			.total_bytes = (uint16_t)(IP4_HEADER_BYTES +
			    UDP_HEADER_BYTES + len),
			.id = (uint16_t)number,
			.ttl = TTL,
			.protocol = IP_UDP,
			.src = shape->src4,
			.dst = shape->dst4,
		};

		ip4_write(&w, &ip);
		udp_write(&w, &udp, shape->src4, shape->dst4);
		break;
	}
	case TEST_UDP6: write_udp6(&w, shape, &udp); break;
	}
	assert(!w.overrun);
}

enum test_found
test_mark_read(struct test_mark *mark, const uint8_t *payload, size_t len,
    const struct test_fill *fill)
{
	struct cursor c = cursor(payload, len);
	uint16_t magic = cur_be16(&c);
	struct test_mark m = { .stream = cur_be16(&c) };
	uint32_t sum;

	m.number = cur_be32(&c);
	m.sent_ns = (uint64_t)cur_be16(&c) << 32;
	m.sent_ns |= cur_be32(&c);
	sum = cur_be32(&c);
	if (c.overrun || magic != MAGIC ||
	    len > TEST_MARK_BYTES + sizeof(fill->bytes))
		return TEST_NONE;
	*mark = m;
	if (sum !=
		sum_of((uint64_t)m.stream << 32 | m.number, m.sent_ns, len) ||
	    memcmp(payload + TEST_MARK_BYTES, fill->bytes,
		len - TEST_MARK_BYTES) != 0)
		return TEST_CORRUPT;
	return TEST_WHOLE;
}
