/*
 * macnat_table.h - which guest has which IP address, for MAC-NAT.
 *
 * Never holds more than it was made for, nor more than MACNAT_PER_GUEST
 * addresses of one guest; the rules are macnat.h's.
 */
#ifndef BRIDGE_MACNAT_TABLE_H
#define BRIDGE_MACNAT_TABLE_H

#include <sys/queue.h>

#include "bridge/macnat.h"

struct macnat_guest;

struct macnat_row {
	struct ip6_addr address;
	uint16_t vlan;
	struct macnat_guest *guest;
	uint64_t used_ns;
	uint64_t out_frames, in_frames;
	LIST_ENTRY(macnat_row) hash;
	TAILQ_ENTRY(macnat_row) age, own; /* least recently used first */
};

struct macnat_table;

/* NULL: no memory. */
struct macnat_table *macnat_table_new(
    uint32_t max, uint64_t age_ns, uint64_t seed);
void macnat_table_free(struct macnat_table *t);

/* The row of address, which is now in use, or NULL. */
struct macnat_row *macnat_table_find(struct macnat_table *t,
    const struct ip6_addr *address, uint16_t vlan, uint64_t now_ns);

/* The row that says that guest has the address, new if need be.  It is taken
 * from another guest only if announced.  NULL with *why: DROP_MACNAT_FULL,
 * DROP_MACNAT_TAKEN. */
struct macnat_row *macnat_table_learn(struct macnat_table *t,
    const struct ip6_addr *address, uint16_t vlan, const struct mac *guest,
    bool announced, uint64_t now_ns, enum reason *why);

const struct mac *macnat_row_guest(const struct macnat_row *row);
uint32_t macnat_row_number(
    const struct macnat_table *t, const struct macnat_row *row);
uint32_t macnat_table_size(const struct macnat_table *t);

/* The one used before all others, and the next; what is too old is gone. */
struct macnat_row *macnat_table_oldest(struct macnat_table *t, uint64_t now_ns);

#endif
