/*
 * vm_confine.h - the last thing that a VM's process does as somebody with rights
 * (sandbox.h).
 */
#ifndef VMM_VM_CONFINE_H
#define VMM_VM_CONFINE_H

#include "vmm/engine.h"
#include "vmm/porter.h"
#include "vmm/vm.h"

/* What it had to be given before. */
struct vm_confined {
	int prepared_fd;       /* of the engine; 0: none */
	struct porter *porter; /* NULL: it has no errands */
};

/* From here on nothing is opened by a name, and whatever the guest brings along,
 * its kernel and its disks' contents too, is read from within.  0, or -Exxx with
 * *err; without a sandbox nothing happens.  Free it anyway. */
int vm_confine(struct vm_confined *confined, const struct vm_config *config,
    const struct engine *engine, struct err *err);
void vm_confined_free(struct vm_confined *confined);

#endif
