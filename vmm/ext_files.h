/*
 * ext_files.h - files of an ext2, ext3 or ext4 file system on a disk, read only,
 * by libext2fs.
 *
 * A journal that was not replayed is left alone, as by GRUB: what was written
 * last before a crash may not be seen.  The file system is hostile: its size is
 * checked against the disk's, and reading ends when a budget is used up.
 */
#ifndef VMM_EXT_FILES_H
#define VMM_EXT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/partitions.h"

struct ext_files;

/* NULL: there is none that can be read.  disk is copied.  No more than
 * budget_bytes are read from it, ever. */
struct ext_files *ext_files_open(const struct partitions_disk *disk,
    const struct partition *partition, uint64_t budget_bytes);
void ext_files_close(struct ext_files *files); /* NULL is fine */

/* Its UUID, in small letters, and its label. */
const char *ext_files_uuid(const struct ext_files *files);
const char *ext_files_label(const struct ext_files *files);

bool ext_files_has(struct ext_files *files, const char *path);

/* Gives take the bytes of a file, in order, as long as it returns 0.  Links are
 * followed.  0; what take returned; -ENOENT: there is none; -EINVAL: it is no
 * file; -EFBIG: it has more than most bytes; -EIO: the file system is damaged. */
int ext_files_read(struct ext_files *files, const char *path, uint64_t most,
    int (*take)(void *arg, const void *bytes, size_t n), void *arg);

/* Calls each with the names in a directory until it returns false; there may be
 * none. */
void ext_files_list(struct ext_files *files, const char *path,
    bool (*each)(void *arg, const char *name), void *arg);

#endif
