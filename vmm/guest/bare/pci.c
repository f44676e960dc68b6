#include "vmm/guest/bare/pci.h"

#include "vmm/guest/bare/cpu.h"

#define PCI_COMMAND      0x04
#define COMMAND_MEMORY   0x0002
#define COMMAND_MASTER   0x0004
#define COMMAND_INTX_OFF 0x0400
#define PCI_CAPABILITIES 0x34
#define PCI_BARS         0x10

#define EMPTY_SLOTS_END 8 /* after so many in a row we look no further */
#define CAPS_MAX        48

static void
select(uint8_t slot, uint8_t at)
{
	outl(0xcf8, 0x80000000u | (uint32_t)slot << 11 | (at & 0xfcu));
}

uint32_t
pci_read32(const struct pci *pci, uint8_t at)
{
	select(pci->slot, at);
	return inl(0xcfc);
}

uint16_t
pci_read16(const struct pci *pci, uint8_t at)
{
	return (uint16_t)(pci_read32(pci, at) >> (at & 2) * 8);
}

uint8_t
pci_read8(const struct pci *pci, uint8_t at)
{
	return (uint8_t)(pci_read32(pci, at) >> (at & 3) * 8);
}

void
pci_write32(const struct pci *pci, uint8_t at, uint32_t value)
{
	select(pci->slot, at);
	outl(0xcfc, value);
}

void
pci_scan(void (*each)(void *arg, const struct pci *pci), void *arg)
{
	unsigned int empty = 0;

	for (uint8_t slot = 0; slot < 32 && empty < EMPTY_SLOTS_END; slot++) {
		struct pci pci = { .slot = slot };
		uint32_t id = pci_read32(&pci, 0);

		if ((id & 0xffff) == 0xffff) {
			empty++;
			continue;
		}
		empty = 0;
		pci.vendor = (uint16_t)id;
		pci.device = (uint16_t)(id >> 16);
		each(arg, &pci);
	}
}

void
pci_enable(const struct pci *pci, bool intx)
{
	uint32_t command = pci_read32(pci, PCI_COMMAND) & 0xffff;

	command |= COMMAND_MEMORY | COMMAND_MASTER;
	command &= ~(uint32_t)COMMAND_INTX_OFF;
	pci_write32(pci, PCI_COMMAND,
	    command | (intx ? 0 : (uint32_t)COMMAND_INTX_OFF));
}

uint8_t
pci_capability(const struct pci *pci, uint8_t id, uint8_t after)
{
	uint8_t at = after != 0 ? pci_read8(pci, (uint8_t)(after + 1))
				: pci_read8(pci, PCI_CAPABILITIES);

	for (unsigned int n = 0; n < CAPS_MAX && at >= 0x40; n++) {
		uint32_t head = pci_read32(pci, at & 0xfc);

		if ((head & 0xff) == id)
			return at & 0xfc;
		at = (uint8_t)(head >> 8);
	}
	return 0;
}

uint64_t
pci_bar(const struct pci *pci, uint8_t bar)
{
	uint64_t low, high = 0;

	if (bar > 5)
		return 0;
	low = pci_read32(pci, (uint8_t)(PCI_BARS + 4 * bar));
	if (low & 1)
		return 0;
	if ((low & 6) == 4 && bar < 5)
		high = pci_read32(pci, (uint8_t)(PCI_BARS + 4 * bar + 4));
	return high << 32 | (low & UINT64_C(0xfffffff0));
}
