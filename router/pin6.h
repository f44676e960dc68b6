/*
 * pin6.h - holes in the filter of IPv6 that inside hosts have asked for (PCP,
 * RFC 6887): what may come in unasked, and what stays known though it is
 * silent.
 *
 *  - For anybody (MAP): packets to the inside end begin flows, from all senders
 *    or from those that filters name.  It may be all ports of a protocol, or all
 *    protocols.
 *  - For one remote end (PEER): packets between both ends begin flows, in either
 *    direction; a connection of TCP goes on even if its flow has expired.
 *
 * There are PIN6_MAX at most, and a station, by its MAC address, has
 * PIN6_OF_STATION, since the addresses that it can have are without number.  A
 * full table takes no new one, and none is ended for another.  When one ends,
 * the flows that began by it go on.  A packet of a flow costs nothing more; one
 * that would be refused costs four look-ups.  Time is an argument.
 */
#ifndef ROUTER_PIN6_H
#define ROUTER_PIN6_H

#include "net/addr.h"
#include "router/flow6.h"

#define PIN6_MAX        4096
#define PIN6_OF_STATION 256
#define PIN6_FILTERS    8

/* Senders that are admitted. */
struct pin6_filter {
	struct ip6_net net;
	uint16_t port; /* 0: any */
};

struct pin6 {
	/* Inside and, for one remote end, remote; else that is :: and 0.
	 * Protocol 0 is any, and so is a port of 0 with any protocol. */
	struct flow6_ends ends;
	uint8_t nonce[12]; /* who knows it may change the pin */
	struct mac station;
	uint64_t until_ns;
	unsigned int nfilters; /* 0: all senders; for anybody only */
	struct pin6_filter filters[PIN6_FILTERS];
};

struct pin6_table;

/* NULL: no memory. */
struct pin6_table *pin6_new(uint64_t seed);
void pin6_free(struct pin6_table *table); /* NULL is fine */

enum pin6_fate {
	PIN6_DONE,
	/* Refused, and nothing is changed. */
	PIN6_OTHERS,       /* it has another nonce */
	PIN6_FULL,         /* there are PIN6_MAX */
	PIN6_STATION_FULL, /* the station has PIN6_OF_STATION */
};

/* Makes a pin, or changes the one of the same ends: how long it lasts, and its
 * filters. */
enum pin6_fate pin6_set(
    struct pin6_table *table, const struct pin6 *pin, uint64_t now_ns);

/* The pin of those ends, or NULL; good until the next change. */
const struct pin6 *pin6_find(const struct pin6_table *table,
    const struct flow6_ends *ends, uint64_t now_ns);

/* Ends it.  PIN6_DONE, also if there was none; PIN6_OTHERS. */
enum pin6_fate pin6_delete(struct pin6_table *table,
    const struct flow6_ends *ends, const uint8_t nonce[12], uint64_t now_ns);

/* Has the inside end pins for remote ends, that a station has asked for? */
bool pin6_has_peers(const struct pin6_table *table,
    const struct flow6_ends *ends, const struct mac *station, uint64_t now_ns);

/* What pins say of a packet from outside that no flow has.  PIN6_ADMITS: *by is
 * the one that does. */
enum pin6_says { PIN6_SAYS_NOTHING, PIN6_ADMITS, PIN6_REFUSES };
enum pin6_says pin6_ask(const struct pin6_table *table,
    const struct flow6_ends *ends, uint64_t now_ns, const struct pin6 **by);

/* Ends what has expired; and when that is to be called next, UINT64_MAX: there is
 * none.  It may be too soon. */
void pin6_expire(struct pin6_table *table, uint64_t now_ns);
uint64_t pin6_due_ns(const struct pin6_table *table);

/* In no order. */
void pin6_each(const struct pin6_table *table, uint64_t now_ns,
    void (*each)(void *arg, const struct pin6 *pin), void *arg);

#endif
