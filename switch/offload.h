/*
 * offload.h - what a guest left undone, done before a frame meets a wire.
 *
 * A guest that negotiated checksum and segmentation offload hands over frames
 * of up to 64 KiB with unfinished checksums (virtio 1.2, 5.1.6.2).  Between
 * such guests they stay whole.  A port, or a capture, that cannot carry that
 * is given finished frames by these functions.
 */
#ifndef SWITCH_OFFLOAD_H
#define SWITCH_OFFLOAD_H

#include "switch/port.h"

/* Computes and stores the checksum that frame (FRAME_CSUM without FRAME_TSO*)
 * asks for into bytes, a copy of the whole frame. */
void offload_checksum(uint8_t *bytes, const struct frame *frame);

/*
 * Cuts frame (FRAME_TSO4 or FRAME_TSO6) into finished frames: headers copied,
 * lengths, IPv4 id and checksum, TCP sequence, flags and checksum set as the
 * guest would have.  Calls each with a buffer that is good during the call.
 * Returns how many, 0 if the headers are not what the flags promise.
 */
unsigned int offload_segment(const struct frame *frame,
    void (*each)(void *arg, const uint8_t *data, size_t len), void *arg);

/*
 * Passes on a burst whose frames need more than their receiver accepts: what is
 * missing (FRAME_TODO bits) is done in scratch memory, and finished bursts are
 * given to send, with DROP_NONE; a frame that cannot be segmented alone, with
 * DROP_VNET_HEADER.  Each original frame's verdict is that of its last segment.
 */
void offload_send(struct port *port, struct burst *burst, uint8_t missing,
    void (*send)(struct port *port, struct burst *burst, enum reason refusal));

/* How many frames a wire would see of this one, and in all of how many
 * bytes. */
uint32_t offload_wire_frames(const struct frame *frame, uint32_t *bytes);

#endif
