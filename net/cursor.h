/*
 * cursor.h - bytes from outside, read and written without believing them.
 *
 * A cursor walks over borrowed bytes; a read past the end yields zeros and sets
 * overrun, so that a parser reads a whole header and asks once.  A writer is
 * its mirror: what does not fit is not written and sets overrun.  Multi-byte
 * values are host order on our side, network order in the bytes.
 *
 * Freestanding, as all of net/: no system calls, no allocation.
 */
#ifndef NET_CURSOR_H
#define NET_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *at, *end;
	bool overrun;
};

struct writer {
	uint8_t *at, *end;
	bool overrun;
};

static inline struct cursor
cursor(const void *data, size_t len_bytes)
{
	const uint8_t *at = data;

	return (struct cursor){ .at = at, .end = at + len_bytes };
}

static inline size_t
cur_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

/* The next n bytes, borrowed, and moves on; NULL with overrun if too few. */
static inline const uint8_t *
cur_bytes(struct cursor *c, size_t n)
{
	const uint8_t *at = c->at;

	if (cur_left(c) < n) {
		c->at = c->end;
		c->overrun = true;
		return NULL;
	}
	c->at += n;
	return at;
}

static inline void
cur_skip(struct cursor *c, size_t n)
{
	(void)cur_bytes(c, n);
}

/* A cursor of its own over the next n bytes, and moves on past them. */
static inline struct cursor
cur_sub(struct cursor *c, size_t n)
{
	const uint8_t *at = cur_bytes(c, n);

	if (at == NULL)
		return (struct cursor){
			.at = c->end, .end = c->end, .overrun = true
		};
	return (struct cursor){ .at = at, .end = at + n };
}

static inline uint8_t
cur_u8(struct cursor *c)
{
	const uint8_t *p = cur_bytes(c, 1);

	return p != NULL ? p[0] : 0;
}

static inline uint16_t
cur_be16(struct cursor *c)
{
	const uint8_t *p = cur_bytes(c, 2);

	return p != NULL ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline uint32_t
cur_be32(struct cursor *c)
{
	const uint8_t *p = cur_bytes(c, 4);

	return p != NULL ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		(uint32_t)p[2] << 8 | p[3]
			 : 0;
}

static inline struct writer
writer(void *data, size_t len_bytes)
{
	uint8_t *at = data;

	return (struct writer){ .at = at, .end = at + len_bytes };
}

static inline size_t
wr_left(const struct writer *w)
{
	return (size_t)(w->end - w->at);
}

/* Room for n bytes, for the caller to fill; NULL with overrun if too few. */
static inline uint8_t *
wr_room(struct writer *w, size_t n)
{
	uint8_t *at = w->at;

	if (wr_left(w) < n) {
		w->overrun = true;
		return NULL;
	}
	w->at += n;
	return at;
}

static inline void
wr_bytes(struct writer *w, const void *data, size_t n)
{
	uint8_t *at = wr_room(w, n);

	if (at != NULL && n > 0)
		memcpy(at, data, n);
}

static inline void
wr_zeros(struct writer *w, size_t n)
{
	uint8_t *at = wr_room(w, n);

	if (at != NULL)
		memset(at, 0, n);
}

static inline void
wr_u8(struct writer *w, uint8_t v)
{
	uint8_t *at = wr_room(w, 1);

	if (at != NULL)
		at[0] = v;
}

/* Big-endian stores and loads at a known place. */
static inline void
put_be16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static inline void
put_be32(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 24);
	at[1] = (uint8_t)(v >> 16);
	at[2] = (uint8_t)(v >> 8);
	at[3] = (uint8_t)v;
}

static inline uint16_t
get_be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t
get_be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	    (uint32_t)at[2] << 8 | at[3];
}

static inline void
wr_be16(struct writer *w, uint16_t v)
{
	uint8_t *at = wr_room(w, 2);

	if (at != NULL)
		put_be16(at, v);
}

static inline void
wr_be32(struct writer *w, uint32_t v)
{
	uint8_t *at = wr_room(w, 4);

	if (at != NULL)
		put_be32(at, v);
}

#endif
