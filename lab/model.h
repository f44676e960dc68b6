/*
 * model.h - a lab file as structs: what it names, typed and cross-referenced.
 *
 * schema.c fills these in by its table, model.c resolves names, check.c says
 * what cannot be.  All memory belongs to the lab's arena, and every item keeps
 * its place in the file.  A lab that lab_load() returned is consistent:
 * whoever brings it up need not check it again.
 */
#ifndef LAB_MODEL_H
#define LAB_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lab/any_ip.h"
#include "lab/arena.h"
#include "lab/nat_keys.h"
#include "lab/problem.h"
#include "lab/measure.h"
#include "lab/rules.h"
#include "lab/units.h"
#include "lab/wire.h"
#include "lab/yaml.h"
#include "net/addr.h"
#include "net/reason.h"
#include "switch/port.h"

/* A switch port is SWITCH.NODE.PORT and fits into NODE_NAME_BYTES. */
#define LAB_NAME_MAX         20
#define LAB_NODES_MAX        4096
#define LAB_SWITCHES_MAX     128 /* frames pass them by nested calls */
#define LAB_ROUTER_PORTS_MAX 64
#define LAB_CABLES_MAX       8 /* side by side, of an uplink */
#define LAB_BRIDGES_MAX      64

/* The first member of everything that stands in the file on its own. */
struct lab_item {
	const char *name;        /* NULL in lists */
	const struct yaml *node; /* NULL: not in the file */
};

struct lab_text {
	const char *text;
	const struct yaml *node;
};

struct lab_texts {
	struct lab_text *list;
	unsigned int n;
};

struct lab_range {
	uint32_t first, last; /* 0: none */
};

enum lab_kind {
	LAB_SWITCH,
	LAB_ROUTER,
	LAB_VM,
	LAB_HOST,
	LAB_PLUG,
	LAB_BRIDGE
};

/* An MSTI: what a switch says of it, or a switch's port. */
struct lab_stp_instance {
	struct lab_item item;
	uint64_t id, cost, priority;
	struct vlan_set vlans;
};

/* A switch's port in its spanning tree. */
struct lab_stp_port {
	struct lab_item item;
	const char *to; /* the other end: "core", "alice.eth0" */
	uint64_t cost, priority;
	int edge; /* enum stp_edge */
	bool bpdu_guard, root_guard, tcn_guard, point_to_point;
	struct lab_stp_instance *instances;
	unsigned int ninstances;
};

struct lab_stp {
	struct lab_item item;
	int mode; /* enum stp_mode */
	uint64_t priority, hello_ns, max_age_ns, forward_delay_ns, hold,
	    max_hops, revision;
	const char *region;
	struct lab_stp_instance *instances;
	unsigned int ninstances;
	struct lab_stp_port *ports;
	unsigned int nports;
};

struct lab_bond;

/* Cables from one switch to another, whose name is the item's. */
struct lab_uplink {
	struct lab_item item;
	struct lab_switch *up;
	uint64_t cables;                        /* how many, side by side */
	const char *bond_name;                  /* at both ends */
	const struct lab_bond *bond, *far_bond; /* of that name, resolved */
	struct lab_rules rules;                 /* of both ends */
	/* As a port's. */
	struct lab_wire wire[WIRE_DIRECTIONS], ways[WIRE_DIRECTIONS];
};

/* Copies of what passes some ports of a switch. */
struct lab_mirror {
	struct lab_item item;
	struct lab_texts of, in, out; /* NODE.PORT; of: both ways */
	uint64_t vlan;
	const char *to; /* NODE.PORT */
};

struct lab_bond {
	struct lab_item item;
	int mode; /* enum bond_mode */
	int hash; /* enum flow_level */
	int rate; /* 0: slow, 1: fast */
	bool symmetric, individual;
	uint64_t min_links, max_links, system_priority, key; /* 0: default */
};

enum lab_lldp_mode { LLDP_BOTH, LLDP_SEND, LLDP_RECEIVE };

struct lab_lldp {
	struct lab_item item;
	int mode; /* enum lab_lldp_mode */
	uint64_t interval_ns, hold;
	uint32_t address;
};

struct lab_snooping {
	struct lab_item item;
	uint32_t querier; /* 0: none */
	int unregistered; /* enum groups_unregistered */
	bool fast_leave;
	uint64_t query_ns, response_ns, last_ns, robustness, igmp, mld;
	uint64_t max_groups;
};

struct lab_switch {
	struct lab_item item;
	uint64_t ageing_ns, macs;
	struct lab_stp stp; /* stp.item.node NULL: none */
	struct lab_uplink *uplinks;
	unsigned int nuplinks;
	struct lab_mirror *mirrors;
	unsigned int nmirrors;
	struct lab_texts forward; /* reserved addresses */
	bool loop_guard;
	struct lab_bond *bonds;
	unsigned int nbonds;
	struct lab_lldp lldp;         /* item.node NULL: it is silent */
	struct lab_snooping snooping; /* the same: groups are flooded */
};

struct lab_reserve {
	struct lab_item item;
	const char *port; /* "alice.eth0" */
	uint32_t address;
	const struct lab_port *of;
};

/* One more option of DHCP; text, hex or addresses is its value. */
struct lab_dhcp_option {
	struct lab_item item;
	uint64_t code;
	const char *text, *hex;
	struct lab_texts addresses;
};

/* A subnet whose clients come to a DHCP server by a relay. */
struct lab_relayed {
	struct lab_item item;
	struct ip4_net relay; /* has an address there */
	struct lab_range range;
	uint32_t dns; /* 0: as of the port */
};

/* Advertisements of a router's port. */
struct lab_ra {
	struct lab_item item;
	uint64_t interval_ns, lifetime_ns, valid_ns, preferred_ns, hop_limit;
	bool managed, other, on_link, autonomous;
	struct ips6 dns;
	const char *domain;
};

/* A port of a router, VM, host, plug or bridge. */
struct lab_port {
	struct lab_item item;       /* "inside" */
	char full[NODE_NAME_BYTES]; /* "gw.inside" */
	enum lab_kind kind;
	const struct lab_item *owner;
	const char *sw_name, *cable; /* where it is plugged: one of them */
	struct lab_switch *sw;
	const char *bond_name; /* at the switch */
	uint64_t bond_priority;
	bool multicast_router;
	const struct lab_bond *bond; /* of bond_name, resolved */
	struct lab_port *peer;       /* the other end of a direct cable */
	struct mac mac;              /* as given, or derived from the name */
	struct ip4_net address;      /* addr 0: by DHCP, or none */
	bool by_dhcp;                /* routers only: it is dhcp */
	bool asks_dhcp;         /* VMs only: none is given, and there is IPv4 */
	struct ip4_net instead; /* routers only; addr 0: none */
	struct nets6 address6;  /* routers and VMs */
	uint32_t gateway, dns;
	struct ips6 gateway6, dns6; /* VMs only */
	uint64_t mtu;               /* IP, bytes; 0: the default */
	uint64_t dad; /* routers: solicitations for each of address6 */
	bool mss_clamp, proxy_arp, redirects, icmp_errors; /* routers only */
	uint64_t queues; /* VMs: pairs of them */
	/* By enum lab_direction, as in the file; and what follows for each
	 * direction of the cable (WIRE_OUT, WIRE_IN). */
	struct lab_wire wire[WIRE_DIRECTIONS], ways[WIRE_DIRECTIONS];
	struct lab_rules rules; /* of the switch's end */
	/* routers only */
	struct lab_ra ra; /* item.node NULL: it advertises nothing */
	struct lab_range dhcp;
	uint64_t lease_ns, probe_ns, per_station;
	struct lab_texts relay; /* addresses of DHCP servers elsewhere */
	bool relay_info;
	const char *domain;
	struct lab_relayed *relayed;
	unsigned int nrelayed;
	struct lab_dhcp_option *options;
	unsigned int noptions;
	struct lab_reserve *reserve;
	unsigned int nreserve;
};

struct lab_nat {
	struct lab_item item;
	const char *outside;
	uint64_t limit;
	struct ip64_prefix nat64; /* bits 0: none */
	struct lab_nat_rules rules;
	struct lab_texts addresses, forwards, pairs, exempt; /* outside.h */
	struct lab_port *out; /* outside, resolved */
};

/* What is let in of IPv6. */
struct lab_firewall6 {
	struct lab_item item;
	const char *outside;
	int filtering; /* enum nat_behaviour */
	uint64_t flows, per_station;
	bool unasked;
	struct lab_port *out; /* outside, resolved */
};

/* A prefix of IPv6 that is another one outside. */
struct lab_npt6 {
	struct lab_item item;
	const char *port_name;
	struct any_net inside, outside;
	struct lab_port *port; /* of that name, resolved */
};

struct lab_route {
	struct lab_item item;
	struct any_net to;
	struct any_ip via;
	const char *port_name; /* NULL: not given */
	struct lab_port *port; /* of that name, resolved */
};

/* A rule for packets through a router. */
struct lab_filter {
	struct lab_item item;
	const char *in, *out, *match;
	int what; /* enum router_filter_do */
};

struct lab_dns {
	struct lab_item item;
	struct lab_texts upstream; /* addresses */
	uint64_t port;
	const char *domain;
	struct ip64_prefix dns64; /* bits 0: none */
};

/* Who may ask for mappings of the NAT, and holes in the filter of IPv6. */
struct lab_pcp {
	struct lab_item item;
	int protocols; /* enum router_pcp_protocols */
	int opcodes;   /* enum router_pcp_opcodes */
	bool third_party;
	uint64_t min_ns, max_ns;
};

struct lab_router {
	struct lab_item item;
	struct lab_port *ports;
	unsigned int nports;
	struct lab_nat nat;             /* nat.item.node NULL: no NAT */
	struct lab_firewall6 firewall6; /* item.node NULL: none */
	struct lab_npt6 *npt6;
	unsigned int nnpt6;
	struct lab_route *routes;
	unsigned int nroutes;
	struct lab_dns dns; /* item.node NULL: it answers none */
	struct lab_pcp pcp; /* the same */
	struct lab_filter *filter;
	unsigned int nfilter;
	const char *leases; /* the file that keeps them; NULL: none */
};

/* The last one is not named in a file: neither guest nor kernel, but a disk. */
enum lab_guest { GUEST_TINY, GUEST_LINUX, GUEST_DISK };
enum lab_engine { ENGINE_AUTO, ENGINE_KVM, ENGINE_EMULATE, ENGINE_QEMU };

/* Their names in the file; NULL at the end.  Engines have them, too, but for
 * qemu, which is a program of others. */
extern const char *const lab_guests[], *const lab_engines[];

struct lab_disk {
	struct lab_item item; /* of its VM, if that has it by "disk:" */
	const char *file;     /* as in the lab file */
	const char *base;     /* what it is made on top of, if it is missing */
	uint64_t size_bytes;  /* the same; 0: not made */
	bool read_only;
};

struct lab_vm {
	struct lab_item item;
	int guest; /* enum lab_guest; without meaning beside kernel */
	const char *kernel, *initrd, *cmdline;
	const char *disk;       /* the first of disks, in the short form */
	struct lab_disk *disks; /* that one and the others */
	unsigned int ndisks;
	uint64_t memory_bytes, vcpus, balloon_bytes;
	int engine;      /* enum lab_engine */
	bool no_sandbox; /* by the command line */
	struct lab_port *ports;
	unsigned int nports;
};

struct lab_send {
	struct lab_item item;
	uint32_t to;
	int protocol; /* enum traffic_kind */
	uint64_t port, source_port, frame_bytes, every_ns, count, start_ns;
};

struct lab_host {
	struct lab_item item;
	struct lab_port port;
	struct lab_send send; /* send.item.node NULL: it only answers */
};

struct lab_plug {
	struct lab_item item;
	struct lab_port port;
	const char *locator;
};

enum lab_bridge_mode {
	BRIDGE_BRIDGED,
	BRIDGE_MAC_NAT,
	BRIDGE_MONITOR,
	BRIDGE_HOST_ONLY
};

extern const char *const lab_bridge_modes[]; /* NULL at the end */

struct lab_bridge {
	struct lab_item item;
	struct lab_port port;
	int mode; /* enum lab_bridge_mode */
	const char *nic, *interface;
	bool host;
	struct mac bssid; /* BRIDGE_MONITOR */
	uint64_t channel; /* 0: as it is */
};

struct lab_capture {
	struct lab_item item;
	struct lab_texts at;
	const char *file, *filter;
	uint64_t snaplen;
	uint64_t file_bytes, file_ns, files; /* a ring of files */
};

struct lab_event {
	struct lab_item item;
	uint64_t at_ns;
	const char *vm, *run; /* either these */
	const char *set;      /* or these */
	bool down, sets_link; /* sets_link: down is given */
	struct lab_wire wire[WIRE_DIRECTIONS];
	struct lab_rules rules;
};

enum expect_kind { EXPECT_RUN, EXPECT_FRAMES, EXPECT_NAT, EXPECT_MEASURE };

struct lab_expect {
	struct lab_item item;
	enum expect_kind kind;
	bool always;
	uint64_t within_ns, after_ns;
	const char *vm, *run, *output; /* EXPECT_RUN */
	uint64_t status;
	const char *at, *filter, *verdict; /* EXPECT_FRAMES */
	struct compare frames;
	const char *router; /* EXPECT_NAT */
	struct compare nat;
	enum reason reason;    /* verdict, resolved; REASON_NONE: any */
	const char *from, *to; /* EXPECT_MEASURE: plugs */
	struct lab_measure measure;
	bool has_lost, has_latency;
	struct compare lost;
	uint64_t latency_ns; /* of every frame, at most */
};

struct lab {
	struct lab_item item; /* the file as a whole */
	const char *name, *description;
	struct lab_switch *switches;
	struct lab_router *routers;
	struct lab_vm *vms;
	struct lab_host *hosts;
	struct lab_plug *plugs;
	struct lab_bridge *bridges;
	struct lab_capture *captures;
	struct lab_event *events;
	struct lab_expect *expects;
	unsigned int nswitches, nrouters, nvms, nhosts, nplugs, nbridges,
	    ncaptures, nevents, nexpects;
	struct lab_texts show;    /* tables to print at the end */
	struct lab_port **ports;  /* of all kinds, each in the file's order */
	struct lab_port **sorted; /* the same, by full name */
	unsigned int nports;
	const char *file;
	struct arena *arena;
};

/* Reads, resolves and checks.  NULL if problems has errors, which are sorted
 * and whose arena lives until lab_free() or, without a lab, arena_free().
 * The lab takes the arena of problems. */
struct lab *lab_load(const char *bytes, size_t len, struct problems *problems);
void lab_free(struct lab *lab); /* NULL is fine */

struct lab_port *lab_port(const struct lab *lab, const char *full);
/* "leaf.core", and "leaf.core-2" for the second cable.  Returns out. */
char *lab_uplink_name(char out[NODE_NAME_BYTES], const struct lab_switch *at,
    const struct lab_switch *to, uint64_t number);
/* Calls each for the names of all switches' ports. */
void lab_each_switch_port(const struct lab *lab,
    void (*each)(void *arg, const char *full), void *arg);
struct lab_vm *lab_vm(const struct lab *lab, const char *name);
struct lab_router *lab_router(const struct lab *lab, const char *name);
struct lab_switch *lab_switch(const struct lab *lab, const char *name);
/* The switch's bond of that name; NULL: none, or no name. */
const struct lab_bond *lab_bond(const struct lab_switch *sw, const char *name);

/* The uplink of sw to the switch to, or NULL. */
const struct lab_uplink *lab_uplink(
    const struct lab_switch *sw, const struct lab_switch *to);
/* Is that plugged into sw: a switch ("core", "core-2" by the second cable), or a
 * port ("gw.inside")? */
bool lab_is_plugged(
    const struct lab *lab, const struct lab_switch *sw, const char *what);
/* Is there that port, of a node ("gw.inside") or of a switch, by what is plugged
 * in ("lan.core", "lan.gw.inside")? */
bool lab_has_port(const struct lab *lab, const char *name);

const char *lab_kind_name(enum lab_kind kind); /* "router" */

/* Where the file of a disk is named. */
struct place lab_disk_place(const struct lab_disk *disk);

/* The path of a file that the lab file names, seen from where the lab file is.
 * In arena; NULL: no memory. */
char *lab_path(struct arena *arena, const struct lab *lab, const char *path);

/* The place of the value of key in item, or of item when key is not there. */
struct place lab_place(const struct lab_item *item, const char *key);

/* Fills in what follows from names: used by lab_load(), between schema and
 * checks.  What does not resolve stays NULL. */
void lab_resolve(struct lab *lab);

/* check.h's work; adds to problems all that cannot be brought up. */
void lab_check(const struct lab *lab, struct problems *problems);

#endif
