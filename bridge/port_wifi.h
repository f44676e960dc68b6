/*
 * port_wifi.h - wifi:PLACE?bssid=MAC[&channel=N], one BSS as a LAN: a WiFi
 * interface of the host in monitor mode, or, if PLACE has a slash or a dot, a
 * capture file of frames with their headers of 802.11, which is played at the
 * times of its frames.
 *
 * Data frames of the BSS enter the LAN as Ethernet frames (wifi_bss.h).  Frames
 * of the LAN are sent as by stations of the BSS; into a file they end.
 *
 * Beside the port there is another one, NODE.radio: all that the radio receives
 * and sends passes there, as it is and with its verdicts, for captures to see.
 */
#ifndef BRIDGE_PORT_WIFI_H
#define BRIDGE_PORT_WIFI_H

#include "switch/port.h"

extern const struct port_kind port_wifi;

/* Its port NODE.radio; NULL if port is of another kind. */
struct port *port_wifi_radio(const struct port *port);

#endif
