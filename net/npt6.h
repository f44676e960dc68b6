/*
 * npt6.h - one IPv6 prefix for another, so that no checksum changes (RFC 6296).
 */
#ifndef NET_NPT6_H
#define NET_NPT6_H

#include "net/ip6.h"

/* Two prefixes of the same length, up to 64. */
struct npt6 {
	struct ip6_net inside, outside; /* without host bits */
	uint16_t adjust;                /* is added on the way out */
};

/* Prefixes may have host bits, which are ignored; the longer one's length
 * counts for both.  False: it is longer than 64, or they are the same. */
bool npt6_init(struct npt6 *npt, const struct ip6_net *inside,
    const struct ip6_net *outside);

enum npt6_result {
	NPT6_DONE,
	NPT6_NOT_OURS,  /* addr is of neither prefix; it is as it was */
	NPT6_NO_SUBNET, /* subnet 0xffff, which cannot be told from 0 (3.2) */
	NPT6_NO_HOST,   /* an identifier of zeros, likewise (3.7) */
};

/* The inside address as it is outside, and back. */
enum npt6_result npt6_out(const struct npt6 *npt, struct ip6_addr *addr);
enum npt6_result npt6_in(const struct npt6 *npt, struct ip6_addr *addr);

#endif
