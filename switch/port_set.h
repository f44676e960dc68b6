/*
 * port_set.h - a set of ports of one switch, by their index.
 *
 * Grows as ports are added; a port that was never added is not in it.
 */
#ifndef SWITCH_PORT_SET_H
#define SWITCH_PORT_SET_H

#include <stdbool.h>
#include <stdint.h>

struct port_set {
	uint64_t *word; /* NULL: empty */
	unsigned int nwords;
};

/* 0, or -ENOMEM: then the set is as before. */
int port_set_add(struct port_set *set, unsigned int index);
void port_set_remove(struct port_set *set, unsigned int index);
void port_set_free(struct port_set *set); /* leaves it empty */
bool port_set_is_empty(const struct port_set *set);

static inline bool
port_set_has(const struct port_set *set, unsigned int index)
{
	return index / 64 < set->nwords &&
	    (set->word[index / 64] >> (index % 64) & 1) != 0;
}

#endif
