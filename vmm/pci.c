/*
 * The PCI bus.
 *
 * A function's configuration space is 256 bytes and a mask of the bits that a
 * guest may write; what happens besides (a BAR moves, MSI-X is switched on) is
 * found by comparing before and after.  Sizing a BAR needs no code: the low
 * bits of its address are not writable.
 *
 * A BAR that the guest puts over another range is not mapped until it is moved
 * on; one over RAM is hidden by the RAM, as the engines look there first.
 *
 * Lines: slots take turns on 10 and 11, which no PC device uses.  A line is
 * high while any of its functions drives it.
 */
#include "vmm/pci.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "vmm/le.h"

#define HOST_VENDOR    0x8086 /* what a PC's software expects at slot 0 */
#define HOST_DEVICE    0x1237
#define CLASS_HOST     0x06000002
#define CAPS_START     0x40
#define LINE_FIRST     10
#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BITS   0x80fffffcu
#define RESET_CPU      0x04
#define ENTRY_MASKED   0x1

/* ---- BARs ---- */

static unsigned int
bar_at(unsigned int bar)
{
	return PCI_BASE_ADDRESS_0 + 8 * bar;
}

static uint64_t
bar_address(const struct pci_function *fn, unsigned int bar)
{
	return get_le64(fn->config + bar_at(bar)) & ~UINT64_C(0xf);
}

static void
bar_unmap(struct pci_function *fn, unsigned int bar)
{
	struct pci_bar *b = &fn->bar[bar];

	if (!b->mapped)
		return;
	b->mapped = false;
	bus_remove(&fn->pci->machine->mmio, &b->range);
	fn->ops->moved(fn, bar, b->range.start, false);
}

/* Follows what the guest wrote into the BAR or the command register. */
static void
bar_update(struct pci_function *fn, unsigned int bar)
{
	struct pci_bar *b = &fn->bar[bar];
	uint64_t address = bar_address(fn, bar);
	bool want = get_le16(fn->config + PCI_COMMAND) & PCI_COMMAND_MEMORY;

	if (b->range.bytes == 0)
		return;
	if (b->mapped && want && address == b->range.start)
		return;
	bar_unmap(fn, bar);
	if (!want)
		return;
	b->range.start = address;
	if (bus_add(&fn->pci->machine->mmio, &b->range) < 0)
		return;
	b->mapped = true;
	fn->ops->moved(fn, bar, address, true);
}

void
pci_bar_add(struct pci_function *fn, unsigned int bar, uint64_t bytes,
    const struct bus_ops *ops, void *arg)
{
	assert(bar < PCI_BARS && bytes >= MEMORY_PAGE_BYTES &&
	    (bytes & (bytes - 1)) == 0);
	bus_range_init(&fn->bar[bar].range, ops, arg, 0, bytes);
	fn->config[bar_at(bar)] = PCI_BASE_ADDRESS_MEM_TYPE_64;
	put_le64(fn->writable + bar_at(bar), ~(bytes - 1));
}

/* ---- INTx ---- */

unsigned int
pci_line(unsigned int slot)
{
	return LINE_FIRST + slot % 2;
}

static void
line_update(struct pci_function *fn)
{
	struct pci *pci = fn->pci;
	unsigned int line = pci_line(fn->slot);
	bool disabled =
	    get_le16(fn->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;
	bool want = fn->intx && !disabled && !pci_msix_enabled(fn);

	if (fn->intx)
		fn->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	else
		fn->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	if (want == fn->line)
		return;
	fn->line = want;
	if (want && pci->line_users[line]++ == 0)
		machine_irq(pci->machine, line, true);
	else if (!want && --pci->line_users[line] == 0)
		machine_irq(pci->machine, line, false);
}

void
pci_intx(struct pci_function *fn, bool level)
{
	fn->intx = level;
	line_update(fn);
}

/* ---- MSI-X (PCI Local Bus 3.0, 6.8.2) ---- */

static uint16_t
msix_control(const struct pci_function *fn)
{
	return fn->msix.n == 0
	    ? 0
	    : get_le16(fn->config + fn->msix.cap + PCI_MSIX_FLAGS);
}

bool
pci_msix_enabled(const struct pci_function *fn)
{
	return msix_control(fn) & PCI_MSIX_FLAGS_ENABLE;
}

bool
pci_msix_message(
    const struct pci_function *fn, unsigned int vector, struct msi *msi)
{
	if (vector >= fn->msix.n || !pci_msix_enabled(fn) ||
	    msix_control(fn) & PCI_MSIX_FLAGS_MASKALL ||
	    fn->msix.vector[vector].masked)
		return false;
	*msi = (struct msi){ .address = fn->msix.vector[vector].address,
		.data = fn->msix.vector[vector].data };
	return true;
}

void
pci_msix_send(struct pci_function *fn, unsigned int vector)
{
	struct msi msi;

	if (vector >= fn->msix.n || !pci_msix_enabled(fn))
		return;
	if (pci_msix_message(fn, vector, &msi))
		machine_msi(fn->pci->machine, &msi);
	else
		fn->msix.pending |= 1u << vector;
}

/* Something changed about the vector: what was pending may go now. */
static void
vector_update(struct pci_function *fn, unsigned int vector)
{
	struct msi msi;

	fn->ops->vector(fn, vector);
	if (fn->msix.pending & 1u << vector &&
	    pci_msix_message(fn, vector, &msi)) {
		fn->msix.pending &= ~(1u << vector);
		machine_msi(fn->pci->machine, &msi);
	}
}

static void
vectors_update(struct pci_function *fn)
{
	for (unsigned int i = 0; i < fn->msix.n; i++)
		vector_update(fn, i);
}

void
pci_msix_add(struct pci_function *fn, unsigned int n, unsigned int bar,
    uint32_t table, uint32_t pending)
{
	unsigned int cap = pci_cap_add(fn, PCI_CAP_ID_MSIX, 12);
	uint8_t *at = fn->config + cap;

	assert(n >= 1 && n <= PCI_MSIX_MAX && bar < PCI_BARS);
	put_le16(at + PCI_MSIX_FLAGS, (uint16_t)(n - 1));
	put_le16(fn->writable + cap + PCI_MSIX_FLAGS,
	    PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	put_le32(at + PCI_MSIX_TABLE, table | 2 * bar);
	put_le32(at + PCI_MSIX_PBA, pending | 2 * bar);
	fn->msix.cap = cap;
	fn->msix.n = n;
	for (unsigned int i = 0; i < n; i++)
		fn->msix.vector[i].masked = true;
}

/* One entry as its 16 bytes, and back. */
static void
entry_get(const struct pci_function *fn, unsigned int i, uint8_t *bytes)
{
	put_le64(bytes, fn->msix.vector[i].address);
	put_le32(bytes + 8, fn->msix.vector[i].data);
	put_le32(bytes + 12, fn->msix.vector[i].masked ? ENTRY_MASKED : 0);
}

static void
entry_set(struct pci_function *fn, unsigned int i, const uint8_t *bytes)
{
	fn->msix.vector[i].address = get_le64(bytes) & ~UINT64_C(3);
	fn->msix.vector[i].data = get_le32(bytes + 8);
	fn->msix.vector[i].masked = get_le32(bytes + 12) & ENTRY_MASKED;
}

uint64_t
pci_msix_table_read(
    struct pci_function *fn, uint64_t offset, unsigned int bytes)
{
	uint64_t i = offset / PCI_MSIX_ENTRY_BYTES;
	uint8_t entry[PCI_MSIX_ENTRY_BYTES];

	if (i >= fn->msix.n)
		return 0;
	entry_get(fn, (unsigned int)i, entry);
	return get_le(entry + offset % PCI_MSIX_ENTRY_BYTES, bytes);
}

void
pci_msix_table_write(struct pci_function *fn, uint64_t offset,
    unsigned int bytes, uint64_t value)
{
	uint64_t i = offset / PCI_MSIX_ENTRY_BYTES;
	uint8_t entry[PCI_MSIX_ENTRY_BYTES];

	if (i >= fn->msix.n)
		return;
	entry_get(fn, (unsigned int)i, entry);
	put_le(entry + offset % PCI_MSIX_ENTRY_BYTES, bytes, value);
	entry_set(fn, (unsigned int)i, entry);
	vector_update(fn, (unsigned int)i);
}

uint64_t
pci_msix_pending_read(
    struct pci_function *fn, uint64_t offset, unsigned int bytes)
{
	uint8_t words[8];

	put_le64(words, fn->msix.pending);
	return offset < sizeof(words) ? get_le(words + offset, bytes) : 0;
}

/* ---- configuration space ---- */

static uint32_t
config_read(struct pci_function *fn, unsigned int offset, unsigned int bytes)
{
	uint32_t value;

	if (fn->ops->config_read != NULL &&
	    fn->ops->config_read(fn, offset, bytes, &value))
		return value;
	return (uint32_t)get_le(fn->config + offset, bytes);
}

static void
config_write(struct pci_function *fn, unsigned int offset, unsigned int bytes,
    uint32_t value)
{
	uint16_t command = get_le16(fn->config + PCI_COMMAND);
	uint16_t control = msix_control(fn);

	if (fn->ops->config_write != NULL &&
	    fn->ops->config_write(fn, offset, bytes, value))
		return;
	for (unsigned int i = 0; i < bytes; i++) {
		uint8_t mask = fn->writable[offset + i];
		uint8_t byte = (uint8_t)(value >> 8 * i);

		fn->config[offset + i] =
		    (uint8_t)((byte & mask) | (fn->config[offset + i] & ~mask));
	}
	if (command != get_le16(fn->config + PCI_COMMAND) ||
	    (offset >= PCI_BASE_ADDRESS_0 && offset < bar_at(PCI_BARS)))
		for (unsigned int i = 0; i < PCI_BARS; i++)
			bar_update(fn, i);
	if (control != msix_control(fn))
		vectors_update(fn);
	line_update(fn);
}

/* ---- the ports: 0xcf8 an address, 0xcfc a window of four bytes ---- */

static struct pci_function *
selected(const struct pci *pci)
{
	uint32_t a = pci->address;

	if (!(a & ADDRESS_ENABLE) || (a >> 16 & 0xff) != 0 || (a >> 8 & 7) != 0)
		return NULL;
	return pci->slot[a >> 11 & 0x1f];
}

static uint64_t
ports_read(void *arg, uint64_t offset, unsigned int bytes)
{
	struct pci *pci = arg;
	struct pci_function *fn = selected(pci);

	if (offset < 4)
		return offset == 0 && bytes == 4 ? pci->address : UINT64_MAX;
	if (fn == NULL)
		return UINT64_MAX;
	return config_read(
	    fn, (pci->address & 0xfc) + (unsigned int)offset - 4, bytes);
}

static void
ports_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct pci *pci = arg;
	struct pci_function *fn = selected(pci);

	if (offset == 0 && bytes == 4)
		pci->address = (uint32_t)value & ADDRESS_BITS;
	else if (offset == PCI_RESET_PORT - PCI_PORTS && bytes == 1 &&
	    value & RESET_CPU)
		machine_ask(pci->machine, MACHINE_RESET);
	else if (offset >= 4 && fn != NULL)
		config_write(fn,
		    (pci->address & 0xfc) + (unsigned int)offset - 4, bytes,
		    (uint32_t)value);
}

static const struct bus_ops ports_bus = { ports_read, ports_write, 4 };

/* ---- making ---- */

void
pci_function_init(struct pci_function *fn, const struct pci_function_ops *ops,
    uint16_t vendor, uint16_t device, uint32_t class_revision,
    uint16_t subsystem_vendor, uint16_t subsystem)
{
	memset(fn, 0, sizeof(*fn));
	fn->ops = ops;
	put_le16(fn->config + PCI_VENDOR_ID, vendor);
	put_le16(fn->config + PCI_DEVICE_ID, device);
	put_le32(fn->config + PCI_CLASS_REVISION, class_revision);
	put_le16(fn->config + PCI_SUBSYSTEM_VENDOR_ID, subsystem_vendor);
	put_le16(fn->config + PCI_SUBSYSTEM_ID, subsystem);
	put_le16(fn->config + PCI_COMMAND, PCI_COMMAND_MEMORY);
	put_le16(fn->writable + PCI_COMMAND,
	    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	fn->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	fn->writable[PCI_INTERRUPT_LINE] = 0xff;
	fn->cap_last = PCI_CAPABILITY_LIST;
	fn->cap_free = CAPS_START;
}

unsigned int
pci_cap_add(struct pci_function *fn, uint8_t id, unsigned int bytes)
{
	unsigned int at = fn->cap_free;

	assert(at + bytes <= PCI_CONFIG_BYTES);
	fn->config[fn->cap_last] = (uint8_t)at;
	fn->config[at] = id;
	fn->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	fn->cap_last = at + PCI_CAP_LIST_NEXT;
	fn->cap_free = (at + bytes + 3) & ~3u;
	return at;
}

/* Gives the BARs addresses, aligned to their sizes. */
static int
place_bars(struct pci *pci, struct pci_function *fn)
{
	uint64_t next = pci->next_bar;

	for (unsigned int i = 0; i < PCI_BARS; i++) {
		uint64_t bytes = fn->bar[i].range.bytes, at;

		if (bytes == 0)
			continue;
		at = (next + bytes - 1) & ~(bytes - 1);
		if (at + bytes > PCI_MMIO_END)
			return -ENOSPC;
		put_le64(fn->config + bar_at(i), at | fn->config[bar_at(i)]);
		next = at + bytes;
	}
	pci->next_bar = next;
	return 0;
}

int
pci_add(struct pci *pci, struct pci_function *fn, bool intx)
{
	unsigned int slot = 0;

	while (slot < PCI_SLOTS && pci->slot[slot] != NULL)
		slot++;
	if (slot == PCI_SLOTS || place_bars(pci, fn) < 0)
		return -ENOSPC;
	fn->pci = pci;
	fn->slot = slot;
	pci->slot[slot] = fn;
	if (intx) {
		fn->config[PCI_INTERRUPT_PIN] = 1;
		fn->config[PCI_INTERRUPT_LINE] = (uint8_t)pci_line(fn->slot);
	}
	memcpy(fn->initial, fn->config, sizeof(fn->initial));
	return 0;
}

void
pci_remove(struct pci_function *fn)
{
	if (fn->pci == NULL)
		return;
	for (unsigned int i = 0; i < PCI_BARS; i++)
		bar_unmap(fn, i);
	pci_intx(fn, false);
	fn->pci->slot[fn->slot] = NULL;
	fn->pci = NULL;
}

static const struct pci_function_ops host_ops = { 0 };

void
pci_init(struct pci *pci, struct machine *machine)
{
	memset(pci, 0, sizeof(*pci));
	pci->machine = machine;
	pci->next_bar = PCI_MMIO_START;
	bus_range_init(&pci->ports, &ports_bus, pci, PCI_PORTS, 8);
	bus_add(&machine->ports, &pci->ports);
	pci_function_init(
	    &pci->host, &host_ops, HOST_VENDOR, HOST_DEVICE, CLASS_HOST, 0, 0);
	pci_add(pci, &pci->host, false);
}

void
pci_fini(struct pci *pci)
{
	bus_remove(&pci->machine->ports, &pci->ports);
}

/* ---- life ---- */

static void
function_stop(struct pci_function *fn)
{
	for (unsigned int i = 0; i < PCI_BARS; i++)
		bar_unmap(fn, i);
	pci_intx(fn, false);
	memcpy(fn->config, fn->initial, sizeof(fn->config));
	fn->msix.pending = 0;
	for (unsigned int i = 0; i < fn->msix.n; i++) {
		fn->msix.vector[i].address = 0;
		fn->msix.vector[i].data = 0;
		fn->msix.vector[i].masked = true;
		fn->ops->vector(fn, i);
	}
}

void
pci_stop(struct pci *pci)
{
	for (unsigned int i = 0; i < PCI_SLOTS; i++)
		if (pci->slot[i] != NULL)
			function_stop(pci->slot[i]);
	pci->address = 0;
}

void
pci_start(struct pci *pci)
{
	for (unsigned int i = 0; i < PCI_SLOTS; i++)
		for (unsigned int bar = 0;
		     pci->slot[i] != NULL && bar < PCI_BARS; bar++)
			bar_update(pci->slot[i], bar);
}

/* ---- as a value ---- */

static void
archive_config(struct pci_function *fn, struct archive *a)
{
	uint8_t config[PCI_CONFIG_BYTES];

	memcpy(config, fn->config, sizeof(config));
	archive_bytes(a, config, sizeof(config));
	if (!a->loads || a->failed)
		return;
	if (get_le32(config) != get_le32(fn->config)) {
		archive_fail(a, "slot %u had another device", fn->slot);
		return;
	}
	for (unsigned int i = 0; i < PCI_CONFIG_BYTES; i++)
		fn->config[i] = (uint8_t)((config[i] & fn->writable[i]) |
		    (fn->config[i] & ~fn->writable[i]));
}

static void
archive_msix(struct pci_function *fn, struct archive *a)
{
	for (unsigned int i = 0; i < fn->msix.n; i++) {
		uint8_t entry[PCI_MSIX_ENTRY_BYTES];

		entry_get(fn, i, entry);
		archive_bytes(a, entry, sizeof(entry));
		if (a->loads)
			entry_set(fn, i, entry);
	}
	archive_u32(a, &fn->msix.pending);
	if (fn->msix.n < PCI_MSIX_MAX)
		fn->msix.pending &= (1u << fn->msix.n) - 1;
}

void
pci_function_archive(struct pci_function *fn, struct archive *a)
{
	archive_config(fn, a);
	archive_msix(fn, a);
	archive_bool(a, &fn->intx);
	if (!a->loads || a->failed)
		return;
	for (unsigned int i = 0; i < PCI_BARS; i++)
		bar_update(fn, i);
	vectors_update(fn);
	line_update(fn);
}

void
pci_archive(struct pci *pci, struct archive *a)
{
	archive_u32(a, &pci->address);
	pci->address &= ADDRESS_BITS;
	pci_function_archive(&pci->host, a);
}
