/*
 * flow6.h - flows of IPv6 between inside and outside, for a filter that lets in
 * what was asked for (RFC 6092).
 *
 * A flow begins with a packet from inside; those of its other direction are let
 * in as long as it lives.  With filtering by less than address and port, others
 * outside may begin flows to an end that has one; and where a hole was asked for
 * (pin6.h), whom that admits.  A pure table: time is an argument, nothing is
 * sent.
 *
 * A table that is full takes no new flows, and never ends one for another; a
 * station, by its MAC address, has a limit of its own, since the addresses that
 * it can have are without number.
 */
#ifndef ROUTER_FLOW6_H
#define ROUTER_FLOW6_H

#include "net/ip6_chain.h"
#include "net/reason.h"
#include "router/nat.h"

#define FLOW6_MAX         65536 /* default limit */
#define FLOW6_PER_STATION 16384

#define IP_DCCP 33
#define IP_SCTP 132

struct flow6_table;
struct pin6_table;

/* The ends of a flow; ports are 0 for protocols without, and a ping's id on
 * both sides. */
struct flow6_ends {
	struct ip6_addr inside, remote;
	uint16_t port, remote_port;
	uint8_t protocol;
};

bool flow6_ends_equal(const struct flow6_ends *a, const struct flow6_ends *b);

struct flow6_options {
	uint32_t max, per_station; /* 0: the defaults */
	enum nat_behaviour filtering;
	uint64_t seed;
	/* Holes that were asked for (pin6.h); NULL: none.  Borrowed. */
	const struct pin6_table *pins;
};

/* NULL: no memory. */
struct flow6_table *flow6_new(const struct flow6_options *options);
void flow6_free(struct flow6_table *table); /* NULL is fine */

/* A packet of bytes, with segment if it is TCP, from a station inside.
 * REASON_FLOW_KNOWN, REASON_FLOW_NEW; DROP_FLOW_FULL, DROP_FLOW_STATION,
 * DROP_FLOW_STATE.  *entry is the flow's number, never 0, or 0. */
enum reason flow6_out(struct flow6_table *table, const struct flow6_ends *ends,
    const struct nat_segment *segment, const struct mac *station,
    uint32_t bytes, uint64_t now_ns, uint32_t *entry);

/* A packet from outside.  As above, or DROP_FLOW_UNASKED.  What it begins counts
 * for the station that has begun the flow by which it may, or has asked for the
 * hole. */
enum reason flow6_in(struct flow6_table *table, const struct flow6_ends *ends,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns,
    uint32_t *entry);

/* A packet between those ends comes soon: for flow6_expect(), a little later, which
 * sees to it that its flow need not be waited for. */
const void *flow6_guess(
    const struct flow6_table *table, const struct flow6_ends *ends);
void flow6_expect(const void *guess);

/* The number of the flow between those ends, 0: there is none.  For ICMPv6
 * errors: nothing is refreshed (RFC 6092 REC-10, 18, 19). */
uint32_t flow6_find(
    const struct flow6_table *table, const struct flow6_ends *ends);

/* When the flow between those ends expires if nothing else comes; 0: there is
 * none. */
uint64_t flow6_until_ns(
    const struct flow6_table *table, const struct flow6_ends *ends);

/* Ends what has expired; and when that is to be called next, UINT64_MAX: there is
 * no flow. */
void flow6_expire(struct flow6_table *table, uint64_t now_ns);
uint64_t flow6_due_ns(const struct flow6_table *table);

void flow6_each(const struct flow6_table *table, uint64_t now_ns,
    void (*each)(void *arg, const struct flow6_row *row), void *arg);

#endif
