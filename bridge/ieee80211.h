/*
 * ieee80211.h - data frames of WiFi, and the Ethernet frames in them
 * (IEEE 802.11-2020 9.3.2; LLC and SNAP: RFC 1042, IEEE 802.1H).
 *
 * Pure functions over borrowed bytes.
 */
#ifndef BRIDGE_IEEE80211_H
#define BRIDGE_IEEE80211_H

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/cursor.h"
#include "net/reason.h"

#define WIFI_FCS_BYTES  4
#define WIFI_MSDU_BYTES 2304 /* the largest, with its LLC header */

/* A data frame with data in it. */
struct wifi {
	bool to_ds, from_ds, retry, amsdu;
	bool qos;
	uint8_t tid; /* with qos */
	uint16_t sequence;
	struct mac receiver, transmitter;
	struct mac bssid;    /* with to_ds and from_ds: the transmitter */
	struct mac dst, src; /* of the whole frame; not with amsdu */
	struct cursor body;
};

/* An Ethernet frame's worth of it. */
struct wifi_msdu {
	struct mac dst, src;
	uint16_t type;       /* an EtherType, or the length of an LLC frame */
	const uint8_t *data; /* behind the type */
	size_t len;
};

/* Reads a frame without its check sequence.  padded: the header is padded to
 * 32 bits, as a radio may do for itself.  DROP_SHORT, DROP_WIFI_VERSION,
 * _MANAGEMENT, _CONTROL, _EMPTY, _PROTECTED, _FRAGMENT, _AMSDU, _LLC: the whole
 * of what wifi_next() gives is checked. */
enum reason wifi_parse(struct wifi *wifi, struct cursor *c, bool padded);

/* What is in it, one after the other.  False: that was all. */
bool wifi_next(struct wifi *wifi, struct wifi_msdu *msdu);

/* The Ethernet frame of a msdu. */
void wifi_write_ethernet(struct writer *w, const struct wifi_msdu *msdu);

/* Is the check sequence right, which the frame ends in? */
bool wifi_fcs_is_right(const uint8_t *frame, size_t len);

/* The frame by which a station sends an Ethernet frame to its access point:
 * DROP_SHORT, DROP_TOO_LONG (beyond WIFI_MSDU_BYTES, or there is no room). */
enum reason wifi_write(struct writer *w, const struct mac *bssid,
    uint16_t sequence, const uint8_t *ethernet, size_t len);

#endif
