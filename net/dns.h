/*
 * dns.h - DNS questions and their address answers (RFC 1035).
 */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "net/cursor.h"
#include "net/reason.h"

#define DNS_PORT        53
#define DNS_TYPE_A      1
#define DNS_TYPE_PTR    12
#define DNS_TYPE_AAAA   28
#define DNS_CLASS_IN    1
#define DNS_NAME_BYTES  256 /* dotted text with its end */
#define DNS_MAX_BYTES   512 /* over UDP without EDNS */
#define DNS_MAX_ANSWERS 8

#define DNS_FLAG_RESPONSE  0x8000
#define DNS_FLAG_AUTHORITY 0x0400
#define DNS_FLAG_TRUNCATED 0x0200
#define DNS_FLAG_RECURSE   0x0100 /* desired */
#define DNS_FLAG_RECURSION 0x0080 /* available */
#define DNS_RCODE(flags)   ((flags)&0xf)
#define DNS_OK             0
#define DNS_NXDOMAIN       3
#define DNS_REFUSED        5

/* One question, and the A records that answer it. */
struct dns {
	uint16_t id, flags;
	char name[DNS_NAME_BYTES]; /* lower case, no dot at the end */
	uint16_t type, class;
	uint8_t naddrs;
	uint32_t addr[DNS_MAX_ANSWERS];
	uint32_t ttl_s; /* the smallest of the answers' */
};

/* Reads the UDP payload in c: one question exactly; of the answers the A
 * records, through CNAMEs.  Compression pointers may only point backwards.
 * DROP_SHORT, DROP_DNS; *dns is filled only if DROP_NONE. */
enum reason dns_parse(struct dns *dns, struct cursor *c);

/* Writes question and answers; a name that cannot be (an empty label, one of
 * more than 63 letters, more than 253 in all) sets overrun. */
void dns_write(struct writer *w, const struct dns *dns);

#endif
