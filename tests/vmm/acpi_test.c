#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/acpi.h"
#include "vmm/boot.h"
#include "vmm/le.h"
#include "vmm/pci.h"

static uint8_t
sum(const uint8_t *bytes, size_t n)
{
	uint8_t total = 0;

	while (n-- > 0)
		total = (uint8_t)(total + *bytes++);
	return total;
}

static const uint8_t *
table_at(const struct memory *memory, uint64_t address, const char *signature)
{
	const uint8_t *t = memory_at(memory, address, 36);

	assert_non_null(t);
	assert_memory_equal(t, signature, 4);
	assert_true(address >= BOOT_TABLES);
	assert_true(address + get_le32(t + 4) <= BOOT_TABLES + ACPI_MAX_BYTES);
	if (memcmp(signature, "FACS", 4) != 0)
		assert_int_equal(sum(t, get_le32(t + 4)), 0);
	return t;
}

struct tables {
	struct memory memory;
	const uint8_t *fadt, *madt, *dsdt;
};

static void
write_tables(struct tables *t, unsigned int ncpus)
{
	const uint8_t *root, *xsdt;
	uint64_t at;

	memory_init(&t->memory, 2 << 20, NULL);
	at = acpi_write(&t->memory, ncpus);
	assert_int_equal(at % 16, 0); /* where systems scan for it */
	assert_true(at >= 0xe0000 && at < 0x100000);
	root = memory_at(&t->memory, at, 36);
	assert_memory_equal(root, "RSD PTR ", 8);
	assert_int_equal(sum(root, 20), 0);
	assert_int_equal(sum(root, 36), 0);
	assert_int_equal(root[15], 2);
	xsdt = table_at(&t->memory, get_le64(root + 24), "XSDT");
	assert_int_equal(get_le32(xsdt + 4), 36 + 2 * 8);
	t->fadt = table_at(&t->memory, get_le64(xsdt + 36), "FACP");
	t->madt = table_at(&t->memory, get_le64(xsdt + 44), "APIC");
	t->dsdt = table_at(&t->memory, get_le64(t->fadt + 140), "DSDT");
}

static void
all_tables_are_found_and_sum_to_zero(void **state)
{
	static const unsigned int ncpus[] = { 1, 2, 64 };
	struct tables t;

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		write_tables(&t, ncpus[i]);
		memory_free(&t.memory);
	}
}

static void
the_fadt_names_power_off_and_reset(void **state)
{
	struct tables t;

	(void)state;
	write_tables(&t, 2);
	assert_int_equal(get_le32(t.fadt + 4), 244);
	assert_int_equal(get_le32(t.fadt + 56), 0x600);
	assert_int_equal(get_le32(t.fadt + 64), 0x604);
	assert_int_equal(get_le16(t.fadt + 46), 9);
	assert_int_equal(get_le32(t.fadt + 48), 0); /* always in ACPI mode */
	assert_true(get_le32(t.fadt + 112) & 1 << 10);
	assert_false(get_le32(t.fadt + 112) & 1 << 20); /* not reduced */
	assert_int_equal(get_le64(t.fadt + 120), 0xcf9);
	assert_int_equal(t.fadt[128], 6);
	table_at(&t.memory, get_le64(t.fadt + 132), "FACS");
	assert_int_equal(get_le32(t.fadt + 40), get_le64(t.fadt + 140));
	memory_free(&t.memory);
}

static void
the_madt_lists_each_cpu(void **state)
{
	struct tables t;
	unsigned int cpus = 0, ioapics = 0, overrides = 0;
	uint32_t end;

	(void)state;
	write_tables(&t, 3);
	end = get_le32(t.madt + 4);
	assert_int_equal(get_le32(t.madt + 36), 0xfee00000);
	for (uint32_t at = 44; at < end; at += t.madt[at + 1]) {
		const uint8_t *e = t.madt + at;

		assert_true(e[1] >= 2 && at + e[1] <= end);
		switch (e[0]) {
		case 0:
			assert_int_equal(e[3], cpus++);
			assert_int_equal(get_le32(e + 4), 1);
			break;
		case 1:
			ioapics++;
			assert_int_equal(get_le32(e + 4), 0xfec00000);
			break;
		case 2:
			overrides++;
			if (e[3] == 0)
				assert_int_equal(get_le32(e + 4), 2);
			break;
		default: break;
		}
	}
	assert_int_equal(cpus, 3);
	assert_int_equal(ioapics, 1);
	assert_int_equal(overrides, 2);
	memory_free(&t.memory);
}

static const uint8_t *
find(const uint8_t *in, size_t n, const void *what, size_t bytes)
{
	for (size_t i = 0; i + bytes <= n; i++)
		if (memcmp(in + i, what, bytes) == 0)
			return in + i;
	return NULL;
}

/* The byte code itself was read by an independent compiler's disassembler; here
 * is what would break a guest most quietly. */
static void
the_dsdt_has_sleep_state_and_interrupts(void **state)
{
	static const uint8_t s5[] = { 0x08, '\\', '_', 'S', '5', '_', 0x12,
		0x4b, 0x00, 0x04, 0x0a, 0x00, 0x0a, 0x00, 0x0a, 0x00, 0x0a,
		0x00 };
	struct tables t;
	uint32_t n;
	const uint8_t *prt;

	(void)state;
	write_tables(&t, 2);
	n = get_le32(t.dsdt + 4);
	assert_non_null(find(t.dsdt, n, s5, sizeof(s5)));
	assert_non_null(find(t.dsdt, n, "\x08_HID\x0c\x41\xd0\x0a\x03", 10));
	prt = find(t.dsdt, n, "\x08_PRT\x12", 6);
	assert_non_null(prt);
	assert_int_equal(prt[8], PCI_SLOTS - 1);
	for (unsigned int slot = 1; slot < PCI_SLOTS; slot++) {
		const uint8_t *entry = prt + 9 + (slot - 1) * 15;

		assert_int_equal(entry[0], 0x12);
		assert_int_equal(get_le32(entry + 5), slot << 16 | 0xffff);
		assert_int_equal(entry[14], pci_line(slot));
	}
	memory_free(&t.memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_tables_are_found_and_sum_to_zero),
		cmocka_unit_test(the_fadt_names_power_off_and_reset),
		cmocka_unit_test(the_madt_lists_each_cpu),
		cmocka_unit_test(the_dsdt_has_sleep_state_and_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
