/*
 * backlog.h - frames that wait for a socket to take more.
 *
 * A queue of records, each a head of the port's own (as a length) and a frame,
 * in bytes that are allocated once.  What does not fit is refused: the port
 * counts it as DROP_PORT_FULL.
 */
#ifndef SWITCH_BACKLOG_H
#define SWITCH_BACKLOG_H

#include "switch/port.h"

struct backlog {
	uint8_t *ring;
	size_t size;        /* of ring, in bytes */
	size_t first, next; /* where records begin, and the next one goes */
	size_t sent;        /* bytes of the first record that left already */
	unsigned int n;     /* records */
};

/* Room for bytes.  0 or -ENOMEM. */
int backlog_init(struct backlog *backlog, size_t bytes);
void backlog_free(struct backlog *backlog);
void backlog_clear(struct backlog *backlog);

/* Adds a copy of both, of which the first sent bytes have left already; only
 * the first record may have such.  False: there is no room. */
bool backlog_add(struct backlog *backlog, const void *head, size_t head_bytes,
    const struct frame *frame, size_t sent);

/* The first records that are there, up to max, as they are to be sent. */
unsigned int backlog_peek(
    const struct backlog *backlog, struct iovec *piece, unsigned int max);

/* The first n records have left. */
void backlog_pop(struct backlog *backlog, unsigned int n);

/* So many bytes have left: whole records, and the beginning of one. */
void backlog_sent(struct backlog *backlog, size_t bytes);

#endif
