#include "switch/frame_stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "net/cursor.h"
#include "switch/port.h"

static_assert(STREAM_BYTES > 2 * (STREAM_HEAD_BYTES + FRAME_MAX_BYTES),
    "a frame that began finds room to end");

void
stream_clear(struct frame_stream *s)
{
	s->first = s->end = 0;
}

uint8_t *
stream_room(struct frame_stream *s, size_t *bytes)
{
	/* What is left is less than a frame, and moves at most once for each
	 * time that the buffer was filled. */
	if (s->first == s->end) {
		stream_clear(s);
	} else if (STREAM_BYTES - s->end < STREAM_BYTES / 2) {
		memmove(s->bytes, s->bytes + s->first, s->end - s->first);
		s->end -= s->first;
		s->first = 0;
	}
	*bytes = STREAM_BYTES - s->end;
	return s->bytes + s->end;
}

void
stream_came(struct frame_stream *s, size_t bytes)
{
	assert(bytes <= STREAM_BYTES - s->end);
	s->end += bytes;
}

int
stream_next(struct frame_stream *s, const uint8_t **data, size_t *len)
{
	struct cursor c = cursor(s->bytes + s->first, s->end - s->first);
	uint32_t n = cur_be32(&c);

	if (c.overrun)
		return 0;
	if (n > FRAME_MAX_BYTES)
		return -EPROTO;
	*data = cur_bytes(&c, n);
	*len = n;
	if (c.overrun)
		return 0;
	s->first += STREAM_HEAD_BYTES + n;
	return 1;
}

void
stream_head(uint8_t head[STREAM_HEAD_BYTES], size_t len)
{
	struct writer w = writer(head, STREAM_HEAD_BYTES);

	wr_be32(&w, (uint32_t)len);
}
