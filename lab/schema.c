/*
 * The table.  Rows stand in the order of the manual; a row's parent comes
 * before it.  Ports of routers, VMs, hosts, plugs and bridges share their first
 * rows by PORT_ROWS.  What later versions will read has a SCHEMA_ABSENT row, so
 * that it is refused for what it is and not as a slip of the pen.
 */
#include "lab/schema.h"

#include <stddef.h>

#include "base/loop.h"
#include "bridge/port_host.h"
#include "router/router.h"
#include "switch/aggregation.h"
#include "switch/groups.h"
#include "switch/stp.h"
#include "switch/switch.h"
#include "switch/vlan.h"
#include "vmm/virtio_net.h"
#include "vmm/vm.h"

#define KEY(p, t, s, m) \
	.path = (p), .type = SCHEMA_##t, .into = offsetof(struct s, m)
#define ARRAY(p, t, s, list, number, of)                              \
	KEY(p, t, s, list), .count_into = offsetof(struct s, number), \
			    .element = sizeof(struct of)

const char *const lab_guests[] = {
	[GUEST_TINY] = "tiny", [GUEST_LINUX] = "linux", NULL
};
const char *const lab_engines[] = { [ENGINE_AUTO] = "auto",
	[ENGINE_KVM] = "kvm",
	[ENGINE_EMULATE] = "emulate",
	[ENGINE_QEMU] = "qemu",
	NULL };
const char *const lab_bridge_modes[] = { [BRIDGE_BRIDGED] = "bridged",
	[BRIDGE_MAC_NAT] = "mac-nat",
	[BRIDGE_MONITOR] = "monitor",
	[BRIDGE_HOST_ONLY] = "host-only",
	NULL };
static const char *const protocols[] = { "udp", "ping", NULL };
static const char *const filter_does[] = { [ROUTER_FILTER_PASS] = "pass",
	[ROUTER_FILTER_DROP] = "drop",
	[ROUTER_FILTER_REJECT] = "reject",
	NULL };
static const char *const pcp_protocols[] = { [ROUTER_PCP_BOTH] = "both",
	[ROUTER_PCP_ONLY] = "pcp",
	[ROUTER_NATPMP_ONLY] = "nat-pmp",
	NULL };
static const char *const pcp_opcodes[] = { [ROUTER_PCP_MAP_AND_PEER] = "both",
	[ROUTER_PCP_MAP] = "map",
	[ROUTER_PCP_PEER] = "peer",
	NULL };
static const char *const stp_modes[] = { [STP_MODE_STP] = "stp",
	[STP_MODE_RSTP] = "rstp",
	[STP_MODE_MSTP] = "mstp",
	NULL };
static const char *const stp_edges[] = { [STP_EDGE_AUTO] = "auto",
	[STP_EDGE_YES] = "yes",
	[STP_EDGE_NO] = "no",
	NULL };
static const char *const reserved[] = { "01:80:c2:00:00:00",
	"01:80:c2:00:00:01", "01:80:c2:00:00:02", "01:80:c2:00:00:03",
	"01:80:c2:00:00:04", "01:80:c2:00:00:05", "01:80:c2:00:00:06",
	"01:80:c2:00:00:07", "01:80:c2:00:00:08", "01:80:c2:00:00:09",
	"01:80:c2:00:00:0a", "01:80:c2:00:00:0b", "01:80:c2:00:00:0c",
	"01:80:c2:00:00:0d", "01:80:c2:00:00:0e", "01:80:c2:00:00:0f", NULL };
static const char *const tables[] = { "ports", "macs", "vlans", "trees", "stp",
	"nat", "nat-rules", "refusals", "flows", "arp", "leases", "wan",
	"routes", "vms", "cables", "drops", "bonds", "lldp", "groups",
	"mrouters", "macnat", "traffic", NULL };

static const char *const bond_modes[] = { [BOND_ACTIVE] = "active",
	[BOND_PASSIVE] = "passive",
	[BOND_STATIC] = "static",
	NULL };
static const char *const bond_hashes[] = {
	[FLOW_L2] = "l2", [FLOW_L3] = "l3", [FLOW_L4] = "l4", NULL
};
static const char *const bond_rates[] = { "slow", "fast", NULL };
static const char *const lldp_modes[] = { [LLDP_BOTH] = "both",
	[LLDP_SEND] = "send",
	[LLDP_RECEIVE] = "receive",
	NULL };
static const char *const unregistered[] = {
	[GROUPS_TO_ROUTERS] = "routers", [GROUPS_FLOOD] = "flood", NULL
};

/* Where a port is plugged, and what happens on the cable; at the offset of port
 * in a struct. */
#define PORT_ROWS(p, at)                                                     \
	{ .path = p ".switch",                                               \
		.type = SCHEMA_NAME,                                         \
		.into = (at) + offsetof(struct lab_port, sw_name),           \
		.help = "The switch that the port is plugged into." },       \
	    { .path = p ".cable",                                            \
		    .type = SCHEMA_TEXT,                                     \
		    .into = (at) + offsetof(struct lab_port, cable),         \
		    .help = "Instead of a switch: the port, as NODE.PORT, "  \
			    "at the other end of a direct cable; it is "     \
			    "enough that one end says so." },                \
	    { .path = p ".bond",                                             \
		    .type = SCHEMA_NAME,                                     \
		    .into = (at) + offsetof(struct lab_port, bond_name),     \
		    .help = "The bond of that switch that the port is one "  \
			    "of." },                                         \
	    { .path = p ".bond-priority",                                    \
		    .type = SCHEMA_COUNT,                                    \
		    .into = (at) + offsetof(struct lab_port, bond_priority), \
		    .min = 1,                                                \
		    .max = 65535,                                            \
		    .preset = "32768",                                       \
		    .help = "LACP: lower ones carry when there are more "    \
			    "than max-links." },                             \
	    { .path = p ".multicast-router",                                 \
		    .type = SCHEMA_BOOL,                                     \
		    .into =                                                  \
			(at) + offsetof(struct lab_port, multicast_router),  \
		    .help = "A multicast router is behind the port, "        \
			    "whatever the switch hears." },                  \
	    WIRE_ROWS(p, (at) + offsetof(struct lab_port, wire)),            \
	    RULES_ROW(p, (at) + offsetof(struct lab_port, rules))

#define WIRE_ROWS(p, at)                                                     \
	{ .path = p ".+cable",                                               \
		.type = SCHEMA_KEYS,                                         \
		.keys = &wire_keys,                                          \
		.into = (at) + WIRE_BOTH * sizeof(struct lab_wire),          \
		.help = "What happens to frames on the cable, both ways: "   \
			"one of the keys of cables, below." },               \
	    { .path = p ".in",                                               \
		    .type = SCHEMA_KEYSET,                                   \
		    .keys = &wire_keys,                                      \
		    .into = (at) + WIRE_IN * sizeof(struct lab_wire),        \
		    .help = "The same for frames towards the node alone, "   \
			    "before what is said for both ways." },          \
	{                                                                    \
		.path = p ".out", .type = SCHEMA_KEYSET, .keys = &wire_keys, \
		.into = (at) + WIRE_OUT * sizeof(struct lab_wire),           \
		.help = "The same for frames from the node."                 \
	}

#define RULES_ROW(p, at)                                                 \
	{                                                                \
		.path = p ".+switch", .type = SCHEMA_KEYS, .into = (at), \
		.keys = &rules_keys,                                     \
		.help = "What the port of the switch does: one of "      \
			"the keys of ports of switches, below."          \
	}

#define MAC_ROW(p, at)                                         \
	{                                                      \
		.path = p ".mac", .type = SCHEMA_MAC,          \
		.into = (at) + offsetof(struct lab_port, mac), \
		.preset = "derived from the port's name",      \
		.help = "The port's MAC address."              \
	}

const struct schema_key schema_keys[] = {
	{ KEY("lab", NAME, lab, name), .required = true,
	    .help = "The name of the lab, by which commands find it." },
	{ KEY("description", TEXT, lab, description),
	    .help = "A sentence about the lab, shown with its drawing." },

	/* switches */
	{ ARRAY("switches", ENTRIES, lab, switches, nswitches, lab_switch),
	    .ranges = true, .max = LAB_SWITCHES_MAX,
	    .help = "Learning Ethernet switches.  An entry may be empty." },
	{ KEY("switches.*.ageing", DURATION, lab_switch, ageing_ns),
	    .min = NS_PER_S, .max = 1000000 * NS_PER_S, .preset = "300s",
	    .help = "How long an address is remembered that sends nothing." },
	{ KEY("switches.*.macs", COUNT, lab_switch, macs), .min = 1,
	    .max = SWITCH_MACS_MAX, .preset = "100000",
	    .help = "How many addresses the switch remembers." },
	{ ARRAY("switches.*.uplinks", ENTRIES, lab_switch, uplinks, nuplinks,
	      lab_uplink),
	    .plain = true, .max = LAB_SWITCHES_MAX,
	    .help = "Switches that this one has a cable to: their names, or "
		    "entries with keys.  The ports are called as "
		    "leaf.core and core.leaf.  Only switches with stp may "
		    "form a loop." },
	{ KEY("switches.*.uplinks.*.cables", COUNT, lab_uplink, cables),
	    .min = 1, .max = LAB_CABLES_MAX, .preset = "1",
	    .help = "How many cables, side by side.  From the second one on, "
		    "ports are called as leaf.core-2." },
	{ KEY("switches.*.uplinks.*.bond", NAME, lab_uplink, bond_name),
	    .help = "The bond that the cables are of, which both switches have "
		    "by this name." },
	WIRE_ROWS("switches.*.uplinks.*", offsetof(struct lab_uplink, wire)),
	RULES_ROW("switches.*.uplinks.*", offsetof(struct lab_uplink, rules)),
	{ ARRAY("switches.*.mirrors", ENTRIES, lab_switch, mirrors, nmirrors,
	      lab_mirror),
	    .max = SWITCH_MIRRORS,
	    .help = "Copies of what passes the switch's ports, sent to one "
		    "that is for that alone." },
	{ KEY("switches.*.mirrors.*.to", TEXT, lab_mirror, to),
	    .required = true,
	    .help = "Where to: what is plugged in, as NODE.PORT." },
	{ KEY("switches.*.mirrors.*.of", TEXTS, lab_mirror, of),
	    .help = "Frames from and to these, as NODE.PORT or the name of "
		    "another switch." },
	{ KEY("switches.*.mirrors.*.in", TEXTS, lab_mirror, in),
	    .help = "Frames from these, as they come in." },
	{ KEY("switches.*.mirrors.*.out", TEXTS, lab_mirror, out),
	    .help = "Frames to these, as they go out." },
	{ KEY("switches.*.mirrors.*.vlan", COUNT, lab_mirror, vlan), .min = 1,
	    .max = VLAN_MAX, .help = "Frames of this VLAN, as they come in." },
	{ KEY("switches.*.forward", TEXTS, lab_switch, forward),
	    .choices = reserved,
	    .help = "Reserved group addresses that are forwarded like others; "
		    "a bridge ends them (IEEE 802.1Q, table 8-1)." },
	{ KEY("switches.*.loop-guard", BOOL, lab_switch, loop_guard),
	    .preset = "true",
	    .help = "Look for loops when addresses move or frames come back, "
		    "and block one of their ports." },
	{ KEY("switches.*.stp", MAP, lab_switch, stp),
	    .help = "The switch takes part in a spanning tree; may be "
		    "empty.  Without it, BPDUs end here." },
	{ KEY("switches.*.stp.mode", CHOICE, lab_stp, mode),
	    .choices = stp_modes, .preset = "rstp",
	    .help = "STP of IEEE 802.1D-1998, RSTP of 802.1D-2004, or MSTP of "
		    "802.1Q.  The latter two speak STP with a neighbour that "
		    "speaks nothing else." },
	{ KEY("switches.*.stp.priority", COUNT, lab_stp, priority),
	    .max = STP_PRIORITY_MAX, .preset = "32768",
	    .help = "A multiple of 4096.  The switch with the lowest, of "
		    "those with the lowest address, is the root." },
	{ KEY("switches.*.stp.hello", DURATION, lab_stp, hello_ns),
	    .min = STP_HELLO_MIN_S * NS_PER_S,
	    .max = STP_HELLO_MAX_S * NS_PER_S, .preset = "2s",
	    .help = "The time between BPDUs, in whole seconds as the next "
		    "two." },
	{ KEY("switches.*.stp.max-age", DURATION, lab_stp, max_age_ns),
	    .min = STP_MAX_AGE_MIN_S * NS_PER_S,
	    .max = STP_MAX_AGE_MAX_S * NS_PER_S, .preset = "20s",
	    .help = "As root: how old what is told of it may become, a second "
		    "for each switch." },
	{ KEY("switches.*.stp.forward-delay", DURATION, lab_stp,
	      forward_delay_ns),
	    .min = STP_DELAY_MIN_S * NS_PER_S,
	    .max = STP_DELAY_MAX_S * NS_PER_S, .preset = "15s",
	    .help = "As root: how long ports listen, and then learn, where "
		    "nobody agrees with them." },
	{ KEY("switches.*.stp.transmit-hold", COUNT, lab_stp, hold),
	    .min = STP_HOLD_MIN, .max = STP_HOLD_MAX, .preset = "6",
	    .help = "How many BPDUs a port sends in a second at most." },
	{ KEY("switches.*.stp.max-hops", COUNT, lab_stp, max_hops),
	    .min = STP_HOPS_MIN, .max = STP_HOPS_MAX, .preset = "20",
	    .help = "MSTP: as root of a region, how many switches deep it "
		    "may be." },
	{ KEY("switches.*.stp.region", TEXT, lab_stp, region),
	    .preset = "empty",
	    .help = "MSTP: the region's name, at most 32 bytes.  Switches are "
		    "in one region if they agree in this, revision, and the "
		    "VLANs of all instances." },
	{ KEY("switches.*.stp.revision", COUNT, lab_stp, revision),
	    .max = UINT16_MAX, .preset = "0",
	    .help = "MSTP: the region's revision." },
	{ ARRAY("switches.*.stp.instances", ITEMS, lab_stp, instances,
	      ninstances, lab_stp_instance),
	    .help = "MSTP: the spanning trees of VLANs.  Those that no "
		    "instance has are in the common one." },
	{ KEY("switches.*.stp.instances[].id", COUNT, lab_stp_instance, id),
	    .required = true, .min = 1, .max = 4094,
	    .help = "The instance's number (MSTID)." },
	{ KEY("switches.*.stp.instances[].vlans", VLANS, lab_stp_instance,
	      vlans),
	    .required = true,
	    .help = "Its VLANs, as 10-19,30; other ports than trunks have "
		    "all frames in the common one, unless they have a VLAN." },
	{ KEY("switches.*.stp.instances[].priority", COUNT, lab_stp_instance,
	      priority),
	    .max = STP_PRIORITY_MAX, .preset = "32768",
	    .help = "The switch's priority in it." },
	{ ARRAY("switches.*.stp.ports", ITEMS, lab_stp, ports, nports,
	      lab_stp_port),
	    .help = "Ports that are not as the defaults." },
	{ KEY("switches.*.stp.ports[].to", TEXT, lab_stp_port, to),
	    .required = true,
	    .help = "Which port, by what is plugged in: a switch, "
		    "NODE.PORT, or a bond's name." },
	{ KEY("switches.*.stp.ports[].cost", COUNT, lab_stp_port, cost),
	    .min = 1, .max = STP_COST_MAX, .preset = "20000",
	    .help = "What a way to the root by this port costs more: "
		    "20000 stands for 1 Gbit/s." },
	{ KEY("switches.*.stp.ports[].priority", COUNT, lab_stp_port, priority),
	    .max = STP_PORT_PRIORITY_MAX, .preset = "128",
	    .help = "A multiple of 16: of ports that are as good, the "
		    "neighbour takes the one with the lowest." },
	{ KEY("switches.*.stp.ports[].edge", CHOICE, lab_stp_port, edge),
	    .choices = stp_edges,
	    .help = "Is no switch there?  Then the port forwards at once.  "
		    "auto finds out within 3 s.  yes and auto hold until a "
		    "BPDU comes.  Left out: yes for routers, hosts and guest "
		    "tiny, else auto." },
	{ KEY("switches.*.stp.ports[].bpdu-guard", BOOL, lab_stp_port,
	      bpdu_guard),
	    .preset = "false",
	    .help = "A BPDU closes the port until its link goes." },
	{ KEY("switches.*.stp.ports[].root-guard", BOOL, lab_stp_port,
	      root_guard),
	    .preset = "false",
	    .help = "The port is never the way to the root: who claims to be "
		    "a better one there is blocked." },
	{ KEY("switches.*.stp.ports[].tcn-guard", BOOL, lab_stp_port,
	      tcn_guard),
	    .preset = "false",
	    .help = "Changes of the topology behind the port are not told." },
	{ KEY("switches.*.stp.ports[].point-to-point", BOOL, lab_stp_port,
	      point_to_point),
	    .preset = "true",
	    .help = "At most one switch is at the other end; else there are "
		    "no handshakes, and the port waits for forward-delay." },
	{ ARRAY("switches.*.stp.ports[].instances", ITEMS, lab_stp_port,
	      instances, ninstances, lab_stp_instance),
	    .help = "MSTP: the port in instances, where it differs." },
	{ KEY("switches.*.stp.ports[].instances[].id", COUNT, lab_stp_instance,
	      id),
	    .required = true, .min = 1, .max = 4094,
	    .help = "The instance, as the switch has it." },
	{ KEY("switches.*.stp.ports[].instances[].cost", COUNT,
	      lab_stp_instance, cost),
	    .min = 1, .max = STP_COST_MAX, .help = "As above." },
	{ KEY("switches.*.stp.ports[].instances[].priority", COUNT,
	      lab_stp_instance, priority),
	    .max = STP_PORT_PRIORITY_MAX, .help = "As above." },
	{ ARRAY(
	      "switches.*.bonds", ENTRIES, lab_switch, bonds, nbonds, lab_bond),
	    .max = 64,
	    .help = "Several ports as one (IEEE 802.1AX); ports join by "
		    "bond." },
	{ KEY("switches.*.bonds.*.mode", CHOICE, lab_bond, mode),
	    .choices = bond_modes, .preset = "active",
	    .help = "Speak LACP, only answer it, or neither." },
	{ KEY("switches.*.bonds.*.rate", CHOICE, lab_bond, rate),
	    .choices = bond_rates, .preset = "slow",
	    .help = "How often the partner shall speak: each 30 s or each "
		    "second; three times that without a word is the end." },
	{ KEY("switches.*.bonds.*.hash", CHOICE, lab_bond, hash),
	    .choices = bond_hashes, .preset = "l4",
	    .help = "What tells flows apart, each of which stays on one "
		    "port: MAC addresses and VLANs, IP addresses, or these "
		    "and the ports of TCP and UDP." },
	{ KEY("switches.*.bonds.*.symmetric", BOOL, lab_bond, symmetric),
	    .help = "Hash both directions of a flow alike." },
	{ KEY("switches.*.bonds.*.min-links", COUNT, lab_bond, min_links),
	    .min = 1, .max = BOND_WIRES_MAX, .preset = "1",
	    .help = "With fewer links the bond carries nothing." },
	{ KEY("switches.*.bonds.*.max-links", COUNT, lab_bond, max_links),
	    .min = 1, .max = BOND_WIRES_MAX, .preset = "all",
	    .help = "LACP: more links stand by." },
	{ KEY("switches.*.bonds.*.individual", BOOL, lab_bond, individual),
	    .help = "LACP: one port carries as long as no partner answers." },
	{ KEY("switches.*.bonds.*.system-priority", COUNT, lab_bond,
	      system_priority),
	    .min = 1, .max = 65535, .preset = "32768",
	    .help = "LACP: the lower of two systems says which links stand "
		    "by." },
	{ KEY("switches.*.bonds.*.key", COUNT, lab_bond, key), .min = 1,
	    .max = 65535, .preset = "the bond's number, from 1",
	    .help = "LACP: the key of its links." },
	{ KEY("switches.*.lldp", MAP, lab_switch, lldp),
	    .help = "Speak LLDP to neighbours and listen to them (IEEE "
		    "802.1AB).  May be empty." },
	{ KEY("switches.*.lldp.mode", CHOICE, lab_lldp, mode),
	    .choices = lldp_modes, .preset = "both",
	    .help = "Only speak, only listen, or both." },
	{ KEY("switches.*.lldp.interval", DURATION, lab_lldp, interval_ns),
	    .min = NS_PER_S, .max = 3600 * NS_PER_S, .preset = "30s",
	    .help = "The time between messages, once neighbours are known." },
	{ KEY("switches.*.lldp.hold", COUNT, lab_lldp, hold), .min = 2,
	    .max = 10, .preset = "4",
	    .help = "For how many intervals neighbours believe a message." },
	{ KEY("switches.*.lldp.address", IP, lab_lldp, address),
	    .help = "The management address that is told; without it, the "
		    "switch's MAC address." },
	{ KEY("switches.*.snooping", MAP, lab_switch, snooping),
	    .help = "Send multicast only to ports whose hosts have joined the "
		    "group by IGMP or MLD, and to multicast routers (RFC "
		    "4541).  May be empty; while nobody asks for members, all "
		    "is flooded." },
	{ KEY("switches.*.snooping.querier", IP, lab_snooping, querier),
	    .help = "Ask for members as a querier of this address, unless one "
		    "of a lower address does." },
	{ KEY("switches.*.snooping.query-interval", DURATION, lab_snooping,
	      query_ns),
	    .min = NS_PER_S, .max = 31744 * NS_PER_S, .preset = "125s",
	    .help = "The time between general queries." },
	{ KEY("switches.*.snooping.response-time", DURATION, lab_snooping,
	      response_ns),
	    .min = 100 * NS_PER_MS, .max = 3174 * NS_PER_S, .preset = "10s",
	    .help = "In which time members answer." },
	{ KEY("switches.*.snooping.last-member", DURATION, lab_snooping,
	      last_ns),
	    .min = 100 * NS_PER_MS, .max = 25 * NS_PER_S, .preset = "1s",
	    .help = "The same when one has left and others may be there." },
	{ KEY("switches.*.snooping.robustness", COUNT, lab_snooping,
	      robustness),
	    .min = 1, .max = 7, .preset = "2",
	    .help = "How many messages of a kind it takes for one to arrive." },
	{ KEY("switches.*.snooping.fast-leave", BOOL, lab_snooping, fast_leave),
	    .help = "There is one host to a port: who leaves is not asked "
		    "whether others are there." },
	{ KEY("switches.*.snooping.unregistered", CHOICE, lab_snooping,
	      unregistered),
	    .choices = unregistered, .preset = "routers",
	    .help = "Where groups go that nobody has joined." },
	{ KEY("switches.*.snooping.igmp", COUNT, lab_snooping, igmp), .min = 2,
	    .max = 3, .preset = "3", .help = "The version of our queries." },
	{ KEY("switches.*.snooping.mld", COUNT, lab_snooping, mld), .min = 1,
	    .max = 2, .preset = "2", .help = "The same for IPv6." },
	{ KEY("switches.*.snooping.groups", COUNT, lab_snooping, max_groups),
	    .min = 1, .max = 4096, .preset = "256",
	    .help = "How many groups the hosts of one port can join." },

	/* routers */
	{ ARRAY("routers", ENTRIES, lab, routers, nrouters, lab_router),
	    .help = "Routers of IPv4 and IPv6." },
	{ ARRAY(
	      "routers.*.ports", ENTRIES, lab_router, ports, nports, lab_port),
	    .required = true, .max = LAB_ROUTER_PORTS_MAX,
	    .help = "The router's interfaces." },
	PORT_ROWS("routers.*.ports.*", 0),
	{ KEY("routers.*.ports.*.address", NET_DHCP, lab_port, address),
	    .help = "Address and prefix length, as 10.0.0.1/24; or dhcp: it "
		    "asks others for its address, as a home router does of its "
		    "provider, and for its default route, MTU, routes and DNS "
		    "server.  A port has this, address6, or both." },
	{ KEY("routers.*.ports.*.instead", NET, lab_port, instead),
	    .help = "Another address, of another network with a prefix as "
		    "long, as 10.99.0.1/24.  The port moves there, and what "
		    "it gives by DHCP, reserve and forwards with it, when a "
		    "port with \"address: dhcp\" gets an address of the "
		    "network where it is (RFC 4787 REQ-7).  Without it, such "
		    "an address is refused." },
	{ KEY("routers.*.ports.*.address6", NETS6, lab_port, address6),
	    .help = "IPv6 address and prefix length, as 2001:db8::1/64, or a "
		    "list of up to four; a link-local address by the port's "
		    "MAC address comes with them." },
	{ KEY("routers.*.ports.*.dad", COUNT, lab_port, dad),
	    .max = ROUTER_DAD_MAX, .preset = "1",
	    .help =
		"How many times, a second apart, each IPv6 address is "
		"asked for before it is used, so that no two hosts have it; "
		"0: not at all." },
	{ KEY("routers.*.ports.*.ra", MAP, lab_port, ra),
	    .help = "Advertise the router and the prefixes of address6 on the "
		    "link, so that hosts configure themselves, and answer "
		    "stateless DHCPv6.  May be empty." },
	{ KEY("routers.*.ports.*.ra.interval", DURATION, lab_ra, interval_ns),
	    .min = 4 * NS_PER_S, .max = 1800 * NS_PER_S, .preset = "600s",
	    .help = "The time between two advertisements is a random one up to "
		    "this, in whole seconds; who asks gets one at once." },
	{ KEY("routers.*.ports.*.ra.lifetime", DURATION, lab_ra, lifetime_ns),
	    .max = 9000 * NS_PER_S, .preset = "three times interval",
	    .help = "How long hosts use it as a default router; 0s: not at "
		    "all." },
	{ KEY("routers.*.ports.*.ra.autonomous", BOOL, lab_ra, autonomous),
	    .preset = "true",
	    .help = "Hosts make addresses of prefixes of 64 bits (SLAAC)." },
	{ KEY("routers.*.ports.*.ra.on-link", BOOL, lab_ra, on_link),
	    .preset = "true",
	    .help = "Addresses of the prefixes are on the link." },
	{ KEY("routers.*.ports.*.ra.valid", DURATION, lab_ra, valid_ns),
	    .min = NS_PER_S, .max = 3650 * 86400 * NS_PER_S, .preset = "30d",
	    .help = "How long addresses of the prefixes last." },
	{ KEY("routers.*.ports.*.ra.preferred", DURATION, lab_ra, preferred_ns),
	    .min = NS_PER_S, .max = 3650 * 86400 * NS_PER_S,
	    .preset = "7d, or valid",
	    .help = "How long they are used for new connections." },
	{ KEY("routers.*.ports.*.ra.hop-limit", COUNT, lab_ra, hop_limit),
	    .min = 1, .max = 255, .preset = "64",
	    .help = "What hosts put into the packets that they send." },
	{ KEY("routers.*.ports.*.ra.dns", IPS6, lab_ra, dns),
	    .help = "DNS servers, up to four.  Left out, where the router has "
		    "dns: its own address." },
	{ KEY("routers.*.ports.*.ra.domain", NAME, lab_ra, domain),
	    .help = "The domain to search in." },
	{ KEY("routers.*.ports.*.ra.other", BOOL, lab_ra, other),
	    .preset = "false",
	    .help = "Tell hosts to ask for DNS by DHCPv6, too (the O flag)." },
	{ KEY("routers.*.ports.*.ra.managed", BOOL, lab_ra, managed),
	    .preset = "false",
	    .help = "Tell hosts that a DHCPv6 server on the link gives "
		    "addresses (the M flag); the router does not." },
	MAC_ROW("routers.*.ports.*", 0),
	{ KEY("routers.*.ports.*.mtu", COUNT, lab_port, mtu), .min = 68,
	    .max = 65521, .preset = "1500",
	    .help = "The largest IP packet, in bytes." },
	{ KEY("routers.*.ports.*.mss-clamp", BOOL, lab_port, mss_clamp),
	    .preset = "false",
	    .help = "Lower what TCP ends ask each other to send at most to "
		    "what fits the port's mtu, for paths on which ICMP errors "
		    "are lost." },
	{ KEY("routers.*.ports.*.proxy-arp", BOOL, lab_port, proxy_arp),
	    .preset = "false",
	    .help = "Answer ARP on the link for addresses that are reached by "
		    "another port (RFC 1027)." },
	{ KEY("routers.*.ports.*.redirects", BOOL, lab_port, redirects),
	    .preset = "true",
	    .help = "Tell hosts by ICMP when another router of their own link, "
		    "or the destination itself, is the better way; with IPv6, "
		    "a router that a route names by its link-local address." },
	{ KEY("routers.*.ports.*.icmp-errors", BOOL, lab_port, icmp_errors),
	    .preset = "true",
	    .help = "Tell senders behind the port by ICMP what became of "
		    "packets that went no further; what others say passes." },
	{ KEY("routers.*.ports.*.dhcp", RANGE, lab_port, dhcp),
	    .help = "Serve these addresses by DHCP, as "
		    "10.0.0.100-10.0.0.199." },
	{ KEY("routers.*.ports.*.lease", DURATION, lab_port, lease_ns),
	    .min = 10 * NS_PER_S, .max = 365 * 86400 * NS_PER_S, .preset = "1h",
	    .help = "How long a DHCP lease lasts, in whole seconds.  Clients "
		    "renew after half of it, or after 7/8 by broadcast." },
	{ KEY("routers.*.ports.*.dhcp-probe", DURATION, lab_port, probe_ns),
	    .max = 10 * NS_PER_S, .preset = "50ms",
	    .help = "How long hosts are waited for that have an address "
		    "already, by ARP, before it is offered to a new client; 0s "
		    "does without.  With \"address: dhcp\": before the port "
		    "takes what it is given; left out, 1s there." },
	{ KEY("routers.*.ports.*.dhcp-per-station", COUNT, lab_port,
	      per_station),
	    .min = 1, .max = 65536, .preset = "16",
	    .help = "How many leases the clients at one MAC address may "
		    "have." },
	{ KEY("routers.*.ports.*.dhcp-relay", TEXTS, lab_port, relay),
	    .help = "Instead of dhcp: the addresses of one to four DHCP "
		    "servers elsewhere, to which clients' messages are "
		    "passed on (RFC 1542).  They need a route to the port's "
		    "subnet." },
	{ KEY("routers.*.ports.*.dhcp-relay-info", BOOL, lab_port, relay_info),
	    .preset = "false",
	    .help = "Tell them the port's name as the circuit that a client "
		    "came by (option 82)." },
	{ ARRAY("routers.*.ports.*.dhcp-relayed", ITEMS, lab_port, relayed,
	      nrelayed, lab_relayed),
	    .help = "Subnets elsewhere whose clients are served, too, when a "
		    "relay there passes on to this port's address what they "
		    "say; with or without dhcp." },
	{ KEY("routers.*.ports.*.dhcp-relayed[].relay", NET, lab_relayed,
	      relay),
	    .required = true,
	    .help = "The address and prefix length of the router there, as "
		    "10.1.0.1/24, that the clients are told as their own." },
	{ KEY("routers.*.ports.*.dhcp-relayed[].range", RANGE, lab_relayed,
	      range),
	    .required = true,
	    .help = "The addresses that are given, as "
		    "10.1.0.100-10.1.0.199." },
	{ KEY("routers.*.ports.*.dhcp-relayed[].dns", IP, lab_relayed, dns),
	    .help = "The DNS server that they are told, if not that of the "
		    "port." },
	{ ARRAY("routers.*.ports.*.dhcp-options", ITEMS, lab_port, options,
	      noptions, lab_dhcp_option),
	    .help = "More that DHCP clients are told when they ask for it." },
	{ KEY("routers.*.ports.*.dhcp-options[].code", COUNT, lab_dhcp_option,
	      code),
	    .required = true, .min = 1, .max = 254,
	    .help = "The option's number, as 42 for NTP servers." },
	{ KEY("routers.*.ports.*.dhcp-options[].addresses", TEXTS,
	      lab_dhcp_option, addresses),
	    .help = "Its value: one address, or several." },
	{ KEY("routers.*.ports.*.dhcp-options[].text", TEXT, lab_dhcp_option,
	      text),
	    .help = "Its value: text." },
	{ KEY("routers.*.ports.*.dhcp-options[].hex", TEXT, lab_dhcp_option,
	      hex),
	    .help = "Its value: bytes, as \"0a 00 ff\"." },
	{ KEY("routers.*.ports.*.dns", IP, lab_port, dns),
	    .help = "The DNS server that DHCP clients are told." },
	{ KEY("routers.*.ports.*.domain", NAME, lab_port, domain),
	    .help = "The domain name that DHCP clients are told." },
	{ ARRAY("routers.*.ports.*.reserve", ITEMS, lab_port, reserve, nreserve,
	      lab_reserve),
	    .help = "Ports that always get the same address by DHCP." },
	{ KEY("routers.*.ports.*.reserve[].port", TEXT, lab_reserve, port),
	    .required = true, .help = "The port, as NODE.PORT." },
	{ KEY("routers.*.ports.*.reserve[].address", IP, lab_reserve, address),
	    .required = true, .help = "Its address." },
	{ KEY("routers.*.leases", TEXT, lab_router, leases),
	    .help = "A file, seen from where the lab file is, that keeps the "
		    "leases of DHCP when the lab is run again; those that the "
		    "router's own ports have got, too." },
	{ ARRAY("routers.*.filter", ITEMS, lab_router, filter, nfilter,
	      lab_filter),
	    .help = "Rules for IPv4 packets to one host, tried in their order: "
		    "the first "
		    "that matches decides, and what none matches passes.  "
		    "They know no connections: what NAT admits they can "
		    "refuse." },
	{ KEY("routers.*.filter[].match", TEXT, lab_filter, match),
	    .required = true,
	    .help = "Which packets: an expression of pcap-filter(7)." },
	{ KEY("routers.*.filter[].in", NAME, lab_filter, in),
	    .help = "Only those that come in by this port of the router, "
		    "before they are translated." },
	{ KEY("routers.*.filter[].out", NAME, lab_filter, out),
	    .help = "Only those that are forwarded by this port, after they "
		    "were translated.  Without in and out: those that come in "
		    "by any port." },
	{ KEY("routers.*.filter[].do", CHOICE, lab_filter, what),
	    .required = true, .choices = filter_does,
	    .help = "Let them pass, drop them, or drop them and tell the "
		    "sender." },
	{ KEY("routers.*.dns", MAP, lab_router, dns),
	    .help = "Answer DNS at the router's addresses: the names of the "
		    "lab's nodes, and of who got an address by DHCP.  May be "
		    "empty.  Clients of DHCP are told so." },
	{ KEY("routers.*.dns.domain", NAME, lab_dns, domain), .preset = "lab",
	    .help = "Names are answered with it at the end, and without." },
	{ KEY("routers.*.dns.upstream", TEXTS, lab_dns, upstream),
	    .help = "One to four servers in the host's network that are asked "
		    "for all other names, the next when one does not answer.  "
		    "Other records than addresses and names of addresses are "
		    "asked for by TCP.  Without one, that of the lease is "
		    "asked, for addresses and names of addresses alone, on a "
		    "router with \"address: dhcp\"; on others, other names "
		    "do not exist." },
	{ KEY("routers.*.dns.port", COUNT, lab_dns, port), .min = 1,
	    .max = 65535, .preset = "53", .help = "Those servers' port." },
	{ KEY("routers.*.dns.dns64", PREFIX64, lab_dns, dns64),
	    .help = "Make AAAA records of A records for names that have none, "
		    "behind this prefix (DNS64, RFC 6147); usually that of "
		    "nat64." },
	{ KEY("routers.*.nat", MAP, lab_router, nat),
	    .help = "Network address and port translation.  An empty entry "
		    "is refused, since outside must be said." },
	{ KEY("routers.*.nat.outside", NAME, lab_nat, outside),
	    .required = true,
	    .help = "The router's port by whose addresses the inside is "
		    "hidden." },
	{ KEY("routers.*.nat.addresses", TEXTS, lab_nat, addresses),
	    .preset = "that of outside",
	    .help = "The outside addresses that inside hosts get, one by one "
		    "or as 203.0.113.200-203.0.113.210, up to 255 in all.  ARP "
		    "is answered for them on outside." },
	{ KEY("routers.*.nat.forwards", TEXTS, lab_nat, forwards),
	    .help = "Outside ports that lead to a host inside, whoever sends: "
		    "as tcp:8080=10.0.0.5:80, or by another address than that "
		    "of outside as udp:203.0.113.9:5060=10.0.0.5:5060." },
	{ KEY("routers.*.nat.one-to-one", TEXTS, lab_nat, pairs),
	    .help = "Outside addresses that are one inside host's each, as "
		    "203.0.113.7=10.0.0.5: it has the ports there that it has "
		    "inside, and whoever sends there is let in, by TCP, UDP "
		    "and ping." },
	{ KEY("routers.*.nat.exempt", TEXTS, lab_nat, exempt),
	    .help = "Outside networks, as 198.51.100.0/24, or hosts, that see "
		    "the inside as it is and are seen so: what passes between "
		    "them is neither translated nor filtered by NAT (RFC 6888, "
		    "REQ-6)." },
	{ KEY("routers.*.nat.limit", COUNT, lab_nat, limit), .min = 1,
	    .max = 1000000, .preset = "65536",
	    .help = "How many entries the NAT table holds.  Where rules look "
		    "at hosts, as limits, port blocks and several addresses "
		    "do, there may be one host to 16 entries, or 1024." },
	{ KEY("routers.*.nat.nat64", PREFIX64, lab_nat, nat64),
	    .help = "Let IPv6 hosts behind the other ports reach the IPv4 "
		    "hosts that are beyond this one, behind this prefix, as "
		    "64:ff9b::/96 (NAT64, RFC 6146): 203.0.113.10 is "
		    "64:ff9b::203.0.113.10 to them.  Private addresses are not "
		    "behind 64:ff9b::/96 but behind prefixes of one's own "
		    "(RFC 6052, section 3.1)." },
	{ .path = "routers.*.nat.+nat",
	    .type = SCHEMA_KEYS,
	    .keys = &nat_keys,
	    .into = offsetof(struct lab_nat, rules),
	    .help = "How it behaves: one of the keys of NAT, below." },
	{ KEY("routers.*.pcp", MAP, lab_router, pcp),
	    .help = "Let hosts inside ask for mappings of the NAT, by PCP "
		    "(RFC 6887) and NAT-PMP (RFC 6886), and for holes in "
		    "firewall6, by PCP over IPv6, at the addresses of all "
		    "ports but outside.  May be empty." },
	{ KEY("routers.*.pcp.protocols", CHOICE, lab_pcp, protocols),
	    .choices = pcp_protocols, .preset = "both",
	    .help = "Speak both, or one of them, and say so to who speaks "
		    "the other." },
	{ KEY("routers.*.pcp.opcodes", CHOICE, lab_pcp, opcodes),
	    .choices = pcp_opcodes, .preset = "both",
	    .help = "What PCP grants: map, for what comes in unasked; peer, "
		    "for what a host has begun or will begin; or both." },
	{ KEY("routers.*.pcp.third-party", BOOL, lab_pcp, third_party),
	    .preset = "false", .help = "PCP: a host may ask for others, too." },
	{ KEY("routers.*.pcp.min-lifetime", DURATION, lab_pcp, min_ns),
	    .min = NS_PER_S, .max = 86400 * NS_PER_S, .preset = "120s",
	    .help = "How long what is asked for by PCP lasts at least, "
		    "however little that is; in whole seconds as the next." },
	{ KEY("routers.*.pcp.max-lifetime", DURATION, lab_pcp, max_ns),
	    .min = NS_PER_S, .max = 365 * 86400 * NS_PER_S, .preset = "24h",
	    .help = "How long it lasts at most, unless it is asked for "
		    "again." },
	{ KEY("routers.*.firewall6", MAP, lab_router, firewall6),
	    .help = "Let nothing of IPv6 in that was not asked for from inside "
		    "(RFC 6092)." },
	{ KEY("routers.*.firewall6.outside", NAME, lab_firewall6, outside),
	    .required = true,
	    .help = "The router's port where the outside begins." },
	{ KEY("routers.*.firewall6.filtering", CHOICE, lab_firewall6,
	      filtering),
	    .choices = nat_behaviours, .preset = "address-and-port-dependent",
	    .help = "Who may send to an end that has sent: anybody, the "
		    "addresses it has sent to, or these by the same ports." },
	{ KEY("routers.*.firewall6.unasked", BOOL, lab_firewall6, unasked),
	    .preset = "true",
	    .help = "IPsec, its key exchange, HIP and Mobile IPv6 come in "
		    "unasked, as that RFC has it." },
	{ KEY("routers.*.firewall6.flows", COUNT, lab_firewall6, flows),
	    .min = 1, .max = 1000000, .preset = "65536",
	    .help = "How many flows are let through at a time." },
	{ KEY("routers.*.firewall6.flows-per-station", COUNT, lab_firewall6,
	      per_station),
	    .min = 1, .max = 1000000, .preset = "16384",
	    .help = "How many of them one MAC address inside may have." },
	{ ARRAY("routers.*.nptv6", ITEMS, lab_router, npt6, nnpt6, lab_npt6),
	    .help = "Prefixes of IPv6 that are others outside (RFC 6296), up "
		    "to 8." },
	{ KEY("routers.*.nptv6[].port", NAME, lab_npt6, port_name),
	    .required = true, .help = "The router's port where they change." },
	{ KEY("routers.*.nptv6[].inside", ANY_NET, lab_npt6, inside),
	    .required = true, .help = "The prefix inside, as fd00:1::/48." },
	{ KEY("routers.*.nptv6[].outside", ANY_NET, lab_npt6, outside),
	    .required = true,
	    .help = "What it is outside, as 2001:db8:1::/48, which is routed "
		    "to that port." },
	{ ARRAY("routers.*.routes", ITEMS, lab_router, routes, nroutes,
	      lab_route),
	    .help = "Static routes." },
	{ KEY("routers.*.routes[].to", ANY_NET, lab_route, to),
	    .required = true,
	    .help = "The destination, as 192.168.0.0/16 or 2001:db8::/32; "
		    "0.0.0.0/0 and ::/0 are the default routes." },
	{ KEY("routers.*.routes[].via", ANY_IP, lab_route, via),
	    .required = true,
	    .help = "The next hop, on a subnet of one of the ports, of the "
		    "same family." },
	{ KEY("routers.*.routes[].port", NAME, lab_route, port_name),
	    .help = "Which port via is reached by; only where it is "
		    "link-local, as fe80::1." },

	/* virtual machines */
	{ ARRAY("vms", ENTRIES, lab, vms, nvms, lab_vm), .ranges = true,
	    .help = "Virtual machines, one process each.  \"vm[001-100]\" "
		    "makes a hundred alike." },
	{ KEY("vms.*.guest", CHOICE, lab_vm, guest), .choices = lab_guests,
	    .preset = "tiny",
	    .help =
		"lanyard-tiny(7), which is built in, or lanyard-linux(7), "
		"which make guest makes.  Left out when kernel is given, or to "
		"boot what is on the first disk." },
	{ KEY("vms.*.kernel", TEXT, lab_vm, kernel),
	    .help = "A kernel of your own (ELF or bzImage), relative to the "
		    "lab file." },
	{ KEY("vms.*.initrd", TEXT, lab_vm, initrd),
	    .help = "Its initial RAM disk, relative to the lab file." },
	{ KEY("vms.*.cmdline", TEXT, lab_vm, cmdline),
	    .help = "More kernel command line, after lanyard.name= and the "
		    "like; not with guest tiny." },
	{ KEY("vms.*.disk", TEXT, lab_vm, disk),
	    .help = "The machine's first disk, relative to the lab file: an "
		    "image if it ends in .qcow2, else a raw file or a block "
		    "device.  It can be written." },
	{ ARRAY("vms.*.disks", ITEMS, lab_vm, disks, ndisks, lab_disk),
	    .max = VM_DISKS_MAX, .help = "Disks, after that of disk." },
	{ KEY("vms.*.disks[].file", TEXT, lab_disk, file), .required = true,
	    .help = "As disk." },
	{ KEY("vms.*.disks[].read-only", BOOL, lab_disk, read_only),
	    .help = "The guest cannot write to it, and other machines can "
		    "have it, too." },
	{ KEY("vms.*.disks[].size", SIZE, lab_disk, size_bytes), .min = 512,
	    .max = UINT64_C(64) << 40,
	    .help = "If there is no such file, an empty disk of this size is "
		    "made." },
	{ KEY("vms.*.disks[].base", TEXT, lab_disk, base),
	    .help = "If there is no such file, an image is made on top of "
		    "this one, in the same directory, as by disk clone "
		    "--linked." },
	{ KEY("vms.*.memory", SIZE, lab_vm, memory_bytes),
	    .min = UINT64_C(4) << 20, .max = UINT64_C(64) << 30,
	    .preset = "16M; 128M with guest linux or a kernel of your own; "
		      "512M from a disk",
	    .help = "The machine's memory, a multiple of 4K; at least 96M "
		    "with guest linux." },
	{ KEY("vms.*.balloon", SIZE, lab_vm, balloon_bytes),
	    .max = UINT64_C(64) << 30,
	    .help = "Ask the guest for so much of its memory, in multiples of "
		    "4K, and give the host what it does not use; 0K does the "
		    "latter alone." },
	{ KEY("vms.*.vcpus", COUNT, lab_vm, vcpus), .min = 1, .max = 16,
	    .preset = "1", .help = "How many virtual CPUs." },
	{ KEY("vms.*.engine", CHOICE, lab_vm, engine), .choices = lab_engines,
	    .preset = "auto",
	    .help = "What executes the machine's instructions: this machine's "
		    "CPU by KVM, or our own emulator, which needs no hardware "
		    "and no privileges, or QEMU, if it is installed.  auto "
		    "takes kvm where the CPU "
		    "really virtualizes, else emulate." },
	{ ARRAY("vms.*.ports", ENTRIES, lab_vm, ports, nports, lab_port),
	    .required = true, .max = VM_NICS_MAX,
	    .help = "The machine's NICs, eth0 first." },
	PORT_ROWS("vms.*.ports.*", 0),
	{ KEY("vms.*.ports.*.address", NET, lab_port, address),
	    .preset = "by DHCP",
	    .help = "Address and prefix length that the guest takes." },
	{ KEY("vms.*.ports.*.gateway", IP, lab_port, gateway),
	    .help = "The guest's default gateway; only with address." },
	{ KEY("vms.*.ports.*.dns", IP, lab_port, dns),
	    .help = "The guest's DNS server; only with address." },
	{ KEY("vms.*.ports.*.address6", GUEST6, lab_port, address6),
	    .preset = "auto where a router has IPv6",
	    .help = "IPv6 address and prefix length that the guest takes, or "
		    "a list of up to four; \"auto\" for those that routers "
		    "advertise alone; \"none\" to be silent.  A guest that "
		    "has addresses heeds advertisements, too." },
	{ KEY("vms.*.ports.*.gateway6", IPS6, lab_port, gateway6),
	    .preset = "as routers advertise",
	    .help = "The guest's IPv6 router; only with addresses in "
		    "address6." },
	{ KEY("vms.*.ports.*.dns6", IPS6, lab_port, dns6),
	    .preset = "as routers advertise",
	    .help = "IPv6 addresses of DNS servers, up to four; not with "
		    "address6: none." },
	MAC_ROW("vms.*.ports.*", 0),
	{ KEY("vms.*.ports.*.mtu", COUNT, lab_port, mtu), .min = 68,
	    .max = 65521, .preset = "1500",
	    .help = "The largest IP packet, in bytes, that the guest is told "
		    "to send." },
	{ KEY("vms.*.ports.*.queues", COUNT, lab_port, queues), .min = 1,
	    .max = VIRTIO_NET_PAIRS_MAX, .preset = "1",
	    .help = "Pairs of a receive and a transmit queue; a guest uses as "
		    "many as it has CPUs." },

	/* built-in hosts */
	{ ARRAY("hosts", ENTRIES, lab, hosts, nhosts, lab_host), .ranges = true,
	    .help = "Built-in hosts without a VM: they answer ARP and pings "
		    "and can send.  Their only port is eth0." },
	PORT_ROWS("hosts.*", offsetof(struct lab_host, port)),
	{ KEY("hosts.*.address", NET, lab_host, port.address), .required = true,
	    .help = "Address and prefix length." },
	{ KEY("hosts.*.gateway", IP, lab_host, port.gateway),
	    .help = "The default gateway." },
	MAC_ROW("hosts.*", offsetof(struct lab_host, port)),
	{ KEY("hosts.*.send", MAP, lab_host, send),
	    .help = "A stream that the host sends." },
	{ KEY("hosts.*.send.to", IP, lab_send, to), .required = true,
	    .help = "The receiver's address." },
	{ KEY("hosts.*.send.protocol", CHOICE, lab_send, protocol),
	    .choices = protocols, .preset = "ping",
	    .help = "UDP datagrams, or echo requests." },
	{ KEY("hosts.*.send.port", COUNT, lab_send, port), .min = 1,
	    .max = 65535, .preset = "9", .help = "UDP: the receiver's port." },
	{ KEY("hosts.*.send.source-port", COUNT, lab_send, source_port),
	    .min = 1, .max = 65535, .preset = "9",
	    .help = "UDP: the sender's port." },
	{ KEY("hosts.*.send.frame", SIZE, lab_send, frame_bytes), .min = 60,
	    .max = 1514, .preset = "98B",
	    .help = "The size of a whole Ethernet frame without FCS." },
	{ KEY("hosts.*.send.every", DURATION, lab_send, every_ns),
	    .min = NS_PER_US, .max = 86400 * NS_PER_S, .preset = "1s",
	    .help = "The time between two frames." },
	{ KEY("hosts.*.send.count", COUNT, lab_send, count), .min = 1,
	    .max = UINT64_C(1000000000000), .preset = "without end",
	    .help = "How many frames." },
	{ KEY("hosts.*.send.start", DURATION, lab_send, start_ns),
	    .max = 86400 * NS_PER_S, .preset = "0s",
	    .help = "When the first frame is sent." },

	/* the outside */
	{ ARRAY("plugs", ENTRIES, lab, plugs, nplugs, lab_plug),
	    .help = "What does not belong to the lab, as a TAP device or a "
		    "QEMU guest.  A plug's only port is eth0." },
	PORT_ROWS("plugs.*", offsetof(struct lab_plug, port)),
	{ KEY("plugs.*.locator", TEXT, lab_plug, locator), .required = true,
	    .help = "What is plugged in, as tap:lan0 or "
		    "vhost-user:/run/user/1000/qemu.sock." },
	{ ARRAY("bridges", ENTRIES, lab, bridges, nbridges, lab_bridge),
	    .max = LAB_BRIDGES_MAX,
	    .help = "Ways from a LAN to the host's network, or to the host "
		    "itself.  A bridge's only port is eth0." },
	PORT_ROWS("bridges.*", offsetof(struct lab_bridge, port)),
	{ KEY("bridges.*.mode", CHOICE, lab_bridge, mode),
	    .choices = lab_bridge_modes, .preset = "bridged",
	    .help = "bridged: an Ethernet interface of the host is plugged "
		    "in.  mac-nat: the same, and all that is sent there "
		    "comes from the interface's own MAC address.  "
		    "monitor: the network of a WiFi access point, by an "
		    "interface in monitor mode.  "
		    "host-only: the host is a station of the LAN, by an "
		    "interface that is made for that, and forwards nothing." },
	{ KEY("bridges.*.nic", TEXT, lab_bridge, nic),
	    .help = "bridged, mac-nat, monitor: the interface, as eth0." },
	{ KEY("bridges.*.bssid", MAC, lab_bridge, bssid),
	    .help = "monitor: the access point's address." },
	{ KEY("bridges.*.channel", COUNT, lab_bridge, channel), .min = 1,
	    .max = 177, .preset = "the present one",
	    .help = "monitor: the channel, 1 to 14 or 36 to 177." },
	{ KEY("bridges.*.host", BOOL, lab_bridge, host), .preset = "false",
	    .help = "bridged: the host is reached, too, by the interface's "
		    "own addresses; else the LAN and the host do not see each "
		    "other." },
	{ KEY("bridges.*.address", NET, lab_bridge, port.address),
	    .help = "host-only: the host's address and prefix length." },
	{ KEY("bridges.*.interface", TEXT, lab_bridge, interface),
	    .preset = "LAB-BRIDGE, seven letters of each",
	    .help = "host-only: the name of the host's interface." },
	{ KEY("bridges.*.mtu", COUNT, lab_bridge, port.mtu),
	    .min = PORT_HOST_MTU_MIN, .max = PORT_HOST_MTU_MAX,
	    .preset = "1500",
	    .help = "host-only: the largest IP packet, in bytes, that the "
		    "host sends." },

	/* what happens and what is seen */
	{ ARRAY("captures", ITEMS, lab, captures, ncaptures, lab_capture),
	    .help = "Files of what passed at some ports." },
	{ KEY("captures[].at", TEXTS, lab_capture, at), .required = true,
	    .help = "Ports, as NODE.PORT, or all ports of a NODE, or all, or "
		    "bin, for frames that ended anywhere; each "
		    "may be followed by a filter of its own: \"gw.inside "
		    "icmp\"." },
	{ KEY("captures[].file", TEXT, lab_capture, file), .required = true,
	    .help = "Where to write, relative to where lanyard was started: "
		    "pcapng, or classic pcap if it ends in .pcap; "
		    "compressed if it ends in .zst." },
	{ KEY("captures[].filter", TEXT, lab_capture, filter),
	    .help = "Only frames that match (pcap-filter(7))." },
	{ KEY("captures[].snaplen", SIZE, lab_capture, snaplen), .min = 64,
	    .max = 262144, .preset = "whole frames",
	    .help = "Keep only so much of each frame." },
	{ KEY("captures[].file-size", SIZE, lab_capture, file_bytes),
	    .min = 4096, .max = UINT64_C(1) << 40, .preset = "no limit",
	    .help = "Begin the next file, with a number in its name, when one "
		    "holds so much (before compression)." },
	{ KEY("captures[].file-time", DURATION, lab_capture, file_ns),
	    .min = NS_PER_MS, .max = 365 * 86400 * NS_PER_S,
	    .preset = "no limit",
	    .help = "Begin the next file so long after a file's first "
		    "frame." },
	{ KEY("captures[].files", COUNT, lab_capture, files), .min = 1,
	    .max = 99999, .preset = "all",
	    .help = "Keep only the newest files of these." },
	{ ARRAY("events", ITEMS, lab, events, nevents, lab_event),
	    .help = "What is done, and when." },
	{ KEY("events[].at", DURATION, lab_event, at_ns), .required = true,
	    .max = 365 * 86400 * NS_PER_S,
	    .help = "The time since the lab's start." },
	{ KEY("events[].vm", NAME, lab_event, vm),
	    .help = "The VM that runs a command, once it is ready." },
	{ KEY("events[].run", TEXT, lab_event, run), .help = "The command." },
	{ KEY("events[].set", TEXT, lab_event, set),
	    .help = "The port, as NODE.PORT, whose link or cable is "
		    "changed." },
	{ KEY("events[].down", BOOL, lab_event, down),
	    .help = "With set: take the link down, or up again." },
	WIRE_ROWS("events[]", offsetof(struct lab_event, wire)),
	RULES_ROW("events[]", offsetof(struct lab_event, rules)),
	{ ARRAY("expect", ITEMS, lab, expects, nexpects, lab_expect),
	    .help = "What must be seen for the lab to succeed." },
	{ KEY("expect[].within", DURATION, lab_expect, within_ns),
	    .min = NS_PER_MS, .max = 365 * 86400 * NS_PER_S,
	    .help = "It must be seen within this time of the lab's start." },
	{ KEY("expect[].after", DURATION, lab_expect, after_ns),
	    .max = 365 * 86400 * NS_PER_S, .preset = "0s",
	    .help = "Run the command or begin to count only then." },
	{ KEY("expect[].always", BOOL, lab_expect, always),
	    .help = "Instead of within: it is judged at the lab's end." },
	{ KEY("expect[].vm", NAME, lab_expect, vm), .ranges = true,
	    .help = "The VM that runs a command, again and again until it "
		    "succeeds; \"vm[1-9]\" expects it of each." },
	{ KEY("expect[].run", TEXT, lab_expect, run), .help = "The command." },
	{ KEY("expect[].status", COUNT, lab_expect, status), .max = 255,
	    .preset = "0", .help = "The exit status that is success." },
	{ KEY("expect[].output", TEXT, lab_expect, output),
	    .help = "An extended regular expression (regex(7)) that the "
		    "output must match." },
	{ KEY("expect[].at", TEXT, lab_expect, at),
	    .help = "The port, as NODE.PORT, where frames are counted." },
	{ KEY("expect[].filter", TEXT, lab_expect, filter),
	    .help = "Which frames (pcap-filter(7))." },
	{ KEY("expect[].verdict", NAME, lab_expect, verdict),
	    .help = "Only frames with this verdict; lanyard reasons lists "
		    "them." },
	{ KEY("expect[].frames", COMPARE, lab_expect, frames),
	    .help = "How many." },
	{ KEY("expect[].router", NAME, lab_expect, router),
	    .help = "The router whose NAT entries are counted." },
	{ KEY("expect[].nat", COMPARE, lab_expect, nat),
	    .help = "How many entries." },
	{ KEY("expect[].from", NAME, lab_expect, from),
	    .help = "The plug, of kind traffic, that sends a stream, once." },
	{ KEY("expect[].to", NAME, lab_expect, to),
	    .help = "The plug, of kind traffic, that receives it." },
	{ KEY("expect[].measure", KEYSET, lab_expect, measure),
	    .keys = &measure_keys,
	    .help = "The stream, by the keys of measurements, below." },
	{ KEY("expect[].lost", COMPARE, lab_expect, lost),
	    .help = "How many of its frames do not arrive whole." },
	{ KEY("expect[].latency", DURATION, lab_expect, latency_ns),
	    .help = "How long each of them takes at most." },
	{ KEY("show", TEXTS, lab, show), .choices = tables,
	    .help = "Tables that lanyard run prints at the end." },
};

const unsigned int schema_nkeys = sizeof(schema_keys) / sizeof(schema_keys[0]);
