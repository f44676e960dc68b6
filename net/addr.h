/*
 * addr.h - MAC and IPv4 addresses: values, text in and out.
 *
 * An IPv4 address is a uint32_t in host order: 10.0.0.1 is 0x0a000001.
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "net/cursor.h"

struct mac {
	uint8_t b[6];
};

#define MAC_TEXT_BYTES 18 /* "52:54:00:12:34:56" and its end */
#define IP4_TEXT_BYTES 16
#define NET_TEXT_BYTES 19 /* "255.255.255.255/32" */

#define IP4_BROADCAST UINT32_C(0xffffffff)

extern const struct mac mac_broadcast;

/* An address on a link: 10.0.0.1/24. */
struct ip4_net {
	uint32_t addr;
	uint8_t prefix; /* 0 to 32 */
};

static inline bool
mac_equal(const struct mac *a, const struct mac *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Group addresses, broadcast among them (IEEE 802-2014, 8.2). */
static inline bool
mac_is_group(const struct mac *mac)
{
	return mac->b[0] & 1;
}

static inline bool
mac_is_broadcast(const struct mac *mac)
{
	return mac_equal(mac, &mac_broadcast);
}

static inline bool
mac_is_zero(const struct mac *mac)
{
	return (mac->b[0] | mac->b[1] | mac->b[2] | mac->b[3] | mac->b[4] |
		   mac->b[5]) == 0;
}

static inline uint32_t
ip4_mask(uint8_t prefix)
{
	return prefix == 0 ? 0 : UINT32_C(0xffffffff) << (32 - prefix);
}

static inline bool
ip4_net_has(struct ip4_net net, uint32_t addr)
{
	return ((net.addr ^ addr) & ip4_mask(net.prefix)) == 0;
}

static inline bool
ip4_nets_overlap(struct ip4_net a, struct ip4_net b)
{
	a.prefix = a.prefix < b.prefix ? a.prefix : b.prefix;
	return ip4_net_has(a, b.addr);
}

/* The directed broadcast address; a /31 or /32 has none: 0 (RFC 3021). */
static inline uint32_t
ip4_net_broadcast(struct ip4_net net)
{
	return net.prefix > 30 ? 0 : net.addr | ~ip4_mask(net.prefix);
}

/* Is addr a host's in net: neither the network's own nor its broadcast? */
static inline bool
ip4_net_has_host(struct ip4_net net, uint32_t addr)
{
	return ip4_net_has(net, addr) &&
	    (net.prefix > 30 ||
		((addr & ~ip4_mask(net.prefix)) != 0 &&
		    addr != ip4_net_broadcast(net)));
}

static inline bool
ip4_is_multicast(uint32_t addr)
{
	return addr >> 28 == 0xe;
}

static inline bool
ip4_is_loopback(uint32_t addr)
{
	return addr >> 24 == 127;
}

static inline void
cur_mac(struct cursor *c, struct mac *mac)
{
	const uint8_t *p = cur_bytes(c, sizeof(mac->b));

	if (p != NULL)
		memcpy(mac->b, p, sizeof(mac->b));
	else
		memset(mac->b, 0, sizeof(mac->b));
}

static inline void
wr_mac(struct writer *w, const struct mac *mac)
{
	wr_bytes(w, mac->b, sizeof(mac->b));
}

/* Text of an address; out has the size named above.  Returns out. */
char *mac_text(char *out, const struct mac *mac);
char *ip4_text(char *out, uint32_t addr);
char *ip4_net_text(char *out, struct ip4_net net);

/* Reads all of text, strictly: dotted quad without leading zeros, six pairs of
 * hex digits with ':' or '-', addr/prefix with the prefix from 0 to 32.
 * False leaves *out alone. */
bool mac_read(struct mac *out, const char *text);
bool ip4_read(uint32_t *out, const char *text);
bool ip4_net_read(struct ip4_net *out, const char *text);

/* A locally administered unicast address that follows from a name: the same
 * in each run, and different for different names but for hash collisions in
 * 40 bits, which whoever hands out names must check. */
struct mac mac_of_name(const char *name);

#endif
