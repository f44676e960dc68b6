/*
 * groups6.h - the IPv6 groups that a port has joined, and telling of them by MLD
 * (RFC 3810 6, RFC 2710 where a querier speaks that).
 *
 * They are all routers, the solicited-node groups of the port's addresses, and
 * that of DHCPv6 servers where the port advertises.  All nodes' is joined and
 * never told of.  Who snoops then forwards them to the port.
 *
 * A change is told of at once, and once more within a second; queries are
 * answered within the time that they say.  One of sources is answered as one of
 * its group: all sources are wanted.
 */
#ifndef ROUTER_GROUPS6_H
#define ROUTER_GROUPS6_H

#include "base/loop.h"
#include "net/mld.h"
#include "router/router.h"

/* All routers and DHCPv6 servers, the link-local address, and for each address
 * itself and any router of its subnet; as many that are being left. */
#define GROUPS6_MAX (2 * (3 + 2 * ROUTER_ADDRESSES6))

struct iface;
struct packet6;

struct group6 {
	struct ip6_addr addr;
	bool wanted;     /* else it is being left */
	uint8_t left;    /* reports of the change that are still to be sent */
	uint64_t due_ns; /* an answer; UINT64_MAX: none */
};

struct groups6 {
	struct group6 group[GROUPS6_MAX];
	unsigned int n;
	bool told;           /* of any of them */
	uint64_t change_ns;  /* the next report of changes; UINT64_MAX: none */
	uint64_t all_ns;     /* an answer of all groups; the same */
	uint64_t v1_till_ns; /* a querier of version 1 is there */
	struct loop_timer timer;
};

void groups6_init(struct iface *iface);
void groups6_free(struct iface *iface);

/* The link has changed: nobody has been told anything. */
void groups6_link(struct iface *iface);
/* The port's addresses, or what it serves, have changed. */
void groups6_changed(struct iface *iface);
/* The port will be gone: all groups are left, with one last message. */
void groups6_leave(struct iface *iface);

bool groups6_has(const struct iface *iface, const struct ip6_addr *group);

/* An MLD message; c is the payload of its packet. */
enum reason groups6_take(
    struct iface *iface, const struct packet6 *p, struct cursor c);

#endif
