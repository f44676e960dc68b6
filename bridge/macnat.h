/*
 * macnat.h - many guests behind the one MAC address that a NIC may use.
 *
 * A WiFi station, or a switch port with port security, may send from one MAC
 * address only.  MAC-NAT sends the guests' frames from that address, and leads
 * what comes back to the guest that has the IP address it goes to:
 *
 *     guests                                the NIC's link
 *     src 52:54:..:01, 192.0.2.7   -->   src NIC, 192.0.2.7
 *     dst 52:54:..:01, 192.0.2.7   <--   dst NIC, 192.0.2.7
 *
 * MAC addresses within ARP and in the options of IPv6 neighbour discovery are
 * rewritten too.  A DHCP client's message keeps its chaddr, by which answers
 * are led back, and has its broadcast flag set.  Frames to group addresses go
 * to all.  Protocols other than ARP, IPv4 and IPv6 name no guest: refused.
 *
 * The table of addresses and guests is bounded.  An address is forgotten when
 * nothing was sent or received by it for age_ns.  A guest with MACNAT_PER_GUEST
 * addresses gives up the one it has not used for longest when it takes another.
 * While the table is full, new addresses are refused (DROP_MACNAT_FULL); those
 * it has live on.  An address goes over to another guest when that announces it
 * by ARP or neighbour discovery, never by a mere packet.
 *
 * Pure but for the memory of the table: time is an argument.
 */
#ifndef BRIDGE_MACNAT_H
#define BRIDGE_MACNAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/ip6.h"
#include "net/reason.h"

#define MACNAT_ENTRIES   4096
#define MACNAT_PER_GUEST 64
#define MACNAT_AGE_NS    (20ULL * 60 * 1000000000)
/* Of a frame, that must be at hand to rewrite what is within it: all of the
 * frame, or so much. */
#define MACNAT_HEAD_BYTES 2048

struct macnat;

struct macnat_options {
	struct mac nic;
	uint32_t max_entries; /* 0: MACNAT_ENTRIES */
	uint64_t age_ns;      /* 0: MACNAT_AGE_NS */
	uint64_t seed;        /* of the table's order */
};

/* NULL: no memory. */
struct macnat *macnat_new(const struct macnat_options *options);
void macnat_free(struct macnat *m); /* NULL is fine */

/* An address that is the host's, which no guest may have. */
#define MACNAT_RESERVED_MAX 32
/* 0, or -ENOSPC. */
int macnat_reserve(struct macnat *m, const struct ip6_addr *address);
void macnat_reserve_none(struct macnat *m);

/* The NIC has another address from now on. */
void macnat_set_nic(struct macnat *m, const struct mac *nic);

struct macnat_frame {
	uint8_t *data; /* changed in place: the first head bytes */
	size_t head, len;
	bool unfinished; /* its transport checksum is yet to be made */
	uint32_t entry;  /* out: the table's entry, 0: none */
};

/* From a guest to the NIC: REASON_MACNAT_OUT, or why not. */
enum reason macnat_out(
    struct macnat *m, struct macnat_frame *frame, uint64_t now_ns);
/* The other way: REASON_MACNAT_IN, REASON_MACNAT_GROUP, or why not. */
enum reason macnat_in(
    struct macnat *m, struct macnat_frame *frame, uint64_t now_ns);

struct macnat_entry {
	uint32_t entry;          /* as in verdicts */
	struct ip6_addr address; /* an IPv4 one as ip6_of_ip4() */
	uint16_t vlan;           /* 0: untagged */
	struct mac guest;
	uint64_t idle_ns;
	uint64_t out_frames, in_frames;
};

/* All that is in the table, the most recently used last. */
void macnat_each(struct macnat *m, uint64_t now_ns,
    void (*each)(void *arg, const struct macnat_entry *entry), void *arg);
uint32_t macnat_entries(const struct macnat *m);

#endif
