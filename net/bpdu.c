#include "net/bpdu.h"

#include "net/eth.h"

#define LLC_BPDU   0x4242 /* both service access points */
#define LLC_UI     0x03
#define LENGTH_MAX 1500 /* beyond it is an EtherType */
#define MST_BYTES  64   /* of version 3, before the messages of the MSTIs */
#define MSTI_BYTES 16

const struct mac bpdu_group = { { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x00 } };

static uint64_t
cur_be64(struct cursor *c)
{
	uint64_t high = cur_be32(c);

	return high << 32 | cur_be32(c);
}

static void
wr_be64(struct writer *w, uint64_t v)
{
	wr_be32(w, (uint32_t)(v >> 32));
	wr_be32(w, (uint32_t)v);
}

static void
parse_common(struct bpdu *b, struct cursor *c)
{
	b->flags = cur_u8(c);
	b->root = cur_be64(c);
	b->external_cost = cur_be32(c);
	b->bridge = cur_be64(c);
	b->port = cur_be16(c);
	b->message_age = cur_be16(c);
	b->max_age = cur_be16(c);
	b->hello = cur_be16(c);
	b->forward_delay = cur_be16(c);
}

static void
parse_region(struct bpdu_region *region, struct cursor *c)
{
	struct writer name = writer(region->name, sizeof(region->name));
	struct writer digest = writer(region->digest, sizeof(region->digest));

	region->selector = cur_u8(c);
	wr_bytes(&name, cur_bytes(c, BPDU_NAME_BYTES), BPDU_NAME_BYTES);
	region->revision = cur_be16(c);
	wr_bytes(&digest, cur_bytes(c, 16), 16);
}

static void
parse_msti(struct bpdu_msti *m, struct cursor *c)
{
	m->flags = cur_u8(c);
	m->regional_root = cur_be64(c);
	m->internal_cost = cur_be32(c);
	m->bridge_priority = cur_u8(c);
	m->port_priority = cur_u8(c);
	m->hops = cur_u8(c);
}

/* What follows an RST BPDU's fields, if it is sound (802.1Q-2018, 14.4).  c is
 * at the version 1 length. */
static bool
parse_mst(struct bpdu *b, struct cursor c)
{
	uint8_t length1 = cur_u8(&c);
	uint16_t length3 = cur_be16(&c);
	struct cursor v3 = cur_sub(&c, length3);

	if (c.overrun || length1 != 0 || length3 < MST_BYTES ||
	    (length3 - MST_BYTES) % MSTI_BYTES != 0 ||
	    (length3 - MST_BYTES) / MSTI_BYTES > BPDU_MAX_MSTIS)
		return false;
	parse_region(&b->region, &v3);
	b->internal_cost = cur_be32(&v3);
	b->sender = cur_be64(&v3);
	b->hops = cur_u8(&v3);
	b->nmstis = (length3 - MST_BYTES) / MSTI_BYTES;
	for (unsigned int i = 0; i < b->nmstis; i++)
		parse_msti(&b->msti[i], &v3);
	return true;
}

static enum reason
parse_type(struct bpdu *b, uint8_t version, uint8_t type, struct cursor *c)
{
	switch (type) {
	case BPDU_TYPE_TCN:
		b->type = BPDU_TYPE_TCN;
		b->version = BPDU_STP;
		return DROP_NONE;
	case BPDU_TYPE_CONFIG:
		b->type = BPDU_TYPE_CONFIG;
		b->version = BPDU_STP;
		parse_common(b, c);
		b->flags &= BPDU_TC | BPDU_TC_ACK;
		/* 802.1D-2004, 9.3.4 a) */
		if (!c->overrun && b->message_age >= b->max_age)
			return DROP_BPDU;
		break;
	case BPDU_TYPE_RST:
		if (version < BPDU_RSTP)
			return DROP_BPDU;
		b->type = BPDU_TYPE_RST;
		b->version = BPDU_RSTP;
		parse_common(b, c);
		if (version >= BPDU_MSTP && parse_mst(b, *c))
			b->version = BPDU_MSTP;
		break;
	default: return DROP_BPDU;
	}
	return c->overrun ? DROP_SHORT : DROP_NONE;
}

enum reason
bpdu_parse(struct bpdu *bpdu, struct cursor *c)
{
	uint16_t length = cur_be16(c);
	struct cursor in = cur_sub(c, length);
	uint16_t access = cur_be16(&in);
	uint8_t control = cur_u8(&in);
	uint16_t protocol = cur_be16(&in);
	uint8_t version = cur_u8(&in), type = cur_u8(&in);
	struct bpdu b = { .nmstis = 0 };
	enum reason reason;

	if (length > LENGTH_MAX)
		return DROP_BPDU;
	if (c->overrun || in.overrun)
		return DROP_SHORT;
	if (access != LLC_BPDU || control != LLC_UI || protocol != 0)
		return DROP_BPDU;
	reason = parse_type(&b, version, type, &in);
	if (reason == DROP_NONE)
		*bpdu = b;
	return reason;
}

static void
write_mst(struct writer *w, const struct bpdu *b)
{
	wr_be16(w, (uint16_t)(MST_BYTES + MSTI_BYTES * b->nmstis));
	wr_u8(w, b->region.selector);
	wr_bytes(w, b->region.name, sizeof(b->region.name));
	wr_be16(w, b->region.revision);
	wr_bytes(w, b->region.digest, sizeof(b->region.digest));
	wr_be32(w, b->internal_cost);
	wr_be64(w, b->sender);
	wr_u8(w, b->hops);
	for (unsigned int i = 0; i < b->nmstis; i++) {
		const struct bpdu_msti *m = &b->msti[i];

		wr_u8(w, m->flags);
		wr_be64(w, m->regional_root);
		wr_be32(w, m->internal_cost);
		wr_u8(w, m->bridge_priority);
		wr_u8(w, m->port_priority);
		wr_u8(w, m->hops);
	}
}

static void
write_body(struct writer *w, const struct bpdu *b)
{
	wr_be16(w, 0);
	wr_u8(w, b->version);
	wr_u8(w, (uint8_t)b->type);
	if (b->type == BPDU_TYPE_TCN)
		return;
	wr_u8(w, b->flags);
	wr_be64(w, b->root);
	wr_be32(w, b->external_cost);
	wr_be64(w, b->bridge);
	wr_be16(w, b->port);
	wr_be16(w, b->message_age);
	wr_be16(w, b->max_age);
	wr_be16(w, b->hello);
	wr_be16(w, b->forward_delay);
	if (b->type == BPDU_TYPE_CONFIG)
		return;
	wr_u8(w, 0); /* version 1 length */
	if (b->version >= BPDU_MSTP)
		write_mst(w, b);
}

void
bpdu_write(struct writer *w, const struct mac *src, const struct bpdu *bpdu)
{
	uint8_t *start = w->at, *length;

	wr_mac(w, &bpdu_group);
	wr_mac(w, src);
	length = wr_room(w, 2);
	wr_be16(w, LLC_BPDU);
	wr_u8(w, LLC_UI);
	write_body(w, bpdu);
	if (w->overrun)
		return;
	put_be16(length, (uint16_t)(w->at - length - 2));
	if (w->at - start < ETH_MIN_BYTES)
		wr_zeros(w, (size_t)(ETH_MIN_BYTES - (w->at - start)));
}
