/*
 * groups.h - which ports of a switch want which multicast groups: IGMP and MLD
 * snooping with a querier (RFC 4541).
 *
 * A table of members by VLAN, group and port, each with a router's state for
 * its sources (RFC 3376 6, RFC 3810 7), the ports that multicast routers are
 * behind, and for each VLAN and family the querier in charge.  A pure module:
 * messages, link changes and time are arguments; queries leave by a call.  Its
 * user calls groups_run() after each message and at the time that it returned.
 *
 * Groups of the link (224.0.0.0/24, ff01::/16, ff02::/16) are never restricted.
 * Nor is any while no querier is there, and for one response time after one has
 * come: nobody would ask the members who are still there.
 *
 * Each port has at most max_groups memberships and GROUP_PORT_SOURCES sources,
 * each membership at most GROUP_SOURCES of them.  What is beyond: a membership
 * is refused and counted; one with more sources is kept as of all sources, so
 * that nothing is missed.  So a flooding guest fills its own part alone.
 */
#ifndef SWITCH_GROUPS_H
#define SWITCH_GROUPS_H

#include <stdint.h>

#include "net/membership.h"
#include "switch/port_set.h"

#define GROUP_SOURCES      32   /* of one membership */
#define GROUP_PORT_SOURCES 1024 /* of all memberships of one port */
#define GROUP_MAX          256  /* default of max_groups */
#define GROUP_QUERY_S      125  /* between general queries (RFC 3376 8.2) */
#define GROUP_RESPONSE_S   10   /* in which members answer (8.3) */
#define GROUP_LAST_MS      1000 /* the same for the last member (8.8) */
#define GROUP_ROBUST       2    /* of a kind, as one may be lost (8.1) */
#define GROUPS_VLANS       4096
#define GROUPS_NEVER       UINT64_MAX
#define GROUPS_ALL_PORTS   UINT32_MAX

enum groups_unregistered {
	GROUPS_TO_ROUTERS, /* what nobody joined goes to routers alone */
	GROUPS_FLOOD,
};

struct groups_options {
	enum groups_unregistered unregistered;
	bool fast_leave;  /* one host to a port: who leaves is the last */
	uint32_t querier; /* our IPv4 address as a querier; 0: we are none */
	struct mac mac;   /* the same for MLD, whose address follows from it */
	uint64_t query_ns, response_ns, last_ns; /* 0: the defaults */
	uint8_t robustness;                      /* up to 7; 0: GROUP_ROBUST */
	uint8_t igmp, mld;       /* versions of our queries; 0: the newest */
	unsigned int max_groups; /* of a port; 0: GROUP_MAX */
};

struct groups_calls {
	/* Sends a query into a VLAN, by one port or by GROUPS_ALL_PORTS. May
	 * not call groups_run(). */
	void (*query)(void *arg, uint16_t vlan, uint32_t port,
	    const struct member_query *query);
	/* Frees memory, once no set that was borrowed is in use any more. */
	void (*free_later)(void *arg, void *memory);
};

struct groups;

/* The caller's to free.  seed keys the hash.  NULL: no memory. */
struct groups *groups_new(const struct groups_options *options, uint64_t seed,
    const struct groups_calls *calls, void *arg);
/* No set may be borrowed any more.  NULL is fine. */
void groups_free(struct groups *groups);

/* A port is there; 0, or -ENOMEM: it is as if it were not.  Or is no more. */
int groups_add(struct groups *groups, unsigned int port);
void groups_remove(struct groups *groups, unsigned int port, uint64_t now_ns);
/* Whether a multicast router is behind it, whatever is heard. */
void groups_set_router(
    struct groups *groups, unsigned int port, bool router, uint64_t now_ns);
/* A link that is down has no members and no routers. */
void groups_link(
    struct groups *groups, unsigned int port, bool up, uint64_t now_ns);
/* A VLAN is in use: if we are to be a querier, we are one there. 0, -ENOMEM. */
int groups_vlan(struct groups *groups, uint16_t vlan, uint64_t now_ns);
/* Ports behind ports may have moved: ask all anew. */
void groups_changed(struct groups *groups, uint64_t now_ns);

/*
 * Sets of ports are borrowed: their memory stays until it is given to
 * free_later(), their contents change as members come and go.
 */

/* Takes a message that came by port.  The ports that it goes to; NULL: all. */
const struct port_set *groups_receive(struct groups *groups, uint16_t vlan,
    unsigned int port, struct member_msg *msg, uint64_t now_ns);

/* The ports that a packet from src to group goes to; NULL: all.  Changes
 * nothing. */
const struct port_set *groups_find(const struct groups *groups, uint16_t vlan,
    bool ip6, const struct ip6_addr *group, const struct ip6_addr *src,
    uint64_t now_ns);

/* Does what is due.  When to be called again, or GROUPS_NEVER. */
uint64_t groups_run(struct groups *groups, uint64_t now_ns);

struct groups_port_counts {
	uint64_t reports, queries;
	uint64_t refused; /* memberships beyond max_groups */
	uint64_t widened; /* memberships of too many sources */
};

const struct groups_port_counts *groups_counts(
    const struct groups *groups, unsigned int port);

/* One membership. */
struct group_row {
	uint16_t vlan;
	unsigned int port;
	struct ip6_addr group;
	bool exclude;          /* all but some sources, or only some */
	unsigned int nsources; /* that are let through, or kept back */
	uint8_t version;       /* of IGMP or MLD that the port's hosts speak */
	uint64_t left_ns;      /* until it is forgotten */
};

void groups_each(const struct groups *groups, uint64_t now_ns,
    void (*each)(void *arg, const struct group_row *row), void *arg);

/* One port with a multicast router, or a querier. */
struct group_router_row {
	uint16_t vlan;
	bool ip6;
	uint32_t port;           /* GROUPS_ALL_PORTS: our own querier */
	const char *what;        /* "querier", "router", "by the lab file" */
	struct ip6_addr address; /* of a querier */
	uint64_t left_ns;        /* GROUPS_NEVER: for ever */
};

void groups_each_router(const struct groups *groups, uint64_t now_ns,
    void (*each)(void *arg, const struct group_router_row *row), void *arg);

#endif
