/*
 * create.h - new images for those who put them in place themselves.
 */
#ifndef DISK_CREATE_H
#define DISK_CREATE_H

#include "disk/disk.h"

/* As disk_create(), but path, a name of the caller's own, replaces what is there,
 * and neither it nor its name is on the disk yet.  *fd is the caller's. */
int create_unsynced(const char *path, const struct disk_options *options,
    int *fd, struct err *err);

#endif
