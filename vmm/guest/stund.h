/*
 * stund.h - a server of STUN (RFC 8489) with what finds out how a NAT behaves
 * (RFC 5780): it answers from two ports, and by its partner from another
 * address.
 *
 * The other address is that of a partner, another guest that serves as well and
 * has this one as its partner; or, without one, another of the guest's own.
 * A partner is handed the request with the RESPONSE-ADDRESS of RFC 3489; from
 * others that is not taken.
 */
#ifndef GUEST_STUND_H
#define GUEST_STUND_H

#include <stdbool.h>
#include <stdint.h>

#include "net/stun.h"

#define STUND_PORTS 2 /* STUN_PORT and the one behind it */

struct stack;
struct udpsock;

struct stund {
	struct udpsock *sock[STUND_PORTS]; /* NULL: it does not run */
	uint32_t partner;                  /* 0: none */
	uint8_t room[STUN_MAX_BYTES];      /* where answers are built */
};

/* Serves, or serves with another partner.  False: the ports are taken. */
bool stund_start(struct stack *stack, uint32_t partner);
void stund_stop(struct stack *stack);
bool stund_runs(const struct stack *stack);

#endif
