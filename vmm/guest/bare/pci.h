/*
 * pci.h - PCI functions on bus 0, by configuration ports 0xcf8 and 0xcfc.
 */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include <stdbool.h>
#include <stdint.h>

struct pci {
	uint8_t slot;
	uint16_t vendor, device;
};

/* Calls for the functions 0 that are there, in the order of their slots. */
void pci_scan(void (*each)(void *arg, const struct pci *pci), void *arg);

uint32_t pci_read32(const struct pci *pci, uint8_t at);
uint16_t pci_read16(const struct pci *pci, uint8_t at);
uint8_t pci_read8(const struct pci *pci, uint8_t at);
void pci_write32(const struct pci *pci, uint8_t at, uint32_t value);

/* Memory decoding and bus mastering on; INTx on or off. */
void pci_enable(const struct pci *pci, bool intx);

/* The next capability of that id behind `after` (0: from the first); 0 if
 * there is none. */
uint8_t pci_capability(const struct pci *pci, uint8_t id, uint8_t after);

/* The address in a memory BAR; 0 if it is for ports or was given none. */
uint64_t pci_bar(const struct pci *pci, uint8_t bar);

#endif
