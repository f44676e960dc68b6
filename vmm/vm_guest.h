/*
 * vm_guest.h - what a VM's guest is started from: the tiny guest, a kernel's
 * file, or what is on its first disk.
 *
 * Files are read at each start, so that they need not lie in memory twice in
 * between; a disk's are looked for anew, since the guest may have replaced its
 * kernel.
 */
#ifndef VMM_VM_GUEST_H
#define VMM_VM_GUEST_H

#include "vmm/blk_store.h"
#include "vmm/boot.h"
#include "vmm/memory.h"
#include "vmm/vm.h"

struct vm_guest {
	const struct vm_config *config;
	int kernel_fd, initrd_fd; /* -1: none */
};

/* Opens the files.  0, or -Exxx with *err; vm_guest_close() is fine in both
 * cases. */
int vm_guest_open(
    struct vm_guest *guest, const struct vm_config *config, struct err *err);
void vm_guest_close(struct vm_guest *guest);

/* Loads it into fresh memory.  disk is the VM's first one, on which nothing is
 * under way, or NULL. */
int vm_guest_load(const struct vm_guest *guest, const struct memory *memory,
    struct blk_store *disk, struct boot_entry *entry, struct err *err);

#endif
