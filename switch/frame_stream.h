/*
 * frame_stream.h - frames in a stream of bytes, as QEMU's -netdev stream and
 * socket send them: each after its length in 32 bits, network order.
 *
 * Bytes are taken as they come, in whatever pieces; whole frames are lent out
 * from where they lie.
 */
#ifndef SWITCH_FRAME_STREAM_H
#define SWITCH_FRAME_STREAM_H

#include <stddef.h>
#include <stdint.h>

#define STREAM_HEAD_BYTES 4
#define STREAM_BYTES      (256 * 1024) /* several of the largest frame */

struct frame_stream {
	size_t first, end; /* bytes that are there, in bytes[] */
	uint8_t bytes[STREAM_BYTES];
};

void stream_clear(struct frame_stream *stream);

/* Where what is read next goes, and how much of it: never nothing, once
 * stream_next() said that there is no whole frame.  Frames that were lent out
 * are gone then. */
uint8_t *stream_room(struct frame_stream *stream, size_t *bytes);
void stream_came(struct frame_stream *stream, size_t bytes);

/* Lends the next frame.  1; 0: there is no whole one yet; -EPROTO: what should
 * be a length is beyond FRAME_MAX_BYTES, and nothing after it has a meaning. */
int stream_next(struct frame_stream *stream, const uint8_t **data, size_t *len);

/* Writes the length that goes before a frame. */
void stream_head(uint8_t head[STREAM_HEAD_BYTES], size_t len);

#endif
