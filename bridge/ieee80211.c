/*
 * The header has three addresses or four, and says by two bits which is whose:
 *
 *     ToDS FromDS   1         2            3        4
 *       0    0      dst       src          BSSID    -      station to station
 *       0    1      dst       BSSID        src      -      access point to station
 *       1    0      BSSID     src          dst      -      station to access point
 *       1    1      receiver  transmitter  dst      src    between access points
 *
 * An aggregate (A-MSDU) holds subframes with addresses and lengths of their
 * own.  One whose first subframe begins as an LLC header does is an ordinary
 * frame that somebody has marked as an aggregate (CVE-2020-24588): refused.
 *
 * Payload begins with LLC.  SNAP of RFC 1042 or IEEE 802.1H becomes an
 * EtherType, but for the two protocols that 802.1H keeps apart; any other LLC
 * stays, behind a length.
 *
 * Fragments are not put together: hardly anyone sends them, and a monitor that
 * misses one frame would keep the others.
 */
#include "bridge/ieee80211.h"

#include <zlib.h>

#include "net/eth.h"

#define TYPE_MANAGEMENT 0
#define TYPE_CONTROL    1
#define TYPE_DATA       2

#define SUBTYPE_NO_DATA 4
#define SUBTYPE_QOS     8

#define TO_DS          0x01
#define FROM_DS        0x02
#define MORE_FRAGMENTS 0x04
#define RETRY          0x08
#define PROTECTED      0x40
#define ORDER          0x80

#define QOS_TID   0x000f
#define QOS_AMSDU 0x0080

#define HT_CONTROL_BYTES 4
#define SUBFRAME_BYTES   14
#define SNAP_BYTES       8 /* LLC, SNAP and the EtherType */
#define LLC_MIN_BYTES    3
#define TYPE_MIN         0x600

#define AARP 0x80f3
#define IPX  0x8137

static const uint8_t rfc1042[6] = { 0xaa, 0xaa, 0x03, 0, 0, 0 };
static const uint8_t tunnel[6] = { 0xaa, 0xaa, 0x03, 0, 0, 0xf8 };

static uint16_t
cur_le16(struct cursor *c)
{
	const uint8_t *p = cur_bytes(c, 2);

	return p == NULL ? 0 : (uint16_t)(p[0] | p[1] << 8);
}

/* ---- the header ---- */

static void
set_addresses(
    struct wifi *w, const struct mac address[3], const struct mac *fourth)
{
	w->receiver = address[0];
	w->transmitter = address[1];
	w->dst = w->to_ds ? address[2] : address[0];
	w->src = !w->from_ds ? address[1] : w->to_ds ? *fourth : address[2];
	w->bssid = w->to_ds && !w->from_ds ? address[0]
	    : w->from_ds                   ? address[1]
					   : address[2];
}

static enum reason
parse_header(struct wifi *w, struct cursor *c, bool padded)
{
	const uint8_t *start = c->at;
	struct mac address[3], fourth = { { 0 } };
	uint8_t control = cur_u8(c), flags = cur_u8(c), subtype = control >> 4;
	uint16_t sequence, qos = 0;

	if (c->overrun)
		return DROP_SHORT;
	if ((control & 3) != 0 || (control >> 2 & 3) > TYPE_DATA)
		return DROP_WIFI_VERSION;
	if ((control >> 2 & 3) != TYPE_DATA)
		return (control >> 2 & 3) == TYPE_CONTROL
		    ? DROP_WIFI_CONTROL
		    : DROP_WIFI_MANAGEMENT;
	w->to_ds = (flags & TO_DS) != 0;
	w->from_ds = (flags & FROM_DS) != 0;
	w->retry = (flags & RETRY) != 0;
	w->qos = (subtype & SUBTYPE_QOS) != 0;
	cur_skip(c, 2);
	for (int i = 0; i < 3; i++)
		cur_mac(c, &address[i]);
	sequence = cur_le16(c);
	if (w->to_ds && w->from_ds)
		cur_mac(c, &fourth);
	if (w->qos)
		qos = cur_le16(c);
	if (w->qos && (flags & ORDER) != 0)
		cur_skip(c, HT_CONTROL_BYTES);
	if (c->overrun)
		return DROP_SHORT;
	w->sequence = sequence >> 4;
	w->tid = qos & QOS_TID;
	w->amsdu = (qos & QOS_AMSDU) != 0;
	set_addresses(w, address, &fourth);
	if ((subtype & SUBTYPE_NO_DATA) != 0)
		return DROP_WIFI_EMPTY;
	if ((flags & PROTECTED) != 0)
		return DROP_WIFI_PROTECTED;
	if ((flags & MORE_FRAGMENTS) != 0 || (sequence & 0xf) != 0)
		return DROP_WIFI_FRAGMENT;
	if (padded)
		cur_skip(c, -(size_t)(c->at - start) & 3);
	return c->overrun ? DROP_SHORT : DROP_NONE;
}

/* ---- what is in it ---- */

static enum reason
set_payload(struct wifi_msdu *msdu, struct cursor c)
{
	size_t len = cur_left(&c);
	const uint8_t *p = cur_bytes(&c, len);
	uint16_t type = len >= SNAP_BYTES ? get_be16(p + 6) : 0;

	if (len < LLC_MIN_BYTES)
		return DROP_WIFI_LLC;
	if (len > WIFI_MSDU_BYTES)
		return DROP_TOO_LONG;
	if (type >= TYPE_MIN &&
	    (memcmp(p, tunnel, sizeof(tunnel)) == 0 ||
		(memcmp(p, rfc1042, sizeof(rfc1042)) == 0 && type != AARP &&
		    type != IPX))) {
		msdu->type = type;
		msdu->data = p + SNAP_BYTES;
		msdu->len = len - SNAP_BYTES;
		return DROP_NONE;
	}
	if (len >= TYPE_MIN)
		return DROP_TOO_LONG;
	msdu->type = (uint16_t)len;
	msdu->data = p;
	msdu->len = len;
	return DROP_NONE;
}

/* The next subframe of c.  All but the last are padded to 32 bits. */
static enum reason
next_subframe(struct wifi_msdu *msdu, struct cursor *c)
{
	struct cursor payload;
	size_t len, left;

	cur_mac(c, &msdu->dst);
	cur_mac(c, &msdu->src);
	len = cur_be16(c);
	payload = cur_sub(c, len);
	if (c->overrun)
		return DROP_WIFI_AMSDU;
	left = cur_left(c);
	len = -(SUBFRAME_BYTES + len) & 3;
	cur_skip(c, len < left ? len : left);
	return set_payload(msdu, payload);
}

static enum reason
check_subframes(struct cursor c)
{
	struct wifi_msdu msdu;
	enum reason reason = DROP_NONE;

	if (cur_left(&c) < SUBFRAME_BYTES ||
	    memcmp(c.at, rfc1042, sizeof(rfc1042)) == 0)
		return DROP_WIFI_AMSDU;
	while (reason == DROP_NONE && cur_left(&c) > 0) {
		reason = next_subframe(&msdu, &c);
		if (reason == DROP_NONE && mac_is_group(&msdu.src))
			reason = DROP_ETH_SOURCE;
	}
	return reason;
}

enum reason
wifi_parse(struct wifi *wifi, struct cursor *c, bool padded)
{
	struct wifi w = { .retry = false };
	struct wifi_msdu msdu;
	enum reason reason = parse_header(&w, c, padded);

	if (reason != DROP_NONE)
		return reason;
	if (w.amsdu)
		reason = check_subframes(*c);
	else if (mac_is_group(&w.src))
		reason = DROP_ETH_SOURCE;
	else
		reason = set_payload(&msdu, *c);
	if (reason != DROP_NONE)
		return reason;
	w.body = *c;
	*wifi = w;
	return DROP_NONE;
}

bool
wifi_next(struct wifi *wifi, struct wifi_msdu *msdu)
{
	struct cursor *c = &wifi->body;

	if (cur_left(c) == 0)
		return false;
	if (wifi->amsdu)
		return next_subframe(msdu, c) == DROP_NONE;
	msdu->dst = wifi->dst;
	msdu->src = wifi->src;
	return set_payload(msdu, cur_sub(c, cur_left(c))) == DROP_NONE;
}

void
wifi_write_ethernet(struct writer *w, const struct wifi_msdu *msdu)
{
	wr_mac(w, &msdu->dst);
	wr_mac(w, &msdu->src);
	wr_be16(w, msdu->type);
	wr_bytes(w, msdu->data, msdu->len);
}

bool
wifi_fcs_is_right(const uint8_t *frame, size_t len)
{
	const uint8_t *p;
	uint32_t sum;

	if (len < WIFI_FCS_BYTES)
		return false;
	p = frame + len - WIFI_FCS_BYTES;
	sum = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
	return crc32(0, frame, (uInt)(len - WIFI_FCS_BYTES)) == sum;
}

/* ---- sent ---- */

enum reason
wifi_write(struct writer *w, const struct mac *bssid, uint16_t sequence,
    const uint8_t *ethernet, size_t len)
{
	struct cursor c = cursor(ethernet, len);
	struct mac dst, src;
	uint16_t type;

	cur_mac(&c, &dst);
	cur_mac(&c, &src);
	type = cur_be16(&c);
	if (c.overrun)
		return DROP_SHORT;
	if (type < TYPE_MIN) {
		if (type < LLC_MIN_BYTES || type > cur_left(&c))
			return DROP_SHORT;
		c.end = c.at + type; /* Ethernet's padding stays behind */
	}
	if (cur_left(&c) + SNAP_BYTES > WIFI_MSDU_BYTES)
		return DROP_TOO_LONG;
	wr_u8(w, TYPE_DATA << 2);
	wr_u8(w, TO_DS);
	wr_zeros(w, 2);
	wr_mac(w, bssid);
	wr_mac(w, &src);
	wr_mac(w, &dst);
	wr_u8(w, (uint8_t)(sequence << 4));
	wr_u8(w, (uint8_t)(sequence >> 4));
	if (type >= TYPE_MIN) {
		wr_bytes(w, type == AARP || type == IPX ? tunnel : rfc1042, 6);
		wr_be16(w, type);
	}
	wr_bytes(w, c.at, cur_left(&c));
	return w->overrun ? DROP_TOO_LONG : DROP_NONE;
}
