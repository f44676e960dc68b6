#include "router/ip_ids.h"

#include "router/nat_ports.h" /* nat_random() */

void
ip_ids_init(struct ip_ids *ids, uint64_t seed)
{
	ids->key = nat_random(&seed);
	for (int i = 0; i < IP_IDS_COUNTERS; i++)
		ids->next[i] = (uint16_t)(nat_random(&seed) >> 32);
}
