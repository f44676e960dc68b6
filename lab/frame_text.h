/*
 * frame_text.h - a frame in words, for those who ask what would become of it.
 *
 *     icmp 10.0.0.100 > 203.0.113.10 ttl 1
 *     tcp 10.0.0.1:1234 > 1.2.3.4:80 flags SA vlan 10
 *     arp who-has 10.0.0.1 tell 10.0.0.100
 *     ether 02:00:00:00:00:01 > 01:80:c2:00:00:0e type 0x88cc
 *     hex: ffffffffffff 020000000001 0806 ...
 *
 * Read strictly: all of it, or a sentence that says what is wrong.  Pure.
 */
#ifndef LAB_FRAME_TEXT_H
#define LAB_FRAME_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/addr.h"
#include "net/eth.h"

#define FRAME_TEXT_MAX 9238 /* bytes of a frame: 9216, Ethernet, two tags */

enum frame_text_kind {
	FRAME_TEXT_ICMP,
	FRAME_TEXT_UDP,
	FRAME_TEXT_TCP,
	FRAME_TEXT_ARP,
	FRAME_TEXT_TYPE, /* an EtherType and zeros */
	FRAME_TEXT_HEX,
};

struct frame_text {
	enum frame_text_kind kind;
	/* Not given: the caller's to fill in before frame_text_write(). */
	bool has_ether;
	struct mac src, dst;
	struct {
		uint16_t tpid, tci;
	} vlan[ETH_MAX_VLANS]; /* outermost first */
	unsigned int nvlans;
	uint32_t from, to; /* IPv4; of ARP: who tells, who is asked for */
	uint16_t sport, dport, id, seq, type;
	uint8_t flags, ttl; /* of TCP; of IPv4 */
	bool reply, df;     /* ICMP echo or ARP reply; don't fragment */
	struct mac is_at;   /* of an ARP reply */
	uint32_t bytes;     /* of the whole frame; 0: as short as can be */
	uint8_t hex[FRAME_TEXT_MAX];
};

/* 0, or -EINVAL with *err. */
int frame_text_read(struct frame_text *f, const char *text, struct err *err);

/* Writes the frame, at most FRAME_TEXT_MAX bytes; returns how many. */
size_t frame_text_write(
    uint8_t out[FRAME_TEXT_MAX], const struct frame_text *f);

#endif
