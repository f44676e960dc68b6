/*
 * netif6.h - what an interface knows of IPv6.
 *
 * All of it is of fixed size: what there is no room for is not taken up, so
 * that whoever floods the link with advertisements takes nothing away.
 */
#ifndef GUEST_NETIF6_H
#define GUEST_NETIF6_H

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/ip6.h"

#include "vmm/guest/timer.h"

#define NETIF_ADDRS6    9 /* link-local, fixed and advertised ones */
#define NETIF_PREFIXES6 8
#define NETIF_ROUTERS6  4
#define NETIF_DNS6      4
#define NETIF_GROUPS6   NETIF_ADDRS6

struct netif;

/*
 *   FREE --> TENTATIVE --nobody objects--> VALID --its time is over--> FREE
 *                '-------somebody has it--> DUPLICATE
 */
enum addr6_state { ADDR6_FREE, ADDR6_TENTATIVE, ADDR6_VALID, ADDR6_DUPLICATE };

enum addr6_origin { ADDR6_LINK_LOCAL, ADDR6_FIXED, ADDR6_ADVERTISED };

struct addr6 {
	struct netif *nif;
	struct ip6_net net;
	enum addr6_state state;
	enum addr6_origin origin;
	/* TIMER_NEVER: for ever.  No longer preferred, it is used only if there
	 * is no other. */
	uint64_t valid_us, preferred_us;
	struct timer timer; /* of looking whether it is taken */
	unsigned int probes;
	uint8_t nonce[6];
};

/* A prefix whose addresses are on the link. */
struct prefix6 {
	bool used, fixed;
	struct ip6_net net; /* without host bits */
	uint64_t valid_us;
};

struct gateway6 {
	bool used, fixed;
	bool failed; /* it did not answer when last asked for */
	struct ip6_addr addr;
	uint64_t valid_us;
};

struct dns6 {
	bool used, fixed;
	struct ip6_addr addr;
	uint64_t valid_us;
};

/* A group that is listened to. */
struct group6 {
	struct ip6_addr addr;
	unsigned int users;   /* 0: it is being left, or the place is free */
	unsigned int changes; /* how often this is still to be said */
	bool asked;
};

struct netif6 {
	bool on; /* IPv6 is spoken here */
	struct addr6 addr[NETIF_ADDRS6];
	struct prefix6 prefix[NETIF_PREFIXES6];
	struct gateway6 gateway[NETIF_ROUTERS6];
	struct dns6 dns[NETIF_DNS6];
	/* As routers say; 0: they do not. */
	uint8_t hop_limit;
	uint16_t mtu_bytes;
	uint32_t reachable_ms, retransmit_ms;
	struct timer solicit_timer, expire_timer;
	unsigned int solicited;
	struct group6 group[NETIF_GROUPS6];
	struct timer change_timer, answer_timer;
	uint64_t old_querier_us; /* one of version 1 was heard until then */
	/* Somebody else has used an address of ours. */
	uint32_t conflicts;
	struct mac conflict_mac;
};

#endif
