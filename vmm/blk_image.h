/*
 * blk_image.h - a qcow2 image with all that stands behind it (disk/disk.h) as a
 * virtual disk's store.
 */
#ifndef VMM_BLK_IMAGE_H
#define VMM_BLK_IMAGE_H

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

#endif
