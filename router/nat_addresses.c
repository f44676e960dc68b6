/*
 * An address has a bit for each of its ports, 24 KB in all.
 *
 * Who is asked for once per mapping may cost a walk over the addresses, which
 * are 256 at most; what is asked for each packet, whose an index is, costs a
 * look-up in an array.
 */
#include "router/nat_addresses.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "router/nat_rules.h"

static_assert((65536 - NAT_BLOCK_FIRST) / NAT_BLOCK_PORTS_MIN <= 16 * 64,
    "blocks have no bit");

/* Where ip stands, or would stand, among the sorted ones. */
static uint32_t
rank(const struct nat_addresses *a, uint32_t ip)
{
	uint32_t low = 0, high = a->n;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (a->ip[a->sorted[middle]] < ip)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int32_t
nat_addresses_find(const struct nat_addresses *a, uint32_t ip)
{
	uint32_t at = rank(a, ip);

	return at < a->n && a->ip[a->sorted[at]] == ip ? a->sorted[at] : -1;
}

int
nat_addresses_add(struct nat_addresses *a, uint32_t ip)
{
	uint32_t at = rank(a, ip);
	struct nat_address *address;

	if (nat_addresses_find(a, ip) >= 0)
		return -EEXIST;
	if (a->n == NAT_ADDRESSES_MAX)
		return -ENOSPC;
	address = calloc(1, sizeof(*address));
	if (address == NULL)
		return -ENOMEM;
	address->ports[TCP].has_classes = true;
	address->ports[UDP].has_classes = true;
	memmove(&a->sorted[at + 1], &a->sorted[at], a->n - at);
	a->sorted[at] = (uint8_t)a->n;
	a->ip[a->n] = ip;
	a->of[a->n++] = address;
	return 0;
}

void
nat_addresses_move(struct nat_addresses *a, uint32_t index, uint32_t ip)
{
	uint32_t at = rank(a, a->ip[index]);

	memmove(&a->sorted[at], &a->sorted[at + 1], --a->n - at);
	at = rank(a, ip);
	memmove(&a->sorted[at + 1], &a->sorted[at], a->n++ - at);
	a->sorted[at] = (uint8_t)index;
	a->ip[index] = ip;
}

void
nat_addresses_clear(struct nat_addresses *a)
{
	for (uint32_t i = 0; i < a->n; i++) {
		for (int p = 0; p < PROTOCOLS; p++)
			free(a->of[i]->ports[p].sharers);
		free(a->of[i]);
	}
	a->n = a->npool = a->nowned = 0;
}

size_t
nat_addresses_bytes(const struct nat_addresses *a)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < a->n; i++) {
		bytes += sizeof(*a->of[i]);
		for (int p = 0; p < PROTOCOLS; p++)
			if (a->of[i]->ports[p].sharers != NULL)
				bytes += 65536 * sizeof(uint16_t);
	}
	return bytes;
}

int32_t
nat_addresses_own(const struct nat_addresses *a, uint32_t inside_ip)
{
	if (a->nowned == 0)
		return -1;
	for (uint32_t i = a->npool; i < a->n; i++)
		if (a->of[i]->inside_ip == inside_ip)
			return (int32_t)i;
	return -1;
}

int32_t
nat_addresses_least(const struct nat_addresses *a, uint32_t block_ports)
{
	int32_t least = -1;

	for (uint32_t i = 0; i < a->npool; i++)
		if ((block_ports == 0 ||
			a->of[i]->nblocks < nat_blocks(block_ports)) &&
		    (least < 0 || a->of[i]->hosts < a->of[least]->hosts))
			least = (int32_t)i;
	return least;
}

uint32_t
nat_block_take(struct nat_address *address, uint32_t block_ports)
{
	uint32_t n = nat_blocks(block_ports);

	for (uint32_t word = 0; word * 64 < n; word++) {
		uint64_t free = ~address->blocks[word];
		uint32_t bit;

		if (free == 0)
			continue;
		bit = (uint32_t)__builtin_ctzll(free);
		if (word * 64 + bit >= n)
			break;
		address->blocks[word] |= UINT64_C(1) << bit;
		address->nblocks++;
		return word * 64 + bit + 1;
	}
	return 0;
}

void
nat_block_give(struct nat_address *address, uint32_t block)
{
	address->blocks[(block - 1) / 64] &= ~(UINT64_C(1) << (block - 1) % 64);
	address->nblocks--;
}
