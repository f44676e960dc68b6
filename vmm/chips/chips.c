/*
 * The wires between the chips.
 *
 * Whatever was done, settle() is its end: it carries the 8254's edges to line
 * 0 and the 8259's output to the LINT0 pins, tells CPUs that have something
 * new, and works out when time matters next.  A CPU is told once (told) and
 * then again only after it had nothing to take, so that a CPU that cannot take
 * interrupts is not kicked for each.
 *
 * A line is level or edge by the entry of the chip that listens: both the 8259
 * and the IOAPIC get all lines below 16, and systems mask them at one of the
 * two.
 *
 * The lowest-priority mode goes to the CPU of the lowest priority that is
 * meant; among equals they take turns.
 */
#include "vmm/chips/chips.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/chips/ioapic.h"
#include "vmm/chips/lapic.h"
#include "vmm/chips/pic.h"
#include "vmm/chips/pit.h"

static_assert(CHIPS_LINES == IOAPIC_PINS, "a pin for each line");
static_assert(CHIPS_CPUS_MAX < APIC_ALL_8, "ids of 8 bits");

#define LINE_PIT       0
#define PIN_PIT        2
#define MSI_WINDOW     UINT64_C(0xfee00000) /* 1 MiB */
#define MSI_WINDOW_END UINT64_C(0xfef00000)
#define MSI_LOGICAL    (1u << 2)
#define MSI_LEVEL      (1u << 15)

struct chips {
	struct chips_config config;
	uint64_t now_ns, next_ns;
	uint64_t pit_rise_ns;
	struct pic pic;
	struct pit pit;
	struct ioapic ioapic;
	bool intr;
	bool told[CHIPS_CPUS_MAX];
	unsigned int last;    /* that got a lowest-priority message */
	struct lapic lapic[]; /* one for each CPU */
};

const struct chips_ports chips_ports[CHIPS_PORT_RANGES] = {
	{ PIC_PORT_FIRST, 2 },
	{ PIC_PORT_SECOND, 2 },
	{ PIC_PORT_ELCR, 2 },
	{ PIT_PORT, 4 },
	{ PIT_PORT_SPEAKER, 1 },
};

/* ---- what follows from a change ---- */

static void
wire_pit(struct chips *chips, bool level)
{
	pic_line(&chips->pic, LINE_PIT, level);
	ioapic_line(&chips->ioapic, PIN_PIT, level);
}

static void
settle_pit(struct chips *chips)
{
	if (chips->pit_rise_ns <= chips->now_ns) {
		/* It may have risen, fallen and risen again since. */
		wire_pit(chips, false);
		wire_pit(chips, true);
	}
	wire_pit(chips, pit_out(&chips->pit, 0, chips->now_ns));
	chips->pit_rise_ns = pit_next_rise_ns(&chips->pit, chips->now_ns);
}

static void
settle_intr(struct chips *chips)
{
	bool intr = pic_int(&chips->pic);

	if (intr == chips->intr)
		return;
	chips->intr = intr;
	for (unsigned int i = 0; i < chips->config.ncpus; i++)
		lapic_lint0(&chips->lapic[i], intr);
}

static void
settle(struct chips *chips)
{
	uint64_t next_ns;

	settle_intr(chips);
	next_ns = chips->pit_rise_ns;
	for (unsigned int i = 0; i < chips->config.ncpus; i++) {
		uint64_t at_ns = lapic_next_ns(&chips->lapic[i]);
		bool has = chips_pending(chips, i) >= 0;

		if (at_ns < next_ns)
			next_ns = at_ns;
		if (has && !chips->told[i])
			chips->config.ops->wake(chips->config.arg, i);
		chips->told[i] = has;
	}
	chips->next_ns = next_ns;
}

void
chips_advance(struct chips *chips, uint64_t now_ns)
{
	if (now_ns > chips->now_ns)
		chips->now_ns = now_ns;
	if (chips->now_ns < chips->next_ns)
		return;
	if (chips->pit_rise_ns <= chips->now_ns)
		settle_pit(chips);
	for (unsigned int i = 0; i < chips->config.ncpus; i++)
		lapic_advance(&chips->lapic[i], chips->now_ns);
	settle(chips);
}

uint64_t
chips_next_event_ns(const struct chips *chips)
{
	return chips->next_ns;
}

/* ---- messages ---- */

static bool
hand_over(struct chips *chips, unsigned int cpu, const struct apic_message *m)
{
	const struct chips_config *config = &chips->config;
	struct lapic *l = &chips->lapic[cpu];

	switch (m->mode) {
	case APIC_FIXED:
	case APIC_LOWEST: return lapic_accept(l, m->vector, m->level);
	case APIC_NMI: config->ops->nmi(config->arg, cpu); return true;
	case APIC_INIT:
		lapic_reset(l);
		config->ops->init(config->arg, cpu);
		return true;
	case APIC_SIPI:
		config->ops->sipi(config->arg, cpu, m->vector);
		return true;
	case APIC_SMI:
	case APIC_RESERVED:
	case APIC_EXTINT: break;
	}
	return false;
}

/* Of the CPUs in set, the one that a lowest-priority message goes to. */
static unsigned int
lowest(struct chips *chips, uint64_t set)
{
	unsigned int n = chips->config.ncpus, best = n;

	for (unsigned int i = 1; i <= n; i++) {
		unsigned int cpu = (chips->last + i) % n;

		if (!(set >> cpu & 1))
			continue;
		if (best == n ||
		    lapic_ppr(&chips->lapic[cpu]) <
			lapic_ppr(&chips->lapic[best]))
			best = cpu;
	}
	chips->last = best;
	return best;
}

/* To the CPUs in set. */
static bool
spread(struct chips *chips, uint64_t set, const struct apic_message *m)
{
	bool taken = false;

	if (m->mode == APIC_LOWEST && set != 0)
		set = UINT64_C(1) << lowest(chips, set);
	for (unsigned int i = 0; i < chips->config.ncpus; i++)
		if (set >> i & 1)
			taken |= hand_over(chips, i, m);
	return taken;
}

static uint64_t
meant(const struct chips *chips, const struct apic_message *m)
{
	uint64_t set = 0;

	for (unsigned int i = 0; i < chips->config.ncpus; i++)
		if (lapic_is_meant(&chips->lapic[i], m))
			set |= UINT64_C(1) << i;
	return set;
}

static bool
from_board(void *arg, const struct apic_message *m)
{
	struct chips *chips = arg;

	return spread(chips, meant(chips, m), m);
}

static void
from_cpu(void *arg, struct lapic *from, const struct apic_message *m,
    enum lapic_shorthand to)
{
	struct chips *chips = arg;
	uint64_t self = UINT64_C(1) << from->id;
	uint64_t on = 0, set = 0;

	for (unsigned int i = 0; i < chips->config.ncpus; i++)
		if (lapic_is_on(&chips->lapic[i]))
			on |= UINT64_C(1) << i;
	switch (to) {
	case LAPIC_TO_DESTINATION: set = meant(chips, m); break;
	case LAPIC_TO_SELF: set = self; break;
	case LAPIC_TO_ALL: set = on; break;
	case LAPIC_TO_OTHERS: set = on & ~self; break;
	}
	spread(chips, set, m);
}

static void
ended(void *arg, uint8_t vector)
{
	struct chips *chips = arg;

	ioapic_eoi(&chips->ioapic, vector);
}

static void
local_nmi(void *arg, struct lapic *to)
{
	struct chips *chips = arg;

	chips->config.ops->nmi(chips->config.arg, to->id);
}

static const struct lapic_ops lapic_ops = { from_cpu, ended, local_nmi };

/* ---- life ---- */

struct chips *
chips_new(const struct chips_config *config)
{
	struct chips *chips;

	assert(config->ncpus >= 1 && config->ncpus <= CHIPS_CPUS_MAX);
	assert(config->tsc_khz != 0);
	chips =
	    calloc(1, sizeof(*chips) + config->ncpus * sizeof(chips->lapic[0]));
	if (chips == NULL)
		return NULL;
	chips->config = *config;
	pic_init(&chips->pic);
	pit_init(&chips->pit);
	ioapic_init(&chips->ioapic, from_board, chips);
	for (unsigned int i = 0; i < config->ncpus; i++)
		lapic_init(
		    &chips->lapic[i], i, config->tsc_khz, &lapic_ops, chips);
	settle_pit(chips);
	settle(chips);
	return chips;
}

void
chips_free(struct chips *chips)
{
	free(chips);
}

/* ---- as a value ---- */

static_assert(LAPIC_STATE_BYTES == CPU_APIC_BYTES, "the same page");

void
chips_set_tsc_khz(struct chips *chips, uint32_t tsc_khz)
{
	chips->config.tsc_khz = tsc_khz;
	for (unsigned int i = 0; i < chips->config.ncpus; i++)
		lapic_set_tsc(&chips->lapic[i], tsc_khz,
		    chips->lapic[i].tsc_offset, chips->now_ns);
	settle(chips);
}

void
chips_set_tsc_offset(struct chips *chips, unsigned int cpu, uint64_t offset)
{
	assert(cpu < chips->config.ncpus);
	lapic_set_tsc(
	    &chips->lapic[cpu], chips->config.tsc_khz, offset, chips->now_ns);
	settle(chips);
}

void
chips_get(const struct chips *chips, struct chips_state *state)
{
	memset(state, 0, sizeof(*state));
	state->now_ns = chips->now_ns;
	state->tsc_khz = chips->config.tsc_khz;
	state->pic = chips->pic;
	state->pit = chips->pit;
	state->ioapic_index = chips->ioapic.index;
	state->ioapic_id = chips->ioapic.id;
	state->ioapic_level = chips->ioapic.level;
	memcpy(state->ioapic_pin, chips->ioapic.pin, sizeof(state->ioapic_pin));
	state->last = chips->last;
}

int
chips_set(struct chips *chips, const struct chips_state *state)
{
	if (!pic_is_sane(&state->pic) ||
	    !pit_is_sane(&state->pit, state->now_ns) ||
	    state->tsc_khz < CHIPS_TSC_KHZ_MIN ||
	    state->tsc_khz > CHIPS_TSC_KHZ_MAX ||
	    state->now_ns > CHIPS_NEVER / 2)
		return -EINVAL;
	chips->now_ns = state->now_ns;
	chips->pic = state->pic;
	chips->pit = state->pit;
	ioapic_set(&chips->ioapic, state->ioapic_index, state->ioapic_id,
	    state->ioapic_level, state->ioapic_pin);
	chips->last = state->last % chips->config.ncpus;
	memset(chips->told, 0, sizeof(chips->told));
	chips->pit_rise_ns = pit_next_rise_ns(&chips->pit, chips->now_ns);
	chips_set_tsc_khz(chips, state->tsc_khz);
	return 0;
}

void
chips_lapic_get(
    const struct chips *chips, unsigned int cpu, struct cpu_state *state)
{
	const struct lapic *l = &chips->lapic[cpu];

	assert(cpu < chips->config.ncpus);
	lapic_get(l, state->apic, chips->now_ns);
	state->msr[CPU_MSR_APIC_BASE] = l->base;
	state->msr[CPU_MSR_TSC_DEADLINE] = l->deadline;
	state->msr_valid |=
	    1u << CPU_MSR_APIC_BASE | 1u << CPU_MSR_TSC_DEADLINE;
}

void
chips_lapic_set(
    struct chips *chips, unsigned int cpu, const struct cpu_state *state)
{
	struct lapic *l = &chips->lapic[cpu];
	bool base = state->msr_valid & 1u << CPU_MSR_APIC_BASE;
	bool deadline = state->msr_valid & 1u << CPU_MSR_TSC_DEADLINE;

	assert(cpu < chips->config.ncpus);
	lapic_set(l, base ? state->msr[CPU_MSR_APIC_BASE] : l->base,
	    deadline ? state->msr[CPU_MSR_TSC_DEADLINE] : l->deadline,
	    state->apic, chips->now_ns);
	chips->told[cpu] = false;
	ioapic_retry(&chips->ioapic);
	settle(chips);
}

/* ---- interrupts ---- */

void
chips_line(struct chips *chips, unsigned int line, bool level)
{
	assert(line < CHIPS_LINES);
	if (line == LINE_PIT || line == PIC_CASCADE)
		return;
	if (line < PIC_LINES)
		pic_line(&chips->pic, line, level);
	ioapic_line(&chips->ioapic, line, level);
	settle(chips);
}

void
chips_msi(struct chips *chips, uint64_t address, uint32_t data)
{
	struct apic_message message = {
		.destination = (uint32_t)(address >> 12 & 0xff),
		.logical = address & MSI_LOGICAL,
		.mode = (enum apic_mode)(data >> 8 & 7),
		.vector = (uint8_t)data,
		.level = data & MSI_LEVEL,
	};

	if (address < MSI_WINDOW || address >= MSI_WINDOW_END ||
	    message.mode == APIC_SIPI)
		return;
	from_board(chips, &message);
	settle(chips);
}

static bool
by_pic(const struct chips *chips, unsigned int cpu)
{
	return chips->intr && lapic_extint(&chips->lapic[cpu]);
}

int
chips_pending(const struct chips *chips, unsigned int cpu)
{
	assert(cpu < chips->config.ncpus);
	/* The local APIC passes it on without looking at priorities. */
	if (by_pic(chips, cpu))
		return pic_peek(&chips->pic);
	return lapic_pending(&chips->lapic[cpu]);
}

int
chips_interrupt(struct chips *chips, unsigned int cpu)
{
	int vector = chips_pending(chips, cpu);

	if (vector < 0)
		return -1;
	if (by_pic(chips, cpu))
		pic_ack(&chips->pic);
	else
		lapic_take(&chips->lapic[cpu], (uint8_t)vector);
	settle(chips);
	return vector;
}

/* ---- registers ---- */

static bool
is_pits(uint16_t port)
{
	return (port >= PIT_PORT && port <= PIT_PORT_CONTROL) ||
	    port == PIT_PORT_SPEAKER;
}

uint8_t
chips_port_read(struct chips *chips, uint16_t port)
{
	uint8_t value;

	if (is_pits(port))
		return pit_read(&chips->pit, port, chips->now_ns);
	value = pic_read(&chips->pic, port);
	settle(chips); /* a poll acknowledges */
	return value;
}

void
chips_port_write(struct chips *chips, uint16_t port, uint8_t value)
{
	if (is_pits(port)) {
		pit_write(&chips->pit, port, value, chips->now_ns);
		settle_pit(chips);
	} else
		pic_write(&chips->pic, port, value);
	settle(chips);
}

static bool
is_page(uint64_t page, uint64_t address)
{
	return (address & ~UINT64_C(0xfff)) == page;
}

/* Registers are 32 bits wide and 16 bytes apart.  A narrower or a wider access
 * reads what is there, and writes only if it is a whole register's. */
static uint64_t
cut(uint32_t value, uint64_t address, unsigned int bytes)
{
	uint64_t v = (uint64_t)value >> 8 * (address & 3);

	return bytes < 8 ? v & ((UINT64_C(1) << 8 * bytes) - 1) : v;
}

bool
chips_mmio_read(struct chips *chips, unsigned int cpu, uint64_t address,
    unsigned int bytes, uint64_t *value)
{
	struct lapic *l = &chips->lapic[cpu];
	uint32_t offset = address & 0xfff;
	uint32_t v = 0;

	assert(cpu < chips->config.ncpus);
	if (lapic_has_page(l) && is_page(lapic_page(l), address)) {
		if ((offset & 0xf) < 4)
			v = lapic_read(l, offset & ~0xfu, chips->now_ns);
		settle(chips);
	} else if (is_page(IOAPIC_ADDRESS, address)) {
		v = ioapic_read(&chips->ioapic, offset & ~3u);
	} else
		return false;
	*value = cut(v, address, bytes);
	return true;
}

bool
chips_mmio_write(struct chips *chips, unsigned int cpu, uint64_t address,
    unsigned int bytes, uint64_t value)
{
	struct lapic *l = &chips->lapic[cpu];
	uint32_t offset = address & 0xfff;
	bool whole = bytes >= 4 && (address & 3) == 0;

	assert(cpu < chips->config.ncpus);
	if (lapic_has_page(l) && is_page(lapic_page(l), address)) {
		if (!whole || (offset & 0xf) != 0)
			return true;
		lapic_write(l, offset, (uint32_t)value, chips->now_ns);
		/* What it lets through now, it may have refused before. */
		if (offset == LAPIC_SVR || offset == LAPIC_LDR ||
		    offset == LAPIC_DFR)
			ioapic_retry(&chips->ioapic);
	} else if (is_page(IOAPIC_ADDRESS, address)) {
		/* The index is one byte, and some write it as such. */
		if (whole || offset == IOAPIC_INDEX)
			ioapic_write(&chips->ioapic, offset, (uint32_t)value);
	} else
		return false;
	settle(chips);
	return true;
}

bool
chips_msr_read(
    struct chips *chips, unsigned int cpu, uint32_t index, uint64_t *value)
{
	bool ok;

	assert(cpu < chips->config.ncpus);
	ok = lapic_msr_read(&chips->lapic[cpu], index, value, chips->now_ns);
	settle(chips);
	return ok;
}

bool
chips_msr_write(
    struct chips *chips, unsigned int cpu, uint32_t index, uint64_t value)
{
	assert(cpu < chips->config.ncpus);
	if (!lapic_msr_write(&chips->lapic[cpu], index, value, chips->now_ns))
		return false;
	if (index == LAPIC_MSR_BASE || index == LAPIC_MSR_X2 + (LAPIC_SVR >> 4))
		ioapic_retry(&chips->ioapic);
	settle(chips);
	chips_advance(chips, chips->now_ns); /* a deadline that has passed */
	return true;
}

uint8_t
chips_cr8(const struct chips *chips, unsigned int cpu)
{
	return lapic_cr8(&chips->lapic[cpu]);
}

void
chips_set_cr8(struct chips *chips, unsigned int cpu, uint8_t value)
{
	lapic_set_cr8(&chips->lapic[cpu], value);
	settle(chips);
}
