/*
 * frame_head.h - a frame's first bytes, copied: to be looked at before it is
 * decided, and written to, while a guest may change the frame.
 */
#ifndef BRIDGE_FRAME_HEAD_H
#define BRIDGE_FRAME_HEAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "switch/port.h"

#define FRAME_HEAD_COPY \
	2048 /* so that a message of DHCP or discovery is whole */
#define FRAME_HEAD_REST 64

struct frame_head {
	uint8_t bytes[FRAME_HEAD_COPY];
	struct iovec rest[FRAME_HEAD_REST];
	size_t n; /* bytes that are there: all, or FRAME_HEAD_COPY */
};

/* Copies the head, and makes frame, itself a copy of the sender's description,
 * show it and the rest as it was.  False: the rest is in too many pieces. */
bool frame_head_take(struct frame_head *head, struct frame *frame);

#endif
