/*
 * Two halves: one is being filled while the other is being sent.  What the
 * frames of a burst cause while it is sent goes into the half that is filled,
 * whose turn comes when the present one is empty.
 *
 * The bytes of a half are handed out in order and all taken back at once, when
 * it has been sent.  So a half's memory is bounded, and a router that is idle
 * has touched little of it.
 *
 * Rejected: sending at once and recursing.  Two routers whose default routes
 * point at each other would nest 255 deep, with bursts on each level's stack.
 */
#include "router/outbox.h"

#include <assert.h>
#include <stdlib.h>

#define ALIGN 16

struct outgoing {
	struct port *port;
	struct burst burst;
	struct verdict cause[BURST_MAX];
};

struct half {
	unsigned int n;      /* of out */
	unsigned int frames; /* in all of them */
	size_t used;
	struct outgoing out[OUTBOX_BURSTS];
	_Alignas(64) uint8_t bytes[OUTBOX_BYTES];
};

struct outbox {
	struct half *fill, *drain;
	bool sending;
};

struct outbox *
outbox_new(void)
{
	struct outbox *outbox = calloc(1, sizeof(*outbox));
	size_t bytes = (sizeof(struct half) + 63) / 64 * 64;

	if (outbox == NULL)
		return NULL;
	outbox->fill = aligned_alloc(64, bytes);
	outbox->drain = aligned_alloc(64, bytes);
	if (outbox->fill == NULL || outbox->drain == NULL) {
		outbox_free(outbox);
		return NULL;
	}
	outbox->fill->n = outbox->fill->frames = 0;
	outbox->drain->n = outbox->drain->frames = 0;
	outbox->fill->used = outbox->drain->used = 0;
	return outbox;
}

void
outbox_free(struct outbox *outbox)
{
	if (outbox == NULL)
		return;
	assert(!outbox->sending);
	free(outbox->fill);
	free(outbox->drain);
	free(outbox);
}

bool
outbox_is_sending(const struct outbox *outbox)
{
	return outbox->sending;
}

bool
outbox_has_room(const struct outbox *outbox, unsigned int frames, size_t bytes)
{
	const struct half *half = outbox->fill;

	return half->used + bytes + (size_t)frames * (ALIGN - 1) <=
	    OUTBOX_BYTES &&
	    half->n + (frames + BURST_MAX - 1) / BURST_MAX <= OUTBOX_BURSTS;
}

uint8_t *
outbox_room(struct outbox *outbox, size_t bytes)
{
	struct half *half = outbox->fill;
	uint8_t *at = half->bytes + half->used;

	bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
	if (bytes > OUTBOX_BYTES - half->used)
		return NULL;
	half->used += bytes;
	return at;
}

struct outbox_mark
outbox_mark(const struct outbox *outbox)
{
	return (struct outbox_mark){ .used = outbox->fill->used,
		.frames = outbox->fill->frames };
}

void
outbox_rewind(struct outbox *outbox, struct outbox_mark mark)
{
	if (outbox->fill->frames == mark.frames)
		outbox->fill->used = mark.used;
}

/* The burst that the next frame of port belongs to, or NULL. */
static struct outgoing *
find_burst(struct half *half, struct port *port)
{
	struct outgoing *out;

	for (unsigned int i = half->n; i-- > 0;) {
		out = &half->out[i];
		if (out->port != port)
			continue;
		if (out->burst.n < BURST_MAX)
			return out;
		break;
	}
	if (half->n == OUTBOX_BURSTS)
		return NULL;
	out = &half->out[half->n++];
	out->port = port;
	burst_clear(&out->burst);
	return out;
}

bool
outbox_add(struct outbox *outbox, struct port *port, const struct frame *frame,
    const struct verdict *cause)
{
	struct outgoing *out = find_burst(outbox->fill, port);
	struct frame *to;
	unsigned int n;

	if (out == NULL)
		return false;
	n = out->burst.n++;
	to = &out->burst.frame[n];
	*to = *frame;
	out->cause[n] = *cause;
	to->cause = &out->cause[n];
	to->verdict.journey = cause->journey;
	out->burst.flags |= to->flags;
	outbox->fill->frames++;
	return true;
}

/* Field by field, as most frames pass here: nothing that was written just now is
 * read again in other widths. */
bool
outbox_add_bytes(struct outbox *outbox, struct port *port,
    const struct frame *like, const uint8_t *data, uint32_t len,
    const struct verdict *cause)
{
	struct outgoing *out = find_burst(outbox->fill, port);
	struct frame *to;
	struct verdict *why;

	if (out == NULL)
		return false;
	to = &out->burst.frame[out->burst.n];
	why = &out->cause[out->burst.n++];
	to->data = data;
	to->tail = NULL;
	to->len = to->head = len;
	to->ntail = 0;
	to->flags = like->flags;
	to->csum_start = like->csum_start;
	to->csum_offset = like->csum_offset;
	to->gso_bytes = like->gso_bytes;
	to->header_bytes = like->header_bytes;
	to->cause = why;
	frame_judge(to, NULL, REASON_NONE);
	to->verdict.journey = cause->journey;
	*why = *cause;
	out->burst.flags |= like->flags;
	outbox->fill->frames++;
	return true;
}

bool
outbox_add_copy(struct outbox *outbox, struct port *port,
    const struct frame *frame, const struct verdict *cause)
{
	struct outgoing *out = find_burst(outbox->fill, port);
	struct frame copy = *frame;
	uint8_t *at;

	if (out == NULL)
		return false;
	at = outbox_room(outbox, frame->len);
	if (at == NULL)
		return false;
	frame_copy(at, frame, 0, frame->len);
	copy.data = at;
	copy.head = copy.len;
	copy.tail = NULL;
	copy.ntail = 0;
	return outbox_add(outbox, port, &copy, cause);
}

static void
send_half(struct half *half)
{
	for (unsigned int i = 0; i < half->n; i++)
		port_send(half->out[i].port, &half->out[i].burst);
	half->n = half->frames = 0;
	half->used = 0;
}

void
outbox_flush(struct outbox *outbox)
{
	struct half *first = outbox->fill;

	if (outbox->sending)
		return;
	outbox->sending = true;
	while (outbox->fill->n > 0) {
		struct half *half = outbox->fill;

		outbox->fill = outbox->drain;
		outbox->drain = half;
		send_half(half);
	}
	outbox->fill->used = 0;
	/* Both are empty: go on with the one that is in the cache. */
	if (outbox->fill != first) {
		outbox->drain = outbox->fill;
		outbox->fill = first;
	}
	outbox->sending = false;
}
