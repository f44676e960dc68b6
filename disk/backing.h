/*
 * backing.h - which backing file an image names, changed in place.
 */
#ifndef DISK_BACKING_H
#define DISK_BACKING_H

#include "base/err.h"

/* Lets the qcow2 image at path name another backing file ("": none) of this
 * format, and syncs.  A crash leaves the old name or the new one.  The image is
 * not in use; its contents are the caller's care. */
int backing_set(
    const char *path, const char *name, const char *format, struct err *err);

/* Whether that could be done, now: 0, or -Exxx as backing_set() would. */
int backing_fits(
    const char *path, const char *name, const char *format, struct err *err);

#endif
