/*
 * netif.h - one network interface: Ethernet below, addresses above.
 *
 * The driver behind it is an ops table; it hands frames to netif_input() and
 * owns the memory that netif_room() writes into.
 */
#ifndef GUEST_NETIF_H
#define GUEST_NETIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/eth.h"
#include "net/reason.h"

#include "vmm/guest/dhcpc.h"
#include "vmm/guest/netif6.h"

#define NETIF_MAX_DNS 4
#define NETIF_MTU_MAX 9000
#define NETIF_MTU_MIN 68 /* RFC 791, 3.2 */

struct stack;
struct netif;

struct netif_ops {
	/* Memory for a frame of len_bytes, until the next call; NULL: full. */
	uint8_t *(*room)(struct netif *nif, size_t len_bytes);
	/* Sends the first len_bytes of what room() gave last. */
	void (*send)(struct netif *nif, size_t len_bytes);
	/* Tells the device, once per round. */
	void (*flush)(struct netif *nif);
};

/* Who said what the address is. */
enum netif_source { NETIF_UNSET, NETIF_FIXED, NETIF_DHCP };

struct netif {
	struct stack *stack;
	const struct netif_ops *ops;
	void *driver;
	char name[8];
	struct mac mac;
	uint16_t mtu_bytes, device_mtu_bytes; /* in use; at most */
	bool up;                              /* the link */
	bool busy; /* something was sent in this round */

	enum netif_source source;
	struct ip4_net net; /* address 0: none */
	uint32_t gateway;   /* 0: none */
	uint32_t dns[NETIF_MAX_DNS];
	uint8_t ndns;
	struct dhcpc dhcp;
	/* Somebody else has used our address (RFC 5227, 2.4). */
	uint32_t conflicts;
	struct mac conflict_mac;
	uint64_t defended_us;
	struct netif6 ip6;

	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint32_t drops[REASON_COUNT];
};

/* Adds an interface, "eth0" being the first.  NULL: there are eight. */
struct netif *netif_add(struct stack *stack, const struct netif_ops *ops,
    void *driver, const struct mac *mac, uint16_t mtu_bytes);

/* How a packet came in. */
#define RX_TRUSTED \
	1u          /* its transport checksum was checked, or is not filled \
			 in yet, by an offload (virtio 1.2, 5.1.6.4) */
#define RX_GROUP 2u /* to a group or broadcast address */
#define RX_SELF  4u /* from ourselves, not from the link */
#define RX_WHOLE 8u /* put together of fragments */

/* A frame has come in, borrowed during the call; how: RX_TRUSTED or 0. */
void netif_input(struct netif *nif, const uint8_t *frame, size_t len_bytes,
    unsigned int how);

/* Counts what ended here.  Returns reason. */
enum reason netif_drop(struct netif *nif, enum reason reason);

/*
 * Writes an Ethernet header and returns where payload_bytes go; netif_send()
 * follows before anything else is sent.  NULL: link down, too long, ring full;
 * counted.
 */
uint8_t *netif_room(struct netif *nif, const struct mac *dst, uint16_t type,
    size_t payload_bytes);
void netif_send(struct netif *nif, size_t payload_bytes);

/* The MTU of the network, 0 if unknown: ours is the smaller one. */
void netif_mtu(struct netif *nif, uint16_t mtu_bytes);

/* The link went up or down: DHCP starts again, addresses are announced. */
void netif_link(struct netif *nif, bool up);

/* Sets the address and announces it (RFC 5227, 2.3); 0 takes it away. */
void netif_address(
    struct netif *nif, enum netif_source source, struct ip4_net net);

#endif
