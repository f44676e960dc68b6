/*
 * place.h - what an address is to a router: where it leads, and whether it is
 * one of the router's own.
 *
 * Asked twice for each packet, and mostly about addresses asked about just now:
 * answers are kept, until routes, interfaces or a NAT's addresses change.
 */
#ifndef ROUTER_PLACE_H
#define ROUTER_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#define PLACES 256 /* answers kept, a power of two */

struct iface;
struct route;
struct router;

struct place {
	uint32_t addr;
	bool known;
	bool martian;   /* never in a packet to be forwarded (RFC 1812 5.3.7) */
	bool broadcast; /* of a link of ours */
	bool exempt;    /* by the rules of NAT: not translated for */
	const struct route *route; /* NULL: there is none */
	/* Whose address it is, or NULL.  Those of a NAT are its outside's. */
	struct iface *owner;
};

/* Finds it out anew, and keeps it at place. */
void place_look_up(
    const struct router *router, struct place *place, uint32_t addr);

/* To be called when routes or interfaces are added. */
void place_forget(struct router *router);

#endif
