/*
 * qemu_args.h - a VM of a lab as QEMU's command line.
 *
 * It has the sockets and files that vm_args.h names: cards by vhost-user to the
 * same ports, serial ports on the same sockets, so that a lab need not know
 * which program runs a VM.
 */
#ifndef LAB_QEMU_ARGS_H
#define LAB_QEMU_ARGS_H

#include <stdbool.h>

#include "lab/vm_args.h"

#define QEMU_PROGRAM "qemu-system-x86_64"

/* args->program is found in PATH.  hardware: KVM is.  0, or -Exxx with *err as
 * vm_args_make(). */
int qemu_args_make(struct vm_args *args, const struct lab_vm *vm,
    const struct lab *lab, const char *dir, bool hardware, struct err *err);

#endif
