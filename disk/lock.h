/*
 * lock.h - who else may use an image file meanwhile, as QEMU has it.
 *
 * Each right is a bit; a holder keeps byte 100 + bit of the file locked while
 * it uses the right, and byte 200 + bit while others may not use it (open file
 * description locks; held by a file descriptor, gone with it, also between two
 * descriptors of one process).
 */
#ifndef DISK_LOCK_H
#define DISK_LOCK_H

#include "base/err.h"

enum {
	RIGHT_READ = 1 << 0, /* relies on what it reads */
	RIGHT_WRITE = 1 << 1,
	RIGHT_RESIZE = 1 << 3,
};

/* 0, or -EBUSY with err naming path.  A file system without locks is taken
 * for one that nobody else uses. */
int lock_take(int fd, unsigned int used, unsigned int denied, const char *path,
    struct err *err);

/* Gives up what a holder has beyond these. */
void lock_keep(int fd, unsigned int used, unsigned int denied);

#endif
