/*
 * ip6.h - IPv6 addresses and the fixed header (RFC 8200 3, RFC 4291).
 *
 * An IPv4 address fits into an IPv6 one as ::ffff:a.b.c.d (RFC 4291 2.5.5.2),
 * for tables of both.
 */
#ifndef NET_IP6_H
#define NET_IP6_H

#include "net/addr.h"
#include "net/cursor.h"
#include "net/reason.h"

#define IP6_HEADER_BYTES 40
#define IP6_TEXT_BYTES   40 /* eight times four digits */

#define IP_HOP_BY_HOP 0
#define IP_ICMP6      58

struct ip6_addr {
	uint8_t b[16];
};

struct ip6 {
	uint8_t traffic_class;
	uint32_t flow; /* 20 bits */
	uint16_t payload_bytes;
	uint8_t next, hop_limit;
	struct ip6_addr src, dst;
};

static inline bool
ip6_equal(const struct ip6_addr *a, const struct ip6_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool
ip6_is_zero(const struct ip6_addr *addr)
{
	static const struct ip6_addr zero;

	return ip6_equal(addr, &zero);
}

static inline bool
ip6_is_multicast(const struct ip6_addr *addr)
{
	return addr->b[0] == 0xff;
}

/* fe80::/10 */
static inline bool
ip6_is_link_local(const struct ip6_addr *addr)
{
	return addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80;
}

struct ip6_addr ip6_of_ip4(uint32_t addr);
/* The IPv4 address within addr; false if there is none. */
bool ip6_to_ip4(uint32_t *out, const struct ip6_addr *addr);
/* fe80:: and the MAC address's modified EUI-64 (RFC 4291 appendix A). */
struct ip6_addr ip6_link_local(const struct mac *mac);

/* Text (RFC 5952), or the dotted quad of an IPv4 address.  Returns out. */
char *ip6_text(char out[IP6_TEXT_BYTES], const struct ip6_addr *addr);

void cur_ip6(struct cursor *c, struct ip6_addr *addr);
void wr_ip6(struct writer *w, const struct ip6_addr *addr);

/* Reads one header; *c is left with the payload alone, extension headers
 * included.  DROP_SHORT, DROP_IP6_HEADER for another version, DROP_IP_LENGTH. */
enum reason ip6_parse(struct ip6 *ip, struct cursor *c);
void ip6_write(struct writer *w, const struct ip6 *ip);

/* The pseudo header of RFC 8200 8.1. */
uint32_t csum_pseudo6(const struct ip6_addr *src, const struct ip6_addr *dst,
    uint8_t next, uint32_t len_bytes);

#endif
