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

/* Runs a small guest.  0, with the time that one of its instructions took; or
 * -Exxx with *err saying what to do.  Takes a few milliseconds. */
int kvm_probe(uint64_t *instruction_ps, struct err *err);

/* The frequency of a guest's time-stamp counter on this host, if nobody asks for
 * another one.  0 or -Exxx with *err. */
int kvm_tsc_khz(uint64_t *khz, struct err *err);

#endif
