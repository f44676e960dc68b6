/*
 * lapic_parts.h - what the files of the local APIC share: lapic.c is the chip,
 * lapic_state.c has it as a value.
 */
#ifndef VMM_CHIPS_LAPIC_PARTS_H
#define VMM_CHIPS_LAPIC_PARTS_H

#include "vmm/chips/lapic.h"

#define VERSION    ((LAPIC_LVTS - 1) << 16 | 0x14)
#define BASE_FLAGS (LAPIC_BASE_BSP | LAPIC_BASE_X2 | LAPIC_BASE_ENABLE)
#define BASE_PAGE  UINT64_C(0x000000fffffff000) /* 40 bits of address */

#define LVT_VECTOR      0x000000ffu
#define LVT_MODE(lvt)   ((enum apic_mode)((lvt) >> 8 & 7))
#define LVT_TIMER_MODES (LAPIC_LVT_PERIODIC | LAPIC_LVT_DEADLINE)

#define DFR_FLAT    0xf
#define DFR_CLUSTER 0x0
#define DFR_ONES    0x0fffffffu

#define ICR_LOGICAL  (1u << 11)
#define ICR_ASSERT   (1u << 14)
#define ICR_LEVEL    (1u << 15)
#define ICR_WRITABLE 0x000ccfffu

#define READ  1
#define WRITE 2

#define REGS     0x40
#define REG(off) ((off) >> 4)

/* What the MSR of a register can do, which bits it takes (the page drops the
 * others), and which more may be set in a write of the MSR. */
struct lapic_reg {
	uint8_t can;
	uint32_t writable, tolerated;
};
extern const struct lapic_reg lapic_regs[REGS];

static inline bool
is_x2(const struct lapic *l)
{
	return (l->base & (LAPIC_BASE_ENABLE | LAPIC_BASE_X2)) ==
	    (LAPIC_BASE_ENABLE | LAPIC_BASE_X2);
}

static inline uint32_t
x2_ldr(const struct lapic *l)
{
	return (l->id & ~15u) << 12 | 1u << (l->id & 15);
}

/* Nanoseconds of a count are a shift: by 2, 4, ... 128, and by 1. */
static inline unsigned int
shift(const struct lapic *l)
{
	unsigned int code = (l->divide & 3) | (l->divide >> 1 & 4);

	return (code + 1) & 7;
}

static inline bool
by_deadline(const struct lapic *l)
{
	return l->lvt[LAPIC_LVT_TIMER] & LAPIC_LVT_DEADLINE;
}

/* The timer: its count now, and begun anew with count (0: stopped), or to end
 * at a deadline. */
uint32_t lapic_current_count(const struct lapic *l, uint64_t now_ns);
void lapic_start_timer(struct lapic *l, uint32_t count, uint64_t now_ns);
void lapic_write_deadline(struct lapic *l, uint64_t tsc, uint64_t now_ns);

#endif
