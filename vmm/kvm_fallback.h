/*
 * kvm_fallback.h - instructions that the host's KVM cannot execute, one at a
 * time, by the interpreter.
 */
#ifndef VMM_KVM_FALLBACK_H
#define VMM_KVM_FALLBACK_H

#include "vmm/kvm.h"

enum kvm_fallback_result {
	FALLBACK_DONE,     /* the instruction is over, or its exception begun */
	FALLBACK_UNKNOWN,  /* the interpreter does not know it either */
	FALLBACK_SHUTDOWN, /* a triple fault */
	FALLBACK_FAILED,   /* *err */
};

/* With the CPU stopped at the instruction, which has these first bytes (n may be
 * 0: not known), by its thread.  A locked one waits until no other CPU of the
 * machine is in KVM. */
enum kvm_fallback_result kvm_fallback(
    struct kvm_cpu *cpu, const uint8_t *bytes, unsigned int n, struct err *err);

/* Around each KVM_RUN. */
void kvm_fallback_enter(struct kvm_vm *vm);
void kvm_fallback_leave(struct kvm_vm *vm);

void kvm_fallback_init(struct kvm_vm *vm, const struct engine_config *config);
void kvm_fallback_free(struct kvm_vm *vm);

#endif
