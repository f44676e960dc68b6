/* libs: vmm/chips/chips.c vmm/chips/pic.c vmm/chips/pit.c vmm/chips/ioapic.c vmm/chips/lapic.c vmm/chips/lapic_state.c vmm/chips/clock_kvm.c vmm/memory.c base */
/*
 * All chips, by random accesses, lines, messages and time.
 *
 * Each step is 16 bytes: what, which CPU, and two arguments.  After each, what
 * must always hold is checked: no local APIC hands out a vector below 16 or
 * one that its priority holds back, what was taken is in service and no longer
 * requested, a CPU that has something to take was told, and the next event is
 * not in the past.  The state is taken, changed and set, too.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/chips/chips.h"
#include "vmm/chips/clock_kvm.h"
#include "vmm/chips/ioapic.h"
#include "vmm/chips/lapic.h"
#include "vmm/le.h"

#define NCPUS      3
#define STEP_BYTES 16
#define STEPS_MAX  2000
#define RAM        (UINT64_C(2) << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rig {
	struct chips *chips;
	struct memory memory;
	struct clock_kvm clock;
	uint64_t now_ns;
	bool told[NCPUS];
};

static void
note_wake(void *arg, unsigned int cpu)
{
	assert(cpu < NCPUS);
	((struct rig *)arg)->told[cpu] = true;
}

static void
note_cpu(void *arg, unsigned int cpu)
{
	(void)arg;
	assert(cpu < NCPUS);
}

static void
note_sipi(void *arg, unsigned int cpu, uint8_t vector)
{
	(void)arg;
	(void)vector;
	assert(cpu < NCPUS);
}

static const struct chips_ops ops = { note_wake, note_cpu, note_cpu,
	note_sipi };

/* A register by whichever face there is; 0 if there is none. */
static uint32_t
apic_in(struct rig *rig, unsigned int cpu, uint32_t offset)
{
	uint64_t base, value = 0;

	assert(chips_msr_read(rig->chips, cpu, LAPIC_MSR_BASE, &base));
	if (base & LAPIC_BASE_X2)
		assert(chips_msr_read(
		    rig->chips, cpu, LAPIC_MSR_X2 + (offset >> 4), &value));
	else if (base & LAPIC_BASE_ENABLE)
		assert(chips_mmio_read(rig->chips, cpu,
		    (base & ~UINT64_C(0xfff)) + offset, 4, &value));
	return (uint32_t)value;
}

static bool
has_bit(struct rig *rig, unsigned int cpu, uint32_t set, uint8_t vector)
{
	return apic_in(rig, cpu, set + 0x10 * (vector / 32)) >> vector % 32 & 1;
}

static void
take(struct rig *rig, unsigned int cpu)
{
	int expected = chips_pending(rig->chips, cpu), vector;
	uint8_t ppr = (uint8_t)apic_in(rig, cpu, LAPIC_PPR);
	bool by_apic =
	    expected >= 0 && has_bit(rig, cpu, LAPIC_IRR, (uint8_t)expected);

	vector = chips_interrupt(rig->chips, cpu);
	assert(vector == expected);
	/* Neither in IRR before nor in ISR now: the 8259's. */
	if (vector < 0 || !by_apic ||
	    has_bit(rig, cpu, LAPIC_IRR, (uint8_t)vector))
		return;
	assert(vector >= 16);
	assert(vector >> 4 > ppr >> 4);
	assert(has_bit(rig, cpu, LAPIC_ISR, (uint8_t)vector));
	assert((uint8_t)apic_in(rig, cpu, LAPIC_PPR) >> 4 >= vector >> 4);
}

static void
check(struct rig *rig)
{
	uint64_t next_ns = chips_next_event_ns(rig->chips);

	assert(next_ns > rig->now_ns);
	for (unsigned int cpu = 0; cpu < NCPUS; cpu++) {
		int vector = chips_pending(rig->chips, cpu);

		assert(vector >= -1 && vector < 256);
		if (vector < 0)
			rig->told[cpu] = false;
		else
			assert(rig->told[cpu]);
		for (uint32_t i = 0; i < 16; i++)
			assert(!has_bit(rig, cpu, LAPIC_IRR, (uint8_t)i) &&
			    !has_bit(rig, cpu, LAPIC_ISR, (uint8_t)i));
	}
}

static void
advance(struct rig *rig, uint64_t by_ns)
{
	if (rig->now_ns + by_ns > UINT64_C(1) << 62)
		return;
	rig->now_ns += by_ns;
	chips_advance(rig->chips, rig->now_ns);
}

/* Addresses mostly where registers are. */
static uint64_t
address_of(struct rig *rig, unsigned int cpu, uint64_t a)
{
	uint64_t base;

	switch (a >> 12 & 3) {
	case 0: return IOAPIC_ADDRESS + (a & 0x10);
	case 1: return IOAPIC_ADDRESS + (a & 0xfff);
	default:
		assert(chips_msr_read(rig->chips, cpu, LAPIC_MSR_BASE, &base));
		return (base & ~UINT64_C(0xfff)) + (a & 0xfff);
	}
}

static uint32_t
msr_of(uint64_t a)
{
	switch (a & 7) {
	case 0: return LAPIC_MSR_BASE;
	case 1: return LAPIC_MSR_DEADLINE;
	case 2: return (uint32_t)(a >> 3);
	default: return LAPIC_MSR_X2 + (a >> 3 & 0x3f);
	}
}

static uint16_t
port_of(uint64_t a)
{
	const struct chips_ports *range = &chips_ports[a % CHIPS_PORT_RANGES];

	return (uint16_t)(range->first + (a >> 8) % range->count);
}

static void
clock_step(struct rig *rig, unsigned int cpu, uint64_t a, uint64_t v)
{
	static const uint32_t index[] = { CLOCK_KVM_MSR_WALL,
		CLOCK_KVM_MSR_SYSTEM, CLOCK_KVM_MSR_WALL_OLD,
		CLOCK_KVM_MSR_SYSTEM_OLD };

	clock_kvm_write(
	    &rig->clock, cpu, index[a & 3], v, rig->now_ns, rig->now_ns);
	clock_kvm_read(&rig->clock, cpu, index[a & 3]);
}

/* The state with one thing changed, which may be refused. */
static void
state_step(struct rig *rig, unsigned int how, uint64_t a, uint64_t v)
{
	struct chips_state s;
	struct pit_counter *c = &s.pit.counter[a % PIT_COUNTERS];
	struct pic_chip *pic = &s.pic.chip[a % 2];

	chips_get(rig->chips, &s);
	switch (how % 16) {
	case 0: c->count = (uint32_t)v; break;
	case 1: c->mode = v & 7; break;
	case 2: c->state = (enum pit_state)(v & 7); break;
	case 3: c->access = (enum pit_access)(v & 7); break;
	case 4: c->start = v; break;
	case 5: c->start -= v & 0xfffff; break;
	case 6:
		c->has_next = v & 1;
		c->next = (uint32_t)(v >> 1 & 0x1ffff);
		c->take_at = c->start + (v >> 20);
		break;
	case 7:
		c->elapsed = v;
		c->shown = (uint32_t)(a >> 8);
		break;
	case 8: c->gate = v & 1; break;
	case 9:
		pic->irr = (uint8_t)v;
		pic->isr = (uint8_t)(v >> 8);
		pic->level = (uint8_t)(v >> 16);
		break;
	case 10: pic->lowest = v & 15; break;
	case 11: pic->expects = (enum pic_expects)(v & 7); break;
	case 12: s.ioapic_pin[a % IOAPIC_PINS] = v; break;
	case 13: s.ioapic_level = (uint32_t)v; break;
	case 14: s.tsc_khz = (uint32_t)v; break;
	default: s.last = (uint32_t)v; break;
	}
	chips_set(rig->chips, &s);
}

static void
lapic_step(struct rig *rig, unsigned int cpu, uint64_t a, uint64_t v)
{
	static struct cpu_state s;

	chips_lapic_get(rig->chips, cpu, &s);
	for (unsigned int i = 0; i < 4; i++)
		s.apic[(a + 4 * i) % CPU_APIC_BYTES] ^= (uint8_t)(v >> 8 * i);
	s.msr[CPU_MSR_APIC_BASE] ^= v >> 32 & 0xfff;
	s.msr[CPU_MSR_TSC_DEADLINE] ^= v >> 40;
	chips_lapic_set(rig->chips, cpu, &s);
}

static void
step(struct rig *rig, const uint8_t *p)
{
	unsigned int cpu = p[1] % NCPUS, bytes = 1 + p[2] % 8;
	uint64_t a = get_le32(p + 4), v = get_le64(p + 8), got;

	switch (p[0] % 15) {
	case 0: chips_line(rig->chips, a % CHIPS_LINES, v & 1); break;
	case 1:
		chips_msi(rig->chips, 0xfee00000 | (a & 0xfffff), (uint32_t)v);
		break;
	case 2: chips_msi(rig->chips, a << 12, (uint32_t)v); break;
	case 3: take(rig, cpu); break;
	case 4: chips_port_read(rig->chips, port_of(a)); break;
	case 5: chips_port_write(rig->chips, port_of(a), (uint8_t)v); break;
	case 6:
		chips_mmio_read(
		    rig->chips, cpu, address_of(rig, cpu, a), bytes, &got);
		break;
	case 7:
		chips_mmio_write(rig->chips, cpu, address_of(rig, cpu, a),
		    p[3] & 1 ? 4 : bytes, v);
		break;
	case 8: chips_msr_read(rig->chips, cpu, msr_of(a), &got); break;
	case 9: chips_msr_write(rig->chips, cpu, msr_of(a), v); break;
	case 10: advance(rig, p[2] & 1 ? v : a); break;
	/* These may put a deadline into the past: due at once, and done by
	 * whoever advances next. */
	case 11:
		state_step(rig, p[2], a, v);
		chips_advance(rig->chips, rig->now_ns);
		break;
	case 12:
		lapic_step(rig, cpu, a, v);
		chips_advance(rig->chips, rig->now_ns);
		break;
	case 13:
		chips_set_tsc_offset(rig->chips, cpu, v);
		chips_advance(rig->chips, rig->now_ns);
		break;
	default:
		if (p[2] & 1)
			chips_set_cr8(rig->chips, cpu, v & 15);
		else
			clock_step(rig, cpu, a, v);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig rig = { .now_ns = 0 };
	struct chips_config config = {
		.ncpus = NCPUS, .tsc_khz = 2596142, .ops = &ops, .arg = &rig
	};

	if (memory_init(&rig.memory, RAM, NULL) < 0)
		return 0;
	rig.chips = chips_new(&config);
	assert(rig.chips != NULL);
	clock_kvm_init(&rig.clock, &rig.memory, config.tsc_khz, 12345);
	for (size_t i = 0; i < STEPS_MAX && size >= STEP_BYTES; i++) {
		step(&rig, data);
		check(&rig);
		data += STEP_BYTES;
		size -= STEP_BYTES;
	}
	chips_free(rig.chips);
	memory_free(&rig.memory);
	return 0;
}
