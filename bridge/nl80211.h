/*
 * nl80211.h - a WiFi interface's radio as a monitor: an interface beside it
 * that receives every frame of a channel, by generic netlink.
 */
#ifndef BRIDGE_NL80211_H
#define BRIDGE_NL80211_H

#include <netlink/msg.h>
#include <stdint.h>

#include "base/err.h"

/* The monitor interface lives until it is freed, or the process ends, however
 * it ends. */
struct nl80211;

/* NULL: *err says why, as when the kernel has no WiFi.  name is who asks. */
struct nl80211 *nl80211_new(const char *name, struct err *err);
void nl80211_free(struct nl80211 *nl); /* NULL is fine */

/* Makes and brings up the interface monitor beside interface.  0 or -Exxx. */
int nl80211_add_monitor(struct nl80211 *nl, const char *interface,
    const char *monitor, struct err *err);
/* Tunes the radio of interface.  0 or -Exxx. */
int nl80211_tune(struct nl80211 *nl, const char *interface,
    unsigned int channel, struct err *err);

/* The middle of a 20 MHz channel of the bands of 2.4 and 5 GHz; 0: there is
 * none of that number. */
unsigned int nl80211_mhz(unsigned int channel);

/* The messages, into msg; family is nl80211's number.  0, or -ENOBUFS. */
int nl80211_write_monitor(
    struct nl_msg *msg, int family, int ifindex, const char *monitor);
int nl80211_write_tune(
    struct nl_msg *msg, int family, int ifindex, unsigned int mhz);

#endif
