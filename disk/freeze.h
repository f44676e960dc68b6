/*
 * freeze.h - a new top image on disks that are in use.
 */
#ifndef DISK_FREEZE_H
#define DISK_FREEZE_H

#include "disk/disk.h"

struct disk_freezing {
	struct disk *disk;
	const char *overlay; /* an empty image made to stand on the disk's */
	const char *frozen;  /* what the disk's will be called */
};

struct disk_freeze_calls {
	/* All disks are on their overlays: this is the moment.  May be NULL. */
	void (*frozen)(void *arg);
	/* The frozen images are on the disk.  Gives each its name, and each
	 * overlay its disk's, for good. */
	int (*commit)(void *arg, struct err *err);
	void *arg;
};

/* Freezes the images of n disks, which are qcow2, as they are at one moment, and
 * goes on in the overlays.  Requests wait for that moment only, which takes no
 * device; disk_flush() waits until commit is over.  If this fails, the disks go
 * on as before, with all that was written since. */
int disk_freeze(const struct disk_freezing *disks, size_t n,
    const struct disk_freeze_calls *calls, struct err *err);

#endif
