/*
 * nat_rules.h - how a NAT behaves, in the words of RFC 4787; and the rules of
 * kinds of NAT that have a name.
 *
 * All zero is what the RFCs want, but for filtering and hairpin: see
 * nat_rules_default.
 */
#ifndef ROUTER_NAT_RULES_H
#define ROUTER_NAT_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* RFC 4787 4.1 and 5: what a mapping and a filter depend on. */
enum nat_behaviour {
	NAT_ENDPOINT_INDEPENDENT,
	NAT_ADDRESS_DEPENDENT,
	NAT_ADDRESS_AND_PORT_DEPENDENT,
};

/* Which outside port a mapping gets.  Where the wanted one is taken, another
 * is chosen at random (RFC 6056 algorithm 1). */
enum nat_port_rule {
	NAT_PORTS_PRESERVE,   /* the inside one */
	NAT_PORTS_OVERLOAD,   /* ... taken or not, if the remote end differs */
	NAT_PORTS_CONTIGUOUS, /* ... or the one beside its neighbour's */
	NAT_PORTS_RANDOM,     /* any */
	NAT_PORTS_BLOCKS,     /* one of the inside host's block */
	NAT_PORT_RULES,
};

/* Packets of which direction refresh a session (RFC 4787 REQ-6). */
enum nat_refresh {
	NAT_REFRESH_BOTH,
	NAT_REFRESH_OUTBOUND,
	NAT_REFRESH_INBOUND,
	NAT_REFRESHES,
};

/* Which outside address a mapping gets, where there are several (RFC 4787 4.1,
 * RFC 7857 4). */
enum nat_pooling {
	NAT_POOLING_PAIRED,    /* its host's; when that is out of ports: none */
	NAT_POOLING_SOFT,      /* its host's, or then another */
	NAT_POOLING_ARBITRARY, /* any */
	NAT_POOLINGS,
};

enum nat_timer {
	NAT_TIMER_UDP,
	NAT_TIMER_UDP_ONE_WAY, /* until an answer comes; 0: as UDP */
	NAT_TIMER_UDP_DNS,     /* to port 53; 0: as others */
	NAT_TIMER_TCP,
	NAT_TIMER_TCP_OPENING,
	NAT_TIMER_TCP_CLOSING,
	NAT_TIMER_ICMP,
	NAT_TIMERS,
};

#define NAT_UDP_IDLE_S       300  /* RFC 4787 REQ-5 */
#define NAT_TCP_IDLE_S       7440 /* RFC 5382 REQ-5 */
#define NAT_TCP_TRANSITORY_S 240
#define NAT_ICMP_IDLE_S      60  /* RFC 5508 REQ-2 */
#define NAT_REST_S           120 /* RFC 6888 REQ-8 */

#define NAT_BLOCK_PORTS     512 /* default */
#define NAT_BLOCK_PORTS_MIN 64
#define NAT_BLOCK_PORTS_MAX 32768

struct nat_rules {
	enum nat_behaviour mapping, filtering;
	bool tcp_apart; /* TCP has filters of its own (RFC 5382 REQ-3) */
	enum nat_behaviour tcp_filtering;
	enum nat_port_rule ports;
	enum nat_pooling pooling;
	bool any_parity; /* another port need not be as even as the inside's */
	enum nat_refresh refresh; /* of UDP and ICMP sessions */
	bool hairpin;             /* RFC 4787 REQ-9 */
	bool hairpin_internal;    /* ... from the sender's inside end */
	bool ftp;        /* its data connections come through (ftp_alg.h) */
	bool sip;        /* its calls come through (sip_message.h) */
	bool refuse_syn; /* tell who sent one from outside (RFC 5382 REQ-4) */
	uint32_t idle_s[NAT_TIMERS]; /* 0: the default */
	uint32_t host_sessions;      /* of one inside host; 0: any number */
	uint32_t block_ports;        /* of one inside host; 0: 512 */
	bool no_rest;        /* a port may be another's as soon as it is free */
	uint32_t rest_s;     /* or when it has rested; 0: 120 */
	uint32_t rest_ports; /* at most so many do, the latest; 0: any number */
};

extern const struct nat_rules nat_rules_default;

/* Who may send to a mapping of TCP, or of another protocol. */
static inline enum nat_behaviour
nat_filtering(const struct nat_rules *rules, bool is_tcp)
{
	return is_tcp && rules->tcp_apart ? rules->tcp_filtering
					  : rules->filtering;
}

enum nat_preset {
	NAT_PRESET_NONE,      /* nat_rules_default */
	NAT_PRESET_FULL_CONE, /* RFC 3489 5 */
	NAT_PRESET_RESTRICTED,
	NAT_PRESET_PORT_RESTRICTED,
	NAT_PRESET_SYMMETRIC,
	NAT_PRESET_LINUX, /* nftables masquerade */
	NAT_PRESET_PF,    /* nat-to of OpenBSD */
	NAT_PRESET_CGN,   /* RFC 6888 */
	NAT_PRESETS,
};

const struct nat_rules *nat_preset(enum nat_preset preset);

/* How long a session without packets lives. */
uint64_t nat_idle_ns(const struct nat_rules *rules, enum nat_timer timer);

/* How long a port rests, 0: not at all. */
uint64_t nat_rest_ns(const struct nat_rules *rules);

/* What cannot be: -EINVAL with *err saying what to do; else 0. */
int nat_rules_check(const struct nat_rules *rules, struct err *err);

#endif
