/*
 * The checks of RFC 1812 5.2.2, in an order that names the cause: a header
 * damaged on its way has a wrong checksum, whatever else its damage makes of
 * it; one with a right checksum and lengths that contradict each other was
 * made so.
 *
 * The reserved flag is not looked at: RFC 791 wants it zero and says nothing
 * of receivers.  DF on a fragment is legal: a host may fragment what no
 * router shall.
 */
#include "net/ip4.h"

#include "net/checksum.h"

#define FLAGS  (IP4_DF | IP4_MF)
#define OFFSET 0x1fff

/* Reads a header; what follows it is cut to what belongs to it, which need not be
 * there as a whole. */
static inline enum reason
parse(struct ip4 *ip, struct cursor *c, bool whole)
{
	const uint8_t *h = c->at;
	size_t left = cur_left(c), header_bytes, total_bytes;
	uint16_t fragment;

	if (left < IP4_HEADER_BYTES)
		return DROP_SHORT;
	header_bytes = (size_t)(h[0] & 0xf) * 4;
	if (h[0] >> 4 != 4)
		return DROP_IP_VERSION;
	if (header_bytes < IP4_HEADER_BYTES)
		return DROP_IP_HEADER;
	if (header_bytes > left)
		return DROP_SHORT;
	if (!csum_header_is_right(h, header_bytes))
		return DROP_IP_CHECKSUM;
	total_bytes = get_be16(h + IP4_OFF_LENGTH);
	fragment = get_be16(h + IP4_OFF_FRAGMENT);
	/* No datagram is whole if a piece of it ends beyond the longest. */
	if (total_bytes < header_bytes ||
	    (fragment & OFFSET) * 8u + total_bytes > IP4_MAX_BYTES)
		return DROP_IP_HEADER;
	if (whole && total_bytes > left)
		return DROP_IP_LENGTH;
	c->at = h + header_bytes;
	if (total_bytes < left)
		c->end = h + total_bytes;
	ip->tos = h[1];
	ip->header_bytes = (uint8_t)header_bytes;
	ip->total_bytes = (uint16_t)total_bytes;
	ip->id = get_be16(h + IP4_OFF_ID);
	ip->fragment = fragment & FLAGS;
	ip->offset_bytes = (uint16_t)((fragment & OFFSET) * 8);
	ip->ttl = h[IP4_OFF_TTL];
	ip->protocol = h[IP4_OFF_PROTOCOL];
	ip->checksum = get_be16(h + IP4_OFF_CHECKSUM);
	ip->src = get_be32(h + IP4_OFF_SRC);
	ip->dst = get_be32(h + IP4_OFF_DST);
	ip->options = h + IP4_HEADER_BYTES;
	return DROP_NONE;
}

enum reason
ip4_parse(struct ip4 *ip, struct cursor *c)
{
	return parse(ip, c, true);
}

enum reason
ip4_parse_quoted(struct ip4 *ip, struct cursor *c)
{
	return parse(ip, c, false);
}

void
ip4_write(struct writer *w, const struct ip4 *ip)
{
	uint8_t bytes = ip->header_bytes;
	uint8_t *h;

	if (bytes == 0)
		bytes = IP4_HEADER_BYTES;
	h = wr_room(w, bytes);
	if (h == NULL)
		return;
	h[0] = (uint8_t)(4 << 4 | bytes / 4);
	h[1] = ip->tos;
	put_be16(h + IP4_OFF_LENGTH, ip->total_bytes);
	put_be16(h + IP4_OFF_ID, ip->id);
	put_be16(h + IP4_OFF_FRAGMENT,
	    (uint16_t)((ip->fragment & FLAGS) | ip->offset_bytes / 8));
	h[IP4_OFF_TTL] = ip->ttl;
	h[IP4_OFF_PROTOCOL] = ip->protocol;
	put_be16(h + IP4_OFF_CHECKSUM, 0);
	put_be32(h + IP4_OFF_SRC, ip->src);
	put_be32(h + IP4_OFF_DST, ip->dst);
	if (bytes > IP4_HEADER_BYTES)
		memcpy(h + IP4_HEADER_BYTES, ip->options,
		    (size_t)(bytes - IP4_HEADER_BYTES));
	put_be16(
	    h + IP4_OFF_CHECKSUM, csum_finish(csum_add_bytes(0, h, bytes)));
}
