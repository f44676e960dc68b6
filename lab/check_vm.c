/*
 * Each check steps over what the schema has complained about already (NULL).
 * VMs that stand for many ("vm[1-9]") share a node of the file; the first one
 * speaks for all, but for a disk, which the second one may already not share.
 */
#include "lab/check_vm.h"

#include <stdio.h>
#include <string.h>

#include "vmm/blk_image.h"
#include "vmm/linux_image.h"
#include "vmm/vm.h"

#define CMDLINE_MAX_BYTES 500

struct check_vm {
	const struct lab *lab;
	struct problems *problems;
};

static void
check_vm_ports(struct check_vm *c, const struct lab_vm *vm)
{
	if (vm->ports == NULL && yaml_get(vm->item.node, "ports") != NULL)
		return; /* told already */
	for (unsigned int k = 0; k < vm->nports; k++) {
		char want[8];

		snprintf(want, sizeof(want), "eth%u", k % 100);
		if (strcmp(vm->ports[k].item.name, want) != 0)
			problem_add(c->problems,
			    lab_place(&vm->ports[k].item, NULL),
			    "port \"%s\": ports of a VM are eth0, eth1 and so "
			    "on, in this order; call it %s",
			    vm->ports[k].full, want);
	}
}

/* It has no drivers for them. */
static void
check_tiny(struct check_vm *c, const struct lab_vm *vm)
{
	if (vm->guest != GUEST_TINY)
		return;
	if (vm->ndisks > 0)
		problem_add(c->problems, lab_disk_place(&vm->disks[0]),
		    "guest tiny has no use for a disk; use guest linux, a "
		    "kernel of your own, or leave guest out to boot from the "
		    "disk");
	if (yaml_get(vm->item.node, "balloon") != NULL)
		problem_add(c->problems, lab_place(&vm->item, "balloon"),
		    "guest tiny has no balloon; use another guest, or remove "
		    "the key");
}

static void
check_balloon(struct check_vm *c, const struct lab_vm *vm)
{
	struct place at = lab_place(&vm->item, "balloon");
	char balloon[UNITS_TEXT_BYTES], memory[UNITS_TEXT_BYTES];

	if (vm->balloon_bytes % 4096 != 0)
		problem_add(c->problems, at,
		    "balloon is no multiple of 4K; write it in M");
	else if (vm->balloon_bytes >= vm->memory_bytes)
		problem_add(c->problems, at,
		    "balloon: %s leaves the guest nothing of its %s; use less",
		    size_text(balloon, vm->balloon_bytes),
		    size_text(memory, vm->memory_bytes));
}

/* Whoever else has the disk, if one of the two may write to it. */
static const struct lab_vm *
other_user(const struct check_vm *c, const struct lab_vm *vm,
    const struct lab_disk *disk)
{
	for (unsigned int i = 0; i < c->lab->nvms; i++) {
		const struct lab_vm *other = &c->lab->vms[i];

		for (unsigned int k = 0; k < other->ndisks; k++) {
			const struct lab_disk *d = &other->disks[k];

			if (other == vm && d == disk)
				return NULL; /* told at the later one */
			if (d->file != NULL &&
			    strcmp(d->file, disk->file) == 0 &&
			    !(d->read_only && disk->read_only))
				return other;
		}
	}
	return NULL;
}

static void
check_disk(
    struct check_vm *c, const struct lab_vm *vm, const struct lab_disk *disk)
{
	const struct lab_vm *other = other_user(c, vm, disk);
	struct place at = lab_disk_place(disk);

	if (disk->file[0] == '\0' || strchr(disk->file, ',') != NULL)
		problem_add(c->problems, at,
		    "disk \"%.100s\": a disk's path has letters and no comma; "
		    "rename the file, or name a link to it",
		    disk->file);
	if (other != NULL)
		problem_add(c->problems, at,
		    "disk \"%.100s\" is %s\"%s\" already, and one of the two "
		    "may write to it; make both read-only, or one a linked "
		    "clone",
		    disk->file, other == vm ? "in " : "that of ",
		    other->item.name);
	if (disk->size_bytes != 0 && disk->base != NULL)
		problem_add(c->problems, lab_place(&disk->item, "size"),
		    "size stands beside base, whose size the disk has; keep "
		    "one");
	if (disk->size_bytes % 512 != 0)
		problem_add(c->problems, lab_place(&disk->item, "size"),
		    "size is no multiple of 512 bytes; write it in M");
	if (disk->base != NULL && strchr(disk->base, '/') != NULL)
		problem_add(c->problems, lab_place(&disk->item, "base"),
		    "base \"%.100s\" is a path; use the name of an image in "
		    "the disk's own directory",
		    disk->base);
	if (disk->base != NULL && !blk_image_named(disk->file))
		problem_add(c->problems, at,
		    "disk \"%.100s\" has a base, but is no image; call it "
		    "something.qcow2",
		    disk->file);
}

static void
check_disks(struct check_vm *c, const struct lab_vm *vm)
{
	if (vm->ndisks > VM_DISKS_MAX)
		problem_add(c->problems, lab_disk_place(&vm->disks[0]),
		    "vm \"%s\" has more than %d disks; use fewer",
		    vm->item.name, VM_DISKS_MAX);
	for (unsigned int k = 0; k < vm->ndisks; k++)
		if (vm->disks[k].file != NULL)
			check_disk(c, vm, &vm->disks[k]);
}

const char *
qemu_refusal(const struct lab_vm *vm, const char **key)
{
	if (yaml_get(vm->item.node, "balloon") != NULL) {
		*key = "balloon";
		return "engine qemu has no balloon here; remove the key, or "
		       "take another engine";
	}
	if (vm->kernel == NULL && vm->guest == GUEST_DISK &&
	    vm->cmdline != NULL) {
		*key = "cmdline";
		return "engine qemu boots a disk by the disk's own loader, "
		       "which takes no words from here; remove the key, or "
		       "take another engine";
	}
	return NULL;
}

static void
check_engine(struct check_vm *c, const struct lab_vm *vm)
{
	const char *key, *why = NULL;

	if (vm->engine == ENGINE_QEMU)
		why = qemu_refusal(vm, &key);
	if (why != NULL)
		problem_add(c->problems, lab_place(&vm->item, key), "%s", why);
}

static void
check_vm(struct check_vm *c, const struct lab_vm *vm)
{
	const struct lab_item *item = &vm->item;
	bool is_linux = vm->kernel == NULL && vm->guest == GUEST_LINUX;
	char size[UNITS_TEXT_BYTES];

	if (yaml_get(item->node, "guest") != NULL && vm->kernel != NULL)
		problem_add(c->problems, lab_place(item, "guest"),
		    "guest stands beside kernel; keep one");
	if (yaml_get(item->node, "kernel") == NULL) {
		if (yaml_get(item->node, "initrd") != NULL)
			problem_add(c->problems, lab_place(item, "initrd"),
			    "initrd without kernel; add \"kernel: PATH\"");
		if (yaml_get(item->node, "cmdline") != NULL &&
		    vm->guest == GUEST_TINY)
			problem_add(c->problems, lab_place(item, "cmdline"),
			    "cmdline without kernel; add \"kernel: PATH\" or "
			    "\"guest: linux\"");
		check_tiny(c, vm);
	}
	if (is_linux && vm->memory_bytes < LINUX_IMAGE_LEAST_BYTES)
		problem_add(c->problems, lab_place(item, "memory"),
		    "memory: %s is too little for guest linux; use 96M or more",
		    size_text(size, vm->memory_bytes));
	if (vm->memory_bytes % 4096 != 0)
		problem_add(c->problems, lab_place(item, "memory"),
		    "memory is no multiple of 4K; write it in M");
	if (vm->cmdline != NULL && strlen(vm->cmdline) > CMDLINE_MAX_BYTES)
		problem_add(c->problems, lab_place(item, "cmdline"),
		    "cmdline is longer than %d letters; shorten it",
		    CMDLINE_MAX_BYTES);
	check_engine(c, vm);
	check_vm_ports(c, vm);
	check_balloon(c, vm);
	check_disks(c, vm);
}

void
lab_check_vms(const struct lab *lab, struct problems *problems)
{
	struct check_vm c = { lab, problems };

	for (unsigned int i = 0; i < lab->nvms; i++) {
		const struct lab_vm *vm = &lab->vms[i];
		const struct yaml *node = vm->item.node;

		if (i == 0 || node != vm[-1].item.node)
			check_vm(&c, vm);
		else if (i == 1 || node != vm[-2].item.node)
			check_disks(&c, vm);
	}
}
