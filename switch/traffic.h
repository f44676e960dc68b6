/*
 * traffic.h - a built-in host that needs no VM: it answers ARP and echo
 * requests for its address and can send UDP or echo requests at a rate.
 *
 * A node of one port.  All it does follows from its options, the loop's clock
 * and its seed, so that labs of switches, routers and traffic hosts under
 * virtual time are alike byte for byte.
 */
#ifndef SWITCH_TRAFFIC_H
#define SWITCH_TRAFFIC_H

#include "net/addr.h"
#include "switch/port.h"

enum traffic_kind { TRAFFIC_UDP, TRAFFIC_PING };

struct traffic_options {
	struct mac mac;
	struct ip4_net address; /* it answers for this address */
	uint32_t gateway;       /* 0: none, everything is on the link */
	uint64_t seed;          /* payload, source ports, jitter of start */
	/* What it sends; to == 0: nothing, it only answers. */
	enum traffic_kind kind;
	uint32_t to;
	uint16_t sport, dport; /* TRAFFIC_UDP; 0: 9 (discard) */
	uint32_t frame_bytes;  /* whole Ethernet frame; 0: 98 */
	uint64_t interval_ns;  /* between frames; 0: a second */
	uint64_t count;        /* 0: without end; one unsent for ARP counts */
	/* Time of the first, by the loop's clock; 0: some time within the first
	 * interval, so that many hosts do not start at once. */
	uint64_t start_ns;
};

struct traffic_stats {
	uint64_t sent, received; /* frames of its own stream; answers to it */
	uint64_t answered;       /* ARP and echo requests of others */
	unsigned int held;       /* of its own, waiting for the next hop */
	uint64_t rtt_min_ns, rtt_max_ns, rtt_sum_ns; /* TRAFFIC_PING */
};

struct traffic;

/* The caller's to free.  NULL: *err says which option is impossible. */
struct traffic *traffic_new(struct loop *loop, const char *name,
    const char *port_name, const struct traffic_options *options,
    struct err *err);
void traffic_free(struct traffic *traffic); /* cuts its cable; NULL is fine */

struct node *traffic_node(struct traffic *traffic);
struct port *traffic_port(struct traffic *traffic);
struct traffic_stats traffic_stats(const struct traffic *traffic);

#endif
