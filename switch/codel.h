/*
 * codel.h - which frames a queue drops so that it stays short (RFC 8289).
 *
 * CoDel looks at how long each frame has waited as it leaves the queue, not at
 * how full the queue is.  Pure: the queue and the clock are the caller's.
 */
#ifndef SWITCH_CODEL_H
#define SWITCH_CODEL_H

#include <stdbool.h>
#include <stdint.h>

#define CODEL_TARGET_NS   UINT64_C(5000000)   /* RFC 8289, 4.4 */
#define CODEL_INTERVAL_NS UINT64_C(100000000) /* RFC 8289, 4.3 */

/* All zero but the first two: a queue that was empty for ever. */
struct codel {
	uint64_t target_ns, interval_ns;
	uint64_t above_ns; /* when "long" becomes "too long"; 0: not long */
	uint64_t next_ns;  /* of the next drop */
	uint32_t count;    /* drops since dropping began */
	uint32_t before;   /* count when it began last */
	bool dropping;
	bool dropped; /* the frame before this one */
};

/*
 * The frame at the head leaves at now_ns after waited_ns, with left_bytes
 * behind it in the queue, of which the longest frame ever was longest_bytes.
 * True: it is to be dropped, or marked, and the next one asked about.
 */
bool codel_drops(struct codel *codel, uint64_t now_ns, uint64_t waited_ns,
    uint64_t left_bytes, uint64_t longest_bytes);

#endif
