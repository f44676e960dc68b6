/*
 * engine_chips.h - software engines, made whole by our interrupt controllers
 * and timers.
 *
 * An engine that only executes instructions (engine.has_chips is false) has no
 * 8259, IOAPIC, local APIC, 8254 or kvmclock.  These rows of engines[] add
 * them (chips.h), so that a machine need not know the difference to KVM.
 */
#ifndef VMM_CHIPS_ENGINE_CHIPS_H
#define VMM_CHIPS_ENGINE_CHIPS_H

#include "vmm/engine.h"

extern const struct engine engine_emulate_pc; /* "emulate" */

#endif
