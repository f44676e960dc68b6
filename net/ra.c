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

/* ---- advertisements ---- */

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
