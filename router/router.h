/*
 * router.h - a router of IPv4 and IPv6, with NAT and DHCP, as a node of the
 * fabric.
 *
 * Ports are Ethernet interfaces with one IPv4 address, IPv6 addresses, or both.
 * Packets are forwarded by longest prefix (RFC 1812, RFC 8200), answered with
 * ICMP errors where that is asked for, and, when NAT is set, those of IPv4 are
 * translated at the outer port (RFC 4787, 5382, 5508), and those of IPv6 to
 * behind a prefix become such of IPv4 (RFC 6146).  Loop thread only; all time is
 * the loop's.
 *
 * With NAT, nothing of IPv4 leaves by the outer port with another source than
 * that port's address or one of its pool, and nothing from there reaches the
 * other ports but through an entry of the table.  Between the other ports
 * packets are routed as they are.  A packet whose source is not where its route
 * leads is refused.
 *
 * A frame that is kept until its next hop is resolved, or until its other
 * fragments come, is counted with that verdict, and once more if it is lost in
 * the end.  Tagged frames, and those of a family of which the port has no
 * address, are refused as DROP_ETH_TYPE.
 */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include "net/addr.h"
#include "net/ip6.h"
#include "net/ip64.h"
#include "router/nat_rules.h"
#include "switch/port.h"

struct dhcp_extra;
struct router;

struct router *router_new(
    struct loop *loop, const char *name, uint64_t seed, struct err *err);
/* Says that it will be gone: hosts are told not to use it (RFC 4861 6.2.5), and
 * the groups are left.  It works on until it is freed. */
void router_stop(struct router *router);
void router_free(struct router *router); /* cuts its cables; NULL is fine */
struct node *router_node(struct router *router);

/* Frames that it has taken, and neither sent nor dropped yet. */
struct router_held {
	unsigned int neighbours;  /* until the next hop is resolved, by ARP */
	unsigned int neighbours6; /* the same, by neighbour discovery */
	unsigned int fragments;   /* until the others have come */
};
struct router_held router_held(const struct router *router);

#define ROUTER_ADDRESSES6 4 /* of a port; the link-local one comes with them */

#define ROUTER_DAD_MAX 5

struct router_port_options {
	struct mac mac;
	struct ip4_net address; /* addr 0: no IPv4, or by DHCP */
	/* Where to the port moves when others give another port an address of
	 * its net (RFC 4787 REQ-7); of the same prefix length.  addr 0: it does
	 * not. */
	struct ip4_net instead;
	bool dhcp;              /* it asks others for its address (wan.h) */
	const char *hostname;   /* then: it calls itself so; NULL: not */
	uint64_t dhcp_probe_ns; /* then: how long the link is asked; 0: not */
	struct ip6_net address6[ROUTER_ADDRESSES6];
	unsigned int naddresses6; /* 0: no IPv6 */
	uint32_t mtu_bytes;       /* IP MTU; 0: 1500 */
	bool mss_clamp;           /* TCP ends ask for no more than fits it */
	bool proxy_arp; /* answers for what it reaches elsewhere (RFC 1027) */
	bool
	    no_redirects; /* does not tell of better ways (RFC 792, RFC 4861) */
	/* How often each IPv6 address is asked for before it is used (RFC 4862
	 * 5.1), up to ROUTER_DAD_MAX; 0: once. */
	uint8_t dad_transmits;
	bool no_dad;    /* it is used unasked */
	bool no_errors; /* sends no ICMP errors there (RFC 5508 REQ-9) */
};

/* A new interface named "gw.inside", the router's own, up to 64.  NULL: *err
 * says why (an address that is no host address, a subnet another port has, an
 * MTU too small for IPv6). */
struct port *router_add_port(struct router *router, const char *name,
    const struct router_port_options *options, struct err *err);

enum router_filter_do {
	ROUTER_FILTER_PASS,
	ROUTER_FILTER_DROP,
	ROUTER_FILTER_REJECT, /* and tell the sender */
};

/* A rule for IPv4 packets that come in by in, or are forwarded by out; both NULL:
 * that come in by any.  Rules are tried in their order, the first that matches
 * expression (pcap-filter(7)) decides, and what none matches passes.  At most
 * 256.  0 or -Exxx. */
int router_add_filter(struct router *router, const struct port *in,
    const struct port *out, const char *expression, enum router_filter_do what,
    struct err *err);

/* A static route; 0.0.0.0/0 is the default route.  The next hop must be on a
 * connected subnet.  Up to 4096 with the connected ones.  0 or -Exxx. */
int router_add_route(
    struct router *router, struct ip4_net to, uint32_t via, struct err *err);

/* The same for IPv6; ::/0 is the default route.  via is on a prefix of one of
 * the ports, or it is link-local, and then port says of which link. */
int router_add_route6(struct router *router, const struct ip6_net *to,
    const struct ip6_addr *via, const struct port *port, struct err *err);

/*
 * Lets nothing in by the port outside that was not asked for from inside (RFC
 * 6092).  0 or -Exxx.
 */
struct router_filter6_options {
	struct port *outside;
	enum nat_behaviour filtering;
	uint32_t max_flows;   /* 0: 65536 */
	uint32_t per_station; /* 0: 16384 */
	bool only_asked;      /* not even IPsec, HIP and Mobile IPv6 */
};

int router_set_filter6(struct router *router,
    const struct router_filter6_options *options, struct err *err);

/* Changes addresses of the prefix inside to ones of outside_prefix where they
 * leave by outside, and back (RFC 6296).  Up to 8.  0 or -Exxx. */
int router_add_npt6(struct router *router, struct port *outside,
    const struct ip6_net *inside, const struct ip6_net *outside_prefix,
    struct err *err);

/*
 * Advertises the router on a port with IPv6, and its prefixes, so that hosts
 * find their addresses by themselves (RFC 4861 6.2, RFC 4862); answers who asks
 * for the rest by DHCPv6 without addresses (RFC 8415).  0 or -Exxx.
 */
#define ROUTER_RA_SERVERS 4

struct router_ra_options {
	uint32_t interval_s; /* at most, between two; 0: 600 */
	bool has_lifetime;   /* else three times that */
	uint32_t lifetime_s; /* as a default router; 0: it is none */
	bool managed, other; /* tells hosts to ask by DHCPv6 */
	bool not_on_link, not_autonomous; /* of all prefixes */
	uint32_t valid_s, preferred_s;    /* 0: 30 days, 7 days */
	uint8_t hop_limit;                /* for hosts; 0: 64 */
	struct ip6_addr dns[ROUTER_RA_SERVERS];
	unsigned int ndns;
	char domain[64]; /* "": none is told */
};

int router_set_ra(struct router *router, struct port *port,
    const struct router_ra_options *options, struct err *err);

/*
 * Serves DHCP on port: addresses first to last, which lie in its subnet.  Before
 * an address is offered to a new client, the link is asked for it for probe_ns:
 * who answers keeps it.
 */
struct router_dhcp_options {
	uint32_t first, last;
	uint32_t lease_s;     /* 0: 3600 */
	uint32_t short_s;     /* until it is lengthened; 0: not shorter */
	uint32_t dns;         /* 0: none is told */
	char domain[64];      /* "": none is told */
	uint64_t probe_ns;    /* 0: not asked */
	uint32_t per_station; /* leases of one; 0: 16 */
	const struct dhcp_extra *extra; /* copied; told to who asks for them */
	unsigned int nextra;
};

int router_set_dhcp(struct router *router, struct port *port,
    const struct router_dhcp_options *options, struct err *err);

/* Likewise for the clients of another subnet, whose messages a relay there
 * passes on to port; they are told relay, which has an address there, as their
 * router.  Up to ROUTER_RELAYED of them. */
#define ROUTER_RELAYED 32
int router_add_dhcp_relayed(struct router *router, struct port *port,
    struct ip4_net relay, const struct router_dhcp_options *options,
    struct err *err);

/* Passes DHCP on between the clients on port's link and servers elsewhere. */
#define ROUTER_RELAY_SERVERS 4
struct router_dhcp_relay_options {
	uint32_t servers[ROUTER_RELAY_SERVERS];
	unsigned int nservers;
	bool info; /* tells them by which port a client came (RFC 3046) */
};

int router_set_dhcp_relay(struct router *router, struct port *port,
    const struct router_dhcp_relay_options *options, struct err *err);

/* A fixed address for one MAC address, within the port's subnet or one that is
 * served there. */
int router_add_reservation(struct router *router, struct port *port,
    const struct mac *mac, uint32_t addr, struct err *err);

/*
 * Answers DNS at the addresses of all ports but a NAT's outside.  lookup gives
 * the addresses of a name, as "alice" or "alice.lab", IPv4 ones as ip6.h has
 * them within IPv6 ones, and returns how many;
 * -ENOENT: it would be the lab's, but does not exist; -1: it is asked for
 * upstream.  reverse gives the name of an address; false: it has none here.
 *
 * IPv6 addresses are asked for upstream if ip6 is set, and made of IPv4 ones
 * where there are none (RFC 6147) if dns64 is a prefix (bits: 0: it is none).
 */
#define ROUTER_DNS_UPSTREAMS 4
struct router_dns_options {
	int (*lookup)(void *arg, const char *name, struct ip6_addr *addr,
	    unsigned int max);
	bool (*reverse)(void *arg, uint32_t addr, char *name, size_t bytes);
	void *arg;
	bool ip6;
	struct ip64_prefix dns64;
	/* 0: none, other names do not exist */
	uint32_t upstream[ROUTER_DNS_UPSTREAMS];
	unsigned int nupstreams;
	uint16_t upstream_port;
};

int router_set_dns(struct router *router,
    const struct router_dns_options *options, struct err *err);

struct router_nat_pair {
	uint32_t out_ip, in_ip;
};

struct router_nat_options {
	struct port *outside;
	/* The outside addresses that inside hosts get, up to 255 in any order;
	 * 0: the port's.  ARP is answered for them there.  Borrowed. */
	const uint32_t *pool;
	unsigned int npool;
	/* Addresses that are one inside host's each, with all ports, whoever
	 * speaks first: of no pool, nor the port's.  Borrowed. */
	const struct router_nat_pair *pairs;
	unsigned int npairs;
	/* Outside nets whose hosts and those inside see each other as they are,
	 * without NAT and its filters (RFC 6888 REQ-6).  Borrowed. */
	const struct ip4_net *exempt;
	unsigned int nexempt;
	uint32_t max_entries; /* 0: 65536 */
	struct nat_rules rules;
	/* NAT64 (RFC 6146): IPv6 hosts behind the ports that there are by now
	 * reach what is beyond the outer port behind this prefix.  bits 0:
	 * none. */
	struct ip64_prefix nat64;
};

int router_set_nat(struct router *router,
    const struct router_nat_options *options, struct err *err);

/* The rules of a router's NAT; NULL: it has none. */
const struct nat_rules *router_nat_rules(const struct router *router);

/* Changes them.  Sessions that live go on as they are, but for timers, which
 * hold for all; new ones follow the new rules.  0 or -Exxx with *err, and
 * nothing is changed. */
int router_change_nat(
    struct router *router, const struct nat_rules *rules, struct err *err);

enum router_pcp_protocols {
	ROUTER_PCP_BOTH,
	ROUTER_PCP_ONLY,
	ROUTER_NATPMP_ONLY,
	ROUTER_PCP_PROTOCOLS,
};

enum router_pcp_opcodes {
	ROUTER_PCP_MAP_AND_PEER,
	ROUTER_PCP_MAP,
	ROUTER_PCP_PEER,
	ROUTER_PCP_OPCODES,
};

#define ROUTER_PCP_MIN_S 120 /* RFC 6887 15 */
#define ROUTER_PCP_MAX_S 86400

/*
 * Lets hosts inside ask for mappings of the NAT, by PCP and NAT-PMP, and for
 * holes in the filter of IPv6, by PCP, at the addresses of all ports but the
 * outside.  What is asked for by PCP lasts for min_s at least; all lasts for
 * max_s if more is asked for.
 */
struct router_pcp_options {
	enum router_pcp_protocols protocols;
	enum router_pcp_opcodes opcodes; /* those of PCP */
	bool third_party;                /* for others than themselves, too */
	uint32_t min_s, max_s;           /* 0: as above */
};

/* After router_set_nat(), router_set_filter6() and router_add_npt6(), of which
 * one has been called at least.  0 or -Exxx. */
int router_set_pcp(struct router *router,
    const struct router_pcp_options *options, struct err *err);

/* An outside end that is an inside one's for ever, for all senders. */
struct router_forward {
	uint8_t protocol; /* IP_TCP, IP_UDP */
	uint32_t out_ip;  /* an address of the NAT; 0: the outside port's */
	uint16_t out_port;
	uint32_t in_ip;
	uint16_t in_port;
};

/* An inside end has one at most.  0, or -Exxx with *err: it is not inside, or
 * one of both ends has another mapping. */
int router_add_forward(struct router *router,
    const struct router_forward *forward, struct err *err);

/* Ends that of the outside end; what passes by it goes on until it is silent.
 * -ENOENT: there is none. */
int router_end_forward(struct router *router,
    const struct router_forward *forward, struct err *err);

/* ---- what `show` prints; each calls each() for every row ---- */

struct nat_row {
	uint32_t id;      /* as in verdicts; 0: a mapping that was asked for */
	uint8_t protocol; /* IP_TCP, IP_UDP, IP_ICMP */
	/* TCP: "opening", "opening-in", "established", "closing",
	 * "closing-in", "finished", "reset"; else "one-way", "two-way".
	 * With id 0: "pinned", or "one-to-one", by protocol 0. */
	const char *state;
	const char *why; /* it exists: a sentence of its first packet */
	uint32_t inside_ip, outside_ip, remote_ip;
	struct ip6_addr inside6, remote6; /* NAT64; else ::, and inside_ip */
	uint16_t inside_port, outside_port, remote_port; /* ICMP: id, id, 0 */
	uint64_t left_ns; /* until it expires; UINT64_MAX: never */
	uint64_t out_frames, out_bytes, in_frames, in_bytes;
};

void router_each_nat(const struct router *router,
    void (*each)(void *arg, const struct nat_row *row), void *arg);

/* A walk over the same rows that goes on later; all zeros: it begins.  What is
 * there all the time is seen once, as it is then; of what begins or ends
 * meanwhile, some. */
struct nat_walk {
	uint32_t addresses, pins, sessions; /* places that are behind it */
};

/* Goes on past at most n places, of which some have rows.  False: that was the
 * end. */
bool router_walk_nat(const struct router *router, struct nat_walk *walk,
    uint32_t n, void (*each)(void *arg, const struct nat_row *row), void *arg);

/* The most recent packets that NAT refused (up to 64), oldest first. */
struct refusal_row {
	uint64_t at_ns;
	enum reason reason;
	uint8_t protocol;
	uint32_t src_ip, dst_ip;
	uint16_t src_port, dst_port;
};

void router_each_refusal(const struct router *router,
    void (*each)(void *arg, const struct refusal_row *row), void *arg);

struct arp_row {
	const struct port *port;
	struct ip6_addr ip; /* or an IPv4 address in it (ip6_to_ip4()) */
	struct mac mac;
	const char *state; /* "asking", "known", "checking" */
	uint64_t age_ns;
};

void router_each_arp(const struct router *router,
    void (*each)(void *arg, const struct arp_row *row), void *arg);

struct lease_row {
	const struct port *port;
	uint32_t ip;
	struct mac mac;
	char hostname[64];
	/* "offered", "leased", "expired", "declined", "reserved" */
	const char *state;
	uint64_t left_ns;
};

void router_each_lease(const struct router *router,
    void (*each)(void *arg, const struct lease_row *row), void *arg);

/* A flow of the filter of IPv6, or a hole in it that was asked for. */
struct flow6_row {
	uint32_t id;       /* as in verdicts; 0: a hole */
	uint8_t protocol;  /* of a hole: 0 is any, and so are ports */
	const char *state; /* as of nat_row */
	const char *why;   /* the same */
	bool from_outside; /* it began there */
	struct ip6_addr inside, remote;
	uint16_t port, remote_port; /* ICMPv6: id, id */
	uint64_t left_ns;           /* until it expires */
	uint64_t out_frames, out_bytes, in_frames, in_bytes;
};

void router_each_flow6(const struct router *router,
    void (*each)(void *arg, const struct flow6_row *row), void *arg);

/* A port that gets its address by DHCP. */
struct wan_row {
	const struct port *port;
	const char *state;      /* of the client: "selecting", "bound", ... */
	struct ip4_net address; /* this and the rest 0: none */
	uint32_t server, gateway, dns, mtu_bytes;
	uint64_t left_ns; /* of the lease; UINT64_MAX: it is for ever */
	/* The last offer was refused for that; REASON_NONE: it was not. */
	enum reason why;
	uint32_t refused_server;
};

void router_each_wan(const struct router *router,
    void (*each)(void *arg, const struct wan_row *row), void *arg);

/* Has what becomes of them told; NULL: to the log.  The sentence is borrowed. */
void router_on_address(struct router *router,
    void (*tell)(void *arg, const char *sentence), void *arg);

/* Gives back what addresses others have given to its ports. */
void router_release(struct router *router);

/* The IPv4 address of a port now; addr 0: it has none. */
struct ip4_net router_port_address(
    const struct router *router, const struct port *port);

/* What of a lease outlives the router.  That of a port which gets its address
 * by DHCP has no client. */
struct lease_saved {
	const struct port *port;
	uint32_t ip;
	struct mac mac;
	char hostname[64];
	bool declined;
	uint8_t client[256]; /* how the server tells clients apart */
	uint16_t client_bytes;
	uint64_t left_ns; /* 0: it has ended */
};

/* Counts what a restored router would not know. */
uint64_t router_lease_changes(const struct router *router);
void router_save_leases(const struct router *router,
    void (*each)(void *arg, const struct lease_saved *saved), void *arg);
/* 0; -EINVAL: no port of the router has it to give. */
int router_restore_lease(
    struct router *router, const struct lease_saved *saved);

struct route_row {
	struct ip4_net to;
	uint32_t via; /* 0: connected */
	const struct port *port;
};

void router_each_route(const struct router *router,
    void (*each)(void *arg, const struct route_row *row), void *arg);

struct route6_row {
	struct ip6_net to;
	struct ip6_addr via; /* zero: connected */
	const struct port *port;
};

void router_each_route6(const struct router *router,
    void (*each)(void *arg, const struct route6_row *row), void *arg);

#endif
