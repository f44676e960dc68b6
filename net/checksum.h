/*
 * checksum.h - the Internet checksum (RFC 1071) and its updates (RFC 1624).
 *
 * A sum is an unfolded one's complement sum of 16-bit words in network order,
 * as a uint32_t value that csum_fold() brings to 16 bits.  Sums of pieces add
 * with csum_add() if each piece but the last has an even length.
 */
#ifndef NET_CHECKSUM_H
#define NET_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Adds len bytes to sum.  Up to 64 KiB per call.  Fast: vectorised. */
uint32_t csum_add_bytes(uint32_t sum, const void *data, size_t len_bytes);

/* The word or half a word at at, as it lies there: of sums that are written back
 * as they lie there, too. */
static inline uint32_t
csum_word(const uint8_t *at)
{
	uint32_t word;

	__builtin_memcpy(&word, at, sizeof(word));
	return word;
}

static inline uint16_t
csum_half(const uint8_t *at)
{
	uint16_t half;

	__builtin_memcpy(&half, at, sizeof(half));
	return half;
}

/* Is the sum of an IPv4 header right, its checksum included?  bytes is 20 to 60,
 * a multiple of 4.  In which order bytes are added makes no difference. */
static inline bool
csum_header_is_right(const uint8_t *header, size_t bytes)
{
	uint64_t sum = (uint64_t)csum_word(header) + csum_word(header + 4) +
	    csum_word(header + 8) + csum_word(header + 12) +
	    csum_word(header + 16);

	for (size_t i = 20; i < bytes; i += 4)
		sum += csum_word(header + i);
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (sum >> 16) + (sum & 0xffff) == 0xffff;
}

static inline uint32_t
csum_add(uint32_t a, uint32_t b)
{
	uint32_t sum = a + b;

	return sum + (sum < a);
}

static inline uint32_t
csum_add_be32(uint32_t sum, uint32_t value)
{
	return csum_add(csum_add(sum, value >> 16), value & 0xffff);
}

/* The sum as 16 bits, not complemented. */
static inline uint16_t
csum_fold(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

/* The value for a header's checksum field. */
static inline uint16_t
csum_finish(uint32_t sum)
{
	return (uint16_t)~csum_fold(sum);
}

/* The pseudo header of TCP and UDP over IPv4 (RFC 768, RFC 9293 3.1). */
static inline uint32_t
csum_pseudo4(uint32_t src, uint32_t dst, uint8_t protocol, uint16_t len_bytes)
{
	uint32_t sum = (uint32_t)protocol + len_bytes;

	return csum_add_be32(csum_add_be32(sum, src), dst);
}

/* The checksum field after a 16 or 32-bit value it covers changed: equation 3
 * of RFC 1624, HC' = ~(~HC + ~m + m'). */
static inline uint16_t
csum_update16(uint16_t check, uint16_t from, uint16_t to)
{
	return csum_finish((uint32_t)(uint16_t)~check + (uint16_t)~from + to);
}

static inline uint16_t
csum_update32(uint16_t check, uint32_t from, uint32_t to)
{
	check =
	    csum_update16(check, (uint16_t)(from >> 16), (uint16_t)(to >> 16));
	return csum_update16(check, (uint16_t)from, (uint16_t)to);
}

#endif
