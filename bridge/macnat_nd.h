/*
 * macnat_nd.h - link-layer addresses within IPv6 neighbour discovery (RFC 4861).
 */
#ifndef BRIDGE_MACNAT_ND_H
#define BRIDGE_MACNAT_ND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/ip6.h"
#include "net/reason.h"

#define ND_ROUTER_SOLICITATION    133
#define ND_ROUTER_ADVERTISEMENT   134
#define ND_NEIGHBOR_SOLICITATION  135
#define ND_NEIGHBOR_ADVERTISEMENT 136
#define ND_REDIRECT               137

struct nd {
	uint8_t type;
	struct ip6_addr target; /* of NS, NA and redirect, else zero */
	/* The addresses in the options, or NULL; and the checksum. */
	uint8_t *source, *about, *checksum;
};

/* Finds the message in the len bytes at data, an ICMPv6 message of which head
 * are at hand.  REASON_NONE, with type 0 if it is none of neighbour discovery;
 * DROP_ND, DROP_SHORT, DROP_TOO_LONG (not all of it is at hand), or
 * DROP_MACNAT_PROTOCOL (it is signed, RFC 3971, so it cannot be changed). */
enum reason nd_parse(struct nd *nd, uint8_t *data, size_t head, size_t len);

/* Writes mac over one of the addresses (NULL: nothing) and corrects the
 * checksum, if that is finished. */
void nd_set(
    struct nd *nd, uint8_t *address, const struct mac *mac, bool unfinished);

#endif
