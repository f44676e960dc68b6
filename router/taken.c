#include "router/taken.h"

bool
taken_whole(struct outbox *outbox, const struct frame *frame, uint8_t **bytes,
    uint32_t *head)
{
	uint8_t *room;

	if (*head == frame->len)
		return true;
	room = outbox_room(outbox, frame->len);
	if (room == NULL)
		return false;
	memcpy(room, *bytes, *head);
	frame_copy(room + *head, frame, *head, frame->len - *head);
	*bytes = room;
	*head = frame->len;
	return true;
}

bool
taken_view(struct outbox *outbox, const struct frame *frame, uint8_t **bytes,
    uint32_t *head, uint32_t len, struct frame *view)
{
	size_t left;
	struct iovec *tail;

	*view = *frame;
	view->len = len;
	if (len > *head && frame->ntail >= TAKEN_MAX_SEGMENTS &&
	    !taken_whole(outbox, frame, bytes, head))
		return false;
	view->data = *bytes;
	view->head = len < *head ? len : *head;
	view->tail = NULL;
	view->ntail = 0;
	left = len - view->head;
	if (left == 0)
		return true;
	tail = (struct iovec *)(void *)outbox_room(
	    outbox, (frame->ntail + 1u) * sizeof(*tail));
	if (tail == NULL)
		return false;
	view->tail = tail;
	for (int i = -1; i < frame->ntail && left > 0; i++) {
		struct iovec piece = i < 0
		    ? (struct iovec){ (void *)(uintptr_t)(frame->data + *head),
			      frame->head - *head }
		    : frame->tail[i];

		if (piece.iov_len > left)
			piece.iov_len = left;
		if (piece.iov_len == 0)
			continue;
		tail[view->ntail++] = piece;
		left -= piece.iov_len;
	}
	return true;
}
