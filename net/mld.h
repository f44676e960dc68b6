/*
 * mld.h - what a listener says of itself in MLD (RFC 2710, RFC 3810).
 *
 * Written as whole IPv6 packets with a router alert; what others say is read in
 * membership.h.
 */
#ifndef NET_MLD_H
#define NET_MLD_H

#include "net/membership.h"

#define MLD_ALERT_BYTES  8 /* the hop-by-hop header of each message */
#define MLD_RECORD_BYTES 20
#define MLD_REPORT_BYTES(records)                 \
	(IP6_HEADER_BYTES + MLD_ALERT_BYTES + 8 + \
	    (size_t)(records)*MLD_RECORD_BYTES)
#define MLD1_BYTES (IP6_HEADER_BYTES + MLD_ALERT_BYTES + 24)

/* A group, of all sources or of none. */
struct mld_record {
	enum member_change change;
	struct ip6_addr group;
};

/* Version 2: one report of n records, from src, which is :: before there is an
 * address (RFC 3590). */
void mld_report_write(struct writer *w, const struct ip6_addr *src,
    const struct mld_record *record, unsigned int n);

/* Version 1: the same of one record, as a report or, TO_INCLUDE, as done. */
void mld1_write(struct writer *w, const struct ip6_addr *src,
    const struct mld_record *record);

/* What all MLD messages begin with, and their checksum: bytes is of the ICMPv6
 * message, which begins where mld_begin() leaves w. */
uint8_t *mld_begin(struct writer *w, const struct ip6_addr *src,
    const struct ip6_addr *dst, size_t bytes);
void mld_end(const struct writer *w, uint8_t *start, const struct ip6_addr *src,
    const struct ip6_addr *dst, size_t bytes);

#endif
