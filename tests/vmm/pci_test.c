#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/fake_engine.h"
#include "vmm/pci.h"

#define BAR_BYTES 0x4000
#define TABLE     0x1000
#define PENDING   0x2000
#define VECTORS   3

/* A function with a BAR of nothing but MSI-X, and another BAR. */
struct card {
	struct pci_function fn; /* first */
	uint64_t at[2];
	bool mapped[2];
	unsigned int moves, vectors;
};

struct rig {
	struct machine machine;
	struct fake_engine engine;
	struct pci pci;
	struct card card, other;
};

static void
card_moved(
    struct pci_function *fn, unsigned int bar, uint64_t address, bool mapped)
{
	struct card *card = (struct card *)fn;

	assert_int_not_equal(card->mapped[bar], mapped);
	card->at[bar] = address;
	card->mapped[bar] = mapped;
	card->moves++;
}

static void
card_vector(struct pci_function *fn, unsigned int vector)
{
	assert_true(vector < VECTORS);
	((struct card *)fn)->vectors++;
}

static const struct pci_function_ops card_ops = { card_moved, card_vector, NULL,
	NULL };

static uint64_t
bar_read(void *arg, uint64_t offset, unsigned int bytes)
{
	struct card *card = arg;

	if (offset >= PENDING)
		return pci_msix_pending_read(
		    &card->fn, offset - PENDING, bytes);
	if (offset >= TABLE)
		return pci_msix_table_read(&card->fn, offset - TABLE, bytes);
	return 0x1122334455667788;
}

static void
bar_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct card *card = arg;

	if (offset >= TABLE && offset < PENDING)
		pci_msix_table_write(&card->fn, offset - TABLE, bytes, value);
}

static const struct bus_ops bar_ops = { bar_read, bar_write, 8 };

static void
make_card(struct rig *rig, struct card *card)
{
	pci_function_init(
	    &card->fn, &card_ops, 0x1af4, 0x1041, 0x02000001, 0x1af4, 0x1100);
	pci_bar_add(&card->fn, 0, BAR_BYTES, &bar_ops, card);
	pci_bar_add(&card->fn, 1, 0x1000, &bar_ops, card);
	pci_msix_add(&card->fn, VECTORS, 0, TABLE, PENDING);
	assert_int_equal(pci_add(&rig->pci, &card->fn, true), 0);
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	machine_init(&rig->machine, NULL, NULL, NULL);
	fake_engine_init(&rig->engine);
	rig->machine.vm = &rig->engine.vm;
	pci_init(&rig->pci, &rig->machine);
	make_card(rig, &rig->card);
	make_card(rig, &rig->other);
	pci_start(&rig->pci);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	pci_remove(&rig->card.fn);
	pci_remove(&rig->other.fn);
	assert_null(rig->machine.mmio.ranges);
	pci_fini(&rig->pci);
	machine_fini(&rig->machine);
	free(rig);
	return 0;
}

static void
select_register(struct rig *rig, unsigned int slot, unsigned int reg)
{
	bus_write(&rig->machine.ports, 0xcf8, 4,
	    0x80000000 | slot << 11 | (reg & 0xfc));
}

static uint32_t
config(struct rig *rig, unsigned int slot, unsigned int reg, unsigned int bytes)
{
	select_register(rig, slot, reg);
	return (uint32_t)bus_read(
	    &rig->machine.ports, 0xcfc + (reg & 3), bytes);
}

static void
set_config(struct rig *rig, unsigned int slot, unsigned int reg,
    unsigned int bytes, uint32_t value)
{
	select_register(rig, slot, reg);
	bus_write(&rig->machine.ports, 0xcfc + (reg & 3), bytes, value);
}

static uint32_t
bar0(struct rig *rig, unsigned int slot)
{
	return config(rig, slot, 0x10, 4) & ~0xfu;
}

/* ---- configuration space ---- */

static void
functions_are_found_slot_by_slot(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(config(rig, 0, 0, 4), 0x12378086);
	assert_int_equal(config(rig, 0, 8, 4) >> 16, 0x0600);
	assert_int_equal(config(rig, 1, 0, 4), 0x10411af4);
	assert_int_equal(config(rig, 1, 2, 2), 0x1041);
	assert_int_equal(config(rig, 2, 0, 4), 0x10411af4);
	assert_int_equal(config(rig, 3, 0, 4), 0xffffffff);
	assert_int_equal(config(rig, 31, 0, 4), 0xffffffff);
}

static void
other_buses_and_functions_are_empty(void **state)
{
	static const uint32_t address[] = {
		0x80010800, /* bus 1 */
		0x80000900, /* function 1 */
		0x00000800, /* not enabled */
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < 3; i++) {
		bus_write(&rig->machine.ports, 0xcf8, 4, address[i]);
		assert_int_equal(
		    bus_read(&rig->machine.ports, 0xcfc, 4), 0xffffffff);
		bus_write(&rig->machine.ports, 0xcfc, 4, 0xffffffff);
	}
	assert_int_equal(config(rig, 1, 4, 2), 0x0002);
}

static void
only_whole_words_set_the_address(void **state)
{
	struct rig *rig = *state;

	select_register(rig, 1, 0);
	bus_write(&rig->machine.ports, 0xcf8, 2, 0);
	bus_write(&rig->machine.ports, 0xcfb, 1, 0);
	assert_int_equal(bus_read(&rig->machine.ports, 0xcf8, 4), 0x80000800);
	assert_int_equal(bus_read(&rig->machine.ports, 0xcfc, 2), 0x1af4);
}

static void
the_reset_port_asks_for_a_reset(void **state)
{
	struct rig *rig = *state;

	bus_write(&rig->machine.ports, 0xcf9, 1, 0x02);
	assert_int_equal(rig->machine.request, MACHINE_GO_ON);
	bus_write(&rig->machine.ports, 0xcf9, 1, 0x06);
	assert_int_equal(rig->machine.request, MACHINE_RESET);
}

static void
read_only_fields_stay(void **state)
{
	struct rig *rig = *state;
	uint8_t before[256], after[256];

	for (unsigned int i = 0; i < 256; i++)
		before[i] = (uint8_t)config(rig, 1, i, 1);
	for (unsigned int i = 0; i < 256; i++)
		if (i != 4 && i != 5) /* the command */
			set_config(rig, 1, i, 1, ~before[i] & 0xff);
	for (unsigned int i = 0; i < 256; i++)
		after[i] = (uint8_t)config(rig, 1, i, 1);
	assert_memory_equal(before, after, 4);
	assert_memory_equal(before + 8, after + 8, 4);
	assert_memory_equal(before + 0x2c, after + 0x2c, 4);
	assert_int_equal(before[0x34], after[0x34]);
	assert_int_equal(after[0x3c], before[0x3c] ^ 0xff);
	assert_int_equal(after[0x3d], 1);
}

static void
capabilities_are_a_list(void **state)
{
	struct rig *rig = *state;
	unsigned int at = config(rig, 1, 0x34, 1);

	assert_true(config(rig, 1, 6, 2) & 0x10);
	assert_int_equal(config(rig, 1, at, 1), 0x11);
	assert_int_equal(config(rig, 1, at + 1, 1), 0);
	assert_int_equal(config(rig, 1, at + 2, 2), VECTORS - 1);
	assert_int_equal(config(rig, 1, at + 4, 4), TABLE);
	assert_int_equal(config(rig, 1, at + 8, 4), PENDING);
}

/* ---- BARs ---- */

static void
bars_have_addresses_from_the_start(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(bar0(rig, 1), 0xe0000000);
	assert_int_equal(config(rig, 1, 0x10, 4) & 0xf, 4); /* 64 bits */
	assert_int_equal(config(rig, 1, 0x14, 4), 0);
	assert_int_equal(config(rig, 1, 0x18, 4), 0xe0004004);
	assert_int_equal(bar0(rig, 2), 0xe0008000); /* aligned */
	assert_true(rig->card.mapped[0]);
	assert_int_equal(
	    bus_read(&rig->machine.mmio, 0xe0000000, 4), 0x55667788);
}

static void
sizing_a_bar_says_how_large_it_is(void **state)
{
	struct rig *rig = *state;

	set_config(rig, 1, 4, 2, 0);
	set_config(rig, 1, 0x10, 4, 0xffffffff);
	set_config(rig, 1, 0x14, 4, 0xffffffff);
	assert_int_equal(config(rig, 1, 0x10, 4), 0xffffc004);
	assert_int_equal(config(rig, 1, 0x14, 4), 0xffffffff);
	set_config(rig, 1, 0x20, 4, 0xffffffff);
	assert_int_equal(config(rig, 1, 0x20, 4), 0); /* none there */
}

static void
a_bar_moves_above_four_gib(void **state)
{
	struct rig *rig = *state;

	set_config(rig, 1, 4, 2, 0);
	assert_false(rig->card.mapped[0]);
	set_config(rig, 1, 0x10, 4, 0x00008000);
	set_config(rig, 1, 0x14, 4, 0x12);
	assert_false(rig->card.mapped[0]);
	set_config(rig, 1, 4, 2, 2);
	assert_true(rig->card.mapped[0]);
	assert_int_equal(rig->card.at[0], 0x1200008000);
	assert_int_equal(bus_read(&rig->machine.mmio, 0x1200008000, 1), 0x88);
	assert_int_equal(bus_read(&rig->machine.mmio, 0xe0000000, 1), 0xff);
}

static void
a_bar_over_another_waits_until_it_moves(void **state)
{
	struct rig *rig = *state;

	set_config(rig, 1, 0x10, 4, 0xe0008000); /* the other card's */
	assert_false(rig->card.mapped[0]);
	assert_true(rig->other.mapped[0]);
	set_config(rig, 1, 0x10, 4, 0xe0100000);
	assert_true(rig->card.mapped[0]);
	set_config(rig, 1, 0x14, 4, 0xffffffff);
	set_config(rig, 1, 0x10, 4, 0xffffffff); /* ends at 2^64 */
	assert_true(rig->card.mapped[0]);
}

static void
stop_and_start_are_a_reset(void **state)
{
	struct rig *rig = *state;

	set_config(rig, 1, 0x10, 4, 0xe0100000);
	set_config(rig, 1, 0x3c, 1, 0x77);
	pci_stop(&rig->pci);
	assert_false(rig->card.mapped[0]);
	assert_null(rig->machine.mmio.ranges);
	pci_start(&rig->pci);
	assert_int_equal(rig->card.at[0], 0xe0000000);
	assert_int_equal(config(rig, 1, 0x3c, 1), 11);
}

/* ---- interrupts ---- */

static unsigned int
msix_cap(struct rig *rig)
{
	return config(rig, 1, 0x34, 1);
}

static void
set_vector(struct rig *rig, unsigned int i, uint64_t address, uint32_t data,
    uint32_t control)
{
	uint64_t at = rig->card.at[0] + TABLE + 16 * i;

	bus_write(&rig->machine.mmio, at, 4, address & 0xffffffff);
	bus_write(&rig->machine.mmio, at + 4, 4, address >> 32);
	bus_write(&rig->machine.mmio, at + 8, 4, data);
	bus_write(&rig->machine.mmio, at + 12, 4, control);
}

static void
a_line_is_shared(void **state)
{
	struct rig *rig = *state;
	struct card third = { 0 };

	make_card(rig, &third); /* slot 3 shares line 11 with slot 1 */
	assert_int_equal(config(rig, 1, 0x3c, 2), 0x010b);
	assert_int_equal(config(rig, 2, 0x3c, 2), 0x010a);
	assert_int_equal(config(rig, 3, 0x3c, 2), 0x010b);
	pci_intx(&rig->card.fn, true);
	pci_intx(&third.fn, true);
	assert_true(rig->engine.line[11]);
	assert_false(rig->engine.line[10]);
	pci_intx(&rig->card.fn, false);
	assert_true(rig->engine.line[11]);
	pci_intx(&third.fn, false);
	assert_false(rig->engine.line[11]);
	pci_remove(&third.fn);
}

static void
a_disabled_line_stays_low_and_shows_in_the_status(void **state)
{
	struct rig *rig = *state;

	set_config(rig, 1, 4, 2, 0x402);
	pci_intx(&rig->card.fn, true);
	assert_false(rig->engine.line[11]);
	assert_true(config(rig, 1, 6, 2) & 8);
	set_config(rig, 1, 4, 2, 0x002);
	assert_true(rig->engine.line[11]);
	set_config(rig, 1, msix_cap(rig) + 2, 2, 0x8000);
	assert_false(rig->engine.line[11]);
}

static void
a_message_is_sent_when_enabled_and_unmasked(void **state)
{
	struct rig *rig = *state;
	struct msi msi;

	set_vector(rig, 1, 0xfee01004, 0x4031, 0);
	pci_msix_send(&rig->card.fn, 1);
	assert_int_equal(rig->engine.nsent, 0); /* not enabled */
	set_config(rig, 1, msix_cap(rig) + 2, 2, 0x8000);
	assert_int_equal(rig->engine.nsent, 0);
	pci_msix_send(&rig->card.fn, 1);
	assert_int_equal(rig->engine.nsent, 1);
	assert_int_equal(rig->engine.sent[0].address, 0xfee01004);
	assert_int_equal(rig->engine.sent[0].data, 0x4031);
	assert_true(pci_msix_message(&rig->card.fn, 1, &msi));
	assert_false(pci_msix_message(&rig->card.fn, 0, &msi)); /* masked */
	assert_false(pci_msix_message(&rig->card.fn, VECTORS, &msi));
	pci_msix_send(&rig->card.fn, 0xffff);
	assert_int_equal(rig->engine.nsent, 1);
}

static void
a_masked_message_is_pending_until_unmasked(void **state)
{
	struct rig *rig = *state;
	uint64_t pba = rig->card.at[0] + PENDING;

	set_config(rig, 1, msix_cap(rig) + 2, 2, 0x8000);
	set_vector(rig, 2, 0xfee00000, 0x55, 1);
	pci_msix_send(&rig->card.fn, 2);
	pci_msix_send(&rig->card.fn, 2);
	assert_int_equal(rig->engine.nsent, 0);
	assert_int_equal(bus_read(&rig->machine.mmio, pba, 8), 4);
	bus_write(&rig->machine.mmio, rig->card.at[0] + TABLE + 44, 4, 0);
	assert_int_equal(rig->engine.nsent, 1);
	assert_int_equal(bus_read(&rig->machine.mmio, pba, 4), 0);
	/* The same by the mask of the whole function. */
	set_config(rig, 1, msix_cap(rig) + 2, 2, 0xc000);
	pci_msix_send(&rig->card.fn, 2);
	assert_int_equal(rig->engine.nsent, 1);
	assert_int_equal(bus_read(&rig->machine.mmio, pba, 1), 4);
	set_config(rig, 1, msix_cap(rig) + 2, 2, 0x8000);
	assert_int_equal(rig->engine.nsent, 2);
}

static void
table_entries_read_back(void **state)
{
	struct rig *rig = *state;
	uint64_t at = rig->card.at[0] + TABLE;

	set_vector(rig, 0, 0x123456789, 0xabcd, 0xfffffffe);
	assert_int_equal(bus_read(&rig->machine.mmio, at, 8), 0x123456788);
	assert_int_equal(bus_read(&rig->machine.mmio, at + 8, 4), 0xabcd);
	assert_int_equal(bus_read(&rig->machine.mmio, at + 12, 4), 0);
	bus_write(&rig->machine.mmio, at + 12, 4, 0xffffffff);
	assert_int_equal(bus_read(&rig->machine.mmio, at + 12, 4), 1);
	assert_int_equal(bus_read(&rig->machine.mmio, at + 16 * VECTORS, 8), 0);
	bus_write(&rig->machine.mmio, at + 16 * VECTORS, 8, UINT64_MAX);
	assert_int_equal(bus_read(&rig->machine.mmio, at + 16 * VECTORS, 8), 0);
}

static void
a_full_bus_says_so(void **state)
{
	struct rig *rig = *state;
	struct pci_function more[PCI_SLOTS];
	unsigned int n = 0;

	for (;; n++) {
		pci_function_init(&more[n], &card_ops, 1, 2, 0, 0, 0);
		if (pci_add(&rig->pci, &more[n], false) < 0)
			break;
	}
	assert_int_equal(n, PCI_SLOTS - 3);
	while (n-- > 0)
		pci_remove(&more[n]);
	pci_function_init(&more[0], &card_ops, 1, 2, 0, 0, 0);
	pci_bar_add(&more[0], 0, UINT64_C(1) << 28, &bar_ops, NULL);
	pci_bar_add(&more[0], 1, UINT64_C(1) << 28, &bar_ops, NULL);
	assert_int_equal(pci_add(&rig->pci, &more[0], false), -ENOSPC);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(functions_are_found_slot_by_slot),
		CASE(other_buses_and_functions_are_empty),
		CASE(only_whole_words_set_the_address),
		CASE(the_reset_port_asks_for_a_reset),
		CASE(read_only_fields_stay),
		CASE(capabilities_are_a_list),
		CASE(bars_have_addresses_from_the_start),
		CASE(sizing_a_bar_says_how_large_it_is),
		CASE(a_bar_moves_above_four_gib),
		CASE(a_bar_over_another_waits_until_it_moves),
		CASE(stop_and_start_are_a_reset),
		CASE(a_line_is_shared),
		CASE(a_disabled_line_stays_low_and_shows_in_the_status),
		CASE(a_message_is_sent_when_enabled_and_unmasked),
		CASE(a_masked_message_is_pending_until_unmasked),
		CASE(table_entries_read_back),
		CASE(a_full_bus_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
