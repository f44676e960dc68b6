/*
 * walk.h - the clusters of an image, by what the header leads to.
 *
 * A table is followed once, however many name it, and what lies in a hole of the
 * file not at all, so that time and memory are bounded by what the file really
 * has.
 */
#ifndef DISK_WALK_H
#define DISK_WALK_H

#include "disk/check.h"

struct walk {
	struct layer *layer;
	struct check *check;
	uint16_t *counts; /* those found */
	uint8_t *sole;    /* bits: used by something that does not share */
	uint64_t n;       /* clusters */
	uint64_t cluster; /* bytes */
	uint64_t *rows;   /* one L2 table */
	uint64_t *tables; /* L2 tables, as often as they are named */
	size_t ntables, room;
	bool fix; /* writes right COPIED flags */
};

enum owner {
	OWNER_SOLE,   /* nothing else may be in these clusters */
	OWNER_BRANCH, /* other internal snapshots may name them, too */
	OWNER_SHARED  /* anything else that is shared may be in them */
};

/* 0 or -Exxx; to be closed in any case. */
int walk_open(
    struct walk *w, struct layer *layer, struct check *check, struct err *err);
void walk_close(struct walk *w);

/* Counts everything but the refcounts themselves. */
int walk_contents(struct walk *w, struct err *err);

/* Counts the clusters of len bytes at offset, times as often.  False: there is
 * something wrong with that, and what is there is not to be followed. */
bool walk_use(struct walk *w, uint64_t offset, uint64_t len, size_t times,
    enum owner owner, const char *what);

/* Reads the L2 table at table into w->rows.  0; 1: it is a hole, so that no row
 * says anything; or -Exxx. */
int walk_rows(struct walk *w, uint64_t table, struct err *err);

/* Notes something that is wrong. */
__attribute__((format(printf, 2, 3))) void check_wrong(
    struct check *check, const char *format, ...);

#endif
