/*
 * join6.h - packets to the router itself that come in fragments (RFC 8200 4.5).
 *
 * They are collected in the table that NAT's fragments are in, with its bounds
 * (fragment.h): packets whose fragments overlap are refused (RFC 5722), and
 * what is incomplete after FRAGMENT_TIMEOUT_S is lost.  Headers before the
 * fragment header were looked at in each fragment, and are left out.
 */
#ifndef ROUTER_JOIN6_H
#define ROUTER_JOIN6_H

#include "net/ip6_chain.h"
#include "switch/port.h"

struct packet6;
struct router;

/*
 * Takes a fragment, p, all of which has been copied.  With its last one *whole is
 * the packet, in *frame, until the next one is made: REASON_NONE.  Else
 * REASON_FRAGMENT_HELD, or DROP_FRAGMENT; who sent what cannot be is told.
 */
enum reason join6_take(struct router *router, struct packet6 *p,
    const struct ip6_chain *chain, struct packet6 *whole, struct frame *frame);

#endif
