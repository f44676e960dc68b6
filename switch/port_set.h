/*
 * port_set.h - a set of bridge ports of one switch, by their index.
 *
 * Of fixed size, so that one that is in use while a frame is sent can be
 * changed.  Ports beyond PORT_SET_MAX are always in it: what a set keeps from
 * them is flooded to them.
 */
#ifndef SWITCH_PORT_SET_H
#define SWITCH_PORT_SET_H

#include <stdbool.h>
#include <stdint.h>

#define PORT_SET_MAX 4096

struct port_set {
	uint64_t word[PORT_SET_MAX / 64];
};

static inline void
port_set_add(struct port_set *set, unsigned int index)
{
	if (index < PORT_SET_MAX)
		set->word[index / 64] |= UINT64_C(1) << (index % 64);
}

static inline void
port_set_remove(struct port_set *set, unsigned int index)
{
	if (index < PORT_SET_MAX)
		set->word[index / 64] &= ~(UINT64_C(1) << (index % 64));
}

static inline bool
port_set_has(const struct port_set *set, unsigned int index)
{
	return index >= PORT_SET_MAX ||
	    (set->word[index / 64] >> (index % 64) & 1) != 0;
}

static inline bool
port_set_is_empty(const struct port_set *set)
{
	for (unsigned int i = 0; i < PORT_SET_MAX / 64; i++)
		if (set->word[i] != 0)
			return false;
	return true;
}

#endif
