/*
 * The local APIC as a page of registers, and back.
 */
#include <stddef.h>
#include <string.h>

#include "vmm/chips/lapic_parts.h"
#include "vmm/le.h"

static const struct {
	uint32_t at;
	size_t field;
} words[] = {
	{ LAPIC_DFR, offsetof(struct lapic, dfr) },
	{ LAPIC_LDR, offsetof(struct lapic, ldr) },
	{ LAPIC_SVR, offsetof(struct lapic, svr) },
	{ LAPIC_ESR, offsetof(struct lapic, esr) },
	{ LAPIC_STATE_ERRORS, offsetof(struct lapic, errors) },
	{ LAPIC_TIMER_INITIAL, offsetof(struct lapic, initial) },
	{ LAPIC_TIMER_DIVIDE, offsetof(struct lapic, divide) },
};

static const struct {
	uint32_t at;
	size_t field;
	unsigned int n;
} rows[] = {
	{ LAPIC_ISR, offsetof(struct lapic, isr), 8 },
	{ LAPIC_TMR, offsetof(struct lapic, tmr), 8 },
	{ LAPIC_IRR, offsetof(struct lapic, irr), 8 },
	{ LAPIC_LVT, offsetof(struct lapic, lvt), LAPIC_LVTS },
};

#define ITEMS(a) (sizeof(a) / sizeof((a)[0]))

/* Without the words whose form is not the page's. */
static void
copy_words(struct lapic *l, uint8_t *page, bool out)
{
	for (unsigned int i = 0; i < ITEMS(words); i++) {
		uint8_t *word = (uint8_t *)l + words[i].field;

		memcpy(out ? page + words[i].at : word,
		    out ? word : page + words[i].at, 4);
	}
	for (unsigned int i = 0; i < ITEMS(rows); i++)
		for (unsigned int k = 0; k < rows[i].n; k++) {
			uint8_t *word = (uint8_t *)l + rows[i].field + 4 * k;
			uint8_t *at = page + rows[i].at + 16 * k;

			memcpy(out ? at : word, out ? word : at, 4);
		}
}

void
lapic_get(
    const struct lapic *l, uint8_t page[LAPIC_STATE_BYTES], uint64_t now_ns)
{
	struct lapic copy = *l;

	memset(page, 0, LAPIC_STATE_BYTES);
	copy_words(&copy, page, true);
	put_le32(page + LAPIC_ID, is_x2(l) ? l->id : l->id << 24);
	put_le32(page + LAPIC_VERSION, VERSION);
	put_le32(page + LAPIC_TPR, l->tpr);
	put_le32(page + LAPIC_PPR, lapic_ppr(l));
	put_le32(page + LAPIC_ICR, (uint32_t)l->icr);
	put_le32(page + LAPIC_ICR_HIGH, (uint32_t)(l->icr >> 32));
	put_le32(page + LAPIC_TIMER_CURRENT, lapic_current_count(l, now_ns));
	if (!by_deadline(l) && l->expire_ns != LAPIC_NEVER)
		put_le64(page + LAPIC_STATE_LEFT,
		    l->expire_ns > now_ns ? l->expire_ns - now_ns + 1 : 1);
}

/* No vector below 16 can wait or be served. */
static void
mend(struct lapic *l)
{
	for (unsigned int i = 0; i < LAPIC_LVTS; i++)
		l->lvt[i] &= lapic_regs[REG(LAPIC_LVT) + i].writable;
	if ((l->lvt[LAPIC_LVT_TIMER] & LVT_TIMER_MODES) == LVT_TIMER_MODES)
		l->lvt[LAPIC_LVT_TIMER] &= ~LAPIC_LVT_PERIODIC;
	l->svr &= lapic_regs[REG(LAPIC_SVR)].writable;
	l->divide &= lapic_regs[REG(LAPIC_TIMER_DIVIDE)].writable;
	l->dfr |= DFR_ONES;
	l->ldr = is_x2(l) ? x2_ldr(l) : l->ldr & 0xff000000;
	l->isr[0] &= 0xffff0000;
	l->irr[0] &= 0xffff0000;
}

static void
set_timer(
    struct lapic *l, uint64_t deadline, const uint8_t *page, uint64_t now_ns)
{
	uint64_t left = get_le64(page + LAPIC_STATE_LEFT);
	uint32_t count = get_le32(page + LAPIC_TIMER_CURRENT);
	uint64_t most = (uint64_t)UINT32_MAX << shift(l);

	l->deadline = 0;
	l->expire_ns = LAPIC_NEVER;
	if (by_deadline(l))
		lapic_write_deadline(l, deadline, now_ns);
	else if (l->initial == 0)
		return; /* nothing to begin anew with */
	else if (left != 0 && left - 1 <= most)
		l->expire_ns = now_ns + left - 1;
	else
		lapic_start_timer(l, count, now_ns);
}

void
lapic_set(struct lapic *l, uint64_t base, uint64_t deadline,
    const uint8_t page[LAPIC_STATE_BYTES], uint64_t now_ns)
{
	uint8_t copy[LAPIC_STATE_BYTES];

	base &= BASE_FLAGS | BASE_PAGE;
	if (!(base & LAPIC_BASE_ENABLE))
		base &= ~LAPIC_BASE_X2;
	l->base = (base & ~LAPIC_BASE_BSP) | (l->base & LAPIC_BASE_BSP);
	memcpy(copy, page, sizeof(copy));
	copy_words(l, copy, false);
	l->tpr = page[LAPIC_TPR];
	l->icr = (get_le32(page + LAPIC_ICR) & ICR_WRITABLE) |
	    (uint64_t)get_le32(page + LAPIC_ICR_HIGH) << 32;
	mend(l);
	set_timer(l, deadline, page, now_ns);
}
