/*
 * blk_image.h - a qcow2 image with all that stands behind it (disk/disk.h) as a
 * virtual disk's store.
 */
#ifndef VMM_BLK_IMAGE_H
#define VMM_BLK_IMAGE_H

#include <limits.h>

#include "disk/disk.h"
#include "vmm/blk_store.h"
#include "vmm/sandbox.h"

/* Does a disk of that name hold an image, if nobody says what it holds? */
bool blk_image_named(const char *path);

/* NULL: *err.  A file that is no qcow2 image is refused: whether a guest's disk
 * is one must not depend on what the guest wrote into it.  While it is open for
 * writing, other processes may ask for snapshots of it (disk/live.h), which a
 * thread takes that enters the sandbox, if there is one. */
struct blk_store *blk_image_open(const char *path, bool read_only,
    const struct sandbox *sandbox, struct err *err);

/* What a thread may use that takes snapshots: the image's directory, and those
 * that it reads from. */
#define BLK_IMAGE_PLACES 16

struct blk_image_places {
	struct sandbox_place place[BLK_IMAGE_PLACES];
	unsigned int n;
	char directory[BLK_IMAGE_PLACES][PATH_MAX];
};

void blk_image_places(const struct disk *disk, struct blk_image_places *places);

/* The image of such a store, which stays its own; NULL: it is another one. */
struct disk *blk_image_disk(const struct blk_store *store);

#endif
