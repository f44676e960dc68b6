/*
 * boot_disk.h - the kernel that a disk would boot, taken from its file system.
 *
 * There is no firmware: partitions, ext file systems and the boot loader's menu
 * are read here, on the host, and what the default entry names is loaded as if
 * it had been given.  Looked for, in this order, on each partition: grub.cfg,
 * entries of the Boot Loader Specification, and the links vmlinuz and
 * initrd.img.  Everything on the disk is hostile; nothing is written.
 */
#ifndef VMM_BOOT_DISK_H
#define VMM_BOOT_DISK_H

#include "base/err.h"
#include "vmm/blk_store.h"
#include "vmm/boot_menu.h"

#define BOOT_DISK_NAME_BYTES (BOOT_MENU_PATH_BYTES + 512)

struct boot_disk {
	int kernel_fd, initrd_fd; /* copies in memory; -1: none */
	char kernel_name[BOOT_DISK_NAME_BYTES];
	char initrd_name[BOOT_DISK_NAME_BYTES];
	char title[BOOT_MENU_NAME_BYTES];
	char args[BOOT_MENU_ARGS_BYTES]; /* the kernel's command line */
};

/* What the disk boots; name is for messages.  Files of more than most bytes
 * together are refused.  The store is not used by others meanwhile, or only read.  0, or
 * -Exxx with *err; boot_disk_close() is fine in both cases. */
int boot_disk_find(struct boot_disk *found, struct blk_store *store,
    const char *name, uint64_t most, struct err *err);
void boot_disk_close(struct boot_disk *found);

#endif
