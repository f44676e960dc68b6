/*
 * sip_message.h - where a message of SIP over UDP names an end of its sender or
 * receiver, and what it becomes when that end is behind a NAT (RFC 3261, RFC
 * 4566).
 *
 * Outwards, in the address of the first Via, in those of Contact, and in the
 * lines c=, m= and o= of a session's description: the sender's inside address
 * becomes its outside one.  Inwards, the outside end of the signalling becomes
 * the inside one in the Request-URI, the first Via and Contact, so that its
 * receiver knows itself again.  Names of hosts, other addresses and all other
 * text stay as they are.  Content-Length follows.
 *
 * Pure functions, but for what the caller's map() does.
 */
#ifndef ROUTER_SIP_MESSAGE_H
#define ROUTER_SIP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIP_PORT       5060
#define SIP_EDITS      32 /* a message that needs more is left as it is */
#define SIP_TEXT_BYTES 24

struct sip_edit {
	size_t at, old_bytes;
	uint8_t new_bytes;
	char text[SIP_TEXT_BYTES];
};

struct sip_edits {
	unsigned int n;
	struct sip_edit edit[SIP_EDITS]; /* in the order of the text */
};

/* The signalling's own end, inside and outside. */
struct sip_ends {
	uint32_t in_ip, out_ip;
	uint16_t in_port, out_port;
};

enum sip_use { SIP_SIGNALLING, SIP_MEDIA };

/* The outside port of another port of the inside host; 0: it has none. */
typedef uint16_t sip_map(void *arg, enum sip_use use, uint16_t port);

/* What becomes of a message that leaves.  False: it is none, or has too much to
 * be changed. */
bool sip_read_out(struct sip_edits *edits, const uint8_t *data, size_t n,
    const struct sip_ends *ends, sip_map *map, void *arg);

/* What becomes of one that comes. */
bool sip_read_in(struct sip_edits *edits, const uint8_t *data, size_t n,
    const struct sip_ends *ends);

/* Writes the message as it becomes.  Its length; 0: out has no room. */
size_t sip_apply(const struct sip_edits *edits, const uint8_t *data, size_t n,
    uint8_t *out, size_t room);

#endif
