/*
 * segment.h - descriptors and segments, for the parts of the interpreter that
 * transfer control.
 */
#ifndef VMM_EMULATE_SEGMENT_H
#define VMM_EMULATE_SEGMENT_H

#include "vmm/emulate/emu.h"

#define GATE_TASK 0x5 /* hardware tasks are not there: #UD */

struct descriptor {
	uint64_t at; /* where it stands */
	uint32_t low, high;
};

#define DESC_TYPE(d)     ((d).high >> 8 & 15)
#define DESC_IS_USER(d)  ((d).high & 0x1000) /* code or data */
#define DESC_DPL(d)      ((d).high >> 13 & 3)
#define DESC_PRESENT(d)  ((d).high & 0x8000)
#define DESC_IS_CODE(d)  ((d).high & 0x800)
#define DESC_CONFORMS(d) ((d).high & 0x400)
#define DESC_LONG        0x200000u /* of high */

/* Reads the descriptor that selector names; false: it is beyond its table. */
bool emu_find_descriptor(struct emu_cpu *cpu, const struct op *op,
    uint16_t selector, struct descriptor *d);

/* A segment register loaded with it. */
struct cpu_seg emu_seg_of(const struct descriptor *d, uint16_t selector);

/* Sets its accessed bit. */
void emu_mark_accessed(
    struct emu_cpu *cpu, const struct op *op, struct descriptor *d);

/* Do bytes from offset on lie in it? */
bool emu_segment_has(
    const struct cpu_seg *seg, uint64_t offset, unsigned int bytes);

/* A segment register in real mode. */
void emu_load_real(struct emu_cpu *cpu, unsigned int s, uint16_t selector);

/* ES, SS, DS, FS or GS from a selector; faults. */
void emu_load_segment(struct emu_cpu *cpu, const struct op *op, unsigned int s,
    uint16_t selector);

/* Checks a code descriptor for a transfer to privilege cpl; ext is of the error
 * code. */
void emu_check_code(struct emu_cpu *cpu, const struct op *op, uint16_t selector,
    const struct descriptor *d, unsigned int cpl, unsigned int ext);

/* CS, and the privilege; emu_mark_accessed() was called. */
void emu_set_code(struct emu_cpu *cpu, const struct descriptor *d,
    uint16_t selector, unsigned int cpl);

/* A stack for code at privilege cpl, which is not the CPU's own before
 * emu_stack_take(): that of the TSS's entry ist, or if cpl is an inner one of
 * its entry for it, or the present one.  ext is of error codes. */
struct stack {
	uint64_t sp, mask, base;
	struct cpu_seg seg;
	bool changed; /* to an inner privilege's */
	unsigned int ext;
};
struct stack emu_stack(struct emu_cpu *cpu, const struct op *op,
    unsigned int cpl, unsigned int ist, unsigned int ext);
void emu_stack_push(struct emu_cpu *cpu, const struct op *op,
    struct stack *stack, unsigned int bytes, uint64_t value);
void emu_stack_take(struct emu_cpu *cpu, const struct stack *stack);

/* RFLAGS as a whole. */
void emu_set_flags(struct emu_cpu *cpu, uint32_t flags);

#endif
