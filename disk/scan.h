/*
 * scan.h - which images there are in a directory.  tree_scan() and tree_find()
 * are in tree.h.
 */
#ifndef DISK_SCAN_H
#define DISK_SCAN_H

#include "disk/tree.h"

/* Lets go of what tree_scan() has found. */
void scan_free(struct tree *tree);

#endif
