/*
 * check_vm.h - what VMs of a lab cannot have or be; a part of lab_check().
 */
#ifndef LAB_CHECK_VM_H
#define LAB_CHECK_VM_H

#include "lab/model.h"

void lab_check_vms(const struct lab *lab, struct problems *problems);

#endif
