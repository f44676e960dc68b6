#include "vmm/guest/arp.h"

#include "net/arp.h"

#include "vmm/guest/stack.h"

/* How often we insist on our address (RFC 5227, DEFEND_INTERVAL). */
#define DEFEND_US (10 * US_PER_S)

static void
send_arp(struct netif *nif, const struct mac *dst, const struct arp *arp)
{
	uint8_t *room = netif_room(nif, dst, ETH_ARP, ARP_BYTES);
	struct writer w;

	if (room == NULL)
		return;
	w = writer(room, ARP_BYTES);
	arp_write(&w, arp);
	netif_send(nif, ARP_BYTES);
}

void
arp_ask(struct netif *nif, uint32_t from, uint32_t ip)
{
	const struct arp arp = {
		.op = ARP_REQUEST,
		.sender_mac = nif->mac,
		.sender_ip = from,
		.target_ip = ip,
	};

	send_arp(nif, &mac_broadcast, &arp);
}

/* Somebody else says that our address is his (RFC 5227, 2.4, case b). */
static void
defend(struct netif *nif, const struct arp *arp)
{
	const uint64_t now_us = nif->stack->now_us;

	nif->conflicts++;
	nif->conflict_mac = arp->sender_mac;
	if (dhcpc_conflict(nif))
		return;
	if (nif->defended_us == 0 || now_us - nif->defended_us > DEFEND_US) {
		nif->defended_us = now_us;
		arp_ask(nif, nif->net.addr, nif->net.addr);
	}
}

enum reason
arp_input(struct netif *nif, struct cursor *c)
{
	struct arp arp;
	enum reason why = arp_parse(&arp, c);
	struct ip6_addr sender;
	struct neigh *n;
	bool ours;

	if (why != DROP_NONE)
		return why;
	if (mac_is_group(&arp.sender_mac) ||
	    mac_equal(&arp.sender_mac, &nif->mac))
		return DROP_MARTIAN;
	dhcpc_arp(nif, &arp);
	if (nif->net.addr == 0)
		return DROP_NOT_OURS;
	if (arp.sender_ip == nif->net.addr) {
		defend(nif, &arp);
		return REASON_DELIVERED;
	}
	ours = arp.target_ip == nif->net.addr;
	if (arp.sender_ip != 0) {
		sender = ip6_of_ip4(arp.sender_ip);
		n = neigh_find(nif, &sender);
		if (n == NULL && ours && ip4_net_has(nif->net, arp.sender_ip))
			n = neigh_add(nif, &sender);
		if (n != NULL)
			neigh_learn(n, &arp.sender_mac, true);
	}
	if (!ours)
		return DROP_NOT_OURS;
	if (arp.op == ARP_REQUEST) {
		const struct arp reply = {
			.op = ARP_REPLY,
			.sender_mac = nif->mac,
			.sender_ip = nif->net.addr,
			.target_mac = arp.sender_mac,
			.target_ip = arp.sender_ip,
		};
		send_arp(nif, &arp.sender_mac, &reply);
	}
	return REASON_DELIVERED;
}
