/*
 * finish.h - a frame as it would look on a wire.
 *
 * Frames between guests may have checksums to be completed and segments to be
 * cut.  A capture and a counter look at what comes of them.
 */
#ifndef PCAP_TOOLS_FINISH_H
#define PCAP_TOOLS_FINISH_H

#include "switch/port.h"

/* One finished frame, contiguous and good during the call.  todo is 0, or what
 * is left of FRAME_TODO in a frame that is not what it claims to be: that is
 * shown as it is. */
typedef void finish_each(
    void *arg, const uint8_t *data, size_t len, uint8_t todo);

/* Calls each for every frame that frame comes to, at least once.  scratch has
 * FRAME_MAX_BYTES; what is beyond them is cut off. */
void finish_frame(
    uint8_t *scratch, const struct frame *frame, finish_each *each, void *arg);

#endif
