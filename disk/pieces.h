/*
 * pieces.h - what an image has itself, in pieces of bounded size.
 */
#ifndef DISK_PIECES_H
#define DISK_PIECES_H

#include "disk/tree.h"

#define PIECE_MAX_BYTES (4u << 20) /* of data; zeros may be longer */

/* Calls each for what the disk, opened DISK_ALONE, has.  progress may be NULL;
 * -EINTR if it ends this. */
int pieces_each(struct disk *disk, const char *what,
    int (*each)(const struct disk_extent *x, void *arg, struct err *err),
    void *arg, const struct tree_progress *progress, struct err *err);

/* For each: another disk, arg, will have itself what it reads there. */
int piece_keep(const struct disk_extent *x, void *arg, struct err *err);

#endif
