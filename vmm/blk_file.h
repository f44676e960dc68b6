/*
 * blk_file.h - a raw file, or a block device, as a virtual disk's store.
 */
#ifndef VMM_BLK_FILE_H
#define VMM_BLK_FILE_H

#include "vmm/blk_store.h"

/* Opens path and locks it as QEMU and our own images are: one writer, or many
 * readers.  NULL: *err.  The last bytes of a file that do not fill a sector are
 * left alone. */
struct blk_store *blk_file_open(
    const char *path, bool read_only, struct err *err);

#endif
