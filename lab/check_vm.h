/*
 * check_vm.h - what VMs of a lab cannot have or be; a part of lab_check().
 */
#ifndef LAB_CHECK_VM_H
#define LAB_CHECK_VM_H

#include "lab/model.h"

void lab_check_vms(const struct lab *lab, struct problems *problems);

/* What QEMU cannot do of what the VM asks for, as a sentence, of which key of
 * the file; NULL: nothing. */
const char *qemu_refusal(const struct lab_vm *vm, const char **key);

#endif
