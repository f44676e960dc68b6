/*
 * A host that routes (many do, for containers) would forward what a guest
 * addresses to its MAC.  So the way ends before the host: by destination, which
 * its routing cannot change.  From the host, by source: what it forwards comes
 * from elsewhere.  (What it translates to its own address is its own.)
 */
#include "bridge/host_only.h"

#include "net/cursor.h"
#include "net/eth.h"

#define LLC_MAX      1500 /* an EtherType up to here is a length */
#define IP4_LINK     UINT32_C(0xe0000000) /* 224.0.0.0/24 (RFC 5771 4) */
#define IP4_LINK_MAX UINT32_C(0xe00000ff)

static bool
is_group_of_link(uint32_t addr)
{
	return addr >= IP4_LINK && addr <= IP4_LINK_MAX;
}

static bool
ip4_in(struct ip4_net host, uint32_t dst)
{
	return dst == host.addr || dst == UINT32_MAX || is_group_of_link(dst) ||
	    (host.prefix < 31 && dst == ip4_net_broadcast(host));
}

/* fe80::/10, ff01::/16 or ff02::/16 (RFC 4291 2.4, 2.7). */
static bool
ip6_in(const uint8_t *dst)
{
	if (dst[0] == 0xff)
		return (dst[1] & 0xf) == 1 || (dst[1] & 0xf) == 2;
	return dst[0] == 0xfe && (dst[1] & 0xc0) == 0x80;
}

static bool
ip6_out(const uint8_t *src)
{
	static const uint8_t none[16];

	return (src[0] == 0xfe && (src[1] & 0xc0) == 0x80) ||
	    memcmp(src, none, sizeof(none)) == 0;
}

static enum reason
judge(struct ip4_net host, const uint8_t *head, size_t n, bool in)
{
	struct cursor c = cursor(head, n);
	struct eth eth;
	enum reason reason = eth_parse(&eth, &c);
	const uint8_t *src, *dst;
	uint32_t from, to;

	if (reason != DROP_NONE)
		return reason;
	switch (eth.type) {
	case ETH_ARP:
	case ETH_LLDP: return DROP_NONE;
	case ETH_IPV4:
		cur_bytes(&c, 12);
		from = cur_be32(&c);
		to = cur_be32(&c);
		if (c.overrun)
			return DROP_SHORT;
		if (in ? ip4_in(host, to) : from == host.addr)
			return DROP_NONE;
		return DROP_HOST_ONLY;
	case ETH_IPV6:
		cur_bytes(&c, 8);
		src = cur_bytes(&c, 16);
		dst = cur_bytes(&c, 16);
		if (c.overrun)
			return DROP_SHORT;
		return (in ? ip6_in(dst) : ip6_out(src)) ? DROP_NONE
							 : DROP_HOST_ONLY;
	default: return eth.type <= LLC_MAX ? DROP_NONE : DROP_HOST_ONLY;
	}
}

enum reason
host_only_in(struct ip4_net host, const uint8_t *head, size_t n)
{
	return judge(host, head, n, true);
}

enum reason
host_only_out(struct ip4_net host, const uint8_t *head, size_t n)
{
	return judge(host, head, n, false);
}
