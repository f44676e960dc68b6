/*
 * pcapng.h - the blocks of a pcapng file, written into bounded memory.
 *
 * Pure functions: no files, no allocation.  The format is the IETF draft
 * draft-ietf-opsawg-pcapng; the numbers below are its sections.  Always
 * little-endian, so that the same frames give the same bytes everywhere.
 *
 * Each function appends one whole block to w.  When there is no room for it, w
 * is left as it was but for w->overrun.  Text is written as UTF-8 as it must
 * be: bytes that are not are replaced by '?', and what is beyond
 * PCAPNG_TEXT_MAX is cut.  Text may be NULL: then its option is left out.
 */
#ifndef PCAP_TOOLS_PCAPNG_H
#define PCAP_TOOLS_PCAPNG_H

#include <stdint.h>

#include "net/cursor.h"

#define PCAPNG_TEXT_MAX 2048 /* bytes of one text */

/* What a block can take at most, for those who make room. */
#define PCAPNG_BLOCK_MAX        (4 * (PCAPNG_TEXT_MAX + 8) + 128)
#define PCAPNG_PACKET_MAX(kept) (2 * PCAPNG_TEXT_MAX + 256 + (kept))

#define PCAPNG_ETHERNET 1 /* LINKTYPE_ETHERNET */

/* Makes text valid UTF-8, in place, as the functions below do by themselves. */
void pcapng_repair(char *text);

/* 4.1: a section, of unknown length, which the file begins with. */
void pcapng_section(
    struct writer *w, const char *application, const char *comment);

/* 4.2: an interface.  The first of a section has the number 0, and so on. */
struct pcapng_interface {
	const char *name, *description;
	const char *filter;     /* a libpcap expression */
	uint32_t snaplen_bytes; /* 0: no limit */
	uint16_t linktype;      /* of libpcap; 0: Ethernet */
	const char *facts;      /* what programs read, without "lanyard " */
};

/* With stamps in nanoseconds. */
void pcapng_interface(struct writer *w, const struct pcapng_interface *i);

/* 4.3.1: what flags may say. */
#define PCAPNG_INBOUND          0x001
#define PCAPNG_OUTBOUND         0x002
#define PCAPNG_CSUM_NOT_READY   0x200
#define PCAPNG_SEGMENTS_TO_MAKE 0x800

/* 4.3: a frame. */
struct pcapng_packet {
	uint32_t interface;
	uint32_t flags;         /* 0: the option is left out */
	uint64_t at_ns;         /* since 1970 */
	uint32_t kept_bytes;    /* at data */
	uint32_t len_bytes;     /* of the frame, at least kept_bytes */
	uint32_t comment_bytes; /* 0: none; at most PCAPNG_TEXT_MAX */
	uint32_t facts_bytes;   /* likewise */
	uint32_t journey;       /* 0: the facts are left out */
	const uint8_t *data;
	const char *comment; /* UTF-8 already, as by pcapng_repair() */
	const char *facts;   /* what programs read, likewise */
};

/*
 * The facts go into a custom option (3.5.1) of text, which begins with the
 * frame's journey:
 *
 *     lanyard journey=17 node=gw verdict=nat-out out=gw.outside entry=3
 *
 * and that of an interface, if it has facts, with them:
 *
 *     lanyard nat=gw outside=gw.outside udp-idle=300s
 *
 * A custom option names an enterprise.  This one is the number that RFC 5612
 * keeps for examples; the first word tells it from others who use that.
 */
#define PCAPNG_OPT_CUSTOM_TEXT 2988
#define PCAPNG_ENTERPRISE      32473
#define PCAPNG_FACTS_START     "lanyard "
#define PCAPNG_FACTS           PCAPNG_FACTS_START "journey="

void pcapng_packet(struct writer *w, const struct pcapng_packet *p);

/* 4.6: what an interface counted. */
struct pcapng_statistics {
	uint32_t interface;
	uint64_t start_ns, end_ns; /* since 1970 */
	uint64_t received;         /* seen at the interface */
	uint64_t accepted;         /* of these, let through by the filter */
	uint64_t dropped;          /* of these, lost for lack of room */
	uint64_t delivered;        /* of these, in the file */
};

void pcapng_statistics(struct writer *w, const struct pcapng_statistics *s);

#endif
