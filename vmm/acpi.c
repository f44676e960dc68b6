/*
 * RSDP, XSDT, FADT with its FACS, MADT and a DSDT that we assemble here.
 *
 * The DSDT is all the byte code there is: the PCI bus with its windows and the
 * interrupt of each slot (no link devices: the wiring is fixed), and \_S5.  It
 * is written by a handful of functions, one for each construct, since the
 * tables depend on the number of CPUs and on pci.h, and since a compiler for
 * the language would be one more package.
 *
 * Not "hardware-reduced": then Linux would ignore the 8254 and the 8259.
 */
#include "vmm/acpi.h"

#include <assert.h>
#include <string.h>

#include "vmm/boot.h"
#include "vmm/le.h"
#include "vmm/pci.h"
#include "vmm/power.h"

#define HEADER_BYTES 36
#define FADT_BYTES   244
#define FACS_BYTES   64
#define RSDP_BYTES   36
#define LAPIC_BASE   0xfee00000u
#define IOAPIC_BASE  0xfec00000u

#define FADT_WBINVD       (1u << 0)
#define FADT_PROC_C1      (1u << 2)
#define FADT_POWER_BUTTON (1u << 4) /* there is none in the registers */
#define FADT_SLEEP_BUTTON (1u << 5)
#define FADT_RESET_REG    (1u << 10)
#define BOOT_ARCH_LEGACY  0x1 /* ISA devices, but no 8042 */
#define BOOT_ARCH_NO_VGA  0x4
#define GAS_IO            1

/* A table, or a piece of byte code, being written. */
struct table {
	uint8_t *at;
	uint64_t address; /* for the guest */
	uint32_t bytes;
};

static void
put_bytes(struct table *t, const void *bytes, uint32_t n)
{
	memcpy(t->at + t->bytes, bytes, n);
	t->bytes += n;
}

static void
put(struct table *t, unsigned int bytes, uint64_t value)
{
	put_le(t->at + t->bytes, bytes, value);
	t->bytes += bytes;
}

static void
put_zeros(struct table *t, uint32_t n)
{
	memset(t->at + t->bytes, 0, n);
	t->bytes += n;
}

static uint8_t
sum(const uint8_t *bytes, uint32_t n)
{
	uint8_t total = 0;

	while (n-- > 0)
		total += *bytes++;
	return total;
}

static void
begin(struct table *t, const char *signature, uint8_t revision)
{
	put_bytes(t, signature, 4);
	put(t, 4, 0); /* length, and ... */
	put(t, 1, revision);
	put(t, 1, 0); /* ... checksum: end() */
	put_bytes(t, "LANYRDLANYARD ", 14);
	put(t, 4, 1);
	put_bytes(t, "LNYD", 4);
	put(t, 4, 1);
}

/* Completes t and moves *next behind it. */
static void
end(struct table *t, struct table *next)
{
	uint32_t room = (t->bytes + 63) & ~63u;

	put_le32(t->at + 4, t->bytes);
	t->at[9] = (uint8_t)-sum(t->at, t->bytes);
	*next =
	    (struct table){ .at = t->at + room, .address = t->address + room };
}

/* ---- byte code (ACPI 6.4, chapter 20) ---- */

#define AML_NAME    0x08
#define AML_BYTE    0x0a
#define AML_DWORD   0x0c
#define AML_SCOPE   0x10
#define AML_BUFFER  0x11
#define AML_PACKAGE 0x12
#define AML_EXT     0x5b
#define AML_DEVICE  0x82
#define EISA_PCI    0x030ad041u /* PNP0A03 */

/* Begins something that has a length, and ends it; the length always takes two
 * bytes, which do for 4,095. */
static uint32_t
aml_open(struct table *t)
{
	put(t, 2, 0);
	return t->bytes - 2;
}

static void
aml_close(struct table *t, uint32_t opened)
{
	uint32_t length = t->bytes - opened;

	assert(length < 4096);
	t->at[opened] = (uint8_t)(0x40 | (length & 0xf));
	t->at[opened + 1] = (uint8_t)(length >> 4);
}

static void
aml_name(struct table *t, const char *name)
{
	put(t, 1, AML_NAME);
	put_bytes(t, name, (uint32_t)strlen(name));
}

static void
aml_byte(struct table *t, uint8_t value)
{
	put(t, 1, AML_BYTE);
	put(t, 1, value);
}

static void
aml_dword(struct table *t, uint32_t value)
{
	put(t, 1, AML_DWORD);
	put(t, 4, value);
}

/* Address space descriptors (6.4.3.5): kind 0 memory, 1 I/O, 2 bus numbers. */
static void
aml_space(struct table *t, unsigned int width, uint8_t kind, uint8_t flags,
    uint32_t first, uint32_t last)
{
	put(t, 1, width == 4 ? 0x87 : 0x88);
	put(t, 2, 3 + 5 * width);
	put(t, 1, kind);
	put(t, 1, 0x0c); /* first and last are fixed */
	put(t, 1, flags);
	put(t, width, 0);
	put(t, width, first);
	put(t, width, last);
	put(t, width, 0);
	put(t, width, (uint64_t)last - first + 1);
}

static void
aml_pci_resources(struct table *t)
{
	uint32_t buffer, size, start;

	aml_name(t, "_CRS");
	put(t, 1, AML_BUFFER);
	buffer = aml_open(t);
	aml_byte(t, 0);
	size = t->bytes - 1;
	start = t->bytes;
	aml_space(t, 2, 2, 0, 0, 0);
	put(t, 1, 0x47); /* the configuration ports, not to be given away */
	put(t, 1, 1);
	put(t, 2, PCI_PORTS);
	put(t, 2, PCI_PORTS);
	put(t, 1, 1);
	put(t, 1, 8);
	aml_space(t, 2, 1, 3, 0, PCI_PORTS - 1);
	aml_space(t, 2, 1, 3, PCI_PORTS + 8, 0xffff);
	aml_space(t, 4, 0, 1, PCI_MMIO_START, PCI_MMIO_END - 1);
	put(t, 2, 0x79); /* end, no checksum */
	t->at[size] = (uint8_t)(t->bytes - start);
	aml_close(t, buffer);
}

static void
aml_pci_lines(struct table *t)
{
	uint32_t lines, line;

	aml_name(t, "_PRT");
	put(t, 1, AML_PACKAGE);
	lines = aml_open(t);
	put(t, 1, PCI_SLOTS - 1);
	for (unsigned int slot = 1; slot < PCI_SLOTS; slot++) {
		put(t, 1, AML_PACKAGE);
		line = aml_open(t);
		put(t, 1, 4);
		aml_dword(t, slot << 16 | 0xffff);
		aml_byte(t, 0); /* INTA# */
		aml_byte(t, 0); /* wired to ... */
		aml_byte(t, (uint8_t)pci_line(slot));
		aml_close(t, line);
	}
	aml_close(t, lines);
}

static void
dsdt(struct table *t)
{
	uint32_t scope, device, package;

	begin(t, "DSDT", 2);
	put(t, 1, AML_SCOPE);
	scope = aml_open(t);
	put_bytes(t, "\\_SB_", 5);
	put(t, 1, AML_EXT);
	put(t, 1, AML_DEVICE);
	device = aml_open(t);
	put_bytes(t, "PCI0", 4);
	aml_name(t, "_HID");
	aml_dword(t, EISA_PCI);
	aml_name(t, "_UID");
	aml_byte(t, 0);
	aml_pci_resources(t);
	aml_pci_lines(t);
	aml_close(t, device);
	aml_close(t, scope);
	aml_name(t, "\\_S5_");
	put(t, 1, AML_PACKAGE);
	package = aml_open(t);
	put(t, 1, 4);
	for (unsigned int i = 0; i < 4; i++)
		aml_byte(t, i < 2 ? POWER_S5_TYPE : 0);
	aml_close(t, package);
}

/* ---- the other tables ---- */

static void
facs(struct table *t)
{
	put_bytes(t, "FACS", 4);
	put(t, 4, FACS_BYTES);
	put_zeros(t, 24);
	put(t, 1, 2); /* version */
	put_zeros(t, FACS_BYTES - 33);
}

static void
gas_io(uint8_t *at, uint32_t port, uint8_t bits)
{
	at[0] = GAS_IO;
	at[1] = bits;
	put_le64(at + 4, port);
}

static void
fadt(struct table *t, uint64_t facs_at, uint64_t dsdt_at)
{
	uint8_t *f = t->at;

	begin(t, "FACP", 3);
	put_zeros(t, FADT_BYTES - HEADER_BYTES);
	put_le32(f + 36, (uint32_t)facs_at);
	put_le32(f + 40, (uint32_t)dsdt_at);
	put_le16(f + 46, ACPI_SCI);
	put_le32(f + 56, POWER_PM1_EVENT);
	put_le32(f + 64, POWER_PM1_CONTROL);
	f[88] = 4; /* bytes of the two */
	f[89] = 2;
	put_le16(f + 96, 0xfff); /* no C2, no C3 */
	put_le16(f + 98, 0xfff);
	f[108] = 0x32; /* the century in the CMOS */
	put_le16(f + 109, BOOT_ARCH_LEGACY | BOOT_ARCH_NO_VGA);
	put_le32(f + 112,
	    FADT_WBINVD | FADT_PROC_C1 | FADT_POWER_BUTTON | FADT_SLEEP_BUTTON |
		FADT_RESET_REG);
	gas_io(f + 116, PCI_RESET_PORT, 8);
	f[128] = PCI_RESET_VALUE;
	put_le64(f + 132, facs_at);
	put_le64(f + 140, dsdt_at);
	gas_io(f + 148, POWER_PM1_EVENT, 32);
	gas_io(f + 172, POWER_PM1_CONTROL, 16);
}

static void
madt_override(struct table *t, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	put(t, 1, 2);
	put(t, 1, 10);
	put(t, 1, 0);
	put(t, 1, irq);
	put(t, 4, gsi);
	put(t, 2, flags);
}

static void
madt(struct table *t, unsigned int ncpus)
{
	const uint16_t level_high = 0xd;

	begin(t, "APIC", 3);
	put(t, 4, LAPIC_BASE);
	put(t, 4, 1); /* there are 8259s too */
	for (unsigned int i = 0; i < ncpus; i++) {
		put(t, 1, 0);
		put(t, 1, 8);
		put(t, 1, i);
		put(t, 1, i);
		put(t, 4, 1);
	}
	put(t, 1, 1);
	put(t, 1, 12);
	put(t, 2, 0);
	put(t, 4, IOAPIC_BASE);
	put(t, 4, 0);
	madt_override(t, 0, 2, 0); /* the 8254 */
	madt_override(t, ACPI_SCI, ACPI_SCI, level_high);
	put(t, 1, 4); /* NMI: LINT1 of all CPUs */
	put(t, 1, 6);
	put(t, 1, 0xff);
	put(t, 2, 0);
	put(t, 1, 1);
}

static void
rsdp(uint8_t *at, uint64_t xsdt)
{
	memset(at, 0, RSDP_BYTES);
	memcpy(at, "RSD PTR ", 8);
	memcpy(at + 9, "LANYRD", 6);
	at[15] = 2;
	put_le32(at + 20, RSDP_BYTES);
	put_le64(at + 24, xsdt);
	at[8] = (uint8_t)-sum(at, 20);
	at[32] = (uint8_t)-sum(at, RSDP_BYTES);
}

uint64_t
acpi_write(const struct memory *memory, unsigned int ncpus)
{
	uint8_t *root = memory_at(memory, BOOT_TABLES, ACPI_MAX_BYTES);
	struct table t = { .at = root + 64, .address = BOOT_TABLES + 64 };
	uint64_t facs_at, dsdt_at, fadt_at, madt_at;
	struct table next;

	facs_at = t.address;
	facs(&t);
	t = (struct table){ .at = t.at + FACS_BYTES,
		.address = t.address + FACS_BYTES };
	dsdt_at = t.address;
	dsdt(&t);
	end(&t, &next);
	t = next;
	fadt_at = t.address;
	fadt(&t, facs_at, dsdt_at);
	end(&t, &next);
	t = next;
	madt_at = t.address;
	madt(&t, ncpus);
	end(&t, &next);
	t = next;
	begin(&t, "XSDT", 1);
	put(&t, 8, fadt_at);
	put(&t, 8, madt_at);
	end(&t, &next);
	rsdp(root, t.address);
	return BOOT_TABLES;
}
