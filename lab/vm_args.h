/*
 * vm_args.h - the command line of "lanyard vm" for a VM of a lab.
 *
 * In the lab's run directory a VM has the sockets VM.con and VM.agent, of its
 * ports VM.PORT.sock, and the files VM.console (what it wrote to its console)
 * and VM.log (what its process said).
 */
#ifndef LAB_VM_ARGS_H
#define LAB_VM_ARGS_H

#include <jansson.h>

#include "base/err.h"
#include "lab/arena.h"
#include "lab/argv.h"
#include "lab/model.h"

struct vm_args {
	const char *program; /* to be found in PATH; NULL: this one */
	struct argv line;
	struct arena *arena;
};

/* 0, or -Exxx with *err: a kernel that cannot be read, a disk that cannot be
 * used, or a Linux guest that has not been made. */
int vm_args_make(struct vm_args *args, const struct lab_vm *vm,
    const struct lab *lab, const char *dir, struct err *err);
/* The same for other programs, as a list of words: the caller's.  NULL: *err. */
json_t *vm_args_json(const struct lab_vm *vm, const struct lab *lab,
    const char *dir, struct err *err);
/* It is to begin at a checkpoint. */
void vm_args_restore(struct vm_args *args, const char *name);
void vm_args_free(struct vm_args *args);

/* The directory of the checkpoints of VMs that write no disk.  In arena; NULL: no
 * memory. */
char *vm_args_checkpoints(struct arena *arena, const struct lab *lab);

/* A file that the VM reads, a disk that it uses, by its path from here: *found,
 * in arena; NULL: there is none, or no memory. */
int vm_args_file(struct arena *arena, const struct lab *lab,
    const struct lab_vm *vm, const char *path, const char **found,
    struct err *err);
int vm_args_disk(struct arena *arena, const struct lab *lab,
    const struct lab_vm *vm, const struct lab_disk *disk, const char **found,
    struct err *err);

/* What the guest is told of itself: "lanyard.name=alice lanyard.eth0=dhcp".  In
 * arena; NULL: no memory. */
char *vm_args_cmdline(
    struct arena *arena, const struct lab *lab, const struct lab_vm *vm);

#endif
