/*
 * wifi_radio.h - frames of a WiFi radio in monitor mode, or of a file of them,
 * with their headers of 802.11 (libpcap).
 */
#ifndef BRIDGE_WIFI_RADIO_H
#define BRIDGE_WIFI_RADIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define WIFI_RADIO_FRAME_MAX 16384 /* bytes; longer frames are left out */

struct wifi_radio;

/* Opens interface as a monitor: as it is, if it is one; else by an interface of
 * its own beside it (nl80211.h).  Tunes it, if channel is not 0.  NULL: *err
 * says why.  name is who asks. */
struct wifi_radio *wifi_radio_open(const char *name, const char *interface,
    unsigned int channel, struct err *err);
/* A capture file of libpcap's. */
struct wifi_radio *wifi_radio_open_file(
    const char *name, const char *path, struct err *err);
void wifi_radio_close(struct wifi_radio *radio); /* NULL is fine */

int wifi_radio_link(const struct wifi_radio *radio); /* WIFI_LINK_* */
int wifi_radio_fd(const struct wifi_radio *radio);   /* -1: a file */

/* The next frame, borrowed until the next call, and when it was received.  1; 0:
 * none for now, or at the end of the file; -EMSGSIZE: one that is left out;
 * any other -Exxx: *err says why there are no more. */
int wifi_radio_next(struct wifi_radio *radio, const uint8_t **data, size_t *len,
    uint64_t *at_ns, struct err *err);

/* Sends a frame with its radiotap header.  0 or -Exxx. */
int wifi_radio_send(struct wifi_radio *radio, const uint8_t *data, size_t len);

#endif
