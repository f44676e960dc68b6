/*
 * segment.h - which ports reach each other by switches alone, without a router.
 *
 * VLANs are not looked at: they may be told apart within a segment.
 */
#ifndef LAB_SEGMENT_H
#define LAB_SEGMENT_H

#include "lab/model.h"

struct segments {
	const struct lab *lab;
	unsigned int root[LAB_SWITCHES_MAX]; /* of each switch */
};

/* Each switch by itself; and joined as all uplinks say that can be. */
void segments_init(struct segments *s, const struct lab *lab);
void segments_join_all(struct segments *s);

bool segments_are_one(const struct segments *s, const struct lab_switch *a,
    const struct lab_switch *b);
void segments_join(
    struct segments *s, const struct lab_switch *a, const struct lab_switch *b);

/* The same number for all that are in one segment.  False: the port is plugged in
 * nowhere. */
bool segment_of(
    const struct segments *s, const struct lab_port *port, size_t *segment);

#endif
