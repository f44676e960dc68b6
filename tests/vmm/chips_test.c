/*
 * The chips together: how an interrupt gets from a line, a message, a timer or
 * a CPU to a CPU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/chips/chips.h"
#include "vmm/chips/ioapic.h"
#include "vmm/chips/lapic.h"
#include "vmm/chips/pic.h"
#include "vmm/chips/pit.h"

#define NCPUS 4
#define MSI   UINT64_C(0xfee00000)

struct rig {
	struct chips *chips;
	unsigned int woken[NCPUS], nmis[NCPUS], inits[NCPUS], sipis[NCPUS];
	uint8_t sipi;
};

static void
note_wake(void *arg, unsigned int cpu)
{
	((struct rig *)arg)->woken[cpu]++;
}

static void
note_nmi(void *arg, unsigned int cpu)
{
	((struct rig *)arg)->nmis[cpu]++;
}

static void
note_init(void *arg, unsigned int cpu)
{
	((struct rig *)arg)->inits[cpu]++;
}

static void
note_sipi(void *arg, unsigned int cpu, uint8_t vector)
{
	((struct rig *)arg)->sipis[cpu]++;
	((struct rig *)arg)->sipi = vector;
}

static const struct chips_ops ops = { note_wake, note_nmi, note_init,
	note_sipi };

static void
apic(struct rig *rig, unsigned int cpu, uint32_t offset, uint32_t value)
{
	assert_true(chips_mmio_write(
	    rig->chips, cpu, LAPIC_ADDRESS + offset, 4, value));
}

static uint32_t
apic_in(struct rig *rig, unsigned int cpu, uint32_t offset)
{
	uint64_t value;

	assert_true(chips_mmio_read(
	    rig->chips, cpu, LAPIC_ADDRESS + offset, 4, &value));
	return (uint32_t)value;
}

static void
eoi(struct rig *rig, unsigned int cpu)
{
	apic(rig, cpu, LAPIC_EOI, 0);
}

static void
route(struct rig *rig, unsigned int pin, uint64_t entry)
{
	for (unsigned int half = 2; half-- > 0;) {
		assert_true(chips_mmio_write(
		    rig->chips, 0, IOAPIC_ADDRESS, 4, 0x10 + 2 * pin + half));
		assert_true(chips_mmio_write(rig->chips, 0,
		    IOAPIC_ADDRESS + IOAPIC_DATA, 4,
		    (uint32_t)(entry >> 32 * half)));
	}
}

static void
pic_on(struct rig *rig, uint16_t unmasked)
{
	static const struct {
		uint16_t port;
		uint8_t value;
	} init[] = { { 0x20, 0x11 }, { 0x21, 0x30 }, { 0x21, 4 }, { 0x21, 1 },
		{ 0xa0, 0x11 }, { 0xa1, 0x38 }, { 0xa1, 2 }, { 0xa1, 1 } };

	for (unsigned int i = 0; i < sizeof(init) / sizeof(init[0]); i++)
		chips_port_write(rig->chips, init[i].port, init[i].value);
	chips_port_write(rig->chips, 0x21, (uint8_t) ~(unmasked | 4));
	chips_port_write(rig->chips, 0xa1, (uint8_t) ~(unmasked >> 8));
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct chips_config config = {
		.ncpus = NCPUS, .tsc_khz = 1000000, .ops = &ops, .arg = rig
	};

	rig->chips = chips_new(&config);
	for (unsigned int i = 0; i < NCPUS; i++)
		apic(rig, i, LAPIC_SVR, 0x1ff);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	chips_free(rig->chips);
	free(rig);
	return 0;
}

/* ---- lines ---- */

static void
line_comes_by_the_8259_before_anybody_set_up_an_apic(void **state)
{
	struct rig *rig = *state;

	pic_on(rig, 1 << 4);
	chips_line(rig->chips, 4, true);
	assert_int_equal(rig->woken[0], 1);
	assert_int_equal(rig->woken[1], 0);
	assert_int_equal(chips_pending(rig->chips, 1), -1);
	assert_int_equal(chips_pending(rig->chips, 0), 0x34);
	assert_int_equal(chips_interrupt(rig->chips, 0), 0x34);
	assert_int_equal(chips_interrupt(rig->chips, 0), -1);
}

static void
line_comes_by_the_8259_without_an_apic_too(void **state)
{
	struct rig *rig = *state;

	pic_on(rig, 1 << 4);
	for (unsigned int i = 0; i < NCPUS; i++)
		assert_true(chips_msr_write(
		    rig->chips, i, LAPIC_MSR_BASE, LAPIC_ADDRESS));
	chips_line(rig->chips, 4, true);
	assert_int_equal(chips_pending(rig->chips, 1), -1);
	assert_int_equal(chips_interrupt(rig->chips, 0), 0x34);
}

static void
masked_lint0_keeps_the_8259_out(void **state)
{
	struct rig *rig = *state;

	pic_on(rig, 1 << 4);
	apic(rig, 0, LAPIC_LVT + 0x30, 0x10700);
	chips_line(rig->chips, 4, true);
	assert_int_equal(chips_pending(rig->chips, 0), -1);
	assert_int_equal(rig->woken[0], 0);
	apic(rig, 0, LAPIC_LVT + 0x30, 0x700);
	assert_int_equal(rig->woken[0], 1);
	assert_int_equal(chips_interrupt(rig->chips, 0), 0x34);
}

static void
level_line_is_delivered_until_it_falls(void **state)
{
	struct rig *rig = *state;

	route(rig, 10, UINT64_C(1) << 56 | IOAPIC_LEVEL | 0x51);
	chips_line(rig->chips, 10, true);
	assert_int_equal(rig->woken[1], 1);
	assert_int_equal(chips_interrupt(rig->chips, 1), 0x51);
	assert_int_equal(chips_pending(rig->chips, 1), -1);
	eoi(rig, 1);
	assert_int_equal(chips_interrupt(rig->chips, 1), 0x51);
	chips_line(rig->chips, 10, false);
	eoi(rig, 1);
	assert_int_equal(chips_interrupt(rig->chips, 1), -1);
}

static void
level_line_waits_for_a_cpu_that_takes_it(void **state)
{
	struct rig *rig = *state;

	apic(rig, 1, LAPIC_SVR, 0xff);
	route(rig, 10, UINT64_C(1) << 56 | IOAPIC_LEVEL | 0x51);
	chips_line(rig->chips, 10, true);
	assert_int_equal(chips_pending(rig->chips, 1), -1);
	apic(rig, 1, LAPIC_SVR, 0x1ff);
	assert_int_equal(chips_interrupt(rig->chips, 1), 0x51);
}

static void
lines_of_the_timer_and_the_cascade_are_not_to_be_had(void **state)
{
	struct rig *rig = *state;

	pic_on(rig, 0xffff);
	for (unsigned int pin = 0; pin < 3; pin++)
		route(rig, pin, 0x50 + pin);
	chips_line(rig->chips, 0, true);
	chips_line(rig->chips, 2, true);
	assert_int_equal(chips_pending(rig->chips, 0), -1);
}

/* ---- messages ---- */

static void
message_reaches_whom_it_names(void **state)
{
	/* address, data: who gets it, as bits */
	static const struct {
		uint64_t address;
		uint32_t data;
		unsigned int cpus;
	} cases[] = {
		{ MSI | 2 << 12, 0x4051, 0x4 },
		{ MSI | 0xff << 12, 0x4051, 0xf },
		{ MSI | 9 << 12, 0x4051, 0 },
		{ MSI | 5 << 12 | 0xc, 0x4051, 0x5 }, /* a set */
		{ MSI | 5 << 12 | 0xc, 0x4151, 0x1 }, /* one of it */
		{ MSI | 2 << 12, 0x400f, 0 },         /* no vector */
		{ MSI | 2 << 12, 0x4651, 0 },         /* SIPI */
		{ 0xfed00000 | 2 << 12, 0x4051, 0 },  /* not an APIC */
		{ UINT64_C(1) << 32 | MSI, 0x4051, 0 },
		{ 0, 0x51, 0 },
	};
	struct rig *rig = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned int got = 0;

		teardown(state);
		setup(state);
		rig = *state;
		for (unsigned int cpu = 0; cpu < NCPUS; cpu++) {
			apic(rig, cpu, LAPIC_LDR, 1u << (24 + cpu));
			/* so that 0 is the lowest in priority */
			apic(rig, cpu, LAPIC_TPR, cpu);
		}
		chips_msi(rig->chips, cases[i].address, cases[i].data);
		for (unsigned int cpu = 0; cpu < NCPUS; cpu++)
			if (chips_interrupt(rig->chips, cpu) == 0x51)
				got |= 1u << cpu;
		assert_int_equal(got, cases[i].cpus);
		assert_int_equal(rig->sipis[2], 0);
	}
}

static void
lowest_priority_goes_round_among_equals(void **state)
{
	struct rig *rig = *state;
	unsigned int got[NCPUS] = { 0 };

	for (unsigned int cpu = 0; cpu < NCPUS; cpu++)
		apic(rig, cpu, LAPIC_LDR, 1u << (24 + cpu));
	for (unsigned int i = 0; i < 4 * NCPUS; i++) {
		chips_msi(rig->chips, MSI | 0xf << 12 | 0xc, 0x4151);
		for (unsigned int cpu = 0; cpu < NCPUS; cpu++)
			if (chips_interrupt(rig->chips, cpu) == 0x51) {
				got[cpu]++;
				eoi(rig, cpu);
			}
	}
	for (unsigned int cpu = 0; cpu < NCPUS; cpu++)
		assert_int_equal(got[cpu], 4);
}

static void
message_may_be_an_nmi(void **state)
{
	struct rig *rig = *state;

	chips_msi(rig->chips, MSI | 3 << 12, 0x4400);
	assert_int_equal(rig->nmis[3], 1);
	assert_int_equal(chips_pending(rig->chips, 3), -1);
}

/* ---- CPUs ---- */

static void
cpus_send_to_all_shorthands(void **state)
{
	static const struct {
		uint32_t low;
		unsigned int cpus;
	} cases[] = {
		{ 0x40051, 0x2 },
		{ 0x80051, 0xf },
		{ 0xc0051, 0xd },
	};
	struct rig *rig = *state;

	for (unsigned int i = 0; i < 3; i++) {
		unsigned int got = 0;

		apic(rig, 1, LAPIC_ICR, cases[i].low);
		for (unsigned int cpu = 0; cpu < NCPUS; cpu++)
			if (chips_interrupt(rig->chips, cpu) == 0x51) {
				got |= 1u << cpu;
				eoi(rig, cpu);
			}
		assert_int_equal(got, cases[i].cpus);
	}
}

/* As Linux starts another CPU: INIT, its end, twice SIPI. */
static void
init_and_sipi_start_another_cpu(void **state)
{
	struct rig *rig = *state;

	apic(rig, 2, LAPIC_TPR, 0x40);
	apic(rig, 0, LAPIC_ICR_HIGH, 2u << 24);
	apic(rig, 0, LAPIC_ICR, 0xc500);
	apic(rig, 0, LAPIC_ICR, 0x8500);
	apic(rig, 0, LAPIC_ICR, 0x0699);
	apic(rig, 0, LAPIC_ICR, 0x0699);
	assert_int_equal(rig->inits[2], 1);
	assert_int_equal(rig->sipis[2], 2);
	assert_int_equal(rig->sipi, 0x99);
	assert_int_equal(apic_in(rig, 2, LAPIC_TPR), 0);
	assert_int_equal(apic_in(rig, 2, LAPIC_SVR), 0xff);
	assert_int_equal(rig->inits[0] + rig->inits[1] + rig->inits[3], 0);
}

static void
x2apic_cpus_send_by_their_register(void **state)
{
	struct rig *rig = *state;

	for (unsigned int cpu = 0; cpu < NCPUS; cpu++)
		assert_true(chips_msr_write(rig->chips, cpu, LAPIC_MSR_BASE,
		    LAPIC_ADDRESS | LAPIC_BASE_ENABLE | LAPIC_BASE_X2));
	assert_true(
	    chips_msr_write(rig->chips, 0, 0x830, UINT64_C(3) << 32 | 0x51));
	assert_int_equal(chips_interrupt(rig->chips, 3), 0x51);
	assert_true(chips_msr_write(rig->chips, 3, 0x80b, 0));
	assert_true(
	    chips_msr_write(rig->chips, 0, 0x830, UINT64_C(0x6) << 32 | 0x852));
	assert_int_equal(chips_interrupt(rig->chips, 0), -1);
	assert_int_equal(chips_interrupt(rig->chips, 1), 0x52);
	assert_int_equal(chips_interrupt(rig->chips, 2), 0x52);
	assert_int_equal(chips_interrupt(rig->chips, 3), -1);
}

static void
registers_that_are_not_there_are_refused(void **state)
{
	struct rig *rig = *state;
	uint64_t value;

	assert_false(chips_msr_write(rig->chips, 0, 0x83f, 0x51));
	assert_false(chips_msr_read(rig->chips, 0, 0x802, &value));
	assert_false(chips_msr_write(rig->chips, 0, 0x10, 0));
	assert_false(chips_msr_read(rig->chips, 0, 0x4b564d00, &value));
	assert_false(chips_mmio_write(rig->chips, 0, 0xfed00000, 4, 0));
	assert_int_equal(chips_pending(rig->chips, 0), -1);
}

/* ---- telling CPUs ---- */

static void
cpu_is_told_once_until_it_has_nothing_left(void **state)
{
	struct rig *rig = *state;

	for (unsigned int i = 0; i < 5; i++)
		chips_msi(rig->chips, MSI, 0x4050 + 0x10 * i);
	assert_int_equal(rig->woken[0], 1);
	assert_int_equal(chips_interrupt(rig->chips, 0), 0x90);
	assert_int_equal(rig->woken[0], 1);
	eoi(rig, 0); /* the next one can come, and it has to look */
	assert_int_equal(rig->woken[0], 2);
	for (unsigned int i = 0; i < 4; i++) {
		assert_true(chips_interrupt(rig->chips, 0) > 0);
		eoi(rig, 0);
	}
	assert_int_equal(chips_interrupt(rig->chips, 0), -1);
}

static void
lowered_task_priority_wakes(void **state)
{
	struct rig *rig = *state;

	chips_set_cr8(rig->chips, 0, 15);
	chips_msi(rig->chips, MSI, 0x4051);
	assert_int_equal(rig->woken[0], 0);
	assert_int_equal(chips_pending(rig->chips, 0), -1);
	chips_set_cr8(rig->chips, 0, 5);
	assert_int_equal(rig->woken[0], 0);
	chips_set_cr8(rig->chips, 0, 4);
	assert_int_equal(rig->woken[0], 1);
	assert_int_equal(chips_cr8(rig->chips, 0), 4);
	assert_int_equal(chips_interrupt(rig->chips, 0), 0x51);
}

/* ---- time ---- */

static void
timer_of_the_pc_ticks_at_line_0_and_pin_2(void **state)
{
	struct rig *rig = *state;
	unsigned int ticks = 0, pins = 0;

	pic_on(rig, 1);
	route(rig, 2, UINT64_C(1) << 56 | 0x51);
	chips_port_write(rig->chips, PIT_PORT_CONTROL, 0x34);
	chips_port_write(rig->chips, PIT_PORT, 11932 & 0xff);
	chips_port_write(rig->chips, PIT_PORT, 11932 >> 8);
	for (;;) { /* 100 Hz for a second */
		uint64_t at_ns = chips_next_event_ns(rig->chips);

		assert_true(at_ns != CHIPS_NEVER);
		if (at_ns > UINT64_C(1000100000))
			break;
		chips_advance(rig->chips, at_ns);
		while (chips_interrupt(rig->chips, 0) == 0x30) {
			chips_port_write(rig->chips, 0x20, 0x60);
			ticks++;
		}
		while (chips_interrupt(rig->chips, 1) == 0x51) {
			eoi(rig, 1);
			pins++;
		}
	}
	/* The line was up when the 8259 was initialized: no tick of its own. */
	assert_int_equal(ticks, 100);
	assert_int_equal(pins, 100);
}

static void
all_timers_are_in_one_next_event(void **state)
{
	struct rig *rig = *state;

	assert_true(chips_next_event_ns(rig->chips) == CHIPS_NEVER);
	for (unsigned int cpu = 0; cpu < NCPUS; cpu++) {
		apic(rig, cpu, LAPIC_TIMER_DIVIDE, 0xb);
		apic(rig, cpu, LAPIC_LVT, 0x40 + cpu);
		apic(rig, cpu, LAPIC_TIMER_INITIAL, 1000 * (NCPUS - cpu));
	}
	for (unsigned int i = 1; i <= NCPUS; i++) {
		unsigned int cpu = NCPUS - i;

		assert_int_equal(chips_next_event_ns(rig->chips), 1000 * i);
		chips_advance(rig->chips, 1000 * i - 1);
		assert_int_equal(chips_pending(rig->chips, cpu), -1);
		chips_advance(rig->chips, 1000 * i);
		assert_int_equal(chips_interrupt(rig->chips, cpu), 0x40 + cpu);
	}
	assert_true(chips_next_event_ns(rig->chips) == CHIPS_NEVER);
}

static void
deadline_that_has_passed_fires_when_it_is_written(void **state)
{
	struct rig *rig = *state;

	chips_advance(rig->chips, 5000);
	apic(rig, 0, LAPIC_LVT, LAPIC_LVT_DEADLINE | 0x40);
	assert_true(chips_msr_write(rig->chips, 0, LAPIC_MSR_DEADLINE, 4000));
	assert_int_equal(rig->woken[0], 1);
	assert_int_equal(chips_interrupt(rig->chips, 0), 0x40);
	assert_true(chips_next_event_ns(rig->chips) == CHIPS_NEVER);
}

static void
time_does_not_go_back(void **state)
{
	struct rig *rig = *state;

	apic(rig, 0, LAPIC_TIMER_DIVIDE, 0xb);
	chips_advance(rig->chips, 5000);
	chips_advance(rig->chips, 4000);
	apic(rig, 0, LAPIC_TIMER_INITIAL, 1000);
	chips_advance(rig->chips, 5400);
	assert_int_equal(apic_in(rig, 0, LAPIC_TIMER_CURRENT), 600);
}

/* ---- where registers are ---- */

static void
page_moves_with_its_base_register(void **state)
{
	struct rig *rig = *state;
	uint64_t value;

	assert_true(chips_msr_write(
	    rig->chips, 1, LAPIC_MSR_BASE, 0xd0000000 | LAPIC_BASE_ENABLE));
	assert_true(
	    chips_mmio_read(rig->chips, 1, 0xd0000000 + LAPIC_ID, 4, &value));
	assert_int_equal(value, 1u << 24);
	assert_false(chips_mmio_read(
	    rig->chips, 1, LAPIC_ADDRESS + LAPIC_ID, 4, &value));
	assert_false(
	    chips_mmio_read(rig->chips, 0, 0xd0000000 + LAPIC_ID, 4, &value));
	assert_true(chips_msr_write(rig->chips, 1, LAPIC_MSR_BASE, 0xd0000000));
	assert_false(
	    chips_mmio_read(rig->chips, 1, 0xd0000000 + LAPIC_ID, 4, &value));
}

static void
narrow_and_wide_accesses_do_no_harm(void **state)
{
	struct rig *rig = *state;
	uint64_t value;

	assert_true(chips_mmio_read(
	    rig->chips, 0, LAPIC_ADDRESS + LAPIC_VERSION, 1, &value));
	assert_int_equal(value, 0x14);
	assert_true(chips_mmio_read(
	    rig->chips, 0, LAPIC_ADDRESS + LAPIC_VERSION + 2, 2, &value));
	assert_int_equal(value, 5);
	assert_true(chips_mmio_read(
	    rig->chips, 0, LAPIC_ADDRESS + LAPIC_VERSION, 8, &value));
	assert_int_equal(value, 0x50014);
	for (unsigned int bytes = 1; bytes < 4; bytes++)
		assert_true(chips_mmio_write(
		    rig->chips, 0, LAPIC_ADDRESS + LAPIC_SVR, bytes, 0));
	assert_true(chips_mmio_write(
	    rig->chips, 0, LAPIC_ADDRESS + LAPIC_SVR + 4, 4, 0));
	assert_int_equal(apic_in(rig, 0, LAPIC_SVR), 0x1ff);
	/* One index is as good as another, whatever its width. */
	assert_true(chips_mmio_write(rig->chips, 0, IOAPIC_ADDRESS, 1, 0x01));
	assert_true(chips_mmio_read(
	    rig->chips, 0, IOAPIC_ADDRESS + IOAPIC_DATA, 4, &value));
	assert_int_equal(value, 0x00170011);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(line_comes_by_the_8259_before_anybody_set_up_an_apic),
		CASE(line_comes_by_the_8259_without_an_apic_too),
		CASE(masked_lint0_keeps_the_8259_out),
		CASE(level_line_is_delivered_until_it_falls),
		CASE(level_line_waits_for_a_cpu_that_takes_it),
		CASE(lines_of_the_timer_and_the_cascade_are_not_to_be_had),
		CASE(message_reaches_whom_it_names),
		CASE(lowest_priority_goes_round_among_equals),
		CASE(message_may_be_an_nmi),
		CASE(cpus_send_to_all_shorthands),
		CASE(init_and_sipi_start_another_cpu),
		CASE(x2apic_cpus_send_by_their_register),
		CASE(registers_that_are_not_there_are_refused),
		CASE(cpu_is_told_once_until_it_has_nothing_left),
		CASE(lowered_task_priority_wakes),
		CASE(timer_of_the_pc_ticks_at_line_0_and_pin_2),
		CASE(all_timers_are_in_one_next_event),
		CASE(deadline_that_has_passed_fires_when_it_is_written),
		CASE(time_does_not_go_back),
		CASE(page_moves_with_its_base_register),
		CASE(narrow_and_wide_accesses_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
