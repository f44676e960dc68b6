/*
 * reass.h - fragments put together again (RFC 791, RFC 8200 4.5), with RFC
 * 5722's rule of overlaps: one that overlaps spoils the whole.
 *
 * A few datagrams at a time; one more takes the place of the oldest.
 */
#ifndef GUEST_REASS_H
#define GUEST_REASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/cursor.h"
#include "net/ip4.h"
#include "net/ip6.h"

#include "vmm/guest/timer.h"

#define REASS_SLOTS      4
#define REASS_TIMEOUT_US (15 * US_PER_S)

struct netif;

/* Which datagram a fragment belongs to, and where in it. */
struct fragment {
	struct ip6_addr src, dst;
	uint32_t id;
	uint8_t protocol;
	size_t at; /* a multiple of 8 */
	bool last;
};

struct reass {
	bool used;
	struct fragment of;
	size_t total_bytes; /* of the payload; 0: the end is not here yet */
	size_t have_bytes, reach_bytes; /* received; end of the furthest */
	struct netif *nif;
	/* The header of the first fragment, of one kind or the other. */
	struct ip4 first4;
	struct ip6 first6;
	struct timer timer;
	uint8_t blocks[IP4_MAX_BYTES / 8 / 8 + 1]; /* a bit per 8 bytes */
	uint8_t data[IP4_MAX_BYTES + 1];
};

void reass_init(struct reass all[REASS_SLOTS]);

/* Takes the fragment whose data is in c.  The datagram when it is whole, to be
 * freed; else NULL, with what was spoilt counted. */
struct reass *reass_add(struct netif *nif, const struct fragment *f,
    const struct ip4 *ip4, const struct ip6 *ip6, const struct cursor *c);
void reass_free(struct reass *r);

#endif
