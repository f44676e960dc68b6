/* libs: vmm disk net base */
/*
 * PCI configuration space and MSI-X: after any accesses the buses' ranges are
 * sorted and apart, each BAR is where it says or nowhere, a line is high exactly
 * while a function drives it, and only messages that are enabled are sent.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/fuzz/no_guest.h"
#include "tests/vmm/fake_engine.h"
#include "vmm/le.h"
#include "vmm/pci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CARDS   3
#define VECTORS 4
#define TABLE   0x1000
#define PENDING 0x2000

struct card {
	struct pci_function fn; /* first */
	bool mapped;
};

static void
moved(struct pci_function *fn, unsigned int bar, uint64_t address, bool mapped)
{
	struct card *card = (struct card *)fn;

	assert(bar == 0 && mapped != card->mapped);
	assert(address % 0x4000 == 0);
	card->mapped = mapped;
}

static void
vector(struct pci_function *fn, unsigned int i)
{
	(void)fn;
	assert(i < VECTORS);
}

static const struct pci_function_ops ops = { moved, vector, NULL, NULL };

static uint64_t
bar_read(void *arg, uint64_t offset, unsigned int bytes)
{
	struct card *card = arg;

	if (offset >= PENDING)
		return pci_msix_pending_read(
		    &card->fn, offset - PENDING, bytes);
	return offset < TABLE
	    ? 0
	    : pci_msix_table_read(&card->fn, offset - TABLE, bytes);
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
check_bus(const struct bus *bus)
{
	for (const struct bus_range *r = bus->ranges; r != NULL; r = r->next)
		if (r->next != NULL)
			assert(r->start + (r->bytes - 1) < r->next->start);
}

static void
check_card(const struct card *card)
{
	const struct pci_function *fn = &card->fn;
	uint64_t at = get_le64(fn->config + PCI_BASE_ADDRESS_0);
	bool on = get_le16(fn->config + PCI_COMMAND) & PCI_COMMAND_MEMORY;

	assert(get_le16(fn->config) == 0x1af4);
	assert((at & 0xf) == 4 && (at & 0x3ff0) == 0);
	assert(card->mapped == fn->bar[0].mapped);
	if (card->mapped)
		assert(on && fn->bar[0].range.start == (at & ~UINT64_C(0xf)));
	if (pci_msix_enabled(fn))
		assert(!fn->line);
	assert((fn->msix.pending >> VECTORS) == 0);
}

static void
check(const struct pci *pci, const struct fake_engine *engine,
    const struct card *card)
{
	bool line[ENGINE_LINES] = { false };

	check_bus(&pci->machine->mmio);
	check_bus(&pci->machine->ports);
	for (unsigned int i = 0; i < CARDS; i++) {
		check_card(&card[i]);
		if (card[i].fn.line)
			line[pci_line(card[i].fn.slot)] = true;
	}
	assert(memcmp(line, engine->line, sizeof(line)) == 0);
}

/* One access or event: six bytes say which. */
static void
step(struct pci *pci, struct card *card, const uint8_t *d,
    const struct fake_engine *engine)
{
	struct machine *machine = pci->machine;
	struct card *c = &card[d[1] % CARDS];
	unsigned int bytes = 1u << (d[0] >> 4 & 3);
	uint32_t value = get_le32(d + 2), reg = d[1] & 0xfc;
	uint64_t base = c->fn.bar[0].range.start;
	unsigned int before = engine->nsent;
	struct msi msi;

	switch (d[0] & 7) {
	case 0:
		bus_write(&machine->ports, 0xcf8, 4,
		    0x80000000 | (d[1] % 5u) << 11 | (value & 0xfc));
		break;
	case 1:
		bus_write(&machine->ports, 0xcf8 + (d[1] & 7), bytes, value);
		break;
	case 2: bus_read(&machine->ports, 0xcf8 + (d[1] & 7), bytes); break;
	case 3:
		bus_write(
		    &machine->mmio, base + TABLE + (value & 0x7f), bytes, d[5]);
		break;
	case 4: bus_read(&machine->mmio, base + (value & 0x3fff), bytes); break;
	case 5: pci_intx(&c->fn, d[2] & 1); break;
	case 6:
		pci_msix_send(&c->fn, d[2] % (VECTORS + 2));
		assert(engine->nsent - before ==
		    pci_msix_message(&c->fn, d[2] % (VECTORS + 2), &msi));
		break;
	default:
		bus_write(&machine->ports, 0xcf8, 4,
		    0x80000000 | c->fn.slot << 11 | reg);
		bus_write(&machine->ports, 0xcfc, 4, value);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine machine;
	struct fake_engine engine;
	struct pci pci;
	struct card card[CARDS];

	machine_init(&machine, NULL, NULL, NULL);
	fake_engine_init(&engine);
	machine.vm = &engine.vm;
	pci_init(&pci, &machine);
	memset(card, 0, sizeof(card));
	for (unsigned int i = 0; i < CARDS; i++) {
		pci_function_init(
		    &card[i].fn, &ops, 0x1af4, 0x1041, 0x02000001, 1, 2);
		pci_bar_add(&card[i].fn, 0, 0x4000, &bar_ops, &card[i]);
		pci_msix_add(&card[i].fn, VECTORS, 0, TABLE, PENDING);
		if (pci_add(&pci, &card[i].fn, true) < 0)
			assert(0);
	}
	pci_start(&pci);
	for (size_t i = 0; i + 6 <= size; i += 6) {
		step(&pci, card, data + i, &engine);
		check(&pci, &engine, card);
	}
	pci_stop(&pci);
	check(&pci, &engine, card);
	assert(machine.mmio.ranges == NULL);
	for (unsigned int i = 0; i < CARDS; i++)
		pci_remove(&card[i].fn);
	pci_fini(&pci);
	machine_fini(&machine);
	return 0;
}
