/*
 * nat_translate.h - reading what NAT needs of a packet, and rewriting it with
 * its checksums (RFC 3022 4, RFC 5508 for ICMP).
 *
 * Works on a copy of the packet's beginning that is ours alone.  Checksums are
 * updated, not computed (RFC 1624): a packet that was damaged before stays so.
 */
#ifndef ROUTER_NAT_TRANSLATE_H
#define ROUTER_NAT_TRANSLATE_H

#include "net/ip4.h"
#include "router/nat.h"

enum nat_kind {
	NAT_FLOW,      /* TCP, UDP, ICMP echo: has ports */
	NAT_ICMPERROR, /* is about another packet */
};

struct nat_packet {
	uint8_t *bytes;    /* of the IP header and what follows it */
	size_t head_bytes; /* how many are there */
	struct ip4 ip;
	/* The transport checksum is unfinished: its field holds the sum of the
	 * pseudo header (FRAME_CSUM). */
	bool partial;
	/* From here on nat_read() fills in. */
	enum nat_kind kind;
	uint16_t sport, dport;
	bool is_tcp;   /* segment is set */
	bool is_reply; /* ICMP echo reply: dport is its id, else sport */
	struct nat_segment segment;
};

/* Reads the transport header.  DROP_SHORT, DROP_L4_HEADER, or
 * DROP_NAT_PROTOCOL if it is none that NAT can translate. */
enum reason nat_read(struct nat_packet *packet);

/* Reads of TCP what a connection's state follows from; c is behind the ports.
 * *cut: the options go on beyond it.  DROP_SHORT, DROP_L4_HEADER. */
enum reason nat_read_segment(
    struct nat_segment *segment, struct cursor *c, bool *cut);

/* The packet's flow, as nat_out() and nat_in() want it. */
static inline void
nat_flow_out(const struct nat_packet *packet, struct nat_flow *flow)
{
	flow->ip = packet->ip.src;
	flow->remote_ip = packet->ip.dst;
	flow->port = packet->sport;
	flow->remote_port = packet->dport;
	flow->protocol = packet->ip.protocol;
	flow->hash = 0;
	flow->guess = 0;
}

static inline void
nat_flow_in(const struct nat_packet *packet, struct nat_flow *flow)
{
	flow->ip = packet->ip.dst;
	flow->remote_ip = packet->ip.src;
	flow->port = packet->dport;
	flow->remote_port = packet->sport;
	flow->protocol = packet->ip.protocol;
	flow->hash = 0;
	flow->guess = 0;
}

/* The addresses and ports of a packet behind the NAT. */
struct nat_ends {
	uint32_t src, dst;
	uint16_t sport, dport;
};

static inline struct nat_ends
nat_ends(const struct nat_packet *packet)
{
	return (struct nat_ends){ .src = packet->ip.src,
		.dst = packet->ip.dst,
		.sport = packet->sport,
		.dport = packet->dport };
}

/* Writes to into the packet's headers.  packet->ip is left as it was. */
void nat_rewrite(const struct nat_packet *packet, const struct nat_ends *to);

/* Writes src and dst into an IPv4 header with its checksum, as for a fragment
 * that has no ports. */
void nat_rewrite_addresses(uint8_t *header, uint32_t src, uint32_t dst);

/*
 * Translates an ICMP error, whose whole packet of bytes is at packet.
 * REASON_NAT_ICMP with *hit telling about what; or DROP_NAT_ICMP if nothing is
 * known of the packet it quotes, or what a parser said.
 */
enum reason nat_icmp_out(const struct nat *nat, uint8_t *packet, size_t bytes,
    uint64_t now_ns, struct nat_hit *hit);
enum reason nat_icmp_in(const struct nat *nat, uint8_t *packet, size_t bytes,
    uint64_t now_ns, struct nat_hit *hit);

#endif
