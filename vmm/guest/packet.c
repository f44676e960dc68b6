#include "vmm/guest/packet.h"

struct packet *
packet_new(struct packets *packets, size_t len_bytes)
{
	struct packet *packet = packets->free;

	if (len_bytes > sizeof(packet->data))
		return NULL;
	if (packet != NULL)
		packets->free = packet->next;
	else if (packets->used < PACKETS_MAX)
		packet = &packets->all[packets->used++];
	else
		return NULL;
	packet->next = NULL;
	packet->len_bytes = len_bytes;
	return packet;
}

void
packet_free(struct packets *packets, struct packet *packet)
{
	packet->next = packets->free;
	packets->free = packet;
}
