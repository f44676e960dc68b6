/*
 * dhcpc.h - the DHCP client of one interface (RFC 2131, 4.4).
 *
 * It asks from the moment the link is up, renews and rebinds its lease, and
 * declines an address that ARP shows to be another's.  To be quick, the probe
 * for that (RFC 5227) runs beside the request instead of before its answer is
 * used; who answers later than the server still makes us decline, as long as
 * the lease is young.
 */
#ifndef GUEST_DHCPC_H
#define GUEST_DHCPC_H

#include <stdbool.h>
#include <stdint.h>

#include "net/arp.h"
#include "net/dhcp.h"
#include "net/ip4.h"
#include "net/reason.h"
#include "net/udp.h"

#include "vmm/guest/timer.h"

struct netif;

enum dhcpc_state {
	DHCPC_OFF,
	DHCPC_WAITING, /* after a refusal, before asking anew */
	DHCPC_SELECTING,
	DHCPC_REQUESTING,
	DHCPC_BOUND,
	DHCPC_RENEWING,
	DHCPC_REBINDING,
	DHCPC_NSTATES
};

struct dhcpc {
	struct netif *nif;
	enum dhcpc_state state;
	struct timer timer;
	uint32_t xid;
	unsigned int tries; /* of the present message */
	uint64_t since_us;  /* we began to ask */
	uint32_t offered, server;
	bool conflict; /* ARP shows another owner of what was offered */
	/* Of the lease, while there is one.  TIMER_NEVER: infinite. */
	uint64_t bound_us, renew_us, rebind_us, expire_us;
	bool *wake; /* set to true when the state changes; may be NULL */
	/* Counters for people. */
	uint32_t sent, acks, naks, declines;
};

void dhcpc_init(struct dhcpc *dhcp, struct netif *nif);

void dhcpc_start(struct netif *nif); /* from DHCPC_OFF, or anew */
void dhcpc_renew(struct netif *nif); /* now, if bound; else as start */
/* Gives the lease back to the server, if there is one, and is off. */
void dhcpc_release(struct netif *nif);
/* Off without a word: the link is down. */
void dhcpc_stop(struct netif *nif);

/* Does a datagram to dst concern a client that has no address yet? */
bool dhcpc_expects(const struct netif *nif, uint32_t dst);
enum reason dhcpc_input(
    struct netif *nif, const struct ip4 *ip, const struct udp *udp);

/* Each ARP packet that others sent passes here. */
void dhcpc_arp(struct netif *nif, const struct arp *arp);
/* Another station uses the address that nif has.  True: it is declined. */
bool dhcpc_conflict(struct netif *nif);

const char *dhcpc_state_name(enum dhcpc_state state);

#endif
