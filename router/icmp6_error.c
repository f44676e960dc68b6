#include "router/icmp6_error.h"

#define CLASS_CONTROL 0xc0 /* internetwork control, as with IPv4 */
#define HOP_LIMIT     64

/* Is it about a path rather than a host, so that a group's packet may cause
 * it? */
static bool
is_of_the_path(const struct icmp6_error *error)
{
	return error->type == ICMP6_TOO_BIG ||
	    (error->type == ICMP6_PARAMETER &&
		error->code == ICMP6_PARAMETER_OPTION);
}

/* Is it that the headers cannot be read to their end, so that what it is of
 * cannot be known? */
static bool
is_of_the_chain(const struct icmp6_error *error)
{
	return error->type == ICMP6_PARAMETER &&
	    (error->code == ICMP6_PARAMETER_NEXT ||
		error->code == ICMP6_PARAMETER_FIRST);
}

bool
icmp6_error_allowed(const struct icmp6_error *error, const struct ip6 *ip,
    struct cursor payload, bool group_frame)
{
	struct ip6_chain chain;
	uint8_t type;

	if (!ip6_is_host(&ip->src))
		return false;
	if ((group_frame || ip6_is_multicast(&ip->dst)) &&
	    !is_of_the_path(error))
		return false;
	if (ip6_chain_parse(&chain, &payload, ip) != REASON_NONE)
		return is_of_the_chain(error);
	if (chain.protocol != IP_ICMP6 || chain.offset_bytes != 0)
		return true;
	type = cur_u8(&payload);
	return !payload.overrun && !icmp6_is_error(type) &&
	    type != ICMP6_REDIRECT;
}

void
icmp6_error_write(struct writer *w, const struct icmp6_error *error,
    const struct ip6_addr *src, const struct ip6_addr *dst,
    const uint8_t *quote, size_t quote_bytes)
{
	struct icmp6 icmp = { .type = error->type,
		.code = error->code,
		.word = error->word,
		.data = quote,
		.data_bytes = quote_bytes < ICMP6_ERROR_QUOTE
		    ? quote_bytes
		    : ICMP6_ERROR_QUOTE };
	struct ip6 ip = { .traffic_class = CLASS_CONTROL,
		.payload_bytes =
		    (uint16_t)(ICMP6_HEADER_BYTES + icmp.data_bytes),
		.next = IP_ICMP6,
		.hop_limit = HOP_LIMIT,
		.src = *src,
		.dst = *dst };

	ip6_write(w, &ip);
	icmp6_write(w, &icmp, src, dst);
}
