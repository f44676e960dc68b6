/*
 * lapic.h - one CPU's local APIC (Intel SDM 3, chapter 11): xAPIC page and
 * x2APIC registers, priorities, local vector table, timer.
 *
 * The timer counts nanoseconds (LAPIC_BUS_KHZ) and its deadlines are in units
 * of the CPU's time-stamp counter, which runs at tsc_khz and was tsc_offset at
 * instant 0.  Time is an argument: nanoseconds that never go back.  The caller
 * holds the machine's lock.
 */
#ifndef VMM_CHIPS_LAPIC_H
#define VMM_CHIPS_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/chips/apic.h"

#define LAPIC_ADDRESS UINT64_C(0xfee00000) /* of the page, unless moved */
#define LAPIC_BYTES   0x1000
#define LAPIC_BUS_KHZ 1000000
#define LAPIC_NEVER   UINT64_MAX

#define LAPIC_MSR_BASE     0x1bu
#define LAPIC_MSR_DEADLINE 0x6e0u
#define LAPIC_MSR_X2       0x800u /* one for each 16 bytes of the page ... */
#define LAPIC_MSR_X2_END   0x8ffu /* ... up to here */

#define LAPIC_BASE_BSP    (UINT64_C(1) << 8)
#define LAPIC_BASE_X2     (UINT64_C(1) << 10)
#define LAPIC_BASE_ENABLE (UINT64_C(1) << 11)

/* Offsets in the page. */
enum {
	LAPIC_ID = 0x020,
	LAPIC_VERSION = 0x030,
	LAPIC_TPR = 0x080,
	LAPIC_APR = 0x090,
	LAPIC_PPR = 0x0a0,
	LAPIC_EOI = 0x0b0,
	LAPIC_LDR = 0x0d0,
	LAPIC_DFR = 0x0e0,
	LAPIC_SVR = 0x0f0,
	LAPIC_ISR = 0x100, /* eight words each */
	LAPIC_TMR = 0x180,
	LAPIC_IRR = 0x200,
	LAPIC_ESR = 0x280,
	LAPIC_ICR = 0x300,
	LAPIC_ICR_HIGH = 0x310,
	LAPIC_LVT = 0x320, /* one for each enum lapic_lvt */
	LAPIC_TIMER_INITIAL = 0x380,
	LAPIC_TIMER_CURRENT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
	LAPIC_SELF_IPI = 0x3f0, /* x2APIC only */
};

enum lapic_lvt {
	LAPIC_LVT_TIMER,
	LAPIC_LVT_THERMAL,
	LAPIC_LVT_PERF,
	LAPIC_LVT_LINT0,
	LAPIC_LVT_LINT1,
	LAPIC_LVT_ERROR,
	LAPIC_LVTS
};

#define LAPIC_LVT_MASKED   (1u << 16)
#define LAPIC_LVT_PERIODIC (1u << 17)
#define LAPIC_LVT_DEADLINE (1u << 18)
#define LAPIC_SVR_ENABLE   (1u << 8)

/* Errors, as bits of the status register. */
#define LAPIC_ERR_SEND    (1u << 5) /* of a vector below 16 */
#define LAPIC_ERR_RECEIVE (1u << 6)
#define LAPIC_ERR_ADDRESS (1u << 7)

/* To whom a CPU sends beside the destination. */
enum lapic_shorthand {
	LAPIC_TO_DESTINATION,
	LAPIC_TO_SELF,
	LAPIC_TO_ALL,
	LAPIC_TO_OTHERS,
};

struct lapic;

/* What it does to the rest of the machine. */
struct lapic_ops {
	void (*send)(void *arg, struct lapic *from,
	    const struct apic_message *message, enum lapic_shorthand to);
	/* The end of a level-triggered interrupt. */
	void (*eoi)(void *arg, uint8_t vector);
	void (*nmi)(void *arg, struct lapic *to);
};

struct lapic {
	const struct lapic_ops *ops;
	void *arg;
	unsigned int id;
	uint32_t tsc_khz;
	uint64_t tsc_offset;
	uint64_t base; /* MSR */
	uint8_t tpr;
	uint32_t ldr, dfr, svr;
	uint32_t isr[8], tmr[8], irr[8];
	uint32_t esr, errors; /* shown; since it was last written */
	uint64_t icr;
	uint32_t lvt[LAPIC_LVTS];
	bool lint0;
	/* the timer */
	uint32_t initial, divide;
	uint64_t deadline;  /* TSC, 0: none */
	uint64_t expire_ns; /* LAPIC_NEVER: not running */
};

/* As after power-up, by a firmware's leave: enabled, the boot CPU (id 0) with
 * the 8259 on LINT0 ("virtual wire"). */
void lapic_init(struct lapic *l, unsigned int id, uint32_t tsc_khz,
    const struct lapic_ops *ops, void *arg);
/* What INIT does: all but the base register and the id. */
void lapic_reset(struct lapic *l);

/* The CPU's counter is another one now: its frequency, and what it was at
 * instant 0. */
void lapic_set_tsc(
    struct lapic *l, uint32_t tsc_khz, uint64_t tsc_offset, uint64_t now_ns);

/*
 * Its registers as a page, and back: whatever the page says becomes a state that
 * could have come about.  What no register shows stands in the gaps between
 * them, zero if it is not known: behind the current count what is left of it in
 * nanoseconds, plus one, and behind the error status the errors that are not
 * yet shown.  The base register and the deadline are MSRs.
 */
#define LAPIC_STATE_BYTES  0x400
#define LAPIC_STATE_LEFT   0x394
#define LAPIC_STATE_ERRORS 0x284
void lapic_get(
    const struct lapic *l, uint8_t page[LAPIC_STATE_BYTES], uint64_t now_ns);
void lapic_set(struct lapic *l, uint64_t base, uint64_t deadline,
    const uint8_t page[LAPIC_STATE_BYTES], uint64_t now_ns);

/* Which of its faces is there; neither if it is switched off. */
bool lapic_has_page(const struct lapic *l);
bool lapic_is_on(const struct lapic *l);
uint64_t lapic_page(const struct lapic *l);

/* A 32-bit register of the page. */
uint32_t lapic_read(struct lapic *l, uint32_t offset, uint64_t now_ns);
void lapic_write(
    struct lapic *l, uint32_t offset, uint32_t value, uint64_t now_ns);

/* The registers named LAPIC_MSR above.  False: #GP. */
bool lapic_msr_read(
    struct lapic *l, uint32_t index, uint64_t *value, uint64_t now_ns);
bool lapic_msr_write(
    struct lapic *l, uint32_t index, uint64_t value, uint64_t now_ns);

/* CR8. */
uint8_t lapic_cr8(const struct lapic *l);
void lapic_set_cr8(struct lapic *l, uint8_t value);

/* Is it among those that a message is for? */
bool lapic_is_meant(const struct lapic *l, const struct apic_message *message);
/* Takes an interrupt.  False: it is off, or vector is no vector. */
bool lapic_accept(struct lapic *l, uint8_t vector, bool level);
uint8_t lapic_ppr(const struct lapic *l);

/* The vector for the CPU now, or -1.  Taking it puts it in service. */
int lapic_pending(const struct lapic *l);
void lapic_take(struct lapic *l, uint8_t vector);

/* The 8259's output, on LINT0. */
void lapic_lint0(struct lapic *l, bool level);
/* Does that go through to the CPU, which then asks the 8259 for the vector? */
bool lapic_extint(const struct lapic *l);

/* The timer: when it has something to do, and doing it. */
uint64_t lapic_next_ns(const struct lapic *l);
void lapic_advance(struct lapic *l, uint64_t now_ns);

#endif
