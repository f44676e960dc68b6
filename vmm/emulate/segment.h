/*
 * segment.h - segments as other parts of the interpreter change them.
 */
#ifndef VMM_EMULATE_SEGMENT_H
#define VMM_EMULATE_SEGMENT_H

#include "vmm/emulate/emu.h"

/* ES, SS, DS, FS or GS from a selector; faults. */
void emu_load_segment(struct emu_cpu *cpu, const struct op *op, unsigned int s,
    uint16_t selector);

/* RFLAGS as a whole. */
void emu_set_flags(struct emu_cpu *cpu, uint32_t flags);

#endif
