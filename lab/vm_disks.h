/*
 * vm_disks.h - the disks of a lab's VMs, made when they are missing.
 *
 * A disk with a size is made empty, one with a base on top of that (as by "disk
 * clone --linked"), which is frozen from then on.  What is there already stays
 * as it is.
 */
#ifndef LAB_VM_DISKS_H
#define LAB_VM_DISKS_H

#include "base/err.h"
#include "lab/model.h"

/* 0, or -Exxx with *err; what was made before stays. */
int vm_disks_make(const struct lab *lab, struct err *err);

#endif
