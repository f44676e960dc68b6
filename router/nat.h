/*
 * nat.h - the connection table of a NAT (RFC 4787 for UDP, RFC 5382 for TCP,
 * RFC 5508 for ICMP echo).
 *
 * Two levels.  A mapping ties an inside ip:port to an outside one.  A session
 * is one mapping's traffic with one remote ip:port: it carries the timer, the
 * TCP state and the counters, admits what comes back, and is what rows and
 * verdicts call an entry.  A mapping lives as long as it has a session, or was
 * asked for (nat_pin.h).
 *
 *  - A full table refuses new sessions and never takes a live one away
 *    (RFC 6888 REQ-11).
 *  - An inside host has at most as many sessions as the rules say, and is
 *    refused more, whoever speaks first (RFC 6888 REQ-4, REQ-5).
 *  - Of both limits a quarter is for sessions that inside hosts begin: nobody
 *    outside fills the table.
 *  - Rules that look at hosts (limits, blocks, several addresses that they are
 *    paired with) are for one host to NAT_HOST_ENTRIES entries, or
 *    NAT_HOSTS_LEAST; further ones are refused as by a full table.
 *  - The rules say what mappings, filters and outside ports depend on
 *    (nat_rules.h).  A port stays in its class, below 1024 or not, but in
 *    blocks (RFC 4787 REQ-3).  No port is used twice, but by overloading.
 *  - A port that is free rests before it may be another's (RFC 6888 REQ-8).
 *  - A host with an address of its own has the same ports there, and admits all
 *    senders, whatever the rules say.
 *  - Packets that make no session and ICMP errors refresh and end nothing
 *    (REQ-12).
 *
 * All costs are independent of the number of sessions.  Time is an argument
 * that never goes back.
 */
#ifndef ROUTER_NAT_H
#define ROUTER_NAT_H

#include "net/reason.h"
#include "router/router.h"

#define NAT_MAX_ENTRIES       65536   /* default */
#define NAT_MAX_ENTRIES_LIMIT 4194304 /* what max_entries may ask for */
#define NAT_HOST_ENTRIES      16
#define NAT_HOSTS_LEAST       1024 /* or as many as entries, if that is less */

struct nat;

struct nat_options {
	uint32_t outside_ip; /* its own; 0: it has none yet */
	/* The addresses that inside hosts get; 0: its own.  Borrowed. */
	const uint32_t *pool;
	uint32_t npool;
	/* Addresses that are one inside host's each.  Borrowed. */
	const struct router_nat_pair *pairs;
	uint32_t npairs;
	uint32_t max_entries; /* 0: the default */
	uint64_t seed;        /* of the choice of ports */
	struct nat_rules rules;
};

/* NULL: *err says why. */
struct nat *nat_new(const struct nat_options *options, struct err *err);
void nat_free(struct nat *nat); /* NULL is fine */

/* Has it count the sessions of hosts with virtual addresses there. */
struct nat64_hosts;
void nat_set_virtual(struct nat *nat, struct nat64_hosts *hosts);

/* Is it an outside address of the NAT? */
bool nat_has_address(const struct nat *nat, uint32_t ip);
/* Is it one of an inside host alone? */
bool nat_is_owned(const struct nat *nat, uint32_t ip);
/* Where errors of an inside host or router are seen to come from that are about
 * what another sent or got: its own address, or else the NAT's
 * (RFC 5508 REQ-5c). */
uint32_t nat_teller(const struct nat *nat, uint32_t in_ip);
/* Where an inside host is seen outside, as far as it has mappings; else where it
 * would be now. */
uint32_t nat_address_of(const struct nat *nat, uint32_t in_ip);
const struct nat_rules *nat_rules(const struct nat *nat);

/* New rules for new sessions; timers are for all, and a shorter one ends those
 * that it would have ended.  Takes time for each session once.  0, or -EINVAL,
 * -ENOMEM with *err, and nothing is changed. */
int nat_set_rules(struct nat *nat, const struct nat_rules *rules,
    uint64_t now_ns, struct err *err);

/*
 * Its own address becomes ip; 0: it has none, and no packets may be asked about.
 * What the old one was used for ends: sessions, which are counted, mappings,
 * and pins but for those of the lab file, which move.  Takes time for each once.
 */
uint32_t nat_move(struct nat *nat, uint32_t ip, uint64_t now_ns);

/* Ends what the inside hosts of a net have, but for pins of the lab file.
 * Returns how many sessions that were. */
uint32_t nat_end_hosts(struct nat *nat, struct ip4_net net, uint64_t now_ns);

/* One end of a packet at the NAT: who is behind it, and with whom it speaks.
 * Going out, ip:port is the inside source; coming in, the outside destination.
 * For ICMP echo, port is the id and remote_port 0. */
struct nat_flow {
	uint32_t ip, remote_ip;
	uint16_t port, remote_port;
	uint8_t protocol; /* IP_TCP, IP_UDP, IP_ICMP */
	/* nat_hash()'s and nat_guess()'s, of these very ends; else 0. */
	uint32_t hash, guess;
};

/* What the table wants to know of a TCP header. */
struct nat_segment {
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
	uint8_t scale; /* of the window, in a SYN; 0: none */
};

/* What becomes of ip:port: outside ip and port, or inside ip and port. */
struct nat_hit {
	uint32_t ip;
	uint16_t port;
	uint32_t id; /* of the session, never 0; 0: the mapping's only */
};

/* An outgoing packet of bytes, with segment if it is TCP.  REASON_NAT_OUT,
 * REASON_NAT_NEW, or DROP_NAT_STATE, DROP_NAT_FULL, DROP_NAT_HOST_LIMIT,
 * DROP_NAT_NO_PORT. */
enum reason nat_out(struct nat *nat, const struct nat_flow *flow,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns,
    struct nat_hit *hit);

/* An incoming one.  REASON_NAT_IN, or DROP_NAT_UNSOLICITED (no mapping),
 * DROP_NAT_FILTERED (not for this sender), DROP_NAT_STATE, DROP_NAT_FULL,
 * DROP_NAT_HOST_LIMIT. */
enum reason nat_in(struct nat *nat, const struct nat_flow *flow,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns,
    struct nat_hit *hit);

/* For ICMP errors: as above, but nothing is made, refreshed or counted.  False:
 * no such session and, coming in, no such mapping. */
bool nat_find_out(const struct nat *nat, const struct nat_flow *flow,
    uint64_t now_ns, struct nat_hit *hit);
bool nat_find_in(const struct nat *nat, const struct nat_flow *flow,
    uint64_t now_ns, struct nat_hit *hit);

/* When the session of an outgoing flow expires if nothing else comes; 0: there
 * is none. */
uint64_t nat_session_until_ns(
    const struct nat *nat, const struct nat_flow *flow, uint64_t now_ns);

/* Is there a mapping for this outside end? */
bool nat_has_port(
    const struct nat *nat, uint32_t ip, uint8_t protocol, uint16_t port);

/*
 * The look-ups of a burst overlap if all its flows are announced before its
 * packets are decided: first nat_hash() for each, then nat_guess() for each.
 * Both may be left out, and packets need not follow.
 */
void nat_hash(const struct nat *nat, struct nat_flow *flow, bool outwards);
void nat_guess(const struct nat *nat, struct nat_flow *flow);

/* Ends what has expired, and returns when to call next; UINT64_MAX: when there
 * is a session again. */
uint64_t nat_expire(struct nat *nat, uint64_t now_ns);
/* When nat_expire() is due. */
uint64_t nat_due_ns(const struct nat *nat);

struct nat_stats {
	uint32_t sessions, mappings, max_sessions;
	uint32_t resting; /* mappings without users that keep their ports */
	size_t bytes;     /* of memory, if all were in use */
};

struct nat_stats nat_stats(const struct nat *nat);

/* Addresses of one host first, then pins, then sessions by id; left_ns counts
 * from now_ns. */
void nat_each(const struct nat *nat, uint64_t now_ns,
    void (*each)(void *arg, const struct nat_row *row), void *arg);
/* The same by and by, as router_walk_nat() has it. */
bool nat_walk(const struct nat *nat, struct nat_walk *walk, uint32_t n,
    uint64_t now_ns, void (*each)(void *arg, const struct nat_row *row),
    void *arg);

#endif
