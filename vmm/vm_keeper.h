/*
 * vm_keeper.h - who makes the checkpoints of a machine (vm_checkpoint.h): a
 * thread that may make files where they are, which its confined process may not
 * (sandbox.h).
 */
#ifndef VMM_VM_KEEPER_H
#define VMM_VM_KEEPER_H

#include "vmm/vm_state.h"

struct vm_keeper;

/* Before the process is confined; the board outlives it.  NULL: *err says why
 * this machine can have no checkpoints. */
struct vm_keeper *vm_keeper_new(
    const struct vm_config *config, const struct board *board, struct err *err);
void vm_keeper_free(struct vm_keeper *keeper); /* NULL is fine */

/*
 * Makes the checkpoint NAME of a paused machine.  go_on, unless it is NULL, is
 * called as soon as the machine may, in which case this returns later, or not at
 * all.  0, or -Exxx with *err.  Loop thread.
 */
int vm_keeper_make(struct vm_keeper *keeper, const struct vm_parts *parts,
    const char *name, void (*go_on)(void *arg), void *arg, struct err *err);

#endif
