/*
 * sweep.h - files that an operation left behind which did not end.
 */
#ifndef DISK_SWEEP_H
#define DISK_SWEEP_H

#include "disk/tree.h"

/* Removes file, one of the tree's directory, if it is such, and no image. */
void sweep_remains(const struct tree *tree, const char *file);

/* Removes an image of the tree that is such.  False: there is none. */
bool sweep_images(const struct tree *tree);

/* Removes the copies of path that were interrupted, except keep. */
void sweep_copies(const char *path, const char *keep);

#endif
