/*
 * overlay.h - an empty image on another one, that takes the name of a file of
 * the tree when this is committed.
 */
#ifndef DISK_OVERLAY_H
#define DISK_OVERLAY_H

#include "disk/tree.h"

struct overlay {
	const char *file; /* whose name it gets */
	const char *backing;
	bool raw; /* the backing file is */
	uint64_t size;
	unsigned int cluster_bits; /* less than 12: the usual ones */
};

/* Where it is until then. */
int overlay_path(const struct tree *tree, const char *file, char *path,
    size_t len, struct err *err);

/* Makes it, and lists it to be renamed by the next tree_commit(), which also
 * sees it on the disk. */
int overlay_make(struct tree *tree, const struct overlay *o, struct err *err);

/* Removes it; the tree has not been committed. */
void overlay_remove(const struct tree *tree, const char *file);

#endif
