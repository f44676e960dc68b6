/*
 * stats.h - what a capture comes to: per point, per conversation, and between
 * points.
 *
 * Crossings are given in the order of the file.  Memory is bounded: the first
 * STATS_FLOWS conversations at a point are told apart, the rest is one more.
 */
#ifndef PCAP_TOOLS_STATS_H
#define PCAP_TOOLS_STATS_H

#include "pcap-tools/crossing.h"

#define STATS_FLOWS  65536
#define STATS_POINTS 4096
#define STATS_WAYS   1024 /* pairs of points */
#define STATS_BINS   512  /* of the time that the capture spans */

/* Durations: how many, and of those the least, the middle and the most.  The
 * middle is that of a histogram, good to 10 %. */
struct stats_times {
	uint64_t n, min_ns, max_ns;
	uint32_t bucket[320];
};

uint64_t stats_median_ns(const struct stats_times *times);

struct stats_point {
	uint64_t frames, bytes;
	uint64_t dropped; /* of the frames, by their verdicts */
	uint64_t first_ns, last_ns;
	uint64_t bin[STATS_BINS]; /* bytes in each */
};

/* One direction of a conversation. */
struct stats_way {
	uint64_t frames, bytes, dropped, retransmissions;
};

struct stats_flow {
	struct packet_flow flow; /* as its first frame went */
	uint32_t point;
	uint64_t first_ns, last_ns;
	struct stats_way way[2]; /* as the first frame, and back */
	/* TCP and echo: how often it was timed from a frame to its answer */
	uint64_t rtts, rtt_min_ns, rtt_max_ns, rtt_sum_ns;
};

/* From one point to another (pair.h). */
struct stats_hop {
	uint32_t from, to; /* points */
	struct stats_times delay;
};

struct stats;

struct stats *stats_new(void); /* NULL: no memory */
void stats_free(struct stats *stats);

/* 0, -ENOMEM, or -E2BIG: more than STATS_POINTS. */
int stats_add(struct stats *stats, const struct crossing *crossing);

uint32_t stats_points(const struct stats *stats);
const struct stats_point *stats_point(const struct stats *stats, uint32_t i);
/* Width of a bin, and when the first begins. */
uint64_t stats_bin_ns(const struct stats *stats, uint64_t *start_ns);

/* Most bytes first. */
uint32_t stats_flows(struct stats *stats);
const struct stats_flow *stats_flow(const struct stats *stats, uint32_t i);
uint64_t stats_other_frames(const struct stats *stats);

uint32_t stats_hops(const struct stats *stats);
const struct stats_hop *stats_hop(const struct stats *stats, uint32_t i);

#endif
