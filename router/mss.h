/*
 * mss.h - lowers what a TCP end asks the other to send at most, so that it fits
 * a link (MSS clamping): for paths on which the errors of RFC 1191 are lost.
 */
#ifndef ROUTER_MSS_H
#define ROUTER_MSS_H

#include "net/ip4.h"

/* Of a SYN that begins at ip, with header, of which bytes are there, the MSS
 * becomes what fits mtu_bytes, if it is larger.  sum: its TCP checksum is
 * finished, and is kept right.  True: the packet was changed. */
bool mss_clamp(uint8_t *ip, size_t bytes, const struct ip4 *header,
    uint32_t mtu_bytes, bool sum);

#endif
