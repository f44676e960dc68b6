/*
 * dns.h - DNS questions, and answers of addresses and names (RFC 1035,
 * RFC 3596).
 */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "net/cursor.h"
#include "net/ip6.h"
#include "net/reason.h"

#define DNS_PORT        53
#define DNS_TYPE_A      1
#define DNS_TYPE_PTR    12
#define DNS_TYPE_AAAA   28
#define DNS_CLASS_IN    1
#define DNS_NAME_BYTES  256  /* dotted text with its end */
#define DNS_MAX_BYTES   512  /* over UDP without EDNS */
#define DNS_EDNS_BYTES  1232 /* with it, so that nothing is cut on its way */
#define DNS_MAX_ANSWERS 8

#define DNS_FLAG_RESPONSE  0x8000
#define DNS_FLAG_AUTHORITY 0x0400
#define DNS_FLAG_TRUNCATED 0x0200
#define DNS_FLAG_RECURSE   0x0100 /* desired */
#define DNS_FLAG_RECURSION 0x0080 /* available */
#define DNS_FLAG_CHECKING  0x0010 /* disabled (RFC 4035 3.2.2) */
#define DNS_RCODE(flags)   ((flags)&0xf)
#define DNS_OPCODE(flags)  ((flags) >> 11 & 0xf)
#define DNS_OK             0
#define DNS_NXDOMAIN       3
#define DNS_REFUSED        5

/* One question, and the records that answer it. */
struct dns {
	uint16_t id, flags;
	char name[DNS_NAME_BYTES]; /* lower case, no dot at the end */
	uint16_t type, class;
	uint8_t naddrs;
	uint32_t addr[DNS_MAX_ANSWERS]; /* A */
	uint8_t naddrs6;
	struct ip6_addr addr6[DNS_MAX_ANSWERS]; /* AAAA */
	char alias
	    [DNS_NAME_BYTES]; /* CNAME: whose the answers are; "": name's */
	char host[DNS_NAME_BYTES]; /* PTR; "": none */
	uint32_t ttl_s;            /* the smallest of the answers' */
	/* The question is a validator's, which wants signatures (RFC 4035
	 * 3.2.1). */
	bool dnssec;
	/* Who asks knows EDNS (RFC 6891), takes so many bytes, and has that
	 * version of it. */
	bool edns;
	uint16_t udp_bytes;
	uint8_t version;
};

/* Reads the UDP payload in c: one question exactly; of the answers the A, AAAA
 * and PTR records, through CNAMEs.  Compression pointers may only point
 * backwards.  DROP_SHORT, DROP_DNS; *dns is filled only if DROP_NONE. */
enum reason dns_parse(struct dns *dns, struct cursor *c);

/* Writes question and answers; with edns, that it is known here, and that
 * signatures are wanted; another version than 0 is said to be a bad one.  A name that cannot be (an empty
 * label, one of more than 63 letters, more than 253 in all) sets overrun. */
void dns_write(struct writer *w, const struct dns *dns);
/* Writes a dotted name as labels, which is how other protocols have names, too;
 * with the same exceptions. */
void dns_write_name(struct writer *w, const char *name);

#endif
