/*
 * snapshot.h - snapshots of several disks, as a step of something larger.
 */
#ifndef DISK_SNAPSHOT_H
#define DISK_SNAPSHOT_H

#include "disk/freeze.h"
#include "disk/tree.h"

struct snapshots;

/* Makes all that the snapshots need, under names that nobody uses yet, and adds
 * to the catalogue in memory what is to be done with them.  To be freed even if
 * it fails.  The disks' paths are borrowed. */
int snapshots_prepare(struct snapshots **all, struct tree *tree,
    const char *const *disks, size_t n, const char *name,
    struct disk *const *live, struct err *err);

/* Freezes all disks at one moment, and commits the tree.  calls, which may be
 * NULL: told of that moment, and called before the catalogue is written. */
int snapshots_take(struct snapshots *all, const struct disk_freeze_calls *calls,
    struct err *err);

/* The file that will be disk i's snapshot. */
const char *snapshots_file(const struct snapshots *all, size_t i);

/* Whether it can name a snapshot: not long, and without / ~ @. */
bool snapshot_is_name(const char *name);

/* NULL is fine.  What was not taken is removed. */
void snapshots_free(struct snapshots *all);

#endif
