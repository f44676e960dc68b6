#include "router/nat_hosts.h"

#include <assert.h>
#include <string.h>

#include "router/nat_rules.h"

struct nat_host {
	uint32_t ip, sessions;
	uint32_t block; /* its number, from 1 on; 0: none */
	uint32_t next;  /* free one */
};

static_assert((65536 - NAT_BLOCK_FIRST) / NAT_BLOCK_PORTS_MIN <= 16 * 64,
    "blocks have no bit");

int
nat_hosts_init(struct nat_hosts *hosts, uint32_t max, uint32_t block_ports)
{
	memset(hosts->blocks, 0, sizeof(hosts->blocks));
	hosts->block_ports = block_ports;
	hosts->items = nat_pool_new(
	    &hosts->pool, max, sizeof(hosts->items[0]), &hosts->index, 1);
	if (hosts->items != NULL)
		return 0;
	nat_hosts_clear(hosts);
	return -1;
}

void
nat_hosts_clear(struct nat_hosts *hosts)
{
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

static uint32_t
find(const struct nat_hosts *hosts, uint32_t hash, uint32_t ip)
{
	const struct nat_slot *slots = hosts->index.slots;
	uint32_t mask = hosts->index.mask;

	for (uint32_t at = hash & mask; slots[at].id != 0; at = (at + 1) & mask)
		if (slots[at].hash == hash &&
		    hosts->items[slots[at].id].ip == ip)
			return slots[at].id;
	return NAT_NONE;
}

uint32_t
nat_hosts_sessions(const struct nat_hosts *hosts, uint32_t hash, uint32_t ip)
{
	uint32_t id = find(hosts, hash, ip);

	return id == NAT_NONE ? 0 : hosts->items[id].sessions;
}

void
nat_hosts_join(struct nat_hosts *hosts, uint32_t hash, uint32_t ip)
{
	uint32_t id = find(hosts, hash, ip);

	if (id == NAT_NONE) {
		id = NAT_POOL_TAKE(&hosts->pool, hosts->items);
		assert(id != NAT_NONE); /* at most as many as sessions */
		hosts->items[id] = (struct nat_host){ .ip = ip };
		nat_index_add(&hosts->index, hash, id);
	}
	hosts->items[id].sessions++;
}

void
nat_hosts_leave(struct nat_hosts *hosts, uint32_t hash, uint32_t ip)
{
	uint32_t id = find(hosts, hash, ip);
	struct nat_host *host = &hosts->items[id];

	assert(id != NAT_NONE);
	if (--host->sessions > 0)
		return;
	if (host->block != 0)
		hosts->blocks[(host->block - 1) / 64] &=
		    ~(UINT64_C(1) << (host->block - 1) % 64);
	nat_index_remove(&hosts->index, hash, id);
	nat_pool_give(&hosts->pool, id, &host->next);
}

int32_t
nat_hosts_block(struct nat_hosts *hosts, uint32_t hash, uint32_t ip)
{
	uint32_t n = (65536 - NAT_BLOCK_FIRST) / hosts->block_ports;
	uint32_t id = find(hosts, hash, ip);
	struct nat_host *host = &hosts->items[id];

	assert(id != NAT_NONE);
	for (uint32_t word = 0; host->block == 0 && word * 64 < n; word++) {
		uint64_t free = ~hosts->blocks[word];
		uint32_t bit;

		if (free == 0)
			continue;
		bit = (uint32_t)__builtin_ctzll(free);
		if (word * 64 + bit >= n)
			break;
		hosts->blocks[word] |= UINT64_C(1) << bit;
		host->block = word * 64 + bit + 1;
	}
	if (host->block == 0)
		return -1;
	return (
	    int32_t)(NAT_BLOCK_FIRST + (host->block - 1) * hosts->block_ports);
}
