#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/chips/ioapic.h"

#define VECTOR 0x51

struct rig {
	struct ioapic io;
	struct apic_message last;
	unsigned int sent;
	bool refuse;
	bool ends_at_once; /* the CPU's EOI comes while we still send */
};

static bool
take(void *arg, const struct apic_message *message)
{
	struct rig *rig = arg;

	rig->last = *message;
	rig->sent++;
	if (rig->ends_at_once) {
		rig->ends_at_once = false;
		ioapic_line(&rig->io, 9, false);
		ioapic_eoi(&rig->io, message->vector);
	}
	return !rig->refuse;
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	ioapic_init(&rig->io, take, rig);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static uint32_t
in(struct rig *rig, uint8_t index)
{
	ioapic_write(&rig->io, IOAPIC_INDEX, index);
	return ioapic_read(&rig->io, IOAPIC_DATA);
}

static void
out(struct rig *rig, uint8_t index, uint32_t value)
{
	ioapic_write(&rig->io, IOAPIC_INDEX, index);
	ioapic_write(&rig->io, IOAPIC_DATA, value);
}

static void
route(struct rig *rig, unsigned int pin, uint64_t entry)
{
	out(rig, (uint8_t)(0x11 + 2 * pin), (uint32_t)(entry >> 32));
	out(rig, (uint8_t)(0x10 + 2 * pin), (uint32_t)entry);
}

static bool
waits(struct rig *rig, unsigned int pin)
{
	return in(rig, (uint8_t)(0x10 + 2 * pin)) & IOAPIC_REMOTE_IRR;
}

static void
at_first_all_pins_are_masked(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(in(rig, 1), 0x00170011);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		assert_int_equal(in(rig, (uint8_t)(0x10 + 2 * pin)), 0x10000);
		ioapic_line(&rig->io, pin, true);
	}
	assert_int_equal(rig->sent, 0);
}

static void
id_is_four_bits_and_the_arbitration_follows(void **state)
{
	struct rig *rig = *state;

	out(rig, 0, 0xff000000);
	assert_int_equal(in(rig, 0), 0x0f000000);
	assert_int_equal(in(rig, 2), 0x0f000000);
	out(rig, 1, 0xffffffff);
	assert_int_equal(in(rig, 1), 0x00170011);
}

static void
registers_beyond_the_last_pin_do_nothing(void **state)
{
	struct rig *rig = *state;

	for (unsigned int i = 0x40; i <= 0xff; i++) {
		out(rig, (uint8_t)i, 0xffffffff);
		assert_int_equal(in(rig, (uint8_t)i), 0);
	}
	for (unsigned int i = 3; i < 0x10; i++)
		assert_int_equal(in(rig, (uint8_t)i), 0);
	ioapic_write(&rig->io, 0x20, 0xffffffff);
	assert_int_equal(ioapic_read(&rig->io, 0x20), 0);
}

static void
status_bits_are_read_only(void **state)
{
	struct rig *rig = *state;

	route(rig, 3, UINT64_C(0xffffffffffffffff));
	assert_int_equal(in(rig, 0x16), 0x0001afff);
	assert_int_equal(in(rig, 0x17), 0xff000000);
}

static void
edge_sends_one_message_each(void **state)
{
	struct rig *rig = *state;

	route(rig, 4, UINT64_C(3) << 56 | IOAPIC_LOGICAL | 1 << 8 | VECTOR);
	ioapic_line(&rig->io, 4, true);
	assert_int_equal(rig->sent, 1);
	assert_int_equal(rig->last.vector, VECTOR);
	assert_int_equal(rig->last.destination, 3);
	assert_int_equal(rig->last.mode, APIC_LOWEST);
	assert_true(rig->last.logical);
	assert_false(rig->last.level || rig->last.wide);
	ioapic_line(&rig->io, 4, true);
	ioapic_line(&rig->io, 4, false);
	assert_int_equal(rig->sent, 1);
	ioapic_line(&rig->io, 4, true);
	assert_int_equal(rig->sent, 2);
	assert_false(waits(rig, 4));
}

static void
edge_on_a_masked_pin_is_lost(void **state)
{
	struct rig *rig = *state;

	route(rig, 4, IOAPIC_MASKED | VECTOR);
	ioapic_line(&rig->io, 4, true);
	route(rig, 4, VECTOR);
	assert_int_equal(rig->sent, 0);
}

static void
level_is_sent_again_after_its_eoi_until_it_falls(void **state)
{
	struct rig *rig = *state;

	route(rig, 10, IOAPIC_LEVEL | IOAPIC_ACTIVE_LOW | VECTOR);
	ioapic_line(&rig->io, 10, true);
	assert_int_equal(rig->sent, 1);
	assert_true(rig->last.level);
	assert_true(waits(rig, 10));
	ioapic_line(&rig->io, 10, false);
	ioapic_line(&rig->io, 10, true);
	assert_int_equal(rig->sent, 1);
	ioapic_eoi(&rig->io, VECTOR + 1);
	assert_int_equal(rig->sent, 1);
	ioapic_eoi(&rig->io, VECTOR);
	assert_int_equal(rig->sent, 2);
	assert_true(waits(rig, 10));
	ioapic_line(&rig->io, 10, false);
	ioapic_eoi(&rig->io, VECTOR);
	assert_int_equal(rig->sent, 2);
	assert_false(waits(rig, 10));
}

static void
level_on_a_masked_pin_is_sent_when_it_is_unmasked(void **state)
{
	struct rig *rig = *state;

	route(rig, 10, IOAPIC_MASKED | IOAPIC_LEVEL | VECTOR);
	ioapic_line(&rig->io, 10, true);
	assert_int_equal(rig->sent, 0);
	route(rig, 10, IOAPIC_LEVEL | VECTOR);
	assert_int_equal(rig->sent, 1);
}

/* Masked while it is served, as threaded handlers do. */
static void
level_masked_before_its_eoi_comes_again_when_unmasked(void **state)
{
	struct rig *rig = *state;

	route(rig, 10, IOAPIC_LEVEL | VECTOR);
	ioapic_line(&rig->io, 10, true);
	route(rig, 10, IOAPIC_MASKED | IOAPIC_LEVEL | VECTOR);
	ioapic_eoi(&rig->io, VECTOR);
	assert_int_equal(rig->sent, 1);
	assert_false(waits(rig, 10));
	route(rig, 10, IOAPIC_LEVEL | VECTOR);
	assert_int_equal(rig->sent, 2);
}

/* The way out when an EOI was lost: an edge for a moment. */
static void
turning_to_edge_forgets_a_lost_eoi(void **state)
{
	struct rig *rig = *state;

	route(rig, 10, IOAPIC_LEVEL | VECTOR);
	ioapic_line(&rig->io, 10, true);
	route(rig, 10, IOAPIC_LEVEL | (VECTOR + 1)); /* the EOI will not fit */
	assert_true(waits(rig, 10));
	route(rig, 10, IOAPIC_MASKED | (VECTOR + 1));
	assert_false(waits(rig, 10));
	route(rig, 10, IOAPIC_LEVEL | (VECTOR + 1));
	assert_int_equal(rig->sent, 2);
}

static void
message_that_nobody_took_is_tried_again(void **state)
{
	struct rig *rig = *state;

	rig->refuse = true;
	route(rig, 10, IOAPIC_LEVEL | VECTOR);
	ioapic_line(&rig->io, 10, true);
	assert_false(waits(rig, 10));
	ioapic_retry(&rig->io);
	assert_int_equal(rig->sent, 2);
	rig->refuse = false;
	ioapic_retry(&rig->io);
	assert_int_equal(rig->sent, 3);
	assert_true(waits(rig, 10));
	ioapic_retry(&rig->io);
	assert_int_equal(rig->sent, 3);
}

static void
eoi_during_the_sending_is_not_lost(void **state)
{
	struct rig *rig = *state;

	rig->ends_at_once = true;
	route(rig, 9, IOAPIC_LEVEL | VECTOR);
	ioapic_line(&rig->io, 9, true);
	assert_int_equal(rig->sent, 1);
	assert_false(waits(rig, 9));
}

static void
eoi_ends_all_pins_of_its_vector(void **state)
{
	struct rig *rig = *state;

	for (unsigned int pin = 16; pin < 20; pin++) {
		route(rig, pin, IOAPIC_LEVEL | VECTOR);
		ioapic_line(&rig->io, pin, true);
		ioapic_line(&rig->io, pin, false);
	}
	assert_int_equal(rig->sent, 4);
	ioapic_eoi(&rig->io, VECTOR);
	for (unsigned int pin = 16; pin < 20; pin++)
		assert_false(waits(rig, pin));
}

/* An NMI has no EOI, and would wait for ever. */
static void
only_fixed_and_lowest_priority_wait(void **state)
{
	static const struct {
		enum apic_mode mode;
		bool sent, waits;
	} cases[] = {
		{ APIC_FIXED, true, true },
		{ APIC_LOWEST, true, true },
		{ APIC_SMI, true, false },
		{ APIC_RESERVED, false, false },
		{ APIC_NMI, true, false },
		{ APIC_INIT, true, false },
		{ APIC_SIPI, false, false },
		{ APIC_EXTINT, true, false },
	};
	struct rig *rig = *state;

	rig->refuse = false;
	for (unsigned int i = 0; i < 8; i++) {
		rig->sent = 0;
		ioapic_line(&rig->io, i, true);
		rig->refuse = !cases[i].waits;
		route(rig, i,
		    IOAPIC_LEVEL | (uint64_t)cases[i].mode << 8 | VECTOR);
		assert_int_equal(rig->sent != 0, cases[i].sent);
		assert_int_equal(waits(rig, i), cases[i].waits);
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(at_first_all_pins_are_masked),
		CASE(id_is_four_bits_and_the_arbitration_follows),
		CASE(registers_beyond_the_last_pin_do_nothing),
		CASE(status_bits_are_read_only),
		CASE(edge_sends_one_message_each),
		CASE(edge_on_a_masked_pin_is_lost),
		CASE(level_is_sent_again_after_its_eoi_until_it_falls),
		CASE(level_on_a_masked_pin_is_sent_when_it_is_unmasked),
		CASE(level_masked_before_its_eoi_comes_again_when_unmasked),
		CASE(turning_to_edge_forgets_a_lost_eoi),
		CASE(message_that_nobody_took_is_tried_again),
		CASE(eoi_during_the_sending_is_not_lost),
		CASE(eoi_ends_all_pins_of_its_vector),
		CASE(only_fixed_and_lowest_priority_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
