#include "router/nat_hosts.h"

#include <string.h>

int
nat_hosts_init(struct nat_hosts *hosts, uint32_t max,
    struct nat_addresses *addresses, uint32_t block_ports)
{
	hosts->addresses = addresses;
	hosts->block_ports = block_ports;
	hosts->items = nat_pool_new(
	    &hosts->pool, max, 0, sizeof(hosts->items[0]), &hosts->index, 1);
	if (hosts->items != NULL)
		return 0;
	nat_hosts_clear(hosts);
	return -1;
}

/* Frees the memory; what hosts have of addresses goes back to them. */
void
nat_hosts_clear(struct nat_hosts *hosts)
{
	if (hosts->items != NULL)
		for (uint32_t i = 0; i < hosts->addresses->n; i++) {
			struct nat_address *address = hosts->addresses->of[i];

			address->hosts = address->nblocks = 0;
			memset(address->blocks, 0, sizeof(address->blocks));
		}
	nat_index_clear(&hosts->index);
	nat_pool_free(&hosts->pool, hosts->items, sizeof(hosts->items[0]));
	hosts->items = NULL;
}

size_t
nat_hosts_bytes(const struct nat_hosts *hosts)
{
	return hosts->items == NULL ? 0
				    : nat_index_bytes(&hosts->index) +
		sizeof(hosts->items[0]) * hosts->pool.max;
}

struct nat_host *
nat_hosts_find(const struct nat_hosts *hosts, uint32_t hash, uint32_t ip)
{
	struct nat_probe probe = nat_probe(&hosts->index, hash);
	uint32_t id;

	while ((id = nat_probe_next(&hosts->index, &probe)) != NAT_NONE)
		if (hosts->items[id].ip == ip)
			return &hosts->items[id];
	return NULL;
}

struct nat_host *
nat_hosts_get(struct nat_hosts *hosts, uint32_t hash, uint32_t ip)
{
	struct nat_host *host = nat_hosts_find(hosts, hash, ip);
	uint32_t id;

	if (host != NULL)
		return host;
	id = NAT_POOL_TAKE(&hosts->pool, hosts->items);
	if (id == NAT_NONE)
		return NULL;
	hosts->items[id] = (struct nat_host){ .ip = ip };
	nat_index_add(&hosts->index, hash, id);
	return &hosts->items[id];
}

void
nat_hosts_put(struct nat_hosts *hosts, uint32_t hash, struct nat_host *host)
{
	uint32_t id = (uint32_t)(host - hosts->items);
	struct nat_address *address;

	if (host->sessions > 0 || host->mappings > 0)
		return;
	if (host->address != 0) {
		address = hosts->addresses->of[host->address - 1];
		address->hosts--;
		if (host->block != 0)
			nat_block_give(address, host->block);
	}
	nat_index_remove(&hosts->index, hash, id);
	nat_pool_give(&hosts->pool, id, &host->next);
}

int32_t
nat_host_address(struct nat_hosts *hosts, struct nat_host *host)
{
	if (host->address == 0) {
		int32_t least =
		    nat_addresses_least(hosts->addresses, hosts->block_ports);

		if (least < 0)
			return -1;
		hosts->addresses->of[least]->hosts++;
		host->address = (uint16_t)(least + 1);
	}
	return host->address - 1;
}

int32_t
nat_host_block(struct nat_hosts *hosts, struct nat_host *host)
{
	int32_t address = nat_host_address(hosts, host);

	if (address < 0)
		return -1;
	if (host->block == 0)
		host->block = (uint16_t)nat_block_take(
		    hosts->addresses->of[address], hosts->block_ports);
	if (host->block == 0)
		return -1;
	return (
	    int32_t)(NAT_BLOCK_FIRST + (host->block - 1u) * hosts->block_ports);
}
