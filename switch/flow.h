/*
 * flow.h - a number for each flow of frames, by which a bond spreads them.
 *
 * Frames of one flow have the same number, so that they keep their order; of
 * what is no IP, or a fragment, less is looked at.
 */
#ifndef SWITCH_FLOW_H
#define SWITCH_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What tells flows apart. */
enum flow_level {
	FLOW_L2, /* addresses and VLANs */
	FLOW_L3, /* the addresses of IP, where there are such, and VLANs */
	FLOW_L4, /* and the ports of TCP and UDP */
};

struct flow_options {
	enum flow_level level;
	bool symmetric; /* both directions are one flow */
};

/* The number of a frame of which the first len bytes are at bytes, tags and
 * all.  They may change meanwhile. */
uint32_t flow_hash(
    const struct flow_options *options, const uint8_t *bytes, size_t len);

#endif
