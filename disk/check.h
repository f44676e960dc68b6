/*
 * check.h - is an image consistent: does each cluster have as many references
 * as it is counted to have?
 */
#ifndef DISK_CHECK_H
#define DISK_CHECK_H

#include "disk/layer.h"

struct check {
	uint64_t clusters;    /* in the file */
	uint64_t used;        /* that something names */
	uint64_t leaks;       /* counted, but nothing names them: lost space */
	uint64_t corruptions; /* what would damage data */
	uint64_t overlaps;    /* of these, clusters that serve two things */
	uint64_t repaired;
	char first[256]; /* the first thing wrong, a sentence without a dot */
};

/* Checks the qcow2 image of a layer.  0 if it could be read, whatever it is
 * like; else -Exxx with err. */
int check_layer(struct layer *layer, struct check *check, struct err *err);

/* Counts anew and writes the counts, and all that hangs on them, after a check
 * found something.  The layer is writable, and nobody has it open as a disk.
 * -EUCLEAN if clusters serve two things: that no count can mend. */
int check_repair(struct layer *layer, struct check *check, struct err *err);

/* The same by the path of an image, which nobody may be writing to. */
int disk_check(
    const char *path, bool repair, struct check *check, struct err *err);

#endif
