/*
 * lacp.h - PDUs of link aggregation: LACPDUs and markers (IEEE 802.1AX-2014,
 * 6.4.2 and 6.5.3).
 *
 * Both are of the Slow Protocols, told apart by a subtype behind the EtherType.
 * They go to lacp_group, which no bridge forwards.
 */
#ifndef NET_LACP_H
#define NET_LACP_H

#include "net/addr.h"
#include "net/cursor.h"
#include "net/reason.h"

#define LACP_PDU_BYTES   110 /* behind the EtherType, markers too */
#define LACP_FRAME_BYTES (14 + LACP_PDU_BYTES)

/* The bits of a state. */
#define LACP_ACTIVE        0x01 /* sends without being asked */
#define LACP_SHORT_TIMEOUT 0x02 /* wants a PDU each second */
#define LACP_AGGREGATION   0x04 /* may be one of several links */
#define LACP_SYNC          0x08 /* is attached to the right aggregator */
#define LACP_COLLECTING    0x10 /* takes frames */
#define LACP_DISTRIBUTING  0x20 /* sends frames */
#define LACP_DEFAULTED     0x40 /* knows no partner */
#define LACP_EXPIRED       0x80 /* waits for its partner */

#define LACP_STATE_TEXT_BYTES 9 /* "ASGCD..." and its end */

extern const struct mac lacp_group; /* 01:80:c2:00:00:02 */

/* What a system says of one end of a link. */
struct lacp_info {
	uint16_t system_priority; /* the lower, the better */
	struct mac system;
	uint16_t key; /* links of the same key may be aggregated */
	uint16_t port_priority, port;
	uint8_t state;
};

struct lacp_marker {
	bool response; /* or a request */
	uint16_t port;
	struct mac system;
	uint32_t transaction;
};

enum slow_kind { SLOW_LACP = 1, SLOW_MARKER = 2 };

struct slow {
	enum slow_kind kind;
	uint8_t version; /* 1, or later: it is read alike (6.4.2.3) */
	union {
		struct {
			struct lacp_info actor, partner; /* as the sender is */
			uint16_t max_delay_10us;
		} lacp;
		struct lacp_marker marker;
	};
};

/* Reads what follows the EtherType, of which the reserved end may be missing.
 * DROP_SHORT; DROP_SLOW_SUBTYPE for another of the Slow Protocols; DROP_LACP
 * for a part of the wrong type or length. */
enum reason slow_parse(struct slow *slow, struct cursor *c);

/* Writes LACP_FRAME_BYTES: a whole frame from src. */
void slow_write(struct writer *w, const struct mac *src, const struct slow *s);

/* A letter per bit that is set, from LACP_ACTIVE on, as AFGSCDdE; else "-".
 * Returns out. */
char *lacp_state_text(char out[LACP_STATE_TEXT_BYTES], uint8_t state);

#endif
