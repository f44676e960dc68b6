/*
 * record.h - what goes through a capture's ring, from the loop to the writer.
 */
#ifndef PCAP_TOOLS_RECORD_H
#define PCAP_TOOLS_RECORD_H

#include <stdint.h>

#include "pcap-tools/pcapng.h"
#include "pcap-tools/ring.h"

/* A verdict by numbers, all 0 if nobody gave one. */
struct fate {
	uint16_t node, out; /* names */
	uint16_t reason, nout;
	uint32_t entry, other;
};

enum record_kind { RECORD_INTERFACE, RECORD_FRAME };

struct record {
	struct ring_record head;
	/* RECORD_INTERFACE: the next one; stays where it is to the end. */
	const struct pcapng_interface *interface;
	uint64_t at_ns;
	uint32_t point; /* number of its interface */
	uint32_t len, kept;
	uint32_t journey; /* counted from the capture's start */
	uint16_t more;    /* records that follow of the same frame */
	uint8_t kind;
	uint8_t dir;
	uint8_t todo; /* offloads that could not be finished */
	uint16_t at;  /* name of the port, in the bin; else 0 */
	struct fate cause, verdict;
	uint8_t data[];
};

#endif
