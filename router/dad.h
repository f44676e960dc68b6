/*
 * dad.h - finding out whether a port's IPv6 addresses are anybody else's (RFC
 * 4862 5.4).
 *
 * When the link comes up, all addresses of the port are tentative: each is asked
 * for, and is the router's if nobody says for a second that it has it.  What is
 * sent to a tentative address is dropped, nothing is sent from it, and nobody
 * who asks for it is answered.
 *
 * An address that somebody else has is a duplicate until the link comes up
 * again: the port does not use it, and packets to it go to who has it.  If the
 * port's link-local address is one, somebody has its MAC address, and the port
 * takes no part in IPv6 (5.4.5).  Either is said in the log and by show.
 *
 * While that lasts, other ports forward as ever; packets to the port's neighbours
 * wait, as for any neighbour that has yet to be found.
 */
#ifndef ROUTER_DAD_H
#define ROUTER_DAD_H

#include "base/loop.h"
#include "net/nd.h"

enum dad_state {
	DAD_TENTATIVE,
	DAD_ASSIGNED,
	DAD_DUPLICATE,
};

struct iface;
struct packet6;

/* What a port remembers of it. */
struct dad {
	struct loop_timer timer;
	uint8_t transmits; /* of each solicitation; 0: addresses are its own */
	uint8_t left;      /* of those */
	bool done;         /* the link is up, and what can be assigned is */
	uint8_t nonce[ND_NONCE_BYTES]; /* in them */
};

void dad_init(struct iface *iface, unsigned int transmits);
void dad_free(struct iface *iface);

/* The link came up, or went down. */
void dad_link(struct iface *iface, bool up);

/* A solicitation or advertisement whose target is an address of p->in; false: it
 * is not, or it is one that may be used. */
bool dad_heard(
    struct iface *in, const struct packet6 *p, const struct nd_message *nd);

const char *dad_state_name(enum dad_state state);

#endif
