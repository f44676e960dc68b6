/*
 * Attributes are read in any order; of those that are there twice, the first
 * counts (RFC 8489, 14).  Those that may be ignored are; one that must be
 * understood and is not makes the message one for others.
 */
#include "net/stun.h"

#define ATTR_MAPPED        0x0001
#define ATTR_RESPOND_TO    0x0002
#define ATTR_CHANGE        0x0003
#define ATTR_SOURCE        0x0004
#define ATTR_CHANGED       0x0005
#define ATTR_USERNAME      0x0006
#define ATTR_INTEGRITY     0x0008
#define ATTR_ERROR         0x0009
#define ATTR_XOR_MAPPED    0x0020
#define ATTR_PADDING       0x0026
#define ATTR_RESPONSE_PORT 0x0027
#define ATTR_ORIGIN        0x802b
#define ATTR_OTHER         0x802c
#define ATTR_OPTIONAL      0x8000 /* and above: may be ignored */

#define CHANGE_IP   4u
#define CHANGE_PORT 2u
#define FAMILY_IPV4 1

static bool
has_cookie(const struct stun *stun)
{
	return get_be32(stun->id) == STUN_COOKIE;
}

/* ---- in ---- */

/* An endpoint, hidden from NATs that rewrite payloads by mask.  Those of other
 * families, and 0.0.0.0, are passed over. */
static void
read_end(struct stun_end *end, struct cursor *c, uint32_t mask)
{
	uint16_t family = cur_be16(c), port = cur_be16(c);
	uint32_t ip = cur_be32(c);

	if (c->overrun || (family & 0xff) != FAMILY_IPV4 || end->ip != 0 ||
	    ip == mask)
		return;
	*end = (struct stun_end){ ip ^ mask, port ^ (uint16_t)(mask >> 16) };
}

static enum reason
read_attribute(struct stun *stun, uint16_t type, struct cursor *c)
{
	uint32_t flags;

	switch (type) {
	case ATTR_XOR_MAPPED: read_end(&stun->mapped, c, STUN_COOKIE); break;
	case ATTR_MAPPED: read_end(&stun->mapped, c, 0); break;
	case ATTR_RESPOND_TO: read_end(&stun->respond_to, c, 0); break;
	case ATTR_SOURCE:
	case ATTR_ORIGIN: read_end(&stun->origin, c, 0); break;
	case ATTR_CHANGED:
	case ATTR_OTHER: read_end(&stun->other, c, 0); break;
	case ATTR_CHANGE:
		flags = cur_be32(c);
		stun->change_ip = (flags & CHANGE_IP) != 0;
		stun->change_port = (flags & CHANGE_PORT) != 0;
		break;
	case ATTR_RESPONSE_PORT: stun->response_port = cur_be16(c); break;
	case ATTR_PADDING:
		stun->padding_bytes = (uint16_t)cur_left(c);
		if (cur_left(c) > STUN_PADDING_MAX)
			return DROP_STUN;
		break;
	case ATTR_ERROR:
	case ATTR_USERNAME:
	case ATTR_INTEGRITY: break; /* nobody asks for credentials here */
	default:
		if (type < ATTR_OPTIONAL)
			return DROP_STUN;
	}
	return c->overrun ? DROP_STUN : REASON_NONE;
}

enum reason
stun_parse(struct stun *stun, struct cursor *c)
{
	struct stun s = { .type = cur_be16(c) };
	uint16_t bytes = cur_be16(c);
	const uint8_t *id = cur_bytes(c, STUN_ID_BYTES);

	if (id == NULL)
		return DROP_SHORT;
	memcpy(s.id, id, STUN_ID_BYTES);
	if (s.type != STUN_REQUEST && s.type != STUN_INDICATION &&
	    s.type != STUN_ANSWER && s.type != STUN_ERROR)
		return DROP_STUN;
	if (bytes % 4 != 0 || bytes != cur_left(c))
		return DROP_STUN;
	while (cur_left(c) > 0) {
		uint16_t type = cur_be16(c), len = cur_be16(c);
		struct cursor value = cur_sub(c, len);
		enum reason reason;

		cur_skip(c, -len & 3u);
		if (c->overrun)
			return DROP_STUN;
		reason = read_attribute(&s, type, &value);
		if (reason != REASON_NONE)
			return reason;
	}
	*stun = s;
	return REASON_NONE;
}

/* ---- out ---- */

static void
write_end(
    struct writer *w, uint16_t type, const struct stun_end *end, uint32_t mask)
{
	if (end->ip == 0)
		return;
	wr_be16(w, type);
	wr_be16(w, 8);
	wr_be16(w, FAMILY_IPV4);
	wr_be16(w, end->port ^ (uint16_t)(mask >> 16));
	wr_be32(w, end->ip ^ mask);
}

static void
write_attributes(struct writer *w, const struct stun *stun)
{
	bool later = has_cookie(stun);

	if (later)
		write_end(w, ATTR_XOR_MAPPED, &stun->mapped, STUN_COOKIE);
	else
		write_end(w, ATTR_MAPPED, &stun->mapped, 0);
	write_end(w, later ? ATTR_ORIGIN : ATTR_SOURCE, &stun->origin, 0);
	write_end(w, later ? ATTR_OTHER : ATTR_CHANGED, &stun->other, 0);
	write_end(w, ATTR_RESPOND_TO, &stun->respond_to, 0);
	if (stun->change_ip || stun->change_port) {
		wr_be16(w, ATTR_CHANGE);
		wr_be16(w, 4);
		wr_be32(w,
		    (stun->change_ip ? CHANGE_IP : 0) |
			(stun->change_port ? CHANGE_PORT : 0));
	}
	if (stun->response_port != 0) {
		wr_be16(w, ATTR_RESPONSE_PORT);
		wr_be16(w, 2);
		wr_be16(w, stun->response_port);
		wr_be16(w, 0);
	}
	if (stun->padding_bytes != 0) {
		wr_be16(w, ATTR_PADDING);
		wr_be16(w, stun->padding_bytes);
		wr_zeros(w,
		    stun->padding_bytes + (size_t)(-stun->padding_bytes & 3));
	}
}

void
stun_write(struct writer *w, const struct stun *stun)
{
	struct writer whole = *w;

	wr_be16(w, stun->type);
	wr_be16(w, 0);
	wr_bytes(w, stun->id, STUN_ID_BYTES);
	write_attributes(w, stun);
	if (w->overrun)
		w->at = whole.at;
	else
		put_be16(whole.at + 2,
		    (uint16_t)(w->at - whole.at - STUN_HEADER_BYTES));
}
