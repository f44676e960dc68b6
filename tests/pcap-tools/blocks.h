/*
 * blocks.h - a reader of pcapng files for tests: strict about what we write.
 * Written from the format's draft, apart from the writer's code.
 */
#ifndef TESTS_PCAP_TOOLS_BLOCKS_H
#define TESTS_PCAP_TOOLS_BLOCKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLOCK_SECTION    0x0a0d0d0a
#define BLOCK_INTERFACE  1
#define BLOCK_STATISTICS 5
#define BLOCK_PACKET     6

struct bytes {
	uint8_t *data;
	size_t n;
};

static inline struct bytes
read_file(const char *path)
{
	struct bytes b = { NULL, 0 };
	FILE *f = fopen(path, "rb");
	size_t max = 0, got;

	assert_non_null(f);
	do {
		if (b.n == max) {
			max = max != 0 ? max * 2 : 65536;
			b.data = realloc(b.data, max);
			assert_non_null(b.data);
		}
		got = fread(b.data + b.n, 1, max - b.n, f);
		b.n += got;
	} while (got > 0);
	fclose(f);
	return b;
}

static inline uint32_t
le16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t
le32(const uint8_t *p)
{
	return le16(p) | le16(p + 2) << 16;
}

static inline uint64_t
le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

/* The upper word first. */
static inline uint64_t
stamp(const uint8_t *p)
{
	return (uint64_t)le32(p) << 32 | le32(p + 4);
}

struct block {
	uint32_t type;
	const uint8_t *body;
	uint32_t body_bytes;
};

/* The block at *at; false at the end of the file. */
static inline bool
next_block(struct block *b, const struct bytes *file, size_t *at)
{
	const uint8_t *p = file->data + *at;
	uint32_t total;

	if (*at == file->n)
		return false;
	assert_true(file->n - *at >= 12);
	total = le32(p + 4);
	assert_true(total >= 12 && total % 4 == 0);
	assert_true(total <= file->n - *at);
	assert_int_equal(le32(p + total - 4), total);
	*b = (struct block){ le32(p), p + 8, total - 12 };
	*at += total;
	return true;
}

struct option {
	uint32_t code, n;
	const uint8_t *value;
};

/* Finds option code in the options from offset on, all of which must be well
 * formed: padded with zeros, and ended. */
static inline struct option
find_option(const struct block *b, uint32_t offset, uint32_t code)
{
	struct option found = { 0, 0, NULL };
	uint32_t at = offset;

	if (offset == b->body_bytes)
		return found;
	for (;;) {
		const uint8_t *p = b->body + at;
		uint32_t n;

		assert_true(at + 4 <= b->body_bytes);
		n = le16(p + 2);
		if (le16(p) == 0) {
			assert_int_equal(n, 0);
			assert_int_equal(at + 4, b->body_bytes);
			return found;
		}
		assert_true(at + 4 + n <= b->body_bytes);
		for (uint32_t i = n; i % 4 != 0; i++)
			assert_int_equal(p[4 + i], 0);
		if (le16(p) == code && found.value == NULL)
			found = (struct option){ code, n, p + 4 };
		at += 4 + (n + 3) / 4 * 4;
	}
}

struct packet {
	uint32_t interface, kept, len, flags;
	uint64_t at_ns;
	const uint8_t *data;
	char comment[2100];
};

static inline void
read_packet(struct packet *p, const struct block *b)
{
	struct option o;
	uint32_t options;

	assert_int_equal(b->type, BLOCK_PACKET);
	assert_true(b->body_bytes >= 20);
	memset(p, 0, sizeof(*p));
	p->interface = le32(b->body);
	p->at_ns = stamp(b->body + 4);
	p->kept = le32(b->body + 12);
	p->len = le32(b->body + 16);
	p->data = b->body + 20;
	assert_true(p->kept <= p->len);
	options = 20 + (p->kept + 3) / 4 * 4;
	assert_true(options <= b->body_bytes);
	o = find_option(b, options, 2);
	if (o.value != NULL)
		p->flags = le32(o.value);
	o = find_option(b, options, 1);
	assert_true(o.n < sizeof(p->comment));
	if (o.value != NULL)
		memcpy(p->comment, o.value, o.n);
}

/* Packet number n of a file, counted from 0; false: there is none. */
static inline bool
packet_at(struct packet *p, const struct bytes *file, unsigned int n)
{
	struct block b;
	size_t at = 0;

	while (next_block(&b, file, &at))
		if (b.type == BLOCK_PACKET && n-- == 0) {
			read_packet(p, &b);
			return true;
		}
	return false;
}

static inline unsigned int
count_blocks(const struct bytes *file, uint32_t type)
{
	struct block b;
	size_t at = 0;
	unsigned int n = 0;

	while (next_block(&b, file, &at))
		n += b.type == type;
	return n;
}

/* Block number n of a type, which must be there. */
static inline struct block
block_at(const struct bytes *file, uint32_t type, unsigned int n)
{
	struct block b;
	size_t at = 0;

	while (next_block(&b, file, &at))
		if (b.type == type && n-- == 0)
			return b;
	fail_msg("there is no such block");
	return b;
}

static inline void
assert_option(
    const struct block *b, uint32_t offset, uint32_t code, const char *text)
{
	struct option o = find_option(b, offset, code);

	assert_non_null(o.value);
	assert_int_equal(o.n, strlen(text));
	assert_memory_equal(o.value, text, o.n);
}

#endif
