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

#define IP6_HEADER_BYTES   40
#define IP6_TEXT_BYTES     40   /* eight times four digits */
#define IP6_NET_TEXT_BYTES 44   /* and "/128" */
#define IP6_MTU_MIN        1280 /* of any link (RFC 8200 5) */
#define IP6_FRAGMENT_BYTES 8    /* of a fragment header */

#define IP6_OFF_PAYLOAD   4
#define IP6_OFF_NEXT      6
#define IP6_OFF_HOP_LIMIT 7
#define IP6_OFF_SRC       8
#define IP6_OFF_DST       24

#define IP_HOP_BY_HOP  0
#define IP_ROUTING     43
#define IP_FRAGMENT    44
#define IP_AUTH        51
#define IP_ICMP6       58
#define IP_NONE        59
#define IP_DESTINATION 60

struct ip6_addr {
	uint8_t b[16];
};

/* An address on a link, 2001:db8::1/64. */
struct ip6_net {
	struct ip6_addr addr;
	uint8_t prefix; /* 0 to 128 */
};

extern const struct ip6_addr ip6_all_nodes, ip6_all_routers; /* ff02::1, ::2 */

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
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
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

/* fc00::/7 (RFC 4193) */
static inline bool
ip6_is_unique_local(const struct ip6_addr *addr)
{
	return (addr->b[0] & 0xfe) == 0xfc;
}

/*
 * Can addr be that of one host, of any scope?  Not ::, ::1, a group, nor an
 * IPv4 address within ::/96 or ::ffff:0:0/96, none of which ever stands in a
 * packet on a link (RFC 4291 2.5, RFC 6890).
 */
bool ip6_is_host(const struct ip6_addr *addr);

bool ip6_net_has(const struct ip6_net *net, const struct ip6_addr *addr);
/* How many bits at the beginning of both are the same. */
unsigned int ip6_common_bits(
    const struct ip6_addr *a, const struct ip6_addr *b);
/* addr with all bits behind the prefix cleared. */
struct ip6_addr ip6_masked(const struct ip6_addr *addr, uint8_t prefix);

/* A number of addr that nobody can choose who does not know the key. */
uint32_t ip6_hash(const uint64_t key[2], const struct ip6_addr *addr);

struct ip6_addr ip6_of_ip4(uint32_t addr);
/* The IPv4 address within addr; false if there is none. */
bool ip6_to_ip4(uint32_t *out, const struct ip6_addr *addr);
/* fe80:: and the MAC address's modified EUI-64 (RFC 4291 appendix A). */
struct ip6_addr ip6_link_local(const struct mac *mac);

/* Text (RFC 5952), or the dotted quad of an IPv4 address.  Returns out. */
char *ip6_text(char out[IP6_TEXT_BYTES], const struct ip6_addr *addr);

char *ip6_net_text(char out[IP6_NET_TEXT_BYTES], const struct ip6_net *net);

/* Reads all of text, as RFC 4291 2.2 has it: "::" once, up to four digits, a
 * dotted quad at the end.  The prefix is from 0 to 128.  False leaves *out
 * alone. */
bool ip6_read(struct ip6_addr *out, const char *text);
bool ip6_net_read(struct ip6_net *out, const char *text);

void cur_ip6(struct cursor *c, struct ip6_addr *addr);
void wr_ip6(struct writer *w, const struct ip6_addr *addr);

/* Reads one header; *c is left with the payload alone, extension headers
 * included.  DROP_SHORT, DROP_IP6_HEADER for another version, DROP_IP_LENGTH. */
enum reason ip6_parse(struct ip6 *ip, struct cursor *c);
/* The same of a packet that is cut off anywhere behind its header. */
enum reason ip6_parse_quoted(struct ip6 *ip, struct cursor *c);
void ip6_write(struct writer *w, const struct ip6 *ip);

/* The pseudo header of RFC 8200 8.1. */
uint32_t csum_pseudo6(const struct ip6_addr *src, const struct ip6_addr *dst,
    uint8_t next, uint32_t len_bytes);

#endif
