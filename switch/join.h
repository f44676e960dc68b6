/*
 * join.h - segments of one TCP stream that follow each other in a burst, as one
 * frame that is yet to be cut (what NICs call receive offload).
 *
 * For ports that pay for each frame they send, and behind which somebody cuts.
 * What comes of the cutting (offload_segment(), or the kernel's) is byte for
 * byte what was joined: so only IPv4, with ids that count, without options of IP,
 * and with sums that were right.
 */
#ifndef SWITCH_JOIN_H
#define SWITCH_JOIN_H

#include "switch/port.h"

#define JOIN_MAX          44 /* segments in one frame */
#define JOIN_PIECES       (2 * JOIN_MAX)
#define JOIN_HEADER_BYTES 94 /* Ethernet, IPv4, TCP with its options */

/* A frame that stands for others. */
struct joined {
	struct frame frame;
	struct iovec piece[JOIN_PIECES];
	uint8_t header[JOIN_HEADER_BYTES];
};

/* The frames to be sent, in order, each for the next of[] of those given. */
struct join {
	unsigned int n;
	const struct frame *frame[BURST_MAX];
	uint8_t of[BURST_MAX];
	struct joined joined[BURST_MAX / 2];
};

/* Joins what can be of n frames.  Theirs are the bytes of what comes of it. */
void join_frames(
    struct join *join, const struct frame *const *frames, unsigned int n);

#endif
