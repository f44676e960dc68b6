/*
 * le.h - little-endian loads and stores at a known place.
 */
#ifndef VMM_LE_H
#define VMM_LE_H

#include <stdint.h>

static inline uint16_t
get_le16(const void *at)
{
	const uint8_t *p = at;

	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t
get_le32(const void *at)
{
	const uint8_t *p = at;

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
}

static inline uint64_t
get_le64(const void *at)
{
	const uint8_t *p = at;

	return (uint64_t)get_le32(p + 4) << 32 | get_le32(p);
}

static inline void
put_le16(void *at, uint16_t v)
{
	uint8_t *p = at;

	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void
put_le32(void *at, uint32_t v)
{
	uint8_t *p = at;

	put_le16(p, (uint16_t)v);
	put_le16(p + 2, (uint16_t)(v >> 16));
}

static inline void
put_le64(void *at, uint64_t v)
{
	uint8_t *p = at;

	put_le32(p, (uint32_t)v);
	put_le32(p + 4, (uint32_t)(v >> 32));
}

/* The low bytes (1 to 8) of a value of that size at a place, and back. */
static inline uint64_t
get_le(const void *at, unsigned int bytes)
{
	const uint8_t *p = at;
	uint64_t v = 0;

	for (unsigned int i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

static inline void
put_le(void *at, unsigned int bytes, uint64_t v)
{
	uint8_t *p = at;

	for (unsigned int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

#endif
