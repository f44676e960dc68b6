#include "router/nat64_hosts.h"

#include <assert.h>
#include <string.h>

struct nat64_host {
	struct ip6_addr addr;
	uint32_t users; /* 0: it is free */
	uint32_t next;  /* free one */
};

static_assert(NAT64_HOSTS_MAX < 1 << 24, "a host has no address");

int
nat64_hosts_init(struct nat64_hosts *hosts, uint32_t max, const uint64_t key[2])
{
	memcpy(hosts->key, key, sizeof(hosts->key));
	hosts->items = nat_pool_new(
	    &hosts->pool, max, 0, sizeof(hosts->items[0]), &hosts->index, 1);
	if (hosts->items != NULL)
		return 0;
	nat64_hosts_clear(hosts);
	return -1;
}

void
nat64_hosts_clear(struct nat64_hosts *hosts)
{
	nat_index_clear(&hosts->index);
	nat_pool_free(&hosts->pool, hosts->items, sizeof(hosts->items[0]));
	hosts->items = NULL;
}

/* Keyed, so that who does not know the key cannot make hosts that collide. */
uint32_t
nat64_hosts_hash(const struct nat64_hosts *hosts, const struct ip6_addr *addr)
{
	return ip6_hash(hosts->key, addr);
}

static uint32_t
find(const struct nat64_hosts *hosts, const struct ip6_addr *addr, uint32_t h)
{
	struct nat_probe probe = nat_probe(&hosts->index, h);
	uint32_t id;

	while ((id = nat_probe_next(&hosts->index, &probe)) != NAT_NONE &&
	    !ip6_equal(&hosts->items[id].addr, addr))
		;
	return id;
}

uint32_t
nat64_hosts_find(const struct nat64_hosts *hosts, const struct ip6_addr *addr)
{
	return find(hosts, addr, nat64_hosts_hash(hosts, addr));
}

const struct ip6_addr *
nat64_hosts_addr(const struct nat64_hosts *hosts, uint32_t ip)
{
	if (ip == 0 || ip > hosts->pool.fresh || hosts->items[ip].users == 0)
		return NULL;
	return &hosts->items[ip].addr;
}

uint32_t
nat64_hosts_take(struct nat64_hosts *hosts, const struct ip6_addr *addr)
{
	uint32_t h = nat64_hosts_hash(hosts, addr), id = find(hosts, addr, h);

	if (id == NAT_NONE) {
		id = NAT_POOL_TAKE(&hosts->pool, hosts->items);
		if (id == NAT_NONE)
			return 0;
		hosts->items[id] = (struct nat64_host){ .addr = *addr };
		nat_index_add(&hosts->index, h, id);
	}
	hosts->items[id].users++;
	return id;
}

void
nat64_hosts_join(struct nat64_hosts *hosts, uint32_t ip)
{
	assert(nat64_hosts_addr(hosts, ip) != NULL);
	hosts->items[ip].users++;
}

void
nat64_hosts_leave(struct nat64_hosts *hosts, uint32_t ip)
{
	struct nat64_host *host = &hosts->items[ip];

	assert(nat64_hosts_addr(hosts, ip) != NULL);
	if (--host->users > 0)
		return;
	nat_index_remove(
	    &hosts->index, nat64_hosts_hash(hosts, &host->addr), ip);
	nat_pool_give(&hosts->pool, ip, &host->next);
}
