/*
 * hold.h - frames kept for later, in a fixed pool of blocks.
 *
 * What waits for an ARP reply or for its missing fragments is copied here.  A
 * pool that is full keeps nothing more; who may push out whom is its user's
 * rule.
 */
#ifndef ROUTER_HOLD_H
#define ROUTER_HOLD_H

#include <string.h>
#include <sys/queue.h>

#include "switch/port.h"

#define HOLD_BLOCK_BYTES 2048
#define HOLD_MAX_BLOCKS  40 /* of one frame: the longest takes fewer */

/* One frame and what was decided about it. */
struct held {
	TAILQ_ENTRY(held) link; /* the user's */
	struct more *more;      /* the other blocks of the frame */
	struct verdict verdict; /* of the frame as it came in */
	uint32_t len;
	uint16_t csum_start, csum_offset, gso_bytes, header_bytes;
	uint16_t nblocks;
	uint16_t offset, bytes; /* the user's: of a fragment's data */
	uint8_t flags;
};
TAILQ_HEAD(held_list, held);

/* A frame built of a held one, good as long as that is held. */
struct held_view {
	struct frame frame;
	struct iovec tail[HOLD_MAX_BLOCKS];
};

struct hold;

struct hold *hold_new(unsigned int blocks); /* NULL: no memory */
void hold_free(struct hold *hold);          /* NULL is fine */

/* A copy of frame and verdict, or NULL if the pool has no room. */
struct held *hold_keep(struct hold *hold, const struct frame *frame,
    const struct verdict *verdict);
void hold_drop(struct hold *hold, struct held *held);

/* How many frames it keeps now. */
unsigned int hold_frames(const struct hold *hold);

/* How many blocks a frame of len bytes takes. */
unsigned int hold_blocks(size_t len);

void hold_view(struct held_view *view, struct held *held);

#endif
