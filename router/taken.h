/*
 * taken.h - the bytes of a frame that is being decided.
 *
 * A node decides by a copy of a frame's beginning, which no guest can change
 * meanwhile; what follows stays where it lies.  bytes and head are that copy
 * and how long it is.
 */
#ifndef ROUTER_TAKEN_H
#define ROUTER_TAKEN_H

#include <string.h>

#include "router/outbox.h"
#include "switch/port.h"

#define TAKEN_MAX_SEGMENTS 22 /* of a tail; frames in more are copied */

/* Makes *bytes a copy of all of frame, if it is not yet.  False: no room. */
bool taken_whole(struct outbox *outbox, const struct frame *frame,
    uint8_t **bytes, uint32_t *head);

/* Describes the first len bytes of frame as they are to leave in *view: the copy
 * of the beginning, and the rest where it lies.  It may become a copy of the
 * whole.  False: no room. */
bool taken_view(struct outbox *outbox, const struct frame *frame,
    uint8_t **bytes, uint32_t *head, uint32_t len, struct frame *view);

#endif
