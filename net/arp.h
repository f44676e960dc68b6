/*
 * arp.h - one ARP packet, Ethernet and IPv4 only (RFC 826).
 */
#ifndef NET_ARP_H
#define NET_ARP_H

#include "net/addr.h"
#include "net/cursor.h"
#include "net/reason.h"

#define ARP_BYTES    28
#define ARP_HW_ETHER 1
#define ARP_REQUEST  1
#define ARP_REPLY    2

struct arp {
	uint16_t op;
	struct mac sender_mac, target_mac;
	uint32_t sender_ip, target_ip;
};

/* DROP_SHORT, DROP_ARP_TYPE, DROP_ARP_OP; *arp is filled only if DROP_NONE. */
enum reason arp_parse(struct arp *arp, struct cursor *c);
void arp_write(struct writer *w, const struct arp *arp);

#endif
