/*
 * port_pcap.h - a capture that is played, as a port (switch/port.h).
 */
#ifndef PCAP_TOOLS_PORT_PCAP_H
#define PCAP_TOOLS_PORT_PCAP_H

#include "switch/port.h"

extern const struct port_kind port_pcap;

#endif
