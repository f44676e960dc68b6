/*
 * vm_checkpoint.h - a machine's checkpoint: its state and its memory, with its
 * disks, as one record of the directory that they are in (disk/checkpoint.h).
 *
 * Disks that the guest can write have to be images, all in that directory; those
 * it can only read are not part of it.  A machine without such disks has its
 * checkpoints in the directory that its configuration says, which is made.
 */
#ifndef VMM_VM_CHECKPOINT_H
#define VMM_VM_CHECKPOINT_H

#include "vmm/vm_state.h"

/*
 * Makes the checkpoint NAME of a paused machine.  go_on is called as soon as the
 * machine may, in which case it returns later, or not at all.  0, or -Exxx with
 * *err.  Loop thread.
 */
int vm_checkpoint_make(const struct vm_parts *parts, const char *name,
    void (*go_on)(void *arg), void *arg, struct err *err);

/*
 * Going back.  Opening checks that it is of such a machine, and takes the disks
 * back: what was written since is lost.  It comes before they are opened by the
 * board.  Loading fills the memory, which is all zeros, and a machine that was
 * just started.
 */
struct vm_checkpoint;

struct vm_checkpoint *vm_checkpoint_open(
    const struct vm_config *config, const char *name, struct err *err);
int vm_checkpoint_load(
    struct vm_checkpoint *from, const struct vm_parts *parts, struct err *err);
void vm_checkpoint_close(struct vm_checkpoint *from); /* NULL is fine */

#endif
