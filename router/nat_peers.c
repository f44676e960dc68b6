#include "router/nat_peers.h"

#include <assert.h>

struct nat_peer {
	uint32_t mapping, remote_ip;
	uint32_t sessions;
	uint32_t next; /* free one */
};

int
nat_peers_init(struct nat_peers *peers, uint32_t max)
{
	peers->items = nat_pool_new(
	    &peers->pool, max, 0, sizeof(peers->items[0]), &peers->index, 1);
	if (peers->items != NULL)
		return 0;
	nat_peers_clear(peers);
	return -1;
}

void
nat_peers_clear(struct nat_peers *peers)
{
	nat_index_clear(&peers->index);
	nat_pool_free(&peers->pool, peers->items, sizeof(peers->items[0]));
	peers->items = NULL;
}

size_t
nat_peers_bytes(const struct nat_peers *peers)
{
	return peers->items == NULL ? 0
				    : nat_index_bytes(&peers->index) +
		sizeof(peers->items[0]) * peers->pool.max;
}

static uint32_t
find(const struct nat_peers *peers, uint32_t hash, uint32_t mapping,
    uint32_t remote_ip)
{
	struct nat_probe probe = nat_probe(&peers->index, hash);
	uint32_t id;

	while ((id = nat_probe_next(&peers->index, &probe)) != NAT_NONE)
		if (peers->items[id].mapping == mapping &&
		    peers->items[id].remote_ip == remote_ip)
			break;
	return id;
}

bool
nat_peers_has(const struct nat_peers *peers, uint32_t hash, uint32_t mapping,
    uint32_t remote_ip)
{
	return find(peers, hash, mapping, remote_ip) != NAT_NONE;
}

void
nat_peers_join(struct nat_peers *peers, uint32_t hash, uint32_t mapping,
    uint32_t remote_ip)
{
	uint32_t id = find(peers, hash, mapping, remote_ip);

	if (id == NAT_NONE) {
		id = NAT_POOL_TAKE(&peers->pool, peers->items);
		assert(id != NAT_NONE); /* at most as many as sessions */
		peers->items[id] = (struct nat_peer){ .mapping = mapping,
			.remote_ip = remote_ip };
		nat_index_add(&peers->index, hash, id);
	}
	peers->items[id].sessions++;
}

void
nat_peers_leave(struct nat_peers *peers, uint32_t hash, uint32_t mapping,
    uint32_t remote_ip)
{
	uint32_t id = find(peers, hash, mapping, remote_ip);
	struct nat_peer *peer = &peers->items[id];

	assert(id != NAT_NONE);
	if (--peer->sessions > 0)
		return;
	nat_index_remove(&peers->index, hash, id);
	nat_pool_give(&peers->pool, id, &peer->next);
}
