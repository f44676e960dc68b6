/*
 * held.h - the frames that are neither where they go nor dropped, at this
 * moment.
 */
#ifndef LAB_HELD_H
#define LAB_HELD_H

#include "lab/fabric.h"

/* Calls each for every node that keeps frames, with what they wait for:
 * REASON_ARP_QUEUED, REASON_ND_QUEUED, REASON_FRAGMENT_HELD or
 * REASON_CABLE_HELD. */
void held_each(const struct fabric *fabric,
    void (*each)(void *arg, const struct node *node, enum reason reason,
	uint64_t frames),
    void *arg);

#endif
