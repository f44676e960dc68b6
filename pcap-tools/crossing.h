/*
 * crossing.h - one frame at one capture point, with what the capture says of
 * it: what the tools on captures look at.
 *
 * From our own captures a crossing knows its journey and verdicts; from others
 * only the frame.  One reader at a time, in the order of the file.
 */
#ifndef PCAP_TOOLS_CROSSING_H
#define PCAP_TOOLS_CROSSING_H

#include "pcap-tools/packet.h"
#include "pcap-tools/reader.h"

#define CROSSING_NAME_BYTES 64

/* Who decided what; node "" if nobody did. */
struct crossing_verdict {
	char node[CROSSING_NAME_BYTES];
	char out[CROSSING_NAME_BYTES]; /* "" if it did not go on */
	char name[32];                 /* "nat-out" */
	bool drop;                     /* a name of ours, and a drop */
	uint32_t ports, entry, other;  /* other: the second of a hairpin */
};

struct crossing {
	struct reader_frame frame; /* borrowed until the next one */
	uint32_t journey;          /* 0: the capture does not say */
	bool out;                  /* left the node of its point, by flags */
	bool directed;             /* out is known */
	bool readable;             /* packet is good: Ethernet */
	struct packet packet;
	struct crossing_verdict cause, verdict;
};

/* The next one of reader, as reader_next(). */
int crossing_next(
    struct reader *reader, struct crossing *crossing, struct err *err);

/* Reads the text of a facts option, n bytes, into crossing: journey, cause and
 * verdict.  What it does not know it leaves out.  False: it is none of ours. */
bool crossing_facts(struct crossing *crossing, const char *text, size_t n);

#endif
