/*
 * meter.h - a port that measures the lab: it sends streams of test frames to
 * another one, and counts what comes.
 *
 *     meter ----> cables, switches, routers ----> meter
 *
 * A port of kind traffic: is one.  It answers ARP and Neighbor Discovery for
 * its addresses, so that it can stand behind routers; without an address it
 * measures Ethernet alone.
 *
 * A run goes from one meter to another of the same loop:
 *
 *     IDLE -> ASKING -> WARMING -> SENDING -> DRAINING -> IDLE
 *                `---------^----------^
 *
 * ASKING for the next hop's address, WARMING a way that leads through a router
 * until one frame came through, SENDING the stream, DRAINING what is on its
 * way.  A meter sends one stream and receives one at a time.
 *
 * In virtual time a frame leaves at its very instant, so that a result follows
 * from the lab and the seed.  In real time frames that are overdue leave
 * together, up to METER_ROUND in a round of the loop.
 *
 * All sizes are of whole Ethernet frames without FCS.  Loop thread only.
 */
#ifndef SWITCH_METER_H
#define SWITCH_METER_H

#include "net/addr.h"
#include "net/ip6.h"
#include "switch/port.h"
#include "switch/tally.h"
#include "switch/test_frame.h"

#define METER_SIZES_MAX  16
#define METER_COUNT_MAX  UINT64_C(4000000000) /* frames of a run */
#define METER_FOR_MAX_NS (3600 * NS_PER_S)
#define METER_RATE_MAX   UINT64_C(1000000000) /* frames in a second */
#define METER_BPS_MAX    UINT64_C(1000000000000)
#define METER_BURST_MAX  UINT64_C(10000)
#define METER_FLOWS_MAX  UINT64_C(16384)
#define METER_MACS_MAX   UINT64_C(1000000)
#define METER_ROUND      256
/* What a frame takes on a wire beside its bytes: FCS, preamble and the gap
 * (IEEE 802.3 4.4.2). */
#define METER_WIRE_BYTES 24

extern const struct port_kind port_traffic;

/* Where a meter stands. */
struct meter_address {
	struct mac mac;
	struct ip4_net ip4;  /* addr 0: none */
	uint32_t gateway4;   /* 0: none */
	struct ip6_addr ip6; /* zero: none */
	uint8_t prefix6;
	struct ip6_addr gateway6; /* zero: none */
};

enum meter_order { METER_IN_TURN, METER_SWEEP, METER_RANDOM };

struct meter_sizes {
	enum meter_order order;
	unsigned int n;                  /* METER_IN_TURN */
	uint32_t bytes[METER_SIZES_MAX]; /* else: from [0] to [1] */
};

struct meter_options {
	bool any_pattern; /* UDP if both have addresses, IPv4 first */
	enum test_pattern pattern;
	struct meter_sizes sizes;
	/* One of them, or 0 and 0: as fast as possible, in real time only.
	 * bps counts METER_WIRE_BYTES for each frame. */
	uint64_t fps, bps;
	uint64_t burst; /* frames back to back, at the same mean rate; from 1 */
	uint64_t flows; /* UDP source ports, in turn; from 1 */
	uint64_t macs;  /* Ethernet source addresses, in turn; from 1 */
	uint16_t vlan;  /* 0: no tag */
	uint16_t port;  /* UDP destination; 0: 9 (discard) */
	uint64_t count; /* the first of these ends it; one is not 0 */
	uint64_t for_ns;
	uint64_t wait_ns; /* for the last frames to come */
	uint64_t seed;    /* of random sizes */
};

struct meter_result {
	enum test_pattern pattern;
	uint64_t sent, sent_bytes; /* without FCS */
	uint64_t sent_ns; /* from the first frame to the end of the last */
	uint64_t late_ns; /* how long a frame was overdue, at worst */
	const struct tally *tally; /* the receiver's; until its next run */
	const char *why;           /* the run failed; else NULL */
};

struct meter;

/* The meter of that port, or NULL if it is none. */
struct meter *meter_of(struct port *port);
const struct port *meter_port(const struct meter *meter);

/*
 * Starts a run.  done is called from the loop at its end, not before this
 * returns.  0; -EBUSY or -EINVAL with *err saying what to do.
 */
int meter_start(struct meter *from, struct meter *to,
    const struct meter_options *options, void (*done)(void *arg), void *arg,
    struct err *err);
/* Ends it now; done is not called.  Fine when there is none. */
void meter_stop(struct meter *from);

/* Of the run under way, or of the last one: receiver's counts included.  False:
 * this one has sent nothing. */
bool meter_result(const struct meter *from, struct meter_result *result);

/* What an address or a run cannot be: -EINVAL with *err; else 0. */
int meter_address_check(
    const char *name, const struct meter_address *address, struct err *err);
int meter_options_check(const struct meter_options *options, struct err *err);

/* For tables: what it does now; and what its receiver has counted, since the
 * last run to it began. */
const char *meter_state(const struct meter *meter);
const struct tally *meter_tally(const struct meter *meter);
/* Who it sends to, who it hears, or NULL. */
const struct port *meter_to(const struct meter *meter);
const struct port *meter_fed_by(const struct meter *meter);

#endif
