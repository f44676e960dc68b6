/* libs: net base */
/*
 * What is read of IPv6: addresses as text, extension headers, ICMPv6, neighbour
 * discovery, router solicitations, DHCPv6.
 *
 * What must hold: what is read lies within the bytes; text that is read is
 * written as text that reads as the same; messages whose sum is made right are
 * read or refused alike by each reader; prefixes that are translated keep the
 * sum and come back.
 */
#include <stdlib.h>

#include "net/checksum.h"
#include "net/dhcp6.h"
#include "net/icmp6.h"
#include "net/ip6_chain.h"
#include "net/nd.h"
#include "net/npt6.h"
#include "net/ra.h"

#define CHECK(claim) ((claim) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
text(const uint8_t *data, size_t size)
{
	char in[80] = "", out[IP6_NET_TEXT_BYTES];
	struct ip6_addr addr, again;
	struct ip6_net net, net_again;

	memcpy(in, data, size < sizeof(in) ? size : sizeof(in) - 1);
	if (ip6_read(&addr, in)) {
		uint32_t ip4;

		ip6_text(out, &addr);
		CHECK(strlen(out) < IP6_TEXT_BYTES);
		/* An IPv4 address within is written as one. */
		if (!ip6_to_ip4(&ip4, &addr))
			CHECK(
			    ip6_read(&again, out) && ip6_equal(&again, &addr));
	}
	if (ip6_net_read(&net, in)) {
		struct ip6_addr masked = ip6_masked(&net.addr, net.prefix);
		uint32_t ip4;

		CHECK(ip6_net_has(&net, &masked));
		ip6_net_text(out, &net);
		if (!ip6_to_ip4(&ip4, &net.addr))
			CHECK(ip6_net_read(&net_again, out) &&
			    net_again.prefix == net.prefix &&
			    ip6_equal(&net_again.addr, &net.addr));
	}
}

static void
chain(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(data, size);
	struct ip6 ip = { .next = cur_u8(&c) };
	const uint8_t *start = c.at;
	struct ip6_chain chain;
	enum reason reason = ip6_chain_parse(&chain, &c, &ip);

	CHECK(reason == REASON_NONE || reason == DROP_SHORT ||
	    reason == DROP_IP6_CHAIN);
	if (reason != REASON_NONE)
		return;
	CHECK(c.at == start + chain.bytes && c.end == data + size);
	CHECK(
	    chain.next_at < IP6_HEADER_BYTES + chain.bytes || chain.bytes == 0);
	CHECK(chain.option_at < IP6_HEADER_BYTES + (size_t)chain.bytes ||
	    chain.option_at == 0);
}

/* A message of ICMPv6 with a right sum, in ip. */
static void
message(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(data, size);
	struct ip6 ip = { .hop_limit = cur_u8(&c) & 1 ? 255 : 64 };
	struct icmp6 icmp;
	struct nd_message nd;
	struct ra_message ra;
	struct mac mac;
	uint8_t *m;
	size_t n;
	enum reason reason;

	cur_ip6(&c, &ip.src);
	cur_ip6(&c, &ip.dst);
	n = cur_left(&c);
	if (n < 4 || n > 2000)
		return;
	m = malloc(n);
	CHECK(m != NULL);
	memcpy(m, c.at, n);
	put_be16(m + 2, 0);
	put_be16(m + 2,
	    csum_finish(csum_add_bytes(
		csum_pseudo6(&ip.src, &ip.dst, IP_ICMP6, (uint32_t)n), m, n)));
	c = cursor(m, n);
	reason = icmp6_parse(&icmp, &c, &ip.src, &ip.dst, false);
	CHECK(reason == (n < ICMP6_HEADER_BYTES ? DROP_SHORT : REASON_NONE));
	if (reason == REASON_NONE)
		CHECK(icmp.data_bytes == n - ICMP6_HEADER_BYTES);
	c = cursor(m, n);
	reason = nd_message_parse(&nd, &c, &ip);
	CHECK(reason != DROP_L4_CHECKSUM);
	if (reason == REASON_NONE) {
		CHECK(ip.hop_limit == 255 && !ip6_is_multicast(&nd.target));
		CHECK(!ip6_is_zero(&ip.src) || nd.type == ND_ADVERTISE ||
		    mac_is_zero(&nd.mac));
	}
	c = cursor(m, n);
	reason = rs_parse(&mac, &c, &ip);
	CHECK(reason != DROP_L4_CHECKSUM);
	if (reason == REASON_NONE)
		CHECK(m[0] == ND_ROUTER_SOLICIT && ip.hop_limit == 255);
	c = cursor(m, n);
	reason = ra_parse(&ra, &c, &ip);
	CHECK(reason != DROP_L4_CHECKSUM);
	if (reason == REASON_NONE) {
		CHECK(m[0] == ND_ROUTER_ADVERTISE && ip.hop_limit == 255);
		CHECK(ip6_is_link_local(&ip.src));
		CHECK(ra.nprefixes <= RA_PREFIXES && ra.ndns <= RA_SERVERS);
		for (unsigned int i = 0; i < ra.nprefixes; i++)
			CHECK(ra.prefix[i].net.prefix <= 128);
	}
	free(m);
}

static void
dhcp(const uint8_t *data, size_t size)
{
	static const struct mac server = { { 2, 0, 0, 0, 0, 1 } };
	struct cursor c = cursor(data, size);
	struct dhcp6_request request;
	struct dhcp6_reply reply = {
		.server = server, .ndns = 4, .domain = "lab"
	};
	uint8_t out[512];
	struct writer w = writer(out, sizeof(out));

	if (dhcp6_parse(&request, &c, &server) != REASON_NONE)
		return;
	CHECK(request.client_bytes <= DHCP6_CLIENT_BYTES);
	CHECK(request.id <= 0xffffff && data[0] == DHCP6_INFORMATION);
	dhcp6_write(&w, &request, &reply);
	CHECK(!w.overrun);
}

static uint16_t
sum_of(const struct ip6_addr *a)
{
	uint16_t sum = csum_fold(csum_add_bytes(0, a->b, sizeof(a->b)));

	return sum == 0xffff ? 0 : sum;
}

static void
prefixes(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(data, size);
	struct ip6_net inside = { .prefix = cur_u8(&c) % 70 };
	struct ip6_net outside = { .prefix = cur_u8(&c) % 70 };
	struct ip6_addr addr, was;
	struct npt6 npt;

	cur_ip6(&c, &inside.addr);
	cur_ip6(&c, &outside.addr);
	cur_ip6(&c, &addr);
	if (!npt6_init(&npt, &inside, &outside))
		return;
	/* Mostly one of the prefix. */
	if (cur_u8(&c) & 3) {
		unsigned int i = npt.inside.prefix / 8u;

		memcpy(addr.b, npt.inside.addr.b, i);
		if (npt.inside.prefix % 8 != 0)
			addr.b[i] = npt.inside.addr.b[i];
	}
	was = addr;
	if (npt6_out(&npt, &addr) != NPT6_DONE) {
		CHECK(ip6_equal(&addr, &was));
		return;
	}
	CHECK(ip6_net_has(&npt.outside, &addr));
	CHECK(sum_of(&addr) == sum_of(&was));
	/* An identifier can become zeros, which have no way back. */
	if (npt6_in(&npt, &addr) == NPT6_DONE)
		CHECK(ip6_equal(&addr, &was));
	else
		CHECK(npt.inside.prefix > 48);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* In memory that ends where it ends. */
	uint8_t *copy;
	size_t n;

	if (size == 0)
		return 0;
	n = size - 1;
	copy = malloc(n + 1);
	CHECK(copy != NULL);
	memcpy(copy + 1, data + 1, n);
	switch (data[0] % 5) {
	case 0: text(copy + 1, n); break;
	case 1: chain(copy + 1, n); break;
	case 2: message(copy + 1, n); break;
	case 3: dhcp(copy + 1, n); break;
	case 4: prefixes(copy + 1, n); break;
	}
	free(copy);
	return 0;
}
