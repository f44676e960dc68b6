#include "net/lldp.h"

#include "net/eth.h"

/* Types of parts (8.4). */
enum {
	PART_END,
	PART_CHASSIS,
	PART_PORT,
	PART_TTL,
	PART_PORT_DESCRIPTION,
	PART_NAME,
	PART_DESCRIPTION,
	PART_CAPABILITIES,
	PART_MGMT,
	PART_ORGANIZATION = 127,
};

#define OUI_8021 0x0080c2
#define OUI_8023 0x00120f

#define OUI_8021_PVID        1
#define OUI_8021_VLAN_NAME   3
#define OUI_8021_AGGREGATION 7
#define OUI_8023_AGGREGATION 3 /* as it was before 802.1AX */
#define OUI_8023_MAX_FRAME   4

#define ID_MAX_BYTES   256 /* with its subtype */
#define MGMT_MIN_BYTES 9
#define MGMT_MAX_ADDR  31

const struct mac lldp_group = { { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e } };

/* What becomes of a part. */
enum fate { TAKEN, WRONG, BEYOND, UNKNOWN };

/* ---- reading ---- */

/* A part's type; its value is left in part. */
static int
take_part(struct cursor *c, struct cursor *part)
{
	uint16_t head = cur_be16(c);

	*part = cur_sub(c, head & 0x1ff);
	return head >> 9;
}

static struct lldp_bytes
rest_of(struct cursor *part)
{
	uint16_t len = (uint16_t)cur_left(part);

	return (struct lldp_bytes){ .data = cur_bytes(part, len), .len = len };
}

static bool
take_id(struct cursor *c, int type, struct lldp_id *id)
{
	struct cursor part;

	if (take_part(c, &part) != type || cur_left(&part) < 2 ||
	    cur_left(&part) > ID_MAX_BYTES)
		return false;
	id->subtype = cur_u8(&part);
	id->id = rest_of(&part);
	return true;
}

static bool
take_ttl(struct cursor *c, uint16_t *ttl_s)
{
	struct cursor part;

	if (take_part(c, &part) != PART_TTL || cur_left(&part) < 2)
		return false;
	*ttl_s = cur_be16(&part);
	return true;
}

static enum fate
take_text(struct lldp_bytes *text, struct cursor *part)
{
	if (text->data != NULL || cur_left(part) > LLDP_TEXT_MAX)
		return WRONG;
	*text = rest_of(part);
	return TAKEN;
}

static enum fate
take_capabilities(struct lldp *lldp, struct cursor *part)
{
	if (lldp->has_capabilities || cur_left(part) != 4)
		return WRONG;
	lldp->has_capabilities = true;
	lldp->capabilities = cur_be16(part);
	lldp->enabled = cur_be16(part);
	return TAKEN;
}

static enum fate
take_mgmt(struct lldp *lldp, struct cursor *part)
{
	struct lldp_mgmt m;
	size_t len = cur_left(part);
	uint8_t address = cur_u8(part); /* with its family */

	if (len < MGMT_MIN_BYTES || address < 2 || address > 1 + MGMT_MAX_ADDR)
		return WRONG;
	m.family = cur_u8(part);
	m.address.len = address - 1;
	m.address.data = cur_bytes(part, m.address.len);
	m.number_subtype = cur_u8(part);
	m.number = cur_be32(part);
	/* An object identifier follows, which nobody here needs. */
	cur_skip(part, cur_u8(part));
	if (part->overrun)
		return WRONG;
	if (lldp->nmgmt == LLDP_MGMT_MAX)
		return BEYOND;
	lldp->mgmt[lldp->nmgmt++] = m;
	return TAKEN;
}

static enum fate
take_pvid(struct lldp *lldp, struct cursor *part)
{
	if (lldp->has_pvid || cur_left(part) != 2)
		return WRONG;
	lldp->has_pvid = true;
	lldp->pvid = cur_be16(part);
	return TAKEN;
}

static enum fate
take_vlan_name(struct lldp *lldp, struct cursor *part)
{
	struct lldp_vlan vlan = { .id = cur_be16(part) };

	vlan.name.len = cur_u8(part);
	vlan.name.data = cur_bytes(part, vlan.name.len);
	if (part->overrun || vlan.name.len > LLDP_VLAN_NAME)
		return WRONG;
	if (lldp->nvlans == LLDP_VLANS_MAX)
		return BEYOND;
	lldp->vlan[lldp->nvlans++] = vlan;
	return TAKEN;
}

static enum fate
take_aggregation(struct lldp *lldp, struct cursor *part, bool *has)
{
	if (*has || cur_left(part) != 5)
		return WRONG;
	*has = true;
	if (has == &lldp->has_old_aggregation && lldp->has_aggregation)
		return TAKEN;
	lldp->aggregation = cur_u8(part);
	lldp->aggregation_port = cur_be32(part);
	return TAKEN;
}

static enum fate
take_max_frame(struct lldp *lldp, struct cursor *part)
{
	if (lldp->max_frame_bytes != 0 || cur_left(part) != 2)
		return WRONG;
	lldp->max_frame_bytes = cur_be16(part);
	return TAKEN;
}

static enum fate
take_organization(struct lldp *lldp, struct cursor *part)
{
	uint32_t head = cur_be32(part); /* OUI and subtype */

	if (part->overrun)
		return WRONG;
	switch (head) {
	case OUI_8021 << 8 | OUI_8021_PVID: return take_pvid(lldp, part);
	case OUI_8021 << 8 | OUI_8021_VLAN_NAME:
		return take_vlan_name(lldp, part);
	case OUI_8021 << 8 | OUI_8021_AGGREGATION:
		return take_aggregation(lldp, part, &lldp->has_aggregation);
	case OUI_8023 << 8 | OUI_8023_AGGREGATION:
		return take_aggregation(lldp, part, &lldp->has_old_aggregation);
	case OUI_8023 << 8 | OUI_8023_MAX_FRAME:
		return take_max_frame(lldp, part);
	}
	return UNKNOWN;
}

static enum fate
take_value(struct lldp *lldp, int type, struct cursor *part)
{
	switch (type) {
	case PART_PORT_DESCRIPTION:
		return take_text(&lldp->port_description, part);
	case PART_NAME: return take_text(&lldp->name, part);
	case PART_DESCRIPTION: return take_text(&lldp->description, part);
	case PART_CAPABILITIES: return take_capabilities(lldp, part);
	case PART_MGMT: return take_mgmt(lldp, part);
	case PART_ORGANIZATION: return take_organization(lldp, part);
	}
	return UNKNOWN;
}

enum reason
lldp_parse(struct lldp *lldp, struct cursor *c)
{
	struct lldp l = { 0 };
	bool right = take_id(c, PART_CHASSIS, &l.chassis) &&
	    take_id(c, PART_PORT, &l.port) && take_ttl(c, &l.ttl_s);

	if (c->overrun)
		return DROP_SHORT;
	if (!right)
		return DROP_LLDP;
	while (cur_left(c) > 0) {
		struct cursor part;
		int type = take_part(c, &part);

		if (c->overrun)
			return DROP_SHORT;
		if (type == PART_END) {
			if (cur_left(&part) > 0)
				return DROP_LLDP;
			break;
		}
		if (type <= PART_TTL) /* the first three a second time */
			return DROP_LLDP;
		switch (take_value(&l, type, &part)) {
		case TAKEN: break;
		case WRONG: l.wrong++; break;
		case BEYOND: l.beyond++; break;
		case UNKNOWN: l.unknown++; break;
		}
	}
	*lldp = l;
	return DROP_NONE;
}

/* ---- writing ---- */

static void
put_part(struct writer *w, int type, size_t len)
{
	wr_be16(w, (uint16_t)((size_t)type << 9 | len));
}

static void
put_id(struct writer *w, int type, const struct lldp_id *id)
{
	put_part(w, type, 1u + id->id.len);
	wr_u8(w, id->subtype);
	wr_bytes(w, id->id.data, id->id.len);
}

static void
put_text(struct writer *w, int type, const struct lldp_bytes *text)
{
	if (text->data == NULL)
		return;
	put_part(w, type, text->len);
	wr_bytes(w, text->data, text->len);
}

static void
put_organization(struct writer *w, uint32_t oui, uint8_t subtype, size_t len)
{
	put_part(w, PART_ORGANIZATION, 4 + len);
	wr_be32(w, oui << 8 | subtype);
}

static void
put_mgmt(struct writer *w, const struct lldp_mgmt *m)
{
	put_part(w, PART_MGMT, 8u + m->address.len);
	wr_u8(w, (uint8_t)(1 + m->address.len));
	wr_u8(w, m->family);
	wr_bytes(w, m->address.data, m->address.len);
	wr_u8(w, m->number_subtype);
	wr_be32(w, m->number);
	wr_u8(w, 0);
}

static void
put_aggregation(
    struct writer *w, uint32_t oui, uint8_t subtype, const struct lldp *lldp)
{
	put_organization(w, oui, subtype, 5);
	wr_u8(w, lldp->aggregation);
	wr_be32(w, lldp->aggregation_port);
}

static void
put_8021(struct writer *w, const struct lldp *lldp)
{
	if (lldp->has_pvid) {
		put_organization(w, OUI_8021, OUI_8021_PVID, 2);
		wr_be16(w, lldp->pvid);
	}
	for (unsigned int i = 0; i < lldp->nvlans; i++) {
		const struct lldp_vlan *vlan = &lldp->vlan[i];

		put_organization(
		    w, OUI_8021, OUI_8021_VLAN_NAME, 3u + vlan->name.len);
		wr_be16(w, vlan->id);
		wr_u8(w, (uint8_t)vlan->name.len);
		wr_bytes(w, vlan->name.data, vlan->name.len);
	}
	if (lldp->has_aggregation)
		put_aggregation(w, OUI_8021, OUI_8021_AGGREGATION, lldp);
}

static void
put_8023(struct writer *w, const struct lldp *lldp)
{
	if (lldp->has_old_aggregation)
		put_aggregation(w, OUI_8023, OUI_8023_AGGREGATION, lldp);
	if (lldp->max_frame_bytes != 0) {
		put_organization(w, OUI_8023, OUI_8023_MAX_FRAME, 2);
		wr_be16(w, lldp->max_frame_bytes);
	}
}

void
lldp_write(struct writer *w, const struct mac *src, const struct lldp *lldp)
{
	struct eth eth = { .dst = lldp_group, .src = *src, .type = ETH_LLDP };
	const uint8_t *start = w->at;

	eth_write(w, &eth);
	put_id(w, PART_CHASSIS, &lldp->chassis);
	put_id(w, PART_PORT, &lldp->port);
	put_part(w, PART_TTL, 2);
	wr_be16(w, lldp->ttl_s);
	put_text(w, PART_PORT_DESCRIPTION, &lldp->port_description);
	put_text(w, PART_NAME, &lldp->name);
	put_text(w, PART_DESCRIPTION, &lldp->description);
	if (lldp->has_capabilities) {
		put_part(w, PART_CAPABILITIES, 4);
		wr_be16(w, lldp->capabilities);
		wr_be16(w, lldp->enabled);
	}
	for (unsigned int i = 0; i < lldp->nmgmt; i++)
		put_mgmt(w, &lldp->mgmt[i]);
	put_8021(w, lldp);
	put_8023(w, lldp);
	put_part(w, PART_END, 0);
	if (w->at - start < ETH_MIN_BYTES)
		wr_zeros(w, ETH_MIN_BYTES - (size_t)(w->at - start));
}

/* ---- text ---- */

static char *
put_string(char *at, const char *end, const char *text)
{
	while (*text != '\0' && at < end)
		*at++ = *text++;
	*at = '\0';
	return at;
}

char *
lldp_text(char *out, size_t len, const struct lldp_bytes *bytes)
{
	size_t n = 0;

	for (; n + 1 < len && n < bytes->len; n++)
		out[n] = bytes->data[n] >= ' ' && bytes->data[n] < 0x7f
		    ? (char)bytes->data[n]
		    : '?';
	out[n] = '\0';
	return out;
}

char *
lldp_address_text(
    char *out, size_t len, uint8_t family, const struct lldp_bytes *address)
{
	char text[IP6_TEXT_BYTES];
	struct cursor c = cursor(address->data, address->len);
	struct ip6_addr ip6;
	struct mac mac;

	if (family == LLDP_FAMILY_IP4 && address->len == 4) {
		ip4_text(text, cur_be32(&c));
	} else if (family == LLDP_FAMILY_IP6 && address->len == 16) {
		cur_ip6(&c, &ip6);
		ip6_text(text, &ip6);
	} else if (family == LLDP_FAMILY_MAC && address->len == 6) {
		cur_mac(&c, &mac);
		mac_text(text, &mac);
	} else {
		return lldp_text(out, len, address);
	}
	(void)put_string(out, out + len - 1, text);
	return out;
}

static char *
id_text(char *out, size_t len, const struct lldp_id *id, bool mac, bool address)
{
	if (mac)
		return lldp_address_text(out, len, LLDP_FAMILY_MAC, &id->id);
	if (address && id->id.len > 1) {
		struct lldp_bytes rest = { id->id.data + 1, id->id.len - 1 };

		return lldp_address_text(out, len, id->id.data[0], &rest);
	}
	return lldp_text(out, len, &id->id);
}

char *
lldp_chassis_text(char *out, size_t len, const struct lldp_id *id)
{
	return id_text(out, len, id, id->subtype == LLDP_CHASSIS_MAC,
	    id->subtype == LLDP_CHASSIS_ADDRESS);
}

char *
lldp_port_text(char *out, size_t len, const struct lldp_id *id)
{
	return id_text(out, len, id, id->subtype == LLDP_PORT_MAC,
	    id->subtype == LLDP_PORT_ADDRESS);
}

char *
lldp_capabilities_text(char *out, size_t len, uint16_t capabilities)
{
	static const char *const name[] = { "other", "repeater", "bridge",
		"access point", "router", "telephone", "cable modem", "station",
		"C-VLAN bridge", "S-VLAN bridge", "relay" };
	char *at = out, *end = out + len - 1;

	*at = '\0';
	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		if ((capabilities >> i & 1) == 0)
			continue;
		if (at > out)
			at = put_string(at, end, ", ");
		at = put_string(at, end, name[i]);
	}
	return out;
}
