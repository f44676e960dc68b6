/*
 * live.h - snapshots of a disk that another process has open.
 *
 * Whoever has an image open for writing listens at a socket beside it,
 * IMAGE~control, of mode 0600.  It takes one line, "snapshot NAME", does that
 * (tree.h) while the disk goes on being read and written, and answers "ok" or a
 * sentence.
 */
#ifndef DISK_LIVE_H
#define DISK_LIVE_H

#include "disk/disk.h"

struct live;

/* Answers on a thread of its own, with all signals blocked, which calls begin
 * first, unless that is NULL; the disk stays the caller's and outlives it.
 * NULL: *err says why. */
struct live *live_new(
    struct disk *disk, void (*begin)(void *arg), void *arg, struct err *err);
void live_free(struct live *live); /* NULL is fine */

/* Where it listens.  -ENAMETOOLONG: there is no such short path. */
int live_socket(const char *image, char *path, size_t len);

/* Asks the process that has image open for a snapshot.  -ECONNREFUSED and no
 * sentence: nobody listens. */
int live_ask_snapshot(const char *image, const char *name, struct err *err);

#endif
