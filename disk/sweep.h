/*
 * sweep.h - files that an operation left behind which did not end.
 */
#ifndef DISK_SWEEP_H
#define DISK_SWEEP_H

#include "disk/tree.h"

/* Removes file, one of the tree's directory, if it is such. */
void tree_sweep(const struct tree *tree, const char *file);

/* Removes the copies of path that were interrupted, except keep. */
void sweep_copies(const char *path, const char *keep);

#endif
