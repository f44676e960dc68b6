#include "net/ra.h"

#include "net/checksum.h"
#include "net/dns.h"
#include "net/icmp6.h"
#include "net/nd.h"

#define OPT_SOURCE 1
#define OPT_PREFIX 3
#define OPT_MTU    5
#define OPT_DNS    25
#define OPT_DOMAIN 31
#define OPT_PREF64 38

#define PREFIX_ON_LINK    0x80
#define PREFIX_AUTONOMOUS 0x40
#define RA_MANAGED        0x80
#define RA_OTHER          0x40

enum reason
rs_parse(struct mac *mac, struct cursor *c, const struct ip6 *ip)
{
	struct icmp6 icmp;
	struct mac source = { { 0 } };
	enum reason reason = icmp6_parse(&icmp, c, &ip->src, &ip->dst, false);
	struct cursor options;

	if (reason != DROP_NONE)
		return reason;
	if (icmp.type != ND_ROUTER_SOLICIT || icmp.code != 0 ||
	    ip->hop_limit != ND_HOP_LIMIT)
		return DROP_ND;
	options = cursor(icmp.data, icmp.data_bytes);
	reason = nd_find_mac(&source, &options, OPT_SOURCE);
	if (reason != DROP_NONE)
		return reason;
	if (ip6_is_zero(&ip->src) && !mac_is_zero(&source))
		return DROP_ND;
	*mac = source;
	return DROP_NONE;
}

void
rs_write(struct writer *w, const struct mac *mac, const struct ip6_addr *src,
    const struct ip6_addr *dst)
{
	uint8_t option[8] = { OPT_SOURCE, 1 };
	const struct icmp6 icmp = { .type = ND_ROUTER_SOLICIT,
		.data = option,
		.data_bytes = mac_is_zero(mac) ? 0 : sizeof(option) };
	const struct ip6 ip = { .payload_bytes = (uint16_t)(ICMP6_HEADER_BYTES +
				    icmp.data_bytes),
		.next = IP_ICMP6,
		.hop_limit = ND_HOP_LIMIT,
		.src = *src,
		.dst = *dst };

	memcpy(option + 2, mac->b, sizeof(mac->b));
	ip6_write(w, &ip);
	icmp6_write(w, &icmp, src, dst);
}

/* ---- advertisements: in ---- */

/* body is at what follows an option's type and length. */
static void
read_prefix(struct ra_message *ra, struct cursor body)
{
	struct ra_prefix prefix = { .net.prefix = cur_u8(&body) };
	uint8_t flags = cur_u8(&body);

	prefix.on_link = (flags & PREFIX_ON_LINK) != 0;
	prefix.autonomous = (flags & PREFIX_AUTONOMOUS) != 0;
	prefix.valid_s = cur_be32(&body);
	prefix.preferred_s = cur_be32(&body);
	cur_skip(&body, 4);
	cur_ip6(&body, &prefix.net.addr);
	if (body.overrun || prefix.net.prefix > 128 ||
	    ra->nprefixes == RA_PREFIXES)
		return;
	prefix.net.addr = ip6_masked(&prefix.net.addr, prefix.net.prefix);
	ra->prefix[ra->nprefixes++] = prefix;
}

/* RFC 8106 5.1. */
static void
read_dns(struct ra_message *ra, struct cursor body)
{
	uint32_t lifetime_s;

	cur_skip(&body, 2);
	lifetime_s = cur_be32(&body);
	while (cur_left(&body) >= sizeof(struct ip6_addr) &&
	    ra->ndns < RA_SERVERS) {
		ra->each_dns_s[ra->ndns] = lifetime_s;
		cur_ip6(&body, &ra->dns[ra->ndns++]);
	}
}

static void
read_option(struct ra_message *ra, uint8_t type, struct cursor body)
{
	const size_t bytes = cur_left(&body) + 2;

	switch (type) {
	case OPT_SOURCE:
		if (bytes == 8)
			cur_mac(&body, &ra->mac);
		break;
	case OPT_PREFIX:
		if (bytes == 32)
			read_prefix(ra, body);
		break;
	case OPT_MTU:
		cur_skip(&body, 2);
		if (bytes == 8)
			ra->mtu_bytes = cur_be32(&body);
		break;
	case OPT_DNS: read_dns(ra, body); break;
	default: break; /* RFC 4861 4.2: ignored */
	}
}

static enum reason
read_options(struct ra_message *ra, struct cursor *c)
{
	while (cur_left(c) > 0) {
		uint8_t type = cur_u8(c), eights = cur_u8(c);
		struct cursor body;

		if (eights == 0)
			return DROP_ND;
		body = cur_sub(c, (size_t)eights * 8 - 2);
		if (c->overrun)
			return DROP_SHORT;
		read_option(ra, type, body);
	}
	return DROP_NONE;
}

enum reason
ra_parse(struct ra_message *ra, struct cursor *c, const struct ip6 *ip)
{
	struct icmp6 icmp;
	struct ra_message m = { .domain = "" };
	enum reason reason = icmp6_parse(&icmp, c, &ip->src, &ip->dst, false);
	struct cursor body;

	if (reason != DROP_NONE)
		return reason;
	if (icmp.type != ND_ROUTER_ADVERTISE)
		return DROP_PROTOCOL;
	if (icmp.code != 0 || ip->hop_limit != ND_HOP_LIMIT ||
	    !ip6_is_link_local(&ip->src))
		return DROP_ND;
	m.hop_limit = (uint8_t)(icmp.word >> 24);
	m.managed = (icmp.word >> 16 & RA_MANAGED) != 0;
	m.other = (icmp.word >> 16 & RA_OTHER) != 0;
	m.lifetime_s = (uint16_t)icmp.word;
	body = cursor(icmp.data, icmp.data_bytes);
	m.reachable_ms = cur_be32(&body);
	m.retransmit_ms = cur_be32(&body);
	if (body.overrun)
		return DROP_SHORT;
	reason = read_options(&m, &body);
	if (reason == DROP_NONE)
		*ra = m;
	return reason;
}

/* ---- advertisements: out ---- */

static void
write_prefix(struct writer *w, const struct ra_prefix *prefix)
{
	struct ip6_addr addr =
	    ip6_masked(&prefix->net.addr, prefix->net.prefix);

	wr_u8(w, OPT_PREFIX);
	wr_u8(w, 4);
	wr_u8(w, prefix->net.prefix);
	wr_u8(w,
	    (prefix->on_link ? PREFIX_ON_LINK : 0) |
		(prefix->autonomous ? PREFIX_AUTONOMOUS : 0));
	wr_be32(w, prefix->valid_s);
	wr_be32(w, prefix->preferred_s);
	wr_be32(w, 0);
	wr_ip6(w, &addr);
}

static void
write_dns(struct writer *w, const struct ra_message *ra)
{
	wr_u8(w, OPT_DNS);
	wr_u8(w, (uint8_t)(1 + 2 * ra->ndns));
	wr_be16(w, 0);
	wr_be32(w, ra->dns_s);
	for (unsigned int i = 0; i < ra->ndns; i++)
		wr_ip6(w, &ra->dns[i]);
}

/* RFC 8781 4: 13 bits of time in eights of seconds, 3 of the length's code. */
static void
write_nat64(struct writer *w, const struct ra_message *ra)
{
	static const uint8_t lengths[] = { 96, 64, 56, 48, 40, 32 };
	uint32_t eights = (ra->dns_s + 7) / 8, code = 0;

	while (code < sizeof(lengths) - 1 && lengths[code] != ra->nat64.bits)
		code++;
	if (eights > 0x1fff)
		eights = 0x1fff;
	wr_u8(w, OPT_PREF64);
	wr_u8(w, 2);
	wr_be16(w, (uint16_t)(eights << 3 | code));
	wr_bytes(w, ra->nat64.addr.b, 12);
}

/* Padded with zeros to eights of bytes. */
static void
write_domain(struct writer *w, const struct ra_message *ra)
{
	struct writer start = *w;
	uint8_t *at = w->at;

	wr_u8(w, OPT_DOMAIN);
	wr_u8(w, 0);
	wr_be16(w, 0);
	wr_be32(w, ra->dns_s);
	dns_write_name(w, ra->domain);
	while (!w->overrun && (w->at - at) % 8 != 0)
		wr_u8(w, 0);
	if (w->overrun)
		*w = start;
	else
		at[1] = (uint8_t)((w->at - at) / 8);
}

static void
write_options(struct writer *w, const struct ra_message *ra)
{
	wr_u8(w, OPT_SOURCE);
	wr_u8(w, 1);
	wr_mac(w, &ra->mac);
	if (ra->mtu_bytes != 0) {
		wr_u8(w, OPT_MTU);
		wr_u8(w, 1);
		wr_be16(w, 0);
		wr_be32(w, ra->mtu_bytes);
	}
	for (unsigned int i = 0; i < ra->nprefixes; i++)
		write_prefix(w, &ra->prefix[i]);
	if (ra->ndns > 0)
		write_dns(w, ra);
	if (ra->nat64.bits != 0)
		write_nat64(w, ra);
	if (ra->domain[0] != '\0')
		write_domain(w, ra);
}

void
ra_write(struct writer *w, const struct ra_message *ra,
    const struct ip6_addr *src, const struct ip6_addr *dst)
{
	uint8_t data[RA_MAX_BYTES];
	struct writer body = writer(data, sizeof(data));
	struct icmp6 icmp = { .type = ND_ROUTER_ADVERTISE,
		.word = (uint32_t)ra->hop_limit << 24 |
		    (uint32_t)((ra->managed ? RA_MANAGED : 0) |
			(ra->other ? RA_OTHER : 0))
			<< 16 |
		    ra->lifetime_s,
		.data = data };
	struct ip6 ip = { .next = IP_ICMP6,
		.hop_limit = ND_HOP_LIMIT,
		.src = *src,
		.dst = *dst };

	wr_be32(
	    &body, 0); /* reachable time and retransmission: as hosts like */
	wr_be32(&body, 0);
	write_options(&body, ra);
	icmp.data_bytes = (size_t)(body.at - data);
	ip.payload_bytes = (uint16_t)(ICMP6_HEADER_BYTES + icmp.data_bytes);
	ip6_write(w, &ip);
	icmp6_write(w, &icmp, src, dst);
}
