/*
 * reader.h - the frames of a capture file, one after the other.
 *
 * Reads pcapng (draft-ietf-opsawg-pcapng: both byte orders, any number of
 * sections and interfaces, every kind of packet block; unknown blocks and
 * options are passed over) and pcap (draft-ietf-opsawg-pcap: both byte orders,
 * microseconds and nanoseconds, and the old variants with longer records),
 * compressed or not (input.h).  Memory does not grow with the file.
 *
 * reader_open_any() also reads what Wireshark's editcap does.
 *
 * A file that ends in the middle of a block, or contradicts itself, gives all
 * whole frames before that, then an error.  One thread at a time.
 */
#ifndef PCAP_TOOLS_READER_H
#define PCAP_TOOLS_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define READER_FRAME_MAX      (8u << 20) /* bytes kept of one frame */
#define READER_INTERFACES_MAX 65536      /* in all sections */
#define READER_TEXT_MAX       2048       /* of a name; more is cut off */

struct reader;

/* Those of all sections are numbered through, from 0. */
struct reader_interface {
	uint32_t section; /* from 0 */
	uint16_t linktype;
	uint8_t fcs_bytes;                       /* at the end of each frame */
	uint32_t snaplen_bytes;                  /* 0: no limit */
	const char *name, *description, *filter; /* "" if not said */
	const char *facts; /* ours, of pcapng.h, without "lanyard "; or "" */
	/* What its last statistics said, if there were any yet. */
	bool counted;
	uint64_t received, dropped;
};

struct reader_frame {
	uint64_t number;    /* from 1 */
	uint32_t interface; /* in which reader_interface() is */
	uint32_t flags;     /* PCAPNG_INBOUND and so on; 0 if not said */
	bool stamped;
	uint64_t at_ns;      /* since 1970, if stamped */
	uint32_t kept_bytes; /* at data */
	uint32_t len_bytes;  /* of the frame, at least kept_bytes */
	/* Borrowed until the next call. */
	const uint8_t *data;
	const uint8_t *options; /* for reader_option() */
	size_t options_bytes;
	bool big_endian; /* numbers within them */
};

/* "-" is standard input.  NULL: *err says why. */
struct reader *reader_open(const char *path, struct err *err);
/* The same, and a file of another format by editcap (foreign.h). */
struct reader *reader_open_any(const char *path, struct err *err);
void reader_free(struct reader *reader); /* NULL is fine */

/* The next frame.  1; 0 at the end; or -Exxx with *err saying why, after which
 * it is not to be called again. */
int reader_next(
    struct reader *reader, struct reader_frame *frame, struct err *err);

/* Those seen so far. */
uint32_t reader_interfaces(const struct reader *reader);
const struct reader_interface *reader_interface(
    const struct reader *reader, uint32_t interface);

/* The nth option with this code of a frame, n from 0: its *len bytes, which
 * are not ended, or NULL. */
const uint8_t *reader_option(const struct reader_frame *frame, uint16_t code,
    unsigned int nth, size_t *len);

#endif
