/*
 * pcap, as draft-ietf-opsawg-pcap describes it: a header, then records.
 *
 * Some systems of the past wrote longer records under the same magic number, or
 * under one that several of them shared.  How long a record's header is shows
 * only in the records: of the lengths that a magic number may stand for, the
 * first is taken with which a run of records at the start makes sense.
 */
#include "pcap-tools/reader_parts.h"

#include <errno.h>

#define MAGIC_US       0xa1b2c3d4U
#define MAGIC_NS       0xa1b23c4dU
#define MAGIC_MODIFIED 0xa1b2cd34U

#define HEADER_BYTES  24
#define RECORD_BYTES  16
#define RECORD_MAX    28
#define SNIFF_BYTES   (256u * 1024)
#define SNIFF_RECORDS 8
#define SNIFF_LEN_MAX (256u * 1024) /* beyond it a length makes no sense */

/* Lengths of a record's header, in the order in which they are tried. */
static const struct {
	uint32_t magic, units_per_s;
	uint8_t lengths[3];
} variants[] = {
	{ MAGIC_US, 1000000, { 16, 20, 24 } },
	{ MAGIC_NS, 1000000000, { 16 } },
	{ MAGIC_MODIFIED, 1000000, { 24, 28, 16 } },
};

#define NVARIANTS (sizeof(variants) / sizeof(variants[0]))

static size_t
variant_of(const uint8_t *start, bool *big)
{
	for (size_t v = 0; v < NVARIANTS; v++)
		for (int b = 0; b < 2; b++)
			if (reader_u32(b, start) == variants[v].magic) {
				*big = b;
				return v;
			}
	return NVARIANTS;
}

static bool
is_pcap(const uint8_t *start, size_t n)
{
	bool big;

	return n >= 4 && variant_of(start, &big) < NVARIANTS;
}

/* Whether the records from at on make sense with headers of this length. */
static bool
makes_sense(const struct reader *reader, uint32_t units_per_s,
    uint32_t record_bytes, const uint8_t *at, const uint8_t *end)
{
	bool big = reader->big_endian;

	for (unsigned int i = 0; i < SNIFF_RECORDS; i++) {
		uint32_t kept, len;

		if ((size_t)(end - at) < record_bytes)
			return at == end || i > 0;
		kept = reader_u32(big, at + 8);
		len = reader_u32(big, at + 12);
		if (reader_u32(big, at + 4) >= units_per_s ||
		    kept > SNIFF_LEN_MAX || kept > len || len == 0)
			return false;
		at += record_bytes;
		if ((size_t)(end - at) < kept)
			return true;
		at += kept;
	}
	return true;
}

static int
begin_pcap(struct reader *reader, struct err *err)
{
	const uint8_t *p;
	struct reader_source *source;
	uint32_t network;
	size_t v, n;
	int e = reader_want(reader, HEADER_BYTES, &p, "the header", err);

	if (e < 0)
		return e;
	v = variant_of(p, &reader->big_endian);
	source = reader_add(reader, err);
	if (source == NULL)
		return -ENOMEM;
	network = reader_u32(reader->big_endian, p + 20);
	source->units_per_s = variants[v].units_per_s;
	source->interface.linktype = (uint16_t)network;
	source->interface.snaplen_bytes =
	    reader_u32(reader->big_endian, p + 16);
	if (network & 1u << 26) /* in words of 16 bits */
		source->interface.fcs_bytes = (uint8_t)(network >> 28 << 1);
	input_skip(reader->input, HEADER_BYTES);
	p = input_want(reader->input, SNIFF_BYTES, &n, err);
	if (p == NULL)
		return -EIO;
	reader->record_bytes = variants[v].lengths[0];
	for (size_t i = 3; i-- > 0;)
		if (variants[v].lengths[i] != 0 &&
		    makes_sense(reader, variants[v].units_per_s,
			variants[v].lengths[i], p, p + n))
			reader->record_bytes = variants[v].lengths[i];
	return 0;
}

static int
next_pcap(struct reader *reader, struct reader_frame *frame, struct err *err)
{
	const struct reader_source *source = &reader->sources[0];
	bool big = reader->big_endian;
	uint32_t kept, len, seconds, fraction;
	const uint8_t *p;
	size_t n;
	int e;

	if (input_want(reader->input, 1, &n, err) == NULL)
		return -EIO;
	if (n == 0)
		return 0;
	e = reader_want(
	    reader, reader->record_bytes, &p, "a record's header", err);
	if (e < 0)
		return e;
	seconds = reader_u32(big, p);
	fraction = reader_u32(big, p + 4);
	kept = reader_u32(big, p + 8);
	len = reader_u32(big, p + 12);
	if (kept > READER_FRAME_MAX)
		return reader_broken(
		    reader, err, "a record of %u bytes makes no sense", kept);
	e = reader_want(
	    reader, reader->record_bytes + kept, &p, "a frame", err);
	if (e < 0)
		return e;
	/* Moved past, it stays where it is until more is wanted. */
	input_skip(reader->input, reader->record_bytes + kept);
	*frame = (struct reader_frame){
		.stamped = true,
		.at_ns = seconds * NS_PER_S +
		    fraction * (NS_PER_S / source->units_per_s),
		.kept_bytes = kept,
		.len_bytes = len > kept ? len : kept,
		.data = p + reader->record_bytes,
		.big_endian = big,
	};
	return 1;
}

const struct reader_format reader_pcap = {
	.is = is_pcap,
	.begin = begin_pcap,
	.next = next_pcap,
};
