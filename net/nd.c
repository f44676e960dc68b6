#include "net/nd.h"

#include "net/checksum.h"

#define OPT_SOURCE 1
#define OPT_TARGET 2
#define OPT_HEADER 4 /* of a packet that is redirected */
#define OPT_NONCE  14
#define OPT_MAC    1 /* length, in eights of bytes */

#define REDIRECT_BYTES 40 /* without options */

/* Walks the options: the address of option want, and the nonce, if it has the
 * usual length. */
static enum reason
walk(struct cursor *options, uint8_t want, struct mac *mac, uint8_t *nonce)
{
	while (cur_left(options) > 0) {
		uint8_t type = cur_u8(options), eights = cur_u8(options);
		struct cursor body;

		if (eights == 0)
			return DROP_ND;
		body = cur_sub(options, (size_t)eights * 8 - 2);
		if (options->overrun)
			return DROP_SHORT;
		if (type == want && eights == OPT_MAC)
			cur_mac(&body, mac);
		else if (type == OPT_NONCE && eights == OPT_MAC)
			memcpy(nonce, body.at, ND_NONCE_BYTES);
	}
	return DROP_NONE;
}

enum reason
nd_find_mac(struct mac *mac, struct cursor *options, uint8_t want)
{
	uint8_t nonce[ND_NONCE_BYTES];

	return walk(options, want, mac, nonce);
}

/* Does it contradict how it travels (RFC 4861 7.1.1, 7.1.2)? */
static bool
is_odd(const struct nd_message *nd, const struct ip6 *ip)
{
	struct ip6_addr group = nd_group(&nd->target);

	if (nd->type == ND_ADVERTISE)
		return nd->flags & ND_SOLICITED && ip6_is_multicast(&ip->dst);
	/* Who asks whether an address is taken has none yet. */
	return ip6_is_zero(&ip->src) &&
	    (!mac_is_zero(&nd->mac) || !ip6_equal(&ip->dst, &group));
}

enum reason
nd_message_parse(struct nd_message *nd, struct cursor *c, const struct ip6 *ip)
{
	const uint8_t *start = c->at;
	size_t len = cur_left(c);
	struct nd_message n = { .type = cur_u8(c) };
	uint8_t code = cur_u8(c);
	enum reason reason;

	cur_skip(c, 2);
	if (c->overrun)
		return DROP_SHORT;
	if (csum_finish(csum_add_bytes(
		csum_pseudo6(&ip->src, &ip->dst, IP_ICMP6, (uint32_t)len),
		start, len)) != 0)
		return DROP_L4_CHECKSUM;
	if (n.type != ND_SOLICIT && n.type != ND_ADVERTISE)
		return DROP_PROTOCOL;
	n.flags = cur_be32(c);
	cur_ip6(c, &n.target);
	if (c->overrun)
		return DROP_SHORT;
	if (code != 0 || ip->hop_limit != ND_HOP_LIMIT ||
	    ip6_is_multicast(&n.target))
		return DROP_ND;
	reason = walk(
	    c, n.type == ND_SOLICIT ? OPT_SOURCE : OPT_TARGET, &n.mac, n.nonce);
	if (reason == DROP_NONE && is_odd(&n, ip))
		reason = DROP_ND;
	if (reason == DROP_NONE)
		*nd = n;
	return reason;
}

/* ---- writing ---- */

static void
put_mac(struct writer *w, uint8_t option, const struct mac *mac)
{
	wr_u8(w, option);
	wr_u8(w, OPT_MAC);
	wr_mac(w, mac);
}

/* The sum of the message that begins at at and has been written. */
static void
put_sum(const struct writer *w, uint8_t *at, const struct ip6_addr *src,
    const struct ip6_addr *dst)
{
	size_t bytes = (size_t)(w->at - at);

	if (!w->overrun)
		put_be16(at + 2,
		    csum_finish(csum_add_bytes(
			csum_pseudo6(src, dst, IP_ICMP6, (uint32_t)bytes), at,
			bytes)));
}

void
nd_message_write(struct writer *w, const struct nd_message *nd,
    const struct ip6_addr *src, const struct ip6_addr *dst)
{
	struct ip6 ip = {
		.payload_bytes = ND_BYTES,
		.next = IP_ICMP6,
		.hop_limit = ND_HOP_LIMIT,
		.src = *src,
		.dst = *dst,
	};
	uint8_t *at;

	ip6_write(w, &ip);
	at = w->at;
	wr_u8(w, nd->type);
	wr_u8(w, 0);
	wr_be16(w, 0);
	wr_be32(w, nd->flags);
	wr_ip6(w, &nd->target);
	if (mac_is_zero(&nd->mac)) {
		wr_u8(w, OPT_NONCE);
		wr_u8(w, OPT_MAC);
		wr_bytes(w, nd->nonce, sizeof(nd->nonce));
	} else
		put_mac(w, nd->type == ND_SOLICIT ? OPT_SOURCE : OPT_TARGET,
		    &nd->mac);
	put_sum(w, at, src, dst);
}

void
nd_redirect_write(struct writer *w, const struct nd_redirect *redirect,
    const struct ip6_addr *src, const struct ip6_addr *to)
{
	size_t room = IP6_MTU_MIN - IP6_HEADER_BYTES - REDIRECT_BYTES;
	size_t quote = redirect->quote_bytes;
	struct ip6 ip = {
		.next = IP_ICMP6,
		.hop_limit = ND_HOP_LIMIT,
		.src = *src,
		.dst = *to,
	};
	uint8_t *at;

	if (!mac_is_zero(&redirect->mac))
		room -= 8;
	/* An option is of eights of bytes. */
	if (quote > room - 8)
		quote = room - 8;
	quote &= ~(size_t)7;
	ip.payload_bytes = (uint16_t)(REDIRECT_BYTES + 8 + quote +
	    (mac_is_zero(&redirect->mac) ? 0 : 8));
	ip6_write(w, &ip);
	at = w->at;
	wr_u8(w, ND_REDIRECT);
	wr_zeros(w, 7);
	wr_ip6(w, &redirect->target);
	wr_ip6(w, &redirect->dst);
	if (!mac_is_zero(&redirect->mac))
		put_mac(w, OPT_TARGET, &redirect->mac);
	wr_u8(w, OPT_HEADER);
	wr_u8(w, (uint8_t)(1 + quote / 8));
	wr_zeros(w, 6);
	wr_bytes(w, redirect->quote, quote);
	put_sum(w, at, src, to);
}

struct ip6_addr
nd_group(const struct ip6_addr *addr)
{
	struct ip6_addr group = { { 0xff, 2, [11] = 1, [12] = 0xff } };

	memcpy(group.b + 13, addr->b + 13, 3);
	return group;
}

struct mac
nd_group_mac(const struct ip6_addr *group)
{
	struct mac mac = { { 0x33, 0x33 } };

	memcpy(mac.b + 2, group->b + 12, 4);
	return mac;
}
