/*
 * reader_parts.h - what the two formats have in common.  For reader*.c alone.
 */
#ifndef PCAP_TOOLS_READER_PARTS_H
#define PCAP_TOOLS_READER_PARTS_H

#include "pcap-tools/foreign.h"
#include "pcap-tools/input.h"
#include "pcap-tools/reader.h"

#define NS_PER_S 1000000000ULL

/* An interface, and how its stamps are read. */
struct reader_source {
	struct reader_interface interface;
	uint64_t units_per_s;
	int64_t offset_s;
	char *name, *description, *filter, *facts;
};

struct reader {
	const struct reader_format *format;
	struct input *input;
	struct foreign editcap; /* what input is read from, if any */
	char *path;
	uint64_t frames;
	struct reader_source *sources;
	uint32_t nsources, max_sources;
	bool big_endian;
	/* pcapng: */
	uint32_t section, first_source; /* of this section */
	/* pcap: */
	uint32_t record_bytes; /* of a record's header */
};

struct reader_format {
	/* Whether a file that begins with these bytes is one. */
	bool (*is)(const uint8_t *start, size_t n);
	int (*begin)(struct reader *reader, struct err *err);
	int (*next)(
	    struct reader *reader, struct reader_frame *frame, struct err *err);
};

extern const struct reader_format reader_pcap, reader_pcapng;

/* Reads n bytes; -ENODATA if the file ends before, or another -Exxx. */
int reader_want(struct reader *reader, size_t n, const uint8_t **data,
    const char *what, struct err *err);
/* Moves past n bytes, however many.  what is cut off if there are fewer. */
int reader_skip(
    struct reader *reader, uint64_t n, const char *what, struct err *err);
int reader_broken(struct reader *reader, struct err *err, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

/* A new interface, to be filled in; NULL: *err says why. */
struct reader_source *reader_add(struct reader *reader, struct err *err);

/* units since 1970, in nanoseconds; what is beyond 64 bits is their end. */
uint64_t reader_stamp(const struct reader_source *source, uint64_t units);

static inline uint16_t
reader_u16(bool big, const uint8_t *p)
{
	return big ? (uint16_t)(p[0] << 8 | p[1])
		   : (uint16_t)(p[1] << 8 | p[0]);
}

static inline uint32_t
reader_u32(bool big, const uint8_t *p)
{
	return big
	    ? (uint32_t)reader_u16(big, p) << 16 | reader_u16(big, p + 2)
	    : (uint32_t)reader_u16(big, p + 2) << 16 | reader_u16(big, p);
}

static inline uint64_t
reader_u64(bool big, const uint8_t *p)
{
	uint64_t first = reader_u32(big, p), second = reader_u32(big, p + 4);

	return big ? first << 32 | second : second << 32 | first;
}

#endif
