/*
 * groups_state.h - what the groups_*.c files share: VLANs and their queriers,
 * groups, members and sources.
 */
#ifndef SWITCH_GROUPS_STATE_H
#define SWITCH_GROUPS_STATE_H

#include <sys/queue.h>

#include "switch/groups.h"

#define GROUPS_NS_PER_MS UINT64_C(1000000)
#define GROUPS_NS_PER_S  UINT64_C(1000000000)

/* Where packets from a source go that some member has named. */
struct named {
	LIST_ENTRY(named) link;
	struct ip6_addr addr;
	unsigned int refs; /* members' sources */
	struct port_set only;
};

/* A source is let through while its timer runs, even in exclude mode; there,
 * one whose timer has run out is kept back. */
struct source {
	LIST_ENTRY(source) link;
	struct named *named;
	uint64_t until_ns;
	uint8_t asks;       /* queries for it that are still to be sent */
	bool listed, fresh; /* by the record in hand */
};

struct member {
	LIST_ENTRY(member) in_group, in_port;
	struct group *group;
	struct group_port *port;
	bool exclude;
	uint64_t until_ns;        /* of exclude mode */
	uint64_t old_until_ns[2]; /* hosts of versions 1 and 2 are there */
	LIST_HEAD(, source) sources;
	unsigned int nsources;
	uint8_t asks;    /* as of a source */
	uint64_t ask_ns; /* the next of these queries */
};

struct group {
	struct group *next; /* in its bucket */
	struct ip6_addr addr;
	uint16_t vlan;
	LIST_HEAD(, member) members;
	LIST_HEAD(, named) named;
	struct port_set only; /* where packets from other sources go */
};

struct group_port {
	unsigned int index;
	bool used, router;
	LIST_HEAD(, member) members;
	unsigned int nmembers, nsources;
	uint64_t next_ns; /* something of its members is due */
	struct groups_port_counts counts;
};

struct group_router {
	LIST_ENTRY(group_router) link;
	unsigned int port;
	uint64_t until_ns;
};

enum querier_state {
	QUERIER_NONE,
	QUERIER_OTHER,
	QUERIER_SELF,
	QUERIER_NSTATES
};

/* Of one VLAN and one family. */
struct querier {
	struct groups *groups;
	uint16_t vlan;
	bool ip6;
	uint8_t state;     /* enum querier_state */
	uint64_t trust_ns; /* the members are known from then on */
	/* OTHER */
	struct ip6_addr address;
	unsigned int port;
	uint64_t until_ns;
	/* SELF */
	uint64_t next_ns;     /* general query */
	unsigned int startup; /* queries left to be sent fast */
	/* in force: ours, or the other's */
	uint8_t robustness;
	uint64_t query_ns, response_ns;
	LIST_HEAD(, group_router) routers;
	struct port_set to_routers; /* the same, and by the lab file */
};

struct group_vlan {
	LIST_ENTRY(group_vlan) link;
	struct querier querier[2]; /* of IPv4, of IPv6 */
};

struct groups {
	struct groups_options options;
	const struct groups_calls *calls;
	void *arg;
	uint64_t seed;
	struct group **bucket;
	unsigned int nbuckets, ngroups;
	struct group_port **port;
	unsigned int nports;
	struct group_vlan *vlan[GROUPS_VLANS]; /* NULL: none yet */
	LIST_HEAD(, group_vlan) vlans;
};

/* groups_table.c */
struct group *groups_lookup(
    const struct groups *groups, uint16_t vlan, const struct ip6_addr *addr);
struct member *group_member(const struct group *group, unsigned int port);
/* NULL: the port has its fill, or no memory; counted. */
struct member *member_new(struct groups *groups, uint16_t vlan,
    const struct ip6_addr *addr, unsigned int port);
void member_free(struct groups *groups, struct member *m);
struct source *member_find(const struct member *m, const struct ip6_addr *addr);
/* NULL: the membership or its port has its fill, or no memory. */
struct source *member_add(struct member *m, const struct ip6_addr *addr);
void member_drop(struct groups *groups, struct member *m, struct source *s);
void member_drop_all(struct groups *groups, struct member *m);
/* Does what time has done to it; false: it is gone. */
bool member_settle(struct groups *groups, struct member *m, uint64_t now_ns);
/* When something of it is due. */
uint64_t member_next_ns(const struct member *m, uint64_t now_ns);
/* Puts into the group's sets what its port wants now. */
void member_publish(
    const struct groups *groups, const struct member *m, uint64_t now_ns);
/* The same for a port that has become a router's, or is none any more. */
void groups_publish_router(const struct groups *groups, const struct querier *q,
    unsigned int port, uint64_t now_ns);

/* groups_report.c */
bool group_is_of_link(const struct ip6_addr *group); /* never restricted */
void groups_report(struct groups *groups, struct querier *q, unsigned int port,
    struct member_msg *msg, uint64_t now_ns);

/* groups_query.c */
void querier_init(struct querier *q, struct groups *groups, uint16_t vlan,
    bool ip6, uint64_t now_ns);
void querier_free(struct querier *q);
/* A query, or another word of a router, came by port. */
void querier_heard(struct querier *q, unsigned int port, struct member_msg *msg,
    uint64_t now_ns);
void querier_router(
    struct querier *q, unsigned int port, uint64_t until_ns, uint64_t now_ns);
void querier_router_gone(struct querier *q, unsigned int port, uint64_t now_ns);
void querier_restart(struct querier *q, uint64_t now_ns);
uint64_t querier_run(struct querier *q, uint64_t now_ns);
/* A port came or went that may be a router's by the lab file. */
void querier_static(struct querier *q, unsigned int port, uint64_t now_ns);
/* Sends what a member that may be the last was to be asked, if it is due. */
void querier_ask(struct querier *q, struct member *m, uint64_t now_ns);
struct ip6_addr querier_address(const struct querier *q); /* ours */
/* How long a membership that was reported lasts (RFC 3376 8.4). */
uint64_t querier_member_ns(const struct querier *q);
/* How long one lasts that was asked for (8.8). */
uint64_t querier_last_ns(const struct querier *q);

/* groups.c: NULL if there is none and no memory for one. */
struct querier *groups_querier(
    struct groups *groups, uint16_t vlan, bool ip6, uint64_t now_ns);
/* That of a group, which has one. */
struct querier *group_querier(
    const struct groups *groups, const struct group *g);

static inline uint64_t
groups_sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif
