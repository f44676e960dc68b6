/*
 * engine_kvm.h - guests on the host's KVM, with its own interrupt controllers
 * (or without: engine.h).
 */
#ifndef VMM_ENGINE_KVM_H
#define VMM_ENGINE_KVM_H

#include "vmm/engine.h"

extern const struct engine engine_kvm;

/* An instruction that takes longer, in picoseconds, is executed by software:
 * hardware takes less than a tenth of it, software ten times as long. */
#define KVM_HARDWARE_PS 50000

/* What guests find out about this host's KVM. */
struct kvm_probe {
	uint64_t instruction_ps; /* what one takes */
	bool calls_system;       /* SYSCALL comes from ring 3 to ring 0 */
};

/* Runs small guests.  0; or -Exxx with *err saying what to do: none can run.
 * Takes a few milliseconds. */
int kvm_probe(struct kvm_probe *probe, struct err *err);

/* The same guests on another engine. */
int kvm_probe_on(
    const struct engine *engine, struct kvm_probe *probe, struct err *err);

/* The CPU executes guests, and all that guests of an operating system do. */
bool kvm_is_hardware(const struct kvm_probe *probe);

/* A new guest's time-stamp counter on this host, if nobody sets it: 0 or -Exxx
 * with *err. */
struct kvm_counter {
	uint32_t khz;
	uint64_t value;
};
int kvm_counter(struct kvm_counter *counter, struct err *err);

#endif
