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

/* Fills table, which the caller frees.  0, or -Exxx. */
int show_fill(struct table *table, const struct table_head *head,
    const struct show *show);

#endif
