/*
 * pair_write.h - a capture with a reference at each frame to what it became and
 * what it was before (pair.h).
 */
#ifndef PCAP_TOOLS_PAIR_WRITE_H
#define PCAP_TOOLS_PAIR_WRITE_H

#include "base/err.h"

/*
 * Copies the capture at from to to, as pcapng, with the references at the end
 * of each frame's comment:
 *
 *     ...; becomes frame 21 at gw.outside after 3.1 us
 *     ...; was frame 18 at gw.inside 3.1 us before
 *
 * Of several copies that came of a frame the first is named.  The file is read
 * twice, so it cannot be "-"; takes 24 bytes of memory for each frame.  Frames
 * of other links than Ethernet are left out.  0, or -Exxx with *err.
 */
int pair_write(const char *from, const char *to, struct err *err);

#endif
