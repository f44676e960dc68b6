#include "net/siit.h"

#define EXT_ROUTING  43
#define EXT_OPTIONS  60
#define OFF_SEGMENTS 3 /* left, in a routing header */

/* A hop-by-hop, options or routing header. */
static enum reason
skip_header(struct siit6 *p, uint8_t kind, struct cursor *c,
    const uint8_t *packet, uint8_t *next)
{
	const uint8_t *at = c->at;
	size_t more;

	*next = cur_u8(c);
	more = (size_t)cur_u8(c) * 8 + 6;
	if (kind == EXT_ROUTING && cur_left(c) > 1 && at[OFF_SEGMENTS] != 0) {
		p->fault_at = (uint16_t)(at + OFF_SEGMENTS - packet);
		return DROP_SOURCE_ROUTE;
	}
	cur_skip(c, more);
	return c->overrun ? DROP_SHORT : DROP_NONE;
}

static enum reason
read_fragment(struct siit6 *p, struct cursor *c, uint8_t *next)
{
	uint16_t word;

	*next = cur_u8(c);
	cur_skip(c, 1);
	word = cur_be16(c);
	p->id = cur_be32(c);
	if (c->overrun)
		return DROP_SHORT;
	p->has_fragment = true;
	p->more = (word & IP6_MORE) != 0;
	p->offset_bytes = word & 0xfff8;
	return DROP_NONE;
}

bool
siit6_is_extension(uint8_t next)
{
	return next == IP_HOP_BY_HOP || next == EXT_ROUTING ||
	    next == IP_FRAGMENT || next == EXT_OPTIONS;
}

static enum reason
read_extensions(struct siit6 *p, struct cursor *c, const uint8_t *packet)
{
	uint8_t next = p->ip.next;
	enum reason reason = DROP_NONE;

	while (siit6_is_extension(next) && reason == DROP_NONE) {
		if (p->has_fragment)
			return DROP_FRAGMENT; /* 5.1.1 */
		if (next == IP_FRAGMENT)
			reason = read_fragment(p, c, &next);
		else
			reason = skip_header(p, next, c, packet, &next);
	}
	p->protocol = next;
	return reason;
}

enum reason
siit6_read(struct siit6 *p, const uint8_t *packet, size_t have)
{
	struct cursor c = cursor(packet, have);
	const uint8_t *lengths = packet + 4;
	struct siit6 h = { .protocol = 0 };
	enum reason reason;
	size_t payload;

	cur_skip(&c, IP6_HEADER_BYTES);
	if (c.overrun)
		return DROP_SHORT;
	if (packet[0] >> 4 != 6)
		return DROP_IP6_HEADER;
	h.ip.traffic_class = (uint8_t)(get_be16(packet) >> 4);
	h.ip.flow = get_be32(packet) & 0xfffff;
	h.ip.payload_bytes = get_be16(lengths);
	h.ip.next = packet[SIIT_OFF_NEXT];
	h.ip.hop_limit = packet[SIIT_OFF_HOP_LIMIT];
	memcpy(h.ip.src.b, packet + 8, sizeof(h.ip.src.b));
	memcpy(h.ip.dst.b, packet + 24, sizeof(h.ip.dst.b));
	reason = read_extensions(&h, &c, packet);
	*p = h;
	if (reason != DROP_NONE)
		return reason;
	if (c.at - packet > IP6_HEADER_BYTES + h.ip.payload_bytes)
		return DROP_IP6_HEADER;
	p->header_bytes = (uint16_t)(c.at - packet);
	payload = siit6_payload_bytes(p);
	if (p->more && payload % 8 != 0)
		return DROP_FRAGMENT;
	if (p->offset_bytes + payload > IP4_MAX_BYTES - IP4_HEADER_BYTES)
		return p->has_fragment ? DROP_FRAGMENT : DROP_IP_LENGTH;
	return DROP_NONE;
}
