/*
 * show.h - the tables of a running lab.
 */
#ifndef LAB_SHOW_H
#define LAB_SHOW_H

#include "lab/fabric.h"
#include "lab/table.h"

struct guests;

/* What tables are made from. */
struct show {
	const struct fabric *fabric;
	const struct guests *guests; /* NULL: a lab without VMs */
};

extern const struct table_head *const show_heads[]; /* NULL at the end */

/* The head of that name, or NULL with *err naming the nearest. */
const struct table_head *show_head(const char *name, struct err *err);

/* How far the making of a table has come; all zeros: it begins. */
struct show_place {
	unsigned int router;
	struct nat_walk nat;
};

#define SHOW_SLICE_ROWS 64

/* Adds rows to table from place on: as many as are made at once, which is about
 * SHOW_SLICE_ROWS where there may be very many.  False: these were the last. */
bool show_some(
    struct table *table, const struct show *show, struct show_place *place);

/* Fills table, which the caller frees.  0, or -Exxx. */
int show_fill(struct table *table, const struct table_head *head,
    const struct show *show);

#endif
