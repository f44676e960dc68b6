#include "net/lacp.h"

#include "net/eth.h"

#define VERSION 1

/* Parts of a PDU: a type, then the length with both. */
#define LACP_ACTOR     1
#define LACP_PARTNER   2
#define LACP_COLLECTOR 3
#define INFO_BYTES     20
#define DELAY_BYTES    16

#define MARKER_REQUEST  1
#define MARKER_RESPONSE 2
#define MARKER_BYTES    16

const struct mac lacp_group = { { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x02 } };

static bool
take_head(struct cursor *c, uint8_t type, uint8_t len)
{
	uint8_t is = cur_u8(c);

	return cur_u8(c) == len && is == type;
}

static bool
take_info(struct cursor *c, uint8_t type, struct lacp_info *info)
{
	bool head = take_head(c, type, INFO_BYTES);

	info->system_priority = cur_be16(c);
	cur_mac(c, &info->system);
	info->key = cur_be16(c);
	info->port_priority = cur_be16(c);
	info->port = cur_be16(c);
	info->state = cur_u8(c);
	cur_skip(c, 3);
	return head;
}

static enum reason
parse_lacp(struct slow *slow, struct cursor *c)
{
	bool right = take_info(c, LACP_ACTOR, &slow->lacp.actor);

	right &= take_info(c, LACP_PARTNER, &slow->lacp.partner);
	right &= take_head(c, LACP_COLLECTOR, DELAY_BYTES);
	slow->lacp.max_delay_10us = cur_be16(c);
	cur_skip(c, 12);
	if (c->overrun)
		return DROP_SHORT;
	return right ? DROP_NONE : DROP_LACP;
}

static enum reason
parse_marker(struct slow *slow, struct cursor *c)
{
	uint8_t type = cur_u8(c), len = cur_u8(c);

	slow->marker.response = type == MARKER_RESPONSE;
	slow->marker.port = cur_be16(c);
	cur_mac(c, &slow->marker.system);
	slow->marker.transaction = cur_be32(c);
	cur_skip(c, 2);
	if (c->overrun)
		return DROP_SHORT;
	return len == MARKER_BYTES &&
		(type == MARKER_REQUEST || type == MARKER_RESPONSE)
	    ? DROP_NONE
	    : DROP_LACP;
}

enum reason
slow_parse(struct slow *slow, struct cursor *c)
{
	uint8_t subtype = cur_u8(c);
	struct slow s = { .version = cur_u8(c) };
	enum reason reason;

	if (c->overrun)
		return DROP_SHORT;
	if (subtype != SLOW_LACP && subtype != SLOW_MARKER)
		return DROP_SLOW_SUBTYPE;
	s.kind = (enum slow_kind)subtype;
	reason = s.kind == SLOW_LACP ? parse_lacp(&s, c) : parse_marker(&s, c);
	if (reason == DROP_NONE)
		*slow = s;
	return reason;
}

static void
put_head(struct writer *w, uint8_t type, uint8_t len)
{
	wr_u8(w, type);
	wr_u8(w, len);
}

static void
put_info(struct writer *w, uint8_t type, const struct lacp_info *info)
{
	put_head(w, type, INFO_BYTES);
	wr_be16(w, info->system_priority);
	wr_mac(w, &info->system);
	wr_be16(w, info->key);
	wr_be16(w, info->port_priority);
	wr_be16(w, info->port);
	wr_u8(w, info->state);
	wr_zeros(w, 3);
}

void
slow_write(struct writer *w, const struct mac *src, const struct slow *s)
{
	struct eth eth = { .dst = lacp_group, .src = *src, .type = ETH_SLOW };
	uint8_t *pdu;

	eth_write(w, &eth);
	pdu = wr_room(w, LACP_PDU_BYTES);
	if (pdu == NULL)
		return;
	memset(pdu, 0, LACP_PDU_BYTES);
	*w = (struct writer){ .at = pdu, .end = w->end };
	wr_u8(w, (uint8_t)s->kind);
	wr_u8(w, VERSION);
	switch (s->kind) {
	case SLOW_LACP:
		put_info(w, LACP_ACTOR, &s->lacp.actor);
		put_info(w, LACP_PARTNER, &s->lacp.partner);
		put_head(w, LACP_COLLECTOR, DELAY_BYTES);
		wr_be16(w, s->lacp.max_delay_10us);
		break;
	case SLOW_MARKER:
		put_head(w,
		    s->marker.response ? MARKER_RESPONSE : MARKER_REQUEST,
		    MARKER_BYTES);
		wr_be16(w, s->marker.port);
		wr_mac(w, &s->marker.system);
		wr_be32(w, s->marker.transaction);
		break;
	}
	/* The terminator and what is reserved are zero. */
	w->at = pdu + LACP_PDU_BYTES;
}

char *
lacp_state_text(char out[LACP_STATE_TEXT_BYTES], uint8_t state)
{
	static const char letter[] = "AFGSCDdE";
	int i = 0;

	for (; letter[i] != '\0'; i++)
		out[i] = state >> i & 1 ? letter[i] : '-';
	out[i] = '\0';
	return out;
}
