/*
 * sockets.h - what the parts of the way out by ordinary sockets share.
 *
 *     port_sockets.c      frames: ARP, IPv4 in and out, the port itself
 *     sockets_datagram.c  UDP, and ICMP echo by ping sockets
 *     sockets_tcp.c       TCP: two connections that are spliced
 *     host_resolver.c     who answers for the address of the name server
 *
 * Addresses and ports are host order.  "Inside" is the LAN that the port is
 * plugged into, "outside" is what the host reaches.  Loop thread only.
 */
#ifndef BRIDGE_SOCKETS_H
#define BRIDGE_SOCKETS_H

#include <netinet/in.h>
#include <sys/queue.h>

#include "net/ip4.h"
#include "switch/port.h"

#define SOCKETS_BUCKETS    16384
#define SOCKETS_FLOWS_MAX  12288 /* sockets at a time, of TCP and of others */
#define SOCKETS_HEAD_BYTES 64    /* room for headers before what is received */
#define SOCKETS_POOL_BYTES (1024 * 1024)

struct datagram_flow;
struct tcp_flow;

struct sockets {
	struct port port; /* first: ports of this kind are these */
	struct loop *loop;
	struct mac mac;       /* ours on the LAN */
	struct ip4_net net;   /* our address there */
	bool host;            /* our address stands for the host's 127.0.0.1 */
	uint32_t dns;         /* stands for the host's name server, 0: none */
	uint32_t resolver;    /* which is this, 0: it has none */
	uint64_t resolver_ns; /* when that was looked up, 0: never */
	uint32_t hash_key;
	uint16_t ip_id;
	unsigned int tcp_sockets;
	unsigned int max_flows, room; /* sockets of one kind, of both */
	LIST_HEAD(, datagram_flow) datagrams[SOCKETS_BUCKETS];
	LIST_HEAD(, tcp_flow) tcps[SOCKETS_BUCKETS];
	unsigned int ntcp, ndatagram;
	struct tcp_burst *tcp;           /* of the round */
	struct datagram_burst *datagram; /* likewise */
	struct burst out; /* staged, and sent by sockets_flush() */
	uint8_t *pool;    /* what comes by a socket, during its burst */
};

/* One packet out of the LAN, its headers checked. */
struct sockets_packet {
	const struct frame *frame;
	struct mac from;
	struct ip4 ip;
	bool trusted;         /* its checksum needs no look */
	size_t l4_at;         /* in the frame: where ip's payload is */
	size_t l4_bytes;      /* of it */
	const uint8_t *l4;    /* its first bytes, a copy */
	size_t l4_head_bytes; /* so many */
};

/* ---- port_sockets.c ---- */

/* Where packets for an inside destination go in fact, as the host sees it. */
struct sockaddr_in sockets_outside(
    const struct sockets *s, uint32_t addr, uint16_t port);
/* The address that inside knows a host by; asks_dns: it asked our name server by
 * the same socket. */
uint32_t sockets_inside(
    const struct sockets *s, uint32_t addr, uint16_t port, bool asks_dns);
/* Does it go to our name server, which the host has? */
enum reason sockets_check_dns(
    struct sockets *s, const struct sockets_packet *p, uint16_t port);

/* No socket more for a kind that has of_kind. */
bool sockets_full(const struct sockets *s, unsigned int of_kind);

/* A number for four values that a guest cannot foresee. */
uint32_t sockets_hash(
    const struct sockets *s, uint32_t a, uint32_t b, uint16_t c, uint16_t d);

/* Pieces of the frame from offset on, n bytes: how many of out, of which there
 * are max; 0: too many. */
unsigned int sockets_pieces(const struct frame *frame, size_t offset, size_t n,
    struct iovec *out, unsigned int max);

/* The sum over n bytes of the frame from offset on. */
uint32_t sockets_sum(const struct frame *frame, size_t offset, size_t n);

/*
 * Sends an IPv4 packet of which l4_bytes are at l4, with SOCKETS_HEAD_BYTES of
 * room before them, which stay as they are until sockets_flush().  ip needs
 * ttl, protocol, src, dst; it has DF if asked for by ip->fragment.  With
 * csum_offset, the sum there is the pseudo header's, and mss cuts TCP; else it
 * is finished.  What is larger than the LAN carries is cut to fragments, of
 * which the bytes are sent before this returns.
 */
void sockets_send(struct sockets *s, const struct mac *to, struct ip4 *ip,
    uint8_t *l4, size_t l4_bytes, uint16_t csum_offset, uint16_t mss,
    uint16_t l4_header_bytes);
void sockets_flush(struct sockets *s);

/* Sends an ICMP error about a packet that came from ip->src: ip's header and n
 * bytes of its payload are quoted.  from is who says so. */
void sockets_error(struct sockets *s, const struct mac *to, uint32_t from,
    uint8_t type, uint8_t code, uint32_t word, const struct ip4 *ip,
    const void *l4, size_t n);

/*
 * What is to be sent by a socket is gathered, so that a burst costs few system
 * calls: the verdict of frame may be written by a later call of the same file's
 * functions, its _end() at the latest.
 */

/* ---- sockets_datagram.c ---- */

void sockets_udp(
    struct sockets *s, const struct sockets_packet *p, struct frame *frame);
void sockets_echo(
    struct sockets *s, const struct sockets_packet *p, struct frame *frame);
void sockets_datagram_end(struct sockets *s);
int sockets_datagram_init(struct sockets *s); /* 0 or -ENOMEM */
void sockets_datagram_free(struct sockets *s);

/* ---- sockets_tcp.c ---- */

void sockets_tcp(
    struct sockets *s, const struct sockets_packet *p, struct frame *frame);
void sockets_tcp_end(struct sockets *s);
int sockets_tcp_init(struct sockets *s); /* 0 or -ENOMEM */
void sockets_tcp_free(struct sockets *s);

#endif
