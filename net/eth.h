/*
 * eth.h - Ethernet frames and their 802.1Q tags (IEEE 802.3, IEEE 802.1Q 9).
 */
#ifndef NET_ETH_H
#define NET_ETH_H

#include "net/addr.h"
#include "net/cursor.h"
#include "net/reason.h"

#define ETH_HEADER_BYTES 14
#define ETH_VLAN_BYTES   4
#define ETH_MIN_BYTES    60 /* without FCS; shorter frames are padded */
#define ETH_MTU          1500
#define ETH_MAX_VLANS    2 /* tags that eth_parse() reads */

#define ETH_IPV4  0x0800
#define ETH_ARP   0x0806
#define ETH_VLAN  0x8100
#define ETH_QINQ  0x88a8
#define ETH_IPV6  0x86dd
#define ETH_SLOW  0x8809 /* Slow Protocols (IEEE 802.3 57A) */
#define ETH_LLDP  0x88cc
#define ETH_LOCAL 0x88b5 /* local experimental (IEEE 802 9.2.3) */

struct eth {
	struct mac dst, src;
	uint16_t type; /* behind the tags */
	uint8_t nvlans;
	struct {
		uint16_t tpid, tci;
	} vlan[ETH_MAX_VLANS]; /* outermost first */
};

/* Reads addresses, up to two tags and the type; c is left at the payload.
 * DROP_SHORT, or DROP_ETH_SOURCE if the source is a group address. */
enum reason eth_parse(struct eth *eth, struct cursor *c);

/* Writes what eth_parse() reads. */
void eth_write(struct writer *w, const struct eth *eth);

#endif
