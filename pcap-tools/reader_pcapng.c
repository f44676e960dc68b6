/*
 * pcapng: blocks of type, length, body, length again.  The numbers are those
 * of draft-ietf-opsawg-pcapng, whose sections the comments name.
 */
#include "pcap-tools/reader_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tools/pcapng.h"

#define BLOCK_SECTION    0x0a0d0d0aU
#define BLOCK_INTERFACE  1U
#define BLOCK_OLD_PACKET 2U /* obsolete: appendix A */
#define BLOCK_SIMPLE     3U
#define BLOCK_STATISTICS 5U
#define BLOCK_PACKET     6U

#define BYTE_ORDER_MAGIC 0x1a2b3c4dU

#define OPT_END            0
#define OPT_IF_NAME        2
#define OPT_IF_DESCRIPTION 3
#define OPT_IF_TSRESOL     9
#define OPT_IF_FILTER      11
#define OPT_IF_FCSLEN      13
#define OPT_IF_TSOFFSET    14
#define OPT_EPB_FLAGS      2
#define OPT_ISB_IFRECV     4
#define OPT_ISB_IFDROP     5

#define FRAMING_BYTES 12u /* type and both lengths */
#define OPTIONS_MAX   (256u * 1024)

static_assert(READER_FRAME_MAX + OPTIONS_MAX + 64 <= INPUT_WANT_MAX,
    "the largest packet block can be wanted");

/* The bytes of a block between its lengths. */
struct body {
	const uint8_t *at;
	size_t n;
	bool big;
};

static bool
is_pcapng(const uint8_t *start, size_t n)
{
	return n >= 12 && reader_u32(false, start) == BLOCK_SECTION &&
	    (reader_u32(false, start + 8) == BYTE_ORDER_MAGIC ||
		reader_u32(true, start + 8) == BYTE_ORDER_MAGIC);
}

/* The value of an option in the options of n bytes at options (3.5). */
static const uint8_t *
find_option(const uint8_t *options, size_t n, bool big, uint16_t code,
    unsigned int nth, size_t *len)
{
	while (n >= 4) {
		uint16_t is = reader_u16(big, options);
		size_t bytes = reader_u16(big, options + 2);
		size_t padded = (bytes + 3) & ~(size_t)3;

		if (is == OPT_END || n - 4 < bytes)
			return NULL;
		if (is == code && nth-- == 0) {
			*len = bytes;
			return options + 4;
		}
		padded = padded < n - 4 ? padded : n - 4;
		options += 4 + padded;
		n -= 4 + padded;
	}
	return NULL;
}

const uint8_t *
reader_option(const struct reader_frame *frame, uint16_t code, unsigned int nth,
    size_t *len)
{
	return find_option(frame->options, frame->options_bytes,
	    frame->big_endian, code, nth, len);
}

/* ---- sections and interfaces ---- */

/* A text option as a string; "" if there is none.  *kept owns it. */
static int
take_text(struct reader *reader, struct body options, uint16_t code,
    size_t skip, char **kept, const char **text, struct err *err)
{
	size_t n;
	const uint8_t *value =
	    find_option(options.at, options.n, options.big, code, 0, &n);

	if (value == NULL || n < skip)
		return 0;
	n -= skip;
	n = n < READER_TEXT_MAX ? n : READER_TEXT_MAX;
	*kept = strndup((const char *)value + skip, n);
	if (*kept == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", reader->path);
	*text = *kept;
	return 0;
}

/* Our facts of an interface, without what they begin with. */
static int
take_facts(struct reader *reader, struct body options,
    struct reader_source *source, struct err *err)
{
	static const char start[] = PCAPNG_FACTS_START;
	size_t skip = 4 + sizeof(start) - 1, n;
	const uint8_t *value;

	for (unsigned int nth = 0;; nth++) {
		value = find_option(options.at, options.n, options.big,
		    PCAPNG_OPT_CUSTOM_TEXT, nth, &n);
		if (value == NULL)
			return 0;
		if (n < skip ||
		    reader_u32(options.big, value) != PCAPNG_ENTERPRISE ||
		    memcmp(value + 4, start, sizeof(start) - 1) != 0)
			continue;
		n = n - skip < READER_TEXT_MAX ? n - skip : READER_TEXT_MAX;
		source->facts = strndup((const char *)value + skip, n);
		if (source->facts == NULL)
			return err_set(
			    err, -ENOMEM, "%s: out of memory", reader->path);
		source->interface.facts = source->facts;
		return 0;
	}
}

/* 4.2, if_tsresol: a power of ten, or with the top bit of two.  0: none that
 * 64 bits can hold. */
static uint64_t
units_per_s(uint8_t resolution)
{
	uint64_t units = 1;

	if (resolution & 0x80)
		return (resolution & 0x7f) < 64 ? 1ULL << (resolution & 0x7f)
						: 0;
	if (resolution > 19)
		return 0;
	while (resolution-- > 0)
		units *= 10;
	return units;
}

/* 4.2 */
static int
read_interface(struct reader *reader, struct body body, struct err *err)
{
	struct reader_source *source;
	struct body options;
	struct reader_interface *i;
	const uint8_t *value;
	size_t n;

	if (body.n < 8)
		return reader_broken(
		    reader, err, "an interface block that is too short");
	source = reader_add(reader, err);
	if (source == NULL)
		return -ENOMEM;
	options = (struct body){ body.at + 8, body.n - 8, body.big };
	i = &source->interface;
	i->linktype = reader_u16(body.big, body.at);
	i->snaplen_bytes = reader_u32(body.big, body.at + 4);
	if (take_text(reader, options, OPT_IF_NAME, 0, &source->name, &i->name,
		err) < 0 ||
	    take_text(reader, options, OPT_IF_DESCRIPTION, 0,
		&source->description, &i->description, err) < 0 ||
	    take_text(reader, options, OPT_IF_FILTER, 1, &source->filter,
		&i->filter, err) < 0 ||
	    take_facts(reader, options, source, err) < 0)
		return -ENOMEM;
	value =
	    find_option(options.at, options.n, body.big, OPT_IF_FCSLEN, 0, &n);
	if (value != NULL && n == 1)
		i->fcs_bytes = *value;
	value = find_option(
	    options.at, options.n, body.big, OPT_IF_TSOFFSET, 0, &n);
	if (value != NULL && n == 8)
		source->offset_s = (int64_t)reader_u64(body.big, value);
	value =
	    find_option(options.at, options.n, body.big, OPT_IF_TSRESOL, 0, &n);
	if (value == NULL || n != 1)
		return 0;
	source->units_per_s = units_per_s(*value);
	if (source->units_per_s == 0)
		return reader_broken(reader, err,
		    "an interface with stamps of resolution 0x%02x", *value);
	return 0;
}

/* The interface of that number in this section. */
static struct reader_source *
source_of(struct reader *reader, uint32_t number, struct err *err)
{
	uint32_t n = reader->nsources - reader->first_source;

	if (number >= n) {
		reader_broken(reader, err,
		    "interface %u, of %u that were described", number, n);
		return NULL;
	}
	return &reader->sources[reader->first_source + number];
}

/* 4.6 */
static int
read_statistics(struct reader *reader, struct body body, struct err *err)
{
	struct reader_source *source;
	const uint8_t *value;
	size_t n;

	if (body.n < 12)
		return reader_broken(
		    reader, err, "a statistics block that is too short");
	source = source_of(reader, reader_u32(body.big, body.at), err);
	if (source == NULL)
		return -EINVAL;
	source->interface.counted = true;
	value = find_option(
	    body.at + 12, body.n - 12, body.big, OPT_ISB_IFRECV, 0, &n);
	if (value != NULL && n == 8)
		source->interface.received = reader_u64(body.big, value);
	value = find_option(
	    body.at + 12, body.n - 12, body.big, OPT_ISB_IFDROP, 0, &n);
	if (value != NULL && n == 8)
		source->interface.dropped = reader_u64(body.big, value);
	return 0;
}

/* 4.1: its length is read in the byte order that it brings itself. */
static int
read_section(struct reader *reader, struct err *err)
{
	const uint8_t *p;
	uint32_t magic, total;
	uint16_t major;
	int e = reader_want(reader, 28, &p, "a section block", err);

	if (e < 0)
		return e;
	magic = reader_u32(false, p + 8);
	reader->big_endian = magic != BYTE_ORDER_MAGIC;
	if (reader_u32(reader->big_endian, p + 8) != BYTE_ORDER_MAGIC)
		return reader_broken(reader, err,
		    "a section with the byte-order magic 0x%08x", magic);
	total = reader_u32(reader->big_endian, p + 4);
	major = reader_u16(reader->big_endian, p + 12);
	if (total < 28 || total % 4 != 0)
		return reader_broken(
		    reader, err, "a section block of %u bytes", total);
	if (major != 1)
		return reader_broken(
		    reader, err, "version %u of pcapng is not known", major);
	if (input_at(reader->input) > 0)
		reader->section++;
	reader->first_source = reader->nsources;
	return reader_skip(reader, total, "a section block", err);
}

/* ---- packets ---- */

/* The frame of kept bytes at offset, and the options behind it. */
static int
take_frame(struct reader *reader, struct body body, size_t offset,
    struct reader_frame *frame, struct err *err)
{
	size_t padded = ((size_t)frame->kept_bytes + 3) & ~(size_t)3;

	if (body.n - offset < frame->kept_bytes)
		return reader_broken(reader, err,
		    "a packet of %u bytes in a block that has %zu for it",
		    frame->kept_bytes, body.n - offset);
	padded = padded < body.n - offset ? padded : body.n - offset;
	frame->data = body.at + offset;
	frame->options = body.at + offset + padded;
	frame->options_bytes = body.n - offset - padded;
	frame->big_endian = body.big;
	if (frame->len_bytes < frame->kept_bytes)
		frame->len_bytes = frame->kept_bytes;
	return 1;
}

/* 4.3, and the obsolete one, which differs in its first four bytes only. */
static int
read_packet(struct reader *reader, struct body body, bool old,
    struct reader_frame *frame, struct err *err)
{
	struct reader_source *source;
	const uint8_t *value;
	uint64_t stamp;
	size_t n;
	int e;

	if (body.n < 20)
		return reader_broken(
		    reader, err, "a packet block that is too short");
	source = source_of(reader,
	    old ? reader_u16(body.big, body.at) : reader_u32(body.big, body.at),
	    err);
	if (source == NULL)
		return -EINVAL;
	stamp = (uint64_t)reader_u32(body.big, body.at + 4) << 32 |
	    reader_u32(body.big, body.at + 8);
	*frame = (struct reader_frame){
		.interface = (uint32_t)(source - reader->sources),
		.stamped = true,
		.at_ns = reader_stamp(source, stamp),
		.kept_bytes = reader_u32(body.big, body.at + 12),
		.len_bytes = reader_u32(body.big, body.at + 16),
	};
	e = take_frame(reader, body, 20, frame, err);
	if (e < 0)
		return e;
	value = reader_option(frame, OPT_EPB_FLAGS, 0, &n);
	if (value != NULL && n == 4)
		frame->flags = reader_u32(body.big, value);
	return e;
}

/* 4.4 */
static int
read_simple(struct reader *reader, struct body body, struct reader_frame *frame,
    struct err *err)
{
	struct reader_source *source;
	uint32_t snaplen;
	int e;

	if (body.n < 4)
		return reader_broken(
		    reader, err, "a packet block that is too short");
	source = source_of(reader, 0, err);
	if (source == NULL)
		return -EINVAL;
	snaplen = source->interface.snaplen_bytes;
	*frame = (struct reader_frame){
		.interface = (uint32_t)(source - reader->sources),
		.len_bytes = reader_u32(body.big, body.at),
	};
	frame->kept_bytes = frame->len_bytes;
	if (snaplen != 0 && snaplen < frame->kept_bytes)
		frame->kept_bytes = snaplen;
	e = take_frame(reader, body, 4, frame, err);
	frame->options_bytes = 0; /* there are none, but for padding */
	return e;
}

/* ---- blocks ---- */

static bool
is_wanted(uint32_t type)
{
	return type == BLOCK_INTERFACE || type == BLOCK_OLD_PACKET ||
	    type == BLOCK_SIMPLE || type == BLOCK_STATISTICS ||
	    type == BLOCK_PACKET;
}

/* One block that is not a section's.  1 if it was a frame. */
static int
read_block(struct reader *reader, uint32_t type, uint32_t total,
    struct reader_frame *frame, struct err *err)
{
	static const char what[] = "a block";
	struct body body = { .n = total - FRAMING_BYTES,
		.big = reader->big_endian };
	const uint8_t *p;
	uint32_t again;
	int e = 0;

	if (!is_wanted(type))
		return reader_skip(reader, total, what, err);
	if (body.n > READER_FRAME_MAX + OPTIONS_MAX)
		return reader_broken(
		    reader, err, "a block of %u bytes makes no sense", total);
	e = reader_want(reader, total, &p, what, err);
	if (e < 0)
		return e;
	again = reader_u32(body.big, p + total - 4);
	if (again != total)
		return reader_broken(reader, err,
		    "a block of %u bytes that ends as one of %u", total, again);
	body.at = p + 8;
	switch (type) {
	case BLOCK_INTERFACE: e = read_interface(reader, body, err); break;
	case BLOCK_STATISTICS: e = read_statistics(reader, body, err); break;
	case BLOCK_SIMPLE: e = read_simple(reader, body, frame, err); break;
	default:
		e = read_packet(
		    reader, body, type == BLOCK_OLD_PACKET, frame, err);
		break;
	}
	/* Moved past, it stays where it is until more is wanted. */
	if (e >= 0)
		input_skip(reader->input, total);
	return e;
}

static int
next_pcapng(struct reader *reader, struct reader_frame *frame, struct err *err)
{
	int e = 0;

	while (e == 0) {
		const uint8_t *p;
		uint32_t type, total;
		size_t n;

		if (input_want(reader->input, 1, &n, err) == NULL)
			return -EIO;
		if (n == 0)
			return 0;
		e = reader_want(reader, 8, &p, "a block's header", err);
		if (e < 0)
			return e;
		type = reader_u32(reader->big_endian, p);
		if (type == BLOCK_SECTION) { /* alike in both orders */
			e = read_section(reader, err);
			continue;
		}
		total = reader_u32(reader->big_endian, p + 4);
		if (total < FRAMING_BYTES || total % 4 != 0)
			return reader_broken(
			    reader, err, "a block of %u bytes", total);
		e = read_block(reader, type, total, frame, err);
	}
	return e;
}

static int
begin_pcapng(struct reader *reader, struct err *err)
{
	return read_section(reader, err);
}

const struct reader_format reader_pcapng = {
	.is = is_pcapng,
	.begin = begin_pcapng,
	.next = next_pcapng,
};
