/*
 * udp.h - UDP over IPv4 (RFC 768) and IPv6 (RFC 8200 8.1).
 */
#ifndef NET_UDP_H
#define NET_UDP_H

#include "net/cursor.h"
#include "net/ip4.h"
#include "net/ip6.h"
#include "net/reason.h"

#define UDP_HEADER_BYTES 8
#define UDP_OFF_CHECKSUM 6

struct udp {
	uint16_t sport, dport;
	uint16_t len_bytes;  /* header and data */
	uint16_t checksum;   /* as read; 0: none was made */
	const uint8_t *data; /* borrowed */
	size_t data_bytes;
};

/* Reads the datagram in c, which travels in ip (an unfragmented packet), and
 * checks its sum unless that is absent or trusted is true (an offload has yet
 * to fill it in).  DROP_SHORT, DROP_L4_HEADER, DROP_L4_CHECKSUM. */
enum reason udp_parse(
    struct udp *udp, struct cursor *c, const struct ip4 *ip, bool trusted);
/* Over IPv6, where no sum is a wrong one. */
enum reason udp6_parse(
    struct udp *udp, struct cursor *c, const struct ip6 *ip, bool trusted);

/* Writes header, checksum (over the addresses given) and data, which may lie
 * where it is written to.  All or nothing: what does not fit, or is longer
 * than a packet, sets overrun. */
void udp_write(
    struct writer *w, const struct udp *udp, uint32_t src, uint32_t dst);
void udp6_write(struct writer *w, const struct udp *udp,
    const struct ip6_addr *src, const struct ip6_addr *dst);

#endif
