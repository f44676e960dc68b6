/*
 * wifi_bss.h - one BSS as a LAN sees it: frames of a radio in, Ethernet frames
 * out, and the other way.
 *
 * A frame that is sent again (its retry bit) though it was received is refused:
 * for each transmitter and traffic class the last 64 sequence numbers are known.
 * Those known are WIFI_BSS_TRANSMITTERS at most; the least recently heard of
 * four in the same place of the table gives way.
 *
 * Group frames are taken when the access point sends them, not when a station
 * sends them to it.  Frames between two stations of the BSS are on the air
 * twice, and are brought in twice.  What a guest of ours has sent comes back as
 * the access point relays it, and is refused by its source; the table of these
 * has the same rule.
 */
#ifndef BRIDGE_WIFI_BSS_H
#define BRIDGE_WIFI_BSS_H

#include <stdint.h>

#include "bridge/ieee80211.h"

#define WIFI_BSS_TRANSMITTERS 1024
#define WIFI_BSS_GUESTS       1024

#define WIFI_LINK_80211    105 /* link types of libpcap */
#define WIFI_LINK_RADIOTAP 127

struct wifi_bss;

/* NULL: no memory. */
struct wifi_bss *wifi_bss_new(const struct mac *bssid, uint64_t seed);
void wifi_bss_free(struct wifi_bss *bss); /* NULL is fine */

/* Judges a received frame, len bytes of that link type.  REASON_WIFI_IN: its
 * Ethernet frames come by wifi_next(); any other: why not. */
enum reason wifi_bss_in(struct wifi_bss *bss, int link, const uint8_t *data,
    size_t len, struct wifi *wifi);

/* Writes the frame that brings an Ethernet frame into the BSS, with a radiotap
 * header.  REASON_NONE, or as wifi_write(). */
enum reason wifi_bss_out(struct wifi_bss *bss, struct writer *w,
    const uint8_t *ethernet, size_t len);

#endif
