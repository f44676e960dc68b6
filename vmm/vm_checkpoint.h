/*
 * vm_checkpoint.h - a machine's checkpoint: its state and its memory, unless it
 * was off, with its disks, as one record of the directory that they are in (disk/checkpoint.h).
 *
 * Disks that the guest can write have to be images, all in that directory; those
 * it can only read are not part of it.  A machine without such disks has its
 * checkpoints in the directory that its configuration says, which is made.
 */
#ifndef VMM_VM_CHECKPOINT_H
#define VMM_VM_CHECKPOINT_H

#include "vmm/vm_state.h"

#define VM_CHECKPOINT_RAM "ram" /* what its memory is called in the record */

/* Where they are, with a slash at its end, or "" for the present directory.  0,
 * or -Exxx with *err: there can be none. */
int vm_checkpoint_directory(
    const struct vm_config *config, char *out, size_t len, struct err *err);

/* Is the disk a part of them? */
bool vm_checkpoint_keeps(const struct vm_disk *disk);

/* Makes the checkpoint NAME of a machine that is off: what it is made of, and its
 * disks.  0, or -Exxx with *err; somebody who runs it has its disks locked. */
int vm_checkpoint_make_off(
    const struct vm_config *config, const char *name, struct err *err);

/*
 * Going back.  Opening checks that it is of such a machine, and takes the disks
 * back: what was written since is lost.  It comes before they are opened by the
 * board, and before the process is confined.  Loading fills the memory, which is
 * all zeros, and a machine that was just started.
 */
struct vm_checkpoint;

struct vm_checkpoint *vm_checkpoint_open(
    const struct vm_config *config, const char *name, struct err *err);
/* It was off: there is nothing to load, and it starts from its disks. */
bool vm_checkpoint_is_off(const struct vm_checkpoint *from);
int vm_checkpoint_load(
    struct vm_checkpoint *from, const struct vm_parts *parts, struct err *err);
void vm_checkpoint_close(struct vm_checkpoint *from); /* NULL is fine */

#endif
