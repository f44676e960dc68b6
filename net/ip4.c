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

#define FLAGS (IP4_DF | IP4_MF)

static inline void
read_fields(struct ip4 *ip, const uint8_t *h)
{
	uint16_t fragment = get_be16(h + IP4_OFF_FRAGMENT);

	ip->tos = h[1];
	ip->header_bytes = (uint8_t)((h[0] & 0xf) * 4);
	ip->total_bytes = get_be16(h + IP4_OFF_LENGTH);
	ip->id = get_be16(h + IP4_OFF_ID);
	ip->fragment = fragment & FLAGS;
	ip->offset_bytes = (uint16_t)((fragment & 0x1fff) * 8);
	ip->ttl = h[IP4_OFF_TTL];
	ip->protocol = h[IP4_OFF_PROTOCOL];
	ip->checksum = get_be16(h + IP4_OFF_CHECKSUM);
	ip->src = get_be32(h + IP4_OFF_SRC);
	ip->dst = get_be32(h + IP4_OFF_DST);
	ip->options = h + IP4_HEADER_BYTES;
}

/* Checks a header whose own bytes are all there; *c is left behind it, where
 * payload bytes should follow. */
static inline enum reason
check_header(struct cursor *c, size_t *payload)
{
	const uint8_t *h = cur_bytes(c, IP4_HEADER_BYTES);
	size_t header_bytes, total_bytes, offset_bytes;

	if (h == NULL)
		return DROP_SHORT;
	if (h[0] >> 4 != 4)
		return DROP_IP_VERSION;
	header_bytes = (size_t)(h[0] & 0xf) * 4;
	if (header_bytes < IP4_HEADER_BYTES)
		return DROP_IP_HEADER;
	if (cur_bytes(c, header_bytes - IP4_HEADER_BYTES) == NULL)
		return DROP_SHORT;
	if (!csum_header_is_right(h, header_bytes))
		return DROP_IP_CHECKSUM;
	total_bytes = get_be16(h + IP4_OFF_LENGTH);
	if (total_bytes < header_bytes)
		return DROP_IP_HEADER;
	/* No datagram is whole if a piece of it ends beyond the longest. */
	offset_bytes = (size_t)(get_be16(h + IP4_OFF_FRAGMENT) & 0x1fff) * 8;
	if (offset_bytes + total_bytes > IP4_MAX_BYTES)
		return DROP_IP_HEADER;
	*payload = total_bytes - header_bytes;
	return DROP_NONE;
}

enum reason
ip4_parse(struct ip4 *ip, struct cursor *c)
{
	const uint8_t *header = c->at;
	size_t payload;
	enum reason reason = check_header(c, &payload);

	if (reason != DROP_NONE)
		return reason;
	if (payload > cur_left(c))
		return DROP_IP_LENGTH;
	c->end = c->at + payload;
	read_fields(ip, header);
	return DROP_NONE;
}

enum reason
ip4_parse_quoted(struct ip4 *ip, struct cursor *c)
{
	const uint8_t *header = c->at;
	size_t payload;
	enum reason reason = check_header(c, &payload);

	if (reason != DROP_NONE)
		return reason;
	if (payload < cur_left(c))
		c->end = c->at + payload;
	read_fields(ip, header);
	return DROP_NONE;
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
