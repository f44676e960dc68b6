/*
 * ecn.h - explicit congestion notification in IP headers (RFC 3168, 5).
 *
 * A queue that is about to fill says so by the two ECN bits of the packets that
 * pass it, instead of dropping them, if their sender has said that it
 * understands (ECT).
 */
#ifndef NET_ECN_H
#define NET_ECN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Marks the IPv4 or IPv6 packet in an Ethernet frame, behind up to two tags, as
 * having met congestion (CE), and updates the IPv4 header's checksum.  True if
 * the packet carries CE now.  False, with nothing changed, if it is no IP
 * packet or its sender does not understand. */
bool ecn_mark(uint8_t *frame, size_t len_bytes);

#endif
