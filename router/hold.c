/*
 * The pool is one piece of memory cut into blocks on a free list.  The first
 * block of a frame begins with struct held; the others with the pointer to the
 * next.  A block's memory is touched when it is first used, so that an idle
 * router's pools cost next to nothing.
 */
#include "router/hold.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_BYTES (HOLD_BLOCK_BYTES - sizeof(struct held))
#define MORE_BYTES  (HOLD_BLOCK_BYTES - sizeof(struct more))

/* Any block but the first of a frame, and a free one. */
struct more {
	struct more *next;
};

static_assert(FIRST_BYTES >= FRAME_HEAD_BYTES, "a frame's head is contiguous");
static_assert(
    FIRST_BYTES + (HOLD_MAX_BLOCKS - 1) * MORE_BYTES >= FRAME_MAX_BYTES,
    "the longest frame fits");

struct hold {
	struct more *free;
	unsigned int nfree, fresh, max; /* blocks below fresh were used once */
	unsigned int frames;
	uint8_t *blocks;
};

struct hold *
hold_new(unsigned int blocks)
{
	struct hold *hold = calloc(1, sizeof(*hold));

	if (hold == NULL)
		return NULL;
	hold->blocks = calloc(blocks, HOLD_BLOCK_BYTES);
	if (hold->blocks == NULL) {
		free(hold);
		return NULL;
	}
	hold->max = hold->nfree = blocks;
	return hold;
}

void
hold_free(struct hold *hold)
{
	if (hold == NULL)
		return;
	free(hold->blocks);
	free(hold);
}

unsigned int
hold_frames(const struct hold *hold)
{
	return hold->frames;
}

unsigned int
hold_blocks(size_t len)
{
	if (len <= FIRST_BYTES)
		return 1;
	return 1 +
	    (unsigned int)((len - FIRST_BYTES + MORE_BYTES - 1) / MORE_BYTES);
}

static void *
take_block(struct hold *hold)
{
	struct more *block = hold->free;

	hold->nfree--;
	if (block != NULL) {
		hold->free = block->next;
		return block;
	}
	assert(hold->fresh < hold->max);
	return hold->blocks + (size_t)hold->fresh++ * HOLD_BLOCK_BYTES;
}

struct held *
hold_keep(
    struct hold *hold, const struct frame *frame, const struct verdict *verdict)
{
	unsigned int n = hold_blocks(frame->len);
	struct held *held;
	size_t at, part;
	struct more **end;

	if (n > hold->nfree || n > HOLD_MAX_BLOCKS)
		return NULL;
	hold->frames++;
	held = take_block(hold);
	*held = (struct held){ .verdict = *verdict,
		.len = frame->len,
		.csum_start = frame->csum_start,
		.csum_offset = frame->csum_offset,
		.gso_bytes = frame->gso_bytes,
		.header_bytes = frame->header_bytes,
		.nblocks = (uint16_t)n,
		.flags = frame->flags };
	part = frame->len < FIRST_BYTES ? frame->len : FIRST_BYTES;
	frame_copy(held + 1, frame, 0, part);
	end = &held->more;
	for (at = part; at < frame->len; at += part) {
		struct more *more = take_block(hold);

		part = frame->len - at;
		if (part > MORE_BYTES)
			part = MORE_BYTES;
		frame_copy(more + 1, frame, at, part);
		more->next = NULL;
		*end = more;
		end = &more->next;
	}
	return held;
}

static void
give_block(struct hold *hold, void *at)
{
	struct more *block = at;

	block->next = hold->free;
	hold->free = block;
	hold->nfree++;
}

void
hold_drop(struct hold *hold, struct held *held)
{
	struct more *more = held->more;

	hold->frames--;
	while (more != NULL) {
		struct more *next = more->next;

		give_block(hold, more);
		more = next;
	}
	give_block(hold, held);
}

void
hold_view(struct held_view *view, struct held *held)
{
	size_t left = held->len;
	struct frame *frame = &view->frame;
	struct more *more = held->more;

	memset(frame, 0, sizeof(*frame));
	frame->data = (const uint8_t *)(held + 1);
	frame->len = held->len;
	frame->head = (uint32_t)(left < FIRST_BYTES ? left : FIRST_BYTES);
	frame->tail = view->tail;
	frame->flags = held->flags;
	frame->csum_start = held->csum_start;
	frame->csum_offset = held->csum_offset;
	frame->gso_bytes = held->gso_bytes;
	frame->header_bytes = held->header_bytes;
	for (left -= frame->head; more != NULL; more = more->next) {
		size_t part = left < MORE_BYTES ? left : MORE_BYTES;

		view->tail[frame->ntail].iov_base = more + 1;
		view->tail[frame->ntail++].iov_len = part;
		left -= part;
	}
}
