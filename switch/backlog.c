/*
 * A ring in which every record lies in one piece, so that it is sent from where
 * it is: one that would go across the end begins anew at 0, and a mark tells
 * so.
 *
 *     |....[len|bytes ][len|bytes  ][mark]...|      each a multiple of 4 bytes
 *          first                    next
 *
 * first == next is empty; a record is not added if it would make them equal.
 */
#include "switch/backlog.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEN_BYTES sizeof(uint32_t)
#define MARK      UINT32_MAX

int
backlog_init(struct backlog *b, size_t bytes)
{
	*b = (struct backlog){ .size = bytes & ~(LEN_BYTES - 1) };
	b->ring = malloc(b->size);
	return b->ring != NULL ? 0 : -ENOMEM;
}

void
backlog_free(struct backlog *b)
{
	free(b->ring);
	*b = (struct backlog){ 0 };
}

void
backlog_clear(struct backlog *b)
{
	b->first = b->next = b->sent = 0;
	b->n = 0;
}

static uint32_t
len_at(const struct backlog *b, size_t at)
{
	uint32_t len;

	memcpy(&len, b->ring + at, LEN_BYTES);
	return len;
}

static size_t
span_of(size_t len)
{
	return (LEN_BYTES + len + LEN_BYTES - 1) & ~(LEN_BYTES - 1);
}

/* Where the record is that at leads to: past a mark, or the end. */
static size_t
record_at(const struct backlog *b, size_t at)
{
	return at == b->size || len_at(b, at) == MARK ? 0 : at;
}

/* Where a record of span bytes goes, or -1. */
static ptrdiff_t
room_for(struct backlog *b, size_t span)
{
	if (b->n == 0)
		backlog_clear(b);
	if (b->next < b->first)
		return b->next + span < b->first ? (ptrdiff_t)b->next : -1;
	if (b->next + span <= b->size)
		return (ptrdiff_t)b->next;
	if (span >= b->first)
		return -1;
	if (b->next < b->size)
		memcpy(b->ring + b->next, &(uint32_t){ MARK }, LEN_BYTES);
	return 0;
}

bool
backlog_add(struct backlog *b, const void *head, size_t head_bytes,
    const struct frame *frame, size_t sent)
{
	size_t len = head_bytes + frame->len, span = span_of(len);
	ptrdiff_t at = room_for(b, span);
	uint8_t *out;

	if (at < 0)
		return false;
	assert(sent < len && (sent == 0 || b->n == 0));
	out = b->ring + at;
	memcpy(out, &(uint32_t){ (uint32_t)len }, LEN_BYTES);
	out += LEN_BYTES;
	if (head_bytes > 0)
		memcpy(out, head, head_bytes);
	frame_copy(out + head_bytes, frame, 0, frame->len);
	b->next = (size_t)at + span;
	b->sent += sent;
	b->n++;
	return true;
}

unsigned int
backlog_peek(const struct backlog *b, struct iovec *piece, unsigned int max)
{
	unsigned int n = b->n < max ? b->n : max;
	size_t at = b->first;

	for (unsigned int i = 0; i < n; i++) {
		size_t skip = i == 0 ? b->sent : 0, len;

		at = record_at(b, at);
		len = len_at(b, at);
		piece[i].iov_base = b->ring + at + LEN_BYTES + skip;
		piece[i].iov_len = len - skip;
		at += span_of(len);
	}
	return n;
}

void
backlog_pop(struct backlog *b, unsigned int n)
{
	assert(n <= b->n);
	for (unsigned int i = 0; i < n; i++) {
		b->first = record_at(b, b->first);
		b->first += span_of(len_at(b, b->first));
		b->sent = 0;
		b->n--;
	}
	if (b->n == 0)
		backlog_clear(b);
}

void
backlog_sent(struct backlog *b, size_t bytes)
{
	while (bytes > 0) {
		struct iovec piece;
		unsigned int n = backlog_peek(b, &piece, 1);

		assert(n == 1);
		if (bytes < piece.iov_len) {
			b->sent += bytes;
			return;
		}
		bytes -= piece.iov_len;
		backlog_pop(b, 1);
	}
}
