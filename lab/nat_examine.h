/*
 * nat_examine.h - what a guest found out about a NAT, beside what the NAT is
 * told to be.
 *
 * The guest's findings (vmm/guest/nattest.h) come as lines: name, value, and by
 * what it was seen.  They are a guest's, and so anything.
 */
#ifndef LAB_NAT_EXAMINE_H
#define LAB_NAT_EXAMINE_H

#include <stdbool.h>

#include "lab/table.h"

extern const struct table_head nat_examine_head;

/* A row for each line of text with a finding.  rules is {KEY: VALUE} by the keys
 * of a lab file; neighbour says whether there was another host inside.  Returns
 * how many differ, or -EPROTO if a line is no finding: then *bad is it, within
 * text. */
int nat_examine(struct table *table, const json_t *rules, bool neighbour,
    const char *text, const char **bad);

#endif
