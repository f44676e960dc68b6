/*
 * The local APIC.
 *
 * Both faces, page and MSRs, come down to the same two functions on a
 * register's number (its offset / 16); what they refuse differs: the page
 * ignores, the MSRs fault.  lapic_regs[] says what can be read and written.
 *
 * A vector in IRR is one that waits, in ISR one in service; TMR says which
 * were level-triggered.  What the CPU is to take is the highest in IRR, if its
 * class (upper four bits) is above the processor priority's.
 *
 * The timer is an instant, expire_ns; what its current count is follows from
 * it.  A periodic one that was not looked at for several periods fires once:
 * what a CPU sees of two expirations between two looks is one bit in IRR.
 * Nobody waits for a masked timer.
 *
 * Left out: SMIs (there is no such mode), INIT and level-triggered interrupts
 * by LINT pins (the 8259 drives the only one that is wired, as an edge or as
 * ExtINT), focus processors, and arbitration (a message arrives at once).  A
 * spurious vector is never needed: acknowledging does not race with anything.
 * The id is fixed.
 */
#include "vmm/chips/lapic.h"

#include <assert.h>
#include <string.h>

#include "vmm/chips/lapic_parts.h"

#define NS_PER_MS 1000000u

const struct lapic_reg lapic_regs[REGS] = {
	[REG(LAPIC_ID)] = { READ, 0, 0 },
	[REG(LAPIC_VERSION)] = { READ, 0, 0 },
	[REG(LAPIC_TPR)] = { READ | WRITE, 0xff, 0 },
	[REG(LAPIC_PPR)] = { READ, 0, 0 },
	[REG(LAPIC_EOI)] = { WRITE, 0, 0 },
	[REG(LAPIC_LDR)] = { READ, 0, 0 },
	[REG(LAPIC_SVR)] = { READ | WRITE, 0x3ff, 0 },
	[REG(LAPIC_ISR)... REG(LAPIC_IRR) + 7] = { READ, 0, 0 },
	[REG(LAPIC_ESR)] = { READ | WRITE, 0, 0 },
	[REG(LAPIC_ICR)] = { READ | WRITE, ICR_WRITABLE, 1u << 12 },
	[REG(LAPIC_LVT) + LAPIC_LVT_TIMER] = { READ | WRITE, 0x700ff, 0x1000 },
	[REG(LAPIC_LVT) +
	    LAPIC_LVT_THERMAL] = { READ | WRITE, 0x107ff, 0x1000 },
	[REG(LAPIC_LVT) + LAPIC_LVT_PERF] = { READ | WRITE, 0x107ff, 0x1000 },
	[REG(LAPIC_LVT) + LAPIC_LVT_LINT0] = { READ | WRITE, 0x1a7ff, 0x5000 },
	[REG(LAPIC_LVT) + LAPIC_LVT_LINT1] = { READ | WRITE, 0x1a7ff, 0x5000 },
	[REG(LAPIC_LVT) + LAPIC_LVT_ERROR] = { READ | WRITE, 0x100ff, 0x1000 },
	[REG(LAPIC_TIMER_INITIAL)] = { READ | WRITE, 0xffffffff, 0 },
	[REG(LAPIC_TIMER_CURRENT)] = { READ, 0, 0 },
	[REG(LAPIC_TIMER_DIVIDE)] = { READ | WRITE, 0xb, 0 },
	[REG(LAPIC_SELF_IPI)] = { WRITE, 0xff, 0 },
};

/* ---- sets of vectors ---- */

static void
set_put(uint32_t set[8], uint8_t vector, bool in)
{
	uint32_t bit = UINT32_C(1) << (vector & 31);

	set[vector >> 5] =
	    in ? set[vector >> 5] | bit : set[vector >> 5] & ~bit;
}

static bool
set_has(const uint32_t set[8], uint8_t vector)
{
	return set[vector >> 5] >> (vector & 31) & 1;
}

/* -1: none. */
static int
set_highest(const uint32_t set[8])
{
	for (int i = 7; i >= 0; i--)
		if (set[i] != 0)
			return 32 * i + 31 - __builtin_clz(set[i]);
	return -1;
}

/* ---- life ---- */

bool
lapic_is_on(const struct lapic *l)
{
	return l->base & LAPIC_BASE_ENABLE;
}

bool
lapic_has_page(const struct lapic *l)
{
	return lapic_is_on(l) && !is_x2(l);
}

uint64_t
lapic_page(const struct lapic *l)
{
	return l->base & BASE_PAGE;
}

void
lapic_reset(struct lapic *l)
{
	l->tpr = 0;
	l->ldr = is_x2(l) ? x2_ldr(l) : 0;
	l->dfr = 0xffffffff;
	l->svr = 0xff;
	memset(l->isr, 0, sizeof(l->isr));
	memset(l->tmr, 0, sizeof(l->tmr));
	memset(l->irr, 0, sizeof(l->irr));
	l->esr = l->errors = 0;
	l->icr = 0;
	for (unsigned int i = 0; i < LAPIC_LVTS; i++)
		l->lvt[i] = LAPIC_LVT_MASKED;
	l->initial = l->divide = 0;
	l->deadline = 0;
	l->expire_ns = LAPIC_NEVER;
}

void
lapic_init(struct lapic *l, unsigned int id, uint32_t tsc_khz,
    const struct lapic_ops *ops, void *arg)
{
	memset(l, 0, sizeof(*l));
	l->ops = ops;
	l->arg = arg;
	l->id = id;
	l->tsc_khz = tsc_khz;
	l->base = LAPIC_ADDRESS | LAPIC_BASE_ENABLE;
	lapic_reset(l);
	if (id == 0) {
		l->base |= LAPIC_BASE_BSP;
		l->lvt[LAPIC_LVT_LINT0] = APIC_EXTINT << 8;
	}
}

/* ---- interrupts in ---- */

/* Notes an error and tells of it, unless that would be another one. */
static void
error(struct lapic *l, uint32_t bit)
{
	uint32_t lvt = l->lvt[LAPIC_LVT_ERROR];
	uint8_t vector = lvt & LVT_VECTOR;

	l->errors |= bit;
	if (lvt & LAPIC_LVT_MASKED)
		return;
	if (vector < APIC_VECTOR_MIN)
		l->errors |= LAPIC_ERR_RECEIVE;
	else
		lapic_accept(l, vector, false);
}

bool
lapic_accept(struct lapic *l, uint8_t vector, bool level)
{
	if (!lapic_is_on(l) || !(l->svr & LAPIC_SVR_ENABLE))
		return false;
	if (vector < APIC_VECTOR_MIN) {
		error(l, LAPIC_ERR_RECEIVE);
		return false;
	}
	set_put(l->irr, vector, true);
	set_put(l->tmr, vector, level);
	return true;
}

/* An event of the local vector table. */
static void
local(struct lapic *l, enum lapic_lvt which)
{
	uint32_t lvt = l->lvt[which];

	if (lvt & LAPIC_LVT_MASKED)
		return;
	switch (LVT_MODE(lvt)) {
	case APIC_FIXED: lapic_accept(l, lvt & LVT_VECTOR, false); break;
	case APIC_NMI: l->ops->nmi(l->arg, l); break;
	case APIC_EXTINT: /* the 8259's vector, by lapic_extint() */
	case APIC_LOWEST:
	case APIC_SMI:
	case APIC_RESERVED:
	case APIC_INIT:
	case APIC_SIPI: break;
	}
}

static bool
is_in_set(const struct lapic *l, uint32_t destination)
{
	uint32_t mine = l->ldr >> 24;

	if (is_x2(l))
		return destination >> 16 == l->ldr >> 16 &&
		    (destination & l->ldr & 0xffff) != 0;
	switch (l->dfr >> 28) {
	case DFR_FLAT: return (destination & mine) != 0;
	case DFR_CLUSTER:
		return destination >> 4 == mine >> 4 &&
		    (destination & mine & 0xf) != 0;
	default: return false;
	}
}

bool
lapic_is_meant(const struct lapic *l, const struct apic_message *message)
{
	uint32_t all = message->wide ? APIC_ALL_32 : APIC_ALL_8;

	if (!lapic_is_on(l))
		return false;
	if (message->destination == all)
		return true;
	return message->logical ? is_in_set(l, message->destination)
				: message->destination == l->id;
}

uint8_t
lapic_ppr(const struct lapic *l)
{
	int served = set_highest(l->isr);

	if (served < 0 || l->tpr >> 4 >= served >> 4)
		return l->tpr;
	return served & 0xf0;
}

int
lapic_pending(const struct lapic *l)
{
	int vector = lapic_is_on(l) ? set_highest(l->irr) : -1;

	return vector >= 0 && vector >> 4 > lapic_ppr(l) >> 4 ? vector : -1;
}

void
lapic_take(struct lapic *l, uint8_t vector)
{
	assert(set_has(l->irr, vector));
	set_put(l->irr, vector, false);
	set_put(l->isr, vector, true);
}

static void
end_of_interrupt(struct lapic *l)
{
	int vector = set_highest(l->isr);

	if (vector < 0)
		return;
	set_put(l->isr, (uint8_t)vector, false);
	if (set_has(l->tmr, (uint8_t)vector))
		l->ops->eoi(l->arg, (uint8_t)vector);
}

void
lapic_lint0(struct lapic *l, bool level)
{
	bool was = l->lint0;

	l->lint0 = level;
	if (level && !was && lapic_is_on(l))
		local(l, LAPIC_LVT_LINT0);
}

bool
lapic_extint(const struct lapic *l)
{
	uint32_t lvt = l->lvt[LAPIC_LVT_LINT0];

	if (!lapic_is_on(l)) /* the pin is the CPU's INTR */
		return l->base & LAPIC_BASE_BSP;
	return !(lvt & LAPIC_LVT_MASKED) && LVT_MODE(lvt) == APIC_EXTINT;
}

/* ---- interrupts out ---- */

static void
send(struct lapic *l)
{
	uint32_t low = (uint32_t)l->icr;
	enum lapic_shorthand to = (enum lapic_shorthand)(low >> 18 & 3);
	struct apic_message message = {
		.destination = (uint32_t)(l->icr >> (is_x2(l) ? 32 : 56)),
		.wide = is_x2(l),
		.logical = low & ICR_LOGICAL,
		.mode = (enum apic_mode)(low >> 8 & 7),
		.vector = (uint8_t)low,
	};

	switch (message.mode) {
	case APIC_FIXED:
	case APIC_LOWEST:
		if (message.vector < APIC_VECTOR_MIN) {
			error(l, LAPIC_ERR_SEND);
			return;
		}
		break;
	case APIC_INIT:
		if ((low & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL)
			return; /* the end of an INIT: nothing since P6 */
				/* FALLTHROUGH */
	case APIC_NMI:
	case APIC_SIPI:
		/* Not to oneself (table 11-3). */
		if (to == LAPIC_TO_SELF || to == LAPIC_TO_ALL)
			return;
		break;
	case APIC_SMI:
	case APIC_RESERVED:
	case APIC_EXTINT: return;
	}
	l->ops->send(l->arg, l, &message, to);
}

/* ---- the timer ---- */

/* The instant at which the counter reaches tsc: now, if it has. */
static uint64_t
ns_of_tsc(const struct lapic *l, uint64_t tsc, uint64_t now_ns)
{
	uint64_t now_tsc = l->tsc_offset +
	    (uint64_t)((unsigned __int128)now_ns * l->tsc_khz / NS_PER_MS);
	unsigned __int128 ns;

	if (tsc <= now_tsc)
		return now_ns;
	/* From instant 0 on, so that no error adds up. */
	ns = ((unsigned __int128)(tsc - l->tsc_offset) * NS_PER_MS +
		 l->tsc_khz - 1) /
	    l->tsc_khz;
	return ns < LAPIC_NEVER ? (uint64_t)ns : LAPIC_NEVER - 1;
}

void
lapic_set_tsc(
    struct lapic *l, uint32_t tsc_khz, uint64_t tsc_offset, uint64_t now_ns)
{
	l->tsc_khz = tsc_khz;
	l->tsc_offset = tsc_offset;
	if (l->deadline != 0)
		l->expire_ns = ns_of_tsc(l, l->deadline, now_ns);
}

void
lapic_advance(struct lapic *l, uint64_t now_ns)
{
	uint64_t period_ns = (uint64_t)l->initial << shift(l);

	if (now_ns < l->expire_ns)
		return;
	if (l->lvt[LAPIC_LVT_TIMER] & LAPIC_LVT_PERIODIC)
		l->expire_ns +=
		    ((now_ns - l->expire_ns) / period_ns + 1) * period_ns;
	else
		l->expire_ns = LAPIC_NEVER;
	l->deadline = 0;
	local(l, LAPIC_LVT_TIMER);
}

uint64_t
lapic_next_ns(const struct lapic *l)
{
	return l->lvt[LAPIC_LVT_TIMER] & LAPIC_LVT_MASKED ? LAPIC_NEVER
							  : l->expire_ns;
}

uint32_t
lapic_current_count(const struct lapic *l, uint64_t now_ns)
{
	uint64_t left_ns;

	if (by_deadline(l) || l->expire_ns == LAPIC_NEVER)
		return 0;
	left_ns = l->expire_ns - now_ns;
	return (
	    uint32_t)((left_ns + (UINT64_C(1) << shift(l)) - 1) >> shift(l));
}

void
lapic_start_timer(struct lapic *l, uint32_t count, uint64_t now_ns)
{
	l->expire_ns = LAPIC_NEVER;
	if (count != 0)
		l->expire_ns = now_ns + ((uint64_t)count << shift(l));
}

static void
write_initial(struct lapic *l, uint32_t value, uint64_t now_ns)
{
	if (by_deadline(l))
		return;
	l->initial = value;
	lapic_start_timer(l, value, now_ns);
}

static void
write_divide(struct lapic *l, uint32_t value, uint64_t now_ns)
{
	uint32_t left = lapic_current_count(l, now_ns);

	l->divide = value;
	if (!by_deadline(l))
		lapic_start_timer(l, left, now_ns);
}

void
lapic_write_deadline(struct lapic *l, uint64_t tsc, uint64_t now_ns)
{
	if (!by_deadline(l))
		return;
	l->deadline = tsc;
	l->expire_ns = tsc != 0 ? ns_of_tsc(l, tsc, now_ns) : LAPIC_NEVER;
}

/* ---- registers ---- */

static void
write_lvt(struct lapic *l, enum lapic_lvt which, uint32_t value)
{
	uint32_t changed = l->lvt[which] ^ value;

	if (!(l->svr & LAPIC_SVR_ENABLE))
		value |= LAPIC_LVT_MASKED;
	if (which == LAPIC_LVT_TIMER) {
		/* Both bits: a reserved mode. */
		if ((value & LVT_TIMER_MODES) == LVT_TIMER_MODES)
			value &= ~LAPIC_LVT_PERIODIC;
		if (changed & LAPIC_LVT_DEADLINE) {
			l->initial = 0;
			l->deadline = 0;
			l->expire_ns = LAPIC_NEVER;
		}
	}
	l->lvt[which] = value;
}

static void
write_svr(struct lapic *l, uint32_t value)
{
	l->svr = value;
	if (value & LAPIC_SVR_ENABLE)
		return;
	for (unsigned int i = 0; i < LAPIC_LVTS; i++)
		l->lvt[i] |= LAPIC_LVT_MASKED;
}

static void
write_esr(struct lapic *l)
{
	l->esr = l->errors;
	l->errors = 0;
}

static uint32_t
reg_read(struct lapic *l, uint32_t reg, uint64_t now_ns)
{
	if (reg >= REG(LAPIC_LVT) && reg < REG(LAPIC_LVT) + LAPIC_LVTS)
		return l->lvt[reg - REG(LAPIC_LVT)];
	switch (reg) {
	case REG(LAPIC_ID): return is_x2(l) ? l->id : l->id << 24;
	case REG(LAPIC_VERSION): return VERSION;
	case REG(LAPIC_TPR): return l->tpr;
	case REG(LAPIC_APR):
	case REG(LAPIC_PPR): return lapic_ppr(l);
	case REG(LAPIC_LDR): return l->ldr;
	case REG(LAPIC_DFR): return l->dfr;
	case REG(LAPIC_SVR): return l->svr;
	case REG(LAPIC_ESR): return l->esr;
	case REG(LAPIC_ICR): return (uint32_t)l->icr;
	case REG(LAPIC_ICR_HIGH): return (uint32_t)(l->icr >> 32);
	case REG(LAPIC_TIMER_INITIAL): return l->initial;
	case REG(LAPIC_TIMER_CURRENT): return lapic_current_count(l, now_ns);
	case REG(LAPIC_TIMER_DIVIDE): return l->divide;
	default: break;
	}
	if (reg >= REG(LAPIC_ISR) && reg < REG(LAPIC_TMR))
		return l->isr[reg & 7];
	if (reg >= REG(LAPIC_TMR) && reg < REG(LAPIC_IRR))
		return l->tmr[reg & 7];
	if (reg >= REG(LAPIC_IRR) && reg < REG(LAPIC_ESR))
		return l->irr[reg & 7];
	return 0;
}

/* value has writable bits only. */
static void
reg_write(struct lapic *l, uint32_t reg, uint32_t value, uint64_t now_ns)
{
	if (reg >= REG(LAPIC_LVT) && reg < REG(LAPIC_LVT) + LAPIC_LVTS) {
		write_lvt(l, (enum lapic_lvt)(reg - REG(LAPIC_LVT)), value);
		return;
	}
	switch (reg) {
	case REG(LAPIC_TPR): l->tpr = (uint8_t)value; break;
	case REG(LAPIC_EOI): end_of_interrupt(l); break;
	case REG(LAPIC_SVR): write_svr(l, value); break;
	case REG(LAPIC_ESR): write_esr(l); break;
	case REG(LAPIC_TIMER_INITIAL): write_initial(l, value, now_ns); break;
	case REG(LAPIC_TIMER_DIVIDE): write_divide(l, value, now_ns); break;
	default: break;
	}
}

uint32_t
lapic_read(struct lapic *l, uint32_t offset, uint64_t now_ns)
{
	uint32_t reg = REG(offset);

	lapic_advance(l, now_ns);
	if (reg < REGS && reg != REG(LAPIC_SELF_IPI) &&
	    ((lapic_regs[reg].can & READ) || reg == REG(LAPIC_APR) ||
		reg == REG(LAPIC_DFR) || reg == REG(LAPIC_ICR_HIGH)))
		return reg_read(l, reg, now_ns);
	if (reg != REG(LAPIC_EOI))
		error(l, LAPIC_ERR_ADDRESS);
	return 0;
}

void
lapic_write(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now_ns)
{
	uint32_t reg = REG(offset);

	lapic_advance(l, now_ns);
	switch (reg) {
	case REG(LAPIC_LDR): l->ldr = value & 0xff000000; return;
	case REG(LAPIC_DFR): l->dfr = value | DFR_ONES; return;
	case REG(LAPIC_ICR_HIGH):
		l->icr =
		    (uint32_t)l->icr | (uint64_t)(value & 0xff000000) << 32;
		return;
	case REG(LAPIC_ICR):
		l->icr =
		    (l->icr & ~UINT64_C(0xffffffff)) | (value & ICR_WRITABLE);
		send(l);
		return;
	case REG(LAPIC_ID): return;
	default: break;
	}
	if (reg < REGS && reg != REG(LAPIC_SELF_IPI) &&
	    (lapic_regs[reg].can & WRITE))
		reg_write(l, reg, value & lapic_regs[reg].writable, now_ns);
	else
		error(l, LAPIC_ERR_ADDRESS);
}

/* ---- the same as MSRs ---- */

static bool
x2_read(struct lapic *l, uint32_t reg, uint64_t *value, uint64_t now_ns)
{
	if (!is_x2(l) || reg >= REGS || !(lapic_regs[reg].can & READ))
		return false;
	lapic_advance(l, now_ns);
	*value = reg == REG(LAPIC_ICR) ? l->icr : reg_read(l, reg, now_ns);
	return true;
}

static bool
x2_write(struct lapic *l, uint32_t reg, uint64_t value, uint64_t now_ns)
{
	if (!is_x2(l) || reg >= REGS || !(lapic_regs[reg].can & WRITE))
		return false;
	if ((uint32_t)value &
	    ~(lapic_regs[reg].writable | lapic_regs[reg].tolerated))
		return false;
	if (value >> 32 != 0 && reg != REG(LAPIC_ICR))
		return false;
	lapic_advance(l, now_ns);
	if (reg == REG(LAPIC_ICR)) {
		l->icr = value & ~(uint64_t)lapic_regs[reg].tolerated;
		send(l);
	} else if (reg == REG(LAPIC_SELF_IPI)) {
		if (value < APIC_VECTOR_MIN)
			error(l, LAPIC_ERR_SEND);
		else
			lapic_accept(l, (uint8_t)value, false);
	} else
		reg_write(
		    l, reg, (uint32_t)value & lapic_regs[reg].writable, now_ns);
	return true;
}

/* Off, page, x2APIC: a ring that is left in this order, or for off (figure
 * 11-27). */
static bool
write_base(struct lapic *l, uint64_t value)
{
	bool was_on = lapic_is_on(l), was_x2 = is_x2(l);
	bool on = value & LAPIC_BASE_ENABLE, x2 = value & LAPIC_BASE_X2;

	if (value & ~(BASE_FLAGS | BASE_PAGE))
		return false;
	if ((x2 && !on) || (x2 && !was_on) || (was_x2 && on && !x2))
		return false;
	l->base = (value & ~LAPIC_BASE_BSP) | (l->base & LAPIC_BASE_BSP);
	if (was_on && !on)
		lapic_reset(l);
	if (x2 && !was_x2)
		l->ldr = x2_ldr(l);
	return true;
}

bool
lapic_msr_read(
    struct lapic *l, uint32_t index, uint64_t *value, uint64_t now_ns)
{
	switch (index) {
	case LAPIC_MSR_BASE: *value = l->base; return true;
	case LAPIC_MSR_DEADLINE:
		lapic_advance(l, now_ns);
		*value = l->deadline;
		return true;
	default:
		return index >= LAPIC_MSR_X2 &&
		    x2_read(l, index - LAPIC_MSR_X2, value, now_ns);
	}
}

bool
lapic_msr_write(
    struct lapic *l, uint32_t index, uint64_t value, uint64_t now_ns)
{
	switch (index) {
	case LAPIC_MSR_BASE: return write_base(l, value);
	case LAPIC_MSR_DEADLINE:
		lapic_advance(l, now_ns);
		lapic_write_deadline(l, value, now_ns);
		return true;
	default:
		return index >= LAPIC_MSR_X2 &&
		    x2_write(l, index - LAPIC_MSR_X2, value, now_ns);
	}
}

uint8_t
lapic_cr8(const struct lapic *l)
{
	return l->tpr >> 4;
}

void
lapic_set_cr8(struct lapic *l, uint8_t value)
{
	l->tpr = (uint8_t)(value << 4);
}
