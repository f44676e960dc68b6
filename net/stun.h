/*
 * stun.h - STUN's Binding, in and out (RFC 8489), with what the discovery of a
 * NAT's behaviour adds (RFC 5780).
 *
 * Enough to ask from which address a packet came, and to have the answer come
 * from another, to another port, or padded; without credentials.
 */
#ifndef NET_STUN_H
#define NET_STUN_H

#include "net/cursor.h"
#include "net/reason.h"

#define STUN_PORT         3478
#define STUN_ID_BYTES     16 /* the cookie and the 96 bits behind it */
#define STUN_COOKIE       0x2112a442u
#define STUN_HEADER_BYTES 20
#define STUN_PADDING_MAX  8192
#define STUN_MAX_BYTES    (256 + STUN_PADDING_MAX)

enum stun_type {
	STUN_REQUEST = 0x0001,
	STUN_INDICATION = 0x0011,
	STUN_ANSWER = 0x0101,
	STUN_ERROR = 0x0111,
};

/* An IPv4 endpoint; ip 0: it is not in the message. */
struct stun_end {
	uint32_t ip;
	uint16_t port;
};

struct stun {
	uint16_t type; /* enum stun_type */
	uint8_t id[STUN_ID_BYTES];
	bool change_ip, change_port; /* CHANGE-REQUEST, RFC 5780 7.2 */
	uint16_t response_port;      /* RFC 5780 7.5; 0: none */
	uint16_t padding_bytes;      /* RFC 5780 7.6; 0: none */
	struct stun_end mapped;      /* XOR-MAPPED-ADDRESS or MAPPED-ADDRESS */
	struct stun_end origin;      /* RESPONSE-ORIGIN, or SOURCE-ADDRESS */
	struct stun_end other;       /* OTHER-ADDRESS, or CHANGED-ADDRESS */
	struct stun_end respond_to;  /* RESPONSE-ADDRESS, RFC 3489 11.2.2 */
};

/* Reads one message, which is all of c.  DROP_SHORT or DROP_STUN: it is none,
 * or contradicts itself, or asks for what must be understood and is not. */
enum reason stun_parse(struct stun *stun, struct cursor *c);

/* All or nothing: what does not fit sets overrun.  An id that does not begin
 * with the cookie gets the attributes of RFC 3489 instead of the later ones. */
void stun_write(struct writer *w, const struct stun *stun);

#endif
