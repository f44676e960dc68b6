/*
 * 127/8 and 0/8 (RFC 1122 3.2.1.3), ::1 and all of ::/80, where the forms of
 * IPv4 addresses are that a socket of IPv6 would take for the host's own: for a
 * host's stack these are the host itself.  And multicast, which libslirp would
 * send into the host's networks, but for what IPv6 needs on its own link.
 */
#include "bridge/slirp_admit.h"

#include "net/eth.h"
#include "net/ip4.h"
#include "net/ip6.h"
#include "net/tcp.h"

#define ZEROS_BYTES 10 /* ::/80 */
#define FLAGS_AT    13 /* in TCP's header */

static bool
is_martian4(uint32_t addr)
{
	return ip4_is_loopback(addr) || addr >> 24 == 0;
}

/* A host that has no address yet asks DHCP from 0.0.0.0. */
static enum reason
admit_ip4(struct cursor *c, bool *may_begin)
{
	struct ip4 ip;
	enum reason reason = ip4_parse(&ip, c);
	const uint8_t *h = c->at;

	if (reason != DROP_NONE)
		return reason;
	if (is_martian4(ip.dst) || (ip.src != 0 && is_martian4(ip.src)))
		return DROP_MARTIAN;
	if (ip4_is_multicast(ip.dst))
		return DROP_MULTICAST;
	*may_begin = ip.protocol != IP_TCP || ip4_is_fragment(&ip) ||
	    cur_left(c) <= FLAGS_AT || (h[FLAGS_AT] & TCP_SYN) != 0;
	return DROP_NONE;
}

static bool
is_martian6(const struct ip6_addr *addr)
{
	static const uint8_t zeros[ZEROS_BYTES];

	return memcmp(addr->b, zeros, sizeof(zeros)) == 0;
}

/* The unspecified address is a host's that looks whether its own is free. */
static enum reason
admit_ip6(struct cursor *c, bool *may_begin)
{
	struct ip6 ip;
	enum reason reason = ip6_parse(&ip, c);
	const uint8_t *h = c->at;

	if (reason != DROP_NONE)
		return reason;
	if (is_martian6(&ip.dst) ||
	    (is_martian6(&ip.src) && !ip6_is_zero(&ip.src)))
		return DROP_MARTIAN;
	if (ip6_is_multicast(&ip.dst) && (ip.dst.b[1] & 0xf) != 2)
		return DROP_MULTICAST;
	*may_begin = ip.next != IP_TCP || cur_left(c) <= FLAGS_AT ||
	    (h[FLAGS_AT] & TCP_SYN) != 0;
	return DROP_NONE;
}

enum reason
slirp_admit(const void *frame, size_t len, bool ipv6, bool *may_begin)
{
	struct cursor c = cursor(frame, len);
	struct eth eth;
	enum reason reason = eth_parse(&eth, &c);

	*may_begin = false;
	if (reason != DROP_NONE)
		return reason;
	if (eth.nvlans > 0)
		return DROP_ETH_TYPE;
	switch (eth.type) {
	case ETH_ARP: return DROP_NONE;
	case ETH_IPV4: return admit_ip4(&c, may_begin);
	case ETH_IPV6: return ipv6 ? admit_ip6(&c, may_begin) : DROP_ETH_TYPE;
	default: return DROP_ETH_TYPE;
	}
}
