/*
 * reason.h - every fate that a frame can have, in one list.
 *
 * Verdicts, counters, captures, `show`, `expect:` and the manual speak of the
 * same reasons.  Each row: identifier, the name on the command line and in
 * captures, a sentence of what happened, and the clause that asks for it.
 * Rows from REASON_FIRST_DROP on mean that the frame ends here.  A module adds
 * rows to its own part; names are never reused.
 */
#ifndef NET_REASON_H
#define NET_REASON_H

#include <stdbool.h>

#define REASON_PASS_LIST(row)                                                 \
	row(SENT, "sent", "sent by this node itself", "") row(                \
	    DELIVERED, "delivered", "delivered to this node itself", "")      \
	    row(FORWARDED, "forwarded",                                       \
		"forwarded to the port where its "                            \
		"destination was learned",                                    \
		"IEEE 802.1D-2004 7.7") row(FLOOD_UNKNOWN, "flooded-unknown", \
		"flooded because its "                                        \
		"destination is unknown",                                     \
		"IEEE 802.1D-2004 7.7.1") row(FLOOD_BROADCAST,                \
		"flooded-broadcast",                                          \
		"flooded because it is a "                                    \
		"broadcast",                                                  \
		"IEEE 802.1D-2004 7.7.1") row(FLOOD_GROUP, "flooded-group",   \
		"flooded because it goes to a "                               \
		"group address",                                              \
		"IEEE 802.1D-2004 7.7.1") row(ROUTED, "routed",               \
		"routed to the next hop", "RFC 1812 5.2.1") row(NAT_NEW,      \
		"nat-new", "translated by a new NAT entry",                   \
		"RFC 4787 REQ-1") row(NAT_OUT, "nat-out",                     \
		"translated outwards by a NAT entry", "RFC 3022 4.1")         \
		row(NAT_IN, "nat-in", "translated inwards by a NAT entry",    \
		    "RFC 3022 4.1") row(NAT_ICMP, "nat-icmp",                 \
		    "ICMP error translated to the host it is "                \
		    "about",                                                  \
		    "RFC 5508 REQ-4") row(NAT_HAIRPIN, "nat-hairpin",         \
		    "translated between two inside hosts",                    \
		    "RFC 4787 REQ-9") row(ARP_QUEUED, "arp-queued",           \
		    "kept until its next hop is resolved", "RFC 1122 2.3.2.2")

#define REASON_DROP_LIST(row)                                                  \
	/* any port or cable */                                                \
	row(DROP_NO_CABLE, "no-cable", "no cable is plugged into the port",    \
	    "") row(DROP_LINK_DOWN, "link-down", "the link is down", "")       \
	    row(DROP_PORT_FULL, "port-full", "the port could not take it", "") \
		row(DROP_TOO_LONG, "too-long",                                 \
		    "longer than the port can carry", "") row(DROP_IO,         \
		    "io-error", "the host refused to take it", "")             \
		    row(DROP_NOT_READY, "not-ready",                           \
			"the guest's NIC is not ready", "") /* any parser */   \
	    row(DROP_SHORT, "short", "cut off in the middle of a header",      \
		"") row(DROP_ETH_TYPE, "ethertype",                            \
		"an EtherType that nobody here reads",                         \
		"") row(DROP_ETH_SOURCE, "group-source",                       \
		"a group address as source",                                   \
		"IEEE 802.3 3.2.3") row(DROP_ARP_TYPE, "arp-type",             \
		"ARP for another kind of network", "RFC 826") row(DROP_ARP_OP, \
		"arp-op", "an ARP operation that is not known", "RFC 826")     \
		row(DROP_IP_VERSION, "ip-version", "not IP version 4",         \
		    "RFC 1812 5.2.2") row(DROP_IP_HEADER, "ip-header",         \
		    "an IP header that contradicts "                           \
		    "itself",                                                  \
		    "RFC 1812 5.2.2") row(DROP_IP_LENGTH, "ip-length",         \
		    "an IP total length beyond the frame", "RFC 1812 5.2.2")   \
		    row(DROP_IP_CHECKSUM, "ip-checksum",                       \
			"a wrong IP header checksum", "RFC 1812 5.2.2")        \
			row(DROP_L4_CHECKSUM, "l4-checksum",                   \
			    "a wrong transport checksum", "RFC 1122 4.1.3.4")  \
			    row(DROP_L4_HEADER, "l4-header",                   \
				"a transport header that contradicts "         \
				"itself",                                      \
				"") row(DROP_DHCP, "dhcp",                     \
				"a DHCP message that contradicts itself",      \
				"RFC 2131 2") row(DROP_DNS, "dns",             \
				"a DNS message that contradicts itself",       \
				"RFC 1035 4.1") /* switch */                   \
	    row(DROP_SAME_PORT, "same-port",                                   \
		"its destination is behind the port "                          \
		"it came from",                                                \
		"IEEE 802.1D-2004 7.7.1") row(DROP_RESERVED, "reserved-group", \
		"a reserved group address that "                               \
		"bridges do not forward",                                      \
		"IEEE 802.1D-2004 7.12.6")                                     \
		row(DROP_NO_OTHER_PORT, "no-other-port",                       \
		    "no other port to flood it "                               \
		    "to",                                                      \
		    "") /* vhost-user */                                       \
	    row(DROP_RING_INDEX, "ring-index",                                 \
		"an available index that runs "                                \
		"ahead of the ring",                                           \
		"virtio 1.2 2.7.13") row(DROP_RING_CHAIN, "ring-chain",        \
		"a descriptor chain that loops or "                            \
		"leaves its table",                                            \
		"virtio 1.2 2.7.5") row(DROP_RING_ADDRESS, "ring-address",     \
		"a descriptor outside the "                                    \
		"guest's memory",                                              \
		"virtio 1.2 2.7.5") row(DROP_RING_DIRECTION, "ring-direction", \
		"a descriptor of the wrong "                                   \
		"direction",                                                   \
		"virtio 1.2 2.7.4.2") row(DROP_RING_EMPTY, "ring-empty",       \
		"the guest offers no buffers", "virtio 1.2 5.1.6.3")           \
		row(DROP_VNET_HEADER, "vnet-header",                           \
		    "an offload request that "                                 \
		    "contradicts the frame",                                   \
		    "virtio 1.2 5.1.6.2") /* router */                         \
	    row(DROP_NOT_OURS, "not-ours", "addressed to another station",     \
		"RFC 1812 3.3.1") row(DROP_MARTIAN, "martian",                 \
		"an address that cannot come from there",                      \
		"RFC 1812 5.3.7") row(DROP_BROADCAST_FORWARD, "broadcast",     \
		"a broadcast that routers do "                                 \
		"not forward",                                                 \
		"RFC 2644") row(DROP_TTL, "ttl", "its time to live ran out",   \
		"RFC 1812 5.3.1") row(DROP_NO_ROUTE, "no-route",               \
		"no route to its destination",                                 \
		"RFC 1812 5.2.7.1") row(DROP_ARP_FAILED, "arp-failed",         \
		"the next hop does not answer ARP",                            \
		"RFC 1812 5.2.7.1") row(DROP_ARP_QUEUE, "arp-queue-full",      \
		"pushed out while its next hop "                               \
		"was being resolved",                                          \
		"RFC 1122 2.3.2.2") row(DROP_MTU, "mtu",                       \
		"too big for the next link and not to be "                     \
		"fragmented",                                                  \
		"RFC 1191 4") row(DROP_FRAGMENT, "fragment",                   \
		"a fragment that cannot be reassembled", "RFC 4787 REQ-14")    \
		row(DROP_NO_LISTENER, "no-listener",                           \
		    "nothing listens at that port", "RFC 1122 4.1.3.1")        \
		    row(DROP_PROTOCOL, "protocol",                             \
			"an IP protocol that nobody here reads",               \
			"RFC 1812 5.2.7.1") /* NAT */                          \
	    row(DROP_NAT_UNSOLICITED, "nat-unsolicited",                       \
		"refused: no NAT entry "                                       \
		"for it, it was not asked for",                                \
		"RFC 4787 5") row(DROP_NAT_FILTERED, "nat-filtered",           \
		"refused: the NAT entry does "                                 \
		"not admit this sender",                                       \
		"RFC 4787 5") row(DROP_NAT_FULL, "nat-full",                   \
		"refused: the NAT table is full", "RFC 6888 REQ-11")           \
		row(DROP_NAT_NO_PORT, "nat-no-port",                           \
		    "refused: no outside port is "                             \
		    "free",                                                    \
		    "RFC 6888 REQ-11") row(DROP_NAT_PROTOCOL, "nat-protocol",  \
		    "a protocol that NAT cannot "                              \
		    "translate",                                               \
		    "RFC 3022 4") row(DROP_NAT_ICMP, "nat-icmp-unknown",       \
		    "an ICMP error about nothing "                             \
		    "that passed here",                                        \
		    "RFC 5508 REQ-4") row(DROP_NAT_STATE, "nat-state",         \
		    "does not begin a connection", "RFC 5382 REQ-4")

enum reason {
	REASON_NONE, /* no verdict yet; for a parser: nothing wrong */
#define REASON_ROW(id, name, sentence, clause) REASON_##id,
	REASON_PASS_LIST(REASON_ROW)
#undef REASON_ROW
#define REASON_ROW(id, name, sentence, clause) id,
	    REASON_DROP_LIST(REASON_ROW)
#undef REASON_ROW
		REASON_COUNT,
	DROP_NONE = REASON_NONE,
	REASON_FIRST_DROP = DROP_NO_CABLE,
};

static inline bool
reason_is_drop(enum reason reason)
{
	return reason >= REASON_FIRST_DROP;
}

/* Never NULL; an unknown number has the name "?". */
const char *reason_name(enum reason reason);
const char *reason_sentence(enum reason reason);
const char *reason_clause(enum reason reason); /* "" if none */

/* The reason of that name, or REASON_COUNT. */
enum reason reason_of_name(const char *name);

#endif
