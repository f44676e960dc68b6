/*
 * outbox.h - frames on their way out of a node that may be called again while
 * it sends.
 *
 * A frame that leaves can come back at once: the switch hands it to a host,
 * which answers within the same call.  So a node only adds frames while it
 * decides, and outbox_flush() sends them, in turns, until none is left.  Called
 * within itself, outbox_flush() does nothing: the outer call sends what was
 * added.  So the stack stays flat, however long packets go round.
 *
 * Frames of one port leave in the order in which they were added.
 */
#ifndef ROUTER_OUTBOX_H
#define ROUTER_OUTBOX_H

#include "switch/port.h"

#define OUTBOX_BYTES  (512 * 1024) /* of frames that wait to be sent */
#define OUTBOX_BURSTS 24           /* of up to BURST_MAX frames of one port */

struct outbox;

struct outbox *outbox_new(void);         /* NULL: no memory */
void outbox_free(struct outbox *outbox); /* NULL is fine */

/* Are frames being sent?  Then what is borrowed from a caller may be gone
 * before what is added now is sent. */
bool outbox_is_sending(const struct outbox *outbox);

/* Is there room for this many frames of one port and bytes in all? */
bool outbox_has_room(
    const struct outbox *outbox, unsigned int frames, size_t bytes);

/* Room for the bytes of a frame, the caller's to fill until it is sent.  NULL:
 * no room. */
uint8_t *outbox_room(struct outbox *outbox, size_t bytes);

/* Gives back all room since a mark, if no frame was added since. */
struct outbox_mark {
	size_t used;
	unsigned int frames;
};

struct outbox_mark outbox_mark(const struct outbox *outbox);
void outbox_rewind(struct outbox *outbox, struct outbox_mark mark);

/* Adds frame to leave by port, with a copy of *cause.  Its bytes must last
 * until it is sent.  False: no room. */
bool outbox_add(struct outbox *outbox, struct port *port,
    const struct frame *frame, const struct verdict *cause);

/* Likewise the len bytes at data, with the same left to do as of like. */
bool outbox_add_bytes(struct outbox *outbox, struct port *port,
    const struct frame *like, const uint8_t *data, uint32_t len,
    const struct verdict *cause);

/* Likewise, with a copy of the bytes. */
bool outbox_add_copy(struct outbox *outbox, struct port *port,
    const struct frame *frame, const struct verdict *cause);

/* Sends all, unless a call of this is under way. */
void outbox_flush(struct outbox *outbox);

#endif
