#include "net/ip64.h"

#define U_BYTE 8 /* bits 64 to 71 */

const struct ip64_prefix ip64_well_known = {
	.addr = { { 0x00, 0x64, 0xff, 0x9b } }, .bits = 96
};

bool
ip64_is_prefix(const struct ip64_prefix *prefix)
{
	if (prefix->bits != 96 &&
	    (prefix->bits < 32 || prefix->bits > 64 || prefix->bits % 8 != 0))
		return false;
	if (ip6_is_multicast(&prefix->addr) || prefix->addr.b[U_BYTE] != 0)
		return false;
	for (size_t i = prefix->bits / 8; i < sizeof(prefix->addr.b); i++)
		if (prefix->addr.b[i] != 0)
			return false;
	return true;
}

bool
ip64_overlaps(const struct ip64_prefix *prefix, const struct ip6_net *net)
{
	uint8_t bits = prefix->bits < net->prefix ? prefix->bits : net->prefix;

	return ip6_common_bits(&prefix->addr, &net->addr) >= bits;
}

bool
ip64_has(const struct ip64_prefix *prefix, const struct ip6_addr *addr)
{
	return memcmp(prefix->addr.b, addr->b, prefix->bits / 8) == 0;
}

struct ip6_addr
ip64_embed(const struct ip64_prefix *prefix, uint32_t ip4)
{
	struct ip6_addr addr = prefix->addr;
	size_t at = prefix->bits / 8;

	for (int shift = 24; shift >= 0; shift -= 8) {
		if (at == U_BYTE)
			at++;
		addr.b[at++] = (uint8_t)(ip4 >> shift);
	}
	return addr;
}

bool
ip64_extract(const struct ip64_prefix *prefix, const struct ip6_addr *addr,
    uint32_t *ip4)
{
	size_t at = prefix->bits / 8;
	uint32_t out = 0;

	if (!ip64_has(prefix, addr))
		return false;
	for (int i = 0; i < 4; i++) {
		if (at == U_BYTE)
			at++;
		out = out << 8 | addr->b[at++];
	}
	*ip4 = out;
	return true;
}

bool
ip64_may_embed(const struct ip64_prefix *prefix, uint32_t ip4)
{
	/* RFC 5735 3, but for documentation. */
	static const struct ip4_net local[] = { { 0x0a000000, 8 },
		{ 0x64400000, 10 }, { 0xa9fe0000, 16 }, { 0xac100000, 12 },
		{ 0xc0000000, 24 }, { 0xc0586300, 24 }, { 0xc0a80000, 16 },
		{ 0xc6120000, 15 } };

	if (ip4 >> 24 == 0 || ip4_is_loopback(ip4) || ip4 >> 29 == 7)
		return false;
	if (prefix->bits != ip64_well_known.bits ||
	    !ip6_equal(&prefix->addr, &ip64_well_known.addr))
		return true;
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		if (ip4_net_has(local[i], ip4))
			return false;
	return true;
}
