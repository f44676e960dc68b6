#include "net/arp.h"

#include "net/eth.h"

#define ARP_LENGTHS 0x0604 /* of a MAC and of an IPv4 address */

enum reason
arp_parse(struct arp *arp, struct cursor *c)
{
	uint16_t hw = cur_be16(c), proto = cur_be16(c), lens = cur_be16(c);
	struct arp a = { .op = cur_be16(c) };

	cur_mac(c, &a.sender_mac);
	a.sender_ip = cur_be32(c);
	cur_mac(c, &a.target_mac);
	a.target_ip = cur_be32(c);
	if (c->overrun)
		return DROP_SHORT;
	if (hw != ARP_HW_ETHER || proto != ETH_IPV4 || lens != ARP_LENGTHS)
		return DROP_ARP_TYPE;
	if (a.op != ARP_REQUEST && a.op != ARP_REPLY)
		return DROP_ARP_OP;
	*arp = a;
	return DROP_NONE;
}

void
arp_write(struct writer *w, const struct arp *arp)
{
	wr_be16(w, ARP_HW_ETHER);
	wr_be16(w, ETH_IPV4);
	wr_be16(w, ARP_LENGTHS);
	wr_be16(w, arp->op);
	wr_mac(w, &arp->sender_mac);
	wr_be32(w, arp->sender_ip);
	wr_mac(w, &arp->target_mac);
	wr_be32(w, arp->target_ip);
}
