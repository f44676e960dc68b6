/*
 * packet.h - what tells one captured frame from others, and one conversation.
 *
 * Read from as much of a frame as was kept, without checking sums: a capture
 * may hold anything, and what does not make sense is left out.
 */
#ifndef PCAP_TOOLS_PACKET_H
#define PCAP_TOOLS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"

#define PACKET_END_BYTES 64 /* text of one end: "[2001:db8::1]:65535" */

/* One end of a conversation: IPv4 or IPv6 and a port, or a MAC address. */
struct packet_end {
	uint8_t address[16]; /* IPv4: the first 4; MAC: the first 6 */
	uint16_t port;       /* UDP, TCP, an echo's id; else 0 */
};

enum packet_layer { PACKET_ETHERNET, PACKET_IP4, PACKET_IP6 };

/* Of which conversation it is; src sent this frame. */
struct packet_flow {
	struct packet_end src, dst;
	uint8_t layer;    /* enum packet_layer */
	uint8_t protocol; /* of IP */
	uint16_t type;    /* EtherType, if it is not IP */
};

struct packet {
	struct packet_flow flow;
	struct mac src, dst;
	uint16_t vlan; /* the outer tag's, 0: none */
	uint8_t ttl;
	bool later_fragment; /* has no ports */
	uint16_t ip_id;      /* of IPv4 */
	uint16_t offset;     /* of a fragment, in 8 bytes */
	/* TCP; flags of net/tcp.h */
	uint32_t seq, ack;
	uint8_t flags;
	/* ICMP (and then flow.*.port is the echo's id) */
	uint8_t icmp_type, icmp_code;
	uint16_t icmp_seq;
	bool echo;
	/* What the transport carries: its whole length, and what was kept. */
	uint32_t data_bytes;
	const uint8_t *data;
	size_t kept_bytes;
};

/* frame is Ethernet, len_bytes long, of which kept_bytes are there.  data is
 * borrowed from it.  False: not even addresses. */
bool packet_read(struct packet *packet, const uint8_t *frame, size_t kept_bytes,
    size_t len_bytes);

/* Whether b is of the same conversation, in either direction. */
bool packet_same_flow(const struct packet_flow *a, const struct packet_flow *b);
uint64_t packet_flow_hash(const struct packet_flow *flow); /* of both alike */

/* A hash of what a NAT leaves as it is: payload, sequence numbers; never
 * addresses, ports, an echo's id, TTL, sums, or IPv4's id (RFC 6864 5.3.1). */
uint64_t packet_content_hash(const struct packet *packet);

/* "10.0.0.1:80".  Returns out. */
char *packet_end_text(char out[PACKET_END_BYTES],
    const struct packet_flow *flow, const struct packet_end *end);
/* "TCP", "ICMP", "ARP", "0x88b5". */
const char *packet_protocol_text(char out[16], const struct packet_flow *flow);

#endif
