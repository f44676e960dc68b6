/*
 * tcp.h - the TCP header over IPv4 (RFC 9293, 3.1).
 */
#ifndef NET_TCP_H
#define NET_TCP_H

#include "net/cursor.h"
#include "net/ip4.h"
#include "net/ip6.h"
#include "net/reason.h"

#define TCP_HEADER_BYTES 20
#define TCP_OFF_CHECKSUM 16

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20

struct tcp {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint8_t header_bytes; /* 20 to 60 */
	uint16_t window;      /* unscaled, as in the header */
	uint16_t checksum;    /* as read */
	uint16_t urgent;
	uint16_t mss; /* from the option; 0: absent.  Written with SYN only */
	const uint8_t *data; /* borrowed */
	size_t data_bytes;
};

/* Reads the segment in c, which travels in ip, and checks its sum unless
 * trusted.  Malformed options are skipped, not refused (RFC 9293, MUST-7).
 * DROP_SHORT, DROP_L4_HEADER, DROP_L4_CHECKSUM. */
enum reason tcp_parse(
    struct tcp *tcp, struct cursor *c, const struct ip4 *ip, bool trusted);
enum reason tcp6_parse(
    struct tcp *tcp, struct cursor *c, const struct ip6 *ip, bool trusted);

/* Writes header (with the MSS option if mss is set), checksum and data, as
 * udp_write() does. */
void tcp_write(
    struct writer *w, const struct tcp *tcp, uint32_t src, uint32_t dst);
void tcp6_write(struct writer *w, const struct tcp *tcp,
    const struct ip6_addr *src, const struct ip6_addr *dst);

/* The reset that answers a segment for which there is no connection, without a
 * checksum (RFC 9293 3.10.7.1). */
struct tcp tcp_reset(const struct tcp *segment);

#endif
