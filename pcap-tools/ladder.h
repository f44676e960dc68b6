/*
 * ladder.h - a sequence diagram of a capture: who sent what to whom.
 *
 * From our own captures the columns are nodes, and an arrow is a frame's way
 * from one to the next: where both ends of a cable were captured they are one
 * arrow.  From others the columns are the hosts that speak.  What a node
 * changed in a frame is set off, and its verdict stands beside the arrow that
 * came in.
 */
#ifndef PCAP_TOOLS_LADDER_H
#define PCAP_TOOLS_LADDER_H

#include <stdio.h>

#include "base/err.h"

#define LADDER_STEPS_MAX   10000
#define LADDER_COLUMNS_MAX 64

enum ladder_format { LADDER_TEXT, LADDER_SVG };

struct ladder_options {
	const char *filter;     /* of libpcap, or NULL: all */
	unsigned int max_steps; /* 0: LADDER_STEPS_MAX */
	enum ladder_format format;
};

/*
 * Draws the capture at path, "-" for standard input.  With a filter, the frames
 * that it lets through, and all that they became and came from where the
 * capture knows (so the file is read twice, and cannot be "-").
 *
 * The number of frames left out for want of room; or -Exxx with *err saying
 * why.
 */
int ladder(const char *path, const struct ladder_options *options, FILE *out,
    struct err *err);

#endif
