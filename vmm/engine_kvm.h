/*
 * engine_kvm.h - guests on the host's KVM, with its own interrupt controllers
 * (or without: engine.h).
 */
#ifndef VMM_ENGINE_KVM_H
#define VMM_ENGINE_KVM_H

#include "vmm/engine.h"

extern const struct engine engine_kvm;

#endif
