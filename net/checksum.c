/*
 * The Internet checksum over bytes in memory.
 *
 * A one's complement sum of 16-bit words does not care for the order of bytes
 * but for one swap at the end, and words may be added four at a time, if what
 * is carried out at the top is added at the bottom (RFC 1071, 2).
 *
 * For what is longer than a header, 64-bit words are split into 32-bit halves
 * and added into 64-bit lanes, which cannot carry: 2^32 of them fit.  Lanes are
 * the compilers' own vectors; where the machine has AVX2, a clone of the
 * function for it is picked once at start.
 *
 * The bare-metal guest has no vector registers to spare, and no start-up code
 * that could pick a clone: freestanding, it is the loop of words alone.  There,
 * memcpy() would be a call for each word, so the compiler's own is named.
 */
#include "net/checksum.h"

#define BLOCK_BYTES 128 /* what one turn of the vector loop adds */

/* Brings a sum of 64 bits to 16, in network order. */
static uint16_t
fold64(uint64_t sum)
{
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (uint16_t)(sum >> 8 | sum << 8);
#else
	return (uint16_t)sum;
#endif
}

static inline uint64_t
add64(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;

	return sum + (sum < a);
}

static inline uint64_t
add_word(uint64_t sum, const uint8_t *at)
{
	uint64_t word;

	__builtin_memcpy(&word, at, sizeof(word));
	return add64(sum, word);
}

/* Sums up len bytes, an odd last one filled up with a zero. */
static inline uint64_t
add_words(const uint8_t *at, size_t len)
{
	uint64_t sum = 0;
	uint32_t half;
	uint16_t quarter;
	uint8_t last[2] = { 0 };

	for (; len >= 32; at += 32, len -= 32) {
		sum = add_word(sum, at);
		sum = add_word(sum, at + 8);
		sum = add_word(sum, at + 16);
		sum = add_word(sum, at + 24);
	}
	for (; len >= 8; at += 8, len -= 8)
		sum = add_word(sum, at);
	if (len & 4) {
		__builtin_memcpy(&half, at, sizeof(half));
		sum = add64(sum, half);
		at += 4;
	}
	if (len & 2) {
		__builtin_memcpy(&quarter, at, sizeof(quarter));
		sum = add64(sum, quarter);
		at += 2;
	}
	if (len & 1) {
		last[0] = *at;
		__builtin_memcpy(&quarter, last, sizeof(quarter));
		sum = add64(sum, quarter);
	}
	return sum;
}

#if __STDC_HOSTED__

#if defined(__x86_64__) && defined(__has_attribute)
#if __has_attribute(target_clones)
#define CLONED __attribute__((target_clones("avx2", "default")))
#endif
#endif
#ifndef CLONED
#define CLONED
#endif

typedef uint64_t lanes __attribute__((vector_size(32)));

static inline void
add_lanes(lanes *sum, const uint8_t *at)
{
	lanes word;

	__builtin_memcpy(&word, at, sizeof(word));
	*sum += (word >> 32) + (word & UINT32_MAX);
}

/* Sums up the whole blocks of len.  Four sums, so that an addition need not
 * wait for the one before. */
CLONED static uint64_t
add_blocks(const uint8_t *at, size_t len)
{
	lanes a = { 0 }, b = a, c = a, d = a;

	for (; len >= BLOCK_BYTES; at += BLOCK_BYTES, len -= BLOCK_BYTES) {
		add_lanes(&a, at);
		add_lanes(&b, at + 32);
		add_lanes(&c, at + 64);
		add_lanes(&d, at + 96);
	}
	a += b + c + d;
	return a[0] + a[1] + a[2] + a[3];
}

#endif

uint32_t
csum_add_bytes(uint32_t sum, const void *data, size_t len_bytes)
{
	const uint8_t *at = data;
	uint64_t part = 0;

#if __STDC_HOSTED__
	if (len_bytes >= BLOCK_BYTES) {
		size_t blocks = len_bytes & ~(size_t)(BLOCK_BYTES - 1);

		part = add_blocks(at, blocks);
		at += blocks;
		len_bytes -= blocks;
	}
#endif
	return csum_add(sum, fold64(add64(part, add_words(at, len_bytes))));
}
