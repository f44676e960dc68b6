/*
 * radiotap.h - what a radio says of a frame that it received, and is told of
 * one to be sent (radiotap.org; link type 127 of libpcap).
 */
#ifndef BRIDGE_RADIOTAP_H
#define BRIDGE_RADIOTAP_H

#include <stdbool.h>
#include <stdint.h>

#include "net/cursor.h"
#include "net/reason.h"

struct radiotap {
	bool fcs;     /* the frame ends in its check sequence */
	bool padded;  /* its header is padded to 32 bits */
	bool bad_fcs; /* ... and the radio found it wrong */
	uint16_t mhz; /* 0: not said */
	bool has_signal;
	int8_t signal_dbm;
};

/* Reads the header; *c is left at the frame.  DROP_SHORT, DROP_RADIOTAP. */
enum reason radiotap_parse(struct radiotap *r, struct cursor *c);

#define RADIOTAP_SEND_BYTES 10

/* The header of a frame to be sent: with the sequence number that it has, and
 * without waiting for an acknowledgement, which would go to the guest's own
 * address and so not be the radio's. */
void radiotap_write_send(struct writer *w);

#endif
