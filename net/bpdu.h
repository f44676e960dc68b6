/*
 * bpdu.h - bridge protocol data units: Configuration and TCN (IEEE 802.1D-1998,
 * 9.3), RST (802.1D-2004, 9.3.3) and MST (802.1Q-2018, 14).
 *
 * They lie behind an IEEE 802.2 LLC header, not behind an EtherType.  Times
 * are in 1/256 s, bridge identifiers are priority, system id and address as
 * one number, so that less is better.
 */
#ifndef NET_BPDU_H
#define NET_BPDU_H

#include "net/addr.h"
#include "net/cursor.h"
#include "net/reason.h"

#define BPDU_MAX_MSTIS  64
#define BPDU_NAME_BYTES 32 /* of a region: no end if it fills them */
#define BPDU_SECOND     256
#define BPDU_MAX_BYTES  (102 + 16 * BPDU_MAX_MSTIS) /* without LLC */
/* An Ethernet frame with the longest one. */
#define BPDU_FRAME_BYTES (14 + 3 + BPDU_MAX_BYTES)

/* Protocol versions. */
#define BPDU_STP  0
#define BPDU_RSTP 2
#define BPDU_MSTP 3

enum bpdu_type {
	BPDU_TYPE_CONFIG = 0,
	BPDU_TYPE_RST = 2, /* MST too */
	BPDU_TYPE_TCN = 0x80,
};

/* Flags; a Configuration BPDU has the first and the last only. */
#define BPDU_TC         0x01
#define BPDU_PROPOSAL   0x02
#define BPDU_ROLE       0x0c
#define BPDU_LEARNING   0x10
#define BPDU_FORWARDING 0x20
#define BPDU_AGREEMENT  0x40
#define BPDU_TC_ACK     0x80
#define BPDU_MASTER     0x80 /* in a message of an MSTI */

#define BPDU_ROLE_UNKNOWN    0x00 /* Master Port in a message of an MSTI */
#define BPDU_ROLE_ALTERNATE  0x04 /* or Backup */
#define BPDU_ROLE_ROOT       0x08
#define BPDU_ROLE_DESIGNATED 0x0c

/* What a region's bridges have in common (802.1Q-2018, 13.8). */
struct bpdu_region {
	uint8_t selector; /* 0 */
	uint8_t name[BPDU_NAME_BYTES];
	uint16_t revision;
	uint8_t digest[16];
};

struct bpdu_msti {
	uint8_t flags;
	uint64_t regional_root; /* its system id is the MSTID */
	uint32_t internal_cost;
	uint8_t bridge_priority, port_priority; /* the upper four bits */
	uint8_t hops;
};

struct bpdu {
	enum bpdu_type type;
	uint8_t version; /* BPDU_STP, BPDU_RSTP, BPDU_MSTP: how it was read */
	/* All but a TCN BPDU have these. */
	uint8_t flags;
	uint64_t root;
	uint32_t external_cost;
	uint64_t bridge; /* of an MST BPDU: the CIST Regional Root */
	uint16_t port;
	uint16_t message_age, max_age, hello, forward_delay;
	/* An MST BPDU has these too. */
	struct bpdu_region region;
	uint32_t internal_cost;
	uint64_t sender;
	uint8_t hops;
	unsigned int nmstis;
	struct bpdu_msti msti[BPDU_MAX_MSTIS];
};

extern const struct mac bpdu_group; /* 01-80-C2-00-00-00 */

/* Reads a frame's bytes from the length field on (what eth_parse() takes for
 * the type), and of them no more than that says.  As the standards ask, what
 * comes behind what we know is ignored, a version that we do not know is read
 * as the latest that we do, and an MST BPDU whose version 3 part is not sound
 * as an RST BPDU.  DROP_SHORT, DROP_BPDU; *bpdu is filled only if DROP_NONE. */
enum reason bpdu_parse(struct bpdu *bpdu, struct cursor *c);

/* Writes a whole Ethernet frame from src, padded to ETH_MIN_BYTES. */
void bpdu_write(
    struct writer *w, const struct mac *src, const struct bpdu *bpdu);

#endif
