/*
 * packet.h - a few packets that have to wait: for ARP, or for ourselves.
 *
 * A fixed number; who asks when all are taken is told so and drops his packet.
 */
#ifndef GUEST_PACKET_H
#define GUEST_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/guest/netif.h"

#define PACKETS_MAX 24

struct packet {
	struct packet *next;
	size_t len_bytes;
	uint8_t data[NETIF_MTU_MAX];
};

struct packets {
	unsigned int used; /* of all[], which never shrinks */
	struct packet *free;
	struct packet all[PACKETS_MAX];
};

/* NULL: too long, or all are taken. */
struct packet *packet_new(struct packets *packets, size_t len_bytes);
void packet_free(struct packets *packets, struct packet *packet);

#endif
