#include "vmm/guest/netif.h"

#include <string.h>

#include "net/arp.h"

#include "vmm/guest/stack.h"
#include "vmm/guest/text.h"

struct netif *
netif_add(struct stack *stack, const struct netif_ops *ops, void *driver,
    const struct mac *mac, uint16_t mtu_bytes)
{
	struct netif *nif;

	if (stack->nnifs == STACK_NICS)
		return NULL;
	nif = &stack->nif[stack->nnifs];
	text_format(nif->name, sizeof(nif->name), "eth%u", stack->nnifs);
	stack->nnifs++;
	nif->stack = stack;
	nif->ops = ops;
	nif->driver = driver;
	nif->mac = *mac;
	nif->device_mtu_bytes =
	    mtu_bytes < NETIF_MTU_MAX ? mtu_bytes : NETIF_MTU_MAX;
	if (nif->device_mtu_bytes < NETIF_MTU_MIN)
		nif->device_mtu_bytes = NETIF_MTU_MIN;
	nif->mtu_bytes = nif->device_mtu_bytes;
	dhcpc_init(&nif->dhcp, nif);
	ipv6_init(nif);
	return nif;
}

void
netif_mtu(struct netif *nif, uint16_t mtu_bytes)
{
	nif->mtu_bytes = nif->device_mtu_bytes;
	if (mtu_bytes >= NETIF_MTU_MIN && mtu_bytes < nif->mtu_bytes)
		nif->mtu_bytes = mtu_bytes;
}

enum reason
netif_drop(struct netif *nif, enum reason reason)
{
	if (reason_is_drop(reason))
		nif->drops[reason]++;
	return reason;
}

/* ---- in ---- */

/* A broadcast ARP request about others, by far the most frequent frame of a
 * large LAN, is told by two words: who asks, and for whom. */
static bool
is_arp_of_others(const struct netif *nif, const uint8_t *frame, size_t len)
{
	const uint8_t *arp = frame + ETH_HEADER_BYTES;
	uint32_t sender, target;

	if (len < ETH_HEADER_BYTES + ARP_BYTES ||
	    get_be16(frame + 12) != ETH_ARP)
		return false;
	if (nif->dhcp.state == DHCPC_REQUESTING)
		return false;
	sender = get_be32(arp + 14);
	target = get_be32(arp + 24);
	return target != nif->net.addr && sender != nif->net.addr &&
	    sender != target;
}

static enum reason
input(struct netif *nif, const uint8_t *frame, size_t len, unsigned int how)
{
	struct cursor c;
	struct eth eth;
	enum reason why;

	if (len < ETH_HEADER_BYTES)
		return DROP_SHORT;
	if (memcmp(frame, &nif->mac, sizeof(nif->mac)) != 0) {
		if ((frame[0] & 1) == 0)
			return DROP_NOT_OURS;
		if (is_arp_of_others(nif, frame, len))
			return DROP_NOT_OURS;
		how |= RX_GROUP;
	}
	c = cursor(frame, len);
	why = eth_parse(&eth, &c);
	if (why != DROP_NONE)
		return why;
	if (eth.nvlans > 0) /* somebody else's virtual LAN */
		return DROP_ETH_TYPE;
	switch (eth.type) {
	case ETH_ARP: return arp_input(nif, &c);
	case ETH_IPV4: return ipv4_input(nif, &c, how);
	case ETH_IPV6:
		return nif->ip6.on ? ipv6_input(nif, &c, how) : DROP_ETH_TYPE;
	default: return DROP_ETH_TYPE;
	}
}

void
netif_input(
    struct netif *nif, const uint8_t *frame, size_t len_bytes, unsigned int how)
{
	nif->rx_frames++;
	nif->rx_bytes += len_bytes;
	netif_drop(nif, input(nif, frame, len_bytes, how));
}

/* ---- out ---- */

uint8_t *
netif_room(struct netif *nif, const struct mac *dst, uint16_t type,
    size_t payload_bytes)
{
	uint8_t *at;

	if (!nif->up) {
		netif_drop(nif, DROP_LINK_DOWN);
		return NULL;
	}
	if (payload_bytes > nif->mtu_bytes) {
		netif_drop(nif, DROP_TOO_LONG);
		return NULL;
	}
	at = nif->ops->room(nif, ETH_HEADER_BYTES + payload_bytes);
	if (at == NULL) {
		netif_drop(nif, DROP_PORT_FULL);
		return NULL;
	}
	memcpy(at, dst, sizeof(*dst));
	memcpy(at + 6, &nif->mac, sizeof(nif->mac));
	put_be16(at + 12, type);
	return at + ETH_HEADER_BYTES;
}

void
netif_send(struct netif *nif, size_t payload_bytes)
{
	nif->tx_frames++;
	nif->tx_bytes += ETH_HEADER_BYTES + payload_bytes;
	nif->ops->send(nif, ETH_HEADER_BYTES + payload_bytes);
	nif->busy = true;
}

/* ---- link and address ---- */

void
netif_address(struct netif *nif, enum netif_source source, struct ip4_net net)
{
	if (nif->net.addr != 0) {
		const struct ip6_addr old = ip6_of_ip4(nif->net.addr);

		neigh_forget4(nif);
		tcpconn_address_lost(nif->stack, &old);
	}
	nif->net = net;
	if (source != NETIF_UNSET)
		nif->source = source;
	if (net.addr != 0 && nif->up)
		arp_ask(nif, net.addr, net.addr);
}

void
netif_link(struct netif *nif, bool up)
{
	if (nif->up == up)
		return;
	if (!up)
		neigh_forget(nif);
	nif->up = up;
	ipv6_link(nif);
	if (nif->source == NETIF_DHCP) {
		if (up)
			dhcpc_start(nif);
		else
			dhcpc_stop(nif);
	} else if (up && nif->net.addr != 0)
		arp_ask(nif, nif->net.addr, nif->net.addr);
}
