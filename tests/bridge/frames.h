/*
 * frames.h - frames of guests and of a LAN, for what stands between them.
 */
#ifndef TESTS_BRIDGE_FRAMES_H
#define TESTS_BRIDGE_FRAMES_H

#include <stdint.h>
#include <string.h>

#include "net/arp.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/ip6.h"
#include "net/udp.h"

struct bytes {
	uint8_t b[2048];
	size_t len;
};

static const struct mac nic = { { 0x02, 0xaa, 0, 0, 0, 1 } };
static const struct mac alice = { { 0x52, 0x54, 0, 0, 0, 0x0a } };
static const struct mac bob = { { 0x52, 0x54, 0, 0, 0, 0x0b } };
static const struct mac outsider = { { 0x02, 0xbb, 0, 0, 0, 9 } };
static const struct mac everybody = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
static const struct mac no_mac;

#define ALICE_IP   UINT32_C(0xc0000207) /* 192.0.2.7 */
#define BOB_IP     UINT32_C(0xc0000208)
#define OUTSIDE_IP UINT32_C(0xc0000201)

static inline struct writer
begin(struct bytes *f, const struct mac *dst, const struct mac *src,
    uint16_t type)
{
	const struct eth eth = { .dst = *dst, .src = *src, .type = type };
	struct writer w = writer(f->b, sizeof(f->b));

	memset(f, 0, sizeof(*f));
	eth_write(&w, &eth);
	return w;
}

static inline struct bytes
make_arp(const struct mac *dst, const struct mac *src, uint16_t op,
    uint32_t sender_ip, const struct mac *target, uint32_t target_ip)
{
	const struct arp arp = { .op = op,
		.sender_mac = *src,
		.sender_ip = sender_ip,
		.target_mac = *target,
		.target_ip = target_ip };
	struct bytes f;
	struct writer w = begin(&f, dst, src, ETH_ARP);

	arp_write(&w, &arp);
	f.len = ETH_MIN_BYTES;
	return f;
}

static inline struct bytes
make_udp(const struct mac *dst, const struct mac *src, uint32_t from,
    uint32_t to, uint16_t sport, uint16_t dport, const void *data, size_t n)
{
	const struct udp udp = {
		.sport = sport, .dport = dport, .data = data, .data_bytes = n
	};
	const struct ip4 ip = { .ttl = 64,
		.protocol = IP_UDP,
		.src = from,
		.dst = to,
		.total_bytes =
		    (uint16_t)(IP4_HEADER_BYTES + UDP_HEADER_BYTES + n) };
	struct bytes f;
	struct writer w = begin(&f, dst, src, ETH_IPV4);

	ip4_write(&w, &ip);
	udp_write(&w, &udp, from, to);
	f.len = (size_t)(w.at - f.b);
	return f;
}

/* An ICMPv6 message with its checksum. */
static inline struct bytes
make_icmp6(const struct mac *dst, const struct mac *src,
    const struct ip6_addr *from, const struct ip6_addr *to, const void *data,
    size_t n)
{
	const struct ip6 ip = { .payload_bytes = (uint16_t)n,
		.next = IP_ICMP6,
		.hop_limit = 255,
		.src = *from,
		.dst = *to };
	struct bytes f;
	struct writer w = begin(&f, dst, src, ETH_IPV6);
	uint8_t *at;

	ip6_write(&w, &ip);
	at = w.at;
	wr_bytes(&w, data, n);
	put_be16(at + 2, 0);
	put_be16(at + 2,
	    csum_finish(csum_add_bytes(
		csum_pseudo6(from, to, IP_ICMP6, (uint32_t)n), at, n)));
	f.len = (size_t)(w.at - f.b);
	return f;
}

/* Is the sum of the ICMPv6 message behind the fixed header right? */
static inline int
icmp6_sum_is_right(const uint8_t *frame, size_t len)
{
	struct cursor c = cursor(frame, len);
	struct ip6 ip;

	cur_skip(&c, ETH_HEADER_BYTES);
	if (ip6_parse(&ip, &c) != DROP_NONE || ip.next != IP_ICMP6)
		return 0;
	return csum_finish(csum_add_bytes(
		   csum_pseudo6(&ip.src, &ip.dst, IP_ICMP6, ip.payload_bytes),
		   c.at, cur_left(&c))) == 0;
}

static inline int
udp4_sum_is_right(const uint8_t *frame, size_t len)
{
	struct cursor c = cursor(frame, len);
	struct udp udp;
	struct ip4 ip;

	cur_skip(&c, ETH_HEADER_BYTES);
	return ip4_parse(&ip, &c) == DROP_NONE && ip.protocol == IP_UDP &&
	    udp_parse(&udp, &c, &ip, false) == DROP_NONE;
}

#endif
