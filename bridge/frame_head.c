#include "bridge/frame_head.h"

bool
frame_head_take(struct frame_head *h, struct frame *frame)
{
	size_t skip, pieces = 0;

	h->n = frame->len < sizeof(h->bytes) ? frame->len : sizeof(h->bytes);
	skip = h->n;
	frame_copy(h->bytes, frame, 0, h->n);
	for (unsigned int k = 0; k < 1u + frame->ntail; k++) {
		const uint8_t *at =
		    k == 0 ? frame->data : frame->tail[k - 1].iov_base;
		size_t len = k == 0 ? frame->head : frame->tail[k - 1].iov_len;

		if (len <= skip) {
			skip -= len;
			continue;
		}
		if (pieces == FRAME_HEAD_REST)
			return false;
		h->rest[pieces].iov_base = (void *)(uintptr_t)(at + skip);
		h->rest[pieces++].iov_len = len - skip;
		skip = 0;
	}
	frame->data = h->bytes;
	frame->head = (uint32_t)h->n;
	frame->tail = h->rest;
	frame->ntail = (uint16_t)pieces;
	return true;
}
