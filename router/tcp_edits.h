/*
 * tcp_edits.h - what was replaced in one direction of a TCP connection on its
 * way, and what that does to its numbers.
 *
 * A replacement of another length moves all that follows it: the sender's
 * numbers become others on their way out, and what the receiver acknowledges
 * becomes the sender's on its way back.  A segment that has any byte of a
 * replaced text brings all of the replacement, so that segments that are sent
 * again get the same text again, whatever their bounds are now.
 *
 * Up to TCP_EDITS replacements are remembered as such until the receiver has
 * them; of older ones, only how much they moved.  Pure functions; numbers are
 * TCP's, which wrap around.
 */
#ifndef ROUTER_TCP_EDITS_H
#define ROUTER_TCP_EDITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TCP_EDITS      4
#define TCP_EDIT_BYTES 224 /* of a replacement */

struct tcp_edit {
	uint32_t at; /* the sender's number of its first byte */
	uint8_t old_bytes, new_bytes;
	uint8_t text[TCP_EDIT_BYTES];
};

struct tcp_edits {
	uint32_t acked; /* the sender's number of what the receiver lacks */
	uint32_t moved; /* by edits that are not remembered */
	unsigned int n;
	struct tcp_edit edit[TCP_EDITS]; /* in the order of the stream */
};

/* Is there room for one more? */
bool tcp_edits_have_room(const struct tcp_edits *edits);

/* One more, behind all others.  False: it is not, or there is no room. */
bool tcp_edits_add(struct tcp_edits *edits, const struct tcp_edit *edit);

/* The number that the receiver is told for the sender's.  One within a replaced
 * text is that of its beginning. */
uint32_t tcp_edits_out(const struct tcp_edits *edits, uint32_t seq);

/* The sender's number for one that the receiver has acknowledged.  One within a
 * replacement is that of its beginning: it has to be sent again. */
uint32_t tcp_edits_back(const struct tcp_edits *edits, uint32_t ack);

/* The receiver has acknowledged what is before ack, a number of the sender's.
 * Forgets what it has had for so long that its number would come again. */
void tcp_edits_settle(struct tcp_edits *edits, uint32_t ack);

/* Is anything in n bytes from seq replaced? */
bool tcp_edits_touch(const struct tcp_edits *edits, uint32_t seq, size_t n);

/* Writes n bytes from seq as the receiver gets them, whose first has the number
 * that tcp_edits_out() tells.  Their number, or -1: out has no room. */
long tcp_edits_apply(const struct tcp_edits *edits, uint32_t seq,
    const uint8_t *data, size_t n, uint8_t *out, size_t room);

#endif
