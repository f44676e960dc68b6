/*
 * Options are aligned to eight bytes of the message, so the addresses in them
 * begin at even offsets and the checksum is corrected word by word.  A message
 * with two options of one kind contradicts itself for us: one would slip by.
 */
#include "bridge/macnat_nd.h"

#include "net/checksum.h"
#include "net/cursor.h"

#define OFF_CHECKSUM  2
#define OFF_TARGET    8
#define OPT_SOURCE    1
#define OPT_ABOUT     2
#define OPT_SIGNATURE 12
#define OPT_UNIT      8

/* Where the options of a message begin (RFC 4861 4.1 to 4.5); 0: none of it. */
static size_t
fixed_bytes(uint8_t type)
{
	switch (type) {
	case ND_ROUTER_SOLICITATION: return 8;
	case ND_ROUTER_ADVERTISEMENT: return 16;
	case ND_NEIGHBOR_SOLICITATION:
	case ND_NEIGHBOR_ADVERTISEMENT: return 24;
	case ND_REDIRECT: return 40;
	default: return 0;
	}
}

static enum reason
parse_option(struct nd *nd, uint8_t *data, struct cursor *c)
{
	const uint8_t *base = c->at;
	uint8_t kind = cur_u8(c);
	size_t len = (size_t)cur_u8(c) * OPT_UNIT;
	uint8_t **at = kind == OPT_SOURCE ? &nd->source
	    : kind == OPT_ABOUT           ? &nd->about
					  : NULL;

	if (len == 0)
		return DROP_ND;
	cur_skip(c, len - 2);
	if (c->overrun)
		return DROP_ND;
	if (kind == OPT_SIGNATURE)
		return DROP_MACNAT_PROTOCOL;
	if (at == NULL)
		return DROP_NONE;
	if (*at != NULL || len != OPT_UNIT)
		return DROP_ND;
	*at = data + (base - data) + 2;
	return DROP_NONE;
}

enum reason
nd_parse(struct nd *nd, uint8_t *data, size_t head, size_t len)
{
	struct cursor c = cursor(data, head < len ? head : len);
	struct nd n = { .type = cur_u8(&c) };
	size_t fixed = fixed_bytes(n.type);

	*nd = (struct nd){ .type = 0 };
	if (fixed == 0)
		return c.overrun ? DROP_SHORT : DROP_NONE;
	if (head < len)
		return DROP_TOO_LONG;
	if (len < fixed)
		return DROP_SHORT;
	cur_skip(&c, OFF_TARGET - 1);
	if (fixed >= OFF_TARGET + sizeof(n.target) &&
	    n.type != ND_ROUTER_ADVERTISEMENT)
		memcpy(n.target.b, data + OFF_TARGET, sizeof(n.target));
	cur_skip(&c, fixed - OFF_TARGET);
	n.checksum = data + OFF_CHECKSUM;
	while (cur_left(&c) > 0) {
		enum reason reason = parse_option(&n, data, &c);

		if (reason != DROP_NONE)
			return reason;
	}
	*nd = n;
	return DROP_NONE;
}

void
nd_set(struct nd *nd, uint8_t *address, const struct mac *mac, bool unfinished)
{
	uint16_t check;

	if (address == NULL)
		return;
	check = get_be16(nd->checksum);
	for (size_t i = 0; i < sizeof(mac->b); i += 2)
		check = csum_update16(
		    check, get_be16(address + i), get_be16(mac->b + i));
	if (!unfinished)
		put_be16(nd->checksum, check);
	memcpy(address, mac->b, sizeof(mac->b));
}
