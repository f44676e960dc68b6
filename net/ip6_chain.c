#include "net/ip6_chain.h"

#define OPT_PAD1 0
#define OPT_MUST 0xc0 /* of a type: what to do with it if it is not known */

/* Notes the first option in body, which begins at byte at of the packet, that
 * must be known and is not. */
static void
look_at_options(struct ip6_chain *chain, struct cursor body, size_t at)
{
	const uint8_t *start = body.at;

	while (cur_left(&body) > 0 && chain->option_at == 0) {
		size_t here = at + (size_t)(body.at - start);
		uint8_t type = cur_u8(&body);

		if (type == OPT_PAD1)
			continue;
		cur_skip(&body, cur_u8(&body));
		if (!(type & OPT_MUST))
			continue;
		chain->option_at = (uint16_t)here;
		chain->option = type;
	}
}

static void
read_fragment(struct ip6_chain *chain, struct cursor *c, size_t at)
{
	uint16_t word;

	cur_skip(c, 1);
	word = cur_be16(c);
	chain->fragment_at = (uint16_t)at;
	chain->offset_bytes = word & 0xfff8;
	chain->more = word & 1;
	chain->id = cur_be32(c);
}

/* Reads a header of eights of bytes whose type and length have been read. */
static void
read_body(struct ip6_chain *chain, struct cursor *c, uint8_t type, size_t at,
    size_t bytes)
{
	struct cursor body = cur_sub(c, bytes - 2);

	if (type == IP_ROUTING) {
		chain->routing_at = (uint16_t)at;
		chain->routing_type = cur_u8(&body);
		chain->segments_left = cur_u8(&body);
	} else if (type == IP_AUTH)
		chain->has_auth = true;
	else
		look_at_options(chain, body, at + 2);
}

/* Reads the header of type at c.  False: there is none, c is at the upper
 * layer. */
static bool
read_header(struct ip6_chain *chain, struct cursor *c, uint8_t type, size_t at)
{
	uint8_t length;

	if (type != IP_HOP_BY_HOP && type != IP_ROUTING &&
	    type != IP_FRAGMENT && type != IP_AUTH && type != IP_DESTINATION)
		return false;
	chain->protocol = cur_u8(c);
	chain->next_at = (uint16_t)at;
	if (type == IP_FRAGMENT) {
		read_fragment(chain, c, at);
		return true;
	}
	length = cur_u8(c);
	/* An authentication header counts in fours, less two (RFC 4302). */
	read_body(chain, c, type, at,
	    type == IP_AUTH ? (length + 2u) * 4 : (length + 1u) * 8);
	return true;
}

enum reason
ip6_chain_parse(struct ip6_chain *chain, struct cursor *c, const struct ip6 *ip)
{
	const uint8_t *start = c->at;
	struct ip6_chain h = { .protocol = ip->next, .next_at = IP6_OFF_NEXT };

	for (unsigned int n = 0;; n++) {
		size_t bytes = (size_t)(c->at - start);
		uint8_t type = h.protocol;

		h.bytes = (uint16_t)bytes;
		*chain = h;
		if (n > IP6_CHAIN_MAX || (type == IP_HOP_BY_HOP && n > 0))
			return DROP_IP6_CHAIN;
		if (h.fragment_at != 0 && h.offset_bytes != 0)
			break;
		/* Fragments of a fragment would hide what the whole is. */
		if (type == IP_FRAGMENT && h.fragment_at != 0)
			return DROP_IP6_CHAIN;
		if (!read_header(&h, c, type, IP6_HEADER_BYTES + bytes))
			break;
		if (c->overrun)
			return DROP_SHORT;
	}
	return DROP_NONE;
}
