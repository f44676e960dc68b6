/*
 * nat_path.h - what becomes of a packet at the NAT, for those files that carry
 * it out.
 *
 *    nat_decide.c        who it is from, and to whom it goes
 *    forward_nat.c       ... it goes there
 *    forward_fragment.c  ... in fragments
 */
#ifndef ROUTER_NAT_PATH_H
#define ROUTER_NAT_PATH_H

#include "router/router_state.h"

/* Where a packet meets the NAT. */
enum path {
	PATH_OUT,     /* from inside, to beyond */
	PATH_IN,      /* from beyond, to an outer address */
	PATH_HAIRPIN, /* from inside, to an outer address */
	PATH_LOCAL,   /* to the router; no NAT at all */
};

/* What is to become of it. */
enum fate {
	FATE_TRANSLATE, /* to ends, by way */
	FATE_ERROR,     /* it is an ICMP error */
	FATE_LOCAL,     /* it is for the router itself */
};

struct decision {
	enum path path;
	enum fate fate;
	struct nat_ends ends;
	struct way way;
	enum reason reason;
	uint32_t entry, other;
};

/* Decides about a packet that comes by path and, going out, is to leave by way.
 * Nothing of it is changed, but entries are made and refreshed.  REASON_NONE, or
 * why it is refused, which is noted and told. */
enum reason nat_decide(struct router *router, const struct packet *p,
    enum path path, const struct way *way, struct decision *d);

/* Carries out FATE_TRANSLATE. */
enum reason nat_translate(
    struct router *router, struct packet *p, const struct decision *d);

/* A fragment that comes by path. */
enum reason fragment_path(struct router *router, struct packet *p,
    enum path path, const struct way *way);

#endif
