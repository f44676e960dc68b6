/*
 * showing.h - the answer to "show", made a slice at a time.
 *
 * A table of a running lab may have more rows than the loop has time for at
 * once: each slice takes about a millisecond, and frames pass in between.  So the
 * rows are of different instants, each as it was when its slice was made
 * (router_walk_nat()).
 */
#ifndef LAB_SHOWING_H
#define LAB_SHOWING_H

#include "lab/show.h"

struct showing;

/* The caller's to free.  NULL: no memory. */
struct showing *showing_new(
    const struct table_head *head, const struct show *show);
void showing_free(struct showing *showing); /* NULL is fine */

/* Writes the next slice of the answer, which is one line of JSON without its
 * end, by write(), which returns 0, or -1 to stop.  1: there is more; 0: that was
 * the end; -1: no memory, or it was stopped. */
int showing_go_on(struct showing *showing,
    int (*write)(const char *bytes, size_t len, void *arg), void *arg);

#endif
