/*
 * cpu_state.h - all that one virtual CPU is, as a value.
 *
 * Every engine can give it and take it, so that a guest can stop on one and go
 * on with another.  Numbers and layouts are the architecture's: selectors'
 * attributes as in a descriptor, FPU and vector registers as XSAVE's standard
 * form, the local APIC's registers as its page.
 */
#ifndef VMM_CPU_STATE_H
#define VMM_CPU_STATE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* By number in instructions. */
enum cpu_gpr {
	CPU_RAX,
	CPU_RCX,
	CPU_RDX,
	CPU_RBX,
	CPU_RSP,
	CPU_RBP,
	CPU_RSI,
	CPU_RDI,
	CPU_R8,
	CPU_R9,
	CPU_R10,
	CPU_R11,
	CPU_R12,
	CPU_R13,
	CPU_R14,
	CPU_R15,
	CPU_GPRS
};

enum cpu_segment {
	CPU_ES,
	CPU_CS,
	CPU_SS,
	CPU_DS,
	CPU_FS,
	CPU_GS,
	CPU_LDTR,
	CPU_TR,
	CPU_SEGMENTS
};

/* Attributes: bits 40 to 47 and 52 to 55 of a descriptor, and whether the
 * register is loaded with a null selector. */
#define CPU_SEG_TYPE     0x000fu
#define CPU_SEG_CODE     0x0010u /* S: code or data, not a system segment */
#define CPU_SEG_DPL(n)   ((unsigned int)(n) << 5)
#define CPU_SEG_PRESENT  0x0080u
#define CPU_SEG_AVL      0x1000u
#define CPU_SEG_LONG     0x2000u
#define CPU_SEG_32       0x4000u /* D/B */
#define CPU_SEG_PAGES    0x8000u /* G */
#define CPU_SEG_UNUSABLE 0x10000u

struct cpu_seg {
	uint64_t base;
	uint32_t limit; /* in bytes, whatever CPU_SEG_PAGES says */
	uint32_t attributes;
	uint16_t selector;
};

struct cpu_table {
	uint64_t base;
	uint16_t limit;
};

/* What a CPU waits for before it executes anything. */
enum cpu_run { CPU_RUNNING, CPU_HALTED, CPU_WAIT_INIT, CPU_WAIT_SIPI };

/* Model-specific registers that a guest can set. */
enum cpu_msr {
	CPU_MSR_TSC,
	CPU_MSR_APIC_BASE,
	CPU_MSR_MISC_ENABLE,
	CPU_MSR_PAT,
	CPU_MSR_EFER,
	CPU_MSR_STAR,
	CPU_MSR_LSTAR,
	CPU_MSR_CSTAR,
	CPU_MSR_SFMASK,
	CPU_MSR_KERNEL_GS_BASE,
	CPU_MSR_SYSENTER_CS,
	CPU_MSR_SYSENTER_ESP,
	CPU_MSR_SYSENTER_EIP,
	CPU_MSR_TSC_AUX,
	CPU_MSR_TSC_DEADLINE,
	CPU_MSR_SPEC_CTRL,
	CPU_MSR_MTRR_DEFAULT,
	CPU_MSR_KVM_WALL_CLOCK,
	CPU_MSR_KVM_SYSTEM_TIME,
	CPU_MSR_KVM_ASYNC_PF,
	CPU_MSR_KVM_STEAL_TIME,
	CPU_MSR_KVM_EOI,
	CPU_MSR_KVM_POLL,
	CPU_MSRS
};

#define CPU_MTRR_FIXED    11
#define CPU_MTRR_VARIABLE 8
#define CPU_XSAVE_BYTES   4096
#define CPU_APIC_BYTES    1024

struct cpu_state {
	uint64_t gpr[CPU_GPRS];
	uint64_t rip, rflags;
	struct cpu_seg seg[CPU_SEGMENTS];
	struct cpu_table gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8;
	uint64_t dr[4], dr6, dr7;
	uint64_t xcr0;

	uint32_t msr_valid; /* which of msr[] this CPU has, by bit */
	uint64_t msr[CPU_MSRS];
	uint64_t mtrr_fixed[CPU_MTRR_FIXED];
	uint64_t mtrr_base[CPU_MTRR_VARIABLE], mtrr_mask[CPU_MTRR_VARIABLE];

	uint8_t xsave[CPU_XSAVE_BYTES];
	uint8_t apic[CPU_APIC_BYTES];

	enum cpu_run run;
	/* What was on its way into the CPU. */
	bool exception_pending, exception_has_code;
	uint8_t exception;
	uint32_t exception_code;
	bool interrupt_pending; /* accepted, not yet delivered */
	uint8_t interrupt;
	bool interrupt_shadow; /* after STI or MOV SS */
	uint8_t nmi_pending;   /* how many, 0 to 2 */
	bool nmi_masked;
	uint8_t sipi_vector;
};

static_assert(CPU_MSRS <= 32, "msr_valid has too few bits");

#endif
