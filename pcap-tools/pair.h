/*
 * pair.h - which frame became which: through a switch, a bridge, a NAT.
 *
 * In our own captures by journey and verdict, exactly.  In others by what a
 * NAT leaves as it is (packet_content_hash), in order, within PAIR_PATIENCE_NS:
 * two frames alike in all of that cannot be told apart then.
 *
 * Crossings are given in the order of time; memory is bounded by remembering
 * the newest PAIR_WINDOW.  One thread at a time.
 */
#ifndef PCAP_TOOLS_PAIR_H
#define PCAP_TOOLS_PAIR_H

#include "pcap-tools/crossing.h"

#define PAIR_WINDOW      65536 /* a power of two */
#define PAIR_PATIENCE_NS 2000000000

/* A crossing as it is remembered. */
struct paired {
	uint64_t number; /* of the frame in its file, from 1 */
	uint32_t file, point;
	uint64_t at_ns;
	struct packet_flow flow;
	char node[CROSSING_NAME_BYTES]; /* whose verdict it has, "" if none */
	char verdict[32];
	uint32_t entry;
	bool drop;
};

struct pairing;

struct pairing *pairing_new(void); /* NULL: no memory */
void pairing_free(struct pairing *pairing);

/* The next crossing, at point of file (both the caller's numbers, which
 * together name the place).  True: *from is the one that it was before, at
 * another place, and *to is this one. */
bool pairing_next(struct pairing *pairing, const struct crossing *crossing,
    uint32_t file, uint32_t point, struct paired *from, struct paired *to);

#endif
