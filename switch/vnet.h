/*
 * vnet.h - the virtio-net header in front of a frame (virtio 1.2, 5.1.6), to
 * and from what struct frame says about offloads.
 *
 * Little-endian.  VHOST-USER and TAP ports share it; the former has the number
 * of buffers behind it, which is the port's own affair.
 */
#ifndef SWITCH_VNET_H
#define SWITCH_VNET_H

#include "switch/port.h"

#define VNET_BYTES     10 /* without num_buffers */
#define VNET_BYTES_MRG 12 /* with num_buffers, and with VERSION_1 */

/*
 * Fills in frame's flags and offload fields from header, which is a copy that
 * nobody else changes.  frame's data, head and len are set already.  Refuses
 * what contradicts the frame: DROP_VNET_HEADER; else DROP_NONE.  The checksum
 * and all headers to be cut are then within the first head bytes.
 */
enum reason vnet_parse(struct frame *frame, const uint8_t header[VNET_BYTES]);

/* Writes the header for a frame. */
void vnet_write(uint8_t header[VNET_BYTES], const struct frame *frame);

#endif
