/*
 * membership.h - who wants which multicast groups: IGMP and MLD in one form.
 *
 * IGMPv1 to v3 (RFC 1112, RFC 2236, RFC 3376), MLDv1 and v2 (RFC 2710, RFC
 * 3810), and what else tells of a multicast router: PIM hellos, DVMRP, router
 * discovery (RFC 4286).  Reports of older versions read as what they mean in
 * the newest: "joined" is IS_EXCLUDE of no source, "left" is TO_INCLUDE of none
 * (RFC 3376 7.3.2).  An IPv4 address is written as in ip6.h.
 */
#ifndef NET_MEMBERSHIP_H
#define NET_MEMBERSHIP_H

#include "net/ip4.h"
#include "net/ip6.h"

#define IP_IGMP 2
#define IP_PIM  103

enum member_kind {
	MEMBER_NOTHING, /* not about membership */
	MEMBER_QUERY,
	MEMBER_REPORT,
	MEMBER_ROUTER,      /* a multicast router is there */
	MEMBER_ROUTER_GONE, /* and goes away */
	MEMBER_OTHER,       /* IGMP of a type that is not known */
};

/* What a record says (RFC 3376 4.2.12). */
enum member_change {
	MEMBER_IS_INCLUDE = 1,
	MEMBER_IS_EXCLUDE,
	MEMBER_TO_INCLUDE,
	MEMBER_TO_EXCLUDE,
	MEMBER_ALLOW,
	MEMBER_BLOCK,
};

struct member_record {
	enum member_change change;
	struct ip6_addr group;
	uint16_t nsources;
	struct cursor sources; /* for member_source() */
	bool ip6;
};

struct member_msg {
	enum member_kind kind;
	bool ip6;
	uint8_t version; /* of IGMP or MLD */
	struct ip6_addr src;
	/* queries */
	struct ip6_addr group; /* zero: of all groups */
	uint32_t max_response_ms;
	bool suppress; /* routers leave their timers alone */
	uint8_t robustness;
	uint32_t interval_s;
	/* MEMBER_ROUTER: how long to believe it; 0: not said */
	uint32_t hold_s;
	/* Of a query: its sources.  Of a report: its records, for
	 * member_next(). */
	struct member_record record;
	uint16_t nrecords;
	struct cursor records;
};

/*
 * Reads the payload of an IPv4 packet.  All that members_next() will walk over
 * is checked.  DROP_SHORT, DROP_L4_CHECKSUM; DROP_IGMP for a group that is
 * none, or lists that are longer than the message.
 */
enum reason igmp_parse(
    struct member_msg *msg, const struct ip4 *ip, struct cursor *c);

/*
 * Reads the payload of an IPv6 packet.  As above, with DROP_MLD, also for what
 * RFC 3810 5 wants ignored: MLD that could have come from beyond the link, or
 * without a router alert.
 */
enum reason mld_parse(
    struct member_msg *msg, const struct ip6 *ip, struct cursor *c);

bool membership_is_mld(uint8_t icmp6_type);

/* The next record of a report whose type is known and whose group is one;
 * false: that was all. */
bool member_next(struct member_msg *msg, struct member_record *record);
/* The next source of a record; false: that was all. */
bool member_source(struct member_record *record, struct ip6_addr *source);

struct member_query {
	bool ip6;
	uint8_t version;
	struct ip6_addr src;   /* IPv4: may be ::ffff:0.0.0.0 */
	struct ip6_addr group; /* zero: of all groups */
	uint32_t max_response_ms;
	bool suppress;
	uint8_t robustness; /* up to 7 */
	uint32_t interval_s;
	const struct ip6_addr *source;
	unsigned int nsources; /* newest versions only */
};

#define MEMBER_QUERY_SOURCES 64 /* what a query has room for */
#define MEMBER_QUERY_BYTES \
	(14 + IP6_HEADER_BYTES + 8 + 28 + 16 * MEMBER_QUERY_SOURCES)

/* Writes a whole frame of at most MEMBER_QUERY_BYTES from mac. */
void member_write_query(
    struct writer *w, const struct mac *mac, const struct member_query *query);

/* The link's address of a group. */
struct mac member_mac(const struct ip6_addr *group);

#endif
