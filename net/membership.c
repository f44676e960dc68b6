/*
 * The two protocols differ in the width of an address, the unit of a response
 * time and the numbers of their types.  So each has a reader of its own for
 * what is in front of the lists, and lists are walked alike.
 *
 * A report's lists are walked twice: once to check that they fit, so that half
 * of a message is never believed, and then by who wants them.
 */
#include "net/membership.h"

#include "net/checksum.h"
#include "net/eth.h"
#include "net/mld.h"

/* Types of IGMP. */
#define IGMP_QUERY      0x11
#define IGMP_V1_REPORT  0x12
#define IGMP_DVMRP      0x13
#define IGMP_V2_REPORT  0x16
#define IGMP_LEAVE      0x17
#define IGMP_V3_REPORT  0x22
#define IGMP_ROUTER     0x30
#define IGMP_ROUTER_END 0x32
#define IGMP_BYTES      8  /* version 1 and 2 */
#define IGMP_V3_BYTES   12 /* a query without sources */

/* Types of ICMPv6. */
#define MLD_QUERY      130
#define MLD_V1_REPORT  131
#define MLD_DONE       132
#define MLD_V2_REPORT  143
#define MLD_ROUTER     151
#define MLD_ROUTER_END 153
#define MLD_BYTES      24 /* version 1 */
#define MLD_V2_BYTES   28

#define PIM_VERSION       2
#define PIM_HELLO         0
#define PIM_HOLD_TIME     1 /* an option */
#define PIM_HOLD_FOR_EVER 0xffff

#define OPTION_PAD1         0
#define OPTION_ROUTER_ALERT 5

#define TOS_CONTROL 0xc0 /* internetwork control (RFC 3376 4) */

/* ---- lists ---- */

static size_t
address_bytes(bool ip6)
{
	return ip6 ? 16 : 4;
}

static void
take_address(struct cursor *c, bool ip6, struct ip6_addr *addr)
{
	if (ip6)
		cur_ip6(c, addr);
	else
		*addr = ip6_of_ip4(cur_be32(c));
}

static bool
is_group(const struct ip6_addr *addr)
{
	uint32_t ip4;

	return ip6_to_ip4(&ip4, addr) ? ip4_is_multicast(ip4)
				      : ip6_is_multicast(addr);
}

/* Reads one record, known or not, and moves past it. */
static void
take_record(struct cursor *c, bool ip6, struct member_record *record)
{
	uint8_t change = cur_u8(c);
	size_t more = 4u * cur_u8(c); /* auxiliary data */

	record->change = (enum member_change)change;
	record->ip6 = ip6;
	record->nsources = cur_be16(c);
	take_address(c, ip6, &record->group);
	record->sources = cur_sub(c, record->nsources * address_bytes(ip6));
	cur_skip(c, more);
}

static bool
records_fit(struct cursor records, unsigned int n, bool ip6)
{
	for (; n > 0 && !records.overrun; n--) {
		struct member_record record;

		take_record(&records, ip6, &record);
	}
	return !records.overrun;
}

bool
member_next(struct member_msg *msg, struct member_record *record)
{
	while (msg->nrecords > 0) {
		msg->nrecords--;
		if (msg->records.at == NULL) { /* of an older version */
			*record = msg->record;
			return true;
		}
		take_record(&msg->records, msg->ip6, record);
		if (record->change >= MEMBER_IS_INCLUDE &&
		    record->change <= MEMBER_BLOCK && is_group(&record->group))
			return true;
	}
	return false;
}

bool
member_source(struct member_record *record, struct ip6_addr *source)
{
	if (record->nsources == 0)
		return false;
	record->nsources--;
	take_address(&record->sources, record->ip6, source);
	return true;
}

/* A report of an older version: one group. */
static bool
set_report(struct member_msg *msg, uint8_t version, enum member_change change)
{
	msg->kind = MEMBER_REPORT;
	msg->version = version;
	msg->record = (struct member_record){
		.change = change, .group = msg->group, .ip6 = msg->ip6
	};
	msg->nrecords = 1;
	return is_group(&msg->group);
}

/* A report of the newest version: a list. */
static bool
set_records(struct member_msg *msg, uint8_t version, uint16_t n,
    const struct cursor *records)
{
	msg->kind = MEMBER_REPORT;
	msg->version = version;
	msg->nrecords = n;
	msg->records = *records;
	return records_fit(*records, n, msg->ip6);
}

/* The sources, flags and intervals at the end of a newest query. */
static bool
take_query_end(struct member_msg *msg, struct cursor *c)
{
	uint8_t flags = cur_u8(c), interval = cur_u8(c);

	msg->suppress = (flags & 0x08) != 0;
	msg->robustness = flags & 0x07;
	msg->interval_s = interval < 128
	    ? interval
	    : (uint32_t)((interval & 0xf) | 0x10) << ((interval >> 4 & 7) + 3);
	msg->record.ip6 = msg->ip6;
	msg->record.nsources = cur_be16(c);
	msg->record.sources =
	    cur_sub(c, msg->record.nsources * address_bytes(msg->ip6));
	/* Sources without a group make no sense. */
	return !c->overrun &&
	    (msg->record.nsources == 0 || !ip6_is_zero(&msg->group));
}

static bool
is_query_group(const struct member_msg *msg)
{
	return ip6_is_zero(&msg->group) || is_group(&msg->group);
}

/* ---- IGMP and its neighbours ---- */

static bool
take_igmp_query(
    struct member_msg *msg, uint8_t code, struct cursor *c, size_t len)
{
	msg->kind = MEMBER_QUERY;
	msg->version = len >= IGMP_V3_BYTES ? 3 : code != 0 ? 2 : 1;
	msg->max_response_ms = msg->version == 1 ? 10000
	    : msg->version == 3 && code >= 128
	    ? 100u * (uint32_t)((code & 0xf) | 0x10) << ((code >> 4 & 7) + 3)
	    : 100u * code;
	if (msg->version < 3 && len != IGMP_BYTES)
		return false;
	return is_query_group(msg) &&
	    (msg->version < 3 || take_query_end(msg, c));
}

static enum reason
take_igmp(struct member_msg *msg, struct cursor *c)
{
	size_t len = cur_left(c);
	const uint8_t *start = c->at;
	uint8_t type = cur_u8(c), code = cur_u8(c);
	uint32_t group;
	bool right = true;

	cur_skip(c, 2);
	group = cur_be32(c);
	if (c->overrun)
		return DROP_SHORT;
	if (csum_fold(csum_add_bytes(0, start, len)) != 0xffff)
		return DROP_L4_CHECKSUM;
	if (group != 0)
		msg->group = ip6_of_ip4(group);
	switch (type) {
	case IGMP_QUERY: right = take_igmp_query(msg, code, c, len); break;
	case IGMP_V1_REPORT:
		right = set_report(msg, 1, MEMBER_IS_EXCLUDE);
		break;
	case IGMP_V2_REPORT:
		right = set_report(msg, 2, MEMBER_IS_EXCLUDE);
		break;
	case IGMP_LEAVE: right = set_report(msg, 2, MEMBER_TO_INCLUDE); break;
	case IGMP_V3_REPORT:
		right = set_records(msg, 3, (uint16_t)group, c);
		break;
	case IGMP_DVMRP: msg->kind = MEMBER_ROUTER; break;
	case IGMP_ROUTER: msg->kind = MEMBER_ROUTER; break;
	case IGMP_ROUTER_END: msg->kind = MEMBER_ROUTER_GONE; break;
	default: msg->kind = MEMBER_OTHER; break;
	}
	return right ? DROP_NONE : DROP_IGMP;
}

/* A hello tells of a router, and for how long (RFC 7761 4.9.2). */
static void
take_pim(struct member_msg *msg, struct cursor *c)
{
	uint8_t head = cur_u8(c);

	cur_skip(c, 3);
	if (c->overrun || head != (PIM_VERSION << 4 | PIM_HELLO))
		return;
	msg->kind = MEMBER_ROUTER;
	msg->hold_s = 105; /* the default (4.11) */
	while (cur_left(c) >= 4) {
		uint16_t type = cur_be16(c);
		struct cursor value = cur_sub(c, cur_be16(c));

		if (type == PIM_HOLD_TIME && cur_left(&value) == 2)
			msg->hold_s = cur_be16(&value);
	}
	if (msg->hold_s == 0)
		msg->kind = MEMBER_ROUTER_GONE;
}

enum reason
igmp_parse(struct member_msg *msg, const struct ip4 *ip, struct cursor *c)
{
	struct member_msg m = { .src = ip6_of_ip4(ip->src) };
	enum reason reason = DROP_NONE;

	if (ip->protocol == IP_IGMP && !ip4_is_fragment(ip))
		reason = take_igmp(&m, c);
	else if (ip->protocol == IP_PIM)
		take_pim(&m, c);
	if (reason == DROP_NONE)
		*msg = m;
	return reason;
}

/* ---- MLD ---- */

/* Moves past the options of a packet that all on its way are to read; false if
 * there are none.  *alert: a router alert is among them (RFC 2711). */
static bool
take_hop_options(struct cursor *c, uint8_t *next, bool *alert)
{
	struct cursor options;
	size_t len;

	*alert = false;
	if (*next != IP_HOP_BY_HOP)
		return false;
	*next = cur_u8(c);
	len = 8u * cur_u8(c) + 6;
	options = cur_sub(c, len);
	while (cur_left(&options) > 0) {
		uint8_t type = cur_u8(&options);
		struct cursor value;

		if (type == OPTION_PAD1)
			continue;
		value = cur_sub(&options, cur_u8(&options));
		*alert |= type == OPTION_ROUTER_ALERT &&
		    cur_left(&value) == 2 && cur_be16(&value) == 0;
	}
	return true;
}

static bool
take_mld_query(
    struct member_msg *msg, uint16_t code, struct cursor *c, size_t len)
{
	msg->kind = MEMBER_QUERY;
	msg->version = len >= MLD_V2_BYTES ? 2 : 1;
	msg->max_response_ms = msg->version == 2 && code >= 32768
	    ? (uint32_t)((code & 0xfff) | 0x1000) << ((code >> 12 & 7) + 3)
	    : code;
	if (msg->version < 2 && len != MLD_BYTES)
		return false;
	return is_query_group(msg) &&
	    (msg->version < 2 || take_query_end(msg, c));
}

/* Moves past the 8 bytes that all types have, and the group of most. */
static bool
take_mld(struct member_msg *msg, uint8_t type, struct cursor *c)
{
	size_t len = cur_left(c);
	uint16_t code, records;

	cur_skip(c, 4);
	code = cur_be16(c);
	records = cur_be16(c);
	switch (type) {
	case MLD_V2_REPORT:
		return !c->overrun && set_records(msg, 2, records, c);
	case MLD_ROUTER: msg->kind = MEMBER_ROUTER; return true;
	case MLD_ROUTER_END: msg->kind = MEMBER_ROUTER_GONE; return true;
	}
	cur_ip6(c, &msg->group);
	if (c->overrun)
		return false;
	switch (type) {
	case MLD_QUERY: return take_mld_query(msg, code, c, len);
	case MLD_V1_REPORT: return set_report(msg, 1, MEMBER_IS_EXCLUDE);
	case MLD_DONE: return set_report(msg, 1, MEMBER_TO_INCLUDE);
	}
	return true;
}

bool
membership_is_mld(uint8_t type)
{
	return (type >= MLD_QUERY && type <= MLD_DONE) ||
	    type == MLD_V2_REPORT || type == MLD_ROUTER ||
	    type == MLD_ROUTER_END;
}

/* Reports may come before there is an address (RFC 3590). */
static bool
came_from_link(const struct ip6 *ip, uint8_t type)
{
	bool report =
	    type == MLD_V1_REPORT || type == MLD_DONE || type == MLD_V2_REPORT;

	return ip->hop_limit == 1 &&
	    (ip6_is_link_local(&ip->src) || (report && ip6_is_zero(&ip->src)));
}

enum reason
mld_parse(struct member_msg *msg, const struct ip6 *ip, struct cursor *c)
{
	struct member_msg m = { .ip6 = true, .src = ip->src };
	uint8_t next = ip->next;
	bool alert;
	uint32_t sum;

	*msg = m;
	(void)take_hop_options(c, &next, &alert);
	if (next == IP_PIM) {
		take_pim(msg, c);
		return DROP_NONE;
	}
	if (next != IP_ICMP6 || cur_left(c) == 0 ||
	    !membership_is_mld(c->at[0]))
		return DROP_NONE;
	if (cur_left(c) < 4)
		return DROP_SHORT;
	sum = csum_pseudo6(&ip->src, &ip->dst, next, (uint32_t)cur_left(c));
	if (csum_fold(csum_add_bytes(sum, c->at, cur_left(c))) != 0xffff)
		return DROP_L4_CHECKSUM;
	if (!alert || !came_from_link(ip, c->at[0]) ||
	    !take_mld(&m, c->at[0], c))
		return DROP_MLD;
	*msg = m;
	return DROP_NONE;
}

/* ---- writing ---- */

struct mac
member_mac(const struct ip6_addr *group)
{
	struct mac mac = { { 0x33, 0x33 } };
	uint32_t ip4;

	if (ip6_to_ip4(&ip4, group))
		return (struct mac){ { 0x01, 0x00, 0x5e,
		    (uint8_t)(ip4 >> 16 & 0x7f), (uint8_t)(ip4 >> 8),
		    (uint8_t)ip4 } };
	memcpy(mac.b + 2, group->b + 12, 4);
	return mac;
}

/* A number as 4 bits of mantissa and 3 of exponent, rounded down, if it does
 * not fit as it is (RFC 3376 4.1.1). */
static uint8_t
small_float(uint32_t value)
{
	unsigned int exponent = 0;

	if (value < 128)
		return (uint8_t)value;
	while (value >> (exponent + 3) > 0x1f && exponent < 7)
		exponent++;
	value >>= exponent + 3;
	return (
	    uint8_t)(0x80 | exponent << 4 | (value > 0x1f ? 0xf : value & 0xf));
}

/* The same, with 12 bits (RFC 3810 5.1.3). */
static uint16_t
large_float(uint32_t value)
{
	unsigned int exponent = 0;

	if (value < 32768)
		return (uint16_t)value;
	while (value >> (exponent + 3) > 0x1fff && exponent < 7)
		exponent++;
	value >>= exponent + 3;
	return (uint16_t)(0x8000 | exponent << 12 |
	    (value > 0x1fff ? 0xfff : value & 0xfff));
}

static void
put_query_end(struct writer *w, const struct member_query *q)
{
	wr_u8(w, (uint8_t)((q->suppress ? 0x08 : 0) | (q->robustness & 7)));
	wr_u8(w, small_float(q->interval_s));
	wr_be16(w, (uint16_t)q->nsources);
	for (unsigned int i = 0; i < q->nsources; i++)
		if (q->ip6)
			wr_ip6(w, &q->source[i]);
		else
			wr_bytes(w, q->source[i].b + 12, 4);
}

static void
put_igmp(struct writer *w, const struct member_query *q, uint32_t group)
{
	static const uint8_t alert[] = { 0x94, 4, 0, 0 };
	size_t len =
	    q->version < 3 ? IGMP_BYTES : IGMP_V3_BYTES + 4u * q->nsources;
	struct ip4 ip = { .tos = TOS_CONTROL,
		.header_bytes = IP4_HEADER_BYTES + sizeof(alert),
		.ttl = 1,
		.protocol = IP_IGMP,
		.dst = group != 0 ? group : 0xe0000001,
		.options = alert };
	uint32_t tenths = q->max_response_ms / 100;
	uint8_t *start;

	(void)ip6_to_ip4(&ip.src, &q->src);
	ip.total_bytes = (uint16_t)(ip.header_bytes + len);
	ip4_write(w, &ip);
	start = w->at;
	wr_u8(w, IGMP_QUERY);
	wr_u8(w,
	    q->version == 1       ? 0
		: q->version == 3 ? small_float(tenths)
		: tenths > 255    ? 255
				  : (uint8_t)tenths);
	wr_be16(w, 0);
	wr_be32(w, group);
	if (q->version >= 3)
		put_query_end(w, q);
	if (!w->overrun)
		put_be16(start + 2, csum_finish(csum_add_bytes(0, start, len)));
}

static void
put_mld(
    struct writer *w, const struct member_query *q, const struct ip6_addr *dst)
{
	size_t len =
	    q->version < 2 ? MLD_BYTES : MLD_V2_BYTES + 16u * q->nsources;
	uint8_t *start = mld_begin(w, &q->src, dst, len);

	wr_u8(w, MLD_QUERY);
	wr_zeros(w, 3);
	wr_be16(w,
	    q->version < 2 && q->max_response_ms > UINT16_MAX ? UINT16_MAX
		: q->version < 2 ? (uint16_t)q->max_response_ms
				 : large_float(q->max_response_ms));
	wr_zeros(w, 2);
	wr_ip6(w, &q->group);
	if (q->version >= 2)
		put_query_end(w, q);
	mld_end(w, start, &q->src, dst, len);
}

void
member_write_query(
    struct writer *w, const struct mac *mac, const struct member_query *query)
{
	static const struct ip6_addr all_nodes = { { 0xff,
	    0x02, [15] = 0x01 } };
	struct ip6_addr dst = ip6_is_zero(&query->group)
	    ? (query->ip6 ? all_nodes : ip6_of_ip4(0xe0000001))
	    : query->group;
	struct eth eth = { .dst = member_mac(&dst),
		.src = *mac,
		.type = query->ip6 ? ETH_IPV6 : ETH_IPV4 };
	const uint8_t *start = w->at;
	uint32_t group = 0;

	eth_write(w, &eth);
	(void)ip6_to_ip4(&group, &query->group);
	if (query->ip6)
		put_mld(w, query, &dst);
	else
		put_igmp(w, query, group);
	if (w->at - start < ETH_MIN_BYTES)
		wr_zeros(w, ETH_MIN_BYTES - (size_t)(w->at - start));
}
